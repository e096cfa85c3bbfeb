/* SPDX-License-Identifier: Apache-2.0 */
/* Reserving, waiting in order, and every way a wait ends. */
#include "runtime/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include <persist/error.h>

#define MS UINT64_C(1000000)

static int reserve(struct budget *b, uint64_t bytes, const struct cancel *c)
{
    return budget_reserve(b, bytes, c, &clock_system, 0);
}

static uint64_t in_ms(uint64_t ms)
{
    return clock_boot_ns(&clock_system) + ms * MS;
}

static void nap(uint64_t ms)
{
    clock_system.sleep_ns(NULL, ms * MS, -1);
}

static void counting__used_peak_and_limit(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    assert_true(budget_limit(b) == 100);

    assert_int_equal(reserve(b, 60, NULL), PERSIST_OK);
    assert_int_equal(budget_try(b, 40), PERSIST_OK);
    assert_int_equal(budget_try(b, 1), PERSIST_E_MEMORY);
    assert_true(budget_used(b) == 100);
    budget_release(b, 60);
    assert_int_equal(budget_try(b, 61), PERSIST_E_MEMORY);
    assert_true(budget_used(b) == 40);
    assert_true(budget_peak(b) == 100);
    budget_release(b, 40);
    assert_true(budget_used(b) == 0);
    assert_int_equal(reserve(b, 0, NULL), PERSIST_OK);
    budget_destroy(b);
    budget_destroy(NULL);
}

static void reserve__more_than_the_limit_fails_at_once(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    assert_int_equal(reserve(b, 101, NULL), PERSIST_E_MEMORY);
    assert_int_equal(reserve(b, UINT64_MAX, NULL), PERSIST_E_MEMORY);
    assert_int_equal(budget_try(b, UINT64_MAX), PERSIST_E_MEMORY);
    budget_try(b, 50);
    assert_int_equal(budget_try(b, UINT64_MAX - 10), PERSIST_E_MEMORY);
    assert_true(budget_used(b) == 50);
    budget_release(b, 50);
    budget_destroy(b);
}

/* ------------------------------------------------------------------ waiting */

struct reserver {
    struct budget *b;
    uint64_t bytes;
    const struct cancel *cancel;
    uint64_t deadline_ns;
    bool first;
    atomic_int *turn;
    int rc, order;
    atomic_bool done;
    pthread_t thread;
};

static void *run_reserver(void *arg)
{
    struct reserver *r = arg;
    r->rc = (r->first ? budget_reserve_first : budget_reserve)(
        r->b, r->bytes, r->cancel, &clock_system, r->deadline_ns);
    r->order = r->turn ? atomic_fetch_add(r->turn, 1) : 0;
    atomic_store(&r->done, true);
    return NULL;
}

static void start(struct reserver *r)
{
    pthread_create(&r->thread, NULL, run_reserver, r);
}

/* Where nobody waits yet: he stands in line when it returns. */
static void start_in_line(struct reserver *r)
{
    start(r);
    while (budget_reserve_now(r->b, 1) == PERSIST_OK)
        budget_release(r->b, 1);
}

static void expect_waiting(struct reserver *r)
{
    nap(30);
    assert_false(atomic_load(&r->done));
}

static void expect_granted(struct reserver *r)
{
    pthread_join(r->thread, NULL);
    assert_int_equal(r->rc, PERSIST_OK);
}

static void wait__ends_with_a_release(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    reserve(b, 100, NULL);
    struct reserver r = {.b = b, .bytes = 30};
    start(&r);

    expect_waiting(&r);
    budget_release(b, 29);
    expect_waiting(&r);
    budget_release(b, 1);
    expect_granted(&r);
    assert_true(budget_used(b) == 100);
    budget_release(b, 100);
    budget_destroy(b);
}

static void waiter__that_holds_some_goes_first(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    struct reserver last = {.b = b, .bytes = 100};
    struct reserver first = {.b = b, .bytes = 60, .first = true};

    reserve(b, 50, NULL);
    start_in_line(&last);
    assert_int_equal(budget_reserve_first(b, 20, NULL, &clock_system, 0),
                     PERSIST_OK);
    start(&first); /* 30 are free */
    expect_waiting(&first);
    budget_release(b, 30);
    expect_granted(&first);
    assert_false(atomic_load(&last.done));
    budget_release(b, 100);
    expect_granted(&last);
    budget_release(b, 100);
    budget_destroy(b);
}

