/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confined walk.  One openat2 where it works; else one openat per
 * component, never following a link.  It only ever opens and makes
 * directories and opens files for reading; writing files is durable.c.
 *
 * realpath-and-compare was not an option: it is a check before a use.
 */
#include "posix/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "posix/io.h"
#include "posix/os.h"

/* linux/openat2.h */
#define RESOLVE_CONFINED                                                       \
    (UINT64_C(0x02) /* NO_MAGICLINKS */ | UINT64_C(0x04) /* NO_SYMLINKS */ |   \
     UINT64_C(0x08) /* BENEATH */)

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define STEP_FLAGS (OS_SEARCH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define FILE_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* RESOLVE_BENEATH answers EAGAIN while anything on the machine is renamed or
 * mounted; after so many the walk by components takes over. */
#define EAGAIN_TRIES 64
/* How often a folder may vanish under one confine_make_dir. */
#define VANISH_TRIES 64

enum openat2_state { OPENAT2_UNKNOWN, OPENAT2_WORKS, OPENAT2_ABSENT };

static atomic_int openat2_state = OPENAT2_UNKNOWN;
static atomic_bool fallback_forced;

/* Asked once, on ".": there the answer can only be about the call itself. */
bool confine_uses_openat2(void)
{
    int state = atomic_load_explicit(&openat2_state, memory_order_relaxed);
    int fd;

    if (atomic_load_explicit(&fallback_forced, memory_order_relaxed))
        return false;
    if (state != OPENAT2_UNKNOWN)
        return state == OPENAT2_WORKS;
    do
        fd = posix_io->openat2(AT_FDCWD, ".", STEP_FLAGS, RESOLVE_CONFINED);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        posix_io->close(fd);
    /* A working directory that is unreachable tells nothing of openat2. */
    state = fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL)
                ? OPENAT2_WORKS
                : OPENAT2_ABSENT;
    atomic_store_explicit(&openat2_state, state, memory_order_relaxed);
    return state == OPENAT2_WORKS;
}

void confine_force_fallback(bool on)
{
    atomic_store(&fallback_forced, on);
    atomic_store(&openat2_state, OPENAT2_UNKNOWN);
}

/* The length of the component path starts with; 0: not acceptable. */
static size_t component_len(const char *path)
{
    size_t len = strcspn(path, "/");

    if (len > NAME_MAX || (len == 1 && path[0] == '.') ||
        (len == 2 && path[0] == '.' && path[1] == '.'))
        return 0;
    return len;
}

