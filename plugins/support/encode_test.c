/* SPDX-License-Identifier: Apache-2.0 */
#include "support/encode.h"

#include <string.h>

#include "support/testkit.h"

static struct text t;

static const char *encoded(void (*encode)(struct text *, const void *, size_t),
                           const char *s)
{
    text_clear(&t);
    encode(&t, s, strlen(s));
    return text_str(&t);
}

/* RFC 4648, section 10. */
static void base64__follows_the_rfc(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_string_equal(encoded(base64_encode, vectors[i][0]),
                            vectors[i][1]);
        text_clear(&t);
        assert_true(
            base64_decode(&t, vectors[i][1], strlen(vectors[i][1]), false));
        assert_string_equal(text_str(&t), vectors[i][0]);
    }
    assert_string_equal(encoded(base64_encode, "\xfb\xef\xff"), "++//");
    assert_string_equal(encoded(base64url_encode, "\xfb\xef\xff"), "--__");
    assert_string_equal(encoded(base64url_encode, "fooba"), "Zm9vYmE");
}

static void base64__refuses_what_is_not(void **state)
{
    static const char *const bad[] = {
        "Zg",   "Zg=",   "Zg===", "Z===",     "Zh==", "Zm9=",
        "Zm 9", "Zm9v=", "====",  "Zg==Zg==", "-_-_", "Zm9v\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text_clear(&t);
        assert_false(base64_decode(&t, bad[i], strlen(bad[i]), false));
    }
    text_clear(&t);
    assert_true(base64_decode(&t, "--__Zm9vYmE", 11, true));
    assert_memory_equal(text_str(&t),
                        "\xfb\xef\xff"
                        "fooba",
                        8);
    text_clear(&t);
    assert_false(base64_decode(&t, "++//", 4, true));
}

static void hex__goes_both_ways(void **state)
{
    char out[9];
    uint8_t bytes[4];

    (void)state;
    hex_encode(out, "\x00\x7f\xab\xff", 4);
    assert_string_equal(out, "007fabff");
    assert_true(hex_decode(bytes, 4, "007FabfF"));
    assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);
    assert_false(hex_decode(bytes, 4, "007fabf"));
    assert_false(hex_decode(bytes, 4, "007fabff0"));
    assert_false(hex_decode(bytes, 4, "007gabff"));
}

/* As S3 and GCS write them. */
static void crc__is_written_as_services_do(void **state)
{
    char out[9];
    uint32_t v;

    (void)state;
    crc_encode(0xE3069283, out);
    assert_string_equal(out, "4waSgw==");
    crc_encode(0, out);
    assert_string_equal(out, "AAAAAA==");
    assert_true(crc_decode("4waSgw==", &v));
    assert_int_equal(v, 0xE3069283);
    for (uint64_t i = 0; i < 64; i++) {
        crc_encode((uint32_t)(i * 0x04c11db7u), out);
        assert_true(crc_decode(out, &v));
        assert_int_equal(v, (uint32_t)(i * 0x04c11db7u));
    }
    assert_false(crc_decode("4waSgw=", &v));
    assert_false(crc_decode("4waSgx==", &v)); /* bits behind the last byte */
    assert_false(crc_decode("4waS-w==", &v));
    assert_false(crc_decode("2oP66A==-2", &v));
}

/* The key of AWS's rules in the fact sheet: everything a key can hold. */
static void percent__keeps_what_is_unreserved(void **state)
{
    static const char key[] = "dir/a b+c~\xc3\xa9*'()!$&,;=:@#?%25.bin";

    (void)state;
    text_clear(&t);
    percent_encode(&t, key, strlen(key), true);
    assert_string_equal(text_str(&t),
                        "dir/a%20b%2Bc~%C3%A9%2A%27%28%29%21%24%26%2C%3B%3D%3A"
                        "%40%23%3F%2525.bin");
    text_clear(&t);
    percent_encode(&t, "a/b", 3, false);
    assert_string_equal(text_str(&t), "a%2Fb");
}

static void percent__is_decoded_strictly(void **state)
{
    (void)state;
    text_clear(&t);
    assert_true(percent_decode(&t, "a%2fb+%41", 9));
    assert_string_equal(text_str(&t), "a/b+A");
    text_clear(&t);
    assert_true(form_decode(&t, "a+b%2Bc%20d", 11));
    assert_string_equal(text_str(&t), "a b+c d");
    assert_false(percent_decode(&t, "a%2", 3));
    assert_false(percent_decode(&t, "a%", 2));
    assert_false(percent_decode(&t, "%g0", 3));
}

static void form__is_built_and_encoded(void **state)
{
    (void)state;
    text_clear(&t);
    form_add(&t, "Action", "AssumeRole");
    form_add(&t, "RoleArn", "arn:aws:iam::1:role/demo");
    assert_string_equal(text_str(&t), "Action=AssumeRole&RoleArn=arn%3Aaws%3A"
                                      "iam%3A%3A1%3Arole%2Fdemo");
    text_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base64__follows_the_rfc),
        TEST(base64__refuses_what_is_not),
        TEST(hex__goes_both_ways),
        TEST(crc__is_written_as_services_do),
        TEST(percent__keeps_what_is_unreserved),
        TEST(percent__is_decoded_strictly),
        TEST(form__is_built_and_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
