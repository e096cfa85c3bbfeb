/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist cleanup: removes what dead writers left and no reader can need.
 */
#include "cli/verbs.h"

#include <stdio.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/error.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/text.h"

enum { CLEANUP_OLDER_THAN, CLEANUP_DRY_RUN, N_CLEANUP };

static const struct arg_option options[] = {
    [CLEANUP_OLDER_THAN] = {ARG_DURATION, 0, false, "older-than", "DURATION",
                            "keep leftovers younger than this (1h; uploads: "
                            "7d)",
                            NULL, 0},
    [CLEANUP_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                         "show what would be removed", NULL, 0},
    [N_CLEANUP] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static const struct table_column columns[] = {
    {"KIND", false}, {"SIZE", true}, {"AGE", true}, {"OBJECT", false}};

struct cleanup {
    struct cli *cli;
    struct persist_store *store;
    struct batch batch;
    struct table table;
    uint64_t bytes;
};

static bool is_dry(const struct cleanup *c)
{
    return c->cli->args.own[CLEANUP_DRY_RUN].count > 0;
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [PERSIST_CLEANUP_LEFTOVER] = "leftover",
        [PERSIST_CLEANUP_UPLOAD] = "upload",
        [PERSIST_CLEANUP_CLAIM] = "claim",
        [PERSIST_CLEANUP_TOMBSTONE] = "tombstone",
        [PERSIST_CLEANUP_REMNANT] = "remnant",
    };

    return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind]
                                                                  : "other";
}

static void format_age(uint64_t ms, char out[24])
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    size_t i = 0;

    while (i < 3 && ms < 2 * units[i].ms)
        i++;
    snprintf(out, 24, "%llu%s", (unsigned long long)(ms / units[i].ms),
             units[i].unit);
}

static void print_json(struct cleanup *c,
                       const struct persist_cleanup_item *item)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string("cleaned"));
    json_object_set_new(o, "store", output_text(persist_store_name(c->store)));
    json_object_set_new(o, "kind", json_string(kind_name(item->kind)));
    json_object_set_new(o, "object", output_text(item->object));
    json_object_set_new(o, "size", output_number(item->size));
    json_object_set_new(o, "age_ms", output_number(item->age_ms));
    json_object_set_new(o, "dry_run", json_boolean(is_dry(c)));
    output_json(&c->cli->out, o);
}

static void print_row(struct cleanup *c,
                      const struct persist_cleanup_item *item)
{
    char size[16], age[24];

    text_from_size(item->size, size);
    format_age(item->age_ms, age);
    table_cell(&c->table, kind_name(item->kind));
    table_cell(&c->table, size);
    table_cell(&c->table, age);
    table_cell(&c->table, item->object);
    table_end_row(&c->table);
}

static int report(void *ctx, const struct persist_cleanup_item *item)
{
    struct cleanup *c = ctx;
    struct persist_error err = {0};

    if (item->status != PERSIST_OK) {
        error_set(&err, item->status, "could not remove the %s (%s)",
                  kind_name(item->kind), persist_status_name(item->status));
        error_object(&err, "%s", item->object);
    } else {
        c->bytes += item->size;
        if (c->cli->json)
            print_json(c, item);
        else if (!c->cli->quiet || is_dry(c))
            print_row(c, item);
    }
    batch_add(c->cli, &c->batch, item->status, &err);
    return PERSIST_OK;
}

static int clean(struct cleanup *c, const struct address *address,
                 struct persist_error *err)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    const struct arg_value *older = &c->cli->args.own[CLEANUP_OLDER_THAN];

    int rc = address_open(c->cli, address, &c->store, err);
    if (rc != PERSIST_OK)
        return rc;
    o.flags = is_dry(c) ? PERSIST_CLEANUP_DRY_RUN : 0;
    o.flags |= older->count ? PERSIST_CLEANUP_OLDER_THAN : 0;
    o.older_than_ms = older->number;
    o.timeout_ms = cli_timeout_ms(c->cli);
    o.report = report;
    o.report_ctx = c;
    table_begin(&c->table, &c->cli->out, columns, 4);
    rc = persist_cleanup(c->store, address->text[0] ? address->text : NULL, &o,
                         err);
    table_finish(&c->table);
    return rc;
}

/* Says how old: what a writer left a minute ago is there, and is kept. */
static void note_nothing(struct cli *cli)
{
    const struct arg_value *older = &cli->args.own[CLEANUP_OLDER_THAN];

    cli_note(cli, "there is nothing to remove that is older than %s",
             older->count ? older->text : "1h (uploads: 7d)");
}

static int run(struct cli *cli)
{
    struct cleanup c = {.cli = cli};
    struct persist_error err = {0};
    struct address address;
    char size[16];

    if (address_read(cli, cli->args.n_operands ? cli->args.operands[0] : NULL,
                     ADDRESS_NO_INDEX, &address, &err) != PERSIST_OK)
        return cli_fail_usage(cli, &err);
    int rc = clean(&c, &address, &err);
    if (rc != PERSIST_OK &&
        (c.batch.n_failed == 0 || rc == PERSIST_E_CANCELLED))
        return cli_fail(cli, rc, &err);
    text_from_size(c.bytes, size);
    if (c.batch.n_ok + c.batch.n_failed == 0)
        note_nothing(cli);
    else
        cli_note(cli, "%s %zu object%s, %s",
                 is_dry(&c) ? "dry run: would remove" : "removed", c.batch.n_ok,
                 c.batch.n_ok == 1 ? "" : "s", size);
    return batch_finish(cli, &c.batch);
}

static const char *const examples[] = {"persist cleanup --dry-run",
                                       "persist cleanup writer --older-than 2d",
                                       "persist cleanup archive:", NULL};

const struct verb verb_cleanup = {
    .name = "cleanup",
    .operands = "[STORE:|AGENT|AGENT/SESSION]",
    .elsewhere = "gc clean",
    .summary = "remove what interrupted work left behind",
    .about =
        "Removes temporary files and uploads of writers that died, and claims, "
        "tombstones and remnants no reader can need, in the whole store or "
        "in an agent or session. Never touches a snapshot. Claims, "
        "tombstones and remnants are kept for 7 days whatever is asked for.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
