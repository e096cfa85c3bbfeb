/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the credentials are.  Each place that is named must work: a file that
 * GOOGLE_APPLICATION_CREDENTIALS names and that is missing or wrong is an
 * error, not a reason to look further and become somebody else.
 */
#include <stdio.h>
#include <string.h>

#include "gcs/credentials/token.h"
#include "gcs/replies.h"
#include "support/fail.h"
#include "support/smallfile.h"

#define FILE_MAX ((size_t)256 << 10)

/* The members whose reader becomes the account. */
static bool holds_secret(const json_t *json)
{
    const json_t *source = json_object_get(json, "source_credentials");

    return json_object_get(json, "private_key") != NULL ||
           json_object_get(json, "refresh_token") != NULL ||
           json_object_get(json, "client_secret") != NULL ||
           json_object_get(source, "private_key") != NULL ||
           json_object_get(source, "refresh_token") != NULL ||
           json_object_get(source, "client_secret") != NULL;
}

static int32_t take_json(const struct token_ctx *t, const struct secret *text,
                         struct source *out)
{
    out->json = json_parse_object(secret_text(text), text->len);
    if (out->json == NULL)
        return fail(t->err, PERSIST_BACKEND_CONFIG,
                    "credentials: %.200s is no JSON object%s",
                    text_str(&out->where),
                    secret_text(text)[0] == '/'
                        ? " (the path of a file: service_account_json_file)"
                        : "");
    out->kind = SOURCE_JSON;
    return PERSIST_BACKEND_OK;
}

/* A file with a secret must not be readable by others; a federation's, which
 * has none, may be. */
static int32_t from_file(const struct token_ctx *t, const char *path,
                         struct source *out)
{
    struct secret text = {0};
    int32_t rc =
        smallfile_read(path, FILE_MAX, SMALLFILE_TRUSTED, &text, NULL, t->err);

    if (rc == PERSIST_BACKEND_OK)
        rc = take_json(t, &text, out);
    secret_wipe(&text);
    if (rc == PERSIST_BACKEND_OK && holds_secret(out->json)) {
        json_wipe(out->json);
        out->json = NULL;
        rc = smallfile_read(path, FILE_MAX, SMALLFILE_PRIVATE, &text, NULL,
                            t->err);
        if (rc == PERSIST_BACKEND_OK)
            rc = take_json(t, &text, out);
        secret_wipe(&text);
    }
    return rc;
}

static int32_t from_option(const struct token_ctx *t, struct source *out)
{
    struct secret text = {0};
    int32_t rc = secret_from_host(&text, t->config->host, t->config->host_store,
                                  "service_account_json");

    text_add(&out->where, "service_account_json");
    if (rc == PERSIST_BACKEND_OK)
        rc = take_json(t, &text, out);
    else
        rc = fail(t->err,
                  rc == PERSIST_BACKEND_MEMORY ? rc : PERSIST_BACKEND_CONFIG,
                  "credentials: service_account_json cannot be read");
    secret_wipe(&text);
    return rc;
}

/* gcloud's own file; false where the environment does not say where it is. */
static bool well_known_path(const struct token_ctx *t, char *out, size_t cap)
{
    const char *config = t->config->env("CLOUDSDK_CONFIG");
    const char *home = t->config->env("HOME");
    int len;

    if (config != NULL && config[0] != '\0')
        len = snprintf(out, cap, "%s/application_default_credentials.json",
                       config);
    else if (home != NULL && home[0] != '\0')
        len = snprintf(out, cap,
                       "%s/.config/gcloud/application_default_credentials.json",
                       home);
    else
        return false;
    return len > 0 && (size_t)len < cap;
}

static int32_t from_environment(const struct token_ctx *t, struct source *out)
{
    const char *path = t->config->env("GOOGLE_APPLICATION_CREDENTIALS");
    char known[4096];
    int32_t rc;

    if (path != NULL && path[0] != '\0') {
        text_addf(&out->where, "GOOGLE_APPLICATION_CREDENTIALS (%s)", path);
        rc = from_file(t, path, out);
        return rc == PERSIST_BACKEND_NOT_FOUND ? PERSIST_BACKEND_CONFIG : rc;
    }
    if (!well_known_path(t, known, sizeof(known)))
        return PERSIST_BACKEND_NOT_FOUND;
    text_addf(&out->where, "gcloud (%s)", known);
    rc = from_file(t, known, out);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        text_clear(&out->where);
    return rc;
}

int32_t source_find(const struct token_ctx *t, struct source *out)
{
    const struct gcs_options *o = t->config->options;
    const char *no_gce = t->config->env("NO_GCE_CHECK");
    int32_t rc;

    if (o->anonymous || o->emulator) {
        text_add(&out->where,
                 o->anonymous ? "none (anonymous)" : "none (an emulator)");
        return PERSIST_BACKEND_OK;
    }
    if (o->has_service_json)
        return from_option(t, out);
    rc = from_environment(t, out);
    if (rc != PERSIST_BACKEND_NOT_FOUND)
        return rc;
    if (no_gce != NULL && strcmp(no_gce, "true") == 0)
        return fail(t->err, PERSIST_BACKEND_CONFIG,
                    "no credentials: service_account_json, "
                    "GOOGLE_APPLICATION_CREDENTIALS and gcloud's file are not "
                    "there, and NO_GCE_CHECK forbids the metadata server (an "
                    "emulator, or a public bucket: anonymous = true)");
    out->kind = SOURCE_METADATA;
    text_add(&out->where, "the metadata server");
    return PERSIST_BACKEND_OK;
}

void source_finish(struct source *s)
{
    json_wipe(s->json);
    text_finish(&s->where);
    *s = (struct source){.kind = SOURCE_NONE};
}
