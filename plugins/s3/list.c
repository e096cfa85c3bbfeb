/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys in order.  The host goes on behind the last entry it saw, so S3's
 * continuation tokens live for one op only: they are followed while pages hold
 * nothing that is to be shown.
 */
#include "s3.h"

#include <string.h>

#define PAGE_MAX 1000 /* S3's */
#define BODY_MAX ((size_t)16 << 20)
/* Pages without an entry, before the listing is taken for one without end. */
#define EMPTY_PAGES_MAX 10000
/* Greater than any name: the last code point of Unicode. */
#define LAST_NAME "\xf4\x8f\xbf\xbf"

/*
 * Where S3 is to go on.  With a delimiter, everything inside the folder that
 * start_after lies in or names has been passed: S3 would show that folder
 * again, for what it holds behind start_after.
 */
static void write_start(const struct s3_store *s,
                        const struct persist_backend_list_args *args,
                        struct fixed *out)
{
    size_t prefix = strlen(args->prefix);
    const char *slash = NULL;

    fixed_add(out, s->set.prefix);
    if (args->delimiter[0] != '\0' &&
        strncmp(args->start_after, args->prefix, prefix) == 0)
        slash = strstr(args->start_after + prefix, args->delimiter);
    if (slash == NULL) {
        fixed_add(out, args->start_after);
        return;
    }
    fixed_add_bytes(out, args->start_after,
                    (size_t)(slash - args->start_after) +
                        strlen(args->delimiter));
    fixed_add(out, LAST_NAME);
}

/* What one request is made of; kept for the op. */
struct query {
    char prefix[2 * S3_KEY_CAP];
    char start[2 * S3_KEY_CAP];
    char max_keys[16];
    char token[4096];
};

static int32_t send_list(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const struct persist_backend_list_args *args,
                         const struct query *q, struct http_response *response,
                         struct persist_backend_error *err)
{
    struct request r = {.method = "GET", .body_max = BODY_MAX};

    request_pair(&r, "list-type", "2");
    request_pair(&r, "encoding-type", "url");
    request_pair(&r, "max-keys", q->max_keys);
    request_pair(&r, "prefix", q->prefix);
    if (args->delimiter[0] != '\0')
        request_pair(&r, "delimiter", args->delimiter);
    if (q->token[0] != '\0')
        request_pair(&r, "continuation-token", q->token);
    else if (args->start_after[0] != '\0')
        request_pair(&r, "start-after", q->start);
    return request_send(s, call, &r, response, err);
}

static int32_t emit_page(const struct page *p,
                         const struct persist_backend_list_args *args,
                         struct persist_backend_list_result *result)
{
    size_t n = p->n < args->limit ? p->n : args->limit;

    result->more = p->truncated || n < p->n;
    for (size_t i = 0; i < n; i++) {
        const struct page_entry *e = &p->entries[i];
        struct persist_backend_entry entry = {
            .struct_size = sizeof(entry),
            .flags = e->is_folder ? PERSIST_BACKEND_ENTRY_FOLDER : 0,
            .key = e->key,
            .size = e->size,
            .modified_us = e->modified_us,
            .present = (e->has_size ? PERSIST_BACKEND_HAS_SIZE : 0) |
                       (e->has_modified ? PERSIST_BACKEND_HAS_MODIFIED : 0)};

        if (args->emit(args->emit_ctx, &entry) != 0)
            break;
    }
    return PERSIST_BACKEND_OK;
}

/* One page of S3's. *out_done: it was shown, or it was the last. */
static int32_t one_page(struct s3_store *s,
                        const struct persist_backend_call *call,
                        const struct persist_backend_list_args *args,
                        struct query *q,
                        struct persist_backend_list_result *result,
                        bool *out_done, struct persist_backend_error *err)
{
    struct http_response response = {0};
    struct page page = {.store_prefix = s->set.prefix,
                        .prefix = args->prefix,
                        .start_after = args->start_after};
    int32_t rc = send_list(s, call, args, q, &response, err);

    if (rc == PERSIST_BACKEND_OK && response.status != 200) {
        rc = answer_fail(s, &response, "list", args->prefix, "s3:ListBucket",
                         err);
        /* There is no object to be missing. */
        if (rc == PERSIST_BACKEND_NOT_FOUND)
            rc = answer_odd(s, &response, PERSIST_BACKEND_CONFIG, "list",
                            args->prefix,
                            "the service took it for an object (is the "
                            "bucket's name in the endpoint?)",
                            err);
    } else if (rc == PERSIST_BACKEND_OK) {
        rc = page_read(&page, response.body.len > 0 ? response.body.data : "",
                       response.body.len);
        if (rc == PERSIST_BACKEND_MEMORY)
            rc = fail(err, rc, "out of memory");
        else if (rc != PERSIST_BACKEND_OK)
            rc = answer_odd(s, &response, PERSIST_BACKEND_TRANSIENT, "list",
                            args->prefix,
                            "the service's answer is no whole listing", err);
    }
    *out_done = page.n > 0 || !page.truncated;
    if (rc == PERSIST_BACKEND_OK && !*out_done &&
        strcmp(page.token, q->token) == 0)
        rc = answer_odd(s, &response, PERSIST_BACKEND_IO, "list", args->prefix,
                        "the service gives the same page again and again", err);
    if (rc == PERSIST_BACKEND_OK && *out_done)
        rc = emit_page(&page, args, result);
    memcpy(q->token, page.token, sizeof(q->token));
    page_finish(&page);
    http_response_finish(&response);
    return rc;
}

int32_t s3_list(void *store, const struct persist_backend_call *call,
                const struct persist_backend_list_args *args,
                struct persist_backend_list_result *result,
                struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct query q = {.token = ""};
    struct fixed prefix = fixed_over(q.prefix, sizeof(q.prefix));
    struct fixed start = fixed_over(q.start, sizeof(q.start));
    struct fixed max_keys = fixed_over(q.max_keys, sizeof(q.max_keys));
    bool done = false;
    int32_t rc = key_check_prefix(args->prefix, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    fixed_add(&prefix, s->set.prefix);
    fixed_add(&prefix, args->prefix);
    write_start(s, args, &start);
    /* One more than is shown: some services say that more is to come at the end
     * of a page that was just filled. */
    fixed_add_number(&max_keys,
                     args->limit < PAGE_MAX ? args->limit + 1 : PAGE_MAX);
    if (!prefix.ok || !start.ok || args->limit == 0)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a listing of %u entries below %.200s cannot be asked for",
                    args->limit, args->prefix);
    for (unsigned i = 0; i < EMPTY_PAGES_MAX && !done; i++) {
        rc = one_page(s, call, args, &q, result, &done, err);
        if (rc != PERSIST_BACKEND_OK)
            return rc;
    }
    return done ? PERSIST_BACKEND_OK
                : fail(err, PERSIST_BACKEND_IO,
                       "the listing of %.200s does not end", args->prefix);
}
