/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting one snapshot: a tombstone takes its place, then its data goes
 * (snapshot-format.md, "Keys, and who owns an index").
 *
 * A damaged snapshot can be deleted too, or nobody could get rid of it; its
 * tombstone then carries the nil id.  Directories stay.
 */
#include "engine/instance.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "engine/identity.h"
#include "engine/owner.h"
#include "format/metadata.h"
#include "util/error.h"
#include "util/text.h"

#define NIL_ID "00000000-0000-0000-0000-000000000000"

struct deleting {
    struct persist_store *store;
    struct persist_op *op;
    struct target target;
    uint64_t index;
    bool dry_run;
    char id[TEXT_UUID_LEN];
    struct owner_delete machine;
    int failure; /* of the request that ended it */
    struct persist_error last;
};

/* ------------------------------------------------------------------ requests
 */

static int has_data(struct deleting *d, bool *out, struct persist_error *err)
{
    struct backend_head_answer head;
    char key[KEY_CAP];
    int rc;

    key_format(d->target.prefix, d->index, KEY_DATA, key);
    rc = backend_head(d->store->backend, d->op, key, &head, err);
    *out = !rc;
    return rc == PERSIST_E_NOT_FOUND ? PERSIST_OK : rc;
}

static enum owner_found what_is_there(enum identity_kind kind, bool data)
{
    switch (kind) {
    case IDENTITY_SNAPSHOT:
    case IDENTITY_DAMAGED:
        return OWNER_LIVE;
    case IDENTITY_CLAIM:
        return data ? OWNER_LIVE : OWNER_BARE;
    case IDENTITY_TOMBSTONE:
        return OWNER_TOMBSTONED;
    default:
        /* Data that lost its claim: damage, which can be deleted. */
        return data ? OWNER_LIVE : OWNER_NOTHING;
    }
}

static int look(struct deleting *d, struct owner_answer *a,
                struct persist_error *err)
{
    struct identity identity;
    char key[KEY_CAP];
    int rc;

    key_format(d->target.prefix, d->index, KEY_SNAP, key);
    rc = identity_read(d->store, d->op, key, false, &identity, err);
    if (!rc && identity.kind != IDENTITY_SNAPSHOT)
        rc = has_data(d, &a->has_data, err);
    if (rc)
        return rc;
    memcpy(d->id, identity.id[0] ? identity.id : NIL_ID, sizeof d->id);
    a->found = what_is_there(identity.kind, a->has_data);
    return PERSIST_OK;
}

static int put_tombstone(struct deleting *d, struct persist_error *err)
{
    struct backend_put put = {.len = TOMBSTONE_LEN};
    char key[KEY_CAP], tombstone[TOMBSTONE_LEN];
    struct marker marker = {{0}, {0}, {0}};

    key_format(d->target.prefix, d->index, KEY_SNAP, key);
    memcpy(marker.snapshot_id, d->id, sizeof d->id);
    text_from_time(clock_wall_us(d->store->p->clock), marker.time);
    if (gethostname(marker.host, sizeof marker.host - 1))
        marker.host[0] = '\0';
    tombstone_encode(&marker, tombstone);
    put.key = key;
    put.data = tombstone;
    return backend_put(d->store->backend, d->op, &put, NULL, err);
}

static int delete_data(struct deleting *d, struct persist_error *err)
{
    char key[KEY_CAP];

    key_format(d->target.prefix, d->index, KEY_DATA, key);
    return backend_delete(d->store->backend, d->op, key, NULL, err);
}

static void step(struct deleting *d, const struct owner_request *r,
                 struct owner_answer *a)
{
    struct persist_error err = {0};
    int rc;

    if (r->verb == OWNER_LOOK)
        rc = look(d, a, &err);
    else if (r->verb == OWNER_PUT_TOMBSTONE)
        rc = put_tombstone(d, &err);
    else
        rc = delete_data(d, &err);
    a->reply = rc == PERSIST_OK              ? OWNER_OK
               : rc == PERSIST_E_UNCERTAIN   ? OWNER_UNCERTAIN
               : rc == PERSIST_E_NOT_DURABLE ? OWNER_NOT_DURABLE
                                             : OWNER_FAILED;
    if (!rc)
        return;
    d->failure = rc;
    d->last = err;
}

/* ------------------------------------------------------------ how it ended
 */

static int not_found(const struct deleting *d, const char *text,
                     struct persist_error *err)
{
    char address[TARGET_TEXT_CAP];

