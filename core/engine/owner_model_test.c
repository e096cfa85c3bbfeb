/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index protocol, explored: every interleaving of a few savers, deleters
 * and a cleaner on one session, step by step, with lost replies, crashes
 * between any two steps, and days that pass at any moment.
 *
 * The actors run the machines of owner.c themselves; only the store is a model
 * (six indices, whose object lies there, and since which day).  The search is
 * breadth first over distinct states, so a violation comes with a shortest
 * trace.  States are told apart by 128 bits of hash.
 *
 * `--long` (or PERSIST_LONG) adds larger casts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/owner.h"
#include "format/metadata.h"

#define N_INDICES 6
#define N_ACTORS 4
#define N_IDS 8 /* snapshots: one per saver, and the start's */
#define NOBODY 0xff
#define DAY_NS (UINT64_C(86400) * 1000000000)
#define DAY_US (INT64_C(86400) * 1000000)
#define JUMP_DAYS 5 /* past the renewal; twice: past the ages */
#define START_DAY 100

/* ---------------------------------------------------------------- the model
 */

enum object { NONE, SNAPSHOT, CLAIM, TOMBSTONE };

struct slot {
    uint8_t snap; /* enum object */
    uint8_t snap_id;
    uint8_t snap_day;
    uint8_t data; /* NONE, SNAPSHOT */
    uint8_t data_id;
    uint8_t data_day;
};

enum actor_kind { NO_ACTOR, SAVER, DELETER, CLEANER };
enum actor_state { READY, DEAD, ENDED };

struct actor {
    uint8_t kind;
    uint8_t state;
    uint8_t id;     /* a saver's snapshot; a deleter's target, once it looked */
    uint8_t lost;   /* replies that may still be lost */
    uint8_t faults; /* definite failures that may still come */
    uint8_t flights; /* requests that may still be under way past their reply */
    uint8_t ghost;   /* one is: the verb; its index */
    uint8_t ghost_index;
    uint8_t may_abort;
    uint8_t busy; /* deleter, cleaner: has chosen an index */
    uint8_t result;
    union {
        struct owner_save save;
        struct owner_delete del;
        struct owner_clean clean;
    } m;
};

struct world {
    struct slot slots[N_INDICES];
    struct actor actors[N_ACTORS];
    uint8_t acked[N_IDS];   /* index, or NOBODY */
    uint8_t failed[N_IDS];  /* the save was told that it failed */
    uint8_t deleted[N_IDS]; /* the delete was told that it worked */
    uint8_t fenced[N_IDS];
    uint8_t day;
    uint8_t jumps;
    uint16_t rules;
};

static uint64_t now_ns(const struct world *w)
{
    return w->day * DAY_NS;
}

static int64_t now_us(const struct world *w)
{
    return w->day * DAY_US;
}

static int highest(const struct world *w)
{
    int i;

    for (i = N_INDICES - 1; i >= 0; i--)
        if (w->slots[i].snap || w->slots[i].data)
            return i;
    return -1;
}

static struct index_state state_of(const struct world *w, int i)
{
    static const uint64_t sizes[] = {
        [SNAPSHOT] = 1000, [CLAIM] = CLAIM_LEN, [TOMBSTONE] = TOMBSTONE_LEN};
    const struct slot *slot = &w->slots[i];
    struct index_state s = {
        .index = (uint64_t)i,
        .has_snap = slot->snap != NONE,
        .has_data = slot->data != NONE,
        .snap_size = sizes[slot->snap],
        .data_size = sizes[slot->data],
        .snap_modified_us = slot->snap_day * DAY_US,
        .data_modified_us = slot->data_day * DAY_US,
        .has_modified = true,
    };

    return s;
}

/* Whose snapshot a reader finds at an index. */
static uint8_t live_id(const struct world *w, int i)
{
    struct index_state s = state_of(w, i);

    if (!owner_is_live(&s, w->rules))
        return NOBODY;
    return s.has_data ? w->slots[i].data_id : w->slots[i].snap_id;
}

static void set_snap(struct world *w, uint64_t i, enum object what, uint8_t id)
{
    struct slot *slot = &w->slots[i];

    slot->snap = (uint8_t)what;
    slot->snap_id = what == NONE ? 0 : id;
    slot->snap_day = what == NONE ? 0 : w->day;
}

