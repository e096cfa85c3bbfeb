/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's section against its plugin's option table.
 *
 * Reads every value once, by key and by alias, through services/config, which
 * knows precedence and origins; parses it with backend/option_value; and goes
 * on after a problem, so that one run tells a user everything that is wrong.
 * Does not open the store and does not log: deprecated keys are reported by
 * backend_store_open, which has a log.
 */
#include "backend/options.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/option_check.h"
#include "backend/option_value.h"
#include "posix/os.h"
#include "util/buf.h"
#include "util/secret.h"
#include "util/text.h"

#define MAX_IO_MAX 1024

struct problems {
    struct buf shown; /* as many as a message holds, "; " between */
    struct buf rest;  /* the others */
    size_t n;
    bool memory;
    char hint[256]; /* of a secret that cannot be read, or "" */
};

struct resolve {
    const struct plugin *plugin;
    const struct config *config;
    const char *store;
    const char *home;
    struct option_values *out;
    struct problems problems;
};

/* ------------------------------------------------------------- problems */

/* Takes the finished text of one problem. */
static void add_problem(struct problems *p, struct buf *text)
{
    size_t len = text->len;
    /* Room for "store <32>: 999 problems: " is kept free. */
    bool fits = p->shown.len + len + 2 < 440;
    struct buf *to = fits && p->rest.len == 0 ? &p->shown : &p->rest;

    if (to->len)
        buf_puts(to, "; ");
    buf_append(to, text->data ? text->data : "", len);
    p->n++;
    buf_finish(text);
}

static void problem_of_value(struct resolve *r, const char *key,
                             const struct config_value *value, const char *why)
{
    struct buf text;

    buf_init(&text, 400);
    buf_printf(&text, "%s = %.60s", key, value->text);
    if (value->origin && strcmp(value->origin, "default") != 0)
        buf_printf(&text, " (%.120s)", value->origin);
    buf_printf(&text, " %.160s", why);
    add_problem(&r->problems, &text);
}

static void problem_of_key(struct resolve *r, const char *key,
                           const char *origin, const char *why)
{
    struct buf text;

    buf_init(&text, 400);
    buf_printf(&text, "%.60s", key);
    if (origin)
        buf_printf(&text, " (%.120s)", origin);
    buf_printf(&text, " %.160s", why);
    add_problem(&r->problems, &text);
}

/* --------------------------------------------------------------- values */

/* The text that is in force, under the key or its alias; false where both are
 * given, since no rule says which one wins. */
static bool lookup(struct resolve *r, const struct persist_backend_option *o,
                   struct config_value *out)
{
    struct config_value by_alias = {0};

    config_store_get(r->config, r->store, o->key, out);
    if (o->alias)
        config_store_get(r->config, r->store, o->alias, &by_alias);
    if (out->text && by_alias.text) {
        problem_of_key(r, o->alias, by_alias.origin,
                       "is another name of an option that is given too");
        return false;
    }
    if (!out->text)
        *out = by_alias;
    return true;
}

/* Moves a parsed text into the value the plugin sees. */
static void fill_value(struct persist_backend_value *v,
                       const struct option_text *t,
                       const struct persist_backend_option *o)
{
    bool is_list = o->type == PERSIST_BACKEND_LIST;

    v->text = is_list ? NULL : t->text;
    v->items = is_list ? (const char *const *)t->items : NULL;
    v->n_items = (uint32_t)t->n_items;
    v->number = t->number;
}

static void resolve_text(struct resolve *r, size_t i)
{
    const struct persist_backend_option *o = &r->plugin->options[i];
    struct persist_backend_value *v = &r->out->values[i];
    struct config_value given = {0};
    enum option_verdict verdict;
    struct buf why;

    if (!lookup(r, o, &given))
        return;
    if (given.text && o->type == PERSIST_BACKEND_LIST &&
        (o->flags & PERSIST_BACKEND_REPEATABLE))
        given.text = given.all;
    const char *text = given.text ? given.text : o->default_text;
    if (!text) {
        if (o->flags & PERSIST_BACKEND_REQUIRED)
            problem_of_key(r, o->key, NULL, "is required and not set");
        return;
    }
    buf_init(&why, 400);
    verdict = option_text_parse(o, text, r->home, &r->out->owned[i], &why);
    if (verdict == OPTION_MEMORY)
        r->problems.memory = true;
    if (verdict == OPTION_BAD) {
        given.text = text;
        problem_of_value(r, o->key, &given, why.data ? why.data : "is wrong");
    }
    buf_finish(&why);
    if (verdict != OPTION_GOOD)
        return;
    if ((o->flags & PERSIST_BACKEND_REQUIRED) && *text == '\0')
        problem_of_key(r, o->key, given.origin, "is required and empty");
    fill_value(v, &r->out->owned[i], o);
    v->flags =
        given.text ? PERSIST_BACKEND_VALUE_SET : PERSIST_BACKEND_VALUE_DEFAULT;
}

