/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a request has taken too long, and what its end means.
 *
 * Stalls.  A window of stall_timeout_ms begins with the request and again each
 * time that stall_bytes_per_s for that long have moved; a window that runs out
 * is a stall.  What has moved counts from where the peer has acknowledged it: a
 * slow link drains a large socket buffer long after libcurl has filled it.
 */
#include <string.h>
#include <strings.h>

#include "posix/os.h"
#include "support/fail.h"
#include "support/http_private.h"

#define NS_PER_MS ((uint64_t)1000000)

bool http_may_have_applied(const struct http_transfer *t)
{
    return t->n_tries > 0 && (t->body_len == 0 || t->sent_whole);
}

/* ------------------------------------------------------------------ limits */

static int32_t give_up(struct http_transfer *t, int32_t code, const char *why)
{
    t->stop = code;
    t->stop_why = why;
    return code;
}

/* Bytes that went either way, as far as this side can know. */
static int64_t moved(const struct http_transfer *t)
{
    int fd = http_handle_socket(t->handle, t->local_port);
    curl_off_t sent = 0;

    (void)curl_easy_getinfo(t->handle->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return (int64_t)sent - (fd < 0 ? 0 : os_socket_queued(fd)) +
           (int64_t)t->received;
}

/* Nanoseconds left of the window, a new one where enough has moved. */
static uint64_t stall_left(struct http_transfer *t, uint64_t now)
{
    const struct http_client *c = t->client;
    uint64_t window = c->stall_timeout_ms * NS_PER_MS;
    int64_t quota =
        (int64_t)((uint64_t)c->stall_bytes_per_s * c->stall_timeout_ms / 1000);
    int64_t at;

    /* The counters cost a system call: not for a request that is quick. */
    if (now - t->mark_ns < HTTP_LOOK_MS * NS_PER_MS / 2)
        return window;
    at = moved(t);
    if (at - t->mark_moved >= (quota > 0 ? quota : 1)) {
        t->mark_ns = now;
        t->mark_moved = at;
    }
    return now - t->mark_ns < window ? window - (now - t->mark_ns) : 0;
}

static uint64_t left_until(uint64_t end, uint64_t now)
{
    return end > now ? end - now : 0;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int32_t http_look(struct http_transfer *t, int *out_sleep_ms)
{
    const struct http_request *r = t->request;
    const struct persist_backend_host *host = t->client->host;
    uint64_t now = host->monotonic_ns();
    uint64_t left = HTTP_LOOK_MS * NS_PER_MS;

    if (host->is_cancelled(t->call) != 0)
        return give_up(t, PERSIST_BACKEND_CANCELLED, "cancelled");
    if ((t->call->present & PERSIST_BACKEND_CALL_DEADLINE) != 0)
        left = min_u64(left, left_until(t->call->deadline_ns, now));
    if (left == 0)
        return give_up(t, PERSIST_BACKEND_TIMEOUT, "the deadline passed");
    if (r->timeout_ms != 0)
        left = min_u64(
            left, left_until(t->begin_ns + r->timeout_ms * NS_PER_MS, now));
    if (left == 0)
        return give_up(t, PERSIST_BACKEND_TIMEOUT, "no reply in time");
    if (t->n_tries > 0 && !r->no_stall_limit)
        left = min_u64(left, stall_left(t, now));
    if (left == 0)
        return give_up(t, PERSIST_BACKEND_TIMEOUT, "the transfer stalled");
    *out_sleep_ms = (int)((left + NS_PER_MS - 1) / NS_PER_MS);
    return PERSIST_BACKEND_OK;
}

/* ----------------------------------------------------------------- outcome */

#define HTTP_NO_TLS " (no TLS is spoken there: an http:// endpoint?)"
#define HTTP_PERHAPS_NO_TLS                                                    \
    " (is TLS spoken there, or is it an http:// endpoint?)"
#define HTTP_PERHAPS_TLS " (an https:// endpoint?)"
#define HTTP_NO_HTTP " (TLS is spoken there: an https:// endpoint?)"
#define HTTP_NO_ISSUER " (ca_bundle names an authority of your own)"

/* libcurl's codes. What is not listed is TRANSIENT. */
static const struct {
    CURLcode result;
    int32_t code;
    const char *what; /* NULL: libcurl's own text */
} codes[] = {
    {CURLE_OUT_OF_MEMORY, PERSIST_BACKEND_MEMORY, "out of memory"},
    {CURLE_URL_MALFORMAT, PERSIST_BACKEND_INVALID, "a URL that is none"},
    {CURLE_PEER_FAILED_VERIFICATION, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_CACERT_BADFILE, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_CERTPROBLEM, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_CIPHER, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_ISSUER_ERROR, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, PERSIST_BACKEND_CONFIG, NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, PERSIST_BACKEND_CONFIG, NULL},
#if LIBCURL_VERSION_NUM >= 0x080600 /* before: OUT_OF_MEMORY */
    {CURLE_TOO_LARGE, PERSIST_BACKEND_IO, "a reply with too long a header"},
#endif
    {CURLE_BAD_FUNCTION_ARGUMENT, PERSIST_BACKEND_INTERNAL, NULL},
    {CURLE_UNKNOWN_OPTION, PERSIST_BACKEND_INTERNAL, NULL},
    {CURLE_UNSUPPORTED_PROTOCOL, PERSIST_BACKEND_TRANSIENT,
     "the reply is not HTTP/1"},
    {CURLE_WEIRD_SERVER_REPLY, PERSIST_BACKEND_TRANSIENT,
     "the reply is not HTTP/1"},
    {CURLE_GOT_NOTHING, PERSIST_BACKEND_TRANSIENT,
     "the connection was closed without a reply"},
    {CURLE_PARTIAL_FILE, PERSIST_BACKEND_TRANSIENT,
     "the reply was shorter than announced"},
};

/* The proxy answered CONNECT with something else than 2xx. */
static int32_t proxy_code(const struct http_transfer *t, const char **out_why)
{
    long status = 0;

    (void)curl_easy_getinfo(t->handle->easy, CURLINFO_HTTP_CONNECTCODE,
                            &status);
    if (status == 407) {
        *out_why = "the proxy wants a name and a password, or others (407)";
        return PERSIST_BACKEND_AUTH;
    }
    if (status < 300 || status >= 500)
        return PERSIST_BACKEND_OK;
    *out_why = status < 400 ? "the proxy redirects, and makes no connection"
                            : "the proxy refuses";
    return status < 400 ? PERSIST_BACKEND_CONFIG : PERSIST_BACKEND_DENIED;
}

/* What usually stands behind a beginning that failed. */
static const struct beginning {
    CURLcode result;
    const char *scheme; /* of the URL */
    const char *said;   /* by libcurl, OpenSSL or GnuTLS */
    const char *advice;
    /* Another protocol is spoken there; perhaps, where nobody has answered
     * yet. */
    enum { OTHER_PORT = 1, PERHAPS } hint;
} beginnings[] = {
    {CURLE_SSL_CONNECT_ERROR, "https:", "wrong version number", HTTP_NO_TLS,
     OTHER_PORT},
    {CURLE_SSL_CONNECT_ERROR, "https:", "packet length too long", HTTP_NO_TLS,
     OTHER_PORT},
    {CURLE_SSL_CONNECT_ERROR, "https:", "unexpected TLS packet", HTTP_NO_TLS,
     OTHER_PORT},
    {CURLE_SSL_CONNECT_ERROR, "https:", "SYSCALL", HTTP_PERHAPS_NO_TLS,
     PERHAPS},
    {CURLE_UNSUPPORTED_PROTOCOL, "http:", "", HTTP_NO_HTTP, OTHER_PORT},
    {CURLE_GOT_NOTHING, "http:", "", HTTP_PERHAPS_TLS, PERHAPS},
    {CURLE_PEER_FAILED_VERIFICATION, "", "self-signed", HTTP_NO_ISSUER, 0},
    {CURLE_PEER_FAILED_VERIFICATION, "", "self signed", HTTP_NO_ISSUER, 0},
    {CURLE_PEER_FAILED_VERIFICATION, "", "issuer", HTTP_NO_ISSUER, 0},
};

static bool has_replied(const struct http_transfer *t)
{
    return atomic_load_explicit(&t->client->replied, memory_order_relaxed);
}

/* NULL where nothing is known. */
static const struct beginning *find_beginning(CURLcode result, const char *url,
                                              const char *why)
{
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        const struct beginning *b = &beginnings[i];

        if (b->result == result && strstr(why, b->said) != NULL &&
            strncasecmp(url, b->scheme, strlen(b->scheme)) == 0)
            return b;
    }
    return NULL;
}

/* At the first contact another protocol means another port, for good; once
 * there were replies it is a bad minute of what stands in front. */
static int32_t code_of(const struct http_transfer *t, int32_t code,
                       const struct beginning *b)
{
    return b != NULL && b->hint == OTHER_PORT &&
                   code == PERSIST_BACKEND_TRANSIENT && !has_replied(t)
               ? PERSIST_BACKEND_CONFIG
               : code;
}

static int32_t classify(const struct http_transfer *t, CURLcode result,
                        const char **out_why, const char **out_advice)
{
    const struct beginning *begin;
    const char *proxy_why = NULL;
    int32_t proxy =
        t->n_tries == 0 ? proxy_code(t, &proxy_why) : PERSIST_BACKEND_OK;

    *out_advice = "";
    *out_why = t->handle->error[0] != '\0' ? t->handle->error
                                           : curl_easy_strerror(result);
    if (t->stop != PERSIST_BACKEND_OK) {
        *out_why = t->stop_why;
        return t->stop;
    }
    if (proxy != PERSIST_BACKEND_OK) {
        *out_why = proxy_why;
        return proxy;
    }
    begin = find_beginning(result, t->request->url, *out_why);
    if (begin != NULL && (begin->hint != PERHAPS || !has_replied(t)))
        *out_advice = begin->advice;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].result != result)
            continue;
        if (codes[i].what != NULL)
            *out_why = codes[i].what;
        return code_of(t, codes[i].code, begin);
    }
    return code_of(t, PERSIST_BACKEND_TRANSIENT, begin);
}

