/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: what parses, what is refused and why, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <persist/persist.h>
#include <stdio.h>
#include <string.h>

#include "engine/hostile_names.h"
#include "engine/key.h"

enum {
    STORE = PERSIST_ADDRESS_STORE,
    AGENT = PERSIST_ADDRESS_AGENT,
    SESSION = PERSIST_ADDRESS_SESSION,
    INDEX = PERSIST_ADDRESS_INDEX,
    LATEST = PERSIST_ADDRESS_LATEST
};

static void parse__takes_addresses_apart(void **state)
{
    static const struct {
        const char *text;
        unsigned present;
        const char *store, *agent, *session;
        uint64_t index;
    } cases[] = {
        {"", 0, "", "", "", 0},
        {"main:", STORE, "main", "", "", 0},
        {"writer", AGENT, "", "writer", "", 0},
        {"writer/s", AGENT | SESSION, "", "writer", "s", 0},
        {"writer@7", AGENT | INDEX, "", "writer", "", 7},
        {"writer@0", AGENT | INDEX, "", "writer", "", 0},
        {"writer@latest", AGENT | LATEST, "", "writer", "", 0},
        {"m-1:a/s@12", STORE | AGENT | SESSION | INDEX, "m-1", "a", "s", 12},
        {"a@999999999999999999", AGENT | INDEX, "", "a", "", PERSIST_INDEX_MAX},
        {"a%2Fb/c%3ad", AGENT | SESSION, "", "a/b", "c:d", 0},
        {"a%2fb%40%25", AGENT, "", "a/b@%", "", 0},
        {"%41gent", AGENT, "", "Agent", "", 0},
        {"../%2e", AGENT | SESSION, "", "..", ".", 0},
        {"\xc3\x84/\xe2\x80\xae", AGENT | SESSION, "", "\xc3\x84",
         "\xe2\x80\xae", 0},
        {"%c3%84", AGENT, "", "\xc3\x84", "", 0},
        {"-rf", AGENT, "", "-rf", "", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_address a = PERSIST_ADDRESS_INIT;
        struct persist_error err = {0};
        int rc = persist_address_parse(cases[i].text, &a, &err);
        if (rc != PERSIST_OK)
            fail_msg("\"%s\": %s", cases[i].text, err.message);
        assert_int_equal(a.present, cases[i].present);
        assert_string_equal(a.store, cases[i].store);
        assert_string_equal(a.agent, cases[i].agent);
        assert_string_equal(a.session, cases[i].session);
        assert_true(a.index == cases[i].index);
        assert_int_equal(a.struct_size, sizeof(a));
    }
}

static void parse__says_what_is_wrong_where(void **state)
{
    static const struct {
        const char *text;
        const char *what; /* in the message */
    } cases[] = {
        {":a", "the store's name is not one"},
        {"a b:c", "the store's name is not one"},
        {"Main:c", "the store's name is not one"},
        {"a.b:c", "the store's name is not one"},
        {"\xc3\x84:c", "the store's name is not one"},
        {"a%3ab:c", "the store's name is not one"},
        {"a:b:c", "the agent's name has a ':' in it, which is written %3a "
                  "(byte 4)"},
        {"/s", "the agent's name is empty (byte 1)"},
        {"main:/s", "the agent's name is empty (byte 6)"},
        {"@3", "the agent's name is empty (byte 1)"},
        {"a/", "the session's name is empty (byte 3)"},
        {"a//b", "the session's name has a '/' in it"},
        {"a/b/c", "the session's name has a '/' in it, which is written %2f "
                  "(byte 4)"},
        {"a/@1", "the session's name is empty (byte 3)"},
        {"a@", "the index is empty"},
        {"a@b", "the index is neither"},
        {"a@1@2", "the index is neither"},
        {"a@01", "leading zeros"},
        {"a@00", "leading zeros"},
        {"a@+1", "the index is neither"},
        {"a@-1", "the index is neither"},
        {"a@ 1", "the index is neither"},
        {"a@1 ", "the index is neither"},
        {"a@0x1", "the index is neither"},
        {"a@1/s", "the index is neither"},
        {"a@LATEST", "the index is neither"},
        {"a@latest ", "the index is neither"},
        {"a@latest@latest", "the index is neither"},
        {"a@1000000000000000000", "the index is over"},
        {"a@18446744073709551616", "the index is over"},
        {"a@999999999999999999999999999999", "the index is over"},
        {"a@0000000000000000000", "the index is neither"},
        {"a%", "without two hex digits"},
        {"a%2", "without two hex digits"},
        {"a%2g", "without two hex digits"},
        {"a%/b", "without two hex digits"},
        {"a%00", "has a NUL in it (byte 2)"},
        {"a\nb", "control character"},
        {"a\x7f", "control character"},
        {"a\xc2\x85", "control character"},
        {"a\xff", "not UTF-8"},
        {"a%ff", "not UTF-8"},
        {"a/%c3", "the session's name is not UTF-8"},
        {"%ed%a0%80", "not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_address a = PERSIST_ADDRESS_INIT;
        struct persist_error err = {0};
        int rc = persist_address_parse(cases[i].text, &a, &err);
        if (rc != PERSIST_E_INVALID || !strstr(err.message, cases[i].what))
            fail_msg("\"%s\": %d %s", cases[i].text, rc, err.message);
        assert_int_equal(err.status, PERSIST_E_INVALID);
        assert_string_equal(err.object, cases[i].text);
        assert_int_equal(a.present, 0);
    }
}

static void parse__limits_names_by_their_encoding(void **state)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    struct persist_error err = {0};
    char text[1200] = "";
    (void)state;

    memset(text, 'a', 255);
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_OK);
    text[255] = 'a';
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "over 255 bytes"));
    memset(text, 'a', 1100);
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_E_INVALID);
    memset(text, 0, sizeof(text));
    memset(text, 'A', 86);
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "count three times"));
    text[85] = '\0';
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_OK);
    memset(text, 's', 33);
    text[33] = ':';
    text[34] = '\0';
    assert_int_equal(persist_address_parse(text, &a, &err), PERSIST_E_INVALID);
    assert_int_equal(persist_address_parse(text + 1, &a, &err), PERSIST_OK);
}

