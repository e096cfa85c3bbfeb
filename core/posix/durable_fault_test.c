/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable write where something fails: every call of every kind, in turn,
 * with every errno, under every way of writing.  What must hold each time: the
 * old file or the whole new one, success only with the new one, no temporary,
 * no open descriptor, no second sync of a failed descriptor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/durable.h"
#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

#define TEXT "the new bytes of the file"

/* What the environment lacks while a scenario runs. */
struct scenario {
    const char *name;
    enum durable_how how;
    bool guess_replace; /* what begin is told */
    bool old_file;
    bool no_tmpfile;
    bool no_links;
};

static const struct scenario scenarios[] = {
    {"new", DURABLE_IF_ABSENT, false, false, false, false},
    {"new, taken", DURABLE_IF_ABSENT, false, true, false, false},
    {"new, named", DURABLE_IF_ABSENT, true, false, false, false},
    {"new, no O_TMPFILE", DURABLE_IF_ABSENT, false, false, true, false},
    {"new, no hard links", DURABLE_IF_ABSENT, true, false, false, true},
    {"new, copied", DURABLE_IF_ABSENT, false, false, false, true},
    {"replace", DURABLE_REPLACE, true, true, false, false},
    {"replace, wrong guess", DURABLE_REPLACE, false, true, false, false},
    {"replace, copied", DURABLE_REPLACE, false, true, false, true},
};
#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static const int errnos[] = {EIO,    ENOSPC, EDQUOT, EINTR,
                             EACCES, EMFILE, EROFS,  ENOSYS};
#define N_ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

struct fixture {
    char *path;
    int fd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->path = scratch_make();
    f->fd = scratch_open_dir(f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    io_fault_remove();
    close(f->fd);
    scratch_remove(f->path);
    free(f);
    return 0;
}

static void prepare(const struct fixture *f, const struct scenario *s)
{
    (void)unlinkat(f->fd, "a", 0);
    if (s->old_file)
        scratch_write(f->path, "a", "old");
    durable_forget();
    io_fault_install();
    if (s->no_tmpfile)
        io_fault_set(IO_OPENAT, 1, 1, EOPNOTSUPP);
    if (s->no_links)
        io_fault_set(IO_LINKAT, 1, IO_FAULT_FOREVER, EPERM);
}

static int run(const struct fixture *f, const struct scenario *s)
{
    struct durable_write w;
    size_t half = strlen(TEXT) / 2;
    int rc = durable_begin(&w, f->fd, 0640, s->guess_replace);

    if (rc == 0)
        rc = durable_reserve(&w, 4096);
    if (rc == 0)
        rc = durable_write_at(&w, &TEXT[half], strlen(TEXT) - half, half);
    if (rc == 0)
        rc = durable_write_at(&w, TEXT, half, 0);
    if (rc == 0)
        rc = durable_write_back(&w, 0, strlen(TEXT), true);
    if (rc == 0)
        rc = durable_publish(&w, "a", s->how, strlen(TEXT));
    durable_discard(&w);
    return rc;
}

static void assert_sound(const struct fixture *f, const struct scenario *s,
                         int rc, bool temp_may_stay)
{
    char *found = scratch_read(f->path, "a");

    if (rc == 0 || rc == DURABLE_NOT_SYNCED) {
        assert_non_null(found);
        assert_string_equal(found, TEXT);
    } else if (s->old_file) {
        assert_non_null(found);
        assert_string_equal(found, "old");
    } else {
        assert_null(found);
    }
    free(found);
    assert_int_equal(io_fault_resynced(), 0);
    if (!temp_may_stay)
        assert_int_equal(scratch_count_temps(f->path), 0);
}

static void clean(const struct fixture *f)
{
    io_fault_remove();
    scratch_remove_tree(f->path);
    (void)mkdir(f->path, 0700);
}

/* One scenario, one kind: fail the n-th call until there is no n-th call. */
static unsigned sweep(struct fixture *f, const struct scenario *s,
                      enum io_kind kind, int err)
{
    unsigned runs = 0;

