/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist/async.h - the operations of persist.h without waiting for them.
 *
 *     persist_queue_create(p, &q, &err);
 *     persist_save_buffer_async(store, "writer", data, len, NULL, q, my_id,
 *                               &err);
 *     ...
 *     while (persist_queue_next(q, -1, &done, &err) == 1) {
 *         if (done.status != PERSIST_OK) ... done.error->message ...
 *         persist_completion_finish(&done);
 *     }
 *
 * Submitting never waits for a store: it copies what it is given (address,
 * options and their texts) except payload buffers and descriptors, which belong
 * to Persist until the completion has been taken.  An operation that was
 * accepted (PERSIST_OK) gives exactly one completion, also when it is
 * cancelled, times out or the instance is interrupted; one that was refused
 * gives none.
 *
 * Completions are taken on the caller's thread with persist_queue_next; nothing
 * is ever called on a thread of Persist.  persist_queue_fd is readable while a
 * completion waits: put it in epoll, poll, libuv or asyncio.  Any number of
 * threads may submit to a queue; one at a time takes from it.
 *
 * Operations share the instance's executors and memory limit in order of
 * arrival.  At least 10,000 may be outstanding; what limits them is memory.
 *
 * A build without PERSIST_ASYNC answers PERSIST_E_UNSUPPORTED to
 * persist_queue_create, and so to everything here.
 */
#ifndef PERSIST_ASYNC_H
#define PERSIST_ASYNC_H

#include <persist/persist.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ queues */

struct persist_queue;

/* Makes a queue of completions.  *out is the caller's, freed with
 * persist_queue_destroy.  Codes: MEMORY, UNSUPPORTED (a build without
 * PERSIST_ASYNC), TRANSIENT (no descriptor left). */
PERSIST_API int persist_queue_create(struct persist *p,
                                     struct persist_queue **out,
                                     struct persist_error *err);
/* Cancels and waits for what is outstanding, drops completions not taken.
 * Before persist_destroy.  NULL is fine. */
PERSIST_API void persist_queue_destroy(struct persist_queue *queue);
/* Readable while a completion waits.  Only to be polled. */
PERSIST_API int persist_queue_fd(const struct persist_queue *queue);
/* Operations accepted whose completion has not been taken. */
PERSIST_API size_t persist_queue_outstanding(struct persist_queue *queue);

/* What a completion is of. */
enum persist_operation {
    PERSIST_OP_SAVE = 1,      /* of persist_save_buffer_async and its like */
    PERSIST_OP_RESTORE = 2,   /* of persist_restore_buffer_async and its like */
    PERSIST_OP_SHOW = 3,      /* of persist_show_async */
    PERSIST_OP_VERIFY = 4,    /* of persist_verify_async */
    PERSIST_OP_EXISTS = 5,    /* of persist_exists_async */
    PERSIST_OP_DELETE = 6,    /* of persist_delete_async */
    PERSIST_OP_LIST = 7,      /* of persist_list_async */
    PERSIST_OP_SAVE_BATCH = 8 /* of persist_save_batch_async */
};

/* Rows of a listing, copied. */
struct persist_rows {
    /* In the order of the listing, entries->struct_size bytes apart. */
    const struct persist_entry *entries;
    size_t n_entries; /* rows */
};

/*
 * What became of one operation.  The caller allocates it (struct_size set);
 * what it points to is freed by persist_completion_finish.  A caller who keeps
 * metadata or data sets the member to NULL first and frees it as the blocking
 * call says.
 */
struct persist_completion {
    uint32_t struct_size;
    uint32_t operation;                /* enum persist_operation */
    int32_t status;                    /* PERSIST_OK or a code */
    int32_t exists;                    /* EXISTS: 1 or 0 */
    void *user;                        /* as submitted */
    struct persist_op *op;             /* as submitted */
    uint64_t index;                    /* DELETE: what was deleted */
    struct persist_metadata *metadata; /* SAVE RESTORE SHOW VERIFY, or NULL */
    void *data;                        /* RESTORE into memory */
    size_t data_len;                   /* bytes of data */
    struct persist_rows rows;          /* LIST */
    const struct persist_error *error; /* where status is not OK */
    void *reserved;                    /* the library's */
};
#define PERSIST_COMPLETION_INIT PERSIST_INIT_(struct persist_completion)

