/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output.  Knows buffering, errors and how values look in JSON and in
 * tables; not what a verb prints.  stdio is not used because it forgets which
 * error made a stream fail.
 */
#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/error.h"
#include "util/text.h"

enum { OUTPUT_CHUNK = 32 * 1024, OUTPUT_MAX = 64 * 1024 * 1024 };

void output_init(struct output *out, int fd)
{
    buf_init(&out->pending, OUTPUT_MAX);
    out->fd = fd;
    out->errno_value = 0;
}

void output_note_failure(struct output *out, int errno_value)
{
    if (out->errno_value == 0)
        out->errno_value = errno_value;
}

bool output_failed(const struct output *out)
{
    return out->errno_value != 0;
}

void output_flush(struct output *out)
{
    const char *data = out->pending.data;
    size_t len = out->pending.len;

    if (buf_failed(&out->pending))
        output_note_failure(out, ENOMEM);
    while (len > 0 && !output_failed(out)) {
        ssize_t n = write(out->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            output_note_failure(out, errno);
        } else {
            data += n;
            len -= (size_t)n;
        }
    }
    buf_clear(&out->pending);
}

static void flush_if_large(struct output *out)
{
    if (out->pending.len >= OUTPUT_CHUNK || buf_failed(&out->pending))
        output_flush(out);
}

void output_write(struct output *out, const void *data, size_t len)
{
    buf_append(&out->pending, data, len);
    flush_if_large(out);
}

void output_printf(struct output *out, const char *format, ...)
{
    char stack[512];
    va_list ap;

    va_start(ap, format);
    int len = vsnprintf(stack, sizeof(stack), format, ap);
    va_end(ap);
    if (len >= 0 && (size_t)len < sizeof(stack)) {
        output_write(out, stack, (size_t)len);
        return;
    }
    char *heap = NULL;
    va_start(ap, format);
    len = vasprintf(&heap, format, ap);
    va_end(ap);
    if (len < 0) {
        output_note_failure(out, ENOMEM);
        return;
    }
    output_write(out, heap, (size_t)len);
    free(heap);
}

void output_escaped(struct output *out, const char *text)
{
    text_escape(&out->pending, text, strlen(text));
    flush_if_large(out);
}

void output_json(struct output *out, json_t *object)
{
    /* ASCII only: names are hostile and standard output may be a terminal. */
    char *text =
        object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    if (!text) {
        output_note_failure(out, ENOMEM);
    } else {
        /* The one control character that JSON lets stand. */
        for (char *c = text; *c; c++) {
            if (*c == 0x7f)
                buf_puts(&out->pending, "\\u007f");
            else
                buf_putc(&out->pending, *c);
        }
        output_write(out, "\n", 1);
    }
    free(text);
    json_decref(object);
}

int output_finish(struct output *out, struct persist_error *err)
{
    output_flush(out);
    buf_finish(&out->pending);
    /* A full disk or quota may only show here (NFS). */
    if (close(out->fd) != 0 && errno != EINTR)
        output_note_failure(out, errno);
    if (!output_failed(out))
        return PERSIST_OK;
    int rc = error_errno(err, out->errno_value, "cannot write");
    error_object(err, "standard output");
    return rc;
}

json_t *output_text(const char *text)
{
    if (!text)
        return json_null();
    if (text_is_utf8(text, strlen(text)))
        return json_string(text);
    struct buf safe;
    buf_init(&safe, OUTPUT_MAX);
    text_escape(&safe, text, strlen(text));
    json_t *value = buf_failed(&safe) ? NULL : json_string(safe.data);
    buf_finish(&safe);
    return value;
}

json_t *output_number(uint64_t number)
{
    return json_integer((json_int_t)number);
}

json_t *output_time(int64_t unix_us)
{
    char text[TEXT_TIME_LEN];

    text_from_time(unix_us, text);
    return json_string(text);
}

/* strftime costs as much as all else that a row of a listing needs. */
static bool format_plain(const struct tm *tm, char out[OUTPUT_TIME_LEN])
{
    int year = tm->tm_year + 1900;

    if (year < 1000 || year > 9999)
        return false;
    out = text_put_digits(out, (unsigned)year, 4, '-');
    out = text_put_digits(out, (unsigned)tm->tm_mon + 1, 2, '-');
    out = text_put_digits(out, (unsigned)tm->tm_mday, 2, ' ');
    out = text_put_digits(out, (unsigned)tm->tm_hour, 2, ':');
    out = text_put_digits(out, (unsigned)tm->tm_min, 2, ':');
    text_put_digits(out, (unsigned)tm->tm_sec, 2, '\0');
    return true;
}

void output_local_time(int64_t unix_us, bool with_zone,
                       char out[OUTPUT_TIME_LEN])
{
    int64_t seconds = unix_us / 1000000 - (unix_us % 1000000 < 0);
    time_t when = (time_t)seconds;
    struct tm tm;

    if (!localtime_r(&when, &tm)) {
        memcpy(out, "?", 2);
        return;
    }
    if (!with_zone && format_plain(&tm, out))
        return;
    if (strftime(out, OUTPUT_TIME_LEN,
                 with_zone ? "%Y-%m-%d %H:%M:%S %z" : "%Y-%m-%d %H:%M:%S",
                 &tm) == 0)
        memcpy(out, "?", 2);
}
