/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a configuration and finding a value in it.  Files, environment and
 * settings are kept apart, each with its origin, and meet only at lookup.
 */
#include "services/config_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "posix/os.h"
#include "util/secret.h"
#include "util/text.h"

bool config_grow(void **items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 8;
    void *grown = more <= SIZE_MAX / size ? realloc(*items, more * size) : NULL;
    if (!grown)
        return false;
    *items = grown;
    *cap = more;
    return true;
}

struct config_entry *config_find(const struct config_section *s,
                                 const char *key)
{
    for (size_t i = 0; i < s->n_entries; i++)
        if (strcmp(s->entries[i].key, key) == 0)
            return &s->entries[i];
    return NULL;
}

/* Settings, and values of a program, may be given again; files may not, and a
 * later file is another word, not one more. */
static const char *join_again(struct config *c, const struct config_section *s,
                              const struct config_entry *before,
                              const struct config_entry *entry,
                              const char *text)
{
    bool again =
        before && (s == &c->settings || (before->strong && entry->strong));
    char *joined, *kept;

    if (!again)
        return text;
    joined = text_format("%s,%s", before->all, text);
    kept = joined ? config_keep_text(&c->arena, joined) : NULL;
    if (joined)
        secret_wipe(joined, strlen(joined));
    free(joined);
    return kept;
}

int config_put(struct config *c, struct config_section *s,
               const struct config_entry *entry, struct persist_error *err)
{
    struct config_entry *place = config_find(s, entry->key);
    const char *key = place ? place->key : NULL;
    const struct config_entry *before = place;

    if (!place && s->n_entries == CONFIG_KEYS_MAX)
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: more than %d keys in one place", entry->origin,
                         CONFIG_KEYS_MAX);
    if (!place) {
        void *items = s->entries;
        if (!config_grow(&items, s->n_entries, &s->cap, sizeof(*entry)))
            return error_memory(err);
        s->entries = items;
        place = &s->entries[s->n_entries];
        key = config_keep_text(&c->arena, entry->key);
    }
    const char *text = config_keep_text(&c->arena, entry->text);
    const char *origin = config_keep_text(&c->arena, entry->origin);
    const char *all = text ? join_again(c, s, before, entry, text) : NULL;
    if (!key || !text || !origin || !all)
        return error_memory(err);
    s->n_entries += place == &s->entries[s->n_entries];
    *place = *entry;
    place->key = key;
    place->text = text;
    place->all = all;
    place->origin = origin;
    return PERSIST_OK;
}

/* ---------------------------------------------------------------- settings */

static int put_setting(struct config *c, const char *setting,
                       struct persist_error *err)
{
    const char *equals = strchr(setting, '=');
    char key[CONFIG_NAME_MAX + 1] = "";

    if (equals && equals - setting <= CONFIG_NAME_MAX)
        memcpy(key, setting, (size_t)(equals - setting));
    if (!config_is_key_name(key)) {
        error_set(err, PERSIST_E_INVALID,
                  "a setting is key=value, not \"%.100s\"",
                  equals ? key : setting);
        error_hint(err, "a key holds only a-z, 0-9 and _");
        return PERSIST_E_INVALID;
    }
    struct config_entry entry = {.key = key,
                                 .text = equals + 1,
                                 .origin = "setting",
                                 .file = CONFIG_NO_FILE};
    return config_put(c, &c->settings, &entry, err);
}

static int load_settings(struct config *c, const struct config_sources *sources,
                         struct persist_error *err)
{
    for (size_t i = 0; i < sources->n_settings; i++) {
        int rc = put_setting(c, sources->settings[i], err);
        if (rc != PERSIST_OK)
            return rc;
    }
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- loading */

/* Values in files were checked where their lines were read; these come from
 * elsewhere. */
static int check_all(const struct config *c, struct persist_error *err)
{
    for (const char *const *name = config_keys(); *name; name++) {
        const struct config_entry *setting = config_find(&c->settings, *name);
        const struct config_variable *v = config_variable(c, *name);
        const struct config_key *key = config_find_key(*name);
        int rc = PERSIST_OK;
        if (setting)
            rc = config_check_value(key, setting->text, setting->origin, err);
        if (rc == PERSIST_OK && v)
            rc = config_check_value(key, v->text, v->name, err);
        if (rc != PERSIST_OK)
            return rc;
    }
    return PERSIST_OK;
}

int config_load(const struct config_sources *sources, struct config **out,
                struct persist_error *err)
{
    *out = NULL;
    struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return error_memory(err);
    int rc = config_load_environment(c, sources, os_is_privileged(), err);
    if (rc == PERSIST_OK)
        rc = config_load_files(c, sources, err);
    if (rc == PERSIST_OK)
        rc = load_settings(c, sources, err);
    if (rc == PERSIST_OK)
        rc = check_all(c, err);
    if (rc != PERSIST_OK) {
        config_destroy(c);
        return rc;
    }
    *out = c;
    return PERSIST_OK;
}

void config_destroy(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_stores; i++)
        free(c->stores[i].entries);
    free(c->stores);
    free(c->persist.entries);
    free(c->settings.entries);
    free(c->variables);
    free(c->files);
    config_arena_finish(&c->arena);
    free(c);
}

/* ------------------------------------------------------------------ lookup */

void config_value_of(const struct config *c, const struct config_entry *entry,
                     struct config_value *out)
{
    const struct config_file *file =
        entry->file == CONFIG_NO_FILE ? NULL : &c->files[entry->file];
    out->text = entry->text;
    out->all = entry->all;
    out->origin = entry->origin;
    out->trusted = !file || (!file->foreign && !file->shared);
}

int config_get(const struct config *c, const char *key,
               struct config_value *out, struct persist_error *err)
{
    *out = (struct config_value){0};
    int rc = config_check_key(key, "config_get", err);
    if (rc != PERSIST_OK)
        return rc;

    const struct config_variable *v = config_variable(c, key);
    const struct config_entry *entry = config_find(&c->settings, key);
    if (!entry && v) {
        *out = (struct config_value){.text = v->text,
                                     .all = v->text,
                                     .origin = v->name,
                                     .trusted = true};
        return PERSIST_OK;
    }
    if (!entry)
        entry = config_find(&c->persist, key);
    if (entry)
        config_value_of(c, entry, out);
    else
        *out = (struct config_value){
            .text = config_find_key(key)->default_text,
            .all = config_find_key(key)->default_text,
            .origin = "default",
            .trusted = true,
        };
    return PERSIST_OK;
}

size_t config_n_files(const struct config *c)
{
    return c->n_files;
}

const char *config_file(const struct config *c, size_t i, bool *out_read)
{
    if (out_read)
        *out_read = c->files[i].read;
    return c->files[i].path;
}
