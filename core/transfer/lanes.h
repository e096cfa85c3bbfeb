/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few frames at once, taken back in the order they were given.
 *
 *      caller's thread          CPU executor               caller's thread
 *
 *      lanes_free ─┐
 *      fill lane   │      ┌─▶ encode or decode ─┐
 *      lanes_start ┴──────┤   (any order)       ├──────▶ lanes_take, in order
 *                         └─▶ SHA-256 of the    ┘        use lane->out
 *                             payload, in order,         lanes_release
 *                             one at a time
 *
 * To encode begins with a look at whether the payload is stored as it is, which
 * the hash waits for: what such a frame needs beside it is summed in the same
 * pass.
 *
 * A lane is a slot with its own buffers and its own codec.  Its bytes belong to
 * the caller from lanes_free to lanes_start, to the executor until lanes_take,
 * to the caller again until lanes_release.  It is free once it is released and
 * its payload hashed.
 *
 * The number of lanes bounds memory and work in flight.  Without an executor,
 * or where it can start no thread, lanes_start does the work itself.
 *
 * One thread at a time calls these functions.
 */
#ifndef PERSIST_TRANSFER_LANES_H
#define PERSIST_TRANSFER_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/codec.h"
#include "format/zstd_raw.h"
#include "runtime/executor.h"
#include "transfer/sha256.h"
#include "transfer/unpack.h"
#include "util/error.h"

struct lane {
    uint8_t *in_buf; /* in_cap bytes of its own, or NULL where in_cap is 0 */
    uint8_t *out;    /* out_cap bytes: what the work made */
    const void *in;  /* set before lanes_start: in_buf or memory that stays */
    size_t in_len;   /* the same */
    size_t out_len;  /* encode: after lanes_take */
    uint64_t tag;    /* the caller's */
    uint8_t *place; /* encode, set before lanes_start: where the frame is to lie
                     * if it is_raw, its payload copied beside the hash; NULL:
                     * nowhere */
    bool is_raw; /* encode: the frame is the pieces of raw, which are of in and
                  * summed; out_len bytes, and out says nothing */
    struct zstd_raw raw;
    struct unpack frame; /* decode: its payload and CRC-32C, after lanes_take */
    int rc;              /* of the work; not OK: err says why */
    struct persist_error err;
};

struct lanes_what {
    bool decode; /* frames to payload; else payload to frames */
    enum codec codec;
    int level; /* encode */
    uint32_t frame_size;
    size_t in_cap;         /* bytes; 0: lanes borrow their input */
    size_t out_cap;        /* bytes */
    unsigned n;            /* lanes, at least 1 */
    struct executor *cpu;  /* NULL: no threads */
    struct sha256 *sha256; /* of the payload, in order; NULL: none */
    bool copies; /* decode: as of struct unpack.  Else `in` stays until
                  * the lane is over (lanes_over). */
    /* decode, of a frame that failed, on the thread that does the work: OK
     * where other bytes lie at lane->in now, to be decoded once more. NULL:
     * none. */
    int (*again)(void *ctx, struct lane *lane);
    void *again_ctx;
};

struct lanes;

/* Bytes one lane holds, its codec included. */
size_t lanes_memory(const struct lanes_what *what);

struct lanes *lanes_create(const struct lanes_what *what); /* NULL: memory */
/* Takes back what has not begun and waits for what runs.  NULL is fine. */
void lanes_destroy(struct lanes *l);

/* The next lane, empty; *out NULL where all are in use and one must be taken
 * first.  MEMORY. */
int lanes_free(struct lanes *l, struct lane **out, struct persist_error *err);
/* `lane` is what lanes_free gave last. */
void lanes_start(struct lanes *l, struct lane *lane);
/* The oldest lane started and not yet taken, finished; NULL: there is none. */
struct lane *lanes_take(struct lanes *l);
/* `lane` is what lanes_take gave last. */
void lanes_release(struct lanes *l, struct lane *lane);
/* The tag of the newest lane that is over: released and hashed, as all before
 * it, so that nobody reads its input any more.  0: none is. */
uint64_t lanes_over(struct lanes *l);
/* Waits until every payload that was started is hashed. INTERNAL where the hash
 * failed. */
int lanes_hashed(struct lanes *l, struct persist_error *err);

#endif
