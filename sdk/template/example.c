/* SPDX-License-Identifier: 0BSD */
/*
 * example: a whole Persist backend to copy.
 *
 * This file is the ABI side: options, ops, descriptor.  folder.c is the store
 * it reaches, and what a copy replaces.  put is an upload of one part.  Left
 * out, because optional: init, put_many, probe.
 */
#include <persist/backend.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"

/* What all ops take; the call context matters to ops that wait. */
#define OP void *store, const struct persist_backend_call *call
#define ERROR struct persist_backend_error *error

static int32_t open_store(const struct persist_backend_host *host,
                          const struct persist_backend_config *config,
                          void **out_store, ERROR)
{
    struct folder *f = calloc(1, sizeof(*f));
    if (!f)
        return folder_answer(error, PERSIST_BACKEND_MEMORY, "out of memory");
    f->host = host;
    f->root = strdup(config->values[0].text); /* gone when we return */
    if (!f->root) {
        free(f);
        return folder_answer(error, PERSIST_BACKEND_MEMORY, "out of memory");
    }
    *out_store = f;
    return PERSIST_BACKEND_OK;
}

static void close_store(void *store)
{
    struct folder *f = store;
    free(f->root);
    free(f);
}

static int32_t limits(void *store, struct persist_backend_limits *out)
{
    (void)store;
    out->flags = PERSIST_BACKEND_ORDERED_LISTING | PERSIST_BACKEND_RESUMABLE;
    out->key_max = FOLDER_NAME_CAP - 1;
    return PERSIST_BACKEND_OK;
}

static int32_t upload_begin(OP, const struct persist_backend_begin_args *args,
                            struct persist_backend_begin_result *result, ERROR)
{
    struct stat st;
    int fd;
    (void)call;
    /* Looks only for a key that cannot be: the commit decides the rest. */
    int32_t rc = folder_open(store, args->key, &fd, &st, error);
    if (rc == PERSIST_BACKEND_OK)
        close(fd);
    else if (rc != PERSIST_BACKEND_NOT_FOUND)
        return rc;
    return folder_begin(store, result->upload_id, error);
}

/* The receipt stays empty: number, offset and size are kept by the host. */
static int32_t upload_part(OP, const struct persist_backend_part_args *args,
                           struct persist_backend_part_result *result, ERROR)
{
    (void)call, (void)result;
    return folder_write(store, args->upload_id, args->data, args->len,
                        args->offset, error);
}

/* The size the parts add up to; INVALID where they leave a hole. */
static int32_t add_up(const struct persist_backend_commit_args *args,
                      uint64_t *size, ERROR)
{
    const char *at = (const char *)args->receipts;
    *size = 0;
    for (uint32_t i = 0; i < args->n_receipts; i++, at += args->receipt_size) {
        const struct persist_backend_receipt *receipt = (const void *)at;
        if (receipt->offset != *size)
            return folder_answer(error, PERSIST_BACKEND_INVALID, "a hole");
        *size += receipt->len;
    }
    if ((args->present & PERSIST_BACKEND_HAS_SIZE) && args->size != *size)
        return folder_answer(error, PERSIST_BACKEND_INVALID, "wrong size");
    return PERSIST_BACKEND_OK;
}

static int32_t upload_commit(OP, const struct persist_backend_commit_args *args,
                             struct persist_backend_commit_result *result,
                             ERROR)
{
    struct stat st;
    uint64_t size;
    int if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0, fd;
    (void)call;
    int32_t rc = add_up(args, &size, error);
    if (rc)
        return rc;
    rc = folder_publish(store, args->upload_id, args->key, size, if_absent,
                        result->etag, error);
    /* Asked again because the first answer was lost: it is there. */
    if (rc == PERSIST_BACKEND_NOT_FOUND && if_absent &&
        folder_open(store, args->key, &fd, &st, error) == 0) {
        close(fd);
        return folder_answer(error, PERSIST_BACKEND_EXISTS, "is there");
    }
    return rc;
}

