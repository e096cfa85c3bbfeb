/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one owner of retries: when to try again, and how long to wait first.
 *
 * Exponential back-off with full jitter, min(cap, base * 2^n); a server's
 * Retry-After raises the wait; no attempt starts more than `window` after the
 * first failure without progress, nor after the operation's deadline, nor after
 * max_attempts.  Throttling uses its own base.  Time, randomness and sleep come
 * from struct clock.
 *
 *     struct retry r;
 *     retry_init(&r, clock);
 *     do {
 *         rc = attempt();
 *     } while (retry_again(&r, rc, retry_after, op));
 */
#ifndef PERSIST_BACKEND_RETRY_H
#define PERSIST_BACKEND_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/op.h"
#include "util/clock.h"

struct retry {
    const struct clock *clock;
    uint64_t started_ns; /* of the first attempt */
    uint64_t failed_ns;  /* of the first failure; 0: none */
    uint32_t attempts;   /* made so far */
    uint32_t max_attempts;
    uint64_t window_ns;
    bool maybe_applied; /* an attempt so far may have taken effect: it ended
                           UNCERTAIN, TIMEOUT, TRANSIENT or CANCELLED; means
                           something for writes only */
    uint64_t wait_ns;   /* what retry_plan decided */
};

void retry_init(struct retry *r, const struct clock *clock);
/* Notes one attempt's status and waits, if there is to be another: true then.
 * retry_after_ms NULL: the server named none.  Cancellation ends the wait and
 * the retries. */
bool retry_again(struct retry *r, int status, const uint64_t *retry_after_ms,
                 const struct persist_op *op);

/* The two halves of it, for who logs in between: the decision (true: wait_ns is
 * set), and the wait (false: cancelled, or the deadline passed meanwhile). */
bool retry_plan(struct retry *r, int status, const uint64_t *retry_after_ms,
                const struct persist_op *op);
bool retry_wait(struct retry *r, const struct persist_op *op);

/* THROTTLED, TRANSIENT, TIMEOUT, UNCERTAIN. */
bool retry_repeats(int status);

#endif
