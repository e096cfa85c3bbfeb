/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zstd frame of raw blocks (RFC 8878, 3.1.1.2): a payload that does not
 * compress, as it is.  zstd makes the same of it, but only after it has looked
 * for matches everywhere and moved every byte twice; here nothing is moved:
 * the frame is given piece by piece, and nearly all of the pieces are the
 * payload itself, where it lies.
 *
 *     zstd_raw_begin(&r, payload, len);
 *     zstd_raw_sum(&r, sum, ctx, NULL)         reads the payload, once
 *     while ((n = zstd_raw_next(&r, &piece, &crc)) > 0)
 *         the next n bytes of the frame are at piece
 *
 * And back, whoever wrote the frame: nothing is decoded, its payload lies
 * there.
 *
 *     zstd_raw_find(frame, len, &payload)      else it is the decoder's
 *     zstd_raw_check(frame, len, payload, NULL, sum, ctx, &crc, &holds)
 *     where it holds: frame_payload_next(&payload, &piece) ...
 */
#ifndef PERSIST_FORMAT_ZSTD_RAW_H
#define PERSIST_FORMAT_ZSTD_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "format/codec.h"
#include "format/frame_payload.h"
#include "format/zstd_frame.h"
#include "util/xxh64.h"

#define ZSTD_RAW_BLOCKS_MAX (FRAME_SIZE_MAX / ZSTD_BLOCK_LONGEST)

struct zstd_raw {
    const uint8_t *payload; /* the caller's; what no piece has given yet, */
    const uint8_t *placed;  /* and where else it lies; NULL: nowhere */
    size_t len;             /* bytes of it */
    enum { ZSTD_RAW_HEAD, ZSTD_RAW_BLOCK, ZSTD_RAW_SUM, ZSTD_RAW_END } step;
    unsigned block;  /* the one that comes next */
    uint8_t own[16]; /* pieces that are not payload */
    /* Made by zstd_raw_sum. */
    uint32_t checksum;                    /* of all payload */
    uint32_t crc32c[ZSTD_RAW_BLOCKS_MAX]; /* of each block's */
};

/* Bytes of the whole frame; never more than frame_bound of the same payload. */
size_t zstd_raw_len(size_t payload_len);

/* payload: 1 to FRAME_SIZE_MAX bytes, which stay until the last piece. */
void zstd_raw_begin(struct zstd_raw *r, const void *payload, size_t len);

/* How the payload is read: *xxh and *crc go on over the bytes, which are copied
 * to `out` where it is not NULL.  A negative return ends zstd_raw_sum with it.
 */
typedef int (*zstd_raw_sum_fn)(void *ctx, struct xxh64 *xxh, uint32_t *crc,
                               const void *data, size_t len, void *out);
/* Before the first piece: what the pieces need to know of the payload.  Whoever
 * has to read it anyway does so here; fn NULL: nobody.  place NULL, or where
 * the frame is to lie, zstd_raw_len bytes: the payload is copied to its places
 * there on the way, and pieces of it are found there. */
int zstd_raw_sum(struct zstd_raw *r, zstd_raw_sum_fn fn, void *ctx,
                 void *place);

/* The frame lies elsewhere after all: the pieces are the payload's again. */
void zstd_raw_unplace(struct zstd_raw *r);

/* Bytes at *out, valid until the next call, and their CRC-32C; 0: the frame has
 * ended. */
size_t zstd_raw_next(struct zstd_raw *r, const void **out, uint32_t *out_crc);

/* Whether these len bytes are one frame of raw blocks, all of it, that zstd
 * would decode to *out if its checksum holds.  Of any other frame, a damaged
 * one too, nothing is said: the decoder has to. */
bool zstd_raw_find(const void *frame, size_t len, struct frame_payload *out);

/* Of such a frame: reads the payload as zstd_raw_sum does (out of `copy`, where
 * it lies there in one piece; NULL: in the frame).  *out_crc: CRC-32C of the
 * whole frame; *out_holds: its checksum is that of the payload. */
int zstd_raw_check(const void *frame, size_t len, struct frame_payload payload,
                   const void *copy, zstd_raw_sum_fn fn, void *ctx,
                   uint32_t *out_crc, bool *out_holds);

#endif