static void set_data(struct world *w, uint64_t i, enum object what, uint8_t id)
{
    struct slot *slot = &w->slots[i];

    slot->data = (uint8_t)what;
    slot->data_id = what == NONE ? 0 : id;
    slot->data_day = what == NONE ? 0 : w->day;
}

/* --------------------------------------------------------------- invariants
 */

static bool being_deleted(const struct world *w, uint8_t id)
{
    int a;

    for (a = 0; a < N_ACTORS; a++)
        if (w->actors[a].kind == DELETER && w->actors[a].busy &&
            w->actors[a].id == id)
            return true;
    return w->deleted[id];
}

static int times_live(const struct world *w, uint8_t id)
{
    int i, n = 0;

    for (i = 0; i < N_INDICES; i++)
        n += live_id(w, i) == id;
    return n;
}

static const char *violated_by_pair(const struct world *w, uint8_t a)
{
    uint8_t b;

    for (b = 0; b < a; b++) {
        if (w->acked[b] == NOBODY)
            continue;
        if (w->acked[a] == w->acked[b])
            return "one index was acknowledged twice";
        if (w->fenced[a] && w->fenced[b] && times_live(w, a) &&
            times_live(w, b))
            return "two fenced saves came after one snapshot";
    }
    return NULL;
}

static const char *violated_by(const struct world *w, uint8_t id)
{
    int n = times_live(w, id);

    if (n > 1)
        return "one snapshot lives at two indices";
    if (w->deleted[id] && n)
        return "a deleted snapshot is back";
    if (w->failed[id] && n)
        return "a save that failed is visible";
    if (w->acked[id] == NOBODY)
        return NULL;
    if (!being_deleted(w, id) && live_id(w, w->acked[id]) != id)
        return "an acknowledged save cannot be read";
    return violated_by_pair(w, id);
}

static const char *violated(const struct world *w)
{
    const char *what = NULL;
    uint8_t id;
    int a;

    for (a = 0; a < N_ACTORS; a++)
        if (w->actors[a].kind == SAVER && w->actors[a].result == OWNER_LOST)
            return "a stream lost its index at the commit";
    for (id = 0; !what && id < N_IDS; id++)
        what = violated_by(w, id);
    return what;
}

/* ------------------------------------------------------------ breadth first
 */

struct seen {
    uint64_t hash[2];
};

struct search {
    struct seen *table; /* open addressing; 0,0 is empty */
    size_t table_cap;
    size_t n;
    uint32_t *parents; /* by number of state */
    char (*labels)[28];
    size_t parents_cap;
    struct world *queue; /* states not yet expanded, first to last */
    size_t first, last, queue_cap;
    uint32_t expanding;
    const char *violation;
    uint32_t violating;
};

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 29;
    h *= UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 32);
}

static struct seen hash_world(const struct world *w)
{
    uint64_t words[sizeof *w / 8 + 1] = {0};
    struct seen h = {{1, 2}};
    size_t i;

    memcpy(words, w, sizeof *w);
    for (i = 0; i < sizeof words / 8; i++) {
        h.hash[0] = mix(h.hash[0] ^ words[i]) + i;
        h.hash[1] = mix(h.hash[1] + (words[i] ^ UINT64_C(0x9e3779b97f4a7c15)));
    }
    return h;
}

static void *grow(void *memory, size_t n, size_t size)
{
    void *grown = realloc(memory, n * size);

    assert_non_null(grown);
    return grown;
}

static bool insert(struct seen *table, size_t cap, struct seen h)
{
    size_t at = (size_t)h.hash[0] & (cap - 1);

    while (table[at].hash[0] || table[at].hash[1]) {
        if (memcmp(&table[at], &h, sizeof h) == 0)
            return false;
        at = (at + 1) & (cap - 1);
    }
    table[at] = h;
    return true;
}

static void rehash(struct search *s)
{
    size_t cap = s->table_cap ? s->table_cap * 2 : 1 << 16, i;
    struct seen *table = calloc(cap, sizeof *table);

    assert_non_null(table);
    for (i = 0; i < s->table_cap; i++)
        if (s->table[i].hash[0] || s->table[i].hash[1])
            insert(table, cap, s->table[i]);
    free(s->table);
    s->table = table;
    s->table_cap = cap;
}

