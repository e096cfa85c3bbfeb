/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executors: where tasks run that are not the caller's own thread.
 *
 * There are two in an instance (architecture, decision 1).  CPU tasks compute
 * and never block.  I/O tasks run plugin ops and may block; their executor
 * grows up to its limit while tasks wait and shrinks when threads idle.  All
 * signals are blocked in every thread.  Threads start with the first task that
 * needs them; where none can be started at all, submit says so and the caller
 * runs the task itself.
 *
 *     task_init(&t, run);              the task's storage is the submitter's
 *     executor_submit(ex, &t);         run(&t) on some thread, once
 *
 * A task may submit further tasks and must not wait for a task of its own
 * executor, but for one it takes back where no thread has begun it (work.h).
 * executor_destroy runs what is queued, then joins.
 *
 * Built without PERSIST_ASYNC there are no threads: executor_submit always
 * refuses.
 */
#ifndef PERSIST_RUNTIME_EXECUTOR_H
#define PERSIST_RUNTIME_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>

struct task {
    struct task *next; /* the executor's, as all but run */
    struct task *prev;
    bool queued;
    void (*run)(struct task *task);
};

static inline void task_init(struct task *t, void (*run)(struct task *task))
{
    *t = (struct task){.run = run};
}

struct executor;

/* max_threads: at least 1.  idle_ms: how long a thread without work stays (0:
 * for ever).  NULL: memory. */
struct executor *executor_create(const char *name, unsigned max_threads,
                                 unsigned idle_ms);
/* No submit may come any more.  NULL is fine. */
void executor_destroy(struct executor *ex);

/* 0; PERSIST_E_UNSUPPORTED in a build without threads; PERSIST_E_MEMORY where
 * no thread could be started and none is there.  Never blocks but for a short
 * lock. */
int executor_submit(struct executor *ex, struct task *task);
/* The same, before all that is queued: a piece of an operation under way, which
 * holds memory, goes before operations that have not begun. */
int executor_submit_first(struct executor *ex, struct task *task);

/* Takes a submitted task back: true where no thread had begun it, and then none
 * will.  The task is one of ex, or never submitted, or over. */
bool executor_take_back(struct executor *ex, struct task *task);

/* The most threads there may be; 0 in a build without threads. */
unsigned executor_limit(const struct executor *ex);

/* Tasks waiting for a thread, and threads there are. */
size_t executor_queued(struct executor *ex);
size_t executor_threads(struct executor *ex);

/* True on a thread of any executor of this process. */
bool executor_is_own_thread(void);

#endif
