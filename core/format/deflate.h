/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw deflate (RFC 1951) of one buffer, and the CRC-32 of gzip: what
 * codec_gzip.c builds members of.
 *
 * Two implementations, of which a build holds one: deflate_isal.c, several
 * times as fast, and deflate_zlib.c for architectures ISA-L is not made for.
 * Each reads what the other wrote; the bytes they write differ, as the format
 * allows.
 *
 * An encoder or decoder belongs to one thread at a time.  Levels are 0 to 3,
 * checked by the caller.
 */
#ifndef PERSIST_FORMAT_DEFLATE_H
#define PERSIST_FORMAT_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct deflate_encoder;
struct deflate_decoder;

/* Bytes that one of them holds. */
size_t deflate_encoder_memory(int level);
size_t deflate_decoder_memory(void);

struct deflate_encoder *deflate_encoder_create(int level); /* NULL: memory */
void deflate_encoder_destroy(struct deflate_encoder *e);   /* NULL is fine */
struct deflate_decoder *deflate_decoder_create(void);      /* NULL: memory */
void deflate_decoder_destroy(struct deflate_decoder *d);   /* NULL is fine */

/* Bytes that suffice for any payload of that length. */
size_t deflate_bound(size_t payload_len);

/* One complete stream. len and cap below 2^31.  INTERNAL where cap is less
 * than deflate_bound(len) and that was too little. */
int deflate_encode(struct deflate_encoder *e, const void *payload, size_t len,
                   void *out, size_t cap, size_t *out_len,
                   struct persist_error *err);

enum deflate_verdict {
    DEFLATE_OK,
    DEFLATE_DAMAGED,
    DEFLATE_MORE,  /* it holds more than size bytes */
    DEFLATE_LESS,  /* it holds less */
    DEFLATE_BEHIND /* bytes follow its end */
};
/* All of data, no byte more or less, must give exactly size bytes. */
enum deflate_verdict deflate_decode(struct deflate_decoder *d, const void *data,
                                    size_t len, void *out, size_t size);

/* The CRC-32 of gzip (RFC 1952, section 8) of one buffer. */
uint32_t deflate_crc32(const void *data, size_t len);

#endif
