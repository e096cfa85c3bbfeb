/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals and the deadline of calls that have none of their own.
 *
 * The first SIGINT, SIGTERM or SIGHUP asks the watched instance to stop, so
 * that what is under way is taken back; the second has the default action.  A
 * signal that was ignored when the command started (nohup) stays ignored.
 * SIGPIPE and SIGXFSZ are: the write that failed says so.
 */
#ifndef PERSIST_CLI_SIGNALS_H
#define PERSIST_CLI_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/persist.h>

void signals_install(void);
/* From now on signals interrupt p (NULL: nobody).  One that came before does so
 * at once. */
void signals_watch(struct persist *p);
/* A stop was asked for. */
bool signals_interrupted(void);

/* Interrupts the watched instance timeout_ms from now (0: takes the deadline
 * back).  Async: whoever sees CANCELLED asks signals_timed_out. */
void signals_deadline(uint64_t timeout_ms);
bool signals_timed_out(void);

#endif
