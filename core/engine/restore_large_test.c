/* SPDX-License-Identifier: Apache-2.0 */
/* Long seek tables, long headers, little memory shared by several restores, and
 * stopping on the way. */
#include "engine/read_test_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/crc32c.h"

#define FRAME ((size_t)FRAME_SIZE_MIN)

/* The same bytes every time; malloc. */
static uint8_t *noise_of(size_t len)
{
    uint64_t x = 88172645463325252u;
    uint8_t *p = malloc(len + 8);

    assert_non_null(p);
    for (size_t i = 0; i < len; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + i, &x, 8);
    }
    return p;
}

/* n frames of this payload.  Making them costs one; the payload's SHA-256 is a
 * lie, which only a whole restore can find out. */
static void put_frames(struct fixture *f, const uint8_t *payload, unsigned n)
{
    static const uint8_t sha[32] = {1};
    struct frame_encoder *e = frame_encoder_create(CODEC_ZSTD, 3, FRAME);
    struct persist_metadata m = {
        .struct_size = sizeof(m),
        .compression_level = 3,
        .frame_size = FRAME,
        .snapshot_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab",
        .agent_id = "a",
        .session_id = "default",
        .timestamp = FIXTURE_TIME,
        .compression_algorithm = "zstd",
        .producer_name = "test",
        .producer_version = "1",
    };
    struct snapshot_tail tail;
    struct persist_error err;
    struct buf out;
    char header[4096];
    char key[KEY_CAP];
    size_t len = 0;

    buf_init(&out, SIZE_MAX / 2);
    snapshot_tail_init(&tail, CODEC_ZSTD, FRAME);
    assert_ok(snapshot_header_encode(CODEC_ZSTD, &m, &out, &err), &err);
    size_t header_len = out.len;
    assert_true(header_len < sizeof(header));
    memcpy(header, out.data, header_len);
    size_t cap = frame_bound(CODEC_ZSTD, FRAME);
    char *frame = malloc(cap);
    assert_non_null(frame);
    assert_ok(frame_encode(e, payload, FRAME, frame, cap, &len, &err), &err);
    for (unsigned i = 0; i < n; i++) {
        buf_append(&out, frame, len);
        assert_ok(snapshot_tail_frame(&tail, (uint32_t)len, FRAME,
                                      crc32c(0, frame, len), &err),
                  &err);
    }
    assert_ok(
        snapshot_tail_encode(&tail, header, header_len, sha, &m, &out, &err),
        &err);
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    fixture_set(f, key, out.data, out.len);
    snapshot_tail_finish(&tail);
    frame_encoder_destroy(e);
    buf_finish(&out);
    free(frame);
}

static void put_many_frames(struct fixture *f, unsigned n)
{
    static const uint8_t zeros[FRAME_SIZE_MIN];

    put_frames(f, zeros, n);
}

static uint64_t reads_of_show(struct fixture *f)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint64_t before = f->memory->count(f->id, "any");

    assert_ok(persist_show(f->store, "a@0", &m, &err), &err);
    persist_metadata_free(m);
    return f->memory->count(f->id, "any") - before;
}

static void show__costs_two_reads_and_three_above_six_thousand(void **state)
{
    struct fixture *f = *state;

    put_many_frames(f, 1000); /* all of it is in the first read */
    assert_int_equal(reads_of_show(f), 1);
    put_many_frames(f, 3000);
    assert_int_equal(reads_of_show(f), 2);
    put_many_frames(f, 6000);
    assert_int_equal(reads_of_show(f), 2);
    put_many_frames(f, 6200);
    assert_int_equal(reads_of_show(f), 3);
    put_many_frames(f, 300000);
    assert_int_equal(reads_of_show(f), 3);
}

/* 18 GiB of payload; a range of it is what it is, the whole is not. */
static void range__works_in_a_huge_payload(void **state)
{
    struct fixture *f = *state;
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;

    put_many_frames(f, 300000);
    o.flags = PERSIST_RESTORE_RANGE;
    o.offset = 299999 * (uint64_t)FRAME - 10;
    o.length = 100;
    assert_ok(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        &err);
    assert_int_equal(len, 100);
    persist_free(got);
    assert_status(
        persist_restore_buffer(f->store, "a", 0, NULL, &got, &len, NULL, &err),
        PERSIST_E_MEMORY, &err);
    put_many_frames(f, 100);
    assert_status(
        persist_restore_buffer(f->store, "a", 0, NULL, &got, &len, NULL, &err),
        PERSIST_E_CORRUPT, &err);
    assert_contains(err.message, "SHA-256");
    assert_status(persist_verify(f->store, "a", NULL, NULL, &err),
                  PERSIST_E_CORRUPT, &err);
    assert_contains(err.message, "SHA-256");
}

