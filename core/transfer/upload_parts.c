/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From buffers to parts under way, and their arrival.
 *
 *      current buffer      [ sent | start ... end | room ]
 *                                   ╲ cut ╱
 *      flight              one part: its CRC-32C, then the store's upload_part,
 *                          on the I/O executor; the bytes stay in the buffer
 *      landed              in the order they were started: the CRC-32C of the
 *                          object and the progress go on, the flight is free,
 *                          and so is its buffer once nothing flies out of it
 *
 * A part is cut when it is full and something comes behind it, because the last
 * one must know that it is.  Where the current buffer has no more room another
 * one that is free takes over, with the bytes that are in no part yet; with one
 * buffer alone, everything lands first and they move to its front.
 *
 * Everything but the flights' work runs on the thread of the save.
 */
#include <stdlib.h>
#include <string.h>

#include "posix/direct.h"
#include "transfer/upload_impl.h"
#include "util/crc32c.h"
#include "util/error.h"

#define SUM_STEP ((size_t)128 << 10) /* what stays in the cache meanwhile */

/* ----------------------------------------------------------------- flights
 */

static void fly(struct work *w)
{
    struct flight *f =
        (struct flight *)((char *)w - offsetof(struct flight, work));

    f->part.crc32c =
        crc32c(f->part.crc32c, (const uint8_t *)f->part.data + f->summed,
               f->part.len - f->summed);
    f->rc = PERSIST_OK;
    if (f->u->to)
        f->rc = backend_upload_part(f->u->to, &f->u->op, &f->part, &f->err);
    if (f->rc)
        cancel_set(&f->u->op.cancel); /* the others, and a slow source */
}

static struct flight *flight_of(struct upload *u, uint32_t n)
{
    return &u->flights[n % u->n_flights];
}

/* Waits for the oldest part under way. */
static int land_oldest(struct upload *u, struct persist_error *err)
{
    struct flight *f = flight_of(u, u->n_landed);

    work_wait(&f->work);
    u->n_landed++;
    f->from->n_flying--;
    if (f->rc) {
        if (err)
            *err = f->err;
        return f->rc;
    }
    u->landed += f->part.len;
    u->landed_crc = crc32c_combine(u->landed_crc, f->part.crc32c, f->part.len);
    if (u->to)
        atomic_store(&u->what.op->stored_bytes, u->landed);
    return PERSIST_OK;
}

/* Lands what has arrived, and as many more as leave at most `most`. */
static int land(struct upload *u, uint32_t most, struct persist_error *err)
{
    int rc = PERSIST_OK;

    while (!rc && u->n_started > u->n_landed) {
        if (u->n_started - u->n_landed <= most &&
            !work_is_over(&flight_of(u, u->n_landed)->work))
            break;
        rc = land_oldest(u, err);
    }
    return rc;
}

/* What is known of the CRC-32C of the first `len` bytes that are in no part. */
static size_t take_sum(struct part_buffer *b, size_t len, uint32_t *crc)
{
    size_t n = b->summed <= len ? b->summed : 0;

    *crc = n ? b->crc : 0;
    b->summed = 0;
    b->crc = 0;
    return n;
}

/* The first `len` bytes that are in no part become one. */
static int cut(struct upload *u, size_t len, bool is_last,
               struct persist_error *err)
{
    struct part_buffer *b = u->now;
    struct flight *f;
    int rc = upload_stopped(u, err);

    if (!rc)
        rc = land(u, u->n_flights - 1, err);
    if (rc)
        return rc;
    f = flight_of(u, u->n_started);
    f->from = b;
    f->part = (struct backend_part){
        .offset = u->sent,
        .data = b->data + b->start,
        .len = len,
        .number = u->n_started + 1,
        .is_last = is_last,
    };
    f->summed = take_sum(b, len, &f->part.crc32c);
    u->n_started++;
    b->n_flying++;
    b->start += len;
    u->sent += len;
    work_start(&f->work, u->to ? u->what.io : NULL, fly);
    return u->between ? u->between(u->between_ctx, err) : PERSIST_OK;
}

/* ----------------------------------------------------------------- buffers
 */

static uint64_t part_size(const struct upload *u)
{
    return u->tiers[upload_tier_of(u, u->n_started + 1)].size;
}

/* Another buffer nothing flies out of, allocated or not; NULL: none. */
static struct part_buffer *idle_buffer(struct upload *u)
{
    struct part_buffer *found = NULL;

    for (unsigned i = 0; i < u->n_buffers; i++) {
        struct part_buffer *b = &u->buffers[i];

        if (b == u->now || b->n_flying)
            continue;
        if (!found || b->cap > found->cap)
            found = b;
    }
    return found;
}

