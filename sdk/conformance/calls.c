/* SPDX-License-Identifier: 0BSD */
/*
 * Calls of one op each, the way a host makes them: results zeroed, sized and
 * fenced; every answer looked at for what holds of all ops.
 *
 * Makes no statement about what an op should answer.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FENCE 64
#define FENCE_BYTE 0xa5

/* A result or error struct with a fence behind it. */
static void *box_open(size_t size)
{
    uint8_t *box = must_alloc(size + FENCE);
    uint32_t struct_size = (uint32_t)size;
    memset(box, 0, size);
    memset(box + size, FENCE_BYTE, FENCE);
    memcpy(box, &struct_size, sizeof(struct_size));
    return box;
}

static void note(struct suite *s, char *slot, const char *op, const char *what)
{
    pthread_mutex_lock(&s->observed.lock);
    if (!slot[0])
        snprintf(slot, sizeof(s->observed.bad_code), "%s: %s", op, what);
    pthread_mutex_unlock(&s->observed.lock);
}

static void box_check(struct test *t, const char *op, const void *box,
                      size_t size)
{
    const uint8_t *bytes = box;
    uint32_t struct_size;
    memcpy(&struct_size, box, sizeof(struct_size));
    if (struct_size != size)
        note(t->suite, t->suite->observed.bad_write, op,
             "changed a struct_size");
    for (size_t i = 0; i < FENCE; i++) {
        if (bytes[size + i] != FENCE_BYTE) {
            note(t->suite, t->suite->observed.bad_write, op,
                 "wrote behind a struct");
            return;
        }
    }
}

static void check_text(struct test *t, const char *op, const char *text,
                       size_t cap, const char *what)
{
    if (!memchr(text, 0, cap))
        note(t->suite, t->suite->observed.bad_write, op, what);
}

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            return false;
    return true;
}

static const char *check_error(int32_t rc,
                               const struct persist_backend_error *e)
{
    if (!memchr(e->message, 0, sizeof(e->message)) ||
        !memchr(e->provider_code, 0, sizeof(e->provider_code)) ||
        !memchr(e->request_id, 0, sizeof(e->request_id)))
        return "a text of the error has no NUL";
    if (rc < 0 && !e->message[0])
        return "a failure without a message";
    if (!is_one_line(e->message))
        return "a message that is not one line";
    if ((e->present & PERSIST_BACKEND_ERROR_HTTP_STATUS) &&
        (e->http_status < 100 || e->http_status > 599))
        return "an http_status outside 100 to 599";
    if (e->present & ~(uint32_t)7)
        return "unknown bits in error.present";
    return NULL;
}

/* Looks at one answer and frees the error. */
static void answered(struct test *t, const char *op, int32_t rc,
                     struct persist_backend_error *error)
{
    struct observed *o = &t->suite->observed;
    if (rc > 0 || rc < PERSIST_BACKEND_INTERNAL) {
        char what[64];
        snprintf(what, sizeof(what), "answered %d", (int)rc);
        note(t->suite, o->bad_code, op, what);
    }
    box_check(t, op, error, sizeof(*error));
    const char *problem = check_error(rc, error);
    if (problem)
        note(t->suite, o->bad_message, op, problem);
    if (rc && !problem)
        snprintf(t->detail, sizeof(t->detail), "%s", error->message);
    free(error);
}

static struct persist_backend_error *new_error(void)
{
    return box_open(sizeof(struct persist_backend_error));
}

int32_t op_open(struct suite *s, const struct config *config, void **out_store,
                struct persist_backend_error *error)
{
    struct persist_backend_config c = {
        .struct_size = sizeof(c),
        .n_values = (uint32_t)config->n,
        .value_size = sizeof(struct persist_backend_value),
        .values = config->values,
        .host_store = &s->host_store,
        .store_name = "conformance",
    };
    memset(error, 0, sizeof(*error));
    error->struct_size = sizeof(*error);
    *out_store = NULL;
    return s->ops->open(s->host, &c, out_store, error);
}

