/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test only: a store in memory with a clock of its own and a script of what
 * goes wrong, opened as often as a test wants.
 */
#ifndef PERSIST_ENGINE_SAVE_TEST_KIT_H
#define PERSIST_ENGINE_SAVE_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "engine/instance.h"
#include "engine/key.h"
#include "support/memory_backend.h"
#include "util/buf.h"

#define RIG_FAULTS 16
#define RIG_START_US INT64_C(1795000000000000)
#define RIG_DAY_US (INT64_C(86400) * 1000000)

/* One thing that goes wrong, or a moment to look in. */
struct rig_fault {
    const char *op;          /* "put", ...; "any" */
    const char *suffix;      /* of the key; NULL: any */
    const char *actor;       /* NULL: any */
    uint32_t phase;          /* MEMORY_BEFORE (0 means that), MEMORY_AFTER */
    uint32_t at;             /* the first call that matches, from 1; 0: 1 */
    uint32_t times;          /* 0: once; UINT32_MAX: for good */
    int32_t status;          /* 0: the op goes on */
    void (*then)(void *ctx); /* called first; may be NULL */
    void *ctx;
    uint32_t seen;
};

struct rig {
    struct persist *p;
    struct persist_store *store;
    const struct memory_control *memory;
    char id[32];
    struct buf log;
    pthread_mutex_t log_mutex;
    struct clock clock;
    atomic_uint_fast64_t boot_ns; /* advanced by sleeping */
    atomic_int_fast64_t wall_us;
    atomic_uint_fast64_t random;
    atomic_uint calls;     /* of any op, BEFORE */
    pthread_mutex_t mutex; /* of the faults */
    struct rig_fault faults[RIG_FAULTS];
    size_t n_faults;
};

/* The state directory of rigs opened from now on; NULL: none. */
extern const char *rig_state_dir;
/* settings: name, value, name, value, ..., NULL; or NULL. */
void rig_open(struct rig *r, uint64_t memory_limit,
              const char *const *settings);
void rig_close(struct rig *r);
/* cmocka: *state is an opened rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Another handle on the same objects; closed by the caller. */
struct persist_store *rig_again(struct rig *r, const char *actor,
                                const char *const *settings);

void rig_fault(struct rig *r, struct rig_fault fault);
void rig_no_faults(struct rig *r);
/* Parts one after the other, on the thread of the save: what a fault does at
 * one of them then happens between it and the next. */
void rig_one_by_one(struct rig *r);
/* Both clocks, and the store's with them. */
void rig_pass_days(struct rig *r, int days);
void rig_set_store_time(struct rig *r);

/* "a/default/...snap" of agent a. */
void rig_key(uint64_t index, enum key_kind kind, char out[KEY_CAP]);
bool rig_has(struct rig *r, uint64_t index, enum key_kind kind);
uint64_t rig_size(struct rig *r, uint64_t index, enum key_kind kind);
uint64_t rig_objects(struct rig *r);
void rig_put_claim(struct rig *r, uint64_t index);
void rig_put_tombstone(struct rig *r, uint64_t index);

/* Saves text for agent a, and expects that index. */
void rig_save(struct rig *r, const char *text, uint64_t index);
/* Expects that restoring gives these bytes. */
void rig_expect(struct rig *r, const char *address, const void *data,
                size_t len);
/* len bytes that do not compress; malloc. */
uint8_t *rig_noise(size_t len, uint32_t seed);

#define assert_ok(rc, err)                                                     \
    do {                                                                       \
        int assert_ok_rc = (rc);                                               \
        if (assert_ok_rc != PERSIST_OK)                                        \
            fail_msg("%d: %s", assert_ok_rc, (err)->message);                  \
    } while (0)
#define assert_status(rc, want, err)                                           \
    do {                                                                       \
        int assert_status_rc = (rc);                                           \
        if (assert_status_rc != (want))                                        \
            fail_msg("%s: %s, and %s was wanted",                              \
                     persist_status_name(assert_status_rc),                    \
                     assert_status_rc ? (err)->message : "",                   \
                     persist_status_name(want));                               \
        if ((want) != PERSIST_OK)                                              \
            assert_int_equal((err)->status, want);                             \
    } while (0)
#define assert_contains(text, part)                                            \
    do {                                                                       \
        if (!strstr(text, part))                                               \
            fail_msg("\"%s\" does not contain \"%s\"", text, part);            \
    } while (0)

#endif
