/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may set, and what is made of it.  Types and spelling are the
 * host's work; here is only what it cannot know: what a mode may be.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum option { ROOT, CREATE, DIR_MODE, FILE_MODE };

const struct persist_backend_option local_options[LOCAL_N_OPTIONS] = {
    [ROOT] = {.key = "root",
              .alias = "base_dir",
              .help = "The directory that holds the store",
              .since = "0.2.0",
              .type = PERSIST_BACKEND_PATH,
              .flags = PERSIST_BACKEND_REQUIRED},
    [CREATE] = {.key = "create",
                .default_text = "false",
                .help = "Create the root with the first write if it is missing "
                        "(an unmounted disk looks like a missing root)",
                .since = "0.2.0",
                .type = PERSIST_BACKEND_BOOL},
    [DIR_MODE] = {.key = "dir_mode",
                  .default_text = "0700",
                  .help = "Mode of new directories, in octal",
                  .since = "0.2.0",
                  .type = PERSIST_BACKEND_STRING},
    [FILE_MODE] = {.key = "file_mode",
                   .default_text = "0600",
                   .help = "Mode of new files, in octal",
                   .since = "0.2.0",
                   .type = PERSIST_BACKEND_STRING},
};

static const struct persist_backend_value *
value_of(const struct persist_backend_config *config, enum option option)
{
    return (const void *)((const char *)config->values +
                          (size_t)option * config->value_size);
}

/* Three octal digits, with zeros in front as people write them. */
static int32_t parse_mode(const struct persist_backend_value *value,
                          mode_t least, mode_t most, mode_t *out,
                          struct persist_backend_error *err)
{
    const char *text = value->text == NULL ? "" : value->text;
    size_t len = strspn(text, "01234567");
    mode_t mode = 0;

    for (size_t i = 0; i < len && mode <= 07777; i++)
        mode = mode * 8 + (mode_t)(text[i] - '0');
    if (len == 0 || text[len] != '\0' || (mode & least) != least ||
        (mode & ~most) != 0)
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "%s = %.40s: must be an octal mode from %04o to %04o",
                          value->key, text, (unsigned)least, (unsigned)most);
    *out = mode;
    return PERSIST_BACKEND_OK;
}

/* A relative root means the directory of the moment the store is opened. */
static char *absolute(const char *path)
{
    char *cwd, *whole;
    size_t len;

    if (path[0] == '/')
        return strdup(path);
    cwd = getcwd(NULL, 0);
    if (cwd == NULL)
        return NULL;
    len = strlen(cwd) + strlen(path) + 2;
    whole = malloc(len);
    if (whole != NULL)
        (void)snprintf(whole, len, "%s/%s", cwd, path);
    free(cwd);
    return whole;
}

int32_t options_apply(struct local_store *s,
                      const struct persist_backend_config *config,
                      struct persist_backend_error *err)
{
    const char *root;
    int32_t rc;

    if (config->n_values < LOCAL_N_OPTIONS)
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "the host passed %u values for %u options",
                          config->n_values, (unsigned)LOCAL_N_OPTIONS);
    root = value_of(config, ROOT)->text;
    if (root == NULL || root[0] == '\0')
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "root: a local store needs a directory");
    rc = parse_mode(value_of(config, DIR_MODE), 0700, 0777, &s->dir_mode, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = parse_mode(value_of(config, FILE_MODE), 0600, 0666, &s->file_mode,
                        err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    s->create = value_of(config, CREATE)->number != 0;
    s->root_path = absolute(root);
    if (s->root_path == NULL)
        return status_set(err, PERSIST_BACKEND_CONFIG,
                          "root = %.200s: no way to make it an absolute path",
                          root);
    return PERSIST_BACKEND_OK;
}
