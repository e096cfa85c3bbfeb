/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many small objects for the price of one sync:
 *
 *     write all temporaries -> one syncfs -> link all -> fsync each folder once
 *
 * An object is linked only after its bytes are on the medium, as ever.  Where
 * syncfs does not stand for that (posix_io_syncfs_reports), and for a single
 * object, each file is synced by itself.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "posix/io.h"

/* Descriptors open at once: a file and perhaps a folder for each item. */
#define BATCH 128

struct item {
    const struct persist_backend_put_args *args;
    int32_t *status; /* OK while it is under way */
    struct durable_write w;
    bool begun;
    bool owns_dir; /* the first item of its folder in the batch */
    bool linked;
    bool again;    /* its folder vanished: by itself, later */
    size_t leader; /* the item that owns the folder */
    struct local_dir *dir;
    int sync_fd; /* of the first item on its device; else -1 */
};

struct batch {
    struct local_store *s;
    const struct persist_backend_call *call;
    struct persist_backend_error *err;
    struct item *items;
    size_t n;
};

static const struct persist_backend_put_args *
args_of(const struct persist_backend_put_many_args *args, uint32_t i)
{
    return (const void *)((const char *)args->items +
                          (size_t)i * args->item_size);
}

static size_t folder_len(const char *key)
{
    const char *slash = strrchr(key, '/');

    return slash == NULL ? 0 : (size_t)(slash - key);
}

static bool same_folder(const char *a, const char *b)
{
    size_t len = folder_len(a);

    return len == folder_len(b) && memcmp(a, b, len) == 0;
}

/* syncfs tells what was lost since its descriptor was opened, and once: it
 * needs one of its own, opened before the first byte of the batch. */
