/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials known by their surroundings: a name and a separator in front
 * (headers, queries, form fields, JSON and XML of token services), or their
 * place in a URL.
 *
 * Errs on the side of taking too much: the rest of a line behind
 * "Authorization:" goes as a whole.  Not told apart here: which of the values
 * are harmless.
 */
#include "services/redact.h"

#include <string.h>

enum {
    WHOLE_LINE = 1, /* the value may hold spaces */
    LOOSE_COLON = 2 /* also `name: value`; else only `"name": "value"` */
};

/* Lower case; '-' also stands for '_'. */
static const struct shape {
    const char *name;
    int flags;
} shapes[] = {
    {"authorization", WHOLE_LINE | LOOSE_COLON},
    {"cookie", WHOLE_LINE | LOOSE_COLON},
    {"x-amz-security-token", LOOSE_COLON},
    {"x-amz-s3session-token", LOOSE_COLON},
    {"x-amz-sso-bearer-token", LOOSE_COLON},
    {"x-amz-credential", LOOSE_COLON},
    {"x-amz-signature", LOOSE_COLON},
    {"server-side-encryption-customer-key", LOOSE_COLON},
    {"x-aws-ec2-metadata-token", LOOSE_COLON},
    {"x-goog-signature", LOOSE_COLON},
    {"x-goog-credential", LOOSE_COLON},
    {"x-goog-security-token", LOOSE_COLON},
    {"x-goog-iam-authorization-token", LOOSE_COLON},
    {"x-goog-api-key", LOOSE_COLON},
    {"x-goog-encryption-key", LOOSE_COLON},
    {"?signature", 0},
    {"&signature", 0},
    {"upload-id", 0},
    {"access-token", 0},
    {"refresh-token", 0},
    {"id-token", 0},
    {"client-secret", 0},
    {"assertion", 0},
    {"webidentitytoken", 0},
    {"subject-token", 0},
    {"private-key", 0},
    {"secret-access-key", 0},
    {"secretaccesskey", 0},
    {"session-token", 0},
    {"sessiontoken", 0},
    {"\"token\"", 0},
    {"\"token\\\"", 0}, /* the same within a JSON string */
};

static char lower(char c)
{
    if (c == '_')
        return '-';
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c;
}

static const struct shape *find_name(const char *text, size_t len)
{
    char first = lower(text[0]);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const char *name = shapes[i].name;
        if (name[0] != first)
            continue;
        size_t n = 0;
        while (n < len && name[n] && lower(text[n]) == name[n])
            n++;
        if (!name[n])
            return &shapes[i];
    }
    return NULL;
}

/* A quote, plain or escaped by a backslash: its length, 0 where there is none
 * at pos. */
static size_t quote_len(const char *text, size_t len, size_t pos)
{
    size_t escaped = pos < len && text[pos] == '\\';
    size_t at = pos + escaped;
    return at < len && (text[at] == '"' || text[at] == '\'') ? escaped + 1 : 0;
}

static size_t skip_spaces(const char *text, size_t len, size_t pos)
{
    while (pos < len && (text[pos] == ' ' || text[pos] == '\t'))
        pos++;
    return pos;
}

/* The end of a value that stands in quotes as long as the opening one. */
static size_t quoted_end(const char *text, size_t len, size_t pos,
                         const char *quote, size_t quote_size)
{
    while (pos < len) {
        if (len - pos >= quote_size &&
            memcmp(text + pos, quote, quote_size) == 0)
            return pos;
        pos += text[pos] == '\\' ? 2 : 1;
    }
    return len;
}

static bool ends_line(const char *text, size_t len, size_t pos)
{
    if (text[pos] == '\n' || text[pos] == '\r' || text[pos] == '"')
        return true;
    return text[pos] == '\\' && pos + 1 < len &&
           (text[pos + 1] == 'n' || text[pos + 1] == 'r');
}

static size_t line_end(const char *text, size_t len, size_t pos)
{
    while (pos < len && !ends_line(text, len, pos))
        pos += text[pos] == '\\' ? 2 : 1;
    return pos < len ? pos : len;
}

static size_t token_end(const char *text, size_t len, size_t pos)
{
    static const char ends[] = " \t\r\n&\"'<>,;)]}\\";
    static const char done[] = "(redacted)"; /* by an earlier pass */
    size_t n = sizeof(done) - 1;
    if (len - pos >= n && memcmp(text + pos, done, n) == 0)
        return pos + n;
    while (pos < len && !memchr(ends, text[pos], sizeof(ends) - 1))
        pos++;
    return pos;
}

static bool named_value(const char *text, size_t len, struct redact_span *out)
{
    const struct shape *shape = find_name(text, len);
    if (!shape)
        return false;
    size_t pos = strlen(shape->name);
    pos += quote_len(text, len, pos);
    pos = skip_spaces(text, len, pos);
    if (pos >= len || !strchr(":=>", text[pos]) || !text[pos])
        return false;
    char separator = text[pos];
    pos = skip_spaces(text, len, pos + 1);

    size_t quote = quote_len(text, len, pos);
    if (separator == ':' && quote == 0 && !(shape->flags & LOOSE_COLON))
        return false;
    size_t start = pos + quote, end;
    if (quote > 0)
        end = quoted_end(text, len, start, text + pos, quote);
    else if (shape->flags & WHOLE_LINE)
        end = line_end(text, len, start);
    else
        end = token_end(text, len, start);
    *out = (struct redact_span){start, end - start};
    return true;
}

/* scheme://USER:PASSWORD@host; a lone user may be a token and goes as well. */
static bool userinfo(const char *text, size_t len, struct redact_span *out)
{
    static const char ends[] = "/?# \t\r\n\"'<>\\";
    size_t at = 0;

    if (len < 3 || memcmp(text, "://", 3) != 0)
        return false;
    for (size_t i = 3; i < len && !memchr(ends, text[i], sizeof(ends) - 1); i++)
        if (text[i] == '@')
            at = i;
    if (at <= 3)
        return false;
    *out = (struct redact_span){3, at - 3};
    return true;
}

bool redact_shape(const char *text, size_t len, struct redact_span *out)
{
    return named_value(text, len, out) || userinfo(text, len, out);
}
