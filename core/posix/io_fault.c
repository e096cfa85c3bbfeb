/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: faults per kind of call, on top of the real calls.  It simulates
 * errors, never the effects of a disk: a failed write wrote nothing.
 */
#include "posix/io_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "posix/io.h"

#define MAX_FD 4096

struct fault {
    unsigned first, n; /* fails calls first .. first + n - 1; 0: none */
    int err;
    bool lost;
    atomic_uint calls;
    void (*hook)(void *ctx);
    void *hook_ctx;
};

static struct fault faults[IO_KINDS];
static atomic_size_t short_len;
static atomic_bool failed_fd[MAX_FD];
static atomic_uint resynced;

/* 1: to fail at once; 2: to fail after the effect; 0: not to fail. */
static int verdict(enum io_kind kind)
{
    struct fault *f = &faults[kind];
    unsigned call;

    if (f->hook != NULL)
        f->hook(f->hook_ctx);
    call = atomic_fetch_add(&f->calls, 1) + 1;
    if (f->first == 0 || call < f->first || call - f->first >= f->n)
        return 0;
    return f->lost ? 2 : 1;
}

static int fail(enum io_kind kind)
{
    errno = faults[kind].err;
    return -1;
}

static size_t cut(size_t len)
{
    size_t limit = atomic_load(&short_len);

    return limit != 0 && len > limit ? limit : len;
}

#define CALL(kind, expression)                                                 \
    do {                                                                       \
        int how_ = verdict(kind);                                              \
        if (how_ == 1)                                                         \
            return fail(kind);                                                 \
        if (how_ == 2) {                                                       \
            (void)!(expression);                                               \
            return fail(kind);                                                 \
        }                                                                      \
        return (expression);                                                   \
    } while (0)

static int fault_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    CALL(IO_OPENAT, posix_io_libc.openat(dir_fd, path, flags, mode));
}

static int fault_openat2(int dir_fd, const char *path, uint64_t flags,
                         uint64_t resolve)
{
    CALL(IO_OPENAT2, posix_io_libc.openat2(dir_fd, path, flags, resolve));
}

static int fault_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    CALL(IO_MKDIRAT, posix_io_libc.mkdirat(dir_fd, path, mode));
}

static int fault_close(int fd)
{
    int how = verdict(IO_CLOSE);
    int rc;

    if (fd >= 0 && fd < MAX_FD)
        atomic_store(&failed_fd[fd], false);
    rc = posix_io_libc.close(fd);
    return how != 0 ? fail(IO_CLOSE) : rc;
}

static ssize_t fault_read(int fd, void *out, size_t len)
{
    CALL(IO_READ, posix_io_libc.read(fd, out, cut(len)));
}

static ssize_t fault_write(int fd, const void *data, size_t len)
{
    CALL(IO_WRITE, posix_io_libc.write(fd, data, cut(len)));
}

static ssize_t fault_pread(int fd, void *out, size_t len, off_t offset)
{
    CALL(IO_PREAD, posix_io_libc.pread(fd, out, cut(len), offset));
}

static ssize_t fault_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    CALL(IO_PWRITE, posix_io_libc.pwrite(fd, data, cut(len), offset));
}

static void note_failed(int fd)
{
    if (fd >= 0 && fd < MAX_FD)
        atomic_store(&failed_fd[fd], true);
}

static int fault_fsync(int fd)
{
    if (fd >= 0 && fd < MAX_FD && atomic_load(&failed_fd[fd]))
        atomic_fetch_add(&resynced, 1);
    if (verdict(IO_FSYNC) != 0) {
        note_failed(fd);
        return fail(IO_FSYNC);
    }
    return posix_io_libc.fsync(fd);
}

static int fault_fdatasync(int fd)
{
    if (fd >= 0 && fd < MAX_FD && atomic_load(&failed_fd[fd]))
        atomic_fetch_add(&resynced, 1);
    if (verdict(IO_FDATASYNC) != 0) {
        note_failed(fd);
        return fail(IO_FDATASYNC);
    }
    return posix_io_libc.fdatasync(fd);
}

static int fault_syncfs(int fd)
{
    CALL(IO_SYNCFS, posix_io_libc.syncfs(fd));
}

static int fault_sync_file_range(int fd, off_t offset, off_t len,
                                 unsigned flags)
{
    if (verdict(IO_SYNC_FILE_RANGE) != 0) {
        int err = faults[IO_SYNC_FILE_RANGE].err;

        if (err == EIO || err == ENOSPC)
            note_failed(fd);
        return fail(IO_SYNC_FILE_RANGE);
    }
    return posix_io_libc.sync_file_range(fd, offset, len, flags);
}

static int fault_fallocate(int fd, int mode, off_t offset, off_t len)
{
    CALL(IO_FALLOCATE, posix_io_libc.fallocate(fd, mode, offset, len));
}

static int fault_ftruncate(int fd, off_t size)
{
    CALL(IO_FTRUNCATE, posix_io_libc.ftruncate(fd, size));
}

static int fault_fchmod(int fd, mode_t mode)
{
    CALL(IO_FCHMOD, posix_io_libc.fchmod(fd, mode));
}

static int fault_fstat(int fd, struct stat *out)
{
    CALL(IO_FSTAT, posix_io_libc.fstat(fd, out));
}

static int fault_fstatat(int dir_fd, const char *path, struct stat *out,
                         int flags)
{
    CALL(IO_FSTATAT, posix_io_libc.fstatat(dir_fd, path, out, flags));
}

