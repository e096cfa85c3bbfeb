/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer/lanes.h"

enum { FRAME = 65536, FRAMES = 40, SHORT = 1234 };

struct frames {
    uint8_t *stored[FRAMES];
    size_t len[FRAMES];
    uint8_t sha256[32];
};

static uint8_t *payload;

static size_t payload_len(int i)
{
    return i == FRAMES - 1 ? SHORT : FRAME;
}

static int make_payload(void **state)
{
    uint32_t seed = 1;

    (void)state;
    payload = malloc((size_t)FRAME * FRAMES);
    if (!payload)
        return -1;
    for (size_t i = 0; i < (size_t)FRAME * FRAMES; i++) {
        seed = seed * 1664525 + 1013904223;
        payload[i] = (uint8_t)('a' + (seed >> 29));
    }
    return 0;
}

static int free_payload(void **state)
{
    (void)state;
    free(payload);
    return 0;
}

static void take_encoded(struct lanes *l, struct frames *out, int *n)
{
    struct lane *lane = lanes_take(l);

    assert_non_null(lane);
    assert_int_equal(lane->rc, PERSIST_OK);
    out->stored[*n] = malloc(lane->out_len);
    memcpy(out->stored[*n], lane->out, lane->out_len);
    out->len[(*n)++] = lane->out_len;
    lanes_release(l, lane);
}

static void encode_all(struct executor *cpu, unsigned n_lanes, bool borrow,
                       struct frames *out)
{
    struct sha256 *sha = sha256_create();
    const struct lanes_what what = {
        .codec = CODEC_ZSTD,
        .level = 3,
        .frame_size = FRAME,
        .in_cap = borrow ? 0 : FRAME,
        .out_cap = frame_bound(CODEC_ZSTD, FRAME),
        .n = n_lanes,
        .cpu = cpu,
        .sha256 = sha,
    };
    struct lanes *l = lanes_create(&what);
    struct persist_error err;
    int taken = 0;

    for (int i = 0; i < FRAMES; i++) {
        struct lane *lane;

        assert_int_equal(lanes_free(l, &lane, &err), PERSIST_OK);
        if (!lane) {
            take_encoded(l, out, &taken);
            assert_int_equal(lanes_free(l, &lane, &err), PERSIST_OK);
        }
        assert_non_null(lane);
        lane->in = payload + (size_t)i * FRAME;
        if (!borrow)
            lane->in = memcpy(lane->in_buf, lane->in, payload_len(i));
        lane->in_len = payload_len(i);
        lanes_start(l, lane);
    }
    while (taken < FRAMES)
        take_encoded(l, out, &taken);
    assert_null(lanes_take(l));
    assert_int_equal(lanes_hashed(l, &err), PERSIST_OK);
    assert_int_equal(sha256_final(sha, out->sha256), 0);
    lanes_destroy(l);
    sha256_destroy(sha);
}

/* Frames of a file in memory, by three lanes. */
static struct lanes_what to_decode(struct executor *cpu, struct sha256 *sha)
{
    return (struct lanes_what){
        .decode = true,
        .codec = CODEC_ZSTD,
        .frame_size = FRAME,
        .out_cap = FRAME,
        .n = 3,
        .cpu = cpu,
        .sha256 = sha,
    };
}

static void frames_free(struct frames *f)
{
    for (int i = 0; i < FRAMES; i++)
        free(f->stored[i]);
}

/* The sequential codec is the judge. */
static void assert_frames_are_right(const struct frames *f)
{
    struct frame_decoder *d = frame_decoder_create(CODEC_ZSTD, FRAME);
    struct sha256 *sha = sha256_create();
    static uint8_t out[FRAME];
    uint8_t want[32];

    for (int i = 0; i < FRAMES; i++) {
        size_t len;

        assert_int_equal(
            frame_decode(d, f->stored[i], f->len[i], out, FRAME, &len, NULL),
            PERSIST_OK);
        assert_int_equal(len, payload_len(i));
        assert_memory_equal(out, payload + (size_t)i * FRAME, len);
        sha256_update(sha, out, len);
    }
    sha256_final(sha, want);
    assert_memory_equal(f->sha256, want, 32);
    sha256_destroy(sha);
    frame_decoder_destroy(d);
}

