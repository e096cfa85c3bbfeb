/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a session's indices, newest first.
 *
 * The keys of an index lie side by side (`.data` before `.snap`), so joining
 * them takes one index of look-ahead and no memory.  The first request is small
 * because most walks stop at the first live snapshot; a walk that goes on past
 * it is asked for again from there with full pages.
 *
 * Reads no object: what an index holds is judged by sizes alone (target.c looks
 * closer where that matters).
 */
#include "engine/target.h"

#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"

#define FULL_PAGE 1000

struct session_walk {
    struct persist_store *store;
    struct persist_op *op;
    struct backend_list *list;
    char prefix[KEY_CAP];
    char last_key[KEY_CAP];     /* of ours that was seen */
    uint32_t left_in_page;      /* of the first, small page; 0: past it */
    struct index_state pending; /* the index being put together */
    bool has_pending;
    bool logged_foreign;
};

enum index_kind index_state_kind(const struct index_state *s)
{
    if (!s->has_snap)
        return INDEX_DATA_ALONE;
    if (s->snap_size == TOMBSTONE_LEN)
        return INDEX_TOMBSTONE;
    if (s->snap_size != CLAIM_LEN)
        return INDEX_SNAPSHOT;
    if (!s->has_data)
        return INDEX_CLAIM;
    return s->data_size == TOMBSTONE_LEN ? INDEX_TOMBSTONE
                                         : INDEX_SNAPSHOT_DATA;
}

int session_walk_open(struct persist_store *store, struct persist_op *op,
                      const char *prefix, uint32_t page,
                      struct session_walk **out, struct persist_error *err)
{
    struct session_walk *w = calloc(1, sizeof(*w));
    bool ordered = (backend_store_limits(store->backend)->flags &
                    PERSIST_BACKEND_ORDERED_LISTING) != 0;

    if (!w)
        return error_memory(err);
    w->store = store;
    w->op = op;
    memcpy(w->prefix, prefix, strlen(prefix) + 1);
    /* An unordered store is read whole by the first request: once is enough. */
    w->left_in_page = ordered && page < FULL_PAGE ? page : 0;
    int rc = backend_list_open(store->backend, op, prefix, "", false, page,
                               &w->list, err);
    if (rc != PERSIST_OK) {
        free(w);
        return rc;
    }
    *out = w;
    return PERSIST_OK;
}

static void log_foreign(struct session_walk *w, const char *key)
{
    if (w->logged_foreign)
        return;
    w->logged_foreign = true;
    log_line(w->store->p->log, LOG_WARN,
             "skipping what is not an object of Persist",
             log_text("store", w->store->name),
             log_text("object", log_basename(key)), LOG_END);
}

/* Asks anew, with full pages, behind the last key that was seen. */
static int widen(struct session_walk *w, struct persist_error *err)
{
    struct backend_list *list = NULL;
    int rc = backend_list_open(w->store->backend, w->op, w->prefix, w->last_key,
                               false, FULL_PAGE, &list, err);

    if (rc != PERSIST_OK)
        return rc;
    backend_list_close(w->list);
    w->list = list;
    return PERSIST_OK;
}

/* The next object that is ours: 1, 0 at the end, negative. */
static int next_object(struct session_walk *w, const struct backend_entry **out,
                       uint64_t *out_index, enum key_kind *out_kind,
                       struct persist_error *err)
{
    for (;;) {
        int rc = backend_list_next(w->list, out, err);
        if (rc <= 0)
            return rc;
        const char *key = (*out)->key;
        bool ours = strlen(key) < sizeof(w->last_key) && !(*out)->is_folder &&
                    key_parse(w->prefix, key, out_index, out_kind);
        if (ours) {
            memcpy(w->last_key, key, strlen(key) + 1);
            return 1;
        }
        log_foreign(w, key);
    }
}

static void take(struct index_state *s, const struct backend_entry *e,
                 enum key_kind kind)
{
    if (kind == KEY_SNAP) {
        s->has_snap = true;
        s->snap_size = e->size;
        s->snap_modified_us = e->modified_us;
    } else {
        s->has_data = true;
        s->data_size = e->size;
        s->data_modified_us = e->modified_us;
    }
}

int session_walk_next(struct session_walk *w, struct index_state *out,
                      struct persist_error *err)
{
    const struct backend_entry *entry = NULL;
    enum key_kind kind = KEY_SNAP;
    uint64_t index = 0;
    int rc;

    while ((rc = next_object(w, &entry, &index, &kind, err)) == 1) {
        bool same = w->has_pending && w->pending.index == index;
        bool ready = w->has_pending && !same;
        if (ready)
            *out = w->pending;
        if (!same)
            w->pending =
                (struct index_state){.index = index, .has_modified = true};
        w->has_pending = true;
        w->pending.has_modified &= entry->has_modified;
        take(&w->pending, entry, kind);
        if (w->left_in_page && --w->left_in_page == 0) {
            rc = widen(w, err);
            if (rc != PERSIST_OK)
                return rc;
        }
        if (ready)
            return 1;
    }
    if (rc < 0 || !w->has_pending)
        return rc;
    *out = w->pending;
    w->has_pending = false;
    return 1;
}

void session_walk_close(struct session_walk *w)
{
    if (!w)
        return;
    backend_list_close(w->list);
    free(w);
}