int32_t op_limits(struct test *t, struct persist_backend_limits *out)
{
    struct persist_backend_limits *limits = box_open(sizeof(*limits));
    int32_t rc = t->suite->ops->limits(t->store, limits);
    box_check(t, "limits", limits, sizeof(*limits));
    *out = *limits;
    free(limits);
    return rc;
}

int32_t op_put_args(struct test *t, const struct persist_backend_put_args *args,
                    char *out_etag)
{
    struct persist_backend_error *error = new_error();
    struct persist_backend_put_result *result = box_open(sizeof(*result));
    int32_t rc = t->suite->ops->put(t->store, &t->call, args, result, error);
    check_text(t, "put", result->etag, sizeof(result->etag), "etag has no NUL");
    if (out_etag)
        memcpy(out_etag, result->etag, sizeof(result->etag));
    box_check(t, "put", result, sizeof(*result));
    free(result);
    answered(t, "put", rc, error);
    return rc;
}

int32_t op_put(struct test *t, const char *key, const void *data, uint64_t len,
               uint32_t flags, char *out_etag)
{
    struct persist_backend_put_args args = {
        .struct_size = sizeof(args),
        .flags = flags,
        .key = key,
        .data = data,
        .len = len,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = t->suite->host->crc32c(0, data, len),
        .content_type = "application/octet-stream",
    };
    return op_put_args(t, &args, out_etag);
}

int32_t op_put_many(struct test *t,
                    const struct persist_backend_put_args *items, uint32_t n,
                    int32_t *statuses)
{
    struct persist_backend_error *error = new_error();
    struct persist_backend_put_many_result *result = box_open(sizeof(*result));
    struct persist_backend_put_many_args args = {
        .struct_size = sizeof(args),
        .n_items = n,
        .item_size = sizeof(*items),
        .items = items,
    };
    for (uint32_t i = 0; i < n; i++)
        statuses[i] = PERSIST_BACKEND_INTERNAL;
    result->n_statuses = n;
    result->statuses = statuses;
    int32_t rc =
        t->suite->ops->put_many(t->store, &t->call, &args, result, error);
    box_check(t, "put_many", result, sizeof(*result));
    free(result);
    answered(t, "put_many", rc, error);
    return rc;
}

int32_t op_read(struct test *t, const struct persist_backend_read_args *args,
                struct persist_backend_read_result *out)
{
    struct persist_backend_error *error = new_error();
    struct persist_backend_read_result *result = box_open(sizeof(*result));
    int32_t rc = t->suite->ops->read(t->store, &t->call, args, result, error);
    check_text(t, "read", result->etag, sizeof(result->etag),
               "etag has no NUL");
    if (result->len > args->len)
        note(t->suite, t->suite->observed.bad_write, "read",
             "more bytes than were asked for");
    box_check(t, "read", result, sizeof(*result));
    *out = *result;
    free(result);
    answered(t, "read", rc, error);
    return rc;
}

int32_t op_head(struct test *t, const char *key,
                struct persist_backend_head_result *out)
{
    struct persist_backend_head_args args = {.struct_size = sizeof(args),
                                             .key = key};
    struct persist_backend_error *error = new_error();
    struct persist_backend_head_result *result = box_open(sizeof(*result));
    int32_t rc = t->suite->ops->head(t->store, &t->call, &args, result, error);
    check_text(t, "head", result->etag, sizeof(result->etag),
               "etag has no NUL");
    box_check(t, "head", result, sizeof(*result));
    if (out)
        *out = *result;
    free(result);
    answered(t, "head", rc, error);
    return rc;
}

int32_t op_delete(struct test *t, const char *key, uint32_t *out_was)
{
    struct persist_backend_delete_args args = {.struct_size = sizeof(args),
                                               .key = key};
    struct persist_backend_error *error = new_error();
    struct persist_backend_delete_result *result = box_open(sizeof(*result));
    int32_t rc =
        t->suite->ops->delete_object(t->store, &t->call, &args, result, error);
    box_check(t, "delete", result, sizeof(*result));
    if (out_was)
        *out_was = result->was;
    free(result);
    answered(t, "delete", rc, error);
    return rc;
}

