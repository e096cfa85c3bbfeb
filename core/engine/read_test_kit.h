/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test only: a store in memory, and snapshots put there behind the engine's
 * back, whole or damaged.
 */
#ifndef PERSIST_ENGINE_READ_TEST_KIT_H
#define PERSIST_ENGINE_READ_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/instance.h"
#include "engine/key.h"
#include "format/snapshot.h"
#include "support/memory_backend.h"

#define FIXTURE_TIME "2026-11-23T04:19:24.642210Z"

struct fixture {
    struct persist *p;
    struct persist_store *store;
    const struct memory_control *memory;
    char id[32]; /* of the map in memory */
    struct buf log;
};

/* memory_limit 0: the default.  settings: more options of the backend, as
 * "key=value", NULL-terminated, or NULL. */
void fixture_open(struct fixture *f, uint64_t memory_limit,
                  const char *const *settings);
void fixture_close(struct fixture *f);
/* cmocka: *state is an opened fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct snapshot_spec {
    enum codec codec;    /* 0: zstd */
    uint32_t frame_size; /* 0: 64 KiB */
    const char *agent;   /* NULL: "a" */
    const char *session; /* NULL: "default" */
    uint64_t index;
    const void *payload;
    size_t len;
    const char *schema;
    const char *description;
    const struct persist_label *labels;
    size_t n_labels;
};
/* The object's bytes; finish out. */
void fixture_encode(const struct snapshot_spec *spec, struct buf *out);
/* Puts it where it belongs. */
void fixture_put(struct fixture *f, const struct snapshot_spec *spec);
/* ... behind a claim, as `.data`. */
void fixture_put_data(struct fixture *f, const struct snapshot_spec *spec);

void fixture_key(const char *agent, const char *session, uint64_t index,
                 enum key_kind kind, char out[KEY_CAP]);
void fixture_set(struct fixture *f, const char *key, const void *data,
                 size_t len);
void fixture_claim(struct fixture *f, const char *agent, const char *session,
                   uint64_t index);
void fixture_tombstone(struct fixture *f, const char *agent,
                       const char *session, uint64_t index);

/* len bytes that compress a little and differ by seed; malloc. */
uint8_t *fixture_payload(size_t len, uint32_t seed);

/* Fails with the error's text. */
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
    } while (0)
#define assert_contains(text, part)                                            \
    do {                                                                       \
        if (!strstr(text, part))                                               \
            fail_msg("\"%s\" does not contain \"%s\"", text, part);            \
    } while (0)

#endif
