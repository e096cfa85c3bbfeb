/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: against a brute-force model over random trees, and what they cost
 * on the large ones.
 */
#include "testkit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/io_fault.h"
#include "posix/scratch.h"

/* ------------------------------------------------------------------- model */

#define MAX_KEYS 200

struct model {
    char keys[MAX_KEYS][64];
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* What the ABI says a listing is, said in the dullest way. */
static void model_list(const struct model *m, const char *prefix,
                       const char *after, bool by_folder, struct kit_list *out)
{
    out->n = 0;
    out->entries = calloc(MAX_KEYS, sizeof(*out->entries));
    for (size_t i = 0; i < m->n; i++) {
        char shown[64];
        const char *slash;

        if (strncmp(m->keys[i], prefix, strlen(prefix)) != 0)
            continue;
        (void)snprintf(shown, sizeof(shown), "%s", m->keys[i]);
        slash = strchr(m->keys[i] + strlen(prefix), '/');
        if (by_folder && slash != NULL)
            shown[slash - m->keys[i] + 1] = '\0';
        if (strcmp(shown, after) <= 0)
            continue;
        if (out->n > 0 && strcmp(out->entries[out->n - 1].key, shown) == 0)
            continue;
        (void)snprintf(out->entries[out->n].key, LOCAL_KEY_CAP, "%s", shown);
        out->entries[out->n++].folder = by_folder && slash != NULL;
    }
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Names that differ around the slash: '-' and '.' are below it, '0' above. */
static const char *const names[] = {"a",  "a-", "a.", "a0",  "a-b", "a.b",
                                    "ab", "b",  "-",  "%2e", "_",   "0"};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static void random_key(uint64_t *seed, char out[64])
{
    size_t depth = 1 + next_random(seed) % 4;

    out[0] = '\0';
    for (size_t i = 0; i < depth; i++)
        (void)snprintf(out + strlen(out), 64 - strlen(out), "%s%s",
                       i == 0 ? "" : "/", names[next_random(seed) % N_NAMES]);
}

static void make_model(struct kit *k, struct model *m, uint64_t *seed, size_t n)
{
    m->n = 0;
    for (size_t i = 0; i < n; i++) {
        char *key = m->keys[m->n];

        random_key(seed, key);
        /* A file where a folder is, or twice the same: not in this tree. */
        if (kit_put(k, key, "x", IF_ABSENT) == OK)
            m->n++;
    }
    qsort(m->keys, m->n, sizeof(m->keys[0]), by_text);
}

static void check_pages(struct kit *k, const struct model *m,
                        const char *prefix, const char *after, bool by_folder,
                        uint32_t limit)
{
    struct kit_list want = {0}, got = {0};
    char start[LOCAL_KEY_CAP];
    size_t at = 0;

    model_list(m, prefix, after, by_folder, &want);
    (void)snprintf(start, sizeof(start), "%s", after);
    do {
        assert_int_equal(
            kit_list(k, prefix, start, by_folder ? "/" : "", limit, &got), OK);
        assert_true(got.n <= limit);
        for (size_t i = 0; i < got.n; i++, at++) {
            assert_true(at < want.n);
            assert_string_equal(got.entries[i].key, want.entries[at].key);
            assert_int_equal(got.entries[i].folder, want.entries[at].folder);
            if (!got.entries[i].folder)
                assert_int_equal(got.entries[i].size, 1);
        }
        assert_int_equal(got.more, at < want.n);
        if (got.n > 0)
            (void)snprintf(start, sizeof(start), "%s",
                           got.entries[got.n - 1].key);
    } while (got.more);
    assert_int_equal(at, want.n);
    kit_list_finish(&want);
    kit_list_finish(&got);
}

static void list__is_what_brute_force_gives(void **state)
{
    static struct model m;
    struct kit *k = *state;
    uint64_t seed = 20240607;
    char prefix[64], after[64];

    for (int tree = 0; tree < 4; tree++) {
        make_model(k, &m, &seed, tree == 0 ? 5 : 120);
        for (int query = 0; query < 300; query++) {
            prefix[0] = after[0] = '\0';
            if (query % 4 != 0)
                random_key(&seed, prefix);
            if (query % 4 == 1)
                prefix[next_random(&seed) % (strlen(prefix) + 1)] = '\0';
            if (query % 3 == 0)
                random_key(&seed, after);
            if (query % 6 == 0)
                (void)snprintf(after + strlen(after), 3, "%s",
                               query % 4 == 0 ? "/" : "0");
            check_pages(k, &m, prefix, after, query % 2 == 0,
                        1 + next_random(&seed) % 20);
        }
        for (size_t i = 0; i < m.n; i++) {
            check_pages(k, &m, "", m.keys[i], i % 2 == 0, 50);
            assert_int_equal(kit_delete(k, m.keys[i], NULL), OK);
        }
        scratch_remove_tree(k->root);
        assert_int_equal(mkdir(k->root, 0700), 0);
        kit_reopen(k, NULL);
    }
}

static void list__shows_keys_and_nothing_else(void **state)
{
    struct kit *k = *state;
    struct kit_list l = {0};

    assert_int_equal(kit_put(k, "b/object", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "b/c/object", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, ".persist-probe", "x", IF_ABSENT), OK);
    scratch_write(k->root, ".persist-tmp.0123", "x");
    scratch_write(k->root, ".hidden", "x");
    scratch_write(k->root, "README.txt", "x");
    scratch_write(k->root, "with space", "x");
    assert_int_equal(mkdir(scratch_join(k->root, "lost+found"), 0700), 0);
    scratch_write(k->root, "lost+found/a", "x");
    assert_int_equal(mkdir(scratch_join(k->root, ".git"), 0700), 0);
    scratch_write(k->root, ".git/a", "x");
    assert_int_equal(symlink("b", scratch_join(k->root, "a-link")), 0);
    assert_int_equal(symlink("b/object", scratch_join(k->root, "link")), 0);
    assert_int_equal(mkfifo(scratch_join(k->root, "fifo"), 0600), 0);

    assert_int_equal(kit_list(k, "", "", "", 100, &l), OK);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.entries[0].key, "b/c/object");
    assert_string_equal(l.entries[1].key, "b/object");
    assert_int_equal(kit_list(k, "", "", "/", 100, &l), OK);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.entries[0].key, "b/");
    assert_int_equal(kit_list(k, "b/object/", "", "", 100, &l), OK);
    assert_int_equal(l.n, 0);
    assert_int_equal(kit_list(k, "a-link/", "", "", 100, &l),
                     PERSIST_BACKEND_CORRUPT);
    kit_list_finish(&l);
}

