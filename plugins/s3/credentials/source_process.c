/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential_process: a program of the user's prints keys as JSON.  It runs
 * without a shell, and only where nobody else could have written its name.
 */
#include "s3/credentials/source.h"

#include <unistd.h>

#include "support/command.h"
#include "support/fail.h"

#define PROCESS_TIMEOUT_MS 60000
#define WHO "credential_process"

/* Could nobody but us and root have written the file? */
static int32_t check_file(struct asking *a, const char *path,
                          const struct smallfile_info *info)
{
    if (info->uid != 0 && info->uid != geteuid())
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%.200s names a " WHO " and belongs to another user", path);
    if ((info->mode & 022) != 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%.200s names a " WHO " and can be written by others: "
                    "chmod go-w",
                    path);
    return PERSIST_BACKEND_OK;
}

/* The command line; NULL, which is OK, where the profile names none. */
static int32_t find_line(struct asking *a, const char *profile,
                         const char **out)
{
    const struct profile_files *f = a->files;
    int32_t rc =
        profile_find_in(f, CONFIG_CREDENTIALS, profile, WHO, out, a->err);

    if (rc == PERSIST_BACKEND_OK && *out != NULL)
        return check_file(a, f->credentials_path, &f->credentials_info);
    if (rc == PERSIST_BACKEND_OK)
        rc = profile_find_in(f, CONFIG_CONFIG, profile, WHO, out, a->err);
    if (rc == PERSIST_BACKEND_OK && *out != NULL)
        return check_file(a, f->config_path, &f->config_info);
    return rc;
}

static int32_t understand(struct asking *a, const struct secret *printed,
                          struct s3_credentials *out)
{
    struct json_field version = {.path = "Version", .is_number = true};
    int32_t rc = asking_handed_out(a, printed->bytes, printed->len,
                                   "SessionToken", true, &version, 1, WHO, out);

    if (version.found && version.number != 1)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    WHO " prints Version %lld; 1 is what there is",
                    (long long)version.number);
    if (rc == PERSIST_BACKEND_OK && !version.found)
        return fail(a->err, PERSIST_BACKEND_IO,
                    WHO ": the answer lacks Version");
    if (rc == PERSIST_BACKEND_OK && out->expires_us != 0 &&
        out->expires_us <= a->now_us)
        return fail(a->err, PERSIST_BACKEND_AUTH,
                    WHO " prints keys that have expired");
    return rc;
}

int32_t source_process(struct asking *a, const char *profile,
                       struct s3_credentials *out)
{
    struct command_words words = {0};
    struct secret printed = {0};
    const char *line;
    int32_t rc = find_line(a, profile, &line);

    if (rc == PERSIST_BACKEND_OK && line == NULL)
        return asking_absent(a, "profile %.80s names no " WHO, profile);
    if (rc == PERSIST_BACKEND_OK)
        rc = command_split(line, &words, a->err);
    if (rc == PERSIST_BACKEND_OK)
        rc = a->env->run(a->env->ctx, a->call, words.argv, PROCESS_TIMEOUT_MS,
                         JSON_SIZE_MAX, &printed, a->err);
    if (rc == PERSIST_BACKEND_OK)
        rc = understand(a, &printed, out);
    command_words_finish(&words);
    secret_wipe(&printed);
    return rc;
}
