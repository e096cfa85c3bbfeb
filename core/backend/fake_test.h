/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the store's tests: a plugin inside the test program, whose answers are
 * scripted or whose ops the test replaces, and a clock that only sleeps
 * forward.
 *
 *     fake_setup(&f);
 *     fake_answer(&f, PERSIST_BACKEND_TRANSIENT);   the first attempt's
 *     store = fake_open(&f);
 *     backend_put(store, &f.op, ...);               the second one is OK
 *     fake_teardown(&f);
 */
#ifndef PERSIST_BACKEND_FAKE_TEST_H
#define PERSIST_BACKEND_FAKE_TEST_H

#include <stdatomic.h>

#include "backend/store.h"

#define FAKE_SCRIPT_MAX 16
#define FAKE_SLEEPS_MAX 64

struct fake_clock {
    struct clock clock; /* ctx is this struct */
    uint64_t now_ns;
    uint64_t random; /* what random gives */
    int random_rc;   /* what random answers */
    uint64_t sleeps[FAKE_SLEEPS_MAX];
    size_t n_sleeps;
    struct cancel *cancel_at_sleep; /* set during the next sleep */
};

void fake_clock_init(struct fake_clock *c);

struct fake_answer {
    int32_t status;
    const char *message;
    const uint64_t *retry_after_ms;
};

struct fake {
    struct plugin plugin;
    struct persist_backend_option options[8];
    struct option_values values;
    struct fake_clock clock;
    struct cancel instance;
    struct budget *budget;
    struct log *log;
    char logged[8192];
    struct backend_env env;
    struct persist_op op;
    struct persist_error err;
    struct backend_store *store;

    /* What the plugin answers. */
    struct persist_backend_limits limits;
    int32_t limits_status;
    int32_t open_status;
    const char *open_message;
    bool open_gives_nothing;
    struct fake_answer script[FAKE_SCRIPT_MAX]; /* then OK */
    size_t n_script;
    /* Called by every op before it answers; may be NULL. */
    void (*during)(struct fake *f, const struct persist_backend_call *call);
    /* Called by the op to fill its result, when the answer is OK. */
    void (*fill)(struct fake *f, const void *args, void *result);
    const void *fill_data;

    /* What it saw. */
    atomic_int n_calls;
    atomic_int n_closed;
    struct persist_backend_call call; /* the last one's */
    void *host_store;
    const struct persist_backend_host *host;
    char last_op[24];
    char last_key[600];
    union {
        struct persist_backend_put_args put;
        struct persist_backend_begin_args begin;
        struct persist_backend_part_args part;
        struct persist_backend_commit_args commit;
        struct persist_backend_abort_args abort;
        struct persist_backend_read_args read;
    } args; /* the last one's */
};

void fake_setup(struct fake *f);
void fake_teardown(struct fake *f);
/* Another log instead of the one at DEBUG, before the store is opened. */
void fake_log(struct fake *f, enum log_level level);
void fake_answer(struct fake *f, int32_t status);
void fake_answer_message(struct fake *f, int32_t status, const char *message);
/* Opens and remembers the store; fails the test where it cannot. */
struct backend_store *fake_open(struct fake *f);
/* The same, and gives the answer. */
int fake_try_open(struct fake *f, bool accept_file_durability);
/* Declares one more option and its value. */
void fake_option(struct fake *f, const char *key, uint32_t type,
                 uint32_t option_flags, uint32_t value_flags);
void fake_secret(struct fake *f, const char *key, const char *bytes);

#endif
