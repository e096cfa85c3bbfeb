/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"

static struct gcs_options options = {.bucket = (char *)(uintptr_t) "b.ucket",
                                     .prefix = (char *)(uintptr_t) "p q/"};

static void keys(void **state)
{
    static const char *const good[] = {
        "a",     "a/b",  ".persist-probe",  "a%2e",
        "a.b-c", "0_/1", "a/.persist-probe"};
    static const char *const bad[] = {"",
                                      "/",
                                      "/a",
                                      "a/",
                                      "a//b",
                                      ".",
                                      "..",
                                      "a/..",
                                      ".a",
                                      "a/.b",
                                      "A",
                                      "a b",
                                      "a\nb",
                                      "a\\b",
                                      "a?b",
                                      "\xc3\xa4",
                                      "a#b",
                                      "a/./b",
                                      ".persist-probe2",
                                      "a+b"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(names_check_key(&options, good[i], NULL),
                         PERSIST_BACKEND_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (names_check_key(&options, bad[i], NULL) != PERSIST_BACKEND_INVALID)
            fail_msg("taken: %s", bad[i]);
}

static void keys__length_counts_the_prefix(void **state)
{
    char key[GCS_NAME_MAX + 1];

    (void)state;
    memset(key, 'a', sizeof(key));
    key[GCS_NAME_MAX - 4] = '\0';
    assert_int_equal(names_check_key(&options, key, NULL), PERSIST_BACKEND_OK);
    key[GCS_NAME_MAX - 4] = 'a';
    key[GCS_NAME_MAX - 3] = '\0';
    assert_int_equal(names_check_key(&options, key, NULL),
                     PERSIST_BACKEND_INVALID);
}

static void folders_end_in_a_slash(void **state)
{
    (void)state;
    assert_true(names_is_key("a/", true));
    assert_true(names_is_key("a/b/", true));
    assert_false(names_is_key("a", true));
    assert_false(names_is_key("/", true));
    assert_false(names_is_key("a//", true));
    assert_false(names_is_key("", true));
}

static void buckets(void **state)
{
    static const char *const good[] = {"abc", "a.b", "my_bucket-1", "1a2"};
    static const char *const bad[] = {"",    "ab",   "-ab", "ab-", "A-b",
                                      "a/b", "a..b", "a b", ".ab", "a%2fb"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(names_bucket_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(names_bucket_ok(bad[i]));
}

static void paths(void **state)
{
    struct text out = {0};

    (void)state;
    names_object_path(&options, "a/b%2f.snap", &out);
    assert_string_equal(text_str(&out),
                        "/storage/v1/b/b.ucket/o/p%20q%2Fa%2Fb%252f.snap");
    text_clear(&out);
    names_upload_path(&options, &out);
    assert_string_equal(text_str(&out), "/upload/storage/v1/b/b.ucket/o");
    text_finish(&out);
}

static void tails(void **state)
{
    (void)state;
    assert_string_equal(names_tail("a/b/c"), "c");
    assert_string_equal(names_tail("c"), "c");
    assert_string_equal(names_tail("a/"), "a/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(keys__length_counts_the_prefix),
        cmocka_unit_test(folders_end_in_a_slash),
        cmocka_unit_test(buckets),
        cmocka_unit_test(paths),
        cmocka_unit_test(tails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
