/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist show: what a snapshot says of itself.
 */
#include "cli/verbs.h"

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/signals.h"

static const struct arg_option options[] = {
    {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static int show(struct cli *cli, const struct address *address,
                struct persist_error *err)
{
    struct persist_metadata *metadata = NULL;
    struct persist_store *store;

    int rc = address_open(cli, address, &store, err);
    if (rc != PERSIST_OK)
        return rc;
    /* persist_show takes no options: its deadline is a signal. */
    signals_deadline(cli_timeout_ms(cli));
    rc = persist_show(store, address->text, &metadata, err);
    signals_deadline(0);
    if (rc == PERSIST_OK && cli->json) {
        json_t *object = describe_json("snapshot", store, metadata, err);
        if (object)
            output_json(&cli->out, object);
        else
            rc = err->status;
    } else if (rc == PERSIST_OK) {
        describe_lines(&cli->out, store, metadata);
    }
    persist_metadata_free(metadata);
    return rc;
}

static int run(struct cli *cli)
{
    struct persist_error err = {0};
    struct address address;

    if (address_read(cli, cli->args.operands[0], ADDRESS_AGENT, &address,
                     &err) != PERSIST_OK)
        return cli_fail_usage(cli, &err);
    int rc = show(cli, &address, &err);
    return rc == PERSIST_OK ? EXIT_OK : cli_fail(cli, rc, &err);
}

static const char *const examples[] = {
    "persist show writer", "persist show writer/night@7 --json", NULL};

const struct verb verb_show = {
    .name = "show",
    .operands = "ADDRESS",
    .elsewhere = "info stat inspect",
    .summary = "show a snapshot's metadata",
    .about = "Reads only the snapshot's beginning and end, whatever its size; "
             "it does not verify the payload (persist verify does).",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
