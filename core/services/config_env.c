/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment: PERSIST_* variables are copied once, at load, because
 * environ may change under a running program.  Standard variables of cloud SDKs
 * are not read here; they are the plugins' business.
 *
 * Names map by upper-casing letters and turning all but letters and digits into
 * '_'.  PERSIST_STORE_A_B_C may be read as key b_c of store a or as c of a-b:
 * it belongs to the store with the longest name that fits.
 */
#include "services/config_internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/os.h"
#include "util/text.h"

#define PREFIX "PERSIST_"
#define STORE_PREFIX "PERSIST_STORE_"

static char map_char(char c)
{
    if (text_is_lower(c))
        return (char)(c - ('a' - 'A'));
    if (text_is_digit(c) || (c >= 'A' && c <= 'Z'))
        return c;
    return '_';
}

/* Where name begins with text mapped: what follows; else NULL. */
static const char *skip_mapped(const char *name, const char *text)
{
    for (; *text; text++, name++)
        if (*name != map_char(*text))
            return NULL;
    return name;
}

bool config_names_collide(const char *a, const char *b)
{
    for (; *a && map_char(*a) == map_char(*b); a++)
        b++;
    return *a == *b;
}

/* ----------------------------------------------------------------- loading */

static const char *value_of(const char *assignment, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(assignment, name, len) != 0 || assignment[len] != '=')
        return NULL;
    return assignment + len + 1;
}

static const char *find_raw(const char *const *environment, const char *name)
{
    for (; environment && *environment; environment++) {
        const char *value = value_of(*environment, name);
        if (value)
            return value;
    }
    return NULL;
}

static bool is_known(const struct config *c, const char *name, size_t len)
{
    for (size_t i = 0; i < c->n_variables; i++)
        if (strlen(c->variables[i].name) == len &&
            memcmp(c->variables[i].name, name, len) == 0)
            return true;
    return false;
}

static bool keep_variable(struct config *c, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals[1] == '\0' ||
        strncmp(assignment, PREFIX, sizeof(PREFIX) - 1) != 0)
        return true;
    size_t len = (size_t)(equals - assignment);
    if (is_known(c, assignment, len))
        return true; /* getenv finds the first one, too */

    void *items = c->variables;
    if (!config_grow(&items, c->n_variables, &c->variables_cap,
                     sizeof(struct config_variable)))
        return false;
    c->variables = items;
    char *name = config_keep(&c->arena, assignment, len);
    char *lower = config_keep(&c->arena, assignment, len);
    char *text = config_keep_text(&c->arena, equals + 1);
    if (!name || !lower || !text)
        return false;
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    c->variables[c->n_variables++] =
        (struct config_variable){name, lower, text};
    return true;
}

/* *out stays NULL where nobody knows a home; false: memory. */
static bool home_of_user(struct config *c, const char **out)
{
    char scratch[4096];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(geteuid(), &entry, scratch, sizeof(scratch), &found) != 0 ||
        !found || found->pw_dir[0] != '/')
        return true;
    *out = config_keep_text(&c->arena, found->pw_dir);
    return *out != NULL;
}

/* A relative directory is no directory here (XDG base directories say so). */
static bool keep_directory(struct config *c, const char *text, const char **out)
{
    if (!text || text[0] != '/')
        return true;
    *out = config_keep_text(&c->arena, text);
    return *out != NULL;
}

int config_load_environment(struct config *c,
                            const struct config_sources *sources, bool secure,
                            struct persist_error *err)
{
    const char *const *given = sources->environment;
    const char *const *all =
        given || secure ? given : (const char *const *)os_environment();

    c->environment = given;
    if (!keep_directory(c, find_raw(all, "HOME"), &c->home) ||
        !keep_directory(c, find_raw(all, "XDG_CONFIG_HOME"),
                        &c->xdg_config_home))
        return error_memory(err);
    if (!c->home && !given && !home_of_user(c, &c->home))
        return error_memory(err);
    if (sources->no_environment)
        return PERSIST_OK;
    for (; all && *all; all++)
        if (!keep_variable(c, *all))
            return error_memory(err);
    return PERSIST_OK;
}

/* ------------------------------------------------------------------ lookup */

const struct config_variable *config_variable(const struct config *c,
                                              const char *key)
{
    for (size_t i = 0; i < c->n_variables; i++) {
        const char *rest = c->variables[i].name + sizeof(PREFIX) - 1;
        rest = skip_mapped(rest, key);
        if (rest && *rest == '\0')
            return &c->variables[i];
    }
    return NULL;
}

/* What follows PERSIST_STORE_<NAME>_ in name; NULL where that is not there. */
static const char *behind_store(const char *name, const char *store)
{
    if (strncmp(name, STORE_PREFIX, sizeof(STORE_PREFIX) - 1) != 0)
        return NULL;
    const char *rest = skip_mapped(name + sizeof(STORE_PREFIX) - 1, store);
    return rest && rest[0] == '_' && rest[1] ? rest + 1 : NULL;
}

static bool belongs_to_longer(const struct config *c, const char *store,
                              const char *name)
{
    for (size_t i = 0; i < c->n_stores; i++)
        if (strlen(c->stores[i].name) > strlen(store) &&
            behind_store(name, c->stores[i].name))
            return true;
    return false;
}

const char *config_variable_key(const struct config *c, const char *store,
                                const struct config_variable *v)
{
    const char *key = behind_store(v->name, store);
    if (!key || belongs_to_longer(c, store, v->name))
        return NULL;
    return v->lower + (key - v->name);
}

const struct config_variable *config_store_variable(const struct config *c,
                                                    const char *store,
                                                    const char *key)
{
    for (size_t i = 0; i < c->n_variables; i++) {
        const struct config_variable *v = &c->variables[i];
        const char *rest = behind_store(v->name, store);
        rest = rest ? skip_mapped(rest, key) : NULL;
        if (rest && *rest == '\0' && !belongs_to_longer(c, store, v->name))
            return v;
    }
    return NULL;
}