/* gzip members say where the next one begins, so that what lies before the
 * range is read: more of it than there are buffers. */
static void range__lies_behind_more_than_is_read_ahead(void **state)
{
    const size_t len = 40 << 20;
    uint8_t *payload = noise_of(len);
    struct snapshot_spec spec = {.codec = CODEC_GZIP,
                                 .frame_size = 1 << 20,
                                 .payload = payload,
                                 .len = len};
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    struct fixture f;
    void *got = NULL;
    size_t got_len = 0;
    (void)state;

    fixture_open(&f, 80 << 20, NULL); /* two buffers */
    fixture_put(&f, &spec);
    o.flags = PERSIST_RESTORE_RANGE;
    o.offset = (30 << 20) + 5;
    o.length = 5 << 20;
    o.timeout_ms = 60000; /* it would wait for a buffer for ever */
    assert_ok(
        persist_restore_buffer(f.store, "a", 0, &o, &got, &got_len, NULL, &err),
        &err);
    assert_int_equal(got_len, o.length);
    assert_memory_equal(got, payload + o.offset, got_len);
    persist_free(got);
    fixture_close(&f);
    free(payload);
}

/* ------------------------------------------------------------------- noise
 */

struct gather {
    uint8_t *got;
    size_t len, cap;
    bool slow;
};

static int gather(void *ctx, const void *data, size_t len,
                  struct persist_error *err)
{
    struct gather *g = ctx;
    const struct timespec wait = {0, 200000};

    (void)err;
    assert_true(len <= g->cap - g->len);
    if (g->slow) /* reads that wait for a buffer are not to get this one */
        nanosleep(&wait, NULL);
    memcpy(g->got + g->len, data, len);
    g->len += len;
    return PERSIST_OK;
}

static void expect_whole(struct fixture *f, const uint8_t *payload, size_t len,
                         bool slow)
{
    struct gather g = {.got = malloc(len), .cap = len, .slow = slow};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    assert_non_null(g.got);
    sink.write = gather;
    sink.ctx = &g;
    assert_ok(persist_restore(f->store, "a", &sink, NULL, NULL, &err), &err);
    assert_int_equal(g.len, len);
    assert_memory_equal(g.got, payload, len);
    free(g.got);
}

static void expect_range(struct fixture *f, const uint8_t *payload,
                         size_t offset, size_t n)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;

    o.flags = PERSIST_RESTORE_RANGE;
    o.offset = offset;
    o.length = n;
    assert_ok(
        persist_restore_buffer(f->store, "a", n, &o, &got, &len, NULL, &err),
        &err);
    assert_int_equal(len, n);
    assert_memory_equal(got, payload + offset, n);
    persist_free(got);
}

/* Its frames are given where they were read to: from buffers that are many, two
 * and only one, and that are read into again. */
static void noise__is_given_out_of_the_buffers(void **state)
{
    static const uint64_t limits[] = {0, 80 << 20, 12 << 20};
    const size_t len = (30 << 20) + 12345;
    uint8_t *payload = noise_of(len);
    (void)state;

    for (size_t i = 0; i < 6; i++) {
        struct snapshot_spec spec = {.frame_size = i % 2 ? FRAME : 1 << 20,
                                     .payload = payload,
                                     .len = len};
        struct fixture f;

        fixture_open(&f, limits[i / 2], NULL);
        fixture_put(&f, &spec);
        expect_whole(&f, payload, len, false);
        expect_whole(&f, payload, len, true);
        expect_range(&f, payload, 0, 1);
        expect_range(&f, payload, (1 << 20) - 1, 2);
        expect_range(&f, payload, (7 << 20) + 131071, 14 << 20);
        expect_range(&f, payload, len - 131073, 131073);
        if (limits[i / 2])
            assert_true(budget_peak(f.p->budget) <= limits[i / 2]);
        fixture_close(&f);
    }
    free(payload);
}

