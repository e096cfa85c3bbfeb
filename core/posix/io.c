/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of system calls: libc's functions, and io_linux.c's, io_darwin.c's
 * or io_portable.c's where systems differ.  No policy, no retry, no error
 * mapping.
 */
#include "posix/io.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "posix/io_system.h"

static int call_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    return openat(dir_fd, path, flags, mode);
}

const struct posix_io posix_io_libc = {
    .openat = call_openat,
    .openat2 = io_openat2,
    .mkdirat = mkdirat,
    .close = close,
    .read = read,
    .write = write,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = io_fsync,
    .fdatasync = io_fdatasync,
    .syncfs = io_syncfs,
    .sync_file_range = io_sync_file_range,
    .fallocate = io_fallocate,
    .ftruncate = ftruncate,
    .fchmod = fchmod,
    .fstat = fstat,
    .fstatat = fstatat,
    .linkat = linkat,
    .renameat = renameat,
    .renameat2 = io_renameat2,
    .unlinkat = unlinkat,
    .flock = flock,
    .getrandom = io_getrandom,
    .direct_align = io_direct_align,
};

const struct posix_io *posix_io = &posix_io_libc;

static atomic_int syncfs_reports = -1; /* -1: ask */

bool posix_io_syncfs_reports(int fd)
{
    int forced = atomic_load_explicit(&syncfs_reports, memory_order_relaxed);

    return forced < 0 ? io_syncfs_reports(fd) : forced != 0;
}

void posix_io_force_syncfs_reports(int answer)
{
    atomic_store_explicit(&syncfs_reports, answer, memory_order_relaxed);
}
