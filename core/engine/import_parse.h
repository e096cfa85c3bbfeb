/* SPDX-License-Identifier: Apache-2.0 */
/* One file of Persist 0.1, read, decompressed and checked. */
#ifndef PERSIST_ENGINE_IMPORT_PARSE_H
#define PERSIST_ENGINE_IMPORT_PARSE_H

#include "format/v1.h"
#include "util/buf.h"

struct import_file {
    struct v1_snapshot v1; /* its state lies in text */
    struct buf text;
};

/*
 * NOT_FOUND, DENIED, IO: the file; INVALID: no snapshot of 0.1; CORRUPT: a
 * damaged one; MEMORY: over `max` bytes, compressed or not.  Finish it also
 * after a failure.
 */
int import_file_load(struct import_file *f, const char *path, uint64_t max,
                     struct persist_error *err);
void import_file_finish(struct import_file *f);

#endif