    for (unsigned nth = 1; nth < 100; nth++) {
        unsigned fds = scratch_open_fds(), before;
        int rc;

        prepare(f, s);
        before = io_fault_calls(kind);
        io_fault_set(kind, nth, 1, err);
        rc = run(f, s);
        runs++;
        assert_sound(f, s, rc, kind == IO_UNLINKAT);
        assert_int_equal(scratch_open_fds(), fds);
        if (io_fault_calls(kind) - before < nth) {
            clean(f);
            close(f->fd);
            f->fd = scratch_open_dir(f->path);
            return runs;
        }
        /* What could not be unlinked is found again by a cleaner; here by us.
         */
        clean(f);
        close(f->fd);
        f->fd = scratch_open_dir(f->path);
    }
    fail_msg("%s: %s never stops", s->name, io_fault_name(kind));
    return runs;
}

static void publish__is_all_or_nothing_whatever_fails(void **state)
{
    unsigned runs = 0;

    for (size_t s = 0; s < N_SCENARIOS; s++)
        for (int kind = 0; kind < IO_KINDS; kind++) {
            /* those the scenario itself bends */
            if ((kind == IO_LINKAT && scenarios[s].no_links) ||
                (kind == IO_OPENAT && scenarios[s].no_tmpfile))
                continue;
            for (size_t e = 0; e < N_ERRNOS; e++)
                runs +=
                    sweep(*state, &scenarios[s], (enum io_kind)kind, errnos[e]);
        }
    assert_in_range(runs, 400, 100000);
}

static void publish__survives_short_and_interrupted_calls(void **state)
{
    struct fixture *f = *state;

    if (io_fault_lacks(IO_RENAMEAT2))
        skip();
    for (size_t s = 0; s < N_SCENARIOS; s++)
        for (size_t len = 1; len < 7; len += 5) {
            int rc;

            prepare(f, &scenarios[s]);
            io_fault_short(len);
            io_fault_set(IO_PWRITE, 2, 3, EINTR);
            io_fault_set(IO_PREAD, 2, 3, EINTR);
            io_fault_set(IO_FTRUNCATE, 1, 2, EINTR);
            io_fault_set(IO_FALLOCATE, 1, 2, EINTR);
            if (!scenarios[s].no_tmpfile)
                io_fault_set(IO_OPENAT, 1, 2, EINTR);
            rc = run(f, &scenarios[s]);
            assert_int_equal(rc, s == 1 ? -EEXIST : 0);
            assert_sound(f, &scenarios[s], rc, false);
        }
}

/* The kernel tells of lost pages once; a second fsync would say all is well. */
static void sync__is_never_asked_twice_after_an_error(void **state)
{
    static const int answers[] = {EIO, ENOSPC, EDQUOT, EINTR};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        struct durable_write w;

        prepare(f, &scenarios[0]);
        assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
        assert_int_equal(durable_write_at(&w, "abc", 3, 0), 0);
        io_fault_set(IO_FSYNC, 1, 1, answers[i]);
        assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 3),
                         -answers[i]);
        assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 3), -EIO);
        durable_mark_synced(&w);
        assert_int_equal(durable_link(&w, "a", DURABLE_IF_ABSENT), -EIO);
        durable_discard(&w);
        assert_int_equal(io_fault_calls(IO_FSYNC), 1);
        assert_int_equal(scratch_count(f->path), 0);
    }
}

/* sync_file_range eats the error that fsync would have reported. */
static void write_back__error_fails_the_write_for_good(void **state)
{
    struct fixture *f = *state;
    struct durable_write w;

    prepare(f, &scenarios[0]);
    assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
    assert_int_equal(durable_write_at(&w, "abc", 3, 0), 0);
    io_fault_set(IO_SYNC_FILE_RANGE, 1, 1, EIO);
    assert_int_equal(durable_write_back(&w, 0, 3, false), -EIO);
    assert_int_equal(durable_write_back(&w, 0, 3, true), -EIO);
    assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 3), -EIO);
    durable_discard(&w);

    assert_int_equal(io_fault_calls(IO_FSYNC), 0);
    assert_int_equal(scratch_count(f->path), 0);
}

