/* SPDX-License-Identifier: Apache-2.0 */
/* A whole gzip file of somebody else's making, in memory. */
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

#endif