static void enqueue(struct search *s, const struct world *w)
{
    if (s->last == s->queue_cap) {
        /* Drop what is expanded; grow only when that frees too little. */
        size_t n = s->last - s->first;

        if (n)
            memmove(s->queue, s->queue + s->first, n * sizeof *s->queue);
        s->first = 0;
        s->last = n;
        if (n * 2 > s->queue_cap || !s->queue_cap) {
            s->queue_cap = s->queue_cap ? s->queue_cap * 2 : 1024;
            s->queue = grow(s->queue, s->queue_cap, sizeof *s->queue);
        }
    }
    s->queue[s->last++] = *w;
}

static void reach(struct search *s, const struct world *w, int actor,
                  const char *what)
{
    const char *bad;

    if (s->n * 2 >= s->table_cap)
        rehash(s);
    if (s->violation || !insert(s->table, s->table_cap, hash_world(w)))
        return;
    if (s->n == s->parents_cap) {
        s->parents_cap = s->parents_cap ? s->parents_cap * 2 : 1024;
        s->parents = grow(s->parents, s->parents_cap, sizeof *s->parents);
        s->labels = grow(s->labels, s->parents_cap, sizeof *s->labels);
    }
    s->parents[s->n] = s->expanding;
    snprintf(s->labels[s->n], sizeof s->labels[0], "%d %s", actor, what);
    bad = violated(w);
    if (bad) {
        s->violation = bad;
        s->violating = (uint32_t)s->n;
    }
    s->n++;
    enqueue(s, w);
}

/* ------------------------------------------------------------------- steps
 */

static void finish_save(struct world *w, struct actor *a)
{
    const struct owner_save *m = &a->m.save;

    if (!m->result)
        return;
    a->state = ENDED;
    a->result = m->result;
    if (m->result == OWNER_SAVED)
        w->acked[a->id] = (uint8_t)m->index;
    else if (m->result != OWNER_UNRESOLVED)
        w->failed[a->id] = 1;
    memset(&a->m, 0, sizeof a->m);
}

static void finish_delete(struct world *w, struct actor *a)
{
    if (!a->m.del.result)
        return;
    a->state = ENDED;
    a->result = a->m.del.result;
    if (a->result == OWNER_DELETED)
        w->deleted[a->id] = 1;
    memset(&a->m, 0, sizeof a->m);
}

static struct owner_view look_at_session(const struct world *w,
                                         const struct owner_save *m)
{
    struct owner_view view = {.began_ns = now_ns(w)};
    int i;

    for (i = highest(w); i >= 0; i--) {
        struct index_state s = state_of(w, i);

        if (!s.has_snap && !s.has_data)
            continue;
        if (owner_view_add(&view, m, &s, now_us(w)))
            break;
    }
    return view;
}

static void apply(struct world *w, uint8_t id, enum owner_verb verb,
                  uint64_t index)
{
    switch (verb) {
    case OWNER_PUT_SNAPSHOT:
        set_snap(w, index, SNAPSHOT, id);
        break;
    case OWNER_PUT_CLAIM:
    case OWNER_RENEW_CLAIM:
        set_snap(w, index, CLAIM, id);
        break;
    case OWNER_PUT_TOMBSTONE:
        set_snap(w, index, TOMBSTONE, id);
        break;
    case OWNER_PUT_BLOCK:
        set_snap(w, index, TOMBSTONE, NOBODY);
        break;
    case OWNER_COMMIT_DATA:
        set_data(w, index, SNAPSHOT, id);
        break;
    default:
        break;
    }
}

enum sort { USUAL, LOST, FAULT, FLIGHT }; /* which budget an outcome is from */

/* One outcome of the request a saver has asked for: from here, as if `reply`
 * came; with the effect done or not. */
static void save_outcome(struct search *s, const struct world *from, int who,
                         const struct owner_request *r, struct owner_answer a,
                         enum sort sort, bool applied, const char *what)
{
    struct world w = *from;
    struct actor *actor = &w.actors[who];

