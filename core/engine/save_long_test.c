/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long saves: claim, parts, commit, and how they give up.  Most tests use a
 * store that takes 64 KiB in one put, so that 200 KB are a long save.
 */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEN 200000
/* Half of it lies beyond the claim, however many frames are read ahead. */
#define STOPPED_LEN 4000000

static const char *const small_puts[] = {"put_max", "64K", "part_max", "64K",
                                         NULL};

static int long_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    rig_open(r, 0, small_puts);
    *state = r;
    return 0;
}

static struct persist_save_options options(uint32_t flags)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;

    o.flags = flags;
    o.frame_size = 65536;
    return o;
}

struct stream {
    const uint8_t *data;
    size_t len;
    size_t given;
    int status; /* at the end */
    void (*at_half)(void *ctx);
    void *ctx;
};

static int read_stream(void *ctx, void *out, size_t cap, size_t *out_len,
                       struct persist_error *err)
{
    struct stream *s = ctx;
    size_t n = s->len - s->given < cap ? s->len - s->given : cap;

    (void)err;
    if (s->at_half && s->given >= s->len / 2) {
        s->at_half(s->ctx);
        s->at_half = NULL;
    }
    if (!n)
        return s->status;
    memcpy(out, s->data + s->given, n);
    s->given += n;
    *out_len = n;
    return 0;
}

static int save_stream(struct rig *r, struct stream *s,
                       const struct persist_save_options *o,
                       struct persist_metadata **m, struct persist_error *err)
{
    struct persist_source source = PERSIST_SOURCE_INIT;

    source.read = read_stream;
    source.ctx = s;
    return persist_save(r->store, "a", &source, o, m, err);
}

/* Saves LEN bytes of noise from memory. */
static int save_noise(struct rig *r, uint32_t seed,
                      const struct persist_save_options *o,
                      struct persist_error *err)
{
    struct persist_save_options plain = options(0);
    uint8_t *data = rig_noise(LEN, seed);
    int rc = persist_save_buffer(r->store, "a", data, LEN, o ? o : &plain, NULL,
                                 err);

    free(data);
    return rc;
}

static void expect_noise(struct rig *r, const char *address, uint32_t seed)
{
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, seed);

    rig_expect(r, address, data, LEN);
    assert_ok(persist_verify(r->store, address, NULL, NULL, &err), &err);
    free(data);
}

/* The claim was given up, nothing is visible, and a fence is free. */
static void expect_given_up(struct rig *r, uint64_t index)
{
    struct persist_error err = {0};
    int exists = 1;

    assert_int_equal(rig_size(r, index, KEY_SNAP), 192);
    assert_false(rig_has(r, index, KEY_DATA));
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_ok(persist_exists(r->store, "a", &exists, &err), &err);
    assert_int_equal(exists, 0);
}

/* -------------------------------------------------------------- it works */

static void long_save__claims_then_commits(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 1);

    assert_ok(persist_save_buffer(r->store, "a", data, LEN, &o, &m, &err),
              &err);
    assert_int_equal(m->snapshot_index, 0);
    assert_int_equal(m->uncompressed_size, LEN);
    assert_int_equal(m->compressed_size, rig_size(r, 0, KEY_DATA));
    assert_int_equal(rig_size(r, 0, KEY_SNAP), 256);
    assert_int_equal(rig_objects(r), 2);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(r->memory->count(r->id, "upload_part"), 4);
    expect_noise(r, "a@0", 1);
    persist_metadata_free(m);
    free(data);
    rig_save(r, "short", 1);
    assert_ok(save_noise(r, 2, NULL, &err), &err);
    expect_noise(r, "a@2", 2);
}

static void long_save__streams_what_has_no_size(void **state)
{
    struct persist_save_options o = options(PERSIST_SAVE_SIZE_HINT);
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 3);
    struct stream s = {.data = data, .len = LEN};

    o.size_hint = 1000000;
    o.compression = PERSIST_COMPRESSION_GZIP;
    assert_ok(save_stream(r, &s, &o, &m, &err), &err);
    assert_int_equal(m->uncompressed_size, LEN);
    assert_int_equal(m->compressed_size, rig_size(r, 0, KEY_DATA));
    persist_metadata_free(m);
    free(data);
    expect_noise(r, "a", 3);
}

