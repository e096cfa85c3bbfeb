/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static void sleep_ns(uint64_t ns, int fd)
{
    clock_system.sleep_ns(clock_system.ctx, ns, fd);
}

static void boot__advances_with_sleep(void **state)
{
    (void)state;
    uint64_t before = clock_boot_ns(&clock_system);
    sleep_ns(20 * MS, -1);
    uint64_t after = clock_boot_ns(&clock_system);

    assert_true(after - before >= 20 * MS);
    assert_true(after - before < 5000 * MS);
}

static void wall__is_the_system_time_in_microseconds(void **state)
{
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t us = clock_wall_us(&clock_system);
    clock_gettime(CLOCK_REALTIME, &after);

    assert_true(us >= (int64_t)before.tv_sec * 1000000 + before.tv_nsec / 1000);
    assert_true(us <= (int64_t)after.tv_sec * 1000000 + after.tv_nsec / 1000);
}

static void sleep__ends_when_the_descriptor_is_readable(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "", 1), 1);
    uint64_t before = clock_boot_ns(&clock_system);

    sleep_ns(60000 * MS, fds[0]);
    sleep_ns(UINT64_MAX, fds[0]);

    assert_true(clock_boot_ns(&clock_system) - before < 10000 * MS);
    close(fds[0]);
    close(fds[1]);
}

static void sleep__waits_out_a_silent_descriptor(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    uint64_t before = clock_boot_ns(&clock_system);

    sleep_ns(20 * MS, fds[0]);

    assert_true(clock_boot_ns(&clock_system) - before >= 20 * MS);
    close(fds[0]);
    close(fds[1]);
}

static void ignore(int number)
{
    (void)number;
}

static void *disturb(void *arg)
{
    pthread_t sleeper = *(pthread_t *)arg;
    for (int i = 0; i < 5; i++) {
        sleep_ns(10 * MS, -1);
        pthread_kill(sleeper, SIGUSR1);
    }
    return NULL;
}

static void sleep__is_not_cut_short_by_signals(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = ignore}, before_action;
    sigaction(SIGUSR1, &action, &before_action);
    pthread_t self = pthread_self(), thread;
    pthread_create(&thread, NULL, disturb, &self);
    uint64_t before = clock_boot_ns(&clock_system);

    sleep_ns(120 * MS, -1);

    assert_true(clock_boot_ns(&clock_system) - before >= 120 * MS);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before_action, NULL);
}

static void random__fills_all_of_it_differently(void **state)
{
    (void)state;
    static unsigned char a[100000], b[100000];
    unsigned seen[256] = {0};

    assert_int_equal(clock_system.random(NULL, a, sizeof(a)), 0);
    assert_int_equal(clock_system.random(NULL, b, sizeof(b)), 0);
    assert_int_equal(clock_system.random(NULL, a, 0), 0);

    assert_memory_not_equal(a, b, sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++)
        seen[a[i]]++;
    for (size_t i = 0; i < 256; i++) /* 390 expected */
        assert_in_range(seen[i], 250, 550);
}

static void random__reports_where_it_cannot_write(void **state)
{
    (void)state;
    assert_true(clock_system.random(NULL, (void *)16, 8) < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot__advances_with_sleep),
        cmocka_unit_test(wall__is_the_system_time_in_microseconds),
        cmocka_unit_test(sleep__ends_when_the_descriptor_is_readable),
        cmocka_unit_test(sleep__waits_out_a_silent_descriptor),
        cmocka_unit_test(sleep__is_not_cut_short_by_signals),
        cmocka_unit_test(random__fills_all_of_it_differently),
        cmocka_unit_test(random__reports_where_it_cannot_write),
    };
    return cmocka_run_group_tests_name("util.clock", tests, NULL, NULL);
}
