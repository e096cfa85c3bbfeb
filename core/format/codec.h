/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame: payload bytes in, a self-contained zstd frame or gzip member out,
 * and back.
 *
 * Encoders and decoders hold the codec's working memory, are reused for any
 * number of frames, and belong to one thread at a time; frames are independent,
 * so any number of encoders may work on one snapshot.
 */
#ifndef PERSIST_FORMAT_CODEC_H
#define PERSIST_FORMAT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/frame_payload.h"
#include "util/error.h"

enum codec { CODEC_ZSTD = 1, CODEC_GZIP = 2 };

#define FRAME_SIZE_MIN (UINT32_C(64) << 10)
#define FRAME_SIZE_MAX (UINT32_C(16) << 20)
#define FRAME_SIZE_DEFAULT (UINT32_C(4) << 20)

const char *codec_name(enum codec codec); /* "zstd", "gzip" */
bool codec_from_name(const char *name, enum codec *out);
int codec_level_default(enum codec codec);
struct codec_levels {
    int min, max; /* zstd 1-19, gzip 0-3 */
};
struct codec_levels codec_levels(enum codec codec);
bool codec_level_ok(enum codec codec, int level);
bool codec_frame_size_ok(uint64_t frame_size); /* a power of two in range */

struct frame_encoder;
struct frame_decoder;

/* NULL: memory, or a level or frame_size that is not ok. */
struct frame_encoder *frame_encoder_create(enum codec codec, int level,
                                           uint32_t frame_size);
void frame_encoder_destroy(struct frame_encoder *e);

/* Bytes of codec memory one encoder / decoder holds, for the budget. */
size_t frame_encoder_memory(enum codec codec, int level, uint32_t frame_size);
size_t frame_decoder_memory(enum codec codec, uint32_t frame_size);

/* Enough room for a frame of payload_len bytes whatever they are. */
size_t frame_bound(enum codec codec, size_t payload_len);

/* 1 to frame_size payload bytes become one frame in out, which always has room
 * where cap is frame_bound(len).  INTERNAL or MEMORY on failure. */
int frame_encode(struct frame_encoder *e, const void *payload, size_t len,
                 void *out, size_t cap, size_t *out_len,
                 struct persist_error *err);
/* The same frame in two steps, for whoever has something else to do with a
 * payload that does not compress: where frame_is_raw says so, the frame is what
 * zstd_raw.h makes of the payload; else what frame_compress does.  Both want
 * the room that frame_encode wants. */
bool frame_is_raw(struct frame_encoder *e, const void *payload, size_t len,
                  void *out, size_t cap);
int frame_compress(struct frame_encoder *e, const void *payload, size_t len,
                   void *out, size_t cap, size_t *out_len,
                   struct persist_error *err);

struct frame_decoder *frame_decoder_create(enum codec codec,
                                           uint32_t frame_size);
void frame_decoder_destroy(struct frame_decoder *d);

/* Exactly one frame of exactly len bytes becomes its payload: CORRUPT where it
 * is more or less than one frame, its checksum fails, it says or yields more
 * than frame_size or cap bytes, has no content size or checksum, or needs a
 * dictionary. */
int frame_decode(struct frame_decoder *d, const void *frame, size_t len,
                 void *out, size_t cap, size_t *out_len,
                 struct persist_error *err);
/* Whether frame_decode has nothing to decode but a checksum to look at: *out is
 * then what it would give, and lies in the frame (zstd_raw_check looks). */
bool frame_find_raw(const struct frame_decoder *d, const void *frame,
                    size_t len, size_t cap, struct frame_payload *out);

#endif
