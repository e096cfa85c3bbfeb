/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IAM Identity Center ("SSO"): `aws sso login` left a token in a file; the
 * portal gives keys of a role for it.  A token that has expired is renewed
 * where the file says how, and put back as the AWS tools do, because the new
 * refresh token is the one that works next time.
 */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/dates.h"
#include "support/digest.h"
#include "support/encode.h"
#include "support/fail.h"

#define WHO "SSO"
#define TOKEN_MAX 8192
#define ID_MAX 8192
#define REFRESH_BEFORE_US (INT64_C(300) * 1000000)
#define TIMEOUT_MS 15000
#define REFRESHED_MAX_S (INT64_C(30) * 86400)

/* What the profile says; texts of the files. */
struct login {
    const char *profile;
    const char *session; /* NULL: the old way, all in the profile */
    const char *account, *role, *region, *start_url;
    char path[PROFILE_PATH_MAX]; /* of the token */
};

/* What the file says.  On the heap: 80 KiB. */
struct token {
    char access[TOKEN_MAX];
    char refresh[TOKEN_MAX];
    char client_id[ID_MAX];
    char client_secret[ID_MAX];
    char expires_at[64];
    char registration_expires_at[64];
    int64_t expires_us;
    /* Requests and files are written here. */
    char body[2 * TOKEN_MAX + 2 * ID_MAX + 4096];
    char line[TOKEN_MAX + 32]; /* the header with the token */
};

static int32_t log_in(struct asking *a, const struct login *l, const char *why)
{
    return fail(a->err, PERSIST_BACKEND_AUTH,
                WHO ": %s: run \"aws sso login --profile %.80s\"", why,
                l->profile);
}

static int32_t from_session(struct asking *a, struct login *l)
{
    static const char *const keys[] = {"sso_region", "sso_start_url"};
    const char **places[] = {&l->region, &l->start_url};

    for (size_t i = 0; i < 2; i++) {
        const char *own;
        int32_t rc = profile_find(a->files, l->profile, keys[i], &own, a->err);

        if (rc == PERSIST_BACKEND_OK)
            rc = profile_find_section(a->files, SECTION_SSO, l->session,
                                      keys[i], NULL, places[i], a->err);
        if (rc != PERSIST_BACKEND_OK)
            return rc;
        if (*places[i] == NULL)
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        WHO ": %.150s has no %s in [sso-session %.80s]",
                        a->files->config_path, keys[i], l->session);
        if (own != NULL && strcmp(own, *places[i]) != 0)
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        WHO ": profile %.80s and [sso-session %.80s] name "
                            "different %s",
                        l->profile, l->session, keys[i]);
    }
    return PERSIST_BACKEND_OK;
}

/* SOURCE_ABSENT where the profile is no SSO profile. */
static int32_t read_profile(struct asking *a, struct login *l)
{
    static const char *const keys[] = {"sso_account_id", "sso_role_name",
                                       "sso_session", "sso_region",
                                       "sso_start_url"};
    const char **places[] = {&l->account, &l->role, &l->session, &l->region,
                             &l->start_url};

    for (size_t i = 0; i < 5; i++) {
        int32_t rc =
            profile_find(a->files, l->profile, keys[i], places[i], a->err);

        if (rc != PERSIST_BACKEND_OK)
            return rc;
    }
    if (l->account == NULL && l->role == NULL)
        return asking_absent(a, "profile %.80s has no sso_account_id",
                             l->profile);
    for (size_t i = 0; i < 5; i++)
        if ((i < 2 || (i > 2 && l->session == NULL)) && *places[i] == NULL)
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        WHO ": profile %.80s has no %s", l->profile, keys[i]);
    return l->session == NULL ? PERSIST_BACKEND_OK : from_session(a, l);
}

static int32_t token_path(struct asking *a, struct login *l)
{
    const char *name = l->session != NULL ? l->session : l->start_url;
    char hex[2 * SHA1_LEN + 1], path[128];
    uint8_t digest[SHA1_LEN];

    if (digest_sha1(name, strlen(name), digest) != 0)
        return fail(a->err, PERSIST_BACKEND_INTERNAL,
                    WHO ": libcrypto has no SHA-1");
    hex_encode(hex, digest, sizeof(digest));
    (void)snprintf(path, sizeof(path), "~/.aws/sso/cache/%s.json", hex);
    return profile_expand(a->env, path, l->path, sizeof(l->path), a->err);
}

static int32_t parse_token(struct asking *a, const struct login *l,
                           const struct secret *text, struct token *out)
{
    struct json_field fields[] = {
        {.path = "accessToken", .text = out->access, .cap = TOKEN_MAX},
        {.path = "refreshToken", .text = out->refresh, .cap = TOKEN_MAX},
        {.path = "clientId", .text = out->client_id, .cap = ID_MAX},
        {.path = "clientSecret", .text = out->client_secret, .cap = ID_MAX},
        {.path = "expiresAt",
         .text = out->expires_at,
         .cap = sizeof(out->expires_at)},
        {.path = "registrationExpiresAt",
         .text = out->registration_expires_at,
         .cap = sizeof(out->registration_expires_at)},
    };
    const size_t n = sizeof(fields) / sizeof(fields[0]);

    if (text->len == 0 || json_read(text->bytes, text->len, fields, n) != 0 ||
        out->access[0] == '\0' ||
        !asking_time(out->expires_at, &out->expires_us))
        return log_in(a, l, "the token file is damaged");
    return PERSIST_BACKEND_OK;
}