static void encode__keeps_order_and_hash(void **state)
{
    static const unsigned lanes[] = {1, 2, 3, 7};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct executor *cpu = executor_create("cpu", 4, 0);
        struct frames f = {0};

        encode_all(cpu, lanes[i], i % 2 == 0, &f);
        assert_frames_are_right(&f);
        frames_free(&f);
        executor_destroy(cpu);
    }
}

static void encode__works_without_threads(void **state)
{
    struct frames f = {0};

    (void)state;
    encode_all(NULL, 3, false, &f);
    assert_frames_are_right(&f);
    frames_free(&f);
}

static void decode__gives_payload_in_order(void **state)
{
    struct executor *cpu = executor_create("cpu", 4, 0);
    struct frames f = {0};
    struct sha256 *sha = sha256_create();
    const struct lanes_what what = to_decode(cpu, sha);
    struct lanes *l = lanes_create(&what);
    struct lane *lane;
    uint8_t got[32];
    int taken = 0;

    (void)state;
    encode_all(NULL, 1, true, &f);
    for (int i = 0; i < FRAMES || taken < FRAMES;) {
        lane = NULL;
        if (i < FRAMES)
            assert_int_equal(lanes_free(l, &lane, NULL), PERSIST_OK);
        if (lane) {
            lane->in = f.stored[i];
            lane->in_len = f.len[i++];
            lanes_start(l, lane);
            continue;
        }
        lane = lanes_take(l);
        assert_int_equal(lane->frame.payload.len, payload_len(taken));
        assert_memory_equal(lane->frame.payload.at,
                            payload + (size_t)taken * FRAME,
                            payload_len(taken));
        taken++;
        lanes_release(l, lane);
    }
    assert_int_equal(lanes_hashed(l, NULL), PERSIST_OK);
    sha256_final(sha, got);
    assert_memory_equal(got, f.sha256, 32);
    lanes_destroy(l);
    sha256_destroy(sha);
    frames_free(&f);
    executor_destroy(cpu);
}

static void decode__reports_damage_of_its_lane_alone(void **state)
{
    struct executor *cpu = executor_create("cpu", 2, 0);
    struct frames f = {0};
    const struct lanes_what what = to_decode(cpu, NULL);
    struct lanes *l = lanes_create(&what);
    struct lane *lane;

    (void)state;
    encode_all(NULL, 1, true, &f);
    f.stored[1][f.len[1] / 2] ^= 1;
    for (int i = 0; i < 3; i++) {
        lanes_free(l, &lane, NULL);
        lane->in = f.stored[i];
        lane->in_len = f.len[i];
        lanes_start(l, lane);
    }
    for (int i = 0; i < 3; i++) {
        lane = lanes_take(l);
        assert_int_equal(lane->rc, i == 1 ? PERSIST_E_CORRUPT : PERSIST_OK);
        lanes_release(l, lane);
    }
    lanes_destroy(l);
    frames_free(&f);
    executor_destroy(cpu);
}

/* Noise, so that the frames hold it as it is. */
static void make_raw(struct frames *f, int n)
{
    struct frame_encoder *e = frame_encoder_create(CODEC_ZSTD, 1, FRAME);
    size_t cap = frame_bound(CODEC_ZSTD, FRAME);
    uint8_t *noise = malloc(FRAME);
    uint32_t x = 1;

    assert_non_null(e);
    assert_non_null(noise);
    for (int i = 0; i < n; i++) {
        for (size_t at = 0; at < FRAME; at++) {
            x = x * 1664525 + 1013904223;
            noise[at] = (uint8_t)(x >> 24);
        }
        f->stored[i] = malloc(cap);
        assert_non_null(f->stored[i]);
        assert_int_equal(
            frame_encode(e, noise, FRAME, f->stored[i], cap, &f->len[i], NULL),
            PERSIST_OK);
    }
    free(noise);
    frame_encoder_destroy(e);
}

