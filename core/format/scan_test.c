/* SPDX-License-Identifier: Apache-2.0 */
/* The scan against damage: no byte may change, vanish or appear unnoticed. */
#include "format/test_support.h"

#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "util/crc32c.h"
#include "util/le.h"

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

/* About 20 KB stored: a frame that compresses, and a last one that does not. */
static void make_20k(struct test_snapshot *s, enum codec codec)
{
    size_t len = TEST_FRAME + 14000;
    uint8_t *payload = test_payload(FILL_NOISE, len);
    for (size_t i = 0; i < TEST_FRAME; i++)
        payload[i] = i % 23 == 0 ? payload[i] : 'a';
    test_snapshot_make(s, codec, 1, payload, len);
    free(payload);
    assert_in_range(s->object.len, 18000, 26000);
    assert_int_equal(test_scan(s->object.data, s->object.len, s->object.len,
                               NULL, NULL, NULL),
                     0);
}

static void expect_corrupt(const struct buf *object, size_t len, size_t at,
                           const char *what)
{
    struct persist_error err = {0};
    int rc = test_scan(object->data, len, len, NULL, NULL, &err);
    if (rc != PERSIST_E_CORRUPT)
        fail_msg("%s at %zu: status %d, %s", what, at, rc, err.message);
    assert_int_equal(err.status, PERSIST_E_CORRUPT);
    assert_true(strlen(err.message) > 0);
}

/* Outside the data all eight bits, inside one bit and all at once. */
static void scan__finds_every_flipped_byte(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        make_20k(&s, codecs[c]);
        for (size_t i = 0; i < s.object.len; i += PERSIST_TEST_STRIDE) {
            bool data = i >= s.header_len + 64 && i + 64 < s.frames_end;
            char was = s.object.data[i];
            for (unsigned bit = data ? i % 8 : 0; bit < 8;
                 bit += data ? 8 : 1) {
                s.object.data[i] = (char)(was ^ (1 << bit));
                expect_corrupt(&s.object, s.object.len, i, "flipped bit");
            }
            s.object.data[i] = (char)~was;
            expect_corrupt(&s.object, s.object.len, i, "inverted byte");
            s.object.data[i] = was;
        }
        test_snapshot_finish(&s);
    }
}

static void scan__finds_every_truncation(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        make_20k(&s, codecs[c]);
        for (size_t len = 0; len < s.object.len; len += PERSIST_TEST_STRIDE)
            expect_corrupt(&s.object, len, len, "cut");
        test_snapshot_finish(&s);
    }
}

static void scan__finds_bytes_behind_the_end(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        struct test_snapshot other;
        make_20k(&s, codecs[c]);
        make_20k(&other, codecs[c]);
        size_t len = s.object.len;
        buf_putc(&s.object, '\0');
        expect_corrupt(&s.object, s.object.len, len, "a NUL behind");
        s.object.len = len;
        buf_append(&s.object, other.object.data, other.object.len);
        expect_corrupt(&s.object, s.object.len, len, "a second snapshot");
        test_snapshot_finish(&s);
        test_snapshot_finish(&other);
    }
}

/* Several bits, a zeroed stretch, a stretch moved: the same every time. */
static void scan__finds_larger_damage(void **state)
{
    uint64_t x = 2463534242;
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        struct buf damaged;
        make_20k(&s, codecs[c]);
        buf_init(&damaged, SIZE_MAX / 2);
        for (int i = 0; i < 2000; i++) {
            buf_clear(&damaged);
            buf_append(&damaged, s.object.data, s.object.len);
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            size_t a = (size_t)(x % (s.object.len - 512));
            size_t b = (size_t)((x >> 24) % (s.object.len - 512));
            if (i % 3 == 0)
                memset(damaged.data + a, 0, 512);
            else if (i % 3 == 1)
                memcpy(damaged.data + a, s.object.data + b, 512);
            else
                for (int k = 0; k < 5; k++)
                    damaged.data[(a * (size_t)(k + 1)) % s.object.len] ^=
                        (char)(1 + k);
            if (memcmp(damaged.data, s.object.data, s.object.len) != 0)
                expect_corrupt(&damaged, damaged.len, a, "damage");
        }
        buf_finish(&damaged);
        test_snapshot_finish(&s);
    }
}

