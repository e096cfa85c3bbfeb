/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One checked file becomes one entry function: the only user of libltdl.
 *
 * Measured on libltdl 2.4.7, and why this is not one lt_dlopen: it binds
 * lazily, so that a missing symbol kills the process later; it reports every
 * failure as "file not found"; it crashes when threads use it at once; it looks
 * through LTDL_LIBRARY_PATH for bare names and follows .la files.  So the file
 * is first loaded by dlopen itself (RTLD_NOW, with the real error text), always
 * by absolute path, always under the caller's process-wide mutex, and nothing
 * is ever closed.
 */
#ifndef PERSIST_BACKEND_LOADER_H
#define PERSIST_BACKEND_LOADER_H

#include <persist/backend.h>
#include <stdbool.h>

#include "util/error.h"

/*
 * Loads real_path, which `fd` is open on, and finds its entry.  *out_stays
 * becomes true once the object is in the process, which is for good, whatever
 * the answer.  CONFIG where it cannot be loaded or has no entry of its own.
 * Call with the registry's mutex held.
 */
int loader_open(const char *real_path, int fd, persist_backend_entry_fn *out,
                bool *out_stays, struct persist_error *err);

#endif
