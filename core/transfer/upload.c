/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The save side's data path; see upload.h for the picture.
 *
 * Knows frames, parts and memory; does not know keys, claims or indices.
 */
#include "transfer/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/snapshot.h"
#include "transfer/lanes.h"
#include "transfer/upload_pool.h"
#include "util/crc32c.h"
#include "util/error.h"
#include "util/text.h"

#define MIB (UINT64_C(1) << 20)
#define PART_MIN (8 * MIB) /* architecture.md, decision 3 */
#define PART_MAX (64 * MIB)
#define PARALLEL 4 /* parts in flight the part size is made for */

/* ------------------------------------------------------------------- upload
 */

struct upload {
    struct upload_what what;
    struct upload_source source;
    struct budget *budget;
    const struct clock *clock;
    const struct persist_backend_limits *limits;
    struct kit *kit;
    struct lanes
        *lanes; /* NULL: one frame after the other, straight into out */
    unsigned n_lanes;
    uint64_t reserved;
    size_t frame_need; /* bytes of kit->frame in use */
    size_t out_need;   /* bytes of kit->out in use */
    uint64_t part_size;
    uint64_t whole_max; /* bytes of an object that is put whole */

    struct snapshot_tail tail;
    uint64_t taken; /* bytes of the source so far */
    bool ended;
    uint8_t sha256[32];

    size_t start; /* of what is in out and not sent */
    size_t end;
    struct buf header;
    struct buf tail_bytes;

    struct backend_upload *to; /* while sending */
    uint64_t sent;
    uint32_t sent_crc;
    uint32_t n_parts;
};

const uint8_t *upload_sha256(const struct upload *u)
{
    return u->sha256;
}

uint64_t upload_payload_len(const struct upload *u)
{
    return u->tail.payload_len;
}

/* ------------------------------------------------------------------ sizes */

static uint64_t frames_of(uint64_t payload, uint32_t frame_size)
{
    return payload / frame_size + (payload % frame_size != 0);
}

/* An upper bound of the object, saturating far above any limit. */
static uint64_t object_bound(const struct upload *u, uint64_t payload)
{
    uint64_t n = frames_of(payload, u->what.frame_size);
    uint64_t each = frame_bound(u->what.codec, u->what.frame_size);
    uint64_t rest = payload % u->what.frame_size;
    uint64_t full = payload / u->what.frame_size;

    if (full > (UINT64_MAX >> 8) / each)
        return UINT64_MAX >> 8;
    return full * each + (rest ? frame_bound(u->what.codec, (size_t)rest) : 0) +
           u->what.header_max + snapshot_tail_bound(&u->tail, n);
}

bool upload_expected(const struct upload *u, uint64_t *out)
{
    if (!u->source.has_size)
        return false;
    *out = object_bound(u, u->source.size);
    return true;
}

uint64_t upload_ceiling(const struct upload *u)
{
    uint64_t most = u->limits->object_max;

    if (most / u->part_size >= u->limits->parts_max)
        most = u->part_size * u->limits->parts_max;
    return most;
}

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return to > 1 && value % to ? value + (to - value % to) : value;
}

/* Parts as decision 3 says, then as the store wants them (its limits are
 * complete: a maximum it does not name is the type's).  Where their number is
 * limited they are made large enough for the object, and for one of unknown
 * size as large as memory lets them be. */
static uint64_t choose_part_size(const struct upload *u, uint64_t object_size)
{
    const struct persist_backend_limits *l = u->limits;
    uint64_t parallel = l->parallel_max < PARALLEL ? l->parallel_max : PARALLEL;
    uint64_t limit = budget_limit(u->budget);
    uint64_t size =
        clamp(limit / (2 * (parallel ? parallel : 1)), PART_MIN, PART_MAX);

    if (l->parts_max < UINT32_MAX && !object_size)
        size = clamp(limit / 4, PART_MIN, PART_MAX);
    if (object_size / l->parts_max >= size)
        size = round_up(object_size / l->parts_max + 1, MIB);
    if (size < l->part_min)
        size = l->part_min;
    size = round_up(size, l->part_align);
    if (size > l->part_max)
        size = l->part_max - l->part_max % l->part_align;
    return size;
}

/* Bytes of each buffer.  A payload that surely goes in one put needs room for
 * itself; any other for a part (or the whole put it may still become) and the
 * frame that goes over its end. */
