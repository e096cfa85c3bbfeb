/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores as the configuration has them: text by key.  What the keys mean is
 * the business of the backend's option table.
 */
#include "services/config_internal.h"

#include <string.h>

size_t config_n_stores(const struct config *c)
{
    return c->n_stores;
}

const char *config_store(const struct config *c, size_t i)
{
    return c->stores[i].name;
}

struct config_section *config_find_store(const struct config *c,
                                         const char *name)
{
    for (size_t i = 0; i < c->n_stores; i++)
        if (strcmp(c->stores[i].name, name) == 0)
            return &c->stores[i];
    return NULL;
}

bool config_has_store(const struct config *c, const char *name)
{
    return config_find_store(c, name) != NULL;
}

static int check_new_store(const struct config *c, const char *name,
                           struct persist_error *err)
{
    if (!config_is_store_name(name)) {
        error_set(err, PERSIST_E_CONFIG, "\"%.100s\" is no name for a store",
                  name);
        error_hint(err, "1 to 32 of a-z, 0-9, - and _");
        return PERSIST_E_CONFIG;
    }
    if (c->n_stores == CONFIG_STORES_MAX)
        return error_set(err, PERSIST_E_CONFIG, "more than %d stores",
                         CONFIG_STORES_MAX);
    for (size_t i = 0; i < c->n_stores; i++)
        if (config_names_collide(c->stores[i].name, name))
            return error_set(err, PERSIST_E_CONFIG,
                             "stores %s and %s share the same environment "
                             "variables",
                             c->stores[i].name, name);
    return PERSIST_OK;
}

int config_new_store(struct config *c, const char *name,
                     struct config_section **out, struct persist_error *err)
{
    void *items = c->stores;

    int rc = check_new_store(c, name, err);
    if (rc != PERSIST_OK)
        return rc;
    if (!config_grow(&items, c->n_stores, &c->stores_cap,
                     sizeof(struct config_section)))
        return error_memory(err);
    c->stores = items;
    char *kept = config_keep_text(&c->arena, name);
    if (!kept)
        return error_memory(err);
    *out = &c->stores[c->n_stores++];
    **out = (struct config_section){.name = kept, .file = CONFIG_NO_FILE};
    return PERSIST_OK;
}

/* ------------------------------------------------------------------ lookup */

void config_store_get(const struct config *c, const char *store,
                      const char *key, struct config_value *out)
{
    const struct config_section *s = config_find_store(c, store);
    const struct config_entry *own = s ? config_find(s, key) : NULL;
    const struct config_variable *v = NULL;
    bool of_persist = config_find_key(key) != NULL;

    *out = (struct config_value){0};
    const struct config_entry *entry =
        of_persist ? NULL : config_find(&c->settings, key);
    if (!entry && own && own->strong)
        entry = own;
    if (!entry)
        v = config_store_variable(c, store, key);
    if (!entry && !v && !of_persist)
        v = config_variable(c, key);
    if (!entry && !v)
        entry = own;
    if (entry)
        config_value_of(c, entry, out);
    else if (v)
        *out = (struct config_value){.text = v->text,
                                     .all = v->text,
                                     .origin = v->name,
                                     .trusted = true};
}

/* ------------------------------------------------------------ all its keys */

struct walk {
    const struct config *c;
    const struct config_section *store;
    config_key_fn each;
    void *ctx;
};

static int visit(const struct walk *w, const char *key)
{
    struct config_value value;
    config_store_get(w->c, w->store->name, key, &value);
    return w->each(w->ctx, key, &value);
}

static int visit_settings(const struct walk *w)
{
    const struct config_section *settings = &w->c->settings;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < settings->n_entries; i++) {
        const char *key = settings->entries[i].key;
        if (!config_find_key(key) && !config_find(w->store, key))
            rc = visit(w, key);
    }
    return rc;
}

static int visit_variables(const struct walk *w)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->c->n_variables; i++) {
        const char *key =
            config_variable_key(w->c, w->store->name, &w->c->variables[i]);
        if (key && !config_find(w->store, key) &&
            !config_find(&w->c->settings, key))
            rc = visit(w, key);
    }
    return rc;
}

int config_store_each(const struct config *c, const char *store,
                      config_key_fn each, void *ctx)
{
    struct walk w = {c, config_find_store(c, store), each, ctx};
    int rc = 0;

    if (!w.store)
        return 0;
    for (size_t i = 0; rc == 0 && i < w.store->n_entries; i++)
        rc = visit(&w, w.store->entries[i].key);
    if (rc == 0)
        rc = visit_settings(&w);
    if (rc == 0)
        rc = visit_variables(&w);
    return rc;
}

/* ------------------------------------------------------------------ adding */

int config_add_store(struct config *c, const char *name, const char *origin,
                     struct persist_error *err)
{
    struct config_section *s;

    if (config_find_store(c, name))
        return error_set(err, PERSIST_E_CONFIG, "%s: there is a store %s",
                         origin, name);
    int rc = config_new_store(c, name, &s, err);
    if (rc == PERSIST_E_CONFIG)
        error_prefix(err, "%s", origin);
    return rc;
}

int config_add_store_value(struct config *c, const char *name, const char *key,
                           const char *value, const char *origin,
                           struct persist_error *err)
{
    struct config_section *s = config_find_store(c, name);
    struct config_entry entry = {.key = key,
                                 .text = value,
                                 .origin = origin,
                                 .file = CONFIG_NO_FILE,
                                 .strong = strcmp(origin, "default") != 0};

    if (!s)
        return error_set(err, PERSIST_E_NOT_FOUND, "%s: there is no store %s",
                         origin, name);
    if (!config_is_key_name(key)) {
        error_set(err, PERSIST_E_CONFIG, "%s: \"%.100s\" is no key", origin,
                  key);
        error_hint(err, "a key holds only a-z, 0-9 and _, at most 40");
        return PERSIST_E_CONFIG;
    }
    return config_put(c, s, &entry, err);
}
