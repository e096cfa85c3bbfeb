/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object as it is read: pinned to the version the first read saw, and
 * counted against the budget.  Internal to the download side of transfer/.
 */
#ifndef PERSIST_TRANSFER_OBJECT_H
#define PERSIST_TRANSFER_OBJECT_H

#include "transfer/download.h"

struct object {
    struct backend_store *store;
    struct persist_op *op;
    char *key;
    uint64_t total;    /* bytes; known after the first read */
    bool seen;         /* total and etag are set */
    bool shares;       /* memory_limit, with others (download_prepare) */
    bool again;        /* what was read of it before had damage (again.h) */
    uint64_t reserved; /* of the budget */
    char etag[PERSIST_BACKEND_ETAG_MAX];
};

int object_init(struct object *o, const struct download_request *request,
                struct persist_error *err);
void object_finish(struct object *o); /* gives back what is reserved */

/* Whether that many bytes could be reserved, what is held among them. */
bool object_has_room(const struct object *o, uint64_t bytes);
/* The reservation becomes at least `bytes`; see download.h, "Memory". */
int object_reserve(struct object *o, uint64_t bytes, struct persist_error *err);

/* The last len bytes, or all where there are fewer; and a range, which must be
 * there in full: PRECONDITION where the object is another now. */
int object_read_tail(struct object *o, void *out, size_t len, size_t *out_len,
                     struct persist_error *err);
int object_read(struct object *o, uint64_t offset, void *out, size_t len,
                struct persist_error *err);

/* What an object of these bytes is, which are all of it where it is as small as
 * a mark.  CORRUPT where its size is a mark's and it is none. */
int object_kind(const struct object *o, const void *data, size_t len,
                enum download_kind *out, struct persist_error *err);

#endif
