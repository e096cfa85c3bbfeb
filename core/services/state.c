/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See state.h.  Knows files, not what they say.
 *
 * Written as a temporary, synced, renamed.  What a crash leaves of that starts
 * with a dot; nothing reads it, and a look through its folder takes it away.
 */
#include "services/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "posix/os.h"
#include "util/crc32c.h"
#include "util/error.h"
#include "util/le.h"
#include "util/text.h"

#define HEAD_LEN 16
#define PATH_CAP 4096
#define TEMP_PREFIX ".tmp-"
#define TEMP_AGE_S 3600
#define LOCK_SUFFIX ".lock"
#define LOCK_TRIES 100 /* of a file that its holder removes meanwhile */

static const char magic[8] = {'P', 'R', 'S', 'T', 'S', 'T', 'A', '1'};

int state_default_dir(char **out, struct persist_error *err)
{
    const char *state = os_getenv("XDG_STATE_HOME");
    const char *home = os_getenv("HOME");

    *out = NULL;
    if (state && state[0] == '/')
        *out = text_format("%s/persist", state);
    else if (home && home[0] == '/')
        *out = text_format("%s/.local/state/persist", home);
    else
        return PERSIST_OK;
    return *out ? PERSIST_OK : error_memory(err);
}

/* ------------------------------------------------------------------- paths
 */

static int make_path(const char *dir, const char *name, const char *suffix,
                     char out[PATH_CAP], struct persist_error *err)
{
    int n;

    if (!dir)
        return error_set(err, PERSIST_E_UNSUPPORTED,
                         "there is no directory for state files: neither "
                         "XDG_STATE_HOME nor HOME is set");
    n = snprintf(out, PATH_CAP, "%s/%s%s", dir, name, suffix);
    if (n < 0 || n >= PATH_CAP)
        return error_set(err, PERSIST_E_INVALID,
                         "the path of a state file is too long");
    return PERSIST_OK;
}

/* Every directory on the way to path, the missing ones made 0700. */
static int make_dirs(char *path, struct persist_error *err)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        int failed = mkdir(path, 0700) && errno != EEXIST ? errno : 0;
        if (failed)
            error_errno(err, failed, "cannot make the directory \"%s\"", path);
        *at = '/';
        if (failed)
            return PERSIST_E_IO;
    }
    return PERSIST_OK;
}

/* Of the effective user, and nobody else's to read or write. */
static bool is_private(int fd, struct stat *st)
{
    return fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
           st->st_uid == geteuid() && (st->st_mode & 077) == 0;
}

/* ----------------------------------------------------------------- reading
 */

