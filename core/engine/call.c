/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules every public call on a store begins and ends with.
 */
#include "engine/call.h"

#include "engine/instance.h"
#include "util/error.h"

static _Thread_local bool acts_for_caller;

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
    pthread_mutex_lock(&store->mutex);
    store->n_running++;
    pthread_mutex_unlock(&store->mutex);
    return PERSIST_OK;
}

void engine_end(struct engine_call *call, int status)
{
    struct persist_store *store = call->store;

    if (!call->rehearsal)
        metrics_record_operation(store->counted, call->operation, status,
                                 clock_wall_us(store->p->clock));
    op_finish(&call->own);
    pthread_mutex_lock(&store->mutex);
    store->n_running--;
    if (!store->n_running)
        pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->mutex);
}