static void plan(struct upload *u)
{
    bool known = u->source.has_size;
    uint64_t bound = known ? object_bound(u, u->source.size) : UINT64_MAX;
    uint64_t frame = u->what.frame_size;
    uint64_t out;

    u->whole_max = UPLOAD_WHOLE_MAX;
    if (u->limits->put_max < u->whole_max)
        u->whole_max = u->limits->put_max;
    u->part_size = choose_part_size(u, known ? bound : u->what.size_estimate);
    out = u->part_size > u->whole_max ? u->part_size : u->whole_max;
    out += frame_bound(u->what.codec, u->what.frame_size) + u->what.header_max;
    if (known && u->source.size < frame)
        frame = u->source.size ? u->source.size : 1; /* 1: to look for more */
    u->frame_need = u->source.in_memory ? 0 : (size_t)frame;
    u->out_need = (size_t)(bound < out ? bound : out);
}

static struct lanes_what lanes_wanted(const struct upload *u)
{
    return (struct lanes_what){
        .codec = u->what.codec,
        .level = u->what.level,
        .frame_size = u->what.frame_size,
        .in_cap = u->source.in_memory ? 0 : u->what.frame_size,
        .out_cap = frame_bound(u->what.codec, u->what.frame_size),
        .n = u->n_lanes,
        .cpu = u->what.cpu,
        .sha256 = u->kit ? u->kit->sha256 : NULL,
    };
}

/* As many lanes as keep every processor and the reader busy, as the payload has
 * frames, and as fit in half of the memory limit beside out; with fewer than
 * two, none. */
static void plan_lanes(struct upload *u)
{
    const struct lanes_what what = lanes_wanted(u);
    uint64_t frames = u->source.has_size
                          ? frames_of(u->source.size, u->what.frame_size)
                      : u->what.size_estimate
                          ? frames_of(u->what.size_estimate, u->what.frame_size)
                          : UINT64_MAX;
    uint64_t half = budget_limit(u->budget) / 2;
    uint64_t fit =
        half > u->out_need ? (half - u->out_need) / lanes_memory(&what) : 0;
    uint64_t n = u->what.cpu ? executor_limit(u->what.cpu) : 0;

    n = n < frames ? n : frames;
    n = n < fit ? n : fit;
    u->n_lanes = n >= 2 ? (unsigned)n : 0;
    if (u->n_lanes)
        u->frame_need = 0;
}

/* Bytes beside the buffers of the kit. */
static uint64_t coding_memory(const struct upload *u)
{
    const struct lanes_what what = lanes_wanted(u);

    if (u->n_lanes)
        return u->n_lanes * (uint64_t)lanes_memory(&what);
    return frame_encoder_memory(u->what.codec, u->what.level,
                                u->what.frame_size);
}

static int reserve(struct upload *u, struct persist_error *err)
{
    uint64_t need = u->frame_need + u->out_need + coding_memory(u);
    char need_text[16], limit_text[16];
    int rc;

    rc = budget_reserve(u->budget, need, &u->what.op->cancel, u->clock,
                        u->what.op->deadline_ns);
    if (!rc) {
        u->reserved = need;
        return PERSIST_OK;
    }
    if (rc != PERSIST_E_MEMORY)
        return error_set(err, rc, "stopped while waiting for memory");
    text_from_size(need, need_text);
    text_from_size(budget_limit(u->budget), limit_text);
    error_set(err, rc, "this save needs %s of memory, and memory_limit is %s",
              need_text, limit_text);
    error_hint(err,
               "raise memory_limit to %" PRIu64
               " or more, or choose a smaller frame_size",
               need);
    return rc;
}

/* ------------------------------------------------------------------- open
 */

static int equip(struct upload *u, struct persist_error *err)
{
    u->kit = upload_pool_take(u->what.pool, &u->what);
    if (!u->kit ||
        !upload_make_room(&u->kit->frame, &u->kit->frame_cap, u->frame_need) ||
        !upload_make_room(&u->kit->out, &u->kit->out_cap, u->out_need))
        return error_memory(err);
    if (u->n_lanes) {
        const struct lanes_what what = lanes_wanted(u);

        u->lanes = lanes_create(&what);
        if (!u->lanes)
            return error_memory(err);
    }
    u->start = u->end = u->what.header_max;
    return PERSIST_OK;
}

int upload_open(const struct upload_what *what,
                const struct upload_source *source, struct upload **out,
                struct persist_error *err)
{
    const struct backend_env *env = backend_store_env(what->store);
    struct upload *u = calloc(1, sizeof *u);
    int rc;