/* Those who go first do so in order, too: none is passed for ever. */
static void waiters__that_go_first_are_served_in_order(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    struct reserver large = {.b = b, .bytes = 90, .first = true};
    struct reserver small = {.b = b, .bytes = 20, .first = true};

    reserve(b, 50, NULL);
    start_in_line(&large);
    start(&small); /* it would fit */
    expect_waiting(&small);
    budget_release(b, 50);
    expect_granted(&large);
    assert_false(atomic_load(&small.done));
    budget_release(b, 90);
    expect_granted(&small);
    budget_release(b, 20);
    budget_destroy(b);
}

static void waiters__are_served_in_order_of_arrival(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    atomic_int turn = 0;
    /* The second would fit long before the first. */
    struct reserver r[3] = {{.b = b, .bytes = 100, .turn = &turn},
                            {.b = b, .bytes = 1, .turn = &turn},
                            {.b = b, .bytes = 50, .turn = &turn}};
    reserve(b, 50, NULL);
    for (int i = 0; i < 3; i++) {
        start(&r[i]);
        nap(30);
    }
    for (int i = 0; i < 3; i++)
        assert_false(atomic_load(&r[i].done));

    budget_release(b, 50);
    pthread_join(r[0].thread, NULL);
    nap(20);
    assert_false(atomic_load(&r[1].done));
    budget_release(b, 100);
    pthread_join(r[1].thread, NULL);
    pthread_join(r[2].thread, NULL);

    assert_int_equal(r[0].order, 0);
    assert_true(budget_used(b) == 51);
    assert_true(budget_peak(b) == 100);
    budget_release(b, 51);
    budget_destroy(b);
}

static void wait__ends_at_the_deadline_and_lets_the_next_in(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    reserve(b, 50, NULL);
    struct reserver large = {.b = b, .bytes = 100, .deadline_ns = in_ms(80)};
    struct reserver small = {.b = b, .bytes = 10};
    start(&large);
    nap(20);
    start(&small);

    pthread_join(large.thread, NULL);
    pthread_join(small.thread, NULL);

    assert_int_equal(large.rc, PERSIST_E_TIMEOUT);
    assert_true(clock_boot_ns(&clock_system) >= large.deadline_ns);
    assert_int_equal(small.rc, PERSIST_OK);
    assert_true(budget_used(b) == 60);
    budget_release(b, 60);
    budget_destroy(b);
}

static void past_deadline_or_cancel__holds_nothing(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    struct cancel c;
    cancel_init(&c, NULL, false);
    cancel_set(&c);

    assert_int_equal(reserve(b, 10, &c), PERSIST_E_CANCELLED);
    assert_int_equal(budget_reserve(b, 10, NULL, &clock_system, 1),
                     PERSIST_E_TIMEOUT);
    assert_true(budget_used(b) == 0);
    budget_destroy(b);
}

static void cancelled_wait(struct cancel *waits_on, struct cancel *sets)
{
    struct budget *b = budget_create(100);
    reserve(b, 100, NULL);
    struct reserver r = {.b = b, .bytes = 1, .cancel = waits_on};
    start(&r);
    expect_waiting(&r);

    uint64_t before = clock_boot_ns(&clock_system);
    cancel_set(sets);
    pthread_join(r.thread, NULL);

    assert_true(clock_boot_ns(&clock_system) - before < 10000 * MS);
    assert_int_equal(r.rc, PERSIST_E_CANCELLED);
    assert_true(budget_used(b) == 100);
    budget_release(b, 100);
    budget_destroy(b);
}

static void wait__ends_by_any_cancel_above_it(void **state)
{
    (void)state;
    /* with descriptors; without any; the nearest without */
    static const bool has_fd[3][2] = {
        {true, true}, {false, false}, {true, false}};
    for (int i = 0; i < 3; i++) {
        for (int by_parent = 0; by_parent < 2; by_parent++) {
            struct cancel top, own;
            cancel_init(&top, NULL, has_fd[i][0]);
            cancel_init(&own, &top, has_fd[i][1]);
            cancelled_wait(&own, by_parent ? &top : &own);
            cancel_finish(&own);
            cancel_finish(&top);
        }
    }
}

