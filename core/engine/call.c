/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules every public call on a store begins and ends with.
 */
#include "engine/call.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/instance.h"
#include "engine/trace.h"
#include "util/error.h"
#include "util/text.h"

static _Thread_local bool acts_for_caller;

static bool holds_memory(const struct engine_call *call)
{
    return call->operation == OPERATION_SAVE ||
           call->operation == OPERATION_RESTORE;
}

void engine_act_for_caller(bool on)
{
    acts_for_caller = on;
}

static int check_thread(struct persist_error *err)
{
    if (executor_is_own_thread() && !acts_for_caller)
        return error_set(err, PERSIST_E_MISUSE,
                         "a blocking call on a thread of Persist's own");
    return PERSIST_OK;
}

static int check_call(const struct persist_store *store,
                      const struct persist_op *callers,
                      struct persist_error *err)
{
    int rc;

    if (!store)
        return error_set(err, PERSIST_E_MISUSE, "the store is NULL");
    rc = engine_check(store->p, err);
    if (!rc)
        rc = check_thread(err);
    if (rc)
        return rc;
    if (cancel_is_set(&store->p->cancel) ||
        (callers && cancel_is_set(&callers->cancel)))
        return error_set(err, PERSIST_E_CANCELLED, "cancelled");
    return PERSIST_OK;
}

/* A reader or a listing may be closed on another thread, among calls that began
 * after it: their lines outside of requests name no ids. */
static bool ends_where_it_began(const struct engine_call *call)
{
    return call->operation != OPERATION_RESTORE &&
           call->operation != OPERATION_LIST;
}

static struct log_ids ids_of(const struct engine_call *call)
{
    struct log_ids ids = {0};

    if (call->trace.tracer) {
        text_to_hex(call->trace.context.trace_id, 16, ids.trace_id);
        text_to_hex(call->trace.context.span_id, 8, ids.span_id);
    }
    return ids;
}

static void join_trace(struct engine_call *call)
{
    struct log_ids ids;

    engine_trace_begin(call);
    call->outer_trace = call->op->trace;
    call->op->trace = &call->trace;
    ids = ids_of(call);
    if (call->trace.tracer && ends_where_it_began(call))
        call->outer_ids = log_set_ids(&ids);
}

static void log_end(const struct engine_call *call, int status)
{
    const struct persist_store *store = call->store;
    uint64_t now_ns = clock_boot_ns(store->p->clock);
    struct log_ids ids = ids_of(call);
    struct log_ids outer = log_set_ids(&ids);

    log_line(store->p->log, LOG_INFO, metrics_operation_name(call->operation),
             log_text("store", store->name),
             log_text("backend", persist_store_backend(store)),
             log_text("object", call->object),
             log_u64("bytes", atomic_load(&call->op->payload_bytes)),
             log_u64("elapsed_ms", (now_ns - call->began_ns) / 1000000),
             log_text("status", persist_status_name(status)), LOG_END);
    log_set_ids(&outer);
}

static void leave_trace(struct engine_call *call, int status)
{
    const struct trace_facts facts = {
        .name = metrics_operation_name(call->operation),
        .store = call->store->name,
        .backend = persist_store_backend(call->store),
        .object = call->object,
        .bytes = atomic_load(&call->op->payload_bytes),
        .status = status,
    };
    bool traced = call->trace.tracer != NULL;

    trace_end(&call->trace, &facts);
    call->op->trace = call->outer_trace;
    if (traced && ends_where_it_began(call))
        log_set_ids(&call->outer_ids);
}

void engine_call_object(struct engine_call *call, const char *key)
{
    const char *name = log_basename(key);
    size_t len = strnlen(name, sizeof call->object - 1);

    memcpy(call->object, name, len);
    call->object[len] = '\0';
}

void engine_warn(const struct persist_store *store, const char *message,
                 const char *key, const struct persist_error *why)
{
    char text[sizeof why->message];

    snprintf(text, sizeof text, "%s", why->message);
    log_strip_folders(text, key);
    log_line(store->p->log, LOG_WARN, message, log_text("store", store->name),
             log_text("object", log_basename(key)), log_text("error", text),
             LOG_END);
    log_line(store->p->log, LOG_DEBUG, "that was", log_text("key", key),
             log_text("error", why->message), LOG_END);
}

int engine_begin(struct persist_store *store, enum metrics_operation operation,
                 struct persist_op *callers, uint64_t timeout_ms,
                 struct engine_call *call, struct persist_op **out_op,
                 struct persist_error *err)
{
    int rc = check_call(store, callers, err);

    if (rc)
        return rc;
    rc = op_init(&call->own, &store->p->cancel);
    if (rc)
        return error_errno(err, -rc, "cannot start an operation");
    call->store = store;
    call->operation = operation;
    call->rehearsal = false;
    call->op = callers ? callers : &call->own;
    *out_op = call->op;
    op_start(call->op, store->p->clock, timeout_ms);
    if (holds_memory(call))
        budget_hold(store->p->budget, &call->holder, call->op);
    call->object[0] = '\0';
    call->began_ns = clock_boot_ns(store->p->clock);
    join_trace(call);
    pthread_mutex_lock(&store->mutex);
    store->n_running++;
    pthread_mutex_unlock(&store->mutex);
    return PERSIST_OK;
}

bool engine_call_is_forked(const struct engine_call *call)
{
    return call->store->p->pid != getpid();
}

void engine_end(struct engine_call *call, int status)
{
    struct persist_store *store = call->store;

    if (holds_memory(call))
        budget_let_go(store->p->budget, &call->holder);
    if (!call->rehearsal)
        metrics_record_operation(store->counted, call->operation, status,
                                 clock_wall_us(store->p->clock));
    if (log_enabled(store->p->log, LOG_INFO))
        log_end(call, status);
    leave_trace(call, status);
    op_finish(&call->own);
    pthread_mutex_lock(&store->mutex);
    store->n_running--;
    if (!store->n_running)
        pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->mutex);
}
