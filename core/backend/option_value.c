/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ten option types, one parser each, in one table.
 *
 * Deliberately does not know where a text came from, does not log, and never
 * sees a secret: those are bytes, and go from the configuration to the plugin
 * without being looked at.
 */
#include "backend/option_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

#define PATH_LEN_MAX 4095
#define LIST_ITEMS_MAX 1024

typedef enum option_verdict (*parse_fn)(const struct persist_backend_option *o,
                                        const char *text, const char *home,
                                        struct option_text *out,
                                        struct buf *why);

static enum option_verdict bad(struct buf *why, const char *reason)
{
    buf_puts(why, reason);
    return OPTION_BAD;
}

static enum option_verdict keep_text(const char *text, struct option_text *out)
{
    out->text = text_dup(text);
    return out->text ? OPTION_GOOD : OPTION_MEMORY;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static enum option_verdict parse_string(const struct persist_backend_option *o,
                                        const char *text, const char *home,
                                        struct option_text *out,
                                        struct buf *why)
{
    (void)o, (void)home, (void)why;
    return keep_text(text, out);
}

/* The range as a user would write it needs the type; plain numbers will do. */
static enum option_verdict check_range(const struct persist_backend_option *o,
                                       int64_t number, const char *unit,
                                       struct buf *why)
{
    if ((o->flags & PERSIST_BACKEND_HAS_MIN) && number < o->min) {
        buf_printf(why, "is below the minimum of %" PRId64 "%s", o->min, unit);
        return OPTION_BAD;
    }
    if ((o->flags & PERSIST_BACKEND_HAS_MAX) && number > o->max) {
        buf_printf(why, "is above the maximum of %" PRId64 "%s", o->max, unit);
        return OPTION_BAD;
    }
    return OPTION_GOOD;
}

static enum option_verdict parse_int(const struct persist_backend_option *o,
                                     const char *text, const char *home,
                                     struct option_text *out, struct buf *why)
{
    (void)home;
    if (!text_to_i64(text, &out->number))
        return bad(why, "is not a whole number");
    return check_range(o, out->number, "", why);
}

static enum option_verdict parse_size(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why)
{
    uint64_t bytes = 0;

    (void)home;
    if (!text_to_size(text, &bytes) || bytes > INT64_MAX)
        return bad(why, "is not a size (write 65536, 64K, 8M or 1G)");
    out->number = (int64_t)bytes;
    return check_range(o, out->number, " bytes", why);
}

static enum option_verdict
parse_duration(const struct persist_backend_option *o, const char *text,
               const char *home, struct option_text *out, struct buf *why)
{
    uint64_t ms = 0;

    (void)home;
    if (!text_to_duration_ms(text, &ms) || ms > INT64_MAX)
        return bad(
            why, "is no number with a unit (write 500ms, 30s, 5m, 12h or 7d)");
    out->number = (int64_t)ms;
    return check_range(o, out->number, "ms", why);
}

static enum option_verdict parse_bool(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why)
{
    bool value = false;

    (void)o, (void)home;
    if (!text_to_bool(text, &value))
        return bad(why, "is neither true nor false");
    out->number = value;
    return OPTION_GOOD;
}

static enum option_verdict parse_choice(const struct persist_backend_option *o,
                                        const char *text, const char *home,
                                        struct option_text *out,
                                        struct buf *why)
{
    const char *near = NULL;

    (void)home;
    for (size_t i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], text) == 0)
            return keep_text(text, out);
    buf_puts(why, "is not one of ");
    buf_join(why, o->choices, ", ");
    near = text_suggest(text, o->choices);
    if (near)
        buf_printf(why, "; did you mean %s?", near);
    return OPTION_BAD;
}

/* "~" and "~/..." only: what "~user" means asks a directory service. */
static enum option_verdict parse_path(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why)
{
    bool tilde = text[0] == '~' && (text[1] == '\0' || text[1] == '/');

