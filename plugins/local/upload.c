/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that come in parts.  The file has no name until the commit, parts are
 * written wherever they belong by as many threads as like, and the commit is
 * the same protocol as that of a put.
 */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/io.h"

static struct local_upload *new_upload(const char *key)
{
    struct local_upload *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->w.fd = -1;
    u->key = strdup(key);
    if (u->key != NULL && writeback_init(&u->writeback) == 0)
        return u;
    free(u->key);
    free(u);
    return NULL;
}

/* The file, with room for what is expected. */
static int32_t begin_file(struct local_store *s, struct local_upload *u,
                          const struct persist_backend_begin_args *args,
                          bool *out_vanished, struct persist_backend_error *err)
{
    bool replace = (args->flags & PERSIST_BACKEND_IF_ABSENT) == 0;
    bool sized = (args->present & PERSIST_BACKEND_HAS_SIZE) != 0;
    int32_t status = folder_for(s, args->key, &u->dir, err);
    int rc;

    *out_vanished = false;
    if (status != PERSIST_BACKEND_OK)
        return status;
    rc = durable_begin(&u->w, u->dir->fd, s->file_mode, replace);
    *out_vanished = rc == -ENOENT;
    if (rc == 0 && sized)
        rc = durable_reserve(&u->w, args->size);
    if (rc == 0) {
        direct_open(&u->writeback.direct, u->w.fd, sized ? args->size : 0);
        return PERSIST_BACKEND_OK;
    }
    durable_discard(&u->w);
    dirs_release(s, u->dir);
    u->dir = NULL;
    return status_key(s, err, -rc, "write", args->key);
}

