/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage: every flip of a byte, every truncation, bytes added, frames and whole
 * objects swapped.  Restore and verify answer CORRUPT (or UNSUPPORTED, where a
 * version number was hit), never OK with other bytes and never NOT_FOUND.
 */
#include "engine/read_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum codec codecs[] = {CODEC_ZSTD, CODEC_GZIP};

static bool is_detected(int rc)
{
    return rc == PERSIST_E_CORRUPT || rc == PERSIST_E_UNSUPPORTED;
}

static void assert_detected(struct fixture *f, const char *address,
                            const char *how, size_t at)
{
    struct persist_error err = {0};
    void *got = NULL;
    size_t len = 0;
    int rc = persist_restore_buffer(f->store, address, 0, NULL, &got, &len,
                                    NULL, &err);

    if (!is_detected(rc))
        fail_msg("%s %zu: restore of %s: %s %s", how, at, address,
                 persist_status_name(rc), err.message);
    assert_null(got);
    assert_int_equal(err.status, rc);
    rc = persist_verify(f->store, address, NULL, NULL, &err);
    if (!is_detected(rc))
        fail_msg("%s %zu: verify of %s: %s %s", how, at, address,
                 persist_status_name(rc), err.message);
}

/* Three frames, the last one short, and every field of the header. */
static void make_object(enum codec codec, struct buf *out)
{
    static const struct persist_label labels[] = {{"k", "v"}, {"l", "w"}};
    uint8_t *payload = fixture_payload(2 * FRAME_SIZE_MIN + 100, 1);
    struct snapshot_spec spec = {.codec = codec,
                                 .payload = payload,
                                 .len = 2 * FRAME_SIZE_MIN + 100,
                                 .schema = "s",
                                 .description = "d",
                                 .labels = labels,
                                 .n_labels = 2};
    /* mostly zeros, so that the object is small */
    memset(payload + 500, 0, spec.len - 1000);
    fixture_encode(&spec, out);
    free(payload);
}

static void flips__are_all_detected(void **state)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    struct fixture *f = *state;
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        struct buf object;
        make_object(codecs[c], &object);
        fixture_set(f, key, object.data, object.len);
        for (size_t at = 0; at < object.len; at += PERSIST_TEST_STRIDE) {
            for (size_t m = 0; m < 3; m++) {
                char byte = (char)(object.data[at] ^ (char)masks[m]);
                f->memory->poke(f->id, key, at, &byte, 1);
                assert_detected(f, "a@0", "flip", at);
            }
            f->memory->poke(f->id, key, at, object.data + at, 1);
        }
        buf_finish(&object);
    }
}

static void truncations__are_all_detected(void **state)
{
    struct fixture *f = *state;
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        struct buf object;
        make_object(codecs[c], &object);
        for (size_t len = 0; len < object.len; len += PERSIST_TEST_STRIDE) {
            fixture_set(f, key, object.data, len);
            assert_detected(f, "a@0", "cut to", len);
            assert_detected(f, "a", "cut to", len);
        }
        buf_finish(&object);
    }
}

/* The same behind a claim, where a tombstone's size is the only special one. */
static void truncations__are_detected_behind_a_claim(void **state)
{
    struct fixture *f = *state;
    char key[KEY_CAP];
    struct buf object;

    fixture_claim(f, NULL, NULL, 0);
    fixture_key(NULL, NULL, 0, KEY_DATA, key);
    make_object(CODEC_ZSTD, &object);
    for (size_t len = 0; len < object.len; len += PERSIST_TEST_STRIDE) {
        fixture_set(f, key, object.data, len);
        assert_detected(f, "a@0", "cut to", len);
    }
    buf_finish(&object);
}

