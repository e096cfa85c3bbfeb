/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and tombstones. */
#include "format/test_support.h"

#include <string.h>

#include "format/envelope.h"
#include "util/le.h"

static const struct marker sample = {TEST_ID, TEST_TIME, "build-7.example.org"};

static void claim__has_one_spelling(void **state)
{
    static const char json[] =
        "{\"snapshot_id\":\"" TEST_ID "\",\"time\":\"" TEST_TIME
        "\",\"host\":\"build-7.example.org\"";
    char claim[CLAIM_LEN];
    (void)state;
    claim_encode(&sample, claim);
    assert_int_equal(le_get32(claim), 0x184D2A52);
    assert_int_equal(le_get32(claim + 4), CLAIM_LEN - 8);
    assert_memory_equal(claim + 8, "PRSTCLM2", 8);
    assert_int_equal(le_get32(claim + 16), CLAIM_LEN - 24);
    assert_memory_equal(claim + 24, json, sizeof(json) - 1);
    for (size_t i = 24 + sizeof(json) - 1; i < CLAIM_LEN - 1; i++)
        assert_int_equal(claim[i], ' ');
    assert_int_equal(claim[CLAIM_LEN - 1], '}');
}

static void marker__comes_back_as_it_was(void **state)
{
    struct marker found;
    char claim[CLAIM_LEN];
    char tombstone[TOMBSTONE_LEN];
    (void)state;
    claim_encode(&sample, claim);
    assert_int_equal(claim_decode(claim, sizeof(claim), &found, NULL), 0);
    assert_string_equal(found.snapshot_id, TEST_ID);
    assert_string_equal(found.time, TEST_TIME);
    assert_string_equal(found.host, sample.host);

    memset(&found, 0, sizeof(found));
    tombstone_encode(&sample, tombstone);
    assert_memory_equal(tombstone + 8, "PRSTDEL2", 8);
    assert_int_equal(
        tombstone_decode(tombstone, sizeof(tombstone), &found, NULL), 0);
    assert_string_equal(found.snapshot_id, TEST_ID);
    assert_string_equal(found.host, sample.host);
}

static void marker__of_the_other_kind_or_length_is_corrupt(void **state)
{
    struct marker found;
    struct persist_error err;
    char claim[CLAIM_LEN + 1] = {0};
    char tombstone[TOMBSTONE_LEN];
    (void)state;
    claim_encode(&sample, claim);
    tombstone_encode(&sample, tombstone);
    assert_int_equal(claim_decode(tombstone, TOMBSTONE_LEN, &found, &err),
                     PERSIST_E_CORRUPT);
    assert_non_null(strstr(err.message, "192 bytes instead of 256"));
    assert_int_equal(tombstone_decode(claim, CLAIM_LEN, &found, &err),
                     PERSIST_E_CORRUPT);
    assert_int_equal(claim_decode(claim, CLAIM_LEN + 1, &found, NULL),
                     PERSIST_E_CORRUPT);
    for (size_t len = 0; len < CLAIM_LEN; len++)
        assert_int_equal(claim_decode(claim, len, &found, NULL),
                         PERSIST_E_CORRUPT);
    memcpy(claim + 8, "PRSTDEL2", 8);
    assert_int_equal(claim_decode(claim, CLAIM_LEN, &found, &err),
                     PERSIST_E_CORRUPT);
}

