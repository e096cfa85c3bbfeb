/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read with damage is read once more, on a new connection: a bit that
 * turned over on its way is no damage of the object.  TCP's sum misses one in
 * 65,536, and memory on the way has none at all.  A disk of ours is not asked
 * again: what it says twice is the same.
 */
#include "transfer/again.h"

#include "transfer/limits.h"

bool again_is_worth(const struct object *o, int rc)
{
    return rc == PERSIST_E_CORRUPT && !o->again &&
           !limits_are_a_disks(backend_store_limits(o->store));
}

void again_tell(const struct object *o, const char *what, uint64_t offset)
{
    log_line(backend_store_env(o->store)->log, LOG_WARN,
             "read with damage: read once more on a new connection",
             log_text("store", backend_store_name(o->store)),
             log_text("object", log_basename(o->key)), log_text("what", what),
             log_u64("offset", offset), LOG_END);
}

int again_frame(struct download *d, void *stored, size_t len, uint64_t offset,
                struct persist_error *err)
{
    struct object view = d->object;

    again_tell(&d->object, "frame", offset);
    view.again = true;
    return object_read(&view, offset, stored, len, err);
}

int again_lane(void *download, struct lane *lane)
{
    struct download *d = download;

    if (!again_is_worth(&d->object, lane->rc))
        return lane->rc;
    /* It lies in a buffer of ours that nobody else reads until it is taken. */
    return again_frame(d, (void *)lane->in, lane->in_len,
                       lane->tag - lane->in_len, &lane->err);
}
