/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place through which every attempt of every op passes (attempt_once):
 * gates, call context, the plugin, the check of its answer.  Around it the
 * loop that repeats (backend/retry) and the rules by which a doubtful answer
 * becomes a final one.
 *
 * Not here: what the ops' arguments and results mean (store_ops.c and its
 * neighbours).
 */
#include "backend/store_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One attempt's outcome. */
struct outcome {
    int status;
    bool sent;        /* the plugin was called */
    char reason[256]; /* the host's own words; "" : the plugin's */
    struct persist_backend_error error;
};

_Static_assert(PERSIST_E_NOT_FOUND == PERSIST_BACKEND_NOT_FOUND &&
                   PERSIST_E_EXISTS == PERSIST_BACKEND_EXISTS &&
                   PERSIST_E_PRECONDITION == PERSIST_BACKEND_PRECONDITION &&
                   PERSIST_E_AUTH == PERSIST_BACKEND_AUTH &&
                   PERSIST_E_DENIED == PERSIST_BACKEND_DENIED &&
                   PERSIST_E_THROTTLED == PERSIST_BACKEND_THROTTLED &&
                   PERSIST_E_TRANSIENT == PERSIST_BACKEND_TRANSIENT &&
                   PERSIST_E_TIMEOUT == PERSIST_BACKEND_TIMEOUT &&
                   PERSIST_E_CANCELLED == PERSIST_BACKEND_CANCELLED &&
                   PERSIST_E_CORRUPT == PERSIST_BACKEND_CORRUPT &&
                   PERSIST_E_NO_SPACE == PERSIST_BACKEND_NO_SPACE &&
                   PERSIST_E_UNSUPPORTED == PERSIST_BACKEND_UNSUPPORTED &&
                   PERSIST_E_INVALID == PERSIST_BACKEND_INVALID &&
                   PERSIST_E_CONFIG == PERSIST_BACKEND_CONFIG &&
                   PERSIST_E_MEMORY == PERSIST_BACKEND_MEMORY &&
                   PERSIST_E_IO == PERSIST_BACKEND_IO &&
                   PERSIST_E_UNCERTAIN == PERSIST_BACKEND_UNCERTAIN &&
                   PERSIST_E_NOT_DURABLE == PERSIST_BACKEND_NOT_DURABLE &&
                   PERSIST_E_INTERNAL == PERSIST_BACKEND_INTERNAL,
               "a plugin's code and the library's are the same number");

static const struct cancel *instance_cancel(const struct store_call *c)
{
    return c->flags & STORE_CALL_PAST_CANCEL ? NULL : c->store->env.cancel;
}

static int may_go_on(const struct store_call *c)
{
    if (cancel_is_set(instance_cancel(c)))
        return PERSIST_E_CANCELLED;
    return op_check(c->op, c->store->env.clock);
}

/* --------------------------------------------------------- one attempt */

/* What is known of an attempt beside its outcome. */
struct measured {
    uint32_t attempt;
    uint64_t begun_ns;
    uint64_t elapsed_ns;
    struct trace_request request;
    struct log_ids outer; /* the ids of lines outside of it */
};

/* Plugins read deadlines on the system's clock; the op's is on the instance's,
 * which in tests is another one.  What carries over is the time that is left.
 */
static void fill_call(const struct store_call *c,
                      const struct measured *measured, struct host_call *host,
                      struct persist_backend_call *call)
{
    const char *traceparent = measured->request.traceparent;

    *host = (struct host_call){c->op, instance_cancel(c)};
    *call = (struct persist_backend_call){
        .struct_size = sizeof(*call),
        .attempt = measured->attempt,
        .host_call = host,
        .traceparent = traceparent[0] ? traceparent : NULL};
    if (c->op->deadline_ns) {
        uint64_t now = clock_boot_ns(c->store->env.clock);
        uint64_t left = c->op->deadline_ns > now ? c->op->deadline_ns - now : 0;
        call->present = PERSIST_BACKEND_CALL_DEADLINE;
        now = clock_boot_ns(&clock_system);
        call->deadline_ns = left > UINT64_MAX - now ? UINT64_MAX : now + left;
    }
}

