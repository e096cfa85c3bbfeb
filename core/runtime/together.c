/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers are tasks that take the next call until there is none.  One that
 * finds none, because the others were faster, may come when the caller is long
 * gone: what they share lives until the last of them has left.
 */
#include "runtime/together.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    size_t n_over; /* under mutex */
    size_t n;
    atomic_size_t next;
    atomic_size_t refs;
    void (*each)(void *ctx, size_t i);
    void *ctx;
    struct helper {
        struct task task;
        struct shared *shared;
    } helpers[];
};

static void release(struct shared *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_cond_destroy(&s->over);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static void work(struct shared *s)
{
    size_t i, done = 0;

    while ((i = atomic_fetch_add(&s->next, 1)) < s->n) {
        s->each(s->ctx, i);
        done++;
    }
    pthread_mutex_lock(&s->mutex);
    s->n_over += done;
    if (done && s->n_over == s->n)
        pthread_cond_signal(&s->over);
    pthread_mutex_unlock(&s->mutex);
}

static void help(struct task *task)
{
    struct helper *h =
        (struct helper *)((char *)task - offsetof(struct helper, task));
    struct shared *s = h->shared;

    work(s);
    release(s);
}

static void send_for_help(struct shared *s, struct executor *ex, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->helpers[i].shared = s;
        task_init(&s->helpers[i].task, help);
        atomic_fetch_add(&s->refs, 1);
        if (executor_submit(ex, &s->helpers[i].task) == 0)
            continue;
        atomic_fetch_sub(&s->refs, 1);
        return;
    }
}

void together_run(struct executor *ex, size_t n,
                  void (*each)(void *ctx, size_t i), void *ctx)
{
    size_t limit = ex ? executor_limit(ex) : 0;
    size_t helpers = n > 1 ? n - 1 : 0;
    struct shared *s = NULL;

    helpers = helpers < limit ? helpers : limit;
    if (helpers)
        s = calloc(1, sizeof(*s) + helpers * sizeof(s->helpers[0]));
    if (!s) {
        for (size_t i = 0; i < n; i++)
            each(ctx, i);
        return;
    }
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->over, NULL);
    s->n = n;
    s->each = each;
    s->ctx = ctx;
    atomic_init(&s->refs, 1);
    send_for_help(s, ex, helpers);
    work(s);
    pthread_mutex_lock(&s->mutex);
    while (s->n_over < n)
        pthread_cond_wait(&s->over, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    release(s);
}
