/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as the service sends and wants it.
 *
 * Everything read here comes from outside: texts that are too deep, too long,
 * not UTF-8, or that lack what they must have are refused, never guessed at.
 * 64-bit numbers are strings in this API (cloud.google.com/storage/docs/
 * json_api/v1/objects); plain integers are taken too.
 */
#ifndef PERSIST_GCS_REPLIES_H
#define PERSIST_GCS_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "gcs/options.h"
#include "support/text.h"

#define GCS_JSON_DEPTH 24
/* Commas, braces and brackets. A page of a thousand objects with every field
 * that the service has comes to half of it. */
#define GCS_JSON_VALUES (1u << 18)

/* Parses an object ({...}); NULL where it is none, is nested deeper than
 * GCS_JSON_DEPTH, of more values than GCS_JSON_VALUES, or memory is short. The
 * caller's reference. */
json_t *json_parse_object(const char *text, size_t len);
/* A text member; NULL where it is missing or no text. Lives as long as o. */
const char *json_text(const json_t *o, const char *name);
/* A number written as a text of decimal digits, or an integer from 0. */
bool json_u64(const json_t *o, const char *name, uint64_t *out);

/* What is asked of the service about an object, and what it told. */
#define GCS_OBJECT_FIELDS "name,size,generation,crc32c,updated"

#define GCS_GENERATION_MAX 24

struct gcs_object {
    uint64_t size;
    uint32_t crc32c;
    bool has_crc32c;
    bool has_updated;
    int64_t updated_us;
    char generation[GCS_GENERATION_MAX]; /* decimal digits */
};

/* False where it is no object's resource, or lacks size or generation. */
bool reply_object(const char *text, size_t len, struct gcs_object *out);

/* The service's own words about a failure; "" where it says nothing. */
struct gcs_problem {
    char reason[64];   /* "conditionNotMet" */
    char message[200]; /* one line */
};

/* From a JSON body, an XML one (<Code>, <Message>, <Details>) or plain text. */
void reply_problem(const char *text, size_t len, struct gcs_problem *out);

struct gcs_entry {
    const char *name; /* whole object name */
    uint64_t size;
    int64_t updated_us;
    bool has_updated;
    bool folder; /* a common prefix */
};

struct gcs_page {
    struct gcs_entry *entries; /* objects and folders, in byte order */
    size_t n;
    const char *next_token; /* NULL: the last page */
    json_t *json;           /* what the texts live in */
};

/* OK; IO where it is no listing; MEMORY.  Finish it in any case. */
int32_t reply_page(const char *text, size_t len, struct gcs_page *out);
void reply_page_finish(struct gcs_page *page);

/*
 * The metadata that a new object gets.  crc32c: of its content, or NULL.
 * now_us: what retention counts from.  INVALID where a text is not UTF-8.
 */
int32_t metadata_write(const struct gcs_options *o, const char *key,
                       const char *content_type, const uint32_t *crc32c,
                       int64_t now_us, struct text *out);

#endif
