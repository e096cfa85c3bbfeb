/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stored bytes of one object, read ahead and given out in order.
 *
 *     readahead_create(&what, &r, err)
 *     readahead_get(r, pos, n, &bytes, err)    pos never goes back
 *     readahead_release(r, pos)                bytes before pos are done with
 *     readahead_destroy(r)
 *
 *      stored     |  read 0  |  read 1  |  read 2  | ...
 *                      ▼          ▼          ▼        I/O executor, any order
 *      buffers    [   |data] [   |data] [   |data]    up to `n`
 *                      ╰──get──────▶ in order, contiguous
 *
 * A read ends where a frame does, so that frames lie whole in one buffer and
 * are decoded where they were read to.  Where frames are not known beforehand
 * (gzip) the beginning of one that goes over the end of its buffer is copied in
 * front of the next buffer's bytes, where room is kept for it.
 *
 * A buffer is read into again once all before its end is released, the last
 * one first: it is in the cache.  Until then readahead_get may have to say "not
 * now".  Every buffer has its size from the start: a caller that stands still
 * stops the reading.
 *
 * It begins with `few` buffers.  Only a caller who has waited for reads, 60 ms
 * in all, gets the others: where the far end is near, what they hold would take
 * memory and caches, and save no time.
 *
 * One thread at a time calls these functions.
 */
#ifndef PERSIST_TRANSFER_READAHEAD_H
#define PERSIST_TRANSFER_READAHEAD_H

#include "runtime/executor.h"
#include "transfer/object.h"

struct readahead_what {
    const struct object *object; /* outlives it; the first read was made */
    struct executor *io;         /* NULL: each read when it is wanted */
    uint64_t start;              /* stored bytes from here */
    uint64_t end;                /* to here are wanted */
    size_t unit;                 /* bytes of one read, at most; >= longest */
    size_t longest;              /* readahead_get asks for no more at once */
    unsigned n;                  /* buffers, 1 to READAHEAD_MAX */
    unsigned few;                /* of them, to begin with; 0: all */
    /* Where a read from `from` ends so that a frame ends there: behind from, at
     * most at `most`.  NULL: frames are not known. */
    uint64_t (*cut)(void *ctx, uint64_t from, uint64_t most);
    void *ctx;
    /* Bytes that are there already, from `first_offset` on, which is not behind
     * start, to where a read would end, too; taken over, with malloc's memory.
     * NULL: none.  Only with more than one buffer. */
    uint8_t *first;
    size_t first_len;
    uint64_t first_offset;
};

#define READAHEAD_MAX 24
#define READAHEAD_NOT_NOW 1 /* release something and ask again */

struct readahead;

/* Bytes it will hold, without `first`. */
uint64_t readahead_memory(const struct readahead_what *what);

/* what->first is taken over also on failure. */
int readahead_create(const struct readahead_what *what, struct readahead **out,
                     struct persist_error *err);
/* Ends reads that run.  NULL is fine. */
void readahead_destroy(struct readahead *r);

/* n bytes from pos, all before the end; they stay until pos + n is released.
 * READAHEAD_NOT_NOW only where something before pos is not released. */
int readahead_get(struct readahead *r, uint64_t pos, size_t n,
                  const uint8_t **out, struct persist_error *err);
void readahead_release(struct readahead *r, uint64_t pos);

#endif
