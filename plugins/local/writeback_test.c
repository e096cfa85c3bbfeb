/* SPDX-License-Identifier: Apache-2.0 */
/* How the bytes of uploads are written: by several threads, past the page cache
 * or within the window, and when they are told to stop. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

#define PART ((uint64_t)12 << 20)
#define N_PARTS 8

struct sender {
    struct kit *k;
    struct kit_upload *u;
    const uint8_t *data;
    uint32_t number;
    pthread_t thread;
    int32_t rc;
};

static void *send_part(void *arg)
{
    struct sender *s = arg;
    uint64_t at = (s->number - 1) * PART;

    s->rc = kit_part_at(s->k, s->u, s->number, at, s->data + at, PART);
    return NULL;
}

/* 96 MiB through a window of 64. */
static void part__writes_in_parallel_within_the_window(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    struct sender senders[N_PARTS];
    uint8_t *memory = malloc(N_PARTS * PART + 1);
    uint8_t *data = memory + 1; /* not to go past the page cache */
    uint8_t *back = malloc(PART);

    assert_non_null(memory);
    assert_non_null(back);
    for (uint64_t i = 0; i < N_PARTS * PART; i += 8)
        memcpy(data + i, &(uint64_t){i * 0x9e3779b97f4a7c15u}, 8);
    assert_int_equal(kit_begin(k, &u, "big", IF_ABSENT, N_PARTS * PART), OK);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        senders[i] =
            (struct sender){.k = k, .u = &u, .data = data, .number = i + 1};
        assert_int_equal(
            pthread_create(&senders[i].thread, NULL, send_part, &senders[i]),
            0);
    }
    for (uint32_t i = 0; i < N_PARTS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_int_equal(senders[i].rc, OK);
    }
    u.n = N_PARTS;
    /* 24 slices started, and the window made at least 8 waited for. */
    assert_in_range(io_fault_calls(IO_SYNC_FILE_RANGE), 24 + 8, 24 + 24);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                                 .mode =
                                                     PERSIST_BACKEND_READ_RANGE,
                                                 .key = "big",
                                                 .offset = i * PART,
                                                 .buffer = back,
                                                 .len = PART};
        struct persist_backend_read_result result = {.struct_size =
                                                         sizeof(result)};

        assert_int_equal(
            k->ops->read(k->store, &k->call, &args, &result, &k->error), OK);
        assert_int_equal(result.len, PART);
        assert_memory_equal(back, data + i * PART, PART);
    }
    free(memory);
    free(back);
}

static void expect_object(struct kit *k, const char *key, const uint8_t *data,
                          size_t len)
{
    uint8_t *found = malloc(len + 1);
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = PERSIST_BACKEND_READ_RANGE,
                                             .key = key,
                                             .buffer = found,
                                             .len = len + 1};
    struct persist_backend_read_result result = {.struct_size = sizeof(result)};

    assert_non_null(found);
    assert_int_equal(
        k->ops->read(k->store, &k->call, &args, &result, &k->error), OK);
    assert_int_equal(result.len, len);
    assert_memory_equal(found, data, len);
    free(found);
}

/* Whether the file system of the store offers it. */
static bool passes_cache(const struct kit *k)
{
    struct direct_file d;
    int dir = scratch_open_dir(k->root);
    int fd = openat(dir, ".", IO_UNNAMED | O_RDWR | O_CLOEXEC, 0600);
    bool offered;

    direct_open(&d, fd, 0);
    offered = d.fd >= 0;
    direct_close(&d);
    close(fd);
    close(dir);
    return offered;
}

/* Whole pages leave nothing dirty; the end, and what lies askew in memory, goes
 * the usual way into the same file. */
static void part__goes_past_the_page_cache_where_it_can(void **state)
{
    struct kit *k = *state;
    const size_t first = 5 << 20, second = (1 << 20) + 100;
    uint8_t *data = direct_alloc(first + second);
    uint8_t *askew = malloc(first + second + 1);
    bool offered = passes_cache(k);
    struct kit_upload u;
    unsigned opened;

    assert_non_null(data);
    assert_non_null(askew);
    for (size_t i = 0; i < first + second; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    memcpy(askew + 1, data, first + second);
    assert_int_equal(kit_put(k, "w", "x", 0), OK); /* opens the folder */
    io_fault_clear();
    opened = scratch_open_fds();
    assert_int_equal(kit_begin(k, &u, "d", IF_ABSENT, first + second + 999),
                     OK);
    assert_int_equal(kit_part_at(k, &u, 2, first, data + first, second), OK);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 1);
    assert_int_equal(kit_part_at(k, &u, 1, 0, data, first), OK);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), offered ? 1 : 3);
    assert_int_equal(kit_part_at(k, &u, 1, 0, askew + 1, first), OK);
    u.n = 2;
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    expect_object(k, "d", data, first + second);
    assert_int_equal(scratch_open_fds(), opened);
    free(data);
    free(askew);
}

