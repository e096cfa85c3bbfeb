/* SPDX-License-Identifier: Apache-2.0 */
/* Whole snapshots: written, mapped from the end, read frame by frame. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "util/crc32c.h"
#include "util/le.h"

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

static void check_header(const struct test_snapshot *s, enum codec codec)
{
    struct persist_metadata *m = NULL;
    uint64_t need = 0;
    size_t header_len = 0;
    enum codec found;
    for (size_t len = 0; len < s->header_len; len++) {
        assert_int_equal(snapshot_header_parse(s->object.data, len, &need,
                                               &found, &header_len, &m, NULL),
                         1);
        assert_true(need > len && need <= s->header_len);
    }
    assert_int_equal(snapshot_header_parse(s->object.data, s->object.len, &need,
                                           &found, &header_len, &m, NULL),
                     0);
    assert_int_equal(found, codec);
    assert_int_equal(header_len, s->header_len);
    assert_string_equal(m->agent_id, "writer");
    assert_int_equal(m->present, 0);
    persist_metadata_free(m);
}

/* Every frame where the map says it is. */
static void check_frames(const struct test_snapshot *s,
                         const struct snapshot_map *map, const uint8_t *payload)
{
    struct frame_decoder *d = frame_decoder_create(CODEC_ZSTD, TEST_FRAME);
    uint8_t *plain = malloc(TEST_FRAME);
    assert_non_null(d);
    assert_non_null(plain);
    for (size_t i = 0; i < map->n_frames; i++) {
        const struct snapshot_frame *f = &map->frames[i];
        size_t n = 0;
        assert_int_equal(frame_decode(d, s->object.data + f->stored_offset,
                                      f->stored_len, plain, f->payload_len, &n,
                                      NULL),
                         0);
        assert_int_equal(n, f->payload_len);
        assert_memory_equal(plain, payload + f->payload_offset, n);
    }
    free(plain);
    frame_decoder_destroy(d);
}

static void check_map(const struct test_snapshot *s, enum codec codec,
                      const uint8_t *payload, size_t len)
{
    struct snapshot_map map;
    int reads = 0;
    assert_int_equal(test_map(&s->object, &map, &reads, NULL), 0);
    assert_int_equal(reads, 1);
    assert_int_equal(map.codec, codec);
    assert_int_equal(map.payload_len, len);
    assert_int_equal(map.n_frames, (len + TEST_FRAME - 1) / TEST_FRAME);
    assert_int_equal(map.trailer_offset, s->frames_end);
    assert_memory_equal(map.sha256, s->sha256, 32);
    assert_int_equal(map.stored_crc32c,
                     crc32c(0, s->object.data, s->frames_end));
    assert_int_equal(snapshot_map_check(&map, &s->metadata, NULL), 0);
    if (codec == CODEC_ZSTD) {
        assert_int_equal(map.header_len, s->header_len);
        check_frames(s, &map, payload);
    } else {
        assert_null(map.frames);
    }
    snapshot_map_finish(&map);
}

static void check_scan(const struct test_snapshot *s, const uint8_t *payload,
                       size_t len, size_t step)
{
    struct persist_metadata *m = NULL;
    struct buf found;
    buf_init(&found, SIZE_MAX / 2);
    assert_int_equal(
        test_scan(s->object.data, s->object.len, step, &found, &m, NULL), 0);
    assert_int_equal(found.len, len);
    if (len > 0)
        assert_memory_equal(found.data, payload, len);
    assert_int_equal(m->present,
                     PERSIST_META_TRAILER | PERSIST_META_STORED_SIZE);
    assert_int_equal(m->compressed_size, s->object.len);
    assert_int_equal(m->compressed_size, s->metadata.compressed_size);
    assert_int_equal(m->uncompressed_size, len);
    assert_string_equal(m->content_hash, s->metadata.content_hash);
    assert_string_equal(m->stored_crc32c, s->metadata.stored_crc32c);
    persist_metadata_free(m);
    buf_finish(&found);
}

