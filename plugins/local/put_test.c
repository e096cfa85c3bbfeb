/* SPDX-License-Identifier: Apache-2.0 */
/* put and put_many: what is stored, what is refused, and what it costs. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/confine.h"
#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/os.h"
#include "posix/scratch.h"

static void put__stores_once_with_if_absent(void **state)
{
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "a/b/1.snap", "one", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "a/b/1.snap", "two", IF_ABSENT),
                     PERSIST_BACKEND_EXISTS);
    assert_int_equal(k->error.os_errno, EEXIST);
    kit_holds(k, "a/b/1.snap", "one");
    assert_int_equal(kit_put(k, "a/b/1.snap", "", 0), OK);
    kit_holds(k, "a/b/1.snap", "");
    assert_int_equal(kit_put(k, ".persist-probe", "p", IF_ABSENT), OK);
    kit_holds(k, ".persist-probe", "p");
    assert_int_equal(scratch_count_temps(k->root), 0);
}

/* O_TMPFILE, pwrite, fstat, fsync, openat2, fstat, close, linkat, close, fsync
 */
static void put__steady_path_is_a_bare_write_and_four_cheap_calls(void **state)
{
    struct kit *k = *state;
    unsigned before, syncs;

    if (!confine_uses_openat2() || IO_UNNAMED == 0)
        skip(); /* the ways of older and other systems are longer */
    assert_int_equal(kit_put(k, "a/b/0", "x", IF_ABSENT), OK);
    before = io_fault_total();
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "a/b/1", "x", IF_ABSENT), OK);

    assert_int_equal(io_fault_total() - before, 10);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 2);
}

/* a, a/b and a/b/c: the parents of all, whoever made them, once. */
static void put__syncs_each_new_folder_once(void **state)
{
    struct kit *k = *state;
    unsigned syncs;

    assert_int_equal(kit_put(k, "a/b/c/1", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC), 3 + 2);
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "a/b/d/1", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 1 + 2);
    kit_reopen(k, NULL); /* another process knows nothing */
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "a/b/d/2", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 3 + 2);
}

static void put__forgets_old_folders_and_stays_right(void **state)
{
    struct kit *k = *state;
    unsigned fds;
    char key[40];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2 * LOCAL_KNOWN_DIRS; i++) {
            (void)snprintf(key, sizeof(key), "f%d/%d", i, round);
            assert_int_equal(kit_put(k, key, key, IF_ABSENT), OK);
        }
        if (round == 0)
            fds = scratch_open_fds();
    }
    assert_int_equal(scratch_open_fds(), fds);
    kit_holds(k, "f0/1", "f0/1");
}

