/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes that finish what they began: interrupted calls are made
 * again and short counts continued.  EAGAIN is the caller's business.
 */
#include "posix/file.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "posix/io.h"

/* Linux moves at most 0x7ffff000 bytes per call; less keeps every count far
 * from the sign bit on 32-bit machines too. */
#define FILE_CALL_MAX ((size_t)1 << 30)

static size_t call_len(size_t len)
{
    return len < FILE_CALL_MAX ? len : FILE_CALL_MAX;
}

/* Whether [offset, offset + len) can be said in off_t. */
static bool fits(uint64_t offset, size_t len)
{
    return offset <= INT64_MAX && len <= INT64_MAX - offset;
}

int file_read_at(int fd, void *out, size_t len, uint64_t offset,
                 size_t *out_len)
{
    size_t done = 0;

    *out_len = 0;
    if (!fits(offset, len))
        return -EINVAL;
    while (done < len) {
        ssize_t n =
            posix_io->pread(fd, (char *)out + done, call_len(len - done),
                            (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *out_len = done;
    return 0;
}

int file_read(int fd, void *out, size_t len, size_t *out_len)
{
    ssize_t n;

    do
        n = posix_io->read(fd, out, call_len(len));
    while (n < 0 && errno == EINTR);
    *out_len = n < 0 ? 0 : (size_t)n;
    return n < 0 ? -errno : 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = posix_io->write(fd, (const char *)data + done,
                                    call_len(len - done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* 0 bytes for a positive count: going on would spin */
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int file_write_all_at(int fd, const void *data, size_t len, uint64_t offset)
{
    size_t done = 0;

    if (!fits(offset, len))
        return -EFBIG;
    while (done < len) {
        ssize_t n =
            posix_io->pwrite(fd, (const char *)data + done,
                             call_len(len - done), (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}
