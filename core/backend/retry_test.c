/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake_test.h"
#include "backend/retry.h"

#define MS UINT64_C(1000000)

struct test {
    struct fake_clock clock;
    struct persist_op op;
    struct retry retry;
};

static struct test t;

static int setup(void **state)
{
    (void)state;
    fake_clock_init(&t.clock);
    /* No randomness: every wait is its ceiling. */
    t.clock.random_rc = -1;
    assert_int_equal(op_init_with_fd(&t.op, NULL), 0);
    retry_init(&t.retry, &t.clock.clock, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    op_finish(&t.op);
    return 0;
}

static bool again(int status)
{
    return retry_again(&t.retry, status, NULL, &t.op);
}

static bool again_after(int status, uint64_t retry_after_ms)
{
    return retry_again(&t.retry, status, &retry_after_ms, &t.op);
}

static void assert_sleeps(const uint64_t *ms, size_t n)
{
    assert_int_equal(t.clock.n_sleeps, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t.clock.sleeps[i], ms[i] * MS);
}
#define ASSERT_SLEEPS(...)                                                     \
    do {                                                                       \
        const uint64_t ms_[] = {__VA_ARGS__};                                  \
        assert_sleeps(ms_, sizeof(ms_) / sizeof(ms_[0]));                      \
    } while (0)

static void again__doubles_the_ceiling_up_to_eight_attempts(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++)
        assert_true(again(PERSIST_E_TRANSIENT));

    assert_false(again(PERSIST_E_TRANSIENT));
    ASSERT_SLEEPS(50, 100, 200, 400, 800, 1600, 3200);
    assert_int_equal(t.retry.attempts, 8);
}

static void
again__throttling_starts_at_a_second_and_ends_at_the_window(void **state)
{
    (void)state;
    while (again(PERSIST_E_THROTTLED))
        ;

    /* 1 + 2 + 4 + 8 leave 15 of 30 s, which cut the 16 of the fifth wait. */
    ASSERT_SLEEPS(1000, 2000, 4000, 8000, 15000);
    assert_int_equal(t.retry.attempts, 6);
    assert_false(t.retry.maybe_applied);
}

static void again__waits_a_random_part_of_the_ceiling(void **state)
{
    (void)state;
    t.clock.random_rc = 0;
    t.clock.random = 120 * MS + 7; /* modulo 50 ms + 1, then 100 ms + 1 */

    assert_true(again(PERSIST_E_TRANSIENT));
    assert_true(again(PERSIST_E_TRANSIENT));
    t.clock.random = 50 * MS;
    t.retry.attempts = 0;
    assert_true(again(PERSIST_E_TRANSIENT));

    assert_int_equal(t.clock.sleeps[0], 120 * MS + 7 - 2 * (50 * MS + 1));
    assert_int_equal(t.clock.sleeps[1], 20 * MS + 6);
    /* The ceiling itself can be drawn. */
    assert_int_equal(t.clock.sleeps[2], 50 * MS);
}

static void again__never_waits_over_the_cap(void **state)
{
    (void)state;
    t.retry.max_attempts = UINT32_MAX;
    t.retry.window_ns = 1000000 * MS;

    for (int i = 0; i < 30; i++)
        assert_true(again(PERSIST_E_THROTTLED));

    assert_int_equal(t.clock.sleeps[4], 16000 * MS);
    for (size_t i = 5; i < 30; i++)
        assert_int_equal(t.clock.sleeps[i], 20000 * MS);
}

static void again__measures_the_window_from_the_first_failure(void **state)
{
    (void)state;
    /* An attempt that took a minute has not used up the window. */
    t.clock.now_ns += 60000 * MS;
    assert_true(again(PERSIST_E_TIMEOUT));
    t.clock.now_ns += 29949 * MS;
    assert_true(again(PERSIST_E_TIMEOUT));

    assert_false(again(PERSIST_E_TIMEOUT));
    ASSERT_SLEEPS(50, 1);
}

static void again__retry_after_raises_the_wait(void **state)
{
    (void)state;
    assert_true(again_after(PERSIST_E_THROTTLED, 5000));
    assert_true(again_after(PERSIST_E_THROTTLED, 3));

    ASSERT_SLEEPS(5000, 2000);
}

static void
again__gives_up_at_once_when_retry_after_exceeds_the_window(void **state)
{
    (void)state;
    assert_true(again_after(PERSIST_E_THROTTLED, 30000));
    retry_init(&t.retry, &t.clock.clock, NULL);
    assert_false(again_after(PERSIST_E_THROTTLED, 30001));
    retry_init(&t.retry, &t.clock.clock, NULL);
    assert_false(again_after(PERSIST_E_THROTTLED, UINT64_MAX));

    ASSERT_SLEEPS(30000);
}

static void again__no_attempt_starts_behind_the_deadline(void **state)
{
    (void)state;
    t.op.deadline_ns = t.clock.now_ns + 1200 * MS;

    assert_false(again_after(PERSIST_E_THROTTLED, 1500));
    retry_init(&t.retry, &t.clock.clock, NULL);
    assert_true(again_after(PERSIST_E_THROTTLED, 1100));
    assert_int_equal(t.clock.n_sleeps, 1);
    t.clock.now_ns += 100 * MS;
    assert_false(again(PERSIST_E_THROTTLED));
    assert_int_equal(t.clock.n_sleeps, 1);
}

