/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What do 4 KiB saves cost with 1, 4, 16, 64 in flight?
 *
 * Against the bare protocol (bare.h) with as many threads, and SQLite in WAL
 * mode with synchronous=FULL, one row per save.  All save into one session, one
 * directory, one table; with "apart" each thread into a session or directory of
 * its own.
 *
 * usage: bench_small_saves FOLDER THREADS [ROUNDS [N [apart]]]
 * N: saves of each side in each round.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bare.h"

#ifdef BENCH_SQLITE
#include <sqlite3.h>
#endif

enum { PAYLOAD = 4096, THREADS_MAX = 256 };

struct what {
    const char *folder;
    unsigned threads, n;
    bool apart;
};

struct worker {
    const struct what *what;
    unsigned number, round;
    struct persist_store *store;
    char address[64];
    int dir;
    void *db;
};

/* Each worker's share; the first take what is over. */
static unsigned share(const struct worker *w)
{
    return w->what->n / w->what->threads +
           (w->number < w->what->n % w->what->threads);
}

static void fill(const struct worker *w, unsigned i, char *payload)
{
    bench_fill(payload, PAYLOAD,
               ((uint64_t)w->round << 40) + ((uint64_t)w->number << 20) + i);
}

static double run_workers(const struct what *what, struct worker *workers,
                          void *(*run)(void *ctx))
{
    void *ctx[THREADS_MAX];

    for (unsigned i = 0; i < what->threads; i++)
        ctx[i] = &workers[i];
    return bench_threads(what->threads, run, ctx);
}

/* ----------------------------------------------------------------- library
 */

static void save_one(struct worker *w, const char *payload)
{
    struct persist_error err;

    if (persist_save_buffer(w->store, w->address, payload, PAYLOAD, NULL, NULL,
                            &err))
        bench_fail_persist(&err);
}

static void *save_share(void *ctx)
{
    struct worker *w = ctx;
    char payload[PAYLOAD];
    unsigned n = share(w);

    bench_ready();
    for (unsigned i = 0; i < n; i++) {
        fill(w, i, payload);
        save_one(w, payload);
    }
    return NULL;
}

static double library(void *ctx, unsigned round)
{
    static struct worker workers[THREADS_MAX];
    const struct what *what = ctx;
    char folder[4096], payload[PAYLOAD] = "warm";
    struct persist *p = bench_instance(0);
    struct persist_store *store;
    double s;

    bench_folder(what->folder, "library", round, folder);
    store = bench_store(p, folder);
    for (unsigned i = 0; i < what->threads; i++) {
        workers[i] = (struct worker){
            .what = what, .number = i, .round = round, .store = store};
        snprintf(workers[i].address, sizeof(workers[i].address), "bench/s%u",
                 what->apart ? i : 0);
        if (i == 0 ||
            what->apart) /* the folders are there, as for the others */
            save_one(&workers[i], payload);
    }
    s = run_workers(what, workers, save_share);
    persist_close(store);
    persist_destroy(p);
    return s;
}

/* -------------------------------------------------------------------- bare
 */

static void *bare_share(void *ctx)
{
    struct worker *w = ctx;
    char payload[PAYLOAD], name[64];
    unsigned n = share(w);

    bench_ready();
    for (unsigned i = 0; i < n; i++) {
        fill(w, i, payload);
        snprintf(name, sizeof(name), "%u-%u.snap", w->number, i);
        bare_save(w->dir, name, payload, PAYLOAD);
    }
    return NULL;
}

