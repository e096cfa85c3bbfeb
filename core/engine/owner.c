/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step machines of owner.h.
 *
 * Nothing here makes a request, reads a clock or allocates; nothing here knows
 * keys, names or ids.  Whether an object is "ours" is the driver's to find out.
 */
#include "engine/owner.h"

#include <string.h>

#include "format/metadata.h"

static bool has(uint16_t rules, enum owner_rule rule)
{
    return rules & (uint16_t)rule;
}

static bool passed(uint64_t now_ns, uint64_t since_ns, uint64_t limit_ns)
{
    return now_ns > since_ns && now_ns - since_ns > limit_ns;
}

/* An object without a modified time is young: nothing is done to it. */
static bool is_aged(const struct index_state *s, int64_t store_now_us)
{
    return s->has_modified && store_now_us > s->snap_modified_us &&
           store_now_us - s->snap_modified_us >= OWNER_AGE_US;
}

bool owner_is_live(const struct index_state *s, uint16_t rules)
{
    enum index_kind kind = index_state_kind(s);

    if (!has(rules, OWNER_RULE_TOMBSTONE_WINS) && s->has_data)
        return true;
    if (!has(rules, OWNER_RULE_CLAIM) && kind == INDEX_DATA_ALONE &&
        s->has_data)
        return true;
    return kind == INDEX_SNAPSHOT || kind == INDEX_SNAPSHOT_DATA;
}

/* --------------------------------------------------------------------- save
 */

enum save_state {
    S_LIST = 1,
    S_PUT,
    S_READ_SNAP, /* is what lies there ours? */
    S_BLOCK,     /* nothing does: nothing of ours may come any more */
    S_UPLOAD,
    S_COMMIT,
    S_READ_DATA,
    S_TOMBSTONE,
    S_DONE
};

void owner_save_init(struct owner_save *m, const struct owner_save_what *what)
{
    memset(m, 0, sizeof *m);
    m->rules = what->rules;
    m->is_long = what->is_long;
    m->fenced = what->fenced;
    m->asserts = what->asserts;
    m->after = what->after;
    m->wanted = what->wanted;
    m->state = S_LIST;
    m->repeats = OWNER_REPEATS;
}

static void save_done(struct owner_save *m, enum owner_result result)
{
    m->state = S_DONE;
    m->result = (uint8_t)result;
}

/* The index is ours to try; it needs no place in a listing any more. */
static void try_index(struct owner_save *m, uint64_t index, uint64_t known_ns)
{
    m->index = index;
    m->known_ns = known_ns;
    m->maybe = m->doubt = m->failed = false;
    m->repeats = OWNER_REPEATS;
    m->floor = 0;
    m->state = S_PUT;
    /* Without the rule a long save uploads first and sees at the end. */
    if (m->is_long && !has(m->rules, OWNER_RULE_CLAIM)) {
        m->claim_ns = known_ns;
        m->state = S_UPLOAD;
    }
}

void owner_save_remember(struct owner_save *m, uint64_t index,
                         uint64_t known_ns)
{
    if (!m->fenced && !m->asserts && index <= PERSIST_INDEX_MAX)
        try_index(m, index, known_ns);
}

/* Gives the claim up, then ends with this result. */
static void give_up(struct owner_save *m, enum owner_result result)
{
    m->then = (uint8_t)result;
    m->repeats = OWNER_REPEATS;
    if (has(m->rules, OWNER_RULE_CLAIM))
        m->state = S_TOMBSTONE;
    else
        save_done(m, result);
}

void owner_save_abort(struct owner_save *m)
{
    switch (m->state) {
    case S_LIST:
        save_done(m, OWNER_ABORTED);
        break;
    case S_PUT:
    case S_READ_SNAP:
    case S_BLOCK:
        /* A claim that may have been put is no snapshot. */
        save_done(m,
                  m->maybe && !m->is_long ? OWNER_UNRESOLVED : OWNER_ABORTED);
        break;
    case S_UPLOAD:
        give_up(m, OWNER_ABORTED);
        break;
    case S_COMMIT:
        /* Once it was sent the claim may be a snapshot's. */
        if (m->commit_sent)
            save_done(m, m->maybe ? OWNER_UNRESOLVED : OWNER_ABORTED);
        else
            give_up(m, OWNER_ABORTED);
        break;
    case S_READ_DATA:
        save_done(m, OWNER_UNRESOLVED);
        break;
    default:
        break;
    }
}

void owner_save_uploaded(struct owner_save *m)
{
    if (m->state != S_UPLOAD)
        return;
    m->state = S_COMMIT;
    m->maybe = m->doubt = m->ghost;
    m->failed = false;
    m->repeats = OWNER_REPEATS;
}

