/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3339 times against the C library's calendar, and UUIDv7. */
#include "util/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define S INT64_C(1000000)

static void from_time__prints_known_moments(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1795407564642210, "2026-11-23T04:19:24.642210Z"},
        {951782400 * S, "2000-02-29T00:00:00.000000Z"},
        {INT64_C(-62167219200) * S, "0000-01-01T00:00:00.000000Z"},
        {INT64_C(253402300799) * S + 999999, "9999-12-31T23:59:59.999999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[TEXT_TIME_LEN];
        text_from_time(rows[i].us, out);
        assert_string_equal(out, rows[i].text);
    }
}

/* Every 9 days and some seconds over ten thousand years. */
static void times__agree_with_gmtime_and_come_back(void **state)
{
    (void)state;
    for (int64_t s = INT64_C(-62167219200); s < INT64_C(253402300800);
         s += 9 * 86400 + 12347) {
        char ours[TEXT_TIME_LEN], theirs[80];
        time_t t = (time_t)s;
        const struct tm *tm = gmtime(&t); /* Windows has no gmtime_r */
#ifdef _WIN32
        if (!tm)
            continue; /* nor times before 1970 and after 3000 */
#endif
        assert_non_null(tm);
        snprintf(theirs, sizeof(theirs),
                 "%04d-%02d-%02dT%02d:%02d:%02d.000007Z", tm->tm_year + 1900,
                 tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min,
                 tm->tm_sec);
        text_from_time(s * S + 7, ours);
        assert_string_equal(ours, theirs);
        int64_t back = 0;
        assert_true(text_to_time(ours, &back));
        assert_true(back == s * S + 7);
    }
}

static void to_time__reads_offsets_and_fractions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:01z", S},
        {"1970-01-01T00:00:00.5Z", 500000},
        {"1970-01-01T00:00:00.1234567899Z", 123456},
        {"1970-01-01T01:30:00+01:30", 0},
        {"1969-12-31T19:00:00-05:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2016-12-31T23:59:60Z", 1483228800 * S}, /* a leap second */
        {"2024-02-29T12:00:00+00:00", 1709208000 * S},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t us = 42;
        assert_true(text_to_time(rows[i].text, &us));
        assert_true(us == rows[i].us);
    }
}

static void to_time__refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "now",
                                      "1970-01-01",
                                      "1970-01-01T00:00:00",
                                      "1970-01-01 00:00:00Z",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00Z",
                                      "1970-1-01T00:00:00Z",
                                      "1970-13-01T00:00:00Z",
                                      "1970-00-01T00:00:00Z",
                                      "1970-01-32T00:00:00Z",
                                      "1970-01-00T00:00:00Z",
                                      "2023-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2024-04-31T00:00:00Z",
                                      "1970-01-01T24:00:00Z",
                                      "1970-01-01T00:60:00Z",
                                      "1970-01-01T00:00:61Z",
                                      "1970-01-01T00:00:60Z",
                                      "1970-01-01T00:00:00+24:00",
                                      "1970-01-01T00:00:00+00:60",
                                      "1970-01-01T00:00:00+0000",
                                      "1970-01-01T00:00:00Z ",
                                      "+1970-01-01T00:00:00Z",
                                      "0000-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t us = 42;
        assert_false(text_to_time(bad[i], &us));
        assert_true(us == 42);
    }
}

/* RFC 9562, A.6. */
static void uuid7__matches_the_example_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc,
                                       0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char out[TEXT_UUID_LEN];

    text_uuid7(INT64_C(0x017f22e279b0) * 1000 + 999, random, out);

    assert_string_equal(out, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_true(text_is_uuid(out));
}

static void uuid7__fixes_version_and_variant(void **state)
{
    (void)state;
    uint8_t random[10];
    char out[TEXT_UUID_LEN];

    memset(random, 0xff, sizeof(random));
    text_uuid7(-5, random, out);
    assert_string_equal(out, "00000000-0000-7fff-bfff-ffffffffffff");
    memset(random, 0, sizeof(random));
    text_uuid7(INT64_MAX, random, out);
    assert_int_equal(out[14], '7');
    assert_int_equal(out[19], '8');
}

static void is_uuid__refuses_other_shapes(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
                                      "017F22E2-79b0-7cc3-98c4-dc0c0c07398f",
                                      "017f22e2079b0-7cc3-98c4-dc0c0c07398f",
                                      "017f22e2-79b0-7cc3-98c4-dc0c0c0739-f",
                                      "g17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
                                      "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_is_uuid(bad[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_time__prints_known_moments),
        cmocka_unit_test(times__agree_with_gmtime_and_come_back),
        cmocka_unit_test(to_time__reads_offsets_and_fractions),
        cmocka_unit_test(to_time__refuses_what_is_no_time),
        cmocka_unit_test(uuid7__matches_the_example_of_the_rfc),
        cmocka_unit_test(uuid7__fixes_version_and_variant),
        cmocka_unit_test(is_uuid__refuses_other_shapes),
    };
    return cmocka_run_group_tests_name("util.text_time", tests, NULL, NULL);
}
