/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of transfer/: a store of backend memory, with a budget, an
 * operation and, where wanted, threads.
 */
#ifndef PERSIST_TRANSFER_TEST_KIT_H
#define PERSIST_TRANSFER_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/store.h"
#include "runtime/executor.h"
#include "support/memory_backend.h"
#include "transfer/upload.h"

struct rig {
    struct budget *budget;
    struct cancel cancel;
    struct persist_op op;
    struct backend_store *store;
    struct upload_pool *pool;
    const struct memory_control *memory;
    struct executor *cpu; /* NULL: everything on the test's thread */
    struct executor *io;
};

#define assert_ok(rc, err)                                                     \
    do {                                                                       \
        int assert_ok_rc = (rc);                                               \
        if (assert_ok_rc)                                                      \
            fail_msg("%d: %s", assert_ok_rc, (err)->message);                  \
    } while (0)

/* options: "key=value" of the store. */
void rig_open(struct rig *r, uint64_t limit, const char *const *options,
              size_t n);
/* Executors; without them everything runs on the test's thread. */
void rig_threads(struct rig *r);
/* Nothing may be reserved any more. */
void rig_close(struct rig *r);

/* Bytes that do not compress, the same each time; free them. */
uint8_t *noise(size_t len);

#endif