#define CROWD 24

struct crowd {
    struct writeback writeback;
    struct durable_write w;
    uint8_t *data;
    atomic_uint next;
};

static void *write_slice(void *arg)
{
    struct crowd *c = arg;
    uint64_t i = atomic_fetch_add(&c->next, 1);

    return (void *)(intptr_t)writeback_write(&c->writeback, &c->w, c->data,
                                             LOCAL_SLICE, i * LOCAL_SLICE);
}

static void look(void *ctx)
{
    struct crowd *c = ctx;

    pthread_mutex_lock(&c->writeback.lock);
    assert_true(c->writeback.dirty <= WRITEBACK_MAX);
    pthread_mutex_unlock(&c->writeback.lock);
    (void)usleep(20000);
}

/* More writers at once than the window holds: they wait for each other. */
static void writeback__never_admits_more_than_the_window(void **state)
{
    struct kit *k = *state;
    uint8_t *memory = calloc(1, LOCAL_SLICE + 1);
    struct crowd c = {.data = memory + 1};
    pthread_t threads[CROWD];
    int fd = scratch_open_dir(k->root);

    assert_int_equal(writeback_init(&c.writeback), 0);
    assert_int_equal(durable_begin(&c.w, fd, 0600, false), 0);
    io_fault_before(IO_PWRITE, look, &c);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_slice, &c), 0);
    for (int i = 0; i < CROWD; i++) {
        void *rc;

        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((intptr_t)rc, 0);
    }
    assert_true(c.writeback.dirty <= WRITEBACK_MAX);
    assert_true(c.writeback.n <= WRITEBACK_MAX / LOCAL_SLICE);
    io_fault_before(IO_PWRITE, NULL, NULL);
    writeback_finish(&c.writeback);
    durable_discard(&c.w);
    close(fd);
    free(memory);
}

#ifdef PERSIST_ASYNC
static void wait_for_flushes(unsigned n)
{
    for (int i = 0; i < 10000 && io_fault_calls(IO_FDATASYNC) < n; i++)
        (void)usleep(1000);
    assert_true(io_fault_calls(IO_FDATASYNC) >= n);
}

/* Beside the writers; what it is told wrong nobody else will be told. */
static void flush__comes_early_and_its_failure_is_final(void **state)
{
    struct kit *k = *state;
    const size_t step = (size_t)FLUSH_STEP / 8;
    uint8_t *data = direct_alloc(step);

    assert_non_null(data);
    memset(data, 'x', step);
    for (int fails = 0; fails < 2; fails++) {
        struct kit_upload u;
        unsigned before;

        assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
        io_fault_clear();
        for (int i = 0; i < 7; i++)
            assert_int_equal(kit_part(k, &u, data, step), OK);
        assert_int_equal(io_fault_calls(IO_FDATASYNC), 0);
        before = io_fault_calls(IO_FSYNC);
        io_fault_set(IO_FDATASYNC, 1, (unsigned)fails, ENOSPC);
        assert_int_equal(kit_part(k, &u, data, step), OK);
        wait_for_flushes(1);
        if (fails) {
            assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_IO);
            assert_int_equal(io_fault_calls(IO_FSYNC), before);
        } else {
            assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
            assert_int_equal(kit_delete(k, "a", NULL), OK);
        }
        assert_int_equal(kit_abort(k, "a", u.id), OK);
        assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
    }
    free(data);
}

/* A flush that is under way, and a commit that might not wait for it. */
struct held_flush {
    unsigned before; /* syncs when it began */
    atomic_bool begun;
    atomic_bool overtaken;
};

static void hold_flush(void *ctx)
{
    struct held_flush *h = ctx;

    h->before = io_fault_calls(IO_FSYNC);
    atomic_store(&h->begun, true);
    for (int i = 0; i < 200 && io_fault_calls(IO_FSYNC) == h->before; i++)
        (void)usleep(1000);
    atomic_store(&h->overtaken, io_fault_calls(IO_FSYNC) != h->before);
}

