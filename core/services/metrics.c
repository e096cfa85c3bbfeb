/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of atomic counters and how they become samples.
 *
 * Every counter is added to on its own: a set that is collected while an
 * attempt is recorded may hold its count and not yet its bytes.  Nothing is
 * ever taken back, so the next one has both.
 */
#include "services/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <persist/error.h>

#define N_STATUS (1 - PERSIST_E_MISUSE) /* 0 to the last code */

typedef atomic_uint_fast64_t counter;

struct histogram {
    counter buckets[METRICS_BOUNDS_MAX + 1];
    counter sum;
};

struct op_row {
    counter by_status[N_STATUS];
    counter bytes;
    counter retries;
    struct histogram latency_ns;
};

/* What rows have in common; each begins with one. */
struct row {
    struct row *next; /* under metrics.mutex */
    char name[METRICS_LABEL_CAP];
};

struct metrics_backend {
    struct row row;
    struct op_row ops[METRICS_N_OPS];
    struct histogram put, get; /* bytes of a transfer */
};

struct metrics_store {
    struct row row;
    counter operations[N_OPERATIONS][N_STATUS];
    atomic_int_fast64_t last_success_us[N_OPERATIONS];
    counter corrupt;
    atomic_int_fast64_t uploads;
    counter looks; /* at all uploads there are */
};

struct metrics {
    pthread_mutex_t mutex;
    struct row *backends; /* under mutex; rows never leave */
    struct row *stores;   /* the same */
    struct histogram state[METRICS_N_CODECS], stored[METRICS_N_CODECS];
};

static const char *const op_names[METRICS_N_OPS] = {"save", "load", "exists",
                                                    "delete", "list"};
static const char *const codec_names[METRICS_N_CODECS] = {"zstd", "gzip"};

struct metrics *metrics_create(void)
{
    struct metrics *m = calloc(1, sizeof *m);

    if (m)
        pthread_mutex_init(&m->mutex, NULL);
    return m;
}

static void free_rows(struct row *row)
{
    while (row) {
        struct row *next = row->next;
        free(row);
        row = next;
    }
}

