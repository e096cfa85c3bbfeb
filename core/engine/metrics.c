/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist_metrics_*: collecting, adding what only an instance knows (queues,
 * memory), and giving it to a sink or to the file (metrics_file.c).
 */
#include "engine/metrics.h"

#include <string.h>

#include "util/buf.h"
#include "util/error.h"

#define RENDERED_MAX ((size_t)64 << 20)

#ifdef PERSIST_METRICS

int engine_metrics_create(struct persist *p, struct persist_error *err)
{
    p->metrics = metrics_create();
    metrics_set_init(&p->written);
    return p->metrics ? PERSIST_OK : error_memory(err);
}

void engine_metrics_destroy(struct persist *p)
{
    metrics_set_finish(&p->written);
    metrics_destroy(p->metrics);
}

/* --------------------------------------------------------------- collecting
 */

static int add_value(struct metrics_set *set, enum metrics_family_id family,
                     const char *label, uint64_t value)
{
    struct metrics_sample sample;

    metrics_sample_init(&sample, family, label, NULL, NULL);
    sample.value = value;
    return metrics_set_add(set, &sample);
}

static int add_live(struct persist *p, struct metrics_set *set)
{
    int rc = add_value(set, METRICS_QUEUE, "cpu", executor_queued(p->cpu));

    if (!rc)
        rc = add_value(set, METRICS_QUEUE, "io", executor_queued(p->io));
    if (!rc)
        rc = add_value(set, METRICS_BUDGET_USED, NULL, budget_used(p->budget));
    if (!rc)
        rc =
            add_value(set, METRICS_BUDGET_LIMIT, NULL, budget_limit(p->budget));
    return rc;
}

/* What the instance has counted so far. */
static int add_counted(struct persist *p, struct metrics_set *set)
{
    int rc = metrics_collect(p->metrics, set);

    if (!rc)
        rc = add_value(set, METRICS_SPANS_DROPPED, NULL,
                       tracer_dropped(p->tracer));
    if (!rc)
        rc = add_value(set, METRICS_LINES_SUPPRESSED, NULL,
                       log_suppressed(p->log));
    return rc;
}

static int collect(struct persist *p, struct metrics_set *out,
                   struct persist_error *err)
{
    int rc = add_counted(p, out);

    if (!rc)
        rc = add_live(p, out);
    return rc ? error_memory(err) : PERSIST_OK;
}

/* ---------------------------------------------------------------- rendering
 */

static int check_sink(const struct persist_sink *given,
                      struct persist_sink *out, struct persist_error *err)
{
    int rc;

    if (!given)
        return error_set(err, PERSIST_E_MISUSE, "the sink is NULL");
    rc = engine_options(out, sizeof *out, given, err);
    if (!rc)
        rc = engine_flags(out->flags, 0, err);
    if (!rc && !out->write)
        rc = error_set(err, PERSIST_E_MISUSE, "the sink has no write");
    return rc;
}

static int give(const struct metrics_set *set, int32_t format,
                const struct persist_sink *sink, struct persist_error *err)
{
    struct buf text;
    int rc;

    if (format < PERSIST_METRICS_PROMETHEUS || format > PERSIST_METRICS_JSON)
        return error_set(err, PERSIST_E_INVALID, "no metrics format %d",
                         (int)format);
    buf_init(&text, RENDERED_MAX);
    metrics_set_render(set, (enum metrics_format)format, &text);
    if (buf_failed(&text))
        rc = error_memory(err);
    else
        rc = text.len ? sink->write(sink->ctx, text.data, text.len, err)
                      : PERSIST_OK;
    buf_finish(&text);
    return rc;
}

int persist_metrics_render(struct persist *p, int32_t format,
                           const struct persist_sink *sink,
                           struct persist_error *err)
{
    struct persist_sink to;
    struct metrics_set set;
    int rc = engine_check(p, err);

