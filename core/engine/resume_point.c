/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a resume file; see resume_point.h.  Little endian; texts and
 * blocks with their length before them.
 */
#include "engine/resume_point.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/snapshot.h"
#include "posix/os.h"
#include "services/state.h"
#include "util/le.h"

#define VERSION 1
#define IDENTITY_MAX ((size_t)64 << 10)
#define RECEIPTS_MAX 1000000
#define RECEIPT_FIXED 28 /* offset, len, number, crc32c, receipt_len */

/* ------------------------------------------------------------------- owner
 */

void resume_owner_init(struct resume_owner *o)
{
    memset(o, 0, sizeof *o);
    buf_init(&o->store, IDENTITY_MAX);
    buf_init(&o->source, IDENTITY_MAX);
}

void resume_owner_finish(struct resume_owner *o)
{
    buf_finish(&o->store);
    buf_finish(&o->source);
}

void resume_owner_name(const struct resume_owner *o, char out[RESUME_NAME_CAP])
{
    uint64_t hash =
        backend_hash(BACKEND_HASH_START, o->store.data, o->store.len);

    hash = backend_hash(hash, o->prefix, strlen(o->prefix) + 1);
    hash = backend_hash(hash, o->source.data, o->source.len);
    snprintf(out, RESUME_NAME_CAP, RESUME_KIND "/%016" PRIx64, hash);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

bool resume_owner_equal(const struct resume_owner *a,
                        const struct resume_owner *b)
{
    return same(&a->store, &b->store) && same(&a->source, &b->source) &&
           strcmp(a->prefix, b->prefix) == 0;
}

/* ------------------------------------------------------------------- point
 */

void resume_point_init(struct resume_point *p)
{
    memset(p, 0, sizeof *p);
    buf_init(&p->header, SNAPSHOT_HEADER_MAX);
}

void resume_point_finish(struct resume_point *p)
{
    buf_finish(&p->header);
    free(p->receipts);
    os_wipe(p, sizeof *p);
}

bool resume_point_add(struct resume_point *p,
                      const struct backend_receipt *receipt)
{
    if (p->n_receipts == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct backend_receipt *grown =
            realloc(p->receipts, cap * sizeof *grown);

        if (!grown)
            return false;
        p->receipts = grown;
        p->cap = cap;
    }
    p->receipts[p->n_receipts++] = *receipt;
    return true;
}

/* ----------------------------------------------------------------- encoding
 */

static void put32(struct buf *out, uint32_t v)
{
    uint8_t bytes[4];

    le_put32(bytes, v);
    buf_append(out, bytes, sizeof bytes);
}

static void put64(struct buf *out, uint64_t v)
{
    uint8_t bytes[8];

    le_put64(bytes, v);
    buf_append(out, bytes, sizeof bytes);
}

static void put_block(struct buf *out, const void *data, size_t len)
{
    put32(out, (uint32_t)len);
    buf_append(out, data ? data : "", len);
}

static void put_text(struct buf *out, const char *text)
{
    put_block(out, text, strlen(text));
}

static void put_receipt(struct buf *out, const struct backend_receipt *r)
{
    put64(out, r->offset);
    put64(out, r->len);
    put32(out, r->number);
    put32(out, r->crc32c);
    put_block(out, r->receipt, r->receipt_len);
}

bool resume_encode(const struct resume_owner *o, const struct resume_point *p,
                   struct buf *out)
{
    put32(out, VERSION);
    put_block(out, o->store.data, o->store.len);
    put_text(out, o->prefix);
    put_block(out, o->source.data, o->source.len);
    put64(out, (uint64_t)p->updated_us);
    put64(out, (uint64_t)p->claim_us);
    put64(out, p->claim_boot_ns);
    put_text(out, p->boot_id);
    put64(out, p->index);
    put32(out, p->commit_sent);
    put_text(out, p->snapshot_id);
    put_text(out, p->time);
    put_text(out, p->parent);
    put64(out, p->source_size);
    put64(out, (uint64_t)p->source_mtime_ns);
    put64(out, p->part_size);
    put_block(out, p->header.data, p->header.len);
    put_text(out, p->upload_id);
    put32(out, (uint32_t)p->n_receipts);
    for (size_t i = 0; i < p->n_receipts; i++)
        put_receipt(out, &p->receipts[i]);
    return !buf_failed(out);
}

/* ----------------------------------------------------------------- decoding
 */

struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    const uint8_t *at = r->at;

    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    r->at += len;
    r->left -= len;
    return at;
}

