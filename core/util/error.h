/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a struct persist_error.
 *
 * The layer that meets a failure sets it; layers above prefix context at most
 * once and never replace a message.  Every function accepts err == NULL and
 * truncates at character boundaries.  Setters return the status, so that
 * `return error_set(err, PERSIST_E_INVALID, ...)` reads well.
 */
#ifndef PERSIST_UTIL_ERROR_H
#define PERSIST_UTIL_ERROR_H

#include <persist/error.h>

#include "util/printf.h"

/* Clears err and sets status and message (printf). */
int error_set(struct persist_error *err, int status, const char *format, ...)
    PRINTF_FORMAT(3, 4);

/* error_set from an errno value: chooses the status (ENOENT is NOT_FOUND,
 * EACCES/EPERM/EROFS DENIED, ENOSPC/EDQUOT NO_SPACE, ENOMEM MEMORY, EEXIST
 * EXISTS, EINTR/EAGAIN/EMFILE/ENFILE TRANSIENT, everything else IO), appends
 * ": " and the errno's text, and keeps os_errno. */
int error_errno(struct persist_error *err, int errno_value, const char *format,
                ...) PRINTF_FORMAT(3, 4);

/* error_set for a failed allocation. */
int error_memory(struct persist_error *err);

#if defined(__clang_analyzer__) && !defined(PERSIST_UTIL_ERROR_C)
/* The analyzer does not see into error.c; without this it believes that a
 * setter may answer PERSIST_OK, and follows paths that cannot be. */
static inline void analyzed_note(void *err, const char *format, ...)
{
    (void)err;
    (void)format;
}
static inline int analyzed_status(int status)
{
    return status;
}
#define error_set(err, status, ...)                                            \
    (analyzed_note(err, __VA_ARGS__), analyzed_status(status))
#define error_errno(err, errno_value, ...)                                     \
    (analyzed_note(err, __VA_ARGS__),                                          \
     analyzed_status((errno_value) ? PERSIST_E_IO : PERSIST_E_INTERNAL))
#define error_memory(err)                                                      \
    (analyzed_note(err, "memory"), analyzed_status(PERSIST_E_MEMORY))
#endif

/* Adds to what is set. */
void error_hint(struct persist_error *err, const char *format, ...)
    PRINTF_FORMAT(2, 3);
void error_object(struct persist_error *err, const char *format, ...)
    PRINTF_FORMAT(2, 3);
/* "context: message". */
void error_prefix(struct persist_error *err, const char *format, ...)
    PRINTF_FORMAT(2, 3);

/* "No space left on device" for ENOSPC, from a table of our own (strerror is
 * neither thread-safe nor free of the locale); "error 123" otherwise goes to
 * the scratch buffer. */
const char *error_errno_text(int errno_value, char scratch[24]);

#endif
