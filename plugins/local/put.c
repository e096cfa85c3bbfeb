/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One buffer becomes one object.  The steady path is what a bare program would
 * do (O_TMPFILE, write, fsync, linkat, fsync of the folder) and four calls that
 * touch no disk: fstat of the file; openat2, fstat and close of the folder, to
 * see that it is still there.  Writers beside each other sync in groups, and
 * those into one folder share its sync and the look at it.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "posix/io.h"
#include "posix/os.h"

int32_t data_check(const struct local_store *s, const void *data, uint64_t len,
                   bool has_crc, uint32_t crc,
                   struct persist_backend_error *err)
{
    if (!has_crc || s->host->crc32c(0, data, len) == crc)
        return PERSIST_BACKEND_OK;
    return status_set(err, PERSIST_BACKEND_CORRUPT,
                      "the bytes to write do not have the checksum they came "
                      "with");
}

int32_t object_check(int dir_fd, const char *name, const char *key,
                     struct persist_backend_error *err)
{
    struct stat st;

    if (posix_io->fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? PERSIST_BACKEND_NOT_FOUND
                               : status_errno(err, errno, "look at", key);
    if (S_ISREG(st.st_mode))
        return PERSIST_BACKEND_OK;
    if (S_ISDIR(st.st_mode))
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.300s is a folder, not an object", key);
    return status_set(err, PERSIST_BACKEND_CORRUPT,
                      "%.300s is no object: there is %s in the store", key,
                      S_ISLNK(st.st_mode) ? "a symbolic link"
                                          : "a special file");
}

/* EEXIST: an object, or something that has no business in a store. */
static int32_t name_taken(const struct durable_write *w, const char *name,
                          const char *key, struct persist_backend_error *err)
{
    int32_t rc = object_check(w->dir_fd, name, key, err);

    return rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_FOUND
               ? status_errno(err, EEXIST, "write", key)
               : rc;
}

static int32_t not_durable(const struct durable_write *w, const char *key,
                           struct persist_backend_error *err)
{
    (void)status_errno(err, w->dir_errno, "sync the folder of", key);
    return PERSIST_BACKEND_NOT_DURABLE;
}

static int32_t not_awaited(const struct local_waiter *waiter, const char *key,
                           struct persist_backend_error *err)
{
    bool is_cancelled = waiter->stop == PERSIST_BACKEND_CANCELLED;

    return status_set(err, PERSIST_BACKEND_NOT_DURABLE,
                      "%s before the folder of %.300s was synced",
                      is_cancelled ? "cancelled" : "the deadline passed", key);
}

/* Behind the link: the sync that makes it durable, which others share. */
static int32_t sync_name(struct local_store *s, struct local_waiter *waiter,
                         struct durable_write *w,
                         const struct local_object *object, int link_rc,
                         struct persist_backend_error *err)
{
    int rc;

    waiter->linked = true;
    rc = dirs_sync(s, waiter, object->dir);
    if (rc == WAITER_LEFT && link_rc == 0)
        return not_awaited(waiter, object->key, err);
    if (rc < 0)
        w->dir_errno = -rc;
    return rc == 0 && link_rc == 0 ? PERSIST_BACKEND_OK
                                   : not_durable(w, object->key, err);
}

/* The sync of the bytes, announced before; after it the link is. */
static int sync_in_group(struct local_store *s, struct local_waiter *waiter,
                         struct durable_write *w, uint64_t size)
{
    int rc = 0;

    /* Else our blocks are not in what the group's first sync commits. */
    if (syncgroup_has_company(&s->group))
        rc = durable_write_back(w, 0, size, false);
    if (rc != 0)
        return rc;
    rc = syncgroup_set_out(&s->group, waiter, w, size);
    if (rc == WAITER_LEFT)
        return rc;
    if (rc == 0)
        rc = durable_sync(w);
    syncgroup_return(&s->group, true);
    return rc;
}

bool object_is_near(const struct durable_write *w, uint64_t size)
{
    return w->synced || size <= SYNCGROUP_SIZE_MAX;
}

/* 0, or -ENOENT: it is to be walked to and, perhaps, made anew. */
static int folder_is_there(struct local_store *s,
                           const struct local_object *object,
                           struct persist_backend_error *err)
{
    int root_fd = -1;

