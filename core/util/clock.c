/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's clock.  Nothing else in the library calls clock_gettime, sleeps
 * or asks for random bytes.
 */
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_BOOTTIME counts suspend, so that a deadline means what a person thinks
 * it means; a kernel without it has CLOCK_MONOTONIC. */
static uint64_t system_boot_ns(void *ctx)
{
    struct timespec ts = {0};
    (void)ctx;
#ifdef CLOCK_BOOTTIME
    if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
#endif
        clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
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
        uint64_t left = end - now;
        struct timespec ts = {.tv_sec = (time_t)(left / NS_PER_S),
                              .tv_nsec = (long)(left % NS_PER_S)};
        int n = ppoll(&wake, wake_fd >= 0 ? 1 : 0, &ts, NULL);
        if (n >= 0 || errno != EINTR)
            return;
        now = system_boot_ns(ctx);
    }
}

static int system_random(void *ctx, void *out, size_t len)
{
    unsigned char *p = out;
    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

const struct clock clock_system = {
    .boot_ns = system_boot_ns,
    .wall_us = system_wall_us,
    .sleep_ns = system_sleep_ns,
    .random = system_random,
    .ctx = NULL,
};
