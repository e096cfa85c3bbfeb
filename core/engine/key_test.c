/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: one spelling of every name and index, and nothing leaves the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hostile_names.h"
#include "engine/key.h"

static void assert_safe_component(const char *encoded)
{
    size_t len = strlen(encoded);

    assert_true(len > 0 && len <= PERSIST_NAME_MAX);
    assert_int_not_equal(encoded[0], '.');
    for (size_t i = 0; i < len; i++)
        assert_non_null(
            strchr("abcdefghijklmnopqrstuvwxyz0123456789._%-", encoded[i]));
}

static void encode__spells_names_as_documented(void **state)
{
    static const char *const cases[][2] = {
        {"writer", "writer"}, {"a.b_c-9", "a.b_c-9"}, {"Writer", "%57riter"},
        {".", "%2e"},         {"..", "%2e."},         {".hidden", "%2ehidden"},
        {"a/b", "a%2fb"},     {"%2f", "%252f"},       {"-rf", "-rf"},
        {" ", "%20"},         {"\xc3\x84", "%c3%84"}, {"x\x7f", "x%7f"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[KEY_NAME_CAP];
        assert_int_equal(key_name_encode(cases[i][0], out, NULL), PERSIST_OK);
        assert_string_equal(out, cases[i][1]);
    }
}

static void encode__refuses_what_is_no_name(void **state)
{
    struct persist_error err = {0};
    char name[400];
    char out[KEY_NAME_CAP];
    (void)state;

    assert_int_equal(key_name_encode("", out, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "empty"));
    assert_int_equal(key_name_encode("a\xff", out, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "UTF-8"));
    memset(name, 'a', 300);
    name[256] = '\0';
    assert_int_equal(key_name_encode(name, out, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "255"));
    name[255] = '\0';
    assert_int_equal(key_name_encode(name, out, &err), PERSIST_OK);
    memset(name, 'A', 86); /* 258 encoded */
    name[86] = '\0';
    assert_int_equal(key_name_encode(name, out, &err), PERSIST_E_INVALID);
    name[85] = '\0';
    assert_int_equal(key_name_encode(name, out, &err), PERSIST_OK);
    assert_int_equal(strlen(out), 255);
}

static void encode__is_injective_and_safe_for_hostile_names(void **state)
{
    static char encoded[HOSTILE_NAMES_MAX][KEY_NAME_CAP];
    static char names[HOSTILE_NAMES_MAX][HOSTILE_NAME_CAP];
    size_t n = hostile_names(names);
    size_t n_good = 0;
    (void)state;

    assert_true(n >= 200);
    for (size_t i = 0; i < n; i++) {
        char back[KEY_NAME_CAP];
        char key[KEY_CAP];
        char *out = encoded[n_good];
        int rc = key_name_encode(names[i], out, NULL);
        if (rc != PERSIST_OK) {
            assert_int_equal(rc, PERSIST_E_INVALID);
            continue;
        }
        assert_safe_component(out);
        assert_true(key_name_decode(out, strlen(out), back));
        assert_string_equal(back, names[i]);
        for (size_t j = 0; j < n_good; j++)
            assert_string_not_equal(encoded[j], out);
        assert_int_equal(key_session_prefix(names[i], names[i], key, NULL),
                         PERSIST_OK);
        assert_ptr_equal(strchr(key, '/'), key + strlen(out));
        n_good++;
    }
    assert_true(n_good >= 150);
    assert_true(n - n_good >= 20);
}

static void decode__refuses_every_other_spelling(void **state)
{
    static const char *const bad[] = {
        "",    ".",        ".a",    "%2E",  "%61",  "a%2E", "a%2e",   "A",
        "%",   "%2",       "%zz",   "a%00", "%ff",  "a b",  "%C3%84", "%c3",
        "a/b", "\xc3\x84", "a\x7f", "%2f%", "%%41", "%-1",
    };
    char out[KEY_NAME_CAP];
    char longer[300];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (key_name_decode(bad[i], strlen(bad[i]), out))
            fail_msg("accepted \"%s\"", bad[i]);
    }
    assert_false(key_name_decode("a\0b", 3, out));
    memset(longer, 'a', sizeof(longer));
    assert_false(key_name_decode(longer, 256, out));
    assert_true(key_name_decode(longer, 255, out));
}

/* Whatever decodes encodes to itself: tried on all short texts over the bytes
 * that matter. */
static void decode__accepts_only_what_encodes_to_itself(void **state)
{
    static const char set[] = ".%2eE5a/A\xc3\xff";
    const size_t n = sizeof(set) - 1;
    char text[5];
    size_t accepted = 0;
    (void)state;

    for (size_t code = 0; code < n * n * n * n; code++) {
        char raw[KEY_NAME_CAP];
        char again[KEY_NAME_CAP];
        size_t rest = code;
        for (size_t i = 0; i < 4; i++, rest /= n)
            text[i] = set[rest % n];
        for (size_t len = 1; len <= 4; len++) {
            if (!key_name_decode(text, len, raw))
                continue;
            assert_int_equal(key_name_encode(raw, again, NULL), PERSIST_OK);
            assert_int_equal(strlen(again), len);
            assert_int_equal(memcmp(again, text, len), 0);
            accepted++;
        }
    }
    assert_true(accepted > 100);
}

