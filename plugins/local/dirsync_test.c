/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared syncs of a folder: how many there are, who is covered by which, and
 * what a failing one means to whom.  Threads are brought into position by a
 * sync that is held until they wait, never by time.
 */
#include "testkit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/io_fault.h"
#include "posix/scratch.h"

#define FOLLOWERS 7

static struct local_dir *open_dir(struct kit *k)
{
    struct local_dir *dir = NULL;

    assert_int_equal(folder_for(k->store, "a/b/key", &dir, &k->error), OK);
    return dir;
}

/* Of a name that was linked, for a call that stops at deadline_ns; 0: never. */
static int sync_until(struct kit *k, struct local_dir *dir,
                      uint64_t deadline_ns)
{
    struct kit_waiter w;

    kit_wait_until(&w, deadline_ns);
    w.waiter.linked = true;
    syncgroup_announce(kit_group(k));
    return dirs_sync(k->store, &w.waiter, dir);
}

static int sync_alone(struct kit *k, struct local_dir *dir)
{
    return sync_until(k, dir, 0);
}

/* How many have ever come to dirs_sync. */
static unsigned came(struct local_dir *dir)
{
    unsigned n;

    pthread_mutex_lock(&dir->sync.lock);
    n = dir->sync.n_came;
    pthread_mutex_unlock(&dir->sync.lock);
    return n;
}

static unsigned coming(struct kit *k)
{
    struct syncgroup *g = kit_group(k);
    unsigned n;

    pthread_mutex_lock(&g->lock);
    n = g->n_coming;
    pthread_mutex_unlock(&g->lock);
    return n;
}

/* Holds the first sync until `until` threads have come to dirs_sync. */
struct hold {
    struct local_dir *dir;
    unsigned until;
    atomic_bool reached; /* the sync is under way */
    atomic_bool over;
};

static void hold_first(void *ctx)
{
    struct hold *h = ctx;

    if (atomic_exchange(&h->over, true))
        return;
    atomic_store(&h->reached, true);
    while (came(h->dir) < h->until)
        sched_yield();
}

struct member {
    pthread_t thread;
    struct kit *k;
    struct local_dir *dir;
    uint64_t deadline_ns;
    int rc;
};

static void *sync_one(void *ctx)
{
    struct member *m = ctx;

    m->rc = sync_until(m->k, m->dir, m->deadline_ns);
    return NULL;
}

/* A leader in its sync, and FOLLOWERS who came meanwhile; what each was told
 * in members, the leader's first. */
static void run_group(struct kit *k, struct local_dir *dir,
                      struct member members[1 + FOLLOWERS])
{
    struct hold hold = {.dir = dir, .until = came(dir) + 1 + FOLLOWERS};

    io_fault_before(IO_FSYNC, hold_first, &hold);
    for (int i = 0; i < 1 + FOLLOWERS; i++) {
        members[i] = (struct member){.k = k, .dir = dir, .rc = 1};
        assert_int_equal(
            pthread_create(&members[i].thread, NULL, sync_one, &members[i]), 0);
        while (!atomic_load(&hold.reached))
            sched_yield();
    }
    for (int i = 0; i < 1 + FOLLOWERS; i++)
        pthread_join(members[i].thread, NULL);
    io_fault_before(IO_FSYNC, NULL, NULL);
}

static void sync__of_one_alone_is_one_sync(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);

    assert_int_equal(sync_alone(k, dir), 0);
    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 1);
    /* A link after it needs another. */
    assert_int_equal(sync_alone(k, dir), 0);
    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 2);
    dirs_release(k->store, dir);
}

static void sync__of_many_is_one_that_began_after_all_came(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);
    struct member members[1 + FOLLOWERS];

    run_group(k, dir, members);

    /* Not the one they found under way. */
    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 2);
    for (int i = 0; i < 1 + FOLLOWERS; i++)
        assert_int_equal(members[i].rc, 0);
    dirs_release(k->store, dir);
}

/* A leader who has time waits for one who has announced himself, and for no
 * one else. */
