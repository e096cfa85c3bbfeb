/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands around each op: see memory_fault.h.
 *
 * The order is: count, serial check, BEFORE hook, latency, injected failure;
 * then the op; then injected lost reply, AFTER hook.  Nothing here knows what
 * an op does.
 */
#include "memory_fault.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

void memory_error(struct persist_backend_error *error, const char *what,
                  const char *object)
{
    snprintf(error->message, sizeof(error->message), "%s%s%s", what,
             *object ? " " : "", object);
}

int64_t memory_now(const struct memory_handle *handle)
{
    if (handle->lies.on[LIE_OLD_DATES])
        return 1;
    pthread_mutex_lock(&handle->map->lock);
    int64_t now_us = handle->map->now_us;
    pthread_mutex_unlock(&handle->map->lock);
    return now_us ? now_us : handle->host->wall_us();
}

static int32_t run_hook(const struct memory_call *call, uint32_t phase,
                        int32_t status)
{
    struct memory_map *map = call->handle->map;
    pthread_mutex_lock(&map->lock);
    memory_hook_fn hook = map->hook;
    void *ctx = map->hook_ctx;
    pthread_mutex_unlock(&map->lock);
    if (!hook)
        return 0;
    struct memory_event event = {
        .phase = phase,
        .status = status,
        .op = call->op > MEMORY_N_OPS ? "put_item" : memory_op_names[call->op],
        .key = call->key,
        .actor = call->handle->actor,
        .call = call->call,
    };
    return hook(ctx, &event);
}

int32_t memory_item_hook(const struct memory_call *call, const char *key,
                         uint32_t phase, int32_t status)
{
    struct memory_call item = *call;

    item.key = key;
    item.op = MEMORY_N_OPS + 1; /* a name, no op */
    return run_hook(&item, phase, status);
}

static int32_t stopped(const struct memory_call *call)
{
    const struct persist_backend_call *c = call->call;
    const struct persist_backend_host *host = call->handle->host;
    if (host->is_cancelled(c))
        return call->handle->lies.on[LIE_CANCEL_INTERNAL]
                   ? PERSIST_BACKEND_INTERNAL
                   : PERSIST_BACKEND_CANCELLED;
    if ((c->present & PERSIST_BACKEND_CALL_DEADLINE) &&
        host->monotonic_ns() >= c->deadline_ns)
        return PERSIST_BACKEND_TIMEOUT;
    return PERSIST_BACKEND_OK;
}

/* Stands for a slow network: the one wait here, and it can be cut short. */
static int32_t wait_latency(const struct memory_call *call)
{
    const struct memory_handle *handle = call->handle;
    int32_t rc = stopped(call);
    if (rc || handle->latency_ms == 0 ||
        (handle->latency_op != MEMORY_N_OPS && handle->latency_op != call->op))
        return rc;
    const struct persist_backend_host *host = handle->host;
    uint64_t end = host->monotonic_ns() + handle->latency_ms * 1000000;
    struct pollfd fd = {.fd = host->cancel_fd(call->call), .events = POLLIN};
    while (host->monotonic_ns() < end) {
        poll(&fd, 1, 1);
        rc = stopped(call);
        if (rc)
            return rc;
    }
    return PERSIST_BACKEND_OK;
}

/* Whether this call is one that is to fail. */
static bool is_due(struct memory_fault *fault, int op)
{
    if (fault->op != op && fault->op != MEMORY_N_OPS)
        return false;
    uint64_t n = atomic_fetch_add(&fault->calls, 1) + 1;
    return n >= fault->at &&
           (fault->times == 0 || n - fault->at < fault->times);
}

static int32_t inject(const struct memory_call *call)
{
    const struct memory_fault *fault = &call->handle->fault;
    memory_error(call->error, "injected failure of", call->key);
    if (fault->retry_after_ms) {
        call->error->present |= PERSIST_BACKEND_ERROR_RETRY_AFTER;
        call->error->retry_after_ms = fault->retry_after_ms;
    }
    return fault->status;
}

static int32_t enter_serial(struct memory_call *call)
{
    if (!call->handle->serial)
        return PERSIST_BACKEND_OK;
    if (atomic_fetch_add(&call->handle->inside, 1) == 0)
        return PERSIST_BACKEND_OK;
    atomic_fetch_sub(&call->handle->inside, 1);
    memory_error(call->error, "two ops at once in a serial store:",
                 memory_op_names[call->op]);
    return PERSIST_BACKEND_INTERNAL;
}

static int32_t leave_serial(struct memory_call *call, int32_t rc)
{
    if (call->handle->serial)
        atomic_fetch_sub(&call->handle->inside, 1);
    return rc;
}

static void count_call(const struct memory_call *call)
{
    struct memory_map *map = call->handle->map;
    pthread_mutex_lock(&map->lock);
    map->counts[call->op]++;
    pthread_mutex_unlock(&map->lock);
}

static int32_t before_op(struct memory_call *call)
{
    int32_t rc = run_hook(call, MEMORY_BEFORE, 0);
    if (rc) {
        memory_error(call->error, "the test's hook refused", call->key);
        return rc;
    }
    rc = wait_latency(call);
    if (rc) {
        memory_error(call->error, "stopped before", call->key);
        return rc;
    }
    struct memory_fault *fault = &call->handle->fault;
    if (is_due(fault, call->op)) {
        call->fails_after = fault->after;
        if (!fault->after)
            return inject(call);
    }
    if (call->handle->denied) {
        memory_error(call->error, "not permitted:", call->key);
        return call->handle->lies.on[LIE_DENIED_AS_ABSENT]
                   ? PERSIST_BACKEND_NOT_FOUND
                   : PERSIST_BACKEND_DENIED;
    }
    return PERSIST_BACKEND_OK;
}

int32_t memory_call_begin(struct memory_call *call)
{
    count_call(call);
    int32_t rc = enter_serial(call);
    if (rc)
        return rc;
    rc = before_op(call);
    return rc ? leave_serial(call, rc) : PERSIST_BACKEND_OK;
}

static int32_t disguise(const struct memory_call *call, int32_t rc)
{
    const bool *lie = call->handle->lies.on;
    if (rc == PERSIST_BACKEND_NOT_FOUND && lie[LIE_ABSENT_AS_IO])
        return PERSIST_BACKEND_IO;
    if (rc == PERSIST_BACKEND_NOT_FOUND && lie[LIE_UNKNOWN_CODE])
        return -1000;
    return rc;
}

int32_t memory_call_end(struct memory_call *call, int32_t rc)
{
    rc = disguise(call, rc);
    if (call->fails_after)
        rc = inject(call);
    int32_t hooked = run_hook(call, MEMORY_AFTER, rc);
    if (hooked)
        rc = hooked;
    if (rc < 0 && !call->error->message[0])
        memory_error(call->error, memory_op_names[call->op], call->key);
    if (call->handle->lies.on[LIE_SILENT])
        call->error->message[0] = '\0';
    return leave_serial(call, rc);
}