int32_t op_begin(struct test *t, const char *key, uint32_t flags, char *out_id)
{
    struct persist_backend_begin_args args = {
        .struct_size = sizeof(args),
        .flags = flags,
        .key = key,
        .content_type = "application/octet-stream",
    };
    struct persist_backend_error *error = new_error();
    struct persist_backend_begin_result *result = box_open(sizeof(*result));
    int32_t rc =
        t->suite->ops->upload_begin(t->store, &t->call, &args, result, error);
    check_text(t, "upload_begin", result->upload_id, sizeof(result->upload_id),
               "upload_id has no NUL");
    result->upload_id[sizeof(result->upload_id) - 1] = '\0';
    memcpy(out_id, result->upload_id, sizeof(result->upload_id));
    box_check(t, "upload_begin", result, sizeof(*result));
    free(result);
    answered(t, "upload_begin", rc, error);
    return rc;
}

int32_t op_part(struct test *t, const struct persist_backend_part_args *args,
                struct persist_backend_part_result *out)
{
    struct persist_backend_error *error = new_error();
    struct persist_backend_part_result *result = box_open(sizeof(*result));
    int32_t rc =
        t->suite->ops->upload_part(t->store, &t->call, args, result, error);
    if (result->receipt_len > sizeof(result->receipt)) {
        note(t->suite, t->suite->observed.bad_write, "upload_part",
             "a receipt longer than its buffer");
        result->receipt_len = 0;
    }
    box_check(t, "upload_part", result, sizeof(*result));
    if (out)
        *out = *result;
    free(result);
    answered(t, "upload_part", rc, error);
    return rc;
}

int32_t op_commit(struct test *t,
                  const struct persist_backend_commit_args *args)
{
    struct persist_backend_error *error = new_error();
    struct persist_backend_commit_result *result = box_open(sizeof(*result));
    int32_t rc =
        t->suite->ops->upload_commit(t->store, &t->call, args, result, error);
    check_text(t, "upload_commit", result->etag, sizeof(result->etag),
               "etag has no NUL");
    box_check(t, "upload_commit", result, sizeof(*result));
    free(result);
    answered(t, "upload_commit", rc, error);
    return rc;
}

int32_t op_abort(struct test *t, const char *key, const char *id)
{
    struct persist_backend_abort_args args = {
        .struct_size = sizeof(args), .key = key, .upload_id = id};
    struct persist_backend_error *error = new_error();
    int32_t rc = t->suite->ops->upload_abort(t->store, &t->call, &args, error);
    answered(t, "upload_abort", rc, error);
    return rc;
}

/* ---------------------------------------------------------- ops that emit */

struct emit_ctx {
    struct test *test;
    struct listing *listing;
    pthread_t thread;
    bool over; /* the op has returned, or was told to stop */
    uint32_t n;
};

/* key: of what is emitted. */
static void emit_check(struct emit_ctx *c, const char *op, const char *key)
{
    struct suite *s = c->test->suite;
    if (!pthread_equal(c->thread, pthread_self()))
        note(s, s->observed.bad_emit, op, "emit on another thread");
    if (c->over)
        note(s, s->observed.bad_emit, op, "emit after it was told to stop");
    if (!key)
        note(s, s->observed.bad_emit, op, "emit without a key");
    c->n++;
}

/* Of item all but the key is kept as it is. */
static int32_t keep(struct emit_ctx *c, const char *key, struct listed item)
{
    struct listing *l = c->listing;
    struct listed *grown = realloc(l->items, (l->n + 1) * sizeof(*grown));
    if (!grown)
        exit(2);
    l->items = grown;
    item.key = strdup(key ? key : "");
    grown[l->n++] = item;
    l->n_emitted++;
    c->over = l->stop_after && l->n >= l->stop_after;
    return c->over;
}

