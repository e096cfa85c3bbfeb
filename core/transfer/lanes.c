/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of lanes; lanes.h has the picture.
 *
 * Counters say where everything is: lanes [taken, started) of the ring are in
 * flight, [hashed, started) wait for the hash.  A counter is a number of lanes
 * since the beginning; counter % n is the slot.  One lock for all of it: it is
 * taken a handful of times per frame of megabytes.
 */
#include "transfer/lanes.h"

#include <pthread.h>
#include <stdlib.h>

#include "posix/direct.h"

struct slot {
    struct lane lane; /* first: a lane is its slot */
    struct task task;
    struct lanes *all;
    struct frame_encoder *encoder;
    struct frame_decoder *decoder;
    bool looked;     /* under all->mutex: lane.is_raw says whether it is */
    bool done;       /* under all->mutex: the work is */
    bool read_again; /* decode: its bytes were */
};

struct lanes {
    struct lanes_what what;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    struct slot *slots;
    uint64_t started;  /* the caller's */
    uint64_t taken;    /* the caller's; the last one may not be released */
    uint64_t hashed;   /* under mutex, as what follows */
    uint64_t hashable; /* lanes started, as the hash knows */
    uint64_t over;     /* released and hashed; the last of them had over_tag */
    uint64_t over_tag;
    bool hashing; /* a task is at it */
    bool hash_failed;
    bool abandoned; /* nobody wants the rest */
    struct task hash_task;
};

size_t lanes_memory(const struct lanes_what *what)
{
    size_t codec =
        what->decode
            ? frame_decoder_memory(what->codec, what->frame_size)
            : frame_encoder_memory(what->codec, what->level, what->frame_size);

    return what->in_cap + what->out_cap + codec;
}

struct lanes *lanes_create(const struct lanes_what *what)
{
    struct lanes *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->what = *what;
    l->slots = calloc(what->n, sizeof *l->slots);
    if (!l->slots) {
        free(l);
        return NULL;
    }
    for (unsigned i = 0; i < what->n; i++)
        l->slots[i].all = l;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->moved, NULL);
    return l;
}

static struct slot *slot_at(struct lanes *l, uint64_t counter)
{
    return &l->slots[counter % l->what.n];
}

/* ------------------------------------------------------------------ decode
 */

static void begin_once(struct slot *s)
{
    s->lane.rc = unpack_begin(&s->lane.frame, &s->lane.err);
}

/* Whether there are other bytes now, to be unpacked once more. */
static bool read_again(struct slot *s)
{
    const struct lanes_what *w = &s->all->what;

    if (s->lane.rc == PERSIST_OK || !w->again || s->read_again)
        return false;
    s->read_again = true;
    s->lane.rc = w->again(w->again_ctx, &s->lane);
    return s->lane.rc == PERSIST_OK;
}

/* -------------------------------------------------------------------- hash
 */

/* Under the mutex: is the next payload in order there? */
static bool can_hash(struct lanes *l)
{
    const struct slot *s = slot_at(l, l->hashed);

    return !l->abandoned && l->hashed < l->hashable &&
           (l->what.decode ? s->done : s->looked);
}

static int hash_encoded(struct sha256 *sha256, struct lane *lane)
{
    if (lane->is_raw)
        return zstd_raw_sum(&lane->raw, sha256 ? sha256_update_beside : NULL,
                            sha256, lane->place);
    return sha256 ? sha256_update(sha256, lane->in, lane->in_len) : PERSIST_OK;
}

static void end_once(struct slot *s)
{
    s->lane.rc = unpack_end(&s->lane.frame, s->all->what.sha256, &s->lane.err);
}

/* Of a raw frame this is where damage is found; who takes it waits for that. */
static int hash_decoded(struct slot *s)
{
    if (s->lane.rc != PERSIST_OK)
        return PERSIST_OK;
    if (!s->lane.is_raw)
        return unpack_end(&s->lane.frame, s->all->what.sha256, NULL);
    end_once(s);
    if (read_again(s)) {
        begin_once(s);
        if (s->lane.rc == PERSIST_OK)
            end_once(s);
    }
    return PERSIST_OK;
}