static void parse__wants_its_arguments(void **state)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    struct persist_address unset = {0};
    (void)state;

    assert_int_equal(persist_address_parse(NULL, &a, NULL), PERSIST_E_MISUSE);
    assert_int_equal(persist_address_parse("a", NULL, NULL), PERSIST_E_MISUSE);
    assert_int_equal(persist_address_parse("a", &unset, NULL),
                     PERSIST_E_MISUSE);
}

static void format__round_trips_hostile_names(void **state)
{
    static char names[HOSTILE_NAMES_MAX][HOSTILE_NAME_CAP];
    size_t n = hostile_names(names);
    size_t n_good = 0;
    (void)state;

    for (size_t i = 0; i < n; i++) {
        struct persist_address a = PERSIST_ADDRESS_INIT;
        struct persist_address back = PERSIST_ADDRESS_INIT;
        struct persist_error err = {0};
        char encoded[KEY_NAME_CAP];
        char text[1600];
        size_t len = strlen(names[i]);
        if (len >= sizeof(a.agent))
            continue;
        a.present = STORE | AGENT | SESSION | (i % 2 ? INDEX : LATEST);
        a.index = i % 2 ? i : 0;
        snprintf(a.store, sizeof(a.store), "main");
        memcpy(a.agent, names[i], len);
        memcpy(a.session, names[i], len);
        int rc = persist_address_format(&a, text, sizeof(text), &err);
        assert_int_equal(rc, key_name_encode(names[i], encoded, NULL));
        if (rc != PERSIST_OK)
            continue;
        for (const char *c = text; *c; c++)
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        if (persist_address_parse(text, &back, &err) != PERSIST_OK)
            fail_msg("%s: %s", text, err.message);
        assert_memory_equal(&a, &back, sizeof(a));
        n_good++;
    }
    assert_true(n_good >= 150);
}

static void format__spells_lower_case(void **state)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    char text[64];
    (void)state;

    assert_int_equal(
        persist_address_parse("a%3A%2F/%40%25%0A%1b%c2%85%41", &a, NULL),
        PERSIST_OK);
    assert_int_equal(persist_address_format(&a, text, sizeof(text), NULL),
                     PERSIST_OK);
    assert_string_equal(text, "a%3a%2f/%40%25%0a%1b%c2%85A");
}

static void format__refuses_what_cannot_be_parsed(void **state)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    struct persist_error err = {0};
    char text[64] = "kept";
    (void)state;

    a.present = SESSION;
    snprintf(a.session, sizeof(a.session), "s");
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    a.present = INDEX;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    a.present = AGENT;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    snprintf(a.agent, sizeof(a.agent), "a");
    a.present = AGENT | INDEX | LATEST;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    a.present = AGENT | INDEX;
    a.index = PERSIST_INDEX_MAX + 1;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    a.present = AGENT | STORE;
    snprintf(a.store, sizeof(a.store), "a/b");
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    memset(a.agent, 'x', sizeof(a.agent)); /* no NUL */
    a.present = AGENT;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    memset(a.session, 'x', sizeof(a.session));
    snprintf(a.agent, sizeof(a.agent), "a");
    a.present = AGENT | SESSION;
    assert_int_equal(persist_address_format(&a, text, sizeof(text), &err),
                     PERSIST_E_INVALID);
    assert_string_equal(text, "kept");
}

static void format__fits_or_refuses(void **state)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    struct persist_error err = {0};
    char text[64];
    (void)state;

    assert_int_equal(persist_address_parse("main:a/b@12", &a, NULL),
                     PERSIST_OK);
    for (size_t cap = 0; cap < 12; cap++) {
        memset(text, '!', sizeof(text));
        assert_int_equal(persist_address_format(&a, text, cap, &err),
                         PERSIST_E_INVALID);
        assert_int_equal(text[cap], '!');
    }
    assert_int_equal(persist_address_format(&a, text, 12, &err), PERSIST_OK);
    assert_string_equal(text, "main:a/b@12");
    a.struct_size = 0;
    assert_int_equal(persist_address_format(&a, text, 12, &err),
                     PERSIST_E_MISUSE);
    assert_int_equal(persist_address_format(NULL, text, 12, &err),
                     PERSIST_E_MISUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__takes_addresses_apart),
        cmocka_unit_test(parse__says_what_is_wrong_where),
        cmocka_unit_test(parse__limits_names_by_their_encoding),
        cmocka_unit_test(parse__wants_its_arguments),
        cmocka_unit_test(format__round_trips_hostile_names),
        cmocka_unit_test(format__spells_lower_case),
        cmocka_unit_test(format__refuses_what_cannot_be_parsed),
        cmocka_unit_test(format__fits_or_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
