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

static int init_conditions(struct dirsync *d)
{
    pthread_cond_t *const all[] = {&d->ended[0], &d->ended[1], &d->gathered};
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = os_cond_init(all[i]);
        while (rc != 0 && i-- > 0)
            pthread_cond_destroy(all[i]);
    }
    return rc;
}

int dirsync_init(struct dirsync *d)
{
    int rc = pthread_mutex_init(&d->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = init_conditions(d);
    if (rc != 0)
        pthread_mutex_destroy(&d->lock);
    return -rc;
}

void dirsync_finish(struct dirsync *d)
{
    pthread_cond_destroy(&d->gathered);
    pthread_cond_destroy(&d->ended[1]);
    pthread_cond_destroy(&d->ended[0]);
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

/* Under the lock, which it gives away for the time of the sync. */
static void lead(struct dirsync *d, int fd)
{
    uint64_t round, began_ns;
    int rc;

    d->syncing = true;
    gather(d);
    round = ++d->begun; /* who comes from now on is not covered */
    pthread_mutex_unlock(&d->lock);
    began_ns = os_monotonic_ns();
    rc = durable_sync_dir(fd);
    pthread_mutex_lock(&d->lock);
    d->took_ns = os_monotonic_ns() - began_ns;
    d->syncing = false;
    if (rc == 0)
        d->done = round;
    else
        d->failed = rc;
    pthread_cond_broadcast(&d->ended[round & 1]);
    if (rc ==
        0) /* one of those who came too late for this one leads the next */
        pthread_cond_signal(&d->ended[(round + 1) & 1]);
    else
        pthread_cond_broadcast(&d->ended[(round + 1) & 1]);
}

int dirs_sync(struct local_store *s, struct local_dir *dir)
{
    struct dirsync *d = &dir->sync;
    uint64_t mine;
    int rc;

    pthread_mutex_lock(&d->lock);
    has_come(d);
    mine = d->begun + 1; /* a sync under way may have begun before our link */
    d->n_waiting++;
    while (d->done < mine && d->failed == 0) {
        if (!d->syncing)
            lead(d, dir->fd);
        else
            pthread_cond_wait(&d->ended[mine & 1], &d->lock);
    }
    d->n_waiting--;
    rc = d->done >= mine ? 0 : d->failed;
    pthread_mutex_unlock(&d->lock);
    if (rc != 0)
        dirs_forget(s, dir);
    return rc;
}