    (void)o;
    if (tilde && (!home || home[0] != '/'))
        return bad(why, "starts with ~, and no home directory is known");
    out->text = tilde ? text_format("%s%s", home, text + 1) : text_dup(text);
    if (!out->text)
        return OPTION_MEMORY;
    if (out->text[0] != '/')
        return bad(why, "is not an absolute path (write it from / or from ~/)");
    if (strlen(out->text) > PATH_LEN_MAX)
        return bad(why, "is longer than a path can be");
    return OPTION_GOOD;
}

static bool is_scheme_char(char c, bool first)
{
    return text_is_lower(c) ||
           (!first && (text_is_digit(c) || c == '+' || c == '-' || c == '.'));
}

/* RFC 3986: scheme "://" authority.  Credentials in it would end in logs and
 * listings, which show URLs. */
static enum option_verdict parse_url(const struct persist_backend_option *o,
                                     const char *text, const char *home,
                                     struct option_text *out, struct buf *why)
{
    size_t n = 0;

    (void)o, (void)home;
    while (is_scheme_char(text[n], n == 0))
        n++;
    if (n == 0 || strncmp(text + n, "://", 3) != 0)
        return bad(why, "is not a URL (write https://host or http://host)");
    const char *authority = text + n + 3;
    size_t len = strcspn(authority, "/?#");
    if (len == 0 && strncmp(text, "file:", 5) != 0)
        return bad(why, "is a URL without a host");
    if (memchr(authority, '@', len))
        return bad(why, "holds credentials, which do not belong into a URL");
    if (strchr(text, ' '))
        return bad(why, "is a URL with a space in it");
    return keep_text(text, out);
}

static size_t count_items(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ',';
    return n;
}

static char *trim(char *text)
{
    while (*text == ' ')
        text++;
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        text[--len] = '\0';
    return text;
}

static enum option_verdict parse_list(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why)
{
    size_t n = count_items(text);

    (void)o, (void)home;
    if (n > LIST_ITEMS_MAX)
        return bad(why, "has too many items");
    out->text = text_dup(text);
    out->items = calloc(n, sizeof(*out->items));
    if (!out->text || !out->items)
        return OPTION_MEMORY;
    if (*trim(out->text) == '\0')
        return OPTION_GOOD;
    for (char *rest = out->text; rest;) {
        char *comma = strchr(rest, ',');
        if (comma)
            *comma = '\0';
        out->items[out->n_items] = trim(rest);
        if (*out->items[out->n_items++] == '\0')
            return bad(why, "has an empty item");
        rest = comma ? comma + 1 : NULL;
    }
    return OPTION_GOOD;
}

static const parse_fn parsers[] = {
    [PERSIST_BACKEND_STRING] = parse_string,
    [PERSIST_BACKEND_INT] = parse_int,
    [PERSIST_BACKEND_SIZE] = parse_size,
    [PERSIST_BACKEND_DURATION] = parse_duration,
    [PERSIST_BACKEND_BOOL] = parse_bool,
    [PERSIST_BACKEND_CHOICE] = parse_choice,
    [PERSIST_BACKEND_PATH] = parse_path,
    [PERSIST_BACKEND_URL] = parse_url,
    [PERSIST_BACKEND_LIST] = parse_list,
};

enum option_verdict option_text_parse(const struct persist_backend_option *o,
                                      const char *text, const char *home,
                                      struct option_text *out, struct buf *why)
{
    enum option_verdict verdict;

    memset(out, 0, sizeof(*out));
    if (!text_is_utf8(text, strlen(text)) || has_control(text))
        return bad(why, "holds control characters or is not UTF-8");
    verdict = parsers[o->type](o, text, home, out, why);
    if (verdict != OPTION_GOOD)
        option_text_finish(out);
    return verdict;
}

void option_text_finish(struct option_text *t)
{
    free(t->text);
    free(t->items);
    memset(t, 0, sizeof(*t));
}
