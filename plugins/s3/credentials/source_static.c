/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are simply given: options of the store and variables. */
#include "s3/credentials/source.h"

#include "support/fail.h"

/* A secret option into *out; "" where it is not set. */
static int32_t secret_option(struct asking *a, const char *key,
                             struct secret *out)
{
    int32_t rc = secret_from_host(out, a->host, a->host_store, key);

    if (rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_FOUND)
        return PERSIST_BACKEND_OK;
    return fail(a->err, rc, "%s cannot be read", key);
}

static int32_t from_options(struct asking *a, const struct secret *secret,
                            const struct secret *token,
                            struct s3_credentials *out)
{
    const char *id = a->options->access_key_id;

    if (id == NULL && secret->len == 0 && token->len == 0)
        return asking_absent(a, "access_key_id is not set");
    if (id == NULL)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%s is set and access_key_id is not",
                    secret->len != 0 ? "secret_access_key" : "session_token");
    if (secret->len == 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "access_key_id is set and secret_access_key is not");
    return asking_keys(a, out, id, secret_text(secret), secret_text(token),
                       "options");
}

int32_t source_options(struct asking *a, struct s3_credentials *out)
{
    struct secret secret = {0}, token = {0};
    int32_t rc = secret_option(a, "secret_access_key", &secret);

    if (rc == PERSIST_BACKEND_OK)
        rc = secret_option(a, "session_token", &token);
    if (rc == PERSIST_BACKEND_OK)
        rc = from_options(a, &secret, &token, out);
    secret_wipe(&secret);
    secret_wipe(&token);
    return rc;
}

int32_t source_environment(struct asking *a, struct s3_credentials *out)
{
    const char *id = asking_variable(a, "AWS_ACCESS_KEY_ID");
    const char *secret = asking_variable(a, "AWS_SECRET_ACCESS_KEY");
    const char *token = asking_variable(a, "AWS_SESSION_TOKEN");

    if (id == NULL && secret == NULL)
        return asking_absent(a, "AWS_ACCESS_KEY_ID is not set");
    if (id == NULL || secret == NULL)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "AWS_%s is set and AWS_%s is not",
                    id != NULL ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY",
                    id != NULL ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
    return asking_keys(a, out, id, secret, token, "environment");
}
