/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An opened store, and the only place in Persist where plugin ops are called.
 *
 * Every call here checks the arguments against the store's limits, builds the
 * call context, serialises where the plugin is serial, measures each attempt,
 * checks the plugin's answer (nothing is trusted), and repeats what may be
 * repeated (backend/retry).  Functions block; they are thread-safe.
 *
 * Keys are whole keys below the store's prefix.
 */
#ifndef PERSIST_BACKEND_STORE_H
#define PERSIST_BACKEND_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/options.h"
#include "backend/rate.h"
#include "backend/registry.h"
#include "runtime/budget.h"
#include "runtime/op.h"
#include "services/log.h"
#include "services/metrics.h"
#include "util/buf.h"
#include "util/clock.h"

struct backend_store;

/* What a store needs of the instance; all outlive it. */
struct backend_env {
    const struct clock *clock;
    struct log *log; /* may be NULL */
    struct budget *budget;
    const struct cancel *cancel; /* the instance's */
    struct rate *upload;         /* limit of what is sent; NULL: none */
    struct rate *download;       /* of what is received; NULL: none */
    const char *state_dir;       /* services/state; NULL: none */
    struct metrics *metrics;     /* may be NULL */
};

/* Takes over values (also on failure). */
int backend_store_open(const struct backend_env *env,
                       const struct plugin *plugin, const char *name,
                       struct option_values *values,
                       bool accept_file_durability, struct backend_store **out,
                       struct persist_error *err);
void backend_store_close(struct backend_store *s);

const struct persist_backend_limits *
backend_store_limits(const struct backend_store *s); /* checked, completed */
const char *backend_store_name(const struct backend_store *s);
const struct plugin *backend_store_plugin(const struct backend_store *s);
const struct backend_env *backend_store_env(const struct backend_store *s);
/* Appends what a store is, for the names of state files: its backend and every
 * option but the secret ones.  Not for people. */
void backend_store_identity(const struct backend_store *s, struct buf *out);
/* FNV-1a, 64 bits, for such names.  Not against anyone who wants two alike. */
#define BACKEND_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t backend_hash(uint64_t hash, const void *data, size_t len);

/* Reads, and refuses writing, where create-if-absent is not honoured
 * (.persist-probe, plugin-abi.md "Limits").  Once per store, and once in 30
 * days where there is a state_dir; OK where nothing is to be checked.  The
 * engine calls it before a store's first write. */
int backend_store_check_writable(struct backend_store *s, struct persist_op *op,
                                 struct persist_error *err);

/*
 * Writes.  *out_maybe (may be NULL) becomes true where an attempt before the
 * final answer may have been applied: then EXISTS may be our own object, and
 * the caller looks inside.  It is true for INTERNAL, a bug of the backend
 * after which nothing is known.  UNCERTAIN comes back only when repeating did
 * not settle it within the retry limits.
 */
struct backend_put {
    const char *key;
    const void *data;
    size_t len;
    bool if_absent;
    /* Also when the instance is interrupted: settling and giving up.  op is
     * then one without a parent, with a deadline. */
    bool past_cancel;
};
int backend_put(struct backend_store *s, struct persist_op *op,
                const struct backend_put *put, bool *out_maybe,
                struct persist_error *err);

/* What became of one of many puts. */
struct backend_put_answer {
    int status;
    bool maybe; /* it may have been applied, whatever the status says */
    bool again; /* the status is no final answer: put it alone */
};
/* Whether the backend has the op.  Without it backend_put_many crashes. */
bool backend_can_put_many(const struct backend_store *s);
/*
 * n puts (at least 1) in one request.  OK: each has its answer, and what is OK
 * is durable.  Else the request as a whole failed, every answer says the same,
 * and err tells why.  past_cancel is ignored.
 */
int backend_put_many(struct backend_store *s, struct persist_op *op,
                     const struct backend_put *puts, size_t n,
                     struct backend_put_answer *answers,
                     struct persist_error *err);
/* Says in words what an answer of backend_put_many says; returns status. */
int backend_put_answer_error(struct backend_store *s,
                             const struct backend_put *put, int status,
                             struct persist_error *err);

struct backend_part {
    uint64_t offset;
    const void *data;
    size_t len;
    uint32_t number; /* from 1 */
    uint32_t crc32c;
    bool is_last;
};
/* One multi-part upload.  begin, parts (thread-safe among themselves), then
 * commit or abort.  Receipts are kept here. */
struct backend_upload;
int backend_upload_begin(struct backend_store *s, struct persist_op *op,
                         const char *key, const uint64_t *expected_size,
                         struct backend_upload **out,
                         struct persist_error *err);
int backend_upload_part(struct backend_upload *u, struct persist_op *op,
                        const struct backend_part *part,
                        struct persist_error *err);
/* if_absent always.  Does not free; after a failure abort it. */
int backend_upload_commit(struct backend_upload *u, struct persist_op *op,
                          uint64_t size, uint32_t crc32c, bool *out_maybe,
                          struct persist_error *err);
