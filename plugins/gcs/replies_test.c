/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/replies.h"

static bool object(const char *text, struct gcs_object *out)
{
    return reply_object(text, strlen(text), out);
}

static void object__is_read(void **state)
{
    struct gcs_object o;

    (void)state;
    assert_true(object("{\"kind\":\"storage#object\",\"name\":\"a\","
                       "\"size\":\"12345678901\",\"generation\":"
                       "\"1700000000000001\",\"crc32c\":\"4waSgw==\","
                       "\"updated\":\"2026-01-15T12:00:00.250Z\"}",
                       &o));
    assert_int_equal(o.size, INT64_C(12345678901));
    assert_string_equal(o.generation, "1700000000000001");
    assert_true(o.has_crc32c && o.crc32c == 0xe3069283);
    assert_true(o.has_updated);
    assert_int_equal(o.updated_us, INT64_C(1768478400250000));
}

static void object__lacks_what_it_must_have(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "\"size\"",
        "{}",
        "{\"size\":\"1\"}",
        "{\"generation\":\"1\"}",
        "{\"size\":\"-1\",\"generation\":\"1\"}",
        "{\"size\":-1,\"generation\":\"1\"}",
        "{\"size\":\"1x\",\"generation\":\"1\"}",
        "{\"size\":\"\",\"generation\":\"1\"}",
        "{\"size\":\"18446744073709551616\",\"generation\":\"1\"}",
        "{\"size\":1.5,\"generation\":\"1\"}",
        "{\"size\":\"1\",\"generation\":\"1\",\"crc32c\":\"AAA\"}",
        "{\"size\":\"1\",\"generation\":\"1\"",
        "{\"size\":\"1\",\"size\":\"2\",\"generation\":\"1\"}",
        "{\"size\":\"1\",\"generation\":\"1\"} more",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gcs_object o;

        if (object(texts[i], &o))
            fail_msg("taken: %s", texts[i]);
    }
}

/* Every prefix and every byte of it changed: no crash, and never another
 * size. */
static void object__damaged(void **state)
{
    static const char text[] =
        "{\"size\":\"77\",\"generation\":\"1\",\"crc32c\":\"4waSgw==\"}";
    char copy[sizeof(text)];
    struct gcs_object o;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_false(reply_object(text, len, &o));
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        for (int flip = 1; flip < 256; flip++) {
            memcpy(copy, text, sizeof(text));
            copy[i] = (char)(copy[i] ^ flip);
            (void)reply_object(copy, sizeof(text) - 1, &o);
        }
}

static size_t made; /* bytes that jansson was given */

static void *count_bytes(size_t len)
{
    made += len;
    return malloc(len);
}

/* Eight megabytes of "{}," are 600 in memory. */
static void json__is_not_made_of_millions_of_values(void **state)
{
    static const char *const ones[] = {"{},", "[],", "0,", "\"\","};
    size_t len = (size_t)8 << 20;
    char *text = malloc(len);

    (void)state;
    json_set_alloc_funcs(count_bytes, free);
    for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
        size_t at = (size_t)sprintf(text, "{\"items\":[");
        size_t n = strlen(ones[i]);

        for (; at + n + 2 < len; at += n)
            memcpy(text + at, ones[i], n);
        memcpy(text + at - 1, "]}", 2);
        made = 0;
        assert_null(json_parse_object(text, at + 1));
        assert_int_equal(made, 0);
    }
    json_set_alloc_funcs(malloc, free);
    free(text);
}

static void json__depth_is_limited(void **state)
{
    char text[4000];
    json_t *json;

    (void)state;
    memset(text, 0, sizeof(text));
    for (size_t i = 0; i < 1000; i++)
        memcpy(text + strlen(text), "[", 2);
    assert_null(json_parse_object(text, strlen(text)));
    json =
        json_parse_object("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", 39);
    assert_non_null(json); /* brackets inside a text are none */
    json_decref(json);
}

