/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are read, in which order, and how they add up: a later file
 * overrides an earlier one key by key; within one file nothing may stand twice.
 * Also here: the refusals that depend on who may read and write a file.
 */
#include "services/config_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

struct merge {
    struct config *c;
    size_t file;
    struct config_section *section;
};

/* ----------------------------------------------------------------- merging */

static int open_store(struct merge *m, const char *name,
                      struct config_position at, struct persist_error *err)
{
    m->section = config_find_store(m->c, name);
    if (m->section)
        return PERSIST_OK;
    int rc = config_new_store(m->c, name, &m->section, err);
    if (rc == PERSIST_OK)
        m->section->file = CONFIG_NO_FILE;
    else if (rc == PERSIST_E_CONFIG)
        error_prefix(err, "%s:%u", at.path, at.line);
    return rc;
}

static int merge_section(void *ctx, const char *name, struct config_position at,
                         struct persist_error *err)
{
    static const char store[] = "store ";
    struct merge *m = ctx;

    if (strcmp(name, "persist") == 0) {
        m->section = &m->c->persist;
    } else if (strncmp(name, store, sizeof(store) - 1) == 0) {
        int rc = open_store(m, name + sizeof(store) - 1, at, err);
        if (rc != PERSIST_OK)
            return rc;
    } else {
        return config_error_at(err, at,
                               "sections are [persist] and [store NAME]",
                               "unknown section [%s]", name);
    }
    if (m->section->file == m->file)
        return config_error_at(err, at, "put its keys into the first one",
                               "[%s] stands twice in this file", name);
    m->section->file = m->file;
    return PERSIST_OK;
}

/* durability.md, security checklist, "Config". */
static int check_trust(const struct config_file *file, const char *key,
                       const char *text, struct config_position at,
                       struct persist_error *err)
{
    bool secret = config_is_secret_key(key) && text[0] != '\0';

    if (secret && file->public) {
        config_error_at(err, at, NULL,
                        "%s is a secret and others may read this file", key);
        error_hint(err, "chmod o-r it, or use %s_file", key);
        return PERSIST_E_CONFIG;
    }
    if (!secret && !config_is_command_key(key))
        return PERSIST_OK;
    if (file->foreign)
        return config_error_at(err, at, "it must belong to root or to you",
                               "%s is refused: this file belongs to someone "
                               "else",
                               key);
    if (file->shared)
        return config_error_at(err, at, "chmod go-w it",
                               "%s is refused: others may write this file",
                               key);
    return PERSIST_OK;
}

static int check_persist(const char *key, const char *text, const char *origin,
                         struct persist_error *err)
{
    int rc = config_check_key(key, origin, err);
    return rc != PERSIST_OK
               ? rc
               : config_check_value(config_find_key(key), text, origin, err);
}

static int merge_value(void *ctx, const char *key, const char *text,
                       struct config_position at, struct persist_error *err)
{
    struct merge *m = ctx;
    struct config_entry entry = {.key = key, .text = text, .file = m->file};
    const struct config_entry *before = config_find(m->section, key);

    if (before && before->file == m->file)
        return config_error_at(err, at, NULL, "%s stands twice (see %s)", key,
                               before->origin);
    int rc = check_trust(&m->c->files[m->file], key, text, at, err);
    if (rc != PERSIST_OK)
        return rc;
    entry.origin = config_keep_origin(&m->c->arena, at.path, at.line);
    if (!entry.origin)
        return error_memory(err);
    rc = m->section == &m->c->persist
             ? check_persist(key, text, entry.origin, err)
             : PERSIST_OK;
    if (rc == PERSIST_OK)
        rc = config_put(m->c, m->section, &entry, err);
    return rc;
}

/* Takes path over. */
static int add_file(struct config *c, char *path, bool must_exist,
                    struct persist_error *err)
{
    void *items = c->files;
    bool grown = path && config_grow(&items, c->n_files, &c->files_cap,
                                     sizeof(struct config_file));
    c->files = items;
    char *kept = grown ? config_keep_text(&c->arena, path) : NULL;
    free(path);
    if (!kept)
        return error_memory(err);
    c->files[c->n_files] = (struct config_file){.path = kept};

    struct merge m = {.c = c, .file = c->n_files};
    struct config_handler handler = {&m, merge_section, merge_value};
    return config_read_file(&c->files[c->n_files++], must_exist, &handler, err);
}

/* ------------------------------------------------------------------ conf.d */

static bool is_fragment(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    char **name;
    size_t n, cap;
};

static int collect(DIR *dir, const char *path, struct names *names,
                   struct persist_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno != 0) {
            error_errno(err, errno, "cannot read %s", path);
            return PERSIST_E_CONFIG;
        }
        if (!entry)
            return PERSIST_OK;
        if (!is_fragment(entry->d_name))
            continue;
        if (names->n == CONFIG_FILES_MAX)
            return error_set(err, PERSIST_E_CONFIG,
                             "%s holds more than %d .conf files", path,
                             CONFIG_FILES_MAX);
        void *items = names->name;
        char *copy = text_dup(entry->d_name);
        if (!copy ||
            !config_grow(&items, names->n, &names->cap, sizeof(char *))) {
            free(copy);
            return error_memory(err);
        }
        names->name = items;
        names->name[names->n++] = copy;
    }
}

static int add_directory(struct config *c, const char *path,
                         struct persist_error *err)
{
    struct names names = {0};
    DIR *dir = opendir(path);

    if (!dir && (errno == ENOENT || errno == ENOTDIR))
        return PERSIST_OK;
    if (!dir) {
        error_errno(err, errno, "cannot read %s", path);
        return PERSIST_E_CONFIG;
    }
    int rc = collect(dir, path, &names, err);
    closedir(dir);
    if (names.n > 0)
        qsort(names.name, names.n, sizeof(char *), by_bytes);
    for (size_t i = 0; i < names.n; i++) {
        if (rc == PERSIST_OK)
            rc = add_file(c, text_format("%s/%s", path, names.name[i]), false,
                          err);
        free(names.name[i]);
    }
    free(names.name);
    return rc;
}

/* ------------------------------------------------------------------- which */

static int add_system_files(struct config *c, const char *etc,
                            struct persist_error *err)
{
    int rc = add_file(c, text_format("%s/persist.conf", etc), false, err);
    if (rc != PERSIST_OK)
        return rc;
    char *directory = text_format("%s/conf.d", etc);
    if (!directory)
        return error_memory(err);
    rc = add_directory(c, directory, err);
    free(directory);
    return rc;
}

static int add_user_file(struct config *c, struct persist_error *err)
{
    char *path;
    if (c->xdg_config_home)
        path = text_format("%s/persist/persist.conf", c->xdg_config_home);
    else if (c->home)
        path = text_format("%s/.config/persist/persist.conf", c->home);
    else
        return PERSIST_OK;
    return add_file(c, path, false, err);
}

int config_load_files(struct config *c, const struct config_sources *sources,
                      struct persist_error *err)
{
    int rc = PERSIST_OK;

    c->persist.file = CONFIG_NO_FILE;
    if (!sources->no_files) {
        const char *etc = sources->etc_dir ? sources->etc_dir : "/etc/persist";
        rc = add_system_files(c, etc, err);
        if (rc == PERSIST_OK)
            rc = add_user_file(c, err);
    }
    if (rc == PERSIST_OK && sources->extra_file)
        rc = add_file(c, text_dup(sources->extra_file), true, err);
    return rc;
}
