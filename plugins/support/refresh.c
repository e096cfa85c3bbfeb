/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value, one refresher.
 *
 *              expiry - early     expiry - must           expiry
 *     ---------------+------------------+-------------------+------> time
 *      all: old value | one fetches,     | all wait for the  | no value
 *                     | others: old      | one; old if it    | without a
 *                     |                  | fails             | fetch
 *
 * A value is held by the refresher and by everybody who got it; the last one
 * frees it.
 */
#include "support/refresh.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "posix/os.h"
#include "support/fail.h"

#define LOOK_MS 20

struct held {
    struct held *next; /* lock: of values that somebody still has */
    void *value;
    unsigned refs; /* lock */
    uint64_t generation;
    int64_t expires_us;
};

struct refresh {
    struct refresh_config config;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct held *current;  /* lock; NULL: none */
    struct held *all;      /* lock */
    bool fetching;         /* lock */
    bool refused;          /* lock: current was invalidated */
    uint64_t generation;   /* lock */
    uint64_t fetches;      /* lock: how many have ended */
    int64_t not_before_us; /* lock: no early refresh until then */
    /* lock: what the last fetch failed with, as far as it is others' too; OK */
    int32_t failure;
    struct persist_backend_error failure_err;
};

static int64_t now_us(const struct refresh *r)
{
    return r->config.now_us != NULL ? r->config.now_us(r->config.ctx)
                                    : r->config.host->wall_us();
}

int32_t refresh_create(const struct refresh_config *config,
                       struct refresh **out)
{
    struct refresh *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return PERSIST_BACKEND_MEMORY;
    r->config = *config;
    r->not_before_us = INT64_MIN;
    r->failure_err.struct_size = sizeof(r->failure_err);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)os_cond_init(&r->changed);
    *out = r;
    return PERSIST_BACKEND_OK;
}

/* With the lock held. */
static void drop(struct refresh *r, struct held *h)
{
    struct held **at = &r->all;

    if (h == NULL || --h->refs > 0)
        return;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    r->config.free_value(r->config.ctx, h->value);
    free(h);
}

void refresh_destroy(struct refresh *r)
{
    if (r == NULL)
        return;
    drop(r, r->current);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

void refresh_put(struct refresh *r, void *value)
{
    struct held *h;

    if (value == NULL)
        return;
    (void)pthread_mutex_lock(&r->lock);
    for (h = r->all; h != NULL && h->value != value; h = h->next)
        ;
    drop(r, h);
    (void)pthread_mutex_unlock(&r->lock);
}

void refresh_invalidate(struct refresh *r, uint64_t generation)
{
    (void)pthread_mutex_lock(&r->lock);
    if (r->current != NULL && r->current->generation == generation)
        r->refused = true;
    (void)pthread_mutex_unlock(&r->lock);
}

/* ------------------------------------------------------------------ getting */

enum state { GOOD, EARLY, MUST, GONE };

/* With the lock held. */
static enum state state_of(const struct refresh *r, int64_t now)
{
    int64_t left;

    if (r->current == NULL || r->refused)
        return GONE;
    if (r->current->expires_us == REFRESH_NEVER)
        return GOOD;
    left = r->current->expires_us - now;
    if (left <= 0)
        return GONE;
    if (now < r->not_before_us || left > r->config.early_us)
        return GOOD;
    return left > r->config.must_us ? EARLY : MUST;
}

/* Microseconds, at most jitter_us. */
static int64_t jitter(const struct refresh *r)
{
    uint64_t n = 0;

    if (r->config.jitter_us <= 0 || r->config.host->random == NULL ||
        r->config.host->random(&n, sizeof(n)) != PERSIST_BACKEND_OK)
        return 0;
    return (int64_t)(n % (uint64_t)r->config.jitter_us);
}

/* The new value becomes the current one.  Lock held. */
static int32_t install(struct refresh *r, const struct refresh_value *v,
                       int64_t now)
{
    struct held *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        r->config.free_value(r->config.ctx, v->value);
        return PERSIST_BACKEND_MEMORY;
    }
    *h = (struct held){.next = r->all,
                       .value = v->value,
                       .refs = 1,
                       .generation = ++r->generation,
                       .expires_us = v->expires_us};
    r->all = h;
    drop(r, r->current);
    r->current = h;
    r->refused = false;
    /* One that should be refreshed already: the source has no better one. */
    if (v->expires_us != REFRESH_NEVER &&
        v->expires_us - now <= r->config.early_us)
        r->not_before_us = now + r->config.retry_us + jitter(r);
    return PERSIST_BACKEND_OK;
}

