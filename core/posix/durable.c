/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable write, step by step as durability.md numbers it.
 *
 *     begin    O_TMPFILE ----------------.          or .persist-tmp.<random>
 *     settle   ftruncate, fchmod         |                  |
 *     sync     fsync, once               |                  |
 *     link     linkat(AT_EMPTY_PATH)     |   linkat(temp) + unlink(temp)
 *              linkat(/proc/self/fd/N)   |   renameat2(NOREPLACE)
 *              copy into a named one ----'-> renameat (replace)
 *     close    EIO, ENOSPC, EDQUOT count
 *     sync     fsync(dir)
 *
 * It creates no directories (confine.c), knows no keys, retries no fsync, and
 * never looks whether a name is free before taking it: only the one call that
 * takes it decides.
 */
#include "posix/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/io.h"

#define TEMP_TRIES 64
#define COPY_CHUNK 16384

/* Learnt once per process; wrong guesses cost a system call, nothing else. */
static atomic_int unnamed_usable = -1; /* -1: not known */
static atomic_bool proc_first;         /* AT_EMPTY_PATH is not permitted */

void durable_forget(void)
{
    atomic_store(&unnamed_usable, -1);
    atomic_store(&proc_first, false);
}

static int check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return 0;
}

/* ------------------------------------------------------------------- begin */

/* Without /proc an unprivileged process could not give the file a name. */
static bool want_unnamed(void)
{
    int usable = atomic_load_explicit(&unnamed_usable, memory_order_relaxed);
    struct stat st;

    if (IO_UNNAMED == 0)
        return false;
    if (usable < 0) {
        usable = posix_io->fstatat(AT_FDCWD, "/proc/self/fd", &st, 0) == 0;
        atomic_store_explicit(&unnamed_usable, usable, memory_order_relaxed);
    }
    return usable != 0;
}

