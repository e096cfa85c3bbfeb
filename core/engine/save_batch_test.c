/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: what they cost, what becomes of each item, and races and lost
 * answers inside them.
 */
#include "engine/save_test_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX 400

struct batch {
    struct persist_batch_item items[MAX];
    char addresses[MAX][32];
    char texts[MAX][40];
    struct persist_save_options options[MAX];
    size_t n;
    int rc;
    struct persist_error err;
};

static size_t add(struct batch *b, const char *address)
{
    size_t i = b->n++;

    assert_true(i < MAX);
    snprintf(b->addresses[i], sizeof b->addresses[i], "%s", address);
    snprintf(b->texts[i], sizeof b->texts[i], "%s #%zu", address, i);
    b->items[i] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
    b->items[i].address = b->addresses[i];
    b->items[i].data = b->texts[i];
    b->items[i].len = strlen(b->texts[i]);
    return i;
}

static struct persist_save_options *options_of(struct batch *b, size_t i)
{
    b->options[i] = (struct persist_save_options)PERSIST_SAVE_OPTIONS_INIT;
    b->items[i].options = &b->options[i];
    return &b->options[i];
}

/* n items for agent a. */
static struct batch *batch_of(size_t n)
{
    struct batch *b = calloc(1, sizeof *b);

    assert_non_null(b);
    while (b->n < n)
        add(b, "a");
    return b;
}

static int save(struct batch *b, struct persist_store *store)
{
    b->rc = persist_save_batch(store, b->items, b->n, NULL, &b->err);
    return b->rc;
}

static void finish(struct batch *b)
{
    persist_batch_finish(b->items, b->n);
    free(b);
}

/* Item i was saved, at that index, and reads back. */
static void expect_saved(struct rig *r, const struct batch *b, size_t i,
                         uint64_t index)
{
    const struct persist_batch_item *item = &b->items[i];
    char address[64];

    if (item->status != PERSIST_OK)
        fail_msg("item %zu: %s", i,
                 item->error ? item->error->message : "no error");
    assert_null(item->error);
    assert_non_null(item->metadata);
    assert_int_equal(item->metadata->snapshot_index, index);
    assert_int_equal(item->metadata->uncompressed_size, item->len);
    snprintf(address, sizeof address, "%s@%llu", item->address,
             (unsigned long long)index);
    rig_expect(r, address, item->data, item->len);
}

/* --------------------------------------------------------------- what it is
 */

static void batch__is_one_listing_and_one_request(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(100);

    assert_ok(save(b, r->store), &b->err);
    assert_int_equal(atomic_load(&r->calls) - 100, 2); /* items are events */
    assert_int_equal(r->memory->count(r->id, "list"), 1);
    assert_int_equal(r->memory->count(r->id, "put_many"), 1);
    assert_int_equal(r->memory->count(r->id, "put"), 0);
    for (size_t i = 0; i < b->n; i++)
        expect_saved(r, b, i, i);
    finish(b);
}

static void batch__lists_nothing_when_the_store_remembers(void **state)
{
    struct rig *r = *state;
    struct batch *first = batch_of(10), *second = batch_of(10);

    assert_ok(save(first, r->store), &first->err);
    assert_ok(save(second, r->store), &second->err);
    assert_int_equal(r->memory->count(r->id, "list"), 1);
    for (size_t i = 0; i < 10; i++)
        expect_saved(r, second, i, 10 + i);
    rig_save(r, "single", 20);
    finish(first);
    finish(second);
}

static void batch__larger_than_a_chunk_goes_on(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(MAX);

    assert_ok(save(b, r->store), &b->err);
    assert_int_equal(r->memory->count(r->id, "put_many"), (MAX + 127) / 128);
    for (size_t i = 0; i < b->n; i++)
        expect_saved(r, b, i, i);
    finish(b);
}

static void batch__mixes_sessions(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(0);
    char name[32];

    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "a%d/s%d", i % 3, i % 5);
        add(b, name);
    }
    assert_ok(save(b, r->store), &b->err);
    assert_int_equal(r->memory->count(r->id, "list"), 15);
    assert_int_equal(r->memory->count(r->id, "put_many"), 1);
    for (size_t i = 0; i < 60; i++)
        expect_saved(r, b, i, i / 15);
    finish(b);
}

