/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a helper program that prints credentials.
 *
 * No shell: the line is split into words at blanks, with '...' and "..." and \
 * as a POSIX shell reads them, and nothing else means anything ("$", "*", ";"
 * are plain characters).  The program gets the process's environment, /dev/null
 * as standard input, our standard error, no other descriptor, default signals,
 * and a process group of its own, which is killed as a whole when the time is
 * over, the call is cancelled or the output is too long.
 */
#ifndef PERSIST_SUPPORT_COMMAND_H
#define PERSIST_SUPPORT_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/secret.h"

#define COMMAND_WORDS_MAX 64

struct command_words {
    char *storage; /* what argv points into */
    size_t storage_len;
    char *argv[COMMAND_WORDS_MAX + 1];
    int n;
};

/* CONFIG at an open quote, too many words or none. */
int32_t command_split(const char *line, struct command_words *out,
                      struct persist_backend_error *err);
void command_words_finish(struct command_words *w);

/*
 * Runs argv[0] (searched along PATH where it has no slash) and collects what it
 * prints, at most `max` bytes.  CONFIG where it cannot be started; AUTH where
 * it ends with anything but 0, prints too much or runs longer than timeout_ms
 * or the call's deadline; CANCELLED.  `extra_env`: "NAME=value" texts, NULL
 * last, for the program alone; may be NULL.  Messages name argv[0] alone.
 */
int32_t command_run(const struct persist_backend_host *host,
                    const struct persist_backend_call *call, char *const argv[],
                    const char *const *extra_env, uint32_t timeout_ms,
                    size_t max, struct secret *out,
                    struct persist_backend_error *err);

#endif
