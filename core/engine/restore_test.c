/* SPDX-License-Identifier: Apache-2.0 */
/* Restoring: every shape of payload and object, ranges, sinks, what a read in
 * the middle meets, and the memory it takes. */
#include "engine/read_test_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix/io_fault.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define FRAME ((size_t)FRAME_SIZE_MIN)

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

static void assert_payload(struct fixture *f, const char *address,
                           const void *want, size_t len)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    void *got = NULL;
    size_t got_len = 0;

    assert_ok(persist_restore_buffer(f->store, address, 0, NULL, &got, &got_len,
                                     &m, &err),
              &err);
    assert_int_equal(got_len, len);
    assert_int_equal(memcmp(got, want, len), 0);
    assert_int_equal(((char *)got)[len], 0);
    assert_int_equal(m->uncompressed_size, len);
    assert_true(m->present & PERSIST_META_TRAILER);
    assert_true(m->present & PERSIST_META_STORED_SIZE);
    persist_metadata_free(m);
    persist_free(got);
}

static void restore__gives_back_every_size(void **state)
{
    static const size_t sizes[] = {0,         1,         FRAME - 1,
                                   FRAME,     FRAME + 1, 2 * FRAME,
                                   5 * FRAME, 3 * MIB,   3 * MIB + 12345};
    struct fixture *f = *state;

    for (size_t c = 0; c < 2; c++) {
        f->memory->reset(f->id);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            uint8_t *payload = fixture_payload(sizes[i], (uint32_t)i);
            struct snapshot_spec spec = {.codec = codecs[c],
                                         .index = i,
                                         .payload = payload,
                                         .len = sizes[i]};
            char address[64];
            fixture_put(f, &spec);
            snprintf(address, sizeof(address), "a@%zu", i);
            assert_payload(f, address, payload, sizes[i]);
            assert_payload(f, "a", payload, sizes[i]);
            spec.session = "long";
            fixture_put_data(f, &spec);
            snprintf(address, sizeof(address), "a/long@%zu", i);
            assert_payload(f, address, payload, sizes[i]);
            assert_payload(f, "a/long@latest", payload, sizes[i]);
            free(payload);
        }
    }
}

static void restore__reads_a_small_object_once(void **state)
{
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(900 * KIB, 1);
    struct snapshot_spec spec = {.payload = payload, .len = 900 * KIB};
    struct persist_metadata *m = NULL;
    struct persist_error err;

    fixture_put(f, &spec);
    uint64_t before = f->memory->count(f->id, "any");
    assert_payload(f, "a@0", payload, spec.len);
    assert_int_equal(f->memory->count(f->id, "any") - before, 1);
    before = f->memory->count(f->id, "any");
    assert_payload(f, "a", payload, spec.len);
    assert_int_equal(f->memory->count(f->id, "any") - before, 2);
    assert_int_equal(f->memory->count(f->id, "list"), 1);
    before = f->memory->count(f->id, "any");
    assert_ok(persist_show(f->store, "a@0", &m, &err), &err);
    assert_int_equal(f->memory->count(f->id, "any") - before, 2);
    persist_metadata_free(m);
    free(payload);
}

struct range {
    uint64_t offset, length;
};

static void check_range(struct fixture *f, const struct range *range,
                        const uint8_t *payload, size_t len)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    void *got = NULL;
    size_t got_len = 0;

    o.flags = PERSIST_RESTORE_RANGE;
    o.offset = range->offset;
    o.length = range->length;
    int rc = persist_restore_buffer(f->store, "a@0", 0, &o, &got, &got_len,
                                    NULL, &err);
    if (range->offset > len) {
        assert_status(rc, PERSIST_E_INVALID, &err);
        char size[32];
        snprintf(size, sizeof(size), "%zu", len);
        assert_contains(err.message, size);
        return;
    }
    assert_ok(rc, &err);
    uint64_t want = len - range->offset;
    if (want > range->length)
        want = range->length;
    assert_int_equal(got_len, want);
    assert_int_equal(memcmp(got, payload + range->offset, got_len), 0);
    persist_free(got);
}

