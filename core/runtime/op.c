/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One running operation.  Knows when it must stop, not what it does.
 */
#include "runtime/op.h"

#include <persist/error.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* How late a cancellation may be noticed that has no descriptor. */
#define SLICE_NS (50 * NS_PER_MS)

static int init(struct persist_op *op, const struct cancel *parent, bool fd)
{
    atomic_init(&op->payload_bytes, 0);
    atomic_init(&op->payload_total, 0);
    atomic_init(&op->stored_bytes, 0);
    op->deadline_ns = 0;
    op->trace = NULL;
    op->traceparent[0] = '\0';
    return cancel_init(&op->cancel, parent, fd);
}

int op_init(struct persist_op *op, const struct cancel *parent)
{
    return init(op, parent, false);
}

int op_init_with_fd(struct persist_op *op, const struct cancel *parent)
{
    return init(op, parent, true);
}

void op_finish(struct persist_op *op)
{
    cancel_finish(&op->cancel);
}

void op_start(struct persist_op *op, const struct clock *clock,
              uint64_t timeout_ms)
{
    atomic_store(&op->payload_bytes, 0);
    atomic_store(&op->payload_total, 0);
    atomic_store(&op->stored_bytes, 0);
    op->deadline_ns = 0;
    if (timeout_ms == 0)
        return;
    uint64_t now = clock_boot_ns(clock);
    op->deadline_ns = timeout_ms > (UINT64_MAX - now) / NS_PER_MS
                          ? UINT64_MAX
                          : now + timeout_ms * NS_PER_MS;
}

int op_check(const struct persist_op *op, const struct clock *clock)
{
    if (cancel_is_set(&op->cancel))
        return PERSIST_E_CANCELLED;
    if (op->deadline_ns != 0 && clock_boot_ns(clock) >= op->deadline_ns)
        return PERSIST_E_TIMEOUT;
    return PERSIST_OK;
}

int op_sleep(const struct persist_op *op, const struct clock *clock,
             uint64_t ns)
{
    uint64_t now = clock_boot_ns(clock);
    uint64_t end = ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
    if (op->deadline_ns != 0 && op->deadline_ns < end)
        end = op->deadline_ns;
    bool whole = cancel_fd_is_complete(&op->cancel);

    int rc = op_check(op, clock);
    while (rc == PERSIST_OK && now < end) {
        uint64_t left = end - now;
        if (!whole && left > SLICE_NS)
            left = SLICE_NS;
        clock->sleep_ns(clock->ctx, left, cancel_fd(&op->cancel));
        now = clock_boot_ns(clock);
        rc = op_check(op, clock);
    }
    return rc;
}

int op_reserve(const struct persist_op *op, struct budget *b, uint64_t bytes,
               const struct clock *clock)
{
    uint64_t until = op->deadline_ns;
    int rc = op_check(op, clock);

    if (rc != PERSIST_OK || budget_reserve_now(b, bytes) == PERSIST_OK)
        return rc;
    if (!budget_is_nested(b, op))
        return budget_reserve(b, bytes, &op->cancel, clock, until);
    uint64_t now = clock_boot_ns(clock);
    uint64_t end = now + OP_PATIENCE_S * NS_PER_S;
    uint64_t turn = now + OP_TURN_S * NS_PER_S;
    until = until == 0 || end < until ? end : until;
    turn = turn < until ? turn : until;
    rc = budget_reserve(b, bytes, &op->cancel, clock, turn);
    if (rc == PERSIST_E_TIMEOUT && turn < until)
        rc = budget_reserve_first(b, bytes, &op->cancel, clock, until);
    if (rc == PERSIST_E_TIMEOUT && op_check(op, clock) == PERSIST_OK)
        rc = PERSIST_E_MEMORY;
    return rc;
}
