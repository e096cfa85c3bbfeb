/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One option's text, parsed by its declared type.  Knows no configuration: the
 * same code reads a user's value and checks a plugin's default.
 */
#ifndef PERSIST_BACKEND_OPTION_VALUE_H
#define PERSIST_BACKEND_OPTION_VALUE_H

#include <persist/backend.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* A parsed value with what it points to. */
struct option_text {
    char *text;   /* STRING CHOICE PATH URL, and the bytes of LIST's items */
    char **items; /* LIST */
    size_t n_items;
    int64_t number;
};

enum option_verdict { OPTION_GOOD, OPTION_BAD, OPTION_MEMORY };

/* home: what "~" stands for in a PATH; NULL: not known.  BAD: *why, appended
 * to, completes the sentence "KEY = TEXT ...".  Not for SECRET. */
enum option_verdict option_text_parse(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why);
void option_text_finish(struct option_text *t);

#endif
