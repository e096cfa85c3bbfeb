/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each field of the metadata must look like.  A snapshot that could not be
 * read back must not be written, so writer and reader share these checks.
 */
#include "format/fields.h"

#include <limits.h>
#include <string.h>

#include "format/codec.h"
#include "util/text.h"

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= PERSIST_NAME_MAX;
}

/* RFC 9562: version 7, variant 10. */
static bool is_uuid7(const char *text)
{
    return text_is_uuid(text) && text[14] == '7' &&
           strchr("89ab", text[19]) != NULL;
}

/* The one spelling: what comes out must be what went in. */
bool form_is_time(const char *text)
{
    int64_t us = 0;
    char again[TEXT_TIME_LEN];
    if (strlen(text) != TEXT_TIME_LEN - 1 || !text_to_time(text, &us))
        return false;
    text_from_time(us, again);
    return strcmp(text, again) == 0;
}

static bool is_hex(const char *text, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    return strlen(text) == len && strspn(text, digits) == len;
}

static bool is_sha256(const char *text)
{
    return is_hex(text, 64);
}

static bool is_crc32c(const char *text)
{
    return is_hex(text, 8);
}

#define AT(member) offsetof(struct persist_metadata, member)

static const struct field header[] = {
    {.name = "format_version", .kind = FIELD_VERSION},
    {.name = "requires", .kind = FIELD_REQUIRES},
    {"snapshot_id", FIELD_TEXT, false, AT(snapshot_id), is_uuid7},
    {"agent_id", FIELD_TEXT, false, AT(agent_id), is_name},
    {"session_id", FIELD_TEXT, false, AT(session_id), is_name},
    {"snapshot_index", FIELD_U64, false, AT(snapshot_index), NULL},
    {"timestamp", FIELD_TEXT, false, AT(timestamp), form_is_time},
    {"parent_id", FIELD_TEXT, true, AT(parent_id), text_is_uuid},
    {"compression_algorithm", FIELD_TEXT, false, AT(compression_algorithm),
     NULL},
    {"compression_level", FIELD_I32, false, AT(compression_level), NULL},
    {"frame_size", FIELD_U64, false, AT(frame_size), NULL},
    {"content_type", FIELD_TEXT, false, AT(content_type), NULL},
    {"schema", FIELD_TEXT, true, AT(schema), NULL},
    {"description", FIELD_TEXT, true, AT(description), NULL},
    {.name = "labels", .kind = FIELD_LABELS},
    {.name = "producer", .kind = FIELD_PRODUCER},
};
const struct field_table header_fields = {
    "header", sizeof(header) / sizeof(header[0]), header};

static const struct field trailer[] = {
    {"content_hash", FIELD_TEXT, false, AT(content_hash), is_sha256},
    {"uncompressed_size", FIELD_U64, false, AT(uncompressed_size), NULL},
    {"frame_count", FIELD_U64, false, AT(frame_count), NULL},
    {"stored_crc32c", FIELD_TEXT, false, AT(stored_crc32c), is_crc32c},
};
const struct field_table trailer_fields = {
    "trailer", sizeof(trailer) / sizeof(trailer[0]), trailer};

const struct field *field_find(const struct field_table *table,
                               const char *name)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    }
    return NULL;
}

const char *field_text(const struct field *field,
                       const struct persist_metadata *m)
{
    const char *text = NULL;
    memcpy(&text, (const char *)m + field->offset, sizeof(text));
    return text;
}

void field_set_text(const struct field *field, struct persist_metadata *m,
                    const char *text)
{
    memcpy((char *)m + field->offset, &text, sizeof(text));
}

uint64_t field_u64(const struct field *field, const struct persist_metadata *m)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)m + field->offset, sizeof(value));
    return value;
}

void field_set_u64(const struct field *field, struct persist_metadata *m,
                   uint64_t value)
{
    memcpy((char *)m + field->offset, &value, sizeof(value));
}