static void marker__finds_every_flipped_bit(void **state)
{
    struct marker found;
    char claim[CLAIM_LEN];
    char tombstone[TOMBSTONE_LEN];
    (void)state;
    claim_encode(&sample, claim);
    tombstone_encode(&sample, tombstone);
    for (size_t bit = 0; bit < 8 * CLAIM_LEN; bit++) {
        claim[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(claim_decode(claim, CLAIM_LEN, &found, NULL),
                         PERSIST_E_CORRUPT);
        claim[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * TOMBSTONE_LEN; bit++) {
        tombstone[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(
            tombstone_decode(tombstone, TOMBSTONE_LEN, &found, NULL),
            PERSIST_E_CORRUPT);
        tombstone[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* Whatever the host is called, the object has its length and reads back. */
static void host__is_cut_to_what_fits(void **state)
{
    static const struct {
        const char *host;
        const char *claim;
        const char *tombstone;
    } cases[] = {
        {"", "", ""},
        {"a\"b\\c\n", "a\"b\\c\n", "a\"b\\c\n"},
        {"\xff\xc3host\xe2\x82", "??host??", "??host??"},
        {"\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04\x05\x06\x07\x01\x02"
         "\x03\x04\x05\x06\x07\x01\x02\x03",
         "\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04\x05\x06\x07\x01\x02"
         "\x03\x04\x05\x06\x07",
         "\x01\x02\x03\x04\x05\x06\x07\x01\x02\x03\x04"},
        {"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""
         "\"",
         "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""
         "\"",
         "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct marker m = sample;
        struct marker found;
        char claim[CLAIM_LEN];
        char tombstone[TOMBSTONE_LEN];
        memset(m.host, 0, sizeof(m.host));
        memcpy(m.host, cases[i].host, strlen(cases[i].host));
        claim_encode(&m, claim);
        assert_int_equal(claim_decode(claim, CLAIM_LEN, &found, NULL), 0);
        assert_string_equal(found.host, cases[i].claim);
        tombstone_encode(&m, tombstone);
        assert_int_equal(
            tombstone_decode(tombstone, TOMBSTONE_LEN, &found, NULL), 0);
        assert_string_equal(found.host, cases[i].tombstone);
    }
}

static void host__of_full_length_needs_no_end(void **state)
{
    struct marker m = sample;
    struct marker found;
    char tombstone[TOMBSTONE_LEN];
    (void)state;
    memset(m.host, 'h', sizeof(m.host)); /* no NUL */
    tombstone_encode(&m, tombstone);
    assert_int_equal(tombstone_decode(tombstone, TOMBSTONE_LEN, &found, NULL),
                     0);
    assert_int_equal(strlen(found.host), 64);
}

/* A block that is right, around JSON that is not. */
static int decode_json(const char *json, struct marker *found,
                       struct persist_error *err)
{
    struct buf object;
    char padded[CLAIM_LEN - 24];
    buf_init(&object, 1000);
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, json, strlen(json));
    envelope_put(CODEC_ZSTD, BLOCK_CLAIM, padded, sizeof(padded), &object);
    int rc = claim_decode(object.data, object.len, found, err);
    buf_finish(&object);
    return rc;
}

static void marker__refuses_wrong_fields(void **state)
{
#define ID "\"snapshot_id\":\"" TEST_ID "\""
#define TIME "\"time\":\"" TEST_TIME "\""
    static const char *const bad[][2] = {
        {"", "is not JSON"},
        {"[]", "is not an object"},
        {"{}", "snapshot_id is not a UUID"},
        {"{\"snapshot_id\":7," TIME ",\"host\":\"h\"}", "is not a UUID"},
        {"{\"snapshot_id\":\"x\"," TIME ",\"host\":\"h\"}", "is not a UUID"},
        {"{" ID ",\"host\":\"h\"}", "time is not a time"},
        {"{" ID ",\"time\":\"now\",\"host\":\"h\"}", "time is not a time"},
        {"{" ID "," TIME "}", "names no host"},
        {"{" ID "," TIME ",\"host\":null}", "names no host"},
        {"{" ID "," TIME ",\"host\":\"h\",\"host\":\"i\"}", "a key twice"},
    };
    struct marker found;
    struct persist_error err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(decode_json(bad[i][0], &found, &err),
                         PERSIST_E_CORRUPT);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.message);
    }
    /* a newer writer's additions are no reason */
    assert_int_equal(decode_json("{" ID "," TIME ",\"host\":\"h\",\"new\":[]}",
                                 &found, NULL),
                     0);
    /* nor is a host that is longer than ours can be: it is cut */
    assert_int_equal(
        decode_json("{" ID "," TIME ",\"host\":\"0123456789012345678901234567"
                    "89012345678901234567890123456789012\xc3\xa9xyz\"}",
                    &found, NULL),
        0);
    assert_string_equal(
        found.host,
        "012345678901234567890123456789012345678901234567890123456789012");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claim__has_one_spelling),
        cmocka_unit_test(marker__comes_back_as_it_was),
        cmocka_unit_test(marker__of_the_other_kind_or_length_is_corrupt),
        cmocka_unit_test(marker__finds_every_flipped_bit),
        cmocka_unit_test(host__is_cut_to_what_fits),
        cmocka_unit_test(host__of_full_length_needs_no_end),
        cmocka_unit_test(marker__refuses_wrong_fields),
    };
    return cmocka_run_group_tests_name("format.marker", tests, NULL, NULL);
}
