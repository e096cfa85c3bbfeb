/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, escaping for terminals, quoting for JSON. */
#include "util/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void utf8__accepts_the_ends_of_every_form(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "a\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    assert_true(text_is_utf8("a\0b", 3));
}

static void utf8__refuses_what_rfc_3629_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", /* lone continuation */
                                      "\xc0\x80",
                                      "\xc1\xbf", /* overlong */
                                      "\xe0\x9f\xbf",
                                      "\xf0\x8f\xbf\xbf", /* overlong */
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf", /* surrogates */
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "\xc2",
                                      "\xe2\x82",
                                      "\xf0\x9f\x98", /* cut short */
                                      "\xc2g",
                                      "\xe2\x82g",
                                      "ok\xe2(\xa1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    /* A sequence may not reach past len. */
    assert_false(text_is_utf8("\xe2\x82\xac", 2));
}

/* Every code point, encoded by a second implementation. */
/* ASCII is looked at eight bytes at a time. */
static void utf8__refuses_it_wherever_it_stands(void **state)
{
    char text[20];

    (void)state;
    for (size_t at = 0; at < sizeof(text); at++) {
        memset(text, 'x', sizeof(text));
        assert_true(text_is_utf8(text, sizeof(text)));
        text[at] = (char)0x80;
        assert_false(text_is_utf8(text, sizeof(text)));
        if (at == 0)
            continue;
        text[at - 1] = (char)0xc2; /* U+0080 */
        assert_true(text_is_utf8(text, sizeof(text)));
        assert_false(text_is_utf8(text, at)); /* cut short */
    }
}

static void utf8__accepts_exactly_the_scalar_values(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c += c < 0x3000 ? 1 : 7) {
        char s[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint32_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n; i-- > 1;)
            s[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
        s[0] = (char)(lead[n] | c >> (6 * (n - 1)));
        bool scalar = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        assert_int_equal(text_is_utf8(s, n), scalar);
    }
}

static void assert_escaped(const char *text, size_t len, const char *want)
{
    struct buf b;
    buf_init(&b, 10000);
    text_escape(&b, text, len);
    buf_append(&b, "", 0);
    assert_string_equal(b.data, want);
    buf_finish(&b);
}

static void escape__hides_what_moves_the_cursor_or_the_eye(void **state)
{
    (void)state;
    assert_escaped("plain \xc3\xa9 \xf0\x9f\x98\x80 \\", 15,
                   "plain \xc3\xa9 \xf0\x9f\x98\x80 \\");
    assert_escaped("\x1b[31m", 5, "\\x1b[31m");
    assert_escaped("a\0\n\t\x7f", 5, "a\\x00\\x0a\\x09\\x7f");
    assert_escaped("\xc2\x85\xc2\x9b", 4, "\\u{0085}\\u{009b}");
    assert_escaped("\xe2\x80\xae", 3, "\\u{202e}");
    assert_escaped("\xe2\x80\xa8\xe2\x80\xa9", 6, "\\u{2028}\\u{2029}");
    assert_escaped("\xe2\x81\xa6\xe2\x81\xa9", 6, "\\u{2066}\\u{2069}");
    assert_escaped("\xd8\x9c\xe2\x80\x8f", 5, "\\u{061c}\\u{200f}");
    assert_escaped("\xff\xc3", 2, "\\xff\\xc3");
    assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
}

static void quote__makes_json_strings(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);

    text_quote(&b, "a\"\\\n\r\t\b\f\x01\x7f\0", 11);
    assert_string_equal(b.data,
                        "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u007f\\u0000\"");
    buf_clear(&b);
    text_quote(&b, "\xe2\x80\xae/\xc3\xa9\xff", 7);
    assert_string_equal(b.data, "\"\\u202e/\xc3\xa9\\ufffd\"");
    buf_clear(&b);
    text_quote(&b, "", 0);
    assert_string_equal(b.data, "\"\"");
    buf_finish(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8__accepts_the_ends_of_every_form),
        cmocka_unit_test(utf8__refuses_what_rfc_3629_refuses),
        cmocka_unit_test(utf8__refuses_it_wherever_it_stands),
        cmocka_unit_test(utf8__accepts_exactly_the_scalar_values),
        cmocka_unit_test(escape__hides_what_moves_the_cursor_or_the_eye),
        cmocka_unit_test(quote__makes_json_strings),
    };
    return cmocka_run_group_tests_name("util.text_utf8", tests, NULL, NULL);
}
