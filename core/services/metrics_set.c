/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of families, and sets of their samples.  Knows neither where
 * numbers come from (metrics.c) nor how they are written (metrics_render.c).
 */
#include "services/metrics_set.h"

#include <stdlib.h>
#include <string.h>

#include <persist/error.h>

#include "util/text.h"

/* An attempt takes from a fraction of a millisecond on a local disk to the
 * minute after which a stalled connection is given up. */
static const uint64_t latency_ns[] = {
    500000,     1000000,     2500000,     5000000,    10000000,   25000000,
    50000000,   100000000,   250000000,   500000000,  1000000000, 2500000000,
    5000000000, 10000000000, 30000000000, 60000000000};

/* 256 bytes is a claim; powers of four up to 64 GiB. */
static const uint64_t size_bytes[] = {
    256,       1024,       4096,       16384,       65536,
    262144,    1048576,    4194304,    16777216,    67108864,
    268435456, 1073741824, 4294967296, 17179869184, 68719476736};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(N_OF(latency_ns) <= METRICS_BOUNDS_MAX &&
                   N_OF(size_bytes) <= METRICS_BOUNDS_MAX,
               "a sample holds every bucket");

#define NS UINT64_C(1000000000)
#define US UINT64_C(1000000)

const struct metrics_family metrics_families[METRICS_N_FAMILIES] = {
    [METRICS_OPS] = {"persist_storage_ops_total",
                     "Attempts of requests to a backend, by their outcome.",
                     NULL,
                     METRICS_COUNTER,
                     METRICS_ADD,
                     1,
                     {"backend", "op", "status"},
                     NULL,
                     0},
    [METRICS_BYTES] = {"persist_storage_bytes_total",
                       "Object bytes sent to or read from a backend.",
                       "bytes",
                       METRICS_COUNTER,
                       METRICS_ADD,
                       1,
                       {"backend", "op"},
                       NULL,
                       0},
    [METRICS_LATENCY] = {"persist_storage_latency_seconds",
                         "Time of one attempt in the backend.",
                         "seconds",
                         METRICS_HISTOGRAM,
                         METRICS_ADD,
                         NS,
                         {"backend", "op"},
                         latency_ns,
                         N_OF(latency_ns)},
    [METRICS_RETRIES] = {"persist_storage_retries_total",
                         "Attempts that repeated an earlier one.",
                         NULL,
                         METRICS_COUNTER,
                         METRICS_ADD,
                         1,
                         {"backend", "op"},
                         NULL,
                         0},
    [METRICS_TRANSFER] = {"persist_transfer_bytes",
                          "Size of one transfer: an object, a part or a range.",
                          "bytes",
                          METRICS_HISTOGRAM,
                          METRICS_ADD,
                          1,
                          {"backend", "op"},
                          size_bytes,
                          N_OF(size_bytes)},
    [METRICS_STATE] = {"persist_snapshot_state_bytes",
                       "Payload size of the snapshots saved.",
                       "bytes",
                       METRICS_HISTOGRAM,
                       METRICS_ADD,
                       1,
                       {"codec"},
                       size_bytes,
                       N_OF(size_bytes)},
    [METRICS_STORED] = {"persist_snapshot_stored_bytes",
                        "Stored size of the snapshots saved.",
                        "bytes",
                        METRICS_HISTOGRAM,
                        METRICS_ADD,
                        1,
                        {"codec"},
                        size_bytes,
                        N_OF(size_bytes)},
    [METRICS_OPERATIONS] = {"persist_operations_total",
                            "Operations on a store, by their outcome.",
                            NULL,
                            METRICS_COUNTER,
                            METRICS_ADD,
                            1,
                            {"store", "operation", "status"},
                            NULL,
                            0},
    [METRICS_LAST_SUCCESS] = {"persist_last_success_timestamp_seconds",
                              "When an operation last succeeded, Unix time.",
                              "seconds",
                              METRICS_GAUGE,
                              METRICS_NEWEST,
                              US,
                              {"store", "operation"},
                              NULL,
                              0},
    [METRICS_CORRUPT] = {"persist_corrupt_found_total",
                         "Operations that met damaged data.",
                         NULL,
                         METRICS_COUNTER,
                         METRICS_ADD,
                         1,
                         {"store"},
                         NULL,
                         0},
    [METRICS_UPLOADS] = {"persist_uploads_open",
                         "Uploads begun and neither committed nor aborted.",
                         NULL,
                         METRICS_GAUGE,
                         METRICS_ADD,
                         1,
                         {"store"},
                         NULL,
                         0},
    [METRICS_QUEUE] = {"persist_executor_queue_depth",
                       "Tasks that wait for a thread.",
                       NULL,
                       METRICS_GAUGE,
                       METRICS_LIVE,
                       1,
                       {"executor"},
                       NULL,
                       0},
    [METRICS_BUDGET_USED] = {"persist_memory_budget_used_bytes",
                             "Memory reserved for operations and backends.",
                             "bytes",
                             METRICS_GAUGE,
                             METRICS_LIVE,
                             1,
                             {NULL},
                             NULL,
                             0},
    [METRICS_BUDGET_LIMIT] = {"persist_memory_budget_limit_bytes",
                              "The memory limit.",
                              "bytes",
                              METRICS_GAUGE,
                              METRICS_LIVE,
                              1,
                              {NULL},
                              NULL,
                              0},
    [METRICS_SPANS_DROPPED] = {"persist_trace_spans_dropped_total",
                               "Spans that were not written.",
                               NULL,
                               METRICS_COUNTER,
                               METRICS_ADD,
                               1,
                               {NULL},
                               NULL,
                               0},
    [METRICS_LINES_SUPPRESSED] = {"persist_log_lines_suppressed_total",
                                  "Log lines left out as repetitions.",
                                  NULL,
                                  METRICS_COUNTER,
                                  METRICS_ADD,
                                  1,
                                  {NULL},
                                  NULL,
                                  0},
};

