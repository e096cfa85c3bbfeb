/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confined walk, by openat2 and by components: what it opens and makes, and
 * that nothing leads out of the root, with an attacker at work too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/confine.h"
#include "posix/durable.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

struct fixture {
    char *path; /* holds root/ and secret/ */
    int base_fd;
    int root_fd;
};

static int setup_with(void **state, bool fallback)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->path = scratch_make();
    f->base_fd = scratch_open_dir(f->path);
    assert_int_equal(mkdirat(f->base_fd, "root", 0700), 0);
    assert_int_equal(mkdirat(f->base_fd, "secret", 0700), 0);
    scratch_write(f->path, "secret/data", "secret");
    f->root_fd = scratch_open_dir(scratch_join(f->path, "root"));
    confine_force_fallback(fallback);
    io_fault_install();
    *state = f;
    return 0;
}

static int setup_openat2(void **state)
{
    return setup_with(state, false);
}

static int setup_fallback(void **state)
{
    return setup_with(state, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    io_fault_remove();
    confine_force_fallback(false);
    close(f->root_fd);
    close(f->base_fd);
    scratch_remove(f->path);
    free(f);
    return 0;
}

static int make(const struct fixture *f, const char *path)
{
    int fd = -1;
    int rc = confine_make_dir(f->root_fd, path, 0700, &fd);

    if (rc == 0)
        close(fd);
    return rc;
}

static int open_dir(const struct fixture *f, const char *path)
{
    int fd = -1;
    int rc = confine_open_dir(f->root_fd, path, &fd);

    if (rc == 0)
        close(fd);
    return rc;
}

static int open_file(const struct fixture *f, const char *path)
{
    int fd = -1;
    int rc = confine_open_file(f->root_fd, path, &fd);

    if (rc == 0)
        close(fd);
    return rc;
}

static void make_dir__makes_all_and_opens_it(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_dir(f, "a/b/c"), -ENOENT);
    assert_int_equal(make(f, "a/b/c"), 0);
    assert_int_equal(make(f, "a/b/c"), 0);
    assert_int_equal(open_dir(f, "a/b/c"), 0);
    assert_int_equal(open_dir(f, "a"), 0);
    assert_int_equal(open_dir(f, ""), 0);
    assert_int_equal(make(f, ""), 0);
    scratch_write(f->path, "root/a/b/file", "x");

    assert_int_equal(open_file(f, "a/b/file"), 0);
    assert_int_equal(open_file(f, "a/b/none"), -ENOENT);
    assert_int_equal(open_file(f, "a/none/file"), -ENOENT);
    assert_int_equal(open_file(f, "a/b"), -EISDIR);
    assert_int_equal(open_file(f, "a/b/file/x"), -ENOTDIR);
    assert_int_equal(open_dir(f, "a/b/file"), -ENOTDIR);
}

static void make_dir__syncs_every_parent_also_of_what_is_there(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "a/b/c"), 0);
    assert_int_equal(io_fault_calls(IO_FSYNC), 3);
    assert_int_equal(make(f, "a/b/c"), 0);
    assert_int_equal(io_fault_calls(IO_FSYNC), 6);
}

