/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address text to one place in a store, and what lies there.
 */
#ifndef PERSIST_ENGINE_TARGET_H
#define PERSIST_ENGINE_TARGET_H

#include "engine/instance.h"
#include "engine/key.h"

struct target {
    struct persist_address address; /* session filled in */
    char prefix[KEY_CAP];           /* of the session */
    bool has_index;
    uint64_t index;
};

/* Parses an address for this store. INVALID: malformed, without an agent,
 * another store's. */
int target_parse(struct persist_store *store, const char *text,
                 struct target *out, struct persist_error *err);
/* INVALID where the address names another store than this one. */
int target_check_store(struct persist_store *store,
                       const struct persist_address *address,
                       struct persist_error *err);

/* "AGENT/SESSION@INDEX" for messages and rows; without index (NULL)
 * "AGENT/SESSION". */
#define TARGET_TEXT_CAP 576
void target_text(const struct target *t, const uint64_t *index,
                 char out[TARGET_TEXT_CAP]);

/* What a listing says of one index: `.snap` by its size (snapshot, claim,
 * tombstone) and `.data`.  A snapshot is live where there is a tombstone in
 * neither place and either a snapshot-sized .snap or a .data behind a claim. */
struct index_state {
    uint64_t index;
    bool has_snap; /* any object at .snap */
    bool has_data;
    uint64_t snap_size;
    uint64_t data_size;
    int64_t snap_modified_us;
    int64_t data_modified_us;
    bool has_modified;
};
enum index_kind {
    INDEX_SNAPSHOT,      /* .snap is the snapshot */
    INDEX_SNAPSHOT_DATA, /* claim + .data: .data is the snapshot */
    INDEX_CLAIM,         /* claim alone */
    INDEX_TOMBSTONE,     /* tombstone, with or without .data rubbish */
    INDEX_DATA_ALONE     /* .data without .snap: corrupt, or mid-cleanup */
};
enum index_kind index_state_kind(const struct index_state *s);

/* Walks a session newest index first, .data and .snap of an index joined.
 * Foreign names are skipped and logged once; page: see backend_list_open. */
struct session_walk;
int session_walk_open(struct persist_store *store, struct persist_op *op,
                      const char *prefix, uint32_t page,
                      struct session_walk **out, struct persist_error *err);
/* 1: *out is the next index; 0: the end; negative. */
int session_walk_next(struct session_walk *w, struct index_state *out,
                      struct persist_error *err);
void session_walk_close(struct session_walk *w);

/* The latest live index of a session and the key of its snapshot: one listing,
 * and one small read for each claim and tombstone above it, because a snapshot
 * cut to that very size must be found CORRUPT and not passed over. NOT_FOUND
 * says what is missing: the session, or a live snapshot in it. */
int target_latest(struct persist_store *store, struct persist_op *op,
                  const struct target *t, struct index_state *out,
                  char out_key[KEY_CAP], struct persist_error *err);

/* Where the snapshot of a target lies: fills key and index.  Without an index,
 * the latest.  With one: reads nothing; the caller reads .snap and, finding a
 * claim, .data (open.h does it for most). */
int target_locate(struct persist_store *store, struct persist_op *op,
                  const struct target *t, uint64_t *out_index,
                  char out_key[KEY_CAP], struct persist_error *err);

/* A .data was seen and its .snap was not.  Nothing that Persist does leaves it
 * so, but a deletion may have taken both since: OK where it is gone now, else
 * CORRUPT. */
int target_check_data_alone(struct persist_store *store, struct persist_op *op,
                            const char *data_key, struct persist_error *err);

#endif
