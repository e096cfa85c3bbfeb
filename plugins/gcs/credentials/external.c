/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload identity federation: a token that somebody else issued is exchanged
 * at Google's token service (RFC 8693), and that one, if the file says so, for
 * a service account's.
 *
 * The subject token comes from a file or a URL.  Programs ("executable") are
 * not run, certificates and AWS's signed requests not made: said as CONFIG.
 */
#include <stdio.h>
#include <string.h>

#include "gcs/credentials/token.h"
#include "gcs/replies.h"
#include "support/encode.h"
#include "support/fail.h"
#include "support/smallfile.h"

#define SUBJECT_MAX ((size_t)64 << 10)
#define TOKEN_LIFE_S 3600
#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TOKEN "urn:ietf:params:oauth:token-type:access_token"

/* ------------------------------------------------------------ subject token */

/* The token in a text or in a JSON object's member. */
static int32_t take_subject(const struct token_ctx *t, const json_t *source,
                            const char *text, size_t len, struct secret *out)
{
    const json_t *format = json_object_get(source, "format");
    const char *type = json_text(format, "type");
    const char *field = json_text(format, "subject_token_field_name");
    json_t *json = NULL;
    const char *token;
    int32_t rc;

    if (type == NULL || strcmp(type, "text") == 0) {
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--;
        rc = len > 0 ? secret_set(out, text, len)
                     : token_config_error(t, "the subject token is empty");
        return rc;
    }
    if (strcmp(type, "json") != 0 || field == NULL)
        return token_config_error(t, "credential_source.format must be text, "
                                     "or json with subject_token_field_name");
    json = json_parse_object(text, len);
    token = json_text(json, field);
    rc = token != NULL && token[0] != '\0'
             ? secret_set(out, token, strlen(token))
             : token_config_error(t, "the subject token is not where "
                                     "subject_token_field_name says");
    json_wipe(json);
    return rc;
}

static int32_t subject_from_file(const struct token_ctx *t,
                                 const json_t *source, const char *path,
                                 struct secret *out)
{
    struct secret bytes = {0};
    int32_t rc = smallfile_read(path, SUBJECT_MAX, SMALLFILE_TRUSTED, &bytes,
                                NULL, t->err);

    if (rc == PERSIST_BACKEND_NOT_FOUND)
        rc = PERSIST_BACKEND_CONFIG;
    if (rc == PERSIST_BACKEND_OK)
        rc = take_subject(t, source, secret_text(&bytes), bytes.len, out);
    secret_wipe(&bytes);
    return rc;
}

#define SUBJECT_HEADERS 8

/* The headers of a URL source; their lines live in `lines`. */
static int32_t add_headers(const struct token_ctx *t, json_t *headers,
                           struct text *lines, const char **out)
{
    size_t n = 0;

    for (void *at = json_object_iter(headers); at != NULL;
         at = json_object_iter_next(headers, at)) {
        const char *value = json_string_value(json_object_iter_value(at));

        if (n == SUBJECT_HEADERS || value == NULL)
            return token_config_error(t, "credential_source.headers are not "
                                         "texts, or too many");
        text_addf(&lines[n], "%s: %s", json_object_iter_key(at), value);
        if (lines[n].failed)
            return fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory");
        out[n] = text_str(&lines[n]);
        n++;
    }
    return PERSIST_BACKEND_OK;
}

static int32_t subject_request(const struct token_ctx *t, const char *url,
                               const char *const *headers,
                               struct http_response *r)
{
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .timeout_ms = TOKEN_TIMEOUT_MS,
                                   .secret_reply = true,
                                   .body_max = SUBJECT_MAX};
    bool plain = false;

    if (!token_url_ok(url, true, &plain))
        return token_config_error(t, "credential_source.url is neither https "
                                     "nor an address of this machine");
    request.no_proxy = request.allow_http = plain;
    while (request.n_headers < SUBJECT_HEADERS &&
           headers[request.n_headers] != NULL)
        request.n_headers++;
    return http_perform(t->config->http, t->call, &request, r, t->err);
}

static int32_t subject_from_url(const struct token_ctx *t, const json_t *source,
                                const char *url, struct secret *out)
{
    struct text lines[SUBJECT_HEADERS] = {{0}};
    const char *headers[SUBJECT_HEADERS] = {NULL};
    struct http_response r = {0};
    int32_t rc;

    for (size_t i = 0; i < SUBJECT_HEADERS; i++)
        lines[i].secret = true; /* a key, as a rule */
    rc = add_headers(t, json_object_get(source, "headers"), lines, headers);
    if (rc == PERSIST_BACKEND_OK)
        rc = subject_request(t, url, headers, &r);
    if (rc == PERSIST_BACKEND_OK && r.status != 200)
        rc = fail(t->err,
                  r.status >= 500 || r.status == 429 ? PERSIST_BACKEND_TRANSIENT
                                                     : PERSIST_BACKEND_AUTH,
                  "credentials: the source of the subject token answered HTTP "
                  "%d",
                  (int)r.status);
    if (rc == PERSIST_BACKEND_OK)
        rc = take_subject(t, source, text_str(&r.body), r.body.len, out);
    http_response_finish(&r);
    for (size_t i = 0; i < SUBJECT_HEADERS; i++)
        text_finish(&lines[i]);
    return rc;
}

