/* SPDX-License-Identifier: Apache-2.0 */
/* read, head, delete: which bytes, which version, and what is no object. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

#define TEXT "0123456789"

struct answer {
    int32_t rc;
    char bytes[32];
    struct persist_backend_read_result result;
};

static struct answer read_some(struct kit *k, const char *key, uint32_t mode,
                               uint64_t offset, uint64_t len, const char *etag)
{
    struct answer a = {.result = {.struct_size = sizeof(a.result)}};
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = mode,
                                             .key = key,
                                             .offset = offset,
                                             .buffer = a.bytes,
                                             .len = len,
                                             .etag = etag};

    a.rc = k->ops->read(k->store, &k->call, &args, &a.result, &k->error);
    return a;
}

static void read__gives_ranges_and_suffixes(void **state)
{
    static const struct {
        uint32_t mode;
        uint64_t offset, len, out_offset;
        const char *bytes;
    } cases[] = {
        {PERSIST_BACKEND_READ_RANGE, 0, 4, 0, "0123"},
        {PERSIST_BACKEND_READ_RANGE, 8, 4, 8, "89"},
        {PERSIST_BACKEND_READ_RANGE, 0, 30, 0, TEXT},
        {PERSIST_BACKEND_READ_RANGE, 10, 4, 10, ""},
        {PERSIST_BACKEND_READ_RANGE, UINT64_MAX, 4, UINT64_MAX, ""},
        {PERSIST_BACKEND_READ_SUFFIX, 0, 3, 7, "789"},
        {PERSIST_BACKEND_READ_SUFFIX, 99, 10, 0, TEXT},
        {PERSIST_BACKEND_READ_SUFFIX, 0, 30, 0, TEXT},
    };
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "a/b", TEXT, IF_ABSENT), OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer a = read_some(k, "a/b", cases[i].mode, cases[i].offset,
                                    cases[i].len, NULL);

        assert_int_equal(a.rc, OK);
        assert_int_equal(a.result.total, 10);
        assert_int_equal(a.result.offset, cases[i].out_offset);
        assert_int_equal(a.result.len, strlen(cases[i].bytes));
        assert_string_equal(a.bytes, cases[i].bytes);
    }
    assert_int_equal(read_some(k, "a/b", 7, 0, 1, NULL).rc,
                     PERSIST_BACKEND_INVALID);
}

static void read__pins_a_version(void **state)
{
    struct kit *k = *state;
    struct persist_backend_head_result head;
    struct answer first, second;

    assert_int_equal(kit_put(k, "a", "one", IF_ABSENT), OK);
    first = read_some(k, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL);
    assert_int_equal(kit_head(k, "a", &head), OK);
    assert_string_equal(head.etag, first.result.etag);
    assert_int_equal(head.size, 3);
    assert_in_range(head.modified_us, INT64_C(1700000000000000),
                    INT64_C(9000000000000000));
    second =
        read_some(k, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, first.result.etag);
    assert_int_equal(second.rc, OK);

    /* A backup that links it, and a chmod, change no byte. */
    assert_int_equal(
        link(scratch_join(k->root, "a"), scratch_join(k->base, "backup")), 0);
    assert_int_equal(chmod(scratch_join(k->root, "a"), 0640), 0);
    second =
        read_some(k, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, first.result.etag);
    assert_int_equal(second.rc, OK);

    assert_int_equal(kit_put(k, "a", "two", 0), OK);
    second =
        read_some(k, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, first.result.etag);
    assert_int_equal(second.rc, PERSIST_BACKEND_PRECONDITION);
}

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif

