/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second descriptor of the same file, with O_DIRECT: a flag on the first one
 * would hold for every thread that writes what is not aligned.
 */
#include "posix/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "posix/io.h"

#ifndef O_DIRECT
#define O_DIRECT 0 /* nor does direct_align offer it there */
#endif

/* Linux moves at most 0x7ffff000 bytes per call; this is aligned, too. */
#define CALL_MAX ((size_t)1 << 30)

#define MEMORY_ALIGN 4096
#define SMALL ((size_t)64 << 10) /* not worth it */

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static int reopen(int fd)
{
    char path[40];
    int rc;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    do
        rc = posix_io->openat(AT_FDCWD, path, O_WRONLY | O_DIRECT | O_CLOEXEC,
                              0);
    while (rc < 0 && errno == EINTR);
    return rc;
}

void direct_open(struct direct_file *d, int fd, uint64_t size)
{
    uint32_t memory = 0, offset = 0;
    long page = sysconf(_SC_PAGESIZE);

    d->fd = -1;
    atomic_store(&d->refused, false);
    if (page < 0 || posix_io->direct_align(fd, &memory, &offset) != 0 ||
        !is_power_of_two(memory) || !is_power_of_two(offset))
        return;
    d->memory_align = memory;
    d->offset_align = offset > (size_t)page ? offset : (size_t)page;
    d->fd = reopen(fd);
    if (d->fd >= 0 && size > 0 && size <= INT64_MAX)
        (void)posix_io->ftruncate(fd, (off_t)size); /* else one by one */
}

static bool suits(const struct direct_file *d, const void *data,
                  uint64_t offset)
{
    return d->fd >= 0 && !atomic_load(&d->refused) && offset <= INT64_MAX &&
           (uintptr_t)data % d->memory_align == 0 &&
           offset % d->offset_align == 0;
}

int direct_write(struct direct_file *d, const void *data, size_t len,
                 uint64_t offset, size_t *out_done)
{
    const char *from = data;
    size_t done = 0;

    *out_done = 0;
    while (suits(d, from + done, offset + done)) {
        size_t left = len - done;
        size_t n = left < CALL_MAX ? left : CALL_MAX;
        ssize_t rc;

        n -= n % d->offset_align;
        if (n == 0 || offset + done > (uint64_t)INT64_MAX - n)
            break;
        rc = posix_io->pwrite(d->fd, from + done, n, (off_t)(offset + done));
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc < 0 && errno == EINVAL) {
            atomic_store(&d->refused, true);
            break;
        }
        if (rc <= 0)
            return rc < 0 ? -errno : -EIO;
        /* A short count ends at a page, or is written again from there. */
        done += (size_t)rc - (size_t)rc % d->offset_align;
        if ((size_t)rc < d->offset_align)
            break;
    }
    *out_done = done;
    return 0;
}

void direct_close(struct direct_file *d)
{
    if (d->fd >= 0)
        posix_io->close(d->fd);
    d->fd = -1;
}

void *direct_alloc(size_t len)
{
    void *memory = NULL;

    if (len <= SMALL)
        return malloc(len);
    return posix_memalign(&memory, MEMORY_ALIGN, len) == 0 ? memory : NULL;
}
