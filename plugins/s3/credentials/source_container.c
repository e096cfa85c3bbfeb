/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a container: ECS tasks, EKS Pod Identity, and whoever speaks the
 * same at an address of their own.  Plain http goes only to this machine and to
 * the three addresses that container hosts answer at.
 */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "support/fail.h"
#include "support/url.h"

#define WHO "container"
#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TIMEOUT_MS 2000
#define URL_MAX 2048
#define TOKEN_MAX 8192

static bool is_container_host(const char *host)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23",
                                        "fd00:ec2::23"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        if (strcmp(hosts[i], host) == 0)
            return true;
    return url_host_is_loopback(host);
}

/* scheme://host part of a full URI, whose path and query are sent as written.
 */
static int32_t check_full(struct asking *a, const char *uri)
{
    const char *host = strstr(uri, "://");
    char base[512];
    struct url url;
    size_t len;

    if (host == NULL || strpbrk(uri, " \t\r\n#") != NULL)
        return fail(a->err, PERSIST_BACKEND_CONFIG, FULL " is not a URL");
    len = (size_t)(host - uri) + 3 + strcspn(host + 3, "/?");
    if (len >= sizeof(base))
        return fail(a->err, PERSIST_BACKEND_CONFIG, FULL " is too long");
    memcpy(base, uri, len);
    base[len] = '\0';
    if (url_parse(base, NULL, &url, NULL) != PERSIST_BACKEND_OK)
        return fail(a->err, PERSIST_BACKEND_CONFIG, FULL " is not a URL");
    if (!url.tls && !is_container_host(url.host))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    FULL ": %.100s may be asked by https only", url.host);
    return PERSIST_BACKEND_OK;
}

static int32_t find_url(struct asking *a, char out[URL_MAX])
{
    const char *relative = asking_variable(a, RELATIVE);
    const char *full = asking_variable(a, FULL);
    int n;

    if (relative == NULL && full == NULL)
        return asking_absent(a, RELATIVE " and _FULL_URI are not set");
    if (relative != NULL) {
        if (relative[0] != '/' || strpbrk(relative, " \t\r\n#") != NULL)
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        RELATIVE " is not a path");
        n = snprintf(out, URL_MAX, "http://169.254.170.2%s", relative);
    } else {
        int32_t rc = check_full(a, full);

        if (rc != PERSIST_BACKEND_OK)
            return rc;
        n = snprintf(out, URL_MAX, "%s", full);
    }
    if (n < 0 || n >= URL_MAX)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "the container's URI is too long");
    return PERSIST_BACKEND_OK;
}

/* The whole header line, or "" where no token is wanted. */
static int32_t authorization(struct asking *a, char *out, size_t cap)
{
    const char *file =
        asking_variable(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = asking_variable(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct secret text = {0};
    int32_t rc = PERSIST_BACKEND_OK;
    int n = 0;

    out[0] = '\0';
    if (file != NULL) {
        rc = a->env->read(a->env->ctx, file, TOKEN_MAX, &text, NULL, a->err);
        if (rc == PERSIST_BACKEND_NOT_FOUND)
            rc = fail(a->err, PERSIST_BACKEND_CONFIG,
                      "the container's token file %.200s does not exist", file);
        token = secret_text(&text);
    }
    if (rc == PERSIST_BACKEND_OK && token != NULL) {
        if (token[0] == '\0' || strpbrk(token, "\r\n") != NULL ||
            (file != NULL && strlen(token) != text.len))
            rc = fail(a->err, PERSIST_BACKEND_CONFIG,
                      "the container's authorization token is empty or more "
                      "than one line");
        else
            n = snprintf(out, cap, "Authorization: %s", token);
    }
    if (rc == PERSIST_BACKEND_OK && (n < 0 || (size_t)n >= cap))
        rc = fail(a->err, PERSIST_BACKEND_CONFIG,
                  "the container's authorization token is too long");
    secret_wipe(&text);
    return rc;
}

int32_t source_container(struct asking *a, struct s3_credentials *out)
{
    char url[URL_MAX], line[TOKEN_MAX + 20];
    const char *headers[] = {"Accept: application/json", line};
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .no_proxy = true,
                                   .allow_http = true,
                                   .timeout_ms = TIMEOUT_MS,
                                   .connect_timeout_ms = TIMEOUT_MS};
    struct http_response response = {0};
    int32_t rc = find_url(a, url);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    rc = authorization(a, line, sizeof(line));
    request.n_headers = line[0] == '\0' ? 1 : 2;
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_fetch(a, &request, &response, WHO);
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_handed_out(a, response.body.data, response.body.len,
                               "Token", false, NULL, 0, WHO, out);
    secret_wipe_bytes(line, sizeof(line));
    http_response_finish(&response);
    return rc;
}
