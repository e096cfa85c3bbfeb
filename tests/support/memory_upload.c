/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unfinished uploads of a map: parts by number until a commit joins them.
 *
 * The commit itself (a write like any other) is memory_backend.c's.
 */
#include "memory_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void upload_finish(struct memory_upload *upload)
{
    for (size_t i = 0; i < upload->n_parts; i++)
        free(upload->parts[i].data);
    free(upload->parts);
    free(upload->key);
}

struct memory_upload *locked_upload(struct memory_map *map, const char *id)
{
    for (size_t i = 0; i < map->n_uploads; i++)
        if (strcmp(map->uploads[i].id, id) == 0)
            return &map->uploads[i];
    return NULL;
}

static struct memory_upload *locked_add(struct memory_map *map, const char *key)
{
    struct memory_upload *grown =
        realloc(map->uploads, (map->n_uploads + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    map->uploads = grown;
    struct memory_upload *upload = &map->uploads[map->n_uploads];
    memset(upload, 0, sizeof(*upload));
    upload->key = strdup(key);
    if (!upload->key)
        return NULL;
    map->n_uploads++;
    return upload;
}

int32_t map_upload_begin(struct memory_map *map, const char *key,
                         int64_t now_us, char *out_id, size_t cap)
{
    int32_t rc = PERSIST_BACKEND_MEMORY;
    pthread_mutex_lock(&map->lock);
    struct memory_upload *upload = locked_add(map, key);
    if (upload) {
        upload->modified_us = now_us;
        snprintf(upload->id, sizeof(upload->id), "u%" PRIu64,
                 ++map->next_upload);
        snprintf(out_id, cap, "%s", upload->id);
        rc = PERSIST_BACKEND_OK;
    }
    pthread_mutex_unlock(&map->lock);
    return rc;
}

static struct memory_part *find_part(struct memory_upload *upload,
                                     uint32_t number)
{
    for (size_t i = 0; i < upload->n_parts; i++)
        if (upload->parts[i].number == number)
            return &upload->parts[i];
    return NULL;
}

static struct memory_part *add_part(struct memory_upload *upload)
{
    struct memory_part *grown =
        realloc(upload->parts, (upload->n_parts + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    upload->parts = grown;
    struct memory_part *part = &grown[upload->n_parts];
    memset(part, 0, sizeof(*part));
    upload->n_parts++;
    return part;
}

static int32_t locked_part(struct memory_map *map,
                           const struct memory_lies *lies,
                           const struct persist_backend_part_args *args,
                           int64_t now_us)
{
    struct memory_upload *upload = locked_upload(map, args->upload_id);
    if (!upload || strcmp(upload->key, args->key) != 0)
        return PERSIST_BACKEND_NOT_FOUND;
    uint8_t *copy = malloc(args->len ? (size_t)args->len : 1);
    if (!copy)
        return PERSIST_BACKEND_MEMORY;
    if (args->len)
        memcpy(copy, args->data, (size_t)args->len);

    struct memory_part *part = find_part(upload, args->number);
    if (!part || lies->on[LIE_DOUBLE_PART])
        part = add_part(upload);
    if (!part) {
        free(copy);
        return PERSIST_BACKEND_MEMORY;
    }
    free(part->data);
    part->data = copy;
    part->number = args->number;
    part->crc32c = args->crc32c;
    part->offset = args->offset;
    part->len = (size_t)args->len;
    upload->modified_us = now_us;
    if (lies->on[LIE_EARLY_VISIBLE])
        return locked_store(map, args->key, args->data, (size_t)args->len,
                            false, now_us);
    return PERSIST_BACKEND_OK;
}

int32_t map_upload_part(struct memory_map *map, const struct memory_lies *lies,
                        const struct persist_backend_part_args *args,
                        int64_t now_us)
{
    pthread_mutex_lock(&map->lock);
    int32_t rc = locked_part(map, lies, args, now_us);
    pthread_mutex_unlock(&map->lock);
    return rc;
}

size_t receipt_format(char *out, size_t cap, uint32_t number, uint32_t crc32c)
{
    int len = snprintf(out, cap, "%" PRIu32 ":%08" PRIx32, number, crc32c);
    return len < 0 || (size_t)len >= cap ? 0 : (size_t)len;
}

static bool receipt_matches(const struct persist_backend_receipt *receipt,
                            const struct memory_part *part)
{
    char text[64];
    size_t len = receipt_format(text, sizeof(text), part->number, part->crc32c);
    return receipt->offset == part->offset && receipt->len == part->len &&
           receipt->receipt_len == len &&
           memcmp(receipt->receipt, text, len) == 0;
}

static const struct persist_backend_receipt *
receipt_at(const struct persist_backend_commit_args *args, uint32_t i)
{
    const char *base = (const char *)args->receipts;
    return (const void *)(base + (size_t)i * args->receipt_size);
}

/* The length of the whole, once every receipt fits its part and there is no
 * hole, no overlap and no part left over. */
static int32_t check_parts(struct memory_upload *upload,
                           const struct persist_backend_commit_args *args,
                           uint64_t *out_len)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < args->n_receipts; i++) {
        const struct persist_backend_receipt *receipt = receipt_at(args, i);
        struct memory_part *part = find_part(upload, receipt->number);
        if (!part || !receipt_matches(receipt, part) || part->offset != end)
            return PERSIST_BACKEND_INVALID;
        end += part->len;
    }
    if (args->n_receipts == 0 || args->n_receipts != upload->n_parts)
        return PERSIST_BACKEND_INVALID;
    if ((args->present & PERSIST_BACKEND_HAS_SIZE) && args->size != end)
        return PERSIST_BACKEND_INVALID;
    *out_len = end;
    return PERSIST_BACKEND_OK;
}

static uint64_t sum_parts(const struct memory_upload *upload)
{
    uint64_t len = 0;
    for (size_t i = 0; i < upload->n_parts; i++)
        len += upload->parts[i].len;
    return len;
}

static int by_number(const void *a, const void *b)
{
    const struct memory_part *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int32_t locked_join(struct memory_map *map,
                           const struct memory_lies *lies,
                           const struct persist_backend_commit_args *args,
                           uint8_t **out, size_t *out_len)
{
    struct memory_upload *upload = locked_upload(map, args->upload_id);
    if (!upload || strcmp(upload->key, args->key) != 0)
        return PERSIST_BACKEND_NOT_FOUND;
    uint64_t len = 0;
    int32_t rc = check_parts(upload, args, &len);
    if (rc && (lies->on[LIE_COMMIT_HOLES] || lies->on[LIE_DOUBLE_PART])) {
        len = sum_parts(upload);
        rc = PERSIST_BACKEND_OK;
    }
    if (rc)
        return rc;

    uint8_t *whole = malloc(len ? (size_t)len : 1);
    if (!whole)
        return PERSIST_BACKEND_MEMORY;
    if (upload->n_parts)
        qsort(upload->parts, upload->n_parts, sizeof(*upload->parts),
              by_number);
    size_t at = 0;
    for (size_t i = 0; i < upload->n_parts; i++) {
        memcpy(whole + at, upload->parts[i].data, upload->parts[i].len);
        at += upload->parts[i].len;
    }
    *out = whole;
    *out_len = at;
    return PERSIST_BACKEND_OK;
}

int32_t map_upload_join(struct memory_map *map, const struct memory_lies *lies,
                        const struct persist_backend_commit_args *args,
                        uint8_t **out, size_t *out_len)
{
    pthread_mutex_lock(&map->lock);
    int32_t rc = locked_join(map, lies, args, out, out_len);
    pthread_mutex_unlock(&map->lock);
    return rc;
}

bool map_upload_drop(struct memory_map *map, const char *id)
{
    pthread_mutex_lock(&map->lock);
    struct memory_upload *upload = locked_upload(map, id);
    if (upload) {
        upload_finish(upload);
        *upload = map->uploads[--map->n_uploads];
    }
    pthread_mutex_unlock(&map->lock);
    return upload != NULL;
}
