/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast one store may be asked; shared by all threads that use it.
 *
 * A service that answers "slow down" to one request means all of them, so the
 * slow-down is the store's: attempts then start at least `spacing` apart.  It
 * begins half as long again as attempts have lately been apart, grows by the
 * same while throttling goes on (once per half second: eight requests in
 * flight are throttled together and mean it once), and halves with every five
 * seconds of peace, until it is too short to matter.
 *
 *     rc = pace_wait(&pace, op, also, clock);     before every attempt
 *     ... the attempt ...
 *     if (throttled)
 *         pace_throttled(&pace, clock);
 */
#ifndef PERSIST_BACKEND_PACE_H
#define PERSIST_BACKEND_PACE_H

#include <pthread.h>
#include <stdint.h>

#include "runtime/op.h"
#include "util/clock.h"

struct pace {
    pthread_mutex_t mutex;
    /* All below under mutex; ns on the clock's boot_ns. */
    uint64_t spacing_ns;   /* 0: no slow-down */
    uint64_t next_ns;      /* when the next attempt may start */
    uint64_t last_ns;      /* when the last one did; 0: none yet */
    uint64_t interval_ns;  /* smoothed distance of starts */
    uint64_t throttled_ns; /* when spacing last grew or shrank */
};

int pace_init(struct pace *p); /* 0 or -errno */
void pace_finish(struct pace *p);
/* Takes the next place in the row and waits for it.  CANCELLED or TIMEOUT where
 * op ends first, or `also` (may be NULL) is set. */
int pace_wait(struct pace *p, const struct persist_op *op,
              const struct cancel *also, const struct clock *clock);
void pace_throttled(struct pace *p, const struct clock *clock);

#endif
