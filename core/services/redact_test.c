/* SPDX-License-Identifier: Apache-2.0 */
/* Registered secrets in every form, and shapes of credentials. */
#include "services/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void assert_redacted(struct redactor *r, const char *text,
                            const char *want)
{
    char copy[2048];
    snprintf(copy, sizeof(copy), "%s", text);
    size_t len = redactor_apply(r, copy, strlen(copy));
    assert_string_equal(copy, want);
    assert_int_equal(len, strlen(want));
    /* Redacting again changes nothing. */
    redactor_apply(r, copy, len);
    assert_string_equal(copy, want);
}

static void secret__is_found_raw_and_repeatedly(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    assert_int_equal(redactor_add(r, "wJalrXUtnFEMI/K7MDENG", 21, 0), 0);

    assert_redacted(r, "wJalrXUtnFEMI/K7MDENG", "(redacted)");
    assert_redacted(r, "a wJalrXUtnFEMI/K7MDENGwJalrXUtnFEMI/K7MDENG b",
                    "a (redacted)(redacted) b");
    assert_redacted(r, "wJalrXUtnFEMI/K7MDEN", "wJalrXUtnFEMI/K7MDEN");
    assert_redacted(r, "", "");
    redactor_destroy(r);
}

static void secret__shorter_than_the_mask_keeps_the_length(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    redactor_add(r, "hunter2", 7, 0);
    assert_redacted(r, "pw hunter2!", "pw *******!");
    redactor_add(r, "tiny5", 5, 0);
    assert_redacted(r, "tiny5", "tiny5");
    redactor_destroy(r);
}

static void secret__the_longest_of_several_goes(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    redactor_add(r, "abcdefghij", 10, 0);
    redactor_add(r, "abcdefghijklmnopqrst", 20, 0);
    redactor_add(r, "abcdefghij", 10, 0);
    assert_redacted(r, "abcdefghijklmnopqrst.", "(redacted).");
    assert_redacted(r, "abcdefghijklm", "(redacted)klm");
    redactor_destroy(r);
}

/* RFC 4648, section 4, without padding. */
static void base64(const char *text, const char *last2, char *out)
{
    static const char common[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const uint8_t *p = (const uint8_t *)text;
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16;
        group |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
        group |= i + 2 < len ? p[i + 2] : 0;
        size_t n = len - i > 2 ? 4 : len - i + 1;
        for (size_t k = 0; k < n; k++) {
            unsigned v = group >> (18 - 6 * k) & 63;
            *out++ = v < 62 ? common[v] : last2[v - 62];
        }
    }
    *out = '\0';
}

/* No eight characters in a row of any encoding of a canary survive. */
static bool survives(const char *shown, const char *encoded)
{
    char piece[9] = "";
    for (size_t i = 0; i + 8 <= strlen(encoded); i++) {
        memcpy(piece, encoded + i, 8);
        if (strstr(shown, piece))
            return true;
    }
    return false;
}

static const char canary[] = "s3cr+t/\"k\\ey\n=\xc3\xa9~?>Z";

static void secret__is_found_in_base64_at_every_alignment(void **state)
{
    (void)state;
    static const char *const alphabets[] = {"+/", "-_"};
    struct redactor *r = redactor_create();
    redactor_add(r, canary, strlen(canary), 0);

    for (size_t before = 0; before < 7; before++) {
        for (size_t i = 0; i < COUNT(alphabets); i++) {
            char plain[100], encoded[200];
            memset(plain, 'u', before);
            snprintf(plain + before, sizeof(plain) - before, "%s:tail", canary);
            base64(plain, alphabets[i], encoded);
            char shown[200];
            snprintf(shown, sizeof(shown), "%s", encoded);
            redactor_apply(r, shown, strlen(shown));
            assert_non_null(strstr(shown, "(redacted)"));
            /* What is left is the surroundings and a few bits. */
            assert_true(strlen(shown) <= 10 + 4 * ((before + 2) / 3 + 2) + 8);
        }
    }
    redactor_destroy(r);
}

