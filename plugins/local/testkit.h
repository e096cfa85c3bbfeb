/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the local backend: a host, stores on scratch directories,
 * and ops with short names.  Ops return their status; what they tell besides is
 * in the kit until the next one.
 */
#ifndef PERSIST_LOCAL_TESTKIT_H
#define PERSIST_LOCAL_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "local.h"

#define OK PERSIST_BACKEND_OK
#define IF_ABSENT PERSIST_BACKEND_IF_ABSENT

struct kit {
    const struct persist_backend_ops *ops;
    char *base; /* a scratch directory; the root is base/root */
    char *root;
    void *store;
    int host_call; /* what the calls' host_call points at */
    struct persist_backend_call call;
    struct persist_backend_error error;
};

/* cmocka fixtures: a store with an existing root, made by default options. */
int kit_setup(void **state);
int kit_setup_fallback(void **state); /* without openat2 */
int kit_teardown(void **state);

/* Options as pairs "key=value", NULL last; root is set unless given. */
int32_t kit_open(struct kit *k, const char *const *options, void **out);
void kit_reopen(struct kit *k, const char *const *options);

/* The host: what it gave and took. */
extern const struct persist_backend_host kit_host;
extern atomic_long kit_blocks;        /* alloc without free */
extern atomic_uint_fast64_t kit_peak; /* the most bytes at once */
extern atomic_long kit_alloc_limit;   /* allocations to come; < 0: no limit */
extern atomic_int kit_cancel_after;   /* looks until cancelled; < 0: never */
extern atomic_uint_fast64_t kit_now;  /* monotonic_ns */
uint32_t kit_crc(const void *data, size_t len);

int32_t kit_put(struct kit *k, const char *key, const char *text,
                uint32_t flags);
int32_t kit_delete(struct kit *k, const char *key, uint32_t *out_was);
int32_t kit_head(struct kit *k, const char *key,
                 struct persist_backend_head_result *out);
/* The object's text, to be freed; NULL and *out_rc where it cannot be read. */
char *kit_read(struct kit *k, const char *key, int32_t *out_rc);
void kit_holds(struct kit *k, const char *key, const char *text);

struct kit_entry {
    char key[LOCAL_KEY_CAP];
    bool folder;
    uint64_t size;
};
struct kit_list {
    struct kit_entry *entries;
    size_t n, cap;
    size_t stop_at; /* 0: never */
    bool more;
};
int32_t kit_list(struct kit *k, const char *prefix, const char *start_after,
                 const char *delimiter, uint32_t limit, struct kit_list *out);
void kit_list_finish(struct kit_list *l);

/* Uploads: ids, and receipts as they come. */
struct kit_upload {
    const char *key;
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    struct persist_backend_receipt receipts[16];
    uint8_t proofs[16][PERSIST_BACKEND_RECEIPT_MAX];
    uint32_t n;
    uint64_t at;
};
int32_t kit_begin(struct kit *k, struct kit_upload *u, const char *key,
                  uint32_t flags, uint64_t size);
int32_t kit_part_at(struct kit *k, struct kit_upload *u, uint32_t number,
                    uint64_t offset, const void *data, uint64_t len);
/* The next part, behind those before. */
int32_t kit_part(struct kit *k, struct kit_upload *u, const void *data,
                 uint64_t len);
int32_t kit_commit(struct kit *k, struct kit_upload *u, uint32_t flags);
int32_t kit_abort(struct kit *k, const char *key, const char *id);

/* The group in which the store's syncs set out. */
struct syncgroup *kit_group(struct kit *k);

/* Who waits on behalf of a call that stops at this kit_now; 0: never. */
struct kit_waiter {
    struct persist_backend_call call;
    struct local_waiter waiter;
};
void kit_wait_until(struct kit_waiter *w, uint64_t deadline_ns);

/* A call that does not return: `hang_here` as the hook of its kind holds the
 * nth, and no other, until it is released, or 20 s have passed. */
struct kit_hang {
    unsigned nth; /* from 1 */
    atomic_uint n_calls;
    atomic_bool reached, released, gave_up;
};
void kit_hang_here(void *hang);
/* Until a call hangs. */
void kit_await(struct kit_hang *hang);
/* False where that was long ago. */
bool kit_release(struct kit_hang *hang);

#endif
