/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of one object.
 *
 * A pinned read says ifGenerationMatch, so that another generation is refused
 * as such; "generation=" would answer from a noncurrent version in a bucket
 * that keeps those, and 404 in one that does not.  Servers that ignore it are
 * noticed: the reply names its generation.
 *
 * Accept-Encoding: gzip is always sent: without it, an object whose metadata
 * says "gzip" is decompressed by the service, Range is ignored and the checksum
 * is of other bytes (cloud.google.com/storage/docs/transcoding).  libcurl is
 * not told and hands out what came.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"
#include "gcs/object.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/encode.h"
#include "support/fail.h"

struct reading {
    struct gcs_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_read_args *args;
    struct persist_backend_read_result *result;
    struct persist_backend_error *err;
    struct gcs_asked asked;
};

static const char decompressed[] =
    "it came decompressed: something on the way removes Accept-Encoding";

static int32_t refuse(const struct reading *g, int32_t code, const char *why)
{
    return fail(g->err, code, "cannot read %.100s: %s",
                names_tail(g->args->key), why);
}

static bool is_generation(const char *text)
{
    return text != NULL && text[0] != '\0' &&
           strlen(text) < GCS_GENERATION_MAX &&
           strspn(text, "0123456789") == strlen(text);
}

/* ------------------------------------------------------------------ request */

static void range_header(const struct persist_backend_read_args *args,
                         char out[80])
{
    uint64_t last = args->len - 1 > INT64_MAX - args->offset
                        ? INT64_MAX
                        : args->offset + args->len - 1;

    if (args->mode == PERSIST_BACKEND_READ_SUFFIX)
        (void)snprintf(out, 80, "Range: bytes=-%" PRIu64, args->len);
    else
        (void)snprintf(out, 80, "Range: bytes=%" PRIu64 "-%" PRIu64,
                       args->offset, last);
}

static int32_t send(const struct reading *g, bool fresh,
                    struct http_response *r)
{
    char range[80];
    struct text path = {0}, query = {0};
    struct gcs_request q = {.method = "GET",
                            .headers = {range, "Accept-Encoding: gzip"},
                            .fresh = fresh,
                            .into = g->args->buffer,
                            .into_cap = g->args->len};
    int32_t rc;

    range_header(g->args, range);
    names_object_path(&g->s->options, g->args->key, &path);
    text_add(&query, "alt=media");
    if (is_generation(g->args->etag))
        form_add(&query, "ifGenerationMatch", g->args->etag);
    q.path = text_str(&path);
    q.query = text_str(&query);
    rc = path.failed || query.failed
             ? fail(g->err, PERSIST_BACKEND_MEMORY, "out of memory")
             : request_send(g->s, g->call, &q, r, g->err);
    text_finish(&path);
    text_finish(&query);
    return rc;
}

/* ------------------------------------------------------------------- answer */

static bool was_transcoded(const struct http_response *r)
{
    const char *stored = http_header(r, "x-goog-stored-content-encoding");

    return stored != NULL && strcmp(stored, "gzip") == 0 &&
           http_header(r, "content-encoding") == NULL;
}

static int32_t take_generation(const struct reading *g, const char *generation)
{
    if (!is_generation(generation))
        return refuse(g, PERSIST_BACKEND_IO,
                      "the answer names no generation (check the endpoint)");
    if (g->args->etag != NULL && strcmp(g->args->etag, generation) != 0)
        return refuse(g, PERSIST_BACKEND_PRECONDITION,
                      "the object has changed");
    (void)snprintf(g->result->etag, sizeof(g->result->etag), "%s", generation);
    return PERSIST_BACKEND_OK;
}

/* x-goog-hash: "crc32c=AAAAAA==,md5=...", in one line or several; of the whole
 * stored object, also where a range was sent. */
static bool stated_crc(const struct http_response *r, uint32_t *out)
{
    const char *line = http_header(r, "x-goog-hash");

    for (; line != NULL; line = http_header_next(r, "x-goog-hash", line)) {
        const char *at = strstr(line, "crc32c=");
        char text[9] = {0};

        if (at == NULL)
            continue;
        memcpy(text, at + 7, strnlen(at + 7, 8));
        return crc_decode(text, out);
    }
    return false;
}

/* Whether the whole object, where it was read, is what the service says. */
static int32_t check_crc(const struct reading *g, const struct http_response *r)
{
    const struct persist_backend_read_result *got = g->result;
    uint32_t want;

    if (got->len != got->total || !stated_crc(r, &want))
        return PERSIST_BACKEND_OK;
    if (g->s->host->crc32c(0, g->args->buffer, got->len) == want)
        return PERSIST_BACKEND_OK;
    return refuse(g, PERSIST_BACKEND_CORRUPT,
                  "the bytes are not those of the object's checksum");
}