static void additions__are_all_detected(void **state)
{
    static const char *const more[] = {"", "x", "\x28\xb5\x2f\xfd"};
    static const size_t lens[] = {1, 1, 4};
    struct fixture *f = *state;
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < 3; i++) {
            struct buf object;
            struct buf twice;
            make_object(codecs[c], &object);
            buf_init(&twice, 1 << 20);
            buf_append(&twice, more[i], lens[i]);
            buf_append(&twice, object.data, object.len);
            fixture_set(f, key, twice.data, twice.len);
            assert_detected(f, "a@0", "in front", i);
            buf_append(&object, more[i], lens[i]);
            fixture_set(f, key, object.data, object.len);
            assert_detected(f, "a@0", "behind", i);
            buf_finish(&twice);
            make_object(codecs[c], &twice);
            buf_append(&twice, object.data, object.len - lens[i]);
            fixture_set(f, key, twice.data, twice.len);
            assert_detected(f, "a@0", "twice", i);
            buf_finish(&object);
            buf_finish(&twice);
        }
    }
}

static uint32_t next_random(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8;
}

/* Zeroed runs, moved runs, and several flips at once. */
static void scattered_damage__is_detected(void **state)
{
    struct fixture *f = *state;
    uint32_t x = 7;
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        struct buf object;
        make_object(codecs[c], &object);
        char *bytes = malloc(object.len);
        assert_non_null(bytes);
        for (size_t i = 0; i < 2000; i++) {
            size_t n = 1 + next_random(&x) % 64;
            size_t to = next_random(&x) % (object.len - n);
            size_t from = next_random(&x) % (object.len - n);
            memcpy(bytes, object.data, object.len);
            if (i % 3 == 0)
                memset(bytes + to, 0, n);
            else if (i % 3 == 1)
                memmove(bytes + to, bytes + from, n);
            else
                for (size_t k = 0; k < n; k++)
                    bytes[next_random(&x) % object.len] ^=
                        (char)(1u << next_random(&x) % 8);
            if (memcmp(bytes, object.data, object.len) == 0)
                continue;
            fixture_set(f, key, bytes, object.len);
            assert_detected(f, "a@0", "scattered", i);
        }
        free(bytes);
        buf_finish(&object);
    }
}

/* A large object is read in windows: damage in each part of it. */
static void large_objects__are_checked_too(void **state)
{
    struct fixture *f = *state;
    const size_t len = 300 * FRAME_SIZE_MIN;
    uint8_t *payload = fixture_payload(len, 3);
    char key[KEY_CAP];

    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    for (size_t c = 0; c < 2; c++) {
        struct snapshot_spec spec = {
            .codec = codecs[c], .payload = payload, .len = len};
        struct buf object;
        fixture_encode(&spec, &object);
        fixture_set(f, key, object.data, object.len);
        for (size_t i = 0; i < 24; i++) {
            size_t at = i * (object.len - 1) / 23;
            char byte = (char)(object.data[at] ^ 0x10);
            f->memory->poke(f->id, key, at, &byte, 1);
            assert_detected(f, "a@0", "flip", at);
            f->memory->poke(f->id, key, at, object.data + at, 1);
        }
        fixture_set(f, key, object.data, object.len - 1);
        assert_detected(f, "a@0", "cut", 1);
        fixture_set(f, key, object.data, object.len);
        assert_int_equal(persist_verify(f->store, "a", NULL, NULL, NULL),
                         PERSIST_OK);
        buf_finish(&object);
    }
    free(payload);
}

/* Two whole frames of a snapshot change places; each is valid in itself. */
static void swapped_frames__are_detected(void **state)
{
    struct fixture *f = *state;
    const size_t frame = FRAME_SIZE_MIN;
    uint8_t *payload = fixture_payload(2 * frame, 3);
    struct snapshot_spec spec = {.payload = payload, .len = 2 * frame};
    struct snapshot_map map;
    struct persist_error err;
    struct buf object;
    struct buf swapped;
    uint64_t need = 0;
    char key[KEY_CAP];

    /* incompressible, so that both are stored alike and have one length */
    for (size_t i = 0; i < 2 * frame; i++)
        payload[i] = (uint8_t)(i * i * 2654435761u >> 13 ^ i * 40503u >> 3);
    fixture_encode(&spec, &object);
    assert_ok(snapshot_map_parse(object.data, object.len, object.len, &map,
                                 &need, &err),
              &err);
    const struct snapshot_frame *a = &map.frames[0];
    const struct snapshot_frame *b = &map.frames[1];
    buf_init(&swapped, 1 << 20);
    buf_append(&swapped, object.data, (size_t)a->stored_offset);
    buf_append(&swapped, object.data + b->stored_offset, b->stored_len);
    buf_append(&swapped, object.data + a->stored_offset, a->stored_len);
    buf_append(&swapped, object.data + map.trailer_offset,
               (size_t)(object.len - map.trailer_offset));
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    fixture_set(f, key, swapped.data, swapped.len);
    assert_detected(f, "a@0", "swapped", 0);
    snapshot_map_finish(&map);
    buf_finish(&object);
    buf_finish(&swapped);
    free(payload);
}