static uint32_t get32(struct reader *r)
{
    const uint8_t *at = take(r, 4);

    return at ? le_get32(at) : 0;
}

static uint64_t get64(struct reader *r)
{
    const uint8_t *at = take(r, 8);

    return at ? le_get64(at) : 0;
}

static void get_block(struct reader *r, struct buf *out)
{
    size_t len = get32(r);
    const uint8_t *at = take(r, len);

    buf_clear(out);
    if (at)
        buf_append(out, at, len);
    r->bad |= buf_failed(out);
}

static void get_text(struct reader *r, char *out, size_t cap)
{
    size_t len = get32(r);
    const uint8_t *at = take(r, len);

    out[0] = '\0';
    if (!at || len >= cap || memchr(at, '\0', len)) {
        r->bad = true;
        return;
    }
    memcpy(out, at, len);
    out[len] = '\0';
}

static void get_receipt(struct reader *r, struct resume_point *p)
{
    struct backend_receipt receipt = {
        .offset = get64(r),
        .len = get64(r),
        .number = get32(r),
        .crc32c = get32(r),
        .receipt_len = get32(r),
    };
    const uint8_t *at = receipt.receipt_len > sizeof receipt.receipt
                            ? NULL
                            : take(r, receipt.receipt_len);

    if (!at) {
        r->bad = true;
        return;
    }
    memcpy(receipt.receipt, at, receipt.receipt_len);
    r->bad |= !resume_point_add(p, &receipt);
}

/* What a save can have written; the rest the store is asked. */
static bool is_plausible(const struct resume_owner *o,
                         const struct resume_point *p)
{
    return p->index <= PERSIST_INDEX_MAX && text_is_uuid(p->snapshot_id) &&
           (!p->parent[0] || text_is_uuid(p->parent)) && p->header.len > 0 &&
           p->upload_id[0] && p->part_size > 0 && o->prefix[0];
}

bool resume_decode(const void *data, size_t len, struct resume_owner *o,
                   struct resume_point *p)
{
    struct reader r = {.at = data, .left = len};
    uint32_t n;

    if (get32(&r) != VERSION)
        return false;
    get_block(&r, &o->store);
    get_text(&r, o->prefix, sizeof o->prefix);
    get_block(&r, &o->source);
    p->updated_us = (int64_t)get64(&r);
    p->claim_us = (int64_t)get64(&r);
    p->claim_boot_ns = get64(&r);
    get_text(&r, p->boot_id, sizeof p->boot_id);
    p->index = get64(&r);
    p->commit_sent = get32(&r) != 0;
    get_text(&r, p->snapshot_id, sizeof p->snapshot_id);
    get_text(&r, p->time, sizeof p->time);
    get_text(&r, p->parent, sizeof p->parent);
    p->source_size = get64(&r);
    p->source_mtime_ns = (int64_t)get64(&r);
    p->part_size = get64(&r);
    get_block(&r, &p->header);
    get_text(&r, p->upload_id, sizeof p->upload_id);
    n = get32(&r);
    if (n > RECEIPTS_MAX || n > r.left / RECEIPT_FIXED)
        return false;
    for (uint32_t i = 0; i < n && !r.bad; i++)
        get_receipt(&r, p);
    return !r.bad && r.left == 0 && is_plausible(o, p);
}

/* --------------------------------------------------------------------- time
 */

void resume_boot_id(char out[BOOT_ID_CAP])
{
    os_boot_id(out, BOOT_ID_CAP);
}

uint64_t resume_claim_age_ns(const struct resume_point *p,
                             const struct clock *clock)
{
    int64_t wall_us = clock_wall_us(clock) - p->claim_us;
    uint64_t boot_ns = clock_boot_ns(clock);
    uint64_t wall_ns = wall_us > 0 ? (uint64_t)wall_us * 1000 : 0;
    char boot_id[BOOT_ID_CAP];

    resume_boot_id(boot_id);
    /* Within one boot its clock never went back, and counts a suspend. */
    if (boot_id[0] && strcmp(boot_id, p->boot_id) == 0 &&
        boot_ns >= p->claim_boot_ns)
        return boot_ns - p->claim_boot_ns;
    return wall_us < 0 ? UINT64_MAX : wall_ns;
}
