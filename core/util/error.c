/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a struct persist_error, and the one table of statuses: their stable
 * names and the exit codes of the command (docs/exit-codes.md has the same
 * table; error_test compares them).
 *
 * Text is formatted into a local buffer first, because callers pass parts of
 * err itself as arguments.
 */
#define PERSIST_UTIL_ERROR_C
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SCRATCH 1024 /* larger than every text field */

static const struct status_row {
    int status;
    int exit_code;
    const char *name;
} statuses[] = {
    {PERSIST_OK, 0, "ok"},
    {PERSIST_E_NOT_FOUND, 4, "not_found"},
    {PERSIST_E_EXISTS, 5, "exists"},
    {PERSIST_E_PRECONDITION, 5, "precondition"},
    {PERSIST_E_AUTH, 7, "auth"},
    {PERSIST_E_DENIED, 7, "denied"},
    {PERSIST_E_THROTTLED, 8, "throttled"},
    {PERSIST_E_TRANSIENT, 8, "transient"},
    {PERSIST_E_TIMEOUT, 8, "timeout"},
    {PERSIST_E_CANCELLED, 130, "cancelled"},
    {PERSIST_E_CORRUPT, 6, "corrupt"},
    {PERSIST_E_NO_SPACE, 10, "no_space"},
    {PERSIST_E_UNSUPPORTED, 1, "unsupported"},
    {PERSIST_E_INVALID, 2, "invalid"},
    {PERSIST_E_CONFIG, 9, "config"},
    {PERSIST_E_MEMORY, 1, "memory"},
    {PERSIST_E_IO, 1, "io"},
    {PERSIST_E_UNCERTAIN, 11, "uncertain"},
    {PERSIST_E_NOT_DURABLE, 11, "not_durable"},
    {PERSIST_E_INTERNAL, 1, "internal"},
    {PERSIST_E_CONFLICT, 5, "conflict"},
    {PERSIST_E_FORKED, 1, "forked"},
    {PERSIST_E_MISUSE, 1, "misuse"},
};

static const struct status_row *find_status(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return NULL;
}

const char *persist_status_name(int status)
{
    const struct status_row *row = find_status(status);
    return row ? row->name : "unknown";
}

int persist_status_exit_code(int status)
{
    const struct status_row *row = find_status(status);
    return row ? row->exit_code : 1;
}

