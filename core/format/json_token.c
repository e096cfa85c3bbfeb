/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings and integers.  Stricter than JSON: no fraction or exponent, no number
 * over 64 bits, no NUL in a text, no half of a surrogate pair.
 */
#include "format/json_token.h"

#include <string.h>

#include "util/text.h"

static bool refuse(struct json_text *t, const char *why)
{
    t->wrong = why;
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \uXXXX at pos; -1 where it is none. */
static int32_t code_unit(const struct json_text *t, size_t pos)
{
    int32_t unit = 0;
    if (t->len - pos < 6 || t->data[pos] != '\\' || t->data[pos + 1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(t->data[pos + i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* RFC 3629; c is neither NUL nor a surrogate. */
static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_putc(out, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_putc(out, (char)(0xc0 | c >> 6));
    } else if (c < 0x10000) {
        buf_putc(out, (char)(0xe0 | c >> 12));
        buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    } else {
        buf_putc(out, (char)(0xf0 | c >> 18));
        buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    buf_putc(out, (char)(0x80 | (c & 0x3f)));
}

/* \uXXXX, or the two of a surrogate pair. */
static bool read_unicode(struct json_text *t, struct buf *out)
{
    int32_t unit = code_unit(t, t->pos);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return refuse(t, JSON_NOT_JSON);
    if (unit == 0)
        return refuse(t, "has a NUL in a text");
    t->pos += 6;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        int32_t low = code_unit(t, t->pos);
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(t, JSON_NOT_JSON);
        t->pos += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(out, (uint32_t)unit);
    return true;
}

static bool read_escape(struct json_text *t, struct buf *out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (t->len - t->pos < 2)
        return refuse(t, JSON_NOT_JSON);
    char letter = t->data[t->pos + 1];
    if (letter == 'u')
        return read_unicode(t, out);
    const char *found = memchr(letters, letter, sizeof(letters) - 1);
    if (!found)
        return refuse(t, JSON_NOT_JSON);
    buf_putc(out, values[found - letters]);
    t->pos += 2;
    return true;
}

/* Plain bytes up to the next quote or escape; at least one. */
static bool read_plain(struct json_text *t, struct buf *out)
{
    size_t start = t->pos;
    while (t->pos < t->len && t->data[t->pos] != '"' &&
           t->data[t->pos] != '\\') {
        if ((unsigned char)t->data[t->pos] < 0x20)
            return refuse(t, JSON_NOT_JSON);
        t->pos++;
    }
    if (!text_is_utf8(t->data + start, t->pos - start))
        return refuse(t, "is not UTF-8");
    buf_append(out, t->data + start, t->pos - start);
    return true;
}

bool json_token_string(struct json_text *t, struct buf *out)
{
    buf_clear(out);
    buf_append(out, "", 0); /* allocates, so that "" is a text too */
    t->pos++;
    while (t->pos < t->len && t->data[t->pos] != '"') {
        bool good =
            t->data[t->pos] == '\\' ? read_escape(t, out) : read_plain(t, out);
        if (!good)
            return false;
    }
    if (t->pos == t->len)
        return refuse(t, JSON_NOT_JSON);
    t->pos++;
    return !buf_failed(out) || refuse(t, JSON_NO_MEMORY);
}

static bool is_number_char(char c)
{
    return text_is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' ||
           c == 'E';
}

/* Digits without leading zeros; *out is not set where they are too many. */
static bool read_digits(const char *digits, size_t len, uint64_t max,
                        bool *out_fits, uint64_t *out)
{
    uint64_t value = 0;
    *out_fits = true;
    if (len == 0 || (digits[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!text_is_digit(digits[i]))
            return false;
        uint64_t digit = (uint64_t)(digits[i] - '0');
        *out_fits = *out_fits && value <= (max - digit) / 10;
        value = *out_fits ? value * 10 + digit : 0;
    }
    *out = value;
    return true;
}

bool json_token_integer(struct json_text *t, int64_t *out)
{
    const char *at = t->data + t->pos;
    size_t len = 0;
    uint64_t value = 0;
    bool fits = false;
    while (len < t->len - t->pos && is_number_char(at[len]))
        len++;
    size_t sign = at[0] == '-' ? 1 : 0;
    if (!read_digits(at + sign, len - sign, INT64_MAX, &fits, &value) ||
        (sign && fits && value == 0))
        return refuse(t, "has a number that is not a plain integer");
    if (!fits)
        return refuse(t, "has too large a number");
    t->pos += len;
    *out = sign ? -(int64_t)value : (int64_t)value;
    return true;
}
