/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and integers of a JSON text, one at a time (json_parse.c). */
#ifndef PERSIST_FORMAT_JSON_TOKEN_H
#define PERSIST_FORMAT_JSON_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define JSON_NOT_JSON "is not JSON"
#define JSON_NO_MEMORY "needs more memory than there is"

struct json_text {
    const char *data;
    size_t len;
    size_t pos;
    const char *wrong; /* after a false: what */
};

/* The string whose quote is at pos: pos moves behind it, out becomes its bytes
 * without escapes (never NULL).  False where it is not UTF-8, has a NUL, or is
 * no string at all. */
bool json_token_string(struct json_text *t, struct buf *out);
/* -?(0|[1-9][0-9]*), not -0, within 64 bits. */
bool json_token_integer(struct json_text *t, int64_t *out);

#endif
