/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/executor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <persist/error.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MANY = 10000 };

static atomic_uint ran;
static atomic_uint at_once;
static atomic_uint most_at_once;
static pthread_barrier_t barrier;

static void count(struct task *t)
{
    (void)t;
    atomic_fetch_add(&ran, 1);
}

static void reset(void)
{
    atomic_store(&ran, 0);
    atomic_store(&at_once, 0);
    atomic_store(&most_at_once, 0);
}

static void submit__runs_every_task_once(void **state)
{
    static struct task tasks[MANY];
    struct executor *ex = executor_create("t", 4, 0);

    (void)state;
    reset();
    for (int i = 0; i < MANY; i++) {
        task_init(&tasks[i], count);
        assert_int_equal(executor_submit(ex, &tasks[i]), PERSIST_OK);
    }
    executor_destroy(ex);

    assert_int_equal(atomic_load(&ran), MANY);
}

static void overlap(struct task *t)
{
    unsigned now = atomic_fetch_add(&at_once, 1) + 1;
    unsigned most = atomic_load(&most_at_once);

    (void)t;
    while (now > most &&
           !atomic_compare_exchange_weak(&most_at_once, &most, now))
        ;
    usleep(2000);
    atomic_fetch_sub(&at_once, 1);
}

static void submit__never_runs_more_than_the_limit(void **state)
{
    static struct task tasks[64];
    struct executor *ex = executor_create("t", 3, 0);

    (void)state;
    reset();
    for (int i = 0; i < 64; i++) {
        task_init(&tasks[i], overlap);
        executor_submit(ex, &tasks[i]);
    }
    assert_true(executor_threads(ex) <= 3);
    executor_destroy(ex);

    assert_int_equal(atomic_load(&most_at_once), 3);
}

static void meet(struct task *t)
{
    (void)t;
    pthread_barrier_wait(&barrier);
    atomic_fetch_add(&ran, 1);
}

/* Eight tasks that wait for each other: with fewer threads this hangs. */
static void submit__grows_while_tasks_block(void **state)
{
    static struct task tasks[8];
    struct executor *ex = executor_create("t", 8, 0);

    (void)state;
    reset();
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++) {
        task_init(&tasks[i], meet);
        executor_submit(ex, &tasks[i]);
    }
    executor_destroy(ex);
    pthread_barrier_destroy(&barrier);

    assert_int_equal(atomic_load(&ran), 8);
}

static void thread__leaves_when_idle(void **state)
{
    static struct task tasks[4];
    struct executor *ex = executor_create("t", 4, 20);

    (void)state;
    reset();
    for (int i = 0; i < 4; i++) {
        task_init(&tasks[i], overlap);
        executor_submit(ex, &tasks[i]);
    }
    for (int i = 0; i < 500 && executor_threads(ex) > 0; i++)
        usleep(10000);
    assert_int_equal(executor_threads(ex), 0);
    task_init(&tasks[0], count);
    assert_int_equal(executor_submit(ex, &tasks[0]), PERSIST_OK);
    executor_destroy(ex);

    assert_int_equal(atomic_load(&ran), 1);
}

static void look_at_signals(struct task *t)
{
    sigset_t mask;

    (void)t;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
        sigismember(&mask, SIGCHLD) && executor_is_own_thread())
        atomic_fetch_add(&ran, 1);
}

static void thread__blocks_signals_and_knows_itself(void **state)
{
    struct task task;
    struct executor *ex = executor_create("t", 1, 0);

    (void)state;
    reset();
    task_init(&task, look_at_signals);
    executor_submit(ex, &task);
    executor_destroy(ex);

    assert_int_equal(atomic_load(&ran), 1);
    assert_false(executor_is_own_thread());
}

/* --------------------------------------------------------- the queue */

static atomic_bool gate_open;
static atomic_int order[4];
static atomic_int n_ordered;

struct ordered {
    struct task task;
    int name;
};

static void wait_at_gate(struct task *t)
{
    (void)t;
    while (!atomic_load(&gate_open))
        usleep(1000);
}

static void note_order(struct task *t)
{
    atomic_store(&order[atomic_fetch_add(&n_ordered, 1)],
                 ((struct ordered *)t)->name);
}

