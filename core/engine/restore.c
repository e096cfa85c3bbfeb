/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring to a sink, a buffer and a descriptor.  Files, which appear whole or
 * not at all, are restore_file.c.
 *
 * A sink gets verified frames as they come; that the end of the payload did not
 * match is learnt with the last of them at the latest, which is then held back.
 */
#include "engine/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/os.h"

/* ------------------------------------------------------------------- common
 */

static int check_schema(const struct restore *r, struct persist_error *err)
{
    const char *want = r->options.require_schema;
    const char *schema = download_metadata(r->download)->schema;

    if (!want || (schema && strcmp(schema, want) == 0))
        return PERSIST_OK;
    if (schema)
        error_set(err, PERSIST_E_CONFLICT,
                  "snapshot \"%.150s\" has schema \"%.120s\", and \"%.120s\" "
                  "is required",
                  r->place.text, schema, want);
    else
        error_set(err, PERSIST_E_CONFLICT,
                  "snapshot \"%.150s\" has no schema, and \"%.120s\" is "
                  "required",
                  r->place.text, want);
    error_object(err, "%s", r->place.text);
    return PERSIST_E_CONFLICT;
}

static int check_flagged(const struct persist_restore_options *o,
                         struct persist_error *err)
{
    static const char range[] = "PERSIST_RESTORE_RANGE";
    const struct flagged_member members[] = {
        {"offset", PERSIST_RESTORE_RANGE, range, o->offset != 0},
        {"length", PERSIST_RESTORE_RANGE, range, o->length != 0},
    };

    return engine_flagged(o->flags, members, sizeof(members) / sizeof(*members),
                          err);
}

static int set_range(struct restore *r, struct persist_error *err)
{
    if (!(r->options.flags & PERSIST_RESTORE_RANGE))
        return PERSIST_OK;
    int rc = download_set_range(r->download, r->options.offset,
                                r->options.length, err);
    if (rc != PERSIST_OK)
        error_object(err, "%s", r->place.text);
    return rc;
}

static int open_as(struct restore *r, struct persist_store *store,
                   const char *address,
                   const struct persist_restore_options *options,
                   uint32_t known, unsigned how, struct persist_error *err)
{
    memset(r, 0, sizeof(*r));
    int rc = engine_options(&r->options, sizeof(r->options), options, err);
    if (rc == PERSIST_OK)
        rc = engine_flags(r->options.flags, known, err);
    if (rc == PERSIST_OK)
        rc = check_flagged(&r->options, err);
    if (rc == PERSIST_OK)
        rc = engine_begin(store, OPERATION_RESTORE, r->options.op,
                          r->options.timeout_ms, &r->call, &r->op, err);
    if (rc != PERSIST_OK)
        return rc;
    r->store = store;
    r->begun = true;
    rc = target_parse(store, address, &r->target, err);
    if (rc != PERSIST_OK)
        return rc;
    trace_stage(r->op->trace, "locate");
    if (r->options.flags & PERSIST_RESTORE_RANGE)
        how |= OPEN_RANGE;
    rc = open_snapshot(store, r->op, &r->target, how, &r->place, &r->download,
                       err);
    if (rc == PERSIST_OK)
        rc = check_schema(r, err);
    if (rc == PERSIST_OK)
        rc = set_range(r, err);
    engine_call_object(&r->call, r->place.key);
    trace_stage(r->op->trace, "read");
    return rc;
}

int restore_open(struct restore *r, struct persist_store *store,
                 const char *address,
                 const struct persist_restore_options *options, uint32_t known,
                 struct persist_error *err)
{
    return open_as(r, store, address, options, known, 0, err);
}

static int explain(struct restore *r, int rc, struct persist_error *err)
{
    rc = open_explain(r->store, r->op, &r->target, &r->place, rc, err);
    /* What was stopped is the restore, whichever object it had come to. */
    if (engine_stopped(rc))
        error_object(err, "%s", r->place.text);
    return rc;
}

int restore_open_shared(struct restore *r, struct persist_store *store,
                        const char *address,
                        const struct persist_restore_options *options,
                        uint32_t known, struct persist_error *err)
{
    int rc = open_as(r, store, address, options, known, OPEN_SHARES, err);

    if (rc != PERSIST_OK)
        return rc;
    rc = download_prepare(r->download, err);
    return rc == PERSIST_OK ? rc : explain(r, rc, err);
}

int restore_next(struct restore *r, const void **out, size_t *out_len,
                 struct persist_error *err)
{
    int rc = download_next(r->download, out, out_len, err);

    return rc == PERSIST_OK ? rc : explain(r, rc, err);
}

int restore_run(struct restore *r, const struct persist_sink *sink,
                struct persist_error *err)
{
    const void *data = NULL;
    size_t len = 0;
    int rc;

    while ((rc = restore_next(r, &data, &len, err)) == PERSIST_OK && len > 0) {
        rc = sink->write(sink->ctx, data, len, err);
        if (rc > 0)
            rc = error_set(err, PERSIST_E_MISUSE,
                           "the sink answered %d, which is no status", rc);
        if (rc != PERSIST_OK)
            return rc;
    }
    return rc;
}

