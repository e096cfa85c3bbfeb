/* SPDX-License-Identifier: 0BSD */
/*
 * Races: one winner of a key, parallel parts, replaces that are never seen
 * half done.  Between calls of one store, unless it declares itself serial, and
 * between stores of one place: those run at once always, and are as near as
 * threads come to the processes that share a place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define ROUNDS 10

/* Where the workers wait until all are there: not every system has barriers. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t open;
    uint32_t missing;
};

struct worker {
    struct test test;
    pthread_t thread;
    struct gate *start;
    const char *key;
    struct upload *upload;
    atomic_bool *over;
    uint32_t number;
    int32_t rc;
};

static void gate_wait(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    if (--g->missing == 0)
        pthread_cond_broadcast(&g->open);
    while (g->missing > 0)
        pthread_cond_wait(&g->open, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static bool is_serial(const struct test *t)
{
    return t->suite->descriptor->thread_model == PERSIST_BACKEND_SERIAL;
}

/* own_store: not the case's store but another one, of the same place. */
static void worker_init(struct worker *w, const struct test *t, uint32_t number,
                        bool own_store)
{
    struct persist_backend_error error;
    memset(w, 0, sizeof(*w));
    w->test = *t;
    host_call_init(&w->test.host_call);
    w->test.call.host_call = &w->test.host_call;
    w->number = number;
    if (own_store)
        expect_rc(&w->test, "open",
                  op_open(t->suite, &t->suite->config, &w->test.store, &error),
                  PERSIST_BACKEND_OK);
}

static void worker_finish(struct test *t, struct worker *w)
{
    if (w->test.store && w->test.store != t->store)
        t->suite->ops->close(w->test.store);
    host_call_finish(&w->test.host_call);
    test_merge(t, &w->test);
}

static bool are_ready(const struct worker *workers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!workers[i].test.store)
            return false;
    return true;
}

/* Runs n workers at once and brings their failures home. */
static void run_workers(struct test *t, struct worker *workers, uint32_t n,
                        void *(*run)(void *))
{
    struct gate start = {.missing = n};
    bool ready = are_ready(workers, n);

    pthread_mutex_init(&start.mutex, NULL);
    pthread_cond_init(&start.open, NULL);
    for (uint32_t i = 0; ready && i < n; i++) {
        workers[i].start = &start;
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            fprintf(stderr, "persist-backend-conformance: no thread\n");
            exit(2);
        }
    }
    for (uint32_t i = 0; ready && i < n; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < n; i++)
        worker_finish(t, &workers[i]);
    pthread_cond_destroy(&start.open);
    pthread_mutex_destroy(&start.mutex);
}

/* Exactly one OK, EXISTS for the others; returns who won. */
static uint32_t one_winner(struct test *t, const struct worker *workers,
                           uint32_t n, const char *what)
{
    uint32_t winners = 0, winner = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = workers[i].rc;
        if (rc == PERSIST_BACKEND_OK) {
            winners++;
            winner = i;
        }
        expect(t, rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_EXISTS,
               "a racing %s answered %s", what, status_name(rc));
    }
    expect(t, winners == 1, "%u of %u racing calls of %s won", winners, n,
           what);
    return winner;
}

static void *put_worker(void *arg)
{
    struct worker *w = arg;
    uint32_t number = w->number;
    unsigned n = 0;
    gate_wait(w->start);
    do
        w->rc = op_put(&w->test, w->key, &number, sizeof(number),
                       PERSIST_BACKEND_IF_ABSENT, NULL);
    while (again(&w->test, w->rc, &n));
    return NULL;
}

static void race_put(struct test *t)
{
    static struct worker workers[MAX_THREADS];
    char key[KEY_CAP], name[32];
    for (int round = 0; round < ROUNDS && !t->failed; round++) {
        snprintf(name, sizeof(name), "d%d/claim", round);
        test_key(t, name, key);
        for (uint32_t i = 0; i < MAX_THREADS; i++) {
            worker_init(&workers[i], t, i, is_serial(t) || round % 2 != 0);
            workers[i].key = key;
        }
        run_workers(t, workers, MAX_THREADS, put_worker);
        if (t->failed)
            break;
        uint32_t winner = one_winner(t, workers, MAX_THREADS, "put");
        if (!t->failed)
            must_hold(t, key, &winner, sizeof(winner));
    }
}

#define COMMITTERS 4

/* Each upload is its worker's, from begin on: ids may die with their store. */
static void *commit_worker(void *arg)
{
    struct worker *w = arg;
    bool sent = upload_start(&w->test, w->upload, w->key, w->number + 1);
    if (sent)
        upload_send_all(&w->test, w->upload);
    unsigned n = 0;
    gate_wait(w->start);
    while (sent && !w->test.failed) {
        w->rc = upload_commit(&w->test, w->upload, PERSIST_BACKEND_IF_ABSENT);
        if (!again(&w->test, w->rc, &n))
            break;
    }
    if (w->upload->id[0])
        op_abort(&w->test, w->key, w->upload->id);
    return NULL;
}

static void race_commits(struct test *t, const char *name, bool own_stores)
{
    static struct worker workers[COMMITTERS];
    static struct upload uploads[COMMITTERS];
    char key[KEY_CAP];
    test_key(t, name, key);
    memset(uploads, 0, sizeof(uploads));
    for (uint32_t i = 0; i < COMMITTERS; i++) {
        worker_init(&workers[i], t, i, own_stores);
        workers[i].key = key;
        workers[i].upload = &uploads[i];
    }
    run_workers(t, workers, COMMITTERS, commit_worker);
    if (!t->failed && !t->skipped) {
        uint32_t winner = one_winner(t, workers, COMMITTERS, "upload_commit");
        if (!t->failed)
            must_hold(t, key, uploads[winner].data, uploads[winner].len);
    }
    for (uint32_t i = 0; i < COMMITTERS; i++)
        upload_finish(&uploads[i]);
}

