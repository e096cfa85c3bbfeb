/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret: bytes that are wiped when they go and that no formatter accepts.
 *
 * The struct is opaque so that nobody prints its inside; the bytes lie in a
 * mapping of their own that is locked where possible and excluded from core
 * dumps (MADV_DONTDUMP).  A trailing NUL stands behind them.
 */
#ifndef PERSIST_UTIL_SECRET_H
#define PERSIST_UTIL_SECRET_H

#include <stddef.h>

struct secret;

/* bytes NULL: len zero bytes, to be filled through secret_edit.  NULL:
 * memory. */
struct secret *secret_create(const void *bytes, size_t len);
char *secret_edit(struct secret *s);
void secret_destroy(struct secret *s); /* wipes */
const char *secret_reveal(const struct secret *s, size_t *out_len);
/* A wipe the compiler may not remove. */
void secret_wipe(void *memory, size_t len);

#endif