/* Copies what fits, cut before the first character that does not fit whole. */
static void copy_text(char *out, size_t cap, const char *text)
{
    size_t len = strlen(text);
    if (len >= cap) {
        len = cap - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    snprintf(out, cap, "%.*s", (int)len, text);
}

static void format_text(char out[SCRATCH], const char *format, va_list args)
{
    out[0] = '\0';
    if (vsnprintf(out, SCRATCH, format, args) < 0)
        copy_text(out, SCRATCH, "(message could not be formatted)");
}

int error_set(struct persist_error *err, int status, const char *format, ...)
{
    char text[SCRATCH];
    va_list args;

    if (!err)
        return status;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    *err = (struct persist_error){.status = status};
    copy_text(err->message, sizeof(err->message), text);
    return status;
}

static const struct errno_row {
    int value;
    int status;
    const char *text;
} errnos[] = {
    {EPERM, PERSIST_E_DENIED, "Operation not permitted"},
    {ENOENT, PERSIST_E_NOT_FOUND, "No such file or directory"},
    {EINTR, PERSIST_E_TRANSIENT, "Interrupted system call"},
    {EIO, PERSIST_E_IO, "Input/output error"},
    {ENXIO, PERSIST_E_IO, "No such device or address"},
    {E2BIG, PERSIST_E_IO, "Argument list too long"},
    {ENOEXEC, PERSIST_E_IO, "Exec format error"},
    {EBADF, PERSIST_E_IO, "Bad file descriptor"},
    {ECHILD, PERSIST_E_IO, "No child processes"},
    {EAGAIN, PERSIST_E_TRANSIENT, "Resource temporarily unavailable"},
    {ENOMEM, PERSIST_E_MEMORY, "Cannot allocate memory"},
    {EACCES, PERSIST_E_DENIED, "Permission denied"},
    {EBUSY, PERSIST_E_IO, "Device or resource busy"},
    {EEXIST, PERSIST_E_EXISTS, "File exists"},
    {EXDEV, PERSIST_E_IO, "Invalid cross-device link"},
    {ENODEV, PERSIST_E_IO, "No such device"},
    {ENOTDIR, PERSIST_E_IO, "Not a directory"},
    {EISDIR, PERSIST_E_IO, "Is a directory"},
    {EINVAL, PERSIST_E_IO, "Invalid argument"},
    {ENFILE, PERSIST_E_TRANSIENT, "Too many open files in system"},
    {EMFILE, PERSIST_E_TRANSIENT, "Too many open files"},
    {ENOTTY, PERSIST_E_IO, "Inappropriate ioctl for device"},
    {ETXTBSY, PERSIST_E_IO, "Text file busy"},
    {EFBIG, PERSIST_E_IO, "File too large"},
    {ENOSPC, PERSIST_E_NO_SPACE, "No space left on device"},
    {ESPIPE, PERSIST_E_IO, "Illegal seek"},
    {EROFS, PERSIST_E_DENIED, "Read-only file system"},
    {EMLINK, PERSIST_E_IO, "Too many links"},
    {EPIPE, PERSIST_E_IO, "Broken pipe"},
    {ERANGE, PERSIST_E_IO, "Numerical result out of range"},
    {EDEADLK, PERSIST_E_IO, "Resource deadlock avoided"},
    {ENAMETOOLONG, PERSIST_E_IO, "File name too long"},
    {ENOSYS, PERSIST_E_IO, "Function not implemented"},
    {ENOTEMPTY, PERSIST_E_IO, "Directory not empty"},
    {ELOOP, PERSIST_E_IO, "Too many levels of symbolic links"},
    {EOVERFLOW, PERSIST_E_IO, "Value too large for defined data type"},
    {EILSEQ, PERSIST_E_IO, "Invalid or incomplete multibyte or wide character"},
    {EOPNOTSUPP, PERSIST_E_IO, "Operation not supported"},
    {ENETDOWN, PERSIST_E_IO, "Network is down"},
    {ENETUNREACH, PERSIST_E_IO, "Network is unreachable"},
    {ECONNRESET, PERSIST_E_IO, "Connection reset by peer"},
    {ENOBUFS, PERSIST_E_IO, "No buffer space available"},
    {ETIMEDOUT, PERSIST_E_IO, "Connection timed out"},
    {ECONNREFUSED, PERSIST_E_IO, "Connection refused"},
    {EHOSTUNREACH, PERSIST_E_IO, "No route to host"},
    {EALREADY, PERSIST_E_IO, "Operation already in progress"},
    {EINPROGRESS, PERSIST_E_IO, "Operation now in progress"},
#ifdef ESTALE /* not on Windows */
    {ESTALE, PERSIST_E_IO, "Stale file handle"},
    {EDQUOT, PERSIST_E_NO_SPACE, "Disk quota exceeded"},
#endif
    {ECANCELED, PERSIST_E_IO, "Operation canceled"},
};

static const struct errno_row *find_errno(int value)
{
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
        if (errnos[i].value == value)
            return &errnos[i];
    return NULL;
}

const char *error_errno_text(int errno_value, char scratch[24])
{
    const struct errno_row *row = find_errno(errno_value);
    if (row)
        return row->text;
    snprintf(scratch, 24, "error %d", errno_value);
    return scratch;
}

int error_errno(struct persist_error *err, int errno_value, const char *format,
                ...)
{
    const struct errno_row *row = find_errno(errno_value);
    int status = row ? row->status : PERSIST_E_IO;
    char text[SCRATCH], scratch[24];
    va_list args;

    if (!err)
        return status;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    /* The reason is worth more than the end of a long path. */
    const char *reason = error_errno_text(errno_value, scratch);
    char context[sizeof(err->message)];
    copy_text(context, sizeof(context) - strlen(reason) - 2, text);
    error_set(err, status, "%s: %s", context, reason);
    err->os_errno = errno_value;
    return status;
}

int error_memory(struct persist_error *err)
{
    return error_set(err, PERSIST_E_MEMORY, "out of memory");
}

void error_hint(struct persist_error *err, const char *format, ...)
{
    char text[SCRATCH];
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    copy_text(err->hint, sizeof(err->hint), text);
}

void error_object(struct persist_error *err, const char *format, ...)
{
    char text[SCRATCH];
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    copy_text(err->object, sizeof(err->object), text);
}

void error_prefix(struct persist_error *err, const char *format, ...)
{
    char text[SCRATCH], message[2 * SCRATCH];
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    snprintf(message, sizeof(message), "%s: %s", text, err->message);
    copy_text(err->message, sizeof(err->message), message);
}
