/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of a save: what owner.h's machine asks for, made through
 * backend/store.h, and the answers in the machine's words.
 *
 * Decides nothing about indices; only what an answer of the store means.
 */
#include "engine/save.h"

#include <string.h>
#include <unistd.h>

#include "engine/identity.h"
#include "engine/save_resume.h"
#include "engine/session_memory.h"
#include "engine/store_time.h"
#include "util/error.h"

#define LIST_PAGE 2   /* most savers want the highest index only */
#define FENCE_PAGE 64 /* a fenced one walks down to its fence */
#define LISTS_MAX 1000
/* Of all requests a save makes after its end was decided, together. */
#define LATE_NS (UINT64_C(5) * 1000000000)

/* ---------------------------------------------------------------- answers
 */

/* Remembers why a request failed, for the caller. */
void save_failed(struct saving *s, int rc, const struct persist_error *err)
{
    s->failure = rc;
    s->last = *err;
}

void save_answer(struct saving *s, int rc, bool maybe,
                 const struct persist_error *err, struct owner_answer *a)
{
    a->maybe = maybe;
    switch (rc) {
    case PERSIST_OK:
        a->reply = OWNER_OK;
        return;
    case PERSIST_E_EXISTS:
        a->reply = OWNER_EXISTS;
        break;
    case PERSIST_E_UNCERTAIN:
        a->reply = OWNER_UNCERTAIN;
        break;
    case PERSIST_E_NOT_DURABLE:
        a->reply = OWNER_NOT_DURABLE;
        break;
    default:
        a->reply = OWNER_FAILED;
        /* A request that was cut short may still be under way, and a backend
         * with a bug cannot tell. */
        a->doubt = maybe && (engine_stopped(rc) || rc == PERSIST_E_INTERNAL);
        break;
    }
    save_failed(s, rc, err);
}

/* -------------------------------------------------------- ops of their own
 */

/* Settling and giving up must also work when the operation is cancelled or its
 * time is over: an op of its own, child of nobody.  All of them share one short
 * time, or a store that never answers would hold the caller for each. */
struct late {
    struct persist_op own;
    struct persist_op *op;
    bool is_late;
};

static int late_begin(struct late *l, struct saving *s)
{
    const struct clock *clock = s->store->p->clock;

    l->op = s->op;
    l->is_late = op_check(s->op, clock) != PERSIST_OK ||
                 cancel_is_set(&s->store->p->cancel);
    if (!l->is_late)
        return PERSIST_OK;
    if (op_init(&l->own, NULL))
        return PERSIST_E_MEMORY;
    if (!s->late_until_ns)
        s->late_until_ns = clock_boot_ns(clock) + LATE_NS;
    op_start(&l->own, clock, 0);
    l->own.deadline_ns = s->late_until_ns;
    l->own.trace = s->op->trace;
    l->op = &l->own;
    return PERSIST_OK;
}

static void late_end(struct late *l)
{
    if (l->is_late)
        op_finish(&l->own);
}

/* A request that must not be repeated after a time of its own: backend/retry
 * keeps deadlines, and so the rules about time hold within one call of it too.
 */
int save_bound_op(const struct saving *s, uint64_t until_ns,
                  struct persist_op *out, struct persist_error *err)
{
    uint64_t deadline_ns = s->op->deadline_ns;
    int rc = op_init(out, &s->op->cancel);

    if (rc)
        return error_errno(err, -rc, "cannot start a request");
    out->trace = s->op->trace;
    out->deadline_ns =
        !deadline_ns || until_ns < deadline_ns ? until_ns : deadline_ns;
    return PERSIST_OK;
}

static int put_bounded(const struct saving *s, const struct backend_put *put,
                       uint64_t until_ns, bool *out_maybe,
                       struct persist_error *err)
{
    struct persist_op op;
    int rc = save_bound_op(s, until_ns, &op, err);

    if (rc)
        return rc;
    rc = backend_put(s->store->backend, &op, put, out_maybe, err);
    op_finish(&op);
    return rc;
}

/* ----------------------------------------------------------------- listing
 */

static int walk_view(struct saving *s, struct session_walk *w,
                     struct owner_view *view, struct persist_error *err)
{
    struct store_time time = {.store = s->store, .op = s->op};
    struct index_state state;
    int64_t now_us;
    int rc;

    while ((rc = session_walk_next(w, &state, err)) == 1) {
        store_time_see(&time, &state);
        /* Only an old claim can depend on what time it is. */
        now_us =
            s->machine.fenced && index_state_kind(&state) == INDEX_CLAIM
                ? store_time_now(&time, state.snap_modified_us + OWNER_AGE_US)
                : 0;
        if (owner_view_add(view, &s->machine, &state, now_us))
            return PERSIST_OK;
    }
    return rc;
}