static void blame(const struct store_call *c, struct outcome *o, int status,
                  const char *what)
{
    o->status = status;
    snprintf(o->reason, sizeof(o->reason), "backend %s %s",
             c->store->plugin->descriptor.name, what);
}

/* Codes outside the set, and codes that are no answer to this request. */
static void check_status(const struct store_call *c, int32_t status,
                         struct outcome *o)
{
    bool write = (c->flags & STORE_CALL_WRITE) != 0;
    char what[64];

    o->status = status;
    if (status > 0 || status < PERSIST_BACKEND_INTERNAL) {
        snprintf(what, sizeof(what), "answered with the unknown code %" PRId32,
                 status);
        blame(c, o, PERSIST_E_INTERNAL, what);
    } else if (status == PERSIST_BACKEND_EXISTS &&
               !(c->flags & STORE_CALL_IF_ABSENT)) {
        blame(c, o, PERSIST_E_INTERNAL, "answered \"exists\" where it cannot");
    } else if (status == PERSIST_BACKEND_CANCELLED &&
               may_go_on(c) != PERSIST_E_CANCELLED) {
        blame(c, o, PERSIST_E_INTERNAL,
              "answered \"cancelled\" and nobody had");
    } else if (!write && (status == PERSIST_BACKEND_UNCERTAIN ||
                          status == PERSIST_BACKEND_NOT_DURABLE)) {
        blame(c, o, PERSIST_E_INTERNAL,
              "answered a read with a code of writes");
    }
}

static int enter_gates(const struct store_call *c)
{
    const struct cancel *also = instance_cancel(c);
    const struct clock *clock = c->store->env.clock;
    int rc = PERSIST_OK;

    /* The upload's first: whoever waits there must not hold a place of the
     * store. */
    if (c->gate)
        rc = gate_enter(c->gate, c->op, also, clock);
    if (rc != PERSIST_OK)
        return rc;
    rc = gate_enter(&c->store->gate, c->op, also, clock);
    if (rc != PERSIST_OK && c->gate)
        gate_leave(c->gate);
    return rc;
}

static void leave_gates(const struct store_call *c)
{
    gate_leave(&c->store->gate);
    if (c->gate)
        gate_leave(c->gate);
}

/* The store's slow-down and the upload limit.  Outside the gates: who waits
 * here takes nobody's place. */
static int wait_turn(const struct store_call *c, struct retry *r)
{
    const struct cancel *also = instance_cancel(c);
    const struct clock *clock = c->store->env.clock;
    uint64_t began = clock_boot_ns(clock);
    int rc = pace_wait(&c->store->pace, c->op, also, clock);

    if (rc == PERSIST_OK)
        rc = rate_pay(c->store->env.upload, c->sends, c->op, also, clock);
    retry_excuse(r, clock_boot_ns(clock) - began);
    return rc;
}

/* What came is there whether or not there was time to pay for it; the next
 * request finds out. */
static void pay_received(const struct store_call *c)
{
    if (c->receives)
        rate_pay(c->store->env.download, *c->receives, c->op,
                 instance_cancel(c), c->store->env.clock);
}

/* The time is only looked at where somebody wants to know. */
static uint64_t now_ns(const struct store_call *c)
{
    bool wanted =
        c->store->counted || log_enabled(c->store->env.log, LOG_DEBUG);

    return wanted ? clock_boot_ns(c->store->env.clock) : 0;
}

/* The plugin's own lines belong to the request that it is making. */
static void begin_measuring(const struct store_call *c, uint32_t attempt,
                            struct measured *m)
{
    struct log_ids ids = {0};

