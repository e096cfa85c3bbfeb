/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to token services, and what comes back. */
#include "gcs/credentials/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/replies.h"
#include "support/dates.h"
#include "support/fail.h"
#include "support/url.h"

#define METADATA_ADDRESS "169.254.169.254"
/* Of a sentence, what could be a piece of a token. */
#define WORD_MAX 48

void grant_wipe(struct grant *g)
{
    secret_wipe(&g->token);
}

int32_t token_config_error(const struct token_ctx *t, const char *what)
{
    return fail(t->err, PERSIST_BACKEND_CONFIG, "credentials: %s", what);
}

const char *token_member(const struct token_ctx *t, const json_t *json,
                         const char *name, int32_t *rc)
{
    const char *text = json_text(json, name);

    if (text != NULL && text[0] != '\0')
        return text;
    if (*rc == PERSIST_BACKEND_OK)
        *rc = fail(t->err, PERSIST_BACKEND_CONFIG,
                   "credentials: %s is missing or no text", name);
    return NULL;
}

/* The text is jansson's own copy, and about to be freed. */
static void wipe_text(const json_t *json)
{
    const char *value = json_string_value(json);
    char *text = NULL;

    memcpy(&text, &value, sizeof(text));
    secret_wipe_bytes(text, json_string_length(json));
}

static void wipe_values(json_t *json, unsigned depth)
{
    if (json_is_string(json))
        wipe_text(json);
    if (depth > GCS_JSON_DEPTH)
        return;
    for (void *at = json_object_iter(json); at != NULL;
         at = json_object_iter_next(json, at))
        wipe_values(json_object_iter_value(at), depth + 1);
    for (size_t i = 0; i < json_array_size(json); i++)
        wipe_values(json_array_get(json, i), depth + 1);
}

void json_wipe(json_t *json)
{
    wipe_values(json, 0);
    json_decref(json);
}

bool token_url_ok(const char *url, bool link_local, bool *out_plain)
{
    char front[512]; /* scheme and authority */
    const char *host = strstr(url, "://");
    size_t len = host != NULL ? (size_t)(host - url) + 3 : 0;
    struct url parsed;

    if (out_plain != NULL)
        *out_plain = false;
    len += strcspn(url + len, "/?");
    if (host == NULL || len >= sizeof(front) || strchr(url, '#') != NULL)
        return false;
    memcpy(front, url, len);
    front[len] = '\0';
    if (url_parse(front, NULL, &parsed, NULL) != PERSIST_BACKEND_OK)
        return false;
    if (out_plain != NULL)
        *out_plain = !parsed.tls;
    return parsed.tls || url_host_is_loopback(parsed.host) ||
           (link_local && strcmp(parsed.host, METADATA_ADDRESS) == 0);
}

/* ---------------------------------------------------------------- requests */

/* A sentence without anything as long as a token. */
static bool is_harmless(const char *text)
{
    for (size_t word = 0; *text != '\0'; text++) {
        word = *text == ' ' ? 0 : word + 1;
        if (word > WORD_MAX)
            return false;
    }
    return true;
}

static int32_t code_of(int32_t status, const char *reason)
{
    static const char *const passing[] = {"internal_failure", "server_error",
                                          "temporarily_unavailable"};

    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (strcmp(reason, passing[i]) == 0)
            return PERSIST_BACKEND_TRANSIENT;
    if (status == 429)
        return PERSIST_BACKEND_THROTTLED;
    if (status == 408 || status >= 500)
        return PERSIST_BACKEND_TRANSIENT;
    if (status == 403)
        return PERSIST_BACKEND_DENIED;
    return status == 400 || status == 401 ? PERSIST_BACKEND_AUTH
                                          : PERSIST_BACKEND_CONFIG;
}

static int32_t refused(const struct token_ctx *t, const struct token_request *q,
                       const struct http_response *r)
{
    struct gcs_problem problem;

    reply_problem(r->body.data, r->body.len, &problem);
    http_note(t->config->http, r, t->err);
    if (is_harmless(problem.reason))
        (void)snprintf(t->err->provider_code, sizeof(t->err->provider_code),
                       "%s", problem.reason);
    return fail(
        t->err, code_of(r->status, problem.reason),
        "credentials: %s answered HTTP %d%s%s%s%s%s", q->what, (int)r->status,
        t->err->provider_code[0] != '\0' ? ": " : "", t->err->provider_code,
        is_harmless(problem.message) && problem.message[0] != '\0' ? ": " : "",
        is_harmless(problem.message) ? problem.message : "",
        strcmp(problem.reason, "invalid_grant") == 0
            ? " (revoked, expired, or this machine's clock is wrong)"
            : "");
}

static size_t fill_headers(const struct token_request *q, const char **lines,
                           const char *bearer)
{
    size_t n = 0;

    while (n < 8 && q->headers[n] != NULL) {
        lines[n] = q->headers[n];
        n++;
    }
    if (q->content_type != NULL)
        lines[n++] = q->content_type;
    if (bearer != NULL)
        lines[n++] = bearer;
    return n;
}

