/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/testkit.h"

#define US INT64_C(1000000)

static void rfc3339__examples(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        /* RFC 3339, section 5.8 */
        {"1985-04-12T23:20:50.52Z", INT64_C(482196050520000)},
        {"1996-12-19T16:39:57-08:00", INT64_C(851042397000000)},
        {"1990-12-31T23:59:60Z", INT64_C(662687999000000)},
        {"1990-12-31T15:59:60-08:00", INT64_C(662687999000000)},
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"2013-05-24 00:00:00+0000", INT64_C(1369353600000000)},
        {"2013-05-24t00:00:00.123456789z", INT64_C(1369353600123456)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t us = -1;

        assert_true(date_parse_rfc3339(good[i].text, &us));
        assert_true(us == good[i].us);
    }
}

static void rfc3339__refuses_what_is_not(void **state)
{
    static const char *const bad[] = {
        "",
        "2013-05-24",
        "2013-05-24T00:00:00",
        "2013-13-24T00:00:00Z",
        "2013-02-29T00:00:00Z",
        "2013-05-24T24:00:00Z",
        "2013-05-24T00:60:00Z",
        "2013-05-24T00:00:61Z",
        "2013-05-24T00:00:00.Z",
        "2013-05-24T00:00:00Zx",
        "2013-05-24T00:00:00+24:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "+013-05-24T00:00:00Z",
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(date_parse_rfc3339(bad[i], &us));
}

static void http_date__is_read(void **state)
{
    static const char *const bad[] = {
        "",
        "Fri, 24 May 2013 00:00:00",
        "Fri, 24 May 2013 00:00:00 UTC",
        "Fri 24 May 2013 00:00:00 GMT",
        "Fri, 24 May 2013 00:00:00 GMT+1",
        "Fri, 31 Apr 2013 00:00:00 GMT",
        "Friday, 24-May-13 00:00:00 GMT",
        "Fri, 24 Mai 2013 00:00:00 GMT",
    };
    int64_t us;

    (void)state;
    assert_true(date_parse_http("Fri, 24 May 2013 00:00:00 GMT", &us));
    assert_true(us == 1369353600 * US);
    /* RFC 9110, section 5.6.7 */
    assert_true(date_parse_http("Sun, 06 Nov 1994 08:49:37 GMT", &us));
    assert_true(us == 784111777 * US);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(date_parse_http(bad[i], &us));
}

/* Against libc's calendar: every 11 days and some seconds, to the year 9999. */
static void formats__agree_with_libc(void **state)
{
    (void)state;
    for (int64_t s = 0; s < INT64_C(253402300799); s += 977617) {
        char basic[17], extended[21], expected[32];
        time_t seconds = (time_t)s;
        struct tm tm;
        int64_t us;

        date_format_basic(s * US + 999999, basic);
        date_format_rfc3339(s * US, extended);
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(
            strftime(expected, sizeof(expected), "%Y%m%dT%H%M%SZ", &tm), 16);
        assert_string_equal(basic, expected);
        assert_true(date_parse_rfc3339(extended, &us));
        assert_true(us == s * US);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc3339__examples),
        TEST(rfc3339__refuses_what_is_not),
        TEST(http_date__is_read),
        TEST(formats__agree_with_libc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
