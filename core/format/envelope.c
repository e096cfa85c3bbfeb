/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks in skippable frames and in empty gzip members.  Knows lengths, magics
 * and the block's checksum; what the JSON says is metadata's and marker's
 * business.
 */
#include "format/envelope.h"

#include <string.h>

#include "format/gzip_member.h"
#include "format/metadata.h"
#include "format/snapshot.h"
#include "util/crc32c.h"
#include "util/le.h"

#define GZIP_OVERHEAD (MEMBER_HEAD_LEN + BLOCK_HEAD_LEN + MEMBER_EMPTY_TAIL_LEN)
#define ZSTD_OVERHEAD (SKIPPABLE_HEAD_LEN + BLOCK_HEAD_LEN)
#define GZIP_HEADER_JSON_MAX (UINT32_C(60) << 10)

static const struct {
    const char *name;
    uint32_t skippable;
    uint32_t zstd_max;
    uint32_t gzip_max;
    char magic[9];
    char member;
} kinds[] = {
    [BLOCK_HEADER] = {"header", 0x184D2A50, SNAPSHOT_HEADER_MAX,
                      GZIP_HEADER_JSON_MAX + GZIP_OVERHEAD, "PRSTHDR2",
                      MEMBER_HEADER},
    [BLOCK_TRAILER] = {"trailer", 0x184D2A51, SNAPSHOT_TRAILER_MAX,
                       SNAPSHOT_TRAILER_MAX, "PRSTTRL2", MEMBER_TRAILER},
    [BLOCK_CLAIM] = {"claim", 0x184D2A52, CLAIM_LEN, 0, "PRSTCLM2", 0},
    [BLOCK_TOMBSTONE] = {"tombstone", 0x184D2A52, TOMBSTONE_LEN, 0, "PRSTDEL2",
                         0},
};

size_t envelope_overhead(enum codec codec)
{
    return codec == CODEC_GZIP ? GZIP_OVERHEAD : ZSTD_OVERHEAD;
}

size_t envelope_max(enum codec codec, enum block_kind kind)
{
    return codec == CODEC_GZIP ? kinds[kind].gzip_max : kinds[kind].zstd_max;
}

static void block_head_put(enum block_kind kind, const char *json,
                           size_t json_len, uint8_t out[BLOCK_HEAD_LEN])
{
    memcpy(out, kinds[kind].magic, 8);
    le_put32(out + 8, (uint32_t)json_len);
    le_put32(out + 12, crc32c(0, json, json_len));
}

void envelope_head_put(enum block_kind kind, const char *json, size_t json_len,
                       uint8_t out[ENVELOPE_ZSTD_HEAD])
{
    le_put32(out, kinds[kind].skippable);
    le_put32(out + 4, (uint32_t)(BLOCK_HEAD_LEN + json_len));
    block_head_put(kind, json, json_len, out + SKIPPABLE_HEAD_LEN);
}

static void member_put(enum block_kind kind, const char *json, size_t json_len,
                       struct buf *out)
{
    uint8_t head[MEMBER_HEAD_LEN + BLOCK_HEAD_LEN];
    member_head_put(head, kinds[kind].member,
                    (uint16_t)(BLOCK_HEAD_LEN + json_len));
    block_head_put(kind, json, json_len, head + MEMBER_HEAD_LEN);
    buf_append(out, head, sizeof(head));
    buf_append(out, json, json_len);
    member_empty_tail_put(out);
}

void envelope_put(enum codec codec, enum block_kind kind, const char *json,
                  size_t json_len, struct buf *out)
{
    uint8_t head[ENVELOPE_ZSTD_HEAD];
    if (codec == CODEC_GZIP) {
        member_put(kind, json, json_len, out);
        return;
    }
    envelope_head_put(kind, json, json_len, head);
    buf_append(out, head, sizeof(head));
    buf_append(out, json, json_len);
}

static int refuse(enum block_kind kind, const char *why,
                  struct persist_error *err)
{
    return error_set(err, PERSIST_E_CORRUPT, "the %s %s", kinds[kind].name,
                     why);
}

int envelope_measure(enum codec codec, enum block_kind kind, const void *data,
                     size_t *out_len, struct persist_error *err)
{
    const uint8_t *p = data;
    uint64_t len = 0;
    uint16_t field_len = 0;
    if (codec == CODEC_GZIP) {
        if (!member_head_get(p, kinds[kind].member, &field_len))
            return refuse(kind, "does not begin like one", err);
        len = (uint64_t)MEMBER_HEAD_LEN + field_len + MEMBER_EMPTY_TAIL_LEN;
    } else {
        if (le_get32(p) != kinds[kind].skippable ||
            memcmp(p + SKIPPABLE_HEAD_LEN, kinds[kind].magic, 8) != 0)
            return refuse(kind, "does not begin like one", err);
        len = (uint64_t)SKIPPABLE_HEAD_LEN + le_get32(p + 4);
    }
    if (len < envelope_overhead(codec))
        return refuse(kind, "is too short for a block", err);
    if (len > envelope_max(codec, kind))
        return refuse(kind, "is longer than one may be", err);
    *out_len = (size_t)len;
    return PERSIST_OK;
}

int envelope_open(enum codec codec, enum block_kind kind, const void *data,
                  size_t len, const char **out_json, size_t *out_json_len,
                  struct persist_error *err)
{
    size_t total = 0;
    if (len < envelope_overhead(codec))
        return refuse(kind, "is cut short", err);
    int rc = envelope_measure(codec, kind, data, &total, err);
    if (rc)
        return rc;
    if (total != len)
        return refuse(kind, "has another length than it says", err);

    const uint8_t *p = data;
    const uint8_t *block = p + SKIPPABLE_HEAD_LEN;
    if (codec == CODEC_GZIP)
        block = p + MEMBER_HEAD_LEN;
    size_t json_len = len - envelope_overhead(codec);
    const uint8_t *json = block + BLOCK_HEAD_LEN;
    if (memcmp(block, kinds[kind].magic, 8) != 0)
        return refuse(kind, "has the wrong block magic", err);
    if (le_get32(block + 8) != json_len)
        return refuse(kind, "has another JSON length than it says", err);
    if (le_get32(block + 12) != crc32c(0, json, json_len))
        return refuse(kind, "fails its checksum", err);
    if (codec == CODEC_GZIP && !member_is_empty_tail(json + json_len))
        return refuse(kind, "does not end like an empty member", err);
    *out_json = (const char *)json;
    *out_json_len = json_len;
    return PERSIST_OK;
}
