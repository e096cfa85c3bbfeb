/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text: base64, hexadecimal, percent-encoding. */
#include "support/encode.h"

#include <string.h>

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

/* ----------------------------------------------------------------- base64 */

static void encode64(struct text *out, const uint8_t *p, size_t len,
                     const char *alphabet, bool padded)
{
    for (; len > 0; p += 3) {
        size_t n = len < 3 ? len : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)(n > 1 ? p[1] : 0) << 8 |
                     (uint32_t)(n > 2 ? p[2] : 0);
        char quantum[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], '=', '='};

        if (n > 1)
            quantum[2] = alphabet[v >> 6 & 63];
        if (n > 2)
            quantum[3] = alphabet[v & 63];
        text_add_bytes(out, quantum, padded ? 4 : n + 1);
        len -= n;
    }
}

void base64_encode(struct text *out, const void *data, size_t len)
{
    encode64(out, data, len, base64_alphabet, true);
}

void base64url_encode(struct text *out, const void *data, size_t len)
{
    encode64(out, data, len, base64url_alphabet, false);
}

/* -1: not in the alphabet. */
static int value64(char c, const char *alphabet)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

    return at != NULL ? (int)(at - alphabet) : -1;
}

/* The text without its padding; false where that is not as it must be. */
static bool unpad(const char *s, size_t *len, bool optional)
{
    size_t n = *len, pads = 0;

    while (pads < 2 && n > 0 && s[n - 1] == '=') {
        n--;
        pads++;
    }
    *len = n;
    if (n % 4 == 1)
        return false;
    if (pads == 0 && optional)
        return true;
    return (n + pads) % 4 == 0 && (pads == 0 || n % 4 != 0);
}

bool base64_decode(struct text *out, const char *s, size_t len, bool url)
{
    const char *alphabet = url ? base64url_alphabet : base64_alphabet;
    uint32_t bits = 0;
    int n_bits = 0;

    if (!unpad(s, &len, url))
        return false;
    for (size_t i = 0; i < len; i++) {
        int v = value64(s[i], alphabet);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        text_add_char(out, (char)(uint8_t)(bits >> n_bits));
        bits &= (1u << n_bits) - 1;
    }
    return bits == 0 && !out->failed;
}

/* -------------------------------------------------------------------- hex */

void hex_encode(char *out, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        *out++ = hex_lower[p[i] >> 4];
        *out++ = hex_lower[p[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(void *out, size_t len, const char *s)
{
    uint8_t *p = out;

    for (size_t i = 0; i < len; i++, s += 2) {
        int high = hex_value(s[0]), low = high < 0 ? -1 : hex_value(s[1]);

        if (low < 0)
            return false;
        p[i] = (uint8_t)(high << 4 | low);
    }
    return *s == '\0';
}

/* -------------------------------------------------------------------- crc */

void crc_encode(uint32_t v, char out[9])
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16),
                              (uint8_t)(v >> 8), (uint8_t)v};

    for (int i = 0; i < 6; i++) {
        unsigned bit = (unsigned)i * 6, at = bit / 8;
        unsigned pair = (unsigned)bytes[at] << 8 | (at < 3 ? bytes[at + 1] : 0);

        out[i] = base64_alphabet[pair >> (10 - bit % 8) & 63];
    }
    memcpy(out + 6, "==", 3);
}

bool crc_decode(const char *s, uint32_t *out)
{
    char again[9];
    uint64_t bits = 0;

    if (strlen(s) != 8)
        return false;
    for (int i = 0; i < 6; i++) {
        int v = value64(s[i], base64_alphabet);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint64_t)v;
    }
    *out = (uint32_t)(bits >> 4);
    crc_encode(*out, again);
    return strcmp(again, s) == 0;
}

/* ---------------------------------------------------------------- percent */

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           c == '~';
}

void percent_encode(struct text *out, const char *s, size_t len,
                    bool keep_slash)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s[i];
        char escaped[3] = {'%', hex_upper[c >> 4], hex_upper[c & 15]};

        if (unreserved(s[i]) || (keep_slash && s[i] == '/'))
            text_add_char(out, s[i]);
        else
            text_add_bytes(out, escaped, sizeof(escaped));
    }
}

static bool decode(struct text *out, const char *s, size_t len, bool plus)
{
    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (s[i] != '%') {
            text_add_bytes(out, plus && s[i] == '+' ? " " : &s[i], 1);
            continue;
        }
        if (len - i < 3)
            return false;
        high = hex_value(s[i + 1]);
        low = hex_value(s[i + 2]);
        if (high < 0 || low < 0)
            return false;
        text_add_char(out, (char)(uint8_t)(high << 4 | low));
        i += 2;
    }
    return !out->failed;
}

bool percent_decode(struct text *out, const char *s, size_t len)
{
    return decode(out, s, len, false);
}

bool form_decode(struct text *out, const char *s, size_t len)
{
    return decode(out, s, len, true);
}

void form_add(struct text *out, const char *name, const char *value)
{
    if (out->len > 0)
        text_add_char(out, '&');
    percent_encode(out, name, strlen(name), false);
    text_add_char(out, '=');
    percent_encode(out, value, strlen(value), false);
}
