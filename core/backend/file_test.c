/* SPDX-License-Identifier: Apache-2.0 */
/* See file_test.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/file_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char file_dir[64];

void file_make_dir(void)
{
    snprintf(file_dir, sizeof(file_dir), "/tmp/persist-test-XXXXXX");
    assert_non_null(mkdtemp(file_dir));
}

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void file_remove_dir(void)
{
    nftw(file_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *file_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", file_dir, name);
    return path;
}

uint8_t *file_read_fixture(const char *name, size_t *out_len)
{
    char path[512];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s.so", FIXTURES, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *out_len = (size_t)st.st_size;
    return bytes;
}

void file_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

    assert_true(fd >= 0);
    /* Whatever the umask: not writable by others. */
    assert_int_equal(fchmod(fd, 0700), 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(close(fd), 0);
}

void file_copy_fixture(const char *from, const char *path)
{
    size_t len = 0;
    uint8_t *bytes = file_read_fixture(from, &len);

    file_write(path, bytes, len);
    free(bytes);
}
