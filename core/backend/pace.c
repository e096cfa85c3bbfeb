/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slow-down of a store; see pace.h.  Knows nothing of retries: a request
 * that was throttled waits by itself (retry.c), this is for the others.
 */
#include "backend/pace.h"

#include <persist/error.h>
#include <stdbool.h>

#define MS UINT64_C(1000000)
#define SPACING_FIRST (20 * MS) /* where nothing has been measured */
#define SPACING_MIN (1 * MS)    /* below it there is none */
#define SPACING_MAX (1000 * MS)
#define GROW_EVERY (500 * MS)
#define HALVE_EVERY (5000 * MS)
/* Starts further apart than this say nothing of a rate: nobody asked. */
#define INTERVAL_MAX (1000 * MS)

int pace_init(struct pace *p)
{
    *p = (struct pace){0};
    return -pthread_mutex_init(&p->mutex, NULL);
}

void pace_finish(struct pace *p)
{
    pthread_mutex_destroy(&p->mutex);
}

/* A start at `now`, into a mean that forgets slowly. */
static void locked_measure(struct pace *p, uint64_t now)
{
    uint64_t gap = now > p->last_ns ? now - p->last_ns : 0;

    if (p->last_ns && gap < INTERVAL_MAX)
        p->interval_ns = p->interval_ns ? (p->interval_ns * 7 + gap) / 8 : gap;
    p->last_ns = now;
}

static void locked_decay(struct pace *p, uint64_t now)
{
    while (p->spacing_ns && now >= p->throttled_ns + HALVE_EVERY) {
        p->spacing_ns /= 2;
        p->throttled_ns += HALVE_EVERY;
        if (p->spacing_ns < SPACING_MIN)
            p->spacing_ns = 0;
    }
}

/* How long this attempt has to wait for its place. */
static uint64_t take_place(struct pace *p, uint64_t now)
{
    uint64_t start = now;

    pthread_mutex_lock(&p->mutex);
    locked_decay(p, now);
    if (p->spacing_ns) {
        if (p->next_ns > start)
            start = p->next_ns;
        p->next_ns = start + p->spacing_ns;
    }
    locked_measure(p, start);
    pthread_mutex_unlock(&p->mutex);
    return start - now;
}

int pace_wait(struct pace *p, const struct persist_op *op,
              const struct cancel *also, const struct clock *clock)
{
    uint64_t wait = take_place(p, clock_boot_ns(clock));
    int rc;

    if (!wait)
        return PERSIST_OK;
    rc = op_sleep(op, clock, wait);
    return rc == PERSIST_OK && cancel_is_set(also) ? PERSIST_E_CANCELLED : rc;
}

void pace_throttled(struct pace *p, const struct clock *clock)
{
    uint64_t now = clock_boot_ns(clock);
    uint64_t spacing;

    pthread_mutex_lock(&p->mutex);
    locked_decay(p, now);
    if (!p->spacing_ns || now >= p->throttled_ns + GROW_EVERY) {
        spacing =
            p->spacing_ns > p->interval_ns ? p->spacing_ns : p->interval_ns;
        spacing = spacing ? spacing + spacing / 2 : SPACING_FIRST;
        if (spacing < SPACING_MIN)
            spacing = SPACING_MIN;
        p->spacing_ns = spacing < SPACING_MAX ? spacing : SPACING_MAX;
        p->throttled_ns = now;
        p->next_ns = now + p->spacing_ns;
    }
    pthread_mutex_unlock(&p->mutex);
}