static void list__refuses_nonsense(void **state)
{
    static const char *const prefixes[] = {"..",  "../", "/",    "a//", ".x",
                                           "a/.", "A",   "a/..", "a b"};
    struct kit *k = *state;
    struct kit_list l = {0};
    char longest[LOCAL_KEY_MAX + 2];

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        assert_int_equal(kit_list(k, prefixes[i], "", "", 10, &l),
                         PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_list(k, "", "", "-", 10, &l), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_list(k, "", "", "", 0, &l), PERSIST_BACKEND_INVALID);
    memset(longest, 'a', sizeof(longest));
    longest[LOCAL_KEY_MAX + 1] = '\0';
    assert_int_equal(kit_list(k, longest, "", "", 10, &l),
                     PERSIST_BACKEND_INVALID);
    kit_list_finish(&l);
}

static void list__ends_when_told(void **state)
{
    struct kit *k = *state;
    struct kit_list l = {.stop_at = 2};
    char key[24];

    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "%d/x", i);
        assert_int_equal(kit_put(k, key, "x", IF_ABSENT), OK);
    }
    assert_int_equal(kit_list(k, "", "", "", 100, &l), OK);
    assert_int_equal(l.n, 2);
    assert_int_equal(kit_list(k, "", "", "/", 100, &l), OK);
    assert_int_equal(l.n, 2);
    kit_list_finish(&l);
}

static void list__stops_when_cancelled(void **state)
{
    struct kit *k = *state;
    struct kit_list l = {0};
    char name[24];
    int stopped = 0;

    assert_int_equal(kit_put(k, "f/x", "x", IF_ABSENT), OK);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "f/%d", i);
        scratch_write(k->root, name, "");
    }
    for (int looks = 0; looks < 30; looks++) {
        int32_t rc;

        atomic_store(&kit_cancel_after, looks);
        rc = kit_list(k, "", "", "", 10000, &l);
        atomic_store(&kit_cancel_after, -1);
        if (rc == OK)
            break;
        assert_int_equal(rc, PERSIST_BACKEND_CANCELLED);
        stopped++;
    }
    assert_in_range(stopped, 10, 29);
    kit_list_finish(&l);
}