/* Hashes all that is ready.  Called and returns with the mutex held. */
static void hash_ready(struct lanes *l)
{
    while (can_hash(l)) {
        struct slot *s = slot_at(l, l->hashed);
        int rc;

        pthread_mutex_unlock(&l->mutex);
        rc = l->what.decode ? hash_decoded(s)
                            : hash_encoded(l->what.sha256, &s->lane);
        pthread_mutex_lock(&l->mutex);
        l->hash_failed = l->hash_failed || rc != 0;
        l->hashed++;
        pthread_cond_broadcast(&l->moved);
    }
    l->hashing = false;
    pthread_cond_broadcast(&l->moved);
}

static void run_hash(struct task *t)
{
    struct lanes *l =
        (struct lanes *)((char *)t - offsetof(struct lanes, hash_task));

    pthread_mutex_lock(&l->mutex);
    hash_ready(l);
    pthread_mutex_unlock(&l->mutex);
}

/* Under the mutex: sees to it that somebody hashes what is ready.  `inline_ok`:
 * the caller's own thread may, where there is no other. */
static void wake_hash(struct lanes *l)
{
    if (l->hashing || !can_hash(l))
        return;
    l->hashing = true;
    task_init(&l->hash_task, run_hash);
    if (!l->what.cpu || executor_submit(l->what.cpu, &l->hash_task))
        hash_ready(l);
}

/* -------------------------------------------------------------------- work
 */

/* Whether the payload is stored as it is; the hash waits for that. */
static void look(struct slot *s)
{
    struct lanes *l = s->all;
    struct lane *lane = &s->lane;

    lane->is_raw = frame_is_raw(s->encoder, lane->in, lane->in_len, lane->out,
                                l->what.out_cap);
    if (lane->is_raw) {
        zstd_raw_begin(&lane->raw, lane->in, lane->in_len);
        lane->out_len = zstd_raw_len(lane->in_len);
    }
    pthread_mutex_lock(&l->mutex);
    s->looked = true;
    wake_hash(l);
    pthread_mutex_unlock(&l->mutex);
}

static void encode(struct slot *s)
{
    struct lane *lane = &s->lane;

    look(s);
    if (!lane->is_raw)
        lane->rc =
            frame_compress(s->encoder, lane->in, lane->in_len, lane->out,
                           s->all->what.out_cap, &lane->out_len, &lane->err);
}

static void decode(struct slot *s)
{
    begin_once(s);
    if (read_again(s))
        begin_once(s);
    s->lane.is_raw = s->lane.rc == PERSIST_OK && s->lane.frame.is_raw;
}

static void work(struct slot *s)
{
    if (s->all->what.decode)
        decode(s);
    else
        encode(s);
}

/* -------------------------------------------------------------------- lanes
 */

static void finish(struct slot *s)
{
    struct lanes *l = s->all;

    pthread_mutex_lock(&l->mutex);
    s->done = true;
    wake_hash(l);
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->mutex);
}

static void run_work(struct task *t)
{
    struct slot *s = (struct slot *)((char *)t - offsetof(struct slot, task));

    work(s);
    finish(s);
}

static bool slot_equip(const struct lanes_what *w, struct slot *s)
{
    if (!s->lane.in_buf && w->in_cap)
        s->lane.in_buf = direct_alloc(w->in_cap);
    if (!s->lane.out)
        s->lane.out = direct_alloc(w->out_cap);
    if (w->decode && !s->decoder)
        s->decoder = frame_decoder_create(w->codec, w->frame_size);
    if (!w->decode && !s->encoder)
        s->encoder = frame_encoder_create(w->codec, w->level, w->frame_size);
    return (s->lane.in_buf || !w->in_cap) && s->lane.out &&
           (s->decoder || s->encoder);
}

/* Under the mutex, and before a lane that is over is given out again. */
static void note_over(struct lanes *l)
{
    uint64_t over = l->taken < l->hashed ? l->taken : l->hashed;

    if (over > l->over)
        l->over_tag = slot_at(l, over - 1)->lane.tag;
    l->over = over;
}

