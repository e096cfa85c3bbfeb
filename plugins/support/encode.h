/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodings of bytes as text and back.  Independent of the locale; alphabets
 * are RFC 4648 (base64, base64url, base16) and RFC 3986 (percent).
 */
#ifndef PERSIST_SUPPORT_ENCODE_H
#define PERSIST_SUPPORT_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/text.h"

/* With padding. */
void base64_encode(struct text *out, const void *data, size_t len);
/* "-" and "_", without padding (RFC 7515). */
void base64url_encode(struct text *out, const void *data, size_t len);
/*
 * Strict: whole quanta, padding where it belongs, no blanks, no bits behind the
 * last byte.  url: the other alphabet, padding optional.  False (and nothing of
 * use in out) where it is not such text.
 */
bool base64_decode(struct text *out, const char *s, size_t len, bool url);

/* Lower case; writes 2 * len characters and a NUL. */
void hex_encode(char *out, const void *data, size_t len);
/* Either case; exactly 2 * len characters. */
bool hex_decode(void *out, size_t len, const char *s);

/* The four bytes of v, most significant first, in base64: 8 characters and a
 * NUL.  As object stores write CRC-32C. */
void crc_encode(uint32_t v, char out[9]);
bool crc_decode(const char *s, uint32_t *out);

/* All but A-Z a-z 0-9 - _ . ~ becomes %XX, in upper case; with keep_slash "/"
 * stays too (a path), without it a single segment, query name or value. */
void percent_encode(struct text *out, const char *s, size_t len,
                    bool keep_slash);
/* %XX only. False at a malformed one. */
bool percent_decode(struct text *out, const char *s, size_t len);

/* application/x-www-form-urlencoded: as percent_encode (a blank becomes %20,
 * which every form decoder takes).  Appends "name=value" behind "&" where out
 * is not empty. */
void form_add(struct text *out, const char *name, const char *value);
/* "+" is a blank, then %XX. */
bool form_decode(struct text *out, const char *s, size_t len);

#endif
