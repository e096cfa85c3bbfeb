/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zstd frame of raw blocks (RFC 8878, 3.1.1.2): a payload that does not
 * compress, as it is.  zstd makes the same of it, but only after it has looked
 * for matches everywhere and moved every byte twice; here nothing is moved:
 * the frame is given piece by piece, and nearly all of the pieces are the
 * payload itself, where it lies.
 *
 *     zstd_raw_begin(&r, payload, len);
 *     while ((n = zstd_raw_next(&r, &piece)) > 0)
 *         the next n bytes of the frame are at piece
 *
 * A piece of the payload has been read just before it is given (for the
 * frame's checksum), and is short enough to be in the processor's cache yet.
 */
#ifndef PERSIST_FORMAT_ZSTD_RAW_H
#define PERSIST_FORMAT_ZSTD_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "util/xxh64.h"

struct zstd_raw {
    const uint8_t *payload; /* the caller's; what no piece has given yet */
    size_t len;             /* bytes of it */
    struct xxh64 sum;
    enum { ZSTD_RAW_HEAD, ZSTD_RAW_BLOCK, ZSTD_RAW_SUM, ZSTD_RAW_END } step;
    uint8_t own[16]; /* pieces that are not payload */
};

/* Bytes of the whole frame; never more than frame_bound of the same payload. */
size_t zstd_raw_len(size_t payload_len);

/* payload: 1 to FRAME_SIZE_MAX bytes, which stay until the last piece. */
void zstd_raw_begin(struct zstd_raw *r, const void *payload, size_t len);

/* Bytes at *out, valid until the next call; 0: the frame has ended. */
size_t zstd_raw_next(struct zstd_raw *r, const void **out);

#endif
