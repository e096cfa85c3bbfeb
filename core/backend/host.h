/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services plugins get: one constant table for the process.
 *
 * host_store in it is a struct backend_store, or NULL for the process: then
 * log lines are dropped (there is no log of the process) and memory is not
 * counted against a budget.  Times are the system's, whatever clock an
 * instance was given; store_call translates deadlines to it.
 */
#ifndef PERSIST_BACKEND_HOST_H
#define PERSIST_BACKEND_HOST_H

#include <persist/backend.h>

const struct persist_backend_host *host_table(void);

#endif