static void batch__of_nothing_does_nothing(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_ok(persist_save_batch(r->store, NULL, 0, NULL, &err), &err);
    assert_int_equal(atomic_load(&r->calls), 0);
    persist_batch_finish(NULL, 0);
    persist_batch_finish(NULL, 2);
}

static void batch__refuses_items_it_cannot_read(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(3);

    b->items[0].struct_size = 0;
    assert_status(save(b, r->store), PERSIST_E_MISUSE, &b->err);
    b->items[0].struct_size = sizeof b->items[0];
    b->items[2].struct_size = 8;
    assert_status(save(b, r->store), PERSIST_E_MISUSE, &b->err);
    assert_status(persist_save_batch(r->store, NULL, 1, NULL, &b->err),
                  PERSIST_E_MISUSE, &b->err);
    assert_status(persist_save_batch(NULL, b->items, 1, NULL, &b->err),
                  PERSIST_E_MISUSE, &b->err);
    assert_int_equal(rig_objects(r), 0);
    finish(b);
}

static void expect_refused(struct batch *b, int status)
{
    assert_int_equal(b->rc, status);
    for (size_t i = 0; i < b->n; i++) {
        assert_int_equal(b->items[i].status, status);
        assert_null(b->items[i].metadata);
        assert_string_equal(b->items[i].error->message, b->err.message);
    }
    persist_batch_finish(b->items, b->n);
}

/* Nobody may take an item for saved because nothing came to it. */
static void batch__that_never_begins_says_so_of_every_item(void **state)
{
    struct persist_batch_options o = PERSIST_BATCH_OPTIONS_INIT;
    struct rig *r = *state;
    struct batch *b = batch_of(3);

    o.flags = 1;
    b->rc = persist_save_batch(r->store, b->items, b->n, &o, &b->err);
    expect_refused(b, PERSIST_E_INVALID);
    assert_int_equal(persist_save_batch(r->store, b->items, b->n, &o, NULL),
                     PERSIST_E_INVALID);
    assert_int_equal(b->items[2].status, PERSIST_E_INVALID);
    persist_batch_finish(b->items, b->n);
    persist_interrupt(r->p);
    save(b, r->store);
    expect_refused(b, PERSIST_E_CANCELLED);
    assert_int_equal(rig_objects(r), 0);
    finish(b);
}

/* --------------------------------------------------------------- item by item
 */

static void item__that_is_wrong_does_not_stop_the_others(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(8);
    struct persist_label twice[] = {{"k", "1"}, {"k", "2"}};
    struct persist_op *op = NULL;

    assert_ok(persist_op_create(r->p, &op, &b->err), &b->err);
    b->items[0].address = "a@7";
    b->items[1].address = "no good:/@";
    b->items[2].data = NULL;
    options_of(b, 3)->labels = twice;
    b->options[3].n_labels = 2;
    options_of(b, 4)->op = op;
    options_of(b, 5)->timeout_ms = 1;
    options_of(b, 6)->flags = UINT32_C(1) << 30;
    assert_status(save(b, r->store), PERSIST_E_INVALID, &b->err);

    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(b->items[i].status,
                         i == 2 ? PERSIST_E_MISUSE : PERSIST_E_INVALID);
        assert_non_null(b->items[i].error);
        assert_null(b->items[i].metadata);
    }
    assert_string_equal(b->err.message, b->items[0].error->message);
    expect_saved(r, b, 7, 0);
    persist_op_destroy(op);
    finish(b);
}

static void item__keeps_its_own_options(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(3);
    struct persist_label label = {"kind", "checkpoint"};

    options_of(b, 1)->description = "the second";
    b->options[1].labels = &label;
    b->options[1].n_labels = 1;
    b->options[1].compression = PERSIST_COMPRESSION_GZIP;
    assert_ok(save(b, r->store), &b->err);

    assert_null(b->items[0].metadata->description);
    assert_string_equal(b->items[1].metadata->description, "the second");
    assert_string_equal(b->items[1].metadata->labels[0].value, "checkpoint");
    assert_string_equal(b->items[1].metadata->compression_algorithm, "gzip");
    assert_int_equal(r->memory->count(r->id, "put_many"), 1);
    for (size_t i = 0; i < 3; i++)
        expect_saved(r, b, i, i);
    finish(b);
}