static int wrong(const struct field_table *table, const char *name,
                 const char *why, int status, struct persist_error *err)
{
    return error_set(err, status, "the %s's %s %s", table->name, name, why);
}

static int check_text(const struct field_table *table,
                      const struct field *field,
                      const struct persist_metadata *m, int status,
                      struct persist_error *err)
{
    const char *text = field_text(field, m);
    if (!text)
        return field->optional
                   ? PERSIST_OK
                   : wrong(table, field->name, "is missing", status, err);
    if (!text_is_utf8(text, strlen(text)))
        return wrong(table, field->name, "is not UTF-8", status, err);
    if (field->form && !field->form(text))
        return wrong(table, field->name, "has the wrong form", status, err);
    return PERSIST_OK;
}

static int check_labels(const struct persist_metadata *m, int status,
                        struct persist_error *err)
{
    for (size_t i = 0; i < m->n_labels; i++) {
        const char *key = m->labels[i].key;
        const char *value = m->labels[i].value;
        if (!key || !value)
            return wrong(&header_fields, "labels", "lack a key or value",
                         status, err);
        if (!text_is_utf8(key, strlen(key)) ||
            !text_is_utf8(value, strlen(value)))
            return wrong(&header_fields, "labels", "are not UTF-8", status,
                         err);
    }
    return PERSIST_OK;
}

static int check_producer(const struct persist_metadata *m, int status,
                          struct persist_error *err)
{
    const char *const texts[] = {m->producer_name, m->producer_version};
    for (size_t i = 0; i < 2; i++) {
        if (!texts[i])
            return wrong(&header_fields, "producer", "lacks a name or version",
                         status, err);
        if (!text_is_utf8(texts[i], strlen(texts[i])))
            return wrong(&header_fields, "producer", "is not UTF-8", status,
                         err);
    }
    return PERSIST_OK;
}

static int check_field(const struct field_table *table,
                       const struct field *field,
                       const struct persist_metadata *m, int status,
                       struct persist_error *err)
{
    switch (field->kind) {
    case FIELD_TEXT:
        return check_text(table, field, m, status, err);
    case FIELD_U64:
        return field_u64(field, m) <= INT64_MAX
                   ? PERSIST_OK
                   : wrong(table, field->name, "is too large", status, err);
    case FIELD_LABELS:
        return check_labels(m, status, err);
    case FIELD_PRODUCER:
        return check_producer(m, status, err);
    case FIELD_REQUIRES: /* none is known yet */
        return m->n_required_features == 0
                   ? PERSIST_OK
                   : error_set(err, PERSIST_E_UNSUPPORTED,
                               "no snapshot can require \"%s\" yet",
                               m->required_features[0]);
    case FIELD_VERSION:
    case FIELD_I32:
        break;
    }
    return PERSIST_OK;
}

/* What a field's form alone does not say. */
static int check_header(const struct persist_metadata *m, int status,
                        struct persist_error *err)
{
    const struct field_table *table = &header_fields;
    enum codec codec;
    if (m->snapshot_index > PERSIST_INDEX_MAX)
        return wrong(table, "snapshot_index", "is too large", status, err);
    if (!codec_from_name(m->compression_algorithm, &codec))
        return wrong(table, "compression_algorithm", "is neither zstd nor gzip",
                     status, err);
    if (!codec_level_ok(codec, m->compression_level))
        return wrong(table, "compression_level",
                     "is out of the algorithm's range", status, err);
    if (!codec_frame_size_ok(m->frame_size))
        return wrong(table, "frame_size",
                     "is not a power of two from 64 KiB to 16 MiB", status,
                     err);
    return PERSIST_OK;
}

int fields_check(const struct field_table *table,
                 const struct persist_metadata *m, int status,
                 struct persist_error *err)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        int rc = check_field(table, &table->fields[i], m, status, err);
        if (rc)
            return rc;
    }
    return table == &header_fields ? check_header(m, status, err) : PERSIST_OK;
}
