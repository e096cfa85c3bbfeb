/* SPDX-License-Identifier: Apache-2.0 */
/* The host's error struct.  It may be smaller than ours: an older host's. */
#include "support/fail.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "posix/os.h"

#define MESSAGE_CAP (sizeof(((struct persist_backend_error){0}).message))

static void put_message(struct persist_backend_error *err, const char *text)
{
    (void)snprintf(err->message, MESSAGE_CAP, "%s", text);
    for (char *p = err->message; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
}

static bool has_room(const struct persist_backend_error *err)
{
    return err != NULL && PERSIST_BACKEND_HAS(err, message);
}

int32_t fail(struct persist_backend_error *err, int32_t code,
             const char *format, ...)
{
    char text[MESSAGE_CAP];
    va_list args;

    if (!has_room(err))
        return code;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_message(err, text);
    /* Of what was tried before, and is not what failed. */
    err->present &= ~PERSIST_BACKEND_ERROR_ERRNO;
    err->os_errno = 0;
    return code;
}

int32_t fail_errno(struct persist_backend_error *err, int32_t code, int error,
                   const char *format, ...)
{
    char text[MESSAGE_CAP], whole[MESSAGE_CAP], scratch[128];
    const char *name = os_error_text(error, scratch, sizeof(scratch));
    va_list args;

    if (!has_room(err))
        return code;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(whole, sizeof(whole), "%.400s: %s", text, name);
    put_message(err, whole);
    err->present |= PERSIST_BACKEND_ERROR_ERRNO;
    err->os_errno = error;
    return code;
}
