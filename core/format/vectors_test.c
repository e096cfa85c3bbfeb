/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files under vectors/: what they hold, and that everything but the data
 * frames (whose bytes are the codec's version's business) is written again byte
 * for byte.
 *
 *     test_format_vectors --write DIR     makes them anew
 */
#include "format/test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/crc32c.h"

#define VECTORS PERSIST_TEST_SOURCE_DIR "/core/format/vectors"

static const struct vector {
    const char *name;
    enum codec codec;
    const char *payload;
} vectors[] = {
    {"zstd-0.snap", CODEC_ZSTD, ""},
    {"zstd-1.snap", CODEC_ZSTD, "x"},
    {"gzip-0.snap", CODEC_GZIP, ""},
    {"gzip-1.snap", CODEC_GZIP, "x"},
};
#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static const struct marker claim = {"018f3c1e-5a70-7c3d-9b1e-0123456789ab",
                                    "2026-11-23T04:19:24.642210Z",
                                    "host.example.org"};
static const struct marker tombstone = {"018f3c1e-5a70-7c3d-9b1e-0123456789ab",
                                        "2026-11-24T00:00:00.000000Z",
                                        "host.example.org"};

static struct persist_metadata vector_metadata(const struct vector *v)
{
    static const struct persist_label labels[] = {
        {"model", "large"},
        {"note", "tab\there \"quoted\" \xc3\xa9"},
    };
    bool zstd = v->codec == CODEC_ZSTD;
    return (struct persist_metadata){
        .compression_level = zstd ? 3 : 1,
        .snapshot_index = zstd ? 0 : 41,
        .frame_size = zstd ? FRAME_SIZE_DEFAULT : FRAME_SIZE_MIN,
        .snapshot_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab",
        .agent_id = "writer",
        .session_id = zstd ? "default" : "r\xc3\xa9sum\xc3\xa9",
        .timestamp = "2026-11-23T04:19:24.642210Z",
        .parent_id = zstd ? NULL : "018f3c1e-0000-7000-8000-000000000001",
        .compression_algorithm = codec_name(v->codec),
        .content_type = zstd ? NULL : "application/json",
        .schema = zstd ? NULL : "chat/3",
        .description = zstd ? "before the upgrade" : NULL,
        .producer_name = "persist",
        .producer_version = "0.2.0",
        .labels = zstd ? NULL : labels,
        .n_labels = zstd ? 0 : 2,
    };
}

static void read_file(const char *name, struct buf *out)
{
    char path[1000];
    char chunk[4096];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", VECTORS, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    buf_init(out, SIZE_MAX / 2);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(out, chunk, n);
    (void)fclose(f);
}

static void assert_same_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void check_metadata(const struct persist_metadata *m,
                           const struct vector *v)
{
    struct persist_metadata want = vector_metadata(v);
    assert_int_equal(m->format_version, 2);
    assert_int_equal(m->compression_level, want.compression_level);
    assert_int_equal(m->snapshot_index, want.snapshot_index);
    assert_int_equal(m->frame_size, want.frame_size);
    assert_same_text(m->snapshot_id, want.snapshot_id);
    assert_same_text(m->agent_id, want.agent_id);
    assert_same_text(m->session_id, want.session_id);
    assert_same_text(m->timestamp, want.timestamp);
    assert_same_text(m->parent_id, want.parent_id);
    assert_same_text(m->compression_algorithm, want.compression_algorithm);
    assert_same_text(m->content_type, want.content_type
                                          ? want.content_type
                                          : "application/octet-stream");
    assert_same_text(m->schema, want.schema);
    assert_same_text(m->description, want.description);
    assert_same_text(m->producer_name, want.producer_name);
    assert_same_text(m->producer_version, want.producer_version);
    assert_int_equal(m->n_labels, want.n_labels);
    for (size_t i = 0; i < want.n_labels; i++) {
        assert_same_text(m->labels[i].key, want.labels[i].key);
        assert_same_text(m->labels[i].value, want.labels[i].value);
    }
    assert_int_equal(m->uncompressed_size, strlen(v->payload));
    assert_int_equal(m->frame_count, strlen(v->payload));
}

