/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3/credentials/json.h"

static char id[32], inner[32];
static struct json_field fields[3];

static int read_it(const char *text, size_t len)
{
    fields[0] =
        (struct json_field){.path = "id", .text = id, .cap = sizeof(id)};
    fields[1] = (struct json_field){
        .path = "in.side", .text = inner, .cap = sizeof(inner)};
    fields[2] = (struct json_field){.path = "n", .is_number = true};
    return json_read(text, len, fields, 3);
}

static int reads(const char *text)
{
    return read_it(text, strlen(text));
}

static void read__finds_members_at_their_paths(void **state)
{
    (void)state;

    assert_int_equal(reads(" {\"x\":[1,{\"id\":\"no\"},[]],\"in\":{\"side\":"
                           "\"b\",\"id\":\"no\"},\"id\":\"a\",\"n\":-42} \n"),
                     0);

    assert_string_equal(id, "a");
    assert_string_equal(inner, "b");
    assert_int_equal(fields[2].number, -42);
    assert_true(fields[0].found && fields[1].found && fields[2].found);
}

static void read__takes_null_for_missing(void **state)
{
    (void)state;

    assert_int_equal(reads("{\"id\":null,\"n\":null}"), 0);

    assert_false(fields[0].found);
    assert_string_equal(id, "");
    assert_false(fields[2].found);
}

static void read__decodes_escapes(void **state)
{
    (void)state;

    assert_int_equal(reads("{\"\\u0069d\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t"
                           "\\u00e9\\u20AC\\ud83d\\ude00\"}"),
                     0);

    assert_string_equal(id, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98"
                            "\x80");
}

static void read__refuses_what_is_no_json(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "[]",
                                        "\"id\"",
                                        "null",
                                        "{",
                                        "}",
                                        "{\"id\"}",
                                        "{\"id\":}",
                                        "{\"id\":\"a\"",
                                        "{\"id\":\"a\",}",
                                        "{,}",
                                        "{\"id\":\"a\"}x",
                                        "{\"id\":\"a\"}{}",
                                        "{\"id\":\"a}",
                                        "{'id':'a'}",
                                        "{id:\"a\"}",
                                        "{\"x\":01}",
                                        "{\"x\":+1}",
                                        "{\"x\":1.}",
                                        "{\"x\":.5}",
                                        "{\"x\":1e}",
                                        "{\"x\":-}",
                                        "{\"x\":tru}",
                                        "{\"x\":TRUE}",
                                        "{\"x\":NaN}",
                                        "{\"x\":[1,]}",
                                        "{\"x\":[1 2]}",
                                        "{\"x\":[}",
                                        "{\"x\":\"\t\"}",
                                        "{\"x\":\"\\x\"}",
                                        "{\"x\":\"\\u12\"}",
                                        "{\"x\":\"\\u12G4\"}",
                                        "{\"x\":\"\\ud800\"}",
                                        "{\"x\":\"\\ud800\\u0041\"}",
                                        "{\"x\":\"\\udc00\"}",
                                        "{\"x\":\"\\u0000\"}",
                                        "{\"x\":\"\xff\"}",
                                        "{\"x\":\"\xc0\x80\"}",
                                        "{\"x\":\"\xed\xa0\x80\"}",
                                        "{\"x\":\"\xf4\x90\x80\x80\"}",
                                        "{\"x\":\"\xe2\x82\"}",
                                        "\xef\xbb\xbf{}",
                                        "{\"x\":1}//",
                                        "{/**/\"x\":1}",
                                        "{\"x\":\"\\"};
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (reads(texts[i]) != -1)
            fail_msg("accepted: %s", texts[i]);
    assert_int_equal(read_it("{\"x\":\"\0\"}", 9), -1);
}

static void read__refuses_a_name_twice_also_if_it_is_not_wanted(void **state)
{
    (void)state;

    assert_int_equal(reads("{\"id\":\"a\",\"id\":\"b\"}"), -1);
    assert_int_equal(reads("{\"id\":\"a\",\"\\u0069d\":\"b\"}"), -1);
    assert_int_equal(reads("{\"x\":1,\"y\":{\"z\":1,\"z\":2}}"), -1);
    assert_int_equal(reads("{\"x\":{\"z\":1},\"y\":{\"z\":2}}"), 0);
}

