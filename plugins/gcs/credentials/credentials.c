/* SPDX-License-Identifier: Apache-2.0 */
/* One provider per store: the token, its renewal, what requests carry. */
#include "gcs/credentials/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "gcs/credentials/token.h"
#include "gcs/replies.h"
#include "support/fail.h"
#include "support/refresh.h"
#include "support/secret.h"

#define SECOND_US INT64_C(1000000)

/* What the refresher holds: one token and what goes with it. */
struct token {
    struct secret line; /* "Authorization: Bearer ..."; empty: anonymous */
    struct text project;
};

struct gcs_credentials {
    struct gcs_credentials_config config;
    struct refresh *refresh;
    /* The metadata server has answered once: that it is silent now is no sign
     * that there is none.  Written by the one that fetches. */
    bool metadata_seen;
};

static void token_free(void *ctx, void *value)
{
    struct token *token = value;

    (void)ctx;
    if (token == NULL)
        return;
    secret_wipe(&token->line);
    text_finish(&token->project);
    free(token);
}

/* ------------------------------------------------------------------ fetching
 */

static int32_t grant_from_source(struct gcs_credentials *c,
                                 const struct token_ctx *t,
                                 const struct source *source, struct grant *out)
{
    int32_t rc;

    if (source->kind == SOURCE_JSON)
        return grant_from_account(t, source->json, SCOPE_STORE, 0, out);
    rc = grant_from_metadata(t, SCOPE_STORE, out);
    if (rc == PERSIST_BACKEND_OK)
        c->metadata_seen = true;
    if (rc != PERSIST_BACKEND_NOT_FOUND)
        return rc;
    if (c->metadata_seen)
        return fail(t->err, PERSIST_BACKEND_TRANSIENT,
                    "credentials: the metadata server does not answer");
    return fail(t->err, PERSIST_BACKEND_CONFIG,
                "no credentials: service_account_json, "
                "GOOGLE_APPLICATION_CREDENTIALS and gcloud's file are not "
                "there, and no metadata server answers (an emulator, or a "
                "public bucket: anonymous = true)");
}

static int32_t set_line(struct token *token, const struct grant *grant)
{
    struct text line = {.secret = true};
    int32_t rc;

    text_add(&line, "Authorization: Bearer ");
    text_add(&line, secret_text(&grant->token));
    rc = line.failed ? PERSIST_BACKEND_MEMORY
                     : secret_set(&token->line, text_str(&line), line.len);
    text_finish(&line);
    return rc;
}

/* The project whose quota counts: the environment's, else the file's. */
static int32_t set_project(const struct gcs_credentials *c,
                           const struct source *source, struct token *token)
{
    const char *project = c->config.env("GOOGLE_CLOUD_QUOTA_PROJECT");

    if (project == NULL || project[0] == '\0')
        project = json_text(source->json, "quota_project_id");
    if (project != NULL && project[0] != '\0')
        text_addf(&token->project, "x-goog-user-project: %s", project);
    return token->project.failed ? PERSIST_BACKEND_MEMORY : PERSIST_BACKEND_OK;
}

static int32_t fetch(void *ctx, const struct persist_backend_call *call,
                     struct refresh_value *out,
                     struct persist_backend_error *err)
{
    struct gcs_credentials *c = ctx;
    const struct token_ctx t = {.config = &c->config, .call = call, .err = err};
    struct source source = {.kind = SOURCE_NONE};
    struct grant grant = {{0}, REFRESH_NEVER};
    struct token *token = calloc(1, sizeof(*token));
    int32_t rc = token != NULL
                     ? source_find(&t, &source)
                     : fail(err, PERSIST_BACKEND_MEMORY, "out of memory");

    if (rc == PERSIST_BACKEND_OK && source.kind != SOURCE_NONE) {
        rc = grant_from_source(c, &t, &source, &grant);
        if (rc == PERSIST_BACKEND_OK)
            rc = set_line(token, &grant);
        if (rc == PERSIST_BACKEND_OK)
            rc = set_project(c, &source, token);
        if (rc == PERSIST_BACKEND_MEMORY)
            rc = fail(err, rc, "out of memory");
    }
    if (rc == PERSIST_BACKEND_OK) {
        out->value = token;
        out->expires_us = grant.expires_us;
        token = NULL;
    }
    grant_wipe(&grant);
    source_finish(&source);
    token_free(NULL, token);
    return rc;
}

/* ------------------------------------------------------------------ outside */

int32_t gcs_credentials_create(const struct gcs_credentials_config *config,
                               struct gcs_credentials **out,
                               struct persist_backend_error *err)
{
    struct gcs_credentials *c = calloc(1, sizeof(*c));
    struct refresh_config refresh = {
        .host = config->host,
        .early_us = 225 * SECOND_US, /* before it, the metadata server answers
                                        with the same token */
        .must_us = 10 * SECOND_US,
        .retry_us = 10 * SECOND_US,
        .jitter_us = 5 * SECOND_US,
        .fetch = fetch,
        .free_value = token_free,
        .ctx = c};

    if (c == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    c->config = *config;
    if (refresh_create(&refresh, &c->refresh) != PERSIST_BACKEND_OK) {
        free(c);
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    }
    *out = c;
    return PERSIST_BACKEND_OK;
}

void gcs_credentials_destroy(struct gcs_credentials *c)
{
    if (c == NULL)
        return;
    refresh_destroy(c->refresh);
    free(c);
}

int32_t gcs_credentials_header(struct gcs_credentials *c,
                               const struct persist_backend_call *call,
                               struct text *out_token, struct text *out_project,
                               uint64_t *out_generation,
                               struct persist_backend_error *err)
{
    void *value = NULL;
    const struct token *token;
    uint64_t generation = 0;
    int32_t rc = refresh_get(c->refresh, call, &value, &generation, NULL, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    token = value;
    text_add(out_token, secret_text(&token->line));
    text_add(out_project, text_str(&token->project));
    *out_generation = token->line.len > 0 ? generation : 0;
    refresh_put(c->refresh, value);
    return out_token->failed || out_project->failed
               ? fail(err, PERSIST_BACKEND_MEMORY, "out of memory")
               : PERSIST_BACKEND_OK;
}

void gcs_credentials_refused(struct gcs_credentials *c, uint64_t generation)
{
    refresh_invalidate(c->refresh, generation);
}

int32_t gcs_credentials_describe(struct gcs_credentials *c,
                                 const struct persist_backend_call *call,
                                 struct text *out_source,
                                 struct text *out_identity,
                                 struct persist_backend_error *err)
{
    const struct token_ctx t = {.config = &c->config, .call = call, .err = err};
    struct source source = {.kind = SOURCE_NONE};
    int32_t rc = source_find(&t, &source);

    if (rc == PERSIST_BACKEND_OK) {
        text_add(out_source, text_str(&source.where));
        if (source.kind == SOURCE_JSON)
            account_describe(source.json, out_identity);
        else if (source.kind == SOURCE_METADATA)
            (void)metadata_email(&t, out_identity);
        else
            text_add(out_identity, "anonymous");
    }
    source_finish(&source);
    return rc;
}
