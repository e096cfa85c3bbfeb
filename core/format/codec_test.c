/* SPDX-License-Identifier: Apache-2.0 */
/* Single frames: round trips, and every way a frame can be wrong. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/gzip_member.h"
#include "format/zstd_frame.h"
#include "util/le.h"

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

struct frame {
    uint8_t *data;
    size_t len;
    size_t cap;
};

static struct frame encode(enum codec codec, int level, uint32_t frame_size,
                           const void *payload, size_t len)
{
    struct frame f = {.cap = frame_bound(codec, len)};
    struct frame_encoder *e = frame_encoder_create(codec, level, frame_size);
    assert_non_null(e);
    f.data = malloc(f.cap);
    assert_non_null(f.data);
    assert_int_equal(frame_encode(e, payload, len, f.data, f.cap, &f.len, NULL),
                     0);
    assert_true(f.len <= f.cap);
    frame_encoder_destroy(e);
    return f;
}

/* Decodes a copy of exact length into room of exact size. */
static int decode(enum codec codec, uint32_t frame_size, const void *frame,
                  size_t len, size_t cap, void **out, size_t *out_len,
                  struct persist_error *err)
{
    uint8_t *in = malloc(len ? len : 1);
    uint8_t *room = malloc(cap ? cap : 1);
    struct frame_decoder *d = frame_decoder_create(codec, frame_size);
    assert_non_null(in);
    assert_non_null(room);
    assert_non_null(d);
    memcpy(in, frame, len);
    int rc = frame_decode(d, in, len, room, cap, out_len, err);
    frame_decoder_destroy(d);
    free(in);
    if (out)
        *out = room;
    else
        free(room);
    return rc;
}

static void expect_corrupt(enum codec codec, const void *frame, size_t len,
                           const char *why)
{
    struct persist_error err = {0};
    size_t n = 0;
    int rc = decode(codec, TEST_FRAME, frame, len, TEST_FRAME, NULL, &n, &err);
    if (rc != PERSIST_E_CORRUPT || !strstr(err.message, why))
        fail_msg("status %d, \"%s\" where \"%s\" should be", rc, err.message,
                 why);
}

static void round_trip(enum codec codec, int level, uint32_t frame_size,
                       enum test_fill fill, size_t len)
{
    uint8_t *payload = test_payload(fill, len);
    struct frame f = encode(codec, level, frame_size, payload, len);
    void *found = NULL;
    size_t n = 0;
    assert_int_equal(
        decode(codec, frame_size, f.data, f.len, len, &found, &n, NULL), 0);
    assert_int_equal(n, len);
    assert_memory_equal(found, payload, len);
    if (fill == FILL_TEXT && len > 1000)
        assert_true(f.len < len / 2);
    free(found);
    free(f.data);
    free(payload);
}

static void frame__gives_back_every_level(void **state)
{
    (void)state;
    for (int level = 1; level <= 19; level++)
        round_trip(CODEC_ZSTD, level, TEST_FRAME, FILL_TEXT, TEST_FRAME);
    for (int level = 0; level <= 3; level++)
        round_trip(CODEC_GZIP, level, TEST_FRAME, FILL_TEXT, TEST_FRAME);
}

static void frame__gives_back_every_size(void **state)
{
    static const size_t sizes[] = {
        1,     2,      255,    256,    257,     4096,          65535,   65536,
        65537, 131070, 131071, 131072, 1 << 20, (4 << 20) - 1, 4 << 20,
    };
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            round_trip(codecs[c], 1, FRAME_SIZE_DEFAULT, FILL_TEXT, sizes[i]);
            round_trip(codecs[c], 1, FRAME_SIZE_DEFAULT, FILL_NOISE, sizes[i]);
        }
    }
}

/* Noise costs a few bytes a block at any level, and never more than the bound.
 */
static void frame__of_noise_keeps_to_the_bound(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level++)
        for (size_t len = 65500; len < 65580; len += 7)
            round_trip(CODEC_GZIP, level, 2 * TEST_FRAME, FILL_NOISE, len);
    for (int level = 1; level <= 19; level += 6)
        for (size_t len = 1; len < 2 * TEST_FRAME; len += 13001)
            round_trip(CODEC_ZSTD, level, 2 * TEST_FRAME, FILL_NOISE, len);
    for (size_t c = 0; c < 2; c++)
        assert_true(frame_bound(codecs[c], FRAME_SIZE_MAX) <
                    FRAME_SIZE_MAX + FRAME_SIZE_MAX / 200);
}