/* Large, fenced, asserting: each in its place. */
static void item__that_cannot_share_keeps_its_place(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(7);
    const size_t large = 9 << 20;
    uint8_t *noise = rig_noise(large, 5);

    b->items[2].data = noise;
    b->items[2].len = large;
    options_of(b, 3)->flags = PERSIST_SAVE_AFTER;
    b->options[3].after = 2;
    options_of(b, 4)->flags = PERSIST_SAVE_AFTER;
    b->options[4].after = 1; /* no longer the latest */
    options_of(b, 5)->flags = PERSIST_SAVE_INDEX;
    b->options[5].index = 4;
    assert_status(save(b, r->store), PERSIST_E_CONFLICT, &b->err);

    for (size_t i = 0; i < 4; i++)
        expect_saved(r, b, i, i);
    assert_true(rig_has(r, 2, KEY_DATA));
    assert_int_equal(b->items[4].status, PERSIST_E_CONFLICT);
    expect_saved(r, b, 5, 4);
    expect_saved(r, b, 6, 5);
    free(noise);
    finish(b);
}

static void item__unchanged_or_dry_writes_nothing(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(3);

    options_of(b, 1)->flags = PERSIST_SAVE_SKIP_UNCHANGED;
    b->items[1].data = b->items[0].data;
    b->items[1].len = b->items[0].len;
    options_of(b, 2)->flags = PERSIST_SAVE_DRY_RUN;
    assert_ok(save(b, r->store), &b->err);

    expect_saved(r, b, 0, 0);
    assert_true(b->items[1].metadata->present & PERSIST_META_UNCHANGED);
    assert_int_equal(b->items[1].metadata->snapshot_index, 0);
    assert_int_equal(b->items[2].metadata->snapshot_index, 1);
    assert_int_equal(rig_objects(r), 1);
    finish(b);
}

/* -------------------------------------------------------------------- races
 */

struct taker {
    struct rig *r;
    uint64_t first, n;
};

static void take_indices(void *ctx)
{
    const struct taker *t = ctx;

    for (uint64_t i = 0; i < t->n; i++)
        rig_put_claim(t->r, t->first + i);
    atomic_fetch_add(&t->r->boot_ns, 1000000); /* as it takes */
}

static void race__lost_by_one_item_gives_it_the_next_index(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(10);
    struct taker taker = {r, 4, 1};

    rig_fault(r, (struct rig_fault){
                     .op = "put_many", .then = take_indices, .ctx = &taker});
    assert_ok(save(b, r->store), &b->err);

    for (size_t i = 0; i < 10; i++)
        expect_saved(r, b, i, i == 4 ? 10 : i);
    assert_int_equal(r->memory->count(r->id, "list"), 2);
    assert_int_equal(rig_objects(r), 11);
    finish(b);
}

static void race__lost_by_all_is_listed_once(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(50);
    struct taker taker = {r, 0, 200};

    rig_fault(r, (struct rig_fault){
                     .op = "put_many", .then = take_indices, .ctx = &taker});
    assert_ok(save(b, r->store), &b->err);

    assert_int_equal(r->memory->count(r->id, "list"), 2);
    assert_int_equal(r->memory->count(r->id, "put_many"), 2);
    for (size_t i = 0; i < 50; i++)
        expect_saved(r, b, i, 200 + i);
    finish(b);
}

/* ------------------------------------------------------------- lost answers
 */