    if (!u)
        return error_memory(err);
    u->what = *what;
    u->source = *source;
    u->budget = env->budget;
    u->clock = env->clock;
    u->limits = backend_store_limits(what->store);
    snapshot_tail_init(&u->tail, what->codec, what->frame_size);
    buf_init(&u->header, what->header_max);
    buf_init(&u->tail_bytes, SIZE_MAX / 2);
    plan(u);
    plan_lanes(u);
    rc = reserve(u, err);
    if (!rc)
        rc = equip(u, err);
    if (rc) {
        upload_close(u);
        return rc;
    }
    if (source->has_size)
        atomic_store(&what->op->payload_total, source->size);
    *out = u;
    return PERSIST_OK;
}

void upload_close(struct upload *u)
{
    if (!u)
        return;
    lanes_destroy(
        u->lanes); /* it uses the kit's hash and the source's memory */
    if (u->kit)
        upload_pool_put(u->what.pool, u->kit);
    if (u->reserved)
        budget_release(u->budget, u->reserved);
    snapshot_tail_finish(&u->tail);
    buf_finish(&u->header);
    buf_finish(&u->tail_bytes);
    free(u);
}

/* ----------------------------------------------------------------- reading
 */

static int stopped(const struct upload *u, struct persist_error *err)
{
    int rc = op_check(u->what.op, u->clock);

    if (rc == PERSIST_E_CANCELLED)
        error_set(err, rc, "cancelled");
    else if (rc)
        error_set(err, rc, "the deadline passed");
    return rc;
}

static int wrong_size(const struct upload *u, const char *what,
                      struct persist_error *err)
{
    error_set(err, PERSIST_E_INVALID,
              "the source %s: %" PRIu64 " bytes were announced and %s%" PRIu64
              " came",
              what, u->source.size,
              u->taken > u->source.size ? "more than " : "",
              u->taken > u->source.size ? u->source.size : u->taken);
    error_hint(err, "save it again when nothing writes to it");
    return PERSIST_E_INVALID;
}

/* Progress is what was read: with lanes, much may be under way behind it. */
static void count_taken(struct upload *u, size_t len)
{
    u->taken += len;
    atomic_store(&u->what.op->payload_bytes, u->taken);
}

/* One read of the source, checked. */
static int read_source(struct upload *u, void *out, size_t cap, size_t *out_len,
                       struct persist_error *err)
{
    struct persist_error own = {0};
    int rc;

    *out_len = 0;
    rc = stopped(u, err);
    if (rc)
        return rc;
    rc = u->source.read(u->source.ctx, out, cap, out_len, &own);
    if (rc > 0 || (rc == 0 && *out_len > cap))
        return error_set(err, PERSIST_E_MISUSE,
                         "the source's read returned %d with %zu bytes for a "
                         "buffer of %zu",
                         rc, *out_len, cap);
    if (rc < 0) {
        if (!own.message[0])
            error_set(&own, rc, "the source failed");
        own.status = rc;
        if (err)
            *err = own;
        return rc;
    }
    count_taken(u, *out_len);
    return PERSIST_OK;
}

/* The announced size is reached: there must be no more. */
static int expect_end(struct upload *u, struct persist_error *err)
{
    uint8_t one;
    size_t len;
    int rc;

    rc = read_source(u, &one, sizeof one, &len, err);
    if (rc)
        return rc;
    u->ended = true;
    return len ? wrong_size(u, "goes on past its end", err) : PERSIST_OK;
}

static int read_frame(struct upload *u, uint8_t *into, size_t *out_len,
                      struct persist_error *err)
{
    size_t want = u->what.frame_size, got = 0, len;
    int rc;

    if (u->source.has_size && u->source.size - u->taken < want)
        want = (size_t)(u->source.size - u->taken);
    while (got < want) {
        rc = read_source(u, into + got, want - got, &len, err);
        if (rc)
            return rc;
        if (!len) {
            u->ended = true;
            break;
        }
        got += len;
    }
    *out_len = got;
    if (u->source.has_size && got < want)
        return wrong_size(u, "ended early", err);
    return PERSIST_OK;
}

/* The next frame's payload, in place where it can be, else in `into`; 0 bytes
 * at the end. */
