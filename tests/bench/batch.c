/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does a batch of 4 KiB snapshots save over saving them one by one?
 *
 * persist_save_batch on one thread, against the bare protocol (bare.h) on one
 * thread.
 *
 * usage: bench_batch FOLDER [ROUNDS [BATCHES [SIZE]]]
 */
#include <stdlib.h>

#include "bare.h"

enum { PAYLOAD = 4096, SIZE_MAX_BATCH = 1024 };

struct what {
    const char *folder;
    unsigned batches, size;
};

static char payloads[SIZE_MAX_BATCH][PAYLOAD];

static void fill_all(const struct what *what, unsigned round, unsigned batch)
{
    for (unsigned i = 0; i < what->size; i++)
        bench_fill(payloads[i], PAYLOAD,
                   ((uint64_t)round << 40) + ((uint64_t)batch << 20) + i);
}

static void save_batch(const struct what *what, struct persist_store *store)
{
    static struct persist_batch_item items[SIZE_MAX_BATCH];
    struct persist_error err;

    for (unsigned i = 0; i < what->size; i++) {
        items[i] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
        items[i].address = "bench";
        items[i].data = payloads[i];
        items[i].len = PAYLOAD;
    }
    if (persist_save_batch(store, items, what->size, NULL, &err))
        bench_fail_persist(&err);
    persist_batch_finish(items, what->size);
}

static double library(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct persist_store *store;
    struct persist_error err;
    char folder[4096];
    double s = 0;

    bench_folder(what->folder, "batch", round, folder);
    store = bench_store(p, folder);
    if (persist_save_buffer(store, "bench", "warm", 4, NULL, NULL, &err))
        bench_fail_persist(&err);
    for (unsigned k = 0; k < what->batches; k++) {
        double start;

        fill_all(what, round, k);
        start = bench_now_s();
        save_batch(what, store);
        s += bench_now_s() - start;
    }
    persist_close(store);
    persist_destroy(p);
    return s;
}

static double bare(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    char folder[4096], name[64];
    double s = 0;
    int dir;

    bench_folder(what->folder, "batch-bare", round, folder);
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        bench_fail(folder);
    bare_save(dir, "warm", "warm", 4);
    for (unsigned k = 0; k < what->batches; k++) {
        double start;

        fill_all(what, round, k);
        start = bench_now_s();
        for (unsigned i = 0; i < what->size; i++) {
            snprintf(name, sizeof(name), "%u-%u.snap", k, i);
            bare_save(dir, name, payloads[i], PAYLOAD);
        }
        s += bench_now_s() - start;
    }
    return s;
}

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL};
    char question[200];
    struct bench b;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER [ROUNDS [BATCHES [SIZE]]]\n",
                argv[0]);
        return 2;
    }
    what.batches = bench_number(argc > 3 ? argv[3] : NULL, 4);
    what.size = bench_number(argc > 4 ? argv[4] : NULL, 64);
    if (what.size < 1 || what.size > SIZE_MAX_BATCH || what.batches < 1)
        return 2;
    snprintf(question, sizeof(question),
             "batches of %u x 4 KiB, against one by one", what.size);
    bench_init(&b, "batch", question,
               bench_number(argc > 2 ? argv[2] : NULL, 5));
    bench_side(&b, "persist_save_batch", library, &what);
    bench_side(&b, "bare protocol", bare, &what);
    bench_run(&b);
    bench_tell(&b, "snapshots", (double)what.batches * what.size);
    return 0;
}
