/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.so: a whole backend in memory, for tests, that can be told to fail and
 * to lie.
 *
 * Written against persist/backend.h alone, like anyone's backend.  This file
 * holds the ops and the descriptor; each op stands between memory_call_begin
 * and memory_call_end, where faults are injected.  Objects live in plain malloc
 * memory: they stand for a disk, not for buffers, so the host's budget is not
 * asked.
 */
#include "memory_fault.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MEMORY_SERIAL
#define THREAD_MODEL PERSIST_BACKEND_SERIAL
#else
#define THREAD_MODEL PERSIST_BACKEND_PARALLEL
#endif

#define CALL(id, text)                                                         \
    {                                                                          \
        .handle = store, .call = call, .error = error, .op = (id),             \
        .key = (text)                                                          \
    }

static void format_etag(char *out, uint64_t generation)
{
    snprintf(out, PERSIST_BACKEND_ETAG_MAX, "\"g%" PRIu64 "\"", generation);
}

/* A key as persist/backend.h describes it, and no other. */
static bool key_is_valid(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._/%-";
    if (strcmp(key, ".persist-probe") == 0)
        return true;
    if (!*key || strspn(key, allowed) != strlen(key))
        return false;
    for (const char *at = key; at; at = strchr(at, '/')) {
        at += at != key;
        if (*at == '.' || *at == '/' || !*at)
            return false;
    }
    return true;
}

static int32_t check_key(const struct memory_handle *handle, const char *key,
                         struct persist_backend_error *error)
{
    if (handle->lies.on[LIE_ANY_KEY])
        return PERSIST_BACKEND_OK;
    uint32_t max = handle->limits.key_max;
    if (key_is_valid(key) && (max == 0 || strlen(key) <= max))
        return PERSIST_BACKEND_OK;
    memory_error(error, "not a key:", key);
    return PERSIST_BACKEND_INVALID;
}

static int32_t open_store(const struct persist_backend_host *host,
                          const struct persist_backend_config *config,
                          void **out_store, struct persist_backend_error *error)
{
    if (config->n_values != MEMORY_N_OPTIONS)
        return PERSIST_BACKEND_INTERNAL;
    struct memory_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return PERSIST_BACKEND_MEMORY;
    handle->host = host;
    handle->host_store = config->host_store;
    int32_t rc = memory_options_read(config, handle, error);
#ifdef MEMORY_SERIAL
    handle->serial = true;
#endif
    if (rc) {
        free(handle->actor);
        free(handle);
        return rc;
    }
    *out_store = handle;
    return PERSIST_BACKEND_OK;
}

static void close_store(void *store)
{
    struct memory_handle *handle = store;
    free(handle->actor);
    free(handle);
}

static int32_t get_limits(void *store, struct persist_backend_limits *out)
{
    const struct memory_handle *handle = store;
    uint32_t size = out->struct_size;
    *out = handle->limits;
    out->struct_size = size + handle->lies.on[LIE_LIMITS_SIZE];
    return PERSIST_BACKEND_OK;
}

/* The limits are the host's to keep: here they catch a host that does not. */
static int32_t check_size(uint64_t len, uint64_t max,
                          struct persist_backend_error *error)
{
    if (max == 0 || len <= max)
        return PERSIST_BACKEND_OK;
    memory_error(error, "larger than the declared limit", "");
    return PERSIST_BACKEND_INVALID;
}

static int32_t check_crc(const struct memory_handle *handle, uint32_t present,
                         uint32_t crc32c, const void *data, uint64_t len)
{
    if (!(present & PERSIST_BACKEND_HAS_CRC32C) ||
        handle->host->crc32c(0, data, len) == crc32c)
        return PERSIST_BACKEND_OK;
    return PERSIST_BACKEND_CORRUPT;
}

static int32_t put_one(struct memory_handle *handle,
                       const struct persist_backend_put_args *args,
                       uint64_t *out_generation,
                       struct persist_backend_error *error)
{
    int32_t rc = check_key(handle, args->key, error);
    if (rc == 0)
        rc = check_size(args->len, handle->limits.put_max, error);
    if (rc == 0)
        rc = check_crc(handle, args->present, args->crc32c, args->data,
                       args->len);
    if (rc)
        return rc;
    struct memory_write write = {
        .key = args->key,
        .data = args->data,
        .len = (size_t)args->len,
        .if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0,
        .now_us = memory_now(handle),
    };
    return map_write(handle->map, &handle->lies, &write, out_generation);
}

