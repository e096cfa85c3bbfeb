/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an address names a live snapshot.  Looks at sizes and marks, never
 * into a snapshot: a damaged one exists, and verify says what is wrong with it.
 */
#include "engine/open.h"

struct look_there {
    struct persist_store *store;
    struct persist_op *op;
};

static int look(void *ctx, const struct place *place,
                enum download_kind *out_kind, struct persist_error *err)
{
    const struct look_there *l = ctx;

    return download_peek(l->store->backend, l->op, place->key, out_kind, err);
}

/* The listing that finds the latest says that it is there. */
static int find(struct look_there *l, const struct target *t,
                struct persist_error *err)
{
    struct index_state state;
    struct place place;

    if (t->has_index)
        return open_find(l->store, l->op, t, look, l, &place, err);
    return target_latest(l->store, l->op, t, &state, place.key, err);
}

int persist_exists(struct persist_store *store, const char *address,
                   int *out_exists, struct persist_error *err)
{
    struct look_there l = {.store = store};
    struct persist_error why = {0};
    struct engine_call call;
    struct target target;

    if (!out_exists)
        return error_set(err, PERSIST_E_MISUSE, "out_exists is NULL");
    int rc = engine_begin(store, OPERATION_EXISTS, NULL, 0, &call, &l.op, err);
    if (rc != PERSIST_OK)
        return rc;
    rc = target_parse(store, address, &target, &why);
    if (rc == PERSIST_OK)
        rc = find(&l, &target, &why);
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_FOUND)
        *out_exists = rc == PERSIST_OK;
    if (rc == PERSIST_E_NOT_FOUND)
        rc = PERSIST_OK;
    engine_end(&call, rc);
    if (rc != PERSIST_OK && err)
        *err = why;
    return rc;
}