static void restore__refuses_a_range_without_its_flag(void **state)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    struct fixture *f = *state;
    void *got = NULL;
    size_t len = 0;

    o.offset = 1;
    assert_status(
        persist_restore_buffer(f->store, "a@0", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_INVALID, &err);
    assert_contains(err.message, "offset is set, and counts only with the flag "
                                 "PERSIST_RESTORE_RANGE");
    o.offset = 0;
    o.length = 1;
    assert_status(
        persist_restore_buffer(f->store, "a@0", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_INVALID, &err);
    assert_contains(err.message, "length is set");
}

static void restore__gives_ranges(void **state)
{
    const size_t len = 40 * FRAME + 77;
    const struct range ranges[] = {
        {0, 0},
        {0, 1},
        {0, UINT64_MAX},
        {0, len},
        {1, len},
        {FRAME - 1, 2},
        {FRAME, FRAME},
        {FRAME, 0},
        {FRAME + 5, 0},
        {len - 1, 1},
        {len - 1, 100},
        {len, 0},
        {len, 100},
        {len + 1, 0},
        {len + 1, 1},
        {UINT64_MAX, UINT64_MAX},
        {7 * FRAME + 3, 9 * FRAME},
        {39 * FRAME, FRAME},
        {40 * FRAME, 77},
        {12345, 2345678},
    };
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(len, 9);

    for (size_t c = 0; c < 2; c++) {
        struct snapshot_spec spec = {
            .codec = codecs[c], .payload = payload, .len = len};
        fixture_put(f, &spec);
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
            check_range(f, &ranges[i], payload, len);
    }
    free(payload);
}

static int32_t count_bytes(void *ctx, const struct memory_event *e)
{
    (void)e;
    (void)ctx;
    return 0;
}

/* Of a large object a short range moves the tail, the header and one frame. */
static void restore__reads_only_the_frames_of_a_range(void **state)
{
    struct fixture *f = *state;
    const size_t len = 64 * FRAME;
    uint8_t *payload = fixture_payload(len, 2);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct persist_error err;
    void *got = NULL;
    size_t got_len = 0;

    fixture_put(f, &spec);
    f->memory->set_hook(f->id, count_bytes, NULL);
    assert_ok(persist_op_create(f->p, &o.op, &err), &err);
    o.flags = PERSIST_RESTORE_RANGE;
    o.offset = 32 * FRAME + 10;
    o.length = 20;
    assert_ok(persist_restore_buffer(f->store, "a@0", 0, &o, &got, &got_len,
                                     NULL, &err),
              &err);
    assert_int_equal(memcmp(got, payload + o.offset, 20), 0);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, 20);
    assert_int_equal(progress.payload_total, 20);
    assert_true(progress.stored_bytes < SNAPSHOT_SMALL + 2 * FRAME);
    assert_int_equal(f->memory->count(f->id, "read"), 3);
    persist_op_destroy(o.op);
    persist_free(got);
    free(payload);
}

static void restore__tells_its_progress(void **state)
{
    struct fixture *f = *state;
    const size_t len = 20 * FRAME;
    uint8_t *payload = fixture_payload(len, 2);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct persist_error err;
    void *got = NULL;
    size_t got_len = 0;

    fixture_put(f, &spec);
    assert_ok(persist_op_create(f->p, &o.op, &err), &err);
    assert_ok(persist_restore_buffer(f->store, "a", 0, &o, &got, &got_len, NULL,
                                     &err),
              &err);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, len);
    assert_int_equal(progress.payload_total, len);
    assert_true(progress.stored_bytes > len / 4);
    persist_op_destroy(o.op);
    persist_free(got);
    free(payload);
}

static void restore__checks_the_schema(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "x", .len = 1, .schema = "s/1"};
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;

    fixture_put(f, &spec);
    o.require_schema = "s/1";
    assert_ok(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        &err);
    persist_free(got);
    o.require_schema = "s/2";
    assert_status(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "\"s/1\"");
    assert_contains(err.message, "\"s/2\"");
    spec.schema = NULL;
    fixture_put(f, &spec);
    assert_status(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "no schema");
    assert_null(got);
}

