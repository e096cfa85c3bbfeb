/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Savers against each other: lost races, lost replies, fences, asserted
 * indices, and handles that remember.
 */
#include "engine/save_test_kit.h"

#include <stdlib.h>
#include <string.h>

static int save_with(struct persist_store *store, const char *text,
                     uint32_t flags, uint64_t number, uint64_t *out_index,
                     struct persist_error *err)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_metadata *m = NULL;
    int rc;

    o.flags = flags;
    o.index = flags & PERSIST_SAVE_INDEX ? number : 0;
    o.after = flags & PERSIST_SAVE_AFTER ? number : 0;
    rc = persist_save_buffer(store, "a", text, strlen(text), &o, &m, err);
    if (m && out_index)
        *out_index = m->snapshot_index;
    persist_metadata_free(m);
    return rc;
}

/* ---------------------------------------------------------------- lost races
 */

static void save__steps_aside_for_a_faster_one(void **state)
{
    struct rig *r = *state;
    struct persist_store *other = rig_again(r, "other", NULL);
    struct persist_error err = {0};
    uint64_t index;

    rig_save(r, "zero", 0);
    assert_ok(save_with(other, "theirs", 0, 0, &index, &err), &err);
    assert_int_equal(index, 1);
    /* Our handle believes that 1 is next. */
    atomic_store(&r->calls, 0);
    rig_save(r, "ours", 2);
    assert_int_equal(atomic_load(&r->calls), 3); /* put, list, put */
    rig_expect(r, "a@1", "theirs", 6);
    rig_expect(r, "a@2", "ours", 4);
    assert_ok(persist_verify(r->store, "a@2", NULL, NULL, &err), &err);
    persist_close(other);
}

struct racer {
    struct rig *r;
    uint64_t index;
};

static void take_index(void *ctx)
{
    struct racer *racer = ctx;

    rig_put_claim(racer->r, racer->index++);
}

static void save__lists_once_per_lost_race(void **state)
{
    struct rig *r = *state;
    struct racer racer = {r, 0};

    rig_fault(r,
              (struct rig_fault){
                  .op = "put", .times = 3, .then = take_index, .ctx = &racer});
    rig_save(r, "x", 3);
    assert_int_equal(r->memory->count(r->id, "list"), 4);
    assert_int_equal(r->memory->count(r->id, "put"), 4);
}

static void save__gives_up_on_a_store_that_says_exists_for_ever(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_EXISTS});
    assert_status(save_with(r->store, "x", 0, 0, NULL, &err),
                  PERSIST_E_TRANSIENT, &err);
    assert_contains(err.message, "1000 times");
}

static void save__goes_past_tombstones_and_claims(void **state)
{
    struct rig *r = *state;

    rig_put_tombstone(r, 4);
    rig_save(r, "five", 5);
    rig_put_claim(r, 9);
    atomic_fetch_add(&r->boot_ns, UINT64_C(120000000000));
    rig_save(r, "ten", 10); /* gaps are never filled */
    assert_false(rig_has(r, 6, KEY_SNAP));
}

static void save__ends_where_indices_end(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_put_tombstone(r, PERSIST_INDEX_MAX - 1);
    rig_save(r, "last", PERSIST_INDEX_MAX);
    assert_status(save_with(r->store, "x", 0, 0, NULL, &err),
                  PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "last index");
}

/* ------------------------------------------------------------- lost replies
 */

static void save__recognises_its_own_put(void **state)
{
    struct rig *r = *state;

    rig_save(r, "zero", 0);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_save(r, "one", 1);
    assert_int_equal(rig_objects(r), 2);
    rig_expect(r, "a@1", "one", 3);
    rig_save(r, "two", 2);
}

static void save__recognises_its_own_put_behind_a_long_header(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    char *description = malloc(50001);
    struct rig *r = *state;
    struct persist_error err = {0};

    memset(description, 'd', 50000);
    description[50000] = '\0';
    o.description = description;
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_ok(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err), &err);
    assert_int_equal(rig_objects(r), 1);
    free(description);
}

