/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sets out when.  Threads are brought into position by what the group
 * counts, never by time.
 */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "posix/io_fault.h"
#include "posix/scratch.h"

#define MEMBERS 5

static int setup(void **state)
{
    static struct syncgroup g;

    memset(&g, 0, sizeof(g));
    assert_int_equal(syncgroup_init(&g), 0);
    g.took_ns = UINT64_MAX; /* the longest patience there is, 20 ms */
    *state = &g;
    return 0;
}

static int teardown(void **state)
{
    struct syncgroup *g = *state;

    assert_int_equal(g->n_out, 0);
    assert_int_equal(g->n_coming, 0);
    assert_int_equal(g->n_waiting, 0);
    assert_false(g->watched);
    syncgroup_finish(g);
    return 0;
}

/* A folder, and for a call that never stops. */
static int set_out_nothing(struct syncgroup *g)
{
    struct kit_waiter w;

    kit_wait_until(&w, 0);
    return syncgroup_set_out(g, &w.waiter, NULL, 0);
}

struct member {
    pthread_t thread;
    struct syncgroup *g;
};

static void *set_out(void *ctx)
{
    struct member *m = ctx;

    assert_int_equal(set_out_nothing(m->g), 0);
    return NULL;
}

static unsigned in_line(struct syncgroup *g)
{
    unsigned n;

    pthread_mutex_lock(&g->lock);
    n = g->n_waiting + g->watched;
    pthread_mutex_unlock(&g->lock);
    return n;
}

/* As if somebody whose clock stands still were the first in line. */
static void watch_for_ever(struct syncgroup *g)
{
    pthread_mutex_lock(&g->lock);
    g->watched = true;
    pthread_mutex_unlock(&g->lock);
}

static void line_up(struct syncgroup *g, struct member members[MEMBERS])
{
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){.g = g};
        syncgroup_announce(g);
        assert_int_equal(
            pthread_create(&members[i].thread, NULL, set_out, &members[i]), 0);
    }
}

/* Until n are in line; nobody has gone. */
static void await_line(struct syncgroup *g, unsigned n)
{
    unsigned before = atomic_load(&g->n_departures);

    while (in_line(g) < n) {
        assert_int_equal(atomic_load(&g->n_departures), before);
        sched_yield();
    }
}

static void join(struct member members[MEMBERS])
{
    for (int i = 0; i < MEMBERS; i++)
        pthread_join(members[i].thread, NULL);
}

static void set_out__alone_goes_at_once(void **state)
{
    struct syncgroup *g = *state;

    syncgroup_announce(g);
    assert_false(syncgroup_has_company(g));
    assert_int_equal(set_out_nothing(g), 0);
    assert_int_equal(g->n_out, 1);
    syncgroup_return(g, false);
    /* It has been measured. */
    assert_int_not_equal(g->took_ns, UINT64_MAX);
}

static void set_out__sees_who_is_near(void **state)
{
    struct syncgroup *g = *state;

    syncgroup_announce(g);
    syncgroup_announce(g);
    assert_true(syncgroup_has_company(g)); /* one comes */
    syncgroup_withdraw(g);
    assert_false(syncgroup_has_company(g));
    assert_int_equal(set_out_nothing(g), 0);
    syncgroup_announce(g);
    assert_true(syncgroup_has_company(g)); /* one is out */
    syncgroup_withdraw(g);
    syncgroup_return(g, false);
}

/* While one is out the others gather; he returns, and they go together. */
static void set_out__waits_for_those_who_are_out(void **state)
{
    struct syncgroup *g = *state;
    struct member members[MEMBERS];
    unsigned before;

    syncgroup_announce(g);
    assert_int_equal(set_out_nothing(g), 0);
    before = atomic_load(&g->n_departures);
    watch_for_ever(g);
    line_up(g, members);
    await_line(g, 1 + MEMBERS);
    syncgroup_return(g, false);
    join(members);

    assert_int_equal(atomic_load(&g->n_departures) - before, 1);
    assert_int_equal(g->n_out, 1 + MEMBERS);
    for (int i = 0; i < 1 + MEMBERS; i++)
        syncgroup_return(g, false);
}

