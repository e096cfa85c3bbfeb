/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multi-part uploads: the parts' rules, their receipts, the commit.
 *
 * Parts come from several threads in any order; receipts are kept under a
 * mutex, by number.  Part sizes, order and repetition across processes are
 * transfer/upload's business: here is only checked that what is sent fits the
 * store's limits and that a commit has every part.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/store_call.h"
#include "util/error.h"
#include "util/text.h"

#define CONTENT_TYPE "application/octet-stream"
/* An abort runs when the operation is over, and must not hang its end. */
#define ABORT_TIMEOUT_MS 10000

struct receipt {
    struct persist_backend_receipt view; /* its receipt pointer is set last */
    uint8_t bytes[PERSIST_BACKEND_RECEIPT_MAX];
};

struct backend_upload {
    struct backend_store *store;
    char *key;
    char *id;
    struct trace_call *trace; /* of the call that began it */
    struct gate gate;         /* parallel_max */
    pthread_mutex_t mutex;
    struct receipt *receipts; /* under mutex, ascending numbers */
    size_t n_receipts;
    size_t cap;
    uint64_t equal_len; /* under mutex: of every part but the last; 0: none */
    struct backend_receipt *known; /* of another process, by number */
    size_t n_known;
    backend_receipt_fn watch;
    void *watch_ctx;
};

/* ------------------------------------------------------------------ begin */

struct begin {
    struct backend_store *store;
    struct persist_backend_begin_args args;
    struct persist_backend_begin_result result;
};

static int32_t attempt_begin(void *ctx, const struct persist_backend_call *call,
                             struct persist_backend_error *error)
{
    struct begin *b = ctx;

    memset(&b->result, 0, sizeof(b->result));
    b->result.struct_size = sizeof(b->result);
    return b->store->plugin->ops.upload_begin(b->store->handle, call, &b->args,
                                              &b->result, error);
}

static struct store_verdict check_begin(void *ctx)
{
    struct begin *b = ctx;

    if (!store_text_ended(b->result.upload_id, sizeof(b->result.upload_id)))
        return store_bug("answered with an endless upload id");
    return store_bug(
        b->result.upload_id[0] ? NULL : "answered with an empty upload id");
}

static struct backend_upload *create(struct backend_store *s, const char *key,
                                     const char *id)
{
    uint32_t parallel = s->limits.parallel_max;
    struct backend_upload *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->store = s;
    u->key = text_dup(key);
    u->id = text_dup(id);
    if (!u->key || !u->id || pthread_mutex_init(&u->mutex, NULL) != 0)
        goto fail;
    if (gate_init(&u->gate, parallel == UINT32_MAX ? 0 : parallel) == 0)
        return u;
    pthread_mutex_destroy(&u->mutex);
fail:
    free(u->key);
    free(u->id);
    free(u);
    return NULL;
}

int backend_upload_begin(struct backend_store *s, struct persist_op *op,
                         const char *key, const uint64_t *expected_size,
                         struct backend_upload **out, struct persist_error *err)
{
    struct begin b = {.store = s};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "upload_begin",
                              .counted_as = METRICS_SAVE,
                              .key = key,
                              .flags = STORE_CALL_WRITE,
                              .ctx = &b,
                              .attempt = attempt_begin,
                              .check = check_begin};
    int rc = store_check_key(s, key, err);

    if (rc != PERSIST_OK)
        return rc;
    b.args = (struct persist_backend_begin_args){
        .struct_size = sizeof(b.args),
        .flags = PERSIST_BACKEND_IF_ABSENT,
        .key = key,
        .present = expected_size ? PERSIST_BACKEND_HAS_SIZE : 0,
        .size = expected_size ? *expected_size : 0,
        .content_type = CONTENT_TYPE,
    };
    if (b.args.size > s->limits.object_max)
        return error_set(err, PERSIST_E_INVALID,
                         "store %s: the object is larger than the store takes",
                         s->name);
    rc = store_call(&call, err);
    if (rc != PERSIST_OK)
        return rc;
    metrics_count_upload(s->uploads, 1);
    *out = create(s, key, b.result.upload_id);
    if (!*out)
        return error_memory(err);
    (*out)->trace = op->trace;
    return PERSIST_OK;
}

static int compare_receipts(const void *a, const void *b)
{
    const struct backend_receipt *left = a, *right = b;

    return (left->number > right->number) - (left->number < right->number);
}

