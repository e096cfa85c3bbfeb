/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large everything is: parts, their buffers, lanes; and the memory for it.
 *
 * A plan is made for a limit.  The first is made for the whole memory_limit; an
 * operation that finds others at work plans again for half, a quarter, an
 * eighth of it, and only waits (holding nothing) where even that does not fit.
 *
 *     buffers of parts   up to a half of the limit
 *     lanes              up to a half, and up to 7/8 together with the buffers
 *     the rest           other operations, and what plugins allocate
 */
#include <inttypes.h>

#include "transfer/upload_impl.h"
#include "util/error.h"
#include "util/text.h"

#define MIB (UINT64_C(1) << 20)
#define PART_MIN (8 * MIB) /* architecture.md, decision 3 */
#define PART_MAX (64 * MIB)
#define PART_ROUND MIB    /* so that rounding up for a store adds nothing */
#define PARALLEL 4        /* parts under way, where the store does not say */
#define HALVINGS 3        /* of the limit, before waiting */
#define TIER_SHARE 10     /* a tier is a tenth of the parts there may be */
#define LIMITED_SECONDS 2 /* what a part takes under an upload limit, */
#define LIMITED_MIN (MIB / 4) /* and the least it may be */

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

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return to > 1 && value % to ? value + (to - value % to) : value;
}

/* ------------------------------------------------------------------- parts
 */

/* As the store wants them. */
static uint64_t fit_part(const struct persist_backend_limits *l, uint64_t size)
{
    if (size < l->part_min)
        size = l->part_min;
    size = round_up(size, l->part_align);
    if (size > l->part_max)
        size = l->part_max - l->part_max % l->part_align;
    return size;
}

/* A part is paid for as a whole before it is sent: under a low limit large ones
 * would make a line that stands still and bursts. */
static uint64_t under_limit(const struct upload *u, uint64_t size)
{
    const struct rate *rate = backend_store_env(u->what.store)->upload;
    uint64_t most;

    if (!rate || !rate->bytes_per_s ||
        rate->bytes_per_s > UINT64_MAX / LIMITED_SECONDS)
        return size;
    most = rate->bytes_per_s * LIMITED_SECONDS;
    if (most < LIMITED_MIN)
        most = LIMITED_MIN;
    return size < most ? size : most;
}

/* Where a store takes one part at a time a second one fills meanwhile, and both
 * are to fit, each with the frame that may go over its end: with one buffer the
 * line would stand still between parts. */
static uint64_t half_for_two(const struct upload *u, uint64_t limit)
{
    uint64_t beside =
        2 * frame_bound(u->what.codec, u->what.frame_size) + u->what.header_max;
    uint64_t size = limit / 2 > beside ? (limit / 2 - beside) / 2 : 0;

    return size > PART_MIN ? size - size % PART_ROUND : size;
}

/* Parts as decision 3 says, then as the store wants them (its limits are
 * complete: a maximum it does not name is the type's).  Where their number is
 * limited they are made large enough for the object; where they must also be
 * equal, for one of unknown size as large as memory lets them be. */
static uint64_t choose_part_size(const struct upload *u, uint64_t limit,
                                 uint64_t object_size)
{
    const struct persist_backend_limits *l = u->limits;
    bool equal = l->flags & PERSIST_BACKEND_EQUAL_PARTS;
    uint64_t share = u->n_flights > 1 ? limit / (2 * (uint64_t)u->n_flights)
                                      : half_for_two(u, limit);
    uint64_t size = clamp(share, PART_MIN, PART_MAX);

    if (limits_are_a_disks(l)) /* larger ones let it wait for them to fill */
        size = PART_MIN;
    if (l->parts_max < UINT32_MAX && !object_size && equal)
        size = clamp(limit / 4, PART_MIN, PART_MAX);
    size = under_limit(u, size);
    if (object_size / l->parts_max >= size)
        size = round_up(object_size / l->parts_max + 1, MIB);
    return fit_part(l, size);
}

/* The sizes of a stream whose end nobody knows: they double with every tenth of
 * the parts there may be, as far as one part fits in a quarter of the limit. */
