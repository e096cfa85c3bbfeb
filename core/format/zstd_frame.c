/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a zstd frame from block header to block header.  Looks at lengths and
 * flags alone: whether the blocks make sense is the decoder's to find out.
 */
#include "format/zstd_frame.h"

#include "format/codec.h"
#include "util/le.h"

#define BLOCK_RAW 0
#define BLOCK_RLE 1
#define BLOCK_RESERVED 3

/* Frame_Header_Descriptor, RFC 8878 3.1.1.1.1 */
#define FHD_DICTIONARY 0x03
#define FHD_RESERVED 0x08
#define FHD_SINGLE_SEGMENT 0x20

static int refuse(struct persist_error *err, const char *why)
{
    return error_set(err, PERSIST_E_CORRUPT, "the zstd frame %s", why);
}

static uint64_t window_size(uint8_t descriptor)
{
    uint64_t base = UINT64_C(1) << (10 + (descriptor >> 3));
    return base + base / 8 * (descriptor & 7U);
}

static uint64_t content_size(const uint8_t *field, size_t len)
{
    switch (len) {
    case 1:
        return field[0];
    case 2:
        return UINT64_C(256) + le_get16(field);
    case 4:
        return le_get32(field);
    default:
        return le_get64(field);
    }
}

static int check_descriptor(uint8_t fhd, struct persist_error *err)
{
    if (fhd & FHD_RESERVED)
        return refuse(err, "has a reserved bit set");
    if (!(fhd & ZSTD_FHD_CHECKSUM))
        return refuse(err, "has no checksum");
    if (fhd & FHD_DICTIONARY)
        return refuse(err, "needs a dictionary");
    if (!(fhd & FHD_SINGLE_SEGMENT) && fhd >> ZSTD_FHD_SIZE_SHIFT == 0)
        return refuse(err, "has no content size");
    return PERSIST_OK;
}

/* OK with w->pos behind the frame header; 1 with *out_len. */
static int walk_head(struct zstd_walk *w, const uint8_t *data, size_t len,
                     size_t *out_len, struct persist_error *err)
{
    static const uint8_t size_len[] = {1, 2, 4, 8};
    *out_len = 5;
    if (len < *out_len)
        return 1;
    if (le_get32(data) != ZSTD_FRAME_MAGIC)
        return refuse(err, "does not begin like one");
    uint8_t fhd = data[4];
    int rc = check_descriptor(fhd, err);
    if (rc)
        return rc;

    size_t window_len = fhd & FHD_SINGLE_SEGMENT ? 0 : 1;
    size_t field_len = size_len[fhd >> ZSTD_FHD_SIZE_SHIFT];
    *out_len = 5 + window_len + field_len;
    if (len < *out_len)
        return 1;
    if (window_len && window_size(data[5]) > FRAME_SIZE_MAX)
        return refuse(err, "asks for too large a window");
    w->content_size = content_size(data + 5 + window_len, field_len);
    if (w->content_size == 0)
        return refuse(err, "is empty");
    w->window = window_len ? window_size(data[5]) : w->content_size;
    w->pos = w->first = *out_len;
    return PERSIST_OK;
}

static uint32_t block_word(const uint8_t *head)
{
    return le_get16(head) | (uint32_t)head[2] << 16;
}

uint32_t zstd_block_len(const uint8_t head[ZSTD_BLOCK_HEAD_LEN])
{
    return block_word(head) >> 3;
}

static int walk_block(struct zstd_walk *w, const uint8_t *head,
                      struct persist_error *err)
{
    uint32_t type = block_word(head) >> 1 & 3;
    uint32_t size = zstd_block_len(head);
    if (type == BLOCK_RESERVED || size > ZSTD_BLOCK_LONGEST)
        return refuse(err, "has an impossible block");
    if (type == BLOCK_RAW)
        w->raw_len += size;
    if (type != BLOCK_RAW || size == 0 || size > w->window)
        w->not_raw = true;
    w->last = block_word(head) & 1;
    w->pos += ZSTD_BLOCK_HEAD_LEN + (type == BLOCK_RLE ? 1 : size);
    return PERSIST_OK;
}

int zstd_walk(struct zstd_walk *w, const void *data, size_t len,
              size_t *out_len, struct persist_error *err)
{
    if (w->pos == 0) {
        int rc = walk_head(w, data, len, out_len, err);
        if (rc)
            return rc;
    }
    while (!w->last) {
        *out_len = w->pos + ZSTD_BLOCK_HEAD_LEN;
        if (len < *out_len)
            return 1;
        int rc = walk_block(w, (const uint8_t *)data + w->pos, err);
        if (rc)
            return rc;
    }
    *out_len = w->pos + ZSTD_CHECKSUM_LEN;
    return len < *out_len ? 1 : PERSIST_OK;
}
