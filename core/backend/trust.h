/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who could have written this file?
 *
 * Loading a plugin runs its code, so a plugin file must be one that only root
 * or the effective user can have put there: the file and every directory above
 * it belong to one of them and cannot be written by group or others.  A POSIX
 * ACL that lets someone else write shows as a group-writable mode, so it is
 * refused too.  A sticky directory of root's (/tmp) passes where the next
 * component belongs to root or the effective user: nobody else can rename that.
 *
 * The walk holds a descriptor of each directory and opens the next component
 * relative to it, so what is checked is what is opened: a rename in between
 * changes nothing.
 */
#ifndef PERSIST_BACKEND_TRUST_H
#define PERSIST_BACKEND_TRUST_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

/*
 * Opens the regular file at real_path (absolute, as realpath wrote it) for
 * reading, without following a symbolic link anywhere.  checked: apply the
 * rules above for the effective user `euid`; the compiled-in directory is
 * opened without.  The descriptor is the caller's.
 */
int trust_open(const char *real_path, bool checked, uid_t euid, int *out_fd,
               struct persist_error *err);

#endif
