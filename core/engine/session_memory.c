/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small table in order of use; see session_memory.h.
 *
 * A list searched from its most recently used end: a steady saver finds its
 * session in the first places, and 1,024 short comparisons are far below the
 * cost of the request they save, so there is no hash table.
 */
#include "engine/session_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct remembered {
    struct remembered *newer; /* towards the most recently used */
    struct remembered *older;
    uint64_t next;
    uint64_t seen_ns;
    uint64_t known_ns;
    char session[];
};

struct session_memory {
    pthread_mutex_t mutex;
    struct remembered *newest;
    struct remembered *oldest;
    size_t n;
    size_t max;
};

struct session_memory *session_memory_create(size_t max)
{
    struct session_memory *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    pthread_mutex_init(&m->mutex, NULL);
    m->max = max;
    return m;
}

static void unlink_entry(struct session_memory *m, struct remembered *r)
{
    *(r->newer ? &r->newer->older : &m->newest) = r->older;
    *(r->older ? &r->older->newer : &m->oldest) = r->newer;
    r->newer = r->older = NULL;
    m->n--;
}

static void link_newest(struct session_memory *m, struct remembered *r)
{
    r->older = m->newest;
    *(m->newest ? &m->newest->newer : &m->oldest) = r;
    m->newest = r;
    m->n++;
}

void session_memory_destroy(struct session_memory *m)
{
    struct remembered *r, *newer;

    if (!m)
        return;
    for (r = m->oldest; r; r = newer) {
        newer = r->newer;
        free(r);
    }
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

/* Finds a session and makes it the most recently used. */
static struct remembered *find(struct session_memory *m, const char *session)
{
    struct remembered *r;

    for (r = m->newest; r; r = r->older)
        if (strcmp(r->session, session) == 0)
            break;
    if (r && r != m->newest) {
        unlink_entry(m, r);
        link_newest(m, r);
    }
    return r;
}

static struct remembered *add(struct session_memory *m, const char *session)
{
    struct remembered *r;
    size_t len = strlen(session) + 1;

    if (!m->max)
        return NULL;
    if (m->n >= m->max) {
        r = m->oldest;
        unlink_entry(m, r);
        free(r);
    }
    r = calloc(1, sizeof *r + len);
    if (!r)
        return NULL;
    memcpy(r->session, session, len);
    link_newest(m, r);
    return r;
}

static bool within(uint64_t now_ns, uint64_t since_ns, uint64_t limit_ns)
{
    return now_ns <= since_ns || now_ns - since_ns <= limit_ns;
}

/* Seen within a minute; what a concurrent save saw after now_ns was read is. */
static bool fresh(const struct remembered *r, uint64_t now_ns)
{
    return within(now_ns, r->seen_ns, SESSION_MEMORY_NS);
}

/* Raises what is remembered to at least next.  Of two true statements about a
 * session the higher index and the later time together are one too. */
static struct remembered *raise_to(struct session_memory *m,
                                   const char *session, uint64_t next,
                                   uint64_t seen_ns, uint64_t known_ns)
{
    struct remembered *r = find(m, session);

    if (!r)
        r = add(m, session);
    if (!r)
        return NULL;
    /* What was handed out stays handed out while it is fresh: a save that has
     * not put its index yet is not seen by anybody's listing. */
    if (!fresh(r, seen_ns)) {
        r->next = next;
        r->known_ns = known_ns;
    }
    if (next > r->next)
        r->next = next;
    if (seen_ns > r->seen_ns)
        r->seen_ns = seen_ns;
    if (known_ns > r->known_ns)
        r->known_ns = known_ns;
    return r;
}

void session_memory_note(struct session_memory *m, const char *session,
                         uint64_t next, uint64_t seen_ns, uint64_t known_ns)
{
    pthread_mutex_lock(&m->mutex);
    raise_to(m, session, next, seen_ns, known_ns);
    pthread_mutex_unlock(&m->mutex);
}

bool session_memory_take(struct session_memory *m, const char *session,
                         uint64_t now_ns, uint64_t *out_index,
                         uint64_t *out_known_ns)
{
    struct remembered *r;
    bool found;

    pthread_mutex_lock(&m->mutex);
    r = find(m, session);
    found = r && fresh(r, now_ns) &&
            within(now_ns, r->known_ns, SESSION_MEMORY_KNOWN_NS);
    if (found) {
        *out_index = r->next++;
        *out_known_ns = r->known_ns;
    }
    pthread_mutex_unlock(&m->mutex);
    return found;
}

uint64_t session_memory_take_listed(struct session_memory *m,
                                    const char *session, uint64_t next,
                                    uint64_t known_ns)
{
    struct remembered *r;

    pthread_mutex_lock(&m->mutex);
    r = raise_to(m, session, next, known_ns, known_ns);
    if (r)
        next = r->next++;
    pthread_mutex_unlock(&m->mutex);
    return next;
}

void session_memory_give_back(struct session_memory *m, const char *session,
                              uint64_t index)
{
    struct remembered *r;

    pthread_mutex_lock(&m->mutex);
    r = find(m, session);
    if (r && r->next == index + 1)
        r->next = index;
    pthread_mutex_unlock(&m->mutex);
}