    if (object->since_ns == 0)
        return 0;
    if (root_get(s, true, &root_fd, err) != PERSIST_BACKEND_OK ||
        dirs_find(object->dir, root_fd, object->since_ns) != 0)
        return -ENOENT;
    return 0;
}

/* Everything up to the link.  *out_rc: what durable_link answered, where it
 * came to that; a link that was made is OK. */
static int32_t link_object(struct local_store *s, struct local_waiter *waiter,
                           struct durable_write *w,
                           const struct local_object *object, int *out_rc,
                           struct persist_backend_error *err)
{
    bool if_absent = (object->flags & PERSIST_BACKEND_IF_ABSENT) != 0;
    const char *key = object->key;
    char folder[LOCAL_KEY_CAP];
    const char *name = key_split(key, folder);
    int rc = w->synced ? 0 : durable_settle(w, object->size);
    int32_t status = PERSIST_BACKEND_OK;

    if (rc == 0 && !w->synced)
        rc = object->size <= SYNCGROUP_SIZE_MAX
                 ? sync_in_group(s, waiter, w, object->size)
                 : durable_sync(w);
    if (rc == WAITER_LEFT)
        return status_late(waiter, err);
    if (rc != 0)
        return status_key(s, err, -rc, "write", key);
    /* A replacement takes the place of an object, of nothing else. */
    if (!if_absent)
        status = object_check(w->dir_fd, name, key, err);
    if (status == PERSIST_BACKEND_OK || status == PERSIST_BACKEND_NOT_FOUND)
        status = status_check(s, waiter->call, err); /* last moment to stop */
    if (status != PERSIST_BACKEND_OK)
        return status;
    rc = folder_is_there(s, object, err);
    if (rc == 0)
        rc = durable_link(w, name,
                          if_absent ? DURABLE_IF_ABSENT : DURABLE_REPLACE);
    *out_rc = rc;
    if (rc == -EEXIST)
        return name_taken(w, name, key, err);
    return rc >= 0 ? PERSIST_BACKEND_OK : status_key(s, err, -rc, "write", key);
}

int32_t object_commit(struct local_store *s,
                      const struct persist_backend_call *call,
                      struct durable_write *w,
                      const struct local_object *object, bool *out_vanished,
                      struct persist_backend_error *err)
{
    bool is_near = object_is_near(w, object->size);
    struct local_waiter waiter = {.store = s, .call = call};
    int rc = 0;
    int32_t status = link_object(s, &waiter, w, object, &rc, err);

    *out_vanished = rc == -ENOENT;
    if (status == PERSIST_BACKEND_OK) {
        if (!is_near)
            syncgroup_announce(&s->group);
        return sync_name(s, &waiter, w, object, rc, err);
    }
    if (is_near)
        syncgroup_withdraw(&s->group);
    return status;
}

/* Why a folder could not be had for writing. */
static int32_t folder_trouble(struct local_store *s, int error,
                              const char *folder,
                              struct persist_backend_error *err)
{
    if (error == ENOENT && !root_is_gone(s))
        return status_set(err, PERSIST_BACKEND_TRANSIENT,
                          "the folder %.300s is removed as often as it is made",
                          folder);
    return status_walk(s, err, error, "make the folder", folder,
                       PERSIST_BACKEND_INVALID);
}

int32_t folder_for(struct local_store *s, const char *key,
                   struct local_dir **out, struct persist_backend_error *err)
{
    char folder[LOCAL_KEY_CAP];
    int root_fd = -1, rc;
    int32_t status = root_get(s, true, &root_fd, err);

