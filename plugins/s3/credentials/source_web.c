/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Web identity: a token that somebody keeps fresh in a file (EKS, CI systems)
 * is changed for keys of a role.  The file is read anew each time.
 */
#include "s3/credentials/source.h"

#include <string.h>

#include "support/fail.h"

#define TOKEN_MAX ((size_t)20000) /* STS takes no longer one */

/* The token without the line end of a file that a person made. */
static int32_t read_token(struct asking *a, const char *file,
                          struct secret *out)
{
    int32_t rc = a->env->read(a->env->ctx, file, TOKEN_MAX, out, NULL, a->err);

    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "web identity: the token file %.200s does not exist", file);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    while (out->len > 0 && strchr(" \t\r\n", out->bytes[out->len - 1]) != NULL)
        out->bytes[--out->len] = '\0';
    for (size_t i = 0; i < out->len; i++)
        if (out->bytes[i] <= ' ' || out->bytes[i] > '~')
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        "web identity: %.200s holds no token", file);
    if (out->len == 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "web identity: the token file %.200s is empty", file);
    return PERSIST_BACKEND_OK;
}

int32_t source_web_token(struct asking *a, const struct role *role,
                         const char *token_file, struct s3_credentials *out)
{
    struct secret token = {0};
    char path[PROFILE_PATH_MAX];
    int32_t rc = profile_expand(a->env, token_file, path, sizeof(path), a->err);

    if (rc == PERSIST_BACKEND_OK)
        rc = read_token(a, path, &token);
    if (rc == PERSIST_BACKEND_OK)
        rc = sts_web_identity(a, role, token.bytes, out);
    secret_wipe(&token);
    return rc;
}

int32_t source_web_identity(struct asking *a, struct s3_credentials *out)
{
    const char *file = asking_variable(a, "AWS_WEB_IDENTITY_TOKEN_FILE");
    struct role role = {.arn = asking_variable(a, "AWS_ROLE_ARN"),
                        .session_name =
                            asking_variable(a, "AWS_ROLE_SESSION_NAME")};

    if (file == NULL)
        return asking_absent(a, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (role.arn == NULL)
        return fail(
            a->err, PERSIST_BACKEND_CONFIG,
            "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
    return source_web_token(a, &role, file, out);
}
