/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From errno values to codes and sentences.  One table of our own: strerror is
 * neither thread-safe nor free of the locale.
 */
#define LOCAL_STATUS_C
#include "local.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/os.h"

struct meaning {
    int error;
    int32_t status;
    const char *text;
};

static const struct meaning meanings[] = {
    {EACCES, PERSIST_BACKEND_DENIED, "permission denied"},
    {EAGAIN, PERSIST_BACKEND_TRANSIENT, "temporarily not available"},
    {EBUSY, PERSIST_BACKEND_TRANSIENT, "busy"},
    {EDQUOT, PERSIST_BACKEND_NO_SPACE, "the disk quota is used up"},
    {EEXIST, PERSIST_BACKEND_EXISTS, "it is already there"},
    {EFBIG, PERSIST_BACKEND_INVALID,
     "larger than the file system takes or this process may write (ulimit -f)"},
    {EINTR, PERSIST_BACKEND_TRANSIENT, "interrupted"},
    {EINVAL, PERSIST_BACKEND_INVALID, "not accepted by the file system"},
    {EIO, PERSIST_BACKEND_IO, "input/output error"},
    {EISDIR, PERSIST_BACKEND_INVALID, "a folder of that name is there"},
    {ELOOP, PERSIST_BACKEND_CORRUPT, "a symbolic link is in the way"},
    {EMFILE, PERSIST_BACKEND_TRANSIENT, "too many open files in the process"},
    {EMLINK, PERSIST_BACKEND_NO_SPACE, "the folder holds too many folders"},
    {ENAMETOOLONG, PERSIST_BACKEND_INVALID, "a name is too long"},
    {ENFILE, PERSIST_BACKEND_TRANSIENT, "too many open files in the system"},
    {ENOENT, PERSIST_BACKEND_NOT_FOUND, "not found"},
    {ENOMEM, PERSIST_BACKEND_MEMORY, "out of memory"},
    {ENOSPC, PERSIST_BACKEND_NO_SPACE, "no space left on the device"},
    {ENOSYS, PERSIST_BACKEND_UNSUPPORTED, "not offered by the system"},
    {ENOTDIR, PERSIST_BACKEND_CORRUPT, "a folder of the path is no folder"},
    {EOPNOTSUPP, PERSIST_BACKEND_UNSUPPORTED,
     "the file system has neither hard links nor rename without replacing"},
    {EPERM, PERSIST_BACKEND_DENIED, "not permitted"},
    {EROFS, PERSIST_BACKEND_DENIED, "the file system is read-only"},
    {ESTALE, PERSIST_BACKEND_TRANSIENT, "the file server lost track of it"},
    {ETIMEDOUT, PERSIST_BACKEND_TRANSIENT, "the file server does not answer"},
    {EXDEV, PERSIST_BACKEND_CORRUPT, "the path leaves the store"},
};

static const struct meaning *meaning_of(int error)
{
    static const struct meaning other = {0, PERSIST_BACKEND_IO, NULL};

    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].error == error)
            return &meanings[i];
    return &other;
}

int32_t status_of_errno(int error)
{
    return meaning_of(error)->status;
}

