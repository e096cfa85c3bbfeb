/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sinks of spans, and which trace a call belongs to.
 *
 * The file is opened for every batch, so that it may be rotated under a running
 * program; one line is one write to a descriptor in append mode, so that
 * several processes can share a file.  Where ours was cut the next begins with
 * a line break.
 */
#include "engine/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/file.h"
#include "posix/os.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/text.h"

#ifdef PERSIST_METRICS

/* Whether the last line was cut, by a full disk.  It is not taken back: others
 * may have written behind it by then.  To be asked only where a write has
 * failed: of a line that another process writes just now the beginning can be
 * seen, too. */
static bool ends_within_a_line(const char *path, int fd)
{
    struct stat st;
    size_t len = 0;
    char last = '\n';
    int in;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0)
        return false;
    in = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0)
        return false;
    (void)file_read_at(in, &last, 1, (uint64_t)st.st_size - 1, &len);
    close(in);
    return len == 1 && last != '\n';
}

static int write_whole(struct persist *p, int fd, const char *line, size_t len)
{
    struct buf whole;
    int rc = -ENOMEM;

    buf_init(&whole, len + 2);
    if (atomic_exchange(&p->trace_cut, false) &&
        ends_within_a_line(p->trace_file, fd))
        buf_putc(&whole, '\n');
    buf_append(&whole, line, len);
    buf_putc(&whole, '\n');
    if (!buf_failed(&whole))
        rc = file_write_all(fd, whole.data, whole.len);
    if (rc)
        atomic_store(&p->trace_cut, true);
    buf_finish(&whole);
    return rc;
}

/* A regular file, or the FIFO or terminal of who watches; never through a
 * link. */
static int append_line(struct persist *p, const char *line, size_t len)
{
    int fd = open(p->trace_file,
                  O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
                      O_CLOEXEC,
                  0644);
    int rc = fd < 0 ? -errno : write_whole(p, fd, line, len);

    if (fd >= 0 && close(fd) != 0 && !rc)
        rc = -errno;
    return rc;
}

/* A file that cannot be written is told once, not with every call. */
static void complain(struct persist *p, int errno_value)
{
    char scratch[24];

    if (atomic_exchange(&p->trace_complained, true))
        return;
    log_line(p->log, LOG_WARN,
             "spans cannot be written to the trace file and are dropped",
             log_text("file", log_basename(p->trace_file)),
             log_text("error", error_errno_text(errno_value, scratch)),
             LOG_END);
}

static int write_line(void *ctx, const char *line, size_t len)
{
    struct persist *p = ctx;
    int rc = 0;

    if (p->trace)
        p->trace(p->trace_ctx, line, len);
    if (p->trace_file)
        rc = append_line(p, line, len);
    if (rc)
        complain(p, -rc);
    return rc;
}

/* What does not fit the form is no context: a trace of its own begins, as the
 * specification wants it. */
static void read_environment(struct persist *p, const struct persist_options *o)
{
    const char *text =
        o->flags & PERSIST_NO_ENVIRONMENT ? NULL : os_getenv("TRACEPARENT");

    if (!text || !*text)
        return;
    p->in_trace = trace_context_parse(text, &p->trace_context);
    if (!p->in_trace)
        log_line(p->log, LOG_DEBUG, "TRACEPARENT is malformed and ignored",
                 LOG_END);
}

int engine_trace_create(struct persist *p, const struct persist_options *o,
                        struct persist_error *err)
{
    struct config_value v = {0};
    int rc = config_get(p->config, "trace_file", &v, err);

    if (rc)
        return rc;
    p->trace_file = v.text;
    p->trace = o->trace;
    p->trace_ctx = o->trace_ctx;
    read_environment(p, o);
    p->tracer = tracer_create(p->clock,
                              p->trace || p->trace_file ? write_line : NULL, p);
    return p->tracer ? PERSIST_OK : error_memory(err);
}

void engine_trace_destroy(struct persist *p)
{
    tracer_destroy(p->tracer);
}

void engine_trace_begin(struct engine_call *call)
{
    const struct persist *p = call->store->p;
    const struct trace_context *parent = p->in_trace ? &p->trace_context : NULL;
    struct trace_context own;

    /* Checked when it was given. */
    if (call->op->traceparent[0] &&
        trace_context_parse(call->op->traceparent, &own))
        parent = &own;
    trace_begin(p->tracer, parent, metrics_operation_name(call->operation),
                &call->trace);
}

int persist_op_set_traceparent(struct persist_op *op, const char *traceparent,
                               struct persist_error *err)
{
    struct trace_context context;

    if (!op)
        return error_set(err, PERSIST_E_MISUSE, "the op is NULL");
    op->traceparent[0] = '\0';
    if (!traceparent)
        return PERSIST_OK;
    if (!trace_context_parse(traceparent, &context))
        return error_set(err, PERSIST_E_INVALID,
                         "\"%.60s\" is no traceparent (W3C Trace Context)",
                         traceparent);
    trace_context_format(&context, op->traceparent);
    return PERSIST_OK;
}

#else

/* What would have no effect is refused. */
int engine_trace_create(struct persist *p, const struct persist_options *o,
                        struct persist_error *err)
{
    struct config_value v = {0};
    int rc = config_get(p->config, "trace_file", &v, err);

    if (!rc && v.text)
        rc = error_set(err, PERSIST_E_CONFIG,
                       "%s: trace_file: this build has no traces", v.origin);
    if (!rc && o->trace)
        rc = error_set(err, PERSIST_E_UNSUPPORTED,
                       "this build has no traces (PERSIST_METRICS)");
    return rc;
}

void engine_trace_destroy(struct persist *p)
{
    (void)p;
}

void engine_trace_begin(struct engine_call *call)
{
    trace_begin(NULL, NULL, NULL, &call->trace);
}

int persist_op_set_traceparent(struct persist_op *op, const char *traceparent,
                               struct persist_error *err)
{
    (void)op;
    (void)traceparent;
    return error_set(err, PERSIST_E_UNSUPPORTED,
                     "this build has no traces (PERSIST_METRICS)");
}

#endif
