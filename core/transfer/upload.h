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
 * Whose bytes are whose, at each step:
 *
 *      source ──read──▶ frame ──────encode──────▶ out ──────part──────▶ store
 *      caller's         one frame  ╲              [room|frames...|tail]
 *      thread           of payload  ╲SHA-256       CRC-32C of each frame
 *                       (a payload   in order      while hot; of each part
 *                       in memory                  before it is sent
 *                       is used in place)
 *
 *      frame   ours; filled by the source, free again once it is encoded
 *      out     ours; a frame is encoded straight behind the one before it; what
 *              was sent is overwritten, what was not moves to the front
 *
 * A payload of more than one frame goes through lanes (lanes.h) where there is
 * an executor: each lane has a frame buffer and its own encoded frame, several
 * are encoded at once while the caller's thread reads on and a third hashes,
 * and encoded frames are appended to out in order.  That append is the one
 * copy; a frame's place in out is known only when the one before it is done.
 *
 *      room    head-room before the first frame: the header goes there last,
 *              right-aligned, because the index it names is known last, and may
 *              be put again with another one while the frames stay
 *
 * Memory: frame + out + the encoder's own, reserved from the budget in one go
 * before anything is read; MEMORY with the least that would do where that is
 * over the limit.  The tail (8 bytes per frame) is not counted.  A payload of
 * known small size reserves little.
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
 * allocates next to nothing.  Holds at most a few; idle ones are not counted
 * against the budget. */
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

/* The longest object that upload_send can make: parts of the chosen size, as
 * many as the store takes. */
uint64_t upload_ceiling(const struct upload *u);

/* Called between parts; a negative return ends the upload with that code. */
typedef int (*upload_between_fn)(void *ctx, struct persist_error *err);
/*
 * Sends everything: header, what is filled, the rest of the payload, tail.
 * `to` NULL: sends nothing (a dry run).  Fills m's trailer; *out_size and
 * *out_crc32c are the object's, for the commit.
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
