/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a metrics file back.  The reader knows exactly the form the writer
 * has (metrics_render.c) and takes nothing else: what is added to other
 * people's numbers must be ours, whole and unchanged.  Any byte that does not
 * fit makes the file damaged.
 */
#include <string.h>

#include <persist/error.h>

#include "services/metrics_set.h"
#include "util/text.h"

/* What is left of the current line; a failed take leaves at NULL. */
struct line {
    const char *at;
    const char *end;
};

struct parser {
    struct metrics_set *set;
    /* The histogram whose lines are being read; its next line. */
    struct metrics_sample histogram;
    size_t next; /* 0: none; bucket i + 1; then _sum, _count */
    uint64_t below;
};

static bool take_text(struct line *l, const char *text)
{
    size_t len = strlen(text);

    if (!l->at || (size_t)(l->end - l->at) < len ||
        memcmp(l->at, text, len) != 0)
        return false;
    l->at += len;
    return true;
}

static bool at_end(const struct line *l)
{
    return l->at == l->end;
}

/* ------------------------------------------------------------------ numbers */

static bool take_digits(struct line *l, char out[24])
{
    size_t n = 0;

    while (l->at < l->end && text_is_digit(*l->at) && n < 23)
        out[n++] = *l->at++;
    out[n] = '\0';
    return n > 0;
}

/* "12" or "12.345", without needless zeros, as parts of one in scale. */
static bool take_scaled(struct line *l, uint64_t scale, uint64_t *out)
{
    char digits[24];
    uint64_t whole;

    if (!take_digits(l, digits) || !text_to_u64(digits, &whole) ||
        whole > UINT64_MAX / scale)
        return false;
    *out = whole * scale;
    if (!take_text(l, "."))
        return true;
    if (!take_digits(l, digits) || digits[strlen(digits) - 1] == '0')
        return false;
    for (size_t i = 0; digits[i]; i++) {
        uint64_t part;

        scale /= 10;
        part = (uint64_t)(digits[i] - '0') * scale;
        if (scale == 0 || *out > UINT64_MAX - part)
            return false;
        *out += part;
    }
    return true;
}

static bool take_value(struct line *l, uint64_t scale, uint64_t *out)
{
    return take_text(l, " ") && take_scaled(l, scale, out) && at_end(l);
}

/* ------------------------------------------------------------------- labels */

static bool take_label(struct line *l, char out[METRICS_LABEL_CAP])
{
    size_t n = 0;

    while (l->at < l->end && *l->at != '"' && n < METRICS_LABEL_CAP - 1)
        out[n++] = *l->at++;
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (!text_is_lower(out[i]) && !text_is_digit(out[i]) && out[i] != '-' &&
            out[i] != '_')
            return false;
    return n > 0 && take_text(l, "\"");
}

/* The family's labels; the brace stays open for an le where with_le. */
static bool take_labels(struct line *l, struct metrics_sample *sample,
                        bool with_le)
{
    const struct metrics_family *f = &metrics_families[sample->family];
    size_t i = 0;

    if (!f->labels[0] && !with_le)
        return true;
    if (!take_text(l, "{"))
        return false;
    for (; f->labels[i]; i++)
        if ((i && !take_text(l, ",")) || !take_text(l, f->labels[i]) ||
            !take_text(l, "=\"") || !take_label(l, sample->labels[i]))
            return false;
    if (with_le)
        return (!i || take_text(l, ",")) && take_text(l, "le=\"");
    return take_text(l, "}");
}

/* ------------------------------------------------------------------ samples */

static int keep(struct parser *p, const struct metrics_sample *sample)
{
    if (metrics_set_find(p->set, sample))
        return PERSIST_E_CORRUPT; /* twice */
    return metrics_set_add(p->set, sample);
}

static bool same_labels(const struct metrics_sample *a,
                        const struct metrics_sample *b)
{
    return a->family == b->family &&
           memcmp(a->labels, b->labels, sizeof a->labels) == 0;
}

