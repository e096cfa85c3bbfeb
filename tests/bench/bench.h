/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmark programs share: sides that run in turn, each time in a
 * child of its own, so that CPU seconds and peak memory are those of one side
 * alone; medians; and how figures are told.
 *
 *     struct bench b;
 *     bench_init(&b, "small-saves", "4 KiB saves, 16 in flight", rounds);
 *     bench_side(&b, "persist_save_buffer", library, &ctx);
 *     bench_side(&b, "bare protocol", bare, &ctx);
 *     bench_run(&b);                          A B A B ...
 *     bench_tell(&b, "saves", n);             a table, and a line of JSON
 *
 * A side is a function that does its work once and returns the seconds that
 * count; setting up before and tidying after are not counted.  It gets the
 * number of the round, to choose a folder that nobody used: ext4 slows creation
 * for minutes after deletions nearby, so nothing is deleted between rounds.
 *
 * The first side is Persist; ratios are its speed over that of each other one,
 * pair by pair.  Where the environment names a file in BENCH_JSON, each
 * bench_tell appends one line to it.
 */
#ifndef PERSIST_BENCH_H
#define PERSIST_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/persist.h>

#define BENCH_ROUNDS_MAX 101
#define BENCH_SIDES_MAX 8

/* Does the work of one round; returns seconds. Fails by bench_fail. */
typedef double (*bench_fn)(void *ctx, unsigned round);

struct bench_figures {
    double wall_s; /* what the side returned */
    double cpu_s;  /* of its whole process */
    double rss_mib;
    double extra; /* what bench_note left, or 0 */
};

struct bench {
    const char *group;
    const char *question;
    unsigned rounds;
    unsigned n_sides;
    struct {
        const char *name;
        bench_fn run;
        void *ctx;
        struct bench_figures figures[BENCH_ROUNDS_MAX];
    } sides[BENCH_SIDES_MAX];
};

void bench_init(struct bench *b, const char *group, const char *question,
                unsigned rounds);
void bench_side(struct bench *b, const char *name, bench_fn run, void *ctx);
void bench_run(struct bench *b);
/* n units of work were done by each side in each round. */
void bench_tell(const struct bench *b, const char *unit, double n);
/* The median of what a side has noted. */
double bench_extra(const struct bench *b, unsigned side);
/* In a side: one more number, e.g. the longest wait; its median is told. */
void bench_note(double value);

double bench_now_s(void);
/* A number of the command line or of the environment; `fallback` without. */
unsigned bench_number(const char *text, unsigned fallback);
/* Prints what failed, with errno, and ends the process. */
void bench_fail(const char *what) __attribute__((noreturn));
void bench_fail_persist(const struct persist_error *err)
    __attribute__((noreturn));

/* len bytes that look a little like JSON, different for each seed. */
void bench_fill(void *out, size_t len, uint64_t seed);

/* An instance without configuration, and a local store in a folder that is
 * made; the backends are those in BENCH_BACKENDS. */
struct persist *bench_instance(uint64_t memory_limit);
struct persist_store *bench_store(struct persist *p, const char *folder);
/* folder/name-round, made; must not be there. */
void bench_folder(const char *folder, const char *name, unsigned round,
                  char out[4096]);

/* One thread after the other is let go when all are there; seconds until the
 * last has returned. */
double bench_threads(unsigned n, void *(*run)(void *ctx), void *const ctx[]);
/* In each thread of bench_threads, first. */
void bench_ready(void);

#endif
