/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and opening one snapshot; the table in the header is the whole of it.
 *
 * Moves no payload (transfer/) and knows no options (restore.c).
 */
#include "engine/open.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/call.h"

#define TRIES 2 /* a deletion in between is met once */
#define NAMED "snapshot \"%s\""

static int not_found(const struct place *place, const char *what,
                     struct persist_error *err)
{
    error_set(err, PERSIST_E_NOT_FOUND, "snapshot \"%s\" %s", place->text,
              what);
    error_object(err, "%s", place->text);
    return PERSIST_E_NOT_FOUND;
}

static void name_failure(const struct place *place, int rc,
                         struct persist_error *err)
{
    if ((rc != PERSIST_E_CORRUPT && rc != PERSIST_E_UNSUPPORTED) ||
        place->text[0] == '\0') /* not located yet */
        return;
    error_prefix(err, NAMED, place->text);
    if (err && !err->object[0])
        error_object(err, "%s", place->text);
}

/* ------------------------------------------------------------------ finding
 */

struct finder {
    struct persist_store *store;
    struct persist_op *op;
    const struct target *t;
    open_look_fn look;
    void *ctx;
};

/* Nothing at .snap. */
static int absent(const struct finder *f, struct place *place,
                  struct persist_error *err)
{
    char key[KEY_CAP];

    key_format(f->t->prefix, place->index, KEY_DATA, key);
    int rc = target_check_data_alone(f->store, f->op, key, err);
    return rc == PERSIST_OK ? not_found(place, "does not exist", err) : rc;
}

/* A claim was seen and its data is not there; a deletion may have come in
 * between. */
static int unfinished(const struct finder *f, struct place *place,
                      struct persist_error *err)
{
    enum download_kind kind = DOWNLOAD_CLAIM;
    char key[KEY_CAP];

    key_format(f->t->prefix, place->index, KEY_SNAP, key);
    int rc = download_peek(f->store->backend, f->op, key, &kind, err);
    if (rc != PERSIST_OK && rc != PERSIST_E_NOT_FOUND)
        return rc;
    return not_found(place,
                     rc == PERSIST_OK && kind == DOWNLOAD_CLAIM
                         ? "is not finished: its index is only reserved"
                         : "was deleted",
                     err);
}

/* A claim at .snap, or a listing that said so: .data is the snapshot. */
static int look_at_data(const struct finder *f, struct place *place,
                        struct persist_error *err)
{
    enum download_kind kind = DOWNLOAD_SNAPSHOT;

    key_format(f->t->prefix, place->index, KEY_DATA, place->key);
    int rc = f->look(f->ctx, place, &kind, err);
    if (rc == PERSIST_E_NOT_FOUND)
        return unfinished(f, place, err);
    if (rc != PERSIST_OK || kind == DOWNLOAD_SNAPSHOT)
        return rc;
    if (kind == DOWNLOAD_TOMBSTONE)
        return not_found(place, "was deleted", err);
    return error_set(err, PERSIST_E_CORRUPT,
                     "there is a claim where its data should be");
}

static int look_at_snap(const struct finder *f, struct place *place,
                        struct persist_error *err)
{
    enum download_kind kind = DOWNLOAD_SNAPSHOT;
    int rc = f->look(f->ctx, place, &kind, err);

    if (rc == PERSIST_E_NOT_FOUND)
        return absent(f, place, err);
    if (rc != PERSIST_OK || kind == DOWNLOAD_SNAPSHOT)
        return rc;
    if (kind == DOWNLOAD_TOMBSTONE)
        return not_found(place, "was deleted", err);
    return look_at_data(f, place, err);
}

static int find_once(const struct finder *f, struct place *place,
                     struct persist_error *err)
{
    enum key_kind at = KEY_SNAP;
    uint64_t index = 0;
    int rc =
        target_locate(f->store, f->op, f->t, &place->index, place->key, err);

    if (rc != PERSIST_OK)
        return rc;
    target_text(f->t, &place->index, place->text);
    key_parse(f->t->prefix, place->key, &index, &at);
    return at == KEY_DATA ? look_at_data(f, place, err)
                          : look_at_snap(f, place, err);
}