static void answer__lost_for_all_is_settled_for_each(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(10);

    rig_fault(r, (struct rig_fault){.op = "put_many",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_ok(save(b, r->store), &b->err);
    assert_int_equal(rig_objects(r), 10);
    for (size_t i = 0; i < 10; i++)
        expect_saved(r, b, i, i);
    finish(b);
}

static void answer__lost_for_one_is_settled_for_it(void **state)
{
    static const int32_t statuses[] = {
        PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_TRANSIENT,
        PERSIST_BACKEND_TIMEOUT, PERSIST_BACKEND_THROTTLED,
        PERSIST_BACKEND_INTERNAL};
    struct rig *r = *state;

    for (size_t s = 0; s < 5; s++)
        for (uint32_t phase = MEMORY_BEFORE; phase <= MEMORY_AFTER; phase++) {
            struct batch *b = batch_of(6);
            uint64_t before = rig_objects(r);
            bool applied = phase == MEMORY_AFTER;

            rig_fault(r, (struct rig_fault){.op = "put_item",
                                            .phase = phase,
                                            .at = 3,
                                            .status = statuses[s]});
            save(b, r->store);
            rig_no_faults(r);
            /* THROTTLED says that nothing was done: what lies there then is
             * somebody else's, and the item goes to another index. */
            if (statuses[s] == PERSIST_BACKEND_THROTTLED && applied) {
                assert_ok(b->rc, &b->err);
                assert_int_equal(rig_objects(r) - before, 7);
            } else if (statuses[s] == PERSIST_BACKEND_INTERNAL && !applied) {
                /* A bug: what is under way, if anything, comes too late. */
                assert_int_equal(b->items[2].status, PERSIST_E_INTERNAL);
                assert_int_equal(rig_objects(r) - before, 6);
            } else {
                assert_ok(b->rc, &b->err);
                assert_int_equal(rig_objects(r) - before, 6);
            }
            finish(b);
        }
}

static void answer__that_is_missing_is_looked_up(void **state)
{
    static const char *const lies[] = {"lies", "many-status", NULL};
    struct rig *r = *state;
    struct persist_store *liar = rig_again(r, "liar", lies);
    struct batch *b = batch_of(5);

    assert_ok(save(b, liar), &b->err);
    assert_int_equal(rig_objects(r), 5);
    for (size_t i = 0; i < 5; i++)
        expect_saved(r, b, i, i);
    finish(b);
    persist_close(liar);
}

static void answer__that_refuses_all_is_each_item_s(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(5), *after = batch_of(5);

    rig_fault(r, (struct rig_fault){.op = "put_many",
                                    .status = PERSIST_BACKEND_NO_SPACE});
    assert_status(save(b, r->store), PERSIST_E_NO_SPACE, &b->err);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(b->items[i].status, PERSIST_E_NO_SPACE);
        assert_contains(b->items[i].error->object, "a/default");
    }
    assert_int_equal(rig_objects(r), 0);
    /* The indices are handed back. */
    assert_ok(save(after, r->store), &after->err);
    for (size_t i = 0; i < 5; i++)
        expect_saved(r, after, i, i);
    finish(b);
    finish(after);
}

static void answer__not_durable_is_told_with_the_metadata(void **state)
{
    struct rig *r = *state;
    struct batch *b = batch_of(4);

    rig_fault(r, (struct rig_fault){.op = "put_item",
                                    .phase = MEMORY_AFTER,
                                    .at = 2,
                                    .status = PERSIST_BACKEND_NOT_DURABLE});
    assert_status(save(b, r->store), PERSIST_E_NOT_DURABLE, &b->err);
    assert_int_equal(b->items[1].status, PERSIST_E_NOT_DURABLE);
    assert_non_null(b->items[1].metadata);
    assert_non_null(b->items[1].error);
    assert_int_equal(b->items[1].metadata->snapshot_index, 1);
    assert_int_equal(b->items[2].status, PERSIST_OK);
    finish(b);
}

static void cancel_it(void *ctx)
{
    persist_op_cancel(ctx);
}

static void batch__that_is_cancelled_saves_no_more(void **state)
{
    struct persist_batch_options o = PERSIST_BATCH_OPTIONS_INIT;
    struct rig *r = *state;
    struct batch *b = batch_of(300);
    unsigned saved = 0;

    assert_ok(persist_op_create(r->p, &o.op, &b->err), &b->err);
    rig_fault(r, (struct rig_fault){.op = "put_many",
                                    .phase = MEMORY_AFTER,
                                    .then = cancel_it,
                                    .ctx = o.op});
    b->rc = persist_save_batch(r->store, b->items, b->n, &o, &b->err);
    assert_status(b->rc, PERSIST_E_CANCELLED, &b->err);
    for (size_t i = 0; i < b->n; i++) {
        saved += b->items[i].status == PERSIST_OK;
        assert_true(b->items[i].status == PERSIST_OK ||
                    b->items[i].status == PERSIST_E_CANCELLED);
    }
    assert_int_equal(saved, 128); /* the chunk that was under way */
    assert_int_equal(rig_objects(r), 128);
    persist_op_destroy(o.op);
    finish(b);
}

static void batch__shows_its_progress(void **state)
{
    struct persist_batch_options o = PERSIST_BATCH_OPTIONS_INIT;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct rig *r = *state;
    struct batch *b = batch_of(20);
    uint64_t bytes = 0, stored = 0;

    assert_ok(persist_op_create(r->p, &o.op, &b->err), &b->err);
    assert_ok(persist_save_batch(r->store, b->items, b->n, &o, &b->err),
              &b->err);
    for (size_t i = 0; i < b->n; i++) {
        bytes += b->items[i].len;
        stored += b->items[i].metadata->compressed_size;
    }
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_total, bytes);
    assert_int_equal(progress.payload_bytes, bytes);
    assert_int_equal(progress.stored_bytes, stored);
    persist_op_destroy(o.op);
    finish(b);
}

