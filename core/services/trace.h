/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces: a span per public call, under it one per stage, and under those one
 * per request, so that it can be seen where the time of a slow save went.
 *
 *     save ─┬─ prepare ─── list 1
 *           ├─ compress
 *           └─ store ──┬─ put 1        a request; the number is the attempt
 *                      └─ put 2
 *
 * A call joins the trace it is part of (W3C Trace Context: the variable
 * TRACEPARENT, or one given to the op) and passes a traceparent of its own on
 * with every request.  Finished spans are kept in a buffer of fixed size and
 * leave it as OTLP JSON, one line per batch, on the thread that ended a call;
 * while a line is being written others only add.  What does not fit or cannot
 * be written is dropped and counted.
 *
 * A struct trace_call is its call's; requests may use it from several threads.
 * Without PERSIST_METRICS everything here is empty.
 *
 * https://www.w3.org/TR/trace-context/
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
#ifndef PERSIST_SERVICES_TRACE_H
#define PERSIST_SERVICES_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

#define TRACEPARENT_CAP 56 /* "00-<32>-<16>-<2>" and a NUL */

struct trace_context {
    uint8_t trace_id[16]; /* all zero: none */
    uint8_t span_id[8];
    uint8_t flags; /* bit 0: sampled */
};

struct tracer;

/* One line of OTLP JSON without a newline; 0, or not where it was not kept. */
typedef int (*trace_sink_fn)(void *ctx, const char *line, size_t len);

/* One public call. */
struct trace_call {
    struct tracer *tracer; /* NULL: no spans, and no ids below */
    struct trace_context context;
    uint8_t parent[8]; /* all zero: none */
    const char *name;
    const char *stage; /* NULL: none */
    uint64_t stage_began_ns;
    atomic_uint_fast64_t stage_id; /* as big-endian bytes; 0: none */
    uint64_t began_ns;             /* on the clock's boot_ns */
    int64_t offset_ns;             /* from there to Unix time */
};

/* One attempt of one request. */
struct trace_request {
    struct trace_call *call; /* NULL: not traced */
    uint8_t id[8];
    uint64_t began_ns;
    char traceparent[TRACEPARENT_CAP]; /* "" where it is not traced */
};

/* What a span tells.  Texts may be NULL and are copied. */
struct trace_facts {
    const char *name; /* a literal */
    const char *store;
    const char *backend;
    const char *object; /* of a key only the last part */
    uint64_t bytes;
    uint32_t attempt; /* 0: no request */
    int status;
    int http_status; /* 0: none */
};

#ifdef PERSIST_METRICS

/* False where it is no traceparent a participant may join. */
bool trace_context_parse(const char *text, struct trace_context *out);
void trace_context_format(const struct trace_context *context,
                          char out[TRACEPARENT_CAP]);

/* sink NULL: calls take part in traces and keep no spans.  NULL: memory. */
struct tracer *tracer_create(const struct clock *clock, trace_sink_fn sink,
                             void *sink_ctx);
void tracer_destroy(struct tracer *t); /* writes what is kept */
uint64_t tracer_dropped(struct tracer *t);

/* t NULL, or neither a sink nor a parent: nothing is traced.  parent NULL: a
 * trace of its own.  name is a literal. */
void trace_begin(struct tracer *t, const struct trace_context *parent,
                 const char *name, struct trace_call *out);
/* Ends the current stage and begins the named one (a literal; NULL: none).  On
 * the call's own thread. */
void trace_stage(struct trace_call *c, const char *name);
void trace_end(struct trace_call *c, const struct trace_facts *facts);

void trace_request_begin(struct trace_call *c, struct trace_request *out);
void trace_request_end(const struct trace_request *r,
                       const struct trace_facts *facts);

#else

static inline void trace_begin(struct tracer *t,
                               const struct trace_context *parent,
                               const char *name, struct trace_call *out)
{
    (void)t;
    (void)parent;
    (void)name;
    out->tracer = NULL;
}

static inline void trace_stage(struct trace_call *c, const char *name)
{
    (void)c;
    (void)name;
}

static inline void trace_end(struct trace_call *c,
                             const struct trace_facts *facts)
{
    (void)c;
    (void)facts;
}

static inline void trace_request_begin(struct trace_call *c,
                                       struct trace_request *out)
{
    (void)c;
    out->call = NULL;
    out->traceparent[0] = '\0';
}

static inline void trace_request_end(const struct trace_request *r,
                                     const struct trace_facts *facts)
{
    (void)r;
    (void)facts;
}
#endif

#endif