static int check_path(const char *path)
{
    const char *p = path;

    for (;;) {
        size_t len = component_len(p);

        if (len == 0)
            return strcspn(p, "/") > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
        if (p[len] == '\0')
            break;
        p += len + 1;
    }
    return strlen(path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int open_once(int dir_fd, const char *path, int flags, int *out_fd)
{
    int fd;

    do
        fd = posix_io->openat(dir_fd, path, flags, 0);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *out_fd = fd;
    return 0;
}

/* component by component */
static int walk_open(int root_fd, const char *path, int flags, int *out_fd)
{
    char name[NAME_MAX + 1];
    int at = root_fd, next = -1, rc = 0;

    for (const char *p = path; rc == 0 && p != NULL;) {
        size_t len = component_len(p);
        bool last = p[len] == '\0';

        memcpy(name, p, len);
        name[len] = '\0';
        rc = open_once(at, name, last ? flags : STEP_FLAGS, &next);
        if (at != root_fd)
            posix_io->close(at);
        at = next;
        p = last ? NULL : p + len + 1;
    }
    if (rc == 0)
        *out_fd = at;
    return rc;
}

/* path has been checked */
static int confined_open(int root_fd, const char *path, int flags, int *out_fd)
{
    if (!confine_uses_openat2())
        return walk_open(root_fd, path, flags, out_fd);
    for (int i = 0; i < EAGAIN_TRIES; i++) {
        int fd =
            posix_io->openat2(root_fd, path, (uint64_t)flags, RESOLVE_CONFINED);

        if (fd >= 0) {
            *out_fd = fd;
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return walk_open(root_fd, path, flags, out_fd);
}

int confine_open_dir(int root_fd, const char *path, int *out_fd)
{
    int rc;

    if (path[0] == '\0')
        return open_once(root_fd, ".", DIR_FLAGS, out_fd);
    rc = check_path(path);
    return rc != 0 ? rc : confined_open(root_fd, path, DIR_FLAGS, out_fd);
}

int confine_stat_dir(int root_fd, const char *path, struct stat *out)
{
    int fd = -1;
    int rc = check_path(path);

    if (rc == 0)
        rc = confined_open(root_fd, path, STEP_FLAGS, &fd);
    if (rc != 0)
        return rc;
    if (posix_io->fstat(fd, out) != 0)
        rc = -errno;
    posix_io->close(fd);
    return rc;
}

int confine_open_file(int root_fd, const char *path, int *out_fd)
{
    struct stat st;
    int fd = -1;
    int rc = check_path(path);

    if (rc == 0)
        rc = confined_open(root_fd, path, FILE_FLAGS, &fd);
    if (rc == -ENXIO) /* a socket, or a device without a driver */
        rc = -EINVAL;
    if (rc != 0)
        return rc;
    if (posix_io->fstat(fd, &st) != 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (rc != 0)
        posix_io->close(fd);
    else
        *out_fd = fd;
    return rc;
}

/* mkdir obeys the umask; the set-group-id bit a parent passes on stays. */
static int set_dir_mode(int fd, mode_t mode)
{
    struct stat st;

    if (posix_io->fstat(fd, &st) != 0)
        return -errno;
    if ((st.st_mode & 0777) == mode)
        return 0;
    return posix_io->fchmod(fd, (st.st_mode & 07000) | mode) == 0 ? 0 : -errno;
}

/*
 * One folder in parent_fd: there when this returns, and its name on the
 * medium.
 */
static int make_step(int parent_fd, const char *name, mode_t mode, int *out_fd)
{
    bool made = posix_io->mkdirat(parent_fd, name, 0700) == 0;
    int fd = -1, rc = 0;

    if (!made && errno != EEXIST)
        return -errno;
    rc = open_once(parent_fd, name, DIR_FLAGS, &fd);
    if (rc == 0 && made)
        rc = set_dir_mode(fd, mode);
    if (rc == 0 && posix_io->fsync(parent_fd) != 0)
        rc = -errno;
    if (rc == 0) {
        *out_fd = fd;
        return 0;
    }
    if (made)
        posix_io->unlinkat(parent_fd, name, AT_REMOVEDIR);
    if (fd >= 0)
        posix_io->close(fd);
    return rc;
}

static int make_walk(int root_fd, const char *path, mode_t mode, int *out_fd)
{
    char name[NAME_MAX + 1];
    int at = -1, rc = open_once(root_fd, ".", DIR_FLAGS, &at);

    for (const char *p = path; rc == 0 && p != NULL;) {
        size_t len = component_len(p);
        int next = -1;

        memcpy(name, p, len);
        name[len] = '\0';
        rc = make_step(at, name, mode, &next);
        posix_io->close(at);
        at = next;
        p = p[len] == '\0' ? NULL : p + len + 1;
    }
    if (rc == 0)
        *out_fd = at;
    return rc;
}

int confine_make_dir(int root_fd, const char *path, mode_t mode, int *out_fd)
{
    int rc = path[0] == '\0' ? confine_open_dir(root_fd, path, out_fd)
                             : check_path(path);

    if (rc != 0 || path[0] == '\0')
        return rc;
    rc = -ENOENT;
    for (int i = 0; i < VANISH_TRIES && rc == -ENOENT; i++)
        rc = make_walk(root_fd, path, mode, out_fd);
    return rc;
}

mode_t confine_obstacle(int root_fd, const char *path)
{
    char name[NAME_MAX + 1];
    struct stat st;
    int at = root_fd, next = -1;
    mode_t found = 0;

    if (check_path(path) != 0)
        return 0;
    for (const char *p = path; p != NULL;) {
        size_t len = component_len(p);

        memcpy(name, p, len);
        name[len] = '\0';
        p = p[len] == '\0' ? NULL : p + len + 1;
        if (posix_io->fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            break;
        if (!S_ISDIR(st.st_mode)) {
            found = st.st_mode;
            break;
        }
        if (p == NULL || open_once(at, name, STEP_FLAGS, &next) != 0)
            break;
        if (at != root_fd)
            posix_io->close(at);
        at = next;
    }
    if (at != root_fd)
        posix_io->close(at);
    return found;
}
