/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: a scan over the text that refuses what would cost too much or
 * mean too many things, then jansson.  The scan knows only strings, brackets
 * and numbers; whether the rest is JSON at all is jansson's to say.
 */
#include <string.h>

#include "format/json.h"
#include "util/text.h"

struct prescan {
    const char *text;
    size_t len;
    size_t pos;
    unsigned depth;
    unsigned containers;
};

/* Moves behind the string that begins at pos. */
static void skip_string(struct prescan *s)
{
    for (s->pos++; s->pos < s->len; s->pos++) {
        if (s->text[s->pos] == '\\')
            s->pos++;
        else if (s->text[s->pos] == '"')
            break;
    }
    s->pos++;
}

static bool is_number_char(char c)
{
    return text_is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' ||
           c == 'E';
}

/* -?(0|[1-9][0-9]*) and not -0 */
static bool is_integer(const char *text, size_t len)
{
    bool negative = len > 0 && text[0] == '-';
    size_t first = negative ? 1 : 0;
    if (len == first || (text[first] == '0' && (len > first + 1 || negative)))
        return false;
    for (size_t i = first; i < len; i++) {
        if (!text_is_digit(text[i]))
            return false;
    }
    return true;
}

/* Moves behind the number at pos; false where it is no plain integer. */
static bool skip_number(struct prescan *s)
{
    size_t start = s->pos;
    while (s->pos < s->len && is_number_char(s->text[s->pos]))
        s->pos++;
    return is_integer(s->text + start, s->pos - start);
}

/* What is wrong with the text, or NULL. */
static const char *prescan(struct prescan *s)
{
    while (s->pos < s->len) {
        char c = s->text[s->pos];
        if (c == '"') {
            skip_string(s);
            continue;
        }
        if (c == '-' || text_is_digit(c)) {
            if (!skip_number(s))
                return "has a number that is not a plain integer";
            continue;
        }
        if (c == '{' || c == '[') {
            if (++s->depth > JSON_DEPTH_MAX)
                return "is nested too deeply";
            if (++s->containers > JSON_CONTAINERS_MAX)
                return "has too many objects and arrays";
        }
        if ((c == '}' || c == ']') && s->depth-- == 0)
            return "closes more than it opens";
        s->pos++;
    }
    return NULL;
}

int json_read_object(const char *what, const char *text, size_t len,
                     json_t **out, struct persist_error *err)
{
    struct prescan scan = {.text = text, .len = len};
    const char *wrong = prescan(&scan);
    if (wrong)
        return error_set(err, PERSIST_E_CORRUPT, "the %s's JSON %s at byte %zu",
                         what, wrong, scan.pos);

    json_error_t problem;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
    if (!root && json_error_code(&problem) == json_error_out_of_memory)
        return error_memory(err);
    if (!root)
        return error_set(err, PERSIST_E_CORRUPT, "the %s's JSON: %s", what,
                         problem.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, PERSIST_E_CORRUPT,
                         "the %s's JSON is not an object", what);
    }
    *out = root;
    return PERSIST_OK;
}