static void restore__says_what_is_missing(void **state)
{
    static const struct {
        const char *address;
        const char *says;
        const char *hint;
    } cases[] = {
        {"nobody", "no session \"nobody/default\"", "list tells"},
        {"a/none", "no session \"a/none\"", "list tells"},
        {"a@9", "\"a/default@9\" does not exist", ""},
        {"a@1", "\"a/default@1\" was deleted", ""},
        {"a@2", "\"a/default@2\" is not finished", ""},
        {"gone", "\"gone/default\" has no snapshot any more", ""},
        {"gone@3", "was deleted", ""},
    };
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "x", .len = 1};

    fixture_put(f, &spec);
    fixture_tombstone(f, "a", NULL, 1);
    fixture_claim(f, "a", NULL, 2);
    fixture_tombstone(f, "gone", NULL, 3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        int exists = 7;
        assert_status(persist_show(f->store, cases[i].address, &m, &err),
                      PERSIST_E_NOT_FOUND, &err);
        assert_contains(err.message, cases[i].says);
        assert_contains(err.hint, cases[i].hint);
        assert_true(err.object[0]);
        assert_null(m);
        assert_status(
            persist_verify(f->store, cases[i].address, NULL, NULL, &err),
            PERSIST_E_NOT_FOUND, &err);
        assert_ok(persist_exists(f->store, cases[i].address, &exists, &err),
                  &err);
        assert_int_equal(exists, 0);
    }
    assert_payload(f, "a", "x", 1);
}

static void restore__finds_a_swapped_object_corrupt(void **state)
{
    static const struct snapshot_spec lies[] = {
        {.agent = "b", .index = 4, .payload = "x", .len = 1},
        {.session = "s", .index = 4, .payload = "x", .len = 1},
        {.index = 3, .payload = "x", .len = 1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        struct buf object;
        char key[KEY_CAP];
        void *got = NULL;
        size_t len = 0;
        fixture_encode(&lies[i], &object);
        fixture_key("a", NULL, 4, KEY_SNAP, key);
        fixture_set(f, key, object.data, object.len);
        buf_finish(&object);
        assert_status(persist_restore_buffer(f->store, "a", 0, NULL, &got, &len,
                                             NULL, &err),
                      PERSIST_E_CORRUPT, &err);
        assert_contains(err.message, "another snapshot");
        assert_string_equal(err.object, "a/default@4");
        assert_status(persist_verify(f->store, "a@4", NULL, NULL, &err),
                      PERSIST_E_CORRUPT, &err);
        assert_contains(err.message, "another snapshot");
        assert_status(persist_show(f->store, "a@4", &m, &err),
                      PERSIST_E_CORRUPT, &err);
    }
}

static void restore__limits_what_goes_into_memory(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "0123456789", .len = 10};
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;

    fixture_put(f, &spec);
    assert_status(
        persist_restore_buffer(f->store, "a", 9, NULL, &got, &len, NULL, &err),
        PERSIST_E_MEMORY, &err);
    assert_contains(err.hint, "max_len");
    assert_contains(err.message, "10 bytes");
    assert_null(got);
    assert_ok(
        persist_restore_buffer(f->store, "a", 10, NULL, &got, &len, NULL, &err),
        &err);
    persist_free(got);
}

