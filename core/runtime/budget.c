/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory budget: a counter, a queue of waiters and a mutex held for a few
 * instructions.
 *
 *     reserve ──fits, nobody before──▶ held
 *        └─▶ queue ──release grants from the head──▶ held
 *              └──cancelled, deadline──▶ left; may let the next one in
 *
 * Why no condition variable: a cancellation may come from a signal handler,
 * which may not signal one.  A waiter instead sleeps on a descriptor that is
 * readable once it is granted or anything above it is cancelled (it is a child
 * of the caller's cancel).  Descriptors are made only when there is waiting to
 * do; where none is to be had, or a flag in the chain has none, the wait goes
 * in short slices.  Sleeping through the clock keeps tests free of real time.
 *
 * The granter writes to the waiter's descriptor under the mutex, and the waiter
 * takes the mutex before it leaves its stack frame.
 */
#include "runtime/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <persist/error.h>

#define SLICE_NS UINT64_C(50000000)
#define LONG_NS UINT64_C(3600000000000)

struct waiter {
    struct waiter *next;
    uint64_t bytes;
    bool granted;
    bool first; /* before those who are not */
    bool has_fd;
    struct cancel wake;
};

struct budget {
    pthread_mutex_t mutex;
    uint64_t limit;
    uint64_t used;                 /* mutex */
    uint64_t peak;                 /* mutex */
    struct waiter *head;           /* mutex: first come first */
    struct budget_holder *holders; /* mutex */
};

struct budget *budget_create(uint64_t limit)
{
    struct budget *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    if (pthread_mutex_init(&b->mutex, NULL) != 0) {
        free(b);
        return NULL;
    }
    b->limit = limit;
    return b;
}

void budget_destroy(struct budget *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

uint64_t budget_limit(const struct budget *b)
{
    return b->limit;
}

uint64_t budget_used(struct budget *b)
{
    pthread_mutex_lock(&b->mutex);
    uint64_t used = b->used;
    pthread_mutex_unlock(&b->mutex);
    return used;
}

uint64_t budget_peak(struct budget *b)
{
    pthread_mutex_lock(&b->mutex);
    uint64_t peak = b->peak;
    pthread_mutex_unlock(&b->mutex);
    return peak;
}

static bool take(struct budget *b, uint64_t bytes)
{
    if (bytes > b->limit - b->used)
        return false;
    b->used += bytes;
    if (b->used > b->peak)
        b->peak = b->used;
    return true;
}

/* Lets in from the head what fits; never past one that does not. */
static void grant(struct budget *b)
{
    while (b->head && take(b, b->head->bytes)) {
        struct waiter *w = b->head;
        b->head = w->next;
        w->granted = true;
        cancel_set(&w->wake);
    }
}

int budget_try(struct budget *b, uint64_t bytes)
{
    pthread_mutex_lock(&b->mutex);
    int rc = take(b, bytes) ? PERSIST_OK : PERSIST_E_MEMORY;
    pthread_mutex_unlock(&b->mutex);
    return rc;
}

void budget_release(struct budget *b, uint64_t bytes)
{
    pthread_mutex_lock(&b->mutex);
    b->used -= bytes < b->used ? bytes : b->used;
    grant(b);
    pthread_mutex_unlock(&b->mutex);
}

/* Under the mutex: whether nobody stands before a newcomer. */
static bool is_next(const struct budget *b, bool first)
{
    return !b->head || (first && !b->head->first);
}

static bool take_at_once(struct budget *b, uint64_t bytes, bool first)
{
    pthread_mutex_lock(&b->mutex);
    bool held = bytes == 0 || (is_next(b, first) && take(b, bytes));
    pthread_mutex_unlock(&b->mutex);
    return held;
}

int budget_reserve_now(struct budget *b, uint64_t bytes)
{
    return take_at_once(b, bytes, false) ? PERSIST_OK : PERSIST_E_MEMORY;
}

/* True where the bytes are held after all; otherwise w stands in the queue. */
static bool take_or_queue(struct budget *b, struct waiter *w)
{
    pthread_mutex_lock(&b->mutex);
    bool held = is_next(b, w->first) && take(b, w->bytes);
    if (!held) {
        struct waiter **place = &b->head;
        while (*place && (!w->first || (*place)->first))
            place = &(*place)->next;
        w->next = *place;
        *place = w;
    }
    pthread_mutex_unlock(&b->mutex);
    return held;
}

/* Takes w out of the queue; true where it was granted before that. */
static bool leave(struct budget *b, struct waiter *w)
{
    pthread_mutex_lock(&b->mutex);
    bool granted = w->granted;
    if (!granted) {
        struct waiter **p = &b->head;
        while (*p != w)
            p = &(*p)->next;
        *p = w->next;
        grant(b); /* the next one may be smaller */
    }
    pthread_mutex_unlock(&b->mutex);
    return granted;
}

/* Why to stop waiting, or PERSIST_OK. */
static int check(const struct cancel *cancel, const struct clock *clock,
                 uint64_t deadline_ns, uint64_t *out_left_ns)
{
    *out_left_ns = LONG_NS;
    if (cancel_is_set(cancel))
        return PERSIST_E_CANCELLED;
    if (deadline_ns == 0)
        return PERSIST_OK;
    uint64_t now = clock_boot_ns(clock);
    if (now >= deadline_ns)
        return PERSIST_E_TIMEOUT;
    if (deadline_ns - now < LONG_NS)
        *out_left_ns = deadline_ns - now;
    return PERSIST_OK;
}

static int wait_for_grant(struct waiter *w, const struct cancel *cancel,
                          const struct clock *clock, uint64_t deadline_ns)
{
    bool whole = w->has_fd && cancel_fd_is_complete(cancel);
    uint64_t left_ns;
    int rc = check(cancel, clock, deadline_ns, &left_ns);

    /* wake's own flag is set by grant; w->granted needs the mutex. */
    while (rc == PERSIST_OK && !atomic_load(&w->wake.set)) {
        if (!whole && left_ns > SLICE_NS)
            left_ns = SLICE_NS;
        clock->sleep_ns(clock->ctx, left_ns, cancel_fd(&w->wake));
        rc = check(cancel, clock, deadline_ns, &left_ns);
    }
    return rc;
}

static int reserve(struct budget *b, uint64_t bytes, bool first,
                   const struct cancel *cancel, const struct clock *clock,
                   uint64_t deadline_ns)
{
    struct waiter w = {.bytes = bytes, .first = first};
    uint64_t left_ns;

    if (bytes > b->limit)
        return PERSIST_E_MEMORY;
    int rc = check(cancel, clock, deadline_ns, &left_ns);
    if (rc != PERSIST_OK || take_at_once(b, bytes, first))
        return rc;

    w.has_fd = cancel_init(&w.wake, cancel, true) == 0;
    if (!take_or_queue(b, &w)) {
        rc = wait_for_grant(&w, cancel, clock, deadline_ns);
        if (leave(b, &w))
            rc = PERSIST_OK; /* granted at the last moment: kept */
    }
    cancel_finish(&w.wake);
    return rc;
}

int budget_reserve(struct budget *b, uint64_t bytes,
                   const struct cancel *cancel, const struct clock *clock,
                   uint64_t deadline_ns)
{
    return reserve(b, bytes, false, cancel, clock, deadline_ns);
}

int budget_reserve_first(struct budget *b, uint64_t bytes,
                         const struct cancel *cancel, const struct clock *clock,
                         uint64_t deadline_ns)
{
    return reserve(b, bytes, true, cancel, clock, deadline_ns);
}

/* ------------------------------------------------------------------ holders
 */

/* Of threads: pthread_t comes again when one has ended. */
static uint64_t own_number(void)
{
    static atomic_uint_fast64_t last;
    static _Thread_local uint64_t own;

    if (own == 0)
        own = atomic_fetch_add(&last, 1) + 1;
    return own;
}

void budget_hold(struct budget *b, struct budget_holder *h, const void *what)
{
    h->thread = own_number();
    h->what = what;
    h->place = &b->holders;
    pthread_mutex_lock(&b->mutex);
    h->next = b->holders;
    if (h->next)
        h->next->place = &h->next;
    b->holders = h;
    pthread_mutex_unlock(&b->mutex);
}

void budget_let_go(struct budget *b, struct budget_holder *h)
{
    pthread_mutex_lock(&b->mutex);
    *h->place = h->next;
    if (h->next)
        h->next->place = h->place;
    pthread_mutex_unlock(&b->mutex);
}

bool budget_is_nested(struct budget *b, const void *what)
{
    uint64_t thread = own_number();
    unsigned n = 0, n_own = 0;

    pthread_mutex_lock(&b->mutex);
    for (const struct budget_holder *h = b->holders; h; h = h->next) {
        n += h->thread == thread;
        n_own += h->thread == thread && h->what == what;
    }
    pthread_mutex_unlock(&b->mutex);
    return n > (n_own ? 1U : 0U);
}
