/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist backends: which plugins there are, what options they take, and why
 * one could not be loaded.
 */
#include "cli/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/probe.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "util/error.h"

enum { BACKENDS_PROBE, N_BACKENDS };

static const struct arg_option options[] = {
    [BACKENDS_PROBE] = {ARG_TEXT, 0, false, "probe", "FILE",
                        "load this plugin in a process of its own and "
                        "describe it",
                        NULL, 0},
    [N_BACKENDS] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static const struct table_column columns[] = {{"NAME", false},
                                              {"VERSION", false},
                                              {"ABI", false},
                                              {"THREADS", false},
                                              {"PATH", false}};

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void line(struct output *out, const char *name, const char *value)
{
    if (!value)
        return;
    output_printf(out, "%-10s", name);
    output_escaped(out, value);
    output_write(out, "\n", 1);
}

static void note_if(struct output *out, const char *name, const char *value)
{
    if (!value)
        return;
    output_printf(out, "; %s", name);
    output_escaped(out, value);
}

static void print_option(struct output *out, const json_t *option)
{
    output_write(out, "  ", 2);
    output_escaped(out, text_of(option, "key") ? text_of(option, "key") : "?");
    output_write(out, " (", 2);
    output_escaped(out, text_of(option, "type") ? text_of(option, "type") : "");
    if (json_is_true(json_object_get(option, "required")))
        output_printf(out, "; required");
    if (json_is_true(json_object_get(option, "repeatable")))
        output_printf(out, "; repeatable");
    if (json_is_true(json_object_get(option, "secret")))
        output_printf(out, "; also as KEY_file and KEY_command");
    if (json_is_true(json_object_get(option, "deprecated")))
        output_printf(out, "; deprecated");
    note_if(out, "default ", text_of(option, "default"));
    note_if(out, "one of ", text_of(option, "choices"));
    note_if(out, "also called ", text_of(option, "alias"));
    note_if(out, "since ", text_of(option, "since"));
    output_write(out, ")\n", 2);
    if (text_of(option, "help")) {
        output_write(out, "      ", 6);
        output_escaped(out, text_of(option, "help"));
        output_write(out, "\n", 1);
    }
}

static void print_details(struct output *out, const json_t *backend)
{
    const json_t *list = json_object_get(backend, "options");

    line(out, "name", text_of(backend, "name"));
    line(out, "path", text_of(backend, "path"));
    line(out, "version", text_of(backend, "version"));
    line(out, "vendor", text_of(backend, "vendor"));
    line(out, "licence", text_of(backend, "licence"));
    line(out, "abi", text_of(backend, "abi"));
    line(out, "threads", text_of(backend, "thread_model"));
    if (json_array_size(list) > 0)
        output_printf(out, "options\n");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_option(out, json_array_get(list, i));
}

/* ------------------------------------------------------------------- probe */

/* A store finds its backend by the file's name. */
static void note_name(struct cli *cli, const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    size_t len = name ? strlen(name) : 0;

    if (!name ||
        (strncmp(base, name, len) == 0 && strcmp(base + len, ".so") == 0))
        return;
    cli_note(cli, "installed, the file must be called %s.so", name);
}

static int probe(struct cli *cli, const char *file)
{
    struct persist_error err = {0};
    json_t *backend = NULL;
    char *path = realpath(file, NULL);
    int rc;

    if (!path) {
        rc = error_set(&err, PERSIST_E_NOT_FOUND, "no such file");
        error_object(&err, "%s", file);
        return cli_fail(cli, rc, &err);
    }
    rc = probe_run(cli->self, path, PROBE_TIMEOUT_MS, &backend, &err);
    free(path);
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    note_name(cli, file, text_of(backend, "name"));
    if (cli->json) {
        output_json(&cli->out, backend);
        return EXIT_OK;
    }
    print_details(&cli->out, backend);
    json_decref(backend);
    return EXIT_OK;
}

/* --------------------------------------------------------------- installed */

struct backends {
    struct cli *cli;
    struct table table;
    json_t *only;               /* with a name: that one */
    struct persist_error error; /* and why it could not be loaded */
    int status;
    size_t n;
    json_t *broken;
};

static int print_json(void *ctx, const struct persist_backend_info *info)
{
    struct backends *b = ctx;

    b->n++;
    b->status = info->status;
    if (info->error)
        b->error = *info->error;
    if (b->only == NULL && b->cli->args.n_operands > 0)
        b->only = probe_backend_json(info);
    else
        output_json(&b->cli->out, probe_backend_json(info));
    return output_failed(&b->cli->out) ? PERSIST_E_IO : PERSIST_OK;
}

static int print_row(void *ctx, const struct persist_backend_info *info)
{
    struct backends *b = ctx;
    json_t *backend = probe_backend_json(info);

    b->n++;
    table_cell(&b->table, info->name);
    if (info->status == PERSIST_OK) {
        table_cell(&b->table, info->version);
        table_cell(&b->table, text_of(backend, "abi"));
        table_cell(&b->table, info->thread_model);
        json_decref(backend);
    } else {
        table_cell(&b->table, "(not loaded)");
        table_cell(&b->table, NULL);
        table_cell(&b->table, NULL);
        json_array_append_new(b->broken, backend);
    }
    table_cell(&b->table, info->path);
    table_end_row(&b->table);
    return PERSIST_OK;
}

static void print_broken(struct cli *cli, const json_t *broken)
{
    for (size_t i = 0; i < json_array_size(broken); i++) {
        const json_t *backend = json_array_get(broken, i);
        const char *hint = text_of(backend, "hint");

        output_write(&cli->out, "\n", 1);
        output_escaped(&cli->out, text_of(backend, "name"));
        output_printf(&cli->out, " could not be loaded: ");
        output_escaped(&cli->out, text_of(backend, "message")
                                      ? text_of(backend, "message")
                                      : text_of(backend, "status"));
        output_write(&cli->out, "\n", 1);
        if (hint && hint[0]) {
            output_printf(&cli->out, "hint: ");
            output_escaped(&cli->out, hint);
            output_write(&cli->out, "\n", 1);
        }
    }
}

static int list_all(struct cli *cli)
{
    struct backends b = {.cli = cli, .broken = json_array()};
    struct persist_error err = {0};

    table_begin(&b.table, &cli->out, columns, 5);
    int rc = persist_backends(cli->p, NULL, cli->json ? print_json : print_row,
                              &b, &err);
    table_finish(&b.table);
    print_broken(cli, b.broken);
    json_decref(b.broken);
    if (rc != PERSIST_OK && !output_failed(&cli->out))
        return cli_fail(cli, rc, &err);
    if (b.n == 0)
        cli_note(cli, "no backends found; --backend-dir names a directory "
                      "of them");
    return EXIT_OK;
}

static int show_one(struct cli *cli, const char *name)
{
    struct backends b = {.cli = cli};
    struct persist_error err = {0};

    int rc = persist_backends(cli->p, name, print_json, &b, &err);
    if (rc == PERSIST_OK && b.status != PERSIST_OK) {
        rc = b.status;
        err = b.error;
    }
    if (rc == PERSIST_OK && cli->json) {
        output_json(&cli->out, b.only);
        return EXIT_OK;
    }
    if (rc == PERSIST_OK)
        print_details(&cli->out, b.only);
    json_decref(b.only);
    return rc == PERSIST_OK ? EXIT_OK : cli_fail(cli, rc, &err);
}

static int run(struct cli *cli)
{
    const struct arg_value *file = &cli->args.own[BACKENDS_PROBE];
    struct persist_error err = {0};

    if (file->count && cli->args.n_operands)
        return cli_usage(cli, NULL, "--probe and NAME exclude each other");
    if (file->count)
        return probe(cli, file->text);
    int rc = cli_open_instance(cli, &err);
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    return cli->args.n_operands ? show_one(cli, cli->args.operands[0])
                                : list_all(cli);
}

static const char *const examples[] = {
    "persist backends", "persist backends local      # with its options",
    "persist backends --probe ./mine.so", NULL};

const struct verb verb_backends = {
    .name = "backends",
    .operands = "[NAME]",
    .summary = "show which backends there are and their options",
    .about = "Lists every backend plugin in the backend directories and, where "
             "one could not be loaded, why. With NAME shows its options. "
             "--probe loads a plugin that is not installed, in a process of "
             "its own that may crash or hang without harm.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
