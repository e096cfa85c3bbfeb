/*
 * What the public opaque structs hold, for the files of engine/.
 */
#ifndef PERSIST_ENGINE_INSTANCE_H
#define PERSIST_ENGINE_INSTANCE_H

#include <persist/persist.h>
#include <pthread.h>
#include <sys/types.h>

#include "backend/store.h"
#include "runtime/budget.h"
#include "runtime/cancel.h"
#include "runtime/op.h"
#include "services/config.h"
#include "services/log.h"
#include "util/clock.h"

struct persist {
    const struct clock *clock;
    struct config *config;
    struct log *log;
    struct budget *budget;
    struct cancel cancel; /* persist_interrupt */
    char **backend_dirs;  /* absolute, options first, then configured */
    size_t n_backend_dirs;
    pid_t pid; /* a forked child has another */
    pthread_mutex_t mutex;
    size_t n_stores; /* open; under mutex */
};

struct session_memory; /* what a store remembers of its sessions (save side) */

struct persist_store {
    struct persist *p;
    struct backend_store *backend;
    char *name;
    bool file_durability; /* durability = file, and accepted */
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    size_t n_running;              /* operations; under mutex */
    struct session_memory *memory; /* under its own lock */
};

/* Every public call on a store begins and ends with these.  engine_begin
 * answers MISUSE for NULL, FORKED in a child, CANCELLED after an interrupt; it
 * prepares `own` or the caller's op and says which one to use. engine_end is
 * called where begin returned OK. */
int engine_begin(struct persist_store *store, struct persist_op *callers,
                 uint64_t timeout_ms, struct persist_op *own,
                 struct persist_op **out_op, struct persist_error *err);
void engine_end(struct persist_store *store, struct persist_op *own);

/* Tests: an instance with its own clock. */
int engine_create_with(const struct persist_options *options,
                       const struct clock *clock, struct persist **out,
                       struct persist_error *err);

#endif
