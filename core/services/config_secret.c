/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret option from where it was put: its value, a file or a command.  The
 * secret itself stands in no message of this file.
 */
#include "services/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/os.h"
#include "util/secret.h"
#include "util/text.h"

#define COMMAND_TIMEOUT_MS 10000
#define ARGS_MAX 64

enum { PLAIN, FROM_FILE, FROM_COMMAND, N_WAYS };

struct way {
    char key[CONFIG_NAME_MAX + sizeof("_command")];
    struct config_value value;
};

/* One trailing newline is the editor's, not the secret's. */
static size_t without_newline(const char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len] == '\n' && text[len - 1] == '\r')
        len--;
    return len;
}

static int check_content(const char *text, size_t len, const struct way *way,
                         struct persist_error *err)
{
    if (len == 0)
        return error_set(err, PERSIST_E_CONFIG, "%s: %s gives nothing",
                         way->value.origin, way->key);
    if (memchr(text, '\0', len))
        return error_set(err, PERSIST_E_CONFIG, "%s: %s gives a NUL byte",
                         way->value.origin, way->key);
    return PERSIST_OK;
}

static int keep_secret(const char *text, size_t len, const struct way *way,
                       struct secret **out, struct persist_error *err)
{
    len = without_newline(text, len);
    int rc = check_content(text, len, way, err);
    if (rc != PERSIST_OK)
        return rc;
    *out = secret_create(text, len);
    return *out ? PERSIST_OK : error_memory(err);
}

/* -------------------------------------------------------------------- file */

static int open_secret_file(const struct way *way, int *out_fd,
                            struct persist_error *err)
{
    const char *path = way->value.text;
    const char *origin = way->value.origin;
    struct config_file file = {.path = path};
    struct stat st;

    if (path[0] != '/')
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: %s is an absolute path, not \"%.200s\"", origin,
                         way->key, path);
    int fd = config_open_regular(path, &st);
    if (fd == -EINVAL)
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: %s: %.300s is not a regular file", origin,
                         way->key, path);
    if (fd < 0) {
        error_errno(err, -fd, "%s: %s: cannot read %.300s", origin, way->key,
                    path);
        if (err)
            err->status = PERSIST_E_CONFIG;
        return PERSIST_E_CONFIG;
    }
    config_file_judge(&file, &st);
    if (file.public || file.foreign || file.shared) {
        close(fd);
        error_set(err, PERSIST_E_CONFIG, "%s: %s: %.300s %s", origin, way->key,
                  path,
                  file.public    ? "may be read by others"
                  : file.foreign ? "belongs to someone else"
                                 : "may be written by others");
        error_hint(err, "chmod 600 %.200s", path);
        return PERSIST_E_CONFIG;
    }
    *out_fd = fd;
    return PERSIST_OK;
}

static int read_secret_file(const struct way *way, struct secret **out,
                            struct persist_error *err)
{
    struct secret *content = NULL;
    size_t len = 0;
    int fd = -1;

    int rc = open_secret_file(way, &fd, err);
    if (rc != PERSIST_OK)
        return rc;
    content = secret_create(NULL, CONFIG_SECRET_MAX + 1);
    if (!content)
        rc = error_memory(err);
    while (rc == PERSIST_OK && len <= CONFIG_SECRET_MAX) {
        ssize_t n =
            read(fd, secret_edit(content) + len, CONFIG_SECRET_MAX + 1 - len);
        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            rc = error_set(err, PERSIST_E_CONFIG, "%s: %s: cannot be read",
                           way->value.origin, way->key);
    }
    close(fd);
    if (rc == PERSIST_OK && len > CONFIG_SECRET_MAX)
        rc = error_set(err, PERSIST_E_CONFIG,
                       "%s: %s: the file is larger than 64 KiB",
                       way->value.origin, way->key);
    if (rc == PERSIST_OK)
        rc = keep_secret(secret_edit(content), len, way, out, err);
    secret_destroy(content);
    return rc;
}

/* ----------------------------------------------------------------- command */

/* Splits text in place at blanks; '...' and "..." keep blanks together.  No
 * escapes, variables or wildcards.  NULL, or what is wrong. */