/* A folder moved away must not go on receiving what belongs in the new one. */
static void put__follows_the_path_not_the_old_folder(void **state)
{
    struct kit *k = *state;
    char *moved = strdup(scratch_join(k->base, "moved"));

    assert_int_equal(kit_put(k, "a/b/1", "one", IF_ABSENT), OK);
    assert_int_equal(rename(scratch_join(k->root, "a"), moved), 0);
    assert_int_equal(kit_put(k, "a/b/2", "two", IF_ABSENT), OK);

    kit_holds(k, "a/b/2", "two");
    assert_int_equal(kit_head(k, "a/b/1", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(scratch_count(scratch_join(moved, "b")), 1);
    free(moved);
}

struct move {
    struct kit *k;
    const char *to;
    bool done;
};

static void move_folder(void *ctx)
{
    struct move *m = ctx;

    if (!m->done)
        assert_int_equal(rename(scratch_join(m->k->root, "a"), m->to), 0);
    m->done = true;
}

/* Nor one that is moved away while the put waits for its bytes. */
static void put__finds_its_folder_before_the_link(void **state)
{
    struct kit *k = *state;
    char *moved = strdup(scratch_join(k->base, "moved"));
    struct move m = {.k = k, .to = moved};

    if (IO_UNNAMED == 0)
        skip(); /* a name is there before, and the walk before that */
    assert_int_equal(kit_put(k, "a/b/1", "one", IF_ABSENT), OK);
    io_fault_before(IO_FSYNC, move_folder, &m);
    assert_int_equal(kit_put(k, "a/b/2", "two", IF_ABSENT), OK);
    io_fault_before(IO_FSYNC, NULL, NULL);

    assert_true(m.done);
    kit_holds(k, "a/b/2", "two");
    assert_int_equal(scratch_count(scratch_join(moved, "b")), 1);
    free(moved);
}

/* The old folder's disk may be full or dead where the new one's is not. */
static void put__walks_again_when_its_folder_takes_nothing(void **state)
{
    struct kit *k = *state;
    char *moved = strdup(scratch_join(k->base, "moved"));
    struct move m = {.k = k, .to = moved};

    if (IO_UNNAMED == 0)
        skip(); /* the walk is before that */
    assert_int_equal(kit_put(k, "a/b/1", "one", IF_ABSENT), OK);
    move_folder(&m);
    io_fault_set(IO_PWRITE, 1, 1, ENOSPC);
    assert_int_equal(kit_put(k, "a/b/2", "two", IF_ABSENT), OK);
    kit_holds(k, "a/b/2", "two");

    io_fault_set(IO_FSYNC, 1, 1, EIO);
    assert_int_not_equal(kit_put(k, "a/b/3", "three", IF_ABSENT), OK);
    assert_null(dirs_known(k->store, "a/b")); /* so that the next one walks */
    assert_int_equal(kit_put(k, "a/b/3", "three", IF_ABSENT), OK);
    free(moved);
}

static void nothing_to_be_seen(void *ctx)
{
    struct move *m = ctx;

    assert_int_equal(scratch_count(scratch_join(m->to, "b")), 1);
    m->done = true;
}

/* A temporary that has a name is made where a walk has led. */
static void put__shows_nothing_in_a_folder_moved_away(void **state)
{
    struct kit *k = *state;
    char *moved = strdup(scratch_join(k->base, "moved"));
    struct move m = {.k = k, .to = moved};

    assert_int_equal(kit_put(k, "a/b/1", "one", IF_ABSENT), OK);
    move_folder(&m);
    io_fault_before(IO_PWRITE, nothing_to_be_seen, &m);
    for (int i = 0; i < 2; i++) {
        m.done = false;
        assert_int_equal(kit_put(k, "a/b/2", "two", i == 0 ? 0 : IF_ABSENT),
                         i == 0 ? OK : PERSIST_BACKEND_EXISTS);
        assert_true(m.done);
    }
    io_fault_before(IO_PWRITE, NULL, NULL);
    free(moved);
}

static unsigned walks(struct kit *k, struct local_dir *dir, uint64_t since_ns)
{
    unsigned before = io_fault_calls(IO_FSTAT);
    int root_fd = -1;

    assert_int_equal(root_get(k->store, true, &root_fd, &k->error), OK);
    assert_int_equal(dirs_find(dir, root_fd, since_ns), 0);
    return io_fault_calls(IO_FSTAT) - before;
}

/* One walk is enough for all who had begun before it, and for nobody else. */
static void put__shares_the_walk_of_others(void **state)
{
    struct kit *k = *state;
    struct local_dir *dir = NULL;
    uint64_t first_ns, second_ns;
    int root_fd = -1;

    assert_int_equal(folder_for(k->store, "a/b/key", &dir, &k->error), OK);
    first_ns = os_monotonic_ns();
    second_ns = os_monotonic_ns();
    assert_int_equal(walks(k, dir, first_ns), 1);
    assert_int_equal(walks(k, dir, second_ns), 0);
    assert_int_equal(walks(k, dir, first_ns), 0);
    assert_int_equal(walks(k, dir, os_monotonic_ns()), 1);
    assert_int_equal(
        rename(scratch_join(k->root, "a"), scratch_join(k->base, "moved")), 0);
    assert_int_equal(root_get(k->store, true, &root_fd, &k->error), OK);
    assert_int_equal(dirs_find(dir, root_fd, os_monotonic_ns()), -ENOENT);
    dirs_release(k->store, dir);
}

/* The same path, and perhaps the same inode number, but a name that nobody has
 * synced yet. */
static void put__syncs_a_folder_that_another_process_made_anew(void **state)
{
    struct kit *k = *state;
    unsigned syncs;

    assert_int_equal(kit_put(k, "a/b/1", "x", IF_ABSENT), OK);
    assert_int_equal(kit_delete(k, "a/b/1", NULL), OK);
    assert_int_equal(rmdir(scratch_join(k->root, "a/b")), 0);
    assert_int_equal(mkdir(scratch_join(k->root, "a/b"), 0700), 0);
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_put(k, "a/b/1", "x", IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 1 + 2);
}

struct vanish {
    struct kit *k;
    int times;
};

static void remove_folder(void *ctx)
{
    struct vanish *v = ctx;

    if (v->times > 0 && rmdir(scratch_join(v->k->root, "a/b")) == 0)
        v->times--;
}

static void put__walks_again_when_its_folder_vanishes(void **state)
{
    static const enum io_kind moments[] = {IO_LINKAT, IO_PWRITE, IO_FSTATAT};
    struct kit *k = *state;

    if (IO_UNNAMED == 0)
        skip();
    for (size_t i = 0; i < 3; i++) {
        struct vanish v = {.k = k, .times = 3};
        uint32_t flags = i == 2 ? 0 : IF_ABSENT;

        /* A replacement's temporary keeps its folder; O_TMPFILE does not. */
        if (i == 2)
            v.times = 0;
        io_fault_before(moments[i], remove_folder, &v);
        assert_int_equal(kit_put(k, "a/b/1", "x", flags), OK);
        assert_int_equal(v.times, 0);
        kit_holds(k, "a/b/1", "x");
        io_fault_before(moments[i], NULL, NULL);
        assert_int_equal(kit_delete(k, "a/b/1", NULL), OK);
    }
    {
        struct vanish v = {.k = k, .times = 100000};

        io_fault_before(IO_LINKAT, remove_folder, &v);
        assert_int_equal(kit_put(k, "a/b/1", "x", IF_ABSENT),
                         PERSIST_BACKEND_TRANSIENT);
    }
}

static void put__refuses_hostile_keys(void **state)
{
    static const char *const keys[] = {
        "",
        "/",
        "..",
        "../x",
        "a/../x",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a/./b",
        ".x",
        "a/.x",
        "A",
        "a b",
        "a\nb",
        "a\\b",
        "\xc3\xa4",
        "a:b",
        "a/.persist-probe",
        ".persist-tmp.1",
        "-rf/../x",
        "a/..",
    };
    struct kit *k = *state;
    char path[LOCAL_KEY_MAX + 300];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(kit_put(k, keys[i], "x", IF_ABSENT),
                         PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_put(k, keys[i], "x", 0), PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_head(k, keys[i], NULL), PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_delete(k, keys[i], NULL), PERSIST_BACKEND_INVALID);
    }
    memset(path, 'k', sizeof(path));
    path[256] = '\0';
    assert_int_equal(kit_put(k, path, "x", IF_ABSENT), PERSIST_BACKEND_INVALID);
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 200 == 199 ? '/' : 'k';
    path[LOCAL_KEY_MAX + 1] = '\0';
    assert_int_equal(kit_put(k, path, "x", IF_ABSENT), PERSIST_BACKEND_INVALID);
    assert_int_equal(scratch_count(k->root), 0);
    path[LOCAL_KEY_MAX] = '\0';
    assert_int_equal(kit_put(k, path, "x", IF_ABSENT), OK);
    kit_holds(k, path, "x");
}

static void put__refuses_wrong_bytes_and_too_many(void **state)
{
    struct kit *k = *state;
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .flags = IF_ABSENT,
                                            .key = "a",
                                            .data = "abc",
                                            .len = 3,
                                            .present =
                                                PERSIST_BACKEND_HAS_CRC32C,
                                            .crc32c = 1,
                                            .content_type = ""};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};

    assert_int_equal(k->ops->put(k->store, &k->call, &args, &result, &k->error),
                     PERSIST_BACKEND_CORRUPT);
    args.len = WRITEBACK_MAX + 1;
    args.present = 0;
    assert_int_equal(k->ops->put(k->store, &k->call, &args, &result, &k->error),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(scratch_count(k->root), 0);
}

