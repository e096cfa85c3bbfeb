/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist help, and what --help prints.
 */
#include "cli/verbs.h"

#include <errno.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/help.h"

static const struct arg_option options[] = {
    {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static json_t *list_json(const char *const *texts)
{
    json_t *list = json_array();

    for (; texts && *texts; texts++)
        json_array_append_new(list, json_string(*texts));
    return list;
}

static json_t *options_json(const struct arg_option *table)
{
    json_t *list = json_array();

    for (; table->kind != ARG_END; table++) {
        const char letter[2] = {table->short_name, '\0'};
        json_t *o = json_object();

        if (table->kind == ARG_RESERVED) {
            json_decref(o);
            continue;
        }
        json_object_set_new(o, "name", json_string(table->name));
        json_object_set_new(o, "short",
                            letter[0] ? json_string(letter) : json_null());
        json_object_set_new(o, "argument", output_text(table->argument));
        json_object_set_new(o, "repeatable", json_boolean(table->repeatable));
        json_object_set_new(o, "choices", list_json(table->choices));
        json_object_set_new(o, "help", json_string(table->help));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_json(struct cli *cli, const struct verb *verb)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string("verb"));
    json_object_set_new(o, "name", json_string(verb->name));
    json_object_set_new(o, "operands", json_string(verb->operands));
    json_object_set_new(o, "summary", json_string(verb->summary));
    json_object_set_new(o, "about", json_string(verb->about));
    json_object_set_new(o, "options", options_json(verb->options));
    json_object_set_new(o, "global_options", options_json(args_global));
    json_object_set_new(o, "examples", list_json(verb->examples));
    output_json(&cli->out, o);
}

static void print_page(struct cli *cli, const struct verb *verb)
{
    struct buf page;

    buf_init(&page, HELP_PAGE_MAX);
    if (verb)
        help_verb(&page, verb);
    else
        help_all(&page, cli_verbs, cli_reserved_verbs);
    if (buf_failed(&page))
        output_note_failure(&cli->out, ENOMEM);
    else
        output_write(&cli->out, page.data, page.len);
    buf_finish(&page);
}

static int run(struct cli *cli)
{
    const struct verb *verb = NULL;
    struct persist_error err = {0};

    if (cli->args.n_operands > 0) {
        verb = args_find_verb(cli->args.operands[0], cli_verbs,
                              cli_reserved_verbs, &err);
        if (!verb)
            return cli_fail_usage(cli, &err);
    }
    if (!cli->json) {
        print_page(cli, verb);
    } else if (verb) {
        print_json(cli, verb);
    } else {
        for (size_t i = 0; cli_verbs[i]; i++)
            print_json(cli, cli_verbs[i]);
    }
    return EXIT_OK;
}

static const char *const examples[] = {
    "persist help", "persist help save",
    "persist help --json      # every verb and option, for programs", NULL};

const struct verb verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .summary = "show what a verb does and its options",
    .about = "Without an operand lists the verbs and the global options.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