static void long_save__fits_the_limits_of_a_store(void **state)
{
    static const char *const rows[][12] = {
        {"put_max", "64K", "part_max", "70K", "part_align", "4K", NULL},
        {"put_max", "64K", "part_max", "64K", "equal_parts", "true", NULL},
        {"put_max", "10K", "part_max", "64K", "part_min", "64K", NULL},
        {"put_max", "64K", "part_max", "1000000", "parts_max", "1", NULL},
        {"put_max", "64K", "unordered", "true", NULL},
        {"put_max", "64K", "part_max", "64K", "parallel_max", "1", "serial",
         "true", NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct persist_error err = {0};
        struct rig r;

        rig_open(&r, 0, rows[i]);
        assert_ok(save_noise(&r, 4, NULL, &err), &err);
        assert_true(rig_has(&r, 0, KEY_DATA));
        expect_noise(&r, "a", 4);
        rig_close(&r);
    }
}

static void long_save__says_what_a_store_cannot_take(void **state)
{
    static const char *const rows[][8] = {
        {"put_max", "64K", "part_max", "64K", "parts_max", "2", NULL},
        {"put_max", "64K", "object_max", "100000", NULL},
    };
    static const char *const says[] = {"takes at most 128.0 KiB",
                                       "takes at most 97.7 KiB"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct persist_error err = {0};
        struct rig r;

        rig_open(&r, 0, rows[i]);
        assert_status(save_noise(&r, 4, NULL, &err), PERSIST_E_INVALID, &err);
        assert_contains(err.message, says[i]);
        assert_int_equal(rig_objects(&r), 0); /* not even a claim */
        rig_close(&r);
    }
}

static void long_save__begins_above_eight_mebibytes(void **state)
{
    const size_t len = 9 << 20;
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(len, 5);

    assert_ok(
        persist_save_buffer(r->store, "a", data, 8300000, NULL, NULL, &err),
        &err);
    assert_false(rig_has(r, 0, KEY_DATA));
    assert_ok(persist_save_buffer(r->store, "a", data, len, NULL, NULL, &err),
              &err);
    assert_int_equal(rig_size(r, 1, KEY_SNAP), 256);
    assert_true(rig_has(r, 1, KEY_DATA));
    rig_expect(r, "a@1", data, len);
    /* What compresses well is short however long it is. */
    memset(data, 'x', len);
    assert_ok(persist_save_buffer(r->store, "a", data, len, NULL, NULL, &err),
              &err);
    assert_false(rig_has(r, 2, KEY_DATA));
    rig_expect(r, "a@2", data, len);
    free(data);
}

static void long_save__stays_in_its_memory(void **state)
{
    const size_t len = 20 << 20;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(len, 6);
    struct stream s = {.data = data, .len = len};
    struct rig r;

    (void)state;
    rig_open(&r, 32 << 20, NULL);
    o.flags = PERSIST_SAVE_LEVEL;
    o.level = 1;
    assert_ok(save_stream(&r, &s, &o, NULL, &err), &err);
    assert_int_equal(r.memory->count(r.id, "upload_part"), 3);
    assert_true(budget_peak(r.p->budget) <= 32 << 20);
    rig_expect(&r, "a", data, len);
    free(data);
    rig_close(&r);
}

static int read_reader(void *ctx, void *out, size_t cap, size_t *out_len,
                       struct persist_error *err)
{
    return persist_reader_read(ctx, out, cap, out_len, err);
}

/* The most natural nested use, by which memory_limit must not be outgrown: at
 * the default and below, also with several readers open at once. */
static void copies__from_readers_fit_into_the_limit(void **state)
{
    static const struct {
        uint64_t limit;
        unsigned n_readers;
    } rows[] = {{0, 1}, {32 << 20, 1}, {64 << 20, 2}, {0, 3}};
    const size_t len = 30 << 20;
    uint8_t *data = rig_noise(len, 6);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct persist_source source = PERSIST_SOURCE_INIT;
        struct persist_reader *readers[3] = {NULL};
        struct stream s = {.data = data, .len = len};
        struct persist_error err = {0};
        struct rig r;

        rig_open(&r, rows[i].limit, NULL);
        assert_ok(save_stream(&r, &s, NULL, NULL, &err), &err);
        for (unsigned n = 0; n < rows[i].n_readers; n++)
            assert_ok(
                persist_reader_open(r.store, "a@0", NULL, &readers[n], &err),
                &err);
        source.read = read_reader;
        source.ctx = readers[0];
        assert_ok(persist_save(r.store, "copy", &source, NULL, NULL, &err),
                  &err);
        assert_true(budget_peak(r.p->budget) <= budget_limit(r.p->budget));
        rig_expect(&r, "copy", data, len);
        for (unsigned n = 0; n < rows[i].n_readers; n++)
            persist_reader_close(readers[n]);
        rig_close(&r);
    }
    free(data);
}

