/* SPDX-License-Identifier: Apache-2.0 */
/* The map of an object made of its last bytes, honest and lying ones. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "util/le.h"

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

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

        assert_int_equal(test_map(&object, &map, &reads, NULL), 0);

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
    assert_int_equal(test_map(&s.object, &map, &reads, NULL), 0);

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
    int rc = test_map(&object, &map, &reads, &err);
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

    assert_int_equal(test_map(&s.object, &map, &reads, NULL), 0);
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

/* Header and trailer longer than all that is there: what lies before the bytes
 * is not looked at, for which a sanitizer stands behind this test. */
static void map__refuses_parts_without_room(void **state)
{
    const size_t len = SEEK_OVERHEAD + 2 * SEEK_ENTRY_LEN;
    uint8_t *object = malloc(len);
    struct snapshot_map map;
    struct persist_error err = {0};
    uint64_t need = 0;

    (void)state;
    assert_non_null(object);
    le_put32(object, SKIPPABLE_SEEK);
    le_put32(object + 4, (uint32_t)(len - SKIPPABLE_HEAD_LEN));
    le_put32(object + 8, 100); /* header */
    le_put32(object + 12, 0);
    le_put32(object + 16, SNAPSHOT_TRAILER_MAX);
    le_put32(object + 20, 0);
    le_put32(object + 24, 2);
    object[28] = 0;
    le_put32(object + 29, SEEK_MAGIC);
    assert_int_equal(snapshot_map_parse(object, len, len, &map, &need, &err),
                     PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "shorter than its parts"));
    free(object);
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
            int rc = test_map(&object, &map, &reads, NULL);
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

/* gzip has no table to count in: the number of frames is all there is. */
static void map__of_gzip_checks_the_number_of_frames(void **state)
{
    struct test_snapshot s;
    struct snapshot_map map;
    struct persist_error err;
    int reads = 0;
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3 * TEST_FRAME);
    test_snapshot_make(&s, CODEC_GZIP, 1, payload, 3 * TEST_FRAME);
    assert_int_equal(test_map(&s.object, &map, &reads, NULL), 0);
    assert_int_equal(snapshot_map_check(&map, &s.metadata, NULL), 0);
    s.metadata.frame_size = 2 * TEST_FRAME;
    assert_int_equal(snapshot_map_check(&map, &s.metadata, &err),
                     PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "3 frames of 131072 bytes"));
    snapshot_map_finish(&map);
    test_snapshot_finish(&s);
    free(payload);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map__asks_for_a_longer_suffix),
        cmocka_unit_test(map__refuses_what_the_header_contradicts),
        cmocka_unit_test(map__of_gzip_checks_the_number_of_frames),
        cmocka_unit_test(map__refuses_a_seek_table_that_lies),
        cmocka_unit_test(map__with_right_sums_does_not_pass_wrong_frames),
        cmocka_unit_test(map__refuses_counts_without_room),
        cmocka_unit_test(map__refuses_parts_without_room),
        cmocka_unit_test(map__refuses_a_footer_that_lies),
        cmocka_unit_test(map__refuses_a_trailer_that_lies),
        cmocka_unit_test(map__of_a_long_object_without_an_end_is_corrupt),
    };
    return cmocka_run_group_tests_name("format.map", tests, NULL, NULL);
}
