/* SPDX-License-Identifier: Apache-2.0 */
/* Raw frames, as zstd reads them; and which payloads become one. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/zstd_raw.h"
#include "util/crc32c.h"
#include "util/le.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Made once: 16 MiB that do not compress, 1 that does. */
static uint8_t *noise, *text;

static int make_payloads(void **state)
{
    (void)state;
    noise = test_payload(FILL_NOISE, 16 * MIB);
    text = test_payload(FILL_TEXT, MIB);
    return 0;
}

static int free_payloads(void **state)
{
    (void)state;
    free(noise);
    free(text);
    return 0;
}

/* malloc; the pieces behind each other, each with its checksum. */
static uint8_t *collect_summed(const void *payload, size_t len,
                               zstd_raw_sum_fn fn, void *ctx)
{
    struct zstd_raw r;
    size_t want = zstd_raw_len(len), at = 0, n;
    uint8_t *frame = malloc(want);
    const void *piece;
    uint32_t crc;

    assert_non_null(frame);
    zstd_raw_begin(&r, payload, len);
    assert_int_equal(zstd_raw_sum(&r, fn, ctx, NULL), 0);
    while ((n = zstd_raw_next(&r, &piece, &crc)) > 0) {
        assert_true(n <= want - at);
        assert_int_equal(crc, crc32c(0, piece, n));
        memcpy(frame + at, piece, n);
        at += n;
    }
    assert_int_equal(at, want);
    assert_int_equal(zstd_raw_next(&r, &piece, &crc), 0);
    return frame;
}

static uint8_t *collect(const void *payload, size_t len)
{
    return collect_summed(payload, len, NULL, NULL);
}

static const size_t sizes[] = {
    1,         255,           256,           65791,   65792,    128 * KIB - 1,
    128 * KIB, 128 * KIB + 1, 256 * KIB + 7, 4 * MIB, 16 * MIB,
};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

/* zstd checks the XXH64. */
static void check_against_zstd(size_t size)
{
    uint8_t *frame = collect(noise, size);
    uint8_t *found = malloc(size);
    size_t len = zstd_raw_len(size);

    assert_non_null(found);
    assert_int_equal(ZSTD_decompress(found, size, frame, len), size);
    assert_memory_equal(found, noise, size);
    frame[len - 1] ^= 1; /* it would not look where there is none */
    assert_true(ZSTD_isError(ZSTD_decompress(found, size, frame, len)));
    free(found);
    free(frame);
}

static void raw__is_a_frame_to_zstd(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++)
        check_against_zstd(sizes[i]);
    for (size_t size = 1; size <= 100; size++) /* every end of a checksum */
        check_against_zstd(size);
}

static void raw__is_a_frame_to_us(void **state)
{
    struct frame_decoder *d = frame_decoder_create(CODEC_ZSTD, FRAME_SIZE_MAX);

    (void)state;
    assert_non_null(d);
    for (size_t i = 0; i < N_SIZES; i++) {
        uint8_t *frame = collect(noise, sizes[i]);
        uint8_t *found = malloc(sizes[i]);
        size_t n = 0;

        assert_non_null(found);
        assert_true(zstd_raw_len(sizes[i]) <=
                    frame_bound(CODEC_ZSTD, sizes[i]));
        assert_int_equal(frame_decode(d, frame, zstd_raw_len(sizes[i]), found,
                                      sizes[i], &n, NULL),
                         0);
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(found, noise, n);
        free(found);
        free(frame);
    }
    frame_decoder_destroy(d);
}

/* What reads the payload to sum it. */
struct reading {
    const uint8_t *at;
    size_t left;
    size_t stop_at; /* where left is this, it fails */
};

static int read_and_sum(void *ctx, struct xxh64 *xxh, uint32_t *crc,
                        const void *data, size_t len, void *out)
{
    struct reading *r = ctx;

    if (r->left == r->stop_at)
        return PERSIST_E_INTERNAL;
    assert_ptr_equal(data, r->at);
    assert_true(len <= r->left);
    assert_null(out);
    r->at += len;
    r->left -= len;
    xxh64_update(xxh, data, len);
    *crc = crc32c(*crc, data, len);
    return PERSIST_OK;
}

