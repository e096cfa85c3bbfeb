/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles of a person's AWS files, and what stands in one.
 *
 * Files: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials; AWS_CONFIG_FILE,
 * else ~/.aws/config; neither has to exist.  The credentials file outranks the
 * config file, key by key; the three static keys are taken from one file alone.
 */
#ifndef PERSIST_S3_CREDENTIALS_PROFILE_H
#define PERSIST_S3_CREDENTIALS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "s3/credentials/config_file.h"
#include "s3/credentials/env.h"
#include "support/secret.h"
#include "support/smallfile.h"

#define PROFILE_PATH_MAX 4096

struct profile_files {
    char credentials_path[PROFILE_PATH_MAX];
    char config_path[PROFILE_PATH_MAX];
    struct secret credentials_text, config_text;
    struct smallfile_info credentials_info, config_info;
    struct config_file credentials, config;
};

/* Reads both files; one that is missing is empty.  CONFIG, IO, MEMORY; *f is to
 * be finished also then. */
int32_t profile_files_read(struct profile_files *f,
                           const struct s3_credentials_env *env,
                           struct persist_backend_error *err);
/* Wipes. */
void profile_files_finish(struct profile_files *f);

/* Is there a section of that profile in either file? */
bool profile_exists(const struct profile_files *f, const char *profile);

/*
 * The value of a key, free of control characters and valid as long as f; NULL,
 * which is OK, where it is not there or empty.  CONFIG where it is given twice
 * or goes on in another line, with file and line.
 */
int32_t profile_find(const struct profile_files *f, const char *profile,
                     const char *key, const char **out_value,
                     struct persist_backend_error *err);
/* The same from one file, for what must not be put together from both. */
int32_t profile_find_in(const struct profile_files *f, enum config_dialect file,
                        const char *profile, const char *key,
                        const char **out_value,
                        struct persist_backend_error *err);
/* From an [sso-session NAME] or [services NAME] of the config file; child NULL
 * for a setting that is not below another.  As profile_find. */
int32_t profile_find_section(const struct profile_files *f,
                             enum section_kind kind, const char *name,
                             const char *key, const char *child,
                             const char **out_value,
                             struct persist_backend_error *err);

/* "~/x" below HOME; other paths as they are. CONFIG where HOME is not set or
 * it gets too long. */
int32_t profile_expand(const struct s3_credentials_env *env, const char *path,
                       char *out, size_t cap,
                       struct persist_backend_error *err);

#endif