    target_text(&d->target, &d->index, address);
    error_set(err, PERSIST_E_NOT_FOUND, "%s %s", address, text);
    error_object(err, "%s", address);
    return PERSIST_E_NOT_FOUND;
}

static int fail_with_last(const struct deleting *d, const char *prefix,
                          struct persist_error *err)
{
    if (err)
        *err = d->last;
    if (prefix)
        error_prefix(err, "%s", prefix);
    return d->failure;
}

static int conclude(const struct deleting *d, bool bare,
                    struct persist_error *err)
{
    char key[KEY_CAP];

    switch (d->machine.result) {
    case OWNER_DELETED:
        return PERSIST_OK;
    case OWNER_WAS_DELETED:
        return not_found(d, "was deleted before", err);
    case OWNER_ABSENT:
        return not_found(d,
                         bare ? "is not finished: its save is running, or died"
                              : "does not exist",
                         err);
    case OWNER_DATA_REMAINS:
        return fail_with_last(d, "deleted, but its data could not be removed",
                              err);
    case OWNER_UNRESOLVED:
        fail_with_last(d, "it is not known whether the delete has happened",
                       err);
        key_format(d->target.prefix, d->index, KEY_SNAP, key);
        error_object(err, "%s", key);
        error_hint(err, "delete it again");
        if (err)
            err->status = PERSIST_E_UNCERTAIN;
        return PERSIST_E_UNCERTAIN;
    default:
        return fail_with_last(d, NULL, err);
    }
}

/* ------------------------------------------------------------------ one call
 */

static int run(struct deleting *d, struct persist_error *err)
{
    struct owner_request r;
    bool bare = false;

    owner_delete_init(&d->machine, d->index, OWNER_RULES_ALL);
    while (owner_delete_next(&d->machine, &r)) {
        struct owner_answer a = {0};

        if (d->dry_run && r.verb == OWNER_PUT_TOMBSTONE)
            return PERSIST_OK;
        if (d->dry_run && r.verb == OWNER_DELETE_DATA)
            return not_found(d, "was deleted before", err);
        step(d, &r, &a);
        bare |= a.found == OWNER_BARE;
        owner_delete_feed(&d->machine, &a);
    }
    return conclude(d, bare, err);
}

static int locate(struct deleting *d, const char *address,
                  struct persist_error *err)
{
    struct index_state state;
    char key[KEY_CAP];
    int rc;

    rc = target_parse(d->store, address, &d->target, err);
    if (rc)
        return rc;
    d->index = d->target.index;
    if (d->target.has_index)
        return PERSIST_OK;
    if (!(d->target.address.present & PERSIST_ADDRESS_LATEST)) {
        error_set(err, PERSIST_E_INVALID,
                  "\"%.200s\" names a whole session: only one snapshot is "
                  "deleted at a time",
                  address);
        error_hint(err, "write @INDEX or @latest behind it");
        return PERSIST_E_INVALID;
    }
    rc = target_latest(d->store, d->op, &d->target, &state, key, err);
    d->index = state.index;
    return rc;
}

static int delete_begun(struct deleting *d, const char *address,
                        uint64_t *out_index, struct persist_error *err)
{
    int rc;

    rc = locate(d, address, err);
    if (!rc && !d->dry_run)
        rc = backend_store_check_writable(d->store->backend, d->op, err);
    if (!rc)
        rc = run(d, err);
    if ((!rc || rc == PERSIST_E_NOT_DURABLE) && out_index)
        *out_index = d->index;
    return rc;
}

int persist_delete(struct persist_store *store, const char *address,
                   const struct persist_delete_options *options,
                   uint64_t *out_index, struct persist_error *err)
{
    struct persist_delete_options o;
    struct deleting d = {.store = store};
    struct persist_error own_err = {0};
    struct engine_call call;
    int rc;

    rc = engine_options(&o, sizeof o, options, err);
    if (!rc)
        rc = engine_flags(o.flags, PERSIST_DELETE_DRY_RUN, err);
    if (!rc)
        rc = engine_begin(store, OPERATION_DELETE, o.op, o.timeout_ms, &call,
                          &d.op, err);
    if (rc)
        return rc;
    d.dry_run = o.flags & PERSIST_DELETE_DRY_RUN;
    call.rehearsal = d.dry_run;
    rc = delete_begun(&d, address, out_index, &own_err);
    engine_end(&call, rc);
    if (rc && err)
        *err = own_err;
    return rc;
}