struct repair {
    struct frames *f;
    bool helps;
    atomic_int times;
};

static int repair(void *ctx, struct lane *lane)
{
    struct repair *r = ctx;

    atomic_fetch_add(&r->times, 1);
    if (r->helps)
        r->f->stored[lane->tag - 1][r->f->len[lane->tag - 1] / 2] ^= 1;
    return PERSIST_OK;
}

/* Damage of a raw frame shows when it is hashed.  It is read once more, and
 * neither the frame before it nor the one behind it notices. */
static void check_raw_damage(struct executor *cpu, bool hashes, bool helps)
{
    struct sha256 *sha = hashes ? sha256_create() : NULL;
    struct sha256 *want = sha256_create();
    struct frames f = {0};
    struct repair r = {.f = &f, .helps = helps};
    struct lanes_what what = to_decode(cpu, sha);
    struct lanes *l;
    struct lane *lane;
    uint8_t a[32], b[32];

    what.again = repair;
    what.again_ctx = &r;
    l = lanes_create(&what);
    make_raw(&f, 3);
    f.stored[1][f.len[1] / 2] ^= 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lanes_free(l, &lane, NULL), PERSIST_OK);
        lane->in = f.stored[i];
        lane->in_len = f.len[i];
        lane->tag = (uint64_t)i + 1;
        lanes_start(l, lane);
    }
    for (int i = 0; i < 3; i++) {
        lane = lanes_take(l);
        assert_int_equal(lane->rc,
                         i == 1 && !helps ? PERSIST_E_CORRUPT : PERSIST_OK);
        if (lane->rc == PERSIST_OK) {
            assert_true(lane->frame.payload.in_blocks);
            /* its only block, behind header and block header */
            sha256_update(want, f.stored[i] + f.len[i] - 4 - FRAME, FRAME);
        }
        lanes_release(l, lane);
    }
    assert_int_equal(atomic_load(&r.times), 1);
    assert_int_equal(lanes_hashed(l, NULL), PERSIST_OK);
    assert_int_equal(lanes_over(l), 3);
    if (sha) {
        sha256_final(sha, a);
        sha256_final(want, b);
        assert_memory_equal(a, b, 32);
    }
    lanes_destroy(l);
    sha256_destroy(sha);
    sha256_destroy(want);
    frames_free(&f);
}

static void decode__finds_damage_of_what_is_stored_as_it_is(void **state)
{
    struct executor *cpu = executor_create("cpu", 2, 0);

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        check_raw_damage(i & 1 ? cpu : NULL, i & 2, i & 4);
    executor_destroy(cpu);
}

/* What a lane reads is the caller's again once that lane and all before it are
 * over, also when the lane itself is in use again. */
static void check_over(bool often)
{
    const struct lanes_what what = {
        .decode = true,
        .codec = CODEC_ZSTD,
        .frame_size = FRAME,
        .out_cap = FRAME,
        .n = 2,
    };
    struct lanes *l = lanes_create(&what);
    struct frames f = {0};
    uint64_t started = 0;

    make_raw(&f, 1);
    for (uint64_t released = 0; released < 9; released++) {
        struct lane *lane = NULL;

        while (lanes_free(l, &lane, NULL) == PERSIST_OK && lane) {
            lane->in = f.stored[0];
            lane->in_len = f.len[0];
            lane->tag = 100 * ++started;
            lanes_start(l, lane);
            assert_int_equal(lanes_over(l), 100 * released);
        }
        lane = lanes_take(l);
        if (often)
            assert_int_equal(lanes_over(l), 100 * released);
        lanes_release(l, lane);
        if (often)
            assert_int_equal(lanes_over(l), 100 * (released + 1));
    }
    lanes_destroy(l);
    frames_free(&f);
}

static void over__is_what_was_released(void **state)
{
    (void)state;
    check_over(true);
    check_over(false);
}

