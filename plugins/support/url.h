/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking apart the URL of an endpoint, as configured by a person or a
 * credential file.
 */
#ifndef PERSIST_SUPPORT_URL_H
#define PERSIST_SUPPORT_URL_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#define URL_HOST_MAX 256

/* "https://host:8443/prefix": one endpoint. */
struct url {
    bool tls;                /* https */
    char host[URL_HOST_MAX]; /* lower case; IPv6 without brackets */
    bool is_ipv6;
    bool is_ip;        /* IPv4 or IPv6 literal */
    uint16_t port;     /* never 0 */
    bool port_default; /* 443, 80: left out of Host headers */
    /* As "Host:" wants it: "host", "host:8443", "[::1]:9000". */
    char authority[URL_HOST_MAX + 10];
    char path[1024]; /* "" or "/prefix", no slash at the end, as written */
};

/*
 * With scheme http or https, host checked (RFC 1123 name, IPv4, [IPv6]), path
 * of RFC 3986 characters.  INVALID, with a message that does not repeat the
 * text, where there is user information, a query, a fragment, a blank, or no
 * host. default_scheme ("http", "https" or NULL) is assumed where none is
 * given.
 */
int32_t url_parse(const char *text, const char *default_scheme, struct url *out,
                  struct persist_backend_error *err);

/* 127.0.0.0/8, ::1, or the name "localhost" (and below). */
bool url_host_is_loopback(const char *host);

/* A DNS label: 1 to 63 of [a-z0-9-], no hyphen first or last. */
bool url_label_ok(const char *s);

#endif