/* With little memory the window shrinks to one frame; with less it says so. */
static void restore__stays_within_the_budget(void **state)
{
    const size_t len = 12 * MIB;
    uint8_t *payload = fixture_payload(len, 5);
    (void)state;

    for (size_t c = 0; c < 2; c++) {
        struct snapshot_spec spec = {.codec = codecs[c],
                                     .frame_size = 1 << 20,
                                     .payload = payload,
                                     .len = len};
        struct persist_error err = {0};
        struct fixture f;
        void *got = NULL;
        size_t got_len = 0;
        fixture_open(&f, 8 * MIB, NULL);
        fixture_put(&f, &spec);
        assert_ok(persist_restore_buffer(f.store, "a", len, NULL, &got,
                                         &got_len, NULL, &err),
                  &err);
        assert_int_equal(memcmp(got, payload, len), 0);
        persist_free(got);
        assert_ok(persist_verify(f.store, "a", NULL, NULL, &err), &err);
        assert_true(budget_peak(f.p->budget) <= 8 * MIB);
        assert_true(budget_peak(f.p->budget) >= 2 * MIB);
        spec.frame_size = 16 << 20;
        fixture_put(&f, &spec);
        assert_status(persist_restore_buffer(f.store, "a", len, NULL, &got,
                                             &got_len, NULL, &err),
                      PERSIST_E_MEMORY, &err);
        assert_contains(err.hint, "raise memory_limit to ");
        assert_status(persist_verify(f.store, "a", NULL, NULL, &err),
                      PERSIST_E_MEMORY, &err);
        fixture_close(&f);
    }
    free(payload);
}

/* ------------------------------------------------------- in the middle of it
 */

struct swap {
    struct fixture *f;
    const char *op;
    unsigned at; /* the n-th op of that name */
    unsigned seen;
    void (*act)(struct fixture *f);
    int32_t answer;
};

static int32_t swap_at(void *ctx, const struct memory_event *e)
{
    struct swap *s = ctx;

    if (e->phase != MEMORY_BEFORE || strcmp(e->op, s->op) != 0 ||
        ++s->seen != s->at)
        return 0;
    if (s->act)
        s->act(s->f);
    return s->answer;
}

static void delete_snap(struct fixture *f)
{
    fixture_tombstone(f, "a", NULL, 1);
}

static void delete_data(struct fixture *f)
{
    char key[KEY_CAP];

    fixture_tombstone(f, "a", NULL, 1);
    fixture_key("a", NULL, 1, KEY_DATA, key);
    assert_int_equal(f->memory->remove(f->id, key), 0);
}

static void replace_snap(struct fixture *f)
{
    struct snapshot_spec spec = {.index = 1, .payload = "other", .len = 5};

    fixture_put(f, &spec);
}

/* The same bytes once more: only the etag tells. */
static void rewrite_snap(struct fixture *f)
{
    static char bytes[32 << 20];
    uint64_t len = 0;
    char key[KEY_CAP];

    fixture_key("a", NULL, 1, KEY_SNAP, key);
    assert_int_equal(f->memory->get(f->id, key, bytes, sizeof(bytes), &len), 0);
    fixture_set(f, key, bytes, (size_t)len);
}

/* A deletion at each step of a restore: the bytes of before, or a clear "was
 * deleted", or, for the latest, the one before it; never damage. */
static void restore__meets_a_deletion_at_every_step(void **state)
{
    struct fixture *f = *state;
    const size_t len = 300 * FRAME;
    uint8_t *payload = fixture_payload(len, 3);
    struct snapshot_spec spec = {.index = 1, .payload = payload, .len = len};
    struct snapshot_spec old = {.index = 0, .payload = "old", .len = 3};
    unsigned old_ones = 0;
    unsigned deleted = 0;

    for (unsigned kind = 0; kind < 4; kind++) {
        for (unsigned at = 1; at <= 6; at++) {
            struct swap swap = {
                f, "read", at, 0, kind & 1 ? delete_data : delete_snap, 0};
            const char *address = kind & 2 ? "a" : "a@1";
            struct persist_error err = {0};
            void *got = NULL;
            size_t got_len = 0;
            f->memory->reset(f->id);
            fixture_put(f, &old);
            if (kind & 1)
                fixture_put_data(f, &spec);
            else
                fixture_put(f, &spec);
            f->memory->set_hook(f->id, swap_at, &swap);
            int rc = persist_restore_buffer(f->store, address, 0, NULL, &got,
                                            &got_len, NULL, &err);
            f->memory->set_hook(f->id, NULL, NULL);
            if (rc == PERSIST_OK && got_len == 3) {
                assert_true(kind & 2);
                old_ones++;
            } else if (rc == PERSIST_OK) {
                assert_int_equal(got_len, len);
                assert_int_equal(memcmp(got, payload, len), 0);
            } else {
                assert_status(rc, PERSIST_E_NOT_FOUND, &err);
                assert_contains(err.message, "was deleted");
                deleted++;
            }
            persist_free(got);
        }
    }
    assert_true(old_ones > 0);
    assert_true(deleted > 4);
    free(payload);
}