int32_t status_set(struct persist_backend_error *err, int32_t status,
                   const char *format, ...)
{
    va_list args;

    if (!PERSIST_BACKEND_HAS(err, message))
        return status;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    /* One line, whatever stands in a key or path. */
    for (char *p = err->message; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return status;
}

/* What tells keys apart stands at their end. */
static const char *tail_of(const char *key)
{
    size_t len = strlen(key);

    return len > 300 ? key + len - 300 : key;
}

/* "cannot WHAT ROOT/KEY: text" */
static int32_t say_errno(struct persist_backend_error *err, int error,
                         const char *what, const char *root, const char *key)
{
    const struct meaning *m = meaning_of(error);
    const char *tail = tail_of(key);
    char number[24];

    (void)snprintf(number, sizeof(number), "error %d", error);
    if (PERSIST_BACKEND_HAS(err, os_errno)) {
        err->os_errno = error;
        err->present |= PERSIST_BACKEND_ERROR_ERRNO;
    }
    return status_set(err, m->status, "cannot %s %.160s%s%s: %s", what, root,
                      tail != key ? "..." : "", tail,
                      m->text != NULL ? m->text : number);
}

int32_t status_errno(struct persist_backend_error *err, int error,
                     const char *what, const char *key)
{
    return say_errno(err, error, what, "", key);
}

int32_t status_key(const struct local_store *s,
                   struct persist_backend_error *err, int error,
                   const char *what, const char *key)
{
    size_t len = strlen(s->root_path);
    char root[PATH_MAX];

    (void)snprintf(root, sizeof(root), "%s%s", s->root_path,
                   key[0] == '\0' || s->root_path[len - 1] == '/' ? "" : "/");
    return say_errno(err, error, what, root, key);
}

static int32_t status_obstacle(struct persist_backend_error *err, mode_t mode,
                               const char *what, const char *path,
                               int32_t absent)
{
    if (S_ISREG(mode) && absent == PERSIST_BACKEND_INVALID)
        return status_set(err, absent,
                          "cannot %s %.300s: an object already has the name of "
                          "one of its folders",
                          what, tail_of(path));
    if (S_ISREG(mode))
        return status_set(err, absent, "cannot %s %.300s: not found", what,
                          tail_of(path));
    return status_set(err, PERSIST_BACKEND_CORRUPT,
                      "cannot %s %.300s: there is %s in the store", what,
                      tail_of(path),
                      S_ISLNK(mode)   ? "a symbolic link"
                      : S_ISDIR(mode) ? "a folder of that name"
                                      : "a special file");
}

int32_t status_walk(struct local_store *s, struct persist_backend_error *err,
                    int error, const char *what, const char *path,
                    int32_t absent)
{
    int root_fd = -1;
    mode_t mode = 0;

    if (error == ENOENT && root_is_gone(s))
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "the root directory %.200s was removed while the "
                          "store was open",
                          s->root_path);
    if (error != ELOOP && error != EXDEV && error != ENOTDIR && error != EINVAL)
        return error == ENOENT || error == EISDIR
                   ? status_set(err, absent, "cannot %s %.300s: not found",
                                what, tail_of(path))
                   : status_key(s, err, error, what, path);
    if (root_get(s, false, &root_fd, err) == PERSIST_BACKEND_OK)
        mode = confine_obstacle(root_fd, path);
    if (mode == 0) /* it has been there, and is gone */
        return status_set(err, PERSIST_BACKEND_TRANSIENT,
                          "cannot %s %.300s: the folders of the store change",
                          what, tail_of(path));
    return status_obstacle(err, mode, what, path, absent);
}

static int32_t stop_of(const struct local_store *s,
                       const struct persist_backend_call *call)
{
    if (s->host->is_cancelled(call) != 0)
        return PERSIST_BACKEND_CANCELLED;
    if ((call->present & PERSIST_BACKEND_CALL_DEADLINE) != 0 &&
        s->host->monotonic_ns() >= call->deadline_ns)
        return PERSIST_BACKEND_TIMEOUT;
    return PERSIST_BACKEND_OK;
}

static int32_t say_stop(int32_t status, struct persist_backend_error *err)
{
    if (status == PERSIST_BACKEND_CANCELLED)
        return status_set(err, status, "cancelled");
    if (status == PERSIST_BACKEND_TIMEOUT)
        return status_set(err, status, "the deadline passed");
    return status;
}

int32_t status_check(const struct local_store *s,
                     const struct persist_backend_call *call,
                     struct persist_backend_error *err)
{
    return say_stop(stop_of(s, call), err);
}

int32_t status_late(const struct local_waiter *w,
                    struct persist_backend_error *err)
{
    return say_stop(w->stop, err);
}

bool waiter_is_late(struct local_waiter *w)
{
    uint64_t now_ns;

    if (w->stop == PERSIST_BACKEND_OK)
        w->stop = stop_of(w->store, w->call);
    if (w->stop == PERSIST_BACKEND_OK)
        return false;
    if (!w->linked)
        return true;
    now_ns = os_monotonic_ns();
    if (w->late_ns == 0)
        w->late_ns = now_ns;
    return now_ns - w->late_ns >= WAITER_GRACE_NS;
}
