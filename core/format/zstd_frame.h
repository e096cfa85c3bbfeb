/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside of one zstd frame (RFC 8878, 3.1.1): its header, and how long it
 * is.  The library tells neither incrementally nor in its stable API whether a
 * frame has a checksum, so the few bytes are read here; nothing is
 * decompressed.
 */
#ifndef PERSIST_FORMAT_ZSTD_FRAME_H
#define PERSIST_FORMAT_ZSTD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define ZSTD_FRAME_MAGIC UINT32_C(0xFD2FB528)
#define ZSTD_BLOCK_HEAD_LEN 3
#define ZSTD_BLOCK_LONGEST (UINT32_C(128) << 10) /* 3.1.1.2.4 */
#define ZSTD_CHECKSUM_LEN 4
/* Bits of Frame_Header_Descriptor, 3.1.1.1.1 */
#define ZSTD_FHD_CHECKSUM 0x04
#define ZSTD_FHD_SIZE_SHIFT 6
/* A checksummed frame of one byte: magic, descriptor, size, block, XXH64. */
#define ZSTD_FRAME_MIN 14

/* Block_Size of a block's header, 3.1.1.2.3 */
uint32_t zstd_block_len(const uint8_t head[ZSTD_BLOCK_HEAD_LEN]);

/* Zero-initialised it stands before a frame. */
struct zstd_walk {
    uint64_t content_size; /* 0: the header is not complete yet */
    size_t pos;            /* where the next block's header begins */
    bool last;             /* the last block has been passed */
    bool not_raw;          /* a block was not; or empty, or above the window */
    size_t first;          /* where the first block's header begins */
    uint64_t window;       /* what a block may not be longer than */
    uint64_t raw_len;      /* bytes of the raw blocks passed */
};

/*
 * Looks at the first len bytes of a frame, each call with no fewer than the one
 * before.  OK: the frame is *out_len bytes long and all there; 1: *out_len
 * bytes (more than len) are needed to go on; CORRUPT: it is not a zstd frame
 * with content size and checksum, without dictionary, and with a window up to
 * FRAME_SIZE_MAX.
 */
int zstd_walk(struct zstd_walk *w, const void *data, size_t len,
              size_t *out_len, struct persist_error *err);

#endif