static void kind__is_looked_up_where_the_directory_does_not_tell(void **state)
{
    struct kit *k = *state;
    int fd = scratch_open_dir(k->root);
    enum folder_kind kind;

    scratch_write(k->root, "file", "x");
    assert_int_equal(mkdirat(fd, "dir", 0700), 0);
    assert_int_equal(symlinkat("file", fd, "link"), 0);
    assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
    assert_true(folder_kind_of(fd, "file", DT_UNKNOWN, &kind));
    assert_int_equal(kind, FOLDER_FILE);
    assert_true(folder_kind_of(fd, "dir", DT_UNKNOWN, &kind));
    assert_int_equal(kind, FOLDER_DIR);
    assert_false(folder_kind_of(fd, "link", DT_UNKNOWN, &kind));
    assert_false(folder_kind_of(fd, "fifo", DT_UNKNOWN, &kind));
    assert_false(folder_kind_of(fd, "none", DT_UNKNOWN, &kind));
    assert_false(folder_kind_of(fd, "file", DT_LNK, &kind));
    close(fd);
}

static int32_t move_away(void *ctx, const struct persist_backend_entry *entry)
{
    struct kit *k = ctx;

    (void)entry;
    k->host_call++; /* counts */
    (void)rename(scratch_join(k->root, "d"), scratch_join(k->base, "moved"));
    return 0;
}

/* The folders it has closed on the way down are not there on the way up. */
static void list__survives_that_its_way_back_is_gone(void **state)
{
    struct kit *k = *state;
    struct persist_backend_list_args args = {.struct_size = sizeof(args),
                                             .limit = 100,
                                             .prefix = "",
                                             .start_after = "",
                                             .delimiter = "",
                                             .emit = move_away,
                                             .emit_ctx = k};
    struct persist_backend_list_result result = {.struct_size = sizeof(result)};
    char key[400] = "d";

    for (int i = 0; i < 50; i++)
        (void)snprintf(key + strlen(key), 8, "/d");
    (void)snprintf(key + strlen(key), 8, "/a");
    assert_int_equal(kit_put(k, key, "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "d/d/z", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "z", "x", IF_ABSENT), OK);
    assert_int_equal(
        k->ops->list(k->store, &k->call, &args, &result, &k->error), OK);
    assert_int_equal(k->host_call, 2); /* the deepest, and z of the root */
}

static void list__goes_deeper_than_it_keeps_open(void **state)
{
    struct kit *k = *state;
    struct kit_list l = {0};
    char key[400] = "";

    for (int i = 0; i < 100; i++) {
        char file[420];

        (void)snprintf(key + strlen(key), 8, "%sd", i == 0 ? "" : "/");
        (void)snprintf(file, sizeof(file), "%s/a", key);
        assert_int_equal(kit_put(k, file, "x", IF_ABSENT), OK);
        (void)snprintf(file, sizeof(file), "%s/z", key);
        assert_int_equal(kit_put(k, file, "x", IF_ABSENT), OK);
    }
    assert_int_equal(kit_list(k, "", "", "", 1000, &l), OK);
    assert_int_equal(l.n, 200);
    for (size_t i = 1; i < l.n; i++)
        assert_true(strcmp(l.entries[i - 1].key, l.entries[i].key) < 0);
    kit_list_finish(&l);
}

/* --------------------------------------------------------------- vanishing */

static int32_t remove_the_rest(void *ctx,
                               const struct persist_backend_entry *entry)
{
    struct kit *k = ctx;

    (void)entry;
    scratch_remove_tree(scratch_join(k->root, "b"));
    scratch_remove_tree(scratch_join(k->root, "a/z"));
    (void)unlink(scratch_join(k->root, "a/y"));
    (void)unlink(scratch_join(k->root, "c"));
    (void)rename(scratch_join(k->root, "d"), scratch_join(k->base, "d"));
    (void)symlink("../d", scratch_join(k->root, "d"));
    k->host_call++; /* counts */
    return 0;
}

static void list__passes_over_what_vanishes(void **state)
{
    static const char *const keys[] = {"a/x", "a/y", "a/z/1", "b/1",
                                       "c",   "d/1", "e"};
    struct kit *k = *state;
    struct persist_backend_list_args args = {.struct_size = sizeof(args),
                                             .limit = 100,
                                             .prefix = "",
                                             .start_after = "",
                                             .delimiter = "",
                                             .emit = remove_the_rest,
                                             .emit_ctx = k};
    struct persist_backend_list_result result = {.struct_size = sizeof(result)};

    for (size_t i = 0; i < 7; i++)
        assert_int_equal(kit_put(k, keys[i], "x", IF_ABSENT), OK);
    assert_int_equal(
        k->ops->list(k->store, &k->call, &args, &result, &k->error), OK);
    assert_int_equal(k->host_call, 2); /* a/x and e */
}

static void list__reports_what_it_cannot_read(void **state)
{
    static const enum io_kind kinds[] = {IO_OPENAT, IO_OPENAT2, IO_FSTATAT};
    struct kit *k = *state;
    struct kit_list l = {0};
    unsigned failures = 0, fds;

    assert_int_equal(kit_put(k, "a/b/c", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "a/b/d", "x", IF_ABSENT), OK);
    fds = scratch_open_fds();
    for (size_t i = 0; i < 3; i++)
        for (unsigned nth = 1; nth < 6; nth++) {
            int32_t rc;

            io_fault_set(kinds[i], nth, 1, EACCES);
            rc = kit_list(k, "", "", "", 100, &l);
            io_fault_set(kinds[i], 0, 0, 0);
            assert_true(rc == OK || rc == PERSIST_BACKEND_DENIED);
            assert_true(rc != OK || l.n == 2);
            failures += rc != OK;
            assert_int_equal(scratch_open_fds(), fds);
        }
    assert_in_range(failures, 4, 12);
    for (long allocations = 0; allocations < 8; allocations++) {
        int32_t rc;

        atomic_store(&kit_alloc_limit, allocations);
        rc = kit_list(k, "", "", "", 100, &l);
        atomic_store(&kit_alloc_limit, -1);
        assert_int_equal(rc, allocations < 6 ? PERSIST_BACKEND_MEMORY : OK);
        assert_int_equal(atomic_load(&kit_blocks), 0);
    }
    kit_list_finish(&l);
}

/* -------------------------------------------------------------------- cost */

static void make_file(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* A session of a million snapshots, as far as its newest page can see it:
 * 1,000 groups, and in the first as much as a group can hold. */
static void list__first_page_of_a_million_reads_one_group(void **state)
{
    struct kit *k = *state;
    struct local_store *s = k->store;
    struct kit_list l = {0};
    char name[64];
    int fd, group;

    assert_int_equal(mkdir(scratch_join(k->root, "agent"), 0700), 0);
    assert_int_equal(mkdir(scratch_join(k->root, "agent/session"), 0700), 0);
    fd = scratch_open_dir(scratch_join(k->root, "agent/session"));
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "%015d", i);
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        group = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int j = 0; j < (i == 0 ? 2000 : 1); j++) {
            (void)snprintf(name, sizeof(name), "%03d-%d.%s", j / 2, 999999 - j,
                           j % 2 ? "snap" : "data");
            make_file(group, name);
        }
        close(group);
    }
    close(fd);

    assert_int_equal(kit_list(k, "agent/session/", "", "", 64, &l), OK);
    assert_int_equal(l.n, 64);
    assert_true(l.more);
    assert_string_equal(l.entries[0].key,
                        "agent/session/000000000000000/000-999998.snap");
    assert_in_range(atomic_load(&s->n_dirs_opened), 2, 4);
    assert_in_range(atomic_load(&s->n_entries_read), 2000, 3100);
    assert_in_range(io_fault_calls(IO_FSTATAT), 64, 65);
    /* 64 bytes an entry of the largest folder, and its name; doubled once more
     * for the moment a buffer grows */
    assert_in_range(atomic_load(&kit_peak), 1, 3 * 2000 * (64 + 20));
    kit_list_finish(&l);
}

