/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots in memory, for the tests of this room. */
#include "format/test_support.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "util/crc32c.h"
#include "util/text.h"

struct persist_metadata test_metadata(enum codec codec)
{
    static const struct persist_label labels[] = {{"a", "1"}, {"b", "\"\n"}};
    return (struct persist_metadata){
        .struct_size = sizeof(struct persist_metadata),
        .format_version = 2,
        .compression_level = codec_level_default(codec),
        .snapshot_index = 7,
        .frame_size = TEST_FRAME,
        .snapshot_id = TEST_ID,
        .agent_id = "writer",
        .session_id = "default",
        .timestamp = TEST_TIME,
        .parent_id = TEST_PARENT,
        .compression_algorithm = codec_name(codec),
        .content_type = "text/plain",
        .description = "a test",
        .producer_name = "persist",
        .producer_version = "0.2.0",
        .labels = labels,
        .n_labels = 2,
    };
}

uint8_t *test_payload(enum test_fill fill, size_t len)
{
    uint64_t x = 88172645463325252U;
    uint8_t *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] =
            fill == FILL_NOISE
                ? (uint8_t)(x >> 32)
                : (uint8_t)("state of things\n"[i % 16] ^ ((x & 63) == 0));
    }
    return data;
}

void test_sha256(const void *data, size_t len, uint8_t out[32])
{
    unsigned n = 32;
    assert_int_equal(EVP_Digest(data, len, out, &n, EVP_sha256(), NULL), 1);
}

static void append_frames(struct test_snapshot *s, struct frame_encoder *e,
                          const uint8_t *payload, size_t len)
{
    size_t cap = frame_bound(s->tail.codec, s->tail.frame_size);
    uint8_t *frame = malloc(cap);
    assert_non_null(frame);
    while (len > 0) {
        size_t n = len < s->tail.frame_size ? len : s->tail.frame_size;
        size_t stored = 0;
        assert_int_equal(frame_encode(e, payload, n, frame, cap, &stored, NULL),
                         0);
        buf_append(&s->object, frame, stored);
        assert_int_equal(snapshot_tail_frame(&s->tail, (uint32_t)stored,
                                             (uint32_t)n,
                                             crc32c(0, frame, stored), NULL),
                         0);
        payload += n;
        len -= n;
    }
    free(frame);
}

void test_snapshot_make_with(struct test_snapshot *s,
                             const struct persist_metadata *m,
                             const void *payload, size_t len)
{
    enum codec codec;
    assert_true(codec_from_name(m->compression_algorithm, &codec));
    memset(s, 0, sizeof(*s));
    s->metadata = *m;
    buf_init(&s->object, SIZE_MAX / 2);
    snapshot_tail_init(&s->tail, codec, (uint32_t)m->frame_size);
    assert_int_equal(
        snapshot_header_encode(codec, &s->metadata, &s->object, NULL), 0);
    s->header_len = s->object.len;

    struct frame_encoder *e = frame_encoder_create(codec, m->compression_level,
                                                   (uint32_t)m->frame_size);
    assert_non_null(e);
    append_frames(s, e, payload, len);
    frame_encoder_destroy(e);
    s->frames_end = s->object.len;

    test_sha256(payload, len, s->sha256);
    assert_int_equal(snapshot_tail_encode(&s->tail, s->object.data,
                                          s->header_len, s->sha256,
                                          &s->metadata, &s->object, NULL),
                     0);
    assert_false(buf_failed(&s->object));
}

void test_snapshot_make(struct test_snapshot *s, enum codec codec, int level,
                        const void *payload, size_t len)
{
    struct persist_metadata m = test_metadata(codec);
    m.compression_level = level;
    test_snapshot_make_with(s, &m, payload, len);
}

void test_snapshot_finish(struct test_snapshot *s)
{
    buf_finish(&s->object);
    snapshot_tail_finish(&s->tail);
}

static int take_payload(void *ctx, const void *data, size_t len,
                        struct persist_error *err)
{
    (void)err;
    buf_append(ctx, data, len);
    return 0;
}

static int check_hash(const struct buf *payload,
                      const struct persist_metadata *m,
                      struct persist_error *err)
{
    uint8_t sha256[32];
    char hex[65];
    test_sha256(payload->data ? payload->data : "", payload->len, sha256);
    text_to_hex(sha256, 32, hex);
    if (strcmp(hex, m->content_hash) == 0)
        return PERSIST_OK;
    return error_set(err, PERSIST_E_CORRUPT, "content_hash");
}

int test_scan(const void *object, size_t len, size_t step, struct buf *payload,
              struct persist_metadata **out, struct persist_error *err)
{
    struct buf own;
    struct persist_metadata *m = NULL;
    buf_init(&own, SIZE_MAX / 2);
    struct snapshot_scan *s = snapshot_scan_create(NULL, take_payload, &own);
    assert_non_null(s);
    int rc = PERSIST_OK;
    for (size_t at = 0; !rc && at < len; at += step)
        rc = snapshot_scan_feed(s, (const char *)object + at,
                                len - at < step ? len - at : step, err);
    if (!rc)
        rc = snapshot_scan_end(s, &m, err);
    if (!rc)
        rc = check_hash(&own, m, err);
    snapshot_scan_destroy(s);
    if (payload)
        buf_append(payload, own.data, own.len);
    buf_finish(&own);
    if (out && !rc)
        *out = m;
    else
        persist_metadata_free(m);
    return rc;
}

void test_replace_trailer(const struct test_snapshot *s, const char *json,
                          struct buf *out)
{
    buf_append(out, s->object.data, s->frames_end);
    envelope_put(s->tail.codec, BLOCK_TRAILER, json, strlen(json), out);
    uint32_t trailer_len = (uint32_t)(out->len - s->frames_end);
    if (s->tail.codec == CODEC_GZIP)
        footer_put(out, s->frames_end, s->tail.n_frames);
    else
        seek_table_put(out, (uint32_t)s->header_len, &s->tail.entries,
                       trailer_len);
}

int test_map(const struct buf *object, struct snapshot_map *map, int *out_reads,
             struct persist_error *err)
{
    uint64_t need = SNAPSHOT_SUFFIX;
    int rc = 1;
    for (*out_reads = 0; rc == 1; (*out_reads)++) {
        size_t len = need < object->len ? (size_t)need : object->len;
        uint64_t before = need;
        /* a copy of its own, so that a read before it is noticed */
        char *suffix = malloc(len + 1);
        assert_non_null(suffix);
        memcpy(suffix, object->data + object->len - len, len);
        rc = snapshot_map_parse(suffix, len, object->len, map, &need, err);
        free(suffix);
        if (rc == 1)
            assert_true(need > before && need <= object->len);
    }
    return rc;
}
