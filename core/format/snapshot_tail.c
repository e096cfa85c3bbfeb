/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing: header, trailer, and the seek table or footer.  The tail knows the
 * data frames only by lengths and CRCs, so a snapshot whose index was lost to
 * another writer gets a new header without any frame being read again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/layout.h"
#include "format/snapshot.h"
#include "format/zstd_frame.h"
#include "util/crc32c.h"
#include "util/le.h"
#include "util/text.h"

/* The trailer's JSON: names, two hashes and two numbers of 19 digits. */
#define TRAILER_JSON_MAX 256

size_t layout_frame_min(enum codec codec)
{
    return codec == CODEC_GZIP ? MEMBER_DATA_MIN : ZSTD_FRAME_MIN;
}

void seek_entry_put(struct buf *entries, uint32_t stored_len,
                    uint32_t payload_len)
{
    uint8_t entry[SEEK_ENTRY_LEN];
    le_put32(entry, stored_len);
    le_put32(entry + 4, payload_len);
    buf_append(entries, entry, sizeof(entry));
}

void seek_table_put(struct buf *out, uint32_t header_len,
                    const struct buf *entries, uint32_t trailer_len)
{
    size_t n = entries->len / SEEK_ENTRY_LEN + 2;
    uint8_t head[SKIPPABLE_HEAD_LEN];
    uint8_t footer[SEEK_FOOTER_LEN];
    le_put32(head, SKIPPABLE_SEEK);
    le_put32(head + 4, (uint32_t)(n * SEEK_ENTRY_LEN + SEEK_FOOTER_LEN));
    buf_append(out, head, sizeof(head));
    seek_entry_put(out, header_len, 0);
    buf_append(out, entries->data, entries->len);
    seek_entry_put(out, trailer_len, 0);
    le_put32(footer, (uint32_t)n);
    footer[4] = 0; /* no checksums */
    le_put32(footer + 5, SEEK_MAGIC);
    buf_append(out, footer, sizeof(footer));
}

void footer_put(struct buf *out, uint64_t trailer_offset, uint64_t n_frames)
{
    uint8_t member[MEMBER_HEAD_LEN + FOOTER_DATA_LEN];
    uint8_t *data = member + MEMBER_HEAD_LEN;
    member_head_put(member, MEMBER_FOOTER, FOOTER_DATA_LEN);
    le_put64(data, trailer_offset);
    le_put64(data + 8, n_frames);
    le_put32(data + 16, crc32c(0, data, 16));
    buf_append(out, member, sizeof(member));
    member_empty_tail_put(out);
}

static int check_codec(enum codec codec, const struct persist_metadata *m,
                       struct persist_error *err)
{
    if (m->compression_algorithm &&
        strcmp(m->compression_algorithm, codec_name(codec)) == 0)
        return PERSIST_OK;
    return error_set(
        err, PERSIST_E_INVALID, "a header of %s cannot stand before %s frames",
        m->compression_algorithm ? m->compression_algorithm : "no compression",
        codec_name(codec));
}

/* Of the header's JSON. */
static size_t json_max(enum codec codec)
{
    return envelope_max(codec, BLOCK_HEADER) - envelope_overhead(codec);
}

int snapshot_header_bound(enum codec codec, const struct persist_metadata *m,
                          size_t *out, struct persist_error *err)
{
    struct buf header;
    size_t bound = 0;
    int rc = check_codec(codec, m, err);
    if (!rc)
        rc = metadata_header_bound(m, &bound, err);
    *out = bound + envelope_overhead(codec);
    if (rc || bound <= json_max(codec))
        return rc;
    /* Only its true length tells. */
    buf_init(&header, envelope_max(codec, BLOCK_HEADER));
    rc = snapshot_header_encode(codec, m, &header, err);
    *out = header.len;
    buf_finish(&header);
    return rc;
}

int snapshot_header_encode(enum codec codec, const struct persist_metadata *m,
                           struct buf *out, struct persist_error *err)
{
    struct buf json;
    buf_init(&json, json_max(codec));
    int rc = check_codec(codec, m, err);
    if (!rc)
        rc = metadata_encode_header(m, &json, err);
    if (rc)
        goto out;
    envelope_put(codec, BLOCK_HEADER, json.data, json.len, out);
    if (buf_failed(out))
        rc = error_memory(err);
out:
    buf_finish(&json);
    return rc;
}