void restore_give_metadata(struct restore *r, struct persist_metadata **out)
{
    if (out && r->download)
        *out = download_take_metadata(r->download);
}

void restore_close(struct restore *r, int status)
{
    download_close(r->download);
    r->download = NULL;
    if (r->begun)
        engine_end(&r->call, status);
    r->begun = false;
}

/* --------------------------------------------------------------------- sink
 */

int persist_restore(struct persist_store *store, const char *address,
                    const struct persist_sink *sink,
                    const struct persist_restore_options *options,
                    struct persist_metadata **out_metadata,
                    struct persist_error *err)
{
    struct persist_sink to;
    struct restore r;

    if (out_metadata)
        *out_metadata = NULL;
    if (!sink)
        return error_set(err, PERSIST_E_MISUSE, "the sink is NULL");
    int rc = engine_options(&to, sizeof(to), sink, err);
    if (rc == PERSIST_OK && !to.write)
        rc = error_set(err, PERSIST_E_MISUSE, "the sink has no write");
    if (rc == PERSIST_OK)
        rc = engine_flags(to.flags, 0, err);
    if (rc != PERSIST_OK)
        return rc;
    rc = restore_open(&r, store, address, options, PERSIST_RESTORE_RANGE, err);
    if (rc == PERSIST_OK)
        rc = restore_run(&r, &to, err);
    if (rc == PERSIST_OK)
        restore_give_metadata(&r, out_metadata);
    restore_close(&r, rc);
    return rc;
}

/* ------------------------------------------------------------------- buffer
 */

struct memory_sink {
    char *data;
    size_t len;
    size_t cap;
};

static int write_memory(void *ctx, const void *data, size_t len,
                        struct persist_error *err)
{
    struct memory_sink *m = ctx;

    if (len > m->cap - m->len)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a payload is longer than it said");
    memcpy(m->data + m->len, data, len);
    m->len += len;
    return PERSIST_OK;
}

/* The buffer, of exactly what is to come. */
static int allocate(const struct restore *r, size_t max_len,
                    struct memory_sink *m, struct persist_error *err)
{
    uint64_t max = max_len ? max_len : budget_limit(r->store->p->budget);
    uint64_t len = download_length(r->download);

    if (len > max || len >= SIZE_MAX) {
        error_set(err, PERSIST_E_MEMORY,
                  "snapshot \"%s\" gives %" PRIu64
                  " bytes, and at most %" PRIu64 " are wanted in memory",
                  r->place.text, len, max);
        error_object(err, "%s", r->place.text);
        error_hint(err,
                   "give a larger max_len, or restore to a file or a sink");
        return PERSIST_E_MEMORY;
    }
    m->cap = (size_t)len;
    m->data = malloc(m->cap + 1);
    return m->data ? PERSIST_OK : error_memory(err);
}

int persist_restore_buffer(struct persist_store *store, const char *address,
                           size_t max_len,
                           const struct persist_restore_options *options,
                           void **out, size_t *out_len,
                           struct persist_metadata **out_metadata,
                           struct persist_error *err)
{
    struct memory_sink m = {NULL, 0, 0};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct restore r;

    if (out_metadata)
        *out_metadata = NULL;
    if (!out || !out_len)
        return error_set(err, PERSIST_E_MISUSE, "out or out_len is NULL");
    *out = NULL;
    *out_len = 0;
    sink.write = write_memory;
    sink.ctx = &m;
    int rc =
        restore_open(&r, store, address, options, PERSIST_RESTORE_RANGE, err);
    if (rc == PERSIST_OK)
        rc = allocate(&r, max_len, &m, err);
    if (rc == PERSIST_OK)
        rc = restore_run(&r, &sink, err);
    if (rc == PERSIST_OK) {
        m.data[m.len] = '\0';
        *out = m.data;
        *out_len = m.len;
        m.data = NULL;
        restore_give_metadata(&r, out_metadata);
    }
    free(m.data);
    restore_close(&r, rc);
    return rc;
}

/* --------------------------------------------------------------- descriptor
 */

/* What surely fits where poll says that something does (POSIX, of pipes): a
 * write that waited for its reader could not be cancelled. */
#define PIPE_CHUNK PIPE_BUF
#define FILE_CHUNK (4 * 1024 * 1024)

struct fd_sink {
    struct restore *r;
    int fd;
    bool may_block; /* a pipe, a socket, a terminal */
};

/* How long to wait for a reader: ms, rounded up; -1 without a deadline. */
static int time_left_ms(const struct restore *r)
{
    uint64_t deadline = r->op->deadline_ns;

    if (deadline == 0)
        return -1;
    uint64_t now = clock_boot_ns(r->store->p->clock);
    uint64_t left = now < deadline ? (deadline - now) / 1000000 + 1 : 0;
    return left > 60000 ? 60000 : (int)left;
}

static int stopped(const struct restore *r, struct persist_error *err)
{
    int rc = op_check(r->op, r->store->p->clock);

    if (rc == PERSIST_OK)
        return rc;
    return error_set(err, rc,
                     rc == PERSIST_E_TIMEOUT
                         ? "the deadline passed while writing"
                         : "cancelled");
}

