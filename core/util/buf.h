/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a ceiling and a sticky failure.
 *
 * Appends after a failure do nothing, so a caller may append freely and test
 * buf_failed once.  `data` is always NUL-terminated behind len (NULL only
 * before the first append).  Zero-initialised storage plus buf_init is ready.
 */
#ifndef PERSIST_UTIL_BUF_H
#define PERSIST_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "util/printf.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max;  /* ceiling for len, bytes */
    bool failed; /* out of memory or over max */
};

void buf_init(struct buf *b, size_t max);
void buf_finish(struct buf *b); /* frees; b may be initialised again */
void buf_clear(struct buf *b);  /* len = 0, failed = false; keeps memory */

void buf_append(struct buf *b, const void *data, size_t len);
/* Longer by len bytes, which the caller fills at once; NULL after a failure. */
char *buf_extend(struct buf *b, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
/* texts, up to a NULL, with the separator between them. */
void buf_join(struct buf *b, const char *const *texts, const char *separator);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_FORMAT(2, 3);
void buf_zero(struct buf *b, size_t len); /* appends len zero bytes */

bool buf_failed(const struct buf *b);
/* The NUL-terminated text, now the caller's (free()); NULL after a failure.
 * b is empty afterwards. */
char *buf_steal(struct buf *b);

#endif