/* More room is no reason to use it: readers refuse longer frames. */
static void frame__of_noise_keeps_to_the_bound_in_more_room(void **state)
{
    (void)state;
    uint8_t *payload = test_payload(FILL_NOISE, TEST_FRAME);
    for (size_t c = 0; c < 2; c++) {
        for (int level = 1; level <= 3; level++) {
            size_t n = 0;
            size_t bound = frame_bound(codecs[c], TEST_FRAME);
            uint8_t *out = malloc(2 * bound);
            struct frame_encoder *e = frame_encoder_create(
                codecs[c], codecs[c] == CODEC_GZIP ? level - 1 : level,
                TEST_FRAME);
            assert_non_null(out);
            assert_non_null(e);
            assert_int_equal(
                frame_encode(e, payload, TEST_FRAME, out, 2 * bound, &n, NULL),
                0);
            assert_true(n <= bound);
            frame_encoder_destroy(e);
            free(out);
        }
    }
    free(payload);
}

static void frame__does_not_depend_on_those_before(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        int level = codec_level_default(codecs[c]);
        uint8_t *payload = test_payload(FILL_TEXT, TEST_FRAME);
        struct frame alone =
            encode(codecs[c], level, TEST_FRAME, payload, TEST_FRAME);
        struct frame_encoder *e =
            frame_encoder_create(codecs[c], level, TEST_FRAME);
        assert_non_null(e);
        for (size_t len = 1; len <= TEST_FRAME; len *= 4)
            assert_int_equal(frame_encode(e, payload, len, alone.data + 0,
                                          alone.cap, &alone.len, NULL),
                             0);
        struct frame again = {.data = malloc(alone.cap), .cap = alone.cap};
        assert_non_null(again.data);
        assert_int_equal(frame_encode(e, payload, TEST_FRAME, again.data,
                                      again.cap, &again.len, NULL),
                         0);
        assert_int_equal(again.len, alone.len);
        assert_memory_equal(again.data, alone.data, alone.len);
        frame_encoder_destroy(e);
        free(again.data);
        free(alone.data);
        free(payload);
    }
}

static void encoder__refuses_what_is_no_frame(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        uint8_t out[100];
        size_t n = 0;
        uint8_t *payload = test_payload(FILL_NOISE, TEST_FRAME + 1);
        struct frame_encoder *e =
            frame_encoder_create(codecs[c], 1, TEST_FRAME);
        assert_non_null(e);
        assert_int_equal(
            frame_encode(e, payload, 0, out, sizeof(out), &n, NULL),
            PERSIST_E_INTERNAL);
        assert_int_equal(frame_encode(e, payload, TEST_FRAME + 1, out,
                                      sizeof(out), &n, NULL),
                         PERSIST_E_INTERNAL);
        assert_int_equal(
            frame_encode(e, payload, TEST_FRAME, out, sizeof(out), &n, NULL),
            PERSIST_E_INTERNAL);
        assert_int_equal(frame_encode(e, payload, 1, out, 10, &n, NULL),
                         PERSIST_E_INTERNAL);
        frame_encoder_destroy(e);
        free(payload);
    }
}