/* tmpfs and Btrfs keep them all. */
static void modified__is_at_most_what_it_can_say(void **state)
{
    static const struct {
        int64_t s;
        int64_t us;
    } rows[] = {
        {0, 1},
        {-1, -999999},
        {INT64_C(9223372036853), INT64_C(9223372036853000001)},
        {INT64_C(9223372036854), INT64_MAX},
        {INT64_C(9000000000000000000), INT64_MAX},
        {INT64_C(-9223372036854), INT64_C(-9223372036853999999)},
        {INT64_C(-9223372036855), INT64_MIN},
        {INT64_MIN, INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stat st = {0};

        st.st_mtim.tv_sec = (time_t)rows[i].s;
        st.st_mtim.tv_nsec = 1999;
        if (st.st_mtim.tv_sec == rows[i].s) /* time_t may be narrow */
            assert_int_equal(modified_us(&st), rows[i].us);
    }
}

/* One spelling: who keeps one compares it with another process's. */
static void etag__has_one_spelling(void **state)
{
    char etag[PERSIST_BACKEND_ETAG_MAX];
    struct stat st = {.st_ino = 0x1f2e, .st_size = 0};

    (void)state;
#ifdef __APPLE__
    st.st_mtimespec = (struct timespec){.tv_sec = 0x65, .tv_nsec = 42};
#else
    st.st_mtim = (struct timespec){.tv_sec = 0x65, .tv_nsec = 42};
#endif
    etag_format(&st, etag);
    assert_string_equal(etag, "1f2e-0-65.000000042");
}

static void put__gives_the_etag_that_read_gives(void **state)
{
    struct kit *k = *state;
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .key = "a",
                                            .data = "x",
                                            .len = 1,
                                            .content_type = ""};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};
    struct persist_backend_head_result head;

    for (args.flags = 0; args.flags < 2; args.flags++) {
        assert_int_equal(
            k->ops->put(k->store, &k->call, &args, &result, &k->error), OK);
        assert_int_equal(kit_head(k, "a", &head), OK);
        assert_string_equal(result.etag, head.etag);
        assert_int_equal(kit_delete(k, "a", NULL), OK);
    }
}

/* Absent is an answer; trouble is an error, and never called absent. */
static void read__tells_absent_from_trouble(void **state)
{
    static const struct {
        const char *key;
        int32_t rc;
    } cases[] = {
        {"none", PERSIST_BACKEND_NOT_FOUND},
        {"none/none", PERSIST_BACKEND_NOT_FOUND},
        {"dir", PERSIST_BACKEND_NOT_FOUND},
        {"file/below", PERSIST_BACKEND_NOT_FOUND},
        {"link", PERSIST_BACKEND_CORRUPT},
        {"dangling", PERSIST_BACKEND_CORRUPT},
        {"up/root/file", PERSIST_BACKEND_CORRUPT},
        {"dir/link/x", PERSIST_BACKEND_CORRUPT},
        {"fifo", PERSIST_BACKEND_CORRUPT},
        {"fifo/x", PERSIST_BACKEND_CORRUPT},
    };
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "file", "x", IF_ABSENT), OK);
    assert_int_equal(mkdir(scratch_join(k->root, "dir"), 0700), 0);
    assert_int_equal(symlink("file", scratch_join(k->root, "link")), 0);
    assert_int_equal(symlink("nothing", scratch_join(k->root, "dangling")), 0);
    assert_int_equal(symlink("..", scratch_join(k->root, "up")), 0);
    assert_int_equal(symlink("/etc", scratch_join(k->root, "dir/link")), 0);
    assert_int_equal(mkfifo(scratch_join(k->root, "fifo"), 0600), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t rc;

        assert_null(kit_read(k, cases[i].key, &rc));
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(kit_head(k, cases[i].key, NULL), cases[i].rc);
    }
    {
        static const struct {
            int error;
            int32_t rc;
        } troubles[] = {{EACCES, PERSIST_BACKEND_DENIED},
                        {EMFILE, PERSIST_BACKEND_TRANSIENT},
                        {EIO, PERSIST_BACKEND_IO},
                        {ESTALE, PERSIST_BACKEND_TRANSIENT},
                        {ENOMEM, PERSIST_BACKEND_MEMORY},
                        {ENOTTY, PERSIST_BACKEND_IO}};

        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(kit_head(k, "file", NULL), OK);
            io_fault_set(IO_FSTAT, 1, 1, troubles[i].error);
            assert_int_equal(kit_head(k, "file", NULL), troubles[i].rc);
            assert_int_equal(k->error.os_errno, troubles[i].error);
            io_fault_set(IO_FSTAT, 2, 1, troubles[i].error);
            assert_int_equal(kit_head(k, "file", NULL), troubles[i].rc);
        }
    }
    io_fault_set(IO_PREAD, 1, 1, EIO);
    assert_int_equal(
        read_some(k, "file", PERSIST_BACKEND_READ_RANGE, 0, 1, NULL).rc,
        PERSIST_BACKEND_IO);
}

static ssize_t pread_nothing(int fd, void *out, size_t len, off_t at)
{
    (void)fd, (void)out, (void)len, (void)at;
    return 0;
}

