/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value that expires, got anew by one caller while the others go on with the
 * old one.
 *
 * Between `early` before expiry and `must` before it, whoever asks first
 * refreshes, and a failure is tolerated (the next try waits retry_us); the
 * others get the old value at once.  From `must` on all wait for the one
 * refresher, but a failure still gives the old value until it has really
 * expired; then it is the answer to all who waited.  The clock is the caller's,
 * so that a corrected one can be used.
 *
 * Values are reference-counted: one that was handed out stays whole while a
 * newer one replaces it.
 */
#ifndef PERSIST_SUPPORT_REFRESH_H
#define PERSIST_SUPPORT_REFRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#define REFRESH_NEVER INT64_MAX /* a value that does not expire */

struct refresh;

/* What a source hands over; freed with free_value. */
struct refresh_value {
    void *value;
    int64_t expires_us; /* on the clock; REFRESH_NEVER */
};

struct refresh_config {
    const struct persist_backend_host *host;
    int64_t early_us;
    int64_t must_us;
    /* After a tolerated failure, or where the source gave a value that is
     * (nearly) expired: not again for retry_us plus up to jitter_us. */
    int64_t retry_us;
    int64_t jitter_us;
    /* NULL: host->wall_us. */
    int64_t (*now_us)(void *ctx);
    /* Gets a new value; blocking, called by one thread at a time, under the
     * call of whoever asked. */
    int32_t (*fetch)(void *ctx, const struct persist_backend_call *call,
                     struct refresh_value *out,
                     struct persist_backend_error *err);
    void (*free_value)(void *ctx, void *value); /* wipes and frees */
    void *ctx;
};

/* No value is fetched before the first refresh_get. MEMORY. */
int32_t refresh_create(const struct refresh_config *config,
                       struct refresh **out);
/* All values must have been put back. */
void refresh_destroy(struct refresh *r);

/*
 * A value that is good now, and its generation, which grows with every new
 * value.  Put it back with refresh_put.  Else what fetch answered, CANCELLED or
 * TIMEOUT (while waiting for another's fetch).
 */
int32_t refresh_get(struct refresh *r, const struct persist_backend_call *call,
                    void **out_value, uint64_t *out_generation,
                    int64_t *out_expires_us, struct persist_backend_error *err);
void refresh_put(struct refresh *r, void *value);

/* The service refused the value of that generation: the next get fetches,
 * unless somebody did since. */
void refresh_invalidate(struct refresh *r, uint64_t generation);

#endif
