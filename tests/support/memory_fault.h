/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One opened store of the in-memory backend, and what stands around each op:
 * counting, the hook, latency, injected failures, the check that a serial store
 * is not called twice at once.
 */
#ifndef PERSIST_TEST_MEMORY_FAULT_H
#define PERSIST_TEST_MEMORY_FAULT_H

#include <stdatomic.h>

#include "memory_map.h"

struct memory_fault {
    int op; /* an enum memory_op_id, MEMORY_N_OPS: any, -1: none */
    uint64_t at;
    uint64_t times; /* 0: for good */
    int32_t status;
    bool after;
    uint64_t retry_after_ms;
    atomic_uint_fast64_t calls; /* of op */
};

struct memory_handle {
    const struct persist_backend_host *host;
    void *host_store;
    struct memory_map *map;
    char *actor;
    struct memory_lies lies;
    int kept_fd; /* LIE_CLOSE_KEEPS */
    struct memory_fault fault;
    int latency_op;
    uint64_t latency_ms;
    bool denied;
    bool serial;
    atomic_int inside; /* ops running, where serial */
    struct persist_backend_limits limits;
};

struct memory_call {
    struct memory_handle *handle;
    const struct persist_backend_call *call;
    struct persist_backend_error *error;
    int op;
    const char *key;
    bool fails_after;
};

/* Anything but OK is the op's answer: then nothing is done. */
int32_t memory_call_begin(struct memory_call *call);
/* rc: what the op did; returns what it answers. */
int32_t memory_call_end(struct memory_call *call, int32_t rc);

/* The hook for one item of put_many, as for an op "put_item". */
int32_t memory_item_hook(const struct memory_call *call, const char *key,
                         uint32_t phase, int32_t status);

/* The time of a write: the test's, else the host's. */
int64_t memory_now(const struct memory_handle *handle);

/* The options; reading them: CONFIG where one cannot be. */
#define MEMORY_N_OPTIONS 29
extern const struct persist_backend_option memory_options[MEMORY_N_OPTIONS];
int32_t memory_options_read(const struct persist_backend_config *config,
                            struct memory_handle *handle,
                            struct persist_backend_error *error);

void memory_error(struct persist_backend_error *error, const char *what,
                  const char *object);

#endif