void snapshot_tail_init(struct snapshot_tail *t, enum codec codec,
                        uint32_t frame_size)
{
    *t = (struct snapshot_tail){.codec = codec, .frame_size = frame_size};
    buf_init(&t->entries, (size_t)(SEEK_ENTRIES_MAX - 2) * SEEK_ENTRY_LEN);
}

void snapshot_tail_finish(struct snapshot_tail *t)
{
    buf_finish(&t->entries);
}

static int check_limits(const struct snapshot_tail *t, uint32_t stored_len,
                        uint32_t payload_len, struct persist_error *err)
{
    if (t->short_frame)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a frame follows one that was the last");
    if (payload_len == 0 || payload_len > t->frame_size ||
        stored_len < layout_frame_min(t->codec) ||
        stored_len > frame_bound(t->codec, t->frame_size))
        return error_set(err, PERSIST_E_INTERNAL,
                         "a frame of impossible size: %" PRIu32
                         " bytes stored, %" PRIu32 " of payload",
                         stored_len, payload_len);
    if (t->n_frames >= SEEK_ENTRIES_MAX - 2) {
        error_set(err, PERSIST_E_INVALID,
                  "a snapshot holds at most %" PRIu32 " frames",
                  SEEK_ENTRIES_MAX - 2);
        error_hint(err, "choose a larger frame_size");
        return PERSIST_E_INVALID;
    }
    return PERSIST_OK;
}

int snapshot_tail_frame(struct snapshot_tail *t, uint32_t stored_len,
                        uint32_t payload_len, uint32_t crc,
                        struct persist_error *err)
{
    int rc = check_limits(t, stored_len, payload_len, err);
    if (rc)
        return rc;
    if (t->codec == CODEC_ZSTD)
        seek_entry_put(&t->entries, stored_len, payload_len);
    if (buf_failed(&t->entries))
        return error_memory(err);
    t->frames_crc = crc32c_combine(t->frames_crc, crc, stored_len);
    t->frames_len += stored_len;
    t->payload_len += payload_len;
    t->n_frames++;
    t->short_frame = payload_len < t->frame_size;
    return PERSIST_OK;
}

static void fill_trailer(struct snapshot_tail *t, const void *header,
                         size_t header_len, const uint8_t sha256[32],
                         struct persist_metadata *m)
{
    uint8_t big_endian[4];
    uint32_t crc = crc32c_combine(crc32c(0, header, header_len), t->frames_crc,
                                  t->frames_len);
    for (int i = 0; i < 4; i++)
        big_endian[i] = (uint8_t)(crc >> (24 - 8 * i));
    text_to_hex(big_endian, sizeof(big_endian), t->stored_crc32c);
    text_to_hex(sha256, 32, t->content_hash);
    m->content_hash = t->content_hash;
    m->stored_crc32c = t->stored_crc32c;
    m->uncompressed_size = t->payload_len;
    m->frame_count = t->n_frames;
    m->present |= PERSIST_META_TRAILER;
}

int snapshot_tail_encode(struct snapshot_tail *t, const void *header,
                         size_t header_len, const uint8_t sha256[32],
                         struct persist_metadata *m, struct buf *out,
                         struct persist_error *err)
{
    struct buf json;
    size_t before = out->len;
    buf_init(&json, TRAILER_JSON_MAX);
    fill_trailer(t, header, header_len, sha256, m);
    int rc = metadata_encode_trailer(m, &json, err);
    if (rc)
        goto out;
    envelope_put(t->codec, BLOCK_TRAILER, json.data, json.len, out);
    uint32_t trailer_len = (uint32_t)(out->len - before);
    if (t->codec == CODEC_GZIP)
        footer_put(out, header_len + t->frames_len, t->n_frames);
    else
        seek_table_put(out, (uint32_t)header_len, &t->entries, trailer_len);
    if (buf_failed(out)) {
        rc = error_memory(err);
        goto out;
    }
    m->compressed_size = header_len + t->frames_len + (out->len - before);
    m->present |= PERSIST_META_STORED_SIZE;
out:
    buf_finish(&json);
    return rc;
}

size_t snapshot_tail_bound(const struct snapshot_tail *t, uint64_t n_more)
{
    size_t trailer = envelope_overhead(t->codec) + TRAILER_JSON_MAX;
    if (t->codec == CODEC_GZIP)
        return trailer + FOOTER_LEN;
    return trailer + SEEK_OVERHEAD +
           (size_t)(t->n_frames + n_more + 2) * SEEK_ENTRY_LEN;
}
