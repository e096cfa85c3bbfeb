/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One public call on a store, from its first check to its last word: whether it
 * may run at all, the op it runs with, and what is counted, traced and logged
 * when it has ended.
 *
 *     rc = engine_begin(store, OPERATION_SHOW, NULL, 0, &call, &op, err);
 *     if (rc != PERSIST_OK)
 *         return rc;
 *     ...
 *     engine_end(&call, rc);
 */
#ifndef PERSIST_ENGINE_CALL_H
#define PERSIST_ENGINE_CALL_H

#include <persist/persist.h>
#include <stdbool.h>

#include "runtime/op.h"
#include "services/log.h"
#include "services/metrics.h"
#include "services/trace.h"

struct engine_call {
    struct persist_store *store;
    enum metrics_operation operation;
    struct persist_op own; /* serves where the caller gave none */
    struct persist_op *op; /* own, or the caller's */
    struct trace_call trace;
    struct trace_call *outer_trace; /* of the call that the op served before */
    struct log_ids outer_ids;
    uint64_t began_ns;
    struct budget_holder holder;
    char object[64]; /* the last part of its key; "": none to name */
    bool rehearsal;  /* a dry run, set by who begins it: counts for nothing */
};

/* Answers MISUSE for NULL, FORKED in a child, CANCELLED after an interrupt;
 * says which op to use.  engine_end is called where it returned OK, on the
 * storage that begin was given. */
int engine_begin(struct persist_store *store, enum metrics_operation operation,
                 struct persist_op *callers, uint64_t timeout_ms,
                 struct engine_call *call, struct persist_op **out_op,
                 struct persist_error *err);
/* The snapshot it is about, by key. */
void engine_call_object(struct engine_call *call, const char *key);
/* A warning of what went wrong beside the call, without the folders of its key
 * or of keys beside it; those are at DEBUG. */
void engine_warn(const struct persist_store *store, const char *message,
                 const char *key, const struct persist_error *why);
/* Whether rc says that the call was stopped: its caller wants no more of it, or
 * its time is over. */
static inline bool engine_stopped(int rc)
{
    return rc == PERSIST_E_CANCELLED || rc == PERSIST_E_TIMEOUT;
}
/* Whether a call that began before a fork is ended in the child: what it stands
 * on may be locked, or wait for threads that do not exist there.  Then nothing
 * is done to it. */
bool engine_call_is_forked(const struct engine_call *call);
/* status: how the call ended. */
void engine_end(struct engine_call *call, int status);

/* A blocking call is refused (MISUSE) on a thread of an executor: it would wait
 * for what that thread should do.  The body of an asynchronous call is let in.
 */
void engine_act_for_caller(bool on);

#endif
