/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long does a large save take to stop when it is told to?
 *
 * A save of 10 GiB from a source that never runs dry, cancelled from another
 * thread once so many MiB have gone in; the seconds from persist_op_cancel to
 * the return of the save.  Afterwards the store must hold no snapshot and no
 * leftover.  Against dd from a pipe into a file, killed at the same point and
 * waited for.
 *
 * usage: bench_cancel FOLDER [ROUNDS [MIB]]
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SIZE (UINT64_C(10) << 30)

struct what {
    const char *folder;
    unsigned mib;
};

/* ---------------------------------------------------------------- the save
 */

static int read_noise(void *ctx, void *out, size_t cap, size_t *out_len,
                      struct persist_error *err)
{
    uint64_t *state = ctx, x = *state;
    size_t len = cap < 65536 ? cap : 65536, at = 0;

    (void)err;
    for (; at + 8 <= len; at += 8) { /* xorshift: does not compress */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy((char *)out + at, &x, 8);
    }
    memset((char *)out + at, 0, len - at);
    *state = x;
    *out_len = len;
    return PERSIST_OK;
}

struct stopper {
    struct persist_op *op;
    uint64_t at;
    double cancelled_s;
    atomic_bool over; /* the save has ended by itself */
};

static void *stop_at(void *ctx)
{
    struct stopper *s = ctx;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    const struct timespec pause = {0, 1000000};

    while (progress.payload_bytes < s->at && !atomic_load(&s->over)) {
        nanosleep(&pause, NULL);
        persist_op_progress(s->op, &progress);
    }
    s->cancelled_s = bench_now_s();
    persist_op_cancel(s->op);
    return NULL;
}

/* Files below a folder that are neither marks of Persist (a claim given up is
 * a tombstone of 192 bytes) nor folders. */
static unsigned count_rest(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    unsigned n = 0;

    if (!dir)
        bench_fail(folder);
    while ((e = readdir(dir))) {
        char path[4600];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%.4000s/%s", folder, e->d_name);
        if (lstat(path, &st) != 0)
            bench_fail(path);
        n += S_ISDIR(st.st_mode) ? count_rest(path) : st.st_size != 192;
    }
    closedir(dir);
    return n;
}

static double library(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_source source = PERSIST_SOURCE_INIT;
    struct stopper stopper = {.at = (uint64_t)what->mib << 20};
    uint64_t state = 88172645463325252 + round;
    struct persist_store *store;
    struct persist_error err;
    char folder[4096];
    pthread_t thread;
    double end;
    int rc;

    bench_folder(what->folder, "cancel", round, folder);
    store = bench_store(p, folder);
    if (persist_op_create(p, &stopper.op, &err))
        bench_fail_persist(&err);
    source.flags = PERSIST_SOURCE_SIZE;
    source.size = SIZE;
    source.read = read_noise;
    source.ctx = &state;
    o.op = stopper.op;
    if (pthread_create(&thread, NULL, stop_at, &stopper) != 0)
        bench_fail("a thread");
    rc = persist_save(store, "bench", &source, &o, NULL, &err);
    end = bench_now_s();
    atomic_store(&stopper.over, true);
    pthread_join(thread, NULL);
    if (rc != PERSIST_E_CANCELLED)
        bench_fail_persist(&err);
    if (count_rest(folder) != 0) {
        fprintf(stderr, "bench: something was left in the store\n");
        exit(1);
    }
    persist_op_destroy(stopper.op);
    persist_close(store);
    persist_destroy(p);
    return end - stopper.cancelled_s;
}

/* ---------------------------------------------------------------- a process
 */

static pid_t start_dd(const char *path)
{
    char command[4300];
    pid_t pid = fork();

    if (pid < 0)
        bench_fail("fork");
    if (pid > 0)
        return pid;
    snprintf(command, sizeof(command),
             "exec dd if=/dev/urandom of='%s' bs=1M count=10240 2>/dev/null",
             path);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static double killed(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    const struct timespec pause = {0, 1000000};
    char folder[4096], path[4200];
    struct stat st = {0};
    double start;
    pid_t pid;

    bench_folder(what->folder, "cancel-dd", round, folder);
    snprintf(path, sizeof(path), "%s/file", folder);
    pid = start_dd(path);
    while (stat(path, &st) != 0 || st.st_size < (off_t)what->mib << 20) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            bench_fail("dd ended too early");
        nanosleep(&pause, NULL);
    }
    start = bench_now_s();
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    unlink(path);
    return bench_now_s() - start;
}

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL};
    char question[200];
    struct bench b;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER [ROUNDS [MIB]]\n", argv[0]);
        return 2;
    }
    what.mib = bench_number(argc > 3 ? argv[3] : NULL, 256);
    snprintf(question, sizeof(question), "cancel of a 10 GiB save after %u MiB",
             what.mib);
    bench_init(&b, "cancel", question,
               bench_number(argc > 2 ? argv[2] : NULL, 5));
    bench_side(&b, "persist_op_cancel", library, &what);
    bench_side(&b, "dd, killed and removed", killed, &what);
    bench_run(&b);
    bench_tell(&b, "cancels", 1);
    return 0;
}
