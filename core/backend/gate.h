/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A door that lets at most `max` threads be behind it at a time: one for a
 * serial backend, max_io for a store, parallel_max for an upload.
 */
#ifndef PERSIST_BACKEND_GATE_H
#define PERSIST_BACKEND_GATE_H

#include <pthread.h>
#include <stdint.h>

#include "runtime/cancel.h"
#include "runtime/op.h"
#include "util/clock.h"

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t left;
    uint32_t running; /* under mutex */
    uint32_t max;     /* 0: no limit, and then nothing is locked */
};

/* 0 or -errno. */
int gate_init(struct gate *g, uint32_t max);
void gate_finish(struct gate *g);
/* Waits for a place.  CANCELLED or TIMEOUT where op ends first; also may be
 * NULL. Leave after PERSIST_OK only. */
int gate_enter(struct gate *g, const struct persist_op *op,
               const struct cancel *also, const struct clock *clock);
void gate_leave(struct gate *g);

#endif