static void race_commit(struct test *t)
{
    if (!is_serial(t))
        race_commits(t, "object", false);
    if (!t->failed && !t->skipped)
        race_commits(t, "object-2", true);
}

static void *part_worker(void *arg)
{
    struct worker *w = arg;
    gate_wait(w->start);
    w->rc = upload_send(&w->test, w->upload, w->number);
    expect_rc(&w->test, "upload_part", w->rc, PERSIST_BACKEND_OK);
    return NULL;
}

static void parallel_parts(struct test *t)
{
    static struct worker workers[MAX_THREADS];
    char key[KEY_CAP];
    struct upload u = {0};
    uint32_t n = t->suite->limits.parallel_max;
    if (is_serial(t)) {
        test_skip(t, "the backend declares itself serial");
        return;
    }
    if (n == 1) {
        test_skip(t, "limits.parallel_max is 1");
        return;
    }
    n = n && n < 8 ? n : 8;
    if (upload_start(t, &u, test_key(t, "object", key), n)) {
        for (uint32_t i = 0; i < n; i++) {
            worker_init(&workers[i], t, i + 1, false);
            workers[i].upload = &u;
        }
        run_workers(t, workers, n, part_worker);
        expect_rc(t, "upload_commit",
                  upload_commit(t, &u, PERSIST_BACKEND_IF_ABSENT),
                  PERSIST_BACKEND_OK);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

#define TORN_LEN 65536
#define REPLACES 60

/* Reads until told to stop: every answer is one uniform object. */
static void *torn_reader(struct worker *w)
{
    uint8_t *buffer = must_alloc(TORN_LEN);
    while (!atomic_load(w->over) && !w->test.failed) {
        struct persist_backend_read_args args = {
            .struct_size = sizeof(args),
            .mode = PERSIST_BACKEND_READ_RANGE,
            .key = w->key,
            .buffer = buffer,
            .len = TORN_LEN,
        };
        struct persist_backend_read_result r;
        int32_t rc = op_read(&w->test, &args, &r);
        if (!expect_rc(&w->test, "read", rc, PERSIST_BACKEND_OK))
            break;
        expect(&w->test, r.len == TORN_LEN,
               "a read during a replace gave %" PRIu64 " bytes", r.len);
        for (size_t i = 1; i < TORN_LEN && !w->test.failed; i++)
            expect(&w->test, buffer[i] == buffer[0],
                   "a read shows two objects, mixed at byte %zu", i);
    }
    free(buffer);
    return NULL;
}

static void *torn_writer(struct worker *w)
{
    uint8_t *buffer = must_alloc(TORN_LEN);
    for (int i = 0; i < REPLACES && !w->test.failed; i++) {
        memset(buffer, 'a' + i % 26, TORN_LEN);
        must_put(&w->test, w->key, buffer, TORN_LEN, 0);
    }
    atomic_store(w->over, true);
    free(buffer);
    return NULL;
}

static void *torn_worker(void *arg)
{
    struct worker *w = arg;
    gate_wait(w->start);
    return w->number == 0 ? torn_writer(w) : torn_reader(w);
}

static void replace_atomic(struct test *t)
{
    static struct worker workers[4];
    char key[KEY_CAP];
    atomic_bool over;
    atomic_init(&over, false);
    uint8_t *first = must_alloc(TORN_LEN);
    memset(first, 'z', TORN_LEN);
    must_put(t, test_key(t, "object", key), first, TORN_LEN, 0);
    free(first);
    for (uint32_t i = 0; i < 4; i++) {
        worker_init(&workers[i], t, i, is_serial(t) || i >= 2);
        workers[i].key = key;
        workers[i].over = &over;
    }
    run_workers(t, workers, 4, torn_worker);
}

#define OWN_KEYS 12

static void *own_worker(void *arg)
{
    struct worker *w = arg;
    struct test *t = &w->test;
    char key[KEY_CAP], name[64], text[64];
    gate_wait(w->start);
    for (int i = 0; i < OWN_KEYS && !t->failed; i++) {
        snprintf(name, sizeof(name), "shared/%d/w%u", i, w->number);
        snprintf(text, sizeof(text), "%u of %d", w->number, i);
        test_key(t, name, key);
        must_put(t, key, text, strlen(text), PERSIST_BACKEND_IF_ABSENT);
        must_hold(t, key, text, strlen(text));
        if (i % 3 == 0)
            must_delete(t, key);
    }
    return NULL;
}

/* Neighbours in the same folders neither disturb nor lose each other. */
static void own_keys(struct test *t)
{
    static struct worker workers[8];
    struct listing l = {0};
    struct list_query q = {.prefix = t->prefix};
    for (uint32_t i = 0; i < 8; i++)
        worker_init(&workers[i], t, i, is_serial(t) || i % 2 != 0);
    run_workers(t, workers, 8, own_worker);
    expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
    expect(t, l.n == 8 * OWN_KEYS * 2 / 3, "%zu objects of %d are listed", l.n,
           8 * OWN_KEYS * 2 / 3);
    listing_finish(&l);
}

const struct conformance_case cases_threads[] = {
    {"threads.put.if-absent-has-one-winner", race_put},
    {"threads.commit.if-absent-has-one-winner", race_commit},
    {"threads.part.in-parallel", parallel_parts},
    {"threads.put.replace-is-never-torn", replace_atomic},
    {"threads.put.neighbours-are-kept", own_keys},
    {NULL, NULL},
};
