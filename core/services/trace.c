/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts, spans in the making, and the buffer of finished ones.  How they are
 * written is trace_json.c's.
 */
#include "services/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "services/trace_span.h"
#include "util/text.h"

#define KEPT_MAX 512

struct tracer {
    const struct clock *clock;
    trace_sink_fn sink;
    void *sink_ctx;
    pthread_mutex_t mutex;
    struct span kept[KEPT_MAX];         /* under mutex */
    size_t n_kept;                      /* the same */
    bool writing;                       /* the same: somebody empties it */
    struct span batch[TRACE_BATCH_MAX]; /* the writer's */
    atomic_uint_fast64_t dropped;
};

/* ----------------------------------------------------------------- contexts
 */

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Version 00 has exactly this form; a later one may go on behind another dash.
 * Zero ids and version ff are invalid. */
bool trace_context_parse(const char *text, struct trace_context *out)
{
    const size_t len = TRACEPARENT_CAP - 1;
    uint8_t version;

    if (!text || strnlen(text, len) < len || text[2] != '-' ||
        text[35] != '-' || text[52] != '-' ||
        !text_from_hex(text, 2, &version) || version == 0xff)
        return false;
    if (text[len] && (version == 0 || text[len] != '-'))
        return false;
    return text_from_hex(text + 3, 32, out->trace_id) &&
           text_from_hex(text + 36, 16, out->span_id) &&
           text_from_hex(text + 53, 2, &out->flags) &&
           !is_zero(out->trace_id, 16) && !is_zero(out->span_id, 8);
}

void trace_context_format(const struct trace_context *context,
                          char out[TRACEPARENT_CAP])
{
    const uint8_t version = 0, flags = context->flags & 1;

    text_to_hex(&version, 1, out);
    out[2] = '-';
    text_to_hex(context->trace_id, 16, out + 3);
    out[35] = '-';
    text_to_hex(context->span_id, 8, out + 36);
    out[52] = '-';
    text_to_hex(&flags, 1, out + 53);
}

static bool new_id(const struct tracer *t, uint8_t *out, size_t len)
{
    return t->clock->random(t->clock->ctx, out, len) == 0 && !is_zero(out, len);
}

/* -------------------------------------------------------------- the buffer */

struct tracer *tracer_create(const struct clock *clock, trace_sink_fn sink,
                             void *sink_ctx)
{
    struct tracer *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->clock = clock;
    t->sink = sink;
    t->sink_ctx = sink_ctx;
    pthread_mutex_init(&t->mutex, NULL);
    return t;
}

static void drop(struct tracer *t, size_t n)
{
    atomic_fetch_add_explicit(&t->dropped, n, memory_order_relaxed);
}

/* Under the mutex, which it leaves while it writes. */
static void write_kept(struct tracer *t)
{
    t->writing = true;
    while (t->n_kept) {
        size_t n = t->n_kept < TRACE_BATCH_MAX ? t->n_kept : TRACE_BATCH_MAX;

        memcpy(t->batch, t->kept, n * sizeof t->batch[0]);
        t->n_kept -= n;
        memmove(t->kept, t->kept + n, t->n_kept * sizeof t->kept[0]);
        pthread_mutex_unlock(&t->mutex);
        if (trace_json_write(t->batch, n, t->sink, t->sink_ctx) != 0)
            drop(t, n);
        pthread_mutex_lock(&t->mutex);
    }
    t->writing = false;
}

static void keep(struct tracer *t, const struct span *span, bool is_last)
{
    pthread_mutex_lock(&t->mutex);
    if (t->n_kept == KEPT_MAX)
        drop(t, 1);
    else
        t->kept[t->n_kept++] = *span;
    if ((is_last || t->n_kept >= TRACE_BATCH_MAX) && !t->writing)
        write_kept(t);
    pthread_mutex_unlock(&t->mutex);
}

void tracer_destroy(struct tracer *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mutex);
    write_kept(t);
    pthread_mutex_unlock(&t->mutex);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

uint64_t tracer_dropped(struct tracer *t)
{
    return t ? atomic_load_explicit(&t->dropped, memory_order_relaxed) : 0;
}

/* -------------------------------------------------------------------- spans
 */

static bool is_kept(const struct trace_call *c)
{
    return c->tracer->sink && c->context.flags & 1;
}