    if (applied)
        apply(&w, actor->id, r->verb, r->index);
    if (sort == LOST)
        actor->lost--;
    if (sort == FAULT)
        actor->faults--;
    if (sort == FLIGHT) {
        actor->flights--;
        actor->ghost = (uint8_t)r->verb;
        actor->ghost_index = (uint8_t)r->index;
    }
    if (r->verb == OWNER_LIST)
        a.view = look_at_session(&w, &actor->m.save);
    owner_save_feed(&actor->m.save, &a);
    finish_save(&w, actor);
    reach(s, &w, who, what);
}

static void save_read(struct search *s, const struct world *from, int who,
                      bool there, uint8_t id)
{
    struct owner_answer answer = {.reply = OWNER_OK};
    struct world w = *from;
    struct actor *a = &w.actors[who];

    answer.found = !there        ? OWNER_NOTHING
                   : id == a->id ? OWNER_OURS
                                 : OWNER_OTHERS;
    owner_save_feed(&a->m.save, &answer);
    finish_save(&w, a);
    reach(s, &w, who, "reads whose");
}

static void save_upload(struct search *s, const struct world *from, int who)
{
    struct world w = *from;

    owner_save_uploaded(&w.actors[who].m.save);
    reach(s, &w, who, "uploads");
    if (!from->actors[who].may_abort)
        return;
    w = *from;
    owner_save_abort(&w.actors[who].m.save);
    finish_save(&w, &w.actors[who]);
    reach(s, &w, who, "aborts");
}

/* Everything that may become of a write. */
static void save_write(struct search *s, const struct world *w, int who,
                       const struct owner_request *r, bool taken,
                       const char *what)
{
    const struct owner_answer ok = {.reply = OWNER_OK};
    const struct owner_answer exists = {.reply = OWNER_EXISTS};
    const struct owner_answer lost = {.reply = OWNER_UNCERTAIN};
    const struct owner_answer failed = {.reply = OWNER_FAILED};
    const struct owner_answer weak = {.reply = OWNER_FAILED, .maybe = true};
    const struct owner_answer cut = {
        .reply = OWNER_FAILED, .maybe = true, .doubt = true};
    const struct actor *a = &w->actors[who];
    bool may_fly = r->verb == OWNER_PUT_SNAPSHOT ||
                   r->verb == OWNER_PUT_CLAIM || r->verb == OWNER_COMMIT_DATA;

    if (taken)
        save_outcome(s, w, who, r, exists, USUAL, false, "finds it taken");
    else
        save_outcome(s, w, who, r, ok, USUAL, true, what);
    if (a->lost) {
        save_outcome(s, w, who, r, lost, LOST, !taken, "reply lost");
        save_outcome(s, w, who, r, lost, LOST, false, "request lost");
    }
    if (a->faults) {
        save_outcome(s, w, who, r, failed, FAULT, false, "fails");
        save_outcome(s, w, who, r, weak, FAULT, !taken, "fails and does it");
        save_outcome(s, w, who, r, weak, FAULT, false, "fails, maybe");
    }
    if (a->flights && !a->ghost && may_fly) {
        save_outcome(s, w, who, r, lost, FLIGHT, false, "is under way");
        save_outcome(s, w, who, r, cut, FLIGHT, false, "is cut, under way");
    }
}

static void step_save(struct search *s, const struct world *from, int who)
{
    const struct owner_answer ok = {.reply = OWNER_OK};
    struct world w = *from;
    struct actor *a = &w.actors[who];
    const struct slot *slot;
    struct owner_request r;

    if (!owner_save_next(&a->m.save, now_ns(&w), &r)) {
        finish_save(&w, a);
        reach(s, &w, who, "ends");
        return;
    }
    if (r.verb == OWNER_LIST) {
        save_outcome(s, &w, who, &r, ok, USUAL, false, "lists");
        return;
    }
    if (r.index >= N_INDICES)
        return; /* the model ends here */
    slot = &w.slots[r.index];
    switch (r.verb) {
    case OWNER_PUT_SNAPSHOT:
        save_write(s, &w, who, &r, slot->snap, "puts snapshot");
        break;
    case OWNER_PUT_CLAIM:
        save_write(s, &w, who, &r, slot->snap, "puts claim");
        break;
    case OWNER_RENEW_CLAIM:
        save_write(s, &w, who, &r, false, "renews claim");
        break;
    case OWNER_PUT_TOMBSTONE:
        save_write(s, &w, who, &r, false, "gives claim up");
        break;
    case OWNER_PUT_BLOCK:
        save_write(s, &w, who, &r, slot->snap, "blocks");
        break;
    case OWNER_COMMIT_DATA:
        save_write(s, &w, who, &r, slot->data, "commits");
        break;
    case OWNER_READ_SNAP:
        save_read(s, &w, who, slot->snap, slot->snap_id);
        break;
    case OWNER_READ_DATA:
        save_read(s, &w, who, slot->data, slot->data_id);
        break;
    case OWNER_SEND_DATA:
        save_upload(s, &w, who);
        break;
    default:
        fail_msg("a saver asked for verb %d", (int)r.verb);
    }
}

