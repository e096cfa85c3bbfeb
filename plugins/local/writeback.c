/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what an upload brings: past the page cache where that can be
 * (posix/direct.h), so that nothing is dirty.  Of the rest it starts write-back
 * early, and lets nobody write more while 64 MiB are dirty, so that the sync at
 * the end is short and other programs keep their memory.
 *
 *     admit: dirty + len <= 64 MiB, else wait for the oldest range
 *     write: pwrite, start write-back of the range, remember it
 *
 * A range counts as dirty from before it is written until its write-back has
 * been waited for.  It decides about speed only: durable.c decides when bytes
 * are safe.
 */
#include "local.h"

#include <errno.h>

int writeback_init(struct writeback *b)
{
    int rc = pthread_mutex_init(&b->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = -pthread_cond_init(&b->changed, NULL);
    if (rc == 0) {
        rc = flusher_init(&b->flusher);
        if (rc != 0)
            pthread_cond_destroy(&b->changed);
    }
    if (rc != 0)
        pthread_mutex_destroy(&b->lock);
    b->direct.fd = -1;
    b->dirty = 0;
    b->first = b->n = 0;
    return rc;
}

void writeback_finish(struct writeback *b)
{
    flusher_finish(&b->flusher);
    direct_close(&b->direct);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
}

/* Under the lock, which it drops while the disk works. */
static int wait_for_oldest(struct writeback *b, struct durable_write *w)
{
    struct writeback_range oldest = b->ranges[b->first];
    int rc;

    b->first = (b->first + 1) % WRITEBACK_SLOTS;
    b->n--;
    pthread_mutex_unlock(&b->lock);
    rc = durable_write_back(w, oldest.offset, oldest.len, true);
    pthread_mutex_lock(&b->lock);
    b->dirty -= oldest.len;
    pthread_cond_broadcast(&b->changed);
    return rc;
}

static int admit(struct writeback *b, struct durable_write *w, size_t len)
{
    int rc = 0;

    pthread_mutex_lock(&b->lock);
    while (rc == 0 &&
           (b->dirty + len > WRITEBACK_MAX || b->n == WRITEBACK_SLOTS)) {
        if (b->n > 0)
            rc = wait_for_oldest(b, w);
        else /* other threads are still writing theirs */
            pthread_cond_wait(&b->changed, &b->lock);
    }
    if (rc == 0)
        b->dirty += len;
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* The range waits to be waited for; where there is no slot, right now. */
static int hand_over(struct writeback *b, struct durable_write *w,
                     struct writeback_range range)
{
    int rc = 0;

    pthread_mutex_lock(&b->lock);
    while (rc == 0 && b->n == WRITEBACK_SLOTS)
        rc = wait_for_oldest(b, w);
    if (rc == 0)
        b->ranges[(b->first + b->n++) % WRITEBACK_SLOTS] = range;
    else
        b->dirty -= range.len;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static int write_cached(struct writeback *b, struct durable_write *w,
                        const void *data, size_t len, uint64_t offset)
{
    int rc = admit(b, w, len);

    if (rc != 0)
        return rc;
    rc = durable_write_at(w, data, len, offset);
    if (rc == 0)
        rc = durable_write_back(w, offset, len, false);
    if (rc == 0)
        return hand_over(b, w, (struct writeback_range){offset, len});
    pthread_mutex_lock(&b->lock);
    b->dirty -= len;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

int writeback_write(struct writeback *b, struct durable_write *w,
                    const void *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    int rc = atomic_load(&w->sync_failed) ? -EIO : 0;

    /* As durable_write_at: these bytes would be acknowledged, not flushed. */
    if (w->synced)
        rc = -EINVAL;
    if (rc == 0)
        rc = direct_write(&b->direct, data, len, offset, &done);
    if (rc == 0 && done < len)
        rc = write_cached(b, w, (const char *)data + done, len - done,
                          offset + done);
    if (rc == 0)
        flusher_count(&b->flusher, w, len);
    return rc;
}
