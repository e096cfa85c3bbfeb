/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata server of machines in the Cloud.
 *
 * Spoken to without a proxy and in plain HTTP, as it wants it; an answer counts
 * only with "Metadata-Flavor: Google", which a captive portal or a home router
 * does not say (cloud.google.com/compute/docs/metadata).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gcs/credentials/token.h"
#include "gcs/replies.h"
#include "support/encode.h"
#include "support/fail.h"
#include "support/url.h"

#define METADATA_HOST "metadata.google.internal"
#define METADATA_TIMEOUT_MS 3000
#define ACCOUNT "/computeMetadata/v1/instance/service-accounts/default/"

/* GCE_METADATA_HOST is for tests and sandboxes: "host" or "host:port". */
static int32_t make_url(const struct token_ctx *t, const char *path,
                        struct text *out)
{
    const char *host = t->config->env("GCE_METADATA_HOST");
    struct url parsed;

    if (host == NULL || host[0] == '\0')
        host = METADATA_HOST;
    if (url_parse(host, "http", &parsed, NULL) != PERSIST_BACKEND_OK ||
        parsed.tls || parsed.path[0] != '\0')
        return token_config_error(t, "GCE_METADATA_HOST is no host");
    text_addf(out, "http://%s%s", parsed.authority, path);
    return out->failed ? fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory")
                       : PERSIST_BACKEND_OK;
}

static bool is_unreachable(int32_t rc)
{
    return rc == PERSIST_BACKEND_TRANSIENT || rc == PERSIST_BACKEND_TIMEOUT ||
           rc == PERSIST_BACKEND_UNCERTAIN || rc == PERSIST_BACKEND_IO;
}

/* NOT_FOUND where nothing answers, or something else does. */
static int32_t ask(const struct token_ctx *t, const char *path,
                   struct http_response *r)
{
    static const char *const headers[] = {"Metadata-Flavor: Google"};
    struct text url = {0};
    struct http_request request = {.method = "GET",
                                   .headers = headers,
                                   .n_headers = 1,
                                   .no_proxy = true,
                                   .allow_http = true,
                                   .connect_timeout_ms = METADATA_TIMEOUT_MS,
                                   .timeout_ms = METADATA_TIMEOUT_MS,
                                   .secret_reply = true};
    int32_t rc = make_url(t, path, &url);
    const char *flavor;

    request.url = text_str(&url);
    if (rc == PERSIST_BACKEND_OK)
        rc = http_perform(t->config->http, t->call, &request, r, t->err);
    text_finish(&url);
    if (is_unreachable(rc))
        return PERSIST_BACKEND_NOT_FOUND;
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    flavor = http_header(r, "metadata-flavor");
    return flavor != NULL && strcasecmp(flavor, "Google") == 0
               ? PERSIST_BACKEND_OK
               : PERSIST_BACKEND_NOT_FOUND;
}

static int32_t check_universe(const struct token_ctx *t)
{
    struct http_response r = {0};
    int32_t rc = ask(t, "/computeMetadata/v1/universe/universe_domain", &r);
    const char *universe = DEFAULT_UNIVERSE;

    /* 404: a server from before there were universes. */
    if (rc == PERSIST_BACKEND_OK && r.status == 200 && r.body.len > 0)
        universe = text_str(&r.body);
    if (rc == PERSIST_BACKEND_OK &&
        strcmp(universe, t->config->options->universe) != 0)
        rc = fail(t->err, PERSIST_BACKEND_CONFIG,
                  "credentials: this machine is of %.100s and the store is of "
                  "%.100s (universe_domain)",
                  universe, t->config->options->universe);
    http_response_finish(&r);
    return rc;
}

static int32_t token_from(const struct token_ctx *t,
                          const struct http_response *r, struct grant *out)
{
    json_t *json;
    int32_t rc;

    if (r->status != 200)
        return fail(
            t->err,
            r->status == 429 || r->status >= 500 ? PERSIST_BACKEND_TRANSIENT
                                                 : PERSIST_BACKEND_AUTH,
            "credentials: the metadata server answered HTTP %d%s",
            (int)r->status,
            r->status == 404 ? ": this machine has no service account" : "");
    json = json_parse_object(r->body.data, r->body.len);
    rc = json != NULL ? grant_from_oauth(t, json, out)
                      : fail(t->err, PERSIST_BACKEND_TRANSIENT,
                             "credentials: what the metadata server answers is "
                             "no JSON");
    json_wipe(json);
    return rc;
}

int32_t grant_from_metadata(const struct token_ctx *t, const char *scope,
                            struct grant *out)
{
    struct http_response r = {0};
    struct text path = {0};
    int32_t rc = check_universe(t);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    text_add(&path, ACCOUNT "token?scopes=");
    percent_encode(&path, scope, strlen(scope), false);
    rc = path.failed ? fail(t->err, PERSIST_BACKEND_MEMORY, "out of memory")
                     : ask(t, text_str(&path), &r);
    if (rc == PERSIST_BACKEND_OK)
        rc = token_from(t, &r, out);
    http_response_finish(&r);
    text_finish(&path);
    return rc;
}

int32_t metadata_email(const struct token_ctx *t, struct text *out)
{
    struct http_response r = {0};
    int32_t rc = ask(t, ACCOUNT "email", &r);

    if (rc == PERSIST_BACKEND_OK && r.status == 200 && r.body.len < 256)
        text_add(out, text_str(&r.body));
    http_response_finish(&r);
    return rc;
}
