/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory budget: one limit for the pipeline and the plugins.
 *
 * An operation reserves its whole minimum when it starts, in one call, or waits
 * holding nothing; so two operations never wait for each other.  Waiters are
 * served in order of arrival; those who came by budget_reserve_first, in order
 * as well, before the others.  What a plugin allocates is taken from the same
 * limit without waiting (budget_try).
 */
#ifndef PERSIST_RUNTIME_BUDGET_H
#define PERSIST_RUNTIME_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/cancel.h"
#include "util/clock.h"

struct budget;

struct budget *budget_create(uint64_t limit); /* bytes; NULL: memory */
void budget_destroy(struct budget *b);        /* nothing may be reserved */
uint64_t budget_limit(const struct budget *b);
uint64_t budget_used(struct budget *b);
uint64_t budget_peak(struct budget *b);

/* Waits until `bytes` fit, then holds them.  PERSIST_E_MEMORY at once where
 * they exceed the limit; CANCELLED; TIMEOUT at deadline_ns (clock's boot_ns; 0:
 * none). */
int budget_reserve(struct budget *b, uint64_t bytes,
                   const struct cancel *cancel, const struct clock *clock,
                   uint64_t deadline_ns);
/* The same before the others: for who holds some, and lets go of it when this
 * is done.  It would stand behind those who wait for that.  Who comes this way
 * again and again leaves them nothing. */
int budget_reserve_first(struct budget *b, uint64_t bytes,
                         const struct cancel *cancel, const struct clock *clock,
                         uint64_t deadline_ns);
/* The same as budget_reserve without waiting: PERSIST_E_MEMORY where they do
 * not fit now, or somebody waits already. */
int budget_reserve_now(struct budget *b, uint64_t bytes);
/* For what must not wait and may go before those who do: PERSIST_E_MEMORY where
 * the bytes do not fit now. */
int budget_try(struct budget *b, uint64_t bytes);
void budget_release(struct budget *b, uint64_t bytes);

/* What holds some from its beginning to its end, which may come on another
 * thread: a running call, or a reader between calls.  Its caller's storage. */
struct budget_holder {
    struct budget_holder *next, **place; /* the budget's */
    uint64_t thread;                     /* that began it; none has it again */
    const void *what;
};
/* This thread begins it; `what` names it for budget_is_nested. */
void budget_hold(struct budget *b, struct budget_holder *h, const void *what);
void budget_let_go(struct budget *b, struct budget_holder *h);
/* Whether this thread has begun any that has not ended, beside one of `what`.
 */
bool budget_is_nested(struct budget *b, const void *what);

#endif