static void make_dir__sets_exactly_the_mode(void **state)
{
    struct fixture *f = *state;
    mode_t old = umask(077);
    struct stat st;
    int fd = -1;

    assert_int_equal(confine_make_dir(f->root_fd, "a/b", 0750, &fd), 0);
    close(fd);
    umask(old);
    assert_int_equal(fstatat(f->root_fd, "a/b", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0750);

    /* What is there keeps its mode; set-group-id is passed on. */
    assert_int_equal(fchmodat(f->root_fd, "a", 02700, 0), 0);
    assert_int_equal(confine_make_dir(f->root_fd, "a/c", 0770, &fd), 0);
    close(fd);
    assert_int_equal(fstatat(f->root_fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 02700);
    assert_int_equal(fstatat(f->root_fd, "a/c", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 02770);
}

/* A second fsync after a failed one says nothing: start from a new folder. */
static void make_dir__takes_back_what_it_could_not_sync(void **state)
{
    struct fixture *f = *state;

    io_fault_set(IO_FSYNC, 2, 1, EIO);
    assert_int_equal(make(f, "a/b"), -EIO);
    assert_int_equal(open_dir(f, "a"), 0);
    assert_int_equal(open_dir(f, "a/b"), -ENOENT);
    io_fault_set(IO_FSYNC, 1, 1, EIO);
    assert_int_equal(make(f, "a/b"), -EIO);
    assert_int_equal(open_dir(f, "a"), 0); /* not ours to take */
    assert_int_equal(make(f, "a/b"), 0);
}

static void walk__refuses_paths_with_a_way_out(void **state)
{
    static const char *const paths[] = {
        "..",       "../secret/data",
        "a/..",     "a/../..",
        "/etc",     "/",
        "a//b",     "a/",
        ".",        "./a",
        "a/./b",    "a/../a",
        "../x/",    "a/b/../../..",
        "/../root",
    };
    struct fixture *f = *state;

    assert_int_equal(make(f, "a/b"), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(open_dir(f, paths[i]), -EINVAL);
        assert_int_equal(make(f, paths[i]), -EINVAL);
        assert_int_equal(open_file(f, paths[i]), -EINVAL);
        assert_int_equal(confine_obstacle(f->root_fd, paths[i]), 0);
    }
    assert_int_equal(open_file(f, ""), -EINVAL);
    assert_int_equal(open_file(f, "..."), -ENOENT); /* a name like another */
}

static void walk__refuses_what_is_too_long(void **state)
{
    struct fixture *f = *state;
    char path[5000];

    memset(path, 'a', sizeof(path));
    path[256] = '\0';
    assert_int_equal(make(f, path), -ENAMETOOLONG);
    path[255] = '\0';
    assert_int_equal(make(f, path), 0);
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 ? '/' : 'a';
    path[4999] = '\0';
    assert_int_equal(make(f, path), -ENAMETOOLONG);
    assert_int_equal(open_file(f, path), -ENAMETOOLONG);
}

static bool refused(int rc)
{
    return rc == -ELOOP || rc == -EXDEV || rc == -ENOTDIR;
}

static void walk__never_follows_a_symbolic_link(void **state)
{
    static const char *const targets[] = {
        "../secret", "/etc", "real", ".", "/proc/self/root", "nowhere"};
    struct fixture *f = *state;

    assert_int_equal(make(f, "real/sub"), 0);
    scratch_write(f->path, "root/real/data", "x");
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_int_equal(symlinkat(targets[i], f->root_fd, "link"), 0);
        assert_true(refused(open_dir(f, "link")));
        assert_true(refused(open_dir(f, "link/sub")));
        assert_true(refused(open_file(f, "link/data")));
        assert_true(refused(open_file(f, "link")));
        assert_true(refused(make(f, "link")));
        assert_true(refused(make(f, "link/new/sub")));
        assert_true(S_ISLNK(confine_obstacle(f->root_fd, "link/new/sub")));
        assert_int_equal(unlinkat(f->root_fd, "link", 0), 0);
    }
    assert_int_equal(scratch_count(scratch_join(f->path, "secret")), 1);
    assert_int_equal(symlinkat("../data", f->root_fd, "real/sub/link"), 0);
    assert_true(refused(open_file(f, "real/sub/link")));
    assert_true(S_ISLNK(confine_obstacle(f->root_fd, "real/sub/link")));
}

static void obstacle__names_what_is_in_the_way(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "a/b"), 0);
    scratch_write(f->path, "root/a/file", "x");
    assert_true(S_ISREG(confine_obstacle(f->root_fd, "a/file/x/y")));
    assert_int_equal(confine_obstacle(f->root_fd, "a/b"), 0);
    assert_int_equal(confine_obstacle(f->root_fd, "a/none/c"), 0);
    io_fault_set(IO_OPENAT, 1, 1, EACCES);
    assert_int_equal(confine_obstacle(f->root_fd, "a/b/c"), 0);
}

static void open_file__does_not_hang_on_special_files(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(mkfifoat(f->root_fd, "fifo", 0600), 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
                   scratch_join(f->path, "root/sock"));
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);

    assert_int_equal(open_file(f, "fifo"), -EINVAL);
    assert_int_equal(open_file(f, "sock"), -EINVAL);
    assert_int_equal(open_dir(f, "fifo"), -ENOTDIR);
    close(s);
    io_fault_set(IO_FSTAT, 1, 1, EIO);
    scratch_write(f->path, "root/file", "x");
    assert_int_equal(open_file(f, "file"), -EIO);
}

