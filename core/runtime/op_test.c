/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include <persist/error.h>

#define MS UINT64_C(1000000)

/* A clock that only sleeping advances; cancels when asked to. */
struct fake {
    uint64_t now;
    uint64_t longest;
    unsigned n_sleeps;
    int fd;
    unsigned cancel_at; /* this sleep is cut short */
    struct cancel *cancel;
};

static uint64_t fake_boot_ns(void *ctx)
{
    return ((struct fake *)ctx)->now;
}

static void fake_sleep_ns(void *ctx, uint64_t ns, int wake_fd)
{
    struct fake *f = ctx;
    f->fd = wake_fd;
    if (ns > f->longest)
        f->longest = ns;
    if (++f->n_sleeps == f->cancel_at) {
        cancel_set(f->cancel);
        ns /= 2;
    }
    f->now += ns;
}

static struct clock fake_clock(struct fake *f)
{
    return (struct clock){
        .boot_ns = fake_boot_ns, .sleep_ns = fake_sleep_ns, .ctx = f};
}

static void start__zeroes_progress_and_sets_the_deadline(void **state)
{
    (void)state;
    struct fake f = {.now = 1000};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    assert_int_equal(op_init(&op, NULL), 0);
    atomic_store(&op.payload_bytes, 1);
    atomic_store(&op.payload_total, 2);
    atomic_store(&op.stored_bytes, 3);

    op_start(&op, &clock, 7);
    assert_true(op.deadline_ns == 1000 + 7 * MS);
    assert_true(atomic_load(&op.payload_bytes) == 0);
    assert_true(atomic_load(&op.payload_total) == 0);
    assert_true(atomic_load(&op.stored_bytes) == 0);

    op_start(&op, &clock, 0);
    assert_true(op.deadline_ns == 0);
    op_start(&op, &clock, UINT64_MAX);
    assert_true(op.deadline_ns == UINT64_MAX);
    assert_int_equal(op_check(&op, &clock), PERSIST_OK);
    op_finish(&op);
}

static void check__tells_cancelled_from_late(void **state)
{
    (void)state;
    struct fake f = {.now = 5};
    struct clock clock = fake_clock(&f);
    struct cancel parent;
    struct persist_op op;
    cancel_init(&parent, NULL, false);
    op_init(&op, &parent);
    op_start(&op, &clock, 10);

    f.now = 4 + 10 * MS;
    assert_int_equal(op_check(&op, &clock), PERSIST_OK);
    f.now++;
    assert_int_equal(op_check(&op, &clock), PERSIST_E_TIMEOUT);
    cancel_set(&parent);
    assert_int_equal(op_check(&op, &clock), PERSIST_E_CANCELLED);
    op_finish(&op);
    cancel_finish(&parent);
}

static void sleep__takes_all_its_time(void **state)
{
    (void)state;
    struct fake f = {.now = 1};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    op_init_with_fd(&op, NULL);
    op_start(&op, &clock, 0);

    assert_int_equal(op_sleep(&op, &clock, 5000 * MS), PERSIST_OK);

    assert_true(f.now == 1 + 5000 * MS);
    assert_int_equal(f.n_sleeps, 1);
    assert_int_equal(f.fd, cancel_fd(&op.cancel));
    assert_int_equal(op_sleep(&op, &clock, 0), PERSIST_OK);
    assert_int_equal(f.n_sleeps, 1);
    op_finish(&op);
}

static void sleep__stops_at_the_deadline(void **state)
{
    (void)state;
    struct fake f = {.now = 1};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    op_init_with_fd(&op, NULL);
    op_start(&op, &clock, 300);

    assert_int_equal(op_sleep(&op, &clock, UINT64_MAX), PERSIST_E_TIMEOUT);

    assert_true(f.now == 1 + 300 * MS);
    op_finish(&op);
}

static void sleep__looks_up_often_without_a_descriptor(void **state)
{
    (void)state;
    struct fake f = {.now = 1, .cancel_at = 3};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    op_init(&op, NULL);
    f.cancel = &op.cancel;
    op_start(&op, &clock, 0);

    assert_int_equal(op_sleep(&op, &clock, 5000 * MS), PERSIST_E_CANCELLED);

    assert_true(f.longest <= 50 * MS);
    assert_int_equal(f.n_sleeps, 3);
    op_finish(&op);
}

static void sleep__does_not_begin_once_cancelled(void **state)
{
    (void)state;
    struct fake f = {.now = 1};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    op_init_with_fd(&op, NULL);
    op_start(&op, &clock, 0);
    cancel_set(&op.cancel);

    assert_int_equal(op_sleep(&op, &clock, 5000 * MS), PERSIST_E_CANCELLED);

    assert_int_equal(f.n_sleeps, 0);
    op_finish(&op);
}