static void read__says_corrupt_of_a_file_cut_short_meanwhile(void **state)
{
    struct kit *k = *state;
    struct posix_io odd = *posix_io;
    const struct posix_io *usual = posix_io;
    int32_t rc;

    assert_int_equal(kit_put(k, "a", TEXT, IF_ABSENT), OK);
    odd.pread = pread_nothing;
    posix_io = &odd;
    rc = read_some(k, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL).rc;
    posix_io = usual;
    assert_int_equal(rc, PERSIST_BACKEND_CORRUPT);
}

static void read__stops_between_slices(void **state)
{
    struct kit *k = *state;
    size_t len = 3 * LOCAL_SLICE;
    char *text = malloc(len + 1);
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = PERSIST_BACKEND_READ_RANGE,
                                             .key = "a",
                                             .buffer = text,
                                             .len = len};
    struct persist_backend_read_result result = {.struct_size = sizeof(result)};

    memset(text, 'x', len);
    text[len] = '\0';
    assert_int_equal(kit_put(k, "a", text, IF_ABSENT), OK);
    atomic_store(&kit_cancel_after, 2);
    assert_int_equal(
        k->ops->read(k->store, &k->call, &args, &result, &k->error),
        PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancel_after, -1);
    assert_int_equal(
        k->ops->read(k->store, &k->call, &args, &result, &k->error), OK);
    assert_int_equal(result.len, len);
    free(text);
}

static void delete__is_idempotent_and_synced(void **state)
{
    struct kit *k = *state;
    uint32_t was;
    unsigned syncs;

    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
    syncs = io_fault_calls(IO_FSYNC);
    assert_int_equal(kit_delete(k, "a/b", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_THERE);
    assert_int_equal(kit_delete(k, "a/b", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    assert_int_equal(io_fault_calls(IO_FSYNC) - syncs, 2);
    assert_int_equal(kit_delete(k, "none/b", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    assert_int_equal(kit_delete(k, "a", &was), OK); /* a folder, no object */
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    assert_int_equal(scratch_count(k->root), 1); /* folders stay */

    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
    io_fault_set_lost(IO_UNLINKAT, 1, 1, ENOENT); /* somebody was faster */
    assert_int_equal(kit_delete(k, "a/b", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
}

static void delete__reports_what_it_could_not_do(void **state)
{
    struct kit *k = *state;

    assert_int_equal(kit_put(k, "a/b", "x", IF_ABSENT), OK);
    assert_int_equal(symlink("b", scratch_join(k->root, "a/link")), 0);
    assert_int_equal(symlink("a", scratch_join(k->root, "up")), 0);
    assert_int_equal(kit_delete(k, "a/link", NULL), PERSIST_BACKEND_CORRUPT);
    assert_int_equal(kit_delete(k, "up/b", NULL), PERSIST_BACKEND_CORRUPT);
    io_fault_set(IO_UNLINKAT, 1, 1, EACCES);
    assert_int_equal(kit_delete(k, "a/b", NULL), PERSIST_BACKEND_DENIED);
    io_fault_set(IO_FSTATAT, 1, 1, EIO);
    assert_int_equal(kit_delete(k, "a/b", NULL), PERSIST_BACKEND_IO);
    atomic_store(&kit_cancel_after, 0);
    assert_int_equal(kit_delete(k, "a/b", NULL), PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancel_after, -1);
    kit_holds(k, "a/b", "x");
    io_fault_set(IO_FSYNC, 1, 1, EIO);
    assert_int_equal(kit_delete(k, "a/b", NULL), PERSIST_BACKEND_NOT_DURABLE);
    assert_int_equal(scratch_count(scratch_join(k->root, "a")), 1);
}

int main(void)
{
#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown),            \
    {                                                                          \
#test " (by components)", test, kit_setup_fallback, kit_teardown, NULL \
    }
    const struct CMUnitTest tests[] = {
        T(read__gives_ranges_and_suffixes),
        T(read__pins_a_version),
        T(modified__is_at_most_what_it_can_say),
        T(etag__has_one_spelling),
        T(put__gives_the_etag_that_read_gives),
        T(read__tells_absent_from_trouble),
        T(read__says_corrupt_of_a_file_cut_short_meanwhile),
        T(read__stops_between_slices),
        T(delete__is_idempotent_and_synced),
        T(delete__reports_what_it_could_not_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