/* The kernel tells one of two what was lost: a flush beside the sync of the
 * commit could take its answer away. */
static void commit__waits_for_the_flush_under_way(void **state)
{
    struct kit *k = *state;
    struct held_flush held = {0};
    struct kit_upload u;
    uint8_t *data = direct_alloc(FLUSH_STEP);

    assert_non_null(data);
    memset(data, 'x', FLUSH_STEP);
    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    io_fault_before(IO_FDATASYNC, hold_flush, &held);
    assert_int_equal(kit_part(k, &u, data, FLUSH_STEP), OK);
    while (!atomic_load(&held.begun))
        (void)usleep(1000);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    io_fault_before(IO_FDATASYNC, NULL, NULL);
    assert_false(atomic_load(&held.overtaken));
    free(data);
}
#endif

/* A commit that lost its name may be made again: nothing of what it has flushed
 * changes in between, past the page cache or not. */
static void part__comes_too_late_for_what_is_flushed(void **state)
{
    struct kit *k = *state;
    const size_t len = 1 << 20;
    uint8_t *data = direct_alloc(2 * len);

    assert_non_null(data);
    memset(data, 'a', len);
    memset(data + len, 'b', len);
    for (unsigned askew = 0; askew < 2; askew++) {
        struct kit_upload u;

        assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), OK);
        assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, len), OK);
        assert_int_equal(kit_part(k, &u, data, len - 1), OK);
        assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_EXISTS);
        assert_int_equal(kit_part_at(k, &u, 1, 0, data + len - askew, len - 1),
                         PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_delete(k, "a", NULL), OK);
        assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
        expect_object(k, "a", data, len - 1);
        assert_int_equal(kit_delete(k, "a", NULL), OK);
    }
    free(data);
}

static void part__stops_between_slices(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    uint8_t *data = calloc(1, PART);

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    atomic_store(&kit_cancel_after, 2);
    assert_int_equal(kit_part(k, &u, data, PART), PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancel_after, -1);
    assert_int_equal(io_fault_calls(IO_PWRITE), 2);
    free(data);
}

/* Many small parts: more than the window has slots for. */
static void part__may_be_small_and_many(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    char expected[200];

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    for (uint32_t i = 0; i < 199; i++) {
        expected[i] = (char)('a' + i % 26);
        assert_int_equal(kit_part_at(k, &u, 1, i, expected + i, 1), OK);
    }
    expected[199] = '\0';
    assert_int_equal(kit_part_at(k, &u, 1, 0, expected, 199), OK);
    u.n = 1;
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    kit_holds(k, "a", expected);
}

static void *abort_it(void *arg)
{
    struct sender *s = arg;

    s->rc = kit_abort(s->k, s->u->key, s->u->id);
    return NULL;
}

static void abort__beside_a_running_part_is_safe(void **state)
{
    struct kit *k = *state;
    uint8_t *data = calloc(1, 2 * PART);

    for (int round = 0; round < 5; round++) {
        struct kit_upload u;
        struct sender part = {.k = k, .u = &u, .data = data, .number = 1};
        struct sender abort_ = {.k = k, .u = &u};

        assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
        assert_int_equal(pthread_create(&part.thread, NULL, send_part, &part),
                         0);
        assert_int_equal(
            pthread_create(&abort_.thread, NULL, abort_it, &abort_), 0);
        assert_int_equal(pthread_join(part.thread, NULL), 0);
        assert_int_equal(pthread_join(abort_.thread, NULL), 0);
        assert_int_equal(abort_.rc, OK);
        assert_int_equal(kit_part(k, &u, "x", 1), PERSIST_BACKEND_INVALID);
    }
    free(data);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(part__writes_in_parallel_within_the_window),
        T(part__goes_past_the_page_cache_where_it_can),
        T(writeback__never_admits_more_than_the_window),
#ifdef PERSIST_ASYNC
        T(flush__comes_early_and_its_failure_is_final),
        T(commit__waits_for_the_flush_under_way),
#endif
        T(part__comes_too_late_for_what_is_flushed),
        T(part__stops_between_slices),
        T(part__may_be_small_and_many),
        T(abort__beside_a_running_part_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
