/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock, one queue, threads on demand.  A thread is started when a task is
 * queued and no idle thread is there to take it; that keeps the number of
 * threads at the number of tasks that really run at once.  It does not steal,
 * order by priority or pin: the tasks are long (a frame, a request) and one
 * lock costs nothing beside them.
 */
#include "runtime/executor.h"

#include <persist/error.h>
#include <stdlib.h>

#ifdef PERSIST_ASYNC

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "posix/os.h"

struct executor {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a task was queued, or stopping */
    pthread_cond_t gone; /* a thread has left */
    struct task *head;   /* under mutex, as all below */
    struct task *tail;
    size_t n_queued;
    unsigned n_threads;
    unsigned n_idle; /* waiting, and not yet promised a task */
    unsigned max_threads;
    unsigned idle_ms;
    bool stopping;
    bool has_left; /* `left` is a thread that ended, not yet joined */
    pthread_t left;
    char name[16]; /* the kernel's limit */
};

static _Thread_local bool own_thread;

/* Under the mutex, as the two below: task goes behind `before` (NULL: first).
 */
static void insert(struct executor *ex, struct task *task, struct task *before)
{
    task->prev = before;
    task->next = before ? before->next : ex->head;
    if (task->next)
        task->next->prev = task;
    else
        ex->tail = task;
    if (before)
        before->next = task;
    else
        ex->head = task;
    task->queued = true;
    ex->n_queued++;
}

static void unlink_task(struct executor *ex, struct task *task)
{
    if (task->prev)
        task->prev->next = task->next;
    else
        ex->head = task->next;
    if (task->next)
        task->next->prev = task->prev;
    else
        ex->tail = task->prev;
    task->next = task->prev = NULL;
    task->queued = false;
    ex->n_queued--;
}

static struct task *take(struct executor *ex)
{
    struct task *t = ex->head;

    unlink_task(ex, t);
    return t;
}

/* Waits for a task under the mutex; false: leave. */
static bool wait_for_work(struct executor *ex)
{
    uint64_t until_ns = os_monotonic_ns() + (uint64_t)ex->idle_ms * 1000000;
    int rc = 0;

    ex->n_idle++;
    while (!ex->head && !ex->stopping && rc != ETIMEDOUT)
        rc = ex->idle_ms ? os_cond_wait_until(&ex->work, &ex->mutex, until_ns)
                         : pthread_cond_wait(&ex->work, &ex->mutex);
    ex->n_idle--;
    return ex->head != NULL;
}

/* The last thing a thread does.  Threads are joined, not detached, so that
 * nothing of ours runs once destroy has returned: each that leaves joins the
 * one that left before it. */
static void leave(struct executor *ex)
{
    pthread_t before = ex->left;
    bool has_before = ex->has_left;

    ex->left = pthread_self();
    ex->has_left = true;
    ex->n_threads--;
    pthread_cond_broadcast(&ex->gone);
    pthread_mutex_unlock(&ex->mutex);
    if (has_before)
        pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
    struct executor *ex = arg;

    own_thread = true;
    os_name_thread(ex->name);
    pthread_mutex_lock(&ex->mutex);
    while (ex->head || wait_for_work(ex)) {
        struct task *t = take(ex);

        pthread_mutex_unlock(&ex->mutex);
        t->run(t); /* the task's storage may be gone when it returns */
        pthread_mutex_lock(&ex->mutex);
    }
    leave(ex);
    return NULL;
}

/* Under the mutex.  The new thread inherits a mask with every signal blocked.
 */
static int start_thread(struct executor *ex)
{
    sigset_t all, before;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, NULL, thread_main, ex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return PERSIST_E_MEMORY;
    ex->n_threads++;
    return PERSIST_OK;
}

struct executor *executor_create(const char *name, unsigned max_threads,
                                 unsigned idle_ms)
{
    struct executor *ex = calloc(1, sizeof(*ex));

    if (!ex)
        return NULL;
    pthread_mutex_init(&ex->mutex, NULL);
    os_cond_init(&ex->work);
    os_cond_init(&ex->gone);
    ex->max_threads = max_threads;
    ex->idle_ms = idle_ms;
    snprintf(ex->name, sizeof(ex->name), "persist-%s", name);
    return ex;
}

static int submit(struct executor *ex, struct task *task, bool first)
{
    int rc = PERSIST_OK;

    pthread_mutex_lock(&ex->mutex);
    if (ex->n_queued >= ex->n_idle && ex->n_threads < ex->max_threads)
        rc = start_thread(ex);
    if (rc == PERSIST_OK || ex->n_threads > 0) {
        rc = PERSIST_OK; /* a thread that is there gets to it */
        insert(ex, task, first ? NULL : ex->tail);
        pthread_cond_signal(&ex->work);
    }
    pthread_mutex_unlock(&ex->mutex);
    return rc;
}

int executor_submit(struct executor *ex, struct task *task)
{
    return submit(ex, task, false);
}

int executor_submit_first(struct executor *ex, struct task *task)
{
    return submit(ex, task, true);
}

bool executor_take_back(struct executor *ex, struct task *task)
{
    bool taken;

    pthread_mutex_lock(&ex->mutex);
    taken = task->queued;
    if (taken)
        unlink_task(ex, task);
    pthread_mutex_unlock(&ex->mutex);
    return taken;
}

void executor_destroy(struct executor *ex)
{
    if (!ex)
        return;
    pthread_mutex_lock(&ex->mutex);
    ex->stopping = true;
    pthread_cond_broadcast(&ex->work);
    while (ex->n_threads > 0)
        pthread_cond_wait(&ex->gone, &ex->mutex);
    pthread_mutex_unlock(&ex->mutex);
    if (ex->has_left)
        pthread_join(ex->left, NULL);
    pthread_cond_destroy(&ex->gone);
    pthread_cond_destroy(&ex->work);
    pthread_mutex_destroy(&ex->mutex);
    free(ex);
}

unsigned executor_limit(const struct executor *ex)
{
    return ex->max_threads;
}

size_t executor_queued(struct executor *ex)
{
    size_t n;

    pthread_mutex_lock(&ex->mutex);
    n = ex->n_queued;
    pthread_mutex_unlock(&ex->mutex);
    return n;
}

size_t executor_threads(struct executor *ex)
{
    size_t n;

    pthread_mutex_lock(&ex->mutex);
    n = ex->n_threads;
    pthread_mutex_unlock(&ex->mutex);
    return n;
}

bool executor_is_own_thread(void)
{
    return own_thread;
}

#else /* !PERSIST_ASYNC: no threads; callers run tasks themselves */

struct executor {
    char unused;
};

struct executor *executor_create(const char *name, unsigned max_threads,
                                 unsigned idle_ms)
{
    (void)name;
    (void)max_threads;
    (void)idle_ms;
    return calloc(1, sizeof(struct executor));
}

void executor_destroy(struct executor *ex)
{
    free(ex);
}

int executor_submit(struct executor *ex, struct task *task)
{
    (void)ex;
    (void)task;
    return PERSIST_E_UNSUPPORTED;
}

int executor_submit_first(struct executor *ex, struct task *task)
{
    return executor_submit(ex, task);
}

bool executor_take_back(struct executor *ex, struct task *task)
{
    (void)ex;
    (void)task;
    return false;
}

unsigned executor_limit(const struct executor *ex)
{
    (void)ex;
    return 0;
}

size_t executor_queued(struct executor *ex)
{
    (void)ex;
    return 0;
}

size_t executor_threads(struct executor *ex)
{
    (void)ex;
    return 0;
}

bool executor_is_own_thread(void)
{
    return false;
}

#endif