static void delete_outcome(struct search *s, const struct world *from, int who,
                           const struct owner_request *r,
                           enum owner_reply reply, bool applied,
                           const char *what)
{
    struct owner_answer answer = {.reply = reply};
    struct world w = *from;
    struct actor *a = &w.actors[who];

    if (applied && r->verb == OWNER_PUT_TOMBSTONE)
        set_snap(&w, r->index, TOMBSTONE, a->id);
    if (applied && r->verb == OWNER_DELETE_SNAP)
        set_snap(&w, r->index, NONE, 0);
    if (applied && r->verb == OWNER_DELETE_DATA)
        set_data(&w, r->index, NONE, 0);
    if (reply == OWNER_UNCERTAIN)
        a->lost--;
    owner_delete_feed(&a->m.del, &answer);
    finish_delete(&w, a);
    reach(s, &w, who, what);
}

static void delete_look(struct search *s, const struct world *from, int who,
                        uint64_t index)
{
    static const enum owner_found founds[] = {
        [NONE] = OWNER_NOTHING,
        [CLAIM] = OWNER_BARE,
        [TOMBSTONE] = OWNER_TOMBSTONED,
    };
    struct owner_answer answer = {.reply = OWNER_OK};
    struct world w = *from;
    struct actor *a = &w.actors[who];
    uint8_t id = live_id(&w, (int)index);

    answer.has_data = w.slots[index].data;
    answer.found = id != NOBODY ? OWNER_LIVE : founds[w.slots[index].snap];
    a->id = id;
    owner_delete_feed(&a->m.del, &answer);
    finish_delete(&w, a);
    reach(s, &w, who, "looks");
}

static void step_delete(struct search *s, const struct world *from, int who)
{
    struct world w = *from;
    struct actor *a = &w.actors[who];
    struct owner_request r;
    int i;

    for (i = 0; !a->busy && i < N_INDICES; i++) {
        if (live_id(from, i) == NOBODY)
            continue;
        w = *from;
        a->busy = 1;
        a->id = NOBODY;
        owner_delete_init(&a->m.del, (uint64_t)i, w.rules);
        reach(s, &w, who, "chooses");
    }
    if (!from->actors[who].busy)
        return;
    assert_true(owner_delete_next(&a->m.del, &r));
    if (r.verb == OWNER_LOOK) {
        delete_look(s, &w, who, r.index);
        return;
    }
    delete_outcome(s, &w, who, &r, OWNER_OK, true,
                   r.verb == OWNER_DELETE_DATA ? "removes data" : "deletes");
    if (a->lost)
        delete_outcome(s, &w, who, &r, OWNER_UNCERTAIN, true, "reply lost");
}

static void step_clean(struct search *s, const struct world *from, int who)
{
    struct owner_answer answer = {.reply = OWNER_OK};
    struct world w = *from;
    struct actor *a = &w.actors[who];
    struct owner_request r;
    int i, top = highest(from);

    for (i = 0; !from->actors[who].busy && i <= top; i++) {
        struct index_state state = state_of(from, i);

        w = *from;
        if (!state.has_snap && !state.has_data)
            continue;
        owner_clean_init(&a->m.clean, w.rules, &state, (uint64_t)top,
                         now_us(&w), false);
        if (!owner_clean_next(&a->m.clean, &r))
            continue;
        a->busy = 1;
        reach(s, &w, who, "lists");
    }
    if (!from->actors[who].busy)
        return;
    assert_true(owner_clean_next(&a->m.clean, &r));
    if (r.verb == OWNER_DELETE_DATA)
        set_data(&w, r.index, NONE, 0);
    else
        set_snap(&w, r.index, NONE, 0);
    owner_clean_feed(&a->m.clean, &answer);
    if (!owner_clean_next(&a->m.clean, &r)) {
        a->busy = 0; /* and again */
        memset(&a->m, 0, sizeof a->m);
    }
    reach(s, &w, who, "cleans");
}