static void copy_text(char *out, size_t cap, const char *text)
{
    size_t len = text ? strnlen(text, cap - 1) : 0;

    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

static void finish_span(struct trace_call *c, struct span *span,
                        uint64_t began_ns, const struct trace_facts *facts)
{
    uint64_t now_ns = clock_boot_ns(c->tracer->clock);

    span->name = facts->name;
    memcpy(span->trace_id, c->context.trace_id, sizeof span->trace_id);
    span->start_ns = (uint64_t)((int64_t)began_ns + c->offset_ns);
    span->end_ns = (uint64_t)((int64_t)now_ns + c->offset_ns);
    copy_text(span->store, sizeof span->store, facts->store);
    copy_text(span->backend, sizeof span->backend, facts->backend);
    copy_text(span->object, sizeof span->object, facts->object);
    span->bytes = facts->bytes;
    span->attempt = facts->attempt;
    span->status = facts->status;
    span->http_status = facts->http_status;
}

void trace_begin(struct tracer *t, const struct trace_context *parent,
                 const char *name, struct trace_call *out)
{
    memset(out, 0, sizeof *out);
    atomic_init(&out->stage_id, 0);
    if (!t || (!t->sink && !parent) || !new_id(t, out->context.span_id, 8))
        return;
    out->context.flags = 1;
    if (parent && !is_zero(parent->trace_id, 16)) {
        memcpy(out->context.trace_id, parent->trace_id, 16);
        memcpy(out->parent, parent->span_id, 8);
        out->context.flags = parent->flags;
    } else if (!new_id(t, out->context.trace_id, 16)) {
        return;
    }
    out->tracer = t;
    out->name = name;
    out->began_ns = clock_boot_ns(t->clock);
    out->offset_ns = clock_wall_us(t->clock) * 1000 - (int64_t)out->began_ns;
}

static void end_stage(struct trace_call *c)
{
    const struct trace_facts facts = {.name = c->stage};
    struct span span = {.kind = TRACE_INTERNAL};
    uint64_t id = atomic_load(&c->stage_id);

    if (!c->stage)
        return;
    memcpy(span.id, &id, sizeof span.id);
    memcpy(span.parent, c->context.span_id, sizeof span.parent);
    finish_span(c, &span, c->stage_began_ns, &facts);
    if (is_kept(c))
        keep(c->tracer, &span, false);
    c->stage = NULL;
    atomic_store(&c->stage_id, 0);
}

void trace_stage(struct trace_call *c, const char *name)
{
    uint8_t bytes[8];
    uint64_t id;

    if (!c || !c->tracer)
        return;
    end_stage(c);
    if (!name || !new_id(c->tracer, bytes, sizeof bytes))
        return;
    memcpy(&id, bytes, sizeof id);
    c->stage = name;
    c->stage_began_ns = clock_boot_ns(c->tracer->clock);
    atomic_store(&c->stage_id, id);
}

void trace_end(struct trace_call *c, const struct trace_facts *facts)
{
    struct span span = {.kind = TRACE_INTERNAL};

    if (!c->tracer)
        return;
    end_stage(c);
    memcpy(span.id, c->context.span_id, sizeof span.id);
    memcpy(span.parent, c->parent, sizeof span.parent);
    finish_span(c, &span, c->began_ns, facts);
    if (is_kept(c))
        keep(c->tracer, &span, true);
    c->tracer = NULL;
}

void trace_request_begin(struct trace_call *c, struct trace_request *out)
{
    struct trace_context context;

    memset(out, 0, sizeof *out);
    if (!c || !c->tracer || !new_id(c->tracer, out->id, sizeof out->id))
        return;
    out->call = c;
    out->began_ns = clock_boot_ns(c->tracer->clock);
    context = c->context;
    memcpy(context.span_id, out->id, sizeof context.span_id);
    trace_context_format(&context, out->traceparent);
}

void trace_request_end(const struct trace_request *r,
                       const struct trace_facts *facts)
{
    struct span span = {.kind = TRACE_CLIENT};
    uint64_t stage;

    if (!r->call || !is_kept(r->call))
        return;
    memcpy(span.id, r->id, sizeof span.id);
    stage = atomic_load(&r->call->stage_id);
    if (stage)
        memcpy(span.parent, &stage, sizeof span.parent);
    else
        memcpy(span.parent, r->call->context.span_id, sizeof span.parent);
    finish_span(r->call, &span, r->began_ns, facts);
    keep(r->call->tracer, &span, false);
}
