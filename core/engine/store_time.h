/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is by the store's clock, for the two decisions that depend on
 * the age of an object: may cleanup remove it, and is a claim above a fence
 * dead.
 *
 * This machine's clock says when it is worth asking, and no more: one that is
 * days ahead must not remove what a running save stands on.  The newest
 * modified time in a listing is a time the store's clock has certainly
 * reached.  Where that does not settle it, an object is written
 * (.persist-probe, the one key that is the host's own) and its modified time
 * read: two requests, only where something looks old.  A store that does not
 * let us leaves the newest time seen, and with it everything doubtful in place.
 */
#ifndef PERSIST_ENGINE_STORE_TIME_H
#define PERSIST_ENGINE_STORE_TIME_H

#include "engine/target.h"

struct store_time {
    struct persist_store *store;
    struct persist_op *op;
    bool read_only;    /* write nothing: trust this machine's clock */
    bool measured;     /* tried */
    int64_t newest_us; /* a time the store's clock has reached; 0: none known */
};

/* Notes the times of a listed index. */
void store_time_see(struct store_time *t, const struct index_state *s);

/* A time that the store's clock has reached; at least needed_us where it has
 * reached that and it can be found out. */
int64_t store_time_now(struct store_time *t, int64_t needed_us);

#endif