static struct secret *read_secret(struct resolve *r, const char *key)
{
    struct secret *secret = NULL;
    struct config_value value = {0};
    struct persist_error err = {0};
    int rc =
        config_store_secret(r->config, r->store, key, &secret, &value, &err);

    if (rc == PERSIST_E_MEMORY) {
        r->problems.memory = true;
    } else if (rc != PERSIST_OK) {
        struct buf text;
        buf_init(&text, 400);
        buf_printf(&text, "%.300s", err.message);
        add_problem(&r->problems, &text);
        snprintf(r->problems.hint, sizeof(r->problems.hint), "%s", err.hint);
    }
    return rc == PERSIST_OK ? secret : NULL;
}

static void resolve_secret(struct resolve *r, size_t i)
{
    const struct persist_backend_option *o = &r->plugin->options[i];
    size_t problems = r->problems.n;
    struct secret *secret = read_secret(r, o->key);
    struct secret *by_alias = o->alias ? read_secret(r, o->alias) : NULL;

    if (secret && by_alias)
        problem_of_key(r, o->alias, NULL,
                       "is another name of an option that is given too");
    if (!secret) {
        secret = by_alias;
        by_alias = NULL;
    }
    secret_destroy(by_alias);
    r->out->secrets[i] = secret;
    if (secret)
        r->out->values[i].flags = PERSIST_BACKEND_VALUE_SET;
    else if ((o->flags & PERSIST_BACKEND_REQUIRED) &&
             problems == r->problems.n && !r->problems.memory)
        problem_of_key(r, o->key, NULL,
                       "is required and not set, nor is its _file or _command");
}

/* ---------------------------------------------------------- the core's keys */

static const char *const durabilities[] = {"full", "file", NULL};
static const char *const thread_models[] = {"parallel", "serial", NULL};

/* The core's keys in the words of a plugin's, so that one parser reads both. */
static const struct persist_backend_option core_options[] = {
    {.key = "accept_durability",
     .default_text = "full",
     .choices = durabilities,
     .type = PERSIST_BACKEND_CHOICE},
    {.key = "max_io",
     .min = 1,
     .max = MAX_IO_MAX,
     .type = PERSIST_BACKEND_INT,
     .flags = PERSIST_BACKEND_HAS_MIN | PERSIST_BACKEND_HAS_MAX},
    {.key = "thread_model",
     .choices = thread_models,
     .type = PERSIST_BACKEND_CHOICE},
};

static void apply_core(struct resolve *r,
                       const struct persist_backend_option *o,
                       const struct config_value *given,
                       const struct option_text *t)
{
    struct option_values *out = r->out;

    if (o == &core_options[0])
        out->accept_file_durability = strcmp(t->text, "file") == 0;
    if (o == &core_options[1])
        out->max_io = (uint32_t)t->number;
    if (o != &core_options[2])
        return;
    out->serial = strcmp(t->text, "serial") == 0;
    if (!out->serial &&
        r->plugin->descriptor.thread_model == PERSIST_BACKEND_SERIAL)
        problem_of_value(r, o->key, given,
                         "cannot raise the thread model of a serial backend");
}

/* max_io of [persist] is the process's; only the section's own counts here,
 * and config_store_get never answers with keys of [persist]. */
static void resolve_core(struct resolve *r)
{
    for (size_t i = 0; i < sizeof(core_options) / sizeof(core_options[0]);
         i++) {
        const struct persist_backend_option *o = &core_options[i];
        struct config_value given = {0};
        struct option_text value;
        struct buf why;
        enum option_verdict verdict;

        config_store_get(r->config, r->store, o->key, &given);
        if (!given.text)
            continue;
        buf_init(&why, 400);
        verdict = option_text_parse(o, given.text, r->home, &value, &why);
        if (verdict == OPTION_GOOD) {
            apply_core(r, o, &given, &value);
            option_text_finish(&value);
        } else if (verdict == OPTION_BAD) {
            problem_of_value(r, o->key, &given, why.data ? why.data : "");
        } else {
            r->problems.memory = true;
        }
        buf_finish(&why);
    }
}

/* ------------------------------------------------------------ unknown keys */

