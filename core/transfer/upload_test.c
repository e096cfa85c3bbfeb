/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The save side's data path by itself: bytes, memory, part sizes, reuse.  What
 * a store does with it is tested with the engine's saves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/snapshot.h"
#include "services/trace.h"
#include "transfer/transfer_test_kit.h"
#include "transfer/upload.h"
#include "transfer/upload_impl.h"
#include "transfer/upload_pool.h"
#include "util/buf.h"
#include "util/crc32c.h"

#define UUID "018f3c1e-5a70-7c3d-9b1e-0123456789ab"

static struct upload_what what(const struct rig *r, uint32_t frame_size)
{
    const struct upload_what w = {
        .pool = r->pool,
        .store = r->store,
        .op = (struct persist_op *)&r->op,
        .codec = CODEC_ZSTD,
        .level = 3,
        .frame_size = frame_size,
        .header_max = 1024,
        .cpu = r->cpu,
        .io = r->io,
    };

    return w;
}

static struct persist_metadata describe(uint64_t index, uint32_t frame_size)
{
    const struct persist_metadata m = {
        .struct_size = sizeof m,
        .format_version = 2,
        .compression_level = 3,
        .snapshot_index = index,
        .frame_size = frame_size,
        .snapshot_id = UUID,
        .agent_id = "a",
        .session_id = "default",
        .timestamp = "2026-11-23T04:19:24.642210Z",
        .compression_algorithm = "zstd",
        .content_type = "text/plain",
        .producer_name = "persist",
        .producer_version = "1",
    };

    return m;
}

/* Reads an object the way a verifier does; its payload must be these bytes. */
struct expected {
    const uint8_t *at;
    size_t left;
};

static int compare(void *ctx, const void *data, size_t len,
                   struct persist_error *err)
{
    struct expected *e = ctx;

    (void)err;
    assert_true(len <= e->left);
    assert_memory_equal(data, e->at, len);
    e->at += len;
    e->left -= len;
    return 0;
}

static uint64_t check_object(const void *object, size_t len,
                             const uint8_t *payload, size_t payload_len)
{
    struct expected e = {payload, payload_len};
    struct snapshot_scan *scan = snapshot_scan_create(NULL, compare, &e);
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint64_t index;

    assert_non_null(scan);
    assert_ok(snapshot_scan_feed(scan, object, len, &err), &err);
    assert_ok(snapshot_scan_end(scan, &m, &err), &err);
    assert_int_equal(e.left, 0);
    assert_int_equal(m->compressed_size, len);
    index = m->snapshot_index;
    persist_metadata_free(m);
    snapshot_scan_destroy(scan);
    return index;
}

/* -------------------------------------------------------------- whole objects
 */

static void object__may_get_another_header(void **state)
{
    uint8_t *payload = noise(200000);
    struct upload_source source = {
        .data = payload, .in_memory = true, .has_size = true, .size = 200000};
    static const uint64_t indices[] = {7, PERSIST_INDEX_MAX, 0};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    bool whole = false;
    struct rig r;
    size_t i;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    w = what(&r, 65536);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_ok(upload_fill(u, &whole, &err), &err);
    assert_true(whole);
    assert_int_equal(upload_payload_len(u), 200000);
    for (i = 0; i < 3; i++) {
        struct persist_metadata m = describe(indices[i], 65536);
        const void *object;
        size_t len;

        assert_ok(upload_object(u, &m, &object, &len, &err), &err);
        assert_int_equal(m.frame_count, 4);
        assert_int_equal(check_object(object, len, payload, 200000),
                         indices[i]);
    }
    upload_close(u);
    free(payload);
    rig_close(&r);
}

static struct upload *fill_one(const struct rig *r, const uint8_t *payload,
                               size_t len)
{
    const struct upload_source source = {
        .data = payload, .in_memory = true, .has_size = true, .size = len};
    const struct upload_what w = what(r, 65536);
    struct persist_error err = {0};
    struct upload *u = NULL;
    bool whole = false;

    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_ok(upload_fill(u, &whole, &err), &err);
    assert_true(whole);
    return u;
}

