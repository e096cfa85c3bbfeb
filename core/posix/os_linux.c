/* SPDX-License-Identifier: Apache-2.0 */
/* os.h on Linux, glibc and musl. */
#include "posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "posix/wakeup.h"

#define NS_PER_S 1000000000U
#define NO_WAIT 8L /* RWF_NOWAIT, which old headers lack */

/* -------------------------------------------------------------------- time */

/* A kernel without CLOCK_BOOTTIME has CLOCK_MONOTONIC. */
uint64_t os_boot_ns(void)
{
    struct timespec t = {0};

    if (clock_gettime(CLOCK_BOOTTIME, &t) != 0)
        return os_monotonic_ns();
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* At most cap - 1 bytes of a file of /proc, and a NUL behind them. */
static size_t read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? 0 : 1;

    while (n > 0 && len < cap - 1) {
        do
            n = read(fd, out + len, cap - 1 - len);
        while (n < 0 && errno == EINTR);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    out[len] = '\0';
    return len;
}

void os_boot_id(char *out, size_t cap)
{
    read_text("/proc/sys/kernel/random/boot_id", out, cap);
    out[strcspn(out, "\n")] = '\0';
}

int os_poll(struct pollfd *fds, unsigned n, uint64_t timeout_ns)
{
    struct timespec t = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                         .tv_nsec = (long)(timeout_ns % NS_PER_S)};

    return ppoll(fds, n, &t, NULL);
}

/* ----------------------------------------------------------------- threads */

int os_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0)
        return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

int os_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                       uint64_t until_ns)
{
    struct timespec t = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                         .tv_nsec = (long)(until_ns % NS_PER_S)};

    return pthread_cond_timedwait(cond, mutex, &t);
}

#if defined(PERSIST_PORTABLE)
bool os_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns)
{
    return os_posix_park(word, seen, at_most_ns);
}

void os_unpark(const atomic_uint *word)
{
    os_posix_unpark(word);
}
#else
/* The call's own times, whatever the C library's are. */
#ifdef SYS_futex
typedef __kernel_long_t futex_time;
#else /* 32-bit systems younger than 2038 */
#define SYS_futex SYS_futex_time64
typedef int64_t futex_time;
#endif

/* EAGAIN and EINTR are the caller's loop's business. */
bool os_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns)
{
    const futex_time t[2] = {(futex_time)(at_most_ns / NS_PER_S),
                             (futex_time)(at_most_ns % NS_PER_S)};

    return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, t, NULL, 0) ==
               0 ||
           errno != ETIMEDOUT;
}

void os_unpark(const atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#endif

void os_name_thread(const char *name)
{
    prctl(PR_SET_NAME, name);
}

/* ----------------------------------------------------------------- secrets */

void os_wipe(void *memory, size_t len)
{
    explicit_bzero(memory, len);
}

void os_hide_from_dumps(void *pages, size_t len)
{
    (void)madvise(pages, len, MADV_DONTDUMP);
}

void os_forbid_dumps(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* --------------------------------------------------------------- processes */

bool os_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

char **os_environment(void)
{
    return environ;
}

/* The octal digits behind "Umask:", which asking by umask() would change. */
bool os_umask(mode_t *out)
{
    char text[4096];
    mode_t mask = 0;
    size_t n = 0;

    read_text("/proc/self/status", text, sizeof(text));
    const char *at = strstr(text, "\nUmask:");
    if (at == NULL)
        return false;
    at += strlen("\nUmask:");
    at += strspn(at, "\t ");
    for (; at[n] >= '0' && at[n] <= '7' && n < 4; n++)
        mask = (mode_t)(mask << 3 | (mode_t)(at[n] - '0'));
    *out = mask & 0777;
    return n > 0;
}

const char *os_program_path(char *buf, size_t cap)
{
    (void)snprintf(buf, cap, "/proc/self/exe"); /* execve follows it */
    return buf;
}

int os_pipe(int out_fds[2])
{
    return pipe2(out_fds, O_CLOEXEC) == 0 ? 0 : -errno;
}

int os_socket(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);

    return fd < 0 ? -errno : fd;
}

void os_close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
#endif
    os_posix_close_from(first);
}

int os_spawn_close_from(posix_spawn_file_actions_t *actions, int first)
{
#ifdef __GLIBC__
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
#else /* musl */
    return os_posix_spawn_close_from(actions, first);
#endif
}

const char *os_error_text(int error, char *scratch, size_t cap)
{
#ifdef __GLIBC__
    const char *text = strerrordesc_np(error);

    if (text != NULL)
        return text;
#else /* musl: the function of POSIX whatever the feature macros */
    if (strerror_r(error, scratch, cap) == 0)
        return scratch;
#endif
    (void)snprintf(scratch, cap, "error %d", error);
    return scratch;
}

