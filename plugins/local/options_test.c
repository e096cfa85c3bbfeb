/* SPDX-License-Identifier: Apache-2.0 */
/* Options, the root directory in every state it may be found in, and probe. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/confine.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

static void entry__describes_a_loadable_backend(void **state)
{
    const struct persist_backend_descriptor *d =
        persist_backend_entry_v1(&kit_host);

    (void)state;
    assert_true(d->magic == PERSIST_BACKEND_MAGIC);
    assert_int_equal(d->abi_major, 1);
    assert_int_equal(d->struct_size, sizeof(*d));
    assert_string_equal(d->name, "local");
    assert_int_equal(d->thread_model, PERSIST_BACKEND_PARALLEL);
    assert_int_equal(d->n_options, LOCAL_N_OPTIONS);
    assert_string_equal(d->options[0].key, "root");
    assert_string_equal(d->options[0].alias, "base_dir");
    assert_int_equal(d->options[0].flags, PERSIST_BACKEND_REQUIRED);
    for (uint32_t i = 0; i < d->n_options; i++)
        assert_non_null(d->options[i].help);
    d->ops->close(NULL);
}

static void limits__say_what_the_ops_take(void **state)
{
    struct kit *k = *state;
    struct persist_backend_limits l = {.struct_size = sizeof(l)};

    assert_int_equal(k->ops->limits(k->store, &l), OK);
    assert_int_equal(l.flags, PERSIST_BACKEND_ORDERED_LISTING);
    assert_int_equal(l.key_max, LOCAL_KEY_MAX);
    assert_int_equal(l.put_max, WRITEBACK_MAX);
    assert_true(l.part_min <= l.part_max);
    assert_in_range(l.parallel_max, 2, 64);
}

static void open__checks_what_the_host_cannot_know(void **state)
{
    static const char *const bad[] = {
        "root=",           "dir_mode=",
        "dir_mode=07700",  "dir_mode=0600",
        "dir_mode=rwx",    "dir_mode=0789",
        "dir_mode=0700 ",  "dir_mode=-0700",
        "dir_mode=01777",  "file_mode=0700",
        "file_mode=0400",  "file_mode=04600",
        "file_mode=0x180", "dir_mode=777777777777777777777700"};
    static const char *const good[] = {"dir_mode=700", "dir_mode=0777",
                                       "file_mode=0666", "file_mode=600",
                                       "dir_mode=000750"};
    struct kit *k = *state;
    void *store = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *const options[] = {bad[i], NULL};

        assert_int_equal(kit_open(k, options, &store), PERSIST_BACKEND_CONFIG);
        assert_null(store);
        assert_int_not_equal(k->error.message[0], '\0');
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *const options[] = {good[i], NULL};

        assert_int_equal(kit_open(k, options, &store), OK);
        k->ops->close(store);
        store = NULL;
    }
}

static void open__touches_nothing(void **state)
{
    static const char *const options[] = {"root=/nonexistent/at/all", NULL};
    struct kit *k = *state;
    unsigned calls = io_fault_total();
    void *store;

    assert_int_equal(kit_open(k, options, &store), OK);
    k->ops->close(store);
    assert_int_equal(io_fault_total(), calls);
}

/* Every op, none of which may say "not found": the store is what is missing. */
static void check_all(struct kit *k, int32_t expected)
{
    struct kit_list l = {0};
    struct kit_upload u;
    struct persist_backend_put_many_args many = {.struct_size = sizeof(many)};
    struct persist_backend_put_many_result statuses = {.struct_size =
                                                           sizeof(statuses)};

    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), expected);
    assert_int_equal(kit_head(k, "a/b", NULL), expected);
    assert_null(kit_read(k, "a/b", NULL));
    assert_int_equal(kit_delete(k, "a/b", NULL), expected);
    assert_int_equal(kit_list(k, "", "", "", 10, &l), expected);
    assert_int_equal(kit_list(k, "a/", "", "/", 10, &l), expected);
    assert_int_equal(kit_begin(k, &u, "a", 0, 0), expected);
    assert_int_equal(kit_abort(k, "", "tmp:.persist-tmp.x"), expected);
    assert_int_equal(
        k->ops->put_many(k->store, &k->call, &many, &statuses, &k->error),
        expected);
    kit_list_finish(&l);
}

