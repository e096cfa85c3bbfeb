/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syncs of a store set out together; the rule and the picture are in
 * local.h.
 *
 * Who is last to come, or last to return, lets all go who wait.  The first in
 * line has a clock besides: he lets them go when it has taken too long, so that
 * nothing here depends on anybody's coming.
 *
 * The bytes of those in line are on their way while they wait, and one waits
 * for all of them before they go: were each to wait for his own, each would
 * sleep once more.
 */
#include "local.h"

#include "posix/os.h"

/* One in line with a file; on his stack, so that he must not go before others
 * are done with it. */
struct syncgroup_file {
    struct syncgroup_file *next;
    struct durable_write *w;
    uint64_t size; /* bytes */
    int rc;        /* of its write-back; written before he goes */
};

/* Never so long that anybody would notice. */
#define PATIENCE_MAX_NS UINT64_C(20000000)

int syncgroup_init(struct syncgroup *g)
{
    int rc = pthread_mutex_init(&g->lock, NULL);

    if (rc != 0)
        return -rc;
    rc = os_cond_init(&g->departed);
    if (rc != 0)
        pthread_mutex_destroy(&g->lock);
    return -rc;
}

void syncgroup_finish(struct syncgroup *g)
{
    pthread_cond_destroy(&g->departed);
    pthread_mutex_destroy(&g->lock);
}

/* Under the lock: all who wait are out now.  True: os_unpark(n_departures),
 * best without the lock. */
static bool depart(struct syncgroup *g)
{
    bool any = g->n_waiting > 0;

    if (g->n_out == 0)
        g->began_ns = os_monotonic_ns();
    g->n_out += g->n_waiting + g->watched;
    g->n_waiting = 0;
    atomic_store(&g->n_departures, atomic_load(&g->n_departures) + 1);
    if (g->watched)
        pthread_cond_broadcast(&g->departed);
    g->watched = false;
    g->due = false;
    return any;
}

static bool nobody_is_near(const struct syncgroup *g)
{
    return g->n_out == 0 && g->n_coming == 0;
}

/* Under the lock, which it gives back meanwhile: the bytes of all in line are
 * written, also of those who join it until then.  Nobody departs before that.
 * It is waited for because ext4 notes only then that they have been. */
static void settle(struct syncgroup *g)
{
    struct syncgroup_file *files, *f;

    g->settling = true;
    while ((files = g->files) != NULL) {
        g->files = NULL;
        pthread_mutex_unlock(&g->lock);
        for (f = files; f != NULL; f = f->next)
            f->rc = durable_write_back(f->w, 0, f->size, true);
        pthread_mutex_lock(&g->lock);
    }
    g->settling = false;
}

/* Gives the lock back, and lets those go who have nobody to wait for: by the
 * first in line where there are bytes to wait for, which is not the business of
 * who comes by. */
static void let_go(struct syncgroup *g)
{
    bool is_time = g->watched && !g->settling && nobody_is_near(g);
    bool any = is_time && g->files == NULL && depart(g);

    if (is_time && g->files != NULL) {
        g->due = true;
        pthread_cond_broadcast(&g->departed);
    }
    pthread_mutex_unlock(&g->lock);
    if (any)
        os_unpark(&g->n_departures);
}

void syncgroup_announce(struct syncgroup *g)
{
    pthread_mutex_lock(&g->lock);
    g->n_coming++;
    pthread_mutex_unlock(&g->lock);
}

void syncgroup_withdraw(struct syncgroup *g)
{
    pthread_mutex_lock(&g->lock);
    g->n_coming--;
    let_go(g);
}

bool syncgroup_has_company(struct syncgroup *g)
{
    bool company;

    pthread_mutex_lock(&g->lock);
    company = g->n_coming + g->n_out > 1 || g->watched;
    pthread_mutex_unlock(&g->lock);
    return company;
}

/* Once for those who are out, once for those who come, and as much again for
 * their turn on a busy processor: who goes without them makes the journal
 * commit twice. */
static uint64_t patience_ns(const struct syncgroup *g)
{
    return g->took_ns < PATIENCE_MAX_NS / 4 ? 4 * g->took_ns : PATIENCE_MAX_NS;
}

/* Under the lock, as the first in line: with an eye on the clock.  As depart.
 */
static bool watch(struct syncgroup *g)
{
    uint64_t until_ns = os_monotonic_ns() + patience_ns(g);
    unsigned before = atomic_load(&g->n_departures);

    g->watched = true;
    while (atomic_load(&g->n_departures) == before && !g->due)
        if (os_cond_wait_until(&g->departed, &g->lock, until_ns) != 0)
            break;
    /* By somebody else, who has our file in hand. */
    while (atomic_load(&g->n_departures) == before && g->settling)
        pthread_cond_wait(&g->departed, &g->lock);
    if (atomic_load(&g->n_departures) != before)
        return false;
    settle(g);
    return depart(g);
}

/* Under the lock, behind the first: whoever is last to come lets all go.  As
 * depart. */
static bool line_up(struct syncgroup *g)
{
    g->n_waiting++;
    if (g->settling || !nobody_is_near(g))
        return false;
    settle(g);
    return depart(g);
}

static void bring(struct syncgroup *g, struct syncgroup_file *f)
{
    f->next = g->files;
    g->files = f;
}

int syncgroup_set_out(struct syncgroup *g, struct durable_write *w,
                      uint64_t size)
{
    struct syncgroup_file own = {.w = w, .size = size};
    bool any, waits = true;
    unsigned before;

    pthread_mutex_lock(&g->lock);
    before = atomic_load(&g->n_departures);
    g->n_coming--;
    if (!g->watched && nobody_is_near(g)) {
        any = depart(g);
        g->n_out++; /* we, who have not been in line */
        waits = false;
    } else {
        if (w != NULL)
            bring(g, &own);
        any = g->watched ? line_up(g) : watch(g);
    }
    pthread_mutex_unlock(&g->lock);
    if (any)
        os_unpark(&g->n_departures);
    while (waits && atomic_load(&g->n_departures) == before)
        os_park(&g->n_departures, before);
    return own.rc;
}

void syncgroup_return(struct syncgroup *g, bool comes_again)
{
    pthread_mutex_lock(&g->lock);
    g->n_coming += comes_again;
    if (--g->n_out == 0)
        g->took_ns = os_monotonic_ns() - g->began_ns;
    let_go(g);
}