static void save__repeats_the_same_key_after_a_lost_request(void **state)
{
    struct rig *r = *state;

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = 3,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_save(r, "zero", 0);
    assert_int_equal(rig_objects(r), 1);
}

static void take_zero(void *ctx)
{
    rig_put_claim(ctx, 0);
}

static void save__moves_on_when_a_doubtful_key_is_another_s(void **state)
{
    struct rig *r = *state;

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .status = PERSIST_BACKEND_UNCERTAIN,
                                    .then = take_zero,
                                    .ctx = r});
    rig_save(r, "one", 1);
    assert_int_equal(rig_objects(r), 2);
}

static void delete_it(void *ctx)
{
    struct persist_error err = {0};

    assert_ok(persist_delete(ctx, "a@0", NULL, NULL, &err), &err);
}

static void save__recognises_its_own_put_behind_a_tombstone(void **state)
{
    struct rig *r = *state;
    struct persist_store *other = rig_again(r, "other", NULL);

    /* Written, the answer lost, deleted by someone, then put again. */
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .actor = "main",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN,
                                    .then = delete_it,
                                    .ctx = other});
    rig_save(r, "zero", 0);
    assert_int_equal(rig_objects(r), 1);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), 192);
    persist_close(other);
}

static void save__says_uncertain_and_names_the_key(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_status(save_with(r->store, "x", 0, 0, NULL, &err),
                  PERSIST_E_UNCERTAIN, &err);
    rig_key(0, KEY_SNAP, key);
    assert_string_equal(err.object, key);
    assert_int_equal(persist_status_exit_code(err.status), 11);
    /* Every repetition was for the same key. */
    assert_int_equal(r->memory->count(r->id, "list"), 1);
    rig_no_faults(r);
    /* That index stays a gap for this handle: it may yet appear. */
    rig_save(r, "y", 1);
}

static void save__settles_by_looking_where_repeating_fails(void **state)
{
    struct rig *r = *state;

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_save(r, "zero", 0);
    assert_int_equal(rig_objects(r), 1);
}

static void cancel_main(void *ctx)
{
    persist_op_cancel(ctx);
}

static void save__settles_a_put_it_was_cancelled_in(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    struct persist_metadata *m = NULL;

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    /* Applied; then the answer is lost and the caller cancels. */
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN,
                                    .then = cancel_main,
                                    .ctx = o.op});
    assert_ok(persist_save_buffer(r->store, "a", "x", 1, &o, &m, &err), &err);
    assert_int_equal(m->snapshot_index, 0);
    persist_metadata_free(m);
    persist_op_destroy(o.op);
    rig_expect(r, "a@0", "x", 1);
}

/* A put that was cut short may still arrive: the key is taken from it. */
static void save__makes_sure_that_a_cancelled_put_does_not_arrive(void **state)
{
    static const int32_t statuses[] = {PERSIST_BACKEND_CANCELLED,
                                       PERSIST_BACKEND_UNCERTAIN};
    struct rig *r = *state;
    uint64_t i;

    for (i = 0; i < 2; i++) {
        struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
        struct persist_error err = {0};

        assert_ok(persist_op_create(r->p, &o.op, &err), &err);
        rig_fault(r, (struct rig_fault){.op = "put",
                                        .status = statuses[i],
                                        .then = cancel_main,
                                        .ctx = o.op});
        assert_status(
            persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err),
            PERSIST_E_CANCELLED, &err);
        assert_int_equal(rig_size(r, i, KEY_SNAP), 192);
        persist_op_destroy(o.op);
        rig_no_faults(r);
    }
    rig_save(r, "x", 2);
}

#define SECOND UINT64_C(1000000000)

static void wait_a_second(void *ctx)
{
    struct rig *r = ctx;

    atomic_fetch_add(&r->boot_ns, SECOND);
}

