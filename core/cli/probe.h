/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a plugin nobody knows yet, in a child process.
 *
 * Loading a shared object runs its code.  The child does that and writes one
 * JSON object (of the type "backend", or "error") to a pipe; a child that
 * crashes, hangs or ends on its own is a result too, and the command goes on.
 * It is this same program, started again with one hidden argument.
 */
#ifndef PERSIST_CLI_PROBE_H
#define PERSIST_CLI_PROBE_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/cli.h"

#define PROBE_ARGUMENT "--probe-child"
#define PROBE_TIMEOUT_MS 5000

/* What a plugin looks like as an object of the type "backend". */
json_t *probe_backend_json(const struct persist_backend_info *info);

/*
 * Probes the file; *out is the object.  self is how the command was called
 * (argv[0]).  CONFIG where the plugin cannot be loaded or misbehaves, and what
 * persist_backend_inspect answers.
 */
int probe_run(const char *self, const char *path, unsigned timeout_ms,
              json_t **out, struct persist_error *err);

/* True where this process is the child. */
bool probe_is_child(int argc, char **argv);
/* The child's whole work; returns its exit code. */
int probe_child(const char *path);

#endif