/* Who is announced is waited for: until he comes, or says that he will not. */
static void set_out__waits_for_those_who_come(void **state)
{
    struct syncgroup *g = *state;
    struct member members[MEMBERS];
    unsigned before = atomic_load(&g->n_departures);

    syncgroup_announce(g);
    watch_for_ever(g);
    line_up(g, members);
    await_line(g, 1 + MEMBERS);
    syncgroup_withdraw(g);
    join(members);

    assert_int_equal(atomic_load(&g->n_departures) - before, 1);
    for (int i = 0; i < 1 + MEMBERS; i++)
        syncgroup_return(g, false);
}

static void set_out__of_one_who_returns_is_announced(void **state)
{
    struct syncgroup *g = *state;

    syncgroup_announce(g);
    assert_int_equal(set_out_nothing(g), 0);
    syncgroup_return(g, true);
    assert_int_equal(g->n_out, 0);
    assert_int_equal(g->n_coming, 1);
    assert_int_equal(set_out_nothing(g), 0);
    syncgroup_return(g, false);
}

/* Nobody who never comes, and no sync that never ends, holds others for ever.
 */
static void set_out__loses_its_patience(void **state)
{
    struct syncgroup *g = *state;
    struct member members[MEMBERS];

    syncgroup_announce(g);
    assert_int_equal(set_out_nothing(g), 0); /* and does not return */
    syncgroup_announce(g);                   /* and does not come */
    line_up(g, members);
    join(members);
    assert_int_equal(g->n_out, 1 + MEMBERS);
    syncgroup_withdraw(g);
    for (int i = 0; i < 1 + MEMBERS; i++)
        syncgroup_return(g, false);
}

#define ROUNDS 300

static void *go_round(void *ctx)
{
    struct member *m = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        syncgroup_announce(m->g);
        if (i % 7 == 6) {
            syncgroup_withdraw(m->g);
            continue;
        }
        (void)set_out_nothing(m->g);
        syncgroup_return(m->g, true);
        (void)set_out_nothing(m->g);
        syncgroup_return(m->g, false);
    }
    return NULL;
}

static void set_out__lets_everybody_go(void **state)
{
    struct syncgroup *g = *state;
    struct member members[MEMBERS];

    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){.g = g};
        assert_int_equal(
            pthread_create(&members[i].thread, NULL, go_round, &members[i]), 0);
    }
    join(members);
}

/* --------------------------------------------------------------- their bytes
 */

/* A file of one byte, and how its set_out ended. */
struct writer {
    pthread_t thread;
    struct syncgroup *g;
    struct durable_write w;
    struct kit_waiter waiter;
    int rc;
    unsigned n_left;
    atomic_bool over;
};

static void *set_out_file(void *ctx)
{
    struct writer *m = ctx;

    m->rc = syncgroup_set_out(m->g, &m->waiter.waiter, &m->w, 1);
    atomic_store(&m->over, true);
    return NULL;
}

static void start_writers(struct kit *k, struct writer *writers, unsigned n,
                          int dir_fd, uint64_t deadline_ns)
{
    for (unsigned i = 0; i < n; i++) {
        struct writer *m = &writers[i];

        m->g = kit_group(k);
        atomic_init(&m->over, false);
        kit_wait_until(&m->waiter, deadline_ns);
        assert_int_equal(durable_begin(&m->w, dir_fd, 0600, false), 0);
        assert_int_equal(durable_write_at(&m->w, "x", 1, 0), 0);
        syncgroup_announce(m->g);
        assert_int_equal(pthread_create(&m->thread, NULL, set_out_file, m), 0);
    }
}

static int open_root(struct kit *k)
{
    int fd = open(k->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void nobody_has_gone(void *ctx)
{
    struct syncgroup *g = ctx;

    assert_int_equal(atomic_load(&g->n_departures), 0);
}

/* Who comes last waits for the bytes of all; whose were lost is told so, and
 * nobody else. */
static void set_out__waits_for_the_bytes_of_all(void **state)
{
    struct kit *k = *state;
    struct syncgroup *g = kit_group(k);
    struct writer writers[MEMBERS];
    int fd = open_root(k);
    unsigned n_lost = 0;

    syncgroup_announce(g);
    watch_for_ever(g);
    start_writers(k, writers, MEMBERS, fd, 0);
    await_line(g, 1 + MEMBERS);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 0);
    io_fault_before(IO_SYNC_FILE_RANGE, nobody_has_gone, g);
    io_fault_set(IO_SYNC_FILE_RANGE, 2, 1, EIO);
    assert_int_equal(set_out_nothing(g), 0);
    io_fault_before(IO_SYNC_FILE_RANGE, NULL, NULL);

    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_true(writers[i].rc == 0 || writers[i].rc == -EIO);
        n_lost += writers[i].rc != 0;
        assert_int_equal(durable_sync(&writers[i].w), writers[i].rc);
        durable_discard(&writers[i].w);
    }
    assert_int_equal(n_lost, 1);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), MEMBERS);
    assert_int_equal(atomic_load(&g->n_departures), 1);
    for (int i = 0; i < 2 + MEMBERS; i++)
        syncgroup_return(g, false);
    close(fd);
}

