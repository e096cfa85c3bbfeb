/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, looking, deleting.  A range is always asked for; a service that
 * answers with the whole object is taken as far as the buffer goes.
 */
#include "s3.h"

#include <string.h>

#include "support/dates.h"

#define LAST_BYTE ((uint64_t)INT64_MAX)

/* ---------------------------------------------------------------------- head
 */

static int32_t take_head(struct s3_store *s, const char *key,
                         const struct http_response *response,
                         struct persist_backend_head_result *result,
                         struct persist_backend_error *err)
{
    const char *modified = http_header(response, "last-modified");

    if (answer_is_page(response))
        return answer_page(s, response, "look at", key, err);
    if (!response->has_length || !answer_etag(response, result->etag))
        return answer_odd(s, response, PERSIST_BACKEND_IO, "look at", key,
                          "the service's answer has no size or no ETag", err);
    result->size = response->content_length;
    if (modified != NULL && date_parse_http(modified, &result->modified_us))
        result->present |= PERSIST_BACKEND_HAS_MODIFIED;
    return PERSIST_BACKEND_OK;
}

/* HEAD; etag may be NULL. */
static int32_t head_object(struct s3_store *s,
                           const struct persist_backend_call *call,
                           const char *key, const char *etag,
                           struct persist_backend_head_result *result,
                           struct persist_backend_error *err)
{
    struct request r = {.method = "HEAD", .key = key};
    struct http_response response = {0};
    int32_t rc;

    if (etag != NULL)
        request_header(&r, "if-match", etag);
    rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK && response.status == 200)
        rc = take_head(s, key, &response, result, err);
    else if (rc == PERSIST_BACKEND_OK)
        rc = answer_fail(s, &response, "look at", key,
                         "s3:GetObject (and s3:ListBucket, to tell a missing "
                         "object)",
                         err);
    http_response_finish(&response);
    if (rc == PERSIST_BACKEND_NOT_FOUND &&
        answer_bucket(s, call, err) != PERSIST_BACKEND_OK)
        return PERSIST_BACKEND_CONFIG;
    return rc;
}

int32_t s3_head(void *store, const struct persist_backend_call *call,
                const struct persist_backend_head_args *args,
                struct persist_backend_head_result *result,
                struct persist_backend_error *err)
{
    struct s3_store *s = store;
    int32_t rc = key_check(s, args->key, err);

    return rc == PERSIST_BACKEND_OK
               ? head_object(s, call, args->key, NULL, result, err)
               : rc;
}

/* ---------------------------------------------------------------------- read
 */

/* "bytes=a-b", "bytes=-n" */
static void write_range(const struct persist_backend_read_args *args,
                        struct fixed *out)
{
    fixed_add(out, "bytes=");
    if (args->mode == PERSIST_BACKEND_READ_SUFFIX) {
        fixed_add(out, "-");
        fixed_add_number(out, args->len);
        return;
    }
    fixed_add_number(out, args->offset);
    fixed_add(out, "-");
    /* Some read these as signed numbers, and ignore a range that is none. */
    fixed_add_number(out, args->len > LAST_BYTE - args->offset
                              ? LAST_BYTE
                              : args->offset + args->len - 1);
}

/* Where in an object of `total` bytes the wanted ones start. */
static uint64_t wanted_start(const struct persist_backend_read_args *args,
                             uint64_t total)
{
    if (args->mode == PERSIST_BACKEND_READ_SUFFIX)
        return total > args->len ? total - args->len : 0;
    return args->offset < total ? args->offset : total;
}

/* Whether these are all bytes of the object and their checksum is its own.  A
 * composite one says nothing about bytes, and some services send the checksum
 * of the whole with a part, or without its "-N". */
static bool has_damage(const struct s3_store *s,
                       const struct http_response *response, const void *bytes,
                       uint64_t len)
{
    const char *type = http_header(response, "x-amz-checksum-type");
    bool whole = type != NULL ? fixed_same_word(type, "FULL_OBJECT")
                              : response->status == 200;

    if (!s->set.check_replies || !whole)
        return false;
    return http_header(response, "x-amz-checksum-crc32c") != NULL &&
           checksum_differs(response, s->host->crc32c(0, bytes, len));
}

/* 206: the range that was asked for, as far as the object goes. */
static const char *take_partial(const struct persist_backend_read_args *args,
                                const struct http_response *response,
                                struct persist_backend_read_result *result)
{
    uint64_t first, last, total;

    if (!http_content_range(response, &first, &last, &total) ||
        total == UINT64_MAX)
        return "the service's answer does not say which bytes it has";
    if (last < first || last >= total || first != wanted_start(args, total) ||
        response->into_len != last - first + 1 ||
        (last + 1 != total && response->into_len != args->len))
        return "the service answered with other bytes than were asked for";
    result->len = response->into_len;
    result->offset = first;
    result->total = total;
    return NULL;
}

/* 200: the whole object, and it fitted into the buffer. */
static void take_whole(const struct persist_backend_read_args *args,
                       const struct http_response *response,
                       struct persist_backend_read_result *result)
{
    uint64_t total = response->into_len;
    uint64_t start = wanted_start(args, total);
    uint64_t len = total - start < args->len ? total - start : args->len;

    memmove(args->buffer, (const char *)args->buffer + start, (size_t)len);
    result->len = len;
    result->offset = start;
    result->total = total;
}

