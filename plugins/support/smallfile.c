/* SPDX-License-Identifier: Apache-2.0 */
/* One open, one fstat, one pass: what was looked at is what was read. */
#include "support/smallfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/os.h"
#include "support/fail.h"

static int32_t check(const char *path, const struct stat *st, unsigned flags,
                     struct persist_backend_error *err)
{
    bool own = st->st_uid == geteuid() || st->st_uid == 0;

    if (!S_ISREG(st->st_mode))
        return fail(err, PERSIST_BACKEND_CONFIG, "%.300s is no regular file",
                    path);
    if ((flags & (SMALLFILE_PRIVATE | SMALLFILE_TRUSTED)) != 0 && !own)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "%.300s belongs to another user", path);
    if ((flags & SMALLFILE_TRUSTED) != 0 && (st->st_mode & 022) != 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "%.300s can be written by others: chmod go-w", path);
    if ((flags & SMALLFILE_PRIVATE) != 0 && (st->st_mode & 027) != 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "%.300s can be read by others: chmod 600", path);
    return PERSIST_BACKEND_OK;
}

/* Up to max + 1 bytes, so that "too long" shows. -errno. */
static ssize_t read_up_to(int fd, char *out, size_t max)
{
    size_t len = 0;

    while (len < max + 1) {
        ssize_t n = read(fd, out + len, max + 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int32_t read_checked(int fd, const char *path, size_t max,
                            struct secret *out,
                            struct persist_backend_error *err)
{
    char *bytes = malloc(max + 1);
    ssize_t len;
    int32_t rc;

    if (bytes == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    len = read_up_to(fd, bytes, max);
    if (len < 0)
        rc = fail_errno(err, PERSIST_BACKEND_IO, (int)-len,
                        "cannot read %.300s", path);
    else if ((size_t)len > max)
        rc = fail(err, PERSIST_BACKEND_CONFIG,
                  "%.300s is longer than %zu bytes", path, max);
    else if ((rc = secret_set(out, bytes, (size_t)len)) != PERSIST_BACKEND_OK)
        rc = fail(err, rc, "out of memory");
    secret_wipe_bytes(bytes, max + 1);
    free(bytes);
    return rc;
}

int32_t smallfile_read(const char *path, size_t max, unsigned flags,
                       struct secret *out, struct smallfile_info *out_info,
                       struct persist_backend_error *err)
{
    /* Not to hang on a FIFO, nor to become a terminal's owner. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int32_t rc;

    if (fd < 0) {
        rc = errno == ENOENT || errno == ENOTDIR ? PERSIST_BACKEND_NOT_FOUND
                                                 : PERSIST_BACKEND_CONFIG;
        return fail_errno(err, rc, errno, "cannot open %.300s", path);
    }
    if (fstat(fd, &st) != 0)
        rc = fail_errno(err, PERSIST_BACKEND_IO, errno, "cannot look at %.300s",
                        path);
    else
        rc = check(path, &st, flags, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = read_checked(fd, path, max, out, err);
    if (rc == PERSIST_BACKEND_OK && out_info != NULL)
        *out_info = (struct smallfile_info){
            .uid = st.st_uid,
            .mode = st.st_mode & 07777,
            .modified_us = (int64_t)os_modified(&st).tv_sec * 1000000 +
                           os_modified(&st).tv_nsec / 1000};
    (void)close(fd);
    return rc;
}
