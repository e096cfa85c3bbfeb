/* SPDX-License-Identifier: Apache-2.0 */
/* Raw frames and others, in place and copied, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transfer/unpack.h"
#include "util/crc32c.h"
#include "util/error.h"

enum { FRAME = 1 << 20, LEN = FRAME - 12345 };

struct given {
    uint8_t *payload, *frame, *out;
    size_t len; /* of the frame */
    struct frame_decoder *decoder;
};

static void give(struct given *g, enum codec codec, bool noise)
{
    struct frame_encoder *e = frame_encoder_create(codec, 1, FRAME);
    size_t cap = frame_bound(codec, LEN);
    uint64_t x = 88172645463325252u;

    *g = (struct given){.payload = malloc(LEN),
                        .frame = malloc(cap),
                        .out = malloc(FRAME),
                        .decoder = frame_decoder_create(codec, FRAME)};
    assert_non_null(g->payload);
    assert_non_null(g->frame);
    assert_non_null(g->out);
    for (size_t i = 0; i < LEN; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        g->payload[i] = (uint8_t)(noise ? x >> 24 : x >> 62);
    }
    assert_int_equal(
        frame_encode(e, g->payload, LEN, g->frame, cap, &g->len, NULL), 0);
    frame_encoder_destroy(e);
}

static void give_up(struct given *g)
{
    frame_decoder_destroy(g->decoder);
    free(g->payload);
    free(g->frame);
    free(g->out);
}

static struct unpack unpack_of(const struct given *g, bool copies)
{
    return (struct unpack){.decoder = g->decoder,
                           .out = g->out,
                           .cap = FRAME,
                           .copies = copies,
                           .in = g->frame,
                           .in_len = g->len};
}

static void assert_hash_is_of(struct sha256 *h, const void *data, size_t len)
{
    struct sha256 *want = sha256_create();
    uint8_t a[32], b[32];

    sha256_update(want, data, len);
    sha256_final(want, a);
    sha256_final(h, b);
    assert_memory_equal(a, b, 32);
    sha256_destroy(want);
}

static void assert_payload(const struct given *g, struct frame_payload p)
{
    const void *piece;
    size_t at = 0, n;

    assert_int_equal(p.len, LEN);
    while ((n = frame_payload_next(&p, &piece)) > 0) {
        assert_memory_equal(piece, g->payload + at, n);
        at += n;
    }
    assert_int_equal(at, LEN);
}

static void check_whole(enum codec codec, bool noise, bool copies, bool hashes)
{
    struct sha256 *h = hashes ? sha256_create() : NULL;
    struct given g;

    give(&g, codec, noise);
    struct unpack u = unpack_of(&g, copies);

    assert_int_equal(unpack_begin(&u, NULL), PERSIST_OK);
    assert_int_equal(u.is_raw, noise && codec == CODEC_ZSTD);
    assert_int_equal(u.payload.len, LEN);
    assert_int_equal(unpack_end(&u, h, NULL), PERSIST_OK);
    assert_payload(&g, u.payload);
    assert_int_equal(u.payload.in_blocks, u.is_raw && !copies);
    if (copies || !u.is_raw)
        assert_ptr_equal(u.payload.at, g.out);
    assert_int_equal(u.crc, crc32c(0, g.frame, g.len));
    if (h)
        assert_hash_is_of(h, g.payload, LEN);
    sha256_destroy(h);
    give_up(&g);
}

static void unpack__gives_payload_hash_and_crc(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        check_whole(i & 1 ? CODEC_GZIP : CODEC_ZSTD, i & 2, i & 4, i & 8);
}

/* Damage is told as the decoder does, nothing of it is in the hash, and the
 * same steps go on with other bytes. */
static void check_damaged(const struct given *g, size_t at, bool copies,
                          bool hashes)
{
    struct sha256 *h = hashes ? sha256_create() : NULL;
    struct persist_error err = {0}, want = {0};
    struct unpack u = unpack_of(g, copies);
    size_t len = 0;

    if (h)
        sha256_update(h, "before", 6);
    g->frame[at] ^= 1;
    assert_int_equal(
        frame_decode(g->decoder, g->frame, g->len, g->out, FRAME, &len, &want),
        PERSIST_E_CORRUPT);
    int rc = unpack_begin(&u, &err);
    if (rc == PERSIST_OK) {
        assert_true(u.is_raw);
        rc = unpack_end(&u, h, &err);
    }
    assert_int_equal(rc, PERSIST_E_CORRUPT);
    assert_string_equal(err.message, want.message);
    g->frame[at] ^= 1;
    assert_int_equal(unpack_begin(&u, NULL), PERSIST_OK);
    assert_int_equal(unpack_end(&u, h, NULL), PERSIST_OK);
    assert_payload(g, u.payload);
    assert_int_equal(u.crc, crc32c(0, g->frame, g->len));
    if (h) {
        uint8_t *all = malloc(6 + LEN);

        assert_non_null(all);
        memcpy(all, "before", 6);
        memcpy(all + 6, g->payload, LEN);
        assert_hash_is_of(h, all, 6 + LEN);
        free(all);
    }
    sha256_destroy(h);
}

static void unpack__tells_of_damage_and_goes_on(void **state)
{
    struct given g;

    (void)state;
    give(&g, CODEC_ZSTD, true);
    const size_t places[] = {
        0, 6, 12, 5000, g.len / 2, g.len - 5, g.len - 1, 10 + 3 + (128 << 10)};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (unsigned how = 0; how < 4; how++)
            check_damaged(&g, places[i], how & 1, how & 2);
    give_up(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpack__gives_payload_hash_and_crc),
        cmocka_unit_test(unpack__tells_of_damage_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
