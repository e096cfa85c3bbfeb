/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading once more what came with damage over a network (transfer/again.h):
 * which reads are made, how many of them, and that what is damaged for good
 * stays corrupt.
 */
#include "engine/save_test_kit.h"

#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"

#define FRAME ((size_t)64 << 10)

/* Parts whose number is limited: no file system. */
static const char *const network[] = {"parts_max", "10000", NULL};

/* A bit that turns over in the nth read, and back behind it. */
struct damage {
    struct rig *r;
    char key[KEY_CAP];
    size_t at;        /* in the object */
    unsigned nth;     /* 0: in none */
    unsigned tail_in; /* also: a byte of the trailer, in this one */
    int32_t answer;   /* the store's own, to all of them */
    unsigned n;       /* reads that have begun, */
    unsigned n_again; /* and those on a new connection */
};

static void flip_at(struct damage *d, size_t at)
{
    char *object = malloc(at + 1), byte;
    uint64_t len = 0;

    assert_non_null(object);
    assert_int_equal(d->r->memory->get(d->r->id, d->key, object, at + 1, &len),
                     0);
    byte = (char)(object[at] ^ 4);
    free(object);
    assert_int_equal(d->r->memory->poke(d->r->id, d->key, at, &byte, 1), 0);
}

static void flip(struct damage *d)
{
    flip_at(d, d->at);
}

static int32_t look(void *ctx, const struct memory_event *event)
{
    struct damage *d = ctx;

    if (strcmp(event->op, "read") != 0)
        return 0;
    if (event->phase == MEMORY_BEFORE) {
        d->n++;
        d->n_again += event->call->attempt > 1;
    }
    if (d->n == d->nth)
        flip(d);
    if (d->n == d->tail_in)
        flip_at(d, (size_t)rig_size(d->r, 0, KEY_SNAP) - 400);
    return event->phase == MEMORY_BEFORE ? d->answer : 0;
}

static void watch(struct damage *d, unsigned nth)
{
    d->nth = nth;
    d->n = d->n_again = 0;
}

static int verify(struct rig *r)
{
    struct persist_error err = {0};

    return persist_verify(r->store, "a@0", NULL, NULL, &err);
}

static int restore(struct rig *r, const uint8_t *data, size_t len)
{
    struct persist_error err = {0};
    void *got = NULL;
    size_t got_len = 0;
    int rc = persist_restore_buffer(r->store, "a@0", 0, NULL, &got, &got_len,
                                    NULL, &err);

    if (rc == PERSIST_OK) {
        assert_int_equal(got_len, len);
        assert_memory_equal(got, data, len);
    }
    persist_free(got);
    return rc;
}

static void begin(struct damage *d, struct rig *r, const char *const *settings)
{
    rig_open(r, 0, settings);
    rig_one_by_one(r);
    *d = (struct damage){.r = r};
    rig_key(0, KEY_SNAP, d->key);
    r->memory->set_hook(r->id, look, d);
}

static void save(struct rig *r, enum persist_compression compression,
                 const uint8_t *data, size_t len)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};

    o.compression = (int32_t)compression;
    o.frame_size = FRAME;
    assert_ok(persist_save_buffer(r->store, "a", data, len, &o, NULL, &err),
              &err);
}

static bool told(struct rig *r)
{
    bool found = r->log.len && strstr(r->log.data, "read once more");

    buf_clear(&r->log);
    return found;
}

/* One pass over all reads with a flipped bit in each of them in turn; how many
 * were read again. */
static unsigned damage_each_read(struct damage *d, const uint8_t *data,
                                 size_t len, bool verifies)
{
    unsigned n, again = 0;

    watch(d, 0);
    assert_int_equal(verifies ? verify(d->r) : restore(d->r, data, len), 0);
    n = d->n;
    assert_int_equal(d->n_again, 0);
    assert_false(told(d->r));
    for (unsigned nth = 1; nth <= n; nth++) {
        watch(d, nth);
        assert_int_equal(verifies ? verify(d->r) : restore(d->r, data, len), 0);
        assert_int_equal(told(d->r), d->n > n);
        assert_true(d->n_again >= d->n - n);
        again += d->n > n;
    }
    return again;
}