static int32_t emit_entry(void *ctx, const struct persist_backend_entry *e)
{
    struct emit_ctx *c = ctx;
    emit_check(c, "list", e->key);
    return keep(
        c, e->key,
        (struct listed){.size = e->size,
                        .modified_us = e->modified_us,
                        .flags = e->flags,
                        .has_modified =
                            (e->present & PERSIST_BACKEND_HAS_MODIFIED) != 0});
}

int32_t op_list(struct test *t, const struct list_query *q, struct listing *out)
{
    struct emit_ctx ctx = {.test = t, .listing = out, .thread = pthread_self()};
    struct persist_backend_list_args args = {
        .struct_size = sizeof(args),
        .limit = q->limit ? q->limit : 1000,
        .prefix = q->prefix,
        .start_after = q->start_after ? q->start_after : "",
        .delimiter = q->delimiter ? q->delimiter : "",
        .emit = emit_entry,
        .emit_ctx = &ctx,
    };
    struct persist_backend_error *error = new_error();
    struct persist_backend_list_result *result = box_open(sizeof(*result));
    int32_t rc = t->suite->ops->list(t->store, &t->call, &args, result, error);
    out->more = result->more != 0;
    box_check(t, "list", result, sizeof(*result));
    free(result);
    answered(t, "list", rc, error);
    return rc;
}

static int32_t emit_upload(void *ctx, const struct persist_backend_upload *u)
{
    struct emit_ctx *c = ctx;
    emit_check(c, "list_uploads", u->key);
    if (!u->upload_id)
        note(c->test->suite, c->test->suite->observed.bad_emit, "list_uploads",
             "emit without an upload id");
    return keep(
        c, u->key,
        (struct listed){.size = u->size,
                        .modified_us = u->modified_us,
                        .has_modified =
                            (u->present & PERSIST_BACKEND_HAS_MODIFIED) != 0});
}

int32_t op_list_uploads(struct test *t, const char *prefix, struct listing *out)
{
    struct emit_ctx ctx = {.test = t, .listing = out, .thread = pthread_self()};
    struct persist_backend_list_uploads_args args = {
        .struct_size = sizeof(args),
        .prefix = prefix,
        .emit = emit_upload,
        .emit_ctx = &ctx,
    };
    struct persist_backend_error *error = new_error();
    struct persist_backend_list_uploads_result *result =
        box_open(sizeof(*result));
    int32_t rc =
        t->suite->ops->list_uploads(t->store, &t->call, &args, result, error);
    box_check(t, "list_uploads", result, sizeof(*result));
    free(result);
    answered(t, "list_uploads", rc, error);
    return rc;
}

void listing_finish(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].key);
    free(l->items);
    memset(l, 0, sizeof(*l));
}

static int32_t emit_finding(void *ctx, const struct persist_backend_finding *f)
{
    struct emit_ctx *c = ctx;
    emit_check(c, "probe", "");
    if (f->verdict > PERSIST_BACKEND_FINDING_FAIL || !f->name || !f->value)
        note(c->test->suite, c->test->suite->observed.bad_emit, "probe",
             "a finding without a name, a value or a known verdict");
    return 0;
}

int32_t op_probe(struct test *t, uint32_t *out_n)
{
    struct emit_ctx ctx = {.test = t, .thread = pthread_self()};
    struct persist_backend_probe_args args = {
        .struct_size = sizeof(args), .emit = emit_finding, .emit_ctx = &ctx};
    struct persist_backend_error *error = new_error();
    struct persist_backend_probe_result *result = box_open(sizeof(*result));
    int32_t rc = t->suite->ops->probe(t->store, &t->call, &args, result, error);
    *out_n = ctx.n;
    box_check(t, "probe", result, sizeof(*result));
    free(result);
    answered(t, "probe", rc, error);
    return rc;
}