/* A sink that saves in the midst of what it is given. */
struct saving_sink {
    struct rig *r;
    struct stream s;
    size_t got;
    int rc;
    pthread_t waiter; /* of save_before_a_waiter */
};

static int save_at_first(void *ctx, const void *data, size_t len,
                         struct persist_error *err)
{
    struct saving_sink *k = ctx;
    struct persist_source source = PERSIST_SOURCE_INIT;

    (void)data;
    source.read = read_stream;
    source.ctx = &k->s;
    if (k->got == 0)
        k->rc = persist_save(k->r->store, "copy", &source, NULL, NULL, err);
    k->got += len;
    return k->rc;
}

static int restore_and_save(struct saving_sink *k, struct persist_error *err)
{
    struct persist_sink sink = PERSIST_SINK_INIT;

    sink.write = save_at_first;
    sink.ctx = k;
    return persist_restore(k->r->store, "a@0", &sink, NULL, NULL, err);
}

/* Also where reads are sixteen at a time, as over a network. */
static void saves__from_a_sink_fit_into_the_limit(void **state)
{
    static const uint64_t limits[] = {0, 64 << 20, 32 << 20};
    static const char *const far[] = {"parts_max", "10000", NULL};
    const size_t len = 60 << 20;
    uint8_t *data = rig_noise(len, 6);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(limits) / sizeof(limits[0]); i++) {
        struct stream s = {.data = data, .len = len};
        struct persist_error err = {0};
        struct rig r;
        struct saving_sink k = {.r = &r, .s = s};

        rig_open(&r, limits[i / 2], i % 2 ? far : NULL);
        assert_ok(save_stream(&r, &s, NULL, NULL, &err), &err);
        assert_ok(restore_and_save(&k, &err), &err);
        assert_int_equal(k.got, len);
        assert_true(budget_peak(r.p->budget) <= budget_limit(r.p->budget));
        rig_close(&r);
    }
    free(data);
}

static void *want_it_all(void *ctx)
{
    struct rig *r = ctx;
    struct persist_op op;
    uint64_t all = budget_limit(r->p->budget);

    assert_int_equal(op_init(&op, NULL), 0);
    assert_int_equal(
        budget_reserve(r->p->budget, all, &op.cancel, &clock_system, 0), 0);
    budget_release(r->p->budget, all);
    op_finish(&op);
    return NULL;
}

/* It waits for what the restore holds, and so would the save behind it. */
static int save_before_a_waiter(void *ctx, const void *data, size_t len,
                                struct persist_error *err)
{
    struct saving_sink *k = ctx;
    struct budget *b = k->r->p->budget;

    if (k->got == 0) {
        assert_int_equal(pthread_create(&k->waiter, NULL, want_it_all, k->r),
                         0);
        while (budget_reserve_now(b, 1) == PERSIST_OK) /* it does not yet */
            budget_release(b, 1);
    }
    return save_at_first(ctx, data, len, err);
}

static void save__from_a_sink_goes_before_who_waits_for_it(void **state)
{
    const size_t len = 60 << 20;
    uint8_t *data = rig_noise(len, 6);
    struct stream s = {.data = data, .len = len};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};
    struct rig *r = *state;
    struct saving_sink k = {.r = r, .s = s};

    assert_ok(save_stream(r, &s, NULL, NULL, &err), &err);
    sink.write = save_before_a_waiter;
    sink.ctx = &k;
    assert_ok(persist_restore(r->store, "a@0", &sink, NULL, NULL, &err), &err);
    assert_int_equal(pthread_join(k.waiter, NULL), 0);
    free(data);
}

