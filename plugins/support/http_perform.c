/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on a handle of its own: check it, set the handle up, drive it
 * until it is over or a limit is, and say what became of it.
 *
 * Bodies of up to HTTP_SMALL_BODY go to libcurl as a whole, which then sends
 * them together with the headers in one segment train; larger ones are read
 * from the caller's memory as the socket takes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "support/fail.h"
#include "support/http_private.h"
#include "support/secret.h"
#include "support/url.h"

#define LARGE_RECEIVE ((long)512 << 10)
#define LARGE_SEND ((long)1 << 20)
#define SMALL_RECEIVE ((long)16 << 10)
#define SMALL_SEND ((long)64 << 10)

/* ------------------------------------------------------------------ checks */

static bool starts_with(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* "https://host:port" of the URL, which must be one that can be sent. */
static int32_t check_url(const struct http_client *c,
                         const struct http_request *r,
                         char origin[HTTP_ORIGIN_MAX],
                         struct persist_backend_error *err)
{
    bool tls = starts_with(r->url, "https://");
    struct url parts;
    size_t len;
    int32_t rc;

    if (!tls && !starts_with(r->url, "http://"))
        return fail(err, PERSIST_BACKEND_INVALID, "no http or https URL");
    for (const unsigned char *p = (const unsigned char *)r->url; *p != 0; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '#')
            return fail(err, PERSIST_BACKEND_INVALID,
                        "a URL with characters that cannot be sent");
    len = (tls ? 8 : 7) + strcspn(r->url + (tls ? 8 : 7), "/?");
    if (len >= HTTP_ORIGIN_MAX)
        return fail(err, PERSIST_BACKEND_INVALID, "a URL with too long a host");
    memcpy(origin, r->url, len);
    origin[len] = '\0';
    if (tls || c->allow_http || r->allow_http)
        return strchr(origin, '@') == NULL
                   ? PERSIST_BACKEND_OK
                   : fail(err, PERSIST_BACKEND_INVALID,
                          "a URL with user information");
    rc = url_parse(origin, NULL, &parts, err);
    if (rc == PERSIST_BACKEND_OK && !url_host_is_loopback(parts.host))
        rc = fail(err, PERSIST_BACKEND_CONFIG,
                  "plain http to %.200s is not allowed: use https, or allow "
                  "http for this store",
                  parts.host);
    return rc;
}

static int32_t check_request(const struct http_request *r,
                             struct persist_backend_error *err)
{
    if (r->n_headers > HTTP_REQUEST_HEADERS_MAX)
        return fail(err, PERSIST_BACKEND_INTERNAL, "too many request headers");
    for (size_t i = 0; i < r->n_headers; i++)
        if (strpbrk(r->headers[i], "\r\n") != NULL ||
            strchr(r->headers[i], ':') == NULL)
            return fail(err, PERSIST_BACKEND_INVALID,
                        "a request header with a line break or without a name");
    return PERSIST_BACKEND_OK;
}

/* ---------------------------------------------------------------- the body */

/* At most `cap` bytes of the body from body_at on. */
static size_t copy_body(struct http_transfer *t, char *out, size_t cap)
{
    uint64_t skip = t->body_at;
    size_t done = 0;

    for (int i = 0; i < HTTP_BODY_PIECES && done < cap; i++) {
        const struct http_piece *p = &t->request->body[i];
        size_t n;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        n = p->len - skip < cap - done ? (size_t)(p->len - skip) : cap - done;
        memcpy(out + done, (const char *)p->data + skip, n);
        done += n;
        skip = 0;
    }
    t->body_at += done;
    return done;
}

static size_t on_read(char *out, size_t size, size_t n, void *transfer)
{
    struct http_transfer *t = transfer;
    size_t done = copy_body(t, out, size * n);

    t->body_begun = true;
    if (t->body_at == t->body_len)
        t->sent_whole = true;
    return done;
}

static int on_seek(void *transfer, curl_off_t offset, int origin)
{
    struct http_transfer *t = transfer;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->body_len)
        return CURL_SEEKFUNC_FAIL;
    t->body_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* On a connection, the request not yet sent: the first time, or again after the
 * connection died without a word. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl's type */
static int on_ready(void *transfer, char *remote, char *local, int remote_port,
                    int local_port)
{
    struct http_transfer *t = transfer;

    (void)remote, (void)local, (void)remote_port;
    /* Of a body that was begun libcurl 7.88 may send the second try's headers
     * alone and then wait for a reply that cannot come. */
    if ((t->request->writes && http_may_have_applied(t)) ||
        (t->n_tries > 0 && t->body_begun)) {
        t->stop = PERSIST_BACKEND_TRANSIENT;
        t->stop_why = "the connection was lost before the reply";
        return CURL_PREREQFUNC_ABORT;
    }
    t->n_tries++;
    t->local_port = local_port;
    t->mark_ns = t->client->host->monotonic_ns();
    t->mark_moved = 0;
    return CURL_PREREQFUNC_OK;
}

/* The body in one piece of memory, joined where it comes in several. */
static const char *one_piece(struct http_transfer *t)
{
    if (t->body_len == 0)
        return "";
    for (int i = 0; i < HTTP_BODY_PIECES; i++)
        if (t->request->body[i].len == t->body_len)
            return t->request->body[i].data;
    if (t->handle->joined == NULL)
        t->handle->joined = malloc((size_t)HTTP_SMALL_BODY);
    if (t->handle->joined == NULL)
        return NULL;
    (void)copy_body(t, t->handle->joined, (size_t)t->body_len);
    return t->handle->joined;
}

/* --------------------------------------------------------- setting it up */

struct setup {
    CURL *easy;
    struct http_handle *handle;
    size_t n_lines;
    bool ok;
};

static void add_line(struct setup *s, const char *line)
{
    struct curl_slist *at = &s->handle->lines[s->n_lines];

    at->data = (char *)line; /* libcurl only reads it */
    at->next = NULL;
    if (s->n_lines > 0)
        s->handle->lines[s->n_lines - 1].next = at;
    s->n_lines++;
}

#define SET(s, option, value)                                                  \
    ((s)->ok = curl_easy_setopt((s)->easy, (option), (value)) == 0 && (s)->ok)

static void set_lines(struct setup *s, const struct http_transfer *t,
                      const char *trace_line)
{
    const struct http_request *r = t->request;
    bool has_type = false;

    s->n_lines = 0;
    for (size_t i = 0; i < r->n_headers; i++) {
        has_type = has_type || starts_with(r->headers[i], "content-type:");
        add_line(s, r->headers[i]);
    }
    if (!has_type)
        add_line(s, "Content-Type:");
    add_line(s, t->expecting ? "Expect: 100-continue" : "Expect:");
    if (trace_line[0] != '\0')
        add_line(s, trace_line);
    SET(s, CURLOPT_HTTPHEADER, s->handle->lines);
}

/* Which of libcurl's four kinds of request, and the method's own name. */
static void set_method(struct setup *s, struct http_transfer *t)
{
    const char *method = t->request->method;
    bool has_body = t->body_len > 0 || strcmp(method, "PUT") == 0 ||
                    strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
    const char *custom = method;

    SET(s, CURLOPT_HTTPGET, 1L); /* also forgets the one before */
    if (!has_body) {
        if (strcmp(method, "HEAD") == 0)
            SET(s, CURLOPT_NOBODY, 1L);
        if (strcmp(method, "HEAD") == 0 || strcmp(method, "GET") == 0)
            custom = NULL;
    } else if (t->body_len <= HTTP_SMALL_BODY) {
        const char *body = one_piece(t);

        s->ok = s->ok && body != NULL;
        SET(s, CURLOPT_POST, 1L);
        SET(s, CURLOPT_POSTFIELDS, body);
        SET(s, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_len);
        t->sent_whole = true; /* it is libcurl's to send */
    } else {
        SET(s, CURLOPT_UPLOAD, 1L);
        SET(s, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body_len);
        SET(s, CURLOPT_READFUNCTION, on_read);
        SET(s, CURLOPT_READDATA, t);
        SET(s, CURLOPT_SEEKFUNCTION, on_seek);
        SET(s, CURLOPT_SEEKDATA, t);
    }
    SET(s, CURLOPT_CUSTOMREQUEST, custom);
}

/* Large buffers are mapped anew for each transfer: only where they pay. */
static void set_buffers(struct setup *s, const struct http_transfer *t)
{
    bool large = t->body_len > HTTP_SMALL_BODY ||
                 t->request->into_cap > HTTP_SMALL_BODY ||
                 t->request->body_max > HTTP_SMALL_BODY;

    if (large == s->handle->large)
        return;
    SET(s, CURLOPT_BUFFERSIZE, large ? LARGE_RECEIVE : SMALL_RECEIVE);
    SET(s, CURLOPT_UPLOAD_BUFFERSIZE, large ? LARGE_SEND : SMALL_SEND);
    s->handle->large = large;
}

/* Plain http that is allowed because it stays on this machine does not leave it
 * for a proxy that stands in the environment. */
static bool stays_here(const struct http_transfer *t)
{
    const struct http_client *c = t->client;

    return c->proxy == NULL && !c->allow_http && !t->request->allow_http &&
           starts_with(t->request->url, "http://");
}

static void set_connection(struct setup *s, const struct http_transfer *t)
{
    const struct http_request *r = t->request;
    bool fresh = r->fresh || t->call->attempt > 1;
    uint32_t connect_ms = r->connect_timeout_ms != 0
                              ? r->connect_timeout_ms
                              : t->client->connect_timeout_ms;

    SET(s, CURLOPT_FRESH_CONNECT, (long)fresh);
    SET(s, CURLOPT_DNS_CACHE_TIMEOUT, fresh ? 0L : 60L);
    SET(s, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    SET(s, CURLOPT_NOPROXY, r->no_proxy || stays_here(t) ? "*" : NULL);
}

static bool set_up(struct http_transfer *t, const char *trace_line)
{
    struct setup s = {.easy = t->handle->easy, .handle = t->handle, .ok = true};

    t->handle->error[0] = '\0';
    SET(&s, CURLOPT_URL, t->request->url);
    SET(&s, CURLOPT_ERRORBUFFER, t->handle->error);
    SET(&s, CURLOPT_HEADERFUNCTION, http_on_header);
    SET(&s, CURLOPT_HEADERDATA, t);
    SET(&s, CURLOPT_WRITEFUNCTION, http_on_body);
    SET(&s, CURLOPT_WRITEDATA, t);
    SET(&s, CURLOPT_PREREQFUNCTION, on_ready);
    SET(&s, CURLOPT_PREREQDATA, t);
    set_method(&s, t);
    set_lines(&s, t, trace_line);
    set_buffers(&s, t);
    set_connection(&s, t);
    http_log_attach(t);
    return s.ok;
}

/* ----------------------------------------------------------------- running */

static CURLcode result_of(CURLM *multi)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(multi, &left)) != NULL)
        if (msg->msg == CURLMSG_DONE)
            return msg->data.result;
    return CURLE_FAILED_INIT;
}

