/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a plugin's option table one that the configuration can be read with?
 *
 * Checked once, when the plugin is loaded, so that a mistake in it is the
 * plugin author's to see and not a user's.
 */
#ifndef PERSIST_BACKEND_OPTION_CHECK_H
#define PERSIST_BACKEND_OPTION_CHECK_H

#include <persist/backend.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* Keys of a store section that are the core's, NULL-terminated: no plugin may
 * declare one. */
extern const char *const option_core_keys[];

/* Whether `key` is a spelling this option is read by: its key, its alias, and
 * for a secret each of them with _file and _command. */
bool option_answers_to(const struct persist_backend_option *o, const char *key);

/* False where the table is refused; *why then says what is wrong with which
 * option. */
bool option_table_check(const struct persist_backend_option *options, size_t n,
                        struct buf *why);

#endif