/* 1: *out is the next completion; 0: none came within timeout_ms (-1: for
 * ever, 0: do not wait), or none is outstanding; negative: an error. */
PERSIST_API int persist_queue_next(struct persist_queue *queue, int timeout_ms,
                                   struct persist_completion *out,
                                   struct persist_error *err);
/* Frees what the completion points to, not the struct itself. */
PERSIST_API void persist_completion_finish(struct persist_completion *c);

/* -------------------------------------------------------------- submitting */

/*
 * Submits persist_save_buffer.  This holds for all that follow: parameters mean
 * what they mean in the blocking call of that name (without _async); `user`
 * comes back in the completion.  options->op, where given, cancels and watches
 * this operation and must outlive its completion; options->timeout_ms counts
 * from here.  data stays the operation's until its completion is taken.
 * Codes: MISUSE, INVALID (options), MEMORY, FORKED, CANCELLED (the instance is
 * interrupted).  Everything else comes in the completion.
 */
PERSIST_API int persist_save_buffer_async(
    struct persist_store *store, const char *address, const void *data,
    size_t len, const struct persist_save_options *options,
    struct persist_queue *queue, void *user, struct persist_error *err);
/* Submits persist_save_file. */
PERSIST_API int persist_save_file_async(
    struct persist_store *store, const char *address, const char *path,
    const struct persist_save_options *options, struct persist_queue *queue,
    void *user, struct persist_error *err);
/* Submits persist_save_fd; fd stays open until the completion is taken. */
PERSIST_API int
persist_save_fd_async(struct persist_store *store, const char *address, int fd,
                      const struct persist_save_options *options,
                      struct persist_queue *queue, void *user,
                      struct persist_error *err);
/* Submits persist_save_batch.  The items, and all they point to, belong to
 * Persist until the completion has been taken; then each has its status.  The
 * completion's status is what persist_save_batch returns. */
PERSIST_API int persist_save_batch_async(
    struct persist_store *store, struct persist_batch_item *items,
    size_t n_items, const struct persist_batch_options *options,
    struct persist_queue *queue, void *user, struct persist_error *err);
/* Submits persist_restore_buffer; the payload comes in data of the completion.
 */
PERSIST_API int persist_restore_buffer_async(
    struct persist_store *store, const char *address, size_t max_len,
    const struct persist_restore_options *options, struct persist_queue *queue,
    void *user, struct persist_error *err);
/* Submits persist_restore_file. */
PERSIST_API int persist_restore_file_async(
    struct persist_store *store, const char *address, const char *path,
    const struct persist_restore_options *options, struct persist_queue *queue,
    void *user, struct persist_error *err);
/* Submits persist_restore_fd; fd stays open until the completion is taken. */
PERSIST_API int
persist_restore_fd_async(struct persist_store *store, const char *address,
                         int fd, const struct persist_restore_options *options,
                         struct persist_queue *queue, void *user,
                         struct persist_error *err);
/* Submits persist_show. */
PERSIST_API int persist_show_async(struct persist_store *store,
                                   const char *address,
                                   struct persist_queue *queue, void *user,
                                   struct persist_error *err);
/* Submits persist_verify. */
PERSIST_API int
persist_verify_async(struct persist_store *store, const char *address,
                     const struct persist_verify_options *options,
                     struct persist_queue *queue, void *user,
                     struct persist_error *err);
/* Submits persist_exists; the answer is exists of the completion. */
PERSIST_API int persist_exists_async(struct persist_store *store,
                                     const char *address,
                                     struct persist_queue *queue, void *user,
                                     struct persist_error *err);
/* Submits persist_delete; the index comes in the completion. */
PERSIST_API int
persist_delete_async(struct persist_store *store, const char *address,
                     const struct persist_delete_options *options,
                     struct persist_queue *queue, void *user,
                     struct persist_error *err);
/* Submits persist_list: the first options->limit rows (1 to 10,000; 0: 1,000)
 * come in rows of the completion.  MEMORY where they are more than
 * memory_limit, which LONG may make them. */
PERSIST_API int persist_list_async(struct persist_store *store,
                                   const char *address,
                                   const struct persist_list_options *options,
                                   struct persist_queue *queue, void *user,
                                   struct persist_error *err);

#ifdef __cplusplus
}
#endif

#endif /* PERSIST_ASYNC_H */
