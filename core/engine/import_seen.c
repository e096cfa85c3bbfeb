/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of ids, filled from the headers of a session.  Costs one or two small
 * reads per snapshot of the session, once per import.
 */
#include "engine/import_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/open.h"
#include "util/text.h"

#define FIRST_SLOTS 64
#define SCAN_PAGE 1000

/* ---------------------------------------------------------------------- set
 */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

/* FNV-1a: ids are UUIDs, nobody gains by colliding his own. */
static size_t slot_of(const struct import_seen *seen, const char *id,
                      const char *content_hash)
{
    uint64_t hash =
        hash_text(hash_text(UINT64_C(0xcbf29ce484222325), id), content_hash);
    size_t at = (size_t)hash & (seen->n_slots - 1);

    while (seen->slots[at].id &&
           (strcmp(seen->slots[at].id, id) != 0 ||
            strcmp(seen->slots[at].content_hash, content_hash) != 0))
        at = (at + 1) & (seen->n_slots - 1);
    return at;
}

bool import_seen_find(const struct import_seen *seen, const char *id,
                      const char *content_hash, uint64_t *out_index)
{
    if (seen->n_slots == 0)
        return false;
    const struct import_seen_id *slot =
        &seen->slots[slot_of(seen, id, content_hash)];
    if (!slot->id)
        return false;
    *out_index = slot->index;
    return true;
}

/* At most half of the slots are taken. */
static bool grow(struct import_seen *seen)
{
    struct import_seen larger = *seen;

    if (seen->n_ids * 2 < seen->n_slots)
        return true;
    larger.n_slots = seen->n_slots ? seen->n_slots * 2 : FIRST_SLOTS;
    larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < seen->n_slots; i++) {
        const struct import_seen_id *s = &seen->slots[i];

        if (s->id)
            larger.slots[slot_of(&larger, s->id, s->content_hash)] = *s;
    }
    free(seen->slots);
    *seen = larger;
    return true;
}

int import_seen_add(struct import_seen *seen, const char *id,
                    const char *content_hash, uint64_t index,
                    struct persist_error *err)
{
    if (index >= seen->next)
        seen->next = index + 1;
    if (!grow(seen))
        return error_memory(err);
    struct import_seen_id *slot = &seen->slots[slot_of(seen, id, content_hash)];
    if (!slot->id) {
        slot->id = text_dup(id);
        if (!slot->id)
            return error_memory(err);
        snprintf(slot->content_hash, sizeof(slot->content_hash), "%s",
                 content_hash);
        seen->n_ids++;
    }
    slot->index = index;
    return PERSIST_OK;
}

void import_seen_finish(struct import_seen *seen)
{
    for (size_t i = 0; i < seen->n_slots; i++)
        free(seen->slots[i].id);
    free(seen->slots);
    *seen = (struct import_seen){0};
}

/* --------------------------------------------------------------------- scan
 */

static int note_labels(struct import_seen *seen,
                       const struct persist_metadata *m,
                       struct persist_error *err)
{
    for (size_t i = 0; i < m->n_labels; i++)
        if (strcmp(m->labels[i].key, IMPORT_LABEL_ID) == 0)
            return import_seen_add(seen, m->labels[i].value, m->content_hash,
                                   m->snapshot_index, err);
    return PERSIST_OK;
}

static int read_one(struct import_seen *seen, struct persist_store *store,
                    struct persist_op *op, const struct target *session,
                    uint64_t index, struct persist_error *err)
{
    struct target t = *session;
    struct download *download = NULL;
    struct persist_error why = {0};
    struct place place;

    t.has_index = true;
    t.index = index;
    int rc =
        open_snapshot(store, op, &t, OPEN_METADATA, &place, &download, &why);
    if (rc == PERSIST_OK)
        rc = note_labels(seen, download_metadata(download), &why);
    download_close(download);
    if (rc == PERSIST_E_NOT_FOUND)
        return PERSIST_OK;
    if (rc == PERSIST_E_CORRUPT || rc == PERSIST_E_UNSUPPORTED) {
        open_warn(store, &place, &why);
        return PERSIST_OK;
    }
    if (rc != PERSIST_OK && err)
        *err = why;
    return rc;
}

int import_seen_read(struct import_seen *seen, struct persist_store *store,
                     struct persist_op *op, const struct target *t,
                     struct persist_error *err)
{
    struct session_walk *walk = NULL;
    struct index_state state;

    *seen = (struct import_seen){0};
    int rc = session_walk_open(store, op, t->prefix, SCAN_PAGE, &walk, err);
    while (rc == PERSIST_OK &&
           (rc = session_walk_next(walk, &state, err)) == 1) {
        if (state.index >= seen->next)
            seen->next = state.index + 1;
        enum index_kind kind = index_state_kind(&state);
        rc = PERSIST_OK;
        if (kind == INDEX_SNAPSHOT || kind == INDEX_SNAPSHOT_DATA)
            rc = read_one(seen, store, op, t, state.index, err);
    }
    session_walk_close(walk);
    if (rc != PERSIST_OK)
        import_seen_finish(seen);
    return rc;
}
