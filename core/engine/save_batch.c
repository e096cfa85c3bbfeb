/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many saves, one acknowledgement.
 *
 *      items ──▶ chunk of up to 128          each: describe, take an index,
 *                  │                         encode (the caller's thread)
 *                  ▼
 *              every machine that wants its put ──▶ one put_many, or puts
 *                  ▲                                in parallel
 *                  │ exists: the next index         │ answers
 *                  └────────────────────────────────┘ until all have a result
 *
 * Each item has the machine of owner.h that a save by itself has, so that races
 * and lost answers mean the same; only its put of the snapshot is made with the
 * others.  What a batch cannot share (large payloads, fences) is saved by
 * save_one where it stands in the order.
 *
 * Memory: encoding reserves from the budget as ever, one item after the other.
 * The encoded objects of a chunk wait beside it, CHUNK_BYTES of payload at
 * most; they are not reserved, because a batch that held some of the budget
 * while its next item waits for more could wait for itself.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/save.h"
#include "engine/session_memory.h"
#include "runtime/together.h"
#include "util/error.h"

#define CHUNK 128
#define CHUNK_BYTES ((size_t)4 << 20)
#define SHARED_MAX ((size_t)256 << 10) /* payload of an item in a chunk */

struct slot {
    struct saving s;
    struct save_source source;
    struct persist_batch_item *item;
    struct owner_request request; /* the put it waits for */
    struct owner_answer answer;
    uint64_t sent_ns; /* of its last put; 0: none yet */
    bool wants_put;
    bool in_round; /* its put is made, and the answer not yet fed */
    bool alone; /* an answer was none: its requests are its own from now on */
    bool maybe; /* ... and an attempt may have been applied */
};

struct batch {
    struct persist_store *store;
    struct persist_op *op;  /* of the call: its progress is all items' */
    struct persist_op work; /* under it: what single saves report to */
    struct slot *slots;     /* CHUNK */
    size_t n;               /* in use */
    size_t bytes;           /* of their payloads */
    bool writable;          /* has been checked */
    /* of one round */
    struct slot *putting[CHUNK];
    size_t n_putting;
};

static struct persist_batch_item *item_at(struct persist_batch_item *items,
                                          size_t i)
{
    return (void *)((char *)items + i * items->struct_size);
}

/* ----------------------------------------------------------------- results
 */

static void fail_item(struct persist_batch_item *item, int status,
                      const struct persist_error *err)
{
    item->status = status;
    item->error = malloc(sizeof *item->error);
    if (item->error) {
        *item->error = *err;
        item->error->status = status;
    }
}

/* The item's answer, and its share of the progress. */
static void tell(struct batch *b, struct persist_batch_item *item, int status,
                 struct persist_metadata *m, const struct persist_error *err)
{
    item->status = status;
    item->metadata = m;
    atomic_fetch_add(&b->op->payload_bytes, item->len);
    if (m && !(m->present & PERSIST_META_UNCHANGED))
        atomic_fetch_add(&b->op->stored_bytes, m->compressed_size);
    if (status != PERSIST_OK)
        fail_item(item, status, err);
}

static void finish_slot(struct batch *b, struct slot *slot)
{
    struct persist_error err = {0};
    struct persist_metadata *m = NULL;
    int rc;

    save_stop(&slot->s);
    rc = save_conclude(&slot->s, &m, &err);
    if (rc && !err.object[0]) {
        char text[TARGET_TEXT_CAP];

        target_text(&slot->s.target, NULL, text);
        error_object(&err, "%s", text);
    }
    tell(b, slot->item, rc, m, &err);
    save_finish(&slot->s);
}

/* ------------------------------------------------------- up to the next put
 */

/* After a lost race: somebody of this store, perhaps another item, has listed
 * the session since, and so knows what we would ask. */
static bool use_newer_memory(struct slot *slot)
{
    struct saving *s = &slot->s;
    uint64_t index, known_ns, refused = s->machine.index;
    const struct owner_save_what what = {.rules = OWNER_RULES_ALL};

    if (!slot->sent_ns ||
        !session_memory_take(s->store->memory, s->target.prefix,
                             clock_boot_ns(s->store->p->clock), &index,
                             &known_ns))
        return false;
    if (known_ns <= slot->sent_ns || index <= refused) {
        session_memory_give_back(s->store->memory, s->target.prefix, index);
        return false;
    }
    owner_save_init(&s->machine, &what);
    owner_save_remember(&s->machine, index, known_ns);
    s->index_used = false;
    return true;
}

/* Makes the item's own requests until it wants its put or has a result. */
static void advance(struct slot *slot)
{
    struct saving *s = &slot->s;

    slot->wants_put = false;
    while (owner_save_next(&s->machine, clock_boot_ns(s->store->p->clock),
                           &slot->request)) {
        if (slot->request.verb == OWNER_LIST && use_newer_memory(slot))
            continue;
        slot->wants_put =
            !slot->alone && slot->request.verb == OWNER_PUT_SNAPSHOT;
        if (slot->wants_put)
            return;
        memset(&slot->answer, 0, sizeof slot->answer);
        save_step(s, &slot->request, &slot->answer);
        owner_save_feed(&s->machine, &slot->answer);
    }
}

/* Its object at the index it has now; false: it ends without a put. */
static bool pack(struct slot *slot)
{
    struct persist_error err = {0};
    bool whole = true;
    int rc = save_pack(&slot->s, slot->request.index, &whole, &err);

    if (!rc && !whole)
        rc = error_set(&err, PERSIST_E_INTERNAL,
                       "an object has outgrown its one put");
    if (!rc)
        return true;
    slot->s.m.snapshot_index = slot->request.index;
    memset(&slot->answer, 0, sizeof slot->answer);
    save_put_answered(&slot->s, 0, rc, false, &err, &slot->answer);
    owner_save_feed(&slot->s.machine, &slot->answer);
    advance(slot);
    return false;
}

/* -------------------------------------------------------------------- puts
 */

static void put_alone(void *ctx, size_t i)
{
    struct batch *b = ctx;
    struct slot *slot = b->putting[i];

    memset(&slot->answer, 0, sizeof slot->answer);
    save_step(&slot->s, &slot->request, &slot->answer);
    if (!slot->maybe)
        return;
    /* What the attempt among the others may have done counts on. */
    slot->answer.maybe = true;
    slot->answer.doubt |=
        slot->answer.reply == OWNER_FAILED && engine_stopped(slot->s.failure);
}

/* The age of the oldest knowledge among them bounds the request. */
static int open_request(const struct batch *b, struct persist_op *out,
                        struct persist_error *err)
{
    uint64_t until_ns = UINT64_MAX;
    int rc = op_init(out, &b->work.cancel);

    if (rc)
        return error_errno(err, -rc, "cannot start a request");
    out->trace = b->work.trace;
    for (size_t i = 0; i < b->n_putting; i++) {
        uint64_t known_ns = b->putting[i]->s.machine.known_ns;

        if (known_ns + OWNER_KNOWLEDGE_NS < until_ns)
            until_ns = known_ns + OWNER_KNOWLEDGE_NS;
    }
    out->deadline_ns = b->work.deadline_ns && b->work.deadline_ns < until_ns
                           ? b->work.deadline_ns
                           : until_ns;
    return PERSIST_OK;
}

static void hear(struct batch *b, struct slot *slot,
                 const struct backend_put *put,
                 const struct backend_put_answer *answer,
                 const struct persist_error *whole)
{
    struct persist_error own = {0};
    const struct persist_error *err = whole;

    if (answer->again) {
        slot->alone = true;
        slot->maybe = answer->maybe;
        return;
    }
    if (!err && answer->status) {
        backend_put_answer_error(b->store->backend, put, answer->status, &own);
        err = &own;
    }
    memset(&slot->answer, 0, sizeof slot->answer);
    save_put_answered(&slot->s, slot->sent_ns, answer->status, answer->maybe,
                      err, &slot->answer);
}

static void put_many(struct batch *b, struct backend_put *puts,
                     char (*keys)[KEY_CAP], struct backend_put_answer *answers)
{
    struct persist_error err = {0};
    struct persist_op op;
    size_t n = b->n_putting;
    int rc = open_request(b, &op, &err);
    const struct persist_error *whole;

    for (size_t i = 0; i < n; i++) {
        struct slot *slot = b->putting[i];

        key_format(slot->s.target.prefix, slot->request.index, KEY_SNAP,
                   keys[i]);
        puts[i] = (struct backend_put){.key = keys[i],
                                       .data = slot->s.object,
                                       .len = slot->s.object_len,
                                       .if_absent = true};
        slot->sent_ns = clock_boot_ns(b->store->p->clock);
        answers[i] = (struct backend_put_answer){.status = rc};
    }
    if (!rc) {
        rc = backend_put_many(b->store->backend, &op, puts, n, answers, &err);
        op_finish(&op);
    }
    whole = rc ? &err : NULL;
    for (size_t i = 0; i < n; i++)
        hear(b, b->putting[i], &puts[i], &answers[i], whole);
}

/* Those whose answer was none are asked once more, each by itself. */
static void put_rest(struct batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_putting; i++)
        if (b->putting[i]->alone)
            b->putting[n++] = b->putting[i];
    b->n_putting = n;
    together_run(b->store->p->io, n, put_alone, b);
}

