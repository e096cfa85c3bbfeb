/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/together.h"

#define N 1000

struct count {
    atomic_uint calls[N];
    atomic_uint inside;
    unsigned wait_for; /* calls that must be inside at once */
};

static void count_one(void *ctx, size_t i)
{
    struct count *c = ctx;

    atomic_fetch_add(&c->calls[i], 1);
    atomic_fetch_add(&c->inside, 1);
    while (atomic_load(&c->inside) < c->wait_for)
        sched_yield();
}

static void expect_once(struct count *c, size_t n)
{
    for (size_t i = 0; i < N; i++)
        assert_int_equal(atomic_load(&c->calls[i]), i < n ? 1 : 0);
    memset(c, 0, sizeof *c);
}

static void run__makes_every_call_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 7, N};
    struct executor *ex = executor_create("test", 4, 0);
    static struct count c;

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        together_run(ex, counts[i], count_one, &c);
        expect_once(&c, counts[i]);
        together_run(NULL, counts[i], count_one, &c);
        expect_once(&c, counts[i]);
    }
    executor_destroy(ex);
}

static void run__is_on_several_threads(void **state)
{
    struct executor *ex = executor_create("test", 3, 0);
    static struct count c;

    (void)state;
    /* Would stand still for ever if calls came one after the other. */
    c.wait_for = executor_limit(ex) ? 4 : 1;
    together_run(ex, 4, count_one, &c);
    expect_once(&c, 4);
    executor_destroy(ex);
}

struct nested {
    struct task task;
    struct executor *ex;
    struct count *count;
    atomic_bool over;
};

static void run_nested(struct task *task)
{
    struct nested *n = (struct nested *)task;

    together_run(n->ex, N, count_one, n->count);
    atomic_store(&n->over, true);
}

/* On the only thread of the executor: no helper can come. */
static void run__does_not_wait_for_helpers(void **state)
{
    struct executor *ex = executor_create("test", 1, 0);
    static struct count c;
    struct nested n = {.ex = ex, .count = &c};

    (void)state;
    task_init(&n.task, run_nested);
    if (executor_submit(ex, &n.task) != 0)
        run_nested(&n.task);
    executor_destroy(ex); /* runs the helpers that came too late */
    assert_true(atomic_load(&n.over));
    expect_once(&c, N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__makes_every_call_once),
        cmocka_unit_test(run__is_on_several_threads),
        cmocka_unit_test(run__does_not_wait_for_helpers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