/* Two frames of the same sizes changed places; table and footer still fit, and
 * every frame's own checksum holds. */
static void scan__finds_swapped_frames(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        uint8_t *payload = test_payload(FILL_NOISE, 2 * TEST_FRAME);
        test_snapshot_make(&s, codecs[c], 1, payload, 2 * TEST_FRAME);
        size_t half = (s.frames_end - s.header_len) / 2;
        char *first = s.object.data + s.header_len;
        char *copy = malloc(half);
        assert_non_null(copy);
        memcpy(copy, first, half);
        memcpy(first, first + half, half);
        memcpy(first + half, copy, half);

        struct persist_error err;
        assert_int_equal(test_scan(s.object.data, s.object.len, s.object.len,
                                   NULL, NULL, &err),
                         PERSIST_E_CORRUPT);
        assert_non_null(strstr(err.message, "stored_crc32c"));
        free(copy);
        free(payload);
        test_snapshot_finish(&s);
    }
}

/* Somebody who makes all checksums right still cannot change the payload
 * against content_hash: that is the caller's comparison. */
static void scan__leaves_the_content_hash_to_the_caller(void **state)
{
    struct test_snapshot s;
    struct buf out;
    struct persist_error err;
    (void)state;
    test_snapshot_make(&s, CODEC_ZSTD, 1, "payload", 7);
    buf_init(&out, SIZE_MAX / 2);
    buf_append(&out, s.object.data, s.frames_end);
    s.sha256[0] ^= 1;
    assert_int_equal(snapshot_tail_encode(&s.tail, s.object.data, s.header_len,
                                          s.sha256, &s.metadata, &out, NULL),
                     0);
    assert_int_equal(test_scan(out.data, out.len, 5, NULL, NULL, &err),
                     PERSIST_E_CORRUPT);
    assert_string_equal(err.message, "content_hash");
    buf_finish(&out);
    test_snapshot_finish(&s);
}

/* ------------------------------------------- objects built frame by frame */

struct built {
    struct buf object;
    struct snapshot_tail tail;
    size_t header_len;
};

static void build_start(struct built *b, enum codec codec)
{
    struct persist_metadata m = test_metadata(codec);
    buf_init(&b->object, SIZE_MAX / 2);
    snapshot_tail_init(&b->tail, codec, TEST_FRAME);
    assert_int_equal(snapshot_header_encode(codec, &m, &b->object, NULL), 0);
    b->header_len = b->object.len;
}

static void build_raw(struct built *b, const void *frame, size_t len,
                      uint32_t payload_len)
{
    buf_append(&b->object, frame, len);
    assert_int_equal(snapshot_tail_frame(&b->tail, (uint32_t)len, payload_len,
                                         crc32c(0, frame, len), NULL),
                     0);
    b->tail.short_frame = false;
}

/* A frame of len zeros from an encoder that allows frame_size. */
static void build_zeros(struct built *b, uint32_t frame_size, size_t len,
                        uint32_t said)
{
    uint8_t *payload = calloc(1, len);
    size_t cap = frame_bound(b->tail.codec, len);
    uint8_t *frame = malloc(cap);
    size_t n = 0;
    struct frame_encoder *e =
        frame_encoder_create(b->tail.codec, 1, frame_size);
    assert_non_null(payload);
    assert_non_null(frame);
    assert_non_null(e);
    assert_int_equal(frame_encode(e, payload, len, frame, cap, &n, NULL), 0);
    build_raw(b, frame, n, said);
    frame_encoder_destroy(e);
    free(frame);
    free(payload);
}

static int build_scan(struct built *b, struct persist_error *err)
{
    struct persist_metadata m = test_metadata(b->tail.codec);
    uint8_t sha256[32] = {0};
    assert_int_equal(snapshot_tail_encode(&b->tail, b->object.data,
                                          b->header_len, sha256, &m, &b->object,
                                          NULL),
                     0);
    int rc = test_scan(b->object.data, b->object.len, 1000, NULL, NULL, err);
    buf_finish(&b->object);
    snapshot_tail_finish(&b->tail);
    return rc;
}

