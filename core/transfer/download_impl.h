/* SPDX-License-Identifier: Apache-2.0 */
/* What a download holds; for download.c and frames.c alone. */
#ifndef PERSIST_TRANSFER_DOWNLOAD_IMPL_H
#define PERSIST_TRANSFER_DOWNLOAD_IMPL_H

#include "format/codec.h"
#include "format/snapshot.h"
#include "transfer/lanes.h"
#include "transfer/object.h"
#include "transfer/sha256.h"

/* What one read moves, within a quarter of the budget. */
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

    /* Stored bytes, from window_offset on. */
    uint8_t *window;
    size_t window_cap;
    size_t window_len;
    uint64_t window_offset;

    /* What of the payload is wanted. */
    uint64_t range_start;
    uint64_t range_end;
    bool whole;

    /* Progress; `started` makes the buffers exist. */
    bool started;
    bool ended;
    int failed; /* the status to repeat, with its details */
    struct persist_error why;
    uint64_t frame;       /* the next one */
    uint64_t stored_pos;  /* where it begins in the object */
    uint64_t payload_pos; /* and in the payload */
    uint32_t crc;         /* of all stored bytes before stored_pos */
    struct sha256 *sha;   /* whole: of the payload before payload_pos */
    struct frame_decoder *decoder;
    uint8_t *payload; /* one frame */
    size_t payload_cap;

    /* Several frames at once; then `frame`, `stored_pos`, `payload_pos` and
     * `crc` are those of the next frame to be started, and out_pos is where the
     * next one to be taken begins in the payload. */
    struct lanes *lanes; /* NULL: one after the other, into `payload` */
    unsigned n_lanes;
    struct executor *cpu;
    struct lane *lent; /* the caller has its bytes until the next call */
    uint64_t out_pos;
    bool fed; /* out_pos is set */
};

/* Sees to it that the n stored bytes from offset are in the window, reading as
 * many more behind them as it holds. */
int window_hold(struct download *d, uint64_t offset, size_t n,
                struct persist_error *err);

#endif
