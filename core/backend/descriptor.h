/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a plugin's entry returned to our own, checked copy.
 *
 * Every struct is read at the size its plugin declared, which must be at least
 * that of ABI 1.0 and at most 64 KiB; our copy is zeroed first and gets the
 * smaller of the two sizes, so that a slot an older plugin does not have reads
 * as absent.  A plugin's structs are never written to.
 */
#ifndef PERSIST_BACKEND_DESCRIPTOR_H
#define PERSIST_BACKEND_DESCRIPTOR_H

#include <stdbool.h>

#include "backend/registry.h"

#define DESCRIPTOR_STRUCT_MAX 65536u
#define DESCRIPTOR_OPTIONS_MAX 256u

/* The bytes of a struct up to and with `member`: the size it had in the minor
 * whose last member that was. */
#define DESCRIPTOR_SIZE_THROUGH(type, member)                                  \
    (offsetof(type, member) + sizeof(((type *)0)->member))

/* [a-z0-9-]{1,32} */
bool descriptor_name_is_valid(const char *name);

/* Fills descriptor, ops and options of *out; path is for messages.  CONFIG, and
 * nothing allocated, where it is refused. */
int descriptor_copy(const struct persist_backend_descriptor *theirs,
                    const char *path, struct plugin *out,
                    struct persist_error *err);

#endif
