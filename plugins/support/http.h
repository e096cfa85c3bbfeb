/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 requests for backends, over libcurl: one call, one attempt.
 *
 *     http_process_init()                     from the backend's init
 *     http_client_create(&config, &c, err)    from open; no request is made
 *         http_perform(c, call, &request, &response, err)
 *         ... response.status, http_header(&response, "etag"), the body ...
 *         http_response_finish(&response)
 *     http_client_destroy(c)                  from close
 *
 * http_perform answers OK as soon as the server has answered, whatever the
 * status: 404 and 503 are the caller's to understand.  It answers a negative
 * code where there is no answer, or none that can be trusted.  Redirects are
 * never followed: 3xx is an answer like any other.  Certificates are always
 * verified, TLS is 1.2 or newer, and http:// reaches loopback addresses only
 * unless the client or the request allows more.
 *
 * What may have happened.  Where a request with `writes` fails after the server
 * may have received the whole of it, the code is UNCERTAIN; before that, it is
 * TRANSIENT, TIMEOUT or another code that says it was surely not carried out.
 * libcurl's silent second try on a connection that died is stopped for such
 * requests: the answer to it could be about the first.
 *
 * Time.  A call's deadline and its cancellation are seen at once, also in
 * silence.  A transfer that moves fewer than stall_bytes_per_s for
 * stall_timeout_ms is given up with TIMEOUT.  From the second attempt of a call
 * on (call->attempt), connection and host address are new.
 *
 * Connections are kept alive.  Each request has a libcurl handle of its own
 * while it runs, with its connections; idle handles wait in the client, and one
 * that last spoke to the same origin is taken first.
 *
 * Threads: everything may be called by several at once, but a response belongs
 * to one.  Rule of messages: they name the host, never path, query, headers or
 * bodies.
 */
#ifndef PERSIST_SUPPORT_HTTP_H
#define PERSIST_SUPPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/text.h"

#define HTTP_ERROR_BODY_MAX ((size_t)64 << 10)
#define HTTP_HEADERS_MAX ((size_t)64 << 10) /* bytes of a reply's headers */
#define HTTP_REQUEST_HEADERS_MAX 48         /* lines */

struct http_client;

/* For http_client_create.  Texts are copied.  0 and NULL mean the default. */
struct http_config {
    const struct persist_backend_host *host;
    void *host_store;
    const char *user_agent;      /* NULL: "persist" */
    const char *ca_bundle;       /* PEM file; NULL: the system's */
    const char *proxy;           /* URL; "": none; NULL: the environment's
                                    http_proxy, https_proxy, no_proxy ... (none
                                    in a program with more rights than its
                                    caller: AT_SECURE; nor for http:// that is
                                    allowed only because it stays here) */
    uint32_t connect_timeout_ms; /* name, TCP and TLS together; 5 s */
    uint32_t stall_timeout_ms;   /* 30 s */
    uint32_t stall_bytes_per_s;  /* 1024 */
    bool allow_http;             /* http:// also to other than loopback */
    /* Names of reply headers, for http_note: the provider's request id, and
     * milliseconds to wait, which outranks Retry-After. NULL: none. */
    const char *request_id_header;
    const char *retry_after_ms_header;
};

/* One piece of a request's body, borrowed until http_perform returns. */
struct http_piece {
    const void *data;
    uint64_t len;
};

#define HTTP_BODY_PIECES 3

/*
 * One request.  Zero it, then fill in; everything is borrowed until
 * http_perform returns.
 */
struct http_request {
    const char *method; /* "GET", "HEAD", "PUT", "POST", "DELETE", ... */
    /* Absolute; sent byte for byte, "." and ".." and all. No user or password,
     * no fragment. */
    const char *url;
    /* Whole lines "Name: value".  "Name:" keeps libcurl from adding that
     * header.  A line with CR or LF is refused (INVALID).  Content-Length,
     * Expect and traceparent are added here; Content-Type never is. */
    const char *const *headers;
    size_t n_headers; /* at most HTTP_REQUEST_HEADERS_MAX */
    /* Sent one behind the other, never copied where large. PUT, POST and PATCH
     * always carry their exact Content-Length, 0 included. */
    struct http_piece body[HTTP_BODY_PIECES];

    /* May change something on the server: see UNCERTAIN above. */
    bool writes;
    /* Let the server refuse a body before it is sent.  Costs a round trip, so
     * it is asked until a server of this client has taken such a body, and
     * again once one was refused or failed.  Left out for good where a server
     * was seen not to answer it. */
    bool expect_continue;
    bool no_stall_limit; /* the server may think in silence (Commit) */
    bool fresh;          /* a new connection, as from attempt 2 on */
    bool no_proxy;       /* metadata servers */
    bool secret_reply;   /* wipe what was received of it, once finished */
    bool allow_http;     /* this URL was checked by the caller */
    /* Own limits, in ms; 0: the client's, and no limit but the deadline. */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;

