/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real engine under a scheduler: savers, deleters and a cleaner of one
 * session run in threads of their own, and one at a time goes one request
 * further, chosen by a seed.  Replies get lost, requests get lost, actors die
 * between two requests, days pass.  In between, what is in the store must
 * agree with what was acknowledged.
 *
 * owner_model_test.c explores the protocol; this explores that the engine keeps
 * to it.  A failure names its seed; PERSIST_TEST_SEED=N runs that one alone.
 * `--long` (or PERSIST_LONG) runs many more.
 */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/snapshot.h"
#include "util/text.h"

#define N_ACTORS 5
#define N_TURNS 4 /* calls each actor makes */
#define N_SAVES (N_ACTORS * N_TURNS)
#define N_INDICES 200
#define TAG 16
#define DAY_NS (UINT64_C(86400) * 1000000000)
#define LONG_LEN 5000 /* more than one put takes */

static const char *const settings[] = {"put_max", "2K", "part_max", "2K", NULL};

enum outcome { UNKNOWN, ACKED, FAILED };

struct saved {
    enum outcome outcome;
    uint64_t index;
    bool fenced;
    uint64_t after;
};

enum thread_state { WAITING, RUNNING, DONE };

struct schedule {
    struct rig rig;
    uint64_t seed;
    uint64_t random;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum thread_state states[N_ACTORS];
    bool crashed[N_ACTORS];
    int turn;
    /* Written by the one that runs, read when none does. */
    struct saved saves[N_SAVES];
    bool delete_begun[N_INDICES];
    char deleted[N_INDICES][TAG]; /* the tag that lived there */
    unsigned n_steps, n_acked, n_crashes, n_lost, n_deleted;
};

struct player {
    struct schedule *schedule;
    int number;
    struct persist_store *store;
    pthread_t thread;
};

/* ------------------------------------------------------------------ chance */

static uint64_t draw(struct schedule *s, uint64_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (s->random >> 11) % below;
}

static bool one_in(struct schedule *s, uint64_t n)
{
    return draw(s, n) == 0;
}

/* --------------------------------------------------------------- taking turns
 */

/* Called by an actor: waits until it is its turn. */
static void await_turn(struct schedule *s, int number)
{
    pthread_mutex_lock(&s->mutex);
    s->states[number] = WAITING;
    pthread_cond_broadcast(&s->changed);
    while (s->turn != number)
        pthread_cond_wait(&s->changed, &s->mutex);
    s->turn = -1;
    s->states[number] = RUNNING;
    pthread_mutex_unlock(&s->mutex);
}

static bool is_write(const char *op)
{
    return strcmp(op, "put") == 0 || strcmp(op, "upload_commit") == 0 ||
           strcmp(op, "delete") == 0;
}

static int32_t step(void *ctx, const struct memory_event *event)
{
    struct schedule *s = ctx;
    uint64_t since_ns;
    int number;

    if (event->actor[0] < '0' || event->actor[0] > '9')
        return 0; /* the referee */
    number = event->actor[0] - '0';
    since_ns = atomic_load(&s->rig.boot_ns);
    if (event->phase == MEMORY_BEFORE)
        await_turn(s, number);
    if (s->crashed[number])
        return event->phase == MEMORY_BEFORE ? PERSIST_BACKEND_INTERNAL : 0;
    if (event->phase == MEMORY_AFTER && event->status)
        return 0;
    /* No request is under way for days (owner.h, "Time"). */
    if (atomic_load(&s->rig.boot_ns) - since_ns > DAY_NS)
        return PERSIST_BACKEND_TRANSIENT;
    if (is_write(event->op) && one_in(s, 12)) {
        s->n_lost++;
        return PERSIST_BACKEND_UNCERTAIN;
    }
    return 0;
}

/* ------------------------------------------------------------------- actors
 */

static int pick_acked(struct schedule *s)
{
    int candidates[N_SAVES] = {0}, n = 0, i;

    for (i = 0; i < N_SAVES; i++)
        if (s->saves[i].outcome == ACKED)
            candidates[n++] = i;
    return n ? candidates[draw(s, (uint64_t)n)] : -1;
}

static void play_save(struct player *p, int number)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct schedule *s = p->schedule;
    struct saved *saved = &s->saves[number];
    bool is_long = one_in(s, 2);
    uint8_t *data = rig_noise(LONG_LEN, (uint32_t)number);
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    char tag[TAG];
    int fence, rc;

    snprintf(tag, sizeof tag, "s%d", number);
    o.description = tag;
    o.frame_size = 65536;
    fence = one_in(s, 3) ? pick_acked(s) : -1;
    if (fence >= 0) {
        o.flags |= PERSIST_SAVE_AFTER;
        o.after = s->saves[fence].index;
        saved->fenced = true;
        saved->after = o.after;
    }
    rc = persist_save_buffer(p->store, "a", data, is_long ? LONG_LEN : 100, &o,
                             &m, &err);
    free(data);
    if (rc == PERSIST_OK) {
        saved->index = m->snapshot_index;
        saved->outcome = ACKED;
        s->n_acked++;
    } else if (rc != PERSIST_E_UNCERTAIN && !s->crashed[p->number]) {
        saved->outcome = FAILED;
    }
    persist_metadata_free(m);
}