static bool is_known(const struct plugin *plugin, const char *key)
{
    for (size_t i = 0; option_core_keys[i]; i++)
        if (strcmp(option_core_keys[i], key) == 0)
            return true;
    for (size_t i = 0; i < plugin->n_options; i++)
        if (option_answers_to(&plugin->options[i], key))
            return true;
    return false;
}

struct known {
    struct resolve *r;
    const char **keys; /* NULL-terminated: for suggestions */
};

static int check_known(void *ctx, const char *key,
                       const struct config_value *value)
{
    struct known *known = ctx;
    struct buf why;

    if (is_known(known->r->plugin, key))
        return 0;
    const char *near = text_suggest(key, known->keys);
    buf_init(&why, 200);
    buf_puts(&why, "is no option of this backend");
    if (near)
        buf_printf(&why, "; did you mean %s?", near);
    problem_of_key(known->r, key, value->origin, why.data ? why.data : "");
    buf_finish(&why);
    return 0;
}

static void find_unknown(struct resolve *r)
{
    size_t n = 0;
    struct known known = {
        r, calloc(r->plugin->n_options + 8, sizeof(*known.keys))};

    if (!known.keys) {
        r->problems.memory = true;
        return;
    }
    for (size_t i = 0; i < r->plugin->n_options; i++)
        known.keys[n++] = r->plugin->options[i].key;
    for (size_t i = 0; option_core_keys[i]; i++)
        known.keys[n++] = option_core_keys[i];
    config_store_each(r->config, r->store, check_known, &known);
    free(known.keys);
}

/* ------------------------------------------------------------------ whole */

static int report(struct resolve *r, struct persist_error *err)
{
    struct problems *p = &r->problems;

    if (p->memory || buf_failed(&p->shown))
        return error_memory(err);
    if (p->n == 0)
        return PERSIST_OK;
    if (p->n == 1)
        error_set(err, PERSIST_E_CONFIG, "store %s: %s", r->store,
                  p->shown.data);
    else
        error_set(err, PERSIST_E_CONFIG, "store %s has %zu problems: %s",
                  r->store, p->n, p->shown.data ? p->shown.data : "");
    error_object(err, "%s", r->store);
    if (p->rest.len)
        error_hint(err, "and: %s", p->rest.data);
    else if (p->n == 1 && p->hint[0])
        error_hint(err, "%s", p->hint);
    else
        error_hint(err, "`persist backends %s` shows its options",
                   r->plugin->descriptor.name);
    return PERSIST_E_CONFIG;
}

/* The environment of a setuid process is not believed. */
static const char *home_directory(char *scratch, size_t len)
{
    const char *home = os_getenv("HOME");
    struct passwd entry;
    struct passwd *found = NULL;

    if (home && home[0] == '/')
        return home;
    if (getpwuid_r(geteuid(), &entry, scratch, len, &found) != 0 || !found)
        return NULL;
    return found->pw_dir;
}

static bool allocate(struct option_values *v, size_t n)
{
    size_t at_least = n ? n : 1;

    v->n = n;
    v->values = calloc(at_least, sizeof(*v->values));
    v->secrets = calloc(at_least, sizeof(struct secret *));
    v->owned = calloc(at_least, sizeof(*v->owned));
    return v->values && v->secrets && v->owned;
}

int option_values_resolve(const struct plugin *plugin,
                          const struct config *config, const char *store,
                          struct option_values *out, struct persist_error *err)
{
    char scratch[4096];
    struct option_values values = {0};
    struct resolve r = {.plugin = plugin,
                        .config = config,
                        .store = store,
                        .home = home_directory(scratch, sizeof(scratch)),
                        .out = &values};
    int rc;

    buf_init(&r.problems.shown, 512);
    buf_init(&r.problems.rest, 65536);
    if (!allocate(&values, plugin->n_options)) {
        option_values_finish(&values);
        return error_memory(err);
    }
    find_unknown(&r);
    for (size_t i = 0; i < plugin->n_options; i++) {
        values.values[i].key = plugin->options[i].key;
        if (plugin->options[i].type == PERSIST_BACKEND_SECRET)
            resolve_secret(&r, i);
        else
            resolve_text(&r, i);
    }
    resolve_core(&r);
    rc = report(&r, err);
    buf_finish(&r.problems.shown);
    buf_finish(&r.problems.rest);
    if (rc == PERSIST_OK)
        *out = values;
    else
        option_values_finish(&values);
    return rc;
}

void option_values_finish(struct option_values *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++) {
        if (v->secrets)
            secret_destroy(v->secrets[i]);
        if (v->owned)
            option_text_finish(&v->owned[i]);
    }
    free(v->values);
    free(v->secrets);
    free(v->owned);
    memset(v, 0, sizeof(*v));
}
