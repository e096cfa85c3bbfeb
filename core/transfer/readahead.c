/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of reads; readahead.h has the picture.
 *
 * Counters as in lanes.c: reads [oldest, started) have a buffer, `now` is the
 * one bytes are given out of.  counter % n is the slot.  Memory goes from slot
 * to slot.
 */
#include "transfer/readahead.h"

#include <stdlib.h>
#include <string.h>

#include "posix/direct.h"
#include "posix/os.h"
#include "runtime/work.h"

#define PATIENCE_NS (UINT64_C(60) * 1000 * 1000)

struct slot {
    struct work work;
    struct readahead *r;
    uint8_t *memory; /* NULL: not yet */
    uint8_t *data;   /* in it, behind the room in front */
    bool is_first;   /* taken over */
    uint64_t offset; /* of data, in the object */
    size_t len;
    int rc; /* after work_wait */
    struct persist_error err;
};

struct readahead {
    struct readahead_what what;
    struct object object; /* a view of what.object, reading under op */
    struct persist_op op; /* child of the download's */
    struct slot slots[READAHEAD_MAX];
    unsigned n_usable;            /* slots with a work that is initialised */
    uint8_t *idle[READAHEAD_MAX]; /* memory no slot has */
    unsigned n_idle;
    unsigned most;      /* buffers in use, for now */
    uint64_t waited_ns; /* for reads */
    uint64_t next;      /* where the next read begins */
    uint64_t started;
    uint64_t now;
    uint64_t oldest;
};

static struct slot *slot_of(struct readahead *r, uint64_t counter)
{
    return &r->slots[counter % r->what.n];
}

static uint64_t end_of(const struct slot *s)
{
    return s->offset + s->len;
}

/* Bytes of room for the beginning of a frame: none where reads end with one. */
static size_t room_in_front(const struct readahead_what *what)
{
    return what->cut ? 0 : what->longest;
}

uint64_t readahead_memory(const struct readahead_what *what)
{
    return what->n * ((uint64_t)what->unit + room_in_front(what));
}

/* -------------------------------------------------------------------- life
 */

static int open_op(struct readahead *r, struct persist_error *err)
{
    struct persist_op *above = r->object.op;
    int rc = op_init(&r->op, &above->cancel);

    if (rc)
        return error_errno(err, -rc, "cannot read ahead");
    r->op.deadline_ns = above->deadline_ns;
    r->op.trace = above->trace;
    r->object.op = &r->op;
    for (; r->n_usable < r->what.n; r->n_usable++) {
        rc = work_init(&r->slots[r->n_usable].work);
        if (rc)
            return error_errno(err, -rc, "cannot read ahead");
        r->slots[r->n_usable].r = r;
    }
    return PERSIST_OK;
}

/* The bytes that are there are read number 0. */
static void adopt_first(struct readahead *r)
{
    struct slot *s = slot_of(r, 0);

    r->next = r->what.start;
    if (!r->what.first)
        return;
    s->is_first = true;
    s->memory = s->data = r->what.first;
    s->offset = r->what.first_offset;
    s->len = r->what.first_len;
    r->started = 1;
    r->next = end_of(s);
}

int readahead_create(const struct readahead_what *what, struct readahead **out,
                     struct persist_error *err)
{
    struct readahead *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (!r) {
        free(what->first);
        return error_memory(err);
    }
    r->what = *what;
    r->most = what->few && what->few < what->n ? what->few : what->n;
    r->object = *what->object;
    int rc = open_op(r, err);
    adopt_first(r);
    if (rc != PERSIST_OK) {
        readahead_destroy(r);
        return rc;
    }
    *out = r;
    return PERSIST_OK;
}

void readahead_destroy(struct readahead *r)
{
    if (!r)
        return;
    cancel_set(&r->op.cancel);
    for (unsigned i = 0; i < r->n_usable; i++) {
        work_wait(&r->slots[i].work);
        work_finish(&r->slots[i].work);
    }
    for (unsigned i = 0; i < READAHEAD_MAX; i++)
        free(r->slots[i].memory);
    while (r->n_idle > 0)
        free(r->idle[--r->n_idle]);
    op_finish(&r->op);
    free(r);
}

/* ----------------------------------------------------------------- reading
 */

static void read_slot(struct work *w)
{
    struct slot *s = (struct slot *)((char *)w - offsetof(struct slot, work));

    s->rc = object_read(&s->r->object, s->offset, s->data, s->len, &s->err);
}

static size_t next_len(const struct readahead *r)
{
    uint64_t most = r->next + r->what.unit;

    if (most > r->what.end)
        most = r->what.end;
    uint64_t end = r->what.cut ? r->what.cut(r->what.ctx, r->next, most) : most;
    return (size_t)((end > r->next ? end : most) - r->next);
}