static void take_zero(void *ctx)
{
    rig_put_claim(ctx, 0);
}

static void long_save__loses_a_race_before_it_uploads(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put", .then = take_zero, .ctx = r});
    assert_ok(save_noise(r, 7, NULL, &err), &err);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 1);
    expect_noise(r, "a@1", 7);
}

static void dry_run__measures_a_long_save(void **state)
{
    struct persist_save_options o = options(PERSIST_SAVE_DRY_RUN);
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 8);
    struct stream s = {.data = data, .len = LEN};

    assert_ok(save_stream(r, &s, &o, &m, &err), &err);
    assert_int_equal(m->uncompressed_size, LEN);
    assert_true(m->compressed_size > LEN / 2);
    assert_int_equal(rig_objects(r), 0);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 0);
    persist_metadata_free(m);
    free(data);
}

/* ----------------------------------------------------------- it gives up */

static void skip_unchanged__takes_back_a_stream(void **state)
{
    struct persist_save_options o = options(PERSIST_SAVE_SKIP_UNCHANGED);
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 9);
    struct stream s = {.data = data, .len = LEN};

    assert_ok(save_noise(r, 9, NULL, &err), &err);
    assert_ok(save_stream(r, &s, &o, &m, &err), &err);
    assert_true(m->present & PERSIST_META_UNCHANGED);
    assert_int_equal(m->snapshot_index, 0);
    persist_metadata_free(m);
    assert_int_equal(rig_size(r, 1, KEY_SNAP), 192);
    assert_false(rig_has(r, 1, KEY_DATA));
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    /* A buffer is hashed first: no claim at all. */
    assert_ok(save_noise(r, 9, &o, &err), &err);
    assert_false(rig_has(r, 2, KEY_SNAP));
    /* The given-up claim is in nobody's way. */
    o = options(PERSIST_SAVE_AFTER);
    assert_ok(save_noise(r, 10, &o, &err), &err);
    expect_noise(r, "a@2", 10);
    free(data);
}

static void source__failure_takes_the_claim_back(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(STOPPED_LEN, 11);
    struct stream s = {
        .data = data, .len = STOPPED_LEN, .status = PERSIST_E_IO};

    assert_status(save_stream(r, &s, &o, NULL, &err), PERSIST_E_IO, &err);
    expect_given_up(r, 0);
    free(data);
}

static void cancel(void *ctx)
{
    persist_op_cancel(ctx);
}

static void interrupt(void *ctx)
{
    persist_interrupt(ctx);
}

static void cancel__takes_the_claim_back(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(STOPPED_LEN, 12);
    struct stream s = {.data = data, .len = STOPPED_LEN, .at_half = cancel};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    s.ctx = o.op;
    assert_status(save_stream(r, &s, &o, NULL, &err), PERSIST_E_CANCELLED,
                  &err);
    assert_string_equal(err.message, "cancelled");
    assert_string_equal(err.object, "a/default");
    expect_given_up(r, 0);
    persist_op_destroy(o.op);
    free(data);
}

static void interrupt__takes_the_claim_back(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(STOPPED_LEN, 13);
    struct stream s = {
        .data = data, .len = STOPPED_LEN, .at_half = interrupt, .ctx = r->p};

    assert_status(save_stream(r, &s, &o, NULL, &err), PERSIST_E_CANCELLED,
                  &err);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), 192);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    free(data);
}

static void deadline__takes_the_claim_back(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_error err = {0};

    o.timeout_ms = 60000;
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_TRANSIENT});
    assert_int_not_equal(save_noise(r, 14, &o, &err), PERSIST_OK);
    expect_given_up(r, 0);
}

static void begin__failure_takes_the_claim_back(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_begin",
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(save_noise(r, 15, NULL, &err), PERSIST_E_DENIED, &err);
    expect_given_up(r, 0);
}

static void claim__must_be_durable(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_NOT_DURABLE});
    assert_status(save_noise(r, 16, NULL, &err), PERSIST_E_IO, &err);
    assert_contains(err.message, "claim");
    expect_given_up(r, 0);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 0);
}

static void claim__in_doubt_is_found_again(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_ok(save_noise(r, 17, NULL, &err), &err);
    expect_noise(r, "a@0", 17);
}