bool owner_save_again(struct owner_save *m)
{
    if ((m->state != S_UPLOAD && m->state != S_COMMIT) || m->maybe)
        return false;
    m->state = S_UPLOAD;
    m->commit_sent = false;
    m->asked = 0;
    return true;
}

void owner_save_resume(struct owner_save *m, const struct owner_resume *r)
{
    m->index = r->index;
    /* Since a restart of the machine less time may have passed than the claim
     * is old. */
    m->claim_ns = r->now_ns > r->age_ns ? r->now_ns - r->age_ns : 0;
    m->lag_ns = r->age_ns > r->now_ns ? r->age_ns - r->now_ns : 0;
    m->known_ns = m->claim_ns;
    m->renew = true;
    m->ghost = m->maybe = m->doubt = r->commit_sent;
    m->state = S_UPLOAD;
}

bool owner_save_leave(struct owner_save *m)
{
    if (m->state != S_TOMBSTONE || m->then == OWNER_EXPIRED)
        return false;
    save_done(m, m->doubt ? OWNER_UNRESOLVED : (enum owner_result)m->then);
    return true;
}

/* A claim that others may take for dead must not become a snapshot: a cleaner
 * may be about to remove it, a fenced save may have gone past it. */
static bool claim_needs_renewal(struct owner_save *m, uint64_t now_ns)
{
    if (!has(m->rules, OWNER_RULE_COMMIT_LIMIT) ||
        !has(m->rules, OWNER_RULE_CLAIM) || m->commit_sent)
        return false;
    /* A renewal that took so long may have come when others had seen the claim
     * dead. */
    if (passed(now_ns, m->renewed ? m->before_ns : m->claim_ns,
               OWNER_COMMIT_NS - m->lag_ns)) {
        give_up(m, OWNER_EXPIRED);
        return false;
    }
    if (m->renewed)
        m->lag_ns = 0;
    m->renewed = false;
    m->before_ns = 0;
    return m->renew || passed(now_ns, m->claim_ns, OWNER_RENEW_NS);
}

/* Time rules that turn one state into another before anything is sent. */
static void save_look_at_clock(struct owner_save *m, uint64_t now_ns)
{
    bool stale = has(m->rules, OWNER_RULE_FRESH) &&
                 passed(now_ns, m->known_ns, OWNER_KNOWLEDGE_NS);

    if ((m->state == S_PUT || m->state == S_BLOCK) && stale) {
        if (m->maybe)
            save_done(m, OWNER_UNRESOLVED);
        else
            m->state = S_LIST;
    }
    if (m->state == S_COMMIT && m->commit_sent &&
        has(m->rules, OWNER_RULE_COMMIT_LIMIT) &&
        passed(now_ns, m->commit_ns, OWNER_REPEAT_NS))
        save_done(m, m->maybe ? OWNER_UNRESOLVED : OWNER_REFUSED);
}

bool owner_save_next(struct owner_save *m, uint64_t now_ns,
                     struct owner_request *out)
{
    static const enum owner_verb verbs[] = {
        [S_LIST] = OWNER_LIST,           [S_PUT] = OWNER_PUT_SNAPSHOT,
        [S_READ_SNAP] = OWNER_READ_SNAP, [S_BLOCK] = OWNER_PUT_BLOCK,
        [S_UPLOAD] = OWNER_SEND_DATA,    [S_COMMIT] = OWNER_COMMIT_DATA,
        [S_READ_DATA] = OWNER_READ_DATA, [S_TOMBSTONE] = OWNER_PUT_TOMBSTONE,
    };
    bool renew = false;

    save_look_at_clock(m, now_ns);
    if (m->state == S_UPLOAD || m->state == S_COMMIT)
        renew = claim_needs_renewal(m, now_ns);
    if (m->state == S_DONE)
        return false;
    out->index = m->index;
    out->verb = verbs[m->state];
    if (m->state == S_PUT && m->is_long)
        out->verb = OWNER_PUT_CLAIM;
    if (renew)
        out->verb = OWNER_RENEW_CLAIM;
    m->asked = (uint8_t)out->verb;
    m->sent_ns = now_ns;
    return true;
}

/* ------------------------------------------------------------ its answers */