/* The last frame waits for the sums of the whole, all pieces of it. */
static void noise__of_another_payload_is_not_given_to_its_end(void **state)
{
    struct fixture *f = *state;
    uint8_t *payload = noise_of(FRAME);
    struct gather g = {.cap = 40 * FRAME};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    g.got = malloc(g.cap);
    assert_non_null(g.got);
    sink.write = gather;
    sink.ctx = &g;
    put_frames(f, payload, 40);
    assert_status(persist_restore(f->store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_CORRUPT, &err);
    assert_contains(err.message, "SHA-256");
    assert_int_equal(g.len, 39 * FRAME);
    free(g.got);
    free(payload);
}

/* Past the page cache it goes from memory of its own. */
static void noise__is_restored_to_a_large_file(void **state)
{
    static const char path[] = "noise.restored";
    const size_t len = (66 << 20) + 77;
    uint8_t *payload = noise_of(len), *got = malloc(len + 1);
    struct snapshot_spec spec = {
        .frame_size = 1 << 20, .payload = payload, .len = len};
    struct persist_error err = {0};
    struct fixture *f = *state;

    assert_non_null(got);
    fixture_put(f, &spec);
    (void)remove(path);
    assert_ok(persist_restore_file(f->store, "a", path, NULL, NULL, &err),
              &err);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(got, 1, len + 1, file), len);
    assert_memory_equal(got, payload, len);
    fclose(file);
    (void)remove(path);
    free(got);
    free(payload);
}

static void headers__may_be_long(void **state)
{
    struct fixture *f = *state;
    const size_t payload_len = 100 * FRAME;
    uint8_t *payload = fixture_payload(payload_len, 1);
    char *description = malloc(900001);
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;

    assert_non_null(description);
    memset(description, 'd', 900000);
    for (size_t c = 0; c < 2; c++) {
        struct snapshot_spec spec = {.codec = c ? CODEC_GZIP : CODEC_ZSTD,
                                     .payload = payload,
                                     .len = payload_len,
                                     .description = description};
        /* gzip keeps it in an extra field of 64 KiB */
        description[c ? 55000 : 900000] = '\0';
        fixture_put(f, &spec);
        assert_int_equal(reads_of_show(f), 2);
        assert_ok(persist_restore_buffer(f->store, "a", 0, NULL, &got, &len, &m,
                                         &err),
                  &err);
        assert_int_equal(len, payload_len);
        assert_int_equal(memcmp(got, payload, len), 0);
        assert_string_equal(m->description, description);
        persist_metadata_free(m);
        persist_free(got);
        assert_ok(persist_verify(f->store, "a", NULL, NULL, &err), &err);
    }
    free(description);
    free(payload);
}

/* Longer than one read, so that others run ahead; with much memory the hash
 * runs beside, with little it does not.  Damage is found wherever it is. */
static void verify__finds_damage_behind_the_first_read(void **state)
{
    static const uint64_t limits[] = {0, 48 << 20, 12 << 20};
    const size_t len = 30 << 20;
    uint8_t *payload = fixture_payload(len, 3);
    (void)state;

    for (size_t i = 0; i < 6; i++) {
        struct snapshot_spec spec = {.codec = i % 2 ? CODEC_GZIP : CODEC_ZSTD,
                                     .frame_size = 1 << 20,
                                     .payload = payload,
                                     .len = len};
        struct persist_error err = {0};
        struct fixture f;
        struct buf object;
        char key[KEY_CAP];

        fixture_open(&f, limits[i / 2], NULL);
        fixture_put(&f, &spec);
        assert_ok(persist_verify(f.store, "a", NULL, NULL, &err), &err);
        if (limits[i / 2])
            assert_true(budget_peak(f.p->budget) <= limits[i / 2]);
        buf_init(&object, SIZE_MAX / 2);
        fixture_encode(&spec, &object);
        assert_true(object.len > 9 << 20);
        fixture_key("a", "default", 0, KEY_SNAP, key);
        for (size_t at = 1; at < 6; at++) {
            uint8_t *byte = (uint8_t *)object.data + object.len * at / 6;
            *byte ^= 1;
            fixture_set(&f, key, object.data, object.len);
            assert_status(persist_verify(f.store, "a", NULL, NULL, &err),
                          PERSIST_E_CORRUPT, &err);
            *byte ^= 1;
        }
        fixture_set(&f, key, object.data, object.len - 1);
        assert_status(persist_verify(f.store, "a", NULL, NULL, &err),
                      PERSIST_E_CORRUPT, &err);
        buf_finish(&object);
        fixture_close(&f);
    }
    free(payload);
}

