/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist list: the agents of a store, the sessions of an agent, or the
 * snapshots of a session.  Rows stream: nothing here grows with their number.
 */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/text.h"

#define LABELS_MAX 4096

enum { LIST_LONG, LIST_LIMIT, N_LIST };

static const struct arg_option options[] = {
    [LIST_LONG] = {ARG_FLAG, 0, false, "long", NULL,
                   "read each snapshot's metadata too", NULL, 0},
    [LIST_LIMIT] = {ARG_U64, 'l', false, "limit", "N",
                    "at most N rows (snapshots: the newest)", NULL, 0},
    [N_LIST] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static const struct table_column agent_columns[] = {{"AGENT", false}};
static const struct table_column session_columns[] = {
    {"SESSION", false}, {"LATEST", true}, {"MODIFIED", false}};
static const struct table_column snapshot_columns[] = {
    {"SNAPSHOT", false}, {"STORED", true}, {"MODIFIED", false}};
static const struct table_column long_columns[] = {
    {"SNAPSHOT", false}, {"SIZE", true},        {"STORED", true},
    {"CODEC", false},    {"SAVED", false},      {"SCHEMA", false},
    {"LABELS", false},   {"DESCRIPTION", false}};

struct listing {
    struct cli *cli;
    struct persist_store *store;
    bool is_long;
    uint64_t n_rows;
    uint64_t n_unreadable;
    bool table_begun;
    struct table table;
    char address[ADDRESS_TEXT_LEN]; /* of the row */
    size_t session_len; /* snapshots: what of it all rows begin with */
};

/* Snapshots are of one session: only the index differs. */
static const char *entry_address(struct listing *l,
                                 const struct persist_entry *e)
{
    if (e->kind != PERSIST_ENTRY_SNAPSHOT || l->session_len == 0)
        address_text(e->agent, e->session,
                     e->kind == PERSIST_ENTRY_SNAPSHOT ? &e->index : NULL,
                     l->address);
    if (e->kind != PERSIST_ENTRY_SNAPSHOT)
        return l->address;
    if (l->session_len == 0) {
        const char *at = strrchr(l->address, '@');
        l->session_len = at ? (size_t)(at - l->address) + 1 : 0;
    } else {
        text_from_u64(e->index, l->address + l->session_len);
    }
    return l->address;
}

/* -------------------------------------------------------------------- JSON */

static json_t *entry_json(struct listing *l, const struct persist_entry *e)
{
    static const char *const types[] = {
        [PERSIST_ENTRY_AGENT] = "agent",
        [PERSIST_ENTRY_SESSION] = "session",
        [PERSIST_ENTRY_SNAPSHOT] = "snapshot",
    };
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string(types[e->kind]));
    json_object_set_new(o, "store", output_text(persist_store_name(l->store)));
    json_object_set_new(o, "address", output_text(entry_address(l, e)));
    json_object_set_new(o, "agent_id", output_text(e->agent));
    if (e->session)
        json_object_set_new(o, "session_id", output_text(e->session));
    if (e->kind == PERSIST_ENTRY_SNAPSHOT) {
        json_object_set_new(o, "snapshot_index", output_number(e->index));
        json_object_set_new(o, "compressed_size",
                            output_number(e->stored_size));
    }
    if (e->kind == PERSIST_ENTRY_SESSION)
        json_object_set_new(o, "latest_index",
                            e->present & PERSIST_ENTRY_LATEST
                                ? output_number(e->index)
                                : json_null());
    if (e->present & PERSIST_ENTRY_MODIFIED)
        json_object_set_new(o, "modified", output_time(e->modified_us));
    return o;
}

static int print_json(struct listing *l, const struct persist_entry *e,
                      struct persist_error *err)
{
    json_t *object = entry_json(l, e);

    if (!object)
        return error_memory(err);
    if (e->metadata) {
        json_t *more = describe_json("snapshot", l->store, e->metadata, err);
        if (!more || json_object_update_missing(object, more) != 0) {
            json_decref(object);
            json_decref(more);
            return err->status ? err->status : error_memory(err);
        }
        json_decref(more);
    } else if (l->is_long) {
        json_object_set_new(
            object, "metadata_error",
            json_string(persist_status_name(e->metadata_status)));
    }
    output_json(&l->cli->out, object);
    return PERSIST_OK;
}

