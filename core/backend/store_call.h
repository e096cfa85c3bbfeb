/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to a store: attempt, check, repeat, settle, report.
 *
 * For the store_*.c files alone.  Each op fills a struct store_call with a
 * function that makes one attempt and one that checks a good answer; what is
 * the same for all ops is in store_call.c.
 */
#ifndef PERSIST_BACKEND_STORE_CALL_H
#define PERSIST_BACKEND_STORE_CALL_H

#include <stdatomic.h>

#include "backend/gate.h"
#include "backend/pace.h"
#include "backend/retry.h"
#include "backend/store.h"
#include "services/metrics.h"
#include "services/trace.h"

#define STORE_CONTENT_TYPE "application/octet-stream" /* of every object */

enum store_writable {
    STORE_WRITABLE_UNKNOWN,
    STORE_WRITABLE_YES,
    STORE_WRITABLE_NO
};

struct backend_store {
    struct backend_env env;
    const struct plugin *plugin;
    char *name;
    struct option_values values;
    size_t n_registered; /* values whose secrets the log knows of */
    void *handle;        /* the plugin's store */
    struct persist_backend_limits limits;
    struct gate gate; /* serial, max_io */
    struct pace pace; /* after "slow down" */
    struct retry_tokens tokens;
    atomic_int writable;             /* enum store_writable */
    struct metrics_backend *counted; /* NULL: not */
    struct metrics_store *uploads;   /* the same: uploads that are open */
};

/* What host_call of a call context points to. */
struct host_call {
    const struct persist_op *op;
    const struct cancel *also; /* the instance's; NULL for an abort */
};

#define STORE_CALL_WRITE 1u     /* changes the store: an answer may be lost */
#define STORE_CALL_IF_ABSENT 2u /* EXISTS is a possible answer */
#define STORE_CALL_COMMIT 4u    /* NOT_FOUND may mean "committed before" */
#define STORE_CALL_PAST_CANCEL                                                 \
    8u /* runs although the instance is cancelled                              \
        */

/* What cannot be true of an answer, and what it then counts as. */
struct store_verdict {
    const char *wrong; /* "answered with ..."; NULL: believed */
    int status;
};

static inline struct store_verdict store_verdict(int status, const char *wrong)
{
    return (struct store_verdict){wrong, status};
}

/* The usual one: a bug of the backend, or nothing (NULL). */
static inline struct store_verdict store_bug(const char *wrong)
{
    return store_verdict(PERSIST_E_INTERNAL, wrong);
}

struct store_call {
    struct backend_store *store;
    struct persist_op *op;
    const char *what; /* "put" */
    const char *key;  /* for errors and the log; "" where there is none */
    unsigned flags;
    struct gate *gate;        /* one more to pass; NULL: none */
    uint64_t sends;           /* bytes of payload, for the upload limit */
    const uint64_t *receives; /* where a good answer says how many came; NULL:
                                 none */
    enum metrics_op counted_as;
    bool again; /* the first attempt is none: a request before this was */
    void *ctx;
    /* Calls the plugin's op once, with results zeroed and sized anew. */
    int32_t (*attempt)(void *ctx, const struct persist_backend_call *call,
                       struct persist_backend_error *error);
    /* Looks at an answer that says OK.  NULL: nothing to check. */
    struct store_verdict (*check)(void *ctx);

    bool maybe; /* out: an attempt before the answer may have taken effect */
};

int store_call(struct store_call *call, struct persist_error *err);

/* INVALID where the key is none the store could take (persist/backend.h). */
int store_check_key(const struct backend_store *s, const char *key,
                    struct persist_error *err);

/* store_error.c.  Makes every text of a plugin's error safe to read. */
void store_error_clean(struct persist_backend_error *e);
/* One line of printable UTF-8, ended within len. */
void store_text_clean(char *text, size_t len);
/* Names the attempts and the time where there was more than one. */
struct store_failure {
    const char *what;
    const char *key;
    int status;
    uint32_t attempts;
    uint64_t elapsed_ns;
    const char *reason; /* wins over error->message; NULL: that one */
    bool starved;       /* not repeated for want of retry tokens */
    const struct persist_backend_error *error;
};
int store_error_fill(const struct backend_store *s,
                     const struct store_failure *failure,
                     struct persist_error *err);
/* Whether the bytes hold a NUL; puts one at the end in any case. */
bool store_text_ended(char *text, size_t len);
/* A modified time in the years that a time of ours can say, 0000 to 9999: what
 * is added to one or taken from it overflows nowhere. */
int64_t store_time_clean(int64_t us);
struct store_verdict store_check_etag(char etag[PERSIST_BACKEND_ETAG_MAX]);

#endif
