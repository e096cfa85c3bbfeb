/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist delete: snapshots by their index.
 */
#include "cli/verbs.h"

#include <stdint.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/error.h"

enum { DELETE_DRY_RUN, N_DELETE };

static const struct arg_option options[] = {
    [DELETE_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                        "show what would be deleted", NULL, 0},
    [N_DELETE] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static void print(struct cli *cli, struct persist_store *store,
                  const struct address *address, uint64_t index)
{
    const struct persist_address *parts = &address->parts;
    bool dry_run = cli->args.own[DELETE_DRY_RUN].count > 0;
    const char *session =
        parts->present & PERSIST_ADDRESS_SESSION ? parts->session : "default";
    char text[ADDRESS_TEXT_LEN];

    address_text(parts->agent, session, &index, text);
    if (cli->json) {
        json_t *o = json_object();
        json_object_set_new(o, "type", json_string("deleted"));
        json_object_set_new(o, "store", output_text(persist_store_name(store)));
        json_object_set_new(o, "address", output_text(text));
        json_object_set_new(o, "agent_id", output_text(parts->agent));
        json_object_set_new(o, "session_id", output_text(session));
        json_object_set_new(o, "snapshot_index", output_number(index));
        json_object_set_new(o, "dry_run", json_boolean(dry_run));
        output_json(&cli->out, o);
    } else if (!cli->quiet || dry_run) {
        output_printf(&cli->out, "%s ", dry_run ? "would delete" : "deleted");
        output_escaped(&cli->out, text);
        output_write(&cli->out, "\n", 1);
    }
    output_flush(&cli->out);
}

static int delete_one(struct cli *cli, const struct address *address,
                      struct persist_error *err)
{
    struct persist_delete_options o = PERSIST_DELETE_OPTIONS_INIT;
    struct persist_store *store;
    uint64_t index = 0;

    int rc = address_open(cli, address, &store, err);
    if (rc != PERSIST_OK)
        return rc;
    o.flags = cli->args.own[DELETE_DRY_RUN].count ? PERSIST_DELETE_DRY_RUN : 0;
    o.timeout_ms = cli_timeout_ms(cli);
    rc = persist_delete(store, address->text, &o, &index, err);
    if (rc == PERSIST_OK)
        print(cli, store, address, index);
    return rc;
}

static int run(struct cli *cli)
{
    return address_each(cli, ADDRESS_AGENT | ADDRESS_INDEX, delete_one);
}

static const char *const examples[] = {
    "persist delete writer@7", "persist delete writer@latest --dry-run",
    "persist delete writer/night@0 writer/night@1", NULL};

const struct verb verb_delete = {
    .name = "delete",
    .operands = "ADDRESS...",
    .elsewhere = "rm remove del forget unlink",
    .summary = "delete snapshots",
    .about = "Deletes each snapshot, durably; its index is never given out "
             "again. An address needs @INDEX, or @latest written out. Where "
             "some of several fail, the exit code is 3.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .run = run,
};
