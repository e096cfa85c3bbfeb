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
    int rc = pthread_mutex_init(&d->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = pthread_mutex_init(&d->turn, NULL);
    if (rc != 0)
        pthread_mutex_destroy(&d->lock);
    return -rc;
}

void dirsync_finish(struct dirsync *d)
{
    pthread_mutex_destroy(&d->turn);
    pthread_mutex_destroy(&d->lock);
}

/* Of two numbers that may have passed the last one there is. */
static bool is_reached(unsigned at, unsigned wanted)
{
    return at - wanted <= UINT_MAX / 2;
}

/* Takes the lock and gives it back. */
static int failure(struct dirsync *d)
{
    int rc;

    pthread_mutex_lock(&d->lock);
    rc = d->failed;
    pthread_mutex_unlock(&d->lock);
    return rc;
}

static void set_failure(struct dirsync *d, unsigned group, int rc)
{
    pthread_mutex_lock(&d->lock);
    if (d->failed == 0) {
        d->failed = rc;
        d->failed_group = group;
    }
    pthread_mutex_unlock(&d->lock);
}

/* In our turn: who comes from now on is not covered.  Whether anybody is,
 * beside us. */
static bool close_group(struct dirsync *d)
{
    bool followed;

    pthread_mutex_lock(&d->lock);
    followed = d->followed;
    d->group++;
    d->led = false;
    d->followed = false;
    pthread_mutex_unlock(&d->lock);
    return followed;
}

/* Our own link, and those of all who have joined our group when the sync
 * begins, were made before it. */
static int lead(struct local_store *s, struct dirsync *d, unsigned group,
                int fd)
{
    bool followed;
    int rc;

    (void)syncgroup_set_out(&s->group, NULL, 0);
    pthread_mutex_lock(&d->turn);
    followed = close_group(d);
    rc = failure(d);
    if (rc == 0)
        rc = durable_sync_dir(fd);
    if (rc != 0)
        set_failure(d, group, rc);
    atomic_store(&d->over[group % 2], group + 1);
    pthread_mutex_unlock(&d->turn);
    syncgroup_return(&s->group, false);
    if (followed)
        os_unpark(&d->over[group % 2]);
    return rc;
}

static int follow(struct local_store *s, struct dirsync *d, unsigned group)
{
    const atomic_uint *over = &d->over[group % 2];
    unsigned seen;
    int rc = 0;

    syncgroup_withdraw(&s->group); /* who leads comes for us too */
    while (!is_reached(seen = atomic_load(over), group + 1))
        os_park(over, seen);
    pthread_mutex_lock(&d->lock);
    if (d->failed != 0 && is_reached(group, d->failed_group))
        rc = d->failed;
    pthread_mutex_unlock(&d->lock);
    return rc;
}

int dirs_sync(struct local_store *s, struct local_dir *dir)
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
        rc = led ? follow(s, d, group) : lead(s, d, group, dir->fd);
    if (rc != 0)
        dirs_forget(s, dir);
    return rc;
}