static void secret__is_found_in_hex_url_and_json(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    size_t len = strlen(canary);
    redactor_add(r, canary, len, 0);

    assert_redacted(r, "k=s3cr%2Bt%2F%22k%5Cey%0A%3D%C3%A9~%3F%3EZ&",
                    "k=(redacted)&");
    assert_redacted(r, "k=s3cr%2bt%2f%22k%5cey%0a%3d%c3%a9~%3f%3eZ&",
                    "k=(redacted)&");
    assert_redacted(r, "k=s3cr%2Bt/%22k%5Cey%0A%3D%C3%A9~%3F%3EZ&",
                    "k=(redacted)&");
    assert_redacted(r, "\"s3cr+t/\\\"k\\\\ey\\n=\xc3\xa9~?>Z\"",
                    "\"(redacted)\"");
    char hex[100];
    text_to_hex(canary, len, hex);
    assert_redacted(r, hex, "(redacted)");
    for (char *p = hex; *p; p++)
        if (*p >= 'a')
            *p = (char)(*p - 32);
    assert_redacted(r, hex, "(redacted)");
    redactor_destroy(r);
}

static void secret__may_be_large(void **state)
{
    (void)state;
    static char large[65536 + 1], text[65536 + 10];
    memset(large, '"', 65536); /* the worst for JSON and URLs */
    struct redactor *r = redactor_create();
    assert_int_equal(redactor_add(r, large, 65536, 0), 0);

    snprintf(text, sizeof(text), "<%s>", large);
    redactor_apply(r, text, strlen(text));

    assert_string_equal(text, "<(redacted)>");
    redactor_destroy(r);
}

/* One that begins with another, whichever was known first, goes as a whole. */
static void secrets__that_begin_alike_go_whole(void **state)
{
    static const char *const secrets[] = {"0123456789", "0123456789-abcdef"};

    (void)state;
    for (size_t first = 0; first < 2; first++) {
        struct redactor *r = redactor_create();

        for (size_t i = 0; i < 2; i++) {
            const char *s = secrets[i ^ first];

            assert_int_equal(redactor_add(r, s, strlen(s), 0), 0);
        }
        assert_redacted(r, "a 0123456789-abcdef b", "a (redacted) b");
        assert_redacted(r, "a 0123456789-abc b", "a (redacted)-abc b");
        redactor_destroy(r);
    }
}

