/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist config: check, show and where it comes from.
 */
#include "cli/verbs.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "util/text.h"

enum { CONFIG_ORIGIN, N_CONFIG };

static const struct arg_option options[] = {
    [CONFIG_ORIGIN] = {ARG_FLAG, 0, false, "origin", NULL,
                       "show: say where each value comes from", NULL, 0},
    [N_CONFIG] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

struct config {
    struct cli *cli;
    bool with_origin;
    bool any;
    char section[128]; /* printed last; "" is [persist] */
    size_t n_problems;
};

/* -------------------------------------------------------------------- show */

static void setting_json(struct config *c, const struct persist_setting *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string("setting"));
    json_object_set_new(o, "store", output_text(s->store));
    json_object_set_new(o, "key", output_text(s->key));
    json_object_set_new(o, "value", output_text(s->value));
    if (c->with_origin)
        json_object_set_new(o, "origin", output_text(s->origin));
    output_json(&c->cli->out, o);
}

static void section_line(struct config *c, const char *store)
{
    struct output *out = &c->cli->out;
    const char *name = store ? store : "";

    if (c->any && strcmp(c->section, name) == 0)
        return;
    if (c->any)
        output_write(out, "\n", 1);
    c->any = true;
    memset(c->section, 0, sizeof(c->section));
    memcpy(c->section, name, strnlen(name, sizeof(c->section) - 1));
    if (!store) {
        output_printf(out, "[persist]\n");
        return;
    }
    output_printf(out, "[store ");
    output_escaped(out, store);
    output_printf(out, "]\n");
}

static int setting_line(void *ctx, const struct persist_setting *s)
{
    struct config *c = ctx;
    struct output *out = &c->cli->out;

    if (c->cli->json) {
        setting_json(c, s);
        return output_failed(out) ? PERSIST_E_IO : PERSIST_OK;
    }
    section_line(c, s->store);
    if (!s->value)
        output_printf(out, "# ");
    output_escaped(out, s->key);
    output_printf(out, " =%s", s->value ? " " : "");
    if (s->value)
        output_escaped(out, s->value);
    output_write(out, "\n", 1);
    if (c->with_origin && s->origin) {
        output_printf(out, "    # from ");
        output_escaped(out, s->origin);
        output_write(out, "\n", 1);
    }
    return output_failed(out) ? PERSIST_E_IO : PERSIST_OK;
}

static int show(struct config *c, struct persist_error *err)
{
    return persist_config_show(c->cli->p, setting_line, c, err);
}

/* ------------------------------------------------------------- check files */

static int problem_line(void *ctx, const char *store,
                        const struct persist_error *problem)
{
    struct config *c = ctx;
    struct persist_error err = *problem;

    if (store && !err.object[0])
        memcpy(err.object, store, strnlen(store, sizeof(err.object) - 1));
    cli_fail(c->cli, err.status, &err);
    c->n_problems++;
    return PERSIST_OK;
}

static int check(struct config *c, struct persist_error *err)
{
    struct output *out = &c->cli->out;
    int rc = persist_config_check(c->cli->p, problem_line, c, err);

    if (rc != PERSIST_OK)
        return rc;
    if (c->cli->json)
        output_json(out, json_pack("{s:s, s:b}", "type", "config", "ok", 1));
    else if (!c->cli->quiet)
        output_printf(out, "the configuration is good\n");
    return PERSIST_OK;
}

static int file_line(void *ctx, const char *path, int was_read)
{
    struct config *c = ctx;
    struct output *out = &c->cli->out;

    if (c->cli->json) {
        json_t *o = json_object();
        json_object_set_new(o, "type", json_string("file"));
        json_object_set_new(o, "path", output_text(path));
        json_object_set_new(o, "read", json_boolean(was_read));
        output_json(out, o);
        return PERSIST_OK;
    }
    output_printf(out, "%-7s ", was_read ? "read" : "absent");
    output_escaped(out, path);
    output_write(out, "\n", 1);
    return PERSIST_OK;
}

static int files(struct config *c, struct persist_error *err)
{
    return persist_config_files(c->cli->p, file_line, c, err);
}

static const struct action {
    const char *name;
    int (*run)(struct config *c, struct persist_error *err);
} actions[] = {{"check", check}, {"show", show}, {"files", files}};

enum { N_ACTIONS = sizeof(actions) / sizeof(actions[0]) };

static int unknown_action(struct cli *cli, const char *name)
{
    const char *const names[] = {"check", "show", "files", NULL};
    const char *close = text_suggest(name, names);
    struct buf hint;

    buf_init(&hint, 128);
    buf_printf(&hint, "did you mean \"%s\"?", close ? close : "");
    int exit_code = cli_usage(cli, close ? hint.data : NULL,
                              "\"%s\" is none of check, show and files", name);
    buf_finish(&hint);
    return exit_code;
}

static int run(struct cli *cli)
{
    const char *name = cli->args.operands[0];
    struct config c = {.cli = cli,
                       .with_origin = cli->args.own[CONFIG_ORIGIN].count > 0};
    struct persist_error err = {0};
    size_t i = 0;

    while (i < N_ACTIONS && strcmp(actions[i].name, name) != 0)
        i++;
    if (i == N_ACTIONS)
        return unknown_action(cli, name);
    if (c.with_origin && actions[i].run != show)
        return cli_usage(cli, NULL, "--origin is for \"config show\"");
    int rc = cli_open_instance(cli, &err);
    if (rc == PERSIST_OK)
        rc = actions[i].run(&c, &err);
    if (rc == PERSIST_OK || output_failed(&cli->out))
        return EXIT_OK;
    /* Each problem was reported where it was found. */
    return c.n_problems > 0 ? persist_status_exit_code(rc)
                            : cli_fail(cli, rc, &err);
}

static const char *const examples[] = {
    "persist config check", "persist config show --origin",
    "persist -c new.conf config check", NULL};

const struct verb verb_config = {
    .name = "config",
    .operands = "check|show|files",
    .elsewhere = "conf configuration",
    .summary = "check or show the configuration",
    .about = "check reads the configuration files and compares every store "
             "with its backend's options, without opening any. show prints "
             "what is in force, secrets left out. files lists the "
             "configuration files in the order they are read.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
