/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text without a locale: numbers, sizes, durations, hex, UTF-8, escaping.
 * Nothing here uses strtod, ctype or strcasecmp (architecture, decision 11).
 */
#ifndef PERSIST_UTIL_TEXT_H
#define PERSIST_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/printf.h"

bool text_is_lower(char c); /* a-z */
bool text_is_digit(char c);

/* Decimal without sign, space or leading zeros ("0" is fine); false where it is
 * not that or does not fit. */
bool text_to_u64(const char *text, uint64_t *out);
bool text_to_i64(const char *text, int64_t *out);
/* "64K" "8M" "1GiB" "2T" "123" "512B": binary units, upper or lower case. */
bool text_to_size(const char *text, uint64_t *out_bytes);
/* Bytes per second: a size, "/s" behind it or not; 0 is allowed. */
bool text_to_rate(const char *text, uint64_t *out_bytes_per_s);
/* "500ms" "30s" "5m" "12h" "7d" "2w"; a number needs its unit, but for 0. */
bool text_to_duration_ms(const char *text, uint64_t *out_ms);
/* true yes on 1 / false no off 0. */
bool text_to_bool(const char *text, bool *out);

/* Decimal digits and a NUL; returns how many digits. */
#define TEXT_U64_LEN 21
size_t text_from_u64(uint64_t value, char out[TEXT_U64_LEN]);
/* The last `width` digits of value and `mark`, without a NUL; returns what
 * follows them. */
char *text_put_digits(char *to, uint64_t value, int width, char mark);
/* "12.3 MiB" into out; never more than 15 characters and a NUL. */
void text_from_size(uint64_t bytes, char out[16]);

void text_to_hex(const void *data, size_t len, char *out); /* 2*len + NUL */
bool text_from_hex(const char *text, size_t len,
                   void *out); /* lower case only */

bool text_is_utf8(const char *text, size_t len); /* RFC 3629; no surrogates */
/* Appends text made safe for a terminal: C0, C1, DEL, bidi controls, line
 * separators and malformed bytes become \xNN or \u{NNNN}. */
void text_escape(struct buf *out, const char *text, size_t len);
/* How many bytes at the beginning are printable ASCII, which needs no care. */
size_t text_plain_len(const char *text, size_t len);

/* Appends text as a JSON string with its quotes (RFC 8259); what text_escape
 * hides becomes \uNNNN, malformed bytes \ufffd. */
void text_quote(struct buf *out, const char *text, size_t len);

/* The candidate closest to word by edit distance, if it is close; else NULL.
 * candidates is NULL-terminated. */
const char *text_suggest(const char *word, const char *const *candidates);

char *text_dup(const char *text);          /* NULL gives NULL */
char *text_format(const char *format, ...) /* malloc; NULL: memory */
    PRINTF_FORMAT(1, 2);

/* RFC 3339: "2026-11-23T04:19:24.642210Z" and a NUL are 28 bytes. */
#define TEXT_TIME_LEN 28
/* Years 0000 to 9999, which is what it can say; times outside become these. */
#define TEXT_TIME_MIN_US INT64_C(-62167219200000000)
#define TEXT_TIME_MAX_US INT64_C(253402300799999999)
void text_from_time(int64_t unix_us, char out[TEXT_TIME_LEN]);
/* Any number of fraction digits (truncated to microseconds), Z or an offset;
 * years 0000 to 9999.  False where it is not a time. */
bool text_to_time(const char *text, int64_t *out_unix_us);

#define TEXT_UUID_LEN 37
/* UUIDv7 (RFC 9562) of a wall time and 10 random bytes. */
void text_uuid7(int64_t unix_us, const uint8_t random[10],
                char out[TEXT_UUID_LEN]);
bool text_is_uuid(const char *text); /* lower case, 8-4-4-4-12 */

#endif
