/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a number to change: the system's way, and the one for systems
 * that have none.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "posix/io_fault.h"
#include "posix/os_posix.h"

#define THREADS 8
#define TURNS 500
#define MS UINT64_C(1000000)
#define FOR_EVER (UINT64_C(3600000) * MS)

struct park {
    bool (*park)(const atomic_uint *word, unsigned seen, uint64_t at_most_ns);
    void (*unpark)(const atomic_uint *word);
    atomic_uint word, n_waiting, n_seen;
};

static void *wait_for_turns(void *ctx)
{
    struct park *p = ctx;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        atomic_fetch_add(&p->n_waiting, 1);
        while (atomic_load(&p->word) == turn)
            assert_true(p->park(&p->word, turn, FOR_EVER));
        atomic_fetch_add(&p->n_seen, 1);
    }
    return NULL;
}

/* Nobody sleeps through a change, whenever he looked. */
static void wake_all(struct park *p)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_turns, p),
                         0);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        while (atomic_load(&p->n_waiting) < THREADS * (turn + 1))
            sched_yield();
        assert_int_equal(atomic_load(&p->n_seen), THREADS * turn);
        atomic_store(&p->word, turn + 1);
        p->unpark(&p->word);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&p->n_seen), THREADS * TURNS);
}

static void park__of_the_system_wakes_all(void **state)
{
    struct park p = {.park = os_park, .unpark = os_unpark};

    (void)state;
    wake_all(&p);
}

static void park__of_posix_wakes_all(void **state)
{
    struct park p = {.park = os_posix_park, .unpark = os_posix_unpark};

    (void)state;
    wake_all(&p);
}

static void park__at_another_number_returns(void **state)
{
    atomic_uint word = 7;

    (void)state;
    assert_true(os_park(&word, 6, FOR_EVER));
    assert_true(os_posix_park(&word, 6, FOR_EVER));
    os_unpark(&word); /* nobody is there */
    os_posix_unpark(&word);
}

static void park__ends_when_the_time_is_over(void **state)
{
    atomic_uint word = 7;
    uint64_t began_ns = os_monotonic_ns();

    (void)state;
    while (os_park(&word, 7, 20 * MS)) /* a signal */
        ;
    assert_true(os_monotonic_ns() - began_ns >= 20 * MS);
    began_ns = os_monotonic_ns();
    while (os_posix_park(&word, 7, 20 * MS))
        ;
    assert_true(os_monotonic_ns() - began_ns >= 20 * MS);
}

struct write_now {
    int err; /* of the system; 0: as it is */
    bool to_be_had;
    ssize_t got;
};

static void *write_now(void *ctx)
{
    struct write_now *w = ctx;
    int fds[2];

    w->to_be_had = !w->err || io_fault_write_now(w->err);
    if (!w->to_be_had || os_pipe(fds) != 0)
        return NULL;
    w->got = os_write_now(fds[1], &(struct iovec){&(char){0}, 1}, 1);
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

/* Who gets ENOTSUP writes as much as surely fits, and never more. */
static void write_now__tells_what_is_not_to_be_had(void **state)
{
    static const struct {
        int err;
        ssize_t got;
    } rows[] = {
        {EOPNOTSUPP, -ENOTSUP}, {ENOSYS, -ENOTSUP}, {EINVAL, -ENOTSUP},
        {ESPIPE, -ENOTSUP},     {EPERM, -ENOTSUP},  {EAGAIN, -EAGAIN},
        {EPIPE, -EPIPE},        {EIO, -EIO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct write_now w = {.err = rows[i].err};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, write_now, &w), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (!w.to_be_had)
            skip();
        assert_int_equal(w.got, rows[i].got);
    }
}

/* A pipe that is full, whatever its flags say. */
static void write_now__never_waits(void **state)
{
    static char bytes[65536];
    const struct iovec piece = {bytes, sizeof(bytes)};
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(os_pipe(fds), 0);
    do
        n = os_write_now(fds[1], &piece, 1);
    while (n > 0);
    assert_true(n == -EAGAIN || n == -ENOTSUP);
    close(fds[0]);
    close(fds[1]);
}

/* Several, of which the last does not fit. */
static void write_now__takes_what_there_is_room_for(void **state)
{
    static char bytes[3][40000];
    struct iovec pieces[] = {{bytes[0], sizeof(bytes[0])},
                             {bytes[1], 0},
                             {bytes[1], sizeof(bytes[1])},
                             {bytes[2], sizeof(bytes[2])}};
    char got[sizeof(bytes)];
    ssize_t n;
    int fds[2];

    (void)state;
    for (int i = 0; i < 3; i++)
        memset(bytes[i], 'a' + i, sizeof(bytes[i]));
    assert_int_equal(os_pipe(fds), 0);
    n = os_write_now(fds[1], pieces, 4);
    if (n == -ENOTSUP)
        skip();
    assert_in_range(n, 40001, sizeof(bytes) - 1);
    assert_int_equal(read(fds[0], got, sizeof(got)), n);
    assert_memory_equal(got, bytes, (size_t)n);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(park__of_the_system_wakes_all),
        cmocka_unit_test(park__of_posix_wakes_all),
        cmocka_unit_test(park__at_another_number_returns),
        cmocka_unit_test(park__ends_when_the_time_is_over),
        cmocka_unit_test(write_now__tells_what_is_not_to_be_had),
        cmocka_unit_test(write_now__never_waits),
        cmocka_unit_test(write_now__takes_what_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
