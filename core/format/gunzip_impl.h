/* SPDX-License-Identifier: Apache-2.0 */
/* What both implementations of gunzip.h share: the size of a step, and what
 * they say of a file they refuse. */
#ifndef PERSIST_FORMAT_GUNZIP_IMPL_H
#define PERSIST_FORMAT_GUNZIP_IMPL_H

#include "format/gunzip.h"

#define STEP ((size_t)64 << 10)
#define IN_MAX ((size_t)1 << 30) /* avail_in has 32 bits */

static inline int damaged(struct persist_error *err, const char *why)
{
    return error_set(err, PERSIST_E_CORRUPT, "the gzip file %s", why);
}

static inline int too_much(const struct buf *out, struct persist_error *err)
{
    if (out->len + STEP <= out->max)
        return error_memory(err);
    return error_set(err, PERSIST_E_MEMORY,
                     "the gzip file holds more than the %zu bytes there is "
                     "memory for",
                     out->max);
}

#endif
