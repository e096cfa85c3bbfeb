/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of work: run once, by whoever gets to them first. */
#include "runtime/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PIECES = 200 };

struct piece {
    struct work work;
    atomic_uint ran;
    bool on_own_thread;
};

static void run(struct work *w)
{
    struct piece *p = (struct piece *)w;

    p->on_own_thread = executor_is_own_thread();
    atomic_fetch_add(&p->ran, 1);
}

static void start__runs_at_once_without_an_executor(void **state)
{
    struct piece p = {.ran = 0};

    (void)state;
    assert_int_equal(work_init(&p.work), 0);
    assert_true(work_is_over(&p.work));
    work_wait(&p.work); /* of what was never started */
    work_start(&p.work, NULL, run);

    assert_int_equal(atomic_load(&p.ran), 1);
    assert_true(work_is_over(&p.work));
    assert_false(p.on_own_thread);
    work_wait(&p.work);
    work_finish(&p.work);
}

static void wait__ends_when_every_piece_ran_once(void **state)
{
    struct executor *ex = executor_create("t", 3, 0);
    static struct piece pieces[PIECES];

    (void)state;
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < PIECES; i++) {
            if (round == 1)
                assert_int_equal(work_init(&pieces[i].work), 0);
            work_start(&pieces[i].work, ex, run);
        }
        for (int i = 0; i < PIECES; i++) {
            work_wait(&pieces[i].work);
            assert_true(work_is_over(&pieces[i].work));
            assert_int_equal(atomic_load(&pieces[i].ran), round);
        }
    }
    for (int i = 0; i < PIECES; i++)
        work_finish(&pieces[i].work);
    executor_destroy(ex);
}

/* -------------------------------------------------- on a thread of its own */

struct parent {
    struct piece piece; /* first */
    struct executor *ex;
    struct piece children[4];
};

static void run_children(struct work *w)
{
    struct parent *p = (struct parent *)w;

    for (int i = 0; i < 4; i++)
        work_start(&p->children[i].work, p->ex, run);
    for (int i = 0; i < 4; i++)
        work_wait(&p->children[i].work);
    run(w);
}

/* Every thread there may be waits for pieces that only these could run. */
static void wait__runs_what_no_thread_has_begun(void **state)
{
    struct executor *ex = executor_create("t", 2, 0);
    static struct parent parents[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        parents[i].ex = ex;
        assert_int_equal(work_init(&parents[i].piece.work), 0);
        for (int j = 0; j < 4; j++)
            assert_int_equal(work_init(&parents[i].children[j].work), 0);
        work_start(&parents[i].piece.work, ex, run_children);
    }
    for (int i = 0; i < 8; i++)
        work_wait(&parents[i].piece.work);

    for (int i = 0; i < 8; i++) {
        assert_int_equal(atomic_load(&parents[i].piece.ran), 1);
        for (int j = 0; j < 4; j++) {
            assert_int_equal(atomic_load(&parents[i].children[j].ran), 1);
            work_finish(&parents[i].children[j].work);
        }
        work_finish(&parents[i].piece.work);
    }
    executor_destroy(ex);
}

#ifdef PERSIST_ASYNC /* somebody else is at it */
struct gate {
    struct work work;
    atomic_bool open;
};

static void pass(struct work *w)
{
    const struct gate *g = (struct gate *)w;

    while (!atomic_load(&g->open))
        usleep(1000);
}

static void wait_for__gives_up_in_time(void **state)
{
    struct executor *ex = executor_create("t", 1, 0);
    static struct gate gate;

    (void)state;
    assert_int_equal(work_init(&gate.work), 0);
    assert_true(work_wait_for(&gate.work, 0)); /* never started */
    work_start(&gate.work, ex, pass);
    while (executor_queued(ex) > 0)
        usleep(1000);
    assert_false(work_wait_for(&gate.work, 1000 * 1000));
    assert_false(work_is_over(&gate.work));
    atomic_store(&gate.open, true);
    assert_true(work_wait_for(&gate.work, UINT64_C(60) * 1000000000));
    work_finish(&gate.work);
    executor_destroy(ex);
}
#endif

/* Also where the time is over already: nobody else would. */
static void wait_for__runs_what_no_thread_has_begun(void **state)
{
    struct executor *ex = executor_create("t", 1, 0);
    struct piece p = {.ran = 0};

    (void)state;
    assert_int_equal(work_init(&p.work), 0);
    for (unsigned i = 1; i <= 100; i++) {
        work_start(&p.work, ex, run);
        while (!work_wait_for(&p.work, 0))
            continue;
        assert_int_equal(atomic_load(&p.ran), i);
    }
    work_finish(&p.work);
    executor_destroy(ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef PERSIST_ASYNC
        cmocka_unit_test(wait_for__gives_up_in_time),
#endif
        cmocka_unit_test(wait_for__runs_what_no_thread_has_begun),
        cmocka_unit_test(start__runs_at_once_without_an_executor),
        cmocka_unit_test(wait__ends_when_every_piece_ran_once),
        cmocka_unit_test(wait__runs_what_no_thread_has_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
