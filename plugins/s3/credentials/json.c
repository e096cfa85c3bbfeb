/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader: one pass of recursive descent that checks everything and
 * copies the few wanted members.  Names are compared decoded, so that
 * "AccessKeyId" and "AccessKey\u0049d" are the same name, twice.
 */
#include "s3/credentials/json.h"

#include <string.h>

#include <openssl/crypto.h>

struct span {
    const char *at;
    const char *end;
};

struct reader {
    const char *at;
    const char *end;
    struct json_field *fields;
    size_t n_fields;
    unsigned depth;
    unsigned hidden;              /* levels no path can name */
    char path[2 * JSON_NAME_MAX]; /* of the member being read */
};

static int read_value(struct reader *r, struct json_field *wanted);

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' ||
                              *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static int take(struct reader *r, char c)
{
    skip_space(r);
    if (r->at >= r->end || *r->at != c)
        return -1;
    r->at++;
    return 0;
}

static bool looking_at(struct reader *r, char c)
{
    skip_space(r);
    return r->at < r->end && *r->at == c;
}

/* Where decoded bytes go; at == NULL: they are only checked. */
struct sink {
    char *at;
    const char *end; /* the last byte, kept for the NUL */
};

static int emit(struct sink *s, const unsigned char *bytes, size_t n)
{
    if (s->at == NULL)
        return 0;
    if ((size_t)(s->end - s->at) < n)
        return -1;
    memcpy(s->at, bytes, n);
    s->at += n;
    return 0;
}

static int emit_code_point(struct sink *s, uint32_t c)
{
    unsigned char b[4];

    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return -1;
    if (c < 0x80) {
        b[0] = (unsigned char)c;
        return emit(s, b, 1);
    }
    if (c < 0x800) {
        b[0] = (unsigned char)(0xc0 | (c >> 6));
        b[1] = (unsigned char)(0x80 | (c & 0x3f));
        return emit(s, b, 2);
    }
    if (c < 0x10000) {
        b[0] = (unsigned char)(0xe0 | (c >> 12));
        b[1] = (unsigned char)(0x80 | ((c >> 6) & 0x3f));
        b[2] = (unsigned char)(0x80 | (c & 0x3f));
        return emit(s, b, 3);
    }
    b[0] = (unsigned char)(0xf0 | (c >> 18));
    b[1] = (unsigned char)(0x80 | ((c >> 12) & 0x3f));
    b[2] = (unsigned char)(0x80 | ((c >> 6) & 0x3f));
    b[3] = (unsigned char)(0x80 | (c & 0x3f));
    return emit(s, b, 4);
}

static int hex4(struct span *in, uint32_t *out)
{
    uint32_t v = 0;

    if (in->end - in->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        uint32_t digit;

        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return -1;
        v = v << 4 | digit;
    }
    *out = v;
    return 0;
}

/* Behind "\u". */
static int unicode_escape(struct span *in, struct sink *out)
{
    uint32_t c, low;

    if (hex4(in, &c) != 0)
        return -1;
    if (c < 0xd800 || c > 0xdbff)
        return emit_code_point(out, c);
    if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u')
        return -1;
    in->at += 2;
    if (hex4(in, &low) != 0 || low < 0xdc00 || low > 0xdfff)
        return -1;
    return emit_code_point(out,
                           0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
}

/* Behind the backslash. */
static int escape(struct span *in, struct sink *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char c;

    if (in->at >= in->end)
        return -1;
    c = *in->at++;
    if (c == 'u')
        return unicode_escape(in, out);
    found = c == '\0' ? NULL : strchr(from, c);
    if (found == NULL)
        return -1;
    return emit(out, (const unsigned char *)&to[found - from], 1);
}

/* One UTF-8 sequence of two bytes and more (RFC 3629: shortest form, no
 * surrogates). */
static int utf8(struct span *in, struct sink *out)
{
    const unsigned char *p = (const unsigned char *)in->at;
    size_t left = (size_t)(in->end - in->at), n;
    uint32_t c, least;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2, c = p[0] & 0x1fU, least = 0x80;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3, c = p[0] & 0x0fU, least = 0x800;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4, c = p[0] & 0x07U, least = 0x10000;
    } else {
        return -1;
    }
    if (left < n)
        return -1;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least)
        return -1;
    in->at += n;
    return emit_code_point(out, c);
}

