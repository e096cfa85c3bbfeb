/* SPDX-License-Identifier: Apache-2.0 */
/* Test only; see read_test_kit.h. */
#include "engine/read_test_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/sha256.h"
#include "util/crc32c.h"

#define FIXTURE_ID "018f3c1e-5a70-7c3d-9b1e-0123456789ab"

static void keep_line(void *ctx, int level, const char *line, size_t len)
{
    struct buf *log = ctx;
    (void)level;
    buf_append(log, line, len);
    buf_putc(log, '\n');
}

void fixture_open(struct fixture *f, uint64_t memory_limit,
                  const char *const *settings)
{
    static unsigned count;
    const char *const dirs[] = {PERSIST_TEST_BINARY_DIR "/tests/backends"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_store_builder *b = NULL;
    struct persist_error err = {0};

    memset(f, 0, sizeof(*f));
    snprintf(f->id, sizeof(f->id), "read-%u", count++);
    buf_init(&f->log, 1 << 20);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.memory_limit = memory_limit;
    o.log = keep_line;
    o.log_ctx = &f->log;
    assert_ok(persist_create(&o, &f->p, &err), &err);
    assert_ok(persist_store_builder_create(f->p, "memory", &b, &err), &err);
    persist_store_builder_set(b, "store", f->id);
    for (; settings && *settings; settings += 2)
        persist_store_builder_set(b, settings[0], settings[1]);
    assert_ok(persist_store_builder_build(b, &f->store, &err), &err);
    f->memory = backend_store_plugin(f->store->backend)
                    ->descriptor.get_extension(MEMORY_CONTROL);
    assert_non_null(f->memory);
    f->memory->reset(f->id);
}

void fixture_close(struct fixture *f)
{
    f->memory->reset(f->id);
    assert_int_equal(budget_used(f->p->budget), 0);
    persist_close(f->store);
    persist_destroy(f->p);
    buf_finish(&f->log);
}

int fixture_setup(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    assert_non_null(f);
    fixture_open(f, 0, NULL);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void encode_frames(const struct snapshot_spec *spec, enum codec codec,
                          uint32_t frame_size, struct snapshot_tail *tail,
                          struct buf *out)
{
    struct frame_encoder *e =
        frame_encoder_create(codec, codec_level_default(codec), frame_size);
    size_t cap = frame_bound(codec, frame_size);
    char *frame = malloc(cap);
    struct persist_error err;

    assert_non_null(e);
    assert_non_null(frame);
    for (size_t at = 0; at < spec->len; at += frame_size) {
        size_t n = spec->len - at < frame_size ? spec->len - at : frame_size;
        size_t len = 0;
        assert_ok(frame_encode(e, (const char *)spec->payload + at, n, frame,
                               cap, &len, &err),
                  &err);
        assert_ok(snapshot_tail_frame(tail, (uint32_t)len, (uint32_t)n,
                                      crc32c(0, frame, len), &err),
                  &err);
        buf_append(out, frame, len);
    }
    frame_encoder_destroy(e);
    free(frame);
}

void fixture_encode(const struct snapshot_spec *spec, struct buf *out)
{
    enum codec codec = spec->codec ? spec->codec : CODEC_ZSTD;
    uint32_t frame_size = spec->frame_size ? spec->frame_size : FRAME_SIZE_MIN;
    struct persist_metadata m = {
        .struct_size = sizeof(m),
        .format_version = 2,
        .compression_level = codec_level_default(codec),
        .snapshot_index = spec->index,
        .frame_size = frame_size,
        .snapshot_id = FIXTURE_ID,
        .agent_id = spec->agent ? spec->agent : "a",
        .session_id = spec->session ? spec->session : "default",
        .timestamp = FIXTURE_TIME,
        .compression_algorithm = codec_name(codec),
        .content_type = "application/octet-stream",
        .schema = spec->schema,
        .description = spec->description,
        .labels = spec->labels,
        .n_labels = spec->n_labels,
        .producer_name = "test",
        .producer_version = "1",
    };
    struct snapshot_tail tail;
    struct persist_error err = {0};
    struct sha256 *sha = sha256_create();
    uint8_t digest[32];

    buf_init(out, SIZE_MAX / 2);
    snapshot_tail_init(&tail, codec, frame_size);
    assert_ok(snapshot_header_encode(codec, &m, out, &err), &err);
    size_t header_len = out->len;
    encode_frames(spec, codec, frame_size, &tail, out);
    assert_int_equal(sha256_update(sha, spec->payload, spec->len), 0);
    assert_int_equal(sha256_final(sha, digest), 0);
    char *header = malloc(header_len);
    assert_non_null(header);
    memcpy(header, out->data, header_len);
    assert_ok(
        snapshot_tail_encode(&tail, header, header_len, digest, &m, out, &err),
        &err);
    assert_false(buf_failed(out));
    free(header);
    sha256_destroy(sha);
    snapshot_tail_finish(&tail);
}

void fixture_key(const char *agent, const char *session, uint64_t index,
                 enum key_kind kind, char out[KEY_CAP])
{
    char prefix[KEY_CAP];

    assert_int_equal(key_session_prefix(agent ? agent : "a",
                                        session ? session : "default", prefix,
                                        NULL),
                     PERSIST_OK);
    key_format(prefix, index, kind, out);
}

void fixture_set(struct fixture *f, const char *key, const void *data,
                 size_t len)
{
    assert_int_equal(f->memory->set(f->id, key, data, len), 0);
}

static void put_as(struct fixture *f, const struct snapshot_spec *spec,
                   enum key_kind kind)
{
    struct buf object;
    char key[KEY_CAP];

    fixture_encode(spec, &object);
    fixture_key(spec->agent, spec->session, spec->index, kind, key);
    fixture_set(f, key, object.data, object.len);
    buf_finish(&object);
}

void fixture_put(struct fixture *f, const struct snapshot_spec *spec)
{
    put_as(f, spec, KEY_SNAP);
}

void fixture_put_data(struct fixture *f, const struct snapshot_spec *spec)
{
    fixture_claim(f, spec->agent, spec->session, spec->index);
    put_as(f, spec, KEY_DATA);
}

static const struct marker fixture_marker = {FIXTURE_ID, FIXTURE_TIME, "host"};

void fixture_claim(struct fixture *f, const char *agent, const char *session,
                   uint64_t index)
{
    char object[CLAIM_LEN];
    char key[KEY_CAP];

    claim_encode(&fixture_marker, object);
    fixture_key(agent, session, index, KEY_SNAP, key);
    fixture_set(f, key, object, sizeof(object));
}

void fixture_tombstone(struct fixture *f, const char *agent,
                       const char *session, uint64_t index)
{
    char object[TOMBSTONE_LEN];
    char key[KEY_CAP];

    tombstone_encode(&fixture_marker, object);
    fixture_key(agent, session, index, KEY_SNAP, key);
    fixture_set(f, key, object, sizeof(object));
}

uint8_t *fixture_payload(size_t len, uint32_t seed)
{
    uint8_t *p = malloc(len + 1);
    uint32_t x = seed * 2654435761u + 1;

    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        /* half noise, half repetition */
        p[i] = i % 64 < 32 ? (uint8_t)(x >> 24) : (uint8_t)(i / 64);
    }
    return p;
}
