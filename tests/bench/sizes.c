/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How does the speed of a save grow with the payload?
 *
 * persist_save_buffer of payloads of one size, one after the other, against the
 * bare protocol (bare.h) with the same bytes uncompressed.
 *
 * usage: bench_sizes FOLDER KIB [ROUNDS [N]]
 */
#include <stdlib.h>

#include "bare.h"

struct what {
    const char *folder;
    unsigned n;
    size_t len;
    char *payload;
};

static double library(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct persist_store *store;
    struct persist_error err;
    char folder[4096];
    double start;

    bench_folder(what->folder, "size", round, folder);
    store = bench_store(p, folder);
    if (persist_save_buffer(store, "bench", "warm", 4, NULL, NULL, &err))
        bench_fail_persist(&err);
    start = bench_now_s();
    for (unsigned i = 0; i < what->n; i++)
        if (persist_save_buffer(store, "bench", what->payload, what->len, NULL,
                                NULL, &err))
            bench_fail_persist(&err);
    start = bench_now_s() - start;
    persist_close(store);
    persist_destroy(p);
    return start;
}

static double bare(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    char folder[4096], name[64];
    double start;
    int dir;

    bench_folder(what->folder, "size-bare", round, folder);
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        bench_fail(folder);
    bare_save(dir, "warm", "warm", 4);
    start = bench_now_s();
    for (unsigned i = 0; i < what->n; i++) {
        snprintf(name, sizeof(name), "%u.snap", i);
        bare_save(dir, name, what->payload, what->len);
    }
    return bench_now_s() - start;
}

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL};
    char question[200];
    unsigned kib;
    struct bench b;

    if (argc < 3) {
        fprintf(stderr, "usage: %s FOLDER KIB [ROUNDS [N]]\n", argv[0]);
        return 2;
    }
    kib = bench_number(argv[2], 4);
    what.n = bench_number(argc > 4 ? argv[4] : NULL, 10);
    what.len = (size_t)kib << 10;
    what.payload = malloc(what.len ? what.len : 1);
    if (!what.payload)
        bench_fail("memory");
    bench_fill(what.payload, what.len, kib);
    snprintf(question, sizeof(question), "saves of %u KiB, one by one", kib);
    bench_init(&b, "sizes", question,
               bench_number(argc > 3 ? argv[3] : NULL, 5));
    bench_side(&b, "persist_save_buffer", library, &what);
    bench_side(&b, "bare protocol", bare, &what);
    bench_run(&b);
    bench_tell(&b, "KiB", (double)kib * what.n);
    return 0;
}
