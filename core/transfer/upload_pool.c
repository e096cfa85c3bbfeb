/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders, hashes and small buffers between uploads (upload.h).
 *
 * Large buffers are given back to the system: they are cheap beside what fills
 * them, and an idle store should be small.
 */
#include "transfer/upload_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "posix/direct.h"

#define KITS_MAX 64 /* idle ones: as many as may encode at once */
#define GROWN_MAX 4 /* of them, those that are large */
#define SMALL_MAX ((size_t)64 << 10)   /* buffers of one that is not */
#define BUFFER_MAX ((size_t)512 << 10) /* larger ones are freed */

struct upload_pool {
    pthread_mutex_t mutex;
    struct kit *free; /* under mutex */
    size_t n_free;
    size_t n_grown; /* of the free */
};

static void destroy(struct kit *k)
{
    if (!k)
        return;
    frame_encoder_destroy(k->encoder);
    sha256_destroy(k->sha256);
    free(k->frame);
    free(k->out);
    free(k);
}

struct upload_pool *upload_pool_create(void)
{
    struct upload_pool *pool = calloc(1, sizeof *pool);

    if (pool)
        pthread_mutex_init(&pool->mutex, NULL);
    return pool;
}

void upload_pool_destroy(struct upload_pool *pool)
{
    struct kit *k;

    if (!pool)
        return;
    while ((k = pool->free)) {
        pool->free = k->next;
        destroy(k);
    }
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static void drop_large(uint8_t **buffer, size_t *cap)
{
    if (*cap <= BUFFER_MAX)
        return;
    free(*buffer);
    *buffer = NULL;
    *cap = 0;
}

static void note_growth(struct kit *k)
{
    k->grown |= k->frame_cap > SMALL_MAX || k->out_cap > SMALL_MAX;
}

void upload_pool_put_all_but_out(struct upload_pool *pool, struct kit *k)
{
    note_growth(k);
    k->out = NULL;
    k->out_cap = 0;
    upload_pool_put(pool, k);
}

void upload_pool_put(struct upload_pool *pool, struct kit *k)
{
    note_growth(k);
    drop_large(&k->frame, &k->frame_cap);
    drop_large(&k->out, &k->out_cap);
    pthread_mutex_lock(&pool->mutex);
    if (pool->n_free < KITS_MAX && (!k->grown || pool->n_grown < GROWN_MAX)) {
        k->next = pool->free;
        pool->free = k;
        pool->n_free++;
        pool->n_grown += k->grown;
        k = NULL;
    }
    pthread_mutex_unlock(&pool->mutex);
    destroy(k);
}

static bool kit_suits(const struct kit *k, const struct upload_what *what)
{
    return k->codec == what->codec && k->level == what->level &&
           k->frame_size == what->frame_size;
}

/* A kit whose encoder suits, or none. */
static struct kit *take_idle(struct upload_pool *pool,
                             const struct upload_what *what)
{
    struct kit **at = &pool->free, *k;

    pthread_mutex_lock(&pool->mutex);
    while ((k = *at) && !kit_suits(k, what))
        at = &k->next;
    if (k) {
        *at = k->next;
        pool->n_free--;
        pool->n_grown -= k->grown;
    }
    pthread_mutex_unlock(&pool->mutex);
    return k;
}

static struct kit *create(const struct upload_what *what)
{
    struct kit *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    k->codec = what->codec;
    k->level = what->level;
    k->frame_size = what->frame_size;
    k->encoder =
        frame_encoder_create(what->codec, what->level, what->frame_size);
    k->sha256 = sha256_create();
    if (k->encoder && k->sha256)
        return k;
    destroy(k);
    return NULL;
}

struct kit *upload_pool_take(struct upload_pool *pool,
                             const struct upload_what *what)
{
    struct kit *k = take_idle(pool, what);

    if (!k)
        k = create(what);
    if (k)
        sha256_reset(k->sha256);
    return k;
}

/* Not realloc: the old content is of no use. */
bool upload_make_room(uint8_t **buffer, size_t *cap, size_t need)
{
    if (*cap >= need)
        return true;
    free(*buffer);
    *cap = 0;
    *buffer = direct_alloc(need);
    if (*buffer)
        *cap = need;
    return *buffer != NULL;
}
