/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against published vectors, both paths against a bit-wise one. */
#include "util/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static uint8_t data[66560];

static uint32_t bitwise(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (; len > 0; p++, len--) {
        crc ^= *p;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ~crc;
}

static void fill(uint32_t seed)
{
    for (size_t i = 0; i < sizeof(data); i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
}

/* RFC 3720, B.4, and the check value of the catalogue of CRCs. */
static void vectors__match_rfc_3720(void **state)
{
    (void)state;
    uint8_t bytes[32];

    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(bytes, 0, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c_portable(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283);
}

/* What GCS and S3 report for 66,560 times "a": base64 "sOO8/Q==". */
static void vectors__match_the_services(void **state)
{
    (void)state;
    memset(data, 'a', sizeof(data));
    assert_int_equal(crc32c(0, data, 66560), 0xb0e3bcfd);
}

static void paths__agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    fill(1);
    for (size_t offset = 0; offset < 9; offset++) {
        for (size_t len = 0; len < 300; len++) {
            uint32_t start = (uint32_t)(len * 2654435761U);
            uint32_t want = bitwise(start, data + offset, len);
            assert_int_equal(crc32c(start, data + offset, len), want);
            assert_int_equal(crc32c_portable(start, data + offset, len), want);
        }
    }
}

static void continuing__equals_one_piece(void **state)
{
    (void)state;
    fill(2);
    uint32_t whole = crc32c(0, data, sizeof(data));
    uint32_t parts = 0;
    for (size_t at = 0, n = 1; at < sizeof(data); at += n, n = n * 3 % 1009) {
        size_t left = sizeof(data) - at;
        parts = crc32c(parts, data + at, n < left ? n : left);
    }
    assert_int_equal(parts, whole);
}

static void combine__equals_one_piece(void **state)
{
    (void)state;
    fill(3);
    uint32_t whole = crc32c(0, data, sizeof(data));
    for (size_t cut = 0; cut <= sizeof(data); cut += 511) {
        size_t rest = sizeof(data) - cut;
        uint32_t a = crc32c(0, data, cut);
        uint32_t b = crc32c(0, data + cut, rest);
        assert_int_equal(crc32c_combine(a, b, rest), whole);
    }
    assert_int_equal(crc32c_combine(whole, 0, 0), whole);
    assert_int_equal(crc32c_combine(0, whole, sizeof(data)), whole);
}

/* Lengths nobody can hold in memory: appending is associative. */
static void combine__holds_for_huge_lengths(void **state)
{
    (void)state;
    uint64_t n = UINT64_C(1) << 40, m = UINT64_C(0x123456789abcdef);
    uint32_t a = 0x12345678, b = 0x9abcdef0, c = 0x0fedcba9;

    uint32_t left = crc32c_combine(crc32c_combine(a, b, n), c, m);
    uint32_t right = crc32c_combine(a, crc32c_combine(b, c, m), n + m);
    assert_int_equal(left, right);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors__match_rfc_3720),
        cmocka_unit_test(vectors__match_the_services),
        cmocka_unit_test(paths__agree_at_every_length_and_alignment),
        cmocka_unit_test(continuing__equals_one_piece),
        cmocka_unit_test(combine__equals_one_piece),
        cmocka_unit_test(combine__holds_for_huge_lengths),
    };
    return cmocka_run_group_tests_name("util.crc32c", tests, NULL, NULL);
}