void metrics_set_init(struct metrics_set *s)
{
    *s = (struct metrics_set){0};
}

void metrics_set_finish(struct metrics_set *s)
{
    free(s->samples);
    metrics_set_init(s);
}

static void copy_label(char out[METRICS_LABEL_CAP], const char *text)
{
    size_t i = 0;

    for (; text && text[i] && i < METRICS_LABEL_CAP - 1; i++) {
        char c = text[i];
        bool plain =
            text_is_lower(c) || text_is_digit(c) || c == '-' || c == '_';
        out[i] = c;
        if (!plain)
            out[i] = '_';
    }
    out[i] = '\0';
}

void metrics_sample_init(struct metrics_sample *sample,
                         enum metrics_family_id family, const char *first,
                         const char *second, const char *third)
{
    const char *const texts[METRICS_LABELS_MAX] = {first, second, third};

    memset(sample, 0, sizeof *sample);
    sample->family = family;
    for (size_t i = 0;
         i < METRICS_LABELS_MAX && metrics_families[family].labels[i]; i++)
        copy_label(sample->labels[i], texts[i]);
}

static int compare(const struct metrics_sample *a,
                   const struct metrics_sample *b)
{
    int order = 0;

    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    for (size_t i = 0; !order && metrics_families[a->family].labels[i]; i++)
        order = strcmp(a->labels[i], b->labels[i]);
    return order;
}