static void step_actor(struct search *s, const struct world *w, int who)
{
    struct world dead = *w;

    if (w->actors[who].state != READY || w->actors[who].kind == NO_ACTOR)
        return;
    switch (w->actors[who].kind) {
    case SAVER:
        step_save(s, w, who);
        break;
    case DELETER:
        step_delete(s, w, who);
        break;
    case CLEANER:
        step_clean(s, w, who);
        break;
    }
    /* A deleter that died may have deleted: what it looked at stays excused. */
    dead.actors[who].state = DEAD;
    memset(&dead.actors[who].m, 0, sizeof dead.actors[who].m);
    reach(s, &dead, who, "dies");
}

/* A request that outlived its reply arrives; also after its sender died. */
static void land(struct search *s, const struct world *from, int who)
{
    struct world w = *from;
    struct actor *a = &w.actors[who];
    const struct slot *slot = &w.slots[a->ghost_index];
    enum owner_verb verb = (enum owner_verb)a->ghost;

    if (!verb)
        return;
    if (verb == OWNER_COMMIT_DATA ? !slot->data : !slot->snap)
        apply(&w, a->id, verb, a->ghost_index);
    a->ghost = a->ghost_index = 0;
    reach(s, &w, who, "lands");
}

static void expand(struct search *s, const struct world *w)
{
    struct world later = *w;
    int a;

    for (a = 0; a < N_ACTORS; a++) {
        step_actor(s, w, a);
        land(s, w, a);
    }
    /* No request is under way for days. */
    for (a = 0; a < N_ACTORS; a++)
        later.actors[a].ghost = later.actors[a].ghost_index = 0;
    if (!w->jumps)
        return;
    later.jumps--;
    later.day = (uint8_t)(later.day + JUMP_DAYS);
    reach(s, &later, 9, "5 days pass");
}

/* --------------------------------------------------------------- scenarios
 */

enum role { SMALL = 1, LONG, FENCED, FENCED_LONG, DELETES, CLEANS };

struct cast {
    uint8_t role;
    uint8_t lost;
    uint8_t faults;
    uint8_t flights;
    uint8_t may_abort;
    int8_t remembered; /* index believed next; -1: none */
};

struct scenario {
    const char *name;
    struct cast cast[N_ACTORS];
    bool start; /* a snapshot at index 0 */
    bool only_long;
    uint8_t jumps;
};

#define S_(l)                                                                  \
    {                                                                          \
        .role = SMALL, .lost = (l), .remembered = -1                           \
    }
#define L_(l)                                                                  \
    {                                                                          \
        .role = LONG, .lost = (l), .remembered = -1                            \
    }
#define A_(l)                                                                  \
    {                                                                          \
        .role = LONG, .lost = (l), .may_abort = 1, .remembered = -1            \
    }
#define X_(l)                                                                  \
    {                                                                          \
        .role = LONG, .lost = (l), .faults = 1, .remembered = -1               \
    }
#define SF_(l)                                                                 \
    {                                                                          \
        .role = SMALL, .lost = (l), .flights = 1, .remembered = -1             \
    }
#define LF_(l)                                                                 \
    {                                                                          \
        .role = LONG, .lost = (l), .flights = 1, .remembered = -1              \
    }
#define F_(l)                                                                  \
    {                                                                          \
        .role = FENCED, .lost = (l), .remembered = -1                          \
    }
#define FL_(l)                                                                 \
    {                                                                          \
        .role = FENCED_LONG, .lost = (l), .remembered = -1                     \
    }
#define FA_(l)                                                                 \
    {                                                                          \
        .role = FENCED_LONG, .lost = (l), .may_abort = 1, .remembered = -1     \
    }
#define R_(i, l)                                                               \
    {                                                                          \
        .role = SMALL, .lost = (l), .remembered = (i)                          \
    }
#define RL_(i, l)                                                              \
    {                                                                          \
        .role = LONG, .lost = (l), .remembered = (i)                           \
    }