static void
root__missing_is_an_error_that_names_the_unmounted_disk(void **state)
{
    struct kit *k = *state;

    assert_int_equal(rmdir(k->root), 0);
    check_all(k, PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(k->error.message, "unmounted"));
    assert_non_null(strstr(k->error.message, k->root));
    assert_int_equal(access(k->root, F_OK), -1);
    assert_int_equal(mkdir(k->root, 0700), 0); /* mounted now */
    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
}

/* Whatever it is asked, it would fail in ways of its own. */
static void root__must_be_able_to_hold_files(void **state)
{
    static const char *const options[] = {"root=/proc", NULL};
    struct kit *k = *state;

    if (access("/proc/self", F_OK) != 0)
        skip(); /* not Linux */
    kit_reopen(k, options);
    check_all(k, PERSIST_BACKEND_CONFIG);
    assert_string_equal(k->error.message,
                        "the root /proc is on a file system that cannot hold "
                        "files (proc): choose another directory");
}

static void root__may_be_no_file_and_no_fifo(void **state)
{
    struct kit *k = *state;

    assert_int_equal(rmdir(k->root), 0);
    scratch_write(k->base, "root", "x");
    check_all(k, PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(k->error.message, "not a directory"));
    assert_int_equal(unlink(k->root), 0);
    assert_int_equal(mkfifo(k->root, 0600), 0);
    check_all(k, PERSIST_BACKEND_CONFIG);
    assert_int_equal(unlink(k->root), 0);
    assert_int_equal(symlink("root", k->root), 0);
    check_all(k, PERSIST_BACKEND_CONFIG);
}

static void root__may_be_a_link_itself(void **state)
{
    struct kit *k = *state;

    assert_int_equal(rename(k->root, scratch_join(k->base, "real")), 0);
    assert_int_equal(symlink("real", k->root), 0);
    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
    kit_holds(k, "a/b", "x");
    assert_int_equal(scratch_count(scratch_join(k->base, "real")), 1);
}

/* What was there a moment ago and is gone is not "not found" either. */
static void root__removed_while_open_is_an_error(void **state)
{
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
    scratch_remove_tree(k->root);
    assert_int_equal(kit_head(k, "a/b", NULL), PERSIST_BACKEND_CONFIG);
    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), PERSIST_BACKEND_CONFIG);
    assert_int_equal(kit_put(k, "b", "x", IF_ABSENT), PERSIST_BACKEND_CONFIG);
    assert_int_equal(kit_delete(k, "a/b", NULL), PERSIST_BACKEND_CONFIG);
    {
        struct kit_list l = {0};

        assert_int_equal(kit_list(k, "", "", "", 10, &l),
                         PERSIST_BACKEND_CONFIG);
        assert_int_equal(kit_list(k, "a/", "", "", 10, &l),
                         PERSIST_BACKEND_CONFIG);
        kit_list_finish(&l);
    }
    assert_int_equal(mkdir(k->root, 0700), 0);
    kit_reopen(k, NULL);
    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
}

static void root__relative_means_the_directory_of_opening(void **state)
{
    static const char *const options[] = {"root=root", NULL};
    struct kit *k = *state;
    int cwd = scratch_open_dir(".");

    assert_int_equal(chdir(k->base), 0);
    kit_reopen(k, options);
    assert_int_equal(fchdir(cwd), 0);
    close(cwd);
    assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), OK);
    assert_int_equal(scratch_count(k->root), 1);
}

/* ------------------------------------------------------------ create = true */

static void reopen_creating(struct kit *k, const char *below)
{
    char option[500];
    const char *const options[] = {option, "create=true", NULL};

    (void)snprintf(option, sizeof(option), "root=%s/%s", k->base, below);
    kit_reopen(k, options);
}

