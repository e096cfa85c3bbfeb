/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of numbers as text: the Prometheus text format 0.0.4, OpenMetrics 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/), or JSON lines.
 *
 * No floating point: a value of S parts per unit is written as a decimal
 * fraction, digit by digit.  No time stamps and no exemplars.
 */
#include <string.h>

#include "services/metrics_set.h"

static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* value / scale; scale is a power of ten.  `point`: also of a whole number. */
static void put_scaled(struct buf *out, uint64_t value, uint64_t scale,
                       bool point)
{
    uint64_t rest = value % scale;

    buf_printf(out, "%llu", (unsigned long long)(value / scale));
    if (rest == 0) {
        buf_puts(out, point ? ".0" : "");
        return;
    }
    buf_putc(out, '.');
    for (; rest; rest %= scale) {
        rest *= 10;
        buf_putc(out, (char)('0' + rest / scale));
    }
}

/* Of an upload another process began, a process may see only the end. */
static uint64_t shown(const struct metrics_sample *s)
{
    bool below = s->family == METRICS_UPLOADS && s->value > INT64_MAX;

    return below ? 0 : s->value;
}

static uint64_t count_of(const struct metrics_sample *s)
{
    const struct metrics_family *f = &metrics_families[s->family];
    uint64_t n = 0;

    for (size_t i = 0; i <= f->n_bounds; i++)
        n += s->buckets[i];
    return n;
}

/* -------------------------------------------------------- text, OpenMetrics */

/* {a="b",le="1"}; le NULL: none.  Label values need no escapes: see
 * metrics_sample_init. */
static void put_labels(struct buf *out, const struct metrics_sample *s,
                       const struct buf *le)
{
    const struct metrics_family *f = &metrics_families[s->family];
    size_t i = 0;

    if (!f->labels[0] && !le)
        return;
    buf_putc(out, '{');
    for (; f->labels[i]; i++)
        buf_printf(out, "%s%s=\"%s\"", i ? "," : "", f->labels[i],
                   s->labels[i]);
    if (le)
        buf_printf(out, "%sle=\"%s\"", i ? "," : "", le->data ? le->data : "");
    buf_putc(out, '}');
}

static void put_histogram(struct buf *out, const struct metrics_sample *s,
                          bool open)
{
    const struct metrics_family *f = &metrics_families[s->family];
    uint64_t below = 0;
    struct buf le;

    buf_init(&le, 64);
    for (size_t i = 0; i <= f->n_bounds; i++) {
        below += s->buckets[i];
        buf_clear(&le);
        if (i < f->n_bounds)
            put_scaled(&le, f->bounds[i], f->scale, open);
        else
            buf_puts(&le, "+Inf");
        buf_printf(out, "%s_bucket", f->name);
        put_labels(out, s, &le);
        buf_printf(out, " %llu\n", (unsigned long long)below);
    }
    if (buf_failed(&le))
        out->failed = true;
    buf_finish(&le);
    buf_printf(out, "%s_sum", f->name);
    put_labels(out, s, NULL);
    buf_putc(out, ' ');
    put_scaled(out, s->value, f->scale, false);
    buf_printf(out, "\n%s_count", f->name);
    put_labels(out, s, NULL);
    buf_printf(out, " %llu\n", (unsigned long long)below);
}

static void put_sample(struct buf *out, const struct metrics_sample *s,
                       bool open)
{
    const struct metrics_family *f = &metrics_families[s->family];

    if (f->type == METRICS_HISTOGRAM) {
        put_histogram(out, s, open);
        return;
    }
    buf_puts(out, f->name);
    put_labels(out, s, NULL);
    buf_putc(out, ' ');
    put_scaled(out, shown(s), f->scale, false);
    buf_putc(out, '\n');
}

/* OpenMetrics names the family without the counter's suffix. */
static void put_heading(struct buf *out, const struct metrics_family *f,
                        bool open)
{
    size_t len = strlen(f->name);

    if (open && f->type == METRICS_COUNTER)
        len -= strlen("_total");
    if (!open)
        buf_printf(out, "# HELP %s %s\n", f->name, f->help);
    buf_printf(out, "# TYPE %.*s %s\n", (int)len, f->name, type_names[f->type]);
    if (open && f->unit)
        buf_printf(out, "# UNIT %.*s %s\n", (int)len, f->name, f->unit);
    if (open)
        buf_printf(out, "# HELP %.*s %s\n", (int)len, f->name, f->help);
}

/* --------------------------------------------------------------------- JSON */

static void put_json_buckets(struct buf *out, const struct metrics_sample *s)
{
    const struct metrics_family *f = &metrics_families[s->family];
    uint64_t below = 0;

    buf_puts(out, ",\"buckets\":[");
    for (size_t i = 0; i < f->n_bounds; i++) {
        below += s->buckets[i];
        buf_puts(out, i ? ",{\"le\":" : "{\"le\":");
        put_scaled(out, f->bounds[i], f->scale, false);
        buf_printf(out, ",\"count\":%llu}", (unsigned long long)below);
    }
    buf_printf(out,
               "],\"count\":%llu,\"sum\":", (unsigned long long)count_of(s));
    put_scaled(out, s->value, f->scale, false);
}

static void put_json(struct buf *out, const struct metrics_sample *s)
{
    const struct metrics_family *f = &metrics_families[s->family];

    buf_printf(out,
               "{\"type\":\"metric\",\"name\":\"%s\",\"kind\":\"%s\","
               "\"labels\":{",
               f->name, type_names[f->type]);
    for (size_t i = 0; f->labels[i]; i++)
        buf_printf(out, "%s\"%s\":\"%s\"", i ? "," : "", f->labels[i],
                   s->labels[i]);
    buf_putc(out, '}');
    if (f->type == METRICS_HISTOGRAM) {
        put_json_buckets(out, s);
    } else {
        buf_puts(out, ",\"value\":");
        put_scaled(out, shown(s), f->scale, false);
    }
    buf_puts(out, "}\n");
}

/* -------------------------------------------------------------------- whole */

void metrics_set_render(const struct metrics_set *s, enum metrics_format format,
                        struct buf *out)
{
    bool open = format == METRICS_OPENMETRICS;

    for (size_t i = 0; i < s->n; i++) {
        const struct metrics_sample *sample = &s->samples[i];

        if (format == METRICS_JSON) {
            put_json(out, sample);
            continue;
        }
        if (i == 0 || s->samples[i - 1].family != sample->family)
            put_heading(out, &metrics_families[sample->family], open);
        put_sample(out, sample, open);
    }
    if (open)
        buf_puts(out, "# EOF\n");
}
