/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zstd_raw.h"

#include <string.h>

#include "format/zstd_frame.h"
#include "util/crc32c.h"
#include "util/error.h"
#include "util/le.h"

#define HEAD_LEN 10
#define FIRST_PAYLOAD (HEAD_LEN + ZSTD_BLOCK_HEAD_LEN)

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
    r->placed = NULL;
    r->len = len;
    r->step = ZSTD_RAW_HEAD;
    r->block = 0;
}

static size_t first_block(size_t len)
{
    return len < ZSTD_BLOCK_LONGEST ? len : ZSTD_BLOCK_LONGEST;
}

/* Beside nothing: short pieces, the second time from the nearest cache. */
static int just_sum(void *ctx, struct xxh64 *xxh, uint32_t *crc,
                    const void *data, size_t len, void *out)
{
    (void)ctx;
    if (out)
        memcpy(out, data, len);
    xxh64_update(xxh, data, len);
    *crc = crc32c(*crc, data, len);
    return PERSIST_OK;
}

int zstd_raw_sum(struct zstd_raw *r, zstd_raw_sum_fn fn, void *ctx, void *place)
{
    const uint8_t *at = r->payload;
    uint8_t *to = place ? (uint8_t *)place + FIRST_PAYLOAD : NULL;
    size_t left = r->len, n;
    struct xxh64 xxh;
    int rc = PERSIST_OK;

    r->placed = to;
    xxh64_init(&xxh);
    for (unsigned i = 0; rc == PERSIST_OK && left > 0; i++) {
        n = first_block(left);
        r->crc32c[i] = 0;
        rc = (fn ? fn : just_sum)(ctx, &xxh, &r->crc32c[i], at, n, to);
        at += n;
        to = to ? to + n + ZSTD_BLOCK_HEAD_LEN : NULL;
        left -= n;
    }
    r->checksum = (uint32_t)xxh64_digest(&xxh);
    return rc;
}

void zstd_raw_unplace(struct zstd_raw *r)
{
    r->placed = NULL;
}

/* Type 0, raw; bit 0: the last one. */
static void put_block_head(const struct zstd_raw *r, uint8_t *out)
{
    uint32_t head =
        (uint32_t)first_block(r->len) << 3 | (r->len <= ZSTD_BLOCK_LONGEST);

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
    return FIRST_PAYLOAD;
}

static size_t block(struct zstd_raw *r, const void **out, uint32_t *out_crc)
{
    size_t n = first_block(r->len);

    *out = r->placed ? r->placed : r->payload;
    *out_crc = r->crc32c[r->block++];
    if (r->placed)
        r->placed += n + ZSTD_BLOCK_HEAD_LEN;
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
    le_put32(r->own, r->checksum);
    r->step = ZSTD_RAW_END;
    return ZSTD_CHECKSUM_LEN;
}

size_t zstd_raw_next(struct zstd_raw *r, const void **out, uint32_t *out_crc)
{
    size_t n = 0;

    *out = r->own;
    switch (r->step) {
    case ZSTD_RAW_HEAD:
        n = head(r);
        break;
    case ZSTD_RAW_BLOCK:
        return block(r, out, out_crc);
    case ZSTD_RAW_SUM:
        n = behind_block(r);
        break;
    default:
        break;
    }
    *out_crc = crc32c(0, r->own, n);
    return n;
}

/* -------------------------------------------------------------------- back */

bool zstd_raw_find(const void *frame, size_t len, struct frame_payload *out)
{
    const uint8_t *bytes = frame;
    struct zstd_walk walk = {0};
    size_t frame_len = 0;

    if (zstd_walk(&walk, frame, len, &frame_len, NULL) != PERSIST_OK ||
        frame_len != len || walk.not_raw || walk.raw_len != walk.content_size)
        return false;
    *out =
        (struct frame_payload){bytes + walk.first, (size_t)walk.raw_len, true};
    return true;
}

int zstd_raw_check(const void *frame, size_t len, struct frame_payload payload,
                   const void *copy, zstd_raw_sum_fn fn, void *ctx,
                   uint32_t *out_crc, bool *out_holds)
{
    const uint8_t *at = frame, *end = at + len - ZSTD_CHECKSUM_LEN;
    const uint8_t *copied = copy;
    const void *piece;
    uint32_t crc = 0;
    struct xxh64 xxh;
    size_t n;
    int rc = PERSIST_OK;

    xxh64_init(&xxh);
    while (rc == PERSIST_OK && (n = frame_payload_next(&payload, &piece)) > 0) {
        crc = crc32c(crc, at, (size_t)((const uint8_t *)piece - at));
        at = (const uint8_t *)piece + n;
        rc = (fn ? fn : just_sum)(ctx, &xxh, &crc, copied ? copied : piece, n,
                                  NULL);
        copied = copied ? copied + n : NULL;
    }
    *out_crc = crc32c(crc, end, ZSTD_CHECKSUM_LEN);
    *out_holds = (uint32_t)xxh64_digest(&xxh) == le_get32(end);
    return rc;
}
