/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished span, as trace.c keeps it and trace_json.c writes it.
 */
#ifndef PERSIST_SERVICES_TRACE_SPAN_H
#define PERSIST_SERVICES_TRACE_SPAN_H

#include <stddef.h>
#include <stdint.h>

#include "services/trace.h"

/* Spans in one line: some 40 KiB, far below what readers of lines take. */
#define TRACE_BATCH_MAX 64

/* The numbers of SpanKind in OTLP. */
enum span_kind { TRACE_INTERNAL = 1, TRACE_CLIENT = 3 };

struct span {
    const char *name; /* a literal */
    uint8_t trace_id[16];
    uint8_t id[8];
    uint8_t parent[8]; /* all zero: none */
    enum span_kind kind;
    uint64_t start_ns; /* Unix time */
    uint64_t end_ns;
    char store[40]; /* "" here and below: not told */
    char backend[40];
    char object[80];
    uint64_t bytes;
    uint32_t attempt;
    int status;
    int http_status;
};

/* One line with all of them to the sink; not 0 where it was not kept. */
int trace_json_write(const struct span *spans, size_t n, trace_sink_fn sink,
                     void *sink_ctx);

#endif
