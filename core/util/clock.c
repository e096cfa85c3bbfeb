/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's clock.  Nothing else in the library calls clock_gettime, sleeps
 * or asks for random bytes.
 */
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "posix/os.h"

/* Counts suspend where it can, so that a deadline means what a person thinks it
 * means. */
static uint64_t system_boot_ns(void *ctx)
{
    (void)ctx;
    return os_boot_ns();
}

static int64_t system_wall_us(void *ctx)
{
    struct timespec ts = {0};
    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* A signal that is not meant for us does not shorten the wait; one that is
 * makes wake_fd readable (runtime/cancel.h). */
static void system_sleep_ns(void *ctx, uint64_t ns, int wake_fd)
{
    struct pollfd wake = {.fd = wake_fd, .events = POLLIN};
    uint64_t now = system_boot_ns(ctx);
    uint64_t end = ns > UINT64_MAX - now ? UINT64_MAX : now + ns;

    while (now < end) {
        int n = os_poll(&wake, wake_fd >= 0 ? 1 : 0, end - now);
        if (n >= 0 || errno != EINTR)
            return;
        now = system_boot_ns(ctx);
    }
}

static int system_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    return os_random(out, len);
}

const struct clock clock_system = {
    .boot_ns = system_boot_ns,
    .wall_us = system_wall_us,
    .sleep_ns = system_sleep_ns,
    .random = system_random,
    .ctx = NULL,
};