static int32_t put(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_put_args *args,
                   struct persist_backend_put_result *result,
                   struct persist_backend_error *error)
{
    struct memory_call c = CALL(MEMORY_PUT, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    uint64_t generation = 0;
    rc = put_one(store, args, &generation, error);
    if (rc == 0)
        format_etag(result->etag, generation);
    return memory_call_end(&c, rc);
}

#ifndef MEMORY_NO_PUT_MANY
static int32_t put_item(const struct memory_call *c,
                        const struct persist_backend_put_args *args)
{
    uint64_t generation = 0;
    int32_t hooked = memory_item_hook(c, args->key, MEMORY_BEFORE, 0);
    int32_t status;

    if (hooked)
        return hooked;
    status = put_one(c->handle, args, &generation, c->error);
    hooked = memory_item_hook(c, args->key, MEMORY_AFTER, status);
    return hooked ? hooked : status;
}

static int32_t put_many(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_put_many_args *args,
                        struct persist_backend_put_many_result *result,
                        struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    const char *base = (const char *)args->items;
    struct memory_call c =
        CALL(MEMORY_PUT_MANY, args->n_items ? args->items->key : "");
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < args->n_items; i++) {
        const char *at = base + (size_t)i * args->item_size;
        int32_t status = put_item(&c, (const void *)at);
        if (i > 0 && handle->lies.on[LIE_MANY_STATUS])
            continue;
        result->statuses[i] = status;
    }
    return memory_call_end(&c, PERSIST_BACKEND_OK);
}
#endif

static int32_t upload_begin(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_begin_args *args,
                            struct persist_backend_begin_result *result,
                            struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_UPLOAD_BEGIN, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    rc = check_key(handle, args->key, error);
    if (rc == 0)
        rc = map_upload_begin(handle->map, args->key, memory_now(handle),
                              result->upload_id, sizeof(result->upload_id));
    return memory_call_end(&c, rc);
}

static int32_t check_part(const struct memory_handle *handle,
                          const struct persist_backend_part_args *args,
                          struct persist_backend_error *error)
{
    const struct persist_backend_limits *limits = &handle->limits;
    int32_t rc = check_size(args->len, limits->part_max, error);
    if (rc == 0)
        rc = check_size(args->number, limits->parts_max, error);
    if (rc)
        return rc;
    bool small = args->len < limits->part_min;
    bool uneven = limits->part_align > 1 && args->len % limits->part_align;
    if (args->number == 0 || (!args->is_last && (small || uneven))) {
        memory_error(error, "the part breaks a declared limit", "");
        return PERSIST_BACKEND_INVALID;
    }
    return check_crc(handle, args->present, args->crc32c, args->data,
                     args->len);
}

static int32_t upload_part(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_part_args *args,
                           struct persist_backend_part_result *result,
                           struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_UPLOAD_PART, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    rc = check_part(handle, args, error);
    if (rc == 0)
        rc = map_upload_part(handle->map, &handle->lies, args,
                             memory_now(handle));
    if (rc == 0)
        result->receipt_len = (uint32_t)receipt_format(
            (char *)result->receipt, sizeof(result->receipt), args->number,
            args->crc32c);
    return memory_call_end(&c, rc);
}

/* The upload is gone: a first commit may have succeeded unheard. */
static int32_t commit_again(struct memory_handle *handle,
                            const struct persist_backend_commit_args *args)
{
    pthread_mutex_lock(&handle->map->lock);
    bool there = locked_find(handle->map, args->key, NULL) != NULL;
    pthread_mutex_unlock(&handle->map->lock);
    return there && (args->flags & PERSIST_BACKEND_IF_ABSENT)
               ? PERSIST_BACKEND_EXISTS
               : PERSIST_BACKEND_NOT_FOUND;
}

