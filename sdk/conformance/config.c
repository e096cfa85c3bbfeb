/* SPDX-License-Identifier: 0BSD */
/*
 * Parses option values: see config.h.
 *
 * Accepts what the Persist host accepts, without its niceties (no suggestions,
 * no KEY_file and KEY_command): a backend sees the same values.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct persist_backend_option *
config_option(const struct persist_backend_descriptor *d, size_t i)
{
    return (const void *)((const char *)d->options + i * d->option_size);
}

static void *own(struct config *c, void *memory)
{
    void **grown = realloc(c->owned, (c->n_owned + 1) * sizeof(*grown));
    if (!memory || !grown) {
        fprintf(stderr, "persist-backend-conformance: out of memory\n");
        exit(2);
    }
    c->owned = grown;
    c->owned[c->n_owned++] = memory;
    return memory;
}

struct unit {
    const char *name;
    int64_t factor;
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1},          {"B", 1},         {"K", 1 << 10},
    {"M", 1 << 20},   {"G", 1 << 30},   {"T", INT64_C(1) << 40},
    {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
    {NULL, 0}};
static const struct unit time_units[] = {{"ms", 1},       {"s", 1000},
                                         {"m", 60000},    {"h", 3600000},
                                         {"d", 86400000}, {NULL, 0}};

static int parse_number(const char *text, const struct unit *units,
                        int64_t *out)
{
    char *end;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (end == text || errno)
        return -1;
    for (; units->name; units++) {
        if (strcmp(end, units->name) != 0)
            continue;
        if (number > INT64_MAX / units->factor ||
            number < INT64_MIN / units->factor)
            return -1;
        *out = number * units->factor;
        return 0;
    }
    return -1;
}

static int parse_bool(const char *text, int64_t *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off",
                                        "on",    "0",    "1",  NULL};
    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2;
            return 0;
        }
    }
    return -1;
}

static int parse_choice(const struct persist_backend_option *o,
                        const char *text)
{
    for (size_t i = 0; o->choices && o->choices[i]; i++)
        if (strcmp(text, o->choices[i]) == 0)
            return 0;
    return -1;
}

static char *expand_path(struct config *c, const char *text)
{
    const char *home = getenv("HOME");
    if (text[0] != '~' || text[1] != '/' || !home)
        return own(c, strdup(text));
    size_t cap = strlen(home) + strlen(text);
    char *path = own(c, malloc(cap));
    snprintf(path, cap, "%s%s", home, text + 1);
    return path;
}

static void add_items(struct config *c, struct persist_backend_value *v,
                      const char *text)
{
    char *copy = own(c, strdup(text));
    size_t n = v->n_items + 1;
    for (const char *at = text; *at; at++)
        n += *at == ',';
    const char **items = own(c, calloc(n, sizeof(*items)));
    if (v->n_items)
        memcpy(items, v->items, v->n_items * sizeof(*items));
    char *save = NULL;
    for (char *item = strtok_r(copy, ",", &save); item;
         item = strtok_r(NULL, ",", &save))
        items[v->n_items++] = item;
    v->items = items;
}

static int parse_value(struct config *c, size_t i, const char *text)
{
    const struct persist_backend_option *o = c->options[i];
    struct persist_backend_value *v = &c->values[i];
    switch (o->type) {
    case PERSIST_BACKEND_INT:
        return parse_number(text, no_units, &v->number);
    case PERSIST_BACKEND_SIZE:
        return parse_number(text, size_units, &v->number);
    case PERSIST_BACKEND_DURATION:
        return parse_number(text, time_units, &v->number);
    case PERSIST_BACKEND_BOOL:
        return parse_bool(text, &v->number);
    case PERSIST_BACKEND_LIST:
        add_items(c, v, text);
        return 0;
    case PERSIST_BACKEND_SECRET:
        c->secrets[i] = own(c, strdup(text));
        return 0;
    case PERSIST_BACKEND_PATH:
        v->text = expand_path(c, text);
        return 0;
    case PERSIST_BACKEND_CHOICE:
    case PERSIST_BACKEND_STRING:
    case PERSIST_BACKEND_URL:
        v->text = own(c, strdup(text));
        return o->type == PERSIST_BACKEND_CHOICE ? parse_choice(o, text) : 0;
    default:
        return -1;
    }
}

static int in_range(const struct persist_backend_option *o, int64_t number)
{
    if ((o->flags & PERSIST_BACKEND_HAS_MIN) && number < o->min)
        return 0;
    return !((o->flags & PERSIST_BACKEND_HAS_MAX) && number > o->max);
}

static int set_value(struct config *c, size_t i, const char *text,
                     uint32_t flag, char *why, size_t cap)
{
    const struct persist_backend_option *o = c->options[i];
    if (parse_value(c, i, text) || !in_range(o, c->values[i].number)) {
        snprintf(why, cap, "option %s cannot be '%s'", o->key, text);
        return -1;
    }
    c->values[i].flags = flag;
    return 0;
}

static int matches(const struct config_setting *s, const char *name)
{
    return name && strlen(name) == s->key_len &&
           memcmp(name, s->key, s->key_len) == 0;
}

static int apply(struct config *c, const struct config_setting *s, char *why,
                 size_t cap)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct persist_backend_option *o = c->options[i];
        if (matches(s, o->key) || matches(s, o->alias))
            return set_value(c, i, s->value, PERSIST_BACKEND_VALUE_SET, why,
                             cap);
    }
    snprintf(why, cap, "the backend has no option %.*s", (int)s->key_len,
             s->key);
    return -1;
}

static int complete(struct config *c, char *why, size_t cap)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct persist_backend_option *o = c->options[i];
        if (c->values[i].flags)
            continue;
        if (o->flags & PERSIST_BACKEND_REQUIRED) {
            snprintf(why, cap, "option %s is required: --set %s=...", o->key,
                     o->key);
            return -1;
        }
        if (o->default_text &&
            set_value(c, i, o->default_text, PERSIST_BACKEND_VALUE_DEFAULT, why,
                      cap))
            return -1;
    }
    return 0;
}

int config_build(struct config *c, const struct persist_backend_descriptor *d,
                 const struct config_setting *settings, size_t n_settings,
                 char *why, size_t cap)
{
    memset(c, 0, sizeof(*c));
    c->n = d->n_options;
    c->values = own(c, calloc(c->n + 1, sizeof(*c->values)));
    c->options = own(c, calloc(c->n + 1, sizeof(*c->options)));
    c->secrets = own(c, calloc(c->n + 1, sizeof(*c->secrets)));
    for (size_t i = 0; i < c->n; i++) {
        c->options[i] = config_option(d, i);
        c->values[i].key = c->options[i]->key;
    }
    for (size_t i = 0; i < n_settings; i++)
        if (apply(c, &settings[i], why, cap))
            return -1;
    return complete(c, why, cap);
}

void config_finish(struct config *c)
{
    for (size_t i = 0; i < c->n_owned; i++)
        free(c->owned[i]);
    free(c->owned);
    memset(c, 0, sizeof(*c));
}

static int is_key(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    return key && *key && strlen(key) <= 40 &&
           strspn(key, allowed) == strlen(key);
}

/* Keys that mean the same in every store: the host's. */
static int is_reserved(const char *key)
{
    static const char *const reserved[] = {"backend", "accept_durability",
                                           "max_io", "thread_model"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcmp(key, reserved[i]) == 0)
            return 1;
    return 0;
}

