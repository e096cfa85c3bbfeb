/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the public opaque structs hold, for the files of engine/.
 */
#ifndef PERSIST_ENGINE_INSTANCE_H
#define PERSIST_ENGINE_INSTANCE_H

#include <persist/persist.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backend/store.h"
#include "engine/call.h"
#include "runtime/budget.h"
#include "runtime/cancel.h"
#include "runtime/executor.h"
#include "runtime/op.h"
#include "services/config.h"
#include "services/log.h"
#include "services/metrics.h"
#include "services/trace.h"
#include "util/clock.h"

#define ENGINE_DEFAULT_STORE "local"

struct persist {
    const struct clock *clock;
    struct config *config;
    struct log *log;
    struct metrics *metrics;    /* NULL: this build has none */
    struct metrics_set written; /* to the textfile; under metrics_mutex */
    pthread_mutex_t metrics_mutex;
    struct tracer *tracer;              /* NULL: this build has none */
    struct trace_context trace_context; /* where in_trace */
    bool in_trace;                      /* the environment named a trace */
    persist_trace_fn trace;             /* may be NULL */
    void *trace_ctx;
    const char *trace_file; /* config's; NULL: none */
    atomic_bool trace_complained;
    atomic_bool trace_cut; /* the last line of ours ends in its middle */
    struct budget *budget;
    struct rate upload;   /* limit_upload */
    struct rate download; /* limit_download */
    char *state_dir;      /* services/state; NULL: none */
    struct cancel cancel; /* persist_interrupt */
    struct executor *cpu; /* encodes and decodes; threads on demand */
    struct executor *io;  /* runs asynchronous calls; the same */
    char **backend_dirs;  /* absolute, options first, then configured */
    size_t n_backend_dirs;
    char **settings; /* the caller's "key=value", for builders */
    size_t n_settings;
    bool no_default_store; /* none is configured and there is no home for one */
    pid_t pid;             /* a forked child has another */
    pthread_mutex_t mutex;
    size_t n_stores; /* open; under mutex */
};

struct session_memory; /* what a store remembers of its sessions (save side) */
struct upload_pool;    /* encoders and buffers between saves */

struct persist_store {
    struct persist *p;
    struct backend_store *backend;
    char *name;
    bool file_durability; /* durability = file, and accepted */
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    size_t n_running;              /* operations; under mutex */
    struct session_memory *memory; /* under its own lock */
    struct upload_pool *pool;      /* under its own lock */
    struct metrics_store *counted; /* NULL: not */
};

/* How long persist_close waits before it says so; for tests. */
extern uint64_t engine_close_patience_ns;

/* MISUSE for NULL, FORKED in a child; engine/call.h has the same for a store.
 */
int engine_check(const struct persist *p, struct persist_error *err);

/*
 * Copies a caller's options struct (any struct that begins with struct_size)
 * into ours of `size` bytes, so that callers built against an older or newer
 * header work: missing members are zero, and a newer member that is not zero
 * asks for what this library cannot do (UNSUPPORTED).  src NULL: all zero.
 * MISUSE where struct_size is not set.
 */
int engine_options(void *dst, size_t size, const void *src,
                   struct persist_error *err);
/* Bytes of a struct up to its member `last`: what it was in 0.2, and what the
 * structs that a caller hands over to be filled have at least, for ever. */
#define ENGINE_SIZE_TO(type, last)                                             \
    (offsetof(type, last) + sizeof(((type *)NULL)->last))
/* Whether struct_size of the caller's struct, which begins with it, is set, and
 * not below `least`; of a newer header it may be more than ours. */
bool engine_is_sized(const void *theirs, size_t least);
/* The other way round: ours of `size` bytes into the caller's, as far as that
 * reaches.  Its struct_size stays, and what we do not know of it. */
void engine_give(void *theirs, const void *ours, size_t size);
/* INVALID where flags has a bit that is not in known. */
int engine_flags(uint32_t flags, uint32_t known, struct persist_error *err);
/* A member that counts only with a flag. */
struct flagged_member {
    const char *name; /* "after" */
    uint32_t flag;
    const char *flag_name; /* "PERSIST_SAVE_AFTER" */
    bool is_set;           /* not zero */
};
/* INVALID where a member is set and its flag is not: who wrote it meant it, and
 * a fence that is not looked at would be none. */
int engine_flagged(uint32_t flags, const struct flagged_member *members,
                   size_t n_members, struct persist_error *err);

/* The store that persist_open means by `name`; *out_name lives as long as name
 * or the configuration. */
int engine_choose_store(struct persist *p, const char *name,
                        const char **out_name, struct persist_error *err);
/* Opens the store `name` of `config` (the instance's, or a builder's). */
int engine_store_open(struct persist *p, const struct config *config,
                      const char *name, struct persist_store **out,
                      struct persist_error *err);
/* The plugin a store of `config` names. */
int engine_store_plugin(const struct persist *p, const struct config *config,
                        const char *name, const struct plugin **out,
                        struct persist_error *err);
/* Adds the built-in default store to p->config where none is configured. */
int engine_add_default_store(struct persist *p, struct persist_error *err);

struct plugin_dirs engine_plugin_dirs(const struct persist *p);

/* Tests: an instance with its own clock. */
int engine_create_with(const struct persist_options *options,
                       const struct clock *clock, struct persist **out,
                       struct persist_error *err);

#endif