static void put_all(struct batch *b)
{
    size_t n = b->n_putting;
    struct backend_put *puts = NULL;
    struct backend_put_answer *answers = NULL;
    char(*keys)[KEY_CAP] = NULL;

    if (n > 1 && backend_can_put_many(b->store->backend)) {
        puts = calloc(n, sizeof *puts);
        answers = calloc(n, sizeof *answers);
        keys = malloc(n * sizeof *keys);
    }
    if (puts && answers && keys) {
        put_many(b, puts, keys, answers);
        put_rest(b);
    } else {
        together_run(b->store->p->io, n, put_alone, b);
    }
    free(puts);
    free(answers);
    free(keys);
}

/* ------------------------------------------------------------------- chunk
 */

/* Every put that is wanted, then what its answer leads to; false: none was. */
static bool run_round(struct batch *b)
{
    bool any = false;

    b->n_putting = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct slot *slot = &b->slots[i];

        any |= slot->wants_put;
        slot->in_round = slot->wants_put && pack(slot);
        if (slot->in_round)
            b->putting[b->n_putting++] = slot;
    }
    if (b->n_putting)
        put_all(b);
    for (size_t i = 0; i < b->n; i++)
        if (b->slots[i].in_round) {
            owner_save_feed(&b->slots[i].s.machine, &b->slots[i].answer);
            advance(&b->slots[i]);
        }
    return any;
}

