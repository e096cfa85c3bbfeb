/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that outlive a process and concern one user: what was found out
 * about a store, an upload to go on with.  They live in one directory,
 * $XDG_STATE_HOME/persist, made 0700 with the first file; files are 0600 and
 * appear whole or not at all.
 *
 * Nothing here is ever needed: a caller that finds no file, or one that is
 * damaged, does without.  And nothing is trusted: a file counts only where it
 * is a regular one, of the effective user, closed to others, with its length
 * and CRC-32C right.  What its bytes say the caller checks.
 *
 *     file     "PRSTSTA1"   u32 length   u32 CRC-32C of the payload   payload
 *
 * A name is "KIND/NAME" of [a-z0-9.-].  All functions are thread-safe; dir is
 * an absolute path, or NULL: there is no state, reading finds nothing and
 * writing is UNSUPPORTED.
 */
#ifndef PERSIST_SERVICES_STATE_H
#define PERSIST_SERVICES_STATE_H

#include <stdint.h>

#include "util/buf.h"

struct persist_error;

#define STATE_PAYLOAD_MAX (UINT32_C(64) << 20) /* bytes */

/* $XDG_STATE_HOME/persist, else $HOME/.local/state/persist; *out NULL where the
 * environment names neither (or is not to be believed: AT_SECURE).  MEMORY. */
int state_default_dir(char **out, struct persist_error *err);

/* NOT_FOUND; CORRUPT: damaged, not ours, or readable by others; IO. */
int state_read(const char *dir, const char *name, struct buf *out,
               struct persist_error *err);
/* Makes or replaces, atomically and durably. */
int state_write(const char *dir, const char *name, const void *data, size_t len,
                struct persist_error *err);
/* OK also where it is not there. */
int state_remove(const char *dir, const char *name, struct persist_error *err);

/* Calls each with the "KIND/NAME" of every file of the kind, in any order, and
 * takes away what killed processes left of writing others an hour ago.
 * Stops at the first answer that is not 0 and returns it. */
typedef int (*state_each_fn)(void *ctx, const char *name);
int state_each(const char *dir, const char *kind, state_each_fn each, void *ctx,
               struct persist_error *err);

/* One process at a time: takes "NAME.lock" without waiting.  TRANSIENT where
 * another one has it.  state_unlock removes the file and closes *out_fd. */
int state_lock(const char *dir, const char *name, int *out_fd,
               struct persist_error *err);
void state_unlock(const char *dir, const char *name, int fd);

#endif
