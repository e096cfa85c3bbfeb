/* SPDX-License-Identifier: Apache-2.0 */
/* Whole snapshots: written, mapped from the end, read frame by frame. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "util/crc32c.h"
#include "util/le.h"

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

/* Map from one suffix, or from the longer one it asks for. */
static int map_object(const struct buf *object, struct snapshot_map *map,
                      int *out_reads, struct persist_error *err)
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
    assert_int_equal(map_object(&s->object, &map, &reads, NULL), 0);
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
        size_t header_len = 0;
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

        text[room] = 'x';
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

/* A table that is larger than a suffix, over frames that are not there. */
static void map__asks_for_a_longer_suffix(void **state)
{
    static const struct {
        uint64_t n_frames;
        int reads;
    } cases[] = {{6000, 1}, {6200, 2}, {100000, 2}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct snapshot_tail t;
        struct snapshot_map map;
        struct persist_metadata m = test_metadata(CODEC_ZSTD);
        struct buf object;
        uint8_t sha256[32] = {1};
        int reads = 0;
        snapshot_tail_init(&t, CODEC_ZSTD, TEST_FRAME);
        buf_init(&object, SIZE_MAX / 2);
        buf_zero(&object, 500);
        for (uint64_t n = 0; n < cases[i].n_frames; n++)
            assert_int_equal(snapshot_tail_frame(&t, 20, TEST_FRAME, 1, NULL),
                             0);
        buf_zero(&object, (size_t)t.frames_len);
        assert_int_equal(snapshot_tail_encode(&t, object.data, 500, sha256, &m,
                                              &object, NULL),
                         0);

        assert_int_equal(map_object(&object, &map, &reads, NULL), 0);

        assert_int_equal(reads, cases[i].reads);
        assert_int_equal(map.n_frames, cases[i].n_frames);
        assert_int_equal(map.frames[map.n_frames - 1].stored_offset,
                         500 + 20 * (map.n_frames - 1));
        assert_int_equal(snapshot_map_check(&map, &m, NULL), 0);
        snapshot_map_finish(&map);
        buf_finish(&object);
        snapshot_tail_finish(&t);
    }
}

static void map__refuses_what_the_header_contradicts(void **state)
{
    struct test_snapshot s;
    struct snapshot_map map;
    struct persist_metadata other;
    int reads = 0;
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3 * TEST_FRAME);
    test_snapshot_make(&s, CODEC_ZSTD, 1, payload, 3 * TEST_FRAME);
    assert_int_equal(map_object(&s.object, &map, &reads, NULL), 0);

    other = s.metadata;
    other.compression_algorithm = "gzip";
    assert_int_equal(snapshot_map_check(&map, &other, NULL), PERSIST_E_CORRUPT);
    other = s.metadata;
    other.frame_size = 2 * TEST_FRAME;
    assert_int_equal(snapshot_map_check(&map, &other, NULL), PERSIST_E_CORRUPT);
    map.frames[0].payload_len--;
    map.frames[1].payload_len++;
    assert_int_equal(snapshot_map_check(&map, &s.metadata, NULL),
                     PERSIST_E_CORRUPT);

    snapshot_map_finish(&map);
    test_snapshot_finish(&s);
    free(payload);
}

/* -------------------------------------------------------- seek tables that lie
 */

struct lie {
    const char *what;
    size_t entry;   /* which 8 bytes of the table */
    size_t field;   /* 0 stored, 4 payload */
    uint32_t value; /* what it becomes */
};

static int map_of_lie(const struct test_snapshot *s, const struct lie *lie)
{
    struct snapshot_map map;
    struct persist_error err;
    int reads = 0;
    struct buf object;
    buf_init(&object, SIZE_MAX / 2);
    buf_append(&object, s->object.data, s->object.len);
    char *table = object.data + object.len - SEEK_FOOTER_LEN -
                  (size_t)(s->tail.n_frames + 2) * SEEK_ENTRY_LEN;
    le_put32(table + lie->entry * SEEK_ENTRY_LEN + lie->field, lie->value);
    int rc = map_object(&object, &map, &reads, &err);
    if (rc == 0)
        snapshot_map_finish(&map);
    /* the scan sees it too, whatever the map says */
    assert_int_equal(test_scan(object.data, object.len, 5000, NULL, NULL, NULL),
                     PERSIST_E_CORRUPT);
    buf_finish(&object);
    return rc;
}