static void flush(struct batch *b)
{
    while (run_round(b))
        ;
    /* From the last: an index is handed back only where none above it is out.
     */
    for (size_t i = b->n; i-- > 0;)
        finish_slot(b, &b->slots[i]);
    b->n = 0;
    b->bytes = 0;
}

/* ------------------------------------------------------------------- items
 */

static int check_item(const struct persist_batch_item *item,
                      struct persist_save_options *o, struct persist_error *err)
{
    struct persist_batch_item known;
    int rc = engine_options(&known, sizeof known, item, err);

    if (!rc)
        rc = engine_options(o, sizeof *o, item->options, err);
    if (!rc)
        rc = engine_flags(o->flags, save_known_flags, err);
    if (!rc && (o->op || o->timeout_ms))
        rc = error_set(err, PERSIST_E_INVALID,
                       "op and timeout_ms are the batch's, not an item's");
    return rc;
}

static bool can_share(const struct persist_batch_item *item,
                      const struct persist_save_options *o)
{
    const uint32_t own = PERSIST_SAVE_INDEX | PERSIST_SAVE_AFTER |
                         PERSIST_SAVE_SKIP_UNCHANGED | PERSIST_SAVE_DRY_RUN;

    return item->len <= SHARED_MAX && !(o->flags & own);
}

/* Into the chunk, with an index; a problem of its own ends it here. */
static int add_slot(struct batch *b, struct persist_batch_item *item,
                    const struct persist_save_options *o,
                    struct persist_error *err)
{
    struct slot *slot = &b->slots[b->n];
    int rc;

    memset(slot, 0, sizeof *slot);
    slot->item = item;
    slot->s.store = b->store;
    slot->s.op = &b->work;
    slot->s.source = &slot->source;
    slot->s.o = *o;
    rc = save_source_buffer(&slot->source, item->data, item->len, err);
    slot->source.op = &b->work;
    slot->source.clock = b->store->p->clock;
    if (!rc)
        rc = save_describe(&slot->s, item->address, err);
    if (!rc && !b->writable)
        rc = backend_store_check_writable(b->store->backend, &b->work, err);
    if (rc) {
        save_finish(&slot->s);
        return rc;
    }
    b->writable = true;
    b->n++;
    b->bytes += item->len;
    save_start(&slot->s, true);
    advance(slot);
    return PERSIST_OK;
}

static void save_by_itself(struct batch *b, struct persist_batch_item *item,
                           const struct persist_save_options *o)
{
    struct persist_error err = {0};
    struct persist_metadata *m = NULL;
    struct save_source source;
    int rc = save_source_buffer(&source, item->data, item->len, &err);

    if (!rc)
        rc = save_one(b->store, &b->work, NULL, item->address, &source, o, &m,
                      &err);
    save_source_finish(&source);
    tell(b, item, rc, m, &err);
}

