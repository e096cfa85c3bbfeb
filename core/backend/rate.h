/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit in bytes per second, shared by all stores of an instance and all
 * their threads: one for what is sent, one for what is received.
 *
 * Bytes are paid for in the order in which threads come.  What was not used is
 * worth a quarter of a second, no more, so n bytes take n / rate - 0.25 s at
 * least.  A write pays before it starts and holds no place meanwhile; a read,
 * whose length is known afterwards, when it is done.
 */
#ifndef PERSIST_BACKEND_RATE_H
#define PERSIST_BACKEND_RATE_H

#include <pthread.h>
#include <stdint.h>

#include "runtime/op.h"
#include "util/clock.h"

struct rate {
    pthread_mutex_t mutex;
    uint64_t bytes_per_s;   /* 0: no limit; constant */
    uint64_t paid_until_ns; /* under mutex, on the clock's boot_ns */
};

int rate_init(struct rate *r, uint64_t bytes_per_s); /* 0 or -errno */
void rate_finish(struct rate *r);
/* Pays for len bytes and waits until they are paid.  r NULL: no limit.
 * CANCELLED or TIMEOUT where op ends first, or `also` (may be NULL) is set:
 * then nothing was taken. */
int rate_pay(struct rate *r, uint64_t len, const struct persist_op *op,
             const struct cancel *also, const struct clock *clock);

#endif