    m->attempt = attempt;
    trace_request_begin(c->op->trace, &m->request);
    if (m->request.call) {
        memcpy(ids.trace_id, m->request.traceparent + 3, 32);
        memcpy(ids.span_id, m->request.traceparent + 36, 16);
        m->outer = log_set_ids(&ids);
    }
    m->begun_ns = now_ns(c);
}

static void end_measuring(const struct store_call *c, struct measured *m)
{
    m->elapsed_ns = now_ns(c) - m->begun_ns;
}

static void log_request(const struct store_call *c, const struct measured *m,
                        uint64_t bytes, int status)
{
    if (!log_enabled(c->store->env.log, LOG_DEBUG))
        return;
    log_line(c->store->env.log, LOG_DEBUG, "request", log_text("op", c->what),
             log_text("store", c->store->name), log_text("object", c->key),
             log_u64("attempt", m->attempt), log_u64("bytes", bytes),
             log_u64("elapsed_us", m->elapsed_ns / 1000),
             log_text("status", persist_status_name(status)), LOG_END);
}

/* What an attempt that was sent has cost and brought. */
static void record(const struct store_call *c, const struct measured *m,
                   const struct outcome *o)
{
    bool good = o->status == PERSIST_OK;
    uint64_t moved = c->sends + (good && c->receives ? *c->receives : 0);
    const struct trace_facts facts = {
        .name = c->what,
        .store = c->store->name,
        .backend = c->store->plugin->descriptor.name,
        .object = log_basename(c->key),
        .bytes = good ? moved : 0,
        .attempt = m->attempt,
        .status = o->status,
        .http_status = o->error.present & PERSIST_BACKEND_ERROR_HTTP_STATUS
                           ? o->error.http_status
                           : 0,
    };

    metrics_record_op(c->store->counted, c->counted_as, facts.bytes,
                      m->elapsed_ns, m->attempt > 1, o->status);
    log_request(c, m, facts.bytes, o->status);
    if (!m->request.call)
        return;
    trace_request_end(&m->request, &facts);
    log_set_ids(&m->outer);
}

/* Every attempt of every op passes here, and nothing else calls one. */
static void attempt_once(const struct store_call *c, struct retry *retry,
                         struct outcome *o)
{
    struct host_call host;
    struct persist_backend_call call;
    struct store_verdict verdict = {0};
    struct measured m;

    memset(o, 0, sizeof(*o));
    o->status = wait_turn(c, retry);
    if (o->status == PERSIST_OK)
        o->status = enter_gates(c);
    if (o->status != PERSIST_OK)
        return;
    o->sent = true;
    o->error.struct_size = sizeof(o->error);
    begin_measuring(c, retry->attempts + 1 + (c->again ? 1 : 0), &m);
    fill_call(c, &m, &host, &call);
    int32_t status = c->attempt(c->ctx, &call, &o->error);
    end_measuring(c, &m);
    leave_gates(c);
    store_error_clean(&o->error);
    check_status(c, status, o);
    if (o->status == PERSIST_E_THROTTLED)
        pace_throttled(&c->store->pace, c->store->env.clock);
    if (o->status == PERSIST_OK && c->check)
        verdict = c->check(c->ctx);
    if (verdict.wrong)
        blame(c, o, verdict.status, verdict.wrong);
    record(c, &m, o);
}

/* ---------------------------------------------------------- repetition */

/* INFO and above name only the last part of a key (services/log.h). */
static void log_retry(const struct store_call *c, const struct retry *r,
                      int status)
{
    bool loud = r->attempts >= 3 || r->wait_ns >= UINT64_C(1000000000);
    enum log_level level = loud ? LOG_WARN : LOG_DEBUG;

    if (!c->store->env.log || !log_enabled(c->store->env.log, level))
        return;
    log_line(c->store->env.log, level, "repeating a request",
             log_text("op", c->what), log_text("store", c->store->name),
             log_text("object", loud ? log_basename(c->key) : c->key),
             log_u64("attempt", r->attempts + 1),
             log_u64("wait_ms", r->wait_ns / 1000000),
             log_text("status", persist_status_name(status)), LOG_END);
}

