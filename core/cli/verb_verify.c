/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist verify: reads every stored byte of snapshots and checks everything.
 */
#include "cli/verbs.h"

#include <stdint.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/progress.h"
#include "util/text.h"

static const struct arg_option options[] = {
    {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static int print(struct cli *cli, struct persist_store *store,
                 const struct persist_metadata *m, struct persist_error *err)
{
    char address[ADDRESS_TEXT_LEN], size[16];

    if (cli->json) {
        json_t *object = describe_json("verified", store, m, err);
        if (!object)
            return err->status;
        output_json(&cli->out, object);
    } else if (!cli->quiet) {
        describe_address(m, address);
        text_from_size(m->uncompressed_size, size);
        output_escaped(&cli->out, address);
        output_printf(&cli->out, ": ok, %s, sha-256 ", size);
        output_escaped(&cli->out, m->content_hash);
        output_write(&cli->out, "\n", 1);
    }
    /* The next one may take long. */
    output_flush(&cli->out);
    return PERSIST_OK;
}

static int verify(struct cli *cli, const struct address *address,
                  struct persist_error *err)
{
    struct persist_verify_options o = PERSIST_VERIFY_OPTIONS_INIT;
    struct persist_metadata *metadata = NULL;
    struct persist_store *store;
    struct progress progress;

    int rc = address_open(cli, address, &store, err);
    if (rc != PERSIST_OK)
        return rc;
    progress_begin(&progress, cli, address->text, false);
    o.op = progress.op;
    o.timeout_ms = cli_timeout_ms(cli);
    rc = persist_verify(store, address->text, &o, &metadata, err);
    progress_end(&progress);
    if (rc == PERSIST_OK)
        rc = print(cli, store, metadata, err);
    persist_metadata_free(metadata);
    return rc;
}

static int run(struct cli *cli)
{
    return address_each(cli, ADDRESS_AGENT, verify);
}

static const char *const examples[] = {
    "persist verify writer", "persist verify writer@6 writer@7 --json", NULL};

const struct verb verb_verify = {
    .name = "verify",
    .operands = "ADDRESS...",
    .elsewhere = "check fsck scrub",
    .summary = "check snapshots, every byte of them",
    .about = "Reads everything that is stored and checks all there is to "
             "check: structure, checksums, sizes and the SHA-256 of the "
             "payload. Where some of several fail, the exit code is 3.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .run = run,
};