static void restore__notices_that_an_object_was_replaced(void **state)
{
    static void (*const acts[])(struct fixture *) = {replace_snap,
                                                     rewrite_snap};
    struct fixture *f = *state;
    const size_t len = 400 * FRAME;
    uint8_t *payload = fixture_payload(len, 3);

    for (size_t i = 0; i < 2; i++) {
        struct snapshot_spec spec = {
            .index = 1, .payload = payload, .len = len};
        struct swap swap = {f, "read", 3, 0, acts[i], 0};
        struct persist_error err = {0};
        void *got = NULL;
        size_t got_len = 0;
        fixture_put(f, &spec);
        f->memory->set_hook(f->id, swap_at, &swap);
        assert_status(persist_restore_buffer(f->store, "a@1", 0, NULL, &got,
                                             &got_len, NULL, &err),
                      PERSIST_E_PRECONDITION, &err);
        assert_null(got);
        f->memory->set_hook(f->id, NULL, NULL);
    }
    free(payload);
}

static void failures__are_what_the_store_says(void **state)
{
    static const int32_t codes[] = {PERSIST_BACKEND_DENIED,
                                    PERSIST_BACKEND_AUTH, PERSIST_BACKEND_IO,
                                    PERSIST_BACKEND_INTERNAL};
    struct fixture *f = *state;
    struct snapshot_spec spec = {.index = 1, .payload = "x", .len = 1};

    fixture_put(f, &spec);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct swap read = {f, "read", 1, 0, NULL, codes[i]};
        struct swap list = {f, "list", 1, 0, NULL, codes[i]};
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        int exists = 7;
        void *got = NULL;
        size_t len = 0;
        f->memory->set_hook(f->id, swap_at, &read);
        assert_status(persist_restore_buffer(f->store, "a", 0, NULL, &got, &len,
                                             NULL, &err),
                      codes[i], &err);
        read.seen = 0;
        assert_status(persist_show(f->store, "a@1", &m, &err), codes[i], &err);
        read.seen = 0;
        assert_status(persist_verify(f->store, "a@1", NULL, NULL, &err),
                      codes[i], &err);
        read.seen = 0;
        assert_status(persist_exists(f->store, "a@1", &exists, &err), codes[i],
                      &err);
        f->memory->set_hook(f->id, swap_at, &list);
        assert_status(persist_exists(f->store, "a", &exists, &err), codes[i],
                      &err);
        assert_int_equal(exists, 7);
        assert_int_equal(err.status, codes[i]);
    }
    f->memory->set_hook(f->id, NULL, NULL);
}

/* -------------------------------------------------------------------- sinks
 */

struct sink_test {
    struct buf got;
    unsigned calls;
    unsigned fail_at;
    int fail_with;
    struct persist *interrupt;
};

static int sink_write(void *ctx, const void *data, size_t len,
                      struct persist_error *err)
{
    struct sink_test *s = ctx;

    if (++s->calls == s->fail_at)
        return s->fail_with < 0 ? error_set(err, s->fail_with, "sink is full")
                                : s->fail_with;
    buf_append(&s->got, data, len);
    if (s->interrupt)
        persist_interrupt(s->interrupt);
    return PERSIST_OK;
}