/* ------------------------------------------------------------------- files */

struct timespec os_modified(const struct stat *st)
{
    return st->st_mtim;
}

/* What a kind of file system is like. */
enum { REMOTE = 1, VOLATILE = 2, SYNTHETIC = 4, SYNCS_WHOLE = 8 };

/* linux/magic.h, and those it lacks. */
static const struct {
    uint64_t magic;
    const char *name;
    unsigned is;
} file_systems[] = {
    {0xef53, "ext4", SYNCS_WHOLE},
    {0x58465342, "xfs", SYNCS_WHOLE},
    {0x9123683e, "btrfs", SYNCS_WHOLE},
    {0x2fc12fc1, "zfs", 0},
    {0xf2f52010, "f2fs", SYNCS_WHOLE},
    {0x01021994, "tmpfs", VOLATILE},
    {0x858458f6, "ramfs", VOLATILE},
    {0x794c7630, "overlayfs", 0},
    {0x4d44, "vfat", 0},
    {0x2011bab0, "exfat", 0},
    {0x5346544e, "ntfs", 0},
    {0x6969, "nfs", REMOTE},
    {0xff534d42, "cifs", REMOTE},
    {0xfe534d42, "smb", REMOTE},
    {0x65735546, "fuse", REMOTE},
    {0x01021997, "9p", REMOTE},
    {0x00c36400, "ceph", REMOTE},
    {0x9fa0, "proc", SYNTHETIC},
    {0x62656572, "sysfs", SYNTHETIC},
    {0x27e0eb, "cgroup", SYNTHETIC},
    {0x63677270, "cgroup2", SYNTHETIC},
    {0x1cd1, "devpts", SYNTHETIC},
    {0x64626720, "debugfs", SYNTHETIC},
    {0x74726163, "tracefs", SYNTHETIC},
    {0x73636673, "securityfs", SYNTHETIC},
    {0x62656570, "configfs", SYNTHETIC},
    {0xcafe4a11, "bpf", SYNTHETIC},
    {0x6165676c, "pstore", SYNTHETIC},
    {0xde5e81e4, "efivarfs", SYNTHETIC},
    {0x42494e4d, "binfmt_misc", SYNTHETIC},
    {0x19800202, "mqueue", SYNTHETIC},
    {0xf97cff8c, "selinuxfs", SYNTHETIC},
};

int os_file_system(int fd, struct os_file_system *out)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return -errno;
    *out = (struct os_file_system){.free_bytes = (uint64_t)fs.f_bavail *
                                                 (uint64_t)fs.f_bsize};
    (void)snprintf(out->name, sizeof(out->name), "type 0x%jx",
                   (uintmax_t)fs.f_type & 0xffffffff);
    for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]);
         i++) {
        if (file_systems[i].magic != ((uint64_t)fs.f_type & 0xffffffff))
            continue;
        (void)snprintf(out->name, sizeof(out->name), "%s",
                       file_systems[i].name);
        out->remote = file_systems[i].is & REMOTE;
        out->volatile_ = file_systems[i].is & VOLATILE;
        out->synthetic = file_systems[i].is & SYNTHETIC;
        out->syncs_whole = file_systems[i].is & SYNCS_WHOLE;
    }
    return 0;
}

void os_widen_pipe(int fd)
{
    enum { WIDE = 1 << 20 }; /* what an unprivileged process may ask for */
    int now = fcntl(fd, F_GETPIPE_SZ);

    if (now > 0 && now < WIDE)
        (void)fcntl(fd, F_SETPIPE_SZ, WIDE);
}

/* Pipes: Linux 6.5; sockets: long ago; terminals never.  Sandboxes may refuse
 * it where they permit write. */
ssize_t os_write_now(int fd, const struct iovec *pieces, int n_pieces)
{
    long n =
        syscall(SYS_pwritev2, fd, pieces, (long)n_pieces, -1L, -1L, NO_WAIT);

    if (n >= 0)
        return n;
    return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL ||
                   errno == ESPIPE || errno == EPERM
               ? -ENOTSUP
               : -errno;
}

int os_socket_queued(int fd)
{
    int queued = 0;

    return ioctl(fd, SIOCOUTQ, &queued) == 0 ? queued : 0;
}

/* ----------------------------------------------------------------- wake-ups */

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int wakeup_either(int fd, int other_fd)
{
    int both = epoll_create1(EPOLL_CLOEXEC);
    int rc = both < 0 ? -errno : watch(both, fd);

    if (rc == 0)
        rc = watch(both, other_fd);
    if (rc != 0 && both >= 0)
        close(both);
    return rc != 0 ? rc : both;
}
