/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back-off and the decision to give up (object-stores.md 6.1).  Knows nothing
 * of what is being tried.
 */
#include "backend/retry.h"

#include <persist/error.h>

#define MS UINT64_C(1000000)
#define BASE_NS (50 * MS)
#define THROTTLED_BASE_NS (1000 * MS)
#define CAP_NS (20000 * MS)
#define WINDOW_NS (30000 * MS)
#define MAX_ATTEMPTS 8

#define COST 14
#define COST_THROTTLED 5

/* ------------------------------------------------------------------ tokens
 */

void retry_tokens_init(struct retry_tokens *t)
{
    atomic_init(&t->left, RETRY_TOKENS);
}

/* A doubt is settled whatever it costs: what is left open there is worse than
 * one more request, and the window bounds it. */
static bool take_tokens(struct retry *r, int status)
{
    uint32_t cost = status == PERSIST_E_THROTTLED ? COST_THROTTLED : COST;
    unsigned left;

    if (!r->tokens)
        return true;
    left = atomic_load(&r->tokens->left);
    do {
        if (left >= cost)
            continue;
        if (status == PERSIST_E_UNCERTAIN)
            return true;
        r->starved = true;
        return false;
    } while (
        !atomic_compare_exchange_weak(&r->tokens->left, &left, left - cost));
    r->taken += cost;
    return true;
}

void retry_end(struct retry *r, int status)
{
    bool answered = status == PERSIST_OK || status == PERSIST_E_EXISTS ||
                    status == PERSIST_E_NOT_FOUND ||
                    status == PERSIST_E_PRECONDITION;
    unsigned back = r->taken ? r->taken : 1;
    unsigned left, now;

    if (!r->tokens || !answered)
        return;
    left = atomic_load(&r->tokens->left);
    do
        now = left + back < RETRY_TOKENS ? left + back : RETRY_TOKENS;
    while (now != left &&
           !atomic_compare_exchange_weak(&r->tokens->left, &left, now));
}

/* ----------------------------------------------------------------- decision
 */

void retry_init(struct retry *r, const struct clock *clock,
                struct retry_tokens *tokens)
{
    *r = (struct retry){
        .clock = clock,
        .tokens = tokens,
        .started_ns = clock_boot_ns(clock),
        .max_attempts = MAX_ATTEMPTS,
        .window_ns = WINDOW_NS,
    };
}

bool retry_repeats(int status)
{
    return status == PERSIST_E_THROTTLED || status == PERSIST_E_TRANSIENT ||
           status == PERSIST_E_TIMEOUT || status == PERSIST_E_UNCERTAIN;
}

/* Throttled requests were refused before they did anything. */
static bool may_have_happened(int status)
{
    return status == PERSIST_E_TRANSIENT || status == PERSIST_E_TIMEOUT ||
           status == PERSIST_E_UNCERTAIN || status == PERSIST_E_CANCELLED;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long may be waited so that the next attempt still starts in time. */
static uint64_t time_left(const struct retry *r, const struct persist_op *op,
                          uint64_t now)
{
    uint64_t end = r->failed_ns + r->window_ns;

    if (op->deadline_ns)
        end = min_u64(end, op->deadline_ns);
    return end > now ? end - now : 0;
}

/* Uniform in [0, ceiling]; without randomness the whole of it, which is slow
 * and safe. */
static uint64_t jitter(const struct retry *r, uint64_t ceiling)
{
    uint64_t bits = 0;

    if (r->clock->random(r->clock->ctx, &bits, sizeof(bits)) != 0)
        return ceiling;
    return bits % (ceiling + 1);
}

static uint64_t backoff(const struct retry *r, int status)
{
    uint64_t base = status == PERSIST_E_THROTTLED ? THROTTLED_BASE_NS : BASE_NS;
    uint32_t n = r->attempts - 1;

    return n >= 20 ? CAP_NS : min_u64(CAP_NS, base << n);
}

bool retry_plan(struct retry *r, int status, const uint64_t *retry_after_ms,
                const struct persist_op *op)
{
    uint64_t now = clock_boot_ns(r->clock);

    r->attempts++;
    if (may_have_happened(status))
        r->maybe_applied = true;
    if (!retry_repeats(status))
        return false;
    if (r->attempts == 1)
        r->failed_ns = now;
    uint64_t left = time_left(r, op, now);
    if (cancel_is_set(&op->cancel) || r->attempts >= r->max_attempts ||
        left == 0)
        return false;

    r->wait_ns = jitter(r, min_u64(backoff(r, status), left));
    /* Coming back earlier than asked is pointless, later not allowed. */
    if (retry_after_ms && *retry_after_ms > left / MS)
        return false;
    if (retry_after_ms && *retry_after_ms * MS > r->wait_ns)
        r->wait_ns = *retry_after_ms * MS;
    return take_tokens(r, status);
}

void retry_excuse(struct retry *r, uint64_t ns)
{
    if (r->attempts)
        r->failed_ns += ns;
}

bool retry_wait(struct retry *r, const struct persist_op *op)
{
    return op_sleep(op, r->clock, r->wait_ns) == PERSIST_OK;
}

bool retry_again(struct retry *r, int status, const uint64_t *retry_after_ms,
                 const struct persist_op *op)
{
    return retry_plan(r, status, retry_after_ms, op) && retry_wait(r, op);
}
