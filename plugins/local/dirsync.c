/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sync of a folder for all who linked a name into it meanwhile; the rule
 * and the picture are in local.h.
 *
 * A single writer pays nothing.  Beside others the leader waits a moment for
 * those who have said that they come: a journal commits what has been linked
 * until then in one go, and who is late pays for a whole commit more.
 */
#include "local.h"

#include <errno.h>

#include "posix/durable.h"
#include "posix/os.h"

/* The leader waits at most as long as the last sync took, which is what those
 * pay who come too late, and never so long that anybody would notice. */
#define GATHER_MAX_NS 5000000

int dirsync_init(struct dirsync *d)
{
    int rc = pthread_mutex_init(&d->lock, NULL);

    if (rc != 0)
        return -rc;
    d->last = &d->first;
    rc = os_cond_init(&d->gathered);
    if (rc != 0)
        pthread_mutex_destroy(&d->lock);
    return -rc;
}

void dirsync_finish(struct dirsync *d)
{
    pthread_cond_destroy(&d->gathered);
    pthread_mutex_destroy(&d->lock);
}

void dirs_announce(struct local_dir *dir)
{
    pthread_mutex_lock(&dir->sync.lock);
    dir->sync.n_coming++;
    pthread_mutex_unlock(&dir->sync.lock);
}

/* Under the lock. */
static void has_come(struct dirsync *d)
{
    if (--d->n_coming == 0)
        pthread_cond_signal(&d->gathered);
}

void dirs_withdraw(struct local_dir *dir)
{
    pthread_mutex_lock(&dir->sync.lock);
    has_come(&dir->sync);
    pthread_mutex_unlock(&dir->sync.lock);
}

/* Under the lock: until all who are coming have come, or the time is over. */
static void gather(struct dirsync *d)
{
    uint64_t wait_ns = d->took_ns < GATHER_MAX_NS ? d->took_ns : GATHER_MAX_NS;
    uint64_t until_ns;

    if (d->n_coming == 0 || wait_ns == 0)
        return;
    until_ns = os_monotonic_ns() + wait_ns;
    while (d->n_coming > 0 &&
           os_cond_wait_until(&d->gathered, &d->lock, until_ns) == 0)
        ;
}

/* ------------------------------------------------------------- those who wait
 */

enum outcome { NOT_YET, SYNCED, FAILED, LEADS };

/* On the stack of who waits, with a lock of its own: a hundred woken at once
 * must not queue up for one. */
struct dirsync_waiter {
    struct dirsync_waiter *next; /* dirsync.lock, then who wakes it */
    pthread_mutex_t lock;
    pthread_cond_t told;
    enum outcome outcome; /* lock */
};

/* Without the lock of the syncs. */
static enum outcome wait_to_be_told(struct dirsync_waiter *w)
{
    enum outcome outcome;

    pthread_mutex_lock(&w->lock);
    while (w->outcome == NOT_YET)
        pthread_cond_wait(&w->told, &w->lock);
    outcome = w->outcome;
    pthread_mutex_unlock(&w->lock);
    return outcome;
}

/* w may be gone when this returns, but not before the lock is given back. */
static void tell(struct dirsync_waiter *w, enum outcome outcome)
{
    pthread_mutex_lock(&w->lock);
    w->outcome = outcome;
    pthread_cond_signal(&w->told);
    pthread_mutex_unlock(&w->lock);
}

static void tell_all(struct dirsync_waiter *w, enum outcome outcome)
{
    while (w != NULL) {
        struct dirsync_waiter *next = w->next;

        tell(w, outcome);
        w = next;
    }
}

/* Under the lock. */
static void line_up(struct dirsync *d, struct dirsync_waiter *w)
{
    *d->last = w;
    d->last = &w->next;
    d->n_waiting++;
}

/* Under the lock: all who wait, in the order in which they came. */
static struct dirsync_waiter *take_waiters(struct dirsync *d)
{
    struct dirsync_waiter *all = d->first;

    d->first = NULL;
    d->last = &d->first;
    d->n_waiting = 0;
    return all;
}

/* Under the lock, when a sync is over: the first of those who came too late
 * for it leads the next. */
static struct dirsync_waiter *next_leader(struct dirsync *d)
{
    struct dirsync_waiter *w = d->first;

    d->syncing = w != NULL;
    if (w == NULL)
        return NULL;
    d->n_waiting--;
    d->first = w->next;
    if (d->first == NULL)
        d->last = &d->first;
    return w;
}

/* ------------------------------------------------------------------ the syncs
 */

/*
 * With d->syncing set by whoever made us the leader; takes the lock and gives
 * it back.  Our own link, and those of all who wait when the sync begins, were
 * made before it.
 */
static int lead(struct dirsync *d, int fd)
{
    struct dirsync_waiter *covered, *late = NULL, *leader = NULL;
    uint64_t began_ns;
    int rc;

    gather(d);
    covered = take_waiters(d); /* who comes from now on is not covered */
    pthread_mutex_unlock(&d->lock);
    began_ns = os_monotonic_ns();
    rc = durable_sync_dir(fd);
    pthread_mutex_lock(&d->lock);
    d->took_ns = os_monotonic_ns() - began_ns;
    if (rc == 0) {
        leader = next_leader(d);
    } else {
        d->failed = rc;
        d->syncing = false;
        late = take_waiters(d);
    }
    pthread_mutex_unlock(&d->lock);
    if (leader != NULL)
        tell(leader, LEADS);
    tell_all(covered, rc == 0 ? SYNCED : FAILED);
    tell_all(late, FAILED);
    return rc;
}

/* Under the lock, which it gives back. */
static int follow(struct dirsync *d, int fd)
{
    struct dirsync_waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER,
                               .told = PTHREAD_COND_INITIALIZER};
    enum outcome outcome;

    line_up(d, &w);
    pthread_mutex_unlock(&d->lock);
    outcome = wait_to_be_told(&w);
    pthread_cond_destroy(&w.told);
    pthread_mutex_destroy(&w.lock);
    if (outcome == LEADS) {
        pthread_mutex_lock(&d->lock);
        return lead(d, fd);
    }
    return outcome == SYNCED ? 0 : d->failed;
}

int dirs_sync(struct local_store *s, struct local_dir *dir)
{
    struct dirsync *d = &dir->sync;
    int rc;

    pthread_mutex_lock(&d->lock);
    has_come(d);
    if (d->failed != 0) {
        rc = d->failed;
        pthread_mutex_unlock(&d->lock);
    } else if (d->syncing) {
        rc = follow(d, dir->fd);
    } else {
        d->syncing = true;
        rc = lead(d, dir->fd);
    }
    if (rc != 0)
        dirs_forget(s, dir);
    return rc;
}
