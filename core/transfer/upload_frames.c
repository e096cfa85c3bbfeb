/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the source to frames at the end of the current buffer.
 *
 * With lanes the caller's thread reads ahead, and appends what is encoded in
 * the order it was read; without, it encodes straight into the buffer.
 */
#include <inttypes.h>

#include "transfer/upload_impl.h"
#include "util/crc32c.h"
#include "util/error.h"

/* ----------------------------------------------------------------- reading
 */

int upload_stopped(const struct upload *u, struct persist_error *err)
{
    int rc = op_check(&u->op, u->clock);

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
    rc = upload_stopped(u, err);
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
    rc = upload_stopped(u, err);
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

/* Until the first part is cut the current buffer has room for whatever
 * upload_fill puts there. */
static int append(struct upload *u, struct part_piece piece, uint32_t *crc,
                  struct persist_error *err)
{
    if (u->sending)
        return parts_append(u, piece, crc, err);
    part_put(u->now, piece, crc);
    return PERSIST_OK;
}

static int append_raw(struct upload *u, struct zstd_raw *raw, uint32_t *crc,
                      struct persist_error *err)
{
    struct part_piece piece = {.summed = true};
    int rc = PERSIST_OK;

    while (!rc && (piece.len = zstd_raw_next(raw, &piece.data, &piece.crc)) > 0)
        rc = append(u, piece, crc, err);
    return rc;
}

/* ------------------------------------------------- on the caller's thread
 */

static int compress_direct(struct upload *u, const void *payload, size_t len,
                           size_t *out_stored, uint32_t *crc,
                           struct persist_error *err)
{
    struct part_buffer *b = u->now;
    uint8_t *at = b->data + b->end;
    int rc;

    if (sha256_update(u->kit->sha256, payload, len))
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    rc = frame_compress(u->kit->encoder, payload, len, at, b->cap - b->end,
                        out_stored, err);
    if (rc)
        return rc;
    b->end += *out_stored;
    *crc = crc32c(0, at, *out_stored);
    return PERSIST_OK;
}

static int put_direct(struct upload *u, const void *payload, size_t len,
                      size_t *out_stored, uint32_t *crc,
                      struct persist_error *err)
{
    struct zstd_raw raw;

    zstd_raw_begin(&raw, payload, len);
    *out_stored = zstd_raw_len(len);
    if (zstd_raw_sum(&raw, sha256_update_beside, u->kit->sha256, NULL))
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    return append_raw(u, &raw, crc, err);
}

static int add_direct(struct upload *u, bool *out_any,
                      struct persist_error *err)
{
    const struct part_buffer *b;
    const void *payload = NULL;
    size_t len = 0, stored = 0;
    uint32_t crc = 0;
    int rc = PERSIST_OK;

    if (u->sending)
        rc = parts_make_room(u, u->slack, err);
    if (!rc)
        rc = next_frame(u, u->kit->frame, &payload, &len, err);
    *out_any = !rc && len;
    if (!*out_any)
        return rc;
    b = u->now;
    rc = frame_is_raw(u->kit->encoder, payload, len, b->data + b->end,
                      b->cap - b->end)
             ? put_direct(u, payload, len, &stored, &crc, err)
             : compress_direct(u, payload, len, &stored, &crc, err);
    if (rc)
        return rc;
    return snapshot_tail_frame(&u->tail, (uint32_t)stored, (uint32_t)len, crc,
                               err);
}

/* ----------------------------------------------------------- through lanes
 */

/* Noise goes on as noise more often than not: where this frame will lie if it
 * and all before it are stored as they are.  None of these takes more than that
 * (but see take_in_order), so that what is appended never reaches the place of
 * one that is still to be copied there. */
static int choose_place(struct upload *u, struct lane *lane,
                        struct persist_error *err)
{
    if (!u->sending || !u->was_raw)
        return PERSIST_OK;
    return parts_place(u, u->ahead, zstd_raw_len(lane->in_len), &lane->place,
                       err);
}

int upload_read_ahead(struct upload *u, struct persist_error *err)
{
    struct lane *lane;
    int rc;

    while (u->lanes && !u->ended) {
        rc = lanes_free(u->lanes, &lane, err);
        if (rc || !lane)
            return rc;
        rc = next_frame(u, lane->in_buf, &lane->in, &lane->in_len, err);
        if (rc || !lane->in_len)
            return rc;
        rc = choose_place(u, lane, err);
        if (rc)
            return rc;
        u->ahead += zstd_raw_len(lane->in_len);
        lanes_start(u->lanes, lane);
    }
    return PERSIST_OK;
}

/* A frame that is longer than one stored as it is, which no encoder is known to
 * make, would reach into the places of those behind it: they are copied there
 * before, and then found to lie elsewhere. */
static int take_in_order(struct upload *u, struct lane **out,
                         struct persist_error *err)
{
    struct lane *lane = *out = lanes_take(u->lanes);
    size_t most = lane ? zstd_raw_len(lane->in_len) : 0;

    u->ahead -= most;
    if (!lane || lane->rc || lane->out_len <= most)
        return PERSIST_OK;
    return lanes_hashed(u->lanes, err);
}

static int append_lane(struct upload *u, struct lane *lane, uint32_t *crc,
                       struct persist_error *err)
{
    struct part_piece encoded = {.data = lane->out, .len = lane->out_len};

    u->was_raw = lane->is_raw;
    if (!lane->is_raw)
        return append(u, encoded, crc, err);
    if (lane->place != u->now->data + u->now->end)
        zstd_raw_unplace(&lane->raw);
    return append_raw(u, &lane->raw, crc, err);
}

/* The oldest frame under way, copied behind the others. */
static int add_from_lanes(struct upload *u, bool *out_any,
                          struct persist_error *err)
{
    struct lane *lane = NULL;
    uint32_t crc = 0;
    int rc = upload_read_ahead(u, err);

    *out_any = false;
    if (!rc)
        rc = take_in_order(u, &lane, err);
    if (rc || !lane)
        return rc;
    *out_any = true;
    if (lane->rc && err)
        *err = lane->err;
    rc = lane->rc;
    if (!rc)
        rc = append_lane(u, lane, &crc, err);
    if (!rc)
        rc = snapshot_tail_frame(&u->tail, (uint32_t)lane->out_len,
                                 (uint32_t)lane->in_len, crc, err);
    lanes_release(u->lanes, lane);
    return rc;
}

int upload_add_frame(struct upload *u, bool *out_any, struct persist_error *err)
{
    return u->lanes ? add_from_lanes(u, out_any, err)
                    : add_direct(u, out_any, err);
}

int upload_finish_hash(struct upload *u, struct persist_error *err)
{
    int rc = u->lanes ? lanes_hashed(u->lanes, err) : PERSIST_OK;

    if (rc)
        return rc;
    if (sha256_final(u->kit->sha256, u->sha256))
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    return PERSIST_OK;
}
