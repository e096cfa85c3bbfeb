/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: text to jansson's values, without jansson's parser.  That one
 * ignores some failed allocations and drops bytes of a text then, so that for
 * want of memory a good snapshot would be called corrupt or, worse, be read
 * wrongly.  Here every failure is seen, and nothing but a failed allocation is
 * called one.
 *
 * No recursion: a stack of open containers, bounded by JSON_DEPTH_MAX.  What is
 * built hangs under the root at once, so there is one thing to free.  Single
 * strings and numbers are json_token.c's business.
 */
#include <string.h>

#include "format/json.h"
#include "format/json_token.h"

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* behind [ */
    EXPECT_KEY,
    EXPECT_KEY_OR_END, /* behind { */
    EXPECT_COLON,
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING,
};

struct parse {
    struct json_text text;
    enum expect expect;
    unsigned depth;
    unsigned containers;
    json_t *open[JSON_DEPTH_MAX]; /* borrowed; the last is being filled */
    json_t *root;
    struct buf key;    /* of the member that comes next */
    struct buf string; /* the last value read, without its escapes */
};

static bool refuse(struct parse *p, const char *why)
{
    p->text.wrong = why;
    return false;
}

static bool in_object(const struct parse *p)
{
    return json_is_object(p->open[p->depth - 1]);
}

/* Hangs a new value where it belongs; takes it over, also when it fails. */
static bool attach(struct parse *p, json_t *value)
{
    int rc = 0;
    if (!value)
        return refuse(p, JSON_NO_MEMORY);
    if (p->depth == 0)
        p->root = value;
    else if (in_object(p))
        rc = json_object_set_new_nocheck(p->open[p->depth - 1], p->key.data,
                                         value);
    else
        rc = json_array_append_new(p->open[p->depth - 1], value);
    p->expect = p->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
    return rc == 0 || refuse(p, JSON_NO_MEMORY);
}

static bool parse_string(struct parse *p)
{
    if (!json_token_string(&p->text, &p->string))
        return false;
    return attach(p, json_string_nocheck(p->string.data));
}

static bool parse_integer(struct parse *p)
{
    int64_t value = 0;
    if (!json_token_integer(&p->text, &value))
        return false;
    return attach(p, json_integer(value));
}

static bool parse_word(struct parse *p)
{
    size_t left = p->text.len - p->text.pos;
    const char *at = p->text.data + p->text.pos;
    const struct {
        const char *word;
        json_t *value;
    } words[] = {
        {"null", json_null()}, {"true", json_true()}, {"false", json_false()}};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i].word);
        if (left >= len && memcmp(at, words[i].word, len) == 0) {
            p->text.pos += len;
            return attach(p, words[i].value);
        }
    }
    return refuse(p, JSON_NOT_JSON);
}

static bool open_container(struct parse *p, bool object)
{
    if (p->depth == JSON_DEPTH_MAX)
        return refuse(p, "is nested too deeply");
    if (p->containers == JSON_CONTAINERS_MAX)
        return refuse(p, "has too many objects and arrays");
    json_t *value = object ? json_object() : json_array();
    if (!attach(p, value))
        return false;
    p->open[p->depth++] = value;
    p->containers++;
    p->text.pos++;
    p->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return true;
}

static bool close_container(struct parse *p)
{
    p->depth--;
    p->text.pos++;
    p->expect = p->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
    return true;
}

static bool parse_value(struct parse *p, char next)
{
    if (next == '{' || next == '[')
        return open_container(p, next == '{');
    if (next == ']' && p->expect == EXPECT_VALUE_OR_END)
        return close_container(p);
    if (next == '"')
        return parse_string(p);
    if (next == '-' || (next >= '0' && next <= '9'))
        return parse_integer(p);
    return parse_word(p);
}

static bool parse_key(struct parse *p, char next)
{
    if (next == '}' && p->expect == EXPECT_KEY_OR_END)
        return close_container(p);
    if (next != '"')
        return refuse(p, JSON_NOT_JSON);
    if (!json_token_string(&p->text, &p->key))
        return false;
    if (json_object_get(p->open[p->depth - 1], p->key.data))
        return refuse(p, "has a key twice");
    p->expect = EXPECT_COLON;
    return true;
}

static bool parse_colon(struct parse *p, char next)
{
    if (next != ':')
        return refuse(p, JSON_NOT_JSON);
    p->text.pos++;
    p->expect = EXPECT_VALUE;
    return true;
}

static bool parse_between(struct parse *p, char next)
{
    if (next == (in_object(p) ? '}' : ']'))
        return close_container(p);
    if (next != ',')
        return refuse(p, JSON_NOT_JSON);
    p->text.pos++;
    p->expect = in_object(p) ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

static bool parse_token(struct parse *p, char next)
{
    switch (p->expect) {
    case EXPECT_VALUE:
    case EXPECT_VALUE_OR_END:
        return parse_value(p, next);
    case EXPECT_KEY:
    case EXPECT_KEY_OR_END:
        return parse_key(p, next);
    case EXPECT_COLON:
        return parse_colon(p, next);
    case EXPECT_COMMA_OR_END:
        return parse_between(p, next);
    case EXPECT_NOTHING:
        break;
    }
    return refuse(p, JSON_NOT_JSON);
}

static bool parse_all(struct parse *p)
{
    struct json_text *t = &p->text;
    while (t->pos < t->len) {
        char next = t->data[t->pos];
        if (next == ' ' || next == '\t' || next == '\n' || next == '\r')
            t->pos++;
        else if (!parse_token(p, next))
            return false;
    }
    return p->expect == EXPECT_NOTHING || refuse(p, JSON_NOT_JSON);
}

json_t *json_parse(const char *text, size_t len, const char **out_wrong,
                   size_t *out_pos)
{
    struct parse p = {.text = {.data = text, .len = len}};
    buf_init(&p.key, len);
    buf_init(&p.string, len);
    if (!parse_all(&p)) {
        json_decref(p.root);
        p.root = NULL;
    }
    buf_finish(&p.key);
    buf_finish(&p.string);
    *out_wrong = p.text.wrong;
    *out_pos = p.text.pos;
    return p.root;
}

int json_read_object(const char *what, const char *text, size_t len,
                     json_t **out, struct persist_error *err)
{
    const char *wrong = NULL;
    size_t pos = 0;
    json_t *root = json_parse(text, len, &wrong, &pos);
    if (!root && strcmp(wrong, JSON_NO_MEMORY) == 0)
        return error_memory(err);
    if (!root)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the %s's JSON %s (at byte %zu)", what, wrong, pos);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, PERSIST_E_CORRUPT,
                         "the %s's JSON is not an object", what);
    }
    *out = root;
    return PERSIST_OK;
}