#define D_(l)                                                                  \
    {                                                                          \
        .role = DELETES, .lost = (l), .remembered = -1                         \
    }
#define C_                                                                     \
    {                                                                          \
        .role = CLEANS, .remembered = -1                                       \
    }

static const struct scenario scenarios[] = {
    {"2 small, deleter, cleaner", {S_(1), S_(1), D_(0), C_}, .jumps = 2},
    {"long, small, deleter, cleaner", {L_(1), S_(1), D_(0), C_}, .jumps = 2},
    {"2 long, deleter, cleaner", {L_(1), L_(1), D_(0), C_}, .jumps = 2},
    {"long, 2 small, deleter", {L_(1), S_(1), S_(1), D_(0)}, .jumps = 0},
    {"remembered 0, long, deleter, small",
     {R_(0, 1), L_(1), D_(0), S_(1)},
     .jumps = 0},
    {"remembered 0, small, deleter, cleaner",
     {R_(0, 1), S_(0), D_(0), C_},
     .jumps = 2},
    {"2 deleters, long, cleaner", {L_(1), D_(1), D_(0), C_}, .jumps = 2},
    {"3 savers, deleter", {S_(0), L_(1), S_(0), D_(0)}, .jumps = 0},
    {"3 savers, cleaner", {S_(0), A_(0), S_(0), C_}, .jumps = 2},
    {"2 fenced, small, deleter",
     {F_(1), F_(1), S_(0), D_(0)},
     true,
     .jumps = 0},
    {"fenced, long fenced, small", {F_(1), FL_(1), S_(1)}, true, .jumps = 2},
    {"long fenced, fenced, deleter, cleaner",
     {FL_(1), F_(1), D_(0), C_},
     true,
     .jumps = 2},
    {"long fenced, fenced, long, deleter",
     {FL_(1), F_(0), L_(0), D_(0)},
     true,
     .jumps = 0},
    {"one handle's 1 and 2, 2 fenced",
     {R_(1, 1), RL_(2, 0), F_(1), FL_(0)},
     true,
     .jumps = 0},
    {"aborting long, small, deleter, cleaner",
     {A_(1), S_(1), D_(0), C_},
     .jumps = 2},
    {"aborting long fenced, fenced, cleaner",
     {FA_(1), F_(1), C_},
     true,
     .jumps = 2},
    {"failing long, fenced, deleter, cleaner",
     {X_(1), F_(0), D_(0), C_},
     true,
     .jumps = 2},
    {"late small, small, deleter, cleaner",
     {SF_(1), S_(0), D_(0), C_},
     .jumps = 2},
    {"late long, small, deleter, cleaner",
     {LF_(1), S_(0), D_(0), C_},
     .jumps = 2},
    {"late small, late long, fenced",
     {SF_(0), LF_(0), F_(0)},
     true,
     .jumps = 2},
    {"late small, late long, deleter, cleaner",
     {SF_(1), LF_(1), D_(0), C_},
     .only_long = true,
     .jumps = 2},
    {"2 long, 2 small", {L_(1), L_(1), S_(1), S_(1)}, .only_long = true},
    {"3 savers, deleter, days",
     {S_(0), L_(1), S_(0), D_(0)},
     .only_long = true,
     .jumps = 2},
    {"2 aborting fenced, deleter, cleaner",
     {FA_(1), FA_(1), D_(0), C_},
     true,
     .only_long = true,
     .jumps = 3},
};

static void cast_actor(struct world *w, int who, const struct cast *c)
{
    struct owner_save_what what = {.rules = w->rules};
    struct actor *a = &w->actors[who];

    if (!c->role)
        return;
    a->lost = c->lost;
    a->faults = c->faults;
    a->flights = c->flights;
    a->may_abort = c->may_abort;
    a->id = (uint8_t)who;
    a->kind = c->role == DELETES  ? DELETER
              : c->role == CLEANS ? CLEANER
                                  : SAVER;
    if (a->kind == DELETER)
        a->id = NOBODY;
    if (a->kind != SAVER)
        return;
    what.is_long = c->role == LONG || c->role == FENCED_LONG;
    what.fenced = c->role == FENCED || c->role == FENCED_LONG;
    w->fenced[who] = what.fenced;
    owner_save_init(&a->m.save, &what);
    if (c->remembered >= 0)
        owner_save_remember(&a->m.save, (uint64_t)c->remembered, now_ns(w));
}