static void sync__waits_for_those_who_come(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    struct member leader = {.k = k, .dir = dir, .rc = 1};
    struct kit_waiter waiter;
    unsigned before = io_fault_calls(IO_FSYNC), already = came(dir);

    kit_group(k)->took_ns = UINT64_MAX; /* the last one took for ever */
    syncgroup_announce(kit_group(k));
    syncgroup_announce(kit_group(k)); /* will not link after all */
    assert_int_equal(pthread_create(&leader.thread, NULL, sync_one, &leader),
                     0);
    while (came(dir) == already)
        sched_yield();
    syncgroup_withdraw(kit_group(k));
    kit_wait_until(&waiter, 0);
    assert_int_equal(dirs_sync(k->store, &waiter.waiter, dir), 0);
    pthread_join(leader.thread, NULL);
    assert_int_equal(leader.rc, 0);
    /* Two where the leader's patience was over before we came. */
    assert_in_range(io_fault_calls(IO_FSYNC) - before, 1, 2);
    assert_int_equal(coming(k), 0);
    dirs_release(k->store, dir);
}

/* It has not linked, and it must not be waited for. */
static void put__that_is_refused_withdraws(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);

    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT),
                     PERSIST_BACKEND_EXISTS);
    io_fault_set(IO_FSYNC, 1, 1, EIO);
    assert_int_equal(kit_put(k, "a/b/other", "x", IF_ABSENT),
                     PERSIST_BACKEND_IO);
    assert_int_equal(coming(k), 0);
    dirs_release(k->store, dir);
}

static void expect_abandoned(struct kit *k, struct local_dir *dir)
{
    unsigned before = io_fault_calls(IO_FSYNC);
    struct local_dir *next;

    /* Whoever linked by it and comes later must not believe a second sync. */
    assert_int_equal(sync_alone(k, dir), -EIO);
    assert_int_equal(io_fault_calls(IO_FSYNC), before);
    /* Who comes anew has nothing to do with it. */
    next = open_dir(k);
    assert_ptr_not_equal(next, dir);
    assert_int_not_equal(next->fd, dir->fd);
    assert_int_equal(sync_alone(k, next), 0);
    dirs_release(k->store, next);
    dirs_release(k->store, dir);
    assert_int_equal(io_fault_resynced(), 0);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), OK);
}

/* Many at once, each of whom links and syncs again as soon as he is told: a
 * leader is always found, and everybody is told. */
#define ROUNDS 200

static void *sync_in_rounds(void *ctx)
{
    struct member *m = ctx;

    for (int i = 0; i < ROUNDS && m->rc == 0; i++)
        m->rc = sync_alone(m->k, m->dir);
    return NULL;
}

static void sync__of_many_goes_from_hand_to_hand(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);
    struct member members[1 + FOLLOWERS];

    for (int i = 0; i < 1 + FOLLOWERS; i++) {
        members[i] = (struct member){.k = k, .dir = dir};
        assert_int_equal(pthread_create(&members[i].thread, NULL,
                                        sync_in_rounds, &members[i]),
                         0);
    }
    for (int i = 0; i < 1 + FOLLOWERS; i++) {
        pthread_join(members[i].thread, NULL);
        assert_int_equal(members[i].rc, 0);
    }
    assert_in_range(io_fault_calls(IO_FSYNC) - before, ROUNDS,
                    (1 + FOLLOWERS) * ROUNDS);
    assert_int_equal(coming(k), 0);
    dirs_release(k->store, dir);
}

static void sync__that_fails_is_told_to_all_who_shared_it(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);
    struct member members[1 + FOLLOWERS];

    io_fault_set(IO_FSYNC, 2, 1, EIO); /* the followers' */
    run_group(k, dir, members);

    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 2);
    assert_int_equal(members[0].rc, 0);
    for (int i = 1; i < 1 + FOLLOWERS; i++)
        assert_int_equal(members[i].rc, -EIO);
    expect_abandoned(k, dir);
}

static void sync__that_fails_is_not_repeated_by_those_who_wait(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);
    struct member members[1 + FOLLOWERS];

    io_fault_set(IO_FSYNC, 1, 1, EIO); /* the leader's */
    run_group(k, dir, members);

    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 1);
    for (int i = 0; i < 1 + FOLLOWERS; i++)
        assert_int_equal(members[i].rc, -EIO);
    expect_abandoned(k, dir);
}