static void sum__reads_every_byte_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++) {
        struct reading r = {noise, sizes[i], SIZE_MAX};
        uint8_t *want = collect(noise, sizes[i]);
        uint8_t *frame = collect_summed(noise, sizes[i], read_and_sum, &r);

        assert_int_equal(r.left, 0);
        assert_memory_equal(frame, want, zstd_raw_len(sizes[i]));
        free(frame);
        free(want);
    }
}

/* Only the bytes between the pieces of the payload are missing then. */
static void sum__puts_the_payload_where_the_frame_will_lie(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t len = zstd_raw_len(sizes[i]), at = 0, moved = 0, n;
        uint8_t *want = collect(noise, sizes[i]), *place = malloc(len + 1);
        const void *piece;
        struct zstd_raw r;
        uint32_t crc;

        assert_non_null(place);
        memset(place, 0x5a, len + 1);
        zstd_raw_begin(&r, noise, sizes[i]);
        assert_int_equal(zstd_raw_sum(&r, NULL, NULL, place), 0);
        for (; (n = zstd_raw_next(&r, &piece, &crc)) > 0; at += n) {
            if (piece == place + at)
                continue;
            memcpy(place + at, piece, n);
            moved += n;
        }
        assert_int_equal(moved, len - sizes[i]);
        assert_memory_equal(place, want, len);
        assert_int_equal(place[len], 0x5a);
        free(place);
        free(want);
    }
}

static void unplace__gives_the_payload_again(void **state)
{
    enum { LEN = 200 * KIB };
    size_t at = 0, n;
    uint8_t *want = collect(noise, LEN), *place = malloc(zstd_raw_len(LEN));
    const void *piece;
    struct zstd_raw r;
    uint32_t crc;

    (void)state;
    assert_non_null(place);
    zstd_raw_begin(&r, noise, LEN);
    assert_int_equal(zstd_raw_sum(&r, NULL, NULL, place), 0);
    memset(place, 0, zstd_raw_len(LEN));
    zstd_raw_unplace(&r);
    for (; (n = zstd_raw_next(&r, &piece, &crc)) > 0; at += n)
        assert_memory_equal(want + at, piece, n);
    assert_int_equal(at, zstd_raw_len(LEN));
    free(place);
    free(want);
}

static void sum__ends_where_reading_fails(void **state)
{
    struct reading r = {noise, 512 * KIB, 256 * KIB};
    struct zstd_raw raw;

    (void)state;
    zstd_raw_begin(&raw, noise, 512 * KIB);
    assert_int_equal(zstd_raw_sum(&raw, read_and_sum, &r, NULL),
                     PERSIST_E_INTERNAL);
    assert_int_equal(r.left, 256 * KIB);
}

/* -------------------------------------------------------------------- back */

/* The payload as zstd_raw_find says, where the checksum holds; NULL: the
 * decoder has to say.  malloc. */
static uint8_t *found_payload(const uint8_t *frame, size_t len, size_t *out_len)
{
    struct frame_payload p;
    uint8_t *got, *at;
    const void *piece;
    uint32_t crc;
    bool holds;
    size_t n;

    if (!zstd_raw_find(frame, len, &p))
        return NULL;
    *out_len = p.len;
    assert_int_equal(
        zstd_raw_check(frame, len, p, NULL, NULL, NULL, &crc, &holds), 0);
    assert_int_equal(crc, crc32c(0, frame, len));
    if (!holds)
        return NULL;
    at = got = malloc(p.len);
    assert_non_null(got);
    while ((n = frame_payload_next(&p, &piece)) > 0) {
        assert_true((const uint8_t *)piece + n <= frame + len);
        memcpy(at, piece, n);
        at += n;
    }
    assert_int_equal(at - got, *out_len);
    return got;
}

