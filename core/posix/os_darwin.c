/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.h on macOS.  Compiled with Apple's headers by tests/platforms/macos; what
 * has been run, and what not, docs/platforms.md says.
 */
#define __STDC_WANT_LIB_EXT1__ 1 /* memset_s */
#include "posix/os_posix.h"

#include <crt_externs.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <string.h>
#include <sys/event.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "posix/wakeup.h"

#define NS_PER_S 1000000000U
#define NS_PER_MS 1000000U

/* -------------------------------------------------------------------- time */

/* Apple's CLOCK_MONOTONIC goes on while the machine sleeps. */
uint64_t os_boot_ns(void)
{
    return os_monotonic_ns();
}

void os_boot_id(char *out, size_t cap)
{
    size_t len = cap;

    if (sysctlbyname("kern.bootsessionuuid", out, &len, NULL, 0) != 0)
        out[0] = '\0';
    out[cap - 1] = '\0';
}

/* There is no ppoll: in milliseconds, never shorter than asked for. */
int os_poll(struct pollfd *fds, unsigned n, uint64_t timeout_ns)
{
    uint64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);

    return poll(fds, n, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* ----------------------------------------------------------------- threads */

int os_cond_init(pthread_cond_t *cond)
{
    return pthread_cond_init(cond, NULL);
}

/* Conditions know the wall clock alone, or how long to wait from now. */
int os_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                       uint64_t until_ns)
{
    uint64_t now = os_monotonic_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec t = {.tv_sec = (time_t)(left / NS_PER_S),
                         .tv_nsec = (long)(left % NS_PER_S)};

    return pthread_cond_timedwait_relative_np(cond, mutex, &t);
}

bool os_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns)
{
    return os_posix_park(word, seen, at_most_ns);
}

void os_unpark(const atomic_uint *word)
{
    os_posix_unpark(word);
}

void os_name_thread(const char *name)
{
    pthread_setname_np(name);
}

/* ----------------------------------------------------------------- secrets */

void os_wipe(void *memory, size_t len)
{
    memset_s(memory, len, 0, len);
}

/* No page can be told apart: os_forbid_dumps is all there is. */
void os_hide_from_dumps(void *pages, size_t len)
{
    (void)pages, (void)len;
}

void os_forbid_dumps(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
}

/* --------------------------------------------------------------- processes */

bool os_is_privileged(void)
{
    return issetugid() != 0;
}

/* A dynamic library has no `environ` of its own. */
char **os_environment(void)
{
    return *_NSGetEnviron();
}

bool os_umask(mode_t *out)
{
    (void)out; /* umask() would change it for every thread */
    return false;
}

const char *os_program_path(char *buf, size_t cap)
{
    uint32_t len = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX;

    return _NSGetExecutablePath(buf, &len) == 0 ? buf : NULL;
}

/* pipe2 came with macOS 27. A fork in another thread between the two calls
 * takes the ends along. */
int os_pipe(int out_fds[2])
{
    if (pipe(out_fds) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        if (fcntl(out_fds[i], F_SETFD, FD_CLOEXEC) != 0) {
            int error = errno;

            close(out_fds[0]);
            close(out_fds[1]);
            return -error;
        }
    }
    return 0;
}

/* There is no SOCK_CLOEXEC: as with os_pipe. */
int os_socket(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);

    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

void os_close_from(int first)
{
    os_posix_close_from(first);
}

int os_spawn_close_from(posix_spawn_file_actions_t *actions, int first)
{
    return os_posix_spawn_close_from(actions, first);
}

const char *os_error_text(int error, char *scratch, size_t cap)
{
    if (strerror_r(error, scratch, cap) != 0)
        (void)snprintf(scratch, cap, "error %d", error);
    return scratch;
}

/* ------------------------------------------------------------------- files */

struct timespec os_modified(const struct stat *st)
{
    return st->st_mtimespec;
}

int os_file_system(int fd, struct os_file_system *out)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return -errno;
    *out = (struct os_file_system){.remote = (fs.f_flags & MNT_LOCAL) == 0,
                                   .free_bytes =
                                       (uint64_t)fs.f_bavail * fs.f_bsize};
    (void)snprintf(out->name, sizeof(out->name), "%s", fs.f_fstypename);
    return 0;
}

/* A pipe grows by itself. */
void os_widen_pipe(int fd)
{
    (void)fd;
}

ssize_t os_write_now(int fd, const struct iovec *pieces, int n_pieces)
{
    struct msghdr message = {.msg_iov = (struct iovec *)pieces,
                             .msg_iovlen = n_pieces};
    ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT);

    if (n >= 0)
        return n;
    return errno == ENOTSOCK ? -ENOTSUP : -errno;
}

int os_socket_queued(int fd)
{
    int queued = 0;
    socklen_t len = sizeof(queued);

    return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &queued, &len) == 0 ? queued
                                                                     : 0;
}

/* ----------------------------------------------------------------- wake-ups */

int wakeup_either(int fd, int other_fd)
{
    int both = kqueue(), rc = 0;
    struct kevent changes[2];

    if (both < 0)
        return -errno;
    EV_SET(&changes[0], (uintptr_t)fd, EVFILT_READ, EV_ADD, 0, 0, NULL);
    EV_SET(&changes[1], (uintptr_t)other_fd, EVFILT_READ, EV_ADD, 0, 0, NULL);
    if (fcntl(both, F_SETFD, FD_CLOEXEC) != 0 ||
        kevent(both, changes, 2, NULL, 0, NULL) != 0)
        rc = -errno;
    if (rc != 0)
        close(both);
    return rc != 0 ? rc : both;
}