static void map__refuses_a_seek_table_that_lies(void **state)
{
    static const struct lie lies[] = {
        {"header longer", 0, 0, 900},
        {"header too long", 0, 0, UINT32_MAX},
        {"header too short", 0, 0, 8},
        {"header with payload", 0, 4, 1},
        {"frame longer", 1, 0, 200},
        {"frame far too long", 1, 0, UINT32_MAX},
        {"frame too short", 2, 0, 3},
        {"bomb", 1, 4, UINT32_MAX},
        {"more payload", 1, 4, TEST_FRAME + 1},
        {"no payload", 3, 4, 0},
        {"less payload", 3, 4, 1},
        {"trailer longer", 4, 0, 17000},
        {"trailer shorter", 4, 0, 20},
        {"trailer with payload", 4, 4, 1},
    };
    struct test_snapshot s;
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3 * TEST_FRAME);
    test_snapshot_make(&s, CODEC_ZSTD, 1, payload, 3 * TEST_FRAME);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (map_of_lie(&s, &lies[i]) != PERSIST_E_CORRUPT)
            fail_msg("not refused: %s", lies[i].what);
    }
    test_snapshot_finish(&s);
    free(payload);
}

/* Two stored sizes swapped against each other: the sums hold, the frames do
 * not. */
static void map__with_right_sums_does_not_pass_wrong_frames(void **state)
{
    struct test_snapshot s;
    struct snapshot_map map;
    int reads = 0;
    size_t n = 0;
    uint8_t plain[TEST_FRAME];
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 2 * TEST_FRAME);
    test_snapshot_make(&s, CODEC_ZSTD, 1, payload, 2 * TEST_FRAME);
    char *entry =
        s.object.data + s.object.len - SEEK_FOOTER_LEN - 3 * SEEK_ENTRY_LEN;
    le_put32(entry, le_get32(entry) + 1);
    le_put32(entry + 8, le_get32(entry + 8) - 1);

    assert_int_equal(map_object(&s.object, &map, &reads, NULL), 0);
    struct frame_decoder *d = frame_decoder_create(CODEC_ZSTD, TEST_FRAME);
    assert_non_null(d);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            frame_decode(d, s.object.data + map.frames[i].stored_offset,
                         map.frames[i].stored_len, plain, sizeof(plain), &n,
                         NULL),
            PERSIST_E_CORRUPT);
    frame_decoder_destroy(d);
    snapshot_map_finish(&map);
    test_snapshot_finish(&s);
    free(payload);
}

/* Counts are refused before memory is asked for: the table would be 1 GiB. */
static void map__refuses_counts_without_room(void **state)
{
    static const uint32_t counts[] = {0, 1, SEEK_ENTRIES_MAX, UINT32_MAX,
                                      SEEK_ENTRIES_MAX + 1};
    uint8_t object[300] = {0};
    struct snapshot_map map;
    uint64_t need = 0;
    (void)state;
    le_put32(object + sizeof(object) - 4, SEEK_MAGIC);
    for (size_t i = 0; i < 5; i++) {
        le_put32(object + sizeof(object) - 9, counts[i]);
        assert_int_equal(snapshot_map_parse(object, sizeof(object),
                                            sizeof(object), &map, &need, NULL),
                         PERSIST_E_CORRUPT);
    }
    /* of a huge object it asks for the table, and no more than there is */
    le_put32(object + sizeof(object) - 9, 1000000);
    assert_int_equal(snapshot_map_parse(object, sizeof(object),
                                        UINT64_C(1) << 40, &map, &need, NULL),
                     1);
    assert_int_equal(need, 1000000 * 8 + 17 + SNAPSHOT_TRAILER_MAX);
    object[sizeof(object) - 5] = 0x80; /* entries with checksums */
    assert_int_equal(snapshot_map_parse(object, sizeof(object),
                                        UINT64_C(1) << 40, &map, &need, NULL),
                     PERSIST_E_CORRUPT);
    assert_int_equal(
        snapshot_map_parse(object, sizeof(object), 100, &map, &need, NULL),
        PERSIST_E_INTERNAL);
}

