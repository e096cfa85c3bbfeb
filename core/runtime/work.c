/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task with an end that can be waited for.
 */
#include "runtime/work.h"

#include "posix/os.h"

int work_init(struct work *w)
{
    int rc;

    *w = (struct work){.over = true};
    rc = pthread_mutex_init(&w->mutex, NULL);
    if (rc != 0)
        return -rc;
    rc = os_cond_init(&w->changed);
    if (rc != 0)
        pthread_mutex_destroy(&w->mutex);
    return -rc;
}

void work_finish(struct work *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
}

static void run_to_end(struct work *w)
{
    w->run(w);
    pthread_mutex_lock(&w->mutex);
    w->over = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static void run_task(struct task *t)
{
    run_to_end((struct work *)((char *)t - offsetof(struct work, task)));
}

void work_start(struct work *w, struct executor *ex,
                void (*run)(struct work *w))
{
    w->ex = ex;
    w->run = run;
    w->over = false; /* nobody else knows it yet */
    task_init(&w->task, run_task);
    if (!ex || executor_submit_first(ex, &w->task) != 0)
        run_to_end(w);
}

static void run_what_nobody_began(struct work *w)
{
    if (w->ex && executor_take_back(w->ex, &w->task))
        run_to_end(w);
}

bool work_wait_for(struct work *w, uint64_t ns)
{
    uint64_t end = os_monotonic_ns() + ns;
    bool over;
    int rc = 0;

    run_what_nobody_began(w);
    pthread_mutex_lock(&w->mutex);
    while (!w->over && rc == 0)
        rc = os_cond_wait_until(&w->changed, &w->mutex, end);
    over = w->over;
    pthread_mutex_unlock(&w->mutex);
    return over;
}

void work_wait(struct work *w)
{
    run_what_nobody_began(w);
    pthread_mutex_lock(&w->mutex);
    while (!w->over)
        pthread_cond_wait(&w->changed, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
}

bool work_is_over(struct work *w)
{
    bool over;

    pthread_mutex_lock(&w->mutex);
    over = w->over;
    pthread_mutex_unlock(&w->mutex);
    return over;
}