static void sink__gets_frames_in_order(void **state)
{
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(5 * FRAME + 1, 6);
    struct snapshot_spec spec = {.payload = payload, .len = 5 * FRAME + 1};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    struct sink_test s = {.calls = 0};

    buf_init(&s.got, 16 * MIB);
    sink.write = sink_write;
    sink.ctx = &s;
    fixture_put(f, &spec);
    assert_ok(persist_restore(f->store, "a", &sink, NULL, &m, &err), &err);
    assert_int_equal(s.calls, 6);
    assert_int_equal(s.got.len, spec.len);
    assert_int_equal(memcmp(s.got.data, payload, spec.len), 0);
    assert_string_equal(m->agent_id, "a");
    persist_metadata_free(m);

    buf_clear(&s.got);
    s.calls = 0;
    s.fail_at = 3;
    s.fail_with = PERSIST_E_NO_SPACE;
    m = NULL;
    assert_status(persist_restore(f->store, "a", &sink, NULL, &m, &err),
                  PERSIST_E_NO_SPACE, &err);
    assert_string_equal(err.message, "sink is full");
    assert_null(m);
    assert_int_equal(s.got.len, 2 * FRAME);
    s.calls = 0;
    s.fail_with = 5;
    assert_status(persist_restore(f->store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    buf_finish(&s.got);
    free(payload);
}

static void sink__stops_when_interrupted(void **state)
{
    uint8_t *payload = fixture_payload(5 * FRAME, 6);
    struct snapshot_spec spec = {.payload = payload, .len = 5 * FRAME};
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};
    struct sink_test s = {.calls = 0};
    struct fixture f;
    (void)state;

    fixture_open(&f, 0, NULL);
    buf_init(&s.got, 16 * MIB);
    s.interrupt = f.p;
    sink.write = sink_write;
    sink.ctx = &s;
    fixture_put(&f, &spec);
    assert_status(persist_restore(f.store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_int_equal(s.calls, 1);
    assert_status(persist_restore(f.store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    buf_finish(&s.got);
    fixture_close(&f);
    free(payload);
}

struct drain {
    int fd;
    struct buf got;
};

static void *drain_pipe(void *ctx)
{
    struct drain *d = ctx;
    char bytes[3000];
    ssize_t n;

    while ((n = read(d->fd, bytes, sizeof(bytes))) > 0)
        buf_append(&d->got, bytes, (size_t)n);
    return NULL;
}

static void check_pipe(struct fixture *f, const uint8_t *payload, size_t len)
{
    struct persist_error err = {0};
    struct drain d;
    pthread_t thread;
    int fds[2];

    buf_init(&d.got, 16 * MIB);
    assert_int_equal(pipe(fds), 0);
    d.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, drain_pipe, &d), 0);
    assert_ok(persist_restore_fd(f->store, "a", fds[1], NULL, NULL, &err),
              &err);
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
    assert_int_equal(d.got.len, len);
    assert_memory_equal(d.got.data, payload, len);
    buf_finish(&d.got);
}

static void check_regular(struct fixture *f, const uint8_t *payload, size_t len)
{
    FILE *file = tmpfile();
    struct persist_error err = {0};
    uint8_t *got = malloc(len + 1);

    assert_non_null(file);
    assert_non_null(got);
    assert_ok(persist_restore_fd(f->store, "a", fileno(file), NULL, NULL, &err),
              &err);
    rewind(file);
    assert_int_equal(fread(got, 1, len + 1, file), len);
    assert_memory_equal(got, payload, len);
    fclose(file);
    free(got);
}

/* Noise comes in pieces, of which more than one write has room for. */
static void make_noise(uint8_t *p, size_t len)
{
    uint32_t x = 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (uint8_t)(x >> 24);
    }
}

static void fd__writes_to_pipes_and_files(void **state)
{
    const size_t len = 12 * MIB + 9;
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(len, 6);

    for (int i = 0; i < 4; i++) {
        struct snapshot_spec spec = {.frame_size = i % 2 ? FRAME : 16 * MIB,
                                     .payload = payload,
                                     .len = len};

        if (i == 2)
            make_noise(payload, len);
        fixture_put(f, &spec);
        check_pipe(f, payload, len);
        check_regular(f, payload, len);
    }
    free(payload);
}

static void fd__tells_of_a_closed_pipe(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "x", .len = 1};
    struct persist_error err = {0};
    int fds[2];

    fixture_put(f, &spec);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    /* Whether the program ignores the signal or would end by it. */
    for (int i = 0; i < 2; i++) {
        signal(SIGPIPE, i == 0 ? SIG_IGN : SIG_DFL);
        assert_status(
            persist_restore_fd(f->store, "a", fds[1], NULL, NULL, &err),
            PERSIST_E_IO, &err);
        assert_int_equal(err.os_errno, EPIPE);
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    close(fds[1]);
    assert_int_not_equal(
        persist_restore_fd(f->store, "a", fds[1], NULL, NULL, &err),
        PERSIST_OK);
}

/* A reader that reads nothing does not keep a restore past its deadline; nor
 * where there is room for a part of a write only. */
static void give_up(const int fds[2], struct persist_store *store)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err = {0};

    assert_int_equal(write(fds[1], "something", 9), 9);
    o.timeout_ms = 150;
    assert_status(persist_restore_fd(store, "a", fds[1], &o, NULL, &err),
                  PERSIST_E_TIMEOUT, &err);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    close(fds[0]);
    close(fds[1]);
}

static void fd__gives_up_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(2 * MIB, 6);
    struct snapshot_spec spec = {.payload = payload, .len = 2 * MIB};
    int fds[2];

    fixture_put(f, &spec);
    assert_int_equal(pipe(fds), 0);
    give_up(fds, f->store);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    give_up(fds, f->store);
    free(payload);
}

