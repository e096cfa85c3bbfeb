/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics file: what node_exporter's textfile collector reads, and where
 * processes that live for a second leave their numbers.
 *
 *     PATH.lock   flock      one process adds at a time; the file stays
 *     PATH        read       strictly; what is damaged goes to PATH.damaged
 *     PATH.tmp    written    anew, under the lock, mode 0644
 *     PATH        renamed    a reader sees the old numbers or the new ones
 *
 * No symbolic link is followed at any of these names.  Nothing is synced: after
 * a power loss the last numbers may be gone, and the counters begin anew, which
 * Prometheus understands; a save must not wait for a disk because of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/metrics.h"
#include "posix/file.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/text.h"

#define FILE_MAX ((size_t)8 << 20)
#define LOCK_WAIT_NS UINT64_C(10000000000)
#define LOCK_WAIT_STOPPED_NS UINT64_C(1000000000) /* after an interrupt */
#define LOCK_STEP_NS UINT64_C(2000000)

struct place {
    const char *path;
    char *dir;
    const char *name;            /* within dir_fd, like the next ones */
    char *lock, *temp, *damaged; /* ours */
    int dir_fd;
    int lock_fd;
};

static int fail(const struct place *at, int rc, const char *what,
                struct persist_error *err)
{
    if (rc == -EINVAL) /* see open_file */
        rc = error_set(err, PERSIST_E_INVALID,
                       "cannot %s the metrics file: there is a link or no "
                       "regular file in its place",
                       what);
    else
        rc = error_errno(err, -rc, "cannot %s the metrics file", what);
    error_object(err, "%s", at->path);
    return rc;
}

static void place_finish(struct place *at)
{
    if (at->lock_fd >= 0)
        close(at->lock_fd); /* which unlocks it */
    if (at->dir_fd >= 0)
        close(at->dir_fd);
    free(at->dir);
    free(at->lock);
    free(at->temp);
    free(at->damaged);
}

/* The path was checked when it was configured: absolute, with a name. */
static int place_init(struct place *at, const char *path,
                      struct persist_error *err)
{
    const char *slash = strrchr(path, '/');