static void *cancel_soon(void *arg)
{
    clock_system.sleep_ns(NULL, 20 * MS, -1);
    cancel_set(arg);
    return NULL;
}

static void sleep__of_real_time_ends_by_either_cancel(void **state)
{
    (void)state;
    for (int by_parent = 0; by_parent < 2; by_parent++) {
        struct cancel parent;
        struct persist_op op;
        pthread_t thread;
        cancel_init(&parent, NULL, true);
        assert_int_equal(op_init_with_fd(&op, &parent), 0);
        op_start(&op, &clock_system, 0);
        uint64_t before = clock_boot_ns(&clock_system);
        pthread_create(&thread, NULL, cancel_soon,
                       by_parent ? &parent : &op.cancel);

        assert_int_equal(op_sleep(&op, &clock_system, 60000 * MS),
                         PERSIST_E_CANCELLED);

        assert_true(clock_boot_ns(&clock_system) - before < 20000 * MS);
        pthread_join(thread, NULL);
        op_finish(&op);
        cancel_finish(&parent);
    }
}

/* ------------------------------------------------------------------- memory
 */

struct holding {
    struct budget *b;
    struct budget_holder holder;
};

static void *let_go(void *ctx)
{
    struct holding *h = ctx;

    budget_let_go(h->b, &h->holder);
    return NULL;
}

static void *begin_to_hold(void *ctx)
{
    struct holding *h = ctx;

    budget_hold(h->b, &h->holder, h);
    return NULL;
}

static void on_another_thread(void *(*what)(void *), struct holding *h)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, what, h), 0);
    pthread_join(thread, NULL);
}

/* What an op that waits in vain for twice OP_PATIENCE_S is told. */
static int reserve_in_vain(struct budget *b)
{
    struct fake f = {0};
    struct clock clock = fake_clock(&f);
    struct persist_op op;
    int rc;

    assert_int_equal(op_init(&op, NULL), 0);
    op_start(&op, &clock, 2000 * OP_PATIENCE_S);
    rc = op_reserve(&op, b, 10, &clock);
    op_finish(&op);
    return rc;
}

static void reserve__counts_what_the_thread_has_begun(void **state)
{
    (void)state;
    struct budget *b = budget_create(10), *other = budget_create(10);
    struct holding h = {.b = b}, elsewhere = {.b = b}, others = {.b = other};

    assert_int_equal(budget_try(b, 1), PERSIST_OK);
    assert_int_equal(reserve_in_vain(b), PERSIST_E_TIMEOUT);
    begin_to_hold(&h);
    assert_int_equal(reserve_in_vain(b), PERSIST_E_MEMORY);
    on_another_thread(let_go, &h);
    assert_int_equal(reserve_in_vain(b), PERSIST_E_TIMEOUT);
    /* What another thread has begun, or what holds of another budget. */
    on_another_thread(begin_to_hold, &elsewhere);
    begin_to_hold(&others);
    assert_int_equal(reserve_in_vain(b), PERSIST_E_TIMEOUT);
    let_go(&elsewhere);
    let_go(&others);
    budget_release(b, 1);
    budget_destroy(b);
    budget_destroy(other);
}

static void reserve__does_not_count_the_op_itself(void **state)
{
    (void)state;
    struct budget *b = budget_create(10);
    struct budget_holder reader, save;
    int op;

    budget_hold(b, &reader, &op);
    assert_false(budget_is_nested(b, &op));
    budget_hold(b, &save, &op); /* by the same op */
    assert_true(budget_is_nested(b, &op));
    budget_let_go(b, &reader);
    assert_false(budget_is_nested(b, &op));
    assert_true(budget_is_nested(b, NULL));
    budget_let_go(b, &save);
    assert_false(budget_is_nested(b, NULL));
    budget_destroy(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__zeroes_progress_and_sets_the_deadline),
        cmocka_unit_test(check__tells_cancelled_from_late),
        cmocka_unit_test(sleep__takes_all_its_time),
        cmocka_unit_test(sleep__stops_at_the_deadline),
        cmocka_unit_test(sleep__looks_up_often_without_a_descriptor),
        cmocka_unit_test(sleep__does_not_begin_once_cancelled),
        cmocka_unit_test(sleep__of_real_time_ends_by_either_cancel),
        cmocka_unit_test(reserve__counts_what_the_thread_has_begun),
        cmocka_unit_test(reserve__does_not_count_the_op_itself),
    };
    return cmocka_run_group_tests_name("runtime.op", tests, NULL, NULL);
}
