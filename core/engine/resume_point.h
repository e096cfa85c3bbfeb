/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an interrupted save can be taken up again, and the file that holds it
 * (durability.md, "Cloud writes").
 *
 * The file is one of services/state, "resume/" and a hash of whose it is: the
 * store (its backend and options), the session and the source.  All three stand
 * in it in full and must be equal, so that files that hash alike only make each
 * other start anew.  What it says is no more than a claim: whoever reads it
 * asks the store whose the index is, and skips a part only where its bytes have
 * the same CRC-32C.
 *
 * The upload id can be a bearer secret: it is in no message, and wiped.
 */
#ifndef PERSIST_ENGINE_RESUME_POINT_H
#define PERSIST_ENGINE_RESUME_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/store.h"
#include "engine/key.h"
#include "util/buf.h"
#include "util/text.h"

#define RESUME_KIND "resume"
#define RESUME_NAME_CAP 32
#define BOOT_ID_CAP 40

struct resume_owner {
    struct buf store;     /* backend_store_identity */
    char prefix[KEY_CAP]; /* the session's */
    struct buf source;    /* "file:PATH" or "fd:DEVICE:INODE" */
};

struct resume_point {
    int64_t updated_us; /* wall clock of the last write of the file */
    /* Before the claim, or its last renewal, was sent: by the wall clock, and
     * by CLOCK_BOOTTIME of that boot. */
    int64_t claim_us;
    uint64_t claim_boot_ns;
    char boot_id[BOOT_ID_CAP]; /* "" where there is none */
    uint64_t index;
    bool commit_sent; /* it may have been */
    char snapshot_id[TEXT_UUID_LEN];
    char time[TEXT_TIME_LEN];
    char parent[TEXT_UUID_LEN]; /* or "" */
    /* The source as it was: bytes, and modification time. */
    uint64_t source_size;
    int64_t source_mtime_ns;
    uint64_t part_size;
    struct buf header; /* the snapshot's, byte for byte */
    char upload_id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    struct backend_receipt *receipts;
    size_t n_receipts;
    size_t cap;
};

void resume_owner_init(struct resume_owner *o);
void resume_owner_finish(struct resume_owner *o);
void resume_owner_name(const struct resume_owner *o, char out[RESUME_NAME_CAP]);
bool resume_owner_equal(const struct resume_owner *a,
                        const struct resume_owner *b);

void resume_point_init(struct resume_point *p);
void resume_point_finish(struct resume_point *p); /* wipes */
/* False: memory. */
bool resume_point_add(struct resume_point *p,
                      const struct backend_receipt *receipt);

/* Bytes of the file; false: memory. */
bool resume_encode(const struct resume_owner *o, const struct resume_point *p,
                   struct buf *out);
/* Into initialised structs; false where it is not a file of this version,
 * whatever its bytes. */
bool resume_decode(const void *data, size_t len, struct resume_owner *o,
                   struct resume_point *p);

/* Of this boot of this machine; "" where it does not say. */
void resume_boot_id(char out[BOOT_ID_CAP]);
/* How old the claim is, by the clock that can be believed; UINT64_MAX: nobody
 * knows (the wall clock went back across a restart). */
uint64_t resume_claim_age_ns(const struct resume_point *p,
                             const struct clock *clock);

#endif
