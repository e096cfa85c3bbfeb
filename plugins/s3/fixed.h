/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of a bounded length: URLs, canonical requests, header values and the
 * bodies of requests are built in memory of the caller's, without allocating.
 *
 *     char memory[200];
 *     struct fixed t = fixed_over(memory, sizeof(memory));
 *     fixed_add(&t, "/");
 *     fixed_encode(&t, key, FIXED_KEEP_SLASH);
 *     if (!t.ok)
 *         ... it did not fit; memory holds a shorter, terminated text
 *
 * No locale: letters are ASCII letters, numbers are decimal.
 */
#ifndef PERSIST_S3_FIXED_H
#define PERSIST_S3_FIXED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fixed {
    char *at; /* always terminated where cap > 0 */
    size_t len;
    size_t cap; /* with the NUL */
    bool ok;    /* false once something did not fit; nothing is added then */
};

/* An empty text over memory of cap bytes (at least 1), borrowed. */
struct fixed fixed_over(char *memory, size_t cap);
/* Memory of cap bytes becomes s; false, and "", where it does not fit. */
bool fixed_copy(char *memory, size_t cap, const char *s);
void fixed_add(struct fixed *t, const char *s);
void fixed_add_bytes(struct fixed *t, const char *s, size_t len);
void fixed_add_number(struct fixed *t, uint64_t number);

enum fixed_encode_mode { FIXED_ENCODE_ALL, FIXED_KEEP_SLASH };

/* Percent-encodes once, as SigV4 wants it: A-Z a-z 0-9 - _ . ~ stay, "/" only
 * where it is kept, hexadecimal digits in upper case. */
void fixed_encode(struct fixed *t, const char *s, enum fixed_encode_mode mode);

/* Lower-case hexadecimal of len bytes. */
void fixed_add_hex(struct fixed *t, const uint8_t *bytes, size_t len);

/* Escapes & < > and both quotes for XML. */
void fixed_add_xml(struct fixed *t, const char *s);

/* An ASCII comparison that ignores the case of letters. */
bool fixed_same_word(const char *a, const char *b);

/* Decimal digits only, at least one, no overflow. */
bool fixed_parse_number(const char *s, uint64_t *out);

#endif
