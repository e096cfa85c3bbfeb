/* SPDX-License-Identifier: Apache-2.0 */
/* See bench.h. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

void bench_fail_persist(const struct persist_error *err)
{
    fprintf(stderr, "bench: %s (%s)\n", err->message, err->object);
    exit(1);
}

double bench_now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

unsigned bench_number(const char *text, unsigned fallback)
{
    char *end;
    unsigned long n = text ? strtoul(text, &end, 10) : fallback;

    if (text && (*end != '\0' || end == text || n > 100000000)) {
        fprintf(stderr, "bench: not a number: %s\n", text);
        exit(2);
    }
    return (unsigned)n;
}

/* -------------------------------------------------------------------- sides
 */

static double noted;

void bench_note(double value)
{
    noted = value;
}

void bench_init(struct bench *b, const char *group, const char *question,
                unsigned rounds)
{
    memset(b, 0, sizeof(*b));
    b->group = group;
    b->question = question;
    b->rounds = rounds < 1                  ? 1
                : rounds > BENCH_ROUNDS_MAX ? BENCH_ROUNDS_MAX
                                            : rounds;
}

void bench_side(struct bench *b, const char *name, bench_fn run, void *ctx)
{
    if (b->n_sides == BENCH_SIDES_MAX)
        abort();
    b->sides[b->n_sides].name = name;
    b->sides[b->n_sides].run = run;
    b->sides[b->n_sides++].ctx = ctx;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct bench_figures run_once(bench_fn run, void *ctx, unsigned round)
{
    struct bench_figures f = {0};
    double answer[2] = {0};
    struct rusage usage;
    int fds[2], status;
    pid_t pid;

    fflush(stdout);
    if (pipe(fds) != 0)
        bench_fail("pipe");
    pid = fork();
    if (pid < 0)
        bench_fail("fork");
    if (pid == 0) {
        answer[0] = run(ctx, round);
        answer[1] = noted;
        if (write(fds[1], answer, sizeof(answer)) != (ssize_t)sizeof(answer))
            _exit(1);
        _exit(0);
    }
    close(fds[1]);
    if (read(fds[0], answer, sizeof(answer)) != (ssize_t)sizeof(answer) ||
        wait4(pid, &status, 0, &usage) != pid || status != 0) {
        fprintf(stderr, "bench: a side has failed\n");
        exit(1);
    }
    close(fds[0]);
    f.wall_s = answer[0];
    f.extra = answer[1];
    f.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    f.rss_mib = (double)usage.ru_maxrss / 1024;
    return f;
}

void bench_run(struct bench *b)
{
    for (unsigned round = 0; round < b->rounds; round++)
        for (unsigned k = 0; k < b->n_sides; k++) {
            /* Who goes first changes, and with it who finds what. */
            unsigned i = round % 2 ? b->n_sides - 1 - k : k;

            b->sides[i].figures[round] =
                run_once(b->sides[i].run, b->sides[i].ctx, round);
        }
}

/* ----------------------------------------------------------------- telling
 */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Of one member of the figures of a side. */
static double median_of(const struct bench *b, unsigned side, size_t member)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < b->rounds; i++)
        memcpy(&values[i], (const char *)&b->sides[side].figures[i] + member,
               sizeof(double));
    qsort(values, b->rounds, sizeof(double), by_value);
    return values[b->rounds / 2];
}

static double ratio_to(const struct bench *b, unsigned side)
{
    double values[BENCH_ROUNDS_MAX];

    for (unsigned i = 0; i < b->rounds; i++)
        values[i] =
            b->sides[side].figures[i].wall_s / b->sides[0].figures[i].wall_s;
    qsort(values, b->rounds, sizeof(double), by_value);
    return values[b->rounds / 2];
}

#define MEDIAN(b, side, member)                                                \
    median_of(b, side, offsetof(struct bench_figures, member))

double bench_extra(const struct bench *b, unsigned side)
{
    return MEDIAN(b, side, extra);
}

