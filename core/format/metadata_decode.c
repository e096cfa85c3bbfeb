/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to metadata.  Known fields go through the tables; what is left over is
 * kept aside, so that a reader can show what a newer writer had to say.
 */
#include <stdlib.h>
#include <string.h>

#include "format/fields.h"
#include "format/metadata_box.h"
#include "util/text.h"

static bool is_known(const char *name)
{
    return field_find(&header_fields, name) ||
           field_find(&trailer_fields, name) ||
           strcmp(name, "compressed_size") == 0;
}

/* Removes what was read; a known name that is left is the other part's. */
static int take_extra(const struct field_table *table, json_t *object,
                      json_t **out, struct persist_error *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    for (size_t i = 0; i < table->n_fields; i++)
        (void)json_object_del(object, table->fields[i].name);
    json_object_foreach(object, name, value)
    {
        if (is_known(name))
            return error_set(err, PERSIST_E_CORRUPT,
                             "the %s has a field that is not its own: %s",
                             table->name, name);
    }
    json_decref(*out);
    *out = json_object_size(object) > 0 ? json_incref(object) : NULL;
    return PERSIST_OK;
}

static void take_producer_extra(json_t *object, json_t **out)
{
    json_t *producer = json_object_get(object, "producer");
    (void)json_object_del(producer, "name");
    (void)json_object_del(producer, "version");
    if (json_object_size(producer) > 0)
        *out = json_incref(producer);
}

int metadata_decode_header(const char *json, size_t len,
                           struct persist_metadata **out,
                           struct persist_error *err)
{
    struct persist_metadata found = {.struct_size = sizeof(found)};
    struct persist_metadata *copy = NULL;
    struct persist_label *labels = NULL;
    json_t *object = NULL;
    int rc = json_read_object("header", json, len, &object, err);
    if (rc)
        return rc;
    rc = fields_read(&header_fields, object, &found, &labels, err);
    if (rc)
        goto out;
    copy = metadata_copy(&found);
    if (!copy) {
        rc = error_memory(err);
        goto out;
    }
    take_producer_extra(object, &metadata_box(copy)->producer_extra);
    rc = take_extra(&header_fields, object, &metadata_box(copy)->header_extra,
                    err);
    if (rc)
        goto out;
    *out = copy;
    copy = NULL;
out:
    persist_metadata_free(copy);
    free(labels);
    json_decref(object);
    return rc;
}

/* The same name in both parts would come twice in one object. */
static int check_repeated(const json_t *header_extra, json_t *trailer,
                          struct persist_error *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(trailer, name, value)
    {
        if (json_object_get(header_extra, name))
            return error_set(err, PERSIST_E_CORRUPT,
                             "the trailer repeats a field of the header: %s",
                             name);
    }
    return PERSIST_OK;
}

int metadata_decode_trailer(const char *json, size_t len,
                            struct persist_metadata *m,
                            struct persist_error *err)
{
    struct metadata_box *box = metadata_box(m);
    struct persist_metadata found = {.struct_size = sizeof(found)};
    char hash[sizeof(box->content_hash)];
    char crc[sizeof(box->stored_crc32c)];
    json_t *object = NULL;
    int rc = json_read_object("trailer", json, len, &object, err);
    if (rc)
        return rc;
    rc = fields_read(&trailer_fields, object, &found, NULL, err);
    if (rc)
        goto out;
    memcpy(hash, found.content_hash, sizeof(hash));
    memcpy(crc, found.stored_crc32c, sizeof(crc));
    rc = check_repeated(box->header_extra, object, err);
    if (!rc)
        rc = take_extra(&trailer_fields, object, &box->trailer_extra, err);
    if (rc)
        goto out;
    memcpy(box->content_hash, hash, sizeof(hash));
    memcpy(box->stored_crc32c, crc, sizeof(crc));
    m->content_hash = box->content_hash;
    m->stored_crc32c = box->stored_crc32c;
    m->uncompressed_size = found.uncompressed_size;
    m->frame_count = found.frame_count;
    m->present |= PERSIST_META_TRAILER;
out:
    json_decref(object);
    return rc;
}

int trailer_decode(const char *json, size_t len, struct trailer *out,
                   struct persist_error *err)
{
    struct persist_metadata found = {.struct_size = sizeof(found)};
    json_t *object = NULL;
    int rc = json_read_object("trailer", json, len, &object, err);
    if (rc)
        return rc;
    rc = fields_read(&trailer_fields, object, &found, NULL, err);
    if (!rc) {
        uint8_t crc[4];
        (void)text_from_hex(found.content_hash, 64, out->sha256);
        (void)text_from_hex(found.stored_crc32c, 8, crc);
        out->stored_crc32c = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
                             (uint32_t)crc[2] << 8 | crc[3];
        out->payload_len = found.uncompressed_size;
        out->n_frames = found.frame_count;
    }
    json_decref(object);
    return rc;
}