static void take_item(struct batch *b, struct persist_batch_item *item)
{
    struct persist_save_options o;
    struct persist_error err = {0};
    int rc = check_item(item, &o, &err);
    bool shared = !rc && can_share(item, &o);

    if (b->n == CHUNK || (b->n && b->bytes + item->len > CHUNK_BYTES) ||
        (!rc && !shared))
        flush(b);
    if (!rc && !shared) {
        save_by_itself(b, item, &o);
        return;
    }
    if (!rc)
        rc = add_slot(b, item, &o, &err);
    if (rc)
        tell(b, item, rc, NULL, &err);
}

/* ------------------------------------------------------------- public calls
 */

static int check_items(struct persist_batch_item *items, size_t n,
                       struct persist_error *err)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is a pointer */
    const size_t least = ENGINE_SIZE_TO(struct persist_batch_item, error);
    uint32_t size;

    if (!items)
        return error_set(err, PERSIST_E_MISUSE, "items is NULL");
    size = items->struct_size;
    if (!engine_is_sized(items, least) ||
        size % _Alignof(struct persist_batch_item))
        return error_set(err, PERSIST_E_MISUSE,
                         "struct_size of an item is not set: initialise it "
                         "with PERSIST_BATCH_ITEM_INIT");
    for (size_t i = 0; i < n; i++)
        if (item_at(items, i)->struct_size != size)
            return error_set(err, PERSIST_E_MISUSE,
                             "struct_size of item %zu is not that of the "
                             "first",
                             i);
    return PERSIST_OK;
}

/* What an item is until it is told otherwise; the bytes of all payloads. */
static uint64_t start_items(struct persist_batch_item *items, size_t n,
                            int status)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        struct persist_batch_item *item = item_at(items, i);

        item->status = status;
        item->metadata = NULL;
        item->error = NULL;
        bytes += item->len;
    }
    return bytes;
}

/* The call failed before it came to any of them. */
static void refuse_items(struct persist_batch_item *items, size_t n, int status,
                         const struct persist_error *err)
{
    start_items(items, n, status);
    for (size_t i = 0; i < n; i++)
        fail_item(item_at(items, i), status, err);
}

static int run_items(struct batch *b, struct persist_batch_item *items,
                     size_t n, struct persist_error *err)
{
    int rc;

    atomic_store(&b->op->payload_total,
                 start_items(items, n, PERSIST_E_MEMORY));
    rc = op_init(&b->work, &b->op->cancel);
    if (rc)
        return error_errno(err, -rc, "cannot start an operation");
    b->work.deadline_ns = b->op->deadline_ns;
    b->work.trace = b->op->trace;
    b->slots = calloc(n < CHUNK ? n : CHUNK, sizeof *b->slots);
    if (b->slots) {
        for (size_t i = 0; i < n; i++)
            take_item(b, item_at(items, i));
        flush(b);
    } else {
        rc = error_memory(err);
    }
    free(b->slots);
    op_finish(&b->work);
    return rc;
}

/* The first that is not OK speaks for the batch. */
static int sum_up(struct persist_batch_item *items, size_t n,
                  struct persist_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct persist_batch_item *item = item_at(items, i);

        if (item->status == PERSIST_OK)
            continue;
        if (err && item->error)
            *err = *item->error;
        else
            error_set(err, item->status, "item %zu was not saved", i);
        return item->status;
    }
    return PERSIST_OK;
}

void save_batch_expects(struct persist_batch_item *items, size_t n, int status)
{
    if (n && check_items(items, n, NULL) == PERSIST_OK)
        start_items(items, n, status);
}

int persist_save_batch(struct persist_store *store,
                       struct persist_batch_item *items, size_t n_items,
                       const struct persist_batch_options *options,
                       struct persist_error *err)
{
    struct persist_batch_options o;
    struct batch b = {.store = store};
    struct persist_error own = {0};
    struct engine_call call;
    int rc = n_items ? check_items(items, n_items, err) : PERSIST_OK;

    if (rc)
        return rc;
    err = err ? err : &own;
    rc = engine_options(&o, sizeof o, options, err);
    if (!rc)
        rc = engine_flags(o.flags, 0, err);
    if (!rc)
        rc = engine_begin(store, OPERATION_SAVE, o.op, o.timeout_ms, &call,
                          &b.op, err);
    if (rc) {
        refuse_items(items, n_items, rc, err);
        return rc;
    }
    if (n_items)
        rc = run_items(&b, items, n_items, err);
    if (!rc && n_items)
        rc = sum_up(items, n_items, err);
    engine_end(&call, rc);
    return rc;
}

void persist_batch_finish(struct persist_batch_item *items, size_t n_items)
{
    for (size_t i = 0; items && i < n_items; i++) {
        struct persist_batch_item *item = item_at(items, i);

        persist_metadata_free(item->metadata);
        free(item->error);
        item->metadata = NULL;
        item->error = NULL;
    }
}