/* A store that answers nothing any more holds its caller for a few seconds
 * after the deadline, not for as many for each thing that is left to do. */
static void save__settles_within_a_time_of_its_own(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    uint64_t began_ns = atomic_load(&r->boot_ns);

    o.timeout_ms = 3000;
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN,
                                    .then = wait_a_second,
                                    .ctx = r});
    assert_status(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err),
                  PERSIST_E_UNCERTAIN, &err);
    assert_in_range((atomic_load(&r->boot_ns) - began_ns) / SECOND, 3, 10);
}

/* What took the key must not be taken for the save, when its own answer is
 * lost. */
static void save__does_not_mistake_its_block_for_itself(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .status = PERSIST_BACKEND_CANCELLED,
                                    .then = cancel_main,
                                    .ctx = o.op});
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_status(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_int_equal(r->memory->count(r->id, "put"), 3);
    persist_op_destroy(o.op);
}

static void save__makes_sure_that_an_uncertain_put_does_not_arrive(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    int i;

    /* backend/retry and the machine repeat it; the block then goes through. */
    for (i = 1; i < 200; i++) {
        rig_fault(r, (struct rig_fault){.op = "put",
                                        .times = (uint32_t)i,
                                        .status = PERSIST_BACKEND_UNCERTAIN});
        if (save_with(r->store, "x", 0, 0, NULL, &err) != PERSIST_OK)
            break;
        rig_no_faults(r);
    }
    assert_int_equal(err.status, PERSIST_E_TRANSIENT);
    assert_contains(err.message, "made certain");
}

static void sleep_two_days(void *ctx)
{
    struct rig *r = ctx;

    rig_pass_days(r, 2);
}

static void save__sends_nothing_on_knowledge_of_yesterday(void **state)
{
    struct rig *r = *state;

    /* The machine is suspended between the listing and the put. */
    rig_fault(r, (struct rig_fault){.op = "list",
                                    .phase = MEMORY_AFTER,
                                    .then = sleep_two_days,
                                    .ctx = r});
    rig_save(r, "zero", 0);
    assert_int_equal(r->memory->count(r->id, "list"), 2);
    assert_int_equal(r->memory->count(r->id, "put"), 1);
}

static void save__repeats_nothing_on_knowledge_of_yesterday(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN,
                                    .then = sleep_two_days,
                                    .ctx = r});
    assert_status(save_with(r->store, "x", 0, 0, NULL, &err),
                  PERSIST_E_UNCERTAIN, &err);
    assert_int_equal(r->memory->count(r->id, "put"), 1);
}

/* ------------------------------------------------------------------- index
 */

static void index__asserts_what_is_next(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    uint64_t index;

    assert_status(save_with(r->store, "x", PERSIST_SAVE_INDEX, 1, NULL, &err),
                  PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "index 1 is not next: 0 is");
    assert_ok(save_with(r->store, "x", PERSIST_SAVE_INDEX, 0, &index, &err),
              &err);
    assert_int_equal(index, 0);
    assert_status(save_with(r->store, "x", PERSIST_SAVE_INDEX, 0, NULL, &err),
                  PERSIST_E_CONFLICT, &err);
    assert_ok(save_with(r->store, "x", PERSIST_SAVE_INDEX, 1, &index, &err),
              &err);
    rig_save(r, "next", 2);
}

static void index__conflicts_when_it_loses_the_race(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put", .then = take_zero, .ctx = r});
    assert_status(save_with(r->store, "x", PERSIST_SAVE_INDEX, 0, NULL, &err),
                  PERSIST_E_CONFLICT, &err);
    assert_int_equal(rig_objects(r), 1);
}

/* ------------------------------------------------------------------- fences
 */

