/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the snapshot of an address for reading: locate it, open the object
 * that is it, and see that it says of itself what its key says.
 *
 *     .snap is a snapshot              that is it
 *     .snap is a claim, .data there    .data is it
 *     .snap is a claim alone           NOT_FOUND: not finished
 *     .snap is a tombstone             NOT_FOUND: was deleted
 *     neither                          NOT_FOUND
 *     .data without .snap              CORRUPT
 *
 * Damage is CORRUPT, never NOT_FOUND.  A deletion between locating and opening
 * is met by locating once more.
 */
#ifndef PERSIST_ENGINE_OPEN_H
#define PERSIST_ENGINE_OPEN_H

#include "engine/target.h"
#include "transfer/download.h"

/* One place, found; text is for messages. */
struct place {
    uint64_t index;
    char key[KEY_CAP];          /* of the object that is the snapshot */
    char text[TARGET_TEXT_CAP]; /* AGENT/SESSION@INDEX */
};

/*
 * Finds the object that is the snapshot: `look` is called with each candidate
 * key in turn, says what is there, and keeps what it opened where that is a
 * snapshot.  It may be called again after it answered anything else.
 */
typedef int (*open_look_fn)(void *ctx, const struct place *place,
                            enum download_kind *out_kind,
                            struct persist_error *err);
int open_find(struct persist_store *store, struct persist_op *op,
              const struct target *t, open_look_fn look, void *ctx,
              struct place *out, struct persist_error *err);

/* CORRUPT where m is not the snapshot of this index of this session: an object
 * was swapped or moved. */
int open_check_identity(const struct target *t, uint64_t index,
                        const struct persist_metadata *m,
                        struct persist_error *err);

/* What is wanted of a snapshot; 0: all of it. */
#define OPEN_METADATA 1u /* small reads, no payload */
#define OPEN_RANGE 2u
#define OPEN_SHARES 4u /* download_prepare is to come */

/* The usual look: a download, its identity checked.  how: OPEN_*.  *out is
 * closed with download_close. */
int open_snapshot(struct persist_store *store, struct persist_op *op,
                  const struct target *t, unsigned how, struct place *out_place,
                  struct download **out, struct persist_error *err);

/* Logs why a snapshot was passed over: its key's last part, not its address. */
void open_warn(const struct persist_store *store, const struct place *place,
               const struct persist_error *why);

/* For an answer in the middle of a snapshot: says what it was about, and
 * NOT_FOUND where the snapshot has been deleted meanwhile. */
int open_explain(struct persist_store *store, struct persist_op *op,
                 const struct target *t, const struct place *place, int rc,
                 struct persist_error *err);

#endif