    if (!rc)
        rc = check_sink(sink, &to, err);
    if (rc)
        return rc;
    metrics_set_init(&set);
    rc = collect(p, &set, err);
    if (!rc)
        rc = give(&set, format, &to, err);
    metrics_set_finish(&set);
    return rc;
}

/* ----------------------------------------------------------------- the file
 */

static int configured_path(struct persist *p, const char **out,
                           struct persist_error *err)
{
    struct config_value v = {0};
    int rc = config_get(p->config, "metrics_textfile", &v, err);

    *out = v.text;
    return rc;
}

static int no_path(struct persist_error *err)
{
    error_set(err, PERSIST_E_NOT_FOUND, "no metrics file is configured");
    error_hint(err, "set \"metrics_textfile = PATH\" in [persist]");
    return PERSIST_E_NOT_FOUND;
}

int persist_metrics_file(struct persist *p, int32_t format,
                         const struct persist_sink *sink,
                         struct persist_error *err)
{
    struct persist_sink to;
    struct metrics_set set;
    const char *path = NULL;
    int rc = engine_check(p, err);

    if (!rc)
        rc = check_sink(sink, &to, err);
    if (!rc)
        rc = configured_path(p, &path, err);
    if (rc)
        return rc;
    if (!path)
        return no_path(err);
    metrics_set_init(&set);
    rc = engine_metrics_file_read(path, &set, err);
    if (!rc)
        rc = give(&set, format, &to, err);
    metrics_set_finish(&set);
    return rc;
}

/* What was counted since the last time; under metrics_mutex. */
static int flush(struct persist *p, const char *path, struct persist_error *err)
{
    struct metrics_set now, since;
    int rc;

    metrics_set_init(&now);
    metrics_set_init(&since);
    rc = add_counted(p, &now);
    if (!rc)
        rc = metrics_set_copy(&since, &now);
    if (rc) {
        rc = error_memory(err);
    } else {
        metrics_set_subtract(&since, &p->written);
        if (!metrics_set_is_empty(&since))
            rc = engine_metrics_file_add(p, path, &since, err);
    }
    metrics_set_finish(&since);
    if (rc) {
        metrics_set_finish(&now);
        return rc;
    }
    metrics_set_finish(&p->written);
    p->written = now;
    return PERSIST_OK;
}

int persist_metrics_flush(struct persist *p, struct persist_error *err)
{
    const char *path = NULL;
    int rc = engine_check(p, err);

    if (!rc)
        rc = configured_path(p, &path, err);
    if (rc || !path)
        return rc;
    pthread_mutex_lock(&p->metrics_mutex);
    rc = flush(p, path, err);
    pthread_mutex_unlock(&p->metrics_mutex);
    return rc;
}

#else

/* A key that would have no effect is refused. */
int engine_metrics_create(struct persist *p, struct persist_error *err)
{
    struct config_value v = {0};
    int rc = config_get(p->config, "metrics_textfile", &v, err);

    if (!rc && v.text)
        rc = error_set(err, PERSIST_E_CONFIG,
                       "%s: metrics_textfile: this build has no metrics",
                       v.origin);
    return rc;
}

void engine_metrics_destroy(struct persist *p)
{
    (void)p;
}

static int unsupported(const struct persist *p, struct persist_error *err)
{
    int rc = engine_check(p, err);

    return rc ? rc
              : error_set(err, PERSIST_E_UNSUPPORTED,
                          "this build has no metrics (PERSIST_METRICS)");
}

int persist_metrics_render(struct persist *p, int32_t format,
                           const struct persist_sink *sink,
                           struct persist_error *err)
{
    (void)format;
    (void)sink;
    return unsupported(p, err);
}

int persist_metrics_file(struct persist *p, int32_t format,
                         const struct persist_sink *sink,
                         struct persist_error *err)
{
    (void)format;
    (void)sink;
    return unsupported(p, err);
}

int persist_metrics_flush(struct persist *p, struct persist_error *err)
{
    return unsupported(p, err);
}

#endif