/* The first in line does where nobody comes any more. */
static void set_out__waits_for_the_bytes_of_the_first(void **state)
{
    struct kit *k = *state;
    struct syncgroup *g = kit_group(k);
    struct writer writer;
    int fd = open_root(k);

    g->took_ns = UINT64_MAX;
    syncgroup_announce(g);
    start_writers(k, &writer, 1, fd, 0);
    while (in_line(g) == 0 && atomic_load(&g->n_departures) == 0)
        sched_yield();
    syncgroup_withdraw(g);
    pthread_join(writer.thread, NULL);

    assert_int_equal(writer.rc, 0);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 1);
    assert_int_equal(atomic_load(&g->n_departures), 1);
    syncgroup_return(g, false);
    durable_discard(&writer.w);
    close(fd);
}

/* ------------------------------------------------------ disks that hang */

#define DEADLINE 1

static unsigned count_over(const struct writer writers[MEMBERS])
{
    unsigned n = 0;

    for (int i = 0; i < MEMBERS; i++)
        n += atomic_load(&writers[i].over);
    return n;
}

/* All but him whose file is in hand end when their calls do. */
static void set_out__behind_bytes_that_hang_ends_with_its_call(void **state)
{
    struct kit *k = *state;
    struct syncgroup *g = kit_group(k);
    struct kit_hang hang = {.nth = 1};
    struct member last = {.g = g};
    struct writer writers[MEMBERS];
    int fd = open_root(k);
    unsigned n_left = 0;

    syncgroup_announce(g);
    watch_for_ever(g);
    start_writers(k, writers, MEMBERS, fd, DEADLINE);
    await_line(g, 1 + MEMBERS);
    io_fault_before(IO_SYNC_FILE_RANGE, kit_hang_here, &hang);
    assert_int_equal(pthread_create(&last.thread, NULL, set_out, &last), 0);
    kit_await(&hang);
    assert_int_equal(count_over(writers), 0);
    atomic_store(&kit_now, DEADLINE);
    while (count_over(writers) < MEMBERS - 1 && !atomic_load(&hang.gave_up))
        sched_yield();
    assert_int_equal(atomic_load(&g->n_departures), 0);
    assert_true(kit_release(&hang));

    pthread_join(last.thread, NULL);
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(writers[i].thread, NULL);
        durable_discard(&writers[i].w);
        n_left += writers[i].rc == WAITER_LEFT;
        if (writers[i].rc == WAITER_LEFT)
            syncgroup_withdraw(g);
        else
            assert_int_equal(writers[i].rc, 0);
    }
    io_fault_before(IO_SYNC_FILE_RANGE, NULL, NULL);
    assert_int_equal(n_left, MEMBERS - 1);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 1);
    for (int i = 0; i < 3; i++) /* he, who let him go, and the first in line */
        syncgroup_return(g, false);
    close(fd);
}

static void pretend_to_settle(struct syncgroup *g, bool settling)
{
    pthread_mutex_lock(&g->lock);
    g->settling = settling;
    pthread_mutex_unlock(&g->lock);
}

/* Nobody departs meanwhile, though nobody is near. */
static void set_out__of_the_first_ends_with_its_call(void **state)
{
    struct kit *k = *state;
    struct syncgroup *g = kit_group(k);
    struct writer writer;
    int fd = open_root(k);

    pretend_to_settle(g, true);
    start_writers(k, &writer, 1, fd, DEADLINE);
    while (in_line(g) == 0)
        sched_yield();
    atomic_store(&kit_now, DEADLINE);
    pthread_join(writer.thread, NULL);
    assert_int_equal(writer.rc, WAITER_LEFT);
    assert_int_equal(in_line(g), 0);
    assert_null(g->files);
    assert_int_equal(atomic_load(&g->n_departures), 0);
    syncgroup_withdraw(g);
    pretend_to_settle(g, false);
    durable_discard(&writer.w);
    close(fd);
}

static void time_is_over(void *ctx)
{
    (void)ctx;
    atomic_store(&kit_now, DEADLINE);
}

