/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancellation: a flag that is set once, can be polled, and has a descriptor.
 *
 * cancel_set is async-signal-safe; what is set stays set.  A child's flag
 * counts as set once its parent's is (instance -> store -> operation).  In a
 * forked process it sets that process's copy and wakes nobody.
 */
#ifndef PERSIST_RUNTIME_CANCEL_H
#define PERSIST_RUNTIME_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "posix/wakeup.h"

struct cancel {
    const struct cancel *parent; /* outlives this one; may be NULL */
    atomic_bool set;
    struct wakeup own; /* raised once set; -1, -1: no descriptor */
    int fd_either;     /* this one or the parent's; -1: no parent with one */
    pid_t pid;         /* of the process whose descriptor it is */
};

/* with_fd: make a descriptor (0 or -errno). */
int cancel_init(struct cancel *c, const struct cancel *parent, bool with_fd);
void cancel_finish(struct cancel *c);
void cancel_set(struct cancel *c);
bool cancel_is_set(const struct cancel *c); /* c may be NULL: false */
/* The nearest descriptor up the chain that becomes readable, or -1.  One made
 * by cancel_init becomes readable for every cancel above it that has one, too.
 * Poll it; do not read it. */
int cancel_fd(const struct cancel *c);
/* Every cancel of the chain has a descriptor, so that cancel_fd says all there
 * is; otherwise a sleeper looks at cancel_is_set now and then. */
bool cancel_fd_is_complete(const struct cancel *c);

#endif