static void find__gives_the_payload_of_our_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SIZES; i++) {
        uint8_t *frame = collect(noise, sizes[i]), *got;
        size_t len = 0;

        got = found_payload(frame, zstd_raw_len(sizes[i]), &len);
        assert_non_null(got);
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(got, noise, len);
        free(got);
        frame[zstd_raw_len(sizes[i]) - 1] ^= 1;
        assert_null(found_payload(frame, zstd_raw_len(sizes[i]), &len));
        free(frame);
    }
}

/* zstd's own, of short noise; of text there is nothing to find. */
static void find__gives_the_payload_of_zstds_frames(void **state)
{
    const size_t cap = frame_bound(CODEC_ZSTD, 256 * KIB);
    struct frame_encoder *e =
        frame_encoder_create(CODEC_ZSTD, 3, FRAME_SIZE_DEFAULT);
    uint8_t *frame = malloc(cap), *got;
    size_t len = 0, n = 0;

    (void)state;
    assert_non_null(e);
    assert_non_null(frame);
    for (size_t size = 64 * KIB; size <= 256 * KIB; size += 64 * KIB) {
        assert_int_equal(frame_compress(e, noise, size, frame, cap, &len, NULL),
                         0);
        got = found_payload(frame, len, &n);
        assert_non_null(got);
        assert_int_equal(n, size);
        assert_memory_equal(got, noise, size);
        free(got);
    }
    assert_int_equal(frame_compress(e, text, 256 * KIB, frame, cap, &len, NULL),
                     0);
    assert_null(found_payload(frame, len, &n));
    frame_encoder_destroy(e);
    free(frame);
}

/* Where the payload was copied to it is checked there. */
static void check__reads_the_copy(void **state)
{
    const size_t size = 300 * KIB, len = zstd_raw_len(size);
    uint8_t *frame = collect(noise, size), *copy = malloc(size);
    struct frame_payload p;
    bool holds = false;
    uint32_t crc = 0;

    (void)state;
    assert_non_null(copy);
    memcpy(copy, noise, size);
    assert_true(zstd_raw_find(frame, len, &p));
    assert_int_equal(
        zstd_raw_check(frame, len, p, copy, NULL, NULL, &crc, &holds), 0);
    assert_true(holds);
    assert_int_equal(crc, crc32c(0, frame, len));
    copy[size - 1] ^= 1;
    assert_int_equal(
        zstd_raw_check(frame, len, p, copy, NULL, NULL, &crc, &holds), 0);
    assert_false(holds);
    free(frame);
    free(copy);
}

static uint32_t random_below(uint32_t n)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 33) % n;
}

/* A frame of raw blocks of any lengths, with one of the headers that there are;
 * up to 4 KiB of payload. */
static size_t make_blocks(uint8_t *frame)
{
    size_t left = 1 + random_below(4000), at = 0, pos = 0;
    bool single = random_below(2);
    struct xxh64 sum;

    xxh64_init(&sum);
    xxh64_update(&sum, noise, left);
    le_put32(frame, ZSTD_FRAME_MAGIC);
    frame[4] = (uint8_t)(2 << ZSTD_FHD_SIZE_SHIFT | ZSTD_FHD_CHECKSUM |
                         (single ? 1 << 5 : 0));
    pos = 5;
    if (!single)
        frame[pos++] = (uint8_t)(random_below(8) << 3); /* 1 to 128 KiB */
    le_put32(frame + pos, (uint32_t)left);
    pos += 4;
    while (left > 0) {
        size_t n = 1 + random_below((uint32_t)left);
        uint32_t head = (uint32_t)n << 3 | (n == left);

        le_put16(frame + pos, (uint16_t)head);
        frame[pos + 2] = (uint8_t)(head >> 16);
        memcpy(frame + pos + 3, noise + at, n);
        pos += 3 + n;
        at += n;
        left -= n;
    }
    le_put32(frame + pos, (uint32_t)xxh64_digest(&sum));
    return pos + 4;
}

