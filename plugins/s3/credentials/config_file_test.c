/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/credentials/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/credentials/config_file.h"

static char memory[8192];
static struct config_file file;
static struct persist_backend_error err;

static int32_t reads(const char *text, enum config_dialect dialect)
{
    config_file_finish(&file);
    err = (struct persist_backend_error){.struct_size = sizeof(err)};
    (void)snprintf(memory, sizeof(memory), "%s", text);
    return config_file_read(&file, "FILE", memory, strlen(memory), dialect,
                            &err);
}

static const char *value_of(const char *section, const char *key,
                            const char *child)
{
    for (size_t i = 0; i < file.n_entries; i++) {
        const struct config_entry *e = &file.entries[i];

        if (e->key != NULL && strcmp(e->section, section) == 0 &&
            strcmp(e->key, key) == 0 &&
            (child == NULL ? e->child == NULL
                           : e->child != NULL && strcmp(e->child, child) == 0))
            return e->value;
    }
    return NULL;
}

static void read__finds_settings_in_their_sections(void **state)
{
    (void)state;

    assert_int_equal(reads("\xef\xbb\xbf# a note\r\n"
                           "; another\r\n"
                           "\r\n"
                           "[default]\r\n"
                           "Region = eu-central-1 \r\n"
                           "empty =\r\n"
                           "  # an indented note\r\n"
                           "[ profile \"two words\" ] # note\n"
                           "a=b = c\n"
                           "url = http://x/#frag;y  ; note\n"
                           "[profile last]\n"
                           "k = v",
                           CONFIG_CONFIG),
                     0);

    assert_string_equal(value_of("default", "region", NULL), "eu-central-1");
    assert_string_equal(value_of("default", "empty", NULL), "");
    assert_string_equal(value_of("two words", "a", NULL), "b = c");
    assert_string_equal(value_of("two words", "url", NULL), "http://x/#frag;y");
    assert_string_equal(value_of("last", "k", NULL), "v");
}

static void read__nests_below_an_empty_value_only(void **state)
{
    (void)state;

    assert_int_equal(reads("[services s]\n"
                           "s3 =\n"
                           "  endpoint_url = https://a\n"
                           "\n"
                           "\tother = 1\n"
                           "dynamodb =\n"
                           "  endpoint_url = https://b\n"
                           "role = arn\n"
                           "  continued\n",
                           CONFIG_CONFIG),
                     0);

    assert_string_equal(value_of("s", "s3", "endpoint_url"), "https://a");
    assert_string_equal(value_of("s", "s3", "other"), "1");
    assert_string_equal(value_of("s", "dynamodb", "endpoint_url"), "https://b");
    assert_null(value_of("s", "endpoint_url", NULL));
    assert_true(file.entries[file.n_entries - 1].is_continued);
}

/* As some write it: everything below a section is indented alike. */
static void read__takes_settings_that_are_all_indented(void **state)
{
    (void)state;

    assert_int_equal(reads("[default]\n    a = 1\n    b = 2\n    s3 =\n"
                           "        c = 3\n    d = 4\n",
                           CONFIG_CREDENTIALS),
                     0);

    assert_string_equal(value_of("default", "a", NULL), "1");
    assert_string_equal(value_of("default", "b", NULL), "2");
    assert_string_equal(value_of("default", "s3", "c"), "3");
    assert_string_equal(value_of("default", "d", NULL), "4");
}

