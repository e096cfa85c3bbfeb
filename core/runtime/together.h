/* SPDX-License-Identifier: Apache-2.0 */
/*
 * n independent calls on the caller's thread and on whatever threads of an
 * executor come along meanwhile.
 *
 * It never waits for a thread to come: the caller works too, and only calls
 * that have begun are waited for.  So it may be used on a thread of that very
 * executor, and with one that has no threads (PERSIST_ASYNC off, or none could
 * be started): then the caller makes all the calls.
 */
#ifndef PERSIST_RUNTIME_TOGETHER_H
#define PERSIST_RUNTIME_TOGETHER_H

#include <stddef.h>

#include "runtime/executor.h"

/* each(ctx, 0) to each(ctx, n - 1), in any order and several at once; all are
 * over when it returns.  ex NULL: by the caller alone. */
void together_run(struct executor *ex, size_t n,
                  void (*each)(void *ctx, size_t i), void *ctx);

#endif
