/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of Linux, also those that older C libraries have no function
 * for. */
#include "posix/io_system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "posix/os.h"

/* linux/openat2.h, which distributions' kernel headers may be too old for. */
struct open_how_v0 {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

int io_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
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

int io_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags)
{
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int io_fsync(int fd)
{
    return fsync(fd);
}

int io_fdatasync(int fd)
{
    return fdatasync(fd);
}

int io_syncfs(int fd)
{
    return syncfs(fd);
}

int io_sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
    return sync_file_range(fd, offset, len, flags);
}

int io_fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fallocate(fd, mode, offset, len);
}

ssize_t io_getrandom(void *out, size_t len, unsigned flags)
{
    return getrandom(out, len, flags);
}

/* The parts of linux/stat.h that older headers lack (Linux 6.1). */
#define STATX_DIO_ALIGN 0x2000U

struct statx_v1 {
    uint32_t mask;
    uint32_t other[37];
    uint32_t memory_align;
    uint32_t offset_align;
    uint64_t spare[12];
};

_Static_assert(offsetof(struct statx_v1, memory_align) == 0x98 &&
                   sizeof(struct statx_v1) == 0x100,
               "struct statx is the kernel's");

int io_direct_align(int fd, uint32_t *out_memory, uint32_t *out_offset)
{
#ifdef SYS_statx
    struct statx_v1 st = {0};

    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIO_ALIGN, &st) != 0)
        return -1;
    if ((st.mask & STATX_DIO_ALIGN) != 0 && st.offset_align != 0) {
        *out_memory = st.memory_align;
        *out_offset = st.offset_align;
        return 0;
    }
    errno = EOPNOTSUPP;
#else
    (void)fd, (void)out_memory, (void)out_offset;
    errno = ENOSYS;
#endif
    return -1;
}

/* Errors of write-back, since Linux 5.8.  "6.1.0-18-amd64" is at least that; an
 * unreadable release counts as old. */
static bool kernel_reports(void)
{
    struct utsname name;
    unsigned long part[2] = {0, 0};
    const char *p;

    if (uname(&name) != 0)
        return false;
    p = name.release;
    for (int i = 0; i < 2; i++) {
        for (; *p >= '0' && *p <= '9' && part[i] < 100000; p++)
            part[i] = part[i] * 10 + (unsigned long)(*p - '0');
        if (*p == '.')
            p++;
    }
    return part[0] > 5 || (part[0] == 5 && part[1] >= 8);
}

/* overlayfs answers 0 whatever its upper layer has lost, and FUSE does not pass
 * the call on: only what is known to be better counts. */
bool io_syncfs_reports(int fd)
{
    struct os_file_system fs;

    return kernel_reports() && os_file_system(fd, &fs) == 0 && fs.syncs_whole;
}