static int list_session(struct saving *s, struct owner_view *view,
                        struct persist_error *err)
{
    struct session_walk *w = NULL;
    int rc;

    memset(view, 0, sizeof *view);
    view->began_ns = save_now(s);
    rc = session_walk_open(s->store, s->op, s->target.prefix,
                           s->machine.fenced ? FENCE_PAGE : LIST_PAGE, &w, err);
    if (rc)
        return rc;
    rc = walk_view(s, w, view, err);
    session_walk_close(w);
    return rc;
}

static int do_list(struct saving *s, struct owner_answer *a,
                   struct persist_error *err)
{
    uint64_t next;
    int rc;

    if (++s->n_lists > LISTS_MAX)
        return error_set(err, PERSIST_E_TRANSIENT,
                         "every index that was free in a listing was taken "
                         "when it was put, %d times",
                         LISTS_MAX);
    rc = list_session(s, &a->view, err);
    if (rc)
        return rc;
    if (!s->plain || s->dry_run)
        return PERSIST_OK;
    next = a->view.any ? a->view.highest + 1 : 0;
    if (next < s->machine.floor)
        next = s->machine.floor;
    a->view.at_least = session_memory_take_listed(
        s->store->memory, s->target.prefix, next, a->view.began_ns);
    s->took_index = true;
    return PERSIST_OK;
}

static void step_list(struct saving *s, struct owner_answer *a)
{
    struct persist_error err = {0};
    int rc = do_list(s, a, &err);

    a->reply = rc ? OWNER_FAILED : OWNER_OK;
    if (rc)
        save_failed(s, rc, &err);
}

/* -------------------------------------------------------------------- puts
 */

static void make_marker(const struct saving *s, struct marker *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->snapshot_id, s->id, sizeof s->id);
    text_from_time(clock_wall_us(s->store->p->clock), out->time);
    if (gethostname(out->host, sizeof out->host - 1))
        out->host[0] = '\0';
}

/* What a put if absent left of the index for the next save. */
static void remember(struct saving *s, uint64_t index, uint64_t sent_ns, int rc)
{
    bool refused = rc && rc != PERSIST_E_EXISTS && rc != PERSIST_E_UNCERTAIN &&
                   rc != PERSIST_E_NOT_DURABLE;

    s->index_used = !refused || engine_stopped(rc);
    if (!rc)
        session_memory_note(s->store->memory, s->target.prefix, index + 1,
                            sent_ns, s->machine.known_ns);
}

void save_put_answered(struct saving *s, uint64_t sent_ns, int rc, bool maybe,
                       const struct persist_error *err, struct owner_answer *a)
{
    remember(s, s->m.snapshot_index, sent_ns, rc);
    save_answer(s, rc, maybe, err, a);
}

static int object_at(struct saving *s, uint64_t index, const void **out,
                     size_t *out_len, struct persist_error *err)
{
    bool whole = true;
    int rc;

    s->m.snapshot_index = index;
    if (s->up)
        return upload_object(s->up, &s->m, out, out_len, err);
    rc = save_pack(s, index, &whole, err);
    if (!rc && !whole)
        rc = error_set(err, PERSIST_E_INTERNAL,
                       "an object has outgrown its one put");
    *out = s->object;
    *out_len = s->object_len;
    return rc;
}

static void step_put_snapshot(struct saving *s, uint64_t index,
                              struct owner_answer *a)
{
    struct backend_put put = {.if_absent = true};
    struct persist_error err = {0};
    uint64_t sent_ns = save_now(s);
    char key[KEY_CAP];
    bool maybe = false;
    int rc;

    key_format(s->target.prefix, index, KEY_SNAP, key);
    put.key = key;
    rc = object_at(s, index, &put.data, &put.len, &err);
    if (!rc)
        rc = put_bounded(s, &put, s->machine.known_ns + OWNER_KNOWLEDGE_NS,
                         &maybe, &err);
    if (!rc)
        atomic_store(&s->op->stored_bytes, put.len);
    save_put_answered(s, sent_ns, rc, maybe, &err, a);
}