static void put__tells_what_stands_in_the_way(void **state)
{
    struct kit *k = *state;

    scratch_write(k->base, "outside", "mine");
    assert_int_equal(symlink("../outside", scratch_join(k->root, "link")), 0);
    assert_int_equal(symlink("..", scratch_join(k->root, "up")), 0);
    assert_int_equal(mkfifo(scratch_join(k->root, "fifo"), 0600), 0);
    assert_int_equal(kit_put(k, "dir/1", "x", IF_ABSENT), OK);

    for (uint32_t flags = 0; flags <= IF_ABSENT; flags++) {
        assert_int_equal(kit_put(k, "link", "x", flags),
                         PERSIST_BACKEND_CORRUPT);
        assert_non_null(strstr(k->error.message, "symbolic link in the store"));
        assert_int_equal(kit_put(k, "up/new", "x", flags),
                         PERSIST_BACKEND_CORRUPT);
        assert_non_null(strstr(k->error.message, "symbolic link in the store"));
        assert_int_equal(kit_put(k, "fifo", "x", flags),
                         PERSIST_BACKEND_CORRUPT);
        assert_int_equal(kit_put(k, "fifo/x", "x", flags),
                         PERSIST_BACKEND_CORRUPT);
        assert_int_equal(kit_put(k, "dir", "x", flags),
                         PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_put(k, "dir/1/2", "x", flags),
                         PERSIST_BACKEND_INVALID);
    }
    assert_int_equal(scratch_count(k->base), 2);
    {
        char *kept = scratch_read(k->base, "outside");

        assert_string_equal(kept, "mine");
        free(kept);
    }
}

