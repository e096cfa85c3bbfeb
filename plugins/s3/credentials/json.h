/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader for the small JSON objects that hand out keys: what a
 * credential_process prints, an SSO token file, the answers of SSO, the
 * container and the instance.
 *
 * The caller names the members it wants and gives each a place:
 *
 *     struct json_field fields[] = {
 *         {.path = "AccessKeyId", .text = id, .cap = sizeof(id)},
 *         {.path = "Version", .is_number = true},
 *     };
 *     if (json_read(text, len, fields, 2) != 0) ...
 *
 * The whole text is checked, wanted or not: RFC 8259 grammar, valid UTF-8, no
 * lone surrogate, no NUL, no name twice in an object, at most JSON_DEPTH_MAX
 * levels and JSON_MEMBERS_MAX members of an object, nothing behind the value.
 * Nothing is allocated and nothing is kept: a value exists in `text` and in the
 * caller's places alone, so that wiping those wipes it.
 */
#ifndef PERSIST_S3_CREDENTIALS_JSON_H
#define PERSIST_S3_CREDENTIALS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SIZE_MAX ((size_t)64 << 10) /* bytes of a text */
#define JSON_DEPTH_MAX 16
#define JSON_MEMBERS_MAX 64
#define JSON_NAME_MAX 128 /* bytes of a member's name, with the NUL */

struct json_field {
    const char *path; /* "AccessKeyId", or "roleCredentials.accessKeyId" */
    char *text;       /* a string's place; "" unless found */
    size_t cap;       /* bytes of text, with the NUL */
    bool is_number;   /* wanted is an integer, into number */
    int64_t number;
    bool found; /* there, and not null */
};

/*
 * 0, or -1: not such a JSON object, too large, a wanted member of another type,
 * or a string longer than its place.  After -1 the places hold "" again.
 */
int json_read(const char *text, size_t len, struct json_field *fields,
              size_t n_fields);

/*
 * Writes text as a JSON string with its quotes at *at, which moves on; never
 * behind end.  0, or -1 where there is no room; text must be valid UTF-8.
 */
int json_quote(char **at, const char *end, const char *text);

#endif