struct run {
    struct retry retry;
    struct outcome outcome;
    bool doubt; /* an attempt answered UNCERTAIN */
};

/* One attempt and, if there is to be another, the wait before it. */
static bool attempt_and_wait(struct store_call *c, struct run *run)
{
    struct outcome *o = &run->outcome;
    const uint64_t *after = NULL;

    attempt_once(c, &run->retry, o);
    if (!o->sent || o->status == PERSIST_OK)
        return false;
    run->doubt = run->doubt || o->status == PERSIST_E_UNCERTAIN;
    if (o->error.present & PERSIST_BACKEND_ERROR_RETRY_AFTER)
        after = &o->error.retry_after_ms;
    if (!retry_plan(&run->retry, o->status, after, c->op))
        return false;
    log_retry(c, &run->retry, o->status);
    return retry_wait(&run->retry, c->op);
}

static bool is_settled(int status)
{
    return status == PERSIST_OK || status == PERSIST_E_EXISTS ||
           status == PERSIST_E_NOT_DURABLE || status == PERSIST_E_CANCELLED;
}

/*
 * What a write finally is.  One UNCERTAIN stays one until a repetition says
 * whether it happened.  A commit that finds no upload after an attempt whose
 * answer was lost has probably been done by that attempt: the caller looks.
 */
static void settle(struct store_call *c, struct run *run)
{
    struct outcome *o = &run->outcome;

    if (!(c->flags & STORE_CALL_WRITE))
        return;
    bool gone = (c->flags & STORE_CALL_COMMIT) && run->retry.maybe_applied &&
                o->status == PERSIST_E_NOT_FOUND;
    if (gone || (run->doubt && !is_settled(o->status)))
        o->status = PERSIST_E_UNCERTAIN;
    /* A bug of the plugin's, by its own word or because its answer cannot be:
     * the write may well be there. */
    c->maybe = run->retry.maybe_applied ||
               (o->sent && o->status == PERSIST_E_INTERNAL);
}

static int finish(struct store_call *c, struct run *run, int stopped,
                  struct persist_error *err)
{
    struct outcome *o = &run->outcome;
    const char *reason = o->reason[0] ? o->reason : NULL;

    /* A definite answer stands; one that would have been asked for again does
     * not: cancellation wins over it. */
    if (!o->sent && o->status == PERSIST_OK)
        o->status = stopped;
    if (stopped == PERSIST_E_CANCELLED && retry_repeats(o->status))
        o->status = PERSIST_E_CANCELLED;
    if (o->status == PERSIST_E_CANCELLED)
        reason = "cancelled";
    else if (!o->sent && o->status == PERSIST_E_TIMEOUT)
        reason = "the deadline passed before it was sent";
    settle(c, run);
    retry_end(&run->retry, o->status);
    if (o->status == PERSIST_OK) {
        pay_received(c);
        return PERSIST_OK;
    }
    struct store_failure failure = {
        .what = c->what,
        .key = c->key,
        .status = o->status,
        .attempts = run->retry.attempts,
        .elapsed_ns =
            clock_boot_ns(c->store->env.clock) - run->retry.started_ns,
        .reason = reason,
        .starved = run->retry.starved,
        .error = &o->error,
    };
    return store_error_fill(c->store, &failure, err);
}

int store_call(struct store_call *call, struct persist_error *err)
{
    struct run run = {0};
    int stopped;

    retry_init(&run.retry, call->store->env.clock, &call->store->tokens);
    call->maybe = false;
    do {
        stopped = may_go_on(call);
        if (stopped != PERSIST_OK)
            break;
    } while (attempt_and_wait(call, &run));
    if (stopped == PERSIST_OK)
        stopped = may_go_on(call);
    return finish(call, &run, stopped, err);
}
