/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persist command.
 *
 *     main ──▶ args       argv against the tables of verbs and options
 *      │
 *      ├─ signals           what an interrupt does to the call under way
 *      ▼
 *     verb_save, verb_restore, ... ──▶ <persist/persist.h>, nothing below it
 *      ├─ address           which store, which snapshot
 *      ├─ describe          metadata as JSON and as text
 *      ├─ output            standard output: lines of JSON, tables
 *      ├─ error             one line, a hint, an exit code
 *      └─ progress          a bar on standard error (console)
 *
 * Here is what belongs to the process: its descriptors, its signals, that it
 * leaves no core dump, and the way from argv to an exit code.  Nothing is
 * opened, read or loaded before a verb asks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/probe.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "posix/os.h"
#include "util/error.h"

/* The leak checker attaches to the process as a debugger would. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEP_DUMPABLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_DUMPABLE 1
#endif
#endif
#ifndef KEEP_DUMPABLE
#define KEEP_DUMPABLE 0
#endif

/*
 * A descriptor 0, 1 or 2 that is closed would be given to the next file we
 * open.  It is filled with /dev/null opened the wrong way round: using it fails
 * as using a closed one does, instead of dropping a payload silently.
 */
static int fill_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    }
    return 0;
}

static int run_verb(struct cli *cli)
{
    struct persist_error err = {0};

    if (cli->args.global[GLOBAL_VERSION].count)
        return verb_version.run(cli);
    if (cli->args.global[GLOBAL_HELP].count) {
        char *name = cli->args.verb ? (char *)cli->args.verb->name : NULL;
        cli->args.operands = &name;
        cli->args.n_operands = name ? 1 : 0;
        return verb_help.run(cli);
    }
    if (!cli->args.verb)
        return cli_usage(cli, "persist help lists the verbs", "no verb given");
    int rc = args_hide_settings(&cli->args, &err);
    return rc == PERSIST_OK ? cli->args.verb->run(cli)
                            : cli_fail(cli, rc, &err);
}

/* Data that did not all arrive is a failure, whatever the verb thinks. */
static int finish_output(struct cli *cli, int exit_code)
{
    struct persist_error err = {0};
    int rc = output_finish(&cli->out, &err);

    if (rc == PERSIST_OK || exit_code != EXIT_OK)
        return exit_code;
    cli->json = false;
    if (cli->done)
        error_hint(&err, "%s", cli->done);
    return cli_fail(cli, rc, &err);
}

int main(int argc, char **argv)
{
    struct persist_error err = {0};
    struct cli cli = {.self = argc > 0 ? argv[0] : "persist"};
    int exit_code;

    if (!KEEP_DUMPABLE)
        os_forbid_dumps();
    if (fill_descriptors() != 0)
        return 1;
    if (probe_is_child(argc, argv))
        return probe_child(argv[2]);
    signals_install();
    output_init(&cli.out, STDOUT_FILENO);
    int rc =
        args_parse(argc, argv, cli_verbs, cli_reserved_verbs, &cli.args, &err);
    cli.quiet = cli.args.global[GLOBAL_QUIET].count > 0;
    cli.json = rc == PERSIST_OK ? cli.args.global[GLOBAL_JSON].count > 0
                                : args_mention_json(argc, argv);
    exit_code = rc == PERSIST_OK ? run_verb(&cli) : cli_fail_usage(&cli, &err);
    cli_close(&cli);
    exit_code = finish_output(&cli, exit_code);
    args_finish(&cli.args);
    return exit_code;
}
