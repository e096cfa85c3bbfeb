/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of the role of an EC2 instance, by version 2 of the metadata
 * service: a token first, then the role's name, then its keys.  One second and
 * one attempt each: everywhere but on EC2 nobody answers.  Version 1, which any
 * forged request from inside could use, is never spoken.
 */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "support/fail.h"
#include "support/url.h"

#define WHO "instance metadata"
#define TIMEOUT_MS 1000
#define URL_MAX 1400
#define TOKEN_MAX 1024
#define ROLE_MAX 256
#define ROLES "/latest/meta-data/iam/security-credentials/"

struct service {
    char base[SETTING_MAX];
    char token_line[TOKEN_MAX + 40]; /* the header of all but the first */
};

static int32_t find_base(struct asking *a, char out[SETTING_MAX])
{
    const char *base = asking_variable(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode =
        asking_variable(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    struct url url;
    size_t len;

    if (base == NULL)
        base = mode != NULL &&
                       (strcmp(mode, "IPv6") == 0 || strcmp(mode, "ipv6") == 0)
                   ? "http://[fd00:ec2::254]"
                   : "http://169.254.169.254";
    len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    if (len >= SETTING_MAX ||
        url_parse(base, NULL, &url, NULL) != PERSIST_BACKEND_OK)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL");
    memcpy(out, base, len);
    out[len] = '\0';
    return PERSIST_BACKEND_OK;
}

static int32_t ask(struct asking *a, const struct service *s,
                   const char *method, const char *path, const char *line,
                   struct http_response *response)
{
    char url[URL_MAX];
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = &line,
                                   .n_headers = 1,
                                   .no_proxy = true,
                                   .allow_http = true,
                                   .timeout_ms = TIMEOUT_MS,
                                   .connect_timeout_ms = TIMEOUT_MS};
    int n = snprintf(url, sizeof(url), "%s%s", s->base, path);

    if (n < 0 || (size_t)n >= sizeof(url))
        return fail(a->err, PERSIST_BACKEND_CONFIG, WHO ": too long a URL");
    return asking_fetch(a, &request, response, WHO);
}

/* Where nobody answers there is no role to be had, and waiting does not help.
 */
static int32_t nobody_there(struct asking *a, int32_t rc)
{
    if (rc == PERSIST_BACKEND_TIMEOUT)
        return asking_absent(
            a, "no answer within 1 s (this is not EC2, or a container behind a "
               "hop limit of 1: raise the instance's hop limit to 2)");
    if (rc == PERSIST_BACKEND_TRANSIENT || rc == PERSIST_BACKEND_IO)
        return asking_absent(a, "nobody answers (this is not EC2)");
    return rc;
}

static int32_t get_token(struct asking *a, struct service *s)
{
    struct http_response response = {0};
    char token[TOKEN_MAX];
    int32_t rc = ask(a, s, "PUT", "/latest/api/token",
                     "X-aws-ec2-metadata-token-ttl-seconds: 21600", &response);

    if (rc != PERSIST_BACKEND_OK && response.status == 0)
        rc = nobody_there(a, rc);
    else if (rc != PERSIST_BACKEND_OK &&
             (response.status == 403 || response.status == 404 ||
              response.status == 405))
        rc = asking_absent(a, "the metadata service is turned off (%d)",
                           (int)response.status);
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_copy(a, token, sizeof(token), text_str(&response.body),
                         WHO ": the token");
    if (rc == PERSIST_BACKEND_OK)
        (void)snprintf(s->token_line, sizeof(s->token_line),
                       "X-aws-ec2-metadata-token: %s", token);
    secret_wipe_bytes(token, sizeof(token));
    http_response_finish(&response);
    return rc;
}

/* The first line of the list, which has one. */
static int32_t get_role(struct asking *a, const struct service *s,
                        char out[ROLE_MAX])
{
    struct http_response response = {0};
    int32_t rc = ask(a, s, "GET", ROLES, s->token_line, &response);
    size_t len = strcspn(text_str(&response.body), "\r\n");

    if (response.status == 404 || (rc == PERSIST_BACKEND_OK && len == 0))
        rc = asking_absent(a, "the instance has no role");
    if (rc == PERSIST_BACKEND_OK) {
        text_cut(&response.body, len);
        rc = asking_copy(a, out, ROLE_MAX, text_str(&response.body),
                         WHO ": the role's name");
    }
    if (rc == PERSIST_BACKEND_OK && strpbrk(out, "/?#%\\") != NULL)
        rc = fail(a->err, PERSIST_BACKEND_IO,
                  WHO ": the role's name is no name");
    http_response_finish(&response);
    return rc;
}

static int32_t get_keys(struct asking *a, const struct service *s,
                        const char *role, struct s3_credentials *out)
{
    char code[64] = "", path[sizeof(ROLES) + ROLE_MAX];
    struct json_field extra = {
        .path = "Code", .text = code, .cap = sizeof(code)};
    struct http_response response = {0};
    int32_t rc;

    (void)snprintf(path, sizeof(path), ROLES "%s", role);
    rc = ask(a, s, "GET", path, s->token_line, &response);
    if (rc == PERSIST_BACKEND_OK) {
        rc = asking_handed_out(a, response.body.data, response.body.len,
                               "Token", false, &extra, 1, WHO, out);
        if (extra.found && strcmp(code, "Success") != 0)
            rc = fail(a->err, PERSIST_BACKEND_AUTH,
                      WHO ": the role's keys are not to be had: %.60s", code);
    }
    http_response_finish(&response);
    return rc;
}

int32_t source_instance(struct asking *a, struct s3_credentials *out)
{
    char role[ROLE_MAX];
    struct service s;
    int32_t rc;

    if (asking_is_true(a, "AWS_EC2_METADATA_DISABLED"))
        return asking_absent(a, "AWS_EC2_METADATA_DISABLED is true");
    memset(&s, 0, sizeof(s));
    rc = find_base(a, s.base);
    if (rc == PERSIST_BACKEND_OK)
        rc = get_token(a, &s);
    if (rc == PERSIST_BACKEND_OK)
        rc = get_role(a, &s, role);
    if (rc == PERSIST_BACKEND_OK)
        rc = get_keys(a, &s, role, out);
    if (rc == PERSIST_BACKEND_OK)
        (void)snprintf(out->source, sizeof(out->source), "instance role %.100s",
                       role);
    secret_wipe_bytes(&s, sizeof(s));
    return rc;
}