static void codec__has_names_levels_and_sizes(void **state)
{
    enum codec codec;
    (void)state;
    assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
    assert_string_equal(codec_name(CODEC_GZIP), "gzip");
    assert_string_equal(codec_name((enum codec)9), "unknown");
    assert_string_equal(codec_name((enum codec)0), "unknown");
    assert_true(codec_from_name("zstd", &codec) && codec == CODEC_ZSTD);
    assert_true(codec_from_name("gzip", &codec) && codec == CODEC_GZIP);
    assert_false(codec_from_name("Zstd", &codec));
    assert_false(codec_from_name("", &codec));
    assert_int_equal(codec_level_default(CODEC_ZSTD), 1);
    assert_int_equal(codec_level_default(CODEC_GZIP), 1);
    assert_false(codec_level_ok(CODEC_ZSTD, 0));
    assert_true(codec_level_ok(CODEC_ZSTD, 19));
    assert_false(codec_level_ok(CODEC_ZSTD, 20));
    assert_false(codec_level_ok(CODEC_GZIP, -1));
    assert_true(codec_level_ok(CODEC_GZIP, 0));
    assert_false(codec_level_ok(CODEC_GZIP, 4));
    assert_false(codec_level_ok((enum codec)0, 1));
    assert_true(codec_frame_size_ok(FRAME_SIZE_MIN));
    assert_true(codec_frame_size_ok(FRAME_SIZE_MAX));
    assert_false(codec_frame_size_ok(FRAME_SIZE_MIN / 2));
    assert_false(codec_frame_size_ok(FRAME_SIZE_MAX * 2));
    assert_false(codec_frame_size_ok(FRAME_SIZE_MIN * 3));
    assert_false(codec_frame_size_ok(0));

    assert_null(frame_encoder_create(CODEC_ZSTD, 20, TEST_FRAME));
    assert_null(frame_encoder_create(CODEC_ZSTD, 1, TEST_FRAME - 1));
    assert_null(frame_encoder_create((enum codec)7, 1, TEST_FRAME));
    assert_null(frame_decoder_create(CODEC_GZIP, 0));
    assert_null(frame_decoder_create((enum codec)7, TEST_FRAME));
    frame_encoder_destroy(NULL);
    frame_decoder_destroy(NULL);
}

static size_t measure_encoder(int level, size_t len)
{
    uint8_t *payload = test_payload(FILL_TEXT, len);
    size_t cap = ZSTD_compressBound(len);
    uint8_t *out = malloc(cap);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    assert_non_null(out);
    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    assert_false(ZSTD_isError(ZSTD_compress2(c, out, cap, payload, len)));
    size_t size = ZSTD_sizeof_CCtx(c);
    ZSTD_freeCCtx(c);
    free(out);
    free(payload);
    return size;
}

static void memory__is_what_the_budget_is_told(void **state)
{
    static const struct {
        int level;
        uint32_t frame_size;
    } more[] = {
        {3, 128 << 10}, {3, 256 << 10}, {9, 512 << 10}, {3, 1 << 20},
        {19, 1 << 20},  {3, 4 << 20},   {12, 4 << 20},  {1, 16 << 20},
    };
    (void)state;
    for (int level = 1; level <= 19; level++)
        assert_true(frame_encoder_memory(CODEC_ZSTD, level, TEST_FRAME) >=
                    measure_encoder(level, TEST_FRAME));
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        size_t said =
            frame_encoder_memory(CODEC_ZSTD, more[i].level, more[i].frame_size);
        size_t is = measure_encoder(more[i].level, more[i].frame_size);
        assert_true(said >= is);
        assert_true(said <= 4 * is);
    }
    ZSTD_DCtx *d = ZSTD_createDCtx();
    assert_true(frame_decoder_memory(CODEC_ZSTD, TEST_FRAME) >=
                ZSTD_sizeof_DCtx(d));
    ZSTD_freeDCtx(d);
    assert_in_range(frame_decoder_memory(CODEC_GZIP, TEST_FRAME), 1 << 15,
                    1 << 20);
    assert_in_range(frame_encoder_memory(CODEC_GZIP, 3, TEST_FRAME), 1 << 15,
                    1 << 20);
}

/* ------------------------------------------------------------ bad zstd */

/* A frame made by the library with settings of the test's own. */
static struct frame foreign_zstd(int checksum, int content_size, size_t len)
{
    struct frame f = {.cap = ZSTD_compressBound(len)};
    uint8_t *payload = test_payload(FILL_TEXT, len);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    f.data = malloc(f.cap);
    assert_non_null(f.data);
    assert_non_null(c);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, content_size);
    f.len = ZSTD_compress2(c, f.data, f.cap, payload, len);
    assert_false(ZSTD_isError(f.len));
    ZSTD_freeCCtx(c);
    free(payload);
    return f;
}