/* Small objects come with one read, others with several. */
static void damage__on_the_way_is_read_again(void **state)
{
    static const enum persist_compression compressions[] = {
        PERSIST_COMPRESSION_ZSTD, PERSIST_COMPRESSION_GZIP};
    static const size_t lens[] = {3 * FRAME - 5, 24 * FRAME - 5};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t len = lens[i / 2];
        uint8_t *data = rig_noise(len, 1);
        struct damage d;
        struct rig r;
        uint64_t size;

        begin(&d, &r, network);
        save(&r, compressions[i % 2], data, len);
        size = rig_size(&r, 0, KEY_SNAP);
        /* the header, the first frame, one within, the last, the trailer */
        const size_t places[] = {30, 2000, (size_t)size / 2,
                                 (size_t)size - 2000, (size_t)size - 400};
        for (size_t p = 0; p < 5; p++) {
            d.at = places[p];
            assert_true(damage_each_read(&d, data, len, false) > 0);
            assert_true(damage_each_read(&d, data, len, true) > 0);
        }
        rig_close(&r);
        free(data);
    }
}

/* A frame has its own second chance, whatever became of the tail. */
static void damage__of_tail_and_frame_is_read_again(void **state)
{
    const size_t len = 24 * FRAME;
    uint8_t *data = rig_noise(len, 1);
    struct damage d;
    struct rig r;
    unsigned n = 1000, n_again = 0;

    (void)state;
    begin(&d, &r, network);
    save(&r, PERSIST_COMPRESSION_ZSTD, data, len);
    d.at = (size_t)rig_size(&r, 0, KEY_SNAP) / 4;
    d.tail_in = 1;
    for (unsigned nth = 0; nth <= n; nth++) {
        if (nth == 1)
            n = d.n;
        watch(&d, nth);
        assert_int_equal(restore(&r, data, len), PERSIST_OK);
        n_again += d.n > n;
    }
    assert_true(n_again > 0);
    rig_close(&r);
    free(data);
}

/* So many reads of a small object, all but the first on a new connection. */
static void expect_corrupt(struct damage *d, unsigned n_reads)
{
    watch(d, 0);
    assert_int_equal(restore(d->r, NULL, 0), PERSIST_E_CORRUPT);
    assert_int_equal(d->n, n_reads);
    assert_int_equal(d->n_again, n_reads - 1);
    watch(d, 0);
    assert_int_equal(verify(d->r), PERSIST_E_CORRUPT);
    assert_int_equal(d->n, n_reads);
    assert_int_equal(d->n_again, n_reads - 1);
}

static void damage__for_good_is_corrupt_after_two_reads(void **state)
{
    static const size_t places[] = {30, 2000}; /* header, frame */
    uint8_t *data = rig_noise(3 * FRAME, 1);

    (void)state;
    for (unsigned far = 0; far < 2; far++) {
        struct damage d;
        struct rig r;

        begin(&d, &r, far ? network : NULL);
        save(&r, PERSIST_COMPRESSION_ZSTD, data, 3 * FRAME);
        for (size_t i = 0; i < 2; i++) {
            d.at = places[i];
            flip(&d);
            expect_corrupt(&d, far ? 2 : 1);
            flip(&d);
        }
        /* The store says so itself: its answer twice, and once more with the
         * object that it is of. */
        d.answer = PERSIST_BACKEND_CORRUPT;
        expect_corrupt(&d, far ? 3 : 1);
        d.answer = 0;
        assert_int_equal(restore(&r, data, 3 * FRAME), PERSIST_OK);
        rig_close(&r);
    }
    free(data);
}

/* Progress counts the payload once. */
static void verify__that_begins_again_counts_once(void **state)
{
    const size_t len = 3 * FRAME;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct persist_verify_options o = PERSIST_VERIFY_OPTIONS_INIT;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(len, 1);
    struct damage d;
    struct rig r;

    (void)state;
    begin(&d, &r, network);
    save(&r, PERSIST_COMPRESSION_ZSTD, data, len);
    d.at = (size_t)rig_size(&r, 0, KEY_SNAP) - 2000; /* the last frame */
    watch(&d, 1);
    assert_ok(persist_op_create(r.p, &o.op, &err), &err);
    assert_ok(persist_verify(r.store, "a@0", &o, NULL, &err), &err);
    assert_int_equal(d.n, 2);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, len);
    persist_op_destroy(o.op);
    rig_close(&r);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage__on_the_way_is_read_again),
        cmocka_unit_test(damage__of_tail_and_frame_is_read_again),
        cmocka_unit_test(damage__for_good_is_corrupt_after_two_reads),
        cmocka_unit_test(verify__that_begins_again_counts_once),
    };

    return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