static void feed_list(struct owner_save *m, const struct owner_answer *a)
{
    const struct owner_view *v = &a->view;
    uint64_t next = v->any ? v->highest + 1 : 0;

    if (a->reply != OWNER_OK) {
        save_done(m, OWNER_REFUSED);
        return;
    }
    if (m->fenced && (v->above || m->floor > next)) {
        m->other = v->above ? v->above_index : m->floor - 1;
        m->other_is_claim = v->above && v->above_is_claim;
        save_done(m, OWNER_NOT_AFTER);
        return;
    }
    if (m->fenced && !v->after_live) {
        save_done(m, OWNER_AFTER_GONE);
        return;
    }
    if (next < m->floor)
        next = m->floor;
    if (m->asserts && next != m->wanted) {
        m->other = next;
        save_done(m, OWNER_TAKEN);
        return;
    }
    /* A fence holds only for the very next index. */
    if (!m->fenced && !m->asserts && next < v->at_least)
        next = v->at_least;
    if (next > PERSIST_INDEX_MAX)
        save_done(m, OWNER_NO_INDEX);
    else
        try_index(m, next, v->began_ns);
}

/* claimed_ns: no later than the claim was written. */
static void owned(struct owner_save *m, uint64_t claimed_ns, bool durable)
{
    m->maybe = m->doubt = m->failed = false;
    if (!m->is_long) {
        save_done(m, durable ? OWNER_SAVED : OWNER_SAVED_NOT_DURABLE);
        return;
    }
    m->claim_ns = claimed_ns;
    m->state = S_UPLOAD;
    if (!durable)
        give_up(m, OWNER_CLAIM_WEAK);
}

/* The key is someone else's, for certain. */
static void beaten(struct owner_save *m)
{
    m->maybe = false;
    m->floor = m->index + 1;
    m->state = S_LIST;
    if (m->asserts) {
        m->other = m->index + 1;
        save_done(m, OWNER_TAKEN);
    }
}

static void note_doubt(struct owner_save *m, const struct owner_answer *a)
{
    bool uncertain = a->reply == OWNER_UNCERTAIN;

    m->maybe |= a->maybe || uncertain;
    m->doubt |= a->doubt || uncertain;
}

static void feed_put(struct owner_save *m, const struct owner_answer *a)
{
    note_doubt(m, a);
    switch (a->reply) {
    case OWNER_OK:
    case OWNER_NOT_DURABLE:
        owned(m, m->sent_ns, a->reply == OWNER_OK);
        return;
    case OWNER_EXISTS:
        if (m->maybe)
            m->state = S_READ_SNAP;
        else
            beaten(m);
        return;
    case OWNER_UNCERTAIN:
        if (!has(m->rules, OWNER_RULE_SAME_KEY))
            m->state = S_LIST;
        else if (m->repeats)
            m->repeats--;
        else
            m->state = S_READ_SNAP;
        return;
    case OWNER_FAILED:
        m->failed = true;
        if (m->maybe)
            m->state = S_READ_SNAP;
        else
            save_done(m, OWNER_REFUSED);
        return;
    }
}

/* It cannot be found out: what the store said last counts, unless it said that
 * it does not know. */
static void give_in(struct owner_save *m)
{
    save_done(m, m->failed && !m->doubt ? OWNER_REFUSED : OWNER_UNRESOLVED);
}

static void feed_read_snap(struct owner_save *m, const struct owner_answer *a)
{
    if (a->reply != OWNER_OK) {
        give_in(m);
    } else if (a->found == OWNER_OURS) {
        owned(m, m->known_ns, true); /* one of the puts since then */
    } else if (a->found == OWNER_OTHERS) {
        /* Nothing of ours can come there any more. */
        if (m->failed)
            save_done(m, OWNER_REFUSED);
        else
            beaten(m);
    } else if ((m->failed && !m->doubt) || !has(m->rules, OWNER_RULE_BLOCK)) {
        save_done(m, OWNER_REFUSED);
    } else {
        m->failed = true;
        m->state = S_BLOCK;
    }
}

/* The block does not carry our id: what does is the save. */
static void feed_block(struct owner_save *m, const struct owner_answer *a)
{
    bool look = a->reply == OWNER_EXISTS || a->reply == OWNER_UNCERTAIN;

    if (a->reply == OWNER_OK || a->reply == OWNER_NOT_DURABLE) {
        save_done(m, OWNER_REFUSED);
    } else if (look && m->repeats) {
        m->repeats--;
        m->state = S_READ_SNAP;
    } else {
        give_in(m);
    }
}

static void feed_renewal(struct owner_save *m, const struct owner_answer *a)
{
    if (a->reply == OWNER_OK) {
        m->before_ns = m->claim_ns;
        m->renewed = true;
        m->renew = false;
        m->claim_ns = m->sent_ns;
    } else {
        give_up(m, OWNER_REFUSED);
    }
}

