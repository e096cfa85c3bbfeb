/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing: one page of a map's entries, in key order or, where the store says
 * so (or lies), out of it.
 *
 * Entries are copied under the lock and emitted without it: emit is the host's
 * code.
 */
#include "memory_map.h"

#include <stdlib.h>
#include <string.h>

struct item {
    char *key;
    bool folder;
    uint64_t size;
    int64_t modified_us;
};

struct page {
    struct item *items;
    size_t n;
    size_t limit;
    bool more;
};

static void page_finish(struct page *page)
{
    for (size_t i = 0; i < page->n; i++)
        free(page->items[i].key);
    free(page->items);
}

/* The length of the entry a key is listed as: a folder's, or the key's. */
static size_t entry_len(const char *key, size_t prefix_len,
                        const char *delimiter)
{
    if (!*delimiter)
        return strlen(key);
    const char *cut = strstr(key + prefix_len, delimiter);
    return cut ? (size_t)(cut - key) + strlen(delimiter) : strlen(key);
}

static bool same_as_last(const struct page *page, const char *key, size_t len)
{
    if (page->n == 0)
        return false;
    const char *last = page->items[page->n - 1].key;
    return strlen(last) == len && memcmp(last, key, len) == 0;
}

static int32_t page_add(struct page *page, const struct memory_object *object,
                        size_t len)
{
    struct item *grown =
        realloc(page->items, (page->n + 1) * sizeof(*page->items));
    if (!grown)
        return PERSIST_BACKEND_MEMORY;
    page->items = grown;
    struct item *item = &grown[page->n];
    item->key = strndup(object->key, len);
    if (!item->key)
        return PERSIST_BACKEND_MEMORY;
    item->folder = object->key[len] != '\0' || object->key[len - 1] == '/';
    item->size = object->len;
    item->modified_us = object->modified_us;
    page->n++;
    return PERSIST_BACKEND_OK;
}

/* Greater than start_after, byte by byte? */
static bool is_after(const char *key, size_t len, const char *start_after,
                     bool inclusive)
{
    if (!*start_after)
        return true;
    size_t start_len = strlen(start_after);
    int order = memcmp(key, start_after, len < start_len ? len : start_len);
    if (order == 0 && len == start_len)
        return inclusive;
    return order > 0 || (order == 0 && len > start_len);
}

static int32_t locked_collect(struct memory_map *map,
                              const struct memory_listing *how,
                              const struct persist_backend_list_args *args,
                              struct page *page)
{
    const bool *lie = how->lies->on;
    size_t prefix_len = lie[LIE_IGNORE_PREFIX] ? 0 : strlen(args->prefix);
    size_t at;
    locked_find(map, prefix_len ? args->prefix : "", &at);
    for (; at < map->n_objects; at++) {
        const struct memory_object *object = &map->objects[at];
        if (strncmp(object->key, args->prefix, prefix_len) != 0)
            break;
        size_t len = entry_len(object->key, prefix_len, args->delimiter);
        if (!is_after(object->key, len, args->start_after,
                      lie[LIE_START_INCLUSIVE]))
            continue;
        if (same_as_last(page, object->key, len) && !lie[LIE_FOLDER_TWICE])
            continue;
        if (page->n == page->limit) {
            page->more = true;
            break;
        }
        int32_t rc = page_add(page, object, len);
        if (rc)
            return rc;
    }
    return PERSIST_BACKEND_OK;
}

/* Any other order that is the same every time. */
static void scramble(struct page *page)
{
    for (size_t i = 0; i + 1 < page->n; i++) {
        size_t other = i + (i * 7 + 1) % (page->n - i);
        struct item swap = page->items[i];
        page->items[i] = page->items[other];
        page->items[other] = swap;
    }
}

static int32_t emit_item(const struct persist_backend_list_args *args,
                         const bool *lie, const struct item *item)
{
    struct persist_backend_entry entry = {
        .struct_size = sizeof(entry),
        .key = lie[LIE_NO_KEY] ? NULL : item->key,
        .flags = item->folder ? PERSIST_BACKEND_ENTRY_FOLDER : 0,
        .size = item->folder ? 0 : item->size,
        .modified_us = item->folder ? 0 : item->modified_us,
        .present = item->folder ? 0
                                : PERSIST_BACKEND_HAS_MODIFIED |
                                      PERSIST_BACKEND_HAS_SIZE,
    };
    return args->emit(args->emit_ctx, &entry);
}

int32_t map_list(struct memory_map *map, const struct memory_listing *how,
                 const struct persist_backend_list_args *args,
                 struct persist_backend_list_result *result)
{
    const bool *lie = how->lies->on;
    struct page page = {.limit = args->limit};
    if (!how->ordered || lie[LIE_NO_LIMIT])
        page.limit = SIZE_MAX;
    pthread_mutex_lock(&map->lock);
    int32_t rc = locked_collect(map, how, args, &page);
    pthread_mutex_unlock(&map->lock);
    if (rc)
        goto out;
    if (page.n == 0 && lie[LIE_EMPTY_NOT_FOUND]) {
        rc = PERSIST_BACKEND_NOT_FOUND;
        goto out;
    }

    if (!how->ordered || lie[LIE_SCRAMBLED])
        scramble(&page);
    result->more = page.more && !lie[LIE_NO_MORE];
    for (size_t i = 0; i < page.n; i++)
        if (emit_item(args, lie, &page.items[i]) && !lie[LIE_IGNORE_EMIT])
            break;
out:
    page_finish(&page);
    return rc;
}

static int32_t locked_uploads(struct memory_map *map, const char *prefix,
                              struct memory_upload **out, size_t *out_n)
{
    struct memory_upload *copy = calloc(map->n_uploads + 1, sizeof(*copy));
    if (!copy)
        return PERSIST_BACKEND_MEMORY;
    *out = copy;
    *out_n = 0;
    for (size_t i = 0; i < map->n_uploads; i++) {
        const struct memory_upload *upload = &map->uploads[i];
        if (strncmp(upload->key, prefix, strlen(prefix)) != 0)
            continue;
        struct memory_upload *item = &copy[*out_n];
        memcpy(item->id, upload->id, sizeof(item->id));
        item->modified_us = upload->modified_us;
        for (size_t k = 0; k < upload->n_parts; k++)
            item->n_parts += upload->parts[k].len;
        item->key = strdup(upload->key);
        if (!item->key)
            return PERSIST_BACKEND_MEMORY;
        (*out_n)++;
    }
    return PERSIST_BACKEND_OK;
}

int32_t map_list_uploads(struct memory_map *map,
                         const struct persist_backend_list_uploads_args *args)
{
    /* In these copies n_parts holds the bytes. */
    struct memory_upload *uploads = NULL;
    size_t n = 0;
    pthread_mutex_lock(&map->lock);
    int32_t rc = locked_uploads(map, args->prefix, &uploads, &n);
    pthread_mutex_unlock(&map->lock);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct persist_backend_upload upload = {
            .struct_size = sizeof(upload),
            .present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED,
            .key = uploads[i].key,
            .upload_id = uploads[i].id,
            .size = uploads[i].n_parts,
            .modified_us = uploads[i].modified_us,
        };
        if (args->emit(args->emit_ctx, &upload))
            break;
    }
    for (size_t i = 0; i < n; i++)
        free(uploads[i].key);
    free(uploads);
    return rc;
}
