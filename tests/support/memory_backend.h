/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-memory test backend, seen by a test in the same process.
 *
 * memory.so keeps objects in named maps: two stores opened with the same option
 * `store` share one.  Through the descriptor's get_extension a test reaches the
 * table below, to watch and steer every op and to look into and damage what is
 * stored:
 *
 *     const struct memory_control *memory =
 *         plugin->descriptor.get_extension(MEMORY_CONTROL);
 *     memory->reset("t1");
 *     memory->set_hook("t1", step, &scheduler);
 *
 * All functions are thread-safe.  A store id that was never used is an empty
 * store.  tests/support/README.md lists the options.
 */
#ifndef PERSIST_TEST_MEMORY_BACKEND_H
#define PERSIST_TEST_MEMORY_BACKEND_H

#include <persist/backend.h>

#define MEMORY_CONTROL "persist-test.memory/1"

#define MEMORY_BEFORE UINT32_C(1)
#define MEMORY_AFTER UINT32_C(2)

/* One op, about to run or about to answer. */
struct memory_event {
    uint32_t phase;    /* MEMORY_BEFORE, MEMORY_AFTER */
    int32_t status;    /* AFTER: what the op is about to answer; BEFORE: 0 */
    const char *op;    /* "put", "put_many", "upload_begin", "upload_part",
                        * "upload_commit", "upload_abort", "read", "head",
                        * "delete", "list", "list_uploads", "probe"; and
                        * "put_item" for each item of put_many, inside it */
    const char *key;   /* the prefix of list and list_uploads; the first key of
                        * put_many; "" for probe */
    const char *actor; /* the option `actor` of the store that was opened */
    const struct persist_backend_call *call;
};

/*
 * Called on the op's own thread, without any lock held: it may block.  0 goes
 * on.  Any other value is what the op answers: from BEFORE, with no effect;
 * from AFTER, with the effect done (a lost reply).  It may call the control
 * functions, never an op.
 */
typedef int32_t (*memory_hook_fn)(void *ctx, const struct memory_event *event);

struct memory_object_view {
    const char *key;
    const void *data;
    uint64_t len;
    uint64_t generation; /* grows with every write of the store */
    int64_t modified_us;
};
/* Called with the map locked: look, copy, and call nothing of the backend.  A
 * value other than 0 ends the walk and is returned. */
typedef int32_t (*memory_each_fn)(void *ctx,
                                  const struct memory_object_view *object);

struct memory_control {
    uint32_t struct_size;
    uint32_t reserved;
    /* Forgets objects, uploads, counts, hook and clock. */
    void (*reset)(const char *store);
    /* NULL removes it; ops that are inside the hook are not waited for. */
    void (*set_hook)(const char *store, memory_hook_fn hook, void *ctx);
    /* The time of every write from now on; 0: the host's clock again. */
    void (*set_now)(const char *store, int64_t wall_us);
    /* Calls of an op since reset, failed ones too; "any" is the sum. */
    uint64_t (*count)(const char *store, const char *op);
    /* Objects in key order. */
    int32_t (*each)(const char *store, memory_each_fn fn, void *ctx);
    uint64_t (*n_objects)(const char *store);
    uint64_t (*n_uploads)(const char *store);
    /* Up to cap bytes of an object; *out_len is its length.  NOT_FOUND. */
    int32_t (*get)(const char *store, const char *key, void *out, uint64_t cap,
                   uint64_t *out_len);
    /* Makes or replaces an object behind every op's back.  MEMORY. */
    int32_t (*set)(const char *store, const char *key, const void *data,
                   uint64_t len);
    /* Overwrites bytes in place: the etag stays, as with damage.  NOT_FOUND;
     * INVALID where the range is not inside the object. */
    int32_t (*poke)(const char *store, const char *key, uint64_t offset,
                    const void *data, uint64_t len);
    int32_t (*remove)(const char *store, const char *key); /* NOT_FOUND */
    int32_t (*set_modified)(const char *store, const char *key,
                            int64_t wall_us);
    /* `to` becomes what `from` is: objects and unfinished uploads; its counts,
     * hook and clock stay.  For searches that branch.  MEMORY. */
    int32_t (*copy)(const char *from, const char *to);
};

#endif