static void give_up__failing_is_logged(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .status = PERSIST_BACKEND_NO_SPACE});
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .at = 2,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save_noise(r, 18, NULL, &err), PERSIST_E_NO_SPACE, &err);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), 256);
    assert_contains(r->log.data, "claim could not be given up");
    assert_contains(r->log.data, "upload could not be aborted");
}

/* ------------------------------------------------------------- the commit */

static void commit__lost_reply_is_settled(void **state)
{
    static const uint32_t phases[] = {MEMORY_BEFORE, MEMORY_AFTER};
    struct rig *r = *state;
    uint32_t i;

    for (i = 0; i < 2; i++) {
        struct persist_error err = {0};
        char address[8];

        rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                        .phase = phases[i],
                                        .status = PERSIST_BACKEND_UNCERTAIN});
        assert_ok(save_noise(r, 20 + i, NULL, &err), &err);
        snprintf(address, sizeof address, "a@%u", (unsigned)i);
        expect_noise(r, address, 20 + i);
        assert_int_equal(r->memory->n_uploads(r->id), 0);
        rig_no_faults(r);
    }
}

static void commit__settles_by_looking(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .phase = MEMORY_AFTER,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_ok(save_noise(r, 22, NULL, &err), &err);
    expect_noise(r, "a@0", 22);
}

static void commit__in_doubt_is_made_impossible(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_status(save_noise(r, 23, NULL, &err), PERSIST_E_TRANSIENT, &err);
    assert_contains(err.message, "made certain");
    expect_given_up(r, 0);
}

static void commit__in_doubt_is_said(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .at = 2,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save_noise(r, 23, NULL, &err), PERSIST_E_UNCERTAIN, &err);
    rig_key(0, KEY_DATA, key);
    assert_string_equal(err.object, key);
}

static void commit__failure_takes_the_claim_back(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .status = PERSIST_BACKEND_NO_SPACE});
    assert_status(save_noise(r, 24, NULL, &err), PERSIST_E_NO_SPACE, &err);
    expect_given_up(r, 0);
}

/* ------------------------------------------- an upload the store dropped
 */

static void commit__spent_upload_is_sent_again(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = 2,
                                    .status = PERSIST_BACKEND_PRECONDITION});
    assert_ok(save_noise(r, 40, NULL, &err), &err);
    expect_noise(r, "a@0", 40);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 3);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(rig_objects(r), 2);
}

static void commit__spent_upload_of_a_stream_is_temporary(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 41);
    struct stream s = {.data = data, .len = LEN};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .status = PERSIST_BACKEND_PRECONDITION});
    assert_status(save_stream(r, &s, &o, NULL, &err), PERSIST_E_TRANSIENT,
                  &err);
    assert_contains(err.message, "cannot be read again");
    expect_given_up(r, 0);
    free(data);
}

static void commit__that_is_always_spent_ends(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_PRECONDITION});
    assert_status(save_noise(r, 42, NULL, &err), PERSIST_E_TRANSIENT, &err);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 4);
    expect_given_up(r, 0);
}

/* The first commit's answer was lost; the second says "spent": by the first. */
static void commit__spent_by_a_lost_one_is_looked_at(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_TRANSIENT});
    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .at = 2,
                                    .status = PERSIST_BACKEND_PRECONDITION});
    assert_ok(save_noise(r, 43, NULL, &err), &err);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 1);
    expect_noise(r, "a@0", 43);
}

/* A lifecycle rule took it. */
static void part__of_a_lost_upload_is_sent_again(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .status = PERSIST_BACKEND_NOT_FOUND});
    assert_ok(save_noise(r, 44, NULL, &err), &err);
    expect_noise(r, "a@0", 44);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 2);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
}

static void limit__makes_parts_small(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig r;
    struct persist_error err = {0};
    size_t len = (size_t)9 << 20;
    uint8_t *data = rig_noise(len, 45);

    (void)state;
    rig_open(&r, 0, NULL);
    r.p->upload.bytes_per_s = 500000;
    assert_ok(persist_save_buffer(r.store, "a", data, len, &o, NULL, &err),
              &err);
    assert_in_range(r.memory->count(r.id, "upload_part"), 9, 11);
    rig_expect(&r, "a@0", data, len);
    free(data);
    rig_close(&r);
}

