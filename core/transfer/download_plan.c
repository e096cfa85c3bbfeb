/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a download reads at once and how many frames it decodes at once,
 * within its part of a limit: memory_limit, or less for one that shares it:
 *
 *     reads    up to a quarter: the buffers of readahead.h; over a network
 *              up to three eighths where that is much
 *     lanes    up to a half
 *     opening  the window, up to a quarter; it becomes the first read
 */
#include "transfer/download_impl.h"

#define WINDOW_MAX (UINT32_C(8) << 20)
/* Reads under way at once.  A disk is busy with few, those that wait to be
 * decoded among them; over a network each moves what one connection does, and
 * waits for its round trip: there lanes have buffers beside them. */
#define READS_NEAR 5
#define READS_FAR 16
/* What a read over a network moves at least, for its round trip. Where a
 * quarter of the memory limit holds few of the window's size, more of half of
 * it are faster: a connection moves only so much. */
#define UNIT_FAR (UINT64_C(4) << 20)

/* What is planned for. */
static uint64_t limit_of(const struct download *d)
{
    return d->limit ? d->limit
                    : budget_limit(backend_store_env(d->object.store)->budget);
}

size_t window_limit(const struct object *o)
{
    uint64_t most = budget_limit(backend_store_env(o->store)->budget) /
                    (o->shares ? 16 : 4);

    if (most > WINDOW_MAX)
        return WINDOW_MAX;
    return most < SNAPSHOT_SUFFIX ? SNAPSHOT_SUFFIX : (size_t)most;
}

static uint32_t longest_frame(const struct download *d)
{
    uint32_t longest = 0;

    if (d->map.codec == CODEC_GZIP)
        return (uint32_t)frame_bound(CODEC_GZIP, d->frame_size);
    for (uint64_t i = 0; i < d->map.n_frames; i++)
        if (d->map.frames[i].stored_len > longest)
            longest = d->map.frames[i].stored_len;
    return longest;
}

/* The last end of a frame behind from that is not behind most; from: none. */
static uint64_t cut_at_frame(void *ctx, uint64_t from, uint64_t most)
{
    const struct download *d = ctx;
    uint64_t low = 0, high = d->map.n_frames;

    /* Frames below low end at most at `most`, those from high on behind it. */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct snapshot_frame *f = &d->map.frames[middle];

        if (f->stored_offset + f->stored_len <= most)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return from;
    const struct snapshot_frame *last = &d->map.frames[low - 1];
    uint64_t end = last->stored_offset + last->stored_len;
    return end > from ? end : from;
}

static uint64_t bytes_of_a_read(const struct download *d, bool far)
{
    uint64_t quarter = limit_of(d) / 4;
    uint64_t window = window_limit(&d->object);
    uint64_t share = quarter / READS_FAR;

    if (d->limit && window > quarter / 2) /* lanes need two */
        window = quarter / 2;
    if (!far || share >= window)
        return window;
    share = share > UNIT_FAR ? share : UNIT_FAR;
    return share < window ? share : window;
}

/* As many whole frames as a read should move, but at least one, so that buffers
 * are full where frames are incompressible and all of one length. */
static size_t whole_frames(uint64_t unit, uint64_t stored, uint32_t longest)
{
    if (longest > 0 && longest < unit)
        unit -= unit % longest;
    unit = unit < stored ? unit : stored;
    return unit < longest ? longest : (size_t)unit;
}

/* Lanes that keep every processor and the writer busy. */
static unsigned busy_lanes(const struct download *d)
{
    return d->cpu ? executor_limit(d->cpu) + 1 : 0;
}

static unsigned most_reads(const struct download *d, bool far)
{
    unsigned most = READS_FAR + busy_lanes(d);

    if (!far)
        return READS_NEAR;
    return most < READAHEAD_MAX ? most : READAHEAD_MAX;
}

/* Frames in lanes lie where they were read to. */
static unsigned few_reads(const struct download *d)
{
    return READS_NEAR + busy_lanes(d);
}

static uint64_t share_of_reads(const struct download *d, bool far)
{
    uint64_t limit = limit_of(d);

    /* What is left then is still more than the lanes' half and a window. */
    return far && limit / 16 >= WINDOW_MAX ? limit / 8 * 3 : limit / 4;
}

/* As many reads at once as fit in their share of the memory limit, and one
 * where there are no threads to read ahead. */
struct readahead_what plan_reads(struct download *d)
{
    struct readahead_what what = {.object = &d->object,
                                  .io = d->io,
                                  .start = d->stored_pos,
                                  .end = d->reads_end,
                                  .longest = longest_frame(d),
                                  .n = 1};
    uint64_t stored = d->reads_end - d->stored_pos;
    bool far = !limits_are_a_disks(backend_store_limits(d->object.store));
    uint64_t share = share_of_reads(d, far);
    unsigned most = most_reads(d, far);

    what.unit =
        whole_frames(bytes_of_a_read(d, far), stored, (uint32_t)what.longest);
    if (d->map.codec == CODEC_ZSTD) {
        what.cut = cut_at_frame;
        what.ctx = d;
    }
    uint64_t reads = stored / what.unit + (stored % what.unit != 0);
    uint64_t each = readahead_memory(&what);
    while (d->io && what.n < most && what.n < reads &&
           (what.n + 1) * each <= share)
        what.n++;
    what.few = far ? few_reads(d) : 0;
    return what;
}

struct lanes_what plan_of_lanes(const struct download *d)
{
    return (struct lanes_what){
        .decode = true,
        .codec = d->map.codec,
        .frame_size = d->frame_size,
        .out_cap = d->frame_size,
        .n = d->n_lanes,
        .cpu = d->cpu,
        .sha256 = d->sha,
        .copies = d->copies,
    };
}

static uint64_t lanes_held(const struct download *d)
{
    if (d->n_lanes == 0)
        return 0;
    const struct lanes_what what = plan_of_lanes(d);
    return d->n_lanes * (uint64_t)lanes_memory(&what);
}

/* As many lanes as keep every processor and the writer busy, as there are
 * frames to read, and as fit in half of the memory limit; with fewer than two,
 * none.  They use frames where they were read to, so with one buffer that is
 * read into again and again there are none either. */
void plan_lanes(struct download *d, bool one_buffer)
{
    const struct lanes_what what = plan_of_lanes(d);
    uint64_t half = limit_of(d) / 2;
    uint64_t frames = (d->range_end - d->range_start) / d->frame_size + 1;
    uint64_t n = one_buffer ? 0 : busy_lanes(d);

    n = n < frames ? n : frames;
    n = n < half / lanes_memory(&what) ? n : half / lanes_memory(&what);
    d->n_lanes = n >= 2 ? (unsigned)n : 0;
    if (d->n_lanes > 0)
        d->payload_cap = 0;
}

uint64_t plan_held(const struct download *d)
{
    uint64_t map = d->map.frames ? d->map.n_frames * sizeof(*d->map.frames) : 0;

    return d->tail_len + map + d->payload_cap + lanes_held(d);
}

uint64_t plan_memory(const struct download *d,
                     const struct readahead_what *reads)
{
    uint64_t bytes = plan_held(d) + d->window_cap;

    if (!d->small)
        bytes += readahead_memory(reads);
    if (d->n_lanes == 0)
        bytes += frame_decoder_memory(d->map.codec, d->frame_size);
    return bytes;
}
