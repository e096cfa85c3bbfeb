/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing agents, an agent's sessions, a session's snapshots: three kinds of
 * rows behind one cursor.
 *
 *     agents      folder names alone: ten thousand are ten requests
 *     sessions    folder names, each with its latest, found when it is reached
 *     snapshots   the session walk, newest first; LONG opens each one
 *
 * A row is a live snapshot, or a session that has one.  What a plain listing
 * says of a snapshot it has from sizes alone; a damaged one is a row like any
 * other.  LONG looks into each object, marks too, and says what it found in
 * metadata_status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/open.h"
#include "posix/os.h"

#define FOLDER_PAGE 1000
#define SNAPSHOT_PAGE 1000

struct persist_listing {
    struct persist_store *store;
    struct engine_call call;
    struct persist_op *op;
    bool begun;
    unsigned forks; /* before the first row */
    struct persist_list_options options;
    struct target target; /* agent; session: of the row, or of the listing */
    char prefix[KEY_CAP];
    struct backend_list *folders; /* agents, sessions */
    struct session_walk *walk;    /* snapshots */
    bool logged_foreign;
    uint64_t n_rows; /* given so far */
    bool has_first;  /* entry is the first row, made ready by open */
    int failed;
    struct persist_error why;
    struct persist_entry entry;
    struct persist_metadata *metadata; /* of entry */
    int (*next)(struct persist_listing *l, struct persist_error *err);
};

/* ------------------------------------------------------------------ folders
 */

static void log_foreign(struct persist_listing *l, const char *key)
{
    const char *name = key + strlen(l->prefix); /* a folder's with its slash */

    if (l->logged_foreign || name[0] == '.')
        return;
    l->logged_foreign = true;
    log_line(
        l->store->p->log, LOG_WARN, "skipping what is not a folder of Persist",
        log_text("store", l->store->name), log_text("object", name), LOG_END);
    log_line(l->store->p->log, LOG_DEBUG, "that was", log_text("key", key),
             LOG_END);
}

/* The next folder's raw name: 1, 0, negative. */
static int next_folder(struct persist_listing *l, char out[KEY_NAME_CAP],
                       struct persist_error *err)
{
    const struct backend_entry *e = NULL;
    size_t skip = strlen(l->prefix);
    int rc;

    while ((rc = backend_list_next(l->folders, &e, err)) == 1) {
        size_t len = strlen(e->key);
        if (e->is_folder && len > skip + 1 &&
            key_name_decode(e->key + skip, len - skip - 1, out))
            return 1;
        log_foreign(l, e->key);
    }
    return rc;
}

static int open_folders(struct persist_listing *l, struct persist_error *err)
{
    return backend_list_open(l->store->backend, l->op, l->prefix, "", true,
                             FOLDER_PAGE, &l->folders, err);
}

static int next_agent(struct persist_listing *l, struct persist_error *err)
{
    int rc = next_folder(l, l->target.address.agent, err);

    l->entry.kind = PERSIST_ENTRY_AGENT;
    l->entry.agent = l->target.address.agent;
    return rc;
}

static void note_state(struct persist_entry *e, const struct index_state *s)
{
    bool data = index_state_kind(s) == INDEX_SNAPSHOT_DATA ||
                index_state_kind(s) == INDEX_DATA_ALONE;

    e->index = s->index;
    e->stored_size = data ? s->data_size : s->snap_size;
    e->modified_us = data ? s->data_modified_us : s->snap_modified_us;
    if (s->has_modified)
        e->present |= PERSIST_ENTRY_MODIFIED;
}

/* A session without a live snapshot is passed over; one whose latest cannot be
 * told for damage is a row without it. */
