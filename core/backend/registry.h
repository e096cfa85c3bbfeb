/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded backends: from a name to a checked, copied descriptor.
 *
 * The loader's rules are plugin-abi.md's.  All loading happens under one
 * process-wide mutex; a plugin is never unloaded, and loading the same file
 * again gives the same one.  Descriptors are copied into host memory at the
 * sizes they declare and never written to.
 */
#ifndef PERSIST_BACKEND_REGISTRY_H
#define PERSIST_BACKEND_REGISTRY_H

#include <persist/backend.h>
#include <stddef.h>

#include "util/error.h"

struct plugin { /* lives as long as the process */
    struct persist_backend_descriptor descriptor; /* our copy, zero-filled */
    struct persist_backend_ops ops;               /* our copy, zero-filled */
    struct persist_backend_option *options;       /* our copies */
    size_t n_options;
    char *path; /* the real path it was loaded from */
};

/* Where to look, in order; a directory of the list is checked for trust, the
 * built-in one (last, implied) is not. */
struct plugin_dirs {
    const char *const *dirs; /* absolute */
    size_t n_dirs;
};

/* NAME to plugin.  NOT_FOUND: no such file anywhere (hint: the package that
 * would supply it); CONFIG: refused or broken (which file, why). */
int plugin_load(const struct plugin_dirs *dirs, const char *name,
                const struct plugin **out, struct persist_error *err);
/* By absolute path; every check but the name's. */
int plugin_load_file(const char *path, const struct plugin **out,
                     struct persist_error *err);

/* Calls the plugin's init, if it has one, the first time; later calls get the
 * first one's answer.  backend_store_open does it. */
int plugin_init(const struct plugin *plugin, struct persist_error *err);

/* Calls each with every NAME.so (name, path) in the directories, first of each
 * name only, without loading. */
typedef int (*plugin_file_fn)(void *ctx, const char *name, const char *path);
/* Names in order; a directory that is not there is passed over.  What each
 * returns other than 0 ends it and is returned. */
int plugin_each_file(const struct plugin_dirs *dirs, plugin_file_fn each,
                     void *ctx, struct persist_error *err);

/* The directory that is searched last: persist/backend-N beside libpersist
 * itself, and where that is not there the compiled-in one.  Lives for ever. */
const char *plugin_builtin_dir(void);
/* The compiled-in one, whose files are loaded whoever may write them. */
const char *plugin_trusted_dir(void);

/* "string", "size", ...; "unknown" for any other number. */
const char *plugin_option_type_name(uint32_t type);

#endif
