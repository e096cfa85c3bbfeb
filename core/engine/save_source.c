/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of a save; see save_source.h.
 *
 * A regular file has a size when the save begins and must still have it when
 * it ends: a file that changes meanwhile has no state to save.  Files of /proc
 * say 0 and are read to their end.
 */
#include "engine/save_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/os.h"
#include "transfer/sha256.h"
#include "util/error.h"

#define HASH_BUFFER ((size_t)256 << 10)
#define POLL_MS 100 /* how late a cancellation without a descriptor is seen */

static void init(struct save_source *s)
{
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->up.ctx = s;
}

static int read_user(void *ctx, void *out, size_t cap, size_t *out_len,
                     struct persist_error *err)
{
    struct save_source *s = ctx;

    return s->user.read(s->user.ctx, out, cap, out_len, err);
}

int save_source_user(struct save_source *s, const struct persist_source *source,
                     struct persist_error *err)
{
    struct flagged_member size = {"size", PERSIST_SOURCE_SIZE,
                                  "PERSIST_SOURCE_SIZE", false};
    int rc;

    init(s);
    if (!source)
        return error_set(err, PERSIST_E_MISUSE, "the source is NULL");
    rc = engine_options(&s->user, sizeof s->user, source, err);
    if (!rc)
        rc = engine_flags(s->user.flags, PERSIST_SOURCE_SIZE, err);
    size.is_set = s->user.size != 0;
    if (!rc)
        rc = engine_flagged(s->user.flags, &size, 1, err);
    if (rc)
        return rc;
    if (!s->user.read)
        return error_set(err, PERSIST_E_MISUSE, "the source's read is NULL");
    s->up.has_size = s->user.flags & PERSIST_SOURCE_SIZE;
    s->up.size = s->user.size;
    s->up.read = read_user;
    return PERSIST_OK;
}

int save_source_buffer(struct save_source *s, const void *data, size_t len,
                       struct persist_error *err)
{
    init(s);
    if (!data && len)
        return error_set(err, PERSIST_E_MISUSE, "the buffer is NULL");
    s->up.data = data;
    s->up.in_memory = true;
    s->up.has_size = true;
    s->up.size = len;
    return PERSIST_OK;
}

/* ------------------------------------------------------------- descriptors
 */

static int stop_reason(const struct save_source *s, struct persist_error *err)
{
    int rc = op_check(s->op, s->clock);

    if (!rc)
        return PERSIST_OK;
    return error_set(err, rc, "%s while waiting for input",
                     rc == PERSIST_E_CANCELLED ? "cancelled"
                                               : "the deadline passed");
}

/* Until there is something to read, so that a read never outlives the save. */
static int wait_readable(const struct save_source *s, struct persist_error *err)
{
    struct pollfd fds[2] = {
        {.fd = s->fd, .events = POLLIN},
        {.fd = cancel_fd(&s->op->cancel), .events = POLLIN},
    };
    int rc, n;

    for (;;) {
        rc = stop_reason(s, err);
        if (rc)
            return rc;
        n = poll(fds, 2, POLL_MS);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return error_errno(err, errno, "cannot wait for input");
        if (n > 0 && fds[0].revents)
            return PERSIST_OK;
    }
}

static int read_fd(void *ctx, void *out, size_t cap, size_t *out_len,
                   struct persist_error *err)
{
    struct save_source *s = ctx;
    int rc;

    do {
        rc = s->is_regular ? PERSIST_OK : wait_readable(s, err);
        if (rc)
            return rc;
        rc = file_read(s->fd, out, cap, out_len);
    } while (rc == -EAGAIN && !s->is_regular);
    if (rc)
        return error_errno(err, -rc, "cannot read the input");
    return PERSIST_OK;
}

int save_source_fd(struct save_source *s, int fd, struct persist_error *err)
{
    struct stat st;
    off_t at;

    init(s);
    s->fd = fd;
    s->up.read = read_fd;
    if (fstat(fd, &st))
        return error_errno(err, errno, "cannot read from descriptor %d", fd);
    if (S_ISDIR(st.st_mode))
        return error_set(err, PERSIST_E_INVALID, "the input is a directory");
    at = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (at < 0) {
        os_widen_pipe(fd);
        return PERSIST_OK;
    }
    s->is_regular = true;
    s->start = (uint64_t)at;
    s->up.has_size = st.st_size > 0;
    s->up.size = st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
    return PERSIST_OK;
}

