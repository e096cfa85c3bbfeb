/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole gzip file of somebody else's making, in memory.  Two implementations,
 * of which a build holds one: gunzip_isal.c, and gunzip_zlib.c where there is
 * no ISA-L.
 */
#ifndef PERSIST_FORMAT_GUNZIP_H
#define PERSIST_FORMAT_GUNZIP_H

#include <stddef.h>

#include "util/buf.h"
#include "util/error.h"

/*
 * Appends what one gzip member (RFC 1952) of exactly len bytes holds, after its
 * CRC and length held.  INVALID where it does not begin like gzip, CORRUPT
 * where it is damaged or bytes follow it, MEMORY where it holds more than
 * out->max leaves room for: memory grows with what has come out, so a bomb
 * costs at most that.
 */
int gunzip(const void *data, size_t len, struct buf *out,
           struct persist_error *err);

/* The first bytes of what a gzip file holds, at most cap, of its first len
 * bytes; 0 where there is nothing to be had.  Nothing is checked. */
size_t gunzip_start(const void *data, size_t len, void *out, size_t cap);

#endif