static int next_session(struct persist_listing *l, struct persist_error *err)
{
    struct persist_address *a = &l->target.address;
    struct index_state state;
    char key[KEY_CAP];
    int rc;

    while ((rc = next_folder(l, a->session, err)) == 1) {
        l->entry.kind = PERSIST_ENTRY_SESSION;
        l->entry.agent = a->agent;
        l->entry.session = a->session;
        rc = key_session_prefix(a->agent, a->session, l->target.prefix, err);
        if (rc == PERSIST_OK)
            rc = target_latest(l->store, l->op, &l->target, &state, key, err);
        if (rc == PERSIST_E_NOT_FOUND)
            continue;
        if (rc == PERSIST_E_CORRUPT) {
            l->entry.metadata_status = rc;
            return 1;
        }
        if (rc != PERSIST_OK)
            return rc;
        note_state(&l->entry, &state);
        l->entry.stored_size = 0;
        l->entry.present |= PERSIST_ENTRY_LATEST;
        return 1;
    }
    return rc;
}

/* ---------------------------------------------------------------- snapshots
 */

/* Whether the failure is this snapshot's own, and not the store's. */
static bool is_its_own(int rc)
{
    return rc == PERSIST_E_CORRUPT || rc == PERSIST_E_UNSUPPORTED ||
           rc == PERSIST_E_DENIED;
}

/* LONG: what the snapshot says of itself. 1: a row; 0: it has gone. */
static int read_metadata(struct persist_listing *l, uint64_t index,
                         struct persist_error *err)
{
    struct download *download = NULL;
    struct persist_error why;
    struct place place;

    l->target.has_index = true;
    l->target.index = index;
    int rc = open_snapshot(l->store, l->op, &l->target, OPEN_METADATA, &place,
                           &download, &why);
    if (rc == PERSIST_E_NOT_FOUND)
        return 0;
    if (rc == PERSIST_OK) {
        l->metadata = download_take_metadata(download);
        l->entry.metadata = l->metadata;
    } else if (is_its_own(rc)) {
        l->entry.metadata_status = rc;
        open_warn(l->store, &place, &why);
    } else {
        if (err)
            *err = why;
        return rc;
    }
    download_close(download);
    return 1;
}

