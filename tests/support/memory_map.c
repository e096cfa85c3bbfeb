/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects by key, in a sorted array, and the process-wide table of such maps.
 *
 * Knows of keys and bytes only: what an op means, which faults are switched on
 * and who is watching is memory_fault.c's and memory_backend.c's.  Maps are
 * never freed, so that a store may outlive a reset.
 */
#include "memory_map.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const memory_op_names[MEMORY_N_OPS + 2] = {
    "put",          "put_many", "upload_begin", "upload_part", "upload_commit",
    "upload_abort", "read",     "head",         "delete",      "list",
    "list_uploads", "probe",    "any",          NULL};

static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory_map *maps; /* maps_lock */

int memory_op_id(const char *name)
{
    for (int i = 0; memory_op_names[i]; i++)
        if (strcmp(memory_op_names[i], name) == 0)
            return i;
    return -1;
}

static struct memory_map *map_create(const char *id)
{
    struct memory_map *map = calloc(1, sizeof(*map));
    if (!map)
        return NULL;
    map->id = strdup(id);
    if (!map->id || pthread_mutex_init(&map->lock, NULL) != 0) {
        free(map->id);
        free(map);
        return NULL;
    }
    return map;
}

struct memory_map *memory_map_get(const char *id)
{
    pthread_mutex_lock(&maps_lock);
    struct memory_map *map = maps;
    while (map && strcmp(map->id, id) != 0)
        map = map->next;
    if (!map) {
        map = map_create(id);
        if (map) {
            map->next = maps;
            maps = map;
        }
    }
    pthread_mutex_unlock(&maps_lock);
    return map;
}

void locked_clear(struct memory_map *map)
{
    for (size_t i = 0; i < map->n_objects; i++) {
        free(map->objects[i].key);
        free(map->objects[i].data);
    }
    for (size_t i = 0; i < map->n_uploads; i++)
        upload_finish(&map->uploads[i]);
    free(map->objects);
    free(map->uploads);
    map->objects = NULL;
    map->uploads = NULL;
    map->n_objects = map->cap_objects = map->n_uploads = 0;
}