/* ------------------------------------------------------------ that hangs */

#define DEADLINE 1

static void come(struct member *m, struct kit *k, struct local_dir *dir,
                 uint64_t deadline_ns)
{
    unsigned before = came(dir);

    *m = (struct member){
        .k = k, .dir = dir, .deadline_ns = deadline_ns, .rc = -1};
    assert_int_equal(pthread_create(&m->thread, NULL, sync_one, m), 0);
    while (came(dir) == before)
        sched_yield();
}

/* Whose calls end leave, the next leader too; who stays is synced for. */
static void sync__behind_one_that_hangs_ends_with_its_call(void **state)
{
    struct kit *k = *state;
    struct local_dir *next, *dir = open_dir(k);
    unsigned before = io_fault_calls(IO_FSYNC);
    struct member hanging, members[1 + FOLLOWERS];
    struct kit_hang hang = {.nth = 1};

    io_fault_before(IO_FSYNC, kit_hang_here, &hang);
    come(&hanging, k, dir, 0);
    kit_await(&hang);
    for (int i = 0; i < 1 + FOLLOWERS; i++)
        come(&members[i], k, dir, i < 4 ? DEADLINE : 0);
    atomic_store(&kit_now, DEADLINE);
    for (int i = 0; i < 4; i++) {
        pthread_join(members[i].thread, NULL);
        assert_int_equal(members[i].rc, WAITER_LEFT);
    }
    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 0); /* hangs before */
    /* The folder has not been given up. */
    next = open_dir(k);
    assert_ptr_equal(next, dir);
    dirs_release(k->store, next);

    assert_true(kit_release(&hang));
    pthread_join(hanging.thread, NULL);
    assert_int_equal(hanging.rc, 0);
    for (int i = 4; i < 1 + FOLLOWERS; i++) {
        pthread_join(members[i].thread, NULL);
        assert_int_equal(members[i].rc, 0);
    }
    io_fault_before(IO_FSYNC, NULL, NULL);
    assert_int_equal(io_fault_calls(IO_FSYNC) - before, 2);
    assert_int_equal(coming(k), 0);
    dirs_release(k->store, dir);
}

/* A sync that only takes its time is waited for a moment longer. */
static void sync__that_is_late_is_waited_for(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = open_dir(k);
    struct member hanging, follower;
    struct kit_hang hang = {.nth = 1};

    io_fault_before(IO_FSYNC, kit_hang_here, &hang);
    come(&hanging, k, dir, 0);
    kit_await(&hang);
    atomic_store(&kit_now, DEADLINE);
    come(&follower, k, dir, DEADLINE);
    usleep(WAITER_GRACE_NS / 4000);
    assert_true(kit_release(&hang));
    pthread_join(follower.thread, NULL);
    pthread_join(hanging.thread, NULL);
    io_fault_before(IO_FSYNC, NULL, NULL);
    assert_int_equal(follower.rc, 0);
    dirs_release(k->store, dir);
}

static void *put_first(void *ctx)
{
    struct member *m = ctx;
    struct kit own = *m->k;

    m->rc = kit_put(&own, "a/b/first", "x", IF_ABSENT);
    return NULL;
}

/* It is there, and must not be taken for durable: neither *timeout* nor
 * *cancelled* would say that. */
static void put__behind_a_sync_that_hangs_is_not_durable(void **state)
{
    struct kit *k = *state;
    struct local_dir *next, *dir = open_dir(k);
    struct member hanging = {.k = k, .rc = -1};
    struct kit_hang hang = {.nth = 2}; /* that of the folder */

    io_fault_before(IO_FSYNC, kit_hang_here, &hang);
    assert_int_equal(pthread_create(&hanging.thread, NULL, put_first, &hanging),
                     0);
    kit_await(&hang);
    k->call.present = PERSIST_BACKEND_CALL_DEADLINE;
    k->call.deadline_ns = UINT64_MAX;
    atomic_store(&kit_cancel_after, 3); /* behind its link */
    assert_int_equal(kit_put(k, "a/b/other", "y", IF_ABSENT),
                     PERSIST_BACKEND_NOT_DURABLE);
    assert_string_equal(k->error.message,
                        "cancelled before the folder of a/b/other was synced");
    atomic_store(&kit_cancel_after, -1);
    kit_holds(k, "a/b/other", "y");
    next = open_dir(k);
    assert_ptr_equal(next, dir);
    dirs_release(k->store, next);
    assert_true(kit_release(&hang));
    pthread_join(hanging.thread, NULL);
    assert_int_equal(hanging.rc, OK);
    io_fault_before(IO_FSYNC, NULL, NULL);
    k->call.present = 0;
    assert_int_equal(kit_put(k, "a/b/more", "z", IF_ABSENT), OK);
    dirs_release(k->store, dir);
}

