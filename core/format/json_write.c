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

/* Whether any of eight bytes is below `limit` (at most 0x80). */
static bool any_below(uint64_t eight, uint8_t limit)
{
    return ((eight - limit * EACH_BYTE) & ~eight & 0x80 * EACH_BYTE) != 0;
}

/* How many bytes come first that stand for themselves: mostly all. */
static size_t plain_len(const char *text, size_t len)
{
    size_t n = 0;

    for (uint64_t eight; len - n >= sizeof(eight); n += sizeof(eight)) {
        memcpy(&eight, text + n, sizeof(eight));
        if (any_below(eight, 0x20) || any_below(eight ^ '"' * EACH_BYTE, 1) ||
            any_below(eight ^ '\\' * EACH_BYTE, 1))
            break;
    }
    while (n < len && (unsigned char)text[n] >= 0x20 && text[n] != '"' &&
           text[n] != '\\')
        n++;
    return n;
}

void json_put_text(struct buf *out, const char *text)
{
    if (!text) {
        buf_puts(out, "null");
        return;
    }
    buf_putc(out, '"');
    for (size_t len = strlen(text), n;; text += n + 1, len -= n + 1) {
        n = plain_len(text, len);
        buf_append(out, text, n);
        if (n == len)
            break;
        char escaped[6];
        buf_append(out, escaped, json_escape((unsigned char)text[n], escaped));
    }
    buf_putc(out, '"');
}

/* A value or name needs a comma before it unless it is the first. */
static void put_comma(struct buf *out)
{
    if (out->len == 0)
        return;
    char last = out->data[out->len - 1];
    if (last != '{' && last != '[')
        buf_putc(out, ',');
}

void json_put_name(struct buf *out, const char *name)
{
    put_comma(out);
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
        put_comma(out);
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
