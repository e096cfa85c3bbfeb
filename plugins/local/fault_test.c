/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of every write fails, in turn, with every errno.  What must
 * hold each time: an acknowledged object is there and whole, a refused one is
 * not there, *not_durable* is there, no temporary and no descriptor is left,
 * the error names an errno, and the same op works right after.
 */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/durable.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

#define TEXT "what is to be written"

static const int errnos[] = {EIO, ENOSPC, EINTR, EACCES, EMFILE, EROFS};
#define N_ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

struct scenario {
    const char *name;
    uint32_t flags;
    bool old; /* the key is taken before */
    int32_t (*run)(struct kit *k, uint32_t flags);
};

static int32_t run_put(struct kit *k, uint32_t flags)
{
    return kit_put(k, "agent/session/key", TEXT, flags);
}

static int32_t run_upload(struct kit *k, uint32_t flags)
{
    struct kit_upload u;
    int32_t rc = kit_begin(k, &u, "agent/session/key", flags, strlen(TEXT) + 9);

    if (rc != OK)
        return rc;
    rc = kit_part(k, &u, TEXT, 5);
    if (rc == OK)
        rc = kit_part(k, &u, &TEXT[5], strlen(TEXT) - 5);
    if (rc == OK)
        rc = kit_commit(k, &u, flags);
    assert_int_equal(kit_abort(k, "agent/session/key", u.id), OK);
    return rc;
}

static int32_t run_many(struct kit *k, uint32_t flags)
{
    struct persist_backend_put_args items[2];
    int32_t statuses[2] = {PERSIST_BACKEND_INTERNAL, PERSIST_BACKEND_INTERNAL};
    struct persist_backend_put_many_args args = {.struct_size = sizeof(args),
                                                 .n_items = 2,
                                                 .item_size = sizeof(items[0]),
                                                 .items = items};
    struct persist_backend_put_many_result result = {
        .struct_size = sizeof(result), .n_statuses = 2, .statuses = statuses};
    int32_t rc;

    items[0] = (struct persist_backend_put_args){.struct_size = sizeof(*items),
                                                 .flags = flags,
                                                 .key = "agent/session/key",
                                                 .data = TEXT,
                                                 .len = strlen(TEXT),
                                                 .content_type = ""};
    items[1] = items[0];
    items[1].key = "agent/other/key";
    items[1].flags = 0;
    rc = k->ops->put_many(k->store, &k->call, &args, &result, &k->error);
    assert_int_not_equal(statuses[0], rc == OK ? PERSIST_BACKEND_INTERNAL : 1);
    return rc != OK ? rc : statuses[0];
}

static const struct scenario scenarios[] = {
    {"put if absent", IF_ABSENT, false, run_put},
    {"put over", 0, true, run_put},
    {"upload if absent", IF_ABSENT, false, run_upload},
    {"upload over", 0, true, run_upload},
    {"put_many if absent", IF_ABSENT, false, run_many},
    {"put_many over", 0, true, run_many},
};

static void check(struct kit *k, const struct scenario *s, int32_t rc)
{
    int32_t read_rc;
    char *found = kit_read(k, "agent/session/key", &read_rc);

    if (rc == OK || rc == PERSIST_BACKEND_NOT_DURABLE) {
        assert_non_null(found);
        assert_string_equal(found, TEXT);
    } else if (s->old) {
        assert_non_null(found);
        assert_string_equal(found, "old");
    } else {
        assert_int_equal(read_rc, PERSIST_BACKEND_NOT_FOUND);
    }
    free(found);
    assert_int_equal(io_fault_resynced(), 0);
}

/* True while there is an n-th call. */
static bool try(struct kit *k, const struct scenario *s, enum io_kind kind,
                int err, unsigned nth)
{
    unsigned fds, before;
    bool reached;
    int32_t rc;

    scratch_remove_tree(k->root);
    assert_int_equal(mkdir(k->root, 0700), 0);
    kit_reopen(k, NULL);
    if (s->old)
        assert_int_equal(kit_put(k, "agent/session/key", "old", 0), OK);
    else
        assert_int_equal(kit_put(k, "warm", "x", 0), OK);
    fds = scratch_open_fds();
    before = io_fault_calls(kind);
    io_fault_set(kind, nth, 1, err);
    rc = s->run(k, s->flags);
    reached = io_fault_calls(kind) - before >= nth;
    io_fault_set(kind, 0, 0, 0);

    check(k, s, rc);
    if (kind != IO_UNLINKAT)
        assert_int_equal(scratch_count_temps(k->root), 0);
    assert_in_range(scratch_open_fds(), 1, fds + 4); /* known folders */
    if (rc != OK && rc != PERSIST_BACKEND_NOT_DURABLE)
        assert_int_equal(s->run(k, s->flags), OK);
    return reached;
}

static void writes__are_all_or_nothing_whatever_fails(void **state)
{
    struct kit *k = *state;
    unsigned runs = 0;

    for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++)
        for (int kind = 0; kind < IO_KINDS; kind++)
            for (size_t e = 0; e < N_ERRNOS; e++) {
                unsigned nth = 1;

                while (
                    try(k, &scenarios[s], (enum io_kind)kind, errnos[e], nth)) {
                    nth++;
                    assert_true(nth < 100);
                }
                runs += nth;
            }
    assert_in_range(runs, 400, 100000);
}

static void writes__survive_short_and_interrupted_calls(void **state)
{
    struct kit *k = *state;

    for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++) {
        scratch_remove_tree(k->root);
        assert_int_equal(mkdir(k->root, 0700), 0);
        kit_reopen(k, NULL);
        io_fault_short(1);
        io_fault_set(IO_PWRITE, 3, 5, EINTR);
        io_fault_set(IO_OPENAT2, 1, 1, EINTR);
        assert_int_equal(scenarios[s].run(k, scenarios[s].flags), OK);
        io_fault_short(0);
        check(k, &scenarios[s], OK);
    }
}

int main(void)
{
#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown),            \
    {                                                                          \
#test " (by components)", test, kit_setup_fallback, kit_teardown, NULL \
    }
    const struct CMUnitTest tests[] = {
        T(writes__are_all_or_nothing_whatever_fails),
        T(writes__survive_short_and_interrupted_calls),
    };

    /* Thousands of syncs: in memory where that can be had. */
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
