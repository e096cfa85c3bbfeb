/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a configuration file.  Every rule of syntax is here, and each is
 * stricter than inih's: whatever inih would cut, merge or guess is refused, so
 * that a file means what it looks like or nothing.
 *
 * Knows no section and no key; touches no file.
 */
#include "services/config_internal.h"

#include <string.h>

#include "util/text.h"

static bool fail(struct config_line *out, const char *problem, const char *hint)
{
    out->problem = problem;
    out->hint = hint;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') ||
            text[i] == 0x7f)
            return true;
    return false;
}

static bool check_bytes(const char *text, size_t len, struct config_line *out)
{
    if (len > CONFIG_LINE_MAX)
        return fail(out, "the line is longer than 32768 bytes",
                    "put a long value in a file and name it: KEY_file = PATH");
    if (memchr(text, '\0', len))
        return fail(out, "the line holds a NUL byte",
                    "is this a text file in UTF-8?");
    if (!text_is_utf8(text, len))
        return fail(out, "the line is not valid UTF-8", NULL);
    if (has_control(text, len))
        return fail(out, "the line holds a control character", NULL);
    return true;
}

/* inih ends a value at white space and ';'. Most people mean a comment by '#'
 * too, and inih would make it a part of the value. */
static bool has_inline_comment(const char *text)
{
    for (; *text; text++)
        if (is_blank(text[0]) && (text[1] == ';' || text[1] == '#'))
            return true;
    return false;
}

static bool is_quoted(const char *value, size_t len)
{
    return len >= 2 && (value[0] == '"' || value[0] == '\'') &&
           value[len - 1] == value[0];
}

static bool parse_section(char *text, size_t len, struct config_line *out)
{
    char *close = strchr(text, ']');
    if (!close)
        return fail(out, "the section's ] is missing", NULL);
    if (close != text + len - 1)
        return fail(out, "something stands behind the section's ]",
                    "a comment stands on a line of its own");
    *close = '\0';
    if (len - 2 > CONFIG_NAME_MAX)
        return fail(out, "the section's name is longer than 40 bytes", NULL);
    out->kind = CONFIG_SECTION;
    out->name = text + 1;
    return true;
}

static bool parse_key(char *text, char *end, struct config_line *out)
{
    while (end > text && is_blank(end[-1]))
        end--;
    *end = '\0';
    if (end == text)
        return fail(out, "the key before = is missing", NULL);
    if (end - text > CONFIG_NAME_MAX)
        return fail(out, "the key is longer than 40 bytes", NULL);
    if (!config_is_key_name(text))
        return fail(out, "a key holds only a-z, 0-9 and _",
                    "a line is: key = value");
    out->name = text;
    return true;
}

static bool parse_value(char *text, size_t len, struct config_line *out)
{
    char *equals = strchr(text, '=');
    if (!equals)
        return fail(out, "the line is neither a section nor key = value", NULL);
    if (has_inline_comment(equals + 1))
        return fail(out, "white space and ; or # stand within the value",
                    "a comment stands on a line of its own");
    if (!parse_key(text, equals, out))
        return false;
    char *value = equals + 1;
    while (is_blank(*value))
        value++;
    if (is_quoted(value, (size_t)(text + len - value)))
        return fail(out, "the value stands in quotes",
                    "write it without: quotes would be a part of it");
    out->kind = CONFIG_VALUE;
    out->value = value;
    return true;
}

bool config_line_parse(char *text, size_t len, struct config_line *out)
{
    *out = (struct config_line){.kind = CONFIG_EMPTY};
    if (len > 0 && text[len - 1] == '\r')
        len--;
    if (!check_bytes(text, len, out))
        return false;
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';

    const char *first = text;
    while (is_blank(*first))
        first++;
    if (*first == '\0' || *first == ';' || *first == '#')
        return true;
    if (first != text)
        return fail(out, "the line begins with white space",
                    "values do not continue on the next line; remove the "
                    "white space if this is a line of its own");
    return text[0] == '[' ? parse_section(text, len, out)
                          : parse_value(text, len, out);
}
