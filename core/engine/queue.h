/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A completion queue and the jobs it is made for.
 *
 *      submit ──▶ running ──(I/O executor: body)──▶ done ──▶ persist_queue_next
 *                 job_start                         job_end
 *
 * A job holds copies of everything it was submitted with; its result is moved
 * into the caller's completion.  queue.c knows nothing of operations, async.c
 * nothing of waiting.
 */
#ifndef PERSIST_ENGINE_QUEUE_H
#define PERSIST_ENGINE_QUEUE_H

#include <persist/async.h>

#include "engine/instance.h"
#include "runtime/executor.h"

struct job {
    struct task task;
    struct job *next; /* in running or done; under the queue's mutex */
    struct job *prev; /* in running */
    struct persist_queue *queue;
    struct persist_store *store;
    struct persist_op own; /* serves where the caller gave none */
    struct persist_op *op;
    uint64_t submitted_ns;

    enum persist_operation operation;
    void (*body)(struct job *job, struct persist_error *err);
    char *address;
    char *path;
    const void *in;
    struct persist_batch_item *items; /* the caller's; len of them */
    size_t len;
    int fd;
    union {
        struct persist_save_options save;
        struct persist_batch_options batch;
        struct persist_restore_options restore;
        struct persist_verify_options verify;
        struct persist_delete_options remove;
        struct persist_list_options list;
    } o;
    uint64_t *timeout_ms; /* in o, or NULL */
    char **texts;         /* the options' texts, copied */
    size_t n_texts;
    struct persist_label *labels;

    struct persist_completion result;
};

/* A job for a queue, with an op; NULL after a failure, with err set. */
struct job *job_create(struct persist_store *store, const char *address,
                       struct persist_queue *queue, void *user,
                       struct persist_error *err);
/* Frees a job that is in no list, and its result. */
void job_destroy(struct job *job);
/*
 * The end of every submission.  rc not OK: the job is destroyed, rc returned.
 * Else it is handed to the executor and ends in the queue; where that fails it
 * is destroyed too.  op: the member of its copied options (NULL: none), which
 * becomes the job's own where the caller gave none.
 */
int job_submit(struct job *job, int rc, struct persist_op **op,
               enum persist_operation operation,
               void (*body)(struct job *job, struct persist_error *err),
               struct persist_error *err);

/* What a listing's completion holds on to. */
struct rows {
    size_t n;
    struct persist_entry entries[];
};
void rows_free(struct rows *rows); /* NULL is fine */

#endif