    *at = (struct place){.path = path, .dir_fd = -1, .lock_fd = -1};
    at->name = slash + 1;
    at->dir = text_format("%.*s", (int)(slash - path + 1), path);
    at->lock = text_format("%s.lock", at->name);
    at->temp = text_format("%s.tmp", at->name);
    at->damaged = text_format("%s.damaged", at->name);
    if (!at->dir || !at->lock || !at->temp || !at->damaged)
        return error_memory(err);
    at->dir_fd = open(at->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return at->dir_fd >= 0 ? PERSIST_OK
                           : fail(at, -errno, "open the directory of", err);
}

/* A regular file, opened without following a link or waiting for a FIFO.
 * -errno; -EINVAL where it is something else. */
static int open_file(const struct place *at, const char *name, int flags)
{
    struct stat st;
    int fd = openat(at->dir_fd, name,
                    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

    if (fd < 0)
        return errno == ELOOP ? -EINVAL : -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return -EINVAL;
}

/* ------------------------------------------------------------------ reading
 */

static int read_text(int fd, struct buf *out)
{
    char chunk[16384];
    size_t n = 0;
    int rc;

    do {
        rc = file_read(fd, chunk, sizeof chunk, &n);
        buf_append(out, chunk, n);
    } while (rc == 0 && n > 0 && !buf_failed(out));
    return rc;
}

static int parse(const struct place *at, const struct buf *text,
                 struct metrics_set *out, struct persist_error *err)
{
    size_t line = 0;
    int rc = buf_failed(text)
                 ? PERSIST_E_CORRUPT
                 : metrics_set_parse(out, text->data ? text->data : "",
                                     text->len, &line);

    if (rc == PERSIST_E_CORRUPT) {
        error_set(err, rc,
                  "the metrics file holds what Persist did not write, in line "
                  "%zu",
                  line);
        error_object(err, "%s", at->path);
    }
    return rc == PERSIST_E_MEMORY ? error_memory(err) : rc;
}

/* A file that is missing or empty holds no numbers. */
static int read_set(const struct place *at, struct metrics_set *out,
                    struct persist_error *err)
{
    int fd = open_file(at, at->name, O_RDONLY);
    struct buf text;
    int rc;

    if (fd == -ENOENT)
        return PERSIST_OK;
    if (fd < 0)
        return fail(at, fd, "open", err);
    buf_init(&text, FILE_MAX);
    rc = read_text(fd, &text);
    close(fd);
    if (rc)
        rc = fail(at, rc, "read", err);
    else
        rc = parse(at, &text, out, err);
    buf_finish(&text);
    return rc;
}

int engine_metrics_file_read(const char *path, struct metrics_set *out,
                             struct persist_error *err)
{
    struct place at;
    int rc = place_init(&at, path, err);

    if (!rc)
        rc = read_set(&at, out, err);
    place_finish(&at);
    return rc;
}

/* ------------------------------------------------------------------ locking
 */

/* Only reading is needed for a lock, so that several users can share it. */
static int open_lock(const struct place *at)
{
    int fd = open_file(at, at->lock, O_RDONLY);

    return fd == -ENOENT ? open_file(at, at->lock, O_RDONLY | O_CREAT) : fd;
}

static int lock(struct persist *p, struct place *at, struct persist_error *err)
{
    const struct clock *clock = p->clock;
    uint64_t begun_ns = clock_boot_ns(clock), waited_ns = 0, step_ns;

    at->lock_fd = open_lock(at);
    if (at->lock_fd < 0)
        return fail(at, at->lock_fd, "lock", err);
    while (flock(at->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        bool stopped = cancel_is_set(&p->cancel);

        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(at, -errno, "lock", err);
        if (waited_ns >= (stopped ? LOCK_WAIT_STOPPED_NS : LOCK_WAIT_NS)) {
            error_set(err, PERSIST_E_TIMEOUT,
                      "the metrics file stays locked by another process");
            error_object(err, "%s", at->path);
            return PERSIST_E_TIMEOUT;
        }
        /* Not all at once: the later, the more seldom. */
        step_ns = LOCK_STEP_NS + waited_ns / 16;
        clock->sleep_ns(clock->ctx, step_ns, -1);
        waited_ns = clock_boot_ns(clock) - begun_ns;
    }
    return PERSIST_OK;
}

/* ------------------------------------------------------------------ writing
 */

static int write_temp(const struct place *at, const struct buf *text)
{
    int fd, rc;

    if (unlinkat(at->dir_fd, at->temp, 0) != 0 && errno != ENOENT)
        return -errno;
    fd = open_file(at, at->temp, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    rc = file_write_all(fd, text->data, text->len);
    if (!rc && fchmod(fd, 0644) != 0)
        rc = -errno;
    if (close(fd) != 0 && !rc)
        rc = -errno;
    return rc;
}

static int replace(const struct place *at, const struct metrics_set *set,
                   struct persist_error *err)
{
    struct buf text;
    int rc;

    buf_init(&text, FILE_MAX);
    metrics_set_render(set, METRICS_TEXT, &text);
    rc = buf_failed(&text) || !text.data ? -ENOMEM : write_temp(at, &text);
    if (!rc && renameat(at->dir_fd, at->temp, at->dir_fd, at->name) != 0)
        rc = -errno;
    buf_finish(&text);
    if (!rc)
        return PERSIST_OK;
    unlinkat(at->dir_fd, at->temp, 0);
    return fail(at, rc, "write", err);
}

/* What cannot be read is kept for who wants to look, and counting begins anew:
 * nobody's save fails because of a number. */
static int set_aside(struct persist *p, const struct place *at,
                     struct metrics_set *set, const struct persist_error *why,
                     struct persist_error *err)
{
    metrics_set_finish(set);
    if (renameat(at->dir_fd, at->name, at->dir_fd, at->damaged) != 0)
        return fail(at, -errno, "set aside", err);
    log_line(p->log, LOG_WARN,
             "the metrics file was damaged; it was set aside and counting "
             "begins anew",
             log_text("file", at->name), log_text("kept_as", at->damaged),
             log_text("error", why->message), LOG_END);
    return PERSIST_OK;
}

static int add_locked(struct persist *p, const struct place *at,
                      const struct metrics_set *set, struct persist_error *err)
{
    struct persist_error why = {0};
    struct metrics_set sum;
    int rc;

    metrics_set_init(&sum);
    rc = read_set(at, &sum, &why);
    if (rc == PERSIST_E_CORRUPT)
        rc = set_aside(p, at, &sum, &why, err);
    else if (rc && err)
        *err = why;
    if (!rc && metrics_set_merge(&sum, set))
        rc = error_memory(err);
    metrics_set_limit_times(&sum, clock_wall_us(p->clock));
    if (!rc)
        rc = replace(at, &sum, err);
    metrics_set_finish(&sum);
    return rc;
}

int engine_metrics_file_add(struct persist *p, const char *path,
                            const struct metrics_set *set,
                            struct persist_error *err)
{
    struct place at;
    int rc = place_init(&at, path, err);

    if (!rc)
        rc = lock(p, &at, err);
    if (!rc)
        rc = add_locked(p, &at, set, err);
    place_finish(&at);
    return rc;
}