/* One snapshot's header before the frames and end of another, which no accident
 * makes: only sums over the whole tell.  What docs/durability.md says of a
 * range is here: all of the payload is checked like the whole, less is not. */
static void spliced_headers__are_detected_by_what_reads_all(void **state)
{
    struct fixture *f = *state;
    const size_t size = 2 * FRAME_SIZE_MIN;
    uint8_t *payloads[2] = {fixture_payload(size, 1), fixture_payload(size, 2)};
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_error err;
    struct snapshot_map maps[2];
    struct buf objects[2], spliced;
    char key[KEY_CAP];
    void *got = NULL;
    size_t len = 0;

    for (int i = 0; i < 2; i++) {
        struct snapshot_spec spec = {.payload = payloads[i],
                                     .len = size,
                                     .description = i == 0 ? "one" : "two"};
        uint64_t need = 0;

        fixture_encode(&spec, &objects[i]);
        assert_ok(snapshot_map_parse(objects[i].data, objects[i].len,
                                     objects[i].len, &maps[i], &need, &err),
                  &err);
    }
    assert_int_equal(maps[0].header_len, maps[1].header_len);
    size_t header = (size_t)maps[0].header_len;
    buf_init(&spliced, 1 << 20);
    buf_append(&spliced, objects[0].data, header);
    buf_append(&spliced, objects[1].data + header, objects[1].len - header);
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    fixture_set(f, key, spliced.data, spliced.len);

    assert_detected(f, "a@0", "spliced", 0);
    o.flags = PERSIST_RESTORE_RANGE;
    o.length = size;
    assert_status(
        persist_restore_buffer(f->store, "a@0", 0, &o, &got, &len, NULL, &err),
        PERSIST_E_CORRUPT, &err);
    o.length = size - 1;
    assert_ok(
        persist_restore_buffer(f->store, "a@0", 0, &o, &got, &len, NULL, &err),
        &err);
    persist_free(got);
    for (int i = 0; i < 2; i++) {
        snapshot_map_finish(&maps[i]);
        buf_finish(&objects[i]);
        free(payloads[i]);
    }
    buf_finish(&spliced);
}

/* The wrong number of bytes from a store, and none at all. */
static void lying_stores__are_not_believed(void **state)
{
    static const char *const lies[] = {"short-read", "wrong-total"};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        const char *const settings[] = {"lies", lies[i], NULL};
        struct snapshot_spec spec = {.payload = "hello", .len = 5};
        struct persist_error err = {0};
        struct fixture f;
        void *got = NULL;
        size_t len = 0;
        fixture_open(&f, 0, settings);
        fixture_put(&f, &spec);
        int rc = persist_restore_buffer(f.store, "a", 0, NULL, &got, &len, NULL,
                                        &err);
        if (rc == PERSIST_OK || rc == PERSIST_E_NOT_FOUND)
            fail_msg("%s: %s", lies[i], persist_status_name(rc));
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(flips__are_all_detected),
        TEST(truncations__are_all_detected),
        TEST(truncations__are_detected_behind_a_claim),
        TEST(additions__are_all_detected),
        TEST(scattered_damage__is_detected),
        TEST(large_objects__are_checked_too),
        TEST(swapped_frames__are_detected),
        TEST(spliced_headers__are_detected_by_what_reads_all),
        cmocka_unit_test(lying_stores__are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
