/* SPDX-License-Identifier: Apache-2.0 */
/* What a download holds; for download*.c, frames.c and scan.c alone. */
#ifndef PERSIST_TRANSFER_DOWNLOAD_IMPL_H
#define PERSIST_TRANSFER_DOWNLOAD_IMPL_H

#include "format/codec.h"
#include "format/snapshot.h"
#include "transfer/lanes.h"
#include "transfer/limits.h"
#include "transfer/object.h"
#include "transfer/readahead.h"
#include "transfer/sha256.h"

/* download_plan.c.  What one read moves, within a quarter of the budget. */
size_t window_limit(const struct object *o);

struct download {
    struct object object;
    struct persist_metadata *metadata;
    struct snapshot_map map;
    bool has_map;
    size_t header_len; /* in the object */
    uint32_t frame_size;

    /* The object's last tail_len bytes.  `small`: they are all of it, and
     * everything is read out of here; else they go once they are parsed. */
    uint8_t *tail;
    size_t tail_len;
    bool small;

    /* Stored bytes, from window_offset on: what opening it needs. */
    uint8_t *window;
    size_t window_cap;
    size_t window_len;
    uint64_t window_offset;

    /* What of the payload is wanted. */
    uint64_t range_start;
    uint64_t range_end;
    bool whole;

    /* Progress; `prepared`: what is needed is planned (`planned`) and reserved;
     * `started` makes the buffers exist. */
    bool prepared;
    bool started;
    bool ended;
    int failed; /* the status to repeat, with its details */
    struct persist_error why;
    uint64_t frame;       /* the next one */
    uint64_t stored_pos;  /* where it begins in the object */
    uint64_t payload_pos; /* and in the payload */
    uint32_t crc;         /* of header and frames taken */
    struct sha256 *sha;   /* whole: of the payload before payload_pos */
    struct frame_decoder *decoder;
    uint8_t *payload; /* one frame */
    size_t payload_cap;

    /* What was not given yet of the frame taken last, and where in the payload
     * that begins. */
    struct frame_payload rest;
    uint64_t rest_pos;
    bool copies; /* no payload is given where its frame lies */

    /* Where the stored bytes come from once started; NULL: `small`. */
    struct readahead *reads;
    uint64_t reads_end;
    struct executor *io;

    /* Several frames at once; then `frame`, `stored_pos`, and `payload_pos`
     * are those of the next frame to be started, and out_pos is where the
     * next one to be taken begins in the payload. */
    struct lanes *lanes; /* NULL: one after the other, into `payload` */
    unsigned n_lanes;
    struct executor *cpu;
    uint64_t limit; /* of memory, where it shares: what is planned for */
    struct readahead_what planned;
    struct lane *lent; /* the caller has its bytes until the next frame's */
    uint64_t out_pos;
    bool fed; /* out_pos is set */
};

/* download_plan.c, once the range is known: what to read ahead, and how many
 * lanes (n_lanes); with one buffer that is read into again and again, none. */
struct readahead_what plan_reads(struct download *d);
void plan_lanes(struct download *d, bool one_buffer);
struct lanes_what plan_of_lanes(const struct download *d);
/* Bytes held beside the window and the reads, and of all. */
uint64_t plan_held(const struct download *d);
uint64_t plan_memory(const struct download *d,
                     const struct readahead_what *reads);

/* Sees to it that the n stored bytes from offset are in the window, reading as
 * many more behind them as it holds. */
int window_hold(struct download *d, uint64_t offset, size_t n,
                struct persist_error *err);

#endif
