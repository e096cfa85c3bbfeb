/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for this room: a strict reader into jansson's values, and a writer with
 * one spelling.
 *
 * The reader knows objects only, integers only (no fraction, exponent, -0 or
 * number outside 64 bits signed), depth <= JSON_DEPTH_MAX, at most
 * JSON_CONTAINERS_MAX objects and arrays (each costs some 200 bytes of memory
 * for two of text), no duplicate keys, no NUL in text, UTF-8.
 */
#ifndef PERSIST_FORMAT_JSON_H
#define PERSIST_FORMAT_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/error.h"

#define JSON_DEPTH_MAX 64
#define JSON_CONTAINERS_MAX 4096

/* Any one value, the caller's (json_decref).  NULL: *out_wrong says why ("is
 * not JSON"), *out_pos where. */
json_t *json_parse(const char *text, size_t len, const char **out_wrong,
                   size_t *out_pos);

/* One object and nothing else; CORRUPT ("the header's JSON ..." where what is
 * "header") or MEMORY.  *out is the caller's (json_decref). */
int json_read_object(const char *what, const char *text, size_t len,
                     json_t **out, struct persist_error *err);

/* One byte of a text as it stands between the quotes; how many bytes that is.
 */
size_t json_escape(unsigned char c, char out[6]);
/* Appends "text", escaped; NULL becomes null. */
void json_put_text(struct buf *out, const char *text);
/* How many bytes that is. */
size_t json_text_len(const char *text);
/* Appends `"name":`, with a comma before it where it is not the first. */
void json_put_name(struct buf *out, const char *name);
/* The same of a name that needs no escapes. */
void json_put_plain_name(struct buf *out, const char *name);
void json_put_u64(struct buf *out, uint64_t value);
void json_put_i64(struct buf *out, int64_t value);
/* Appends any value, in the order it was read. */
void json_put_value(struct buf *out, const json_t *value);
/* Appends the members of an object into one that is open; NULL: nothing. */
void json_put_members(struct buf *out, const json_t *object);

#endif