static int32_t commit(struct memory_handle *handle,
                      const struct persist_backend_commit_args *args,
                      uint64_t *out_generation)
{
    uint8_t *whole = NULL;
    size_t len = 0;
    int32_t rc =
        map_upload_join(handle->map, &handle->lies, args, &whole, &len);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return commit_again(handle, args);
    if (rc)
        return rc;
    rc = check_crc(handle, args->present, args->crc32c, whole, len);
    if (rc == 0) {
        struct memory_write write = {
            .key = args->key,
            .data = whole,
            .len = len,
            .if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) &&
                         !handle->lies.on[LIE_COMMIT_REPLACES],
            .now_us = memory_now(handle),
        };
        rc = map_write(handle->map, &handle->lies, &write, out_generation);
    }
    if (rc == 0)
        map_upload_drop(handle->map, args->upload_id);
    free(whole);
    return rc;
}

static int32_t upload_commit(void *store,
                             const struct persist_backend_call *call,
                             const struct persist_backend_commit_args *args,
                             struct persist_backend_commit_result *result,
                             struct persist_backend_error *error)
{
    struct memory_call c = CALL(MEMORY_UPLOAD_COMMIT, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    uint64_t generation = 0;
    rc = commit(store, args, &generation);
    if (rc == 0)
        format_etag(result->etag, generation);
    return memory_call_end(&c, rc);
}

static int32_t upload_abort(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_abort_args *args,
                            struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_UPLOAD_ABORT, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    if (!map_upload_drop(handle->map, args->upload_id) &&
        handle->lies.on[LIE_ABORT_NOT_FOUND])
        rc = PERSIST_BACKEND_NOT_FOUND;
    return memory_call_end(&c, rc);
}

/* Where the bytes asked for start, and how many there are. */
static void window(const struct persist_backend_read_args *args, size_t size,
                   size_t *out_at, size_t *out_len)
{
    size_t len = args->len < size ? (size_t)args->len : size;
    size_t at = size - len;
    if (args->mode == PERSIST_BACKEND_READ_RANGE) {
        at = args->offset < size ? (size_t)args->offset : size;
        len = len < size - at ? len : size - at;
    }
    *out_at = at;
    *out_len = len;
}

static int32_t locked_read(struct memory_handle *handle,
                           const struct persist_backend_read_args *args,
                           struct persist_backend_read_result *result)
{
    const bool *lie = handle->lies.on;
    const struct memory_object *object =
        locked_find(handle->map, args->key, NULL);
    if (!object)
        return PERSIST_BACKEND_NOT_FOUND;
    format_etag(result->etag, object->generation);
    if (args->etag && strcmp(args->etag, result->etag) != 0 &&
        !lie[LIE_IGNORE_ETAG])
        return PERSIST_BACKEND_PRECONDITION;
    bool is_suffix = args->mode == PERSIST_BACKEND_READ_SUFFIX;
    if (is_suffix && args->len > object->len && lie[LIE_SUFFIX_FAILS])
        return PERSIST_BACKEND_INVALID;
    if (!is_suffix && args->offset >= object->len && lie[LIE_PAST_END_FAILS])
        return PERSIST_BACKEND_INVALID;