/*
 * An upload that another process began (limits: RESUMABLE).  Of the parts it
 * had sent, those given here are not sent again: backend_upload_part answers OK
 * at once where offset, length and CRC-32C are the same, and PRECONDITION,
 * without a request, where they are not.  The last part is always sent: for
 * some services only it completes what they have.  Makes no request.
 */
struct backend_receipt {
    uint64_t offset;
    uint64_t len;
    uint32_t number;
    uint32_t crc32c;
    uint32_t receipt_len;
    uint8_t receipt[PERSIST_BACKEND_RECEIPT_MAX];
};
int backend_upload_continue(struct backend_store *s, const char *key,
                            const char *upload_id,
                            const struct backend_receipt *receipts,
                            size_t n_receipts, struct backend_upload **out,
                            struct persist_error *err);
/* What another process needs to go on; a bearer secret with some services.
 * Lives as long as the upload. */
const char *backend_upload_id(const struct backend_upload *u);
/* Called on the thread of backend_upload_part after each part that was sent and
 * acknowledged, several at once; set before the first one. */
typedef void (*backend_receipt_fn)(void *ctx,
                                   const struct backend_receipt *receipt);
void backend_upload_watch(struct backend_upload *u, backend_receipt_fn watch,
                          void *ctx);
/* Best effort, runs also when op is cancelled; tells what it could not. */
int backend_upload_abort(struct backend_upload *u, struct persist_error *err);
void backend_upload_destroy(struct backend_upload *u);

struct backend_read {
    const char *key;
    bool suffix; /* the last len bytes; else from offset */
    uint64_t offset;
    void *buffer;
    size_t len;
    const char *etag; /* pin; NULL or "": any */
    bool past_cancel; /* as in backend_put */
    bool again;       /* it was read before, with damage: as a retry is */
};
struct backend_read_answer {
    size_t len;
    uint64_t offset;
    uint64_t total;
    char etag[PERSIST_BACKEND_ETAG_MAX];
};
int backend_read(struct backend_store *s, struct persist_op *op,
                 const struct backend_read *read,
                 struct backend_read_answer *out, struct persist_error *err);

struct backend_head_answer {
    uint64_t size;
    int64_t modified_us;
    bool has_modified;
    char etag[PERSIST_BACKEND_ETAG_MAX];
};
int backend_head(struct backend_store *s, struct persist_op *op,
                 const char *key, struct backend_head_answer *out,
                 struct persist_error *err);

/* *out_was: PERSIST_BACKEND_WAS_*; may be NULL. */
int backend_delete(struct backend_store *s, struct persist_op *op,
                   const char *key, uint32_t *out_was,
                   struct persist_error *err);

/*
 * Lists keys in byte order, page by page, also from a store that cannot order
 * (then the whole prefix is read and sorted).  Answers that cannot be true
 * (outside the prefix, not ascending, malformed) are CORRUPT... of a foreign
 * key the caller decides: key spelling is not checked here, prefix and order
 * are.  Entries live until the next call.
 */
struct backend_entry {
    const char *key;
    uint64_t size;
    int64_t modified_us;
    bool has_modified;
    bool is_folder; /* key ends with '/' */
};
struct backend_list;
/* page: a hint how many entries one request should fetch (1 to 1000). */
int backend_list_open(struct backend_store *s, struct persist_op *op,
                      const char *prefix, const char *start_after,
                      bool by_folder, uint32_t page, struct backend_list **out,
                      struct persist_error *err);
/* 1: *out is the next entry; 0: the end; negative. */
int backend_list_next(struct backend_list *l, const struct backend_entry **out,
                      struct persist_error *err);
void backend_list_close(struct backend_list *l);

struct backend_leftover {
    const char *key; /* or "" */
    const char *upload_id;
    uint64_t size;
    int64_t modified_us;
    bool has_modified;
};
typedef int (*backend_leftover_fn)(void *ctx, const struct backend_leftover *l);
/* UNSUPPORTED where the backend has no such op. Collected first: each may call
 * backend_remove_leftover. */
int backend_list_leftovers(struct backend_store *s, struct persist_op *op,
                           const char *prefix, backend_leftover_fn each,
                           void *ctx, struct persist_error *err);
int backend_remove_leftover(struct backend_store *s, struct persist_op *op,
                            const char *key, const char *upload_id,
                            struct persist_error *err);

/* What a backend finds out about a store (persist/backend.h, probe); texts are
 * printable. */
struct backend_finding {
    uint32_t verdict; /* PERSIST_BACKEND_FINDING_* */
    char name[64];
    char value[1024];
    char hint[1024]; /* or "" */
};
typedef int (*backend_finding_fn)(void *ctx, const struct backend_finding *f);
/* UNSUPPORTED where the backend has no such op.  Calls each also for what was
 * found before a failure; stops at an answer that is not 0 and returns it. */
int backend_probe(struct backend_store *s, struct persist_op *op,
                  backend_finding_fn each, void *ctx,
                  struct persist_error *err);

#endif
