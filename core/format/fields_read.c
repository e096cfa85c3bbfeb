/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a parsed JSON object.  Every field of the table must be there
 * (null where it is optional) and of its exact form.  The version and
 * `requires` come first: what a newer Persist wrote is not corrupt.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "format/fields.h"
#include "util/text.h"

static int wrong(const struct field_table *table, const char *name,
                 const char *why, struct persist_error *err)
{
    return error_set(err, PERSIST_E_CORRUPT, "the %s's %s %s", table->name,
                     name, why);
}

static int read_version(const struct field_table *table, const char *name,
                        const json_t *value, struct persist_metadata *m,
                        struct persist_error *err)
{
    if (!json_is_integer(value))
        return wrong(table, name, "is not a number", err);
    json_int_t version = json_integer_value(value);
    if (version > FORMAT_VERSION) {
        error_set(err, PERSIST_E_UNSUPPORTED,
                  "the snapshot has format version %lld; this Persist reads "
                  "up to %d",
                  (long long)version, FORMAT_VERSION);
        error_hint(err, "read it with a newer Persist");
        return PERSIST_E_UNSUPPORTED;
    }
    if (version != FORMAT_VERSION)
        return wrong(table, name, "is not 2", err);
    m->format_version = FORMAT_VERSION;
    return PERSIST_OK;
}

/* No name is known yet, so every name is one too many. */
static int read_requires(const struct field_table *table, const char *name,
                         const json_t *value, struct persist_error *err)
{
    if (!json_is_array(value))
        return wrong(table, name, "is not a list", err);
    if (json_array_size(value) == 0)
        return PERSIST_OK;
    const char *required = json_string_value(json_array_get(value, 0));
    if (!required)
        return wrong(table, name, "holds something other than names", err);
    error_set(err, PERSIST_E_UNSUPPORTED,
              "the snapshot requires \"%s\", which this Persist does not know",
              required);
    error_hint(err, "read it with a newer Persist");
    return PERSIST_E_UNSUPPORTED;
}

static int read_text(const struct field_table *table, const struct field *field,
                     const json_t *value, struct persist_metadata *m,
                     struct persist_error *err)
{
    if (!json_is_string(value) && !(field->optional && json_is_null(value)))
        return wrong(table, field->name, "is not a text", err);
    field_set_text(field, m, json_string_value(value));
    return PERSIST_OK;
}

static int read_u64(const struct field_table *table, const struct field *field,
                    const json_t *value, struct persist_metadata *m,
                    struct persist_error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong(table, field->name, "is not a count", err);
    field_set_u64(field, m, (uint64_t)json_integer_value(value));
    return PERSIST_OK;
}

static int read_level(const struct field_table *table, const char *name,
                      const json_t *value, struct persist_metadata *m,
                      struct persist_error *err)
{
    json_int_t level = json_integer_value(value);
    if (!json_is_integer(value) || level < INT32_MIN || level > INT32_MAX)
        return wrong(table, name, "is not a small number", err);
    m->compression_level = (int32_t)level;
    return PERSIST_OK;
}

static int compare_labels(const void *a, const void *b)
{
    const struct persist_label *x = a;
    const struct persist_label *y = b;
    return strcmp(x->key, y->key);
}

/* jansson's iterators take a non-const object and change nothing. */
static void *first_member(const json_t *object, json_t **out_object)
{
    union {
        const json_t *in;
        json_t *out;
    } pointer = {.in = object};
    *out_object = pointer.out;
    return json_object_iter(pointer.out);
}

static int read_labels(const json_t *value, struct persist_metadata *m,
                       struct persist_label **out, struct persist_error *err)
{
    json_t *object = NULL;
    if (!json_is_object(value))
        return wrong(&header_fields, "labels", "are not an object", err);
    size_t n = json_object_size(value);
    struct persist_label *labels = calloc(n ? n : 1, sizeof(*labels));
    if (!labels)
        return error_memory(err);
    *out = labels; /* the caller frees, also after a failure */
    for (void *at = first_member(value, &object); at;
         at = json_object_iter_next(object, at)) {
        const char *text = json_string_value(json_object_iter_value(at));
        if (!text)
            return wrong(&header_fields, "labels", "hold more than texts", err);
        labels[m->n_labels].key = json_object_iter_key(at);
        labels[m->n_labels].value = text;
        m->n_labels++;
    }
    qsort(labels, n, sizeof(*labels), compare_labels);
    m->labels = labels;
    return PERSIST_OK;
}

static int read_producer(const json_t *value, struct persist_metadata *m,
                         struct persist_error *err)
{
    m->producer_name = json_string_value(json_object_get(value, "name"));
    m->producer_version = json_string_value(json_object_get(value, "version"));
    if (!m->producer_name || !m->producer_version)
        return wrong(&header_fields, "producer", "lacks a name or version",
                     err);
    return PERSIST_OK;
}

static int read_field(const struct field_table *table,
                      const struct field *field, const json_t *value,
                      struct persist_metadata *m, struct persist_label **labels,
                      struct persist_error *err)
{
    if (!value)
        return wrong(table, field->name, "is missing", err);
    switch (field->kind) {
    case FIELD_VERSION:
        return read_version(table, field->name, value, m, err);
    case FIELD_REQUIRES:
        return read_requires(table, field->name, value, err);
    case FIELD_TEXT:
        return read_text(table, field, value, m, err);
    case FIELD_U64:
        return read_u64(table, field, value, m, err);
    case FIELD_I32:
        return read_level(table, field->name, value, m, err);
    case FIELD_LABELS:
        return read_labels(value, m, labels, err);
    case FIELD_PRODUCER:
        return read_producer(value, m, err);
    }
    return error_set(err, PERSIST_E_INTERNAL, "a field of unknown kind");
}

int fields_read(const struct field_table *table, const json_t *object,
                struct persist_metadata *m, struct persist_label **out_labels,
                struct persist_error *err)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        const struct field *field = &table->fields[i];
        const json_t *value = json_object_get(object, field->name);
        int rc = read_field(table, field, value, m, out_labels, err);
        if (rc)
            return rc;
    }
    return fields_check(table, m, PERSIST_E_CORRUPT, err);
}
