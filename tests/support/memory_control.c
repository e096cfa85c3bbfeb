/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table a test reaches through get_extension: see memory_backend.h.
 */
#include "memory_map.h"

#include <stdlib.h>
#include <string.h>

static struct memory_map *lock(const char *store)
{
    struct memory_map *map = memory_map_get(store);
    if (map)
        pthread_mutex_lock(&map->lock);
    return map;
}

static void unlock(struct memory_map *map)
{
    pthread_mutex_unlock(&map->lock);
}

static void reset(const char *store)
{
    struct memory_map *map = lock(store);
    if (!map)
        return;
    locked_clear(map);
    memset(map->counts, 0, sizeof(map->counts));
    map->hook = NULL;
    map->hook_ctx = NULL;
    map->now_us = 0;
    unlock(map);
}

static void set_hook(const char *store, memory_hook_fn hook, void *ctx)
{
    struct memory_map *map = lock(store);
    if (!map)
        return;
    map->hook = hook;
    map->hook_ctx = ctx;
    unlock(map);
}

static void set_now(const char *store, int64_t wall_us)
{
    struct memory_map *map = lock(store);
    if (!map)
        return;
    map->now_us = wall_us;
    unlock(map);
}

static uint64_t count(const char *store, const char *op)
{
    int id = memory_op_id(op);
    uint64_t n = 0;
    struct memory_map *map = lock(store);
    if (!map)
        return 0;
    for (int i = 0; i < MEMORY_N_OPS; i++)
        if (id == i || id == MEMORY_N_OPS)
            n += map->counts[i];
    unlock(map);
    return n;
}

static int32_t each(const char *store, memory_each_fn fn, void *ctx)
{
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < map->n_objects; i++) {
        const struct memory_object *object = &map->objects[i];
        struct memory_object_view view = {
            .key = object->key,
            .data = object->data,
            .len = object->len,
            .generation = object->generation,
            .modified_us = object->modified_us,
        };
        rc = fn(ctx, &view);
    }
    unlock(map);
    return rc;
}

static uint64_t n_objects(const char *store)
{
    struct memory_map *map = lock(store);
    if (!map)
        return 0;
    uint64_t n = map->n_objects;
    unlock(map);
    return n;
}

static uint64_t n_uploads(const char *store)
{
    struct memory_map *map = lock(store);
    if (!map)
        return 0;
    uint64_t n = map->n_uploads;
    unlock(map);
    return n;
}

static int32_t get(const char *store, const char *key, void *out, uint64_t cap,
                   uint64_t *out_len)
{
    int32_t rc = PERSIST_BACKEND_NOT_FOUND;
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    const struct memory_object *object = locked_find(map, key, NULL);
    if (object) {
        size_t len = object->len < cap ? object->len : (size_t)cap;
        if (len)
            memcpy(out, object->data, len);
        *out_len = object->len;
        rc = PERSIST_BACKEND_OK;
    }
    unlock(map);
    return rc;
}

static int32_t set(const char *store, const char *key, const void *data,
                   uint64_t len)
{
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    int32_t rc = locked_store(map, key, data, (size_t)len, false, map->now_us);
    unlock(map);
    return rc;
}

static int32_t poke(const char *store, const char *key, uint64_t offset,
                    const void *data, uint64_t len)
{
    int32_t rc = PERSIST_BACKEND_NOT_FOUND;
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    struct memory_object *object = locked_find(map, key, NULL);
    if (object)
        rc = PERSIST_BACKEND_INVALID;
    if (object && offset <= object->len && len <= object->len - offset) {
        memcpy(object->data + offset, data, (size_t)len);
        rc = PERSIST_BACKEND_OK;
    }
    unlock(map);
    return rc;
}

static int32_t remove_object(const char *store, const char *key)
{
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    bool was = locked_remove(map, key);
    unlock(map);
    return was ? PERSIST_BACKEND_OK : PERSIST_BACKEND_NOT_FOUND;
}

static int32_t set_modified(const char *store, const char *key, int64_t wall_us)
{
    struct memory_map *map = lock(store);
    if (!map)
        return PERSIST_BACKEND_MEMORY;
    struct memory_object *object = locked_find(map, key, NULL);
    if (object)
        object->modified_us = wall_us;
    unlock(map);
    return object ? PERSIST_BACKEND_OK : PERSIST_BACKEND_NOT_FOUND;
}

/* Two locks at once: always in the order of the addresses. */
static int32_t copy(const char *from, const char *to)
{
    struct memory_map *source = memory_map_get(from);
    struct memory_map *target = memory_map_get(to);
    if (!source || !target)
        return PERSIST_BACKEND_MEMORY;
    if (source == target)
        return PERSIST_BACKEND_OK;
    bool source_first = (uintptr_t)source < (uintptr_t)target;
    pthread_mutex_lock(source_first ? &source->lock : &target->lock);
    pthread_mutex_lock(source_first ? &target->lock : &source->lock);
    int32_t rc = locked_copy(target, source);
    unlock(source);
    unlock(target);
    return rc;
}

const void *memory_control_get(const char *name)
{
    static const struct memory_control control = {
        .struct_size = sizeof(control),
        .reset = reset,
        .set_hook = set_hook,
        .set_now = set_now,
        .count = count,
        .each = each,
        .n_objects = n_objects,
        .n_uploads = n_uploads,
        .get = get,
        .set = set,
        .poke = poke,
        .remove = remove_object,
        .set_modified = set_modified,
        .copy = copy,
    };
    return strcmp(name, MEMORY_CONTROL) == 0 ? &control : NULL;
}