static struct cancel from_handler;

static void handle(int number)
{
    (void)number;
    cancel_set(&from_handler);
}

static void wait__ends_by_a_signal_handler(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = handle}, before;
    struct budget *b = budget_create(1);
    reserve(b, 1, NULL);
    cancel_init(&from_handler, NULL, true);
    sigaction(SIGUSR1, &action, &before);
    struct reserver r = {.b = b, .bytes = 1, .cancel = &from_handler};
    start(&r);
    nap(20);

    pthread_kill(r.thread, SIGUSR1); /* on the very thread that waits */
    pthread_join(r.thread, NULL);

    assert_int_equal(r.rc, PERSIST_E_CANCELLED);
    sigaction(SIGUSR1, &before, NULL);
    cancel_finish(&from_handler);
    budget_release(b, 1);
    budget_destroy(b);
}

static void wait__works_without_free_descriptors(void **state)
{
    (void)state;
    struct rlimit before, none;
    struct budget *b = budget_create(1);
    reserve(b, 1, NULL);
    struct reserver r = {.b = b, .bytes = 1};
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);

    start(&r);
    nap(30);
    budget_release(b, 1);
    pthread_join(r.thread, NULL);
    setrlimit(RLIMIT_NOFILE, &before);

    assert_int_equal(r.rc, PERSIST_OK);
    budget_release(b, 1);
    budget_destroy(b);
}

/* ------------------------------------------------------------------ torture */

struct worker {
    struct budget *b;
    struct cancel *cancel;
    atomic_uint_fast64_t *held;
    unsigned seed;
    unsigned n_ok;
    bool broken;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 300; i++) {
        w->seed = w->seed * 1664525 + 1013904223;
        uint64_t bytes = (w->seed >> 16) % 70;
        uint64_t deadline = (w->seed >> 8) % 4 == 0 ? in_ms(1) : 0;
        int rc =
            budget_reserve(w->b, bytes, w->cancel, &clock_system, deadline);
        if (rc != PERSIST_OK)
            continue;
        w->n_ok++;
        w->broken |= atomic_fetch_add(w->held, bytes) + bytes > 100;
        atomic_fetch_sub(w->held, bytes);
        budget_release(w->b, bytes);
    }
    return NULL;
}

static void many__never_hold_more_than_the_limit(void **state)
{
    (void)state;
    struct budget *b = budget_create(100);
    atomic_uint_fast64_t held = 0;
    struct worker w[6];
    struct cancel c;
    cancel_init(&c, NULL, true);

    for (unsigned i = 0; i < 6; i++) {
        w[i] =
            (struct worker){.b = b, .cancel = &c, .held = &held, .seed = i + 1};
        pthread_create(&w[i].thread, NULL, work, &w[i]);
    }
    unsigned n_ok = 0;
    for (unsigned i = 0; i < 6; i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].broken);
        n_ok += w[i].n_ok;
    }

    assert_true(n_ok > 600);
    assert_true(budget_used(b) == 0);
    assert_true(budget_peak(b) <= 100);
    cancel_finish(&c);
    budget_destroy(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting__used_peak_and_limit),
        cmocka_unit_test(reserve__more_than_the_limit_fails_at_once),
        cmocka_unit_test(wait__ends_with_a_release),
        cmocka_unit_test(waiter__that_holds_some_goes_first),
        cmocka_unit_test(waiters__that_go_first_are_served_in_order),
        cmocka_unit_test(waiters__are_served_in_order_of_arrival),
        cmocka_unit_test(wait__ends_at_the_deadline_and_lets_the_next_in),
        cmocka_unit_test(past_deadline_or_cancel__holds_nothing),
        cmocka_unit_test(wait__ends_by_any_cancel_above_it),
        cmocka_unit_test(wait__ends_by_a_signal_handler),
        cmocka_unit_test(wait__works_without_free_descriptors),
        cmocka_unit_test(many__never_hold_more_than_the_limit),
    };
    return cmocka_run_group_tests_name("runtime.budget", tests, NULL, NULL);
}
