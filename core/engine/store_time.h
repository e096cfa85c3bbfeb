/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is by the store's clock, for the two decisions that depend on
 * the age of an object: may cleanup remove it, and is a claim above a fence
 * dead.
 *
 * This machine's clock, or the newest modified time in a listing, says when it
 * is worth asking, and no more: a clock that is days ahead must not remove what
 * a running save stands on, and neither must an object from a time when the
 * store's clock was.  What counts is an object that is written (.persist-probe,
 * the one key that is the host's own) and its modified time: two requests, only
 * where something looks old.  A store that does not let us leaves what those
 * two agree about, and everything doubtful in place.
 */
#ifndef PERSIST_ENGINE_STORE_TIME_H
#define PERSIST_ENGINE_STORE_TIME_H

#include "engine/target.h"

struct store_time {
    struct persist_store *store;
    struct persist_op *op;
    bool read_only;    /* write nothing: this machine's clock has to do */
    bool measured;     /* tried */
    bool is_known;     /* and found out: */
    int64_t known_us;  /* a time the store's clock has reached */
    int64_t newest_us; /* of what was listed; 0: nothing was */
};

/* Notes the times of a listed index. */
void store_time_see(struct store_time *t, const struct index_state *s);

/* A time that the store's clock has reached; at least needed_us where it has
 * reached that and it can be found out. */
int64_t store_time_now(struct store_time *t, int64_t needed_us);

#endif