/* While an object waits for the store another one is encoded with its kit, and
 * changes nothing of it. */
static void object__gives_its_kit_to_the_next(void **state)
{
    uint8_t *payload = noise(8000);
    struct upload *u[3];
    struct upload_what w;
    struct kit *kit;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    w = what(&r, 65536);
    kit = upload_pool_take(r.pool, &w);
    upload_pool_put(r.pool, kit);
    for (uint64_t i = 0; i < 3; i++)
        u[i] = fill_one(&r, payload + i * 1000, 4096);
    for (uint64_t i = 0; i < 3; i++) {
        struct persist_metadata m = describe(i, 65536);
        struct persist_error err = {0};
        const void *object;
        size_t len;

        assert_ok(upload_object(u[i], &m, &object, &len, &err), &err);
        assert_int_equal(check_object(object, len, payload + i * 1000, 4096),
                         i);
    }
    /* It is free although all three are still there. */
    assert_ptr_equal(upload_pool_take(r.pool, &w), kit);
    upload_pool_put(r.pool, kit);
    for (int i = 0; i < 3; i++)
        upload_close(u[i]);
    free(payload);
    rig_close(&r);
}

static void open__reserves_little_for_little(void **state)
{
    struct upload_source source = {
        .data = "x", .in_memory = true, .has_size = true, .size = 1};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    uint64_t encoder = frame_encoder_memory(CODEC_ZSTD, 3, 4 << 20);
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    w = what(&r, 4 << 20);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_true(budget_used(r.budget) < encoder + 8192);
    upload_close(u);
    upload_close(NULL);
    rig_close(&r);
}

static void pool__gives_back_what_suits(void **state)
{
    static const int levels[] = {1, 2, 3, 4, 5, 3, 3};
    struct persist_error err = {0};
    struct upload *open[7] = {NULL};
    struct upload_source source = {
        .data = "x", .in_memory = true, .has_size = true, .size = 1};
    struct rig r;
    size_t i, round;

    (void)state;
    rig_open(&r, UINT64_C(1) << 30, NULL, 0);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < 7; i++) {
            struct upload_what w = what(&r, 65536);
            struct persist_metadata m = describe(i, 65536);
            const void *object;
            bool whole;
            size_t len;

            w.level = levels[i];
            m.compression_level = levels[i];
            assert_ok(upload_open(&w, &source, &open[i], &err), &err);
            assert_ok(upload_fill(open[i], &whole, &err), &err);
            assert_ok(upload_object(open[i], &m, &object, &len, &err), &err);
            check_object(object, len, (const uint8_t *)"x", 1);
        }
        for (i = 0; i < 7; i++)
            upload_close(open[i]);
    }
    rig_close(&r);
}

/* -------------------------------------------------------------------- parts
 */

struct reader {
    const uint8_t *data;
    size_t len;
    size_t given;
};

static int read_some(void *ctx, void *out, size_t cap, size_t *out_len,
                     struct persist_error *err)
{
    struct reader *r = ctx;
    size_t n = r->len - r->given < cap ? r->len - r->given : cap;

    (void)err;
    if (n)
        memcpy(out, r->data + r->given, n);
    r->given += n;
    *out_len = n;
    return 0;
}

static int count(void *ctx, struct persist_error *err)
{
    (void)err;
    ++*(unsigned *)ctx;
    return 0;
}

static uint64_t resumed_part; /* of the uploads below; 0: chosen */