static void openat2__is_probed_once_and_done_without(void **state)
{
    static const int answers[] = {ENOSYS, EPERM, EINVAL};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        confine_force_fallback(false);
        io_fault_set(IO_OPENAT2, 1, IO_FAULT_FOREVER, answers[i]);
        assert_int_equal(make(f, "a/b"), 0);
        assert_int_equal(open_dir(f, "a/b"), 0);
        assert_int_equal(open_dir(f, "a/b"), 0);
        assert_int_equal(io_fault_calls(IO_OPENAT2), i + 1);
        assert_false(confine_uses_openat2());
    }
    /* A probe that says nothing about openat2 itself. */
    confine_force_fallback(false);
    io_fault_set(IO_OPENAT2, 1, 1, EACCES);
    assert_true(confine_uses_openat2());
}

static void openat2__is_repeated_on_eagain_and_then_done_without(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "a/b"), 0);
    if (!confine_uses_openat2())
        skip(); /* not here: PERSIST_PORTABLE, qemu, an old kernel */
    io_fault_set(IO_OPENAT2, 1, 5, EAGAIN);
    assert_int_equal(open_dir(f, "a/b"), 0);
    io_fault_set(IO_OPENAT2, 1, IO_FAULT_FOREVER, EAGAIN);
    assert_int_equal(open_dir(f, "a/b"), 0);
    assert_int_equal(open_dir(f, "a/none"), -ENOENT);
    io_fault_set(IO_OPENAT2, 1, 1, EMFILE);
    assert_int_equal(open_dir(f, "a/b"), -EMFILE);
}

/* ------------------------------------------------------- vanishing, racing */

struct vanish {
    const struct fixture *f;
    int times;
};

static void remove_a(void *ctx)
{
    struct vanish *v = ctx;

    if (v->times > 0 && unlinkat(v->f->root_fd, "a", AT_REMOVEDIR) == 0)
        v->times--;
}

static void make_dir__walks_again_when_a_folder_vanishes(void **state)
{
    struct fixture *f = *state;
    struct vanish v = {.f = f, .times = 5};

    io_fault_before(IO_MKDIRAT, remove_a, &v);
    assert_int_equal(make(f, "a/b"), 0);
    assert_int_equal(v.times, 0);
    assert_int_equal(open_dir(f, "a/b"), 0);

    assert_int_equal(unlinkat(f->root_fd, "a/b", AT_REMOVEDIR), 0);
    v.times = 1000;
    assert_int_equal(make(f, "a/b"), -ENOENT); /* but not for ever */
}

static void *maker(void *arg)
{
    const struct fixture *f = arg;

    return (void *)(intptr_t)make(f, "x/y/z/w");
}

static void make_dir__is_the_same_folder_for_all_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[16];

    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, maker, f), 0);
    for (int i = 0; i < 16; i++) {
        void *rc;

        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((intptr_t)rc, 0);
    }
    assert_int_equal(open_dir(f, "x/y/z/w"), 0);
}

static void walk__reports_every_failure_and_leaks_nothing(void **state)
{
    static const enum io_kind kinds[] = {IO_OPENAT, IO_OPENAT2, IO_MKDIRAT,
                                         IO_FSYNC,  IO_FSTAT,   IO_FCHMOD};
    static const int errnos[] = {EIO, EACCES, EMFILE, ENOSPC, EROFS};
    struct fixture *f = *state;
    unsigned failures = 0;

    for (size_t k = 0; k < 6; k++)
        for (size_t e = 0; e < 5; e++)
            for (unsigned nth = 1; nth < 9; nth++) {
                unsigned fds = scratch_open_fds();
                mode_t old = umask(077);
                int fd = -1, rc;

                io_fault_set(kinds[k], nth, 1, errnos[e]);
                rc = confine_make_dir(f->root_fd, "a/b", 0750, &fd);
                if (rc == 0)
                    close(fd);
                (void)open_dir(f, "a/b");
                umask(old);
                if (rc != 0)
                    assert_int_equal(rc, -errnos[e]);
                failures += rc != 0;
                io_fault_set(kinds[k], 0, 0, 0);
                assert_int_equal(scratch_open_fds(), fds);
                (void)unlinkat(f->root_fd, "a/b", AT_REMOVEDIR);
                (void)unlinkat(f->root_fd, "a", AT_REMOVEDIR);
            }
    assert_in_range(failures, 40, 400);
}

/* --------------------------------------------------------------- attacker */

struct attack {
    const struct fixture *f;
    unsigned attempts;
    atomic_bool stop;
};

