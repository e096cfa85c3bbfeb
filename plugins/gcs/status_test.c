/* SPDX-License-Identifier: Apache-2.0 */
/* The error table; what whole requests make of it is in tests/faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gcs/status.h"

static int64_t wall_us(void)
{
    return INT64_C(1768478400000000);
}

static const struct persist_backend_host host = {.struct_size = sizeof(host),
                                                 .wall_us = wall_us};
static struct http_client *client;

static int setup(void **state)
{
    const struct http_config config = {.host = &host};

    (void)state;
    return http_process_init(NULL) ||
           http_client_create(&config, &client, NULL);
}

static int teardown(void **state)
{
    (void)state;
    http_client_destroy(client);
    return 0;
}

static void answer(struct http_response *r, int32_t status, const char *body)
{
    static const char headers[] = "x-guploader-uploadid\0the-id\0";

    *r = (struct http_response){.status = status};
    text_add(&r->body, body);
    text_add_bytes(&r->headers, headers, sizeof(headers) - 1);
}

static void codes(void **state)
{
    static const struct {
        int32_t status;
        const char *body;
        struct gcs_asked asked;
        int32_t want;
    } rows[] = {
        {404,
         "No such object: b/o",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_NOT_FOUND},
        {404,
         "The specified bucket does not exist.",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_CONFIG},
        {404,
         "",
         {"list", "", GCS_BUCKET, false, false},
         PERSIST_BACKEND_CONFIG},
        {412,
         "",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_EXISTS},
        {412,
         "",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_PRECONDITION},
        {403,
         "<Error><Code>SlowDown</Code></Error>",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_THROTTLED},
        {500,
         "",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_TRANSIENT},
        {500,
         "",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_UNCERTAIN},
        {599,
         "",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_UNCERTAIN},
        {599,
         "",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_TRANSIENT},
        {202,
         "",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_UNCERTAIN},
        {407,
         "<html>Proxy</html>",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_AUTH},
        {418,
         "",
         {"read", "k", GCS_OBJECT, false, false},
         PERSIST_BACKEND_INVALID},
        {302, "", {"read", "k", GCS_OBJECT, false, false}, PERSIST_BACKEND_IO},
        {204, "", {"read", "k", GCS_OBJECT, false, false}, PERSIST_BACKEND_IO},
        {400,
         "Provided CRC32C \"x\" doesn't match",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_CORRUPT},
        {400,
         "Invalid argument.",
         {"write", "k", GCS_BUCKET, true, true},
         PERSIST_BACKEND_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r;

        answer(&r, rows[i].status, rows[i].body);
        assert_int_equal(status_refused(client, &rows[i].asked, &r, &err),
                         rows[i].want);
        assert_true(err.message[0] != '\0');
        assert_int_equal(err.http_status, rows[i].status);
        http_response_finish(&r);
    }
}

static void redirects__are_the_endpoints_fault(void **state)
{
    static const int32_t statuses[] = {301, 302, 303, 307, 308};
    static const char location[] =
        "location\0https://other.example/upload?upload_id=secret";
    const struct gcs_asked asked = {"write", "k", GCS_OBJECT, true, true};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r;

        answer(&r, statuses[i], "<html>Moved</html>");
        text_add_bytes(&r.headers, location, sizeof(location));
        assert_int_equal(status_refused(client, &asked, &r, &err),
                         PERSIST_BACKEND_CONFIG);
        assert_non_null(strstr(err.message, "to https://other.example,"));
        assert_null(strstr(err.message, "secret"));
        assert_int_equal(err.http_status, statuses[i]);
        http_response_finish(&r);
    }
}

static void pages__are_the_endpoints_fault(void **state)
{
    static const char page[] = "<!DOCTYPE html><h1>Not Found</h1>";
    static const int32_t statuses[] = {400, 401, 403, 404, 405};
    const struct gcs_asked asked = {"read", "k", GCS_OBJECT, false, false};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r = {.status = statuses[i]};

        text_add(&r.body, page);
        assert_int_equal(status_refused(client, &asked, &r, &err),
                         PERSIST_BACKEND_CONFIG);
        assert_non_null(strstr(err.message, "check the endpoint"));
        http_response_finish(&r);
    }
    /* The service's own front says who it is, and passes; so does an outage. */
    for (int i = 0; i < 2; i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r = {.status = 502};

        if (i == 0)
            answer(&r, 404, page);
        else
            text_add(&r.body, page);
        assert_int_equal(status_refused(client, &asked, &r, &err),
                         i == 0 ? PERSIST_BACKEND_NOT_FOUND
                                : PERSIST_BACKEND_TRANSIENT);
        http_response_finish(&r);
    }
}

/* The first answer of an endpoint tells whose it is; a later one may be that of
 * something in front that has a bad minute. */
static void garbled__says_what_a_page_is(void **state)
{
    static const char page[] = "<html>Welcome</html>";
    static const struct {
        const char *body;
        bool seen, writes;
        int32_t code;
    } rows[] = {
        {page, false, false, PERSIST_BACKEND_CONFIG},
        {page, true, false, PERSIST_BACKEND_TRANSIENT},
        {page, false, true, PERSIST_BACKEND_UNCERTAIN},
        {"{\"items\": [", false, false, PERSIST_BACKEND_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct gcs_asked asked = {"list", "", GCS_BUCKET, rows[i].writes,
                                        false};
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct http_response r = {.status = 200};

        text_add(&r.body, rows[i].body);
        assert_int_equal(status_garbled(&asked, rows[i].seen, &r, &err),
                         rows[i].code);
        assert_int_equal(strstr(err.message, "check the endpoint") != NULL,
                         rows[i].body == page);
        http_response_finish(&r);
    }
}

static void sessions__tell_neither_id_nor_words(void **state)
{
    const struct gcs_asked asked = {"send a part of", "k", GCS_SESSION, true,
                                    false};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct http_response r;

    (void)state;
    answer(&r, 503, "the upload upload_id=canary is busy");
    assert_int_equal(status_refused(client, &asked, &r, &err),
                     PERSIST_BACKEND_TRANSIENT);
    assert_null(strstr(err.message, "canary"));
    assert_string_equal(err.request_id, "");
    http_response_finish(&r);
}

static void others__tell_both(void **state)
{
    const struct gcs_asked asked = {"read", "agent/session/k", GCS_OBJECT,
                                    false, false};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct http_response r;

    (void)state;
    answer(&r, 403,
           "{\"error\":{\"message\":\"x has no access\",\"errors\":"
           "[{\"reason\":\"forbidden\"}]}}");
    assert_int_equal(status_refused(client, &asked, &r, &err),
                     PERSIST_BACKEND_DENIED);
    assert_string_equal(err.request_id, "the-id");
    assert_string_equal(err.provider_code, "forbidden");
    assert_string_equal(err.message, "cannot read k: not permitted (HTTP 403: "
                                     "x has no access)");
    http_response_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes),
        cmocka_unit_test(redirects__are_the_endpoints_fault),
        cmocka_unit_test(pages__are_the_endpoints_fault),
        cmocka_unit_test(garbled__says_what_a_page_is),
        cmocka_unit_test(sessions__tell_neither_id_nor_words),
        cmocka_unit_test(others__tell_both),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
