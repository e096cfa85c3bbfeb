/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers at one moment: what was read from the counters of an instance
 * (metrics.h), or from a file.
 *
 *     counters ─ metrics_collect ─┐                ┌─ metrics_set_render
 *     file ───── metrics_set_parse┴─▶ metrics_set ─┤
 *                                     add, subtract└─▶ file
 *
 * A set is a sorted list of samples.  Which families of samples there are, with
 * their labels and buckets, stands in one table (metrics_families).  All values
 * are integers, so that adding and writing lose nothing: times are kept in
 * nanoseconds or microseconds and shown in seconds.
 *
 * Nothing is locked; one thread at a time has a set.
 */
#ifndef PERSIST_SERVICES_METRICS_SET_H
#define PERSIST_SERVICES_METRICS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define METRICS_LABELS_MAX 3
#define METRICS_LABEL_CAP 48 /* bytes of a label's value, with the NUL */
#define METRICS_BOUNDS_MAX 16
#define METRICS_SAMPLES_MAX 20000 /* in one set */

enum metrics_family_id {
    METRICS_OPS,
    METRICS_BYTES,
    METRICS_LATENCY,
    METRICS_RETRIES,
    METRICS_TRANSFER,
    METRICS_STATE,
    METRICS_STORED,
    METRICS_OPERATIONS,
    METRICS_LAST_SUCCESS,
    METRICS_CORRUPT,
    METRICS_UPLOADS,
    METRICS_QUEUE,
    METRICS_BUDGET_USED,
    METRICS_BUDGET_LIMIT,
    METRICS_SPANS_DROPPED,
    METRICS_LINES_SUPPRESSED,
    METRICS_N_FAMILIES
};

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* What becomes of a value of one process in the sum of several. */
enum metrics_merge {
    METRICS_ADD,
    METRICS_NEWEST, /* the larger: a time */
    METRICS_LIVE    /* has no meaning after its process: left out */
};

struct metrics_family {
    const char *name; /* of the samples; a counter's ends in _total */
    const char *help; /* one sentence */
    const char *unit; /* what the name ends in, or NULL */
    enum metrics_type type;
    enum metrics_merge merge;
    uint64_t scale; /* of the integers: 1, or how many make a second */
    const char *labels[METRICS_LABELS_MAX + 1]; /* NULL-terminated */
    const uint64_t *bounds; /* histogram: upper ends of the buckets, scaled */
    size_t n_bounds;
};
extern const struct metrics_family metrics_families[METRICS_N_FAMILIES];

struct metrics_sample {
    enum metrics_family_id family;
    char labels[METRICS_LABELS_MAX][METRICS_LABEL_CAP];
    /* Of a gauge: how often it was measured anew, which stands over what others
     * counted; 0: it is only counted on. */
    uint64_t looks;
    uint64_t value; /* of a histogram: the sum of what was observed */
    uint64_t buckets[METRICS_BOUNDS_MAX + 1]; /* each alone; the last: above */
};

struct metrics_set {
    struct metrics_sample *samples; /* by family, then labels */
    size_t n;
    size_t cap;
};

void metrics_set_init(struct metrics_set *s);
void metrics_set_finish(struct metrics_set *s);

/* A sample of that family; label values beyond a family's are ignored, and a
 * character that no label of ours has becomes '_'. */
void metrics_sample_init(struct metrics_sample *sample,
                         enum metrics_family_id family, const char *first,
                         const char *second, const char *third);
/* Puts it in its place, merged with one that is there (the family's rule).
 * PERSIST_E_MEMORY also where the set is full. */
int metrics_set_add(struct metrics_set *s, const struct metrics_sample *sample);
/* Every sample of another set but those that live with their process. */
int metrics_set_merge(struct metrics_set *s, const struct metrics_set *from);
/* Lowers times that lie behind now_us (Unix time) to it: what a clock that was
 * ahead has left would stand above every later one. */
void metrics_set_limit_times(struct metrics_set *s, int64_t now_us);
/* Makes an empty set the same as another. MEMORY. */
int metrics_set_copy(struct metrics_set *s, const struct metrics_set *from);
/* Takes off what stood in an earlier set of the same counters; what is below it
 * now wraps around, and merging makes it good.  A gauge that was measured anew
 * since then stays as it is. */
void metrics_set_subtract(struct metrics_set *s,
                          const struct metrics_set *before);
const struct metrics_sample *
metrics_set_find(const struct metrics_set *s,
                 const struct metrics_sample *sample);
/* Whether it says anything: a counter above 0, a gauge, a histogram. */
bool metrics_set_is_empty(const struct metrics_set *s);

enum metrics_format {
    METRICS_TEXT = 1,        /* Prometheus text format 0.0.4 */
    METRICS_OPENMETRICS = 2, /* OpenMetrics 1.0, with its # EOF */
    METRICS_JSON = 3         /* one object a line */
};
/* Appends; out tells whether memory did. */
void metrics_set_render(const struct metrics_set *s, enum metrics_format format,
                        struct buf *out);

/*
 * Reads what metrics_set_render wrote as METRICS_TEXT into an empty set, and
 * nothing else: a family, label, bucket or number that this version would not
 * have written is CORRUPT, and *out_line says where (from 1).  MEMORY.
 */
int metrics_set_parse(struct metrics_set *s, const char *text, size_t len,
                      size_t *out_line);

#endif
