/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against a server that plays back what a test wrote down. */
#include "support/http.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/testkit.h"

#define LARGE ((size_t)3 << 20)

struct fixture {
    struct server *server;
    struct http_client *client;
    struct persist_backend_call call;
    struct persist_backend_error err;
    struct http_response r;
    char *large; /* LARGE bytes, no two neighbours alike */
};

static struct fixture f;

static void make_client(const struct http_config *config)
{
    struct http_config c = *config;

    c.host = &kit_host;
    c.proxy = "";
    assert_int_equal(http_client_create(&c, &f.client, &f.err), OK);
}

static int set_up(void **state)
{
    (void)state;
    kit_reset();
    f = (struct fixture){.call = kit_call(),
                         .err = {.struct_size = sizeof(f.err)}};
    make_client(&(struct http_config){.request_id_header = "x-request-id",
                                      .retry_after_ms_header = "x-wait-ms"});
    f.large = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        f.large[i] = (char)(i * 2654435761u >> 13);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_response_finish(&f.r);
    http_client_destroy(f.client);
    if (f.server != NULL)
        server_stop(f.server);
    free(f.large);
    assert_int_equal(atomic_load(&kit_blocks), 0);
    return 0;
}

#define SERVE(...)                                                             \
    static const struct script script[] = {__VA_ARGS__};                       \
    f.server = server_start(script, sizeof(script) / sizeof(script[0]))

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static int32_t perform(struct http_request r)
{
    if (r.url == NULL)
        r.url = server_url(f.server, "/x");
    http_response_finish(&f.r);
    f.err = (struct persist_backend_error){.struct_size = sizeof(f.err)};
    return http_perform(f.client, &f.call, &r, &f.r, &f.err);
}

static int32_t get(void)
{
    return perform((struct http_request){.method = "GET"});
}

static int32_t put_small(void)
{
    return perform((struct http_request){
        .method = "PUT", .writes = true, .body = {{"data", 4}}});
}

static int32_t put_large(bool expect)
{
    return perform((struct http_request){.method = "PUT",
                                         .writes = true,
                                         .expect_continue = expect,
                                         .body = {{f.large, LARGE}}});
}

static void stall_after(uint32_t ms)
{
    http_client_destroy(f.client);
    make_client(
        &(struct http_config){.stall_timeout_ms = ms, .stall_bytes_per_s = 1});
}

#define ASSERT_MESSAGE(part) assert_non_null(strstr(f.err.message, part))

/* ---------------------------------------------------------------- requests */

static void get__sends_the_url_and_headers_as_given(void **state)
{
    const char *const headers[] = {"X-One: 1",
                                   "User-Agent:", "Accept-Encoding: identity"};
    SERVE({.bytes = OK_HELLO});

    (void)state;
    assert_int_equal(
        perform((struct http_request){
            .method = "GET",
            .url = server_url(f.server, "/a/../b/./c//d?x=%2F&uploads="),
            .headers = headers,
            .n_headers = 3}),
        OK);

    assert_int_equal(f.r.status, 200);
    assert_string_equal(text_str(&f.r.body), "hello");
    assert_true(f.r.has_length && f.r.framed);
    assert_int_equal(f.r.content_length, 5);
    assert_memory_equal(server_head(f.server, 0),
                        "GET /a/../b/./c//d?x=%2F&uploads= HTTP/1.1\r\n", 44);
    assert_non_null(strstr(server_head(f.server, 0), "\r\nX-One: 1\r\n"));
    assert_null(strstr(server_head(f.server, 0), "User-Agent"));
    assert_null(strstr(server_head(f.server, 0), "Content-"));
}

