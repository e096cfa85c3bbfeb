/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist metrics: what the runs of the command have counted.  A run's own
 * numbers end with it; those of all runs are in the metrics file.
 */
#include "cli/verbs.h"

#include "cli/cli.h"
#include "cli/error.h"

enum { METRICS_OPENMETRICS, N_METRICS };

static const struct arg_option options[] = {
    [METRICS_OPENMETRICS] = {ARG_FLAG, 0, false, "openmetrics", NULL,
                             "print OpenMetrics 1.0", NULL, 0},
    [N_METRICS] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

struct printed {
    struct output *out;
    size_t len;
};

static int print(void *ctx, const void *data, size_t len,
                 struct persist_error *err)
{
    struct printed *p = ctx;

    (void)err;
    output_write(p->out, data, len);
    p->len += len;
    return PERSIST_OK;
}

static int run(struct cli *cli)
{
    struct printed printed = {&cli->out, 0};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};
    int32_t format = PERSIST_METRICS_PROMETHEUS;

    if (cli->json)
        format = PERSIST_METRICS_JSON;
    if (cli->args.own[METRICS_OPENMETRICS].count)
        format = PERSIST_METRICS_OPENMETRICS;
    if (cli->json && format == PERSIST_METRICS_OPENMETRICS)
        return cli_usage(cli, NULL,
                         "--json and --openmetrics exclude each other");
    sink.write = print;
    sink.ctx = &printed;
    int rc = cli_open_instance(cli, &err);
    if (rc == PERSIST_OK)
        rc = persist_metrics_file(cli->p, format, &sink, &err);
    if (rc == PERSIST_E_NOT_FOUND) /* what is missing is a line of it */
        err.status = rc = PERSIST_E_CONFIG;
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    if (printed.len == 0)
        cli_note(cli, "nothing has been counted yet");
    return EXIT_OK;
}

static const char *const examples[] = {"persist metrics",
                                       "persist metrics --json",
                                       "persist metrics --openmetrics", NULL};

const struct verb verb_metrics = {
    .name = "metrics",
    .operands = "",
    .elsewhere = "stats",
    .summary = "show what has been counted",
    .about =
        "Prints the metrics file: the numbers of all runs since it was "
        "begun, in the Prometheus text format. The configuration names "
        "it (metrics_textfile in [persist]); every run that touches a "
        "store adds to it. observability.md, of the manual, has the names.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 0,
    .run = run,
};
