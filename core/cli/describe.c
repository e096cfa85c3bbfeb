/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a snapshot's metadata is shown.  The JSON comes from the library, which
 * keeps the field names of the snapshot file; here it only gets its type,
 * store and address in front.
 */
#include "cli/describe.h"

#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/text.h"

void describe_address(const struct persist_metadata *metadata,
                      char out[ADDRESS_TEXT_LEN])
{
    address_text(metadata->agent_id, metadata->session_id,
                 &metadata->snapshot_index, out);
}

json_t *describe_json(const char *type, struct persist_store *store,
                      const struct persist_metadata *metadata,
                      struct persist_error *err)
{
    char address[ADDRESS_TEXT_LEN];
    char *text = NULL;

    if (persist_metadata_json(metadata, &text, err) != PERSIST_OK)
        return NULL;
    json_t *fields = json_loads(text, 0, NULL);
    json_t *object = json_object();
    persist_free(text);
    describe_address(metadata, address);
    if (!fields || !object ||
        json_object_set_new(object, "type", json_string(type)) != 0 ||
        json_object_set_new(object, "store",
                            output_text(persist_store_name(store))) != 0 ||
        json_object_set_new(object, "address", output_text(address)) != 0 ||
        json_object_update_missing(object, fields) != 0) {
        error_memory(err);
        json_decref(object);
        object = NULL;
    }
    json_decref(fields);
    return object;
}

void describe_size(uint64_t bytes, char out[DESCRIBE_SIZE_LEN])
{
    char human[16];

    text_from_size(bytes, human);
    if (bytes < 1024)
        snprintf(out, DESCRIBE_SIZE_LEN, "%llu bytes",
                 (unsigned long long)bytes);
    else
        snprintf(out, DESCRIBE_SIZE_LEN, "%s (%llu bytes)", human,
                 (unsigned long long)bytes);
}

void describe_time(const char *timestamp, bool with_zone,
                   char out[OUTPUT_TIME_LEN])
{
    int64_t unix_us;

    if (text_to_time(timestamp, &unix_us))
        output_local_time(unix_us, with_zone, out);
    else
        snprintf(out, OUTPUT_TIME_LEN, "%s", timestamp);
}

static void line(struct output *out, const char *name, const char *value)
{
    if (!value)
        return;
    output_printf(out, "%-14s", name);
    output_escaped(out, value);
    output_write(out, "\n", 1);
}

static void identity_lines(struct output *out, struct persist_store *store,
                           const struct persist_metadata *m)
{
    char text[ADDRESS_TEXT_LEN];
    char when[OUTPUT_TIME_LEN];

    describe_address(m, text);
    line(out, "address", text);
    line(out, "store", persist_store_name(store));
    line(out, "agent", m->agent_id);
    line(out, "session", m->session_id);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)m->snapshot_index);
    line(out, "index", text);
    line(out, "snapshot id", m->snapshot_id);
    line(out, "parent id", m->parent_id);
    describe_time(m->timestamp, true, when);
    line(out, "saved", when);
}

static void size_lines(struct output *out, const struct persist_metadata *m)
{
    char text[128];
    char frame[16];

    if (m->present & PERSIST_META_TRAILER) {
        describe_size(m->uncompressed_size, text);
        line(out, "size", text);
    }
    if (m->present & PERSIST_META_STORED_SIZE) {
        describe_size(m->compressed_size, text);
        line(out, "stored", text);
    }
    text_from_size(m->frame_size, frame);
    if (m->present & PERSIST_META_TRAILER)
        snprintf(text, sizeof(text), "%s, level %d, %llu frame%s of %s",
                 m->compression_algorithm, (int)m->compression_level,
                 (unsigned long long)m->frame_count,
                 m->frame_count == 1 ? "" : "s", frame);
    else
        snprintf(text, sizeof(text), "%s, level %d, frames of %s",
                 m->compression_algorithm, (int)m->compression_level, frame);
    line(out, "compression", text);
}

void describe_lines(struct output *out, struct persist_store *store,
                    const struct persist_metadata *m)
{
    char text[512];

    identity_lines(out, store, m);
    size_lines(out, m);
    line(out, "content type", m->content_type);
    line(out, "schema", m->schema);
    line(out, "description", m->description);
    for (size_t i = 0; i < m->n_labels; i++) {
        output_printf(out, "%-14s", i == 0 ? "labels" : "");
        output_escaped(out, m->labels[i].key);
        output_write(out, "=", 1);
        output_escaped(out, m->labels[i].value);
        output_write(out, "\n", 1);
    }
    snprintf(text, sizeof(text), "%s %s", m->producer_name,
             m->producer_version);
    line(out, "producer", text);
    if (m->present & PERSIST_META_TRAILER) {
        line(out, "sha-256", m->content_hash);
        line(out, "crc-32c", m->stored_crc32c);
    }
    for (size_t i = 0; i < m->n_required_features; i++)
        line(out, i == 0 ? "requires" : "", m->required_features[i]);
    snprintf(text, sizeof(text), "%u", (unsigned)m->format_version);
    line(out, "format", text);
}
