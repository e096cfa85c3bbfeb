/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sync of a folder for all who linked a name into it meanwhile; the rule
 * and the picture are in local.h.
 *
 * It never waits for company: who finds no sync under way begins one at once,
 * so that a single writer pays nothing.
 */
#include "local.h"

#include <errno.h>

#include "posix/durable.h"

int dirsync_init(struct dirsync *d)
{
    int rc = pthread_mutex_init(&d->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = pthread_cond_init(&d->ended[0], NULL);
    if (rc == 0) {
        rc = pthread_cond_init(&d->ended[1], NULL);
        if (rc == 0)
            return 0;
        pthread_cond_destroy(&d->ended[0]);
    }
    pthread_mutex_destroy(&d->lock);
    return -rc;
}

void dirsync_finish(struct dirsync *d)
{
    pthread_cond_destroy(&d->ended[1]);
    pthread_cond_destroy(&d->ended[0]);
    pthread_mutex_destroy(&d->lock);
}

/* Under the lock, which it gives away for the time of the sync. */
static void lead(struct dirsync *d, int fd)
{
    uint64_t round = ++d->begun;
    int rc;

    d->syncing = true;
    pthread_mutex_unlock(&d->lock);
    rc = durable_sync_dir(fd);
    pthread_mutex_lock(&d->lock);
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