static void round_trip(enum codec codec, int level, enum test_fill fill,
                       size_t len)
{
    struct test_snapshot s;
    uint8_t *payload = test_payload(fill, len);
    test_snapshot_make(&s, codec, level, payload, len);

    assert_true(s.object.len - s.frames_end <= snapshot_tail_bound(&s.tail, 0));
    check_header(&s, codec);
    check_map(&s, codec, payload, len);
    check_scan(&s, payload, len, s.object.len);
    check_scan(&s, payload, len, len > 1000 ? 4093 : 1);

    test_snapshot_finish(&s);
    free(payload);
}

static void snapshot__gives_back_every_size(void **state)
{
    static const size_t sizes[] = {
        0,
        1,
        2,
        TEST_FRAME - 1,
        TEST_FRAME,
        TEST_FRAME + 1,
        3 * TEST_FRAME,
        9 * TEST_FRAME + 17,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        round_trip(CODEC_ZSTD, 3, FILL_TEXT, sizes[i]);
        round_trip(CODEC_ZSTD, 1, FILL_NOISE, sizes[i]);
        round_trip(CODEC_GZIP, 1, FILL_TEXT, sizes[i]);
        round_trip(CODEC_GZIP, 0, FILL_NOISE, sizes[i]);
    }
}

static void tail__serves_another_header(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        struct persist_metadata m = test_metadata(codecs[c]);
        struct buf rebased;
        uint8_t *payload = test_payload(FILL_TEXT, 3 * TEST_FRAME);
        test_snapshot_make(&s, codecs[c], 1, payload, 3 * TEST_FRAME);

        m.snapshot_index = 123456;
        buf_init(&rebased, SIZE_MAX / 2);
        assert_int_equal(snapshot_header_encode(codecs[c], &m, &rebased, NULL),
                         0);
        size_t header_len = rebased.len;
        buf_append(&rebased, s.object.data + s.header_len,
                   s.frames_end - s.header_len);
        assert_int_equal(snapshot_tail_encode(&s.tail, rebased.data, header_len,
                                              s.sha256, &m, &rebased, NULL),
                         0);

        struct persist_metadata *found = NULL;
        assert_int_equal(
            test_scan(rebased.data, rebased.len, 1000, NULL, &found, NULL), 0);
        assert_int_equal(found->snapshot_index, 123456);
        persist_metadata_free(found);
        buf_finish(&rebased);
        test_snapshot_finish(&s);
        free(payload);
    }
}

static void header__must_agree_with_the_container(void **state)
{
    struct persist_metadata m = test_metadata(CODEC_GZIP);
    struct persist_metadata *found = NULL;
    struct persist_error err;
    struct buf json;
    struct buf object;
    uint64_t need = 0;
    size_t header_len = 0;
    enum codec codec;
    (void)state;
    buf_init(&json, 10000);
    buf_init(&object, 10000);

    assert_int_equal(snapshot_header_encode(CODEC_ZSTD, &m, &object, &err),
                     PERSIST_E_INVALID);
    assert_int_equal(metadata_encode_header(&m, &json, NULL), 0);
    envelope_put(CODEC_ZSTD, BLOCK_HEADER, json.data, json.len, &object);
    assert_int_equal(snapshot_header_parse(object.data, object.len, &need,
                                           &codec, &header_len, &found, &err),
                     PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "gzip in a container of zstd"));

    m.compression_algorithm = NULL;
    assert_int_equal(snapshot_header_encode(CODEC_ZSTD, &m, &object, &err),
                     PERSIST_E_INVALID);
    buf_finish(&json);
    buf_finish(&object);
}