static void start_world(struct world *w, const struct scenario *scenario,
                        uint16_t rules, int jumps)
{
    int i;

    memset(w, 0, sizeof *w);
    memset(w->acked, NOBODY, sizeof w->acked);
    w->rules = rules;
    w->day = START_DAY;
    w->jumps = (uint8_t)jumps;
    for (i = 0; i < N_ACTORS; i++)
        cast_actor(w, i, &scenario->cast[i]);
    if (scenario->start) {
        set_snap(w, 0, SNAPSHOT, N_ACTORS);
        w->acked[N_ACTORS] = 0;
    }
}

static void print_trace(const struct search *s, uint32_t at)
{
    if (s->parents[at] != at)
        print_trace(s, s->parents[at]);
    if (s->parents[at] != at)
        printf(" | %s", s->labels[at]);
}

static void finish_search(struct search *s)
{
    free(s->table);
    free(s->parents);
    free(s->labels);
    free(s->queue);
}

/* Explores; returns the violation or NULL. */
static const char *explore(const struct scenario *scenario, uint16_t rules,
                           int jumps)
{
    struct search s = {0};
    const char *violation;
    struct world w;

    start_world(&w, scenario, rules, jumps);
    reach(&s, &w, 0, "start");
    while (s.first < s.last && !s.violation) {
        w = s.queue[s.first++];
        expand(&s, &w);
        s.expanding++;
    }
    printf("  %s%s: %zu states, %s", scenario->name,
           rules == OWNER_RULES_ALL ? "" : " (a rule off)", s.n,
           s.violation ? s.violation : "holds");
    if (s.violation)
        print_trace(&s, s.violating);
    printf("\n");
    fflush(stdout);
    violation = s.violation;
    finish_search(&s);
    return violation;
}

static bool run_long;

static void protocol__holds_in_every_interleaving(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (scenarios[i].only_long && !run_long)
            continue;
        assert_null(
            explore(&scenarios[i], OWNER_RULES_ALL, scenarios[i].jumps));
    }
}

/* Without one rule some scenario must fail, or the model proves nothing. */
static void expect_violation(enum owner_rule rule)
{
    const char *found = NULL;
    size_t i;

    for (i = 0; !found && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (!scenarios[i].only_long)
            found = explore(&scenarios[i],
                            (uint16_t)(OWNER_RULES_ALL & ~(unsigned int)rule),
                            scenarios[i].jumps);
    assert_non_null(found);
}

#define NEEDS(name, rule)                                                      \
    static void protocol__needs_##name(void **state)                           \
    {                                                                          \
        (void)state;                                                           \
        expect_violation(rule);                                                \
    }
NEEDS(tombstones, OWNER_RULE_TOMBSTONE)
NEEDS(tombstones_to_win, OWNER_RULE_TOMBSTONE_WINS)
NEEDS(ages, OWNER_RULE_AGES)
NEEDS(the_highest_key, OWNER_RULE_KEEP_HIGHEST)
NEEDS(the_same_key_again, OWNER_RULE_SAME_KEY)
NEEDS(claims, OWNER_RULE_CLAIM)
NEEDS(fresh_knowledge, OWNER_RULE_FRESH)
NEEDS(the_commit_limit, OWNER_RULE_COMMIT_LIMIT)
NEEDS(the_block, OWNER_RULE_BLOCK)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol__holds_in_every_interleaving),
        cmocka_unit_test(protocol__needs_tombstones),
        cmocka_unit_test(protocol__needs_tombstones_to_win),
        cmocka_unit_test(protocol__needs_ages),
        cmocka_unit_test(protocol__needs_the_highest_key),
        cmocka_unit_test(protocol__needs_the_same_key_again),
        cmocka_unit_test(protocol__needs_claims),
        cmocka_unit_test(protocol__needs_fresh_knowledge),
        cmocka_unit_test(protocol__needs_the_commit_limit),
        cmocka_unit_test(protocol__needs_the_block),
    };

    run_long =
        getenv("PERSIST_LONG") || (argc > 1 && strcmp(argv[1], "--long") == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
