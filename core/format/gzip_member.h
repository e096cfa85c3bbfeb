/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside of a gzip member (RFC 1952) as this format writes it: MTIME 0,
 * XFL 0, OS 255, FLG 4, and one subfield 'P' + id in the extra field.
 *
 *    0  1f 8b 08 04  00 00 00 00  00 ff   the fixed ten bytes
 *   10  XLEN u16                          4 + the subfield's data
 *   12  'P' id  LEN u16                   the subfield's own head
 *   16  data                              then deflate, CRC32 u32, ISIZE u32
 *
 * A member without payload ends in 03 00 and eight zero bytes.
 */
#ifndef PERSIST_FORMAT_GZIP_MEMBER_H
#define PERSIST_FORMAT_GZIP_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define MEMBER_HEAD_LEN 16
#define MEMBER_CHECK_LEN 8       /* CRC32, ISIZE */
#define MEMBER_EMPTY_TAIL_LEN 10 /* empty deflate and those */
#define MEMBER_SUBFIELD_MAX (UINT16_MAX - 4)

#define MEMBER_HEADER 'H'
#define MEMBER_DATA 'D'
#define MEMBER_TRAILER 'T'
#define MEMBER_FOOTER 'F'

/* P D: u32 member size, u32 payload size. */
#define MEMBER_DATA_HEAD_LEN (MEMBER_HEAD_LEN + 8)
/* ... around at least two bytes of deflate. */
#define MEMBER_DATA_MIN (MEMBER_DATA_HEAD_LEN + 2 + MEMBER_CHECK_LEN)

/* Writes the first 16 bytes of a member. */
void member_head_put(uint8_t out[MEMBER_HEAD_LEN], char id, uint16_t data_len);
/* True where in is such a head, byte for byte; *out_data_len: of the subfield.
 */
bool member_head_get(const uint8_t in[MEMBER_HEAD_LEN], char id,
                     uint16_t *out_data_len);

/* True where the bytes are those behind the subfield of an empty member. */
bool member_is_empty_tail(const void *tail);
void member_empty_tail_put(struct buf *out);

#endif