/* Headers are hit as often as payload. */
static size_t mutate(uint8_t *frame, size_t len)
{
    struct frame_payload p = {.len = 0};
    size_t at = random_below((uint32_t)len);
    bool known = zstd_raw_find(frame, len, &p);

    switch (random_below(8)) {
    case 0: /* cut short */
        return at;
    case 1: /* something behind it */
        memcpy(frame + len, noise + at, 8);
        return len + 1 + random_below(8);
    case 2: /* in the frame's header */
        at = random_below(10);
        break;
    case 3: /* its checksum */
        at = len - 1 - random_below(4);
        break;
    case 4: /* a block's header */
    case 5:
    case 6:
        for (unsigned n = known ? random_below(4) : 0; n > 0; n--) {
            const void *piece;

            if (frame_payload_next(&p, &piece) == 0)
                break;
        }
        if (known && p.len > 0)
            at = (size_t)(p.at - frame) + random_below(3);
        break;
    default:
        break;
    }
    frame[at] ^= (uint8_t)(1u << random_below(8));
    return len;
}

/* Whatever is found the decoder would give too, to the byte; and what it
 * refuses is not found.  Frames are in memory of their own length. */
static void find__never_says_more_than_the_decoder(void **state)
{
    struct frame_decoder *d = frame_decoder_create(CODEC_ZSTD, FRAME_SIZE_MIN);
    uint8_t *room = malloc(16 * KIB), *out = malloc(FRAME_SIZE_MIN);
    unsigned n_found = 0, n_refused = 0;

    (void)state;
    assert_non_null(d);
    assert_non_null(room);
    assert_non_null(out);
    for (unsigned i = 0; i < 60000; i++) {
        size_t len = make_blocks(room), found_len = 0, decoded_len = 0;
        uint8_t *frame, *found;

        for (unsigned n = random_below(4); n > 0 && len > 0; n--)
            len = mutate(room, len);
        frame = malloc(len ? len : 1);
        assert_non_null(frame);
        memcpy(frame, room, len);
        int rc = frame_decode(d, frame, len, out, FRAME_SIZE_MIN, &decoded_len,
                              NULL);
        found = found_payload(frame, len, &found_len);
        if (found) {
            assert_int_equal(rc, PERSIST_OK);
            assert_int_equal(found_len, decoded_len);
            assert_memory_equal(found, out, found_len);
        }
        n_found += found != NULL;
        n_refused += rc != PERSIST_OK;
        free(found);
        free(frame);
    }
    assert_true(n_found > 10000);
    assert_true(n_refused > 10000);
    frame_decoder_destroy(d);
    free(out);
    free(room);
}

/* What raw frames of ours are not: every one is left to the decoder. */
static void find__leaves_everything_else_to_the_decoder(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {
        {0, 0x50},  /* skippable: 184D2A50 has another second byte too */
        {4, 0x80},  /* no checksum */
        {4, 0x8c},  /* a reserved bit */
        {4, 0x85},  /* a dictionary */
        {5, 0xff},  /* a window above all */
        {6, 0x01},  /* one byte more than there are */
        {10, 0x02}, /* a block of one byte, repeated */
        {10, 0x04}, /* a compressed one */
        {10, 0x06}, /* neither */
    };
    const size_t size = 200 * KIB, len = zstd_raw_len(size);
    uint8_t *frame = collect(noise, size);
    struct frame_payload p;

    (void)state;
    assert_true(zstd_raw_find(frame, len, &p));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t before = frame[changes[i].at];

        frame[changes[i].at] = changes[i].byte;
        assert_false(zstd_raw_find(frame, len, &p));
        frame[changes[i].at] = before;
    }
    assert_false(zstd_raw_find(frame, len - 1, &p));
    assert_false(zstd_raw_find(frame, 0, &p));
    frame[5] = 0; /* a window of 1 KiB, and blocks of 128 */
    assert_false(zstd_raw_find(frame, len, &p));
    free(frame);
}

