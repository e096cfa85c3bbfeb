/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots in memory, for the tests of this room. */
#ifndef PERSIST_FORMAT_TEST_SUPPORT_H
#define PERSIST_FORMAT_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/snapshot.h"

#define TEST_FRAME ((size_t)FRAME_SIZE_MIN)
#define TEST_ID "018f3c1e-5a70-7c3d-9b1e-0123456789ab"
#define TEST_PARENT "018f3c1e-0000-7000-8000-000000000001"
#define TEST_TIME "2026-11-23T04:19:24.642210Z"

/* A header's worth of metadata, in static storage. */
struct persist_metadata test_metadata(enum codec codec);

enum test_fill {
    FILL_TEXT,  /* compresses well */
    FILL_NOISE, /* does not compress; the same every time */
};
/* malloc; never NULL */
uint8_t *test_payload(enum test_fill fill, size_t len);

/* A snapshot and where its parts end. */
struct test_snapshot {
    struct buf object;
    size_t header_len;
    size_t frames_end;
    struct snapshot_tail tail;
    uint8_t sha256[32];
    struct persist_metadata metadata; /* texts live in tail or are static */
};
void test_snapshot_make(struct test_snapshot *s, enum codec codec, int level,
                        const void *payload, size_t len);
/* The same with metadata of the caller's (its frame_size is used). */
void test_snapshot_make_with(struct test_snapshot *s,
                             const struct persist_metadata *m,
                             const void *payload, size_t len);
void test_snapshot_finish(struct test_snapshot *s);

/* A scan's verdict: its status, or CORRUPT where all passed but the payload's
 * SHA-256 is not the one the metadata has.  Payload and metadata are the
 * caller's where asked for.  step: bytes per feed. */
int test_scan(const void *object, size_t len, size_t step, struct buf *payload,
              struct persist_metadata **out, struct persist_error *err);

/* The map from one suffix of SNAPSHOT_SUFFIX, or from the longer one it asks
 * for; *out_reads: how many that were. */
int test_map(const struct buf *object, struct snapshot_map *map, int *out_reads,
             struct persist_error *err);

/* Replaces the object's trailer by one with this JSON, and all behind it by
 * what fits to it. */
void test_replace_trailer(const struct test_snapshot *s, const char *json,
                          struct buf *out);

void test_sha256(const void *data, size_t len, uint8_t out[32]);

#endif
