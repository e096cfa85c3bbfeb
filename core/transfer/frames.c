/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload, frame by frame: stored bytes read ahead, decoded where they were
 * read to, the sums at the end.
 *
 * Where a frame lies is known beforehand with zstd (the seek table) and read
 * from the member's head with gzip; everything else is the same for both.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/gzip_member.h"
#include "transfer/again.h"
#include "util/crc32c.h"
#include "util/le.h"

#define HALVINGS 3 /* of the limit, before waiting */

static int corrupt_frame(const struct download *d, const char *what,
                         struct persist_error *err)
{
    return error_set(err, PERSIST_E_CORRUPT,
                     "frame %" PRIu64 " (at byte %" PRIu64 ") %s", d->frame,
                     d->stored_pos, what);
}

/* ---------------------------------------------------------------- window */

static int window_grow(struct download *d, size_t cap,
                       struct persist_error *err)
{
    if (cap <= d->window_cap)
        return PERSIST_OK;
    int rc = object_reserve(&d->object, plan_held(d) + cap, err);
    if (rc != PERSIST_OK)
        return rc;
    uint8_t *window = realloc(d->window, cap);
    if (!window)
        return error_memory(err);
    d->window = window;
    d->window_cap = cap;
    return PERSIST_OK;
}

int window_hold(struct download *d, uint64_t offset, size_t n,
                struct persist_error *err)
{
    uint64_t end = d->window_offset + d->window_len;
    bool inside = offset >= d->window_offset && offset < end;
    size_t kept = inside ? (size_t)(end - offset) : 0;

    if (kept >= n)
        return PERSIST_OK;
    int rc = window_grow(d, n, err);
    if (rc != PERSIST_OK)
        return rc;
    if (kept > 0)
        memmove(d->window, d->window + (offset - d->window_offset), kept);
    d->window_offset = offset;
    d->window_len = kept;
    uint64_t left = d->object.total - offset - kept;
    size_t more = d->window_cap - kept;
    if (more > left)
        more = (size_t)left;
    rc = object_read(&d->object, offset + kept, d->window + kept, more, err);
    if (rc == PERSIST_OK)
        d->window_len += more;
    return rc;
}

/* n stored bytes from where the download is; they end before the trailer.
 * READAHEAD_NOT_NOW: a lane has to be taken first. */
static int stored_bytes(struct download *d, size_t n, const uint8_t **out,
                        struct persist_error *err)
{
    if (d->stored_pos + n > d->map.trailer_offset)
        return corrupt_frame(d, "reaches into the trailer", err);
    if (d->small) {
        *out = d->tail + d->stored_pos;
        return PERSIST_OK;
    }
    return readahead_get(d->reads, d->stored_pos, n, out, err);
}

/* ----------------------------------------------------------------- start */

/* Where in the object reading starts and ends. */
static void seek_first_frame(struct download *d)
{
    d->stored_pos = d->header_len;
    d->reads_end = d->map.trailer_offset;
    if (d->whole || d->map.codec == CODEC_GZIP)
        return;
    d->frame = d->range_start / d->frame_size;
    if (d->frame >= d->map.n_frames) { /* an empty range at the end */
        d->ended = true;
        return;
    }
    uint64_t last = (d->range_end + d->frame_size - 1) / d->frame_size;
    d->stored_pos = d->map.frames[d->frame].stored_offset;
    d->payload_pos = d->map.frames[d->frame].payload_offset;
    if (last < d->map.n_frames)
        d->reads_end = d->map.frames[last].stored_offset;
}

static int start_sums(struct download *d, struct persist_error *err)
{
    const uint8_t *head = d->tail;

    if (!d->whole)
        return PERSIST_OK;
    d->sha = sha256_create();
    if (!d->sha)
        return error_memory(err);
    if (!d->small) {
        int rc = window_hold(d, 0, d->header_len, err);
        if (rc != PERSIST_OK)
            return rc;
        head = d->window;
    }
    d->crc = crc32c(0, head, d->header_len);
    return PERSIST_OK;
}

/* The window of the beginning is the first read, as far as it holds whole
 * frames; else it goes. */
static void keep_or_drop_window(struct download *d, struct readahead_what *what)
{
    uint64_t end = d->window_offset + d->window_len;

    if (end > what->end)
        end = what->end;
    if (what->cut && end > what->start)
        end = what->cut(what->ctx, what->start, end);
    if (what->n > 1 && d->window_offset <= what->start && end > what->start) {
        what->first = d->window;
        what->first_offset = d->window_offset;
        what->first_len = (size_t)(end - d->window_offset);
        return;
    }
    free(d->window);
    d->window = NULL;
    d->window_cap = d->window_len = 0;
}

