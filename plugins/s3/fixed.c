/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to bounded text.  What does not fit makes the text false as a
 * whole, so that callers check once, at the end.
 */
#include "fixed.h"

#include <string.h>

struct fixed fixed_over(char *memory, size_t cap)
{
    memory[0] = '\0';
    return (struct fixed){.at = memory, .cap = cap, .ok = true};
}

bool fixed_copy(char *memory, size_t cap, const char *s)
{
    struct fixed t = fixed_over(memory, cap);

    fixed_add(&t, s);
    return t.ok;
}

void fixed_add_bytes(struct fixed *t, const char *s, size_t len)
{
    if (!t->ok || len >= t->cap - t->len) {
        t->ok = false;
        return;
    }
    memcpy(t->at + t->len, s, len);
    t->len += len;
    t->at[t->len] = '\0';
}

void fixed_add(struct fixed *t, const char *s)
{
    fixed_add_bytes(t, s, strlen(s));
}

void fixed_add_number(struct fixed *t, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    fixed_add_bytes(t, digits + at, sizeof(digits) - at);
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           c == '~';
}

void fixed_encode(struct fixed *t, const char *s, enum fixed_encode_mode mode)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        const char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};

        if (unreserved(c) || (c == '/' && mode == FIXED_KEEP_SLASH))
            fixed_add_bytes(t, s, 1);
        else
            fixed_add_bytes(t, escaped, sizeof(escaped));
    }
}

void fixed_add_hex(struct fixed *t, const uint8_t *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        const char two[2] = {hex[bytes[i] >> 4], hex[bytes[i] & 15]};

        fixed_add_bytes(t, two, 2);
    }
}

void fixed_add_xml(struct fixed *t, const char *s)
{
    static const struct {
        char c;
        const char *escaped;
    } special[] = {{'&', "&amp;"},
                   {'<', "&lt;"},
                   {'>', "&gt;"},
                   {'"', "&quot;"},
                   {'\'', "&apos;"}};
    const size_t n = sizeof(special) / sizeof(special[0]);

    for (; *s != '\0'; s++) {
        size_t i = 0;

        while (i < n && special[i].c != *s)
            i++;
        if (i < n)
            fixed_add(t, special[i].escaped);
        else
            fixed_add_bytes(t, s, 1);
    }
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

bool fixed_same_word(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool fixed_parse_number(const char *s, uint64_t *out)
{
    uint64_t number = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        uint64_t digit = (uint64_t)(unsigned char)*s - '0';

        if (*s < '0' || *s > '9' || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}