static void play_delete(struct player *p)
{
    struct schedule *s = p->schedule;
    int victim = pick_acked(s);
    struct persist_error err = {0};
    char address[16];
    uint64_t index;

    if (victim < 0)
        return;
    index = s->saves[victim].index;
    s->delete_begun[index] = true;
    snprintf(address, sizeof address, "a@%d", (int)index);
    if (persist_delete(p->store, address, NULL, NULL, &err) == PERSIST_OK) {
        snprintf(s->deleted[index], sizeof s->deleted[0], "s%d", victim);
        s->n_deleted++;
    }
}

static void *play(void *ctx)
{
    struct player *p = ctx;
    struct schedule *s = p->schedule;
    int turn;

    for (turn = 0; turn < N_TURNS; turn++) {
        await_turn(s, p->number);
        if (s->crashed[p->number])
            break;
        switch (draw(s, 6)) {
        case 0:
            play_delete(p);
            break;
        case 1:
            persist_cleanup(p->store, "a", NULL, NULL);
            break;
        default:
            play_save(p, p->number * N_TURNS + turn);
            break;
        }
    }
    pthread_mutex_lock(&s->mutex);
    s->states[p->number] = DONE;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* ------------------------------------------------------------------ referee
 */

struct place {
    size_t snap_len;
    size_t data_len;
    char snap_tag[TAG];
    char data_tag[TAG];
};

struct dump {
    struct place places[N_INDICES];
};

static void read_tag(const struct memory_object_view *object, char tag[TAG])
{
    struct persist_metadata *m = NULL;
    struct persist_error err;
    size_t header_len;
    enum codec codec;
    uint64_t need;

    if (snapshot_header_parse(object->data, (size_t)object->len, &need, &codec,
                              &header_len, &m, &err) == PERSIST_OK)
        snprintf(tag, TAG, "%s", m->description);
    persist_metadata_free(m);
}

static int32_t collect(void *ctx, const struct memory_object_view *object)
{
    struct dump *dump = ctx;
    enum key_kind kind;
    uint64_t index;

    if (!key_parse("a/default/", object->key, &index, &kind) ||
        index >= N_INDICES)
        return 0;
    if (kind == KEY_SNAP) {
        dump->places[index].snap_len = (size_t)object->len;
        if (object->len != CLAIM_LEN && object->len != TOMBSTONE_LEN)
            read_tag(object, dump->places[index].snap_tag);
    } else {
        dump->places[index].data_len = (size_t)object->len;
        read_tag(object, dump->places[index].data_tag);
    }
    return 0;
}

/* The tag of the snapshot that lives at an index; "" for none. */
static const char *live(const struct dump *dump, uint64_t index)
{
    const struct place *place = &dump->places[index];

    if (!place->snap_len || place->snap_len == TOMBSTONE_LEN)
        return "";
    return place->snap_len == CLAIM_LEN ? place->data_tag : place->snap_tag;
}

static int times_live(const struct dump *dump, const char *tag)
{
    int i, n = 0;

    for (i = 0; i < N_INDICES; i++)
        n += strcmp(live(dump, (uint64_t)i), tag) == 0;
    return n;
}

#define check(what, ...)                                                       \
    do {                                                                       \
        if (!(what))                                                           \
            fail_msg("seed %llu, step %u: " __VA_ARGS__);                      \
    } while (0)
#define WHERE (unsigned long long)s->seed, s->n_steps

static void check_pair(const struct schedule *s, const struct dump *dump, int a,
                       int b)
{
    char tag_a[TAG], tag_b[TAG];

    snprintf(tag_a, sizeof tag_a, "s%d", a);
    snprintf(tag_b, sizeof tag_b, "s%d", b);
    check(s->saves[a].index != s->saves[b].index,
          "index %d was acknowledged twice", WHERE, (int)s->saves[a].index);
    if (s->saves[a].fenced && s->saves[b].fenced &&
        s->saves[a].after == s->saves[b].after)
        check(!times_live(dump, tag_a) || !times_live(dump, tag_b),
              "%s and %s both came after %d", WHERE, tag_a, tag_b,
              (int)s->saves[a].after);
}

static void check_save(const struct schedule *s, const struct dump *dump, int i)
{
    const struct saved *saved = &s->saves[i];
    char tag[TAG];
    int k, n;

    snprintf(tag, sizeof tag, "s%d", i);
    n = times_live(dump, tag);
    check(n <= 1, "%s lives %d times", WHERE, tag, n);
    check(saved->outcome != FAILED || n == 0, "%s failed and is visible", WHERE,
          tag);
    if (saved->outcome != ACKED)
        return;
    if (!s->delete_begun[saved->index])
        check(strcmp(live(dump, saved->index), tag) == 0,
              "%s at %d cannot be read", WHERE, tag, (int)saved->index);
    if (strcmp(s->deleted[saved->index], tag) == 0)
        check(n == 0, "%s is back after its delete", WHERE, tag);
    for (k = 0; k < i; k++)
        if (s->saves[k].outcome == ACKED)
            check_pair(s, dump, i, k);
}

static void check_all(struct schedule *s)
{
    struct dump *dump = calloc(1, sizeof *dump);
    int i;

    assert_non_null(dump);
    s->rig.memory->each(s->rig.id, collect, dump);
    for (i = 0; i < N_SAVES; i++)
        check_save(s, dump, i);
    free(dump);
}

/* At the end: everything that should be there is, byte for byte. */
static void check_payloads(struct schedule *s)
{
    struct persist_error err = {0};
    int i;

    for (i = 0; i < N_SAVES; i++) {
        const struct saved *saved = &s->saves[i];
        char address[16];

        if (saved->outcome != ACKED || s->delete_begun[saved->index])
            continue;
        snprintf(address, sizeof address, "a@%d", (int)saved->index);
        assert_ok(persist_verify(s->rig.store, address, NULL, NULL, &err),
                  &err);
    }
}

/* ---------------------------------------------------------------- scheduler
 */

/* Waits until nobody runs; the number of those who wait for a turn. */
static int await_rest(struct schedule *s, int waiting[N_ACTORS])
{
    int i, n;

again:
    for (n = 0, i = 0; i < N_ACTORS; i++) {
        if (s->states[i] == RUNNING) {
            pthread_cond_wait(&s->changed, &s->mutex);
            goto again;
        }
        if (s->states[i] == WAITING)
            waiting[n++] = i;
    }
    return n;
}

static void chance(struct schedule *s, int next)
{
    if (one_in(s, 40) && !s->crashed[next]) {
        s->crashed[next] = true;
        s->n_crashes++;
    }
    if (one_in(s, 25))
        rig_pass_days(&s->rig, 1 + (int)draw(s, 5));
}

static void conduct(struct schedule *s)
{
    int waiting[N_ACTORS], n, next;

    pthread_mutex_lock(&s->mutex);
    while ((n = await_rest(s, waiting)) > 0) {
        s->n_steps++;
        check_all(s);
        next = waiting[draw(s, (uint64_t)n)];
        chance(s, next);
        s->states[next] = RUNNING;
        s->turn = next;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
}

static void start_players(struct schedule *s, struct player players[N_ACTORS])
{
    char name[2] = "0";
    int i;

    for (i = 0; i < N_ACTORS; i++) {
        name[0] = (char)('0' + i);
        s->states[i] = RUNNING; /* until it waits for its first turn */
        players[i] =
            (struct player){s, i, rig_again(&s->rig, name, settings), 0};
        assert_int_equal(
            pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
    }
}

static void run_seed(uint64_t seed, unsigned totals[5])
{
    struct schedule *s = calloc(1, sizeof *s);
    struct player players[N_ACTORS];
    int i;

    assert_non_null(s);
    s->seed = seed;
    s->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    s->turn = -1;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    rig_open(&s->rig, 0, settings);
    rig_one_by_one(&s->rig); /* a request comes from its actor's thread */
    s->rig.memory->set_hook(s->rig.id, step, s);
    start_players(s, players);
    conduct(s);
    for (i = 0; i < N_ACTORS; i++) {
        pthread_join(players[i].thread, NULL);
        persist_close(players[i].store);
    }
    check_all(s);
    check_payloads(s);
    totals[0] += s->n_steps;
    totals[1] += s->n_acked;
    totals[2] += s->n_deleted;
    totals[3] += s->n_lost;
    totals[4] += s->n_crashes;
    rig_close(&s->rig);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static uint64_t n_seeds = 300;

static void engine__keeps_to_the_protocol(void **state)
{
    const char *one = getenv("PERSIST_TEST_SEED");
    unsigned totals[5] = {0};
    uint64_t seed, n = 0;

    (void)state;
    if (one && text_to_u64(one, &seed)) {
        run_seed(seed, totals);
        n = 1;
    } else {
        for (; n < n_seeds; n++)
            run_seed(n, totals);
    }
    printf(
        "%llu seeds: %u requests, %u saves, %u deletes, %u lost, %u deaths\n",
        (unsigned long long)n, totals[0], totals[1], totals[2], totals[3],
        totals[4]);
    /* The dice must fall on everything. */
    assert_true(one || (totals[1] > n && totals[2] > n / 4 && totals[3] > n &&
                        totals[4] > n / 4));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine__keeps_to_the_protocol),
    };

    if (getenv("PERSIST_LONG") || (argc > 1 && strcmp(argv[1], "--long") == 0))
        n_seeds = 20000;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
