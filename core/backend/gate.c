/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A counting semaphore whose wait notices cancellation and a deadline.  Both
 * live in other structures that cannot signal this condition, so a waiter
 * looks at them twenty times a second; it is woken at once by a leaver.
 */
#include "backend/gate.h"

#include <persist/error.h>

#include "posix/os.h"

#define LOOK_NS 50000000

int gate_init(struct gate *g, uint32_t max)
{
    int rc;

    *g = (struct gate){.max = max};
    rc = pthread_mutex_init(&g->mutex, NULL);
    if (rc != 0)
        return -rc;
    rc = os_cond_init(&g->left);
    if (rc != 0)
        pthread_mutex_destroy(&g->mutex);
    return -rc;
}

void gate_finish(struct gate *g)
{
    pthread_cond_destroy(&g->left);
    pthread_mutex_destroy(&g->mutex);
}

static void wait_a_little(struct gate *g)
{
    os_cond_wait_until(&g->left, &g->mutex, os_monotonic_ns() + LOOK_NS);
}

int gate_enter(struct gate *g, const struct persist_op *op,
               const struct cancel *also, const struct clock *clock)
{
    int rc = PERSIST_OK;

    if (g->max == 0)
        return PERSIST_OK;
    pthread_mutex_lock(&g->mutex);
    while (g->running >= g->max && rc == PERSIST_OK) {
        wait_a_little(g);
        rc = cancel_is_set(also) ? PERSIST_E_CANCELLED : op_check(op, clock);
    }
    if (rc == PERSIST_OK)
        g->running++;
    pthread_mutex_unlock(&g->mutex);
    return rc;
}

void gate_leave(struct gate *g)
{
    if (g->max == 0)
        return;
    pthread_mutex_lock(&g->mutex);
    g->running--;
    pthread_cond_signal(&g->left);
    pthread_mutex_unlock(&g->mutex);
}
