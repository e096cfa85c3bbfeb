/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of io_system.h that Linux alone has, as every other system answers
 * them. */
#include "posix/io_system.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

/* Confinement is walked component by component (confine.c). */
int io_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
    (void)dir_fd, (void)path, (void)flags, (void)resolve;
    errno = ENOSYS;
    return -1;
}

int io_fdatasync(int fd)
{
    return io_fsync(fd);
}

int io_syncfs(int fd)
{
    (void)fd;
    errno = ENOSYS;
    return -1;
}

int io_sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
    (void)fd, (void)offset, (void)len, (void)flags;
    errno = ENOSYS;
    return -1;
}

/* getentropy gives all or nothing, and 256 bytes at most. */
ssize_t io_getrandom(void *out, size_t len, unsigned flags)
{
    size_t part = len < 256 ? len : 256;

    (void)flags;
    return getentropy(out, part) == 0 ? (ssize_t)part : -1;
}

int io_direct_align(int fd, uint32_t *out_memory, uint32_t *out_offset)
{
    (void)fd;
    *out_memory = *out_offset = 0; /* nothing goes directly */
    errno = ENOSYS;
    return -1;
}

bool io_syncfs_reports(int fd)
{
    (void)fd;
    return false;
}