static int next_frame(struct upload *u, uint8_t *into, const void **out,
                      size_t *out_len, struct persist_error *err)
{
    uint64_t left = u->source.size - u->taken;
    int rc;

    *out_len = 0;
    if (u->ended)
        return PERSIST_OK;
    if (!u->source.in_memory) {
        if (u->source.has_size && !left)
            return expect_end(u, err);
        *out = into;
        return read_frame(u, into, out_len, err);
    }
    rc = stopped(u, err);
    if (rc)
        return rc;
    *out_len = left < u->what.frame_size ? (size_t)left : u->what.frame_size;
    *out = (const uint8_t *)u->source.data + u->taken;
    count_taken(u, *out_len);
    u->ended = u->taken == u->source.size;
    return PERSIST_OK;
}

/* ---------------------------------------------------------------- encoding
 */

/* A frame of `stored` bytes stands at the end of out. */
static int count_frame(struct upload *u, size_t stored, size_t len,
                       uint32_t crc, struct persist_error *err)
{
    int rc = snapshot_tail_frame(&u->tail, (uint32_t)stored, (uint32_t)len, crc,
                                 err);

    if (rc)
        return rc;
    u->end += stored;
    return PERSIST_OK;
}

/* One frame on the caller's thread.  Out has room for it. */
static int add_direct(struct upload *u, bool *out_any,
                      struct persist_error *err)
{
    uint8_t *at = u->kit->out + u->end;
    const void *payload = NULL;
    size_t len, stored = 0;
    int rc = next_frame(u, u->kit->frame, &payload, &len, err);

    *out_any = !rc && len;
    if (!*out_any)
        return rc;
    if (sha256_update(u->kit->sha256, payload, len))
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    rc = frame_encode(u->kit->encoder, payload, len, at, u->out_need - u->end,
                      &stored, err);
    return rc ? rc : count_frame(u, stored, len, crc32c(0, at, stored), err);
}

/* Reads ahead until every lane is busy or the payload ends. */
static int fill_lanes(struct upload *u, struct persist_error *err)
{
    struct lane *lane;
    int rc;

    while (!u->ended) {
        rc = lanes_free(u->lanes, &lane, err);
        if (rc || !lane)
            return rc;
        rc = next_frame(u, lane->in_buf, &lane->in, &lane->in_len, err);
        if (rc || !lane->in_len)
            return rc;
        lanes_start(u->lanes, lane);
    }
    return PERSIST_OK;
}

/* The oldest frame under way, copied behind the others. */
static int add_from_lanes(struct upload *u, bool *out_any,
                          struct persist_error *err)
{
    struct lane *lane;
    int rc = fill_lanes(u, err);

    *out_any = false;
    if (rc)
        return rc;
    lane = lanes_take(u->lanes);
    if (!lane)
        return PERSIST_OK;
    *out_any = true;
    if (lane->rc && err)
        *err = lane->err;
    rc = lane->rc;
    if (!rc) {
        memcpy(u->kit->out + u->end, lane->out, lane->out_len);
        rc = count_frame(u, lane->out_len, lane->in_len, lane->crc, err);
    }
    lanes_release(u->lanes, lane);
    return rc;
}

/* The next frame, encoded at the end of out, which has room for it; *out_any
 * false: the payload has ended. */
static int add_frame(struct upload *u, bool *out_any, struct persist_error *err)
{
    return u->lanes ? add_from_lanes(u, out_any, err)
                    : add_direct(u, out_any, err);
}

static int finish_hash(struct upload *u, struct persist_error *err)
{
    int rc = u->lanes ? lanes_hashed(u->lanes, err) : PERSIST_OK;

    if (rc)
        return rc;
    if (sha256_final(u->kit->sha256, u->sha256))
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    return PERSIST_OK;
}

/* What the object would be if it ended now. */
static uint64_t length_so_far(const struct upload *u)
{
    return u->what.header_max + u->tail.frames_len +
           snapshot_tail_bound(&u->tail, 0);
}

int upload_fill(struct upload *u, bool *out_whole, struct persist_error *err)
{
    bool any;
    int rc;

    for (;;) {
        rc = add_frame(u, &any, err);
        if (rc)
            return rc;
        if (!any)
            break;
        if (length_so_far(u) > u->whole_max) {
            *out_whole = false;
            return PERSIST_OK;
        }
    }
    *out_whole = true;
    return finish_hash(u, err);
}

/* ---------------------------------------------------------- whole objects
 */

/* The header, right-aligned before the first frame. */
static int place_header(struct upload *u, const struct persist_metadata *m,
                        struct persist_error *err)
{
    int rc;

