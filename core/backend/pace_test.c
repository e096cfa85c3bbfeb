/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake_test.h"
#include "backend/pace.h"

#define MS UINT64_C(1000000)

static struct fake_clock fake;
static struct persist_op op;
static struct pace pace;

static int setup(void **state)
{
    (void)state;
    fake_clock_init(&fake);
    assert_int_equal(op_init_with_fd(&op, NULL), 0);
    return pace_init(&pace);
}

static int teardown(void **state)
{
    (void)state;
    pace_finish(&pace);
    op_finish(&op);
    return 0;
}

/* How long an attempt had to wait, in ns. */
static uint64_t waited(void)
{
    uint64_t began = fake.now_ns;

    fake.n_sleeps = 0;
    assert_int_equal(pace_wait(&pace, &op, NULL, &fake.clock), PERSIST_OK);
    return fake.now_ns - began;
}

static void attempts(int n, uint64_t apart_ns)
{
    while (n-- > 0) {
        waited();
        fake.now_ns += apart_ns;
    }
}

static void wait__is_nothing_before_throttling(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(waited(), 0);
}

static void throttled__spaces_every_attempt_of_the_store(void **state)
{
    (void)state;
    pace_throttled(&pace, &fake.clock);

    assert_int_equal(waited(), 20 * MS);
    assert_int_equal(waited(), 20 * MS);
    fake.now_ns += 15 * MS;
    assert_int_equal(waited(), 5 * MS);
    fake.now_ns += 100 * MS;
    assert_int_equal(waited(), 0); /* time unused is not saved up */
    assert_int_equal(waited(), 20 * MS);
}

static void throttled__starts_from_the_rate_that_was_too_fast(void **state)
{
    (void)state;
    attempts(50, 8 * MS);
    pace_throttled(&pace, &fake.clock);

    waited();
    assert_int_equal(waited(), 12 * MS);
}

static void throttled__counts_once_for_requests_in_flight(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        pace_throttled(&pace, &fake.clock);
    waited();
    assert_int_equal(waited(), 20 * MS);

    fake.now_ns += 500 * MS;
    pace_throttled(&pace, &fake.clock);
    waited();
    assert_true(waited() > 20 * MS);
}

static void throttled__has_a_ceiling(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        fake.now_ns += 600 * MS;
        pace_throttled(&pace, &fake.clock);
    }
    waited();
    assert_int_equal(waited(), 1000 * MS);
}

static void peace__halves_the_spacing_until_it_is_gone(void **state)
{
    (void)state;
    pace_throttled(&pace, &fake.clock);
    fake.now_ns += 5000 * MS;
    waited();
    assert_int_equal(waited(), 10 * MS);
    fake.now_ns += 10000 * MS;
    waited();
    assert_int_equal(waited(), 5 * MS / 2);
    fake.now_ns += 20000 * MS;
    waited();
    assert_int_equal(waited(), 0);
}

static void wait__ends_with_the_operation(void **state)
{
    struct cancel also;

    (void)state;
    pace_throttled(&pace, &fake.clock);
    op.deadline_ns = fake.now_ns + 5 * MS;
    assert_int_equal(pace_wait(&pace, &op, NULL, &fake.clock),
                     PERSIST_E_TIMEOUT);
    op.deadline_ns = 0;
    assert_int_equal(cancel_init(&also, NULL, false), 0);
    fake.cancel_at_sleep = &also;
    assert_int_equal(pace_wait(&pace, &op, &also, &fake.clock),
                     PERSIST_E_CANCELLED);
    fake.cancel_at_sleep = &op.cancel;
    assert_int_equal(pace_wait(&pace, &op, NULL, &fake.clock),
                     PERSIST_E_CANCELLED);
    cancel_finish(&also);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wait__is_nothing_before_throttling),
        TEST(throttled__spaces_every_attempt_of_the_store),
        TEST(throttled__starts_from_the_rate_that_was_too_fast),
        TEST(throttled__counts_once_for_requests_in_flight),
        TEST(throttled__has_a_ceiling),
        TEST(peace__halves_the_spacing_until_it_is_gone),
        TEST(wait__ends_with_the_operation),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
