/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of one instance.
 *
 * Whoever counts holds a handle on its row of counters: a store opens its
 * backend's row once and then only adds to it.
 *
 *     row = metrics_backend(m, "local")           once; a short lock
 *     metrics_record_op(row, METRICS_SAVE, ...)   each attempt; atomic adds
 *     metrics_collect(m, &set)                    now and then
 *
 * Counting takes no lock, allocates nothing and cannot fail; rows live as long
 * as the metrics.  A row that is NULL counts nothing, so that one for which
 * there was no memory costs numbers and never an operation.
 *
 * Built without PERSIST_METRICS nothing of this is there: the functions are
 * empty and metrics_compiled is 0.
 */
#ifndef PERSIST_SERVICES_METRICS_H
#define PERSIST_SERVICES_METRICS_H

#include <stdint.h>

#include "services/metrics_set.h"

struct metrics;
struct metrics_backend; /* a row: one backend */
struct metrics_store;   /* a row: one store */

/* A plugin's ops, as users know them. */
enum metrics_op {
    METRICS_SAVE,   /* put and everything of uploads */
    METRICS_LOAD,   /* read */
    METRICS_EXISTS, /* head, probe */
    METRICS_DELETE,
    METRICS_LIST, /* list, list_uploads */
    METRICS_N_OPS
};

/* What the public calls do. */
enum metrics_operation {
    OPERATION_SAVE,
    OPERATION_RESTORE,
    OPERATION_SHOW,
    OPERATION_VERIFY,
    OPERATION_EXISTS,
    OPERATION_DELETE,
    OPERATION_LIST,
    OPERATION_CLEANUP,
    OPERATION_IMPORT,
    OPERATION_DOCTOR,
    N_OPERATIONS
};
/* "save" */
const char *metrics_operation_name(enum metrics_operation operation);

enum metrics_codec { METRICS_ZSTD, METRICS_GZIP, METRICS_N_CODECS };

#ifdef PERSIST_METRICS
#define METRICS_COMPILED 1

struct metrics *metrics_create(void); /* NULL: memory */
void metrics_destroy(struct metrics *m);

/* The row of that name, made when it is first asked for; NULL: memory, or m is
 * NULL. */
struct metrics_backend *metrics_backend(struct metrics *m, const char *name);
struct metrics_store *metrics_store(struct metrics *m, const char *name);

/* One attempt of one plugin op: object bytes it moved, its time in the plugin,
 * 1 in `retries` where it repeats an earlier attempt. */
void metrics_record_op(struct metrics_backend *row, enum metrics_op op,
                       uint64_t bytes, uint64_t latency_ns, uint32_t retries,
                       int status);

/* The end of a public call, now_us in Unix time. */
void metrics_record_operation(struct metrics_store *row,
                              enum metrics_operation operation, int status,
                              int64_t now_us);
/* A snapshot that was saved. */
void metrics_record_snapshot(struct metrics *m, enum metrics_codec codec,
                             uint64_t state_bytes, uint64_t stored_bytes);
/* +1: an upload was begun; -1: it was committed or aborted. */
void metrics_count_upload(struct metrics_store *row, int by);
/* What a look at a whole store found; it replaces what was counted. */
void metrics_set_uploads(struct metrics_store *row, uint64_t found);

/* Adds everything counted so far to a set.  MEMORY. */
int metrics_collect(struct metrics *m, struct metrics_set *out);

#else
#define METRICS_COMPILED 0

static inline struct metrics_backend *metrics_backend(struct metrics *m,
                                                      const char *name)
{
    (void)m;
    (void)name;
    return 0;
}

static inline struct metrics_store *metrics_store(struct metrics *m,
                                                  const char *name)
{
    (void)m;
    (void)name;
    return 0;
}

static inline void metrics_record_op(struct metrics_backend *row,
                                     enum metrics_op op, uint64_t bytes,
                                     uint64_t latency_ns, uint32_t retries,
                                     int status)
{
    (void)row;
    (void)op;
    (void)bytes;
    (void)latency_ns;
    (void)retries;
    (void)status;
}

static inline void metrics_record_operation(struct metrics_store *row,
                                            enum metrics_operation operation,
                                            int status, int64_t now_us)
{
    (void)row;
    (void)operation;
    (void)status;
    (void)now_us;
}

static inline void metrics_record_snapshot(struct metrics *m,
                                           enum metrics_codec codec,
                                           uint64_t state_bytes,
                                           uint64_t stored_bytes)
{
    (void)m;
    (void)codec;
    (void)state_bytes;
    (void)stored_bytes;
}

static inline void metrics_count_upload(struct metrics_store *row, int by)
{
    (void)row;
    (void)by;
}

static inline void metrics_set_uploads(struct metrics_store *row,
                                       uint64_t found)
{
    (void)row;
    (void)found;
}
#endif

#endif