static int32_t read_token(struct asking *a, const struct login *l,
                          struct token *out)
{
    struct secret text = {0};
    int32_t rc =
        a->env->read(a->env->ctx, l->path, JSON_SIZE_MAX, &text, NULL, a->err);

    if (rc == PERSIST_BACKEND_NOT_FOUND)
        rc = log_in(a, l, "nobody has logged in");
    else if (rc == PERSIST_BACKEND_OK)
        rc = parse_token(a, l, &text, out);
    secret_wipe(&text);
    return rc;
}

static bool can_refresh(const struct asking *a, const struct token *t)
{
    int64_t until;

    return t->refresh[0] != '\0' && t->client_id[0] != '\0' &&
           t->client_secret[0] != '\0' &&
           (t->registration_expires_at[0] == '\0' ||
            (asking_time(t->registration_expires_at, &until) &&
             until > a->now_us));
}

/* {"name":"value",...}; names and values alternate, NULL ends; a NULL or empty
 * value leaves its member out. */
static int32_t write_object(struct asking *a, const char *const *texts,
                            char *out, size_t cap)
{
    char *at = out;
    const char *end = out + cap - 2; /* the brace and the NUL */
    int rc = 0;

    *at++ = '{';
    for (size_t i = 0; texts[i] != NULL; i += 2) {
        if (texts[i + 1][0] == '\0')
            continue;
        if (at != out + 1 && at < end)
            *at++ = ',';
        rc |= json_quote(&at, end, texts[i]);
        if (at < end)
            *at++ = ':';
        rc |= json_quote(&at, end, texts[i + 1]);
    }
    *at++ = '}';
    *at = '\0';
    if (rc != 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    WHO ": the token file's values are too long");
    return PERSIST_BACKEND_OK;
}

/* As the AWS tools keep it.  That it cannot be written is no reason to fail:
 * the token is good. */
static void keep_token(struct asking *a, const struct login *l, struct token *t)
{
    const char *const texts[] = {"startUrl",
                                 l->start_url,
                                 "region",
                                 l->region,
                                 "accessToken",
                                 t->access,
                                 "expiresAt",
                                 t->expires_at,
                                 "clientId",
                                 t->client_id,
                                 "clientSecret",
                                 t->client_secret,
                                 "registrationExpiresAt",
                                 t->registration_expires_at,
                                 "refreshToken",
                                 t->refresh,
                                 NULL};
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};

    if (write_object(a, texts, t->body, sizeof(t->body)) !=
            PERSIST_BACKEND_OK ||
        a->env->write(a->env->ctx, l->path, t->body, strlen(t->body),
                      &ignored) != PERSIST_BACKEND_OK)
        a->host->log(a->host_store, PERSIST_BACKEND_LOG_WARN,
                     WHO ": the renewed token could not be kept in its file");
}

static int32_t parse_refreshed(struct asking *a, const struct http_response *r,
                               struct token *t)
{
    char refresh[TOKEN_MAX] = "";
    struct json_field fields[] = {
        {.path = "accessToken", .text = t->access, .cap = TOKEN_MAX},
        {.path = "refreshToken", .text = refresh, .cap = TOKEN_MAX},
        {.path = "expiresIn", .is_number = true}};
    int32_t rc = asking_json(a, r->body.data, r->body.len, fields, 3, WHO);

    if (rc == PERSIST_BACKEND_OK &&
        (t->access[0] == '\0' || fields[2].number <= 0 ||
         fields[2].number > REFRESHED_MAX_S))
        rc = fail(a->err, PERSIST_BACKEND_IO,
                  WHO ": the answer has no token or no time it lasts");
    if (rc == PERSIST_BACKEND_OK) {
        t->expires_us = a->now_us + fields[2].number * 1000000;
        date_format_rfc3339(t->expires_us, t->expires_at);
        if (refresh[0] != '\0')
            memcpy(t->refresh, refresh, sizeof(refresh));
    }
    secret_wipe_bytes(refresh, sizeof(refresh));
    return rc;
}

static int32_t ask_refresh(struct asking *a, const struct login *l,
                           struct token *t)
{
    const char *const texts[] = {
        "grantType",    "refresh_token", "clientId",
        t->client_id,   "clientSecret",  t->client_secret,
        "refreshToken", t->refresh,      NULL};
    const char *const header = "Content-Type: application/json";
    char base[SETTING_MAX], url[SETTING_MAX + 8];
    struct http_request request = {.method = "POST",
                                   .url = url,
                                   .headers = &header,
                                   .n_headers = 1,
                                   .timeout_ms = TIMEOUT_MS};
    struct http_response response = {0};
    int32_t rc = setting_service_url(a, "sso_oidc", "oidc", l->region, base);