uint64_t lanes_over(struct lanes *l)
{
    pthread_mutex_lock(&l->mutex);
    note_over(l);
    pthread_mutex_unlock(&l->mutex);
    return l->over_tag;
}

int lanes_free(struct lanes *l, struct lane **out, struct persist_error *err)
{
    struct slot *s = slot_at(l, l->started);

    *out = NULL;
    if (l->started - l->taken >= l->what.n)
        return PERSIST_OK;
    pthread_mutex_lock(&l->mutex);
    while (l->started - l->hashed >= l->what.n)
        pthread_cond_wait(&l->moved, &l->mutex);
    note_over(l);
    pthread_mutex_unlock(&l->mutex);
    if (!slot_equip(&l->what, s))
        return error_memory(err);
    s->lane.place = NULL;
    *out = &s->lane;
    return PERSIST_OK;
}

void lanes_start(struct lanes *l, struct lane *lane)
{
    struct slot *s = (struct slot *)lane;

    lane->rc = PERSIST_OK;
    lane->is_raw = false;
    lane->out_len = 0;
    lane->frame = (struct unpack){.decoder = s->decoder,
                                  .out = lane->out,
                                  .cap = l->what.out_cap,
                                  .copies = l->what.copies,
                                  .in = lane->in,
                                  .in_len = lane->in_len};
    s->read_again = false;
    pthread_mutex_lock(&l->mutex);
    s->looked = false;
    s->done = false;
    l->started++;
    l->hashable = l->started;
    pthread_mutex_unlock(&l->mutex);
    task_init(&s->task, run_work);
    if (!l->what.cpu || executor_submit(l->what.cpu, &s->task))
        run_work(&s->task);
}

/* Under the mutex: the oldest lane that is not taken. */
static bool can_take(struct lanes *l)
{
    const struct slot *s = slot_at(l, l->taken);

    return s->done && (!s->lane.is_raw || l->hashed > l->taken);
}

struct lane *lanes_take(struct lanes *l)
{
    struct slot *s = slot_at(l, l->taken);

    if (l->taken == l->started)
        return NULL;
    pthread_mutex_lock(&l->mutex);
    while (!can_take(l))
        pthread_cond_wait(&l->moved, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
    return &s->lane;
}

void lanes_release(struct lanes *l, struct lane *lane)
{
    (void)lane;
    l->taken++;
}

int lanes_hashed(struct lanes *l, struct persist_error *err)
{
    bool failed;

    pthread_mutex_lock(&l->mutex);
    while (l->hashed < l->started)
        pthread_cond_wait(&l->moved, &l->mutex);
    failed = l->hash_failed;
    pthread_mutex_unlock(&l->mutex);
    return failed ? error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed")
                  : PERSIST_OK;
}

/* Every started lane is done and no hash task is about to touch us. */
static bool at_rest(struct lanes *l)
{
    for (uint64_t i = l->taken; i < l->started; i++)
        if (!slot_at(l, i)->done)
            return false;
    return !l->hashing;
}

/* Under the mutex: what no thread has begun never will. */
static void take_back(struct lanes *l)
{
    struct executor *cpu = l->what.cpu;

    l->abandoned = true;
    for (uint64_t i = l->taken; cpu && i < l->started; i++)
        if (!slot_at(l, i)->done &&
            executor_take_back(cpu, &slot_at(l, i)->task))
            slot_at(l, i)->done = true;
    if (cpu && l->hashing && executor_take_back(cpu, &l->hash_task))
        l->hashing = false;
}

void lanes_destroy(struct lanes *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    take_back(l);
    while (!at_rest(l))
        pthread_cond_wait(&l->moved, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
    for (unsigned i = 0; i < l->what.n; i++) {
        free(l->slots[i].lane.in_buf);
        free(l->slots[i].lane.out);
        frame_encoder_destroy(l->slots[i].encoder);
        frame_decoder_destroy(l->slots[i].decoder);
    }
    pthread_cond_destroy(&l->moved);
    pthread_mutex_destroy(&l->mutex);
    free(l->slots);
    free(l);
}