static int make_dir(const char *folder, unsigned i)
{
    char path[4200];
    int fd;

    snprintf(path, sizeof(path), "%s/%u", folder, i);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        bench_fail(path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        bench_fail(path);
    return fd;
}

static double bare(void *ctx, unsigned round)
{
    static struct worker workers[THREADS_MAX];
    const struct what *what = ctx;
    char folder[4096];

    bench_folder(what->folder, "bare", round, folder);
    for (unsigned i = 0; i < what->threads; i++) {
        workers[i] = (struct worker){.what = what, .number = i, .round = round};
        workers[i].dir = make_dir(folder, what->apart ? i : 0);
        if (i == 0 || what->apart)
            bare_save(workers[i].dir, "warm", "warm", 4);
    }
    return run_workers(what, workers, bare_share);
}

/* ------------------------------------------------------------------ SQLite
 */

#ifdef BENCH_SQLITE
static pthread_mutex_t one_writer = PTHREAD_MUTEX_INITIALIZER;

static void must(int rc, sqlite3 *db)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "bench: SQLite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3 *open_db(const char *folder)
{
    char path[4200];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/state.db", folder);
    must(sqlite3_open(path, &db), db);
    must(sqlite3_exec(db,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "CREATE TABLE t (session TEXT, i INTEGER, state BLOB,"
                      " PRIMARY KEY (session, i))",
                      NULL, NULL, NULL),
         db);
    return db;
}

/* SQLite has one writer at a time: a lock of ours is kinder to it than its own
 * waits. */
static void *insert_share(void *ctx)
{
    struct worker *w = ctx;
    char payload[PAYLOAD];
    sqlite3_stmt *insert;
    unsigned n = share(w);

    must(sqlite3_prepare_v2(w->db, "INSERT INTO t VALUES (?, ?, ?)", -1,
                            &insert, NULL),
         w->db);
    bench_ready();
    for (unsigned i = 0; i < n; i++) {
        fill(w, i, payload);
        pthread_mutex_lock(&one_writer);
        must(sqlite3_reset(insert), w->db);
        sqlite3_bind_text(insert, 1, w->address, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 2, (int64_t)w->number << 32 | i);
        sqlite3_bind_blob(insert, 3, payload, PAYLOAD, SQLITE_STATIC);
        must(sqlite3_step(insert), w->db);
        must(sqlite3_reset(insert), w->db);
        pthread_mutex_unlock(&one_writer);
    }
    sqlite3_finalize(insert);
    return NULL;
}

static double sqlite(void *ctx, unsigned round)
{
    static struct worker workers[THREADS_MAX];
    const struct what *what = ctx;
    char folder[4096];
    sqlite3 *db;
    double s;

    bench_folder(what->folder, "sqlite", round, folder);
    db = open_db(folder);
    for (unsigned i = 0; i < what->threads; i++) {
        workers[i] = (struct worker){
            .what = what, .number = i, .round = round, .db = db};
        snprintf(workers[i].address, sizeof(workers[i].address), "s%u",
                 what->apart ? i : 0);
    }
    s = run_workers(what, workers, insert_share);
    sqlite3_close(db);
    return s;
}
#endif

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL};
    char question[200];
    struct bench b;

    if (argc < 3) {
        fprintf(stderr, "usage: %s FOLDER THREADS [ROUNDS [N [apart]]]\n",
                argv[0]);
        return 2;
    }
    what.threads = bench_number(argv[2], 1);
    what.n = bench_number(argc > 4 ? argv[4] : NULL, 300);
    what.apart = argc > 5 && strcmp(argv[5], "apart") == 0;
    if (what.threads < 1 || what.threads > THREADS_MAX || what.n < what.threads)
        return 2;
    snprintf(question, sizeof(question), "4 KiB saves, %u in flight%s",
             what.threads, what.apart ? ", each into its own session" : "");
    bench_init(&b, "small-saves", question,
               bench_number(argc > 3 ? argv[3] : NULL, 5));
    bench_side(&b, "persist_save_buffer", library, &what);
    bench_side(&b, "bare protocol", bare, &what);
#ifdef BENCH_SQLITE
    bench_side(&b, "SQLite WAL FULL", sqlite, &what);
#endif
    bench_run(&b);
    bench_tell(&b, "saves", what.n);
    return 0;
}