/* Who lets the others go does not wait for their bytes any more. */
static void set_out__of_the_last_ends_with_its_call(void **state)
{
    struct kit *k = *state;
    struct syncgroup *g = kit_group(k);
    struct writer writers[MEMBERS];
    struct kit_waiter last;
    int fd = open_root(k);

    syncgroup_announce(g);
    watch_for_ever(g);
    start_writers(k, writers, MEMBERS, fd, 0);
    await_line(g, 1 + MEMBERS);
    io_fault_before(IO_SYNC_FILE_RANGE, time_is_over, NULL);
    kit_wait_until(&last, DEADLINE);
    assert_int_equal(syncgroup_set_out(g, &last.waiter, NULL, 0), 0);
    io_fault_before(IO_SYNC_FILE_RANGE, NULL, NULL);
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].rc, 0);
        durable_discard(&writers[i].w);
    }
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 1);
    assert_null(g->files);
    assert_int_equal(atomic_load(&g->n_departures), 1);
    for (int i = 0; i < 2 + MEMBERS; i++)
        syncgroup_return(g, false);
    close(fd);
}

/* Many whose calls end while some write-backs take long: nobody is lost, and
 * nobody's file is touched behind him. */
#define SLOW_ROUNDS 24

static void take_long(void *ctx)
{
    unsigned n = atomic_fetch_add((atomic_uint *)ctx, 1);

    if (n % 8 == 0) {
        usleep(120000);
        atomic_fetch_add(&kit_now, 1);
        usleep(120000);
    }
}

static void *write_in_rounds(void *ctx)
{
    struct writer *m = ctx;

    for (int i = 0; i < SLOW_ROUNDS; i++) {
        kit_wait_until(&m->waiter, atomic_load(&kit_now) + 1);
        syncgroup_announce(m->g);
        m->rc = syncgroup_set_out(m->g, &m->waiter.waiter, &m->w, 1);
        if (m->rc == WAITER_LEFT) {
            m->n_left++;
            syncgroup_withdraw(m->g);
        } else {
            usleep(1000); /* a sync, or nobody has company */
            syncgroup_return(m->g, false);
        }
    }
    return NULL;
}

static void set_out__ends_with_the_calls_of_many(void **state)
{
    struct kit *k = *state;
    struct writer writers[MEMBERS];
    int fd = open_root(k);
    atomic_uint n = 0;
    unsigned n_left = 0;

    kit_group(k)->took_ns = UINT64_MAX;
    io_fault_before(IO_SYNC_FILE_RANGE, take_long, &n);
    for (int i = 0; i < MEMBERS; i++) {
        struct writer *m = &writers[i];

        m->g = kit_group(k);
        m->n_left = 0;
        assert_int_equal(durable_begin(&m->w, fd, 0600, false), 0);
        assert_int_equal(pthread_create(&m->thread, NULL, write_in_rounds, m),
                         0);
    }
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(writers[i].thread, NULL);
        n_left += writers[i].n_left;
        durable_discard(&writers[i].w);
    }
    io_fault_before(IO_SYNC_FILE_RANGE, NULL, NULL);
    assert_int_not_equal(n_left, 0);
    close(fd);
}

/* ------------------------------------------------------------ through puts */

/* What a put did while another was out. */
struct scene {
    struct kit *k;
    pthread_t thread;
    int32_t rc;
    atomic_bool over;
};

static void *put_other(void *ctx)
{
    struct scene *scene = ctx;
    struct kit own = *scene->k;

    scene->rc = kit_put(&own, "a/b/other", "y", IF_ABSENT);
    return NULL;
}

/* In the sync of the first put's bytes. */
static void meet_other(void *ctx)
{
    struct scene *scene = ctx;

    if (atomic_exchange(&scene->over, true))
        return;
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 0);
    assert_int_equal(pthread_create(&scene->thread, NULL, put_other, scene), 0);
    /* Its bytes are on their way while it waits for us. */
    while (io_fault_calls(IO_SYNC_FILE_RANGE) == 0)
        sched_yield();
}

static void puts__beside_each_other_write_back_first(void **state)
{
    struct kit *k = *state;
    struct scene scene = {.k = k, .rc = -1};

    assert_int_equal(kit_put(k, "a/b/first", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 0); /* alone */
    kit_group(k)->took_ns = UINT64_MAX;
    io_fault_before(IO_FSYNC, meet_other, &scene);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), OK);
    pthread_join(scene.thread, NULL);
    io_fault_before(IO_FSYNC, NULL, NULL);

    assert_int_equal(scene.rc, OK);
    kit_holds(k, "a/b/key", "x");
    kit_holds(k, "a/b/other", "y");
}