static void tell_json(const struct bench *b, const char *unit, double n)
{
    const char *path = getenv("BENCH_JSON");
    FILE *f = path ? fopen(path, "ae") : NULL;

    if (!f)
        return;
    fprintf(f, "{\"group\":\"%s\",\"question\":\"%s\",\"unit\":\"%s\",",
            b->group, b->question, unit);
    fprintf(f, "\"n\":%.17g,\"rounds\":%u,\"sides\":[", n, b->rounds);
    for (unsigned i = 0; i < b->n_sides; i++)
        fprintf(f,
                "%s{\"name\":\"%s\",\"wall_s\":%.6f,\"cpu_s\":%.6f,"
                "\"rss_mib\":%.1f,\"extra\":%.6f,\"speed_ratio\":%.4f}",
                i ? "," : "", b->sides[i].name, MEDIAN(b, i, wall_s),
                MEDIAN(b, i, cpu_s), MEDIAN(b, i, rss_mib), MEDIAN(b, i, extra),
                ratio_to(b, i));
    fprintf(f, "]}\n");
    fclose(f);
}

void bench_tell(const struct bench *b, const char *unit, double n)
{
    printf("%s (medians of %u)\n", b->question, b->rounds);
    for (unsigned i = 0; i < b->n_sides; i++) {
        double wall_s = MEDIAN(b, i, wall_s);

        printf("  %-24s %10.4f s %12.1f %s/s  CPU %8.4f s  peak %7.1f MiB",
               b->sides[i].name, wall_s, n / wall_s, unit, MEDIAN(b, i, cpu_s),
               MEDIAN(b, i, rss_mib));
        if (i > 0)
            printf("  persist is %.3f x as fast", ratio_to(b, i));
        printf("\n");
    }
    fflush(stdout);
    tell_json(b, unit, n);
}

/* ---------------------------------------------------------------- material
 */

void bench_fill(void *out, size_t len, uint64_t seed)
{
    static const char words[] = "{\"role\":\"assistant\",\"content\":\"";
    char *to = out;

    seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        to[i] = i % 64 < sizeof(words) - 1 ? words[i % 64]
                                           : (char)('a' + (seed >> 60));
    }
}

struct persist *bench_instance(uint64_t memory_limit)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    const char *dirs[] = {getenv("BENCH_BACKENDS")};
    struct persist *p = NULL;
    struct persist_error err;

    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.backend_dirs = dirs;
    o.n_backend_dirs = dirs[0] ? 1 : 0;
    o.memory_limit = memory_limit;
    if (persist_create(&o, &p, &err))
        bench_fail_persist(&err);
    return p;
}

struct persist_store *bench_store(struct persist *p, const char *folder)
{
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err;

    if (persist_store_builder_create(p, "local", &b, &err))
        bench_fail_persist(&err);
    persist_store_builder_set(b, "root", folder);
    if (persist_store_builder_build(b, &store, &err))
        bench_fail_persist(&err);
    return store;
}

void bench_folder(const char *folder, const char *name, unsigned round,
                  char out[4096])
{
    char base[4096];

    if (!realpath(folder, base))
        bench_fail(folder);
    if (snprintf(out, 4096, "%s/%s-%u", base, name, round) >= 4096 ||
        mkdir(out, 0700) != 0)
        bench_fail(out);
}

/* ----------------------------------------------------------------- threads
 */

static pthread_barrier_t barrier;

void bench_ready(void)
{
    pthread_barrier_wait(&barrier);
}

double bench_threads(unsigned n, void *(*run)(void *ctx), void *const ctx[])
{
    pthread_t *threads = calloc(n, sizeof(*threads));
    double start;

    if (!threads || pthread_barrier_init(&barrier, NULL, n + 1) != 0)
        bench_fail("threads");
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, run, ctx[i]) != 0)
            bench_fail("a thread");
    bench_ready();
    start = bench_now_s();
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    start = bench_now_s() - start;
    pthread_barrier_destroy(&barrier);
    free(threads);
    return start;
}