static void feed_commit(struct owner_save *m, const struct owner_answer *a)
{
    if (!m->commit_sent)
        m->commit_ns = m->sent_ns;
    m->commit_sent = true;
    note_doubt(m, a);
    switch (a->reply) {
    case OWNER_OK:
        save_done(m, OWNER_SAVED);
        return;
    case OWNER_NOT_DURABLE:
        save_done(m, OWNER_SAVED_NOT_DURABLE);
        return;
    case OWNER_EXISTS:
        m->state = S_READ_DATA;
        return;
    case OWNER_UNCERTAIN:
        if (m->repeats)
            m->repeats--;
        else
            m->state = S_READ_DATA;
        return;
    case OWNER_FAILED:
        m->failed = true;
        if (m->maybe)
            m->state = S_READ_DATA;
        else
            give_up(m, OWNER_REFUSED);
        return;
    }
}

static void feed_read_data(struct owner_save *m, const struct owner_answer *a)
{
    bool read = a->reply == OWNER_OK;
    bool nothing = read && a->found == OWNER_NOTHING;

    if (read && a->found == OWNER_OURS)
        save_done(m, OWNER_SAVED);
    else if (read && a->found == OWNER_OTHERS)
        save_done(m, OWNER_LOST);
    else if (nothing ? m->failed || m->doubt : m->failed && !m->doubt)
        give_up(m, OWNER_REFUSED); /* a tombstone wins, should it still come */
    else
        save_done(m, OWNER_UNRESOLVED);
}

/* Best effort where nothing can come any more: a claim that stays is
 * cleanup's.  Where a commit may, only the tombstone makes it certain. */
static void feed_tombstone(struct owner_save *m, const struct owner_answer *a)
{
    bool there = a->reply == OWNER_OK || a->reply == OWNER_NOT_DURABLE;

    if (a->reply == OWNER_UNCERTAIN && m->repeats)
        m->repeats--;
    else
        save_done(m, m->doubt && !there ? OWNER_UNRESOLVED
                                        : (enum owner_result)m->then);
}

void owner_save_feed(struct owner_save *m, const struct owner_answer *a)
{
    static void (*const feeds[])(struct owner_save *,
                                 const struct owner_answer *) = {
        [OWNER_LIST] = feed_list,
        [OWNER_PUT_SNAPSHOT] = feed_put,
        [OWNER_PUT_CLAIM] = feed_put,
        [OWNER_READ_SNAP] = feed_read_snap,
        [OWNER_RENEW_CLAIM] = feed_renewal,
        [OWNER_COMMIT_DATA] = feed_commit,
        [OWNER_READ_DATA] = feed_read_data,
        [OWNER_PUT_TOMBSTONE] = feed_tombstone,
        [OWNER_PUT_BLOCK] = feed_block,
    };

    if (m->asked < sizeof feeds / sizeof feeds[0] && feeds[m->asked])
        feeds[m->asked](m, a);
    m->asked = 0;
    m->sent_ns = 0;
}

bool owner_view_add(struct owner_view *view, const struct owner_save *m,
                    const struct index_state *s, int64_t store_now_us)
{
    bool counts;

    if (!view->any) {
        view->any = true;
        view->highest = s->index;
    }
    if (!m->fenced)
        return true;
    if (s->index <= m->after) {
        view->after_live = s->index == m->after && owner_is_live(s, m->rules);
        return true;
    }
    counts = owner_is_live(s, m->rules);
    if (index_state_kind(s) == INDEX_CLAIM && !is_aged(s, store_now_us)) {
        counts = true;
        view->above_is_claim = true;
    }
    if (counts) {
        view->above = true;
        view->above_index = s->index;
    }
    return counts;
}

/* ------------------------------------------------------------------- delete
 */

enum delete_state { D_LOOK = 1, D_TOMBSTONE, D_DATA, D_SWEEP, D_DONE };

void owner_delete_init(struct owner_delete *m, uint64_t index, uint16_t rules)
{
    memset(m, 0, sizeof *m);
    m->index = index;
    m->rules = rules;
    m->state = D_LOOK;
    m->repeats = OWNER_REPEATS;
}

static void delete_done(struct owner_delete *m, enum owner_result result)
{
    m->state = D_DONE;
    m->result = (uint8_t)result;
}

bool owner_delete_next(struct owner_delete *m, struct owner_request *out)
{
    static const enum owner_verb verbs[] = {
        [D_LOOK] = OWNER_LOOK,
        [D_TOMBSTONE] = OWNER_PUT_TOMBSTONE,
        [D_DATA] = OWNER_DELETE_DATA,
        [D_SWEEP] = OWNER_DELETE_DATA,
    };

    if (m->state == D_DONE)
        return false;
    out->index = m->index;
    out->verb = verbs[m->state];
    if (m->state == D_TOMBSTONE && !has(m->rules, OWNER_RULE_TOMBSTONE))
        out->verb = OWNER_DELETE_SNAP;
    return true;
}