static int start_reading(struct download *d, const struct readahead_what *what,
                         struct persist_error *err)
{
    d->window = NULL; /* taken over, or gone */
    d->window_cap = d->window_len = 0;
    return readahead_create(what, &d->reads, err);
}

static int start_decoding(struct download *d, struct persist_error *err)
{
    if (d->n_lanes > 0) {
        struct lanes_what what = plan_of_lanes(d);

        what.again = again_lane;
        what.again_ctx = d;
        d->lanes = lanes_create(&what);
        return d->lanes ? PERSIST_OK : error_memory(err);
    }
    d->payload = malloc(d->payload_cap);
    d->decoder = frame_decoder_create(d->map.codec, d->frame_size);
    return d->payload && d->decoder ? PERSIST_OK : error_memory(err);
}

static void plan(struct download *d, uint64_t limit)
{
    d->limit = limit;
    d->payload_cap = d->frame_size < d->map.payload_len
                         ? d->frame_size
                         : (size_t)d->map.payload_len;
    d->planned = plan_reads(d);
    plan_lanes(d, d->planned.n == 1 && !d->small);
}

/* The largest plan that leaves as much again to others, else the least. */
static void plan_to_share(struct download *d)
{
    uint64_t limit = budget_limit(backend_store_env(d->object.store)->budget);

    plan(d, limit / 2);
    for (unsigned i = 2;
         i <= HALVINGS &&
         !object_has_room(&d->object, 2 * plan_memory(d, &d->planned));
         i++)
        plan(d, limit >> i);
}

int download_prepare(struct download *d, struct persist_error *err)
{
    d->prepared = true;
    atomic_store(&d->object.op->payload_total, download_length(d));
    seek_first_frame(d);
    if (d->ended)
        return PERSIST_OK;
    if (d->map.n_frames == 0)
        return start_sums(d, err);
    if (d->object.shares)
        plan_to_share(d);
    else
        plan(d, 0);
    int rc = start_sums(d, err);
    if (rc != PERSIST_OK)
        return rc;
    if (!d->small)
        keep_or_drop_window(d, &d->planned);
    return object_reserve(&d->object, plan_memory(d, &d->planned), err);
}

static int start(struct download *d, struct persist_error *err)
{
    int rc = d->prepared ? PERSIST_OK : download_prepare(d, err);

    d->started = true;
    if (rc != PERSIST_OK || d->ended || d->map.n_frames == 0)
        return rc;
    if (!d->small)
        rc = start_reading(d, &d->planned, err);
    return rc == PERSIST_OK ? start_decoding(d, err) : rc;
}

/* ---------------------------------------------------------------- frames */

/* How long the next frame is, stored and decoded; or READAHEAD_NOT_NOW, as of
 * the calls below. */
static int measure_gzip(struct download *d, uint32_t *out_stored,
                        uint32_t *out_payload, struct persist_error *err)
{
    const uint8_t *head = NULL;
    uint16_t len = 0;
    int rc = stored_bytes(d, MEMBER_DATA_HEAD_LEN, &head, err);

    if (rc != PERSIST_OK)
        return rc;
    if (!member_head_get(head, MEMBER_DATA, &len) ||
        len != MEMBER_DATA_HEAD_LEN - MEMBER_HEAD_LEN)
        return corrupt_frame(d, "is not a data member", err);
    *out_stored = le_get32(head + MEMBER_HEAD_LEN);
    *out_payload = le_get32(head + MEMBER_HEAD_LEN + 4);
    if (*out_stored < MEMBER_DATA_MIN ||
        *out_stored > frame_bound(CODEC_GZIP, d->frame_size))
        return corrupt_frame(d, "says it has an impossible length", err);
    return PERSIST_OK;
}

static int measure(struct download *d, uint32_t *out_stored,
                   uint32_t *out_payload, struct persist_error *err)
{
    uint64_t left = d->map.payload_len - d->payload_pos;
    uint64_t want = left < d->frame_size ? left : d->frame_size;
    int rc = PERSIST_OK;

    if (d->map.codec == CODEC_GZIP) {
        rc = measure_gzip(d, out_stored, out_payload, err);
    } else {
        const struct snapshot_frame *f = &d->map.frames[d->frame];
        *out_stored = f->stored_len;
        *out_payload = f->payload_len;
    }
    if (rc == PERSIST_OK && *out_payload != want)
        return corrupt_frame(d,
                             "says it has another payload length than the "
                             "trailer leaves it",
                             err);
    return rc;
}