    /* Where the body of a reply with status 200 or 206 goes.  One that is
     * longer than `into_cap` is CORRUPT.  NULL: into response.body. */
    void *into;
    uint64_t into_cap;
    /* Ceiling of response.body for 2xx; 0: HTTP_ERROR_BODY_MAX.  Longer is IO.
     * Other replies are cut at HTTP_ERROR_BODY_MAX. */
    size_t body_max;
};

/*
 * The answer.  Zero it before http_perform, finish it after; valid (and to be
 * finished) also where http_perform failed: status is then 0, or what had been
 * received of it.
 */
struct http_response {
    int32_t status;          /* of the last header block; 0: none */
    bool may_have_applied;   /* the server may have got the whole request */
    bool has_length;         /* content_length is set */
    bool framed;             /* the body's end is certain: length or chunks */
    uint64_t content_length; /* as announced; of HEAD too */
    uint64_t into_len;       /* bytes written to request.into */
    struct text body;        /* what did not go to request.into */
    bool body_cut; /* of a status that is not 2xx: too long, or broken off */
    struct text headers; /* "name\0value\0" each, names in lower case */
};

/*
 * Once per process, from the backend's init; further calls do nothing.  MEMORY
 * or INTERNAL where libcurl cannot be initialised.  Never undone.
 */
int32_t http_process_init(struct persist_backend_error *err);

/* CONFIG where a value cannot be used (an unreadable ca_bundle); MEMORY. */
int32_t http_client_create(const struct http_config *config,
                           struct http_client **out,
                           struct persist_backend_error *err);
/* No request may be running. */
void http_client_destroy(struct http_client *c);

/*
 * One attempt.  OK: the server answered.  Else err says why there is no answer:
 *   TRANSIENT   no connection, or one that broke; not carried out
 *   UNCERTAIN   the same, and it may have been carried out (request.writes)
 *   TIMEOUT     deadline, request.timeout_ms or a stall; not carried out
 *   CANCELLED   the host said so (a write may have been carried out)
 *   CORRUPT     more bytes than into_cap
 *   IO          not HTTP that this client accepts, over a ceiling
 *   CONFIG      certificate not accepted, plain http not allowed, CA bundle
 *   AUTH        the proxy wants other credentials
 *   INVALID     URL or header line that cannot be sent
 *   MEMORY
 */
int32_t http_perform(struct http_client *c,
                     const struct persist_backend_call *call,
                     const struct http_request *request,
                     struct http_response *response,
                     struct persist_backend_error *err);

void http_response_finish(struct http_response *r);

/* The value of the first header of that name (lower case), without blanks
 * around it; NULL where there is none.  Lives as long as the response. */
const char *http_header(const struct http_response *r, const char *name);
/* The next one of that name after `value`, which this or http_header gave. */
const char *http_header_next(const struct http_response *r, const char *name,
                             const char *value);

/*
 * Content-Range (RFC 9110, section 14.4) of a 206, or of a 416 ("bytes * /N").
 * False where it is missing or malformed.  first and last are inclusive and 0
 * for 416; *out_total is UINT64_MAX where the server does not say.
 */
bool http_content_range(const struct http_response *r, uint64_t *out_first,
                        uint64_t *out_last, uint64_t *out_total);

/* The server's clock less ours, in microseconds, to the second; false without a
 * Date header that can be read.  now_us: host->wall_us() at the reply. */
bool http_clock_offset(const struct http_response *r, int64_t now_us,
                       int64_t *out_offset_us);

/* "https://host" or "http://host:port" of the Location a redirect (301, 302,
 * 303, 307, 308) names, for a message; false, and "", where the answer is none
 * or names no other place that way. */
#define HTTP_PLACE_MAX 300
bool http_redirects_to(const struct http_response *r,
                       char out_place[HTTP_PLACE_MAX]);

/* Whether the body is a page of the web: no service's for programs, but what a
 * web server, a proxy or a portal answers. */
bool http_is_page(const struct http_response *r);

/* Whether the answer calls itself one: where its body is not at hand, of a HEAD
 * or in the caller's memory. */
bool http_names_page(const struct http_response *r);
#define HTTP_WEB_PAGE                                                          \
    "the endpoint answered with a web page (check the endpoint)"

/* Whether Content-Type is this one, parameters aside. */
bool http_has_type(const struct http_response *r, const char *type);

/*
 * What err should tell of an answer whatever its meaning: HTTP status, request
 * id, retry-after (ms header, Retry-After in seconds or as a date).  Sets
 * neither code nor message.
 */
void http_note(const struct http_client *c, const struct http_response *r,
               struct persist_backend_error *err);

#endif