static void problem__from_json_xml_and_text(void **state)
{
    static const struct {
        const char *text, *reason, *message;
    } rows[] = {
        {"{\"error\":{\"code\":412,\"message\":\"no\\nway\",\"errors\":"
         "[{\"reason\":\"conditionNotMet\",\"domain\":\"global\"}]}}",
         "conditionNotMet", "no way"},
        {"{\"error\":{\"code\":403,\"message\":\"m\",\"status\":"
         "\"PERMISSION_DENIED\"}}",
         "PERMISSION_DENIED", "m"},
        {"{\"error\":\"invalid_grant\",\"error_description\":\"Bad\"}",
         "invalid_grant", "Bad"},
        {"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code>"
         "<Message>The bucket</Message></Error>",
         "NoSuchBucket", "The bucket"},
        {"No such object: b/o", "", "No such object: b/o"},
        {"<html><body>proxy</body></html>", "", ""},
        {"", "", ""},
        {"{\"error\":{\"errors\":[]}}", "", ""},
        {"{}", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct gcs_problem p;

        reply_problem(rows[i].text, strlen(rows[i].text), &p);
        assert_string_equal(p.reason, rows[i].reason);
        assert_string_equal(p.message, rows[i].message);
    }
}

static void problem__long_and_hostile(void **state)
{
    struct gcs_problem p;
    char text[3000];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? '\xa4' : '\xc3'; /* an a with dots, again and again */
    reply_problem(text, sizeof(text), &p);
    assert_int_equal(strlen(p.message) % 2, 0);
    assert_true(strlen(p.message) < sizeof(p.message));
    reply_problem("a\x1b[31mred\r\n\tb", 13, &p);
    assert_string_equal(p.message, "a [31mred b");
}

static void page__is_merged_in_order(void **state)
{
    static const char text[] =
        "{\"nextPageToken\":\"t\",\"prefixes\":[\"a/\",\"c/\"],\"items\":["
        "{\"name\":\"a\",\"size\":\"1\",\"updated\":\"2026-01-15T12:00:00Z\"},"
        "{\"name\":\"b\",\"size\":\"2\"}]}";
    static const char *const want[] = {"a", "a/", "b", "c/"};
    struct gcs_page page;

    (void)state;
    assert_int_equal(reply_page(text, strlen(text), &page), PERSIST_BACKEND_OK);
    assert_int_equal(page.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(page.entries[i].name, want[i]);
    assert_true(page.entries[1].folder && !page.entries[2].folder);
    assert_string_equal(page.next_token, "t");
    reply_page_finish(&page);
    assert_int_equal(reply_page("{}", 2, &page), PERSIST_BACKEND_OK);
    assert_int_equal(page.n, 0);
    assert_null(page.next_token);
    reply_page_finish(&page);
}

static void page__that_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"items\":{}}",
        "{\"items\":[1]}",
        "{\"items\":[{}]}",
        "{\"items\":[{\"name\":\"a\"}]}",
        "{\"items\":[{\"size\":\"1\"}]}",
        "{\"prefixes\":[1]}",
        "{\"prefixes\":\"a/\"}",
        "{\"items\":[{\"name\":\"a\",\"size\":\"1\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gcs_page page;

        assert_int_equal(reply_page(texts[i], strlen(texts[i]), &page),
                         PERSIST_BACKEND_IO);
        reply_page_finish(&page);
    }
}

static void metadata__is_written(void **state)
{
    struct gcs_options o = {.prefix = (char *)(uintptr_t) "p/",
                            .storage_class = (char *)(uintptr_t) "NEARLINE",
                            .retention = GCS_RETAIN_LOCKED,
                            .retain_for_ms = 86400000,
                            .event_based_hold = true};
    uint32_t crc = 0xe3069283;
    struct text out = {0};
    json_t *json;

    (void)state;
    assert_int_equal(metadata_write(&o, "a/b", "text/plain", &crc,
                                    INT64_C(1768478400000000), &out),
                     PERSIST_BACKEND_OK);
    json = json_parse_object(out.data, out.len);
    assert_string_equal(json_text(json, "name"), "p/a/b");
    assert_string_equal(json_text(json, "contentType"), "text/plain");
    assert_string_equal(json_text(json, "crc32c"), "4waSgw==");
    assert_string_equal(json_text(json, "storageClass"), "NEARLINE");
    assert_string_equal(json_text(json, "cacheControl"), "no-transform");
    assert_true(json_is_true(json_object_get(json, "eventBasedHold")));
    assert_null(json_object_get(json, "temporaryHold"));
    assert_string_equal(
        json_text(json_object_get(json, "retention"), "retainUntilTime"),
        "2026-01-16T12:00:00Z");
    json_decref(json);
    text_finish(&out);
}

static void metadata__name_that_is_no_utf8(void **state)
{
    struct gcs_options o = {.prefix = (char *)(uintptr_t) "\xff/"};
    struct text out = {0};

    (void)state;
    assert_int_equal(metadata_write(&o, "a", "text/plain", NULL, 0, &out),
                     PERSIST_BACKEND_INVALID);
    text_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object__is_read),
        cmocka_unit_test(object__lacks_what_it_must_have),
        cmocka_unit_test(object__damaged),
        cmocka_unit_test(json__is_not_made_of_millions_of_values),
        cmocka_unit_test(json__depth_is_limited),
        cmocka_unit_test(problem__from_json_xml_and_text),
        cmocka_unit_test(problem__long_and_hostile),
        cmocka_unit_test(page__is_merged_in_order),
        cmocka_unit_test(page__that_is_none),
        cmocka_unit_test(metadata__is_written),
        cmocka_unit_test(metadata__name_that_is_no_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
