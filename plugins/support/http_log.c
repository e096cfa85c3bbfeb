/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's verbose talk as DEBUG lines of the host, without secrets.
 *
 * Of headers, only the values of names known to be harmless are shown; of the
 * request line, the path and the names of query parameters.  Bodies and TLS
 * records never.  The list is one of what is allowed, so that a header nobody
 * thought of stays hidden.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "support/http_private.h"

#define LINE_MAX_LEN 400

static const char *const shown_headers[] = {
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "host",
    "if-match",
    "if-none-match",
    "keep-alive",
    "last-modified",
    "metadata-flavor",
    "pragma",
    "range",
    "retry-after",
    "server",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "x-amz-bucket-region",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-delete-marker",
    "x-amz-id-2",
    "x-amz-mp-object-size",
    "x-amz-request-id",
    "x-amz-retry-after",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-version-id",
    "x-goog-generation",
    "x-goog-hash",
    "x-goog-metageneration",
    "x-goog-stored-content-encoding",
    "x-goog-stored-content-length",
    "x-upload-content-length",
    "x-upload-content-type",
};

static const char *const shown_params[] = {
    "alt",         "delimiter",  "encoding-type",
    "fields",      "generation", "ifgenerationmatch",
    "list-type",   "location",   "max-keys",
    "max-uploads", "maxresults", "name",
    "partnumber",  "prefix",     "start-after",
    "startoffset", "uploads",    "uploadtype",
};

static bool listed(const char *const *list, size_t n, const char *name,
                   size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && strncasecmp(list[i], name, len) == 0)
            return true;
    return false;
}

#define LISTED(list, name, len)                                                \
    listed((list), sizeof(list) / sizeof((list)[0]), (name), (len))

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
};

static char printable(char c)
{
    if ((unsigned char)c < ' ' || c == 0x7f)
        c = '?';
    return c;
}

static void add(struct line *l, const char *s, size_t len)
{
    for (size_t i = 0; i < len && l->len + 1 < sizeof(l->text); i++)
        l->text[l->len++] = printable(s[i]);
    l->text[l->len] = '\0';
}

static void add_text(struct line *l, const char *s)
{
    add(l, s, strlen(s));
}

/* Bytes from s on that are none of `stops`. */
static size_t span(const char *s, const char *end, const char *stops)
{
    const char *p = s;

    while (p < end && strchr(stops, *p) == NULL)
        p++;
    return (size_t)(p - s);
}

/* "METHOD /path?query HTTP/1.1", a URL instead of a path towards a proxy. */
static void add_request_line(struct line *l, const char *s, size_t len)
{
    const char *end = s + len, *query = memchr(s, '?', len);

    if (query == NULL) {
        add(l, s, len);
        return;
    }
    add(l, s, (size_t)(query - s));
    while (query < end && *query != ' ') {
        const char *name = query + 1;
        size_t whole = span(name, end, "& "), name_len = span(name, end, "=& ");

        add(l, query, 1 + name_len);
        if (name_len < whole && LISTED(shown_params, name, name_len))
            add(l, name + name_len, whole - name_len);
        else if (name_len < whole)
            add_text(l, "=[hidden]");
        query = name + whole;
    }
    add(l, query, (size_t)(end - query));
}

/* "HTTP/1.1 403" of a status line: the words behind it are the server's, which
 * may repeat what it was sent. */
static size_t status_len(const char *s, size_t len)
{
    size_t n = span(s, s + len, " ");

    return n < len ? n + 1 + span(s + n + 1, s + len, " ") : n;
}

static void add_header(struct line *l, const char *s, size_t len)
{
    const char *colon = memchr(s, ':', len);

    if (colon == NULL || (len >= 5 && memcmp(s, "HTTP/", 5) == 0)) {
        if (len >= 5 && memcmp(s, "HTTP/", 5) == 0)
            add(l, s, status_len(s, len));
        else
            add_text(l, "[hidden]");
        return;
    }
    add(l, s, (size_t)(colon - s) + 1);
    if (LISTED(shown_headers, s, (size_t)(colon - s)))
        add(l, colon + 1, len - (size_t)(colon - s) - 1);
    else
        add_text(l, " [hidden]");
}

static void log_line(const struct http_client *c, const char *arrow,
                     const char *data, size_t len, bool request_line)
{
    struct line l = {.len = 0};

    add_text(&l, arrow);
    if (request_line)
        add_request_line(&l, data, len);
    else
        add_header(&l, data, len);
    c->host->log(c->host_store, PERSIST_BACKEND_LOG_DEBUG, l.text);
}

static size_t without_end(const char *data, size_t len)
{
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    return len;
}

/* The head of a request, line by line.  As a rule it comes as a whole; what
 * does not fit into one write comes later, from the middle of a line on: of
 * that nobody could say what it is, so the rest of a line is not shown. */
static void log_request(struct http_handle *h, const char *data, size_t len)
{
    while (len > 0) {
        const char *nl = memchr(data, '\n', len);
        size_t whole = nl != NULL ? (size_t)(nl - data) + 1 : len;
        size_t n = without_end(data, whole);
        bool is_rest = h->log_in_line;

        h->log_in_line = nl == NULL;
        if (n == 0 && nl != NULL && !is_rest) {
            h->log_in_head = false;
            return; /* the head's end: what follows is body */
        }
        if (n > 0 && !is_rest)
            log_line(h->client, "> ", data, n, !h->log_in_head);
        h->log_in_head = true;
        data += whole;
        len -= whole;
    }
}

/* One line of a reply's head. */
static void log_reply(const struct http_client *c, const char *data, size_t len)
{
    size_t n = without_end(data, len);

    if (n > 0)
        log_line(c, "< ", data, n, false);
}

/* libcurl's own remarks name users and repeat URLs in places. */
static bool remark_ok(const char *data, size_t len)
{
    static const char *const hidden[] = {"auth", "user", "URL", "://", "ookie"};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (memmem(data, len, hidden[i], strlen(hidden[i])) != NULL)
            return false;
    return true;
}

static void log_remark(const struct http_client *c, const char *data,
                       size_t len)
{
    struct line l = {.len = 0};

    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    add_text(&l, "* ");
    add(&l, data, len);
    c->host->log(c->host_store, PERSIST_BACKEND_LOG_DEBUG, l.text);
}

static int on_debug(CURL *easy, curl_infotype type, char *data, size_t len,
                    void *handle)
{
    struct http_handle *h = handle;
    const struct http_client *c = h->client;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT)
        log_request(h, data, len);
    else if (type == CURLINFO_HEADER_IN)
        log_reply(c, data, len);
    else if (type == CURLINFO_TEXT && remark_ok(data, len))
        log_remark(c, data, len);
    return 0;
}

void http_log_attach(struct http_transfer *t)
{
    struct http_client *c = t->client;
    CURL *easy = t->handle->easy;
    bool wanted =
        c->host->log != NULL && c->host->log_enabled != NULL &&
        c->host->log_enabled(c->host_store, PERSIST_BACKEND_LOG_DEBUG) != 0;

    (void)curl_easy_setopt(easy, CURLOPT_VERBOSE, (long)wanted);
    if (!wanted)
        return;
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGDATA, t->handle);
    t->handle->log_in_head = t->handle->log_in_line = false;
}