static int take_bucket(struct parser *p, struct line *l, size_t i)
{
    struct metrics_sample *h = &p->histogram;
    const struct metrics_family *f = &metrics_families[h->family];
    uint64_t bound = 0, below = 0;
    bool ok;

    if (i < f->n_bounds)
        ok = take_scaled(l, f->scale, &bound) && bound == f->bounds[i];
    else
        ok = take_text(l, "+Inf");
    if (!ok || !take_text(l, "\"}") || !take_value(l, 1, &below) ||
        below < p->below)
        return PERSIST_E_CORRUPT;
    h->buckets[i] = below - p->below;
    p->below = below;
    p->next++;
    return PERSIST_OK;
}

/* One line of a histogram; they come in the order they are written in. */
static int take_histogram(struct parser *p, struct line *l,
                          enum metrics_family_id family)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    const struct metrics_family *f = &metrics_families[family];
    size_t i = p->next ? p->next - 1 : 0;
    size_t kind = i <= f->n_bounds ? 0 : i - f->n_bounds;
    struct metrics_sample sample;
    uint64_t count = 0;

    metrics_sample_init(&sample, family, NULL, NULL, NULL);
    if (!take_text(l, suffixes[kind]) || !take_labels(l, &sample, kind == 0))
        return PERSIST_E_CORRUPT;
    if (p->next == 0) {
        p->histogram = sample;
        p->next = 1;
        p->below = 0;
    } else if (!same_labels(&p->histogram, &sample)) {
        return PERSIST_E_CORRUPT;
    }
    if (kind == 0)
        return take_bucket(p, l, i);
    if (kind == 1) {
        p->next++;
        return take_value(l, f->scale, &p->histogram.value) ? PERSIST_OK
                                                            : PERSIST_E_CORRUPT;
    }
    p->next = 0;
    if (!take_value(l, 1, &count) || count != p->below)
        return PERSIST_E_CORRUPT;
    return keep(p, &p->histogram);
}

static int take_sample(struct parser *p, struct line *l,
                       enum metrics_family_id family)
{
    struct metrics_sample sample;

    if (metrics_families[family].type == METRICS_HISTOGRAM)
        return take_histogram(p, l, family);
    metrics_sample_init(&sample, family, NULL, NULL, NULL);
    if (p->next || !take_labels(l, &sample, false) ||
        !take_value(l, metrics_families[family].scale, &sample.value))
        return PERSIST_E_CORRUPT;
    return keep(p, &sample);
}

/* ------------------------------------------------------------------- lines */

/* The family whose name the line goes on with, and no longer name. */
static bool take_name(struct line *l, enum metrics_family_id *out)
{
    for (size_t i = 0; i < METRICS_N_FAMILIES; i++) {
        struct line rest = *l;

        if (metrics_families[i].merge == METRICS_LIVE ||
            !take_text(&rest, metrics_families[i].name))
            continue;
        if (rest.at < rest.end && *rest.at != ' ' && *rest.at != '{' &&
            (metrics_families[i].type != METRICS_HISTOGRAM || *rest.at != '_'))
            continue;
        *l = rest;
        *out = (enum metrics_family_id)i;
        return true;
    }
    return false;
}

static bool is_heading(const struct parser *p, struct line *l)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    enum metrics_family_id family;

    if (p->next)
        return false;
    if (take_text(l, "HELP "))
        return take_name(l, &family) && take_text(l, " "); /* any words */
    return take_text(l, "TYPE ") && take_name(l, &family) &&
           take_text(l, " ") &&
           take_text(l, types[metrics_families[family].type]) && at_end(l);
}

static int take_line(struct parser *p, struct line *l)
{
    enum metrics_family_id family;

    if (take_text(l, "# "))
        return is_heading(p, l) ? PERSIST_OK : PERSIST_E_CORRUPT;
    if (!take_name(l, &family))
        return PERSIST_E_CORRUPT;
    return take_sample(p, l, family);
}

int metrics_set_parse(struct metrics_set *s, const char *text, size_t len,
                      size_t *out_line)
{
    struct parser p = {.set = s};
    const char *end = text + len;
    int rc = PERSIST_OK;

    *out_line = 0;
    while (rc == PERSIST_OK && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct line line = {text, newline};

        (*out_line)++;
        if (!newline) /* cut short */
            return PERSIST_E_CORRUPT;
        rc = take_line(&p, &line);
        text = newline + 1;
    }
    return rc == PERSIST_OK && p.next ? PERSIST_E_CORRUPT : rc;
}