/* ------------------------------------------------------------------ sharing
 */

struct worker {
    struct fixture *f;
    const uint8_t *payload;
    size_t len;
    pthread_t thread;
    int rc;
};

static void *restore_often(void *ctx)
{
    struct worker *w = ctx;

    for (int i = 0; i < 5 && w->rc == PERSIST_OK; i++) {
        struct persist_error err = {0};
        void *got = NULL;
        size_t len = 0;
        w->rc = persist_restore_buffer(w->f->store, "a", w->len, NULL, &got,
                                       &len, NULL, &err);
        if (w->rc == PERSIST_OK &&
            (len != w->len || memcmp(got, w->payload, len) != 0))
            w->rc = PERSIST_E_INTERNAL;
        persist_free(got);
        if (w->rc == PERSIST_OK)
            w->rc = persist_verify(w->f->store, "a", NULL, NULL, &err);
    }
    return NULL;
}

/* There is memory for one at a time; each gets its turn. */
static void restores__share_a_small_budget(void **state)
{
    const size_t len = 5 << 20;
    uint8_t *payload = fixture_payload(len, 5);
    struct snapshot_spec spec = {
        .frame_size = 1 << 20, .payload = payload, .len = len};
    struct worker workers[6];
    struct fixture f;
    (void)state;

    fixture_open(&f, 8 << 20, NULL);
    fixture_put(&f, &spec);
    for (size_t i = 0; i < 6; i++) {
        workers[i] = (struct worker){.f = &f, .payload = payload, .len = len};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, restore_often,
                                        &workers[i]),
                         0);
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].rc, PERSIST_OK);
    }
    assert_true(budget_peak(f.p->budget) <= 8 << 20);
    fixture_close(&f);
    free(payload);
}

static void restores__wait_for_memory_until_their_deadline(void **state)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_verify_options v = PERSIST_VERIFY_OPTIONS_INIT;
    struct snapshot_spec spec = {.payload = "x", .len = 1};
    struct persist_error err = {0};
    struct fixture f;
    void *got = NULL;
    size_t len = 0;
    (void)state;

    fixture_open(&f, 8 << 20, NULL);
    fixture_put(&f, &spec);
    assert_int_equal(budget_try(f.p->budget, (8 << 20) - 1000), 0);
    o.timeout_ms = 30;
    v.timeout_ms = 30;
    assert_status(
        persist_restore_buffer(f.store, "a@0", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_TIMEOUT, &err);
    assert_contains(err.message, "memory");
    assert_status(persist_verify(f.store, "a@0", &v, NULL, &err),
                  PERSIST_E_TIMEOUT, &err);
    budget_release(f.p->budget, (8 << 20) - 1000);
    assert_ok(
        persist_restore_buffer(f.store, "a@0", 0, &o, &got, &len, NULL, &err),
        &err);
    persist_free(got);
    fixture_close(&f);
}

/* ----------------------------------------------------------------- stopping
 */

struct stopper {
    struct persist_op *op;
    atomic_int left; /* reads come from several threads */
};

static int32_t cancel_later(void *ctx, const struct memory_event *e)
{
    struct stopper *s = ctx;

    if (e->phase == MEMORY_AFTER && atomic_fetch_sub(&s->left, 1) == 1)
        persist_op_cancel(s->op);
    return 0;
}

static void cancelling__ends_restore_verify_and_lists(void **state)
{
    struct fixture *f = *state;
    const size_t len = 300 * FRAME;
    uint8_t *payload = fixture_payload(len, 1);

    for (unsigned at = 1; at <= 4; at++) {
        struct snapshot_spec spec = {.payload = payload, .len = len};
        struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
        struct persist_verify_options v = PERSIST_VERIFY_OPTIONS_INIT;
        struct persist_error err = {0};
        struct stopper s = {.left = (int)at};
        void *got = NULL;
        size_t got_len = 0;
        f->memory->reset(f->id);
        fixture_put(f, &spec);
        assert_ok(persist_op_create(f->p, &s.op, &err), &err);
        f->memory->set_hook(f->id, cancel_later, &s);
        o.op = s.op;
        assert_status(persist_restore_buffer(f->store, "a", 0, &o, &got,
                                             &got_len, NULL, &err),
                      PERSIST_E_CANCELLED, &err);
        persist_op_destroy(s.op);
        assert_ok(persist_op_create(f->p, &s.op, &err), &err);
        atomic_store(&s.left, at < 3 ? (int)at : 2);
        v.op = s.op;
        assert_status(persist_verify(f->store, "a", &v, NULL, &err),
                      PERSIST_E_CANCELLED, &err);
        f->memory->set_hook(f->id, NULL, NULL);
        persist_op_destroy(s.op);
    }
    free(payload);
}