static const char *split_words(char *text, const char *argv[ARGS_MAX + 1])
{
    size_t n = 0;
    char *to = text;

    for (;;) {
        while (*text == ' ' || *text == '\t')
            text++;
        if (!*text)
            break;
        if (n == ARGS_MAX)
            return "has more than 64 words";
        argv[n++] = to;
        char quote = '\0';
        for (; *text && (quote || (*text != ' ' && *text != '\t')); text++) {
            if (*text == quote)
                quote = '\0';
            else if (!quote && (*text == '"' || *text == '\''))
                quote = *text;
            else
                *to++ = *text;
        }
        if (quote)
            return "has a quote that does not end";
        text += *text != '\0'; /* before the NUL of the word goes there */
        *to++ = '\0';
    }
    argv[n] = NULL;
    if (n == 0 || argv[0][0] != '/')
        return "begins with the absolute path of a program";
    return NULL;
}

static int run_secret_command(const struct config *c, const struct way *way,
                              struct secret **out, struct persist_error *err)
{
    const char *argv[ARGS_MAX + 1];
    struct secret *output = NULL;
    size_t len = 0;

    char *words = text_dup(way->value.text);
    if (!words)
        return error_memory(err);
    const char *problem = split_words(words, argv);
    struct config_command command = {
        .argv = argv,
        .environment = c->environment
                           ? c->environment
                           : (const char *const *)os_child_environment(),
        .timeout_ms = COMMAND_TIMEOUT_MS,
        .output_max = CONFIG_SECRET_MAX};
    int rc;
    if (problem)
        rc = error_set(err, PERSIST_E_CONFIG, "%s: %s %s", way->value.origin,
                       way->key, problem);
    else if ((rc = config_command_run(&command, &output, &len, err)) !=
             PERSIST_OK)
        error_prefix(err, "%s: %s", way->value.origin, way->key);
    else
        rc = keep_secret(secret_edit(output), len, way, out, err);
    secret_destroy(output);
    secret_wipe(words, strlen(way->value.text));
    free(words);
    return rc;
}

/* -------------------------------------------------------------------- ways */

/* The file that the value of key stands in; NULL where it is from elsewhere. */
static const struct config_file *file_of(const struct config *c,
                                         const char *store, const char *key,
                                         const struct config_value *value)
{
    const struct config_section *s = config_find_store(c, store);
    const struct config_entry *entry = s ? config_find(s, key) : NULL;
    if (!entry || entry->text != value->text || entry->file == CONFIG_NO_FILE)
        return NULL;
    return &c->files[entry->file];
}

static int check_way(const struct config *c, const char *store,
                     const struct way *way, bool plain,
                     struct persist_error *err)
{
    const struct config_file *file = file_of(c, store, way->key, &way->value);

    if (plain && file && file->public) {
        error_set(err, PERSIST_E_CONFIG,
                  "%s: %s is a secret and others may read this file",
                  way->value.origin, way->key);
        error_hint(err, "chmod o-r it, or use %s_file", way->key);
        return PERSIST_E_CONFIG;
    }
    if (!way->value.trusted)
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: %s is refused: the file belongs to someone else "
                         "or others may write it",
                         way->value.origin, way->key);
    return PERSIST_OK;
}

/* The one way that is set; N_WAYS: none; -1: several, and err is set. */
static int find_way(const struct config *c, const char *store, const char *key,
                    struct way ways[N_WAYS], struct persist_error *err)
{
    static const char *const suffixes[N_WAYS] = {"", "_file", "_command"};
    int found = N_WAYS;

    for (int i = 0; i < N_WAYS; i++) {
        snprintf(ways[i].key, sizeof(ways[i].key), "%s%s", key, suffixes[i]);
        config_store_get(c, store, ways[i].key, &ways[i].value);
        if (!ways[i].value.text)
            continue;
        if (found != N_WAYS) {
            error_set(err, PERSIST_E_CONFIG,
                      "%s: %s is set, and %s too (%s): only one may be",
                      ways[i].value.origin, ways[i].key, ways[found].key,
                      ways[found].value.origin);
            return -1;
        }
        found = i;
    }
    return found;
}

int config_store_secret(const struct config *c, const char *store,
                        const char *key, struct secret **out,
                        struct config_value *out_value,
                        struct persist_error *err)
{
    struct way ways[N_WAYS];

    *out = NULL;
    *out_value = (struct config_value){0};
    int found = find_way(c, store, key, ways, err);
    if (found == N_WAYS)
        return PERSIST_OK;
    if (found < 0)
        return PERSIST_E_CONFIG;
    const struct way *way = &ways[found];
    int rc = check_way(c, store, way, found == PLAIN, err);
    if (rc != PERSIST_OK)
        return rc;

    *out_value = way->value;
    if (found == FROM_FILE)
        return read_secret_file(way, out, err);
    if (found == FROM_COMMAND)
        return run_secret_command(c, way, out, err);
    return keep_secret(way->value.text, strlen(way->value.text), way, out, err);
}
