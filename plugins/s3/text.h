/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of a bounded length: URLs, canonical requests, header values and the
 * bodies of requests are built in memory of the caller's, without allocating.
 *
 *     char memory[200];
 *     struct text t = text_over(memory, sizeof(memory));
 *     text_add(&t, "/");
 *     text_encode(&t, key, TEXT_KEEP_SLASH);
 *     if (!t.ok)
 *         ... it did not fit; memory holds a shorter, terminated text
 *
 * No locale: letters are ASCII letters, numbers are decimal.
 */
#ifndef PERSIST_S3_TEXT_H
#define PERSIST_S3_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at; /* always terminated where cap > 0 */
    size_t len;
    size_t cap; /* with the NUL */
    bool ok;    /* false once something did not fit; nothing is added then */
};

/* An empty text over memory of cap bytes (at least 1), borrowed. */
struct text text_over(char *memory, size_t cap);
void text_clear(struct text *t);
void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const char *s, size_t len);
void text_add_number(struct text *t, uint64_t number);

enum text_encode_mode { TEXT_ENCODE_ALL, TEXT_KEEP_SLASH };

/* Percent-encodes once, as SigV4 wants it: A-Z a-z 0-9 - _ . ~ stay, "/" only
 * where it is kept, hexadecimal digits in upper case. */
void text_encode(struct text *t, const char *s, enum text_encode_mode mode);

/* Lower-case hexadecimal of len bytes. */
void text_add_hex(struct text *t, const uint8_t *bytes, size_t len);

/* Escapes & < > and both quotes for XML. */
void text_add_xml(struct text *t, const char *s);

/* An ASCII comparison that ignores the case of letters. */
bool text_same_word(const char *a, const char *b);

/* Decimal digits only, at least one, no overflow. */
bool text_parse_number(const char *s, uint64_t *out);

#endif