int backend_upload_continue(struct backend_store *s, const char *key,
                            const char *upload_id,
                            const struct backend_receipt *receipts,
                            size_t n_receipts, struct backend_upload **out,
                            struct persist_error *err)
{
    int rc = store_check_key(s, key, err);
    struct backend_upload *u;

    if (rc != PERSIST_OK)
        return rc;
    u = create(s, key, upload_id);
    if (!u)
        return error_memory(err);
    u->known = calloc(n_receipts ? n_receipts : 1, sizeof(*u->known));
    if (!u->known) {
        backend_upload_destroy(u);
        return error_memory(err);
    }
    if (n_receipts)
        memcpy(u->known, receipts, n_receipts * sizeof(*u->known));
    u->n_known = n_receipts;
    qsort(u->known, n_receipts, sizeof(*u->known), compare_receipts);
    *out = u;
    return PERSIST_OK;
}

const char *backend_upload_id(const struct backend_upload *u)
{
    return u->id;
}

void backend_upload_watch(struct backend_upload *u, backend_receipt_fn watch,
                          void *ctx)
{
    u->watch = watch;
    u->watch_ctx = ctx;
}

void backend_upload_destroy(struct backend_upload *u)
{
    if (!u)
        return;
    free(u->known);
    gate_finish(&u->gate);
    pthread_mutex_destroy(&u->mutex);
    free(u->receipts);
    free(u->key);
    free(u->id);
    free(u);
}

/* ------------------------------------------------------------------- part */

static const char *wrong_part(const struct persist_backend_limits *l,
                              const struct backend_part *part)
{
    if (part->number == 0 || part->number > l->parts_max)
        return "a part number that the store does not take";
    if (part->len > l->part_max)
        return "a part that is larger than the store takes";
    if (part->len > l->object_max || part->offset > l->object_max - part->len)
        return "an object that is larger than the store takes";
    if (part->len == 0 && (!part->is_last || part->number != 1))
        return "an empty part";
    if (part->is_last)
        return NULL;
    if (part->len < l->part_min)
        return "a part that is smaller than the store takes";
    if (part->len % l->part_align != 0)
        return "a part whose length the store's alignment does not allow";
    return NULL;
}

static int check_part(struct backend_upload *u, const struct backend_part *part,
                      struct persist_error *err)
{
    const struct persist_backend_limits *l = &u->store->limits;
    const char *wrong = wrong_part(l, part);

    if (!wrong && (l->flags & PERSIST_BACKEND_EQUAL_PARTS) && !part->is_last) {
        pthread_mutex_lock(&u->mutex);
        if (u->equal_len == 0)
            u->equal_len = part->len;
        if (u->equal_len != part->len)
            wrong = "a part of another length than those before";
        pthread_mutex_unlock(&u->mutex);
    }
    if (!wrong)
        return PERSIST_OK;
    error_set(err, PERSIST_E_INVALID, "store %s: %s", u->store->name, wrong);
    error_object(err, "%s", u->key);
    return PERSIST_E_INVALID;
}

struct part {
    struct backend_store *store;
    struct persist_backend_part_args args;
    struct persist_backend_part_result result;
};

static int32_t attempt_part(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct part *p = ctx;

    memset(&p->result, 0, sizeof(p->result));
    p->result.struct_size = sizeof(p->result);
    return p->store->plugin->ops.upload_part(p->store->handle, call, &p->args,
                                             &p->result, error);
}

static struct store_verdict check_receipt(void *ctx)
{
    const struct part *p = ctx;

    return store_bug(p->result.receipt_len <= PERSIST_BACKEND_RECEIPT_MAX
                         ? NULL
                         : "answered with a receipt that is too long");
}

/* Where the number stands or belongs: receipts are few and mostly come in
 * order, so the search starts at the end. */
static size_t find_slot(const struct backend_upload *u, uint32_t number)
{
    size_t i = u->n_receipts;

    while (i > 0 && u->receipts[i - 1].view.number >= number)
        i--;
    return i;
}

static bool make_room(struct backend_upload *u, size_t at, uint32_t number)
{
    if (at < u->n_receipts && u->receipts[at].view.number == number)
        return true;
    if (u->n_receipts == u->cap) {
        size_t cap = u->cap ? u->cap * 2 : 16;
        struct receipt *grown = realloc(u->receipts, cap * sizeof(*grown));
        if (!grown)
            return false;
        u->receipts = grown;
        u->cap = cap;
    }
    memmove(&u->receipts[at + 1], &u->receipts[at],
            (u->n_receipts - at) * sizeof(*u->receipts));
    u->n_receipts++;
    return true;
}

