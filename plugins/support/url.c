/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an endpoint's URL, each looked at before it is believed. */
#include "support/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "support/fail.h"

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    return c;
}

static bool label_ok(const char *s, size_t len)
{
    if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!alnum(s[i]) && s[i] != '-')
            return false;
    return true;
}

bool url_label_ok(const char *s)
{
    return label_ok(s, strlen(s));
}

/* Labels of letters, digits, hyphens, and underscores, which names inside
 * container networks have. */
static bool name_ok(const char *host)
{
    while (*host != '\0') {
        size_t len = strcspn(host, "."), i = 0;

        while (i < len && (alnum(host[i]) || host[i] == '-' || host[i] == '_'))
            i++;
        if (len == 0 || len > 63 || i < len || host[0] == '-' ||
            host[len - 1] == '-')
            return false;
        host += len;
        if (*host == '.' && *++host == '\0')
            return false;
    }
    return true;
}

bool url_host_is_loopback(const char *host)
{
    size_t len = strlen(host);
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0 ||
           (len > 10 && strcmp(host + len - 10, ".localhost") == 0);
}

/* ------------------------------------------------------------------- parts */

/* Lower case into out->host; what stands between brackets is IPv6. */
static bool take_host(struct url *out, const char *s, size_t len)
{
    struct in_addr v4;
    struct in6_addr v6;

    out->is_ipv6 = len > 2 && s[0] == '[' && s[len - 1] == ']';
    if (out->is_ipv6) {
        s++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(out->host) || memchr(s, '\0', len) != NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        out->host[i] = lower(s[i]);
    out->host[len] = '\0';
    if (out->is_ipv6) {
        out->is_ip = true;
        return inet_pton(AF_INET6, out->host, &v6) == 1;
    }
    out->is_ip = inet_pton(AF_INET, out->host, &v4) == 1;
    return out->is_ip || name_ok(out->host);
}

static bool take_port(struct url *out, const char *s, size_t len)
{
    unsigned port = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || i >= 5)
            return false;
        port = port * 10 + (unsigned)(s[i] - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    out->port = (uint16_t)port;
    return true;
}

static bool take_authority(struct url *out, const char *s, size_t len)
{
    const char *port = NULL;
    size_t host_len = len;
    uint16_t usual = out->tls ? 443 : 80;

    for (size_t i = len; i > 0 && s[i - 1] != ']'; i--)
        if (s[i - 1] == ':') {
            port = s + i;
            host_len = i - 1;
        }
    out->port = usual;
    if (!take_host(out, s, host_len) ||
        (port != NULL && !take_port(out, port, len - (size_t)(port - s))))
        return false;
    out->port_default = out->port == usual;
    (void)snprintf(out->authority, sizeof(out->authority), "%s%s%s",
                   out->is_ipv6 ? "[" : "", out->host, out->is_ipv6 ? "]" : "");
    if (!out->port_default)
        (void)snprintf(out->authority + strlen(out->authority), 8, ":%u",
                       out->port);
    return true;
}

static bool take_path(struct url *out, const char *s)
{
    static const char ok[] = "/-._~!$&'()*+,;=:@%";
    size_t len = strlen(s);

    while (len > 0 && s[len - 1] == '/')
        len--;
    if (len >= sizeof(out->path))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!alnum((char)(s[i] | 0x20)) && strchr(ok, s[i]) == NULL)
            return false;
    memcpy(out->path, s, len);
    out->path[len] = '\0';
    return true;
}

/* Behind the scheme. */
static const char *take_scheme(struct url *out, const char *text,
                               const char *default_scheme)
{
    out->tls = strncasecmp(text, "https://", 8) == 0;
    if (out->tls)
        return text + 8;
    if (strncasecmp(text, "http://", 7) == 0)
        return text + 7;
    if (default_scheme == NULL || strstr(text, "://") != NULL)
        return NULL;
    out->tls = strcmp(default_scheme, "https") == 0;
    return text;
}

int32_t url_parse(const char *text, const char *default_scheme, struct url *out,
                  struct persist_backend_error *err)
{
    const char *rest;
    size_t len;

    *out = (struct url){0};
    rest = take_scheme(out, text, default_scheme);
    if (rest == NULL)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "not a URL that begins with http:// or https://");
    if (strchr(rest, '@') != NULL)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a URL with a user name or password");
    if (strpbrk(rest, "?#") != NULL)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a URL with a query or fragment");
    len = strcspn(rest, "/");
    if (!take_authority(out, rest, len))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a URL without a host name or address and port that could "
                    "be used");
    if (!take_path(out, rest + len))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a URL with a path that cannot be used");
    return PERSIST_BACKEND_OK;
}
