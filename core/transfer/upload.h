/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a payload to an object: frames are cut, hashed, compressed and summed,
 * and become one contiguous put or the parts of an upload.
 *
 *     upload_open(&what, &u, err)            reserves all memory
 *     upload_fill(u, &whole, err)            until the end, or 8 MiB stored
 *     whole:  upload_object(u, m, ...)       header + frames + tail, contiguous
 *     else:   upload_send(u, m, up, ...)     the same bytes as parts
 *     upload_close(u)
 *
 * Where a byte is, whose it is, and who moves it:
 *
 *   source
 *     │ read, one frame at a time         the save's thread, ahead of all else
 *     ▼
 *   lane.in      our memory, a frame each ──▶ SHA-256, in order: CPU executor
 *     │          (a payload in memory is used where it is)
 *     │ encode                            CPU executor, frames in any order
 *     ▼
 *   lane.out     a frame as it is stored  (lane.in again, where the payload
 *     │                                   does not compress: zstd_raw.h)
 *     │ append, CRC-32C while it is hot   the save's thread, in order
 *     │          (of lane.in: taken beside the hash, and so is the copy, to
 *     │          where the frame will lie if no frame before it compresses)
 *     ▼
 *   buffer       [room|frames...|tail]    one is filled, the others fly
 *     │ cut into parts
 *     ▼ store: put, or upload_part        I/O executor, parts in any order
 *   landed       progress, CRC-32C of all the save's thread, in order
 *
 * A frame belongs to its lane until it is appended, its bytes to their buffer
 * until the last part out of it has landed; then each is used again.  Nothing
 * else copies.  (The append is a copy because a frame's place is known only
 * when the one before it is done, or guessed: upload_frames.c, choose_place; it
 * moves stored bytes, and is where the checksums of the part and of the object
 * are made.)  Where there is memory for one lane only, or no executor, the
 * save's thread encodes straight into the buffer; where there is memory for one
 * buffer only, it fills when nothing flies.  Every buffer has its size from the
 * start, so a sink that is slow or stands still makes the source wait and
 * nothing grow.
 *
 *      room      head-room before the first frame: the header goes there last,
 *                right-aligned, because the index it names is known last, and
 *                may be put again with another one while the frames stay
 *
 * How it ends early: a part that fails cancels upload_op, which the other parts
 * and the source run under; the save's thread waits for what is under way and
 * answers with that part's failure.  Cancellation and deadlines come the same
 * way from above.
 *
 * Memory: buffers, lanes, the encoders' own, reserved from the budget in one go
 * before anything is read; where that does not fit now a smaller plan, and
 * where not even the smallest fits it waits holding nothing (upload_plan.c).
 * MEMORY with the least that would do where that is over the limit.  The tail
 * (8 bytes per frame) is not counted.  A payload of known small size reserves
 * little.
 *
 * An upload belongs to one thread at a time; a pool may be shared.
 */
#ifndef PERSIST_TRANSFER_UPLOAD_H
#define PERSIST_TRANSFER_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/store.h"
#include "format/codec.h"
#include "format/metadata.h"
#include "runtime/executor.h"

#define UPLOAD_WHOLE_MAX (UINT32_C(8) << 20) /* bytes stored; one put */

/* Encoders, hashes and small buffers between uploads, so that a save of 4 KiB
 * allocates next to nothing.  Holds at most a few large ones, and as many that
 * served nothing but small payloads as may be in flight; idle ones are not
 * counted against the budget. */
struct upload_pool;
struct upload_pool *upload_pool_create(void); /* NULL: memory */
void upload_pool_destroy(struct upload_pool *pool);

/* Where the payload comes from: memory, or read as in persist_source.  */
struct upload_source {
    const void *data; /* in_memory: size bytes */
    bool in_memory;
    bool has_size; /* exact */
    uint64_t size;
    int (*read)(void *ctx, void *out, size_t cap, size_t *out_len,
                struct persist_error *err);
    void *ctx;
};

struct upload_what {
    struct upload_pool *pool;
    struct backend_store *store;
    struct persist_op *op; /* cancellation, deadline, progress */
    enum codec codec;
    int level;
    uint32_t frame_size;
    size_t header_max;      /* bytes the header may take */
    struct executor *cpu;   /* several frames at once; NULL: one by one */
    struct executor *io;    /* several parts at once; NULL: one by one */
    uint64_t part_size;     /* bytes, of a resumed upload's; 0: chosen */
    uint64_t size_estimate; /* 0: none; used where the size is not known */
};

struct upload;
/* The source is copied; what it points to stays until upload_close. */
int upload_open(const struct upload_what *what,
                const struct upload_source *source, struct upload **out,
                struct persist_error *err);

/* Reads and encodes until the payload ends (*out_whole true) or the object
 * would be longer than one put.  What the source returned; INVALID where it
 * ends earlier or later than it said. */
int upload_fill(struct upload *u, bool *out_whole, struct persist_error *err);

/* The whole object, behind this header; may be called again with another one.
 * m gets its trailer's fields, whose texts live in u. *out lives until the next
 * call. */
int upload_object(struct upload *u, struct persist_metadata *m,
                  const void **out, size_t *out_len, struct persist_error *err);

/* An upper bound of the object's length, where the payload's size is known. */
bool upload_expected(const struct upload *u, uint64_t *out);

/* Bytes of every part but the last, where the payload's size is known. */
uint64_t upload_part_size(const struct upload *u);

/* The longest object that upload_send can make: parts of the chosen sizes, as
 * many as the store takes.  upload_open refuses with INVALID what is known to
 * be longer. */
uint64_t upload_ceiling(const struct upload *u);

/* What a source that waits should wait under: a child of the save's op that is
 * cancelled, too, when a part has failed. */
const struct persist_op *upload_op(const struct upload *u);

/* Called on the save's thread each time a part was handed over, while others
 * may be under way; a negative return ends the upload with that code. */
typedef int (*upload_between_fn)(void *ctx, struct persist_error *err);
/*
 * Sends everything: header, what is filled, the rest of the payload, tail.
 * `to` NULL: sends nothing (a dry run).  Fills m's trailer; *out_size and
 * *out_crc32c are the object's, for the commit.  No part is under way when it
 * returns.
 */
int upload_send(struct upload *u, struct persist_metadata *m,
                struct backend_upload *to, upload_between_fn between, void *ctx,
                uint64_t *out_size, uint32_t *out_crc32c,
                struct persist_error *err);

/* Of the payload, once it has ended. */
const uint8_t *upload_sha256(const struct upload *u);
uint64_t upload_payload_len(const struct upload *u);

void upload_close(struct upload *u); /* NULL is fine */

#endif