    if (status != PERSIST_BACKEND_OK)
        return status;
    (void)key_split(key, folder);
    rc = dirs_open(s, root_fd, folder, out);
    return rc == 0 ? PERSIST_BACKEND_OK : folder_trouble(s, -rc, folder, err);
}

/* The folder of an object that is put.  Its walk can wait until the link where
 * nothing of ours can be seen in the folder before that: somebody else's may
 * stand for it then. */
static int32_t choose_folder(struct local_store *s, struct local_object *object,
                             bool walk, struct persist_backend_error *err)
{
    char folder[LOCAL_KEY_CAP];

    object->since_ns = 0;
    if (!walk && (object->flags & PERSIST_BACKEND_IF_ABSENT) != 0) {
        (void)key_split(object->key, folder);
        object->dir = folder[0] == '\0' ? NULL : dirs_known(s, folder);
        if (object->dir != NULL) {
            object->since_ns = os_monotonic_ns();
            return PERSIST_BACKEND_OK;
        }
    }
    return folder_for(s, object->key, &object->dir, err);
}

/* The next put walks, where this one has failed.  Where this one was only late
 * the walk may lead to the same handle: a new one is made by syncs, which would
 * hang too. */
static void walk_next(struct local_store *s, struct local_dir *dir,
                      int32_t status)
{
    switch (status) {
    case PERSIST_BACKEND_OK:
    case PERSIST_BACKEND_EXISTS:
        return;
    case PERSIST_BACKEND_TIMEOUT:
    case PERSIST_BACKEND_CANCELLED:
    case PERSIST_BACKEND_NOT_DURABLE: /* a failed sync has forgotten it */
        atomic_store(&dir->unnamed, false);
        return;
    default:
        dirs_forget(s, dir);
    }
}

/* *out_vanished: again, with a walk. */
static int32_t put_once(struct local_store *s,
                        const struct persist_backend_call *call,
                        const struct persist_backend_put_args *args, char *etag,
                        bool walk, bool *out_vanished,
                        struct persist_backend_error *err)
{
    bool replace = (args->flags & PERSIST_BACKEND_IF_ABSENT) == 0;
    bool is_near = args->len <= SYNCGROUP_SIZE_MAX;
    struct local_object object = {
        .key = args->key, .size = args->len, .flags = args->flags};
    struct durable_write w;
    int32_t status = choose_folder(s, &object, walk, err);
    int rc;

    *out_vanished = false;
    if (status != PERSIST_BACKEND_OK)
        return status;
    if (is_near)
        syncgroup_announce(&s->group);
    rc = durable_begin(&w, object.dir->fd, s->file_mode, replace);
    if (rc == 0 && w.unnamed && !atomic_load(&object.dir->unnamed))
        atomic_store(&object.dir->unnamed, true);
    if (rc == 0)
        rc = durable_write_at(&w, args->data, (size_t)args->len, 0);
    if (rc == 0)
        status = object_commit(s, call, &w, &object, out_vanished, err);
    else
        status = status_key(s, err, -rc, "write", args->key);
    if (rc != 0 && is_near)
        syncgroup_withdraw(&s->group);
    /* A folder that nobody has walked to may be another's by now. */
    if (rc == -ENOENT || (rc != 0 && object.since_ns != 0))
        *out_vanished = true;
    if (object.since_ns != 0)
        walk_next(s, object.dir, status);
    if (status == PERSIST_BACKEND_OK && etag != NULL)
        etag_format(&w.st, etag);
    durable_discard(&w);
    dirs_release(s, object.dir);
    return status;
}

int32_t put_object(struct local_store *s,
                   const struct persist_backend_call *call,
                   const struct persist_backend_put_args *args, char *etag,
                   struct persist_backend_error *err)
{
    bool has_crc = (args->present & PERSIST_BACKEND_HAS_CRC32C) != 0;
    bool vanished = true;
    int32_t rc = key_check(args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = status_check(s, call, err);
    if (rc == PERSIST_BACKEND_OK && args->len > WRITEBACK_MAX)
        rc = status_set(err, PERSIST_BACKEND_INVALID,
                        "%.300s is too large for one put", args->key);
    if (rc == PERSIST_BACKEND_OK)
        rc = data_check(s, args->data, args->len, has_crc, args->crc32c, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    for (int i = 0; i < LOCAL_VANISH_TRIES && vanished; i++)
        rc = put_once(s, call, args, etag, i > 0, &vanished, err);
    return vanished ? folder_trouble(s, ENOENT, args->key, err) : rc;
}

int32_t local_put(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_put_args *args,
                  struct persist_backend_put_result *result,
                  struct persist_backend_error *err)
{
    return put_object(store, call, args, result->etag, err);
}
