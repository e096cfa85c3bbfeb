/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot file, format version 2: what lies where.  No I/O.
 *
 *   zstd   [skippable 50: PRSTHDR2][frame]...[frame]
 *          [skippable 51: PRSTTRL2][skippable 5E: seek table]
 *   gzip   [member PH][member PD]...[member PD][member PT][member PF, 46 bytes]
 *
 * Writing: snapshot_header_encode gives the first bytes; every encoded frame is
 * told to a snapshot_tail in order; snapshot_tail_encode gives the last bytes.
 * The header may be made anew (another index) as long as the tail is not.
 *
 * Reading: snapshot_map_parse takes the object's last bytes and says where
 * everything lies; snapshot_header_parse takes the first ones.  snapshot_scan
 * reads a whole object in order and checks everything (verify, gzip restore).
 *
 * Whatever does not fit is CORRUPT, with what is wrong where.
 */
#ifndef PERSIST_FORMAT_SNAPSHOT_H
#define PERSIST_FORMAT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/codec.h"
#include "format/metadata.h"
#include "util/buf.h"

#define SNAPSHOT_HEADER_MAX (UINT32_C(1) << 20) /* bytes, zstd; gzip 60 KiB */
#define SNAPSHOT_TRAILER_MAX (UINT32_C(16) << 10)
#define SNAPSHOT_SUFFIX (UINT32_C(64) << 10) /* one suffix read of this */
#define SNAPSHOT_SMALL (UINT32_C(1) << 20)   /* below: read whole at once */

/* --------------------------------------------------------------- writing */

/* Appends the header frame or member. */
int snapshot_header_encode(enum codec codec, const struct persist_metadata *m,
                           struct buf *out, struct persist_error *err);

/* At least as many bytes as that appends, and every complaint that it has; m's
 * index is the highest that it may become. */
int snapshot_header_bound(enum codec codec, const struct persist_metadata *m,
                          size_t *out, struct persist_error *err);

/* What the tail needs to know of the frames. Grows 8 bytes per frame. */
struct snapshot_tail {
    enum codec codec;
    uint32_t frame_size;
    uint64_t payload_len; /* so far, bytes */
    uint64_t frames_len;  /* stored bytes of all frames so far */
    uint32_t frames_crc;  /* CRC-32C of them */
    uint64_t n_frames;
    bool short_frame;      /* one was shorter: it was the last */
    struct buf entries;    /* zstd: the seek table's */
    char content_hash[65]; /* what m's texts of these names point to */
    char stored_crc32c[9];
};
void snapshot_tail_init(struct snapshot_tail *t, enum codec codec,
                        uint32_t frame_size);
void snapshot_tail_finish(struct snapshot_tail *t);
/* In order.  crc: CRC-32C of the stored frame. INVALID past the format's
 * limits, INTERNAL where a frame follows a short one or cannot be one. */
int snapshot_tail_frame(struct snapshot_tail *t, uint32_t stored_len,
                        uint32_t payload_len, uint32_t crc,
                        struct persist_error *err);
/* Sets the trailer's fields of m (TRAILER, content_hash from sha256,
 * compressed_size) and appends trailer and seek table or footer.  May be called
 * again with another header.  m's content_hash and stored_crc32c live in t, so
 * a metadata that outlives it is a metadata_copy. */
int snapshot_tail_encode(struct snapshot_tail *t, const void *header,
                         size_t header_len, const uint8_t sha256[32],
                         struct persist_metadata *m, struct buf *out,
                         struct persist_error *err);
/* An upper bound of what snapshot_tail_encode appends after n more frames. */
size_t snapshot_tail_bound(const struct snapshot_tail *t, uint64_t n_more);

/* --------------------------------------------------------------- reading */

struct snapshot_frame {
    uint64_t stored_offset; /* in the object */
    uint64_t payload_offset;
    uint32_t stored_len;
    uint32_t payload_len;
};

/* Where things lie in one object. */
struct snapshot_map {
    enum codec codec;
    uint64_t object_size;
    uint64_t header_len; /* zstd; gzip: 0, not known before reading it */
    uint64_t trailer_offset;
    uint64_t payload_len; /* the trailer's uncompressed_size */
    uint64_t n_frames;
    uint32_t stored_crc32c;
    uint8_t sha256[32];
    struct snapshot_frame *frames; /* zstd: n_frames; gzip: NULL */
    char *trailer_json;            /* for metadata_decode_trailer */
    size_t trailer_json_len;
};

/*
 * Parses the end of an object.  `suffix` are its last `len` bytes.  Returns
 * PERSIST_OK; or 1 with *out_need = how many last bytes to fetch and call again
 * (more than len, at most object_size); or CORRUPT, UNSUPPORTED, MEMORY.  An
 * object that is neither kind is CORRUPT.  frame_size is not known yet:
 * snapshot_map_check does that part.
 */
int snapshot_map_parse(const void *suffix, size_t len, uint64_t object_size,
                       struct snapshot_map *out, uint64_t *out_need,
                       struct persist_error *err);
/* The frames against the header's frame_size: each exactly that, the last 1 to
 * that, sums equal to the trailer's. */
int snapshot_map_check(const struct snapshot_map *map,
                       const struct persist_metadata *header,
                       struct persist_error *err);
void snapshot_map_finish(struct snapshot_map *map);

/*
 * Parses the header at the beginning of an object. Returns OK with its length
 * in the object; 1 with *out_need = how many first bytes are needed; or
 * CORRUPT, UNSUPPORTED, MEMORY.
 */
int snapshot_header_parse(const void *data, size_t len, uint64_t *out_need,
                          enum codec *out_codec, size_t *out_header_len,
                          struct persist_metadata **out,
                          struct persist_error *err);

/* ------------------------------------------------------------- whole scan */

/*
 * Reads an object front to back and checks every byte of it: block magics,
 * lengths, CRCs, frame checksums, sizes, counts, stored_crc32c, the seek table
 * rebuilt and compared, nothing missing and nothing behind the end.  The
 * payload's SHA-256 is the caller's to compute and compare
 * (metadata->content_hash).
 *
 *     while (bytes come)  snapshot_scan_feed(s, bytes, n, err);
 *     snapshot_scan_end(s, &metadata, err);
 *
 * `payload` gets every decoded frame, in order, after its checksum held; a
 * negative return ends the scan with that code.  Its data stay until it
 * returns.  Holds one frame, or two.
 */
typedef int (*snapshot_payload_fn)(void *ctx, const void *data, size_t len,
                                   struct persist_error *err);
/* Called once, when the header is known, before any payload; may be NULL. A
 * negative return ends the scan with that code. */
typedef int (*snapshot_header_fn)(void *ctx, const struct persist_metadata *m,
                                  struct persist_error *err);

struct snapshot_scan;
struct snapshot_scan *snapshot_scan_create(snapshot_header_fn header,
                                           snapshot_payload_fn payload,
                                           void *ctx); /* NULL: memory */
/* Called by `header`: every payload stays until the next one's `payload` has
 * returned (or the scan is destroyed), for one more frame_size of memory. */
void snapshot_scan_keep_payload(struct snapshot_scan *s);
int snapshot_scan_feed(struct snapshot_scan *s, const void *data, size_t len,
                       struct persist_error *err);
/* The object has ended.  *out (with TRAILER and STORED_SIZE) is the caller's.
 */
int snapshot_scan_end(struct snapshot_scan *s, struct persist_metadata **out,
                      struct persist_error *err);
void snapshot_scan_destroy(struct snapshot_scan *s);

#endif
