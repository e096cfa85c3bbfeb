/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist save: a file or standard input becomes the next snapshot of a
 * session.
 */
#include "cli/verbs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/progress.h"
#include "util/error.h"

enum {
    SAVE_DRY_RUN,
    SAVE_INDEX,
    SAVE_AFTER,
    SAVE_DESCRIPTION,
    SAVE_LABEL,
    SAVE_SCHEMA,
    SAVE_CONTENT_TYPE,
    SAVE_COMPRESSION,
    SAVE_LEVEL,
    SAVE_SIZE_HINT,
    SAVE_SKIP_UNCHANGED,
    SAVE_RESUME,
    N_SAVE
};

/* In the order of enum persist_compression, behind its default. */
static const char *const compressions[] = {"zstd", "gzip", NULL};

static const struct arg_option options[] = {
    [SAVE_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                      "do all but write; show what would be saved", NULL, 0},
    [SAVE_INDEX] = {ARG_U64, 0, false, "index", "N",
                    "fail unless N is the next index", NULL, PERSIST_INDEX_MAX},
    [SAVE_AFTER] = {ARG_U64, 0, false, "after", "N",
                    "fail if someone has saved an index above N", NULL,
                    PERSIST_INDEX_MAX},
    [SAVE_DESCRIPTION] = {ARG_TEXT, 0, false, "description", "TEXT",
                          "a line for people", NULL, 0},
    [SAVE_LABEL] = {ARG_PAIR, 0, true, "label", "KEY=VALUE",
                    "attach a label (repeatable)", NULL, 0},
    [SAVE_SCHEMA] = {ARG_TEXT, 0, false, "schema", "NAME",
                     "what shape the payload has; restore can require it", NULL,
                     0},
    [SAVE_CONTENT_TYPE] = {ARG_TEXT, 0, false, "content-type", "TYPE",
                           "media type (application/octet-stream)", NULL, 0},
    [SAVE_COMPRESSION] = {ARG_CHOICE, 0, false, "compression", "CODEC",
                          "zstd (default) or gzip", compressions, 0},
    [SAVE_LEVEL] = {ARG_U64, 0, false, "level", "N",
                    "zstd 1 to 19 (1), gzip 0 to 3 (1)", NULL, 99},
    [SAVE_SIZE_HINT] = {ARG_SIZE, 0, false, "size-hint", "SIZE",
                        "about how much will come from a pipe", NULL, 0},
    [SAVE_SKIP_UNCHANGED] = {ARG_FLAG, 0, false, "skip-unchanged", NULL,
                             "write nothing where the latest is equal", NULL,
                             0},
    [SAVE_RESUME] = {ARG_FLAG, 0, false, "resume", NULL,
                     "leave an interrupted upload of FILE as it is, and go on "
                     "with it the next time",
                     NULL, 0},
    [N_SAVE] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

/* "k=v" within argv becomes two strings. */
static struct persist_label *split_labels(const struct arg_value *value)
{
    struct persist_label *labels = calloc(value->count + 1, sizeof(*labels));

    for (size_t i = 0; labels && i < value->count; i++) {
        char *equals = strchr(value->items[i], '=');
        *equals = '\0';
        labels[i].key = value->items[i];
        labels[i].value = equals + 1;
    }
    return labels;
}

static void set_options(const struct cli *cli, struct persist_save_options *o)
{
    static const struct {
        unsigned option;
        uint32_t flag;
    } flags[] = {
        {SAVE_DRY_RUN, PERSIST_SAVE_DRY_RUN},
        {SAVE_INDEX, PERSIST_SAVE_INDEX},
        {SAVE_AFTER, PERSIST_SAVE_AFTER},
        {SAVE_LEVEL, PERSIST_SAVE_LEVEL},
        {SAVE_SIZE_HINT, PERSIST_SAVE_SIZE_HINT},
        {SAVE_SKIP_UNCHANGED, PERSIST_SAVE_SKIP_UNCHANGED},
        {SAVE_RESUME, PERSIST_SAVE_RESUME},
    };
    const struct arg_value *own = cli->args.own;

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        o->flags |= own[flags[i].option].count ? flags[i].flag : 0;
    o->index = own[SAVE_INDEX].number;
    o->after = own[SAVE_AFTER].number;
    o->level = (int32_t)own[SAVE_LEVEL].number;
    o->size_hint = own[SAVE_SIZE_HINT].number;
    o->description = own[SAVE_DESCRIPTION].text;
    o->schema = own[SAVE_SCHEMA].text;
    o->content_type = own[SAVE_CONTENT_TYPE].text;
    o->n_labels = own[SAVE_LABEL].count;
    o->timeout_ms = cli_timeout_ms(cli);
    if (own[SAVE_COMPRESSION].count)
        o->compression = (int32_t)own[SAVE_COMPRESSION].number + 1;
}

static const char *durability(int rc, const struct persist_metadata *metadata)
{
    if (rc == PERSIST_E_NOT_DURABLE)
        return "not_durable";
    return metadata->present & PERSIST_META_FILE_ONLY ? "file" : "full";
}

static int print_json(struct cli *cli, struct persist_store *store, int rc,
                      const struct persist_metadata *metadata,
                      struct persist_error *err)
{
    bool unchanged = metadata->present & PERSIST_META_UNCHANGED;
    bool dry_run = cli->args.own[SAVE_DRY_RUN].count > 0;
    json_t *object = describe_json("snapshot", store, metadata, err);

    if (!object)
        return err->status;
    json_object_set_new(object, "durability",
                        dry_run ? json_null()
                                : json_string(durability(rc, metadata)));
    json_object_set_new(object, "unchanged", json_boolean(unchanged));
    json_object_set_new(object, "dry_run", json_boolean(dry_run));
    output_json(&cli->out, object);
    return PERSIST_OK;
}

static int print_result(struct cli *cli, struct persist_store *store, int rc,
                        const struct persist_metadata *metadata,
                        struct persist_error *err)
{
    char address[ADDRESS_TEXT_LEN];

    describe_address(metadata, address);
    if (rc == PERSIST_OK && !cli->args.own[SAVE_DRY_RUN].count)
        cli->done = "the snapshot is saved, and only its address got lost";
    if (metadata->present & PERSIST_META_UNCHANGED)
        cli_note(cli, "%s holds the same payload: nothing was written",
                 address);
    else if (cli->args.own[SAVE_DRY_RUN].count)
        cli_note(cli, "dry run: nothing was written");
    if (cli->json)
        return print_json(cli, store, rc, metadata, err);
    if (!cli->quiet) {
        output_escaped(&cli->out, address);
        output_write(&cli->out, "\n", 1);
    }
    return PERSIST_OK;
}

static int save(struct cli *cli, const struct address *address,
                struct persist_store *store, const char *path,
                struct persist_save_options *o, struct persist_error *err)
{
    struct persist_metadata *metadata = NULL;
    struct progress progress;
    int rc;

    progress_begin(&progress, cli, address->text, false);
    o->op = progress.op;
    if (path)
        rc = persist_save_file(store, address->text, path, o, &metadata, err);
    else
        rc = persist_save_fd(store, address->text, STDIN_FILENO, o, &metadata,
                             err);
    progress_end(&progress);
    if (metadata) {
        struct persist_error late = {0};
        int printed = print_result(cli, store, rc, metadata, &late);
        if (rc == PERSIST_OK && printed != PERSIST_OK) {
            *err = late;
            rc = printed;
        }
    }
    persist_metadata_free(metadata);
    return rc;
}

/* Slips that many other tools would have taken. */
static void hint_at_operands(const struct cli *cli, const char *path, int rc,
                             struct persist_error *err)
{
    const char *first = cli->args.operands[0];
    struct stat st;

    if (!path || strcmp(err->object, path) != 0)
        return;
    if (rc == PERSIST_E_NOT_FOUND && stat(first, &st) == 0)
        error_hint(err, "the address comes first: persist save %s %s", path,
                   first);
    else if (rc == PERSIST_E_INVALID && stat(path, &st) == 0 &&
             S_ISDIR(st.st_mode))
        error_hint(err, "tar -c %s | persist save %s -", path, first);
}

/* What standard input is where nobody pipes a payload in: the address or the
 * file was forgotten, and an empty snapshot would look like a good save. */
static const char *idle_input(void)
{
    struct stat in, null;

    if (isatty(STDIN_FILENO) == 1)
        return "a terminal";
    if (fstat(STDIN_FILENO, &in) == 0 && S_ISCHR(in.st_mode) &&
        stat("/dev/null", &null) == 0 && in.st_rdev == null.st_rdev)
        return "/dev/null";
    return NULL;
}

static int run(struct cli *cli)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist_store *store = NULL;
    struct address address;
    const char *path = cli->args.n_operands > 1 ? cli->args.operands[1] : NULL;

    const char *idle = path ? NULL : idle_input();

    if (idle)
        return cli_usage(cli,
                         "name a FILE, or pipe the payload in; \"-\" takes "
                         "what there is",
                         "FILE is missing and standard input is %s", idle);
    if (path && strcmp(path, "-") == 0)
        path = NULL;
    int rc = address_read(cli, cli->args.operands[0],
                          ADDRESS_AGENT | ADDRESS_NO_INDEX, &address, &err);
    if (rc != PERSIST_OK) {
        if (address_names_index(&address) && !err.hint[0])
            error_hint(&err, "the next index is taken; --index N insists on "
                             "one");
        return cli_fail_usage(cli, &err);
    }
    struct persist_label *labels = split_labels(&cli->args.own[SAVE_LABEL]);
    set_options(cli, &o);
    o.labels = labels;
    rc =
        labels ? address_open(cli, &address, &store, &err) : error_memory(&err);
    if (rc == PERSIST_OK)
        rc = save(cli, &address, store, path, &o, &err);
    hint_at_operands(cli, path, rc, &err);
    free(labels);
    return rc == PERSIST_OK ? EXIT_OK : cli_fail(cli, rc, &err);
}

static const char *const examples[] = {
    "persist save writer state.json",
    "producer | persist save writer/night -",
    "persist save writer state.json --label run=42 --schema notes/1",
    "persist save writer state.json --after 7      # nobody saved since 7",
    "persist save writer state.json --skip-unchanged --json",
    "persist save writer dump.sql --resume         # again after a failure",
    NULL};

const struct verb verb_save = {
    .name = "save",
    .operands = "ADDRESS [FILE|-]",
    .elsewhere = "put write store backup create upload push",
    .summary = "save a payload as the next snapshot of a session",
    .about =
        "Saves FILE, or standard input, as the next snapshot of "
        "AGENT[/SESSION] and prints its address. When it exits with 0 the "
        "snapshot survives kill -9 and power loss; until then nobody sees "
        "any part of it. Without FILE, a terminal or /dev/null as standard "
        "input is a slip.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};