static void write_back__is_no_condition(void **state)
{
    static const int answers[] = {ENOSYS, EINVAL, EOPNOTSUPP, ESPIPE, EINTR};
    struct fixture *f = *state;
    struct durable_write w;

    prepare(f, &scenarios[0]);
    assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
    for (size_t i = 0; i < 5; i++) {
        io_fault_set(IO_SYNC_FILE_RANGE, 1, 1, answers[i]);
        assert_int_equal(durable_write_back(&w, 0, 3, true), 0);
    }
    assert_int_equal(durable_write_back(&w, 0, 0, true), 0);
    assert_int_equal(io_fault_calls(IO_SYNC_FILE_RANGE), 5);
    assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 0), 0);
    durable_discard(&w);
}

static void
publish__says_not_synced_when_only_the_directory_failed(void **state)
{
    struct fixture *f = *state;
    struct durable_write w;

    prepare(f, &scenarios[0]);
    assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
    io_fault_set(IO_FSYNC, 2, 1, EIO);
    assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 0),
                     DURABLE_NOT_SYNCED);
    assert_int_equal(w.dir_errno, EIO);
    assert_true(w.published);
    durable_discard(&w);

    assert_int_equal(scratch_count(f->path), 1);
    assert_int_equal(durable_sync_dir(f->fd), 0);
    io_fault_set(IO_FSYNC, 1, 1, ENOSPC);
    assert_int_equal(durable_sync_dir(f->fd), -ENOSPC);
}

static void publish__minds_what_close_says(void **state)
{
    static const struct {
        int err, rc;
    } cases[] = {{EIO, DURABLE_NOT_SYNCED},
                 {ENOSPC, DURABLE_NOT_SYNCED},
                 {EDQUOT, DURABLE_NOT_SYNCED},
                 {EINTR, 0}};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        struct durable_write w;

        prepare(f, &scenarios[0]);
        assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
        io_fault_set(IO_CLOSE, 1, 1, cases[i].err);
        assert_int_equal(durable_publish(&w, "a", DURABLE_IF_ABSENT, 0),
                         cases[i].rc);
        if (cases[i].rc != 0)
            assert_int_equal(w.dir_errno, cases[i].err);
        durable_discard(&w);
        assert_int_equal(io_fault_calls(IO_CLOSE), 1); /* never retried */
    }
}

/* The copy of last resort finds its source cut short. */
static void publish__does_not_publish_half_a_copy(void **state)
{
    struct fixture *f = *state;
    struct durable_write w;

    if (IO_UNNAMED == 0)
        skip();
    prepare(f, &scenarios[5]);
    assert_int_equal(durable_begin(&w, f->fd, 0600, false), 0);
    assert_int_equal(durable_write_at(&w, "abc", 3, 0), 0);
    assert_int_equal(durable_settle(&w, 3), 0);
    assert_int_equal(durable_sync(&w), 0);
    assert_int_equal(ftruncate(w.fd, 1), 0);
    assert_int_equal(durable_link(&w, "a", DURABLE_IF_ABSENT), -EIO);
    durable_discard(&w);

    assert_int_equal(scratch_count(f->path), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(publish__is_all_or_nothing_whatever_fails),
        T(publish__survives_short_and_interrupted_calls),
        T(sync__is_never_asked_twice_after_an_error),
        T(write_back__error_fails_the_write_for_good),
        T(write_back__is_no_condition),
        T(publish__says_not_synced_when_only_the_directory_failed),
        T(publish__minds_what_close_says),
        T(publish__does_not_publish_half_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