/* Sends a payload through an upload; the object must be right. */
static unsigned send_frames(uint32_t frame_size, bool threads,
                            const char *const *options, size_t n,
                            const uint8_t *payload, size_t len, bool known,
                            uint64_t *out_size)
{
    struct reader reader = {payload, len, 0};
    struct upload_source source = {.read = read_some,
                                   .ctx = &reader,
                                   .has_size = known,
                                   .size = known ? len : 0};
    struct persist_metadata m = describe(3, frame_size);
    struct persist_error err = {0};
    struct backend_upload *to = NULL;
    struct upload *u = NULL;
    uint8_t *object = malloc(len + 100000);
    unsigned n_parts = 0;
    struct upload_what w;
    uint64_t size, got = 0;
    bool whole = true;
    uint32_t crc;
    struct rig r;

    assert_non_null(object);
    rig_open(&r, 64 << 20, options, n);
    if (threads)
        rig_threads(&r);
    w = what(&r, frame_size);
    w.part_size = resumed_part;
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_ok(upload_fill(u, &whole, &err), &err);
    assert_false(whole);
    assert_ok(backend_upload_begin(r.store, &r.op, "k", NULL, &to, &err), &err);
    assert_ok(upload_send(u, &m, to, count, &n_parts, &size, &crc, &err), &err);
    assert_ok(backend_upload_commit(to, &r.op, size, crc, NULL, &err), &err);
    backend_upload_destroy(to);
    assert_int_equal(r.memory->get("default", "k", object, len + 100000, &got),
                     0);
    assert_int_equal(got, size);
    assert_int_equal(crc32c(0, object, (size_t)size), crc);
    assert_int_equal(check_object(object, (size_t)size, payload, len), 3);
    upload_close(u);
    rig_close(&r);
    free(object);
    *out_size = size;
    return n_parts;
}

static unsigned send_with(bool threads, const char *const *options, size_t n,
                          size_t len, bool known, uint64_t *out_size)
{
    uint8_t *payload = noise(len);
    unsigned n_parts =
        send_frames(65536, threads, options, n, payload, len, known, out_size);

    free(payload);
    return n_parts;
}

/* The same parts with threads and without. */
static unsigned send_sized(const char *const *options, size_t n, size_t len,
                           bool known, uint64_t *out_size)
{
    unsigned alone = send_with(false, options, n, len, known, out_size);

    assert_int_equal(send_with(true, options, n, len, known, out_size), alone);
    return alone;
}

static unsigned send(const char *const *options, size_t n, size_t len,
                     bool known)
{
    uint64_t size;

    return send_sized(options, n, len, known, &size);
}

/* The last part is full, and it is the last. */
static void send__ends_with_a_full_part(void **state)
{
    static const char *const one[] = {"put_max=4K"};
    char text[32] = "";
    const char *const quarters[] = {"put_max=4K", text};
    size_t len = 100000;
    uint64_t size = 1;

    (void)state;
    for (; size % 4; len++)
        send_sized(one, 1, len, true, &size);
    snprintf(text, sizeof text, "part_max=%u", (unsigned)(size / 4));
    assert_int_equal(send(quarters, 2, len - 1, true), 4);
}

static void send__cuts_parts_as_the_store_wants(void **state)
{
    static const char *const tiny[] = {"put_max=4K", "part_max=4K"};
    static const char *const aligned[] = {"put_max=64K", "part_max=70000",
                                          "part_align=1000"};
    static const char *const one[] = {"put_max=64K"};

    (void)state;
    /* A tail that is longer than a part, and a part smaller than a frame. */
    assert_int_equal(send(tiny, 2, 300000, false), 74);
    assert_int_equal(send(aligned, 3, 300000, true), 5);
    assert_int_equal(send(one, 1, 300000, true), 1);
    /* Several full parts of the smallest usual size. */
    assert_int_equal(send(one, 1, 20 << 20, false), 3);
}

/* Frames that are stored as they are come in pieces, which parts cut anywhere;
 * frames that compress stand between them. */
static void send__cuts_frames_that_are_stored_as_they_are(void **state)
{
    enum { MIB = 1 << 20, LEN = 5 * MIB + 333333 };
    static const char *const odd[] = {"put_max=4K", "part_max=70001"};
    static const char *const large[] = {"put_max=64K", "part_max=900001"};
    uint8_t *payload = noise(LEN);
    uint64_t size[4];

    (void)state;
    memset(payload + 2 * MIB, 'a', MIB);
    for (int threads = 0; threads < 2; threads++) {
        send_frames(MIB, threads, odd, 2, payload, LEN, true, &size[threads]);
        send_frames(MIB, threads, large, 2, payload, LEN, false,
                    &size[2 + threads]);
    }
    assert_true(size[0] > 4 * MIB && size[0] < LEN - MIB / 2);
    for (int i = 1; i < 4; i++)
        assert_int_equal(size[i], size[0]);
    free(payload);
}