static CURLcode drive(struct http_transfer *t)
{
    CURLM *multi = t->handle->multi;
    const struct persist_backend_host *host = t->client->host;
    int cancel = host->cancel_fd != NULL ? host->cancel_fd(t->call) : -1;
    struct curl_waitfd wait = {.fd = cancel, .events = CURL_WAIT_POLLIN};
    int running = 0, sleep_ms = 0;
    bool begun = false;

    /* Before anything is sent, and then before each sleep. */
    while (http_look(t, &sleep_ms) == PERSIST_BACKEND_OK) {
        if (begun && curl_multi_poll(multi, &wait, cancel >= 0 ? 1 : 0,
                                     sleep_ms, NULL) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        begun = true;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        if (running == 0)
            return result_of(multi);
    }
    return CURLE_ABORTED_BY_CALLBACK;
}

static CURLcode run(struct http_transfer *t)
{
    struct http_handle *h = t->handle;
    CURLcode result = CURLE_OUT_OF_MEMORY;

    if (curl_multi_add_handle(h->multi, h->easy) == CURLM_OK) {
        result = drive(t);
        (void)curl_multi_remove_handle(h->multi, h->easy);
    }
    return result;
}

/* Whether a large body is announced before it is sent. */
static bool asks_first(const struct http_transfer *t)
{
    const struct http_client *c = t->client;

    return t->request->expect_continue && t->body_len > HTTP_EXPECT_FROM &&
           !atomic_load_explicit(&c->expect_ignored, memory_order_relaxed) &&
           !atomic_load_explicit(&c->body_taken, memory_order_relaxed);
}

/* What the next ones of its kind can go by. */
static void learn_of_body(const struct http_transfer *t)
{
    struct http_client *c = t->client;
    bool taken =
        t->head_done && t->response->status >= 200 && t->response->status < 300;

    if (!t->request->expect_continue || t->body_len <= HTTP_EXPECT_FROM)
        return;
    if (t->expecting && !t->was_expected && taken)
        atomic_store_explicit(&c->expect_ignored, true, memory_order_relaxed);
    atomic_store_explicit(&c->body_taken, taken, memory_order_relaxed);
}

/* "traceparent: ..." of the call; empty where there is none that is one. */
static void trace_line(const struct persist_backend_call *call, char out[80])
{
    const char *s = call->traceparent;

    out[0] = '\0';
    if (s == NULL || strlen(s) > 60 ||
        s[strspn(s, "0123456789abcdef-")] != '\0')
        return;
    (void)snprintf(out, 80, "traceparent: %s", s);
}

static void prepare_response(const struct http_transfer *t)
{
    struct http_response *r = t->response;

    r->headers.max = HTTP_HEADERS_MAX;
    r->body.host = t->client->host;
    r->body.host_store = t->client->host_store;
    r->body.secret = r->headers.secret = t->request->secret_reply;
}

int32_t http_perform(struct http_client *c,
                     const struct persist_backend_call *call,
                     const struct http_request *request,
                     struct http_response *response,
                     struct persist_backend_error *err)
{
    struct http_transfer t = {.client = c,
                              .call = call,
                              .request = request,
                              .response = response,
                              .begin_ns = c->host->monotonic_ns()};
    char origin[HTTP_ORIGIN_MAX], trace[80];
    CURLcode result = CURLE_OUT_OF_MEMORY;
    int32_t rc = check_url(c, request, origin, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = check_request(request, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    for (int i = 0; i < HTTP_BODY_PIECES; i++)
        t.body_len += request->body[i].len;
    t.expecting = asks_first(&t);
    prepare_response(&t);
    trace_line(call, trace);
    t.handle = http_pool_take(c, origin);
    if (t.handle == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (set_up(&t, trace))
        result = run(&t);
    learn_of_body(&t);
    rc = http_outcome(&t, result, err);
    memcpy(t.handle->origin, origin, sizeof(origin));
    http_pool_give(c, t.handle);
    return rc;
}

void http_response_finish(struct http_response *r)
{
    text_finish(&r->body);
    text_finish(&r->headers);
    *r = (struct http_response){0};
}