/* Waits until the descriptor takes bytes; a reader that stopped reading must
 * not keep a cancelled restore alive. */
static int wait_writable(const struct fd_sink *s, struct persist_error *err)
{
    struct pollfd fds[2] = {
        {.fd = s->fd, .events = POLLOUT},
        {.fd = cancel_fd(&s->r->op->cancel), .events = POLLIN}};

    for (;;) {
        int rc = stopped(s->r, err);
        if (rc != PERSIST_OK)
            return rc;
        int n = poll(fds, 2, time_left_ms(s->r));
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot wait for the output");
        if (n > 0 && fds[0].revents)
            return PERSIST_OK;
    }
}

/* Pieces of one frame, the first of them not empty. */
struct pieces {
    struct iovec at[OS_PIECES_MAX];
    int next; /* before it all is written */
    int end;
};

/* Bytes, or -errno. */
static ssize_t write_some(const struct fd_sink *s, const struct pieces *p)
{
    const struct iovec *first = &p->at[p->next];
    ssize_t n =
        s->may_block ? os_write_now(s->fd, first, p->end - p->next) : -ENOTSUP;
    size_t chunk = s->may_block ? PIPE_CHUNK : FILE_CHUNK;

    if (n != -ENOTSUP)
        return n;
    n = write(s->fd, first->iov_base,
              first->iov_len < chunk ? first->iov_len : chunk);
    return n < 0 ? -errno : n;
}

static void step(struct pieces *p, size_t n)
{
    while (n > 0 && p->next < p->end) {
        struct iovec *first = &p->at[p->next];
        size_t written = n < first->iov_len ? n : first->iov_len;

        first->iov_base = (char *)first->iov_base + written;
        first->iov_len -= written;
        n -= written;
        if (first->iov_len == 0)
            p->next++;
    }
}

/* A pipe whose reader has gone is an error of the call.  The signal that comes
 * with it would end the caller's process, whose disposition is not ours to
 * change: it is held back in this thread and taken. */
struct held_sigpipe {
    sigset_t only, before;
    bool was_pending;
};

static bool is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void hold_sigpipe(struct held_sigpipe *held)
{
    sigemptyset(&held->only);
    sigaddset(&held->only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &held->only, &held->before);
    held->was_pending = is_pending();
}

static void release_sigpipe(const struct held_sigpipe *held)
{
    int taken;

    if (!held->was_pending && is_pending())
        sigwait(&held->only, &taken);
    pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}

static int write_all(const struct fd_sink *s, struct pieces *p,
                     struct persist_error *err)
{
    while (p->next < p->end) {
        int rc = s->may_block ? wait_writable(s, err) : stopped(s->r, err);
        if (rc != PERSIST_OK)
            return rc;
        ssize_t n = write_some(s, p);
        if (n < 0 && n != -EINTR && n != -EAGAIN)
            return error_errno(err, (int)-n, "cannot write the payload");
        if (n > 0)
            step(p, (size_t)n);
    }
    return PERSIST_OK;
}

static int write_fd(const struct fd_sink *s, struct pieces *p,
                    struct persist_error *err)
{
    struct held_sigpipe held;

    if (!s->may_block)
        return write_all(s, p, err);
    hold_sigpipe(&held);
    int rc = write_all(s, p, err);
    release_sigpipe(&held);
    return rc;
}

/* The next pieces, as many as are there at once; none: it has ended. */
static int gather(struct restore *r, struct pieces *p,
                  struct persist_error *err)
{
    const void *data = NULL;
    size_t len = 0;
    int rc = restore_next(r, &data, &len, err);

    p->next = p->end = 0;
    if (rc != PERSIST_OK || len == 0)
        return rc;
    do
        p->at[p->end++] = (struct iovec){(void *)data, len};
    while (p->end < OS_PIECES_MAX && download_more(r->download, &data, &len));
    return PERSIST_OK;
}

static int run_fd(struct restore *r, const struct fd_sink *s,
                  struct persist_error *err)
{
    struct pieces p;
    int rc;

    while ((rc = gather(r, &p, err)) == PERSIST_OK && p.end > 0) {
        rc = write_fd(s, &p, err);
        if (rc != PERSIST_OK)
            return rc;
    }
    return rc;
}

int persist_restore_fd(struct persist_store *store, const char *address, int fd,
                       const struct persist_restore_options *options,
                       struct persist_metadata **out_metadata,
                       struct persist_error *err)
{
    struct restore r;
    struct fd_sink s = {&r, fd, true};
    struct stat st;

    if (out_metadata)
        *out_metadata = NULL;
    if (fstat(fd, &st) != 0)
        return error_errno(err, errno, "descriptor %d", fd);
    s.may_block = !S_ISREG(st.st_mode);
    os_widen_pipe(fd);
    int rc =
        restore_open(&r, store, address, options, PERSIST_RESTORE_RANGE, err);
    if (rc == PERSIST_OK)
        rc = run_fd(&r, &s, err);
    if (rc == PERSIST_OK)
        restore_give_metadata(&r, out_metadata);
    restore_close(&r, rc);
    return rc;
}