static void put__sets_the_modes_asked_for(void **state)
{
    static const char *const options[] = {"dir_mode=0750", "file_mode=0640",
                                          NULL};
    struct kit *k = *state;
    mode_t old = umask(077);
    struct stat st;

    kit_reopen(k, options);
    assert_int_equal(kit_put(k, "a/1", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "a/2", "x", 0), OK);
    umask(old);
    assert_int_equal(stat(scratch_join(k->root, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(stat(scratch_join(k->root, "a/1"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(scratch_join(k->root, "a/2"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void put__stops_before_the_link_never_after(void **state)
{
    struct kit *k = *state;

    for (int looks = 0; looks < 4; looks++) {
        atomic_store(&kit_cancel_after, looks);
        int32_t rc = kit_put(k, "a", "x", IF_ABSENT);

        atomic_store(&kit_cancel_after, -1);
        if (rc == OK)
            break;
        assert_int_equal(rc, PERSIST_BACKEND_CANCELLED);
        assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
        assert_int_not_equal(looks, 3);
    }
    kit_holds(k, "a", "x");

    k->call.present = PERSIST_BACKEND_CALL_DEADLINE;
    k->call.deadline_ns = 100;
    atomic_store(&kit_now, 100);
    assert_int_equal(kit_put(k, "b", "x", IF_ABSENT), PERSIST_BACKEND_TIMEOUT);
    atomic_store(&kit_now, 99);
    assert_int_equal(kit_put(k, "b", "x", IF_ABSENT), OK);
}

static void put__says_not_durable_when_the_folder_cannot_be_synced(void **state)
{
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "a/1", "x", IF_ABSENT), OK);
    io_fault_set(IO_FSYNC, 2, 1, EIO);
    assert_int_equal(kit_put(k, "a/2", "x", IF_ABSENT),
                     PERSIST_BACKEND_NOT_DURABLE);
    assert_int_equal(k->error.os_errno, EIO);
    kit_holds(k, "a/2", "x");
}

/* ----------------------------------------------------------------- threads */

struct racer {
    struct kit *k;
    pthread_t thread;
    const char *key;
    int32_t rc;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .flags = IF_ABSENT,
                                            .key = r->key,
                                            .data = r->key,
                                            .len = strlen(r->key),
                                            .content_type = ""};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};

    r->rc = r->k->ops->put(r->k->store, &r->k->call, &args, &result, &error);
    return NULL;
}

static void put__has_one_winner_and_new_folders_for_all(void **state)
{
    struct kit *k = *state;
    struct racer racers[16];
    char keys[16][24];
    int winners = 0;

    for (int own = 0; own < 2; own++) {
        for (int i = 0; i < 16; i++) {
            (void)snprintf(keys[i], sizeof(keys[i]), "n%d/m/o/%d", own,
                           own ? i : 0);
            racers[i] = (struct racer){.k = k, .key = keys[i]};
            assert_int_equal(
                pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        winners = 0;
        for (int i = 0; i < 16; i++) {
            assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
            winners += racers[i].rc == OK;
            assert_true(racers[i].rc == OK ||
                        racers[i].rc == PERSIST_BACKEND_EXISTS);
        }
        assert_int_equal(winners, own ? 16 : 1);
    }
    kit_holds(k, "n0/m/o/0", "n0/m/o/0");
}

/* ---------------------------------------------------------------- put_many */

#define MANY 300 /* more than a batch */

struct many {
    struct persist_backend_put_args items[MANY];
    char keys[MANY][40];
    int32_t statuses[MANY];
};

static int32_t put_many(struct kit *k, struct many *m, uint32_t n,
                        uint32_t n_folders, uint32_t flags)
{
    struct persist_backend_put_many_args args = {.struct_size = sizeof(args),
                                                 .n_items = n,
                                                 .item_size =
                                                     sizeof(m->items[0]),
                                                 .items = m->items};
    struct persist_backend_put_many_result result = {.struct_size =
                                                         sizeof(result),
                                                     .n_statuses = n,
                                                     .statuses = m->statuses};

    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(m->keys[i], sizeof(m->keys[i]), "f%u/%u", i % n_folders,
                       i);
        m->items[i] = (struct persist_backend_put_args){
            .struct_size = sizeof(m->items[i]),
            .flags = flags,
            .key = m->keys[i],
            .data = m->keys[i],
            .len = strlen(m->keys[i]),
            .present = PERSIST_BACKEND_HAS_CRC32C,
            .crc32c = kit_crc(m->keys[i], strlen(m->keys[i])),
            .content_type = ""};
        m->statuses[i] = PERSIST_BACKEND_INTERNAL;
    }
    return k->ops->put_many(k->store, &k->call, &args, &result, &k->error);
}

static void put_many__stores_all_for_one_sync(void **state)
{
    static struct many m;
    struct kit *k = *state;

    if (io_fault_lacks(IO_SYNCFS))
        skip();
    assert_int_equal(kit_put(k, "f0/x", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "f1/x", "x", IF_ABSENT), OK);
    unsigned syncs = io_fault_calls(IO_FSYNC);

    posix_io_force_syncfs_reports(1);
    assert_int_equal(put_many(k, &m, 100, 2, IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_SYNCFS), 1);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 2); /* the folders */
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(m.statuses[i], OK);
        kit_holds(k, m.keys[i], m.keys[i]);
    }
    assert_int_equal(put_many(k, &m, MANY, 7, 0), OK);
    for (uint32_t i = 0; i < MANY; i++)
        kit_holds(k, m.keys[i], m.keys[i]);
    assert_int_equal(scratch_count_temps(k->root), 0);
}

static void put_many__syncs_each_where_syncfs_is_silent(void **state)
{
    static struct many m;
    struct kit *k = *state;

    posix_io_force_syncfs_reports(0);
    assert_int_equal(put_many(k, &m, 20, 1, IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_SYNCFS), 0);
    assert_int_equal(io_fault_calls(IO_FSYNC), 1 + 20 + 1);
    io_fault_set(IO_FSYNC, 5, 1, EIO);
    assert_int_equal(put_many(k, &m, 20, 1, 0), OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(m.statuses[i], i == 4 ? PERSIST_BACKEND_IO : OK);
}

/* As unforced: where syncfs would leave something unsaid, a sync for each. */
static void put_many__asks_the_file_system_for_its_sync(void **state)
{
    static struct many m;
    struct kit *k = *state;
    int root = scratch_open_dir(k->root);
    bool whole = posix_io_syncfs_reports(root);

    close(root);
    assert_int_equal(put_many(k, &m, 20, 1, IF_ABSENT), OK);
    assert_int_equal(io_fault_calls(IO_SYNCFS), whole ? 1 : 0);
    assert_int_equal(io_fault_calls(IO_FSYNC), 1 + (whole ? 0 : 20) + 1);
}

/* Which descriptor is synced, and what was written before it was opened. */
static const struct posix_io *below;
static int opened_fd, synced_fd;
static unsigned written_before;

static int note_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    int fd = below->openat(dir_fd, path, flags, mode);

    if ((flags & O_DIRECTORY) != 0 && (flags & IO_UNNAMED) != IO_UNNAMED) {
        opened_fd = fd;
        written_before = io_fault_calls(IO_PWRITE);
    }
    return fd;
}

static int note_syncfs(int fd)
{
    synced_fd = fd;
    return below->syncfs(fd);
}

/* The kernel tells a descriptor once what was lost since it was opened: one
 * that others sync too, or that came later, might not be told. */
static void put_many__syncs_by_a_descriptor_of_its_own(void **state)
{
    static struct many m;
    struct kit *k = *state;
    struct posix_io noting = *posix_io;

    if (io_fault_lacks(IO_SYNCFS))
        skip();
    posix_io_force_syncfs_reports(1);
    assert_int_equal(kit_put(k, "f0/x", "x", IF_ABSENT), OK);
    io_fault_clear();
    below = posix_io;
    noting.openat = note_openat;
    noting.syncfs = note_syncfs;
    posix_io = &noting;
    opened_fd = synced_fd = -1;
    written_before = 1;
    assert_int_equal(put_many(k, &m, 20, 1, IF_ABSENT), OK);
    posix_io = below;
    assert_true(synced_fd >= 0);
    assert_int_equal(synced_fd, opened_fd);
    assert_int_equal(written_before, 0);
}

static void put_many__publishes_nothing_that_syncfs_may_have_lost(void **state)
{
    static struct many m;
    struct kit *k = *state;

    if (io_fault_lacks(IO_SYNCFS))
        skip();
    posix_io_force_syncfs_reports(1);
    io_fault_set(IO_SYNCFS, 1, 1, EIO);
    assert_int_equal(put_many(k, &m, 10, 3, IF_ABSENT), OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(m.statuses[i], PERSIST_BACKEND_IO);
        assert_int_equal(kit_head(k, m.keys[i], NULL),
                         PERSIST_BACKEND_NOT_FOUND);
    }
    assert_int_equal(put_many(k, &m, 10, 3, IF_ABSENT), OK);
    assert_int_equal(m.statuses[9], OK);
}

static void put_many__has_a_status_for_each(void **state)
{
    static struct many m;
    struct kit *k = *state;

    if (io_fault_lacks(IO_SYNCFS))
        skip();
    posix_io_force_syncfs_reports(1);
    assert_int_equal(kit_put(k, "f0/0", "taken", IF_ABSENT), OK);
    assert_int_equal(symlink("..", scratch_join(k->root, "f2")), 0);
    assert_int_equal(mkdir(scratch_join(k->root, "f0/3"), 0700), 0);
    assert_int_equal(put_many(k, &m, 6, 3, IF_ABSENT), OK);
    assert_int_equal(m.statuses[0], PERSIST_BACKEND_EXISTS);
    assert_int_equal(m.statuses[1], OK);
    assert_int_equal(m.statuses[2], PERSIST_BACKEND_CORRUPT);
    assert_int_equal(m.statuses[3], PERSIST_BACKEND_INVALID);
    assert_int_equal(m.statuses[4], OK);
    assert_int_equal(m.statuses[5], PERSIST_BACKEND_CORRUPT);
    kit_holds(k, "f0/0", "taken");
    assert_int_equal(put_many(k, &m, 6, 3, 0), OK);
    assert_int_equal(m.statuses[0], OK);
    assert_int_equal(m.statuses[3], PERSIST_BACKEND_INVALID);
    kit_holds(k, "f0/0", "f0/0");
}

static void put_many__tells_not_durable_folder_by_folder(void **state)
{
    static struct many m;
    struct kit *k = *state;

    if (io_fault_lacks(IO_SYNCFS))
        skip();
    posix_io_force_syncfs_reports(1);
    assert_int_equal(put_many(k, &m, 4, 2, IF_ABSENT), OK);
    io_fault_set(IO_FSYNC, 1, 1, EIO); /* that of f0 */
    assert_int_equal(put_many(k, &m, 4, 2, 0), OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(m.statuses[i],
                         i % 2 == 0 ? PERSIST_BACKEND_NOT_DURABLE : OK);
}

static void put_many__goes_on_when_a_folder_vanishes(void **state)
{
    static struct many m;
    struct kit *k = *state;

    for (int stage = 0; stage < 2; stage++) {
        /* The calls that fail in a removed folder: an open, or all three ways
         * of giving the second file its name. */
        io_fault_set(stage ? IO_LINKAT : IO_OPENAT, 2, stage ? 3 : 1, ENOENT);
        assert_int_equal(put_many(k, &m, 3, 1, IF_ABSENT), OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(m.statuses[i], OK);
            kit_holds(k, m.keys[i], m.keys[i]);
            assert_int_equal(kit_delete(k, m.keys[i], NULL), OK);
        }
    }
}

static void put_many__refuses_what_put_refuses(void **state)
{
    static struct many m;
    struct kit *k = *state;
    struct persist_backend_put_many_args args = {.struct_size = sizeof(args),
                                                 .n_items = 3,
                                                 .item_size =
                                                     sizeof(m.items[0]),
                                                 .items = m.items};
    struct persist_backend_put_many_result result = {
        .struct_size = sizeof(result), .n_statuses = 3, .statuses = m.statuses};

    assert_int_equal(put_many(k, &m, 3, 1, IF_ABSENT), OK);
    m.items[0].key = "../x";
    m.items[1].crc32c ^= 1;
    m.items[2].len = WRITEBACK_MAX + 1;
    assert_int_equal(
        k->ops->put_many(k->store, &k->call, &args, &result, &k->error), OK);
    assert_int_equal(m.statuses[0], PERSIST_BACKEND_INVALID);
    assert_int_equal(m.statuses[1], PERSIST_BACKEND_CORRUPT);
    assert_int_equal(m.statuses[2], PERSIST_BACKEND_INVALID);
    result.n_statuses = 2;
    assert_int_equal(
        k->ops->put_many(k->store, &k->call, &args, &result, &k->error),
        PERSIST_BACKEND_INVALID);
    for (int looks = 0; looks < 4; looks++) {
        atomic_store(&kit_cancel_after, looks);
        assert_int_equal(put_many(k, &m, 3, 1, 0), OK);
        atomic_store(&kit_cancel_after, -1);
        assert_int_equal(m.statuses[2], PERSIST_BACKEND_CANCELLED);
    }
}

int main(void)
{
#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown),            \
    {                                                                          \
#test " (by components)", test, kit_setup_fallback, kit_teardown, NULL \
    }
#define T2(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(put__stores_once_with_if_absent),
        T2(put__steady_path_is_a_bare_write_and_four_cheap_calls),
        T(put__syncs_each_new_folder_once),
        T(put__forgets_old_folders_and_stays_right),
        T(put__follows_the_path_not_the_old_folder),
        T(put__syncs_a_folder_that_another_process_made_anew),
        T(put__finds_its_folder_before_the_link),
        T(put__walks_again_when_its_folder_takes_nothing),
        T(put__shows_nothing_in_a_folder_moved_away),
        T(put__shares_the_walk_of_others),
        T(put__walks_again_when_its_folder_vanishes),
        T(put__refuses_hostile_keys),
        T(put__refuses_wrong_bytes_and_too_many),
        T(put__tells_what_stands_in_the_way),
        T(put__sets_the_modes_asked_for),
        T(put__stops_before_the_link_never_after),
        T(put__says_not_durable_when_the_folder_cannot_be_synced),
        T(put__has_one_winner_and_new_folders_for_all),
        T(put_many__stores_all_for_one_sync),
        T(put_many__syncs_each_where_syncfs_is_silent),
        T(put_many__asks_the_file_system_for_its_sync),
        T(put_many__syncs_by_a_descriptor_of_its_own),
        T(put_many__publishes_nothing_that_syncfs_may_have_lost),
        T(put_many__has_a_status_for_each),
        T(put_many__tells_not_durable_folder_by_folder),
        T(put_many__goes_on_when_a_folder_vanishes),
        T(put_many__refuses_what_put_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
