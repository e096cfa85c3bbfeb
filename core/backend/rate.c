/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket kept as the moment at which everything is paid. */
#include "backend/rate.h"

#include <persist/error.h>

#define NS_PER_S UINT64_C(1000000000)
#define BURST_NS (NS_PER_S / 4)
/* Beyond a year the sums could overflow, and nobody waits. */
#define COST_MAX (NS_PER_S * 31536000)

int rate_init(struct rate *r, uint64_t bytes_per_s)
{
    *r = (struct rate){.bytes_per_s = bytes_per_s};
    return -pthread_mutex_init(&r->mutex, NULL);
}

void rate_finish(struct rate *r)
{
    pthread_mutex_destroy(&r->mutex);
}

static uint64_t cost_of(const struct rate *r, uint64_t len)
{
    uint64_t seconds = len / r->bytes_per_s;
    uint64_t rest = len % r->bytes_per_s;

    if (seconds >= COST_MAX / NS_PER_S)
        return COST_MAX;
    /* rest * NS_PER_S may overflow where the rate is above 18 GB/s. */
    uint64_t part = rest < UINT64_MAX / NS_PER_S
                        ? rest * NS_PER_S / r->bytes_per_s
                        : rest / (r->bytes_per_s / NS_PER_S);
    return seconds * NS_PER_S + part;
}

static uint64_t take(struct rate *r, uint64_t cost, uint64_t now)
{
    uint64_t earliest = now > BURST_NS ? now - BURST_NS : 0;
    uint64_t until;

    pthread_mutex_lock(&r->mutex);
    if (r->paid_until_ns < earliest)
        r->paid_until_ns = earliest;
    r->paid_until_ns += cost;
    until = r->paid_until_ns;
    pthread_mutex_unlock(&r->mutex);
    return until > now ? until - now : 0;
}

static void give_back(struct rate *r, uint64_t cost)
{
    pthread_mutex_lock(&r->mutex);
    r->paid_until_ns -= cost < r->paid_until_ns ? cost : r->paid_until_ns;
    pthread_mutex_unlock(&r->mutex);
}

int rate_pay(struct rate *r, uint64_t len, const struct persist_op *op,
             const struct cancel *also, const struct clock *clock)
{
    if (!r || !r->bytes_per_s || !len)
        return PERSIST_OK;
    uint64_t cost = cost_of(r, len);
    uint64_t wait = take(r, cost, clock_boot_ns(clock));
    if (!wait)
        return PERSIST_OK;
    int rc = op_sleep(op, clock, wait);
    if (rc == PERSIST_OK && cancel_is_set(also))
        rc = PERSIST_E_CANCELLED;
    if (rc != PERSIST_OK)
        give_back(r, cost);
    return rc;
}
