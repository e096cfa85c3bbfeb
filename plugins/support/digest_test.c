/* SPDX-License-Identifier: Apache-2.0 */
#include "support/digest.h"

#include <stdlib.h>
#include <string.h>

#include "support/encode.h"
#include "support/testkit.h"

#define ASSERT_HEX(bytes, len, expected)                                       \
    do {                                                                       \
        char hex[2 * SHA256_LEN + 1];                                          \
        hex_encode(hex, bytes, len);                                           \
        assert_string_equal(hex, expected);                                    \
    } while (0)

/* FIPS 180-2 and RFC 1321. */
static void digests__have_the_published_values(void **state)
{
    uint8_t out[SHA256_LEN];

    (void)state;
    assert_int_equal(digest_sha256("", 0, out), OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(digest_sha256("abc", 3, out), OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(digest_sha1("abc", 3, out), OK);
    ASSERT_HEX(out, SHA1_LEN, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_int_equal(digest_md5("abc", 3, out), OK);
    ASSERT_HEX(out, MD5_LEN, "900150983cd24fb0d6963f7d28e17f72");
}

/* RFC 4231, cases 1, 2, 3 and 6. */
static void hmac__has_the_published_values(void **state)
{
    uint8_t key[131], data[50], out[SHA256_LEN];

    (void)state;
    memset(key, 0x0b, 20);
    assert_int_equal(digest_hmac_sha256(key, 20, "Hi There", 8, out), OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(
        digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out),
        OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    assert_int_equal(digest_hmac_sha256(key, 20, data, 50, out), OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    assert_int_equal(
        digest_hmac_sha256(
            key, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
            54, out),
        OK);
    ASSERT_HEX(
        out, SHA256_LEN,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static uint32_t crc_of(const char *s, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)s[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static void crc__of_pieces_is_that_of_the_whole(void **state)
{
    char data[4000];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 2654435761u >> 11);
    assert_int_equal(crc_of("123456789", 9), 0xE3069283);
    for (size_t at = 0; at <= sizeof(data); at += 97)
        assert_int_equal(crc32c_combine(crc_of(data, at),
                                        crc_of(data + at, sizeof(data) - at),
                                        sizeof(data) - at),
                         crc_of(data, sizeof(data)));
    assert_int_equal(crc32c_combine(0xE3069283, 0, 0), 0xE3069283);
}

/* Three parts of 5 MiB of A, B and C, as S3 composes them. */
static void crc__of_a_multipart_upload(void **state)
{
    uint32_t a = 0, b = 0, c = 0, whole = 0;

    (void)state;
    assert_true(crc_decode("MDaLrw==", &a) && crc_decode("TH4EZg==", &b) &&
                crc_decode("Z7mBIQ==", &c) && crc_decode("xU+Krw==", &whole));
    assert_int_equal(crc32c_combine(crc32c_combine(a, b, 5 << 20), c, 5 << 20),
                     whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(digests__have_the_published_values),
        TEST(hmac__has_the_published_values),
        TEST(crc__of_pieces_is_that_of_the_whole),
        TEST(crc__of_a_multipart_upload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