    buf_clear(&u->header);
    rc = snapshot_header_encode(u->what.codec, m, &u->header, err);
    if (rc)
        return rc;
    u->start = u->what.header_max - u->header.len;
    memcpy(u->kit->out + u->start, u->header.data, u->header.len);
    return PERSIST_OK;
}

static int encode_tail(struct upload *u, struct persist_metadata *m,
                       struct persist_error *err)
{
    buf_clear(&u->tail_bytes);
    return snapshot_tail_encode(&u->tail, u->header.data, u->header.len,
                                u->sha256, m, &u->tail_bytes, err);
}

int upload_object(struct upload *u, struct persist_metadata *m,
                  const void **out, size_t *out_len, struct persist_error *err)
{
    int rc;

    rc = place_header(u, m, err);
    if (!rc)
        rc = encode_tail(u, m, err);
    if (rc)
        return rc;
    if (u->tail_bytes.len > u->out_need - u->end)
        return error_set(err, PERSIST_E_INTERNAL,
                         "the end of a snapshot is longer than its bound");
    memcpy(u->kit->out + u->end, u->tail_bytes.data, u->tail_bytes.len);
    *out = u->kit->out + u->start;
    *out_len = u->end - u->start + u->tail_bytes.len;
    return PERSIST_OK;
}

/* ------------------------------------------------------------------- parts
 */

struct sending {
    upload_between_fn between;
    void *ctx;
};

static int send_part(struct upload *u, size_t len, bool is_last,
                     const struct sending *s, struct persist_error *err)
{
    struct backend_part part = {
        .offset = u->sent,
        .data = u->kit->out + u->start,
        .len = len,
        .number = ++u->n_parts,
        .is_last = is_last,
    };
    int rc;

    part.crc32c = crc32c(0, part.data, len);
    rc = stopped(u, err);
    if (!rc && u->to)
        rc = backend_upload_part(u->to, u->what.op, &part, err);
    if (rc)
        return rc;
    u->sent_crc = crc32c_combine(u->sent_crc, part.crc32c, len);
    u->sent += len;
    u->start += len;
    if (u->to)
        atomic_store(&u->what.op->stored_bytes, u->sent);
    return s->between ? s->between(s->ctx, err) : PERSIST_OK;
}

/* Sends full parts and makes room for `need` more bytes.  A part is full only
 * when something lies behind it: the last one must know that it is. */
static int drain(struct upload *u, size_t need, const struct sending *s,
                 struct persist_error *err)
{
    int rc;

    while (u->end - u->start > u->part_size) {
        rc = send_part(u, (size_t)u->part_size, false, s, err);
        if (rc)
            return rc;
    }
    if (u->out_need - u->end < need) {
        memmove(u->kit->out, u->kit->out + u->start, u->end - u->start);
        u->end -= u->start;
        u->start = 0;
    }
    return PERSIST_OK;
}

static int send_frames(struct upload *u, const struct sending *s,
                       struct persist_error *err)
{
    size_t bound = frame_bound(u->what.codec, u->what.frame_size);
    bool any;
    int rc;

    for (;;) {
        rc = drain(u, bound, s, err);
        if (!rc)
            rc = add_frame(u, &any, err);
        if (rc)
            return rc;
        if (!any)
            return finish_hash(u, err);
    }
}

/* The tail may be longer than a part; then what is left of everything. */
static int send_tail(struct upload *u, const struct sending *s,
                     struct persist_error *err)
{
    size_t at = 0, room;
    int rc;

    while (at < u->tail_bytes.len) {
        rc = drain(u, 1, s, err);
        if (rc)
            return rc;
        room = u->out_need - u->end;
        if (room > u->tail_bytes.len - at)
            room = u->tail_bytes.len - at;
        memcpy(u->kit->out + u->end, u->tail_bytes.data + at, room);
        u->end += room;
        at += room;
    }
    rc = drain(u, 0, s, err);
    return rc ? rc : send_part(u, u->end - u->start, true, s, err);
}

int upload_send(struct upload *u, struct persist_metadata *m,
                struct backend_upload *to, upload_between_fn between, void *ctx,
                uint64_t *out_size, uint32_t *out_crc32c,
                struct persist_error *err)
{
    const struct sending s = {between, ctx};
    int rc;

    u->to = to;
    rc = place_header(u, m, err);
    if (!rc)
        rc = send_frames(u, &s, err);
    if (!rc)
        rc = encode_tail(u, m, err);
    if (!rc)
        rc = send_tail(u, &s, err);
    *out_size = u->sent;
    *out_crc32c = u->sent_crc;
    return rc;
}
