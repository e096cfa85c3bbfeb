/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public handle on one operation.
 *
 * It is the runtime's struct persist_op with the instance as its parent, so an
 * interrupt reaches it.  Cancelling is final: a handle that was cancelled
 * before its call begins makes that call answer CANCELLED, and so does every
 * later one; otherwise a cancel that comes a moment too early would be lost.
 */
#include "engine/instance.h"

#include <stdlib.h>

#include "util/error.h"

int persist_op_create(struct persist *p, struct persist_op **out,
                      struct persist_error *err)
{
    struct persist_op *op;
    int rc;

    rc = engine_check(p, err);
    if (rc)
        return rc;
    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    op = calloc(1, sizeof *op);
    if (!op)
        return error_memory(err);
    rc = op_init_with_fd(op, &p->cancel);
    if (rc) {
        free(op);
        return error_errno(err, -rc, "cannot prepare an operation");
    }
    *out = op;
    return PERSIST_OK;
}

void persist_op_destroy(struct persist_op *op)
{
    if (!op)
        return;
    op_finish(op);
    free(op);
}

void persist_op_cancel(struct persist_op *op)
{
    if (op)
        cancel_set(&op->cancel);
}

void persist_op_progress(struct persist_op *op, struct persist_progress *out)
{
    const size_t least = ENGINE_SIZE_TO(struct persist_progress, stored_bytes);
    struct persist_progress now = {0};

    if (!op || !out || !engine_is_sized(out, least))
        return;
    now.payload_bytes = atomic_load(&op->payload_bytes);
    now.payload_total = atomic_load(&op->payload_total);
    now.stored_bytes = atomic_load(&op->stored_bytes);
    engine_give(out, &now, sizeof now);
}
