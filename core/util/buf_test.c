/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void append__keeps_a_nul_behind_the_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_null(b.data);

    buf_append(&b, "a\0b", 3);
    buf_putc(&b, 'c');
    buf_puts(&b, "de");
    buf_printf(&b, "%d-%s", 12, "x");
    buf_zero(&b, 2);

    assert_false(buf_failed(&b));
    assert_int_equal(b.len, 12);
    assert_memory_equal(b.data, "a\0bcde12-x\0\0\0", 13);
    buf_finish(&b);
    assert_null(b.data);
}

static void extend__gives_room_to_fill(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 700);

    buf_puts(&b, "head");
    char *room = buf_extend(&b, 600);
    assert_non_null(room);
    memset(room, 'x', 600);
    buf_putc(&b, '.');
    assert_int_equal(b.len, 605);
    assert_memory_equal(b.data, "headx", 5);
    assert_string_equal(b.data + 603, "x.");
    assert_null(buf_extend(&b, 96));
    assert_true(buf_failed(&b));
    assert_null(buf_extend(&b, 1));
    assert_int_equal(b.len, 605);
    assert_string_equal(b.data + 603, "x.");
    buf_finish(&b);
}

static void append__grows_over_many_pieces(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);

    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "%04d", i);

    assert_false(buf_failed(&b));
    assert_int_equal(b.len, 40000);
    assert_memory_equal(b.data, "000000010002", 12);
    assert_string_equal(b.data + 39996, "9999");
    buf_finish(&b);
}

static void ceiling__is_reached_and_not_passed(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);

    buf_puts(&b, "12345");
    assert_false(buf_failed(&b));
    buf_append(&b, "", 0);
    assert_false(buf_failed(&b));
    buf_putc(&b, '6');
    assert_true(buf_failed(&b));
    assert_string_equal(b.data, "12345");

    buf_clear(&b);
    assert_false(buf_failed(&b));
    assert_string_equal(b.data, "");
    buf_printf(&b, "%s", "123456");
    assert_true(buf_failed(&b));
    buf_finish(&b);
}

static void failure__is_sticky(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 3);

    buf_puts(&b, "1234");
    buf_puts(&b, "1");
    buf_zero(&b, 1);
    buf_printf(&b, "%d", 1);

    assert_true(buf_failed(&b));
    assert_int_equal(b.len, 0);
    assert_null(buf_steal(&b));
    assert_false(buf_failed(&b));
    assert_int_equal(b.len, 0);
}

static void huge__lengths_fail_and_do_not_wrap(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);

    buf_puts(&b, "x");
    buf_zero(&b, SIZE_MAX - 1);
    assert_true(buf_failed(&b));
    buf_finish(&b);
}

static bool no_memory;
void *__wrap_realloc(void *p, size_t size);
void *__real_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
    return no_memory ? NULL : __real_realloc(p, size);
}

static void no_memory__fails_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_puts(&b, "kept");

    no_memory = true;
    buf_zero(&b, 1000);
    no_memory = false;

    assert_true(buf_failed(&b));
    assert_string_equal(b.data, "kept");
    buf_finish(&b);
}

static void join__puts_separators_between(void **state)
{
    static const char *const texts[] = {"a", "bc", "", NULL};
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    buf_join(&b, texts + 3, ", ");
    assert_int_equal(b.len, 0);
    buf_join(&b, texts + 2, ", ");
    assert_int_equal(b.len, 0);
    buf_join(&b, texts, ", ");
    assert_string_equal(b.data, "a, bc, ");
    buf_finish(&b);
}

static void steal__hands_over_and_empties(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_puts(&b, "mine");

    char *text = buf_steal(&b);
    assert_string_equal(text, "mine");
    assert_int_equal(b.len, 0);
    free(text);

    text = buf_steal(&b);
    assert_string_equal(text, "");
    free(text);
    buf_finish(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(append__keeps_a_nul_behind_the_bytes),
        cmocka_unit_test(extend__gives_room_to_fill),
        cmocka_unit_test(append__grows_over_many_pieces),
        cmocka_unit_test(ceiling__is_reached_and_not_passed),
        cmocka_unit_test(failure__is_sticky),
        cmocka_unit_test(huge__lengths_fail_and_do_not_wrap),
        cmocka_unit_test(no_memory__fails_and_keeps_what_was_there),
        cmocka_unit_test(join__puts_separators_between),
        cmocka_unit_test(steal__hands_over_and_empties),
    };
    return cmocka_run_group_tests_name("util.buf", tests, NULL, NULL);
}