/* Each frame of it noise, text, or noise that gives way to text. */
static uint8_t *mixed(size_t frame, size_t n, uint64_t seed)
{
    uint8_t *payload = noise(frame * n);

    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        if (seed >> 62 == 0)
            memset(payload + i * frame, 'a', frame);
        else if (seed >> 61 == 2)
            memset(payload + i * frame + frame / 3, 'a', frame / 2);
    }
    return payload;
}

/* Noise is copied to where it will lie while frames before it are on their way,
 * which may turn out shorter than they were thought to be. */
static void send__puts_frames_where_they_belong(void **state)
{
    enum { FRAME = 512 << 10, N = 33, LEN = FRAME * N - 12345 };
    static const char *const parts[] = {"part_max=600001", "part_max=1048576",
                                        "part_max=2100000", "part_max=5000000"};
    static const char *const flights[] = {"parallel_max=1", "parallel_max=3"};

    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        uint8_t *payload = mixed(FRAME, N, seed);
        uint64_t size, alone;

        for (int i = 0; i < 8; i++) {
            const char *const options[] = {"put_max=64K", parts[i % 4],
                                           flights[i / 4]};

            send_frames(FRAME, false, options, 3, payload, LEN, i % 3 == 0,
                        &alone);
            send_frames(FRAME, true, options, 3, payload, LEN, i % 3 == 0,
                        &size);
            assert_int_equal(size, alone);
        }
        free(payload);
    }
}

static int refuse(void *ctx, struct persist_error *err)
{
    struct persist_error own = {.status = PERSIST_E_CONFLICT};

    (void)ctx;
    *err = own;
    return PERSIST_E_CONFLICT;
}

/* Requests belong to the trace of the call, also those of parts. */
static int note_trace(void *ctx, struct persist_error *err)
{
    const struct upload *const *u = ctx;

    (void)err;
    assert_non_null(upload_op(*u)->trace);
    return PERSIST_OK;
}

static void send__hands_the_trace_on_to_parts(void **state)
{
    static const char *const tiny[] = {"put_max=4K", "part_max=4K"};
    uint8_t *payload = noise(100000);
    struct upload_source source = {
        .data = payload, .in_memory = true, .has_size = true, .size = 100000};
    struct persist_metadata m = describe(3, 65536);
    struct trace_call call = {0};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    uint64_t size;
    bool whole;
    uint32_t crc;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, tiny, 2);
    r.op.trace = &call;
    w = what(&r, 65536);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_ok(upload_fill(u, &whole, &err), &err);
    assert_ok(upload_send(u, &m, NULL, note_trace, &u, &size, &crc, &err),
              &err);
    assert_ptr_equal(upload_op(u)->trace, &call);
    upload_close(u);
    rig_close(&r);
    free(payload);
}

static void send__stops_when_told_between_parts(void **state)
{
    static const char *const tiny[] = {"put_max=4K", "part_max=4K"};
    uint8_t *payload = noise(300000);
    struct upload_source source = {
        .data = payload, .in_memory = true, .has_size = true, .size = 300000};
    struct persist_metadata m = describe(3, 65536);
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    uint64_t size;
    bool whole;
    uint32_t crc;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, tiny, 2);
    w = what(&r, 65536);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    assert_ok(upload_fill(u, &whole, &err), &err);
    assert_int_equal(upload_send(u, &m, NULL, refuse, NULL, &size, &crc, &err),
                     PERSIST_E_CONFLICT);
    assert_int_equal(size, 4096);
    upload_close(u);
    free(payload);
    rig_close(&r);
}

/* The ceiling tells the part size: it is 100 of them. */
static uint64_t part_size(uint64_t limit, const char *option, uint64_t estimate,
                          uint64_t known)
{
    const char *const options[] = {"parts_max=100", option};
    struct reader reader = {NULL, 0, 0};
    struct upload_source source = {.read = read_some,
                                   .ctx = &reader,
                                   .has_size = known != 0,
                                   .size = known};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    uint64_t ceiling;
    struct rig r;

    rig_open(&r, limit, options, option ? 2 : 1);
    w = what(&r, 4 << 20);
    w.size_estimate = estimate;
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    ceiling = upload_ceiling(u);
    upload_close(u);
    rig_close(&r);
    assert_int_equal(ceiling % 100, 0);
    return ceiling / 100;
}