static int allocate(struct part_buffer *b, uint64_t cap,
                    struct persist_error *err)
{
    if (b->data && b->cap >= cap)
        return PERSIST_OK;
    free(b->data);
    b->cap = 0;
    b->data = cap > SIZE_MAX / 2 ? NULL : direct_alloc((size_t)cap);
    if (!b->data)
        return error_memory(err);
    b->cap = (size_t)cap;
    return PERSIST_OK;
}

/* The bytes that are in no part go on at the front of a buffer with room. */
static int move_on(struct upload *u, struct persist_error *err)
{
    struct part_buffer *from = u->now, *to;
    size_t left = from->end - from->start, summed;
    uint32_t crc;
    int rc = land(u, u->n_flights, err);

    to = u->next ? u->next : idle_buffer(u);
    while (!to && !rc && u->n_started > u->n_landed) {
        rc = land_oldest(u, err);
        to = idle_buffer(u);
    }
    if (!to)
        to = from; /* the only one there is: everything has landed */
    if (!rc && to != from)
        rc = allocate(to, part_size(u) + u->slack, err);
    if (rc)
        return rc;
    memmove(to->data, from->data + from->start, left);
    summed = take_sum(from, left, &crc);
    to->summed = summed;
    to->crc = crc;
    from->start = from->end = 0;
    to->start = 0;
    to->end = left;
    u->now = to;
    u->next = NULL;
    return PERSIST_OK;
}

/* Larger parts from here on: fewer buffers, so that they take as much memory as
 * before. */
static int enter_tier(struct upload *u, unsigned tier,
                      struct persist_error *err)
{
    uint64_t size = u->tiers[tier].size + u->slack, first;
    struct part_buffer now;
    size_t left;
    int rc = land(u, 0, err);

    if (rc)
        return rc;
    now = *u->now;
    left = now.end - now.start; /* of a first buffer, perhaps many parts */
    first = left < size ? size : left;
    *u->now = (struct part_buffer){0};
    u->next = NULL;
    for (unsigned i = 0; i < u->n_buffers; i++) {
        free(u->buffers[i].data);
        u->buffers[i] = (struct part_buffer){0};
    }
    while (u->n_buffers > 1 &&
           first + (u->n_buffers - 1) * size > u->buffers_memory)
        u->n_buffers--;
    u->tier = tier;
    u->now = &u->buffers[0];
    rc = allocate(u->now, first, err);
    if (!rc) {
        u->now->end = left;
        memcpy(u->now->data, now.data + now.start, left);
        u->now->summed = now.summed;
        u->now->crc = now.crc;
    }
    free(now.data);
    return rc;
}

/* `more`: something comes behind what is in the buffer. */
static int cut_full_parts(struct upload *u, bool more,
                          struct persist_error *err)
{
    int rc = PERSIST_OK;

    while (!rc) {
        size_t len = u->now->end - u->now->start;
        uint64_t full = part_size(u);

        if (len < full || (len == full && !more))
            return PERSIST_OK;
        rc = cut(u, (size_t)full, false, err);
        if (!rc && upload_tier_of(u, u->n_started + 1) != u->tier)
            rc = enter_tier(u, upload_tier_of(u, u->n_started + 1), err);
    }
    return rc;
}

/* Rather another buffer than one that will be full in the middle of a part. */
static bool should_move_on(const struct upload *u, size_t need)
{
    const struct part_buffer *b = u->now;
    size_t room = b->cap - b->end;

    return room < need || (b->start == b->end && room < part_size(u));
}

int parts_make_room(struct upload *u, size_t need, struct persist_error *err)
{
    int rc = cut_full_parts(u, true, err);

    if (!rc && should_move_on(u, need))
        rc = move_on(u, err);
    return rc;
}

/* The first n bytes of it. */
static struct part_piece take_piece(struct part_piece *from, size_t n)
{
    struct part_piece piece = {.data = from->data, .len = n};

    if (n == from->len) {
        piece.summed = from->summed;
        piece.crc = from->crc;
    }
    from->summed = false;
    from->data = (const uint8_t *)from->data + n;
    from->len -= n;
    return piece;
}

static void put_step(struct part_buffer *b, struct part_piece piece,
                     uint32_t *crc)
{
    uint8_t *at = b->data + b->end;
    uint32_t sum;

    if (piece.data != at)
        memcpy(at, piece.data, piece.len);
    sum = piece.summed ? piece.crc : crc32c(0, at, piece.len);
    *crc = crc32c_combine(*crc, sum, piece.len);
    if (b->summed == b->end - b->start) {
        b->crc = crc32c_combine(b->crc, sum, piece.len);
        b->summed += piece.len;
    }
    b->end += piece.len;
}