static int next_snapshot(struct persist_listing *l, struct persist_error *err)
{
    struct index_state state;
    int rc;

    while ((rc = session_walk_next(l->walk, &state, err)) == 1) {
        enum index_kind kind = index_state_kind(&state);
        bool mark = kind == INDEX_CLAIM || kind == INDEX_TOMBSTONE;
        bool look = (l->options.flags & PERSIST_LIST_LONG) != 0;
        if (mark && !look)
            continue;
        l->entry = (struct persist_entry){
            .struct_size = sizeof(l->entry),
            .kind = PERSIST_ENTRY_SNAPSHOT,
            .agent = l->target.address.agent,
            .session = l->target.address.session,
        };
        note_state(&l->entry, &state);
        rc = look ? read_metadata(l, state.index, err) : 1;
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* ------------------------------------------------------------------- cursor
 */

static int nothing_there(const struct persist_listing *l,
                         struct persist_error *err)
{
    char text[TARGET_TEXT_CAP];
    struct persist_address a = l->target.address;

    a.present &= PERSIST_ADDRESS_AGENT | PERSIST_ADDRESS_SESSION;
    if (persist_address_format(&a, text, sizeof(text), NULL) != PERSIST_OK)
        text[0] = '\0';
    error_set(err, PERSIST_E_NOT_FOUND, "%s \"%s\" has no snapshots",
              l->walk ? "session" : "agent", text);
    error_object(err, "%s", text);
    return PERSIST_E_NOT_FOUND;
}

/* Chooses the kind of rows and begins. */
static int begin(struct persist_listing *l, const char *address,
                 struct persist_error *err)
{
    struct persist_address *a = &l->target.address;
    char name[KEY_NAME_CAP];
    int rc = PERSIST_OK;

    *a = (struct persist_address)PERSIST_ADDRESS_INIT;
    if (address)
        rc = persist_address_parse(address, a, err);
    if (rc == PERSIST_OK)
        rc = target_check_store(l->store, a, err);
    if (rc != PERSIST_OK)
        return rc;
    if (a->present & (PERSIST_ADDRESS_INDEX | PERSIST_ADDRESS_LATEST)) {
        rc = error_set(err, PERSIST_E_INVALID,
                       "address \"%.200s\": a listing takes no index", address);
        error_hint(err, "show tells of one snapshot");
        return rc;
    }
    if (!(a->present & PERSIST_ADDRESS_AGENT)) {
        l->next = next_agent;
        return open_folders(l, err);
    }
    if (a->present & PERSIST_ADDRESS_SESSION) {
        l->next = next_snapshot;
        rc = key_session_prefix(a->agent, a->session, l->target.prefix, err);
        return rc ? rc
                  : session_walk_open(l->store, l->op, l->target.prefix,
                                      SNAPSHOT_PAGE, &l->walk, err);
    }
    l->next = next_session;
    rc = key_name_encode(a->agent, name, err);
    if (rc != PERSIST_OK)
        return rc;
    snprintf(l->prefix, sizeof(l->prefix), "%s/", name);
    return open_folders(l, err);
}

static int advance(struct persist_listing *l, struct persist_error *err)
{
    persist_metadata_free(l->metadata);
    l->metadata = NULL;
    l->entry = (struct persist_entry){.struct_size = sizeof(l->entry)};
    return l->next(l, err);
}

int persist_list(struct persist_store *store, const char *address,
                 const struct persist_list_options *options,
                 struct persist_listing **out, struct persist_error *err)
{
    struct persist_listing *l = NULL;

    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    l = calloc(1, sizeof(*l));
    if (!l)
        return error_memory(err);
    int rc = engine_options(&l->options, sizeof(l->options), options, err);
    if (rc == PERSIST_OK)
        rc = engine_flags(l->options.flags, PERSIST_LIST_LONG, err);
    if (rc == PERSIST_OK)
        rc = engine_begin(store, OPERATION_LIST, l->options.op,
                          l->options.timeout_ms, &l->call, &l->op, err);
    if (rc != PERSIST_OK)
        goto out;
    l->store = store;
    l->begun = true;
    l->forks = os_forks();
    rc = begin(l, address, err);
    if (rc != PERSIST_OK)
        goto out;
    rc = advance(l, err);
    l->has_first = rc == 1;
    if (rc == 0 && l->next != next_agent)
        rc = nothing_there(l, err);
    if (rc < 0)
        goto out;
    *out = l;
    l = NULL;
    rc = PERSIST_OK;
out:
    if (l && rc != PERSIST_OK)
        l->failed = rc;
    persist_listing_close(l);
    return rc;
}

int persist_listing_next(struct persist_listing *listing,
                         const struct persist_entry **out_entry,
                         struct persist_error *err)
{
    struct persist_listing *l = listing;
    int rc = 1;

    if (!l || !out_entry)
        return error_set(err, PERSIST_E_MISUSE,
                         "the listing or out_entry is NULL");
    *out_entry = NULL;
    /* Rows that are here already are not worth a system call each. */
    rc = os_forks() == l->forks ? PERSIST_OK : engine_check(l->store->p, err);
    if (rc != PERSIST_OK)
        return rc;
    if (l->failed == PERSIST_OK && l->options.limit &&
        l->n_rows == l->options.limit)
        return 0;
    rc = l->failed;
    if (rc == PERSIST_OK)
        rc = l->has_first ? 1 : advance(l, &l->why);
    l->has_first = false;
    if (rc == 1) {
        l->n_rows++;
        *out_entry = &l->entry;
    } else if (rc < 0) {
        l->failed = rc;
        if (err)
            *err = l->why;
    }
    return rc;
}

void persist_listing_close(struct persist_listing *listing)
{
    if (!listing || (listing->begun && engine_call_is_forked(&listing->call)))
        return;
    backend_list_close(listing->folders);
    session_walk_close(listing->walk);
    persist_metadata_free(listing->metadata);
    if (listing->begun)
        engine_end(&listing->call, listing->failed);
    free(listing);
}
