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

/* One in line, with a file or without; on his stack, so that he must not go
 * while it stands in the list or somebody has it in hand. */
struct syncgroup_file {
    struct syncgroup_file *next;
    struct durable_write *w;
    uint64_t size; /* bytes */
    int rc;        /* lock; of its write-back */
    bool in_hand;  /* lock; its bytes are waited for */
    bool left;     /* he has left the line */
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
    g->files = NULL; /* what has not been waited for is not any more */
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
 * It is waited for because ext4 notes only then that they have been.  Who has
 * no time left waits for no more of them. */
static void settle(struct syncgroup *g, struct local_waiter *waiter)
{
    struct syncgroup_file *f;
    bool late = false;

    g->settling = true;
    while (!late && (f = g->files) != NULL) {
        int rc;

        g->files = f->next;
        f->in_hand = true;
        pthread_mutex_unlock(&g->lock);
        rc = durable_write_back(f->w, 0, f->size, true);
        late = waiter_is_late(waiter);
        pthread_mutex_lock(&g->lock);
        f->rc = rc;
        f->in_hand = false;
    }
    g->settling = false;
}

/* Under the lock, in line: back to being announced.  False: his file is in
 * hand. */
static bool leave(struct syncgroup *g, struct syncgroup_file *own)
{
    struct syncgroup_file **at = &g->files;

    if (own->in_hand)
        return false;
    while (*at != NULL && *at != own)
        at = &(*at)->next;
    if (*at != NULL)
        *at = own->next;
    g->n_coming++;
    own->left = true;
    return true;
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
static bool watch(struct syncgroup *g, struct local_waiter *waiter,
                  struct syncgroup_file *own)
{
    uint64_t until_ns = os_monotonic_ns() + patience_ns(g);
    unsigned before = atomic_load(&g->n_departures);

    g->watched = true;
    while (atomic_load(&g->n_departures) == before && !g->due)
        if (os_cond_wait_until(&g->departed, &g->lock, until_ns) != 0)
            break;
    /* By somebody else, who lets all go at the end. */
    while (atomic_load(&g->n_departures) == before && g->settling &&
           !own->left) {
        bool woken =
            os_cond_wait_until(&g->departed, &g->lock,
                               os_monotonic_ns() + WAITER_LOOKS_NS) == 0;

        if (!woken && atomic_load(&g->n_departures) == before &&
            waiter_is_late(waiter) && leave(g, own))
            g->watched = g->due = false;
    }
    if (own->left || atomic_load(&g->n_departures) != before)
        return false;
    settle(g, waiter);
    return depart(g);
}

/* Under the lock, behind the first: whoever is last to come lets all go.  As
 * depart. */
static bool line_up(struct syncgroup *g, struct local_waiter *waiter)
{
    g->n_waiting++;
    if (g->settling || !nobody_is_near(g))
        return false;
    settle(g, waiter);
    return depart(g);
}

/* Until the departure behind `before`, behind the first. */
static void wait_in_line(struct syncgroup *g, struct local_waiter *waiter,
                         struct syncgroup_file *own, unsigned before)
{
    while (!own->left && atomic_load(&g->n_departures) == before) {
        if (os_park(&g->n_departures, before, WAITER_LOOKS_NS) ||
            !waiter_is_late(waiter))
            continue;
        pthread_mutex_lock(&g->lock);
        if (atomic_load(&g->n_departures) == before && leave(g, own))
            g->n_waiting--;
        pthread_mutex_unlock(&g->lock);
    }
}

static void bring(struct syncgroup *g, struct syncgroup_file *f)
{
    f->next = g->files;
    g->files = f;
}

int syncgroup_set_out(struct syncgroup *g, struct local_waiter *waiter,
                      struct durable_write *w, uint64_t size)
{
    struct syncgroup_file own = {.w = w, .size = size};
    bool any, waits = true;
    unsigned before;

    pthread_mutex_lock(&g->lock);
    before = atomic_load(&g->n_departures);
    g->n_coming--;
    if (!g->watched && !g->settling && nobody_is_near(g)) {
        any = depart(g);
        g->n_out++; /* we, who have not been in line */
        waits = false;
    } else {
        if (w != NULL)
            bring(g, &own);
        any = g->watched ? line_up(g, waiter) : watch(g, waiter, &own);
    }
    pthread_mutex_unlock(&g->lock);
    if (any)
        os_unpark(&g->n_departures);
    if (waits)
        wait_in_line(g, waiter, &own, before);
    return own.left ? WAITER_LEFT : own.rc;
}

void syncgroup_return(struct syncgroup *g, bool comes_again)
{
    pthread_mutex_lock(&g->lock);
    g->n_coming += comes_again;
    if (--g->n_out == 0)
        g->took_ns = os_monotonic_ns() - g->began_ns;
    let_go(g);
}
