/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "backend/fake_test.h"
#include "backend/rate.h"

#define MS UINT64_C(1000000)

static struct fake_clock fake;
static struct persist_op op;
static struct rate rate;

static int setup(void **state)
{
    (void)state;
    fake_clock_init(&fake);
    assert_int_equal(op_init_with_fd(&op, NULL), 0);
    return rate_init(&rate, 1000);
}

static int teardown(void **state)
{
    (void)state;
    rate_finish(&rate);
    op_finish(&op);
    return 0;
}

static uint64_t paid_in(uint64_t len)
{
    uint64_t began = fake.now_ns;

    fake.n_sleeps = 0;
    assert_int_equal(rate_pay(&rate, len, &op, NULL, &fake.clock), PERSIST_OK);
    return fake.now_ns - began;
}

static void pay__takes_the_time_of_the_bytes(void **state)
{
    (void)state;
    /* A quarter of a second is saved up. */
    assert_int_equal(paid_in(200), 0);
    assert_int_equal(paid_in(1000), 950 * MS);
    assert_int_equal(paid_in(10), 10 * MS);
    assert_int_equal(paid_in(0), 0);
    fake.now_ns += 3600000 * MS;
    assert_int_equal(paid_in(1250), 1000 * MS);
}

static void pay__no_limit_is_no_wait(void **state)
{
    (void)state;
    assert_int_equal(rate_pay(NULL, 1 << 30, &op, NULL, &fake.clock), 0);
    rate.bytes_per_s = 0;
    assert_int_equal(paid_in(UINT64_MAX), 0);
}

static void pay__huge_numbers_do_not_overflow(void **state)
{
    (void)state;
    rate.bytes_per_s = UINT64_MAX;
    assert_int_equal(paid_in(UINT64_MAX), 750 * MS);
    rate.bytes_per_s = UINT64_C(1) << 40;
    assert_true(paid_in(UINT64_C(1) << 39) <= 750 * MS);
    rate.bytes_per_s = 1;
    op.deadline_ns = fake.now_ns + 1;
    assert_int_equal(rate_pay(&rate, UINT64_MAX, &op, NULL, &fake.clock),
                     PERSIST_E_TIMEOUT);
}

static void pay__gives_back_what_was_not_waited_for(void **state)
{
    struct cancel also;

    (void)state;
    paid_in(250);
    op.deadline_ns = fake.now_ns + 10 * MS;
    assert_int_equal(rate_pay(&rate, 5000, &op, NULL, &fake.clock),
                     PERSIST_E_TIMEOUT);
    op.deadline_ns = 0;
    assert_int_equal(cancel_init(&also, NULL, false), 0);
    fake.cancel_at_sleep = &also;
    assert_int_equal(rate_pay(&rate, 100, &op, &also, &fake.clock),
                     PERSIST_E_CANCELLED);
    cancel_finish(&also);
    fake.cancel_at_sleep = NULL;

    fake.now_ns += 1000 * MS;
    assert_int_equal(paid_in(250), 0);
    assert_int_equal(paid_in(100), 100 * MS);
}

static void *pay_some(void *arg)
{
    const struct persist_op *o = arg;
    intptr_t rc = 0;

    for (int i = 0; i < 10 && !rc; i++)
        rc = rate_pay(&rate, 20000, o, NULL, &clock_system);
    return (void *)rc;
}

/* Real time: only that it is not less than it must be. */
static void pay__holds_for_threads_together(void **state)
{
    pthread_t threads[4];
    uint64_t began = clock_boot_ns(&clock_system);

    (void)state;
    rate.bytes_per_s = 2000000;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pay_some, &op), 0);
    for (size_t i = 0; i < 4; i++) {
        void *rc = NULL;
        pthread_join(threads[i], &rc);
        assert_null(rc);
    }
    /* 800,000 bytes are 400 ms, less the quarter of a second saved up. */
    assert_true(clock_boot_ns(&clock_system) - began >= 150 * MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pay__takes_the_time_of_the_bytes),
        TEST(pay__no_limit_is_no_wait),
        TEST(pay__huge_numbers_do_not_overflow),
        TEST(pay__gives_back_what_was_not_waited_for),
        TEST(pay__holds_for_threads_together),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
