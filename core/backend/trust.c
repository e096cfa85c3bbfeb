/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk from the root directory to a plugin file, with the ownership rules.
 * Does not resolve symbolic links: the caller did, and one that appears since
 * then is an attack or a reconfiguration, refused both ways.
 */
#include "backend/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/os.h"

struct walk {
    const char *path;
    bool checked;
    uid_t euid;
    int fd; /* of the component reached */
    struct persist_error *err;
};

static int refuse(const struct walk *w, int len, const char *why)
{
    error_set(w->err, PERSIST_E_CONFIG, "%s is not trusted: %.*s %s", w->path,
              len, w->path, why);
    error_object(w->err, "%s", w->path);
    error_hint(w->err, "a backend and every directory above it must belong to "
                       "root or to you and be writable by no one else");
    return PERSIST_E_CONFIG;
}

/* len: how much of the path names this component. */
static int check_component(const struct walk *w, const struct stat *st, int len)
{
    bool others_write = (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
    bool sticky =
        S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0 && st->st_uid == 0;

    if (!w->checked)
        return PERSIST_OK;
    if (st->st_uid != 0 && st->st_uid != w->euid)
        return refuse(w, len, "belongs to another user");
    /* Behind a sticky directory the next component's owner is checked like
     * every other: that is the exception's condition. */
    if (others_write && !sticky)
        return refuse(w, len, "can be written by others");
    return PERSIST_OK;
}

static int step(struct walk *w, const char *name, int flags, int len)
{
    struct stat st;
    int rc = PERSIST_OK;
    int fd = openat(w->fd, name, flags | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        rc = error_errno(w->err, errno, "cannot open %.*s", len, w->path);
    else if (fstat(fd, &st) != 0)
        rc = error_errno(w->err, errno, "cannot examine %.*s", len, w->path);
    else
        rc = check_component(w, &st, len);
    if (rc != PERSIST_OK) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
    return PERSIST_OK;
}

static int walk_directories(struct walk *w, const char **out_last)
{
    const char *name = w->path + 1;
    int rc = step(w, "/", OS_SEARCH | O_DIRECTORY, 1);

    for (const char *slash; rc == PERSIST_OK && (slash = strchr(name, '/'));
         name = slash + 1) {
        char component[NAME_MAX + 1];
        size_t len = (size_t)(slash - name);
        if (len == 0 || len > NAME_MAX) {
            error_set(w->err, PERSIST_E_CONFIG, "%s: not a real path", w->path);
            return PERSIST_E_CONFIG;
        }
        memcpy(component, name, len);
        component[len] = '\0';
        rc =
            step(w, component, OS_SEARCH | O_DIRECTORY, (int)(slash - w->path));
    }
    *out_last = name;
    return rc;
}

int trust_open(const char *real_path, bool checked, uid_t euid, int *out_fd,
               struct persist_error *err)
{
    struct walk w = {real_path, checked, euid, -1, err};
    const char *name = NULL;
    struct stat st;
    int rc;

    if (real_path[0] != '/')
        return error_set(err, PERSIST_E_CONFIG, "%s is not an absolute path",
                         real_path);
    rc = walk_directories(&w, &name);
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    if (rc == PERSIST_OK)
        rc = step(&w, name, O_RDONLY | O_NONBLOCK | O_NOCTTY,
                  (int)strlen(real_path));
    if (rc == PERSIST_OK && (fstat(w.fd, &st) != 0 || !S_ISREG(st.st_mode)))
        rc = refuse(&w, (int)strlen(real_path), "is not a regular file");
    if (rc == PERSIST_OK) {
        *out_fd = w.fd;
        w.fd = -1;
    }
    if (w.fd >= 0)
        close(w.fd);
    return rc;
}