static void read__tells_kinds_of_sections(void **state)
{
    static const char text[] = "[default]\n[profile x]\n[sso-session y]\n"
                               "[services z]\n[x]\n[profilex]\n[plugins]\n";
    static const enum section_kind kinds[] = {
        SECTION_DEFAULT, SECTION_PROFILE, SECTION_SSO,  SECTION_SERVICES,
        SECTION_OTHER,   SECTION_OTHER,   SECTION_OTHER};
    (void)state;

    assert_int_equal(reads(text, CONFIG_CONFIG), 0);
    assert_int_equal(file.n_entries, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(file.entries[i].kind, kinds[i]);
    assert_string_equal(file.entries[2].section, "y");

    assert_int_equal(reads("[default]\n[profile x]\n", CONFIG_CREDENTIALS), 0);
    assert_string_equal(file.entries[1].section, "profile x");
}

static void read__names_file_and_line_and_not_what_stands_there(void **state)
{
    static const struct {
        const char *text, *where;
    } bad[] = {{"[a]\nS3CRET\n", "FILE:2:"},
               {"S3CRET = 1\n", "FILE:1:"},
               {"[S3CRET\n", "FILE:1:"},
               {"[a] S3CRET\n", "FILE:1:"},
               {"[]\n", "FILE:1:"},
               {"[a]\n= S3CRET\n", "FILE:2:"},
               {"[a]\ns3 =\n  S3CRET\n", "FILE:3:"},
               {"\n\n[a]\n\xff\xfeS3CRET", "FILE:4:"}};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(reads(bad[i].text, CONFIG_CREDENTIALS),
                         PERSIST_BACKEND_CONFIG);
        assert_non_null(strstr(err.message, bad[i].where));
        assert_null(strstr(err.message, "S3CRET"));
    }
}

static void read__keeps_to_its_ceilings(void **state)
{
    size_t len = CONFIG_FILE_MAX + 1;
    char *text = malloc(len + 1);
    (void)state;

    config_file_finish(&file);
    assert_non_null(text);
    memset(text, '\n', len);
    text[len] = '\0';
    assert_int_equal(
        config_file_read(&file, "FILE", text, len, CONFIG_CONFIG, &err),
        PERSIST_BACKEND_CONFIG);
    config_file_finish(&file);

    (void)sprintf(text, "[a]\nk = ");
    memset(text + 8, 'x', CONFIG_LINE_MAX);
    text[8 + CONFIG_LINE_MAX] = '\0';
    assert_int_equal(config_file_read(&file, "FILE", text, strlen(text),
                                      CONFIG_CONFIG, &err),
                     PERSIST_BACKEND_CONFIG);
    config_file_finish(&file);

    memcpy(text, "[a]\nk = \0x\n", 12);
    assert_int_equal(
        config_file_read(&file, "FILE", text, 11, CONFIG_CONFIG, &err),
        PERSIST_BACKEND_CONFIG);
    config_file_finish(&file);

    len = 0;
    for (size_t i = 0; i <= CONFIG_ENTRIES_MAX; i++)
        len += (size_t)sprintf(text + len, "[a]\n");
    assert_int_equal(
        config_file_read(&file, "FILE", text, len, CONFIG_CONFIG, &err),
        PERSIST_BACKEND_CONFIG);
    free(text);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 16;
}

/* Texts of the characters that mean something: no crash, under sanitizers. */
static void read__survives_hostile_texts(void **state)
{
    static const char alphabet[] = "[]=#; \t\r\n\"'a\xc3\x01";
    uint32_t seed = 1;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        char text[65];
        size_t len = next(&seed) % 64;

        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[next(&seed) % (sizeof(alphabet) - 1)];
        text[len] = '\0';
        (void)reads(text, round % 2 ? CONFIG_CONFIG : CONFIG_CREDENTIALS);
    }
}

static int finish(void **state)
{
    (void)state;
    config_file_finish(&file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__finds_settings_in_their_sections),
        cmocka_unit_test(read__nests_below_an_empty_value_only),
        cmocka_unit_test(read__takes_settings_that_are_all_indented),
        cmocka_unit_test(read__tells_kinds_of_sections),
        cmocka_unit_test(read__names_file_and_line_and_not_what_stands_there),
        cmocka_unit_test(read__keeps_to_its_ceilings),
        cmocka_unit_test(read__survives_hostile_texts),
    };

    return cmocka_run_group_tests(tests, NULL, finish);
}