int save_check_claim(const struct saving *s, struct persist_error *err)
{
    int64_t age_us = clock_wall_us(s->store->p->clock) - s->claim_wall_us;

    if (!s->claim_wall_us || s->machine.commit_sent ||
        age_us <= (int64_t)(OWNER_COMMIT_NS / 1000))
        return PERSIST_OK;
    error_set(err, PERSIST_E_CONFLICT,
              "the clock of this machine went ahead by more than 6 days while "
              "it was saved, and others may have taken the save for dead");
    error_hint(err, "save it again");
    return PERSIST_E_CONFLICT;
}

void save_put_claim(struct saving *s, uint64_t index, bool if_absent,
                    struct owner_answer *a)
{
    struct backend_put put = {.if_absent = if_absent, .len = CLAIM_LEN};
    struct persist_error err = {0};
    uint64_t sent_ns = save_now(s);
    int64_t sent_us = clock_wall_us(s->store->p->clock);
    char key[KEY_CAP], claim[CLAIM_LEN];
    struct marker marker;
    bool maybe = false;
    int rc;

    key_format(s->target.prefix, index, KEY_SNAP, key);
    make_marker(s, &marker);
    claim_encode(&marker, claim);
    s->m.snapshot_index = index;
    put.key = key;
    put.data = claim;
    rc = if_absent ? PERSIST_OK : save_check_claim(s, &err);
    if (!rc)
        rc = put_bounded(s, &put,
                         if_absent ? s->machine.known_ns + OWNER_KNOWLEDGE_NS
                                   : s->machine.claim_ns + OWNER_COMMIT_NS -
                                         s->machine.lag_ns + OWNER_HOUR_NS,
                         &maybe, &err);
    if (if_absent || !rc)
        s->claim_wall_us = sent_us;
    /* That a renewal worked tells nothing about the indices above. */
    if (if_absent)
        remember(s, index, sent_ns, rc);
    save_answer(s, rc, maybe, &err, a);
}

int save_put_tombstone(struct saving *s, const char *key, const char *id,
                       bool if_absent, struct persist_error *err)
{
    struct backend_put put = {
        .key = key, .len = TOMBSTONE_LEN, .if_absent = if_absent};
    char tombstone[TOMBSTONE_LEN];
    struct marker marker;
    struct late late;
    int rc;

    make_marker(s, &marker);
    memcpy(marker.snapshot_id, id, TEXT_UUID_LEN);
    tombstone_encode(&marker, tombstone);
    put.data = tombstone;
    rc = late_begin(&late, s);
    if (rc)
        return rc;
    put.past_cancel = late.is_late;
    rc = backend_put(s->store->backend, late.op, &put, NULL, err);
    late_end(&late);
    return rc;
}

/* Why the save ended is what the caller wants to know, not how these go. */
static enum owner_reply reply_of(int rc)
{
    return rc == PERSIST_OK              ? OWNER_OK
           : rc == PERSIST_E_EXISTS      ? OWNER_EXISTS
           : rc == PERSIST_E_UNCERTAIN   ? OWNER_UNCERTAIN
           : rc == PERSIST_E_NOT_DURABLE ? OWNER_NOT_DURABLE
                                         : OWNER_FAILED;
}

static void step_give_up(struct saving *s, uint64_t index,
                         struct owner_answer *a)
{
    struct persist_error err = {0};
    char key[KEY_CAP];
    int rc;

    /* What was sent goes first: a journal that keeps data in order would write
     * all of it to the medium for the sake of the tombstone. */
    if (!s->machine.commit_sent)
        save_end_upload(s);
    key_format(s->target.prefix, index, KEY_SNAP, key);
    rc = save_put_tombstone(s, key, s->id, false, &err);
    a->reply = reply_of(rc);
    if (rc)
        log_line(s->store->p->log, LOG_WARN,
                 "a claim could not be given up; saves after a fence wait for "
                 "it up to 7 days",
                 log_text("store", s->store->name),
                 log_text("object", log_basename(key)),
                 log_text("status", persist_status_name(rc)), LOG_END);
}

/* Of no snapshot's id, so that it is never taken for our own. */
static void step_block(struct saving *s, uint64_t index, struct owner_answer *a)
{
    struct persist_error err = {0};
    char key[KEY_CAP];

    key_format(s->target.prefix, index, KEY_SNAP, key);
    a->reply = reply_of(save_put_tombstone(
        s, key, "00000000-0000-0000-0000-000000000000", true, &err));
}

/* ------------------------------------------------------------------- whose
 */

static void step_read(struct saving *s, uint64_t index, enum key_kind kind,
                      struct owner_answer *a)
{
    struct persist_error err = {0};
    struct identity identity = {0};
    char key[KEY_CAP];
    struct late late;
    int rc;

