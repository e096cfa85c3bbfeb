/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's clock; see store_time.h.  Never fails: not knowing means that
 * less time has passed.
 */
#include "engine/store_time.h"

#include "util/error.h"

#define PROBE_KEY ".persist-probe"

static const char probe_text[] =
    "Persist reads the time of this store's clock from this object. It may be "
    "removed.\n";

static void note(struct store_time *t, int64_t us)
{
    if (us > t->newest_us)
        t->newest_us = us;
}

void store_time_see(struct store_time *t, const struct index_state *s)
{
    if (!s->has_modified)
        return;
    if (s->has_snap)
        note(t, s->snap_modified_us);
    if (s->has_data)
        note(t, s->data_modified_us);
}

static void measure(struct store_time *t)
{
    const struct backend_put put = {
        .key = PROBE_KEY, .data = probe_text, .len = sizeof probe_text - 1};
    struct backend_store *store = t->store->backend;
    struct backend_head_answer head;
    struct persist_error err;

    t->measured = true;
    if (backend_put(store, t->op, &put, NULL, &err))
        return;
    if (!backend_head(store, t->op, PROBE_KEY, &head, &err) &&
        head.has_modified) {
        t->is_known = true;
        t->known_us = head.modified_us;
    }
    /* Where it also proves create-if-absent, it stays (backend/store.h). */
    if (!(backend_store_limits(store)->flags & PERSIST_BACKEND_CHECK_IF_ABSENT))
        backend_delete(store, t->op, PROBE_KEY, NULL, &err);
}

int64_t store_time_now(struct store_time *t, int64_t needed_us)
{
    int64_t wall_us = clock_wall_us(t->store->p->clock);
    bool looks_old = wall_us >= needed_us || t->newest_us >= needed_us;

    if (t->read_only)
        return wall_us;
    if (looks_old && !t->measured)
        measure(t);
    if (t->is_known)
        return t->known_us;
    return wall_us < t->newest_us ? wall_us : t->newest_us;
}
