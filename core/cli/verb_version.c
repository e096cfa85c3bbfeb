/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist version, and what --version prints.
 */
#include "cli/verbs.h"

#include <string.h>

#include "cli/cli.h"

static const struct arg_option options[] = {
    {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static int run(struct cli *cli)
{
    const char *library = persist_version();

    if (cli->json) {
        json_t *o = json_object();
        json_object_set_new(o, "type", json_string("version"));
        json_object_set_new(o, "version", json_string(PERSIST_VERSION));
        json_object_set_new(o, "library", json_string(library));
        output_json(&cli->out, o);
        return EXIT_OK;
    }
    output_printf(&cli->out, "persist %s\n", PERSIST_VERSION);
    if (strcmp(library, PERSIST_VERSION) != 0)
        output_printf(&cli->out, "libpersist %s\n", library);
    return EXIT_OK;
}

static const char *const examples[] = {"persist version --json", NULL};

const struct verb verb_version = {
    .name = "version",
    .operands = "",
    .summary = "show the version",
    .about = "Prints the version of the command and, where it is another one, "
             "of the library it runs with.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 0,
    .run = run,
};