/* ------------------------------------------------------------------- table */

static void begin_table(struct listing *l, uint32_t kind)
{
    static const struct {
        const struct table_column *columns;
        size_t n;
    } tables[] = {
        [PERSIST_ENTRY_AGENT] = {agent_columns, 1},
        [PERSIST_ENTRY_SESSION] = {session_columns, 3},
        [PERSIST_ENTRY_SNAPSHOT] = {snapshot_columns, 3},
    };

    if (l->is_long)
        table_begin(&l->table, &l->cli->out, long_columns, 8);
    else
        table_begin(&l->table, &l->cli->out, tables[kind].columns,
                    tables[kind].n);
    l->table_begun = true;
}

static void size_cell(struct table *t, uint64_t bytes)
{
    char text[16];

    text_from_size(bytes, text);
    table_cell(t, text);
}

static void modified_cell(struct table *t, const struct persist_entry *e)
{
    char text[OUTPUT_TIME_LEN];

    if (e->present & PERSIST_ENTRY_MODIFIED)
        output_local_time(e->modified_us, false, text);
    table_cell(t, e->present & PERSIST_ENTRY_MODIFIED ? text : NULL);
}

/* "k=v l=w", as show has them one a line; cut where they are very many. */
static void labels_cell(struct table *t, const struct persist_metadata *m)
{
    struct buf text;

    buf_init(&text, LABELS_MAX);
    for (size_t i = 0; i < m->n_labels; i++)
        buf_printf(&text, "%s%s=%s", i ? " " : "", m->labels[i].key,
                   m->labels[i].value);
    if (buf_failed(&text))
        table_cell(t, "(persist show has them)");
    else
        table_cell(t, text.len > 0 ? text.data : NULL);
    buf_finish(&text);
}

static void long_cells(struct table *t, const struct persist_entry *e)
{
    const struct persist_metadata *m = e->metadata;
    char text[OUTPUT_TIME_LEN];

    if (m && m->present & PERSIST_META_TRAILER)
        size_cell(t, m->uncompressed_size);
    else
        table_cell(t, NULL);
    size_cell(t, e->stored_size);
    if (!m) {
        table_cell(t, NULL);
        modified_cell(t, e);
        table_cell(t, NULL);
        table_cell(t, NULL);
        snprintf(text, sizeof(text), "(%s)",
                 persist_status_name(e->metadata_status));
        table_cell(t, text);
        return;
    }
    table_cell(t, m->compression_algorithm);
    describe_time(m->timestamp, false, text);
    table_cell(t, text);
    table_cell(t, m->schema);
    labels_cell(t, m);
    table_cell(t, m->description);
}

static void print_row(struct listing *l, const struct persist_entry *e)
{
    char text[TEXT_U64_LEN];

    if (!l->table_begun)
        begin_table(l, e->kind);
    table_cell(&l->table, entry_address(l, e));
    if (l->is_long) {
        long_cells(&l->table, e);
    } else if (e->kind == PERSIST_ENTRY_SNAPSHOT) {
        size_cell(&l->table, e->stored_size);
        modified_cell(&l->table, e);
    } else if (e->kind == PERSIST_ENTRY_SESSION) {
        text_from_u64(e->index, text);
        table_cell(&l->table, e->present & PERSIST_ENTRY_LATEST ? text : NULL);
        modified_cell(&l->table, e);
    }
    table_end_row(&l->table);
}

/* --------------------------------------------------------------------- run */

static int print_rows(struct listing *l, struct persist_listing *listing,
                      struct persist_error *err)
{
    const struct persist_entry *entry;
    int rc;

    while (!output_failed(&l->cli->out) &&
           (rc = persist_listing_next(listing, &entry, err)) != 0) {
        if (rc < 0)
            return rc;
        l->n_rows++;
        if (l->is_long && entry->metadata_status != PERSIST_OK)
            l->n_unreadable++;
        if (!l->cli->json) {
            print_row(l, entry);
            continue;
        }
        rc = print_json(l, entry, err);
        if (rc != PERSIST_OK)
            return rc;
    }
    return PERSIST_OK;
}