static void commit__not_durable_has_metadata(void **state)
{
    struct persist_save_options o = options(0);
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 25);

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_NOT_DURABLE});
    assert_status(persist_save_buffer(r->store, "a", data, LEN, &o, &m, &err),
                  PERSIST_E_NOT_DURABLE, &err);
    assert_non_null(m);
    assert_int_equal(m->uncompressed_size, LEN);
    expect_noise(r, "a@0", 25);
    persist_metadata_free(m);
    free(data);
}

static void put_someones_data(void *ctx)
{
    struct rig *r = ctx;
    char key[KEY_CAP];

    rig_key(0, KEY_DATA, key);
    r->memory->set(r->id, key, "not a snapshot of ours", 22);
}

static void commit__under_someone_else_s_data_is_said(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .then = put_someones_data,
                                    .ctx = r});
    /* It cannot be read, so it cannot be told whose it is. */
    assert_status(save_noise(r, 26, NULL, &err), PERSIST_E_UNCERTAIN, &err);
}

/* Bytes of another snapshot, where ours should go. */
static void plant_another(void *ctx)
{
    struct rig *r = ctx;
    char from[KEY_CAP], to[KEY_CAP], object[4096];
    uint64_t len = 0;

    rig_key(0, KEY_SNAP, from);
    rig_key(1, KEY_DATA, to);
    r->memory->get(r->id, from, object, sizeof object, &len);
    r->memory->set(r->id, to, object, len);
}

static void commit__that_lost_to_another_snapshot_says_so(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_fault(r, (struct rig_fault){
                     .op = "upload_commit", .then = plant_another, .ctx = r});
    assert_status(save_noise(r, 27, NULL, &err), PERSIST_E_INTERNAL, &err);
    assert_contains(err.message, "something other than Persist");
    assert_int_equal(r->memory->n_uploads(r->id), 0);
}

/* --------------------------------------------------------------------- days
 */

static void pass_two_days(void *ctx)
{
    rig_pass_days(ctx, 2);
}

static void pass_seven_days(void *ctx)
{
    rig_pass_days(ctx, 7);
}

static void claim__is_renewed_each_day(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .times = UINT32_MAX,
                                    .then = pass_two_days,
                                    .ctx = r});
    assert_ok(save_noise(r, 30, NULL, &err), &err);
    /* One claim, and one renewal after each of four parts. */
    assert_int_equal(r->memory->count(r->id, "put"), 5);
    expect_noise(r, "a@0", 30);
}

struct renewal {
    struct rig *r;
    struct persist_store *other;
};

/* While a claim of 0 is renewed, others use up 1 and 2; weeks later 1 is
 * forgotten. */
static void use_and_clean(void *ctx)
{
    const struct renewal *renewal = ctx;
    struct persist_error err = {0};
    int i;

    for (i = 0; i < 2; i++)
        assert_ok(
            persist_save_buffer(renewal->other, "a", "x", 1, NULL, NULL, &err),
            &err);
    assert_ok(persist_delete(renewal->other, "a@1", NULL, NULL, &err), &err);
}

static void clean_up(void *ctx)
{
    const struct renewal *renewal = ctx;
    struct persist_error err = {0};

    rig_pass_days(renewal->r, 4);
    if (renewal->r->memory->count(renewal->r->id, "upload_part") >= 3)
        assert_ok(persist_cleanup(renewal->other, "a", NULL, &err), &err);
}

static void claim__renewal_tells_nothing_of_indices_above(void **state)
{
    struct rig *r = *state;
    struct renewal renewal = {r, rig_again(r, "other", small_puts)};
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_begin",
                                    .then = use_and_clean,
                                    .ctx = &renewal});
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .times = 3,
                                    .then = clean_up,
                                    .ctx = &renewal});
    assert_ok(save_noise(r, 33, NULL, &err), &err);
    assert_false(rig_has(r, 1, KEY_SNAP)); /* cleaned: below the highest */
    rig_no_faults(r);
    rig_save(r, "not 1 again", 3);
    persist_close(renewal.other);
}

static void claim__that_aged_is_not_committed(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .then = pass_seven_days,
                                    .ctx = r});
    assert_status(save_noise(r, 31, NULL, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "6 days");
    expect_given_up(r, 0);
    assert_int_equal(r->memory->count(r->id, "upload_commit"), 0);
}