static void queue__lets_pieces_go_first_and_gives_back(void **state)
{
    struct executor *ex = executor_create("t", 1, 0);
    struct task gate;
    struct ordered tasks[4];

    (void)state;
    atomic_store(&gate_open, false);
    atomic_store(&n_ordered, 0);
    task_init(&gate, wait_at_gate);
    assert_int_equal(executor_submit(ex, &gate), PERSIST_OK);
    while (executor_queued(ex) > 0)
        usleep(1000);
    for (int i = 0; i < 4; i++) {
        tasks[i].name = i;
        task_init(&tasks[i].task, note_order);
        assert_int_equal(i == 2 ? executor_submit_first(ex, &tasks[i].task)
                                : executor_submit(ex, &tasks[i].task),
                         PERSIST_OK);
    }
    assert_false(executor_take_back(ex, &gate)); /* it runs */
    assert_true(executor_take_back(ex, &tasks[1].task));
    assert_false(executor_take_back(ex, &tasks[1].task));
    assert_int_equal(executor_queued(ex), 3);
    atomic_store(&gate_open, true);
    executor_destroy(ex);

    assert_int_equal(atomic_load(&n_ordered), 3);
    assert_int_equal(atomic_load(&order[0]), 2);
    assert_int_equal(atomic_load(&order[1]), 0);
    assert_int_equal(atomic_load(&order[2]), 3);
}

/* ------------------------------------------------ threads that cannot start */

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);

static atomic_int threads_left = INT32_MAX;

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg)
{
    if (atomic_fetch_sub(&threads_left, 1) <= 0)
        return EAGAIN;
    return __real_pthread_create(t, attr, run, arg);
}

static void submit__says_where_no_thread_can_start(void **state)
{
    struct executor *ex = executor_create("t", 4, 0);
    static struct task tasks[100];

    (void)state;
    reset();
    atomic_store(&threads_left, 0);
    task_init(&tasks[0], count);
    assert_int_equal(executor_submit(ex, &tasks[0]), PERSIST_E_MEMORY);
    assert_int_equal(executor_threads(ex), 0);
    assert_int_equal(executor_queued(ex), 0);

    /* One that is there gets to everything. */
    atomic_store(&threads_left, 1);
    for (int i = 0; i < 100; i++) {
        task_init(&tasks[i], count);
        assert_int_equal(executor_submit(ex, &tasks[i]), PERSIST_OK);
    }
    assert_int_equal(executor_threads(ex), 1);
    atomic_store(&threads_left, INT32_MAX);
    executor_destroy(ex);

    assert_int_equal(atomic_load(&ran), 100);
}

/* A build without threads: the caller runs its tasks itself. */
static void submit__is_refused_without_threads(void **state)
{
    struct executor *ex = executor_create("t", 4, 0);
    struct task task;

    (void)state;
    task_init(&task, count);
    assert_int_equal(executor_submit(ex, &task), PERSIST_E_UNSUPPORTED);
    assert_int_equal(executor_limit(ex), 0);
    assert_int_equal(executor_threads(ex), 0);
    assert_false(executor_is_own_thread());
    executor_destroy(ex);
}

int main(void)
{
#ifndef PERSIST_ASYNC
    const struct CMUnitTest without[] = {
        cmocka_unit_test(submit__is_refused_without_threads),
    };
    (void)submit__runs_every_task_once;
    (void)submit__never_runs_more_than_the_limit;
    (void)submit__grows_while_tasks_block;
    (void)thread__leaves_when_idle;
    (void)thread__blocks_signals_and_knows_itself;
    (void)queue__lets_pieces_go_first_and_gives_back;
    (void)submit__says_where_no_thread_can_start;

    return cmocka_run_group_tests(without, NULL, NULL);
#else
    (void)submit__is_refused_without_threads;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit__runs_every_task_once),
        cmocka_unit_test(submit__never_runs_more_than_the_limit),
        cmocka_unit_test(submit__grows_while_tasks_block),
        cmocka_unit_test(thread__leaves_when_idle),
        cmocka_unit_test(thread__blocks_signals_and_knows_itself),
        cmocka_unit_test(queue__lets_pieces_go_first_and_gives_back),
        cmocka_unit_test(submit__says_where_no_thread_can_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
