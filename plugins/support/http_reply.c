/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving a reply, and looking things up in it.
 *
 * libcurl hands over every header line of every block: 100-continue, then the
 * reply proper, then trailers.  A status line starts a new block; what comes
 * behind the reply's head is ignored.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "support/dates.h"
#include "support/http_private.h"
#include "support/url.h"

#define OK_STATUS(status) ((status) >= 200 && (status) < 300)

static size_t stop(struct http_transfer *t, int32_t code, const char *why)
{
    t->stop = code;
    t->stop_why = why;
    return 0; /* libcurl gives up when fewer bytes are taken than offered */
}

/* ---------------------------------------------------------------- headers */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits from *at on; false where there are none, or too many. */
static bool read_number(const char **at, uint64_t *out)
{
    const char *p = *at;
    uint64_t n = 0;

    if (!digit(*p))
        return false;
    for (; digit(*p); p++) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *at = p;
    *out = n;
    return true;
}

/* "HTTP/1.1 200 OK" */
static int32_t status_of(const char *line, size_t len)
{
    const char *blank = memchr(line, ' ', len);

    if (blank == NULL || len - (size_t)(blank - line) < 4 || !digit(blank[1]) ||
        !digit(blank[2]) || !digit(blank[3]))
        return 0;
    return (blank[1] - '0') * 100 + (blank[2] - '0') * 10 + (blank[3] - '0');
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    return c;
}

/* One line as name, NUL, value, NUL. Lines without a colon are passed over. */
static void keep_line(struct text *headers, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len), *end = line + len, *value;
    size_t before = headers->len;

    if (colon == NULL || memchr(line, '\0', len) != NULL)
        return;
    for (const char *p = line; p < colon; p++)
        text_add_char(headers, lower(*p));
    value = colon + 1;
    while (value < end && blank(*value))
        value++;
    while (end > value && blank(end[-1]))
        end--;
    text_add_char(headers, '\0');
    text_add_bytes(headers, value, (size_t)(end - value));
    text_add_char(headers, '\0');
    if (headers->failed) /* no half of one: who looks up wants pairs */
        text_cut(headers, before);
}

/* What the head says of the body; 0 to go on. */
static bool head_complete(struct http_transfer *t)
{
    struct http_response *r = t->response;
    const char *length = http_header(r, "content-length");
    const char *coding = http_header(r, "transfer-encoding");
    bool is_head = strcmp(t->request->method, "HEAD") == 0;
    uint64_t n = 0;

    t->head_done = true;
    if (length != NULL && read_number(&length, &n) && *length == '\0') {
        r->has_length = true;
        r->content_length = n;
    }
    r->framed = r->has_length || coding != NULL || is_head ||
                r->status == 204 || r->status == 304;
    t->to_into = t->request->into != NULL && !is_head &&
                 (r->status == 200 || r->status == 206);
    if (t->to_into && r->has_length && n > t->request->into_cap) {
        (void)stop(t, PERSIST_BACKEND_CORRUPT,
                   "the server sends more than was asked for");
        return false;
    }
    r->body.max = HTTP_ERROR_BODY_MAX;
    if (OK_STATUS(r->status) && t->request->body_max != 0)
        r->body.max = t->request->body_max;
    if (OK_STATUS(r->status) && r->has_length && !t->to_into && !is_head &&
        n <= r->body.max)
        text_expect(&r->body, (size_t)n);
    return true;
}

size_t http_on_header(char *line, size_t size, size_t n, void *transfer)
{
    struct http_transfer *t = transfer;
    struct http_response *r = t->response;
    size_t len = size * n;

    t->received += len;
    t->heads += len;
    if (t->heads > HTTP_HEADS_MAX)
        return stop(t, PERSIST_BACKEND_IO, "a reply with too many headers");
    if (t->head_done)
        return len;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        text_clear(&r->headers);
        r->status = status_of(line, len);
        return len;
    }
    if (line[0] == '\r' || line[0] == '\n') {
        if (r->status == 100)
            t->was_expected = true;
        return r->status < 200 || head_complete(t) ? len : 0;
    }
    keep_line(&r->headers, line, len);
    if (r->headers.too_long)
        return stop(t, PERSIST_BACKEND_IO, "a reply with too many headers");
    if (r->headers.failed)
        return stop(t, PERSIST_BACKEND_MEMORY, "out of memory");
    return len;
}

/* ------------------------------------------------------------------- body */

static size_t into_caller(struct http_transfer *t, const char *data, size_t len)
{
    struct http_response *r = t->response;

    if (len > t->request->into_cap - r->into_len)
        return stop(t, PERSIST_BACKEND_CORRUPT,
                    "the server sends more than was asked for");
    memcpy((char *)t->request->into + r->into_len, data, len);
    r->into_len += len;
    return len;
}

/* The beginning of an error's body is enough. */
static size_t into_error(struct http_transfer *t, const char *data, size_t len)
{
    struct text *body = &t->response->body;
    size_t room = body->max - body->len;

    text_add_bytes(body, data, len < room ? len : room);
    if (body->failed)
        return stop(t, PERSIST_BACKEND_MEMORY, "out of memory");
    if (len <= room)
        return len;
    t->response->body_cut = true;
    return 0; /* no failure: what is here is answer enough */
}

size_t http_on_body(char *data, size_t size, size_t n, void *transfer)
{
    struct http_transfer *t = transfer;
    struct text *body = &t->response->body;
    size_t len = size * n;

    t->received += len;
    if (t->to_into)
        return into_caller(t, data, len);
    if (!OK_STATUS(t->response->status))
        return into_error(t, data, len);
    text_add_bytes(body, data, len);
    if (body->too_long)
        return stop(t, PERSIST_BACKEND_IO, "a reply that is too long");
    if (body->failed)
        return stop(t, PERSIST_BACKEND_MEMORY, "out of memory");
    return len;
}

