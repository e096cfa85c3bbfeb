/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many puts in one request.  The request is repeated like any other; an answer
 * that is an item's own is not: what becomes of that item is the caller's to
 * decide, who has backend_put for one alone.
 */
#include <stdlib.h>

#include "backend/retry.h"
#include "backend/store_call.h"
#include "util/crc32c.h"
#include "util/error.h"

struct many {
    struct backend_store *store;
    struct persist_backend_put_many_args args;
    struct persist_backend_put_many_result result;
};

bool backend_can_put_many(const struct backend_store *s)
{
    return s->plugin->ops.put_many != NULL;
}

static int32_t attempt_many(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct many *m = ctx;

    for (uint32_t i = 0; i < m->args.n_items; i++)
        m->result.statuses[i] = PERSIST_BACKEND_INTERNAL;
    return m->store->plugin->ops.put_many(m->store->handle, call, &m->args,
                                          &m->result, error);
}

static int fill_item(const struct backend_store *s,
                     const struct backend_put *put,
                     struct persist_backend_put_args *out,
                     struct persist_error *err)
{
    int rc = store_check_key(s, put->key, err);

    if (rc != PERSIST_OK)
        return rc;
    if (put->len > s->limits.put_max || put->len > s->limits.object_max)
        return error_set(err, PERSIST_E_INVALID,
                         "store %s: the object is larger than the store takes",
                         s->name);
    *out = (struct persist_backend_put_args){
        .struct_size = sizeof(*out),
        .flags = put->if_absent ? PERSIST_BACKEND_IF_ABSENT : 0,
        .key = put->key,
        .data = put->data,
        .len = put->len,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = crc32c(0, put->data, put->len),
        .content_type = STORE_CONTENT_TYPE,
    };
    return PERSIST_OK;
}

/* An item's answer in the room's terms; what cannot be one is a bug of the
 * backend, after which the object may be there. */
static struct backend_put_answer answer_of(const struct backend_put *put,
                                           int32_t status, bool maybe)
{
    bool known = status <= 0 && status >= PERSIST_BACKEND_INTERNAL &&
                 (put->if_absent || status != PERSIST_BACKEND_EXISTS);
    struct backend_put_answer answer = {
        .status = known ? status : PERSIST_E_INTERNAL, .maybe = maybe};

    answer.maybe |= answer.status == PERSIST_E_INTERNAL ||
                    answer.status == PERSIST_E_TRANSIENT ||
                    answer.status == PERSIST_E_TIMEOUT ||
                    answer.status == PERSIST_E_CANCELLED ||
                    answer.status == PERSIST_E_UNCERTAIN;
    answer.again = retry_repeats(answer.status);
    return answer;
}

int backend_put_many(struct backend_store *s, struct persist_op *op,
                     const struct backend_put *puts, size_t n,
                     struct backend_put_answer *answers,
                     struct persist_error *err)
{
    struct persist_backend_put_args *items = calloc(n, sizeof(*items));
    int32_t *statuses = calloc(n, sizeof(*statuses));
    struct many m = {.store = s};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "put_many",
                              .key = n > 0 ? puts[0].key : "",
                              .flags = STORE_CALL_WRITE,
                              .counted_as = METRICS_SAVE,
                              .ctx = &m,
                              .attempt = attempt_many};
    int rc =
        items && statuses && n <= UINT32_MAX ? PERSIST_OK : error_memory(err);

    for (size_t i = 0; rc == PERSIST_OK && i < n; i++) {
        rc = fill_item(s, &puts[i], &items[i], err);
        call.sends += puts[i].len;
    }
    if (rc == PERSIST_OK) {
        m.args = (struct persist_backend_put_many_args){
            .struct_size = sizeof(m.args),
            .n_items = (uint32_t)n,
            .item_size = sizeof(*items),
            .items = items};
        m.result = (struct persist_backend_put_many_result){
            .struct_size = sizeof(m.result),
            .n_statuses = (uint32_t)n,
            .statuses = statuses};
        rc = store_call(&call, err);
    }
    for (size_t i = 0; i < n; i++)
        answers[i] = rc == PERSIST_OK
                         ? answer_of(&puts[i], statuses[i], call.maybe)
                         : (struct backend_put_answer){.status = rc,
                                                       .maybe = call.maybe};
    free(items);
    free(statuses);
    return rc;
}

int backend_put_answer_error(struct backend_store *s,
                             const struct backend_put *put, int status,
                             struct persist_error *err)
{
    struct store_failure failure = {
        .what = "put", .key = put->key, .status = status, .attempts = 1};

    return store_error_fill(s, &failure, err);
}