static int32_t open_device(struct batch *b, size_t i)
{
    struct item *item = &b->items[i];

    for (size_t j = 0; j < i; j++)
        if (b->items[j].sync_fd >= 0 && b->items[j].dir->dev == item->dir->dev)
            return PERSIST_BACKEND_OK;
    item->sync_fd = posix_io->openat(item->dir->fd, ".",
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return item->sync_fd >= 0
               ? PERSIST_BACKEND_OK
               : status_errno(b->err, errno, "open the folder of",
                              item->args->key);
}

static int32_t open_folder(struct batch *b, size_t i)
{
    struct item *item = &b->items[i];
    int32_t rc;

    for (size_t j = 0; j < i; j++)
        if (b->items[j].owns_dir &&
            same_folder(b->items[j].args->key, item->args->key)) {
            item->leader = j;
            item->dir = b->items[j].dir;
            return open_device(b, i);
        }
    rc = folder_for(b->s, item->args->key, &item->dir, b->err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    item->leader = i;
    item->owns_dir = true;
    return open_device(b, i);
}

static int32_t check_item(const struct batch *b, const struct item *item)
{
    const struct persist_backend_put_args *a = item->args;
    int32_t rc = key_check(a->key, b->err);

    if (rc == PERSIST_BACKEND_OK)
        rc = status_check(b->s, b->call, b->err);
    if (rc == PERSIST_BACKEND_OK && a->len > WRITEBACK_MAX)
        rc = PERSIST_BACKEND_INVALID;
    if (rc == PERSIST_BACKEND_OK)
        rc = data_check(b->s, a->data, a->len,
                        (a->present & PERSIST_BACKEND_HAS_CRC32C) != 0,
                        a->crc32c, b->err);
    return rc;
}

static int32_t write_item(struct batch *b, size_t i)
{
    struct item *item = &b->items[i];
    const struct persist_backend_put_args *a = item->args;
    bool replace = (a->flags & PERSIST_BACKEND_IF_ABSENT) == 0;
    int32_t status = check_item(b, item);
    int rc;

    if (status == PERSIST_BACKEND_OK)
        status = open_folder(b, i);
    if (status != PERSIST_BACKEND_OK)
        return status;
    rc = durable_begin(&item->w, item->dir->fd, b->s->file_mode, replace);
    item->begun = rc == 0;
    if (rc == 0)
        rc = durable_write_at(&item->w, a->data, (size_t)a->len, 0);
    if (rc == 0)
        rc = durable_settle(&item->w, a->len);
    item->again = rc == -ENOENT;
    return rc == 0 ? PERSIST_BACKEND_OK
                   : status_key(b->s, b->err, -rc, "write", a->key);
}

static bool is_live(const struct item *item)
{
    return item->begun && *item->status == PERSIST_BACKEND_OK;
}

/* Whoever is live has opened it, or found it open. */
static int device_fd(const struct batch *b, dev_t dev)
{
    size_t i = 0;

    while (b->items[i].sync_fd < 0 || b->items[i].dir->dev != dev)
        i++;
    return b->items[i].sync_fd;
}

/* Both: of the live items of this device, from the first on. */
static bool is_due(const struct item *item, dev_t dev)
{
    return is_live(item) && item->dir->dev == dev && !item->w.synced;
}

static void sync_device(struct batch *b, size_t first, int fd)
{
    dev_t dev = b->items[first].dir->dev;
    int rc = posix_io->syncfs(fd) == 0 ? 0 : errno;

    for (size_t i = first; i < b->n; i++) {
        struct item *item = &b->items[i];

        if (!is_due(item, dev))
            continue;
        if (rc == 0)
            durable_mark_synced(&item->w);
        else /* and nothing is synced again: these pages may be lost */
            *item->status =
                status_key(b->s, b->err, rc, "write", item->args->key);
    }
}

static void sync_each(struct batch *b, size_t first)
{
    dev_t dev = b->items[first].dir->dev;

    for (size_t i = first; i < b->n; i++) {
        struct item *item = &b->items[i];
        int rc = is_due(item, dev) ? durable_sync(&item->w) : 0;

        if (rc != 0)
            *item->status =
                status_key(b->s, b->err, -rc, "write", item->args->key);
    }
}

static void sync_items(struct batch *b)
{
    size_t n_live = 0;

    for (size_t i = 0; i < b->n; i++)
        n_live += is_live(&b->items[i]);
    for (size_t i = 0; i < b->n; i++) {
        const struct item *item = &b->items[i];

        if (!is_live(item) || item->w.synced)
            continue;
        int fd = device_fd(b, item->dir->dev);
        if (n_live > 1 && posix_io_syncfs_reports(fd))
            sync_device(b, i, fd);
        else
            sync_each(b, i);
    }
}

/* Answers while the batch shares one struct; each item has its own code. */
static void link_item(struct batch *b, struct item *item)
{
    const char *key = item->args->key;
    bool if_absent = (item->args->flags & PERSIST_BACKEND_IF_ABSENT) != 0;
    size_t len = folder_len(key);
    const char *name = len == 0 ? key : key + len + 1;
    int32_t found = PERSIST_BACKEND_OK;
    int rc = -EEXIST;

    if (!if_absent)
        found = object_check(item->dir->fd, name, key, b->err);
    if (found == PERSIST_BACKEND_OK || found == PERSIST_BACKEND_NOT_FOUND)
        rc = durable_link(&item->w, name,
                          if_absent ? DURABLE_IF_ABSENT : DURABLE_REPLACE);
    else
        *item->status = found;
    if (rc >= 0)
        item->linked = true;
    if (rc == DURABLE_NOT_SYNCED)
        *item->status = PERSIST_BACKEND_NOT_DURABLE;
    if (rc == -EEXIST && if_absent) {
        found = object_check(item->dir->fd, name, key, b->err);
        *item->status =
            found == PERSIST_BACKEND_OK || found == PERSIST_BACKEND_NOT_FOUND
                ? PERSIST_BACKEND_EXISTS
                : found;
    } else if (rc < 0 && *item->status == PERSIST_BACKEND_OK) {
        item->again = rc == -ENOENT;
        *item->status = status_key(b->s, b->err, -rc, "write", key);
    }
}

/* One sync for all names that are new in the leader's folder. */
static void sync_folder(struct batch *b, struct local_waiter *waiter,
                        size_t leader)
{
    bool any = false;

    for (size_t i = leader; i < b->n; i++)
        any |= b->items[i].linked && b->items[i].leader == leader;
    if (!any)
        return;
    syncgroup_announce(&b->s->group);
    if (dirs_sync(b->s, waiter, b->items[leader].dir) == 0)
        return;
    for (size_t i = leader; i < b->n; i++)
        if (b->items[i].linked && b->items[i].leader == leader)
            *b->items[i].status = PERSIST_BACKEND_NOT_DURABLE;
}

static void close_batch(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct item *item = &b->items[i];

        if (item->begun)
            durable_discard(&item->w);
    }
    for (size_t i = 0; i < b->n; i++) {
        if (b->items[i].sync_fd >= 0)
            posix_io->close(b->items[i].sync_fd);
        if (b->items[i].owns_dir)
            dirs_release(b->s, b->items[i].dir);
    }
}

static void put_batch(struct batch *b)
{
    struct local_waiter waiter = {
        .store = b->s, .call = b->call, .linked = true};
    int32_t stop;

    for (size_t i = 0; i < b->n; i++)
        *b->items[i].status = write_item(b, i);
    sync_items(b);
    stop = status_check(b->s, b->call, b->err); /* before the first link */
    for (size_t i = 0; i < b->n; i++) {
        if (!is_live(&b->items[i]))
            continue;
        if (stop != PERSIST_BACKEND_OK)
            *b->items[i].status = stop;
        else
            link_item(b, &b->items[i]);
    }
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].owns_dir)
            sync_folder(b, &waiter, i);
    close_batch(b);
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].again)
            *b->items[i].status =
                put_object(b->s, b->call, b->items[i].args, NULL, b->err);
}

int32_t local_put_many(void *store, const struct persist_backend_call *call,
                       const struct persist_backend_put_many_args *args,
                       struct persist_backend_put_many_result *result,
                       struct persist_backend_error *err)
{
    struct batch b = {.s = store, .call = call, .err = err};
    uint32_t done = 0;
    int root_fd;
    int32_t rc = root_get(b.s, true, &root_fd, err);

    if (rc == PERSIST_BACKEND_OK && result->n_statuses < args->n_items)
        rc = status_set(err, PERSIST_BACKEND_INVALID,
                        "put_many: fewer statuses than items");
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    b.items = calloc(BATCH, sizeof(*b.items));
    if (b.items == NULL)
        return status_set(err, PERSIST_BACKEND_MEMORY, "out of memory");
    while (done < args->n_items) {
        memset(b.items, 0, BATCH * sizeof(*b.items));
        b.n = args->n_items - done < BATCH ? args->n_items - done : BATCH;
        for (uint32_t i = 0; i < b.n; i++) {
            b.items[i].args = args_of(args, done + i);
            b.items[i].status = &result->statuses[done + i];
            b.items[i].sync_fd = -1;
        }
        put_batch(&b);
        done += (uint32_t)b.n;
    }
    free(b.items);
    return PERSIST_BACKEND_OK;
}