static void shapes__of_headers_and_queries(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"> Authorization: Bearer ya29.a0AfH6\nnext",
         "> Authorization: (redacted)\nnext"},
        {"authorization=Basic dXNlcjpwYXNz", "authorization=(redacted)"},
        {"Proxy-Authorization: Basic dXNlcjpwYXNz and more",
         "Proxy-Authorization: (redacted)"},
        {"msg=\"sent Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, "
         "Signature=abc\" op=put",
         "msg=\"sent Authorization: (redacted)\" op=put"},
        {"authorization=\"Bearer a b c d e f\" op=put",
         "authorization=\"(redacted)\" op=put"},
        {"{\"authorization\":\"Bearer abcdefgh\",\"op\":\"put\"}",
         "{\"authorization\":\"(redacted)\",\"op\":\"put\"}"},
        {"{\"msg\":\"{\\\"Authorization\\\":\\\"Bearer abcdefgh\\\"} x\"}",
         "{\"msg\":\"{\\\"Authorization\\\":\\\"(redacted)\\\"} x\"}"},
        {"\"Authorization: Bearer abcdefgh\\r\\nHost: x\"",
         "\"Authorization: (redacted)\\r\\nHost: x\""},
        {"x-amz-security-token: FwoGZXIvYXdzEBY= host: h",
         "x-amz-security-token: (redacted) host: h"},
        {"https://h/k?X-Amz-Credential=AKIAIOSFODNN7%2F20260101&"
         "X-Amz-Signature=0123456789abcdef&X-Amz-Date=20260101",
         "https://h/k?X-Amz-Credential=(redacted)&X-Amz-Signature=(redacted)&"
         "X-Amz-Date=20260101"},
        {"?X-Goog-Signature=0123456789abcdef&x-goog-credential=me%40x.iam&a=b",
         "?X-Goog-Signature=(redacted)&x-goog-credential=(redacted)&a=b"},
        {"x-goog-iam-authorization-token: 0123456789ab",
         "x-goog-iam-authorization-token: (redacted)"},
        {"x-amz-s3session-token: 0123456789ab x",
         "x-amz-s3session-token: (redacted) x"},
        {"x-amz-sso_bearer_token: 0123456789ab x",
         "x-amz-sso_bearer_token: (redacted) x"},
        {"< Set-Cookie: session=0123456789ab; Path=/\nnext",
         "< Set-Cookie: (redacted)\nnext"},
        {"Action=x&WebIdentityToken=ey01234.ey1&Version=1",
         "Action=x&WebIdentityToken=(redacted)&Version=1"},
        {"subject_token=ey012.ey1.ey2&audience=a",
         "subject_token=(redacted)&audience=a"},
        {"x-amz-server-side-encryption-customer-key: 0123456789ab",
         "x-amz-server-side-encryption-customer-key: (redacted)"},
        {"https://h/k?AWSAccessKeyId=A&Signature=0123456789%3D&Expires=1",
         "https://h/k?AWSAccessKeyId=A&Signature=(redacted)&Expires=1"},
        {"/upload?name=k&upload_id=ABg5-Uz0123456789&x=1",
         "/upload?name=k&upload_id=(redacted)&x=1"},
        {"upload_id=abc", "upload_id=***"},
        {"{\"access_token\" : \"ya29.0123456789\",\"expires_in\":3599}",
         "{\"access_token\" : \"(redacted)\",\"expires_in\":3599}"},
        {"<SecretAccessKey>wJalrXUtnFEMI</SecretAccessKey>",
         "<SecretAccessKey>(redacted)</SecretAccessKey>"},
        {"{\"Code\":\"Success\",\"Token\":\"0123456789ab\"}",
         "{\"Code\":\"Success\",\"Token\":\"(redacted)\"}"},
        {"\"{\\\"Token\\\":\\\"0123456789ab\\\"}\"",
         "\"{\\\"Token\\\":\\\"(redacted)\\\"}\""},
        {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", /* env of a command */
         "AWS_SECRET_ACCESS_KEY=(redacted)"},
        {"authorization: \"unended secret value",
         "authorization: \"(redacted)"},
        {"authorization=\"Digest user=\\\"bob\\\", response=01234\" op=put",
         "authorization=\"(redacted)\" op=put"},
        {"Authorization: Digest user=\\\"bob\\\", response=01234\" op=put",
         "Authorization: (redacted)\" op=put"},
        {"authorization: \"ends in a backslash\\",
         "authorization: \"(redacted)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_redacted(NULL, rows[i].text, rows[i].want);
}

static void shapes__of_userinfo(void **state)
{
    (void)state;
    assert_redacted(NULL, "http://user:password@host:80/a",
                    "http://(redacted)@host:80/a");
    assert_redacted(NULL, "https://ghp_token0123@h", "https://(redacted)@h");
    assert_redacted(NULL, "https://a:b@h?x=c@d", "https://***@h?x=c@d");
    assert_redacted(NULL, "s3://u:p@ss@h/x", "s3://******@h/x");
    assert_redacted(NULL, "https://host/a@b", "https://host/a@b");
    assert_redacted(NULL, "https://@host", "https://@host");
    assert_redacted(NULL, "main:writer/default@7", "main:writer/default@7");
    assert_redacted(NULL, "://", "://");
}

static void shapes__leave_ordinary_text_alone(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "store main: secret_access_key: is required and not set",
        "the authorization failed",
        "authorization",
        "session_token: others may read this file",
        "private_key: see the manual",
        "signature=abc",
        "token bucket",
        "x-amz-meta-color: red",
        "uploaded 3 parts of s3://bucket/key",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_redacted(NULL, rows[i], rows[i]);
}