static int decode(struct span in, struct sink *out)
{
    while (in.at < in.end) {
        unsigned char c = (unsigned char)*in.at;
        int rc;

        if (c == '\\') {
            in.at++;
            rc = escape(&in, out);
        } else if (c >= 0x80) {
            rc = utf8(&in, out);
        } else if (c < 0x20) {
            rc = -1;
        } else {
            rc = emit(out, &c, 1);
            in.at++;
        }
        if (rc != 0)
            return -1;
    }
    return 0;
}

/* A string's inside, checked; r stands behind it. */
static int read_string(struct reader *r, struct span *out)
{
    struct sink nowhere = {NULL, NULL};

    if (take(r, '"') != 0)
        return -1;
    out->at = r->at;
    while (r->at < r->end && *r->at != '"')
        r->at += *r->at == '\\' && r->end - r->at > 1 ? 2 : 1;
    if (r->at >= r->end)
        return -1;
    out->end = r->at++;
    return decode(*out, &nowhere);
}

static int copy_string(struct span in, char *out, size_t cap)
{
    struct sink sink = {out, out + cap - 1};

    if (decode(in, &sink) != 0)
        return -1;
    out[sink.at - out] = '\0';
    return 0;
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static int read_digits(struct reader *r)
{
    if (!is_digit(r))
        return -1;
    while (is_digit(r))
        r->at++;
    return 0;
}

/* The integer of digits; -1 where it does not fit. */
static int to_number(struct span digits, bool negative, int64_t *out)
{
    int64_t v = 0;

    for (const char *p = digits.at; p < digits.end; p++) {
        int64_t d = *p - '0';

        if (v > (INT64_MAX - d) / 10)
            return -1;
        v = v * 10 + d;
    }
    *out = negative ? -v : v;
    return 0;
}

static int read_number(struct reader *r, struct json_field *wanted)
{
    bool negative = *r->at == '-', is_integer = true;
    struct span digits;

    if (negative)
        r->at++;
    digits.at = r->at;
    if (read_digits(r) != 0)
        return -1;
    digits.end = r->at;
    if (*digits.at == '0' && digits.end - digits.at > 1)
        return -1;
    if (r->at < r->end && *r->at == '.') {
        is_integer = false;
        r->at++;
        if (read_digits(r) != 0)
            return -1;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        is_integer = false;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (read_digits(r) != 0)
            return -1;
    }
    if (wanted == NULL)
        return 0;
    if (!wanted->is_number || !is_integer ||
        to_number(digits, negative, &wanted->number) != 0)
        return -1;
    wanted->found = true;
    return 0;
}

static int read_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return -1;
    r->at += len;
    return 0;
}

/* Is `name` one of the n names before it? */
static bool is_repeated(const struct span *names, size_t n, const char *name)
{
    char other[JSON_NAME_MAX];

    for (size_t i = 0; i < n; i++)
        if (copy_string(names[i], other, sizeof(other)) == 0 &&
            strcmp(other, name) == 0)
            return true;
    return false;
}

static struct json_field *field_of(struct reader *r, const char *path)
{
    for (size_t i = 0; i < r->n_fields; i++)
        if (strcmp(r->fields[i].path, path) == 0)
            return &r->fields[i];
    return NULL;
}

/* Makes r->path the member's; false where no path can name it. */
static bool enter(struct reader *r, size_t prefix_len, const char *name)
{
    size_t len = strlen(name);
    bool dotted = strchr(name, '.') != NULL; /* would look like a level */

    if (dotted || prefix_len + 1 + len + 1 > sizeof(r->path))
        return false;
    if (prefix_len != 0)
        r->path[prefix_len++] = '.';
    memcpy(r->path + prefix_len, name, len + 1);
    return true;
}

