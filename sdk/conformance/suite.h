/* SPDX-License-Identifier: 0BSD */
/*
 * What a conformance case works with.
 *
 * A case is a function that gets a struct test: a store, a prefix of its own
 * below which every key is its, and functions that call one op each.  It states
 * what must hold with expect; the first statement that does not hold is the
 * case's message, and the case goes on, so that it cleans up.
 *
 * The op functions check on the way what holds for every op (codes, messages,
 * struct bounds); the cases of group errors report it at the end.
 *
 * Ids are stable: what they check may be sharpened, they are never reused.
 */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include <persist/backend.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "host.h"

#define KEY_CAP 8192
#define MAX_THREADS 16

/* Facts about all ops of a run; the lock is for writers. */
struct observed {
    pthread_mutex_t lock;
    char bad_code[256];
    char bad_message[256];
    char bad_write[256];
    char bad_emit[256];
};

struct suite {
    const struct persist_backend_descriptor *descriptor;
    const struct persist_backend_ops *ops;
    const struct persist_backend_host *host;
    persist_backend_entry_fn entry;
    const char *file_name; /* without directory */
    struct config config;
    struct config denied; /* with the --denied settings */
    bool has_denied;
    struct host_store host_store;
    void *store;
    struct persist_backend_limits limits;
    char run_prefix[64]; /* "conformance-<random>/" */
    struct observed observed;
    atomic_uint n_repeated; /* requests, by the must_ functions */
};

struct test {
    struct suite *suite;
    void *store;
    struct host_call host_call;
    struct persist_backend_call call;
    char prefix[96];  /* ends with '/' */
    char detail[512]; /* the last failing op's message */
    char why[1024];
    bool failed;
    bool skipped;
};

struct conformance_case {
    const char *id; /* group.op.rule */
    void (*run)(struct test *t);
};
extern const struct conformance_case cases_lifecycle[], cases_put[],
    cases_read[], cases_delete[], cases_uploads[], cases_list[], cases_keys[],
    cases_limits[], cases_cancellation[], cases_threads[], cases_errors[];

/* ------------------------------------------------------------- statements */

__attribute__((format(printf, 3, 4))) bool expect(struct test *t, bool holds,
                                                  const char *format, ...);
/* That op, a word for the message, answered want. */
bool expect_rc(struct test *t, const char *op, int32_t rc, int32_t want);
void test_skip(struct test *t, const char *why);
/* A worker's first failure becomes t's, and so does what it skipped for. */
void test_merge(struct test *t, const struct test *worker);
const char *status_name(int32_t rc);

/* ------------------------------------------------------------------- keys */

/* The whole key of a name below the case's prefix; out has KEY_CAP bytes. */
const char *test_key(const struct test *t, const char *name, char *out);
/* Bytes that tell seed and position; malloc'ed, or the process ends. */
uint8_t *test_bytes(uint64_t len, uint32_t seed);
void *must_alloc(size_t len);

/* -------------------------------------------------------------------- ops */
/* All take whole keys.  out may be NULL where a case does not look at it. */

int32_t op_open(struct suite *s, const struct config *config, void **out_store,
                struct persist_backend_error *error);
int32_t op_limits(struct test *t, struct persist_backend_limits *out);
int32_t op_put(struct test *t, const char *key, const void *data, uint64_t len,
               uint32_t flags, char *out_etag);
int32_t op_put_args(struct test *t, const struct persist_backend_put_args *args,
                    char *out_etag);
int32_t op_put_many(struct test *t,
                    const struct persist_backend_put_args *items, uint32_t n,
                    int32_t *statuses);
int32_t op_read(struct test *t, const struct persist_backend_read_args *args,
                struct persist_backend_read_result *out);
int32_t op_head(struct test *t, const char *key,
                struct persist_backend_head_result *out);
int32_t op_delete(struct test *t, const char *key, uint32_t *out_was);
/* flags: those its commit will have. */
int32_t op_begin(struct test *t, const char *key, uint32_t flags, char *out_id);
int32_t op_part(struct test *t, const struct persist_backend_part_args *args,
                struct persist_backend_part_result *out);
int32_t op_commit(struct test *t,
                  const struct persist_backend_commit_args *args);
int32_t op_abort(struct test *t, const char *key, const char *id);
int32_t op_probe(struct test *t, uint32_t *out_n);

struct listed {
    char *key;
    uint64_t size;
    int64_t modified_us;
    uint32_t flags;
    bool has_modified;
};
struct listing {
    struct listed *items;
    size_t n;
    size_t stop_after; /* emit says stop at this many; 0: never */
    size_t n_emitted;
    bool more;
};
struct list_query {
    const char *prefix;
    const char *start_after;
    const char *delimiter;
    uint32_t limit;
};
int32_t op_list(struct test *t, const struct list_query *q,
                struct listing *out);
/* Unfinished uploads: keys in items[].key, sizes, dates; the ids are not kept.
 */
int32_t op_list_uploads(struct test *t, const char *prefix,
                        struct listing *out);
void listing_finish(struct listing *l);

/* ------------------------------------------------- ops with their statement */
/* These repeat what was throttled or transient, a few times, as a host does. */

/* Whether to send a request once more, as a host does where a store says that
 * it is likely to work then; waits first, longer every time. */
bool again(struct test *t, int32_t rc, unsigned *n);
void must_put(struct test *t, const char *key, const void *data, uint64_t len,
              uint32_t flags);
/* That date of what was just written is of today.  The store's clock may be off
 * by hours, not in another unit: cleanup goes by it. */
void must_be_now(struct test *t, const char *what, int64_t modified_us);
/* The object under key is these bytes. */
void must_hold(struct test *t, const char *key, const void *data, uint64_t len);
void must_be_absent(struct test *t, const char *key);
void must_delete(struct test *t, const char *key);

/* An upload in the making. */
struct upload {
    const char *key;
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    struct persist_backend_receipt receipts[MAX_THREADS];
    uint8_t bytes[MAX_THREADS][PERSIST_BACKEND_RECEIPT_MAX];
    uint32_t n_parts;
    uint64_t part_len; /* of every part but the last */
    uint64_t last_len;
    uint8_t *data; /* the whole */
    uint64_t len;
};
/* A plan of n parts the limits allow, and begin.  False: skipped or failed. */
bool upload_start(struct test *t, struct upload *u, const char *key,
                  uint32_t n_parts);
/* The same, for a commit that replaces. */
bool upload_start_replacing(struct test *t, struct upload *u, const char *key,
                            uint32_t n_parts);
int32_t upload_send(struct test *t, struct upload *u, uint32_t number);
/* Parts 1 to n, in order. */
void upload_send_all(struct test *t, struct upload *u);
int32_t upload_commit(struct test *t, const struct upload *u, uint32_t flags);
void upload_finish(struct upload *u);

#endif