static const char *check_option(const struct persist_backend_option *o)
{
    if (!is_key(o->key))
        return "its key is not [a-z0-9_]{1,40}";
    if (o->alias && !is_key(o->alias))
        return "its alias is not [a-z0-9_]{1,40}";
    if (is_reserved(o->key) || (o->alias && is_reserved(o->alias)))
        return "its key or alias is one of Persist itself";
    if (o->type < PERSIST_BACKEND_STRING || o->type > PERSIST_BACKEND_LIST)
        return "its type is unknown";
    if (!o->help || !*o->help || strchr(o->help, '\n'))
        return "its help is not one line";
    if (o->help[strlen(o->help) - 1] == '.')
        return "its help ends with a full stop";
    if (o->type == PERSIST_BACKEND_CHOICE && (!o->choices || !o->choices[0]))
        return "it is a choice without choices";
    if (o->type != PERSIST_BACKEND_CHOICE && o->choices)
        return "it has choices and is none";
    if (o->type != PERSIST_BACKEND_LIST &&
        (o->flags & PERSIST_BACKEND_REPEATABLE))
        return "it is repeatable and no list";
    if (o->type == PERSIST_BACKEND_SECRET && o->default_text)
        return "it is a secret with a default";
    if ((o->flags & PERSIST_BACKEND_REQUIRED) && o->default_text)
        return "it is required and has a default";
    if ((o->flags & PERSIST_BACKEND_HAS_MIN) &&
        (o->flags & PERSIST_BACKEND_HAS_MAX) && o->min > o->max)
        return "its minimum is above its maximum";
    return NULL;
}

static int is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static const char *check_unique(const struct persist_backend_descriptor *d,
                                size_t i)
{
    const struct persist_backend_option *o = config_option(d, i);
    if (is_same(o->key, o->alias))
        return "it is its own alias";
    for (size_t k = 0; k < i; k++) {
        const struct persist_backend_option *other = config_option(d, k);
        if (is_same(o->key, other->key) || is_same(o->key, other->alias) ||
            is_same(o->alias, other->key) || is_same(o->alias, other->alias))
            return "its key or alias is another option's too";
    }
    return NULL;
}

static const char *check_default(const struct persist_backend_option *o)
{
    const char *problem = NULL;
    struct persist_backend_value value = {.key = o->key};
    const char *secret = NULL;
    struct config one = {
        .values = &value, .options = &o, .secrets = &secret, .n = 1};
    char why[256];
    if (o->default_text &&
        set_value(&one, 0, o->default_text, 0, why, sizeof(why)))
        problem = "its default is not one of its values";
    for (size_t i = 0; i < one.n_owned; i++)
        free(one.owned[i]);
    free(one.owned);
    return problem;
}

void config_check_table(const struct persist_backend_descriptor *d, char *why,
                        size_t cap)
{
    why[0] = '\0';
    for (size_t i = 0; i < d->n_options; i++) {
        const struct persist_backend_option *o = config_option(d, i);
        const char *problem = check_option(o);
        if (!problem)
            problem = check_unique(d, i);
        if (!problem)
            problem = check_default(o);
        if (problem) {
            snprintf(why, cap, "option %zu (%s): %s", i, o->key ? o->key : "?",
                     problem);
            return;
        }
    }
}
