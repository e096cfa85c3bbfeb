/* SPDX-License-Identifier: Apache-2.0 */
#include "support/text.h"

#include <stdio.h>
#include <string.h>

#include "support/fail.h"
#include "support/testkit.h"

static void text__grows_and_stays_terminated(void **state)
{
    struct text t = {0};

    (void)state;
    assert_string_equal(text_str(&t), "");
    for (int i = 0; i < 1000; i++)
        text_add(&t, "0123456789");
    text_add_char(&t, '!');
    text_add_u64(&t, UINT64_MAX);
    text_add_u64(&t, 0);
    text_addf(&t, "[%d %s]", -7, "x");

    assert_false(t.failed);
    assert_string_equal(text_str(&t) + 10000, "!184467440737095516150[-7 x]");
    assert_int_equal(t.len, strlen(text_str(&t)));
    text_cut(&t, 5);
    assert_string_equal(text_str(&t), "01234");
    text_clear(&t);
    assert_string_equal(text_str(&t), "");
    text_finish(&t);
    assert_string_equal(text_str(&t), "");
}

static void text__holds_its_ceiling_exactly(void **state)
{
    struct text t = {.max = 200};
    char bytes[201] = {0};

    (void)state;
    text_add_bytes(&t, bytes, 200);
    assert_false(t.failed);
    assert_int_equal(t.cap, 201);
    text_add_char(&t, 'x');
    assert_true(t.failed && t.too_long);
    assert_int_equal(t.len, 200);
    text_clear(&t);
    text_add_bytes(&t, bytes, 201);
    assert_true(t.too_long);
    assert_int_equal(t.len, 0);
    text_finish(&t);
}

static void text__takes_large_blocks_from_the_host(void **state)
{
    struct text t = {.host = &kit_host, .secret = true};

    (void)state;
    kit_reset();
    for (int i = 0; i < 30000; i++)
        text_add_char(&t, (char)('a' + i % 26));
    assert_int_equal(atomic_load(&kit_blocks), 0);
    for (int i = 30000; i < 300000; i++)
        text_add_char(&t, (char)('a' + i % 26));
    assert_int_equal(atomic_load(&kit_blocks), 1);
    for (int i = 0; i < 300000; i++)
        assert_int_equal(text_str(&t)[i], 'a' + i % 26);
    text_finish(&t);
    assert_int_equal(atomic_load(&kit_blocks), 0);
}

static void text__takes_at_once_what_is_expected(void **state)
{
    struct text t = {.max = 300000, .host = &kit_host};
    const char *before;

    (void)state;
    text_expect(&t, 300001);
    assert_null(t.data);
    text_expect(&t, 300000);
    before = t.data;
    assert_non_null(before);
    for (int i = 0; i < 300000; i++)
        text_add_char(&t, 'x');
    assert_false(t.failed);
    assert_ptr_equal(t.data, before);
    text_finish(&t);
}

static void fail__writes_one_harmless_line(void **state)
{
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct persist_backend_error old = {.struct_size = 16};

    (void)state;
    assert_int_equal(fail(&err, PERSIST_BACKEND_IO, "a\n\x1b[31m%s", "b"),
                     PERSIST_BACKEND_IO);
    assert_string_equal(err.message, "a??[31mb");
    assert_int_equal(fail_errno(&err, PERSIST_BACKEND_IO, 2, "cannot %d", 1),
                     PERSIST_BACKEND_IO);
    assert_string_equal(err.message, "cannot 1: No such file or directory");
    assert_int_equal(err.os_errno, 2);
    assert_int_equal(err.present, PERSIST_BACKEND_ERROR_ERRNO);
    /* The number of a file that was only looked for is not this failure's. */
    err.present |= PERSIST_BACKEND_ERROR_HTTP_STATUS;
    assert_int_equal(fail(&err, PERSIST_BACKEND_AUTH, "none is there"),
                     PERSIST_BACKEND_AUTH);
    assert_int_equal(err.os_errno, 0);
    assert_int_equal(err.present, PERSIST_BACKEND_ERROR_HTTP_STATUS);
    assert_int_equal(fail(&old, PERSIST_BACKEND_IO, "x"), PERSIST_BACKEND_IO);
    assert_string_equal(old.message, "");
    assert_int_equal(fail(NULL, PERSIST_BACKEND_IO, "x"), PERSIST_BACKEND_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text__grows_and_stays_terminated),
        TEST(text__holds_its_ceiling_exactly),
        TEST(text__takes_large_blocks_from_the_host),
        TEST(text__takes_at_once_what_is_expected),
        TEST(fail__writes_one_harmless_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
