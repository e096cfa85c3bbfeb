/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the configuration share.
 *
 *     config.c          loading in order, and lookup by precedence
 *     config_arena.c    memory for all text, wiped and kept out of core dumps
 *     config_line.c     one line of a file taken apart; every rule of syntax
 *     config_reader.c   one file: opening, trust, lines, inih
 *     config_files.c    which files, and merging them
 *     config_keys.c     the keys of [persist], names, what is secret
 *     config_env.c      environment variables and their names
 *     config_stores.c   the public half about stores
 *     config_secret.c   KEY, KEY_file, KEY_command
 *     config_command.c  running a command without a shell
 *
 * Nothing here is locked: a struct config is filled by one thread and read by
 * many afterwards.
 */
#ifndef PERSIST_SERVICES_CONFIG_INTERNAL_H
#define PERSIST_SERVICES_CONFIG_INTERNAL_H

#include "services/config.h"

#include <sys/stat.h>

#define CONFIG_LINE_MAX 32768   /* bytes of a line */
#define CONFIG_FILE_MAX 1048576 /* bytes of a file */
#define CONFIG_NAME_MAX 40      /* bytes of a section's or key's name */
#define CONFIG_STORE_NAME_MAX 32
#define CONFIG_STORES_MAX 256
#define CONFIG_KEYS_MAX 128 /* per section */
#define CONFIG_FILES_MAX 256
#define CONFIG_SECRET_MAX 65536 /* bytes a _file or _command may give */

/* ------------------------------------------------------------------- arena */

struct secret;

struct config_arena {
    struct secret **chunks;
    size_t n_chunks;
    char *next;
    size_t left;
};

void config_arena_finish(struct config_arena *a);
/* A NUL-terminated copy that lives as long as the arena; NULL: memory. */
char *config_keep(struct config_arena *a, const char *text, size_t len);
char *config_keep_text(struct config_arena *a, const char *text);
/* "path:line" */
char *config_keep_origin(struct config_arena *a, const char *path,
                         unsigned line);

/* ------------------------------------------------------------------- lines */

enum config_line_kind { CONFIG_EMPTY, CONFIG_SECTION, CONFIG_VALUE };

struct config_line {
    enum config_line_kind kind;
    const char *name; /* of the section or key */
    const char *value;
    const char *problem; /* after a failure */
    const char *hint;    /* may be NULL */
};

/* Takes text[0..len) apart in place; text[len] may be written.  A line feed is
 * no part of it. */
bool config_line_parse(char *text, size_t len, struct config_line *out);

/* ------------------------------------------------------------------- files */

struct config_file {
    const char *path;
    bool read;    /* it was there */
    bool public;  /* others may read it */
    bool foreign; /* its owner is neither root nor the effective user */
    bool shared;  /* others may write it */
};

struct config_position {
    const char *path;
    unsigned line;
};