/* --------------------------------------------------------------- looking up */

/* From `at` on, which is where a name stands or the end. */
static const char *find_header(const struct http_response *r, const char *at,
                               const char *name)
{
    const char *end = text_str(&r->headers) + r->headers.len;

    while (at < end) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *http_header(const struct http_response *r, const char *name)
{
    return find_header(r, text_str(&r->headers), name);
}

const char *http_header_next(const struct http_response *r, const char *name,
                             const char *value)
{
    return find_header(r, value + strlen(value) + 1, name);
}

bool http_content_range(const struct http_response *r, uint64_t *out_first,
                        uint64_t *out_last, uint64_t *out_total)
{
    const char *p = http_header(r, "content-range");

    *out_first = *out_last = 0;
    *out_total = UINT64_MAX;
    if (p == NULL || strncmp(p, "bytes ", 6) != 0)
        return false;
    p += 6;
    if (r->status == 416) {
        if (*p++ != '*')
            return false;
    } else if (!read_number(&p, out_first) || *p++ != '-' ||
               !read_number(&p, out_last) || *out_last < *out_first) {
        return false;
    }
    if (*p++ != '/')
        return false;
    if (r->status != 416 && p[0] == '*' && p[1] == '\0')
        return true;
    return read_number(&p, out_total) && *p == '\0' &&
           (r->status == 416 || *out_last < *out_total);
}

bool http_clock_offset(const struct http_response *r, int64_t now_us,
                       int64_t *out_offset_us)
{
    const char *date = http_header(r, "date");
    int64_t server_us;

    if (date == NULL || !date_parse_http(date, &server_us))
        return false;
    *out_offset_us = server_us - now_us;
    return true;
}

bool http_redirects_to(const struct http_response *r,
                       char out_place[HTTP_PLACE_MAX])
{
    static const int32_t redirects[] = {301, 302, 303, 307, 308};
    const char *location = http_header(r, "location"), *host;
    char origin[HTTP_PLACE_MAX];
    struct url url;
    bool known = false;

    out_place[0] = '\0';
    for (size_t i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++)
        known = known || r->status == redirects[i];
    host = known && location != NULL ? strstr(location, "://") : NULL;
    if (host == NULL)
        return false;
    host += strcspn(host + 3, "/?#") + 3;
    if ((size_t)(host - location) >= sizeof(origin))
        return false;
    (void)snprintf(origin, sizeof(origin), "%.*s", (int)(host - location),
                   location);
    if (url_parse(origin, NULL, &url, NULL) != PERSIST_BACKEND_OK)
        return false;
    (void)snprintf(out_place, HTTP_PLACE_MAX, "%s://%s",
                   url.tls ? "https" : "http", url.authority);
    return true;
}

/* ---------------------------------------------------------- what err tells */

bool http_is_page(const struct http_response *r)
{
    static const char *const starts[] = {"<!doctype html", "<html"};
    const char *body = text_str(&r->body);

    body += strspn(body, " \t\r\n");
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (strncasecmp(body, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

bool http_has_type(const struct http_response *r, const char *type)
{
    const char *named = http_header(r, "content-type");

    return named != NULL && strncasecmp(named, type, strlen(type)) == 0;
}

bool http_names_page(const struct http_response *r)
{
    return http_has_type(r, "text/html");
}

/* Milliseconds to wait; false where the server did not say. */
static bool retry_after(const struct http_client *c,
                        const struct http_response *r, uint64_t *out_ms)
{
    const char *ms = c->retry_after_ms_header != NULL
                         ? http_header(r, c->retry_after_ms_header)
                         : NULL;
    const char *s = http_header(r, "retry-after");
    int64_t at_us, now_us = c->host->wall_us();
    uint64_t n;

    if (ms != NULL && read_number(&ms, &n) && *ms == '\0') {
        *out_ms = n;
        return true;
    }
    if (s == NULL)
        return false;
    if (date_parse_http(s, &at_us)) {
        *out_ms = at_us > now_us ? (uint64_t)(at_us - now_us) / 1000 : 0;
        return true;
    }
    if (!read_number(&s, &n) || *s != '\0' || n > UINT64_MAX / 1000)
        return false;
    *out_ms = n * 1000;
    return true;
}

static void copy_id(struct persist_backend_error *err, const char *id)
{
    size_t n = 0;

    for (; id[n] != '\0' && n + 1 < sizeof(err->request_id); n++) {
        err->request_id[n] = id[n];
        if (id[n] <= ' ' || id[n] >= 0x7f)
            err->request_id[n] = '?';
    }
    err->request_id[n] = '\0';
}

void http_note(const struct http_client *c, const struct http_response *r,
               struct persist_backend_error *err)
{
    const char *id = c->request_id_header != NULL
                         ? http_header(r, c->request_id_header)
                         : NULL;
    uint64_t ms;

    if (err == NULL || !PERSIST_BACKEND_HAS(err, message))
        return;
    if (r->status != 0) {
        err->http_status = r->status;
        err->present |= PERSIST_BACKEND_ERROR_HTTP_STATUS;
    }
    if (retry_after(c, r, &ms)) {
        err->retry_after_ms = ms;
        err->present |= PERSIST_BACKEND_ERROR_RETRY_AFTER;
    }
    if (id != NULL)
        copy_id(err, id);
}
