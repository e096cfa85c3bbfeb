/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks, and what they travel in.
 *
 * A block is 8 bytes magic, u32 JSON length, u32 CRC-32C of the JSON, JSON.  In
 * zstd it is the whole content of a skippable frame, in gzip that of the extra
 * field of an empty member.  Claims and tombstones are always skippable frames
 * (CODEC_ZSTD).
 *
 * Everything around the JSON has one spelling, and any other is CORRUPT: these
 * bytes are covered by no checksum where the block is the trailer.
 */
#ifndef PERSIST_FORMAT_ENVELOPE_H
#define PERSIST_FORMAT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/codec.h"
#include "util/buf.h"
#include "util/error.h"

enum block_kind {
    BLOCK_HEADER,
    BLOCK_TRAILER,
    BLOCK_CLAIM,
    BLOCK_TOMBSTONE,
};

#define BLOCK_HEAD_LEN 16
#define SKIPPABLE_HEAD_LEN 8
#define SKIPPABLE_SEEK UINT32_C(0x184D2A5E)
/* What envelope_measure wants to see. */
#define ENVELOPE_PEEK 16

/* Bytes around the JSON; the most an envelope may take. */
size_t envelope_overhead(enum codec codec);
size_t envelope_max(enum codec codec, enum block_kind kind);

#define ENVELOPE_ZSTD_HEAD (SKIPPABLE_HEAD_LEN + BLOCK_HEAD_LEN)
/* What stands before the JSON in a skippable frame. */
void envelope_head_put(enum block_kind kind, const char *json, size_t json_len,
                       uint8_t out[ENVELOPE_ZSTD_HEAD]);
void envelope_put(enum codec codec, enum block_kind kind, const char *json,
                  size_t json_len, struct buf *out);

/* From its first ENVELOPE_PEEK bytes: how long the whole envelope is.  CORRUPT
 * where it is not one of this kind or too long. */
int envelope_measure(enum codec codec, enum block_kind kind, const void *data,
                     size_t *out_len, struct persist_error *err);
/* Exactly one whole envelope; *out_json points into data. */
int envelope_open(enum codec codec, enum block_kind kind, const void *data,
                  size_t len, const char **out_json, size_t *out_json_len,
                  struct persist_error *err);

/*
 * What an object is by its first bytes, as many as there are, up to
 * IDENTIFY_LEN: OK with its codec where it begins like a snapshot; CORRUPT with
 * what it is instead; UNSUPPORTED for a snapshot of Persist 0.1.
 */
#define IDENTIFY_LEN 256
int envelope_identify(const void *data, size_t len, enum codec *out,
                      struct persist_error *err);

#endif
