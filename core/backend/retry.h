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
 *     retry_init(&r, clock, tokens);
 *     do {
 *         rc = attempt();
 *     } while (retry_again(&r, rc, retry_after, op));
 *     retry_end(&r, rc);
 *
 * Tokens are shared by all requests of a store: a service that fails as a whole
 * must not be asked eight times as often for it (object-stores.md 6.1).  A
 * repetition costs 14, after throttling 5; a request that is answered in the
 * end gives back what it took, or 1.  Where there are none, nothing is repeated
 * but what settles a doubt.
 */
#ifndef PERSIST_BACKEND_RETRY_H
#define PERSIST_BACKEND_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/op.h"
#include "util/clock.h"

#define RETRY_TOKENS 500

struct retry_tokens {
    atomic_uint left;
};
void retry_tokens_init(struct retry_tokens *t);

struct retry {
    const struct clock *clock;
    struct retry_tokens *tokens; /* NULL: no end of them */
    uint32_t taken;              /* of the tokens, by this request */
    bool starved;                /* not repeated for want of tokens */
    uint64_t started_ns;         /* of the first attempt */
    uint64_t failed_ns;          /* of the first failure; 0: none */
    uint32_t attempts;           /* made so far */
    uint32_t max_attempts;
    uint64_t window_ns;
    bool maybe_applied; /* an attempt so far may have taken effect: it ended
                           UNCERTAIN, TIMEOUT, TRANSIENT or CANCELLED; means
                           something for writes only */
    uint64_t wait_ns;   /* what retry_plan decided */
};

void retry_init(struct retry *r, const struct clock *clock,
                struct retry_tokens *tokens);
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
/* The request stood still for ns by our own will (a rate limit, a slow-down):
 * that counts against the operation's deadline, not against the window. */
void retry_excuse(struct retry *r, uint64_t ns);
/* The request is over: gives tokens back where it was answered (OK, EXISTS,
 * NOT_FOUND, PRECONDITION). */
void retry_end(struct retry *r, int status);

/* THROTTLED, TRANSIENT, TIMEOUT, UNCERTAIN. */
bool retry_repeats(int status);

#endif
