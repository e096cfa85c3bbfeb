/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a request fails once, and for good: ours and libcurl's.
 * Nothing crashes, nothing leaks, and the answer is one that may be given.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/http.h"
#include "support/testkit.h"

/* Of the thread under test alone: the server has its own troubles. */
static _Thread_local bool armed;
static _Thread_local long countdown;
static _Thread_local bool for_good;
static _Thread_local bool failed;
static atomic_long curl_blocks;

static bool fails(void)
{
    if (!armed || (countdown > 0 && --countdown > 0))
        return false;
    if (!for_good && failed)
        return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s);

char *__wrap_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = fails() ? NULL : __real_malloc(n);

    return copy != NULL ? memcpy(copy, s, n) : NULL;
}

static void *counted(void *p)
{
    if (p != NULL)
        atomic_fetch_add(&curl_blocks, 1);
    return p;
}

static void *lib_malloc(size_t n)
{
    return fails() ? NULL : counted(__real_malloc(n));
}

static void *lib_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

static void *lib_realloc(void *p, size_t n)
{
    if (fails())
        return NULL;
    return p == NULL ? counted(__real_malloc(n)) : __real_realloc(p, n);
}

static char *lib_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = fails() ? NULL : counted(__real_malloc(n));

    return copy != NULL ? memcpy(copy, s, n) : NULL;
}

static void lib_free(void *p)
{
    if (p != NULL)
        atomic_fetch_sub(&curl_blocks, 1);
    free(p);
}

/* A client, a small write, a read, and a large write on its connection. */
static void session(const char *url, int32_t out[3])
{
    static char large[200000];
    const struct http_config config = {
        .host = &kit_host, .proxy = "", .request_id_header = "x-id"};
    const struct http_request requests[3] = {
        {.method = "PUT",
         .url = url,
         .writes = true,
         .body = {{"one", 3}, {"two", 3}}},
        {.method = "GET", .url = url, .body_max = 300000},
        {.method = "PUT",
         .url = url,
         .writes = true,
         .body = {{large, sizeof(large)}}},
    };
    struct persist_backend_call call = kit_call();
    struct http_client *c = NULL;

    for (int i = 0; i < 3; i++)
        out[i] = PERSIST_BACKEND_MEMORY;
    if (http_client_create(&config, &c, NULL) != OK)
        return;
    for (int i = 0; i < 3; i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r = {0};

        out[i] = http_perform(c, &call, &requests[i], &r, &err);
        if (out[i] == OK)
            assert_int_equal(r.status, 200);
        else
            assert_true(err.message[0] != '\0');
        http_response_finish(&r);
    }
    http_client_destroy(c);
}

static bool allowed(int32_t rc, bool write)
{
    return rc == OK || rc == PERSIST_BACKEND_MEMORY ||
           rc == PERSIST_BACKEND_TRANSIENT || rc == PERSIST_BACKEND_INTERNAL ||
           (write && rc == PERSIST_BACKEND_UNCERTAIN);
}

/* True where an allocation failed, so that there may be one behind it. */
static bool run(const char *url, long nth, bool good, int *out_ok)
{
    long blocks = atomic_load(&curl_blocks);
    int32_t rc[3];

    countdown = nth;
    for_good = good;
    failed = false;
    armed = true;
    session(url, rc);
    armed = false;
    for (int i = 0; i < 3; i++) {
        if (!allowed(rc[i], i != 1))
            fail_msg("allocation %ld, request %d: %d", nth, i, rc[i]);
        *out_ok += rc[i] == OK;
    }
    assert_int_equal(atomic_load(&curl_blocks), blocks);
    assert_int_equal(atomic_load(&kit_blocks), 0);
    return failed;
}

static void sweep(bool good)
{
    static char answer[300];
    struct script script[8];
    long nth = 1;
    int n_ok = 0;
    bool more = true;

    (void)snprintf(answer, sizeof(answer), "%s",
                   "HTTP/1.1 200 OK\r\nX-Id: 7\r\nDate: Fri, 24 May 2013 "
                   "00:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello");
    for (size_t i = 0; i < 8; i++)
        script[i] = (struct script){.bytes = answer};
    for (; more; nth++) {
        struct server *s = server_start(script, 8);

        n_ok = 0;
        more = run(server_url(s, "/x"), nth, good, &n_ok);
        server_stop(s);
    }
    print_message("%ld points\n", nth);
    assert_int_equal(n_ok, 3); /* the last round met no failure */
    assert_true(nth > 100);
}

static void allocation__each_fails_once(void **state)
{
    (void)state;
    kit_reset();
    sweep(false);
}

static void allocation__all_fail_from_each_on(void **state)
{
    (void)state;
    kit_reset();
    sweep(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(allocation__each_fails_once),
        TEST(allocation__all_fail_from_each_on),
    };

    /* Before the library under test does: its own call then changes nothing. */
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, lib_malloc, lib_free,
                             lib_realloc, lib_strdup, lib_calloc) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
