/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resumable protocol, without I/O: what to send next, and what an answer
 * means.
 *
 * A session holds one stream from byte 0.  The service says how much of it it
 * holds, and nothing but its word counts: what was sent does not.
 *
 *     resumable_begin(r, &errand)  ──▶ ask | send | held | object | ...
 *          ask:   PUT, no body, "Content-Range: bytes * / *"
 *          send:  PUT, bytes [held, end), "bytes a-b / *" or "bytes a-b/TOTAL"
 *     resumable_answer(r, &errand, status, range)  ──▶ the same, until the
 *                                                      errand is done
 *     resumable_no_answer(r)  the request's fate is not known
 *
 *                        308, Range: bytes=0-E
 *       ┌──────────────────────────────────────────────┐
 *       ▼                                              │
 *   [unknown] ──ask──▶ [held = E + 1] ──send──▶ (reply)┘
 *       ▲                    │                   │ 200, 201 at the end ▶ object
 *       │                    ▼                   │ 308, no Range ▶ ask
 *       └── no answer,   held >= end: done       │ 404, 410, 499 ▶ gone
 *           5xx, 408, 429 (ask before sending)   └ more than was sent ▶ broken
 *
 * Rules and their reasons (cloud.google.com/storage/docs/
 * performing-resumable-uploads, and what is known of the service):
 *
 *   - After any answer but 308 with Range, nothing is known: ask before
 * sending. A 308 without Range after data does not mean that the data is there.
 *   - An answer that acknowledges less than was sent is normal: go on from
 *     there, byte for byte.  One that acknowledges nothing new is a stall,
 * which only waiting can help: the host's business.
 *   - The question is "bytes * / *", never with the total: where all bytes are
 *     there, naming the total makes the object.
 *   - 200 before the end was sent, or an acknowledgement of what was never
 * sent, means that the stream is not ours any more.
 */
#ifndef PERSIST_GCS_RESUMABLE_H
#define PERSIST_GCS_RESUMABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: nothing is known.  A new session: known, and 0 bytes held. */
struct resumable {
    uint64_t held;      /* bytes the service holds, where known */
    bool known;         /* held is the service's last word */
    bool asked;         /* the request under way is the question */
    bool after_data;    /* it is asked because data got no clear answer */
    uint64_t held_then; /* held before that data */
};

/* Bytes [start, end) are at hand.  final: end is the object's size, and the
 * object is to appear; else the session is to hold everything up to end. */
struct resumable_errand {
    uint64_t start;
    uint64_t end;
    bool final;
};

enum resumable_step {
    RESUMABLE_ASK,
    RESUMABLE_SEND,    /* from r->held to errand.end (nothing where equal) */
    RESUMABLE_HELD,    /* done: everything up to end is held */
    RESUMABLE_OBJECT,  /* the session has become an object */
    RESUMABLE_STALLED, /* nothing new was acknowledged */
    RESUMABLE_LOST, /* less is held than start: what was acknowledged is gone */
    RESUMABLE_GONE, /* the session is no more */
    RESUMABLE_EXCESS,  /* more is acknowledged than there is */
    RESUMABLE_GARBLED, /* a Range that is none */
    RESUMABLE_REFUSED, /* another status: the caller's table tells */
};

enum resumable_step resumable_begin(struct resumable *r,
                                    const struct resumable_errand *e);
/* status: of the reply; range: its Range header, or NULL. */
enum resumable_step resumable_answer(struct resumable *r,
                                     const struct resumable_errand *e,
                                     int32_t status, const char *range);
void resumable_no_answer(struct resumable *r);

#define RESUMABLE_RANGE_MAX 80
/* The Content-Range of the request that the last step asked for. */
void resumable_content_range(const struct resumable *r,
                             const struct resumable_errand *e,
                             char out[RESUMABLE_RANGE_MAX]);

/* Where the part of an object that is kept back until the commit starts: the
 * last 1 to 256 KiB of it; 0 of an empty one. */
uint64_t resumable_tail_start(uint64_t size);

#endif
