/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read with damage is read once more, on a new connection: a bit that
 * turned over on its way is no damage of the object.  TCP's sum misses one in
 * 65,536, and memory on the way has none at all.  A disk of ours is not asked
 * again: what it says twice is the same.
 */
#include "transfer/again.h"

#include "transfer/limits.h"
#include "util/crc32c.h"

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

/* d->crc went over the damage already, and over what lies behind it: the
 * difference is carried to the end of the frames, where it is asked for. */
static void mend_crc(struct download *d, uint32_t wrong, uint32_t right,
                     uint64_t end)
{
    uint32_t difference =
        crc32c_combine(wrong ^ right, 0, d->map.trailer_offset - end);

    atomic_fetch_xor(&d->crc_mended, difference);
}

int again_frame(struct download *d, void *stored, size_t len, uint64_t offset,
                struct persist_error *err)
{
    struct object view = d->object;
    uint32_t wrong = crc32c(0, stored, len);

    again_tell(&d->object, "frame", offset);
    view.again = true;
    int rc = object_read(&view, offset, stored, len, err);
    if (rc == PERSIST_OK)
        mend_crc(d, wrong, crc32c(0, stored, len), offset + len);
    return rc;
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