static void list__of_ten_thousand_agents_looks_at_none(void **state)
{
    struct kit *k = *state;
    struct local_store *s = k->store;
    struct kit_list l = {0};
    char name[64];
    int fd = scratch_open_dir(k->root);
    unsigned stats;

    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "agent-%d", i);
        assert_int_equal(mkdirat(fd, name, 0700), 0);
    }
    close(fd);
    stats = io_fault_calls(IO_FSTATAT) + io_fault_calls(IO_FSTAT);
    assert_int_equal(kit_list(k, "", "", "/", 20000, &l), OK);
    assert_int_equal(l.n, 10000);
    assert_false(l.more);
    assert_int_equal(atomic_load(&s->n_dirs_opened), 1);
    assert_in_range(
        io_fault_calls(IO_FSTATAT) + io_fault_calls(IO_FSTAT) - stats, 0, 2);
    kit_list_finish(&l);
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
        T(list__is_what_brute_force_gives),
        T(list__shows_keys_and_nothing_else),
        T(list__refuses_nonsense),
        T(list__ends_when_told),
        T2(list__stops_when_cancelled),
        T(kind__is_looked_up_where_the_directory_does_not_tell),
        T(list__survives_that_its_way_back_is_gone),
        T(list__goes_deeper_than_it_keeps_open),
        T(list__passes_over_what_vanishes),
        T(list__reports_what_it_cannot_read),
        T2(list__first_page_of_a_million_reads_one_group),
        T2(list__of_ten_thousand_agents_looks_at_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