/* A frame that is not for a lane; checked and hashed. */
static int unpack(struct download *d, const uint8_t *stored, uint32_t len,
                  uint32_t want, struct unpack *u, struct persist_error *err)
{
    *u = (struct unpack){.decoder = d->decoder,
                         .out = d->payload,
                         .cap = d->payload_cap,
                         .copies = d->copies,
                         .in = stored,
                         .in_len = len};
    int rc = unpack_begin(u, err);
    if (rc == PERSIST_OK && u->payload.len != want)
        return corrupt_frame(d, "has another payload length than it says", err);
    if (rc == PERSIST_OK)
        rc = unpack_end(u, d->sha, err);
    if (rc != PERSIST_OK)
        error_prefix(err, "frame %" PRIu64 " (at byte %" PRIu64 ")", d->frame,
                     d->stored_pos);
    return rc;
}

/* A frame is taken: its payload, which begins at `from`, is given from now on.
 */
static void take(struct download *d, const struct unpack *u, uint64_t from)
{
    d->rest = u->payload;
    d->rest_pos = from;
    if (d->whole)
        d->crc = crc32c_combine(d->crc, u->crc, u->in_len);
}

/* What is wanted of the n bytes at piece, which begin at rest_pos. */
static void cut(const struct download *d, const uint8_t *piece, size_t n,
                const void **out, size_t *out_len)
{
    uint64_t from = d->rest_pos, to = from + n;
    uint64_t first = from < d->range_start ? d->range_start : from;
    uint64_t last = to < d->range_end ? to : d->range_end;

    if (first >= last)
        return;
    *out = piece + (first - from);
    *out_len = (size_t)(last - first);
}

/* The next piece of the frame taken last; *out_len 0: all of it was given. */
static void give_rest(struct download *d, const void **out, size_t *out_len)
{
    const void *piece;
    size_t n;

    while (*out_len == 0 && (n = frame_payload_next(&d->rest, &piece)) > 0) {
        cut(d, piece, n, out, out_len);
        d->rest_pos += n;
    }
}

/* The next frame as it is stored; *out_wanted false: it
 * lies before the range. */
static int next_stored(struct download *d, const uint8_t **out,
                       uint32_t *out_len, uint32_t *out_payload,
                       bool *out_wanted, struct persist_error *err)
{
    int rc = measure(d, out_len, out_payload, err);

    if (rc == PERSIST_OK)
        rc = stored_bytes(d, *out_len, out, err);
    if (rc != PERSIST_OK)
        return rc;
    *out_wanted = d->payload_pos + *out_payload > d->range_start &&
                  d->payload_pos < d->range_end;
    return PERSIST_OK;
}

static void step(struct download *d, uint32_t stored_len, uint32_t payload_len)
{
    d->frame++;
    d->stored_pos += stored_len;
    d->payload_pos += payload_len;
}

static int take_frame(struct download *d, struct persist_error *err)
{
    const uint8_t *stored = NULL;
    uint32_t stored_len = 0;
    uint32_t payload_len = 0;
    bool wanted = false;
    struct unpack u;
    int rc;

    if (d->reads)
        readahead_release(d->reads, d->stored_pos);
    rc = next_stored(d, &stored, &stored_len, &payload_len, &wanted, err);
    if (rc == PERSIST_OK && wanted)
        rc = unpack(d, stored, stored_len, payload_len, &u, err);
    if (wanted && again_is_worth(&d->object, rc)) {
        /* It lies in a buffer of ours. */
        rc = again_frame(d, (void *)stored, stored_len, d->stored_pos, err);
        if (rc == PERSIST_OK)
            rc = unpack(d, stored, stored_len, payload_len, &u, err);
    }
    if (rc != PERSIST_OK)
        return rc;
    if (wanted)
        take(d, &u, d->payload_pos);
    step(d, stored_len, payload_len);
    return PERSIST_OK;
}

static bool at_end(const struct download *d)
{
    return d->frame >= d->map.n_frames ||
           (!d->whole && d->payload_pos >= d->range_end);
}

/* ----------------------------------------------------------------- lanes */

/* What no lane reads any more may be read into. */
static void give_back(struct download *d)
{
    if (d->reads && d->fed)
        readahead_release(d->reads, lanes_over(d->lanes));
}

/* Until every lane is busy, nothing more is wanted, or every buffer holds
 * frames that are not taken yet. */
static int fill_lanes(struct download *d, struct persist_error *err)
{
    while (!at_end(d)) {
        const uint8_t *stored = NULL;
        uint32_t stored_len = 0;
        uint32_t payload_len = 0;
        bool wanted = false;
        struct lane *lane = NULL;
        int rc = lanes_free(d->lanes, &lane, err);

        if (rc != PERSIST_OK || !lane)
            return rc;
        give_back(d);
        rc = next_stored(d, &stored, &stored_len, &payload_len, &wanted, err);
        if (rc == READAHEAD_NOT_NOW)
            return PERSIST_OK;
        if (rc != PERSIST_OK)
            return rc;
        if (wanted) {
            if (!d->fed)
                d->out_pos = d->payload_pos;
            d->fed = true;
            lane->in = stored;
            lane->in_len = stored_len;
            lane->tag = d->stored_pos + stored_len;
            lanes_start(d->lanes, lane);
        }
        step(d, stored_len, payload_len);
        if (!d->fed && d->reads) /* no lane will give its buffer back */
            readahead_release(d->reads, d->stored_pos);
    }
    return PERSIST_OK;
}

