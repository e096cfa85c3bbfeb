/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/progress.h"

#define MIB (UINT64_C(1) << 20)

static void format__shows_share_rate_and_time_left(void **state)
{
    struct progress_state s = {.label = "save writer",
                               .done = 64 * MIB,
                               .total = 256 * MIB,
                               .elapsed_ms = 1000,
                               .rate = 32 * MIB};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format(&s, 100, line);

    assert_non_null(strstr(line, "save writer  25% ["));
    assert_non_null(
        strstr(line, "64.0 MiB of 256.0 MiB  32.0 MiB/s  ETA 0:06"));
    assert_non_null(strstr(line, "=>"));
}

static void format__never_exceeds_the_width(void **state)
{
    struct progress_state s = {.label = "save w\xc3\xb6rter", .rate = 1};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    for (size_t width = 0; width < 200; width++) {
        for (unsigned known = 0; known < 2; known++) {
            s.total = known ? UINT64_MAX : 0;
            s.done = UINT64_MAX / 3 * (width % 4);
            progress_format(&s, width, line);
            size_t n = 0;
            for (char *c = line; *c; c++)
                n += (*c & 0xc0) != 0x80;
            assert_in_range(n, 0, width);
        }
    }
}

static void format__fills_the_bar_at_the_end_only(void **state)
{
    struct progress_state s = {
        .label = "x", .done = 10 * MIB - 1, .total = 10 * MIB, .rate = MIB};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format(&s, 100, line);
    assert_non_null(strstr(line, " 99% "));
    assert_non_null(strstr(line, ">]"));
    s.done = s.total;
    progress_format(&s, 100, line);
    assert_non_null(strstr(line, "100% "));
    assert_non_null(strstr(line, "=]"));
    assert_non_null(strstr(line, "ETA 0:00"));
    s.done = s.total + 5;
    progress_format(&s, 100, line);
    assert_non_null(strstr(line, "100% "));
}

static void format__drops_the_bar_where_there_is_no_room(void **state)
{
    struct progress_state s = {.label = "x", .done = 1, .total = 2, .rate = 1};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format(&s, 36, line);

    assert_null(strchr(line, '['));
    assert_non_null(strstr(line, "50%"));
}

static void format__shows_time_spent_without_a_total(void **state)
{
    struct progress_state s = {
        .label = "save w", .done = 5 * MIB, .elapsed_ms = 3723000};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format(&s, 100, line);

    assert_string_equal(line, "save w  5.0 MiB  --/s  1:02:03");
}

static void format__gives_up_on_times_beyond_days(void **state)
{
    struct progress_state s = {
        .label = "x", .done = 1, .total = UINT64_C(1) << 50, .rate = 1};
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format(&s, 100, line);
    assert_non_null(strstr(line, "ETA --:--"));
    s.rate = 0;
    progress_format(&s, 100, line);
    assert_non_null(strstr(line, "ETA --:--"));
}

static void rate__settles_on_a_steady_stream(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    for (uint64_t t = 100; t <= 20000; t += 100)
        progress_rate_add(&r, t, t * 1000);

    assert_in_range(r.rate, 990000, 1010000);
}

static void rate__follows_a_stall_down(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    progress_rate_add(&r, 1000, 1000000);
    for (uint64_t t = 1100; t <= 11000; t += 100)
        progress_rate_add(&r, t, 1000000);

    assert_in_range(r.rate, 0, 50000);
}

static void rate__ignores_a_clock_that_stands_still(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    progress_rate_add(&r, 1000, 1000);
    progress_rate_add(&r, 1000, 9000);
    assert_int_equal(r.rate, 1000);
    progress_rate_add(&r, 500, 9000);
    assert_int_equal(r.rate, 1000);
    /* A counter that starts again is no negative rate. */
    progress_rate_add(&r, 5000, 10);
    assert_int_equal(r.rate, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format__shows_share_rate_and_time_left),
        cmocka_unit_test(format__never_exceeds_the_width),
        cmocka_unit_test(format__fills_the_bar_at_the_end_only),
        cmocka_unit_test(format__drops_the_bar_where_there_is_no_room),
        cmocka_unit_test(format__shows_time_spent_without_a_total),
        cmocka_unit_test(format__gives_up_on_times_beyond_days),
        cmocka_unit_test(rate__settles_on_a_steady_stream),
        cmocka_unit_test(rate__follows_a_stall_down),
        cmocka_unit_test(rate__ignores_a_clock_that_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