void part_put(struct part_buffer *b, struct part_piece piece, uint32_t *crc)
{
    while (piece.len > 0) {
        size_t n = piece.summed || piece.len < SUM_STEP ? piece.len : SUM_STEP;

        put_step(b, take_piece(&piece, n), crc);
    }
}

int parts_append(struct upload *u, struct part_piece piece, uint32_t *crc,
                 struct persist_error *err)
{
    while (piece.len > 0) {
        int rc = parts_make_room(u, 1, err);
        struct part_buffer *b = u->now;
        uint64_t left = part_size(u) - (b->end - b->start);
        size_t n = b->cap - b->end;

        if (rc)
            return rc;
        if (n > left)
            n = (size_t)left;
        n = n < piece.len ? n : piece.len;
        part_put(b, take_piece(&piece, n), crc);
    }
    return PERSIST_OK;
}

/* The buffer of the part behind this one, while it has the same size: one of
 * another size has other buffers. */
static int choose_next(struct upload *u, struct persist_error *err)
{
    struct part_buffer *b;
    int rc;

    if (u->next || upload_tier_of(u, u->n_started + 2) != u->tier)
        return PERSIST_OK;
    rc = land(u, u->n_flights, err);
    b = rc ? NULL : idle_buffer(u);
    if (b)
        rc = allocate(b, part_size(u) + u->slack, err);
    u->next = rc ? NULL : b;
    return rc;
}

/* What is beyond the end of this part goes to the front of the next buffer, as
 * long as this part surely ends in this one. */
int parts_place(struct upload *u, size_t before, size_t len, uint8_t **out,
                struct persist_error *err)
{
    const struct part_buffer *b = u->now;
    uint64_t full = part_size(u), at = b->end - b->start + (uint64_t)before;
    int rc = PERSIST_OK;

    *out = NULL;
    if (b->cap - b->start < full)
        return PERSIST_OK;
    if (at + len <= full)
        *out = b->data + b->start + at;
    if (at < full || at - full + len > full)
        return PERSIST_OK;
    rc = choose_next(u, err);
    if (!rc && u->next)
        *out = u->next->data + (at - full);
    return rc;
}

/* --------------------------------------------------------------- all parts
 */

/* The header stands somewhere behind the room left for it; parts are to begin
 * where the memory is aligned, as those of all other buffers do. */
static void align_first(struct part_buffer *b)
{
    memmove(b->data, b->data + b->start, b->end - b->start);
    b->end -= b->start;
    b->start = 0;
}

/* A backend that sleeps in a request wakes at once when another part failed;
 * where no descriptor is to be had it looks now and then. */
static void give_descriptor(struct upload *u)
{
    uint64_t deadline_ns = u->op.deadline_ns;
    struct trace_call *trace = u->op.trace;

    op_finish(&u->op);
    (void)op_init_with_fd(&u->op, &u->what.op->cancel);
    u->op.deadline_ns = deadline_ns;
    u->op.trace = trace;
}

int parts_begin(struct upload *u, struct backend_upload *to,
                upload_between_fn between, void *ctx, struct persist_error *err)
{
    u->to = to;
    u->between = between;
    u->between_ctx = ctx;
    u->sending = true;
    u->kit->out = NULL; /* the first buffer owns it now */
    u->kit->out_cap = 0;
    align_first(u->now);
    give_descriptor(u);
    u->flights = calloc(u->n_flights, sizeof(*u->flights));
    if (!u->flights)
        return error_memory(err);
    for (; u->n_usable < u->n_flights; u->n_usable++) {
        struct flight *f = &u->flights[u->n_usable];
        int rc = work_init(&f->work);

        if (rc)
            return error_errno(err, -rc, "cannot send parts");
        f->u = u;
    }
    return PERSIST_OK;
}

int parts_end(struct upload *u, struct persist_error *err)
{
    int rc = cut_full_parts(u, false, err);

    if (!rc)
        rc = cut(u, u->now->end - u->now->start, true, err);
    return rc ? rc : land(u, 0, err);
}

int parts_abandon(struct upload *u, int rc, struct persist_error *err)
{
    struct persist_error why = {0};
    bool found = false;

    cancel_set(&u->op.cancel);
    while (u->n_started > u->n_landed) {
        int one = land_oldest(u, &why);

        /* What was cancelled was so because of this one. */
        if (rc != PERSIST_E_CANCELLED || found || !one || one == rc)
            continue;
        found = true;
        rc = one;
        if (err)
            *err = why;
    }
    return rc;
}

void parts_finish(struct upload *u)
{
    for (unsigned i = 0; i < u->n_usable; i++)
        work_finish(&u->flights[i].work);
    free(u->flights);
    for (unsigned i = 0; u->sending && i < UPLOAD_PARALLEL_MAX; i++)
        free(u->buffers[i].data);
}