/* An answer is one once its head is here: of an error that is enough; of a
 * success the body must be whole too. */
static bool answered(const struct http_transfer *t, CURLcode result)
{
    int32_t status = t->response->status;

    if (!t->head_done || t->stop != PERSIST_BACKEND_OK)
        return false;
    return result == CURLE_OK || status < 200 || status >= 300;
}

static const char *host_of(const char *url, int *out_len)
{
    const char *host = strstr(url, "://");

    host = host != NULL ? host + 3 : url;
    *out_len = (int)strcspn(host, "/?#");
    return host;
}

int32_t http_outcome(struct http_transfer *t, CURLcode result,
                     struct persist_backend_error *err)
{
    struct http_response *r = t->response;
    const char *why, *advice, *host;
    int host_len;
    int32_t code;

    r->may_have_applied = http_may_have_applied(t);
    if (t->head_done)
        atomic_store_explicit(&t->client->replied, true, memory_order_relaxed);
    if (answered(t, result)) {
        r->body_cut = r->body_cut || result != CURLE_OK;
        return PERSIST_BACKEND_OK;
    }
    if (!t->head_done)
        r->status = 0;
    code = classify(t, result, &why, &advice);
    if (t->request->writes && r->may_have_applied &&
        code != PERSIST_BACKEND_CANCELLED)
        code = PERSIST_BACKEND_UNCERTAIN;
    http_note(t->client, r, err);
    host = host_of(t->request->url, &host_len);
    return fail(err, code, "%.*s: %.300s%s", host_len < 200 ? host_len : 200,
                host, why, advice);
}