struct memory_object *locked_find(struct memory_map *map, const char *key,
                                  size_t *out_at)
{
    size_t low = 0, high = map->n_objects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(map->objects[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (out_at)
        *out_at = low;
    if (low < map->n_objects && strcmp(map->objects[low].key, key) == 0)
        return &map->objects[low];
    return NULL;
}

/* An empty slot for a key that is not there, at its place. */
static struct memory_object *insert_at(struct memory_map *map, size_t at)
{
    if (map->n_objects == map->cap_objects) {
        size_t cap = map->cap_objects ? map->cap_objects * 2 : 16;
        struct memory_object *grown =
            realloc(map->objects, cap * sizeof(*grown));
        if (!grown)
            return NULL;
        map->objects = grown;
        map->cap_objects = cap;
    }
    struct memory_object *slot = &map->objects[at];
    memmove(slot + 1, slot, (map->n_objects - at) * sizeof(*slot));
    map->n_objects++;
    memset(slot, 0, sizeof(*slot));
    return slot;
}

int32_t locked_store(struct memory_map *map, const char *key, const void *data,
                     size_t len, bool if_absent, int64_t now_us)
{
    size_t at;
    struct memory_object *object = locked_find(map, key, &at);
    if (object && if_absent)
        return PERSIST_BACKEND_EXISTS;

    int32_t rc = PERSIST_BACKEND_MEMORY;
    uint8_t *copy = malloc(len ? len : 1);
    char *name = object ? NULL : strdup(key);
    if (!copy || (!object && !name))
        goto out;
    if (len)
        memcpy(copy, data, len);
    if (!object) {
        object = insert_at(map, at);
        if (!object)
            goto out;
        object->key = name;
        name = NULL;
    }
    free(object->data);
    object->data = copy;
    copy = NULL;
    object->len = len;
    object->generation = ++map->generation;
    object->modified_us = now_us;
    rc = PERSIST_BACKEND_OK;
out:
    free(copy);
    free(name);
    return rc;
}

bool locked_remove(struct memory_map *map, const char *key)
{
    size_t at;
    struct memory_object *object = locked_find(map, key, &at);
    if (!object)
        return false;
    free(object->key);
    free(object->data);
    memmove(object, object + 1, (map->n_objects - at - 1) * sizeof(*object));
    map->n_objects--;
    return true;
}

static int32_t copy_upload(struct memory_map *to,
                           const struct memory_upload *from)
{
    struct memory_upload *grown =
        realloc(to->uploads, (to->n_uploads + 1) * sizeof(*grown));
    if (!grown)
        return PERSIST_BACKEND_MEMORY;
    to->uploads = grown;
    struct memory_upload *upload = &grown[to->n_uploads++];
    *upload = *from;
    upload->n_parts = 0;
    upload->key = strdup(from->key);
    upload->parts = calloc(from->n_parts + 1, sizeof(*upload->parts));
    if (!upload->key || !upload->parts)
        return PERSIST_BACKEND_MEMORY;
    for (size_t i = 0; i < from->n_parts; i++) {
        struct memory_part *part = &upload->parts[i];
        *part = from->parts[i];
        part->data = malloc(part->len ? part->len : 1);
        if (!part->data)
            return PERSIST_BACKEND_MEMORY;
        memcpy(part->data, from->parts[i].data, part->len);
        upload->n_parts++;
    }
    return PERSIST_BACKEND_OK;
}

int32_t locked_copy(struct memory_map *to, const struct memory_map *from)
{
    int32_t rc = PERSIST_BACKEND_OK;
    locked_clear(to);
    for (size_t i = 0; rc == 0 && i < from->n_objects; i++) {
        const struct memory_object *object = &from->objects[i];
        rc = locked_store(to, object->key, object->data, object->len, false,
                          object->modified_us);
        if (rc == 0)
            locked_find(to, object->key, NULL)->generation = object->generation;
    }
    for (size_t i = 0; rc == 0 && i < from->n_uploads; i++)
        rc = copy_upload(to, &from->uploads[i]);
    to->generation = from->generation;
    to->next_upload = from->next_upload;
    return rc;
}

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};
    nanosleep(&t, NULL);
}

/* LIE_TORN_REPLACE: the front of the new object over the old one. */
static void tear(struct memory_map *map, const struct memory_write *write)
{
    pthread_mutex_lock(&map->lock);
    struct memory_object *object = locked_find(map, write->key, NULL);
    if (object && object->len && write->len) {
        size_t len = object->len < write->len ? object->len : write->len;
        memcpy(object->data, write->data, len / 2 + 1);
    }
    pthread_mutex_unlock(&map->lock);
    pause_ms(1);
}

int32_t map_write(struct memory_map *map, const struct memory_lies *lies,
                  const struct memory_write *write, uint64_t *out_generation)
{
    bool if_absent = write->if_absent && !lies->on[LIE_IGNORE_IF_ABSENT];
    size_t len = write->len;
    if (if_absent && lies->on[LIE_RACY_IF_ABSENT]) {
        pthread_mutex_lock(&map->lock);
        bool taken = locked_find(map, write->key, NULL) != NULL;
        pthread_mutex_unlock(&map->lock);
        pause_ms(5);
        if (taken)
            return PERSIST_BACKEND_EXISTS;
        if_absent = false;
    }
    if (lies->on[LIE_TORN_REPLACE])
        tear(map, write);
    if (len == 0 && lies->on[LIE_DROP_EMPTY])
        return PERSIST_BACKEND_OK;
    if (len > 0 && lies->on[LIE_DROP_LAST_BYTE])
        len--;

    pthread_mutex_lock(&map->lock);
    int32_t rc = locked_store(map, write->key, write->data, len, if_absent,
                              write->now_us);
    *out_generation = map->generation;
    pthread_mutex_unlock(&map->lock);
    return rc;
}
