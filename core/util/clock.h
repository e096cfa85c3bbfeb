/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, sleep and randomness as a value, so that tests inject their own.
 */
#ifndef PERSIST_UTIL_CLOCK_H
#define PERSIST_UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    /* Nanoseconds since some start, never going back, counting suspend
     * (CLOCK_BOOTTIME where there is one). */
    uint64_t (*boot_ns)(void *ctx);
    /* Microseconds since 1970-01-01T00:00:00Z. */
    int64_t (*wall_us)(void *ctx);
    /* Waits ns, or until wake_fd (where >= 0) is readable. */
    void (*sleep_ns)(void *ctx, uint64_t ns, int wake_fd);
    /* Fills out with unpredictable bytes; 0 or -errno. */
    int (*random)(void *ctx, void *out, size_t len);
    void *ctx;
};

extern const struct clock clock_system;

static inline uint64_t clock_boot_ns(const struct clock *c)
{
    return c->boot_ns(c->ctx);
}

static inline int64_t clock_wall_us(const struct clock *c)
{
    return c->wall_us(c->ctx);
}

#endif
