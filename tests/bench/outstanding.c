/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 10,000 asynchronous saves of 4 KiB, all submitted before the first completion
 * is taken: how long does the submitter ever wait in a call, do all complete,
 * and in how much memory?
 *
 * Against the same number of saves by persist_save_buffer on 64 threads, which
 * is what a program without an event loop would do.
 *
 * usage: bench_outstanding FOLDER [ROUNDS [N]]
 * The extra figure is the longest submit of a round, in milliseconds.
 */
#include <pthread.h>
#include <stdlib.h>

#include <persist/async.h>

#include "bench.h"

#include <stdio.h>

enum { PAYLOAD = 4096, THREADS = 64 };

struct what {
    const char *folder;
    unsigned n;
};

/* One for all: what is measured is the library's memory, not ours. */
static char payload[PAYLOAD];

static void take_all(struct persist_queue *queue, unsigned n)
{
    struct persist_error err;

    for (unsigned i = 0; i < n; i++) {
        struct persist_completion done = PERSIST_COMPLETION_INIT;

        if (persist_queue_next(queue, -1, &done, &err) != 1 || done.status) {
            fprintf(stderr, "bench: save %u did not complete: %s\n", i,
                    done.error ? done.error->message : "no completion");
            exit(1);
        }
        persist_completion_finish(&done);
    }
}

static double submit_all(const struct what *what, struct persist_store *store,
                         struct persist_queue *queue)
{
    struct persist_error err;
    double longest = 0;

    for (unsigned i = 0; i < what->n; i++) {
        double start = bench_now_s();

        if (persist_save_buffer_async(store, "bench", payload, PAYLOAD, NULL,
                                      queue, NULL, &err))
            bench_fail_persist(&err);
        start = bench_now_s() - start;
        if (start > longest)
            longest = start;
    }
    return longest;
}

static double asynchronous(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct persist_queue *queue = NULL;
    struct persist_store *store;
    struct persist_error err;
    char folder[4096];
    double start;

    bench_folder(what->folder, "outstanding", round, folder);
    store = bench_store(p, folder);
    bench_fill(payload, PAYLOAD, round);
    if (persist_queue_create(p, &queue, &err))
        bench_fail_persist(&err);
    start = bench_now_s();
    bench_note(submit_all(what, store, queue) * 1e3);
    take_all(queue, what->n);
    start = bench_now_s() - start;
    persist_queue_destroy(queue);
    persist_close(store);
    persist_destroy(p);
    return start;
}

struct worker {
    const struct what *what;
    struct persist_store *store;
    unsigned number;
};

static void *save_share(void *ctx)
{
    const struct worker *w = ctx;
    struct persist_error err;

    bench_ready();
    for (unsigned i = w->number; i < w->what->n; i += THREADS)
        if (persist_save_buffer(w->store, "bench", payload, PAYLOAD, NULL, NULL,
                                &err))
            bench_fail_persist(&err);
    return NULL;
}

static double threads(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct worker workers[THREADS];
    void *all[THREADS];
    struct persist_store *store;
    char folder[4096];
    double s;

    bench_folder(what->folder, "threads", round, folder);
    store = bench_store(p, folder);
    bench_fill(payload, PAYLOAD, round);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){what, store, i};
        all[i] = &workers[i];
    }
    s = bench_threads(THREADS, save_share, all);
    persist_close(store);
    persist_destroy(p);
    return s;
}

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL};
    char question[200];
    struct bench b;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER [ROUNDS [N]]\n", argv[0]);
        return 2;
    }
    what.n = bench_number(argc > 3 ? argv[3] : NULL, 10000);
    snprintf(question, sizeof(question),
             "%u saves of 4 KiB outstanding, submitted by one thread", what.n);
    bench_init(&b, "outstanding", question,
               bench_number(argc > 2 ? argv[2] : NULL, 3));
    bench_side(&b, "asynchronous", asynchronous, &what);
    bench_side(&b, "64 threads", threads, &what);
    bench_run(&b);
    bench_tell(&b, "saves", what.n);
    printf("  longest submit %.3f ms (median of rounds)\n", bench_extra(&b, 0));
    return 0;
}