static void set_clock_ahead(void *ctx)
{
    struct rig *r = ctx;

    atomic_fetch_add(&r->wall_us, 7 * RIG_DAY_US);
    rig_set_store_time(r);
}

static void set_clock_ahead_a_little(void *ctx)
{
    struct rig *r = ctx;

    atomic_fetch_add(&r->wall_us, 5 * RIG_DAY_US);
    rig_set_store_time(r);
}

/* No time has passed, and yet the claim has aged for everybody else. */
static void claim__that_a_clock_has_aged_is_not_committed(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .then = set_clock_ahead,
                                    .ctx = r});
    assert_status(save_noise(r, 34, NULL, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "went ahead by more than 6 days");
    expect_given_up(r, 0);
    assert_int_equal(r->memory->count(r->id, "upload_commit"), 0);
    rig_no_faults(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .then = set_clock_ahead_a_little,
                                    .ctx = r});
    assert_ok(save_noise(r, 35, NULL, &err), &err);
    expect_noise(r, "a@1", 35);
}

/* Nor does a renewal make up for it: a fenced save may have gone past. */
static void claim__that_a_clock_has_aged_is_not_renewed(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .then = set_clock_ahead,
                                    .ctx = r});
    rig_fault(
        r, (struct rig_fault){
               .op = "upload_part", .at = 2, .then = pass_two_days, .ctx = r});
    assert_status(save_noise(r, 36, NULL, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "went ahead by more than 6 days");
    assert_int_equal(r->memory->count(r->id, "put"), 2); /* claim, tombstone */
    expect_given_up(r, 0);
}

static void claim__renewal_must_work(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){
                     .op = "upload_part", .then = pass_two_days, .ctx = r});
    rig_fault(r, (struct rig_fault){
                     .op = "put", .at = 2, .status = PERSIST_BACKEND_DENIED});
    assert_status(save_noise(r, 32, NULL, &err), PERSIST_E_DENIED, &err);
    expect_given_up(r, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, long_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(long_save__claims_then_commits),
        T(long_save__streams_what_has_no_size),
        cmocka_unit_test(long_save__fits_the_limits_of_a_store),
        cmocka_unit_test(long_save__says_what_a_store_cannot_take),
        cmocka_unit_test_setup_teardown(long_save__begins_above_eight_mebibytes,
                                        rig_setup, rig_teardown),
        cmocka_unit_test(long_save__stays_in_its_memory),
        cmocka_unit_test(copies__from_readers_fit_into_the_limit),
        cmocka_unit_test(saves__from_a_sink_fit_into_the_limit),
        T(save__from_a_sink_goes_before_who_waits_for_it),
        T(long_save__loses_a_race_before_it_uploads),
        T(dry_run__measures_a_long_save),
        T(skip_unchanged__takes_back_a_stream),
        T(source__failure_takes_the_claim_back),
        T(cancel__takes_the_claim_back),
        T(interrupt__takes_the_claim_back),
        T(deadline__takes_the_claim_back),
        T(begin__failure_takes_the_claim_back),
        T(claim__must_be_durable),
        T(claim__in_doubt_is_found_again),
        T(give_up__failing_is_logged),
        T(commit__lost_reply_is_settled),
        T(commit__settles_by_looking),
        T(commit__in_doubt_is_made_impossible),
        T(commit__in_doubt_is_said),
        T(commit__failure_takes_the_claim_back),
        T(commit__spent_upload_is_sent_again),
        T(commit__spent_upload_of_a_stream_is_temporary),
        T(commit__that_is_always_spent_ends),
        T(commit__spent_by_a_lost_one_is_looked_at),
        T(part__of_a_lost_upload_is_sent_again),
        cmocka_unit_test(limit__makes_parts_small),
        T(commit__not_durable_has_metadata),
        T(commit__under_someone_else_s_data_is_said),
        T(commit__that_lost_to_another_snapshot_says_so),
        T(claim__is_renewed_each_day),
        T(claim__renewal_tells_nothing_of_indices_above),
        T(claim__that_aged_is_not_committed),
        T(claim__that_a_clock_has_aged_is_not_committed),
        T(claim__that_a_clock_has_aged_is_not_renewed),
        T(claim__renewal_must_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
