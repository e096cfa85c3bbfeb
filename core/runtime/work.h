/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of an operation on another thread, and waiting for it.
 *
 *     work_init(&w);
 *     work_start(&w, ex, run);       run(&w) on a thread of ex, or right here
 *     ...                            something else meanwhile
 *     work_wait(&w);                 over; may be started again
 *     work_finish(&w);
 *
 * Whoever waits for a piece that no thread has begun takes it back and runs it
 * himself.  So pieces need no thread to be free, an operation that runs on the
 * same executor may wait for its own, and without threads at all everything
 * happens in work_start.
 *
 * The storage is the caller's; start and wait belong to one thread at a time.
 */
#ifndef PERSIST_RUNTIME_WORK_H
#define PERSIST_RUNTIME_WORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/executor.h"

struct work {
    struct task task;
    struct executor *ex;
    void (*run)(struct work *w);
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool over; /* under mutex */
};

int work_init(struct work *w); /* 0 or -errno */
void work_finish(struct work *w);

/* w is new, or has been waited for.  ex NULL: at once, on this thread. */
void work_start(struct work *w, struct executor *ex,
                void (*run)(struct work *w));
/* At once where it was never started. */
void work_wait(struct work *w);
/* The same for at most that long; false: it is not over yet, and some thread is
 * at it. */
bool work_wait_for(struct work *w, uint64_t ns);
/* Whether work_wait would return at once. */
bool work_is_over(struct work *w);

#endif
