/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the resume files of a store; see resume_files.h. */
#include "engine/resume_files.h"

#include <string.h>

#include "posix/os.h"
#include "services/state.h"
#include "util/error.h"

struct walk {
    struct persist_store *store;
    const char *prefix;
    resume_file_fn each;
    void *ctx;
    struct buf identity; /* the store's */
};

static bool is_in_use(const struct walk *w, const char *name)
{
    const char *dir = w->store->p->state_dir;
    int fd;

    if (state_lock(dir, name, &fd, NULL) != PERSIST_OK)
        return true;
    state_unlock(dir, name, fd);
    return false;
}

static int tell(const struct walk *w, const char *name,
                const struct resume_owner *o, const struct resume_point *p)
{
    char key[KEY_CAP], claim[KEY_CAP];
    struct resume_file file = {
        .name = name,
        .key = key,
        .claim = claim,
        .upload_id = p->upload_id,
        .age_us = clock_wall_us(w->store->p->clock) - p->updated_us,
    };

    if (o->store.len != w->identity.len ||
        memcmp(o->store.data, w->identity.data, o->store.len) != 0)
        return 0;
    key_format(o->prefix, p->index, KEY_DATA, key);
    key_format(o->prefix, p->index, KEY_SNAP, claim);
    if (strncmp(key, w->prefix, strlen(w->prefix)) != 0)
        return 0;
    file.in_use = is_in_use(w, name);
    return w->each(w->ctx, &file);
}

static int each_name(void *ctx, const char *name)
{
    const struct walk *w = ctx;
    struct resume_owner o;
    struct resume_point p;
    struct buf bytes;
    int rc = 0;

    buf_init(&bytes, STATE_PAYLOAD_MAX);
    resume_owner_init(&o);
    resume_point_init(&p);
    if (state_read(w->store->p->state_dir, name, &bytes, NULL) == PERSIST_OK &&
        resume_decode(bytes.data, bytes.len, &o, &p))
        rc = tell(w, name, &o, &p);
    if (bytes.data)
        os_wipe(bytes.data, bytes.len);
    buf_finish(&bytes);
    resume_owner_finish(&o);
    resume_point_finish(&p);
    return rc;
}

int resume_each_file(struct persist_store *store, const char *prefix,
                     resume_file_fn each, void *ctx, struct persist_error *err)
{
    struct walk w = {store, prefix, each, ctx, {0}};
    int rc;

    buf_init(&w.identity, STATE_PAYLOAD_MAX);
    backend_store_identity(store->backend, &w.identity);
    if (buf_failed(&w.identity))
        rc = error_memory(err);
    else
        rc = state_each(store->p->state_dir, RESUME_KIND, each_name, &w, err);
    buf_finish(&w.identity);
    return rc;
}