struct refusing {
    const uint8_t *payload;
    size_t at;
    size_t refuse_at;
};

static int refuse_later(void *ctx, const void *data, size_t len,
                        struct persist_error *err)
{
    struct refusing *r = ctx;

    (void)err;
    assert_memory_equal(data, r->payload + r->at, len);
    r->at += len;
    return r->at > r->refuse_at ? PERSIST_E_NO_SPACE : PERSIST_OK;
}

/* While reads and frames are under way behind it. */
static void sink__that_refuses_ends_the_restore(void **state)
{
    struct fixture *f = *state;
    const size_t len = 300 * FRAME;
    uint8_t *payload = fixture_payload(len, 2);
    struct snapshot_spec spec = {.payload = payload, .len = len};

    fixture_put(f, &spec);
    for (size_t at = 0; at < len; at += 77 * FRAME) {
        struct refusing r = {.payload = payload, .refuse_at = at};
        struct persist_sink sink = PERSIST_SINK_INIT;
        struct persist_error err = {0};

        sink.write = refuse_later;
        sink.ctx = &r;
        assert_status(persist_restore(f->store, "a", &sink, NULL, NULL, &err),
                      PERSIST_E_NO_SPACE, &err);
        assert_int_equal(budget_used(f->p->budget), 0);
    }
    free(payload);
}

static int32_t fail_later(void *ctx, const struct memory_event *e)
{
    struct stopper *s = ctx;

    return e->phase == MEMORY_BEFORE && strcmp(e->op, "read") == 0 &&
                   atomic_fetch_sub(&s->left, 1) == 1
               ? PERSIST_BACKEND_DENIED
               : 0;
}

/* Whichever of the reads it is; what came before it was right. */
static void read__that_fails_ends_the_restore(void **state)
{
    struct fixture *f = *state;
    const size_t len = 800 * FRAME;
    uint8_t *payload = fixture_payload(len, 3);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    unsigned failed = 0;

    fixture_put(f, &spec);
    for (int at = 1; at <= 12; at++) {
        struct refusing r = {.payload = payload, .refuse_at = len};
        struct stopper s = {.left = at};
        struct persist_sink sink = PERSIST_SINK_INIT;
        struct persist_error err = {0};
        int rc;

        sink.write = refuse_later;
        sink.ctx = &r;
        f->memory->set_hook(f->id, fail_later, &s);
        rc = persist_restore(f->store, "a@0", &sink, NULL, NULL, &err);
        f->memory->set_hook(f->id, NULL, NULL);
        assert_true(rc == PERSIST_OK || rc == PERSIST_E_DENIED);
        assert_true(rc == PERSIST_E_DENIED || r.at == len);
        failed += rc == PERSIST_E_DENIED;
        assert_int_equal(budget_used(f->p->budget), 0);
    }
    assert_true(failed >= 3); /* opening takes two */
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(show__costs_two_reads_and_three_above_six_thousand),
        TEST(range__works_in_a_huge_payload),
        TEST(range__lies_behind_more_than_is_read_ahead),
        TEST(noise__is_given_out_of_the_buffers),
        TEST(noise__of_another_payload_is_not_given_to_its_end),
        TEST(noise__is_restored_to_a_large_file),
        TEST(headers__may_be_long),
        TEST(cancelling__ends_restore_verify_and_lists),
        TEST(sink__that_refuses_ends_the_restore),
        TEST(read__that_fails_ends_the_restore),
        cmocka_unit_test(verify__finds_damage_behind_the_first_read),
        cmocka_unit_test(restores__share_a_small_budget),
        cmocka_unit_test(restores__wait_for_memory_until_their_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
