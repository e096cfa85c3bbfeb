/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of an option table (persist/backend.h, "options"): spelling,
 * uniqueness, flags that do not contradict each other, defaults that the
 * option's own rules accept.  Bits that a newer minor may have added are not
 * looked at: min_host_minor is how a plugin says that it needs them.
 */
#include "backend/option_check.h"

#include <string.h>

#include "backend/option_value.h"
#include "util/text.h"

#define KEY_LEN_MAX 40
#define CHOICES_MAX 256

const char *const option_core_keys[] = {
    "backend", "accept_durability", "max_io", "thread_model", NULL,
};

static bool is_key(const char *key)
{
    size_t n = 0;

    for (; n <= KEY_LEN_MAX && key[n] != '\0'; n++)
        if (!text_is_lower(key[n]) && !text_is_digit(key[n]) && key[n] != '_')
            return false;
    return n > 0 && n <= KEY_LEN_MAX;
}

static bool is_number(const struct persist_backend_option *o)
{
    return o->type == PERSIST_BACKEND_INT || o->type == PERSIST_BACKEND_SIZE ||
           o->type == PERSIST_BACKEND_DURATION;
}

bool option_answers_to(const struct persist_backend_option *o, const char *key)
{
    static const char *const of_secret[] = {"", "_file", "_command"};
    const char *const names[] = {o->key, o->alias};
    size_t n = o->type == PERSIST_BACKEND_SECRET ? 3 : 1;

    for (size_t i = 0; i < 2; i++) {
        size_t len = names[i] ? strlen(names[i]) : 0;
        if (!names[i] || strncmp(key, names[i], len) != 0)
            continue;
        for (size_t k = 0; k < n; k++)
            if (strcmp(key + len, of_secret[k]) == 0)
                return true;
    }
    return false;
}

static bool is_core_key(const char *key)
{
    for (size_t i = 0; option_core_keys[i]; i++)
        if (strcmp(option_core_keys[i], key) == 0)
            return true;
    return false;
}

static const char *check_names(const struct persist_backend_option *options,
                               size_t n, size_t at)
{
    const struct persist_backend_option *o = &options[at];

    if (o->alias && !is_key(o->alias))
        return "has a malformed alias";
    if (is_core_key(o->key) || (o->alias && is_core_key(o->alias)))
        return "takes a key of Persist itself";
    if (o->alias && strcmp(o->key, o->alias) == 0)
        return "is its own alias";
    for (size_t i = 0; i < n; i++)
        if (i != at && (option_answers_to(&options[i], o->key) ||
                        (o->alias && option_answers_to(&options[i], o->alias))))
            return "has a key that another option has too";
    return NULL;
}

static const char *check_choices(const struct persist_backend_option *o)
{
    size_t n = 0;

    if (o->type != PERSIST_BACKEND_CHOICE)
        return o->choices ? "has choices and is none" : NULL;
    if (!o->choices || !o->choices[0])
        return "is a choice without choices";
    for (; n < CHOICES_MAX && o->choices[n]; n++)
        if (o->choices[n][0] == '\0')
            return "has an empty choice";
    return o->choices[n] ? "has too many choices" : NULL;
}

static const char *check_flags(const struct persist_backend_option *o)
{
    uint32_t range = PERSIST_BACKEND_HAS_MIN | PERSIST_BACKEND_HAS_MAX;
    int64_t lowest = o->type == PERSIST_BACKEND_INT ? INT64_MIN : 0;

    if ((o->flags & range) && !is_number(o))
        return "has a range and is no number";
    if ((o->flags & range) == range && o->min > o->max)
        return "has a minimum above its maximum";
    if ((o->flags & PERSIST_BACKEND_HAS_MIN) && o->min < lowest)
        return "has a minimum that cannot be";
    if ((o->flags & PERSIST_BACKEND_HAS_MAX) && o->max < lowest)
        return "has a maximum that cannot be";
    if ((o->flags & PERSIST_BACKEND_REPEATABLE) &&
        o->type != PERSIST_BACKEND_LIST)
        return "is repeatable and no list";
    if ((o->flags & PERSIST_BACKEND_REQUIRED) &&
        (o->default_text || (o->flags & PERSIST_BACKEND_DEPRECATED)))
        return "is required, and has a default or is deprecated";
    if (o->type == PERSIST_BACKEND_SECRET && o->default_text)
        return "is a secret with a default";
    return NULL;
}

static bool check_default(const struct persist_backend_option *o,
                          struct buf *why)
{
    struct option_text value;

    if (!o->default_text)
        return true;
    buf_puts(why, "has a default that ");
    /* Any home will do: here only the spelling counts. */
    if (option_text_parse(o, o->default_text, "/", &value, why) != OPTION_GOOD)
        return false;
    option_text_finish(&value);
    return true;
}

static bool check_one(const struct persist_backend_option *options, size_t n,
                      size_t at, struct buf *why)
{
    const struct persist_backend_option *o = &options[at];
    const char *wrong = NULL;

    buf_printf(why, "option %s ", o->key);
    if (o->type < PERSIST_BACKEND_STRING || o->type > PERSIST_BACKEND_LIST)
        wrong = "has an unknown type";
    if (!wrong)
        wrong = check_names(options, n, at);
    if (!wrong)
        wrong = check_choices(o);
    if (!wrong)
        wrong = check_flags(o);
    if (wrong) {
        buf_puts(why, wrong);
        return false;
    }
    return check_default(o, why);
}

bool option_table_check(const struct persist_backend_option *options, size_t n,
                        struct buf *why)
{
    /* First every key, since the uniqueness check reads all of them. */
    for (size_t i = 0; i < n; i++) {
        if (!options[i].key || !is_key(options[i].key)) {
            buf_printf(why, "option %zu has no key of the form [a-z0-9_]{1,40}",
                       i + 1);
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        buf_clear(why);
        if (!check_one(options, n, i, why))
            return false;
    }
    return true;
}
