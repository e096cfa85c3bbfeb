/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a snapshot of Persist 0.1.  A scanner walks the JSON text and says
 * where each value begins and ends; only the metadata goes on to the parser.
 *
 * No recursion: open containers are one bit each.
 */
#include "format/v1.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "format/json_token.h"
#include "util/text.h"

/* ------------------------------------------------------------------ scanner
 */

struct scan {
    const char *data;
    size_t len;
    size_t pos;
    uint8_t is_object[V1_DEPTH_MAX];
    unsigned depth;
    const char *wrong;
};

static bool refuse(struct scan *s, const char *why)
{
    if (!s->wrong)
        s->wrong = why;
    return false;
}

/* The next byte; NUL, which is in no JSON, at the end. */
static char peek(const struct scan *s)
{
    if (s->pos >= s->len)
        return '\0';
    return s->data[s->pos];
}

static void skip_space(struct scan *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' ||
           peek(s) == '\r')
        s->pos++;
}

static bool skip_char(struct scan *s, char c)
{
    if (peek(s) != c)
        return refuse(s, "is not JSON");
    s->pos++;
    return true;
}

static bool is_hex(char c)
{
    return text_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool skip_escape(struct scan *s)
{
    s->pos++;
    char c = peek(s);
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return refuse(s, "has an unknown escape in a text");
    s->pos++;
    for (int i = 0; c == 'u' && i < 4; i++, s->pos++)
        if (!is_hex(peek(s)))
            return refuse(s, "has an unknown escape in a text");
    return true;
}

static bool skip_string(struct scan *s)
{
    if (!skip_char(s, '"'))
        return false;
    for (;;) {
        /* Most bytes of most snapshots are passed here. */
        while (s->pos < s->len && (uint8_t)s->data[s->pos] >= 0x20 &&
               s->data[s->pos] != '"' && s->data[s->pos] != '\\')
            s->pos++;
        char c = peek(s);
        if (c == '"')
            break;
        if (c != '\\')
            return refuse(s, s->pos < s->len
                                 ? "has a control character in a text"
                                 : "is cut short in a text");
        if (!skip_escape(s))
            return false;
    }
    s->pos++;
    return true;
}

static bool skip_digits(struct scan *s)
{
    if (!text_is_digit(peek(s)))
        return refuse(s, "has a malformed number");
    while (text_is_digit(peek(s)))
        s->pos++;
    return true;
}

static bool skip_number(struct scan *s)
{
    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0')
        s->pos++;
    else if (!skip_digits(s))
        return false;
    if (peek(s) == '.') {
        s->pos++;
        if (!skip_digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(struct scan *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (s->len - s->pos >= n &&
            memcmp(s->data + s->pos, words[i], n) == 0) {
            s->pos += n;
            return true;
        }
    }
    return refuse(s, "is not JSON");
}

/* A value that is no container, or the start of one: then *out_opened, unless
 * it is empty. */
static bool begin_value(struct scan *s, bool *out_opened)
{
    char c = peek(s);

    *out_opened = false;
    if (c == '"')
        return skip_string(s);
    if (c == '-' || text_is_digit(c))
        return skip_number(s);
    if (c != '{' && c != '[')
        return skip_word(s);
    s->pos++;
    skip_space(s);
    if (peek(s) == (c == '{' ? '}' : ']')) {
        s->pos++;
        return true;
    }
    if (s->depth == V1_DEPTH_MAX)
        return refuse(s, "is nested too deeply");
    s->is_object[s->depth++] = c == '{';
    *out_opened = true;
    return true;
}

static bool skip_key(struct scan *s)
{
    if (!skip_string(s))
        return false;
    skip_space(s);
    if (!skip_char(s, ':'))
        return false;
    skip_space(s);
    return true;
}

/* Behind a value: closes what ends here.  *out_more: another value follows. */
static bool end_value(struct scan *s, unsigned floor, bool *out_more)
{
    *out_more = false;
    while (s->depth > floor) {
        bool object = s->is_object[s->depth - 1];
        skip_space(s);
        if (peek(s) == ',') {
            s->pos++;
            skip_space(s);
            *out_more = true;
            return !object || skip_key(s);
        }
        if (!skip_char(s, object ? '}' : ']'))
            return false;
        s->depth--;
    }
    return true;
}

/* One whole value of any kind, from its first byte to behind its last. */
static bool skip_value(struct scan *s)
{
    unsigned floor = s->depth;
    bool more = true;

    while (more) {
        bool opened = false;
        if (!begin_value(s, &opened))
            return false;
        if (opened) {
            if (s->is_object[s->depth - 1] && !skip_key(s))
                return false;
            continue;
        }
        if (!end_value(s, floor, &more))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- top level
 */

struct members { /* of the outer object */
    const char *metadata;
    size_t metadata_len;
    const char *state;
    size_t state_len;
};

static bool take_member(struct scan *s, const char *key, struct members *out)
{
    const char **value = NULL;
    size_t *len = NULL;
    size_t start = s->pos;

    if (strcmp(key, "metadata") == 0) {
        value = &out->metadata;
        len = &out->metadata_len;
    } else if (strcmp(key, "agent_state") == 0) {
        value = &out->state;
        len = &out->state_len;
    }
    if (value && *value)
        return refuse(s, "has a member twice");
    if (!skip_value(s))
        return false;
    if (value) {
        *value = s->data + start;
        *len = s->pos - start;
    }
    return true;
}

static bool read_member(struct scan *s, struct buf *key, struct members *out)
{
    struct json_text t = {.data = s->data, .len = s->len, .pos = s->pos};

    if (peek(s) != '"' || !json_token_string(&t, key))
        return refuse(s, t.wrong ? t.wrong : "is not JSON");
    s->pos = t.pos;
    skip_space(s);
    if (!skip_char(s, ':'))
        return false;
    skip_space(s);
    if (!take_member(s, key->data, out))
        return false;
    skip_space(s);
    return true;
}

static bool read_members(struct scan *s, struct members *out)
{
    struct buf key;

    buf_init(&key, s->len);
    skip_space(s);
    bool ok = skip_char(s, '{');
    skip_space(s);
    bool more = ok && peek(s) != '}';
    while (ok && more) {
        buf_clear(&key);
        ok = read_member(s, &key, out);
        more = ok && peek(s) == ',';
        if (more)
            s->pos++;
        skip_space(s);
    }
    buf_finish(&key);
    if (!ok || !skip_char(s, '}'))
        return false;
    skip_space(s);
    return s->pos == s->len || refuse(s, "has bytes behind its end");
}

/* ----------------------------------------------------------------- metadata
 */

static int no_field(const char *name, struct persist_error *err)
{
    return error_set(err, PERSIST_E_CORRUPT, "the metadata has no valid \"%s\"",
                     name);
}

static int take_text(const json_t *m, const char *name, bool optional,
                     char **out, struct persist_error *err)
{
    const json_t *value = json_object_get(m, name);

    if (optional && (!value || json_is_null(value)))
        return PERSIST_OK;
    if (!json_is_string(value))
        return no_field(name, err);
    *out = text_dup(json_string_value(value));
    return *out ? PERSIST_OK : error_memory(err);
}

static int take_texts(const json_t *m, struct v1_snapshot *out,
                      struct persist_error *err)
{
    const struct {
        const char *name;
        char **to;
        bool optional;
    } fields[] = {
        {"agent_id", &out->agent_id, false},
        {"session_id", &out->session_id, false},
        {"snapshot_id", &out->snapshot_id, false},
        {"timestamp", &out->timestamp, false},
        {"content_hash", &out->content_hash, false},
        {"description", &out->description, true},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int rc =
            take_text(m, fields[i].name, fields[i].optional, fields[i].to, err);
        if (rc != PERSIST_OK)
            return rc;
    }
    return PERSIST_OK;
}

static int check_version(const json_t *m, struct persist_error *err)
{
    const json_t *version = json_object_get(m, "format_version");

    if (!json_is_integer(version))
        return no_field("format_version", err);
    if (json_integer_value(version) != 1)
        return error_set(err, PERSIST_E_UNSUPPORTED,
                         "format_version is %" PRId64
                         ", and snapshots of Persist 0.1 have 1",
                         (int64_t)json_integer_value(version));
    return PERSIST_OK;
}

static int take_metadata(const json_t *m, struct v1_snapshot *out,
                         struct persist_error *err)
{
    const json_t *size = json_object_get(m, "uncompressed_size");
    const json_t *index = json_object_get(m, "snapshot_index");
    uint8_t hash[32];

    int rc = check_version(m, err);
    if (rc == PERSIST_OK)
        rc = take_texts(m, out, err);
    if (rc != PERSIST_OK)
        return rc;
    if (!json_is_integer(index) || json_integer_value(index) < 0)
        return no_field("snapshot_index", err);
    out->index = (uint64_t)json_integer_value(index);
    if (!text_to_time(out->timestamp, &out->timestamp_us))
        return no_field("timestamp", err);
    if (strlen(out->content_hash) != 64 ||
        !text_from_hex(out->content_hash, 64, hash))
        return no_field("content_hash", err);
    if (json_is_integer(size) &&
        (uint64_t)json_integer_value(size) != out->state_len)
        return error_set(
            err, PERSIST_E_CORRUPT,
            "agent_state has %zu bytes, the metadata says %" PRId64,
            out->state_len, (int64_t)json_integer_value(size));
    return PERSIST_OK;
}

/* --------------------------------------------------------------------- both
 */

int v1_parse(const char *text, size_t len, struct v1_snapshot *out,
             struct persist_error *err)
{
    struct scan s = {.data = text, .len = len};
    struct members members = {0};
    json_t *metadata = NULL;

    *out = (struct v1_snapshot){0};
    if (!read_members(&s, &members))
        return error_set(err, PERSIST_E_CORRUPT, "the text %s (byte %zu)",
                         s.wrong, s.pos);
    if (!members.metadata || !members.state || members.metadata[0] != '{')
        return error_set(err, PERSIST_E_INVALID,
                         "it is not a snapshot of Persist 0.1: it has no %s",
                         members.state ? "metadata" : "agent_state");
    if (!text_is_utf8(members.state, members.state_len))
        return error_set(err, PERSIST_E_CORRUPT, "agent_state is not UTF-8");
    out->state = members.state;
    out->state_len = members.state_len;
    int rc = json_read_object("metadata", members.metadata,
                              members.metadata_len, &metadata, err);
    if (rc == PERSIST_OK)
        rc = take_metadata(metadata, out, err);
    json_decref(metadata);
    if (rc != PERSIST_OK)
        v1_finish(out);
    return rc;
}

void v1_finish(struct v1_snapshot *v)
{
    free(v->agent_id);
    free(v->session_id);
    free(v->snapshot_id);
    free(v->timestamp);
    free(v->description);
    free(v->content_hash);
    *v = (struct v1_snapshot){0};
}