static void zstd__needs_checksum_and_content_size(void **state)
{
    (void)state;
    struct frame f = foreign_zstd(0, 1, 1000);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "has no checksum");
    free(f.data);
    f = foreign_zstd(1, 0, 1000);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "has no content size");
    free(f.data);
    f = foreign_zstd(1, 1, 0);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "is empty");
    free(f.data);
}

static void zstd__refuses_impossible_headers(void **state)
{
    /* magic, descriptor, then what the descriptor announces */
    static const struct {
        uint8_t data[24];
        const char *why;
    } cases[] = {
        {{0x27, 0xb5, 0x2f, 0xfd, 0x24, 1}, "does not begin like one"},
        {{0x50, 0x2a, 0x4d, 0x18, 8}, "does not begin like one"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x2c, 1}, "reserved bit"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x25, 1, 1}, "needs a dictionary"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x27, 0, 0, 0, 0, 1}, "needs a dictionary"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x44, 0xff, 1, 0}, "too large a window"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x44, 0x71, 1, 0}, "too large a window"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 0}, "is empty"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 1, 7}, "impossible block"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 1, 1, 0, 0x11}, "impossible block"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0xa4, 0, 0, 1, 1, 1, 0, 0, 1, 2, 3, 4},
         "says it holds"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 1,    0,    0,    1,    2,    3,    4},
         "says it holds"},
    };
    static const size_t exact[] = {24, 24, 24, 24, 24, 24,
                                   24, 24, 24, 24, 16, 20};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_corrupt(CODEC_ZSTD, cases[i].data, exact[i], cases[i].why);

    /* the largest window there may be is no reason */
    static const uint8_t largest[] = {0x28, 0xb5, 0x2f, 0xfd, 0x44, 0x70, 1, 0,
                                      1,    0,    0,    1,    2,    3,    4};
    expect_corrupt(CODEC_ZSTD, largest, sizeof(largest), "is damaged");
}

static void zstd__refuses_more_or_less_than_one_frame(void **state)
{
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3000);
    struct frame f = encode(CODEC_ZSTD, 3, TEST_FRAME, payload, 3000);
    uint8_t *twice = calloc(2, f.len + 8);
    assert_non_null(twice);
    for (size_t len = 0; len < f.len; len++)
        expect_corrupt(CODEC_ZSTD, f.data, len, "is cut short");
    memcpy(twice, f.data, f.len);
    expect_corrupt(CODEC_ZSTD, twice, f.len + 1, "1 bytes follow");
    memcpy(twice + f.len, f.data, f.len);
    expect_corrupt(CODEC_ZSTD, twice, 2 * f.len, "bytes follow");
    le_put32(twice + f.len, 0x184D2A50); /* skippable and empty */
    le_put32(twice + f.len + 4, 0);
    expect_corrupt(CODEC_ZSTD, twice, f.len + 8, "8 bytes follow");
    free(twice);
    free(f.data);
    free(payload);
}

/* The size field of a frame with a two-byte one. */
static void zstd__refuses_a_size_that_lies(void **state)
{
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3000);
    struct frame f = encode(CODEC_ZSTD, 3, TEST_FRAME, payload, 3000);
    assert_int_equal(f.data[4], 0x64);
    assert_int_equal(le_get16(f.data + 5), 3000 - 256);
    le_put16(f.data + 5, 2999 - 256);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "is damaged");
    le_put16(f.data + 5, 3001 - 256);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "is damaged");
    le_put16(f.data + 5, 0);
    expect_corrupt(CODEC_ZSTD, f.data, f.len, "is damaged");
    free(f.data);
    free(payload);
}

/* ------------------------------------------------------------ both codecs */

static void decoder__yields_no_more_than_it_has_room_for(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct persist_error err;
        size_t n = 0;
        uint8_t *payload = calloc(1, 2 * TEST_FRAME);
        assert_non_null(payload);
        struct frame f =
            encode(codecs[c], 1, 2 * TEST_FRAME, payload, 2 * TEST_FRAME);
        assert_int_equal(decode(codecs[c], 2 * TEST_FRAME, f.data, f.len,
                                2 * TEST_FRAME, NULL, &n, NULL),
                         0);
        assert_int_equal(decode(codecs[c], TEST_FRAME, f.data, f.len,
                                2 * TEST_FRAME, NULL, &n, &err),
                         PERSIST_E_CORRUPT);
        assert_non_null(strstr(err.message, "at most 65536"));
        assert_int_equal(decode(codecs[c], 2 * TEST_FRAME, f.data, f.len,
                                2 * TEST_FRAME - 1, NULL, &n, &err),
                         PERSIST_E_CORRUPT);
        assert_int_equal(
            decode(codecs[c], 2 * TEST_FRAME, f.data, f.len, 0, NULL, &n, &err),
            PERSIST_E_CORRUPT);
        free(f.data);
        free(payload);
    }
}

