/* SPDX-License-Identifier: Apache-2.0 */
/* A short list: a host has a handful of uploads at a time. */
#include "gcs/sessions.h"

#include <stdlib.h>
#include <string.h>

/* Beyond so many, those without a tail that nobody uses are forgotten. */
#define SESSIONS_KEPT 64

struct gcs_sessions {
    const struct persist_backend_host *host;
    void *host_store;
    pthread_mutex_t lock;
    struct gcs_session *first; /* lock */
    size_t n;                  /* lock */
    uint64_t clock;            /* lock */
};

int32_t sessions_create(const struct persist_backend_host *host,
                        void *host_store, struct gcs_sessions **out)
{
    struct gcs_sessions *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return PERSIST_BACKEND_MEMORY;
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return PERSIST_BACKEND_MEMORY;
    }
    t->host = host;
    t->host_store = host_store;
    *out = t;
    return PERSIST_BACKEND_OK;
}

static void destroy(struct gcs_sessions *t, struct gcs_session *session)
{
    session_drop_tail(t, session);
    pthread_mutex_destroy(&session->lock);
    free(session->id);
    free(session);
}

void sessions_destroy(struct gcs_sessions *t)
{
    if (t == NULL)
        return;
    while (t->first != NULL) {
        struct gcs_session *session = t->first;

        t->first = session->next;
        destroy(t, session);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static struct gcs_session *find(struct gcs_sessions *t, const char *id)
{
    struct gcs_session *session = t->first;

    while (session != NULL && strcmp(session->id, id) != 0)
        session = session->next;
    return session;
}

/* Out of the list: the one that was not used for longest, if it may go. */
static void forget_one(struct gcs_sessions *t)
{
    struct gcs_session **oldest = NULL;

    for (struct gcs_session **at = &t->first; *at != NULL; at = &(*at)->next)
        if ((*at)->refs == 0 && !(*at)->has_tail &&
            (oldest == NULL || (*at)->used < (*oldest)->used))
            oldest = at;
    if (oldest == NULL)
        return;
    struct gcs_session *session = *oldest;
    *oldest = session->next;
    t->n--;
    destroy(t, session);
}

static struct gcs_session *add(struct gcs_sessions *t, const char *id)
{
    struct gcs_session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return NULL;
    session->id = strdup(id);
    if (session->id == NULL || pthread_mutex_init(&session->lock, NULL) != 0) {
        free(session->id);
        free(session);
        return NULL;
    }
    if (t->n >= SESSIONS_KEPT)
        forget_one(t);
    session->next = t->first;
    t->first = session;
    t->n++;
    return session;
}

struct gcs_session *sessions_take(struct gcs_sessions *t, const char *id)
{
    struct gcs_session *session;

    pthread_mutex_lock(&t->lock);
    session = find(t, id);
    if (session == NULL)
        session = add(t, id);
    if (session != NULL) {
        session->refs++;
        session->used = ++t->clock;
    }
    pthread_mutex_unlock(&t->lock);
    if (session != NULL)
        pthread_mutex_lock(&session->lock);
    return session;
}

void sessions_give(struct gcs_sessions *t, struct gcs_session *session)
{
    if (session == NULL)
        return;
    pthread_mutex_unlock(&session->lock);
    pthread_mutex_lock(&t->lock);
    session->refs--;
    pthread_mutex_unlock(&t->lock);
}

int32_t session_keep_tail(struct gcs_sessions *t, struct gcs_session *session,
                          const void *bytes, uint64_t at, uint64_t len)
{
    uint8_t *tail = NULL;

    if (len > 0) {
        tail = t->host->alloc(t->host_store, len);
        if (tail == NULL)
            return PERSIST_BACKEND_MEMORY;
        memcpy(tail, bytes, (size_t)len);
    }
    session_drop_tail(t, session);
    session->tail = tail;
    session->tail_at = at;
    session->tail_len = len;
    session->has_tail = true;
    return PERSIST_BACKEND_OK;
}

void session_drop_tail(struct gcs_sessions *t, struct gcs_session *session)
{
    t->host->free(t->host_store, session->tail);
    session->tail = NULL;
    session->has_tail = false;
}