/* Where it stands or belongs. */
static size_t find_place(const struct metrics_set *s,
                         const struct metrics_sample *sample, bool *out_there)
{
    size_t low = 0, high = s->n;

    *out_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&s->samples[middle], sample);

        if (order == 0) {
            *out_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct metrics_sample *
metrics_set_find(const struct metrics_set *s,
                 const struct metrics_sample *sample)
{
    bool there = false;
    size_t at = find_place(s, sample, &there);

    return there ? &s->samples[at] : NULL;
}

static void merge_sample(struct metrics_sample *into,
                         const struct metrics_sample *from)
{
    const struct metrics_family *f = &metrics_families[into->family];

    if (from->looks || f->merge == METRICS_LIVE) {
        *into = *from;
        return;
    }
    if (f->merge == METRICS_NEWEST) {
        into->value = from->value > into->value ? from->value : into->value;
        return;
    }
    into->value += from->value;
    for (size_t i = 0; i <= f->n_bounds; i++)
        into->buckets[i] += from->buckets[i];
}

static bool make_room(struct metrics_set *s)
{
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct metrics_sample *grown;

    if (s->n < s->cap)
        return true;
    if (s->n >= METRICS_SAMPLES_MAX)
        return false;
    grown = realloc(s->samples, cap * sizeof *grown);
    if (!grown)
        return false;
    s->samples = grown;
    s->cap = cap;
    return true;
}

int metrics_set_add(struct metrics_set *s, const struct metrics_sample *sample)
{
    bool there = false;
    size_t at = find_place(s, sample, &there);

    if (there) {
        merge_sample(&s->samples[at], sample);
        return PERSIST_OK;
    }
    if (!make_room(s))
        return PERSIST_E_MEMORY;
    memmove(&s->samples[at + 1], &s->samples[at],
            (s->n - at) * sizeof *s->samples);
    s->samples[at] = *sample;
    s->n++;
    return PERSIST_OK;
}

int metrics_set_merge(struct metrics_set *s, const struct metrics_set *from)
{
    int rc = PERSIST_OK;

    for (size_t i = 0; rc == PERSIST_OK && i < from->n; i++) {
        const struct metrics_sample *sample = &from->samples[i];

        if (metrics_families[sample->family].merge != METRICS_LIVE)
            rc = metrics_set_add(s, sample);
    }
    /* A file has no process: what was closed by another than began it. */
    for (size_t i = 0; i < s->n; i++) {
        struct metrics_sample *sample = &s->samples[i];

        sample->looks = 0;
        if (sample->family == METRICS_UPLOADS && sample->value > INT64_MAX)
            sample->value = 0;
    }
    return rc;
}

void metrics_set_limit_times(struct metrics_set *s, int64_t now_us)
{
    for (size_t i = 0; now_us > 0 && i < s->n; i++) {
        struct metrics_sample *sample = &s->samples[i];

        if (metrics_families[sample->family].merge == METRICS_NEWEST &&
            sample->value > (uint64_t)now_us)
            sample->value = (uint64_t)now_us;
    }
}

int metrics_set_copy(struct metrics_set *s, const struct metrics_set *from)
{
    size_t size = from->n * sizeof *s->samples;

    metrics_set_init(s);
    if (!from->n)
        return PERSIST_OK;
    s->samples = malloc(size);
    if (!s->samples)
        return PERSIST_E_MEMORY;
    memcpy(s->samples, from->samples, size);
    s->n = s->cap = from->n;
    return PERSIST_OK;
}

void metrics_set_subtract(struct metrics_set *s,
                          const struct metrics_set *before)
{
    for (size_t i = 0; i < s->n; i++) {
        struct metrics_sample *sample = &s->samples[i];
        const struct metrics_family *f = &metrics_families[sample->family];
        const struct metrics_sample *old = metrics_set_find(before, sample);

        if (!old || f->merge != METRICS_ADD || sample->looks != old->looks)
            continue;
        sample->looks = 0;
        sample->value -= old->value;
        for (size_t k = 0; k <= f->n_bounds; k++)
            sample->buckets[k] -= old->buckets[k];
    }
}

bool metrics_set_is_empty(const struct metrics_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct metrics_sample *sample = &s->samples[i];
        const struct metrics_family *f = &metrics_families[sample->family];

        if (f->merge == METRICS_LIVE)
            continue;
        if (sample->value || f->type == METRICS_GAUGE)
            return false;
        for (size_t k = 0; k <= f->n_bounds; k++)
            if (sample->buckets[k])
                return false;
    }
    return true;
}