static void format__puts_newest_first(void **state)
{
    static const uint64_t indices[] = {0,
                                       1,
                                       9,
                                       10,
                                       998,
                                       999,
                                       1000,
                                       1001,
                                       999999,
                                       1000000,
                                       PERSIST_INDEX_MAX - 1,
                                       PERSIST_INDEX_MAX};
    char prefix[KEY_CAP];
    char before[KEY_CAP] = "";
    (void)state;

    assert_int_equal(key_session_prefix("Writer", "default", prefix, NULL),
                     PERSIST_OK);
    for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        char key[KEY_CAP];
        char group[KEY_CAP];
        enum key_kind kind = KEY_DATA;
        uint64_t index = 1;
        key_format(prefix, indices[i], KEY_SNAP, key);
        key_group(prefix, indices[i], group);
        assert_int_equal(strncmp(key, group, strlen(group)), 0);
        assert_null(strchr(key + strlen(group), '/'));
        assert_true(key_parse(prefix, key, &index, &kind));
        assert_true(index == indices[i] && kind == KEY_SNAP);
        if (i > 0)
            assert_true(strcmp(key, before) < 0);
        key_format(prefix, indices[i], KEY_DATA, before);
        assert_true(strcmp(before, key) < 0);
        assert_true(key_parse(prefix, before, &index, &kind));
        assert_true(index == indices[i] && kind == KEY_DATA);
    }
}

static void format__spells_keys_as_documented(void **state)
{
    char key[KEY_CAP];
    (void)state;

    key_format("a/s/", 0, KEY_SNAP, key);
    assert_string_equal(key, "a/s/999999999999999/999-0.snap");
    key_format("a/s/", 1234567, KEY_DATA, key);
    assert_string_equal(key, "a/s/999999999998765/432-1234567.data");
    key_format("a/s/", PERSIST_INDEX_MAX, KEY_SNAP, key);
    assert_string_equal(key, "a/s/000000000000000/000-999999999999999999.snap");
}

static void format__holds_the_longest_names(void **state)
{
    char name[KEY_NAME_CAP];
    char prefix[KEY_CAP];
    char key[KEY_CAP];
    enum key_kind kind = KEY_SNAP;
    uint64_t index = 0;
    (void)state;

    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(key_session_prefix(name, name, prefix, NULL), PERSIST_OK);
    key_format(prefix, PERSIST_INDEX_MAX, KEY_DATA, key);
    assert_true(key_parse(prefix, key, &index, &kind));
    assert_true(index == PERSIST_INDEX_MAX && kind == KEY_DATA);
}

static void parse__refuses_foreign_keys(void **state)
{
    static const char *const bad[] = {
        "a/s/",
        "a/s",
        "b/s/999999999999999/999-0.snap",
        "a/s/999999999999999/999-0",
        "a/s/999999999999999/999-0.snap2",
        "a/s/999999999999999/999-0.tmp",
        "a/s/999999999999999/999-00.snap",
        "a/s/999999999999999/999-1.snap",
        "a/s/999999999999999/998-0.snap",
        "a/s/999999999999998/999-0.snap",
        "a/s/99999999999999/999-0.snap",
        "a/s/9999999999999990/999-0.snap",
        "a/s/999999999999999/999-.snap",
        "a/s/999999999999999/999-+0.snap",
        "a/s/999999999999999/99a-0.snap",
        "a/s/999999999999999/99:-0.snap",
        "a/s/999999999999999-999-0.snap",
        "a/s/999999999999999/999/0.snap",
        "a/s/999999999999999/999-0.SNAP",
        "a/s/.persist-tmp.0123",
        "a/s/99999999999999999999999999999999999999999999999999999999",
    };
    enum key_kind kind = KEY_SNAP;
    uint64_t index = 0;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (key_parse("a/s/", bad[i], &index, &kind))
            fail_msg("accepted \"%s\"", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode__spells_names_as_documented),
        cmocka_unit_test(encode__refuses_what_is_no_name),
        cmocka_unit_test(encode__is_injective_and_safe_for_hostile_names),
        cmocka_unit_test(decode__refuses_every_other_spelling),
        cmocka_unit_test(decode__accepts_only_what_encodes_to_itself),
        cmocka_unit_test(format__puts_newest_first),
        cmocka_unit_test(format__spells_keys_as_documented),
        cmocka_unit_test(format__holds_the_longest_names),
        cmocka_unit_test(parse__refuses_foreign_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
