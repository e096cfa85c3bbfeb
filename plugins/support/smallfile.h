/* SPDX-License-Identifier: Apache-2.0 */
/* Reading small files that hold configuration, tokens or keys. */
#ifndef PERSIST_SUPPORT_SMALLFILE_H
#define PERSIST_SUPPORT_SMALLFILE_H

#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/secret.h"

/* The file must be private: owned by us or root, and not readable or writable
 * by others or writable by the group. */
#define SMALLFILE_PRIVATE 1u
/* The file is acted upon: owned by us or root, not writable by group or
 * others. */
#define SMALLFILE_TRUSTED 2u

/* What fstat said of the file that was read. */
struct smallfile_info {
    uint32_t uid;
    uint32_t mode; /* permission bits */
    int64_t modified_us;
};

/*
 * A regular file (or a link to one) of at most `max` bytes, as one read of what
 * it holds now.  NOT_FOUND where there is none; CONFIG where it is too long, no
 * regular file, not permitted to us, or fails the flags (looked up on the open
 * descriptor); IO.  Messages name the path.  out_info may be NULL.
 */
int32_t smallfile_read(const char *path, size_t max, unsigned flags,
                       struct secret *out, struct smallfile_info *out_info,
                       struct persist_backend_error *err);

#endif