static int list(struct listing *l, const struct address *address,
                struct persist_error *err)
{
    struct persist_list_options o = PERSIST_LIST_OPTIONS_INIT;
    struct persist_listing *listing = NULL;

    int rc = address_open(l->cli, address, &l->store, err);
    if (rc != PERSIST_OK)
        return rc;
    o.flags = l->is_long ? PERSIST_LIST_LONG : 0;
    o.limit = l->cli->args.own[LIST_LIMIT].number;
    o.timeout_ms = cli_timeout_ms(l->cli);
    rc = persist_list(l->store, address->text[0] ? address->text : NULL, &o,
                      &listing, err);
    if (rc == PERSIST_OK)
        rc = print_rows(l, listing, err);
    persist_listing_close(listing);
    if (l->table_begun)
        table_finish(&l->table);
    return rc;
}

static int unreadable(struct cli *cli, const struct listing *l)
{
    struct batch batch = {.n_ok = (size_t)(l->n_rows - l->n_unreadable)};
    struct persist_error err;

    error_set(&err, PERSIST_E_CORRUPT,
              "the metadata of %llu snapshot%s could not be read",
              (unsigned long long)l->n_unreadable,
              l->n_unreadable == 1 ? "" : "s");
    error_hint(&err, "persist verify ADDRESS says what is wrong with one");
    batch_add(cli, &batch, PERSIST_E_CORRUPT, &err);
    return batch_finish(cli, &batch);
}

/* "list archive" for "list archive:": opening a store makes no request. */
static void hint_at_store(struct cli *cli, const struct address *address,
                          struct persist_error *err)
{
    const char *agent = address->parts.agent;
    struct persist_store *store = NULL;
    struct persist_error ignored;

    if (!agent[0] || address->store ||
        (address->parts.present & PERSIST_ADDRESS_SESSION) ||
        cli_open_store(cli, agent, &store, &ignored) != PERSIST_OK)
        return;
    error_hint(err, "%s is a store: persist list %s:", agent, agent);
}

static int run(struct cli *cli)
{
    struct listing l = {.cli = cli,
                        .is_long = cli->args.own[LIST_LONG].count > 0};
    const struct arg_value *limit = &cli->args.own[LIST_LIMIT];
    struct persist_error err = {0};
    struct address address;

    if (limit->count && limit->number == 0)
        return cli_usage(cli, NULL, "--limit: must be at least 1");
    if (address_read(cli, cli->args.n_operands ? cli->args.operands[0] : NULL,
                     ADDRESS_NO_INDEX, &address, &err) != PERSIST_OK) {
        if (address_names_index(&address) && !err.hint[0])
            error_hint(&err, "persist show %s describes that snapshot",
                       cli->args.operands[0]);
        return cli_fail_usage(cli, &err);
    }
    if (l.is_long && !(address.parts.present & PERSIST_ADDRESS_SESSION))
        return cli_usage(cli, "persist list --long AGENT/default",
                         "--long is for the snapshots of AGENT/SESSION");
    int rc = list(&l, &address, &err);
    if (rc == PERSIST_E_NOT_FOUND && !err.hint[0])
        hint_at_store(cli, &address, &err);
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    if (l.n_rows == 0)
        cli_note(cli,
                 "the store \"%s\" holds no snapshots yet; persist save "
                 "AGENT FILE makes the first",
                 persist_store_name(l.store));
    return l.n_unreadable ? unreadable(cli, &l) : EXIT_OK;
}

static const char *const examples[] = {
    "persist list                        # agents",
    "persist list writer                 # sessions of writer",
    "persist list writer/default -l 10   # its newest snapshots",
    "persist list writer/default --long",
    "persist list archive:               # agents of another store",
    NULL};

const struct verb verb_list = {
    .name = "list",
    .operands = "[STORE:|AGENT|AGENT/SESSION]",
    .elsewhere = "ls dir snapshots",
    .summary = "list agents, sessions or snapshots",
    .about = "Without an operand, or with STORE:, lists the agents of the "
             "store; with AGENT its sessions and the latest index of each; "
             "with AGENT/SESSION its snapshots, newest first. What stands in "
             "the first column is an address for the other verbs.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