static void create__makes_the_root_with_the_first_write_only(void **state)
{
    struct kit *k = *state;
    struct kit_list l = {0};
    struct stat st;
    uint32_t was;

    reopen_creating(k, "x//y/./store/");
    assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(kit_list(k, "", "", "", 10, &l), OK);
    assert_int_equal(l.n, 0);
    assert_int_equal(kit_delete(k, "a", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    assert_int_equal(kit_abort(k, "", "tmp:.persist-tmp.x"), OK);
    assert_int_equal(scratch_count(k->base), 1);

    assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), OK);
    kit_holds(k, "a", "x");
    assert_int_equal(stat(scratch_join(k->base, "x"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(scratch_join(k->base, "x/y/store"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    kit_list_finish(&l);
}

/* The deepest that was there, each new one's parent; then file and root. */
static void create__syncs_every_name_on_the_way(void **state)
{
    struct kit *k = *state;
    unsigned syncs;

    reopen_creating(k, "x/y/store");
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 1 + 3 + 2);
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "b", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 2);

    /* Another process: whoever made the root may not have synced it yet. */
    reopen_creating(k, "x/y/store");
    assert_int_equal(kit_head(k, "a", NULL), OK);
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "c", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 1 + 2);
}

static void create__reports_and_undoes_what_failed(void **state)
{
    static const enum io_kind kinds[] = {IO_OPENAT, IO_MKDIRAT, IO_FSYNC,
                                         IO_FSTAT, IO_FCHMOD};
    struct kit *k = *state;
    char option[500];
    const char *const options[] = {option, "create=true", "dir_mode=0750",
                                   NULL};
    mode_t old = umask(077);
    unsigned failures = 0;

    (void)snprintf(option, sizeof(option), "root=%s/x/y", k->base);
    for (size_t i = 0; i < 5; i++)
        for (unsigned nth = 1; nth < 12; nth++) {
            unsigned fds;
            int32_t rc;

            kit_reopen(k, options);
            fds = scratch_open_fds();
            io_fault_set(kinds[i], nth, 1, ENOSPC);
            rc = kit_put(k, "a", "x", IF_ABSENT);
            io_fault_set(kinds[i], 0, 0, 0);
            assert_true(rc == OK || rc == PERSIST_BACKEND_NO_SPACE ||
                        rc == PERSIST_BACKEND_NOT_DURABLE);
            failures += rc != OK;
            /* The root, and the root as a folder that is written to. */
            assert_true(scratch_open_fds() <= fds + 2);
            if (rc == PERSIST_BACKEND_NO_SPACE)
                assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), OK);
            scratch_remove_tree(scratch_join(k->base, "x"));
        }
    umask(old);
    assert_in_range(failures, 10, 60);
}

static void create__of_a_name_too_long_is_refused(void **state)
{
    struct kit *k = *state;
    char name[400];

    memset(name, 'n', sizeof(name));
    name[300] = '\0';
    reopen_creating(k, name);
    assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), PERSIST_BACKEND_INVALID);
    scratch_write(k->base, "file", "x");
    reopen_creating(k, "file/store");
    assert_int_equal(kit_put(k, "a", "x", IF_ABSENT), PERSIST_BACKEND_CONFIG);
}

/* ---------------------------------------------------------- without rights */

