/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and deleting one object.
 *
 * The etag is inode, size and modification time: a replacement is another
 * inode, a change in place another time.  Not the change time, which backups
 * that link files, chmod and chown move without changing a byte.
 */
#include "local.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/file.h"
#include "posix/io.h"
#include "posix/os.h"

/* `value` in digits of `base`, at least `width` of them, and what follows; the
 * place behind. */
static char *put_number(char *at, uint64_t value, unsigned base, size_t width,
                        char follows)
{
    char digits[20]; /* of 2^64, in tens */
    size_t n = 0;

    for (; value > 0 || n < width; value /= base)
        digits[n++] = "0123456789abcdef"[value % base];
    while (n > 0)
        *at++ = digits[--n];
    *at++ = follows;
    return at;
}

/* Without printf: every put spells one.  Inode, size, time. */
void etag_format(const struct stat *st, char out[PERSIST_BACKEND_ETAG_MAX])
{
    struct timespec modified = os_modified(st);

    out = put_number(out, (uint64_t)st->st_ino, 16, 1, '-');
    out = put_number(out, (uint64_t)st->st_size, 16, 1, '-');
    out = put_number(out, (uint64_t)modified.tv_sec, 16, 1, '.');
    (void)put_number(out, (uint64_t)modified.tv_nsec, 10, 9, '\0');
}

int64_t modified_us(const struct stat *st)
{
    struct timespec modified = os_modified(st);

    /* Some file systems keep any 64 bits of seconds that they are given. */
    if (modified.tv_sec > INT64_MAX / 1000000 - 1)
        return INT64_MAX;
    if (modified.tv_sec < INT64_MIN / 1000000)
        return INT64_MIN;
    return (int64_t)modified.tv_sec * 1000000 + modified.tv_nsec / 1000;
}

/* A descriptor of the object and what fstat says of it. */
static int32_t open_object(struct local_store *s,
                           const struct persist_backend_call *call,
                           const char *key, int *out_fd, struct stat *st,
                           struct persist_backend_error *err)
{
    int root_fd = -1, rc;
    int32_t status = key_check(key, err);

    if (status == PERSIST_BACKEND_OK)
        status = status_check(s, call, err);
    if (status == PERSIST_BACKEND_OK)
        status = root_get(s, false, &root_fd, err);
    if (status != PERSIST_BACKEND_OK)
        return status;
    rc = confine_open_file(root_fd, key, out_fd);
    if (rc != 0)
        return status_walk(s, err, -rc, "read", key, PERSIST_BACKEND_NOT_FOUND);
    if (posix_io->fstat(*out_fd, st) == 0)
        return PERSIST_BACKEND_OK;
    status = status_key(s, err, errno, "read", key);
    posix_io->close(*out_fd);
    return status;
}

/* In slices, so that a call that is to stop does. */
static int32_t read_bytes(struct local_store *s,
                          const struct persist_backend_call *call, int fd,
                          const struct persist_backend_read_args *args,
                          const struct persist_backend_read_result *result,
                          struct persist_backend_error *err)
{
    uint64_t done = 0;

    while (done < result->len) {
        uint64_t left = result->len - done;
        size_t want = left < LOCAL_SLICE ? (size_t)left : LOCAL_SLICE;
        size_t got = 0;
        int rc = file_read_at(fd, (char *)args->buffer + done, want,
                              result->offset + done, &got);
        int32_t status;

        if (rc != 0)
            return status_key(s, err, -rc, "read", args->key);
        if (got < want)
            return status_set(err, PERSIST_BACKEND_CORRUPT,
                              "cannot read %.300s: the file was cut short "
                              "while it was read",
                              args->key);
        done += got;
        status = done < result->len ? status_check(s, call, err)
                                    : PERSIST_BACKEND_OK;
        if (status != PERSIST_BACKEND_OK)
            return status;
    }
    return PERSIST_BACKEND_OK;
}

/* Which bytes there are to read. */
static void choose_range(const struct persist_backend_read_args *args,
                         uint64_t total,
                         struct persist_backend_read_result *result)
{
    uint64_t rest;