#define MIB (UINT64_C(1) << 20)

static void parts__have_the_size_that_fits(void **state)
{
    const uint64_t gib = 1024 * MIB;

    (void)state;
    /* clamp(memory / (2 * 4), 8 MiB, 64 MiB) */
    assert_int_equal(part_size(256 * MIB, NULL, 0, 100 * MIB), 32 * MIB);
    assert_int_equal(part_size(40 * MIB, NULL, 0, 100 * MIB), 8 * MIB);
    assert_int_equal(part_size(4096 * MIB, NULL, 0, 100 * MIB), 64 * MIB);
    /* Of one at a time two fit, with the frame that goes over the end. */
    assert_int_equal(part_size(256 * MIB, "parallel_max=1", 0, 100 * MIB),
                     59 * MIB);
    assert_int_equal(part_size(1024 * MIB, "parallel_max=1", 0, 100 * MIB),
                     64 * MIB);
    assert_int_equal(part_size(256 * MIB, "parallel_max=2", 0, 100 * MIB),
                     64 * MIB);
    assert_int_equal(part_size(256 * MIB, "parallel_max=8", 0, 100 * MIB),
                     16 * MIB);
    assert_int_equal(part_size(256 * MIB, "parallel_max=99", 0, 100 * MIB),
                     8 * MIB);
    /* As large as the object needs, known or estimated; and of unknown size, if
     * they must be equal, as large as memory lets them be. */
    assert_true(part_size(256 * MIB, NULL, 0, 5 * gib) > 51 * MIB);
    assert_true(part_size(256 * MIB, NULL, 5 * gib, 0) > 51 * MIB);
    assert_int_equal(part_size(256 * MIB, "equal_parts=true", 0, 0), 64 * MIB);
    /* And never what the store does not take. */
    assert_int_equal(part_size(256 * MIB, "part_max=5M", 0, 100 * MIB),
                     5 * MIB);
    assert_int_equal(part_size(256 * MIB, "part_min=40M", 0, 100 * MIB),
                     40 * MIB);
    assert_int_equal(part_size(256 * MIB, "part_align=33M", 0, 100 * MIB),
                     33 * MIB);
}

/* How many buffers a save of 100 MiB has where parts go one by one. */
static unsigned n_buffers(uint64_t limit, const char *const *options, size_t n)
{
    struct reader reader = {NULL, 0, 0};
    struct upload_source source = {
        .read = read_some, .ctx = &reader, .has_size = true, .size = 100 * MIB};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    unsigned found;
    struct rig r;

    rig_open(&r, limit, options, n);
    rig_threads(&r);
    w = what(&r, 4 << 20);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    found = u->n_buffers;
    assert_true(u->buffers_memory <= limit / 2);
    upload_close(u);
    rig_close(&r);
    return found;
}

static void buffers__are_two_where_parts_go_one_by_one(void **state)
{
    static const char *const one[] = {"parallel_max=1", "part_min=1M"};
    static const char *const aligned[] = {"parallel_max=1", "part_min=256K",
                                          "part_align=256K"};

#ifdef PERSIST_ASYNC
    const unsigned want = 2;
#else
    const unsigned want = 1; /* nobody fills one while the other is sent */
#endif
    (void)state;
    for (uint64_t mib = 64; mib <= 1024; mib *= 2) {
        assert_int_equal(n_buffers(mib * MIB, one, 2), want);
        assert_int_equal(n_buffers(mib * MIB, aligned, 3), want);
    }
}

static uint64_t ceiling_of(const char *const *options, size_t n)
{
    struct upload_source source = {.read = read_some};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    uint64_t ceiling;
    struct rig r;

    rig_open(&r, 256 << 20, options, n);
    w = what(&r, 4 << 20);
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    ceiling = upload_ceiling(u);
    upload_close(u);
    rig_close(&r);
    return ceiling;
}

