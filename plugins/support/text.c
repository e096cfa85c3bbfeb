/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The growing text.  Capacity doubles; a block moves from the heap to the
 * host's memory once it is large, by copying, because the host has no realloc.
 */
#include "support/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/secret.h"

#define FIRST_CAP ((size_t)128)
#define HOST_FROM ((size_t)64 << 10)

static void release(struct text *t)
{
    if (t->data == NULL)
        return;
    if (t->secret)
        secret_wipe_bytes(t->data, t->cap);
    if (t->from_host && t->host != NULL)
        t->host->free(t->host_store, t->data);
    else
        free(t->data);
}

static size_t next_cap(const struct text *t, size_t need)
{
    size_t cap = t->cap < FIRST_CAP ? FIRST_CAP : t->cap;

    while (cap < need && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap < need)
        cap = need;
    return t->max != 0 && cap > t->max && t->max >= need - 1 ? t->max + 1 : cap;
}

static bool grow(struct text *t, size_t need)
{
    size_t cap = next_cap(t, need);
    bool from_host = t->host != NULL && cap >= HOST_FROM;
    char *moved;

    if (!from_host && !t->from_host && !t->secret) {
        moved = realloc(t->data, cap);
    } else {
        moved = from_host ? t->host->alloc(t->host_store, cap) : malloc(cap);
        if (moved != NULL && t->data != NULL)
            memcpy(moved, t->data, t->len + 1);
        if (moved != NULL)
            release(t);
    }
    if (moved == NULL) {
        t->failed = true;
        return false;
    }
    t->data = moved;
    t->cap = cap;
    t->from_host = from_host;
    return true;
}

/* Room for len more bytes and the NUL. */
static bool reserve(struct text *t, size_t len)
{
    if (t->failed)
        return false;
    if (len >= SIZE_MAX - t->len ||
        (t->max != 0 && (t->len > t->max || len > t->max - t->len))) {
        t->failed = t->too_long = true;
        return false;
    }
    return t->len + len < t->cap || grow(t, t->len + len + 1);
}

void text_add_bytes(struct text *t, const void *data, size_t len)
{
    if (!reserve(t, len))
        return;
    if (len > 0)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_expect(struct text *t, size_t len)
{
    bool fits = !t->failed && len < SIZE_MAX - t->len &&
                (t->max == 0 || (t->len <= t->max && len <= t->max - t->len));

    if (fits && !reserve(t, len))
        t->failed = false; /* it may be less in the end */
}

void text_add(struct text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_add_char(struct text *t, char c)
{
    text_add_bytes(t, &c, 1);
}

void text_add_u64(struct text *t, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    text_add_bytes(t, digits + at, sizeof(digits) - at);
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list args, again;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        t->failed = true;
    else if (reserve(t, (size_t)len)) {
        (void)vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
        t->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

const char *text_str(const struct text *t)
{
    return t->data != NULL ? t->data : "";
}

void text_clear(struct text *t)
{
    if (t->data != NULL) {
        if (t->secret)
            secret_wipe_bytes(t->data, t->cap);
        t->data[0] = '\0';
    }
    t->len = 0;
    t->failed = t->too_long = false;
}

void text_cut(struct text *t, size_t len)
{
    if (len >= t->len)
        return;
    if (t->secret)
        secret_wipe_bytes(t->data + len, t->len - len);
    t->data[len] = '\0';
    t->len = len;
}

void text_finish(struct text *t)
{
    release(t);
    t->data = NULL;
    t->len = t->cap = 0;
    t->failed = t->too_long = t->from_host = false;
}