/* Sets err to "path:line: problem". Returns CONFIG. */
int config_error_at(struct persist_error *err, struct config_position at,
                    const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

struct config_handler {
    void *ctx;
    int (*section)(void *ctx, const char *name, struct config_position at,
                   struct persist_error *err);
    int (*value)(void *ctx, const char *key, const char *text,
                 struct config_position at, struct persist_error *err);
};

/* Fills file->public, foreign and shared from what fstat says. */
void config_file_judge(struct config_file *file, const struct stat *st);
/* Reads file->path and fills the rest of file.  A missing one is OK and not
 * read, unless must_exist.  Handlers see only what passed every rule of
 * syntax; what they get lives for the call. */
int config_read_file(struct config_file *file, bool must_exist,
                     const struct config_handler *handler,
                     struct persist_error *err);
/* Opens a regular file for reading; -errno, or -EINVAL where it is another
 * kind of file. */
int config_open_regular(const char *path, struct stat *out);

/* ------------------------------------------------------------------ config */

#define CONFIG_NO_FILE SIZE_MAX

struct config_entry {
    const char *key;
    const char *text;
    const char *all; /* all texts it was given, as config_value.all */
    const char *origin;
    size_t file; /* index into files; CONFIG_NO_FILE */
    bool strong; /* set by a program: stands above the environment */
};

struct config_section {
    const char *name; /* of the store */
    size_t file;      /* the last file it stands in */
    struct config_entry *entries;
    size_t n_entries, cap;
};

struct config_variable {
    const char *name;
    const char *lower; /* the same in lower case */
    const char *text;
};

struct config {
    struct config_arena arena;
    struct config_file *files;
    size_t n_files, files_cap;
    struct config_section persist;
    struct config_section settings;
    struct config_section *stores;
    size_t n_stores, stores_cap;
    struct config_variable *variables;
    size_t n_variables, variables_cap;
    const char *const *environment; /* what a command gets; NULL: environ */
    const char *home;               /* NULL: unknown */
    const char *xdg_config_home;
};

/* Grows *items (of `size` bytes each) so that one more than n fits. */
bool config_grow(void **items, size_t n, size_t *cap, size_t size);

/* Loads the files that sources name. */
int config_load_files(struct config *c, const struct config_sources *sources,
                      struct persist_error *err);

struct config_entry *config_find(const struct config_section *s,
                                 const char *key);
/* Sets key in s, replacing an earlier value; MEMORY, or CONFIG where there are
 * too many.  text and key are copied. */
int config_put(struct config *c, struct config_section *s,
               const struct config_entry *entry, struct persist_error *err);
struct config_section *config_find_store(const struct config *c,
                                         const char *name);
/* A new store; checks its name and that no other maps to its variables. */
int config_new_store(struct config *c, const char *name,
                     struct config_section **out, struct persist_error *err);
void config_value_of(const struct config *c, const struct config_entry *entry,
                     struct config_value *out);

/* -------------------------------------------------------------------- keys */

struct config_key {
    const char *name;
    const char *default_text; /* NULL: none */
    /* What the value must be, or NULL where it is that. */
    const char *(*check)(const char *text);
};

const struct config_key *config_find_key(const char *name);
/* OK for a key of [persist]; otherwise sets why it is none and a hint. */
int config_check_key(const char *name, const char *where,
                     struct persist_error *err);
/* OK where text is a value for the key. */
int config_check_value(const struct config_key *key, const char *text,
                       const char *origin, struct persist_error *err);
bool config_is_key_name(const char *text);
bool config_is_store_name(const char *text);
/* Holds a secret by its name; "x_file" and "x_command" do not. */
bool config_is_secret_key(const char *key);
/* Decides what code runs: *_command, credential_process, backend_dir. */
bool config_is_command_key(const char *key);

/* ------------------------------------------------------------- environment */

/* Copies what Persist takes from the environment.  secure: the process gained
 * privileges, and its own environment counts for nothing. */
int config_load_environment(struct config *c,
                            const struct config_sources *sources, bool secure,
                            struct persist_error *err);
/* PERSIST_<KEY> */
const struct config_variable *config_variable(const struct config *c,
                                              const char *key);
/* PERSIST_STORE_<NAME>_<KEY> */
const struct config_variable *config_store_variable(const struct config *c,
                                                    const char *store,
                                                    const char *key);
/* The key in lower case where v is PERSIST_STORE_<this store>_<KEY>. */
const char *config_variable_key(const struct config *c, const char *store,
                                const struct config_variable *v);
/* Two stores that have the same variables. */
bool config_names_collide(const char *a, const char *b);

/* ----------------------------------------------------------------- secrets */

struct config_command {
    const char *const *argv; /* argv[0] is an absolute path */
    const char *const *environment;
    unsigned timeout_ms;
    size_t output_max;
};

/* Runs it with stdin and stderr on /dev/null and no other descriptor open.
 * *out is what it wrote; CONFIG where it fails in any way. */
int config_command_run(const struct config_command *command,
                       struct secret **out, size_t *out_len,
                       struct persist_error *err);

#endif