static int open_file(int dir_fd, const char *name, int flags)
{
    int fd;

    do
        fd = posix_io->openat(dir_fd, name, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* What file systems and kernels without O_TMPFILE answer. */
static bool lacks_unnamed(int rc)
{
    return rc == -EOPNOTSUPP || rc == -EISDIR || rc == -EINVAL || rc == -ENOSYS;
}

static int random_name(char out[48])
{
    unsigned char bytes[16];
    size_t at = sizeof(DURABLE_TEMP_PREFIX) - 1;
    ssize_t n;

    do
        n = posix_io->getrandom(bytes, sizeof(bytes), 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n != (ssize_t)sizeof(bytes))
        return -EIO;
    memcpy(out, DURABLE_TEMP_PREFIX, at);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[at++] = "0123456789abcdef"[bytes[i] >> 4];
        out[at++] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[at] = '\0';
    return 0;
}

/* The lock tells cleaners that somebody lives here.  False: a cleaner was
 * faster, and the name is gone or about to be. */
static bool lock_temp(int fd)
{
    struct stat st;

    if (posix_io->flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno != EWOULDBLOCK; /* no locks here: cleaners get none too */
    return posix_io->fstat(fd, &st) != 0 || st.st_nlink != 0;
}

static int open_named(struct durable_write *w)
{
    for (int i = 0; i < TEMP_TRIES; i++) {
        int rc = random_name(w->temp_name);

        if (rc == 0)
            rc = open_file(w->dir_fd, w->temp_name,
                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
        if (rc == -EEXIST)
            continue;
        if (rc < 0) {
            w->temp_name[0] = '\0';
            return rc;
        }
        w->fd = rc;
        if (lock_temp(w->fd))
            return 0;
        durable_discard(w);
    }
    w->temp_name[0] = '\0';
    return -EAGAIN;
}

/* ext4 answers EPERM to O_TMPFILE in a directory that has been removed. */
static int removed_or(int dir_fd, int rc)
{
    struct stat st;

    if (rc == -EPERM && posix_io->fstat(dir_fd, &st) == 0 && st.st_nlink == 0)
        return -ENOENT;
    return rc;
}

int durable_begin(struct durable_write *w, int dir_fd, mode_t mode,
                  bool replace)
{
    memset(w, 0, sizeof(*w));
    w->dir_fd = dir_fd;
    w->fd = -1;
    w->mode = mode & 0777;
    if (!replace && want_unnamed()) {
        int rc = open_file(dir_fd, ".", IO_UNNAMED | O_RDWR);

        if (rc >= 0) {
            w->fd = rc;
            w->unnamed = true;
            return 0;
        }
        if (!lacks_unnamed(rc))
            return removed_or(dir_fd, rc);
    }
    return open_named(w);
}

/* ------------------------------------------------------------------- bytes */

int durable_reserve(struct durable_write *w, uint64_t size)
{
    int rc;

    if (size == 0)
        return 0;
    if (size > INT64_MAX)
        return -EFBIG;
    do
        rc = posix_io->fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) {
        w->reserved = size;
        return 0;
    }
    return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

int durable_write_at(struct durable_write *w, const void *data, size_t len,
                     uint64_t offset)
{
    if (w->synced)
        return -EINVAL; /* these bytes would be acknowledged, not synced */
    return file_write_all_at(w->fd, data, len, offset);
}

int durable_write_back(struct durable_write *w, uint64_t offset, uint64_t len,
                       bool wait)
{
    unsigned flags = SYNC_FILE_RANGE_WRITE;

    if (atomic_load(&w->sync_failed))
        return -EIO;
    if (wait)
        flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (len == 0 ||
        posix_io->sync_file_range(w->fd, (off_t)offset, (off_t)len, flags) == 0)
        return 0;
    if (errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP ||
        errno == ESPIPE || errno == EINTR)
        return 0; /* not offered, or not finished: fsync does it all */
    /* The kernel reports a lost page once per descriptor, and this was it. */
    atomic_store(&w->sync_failed, true);
    return -errno;
}

int durable_flush(struct durable_write *w)
{
    if (atomic_load(&w->sync_failed))
        return -EIO;
    if (posix_io->fdatasync(w->fd) == 0)
        return 0;
    atomic_store(&w->sync_failed, true);
    return -errno;
}

int durable_settle(struct durable_write *w, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    if (posix_io->fstat(w->fd, &w->st) != 0)
        return -errno;
    if ((uint64_t)w->st.st_size != size || w->reserved > size) {
        int rc;

        do
            rc = posix_io->ftruncate(w->fd, (off_t)size);
        while (rc != 0 && errno == EINTR);
        if (rc != 0 || posix_io->fstat(w->fd, &w->st) != 0)
            return -errno;
        w->reserved = 0;
    }
    /* Only under a strange umask, or where more than 0600 is asked for. */
    if ((w->st.st_mode & 07777) != w->mode &&
        posix_io->fchmod(w->fd, w->mode) != 0)
        return -errno;
    return 0;
}

int durable_sync(struct durable_write *w)
{
    if (atomic_load(&w->sync_failed))
        return -EIO;
    if (posix_io->fsync(w->fd) != 0) {
        atomic_store(&w->sync_failed, true);
        return -errno;
    }
    w->synced = true;
    return 0;
}

void durable_mark_synced(struct durable_write *w)
{
    if (!atomic_load(&w->sync_failed))
        w->synced = true;
}

/* -------------------------------------------------------------------- link */

/*
 * After a failed link or rename: did it happen all the same?  An answer lost on
 * the way (NFS) makes the repeated request fail.  The inode is held open by us,
 * so its number cannot be anybody else's; a link count of 2, the usual test,
 * is also what a backup that links files makes of a foreign winner's loser.
 */
static bool name_is_ours(const struct durable_write *w, const char *name)
{
    struct stat st;

    return posix_io->fstatat(w->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino == w->st.st_ino && st.st_dev == w->st.st_dev;
}

/* Errors that speak of the way of linking, not of the name or the medium. */
static bool cannot_link(int rc)
{
    switch (-rc) {
    case EPERM:
    case EACCES:
    case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP /* macOS */
    case ENOTSUP:
#endif
    case ENOSYS:
    case EINVAL:
    case EXDEV:
    case EMLINK:
    case ENOENT:
        return true;
    default:
        return false;
    }
}

static int link_by_fd(const struct durable_write *w, const char *name)
{
    return posix_io->linkat(w->fd, "", w->dir_fd, name, AT_EMPTY_PATH) == 0
               ? 0
               : -errno;
}

static int link_by_proc(const struct durable_write *w, const char *name)
{
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
    return posix_io->linkat(AT_FDCWD, path, w->dir_fd, name,
                            AT_SYMLINK_FOLLOW) == 0
               ? 0
               : -errno;
}

/* A name for the O_TMPFILE file. ENOENT from AT_EMPTY_PATH: no permission. */
static int link_unnamed(const struct durable_write *w, const char *name)
{
    int rc;

    if (!atomic_load_explicit(&proc_first, memory_order_relaxed)) {
        rc = link_by_fd(w, name);
        if (!cannot_link(rc))
            return rc;
        rc = link_by_proc(w, name);
        if (rc == 0 || rc == -EEXIST)
            atomic_store_explicit(&proc_first, true, memory_order_relaxed);
        return rc;
    }
    rc = link_by_proc(w, name);
    return cannot_link(rc) ? link_by_fd(w, name) : rc;
}

static int copy_bytes(int from, struct durable_write *to, uint64_t size)
{
    char chunk[COPY_CHUNK];
    uint64_t done = 0;

    while (done < size) {
        size_t len = 0;
        int rc = file_read_at(from, chunk, sizeof(chunk), done, &len);

        if (rc == 0 && len == 0)
            rc = -EIO;
        if (rc == 0)
            rc = durable_write_at(to, chunk, len, done);
        if (rc != 0)
            return rc;
        done += len;
    }
    return 0;
}

/* The O_TMPFILE file cannot be linked here after all: on as a named one. */
static int copy_into_named(struct durable_write *w)
{
    struct durable_write named = *w;
    int rc;

    named.fd = -1;
    named.unnamed = false;
    named.synced = false;
    rc = open_named(&named);
    if (rc == 0)
        rc = copy_bytes(w->fd, &named, (uint64_t)w->st.st_size);
    if (rc == 0)
        rc = durable_settle(&named, (uint64_t)w->st.st_size);
    if (rc == 0)
        rc = durable_sync(&named);
    if (rc != 0) {
        durable_discard(&named);
        return rc;
    }
    atomic_store_explicit(&unnamed_usable, 0, memory_order_relaxed);
    posix_io->close(w->fd);
    *w = named;
    return 0;
}

static void drop_temp(struct durable_write *w)
{
    if (posix_io->unlinkat(w->dir_fd, w->temp_name, 0) == 0 || errno == ENOENT)
        w->temp_name[0] = '\0';
}

static int rename_temp(struct durable_write *w, const char *name, bool replace)
{
    int rc = replace
                 ? posix_io->renameat(w->dir_fd, w->temp_name, w->dir_fd, name)
                 : posix_io->renameat2(w->dir_fd, w->temp_name, w->dir_fd, name,
                                       RENAME_NOREPLACE);

    if (rc != 0)
        rc = -errno;
    if (!replace && (rc == -EINVAL || rc == -ENOSYS))
        return -EOPNOTSUPP; /* neither hard links nor this: no safe way */
    if (rc == 0)
        w->temp_name[0] = '\0';
    return rc;
}

static int link_new(struct durable_write *w, const char *name)
{
    int rc;

    if (w->unnamed) {
        rc = link_unnamed(w, name);
        if (!cannot_link(rc))
            return rc;
        rc = copy_into_named(w);
        if (rc != 0)
            return rc;
    }
    if (posix_io->linkat(w->dir_fd, w->temp_name, w->dir_fd, name, 0) == 0)
        return 0;
    rc = -errno;
    return cannot_link(rc) && rc != -ENOENT ? rename_temp(w, name, false) : rc;
}

static int link_over(struct durable_write *w, const char *name)
{
    int rc;

    if (w->unnamed) { /* begin was told otherwise: give it a name to move */
        rc = random_name(w->temp_name);
        (void)posix_io->flock(w->fd, LOCK_EX | LOCK_NB);
        if (rc == 0)
            rc = link_unnamed(w, w->temp_name);
        if (rc != 0)
            w->temp_name[0] = '\0';
        if (cannot_link(rc))
            rc = copy_into_named(w);
        if (rc != 0)
            return rc;
        w->unnamed = false;
    }
    return rename_temp(w, name, true);
}

/* EINTR and EBADF have nothing to say of the bytes. */
static int close_written(struct durable_write *w)
{
    int rc = posix_io->close(w->fd);

    w->fd = -1;
    if (rc == 0 || (errno != EIO && errno != ENOSPC && errno != EDQUOT))
        return 0;
    w->dir_errno = errno;
    return DURABLE_NOT_SYNCED;
}

int durable_link(struct durable_write *w, const char *name,
                 enum durable_how how)
{
    int rc = check_name(name);

    if (rc == 0 && !w->synced)
        rc = -EIO;
    if (rc != 0)
        return rc;
    rc = how == DURABLE_REPLACE ? link_over(w, name) : link_new(w, name);
    if (rc != 0 && !name_is_ours(w, name))
        return rc;
    w->published = true;
    if (w->temp_name[0] != '\0')
        drop_temp(w);
    return close_written(w);
}

int durable_publish(struct durable_write *w, const char *name,
                    enum durable_how how, uint64_t size)
{
    int rc = w->synced ? 0 : durable_settle(w, size);

    if (rc == 0 && !w->synced)
        rc = durable_sync(w);
    if (rc == 0)
        rc = durable_link(w, name, how);
    if (rc < 0)
        return rc;
    if (posix_io->fsync(w->dir_fd) != 0) {
        w->dir_errno = errno;
        rc = DURABLE_NOT_SYNCED;
    }
    return rc;
}

void durable_discard(struct durable_write *w)
{
    if (w->temp_name[0] != '\0')
        drop_temp(w);
    if (w->fd >= 0)
        posix_io->close(w->fd);
    w->temp_name[0] = '\0';
    w->fd = -1;
}

/* ------------------------------------------------- directories and leftovers
 */

int durable_sync_dir(int dir_fd)
{
    return posix_io->fsync(dir_fd) == 0 ? 0 : -errno;
}

int durable_unlink(int dir_fd, const char *name)
{
    int rc = check_name(name);

    if (rc != 0)
        return rc;
    rc = posix_io->unlinkat(dir_fd, name, 0) == 0 ? 0 : -errno;
    if (rc != 0 && rc != -ENOENT)
        return rc;
    /* Also when it was not there: who removed it may not have synced yet. */
    return durable_sync_dir(dir_fd) == 0 ? rc : DURABLE_NOT_SYNCED;
}

/* Locks over NFS need a descriptor open for writing. */
static int open_leftover(int dir_fd, const char *name)
{
    int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = open_file(dir_fd, name, O_RDWR | flags);

    return fd == -EACCES || fd == -EROFS
               ? open_file(dir_fd, name, O_RDONLY | flags)
               : fd;
}

int durable_remove_temp(int dir_fd, const char *name)
{
    struct stat st;
    int fd, rc = 0;

    if (strncmp(name, DURABLE_TEMP_PREFIX, sizeof(DURABLE_TEMP_PREFIX) - 1) !=
            0 ||
        check_name(name) != 0)
        return -EINVAL;
    fd = open_leftover(dir_fd, name);
    if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO)
        return -EINVAL; /* a link, directory or socket of that name */
    if (fd < 0)
        return fd;
    if (posix_io->fstat(fd, &st) != 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = -EINVAL;
    else if (posix_io->flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (rc == 0 && posix_io->unlinkat(dir_fd, name, 0) != 0)
        rc = -errno;
    posix_io->close(fd);
    return rc;
}
