/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session already holds of Persist 0.1: the labels `imported.id` of its
 * live snapshots and their content hashes.  Read once, then kept up to date by
 * whoever imports.
 *
 * Both together are one snapshot: 0.1 took the id from metadata its caller
 * made, and who used those for many saves has many snapshots of one id.
 */
#ifndef PERSIST_ENGINE_IMPORT_SEEN_H
#define PERSIST_ENGINE_IMPORT_SEEN_H

#include "engine/target.h"

#define IMPORT_LABEL_ID "imported.id"
#define IMPORT_HASH_CAP 65 /* SHA-256 in hex */

struct import_seen_id {
    char *id; /* NULL: a free slot */
    char content_hash[IMPORT_HASH_CAP];
    uint64_t index;
};

struct import_seen {
    struct import_seen_id *slots; /* open addressing */
    size_t n_slots;               /* 0 or a power of two */
    size_t n_ids;
    uint64_t next; /* highest index of any kind + 1 */
};

/* Reads a session (t has none of the index fields set); zeroed on failure. A
 * session that is not there is an empty one.  Snapshots that cannot be read are
 * passed over and logged: importing one again loses nothing. */
int import_seen_read(struct import_seen *seen, struct persist_store *store,
                     struct persist_op *op, const struct target *t,
                     struct persist_error *err);
void import_seen_finish(struct import_seen *seen);

bool import_seen_find(const struct import_seen *seen, const char *id,
                      const char *content_hash, uint64_t *out_index);
int import_seen_add(struct import_seen *seen, const char *id,
                    const char *content_hash, uint64_t index,
                    struct persist_error *err);

#endif