static void after__takes_the_parent_of_its_fence(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_metadata *zero = NULL, *one = NULL;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    assert_ok(persist_show(r->store, "a@0", &zero, &err), &err);
    o.flags = PERSIST_SAVE_AFTER;
    assert_ok(persist_save_buffer(r->store, "a", "one", 3, &o, &one, &err),
              &err);
    assert_string_equal(one->parent_id, zero->snapshot_id);
    persist_metadata_free(one);
    o.after = 1;
    o.parent_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab";
    assert_ok(persist_save_buffer(r->store, "a", "two", 3, &o, &one, &err),
              &err);
    assert_string_equal(one->parent_id, o.parent_id);
    persist_metadata_free(one);
    persist_metadata_free(zero);
}

static int save_after(struct rig *r, uint64_t after, struct persist_error *err)
{
    return save_with(r->store, "x", PERSIST_SAVE_AFTER, after, NULL, err);
}

static void after__conflicts_with_a_later_snapshot(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_save(r, "one", 1);
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "index 1 was saved since 0");
    assert_string_equal(err.object, "a/default");
    assert_ok(save_after(r, 1, &err), &err);
}

static void after__passes_tombstones(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_save(r, "one", 1);
    assert_ok(persist_delete(r->store, "a@1", NULL, NULL, &err), &err);
    assert_ok(save_after(r, 0, &err), &err);
    assert_true(rig_has(r, 2, KEY_SNAP));
}

static void after__waits_seven_days_for_a_claim(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_put_claim(r, 1);
    rig_pass_days(r, 6);
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "index 1 is being saved since 0");
    rig_pass_days(r, 1);
    assert_ok(save_after(r, 0, &err), &err);
    assert_true(rig_has(r, 2, KEY_SNAP));
}

static void after__does_not_trust_this_machine_s_clock(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_put_claim(r, 1);
    /* This machine is eight days ahead of the store. */
    atomic_fetch_add(&r->wall_us, 8 * RIG_DAY_US);
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
}

/* A tombstone from when the store's clock was wrong does not age the claim. */
static void after__trusts_no_object_from_the_future(void **state)
{
    struct rig *r = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_save(r, "zero", 0);
    rig_put_claim(r, 1);
    rig_put_tombstone(r, 2);
    rig_key(2, KEY_SNAP, key);
    assert_int_equal(
        r->memory->set_modified(r->id, key, INT64_C(2145916800000000)),
        PERSIST_BACKEND_OK);
    o.flags = PERSIST_SAVE_AFTER;
    o.after = 0;
    assert_status(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err),
                  PERSIST_E_CONFLICT, &err);
}

static void after__needs_its_snapshot(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    rig_save(r, "zero", 0);
    assert_ok(persist_delete(r->store, "a@0", NULL, NULL, &err), &err);
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "deleted");
    assert_status(save_after(r, 5, &err), PERSIST_E_CONFLICT, &err);
}

static void take_two(void *ctx)
{
    struct persist_error err = {0};

    assert_ok(persist_save_buffer(ctx, "a", "theirs", 6, NULL, NULL, &err),
              &err);
}

static void after__holds_between_listing_and_put(void **state)
{
    struct rig *r = *state;
    struct persist_store *other = rig_again(r, "other", NULL);
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_fault(
        r, (struct rig_fault){
               .op = "put", .actor = "main", .then = take_two, .ctx = other});
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    assert_int_equal(rig_objects(r), 2);
    persist_close(other);
}

static void after__sees_a_key_that_no_listing_shows(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_fault(
        r, (struct rig_fault){.op = "put", .status = PERSIST_BACKEND_EXISTS});
    assert_status(save_after(r, 0, &err), PERSIST_E_CONFLICT, &err);
    assert_int_equal(rig_objects(r), 1);
}

/* ------------------------------------------------------------------ memory
 */

static void handle__hands_out_consecutive_indices(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    /* While one save puts 1, another of the same handle saves. */
    rig_fault(
        r, (struct rig_fault){.op = "put", .then = take_two, .ctx = r->store});
    rig_save(r, "one", 1);
    rig_expect(r, "a@2", "theirs", 6);
    rig_expect(r, "a@1", "one", 3);
    assert_int_equal(r->memory->count(r->id, "put"), 3);
    assert_ok(persist_verify(r->store, "a@1", NULL, NULL, &err), &err);
}

