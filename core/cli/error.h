/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors, as a person and as a program read them.
 *
 * On standard error one line, `persist: VERB: OBJECT: what failed and why`,
 * and `hint: what to do` where there is one; with --json also an object of the
 * type "error" on standard output, where a program is reading, as the last
 * line.
 */
#ifndef PERSIST_CLI_ERROR_H
#define PERSIST_CLI_ERROR_H

#include "cli/cli.h"

/* Reports a failure of status rc; returns the exit code. */
int cli_fail(struct cli *cli, int rc, const struct persist_error *err);
/* The same for a slip on the command line, with the usage line. */
int cli_fail_usage(struct cli *cli, const struct persist_error *err);
/* cli_fail_usage with a message of our own. */
int cli_usage(struct cli *cli, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds code, message, hint, object and what the service said to an object. */
void cli_error_json(json_t *object, int rc, const struct persist_error *err);

/* Several things done one after the other, some of which may fail. */
struct batch {
    size_t n_ok;
    size_t n_failed;
    int first_exit; /* of the first failure */
};
/* Counts an outcome; reports it where it is a failure. */
void batch_add(struct cli *cli, struct batch *batch, int rc,
               const struct persist_error *err);
/* Exit code: 0, 3 where some failed, else the first failure's. With --json and
 * 3 a last error object of code "partly". */
int batch_finish(struct cli *cli, const struct batch *batch);

#endif
