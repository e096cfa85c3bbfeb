/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that makes a new file durable: O_TMPFILE, write, fsync, linkat,
 * fsync of the directory.  What a careful program would do without Persist,
 * and the yardstick of its small saves.
 */
#ifndef PERSIST_BENCH_BARE_H
#define PERSIST_BENCH_BARE_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

static inline void bare_save(int dir, const char *name, const void *data,
                             size_t len)
{
    char proc[64];
    int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0)
        bench_fail("O_TMPFILE");
    if (write(fd, data, len) != (ssize_t)len || fsync(fd) != 0)
        bench_fail("write");
    if (linkat(fd, "", dir, name, AT_EMPTY_PATH) != 0) {
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) != 0)
            bench_fail("linkat");
    }
    if (close(fd) != 0 || fsync(dir) != 0)
        bench_fail("fsync of the directory");
}

#endif