static void header__has_a_ceiling(void **state)
{
    static const size_t max[] = {
        SNAPSHOT_HEADER_MAX - 24, /* JSON of zstd */
        60 << 10,                 /* of gzip */
    };
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct persist_metadata m = test_metadata(codecs[c]);
        struct persist_metadata *found = NULL;
        struct persist_error err;
        struct buf json;
        struct buf object;
        uint64_t need = 0;
        size_t header_len = 0, bound = 0;
        enum codec codec;
        buf_init(&json, SIZE_MAX / 2);
        buf_init(&object, SIZE_MAX / 2);
        m.description = "";
        assert_int_equal(metadata_encode_header(&m, &json, NULL), 0);
        size_t room = max[c] - json.len;
        char *text = calloc(1, room + 2);
        assert_non_null(text);
        memset(text, 'x', room);
        m.description = text;

        assert_int_equal(snapshot_header_encode(codecs[c], &m, &object, &err),
                         0);
        assert_int_equal(snapshot_header_parse(object.data, object.len, &need,
                                               &codec, &header_len, &found,
                                               &err),
                         0);
        assert_int_equal(strlen(found->description), room);
        persist_metadata_free(found);
        assert_int_equal(snapshot_header_bound(codecs[c], &m, &bound, &err), 0);
        assert_int_equal(bound, object.len);

        text[room] = 'x';
        assert_int_equal(snapshot_header_bound(codecs[c], &m, &bound, &err),
                         PERSIST_E_INVALID);
        assert_true(strlen(err.hint) > 0);
        buf_clear(&object);
        assert_int_equal(snapshot_header_encode(codecs[c], &m, &object, &err),
                         PERSIST_E_INVALID);
        assert_int_equal(object.len, 0);
        assert_true(strlen(err.hint) > 0);

        free(text);
        buf_finish(&json);
        buf_finish(&object);
    }
}

/* Room for what is encoded later, with another index, and little more. */
static void header__says_how_long_it_may_get(void **state)
{
    static const struct persist_label labels[] = {{"b", "\"\n"}, {"a", "\x01"}};
    static const struct persist_label twice[] = {{"a", "1"}, {"a", "2"}};
    struct persist_error err;
    char escaped[201] = "";
    size_t bound = 0;
    (void)state;
    memset(escaped, 0x1f, sizeof(escaped) - 1);
    for (int i = 0; i < 8; i++) {
        struct persist_metadata m = test_metadata(codecs[i % 2]);
        struct buf object;
        buf_init(&object, SIZE_MAX / 2);
        m.schema = i & 2 ? NULL : escaped;
        m.description = i & 2 ? escaped : NULL;
        m.labels = i & 4 ? labels : NULL;
        m.n_labels = i & 4 ? 2 : 0;
        m.frame_size = i & 4 ? FRAME_SIZE_MAX : FRAME_SIZE_MIN;
        m.snapshot_index = PERSIST_INDEX_MAX;
        assert_int_equal(
            snapshot_header_encode(codecs[i % 2], &m, &object, &err), 0);
        assert_int_equal(snapshot_header_bound(codecs[i % 2], &m, &bound, &err),
                         0);
        assert_in_range(bound, object.len, object.len + 100);
        buf_finish(&object);
    }
    struct persist_metadata m = test_metadata(CODEC_ZSTD);
    m.labels = twice;
    m.n_labels = 2;
    assert_int_equal(snapshot_header_bound(CODEC_ZSTD, &m, &bound, &err),
                     PERSIST_E_INVALID);
    m.n_labels = 0;
    m.schema = "\xff";
    assert_int_equal(snapshot_header_bound(CODEC_ZSTD, &m, &bound, &err),
                     PERSIST_E_INVALID);
    assert_int_equal(snapshot_header_bound(CODEC_GZIP, &m, &bound, &err),
                     PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "cannot stand before gzip"));
}

