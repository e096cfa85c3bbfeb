/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes, durations, hex and suggestions. */
#include "util/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

static void u64__accepts_canonical_decimal(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(text_to_u64("0", &v) && v == 0);
    assert_true(text_to_u64("907", &v) && v == 907);
    assert_true(text_to_u64("18446744073709551615", &v) && v == UINT64_MAX);
}

static void u64__refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "00",
                                      "01",
                                      "+1",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "1\n",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "a",
                                      "\xd9\xa1", /* an Arabic-Indic 1 */
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t v = UNTOUCHED;
        assert_false(text_to_u64(bad[i], &v));
        assert_true(v == UNTOUCHED);
    }
}

static void i64__reaches_both_ends(void **state)
{
    (void)state;
    int64_t v = 5;
    assert_true(text_to_i64("-9223372036854775808", &v) && v == INT64_MIN);
    assert_true(text_to_i64("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(text_to_i64("-1", &v) && v == -1);
    assert_true(text_to_i64("0", &v) && v == 0);
    static const char *const bad[] = {"-0",
                                      "--1",
                                      "-",
                                      "-01",
                                      "",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    v = 5;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_to_i64(bad[i], &v));
    assert_true(v == 5);
}

static void size__knows_binary_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"123", 123},
                {"512B", 512},
                {"512b", 512},
                {"64K", 65536},
                {"8M", 8 << 20},
                {"8m", 8 << 20},
                {"1GiB", 1 << 30},
                {"1gib", 1 << 30},
                {"2T", UINT64_C(2) << 40},
                {"3PiB", UINT64_C(3) << 50},
                {"15E", UINT64_C(15) << 60},
                {"0E", 0}};
    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t v = UNTOUCHED;
        assert_true(text_to_size(good[i].text, &v));
        assert_true(v == good[i].bytes);
    }
}

static void size__refuses_what_is_ambiguous_or_too_large(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "K",     "1KB", "1kb",
        "1.5M", "-1M",   "1 M", "1Ki",
        "1Mi",  "1Kib ", "16E", "01K",
        "1X",   "1KK",   "1BB", "18446744073709551615K"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t v = UNTOUCHED;
        assert_false(text_to_size(bad[i], &v));
        assert_true(v == UNTOUCHED);
    }
}

static void rate__is_a_size_per_second(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},           {"500K", 512000},
                {"500K/s", 512000}, {"2MiB/s", 2 << 20},
                {"100/s", 100},     {"1b/s", 1}};
    static const char *const bad[] = {"",     "/s",    "1M/",    "1M/S",
                                      "1M/m", "1M/s ", "1M/s/s", "1KB/s"};

    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t v = UNTOUCHED;
        assert_true(text_to_rate(good[i].text, &v));
        assert_true(v == good[i].bytes);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t v = UNTOUCHED;
        assert_false(text_to_rate(bad[i], &v));
        assert_true(v == UNTOUCHED);
    }
}

static void duration__knows_its_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"500ms", 500},    {"30s", 30000},    {"5m", 300000},
                {"12h", 43200000}, {"7d", 604800000}, {"2w", 1209600000},
                {"0", 0}};
    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t v = UNTOUCHED;
        assert_true(text_to_duration_ms(good[i].text, &v));
        assert_true(v == good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "s",
                                      "30",
                                      "1M",
                                      "1 s",
                                      "1.5s",
                                      "-1s",
                                      "1y",
                                      "01s",
                                      "1mss",
                                      "18446744073709551615"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t v = UNTOUCHED;
        assert_false(text_to_duration_ms(bad[i], &v));
    }
}

static void bool__knows_eight_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "1", "TRUE", "On"};
    static const char *const no[] = {"false", "no", "off", "0", "No"};
    static const char *const bad[] = {"", "2", "y", "tru", "truee", "on "};
    bool v = false;
    for (size_t i = 0; i < COUNT(yes); i++) {
        v = false;
        assert_true(text_to_bool(yes[i], &v) && v);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        v = true;
        assert_true(text_to_bool(no[i], &v) && !v);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_to_bool(bad[i], &v));
}

static void put_digits__keeps_the_last_ones(void **state)
{
    char out[8] = "zzzzzzz";

    (void)state;
    assert_ptr_equal(text_put_digits(out, 7, 3, '-'), out + 4);
    assert_memory_equal(out, "007-z", 5);
    text_put_digits(out, 12345, 2, '\0');
    assert_string_equal(out, "45");
}

