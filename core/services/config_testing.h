/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the configuration share: a directory of files. */
#ifndef PERSIST_SERVICES_CONFIG_TESTING_H
#define PERSIST_SERVICES_CONFIG_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/config_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char root[64]; /* the directory of the running test */

static inline int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/persist-config-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* root/name; four results live at a time. */
static inline const char *path_of(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

static inline const char *write_bytes(const char *name, const char *data,
                                      size_t len, mode_t mode)
{
    const char *path = path_of(name);
    remove(path); /* it may belong to someone else by now */
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static inline const char *write_file(const char *name, const char *text)
{
    return write_bytes(name, text, strlen(text), 0600);
}

static inline void make_directory(const char *name)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
}

/* root/etc is the system's directory; the environment is empty. */
static inline struct config_sources nothing_else(void)
{
    static const char *const empty[] = {NULL};
    static char etc[80];
    snprintf(etc, sizeof(etc), "%s/etc", root);
    return (struct config_sources){.environment = empty, .etc_dir = etc};
}

/* Loads only the given text, as the file NAME "c.conf". */
static inline int load_text(const char *text, struct config **out,
                            struct persist_error *err)
{
    struct config_sources sources = nothing_else();
    sources.extra_file = write_file("c.conf", text);
    return config_load(&sources, out, err);
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static inline void assert_value(struct config_value value, const char *text,
                                const char *origin_end)
{
    if (!text) {
        assert_null(value.text);
        return;
    }
    assert_non_null(value.text);
    assert_string_equal(value.text, text);
    size_t len = strlen(value.origin), end = strlen(origin_end);
    assert_true(len >= end);
    assert_string_equal(value.origin + len - end, origin_end);
}

static inline struct config_value get(const struct config *c, const char *key)
{
    struct config_value v;
    struct persist_error err;
    assert_int_equal(config_get(c, key, &v, &err), PERSIST_OK);
    return v;
}

static inline struct config_value store_get(const struct config *c,
                                            const char *store, const char *key)
{
    struct config_value v;
    config_store_get(c, store, key, &v);
    return v;
}

#endif
