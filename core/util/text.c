/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes, durations, hex and near misses.  UTF-8 is in text_utf8.c,
 * times and UUIDs in text_time.c.
 */
#include "util/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

bool text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c;
}

static bool equals_ignoring_case(const char *text, const char *lower)
{
    while (*text && to_lower(*text) == *lower) {
        text++;
        lower++;
    }
    return *text == *lower;
}

/* The digits at the start of text; NULL where there are none, where they have
 * a leading zero or do not fit. Otherwise the first byte behind them. */
static const char *read_digits(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = text;

    for (; text_is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    if (p == text || (text[0] == '0' && p - text > 1))
        return NULL;
    *out = value;
    return p;
}

bool text_to_u64(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *end = read_digits(text, &value);
    if (!end || *end)
        return false;
    *out = value;
    return true;
}

bool text_to_i64(const char *text, int64_t *out)
{
    bool negative = text[0] == '-';
    uint64_t value = 0;
    if (!text_to_u64(text + negative, &value))
        return false;
    if (!negative) {
        if (value > INT64_MAX)
            return false;
        *out = (int64_t)value;
        return true;
    }
    if (value == 0 || value > (uint64_t)INT64_MAX + 1)
        return false;
    *out = -(int64_t)(value - 1) - 1;
    return true;
}

static bool multiply(uint64_t value, uint64_t factor, uint64_t *out)
{
    if (value > UINT64_MAX / factor)
        return false;
    *out = value * factor;
    return true;
}

bool text_to_size(const char *text, uint64_t *out_bytes)
{
    static const char units[] = "kmgtpe";
    uint64_t value = 0;
    const char *suffix = read_digits(text, &value);

    if (!suffix)
        return false;
    if (!suffix[0] || equals_ignoring_case(suffix, "b")) {
        *out_bytes = value;
        return true;
    }
    const char *unit = strchr(units, to_lower(suffix[0]));
    /* "KB" is refused: half the world means 1,000 by it. */
    if (!unit || (suffix[1] && !equals_ignoring_case(suffix + 1, "ib")))
        return false;
    return multiply(value, UINT64_C(1) << (10 * (unit - units + 1)), out_bytes);
}

bool text_to_rate(const char *text, uint64_t *out_bytes_per_s)
{
    char size[32];
    size_t len = strlen(text);

    if (len > 2 && strcmp(text + len - 2, "/s") == 0)
        len -= 2;
    if (len >= sizeof(size))
        return false;
    memcpy(size, text, len);
    size[len] = '\0';
    return text_to_size(size, out_bytes_per_s);
}

bool text_to_duration_ms(const char *text, uint64_t *out_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    uint64_t value = 0;
    const char *suffix = read_digits(text, &value);

    if (suffix && !suffix[0] && value == 0) {
        *out_ms = 0;
        return true;
    }
    for (size_t i = 0; suffix && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(suffix, units[i].name) == 0)
            return multiply(value, units[i].ms, out_ms);
    return false;
}

bool text_to_bool(const char *text, bool *out)
{
    static const struct {
        const char *name;
        bool value;
    } names[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (equals_ignoring_case(text, names[i].name)) {
            *out = names[i].value;
            return true;
        }
    }
    return false;
}

char *text_put_digits(char *to, uint64_t value, int width, char mark)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    to[width] = mark;
    return to + width + 1;
}

size_t text_from_u64(uint64_t value, char out[TEXT_U64_LEN])
{
    char digits[TEXT_U64_LEN];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    size_t len = sizeof(digits) - at;
    memcpy(out, digits + at, len);
    out[len] = '\0';
    return len;
}

void text_from_size(uint64_t bytes, char out[16])
{
    static const char *const units[] = {" KiB", " MiB", " GiB",
                                        " TiB", " PiB", " EiB"};
    char digits[TEXT_U64_LEN];

    if (bytes < 1024) {
        size_t len = text_from_u64(bytes, digits);
        memcpy(out, digits, len);
        memcpy(out + len, " B", 3);
        return;
    }
    unsigned unit = 0;
    while (unit < 5 && bytes >> (10 * (unit + 2)))
        unit++;
    unsigned shift = 10 * (unit + 1);
    uint64_t rest = bytes & ((UINT64_C(1) << shift) - 1);
    /* Below 10.5 * 2^60, so nothing overflows. */
    uint64_t tenths = (rest * 10 + (UINT64_C(1) << (shift - 1))) >> shift;
    unsigned whole = (unsigned)(bytes >> shift) + (tenths == 10);
    if (whole == 1024 && unit < 5) {
        whole = 1;
        unit++;
    }
    size_t len = text_from_u64(whole, digits); /* at most 4: below 1024 */
    memcpy(out, digits, len);
    out[len] = '.';
    out[len + 1] = (char)('0' + tenths % 10);
    memcpy(out + len + 2, units[unit], 5);
}

void text_to_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (text_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_from_hex(const char *text, size_t len, void *out)
{
    uint8_t *p = out;
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *p++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

#define WORD_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Edit distance with swaps of neighbours as one edit. */
static size_t edit_distance(const char *a, size_t len_a, const char *b,
                            size_t len_b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= len_b; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[len_b];
}

const char *text_suggest(const char *word, const char *const *candidates)
{
    size_t len = strlen(word);
    /* One edit in three letters (one in two); more is another word. */
    size_t best = len < 3 ? len / 2 : len / 3;
    const char *found = NULL;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (; *candidates; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > WORD_MAX)
            continue;
        size_t d = edit_distance(word, len, *candidates, candidate_len);
        if (d < best || (d == best && !found)) {
            best = d;
            found = *candidates;
        }
    }
    return found;
}

char *text_dup(const char *text)
{
    return text ? strdup(text) : NULL;
}

char *text_format(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return n < 0 ? NULL : text;
}