static int32_t get_subject(const struct token_ctx *t, const json_t *json,
                           struct secret *out)
{
    const json_t *source = json_object_get(json, "credential_source");
    const char *path = json_text(source, "file");
    const char *url = json_text(source, "url");

    if (json_object_get(source, "environment_id") != NULL)
        return token_config_error(t, "external accounts of AWS are not "
                                     "supported");
    if (path != NULL)
        return subject_from_file(t, source, path, out);
    if (url != NULL)
        return subject_from_url(t, source, url, out);
    return token_config_error(t, "credential_source names neither a file nor a "
                                 "url (programs and certificates are not "
                                 "supported)");
}

/* ----------------------------------------------------------------- exchange */

static int32_t fill_form(const struct token_ctx *t, const json_t *json,
                         const struct secret *subject, const char *scope,
                         struct text *form)
{
    const char *pays = json_text(json, "workforce_pool_user_project");
    int32_t rc = PERSIST_BACKEND_OK;
    const char *audience = token_member(t, json, "audience", &rc);
    const char *type = token_member(t, json, "subject_token_type", &rc);
    struct text options = {0};

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    form_add(form, "grant_type", EXCHANGE);
    form_add(form, "audience", audience);
    form_add(form, "scope", scope);
    form_add(form, "requested_token_type", ACCESS_TOKEN);
    form_add(form, "subject_token", secret_text(subject));
    form_add(form, "subject_token_type", type);
    if (pays != NULL && strpbrk(pays, "\"\\") == NULL) {
        text_addf(&options, "{\"userProject\":\"%s\"}", pays);
        form_add(form, "options", text_str(&options));
    }
    if (form->failed || options.failed)
        rc = fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory");
    text_finish(&options);
    return rc;
}

/* Client authentication of workforce pools: HTTP Basic. */
static void basic_header(const json_t *json, struct text *out)
{
    const char *id = json_text(json, "client_id");
    const char *secret = json_text(json, "client_secret");
    struct text pair = {.secret = true};

    if (id == NULL || secret == NULL)
        return;
    text_add(&pair, id);
    text_add(&pair, ":");
    text_add(&pair, secret);
    text_add(out, "Authorization: Basic ");
    base64_encode(out, text_str(&pair), pair.len);
    out->failed = out->failed || pair.failed;
    text_finish(&pair);
}

static int32_t exchange(const struct token_ctx *t, const json_t *json,
                        const struct secret *subject, const char *scope,
                        struct grant *out)
{
    struct text form = {.secret = true}, basic = {.secret = true};
    struct token_request q = {
        .what = "the token service",
        .content_type = "Content-Type: application/x-www-form-urlencoded",
        .body = &form};
    json_t *reply = NULL;
    int32_t rc = PERSIST_BACKEND_OK;

    q.url = token_member(t, json, "token_url", &rc);
    if (rc == PERSIST_BACKEND_OK && !token_url_ok(q.url, false, NULL))
        rc = token_config_error(t, "token_url is no https URL");
    basic_header(json, &basic);
    if (basic.failed && rc == PERSIST_BACKEND_OK)
        rc = fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (basic.len > 0)
        q.headers[0] = text_str(&basic);
    if (rc == PERSIST_BACKEND_OK)
        rc = fill_form(t, json, subject, scope, &form);
    if (rc == PERSIST_BACKEND_OK)
        rc = token_ask(t, &q, &reply);
    if (rc == PERSIST_BACKEND_OK)
        rc = grant_from_oauth(t, reply, out);
    json_wipe(reply);
    text_finish(&form);
    text_finish(&basic);
    return rc;
}

static uint64_t lifetime_of(const json_t *json)
{
    uint64_t seconds = 0;

    if (!json_u64(json_object_get(json, "service_account_impersonation"),
                  "token_lifetime_seconds", &seconds) ||
        seconds < 600 || seconds > 43200)
        seconds = TOKEN_LIFE_S;
    return seconds;
}

int32_t grant_from_external(const struct token_ctx *t, const json_t *json,
                            const char *scope, struct grant *out)
{
    const char *url = json_text(json, "service_account_impersonation_url");
    struct secret subject = {0};
    struct grant federated = {{0}, 0};
    int32_t rc = get_subject(t, json, &subject);

    if (rc == PERSIST_BACKEND_OK && url == NULL)
        rc = exchange(t, json, &subject, scope, out);
    else if (rc == PERSIST_BACKEND_OK)
        rc = exchange(t, json, &subject, SCOPE_PLATFORM, &federated);
    if (rc == PERSIST_BACKEND_OK && url != NULL)
        rc = grant_impersonate(t, &federated, url, NULL, scope,
                               lifetime_of(json), out);
    grant_wipe(&federated);
    secret_wipe(&subject);
    return rc;
}