static void plan_tiers(struct upload *u, uint64_t limit)
{
    const struct persist_backend_limits *l = u->limits;
    uint32_t share = l->parts_max / TIER_SHARE;
    struct part_tier *t = u->tiers;

    u->n_tiers = 1;
    if (u->source.has_size || l->parts_max == UINT32_MAX || share == 0 ||
        (l->flags & PERSIST_BACKEND_EQUAL_PARTS))
        return;
    while (u->n_tiers < TIER_SHARE) {
        uint64_t next = fit_part(l, t->size * 2);

        if (next < t->size * 2 || next > limit / 4)
            return;
        t[1] = (struct part_tier){t->first + share, next};
        t++;
        u->n_tiers++;
    }
}

uint64_t upload_ceiling(const struct upload *u)
{
    uint64_t most = u->limits->object_max, sum = 0;

    for (unsigned i = 0; i < u->n_tiers; i++) {
        const struct part_tier *t = &u->tiers[i];
        uint64_t n = (i + 1 < u->n_tiers ? t[1].first
                                         : (uint64_t)u->limits->parts_max + 1) -
                     t->first;

        if (n > (most - sum) / t->size)
            return most;
        sum += n * t->size;
    }
    return sum;
}

uint64_t upload_part_size(const struct upload *u)
{
    return u->tiers[0].size;
}

unsigned upload_tier_of(const struct upload *u, uint32_t number)
{
    unsigned i = u->n_tiers - 1;

    while (i > 0 && u->tiers[i].first > number)
        i--;
    return i;
}

/* ----------------------------------------------------------------- buffers
 */

static uint64_t buffers_memory(const struct upload *u)
{
    return u->first_need + (u->n_buffers - 1) * (u->tiers[0].size + u->slack);
}

/* A payload that surely goes in one put needs room for itself; any other for a
 * part (or the whole put it may still become) and the frame that goes over its
 * end; and more of them, so that some are on their way while one fills. */
static void plan_buffers(struct upload *u, uint64_t limit, uint64_t bound)
{
    uint64_t first = u->tiers[0].size;

    if (first < u->whole_max)
        first = u->whole_max;
    first +=
        frame_bound(u->what.codec, u->what.frame_size) + u->what.header_max;
    u->first_need = (size_t)(bound < first ? bound : first);
    u->n_buffers = 1;
    if (bound <= first || !u->what.io)
        return;
    u->n_buffers = u->n_flights > 1 ? u->n_flights : 2;
    while (u->n_buffers > 1 && buffers_memory(u) > limit / 2)
        u->n_buffers--;
}

/* ------------------------------------------------------------------- lanes
 */

struct lanes_what upload_lanes_wanted(const struct upload *u)
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
 * frames, and as fit; with fewer than two, none. */
static void plan_lanes(struct upload *u, uint64_t limit)
{
    const struct lanes_what what = upload_lanes_wanted(u);
    uint64_t frames = u->source.has_size
                          ? frames_of(u->source.size, u->what.frame_size)
                      : u->what.size_estimate
                          ? frames_of(u->what.size_estimate, u->what.frame_size)
                          : UINT64_MAX;
    uint64_t most = limit - limit / 8;
    uint64_t left = most > buffers_memory(u) ? most - buffers_memory(u) : 0;
    uint64_t fit = (left < limit / 2 ? left : limit / 2) / lanes_memory(&what);
    uint64_t n = u->what.cpu ? executor_limit(u->what.cpu) : 0;

    n = n < frames ? n : frames;
    n = n < fit ? n : fit;
    u->n_lanes = n >= 2 ? (unsigned)n : 0;
}

/* ---------------------------------------------------------------- the plan
 */

