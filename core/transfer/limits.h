/* SPDX-License-Identifier: Apache-2.0 */
/* What a store's limits tell of how to move bytes to it and from it. */
#ifndef PERSIST_TRANSFER_LIMITS_H
#define PERSIST_TRANSFER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/store.h"

/* It takes parts of any size in any number: no service does, a file system
 * does.  Large parts would only let the disk wait for them to fill, and a few
 * requests at a time keep it busy. */
static inline bool limits_are_a_disks(const struct persist_backend_limits *l)
{
    return l->part_min <= 1 && l->parts_max == UINT32_MAX &&
           !(l->flags & PERSIST_BACKEND_EQUAL_PARTS);
}

#endif
