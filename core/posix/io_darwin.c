/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of macOS. */
#include "posix/io_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "posix/io.h"

/* Linux has one number for both, and callers know that one. */
static int as_linux_says(int rc)
{
    if (rc != 0 && errno == ENOTSUP)
        errno = EOPNOTSUPP;
    return rc;
}

int io_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags)
{
    if (flags != RENAME_NOREPLACE) {
        errno = EINVAL;
        return -1;
    }
    return as_linux_says(renameatx_np(from_fd, from, to_fd, to, RENAME_EXCL));
}

/* fsync leaves the bytes in the drive's cache.  File systems of other makers
 * and of other machines may know no F_FULLFSYNC: their fsync is what there is.
 */
int io_fsync(int fd)
{
    if (fcntl(fd, F_FULLFSYNC) != -1)
        return 0;
    if (errno != ENOTSUP && errno != EINVAL && errno != ENOTTY)
        return -1;
    return fsync(fd);
}

/* Space from the end of what there is; a file that is longer already has it. */
int io_fallocate(int fd, int mode, off_t offset, off_t len)
{
    fstore_t space = {.fst_flags = F_ALLOCATEALL,
                      .fst_posmode = F_PEOFPOSMODE,
                      .fst_offset = 0,
                      .fst_length = offset + len};

    (void)mode;
    return as_linux_says(fcntl(fd, F_PREALLOCATE, &space) == -1 ? -1 : 0);
}
