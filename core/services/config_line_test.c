/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of one line: what it means and what is refused. */
#include "services/config_testing.h"

static char text[CONFIG_LINE_MAX + 100];

static bool parse_bytes(const char *line, size_t len, struct config_line *out)
{
    memcpy(text, line, len);
    text[len] = '!'; /* the parser may write here and nowhere behind */
    text[len + 1] = '!';
    bool ok = config_line_parse(text, len, out);
    assert_int_equal(text[len + 1], '!');
    return ok;
}

static bool parse(const char *line, struct config_line *out)
{
    return parse_bytes(line, strlen(line), out);
}

static void line__is_a_key_and_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *line, *name, *value;
    } rows[] = {
        {"key = value", "key", "value"},
        {"key=value", "key", "value"},
        {"key\t=\tvalue \t", "key", "value"},
        {"key =", "key", ""},
        {"a_1 = a = b", "a_1", "a = b"},
        {"endpoint = http://h:1/?a=b", "endpoint", "http://h:1/?a=b"},
        {"key = a;b#c", "key", "a;b#c"},
        {"key=;x", "key", ";x"},
        {"key = caf\xc3\xa9", "key", "caf\xc3\xa9"},
        {"key = v\r", "key", "v"},
        {"key = {\"a\": \"b\"}", "key", "{\"a\": \"b\"}"},
        {"key = say \"x\"", "key", "say \"x\""},
        {"key = \"", "key", "\""},
        {"key = [x]", "key", "[x]"},
        {"n234567890123456789012345678901234567890 = x",
         "n234567890123456789012345678901234567890", "x"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_line line;
        assert_true(parse(rows[i].line, &line));
        assert_int_equal(line.kind, CONFIG_VALUE);
        assert_string_equal(line.name, rows[i].name);
        assert_string_equal(line.value, rows[i].value);
    }
}

static void line__is_a_section(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"[persist]", "persist"},
        {"[store main] \t", "store main"},
        {"[store a-b_1]\r", "store a-b_1"},
        {"[]", ""},
        {"[n234567890123456789012345678901234567890]",
         "n234567890123456789012345678901234567890"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_line line;
        assert_true(parse(rows[i][0], &line));
        assert_int_equal(line.kind, CONFIG_SECTION);
        assert_string_equal(line.name, rows[i][1]);
    }
}

static void line__says_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "", "\r", "  \t ", "# x = 1", ";[s", "   # indented", "#\xc3\xa9"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_line line;
        assert_true(parse(rows[i], &line));
        assert_int_equal(line.kind, CONFIG_EMPTY);
    }
}

static void line__is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *problem;
    } rows[] = {
        {" key = value", "begins with white space"},
        {"\tcontinued", "begins with white space"},
        {" [persist]", "begins with white space"},
        {"key = value ; comment", "; or # stand within"},
        {"key = value # comment", "; or # stand within"},
        {"key = value\t;comment", "; or # stand within"},
        {"key = ;comment", "; or # stand within"},
        {"[persist] ; comment", "behind the section's ]"},
        {"[persist]]", "behind the section's ]"},
        {"[a]b]", "behind the section's ]"},
        {"[persist", "] is missing"},
        {"[", "] is missing"},
        {"[n2345678901234567890123456789012345678901]", "longer than 40 bytes"},
        {"n2345678901234567890123456789012345678901 = x",
         "longer than 40 bytes"},
        {"key", "neither a section nor"},
        {"key: value", "neither a section nor"},
        {"key: a=b", "only a-z"},
        {"Key = v", "only a-z"},
        {"key name = v", "only a-z"},
        {"key-name = v", "only a-z"},
        {"k\xc3\xa9y = v", "only a-z"},
        {"= v", "the key before = is missing"},
        {"key = \"value\"", "stands in quotes"},
        {"key = 'value'", "stands in quotes"},
        {"key = \"\"", "stands in quotes"},
        {"key = a\x01", "control character"},
        {"key = a\x7f", "control character"},
        {"key = a\rb", "control character"},
        {"key = a\r\r", "control character"},
        {"# \x1b[2J", "control character"},
        {"key = \xff", "not valid UTF-8"},
        {"key = \xed\xa0\x80", "not valid UTF-8"},
        {"# \xc0\x80", "not valid UTF-8"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_line line;
        assert_false(parse(rows[i].line, &line));
        assert_has(line.problem, rows[i].problem);
    }
}

static void line__with_nul_is_refused(void **state)
{
    (void)state;
    struct config_line line;
    assert_false(parse_bytes("key = a\0b", 9, &line));
    assert_has(line.problem, "NUL");
    assert_false(parse_bytes("\0", 1, &line));
    assert_false(parse_bytes("k\0e\0y\0", 6, &line)); /* UTF-16 */
}

static void line__length_has_a_limit(void **state)
{
    (void)state;
    static char line_text[CONFIG_LINE_MAX + 2];
    struct config_line line;
    memset(line_text, 'x', sizeof(line_text));
    memcpy(line_text, "key = ", 6);

    assert_true(parse_bytes(line_text, CONFIG_LINE_MAX, &line));
    assert_int_equal(strlen(line.value), CONFIG_LINE_MAX - 6);
    assert_false(parse_bytes(line_text, CONFIG_LINE_MAX + 1, &line));
    assert_has(line.problem, "longer than 32768 bytes");
    assert_has(line.hint, "KEY_file");
}

/* Whatever comes: an answer, and what is accepted holds to the rules. */
static void line__of_noise_is_accepted_or_refused(void **state)
{
    (void)state;
    static const char bytes[] = "a_b1 =[];#\t\"'\r:\xc3\xa9\x80.-A";
    uint32_t seed = 3;
    for (int round = 0; round < 100000; round++) {
        char noise[24] = "";
        struct config_line line;
        seed = seed * 1664525 + 1013904223;
        size_t len = (seed >> 16) % sizeof(noise);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            noise[i] = bytes[(seed >> 12) % (sizeof(bytes) - 1)];
        }
        if (!parse_bytes(noise, len, &line)) {
            assert_non_null(line.problem);
            continue;
        }
        if (line.kind == CONFIG_VALUE) {
            assert_true(config_is_key_name(line.name));
            assert_null(strstr(line.value, " ;"));
            assert_null(strstr(line.value, " #"));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(line__is_a_key_and_a_value),
        cmocka_unit_test(line__is_a_section),
        cmocka_unit_test(line__says_nothing),
        cmocka_unit_test(line__is_refused),
        cmocka_unit_test(line__with_nul_is_refused),
        cmocka_unit_test(line__length_has_a_limit),
        cmocka_unit_test(line__of_noise_is_accepted_or_refused),
    };
    return cmocka_run_group_tests_name("services.config_line", tests, NULL,
                                       NULL);
}