/* Nothing reads out of this slot any more. */
static void give_memory_back(struct readahead *r, struct slot *s)
{
    if (s->is_first) /* of another size */
        free(s->memory);
    else
        r->idle[r->n_idle++] = s->memory;
    s->memory = NULL;
    s->is_first = false;
}

static int start_next(struct readahead *r, struct persist_error *err)
{
    struct slot *s = slot_of(r, r->started);

    if (!s->memory)
        s->memory = r->n_idle > 0
                        ? r->idle[--r->n_idle]
                        : direct_alloc(room_in_front(&r->what) + r->what.unit);
    if (!s->memory)
        return error_memory(err);
    s->data = s->memory + room_in_front(&r->what);
    s->offset = r->next;
    s->len = next_len(r);
    s->rc = PERSIST_OK;
    r->next += s->len;
    r->started++;
    work_start(&s->work, r->what.io, read_slot);
    return PERSIST_OK;
}

/* As far ahead as there are free buffers. */
static int read_ahead(struct readahead *r, struct persist_error *err)
{
    int rc = PERSIST_OK;

    while (rc == PERSIST_OK && r->next < r->what.end &&
           r->started - r->oldest < r->most)
        rc = start_next(r, err);
    return rc;
}

/* Waits for a read; whoever has done so for long reads more at once. */
static int wait_patiently(struct readahead *r, struct work *w,
                          struct persist_error *err)
{
    uint64_t begin = os_monotonic_ns();
    bool over = work_wait_for(w, PATIENCE_NS - r->waited_ns);

    r->waited_ns += os_monotonic_ns() - begin;
    if (over && r->waited_ns < PATIENCE_NS)
        return PERSIST_OK;
    r->most = r->what.n;
    return read_ahead(r, err);
}

static int wait_for(struct readahead *r, struct slot *s,
                    struct persist_error *err)
{
    if (r->most < r->what.n) {
        int rc = wait_patiently(r, &s->work, err);

        if (rc != PERSIST_OK)
            return rc;
    }
    work_wait(&s->work);
    if (s->rc == PERSIST_OK)
        return PERSIST_OK;
    if (err)
        *err = s->err;
    return s->rc;
}

/* ------------------------------------------------------------- giving out
 */

/* The next buffer becomes the current one, with what is left of this one from
 * pos on in front.  With one buffer alone that happens within it: everything
 * before pos is done with, and the next read begins only now. */
static int move_on(struct readahead *r, uint64_t pos, struct persist_error *err)
{
    struct slot *from = slot_of(r, r->now), *to;
    size_t left = pos < end_of(from) ? (size_t)(end_of(from) - pos) : 0;
    const uint8_t *bytes = from->data + from->len - left;
    int rc;

    if (left > room_in_front(&r->what))
        return error_set(err, PERSIST_E_INTERNAL,
                         "a frame goes over the end of a read");
    if (r->what.n == 1) {
        if (left > 0)
            memmove(from->data - left, bytes, left);
        r->oldest = r->started;
    }
    rc = read_ahead(r, err);
    if (rc != PERSIST_OK)
        return rc;
    if (r->started == r->now + 1)
        return READAHEAD_NOT_NOW;
    to = slot_of(r, r->now + 1);
    rc = wait_for(r, to, err);
    if (rc != PERSIST_OK)
        return rc;
    if (to != from && left > 0)
        memcpy(to->data - left, bytes, left);
    r->now++;
    return PERSIST_OK;
}

static int first_read(struct readahead *r, struct persist_error *err)
{
    int rc = read_ahead(r, err);

    return rc == PERSIST_OK ? wait_for(r, slot_of(r, r->now), err) : rc;
}

int readahead_get(struct readahead *r, uint64_t pos, size_t n,
                  const uint8_t **out, struct persist_error *err)
{
    int rc = first_read(r, err);

    while (rc == PERSIST_OK && pos + n > end_of(slot_of(r, r->now))) {
        if (pos + n > r->what.end)
            return error_set(err, PERSIST_E_INTERNAL,
                             "bytes are wanted that were not read");
        rc = move_on(r, pos, err);
    }
    if (rc != PERSIST_OK)
        return rc;
    const struct slot *s = slot_of(r, r->now);
    *out = pos < s->offset ? s->data - (s->offset - pos)
                           : s->data + (pos - s->offset);
    return PERSIST_OK;
}

void readahead_release(struct readahead *r, uint64_t pos)
{
    while (r->oldest < r->now && end_of(slot_of(r, r->oldest)) <= pos)
        give_memory_back(r, slot_of(r, r->oldest++));
}
