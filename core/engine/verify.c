/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying one snapshot: transfer/ reads and checks every byte, this finds it
 * and checks that it lies where it belongs.
 */
#include "engine/open.h"

struct verify_look {
    struct persist_store *store;
    struct persist_op *op;
    const struct target *target;
    const struct place *place;
    struct persist_metadata *metadata;
};

static int on_header(void *ctx, const struct persist_metadata *m,
                     struct persist_error *err)
{
    const struct verify_look *l = ctx;

    return open_check_identity(l->target, l->place->index, m, err);
}

static int look(void *ctx, const struct place *place,
                enum download_kind *out_kind, struct persist_error *err)
{
    struct verify_look *l = ctx;
    const struct download_request request = {
        .store = l->store->backend,
        .op = l->op,
        .cpu = l->store->p->cpu,
        .io = l->store->p->io,
        .key = place->key,
    };

    l->place = place;
    return download_verify(&request, on_header, l, out_kind, &l->metadata, err);
}

int persist_verify(struct persist_store *store, const char *address,
                   const struct persist_verify_options *options,
                   struct persist_metadata **out_metadata,
                   struct persist_error *err)
{
    struct verify_look l = {.store = store};
    struct persist_verify_options o;
    struct engine_call call;
    struct target target;
    struct place place;

    if (out_metadata)
        *out_metadata = NULL;
    int rc = engine_options(&o, sizeof(o), options, err);
    if (rc == PERSIST_OK)
        rc = engine_flags(o.flags, 0, err);
    if (rc == PERSIST_OK)
        rc = engine_begin(store, OPERATION_VERIFY, o.op, o.timeout_ms, &call,
                          &l.op, err);
    if (rc != PERSIST_OK)
        return rc;
    l.target = &target;
    rc = target_parse(store, address, &target, err);
    if (rc == PERSIST_OK)
        rc = open_find(store, l.op, &target, look, &l, &place, err);
    if (rc == PERSIST_OK)
        engine_call_object(&call, place.key);
    if (rc == PERSIST_OK && out_metadata) {
        *out_metadata = l.metadata;
        l.metadata = NULL;
    }
    persist_metadata_free(l.metadata);
    engine_end(&call, rc);
    return rc;
}
