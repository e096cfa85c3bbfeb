/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes over short, interrupted and failing calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/os.h"
#include "posix/scratch.h"

static int open_temp(void)
{
    char *dir = scratch_make();
    int fd = open(scratch_join(dir, "f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    scratch_remove(dir);
    io_fault_install();
    return fd;
}

static void finish(int fd)
{
    io_fault_remove();
    close(fd);
}

static void write_all__and_read_at__move_every_byte(void **state)
{
    int fd = open_temp();
    char out[16];
    size_t len;

    (void)state;
    io_fault_short(3);
    io_fault_set(IO_WRITE, 2, 2, EINTR);
    io_fault_set(IO_PWRITE, 2, 2, EINTR);
    io_fault_set(IO_PREAD, 2, 2, EINTR);
    assert_int_equal(file_write_all(fd, "0123456789", 10), 0);
    assert_int_equal(file_write_all_at(fd, "abcdefg", 7, 2), 0);
    assert_int_equal(file_read_at(fd, out, sizeof(out), 0, &len), 0);

    assert_int_equal(len, 10);
    assert_memory_equal(out, "01abcdefg9", 10);
    assert_int_equal(io_fault_calls(IO_WRITE), 6);
    finish(fd);
}

static void read_at__gives_less_only_at_the_end(void **state)
{
    int fd = open_temp();
    char out[8];
    size_t len = 99;

    (void)state;
    assert_int_equal(file_write_all(fd, "0123456789", 10), 0);
    assert_int_equal(file_read_at(fd, out, 8, 6, &len), 0);
    assert_int_equal(len, 4);
    assert_int_equal(file_read_at(fd, out, 8, 10, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(file_read_at(fd, out, 8, UINT64_MAX - 2, &len), -EINVAL);
    io_fault_set(IO_PREAD, 1, 1, EIO);
    assert_int_equal(file_read_at(fd, out, 8, 0, &len), -EIO);
    assert_int_equal(len, 0);
    finish(fd);
}

static void read__is_one_read(void **state)
{
    int fd = open_temp();
    char out[8];
    size_t len;

    (void)state;
    assert_int_equal(file_write_all(fd, "0123456789", 10), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    io_fault_short(3);
    io_fault_set(IO_READ, 1, 2, EINTR);
    assert_int_equal(file_read(fd, out, 8, &len), 0);
    assert_int_equal(len, 3);
    io_fault_set(IO_READ, 1, 1, EIO);
    assert_int_equal(file_read(fd, out, 8, &len), -EIO);
    assert_int_equal(len, 0);
    finish(fd);
}

static ssize_t write_nothing(int fd, const void *data, size_t len)
{
    (void)fd, (void)data, (void)len;
    return 0;
}

static ssize_t pwrite_nothing(int fd, const void *data, size_t len, off_t at)
{
    (void)fd, (void)data, (void)len, (void)at;
    return 0;
}

static void write__reports_errors_and_never_spins(void **state)
{
    struct posix_io odd = posix_io_libc;
    int fd = open_temp();

    (void)state;
    io_fault_set(IO_WRITE, 1, 1, ENOSPC);
    assert_int_equal(file_write_all(fd, "x", 1), -ENOSPC);
    io_fault_set(IO_PWRITE, 1, 1, EDQUOT);
    assert_int_equal(file_write_all_at(fd, "x", 1, 0), -EDQUOT);
    assert_int_equal(file_write_all_at(fd, "x", 1, INT64_MAX), -EFBIG);
    odd.write = write_nothing;
    odd.pwrite = pwrite_nothing;
    posix_io = &odd;
    assert_int_equal(file_write_all(fd, "x", 1), -EIO);
    assert_int_equal(file_write_all_at(fd, "x", 1, 0), -EIO);
    finish(fd);
}

/* What has been seen to write back, flush and tell of it: overlayfs does not
 * tell, FUSE does not flush. */
static bool syncs_whole(int fd)
{
    static const char *const known[] = {"ext4", "xfs", "btrfs", "f2fs"};
    struct os_file_system fs;
    struct utsname system;
    unsigned major = 0, minor = 0;
    bool is_known = false;

    assert_int_equal(os_file_system(fd, &fs), 0);
    assert_int_equal(uname(&system), 0);
    (void)sscanf(system.release, "%u.%u", &major, &minor);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        is_known |= strcmp(fs.name, known[i]) == 0;
    return is_known && !io_fault_lacks(IO_SYNCFS) &&
           major * 1000 + minor >= 5008;
}

static void syncfs_reports__follows_the_file_system_or_the_test(void **state)
{
    int fd = open(".", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(posix_io_syncfs_reports(fd), syncs_whole(fd));
    posix_io_force_syncfs_reports(0);
    assert_false(posix_io_syncfs_reports(fd));
    close(fd);
    posix_io_force_syncfs_reports(-1);
    fd = open("/proc/self/fd", O_RDONLY | O_CLOEXEC);
    assert_false(posix_io_syncfs_reports(fd));
    posix_io_force_syncfs_reports(1);
    assert_true(posix_io_syncfs_reports(fd));
    posix_io_force_syncfs_reports(-1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_all__and_read_at__move_every_byte),
        cmocka_unit_test(read_at__gives_less_only_at_the_end),
        cmocka_unit_test(read__is_one_read),
        cmocka_unit_test(write__reports_errors_and_never_spins),
        cmocka_unit_test(syncfs_reports__follows_the_file_system_or_the_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