static int32_t perform(const struct token_ctx *t, const struct token_request *q,
                       const char *bearer, struct http_response *r)
{
    const char *lines[10];
    struct http_request request = {
        .method = q->body != NULL ? "POST" : "GET",
        .url = q->url,
        .headers = lines,
        .n_headers = fill_headers(q, lines, bearer),
        .no_proxy = q->direct,
        .allow_http = q->direct,
        .connect_timeout_ms = q->connect_timeout_ms,
        .timeout_ms = TOKEN_TIMEOUT_MS,
        .secret_reply = true,
    };

    if (q->body != NULL)
        request.body[0] = (struct http_piece){q->body->data, q->body->len};
    return http_perform(t->config->http, t->call, &request, r, t->err);
}

int32_t token_ask(const struct token_ctx *t, const struct token_request *q,
                  json_t **out)
{
    struct http_response r = {0};
    struct text bearer = {.secret = true};
    int32_t rc;

    *out = NULL;
    if (q->bearer != NULL) {
        text_add(&bearer, "Authorization: Bearer ");
        text_add(&bearer, secret_text(q->bearer));
    }
    rc = bearer.failed
             ? fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory")
             : perform(t, q, q->bearer != NULL ? text_str(&bearer) : NULL, &r);
    if (rc == PERSIST_BACKEND_OK && r.status != 200)
        rc = refused(t, q, &r);
    else if (rc == PERSIST_BACKEND_OK) {
        *out = json_parse_object(r.body.data, r.body.len);
        if (*out == NULL)
            rc = fail(t->err, PERSIST_BACKEND_TRANSIENT,
                      "credentials: what %s answers is no JSON", q->what);
    }
    http_response_finish(&r);
    text_finish(&bearer);
    return rc;
}

/* ------------------------------------------------------------------- grants */

/* No token is longer in the world, and a header line must hold it. */
#define TOKEN_LEN_MAX ((size_t)16 << 10)

static int32_t grant_set(const struct token_ctx *t, const char *token,
                         struct grant *out)
{
    int32_t rc;

    if (token == NULL || token[0] == '\0' || strlen(token) > TOKEN_LEN_MAX)
        return fail(t->err, PERSIST_BACKEND_AUTH,
                    "credentials: the token service's answer holds no token");
    for (const char *at = token; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
            return fail(t->err, PERSIST_BACKEND_AUTH,
                        "credentials: a token that cannot stand in a header");
    rc = secret_set(&out->token, token, strlen(token));
    return rc == PERSIST_BACKEND_OK ? rc : fail(t->err, rc, "out of memory");
}

int32_t grant_from_oauth(const struct token_ctx *t, const json_t *json,
                         struct grant *out)
{
    uint64_t seconds = 0;

    if (!json_u64(json, "expires_in", &seconds) || seconds > UINT64_C(604800))
        seconds = 3600;
    out->expires_us = t->config->host->wall_us() + (int64_t)seconds * 1000000;
    return grant_set(t, json_text(json, "access_token"), out);
}

static int32_t impersonation_body(const struct token_ctx *t,
                                  const json_t *delegates, const char *scope,
                                  uint64_t lifetime_s, struct text *out)
{
    char lifetime[32];
    json_t *json;
    char *dump;

    (void)snprintf(lifetime, sizeof(lifetime), "%llus",
                   (unsigned long long)lifetime_s);
    json = json_pack("{s:O, s:[s], s:s}", "delegates", delegates, "scope",
                     scope, "lifetime", lifetime);
    dump = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (dump != NULL)
        text_add(out, dump);
    free(dump);
    return dump != NULL && !out->failed
               ? PERSIST_BACKEND_OK
               : fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory");
}

int32_t grant_impersonate(const struct token_ctx *t, const struct grant *from,
                          const char *url, const json_t *delegates,
                          const char *scope, uint64_t lifetime_s,
                          struct grant *out)
{
    struct text body = {0};
    struct token_request q = {.what = "the service account to be acted as",
                              .url = url,
                              .content_type = "Content-Type: application/json",
                              .body = &body,
                              .bearer = &from->token};
    json_t *none = json_array(), *json = NULL;
    const char *expires;
    int32_t rc;

    if (!token_url_ok(url, false, NULL)) {
        json_decref(none);
        return token_config_error(t, "service_account_impersonation_url is no "
                                     "https URL");
    }
    rc = impersonation_body(t, delegates != NULL ? delegates : none, scope,
                            lifetime_s, &body);
    if (rc == PERSIST_BACKEND_OK)
        rc = token_ask(t, &q, &json);
    if (rc == PERSIST_BACKEND_OK) {
        expires = json_text(json, "expireTime");
        if (expires == NULL || !date_parse_rfc3339(expires, &out->expires_us))
            rc = fail(t->err, PERSIST_BACKEND_AUTH,
                      "credentials: a token without expireTime");
        else
            rc = grant_set(t, json_text(json, "accessToken"), out);
    }
    json_wipe(json);
    json_decref(none);
    text_finish(&body);
    return rc;
}