/* Lanes go while their work runs: nothing may touch them afterwards. */
static void destroy__waits_for_what_runs(void **state)
{
    struct executor *cpu = executor_create("cpu", 2, 0);

    (void)state;
    for (int turn = 0; turn < 50; turn++) {
        struct sha256 *sha = sha256_create();
        const struct lanes_what what = {
            .codec = CODEC_ZSTD,
            .level = 1,
            .frame_size = FRAME,
            .out_cap = frame_bound(CODEC_ZSTD, FRAME),
            .n = 4,
            .cpu = cpu,
            .sha256 = sha,
        };
        struct lanes *l = lanes_create(&what);

        for (int i = 0; i < turn % 5; i++) {
            struct lane *lane;

            lanes_free(l, &lane, NULL);
            if (!lane)
                break;
            lane->in = payload;
            lane->in_len = FRAME;
            lanes_start(l, lane);
        }
        lanes_destroy(l);
        sha256_destroy(sha);
    }
    executor_destroy(cpu);
}

/* Noise is encoded at once, and its hash takes much longer: it reads the lane's
 * own memory when nobody wants it any more. */
static void destroy__waits_for_the_hash(void **state)
{
    const size_t len = (size_t)16 << 20;
    struct executor *cpu = executor_create("cpu", 2, 0);
    struct sha256 *sha = sha256_create();
    const struct lanes_what what = {
        .codec = CODEC_ZSTD,
        .level = 1,
        .frame_size = (uint32_t)len,
        .in_cap = len,
        .out_cap = frame_bound(CODEC_ZSTD, len),
        .n = 2,
        .cpu = cpu,
        .sha256 = sha,
    };

    (void)state;
    for (int turn = 0; turn < 5; turn++) {
        struct lanes *l = lanes_create(&what);
        struct lane *lane = NULL;
        uint64_t x = 1;

        assert_int_equal(lanes_free(l, &lane, NULL), PERSIST_OK);
        for (size_t i = 0; i < len; i += sizeof(x)) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            memcpy(lane->in_buf + i, &x, sizeof(x));
        }
        lane->in = lane->in_buf;
        lane->in_len = len;
        lanes_start(l, lane);
        usleep(3000);
        lanes_destroy(l);
    }
    sha256_destroy(sha);
    executor_destroy(cpu);
}

static atomic_bool gate_open;

static void wait_at_gate(struct task *t)
{
    (void)t;
    while (!atomic_load(&gate_open))
        usleep(1000);
}

/* A cancelled save does not encode first what it will not send. */
static void destroy__takes_back_what_has_not_begun(void **state)
{
    struct executor *cpu = executor_create("cpu", 1, 0);
    struct sha256 *sha = sha256_create();
    const struct lanes_what what = {
        .codec = CODEC_ZSTD,
        .level = 1,
        .frame_size = FRAME,
        .out_cap = frame_bound(CODEC_ZSTD, FRAME),
        .n = 3,
        .cpu = cpu,
        .sha256 = sha,
    };
    struct lanes *l = lanes_create(&what);
    struct lane *lane;
    struct task gate;

    (void)state;
    if (executor_limit(cpu) > 0) {
        atomic_store(&gate_open, false);
        task_init(&gate, wait_at_gate);
        assert_int_equal(executor_submit(cpu, &gate), PERSIST_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lanes_free(l, &lane, NULL), PERSIST_OK);
        lane->in = payload;
        lane->in_len = FRAME;
        lanes_start(l, lane);
    }
    lanes_destroy(l); /* the only thread stands at the gate */
    atomic_store(&gate_open, true);
    sha256_destroy(sha);
    executor_destroy(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode__keeps_order_and_hash),
        cmocka_unit_test(encode__works_without_threads),
        cmocka_unit_test(decode__gives_payload_in_order),
        cmocka_unit_test(decode__reports_damage_of_its_lane_alone),
        cmocka_unit_test(decode__finds_damage_of_what_is_stored_as_it_is),
        cmocka_unit_test(over__is_what_was_released),
        cmocka_unit_test(destroy__waits_for_what_runs),
        cmocka_unit_test(destroy__waits_for_the_hash),
        cmocka_unit_test(destroy__takes_back_what_has_not_begun),
    };

    return cmocka_run_group_tests(tests, make_payload, free_payload);
}