    size_t at, len;
    window(args, object->len, &at, &len);
    if (lie[LIE_SHORT_READ] && len > 0)
        len--;
    if (len)
        memcpy(args->buffer, object->data + at, len);
    result->offset = at;
    result->len = len;
    result->total = object->len - (lie[LIE_WRONG_TOTAL] && object->len > 0);
    return PERSIST_BACKEND_OK;
}

static int32_t read_object(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_read_args *args,
                           struct persist_backend_read_result *result,
                           struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_READ, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    rc = check_key(handle, args->key, error);
    if (rc == 0) {
        pthread_mutex_lock(&handle->map->lock);
        rc = locked_read(handle, args, result);
        pthread_mutex_unlock(&handle->map->lock);
    }
    return memory_call_end(&c, rc);
}

static int32_t locked_head(struct memory_handle *handle, const char *key,
                           struct persist_backend_head_result *result)
{
    const struct memory_object *object = locked_find(handle->map, key, NULL);
    if (!object)
        return PERSIST_BACKEND_NOT_FOUND;
    result->present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED;
    result->size = object->len;
    result->modified_us = object->modified_us;
    format_etag(result->etag, object->generation);
    return PERSIST_BACKEND_OK;
}

static int32_t head(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_head_args *args,
                    struct persist_backend_head_result *result,
                    struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_HEAD, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    if (handle->lies.on[LIE_CLOSE_KEEPS] && !handle->kept_fd)
        handle->kept_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    rc = check_key(handle, args->key, error);
    if (rc == 0) {
        pthread_mutex_lock(&handle->map->lock);
        rc = locked_head(handle, args->key, result);
        pthread_mutex_unlock(&handle->map->lock);
    }
    return memory_call_end(&c, rc);
}

static int32_t remove_key(struct memory_handle *handle, const char *key,
                          uint32_t *out_was)
{
    pthread_mutex_lock(&handle->map->lock);
    bool was = handle->lies.on[LIE_DELETE_KEEPS]
                   ? locked_find(handle->map, key, NULL) != NULL
                   : locked_remove(handle->map, key);
    pthread_mutex_unlock(&handle->map->lock);
    *out_was = was ? PERSIST_BACKEND_WAS_THERE : PERSIST_BACKEND_WAS_ABSENT;
    return !was && handle->lies.on[LIE_DELETE_NOT_FOUND]
               ? PERSIST_BACKEND_NOT_FOUND
               : PERSIST_BACKEND_OK;
}

static int32_t delete_object(void *store,
                             const struct persist_backend_call *call,
                             const struct persist_backend_delete_args *args,
                             struct persist_backend_delete_result *result,
                             struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_DELETE, args->key);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    rc = check_key(handle, args->key, error);
    if (rc == 0)
        rc = remove_key(handle, args->key, &result->was);
    return memory_call_end(&c, rc);
}

static int32_t list(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_list_args *args,
                    struct persist_backend_list_result *result,
                    struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_LIST, args->prefix);
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    struct memory_listing how = {
        .ordered =
            (handle->limits.flags & PERSIST_BACKEND_ORDERED_LISTING) != 0,
        .lies = &handle->lies,
    };
    rc = map_list(handle->map, &how, args, result);
    return memory_call_end(&c, rc);
}

static int32_t
list_uploads(void *store, const struct persist_backend_call *call,
             const struct persist_backend_list_uploads_args *args,
             struct persist_backend_list_uploads_result *result,
             struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_LIST_UPLOADS, args->prefix);
    (void)result;
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    if (!handle->lies.on[LIE_UPLOADS_HIDDEN])
        rc = map_list_uploads(handle->map, args);
    return memory_call_end(&c, rc);
}

static int32_t probe(void *store, const struct persist_backend_call *call,
                     const struct persist_backend_probe_args *args,
                     struct persist_backend_probe_result *result,
                     struct persist_backend_error *error)
{
    struct memory_handle *handle = store;
    struct memory_call c = CALL(MEMORY_PROBE, "");
    (void)result;
    int32_t rc = memory_call_begin(&c);
    if (rc)
        return rc;
    struct persist_backend_finding finding = {
        .struct_size = sizeof(finding),
        .verdict = PERSIST_BACKEND_FINDING_OK,
        .name = "map",
        .value = handle->map->id,
    };
    args->emit(args->emit_ctx, &finding);
    return memory_call_end(&c, rc);
}

static const struct persist_backend_ops ops = {
    .struct_size = sizeof(ops),
    .open = open_store,
    .close = close_store,
    .limits = get_limits,
    .put = put,
#ifndef MEMORY_NO_PUT_MANY
    .put_many = put_many,
#endif
    .upload_begin = upload_begin,
    .upload_part = upload_part,
    .upload_commit = upload_commit,
    .upload_abort = upload_abort,
    .read = read_object,
    .head = head,
    .delete_object = delete_object,
    .list = list,
    .list_uploads = list_uploads,
    .probe = probe,
};

static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE,
    .thread_model = THREAD_MODEL,
    .name = MEMORY_NAME,
    .version = "0.2.0",
    .vendor = "Persist tests",
    .licence = "Apache-2.0",
    .options = memory_options,
    .n_options = MEMORY_N_OPTIONS,
    .option_size = sizeof(struct persist_backend_option),
    .ops = &ops,
    .get_extension = memory_control_get,
};

const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    (void)host;
    return &descriptor;
}
