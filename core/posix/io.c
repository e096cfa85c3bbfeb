/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of system calls: libc's functions, and system calls that older C
 * libraries have no function for.  No policy, no retry, no error mapping.
 */
#include "posix/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static int call_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    return openat(dir_fd, path, flags, mode);
}

/* linux/openat2.h, which distributions' kernel headers may be too old for. */
struct open_how_v0 {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

static int call_openat2(int dir_fd, const char *path, uint64_t flags,
                        uint64_t resolve)
{
#ifdef SYS_openat2
    struct open_how_v0 how = {.flags = flags, .mode = 0, .resolve = resolve};

    if ((flags & O_PATH) == 0) /* openat adds it by itself */
        how.flags |= (uint64_t)O_LARGEFILE;
    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
#else
    (void)dir_fd, (void)path, (void)flags, (void)resolve;
    errno = ENOSYS;
    return -1;
#endif
}

static int call_renameat2(int from_fd, const char *from, int to_fd,
                          const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

const struct posix_io posix_io_libc = {
    .openat = call_openat,
    .openat2 = call_openat2,
    .mkdirat = mkdirat,
    .close = close,
    .read = read,
    .write = write,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .syncfs = syncfs,
    .sync_file_range = sync_file_range,
    .fallocate = fallocate,
    .ftruncate = ftruncate,
    .fchmod = fchmod,
    .fstat = fstat,
    .fstatat = fstatat,
    .linkat = linkat,
    .renameat = renameat,
    .renameat2 = call_renameat2,
    .unlinkat = unlinkat,
    .flock = flock,
    .getrandom = getrandom,
};

const struct posix_io *posix_io = &posix_io_libc;

static atomic_int syncfs_reports = -1;

/* "6.1.0-18-amd64" is at least 5.8; an unreadable release counts as old. */
static int kernel_since_5_8(void)
{
    struct utsname name;
    unsigned long part[2] = {0, 0};
    const char *p;

    if (uname(&name) != 0)
        return 0;
    p = name.release;
    for (int i = 0; i < 2; i++) {
        for (; *p >= '0' && *p <= '9' && part[i] < 100000; p++)
            part[i] = part[i] * 10 + (unsigned long)(*p - '0');
        if (*p == '.')
            p++;
    }
    return part[0] > 5 || (part[0] == 5 && part[1] >= 8);
}

int posix_io_syncfs_reports(void)
{
    int known = atomic_load_explicit(&syncfs_reports, memory_order_relaxed);

    if (known < 0) {
        known = kernel_since_5_8();
        atomic_store_explicit(&syncfs_reports, known, memory_order_relaxed);
    }
    return known;
}

void posix_io_force_syncfs_reports(int answer)
{
    atomic_store_explicit(&syncfs_reports, answer, memory_order_relaxed);
}