static int map_of_footer(uint64_t trailer_offset, uint64_t n_frames,
                         uint64_t object_size)
{
    struct buf suffix;
    struct snapshot_map map;
    uint64_t need = 0;
    buf_init(&suffix, 1000);
    buf_zero(&suffix, 400);
    footer_put(&suffix, trailer_offset, n_frames);
    int rc = snapshot_map_parse(suffix.data, suffix.len, object_size, &map,
                                &need, NULL);
    if (rc == 1)
        assert_true(need > suffix.len && need <= object_size);
    buf_finish(&suffix);
    return rc;
}

static void map__refuses_a_footer_that_lies(void **state)
{
    const uint64_t size = 1000000;
    (void)state;
    assert_int_equal(map_of_footer(size - 1000, 5, size), 1);
    assert_int_equal(map_of_footer(size, 5, size), PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(UINT64_MAX, 5, size), PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(0, 0, size), PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(size - 1000, 1000000, size),
                     PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(size - 1000, UINT64_MAX, size),
                     PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(size - 46, 5, size), PERSIST_E_CORRUPT);
    assert_int_equal(map_of_footer(size - 146, 5, size), PERSIST_E_CORRUPT);
}

static void map__refuses_a_trailer_that_lies(void **state)
{
    static const char *const trailers[] = {
        "{\"content_hash\":\"%s\",\"uncompressed_size\":9,\"frame_count\":2,"
        "\"stored_crc32c\":\"00000000\"}",
        "{\"content_hash\":\"%s\",\"uncompressed_size\":9,\"frame_count\":1,"
        "\"stored_crc32c\":\"0000000g\"}",
        "{\"content_hash\":\"%s\",\"uncompressed_size\":8,\"frame_count\":1,"
        "\"stored_crc32c\":\"00000000\"}",
    };
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        test_snapshot_make(&s, codecs[c], 1, "123456789", 9);
        for (size_t i = 0; i < 3; i++) {
            struct buf json;
            struct buf object;
            struct snapshot_map map;
            int reads = 0;
            buf_init(&json, 1000);
            buf_init(&object, 10000);
            buf_append(&json, trailers[i], 17);
            buf_puts(&json, s.metadata.content_hash);
            buf_puts(&json, trailers[i] + 19);
            test_replace_trailer(&s, json.data, &object);
            int rc = map_object(&object, &map, &reads, NULL);
            /* gzip has no sums of its own for the last one */
            if (rc == 0) {
                assert_true(codecs[c] == CODEC_GZIP && i == 2);
                snapshot_map_finish(&map);
            } else {
                assert_int_equal(rc, PERSIST_E_CORRUPT);
            }
            assert_int_equal(
                test_scan(object.data, object.len, 99, NULL, NULL, NULL),
                PERSIST_E_CORRUPT);
            buf_finish(&json);
            buf_finish(&object);
        }
        test_snapshot_finish(&s);
    }
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
        {v1, sizeof(v1), PERSIST_E_UNSUPPORTED, "Persist 0.1"},
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

static void map__of_a_long_object_without_an_end_is_corrupt(void **state)
{
    char suffix[1000] = {0};
    struct snapshot_map map;
    uint64_t need = 0;
    (void)state;
    assert_int_equal(
        snapshot_map_parse(suffix, sizeof(suffix), 5000, &map, &need, NULL),
        PERSIST_E_CORRUPT);
    assert_int_equal(snapshot_map_parse(suffix, 10, 5000, &map, &need, NULL),
                     1);
    assert_int_equal(need, 5000);
    assert_int_equal(snapshot_map_parse(suffix, 0, 500000, &map, &need, NULL),
                     1);
    assert_int_equal(need, SNAPSHOT_SUFFIX);
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
        cmocka_unit_test(map__asks_for_a_longer_suffix),
        cmocka_unit_test(map__refuses_what_the_header_contradicts),
        cmocka_unit_test(map__refuses_a_seek_table_that_lies),
        cmocka_unit_test(map__with_right_sums_does_not_pass_wrong_frames),
        cmocka_unit_test(map__refuses_counts_without_room),
        cmocka_unit_test(map__refuses_a_footer_that_lies),
        cmocka_unit_test(map__refuses_a_trailer_that_lies),
        cmocka_unit_test(map__of_a_long_object_without_an_end_is_corrupt),
        cmocka_unit_test(reader__says_what_an_object_is_instead),
        cmocka_unit_test(writer__reports_a_full_buffer),
    };
    return cmocka_run_group_tests_name("format.snapshot", tests, NULL, NULL);
}
