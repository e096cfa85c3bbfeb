/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata to JSON, in the one spelling of the format: the fields of the table
 * in its order, labels sorted by bytes, no white space.
 */
#include <stdlib.h>
#include <string.h>

#include "format/fields.h"
#include "format/metadata.h"
#include "util/text.h"

static void put_labels(const struct persist_metadata *m, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < m->n_labels; i++) {
        json_put_name(out, m->labels[i].key);
        json_put_text(out, m->labels[i].value);
    }
    buf_putc(out, '}');
}

static void put_producer(const struct persist_metadata *m, const json_t *extra,
                         struct buf *out)
{
    buf_putc(out, '{');
    json_put_plain_name(out, "name");
    json_put_text(out, m->producer_name);
    json_put_plain_name(out, "version");
    json_put_text(out, m->producer_version);
    json_put_members(out, extra);
    buf_putc(out, '}');
}

static void put_field(const struct field *field,
                      const struct persist_metadata *m,
                      const json_t *producer_extra, struct buf *out)
{
    json_put_plain_name(out, field->name);
    switch (field->kind) {
    case FIELD_VERSION:
        json_put_u64(out, FORMAT_VERSION);
        break;
    case FIELD_REQUIRES: /* fields_check lets none through */
        buf_puts(out, "[]");
        break;
    case FIELD_TEXT:
        json_put_text(out, field_text(field, m));
        break;
    case FIELD_U64:
        json_put_u64(out, field_u64(field, m));
        break;
    case FIELD_I32:
        json_put_i64(out, m->compression_level);
        break;
    case FIELD_LABELS:
        put_labels(m, out);
        break;
    case FIELD_PRODUCER:
        put_producer(m, producer_extra, out);
        break;
    }
}

void fields_put(const struct field_table *table,
                const struct persist_metadata *m, const json_t *producer_extra,
                struct buf *out)
{
    for (size_t i = 0; i < table->n_fields; i++)
        put_field(&table->fields[i], m, producer_extra, out);
}

/* Without the name. */
static size_t field_bound(const struct field *field,
                          const struct persist_metadata *m)
{
    size_t sum = TEXT_U64_LEN;

    switch (field->kind) {
    case FIELD_TEXT:
        return json_text_len(field_text(field, m));
    case FIELD_PRODUCER:
        return strlen("{'name':,'version':}") +
               json_text_len(m->producer_name) +
               json_text_len(m->producer_version);
    case FIELD_LABELS:
        for (size_t i = 0; i < m->n_labels; i++)
            sum += json_text_len(m->labels[i].key) +
                   json_text_len(m->labels[i].value) + strlen(":,");
        return sum;
    case FIELD_VERSION:
    case FIELD_REQUIRES:
    case FIELD_U64:
    case FIELD_I32:
        break;
    }
    return sum;
}

size_t fields_bound(const struct field_table *table,
                    const struct persist_metadata *m)
{
    size_t sum = 0;

    for (size_t i = 0; i < table->n_fields; i++)
        sum += strlen(table->fields[i].name) + strlen("'':,") +
               field_bound(&table->fields[i], m);
    return sum;
}

/* Writes into a buffer of its own, so that memory and out's ceiling can be told
 * apart, then appends.  m has been checked. */
static int encode(const struct field_table *table,
                  const struct persist_metadata *m, struct buf *out,
                  struct persist_error *err)
{
    struct buf json;
    int rc = PERSIST_OK;
    buf_init(&json, SIZE_MAX / 2);
    buf_putc(&json, '{');
    fields_put(table, m, NULL, &json);
    buf_putc(&json, '}');
    if (!buf_failed(&json) && json.len > out->max - out->len) {
        rc = error_set(err, PERSIST_E_INVALID,
                       "the %s takes %zu bytes where at most %zu may be",
                       table->name, json.len, out->max - out->len);
        error_hint(err, "shorten the description, schema or labels");
        goto out;
    }
    buf_append(out, json.data, json.len);
    rc = buf_failed(&json) || buf_failed(out) ? error_memory(err) : PERSIST_OK;
out:
    buf_finish(&json);
    return rc;
}

static int compare_labels(const void *a, const void *b)
{
    const struct persist_label *x = a;
    const struct persist_label *y = b;
    return strcmp(x->key, y->key);
}

/* A sorted copy of m's labels; INVALID where a key comes twice. */
static int sort_labels(const struct persist_metadata *m,
                       struct persist_label **out, struct persist_error *err)
{
    size_t n = m->n_labels;
    struct persist_label *sorted = calloc(n, sizeof(*sorted));
    if (!sorted)
        return error_memory(err);
    memcpy(sorted, m->labels, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_labels);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(sorted[i - 1].key, sorted[i].key) != 0)
            continue;
        error_set(err, PERSIST_E_INVALID, "the label %s comes twice",
                  sorted[i].key);
        free(sorted);
        return PERSIST_E_INVALID;
    }
    *out = sorted;
    return PERSIST_OK;
}

/* m as it is written: with what stands for what is left out, labels in order;
 * checked.  *out_labels: where they lie then, to be freed; NULL where it is m's
 * own. */
static int canonical_of(const struct persist_metadata *m,
                        struct persist_metadata *out,
                        struct persist_label **out_labels,
                        struct persist_error *err)
{
    *out = *m;
    *out_labels = NULL;
    if (!out->content_type)
        out->content_type = "application/octet-stream";
    int rc = fields_check(&header_fields, out, PERSIST_E_INVALID, err);
    if (!rc && m->n_labels > 1)
        rc = sort_labels(m, out_labels, err);
    if (*out_labels)
        out->labels = *out_labels;
    return rc;
}

int metadata_encode_header(const struct persist_metadata *m, struct buf *out,
                           struct persist_error *err)
{
    struct persist_metadata canonical;
    struct persist_label *labels;
    int rc = canonical_of(m, &canonical, &labels, err);
    if (!rc)
        rc = encode(&header_fields, &canonical, out, err);
    free(labels);
    return rc;
}

int metadata_header_bound(const struct persist_metadata *m, size_t *out,
                          struct persist_error *err)
{
    struct persist_metadata canonical;
    struct persist_label *labels;
    int rc = canonical_of(m, &canonical, &labels, err);
    if (!rc)
        *out = strlen("{}") + fields_bound(&header_fields, &canonical);
    free(labels);
    return rc;
}

int metadata_encode_trailer(const struct persist_metadata *m, struct buf *out,
                            struct persist_error *err)
{
    int rc = fields_check(&trailer_fields, m, PERSIST_E_INVALID, err);
    return rc ? rc : encode(&trailer_fields, m, out, err);
}
