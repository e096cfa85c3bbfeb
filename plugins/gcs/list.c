/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page of keys.
 *
 * The service starts at startOffset, included, in byte order; the ABI behind
 * start_after.  So one more than the limit is asked for and the first is
 * dropped where it is start_after itself.  With the delimiter:
 *
 *   start_after inside or at a folder ("a/x", "a/"): everything that starts
 * with "a/" rolls up to an entry that is not greater; start behind it, at "a0"
 * ("0" follows "/"), instead of having its thousands of objects looked through
 *
 * Objects whose names are no keys are left out.  A page that holds none but
 * such is no page: the next is fetched, so that "more" always comes with an
 * entry.
 */
#include <inttypes.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"
#include "gcs/replies.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/encode.h"
#include "support/fail.h"

#define PAGE_MAX 1000 /* what the service gives at the most */
#define PAGE_BYTES ((size_t)8 << 20)

struct listing {
    struct gcs_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_list_args *args;
    struct persist_backend_error *err;
    struct text token; /* of the next page; empty: the first */
    uint32_t wanted;   /* maxResults */
    uint32_t emitted;
    bool full; /* limit reached, or emit said stop */
    bool more;
};

/* Where the service is to start; out stays empty at the beginning. */
static void start_offset(const struct listing *l, struct text *out)
{
    const struct persist_backend_list_args *args = l->args;
    size_t prefix_len = strlen(args->prefix);
    const char *slash = NULL;

    if (args->start_after[0] == '\0')
        return;
    text_add(out, l->s->options.prefix);
    if (args->delimiter[0] != '\0' &&
        strncmp(args->start_after, args->prefix, prefix_len) == 0)
        slash = strchr(args->start_after + prefix_len, '/');
    if (slash == NULL) {
        text_add(out, args->start_after);
        return;
    }
    text_add_bytes(out, args->start_after, (size_t)(slash - args->start_after));
    text_add_char(out, '/' + 1);
}

static void make_query(const struct listing *l, struct text *out)
{
    struct text prefix = {0}, start = {0};

    text_addf(out,
              "maxResults=%" PRIu32 "&fields=nextPageToken,prefixes,"
              "items(name,size,updated)",
              l->wanted);
    text_add(&prefix, l->s->options.prefix);
    text_add(&prefix, l->args->prefix);
    if (prefix.len > 0)
        form_add(out, "prefix", text_str(&prefix));
    if (l->args->delimiter[0] != '\0')
        form_add(out, "delimiter", l->args->delimiter);
    start_offset(l, &start);
    if (start.len > 0)
        form_add(out, "startOffset", text_str(&start));
    if (l->token.len > 0)
        form_add(out, "pageToken", text_str(&l->token));
    out->failed = out->failed || prefix.failed || start.failed;
    text_finish(&prefix);
    text_finish(&start);
}

/* The key of an entry, or NULL where it is not to be listed. */
static const char *key_of(const struct listing *l, const struct gcs_entry *e)
{
    size_t own = strlen(l->s->options.prefix);
    const char *key = e->name + own;

    if (strncmp(e->name, l->s->options.prefix, own) != 0 ||
        strncmp(key, l->args->prefix, strlen(l->args->prefix)) != 0 ||
        strcmp(key, l->args->start_after) <= 0)
        return NULL;
    return names_is_key(key, e->folder) ? key : NULL;
}

static void emit(struct listing *l, const struct gcs_entry *e, const char *key)
{
    struct persist_backend_entry entry = {
        .struct_size = sizeof(entry),
        .flags = e->folder ? PERSIST_BACKEND_ENTRY_FOLDER : 0,
        .key = key,
        .size = e->size,
        .modified_us = e->updated_us,
        .present = (e->folder ? 0 : PERSIST_BACKEND_HAS_SIZE) |
                   (e->has_updated ? PERSIST_BACKEND_HAS_MODIFIED : 0),
    };

    l->emitted++;
    if (l->args->emit(l->args->emit_ctx, &entry) != 0)
        l->full = true;
}

/* Where more pages follow, no more than was asked for: some servers do not
 * count folders, and then only the first `wanted` are sure to be the first. */
static void emit_page(struct listing *l, const struct gcs_page *page)
{
    bool last = page->next_token == NULL;
    size_t n = last || page->n < l->wanted ? page->n : l->wanted;

    l->more = !last;
    for (size_t i = 0; i < n && !l->full; i++) {
        const char *key = key_of(l, &page->entries[i]);

        if (key == NULL)
            continue;
        if (l->emitted == l->args->limit) {
            l->full = true;
            l->more = true;
            return;
        }
        emit(l, &page->entries[i], key);
    }
}

static int32_t take_page(struct listing *l, const struct http_response *r)
{
    const struct gcs_asked asked = {
        .verb = "list", .key = "", .subject = GCS_BUCKET};
    struct gcs_page page;
    int32_t rc;

    if (r->status != 200)
        return status_refused(l->s->http, &asked, r, l->err);
    rc = reply_page(r->body.data, r->body.len, &page);
    if (rc == PERSIST_BACKEND_OK) {
        bool stands = page.next_token != NULL && l->token.len > 0 &&
                      strcmp(page.next_token, text_str(&l->token)) == 0;

        emit_page(l, &page);
        text_clear(&l->token);
        if (page.next_token != NULL)
            text_add(&l->token, page.next_token);
        if (l->token.failed)
            rc = fail(l->err, PERSIST_BACKEND_MEMORY, "out of memory");
        else if (stands) /* for ever, where a page is empty */
            rc = fail(l->err, PERSIST_BACKEND_IO,
                      "cannot list the bucket: the service gives the same page "
                      "again and again");
    } else if (rc == PERSIST_BACKEND_MEMORY) {
        rc = fail(l->err, rc, "out of memory");
    } else {
        rc = status_garbled(&asked, l->s->seen, r, l->err);
    }
    reply_page_finish(&page);
    return rc;
}

static int32_t fetch(struct listing *l)
{
    struct gcs_request q = {.method = "GET", .body_max = PAGE_BYTES};
    struct http_response r = {0};
    struct text path = {0}, query = {0};
    int32_t rc;

    names_list_path(&l->s->options, &path);
    make_query(l, &query);
    q.path = text_str(&path);
    q.query = text_str(&query);
    rc = path.failed || query.failed
             ? fail(l->err, PERSIST_BACKEND_MEMORY, "out of memory")
             : request_send(l->s, l->call, &q, &r, l->err);
    if (rc == PERSIST_BACKEND_OK)
        rc = take_page(l, &r);
    http_response_finish(&r);
    text_finish(&path);
    text_finish(&query);
    return rc;
}

int32_t gcs_list(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_list_args *args,
                 struct persist_backend_list_result *result,
                 struct persist_backend_error *err)
{
    struct listing l = {.s = store, .call = call, .args = args, .err = err};
    int32_t rc;

    result->more = 0;
    if (args->limit == 0 ||
        (args->delimiter[0] != '\0' && strcmp(args->delimiter, "/") != 0))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "list: the limit must be positive and the delimiter a "
                    "slash or nothing");
    l.wanted = args->limit < PAGE_MAX ? args->limit + 1 : PAGE_MAX;
    do {
        rc = gcs_check_call(l.s, call, err);
        if (rc == PERSIST_BACKEND_OK)
            rc = fetch(&l);
    } while (rc == PERSIST_BACKEND_OK && l.emitted == 0 && !l.full &&
             l.token.len > 0);
    text_finish(&l.token);
    if (rc == PERSIST_BACKEND_OK)
        result->more = l.emitted > 0 && l.more;
    return rc;
}
