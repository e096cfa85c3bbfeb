/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local backend's descriptor, and a store's life.  open touches nothing but
 * memory: a root that is missing today may be mounted when it is needed.
 */
#include "local.h"

#include <stdlib.h>

static void destroy_locks(struct local_store *s)
{
    pthread_mutex_destroy(&s->uploads_lock);
    pthread_mutex_destroy(&s->dirs_lock);
    pthread_mutex_destroy(&s->root_lock);
}

static int32_t init_locks(struct local_store *s)
{
    pthread_mutex_t *const locks[] = {&s->root_lock, &s->dirs_lock,
                                      &s->uploads_lock};

    for (size_t i = 0; i < 3; i++)
        if (pthread_mutex_init(locks[i], NULL) != 0) {
            while (i-- > 0)
                pthread_mutex_destroy(locks[i]);
            return PERSIST_BACKEND_MEMORY;
        }
    if (syncgroup_init(&s->group) == 0)
        return PERSIST_BACKEND_OK;
    destroy_locks(s);
    return PERSIST_BACKEND_MEMORY;
}

static void local_close(void *store)
{
    struct local_store *s = store;

    if (s == NULL)
        return;
    uploads_finish(s);
    dirs_finish(s);
    root_close(s);
    syncgroup_finish(&s->group);
    destroy_locks(s);
    free(s->root_path);
    free(s);
}

static int32_t local_open(const struct persist_backend_host *host,
                          const struct persist_backend_config *config,
                          void **out_store, struct persist_backend_error *err)
{
    struct local_store *s = calloc(1, sizeof(*s));
    int32_t rc;

    if (s == NULL || init_locks(s) != PERSIST_BACKEND_OK) {
        free(s);
        return status_set(err, PERSIST_BACKEND_MEMORY, "out of memory");
    }
    s->host = host;
    s->host_store = config->host_store;
    s->root_fd = -1;
    rc = options_apply(s, config, err);
    if (rc == PERSIST_BACKEND_OK &&
        host->random(&s->nonce, sizeof(s->nonce)) != PERSIST_BACKEND_OK)
        rc = status_set(err, PERSIST_BACKEND_IO,
                        "the system gives no random numbers");
    if (rc != PERSIST_BACKEND_OK) {
        local_close(s);
        return rc;
    }
    *out_store = s;
    return PERSIST_BACKEND_OK;
}

static int32_t local_limits(void *store, struct persist_backend_limits *out)
{
    (void)store;
    out->flags = PERSIST_BACKEND_ORDERED_LISTING;
    out->part_min = 1;
    out->part_max = (uint64_t)1 << 30;
    out->part_align = 1;
    out->put_max = WRITEBACK_MAX; /* all of it is dirty at once */
    out->object_max = 0;          /* the file system knows */
    out->parts_max = 0;
    out->parallel_max = 8;
    out->key_max = LOCAL_KEY_MAX;
    return PERSIST_BACKEND_OK;
}

static const struct persist_backend_ops local_ops = {
    .struct_size = sizeof(local_ops),
    .open = local_open,
    .close = local_close,
    .limits = local_limits,
    .put = local_put,
    .put_many = local_put_many,
    .upload_begin = local_upload_begin,
    .upload_part = local_upload_part,
    .upload_commit = local_upload_commit,
    .upload_abort = local_upload_abort,
    .read = local_read,
    .head = local_head,
    .delete_object = local_delete,
    .list = local_list,
    .list_uploads = local_list_uploads,
    .probe = local_probe,
};

static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE,
    .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "local",
    .version = PERSIST_LOCAL_VERSION,
    .vendor = "Persist",
    .licence = "Apache-2.0",
    .options = local_options,
    .n_options = LOCAL_N_OPTIONS,
    .option_size = sizeof(struct persist_backend_option),
    .ops = &local_ops,
};

const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    (void)host;
    return &descriptor;
}