static int read_whole(int fd, void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, (char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

static int not_ours(const char *path, const char *what,
                    struct persist_error *err)
{
    return error_set(err, PERSIST_E_CORRUPT, "the state file \"%s\" %s", path,
                     what);
}

static int read_checked(int fd, const char *path, struct buf *out,
                        struct persist_error *err)
{
    uint8_t head[HEAD_LEN];
    struct stat st;
    int rc;

    if (!is_private(fd, &st))
        return not_ours(path, "is not a private file of this user", err);
    if (st.st_size < HEAD_LEN ||
        st.st_size > HEAD_LEN + (off_t)STATE_PAYLOAD_MAX)
        return not_ours(path, "has an impossible size", err);
    rc = read_whole(fd, head, sizeof head);
    if (rc)
        return error_errno(err, -rc, "cannot read \"%s\"", path);
    size_t len = le_get32(head + 8);
    if (memcmp(head, magic, sizeof magic) != 0 ||
        len + HEAD_LEN != (size_t)st.st_size)
        return not_ours(path, "is none or is cut off", err);
    buf_zero(out, len);
    if (buf_failed(out))
        return error_memory(err);
    rc = read_whole(fd, out->data, len);
    if (rc)
        return error_errno(err, -rc, "cannot read \"%s\"", path);
    if (crc32c(0, out->data, len) != le_get32(head + 12))
        return not_ours(path, "is damaged", err);
    return PERSIST_OK;
}

int state_read(const char *dir, const char *name, struct buf *out,
               struct persist_error *err)
{
    char path[PATH_CAP];
    int fd, rc;

    if (!dir)
        return error_set(err, PERSIST_E_NOT_FOUND, "there are no state files");
    rc = make_path(dir, name, "", path, err);
    if (rc)
        return rc;
    /* A FIFO in its place must not hang us. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return not_ours(path, "is a symbolic link", err);
    if (fd < 0)
        return error_errno(err, errno, "cannot open \"%s\"", path);
    buf_clear(out);
    rc = read_checked(fd, path, out, err);
    if (rc)
        buf_clear(out);
    close(fd);
    return rc;
}

/* ----------------------------------------------------------------- writing
 */

static int write_whole(int fd, const void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

static int fill(int fd, const void *data, size_t len)
{
    uint8_t head[HEAD_LEN];
    int rc;

    memcpy(head, magic, sizeof magic);
    le_put32(head + 8, (uint32_t)len);
    le_put32(head + 12, crc32c(0, data, len));
    rc = fchmod(fd, 0600) ? -errno : 0;
    if (!rc)
        rc = write_whole(fd, head, sizeof head);
    if (!rc)
        rc = write_whole(fd, data, len);
    if (!rc && fsync(fd))
        rc = -errno;
    return rc;
}

/* The name is what a crash may take back, never the bytes. */
static void sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    int fd;

    *slash = '\0';
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static int write_temp(char *temp, const void *data, size_t len)
{
    int fd = mkostemp(temp, O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -errno;
    rc = fill(fd, data, len);
    if (close(fd) && !rc)
        rc = -errno;
    return rc;
}

int state_write(const char *dir, const char *name, const void *data, size_t len,
                struct persist_error *err)
{
    char path[PATH_CAP], temp[PATH_CAP];
    const char *slash = strrchr(name, '/');
    char kind[64];
    int rc;

    if (len > STATE_PAYLOAD_MAX)
        return error_set(err, PERSIST_E_INVALID, "a state file is too long");
    rc = make_path(dir, name, "", path, err);
    if (rc)
        return rc;
    snprintf(kind, sizeof kind, "%.*s", slash ? (int)(slash - name) : 0, name);
    rc = make_path(dir, kind, "/" TEMP_PREFIX "XXXXXX", temp, err);
    if (!rc)
        rc = make_dirs(path, err);
    if (rc)
        return rc;
    rc = write_temp(temp, data, len);
    if (!rc && rename(temp, path))
        rc = -errno;
    if (rc) {
        unlink(temp);
        return error_errno(err, -rc, "cannot write \"%s\"", path);
    }
    sync_parent(path);
    return PERSIST_OK;
}

int state_remove(const char *dir, const char *name, struct persist_error *err)
{
    char path[PATH_CAP];
    int rc;

    if (!dir)
        return PERSIST_OK;
    rc = make_path(dir, name, "", path, err);
    if (rc)
        return rc;
    if (unlink(path) && errno != ENOENT)
        return error_errno(err, errno, "cannot remove \"%s\"", path);
    sync_parent(path);
    return PERSIST_OK;
}

/* ----------------------------------------------------------- all of a kind
 */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* What a process left that was killed while it wrote: nobody writes for so
 * long. */
static void drop_old_temp(DIR *d, const char *name)
{
    struct stat st;

    if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) != 0 ||
        fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode) || time(NULL) - st.st_mtime < TEMP_AGE_S)
        return;
    (void)unlinkat(dirfd(d), name, 0);
}

static int each_of(DIR *d, const char *kind, state_each_fn each, void *ctx)
{
    const struct dirent *e;
    char name[320];
    int rc = 0;

    while (rc == 0 && (e = readdir(d)) != NULL) {
        drop_old_temp(d, e->d_name);
        if (e->d_name[0] == '.' || ends_with(e->d_name, LOCK_SUFFIX))
            continue;
        snprintf(name, sizeof name, "%s/%s", kind, e->d_name);
        rc = each(ctx, name);
    }
    return rc;
}

int state_each(const char *dir, const char *kind, state_each_fn each, void *ctx,
               struct persist_error *err)
{
    char path[PATH_CAP];
    DIR *d;
    int rc;

    if (!dir)
        return PERSIST_OK;
    rc = make_path(dir, kind, "", path, err);
    if (rc)
        return rc;
    d = opendir(path);
    if (!d && errno == ENOENT)
        return PERSIST_OK;
    if (!d)
        return error_errno(err, errno, "cannot list \"%s\"", path);
    rc = each_of(d, kind, each, ctx);
    closedir(d);
    return rc;
}

/* The file at path is the one that is open: it was not removed by the holder
 * before us while we waited to open it. */
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, theirs;

    return fstat(fd, &ours) == 0 && lstat(path, &theirs) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

static int lock_once(const char *path, int *out_fd, struct persist_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc;

    if (fd < 0)
        return error_errno(err, errno, "cannot open \"%s\"", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK
                 ? error_set(err, PERSIST_E_TRANSIENT,
                             "another process is at it: \"%s\" is locked", path)
                 : error_errno(err, errno, "cannot lock \"%s\"", path);
        close(fd);
        return rc;
    }
    *out_fd = fd;
    return PERSIST_OK;
}

int state_lock(const char *dir, const char *name, int *out_fd,
               struct persist_error *err)
{
    char path[PATH_CAP];
    int rc;

    *out_fd = -1;
    rc = make_path(dir, name, LOCK_SUFFIX, path, err);
    if (!rc)
        rc = make_dirs(path, err);
    for (int i = 0; !rc && i < LOCK_TRIES; i++) {
        rc = lock_once(path, out_fd, err);
        if (rc || is_still_there(*out_fd, path))
            return rc;
        close(*out_fd);
        *out_fd = -1;
    }
    return rc ? rc
              : error_set(err, PERSIST_E_TRANSIENT, "\"%s\" comes and goes",
                          path);
}

void state_unlock(const char *dir, const char *name, int fd)
{
    char path[PATH_CAP];

    if (fd < 0)
        return;
    if (make_path(dir, name, LOCK_SUFFIX, path, NULL) == PERSIST_OK)
        unlink(path);
    close(fd);
}