static void without_the_folder(struct kit *k)
{
    struct kit_list l = {0};

    CHILD_CHECK(kit_put(k, "a/own", "x", IF_ABSENT) == OK);
    CHILD_CHECK(chmod(scratch_join(k->root, "a"), 0500) == 0);
    CHILD_CHECK(kit_put(k, "a/new", "x", IF_ABSENT) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_put(k, "a/own", "x", 0) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_delete(k, "a/own", NULL) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_head(k, "a/own", NULL) == OK);
    CHILD_CHECK(chmod(scratch_join(k->root, "a"), 0) == 0);
    CHILD_CHECK(kit_head(k, "a/own", NULL) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_list(k, "", "", "", 9, &l) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_list(k, "a/", "", "", 9, &l) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(chmod(scratch_join(k->root, "a"), 0700) == 0);
    CHILD_CHECK(kit_put(k, "a/own", "y", 0) == OK);
}

static void as_nobody(void *ctx)
{
    struct kit *k = ctx;
    struct kit_list l = {0};

    CHILD_CHECK(geteuid() != 0);
    without_the_folder(k);
    /* All of O_TMPFILE, AT_EMPTY_PATH and /proc that there is without root. */
    CHILD_CHECK(kit_put(k, "a/more", "y", IF_ABSENT) == OK);
    CHILD_CHECK(kit_put(k, "a/more", "y", IF_ABSENT) == PERSIST_BACKEND_EXISTS);
    CHILD_CHECK(scratch_count_temps(k->root) == 0);
    CHILD_CHECK(chmod(k->root, 0) == 0);
    kit_reopen(k, NULL);
    CHILD_CHECK(kit_put(k, "a/b", "x", IF_ABSENT) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_head(k, "a/b", NULL) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(kit_list(k, "", "", "", 9, &l) == PERSIST_BACKEND_DENIED);
    CHILD_CHECK(chmod(k->root, 0700) == 0);
}

static void denied__is_never_not_found(void **state)
{
    struct kit *k = *state;

    if (geteuid() == 0)
        assert_int_equal(chown(k->root, 65534, 65534), 0);
    kit_reopen(k, NULL);
    assert_int_equal(scratch_as_nobody(k->base, as_nobody, k), 0);
}

/* ------------------------------------------------------------------- probe */

struct findings {
    char text[2000];
    uint32_t worst;
    unsigned n, stop_at;
};

static int32_t note(void *ctx, const struct persist_backend_finding *finding)
{
    struct findings *f = ctx;
    size_t at = strlen(f->text);

    (void)snprintf(f->text + at, sizeof(f->text) - at, "%s=%s\n", finding->name,
                   finding->value);
    if (finding->verdict > f->worst)
        f->worst = finding->verdict;
    return ++f->n == f->stop_at;
}

static int32_t probe(struct kit *k, struct findings *f)
{
    struct persist_backend_probe_args args = {
        .struct_size = sizeof(args), .emit = note, .emit_ctx = f};
    struct persist_backend_probe_result result = {.struct_size =
                                                      sizeof(result)};

    return k->ops->probe(k->store, &k->call, &args, &result, &k->error);
}

static void probe__tells_what_a_person_needs(void **state)
{
    struct kit *k = *state;
    struct findings f = {.n = 0};

    assert_int_equal(probe(k, &f), OK);
    assert_non_null(strstr(f.text, k->root));
    assert_non_null(strstr(f.text, "file-system="));
    assert_non_null(strstr(f.text, "free-space="));
    assert_non_null(strstr(f.text, "writing=permitted"));
    assert_non_null(strstr(f.text, "confinement="));
    assert_int_not_equal(f.worst, PERSIST_BACKEND_FINDING_FAIL);
    assert_int_equal(scratch_count(k->root), 0);

    assert_int_equal(chmod(k->root, 0777), 0);
    f = (struct findings){.stop_at = 0};
    io_fault_set(IO_FSYNC, 1, 1, EROFS);
    assert_int_equal(probe(k, &f), OK);
    assert_non_null(strstr(f.text, "others may write"));
    assert_non_null(strstr(f.text, "read-only"));
    assert_int_equal(f.worst, PERSIST_BACKEND_FINDING_FAIL);
    f = (struct findings){.stop_at = 2};
    assert_int_equal(probe(k, &f), OK);
    assert_int_equal(f.n, 2);
    atomic_store(&kit_cancel_after, 0);
    assert_int_equal(probe(k, &f), PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancel_after, -1);

    reopen_creating(k, "not/yet");
    f = (struct findings){.stop_at = 0};
    assert_int_equal(probe(k, &f), OK);
    assert_non_null(strstr(f.text, "first save"));
    assert_int_equal(rmdir(k->root), 0);
    kit_reopen(k, NULL);
    assert_int_equal(probe(k, &f), PERSIST_BACKEND_CONFIG);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(entry__describes_a_loadable_backend),
        T(limits__say_what_the_ops_take),
        T(open__checks_what_the_host_cannot_know),
        T(open__touches_nothing),
        T(root__missing_is_an_error_that_names_the_unmounted_disk),
        T(root__must_be_able_to_hold_files),
        T(root__may_be_no_file_and_no_fifo),
        T(root__may_be_a_link_itself),
        T(root__removed_while_open_is_an_error),
        T(root__relative_means_the_directory_of_opening),
        T(create__makes_the_root_with_the_first_write_only),
        T(create__syncs_every_name_on_the_way),
        T(create__reports_and_undoes_what_failed),
        T(create__of_a_name_too_long_is_refused),
        T(denied__is_never_not_found),
        T(probe__tells_what_a_person_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