/* A lost page that the write-back reports is not reported by the sync again. */
static void puts__fail_where_the_write_back_does(void **state)
{
    struct kit *k = *state;
    unsigned syncs;

    assert_int_equal(kit_put(k, "a/b/first", "x", IF_ABSENT), OK);
    syncs = io_fault_calls(IO_FSYNC);
    syncgroup_announce(kit_group(k)); /* somebody is near */
    io_fault_set(IO_SYNC_FILE_RANGE, 1, 1, EIO);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), PERSIST_BACKEND_IO);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 0);
    assert_int_equal(kit_head(k, "a/b/key", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(kit_group(k)->n_coming, 1); /* it has withdrawn */
    syncgroup_withdraw(kit_group(k));
}

/* The same where it comes out while he is in line. */
static void puts__fail_where_the_write_back_ends_so(void **state)
{
    struct kit *k = *state;
    unsigned syncs;

    assert_int_equal(kit_put(k, "a/b/first", "x", IF_ABSENT), OK);
    syncs = io_fault_calls(IO_FSYNC);
    syncgroup_announce(kit_group(k)); /* and does not come */
    io_fault_set(IO_SYNC_FILE_RANGE, 2, 1, EIO);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), PERSIST_BACKEND_IO);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 0);
    assert_int_equal(kit_head(k, "a/b/key", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(kit_group(k)->n_coming, 1);
    syncgroup_withdraw(kit_group(k));
}

/* Nothing is there, nothing stays, and it is told why. */
static void puts__in_line_end_with_their_calls(void **state)
{
    struct kit *k = *state;

    pretend_to_settle(kit_group(k), true);
    k->call.present = PERSIST_BACKEND_CALL_DEADLINE;
    k->call.deadline_ns = DEADLINE;
    io_fault_before(IO_SYNC_FILE_RANGE, time_is_over, NULL);
    syncgroup_announce(kit_group(k)); /* somebody is near */
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT),
                     PERSIST_BACKEND_TIMEOUT);
    assert_string_equal(k->error.message, "the deadline passed");
    io_fault_before(IO_SYNC_FILE_RANGE, NULL, NULL);
    k->call.present = 0;
    atomic_store(&kit_cancel_after, 1); /* not at once */
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT),
                     PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancel_after, -1);
    assert_int_equal(kit_group(k)->n_coming, 1);
    syncgroup_withdraw(kit_group(k));
    pretend_to_settle(kit_group(k), false);
    assert_int_equal(kit_head(k, "a/b/key", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(scratch_count_temps(k->root), 0);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), OK);
}

/* Others come to know of it before it writes, and when it cannot. */
static void is_announced(void *ctx)
{
    struct syncgroup *g = ctx;

    assert_int_equal(g->n_coming, 1);
}

static void puts__are_announced_before_they_write(void **state)
{
    struct kit *k = *state;

    io_fault_before(IO_PWRITE, is_announced, kit_group(k));
    io_fault_set(IO_PWRITE, 1, 1, ENOSPC);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT),
                     PERSIST_BACKEND_NO_SPACE);
    assert_int_equal(kit_group(k)->n_coming, 0);
    assert_int_equal(kit_put(k, "a/b/key", "x", IF_ABSENT), OK);
    io_fault_before(IO_PWRITE, NULL, NULL);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define P(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(set_out__alone_goes_at_once),
        T(set_out__sees_who_is_near),
        T(set_out__waits_for_those_who_are_out),
        T(set_out__waits_for_those_who_come),
        T(set_out__of_one_who_returns_is_announced),
        T(set_out__loses_its_patience),
        T(set_out__lets_everybody_go),
        P(puts__beside_each_other_write_back_first),
        P(set_out__waits_for_the_bytes_of_all),
        P(set_out__waits_for_the_bytes_of_the_first),
        P(set_out__behind_bytes_that_hang_ends_with_its_call),
        P(set_out__of_the_first_ends_with_its_call),
        P(set_out__of_the_last_ends_with_its_call),
        P(set_out__ends_with_the_calls_of_many),
        P(puts__in_line_end_with_their_calls),
        P(puts__fail_where_the_write_back_does),
        P(puts__fail_where_the_write_back_ends_so),
        P(puts__are_announced_before_they_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