int32_t local_upload_begin(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_begin_args *args,
                           struct persist_backend_begin_result *result,
                           struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct local_upload *u;
    bool vanished = true;
    int32_t rc = key_check(args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = status_check(s, call, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    u = new_upload(args->key);
    if (u == NULL)
        return status_set(err, PERSIST_BACKEND_MEMORY, "out of memory");
    for (int i = 0; i < LOCAL_VANISH_TRIES && vanished; i++)
        rc = begin_file(s, u, args, &vanished, err);
    if (rc != PERSIST_BACKEND_OK) {
        uploads_destroy(s, u);
        return vanished ? PERSIST_BACKEND_TRANSIENT : rc;
    }
    uploads_add(s, u, result->upload_id);
    return PERSIST_BACKEND_OK;
}

/* The upload of that id and key; NOT_FOUND where it is over. */
static int32_t find(struct local_store *s, const char *id, const char *key,
                    struct local_upload **out,
                    struct persist_backend_error *err)
{
    struct local_upload *u = uploads_find(s, id);

    if (u == NULL)
        return status_set(err,
                          uploads_id_ok(id) ? PERSIST_BACKEND_NOT_FOUND
                                            : PERSIST_BACKEND_INVALID,
                          "%.300s: there is no such upload in this process",
                          key);
    if (strcmp(u->key, key) != 0) {
        uploads_release(s, u);
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.300s: the upload is that of another key", key);
    }
    *out = u;
    return PERSIST_BACKEND_OK;
}

static int32_t write_part(struct local_store *s,
                          const struct persist_backend_call *call,
                          struct local_upload *u,
                          const struct persist_backend_part_args *args,
                          struct persist_backend_error *err)
{
    uint64_t done = 0;

    while (done < args->len) {
        uint64_t left = args->len - done;
        size_t len = left < LOCAL_SLICE ? (size_t)left : LOCAL_SLICE;
        int32_t status = status_check(s, call, err);
        int rc;

        if (status != PERSIST_BACKEND_OK)
            return status;
        rc = writeback_write(&u->writeback, &u->w,
                             (const char *)args->data + done, len,
                             args->offset + done);
        if (rc != 0)
            return status_key(s, err, -rc, "write", args->key);
        done += len;
    }
    return PERSIST_BACKEND_OK;
}

int32_t local_upload_part(void *store, const struct persist_backend_call *call,
                          const struct persist_backend_part_args *args,
                          struct persist_backend_part_result *result,
                          struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct local_upload *u = NULL;
    bool has_crc = (args->present & PERSIST_BACKEND_HAS_CRC32C) != 0;
    uint32_t crc = args->crc32c;
    int32_t rc = find(s, args->upload_id, args->key, &u, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc == PERSIST_BACKEND_NOT_FOUND ? PERSIST_BACKEND_INVALID : rc;
    if (args->number == 0 || args->offset > INT64_MAX ||
        args->len > INT64_MAX - args->offset)
        rc = status_set(err, PERSIST_BACKEND_INVALID,
                        "%.300s: part %u lies where no file reaches", args->key,
                        args->number);
    if (rc == PERSIST_BACKEND_OK)
        rc = data_check(s, args->data, args->len, has_crc, crc, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = write_part(s, call, u, args, err);
    if (rc == PERSIST_BACKEND_OK) {
        if (!has_crc)
            crc = s->host->crc32c(0, args->data, args->len);
        receipt_make(s, u, args, crc, result->receipt);
        result->receipt_len = RECEIPT_LEN;
    }
    uploads_release(s, u);
    return rc;
}

/* A commit of an upload that is over: the first one's answer may have been
 * lost on the way to the host, so tell what became of the key. */
static int32_t commit_again(struct local_store *s,
                            const struct persist_backend_call *call,
                            const struct persist_backend_commit_args *args,
                            struct persist_backend_error *err)
{
    struct persist_backend_head_args head = {.struct_size = sizeof(head),
                                             .key = args->key};
    struct persist_backend_head_result found = {.struct_size = sizeof(found)};
    int32_t rc = local_head(s, call, &head, &found, err);

    if (rc == PERSIST_BACKEND_OK &&
        (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0)
        return status_set(err, PERSIST_BACKEND_EXISTS,
                          "cannot write %.300s: it is already there",
                          args->key);
    if (rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_FOUND)
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.300s: the upload is over", args->key);
    return rc;
}

/*
 * The folder as it is now: since the upload began it may have been moved away
 * or removed.  An unnamed file can be linked into any folder; a named one stays
 * with its temporary's.
 */
static int32_t renew_folder(struct local_store *s, struct local_upload *u,
                            struct persist_backend_error *err)
{
    struct local_dir *dir = NULL;
    int32_t rc;

    if (!u->w.unnamed)
        return PERSIST_BACKEND_OK;
    rc = folder_for(s, u->key, &dir, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    dirs_release(s, u->dir);
    u->dir = dir;
    u->w.dir_fd = dir->fd;
    return PERSIST_BACKEND_OK;
}

static int32_t commit_file(struct local_store *s,
                           const struct persist_backend_call *call,
                           struct local_upload *u, uint32_t flags,
                           uint64_t size, bool *out_vanished,
                           struct persist_backend_error *err)
{
    const struct local_object object = {
        .key = u->key, .dir = u->dir, .size = size, .flags = flags};

    if (object_is_near(&u->w, size))
        syncgroup_announce(&s->group);
    return object_commit(s, call, &u->w, &object, out_vanished, err);
}

static int32_t commit_upload(struct local_store *s,
                             const struct persist_backend_call *call,
                             struct local_upload *u,
                             const struct persist_backend_commit_args *args,
                             struct persist_backend_error *err)
{
    bool vanished = true;
    uint64_t size = 0;
    int32_t rc = status_check(s, call, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = receipts_check(s, u, args, &size, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    flusher_stop(&u->writeback.flusher);
    for (int i = 0; i < LOCAL_VANISH_TRIES && vanished; i++) {
        vanished = false;
        rc = renew_folder(s, u, err);
        if (rc == PERSIST_BACKEND_OK)
            rc = commit_file(s, call, u, args->flags, size, &vanished, err);
    }
    return vanished ? PERSIST_BACKEND_TRANSIENT : rc;
}

int32_t local_upload_commit(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_commit_args *args,
                            struct persist_backend_commit_result *result,
                            struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct local_upload *u = NULL;
    int32_t rc = key_check(args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = find(s, args->upload_id, args->key, &u, err);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return commit_again(s, call, args, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    rc = commit_upload(s, call, u, args, err);
    if (rc == PERSIST_BACKEND_OK)
        etag_format(&u->w.st, result->etag);
    if (rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_DURABLE)
        uploads_remove(s, u);
    uploads_release(s, u);
    return rc;
}

int32_t local_upload_abort(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_abort_args *args,
                           struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct local_upload *u;

    (void)call; /* an abort is what a cancelled call ends with */
    if (leftover_id_ok(args->upload_id))
        return leftover_remove(s, args->upload_id, err);
    if (!uploads_id_ok(args->upload_id))
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.100s is not the id of an upload", args->upload_id);
    u = uploads_find(s, args->upload_id);
    if (u != NULL) {
        uploads_remove(s, u);
        uploads_release(s, u);
    }
    return PERSIST_BACKEND_OK;
}