static void tail__refuses_impossible_frames(void **state)
{
    struct snapshot_tail t;
    (void)state;
    snapshot_tail_init(&t, CODEC_ZSTD, TEST_FRAME);

    assert_int_equal(snapshot_tail_frame(&t, 100, 0, 0, NULL),
                     PERSIST_E_INTERNAL);
    assert_int_equal(snapshot_tail_frame(&t, 100, TEST_FRAME + 1, 0, NULL),
                     PERSIST_E_INTERNAL);
    assert_int_equal(snapshot_tail_frame(&t, 13, 1, 0, NULL),
                     PERSIST_E_INTERNAL);
    assert_int_equal(
        snapshot_tail_frame(
            &t, (uint32_t)frame_bound(CODEC_ZSTD, TEST_FRAME) + 1, 1, 0, NULL),
        PERSIST_E_INTERNAL);
    assert_int_equal(snapshot_tail_frame(&t, 100, TEST_FRAME, 0, NULL), 0);
    assert_int_equal(snapshot_tail_frame(&t, 100, 5, 0, NULL), 0);
    assert_int_equal(snapshot_tail_frame(&t, 100, 5, 0, NULL),
                     PERSIST_E_INTERNAL);

    t.short_frame = false;
    t.n_frames = SEEK_ENTRIES_MAX - 2;
    assert_int_equal(snapshot_tail_frame(&t, 100, TEST_FRAME, 0, NULL),
                     PERSIST_E_INVALID);
    snapshot_tail_finish(&t);
}