static void put__sends_its_exact_length_and_no_type(void **state)
{
    const char *head, *body;
    size_t len;
    SERVE({.bytes = OK_EMPTY}, {.bytes = OK_EMPTY}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(put_small(), OK);
    head = server_head(f.server, 0);
    assert_non_null(strstr(head, "PUT /x HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Length: 4\r\n"));
    assert_null(strcasestr(head, "content-type"));
    assert_null(strcasestr(head, "expect"));

    assert_int_equal(perform((struct http_request){.method = "PUT"}), OK);
    assert_non_null(strstr(server_head(f.server, 1), "Content-Length: 0\r\n"));
    assert_int_equal(perform((struct http_request){.method = "DELETE"}), OK);
    assert_non_null(strstr(server_head(f.server, 2), "DELETE /x HTTP/1.1\r\n"));
    assert_null(strstr(server_head(f.server, 2), "Content-Length"));
    body = server_body(f.server, 0, &len);
    assert_int_equal(len, 4);
    assert_string_equal(body, "data");
}

static void put__sends_large_bodies_whole(void **state)
{
    const char *body;
    size_t len;
    SERVE({.bytes = OK_EMPTY}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(put_large(false), OK);
    assert_int_equal(put_large(true), OK);

    for (unsigned i = 0; i < 2; i++) {
        body = server_body(f.server, i, &len);
        assert_int_equal(len, LARGE);
        assert_memory_equal(body, f.large, LARGE);
    }
    assert_null(strstr(server_head(f.server, 0), "Expect"));
    assert_non_null(strstr(server_head(f.server, 1), "Expect: 100-continue"));
    assert_int_equal(server_connections(f.server), 1);
}

static void body__of_pieces_is_sent_in_order(void **state)
{
    const char *body;
    size_t len;
    SERVE({.bytes = OK_EMPTY}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(
        perform((struct http_request){
            .method = "POST", .body = {{"one", 3}, {"", 0}, {"three", 5}}}),
        OK);
    assert_int_equal(
        perform((struct http_request){
            .method = "POST", .body = {{"<", 1}, {f.large, LARGE}, {">", 1}}}),
        OK);

    body = server_body(f.server, 0, &len);
    assert_string_equal(body, "onethree");
    body = server_body(f.server, 1, &len);
    assert_int_equal(len, LARGE + 2);
    assert_true(body[0] == '<' && body[LARGE + 1] == '>');
    assert_memory_equal(body + 1, f.large, LARGE);
}

static void headers__with_line_breaks_are_refused(void **state)
{
    const char *const bad[] = {"X: 1\r\nY: 2"};
    SERVE({.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(perform((struct http_request){
                         .method = "GET", .headers = bad, .n_headers = 1}),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(server_connections(f.server), 0);
}

static void url__must_be_one_that_can_be_sent(void **state)
{
    static const char *const bad[] = {
        "ftp://127.0.0.1/",        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\n",   "http://user:pw@127.0.0.1/",
        "https://user@host.test/", "http:///x",
        "file:///etc/passwd",      "http://127.0.0.1/#x"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            perform((struct http_request){.method = "GET", .url = bad[i]}),
            PERSIST_BACKEND_INVALID);
        assert_null(strstr(f.err.message, "pw"));
    }
}

static void url__of_plain_http_is_for_loopback_only(void **state)
{
    (void)state;
    assert_int_equal(perform((struct http_request){
                         .method = "GET", .url = "http://192.0.2.1/secret"}),
                     PERSIST_BACKEND_CONFIG);
    ASSERT_MESSAGE("192.0.2.1 is not allowed");
    assert_null(strstr(f.err.message, "secret"));
}

static void traceparent__is_passed_on(void **state)
{
    SERVE({.bytes = OK_EMPTY}, {.bytes = OK_EMPTY});

    (void)state;
    f.call.traceparent =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_int_equal(get(), OK);
    f.call.traceparent = "00-x\r\nEvil: 1";
    assert_int_equal(get(), OK);

    assert_non_null(
        strstr(server_head(f.server, 0),
               "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c"
               "-b7ad6b7169203331-01\r\n"));
    assert_null(strstr(server_head(f.server, 1), "traceparent"));
}

/* ----------------------------------------------------------------- replies */

static void reply__headers_are_found(void **state)
{
    const char *first;
    SERVE({.bytes = "HTTP/1.1 100 Continue\r\nX-A: interim\r\n\r\n"
                    "HTTP/1.1 201 Created\r\nX-A:  one \t\r\nETag: \"e\"\r\n"
                    "x-a: two\r\nContent-Length: 0\r\n\r\n"});

    (void)state;
    assert_int_equal(get(), OK);
    assert_int_equal(f.r.status, 201);
    first = http_header(&f.r, "x-a");
    assert_string_equal(first, "one");
    assert_string_equal(http_header_next(&f.r, "x-a", first), "two");
    assert_string_equal(http_header(&f.r, "etag"), "\"e\"");
    assert_null(http_header(&f.r, "one"));
    assert_null(http_header(&f.r, "x-b"));
}

static void reply__goes_into_the_callers_buffer(void **state)
{
    char into[9] = "........";
    struct http_request r = {.method = "GET", .into = into, .into_cap = 5};
    SERVE({.bytes = OK_HELLO}, {.bytes = "HTTP/1.1 404 No\r\nContent-Length: 4"
                                         "\r\n\r\nnope"});

    (void)state;
    assert_int_equal(perform(r), OK);
    assert_int_equal(f.r.into_len, 5);
    assert_memory_equal(into, "hello...", 8);
    assert_int_equal(f.r.body.len, 0);
    assert_int_equal(perform(r), OK);
    assert_int_equal(f.r.into_len, 0);
    assert_string_equal(text_str(&f.r.body), "nope");
}

static void reply__longer_than_asked_for_is_corrupt(void **state)
{
    char into[9] = "........";
    struct http_request r = {.method = "GET", .into = into, .into_cap = 4};
    SERVE({.bytes = OK_HELLO, .drip_ms = 2},
          {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"});

    (void)state;
    assert_int_equal(perform(r), PERSIST_BACKEND_CORRUPT);
    assert_int_equal(f.r.status, 200);
    assert_memory_equal(into, "........", 8);
    assert_int_equal(perform(r), PERSIST_BACKEND_CORRUPT);
    assert_memory_equal(into + 4, "....", 4);
}

static void reply__body_has_a_ceiling(void **state)
{
    static char big[200000];
    int n = snprintf(big, sizeof(big),
                     "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    struct script script[3] = {{.bytes = big, .len = (size_t)n + 100000},
                               {.bytes = big, .len = (size_t)n + 100000},
                               {.bytes = big, .len = (size_t)n + 100000}};

    (void)state;
    memset(big + n, 'x', 100000);
    f.server = server_start(script, 3);
    assert_int_equal(get(), PERSIST_BACKEND_IO);
    ASSERT_MESSAGE("too long");
    assert_int_equal(
        perform((struct http_request){.method = "GET", .body_max = 100000}),
        OK);
    assert_int_equal(f.r.body.len, 100000);
    http_response_finish(&f.r);
    memcpy(big, "HTTP/1.1 500", 12);
    assert_int_equal(get(), OK);
    assert_true(f.r.body_cut);
    assert_int_equal(f.r.body.len, HTTP_ERROR_BODY_MAX);
}

static void reply__redirects_are_not_followed(void **state)
{
    SERVE({.bytes = "HTTP/1.1 307 Temporary Redirect\r\nLocation: "
                    "http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"},
          {.bytes = "HTTP/1.1 308 Resume\r\nRange: bytes=0-9\r\n"
                    "Content-Length: 0\r\n\r\n"});

    (void)state;
    assert_int_equal(get(), OK);
    assert_int_equal(f.r.status, 307);
    assert_int_equal(put_small(), OK);
    assert_int_equal(f.r.status, 308);
    assert_string_equal(http_header(&f.r, "range"), "bytes=0-9");
    assert_int_equal(server_requests(f.server), 2);
}

static void reply__of_head_has_a_length_and_no_body(void **state)
{
    SERVE({.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"},
          {.bytes = OK_HELLO});

    (void)state;
    assert_int_equal(perform((struct http_request){.method = "HEAD"}), OK);
    assert_int_equal(f.r.content_length, 12345);
    assert_int_equal(f.r.body.len, 0);
    assert_int_equal(get(), OK);
    assert_string_equal(text_str(&f.r.body), "hello");
    assert_int_equal(server_connections(f.server), 1);
}

static void reply__content_range_is_read(void **state)
{
    static const struct {
        const char *text;
        int32_t status;
        bool ok;
        uint64_t first, last, total;
    } cases[] = {
        {"bytes 0-9/100", 206, true, 0, 9, 100},
        {"bytes 5-5/6", 206, true, 5, 5, 6},
        {"bytes 0-9/*", 206, true, 0, 9, UINT64_MAX},
        {"bytes */77", 416, true, 0, 0, 77},
        {"bytes 9-0/100", 206, false, 0, 0, 0},
        {"bytes 0-9/9", 206, false, 0, 0, 0},
        {"bytes 0-9", 206, false, 0, 0, 0},
        {"bytes 0-9/100x", 206, false, 0, 0, 0},
        {"bytes 0-99999999999999999999/100", 206, false, 0, 0, 0},
        {"items 0-9/100", 206, false, 0, 0, 0},
        {"bytes -9/100", 206, false, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_response r = {.status = cases[i].status};
        uint64_t first, last, total;

        text_add_bytes(&r.headers, "content-range", 14);
        text_add_bytes(&r.headers, cases[i].text, strlen(cases[i].text) + 1);
        assert_int_equal(http_content_range(&r, &first, &last, &total),
                         cases[i].ok);
        if (cases[i].ok) {
            assert_int_equal(first, cases[i].first);
            assert_int_equal(last, cases[i].last);
            assert_true(total == cases[i].total);
        }
        http_response_finish(&r);
    }
}

static void note__tells_status_id_and_wait(void **state)
{
    SERVE({.bytes = "HTTP/1.1 503 Slow\r\nX-Request-Id: ab c\r\n"
                    "Retry-After: 7\r\nContent-Length: 0\r\n\r\n"},
          {.bytes = "HTTP/1.1 503 Slow\r\nX-Wait-Ms: 1500\r\n"
                    "Retry-After: 7\r\nContent-Length: 0\r\n\r\n"},
          {.bytes = "HTTP/1.1 503 Slow\r\nRetry-After: Fri, 24 May 2013 "
                    "00:00:09 GMT\r\nDate: Fri, 24 May 2013 00:20:00 GMT\r\n"
                    "Content-Length: 0\r\n\r\n"});
    int64_t offset;

    (void)state;
    assert_int_equal(get(), OK);
    http_note(f.client, &f.r, &f.err);
    assert_int_equal(f.err.http_status, 503);
    assert_string_equal(f.err.request_id, "ab?c");
    assert_int_equal(f.err.retry_after_ms, 7000);
    assert_int_equal(f.err.present, PERSIST_BACKEND_ERROR_HTTP_STATUS |
                                        PERSIST_BACKEND_ERROR_RETRY_AFTER);
    assert_false(http_clock_offset(&f.r, 0, &offset));
    assert_int_equal(get(), OK);
    http_note(f.client, &f.r, &f.err);
    assert_int_equal(f.err.retry_after_ms, 1500);
    assert_int_equal(get(), OK);
    http_note(f.client, &f.r, &f.err);
    assert_int_equal(f.err.retry_after_ms, 9000);
    assert_true(http_clock_offset(&f.r, atomic_load(&kit_wall), &offset));
    assert_int_equal(offset, INT64_C(1200) * 1000000);
}

static void redirect__names_the_place_alone(void **state)
{
    static const struct {
        int32_t status;
        const char *location; /* or NULL */
        const char *place;    /* or NULL: not told */
    } rows[] = {
        {301, "https://other.example/b/k?X-Amz-Signature=1", /* a secret */
         "https://other.example"},
        {302, "http://10.0.0.1:8080", "http://10.0.0.1:8080"},
        {303, "https://[::1]:9000/x", "https://[::1]:9000"},
        {307, "https://other.example?a=//b", "https://other.example"},
        {308, "HTTPS://Other.Example:443#x", "https://other.example"},
        {308, "/elsewhere", NULL},
        {308, "//other.example/x", NULL},
        {308, "ftp://other.example/", NULL},
        {308, "https://user:secret@other.example/", NULL},
        {308, "https://other\nexample/", NULL},
        {308, "https:///x", NULL},
        {308, "", NULL},
        {308, NULL, NULL},
        {200, "https://other.example/", NULL},
        {304, "https://other.example/", NULL},
        {404, "https://other.example/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_response r = {.status = rows[i].status};
        char place[HTTP_PLACE_MAX] = "old";

        if (rows[i].location != NULL) {
            text_add_bytes(&r.headers, "location", sizeof("location"));
            text_add_bytes(&r.headers, rows[i].location,
                           strlen(rows[i].location) + 1);
        }
        assert_int_equal(http_redirects_to(&r, place), rows[i].place != NULL);
        assert_string_equal(place, rows[i].place != NULL ? rows[i].place : "");
        http_response_finish(&r);
    }
}

static void redirect__to_a_name_without_end_is_none(void **state)
{
    struct http_response r = {.status = 301};
    char place[HTTP_PLACE_MAX];

    (void)state;
    text_add_bytes(&r.headers, "location", sizeof("location"));
    text_add(&r.headers, "https://");
    for (int i = 0; i < HTTP_PLACE_MAX; i++)
        text_add_char(&r.headers, 'a');
    text_add_char(&r.headers, '\0');
    assert_false(http_redirects_to(&r, place));
    assert_string_equal(place, "");
    http_response_finish(&r);
}

static void page__is_told_from_what_services_say(void **state)
{
    static const struct {
        const char *body;
        bool page;
    } rows[] = {
        {"<!DOCTYPE html><title>x</title>", true},
        {"\r\n <HTML lang=en>", true},
        {"<html>", true},
        {"<?xml version=\"1.0\"?><Error/>", false},
        {"{\"error\": \"<html>\"}", false},
        {"No such object: b/<html>", false},
        {"<!doctype", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_response r = {.status = 200};

        text_add(&r.body, rows[i].body);
        assert_int_equal(http_is_page(&r), rows[i].page);
        http_response_finish(&r);
    }
}

/* ------------------------------------------------------------- connections */

static void connections__are_kept(void **state)
{
    SERVE({.bytes = OK_HELLO}, {.bytes = OK_EMPTY}, {.bytes = OK_HELLO},
          {.bytes = OK_EMPTY}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(get(), OK);
    assert_int_equal(put_small(), OK);
    assert_int_equal(get(), OK);
    assert_int_equal(put_large(false), OK);
    assert_int_equal(server_connections(f.server), 1);

    f.call.attempt = 2;
    assert_int_equal(get(), OK);
    assert_int_equal(server_connections(f.server), 2);
}

/* The server closes between two requests: nobody notices. */
/* A program that is started meanwhile would hold the connection open, and could
 * read and write on it. */
static void connections__are_not_inherited(void **state)
{
    SERVE({.bytes = OK_EMPTY});
    const char *url = server_url(f.server, "");
    char port[16];
    unsigned found = 0;

    (void)state;
    assert_int_equal(get(), OK);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in a = {.sin_port = 0};
        socklen_t len = sizeof(a);

        if (getpeername(fd, (struct sockaddr *)&a, &len) != 0 ||
            a.sin_family != AF_INET)
            continue;
        (void)snprintf(port, sizeof(port), ":%u", ntohs(a.sin_port));
        if (strstr(url, port) == NULL)
            continue;
        found++;
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    assert_int_equal(found, 1);
}

static void connections__that_were_closed_are_replaced(void **state)
{
    SERVE({.bytes = OK_HELLO, .then = THEN_CLOSE}, {.bytes = OK_HELLO});

    (void)state;
    assert_int_equal(get(), OK);
    (void)usleep(20000);
    assert_int_equal(get(), OK);
    assert_string_equal(text_str(&f.r.body), "hello");
}

/* A kept connection that dies with the request on it. */
static void connections__that_die_are_replaced_for_reads_alone(void **state)
{
    SERVE({.bytes = OK_EMPTY}, {.then = THEN_RESET}, {.bytes = OK_HELLO},
          {.then = THEN_RESET}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(get(), OK);
    assert_int_equal(get(), OK); /* libcurl's own second try */
    assert_string_equal(text_str(&f.r.body), "hello");
    assert_int_equal(server_requests(f.server), 3);

    assert_int_equal(put_small(), PERSIST_BACKEND_UNCERTAIN);
    assert_true(f.r.may_have_applied);
    assert_int_equal(f.r.status, 0);
    assert_int_equal(server_requests(f.server), 4); /* and no fifth */
}

/* --------------------------------------------------------- what went wrong */

/* libcurl 7.88 would send the second try's head alone, and wait for ever. */
static void connections__that_die_in_a_large_body_are_given_up(void **state)
{
    SERVE({.bytes = OK_EMPTY}, {.then = THEN_RESET}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(get(), OK);
    assert_int_equal(perform((struct http_request){.method = "PUT",
                                                   .body = {{f.large, LARGE}}}),
                     PERSIST_BACKEND_TRANSIENT);
    assert_int_equal(server_requests(f.server), 2);
}

static void failure__before_a_connection_is_transient(void **state)
{
    SERVE({.bytes = OK_EMPTY});
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s", server_url(f.server, "/key"));
    server_stop(f.server);
    f.server = NULL;
    assert_int_equal(
        perform((struct http_request){
            .method = "PUT", .url = url, .writes = true, .body = {{"x", 1}}}),
        PERSIST_BACKEND_TRANSIENT);
    assert_false(f.r.may_have_applied);
    ASSERT_MESSAGE("127.0.0.1:");
    assert_null(strstr(f.err.message, "/key"));
    assert_int_equal(perform((struct http_request){
                         .method = "GET", .url = "https://no.invalid/"}),
                     PERSIST_BACKEND_TRANSIENT);
}

static void failure__of_a_read_is_transient(void **state)
{
    SERVE({.then = THEN_RESET}, {.then = THEN_CLOSE},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Le", .then = THEN_RESET},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
           .then = THEN_RESET},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
           .then = THEN_CLOSE},
          {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n",
           .then = THEN_CLOSE},
          {.bytes = "220 mail.test ESMTP\r\n", .then = THEN_CLOSE},
          {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "zz\r\n",
           .then = THEN_CLOSE});

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(get(), PERSIST_BACKEND_TRANSIENT);
        assert_int_equal(server_requests(f.server), i + 1);
    }
}

static void failure__of_a_write_is_uncertain_once_it_is_sent(void **state)
{
    SERVE({.then = THEN_RESET},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Le", .then = THEN_RESET},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
           .then = THEN_CLOSE},
          {.bytes = "garbage\r\n", .then = THEN_CLOSE}, {.then = THEN_RESET});

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(put_small(), PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(put_large(false), PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(server_requests(f.server), 5);
}

static void failure__while_the_body_is_sent_is_transient(void **state)
{
    SERVE({.before_head = true, .then = THEN_RESET},
          {.before_body = true, .then = THEN_RESET});

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            perform((struct http_request){.method = "PUT",
                                          .writes = true,
                                          .expect_continue = true,
                                          .body = {{f.large, LARGE},
                                                   {f.large, LARGE},
                                                   {f.large, LARGE}}}),
            PERSIST_BACKEND_TRANSIENT);
        assert_false(f.r.may_have_applied);
    }
}

static void failure__behind_the_head_of_an_error_is_an_answer(void **state)
{
    SERVE({.bytes = "HTTP/1.1 503 Slow\r\nContent-Length: 99\r\n\r\n<Err",
           .then = THEN_RESET},
          {.bytes = "HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\n<Err",
           .then = THEN_CLOSE});

    (void)state;
    assert_int_equal(put_small(), OK);
    assert_int_equal(f.r.status, 503);
    assert_int_equal(get(), OK);
    assert_int_equal(f.r.status, 403);
    assert_true(f.r.body_cut);
    assert_string_equal(text_str(&f.r.body), "<Err");
}

static void refusal__before_the_body_is_an_answer(void **state)
{
    SERVE({.bytes = "HTTP/1.1 412 Precondition Failed\r\n"
                    "Content-Length: 0\r\n\r\n",
           .before_body = true,
           .then = THEN_CLOSE});

    (void)state;
    assert_int_equal(put_large(true), OK);
    assert_int_equal(f.r.status, 412);
    assert_false(f.r.may_have_applied);
}

static void expect__is_left_out_once_it_was_ignored(void **state)
{
    SERVE({.bytes = OK_EMPTY, .no_continue = true}, {.bytes = OK_EMPTY});

    (void)state;
    assert_int_equal(put_large(true), OK);
    assert_non_null(strstr(server_head(f.server, 0), "Expect"));
    assert_int_equal(put_large(true), OK);
    assert_null(strstr(server_head(f.server, 1), "Expect"));
}

static void expect__is_asked_until_a_body_was_taken(void **state)
{
    SERVE({.bytes = OK_EMPTY}, {.bytes = OK_EMPTY},
          {.bytes = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"},
          {.bytes = OK_EMPTY});

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(put_large(true), OK);
    assert_non_null(strstr(server_head(f.server, 0), "Expect"));
    assert_null(strstr(server_head(f.server, 1), "Expect"));
    assert_null(strstr(server_head(f.server, 2), "Expect"));
    assert_non_null(strstr(server_head(f.server, 3), "Expect"));
}

static void flood__of_headers_is_refused(void **state)
{
    static char flood[400000];
    struct script script[2] = {{.bytes = flood, .then = THEN_CLOSE},
                               {.bytes = flood, .then = THEN_CLOSE}};
    size_t n = (size_t)snprintf(flood, sizeof(flood), "HTTP/1.1 200 OK\r\n");

    (void)state;
    while (n < sizeof(flood) - 100)
        n += (size_t)snprintf(flood + n, sizeof(flood) - n,
                              "X-Flood-%zu: 0123456789\r\n", n);
    f.server = server_start(script, 2);
    assert_int_equal(get(), PERSIST_BACKEND_IO);
    ASSERT_MESSAGE("too many headers");
    assert_true(f.r.headers.len <= HTTP_HEADERS_MAX);
    assert_int_equal(put_small(), PERSIST_BACKEND_UNCERTAIN);
}

/* Each is a head of its own, and none is the answer. */
static void flood__of_interim_replies_is_refused(void **state)
{
    static const char one[] =
        "HTTP/1.1 102 Processing\r\nX-F: 0123456789\r\n\r\n";
    static char flood[8 << 20];
    struct script script[2] = {{.bytes = flood, .then = THEN_STALL},
                               {.bytes = flood, .then = THEN_STALL}};
    size_t n = 0;

    (void)state;
    while (n < sizeof(flood) - sizeof(one)) {
        memcpy(flood + n, one, sizeof(one) - 1);
        n += sizeof(one) - 1;
    }
    flood[n] = '\0';
    f.server = server_start(script, 2);
    stall_after(5000);
    assert_int_equal(get(), PERSIST_BACKEND_IO);
    ASSERT_MESSAGE("too many headers");
    assert_int_equal(put_small(), PERSIST_BACKEND_UNCERTAIN);
}

/* ----------------------------------------------------------------- time */

#define ASSERT_TOOK(begin, least_ms, most_ms)                                  \
    assert_in_range((kit_now() - (begin)) / MS, least_ms, most_ms)

static void stall__ends_a_request(void **state)
{
    SERVE({.then = THEN_STALL},
          {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
           .then = THEN_STALL},
          {.then = THEN_STALL}, {.before_body = true, .then = THEN_STALL});
    uint64_t begin = kit_now();

    (void)state;
    stall_after(300);
    assert_int_equal(get(), PERSIST_BACKEND_TIMEOUT);
    ASSERT_MESSAGE("stalled");
    ASSERT_TOOK(begin, 290, 20000);
    assert_int_equal(get(), PERSIST_BACKEND_TIMEOUT);
    assert_int_equal(put_small(), PERSIST_BACKEND_UNCERTAIN);
    /* Nobody reads: the socket's buffers fill, and no more. */
    assert_int_equal(
        perform((struct http_request){
            .method = "PUT",
            .writes = true,
            .body = {{f.large, LARGE}, {f.large, LARGE}, {f.large, LARGE}}}),
        PERSIST_BACKEND_TIMEOUT);
}

/* A line now and then is enough, however long the whole takes. */
static void stall__is_not_slowness_above_the_floor(void **state)
{
    SERVE({.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n"
                    "0123456789012345678901234567890123456789"
                    "0123456789012345678901234567890123456789",
           .drip_ms = 20});
    uint64_t begin = kit_now();

    (void)state;
    stall_after(2000);
    assert_int_equal(get(), OK);
    ASSERT_TOOK(begin, 2001, 60000);
}

/* The last megabytes wait in the socket, all "sent", and leave it slowly. */
static void stall__is_not_a_full_socket_that_drains(void **state)
{
    SERVE({.bytes = OK_EMPTY, .read_ms = 25});

    (void)state;
    stall_after(1000);
    assert_int_equal(put_large(false), OK);
}

static void stall__limit_can_be_lifted(void **state)
{
    SERVE({.bytes = OK_EMPTY, .pause_ms = 700});

    (void)state;
    stall_after(300);
    assert_int_equal(perform((struct http_request){.method = "POST",
                                                   .writes = true,
                                                   .no_stall_limit = true}),
                     OK);
}

static void deadline__ends_a_request(void **state)
{
    SERVE({.then = THEN_STALL}, {.then = THEN_STALL}, {.bytes = OK_EMPTY},
          {.bytes = OK_EMPTY});
    struct http_request silent = {.method = "GET", .no_stall_limit = true};
    uint64_t begin = kit_now();

    (void)state;
    f.call.present = PERSIST_BACKEND_CALL_DEADLINE;
    f.call.deadline_ns = begin + 150 * MS;
    assert_int_equal(perform(silent), PERSIST_BACKEND_TIMEOUT);
    ASSERT_MESSAGE("deadline");
    ASSERT_TOOK(begin, 149, 20000);
    f.call.present = 0;
    begin = kit_now();
    silent.timeout_ms = 150;
    assert_int_equal(perform(silent), PERSIST_BACKEND_TIMEOUT);
    ASSERT_TOOK(begin, 149, 20000);

    /* Long past, or cancelled: nothing is sent, though a connection waits. */
    f.call.present = 0;
    assert_int_equal(get(), OK);
    f.call.present = PERSIST_BACKEND_CALL_DEADLINE;
    f.call.deadline_ns = 1;
    assert_int_equal(put_small(), PERSIST_BACKEND_TIMEOUT);
    assert_false(f.r.may_have_applied);
    f.call.present = 0;
    atomic_store(&kit_cancelled, true);
    assert_int_equal(put_small(), PERSIST_BACKEND_CANCELLED);
    assert_false(f.r.may_have_applied);
    assert_int_equal(server_requests(f.server), 3);
}

/* end: to write to, -1: none */
static void *cancel_soon(void *end)
{
    (void)usleep(100000);
    atomic_store(&kit_cancelled, true);
    if (*(int *)end >= 0)
        assert_int_equal(write(*(int *)end, "", 1), 1);
    return NULL;
}

static void cancel_in_silence(int fd, int end, uint64_t most_ms)
{
    pthread_t thread;
    uint64_t begin;

    atomic_store(&kit_cancelled, false);
    atomic_store(&kit_cancel_fd, fd);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &end), 0);
    begin = kit_now();
    assert_int_equal(
        perform((struct http_request){.method = "GET", .no_stall_limit = true}),
        PERSIST_BACKEND_CANCELLED);
    ASSERT_TOOK(begin, 95, most_ms);
    (void)pthread_join(thread, NULL);
}

/* It is told so, and that it may have been done. */
static void cancel__of_a_write_says_what_it_left(void **state)
{
    SERVE({.then = THEN_STALL});
    int end = -1;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &end), 0);
    assert_int_equal(put_small(), PERSIST_BACKEND_CANCELLED);
    assert_true(f.r.may_have_applied);
    (void)pthread_join(thread, NULL);
    assert_int_equal(put_small(), PERSIST_BACKEND_CANCELLED);
    assert_false(f.r.may_have_applied);
}

/* Within 100 ms here; the bound leaves room for a machine that is busy. */
static void cancel__is_seen_in_silence(void **state)
{
    SERVE({.then = THEN_STALL}, {.then = THEN_STALL});
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    cancel_in_silence(fds[0], fds[1], 5000);
    cancel_in_silence(-1, -1, 5000);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* ------------------------------------------------------------------ the log */

static void log__shows_no_secret(void **state)
{
    const char *const headers[] = {"Authorization: Bearer canary1",
                                   "X-Amz-Security-Token: canary2",
                                   "X-Unheard-Of: canary3", "If-None-Match: *"};
    SERVE({.bytes =
               "HTTP/1.1 200 a: canary7\r\nSet-Cookie: canary4\r\nLocation: "
               "http://h/?upload_id=canary5\r\nX-Tail: canary6\r\n"
               "ETag: \"seen\"\r\nContent-Length: 7\r\n\r\ncanary7"});

    (void)state;
    atomic_store(&kit_log_debug, true);
    assert_int_equal(
        perform((struct http_request){
            .method = "PUT",
            .url = server_url(f.server, "/key?upload_id=canary8&partNumber=7&"
                                        "X-Amz-Signature=canary9"),
            .headers = headers,
            .n_headers = 4,
            .body = {{"canary0", 7}}}),
        OK);

    assert_null(strstr(kit_logged(), "canary"));
    assert_non_null(strstr(kit_logged(),
                           "> PUT /key?upload_id=[hidden]&partNumber=7&"
                           "X-Amz-Signature=[hidden] HTTP/1.1\n"));
    assert_non_null(strstr(kit_logged(), "> Authorization: [hidden]\n"));
    assert_non_null(strstr(kit_logged(), "> If-None-Match: *\n"));
    assert_non_null(strstr(kit_logged(), "< HTTP/1.1 200\n"));
    assert_non_null(strstr(kit_logged(), "< ETag: \"seen\"\n"));
    assert_non_null(strstr(kit_logged(), "< Location: [hidden]\n"));
}

/* ------------------------------------------------------------------ threads */

#define N_THREADS 16
#define N_EACH 40

static char threads_url[128];

static void *many_puts(void *failures)
{
    for (int i = 0; i < N_EACH; i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct persist_backend_call call = kit_call();
        struct http_response r = {0};
        struct http_request q = {.method = "PUT",
                                 .writes = true,
                                 .url = threads_url,
                                 .body = {{f.large, 4096}}};

        if (http_perform(f.client, &call, &q, &r, &err) != OK ||
            r.status != 200)
            atomic_fetch_add((atomic_int *)failures, 1);
        http_response_finish(&r);
    }
    return NULL;
}

static void threads__share_a_client(void **state)
{
    static struct script script[N_THREADS * N_EACH];
    pthread_t threads[N_THREADS];
    atomic_int failures = 0;

    (void)state;
    for (size_t i = 0; i < N_THREADS * N_EACH; i++)
        script[i].bytes = OK_EMPTY;
    f.server = server_start(script, N_THREADS * N_EACH);
    (void)snprintf(threads_url, sizeof(threads_url), "%s",
                   server_url(f.server, "/x"));
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, many_puts, &failures), 0);
    for (int i = 0; i < N_THREADS; i++)
        (void)pthread_join(threads[i], NULL);

    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(server_requests(f.server), N_THREADS * N_EACH);
    assert_in_range(server_connections(f.server), 1, N_THREADS);
}

int main(void)
{
#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HTTP_TEST(get__sends_the_url_and_headers_as_given),
        HTTP_TEST(put__sends_its_exact_length_and_no_type),
        HTTP_TEST(put__sends_large_bodies_whole),
        HTTP_TEST(body__of_pieces_is_sent_in_order),
        HTTP_TEST(headers__with_line_breaks_are_refused),
        HTTP_TEST(url__must_be_one_that_can_be_sent),
        HTTP_TEST(url__of_plain_http_is_for_loopback_only),
        HTTP_TEST(traceparent__is_passed_on),
        HTTP_TEST(reply__headers_are_found),
        HTTP_TEST(reply__goes_into_the_callers_buffer),
        HTTP_TEST(reply__longer_than_asked_for_is_corrupt),
        HTTP_TEST(reply__body_has_a_ceiling),
        HTTP_TEST(reply__redirects_are_not_followed),
        HTTP_TEST(reply__of_head_has_a_length_and_no_body),
        HTTP_TEST(reply__content_range_is_read),
        HTTP_TEST(note__tells_status_id_and_wait),
        cmocka_unit_test(redirect__names_the_place_alone),
        cmocka_unit_test(redirect__to_a_name_without_end_is_none),
        cmocka_unit_test(page__is_told_from_what_services_say),
        HTTP_TEST(connections__are_kept),
        HTTP_TEST(connections__are_not_inherited),
        HTTP_TEST(connections__that_were_closed_are_replaced),
        HTTP_TEST(connections__that_die_are_replaced_for_reads_alone),
        HTTP_TEST(connections__that_die_in_a_large_body_are_given_up),
        HTTP_TEST(failure__before_a_connection_is_transient),
        HTTP_TEST(failure__of_a_read_is_transient),
        HTTP_TEST(failure__of_a_write_is_uncertain_once_it_is_sent),
        HTTP_TEST(failure__while_the_body_is_sent_is_transient),
        HTTP_TEST(failure__behind_the_head_of_an_error_is_an_answer),
        HTTP_TEST(refusal__before_the_body_is_an_answer),
        HTTP_TEST(expect__is_left_out_once_it_was_ignored),
        HTTP_TEST(expect__is_asked_until_a_body_was_taken),
        HTTP_TEST(flood__of_headers_is_refused),
        HTTP_TEST(flood__of_interim_replies_is_refused),
        HTTP_TEST(stall__ends_a_request),
        HTTP_TEST(stall__is_not_slowness_above_the_floor),
        HTTP_TEST(stall__is_not_a_full_socket_that_drains),
        HTTP_TEST(stall__limit_can_be_lifted),
        HTTP_TEST(deadline__ends_a_request),
        HTTP_TEST(cancel__is_seen_in_silence),
        HTTP_TEST(cancel__of_a_write_says_what_it_left),
        HTTP_TEST(log__shows_no_secret),
        HTTP_TEST(threads__share_a_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
