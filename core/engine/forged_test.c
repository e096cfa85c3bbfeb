/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that are no damage but lies: every checksum is right, and what is
 * said does not fit what is there.  Each is CORRUPT, in show where show can
 * see it, and never gives a byte that was not promised.
 */
#include "engine/read_test_kit.h"

#include <stdlib.h>
#include <string.h>

#include "transfer/sha256.h"
#include "util/crc32c.h"
#include "util/le.h"

#define FRAME ((size_t)FRAME_SIZE_MIN)
#define N_FRAMES_MAX 4

struct forgery {
    const char *what;
    uint32_t frame_size;         /* in the header */
    size_t real[N_FRAMES_MAX];   /* payload lengths of the frames; 0 ends */
    size_t claims[N_FRAMES_MAX]; /* what is said of them; may end earlier */
    size_t header_junk;          /* bytes of a skippable frame behind it */
    bool seen_by_show;
    bool another_hash; /* the SHA-256 of something else */
};

static const struct forgery forgeries[] = {
    {"nothing", 1 << 16, {FRAME, FRAME, 5}, {FRAME, FRAME, 5}, 0, false, false},
    {"the hash of another payload",
     1 << 16,
     {FRAME, FRAME, 5},
     {FRAME, FRAME, 5},
     0,
     false,
     true},
    {"frames of another size",
     1 << 17,
     {FRAME, FRAME, 5},
     {FRAME, FRAME, 5},
     0,
     true,
     false},
    {"frames longer than frame_size",
     1 << 16,
     {2 * FRAME, 5},
     {2 * FRAME, 5},
     0,
     true,
     false},
    {"a short frame in the middle",
     1 << 16,
     {FRAME / 2, FRAME},
     {FRAME, FRAME / 2},
     0,
     false,
     false},
    {"a last frame that holds less",
     1 << 16,
     {FRAME, 5},
     {FRAME, 6},
     0,
     false,
     false},
    {"a last frame that holds more",
     1 << 16,
     {FRAME, 6},
     {FRAME, 5},
     0,
     false,
     false},
    {"something behind the header",
     1 << 16,
     {FRAME, 5},
     {FRAME, 5},
     20,
     true,
     false},
    {"a frame that nobody counts",
     1 << 16,
     {FRAME, FRAME, 5},
     {FRAME, FRAME},
     0,
     false,
     false},
};

static void add_frames(const struct forgery *how, enum codec codec,
                       const uint8_t *payload, struct snapshot_tail *tail,
                       struct buf *out)
{
    struct frame_encoder *e =
        frame_encoder_create(codec, codec_level_default(codec), 1 << 18);
    size_t cap = frame_bound(codec, 1 << 18);
    char *frame = malloc(cap);
    struct persist_error err;

    assert_non_null(e);
    assert_non_null(frame);
    for (size_t i = 0; i < N_FRAMES_MAX && how->real[i]; i++) {
        size_t len = 0;
        assert_ok(
            frame_encode(e, payload, how->real[i], frame, cap, &len, &err),
            &err);
        payload += how->real[i];
        buf_append(out, frame, len);
        if (how->claims[i])
            assert_ok(snapshot_tail_frame(tail, (uint32_t)len,
                                          (uint32_t)how->claims[i],
                                          crc32c(0, frame, len), &err),
                      &err);
    }
    frame_encoder_destroy(e);
    free(frame);
}

static void add_junk(struct buf *out, size_t len)
{
    static const char head[8] = "\x5f\x2a\x4d\x18\x0c\0\0";

    if (len == 0)
        return;
    buf_append(out, head, 8);
    buf_zero(out, len - 8);
}

/* A gzip object's footer, to where the trailer is said to begin. */
static void point_footer(struct buf *object, uint64_t trailer)
{
    char *footer = object->data + object->len - 46;

    le_put64(footer + 16, trailer);
    le_put32(footer + 32, crc32c(0, footer + 16, 16));
}

static void forge(const struct forgery *how, enum codec codec, struct buf *out)
{
    struct persist_metadata m = {
        .struct_size = sizeof(m),
        .compression_level = codec_level_default(codec),
        .frame_size = how->frame_size,
        .snapshot_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab",
        .agent_id = "a",
        .session_id = "default",
        .timestamp = FIXTURE_TIME,
        .compression_algorithm = codec_name(codec),
        .producer_name = "test",
        .producer_version = "1",
    };
    uint8_t *payload = fixture_payload(5 * FRAME, 1);
    struct sha256 *sha = sha256_create();
    struct snapshot_tail tail;
    struct persist_error err;
    uint8_t digest[32];
    char header[4096];
    size_t len = 0;

    buf_init(out, 16 << 20);
    /* as large as any claim, so that the writer lets them pass */
    snapshot_tail_init(&tail, codec,
                       how->claims[0] > FRAME ? 1 << 17 : 1 << 16);
    assert_ok(snapshot_header_encode(codec, &m, out, &err), &err);
    add_junk(out, how->header_junk);
    size_t header_len = out->len;
    assert_true(header_len < sizeof(header));
    memcpy(header, out->data, header_len);
    add_frames(how, codec, payload, &tail, out);
    for (size_t i = 0; i < N_FRAMES_MAX; i++)
        len += how->claims[i] ? how->real[i] : 0;
    size_t trailer = out->len;
    assert_int_equal(sha256_update(sha, payload, len), 0);
    assert_int_equal(sha256_final(sha, digest), 0);
    digest[31] ^= how->another_hash;
    assert_ok(
        snapshot_tail_encode(&tail, header, header_len, digest, &m, out, &err),
        &err);
    if (codec == CODEC_GZIP)
        point_footer(out, trailer);
    snapshot_tail_finish(&tail);
    sha256_destroy(sha);
    free(payload);
}