/* Swaps the folder root/a/b for a link to secret/ and back, without end. */
static void *attacker(void *arg)
{
    struct attack *a = arg;
    int root = a->f->root_fd;

    while (!atomic_load(&a->stop)) {
        (void)renameat(root, "a/b", root, "a/kept");
        (void)symlinkat("../../secret", root, "a/b");
        (void)unlinkat(root, "a/b", 0);
        (void)renameat(root, "a/kept", root, "a/b");
    }
    return NULL;
}

static void save_into(const struct attack *a, unsigned i, unsigned *n_saved)
{
    struct durable_write w;
    char name[24];
    int fd = -1;

    (void)snprintf(name, sizeof(name), "n%u", i % 64);
    if (confine_open_dir(a->f->root_fd, "a/b", &fd) != 0)
        return;
    if (durable_begin(&w, fd, 0600, i % 2 == 0) == 0 &&
        durable_write_at(&w, "x", 1, 0) == 0 &&
        durable_publish(&w, name, DURABLE_REPLACE, 1) >= 0)
        *n_saved += 1;
    durable_discard(&w);
    close(fd);
}

static void attacked(void *ctx)
{
    struct attack *a = ctx;
    unsigned n_saved = 0;
    pthread_t thread;
    int fd;

    CHILD_CHECK(getuid() != 0);
    CHILD_CHECK(pthread_create(&thread, NULL, attacker, a) == 0);
    for (unsigned i = 0; i < a->attempts; i++) {
        if (i % 8 == 0)
            save_into(a, i / 8, &n_saved);
        if (confine_open_file(a->f->root_fd, "a/b/data", &fd) == 0) {
            char found[8] = "";

            CHILD_CHECK(read(fd, found, 7) >= 0);
            CHILD_CHECK(strcmp(found, "mine") == 0);
            close(fd);
        }
        if (confine_make_dir(a->f->root_fd, "a/b/new", 0700, &fd) == 0)
            close(fd);
    }
    atomic_store(&a->stop, true);
    CHILD_CHECK(pthread_join(thread, NULL) == 0);
    CHILD_CHECK(n_saved > 0);
}

static void walk__withstands_a_symlink_swapping_attacker(void **state)
{
    struct fixture *f = *state;
    struct attack a = {.f = f};

    a.attempts = getenv("PERSIST_LONG") != NULL ? 100000 : 2000;
    assert_int_equal(make(f, "a/b"), 0);
    scratch_write(f->path, "root/a/b/data", "mine");
    if (geteuid() == 0) {
        static const char *const paths[] = {"root", "root/a", "root/a/b",
                                            "root/a/b/data", "secret"};

        for (size_t i = 0; i < 5; i++)
            assert_int_equal(fchownat(f->base_fd, paths[i], 65534, 65534, 0),
                             0);
    }
    assert_int_equal(fchmodat(f->base_fd, "secret/data", 0644, 0), 0);
    io_fault_remove(); /* the calls as they are */

    assert_int_equal(scratch_as_nobody(f->path, attacked, &a), 0);

    /* nothing new, nothing changed */
    assert_int_equal(scratch_count(scratch_join(f->path, "secret")), 1);
    {
        char *kept = scratch_read(f->path, "secret/data");

        assert_string_equal(kept, "secret");
        free(kept);
    }
}

int main(void)
{
#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, setup_openat2, teardown),            \
    {                                                                          \
#test " (by components)", test, setup_fallback, teardown, NULL         \
    }
#define T2(test) cmocka_unit_test_setup_teardown(test, setup_openat2, teardown)
    const struct CMUnitTest tests[] = {
        T(make_dir__makes_all_and_opens_it),
        T(make_dir__syncs_every_parent_also_of_what_is_there),
        T(make_dir__sets_exactly_the_mode),
        T(make_dir__takes_back_what_it_could_not_sync),
        T(walk__refuses_paths_with_a_way_out),
        T(walk__refuses_what_is_too_long),
        T(walk__never_follows_a_symbolic_link),
        T(obstacle__names_what_is_in_the_way),
        T(open_file__does_not_hang_on_special_files),
        T2(openat2__is_probed_once_and_done_without),
        T2(openat2__is_repeated_on_eagain_and_then_done_without),
        T(make_dir__walks_again_when_a_folder_vanishes),
        T(make_dir__is_the_same_folder_for_all_threads),
        T(walk__reports_every_failure_and_leaks_nothing),
        T(walk__withstands_a_symlink_swapping_attacker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