/* Of unknown size: they double with every tenth of the parts there may be, as
 * long as they fit in a quarter of the memory and in the store's limits. */
static void parts__grow_for_a_stream(void **state)
{
    static const char *const eight[] = {"parts_max=100", "parallel_max=16"};
    static const char *const small[] = {"parts_max=100", "parallel_max=16",
                                        "part_max=40M"};
    static const char *const largest[] = {"parts_max=100", "object_max=5M"};
    static const char *const twenty[] = {"parts_max=20", "put_max=64K"};

    (void)state;
    assert_int_equal(ceiling_of(eight, 2),
                     (10 * 8 + 10 * 16 + 10 * 32 + 70 * 64) * MIB);
    assert_int_equal(ceiling_of(small, 3), (10 * 8 + 10 * 16 + 80 * 32) * MIB);
    assert_int_equal(ceiling_of(largest, 2), 5 * MIB);
    /* 8, 8, 16 and what is left, with 64 MiB of memory. */
    assert_int_equal(send(twenty, 2, 40 * MIB, false), 4);
    assert_int_equal(send(twenty, 2, 40 * MIB, true), 6);
}

/* The first buffer holds a whole put, which is many parts where they are small:
 * what is left of it when parts grow is longer than the longer ones. */
static void parts__grow_while_the_first_buffer_holds_many(void **state)
{
    static const char *const twenty[] = {"parts_max=20", "put_max=8M"};
    enum { LEN = 20 << 20 };
    uint8_t *payload = noise(LEN);
    uint64_t size;

    (void)state;
    resumed_part = 256 << 10;
    for (int threads = 0; threads < 2; threads++)
        assert_true(send_frames(65536, threads, twenty, 2, payload, LEN, false,
                                &size) < 20);
    resumed_part = 0;
    free(payload);
}

static void open__refuses_what_the_parts_cannot_hold(void **state)
{
    static const char *const tiny[] = {"parts_max=2", "part_max=64K",
                                       "put_max=64K"};
    struct upload_source source = {
        .read = read_some, .has_size = true, .size = 200000};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, tiny, 3);
    w = what(&r, 65536);
    assert_int_equal(upload_open(&w, &source, &u, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "takes at most 128.0 KiB"));
    assert_null(u);
    source.size = 100000;
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    upload_close(u);
    rig_close(&r);
}

static void open__says_how_much_memory_it_needs(void **state)
{
    struct upload_source source = {.read = read_some};
    struct persist_error err = {0};
    struct upload *u = NULL;
    struct upload_what w;
    struct rig r;

    (void)state;
    rig_open(&r, 10 << 20, NULL, 0);
    w = what(&r, 4 << 20);
    assert_int_equal(upload_open(&w, &source, &u, &err), PERSIST_E_MEMORY);
    assert_non_null(strstr(err.message, "memory_limit is 10.0 MiB"));
    assert_null(u);
    /* Smaller frames need less. */
    w.frame_size = 65536;
    assert_ok(upload_open(&w, &source, &u, &err), &err);
    upload_close(u);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object__may_get_another_header),
        cmocka_unit_test(object__gives_its_kit_to_the_next),
        cmocka_unit_test(open__reserves_little_for_little),
        cmocka_unit_test(pool__gives_back_what_suits),
        cmocka_unit_test(send__cuts_parts_as_the_store_wants),
        cmocka_unit_test(send__ends_with_a_full_part),
        cmocka_unit_test(send__cuts_frames_that_are_stored_as_they_are),
        cmocka_unit_test(send__puts_frames_where_they_belong),
        cmocka_unit_test(send__hands_the_trace_on_to_parts),
        cmocka_unit_test(send__stops_when_told_between_parts),
        cmocka_unit_test(parts__have_the_size_that_fits),
        cmocka_unit_test(buffers__are_two_where_parts_go_one_by_one),
        cmocka_unit_test(parts__grow_for_a_stream),
        cmocka_unit_test(parts__grow_while_the_first_buffer_holds_many),
        cmocka_unit_test(open__refuses_what_the_parts_cannot_hold),
        cmocka_unit_test(open__says_how_much_memory_it_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
