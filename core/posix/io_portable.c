/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX and nothing else: what a system without a file of its own gets, and on
 * Linux (-DPERSIST_PORTABLE=ON) how its ways are tested where one can run them.
 */
#include "posix/io_system.h"

#include <errno.h>
#include <unistd.h>

int io_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags)
{
    (void)from_fd, (void)from, (void)to_fd, (void)to, (void)flags;
    errno = ENOSYS;
    return -1;
}

int io_fsync(int fd)
{
    return fsync(fd);
}

/* posix_fallocate would make the file longer. */
int io_fallocate(int fd, int mode, off_t offset, off_t len)
{
    (void)fd, (void)mode, (void)offset, (void)len;
    errno = ENOSYS;
    return -1;
}
