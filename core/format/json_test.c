/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader against a list of texts, and against jansson's own. */
#include "format/json.h"

#include <stdlib.h>
#include <string.h>

#include "format/test_support.h"

/* Reads as jansson does, but for the numbers; true where there is a value. */
static bool agrees(const char *text)
{
    const char *wrong = NULL;
    size_t pos = 0;
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1); /* so that a read behind is noticed */
    assert_non_null(copy);
    memcpy(copy, text, len);
    json_t *mine = json_parse(copy, len, &wrong, &pos);
    json_t *theirs =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    free(copy);
    assert_true(pos <= len);
    if (mine && !json_equal(mine, theirs))
        fail_msg("read otherwise: %s", text);
    if (!mine && theirs && !strstr(wrong, "plain integer"))
        fail_msg("refused (%s): %s", wrong, text);
    json_decref(mine);
    json_decref(theirs);
    return mine != NULL;
}

static void json__is_read_like_this(void **state)
{
    static const char *const good[] = {
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775807",
        "\"\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[1,2]",
        "{\"a\":1,\"b\":[{}]}",
        " [ ] ",
        "\"\\ud83d\\ude00\"",
        "\"\\uDBFF\\uDFFF\"",
        "\"\\\"\\\\\\/\\b\\f\"",
        "[{\"a\":{}},[[]]]",
        "\"\\u00Ff\"",
    };
    static const char *const bad[] = {
        "",
        " ",
        "-",
        "00",
        "01",
        "-01",
        "1.5",
        "1e3",
        "--1",
        "1-1",
        "tru",
        "nul",
        "True",
        "nulll",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "[}",
        "{]",
        "[1}",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\"",
        "\"\\u0000\"",
        "\"\n\"",
        "\"\x01\"",
        "1 2",
        "[] []",
        "'a'",
        "/**/1",
        "\"\\ud800\\",
        ("\xef\xbb\xbf"
         "1"),
        "[\"a\":1]",
        "\"a\":1",
        ",",
        ":",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!agrees(good[i]))
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (agrees(bad[i]))
            fail_msg("passed: %s", bad[i]);
    }
}

/* Random walks over likely bytes. */
static void json__is_read_as_jansson_reads_it(void **state)
{
    static const char *const pieces[] = {
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"b\"",
        "1",
        "-0",
        "0",
        "null",
        "true",
        " ",
        "\\",
        "\"",
        "1.5",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "x",
        "\"\xff\"",
        "\"\x7f\"",
        "\\ud83d\\ude00",
    };
    uint64_t x = 1442695040888963407U;
    unsigned passed = 0;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct buf text;
        buf_init(&text, 1000);
        x = x * 6364136223846793005U + 1442695040888963407U;
        uint64_t word = x >> 16;
        for (int k = 0; k < (int)(x >> 61) + 1; k++, word /= 23)
            buf_puts(&text, pieces[word % 23]);
        passed += agrees(text.data);
        buf_finish(&text);
    }
    assert_true(passed > 1000);
}

/* A byte in a text, as a value and as a name, against the spelling of one byte
 * alone. */
static void is_escaped(const char *text)
{
    char expected[160], *to = expected;
    struct buf out;

    buf_init(&out, 1000);
    buf_putc(&out, '{');
    json_put_name(&out, text);
    json_put_text(&out, text);
    json_put_name(&out, text);
    *to++ = '{';
    for (const char *const *mark = (const char *const[]){":", ",", ":", NULL};
         *mark; mark++) {
        *to++ = '"';
        for (const char *p = text; *p; p++)
            to += json_escape((unsigned char)*p, to);
        *to++ = '"';
        *to++ = **mark;
    }
    *to = '\0';
    assert_string_equal(out.data, expected);
    buf_finish(&out);
}

/* Every byte, at every place within and around eight. */
static void text__is_escaped_wherever_it_stands(void **state)
{
    char text[21];

    (void)state;
    is_escaped("");
    for (size_t len = 1; len < sizeof(text); len++)
        for (size_t at = 0; at < len; at++)
            for (unsigned c = 1; c < 256; c++) {
                memset(text, 'x', len);
                text[len] = '\0';
                text[at] = (char)c;
                is_escaped(text);
            }
}

static void numbers__are_written_plainly(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    json_put_i64(&out, INT64_MIN);
    buf_putc(&out, ' ');
    json_put_i64(&out, -1);
    buf_putc(&out, ' ');
    json_put_i64(&out, 0);
    buf_putc(&out, ' ');
    json_put_i64(&out, INT64_MAX);
    buf_putc(&out, ' ');
    json_put_u64(&out, UINT64_MAX);
    assert_string_equal(out.data, "-9223372036854775808 -1 0 "
                                  "9223372036854775807 18446744073709551615");
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__is_escaped_wherever_it_stands),
        cmocka_unit_test(numbers__are_written_plainly),
        cmocka_unit_test(json__is_read_like_this),
        cmocka_unit_test(json__is_read_as_jansson_reads_it),
    };
    return cmocka_run_group_tests_name("format.json", tests, NULL, NULL);
}
