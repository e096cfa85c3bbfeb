/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does a 4 KiB save through the library cost over the bare protocol?
 *
 * In turn, in one process: N saves of 4 KiB by persist_save_buffer, and N files
 * of the same bytes made durable by O_TMPFILE, write, fsync, linkat, fsync of
 * the directory. Every round uses new folders and deletes nothing (ext4 slows
 * down after deletions). Prints the medians of both per operation and the
 * ratio bare / library: 1.0 means that the library costs nothing.
 *
 * usage: bench_small_saves BACKEND-DIR FOLDER [ROUNDS [N]]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <persist/persist.h>

enum { PAYLOAD = 4096, MAX_ROUNDS = 101 };

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void fill(uint8_t *payload, uint32_t seed)
{
    static const char words[] = "{\"role\":\"assistant\",\"content\":\"";

    for (size_t i = 0; i < PAYLOAD; i++) {
        seed = seed * 1664525 + 1013904223;
        payload[i] = i % 64 < sizeof(words) - 1 ? (uint8_t)words[i % 64]
                                                : (uint8_t)('a' + (seed >> 27));
    }
}

static void bare_one(int dir, const uint8_t *payload, unsigned n)
{
    char name[32], proc[64];
    int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0)
        fail("O_TMPFILE");
    if (write(fd, payload, PAYLOAD) != PAYLOAD || fsync(fd) != 0)
        fail("write");
    snprintf(name, sizeof(name), "%u.snap", n);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    if (linkat(fd, "", dir, name, AT_EMPTY_PATH) != 0 &&
        linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) != 0)
        fail("linkat");
    if (close(fd) != 0 || fsync(dir) != 0)
        fail("fsync of the directory");
}

static double bare(const char *folder, unsigned round, unsigned n)
{
    char path[4096];
    uint8_t payload[PAYLOAD];
    double start;
    int dir;

    snprintf(path, sizeof(path), "%s/bare-%u", folder, round);
    if (mkdir(path, 0700) != 0)
        fail(path);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        fail(path);
    start = now_us();
    for (unsigned i = 0; i < n; i++) {
        fill(payload, round * n + i);
        bare_one(dir, payload, i);
    }
    start = now_us() - start;
    close(dir);
    return start / n;
}

static double library(struct persist_store *store, unsigned round, unsigned n)
{
    struct persist_error err;
    char address[64];
    uint8_t payload[PAYLOAD];
    double start;

    snprintf(address, sizeof(address), "bench/round-%u", round);
    start = now_us();
    for (unsigned i = 0; i < n; i++) {
        fill(payload, round * n + i);
        if (persist_save_buffer(store, address, payload, PAYLOAD, NULL, NULL,
                                &err)) {
            fprintf(stderr, "bench: %s\n", err.message);
            exit(1);
        }
    }
    return (now_us() - start) / n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof(*values), by_value);
    return values[n / 2];
}

static struct persist_store *
open_store(struct persist **out_p, const char *backends, const char *folder)
{
    const char *dirs[] = {backends};
    struct persist_options options = PERSIST_OPTIONS_INIT;
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err;
    char root[4096];

    options.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    options.backend_dirs = dirs;
    options.n_backend_dirs = 1;
    snprintf(root, sizeof(root), "%s/library", folder);
    if (mkdir(root, 0700) != 0)
        fail(root);
    if (persist_create(&options, out_p, &err) ||
        persist_store_builder_create(*out_p, "local", &b, &err)) {
        fprintf(stderr, "bench: %s\n", err.message);
        exit(1);
    }
    persist_store_builder_set(b, "root", root);
    if (persist_store_builder_build(b, &store, &err)) {
        fprintf(stderr, "bench: %s\n", err.message);
        exit(1);
    }
    return store;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 7;
    unsigned n = argc > 4 ? (unsigned)atoi(argv[4]) : 300;
    double a[MAX_ROUNDS], b[MAX_ROUNDS], r[MAX_ROUNDS];
    struct persist *p = NULL;
    struct persist_store *store;

    if (argc < 3 || rounds == 0 || rounds > MAX_ROUNDS || n == 0) {
        fprintf(stderr, "usage: %s BACKEND-DIR FOLDER [ROUNDS [N]]\n", argv[0]);
        return 2;
    }
    store = open_store(&p, argv[1], argv[2]);
    library(store, 1000000, 10);
    for (unsigned i = 0; i < rounds; i++) {
        a[i] = library(store, i, n);
        b[i] = bare(argv[2], i, n);
        r[i] = b[i] / a[i];
    }
    printf("4 KiB saves, one thread: library %.1f us, bare protocol %.1f us, "
           "bare / library %.3f (medians of %u rounds of %u)\n",
           median(a, rounds), median(b, rounds), median(r, rounds), rounds, n);
    persist_close(store);
    persist_destroy(p);
    return 0;
}