static int keep_receipt(struct backend_upload *u, const struct part *p,
                        struct persist_error *err)
{
    int rc = PERSIST_OK;

    pthread_mutex_lock(&u->mutex);
    size_t at = find_slot(u, p->args.number);
    if (make_room(u, at, p->args.number)) {
        struct receipt *r = &u->receipts[at];
        r->view = (struct persist_backend_receipt){
            .offset = p->args.offset,
            .len = p->args.len,
            .number = p->args.number,
            .crc32c = p->args.crc32c,
            .receipt_len = p->result.receipt_len,
        };
        memcpy(r->bytes, p->result.receipt, sizeof(r->bytes));
    } else {
        rc = error_memory(err);
    }
    pthread_mutex_unlock(&u->mutex);
    return rc;
}

static const struct backend_receipt *find_known(const struct backend_upload *u,
                                                const struct backend_part *part)
{
    const struct backend_receipt key = {.number = part->number};

    if (!u->n_known || part->is_last)
        return NULL;
    return bsearch(&key, u->known, u->n_known, sizeof(key), compare_receipts);
}

/* Sent by the process before this one, with these bytes? */
static int take_known(struct backend_upload *u,
                      const struct backend_receipt *known, struct part *p,
                      struct persist_error *err)
{
    if (known->offset != p->args.offset || known->len != p->args.len ||
        known->crc32c != p->args.crc32c) {
        error_set(err, PERSIST_E_PRECONDITION,
                  "upload_part: part %u is not what it was when it was sent",
                  (unsigned)known->number);
        error_object(err, "%s", u->key);
        return PERSIST_E_PRECONDITION;
    }
    p->result.receipt_len = known->receipt_len;
    memcpy(p->result.receipt, known->receipt, sizeof(known->receipt));
    return keep_receipt(u, p, err);
}

static void tell(const struct backend_upload *u, const struct part *p)
{
    struct backend_receipt receipt = {
        .offset = p->args.offset,
        .len = p->args.len,
        .number = p->args.number,
        .crc32c = p->args.crc32c,
        .receipt_len = p->result.receipt_len,
    };

    if (!u->watch)
        return;
    memcpy(receipt.receipt, p->result.receipt, sizeof(receipt.receipt));
    u->watch(u->watch_ctx, &receipt);
}

int backend_upload_part(struct backend_upload *u, struct persist_op *op,
                        const struct backend_part *part,
                        struct persist_error *err)
{
    struct part p = {.store = u->store};
    struct store_call call = {.store = u->store,
                              .op = op,
                              .what = "upload_part",
                              .counted_as = METRICS_SAVE,
                              .key = u->key,
                              .flags = STORE_CALL_WRITE,
                              .gate = &u->gate,
                              .sends = part->len,
                              .ctx = &p,
                              .attempt = attempt_part,
                              .check = check_receipt};
    int rc = check_part(u, part, err);

    if (rc != PERSIST_OK)
        return rc;
    p.args = (struct persist_backend_part_args){
        .struct_size = sizeof(p.args),
        .is_last = part->is_last,
        .key = u->key,
        .upload_id = u->id,
        .offset = part->offset,
        .data = part->data,
        .len = part->len,
        .number = part->number,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = part->crc32c,
    };
    const struct backend_receipt *known = find_known(u, part);
    if (known)
        return take_known(u, known, &p, err);
    rc = store_call(&call, err);
    if (rc == PERSIST_OK)
        rc = keep_receipt(u, &p, err);
    if (rc == PERSIST_OK)
        tell(u, &p);
    return rc;
}

/* ----------------------------------------------------------------- commit */

struct commit {
    struct backend_store *store;
    struct persist_backend_commit_args args;
    struct persist_backend_commit_result result;
};

static int32_t attempt_commit(void *ctx,
                              const struct persist_backend_call *call,
                              struct persist_backend_error *error)
{
    struct commit *c = ctx;

    c->result = (struct persist_backend_commit_result){.struct_size =
                                                           sizeof(c->result)};
    return c->store->plugin->ops.upload_commit(c->store->handle, call, &c->args,
                                               &c->result, error);
}

static struct store_verdict check_commit(void *ctx)
{
    struct commit *c = ctx;

    return store_check_etag(c->result.etag);
}