/* The place and number of the bytes that came, against what was asked for. */
static int32_t check_extent(const struct reading *g, uint64_t first,
                            uint64_t total)
{
    const struct persist_backend_read_args *args = g->args;
    struct persist_backend_read_result *got = g->result;
    uint64_t start = args->offset;

    if (args->mode == PERSIST_BACKEND_READ_SUFFIX)
        start = total > args->len ? total - args->len : 0;
    if (first != start || start > total ||
        got->len != (total - start < args->len ? total - start : args->len))
        return refuse(g, PERSIST_BACKEND_IO,
                      "the service sent another range than was asked for");
    got->offset = first;
    got->total = total;
    return PERSIST_BACKEND_OK;
}

static int32_t take_bytes(struct reading *g, const struct http_response *r)
{
    uint64_t first = 0, last = 0, total = r->into_len;
    int32_t rc = take_generation(g, http_header(r, "x-goog-generation"));

    g->result->len = r->into_len;
    if (rc == PERSIST_BACKEND_IO && http_names_page(r))
        return refuse(g, status_of_page(g->s->seen), HTTP_WEB_PAGE);
    if (rc == PERSIST_BACKEND_OK && was_transcoded(r))
        return refuse(g, PERSIST_BACKEND_IO, decompressed);
    if (rc == PERSIST_BACKEND_OK && r->status == 200 && !r->framed)
        return refuse(g, PERSIST_BACKEND_TRANSIENT,
                      "nothing tells where the answer ends");
    if (rc == PERSIST_BACKEND_OK && r->status == 206 &&
        (!http_content_range(r, &first, &last, &total) || total == UINT64_MAX ||
         last - first + 1 != r->into_len))
        return refuse(g, PERSIST_BACKEND_IO,
                      "an answer whose range cannot be right");
    if (rc == PERSIST_BACKEND_OK)
        rc = check_extent(g, first, total);
    return rc == PERSIST_BACKEND_OK ? check_crc(g, r) : rc;
}

/* Nothing lies there: how long the object is says its resource. */
static int32_t take_nothing(struct reading *g)
{
    struct gcs_object object = {0};
    int32_t rc = object_look(g->s, g->call, g->args->key, &object, g->err);

    if (rc == PERSIST_BACKEND_OK)
        rc = take_generation(g, object.generation);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (g->args->mode == PERSIST_BACKEND_READ_SUFFIX
            ? object.size > 0
            : g->args->offset < object.size)
        return refuse(g, PERSIST_BACKEND_TRANSIENT,
                      "the service says that there is nothing in a range "
                      "where there is");
    g->result->len = 0;
    g->result->offset = object.size;
    g->result->total = object.size;
    return PERSIST_BACKEND_OK;
}

/* More bytes than there is room for, or fewer than were announced. */
static int32_t wrong_length(const struct reading *g,
                            const struct http_response *r)
{
    if (was_transcoded(r))
        return refuse(g, PERSIST_BACKEND_IO, decompressed);
    if (r->has_length && r->content_length <= g->args->len)
        return refuse(g, PERSIST_BACKEND_TRANSIENT,
                      "the answer broke off in the middle");
    return refuse(g, PERSIST_BACKEND_IO,
                  "the service sent more than the range it was asked for");
}

static int32_t read_once(struct reading *g, bool fresh)
{
    struct http_response r = {0};
    int32_t rc = send(g, fresh, &r);

    if (rc == PERSIST_BACKEND_CORRUPT)
        rc = wrong_length(g, &r);
    else if (rc == PERSIST_BACKEND_OK &&
             (r.status == 416 || (r.status == 206 && r.into_len == 0)))
        rc = take_nothing(g);
    else if (rc == PERSIST_BACKEND_OK && r.status != 206 && r.status != 200)
        rc = status_refused(g->s->http, &g->asked, &r, g->err);
    else if (rc == PERSIST_BACKEND_OK)
        rc = take_bytes(g, &r);
    http_response_finish(&r);
    return rc;
}

int32_t gcs_read(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_read_args *args,
                 struct persist_backend_read_result *result,
                 struct persist_backend_error *err)
{
    struct reading g = {.s = store,
                        .call = call,
                        .args = args,
                        .result = result,
                        .err = err,
                        .asked = {.verb = "read", .key = args->key}};
    int32_t rc = names_check_key(&g.s->options, args->key, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (args->len == 0 || (args->mode != PERSIST_BACKEND_READ_RANGE &&
                           args->mode != PERSIST_BACKEND_READ_SUFFIX))
        return refuse(&g, PERSIST_BACKEND_INVALID, "no range to read");
    /* Further than any object reaches, and than servers count. */
    if (args->mode == PERSIST_BACKEND_READ_RANGE &&
        args->offset > GCS_OBJECT_MAX)
        return take_nothing(&g);
    rc = read_once(&g, false);
    if (rc != PERSIST_BACKEND_CORRUPT)
        return rc;
    g.s->host->log(g.s->host_store, PERSIST_BACKEND_LOG_WARN,
                   "gcs: a download was damaged on its way: read once more on "
                   "a new connection");
    return read_once(&g, true);
}
