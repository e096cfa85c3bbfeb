/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empties the device's write cache while an upload goes on.
 *
 * Bytes that the device (or a host that plays one) has taken are not on the
 * medium before a flush, and that of a whole large snapshot at the end takes
 * about as long as writing it.  A thread beside the writers asks for one each
 * time 32 MiB have been written, so that the sync of the commit, and any sync
 * that others make on the same device, finds little left.
 *
 *      flusher_count     writers; the first 32 MiB start the thread
 *      flusher_stop      before the sync of the commit, or the end: joined
 *
 * Decides about speed only, but for one thing: an error that such a flush is
 * told will not be told again, so it fails the write for good (durable.h).
 * Without threads, or where none starts, the sync at the end does it all.
 */
#include "local.h"

#ifdef PERSIST_ASYNC
#include <signal.h>

int flusher_init(struct flusher *f)
{
    int rc = pthread_mutex_init(&f->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = pthread_cond_init(&f->changed, NULL);
    if (rc != 0)
        pthread_mutex_destroy(&f->lock);
    f->running = f->stop = false;
    f->waiting = 0;
    return -rc;
}

void flusher_finish(struct flusher *f)
{
    flusher_stop(f);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
}

static void *run(void *arg)
{
    struct flusher *f = arg;

    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        if (f->waiting < FLUSH_STEP) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        f->waiting = 0;
        pthread_mutex_unlock(&f->lock);
        (void)durable_flush(f->w); /* it remembers a failure */
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Under the lock.  Signals are the application's. */
static void start(struct flusher *f, struct durable_write *w)
{
    sigset_t all, before;

    f->w = w;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    f->running = pthread_create(&f->thread, NULL, run, f) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    f->stop = !f->running; /* then not another try either */
}

void flusher_count(struct flusher *f, struct durable_write *w, size_t len)
{
    pthread_mutex_lock(&f->lock);
    f->waiting += len;
    if (f->waiting >= FLUSH_STEP) {
        if (!f->running && !f->stop)
            start(f, w);
        pthread_cond_signal(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
}

void flusher_stop(struct flusher *f)
{
    bool was_running;

    pthread_mutex_lock(&f->lock);
    was_running = f->running;
    f->running = false;
    f->stop = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (was_running)
        pthread_join(f->thread, NULL);
}

#else /* !PERSIST_ASYNC */

int flusher_init(struct flusher *f)
{
    (void)f;
    return 0;
}

void flusher_finish(struct flusher *f)
{
    (void)f;
}

void flusher_count(struct flusher *f, struct durable_write *w, size_t len)
{
    (void)f, (void)w, (void)len;
}

void flusher_stop(struct flusher *f)
{
    (void)f;
}

#endif
