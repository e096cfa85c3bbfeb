/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The growable buffer.  Capacity doubles up to the ceiling; the byte for the
 * NUL is on top of it.  A failed buffer keeps what it had, so that a message
 * that did not fit can still be shown, but buf_steal refuses to hand it over.
 */
#include "util/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 512 /* a snapshot's header, mostly */

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_finish(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : FIRST_CAP;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    char *data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

/* Room for `more` bytes and a NUL behind len; cap counts the NUL. */
static bool reserve(struct buf *b, size_t more)
{
    if (b->failed)
        return false;
    b->failed = more > b->max - b->len || b->len + more == SIZE_MAX ||
                (more >= b->cap - b->len && !grow(b, b->len + more + 1));
    return !b->failed;
}

char *buf_extend(struct buf *b, size_t len)
{
    char *at;

    if (!reserve(b, len))
        return NULL;
    at = b->data + b->len;
    at[len] = '\0';
    b->len += len;
    return at;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    char *at = buf_extend(b, len);

    if (at && len > 0)
        memcpy(at, data, len);
}

void buf_puts(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_join(struct buf *b, const char *const *texts, const char *separator)
{
    for (size_t i = 0; texts[i]; i++) {
        buf_puts(b, i ? separator : "");
        buf_puts(b, texts[i]);
    }
}

void buf_putc(struct buf *b, char c)
{
    char *at = buf_extend(b, 1);

    if (at)
        *at = c;
}

/* Into what room there is; only a text that does not fit is made twice. */
void buf_printf(struct buf *b, const char *format, ...)
{
    size_t room;
    va_list args;
    int n;

    if (!reserve(b, 0))
        return;
    room = b->cap - b->len;
    va_start(args, format);
    n = vsnprintf(b->data + b->len, room, format, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    else if (reserve(b, (size_t)n) && (size_t)n >= room) {
        va_start(args, format);
        vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
        va_end(args);
    }
    if (b->failed)
        b->data[b->len] = '\0'; /* keeps what it had */
    else
        b->len += (size_t)n;
}

void buf_zero(struct buf *b, size_t len)
{
    if (!reserve(b, len))
        return;
    memset(b->data + b->len, 0, len + 1);
    b->len += len;
}

bool buf_failed(const struct buf *b)
{
    return b->failed;
}

char *buf_steal(struct buf *b)
{
    buf_append(b, "", 0); /* an empty buffer gives "" and not NULL */
    char *data = NULL;
    if (!b->failed) {
        data = b->data;
        b->data = NULL;
    }
    buf_finish(b);
    b->failed = false;
    return data;
}
