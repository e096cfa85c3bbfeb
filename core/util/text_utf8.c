/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 (RFC 3629): checking it, and making any bytes safe to show on a
 * terminal.  Knows no other property of a character than "may not be shown".
 */
#include "util/text.h"

#include <string.h>

/* The code point at text; its length in bytes, or 0 where it is malformed
 * (overlong, a surrogate, above U+10FFFF or cut short). */
static size_t decode(const char *text, size_t len, uint32_t *out)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0},
                 {0xe0, 0xc0, 0x80},
                 {0xf0, 0xe0, 0x800},
                 {0xf8, 0xf0, 0x10000}};
    const uint8_t *p = (const uint8_t *)text;
    size_t form = 0;

    while (form < 4 && (p[0] & forms[form].mask) != forms[form].lead)
        form++;
    if (form == 4 || form >= len)
        return 0;
    uint32_t c = p[0] & (uint8_t)~forms[form].mask;
    for (size_t i = 1; i <= form; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < forms[form].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return form + 1;
}

/* How many bytes of ASCII come first: mostly all. */
static size_t ascii_len(const char *text, size_t len)
{
    size_t n = 0;

    for (uint64_t eight; len - n >= sizeof(eight); n += sizeof(eight)) {
        memcpy(&eight, text + n, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    while (n < len && (uint8_t)text[n] < 0x80)
        n++;
    return n;
}

bool text_is_utf8(const char *text, size_t len)
{
    while (len > 0) {
        uint32_t c;
        size_t n = ascii_len(text, len);
        if (n == 0)
            n = decode(text, len, &c);
        if (n == 0)
            return false;
        text += n;
        len -= n;
    }
    return true;
}

/* Controls, and what reorders or breaks a line without being seen. */
static bool is_unsafe(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     /* C0, DEL, C1 */
        {0x61c, 0x61c},                     /* Arabic letter mark */
        {0x200e, 0x200f}, {0x2028, 0x202e}, /* marks, separators, embeddings */
        {0x2066, 0x2069},                   /* isolates */
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

size_t text_plain_len(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] >= 0x20 && text[n] < 0x7f)
        n++;
    return n;
}

void text_escape(struct buf *out, const char *text, size_t len)
{
    while (len > 0) {
        uint32_t c = 0;
        size_t n = text_plain_len(text, len);
        if (n > 0) { /* nearly all of nearly everything */
            buf_append(out, text, n);
            text += n;
            len -= n;
            continue;
        }
        n = decode(text, len, &c);
        if (n == 0) {
            buf_printf(out, "\\x%02x", (unsigned)(uint8_t)text[0]);
            n = 1;
        } else if (!is_unsafe(c)) {
            buf_append(out, text, n);
        } else if (n == 1) {
            buf_printf(out, "\\x%02x", (unsigned)c);
        } else {
            buf_printf(out, "\\u{%04x}", (unsigned)c);
        }
        text += n;
        len -= n;
    }
}

static void quote_char(struct buf *out, uint32_t c, const char *text, size_t n)
{
    static const char shorts[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (size_t i = 0; c != 0 && i + 1 < sizeof(shorts); i += 2) {
        if (c == (uint32_t)shorts[i]) {
            buf_putc(out, '\\');
            buf_putc(out, shorts[i + 1]);
            return;
        }
    }
    if (is_unsafe(c))
        buf_printf(out, "\\u%04x", (unsigned)c);
    else
        buf_append(out, text, n);
}

void text_quote(struct buf *out, const char *text, size_t len)
{
    buf_putc(out, '"');
    while (len > 0) {
        uint32_t c = 0;
        size_t n = decode(text, len, &c);
        if (n == 0) {
            buf_puts(out, "\\ufffd");
            n = 1;
        } else {
            quote_char(out, c, text, n);
        }
        text += n;
        len -= n;
    }
    buf_putc(out, '"');
}
