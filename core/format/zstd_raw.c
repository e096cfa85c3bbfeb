/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zstd_raw.h"

#include "format/zstd_frame.h"
#include "util/le.h"

#define HEAD_LEN 10

/* A content size of four bytes, a checksum, a window of its own. */
#define DESCRIPTOR (2 << ZSTD_FHD_SIZE_SHIFT | ZSTD_FHD_CHECKSUM)
/* A window of one block: nothing refers back, so that readers need no more. */
#define WINDOW (7 << 3)

size_t zstd_raw_len(size_t payload_len)
{
    size_t blocks = payload_len / ZSTD_BLOCK_LONGEST +
                    (payload_len % ZSTD_BLOCK_LONGEST != 0);

    return HEAD_LEN + blocks * ZSTD_BLOCK_HEAD_LEN + payload_len +
           ZSTD_CHECKSUM_LEN;
}

void zstd_raw_begin(struct zstd_raw *r, const void *payload, size_t len)
{
    r->payload = payload;
    r->len = len;
    xxh64_init(&r->sum);
    r->step = ZSTD_RAW_HEAD;
}

static size_t block_len(const struct zstd_raw *r)
{
    return r->len < ZSTD_BLOCK_LONGEST ? r->len : ZSTD_BLOCK_LONGEST;
}

/* Type 0, raw; bit 0: the last one. */
static void put_block_head(const struct zstd_raw *r, uint8_t *out)
{
    uint32_t head =
        (uint32_t)block_len(r) << 3 | (r->len <= ZSTD_BLOCK_LONGEST);

    le_put16(out, (uint16_t)head);
    out[2] = (uint8_t)(head >> 16);
}

static size_t head(struct zstd_raw *r)
{
    le_put32(r->own, ZSTD_FRAME_MAGIC);
    r->own[4] = DESCRIPTOR;
    r->own[5] = WINDOW;
    le_put32(r->own + 6, (uint32_t)r->len);
    put_block_head(r, r->own + HEAD_LEN);
    r->step = ZSTD_RAW_BLOCK;
    return HEAD_LEN + ZSTD_BLOCK_HEAD_LEN;
}

static size_t block(struct zstd_raw *r, const void **out)
{
    size_t n = block_len(r);

    *out = r->payload;
    xxh64_update(&r->sum, r->payload, n);
    r->payload += n;
    r->len -= n;
    r->step = ZSTD_RAW_SUM;
    return n;
}

/* What stands between this block's bytes and the next one's, or the end. */
static size_t behind_block(struct zstd_raw *r)
{
    if (r->len > 0) {
        put_block_head(r, r->own);
        r->step = ZSTD_RAW_BLOCK;
        return ZSTD_BLOCK_HEAD_LEN;
    }
    le_put32(r->own, (uint32_t)xxh64_digest(&r->sum));
    r->step = ZSTD_RAW_END;
    return ZSTD_CHECKSUM_LEN;
}

size_t zstd_raw_next(struct zstd_raw *r, const void **out)
{
    *out = r->own;
    switch (r->step) {
    case ZSTD_RAW_HEAD:
        return head(r);
    case ZSTD_RAW_BLOCK:
        return block(r, out);
    case ZSTD_RAW_SUM:
        return behind_block(r);
    default:
        return 0;
    }
}