struct giver {
    struct persist_store *store;
    bool to_be_had;
};

static void *give_up_with_plain_writes(void *ctx)
{
    struct giver *g = ctx;
    int fds[2];

    g->to_be_had = io_fault_write_now(EOPNOTSUPP);
    if (g->to_be_had && pipe(fds) == 0)
        give_up(fds, g->store);
    return NULL;
}

/* As with Linux before 6.5: what is written at once surely fits. */
static void fd__gives_up_where_writes_wait(void **state)
{
    struct fixture *f = *state;
    uint8_t *payload = fixture_payload(2 * MIB, 6);
    struct snapshot_spec spec = {.payload = payload, .len = 2 * MIB};
    struct giver g = {.store = f->store};
    pthread_t thread;

    fixture_put(f, &spec);
    assert_int_equal(
        pthread_create(&thread, NULL, give_up_with_plain_writes, &g), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(payload);
    if (!g.to_be_had)
        skip();
}

/* ------------------------------------------------------------------- reader
 */

static void reader__streams_and_ends_verified(void **state)
{
    static const size_t caps[] = {1000, FRAME, 3 * FRAME, 12345};
    struct fixture *f = *state;
    const size_t len = 4 * FRAME + 500;
    uint8_t *payload = fixture_payload(len, 6);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    char *bytes = malloc(3 * FRAME);

    assert_non_null(bytes);
    fixture_put(f, &spec);
    for (size_t i = 0; i < 4; i++) {
        struct persist_reader *reader = NULL;
        struct persist_error err = {0};
        size_t at = 0;
        size_t n = 1;
        assert_ok(persist_reader_open(f->store, "a", NULL, &reader, &err),
                  &err);
        assert_int_equal(persist_reader_metadata(reader)->uncompressed_size,
                         len);
        while (n > 0) {
            assert_ok(persist_reader_read(reader, bytes, caps[i], &n, &err),
                      &err);
            assert_true(n <= len - at);
            assert_int_equal(memcmp(bytes, payload + at, n), 0);
            at += n;
        }
        assert_int_equal(at, len);
        assert_ok(persist_reader_read(reader, bytes, caps[i], &n, &err), &err);
        assert_int_equal(n, 0);
        assert_status(persist_reader_read(reader, bytes, 0, &n, &err),
                      PERSIST_E_MISUSE, &err);
        persist_reader_close(reader);
    }
    free(bytes);
    free(payload);
}

static void reader__repeats_its_failure(void **state)
{
    struct fixture *f = *state;
    const size_t len = 4 * FRAME;
    uint8_t *payload = fixture_payload(len, 6);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    struct persist_reader *reader = NULL;
    struct persist_error err = {0};
    char key[KEY_CAP];
    char *bytes = malloc(len);
    size_t n = 0;
    size_t got = 0;
    int rc;

    assert_non_null(bytes);
    fixture_put(f, &spec);
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    /* somewhere in the third frame */
    assert_int_equal(f->memory->poke(f->id, key, 100 * KIB, "damage", 6), 0);
    assert_ok(persist_reader_open(f->store, "a", NULL, &reader, &err), &err);
    while ((rc = persist_reader_read(reader, bytes, len, &n, &err)) == 0 &&
           n > 0) {
        assert_int_equal(memcmp(bytes, payload + got, n), 0);
        got += n;
    }
    assert_status(rc, PERSIST_E_CORRUPT, &err);
    assert_true(got > 0 && got < len && got % FRAME == 0);
    memset(&err, 0, sizeof(err));
    assert_status(persist_reader_read(reader, bytes, len, &n, &err),
                  PERSIST_E_CORRUPT, &err);
    assert_int_equal(n, 0);
    persist_reader_close(reader);
    persist_reader_close(NULL);
    assert_null(persist_reader_metadata(NULL));
    free(bytes);
    free(payload);
}

static void misuse__is_told(void **state)
{
    struct fixture *f = *state;
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_reader *reader = NULL;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;
    int exists = 0;

    assert_status(persist_restore(f->store, "a", NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_restore(f->store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    sink.write = sink_write;
    sink.flags = 1;
    assert_status(persist_restore(f->store, "a", &sink, NULL, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_status(
        persist_restore_buffer(f->store, "a", 0, NULL, NULL, &len, NULL, &err),
        PERSIST_E_MISUSE, &err);
    assert_status(
        persist_restore_buffer(NULL, "a", 0, NULL, &got, &len, NULL, &err),
        PERSIST_E_MISUSE, &err);
    assert_status(
        persist_restore_buffer(f->store, NULL, 0, NULL, &got, &len, NULL, &err),
        PERSIST_E_MISUSE, &err);
    assert_status(
        persist_restore_buffer(f->store, "", 0, NULL, &got, &len, NULL, &err),
        PERSIST_E_INVALID, &err);
    assert_status(persist_restore_buffer(f->store, "other:a", 0, NULL, &got,
                                         &len, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "\"other\"");
    o.flags = PERSIST_RESTORE_OVERWRITE;
    assert_status(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_INVALID, &err);
    o.flags = 1u << 30;
    assert_status(
        persist_restore_buffer(f->store, "a", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_INVALID, &err);
    assert_status(persist_reader_open(f->store, "a", NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_reader_open(f->store, "a", NULL, &reader, &err),
                  PERSIST_E_NOT_FOUND, &err);
    assert_null(reader);
    assert_status(persist_reader_read(NULL, &exists, 1, &len, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_show(f->store, "a", NULL, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(persist_show(NULL, "a", &m, &err), PERSIST_E_MISUSE, &err);
    assert_status(persist_exists(f->store, "a", NULL, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(persist_exists(f->store, "a@", &exists, &err),
                  PERSIST_E_INVALID, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(restore__gives_back_every_size),
        TEST(restore__reads_a_small_object_once),
        TEST(restore__refuses_a_range_without_its_flag),
        TEST(restore__gives_ranges),
        TEST(restore__reads_only_the_frames_of_a_range),
        TEST(restore__tells_its_progress),
        TEST(restore__checks_the_schema),
        TEST(restore__says_what_is_missing),
        TEST(restore__finds_a_swapped_object_corrupt),
        TEST(restore__limits_what_goes_into_memory),
        TEST(restore__meets_a_deletion_at_every_step),
        TEST(restore__notices_that_an_object_was_replaced),
        TEST(failures__are_what_the_store_says),
        TEST(sink__gets_frames_in_order),
        TEST(fd__writes_to_pipes_and_files),
        TEST(fd__tells_of_a_closed_pipe),
        TEST(fd__gives_up_at_the_deadline),
        TEST(fd__gives_up_where_writes_wait),
        TEST(reader__streams_and_ends_verified),
        TEST(reader__repeats_its_failure),
        TEST(misuse__is_told),
        cmocka_unit_test(restore__stays_within_the_budget),
        cmocka_unit_test(sink__stops_when_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
