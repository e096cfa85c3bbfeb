/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion queues: from a submitted job to exactly one completion.
 *
 * The descriptor is raised when the list of the done stops being empty and
 * cleared when it becomes so.  A job counts as an operation of its
 * store from its submission, so that persist_close waits for it.
 */
#include "engine/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/os.h"
#include "posix/wakeup.h"
#include "util/error.h"
#include "util/text.h"

#define LEAST ENGINE_SIZE_TO(struct persist_completion, reserved)

struct persist_queue {
    struct persist *p;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    struct job *running; /* under mutex, as all below */
    struct job *done;
    struct job **done_tail;
    size_t n_running;
    size_t n_done;
    struct wakeup ready;
    bool closing;
};

/* -------------------------------------------------------------------- queue
 */

int persist_queue_create(struct persist *p, struct persist_queue **out,
                         struct persist_error *err)
{
    struct persist_queue *q;
    int rc;

    rc = engine_check(p, err);
    if (rc)
        return rc;
    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    if (!executor_limit(p->io))
        return error_set(err, PERSIST_E_UNSUPPORTED,
                         "this build has no asynchronous calls "
                         "(PERSIST_ASYNC is off)");
    q = calloc(1, sizeof *q);
    if (!q)
        return error_memory(err);
    rc = wakeup_open(&q->ready);
    if (rc) {
        rc = error_errno(err, -rc, "cannot create a queue");
        free(q);
        return rc;
    }
    q->p = p;
    q->done_tail = &q->done;
    pthread_mutex_init(&q->mutex, NULL);
    os_cond_init(&q->moved);
    *out = q;
    return PERSIST_OK;
}

static struct job *pop_done(struct persist_queue *q)
{
    struct job *job = q->done;

    q->done = job->next;
    q->n_done--;
    if (!q->done) {
        q->done_tail = &q->done;
        wakeup_clear(&q->ready);
    }
    return job;
}

void persist_queue_destroy(struct persist_queue *q)
{
    if (!q || q->p->pid != getpid())
        return;
    pthread_mutex_lock(&q->mutex);
    q->closing = true;
    for (struct job *job = q->running; job; job = job->next)
        persist_op_cancel(job->op);
    while (q->n_running)
        pthread_cond_wait(&q->moved, &q->mutex);
    while (q->done)
        job_destroy(pop_done(q));
    pthread_mutex_unlock(&q->mutex);
    wakeup_close(&q->ready);
    pthread_cond_destroy(&q->moved);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

int persist_queue_fd(const struct persist_queue *q)
{
    return q ? q->ready.fd_read : -1;
}

size_t persist_queue_outstanding(struct persist_queue *q)
{
    size_t n;

    if (!q || q->p->pid != getpid())
        return 0;
    pthread_mutex_lock(&q->mutex);
    n = q->n_running + q->n_done;
    pthread_mutex_unlock(&q->mutex);
    return n;
}

/* Under the mutex: waits until something is done; NULL: nothing came. */
static struct job *wait_done(struct persist_queue *q, int timeout_ms)
{
    uint64_t timeout_ns = timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0;
    uint64_t until_ns = os_monotonic_ns() + timeout_ns;
    int rc = 0;

    while (!q->done && q->n_running && timeout_ms && rc != ETIMEDOUT)
        rc = timeout_ms < 0
                 ? pthread_cond_wait(&q->moved, &q->mutex)
                 : os_cond_wait_until(&q->moved, &q->mutex, until_ns);
    return q->done ? pop_done(q) : NULL;
}

int persist_queue_next(struct persist_queue *q, int timeout_ms,
                       struct persist_completion *out,
                       struct persist_error *err)
{
    struct job *job;

    if (!q || !out)
        return error_set(err, PERSIST_E_MISUSE, "the queue or out is NULL");
    if (!engine_is_sized(out, LEAST))
        return error_set(err, PERSIST_E_MISUSE,
                         "struct_size of the completion is not set: initialise "
                         "it with PERSIST_COMPLETION_INIT");
    if (q->p->pid != getpid())
        return engine_check(q->p, err);
    pthread_mutex_lock(&q->mutex);
    job = wait_done(q, timeout_ms);
    pthread_mutex_unlock(&q->mutex);
    if (!job)
        return 0;
    engine_give(out, &job->result, sizeof job->result);
    memset(&job->result, 0, sizeof job->result);
    job_destroy(job);
    return 1;
}

void persist_completion_finish(struct persist_completion *c)
{
    if (!c)
        return;
    persist_metadata_free(c->metadata);
    free(c->data);
    rows_free(c->reserved);
    free((void *)c->error);
    memset((char *)c + sizeof c->struct_size, 0, LEAST - sizeof c->struct_size);
}

/* ---------------------------------------------------------------------- job
 */

struct job *job_create(struct persist_store *store, const char *address,
                       struct persist_queue *queue, void *user,
                       struct persist_error *err)
{
    struct job *job;

    if (!store || !queue) {
        error_set(err, PERSIST_E_MISUSE, "the store or the queue is NULL");
        return NULL;
    }
    if (engine_check(store->p, err))
        return NULL;
    job = calloc(1, sizeof *job);
    if (!job) {
        error_memory(err);
        return NULL;
    }
    job->store = store;
    job->queue = queue;
    job->fd = -1;
    job->result.user = user;
    job->address = text_dup(address);
    if ((address && !job->address) || op_init(&job->own, &store->p->cancel)) {
        free(job->address);
        free(job);
        error_memory(err);
        return NULL;
    }
    return job;
}

void job_destroy(struct job *job)
{
    if (!job)
        return;
    persist_completion_finish(&job->result);
    for (size_t i = 0; i < job->n_texts; i++)
        free(job->texts[i]);
    free(job->texts);
    free(job->labels);
    free(job->address);
    free(job->path);
    op_finish(&job->own);
    free(job);
}

static void leave_store(struct persist_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->n_running--;
    if (!store->n_running)
        pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->mutex);
}

