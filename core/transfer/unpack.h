/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stored frame to its payload, in the two steps that a download has.
 *
 *     unpack_begin(&u, err)         in any order, on any thread
 *     unpack_end(&u, sha256, err)   in the order of the payload
 *     u.payload                     checked and hashed
 *
 * zstd and gzip frames are decoded in the first step, which checks them, and
 * hashed in the second.  A frame that holds its payload as it is (zstd_raw.h)
 * has nothing to decode: its checksum and the CRC-32C are taken in the second
 * step, which reads every byte anyway and then has them for nothing
 * (sha256_update_beside).
 */
#ifndef PERSIST_TRANSFER_UNPACK_H
#define PERSIST_TRANSFER_UNPACK_H

#include "format/codec.h"
#include "transfer/sha256.h"

struct unpack {
    struct frame_decoder *decoder;
    uint8_t *out; /* room for what is decoded or copied */
    size_t cap;
    bool copies;    /* the payload is always in out, in one piece */
    const void *in; /* the frame; stays as long as the payload is used */
    size_t in_len;
    /* After the first step. */
    bool is_raw; /* the second one checks it */
    /* After the second. */
    struct frame_payload payload; /* in `in` or in out */
    uint32_t crc;                 /* CRC-32C of in */
};

/* CORRUPT and the others of frame_decode, in both: nothing is checked or hashed
 * then, and both steps may be done again with other bytes.  sha256 may be NULL;
 * INTERNAL where it failed. */
int unpack_begin(struct unpack *u, struct persist_error *err);
int unpack_end(struct unpack *u, struct sha256 *sha256,
               struct persist_error *err);

#endif