/* 16 MiB of zeros in some hundred bytes, behind a table that says 64 KiB. */
static void scan__refuses_a_bomb_behind_a_small_seek_table(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct built b;
        struct persist_error err;
        build_start(&b, codecs[c]);
        build_zeros(&b, FRAME_SIZE_MAX, TEST_FRAME + 1, TEST_FRAME);
        assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
        assert_non_null(strstr(err.message, "says it holds 65537 bytes"));
    }
    struct built b;
    struct persist_error err;
    build_start(&b, CODEC_ZSTD);
    build_zeros(&b, FRAME_SIZE_MAX, FRAME_SIZE_MAX, TEST_FRAME);
    assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "says it holds 16777216 bytes"));
}

static void scan__refuses_a_frame_after_a_short_one(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct built b;
        struct persist_error err;
        build_start(&b, codecs[c]);
        build_zeros(&b, TEST_FRAME, TEST_FRAME, TEST_FRAME);
        build_zeros(&b, TEST_FRAME, 5, 5);
        build_zeros(&b, TEST_FRAME, 5, 5);
        assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
        assert_non_null(strstr(err.message, "follows one that was the last"));
    }
}

/* Stored frames have a ceiling too: blocks without content cost nothing. */
static void scan__refuses_an_endless_frame(void **state)
{
    static const uint8_t start[] = {0x28, 0xb5, 0x2f, 0xfd, 0x24, 1};
    static const uint8_t block[] = {0, 0, 0};
    struct built b;
    struct persist_error err;
    (void)state;
    build_start(&b, CODEC_ZSTD);
    buf_append(&b.object, start, sizeof(start));
    for (int i = 0; i < 30000; i++)
        buf_append(&b.object, block, sizeof(block));
    assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "longer than one may be"));

    uint8_t member[MEMBER_DATA_HEAD_LEN];
    member_head_put(member, MEMBER_DATA, 8);
    le_put32(member + MEMBER_HEAD_LEN, UINT32_MAX);
    le_put32(member + MEMBER_HEAD_LEN + 4, 1);
    build_start(&b, CODEC_GZIP);
    buf_append(&b.object, member, sizeof(member));
    assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "longer than one may be"));

    le_put32(member + MEMBER_HEAD_LEN, 20);
    build_start(&b, CODEC_GZIP);
    buf_append(&b.object, member, sizeof(member));
    assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "shorter than it can be"));
}

/* A skippable frame or member of someone else's has no place between ours. */
static void scan__refuses_what_is_not_its_own(void **state)
{
    static const uint8_t skippable[24] = {0x53, 0x2a, 0x4d, 0x18, 16};
    static const uint8_t member[20] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct built b;
        struct persist_error err;
        build_start(&b, codecs[c]);
        buf_append(&b.object, c == 0 ? skippable : member, 20);
        buf_zero(&b.object, 20);
        assert_int_equal(build_scan(&b, &err), PERSIST_E_CORRUPT);
        assert_non_null(strstr(err.message, "does not begin like one"));
    }
}

/* The trailer's JSON with one text replaced. */
static void scan_with_trailer(const struct test_snapshot *s, const char *from,
                              const char *to)
{
    struct buf json;
    struct buf changed;
    struct buf object;
    struct persist_metadata m = s->metadata;
    buf_init(&json, 1000);
    buf_init(&changed, 1000);
    buf_init(&object, 10000);
    assert_int_equal(metadata_encode_trailer(&m, &json, NULL), 0);
    char *at = strstr(json.data, from);
    assert_non_null(at);
    buf_append(&changed, json.data, (size_t)(at - json.data));
    buf_puts(&changed, to);
    buf_puts(&changed, at + strlen(from));
    test_replace_trailer(s, changed.data, &object);
    expect_corrupt(&object, object.len, 0, to);
    buf_finish(&json);
    buf_finish(&changed);
    buf_finish(&object);
}