/* A FIFO must not hold the save before it can be cancelled: its writer is
 * waited for as its bytes are.  A file reads as if it had not been asked. */
static int open_path(const char *path)
{
    struct stat st;
    int fd;

    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        fcntl(fd, F_SETFL, 0);
    return fd;
}

int save_source_file(struct save_source *s, const char *path,
                     struct persist_error *err)
{
    int fd, rc;

    init(s);
    if (!path)
        return error_set(err, PERSIST_E_MISUSE, "the path is NULL");
    fd = open_path(path);
    if (fd < 0) {
        rc = error_errno(err, errno, "cannot open \"%s\"", path);
        error_object(err, "%s", path);
        return rc;
    }
    rc = save_source_fd(s, fd, err);
    s->path = path;
    s->owns_fd = true;
    if (rc) {
        error_prefix(err, "%s", path);
        error_object(err, "%s", path);
    }
    return rc;
}

void save_source_finish(struct save_source *s)
{
    if (s->owns_fd && s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* ---------------------------------------------------------- a second time
 */

int save_source_rewind(struct save_source *s, struct persist_error *err)
{
    if (s->up.in_memory)
        return PERSIST_OK;
    if (!s->is_regular || lseek(s->fd, (off_t)s->start, SEEK_SET) < 0)
        return error_set(err, PERSIST_E_INVALID,
                         "the input cannot be read again");
    return PERSIST_OK;
}

int save_source_identify(const struct save_source *s, struct buf *out_name,
                         struct save_source_look *out,
                         struct persist_error *err)
{
    char *path = s->path ? realpath(s->path, NULL) : NULL;
    struct stat st;

    if (fstat(s->fd, &st) || (s->path && !path)) {
        free(path);
        return error_errno(err, errno, "cannot look at the input");
    }
    if (path)
        buf_printf(out_name, "file:%s", path);
    else
        buf_printf(out_name, "fd:%ju:%ju", (uintmax_t)st.st_dev,
                   (uintmax_t)st.st_ino);
    buf_printf(out_name, "+%ju", (uintmax_t)s->start);
    free(path);
    struct timespec modified = os_modified(&st);
    out->size = (uint64_t)st.st_size;
    out->mtime_ns = (int64_t)modified.tv_sec * 1000000000 + modified.tv_nsec;
    return buf_failed(out_name) ? error_memory(err) : PERSIST_OK;
}

/* ------------------------------------------------------------------ hashing
 */

static int hash_file(struct save_source *s, struct sha256 *h, uint8_t *buffer,
                     struct persist_error *err)
{
    uint64_t done = 0;
    size_t len;
    int rc;

    while (done < s->up.size) {
        rc = stop_reason(s, err);
        if (rc)
            return rc;
        rc = file_read_at(s->fd, buffer, HASH_BUFFER, s->start + done, &len);
        if (rc)
            return error_errno(err, -rc, "cannot read the input");
        if (!len)
            break; /* it shrank: the save itself says so */
        if (sha256_update(h, buffer, len))
            return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
        done += len;
    }
    return PERSIST_OK;
}

int save_source_hash(struct save_source *s, uint8_t out[32], bool *out_done,
                     struct persist_error *err)
{
    struct sha256 *h;
    uint8_t *buffer = NULL;
    int rc = PERSIST_OK;

    *out_done = false;
    if (!s->up.in_memory && !(s->is_regular && s->up.has_size))
        return PERSIST_OK;
    h = sha256_create();
    if (!s->up.in_memory)
        buffer = malloc(HASH_BUFFER);
    if (!h || (!buffer && !s->up.in_memory))
        rc = error_memory(err);
    else if (!s->up.in_memory)
        rc = hash_file(s, h, buffer, err);
    else if (s->up.size && sha256_update(h, s->up.data, (size_t)s->up.size))
        rc = error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    if (!rc && sha256_final(h, out))
        rc = error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    *out_done = !rc;
    free(buffer);
    sha256_destroy(h);
    return rc;
}
