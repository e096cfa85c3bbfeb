/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of header and trailer as two tables, in the order they are
 * written, and the rules of each field, which hold for writing and reading
 * alike.
 */
#ifndef PERSIST_FORMAT_FIELDS_H
#define PERSIST_FORMAT_FIELDS_H

#include <persist/persist.h>
#include <stdbool.h>

#include "format/json.h"

#define FORMAT_VERSION 2

enum field_kind {
    FIELD_VERSION, /* format_version */
    FIELD_REQUIRES,
    FIELD_TEXT,
    FIELD_U64,
    FIELD_I32,
    FIELD_LABELS,
    FIELD_PRODUCER,
};

struct field {
    const char *name;
    enum field_kind kind;
    bool optional;                  /* TEXT: null is fine */
    size_t offset;                  /* in struct persist_metadata */
    bool (*form)(const char *text); /* TEXT: what it must be, or NULL */
};

struct field_table {
    const char *name; /* "header", "trailer" */
    size_t n_fields;
    const struct field *fields;
};
extern const struct field_table header_fields;
extern const struct field_table trailer_fields;

/* YYYY-MM-DDTHH:MM:SS.ffffffZ and nothing else. */
bool form_is_time(const char *text);

/* One of the table's, by name, or NULL. */
const struct field *field_find(const struct field_table *table,
                               const char *name);

/* The member of m a TEXT or U64 field stands for. */
const char *field_text(const struct field *field,
                       const struct persist_metadata *m);
void field_set_text(const struct field *field, struct persist_metadata *m,
                    const char *text);
uint64_t field_u64(const struct field *field, const struct persist_metadata *m);
void field_set_u64(const struct field *field, struct persist_metadata *m,
                   uint64_t value);

/* Checks what the table's fields hold; `status` is what a wrong one is (INVALID
 * when writing, CORRUPT when reading). */
int fields_check(const struct field_table *table,
                 const struct persist_metadata *m, int status,
                 struct persist_error *err);

/* Appends the table's fields of m; producer_extra: unknown members of the
 * producer, or NULL. */
void fields_put(const struct field_table *table,
                const struct persist_metadata *m, const json_t *producer_extra,
                struct buf *out);

/* At least as many bytes as fields_put appends, by a few. */
size_t fields_bound(const struct field_table *table,
                    const struct persist_metadata *m);

/* Fills m from the object: texts point into it, and *out_labels is an array to
 * be freed.  Checked; CORRUPT, UNSUPPORTED, MEMORY. */
int fields_read(const struct field_table *table, const json_t *object,
                struct persist_metadata *m, struct persist_label **out_labels,
                struct persist_error *err);

/* What the reader of a file needs of a trailer. */
struct trailer {
    uint64_t payload_len;
    uint64_t n_frames;
    uint32_t stored_crc32c;
    uint8_t sha256[32];
};
int trailer_decode(const char *json, size_t len, struct trailer *out,
                   struct persist_error *err);

#endif
