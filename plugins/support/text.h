/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing text that stays NUL-terminated.
 *
 * Zeroed memory is an empty text.  Appending never fails in place: the first
 * failure (no memory, or more than `max`) sets `failed`, later calls do
 * nothing, and the caller looks once, at the end.  Blocks of 64 KiB and more
 * come from the host where one is set, so that they count against its memory
 * limit.
 */
#ifndef PERSIST_SUPPORT_TEXT_H
#define PERSIST_SUPPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

struct text {
    char *data; /* NULL while nothing was appended */
    size_t len; /* without the NUL */
    size_t cap;
    size_t max;    /* 0: no ceiling */
    bool failed;   /* no memory, or over the ceiling */
    bool too_long; /* it was the ceiling */
    bool secret;   /* wiped before memory is given back */
    bool from_host;
    const struct persist_backend_host *host; /* NULL: the heap alone */
    void *host_store;
};

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *data, size_t len);
void text_add_char(struct text *t, char c);
void text_add_u64(struct text *t, uint64_t n);
/* printf.  Not for secrets that a later block would need to wipe. */
void text_addf(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes memory for `len` bytes that will come, at once; nothing happens where
 * there is none, or where the ceiling is lower. */
void text_expect(struct text *t, size_t len);
/* "" while empty; never NULL. */
const char *text_str(const struct text *t);
/* Empty again, memory kept, `failed` forgotten. */
void text_clear(struct text *t);
/* Cuts to `len` bytes where it is longer. */
void text_cut(struct text *t, size_t len);
/* Frees; settings stay. */
void text_finish(struct text *t);

#endif
