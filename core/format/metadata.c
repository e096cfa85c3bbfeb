/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory behind struct persist_metadata, and its public functions.  A box
 * is made by metadata_copy alone; decoding goes through it too.
 */
#include <stdlib.h>
#include <string.h>

#include "format/fields.h"
#include "format/metadata_box.h"

#define AT(member) offsetof(struct persist_metadata, member)

/* Every text member. */
static const size_t text_offsets[] = {
    AT(snapshot_id),   AT(agent_id),         AT(session_id),
    AT(timestamp),     AT(parent_id),        AT(compression_algorithm),
    AT(content_type),  AT(schema),           AT(description),
    AT(producer_name), AT(producer_version), AT(content_hash),
    AT(stored_crc32c),
};
#define N_TEXTS (sizeof(text_offsets) / sizeof(text_offsets[0]))

struct metadata_box *metadata_box(struct persist_metadata *m)
{
    return (
        struct metadata_box *)(void *)((char *)m -
                                       offsetof(struct metadata_box, metadata));
}

const struct metadata_box *metadata_box_const(const struct persist_metadata *m)
{
    return (
        const struct metadata_box *)(const void *)((const char *)m -
                                                   offsetof(struct metadata_box,
                                                            metadata));
}

/* Copies text to *end and moves *end; with *end NULL only counts in *len. */
static const char *put(const char *text, char **end, size_t *len)
{
    if (!text)
        return NULL;
    size_t n = strlen(text) + 1;
    *len += n;
    if (!*end)
        return text;
    char *copy = memcpy(*end, text, n);
    *end += n;
    return copy;
}

/* Moves every text of the box to `end`, or counts their bytes (end NULL). */
static size_t put_texts(struct metadata_box *box, char *end)
{
    struct persist_metadata *m = &box->metadata;
    size_t len = 0;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *text = NULL;
        memcpy(&text, (char *)m + text_offsets[i], sizeof(text));
        text = put(text, &end, &len);
        memcpy((char *)m + text_offsets[i], &text, sizeof(text));
    }
    for (size_t i = 0; i < m->n_labels; i++) {
        box->labels[i].key = put(box->labels[i].key, &end, &len);
        box->labels[i].value = put(box->labels[i].value, &end, &len);
    }
    for (size_t i = 0; i < m->n_required_features; i++)
        box->required[i] = put(box->required[i], &end, &len);
    return len;
}

static bool copy_arrays(struct metadata_box *box)
{
    struct persist_metadata *m = &box->metadata;
    box->labels = calloc(m->n_labels + 1, sizeof(*box->labels));
    box->required = calloc(m->n_required_features + 1, sizeof(*box->required));
    if (!box->labels || !box->required)
        return false;
    if (m->n_labels > 0)
        memcpy(box->labels, m->labels, m->n_labels * sizeof(*box->labels));
    if (m->n_required_features > 0)
        memcpy(box->required, m->required_features,
               m->n_required_features * sizeof(*box->required));
    m->labels = box->labels;
    m->required_features = box->required;
    return true;
}

size_t metadata_memory(const struct persist_metadata *m)
{
    size_t len = sizeof(struct metadata_box);

    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *text = NULL;
        memcpy(&text, (const char *)m + text_offsets[i], sizeof(text));
        len += text ? strlen(text) + 1 : 0;
    }
    for (size_t i = 0; i < m->n_labels; i++)
        len += sizeof(m->labels[i]) + strlen(m->labels[i].key) +
               strlen(m->labels[i].value) + 2;
    for (size_t i = 0; i < m->n_required_features; i++)
        len += sizeof(char *) + strlen(m->required_features[i]) + 1;
    return len;
}

struct persist_metadata *metadata_copy(const struct persist_metadata *m)
{
    struct metadata_box *box = calloc(1, sizeof(*box));
    if (!box)
        return NULL;
    box->metadata = *m;
    box->metadata.struct_size = (uint32_t)sizeof(*m);
    if (!copy_arrays(box))
        goto fail;
    box->texts = malloc(put_texts(box, NULL) + 1);
    if (!box->texts)
        goto fail;
    put_texts(box, box->texts);
    return &box->metadata;
fail:
    persist_metadata_free(&box->metadata);
    return NULL;
}

void persist_metadata_free(struct persist_metadata *metadata)
{
    if (!metadata)
        return;
    struct metadata_box *box = metadata_box(metadata);
    json_decref(box->header_extra);
    json_decref(box->producer_extra);
    json_decref(box->trailer_extra);
    free(box->labels);
    free(box->required);
    free(box->texts);
    free(box);
}

int persist_metadata_json(const struct persist_metadata *metadata, char **out,
                          struct persist_error *err)
{
    const struct metadata_box *box = metadata_box_const(metadata);
    struct buf json;
    buf_init(&json, SIZE_MAX / 2);
    buf_putc(&json, '{');
    fields_put(&header_fields, metadata, box->producer_extra, &json);
    if (metadata->present & PERSIST_META_TRAILER)
        fields_put(&trailer_fields, metadata, NULL, &json);
    if (metadata->present & PERSIST_META_STORED_SIZE) {
        json_put_name(&json, "compressed_size");
        json_put_u64(&json, metadata->compressed_size);
    }
    json_put_members(&json, box->header_extra);
    json_put_members(&json, box->trailer_extra);
    buf_putc(&json, '}');
    char *text = buf_steal(&json);
    buf_finish(&json);
    if (!text)
        return error_memory(err);
    *out = text;
    return PERSIST_OK;
}
