/* SPDX-License-Identifier: Apache-2.0 */
#include "support/url.h"

#include <stdio.h>
#include <string.h>

#include "support/testkit.h"

static void url__is_taken_apart(void **state)
{
    static const struct {
        const char *text, *scheme, *host, *authority, *path;
        uint16_t port;
        bool tls, is_ip;
    } good[] = {
        {"https://S3.Example.COM/", NULL, "s3.example.com", "s3.example.com",
         "", 443, true, false},
        {"http://127.0.0.1:9000", NULL, "127.0.0.1", "127.0.0.1:9000", "", 9000,
         false, true},
        {"http://host_1:80//a/b%20c/", NULL, "host_1", "host_1", "//a/b%20c",
         80, false, false},
        {"https://[FD00:ec2::254]:443/x", NULL, "fd00:ec2::254",
         "[fd00:ec2::254]", "/x", 443, true, true},
        {"http://[::1]:9000/x", NULL, "::1", "[::1]:9000", "/x", 9000, false,
         true},
        {"localhost:4443", "http", "localhost", "localhost:4443", "", 4443,
         false, false},
        {"storage.test", "https", "storage.test", "storage.test", "", 443, true,
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct url u;

        assert_int_equal(url_parse(good[i].text, good[i].scheme, &u, NULL), OK);
        assert_string_equal(u.host, good[i].host);
        assert_string_equal(u.authority, good[i].authority);
        assert_string_equal(u.path, good[i].path);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.tls, good[i].tls);
        assert_int_equal(u.is_ip, good[i].is_ip);
    }
}

static void url__refuses_what_could_mislead(void **state)
{
    static const char *const bad[] = {
        "",
        "host",
        "ftp://host",
        "https://",
        "https:///x",
        "https://user@host",
        "https://user:canary@host/",
        "https://host/a@b",
        "https://host?x=1",
        "https://host/#x",
        "https://ho st",
        "https://host/a b",
        "https://host\r\nX: 1",
        "https://host:0",
        "https://host:65536",
        "https://host:999999",
        "https://host:80x",
        "https://host:",
        "https://-host",
        "https://host-",
        "https://a..b",
        "https://host.",
        "https://[::1",
        "https://::1",
        "https://[::g]",
        "https://[::1]x",
        "https://h\xc3\xb6st",
        "https://127.0.0.1\\@evil.test",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct persist_backend_error err = {.struct_size = sizeof(err)};
        struct url u;

        if (url_parse(bad[i], NULL, &u, &err) != PERSIST_BACKEND_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.message[0] != '\0');
        assert_null(strstr(err.message, "canary"));
    }
}

static void url__long_ones_are_refused(void **state)
{
    char text[2000];
    struct url u;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "https://", 8);
    text[8 + 64] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, NULL), PERSIST_BACKEND_INVALID);
    text[8 + 64] = 'a';
    text[8 + 10] = '/';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, NULL), PERSIST_BACKEND_INVALID);
}

static void loopback__is_known(void **state)
{
    (void)state;
    assert_true(url_host_is_loopback("127.0.0.1"));
    assert_true(url_host_is_loopback("127.9.9.9"));
    assert_true(url_host_is_loopback("::1"));
    assert_true(url_host_is_loopback("0:0:0:0:0:0:0:1"));
    assert_true(url_host_is_loopback("localhost"));
    assert_true(url_host_is_loopback("bucket.localhost"));
    assert_false(url_host_is_loopback("128.0.0.1"));
    assert_false(url_host_is_loopback("::ffff:127.0.0.1"));
    assert_false(url_host_is_loopback("127.0.0.1.evil.test"));
    assert_false(url_host_is_loopback("localhost.evil.test"));
    assert_false(url_host_is_loopback("notlocalhost"));
    assert_false(url_host_is_loopback("127.1"));
}

static void labels__are_checked(void **state)
{
    char longest[65] = {0};

    (void)state;
    assert_true(url_label_ok("eu-central-1"));
    assert_true(url_label_ok("a"));
    assert_false(url_label_ok(""));
    assert_false(url_label_ok("-a"));
    assert_false(url_label_ok("a-"));
    assert_false(url_label_ok("a.b"));
    assert_false(url_label_ok("A"));
    memset(longest, 'a', 63);
    assert_true(url_label_ok(longest));
    longest[63] = 'a';
    assert_false(url_label_ok(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(url__is_taken_apart),        TEST(url__refuses_what_could_mislead),
        TEST(url__long_ones_are_refused), TEST(loopback__is_known),
        TEST(labels__are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