static void size_text__is_short_and_rounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 B"},
                {1023, "1023 B"},
                {1024, "1.0 KiB"},
                {1536, "1.5 KiB"},
                {1588, "1.6 KiB"},
                {10240, "10.0 KiB"},
                {1048575, "1.0 MiB"},
                {1048576, "1.0 MiB"},
                {12897485, "12.3 MiB"},
                {1073741823, "1.0 GiB"},
                {UINT64_C(1023) << 50, "1023.0 PiB"},
                {(UINT64_C(1) << 60) - 1, "1.0 EiB"},
                {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[16];
        text_from_size(rows[i].bytes, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void hex__goes_there_and_back(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;

    text_to_hex(all, 256, hex);
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex, "000102030405060708090a0b", 24);
    assert_true(text_from_hex(hex, 512, back));
    assert_memory_equal(back, all, 256);
    assert_true(text_from_hex("", 0, back));

    assert_false(text_from_hex("abc", 3, back));
    assert_false(text_from_hex("AB", 2, back));
    assert_false(text_from_hex("0g", 2, back));
    assert_false(text_from_hex("g0", 2, back));
    assert_false(text_from_hex(" 1", 2, back));
}

static void suggest__finds_near_misses_only(void **state)
{
    (void)state;
    static const char *const words[] = {
        "store", "log_level", "log_format", "memory_limit", "root", NULL};
    assert_string_equal(text_suggest("stroe", words), "store");
    assert_string_equal(text_suggest("log_levle", words), "log_level");
    assert_string_equal(text_suggest("memorylimit", words), "memory_limit");
    assert_string_equal(text_suggest("rot", words), "root");
    assert_string_equal(text_suggest("store", words), "store");
    assert_null(text_suggest("bucket", words));
    assert_null(text_suggest("x", words));
    assert_null(text_suggest("", words));
    assert_null(text_suggest("ab", words));
}

static void suggest__takes_the_closest_and_survives_long_words(void **state)
{
    (void)state;
    static const char *const words[] = {"bucket_nam", "bucket_name", NULL};
    char longest[200];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    const char *const long_words[] = {longest, NULL};

    assert_string_equal(text_suggest("bucket_names", words), "bucket_name");
    assert_null(text_suggest(longest, words));
    assert_null(text_suggest("aaaa", long_words));
}

static void u64_text__goes_there_and_back(void **state)
{
    static const uint64_t numbers[] = {0, 9, 10, 12345, UINT64_MAX};
    (void)state;

    for (size_t i = 0; i < COUNT(numbers); i++) {
        char out[TEXT_U64_LEN];
        uint64_t again = 1;
        size_t len = text_from_u64(numbers[i], out);
        assert_int_equal(len, strlen(out));
        assert_true(text_to_u64(out, &again) && again == numbers[i]);
    }
}

static void dup_and_format__give_own_memory(void **state)
{
    (void)state;
    assert_null(text_dup(NULL));
    char *a = text_dup("x");
    char *b = text_format("%s-%d", a, 7);
    assert_string_equal(b, "x-7");
    free(a);
    free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(u64__accepts_canonical_decimal),
        cmocka_unit_test(u64__refuses_everything_else),
        cmocka_unit_test(i64__reaches_both_ends),
        cmocka_unit_test(size__knows_binary_units),
        cmocka_unit_test(size__refuses_what_is_ambiguous_or_too_large),
        cmocka_unit_test(rate__is_a_size_per_second),
        cmocka_unit_test(duration__knows_its_units),
        cmocka_unit_test(bool__knows_eight_words),
        cmocka_unit_test(put_digits__keeps_the_last_ones),
        cmocka_unit_test(size_text__is_short_and_rounds),
        cmocka_unit_test(u64_text__goes_there_and_back),
        cmocka_unit_test(hex__goes_there_and_back),
        cmocka_unit_test(suggest__finds_near_misses_only),
        cmocka_unit_test(suggest__takes_the_closest_and_survives_long_words),
        cmocka_unit_test(dup_and_format__give_own_memory),
    };
    return cmocka_run_group_tests_name("util.text", tests, NULL, NULL);
}