/* --------------------------------------------------------- without put_many
 */

static void batch__without_put_many_puts_in_parallel(void **state)
{
    struct rig *r = *state;
    struct persist_store_builder *builder = NULL;
    struct persist_store *store = NULL;
    struct batch *b = batch_of(200);
    char address[64];

    assert_ok(
        persist_store_builder_create(r->p, "memory-single", &builder, &b->err),
        &b->err);
    persist_store_builder_set(builder, "store", "single");
    assert_ok(persist_store_builder_build(builder, &store, &b->err), &b->err);
    assert_ok(save(b, store), &b->err);
    for (size_t i = 0; i < b->n; i++) {
        void *data = NULL;
        size_t len = 0;

        assert_int_equal(b->items[i].metadata->snapshot_index, i);
        snprintf(address, sizeof address, "a@%zu", i);
        assert_ok(persist_restore_buffer(store, address, 0, NULL, &data, &len,
                                         NULL, &b->err),
                  &b->err);
        assert_string_equal(data, b->texts[i]);
        persist_free(data);
    }
    persist_close(store);
    finish(b);
}

/* --------------------------------------------------------------- properties
 */

struct chaos {
    struct rig *r;
    _Atomic uint32_t seed; /* ops of one batch run beside each other */
    uint64_t next_claim;
};

static uint32_t roll(struct chaos *c)
{
    uint32_t was = atomic_load(&c->seed), now;

    do
        now = was * 1664525 + 1013904223;
    while (!atomic_compare_exchange_weak(&c->seed, &was, now));
    return now >> 16;
}

/* Anything may happen to anything, before or after it has taken effect; and
 * another saver takes indices meanwhile. */
static int32_t chaos_hook(void *ctx, const struct memory_event *e)
{
    static const int32_t statuses[] = {
        PERSIST_BACKEND_UNCERTAIN,   PERSIST_BACKEND_TRANSIENT,
        PERSIST_BACKEND_TIMEOUT,     PERSIST_BACKEND_NO_SPACE,
        PERSIST_BACKEND_NOT_DURABLE, PERSIST_BACKEND_IO,
        PERSIST_BACKEND_DENIED};
    struct chaos *c = ctx;
    bool is_write = strncmp(e->op, "put", 3) == 0;
    uint32_t dice = roll(c);
    int32_t status = statuses[roll(c) % (is_write ? 7 : 1)];

    if (e->phase == MEMORY_BEFORE && !strcmp(e->op, "put_many") &&
        dice % 3 == 0)
        rig_put_claim(c->r, c->next_claim + roll(c) % 4);
    if (dice % 12 || (!is_write && strcmp(e->op, "list")))
        return 0;
    if (!is_write)
        return PERSIST_BACKEND_TRANSIENT;
    /* A definite refusal after the effect, and a weak success before it, would
     * be lies. */
    if (e->phase == MEMORY_BEFORE && status == PERSIST_BACKEND_NOT_DURABLE)
        return 0;
    if (e->phase == MEMORY_AFTER &&
        (status == PERSIST_BACKEND_NO_SPACE || status == PERSIST_BACKEND_IO ||
         status == PERSIST_BACKEND_DENIED || e->status != PERSIST_BACKEND_OK))
        return 0;
    return status;
}

static unsigned count_equal(struct rig *r, const char *text, uint64_t upto)
{
    unsigned found = 0;

    for (uint64_t i = 0; i < upto; i++) {
        struct persist_error err;
        char address[32];
        void *data = NULL;
        size_t len = 0;

        if (rig_size(r, i, KEY_SNAP) <= 256)
            continue;
        snprintf(address, sizeof address, "a@%llu", (unsigned long long)i);
        assert_ok(persist_restore_buffer(r->store, address, 0, NULL, &data,
                                         &len, NULL, &err),
                  &err);
        found += strcmp(data, text) == 0;
        persist_free(data);
    }
    return found;
}