static int check_lane(const struct download *d, const struct lane *lane,
                      uint64_t want, struct persist_error *err)
{
    uint64_t frame = d->out_pos / d->frame_size;

    if (lane->rc != PERSIST_OK) {
        if (err)
            *err = lane->err;
        error_prefix(err, "frame %" PRIu64, frame);
        return lane->rc;
    }
    if (lane->frame.payload.len != want)
        return error_set(
            err, PERSIST_E_CORRUPT,
            "frame %" PRIu64 " has another payload length than it says", frame);
    return PERSIST_OK;
}

/* The oldest frame under way, if there is one. */
static int take_lane(struct download *d, struct persist_error *err)
{
    int rc;

    if (d->lent)
        lanes_release(d->lanes, d->lent);
    d->lent = NULL;
    rc = fill_lanes(d, err);
    if (rc != PERSIST_OK)
        return rc;
    if (!d->fed)
        return PERSIST_OK;
    uint64_t left = d->map.payload_len - d->out_pos;
    uint64_t want = left < d->frame_size ? left : d->frame_size;
    d->lent = lanes_take(d->lanes);
    if (!d->lent) /* every buffer holds bytes that are still to be hashed */
        return lanes_hashed(d->lanes, err);
    if (d->copies && d->reads)
        readahead_release(d->reads, d->lent->tag);
    rc = check_lane(d, d->lent, want, err);
    if (rc == PERSIST_OK)
        take(d, &d->lent->frame, d->out_pos);
    d->out_pos += want;
    return rc;
}

/* ------------------------------------------------------------------- end */

static int check_sums(struct download *d, struct persist_error *err)
{
    uint8_t sha[32];

    if (d->lanes) {
        int rc = lanes_hashed(d->lanes, err);
        if (rc != PERSIST_OK)
            return rc;
    }
    if (d->stored_pos != d->map.trailer_offset)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the frames end at byte %" PRIu64
                         ", and the trailer begins at %" PRIu64,
                         d->stored_pos, d->map.trailer_offset);
    if (d->crc != d->map.stored_crc32c)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the stored bytes have CRC-32C %08" PRIx32
                         ", and the trailer says %08" PRIx32,
                         d->crc, d->map.stored_crc32c);
    if (sha256_final(d->sha, sha) != 0)
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    if (memcmp(sha, d->map.sha256, sizeof(sha)) != 0)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the payload's SHA-256 is not the trailer's "
                         "content_hash");
    return PERSIST_OK;
}

/* Nothing more will come but the sums. */
static bool all_taken(const struct download *d)
{
    if (!at_end(d))
        return false;
    return !d->lanes || !d->lent || d->out_pos >= d->range_end;
}

static int next_piece(struct download *d, const void **out, size_t *out_len,
                      struct persist_error *err)
{
    int rc = PERSIST_OK;

    if (!d->started)
        rc = start(d, err);
    else
        give_rest(d, out, out_len);
    while (rc == PERSIST_OK && *out_len == 0 && !d->ended) {
        rc = op_check(d->object.op, backend_store_env(d->object.store)->clock);
        if (rc != PERSIST_OK)
            return error_set(err, rc,
                             rc == PERSIST_E_TIMEOUT ? "the deadline passed"
                                                     : "cancelled");
        if (d->lanes)
            rc = take_lane(d, err);
        else if (!at_end(d))
            rc = take_frame(d, err);
        if (rc == PERSIST_OK && all_taken(d)) {
            d->ended = true;
            if (d->whole)
                rc = check_sums(d, err);
        }
        if (rc == PERSIST_OK)
            give_rest(d, out, out_len);
    }
    return rc;
}

int download_next(struct download *d, const void **out, size_t *out_len,
                  struct persist_error *err)
{
    int rc = d->failed;

    *out = NULL;
    *out_len = 0;
    if (rc == PERSIST_OK)
        rc = next_piece(d, out, out_len, &d->why);
    if (rc == PERSIST_OK) {
        atomic_fetch_add(&d->object.op->payload_bytes, *out_len);
        return PERSIST_OK;
    }
    d->failed = rc;
    *out_len = 0;
    if (err)
        *err = d->why;
    return rc;
}

bool download_more(struct download *d, const void **out, size_t *out_len)
{
    *out = NULL;
    *out_len = 0;
    if (d->failed == PERSIST_OK)
        give_rest(d, out, out_len);
    atomic_fetch_add(&d->object.op->payload_bytes, *out_len);
    return *out_len > 0;
}