static void read__refuses_another_type_and_what_does_not_fit(void **state)
{
    (void)state;

    assert_int_equal(reads("{\"id\":1}"), -1);
    assert_int_equal(reads("{\"id\":true}"), -1);
    assert_int_equal(reads("{\"id\":{}}"), -1);
    assert_int_equal(reads("{\"n\":\"1\"}"), -1);
    assert_int_equal(reads("{\"n\":1.0}"), -1);
    assert_int_equal(reads("{\"n\":9223372036854775808}"), -1);
    assert_int_equal(reads("{\"n\":9223372036854775807}"), 0);
    assert_int_equal(reads("{\"id\":\"0123456789012345678901234567890\"}"), 0);
    assert_int_equal(reads("{\"id\":\"01234567890123456789012345678901\"}"),
                     -1);
    assert_string_equal(id, ""); /* nothing of it stays */
}

static void read__does_not_take_a_dot_for_a_level(void **state)
{
    (void)state;

    assert_int_equal(reads("{\"in.side\":\"a\"}"), 0);

    assert_false(fields[1].found);
}

static void read__keeps_to_its_ceilings(void **state)
{
    size_t len = JSON_SIZE_MAX + 10, n = 0;
    char *text = malloc(len);
    (void)state;

    assert_non_null(text);
    memset(text, ' ', len);
    memcpy(text, "{}", 2);
    assert_int_equal(read_it(text, JSON_SIZE_MAX), 0);
    assert_int_equal(read_it(text, JSON_SIZE_MAX + 1), -1);

    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
        n = (size_t)sprintf(text, "{\"x\":");
        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        text[n + 2 * depth] = '}';
        assert_int_equal(read_it(text, n + 2 * depth + 1),
                         depth < JSON_DEPTH_MAX ? 0 : -1);
    }
    for (int members = JSON_MEMBERS_MAX; members <= JSON_MEMBERS_MAX + 1;
         members++) {
        n = (size_t)sprintf(text, "{");
        for (int i = 0; i < members; i++)
            n += (size_t)sprintf(text + n, "%s\"m%d\":0", i ? "," : "", i);
        text[n++] = '}';
        assert_int_equal(read_it(text, n), members > JSON_MEMBERS_MAX ? -1 : 0);
    }
    free(text);
}

/* Every cut and every changed byte of a good text: no crash (sanitizers watch),
 * and no cut is taken for the whole. */
static void read__survives_damage(void **state)
{
    static const char good[] =
        "{\"id\":\"\\u00e9\\ud83d\\ude00x\",\"in\":{\"side\":\"\xc3\xa9\"},"
        "\"n\":12,\"x\":[1.5e3,true,null,{\"y\":\"\\\\\"}]}";
    char text[sizeof(good)];
    (void)state;

    assert_int_equal(reads(good), 0);
    for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
        char *exact = malloc(cut + 1); /* for the sanitizer to see the end */

        assert_non_null(exact);
        memcpy(exact, good, cut);
        assert_int_equal(read_it(exact, cut), -1);
        free(exact);
    }
    for (size_t at = 0; at < sizeof(good) - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, good, sizeof(good));
            text[at] = (char)byte;
            if (read_it(text, sizeof(good) - 1) != 0)
                assert_string_equal(id, "");
        }
}

static void quote__writes_what_read_reads(void **state)
{
    char out[200] = {0}, *at = out + 6;
    (void)state;

    memcpy(out, "{\"id\":", 6);
    assert_int_equal(json_quote(&at, out + 150, "a\"\\\n\x1f\xc3\xa9/"), 0);
    memcpy(at, "}", 2);

    assert_int_equal(reads(out), 0);
    assert_string_equal(id, "a\"\\\n\x1f\xc3\xa9/");
}

static void quote__stays_within_its_room(void **state)
{
    (void)state;

    for (size_t room = 0; room < 16; room++) {
        char *out = malloc(room + 1), *at = out;

        assert_non_null(out);
        if (json_quote(&at, out + room, "ab\x01") == 0)
            assert_true((size_t)(at - out) <= room);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__finds_members_at_their_paths),
        cmocka_unit_test(read__takes_null_for_missing),
        cmocka_unit_test(read__decodes_escapes),
        cmocka_unit_test(read__refuses_what_is_no_json),
        cmocka_unit_test(read__refuses_a_name_twice_also_if_it_is_not_wanted),
        cmocka_unit_test(read__refuses_another_type_and_what_does_not_fit),
        cmocka_unit_test(read__does_not_take_a_dot_for_a_level),
        cmocka_unit_test(read__keeps_to_its_ceilings),
        cmocka_unit_test(read__survives_damage),
        cmocka_unit_test(quote__writes_what_read_reads),
        cmocka_unit_test(quote__stays_within_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