    key_format(s->target.prefix, index, kind, key);
    rc = late_begin(&late, s);
    if (!rc) {
        rc = identity_read(s->store, late.op, key, late.is_late, &identity,
                           &err);
        late_end(&late);
    }
    /* A failure here explains less than the one that made us look. */
    a->reply =
        rc || identity.kind == IDENTITY_DAMAGED ? OWNER_FAILED : OWNER_OK;
    if (a->reply != OWNER_OK)
        return;
    a->found = identity.kind == IDENTITY_NONE    ? OWNER_NOTHING
               : strcmp(identity.id, s->id) == 0 ? OWNER_OURS
                                                 : OWNER_OTHERS;
}

bool save_is_unchanged(const struct saving *s, const uint8_t sha256[32],
                       uint64_t len)
{
    char hex[65];

    if (!s->latest || s->latest->uncompressed_size != len)
        return false;
    text_to_hex(sha256, 32, hex);
    return strcmp(hex, s->latest->content_hash) == 0;
}

/* ----------------------------------------------------------------- the loop
 */

/* Everything a save does but write: the machine stops before its first put. */
static void dry_put(struct saving *s, uint64_t index)
{
    struct persist_error err = {0};
    const void *object;
    size_t len;
    int rc;

    s->m.snapshot_index = index;
    if (s->machine.is_long)
        rc = upload_send(s->up, &s->m, NULL, NULL, NULL, &s->object_size,
                         &s->object_crc, &err);
    else
        rc = upload_object(s->up, &s->m, &object, &len, &err);
    if (rc)
        save_failed(s, rc, &err);
    else
        s->unchanged = save_is_unchanged(s, upload_sha256(s->up),
                                         upload_payload_len(s->up));
    owner_save_abort(&s->machine);
}

void save_step(struct saving *s, const struct owner_request *r,
               struct owner_answer *a)
{
    switch (r->verb) {
    case OWNER_LIST:
        step_list(s, a);
        break;
    case OWNER_PUT_SNAPSHOT:
        step_put_snapshot(s, r->index, a);
        break;
    case OWNER_PUT_CLAIM:
        save_put_claim(s, r->index, true, a);
        break;
    case OWNER_RENEW_CLAIM:
        save_put_claim(s, r->index, false, a);
        break;
    case OWNER_READ_SNAP:
        step_read(s, r->index, KEY_SNAP, a);
        break;
    case OWNER_READ_DATA:
        step_read(s, r->index, KEY_DATA, a);
        break;
    case OWNER_COMMIT_DATA:
        save_commit(s, a);
        break;
    case OWNER_PUT_BLOCK:
        step_block(s, r->index, a);
        break;
    default:
        step_give_up(s, r->index, a);
        break;
    }
}

void save_start(struct saving *s, bool whole)
{
    struct owner_save_what what = {
        .is_long = !whole,
        .fenced = s->o.flags & PERSIST_SAVE_AFTER,
        .asserts = s->o.flags & PERSIST_SAVE_INDEX,
        .after = s->o.after,
        .wanted = s->o.index,
        .rules = OWNER_RULES_ALL,
    };
    uint64_t index, known_ns;

    owner_save_init(&s->machine, &what);
    s->plain = !what.fenced && !what.asserts;
    if (save_resume_start(s))
        return;
    if (!s->plain || s->dry_run)
        return;
    s->took_index = session_memory_take(s->store->memory, s->target.prefix,
                                        save_now(s), &index, &known_ns);
    if (s->took_index)
        owner_save_remember(&s->machine, index, known_ns);
}

void save_stop(struct saving *s)
{
    save_resume_settle(s);
    save_end_upload(s);
    if (s->took_index && !s->index_used)
        session_memory_give_back(s->store->memory, s->target.prefix,
                                 s->machine.index);
}

void save_run(struct saving *s, bool whole)
{
    bool looks_only = s->unchanged;
    struct owner_request r;
    struct owner_answer a;

    save_start(s, whole);
    while (owner_save_next(&s->machine, save_now(s), &r)) {
        if (looks_only && r.verb != OWNER_LIST) {
            owner_save_abort(&s->machine);
            continue;
        }
        if (s->dry_run && r.verb != OWNER_LIST) {
            dry_put(s, r.index);
            continue;
        }
        if (r.verb == OWNER_SEND_DATA) {
            save_send(s);
            continue;
        }
        if (r.verb == OWNER_PUT_TOMBSTONE && save_resume_leaves(s))
            continue;
        memset(&a, 0, sizeof a);
        save_step(s, &r, &a);
        owner_save_feed(&s->machine, &a);
    }
    save_stop(s);
}