static int32_t upload_abort(OP, const struct persist_backend_abort_args *args,
                            ERROR)
{
    (void)call;
    return folder_remove_temp(store, args->upload_id, error);
}

static int32_t put(OP, const struct persist_backend_put_args *args,
                   struct persist_backend_put_result *result, ERROR)
{
    char temp[FOLDER_NAME_CAP];
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    (void)call;
    int32_t rc = folder_begin(store, temp, error);
    if (rc)
        return rc;
    rc = folder_write(store, temp, args->data, args->len, 0, error);
    if (!rc)
        rc = folder_publish(store, temp, args->key, args->len,
                            (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0,
                            result->etag, error);
    if (rc)
        folder_remove_temp(store, temp, &ignored);
    return rc;
}

static int32_t read_bytes(int fd, char *buffer, uint64_t len, uint64_t at,
                          ERROR)
{
    for (uint64_t done = 0; done < len;) {
        ssize_t n =
            pread(fd, buffer + done, (size_t)(len - done), (off_t)(at + done));
        if (n < 0)
            return folder_failed(error, "reading failed");
        if (n == 0)
            return folder_answer(error, PERSIST_BACKEND_IO, "cut short");
        done += (uint64_t)n;
    }
    return PERSIST_BACKEND_OK;
}

static int32_t read_object(OP, const struct persist_backend_read_args *args,
                           struct persist_backend_read_result *result, ERROR)
{
    struct stat st;
    int fd;
    (void)call;
    int32_t rc = folder_open(store, args->key, &fd, &st, error);
    if (rc)
        return rc;
    uint64_t size = (uint64_t)st.st_size, at = args->offset;
    if (args->mode == PERSIST_BACKEND_READ_SUFFIX)
        at = args->len < size ? size - args->len : 0;
    result->total = size;
    result->offset = at < size ? at : size;
    result->len = size - result->offset;
    if (result->len > args->len)
        result->len = args->len;
    folder_etag(&st, result->etag);
    rc =
        args->etag && strcmp(args->etag, result->etag) != 0
            ? folder_answer(error, PERSIST_BACKEND_PRECONDITION, "was replaced")
            : read_bytes(fd, args->buffer, result->len, result->offset, error);
    close(fd);
    return rc;
}

static int64_t modified_us(const struct stat *st)
{
    struct timespec mtime = folder_mtime(st);

    return (int64_t)mtime.tv_sec * 1000000 + mtime.tv_nsec / 1000;
}

static int32_t head(OP, const struct persist_backend_head_args *args,
                    struct persist_backend_head_result *result, ERROR)
{
    struct stat st;
    int fd;
    (void)call;
    int32_t rc = folder_open(store, args->key, &fd, &st, error);
    if (rc)
        return rc;
    close(fd);
    result->present = PERSIST_BACKEND_HAS_MODIFIED;
    result->modified_us = modified_us(&st);
    result->size = (uint64_t)st.st_size;
    folder_etag(&st, result->etag);
    return PERSIST_BACKEND_OK;
}

static int32_t delete_object(OP, const struct persist_backend_delete_args *args,
                             struct persist_backend_delete_result *result,
                             ERROR)
{
    (void)call;
    return folder_remove_object(store, args->key, &result->was, error);
}

/* Cuts a key to its folder where there is a delimiter; true where it did. */
static int roll_up(const struct persist_backend_list_args *args, char *key)
{
    char *end = *args->delimiter
                    ? strstr(key + strlen(args->prefix), args->delimiter)
                    : NULL;
    if (end)
        end[strlen(args->delimiter)] = '\0';
    return end != NULL;
}

static int32_t emit_object(struct folder *f, const char *key,
                           const struct persist_backend_list_args *args, ERROR)
{
    struct persist_backend_entry entry = {.struct_size = sizeof(entry),
                                          .key = key,
                                          .present =
                                              PERSIST_BACKEND_HAS_MODIFIED};
    struct stat st;
    int fd;
    int32_t rc = folder_open(f, key, &fd, &st, error);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return 0; /* deleted since the folder was read */
    if (rc)
        return rc;
    close(fd);
    entry.size = (uint64_t)st.st_size;
    entry.modified_us = modified_us(&st);
    return args->emit(args->emit_ctx, &entry) ? 1 : 0;
}

/* Emits the page of names; 1 where it is full or emit said stop. */
static int32_t emit_page(struct folder *f, const struct folder_names *names,
                         const struct persist_backend_list_args *args,
                         uint32_t *more, ERROR)
{
    const char *last = args->start_after;
    uint32_t n = 0;
    int32_t rc = 0;
    for (size_t i = 0; i < names->n && !rc; i++) {
        char *key = names->names[i];
        if (strncmp(key, args->prefix, strlen(args->prefix)) != 0)
            continue;
        struct persist_backend_entry folder = {.struct_size = sizeof(folder),
                                               .flags =
                                                   PERSIST_BACKEND_ENTRY_FOLDER,
                                               .key = key};
        int is_folder = roll_up(args, key);
        if (strcmp(key, last) <= 0)
            continue;
        if (n == args->limit) {
            *more = 1;
            break;
        }
        rc = is_folder ? args->emit(args->emit_ctx, &folder) != 0
                       : emit_object(f, key, args, error);
        last = key;
        n++;
    }
    return rc;
}

static int32_t list(OP, const struct persist_backend_list_args *args,
                    struct persist_backend_list_result *result, ERROR)
{
    struct folder_names names = {NULL, 0};
    (void)call;
    int32_t rc = folder_list(store, 0, &names, error);
    if (!rc)
        rc = emit_page(store, &names, args, &result->more, error);
    folder_names_finish(&names);
    return rc > 0 ? PERSIST_BACKEND_OK : rc;
}

/* A temp does not know its key yet, so all are shown whatever the prefix. */
static int32_t
list_uploads(OP, const struct persist_backend_list_uploads_args *args,
             struct persist_backend_list_uploads_result *result, ERROR)
{
    struct folder_names temps = {NULL, 0};
    struct stat st;
    (void)call, (void)result;
    int32_t rc = folder_list(store, 1, &temps, error);
    for (size_t i = 0; !rc && i < temps.n; i++) {
        struct persist_backend_upload upload = {
            .struct_size = sizeof(upload),
            .key = "",
            .upload_id = temps.names[i],
            .present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED};
        if (folder_stat_temp(store, temps.names[i], &st, error))
            continue; /* finished since the folder was read */
        upload.size = (uint64_t)st.st_size;
        upload.modified_us = modified_us(&st);
        if (args->emit(args->emit_ctx, &upload))
            break;
    }
    folder_names_finish(&temps);
    return rc;
}

static const struct persist_backend_option options[] = {
    {.key = "root",
     .type = PERSIST_BACKEND_PATH,
     .flags = PERSIST_BACKEND_REQUIRED,
     .help = "the folder that holds the objects",
     .since = "1.0"},
};

static const struct persist_backend_ops ops = {
    .struct_size = sizeof(ops),
    .open = open_store,
    .close = close_store,
    .limits = limits,
    .put = put,
    .upload_begin = upload_begin,
    .upload_part = upload_part,
    .upload_commit = upload_commit,
    .upload_abort = upload_abort,
    .read = read_object,
    .head = head,
    .delete_object = delete_object,
    .list = list,
    .list_uploads = list_uploads,
};

static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE,
    .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "example",
    .version = "1.0",
    .vendor = "you",
    .licence = "0BSD",
    .options = options,
    .n_options = 1,
    .option_size = sizeof(options[0]),
    .ops = &ops,
};

const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    (void)host;
    return &descriptor;
}
