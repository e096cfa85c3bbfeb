/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come back whole, or do not count. */
#include "services/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

#define NAME "probe/abc"

static char base[64];
static char dir[80];
static char path[128];
static struct buf got;
static struct persist_error err;

static int setup(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(base, sizeof base, "/tmp/persist-state-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(dir, sizeof dir, "%s/a/b", base);
    snprintf(path, sizeof path, "%s/%s", dir, NAME);
    buf_init(&got, STATE_PAYLOAD_MAX);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    buf_finish(&got);
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static int read_it(void)
{
    return state_read(dir, NAME, &got, &err);
}

static void write_it(const char *text)
{
    assert_int_equal(state_write(dir, NAME, text, strlen(text), &err),
                     PERSIST_OK);
}

static mode_t mode_of(const char *of)
{
    struct stat st;

    assert_int_equal(stat(of, &st), 0);
    return st.st_mode & 07777;
}

static void write__comes_back_and_is_private(void **state)
{
    (void)state;
    assert_int_equal(read_it(), PERSIST_E_NOT_FOUND);

    write_it("first");
    write_it("the second");

    assert_int_equal(read_it(), PERSIST_OK);
    assert_int_equal(got.len, 10);
    assert_memory_equal(got.data, "the second", 10);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(dir), 0700);
    write_it("");
    assert_int_equal(read_it(), PERSIST_OK);
    assert_int_equal(got.len, 0);
}

static void read__believes_no_damaged_byte(void **state)
{
    char bytes[64];

    (void)state;
    write_it("payload");
    int fd = open(path, O_RDWR);
    ssize_t len = read(fd, bytes, sizeof bytes);
    assert_int_equal(len, 16 + 7);
    for (ssize_t i = 0; i < len; i++) {
        char flipped = (char)(bytes[i] ^ 1);
        assert_int_equal(pwrite(fd, &flipped, 1, i), 1);
        assert_int_equal(read_it(), PERSIST_E_CORRUPT);
        assert_int_equal(got.len, 0);
        assert_int_equal(pwrite(fd, &bytes[i], 1, i), 1);
    }
    assert_int_equal(read_it(), PERSIST_OK);
    while (len-- > 0) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(read_it(), PERSIST_E_CORRUPT);
    }
    close(fd);
}

static void read__believes_only_a_private_regular_file(void **state)
{
    (void)state;
    write_it("payload");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(read_it(), PERSIST_E_CORRUPT);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(read_it(), PERSIST_OK);

    char other[160];
    snprintf(other, sizeof other, "%s.other", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(read_it(), PERSIST_E_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_it(), PERSIST_E_CORRUPT);
    if (geteuid() == 0) {
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(other, path), 0);
        assert_int_equal(chown(path, 12345, 0), 0);
        assert_int_equal(read_it(), PERSIST_E_CORRUPT);
    }
}

static int count(void *ctx, const char *name)
{
    assert_string_equal(name, NAME);
    return ++*(int *)ctx;
}

static void each__names_files_and_no_locks(void **state)
{
    int n = 0, fd = -1;

    (void)state;
    assert_int_equal(state_each(dir, "probe", count, &n, &err), 0);
    write_it("x");
    assert_int_equal(state_lock(dir, NAME, &fd, &err), 0);
    assert_int_equal(state_each(dir, "probe", count, &n, &err), 1);
    assert_int_equal(state_remove(dir, NAME, &err), 0);
    assert_int_equal(state_remove(dir, NAME, &err), 0);
    assert_int_equal(state_each(dir, "probe", count, &n, &err), 0);
    assert_int_equal(n, 1);
    close(fd);
}

/* Of a process that was killed while it wrote. */
static void each__drops_old_temporaries(void **state)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char young[128], aged[128];
    int n = 0;

    (void)state;
    write_it("x");
    snprintf(young, sizeof young, "%s/probe/.tmp-young1", dir);
    snprintf(aged, sizeof aged, "%s/probe/.tmp-agedaa", dir);
    assert_int_equal(close(open(young, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(close(open(aged, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(utimensat(AT_FDCWD, aged, old, 0), 0);
    assert_int_equal(state_each(dir, "probe", count, &n, &err), 1);
    assert_int_equal(access(young, F_OK), 0);
    assert_int_not_equal(access(aged, F_OK), 0);
    assert_int_equal(unlink(young), 0);
}

static void lock__is_one_holders(void **state)
{
    int first = -1, second = -1;

    (void)state;
    assert_int_equal(state_lock(dir, NAME, &first, &err), PERSIST_OK);
    assert_int_equal(state_lock(dir, NAME, &second, &err), PERSIST_E_TRANSIENT);
    assert_int_equal(second, -1);
    state_unlock(dir, NAME, first);
    assert_int_equal(state_lock(dir, NAME, &second, &err), PERSIST_OK);
    assert_int_equal(state_lock(dir, NAME, &first, &err), PERSIST_E_TRANSIENT);
    state_unlock(dir, NAME, second);
    state_unlock(dir, NAME, -1);
    strcat(path, ".lock");
    assert_int_not_equal(access(path, F_OK), 0);
}

static void no_directory__reads_nothing_and_refuses_to_write(void **state)
{
    int n = 0, fd;

    (void)state;
    assert_int_equal(state_read(NULL, NAME, &got, &err), PERSIST_E_NOT_FOUND);
    assert_int_equal(state_write(NULL, NAME, "x", 1, &err),
                     PERSIST_E_UNSUPPORTED);
    assert_int_equal(state_lock(NULL, NAME, &fd, &err), PERSIST_E_UNSUPPORTED);
    assert_int_equal(state_remove(NULL, NAME, &err), PERSIST_OK);
    assert_int_equal(state_each(NULL, "probe", count, &n, &err), PERSIST_OK);
}

static void write__leaves_the_old_file_where_it_cannot(void **state)
{
    char file[96];

    (void)state;
    write_it("old");
    /* A file where a directory should be. */
    snprintf(file, sizeof file, "%s/a/b/file", base);
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_not_equal(state_write(dir, "file/x", "y", 1, &err), PERSIST_OK);
    assert_int_equal(read_it(), PERSIST_OK);
    assert_memory_equal(got.data, "old", 3);
}

static void default_dir__follows_xdg(void **state)
{
    char *out = NULL;

    (void)state;
    setenv("XDG_STATE_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    assert_int_equal(state_default_dir(&out, &err), 0);
    assert_string_equal(out, "/x/persist");
    free(out);
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_int_equal(state_default_dir(&out, &err), 0);
    assert_string_equal(out, "/h/.local/state/persist");
    free(out);
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_int_equal(state_default_dir(&out, &err), 0);
    assert_null(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(write__comes_back_and_is_private),
        TEST(read__believes_no_damaged_byte),
        TEST(read__believes_only_a_private_regular_file),
        TEST(each__names_files_and_no_locks),
        TEST(each__drops_old_temporaries),
        TEST(lock__is_one_holders),
        TEST(no_directory__reads_nothing_and_refuses_to_write),
        TEST(write__leaves_the_old_file_where_it_cannot),
        TEST(default_dir__follows_xdg),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