static int read_member(struct reader *r, size_t prefix_len, struct span *names,
                       size_t n)
{
    struct json_field *wanted = NULL;
    char name[JSON_NAME_MAX];
    bool hide;
    int rc;

    if (n == JSON_MEMBERS_MAX || read_string(r, &names[n]) != 0 ||
        copy_string(names[n], name, sizeof(name)) != 0 ||
        is_repeated(names, n, name) || take(r, ':') != 0)
        return -1;
    hide = !enter(r, prefix_len, name);
    if (hide)
        r->hidden++;
    if (r->hidden == 0)
        wanted = field_of(r, r->path);
    rc = read_value(r, wanted);
    r->path[prefix_len] = '\0';
    if (hide)
        r->hidden--;
    return rc;
}

static int read_object(struct reader *r)
{
    struct span names[JSON_MEMBERS_MAX];
    size_t prefix_len = strlen(r->path), n = 0;

    if (take(r, '{') != 0)
        return -1;
    if (looking_at(r, '}'))
        return take(r, '}');
    do {
        if (read_member(r, prefix_len, names, n++) != 0)
            return -1;
    } while (take(r, ',') == 0);
    return take(r, '}');
}

static int read_array(struct reader *r)
{
    if (take(r, '[') != 0)
        return -1;
    if (looking_at(r, ']'))
        return take(r, ']');
    r->hidden++; /* no path leads into an array */
    do {
        if (read_value(r, NULL) != 0)
            return -1;
    } while (take(r, ',') == 0);
    r->hidden--;
    return take(r, ']');
}

static int read_nested(struct reader *r, struct json_field *wanted)
{
    int rc;

    if (wanted != NULL || r->depth == JSON_DEPTH_MAX)
        return -1;
    r->depth++;
    rc = *r->at == '{' ? read_object(r) : read_array(r);
    r->depth--;
    return rc;
}

static int read_text(struct reader *r, struct json_field *wanted)
{
    struct span value;

    if (read_string(r, &value) != 0)
        return -1;
    if (wanted == NULL)
        return 0;
    if (wanted->is_number || copy_string(value, wanted->text, wanted->cap) != 0)
        return -1;
    wanted->found = true;
    return 0;
}

static int read_value(struct reader *r, struct json_field *wanted)
{
    skip_space(r);
    if (r->at >= r->end)
        return -1;
    switch (*r->at) {
    case '{':
    case '[':
        return read_nested(r, wanted);
    case '"':
        return read_text(r, wanted);
    case 'n':
        return read_word(r, "null");
    case 't':
        return wanted != NULL ? -1 : read_word(r, "true");
    case 'f':
        return wanted != NULL ? -1 : read_word(r, "false");
    default:
        return read_number(r, wanted);
    }
}

static void clear(struct json_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fields[i].found = false;
        fields[i].number = 0;
        if (!fields[i].is_number)
            OPENSSL_cleanse(fields[i].text, fields[i].cap);
    }
}

int json_read(const char *text, size_t len, struct json_field *fields,
              size_t n_fields)
{
    struct reader r = {
        .at = text, .end = text + len, .fields = fields, .n_fields = n_fields};

    clear(fields, n_fields);
    if (len > JSON_SIZE_MAX || !looking_at(&r, '{') ||
        read_value(&r, NULL) != 0)
        goto bad;
    skip_space(&r);
    if (r.at == r.end)
        return 0;
bad:
    clear(fields, n_fields);
    return -1;
}

int json_quote(char **at, const char *end, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    char *out = *at;

    if (out >= end)
        return -1;
    *out++ = '"';
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (end - out < 7)
            return -1;
        if (c < 0x20) {
            *out++ = '\\';
            *out++ = 'u';
            *out++ = '0';
            *out++ = '0';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = (char)c;
    }
    if (out >= end)
        return -1;
    *out++ = '"';
    *at = out;
    return 0;
}
