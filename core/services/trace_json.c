/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans as one line of OTLP JSON (an ExportTraceServiceRequest): ids in hex,
 * 64-bit numbers as text, names in lowerCamelCase, as the protocol's page on
 * its JSON encoding demands.
 */
#include <string.h>

#include <persist/error.h>
#include <persist/version.h>

#include "services/trace_span.h"
#include "util/buf.h"
#include "util/text.h"

#define LINE_MAX_LEN ((size_t)256 << 10)

static void put_text(struct buf *out, bool *first, const char *key,
                     const char *text)
{
    if (!text[0])
        return;
    buf_printf(out, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":",
               *first ? "" : ",", key);
    text_quote(out, text, strlen(text));
    buf_puts(out, "}}");
    *first = false;
}

static void put_number(struct buf *out, bool *first, const char *key,
                       uint64_t number)
{
    if (!number)
        return;
    buf_printf(out, "%s{\"key\":\"%s\",\"value\":{\"intValue\":\"%llu\"}}",
               *first ? "" : ",", key, (unsigned long long)number);
    *first = false;
}

/* An answer such as "there is none" is no error of a request. */
static bool is_error(int status)
{
    return status != PERSIST_OK && status != PERSIST_E_NOT_FOUND &&
           status != PERSIST_E_EXISTS && status != PERSIST_E_PRECONDITION;
}

static void put_ids(struct buf *out, const struct span *s)
{
    static const uint8_t none[8];
    char hex[33];

    text_to_hex(s->trace_id, 16, hex);
    buf_printf(out, "{\"traceId\":\"%s\"", hex);
    text_to_hex(s->id, 8, hex);
    buf_printf(out, ",\"spanId\":\"%s\"", hex);
    if (memcmp(s->parent, none, sizeof none) != 0) {
        text_to_hex(s->parent, 8, hex);
        buf_printf(out, ",\"parentSpanId\":\"%s\"", hex);
    }
}

static void put_span(struct buf *out, const struct span *s)
{
    const char *status = persist_status_name(s->status);
    bool first = true;

    put_ids(out, s);
    buf_printf(out,
               ",\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":\"%llu\","
               "\"endTimeUnixNano\":\"%llu\",\"attributes\":[",
               s->name, (int)s->kind, (unsigned long long)s->start_ns,
               (unsigned long long)s->end_ns);
    put_text(out, &first, "persist.store", s->store);
    put_text(out, &first, "persist.backend", s->backend);
    put_text(out, &first, "persist.object", s->object);
    put_number(out, &first, "persist.bytes", s->bytes);
    put_number(out, &first, "persist.attempt", s->attempt);
    put_number(out, &first, "http.response.status_code",
               s->http_status > 0 ? (uint64_t)s->http_status : 0);
    if (s->store[0]) /* a stage has no outcome of its own */
        put_text(out, &first, "persist.status", status);
    buf_puts(out, "]");
    if (is_error(s->status))
        buf_printf(out, ",\"status\":{\"code\":2,\"message\":\"%s\"}", status);
    buf_puts(out, "}");
}

int trace_json_write(const struct span *spans, size_t n, trace_sink_fn sink,
                     void *sink_ctx)
{
    struct buf line;
    int rc = -1;

    buf_init(&line, LINE_MAX_LEN);
    buf_puts(&line,
             "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":"
             "\"service.name\",\"value\":{\"stringValue\":\"persist\"}},{"
             "\"key\":\"service.version\",\"value\":{\"stringValue\":"
             "\"" PERSIST_VERSION "\"}}]},\"scopeSpans\":[{\"scope\":{"
             "\"name\":\"persist\",\"version\":\"" PERSIST_VERSION
             "\"},\"spans\":[");
    for (size_t i = 0; i < n; i++) {
        buf_puts(&line, i ? "," : "");
        put_span(&line, &spans[i]);
    }
    buf_puts(&line, "]}]}]}");
    if (!buf_failed(&line) && sink)
        rc = sink(sink_ctx, line.data, line.len);
    buf_finish(&line);
    return rc;
}