static int fault_linkat(int from_fd, const char *from, int to_fd,
                        const char *to, int flags)
{
    CALL(IO_LINKAT, posix_io_libc.linkat(from_fd, from, to_fd, to, flags));
}

static int fault_renameat(int from_fd, const char *from, int to_fd,
                          const char *to)
{
    CALL(IO_RENAMEAT, posix_io_libc.renameat(from_fd, from, to_fd, to));
}

static int fault_renameat2(int from_fd, const char *from, int to_fd,
                           const char *to, unsigned flags)
{
    CALL(IO_RENAMEAT2,
         posix_io_libc.renameat2(from_fd, from, to_fd, to, flags));
}

static int fault_unlinkat(int dir_fd, const char *path, int flags)
{
    CALL(IO_UNLINKAT, posix_io_libc.unlinkat(dir_fd, path, flags));
}

static int fault_flock(int fd, int operation)
{
    CALL(IO_FLOCK, posix_io_libc.flock(fd, operation));
}

static ssize_t fault_getrandom(void *out, size_t len, unsigned flags)
{
    CALL(IO_GETRANDOM, posix_io_libc.getrandom(out, len, flags));
}

static int fault_direct_align(int fd, uint32_t *out_memory,
                              uint32_t *out_offset)
{
    CALL(IO_DIRECT_ALIGN,
         posix_io_libc.direct_align(fd, out_memory, out_offset));
}

static const struct posix_io fault_table = {
    .openat = fault_openat,
    .openat2 = fault_openat2,
    .mkdirat = fault_mkdirat,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .pread = fault_pread,
    .pwrite = fault_pwrite,
    .fsync = fault_fsync,
    .fdatasync = fault_fdatasync,
    .syncfs = fault_syncfs,
    .sync_file_range = fault_sync_file_range,
    .fallocate = fault_fallocate,
    .ftruncate = fault_ftruncate,
    .fchmod = fault_fchmod,
    .fstat = fault_fstat,
    .fstatat = fault_fstatat,
    .linkat = fault_linkat,
    .renameat = fault_renameat,
    .renameat2 = fault_renameat2,
    .unlinkat = fault_unlinkat,
    .flock = fault_flock,
    .getrandom = fault_getrandom,
    .direct_align = fault_direct_align,
};

static const char *const names[IO_KINDS] = {
    "openat",   "openat2",         "mkdirat",   "close",        "read",
    "write",    "pread",           "pwrite",    "fsync",        "fdatasync",
    "syncfs",   "sync_file_range", "fallocate", "ftruncate",    "fchmod",
    "fstat",    "fstatat",         "linkat",    "renameat",     "renameat2",
    "unlinkat", "flock",           "getrandom", "direct_align",
};

bool io_fault_lacks(enum io_kind kind)
{
    const struct posix_io *io = &posix_io_libc;
    int rc = 0;

    if (kind == IO_RENAMEAT2)
        rc = io->renameat2(-1, "a", -1, "b", RENAME_NOREPLACE);
    else if (kind == IO_SYNCFS)
        rc = io->syncfs(-1);
    else if (kind == IO_FALLOCATE)
        rc = io->fallocate(-1, FALLOC_FL_KEEP_SIZE, 0, 1);
    return rc != 0 && errno == ENOSYS;
}

#ifdef __linux__
bool io_fault_write_now(int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
#else
bool io_fault_write_now(int err)
{
    (void)err;
    return false;
}
#endif

const char *io_fault_name(enum io_kind kind)
{
    return names[kind];
}

void io_fault_clear(void)
{
    for (int i = 0; i < IO_KINDS; i++) {
        faults[i].first = faults[i].n = 0;
        faults[i].err = 0;
        faults[i].lost = false;
        faults[i].hook = NULL;
        atomic_store(&faults[i].calls, 0);
    }
    atomic_store(&short_len, 0);
    atomic_store(&resynced, 0);
}

void io_fault_install(void)
{
    io_fault_clear();
    for (int i = 0; i < MAX_FD; i++)
        atomic_store(&failed_fd[i], false);
    posix_io = &fault_table;
}

void io_fault_remove(void)
{
    posix_io = &posix_io_libc;
    io_fault_clear();
}

void io_fault_set(enum io_kind kind, unsigned nth, unsigned n, int err)
{
    struct fault *f = &faults[kind];

    f->first = nth == 0 ? 0 : atomic_load(&f->calls) + nth;
    f->n = n;
    f->err = err;
    f->lost = false;
}

void io_fault_set_lost(enum io_kind kind, unsigned nth, unsigned n, int err)
{
    io_fault_set(kind, nth, n, err);
    faults[kind].lost = true;
}

void io_fault_short(size_t len)
{
    atomic_store(&short_len, len);
}

unsigned io_fault_calls(enum io_kind kind)
{
    return atomic_load(&faults[kind].calls);
}

unsigned io_fault_total(void)
{
    unsigned sum = 0;

    for (int i = 0; i < IO_KINDS; i++)
        sum += atomic_load(&faults[i].calls);
    return sum;
}

unsigned io_fault_resynced(void)
{
    return atomic_load(&resynced);
}

void io_fault_before(enum io_kind kind, void (*hook)(void *ctx), void *ctx)
{
    faults[kind].hook_ctx = ctx;
    faults[kind].hook = hook;
}