static void feed_look(struct owner_delete *m, const struct owner_answer *a)
{
    m->has_data = a->has_data;
    if (a->reply != OWNER_OK)
        delete_done(m, OWNER_REFUSED);
    else if (a->found == OWNER_LIVE)
        m->state = D_TOMBSTONE;
    else if (a->found != OWNER_TOMBSTONED)
        delete_done(m, OWNER_ABSENT);
    else if (a->has_data)
        m->state = D_SWEEP; /* what a delete that died left behind */
    else
        delete_done(m, OWNER_WAS_DELETED);
}

static void deleted(struct owner_delete *m)
{
    delete_done(m, m->weak ? OWNER_DELETED_NOT_DURABLE : OWNER_DELETED);
}

static void feed_mark(struct owner_delete *m, const struct owner_answer *a)
{
    m->maybe |= a->maybe || a->reply == OWNER_UNCERTAIN;
    if (a->reply == OWNER_UNCERTAIN && m->repeats) {
        m->repeats--;
        return;
    }
    if (a->reply != OWNER_OK && a->reply != OWNER_NOT_DURABLE) {
        delete_done(m, m->maybe ? OWNER_UNRESOLVED : OWNER_REFUSED);
        return;
    }
    m->weak |= a->reply == OWNER_NOT_DURABLE;
    m->repeats = OWNER_REPEATS;
    if (m->has_data)
        m->state = D_DATA;
    else
        deleted(m);
}

static void feed_data(struct owner_delete *m, const struct owner_answer *a)
{
    bool swept = m->state == D_SWEEP;

    if (a->reply == OWNER_UNCERTAIN && m->repeats) {
        m->repeats--;
    } else if (swept) {
        delete_done(m, OWNER_WAS_DELETED);
    } else if (a->reply == OWNER_OK || a->reply == OWNER_NOT_DURABLE) {
        m->weak |= a->reply == OWNER_NOT_DURABLE;
        deleted(m);
    } else {
        delete_done(m, OWNER_DATA_REMAINS);
    }
}

void owner_delete_feed(struct owner_delete *m, const struct owner_answer *a)
{
    switch (m->state) {
    case D_LOOK:
        feed_look(m, a);
        break;
    case D_TOMBSTONE:
        feed_mark(m, a);
        break;
    case D_DATA:
    case D_SWEEP:
        feed_data(m, a);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ cleanup
 */

enum clean_state { C_DATA = 1, C_SNAP, C_DONE };

void owner_clean_init(struct owner_clean *m, uint16_t rules,
                      const struct index_state *s, uint64_t highest,
                      int64_t store_now_us, bool upload_open)
{
    enum index_kind kind = index_state_kind(s);
    bool below = s->index < highest || !has(rules, OWNER_RULE_KEEP_HIGHEST);
    bool aged = is_aged(s, store_now_us) || !has(rules, OWNER_RULE_AGES);

    memset(m, 0, sizeof *m);
    m->index = s->index;
    m->repeats = OWNER_REPEATS;
    if (kind == INDEX_TOMBSTONE && s->snap_size == TOMBSTONE_LEN && aged) {
        m->data = s->has_data;
        m->snap = below;
    }
    if (kind == INDEX_CLAIM && aged && below && !upload_open)
        m->snap = true;
    /* Data first: a tombstone must outlive what it hides. */
    m->state = m->data ? C_DATA : m->snap ? C_SNAP : C_DONE;
}

bool owner_clean_next(struct owner_clean *m, struct owner_request *out)
{
    if (m->state == C_DONE)
        return false;
    out->index = m->index;
    out->verb = m->state == C_DATA ? OWNER_DELETE_DATA : OWNER_DELETE_SNAP;
    return true;
}

void owner_clean_feed(struct owner_clean *m, const struct owner_answer *a)
{
    if (a->reply == OWNER_UNCERTAIN && m->repeats) {
        m->repeats--;
        return;
    }
    if (a->reply != OWNER_OK) {
        m->result = a->reply == OWNER_NOT_DURABLE ? OWNER_DELETED_NOT_DURABLE
                                                  : OWNER_REFUSED;
        m->state = C_DONE;
        return;
    }
    m->repeats = OWNER_REPEATS;
    m->result = OWNER_DELETED;
    m->state = m->state == C_DATA && m->snap ? C_SNAP : C_DONE;
}