/* Parts 1, 2, ... that follow each other without a gap and end at size. */
static bool is_whole(const struct backend_upload *u, uint64_t size)
{
    uint64_t end = 0;

    for (size_t i = 0; i < u->n_receipts; i++) {
        const struct persist_backend_receipt *r = &u->receipts[i].view;
        if (r->number != i + 1 || r->offset != end)
            return false;
        end += r->len;
    }
    return u->n_receipts > 0 && end == size;
}

static struct persist_backend_receipt *
collect_receipts(struct backend_upload *u)
{
    struct persist_backend_receipt *all = calloc(u->n_receipts, sizeof(*all));

    for (size_t i = 0; all && i < u->n_receipts; i++) {
        all[i] = u->receipts[i].view;
        all[i].receipt = u->receipts[i].bytes;
    }
    return all;
}

int backend_upload_commit(struct backend_upload *u, struct persist_op *op,
                          uint64_t size, uint32_t crc32c, bool *out_maybe,
                          struct persist_error *err)
{
    struct commit c = {.store = u->store};
    struct store_call call = {.store = u->store,
                              .op = op,
                              .what = "upload_commit",
                              .counted_as = METRICS_SAVE,
                              .key = u->key,
                              .flags = STORE_CALL_WRITE | STORE_CALL_IF_ABSENT |
                                       STORE_CALL_COMMIT,
                              .ctx = &c,
                              .attempt = attempt_commit,
                              .check = check_commit};
    struct persist_backend_receipt *receipts = NULL;
    int rc;

    if (out_maybe)
        *out_maybe = false;
    if (!is_whole(u, size))
        return error_set(err, PERSIST_E_INTERNAL,
                         "upload_commit: parts are missing");
    receipts = collect_receipts(u);
    if (!receipts)
        return error_memory(err);
    c.args = (struct persist_backend_commit_args){
        .struct_size = sizeof(c.args),
        .flags = PERSIST_BACKEND_IF_ABSENT,
        .key = u->key,
        .upload_id = u->id,
        .receipts = receipts,
        .n_receipts = (uint32_t)u->n_receipts,
        .receipt_size = sizeof(*receipts),
        .present = PERSIST_BACKEND_HAS_CRC32C | PERSIST_BACKEND_HAS_SIZE,
        .crc32c = crc32c,
        .size = size,
    };
    rc = store_call(&call, err);
    if (out_maybe)
        *out_maybe = call.maybe;
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_DURABLE)
        metrics_count_upload(u->store->uploads, -1);
    free(receipts);
    return rc;
}

/* ------------------------------------------------------------------ abort */

struct abort {
    struct backend_store *store;
    struct persist_backend_abort_args args;
};

static int32_t attempt_abort(void *ctx, const struct persist_backend_call *call,
                             struct persist_backend_error *error)
{
    struct abort *a = ctx;

    return a->store->plugin->ops.upload_abort(a->store->handle, call, &a->args,
                                              error);
}

static int abort_id(struct backend_store *s, struct persist_op *op,
                    const char *key, const char *id, unsigned flags,
                    struct persist_error *err)
{
    struct abort a = {
        .store = s,
        .args = {.struct_size = sizeof(struct persist_backend_abort_args),
                 .key = key,
                 .upload_id = id}};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "upload_abort",
                              .counted_as = METRICS_SAVE,
                              .key = key,
                              .flags = STORE_CALL_WRITE | flags,
                              .ctx = &a,
                              .attempt = attempt_abort};

    return store_call(&call, err);
}

/* An op of its own, child of nobody: the caller's may be cancelled, which is
 * why there is something to abort. */
int backend_upload_abort(struct backend_upload *u, struct persist_error *err)
{
    struct persist_op op;
    int rc = op_init(&op, NULL);

    if (rc != 0)
        return error_errno(err, -rc, "upload_abort");
    op_start(&op, u->store->env.clock, ABORT_TIMEOUT_MS);
    op.trace = u->trace;
    rc = abort_id(u->store, &op, u->key, u->id, STORE_CALL_PAST_CANCEL, err);
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_FOUND)
        metrics_count_upload(u->store->uploads, -1);
    op_finish(&op);
    return rc;
}

int backend_remove_leftover(struct backend_store *s, struct persist_op *op,
                            const char *key, const char *upload_id,
                            struct persist_error *err)
{
    return abort_id(s, op, key, upload_id, 0, err);
}
