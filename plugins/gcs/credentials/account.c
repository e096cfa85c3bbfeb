/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts that a credential file describes, but for external ones.
 *
 * A service account signs its own token where Google issued the account: no
 * request is needed, and universes other than googleapis.com know no exchange.
 * Where the file names another token_uri, that is asked.
 */
#include <string.h>

#include "gcs/credentials/jwt.h"
#include "gcs/credentials/token.h"
#include "gcs/replies.h"
#include "support/encode.h"
#include "support/fail.h"

#define TOKEN_LIFE_S 3600
#define JWT_GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"

/* ---------------------------------------------------------- service account */

struct service_account {
    const char *email;
    const char *key;
    const char *key_id; /* or NULL */
    const char *token_uri;
};

static bool google_issues(const char *token_uri)
{
    return strcmp(token_uri, GOOGLE_TOKEN_URI) == 0 ||
           strcmp(token_uri, "https://accounts.google.com/o/oauth2/token") == 0;
}

static int32_t check_universe(const struct token_ctx *t, const json_t *json)
{
    const char *universe = json_text(json, "universe_domain");

    if (universe == NULL)
        universe = DEFAULT_UNIVERSE;
    if (strcmp(universe, t->config->options->universe) == 0)
        return PERSIST_BACKEND_OK;
    return fail(t->err, PERSIST_BACKEND_CONFIG,
                "credentials: they are of %.100s and the store is of %.100s "
                "(universe_domain)",
                universe, t->config->options->universe);
}

static int32_t read_service_account(const struct token_ctx *t,
                                    const json_t *json,
                                    struct service_account *out)
{
    int32_t rc = check_universe(t, json);

    out->email = token_member(t, json, "client_email", &rc);
    out->key = token_member(t, json, "private_key", &rc);
    out->key_id = json_text(json, "private_key_id");
    out->token_uri = json_text(json, "token_uri");
    if (out->token_uri == NULL || out->token_uri[0] == '\0')
        out->token_uri = GOOGLE_TOKEN_URI;
    if (rc == PERSIST_BACKEND_OK && !token_url_ok(out->token_uri, false, NULL))
        rc = token_config_error(t, "token_uri is no https URL");
    return rc;
}

/* audience: of an exchange; NULL: the token itself, which says `sub` instead.
 */
static int32_t sign_for(const struct token_ctx *t,
                        const struct service_account *a, const char *scope,
                        const char *audience, int64_t now_s, struct secret *out)
{
    json_t *claims = json_pack(
        "{s:s, s:s*, s:s*, s:s, s:I, s:I}", "iss", a->email, "sub",
        audience == NULL ? a->email : NULL, "aud", audience, "scope", scope,
        "iat", (json_int_t)now_s, "exp", (json_int_t)now_s + TOKEN_LIFE_S);
    int32_t rc = claims != NULL
                     ? jwt_sign(a->key, a->key_id, claims, out, t->err)
                     : token_config_error(t, "client_email is not UTF-8");

    json_decref(claims);
    return rc;
}

static int32_t exchange_jwt(const struct token_ctx *t, const char *token_uri,
                            const struct secret *assertion, struct grant *out)
{
    struct text form = {.secret = true};
    const struct token_request q = {
        .what = "the token service",
        .url = token_uri,
        .content_type = "Content-Type: application/x-www-form-urlencoded",
        .body = &form};
    json_t *json = NULL;
    int32_t rc;

    form_add(&form, "grant_type", JWT_GRANT);
    form_add(&form, "assertion", secret_text(assertion));
    rc = form.failed ? fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory")
                     : token_ask(t, &q, &json);
    if (rc == PERSIST_BACKEND_OK)
        rc = grant_from_oauth(t, json, out);
    json_wipe(json);
    text_finish(&form);
    return rc;
}

static int32_t from_service_account(const struct token_ctx *t,
                                    const json_t *json, const char *scope,
                                    struct grant *out)
{
    struct service_account a;
    struct secret assertion = {0};
    int64_t now_s = t->config->host->wall_us() / 1000000;
    int32_t rc = read_service_account(t, json, &a);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (google_issues(a.token_uri)) {
        out->expires_us = (now_s + TOKEN_LIFE_S) * 1000000;
        return sign_for(t, &a, scope, NULL, now_s, &out->token);
    }
    rc = sign_for(t, &a, scope, a.token_uri, now_s, &assertion);
    if (rc == PERSIST_BACKEND_OK)
        rc = exchange_jwt(t, a.token_uri, &assertion, out);
    secret_wipe(&assertion);
    return rc;
}