static void copy_err(struct persist_backend_error *out,
                     const struct persist_backend_error *err)
{
    uint32_t size;

    if (out == NULL || err == NULL)
        return;
    size = out->struct_size;
    memcpy((char *)out + sizeof(size), (const char *)err + sizeof(size),
           (size < err->struct_size ? size : err->struct_size) - sizeof(size));
}

/* Whether who waited has the same answer to expect.  That one's call was
 * cancelled, or its time was over, is nobody else's. */
static bool is_others_too(int32_t rc, const struct persist_backend_call *call)
{
    return rc != PERSIST_BACKEND_OK && rc != PERSIST_BACKEND_CANCELLED &&
           (rc != PERSIST_BACKEND_TIMEOUT ||
            (call->present & PERSIST_BACKEND_CALL_DEADLINE) == 0);
}

/* Lock held, and given up meanwhile.  A failure is remembered, so that not
 * everybody tries at once. */
static int32_t fetch(struct refresh *r, const struct persist_backend_call *call,
                     struct persist_backend_error *err)
{
    struct refresh_value v = {.value = NULL, .expires_us = REFRESH_NEVER};
    int32_t rc;

    r->fetching = true;
    (void)pthread_mutex_unlock(&r->lock);
    rc = r->config.fetch(r->config.ctx, call, &v, err);
    (void)pthread_mutex_lock(&r->lock);
    if (rc == PERSIST_BACKEND_OK)
        rc = install(r, &v, now_us(r));
    else
        r->not_before_us = now_us(r) + r->config.retry_us + jitter(r);
    r->failure = is_others_too(rc, call) ? rc : PERSIST_BACKEND_OK;
    if (r->failure != PERSIST_BACKEND_OK)
        copy_err(&r->failure_err, err);
    r->fetching = false;
    r->fetches++;
    (void)pthread_cond_broadcast(&r->changed);
    return rc;
}

/* Until the other's fetch has ended. Lock held. */
static int32_t wait_for_other(struct refresh *r,
                              const struct persist_backend_call *call,
                              struct persist_backend_error *err)
{
    const struct persist_backend_host *host = r->config.host;
    uint64_t seen = r->fetches;

    while (r->fetching && r->fetches == seen) {
        if (host->is_cancelled(call) != 0)
            return fail(err, PERSIST_BACKEND_CANCELLED, "cancelled");
        if ((call->present & PERSIST_BACKEND_CALL_DEADLINE) != 0 &&
            host->monotonic_ns() >= call->deadline_ns)
            return fail(err, PERSIST_BACKEND_TIMEOUT, "the deadline passed");
        (void)os_cond_wait_until(&r->changed, &r->lock,
                                 os_monotonic_ns() +
                                     (uint64_t)LOOK_MS * 1000000);
    }
    return PERSIST_BACKEND_OK;
}

/* A value that may be used exists after this, or why not. Lock held. */
static int32_t provide(struct refresh *r,
                       const struct persist_backend_call *call,
                       struct persist_backend_error *err)
{
    for (;;) {
        enum state state = state_of(r, now_us(r));
        int32_t rc;

        if (state == GOOD || (state == EARLY && r->fetching))
            return PERSIST_BACKEND_OK;
        if (r->fetching) {
            rc = wait_for_other(r, call, err);
            if (rc != PERSIST_BACKEND_OK)
                return rc;
            /* Else those who wait would fail one behind the other, each after
             * a time limit of his own. */
            if (r->failure != PERSIST_BACKEND_OK &&
                state_of(r, now_us(r)) == GONE) {
                copy_err(err, &r->failure_err);
                return r->failure;
            }
            continue;
        }
        rc = fetch(r, call, err);
        if (rc == PERSIST_BACKEND_OK)
            return rc;
        /* The old one serves as long as it is good. */
        if (rc != PERSIST_BACKEND_CANCELLED && state_of(r, now_us(r)) != GONE)
            return PERSIST_BACKEND_OK;
        return rc;
    }
}

int32_t refresh_get(struct refresh *r, const struct persist_backend_call *call,
                    void **out_value, uint64_t *out_generation,
                    int64_t *out_expires_us, struct persist_backend_error *err)
{
    int32_t rc;

    (void)pthread_mutex_lock(&r->lock);
    rc = provide(r, call, err);
    if (rc == PERSIST_BACKEND_OK) {
        r->current->refs++;
        *out_value = r->current->value;
        if (out_generation != NULL)
            *out_generation = r->current->generation;
        if (out_expires_us != NULL)
            *out_expires_us = r->current->expires_us;
    }
    (void)pthread_mutex_unlock(&r->lock);
    return rc;
}
