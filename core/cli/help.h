/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, printed from the tables the parser works by.
 */
#ifndef PERSIST_CLI_HELP_H
#define PERSIST_CLI_HELP_H

#include "cli/args.h"
#include "util/buf.h"

/* Bytes of a page at the most. */
#define HELP_PAGE_MAX ((size_t)1024 * 1024)

/* "usage: persist VERB [OPTION...] ADDRESS"; NULL: of the command. */
void help_usage(struct buf *out, const struct verb *verb);
/* The whole page of a verb. */
void help_verb(struct buf *out, const struct verb *verb);
/* The page of the command: every verb with its summary. */
void help_all(struct buf *out, const struct verb *const *verbs,
              const char *const *reserved);

#endif
