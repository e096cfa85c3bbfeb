/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in the two AWS files. */
#include "s3/credentials/profile.h"

#include <stdio.h>
#include <string.h>

#include "support/fail.h"

int32_t profile_expand(const struct s3_credentials_env *env, const char *path,
                       char *out, size_t cap, struct persist_backend_error *err)
{
    const char *home = "", *rest = path;
    int n;

    if (path[0] == '~' && path[1] == '/') {
        home = env->get(env->ctx, "HOME");
        rest = path + 1;
        if (home == NULL || home[0] != '/')
            return fail(err, PERSIST_BACKEND_CONFIG, "%.200s: HOME is not set",
                        path);
    }
    n = snprintf(out, cap, "%s%s", home, rest);
    if (n < 0 || (size_t)n >= cap)
        return fail(err, PERSIST_BACKEND_CONFIG, "%.200s: path is too long",
                    path);
    return PERSIST_BACKEND_OK;
}

/* The path a variable gives, or the usual one; "" where there is no home to
 * look in. */
static int32_t file_path(const struct s3_credentials_env *env, const char *name,
                         const char *usual, char *out,
                         struct persist_backend_error *err)
{
    const char *path = env->get(env->ctx, name);
    const char *home = env->get(env->ctx, "HOME");

    out[0] = '\0';
    if (path == NULL || path[0] == '\0') {
        if (home == NULL || home[0] != '/')
            return PERSIST_BACKEND_OK;
        path = usual;
    }
    return profile_expand(env, path, out, PROFILE_PATH_MAX, err);
}

static int32_t read_file(const struct s3_credentials_env *env, const char *path,
                         enum config_dialect dialect, struct secret *text,
                         struct smallfile_info *info, struct config_file *out,
                         struct persist_backend_error *err)
{
    int32_t rc;

    out->path = path;
    if (path[0] == '\0')
        return PERSIST_BACKEND_OK;
    rc = env->read(env->ctx, path, CONFIG_FILE_MAX, text, info, err);
    if (rc == PERSIST_BACKEND_NOT_FOUND ||
        (rc == PERSIST_BACKEND_OK && text->len == 0))
        return PERSIST_BACKEND_OK;
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    return config_file_read(out, path, text->bytes, text->len, dialect, err);
}

int32_t profile_files_read(struct profile_files *f,
                           const struct s3_credentials_env *env,
                           struct persist_backend_error *err)
{
    int32_t rc;

    memset(f, 0, sizeof(*f));
    rc = file_path(env, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials",
                   f->credentials_path, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = file_path(env, "AWS_CONFIG_FILE", "~/.aws/config", f->config_path,
                       err);
    if (rc == PERSIST_BACKEND_OK)
        rc = read_file(env, f->credentials_path, CONFIG_CREDENTIALS,
                       &f->credentials_text, &f->credentials_info,
                       &f->credentials, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = read_file(env, f->config_path, CONFIG_CONFIG, &f->config_text,
                       &f->config_info, &f->config, err);
    return rc;
}

void profile_files_finish(struct profile_files *f)
{
    config_file_finish(&f->credentials);
    config_file_finish(&f->config);
    secret_wipe(&f->credentials_text);
    secret_wipe(&f->config_text);
}

static bool has_section(const struct config_file *f, enum section_kind kind,
                        const char *name)
{
    for (size_t i = 0; i < f->n_entries; i++) {
        const struct config_entry *e = &f->entries[i];

        if (e->key == NULL && e->kind == kind && strcmp(e->section, name) == 0)
            return true;
    }
    return false;
}

/* [profile default] makes a [default] beside it unread. */
static enum section_kind config_kind(const struct config_file *f,
                                     const char *profile)
{
    return strcmp(profile, "default") == 0 &&
                   !has_section(f, SECTION_PROFILE, profile)
               ? SECTION_DEFAULT
               : SECTION_PROFILE;
}

bool profile_exists(const struct profile_files *f, const char *profile)
{
    return has_section(&f->credentials, SECTION_PROFILE, profile) ||
           has_section(&f->config, config_kind(&f->config, profile), profile);
}

static bool is_entry(const struct config_entry *e, enum section_kind kind,
                     const char *section, const char *key, const char *child)
{
    if (e->key == NULL || e->kind != kind || strcmp(e->key, key) != 0 ||
        strcmp(e->section, section) != 0)
        return false;
    if (child == NULL || e->child == NULL)
        return child == e->child;
    return strcmp(e->child, child) == 0;
}

static bool has_control(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int32_t find(const struct config_file *f, enum section_kind kind,
                    const char *section, const char *key, const char *child,
                    const char **out_value, struct persist_backend_error *err)
{
    const struct config_entry *found = NULL;

    *out_value = NULL;
    for (size_t i = 0; i < f->n_entries; i++) {
        const struct config_entry *e = &f->entries[i];

        if (!is_entry(e, kind, section, key, child))
            continue;
        if (found != NULL)
            return fail(err, PERSIST_BACKEND_CONFIG,
                        "%s: %s stands in line %u and in line %u of the same "
                        "section; AWS tools differ in which one counts",
                        f->path, key, found->line, e->line);
        found = e;
    }
    if (found == NULL || found->value[0] == '\0')
        return PERSIST_BACKEND_OK;
    if (found->is_continued || has_control(found->value))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "%s:%u: %s must be one line without control characters",
                    f->path, found->line, key);
    *out_value = found->value;
    return PERSIST_BACKEND_OK;
}

int32_t profile_find_in(const struct profile_files *f, enum config_dialect file,
                        const char *profile, const char *key,
                        const char **out_value,
                        struct persist_backend_error *err)
{
    if (file == CONFIG_CREDENTIALS)
        return find(&f->credentials, SECTION_PROFILE, profile, key, NULL,
                    out_value, err);
    return find(&f->config, config_kind(&f->config, profile), profile, key,
                NULL, out_value, err);
}

int32_t profile_find(const struct profile_files *f, const char *profile,
                     const char *key, const char **out_value,
                     struct persist_backend_error *err)
{
    int32_t rc =
        profile_find_in(f, CONFIG_CREDENTIALS, profile, key, out_value, err);

    if (rc != PERSIST_BACKEND_OK || *out_value != NULL)
        return rc;
    return profile_find_in(f, CONFIG_CONFIG, profile, key, out_value, err);
}

int32_t profile_find_section(const struct profile_files *f,
                             enum section_kind kind, const char *name,
                             const char *key, const char *child,
                             const char **out_value,
                             struct persist_backend_error *err)
{
    return find(&f->config, kind, name, key, child, out_value, err);
}