static void tail__says_how_long_it_may_get(void **state)
{
    struct snapshot_tail t;
    struct persist_metadata m = test_metadata(CODEC_ZSTD);
    struct buf out;
    uint8_t sha256[32] = {0};
    (void)state;
    snapshot_tail_init(&t, CODEC_ZSTD, TEST_FRAME);
    buf_init(&out, SIZE_MAX / 2);
    size_t bound = snapshot_tail_bound(&t, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(snapshot_tail_frame(&t, 100, TEST_FRAME, 1, NULL), 0);

    t.payload_len = INT64_MAX;
    assert_int_equal(snapshot_tail_encode(&t, "x", 1, sha256, &m, &out, NULL),
                     0);

    assert_true(out.len <= bound);
    assert_true(out.len + 256 > bound);
    buf_finish(&out);
    snapshot_tail_finish(&t);
}

/* ------------------------------------------------------- what is no snapshot
 */

static void reader__says_what_an_object_is_instead(void **state)
{
    static const uint8_t v1[] = {
        /* gzip of {"metadata":{},"agent_state":{}} */
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
        0xab, 0x56, 0xca, 0x4d, 0x2d, 0x49, 0x4c, 0x49, 0x2c, 0x49,
        0x54, 0xb2, 0xaa, 0xae, 0xd5, 0x51, 0x4a, 0x4c, 0x4f, 0xcd,
        0x2b, 0x89, 0x2f, 0x2e, 0x49, 0x2c, 0x49, 0x05, 0x09, 0xd4,
        0x02, 0x00, 0x99, 0x78, 0x71, 0xa0, 0x20, 0x00, 0x00, 0x00};
    static const uint8_t v1_spaced[] = {
        /* the same with white space */
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab,
        0xe6, 0x52, 0x50, 0x50, 0xca, 0x4d, 0x2d, 0x49, 0x4c, 0x49, 0x2c,
        0x49, 0x54, 0xb2, 0x52, 0xa8, 0xae, 0xd5, 0x51, 0x50, 0x4a, 0x4c,
        0x4f, 0xcd, 0x2b, 0x89, 0x2f, 0x2e, 0x49, 0x2c, 0x49, 0x05, 0x0b,
        0xd5, 0x02, 0x00, 0x0a, 0xad, 0x7b, 0x98, 0x26, 0x00, 0x00, 0x00};
    static const uint8_t text[] = {
        /* gzip of {"metadata_of":1} */
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
        0xab, 0x56, 0xca, 0x4d, 0x2d, 0x49, 0x4c, 0x49, 0x2c, 0x49,
        0x8c, 0xcf, 0x4f, 0x53, 0xb2, 0x32, 0xac, 0x05, 0x00, 0xe0,
        0x86, 0xff, 0x69, 0x11, 0x00, 0x00, 0x00};
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,
                                   3,    0,    0, 0, 0, 0, 0, 0, 0, 0};
    static const struct marker marker = {TEST_ID, TEST_TIME, "host"};
    char claim[CLAIM_LEN];
    char tombstone[TOMBSTONE_LEN];
    char other[64] = {0x52, 0x2a, 0x4d, 0x18};
    const struct {
        const void *data;
        size_t len;
        int status;
        const char *message;
    } cases[] = {
        {"", 0, PERSIST_E_CORRUPT, "empty"},
        {"abc", 3, PERSIST_E_CORRUPT, "too short"},
        {"0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefgh", 50,
         PERSIST_E_CORRUPT, "is not a snapshot"},
        {claim, CLAIM_LEN, PERSIST_E_CORRUPT, "is a claim"},
        {tombstone, TOMBSTONE_LEN, PERSIST_E_CORRUPT, "is the tombstone"},
        {other, sizeof(other), PERSIST_E_CORRUPT, "is not a snapshot"},
        {gzip, sizeof(gzip), PERSIST_E_CORRUPT, "is a gzip file"},
        {text, sizeof(text), PERSIST_E_CORRUPT, "is a gzip file"},
        {v1, sizeof(v1), PERSIST_E_UNSUPPORTED, "Persist 0.1"},
        {v1_spaced, sizeof(v1_spaced), PERSIST_E_UNSUPPORTED, "Persist 0.1"},
    };
    (void)state;
    claim_encode(&marker, claim);
    tombstone_encode(&marker, tombstone);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        struct snapshot_map map;
        uint64_t need = 0;
        size_t header_len = 0;
        enum codec codec;
        const size_t len = cases[i].len;

        assert_int_equal(test_scan(cases[i].data, len, 7, NULL, NULL, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
        assert_int_equal(
            snapshot_map_parse(cases[i].data, len, len, &map, &need, &err),
            cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
        if (len < ENVELOPE_PEEK)
            continue;
        assert_int_equal(snapshot_header_parse(cases[i].data, len, &need,
                                               &codec, &header_len, &m, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
        if (cases[i].status == PERSIST_E_UNSUPPORTED)
            assert_non_null(strstr(err.hint, "persist import"));
    }
}

static void writer__reports_a_full_buffer(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct persist_metadata m = test_metadata(codecs[c]);
        struct snapshot_tail t;
        uint8_t sha256[32] = {0};
        struct buf out;
        buf_init(&out, 100);
        snapshot_tail_init(&t, codecs[c], TEST_FRAME);
        assert_int_equal(snapshot_header_encode(codecs[c], &m, &out, NULL),
                         PERSIST_E_MEMORY);
        buf_clear(&out);
        assert_int_equal(
            snapshot_tail_encode(&t, "x", 1, sha256, &m, &out, NULL),
            PERSIST_E_MEMORY);
        t.payload_len = UINT64_MAX; /* more than JSON can say */
        assert_int_equal(
            snapshot_tail_encode(&t, "x", 1, sha256, &m, &out, NULL),
            PERSIST_E_INVALID);
        snapshot_tail_finish(&t);
        buf_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot__gives_back_every_size),
        cmocka_unit_test(tail__serves_another_header),
        cmocka_unit_test(tail__refuses_impossible_frames),
        cmocka_unit_test(tail__says_how_long_it_may_get),
        cmocka_unit_test(header__must_agree_with_the_container),
        cmocka_unit_test(header__has_a_ceiling),
        cmocka_unit_test(header__says_how_long_it_may_get),
        cmocka_unit_test(reader__says_what_an_object_is_instead),
        cmocka_unit_test(writer__reports_a_full_buffer),
    };
    return cmocka_run_group_tests_name("format.snapshot", tests, NULL, NULL);
}
