/* SPDX-License-Identifier: 0BSD */
/*
 * A host for one backend: the services table, stores, calls.
 *
 * What a backend does wrong towards the host (memory not given back, a handle
 * that is not the host's) is counted here and looked at by cases.
 */
#ifndef CONFORMANCE_HOST_H
#define CONFORMANCE_HOST_H

#include <persist/backend.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"

struct host_store {
    uint64_t magic;
    const struct config *config;
};

struct host_call {
    uint64_t magic;
    atomic_bool cancelled;
    int fds[2];
};

extern bool host_verbose;             /* log lines go to stderr */
extern atomic_llong host_blocks;      /* memory blocks not given back */
extern atomic_llong host_bad_handles; /* foreign or damaged pointers */
extern atomic_llong host_bad_logs;    /* levels and lines that are none */

const struct persist_backend_host *host_services(void);

void host_store_init(struct host_store *s, const struct config *config);
void host_call_init(struct host_call *c);
void host_call_cancel(struct host_call *c);
void host_call_finish(struct host_call *c);

#endif
