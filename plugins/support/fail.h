/* SPDX-License-Identifier: Apache-2.0 */
/* Filling the host's error struct. */
#ifndef PERSIST_SUPPORT_FAIL_H
#define PERSIST_SUPPORT_FAIL_H

#include <stdint.h>

#include <persist/backend.h>

/* Writes the message (printf; control characters become '?') where err has
 * room for it, and returns `code`.  err may be NULL. */
int32_t fail(struct persist_backend_error *err, int32_t code,
             const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with ": TEXT" of an errno value (positive), which is noted. */
int32_t fail_errno(struct persist_backend_error *err, int32_t code, int error,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