int open_find(struct persist_store *store, struct persist_op *op,
              const struct target *t, open_look_fn look, void *ctx,
              struct place *out, struct persist_error *err)
{
    const struct finder f = {store, op, t, look, ctx};
    int rc = PERSIST_E_INTERNAL;

    for (int i = 0; i < TRIES; i++) {
        *out = (struct place){.index = t->index};
        rc = find_once(&f, out, err);
        /* Where an index was asked for, its absence is the answer; where the
         * latest was, it was there a moment ago. */
        bool again = rc == PERSIST_E_PRECONDITION ||
                     (rc == PERSIST_E_NOT_FOUND && !t->has_index &&
                      out->text[0] != '\0');
        if (!again)
            break;
    }
    name_failure(out, rc, err);
    return rc;
}

/* ------------------------------------------------------------------ opening
 */

int open_check_identity(const struct target *t, uint64_t index,
                        const struct persist_metadata *m,
                        struct persist_error *err)
{
    if (m->agent_id && m->session_id && m->snapshot_index == index &&
        strcmp(m->agent_id, t->address.agent) == 0 &&
        strcmp(m->session_id, t->address.session) == 0)
        return PERSIST_OK;
    error_set(err, PERSIST_E_CORRUPT, "another snapshot lies in its place");
    error_hint(err,
               "it is of agent \"%.80s\", session \"%.80s\", index %" PRIu64,
               m->agent_id ? m->agent_id : "",
               m->session_id ? m->session_id : "", m->snapshot_index);
    return PERSIST_E_CORRUPT;
}

struct look {
    struct persist_store *store;
    struct persist_op *op;
    const struct target *t;
    unsigned how;
    struct download *download;
};

static int look_download(void *ctx, const struct place *place,
                         enum download_kind *out_kind,
                         struct persist_error *err)
{
    struct look *l = ctx;
    const struct download_request request = {
        .store = l->store->backend,
        .op = l->op,
        .cpu = l->store->p->cpu,
        .io = l->store->p->io,
        .key = place->key,
        .metadata_only = (l->how & OPEN_METADATA) != 0,
        .ranged = (l->how & OPEN_RANGE) != 0,
        .shares = (l->how & OPEN_SHARES) != 0,
    };
    int rc = download_open(&request, out_kind, &l->download, err);

    if (rc != PERSIST_OK || !l->download)
        return rc;
    rc = open_check_identity(l->t, place->index, download_metadata(l->download),
                             err);
    if (rc != PERSIST_OK) {
        download_close(l->download);
        l->download = NULL;
    }
    return rc;
}

int open_snapshot(struct persist_store *store, struct persist_op *op,
                  const struct target *t, unsigned how, struct place *out_place,
                  struct download **out, struct persist_error *err)
{
    struct look l = {store, op, t, how, NULL};
    int rc = open_find(store, op, t, look_download, &l, out_place, err);

    *out = l.download;
    return rc;
}

void open_warn(const struct persist_store *store, const struct place *place,
               const struct persist_error *why)
{
    char address[TARGET_TEXT_CAP + 16];
    struct persist_error nameless = *why;
    size_t len;

    snprintf(address, sizeof address, NAMED ": ", place->text);
    len = strlen(address);
    if (strncmp(why->message, address, len) == 0)
        snprintf(nameless.message, sizeof nameless.message, "%s",
                 why->message + len);
    engine_warn(store, "a snapshot cannot be read", place->key, &nameless);
}

int open_explain(struct persist_store *store, struct persist_op *op,
                 const struct target *t, const struct place *place, int rc,
                 struct persist_error *err)
{
    enum download_kind kind = DOWNLOAD_SNAPSHOT;
    char key[KEY_CAP];

    if (rc == PERSIST_E_PRECONDITION || rc == PERSIST_E_NOT_FOUND) {
        key_format(t->prefix, place->index, KEY_SNAP, key);
        if (download_peek(store->backend, op, key, &kind, NULL) == PERSIST_OK &&
            kind == DOWNLOAD_TOMBSTONE)
            return not_found(place, "was deleted while it was read", err);
    }
    name_failure(place, rc, err);
    return rc;
}