/* Header and tail around the file's own frames. */
static void write_again(const struct buf *file, const struct vector *v,
                        struct buf *out)
{
    struct persist_metadata m = vector_metadata(v);
    struct snapshot_map map;
    struct snapshot_tail tail;
    uint64_t need = 0;
    uint8_t sha256[32];
    test_sha256(v->payload, strlen(v->payload), sha256);
    assert_int_equal(
        snapshot_map_parse(file->data, file->len, file->len, &map, &need, NULL),
        0);
    assert_memory_equal(map.sha256, sha256, 32);
    assert_int_equal(snapshot_header_encode(v->codec, &m, out, NULL), 0);
    size_t header_len = out->len;
    assert_true(header_len <= map.trailer_offset);
    size_t frames_len = (size_t)map.trailer_offset - header_len;
    const char *frames = file->data + header_len;

    snapshot_tail_init(&tail, v->codec, (uint32_t)m.frame_size);
    if (frames_len > 0)
        assert_int_equal(snapshot_tail_frame(&tail, (uint32_t)frames_len,
                                             (uint32_t)strlen(v->payload),
                                             crc32c(0, frames, frames_len),
                                             NULL),
                         0);
    buf_append(out, frames, frames_len);
    assert_int_equal(snapshot_tail_encode(&tail, out->data, header_len, sha256,
                                          &m, out, NULL),
                     0);
    snapshot_tail_finish(&tail);
    snapshot_map_finish(&map);
}

static void vector__holds_what_it_was_made_of(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct buf file;
        struct buf payload;
        struct persist_metadata *m = NULL;
        read_file(vectors[i].name, &file);
        buf_init(&payload, 100);
        assert_int_equal(test_scan(file.data, file.len, 11, &payload, &m, NULL),
                         0);
        assert_string_equal(payload.data ? payload.data : "",
                            vectors[i].payload);
        assert_int_equal(m->compressed_size, file.len);
        check_metadata(m, &vectors[i]);
        persist_metadata_free(m);
        buf_finish(&payload);
        buf_finish(&file);
    }
}

static void vector__is_written_again_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct buf file;
        struct buf again;
        read_file(vectors[i].name, &file);
        buf_init(&again, 10000);
        write_again(&file, &vectors[i], &again);
        assert_int_equal(again.len, file.len);
        assert_memory_equal(again.data, file.data, file.len);
        buf_finish(&again);
        buf_finish(&file);
    }
}

static void marker_vector__is_what_it_was(void **state)
{
    struct buf file;
    struct marker found;
    char object[CLAIM_LEN];
    (void)state;
    read_file("claim.snap", &file);
    assert_int_equal(claim_decode(file.data, file.len, &found, NULL), 0);
    assert_string_equal(found.snapshot_id, claim.snapshot_id);
    assert_string_equal(found.time, claim.time);
    assert_string_equal(found.host, claim.host);
    claim_encode(&claim, object);
    assert_memory_equal(object, file.data, CLAIM_LEN);
    buf_finish(&file);

    read_file("tombstone.snap", &file);
    assert_int_equal(tombstone_decode(file.data, file.len, &found, NULL), 0);
    assert_string_equal(found.snapshot_id, tombstone.snapshot_id);
    assert_string_equal(found.time, tombstone.time);
    assert_string_equal(found.host, tombstone.host);
    tombstone_encode(&tombstone, object);
    assert_memory_equal(object, file.data, TOMBSTONE_LEN);
    buf_finish(&file);
}

static void write_file(const char *dir, const char *name, const void *data,
                       size_t len)
{
    char path[1000];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        fail_msg("cannot write %s", path);
}

static const char *write_dir;

static void write_vectors(void **state)
{
    char object[CLAIM_LEN];
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        struct persist_metadata m = vector_metadata(&vectors[i]);
        struct test_snapshot s;
        test_snapshot_make_with(&s, &m, vectors[i].payload,
                                strlen(vectors[i].payload));
        write_file(write_dir, vectors[i].name, s.object.data, s.object.len);
        test_snapshot_finish(&s);
    }
    claim_encode(&claim, object);
    write_file(write_dir, "claim.snap", object, CLAIM_LEN);
    tombstone_encode(&tombstone, object);
    write_file(write_dir, "tombstone.snap", object, TOMBSTONE_LEN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector__holds_what_it_was_made_of),
        cmocka_unit_test(vector__is_written_again_byte_for_byte),
        cmocka_unit_test(marker_vector__is_what_it_was),
    };
    const struct CMUnitTest writing[] = {cmocka_unit_test(write_vectors)};
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_dir = argv[2];
        return cmocka_run_group_tests_name("write", writing, NULL, NULL);
    }
    return cmocka_run_group_tests_name("format.vectors", tests, NULL, NULL);
}