/* Under the queue's mutex. */
static void leave_running(struct job *job)
{
    struct persist_queue *q = job->queue;

    if (job->prev)
        job->prev->next = job->next;
    else
        q->running = job->next;
    if (job->next)
        job->next->prev = job->prev;
    job->next = NULL;
    q->n_running--;
}

/* The last thing that happens to a job before its completion is taken. */
static void job_end(struct job *job)
{
    struct persist_queue *q = job->queue;

    leave_store(job->store);
    pthread_mutex_lock(&q->mutex);
    leave_running(job);
    q->n_done++;
    if (!q->done)
        wakeup_raise(&q->ready);
    *q->done_tail = job;
    q->done_tail = &job->next;
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->mutex);
}

/* What is left of the caller's timeout; false: nothing. */
static bool adjust_timeout(struct job *job)
{
    uint64_t waited_ms =
        (clock_boot_ns(job->store->p->clock) - job->submitted_ns) / 1000000;

    if (!job->timeout_ms || !*job->timeout_ms)
        return true;
    if (waited_ms >= *job->timeout_ms)
        return false;
    *job->timeout_ms -= waited_ms;
    return true;
}

static void run(struct task *task)
{
    struct job *job = (struct job *)((char *)task - offsetof(struct job, task));
    struct persist_error err = {0};
    struct persist_error *kept;

    if (adjust_timeout(job)) {
        engine_act_for_caller(true);
        job->body(job, &err);
        engine_act_for_caller(false);
    } else {
        job->result.status = error_set(&err, PERSIST_E_TIMEOUT,
                                       "the deadline passed before it began");
    }
    if (job->result.status != PERSIST_OK) {
        kept = malloc(sizeof *kept);
        if (kept)
            *kept = err;
        job->result.error = kept;
    }
    job_end(job);
}

static void enter_running(struct job *job)
{
    struct persist_queue *q = job->queue;

    pthread_mutex_lock(&job->store->mutex);
    job->store->n_running++;
    pthread_mutex_unlock(&job->store->mutex);
    pthread_mutex_lock(&q->mutex);
    job->next = q->running;
    if (job->next)
        job->next->prev = job;
    q->running = job;
    q->n_running++;
    pthread_mutex_unlock(&q->mutex);
}

static int job_start(struct job *job, struct persist_error *err)
{
    struct persist_queue *q = job->queue;
    struct persist *p = job->store->p;
    int rc = PERSIST_E_CANCELLED;

    enter_running(job);
    if (!cancel_is_set(&p->cancel))
        rc = executor_submit(p->io, &job->task);
    if (!rc)
        return PERSIST_OK;
    leave_store(job->store);
    pthread_mutex_lock(&q->mutex);
    leave_running(job);
    pthread_cond_broadcast(&q->moved);
    pthread_mutex_unlock(&q->mutex);
    job_destroy(job);
    return error_set(err, rc,
                     rc == PERSIST_E_CANCELLED ? "cancelled"
                                               : "no thread could be started");
}

int job_submit(struct job *job, int rc, struct persist_op **op,
               enum persist_operation operation,
               void (*body)(struct job *job, struct persist_error *err),
               struct persist_error *err)
{
    struct persist_op *callers = op ? *op : NULL;

    if (rc) {
        job_destroy(job);
        return rc;
    }
    job->op = callers ? callers : &job->own;
    if (op)
        *op = job->op;
    job->operation = operation;
    job->body = body;
    job->result.op = callers;
    job->result.operation = (uint32_t)operation;
    job->submitted_ns = clock_boot_ns(job->store->p->clock);
    task_init(&job->task, run);
    return job_start(job, err);
}
