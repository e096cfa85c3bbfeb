/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sync of a folder for all who linked a name into it meanwhile; the rule
 * and the picture are in local.h.
 *
 * Who leads sets out with the other syncs of the store (syncgroup.c), and so
 * waits a moment for those who have said that they come: a journal commits what
 * has been linked until then in one go, and who is late pays for a whole commit
 * more.  A single writer pays nothing.
 */
#include "local.h"

#include <limits.h>

#include "posix/durable.h"
#include "posix/os.h"

int dirsync_init(struct dirsync *d)
{
    return -pthread_mutex_init(&d->lock, NULL);
}

void dirsync_finish(struct dirsync *d)
{
    pthread_mutex_destroy(&d->lock);
}

/* Of two numbers that may have passed the last one there is. */
static bool is_reached(unsigned at, unsigned wanted)
{
    return at - wanted <= UINT_MAX / 2;
}

/* In our turn: who comes from now on is not covered.  What became of the sync
 * before; whether anybody is covered beside us. */
static int close_group(struct dirsync *d, bool *out_followed)
{
    int rc;

    pthread_mutex_lock(&d->lock);
    *out_followed = d->followed;
    d->group++;
    d->led = false;
    d->followed = false;
    rc = d->failed;
    pthread_mutex_unlock(&d->lock);
    return rc;
}

/* Whether the next leader waits for it. */
static bool end_group(struct dirsync *d, unsigned group, int rc)
{
    bool awaited;

    pthread_mutex_lock(&d->lock);
    if (rc != 0 && d->failed == 0) {
        d->failed = rc;
        d->failed_group = group;
    }
    atomic_store(&d->over[group % 2], group + 1);
    awaited = d->awaited;
    d->awaited = false;
    pthread_mutex_unlock(&d->lock);
    return awaited;
}

/* Until the group before ours is over.  False: we are late. */
static bool await_turn(struct dirsync *d, struct local_waiter *waiter,
                       unsigned group)
{
    const atomic_uint *over = &d->over[(group - 1) % 2];
    unsigned seen;

    while (!is_reached(seen = atomic_load(over), group)) {
        pthread_mutex_lock(&d->lock);
        d->awaited = !is_reached(atomic_load(over), group);
        pthread_mutex_unlock(&d->lock);
        if (!os_park(over, seen, WAITER_LOOKS_NS) && waiter_is_late(waiter))
            return false;
    }
    return true;
}

/* Who came first, or the first who looks up behind a leader who has left. */
static bool become_leader(struct dirsync *d, unsigned group)
{
    bool leads;

    pthread_mutex_lock(&d->lock);
    leads = d->group == group && !d->led;
    if (leads)
        d->led = true;
    pthread_mutex_unlock(&d->lock);
    return leads;
}

/* Of a group that is still open: only its leader closes it. */
static int leave_lead(struct dirsync *d)
{
    pthread_mutex_lock(&d->lock);
    d->led = false;
    pthread_mutex_unlock(&d->lock);
    return WAITER_LEFT;
}

/* Our own link, and those of all who have joined our group when the sync
 * begins, were made before it. */
static int lead(struct local_store *s, struct local_waiter *waiter,
                struct dirsync *d, unsigned group, int fd)
{
    bool followed, awaited;
    int rc = syncgroup_set_out(&s->group, waiter, NULL, 0);

    if (rc != 0) {
        syncgroup_withdraw(&s->group);
        return leave_lead(d);
    }
    if (!await_turn(d, waiter, group)) {
        syncgroup_return(&s->group, false);
        return leave_lead(d);
    }
    rc = close_group(d, &followed);
    if (rc == 0)
        rc = durable_sync_dir(fd);
    awaited = end_group(d, group, rc);
    syncgroup_return(&s->group, false);
    if (followed || awaited)
        os_unpark(&d->over[group % 2]);
    return rc;
}

static int follow(struct local_store *s, struct local_waiter *waiter,
                  struct dirsync *d, unsigned group, int fd)
{
    const atomic_uint *over = &d->over[group % 2];
    unsigned seen;
    int rc = 0;

    syncgroup_withdraw(&s->group); /* who leads comes for us too */
    while (!is_reached(seen = atomic_load(over), group + 1)) {
        if (os_park(over, seen, WAITER_LOOKS_NS))
            continue;
        if (waiter_is_late(waiter))
            return WAITER_LEFT;
        if (become_leader(d, group)) {
            syncgroup_announce(&s->group);
            return lead(s, waiter, d, group, fd);
        }
    }
    pthread_mutex_lock(&d->lock);
    if (d->failed != 0 && is_reached(group, d->failed_group))
        rc = d->failed;
    pthread_mutex_unlock(&d->lock);
    return rc;
}

int dirs_sync(struct local_store *s, struct local_waiter *waiter,
              struct local_dir *dir)
{
    struct dirsync *d = &dir->sync;
    unsigned group;
    bool led;
    int rc;

    pthread_mutex_lock(&d->lock);
    rc = d->failed;
    group = d->group;
    led = d->led;
    if (rc == 0) {
        d->led = true;
        d->followed |= led;
        d->n_came++;
    }
    pthread_mutex_unlock(&d->lock);
    if (rc != 0)
        syncgroup_withdraw(&s->group);
    else
        rc = led ? follow(s, waiter, d, group, dir->fd)
                 : lead(s, waiter, d, group, dir->fd);
    if (rc < 0)
        dirs_forget(s, dir);
    return rc;
}