static void plan(struct upload *u, uint64_t limit)
{
    const struct persist_backend_limits *l = u->limits;
    bool known = u->source.has_size;
    uint64_t bound = known ? object_bound(u, u->source.size) : UINT64_MAX;
    uint64_t frame = u->what.frame_size;

    u->whole_max = UPLOAD_WHOLE_MAX;
    if (l->put_max < u->whole_max)
        u->whole_max = l->put_max;
    u->n_flights = l->parallel_max == UINT32_MAX ? PARALLEL
                   : l->parallel_max < UPLOAD_PARALLEL_MAX
                       ? l->parallel_max
                       : UPLOAD_PARALLEL_MAX;
    if (u->n_flights == 0)
        u->n_flights = 1;
    if (limits_are_a_disks(l) && u->n_flights > PARALLEL)
        u->n_flights = PARALLEL;
    u->tiers[0] = (struct part_tier){
        1, choose_part_size(u, limit, known ? bound : u->what.size_estimate)};
    if (u->what.part_size)
        u->tiers[0].size = fit_part(l, u->what.part_size);
    plan_tiers(u, limit);
    u->slack = 0;
    plan_buffers(u, limit, bound);
    plan_lanes(u, limit);
    if (!u->n_lanes) {
        /* Frames from lanes are cut at the end of a part; one that is encoded
         * in place needs room behind it. */
        u->slack = frame_bound(u->what.codec, u->what.frame_size);
        plan_buffers(u, limit, bound);
    }
    u->buffers_memory = buffers_memory(u);
    if (known && u->source.size < frame)
        frame = u->source.size ? u->source.size : 1; /* 1: to look for more */
    u->frame_need = u->source.in_memory || u->n_lanes ? 0 : (size_t)frame;
}

static uint64_t memory_of_plan(const struct upload *u)
{
    const struct lanes_what what = upload_lanes_wanted(u);
    uint64_t coding = u->n_lanes
                          ? u->n_lanes * (uint64_t)lanes_memory(&what)
                          : frame_encoder_memory(u->what.codec, u->what.level,
                                                 u->what.frame_size);

    return u->frame_need + u->buffers_memory + coding;
}

static int too_little(const struct upload *u, uint64_t need,
                      struct persist_error *err)
{
    char need_text[16], limit_text[16];

    text_from_size(need, need_text);
    text_from_size(budget_limit(u->budget), limit_text);
    if (need <= budget_limit(u->budget)) {
        error_set(err, PERSIST_E_MEMORY,
                  "this save waited %d s for %s of memory, and a reader or a "
                  "call that waits for it holds what there is of %s",
                  OP_PATIENCE_S, need_text, limit_text);
        error_hint(err,
                   "raise memory_limit, or save by an instance of its own");
        return PERSIST_E_MEMORY;
    }
    error_set(err, PERSIST_E_MEMORY,
              "this save needs %s of memory, and memory_limit is %s", need_text,
              limit_text);
    error_hint(err, "raise memory_limit to %" PRIu64 "M or more",
               round_up(need, MIB) / MIB);
    return PERSIST_E_MEMORY;
}

/* What the store's parts cannot hold is refused before anything is read. */
static int check_ceiling(const struct upload *u, struct persist_error *err)
{
    char size_text[16], ceiling_text[16];
    uint64_t size;

    if (!upload_expected(u, &size) || size <= u->whole_max ||
        size <= upload_ceiling(u))
        return PERSIST_OK;
    text_from_size(size, size_text);
    text_from_size(upload_ceiling(u), ceiling_text);
    return error_set(err, PERSIST_E_INVALID,
                     "the snapshot may take up to %s, and store %s takes at "
                     "most %s",
                     size_text, backend_store_name(u->what.store),
                     ceiling_text);
}

int upload_reserve(struct upload *u, struct persist_error *err)
{
    uint64_t limit = budget_limit(u->budget);
    uint64_t need;
    int rc = PERSIST_E_MEMORY;

    for (unsigned i = 0; rc != PERSIST_OK && i <= HALVINGS; i++) {
        plan(u, limit >> i);
        need = memory_of_plan(u);
        rc = budget_reserve_now(u->budget, need);
    }
    if (rc != PERSIST_OK)
        rc = op_reserve(u->what.op, u->budget, need, u->clock);
    if (rc == PERSIST_E_MEMORY)
        return too_little(u, need, err);
    if (rc != PERSIST_OK)
        return error_set(err, rc, "stopped while waiting for memory");
    u->reserved = need;
    return check_ceiling(u, err);
}
