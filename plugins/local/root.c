/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root directory: opened when it is first needed, then held.  A configured
 * root is never made up, because an unmounted disk looks like a missing one;
 * `create` is for the engine's built-in default store.  The root itself may be
 * a symbolic link, resolved this once; nothing below it may.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "posix/io.h"
#include "posix/os.h"

#define WALK_FLAGS (OS_SEARCH | O_DIRECTORY | O_CLOEXEC)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int open_at(int dir_fd, const char *name, int flags)
{
    int fd;

    do
        fd = posix_io->openat(dir_fd, name, flags, 0);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        posix_io->close(fd);
}

/* fd may be open by OS_SEARCH only. */
static int sync_dir(int fd)
{
    int readable = open_at(fd, ".", DIR_FLAGS);
    int rc;

    if (readable < 0)
        return readable;
    rc = posix_io->fsync(readable) == 0 ? 0 : -errno;
    posix_io->close(readable);
    return rc;
}

/* The same for a directory that was there before us: another process may just
 * have made it; if we may not even read its parent, it was somebody else. */
static int sync_found(int fd)
{
    int rc = sync_dir(fd);

    return rc == -EACCES || rc == -EPERM || rc == -EROFS || rc == -EINVAL ? 0
                                                                          : rc;
}

static int set_mode(int fd, mode_t mode)
{
    struct stat st;
    int readable, rc = 0;

    if (posix_io->fstat(fd, &st) != 0)
        return -errno;
    if ((st.st_mode & 0777) == mode)
        return 0;
    readable = open_at(fd, ".", DIR_FLAGS);
    if (readable < 0)
        return readable;
    if (posix_io->fchmod(readable, (st.st_mode & 07000) | mode) != 0)
        rc = -errno;
    posix_io->close(readable);
    return rc;
}

/* The walk along the root's path. What exists has been synced into its parent
 * by whoever made the next one below it; so only the deepest is in doubt. */
struct descent {
    int parent; /* of at; -1 where at is "/" */
    int at;
    bool making; /* from here on everything is new */
};

static int make_next(struct descent *d, const char *name, mode_t mode)
{
    bool made;
    int next, rc = 0;

    if (!d->making && d->parent >= 0)
        rc = sync_found(d->parent);
    if (rc != 0)
        return rc;
    d->making = true;
    made = posix_io->mkdirat(d->at, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return -errno;
    next = open_at(d->at, name, WALK_FLAGS);
    if (next < 0)
        return next;
    if (made)
        rc = set_mode(next, mode);
    if (rc == 0)
        rc = sync_dir(d->at);
    if (rc != 0 && made)
        posix_io->unlinkat(d->at, name, AT_REMOVEDIR);
    if (rc != 0) {
        posix_io->close(next);
        return rc;
    }
    return next;
}

static int step(struct descent *d, const char *name, bool last, mode_t dir_mode)
{
    int next = open_at(d->at, name, WALK_FLAGS);

    if (next == -ENOENT)
        next = make_next(d, name, last ? dir_mode : 0700);
    if (next < 0)
        return next;
    close_fd(d->parent);
    d->parent = d->at;
    d->at = next;
    return 0;
}

/* Makes what is missing; 0 or the root's descriptor or -errno. */
static int make_root(const struct local_store *s)
{
    struct descent d = {.parent = -1, .at = -1};
    char name[NAME_MAX + 1];
    const char *p = s->root_path;
    int rc = 0;

    d.at = open_at(AT_FDCWD, "/", WALK_FLAGS);
    if (d.at < 0)
        return d.at;
    while (rc == 0) {
        size_t len;

        p += strspn(p, "/");
        len = strcspn(p, "/");
        if (len == 0)
            break;
        if (len > NAME_MAX) {
            rc = -ENAMETOOLONG;
            break;
        }
        memcpy(name, p, len);
        name[len] = '\0';
        p += len;
        rc = step(&d, name, p[strspn(p, "/")] == '\0', s->dir_mode);
    }
    if (rc == 0 && !d.making && d.parent >= 0)
        rc = sync_found(d.parent);
    if (rc == 0)
        rc = open_at(d.at, ".", DIR_FLAGS);
    close_fd(d.parent);
    close_fd(d.at);
    return rc;
}

static int32_t root_trouble(const struct local_store *s, int error,
                            bool for_write, struct persist_backend_error *err)
{
    if (error == ENOENT && s->create && !for_write)
        return status_set(err, PERSIST_BACKEND_NOT_FOUND,
                          "nothing has been saved in %.300s yet", s->root_path);
    if (error == ENOENT)
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "the root directory %.300s does not exist; an "
                          "unmounted disk looks like that: mount it, or make "
                          "the directory",
                          s->root_path);
    if (error == ENOTDIR || error == ELOOP)
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "the root %.300s is not a directory", s->root_path);
    return status_errno(err, error, "open the root directory", s->root_path);
}

/* /proc and its like: what is written there goes nowhere, or into the kernel.
 */
static int32_t check_holds_files(const struct local_store *s, int fd,
                                 struct persist_backend_error *err)
{
    struct os_file_system fs;

    if (os_file_system(fd, &fs) != 0 || !fs.synthetic)
        return PERSIST_BACKEND_OK;
    return status_set(err, PERSIST_BACKEND_CONFIG,
                      "the root %.300s is on a file system that cannot hold "
                      "files (%s): choose another directory",
                      s->root_path, fs.name);
}

/* Takes fd over, the first that is open on the root. */
static int32_t settle_root(struct local_store *s, int fd,
                           struct persist_backend_error *err)
{
    int32_t rc = check_holds_files(s, fd, err);

    if (rc == PERSIST_BACKEND_OK)
        s->root_fd = fd;
    else
        posix_io->close(fd);
    return rc;
}

int32_t root_get(struct local_store *s, bool for_write, int *out_fd,
                 struct persist_backend_error *err)
{
    int32_t rc = PERSIST_BACKEND_OK;
    int fd = 0;

    pthread_mutex_lock(&s->root_lock);
    if (s->create && for_write && !s->root_settled) {
        fd = make_root(s);
        s->root_settled = fd >= 0;
        if (fd >= 0 && s->root_fd >= 0)
            posix_io->close(fd); /* others hold the first one */
        else if (fd >= 0)
            rc = settle_root(s, fd, err);
    } else if (s->root_fd < 0) {
        fd = open_at(AT_FDCWD, s->root_path, DIR_FLAGS);
        if (fd >= 0)
            rc = settle_root(s, fd, err);
    }
    if (fd < 0)
        rc = root_trouble(s, -fd, for_write, err);
    *out_fd = s->root_fd;
    pthread_mutex_unlock(&s->root_lock);
    return rc;
}

bool root_is_gone(struct local_store *s)
{
    struct stat st;
    bool gone;

    pthread_mutex_lock(&s->root_lock);
    gone = s->root_fd >= 0 && posix_io->fstat(s->root_fd, &st) == 0 &&
           st.st_nlink == 0;
    pthread_mutex_unlock(&s->root_lock);
    return gone;
}

void root_close(struct local_store *s)
{
    if (s->root_fd >= 0)
        posix_io->close(s->root_fd);
    s->root_fd = -1;
}