static void scan__refuses_a_trailer_that_miscounts(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        test_snapshot_make(&s, codecs[c], 1, "payload", 7);
        scan_with_trailer(&s, "\"frame_count\":1", "\"frame_count\":2");
        scan_with_trailer(&s, "\"frame_count\":1", "\"frame_count\":1.0");
        scan_with_trailer(&s, "\"uncompressed_size\":7",
                          "\"uncompressed_size\":8");
        scan_with_trailer(&s, s.metadata.stored_crc32c, "00000001");
        scan_with_trailer(&s, s.metadata.stored_crc32c, "000000001");
        test_snapshot_finish(&s);
    }
}

static void scan__keeps_unknown_trailer_fields(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct test_snapshot s;
        struct buf json;
        struct buf object;
        struct persist_metadata *m = NULL;
        char *text = NULL;
        test_snapshot_make(&s, codecs[c], 1, "payload", 7);
        buf_init(&json, 1000);
        buf_init(&object, 10000);
        assert_int_equal(metadata_encode_trailer(&s.metadata, &json, NULL), 0);
        json.data[--json.len] = '\0';
        buf_puts(&json, ",\"later\":[1,{\"x\":null}]}");
        test_replace_trailer(&s, json.data, &object);

        assert_int_equal(test_scan(object.data, object.len, 1, NULL, &m, NULL),
                         0);
        assert_int_equal(persist_metadata_json(m, &text, NULL), 0);
        assert_non_null(strstr(text, ",\"later\":[1,{\"x\":null}]}"));
        free(text);
        persist_metadata_free(m);
        buf_finish(&json);
        buf_finish(&object);
        test_snapshot_finish(&s);
    }
}

/* ------------------------------------------------------------- its calls */

struct calls {
    int headers;
    int payloads;
    int header_answer;
    int payload_answer;
};

static int on_header(void *ctx, const struct persist_metadata *m,
                     struct persist_error *err)
{
    struct calls *calls = ctx;
    assert_int_equal(calls->payloads, 0);
    assert_int_equal(m->snapshot_index, 7);
    calls->headers++;
    return calls->header_answer
               ? error_set(err, calls->header_answer, "header said no")
               : 0;
}

static int on_payload(void *ctx, const void *data, size_t len,
                      struct persist_error *err)
{
    struct calls *calls = ctx;
    assert_int_equal(calls->headers, 1);
    assert_non_null(data);
    assert_in_range(len, 1, TEST_FRAME);
    calls->payloads++;
    return calls->payload_answer
               ? error_set(err, calls->payload_answer, "payload said no")
               : 0;
}

static void scan__stops_where_a_callback_says_so(void **state)
{
    struct calls cases[] = {
        {.header_answer = PERSIST_E_CONFLICT},
        {.payload_answer = PERSIST_E_IO},
    };
    struct test_snapshot s;
    (void)state;
    make_20k(&s, CODEC_ZSTD);
    for (size_t i = 0; i < 2; i++) {
        struct persist_error err;
        struct persist_metadata *m = NULL;
        int answer = cases[i].header_answer + cases[i].payload_answer;
        struct snapshot_scan *scan =
            snapshot_scan_create(on_header, on_payload, &cases[i]);
        assert_non_null(scan);
        assert_int_equal(
            snapshot_scan_feed(scan, s.object.data, s.object.len, &err),
            answer);
        assert_non_null(strstr(err.message, "said no"));
        assert_int_equal(cases[i].headers + cases[i].payloads, i == 0 ? 1 : 2);

        /* and stays stopped, without calling again */
        memset(&err, 0, sizeof(err));
        assert_int_equal(snapshot_scan_feed(scan, "x", 1, &err), answer);
        assert_non_null(strstr(err.message, "said no"));
        assert_int_equal(snapshot_scan_end(scan, &m, NULL), answer);
        assert_null(m);
        assert_int_equal(cases[i].headers + cases[i].payloads, i == 0 ? 1 : 2);
        snapshot_scan_destroy(scan);
    }
    test_snapshot_finish(&s);
}

