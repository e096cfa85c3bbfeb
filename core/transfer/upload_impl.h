/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an upload holds; for the upload_*.c files alone.
 *
 *     upload.c          life, whole objects
 *     upload_plan.c     sizes: of parts, buffers and lanes, within the budget
 *     upload_frames.c   source to frames, at the end of the current buffer
 *     upload_parts.c    buffers to parts under way
 */
#ifndef PERSIST_TRANSFER_UPLOAD_IMPL_H
#define PERSIST_TRANSFER_UPLOAD_IMPL_H

#include "format/snapshot.h"
#include "runtime/work.h"
#include "transfer/lanes.h"
#include "transfer/limits.h"
#include "transfer/upload.h"
#include "transfer/upload_pool.h"

#define UPLOAD_PARALLEL_MAX 64 /* parts under way, whatever a store takes */
#define UPLOAD_TIERS_MAX 16

/* Stored bytes on their way out of memory.  Those in [start, end) are in no
 * part yet; parts under way are somewhere before start. */
struct part_buffer {
    uint8_t *data;
    size_t cap;
    size_t start;
    size_t end;
    size_t summed;     /* bytes from start on that crc is of */
    uint32_t crc;      /* CRC-32C, taken while they were appended */
    unsigned n_flying; /* parts under way out of it */
};

/* Bytes for a buffer. */
struct part_piece {
    const void *data;
    size_t len;
    bool summed;
    uint32_t crc; /* CRC-32C, where it is summed */
};

/* One part under way. */
struct flight {
    struct work work;
    struct upload *u;
    struct part_buffer *from;
    struct backend_part part; /* crc32c: of its first bytes until it flies, */
    size_t summed;            /* this many */
    int rc;                   /* after work_wait */
    struct persist_error err;
};

/* Parts from number `first` on have this size. */
struct part_tier {
    uint32_t first;
    uint64_t size;
};

struct upload {
    struct upload_what what;
    struct upload_source source;
    struct budget *budget;
    const struct clock *clock;
    const struct persist_backend_limits *limits;
    /* Child of the caller's: cancelled too once a part has failed. */
    struct persist_op op;

    /* The plan. */
    uint64_t reserved;
    uint64_t whole_max; /* bytes of an object that is put whole */
    size_t frame_need;  /* bytes of kit->frame in use */
    size_t first_need;  /* bytes of the first buffer */
    size_t slack;       /* bytes a buffer has beside those of one part */
    uint64_t buffers_memory;
    unsigned n_lanes;
    unsigned n_buffers;
    unsigned n_flights;
    struct part_tier tiers[UPLOAD_TIERS_MAX];
    unsigned n_tiers;

    /* The payload. */
    struct kit *kit;     /* NULL once all of a whole object is encoded */
    struct lanes *lanes; /* NULL: one frame after the other */
    uint64_t taken;      /* bytes of the source so far */
    bool ended;
    bool was_raw; /* the newest frame that was appended; so will the next be */
    size_t ahead; /* bytes of the frames in lanes, if all were raw */
    uint8_t sha256[32];

    /* The object. */
    struct snapshot_tail tail;
    struct buf header;
    struct buf tail_bytes;
    struct part_buffer buffers[UPLOAD_PARALLEL_MAX];
    struct part_buffer *now;  /* the one that is filled */
    struct part_buffer *next; /* the one that will be then; NULL: open yet */

    /* The parts, while they are sent. */
    bool sending;
    struct backend_upload *to; /* NULL: a dry run */
    upload_between_fn between;
    void *between_ctx;
    struct flight *flights; /* n_flights of them, from parts_begin on */
    unsigned n_usable;      /* flights with a work that is initialised */
    uint32_t n_started;
    uint32_t n_landed;   /* in order: all before it have arrived */
    uint64_t sent;       /* bytes handed over */
    uint64_t landed;     /* bytes of the n_landed parts, */
    uint32_t landed_crc; /* and their CRC-32C */
    unsigned tier;       /* the one the buffers are made for */
};

/* upload_plan.c.  Makes the plan and reserves what it takes; see upload.h,
 * "Memory". */
int upload_reserve(struct upload *u, struct persist_error *err);
struct lanes_what upload_lanes_wanted(const struct upload *u);
/* The tier of part `number`; an index of tiers. */
unsigned upload_tier_of(const struct upload *u, uint32_t number);

/* upload_frames.c.  PERSIST_OK, or the reason to stop. */
int upload_stopped(const struct upload *u, struct persist_error *err);
/* The next frame of the payload, encoded, behind the bytes of the current
 * buffer; *out_any false: the payload has ended. */
int upload_add_frame(struct upload *u, bool *out_any,
                     struct persist_error *err);
/* Gives every idle lane something to do.  The answer comes with the next frame.
 */
int upload_read_ahead(struct upload *u, struct persist_error *err);
/* After the last frame. */
int upload_finish_hash(struct upload *u, struct persist_error *err);

/* upload_parts.c.  The same bytes go on as parts from now on. */
int parts_begin(struct upload *u, struct backend_upload *to,
                upload_between_fn between, void *ctx,
                struct persist_error *err);
/* Room for `need` more bytes behind those of the current buffer, where parts
 * that are full go on their way; something comes behind them. */
int parts_make_room(struct upload *u, size_t need, struct persist_error *err);
/* *crc goes on over the bytes; see part_put. */
int parts_append(struct upload *u, struct part_piece piece, uint32_t *crc,
                 struct persist_error *err);
/* *out is where `len` bytes will lie once `before` others are appended; NULL:
 * not in one piece, or nobody knows yet. */
int parts_place(struct upload *u, size_t before, size_t len, uint8_t **out,
                struct persist_error *err);
/* Copies into room that is there (what lies in its place already stays).  *crc,
 * the CRC-32C of what the bytes belong to, and that of the part go on with the
 * piece's, or else with what is read while the bytes are in the cache. */
void part_put(struct part_buffer *b, struct part_piece piece, uint32_t *crc);
/* The rest, as the last part; every part has arrived after that. */
int parts_end(struct upload *u, struct persist_error *err);
/* Waits for all that is under way.  Where a part failed, rc and err become its
 * failure: what came after it was its consequence. */
int parts_abandon(struct upload *u, int rc, struct persist_error *err);
void parts_finish(struct upload *u);

#endif