static void again__repeats_four_codes_and_no_other(void **state)
{
    (void)state;
    for (int status = PERSIST_E_MISUSE; status <= 2; status++) {
        bool repeated =
            status == PERSIST_E_THROTTLED || status == PERSIST_E_TRANSIENT ||
            status == PERSIST_E_TIMEOUT || status == PERSIST_E_UNCERTAIN;
        bool maybe = repeated ? status != PERSIST_E_THROTTLED
                              : status == PERSIST_E_CANCELLED;
        retry_init(&t.retry, &t.clock.clock, NULL);
        assert_int_equal(again(status), repeated);
        assert_int_equal(retry_repeats(status), repeated);
        assert_int_equal(t.retry.maybe_applied, maybe);
        assert_int_equal(t.retry.attempts, 1);
    }
}

static void again__remembers_that_an_attempt_may_have_happened(void **state)
{
    (void)state;
    assert_true(again(PERSIST_E_TIMEOUT));
    assert_false(again(PERSIST_E_EXISTS));

    assert_true(t.retry.maybe_applied);
}

static void again__stops_when_cancelled_before_the_wait(void **state)
{
    (void)state;
    cancel_set(&t.op.cancel);

    assert_false(again(PERSIST_E_TRANSIENT));
    assert_int_equal(t.clock.n_sleeps, 0);
}

static void again__stops_when_cancelled_during_the_wait(void **state)
{
    (void)state;
    t.clock.cancel_at_sleep = &t.op.cancel;

    assert_false(again(PERSIST_E_THROTTLED));
    assert_int_equal(t.clock.n_sleeps, 1);
}

/* ------------------------------------------------------------------ tokens
 */

static struct retry_tokens tokens;

/* One request that fails n times and then ends so. */
static void request(int n, int failure, int end)
{
    retry_init(&t.retry, &t.clock.clock, &tokens);
    t.retry.max_attempts = UINT32_MAX;
    t.retry.window_ns = UINT64_MAX / 4;
    t.clock.n_sleeps = 0;
    while (n-- > 0 && again(failure))
        ;
    retry_end(&t.retry, end);
}

static void tokens__a_repetition_costs_and_success_gives_back(void **state)
{
    (void)state;
    retry_tokens_init(&tokens);
    request(2, PERSIST_E_TRANSIENT, PERSIST_E_IO);
    assert_int_equal(atomic_load(&tokens.left), 500 - 2 * 14);
    request(3, PERSIST_E_THROTTLED, PERSIST_E_DENIED);
    assert_int_equal(atomic_load(&tokens.left), 472 - 3 * 5);

    request(4, PERSIST_E_TIMEOUT, PERSIST_OK);
    assert_int_equal(atomic_load(&tokens.left), 457);
    for (int i = 0; i < 60; i++)
        request(0, 0, PERSIST_OK);
    assert_int_equal(atomic_load(&tokens.left), 500);
}

static void tokens__nothing_is_repeated_without_them(void **state)
{
    (void)state;
    retry_tokens_init(&tokens);
    request(100, PERSIST_E_TRANSIENT, PERSIST_E_TRANSIENT);
    assert_int_equal(t.retry.attempts, 36); /* 35 repetitions of 14 */
    assert_true(t.retry.starved);
    assert_int_equal(atomic_load(&tokens.left), 10);

    request(1, PERSIST_E_TRANSIENT, PERSIST_E_TRANSIENT);
    assert_true(t.retry.starved);
    assert_int_equal(t.clock.n_sleeps, 0);
    request(2, PERSIST_E_THROTTLED, PERSIST_E_THROTTLED);
    assert_int_equal(t.clock.n_sleeps, 2);
    /* But a doubt is settled. */
    request(3, PERSIST_E_UNCERTAIN, PERSIST_E_UNCERTAIN);
    assert_int_equal(t.clock.n_sleeps, 3);
    assert_false(t.retry.starved);
}

static void excuse__stretches_the_window_and_not_the_deadline(void **state)
{
    (void)state;
    assert_true(again(PERSIST_E_TIMEOUT));
    t.clock.now_ns += 60000 * MS;
    retry_excuse(&t.retry, 60000 * MS);
    assert_true(again(PERSIST_E_TIMEOUT));

    t.op.deadline_ns = t.clock.now_ns + 10 * MS;
    t.clock.now_ns += 20 * MS;
    retry_excuse(&t.retry, 20 * MS);
    assert_false(again(PERSIST_E_TIMEOUT));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(again__doubles_the_ceiling_up_to_eight_attempts),
        TEST(again__throttling_starts_at_a_second_and_ends_at_the_window),
        TEST(again__waits_a_random_part_of_the_ceiling),
        TEST(again__never_waits_over_the_cap),
        TEST(again__measures_the_window_from_the_first_failure),
        TEST(again__retry_after_raises_the_wait),
        TEST(again__gives_up_at_once_when_retry_after_exceeds_the_window),
        TEST(again__no_attempt_starts_behind_the_deadline),
        TEST(again__repeats_four_codes_and_no_other),
        TEST(again__remembers_that_an_attempt_may_have_happened),
        TEST(again__stops_when_cancelled_before_the_wait),
        TEST(again__stops_when_cancelled_during_the_wait),
        TEST(tokens__a_repetition_costs_and_success_gives_back),
        TEST(tokens__nothing_is_repeated_without_them),
        TEST(excuse__stretches_the_window_and_not_the_deadline),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