static void scan__ends_once(void **state)
{
    struct test_snapshot s;
    struct persist_metadata *m = NULL;
    (void)state;
    test_snapshot_make(&s, CODEC_GZIP, 1, "", 0);
    struct snapshot_scan *scan = snapshot_scan_create(NULL, NULL, NULL);
    assert_non_null(scan);
    assert_int_equal(
        snapshot_scan_feed(scan, s.object.data, s.object.len, NULL), 0);
    assert_int_equal(snapshot_scan_end(scan, &m, NULL), 0);
    persist_metadata_free(m);
    m = NULL;
    assert_int_equal(snapshot_scan_end(scan, &m, NULL), PERSIST_E_INTERNAL);
    assert_null(m);
    snapshot_scan_destroy(scan);
    snapshot_scan_destroy(NULL);
    test_snapshot_finish(&s);
}

struct keeper {
    struct snapshot_scan *scan;
    const uint8_t *payload;
    const void *before; /* the payload before this one, at before_at */
    size_t before_len;
    size_t at;
    unsigned n;
};

static int keep(void *ctx, const struct persist_metadata *m,
                struct persist_error *err)
{
    const struct keeper *k = ctx;

    (void)m, (void)err;
    snapshot_scan_keep_payload(k->scan);
    return 0;
}

static int look_back(void *ctx, const void *data, size_t len,
                     struct persist_error *err)
{
    struct keeper *k = ctx;

    (void)err;
    if (k->before)
        assert_memory_equal(k->before, k->payload + k->at - k->before_len,
                            k->before_len);
    assert_memory_equal(data, k->payload + k->at, len);
    k->before = data;
    k->before_len = len;
    k->at += len;
    k->n++;
    return 0;
}

static void scan__keeps_a_payload_where_it_is_asked_to(void **state)
{
    const size_t len = 5 * TEST_FRAME + 17;
    uint8_t *payload = test_payload(FILL_NOISE, len);
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct keeper k = {.payload = payload};
        struct persist_metadata *m = NULL;
        struct test_snapshot s;
        test_snapshot_make(&s, codecs[c], 1, payload, len);
        k.scan = snapshot_scan_create(keep, look_back, &k);
        assert_non_null(k.scan);
        assert_int_equal(
            snapshot_scan_feed(k.scan, s.object.data, s.object.len, NULL), 0);
        assert_int_equal(snapshot_scan_end(k.scan, &m, NULL), 0);
        assert_int_equal(k.n, 6);
        persist_metadata_free(m);
        snapshot_scan_destroy(k.scan);
        test_snapshot_finish(&s);
    }
    free(payload);
}

/* Unsupported is not corrupt, in a whole object too. */
static void scan__names_what_it_does_not_support(void **state)
{
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"{\"format_version\":3}", "format version 3"},
        {"{\"format_version\":2,\"requires\":[\"encryption\"]}",
         "\"encryption\""},
    };
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < 2; i++) {
            struct buf object;
            struct persist_error err;
            buf_init(&object, 10000);
            envelope_put(codecs[c], BLOCK_HEADER, cases[i].json,
                         strlen(cases[i].json), &object);
            assert_int_equal(
                test_scan(object.data, object.len, 1, NULL, NULL, &err),
                PERSIST_E_UNSUPPORTED);
            assert_non_null(strstr(err.message, cases[i].message));
            buf_finish(&object);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan__finds_every_flipped_byte),
        cmocka_unit_test(scan__finds_every_truncation),
        cmocka_unit_test(scan__finds_bytes_behind_the_end),
        cmocka_unit_test(scan__finds_larger_damage),
        cmocka_unit_test(scan__finds_swapped_frames),
        cmocka_unit_test(scan__leaves_the_content_hash_to_the_caller),
        cmocka_unit_test(scan__refuses_a_bomb_behind_a_small_seek_table),
        cmocka_unit_test(scan__refuses_a_frame_after_a_short_one),
        cmocka_unit_test(scan__refuses_an_endless_frame),
        cmocka_unit_test(scan__refuses_what_is_not_its_own),
        cmocka_unit_test(scan__refuses_a_trailer_that_miscounts),
        cmocka_unit_test(scan__keeps_unknown_trailer_fields),
        cmocka_unit_test(scan__stops_where_a_callback_says_so),
        cmocka_unit_test(scan__ends_once),
        cmocka_unit_test(scan__keeps_a_payload_where_it_is_asked_to),
        cmocka_unit_test(scan__names_what_it_does_not_support),
    };
    return cmocka_run_group_tests_name("format.scan", tests, NULL, NULL);
}
