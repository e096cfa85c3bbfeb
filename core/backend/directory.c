/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backends are there, by file name alone: nothing is opened or loaded.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/descriptor.h"
#include "backend/registry.h"
#include "util/text.h"

struct found {
    char *name;
    char *path;
};

struct files {
    struct found *items;
    size_t n;
    size_t cap;
};

/* More are no backend directory. */
#define FILES_MAX 4096

static bool has_name(const struct files *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].name, name) == 0)
            return true;
    return false;
}

static bool grow(struct files *f)
{
    size_t cap = f->cap ? f->cap * 2 : 16;
    struct found *items = realloc(f->items, cap * sizeof(*items));

    if (!items)
        return false;
    f->items = items;
    f->cap = cap;
    return true;
}

/* "local.so" gives "local"; NULL where it is no backend's file name. */
static char *backend_name(const char *file)
{
    size_t len = strlen(file);
    char *name = NULL;

    if (len < 4 || strcmp(file + len - 3, ".so") != 0)
        return NULL;
    name = text_format("%.*s", (int)(len - 3), file);
    if (name && !descriptor_name_is_valid(name)) {
        free(name);
        name = NULL;
    }
    return name;
}

static int add_file(struct files *f, const char *dir, const char *file,
                    struct persist_error *err)
{
    char *name = backend_name(file);

    if (!name || has_name(f, name) || f->n >= FILES_MAX) {
        free(name);
        return PERSIST_OK;
    }
    char *path = text_format("%s/%s", dir, file);
    if (!path || (f->n == f->cap && !grow(f))) {
        free(name);
        free(path);
        return error_memory(err);
    }
    f->items[f->n++] = (struct found){name, path};
    return PERSIST_OK;
}

static int scan(struct files *f, const char *dir, struct persist_error *err)
{
    int rc = PERSIST_OK;
    DIR *d = opendir(dir);

    if (!d && (errno == ENOENT || errno == ENOTDIR))
        return PERSIST_OK;
    if (!d)
        return error_errno(err, errno, "cannot read the directory %s", dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry && errno != 0)
            rc = error_errno(err, errno, "cannot read the directory %s", dir);
        if (!entry || rc != PERSIST_OK)
            break;
        rc = add_file(f, dir, entry->d_name, err);
    }
    closedir(d);
    return rc;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->name,
                  ((const struct found *)b)->name);
}

int plugin_each_file(const struct plugin_dirs *dirs, plugin_file_fn each,
                     void *ctx, struct persist_error *err)
{
    struct files files = {0};
    int rc = PERSIST_OK;

    for (size_t i = 0; dirs && i < dirs->n_dirs && rc == PERSIST_OK; i++)
        rc = scan(&files, dirs->dirs[i], err);
    if (rc == PERSIST_OK)
        rc = scan(&files, plugin_builtin_dir(), err);
    if (files.n > 1)
        qsort(files.items, files.n, sizeof(*files.items), compare);
    for (size_t i = 0; i < files.n && rc == PERSIST_OK; i++)
        rc = each(ctx, files.items[i].name, files.items[i].path);
    for (size_t i = 0; i < files.n; i++) {
        free(files.items[i].name);
        free(files.items[i].path);
    }
    free(files.items);
    return rc;
}