    if (rc == PERSIST_BACKEND_OK)
        rc = write_object(a, texts, t->body, sizeof(t->body));
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    (void)snprintf(url, sizeof(url), "%s/token", base);
    request.body[0] = (struct http_piece){t->body, strlen(t->body)};
    rc = asking_fetch(a, &request, &response, WHO);
    if (response.status == 400 || response.status == 401)
        rc = log_in(a, l, "the login is over");
    if (rc == PERSIST_BACKEND_OK)
        rc = parse_refreshed(a, &response, t);
    http_response_finish(&response);
    return rc;
}

static int32_t refresh(struct asking *a, const struct login *l, struct token *t)
{
    int32_t rc = ask_refresh(a, l, t);

    if (rc == PERSIST_BACKEND_OK)
        keep_token(a, l, t);
    return rc;
}

/* A token that is good now. */
static int32_t good_token(struct asking *a, const struct login *l,
                          struct token *t)
{
    int32_t rc = read_token(a, l, t);
    bool is_good;

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    is_good = t->expires_us > a->now_us;
    if (t->expires_us > a->now_us + REFRESH_BEFORE_US)
        return PERSIST_BACKEND_OK;
    if (!can_refresh(a, t))
        return is_good ? PERSIST_BACKEND_OK
                       : log_in(a, l, "the login has expired");
    rc = refresh(a, l, t);
    if (rc != PERSIST_BACKEND_OK && is_good)
        rc = read_token(a, l, t); /* the old one does for the moment */
    return rc;
}

static int32_t parse_keys(struct asking *a, const struct http_response *r,
                          struct s3_credentials *out)
{
    struct handed_out h = {.id = ""};
    struct json_field fields[] = {
        {.path = "roleCredentials.accessKeyId",
         .text = h.id,
         .cap = sizeof(h.id)},
        {.path = "roleCredentials.secretAccessKey",
         .text = h.secret,
         .cap = sizeof(h.secret)},
        {.path = "roleCredentials.sessionToken",
         .text = h.token,
         .cap = sizeof(h.token)},
        {.path = "roleCredentials.expiration", .is_number = true}};
    int32_t rc = asking_json(a, r->body.data, r->body.len, fields, 4, WHO);

    if (rc == PERSIST_BACKEND_OK &&
        (h.id[0] == '\0' || h.secret[0] == '\0' || h.token[0] == '\0' ||
         fields[3].number <= 0 || fields[3].number > INT64_MAX / 1000))
        rc = fail(a->err, PERSIST_BACKEND_IO,
                  WHO ": the answer lacks one of the keys or its time");
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_keys(a, out, h.id, h.secret, h.token, WHO);
    if (rc == PERSIST_BACKEND_CONFIG)
        rc = PERSIST_BACKEND_IO; /* not what the user wrote */
    if (rc == PERSIST_BACKEND_OK)
        out->expires_us = fields[3].number * 1000; /* it is in ms */
    secret_wipe_bytes(&h, sizeof(h));
    return rc;
}

static int32_t ask_portal(struct asking *a, const struct login *l,
                          const char *line, struct s3_credentials *out)
{
    struct text url = {.max = 8192};
    char base[SETTING_MAX];
    struct http_request request = {.method = "GET",
                                   .headers = &line,
                                   .n_headers = 1,
                                   .timeout_ms = TIMEOUT_MS};
    struct http_response response = {0};
    int32_t rc = setting_service_url(a, "sso", "portal.sso", l->region, base);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    text_addf(&url, "%s/federation/credentials?role_name=", base);
    percent_encode(&url, l->role, strlen(l->role), false);
    text_add(&url, "&account_id=");
    percent_encode(&url, l->account, strlen(l->account), false);
    request.url = text_str(&url);
    rc = url.failed ? fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory")
                    : asking_fetch(a, &request, &response, WHO);
    if (response.status == 401)
        rc = log_in(a, l, "the login is over");
    else if (response.status == 403)
        rc = fail(a->err, PERSIST_BACKEND_DENIED,
                  WHO ": role %.80s of account %.20s is not given to whoever "
                      "logged in",
                  l->role, l->account);
    if (rc == PERSIST_BACKEND_OK)
        rc = parse_keys(a, &response, out);
    text_finish(&url);
    http_response_finish(&response);
    return rc;
}

int32_t source_sso(struct asking *a, const char *profile,
                   struct s3_credentials *out)
{
    struct login login = {.profile = profile};
    struct token *token;
    int32_t rc = read_profile(a, &login);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    token = calloc(1, sizeof(*token));
    if (token == NULL)
        return fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory");
    rc = token_path(a, &login);
    if (rc == PERSIST_BACKEND_OK)
        rc = good_token(a, &login, token);
    if (rc == PERSIST_BACKEND_OK) {
        (void)snprintf(token->line, sizeof(token->line),
                       "x-amz-sso_bearer_token: %s", token->access);
        rc = ask_portal(a, &login, token->line, out);
    }
    secret_wipe_bytes(token, sizeof(*token));
    free(token);
    return rc;
}