static int32_t accept_read(struct s3_store *s,
                           const struct persist_backend_read_args *args,
                           const struct http_response *response,
                           struct persist_backend_read_result *result,
                           struct persist_backend_error *err)
{
    const char *problem = NULL;

    if (answer_is_page(response))
        return answer_page(s, response, "read", args->key, err);
    if (!response->framed)
        return answer_odd(s, response, PERSIST_BACKEND_TRANSIENT, "read",
                          args->key, "nothing tells where the answer ends",
                          err);
    if (!answer_etag(response, result->etag))
        return answer_odd(s, response, PERSIST_BACKEND_IO, "read", args->key,
                          "the answer has no ETag (check the endpoint)", err);
    if (args->etag != NULL && strcmp(args->etag, result->etag) != 0)
        return answer_odd(s, response, PERSIST_BACKEND_PRECONDITION, "read",
                          args->key, "it is another version by now", err);
    if (response->status == 206)
        problem = take_partial(args, response, result);
    else if (!has_damage(s, response, args->buffer, response->into_len))
        take_whole(args, response, result);
    else
        problem = "";
    if (problem != NULL && problem[0] != '\0')
        return answer_odd(s, response, PERSIST_BACKEND_IO, "read", args->key,
                          problem, err);
    if (problem != NULL || (response->status == 206 && result->offset == 0 &&
                            result->len == result->total &&
                            has_damage(s, response, args->buffer, result->len)))
        return answer_odd(s, response, PERSIST_BACKEND_CORRUPT, "read",
                          args->key, "the bytes differ from their checksum",
                          err);
    return PERSIST_BACKEND_OK;
}

/* 416: nothing from there on, which is an answer; HEAD tells size and version.
 */
static int32_t nothing_there(struct s3_store *s,
                             const struct persist_backend_call *call,
                             const struct persist_backend_read_args *args,
                             struct persist_backend_read_result *result,
                             struct persist_backend_error *err)
{
    struct persist_backend_head_result head = {.struct_size = sizeof(head)};
    int32_t rc = head_object(s, call, args->key, args->etag, &head, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (head.size > args->offset && args->mode == PERSIST_BACKEND_READ_RANGE)
        return fail(err, PERSIST_BACKEND_TRANSIENT,
                    "cannot read %.200s: it was replaced meanwhile", args->key);
    memcpy(result->etag, head.etag, sizeof(result->etag));
    result->len = 0;
    result->offset = head.size;
    result->total = head.size;
    return PERSIST_BACKEND_OK;
}

static int32_t send_read(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const struct persist_backend_read_args *args,
                         struct http_response *response,
                         struct persist_backend_error *err)
{
    struct request r = {.method = "GET",
                        .key = args->key,
                        .into = args->buffer,
                        .into_cap = args->len};
    char range[64];
    struct fixed text = fixed_over(range, sizeof(range));
    int32_t rc;

    write_range(args, &text);
    request_header(&r, "range", range);
    if (args->etag != NULL)
        request_header(&r, "if-match", args->etag);
    if (s->set.check_replies && !s->set.custom)
        request_header(&r, "x-amz-checksum-mode", "ENABLED");
    rc = request_send(s, call, &r, response, err);
    if (rc == PERSIST_BACKEND_CORRUPT && answer_is_page(response))
        return answer_page(s, response, "read", args->key, err);
    if (rc == PERSIST_BACKEND_CORRUPT && response->status == 200)
        return fail(err, PERSIST_BACKEND_UNSUPPORTED,
                    "cannot read %.200s: the service answers with whole "
                    "objects where a part is asked for",
                    args->key);
    return rc;
}

int32_t s3_read(void *store, const struct persist_backend_call *call,
                const struct persist_backend_read_args *args,
                struct persist_backend_read_result *result,
                struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct http_response response = {0};
    int32_t rc = key_check(s, args->key, err);

    if (rc == PERSIST_BACKEND_OK && args->len == 0)
        rc = fail(err, PERSIST_BACKEND_INVALID, "a read of no bytes");
    if (rc == PERSIST_BACKEND_OK && args->mode == PERSIST_BACKEND_READ_RANGE &&
        args->offset >= LAST_BYTE)
        return nothing_there(s, call, args, result, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    rc = send_read(s, call, args, &response, err);
    if (rc == PERSIST_BACKEND_OK &&
        (response.status == 200 || response.status == 206))
        rc = accept_read(s, args, &response, result, err);
    else if (rc == PERSIST_BACKEND_OK && response.status == 416)
        rc = nothing_there(s, call, args, result, err);
    else if (rc == PERSIST_BACKEND_OK)
        rc = answer_fail(s, &response, "read", args->key, "s3:GetObject", err);
    http_response_finish(&response);
    return rc;
}

/* -------------------------------------------------------------------- delete
 */

int32_t s3_delete(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_delete_args *args,
                  struct persist_backend_delete_result *result,
                  struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct request r = {.method = "DELETE", .key = args->key};
    struct http_response response = {0};
    int32_t rc = key_check(s, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = answer_deleted(s, &response, "delete", args->key,
                            "s3:DeleteObject", err);
    if (rc == PERSIST_BACKEND_OK) {
        result->was = PERSIST_BACKEND_WAS_UNKNOWN; /* S3 does not say */
    } else if (rc == PERSIST_BACKEND_NOT_FOUND) {
        result->was = PERSIST_BACKEND_WAS_ABSENT;
        rc = PERSIST_BACKEND_OK;
    }
    http_response_finish(&response);
    return rc;
}
