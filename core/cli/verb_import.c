/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist import: snapshot files of Persist 0.1.
 */
#include "cli/verbs.h"

#include <stdint.h>
#include <string.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/progress.h"

enum { IMPORT_DRY_RUN, N_IMPORT };

static const struct arg_option options[] = {
    [IMPORT_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                        "read and check the files, write nothing", NULL, 0},
    [N_IMPORT] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

struct import {
    struct cli *cli;
    struct persist_store *store;
    struct batch batch;
};

static bool is_dry(const struct import *in)
{
    return in->cli->args.own[IMPORT_DRY_RUN].count > 0;
}

static void print_json(struct import *in,
                       const struct persist_import_item *item)
{
    struct persist_error ignored = {0};
    json_t *o = item->metadata ? describe_json("imported", in->store,
                                               item->metadata, &ignored)
                               : json_object();

    json_object_set_new(o, "type", json_string("imported"));
    json_object_set_new(o, "store", output_text(persist_store_name(in->store)));
    json_object_set_new(o, "path", output_text(item->path));
    json_object_set_new(o, "address", output_text(item->address));
    json_object_set_new(o, "skipped", json_boolean(item->skipped));
    json_object_set_new(o, "dry_run", json_boolean(is_dry(in)));
    output_json(&in->cli->out, o);
}

static void print_line(struct import *in,
                       const struct persist_import_item *item)
{
    struct output *out = &in->cli->out;
    const char *what = is_dry(in) ? "can become" : "imported as";

    if (in->cli->quiet)
        return;
    if (item->skipped)
        what = "was imported before as";
    output_escaped(out, item->path);
    output_printf(out, ": %s ", what);
    output_escaped(out, item->address ? item->address : "?");
    output_write(out, "\n", 1);
}

static int report(void *ctx, const struct persist_import_item *item)
{
    struct import *in = ctx;
    struct persist_error err = {0};

    if (item->error)
        err = *item->error;
    if (item->status != PERSIST_OK) {
        if (!strstr(err.message, item->path) && !err.object[0])
            memcpy(err.object, item->path,
                   strnlen(item->path, sizeof(err.object) - 1));
    } else if (in->cli->json) {
        print_json(in, item);
    } else {
        print_line(in, item);
    }
    batch_add(in->cli, &in->batch, item->status, &err);
    output_flush(&in->cli->out);
    /* A reader of standard output that went away stops no import. */
    return PERSIST_OK;
}

static int run(struct cli *cli)
{
    struct persist_import_options o = PERSIST_IMPORT_OPTIONS_INIT;
    struct import in = {.cli = cli};
    struct persist_error err = {0};
    struct progress progress;

    int rc = cli_open_store(cli, cli->args.global[GLOBAL_STORE].text, &in.store,
                            &err);
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    progress_begin(&progress, cli, persist_store_name(in.store), false);
    o.flags = is_dry(&in) ? PERSIST_IMPORT_DRY_RUN : 0;
    o.timeout_ms = cli_timeout_ms(cli);
    o.report = report;
    o.report_ctx = &in;
    o.op = progress.op;
    rc = persist_import(in.store, (const char *const *)cli->args.operands,
                        cli->args.n_operands, &o, &err);
    progress_end(&progress);
    /* What stopped all of it was not reported with a file. */
    if (rc != PERSIST_OK &&
        (in.batch.n_failed == 0 || rc == PERSIST_E_CANCELLED))
        return cli_fail(cli, rc, &err);
    if (in.batch.n_failed == 0 && is_dry(&in))
        cli_note(cli, "dry run: nothing was written");
    return batch_finish(cli, &in.batch);
}

static const char *const examples[] = {
    "persist import --dry-run old/*.json.gz", "persist import old/*.json.gz",
    "persist -s archive import old/*.json.gz --json", NULL};

const struct verb verb_import = {
    .name = "import",
    .operands = "FILE...",
    .summary = "take over snapshot files of Persist 0.1",
    .about =
        "Appends the payload of each file (*.json.gz, as 0.1 called them), "
        "byte for byte, to the session its "
        "agent and session name, in the order of their timestamps. What was "
        "imported before is skipped, so it can be run again. A file that fails "
        "does not stop the rest; the exit code is then 3.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .run = run,
};