/* A flip is refused or changes nothing (bits without meaning, a match that
 * could as well be copied from elsewhere); stored_crc32c covers those. */
static void decoder__never_gives_back_something_else(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        unsigned harmless = 0;
        uint8_t *payload = test_payload(FILL_TEXT, 900);
        struct frame f = encode(codecs[c], 1, TEST_FRAME, payload, 900);
        for (size_t bit = 0; bit < 8 * f.len; bit++) {
            void *found = NULL;
            size_t n = 0;
            f.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            int rc = decode(codecs[c], TEST_FRAME, f.data, f.len, TEST_FRAME,
                            &found, &n, NULL);
            f.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            if (rc == 0) {
                harmless++;
                assert_int_equal(n, 900);
                assert_memory_equal(found, payload, 900);
            } else {
                assert_int_equal(rc, PERSIST_E_CORRUPT);
            }
            free(found);
        }
        assert_true(harmless < 8 * f.len / 20);
        free(f.data);
        free(payload);
    }
}

static void decoder__goes_on_after_a_bad_frame(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        uint8_t *payload = test_payload(FILL_TEXT, TEST_FRAME);
        uint8_t *out = malloc(TEST_FRAME);
        struct frame f = encode(codecs[c], 1, TEST_FRAME, payload, TEST_FRAME);
        struct frame_decoder *d = frame_decoder_create(codecs[c], TEST_FRAME);
        size_t n = 0;
        assert_non_null(out);
        assert_non_null(d);
        for (int i = 0; i < 3; i++) {
            f.data[f.len / 2] ^= 0x40;
            assert_int_equal(
                frame_decode(d, f.data, f.len, out, TEST_FRAME, &n, NULL),
                PERSIST_E_CORRUPT);
            f.data[f.len / 2] ^= 0x40;
            assert_int_equal(
                frame_decode(d, f.data, f.len, out, TEST_FRAME, &n, NULL), 0);
            assert_memory_equal(out, payload, TEST_FRAME);
        }
        frame_decoder_destroy(d);
        free(f.data);
        free(out);
        free(payload);
    }
}

/* ------------------------------------------------------------ bad gzip */

static void gzip__has_exactly_this_header(void **state)
{
    static const uint8_t fixed[] = {0x1f, 0x8b, 8,  4, 0,   0,   0, 0,
                                    0,    0xff, 12, 0, 'P', 'D', 8, 0};
    (void)state;
    struct frame f = encode(CODEC_GZIP, 1, TEST_FRAME, "state", 5);
    assert_memory_equal(f.data, fixed, sizeof(fixed));
    assert_int_equal(le_get32(f.data + 16), f.len);
    assert_int_equal(le_get32(f.data + 20), 5);
    assert_int_equal(le_get32(f.data + f.len - 4), 5);
    /* every byte of the fixed part and the sizes matters */
    for (size_t i = 0; i < MEMBER_DATA_HEAD_LEN; i++) {
        f.data[i] ^= 0x10;
        struct persist_error err;
        size_t n = 0;
        assert_int_equal(decode(CODEC_GZIP, TEST_FRAME, f.data, f.len,
                                TEST_FRAME, NULL, &n, &err),
                         PERSIST_E_CORRUPT);
        f.data[i] ^= 0x10;
    }
    free(f.data);
}

