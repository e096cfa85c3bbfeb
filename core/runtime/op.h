/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation as it runs: its cancellation, deadline and progress.  The
 * public struct persist_op is one of these.
 */
#ifndef PERSIST_RUNTIME_OP_H
#define PERSIST_RUNTIME_OP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/budget.h"
#include "runtime/cancel.h"
#include "util/clock.h"

struct trace_call;

struct persist_op {
    struct cancel cancel;
    atomic_uint_fast64_t payload_bytes;
    atomic_uint_fast64_t payload_total;
    atomic_uint_fast64_t stored_bytes;
    uint64_t deadline_ns; /* on the clock's boot_ns; 0: none; set at start */
    /* services/trace.h: of the call it serves; NULL: none.  Who makes an op for
     * a part of another's work hands it on. */
    struct trace_call *trace;
    char traceparent[56]; /* given by the caller; "": none */
};

/* Without a descriptor of its own: the parent's serves (cancel_fd). 0 or
 * -errno. */
int op_init(struct persist_op *op, const struct cancel *parent);
/* With a descriptor, so that op_sleep and a waiting budget_reserve notice at
 * once when this very op is cancelled; without, within 50 ms.  For the op that
 * a caller holds in another thread. */
int op_init_with_fd(struct persist_op *op, const struct cancel *parent);
void op_finish(struct persist_op *op);
/* Called when a call starts: zeroes progress, sets the deadline (0: none). */
void op_start(struct persist_op *op, const struct clock *clock,
              uint64_t timeout_ms);
/*
 * budget_reserve for an op.  Where its thread has another that holds memory
 * (budget_is_nested: a callback that calls, a save from a reader) those who
 * stand before it may wait for just that: after OP_TURN_S it goes before them,
 * and for the same reason it does not wait for ever, but answers
 * PERSIST_E_MEMORY after OP_PATIENCE_S.
 */
#define OP_PATIENCE_S 10
#define OP_TURN_S 1
int op_reserve(const struct persist_op *op, struct budget *b, uint64_t bytes,
               const struct clock *clock);
/* PERSIST_OK, CANCELLED or TIMEOUT. */
int op_check(const struct persist_op *op, const struct clock *clock);
/* Sleeps ns, less where the op is cancelled or its deadline comes first; then
 * answers as op_check. */
int op_sleep(const struct persist_op *op, const struct clock *clock,
             uint64_t ns);

#endif
