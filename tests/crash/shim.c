/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the command: every write and pwrite that asks for more than
 * one byte does half of it, and every third one is interrupted first.  What is
 * written must be the same.  Standard output and error are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_uint calls;

static size_t shorten(size_t len)
{
    return len > 1 ? (len + 1) / 2 : len;
}

static int interrupt(void)
{
    if (atomic_fetch_add(&calls, 1) % 3 != 0)
        return 0;
    errno = EINTR;
    return 1;
}

ssize_t write(int fd, const void *data, size_t len)
{
    static ssize_t (*real)(int, const void *, size_t);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "write");
    if (fd <= 2)
        return real(fd, data, len);
    return interrupt() ? -1 : real(fd, data, shorten(len));
}

static ssize_t pwrite_short(int fd, const void *data, size_t len,
                            off64_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    return interrupt() ? -1 : real(fd, data, shorten(len), offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite_short(fd, data, len, offset);
}

#undef pwrite64 /* musl: a name for pwrite */
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite_short(fd, data, len, offset);
}