static void gzip__refuses_sizes_that_lie(void **state)
{
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3000);
    struct frame f = encode(CODEC_GZIP, 1, TEST_FRAME, payload, 3000);
    uint8_t *said = f.data + MEMBER_HEAD_LEN + 4;

    le_put32(said, 2999);
    expect_corrupt(CODEC_GZIP, f.data, f.len, "more than it says");
    le_put32(said, 3001);
    expect_corrupt(CODEC_GZIP, f.data, f.len, "less than it says");
    le_put32(said, 0);
    expect_corrupt(CODEC_GZIP, f.data, f.len, "is empty");
    le_put32(said, UINT32_MAX);
    expect_corrupt(CODEC_GZIP, f.data, f.len, "says it holds");
    le_put32(said, 3000);
    le_put32(f.data + f.len - 4, 3001);
    expect_corrupt(CODEC_GZIP, f.data, f.len, "another size");
    le_put32(f.data + f.len - 4, 3000);
    f.data[f.len - 8] ^= 1;
    expect_corrupt(CODEC_GZIP, f.data, f.len, "fails its checksum");
    f.data[f.len - 8] ^= 1;
    f.data[MEMBER_DATA_HEAD_LEN] |= 6; /* a block type there is not */
    expect_corrupt(CODEC_GZIP, f.data, f.len, "is damaged");
    free(f.data);
    free(payload);
}

static void gzip__refuses_more_or_less_than_one_member(void **state)
{
    (void)state;
    uint8_t *payload = test_payload(FILL_TEXT, 3000);
    struct frame f = encode(CODEC_GZIP, 1, TEST_FRAME, payload, 3000);
    for (size_t len = 0; len < MEMBER_DATA_MIN; len++)
        expect_corrupt(CODEC_GZIP, f.data, len, "is cut short");
    for (size_t len = MEMBER_DATA_MIN; len < f.len; len++)
        expect_corrupt(CODEC_GZIP, f.data, len, "another length");
    /* with the length made right the deflate data ends too early */
    for (size_t len = MEMBER_DATA_MIN; len < f.len; len++) {
        size_t n = 0;
        le_put32(f.data + MEMBER_HEAD_LEN, (uint32_t)len);
        assert_int_equal(decode(CODEC_GZIP, TEST_FRAME, f.data, len, TEST_FRAME,
                                NULL, &n, NULL),
                         PERSIST_E_CORRUPT);
    }
    /* or a byte stands between data and checksum */
    uint8_t *longer = malloc(f.len + 1);
    assert_non_null(longer);
    memcpy(longer, f.data, f.len - MEMBER_CHECK_LEN);
    longer[f.len - MEMBER_CHECK_LEN] = 0;
    memcpy(longer + f.len + 1 - MEMBER_CHECK_LEN,
           f.data + f.len - MEMBER_CHECK_LEN, MEMBER_CHECK_LEN);
    le_put32(longer + MEMBER_HEAD_LEN, (uint32_t)f.len + 1);
    expect_corrupt(CODEC_GZIP, longer, f.len + 1, "behind its data");
    free(longer);
    free(f.data);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame__gives_back_every_level),
        cmocka_unit_test(frame__gives_back_every_size),
        cmocka_unit_test(frame__of_noise_keeps_to_the_bound),
        cmocka_unit_test(frame__of_noise_keeps_to_the_bound_in_more_room),
        cmocka_unit_test(frame__does_not_depend_on_those_before),
        cmocka_unit_test(encoder__refuses_what_is_no_frame),
        cmocka_unit_test(codec__has_names_levels_and_sizes),
        cmocka_unit_test(memory__is_what_the_budget_is_told),
        cmocka_unit_test(zstd__needs_checksum_and_content_size),
        cmocka_unit_test(zstd__refuses_impossible_headers),
        cmocka_unit_test(zstd__refuses_more_or_less_than_one_frame),
        cmocka_unit_test(zstd__refuses_a_size_that_lies),
        cmocka_unit_test(decoder__yields_no_more_than_it_has_room_for),
        cmocka_unit_test(decoder__never_gives_back_something_else),
        cmocka_unit_test(decoder__goes_on_after_a_bad_frame),
        cmocka_unit_test(gzip__has_exactly_this_header),
        cmocka_unit_test(gzip__refuses_sizes_that_lie),
        cmocka_unit_test(gzip__refuses_more_or_less_than_one_member),
    };
    return cmocka_run_group_tests_name("format.codec", tests, NULL, NULL);
}