static void handle__takes_back_an_index_it_did_not_use(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_fault(
        r, (struct rig_fault){.op = "put", .status = PERSIST_BACKEND_NO_SPACE});
    assert_status(save_with(r->store, "x", 0, 0, NULL, &err),
                  PERSIST_E_NO_SPACE, &err);
    rig_save(r, "one", 1);
}

#define N_THREADS 4
#define N_EACH 40

struct crowd {
    struct persist_store *store;
    uint64_t indices[N_EACH];
};

static void *save_many(void *ctx)
{
    struct crowd *c = ctx;
    int i;

    for (i = 0; i < N_EACH; i++) {
        struct persist_error err = {0};

        if (save_with(c->store, "x", 0, 0, &c->indices[i], &err))
            c->indices[i] = UINT64_MAX;
    }
    return NULL;
}

/* Every index once; without gaps. */
static void run_crowd(struct rig *r, bool one_handle)
{
    struct crowd crowds[N_THREADS];
    bool seen[N_THREADS * N_EACH] = {false};
    pthread_t threads[N_THREADS];
    int i, k;

    for (i = 0; i < N_THREADS; i++) {
        crowds[i].store = one_handle ? r->store : rig_again(r, "other", NULL);
        assert_int_equal(
            pthread_create(&threads[i], NULL, save_many, &crowds[i]), 0);
    }
    for (i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (!one_handle)
            persist_close(crowds[i].store);
        for (k = 0; k < N_EACH; k++) {
            assert_true(crowds[i].indices[k] < N_THREADS * N_EACH);
            assert_false(seen[crowds[i].indices[k]]);
            seen[crowds[i].indices[k]] = true;
        }
    }
}

static void handle__serves_many_threads(void **state)
{
    run_crowd(*state, true);
}

static void handles__share_a_session(void **state)
{
    run_crowd(*state, false);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(save__steps_aside_for_a_faster_one),
        T(save__lists_once_per_lost_race),
        T(save__gives_up_on_a_store_that_says_exists_for_ever),
        T(save__goes_past_tombstones_and_claims),
        T(save__ends_where_indices_end),
        T(save__recognises_its_own_put),
        T(save__recognises_its_own_put_behind_a_long_header),
        T(save__repeats_the_same_key_after_a_lost_request),
        T(save__moves_on_when_a_doubtful_key_is_another_s),
        T(save__recognises_its_own_put_behind_a_tombstone),
        T(save__says_uncertain_and_names_the_key),
        T(save__settles_by_looking_where_repeating_fails),
        T(save__settles_a_put_it_was_cancelled_in),
        T(save__makes_sure_that_a_cancelled_put_does_not_arrive),
        T(save__settles_within_a_time_of_its_own),
        T(save__does_not_mistake_its_block_for_itself),
        T(save__makes_sure_that_an_uncertain_put_does_not_arrive),
        T(save__sends_nothing_on_knowledge_of_yesterday),
        T(save__repeats_nothing_on_knowledge_of_yesterday),
        T(index__asserts_what_is_next),
        T(index__conflicts_when_it_loses_the_race),
        T(after__takes_the_parent_of_its_fence),
        T(after__conflicts_with_a_later_snapshot),
        T(after__passes_tombstones),
        T(after__waits_seven_days_for_a_claim),
        T(after__does_not_trust_this_machine_s_clock),
        T(after__trusts_no_object_from_the_future),
        T(after__needs_its_snapshot),
        T(after__holds_between_listing_and_put),
        T(after__sees_a_key_that_no_listing_shows),
        T(handle__hands_out_consecutive_indices),
        T(handle__takes_back_an_index_it_did_not_use),
        T(handle__serves_many_threads),
        T(handles__share_a_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
