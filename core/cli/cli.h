/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the command: what was asked, standard output, the instance and the
 * stores it opened.
 *
 * main fills a struct cli and calls the verb's run, which returns the exit code
 * (docs/exit-codes.md).  A verb checks everything that was typed before it
 * opens the instance, so that a slip of the fingers costs and changes nothing.
 */
#ifndef PERSIST_CLI_CLI_H
#define PERSIST_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/persist.h>

#include "cli/args.h"
#include "cli/output.h"

/* Exit codes that no status has. */
enum { EXIT_OK = 0, EXIT_USAGE = 2, EXIT_PARTLY = 3 };

struct cli_store {
    char *name; /* NULL: the default one */
    struct persist_store *store;
};

struct cli {
    struct args args;
    bool json;
    bool quiet;
    const char *self; /* argv[0] */
    struct output out;
    const char *done; /* what holds whatever becomes of out; NULL: nothing */
    struct persist *p;
    struct cli_store *stores;
    size_t n_stores;
};

/* The verbs, NULL-terminated, and the names kept for later. */
extern const struct verb *const cli_verbs[];
extern const char *const cli_reserved_verbs[];

/* Makes the instance, once, and lets signals interrupt it. */
int cli_open_instance(struct cli *cli, struct persist_error *err);
/* Opens a store, once; NULL is the default one.  Belongs to cli. */
int cli_open_store(struct cli *cli, const char *name,
                   struct persist_store **out, struct persist_error *err);
/* Closes stores and instance. */
void cli_close(struct cli *cli);

/* --timeout in milliseconds, or 0. */
uint64_t cli_timeout_ms(const struct cli *cli);

/* One line on standard error, unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
