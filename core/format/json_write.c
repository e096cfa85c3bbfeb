/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: one spelling for every value, so that the same metadata gives the
 * same bytes with any version of any library.  Texts must be UTF-8; the callers
 * check.
 */
#include <string.h>

#include "format/json.h"
#include "util/text.h"

/* The letter behind the backslash, or 0. */
static char short_escape(unsigned char c)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',  ['\r'] = 'r',
        ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\',
    };
    if (c >= sizeof(letters))
        return '\0';
    return letters[c];
}

size_t json_escape(unsigned char c, char out[6])
{
    static const char digits[] = "0123456789abcdef";
    char letter = short_escape(c);
    out[0] = '\\';
    out[1] = letter;
    if (letter)
        return 2;
    out[0] = (char)c;
    if (c >= 0x20)
        return 1;
    out[0] = '\\';
    out[1] = 'u';
    out[2] = '0';
    out[3] = '0';
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return 6;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* Whether all of eight bytes stand for themselves: none below a space, no quote
 * and no backslash.  A byte is below n (at most 0x80) where taking n away
 * borrows. */
static bool are_plain(const char *eight_bytes)
{
    uint64_t eight, quote, backslash;

    memcpy(&eight, eight_bytes, sizeof(eight));
    quote = eight ^ '"' * EACH_BYTE;
    backslash = eight ^ '\\' * EACH_BYTE;
    return ((((eight - 0x20 * EACH_BYTE) & ~eight) |
             ((quote - EACH_BYTE) & ~quote) |
             ((backslash - EACH_BYTE) & ~backslash)) &
            0x80 * EACH_BYTE) == 0;
}

/* How many bytes come first that stand for themselves: mostly all. */
static size_t plain_len(const char *text, size_t len)
{
    size_t n = 0;

    while (len - n >= 8 && are_plain(text + n))
        n += 8;
    /* The last eight once more rather than the rest one by one. */
    if (len - n < 8 && n > 0 && are_plain(text + len - 8))
        return len;
    while (n < len && (unsigned char)text[n] >= 0x20 && text[n] != '"' &&
           text[n] != '\\')
        n++;
    return n;
}

/* Behind n bytes there is something to escape. */
static void put_escaped(struct buf *out, const char *text, size_t len, size_t n)
{
    char escaped[6];

    for (;; n = plain_len(text, len)) {
        buf_append(out, text, n);
        if (n == len)
            return;
        buf_append(out, escaped, json_escape((unsigned char)text[n], escaped));
        text += n + 1;
        len -= n + 1;
    }
}

/* Text that needs no escapes, into room for it; what follows it. */
static char *quote(char *at, const char *text, size_t len)
{
    *at++ = '"';
    memcpy(at, text, len);
    at[len] = '"';
    return at + len + 1;
}

void json_put_text(struct buf *out, const char *text)
{
    size_t len = text ? strlen(text) : 0, n = plain_len(text, len);
    char *at;

    if (!text) {
        buf_puts(out, "null");
    } else if (n < len) {
        buf_putc(out, '"');
        put_escaped(out, text, len, n);
        buf_putc(out, '"');
    } else {
        at = buf_extend(out, len + 2);
        if (at)
            quote(at, text, len);
    }
}

size_t json_text_len(const char *text)
{
    size_t len = text ? strlen(text) : 2, n = text ? plain_len(text, len) : 2;
    size_t sum = len + 2;
    char escaped[6];

    for (; n < len; n++)
        sum += json_escape((unsigned char)text[n], escaped) - 1;
    return sum;
}

/* A value or name needs a comma before it unless it is the first. */
static bool needs_comma(const struct buf *out)
{
    char last = '{';

    if (out->len > 0)
        last = out->data[out->len - 1];
    return last != '{' && last != '[';
}

void json_put_plain_name(struct buf *out, const char *name)
{
    size_t len = strlen(name);
    bool comma = needs_comma(out);
    char *at = buf_extend(out, comma + len + 3);

    if (!at)
        return;
    if (comma)
        *at++ = ',';
    *quote(at, name, len) = ':';
}

void json_put_name(struct buf *out, const char *name)
{
    size_t len = strlen(name);

    if (plain_len(name, len) == len) {
        json_put_plain_name(out, name);
        return;
    }
    if (needs_comma(out))
        buf_putc(out, ',');
    json_put_text(out, name);
    buf_putc(out, ':');
}

void json_put_u64(struct buf *out, uint64_t value)
{
    char digits[TEXT_U64_LEN];

    buf_append(out, digits, text_from_u64(value, digits));
}

void json_put_i64(struct buf *out, int64_t value)
{
    if (value < 0)
        buf_putc(out, '-');
    json_put_u64(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void put_array(struct buf *out, const json_t *array)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (needs_comma(out))
            buf_putc(out, ',');
        json_put_value(out, json_array_get(array, i));
    }
    buf_putc(out, ']');
}

void json_put_members(struct buf *out, const json_t *object)
{
    /* jansson's iteration takes a non-const object and changes nothing. */
    union {
        const json_t *in;
        json_t *out;
    } pointer = {.in = object};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(pointer.out, key, value)
    {
        json_put_name(out, key);
        json_put_value(out, value);
    }
}

static void put_object(struct buf *out, const json_t *object)
{
    buf_putc(out, '{');
    json_put_members(out, object);
    buf_putc(out, '}');
}

void json_put_value(struct buf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value);
        break;
    case JSON_ARRAY:
        put_array(out, value);
        break;
    case JSON_STRING:
        json_put_text(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        json_put_i64(out, json_integer_value(value));
        break;
    case JSON_TRUE:
        buf_puts(out, "true");
        break;
    case JSON_FALSE:
        buf_puts(out, "false");
        break;
    case JSON_REAL: /* json_read_object lets none in */
    case JSON_NULL:
        buf_puts(out, "null");
        break;
    }
}
