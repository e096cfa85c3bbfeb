/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transfer/sha256.h"
#include "util/crc32c.h"
#include "util/text.h"

/* FIPS 180-4, examples of NIST's CSRC. */
static const struct {
    const char *text;
    const char *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void digest(struct sha256 *h, char hex[65])
{
    uint8_t out[32];

    assert_int_equal(sha256_final(h, out), 0);
    text_to_hex(out, sizeof out, hex);
}

static void hash__gives_published_vectors(void **state)
{
    struct sha256 *h = sha256_create();
    char hex[65];
    size_t i;

    (void)state;
    assert_non_null(h);
    for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        sha256_reset(h);
        assert_int_equal(
            sha256_update(h, vectors[i].text, strlen(vectors[i].text)), 0);
        digest(h, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
    sha256_destroy(h);
}

static void hash__does_not_depend_on_pieces(void **state)
{
    struct sha256 *h = sha256_create();
    const char *text = vectors[2].text;
    size_t cut, len = strlen(text);
    char hex[65];

    (void)state;
    for (cut = 0; cut <= len; cut++) {
        sha256_reset(h);
        assert_int_equal(sha256_update(h, text, cut), 0);
        assert_int_equal(sha256_update(h, text + cut, len - cut), 0);
        digest(h, hex);
        assert_string_equal(hex, vectors[2].hex);
    }
    sha256_destroy(h);
}

/* ------------------------------------------------------- beside each other */

static uint8_t bytes[70000];

static void fill_bytes(void)
{
    uint64_t x = 88172645463325252U;

    for (size_t i = 0; i < sizeof bytes; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (uint8_t)(x >> 24);
    }
}

struct sums {
    char sha256[65];
    uint64_t xxh64;
    uint32_t crc32c;
};

static void sum_one_by_one(const uint8_t *p, size_t len, struct sums *out)
{
    struct sha256 *h = sha256_create();
    struct xxh64 xxh;

    xxh64_init(&xxh);
    assert_int_equal(sha256_update(h, p, len), 0);
    digest(h, out->sha256);
    xxh64_update(&xxh, p, len);
    out->xxh64 = xxh64_digest(&xxh);
    out->crc32c = crc32c(0, p, len);
    sha256_destroy(h);
}

/* In two pieces, the first of which is long, and short ones behind. */
static void sum_beside(const uint8_t *p, size_t len, size_t cut,
                       struct sums *out)
{
    struct sha256 *h = sha256_create();
    uint8_t *copy = malloc(len + 1);
    struct xxh64 xxh;

    assert_non_null(copy);
    copy[len] = 0x5a;
    xxh64_init(&xxh);
    out->crc32c = 0;
    assert_int_equal(sha256_update_beside(h, &xxh, &out->crc32c, p, cut, copy),
                     0);
    assert_int_equal(sha256_update_beside(h, &xxh, &out->crc32c, p + cut,
                                          len - cut, copy + cut),
                     0);
    assert_memory_equal(copy, p, len);
    assert_int_equal(copy[len], 0x5a);
    free(copy);
    digest(h, out->sha256);
    out->xxh64 = xxh64_digest(&xxh);
    sha256_destroy(h);
}

static void assert_same_sums(size_t offset, size_t len, size_t cut)
{
    struct sums want, got;

    sum_one_by_one(bytes + offset, len, &want);
    sum_beside(bytes + offset, len, cut, &got);
    assert_string_equal(got.sha256, want.sha256);
    assert_int_equal(got.xxh64, want.xxh64);
    assert_int_equal(got.crc32c, want.crc32c);
}

/* Every end and every middle of a block, wherever it lies. */
static void beside__copies_and_gives_what_each_gives_alone(void **state)
{
    (void)state;
    fill_bytes();
    for (size_t len = 0; len <= 300; len++)
        for (size_t cut = 0; cut <= len; cut += 1 + cut % 7)
            assert_same_sums(len % 19, len, cut);
    assert_same_sums(1, 69999, 65536);
    assert_same_sums(0, 70000, 33333);
}

/* The three need not have begun together. */
static void assert_goes_on(struct sha256 *h, size_t hashed, size_t summed)
{
    const uint8_t *p = bytes + 200;
    struct xxh64 want_xxh, xxh;
    char want[65], got[65];
    uint32_t crc = 7;

    sha256_reset(h);
    assert_int_equal(sha256_update(h, p - hashed, hashed + 5000), 0);
    digest(h, want);
    xxh64_init(&want_xxh);
    xxh64_update(&want_xxh, p - summed, summed + 5000);

    sha256_reset(h);
    assert_int_equal(sha256_update(h, p - hashed, hashed), 0);
    xxh64_init(&xxh);
    xxh64_update(&xxh, p - summed, summed);
    assert_int_equal(sha256_update_beside(h, &xxh, &crc, p, 5000, NULL), 0);

    digest(h, got);
    assert_string_equal(got, want);
    assert_int_equal(xxh64_digest(&xxh), xxh64_digest(&want_xxh));
    assert_int_equal(crc, crc32c(7, p, 5000));
}

static void beside__goes_on_behind_anything(void **state)
{
    struct sha256 *h = sha256_create();

    (void)state;
    fill_bytes();
    for (size_t n = 0; n <= 130; n++) {
        assert_goes_on(h, n, 0);
        assert_goes_on(h, 0, n);
        assert_goes_on(h, n, n);
    }
    sha256_destroy(h);
}

/* The length in bits is more than one of the words it is kept in. */
static void beside__counts_beyond_a_word(void **state)
{
    enum { LEN = 65536, TIMES = 8193 }; /* 2^32 bits and some */
    struct sha256 *h = sha256_create();
    char want[65], got[65];
    struct xxh64 xxh;
    uint32_t crc = 0;

    (void)state;
    fill_bytes();
    for (int i = 0; i < TIMES; i++)
        assert_int_equal(sha256_update(h, bytes, LEN), 0);
    digest(h, want);
    sha256_reset(h);
    xxh64_init(&xxh);
    for (int i = 0; i < TIMES; i++)
        assert_int_equal(sha256_update_beside(h, &xxh, &crc, bytes, LEN, NULL),
                         0);
    digest(h, got);
    assert_string_equal(got, want);
    sha256_destroy(h);
}

static void destroy__takes_null(void **state)
{
    (void)state;
    sha256_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__gives_published_vectors),
        cmocka_unit_test(hash__does_not_depend_on_pieces),
        cmocka_unit_test(beside__copies_and_gives_what_each_gives_alone),
        cmocka_unit_test(beside__goes_on_behind_anything),
        cmocka_unit_test(beside__counts_beyond_a_word),
        cmocka_unit_test(destroy__takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