static void batch__keeps_its_word_whatever_fails(void **state)
{
    struct rig *r = *state;

    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct chaos c = {r, seed * 2654435761U, 0};
        struct batch *b = batch_of(1 + seed % 7);

        r->memory->reset(r->id);
        rig_pass_days(r, 2); /* forget */
        r->memory->set_hook(r->id, chaos_hook, &c);
        save(b, r->store);
        r->memory->set_hook(r->id, NULL, NULL);
        for (size_t i = 0; i < b->n; i++) {
            int32_t status = b->items[i].status;
            unsigned there = count_equal(r, b->texts[i], 40);

            if (status == PERSIST_OK || status == PERSIST_E_NOT_DURABLE) {
                assert_int_equal(there, 1);
                assert_non_null(b->items[i].metadata);
            } else if (status == PERSIST_E_UNCERTAIN) {
                assert_in_range(there, 0, 1);
            } else {
                assert_int_equal(there, 0);
            }
        }
        finish(b);
    }
}

/* ------------------------------------------------------------------ threads
 */

#define SAVERS 6
#define ROUNDS 20
#define EACH 9

struct saver {
    pthread_t thread;
    struct rig *r;
    struct persist_store *store;
    bool batches;
    size_t n_indices;
    uint64_t indices[ROUNDS * EACH];
};

static void save_batches(struct saver *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct batch *b = batch_of(EACH);

        if (save(b, s->store) == PERSIST_OK)
            for (size_t k = 0; k < EACH; k++)
                s->indices[s->n_indices++] =
                    b->items[k].metadata->snapshot_index;
        finish(b);
    }
}

static void *run_saver(void *ctx)
{
    struct saver *s = ctx;
    struct persist_metadata *m;
    struct persist_error err;

    if (s->batches) {
        save_batches(s);
        return NULL;
    }
    for (int i = 0; i < ROUNDS * EACH; i++) {
        if (persist_save_buffer(s->store, "a", "x", 1, NULL, &m, &err))
            return NULL;
        s->indices[s->n_indices++] = m->snapshot_index;
        persist_metadata_free(m);
    }
    return NULL;
}

/* Batches and single savers, of one handle and of another. */
static void savers__of_one_session_share_its_indices(void **state)
{
    struct rig *r = *state;
    struct persist_store *other = rig_again(r, "other", NULL);
    struct saver savers[SAVERS] = {0};
    static char seen[SAVERS * ROUNDS * EACH * 2];

    memset(seen, 0, sizeof seen);
    for (int i = 0; i < SAVERS; i++) {
        savers[i].r = r;
        savers[i].store = i % 3 == 2 ? other : r->store;
        savers[i].batches = i % 2 == 0;
        assert_int_equal(
            pthread_create(&savers[i].thread, NULL, run_saver, &savers[i]), 0);
    }
    for (int i = 0; i < SAVERS; i++) {
        pthread_join(savers[i].thread, NULL);
        assert_int_equal(savers[i].n_indices, ROUNDS * EACH);
        for (size_t k = 0; k < savers[i].n_indices; k++) {
            assert_true(savers[i].indices[k] < sizeof seen);
            assert_int_equal(seen[savers[i].indices[k]]++, 0);
        }
    }
    assert_int_equal(rig_objects(r), SAVERS * ROUNDS * EACH);
    persist_close(other);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(batch__is_one_listing_and_one_request),
        T(batch__lists_nothing_when_the_store_remembers),
        T(batch__larger_than_a_chunk_goes_on),
        T(batch__mixes_sessions),
        T(batch__of_nothing_does_nothing),
        T(batch__refuses_items_it_cannot_read),
        T(batch__that_never_begins_says_so_of_every_item),
        T(item__that_is_wrong_does_not_stop_the_others),
        T(item__keeps_its_own_options),
        T(item__that_cannot_share_keeps_its_place),
        T(item__unchanged_or_dry_writes_nothing),
        T(race__lost_by_one_item_gives_it_the_next_index),
        T(race__lost_by_all_is_listed_once),
        T(answer__lost_for_all_is_settled_for_each),
        T(answer__lost_for_one_is_settled_for_it),
        T(answer__that_is_missing_is_looked_up),
        T(answer__that_refuses_all_is_each_item_s),
        T(answer__not_durable_is_told_with_the_metadata),
        T(batch__that_is_cancelled_saves_no_more),
        T(batch__shows_its_progress),
        T(batch__without_put_many_puts_in_parallel),
        T(batch__keeps_its_word_whatever_fails),
        T(savers__of_one_session_share_its_indices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