void metrics_destroy(struct metrics *m)
{
    if (!m)
        return;
    free_rows(m->backends);
    free_rows(m->stores);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

/* The row called NAME (as much of it as a label holds), made with SIZE bytes
 * when it is not there yet. */
static void *find_or_add(struct metrics *m, struct row **rows, const char *name,
                         size_t size)
{
    struct row *row;

    pthread_mutex_lock(&m->mutex);
    row = *rows;
    while (row && strncmp(row->name, name, METRICS_LABEL_CAP - 1) != 0)
        row = row->next;
    if (!row && (row = calloc(1, size))) {
        memcpy(row->name, name, strnlen(name, METRICS_LABEL_CAP - 1));
        row->next = *rows;
        *rows = row;
    }
    pthread_mutex_unlock(&m->mutex);
    return row;
}

struct metrics_backend *metrics_backend(struct metrics *m, const char *name)
{
    return m ? find_or_add(m, &m->backends, name,
                           sizeof(struct metrics_backend))
             : NULL;
}

struct metrics_store *metrics_store(struct metrics *m, const char *name)
{
    return m ? find_or_add(m, &m->stores, name, sizeof(struct metrics_store))
             : NULL;
}

/* ----------------------------------------------------------------- counting
 */

static void add(counter *c, uint64_t by)
{
    atomic_fetch_add_explicit(c, by, memory_order_relaxed);
}

static uint64_t get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void observe(struct histogram *h, enum metrics_family_id family,
                    uint64_t value)
{
    const struct metrics_family *f = &metrics_families[family];
    size_t i = 0;

    while (i < f->n_bounds && value > f->bounds[i])
        i++;
    add(&h->buckets[i], 1);
    add(&h->sum, value);
}

static size_t status_index(int status)
{
    bool known = status <= 0 && status >= PERSIST_E_MISUSE;

    return known ? (size_t)-status : (size_t)-PERSIST_E_INTERNAL;
}

void metrics_record_op(struct metrics_backend *row, enum metrics_op op,
                       uint64_t bytes, uint64_t latency_ns, uint32_t retries,
                       int status)
{
    struct op_row *o;

    if (!row)
        return;
    o = &row->ops[op];
    add(&o->by_status[status_index(status)], 1);
    observe(&o->latency_ns, METRICS_LATENCY, latency_ns);
    if (retries)
        add(&o->retries, retries);
    if (!bytes)
        return;
    add(&o->bytes, bytes);
    observe(op == METRICS_LOAD ? &row->get : &row->put, METRICS_TRANSFER,
            bytes);
}

void metrics_record_operation(struct metrics_store *row,
                              enum metrics_operation operation, int status,
                              int64_t now_us)
{
    if (!row)
        return;
    add(&row->operations[operation][status_index(status)], 1);
    if (status == PERSIST_OK)
        atomic_store_explicit(&row->last_success_us[operation], now_us,
                              memory_order_relaxed);
    if (status == PERSIST_E_CORRUPT)
        add(&row->corrupt, 1);
}

void metrics_record_snapshot(struct metrics *m, enum metrics_codec codec,
                             uint64_t state_bytes, uint64_t stored_bytes)
{
    if (!m)
        return;
    observe(&m->state[codec], METRICS_STATE, state_bytes);
    observe(&m->stored[codec], METRICS_STORED, stored_bytes);
}

void metrics_count_upload(struct metrics_store *row, int by)
{
    if (row)
        atomic_fetch_add_explicit(&row->uploads, by, memory_order_relaxed);
}

void metrics_set_uploads(struct metrics_store *row, uint64_t found)
{
    if (!row)
        return;
    atomic_store_explicit(&row->uploads, (int_fast64_t)found,
                          memory_order_relaxed);
    add(&row->looks, 1);
}

/* --------------------------------------------------------------- collecting
 */

struct collector {
    struct metrics_set *set;
    int rc;
};

static void put(struct collector *c, const struct metrics_sample *sample)
{
    if (c->rc == PERSIST_OK)
        c->rc = metrics_set_add(c->set, sample);
}

static void put_value(struct collector *c, enum metrics_family_id family,
                      const char *const labels[METRICS_LABELS_MAX],
                      uint64_t value)
{
    struct metrics_sample sample;

    metrics_sample_init(&sample, family, labels[0], labels[1], labels[2]);
    sample.value = value;
    put(c, &sample);
}

/* One that has observed nothing is left out. */
static void put_histogram(struct collector *c, enum metrics_family_id family,
                          const char *const labels[METRICS_LABELS_MAX],
                          const struct histogram *h)
{
    struct metrics_sample sample;
    uint64_t n = 0;

    metrics_sample_init(&sample, family, labels[0], labels[1], labels[2]);
    sample.value = get(&h->sum);
    for (size_t i = 0; i <= metrics_families[family].n_bounds; i++) {
        sample.buckets[i] = get(&h->buckets[i]);
        n += sample.buckets[i];
    }
    if (n)
        put(c, &sample);
}

static void collect_op(struct collector *c, const char *backend,
                       enum metrics_op op, const struct op_row *row)
{
    const char *labels[METRICS_LABELS_MAX] = {backend, op_names[op], NULL};
    bool used = false;

    for (size_t i = 0; i < N_STATUS; i++) {
        uint64_t n = get(&row->by_status[i]);

        labels[2] = persist_status_name(-(int)i);
        if (n)
            put_value(c, METRICS_OPS, labels, n);
        used = used || n;
    }
    labels[2] = NULL;
    if (!used)
        return;
    put_histogram(c, METRICS_LATENCY, labels, &row->latency_ns);
    put_value(c, METRICS_RETRIES, labels, get(&row->retries));
    if (op == METRICS_SAVE || op == METRICS_LOAD)
        put_value(c, METRICS_BYTES, labels, get(&row->bytes));
}

static void collect_backend(struct collector *c,
                            const struct metrics_backend *row)
{
    const char *const put_labels[] = {row->row.name, "put", NULL};
    const char *const get_labels[] = {row->row.name, "get", NULL};

    for (size_t i = 0; i < METRICS_N_OPS; i++)
        collect_op(c, row->row.name, (enum metrics_op)i, &row->ops[i]);
    put_histogram(c, METRICS_TRANSFER, put_labels, &row->put);
    put_histogram(c, METRICS_TRANSFER, get_labels, &row->get);
}

static void collect_operation(struct collector *c,
                              const struct metrics_store *row,
                              enum metrics_operation operation, bool *out_used)
{
    const char *labels[] = {row->row.name, metrics_operation_name(operation),
                            NULL};
    int64_t last_us = atomic_load_explicit(&row->last_success_us[operation],
                                           memory_order_relaxed);

    for (size_t i = 0; i < N_STATUS; i++) {
        uint64_t n = get(&row->operations[operation][i]);

        labels[2] = persist_status_name(-(int)i);
        if (n)
            put_value(c, METRICS_OPERATIONS, labels, n);
        *out_used = *out_used || n;
    }
    if (last_us > 0)
        put_value(c, METRICS_LAST_SUCCESS, labels, (uint64_t)last_us);
}

/* A store that was only opened says nothing. */
static void collect_store(struct collector *c, const struct metrics_store *row)
{
    const char *const labels[] = {row->row.name, NULL, NULL};
    struct metrics_sample uploads;
    bool used = false;

    for (size_t i = 0; i < N_OPERATIONS; i++)
        collect_operation(c, row, (enum metrics_operation)i, &used);
    if (!used)
        return;
    put_value(c, METRICS_CORRUPT, labels, get(&row->corrupt));
    metrics_sample_init(&uploads, METRICS_UPLOADS, row->row.name, NULL, NULL);
    uploads.value =
        (uint64_t)atomic_load_explicit(&row->uploads, memory_order_relaxed);
    uploads.looks = get(&row->looks);
    put(c, &uploads);
}

int metrics_collect(struct metrics *m, struct metrics_set *out)
{
    struct collector c = {out, PERSIST_OK};

    if (!m)
        return PERSIST_OK;
    pthread_mutex_lock(&m->mutex);
    for (const struct row *b = m->backends; b; b = b->next)
        collect_backend(&c, (const struct metrics_backend *)b);
    for (const struct row *s = m->stores; s; s = s->next)
        collect_store(&c, (const struct metrics_store *)s);
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; i < METRICS_N_CODECS; i++) {
        const char *const labels[] = {codec_names[i], NULL, NULL};

        put_histogram(&c, METRICS_STATE, labels, &m->state[i]);
        put_histogram(&c, METRICS_STORED, labels, &m->stored[i]);
    }
    return c.rc;
}