/* Nor more than there is room for. */
static void find__keeps_to_the_frame_size(void **state)
{
    struct frame_decoder *small =
        frame_decoder_create(CODEC_ZSTD, FRAME_SIZE_MIN);
    struct frame_decoder *gzip =
        frame_decoder_create(CODEC_GZIP, FRAME_SIZE_MAX);
    const size_t size = FRAME_SIZE_MIN, len = zstd_raw_len(size + 1);
    uint8_t *frame = collect(noise, size), *more = collect(noise, size + 1);
    struct frame_payload p;

    (void)state;
    assert_true(frame_find_raw(small, frame, len - 1, size, &p));
    assert_false(frame_find_raw(small, frame, len - 1, size - 1, &p));
    assert_false(frame_find_raw(small, more, len, 2 * size, &p));
    assert_false(frame_find_raw(gzip, frame, len - 1, size, &p));
    frame_decoder_destroy(small);
    frame_decoder_destroy(gzip);
    free(frame);
    free(more);
}

/* ------------------------------------------------------- who becomes one */

/* The frame that a payload of 4 MiB becomes; whether as it is. */
static bool is_raw(int level, const uint8_t *payload, size_t len,
                   size_t *out_len)
{
    struct frame_encoder *e =
        frame_encoder_create(CODEC_ZSTD, level, FRAME_SIZE_DEFAULT);
    size_t cap = frame_bound(CODEC_ZSTD, len), whole = 0;
    uint8_t *out = malloc(cap), *copy = malloc(cap);
    bool found;

    assert_non_null(e);
    assert_non_null(out);
    assert_non_null(copy);
    found = frame_is_raw(e, payload, len, out, cap);
    if (found) {
        free(out);
        out = collect(payload, len);
        *out_len = zstd_raw_len(len);
    } else {
        assert_int_equal(
            frame_compress(e, payload, len, out, cap, out_len, NULL), 0);
    }
    /* The bytes do not depend on who asks. */
    assert_int_equal(frame_encode(e, payload, len, copy, cap, &whole, NULL), 0);
    assert_int_equal(whole, *out_len);
    assert_memory_equal(copy, out, whole);
    frame_encoder_destroy(e);
    free(out);
    free(copy);
    return found;
}

static void encode__keeps_noise_as_it_is(void **state)
{
    size_t len = 0;

    (void)state;
    for (int level = 1; level <= 4; level++) {
        assert_true(is_raw(level, noise, 4 * MIB, &len));
        assert_int_equal(len, zstd_raw_len(4 * MIB));
    }
    assert_true(is_raw(1, noise, 4 * MIB - 1, &len));
}

/* Samples of it would be most of it. */
static void encode__leaves_short_noise_to_zstd(void **state)
{
    size_t len = 0;

    (void)state;
    assert_false(is_raw(1, noise, 1, &len));
    assert_false(is_raw(1, noise, 512 * KIB - 1, &len));
    assert_true(is_raw(1, noise, 512 * KIB, &len));
}

/* Who asks for a high level wants every match found. */
static void encode__at_high_levels_leaves_it_to_zstd(void **state)
{
    size_t len = 0;

    (void)state;
    assert_false(is_raw(5, noise, MIB, &len));
    assert_false(is_raw(19, noise, MIB, &len));
}

/* A part of the payload that compresses is enough, wherever it lies. */
static void encode__compresses_what_is_noise_in_part(void **state)
{
    uint8_t *mixed = malloc(4 * MIB);
    size_t len = 0;

    (void)state;
    assert_non_null(mixed);
    for (size_t at = 0; at <= 3 * MIB; at += MIB / 2) {
        memcpy(mixed, noise, 4 * MIB);
        memcpy(mixed + at, text, MIB);
        assert_false(is_raw(1, mixed, 4 * MIB, &len));
        assert_true(len < 4 * MIB - MIB / 2);
    }
    free(mixed);
}

/* base64 has no repeated words, only fewer bits a byte. */
static void encode__compresses_base64(void **state)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
        "uvwxyz0123456789+/";
    uint8_t *data = malloc(4 * MIB);
    size_t len = 0;

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < 4 * MIB; i++)
        data[i] = (uint8_t)digits[noise[i] & 63];
    assert_false(is_raw(1, data, 4 * MIB, &len));
    assert_true(len < 4 * MIB / 5 * 4);
    free(data);
}