static void check_forgery(struct fixture *f, const struct forgery *how,
                          bool first_half)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    bool good = how == &forgeries[0];
    void *got = NULL;
    size_t len = 0;
    int rc = persist_show(f->store, "a@0", &m, &err);

    if (how->seen_by_show && rc != PERSIST_E_CORRUPT)
        fail_msg("%s: show: %s", how->what, persist_status_name(rc));
    persist_metadata_free(m);
    o.flags = first_half ? PERSIST_RESTORE_RANGE : 0;
    o.length = first_half ? 100 : 0;
    rc = persist_restore_buffer(f->store, "a@0", 0, &o, &got, &len, NULL, &err);
    if (!first_half && rc != (good ? PERSIST_OK : PERSIST_E_CORRUPT))
        fail_msg("%s: restore: %s", how->what, persist_status_name(rc));
    if (rc == PERSIST_OK)
        assert_int_equal(len, first_half ? 100 : 2 * FRAME + 5);
    persist_free(got);
    rc = persist_verify(f->store, "a@0", NULL, NULL, &err);
    if (rc != (good ? PERSIST_OK : PERSIST_E_CORRUPT))
        fail_msg("%s: verify: %s", how->what, persist_status_name(rc));
}

static void forgeries__are_corrupt(void **state)
{
    static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};
    struct fixture *f = *state;
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
            const struct forgery *how = &forgeries[i];
            struct buf object;
            if (how->header_junk && codecs[c] == CODEC_GZIP)
                continue; /* the header's length stands nowhere else */
            forge(how, codecs[c], &object);
            fixture_set(f, key, object.data, object.len);
            check_forgery(f, how, false);
            check_forgery(f, how, true);
            buf_finish(&object);
        }
    }
}

/* A gzip object's footer points elsewhere, its own checksum being right. */
static void footers__that_point_elsewhere_are_corrupt(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.codec = CODEC_GZIP};
    uint8_t *payload = fixture_payload(3 * FRAME, 1);
    struct buf object;
    char key[KEY_CAP];

    spec.payload = payload;
    spec.len = 3 * FRAME;
    fixture_encode(&spec, &object);
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    uint64_t good = le_get64(object.data + object.len - 46 + 16);
    for (uint64_t shift = 1; shift < 3000; shift += 7) {
        uint64_t offset = good + (shift & 1 ? shift : (uint64_t)0 - shift);
        struct persist_error err = {0};
        void *got = NULL;
        size_t len = 0;
        point_footer(&object, offset);
        fixture_set(f, key, object.data, object.len);
        assert_status(persist_restore_buffer(f->store, "a", 0, NULL, &got, &len,
                                             NULL, &err),
                      PERSIST_E_CORRUPT, &err);
    }
    buf_finish(&object);
    free(payload);
}

/* Members of gzip say how long they are, where nothing else does. */
static void expect_corrupt_members(struct fixture *f, struct buf *object,
                                   size_t step)
{
    uint64_t trailer = le_get64(object->data + object->len - 46 + 16);
    size_t at = 16 + le_get16(object->data + 14) + 10; /* behind the header */
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t i = 0; at < trailer; i++) {
        char *field = object->data + at + 16;
        uint32_t len = le_get32(field);
        const uint32_t lies[] = {0,
                                 len - 1,
                                 len + 1,
                                 (uint32_t)frame_bound(CODEC_GZIP, FRAME),
                                 (uint32_t)frame_bound(CODEC_GZIP, FRAME) + 1,
                                 300000,
                                 (uint32_t)(trailer - at) + 1,
                                 UINT32_MAX};
        for (size_t l = 0; i % step == 0 && l < 8; l++) {
            struct persist_error err = {0};
            void *got = NULL;
            size_t got_len = 0;
            le_put32(field, lies[l]);
            fixture_set(f, key, object->data, object->len);
            assert_status(persist_restore_buffer(f->store, "a", 0, NULL, &got,
                                                 &got_len, NULL, &err),
                          PERSIST_E_CORRUPT, &err);
            assert_status(persist_verify(f->store, "a@0", NULL, NULL, &err),
                          PERSIST_E_CORRUPT, &err);
        }
        le_put32(field, len);
        at += len;
    }
}

static void members__that_lie_about_their_length_are_corrupt(void **state)
{
    static const size_t frames[] = {3, 61}; /* read at once; in pieces */

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct snapshot_spec spec = {.codec = CODEC_GZIP,
                                     .len = frames[i] * FRAME - 7};
        uint8_t *payload = fixture_payload(spec.len, 1);
        struct fixture f;
        struct buf object;

        fixture_open(&f, 8 << 20, NULL);
        spec.payload = payload;
        fixture_encode(&spec, &object);
        expect_corrupt_members(&f, &object, i == 0 ? 1 : 4);
        buf_finish(&object);
        fixture_close(&f);
        free(payload);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(forgeries__are_corrupt),
        TEST(footers__that_point_elsewhere_are_corrupt),
        cmocka_unit_test(members__that_lie_about_their_length_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