    result->total = total;
    if (args->mode == PERSIST_BACKEND_READ_SUFFIX)
        result->offset = total - (args->len < total ? args->len : total);
    else
        result->offset = args->offset;
    rest = result->offset < total ? total - result->offset : 0;
    result->len = args->len < rest ? args->len : rest;
}

int32_t local_read(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_read_args *args,
                   struct persist_backend_read_result *result,
                   struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct stat st = {0};
    int fd = -1;
    int32_t rc;

    if (args->mode != PERSIST_BACKEND_READ_RANGE &&
        args->mode != PERSIST_BACKEND_READ_SUFFIX)
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "cannot read %.300s: mode %u is not known", args->key,
                          args->mode);
    rc = open_object(s, call, args->key, &fd, &st, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    etag_format(&st, result->etag);
    if (args->etag != NULL && strcmp(args->etag, result->etag) != 0) {
        rc = status_set(err, PERSIST_BACKEND_PRECONDITION,
                        "%.300s is not the version that was asked for",
                        args->key);
    } else {
        choose_range(args, (uint64_t)st.st_size, result);
        rc = read_bytes(s, call, fd, args, result, err);
    }
    posix_io->close(fd);
    return rc;
}

int32_t local_head(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_head_args *args,
                   struct persist_backend_head_result *result,
                   struct persist_backend_error *err)
{
    struct stat st = {0};
    int fd = -1;
    int32_t rc = open_object(store, call, args->key, &fd, &st, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    posix_io->close(fd);
    result->size = (uint64_t)st.st_size;
    result->modified_us = modified_us(&st);
    result->present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED;
    etag_format(&st, result->etag);
    return PERSIST_BACKEND_OK;
}

/* Only an object is removed: what else stands there is not the host's. */
static int32_t delete_in(int dir_fd, const char *name, const char *key,
                         struct persist_backend_delete_result *result,
                         struct persist_backend_error *err)
{
    int32_t status = object_check(dir_fd, name, key, err);
    int rc;

    if (status == PERSIST_BACKEND_INVALID) /* a folder: no object of that key */
        status = PERSIST_BACKEND_NOT_FOUND;
    if (status != PERSIST_BACKEND_OK && status != PERSIST_BACKEND_NOT_FOUND)
        return status;
    rc = status == PERSIST_BACKEND_OK ? durable_unlink(dir_fd, name)
                                      : durable_sync_dir(dir_fd);
    result->was = status == PERSIST_BACKEND_OK && rc != -ENOENT
                      ? PERSIST_BACKEND_WAS_THERE
                      : PERSIST_BACKEND_WAS_ABSENT;
    if (rc == DURABLE_NOT_SYNCED)
        return status_set(err, PERSIST_BACKEND_NOT_DURABLE,
                          "%.300s is deleted, but its folder could not be "
                          "synced",
                          key);
    return rc == 0 || rc == -ENOENT ? PERSIST_BACKEND_OK
                                    : status_errno(err, -rc, "delete", key);
}

int32_t local_delete(void *store, const struct persist_backend_call *call,
                     const struct persist_backend_delete_args *args,
                     struct persist_backend_delete_result *result,
                     struct persist_backend_error *err)
{
    struct local_store *s = store;
    char folder[LOCAL_KEY_CAP];
    int root_fd = -1, dir_fd = -1, rc;
    int32_t status = key_check(args->key, err);

    if (status == PERSIST_BACKEND_OK)
        status = status_check(s, call, err);
    if (status != PERSIST_BACKEND_OK)
        return status;
    result->was = PERSIST_BACKEND_WAS_ABSENT;
    status = root_get(s, false, &root_fd, err);
    if (status == PERSIST_BACKEND_OK) {
        const char *name = key_split(args->key, folder);

        rc = confine_open_dir(root_fd, folder, &dir_fd);
        if (rc != 0)
            status = status_walk(s, err, -rc, "delete", folder,
                                 PERSIST_BACKEND_NOT_FOUND);
        else
            status = delete_in(dir_fd, name, args->key, result, err);
    }
    if (dir_fd >= 0)
        posix_io->close(dir_fd);
    return status == PERSIST_BACKEND_NOT_FOUND ? PERSIST_BACKEND_OK : status;
}