/* 4 MiB of the same `step` bytes of noise, up to `end`; what follows is
 * noise. */
static uint8_t *repeated(size_t step, size_t end)
{
    uint8_t *data = malloc(4 * MIB);

    assert_non_null(data);
    for (size_t at = 0; at < end; at += step)
        memcpy(data + at, noise, step < end - at ? step : end - at);
    memcpy(data + end, noise + 8 * MIB, 4 * MIB - end);
    return data;
}

/* Noise that comes twice compresses, though no sample of it does. */
static void encode__compresses_noise_that_comes_again(void **state)
{
    static const struct {
        int level;
        size_t step;
    } far[] = {
        {1, 9 * KIB},   {1, 12345},   {1, 64 * KIB}, {1, 256 * KIB},
        {2, 512 * KIB}, {3, 1 * MIB}, {4, 1 * MIB},
    };
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        uint8_t *data = repeated(far[i].step, 4 * MIB);

        assert_false(is_raw(far[i].level, data, 4 * MIB, &len));
        assert_true(len < far[i].step + MIB / 4);
        free(data);
    }
}

/* Noise where the first `n` bytes come again at `distance`, and no others. */
static bool is_raw_with(size_t n, size_t distance)
{
    uint8_t *data = repeated(4 * MIB, 0);
    size_t len = 0;
    bool found;

    memcpy(data + distance, data, n);
    found = is_raw(1, data, 4 * MIB, &len);
    free(data);
    return found;
}

/* Wherever in a word, a line of the cache, a page. */
static void encode__finds_what_comes_again_at_any_distance(void **state)
{
    (void)state;
    for (size_t at = 8200; at < 8200 + 300; at += 23)
        assert_false(is_raw_with(320, at));
    assert_false(is_raw_with(320, 512 * KIB - 320));
    for (size_t at = 8200; at < 8200 + 300; at += 23) /* a word does not do */
        assert_true(is_raw_with(31, at));
    assert_true(is_raw_with(320, 512 * KIB + 320)); /* zstd finds it no more */
}

static void encode__compresses_noise_that_comes_again_in_part(void **state)
{
    uint8_t *data = repeated(100 * KIB, MIB);
    size_t len = 0;

    (void)state;
    for (size_t at = 0; at <= 2 * MIB; at += MIB) {
        assert_false(is_raw(1, data, 4 * MIB, &len));
        assert_true(len < 4 * MIB - MIB / 2);
        memmove(data + at + MIB, data + at, MIB);
        memcpy(data + at, noise + 4 * MIB, MIB);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw__is_a_frame_to_zstd),
        cmocka_unit_test(raw__is_a_frame_to_us),
        cmocka_unit_test(sum__reads_every_byte_once),
        cmocka_unit_test(sum__puts_the_payload_where_the_frame_will_lie),
        cmocka_unit_test(unplace__gives_the_payload_again),
        cmocka_unit_test(sum__ends_where_reading_fails),
        cmocka_unit_test(find__gives_the_payload_of_our_frames),
        cmocka_unit_test(find__gives_the_payload_of_zstds_frames),
        cmocka_unit_test(check__reads_the_copy),
        cmocka_unit_test(find__never_says_more_than_the_decoder),
        cmocka_unit_test(find__leaves_everything_else_to_the_decoder),
        cmocka_unit_test(find__keeps_to_the_frame_size),
        cmocka_unit_test(encode__keeps_noise_as_it_is),
        cmocka_unit_test(encode__leaves_short_noise_to_zstd),
        cmocka_unit_test(encode__at_high_levels_leaves_it_to_zstd),
        cmocka_unit_test(encode__compresses_what_is_noise_in_part),
        cmocka_unit_test(encode__compresses_base64),
        cmocka_unit_test(encode__compresses_noise_that_comes_again),
        cmocka_unit_test(encode__compresses_noise_that_comes_again_in_part),
        cmocka_unit_test(encode__finds_what_comes_again_at_any_distance),
    };

    return cmocka_run_group_tests(tests, make_payloads, free_payloads);
}
