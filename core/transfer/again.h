/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading once more what was read with damage, over a network.  For
 * download*.c, frames.c and scan.c alone.
 *
 *     a frame          again_frame, to where it lies: decode it once more
 *     tail, header     download_open begins again, with an object that is
 *                      `again`
 *     verify           the same: it goes through the object again
 *     a backend's own answer that its checksum does not fit     object_read
 *
 * Each read of a second pass is on a new connection and counted as a retry.
 * What is damaged again is CORRUPT.
 */
#ifndef PERSIST_TRANSFER_AGAIN_H
#define PERSIST_TRANSFER_AGAIN_H

#include "transfer/download_impl.h"

/* Whether rc is damage that a second read may not have. */
bool again_is_worth(const struct object *o, int rc);
/* Logs that it is read again; `what` is "frame", "object". */
void again_tell(const struct object *o, const char *what, uint64_t offset);

/* Reads the len bytes at `offset`, a whole frame, to `stored`, where they lie
 * already.  Any thread. */
int again_frame(struct download *d, void *stored, size_t len, uint64_t offset,
                struct persist_error *err);
/* For lanes_what.again; ctx is the download. lane->rc, or the read's. */
int again_lane(void *download, struct lane *lane);

#endif
