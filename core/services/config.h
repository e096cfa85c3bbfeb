/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: INI files, environment and settings, resolved to one value
 * and its origin per key.  cli.md has the precedence and the files,
 * durability.md the rules of reading.
 *
 * What a backend's options are is not known here: a [store NAME] section is
 * kept as text, and backend/options checks it against the plugin's table.
 * Keys of [persist] are checked against a table of this room.
 *
 * Values live as long as the struct config.  It is filled by one thread and may
 * be read by many afterwards; config_add_store and config_add_store_value count
 * as filling.
 *
 * Precedence: settings; what a program set with config_add_store_value;
 * PERSIST_STORE_<NAME>_<KEY>; PERSIST_<KEY>; files, the last one first; values
 * added with origin "default".  Settings that are keys of [persist] belong
 * there, all others to every store.
 *
 * Environment: an empty variable counts as not set.  A PERSIST_* variable that
 * is no key of [persist] and no option of a store that is opened has no effect
 * and is no error, since other programs and other versions may use it; but one
 * that names a configured store (PERSIST_STORE_MAIN_BUKCET) is shown by
 * config_store_each, so a misspelt option is found.  A process that gained
 * privileges (AT_SECURE) takes nothing from its environment.
 */
#ifndef PERSIST_SERVICES_CONFIG_H
#define PERSIST_SERVICES_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct config;

struct config_sources {
    bool no_files;
    bool no_environment;
    const char *extra_file;      /* must exist; NULL: none */
    const char *const *settings; /* "key=value" */
    size_t n_settings;
    const char *const *environment; /* NULL-terminated "K=V"; NULL: environ */
    const char *etc_dir;            /* tests; NULL: /etc/persist */
};

struct config_value {
    const char *text; /* NULL: not set anywhere; given again, the last one */
    /* Of an option that may be given again: every text it was given there, with
     * commas between; else the same as text. */
    const char *all;
    const char
        *origin;  /* "FILE:LINE", a variable's name, "setting", "default" */
    bool trusted; /* from a file owned by root or the effective user and not
                     writable by others, a setting, or the environment of a
                     process that is not setuid */
};

/* CONFIG (err names file and line, variable or setting), INVALID (a setting
 * that is not key=value), MEMORY. */
int config_load(const struct config_sources *sources, struct config **out,
                struct persist_error *err);
void config_destroy(struct config *c);

/* A key of [persist] with its default: store (none), log_level (warn),
 * log_format (logfmt), memory_limit (256M), backend_dir, metrics_textfile and
 * trace_file (none), limit_upload and limit_download (0).  Values were checked
 * at load. CONFIG where the key is not one of them. */
int config_get(const struct config *c, const char *key,
               struct config_value *out, struct persist_error *err);
/* Keys of [persist], NULL-terminated. */
const char *const *config_keys(void);

/* The stores, in order of first appearance. */
size_t config_n_stores(const struct config *c);
const char *config_store(const struct config *c, size_t i);
bool config_has_store(const struct config *c, const char *name);

/* A key of a store: --set, then PERSIST_STORE_<NAME>_<KEY>, then
 * PERSIST_<KEY> (not for keys of [persist]), then the file. text NULL where it
 * is nowhere.  Also for the name of a store that is not configured. */
void config_store_get(const struct config *c, const char *store,
                      const char *key, struct config_value *out);
/* Calls each with every key that is set for the store in files, settings and
 * PERSIST_STORE_<NAME>_ variables, and its resolved value, to find unknown
 * ones; `backend` is among them.  Stops at the first answer that is not 0 and
 * returns it. */
typedef int (*config_key_fn)(void *ctx, const char *key,
                             const struct config_value *value);
int config_store_each(const struct config *c, const char *store,
                      config_key_fn each, void *ctx);

/* A store that stands in no file: the builder's, and the built-in default. The
 * values' origin is `origin`; "default" makes them the weakest, anything else
 * puts them above the environment.  A later value replaces an earlier one.
 * CONFIG: a bad name or key, a store that is there, or one whose variables
 * another store has; NOT_FOUND: a value for a store that is not there. */
int config_add_store(struct config *c, const char *name, const char *origin,
                     struct persist_error *err);
int config_add_store_value(struct config *c, const char *name, const char *key,
                           const char *value, const char *origin,
                           struct persist_error *err);

/* Files in reading order and whether each was there. */
size_t config_n_files(const struct config *c);
const char *config_file(const struct config *c, size_t i, bool *out_read);

/* A secret option: `key`, `key`_file (the file's content without one trailing
 * newline, refused where others may read or write it) or `key`_command (argv
 * without a shell, 10 s, 64 KiB, closed descriptors).  Several set: CONFIG.
 * None: *out NULL.  *out_value is the value that led to it, for its origin; its
 * text is the secret itself where `key` was set. */
struct secret;
int config_store_secret(const struct config *c, const char *store,
                        const char *key, struct secret **out,
                        struct config_value *out_value,
                        struct persist_error *err);

#endif
