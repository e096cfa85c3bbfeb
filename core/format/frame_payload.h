/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of one frame, piece by piece, where it lies: in one piece where a
 * decoder has put it, between the headers of a zstd frame's raw blocks where
 * there was nothing to decode.
 *
 *     while ((n = frame_payload_next(&p, &piece)) > 0)
 *         the next n bytes of the payload are at piece
 *
 * A copy of it begins where it does; it owns nothing.
 */
#ifndef PERSIST_FORMAT_FRAME_PAYLOAD_H
#define PERSIST_FORMAT_FRAME_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame_payload {
    const uint8_t *at; /* of what no piece has given yet */
    size_t len;        /* bytes of it, headers not counted */
    bool in_blocks;    /* at is the header of a raw block, never an empty one */
};

/* Bytes at *out, which stay as long as the frame does; 0: it has ended. */
size_t frame_payload_next(struct frame_payload *p, const void **out);

#endif