/* ------------------------------------------------------------------- a user */

/* The scope is what the user consented to; asking for another is refused. */
static int32_t from_user(const struct token_ctx *t, const json_t *json,
                         struct grant *out)
{
    struct text form = {.secret = true};
    struct token_request q = {
        .what = "the token service",
        .url = json_text(json, "token_uri"),
        .content_type = "Content-Type: application/x-www-form-urlencoded",
        .body = &form};
    int32_t rc = check_universe(t, json);
    const char *id = token_member(t, json, "client_id", &rc);
    const char *secret = token_member(t, json, "client_secret", &rc);
    const char *refresh = token_member(t, json, "refresh_token", &rc);
    json_t *reply = NULL;

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (q.url == NULL)
        q.url = GOOGLE_TOKEN_URI;
    if (!token_url_ok(q.url, false, NULL))
        return token_config_error(t, "token_uri is no https URL");
    form_add(&form, "grant_type", "refresh_token");
    form_add(&form, "client_id", id);
    form_add(&form, "client_secret", secret);
    form_add(&form, "refresh_token", refresh);
    rc = form.failed ? fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory")
                     : token_ask(t, &q, &reply);
    if (rc == PERSIST_BACKEND_OK)
        rc = grant_from_oauth(t, reply, out);
    json_wipe(reply);
    text_finish(&form);
    return rc;
}

/* ------------------------------------------------------------- impersonated */

static int32_t from_impersonated(const struct token_ctx *t, const json_t *json,
                                 const char *scope, unsigned depth,
                                 struct grant *out)
{
    const json_t *source = json_object_get(json, "source_credentials");
    struct grant own = {{0}, 0};
    int32_t rc = check_universe(t, json);
    const char *url =
        token_member(t, json, "service_account_impersonation_url", &rc);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (!json_is_object(source))
        return token_config_error(t, "source_credentials is missing");
    rc = grant_from_account(t, source, SCOPE_PLATFORM, depth + 1, &own);
    if (rc == PERSIST_BACKEND_OK)
        rc = grant_impersonate(t, &own, url, json_object_get(json, "delegates"),
                               scope, TOKEN_LIFE_S, out);
    grant_wipe(&own);
    return rc;
}

/* ----------------------------------------------------------------- outside */

int32_t grant_from_account(const struct token_ctx *t, const json_t *json,
                           const char *scope, unsigned depth, struct grant *out)
{
    int32_t rc = PERSIST_BACKEND_OK;
    const char *type = token_member(t, json, "type", &rc);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (strcmp(type, "service_account") == 0)
        return from_service_account(t, json, scope, out);
    if (strcmp(type, "authorized_user") == 0)
        return from_user(t, json, out);
    if (strcmp(type, "external_account") == 0) {
        rc = check_universe(t, json);
        return rc == PERSIST_BACKEND_OK
                   ? grant_from_external(t, json, scope, out)
                   : rc;
    }
    if (strcmp(type, "impersonated_service_account") == 0 && depth == 0)
        return from_impersonated(t, json, scope, depth, out);
    return fail(t->err, PERSIST_BACKEND_CONFIG,
                "credentials: the type %.60s is not supported%s", type,
                depth > 0 ? " as a source of another" : "");
}

/* ".../serviceAccounts/NAME@PROJECT...:generateAccessToken" */
static void describe_impersonated(const char *url, struct text *out)
{
    const char *name = strstr(url, "/serviceAccounts/");

    if (name == NULL)
        return;
    name += strlen("/serviceAccounts/");
    text_add_bytes(out, name, strcspn(name, ":/?"));
}

void account_describe(const json_t *json, struct text *out)
{
    const char *type = json_text(json, "type");
    const char *url = json_text(json, "service_account_impersonation_url");
    const char *email = json_text(json, "client_email");
    const char *audience = json_text(json, "audience");

    if (url != NULL)
        describe_impersonated(url, out);
    else if (email != NULL)
        text_add(out, email);
    else if (audience != NULL)
        text_add(out, audience);
    else if (type != NULL && strcmp(type, "authorized_user") == 0)
        text_add(out, "a user of gcloud");
}