/* ------------------------------------------------------------ through puts */

#define PUTTERS 8
#define PUTS 25

struct putter {
    pthread_t thread;
    struct kit *k;
    int number;
    int32_t answers[PUTS];
};

static void key_of(int putter, int n, char out[40])
{
    (void)snprintf(out, 40, "a/b/%d-%d", putter, n);
}

static void *put_many_times(void *ctx)
{
    struct putter *p = ctx;
    struct kit own = *p->k; /* errors are the kit's */
    char key[40];

    for (int i = 0; i < PUTS; i++) {
        key_of(p->number, i, key);
        p->answers[i] = kit_put(&own, key, key, IF_ABSENT);
    }
    return NULL;
}

static void put_in_parallel(struct kit *k, struct putter *putters)
{
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){.k = k, .number = i};
        assert_int_equal(pthread_create(&putters[i].thread, NULL,
                                        put_many_times, &putters[i]),
                         0);
    }
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(putters[i].thread, NULL);
}

static void puts__into_one_folder_are_all_there(void **state)
{
    struct kit *k = *state;
    struct putter putters[PUTTERS];
    unsigned before;
    char key[40];

    assert_int_equal(kit_put(k, "a/b/first", "x", IF_ABSENT), OK);
    before = io_fault_calls(IO_FSYNC);
    put_in_parallel(k, putters);

    assert_in_range(io_fault_calls(IO_FSYNC) - before, PUTTERS * PUTS + 1,
                    2 * PUTTERS * PUTS);
    for (int i = 0; i < PUTTERS; i++)
        for (int n = 0; n < PUTS; n++) {
            assert_int_equal(putters[i].answers[n], OK);
            key_of(i, n, key);
            kit_holds(k, key, key);
        }
}

/* Whatever sync fails, a file's or the folder's: what is there was not refused,
 * what is not there was not acknowledged, and nothing is synced twice. */
static void puts__tell_the_truth_when_a_sync_fails(void **state)
{
    struct kit *k = *state;
    struct putter putters[PUTTERS];
    char key[40];

    assert_int_equal(kit_put(k, "a/b/first", "x", IF_ABSENT), OK);
    io_fault_set(IO_FSYNC, 101, 2, EIO);
    put_in_parallel(k, putters);

    unsigned failed = 0;
    for (int i = 0; i < PUTTERS; i++)
        for (int n = 0; n < PUTS; n++) {
            int32_t answer = putters[i].answers[n];

            failed += answer != OK;
            key_of(i, n, key);
            if (answer == OK || answer == PERSIST_BACKEND_NOT_DURABLE)
                kit_holds(k, key, key);
            else
                assert_int_equal(kit_head(k, key, NULL),
                                 PERSIST_BACKEND_NOT_FOUND);
        }
    assert_in_range(failed, 1, 2 * PUTTERS);
    assert_int_equal(io_fault_resynced(), 0);
    assert_int_equal(scratch_count_temps(k->root), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(sync__of_one_alone_is_one_sync),
        T(sync__of_many_is_one_that_began_after_all_came),
        T(sync__waits_for_those_who_come),
        T(put__that_is_refused_withdraws),
        T(sync__of_many_goes_from_hand_to_hand),
        T(sync__that_fails_is_told_to_all_who_shared_it),
        T(sync__that_fails_is_not_repeated_by_those_who_wait),
        T(sync__behind_one_that_hangs_ends_with_its_call),
        T(sync__that_is_late_is_waited_for),
        T(put__behind_a_sync_that_hangs_is_not_durable),
        T(puts__into_one_folder_are_all_there),
        T(puts__tell_the_truth_when_a_sync_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