/* Any bytes: never longer, never past the end (a sanitizer looks on). */
static void apply__survives_noise(void **state)
{
    (void)state;
    static const char pieces[] =
        "authorization x-amz-signature \"\\\\:=>&@:// \n'?signature";
    struct redactor *r = redactor_create();
    redactor_add(r, "x-amz-", 6, 0);
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t len = 0;
        while (len < 40) {
            seed = seed * 1664525 + 1013904223;
            size_t at = (seed >> 8) % (sizeof(pieces) - 1);
            size_t n = (seed >> 20) % 16;
            for (; n > 0 && at < sizeof(pieces) - 1 && len < 40; n--)
                text[len++] = pieces[at++];
        }
        text[len] = '\0';
        size_t after = redactor_apply(r, text, len);
        assert_true(after <= len);
        assert_int_equal(text[after], '\0');
    }
    redactor_destroy(r);
}

static void drop__forgets_after_an_hour(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    const uint64_t begin = 5;
    redactor_add(r, "first-token", 11, begin);
    redactor_add(r, "first-token", 11, begin);
    redactor_add(r, "tiny5", 5, begin);

    /* One of two stores is closed: it is in use for as long as it takes. */
    redactor_drop(r, "first-token", 11, begin);
    redactor_drop(r, "tiny5", 5, begin);
    redactor_add(r, "second-token", 12, begin + 9 * REDACTOR_KEEP_NS);
    assert_redacted(r, "first-token second-token", "(redacted) (redacted)");

    /* The other one too: what was said may still be on its way. */
    redactor_drop(r, "first-token", 11, begin + 9 * REDACTOR_KEEP_NS);
    redactor_add(r, "third-token", 11, begin + 10 * REDACTOR_KEEP_NS - 1);
    assert_redacted(r, "first-token third-token", "(redacted) (redacted)");
    redactor_add(r, "third-token", 11, begin + 10 * REDACTOR_KEEP_NS);
    assert_redacted(r, "first-token third-token", "first-token (redacted)");

    /* And opened again. */
    redactor_add(r, "first-token", 11, begin + 10 * REDACTOR_KEEP_NS);
    assert_redacted(r, "first-token second-token", "(redacted) (redacted)");
    redactor_destroy(r);
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 50; i++) {
        char secret[32];
        int n = snprintf(secret, sizeof(secret), "secret-number-%d", i);
        if (redactor_add(arg, secret, (size_t)n, 0) != 0)
            return arg;
    }
    return NULL;
}

static void add__while_others_apply(void **state)
{
    (void)state;
    struct redactor *r = redactor_create();
    pthread_t threads[2];
    void *failed = NULL;
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, add_many, r);

    for (int i = 0; i < 100; i++) {
        char text[] = "a secret-number-49 b";
        redactor_apply(r, text, strlen(text));
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }

    assert_redacted(r, "secret-number-49", "(redacted)");
    redactor_destroy(r);
}

static void canary__no_long_piece_survives_in_a_line(void **state)
{
    (void)state;
    char hex[100], text[400];
    struct redactor *r = redactor_create();
    redactor_add(r, canary, strlen(canary), 0);
    text_to_hex(canary, strlen(canary), hex);

    snprintf(text, sizeof(text), "raw %s hex %s end", canary, hex);
    redactor_apply(r, text, strlen(text));

    assert_false(survives(text, canary));
    assert_false(survives(text, hex));
    assert_string_equal(text, "raw (redacted) hex (redacted) end");
    redactor_destroy(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret__is_found_raw_and_repeatedly),
        cmocka_unit_test(secret__shorter_than_the_mask_keeps_the_length),
        cmocka_unit_test(secret__the_longest_of_several_goes),
        cmocka_unit_test(secret__is_found_in_base64_at_every_alignment),
        cmocka_unit_test(secret__is_found_in_hex_url_and_json),
        cmocka_unit_test(secret__may_be_large),
        cmocka_unit_test(secrets__that_begin_alike_go_whole),
        cmocka_unit_test(shapes__of_headers_and_queries),
        cmocka_unit_test(shapes__of_userinfo),
        cmocka_unit_test(shapes__leave_ordinary_text_alone),
        cmocka_unit_test(apply__survives_noise),
        cmocka_unit_test(drop__forgets_after_an_hour),
        cmocka_unit_test(add__while_others_apply),
        cmocka_unit_test(canary__no_long_piece_survives_in_a_line),
    };
    return cmocka_run_group_tests_name("services.redact", tests, NULL, NULL);
}
