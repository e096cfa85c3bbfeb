/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts from outside, mutated at random: nothing crashes, no ceiling is passed,
 * what is accepted keeps its promises.  PERSIST_LONG=1 runs ten million of
 * each. A failure prints the seed; PERSIST_SEED=N begins with it.
 */
#include <stdlib.h>
#include <string.h>

#include "support/dates.h"
#include "support/encode.h"
#include "support/http_private.h"
#include "support/testkit.h"
#include "support/url.h"

static uint64_t seed;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t rounds(void)
{
    return getenv("PERSIST_LONG") != NULL ? 10000000 : 30000;
}

static int set_up(void **state)
{
    const char *given = getenv("PERSIST_SEED");

    (void)state;
    kit_reset();
    seed = given != NULL ? strtoull(given, NULL, 10) : 20261126;
    return 0;
}

/* One of the texts, with up to four bytes changed, lost, doubled or cut. */
static size_t mutated(const char *const *texts, size_t n, char *out, size_t cap)
{
    static const char likely[] = "\r\n\0: /-%+=\"?#@[].,;019aZ\xff";
    size_t len;

    len = strlen(strcpy(out, texts[random_bits() % n]));
    for (uint64_t left = random_bits() % 5; left > 0; left--) {
        if (len == 0)
            break;
        size_t at = (size_t)random_bits() % len;
        char c = likely[random_bits() % (sizeof(likely) - 1)];

        switch (random_bits() % 4) {
        case 0:
            out[at] = c;
            break;
        case 1:
            memmove(out + at, out + at + 1, len - at - 1);
            len--;
            break;
        case 2:
            if (len + 1 < cap) {
                memmove(out + at + 1, out + at, len - at);
                out[at] = c;
                len++;
            }
            break;
        default:
            len = at;
        }
    }
    out[len] = '\0';
    return len;
}

#define N_OF(texts) (sizeof(texts) / sizeof((texts)[0]))

/* ------------------------------------------------------------------ replies */

static const char *const replies[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial\r\nContent-Range: "
    "bytes "
    "0-4/100\r\nContent-Length: 5\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\n"
    "\r\nhello",
    "HTTP/1.1 416 Range\r\nContent-Range: bytes */77\r\n\r\n",
    "HTTP/1.1 503 Slow Down\r\nRetry-After: 18446744073709551615\r\n"
    "X-Wait-Ms: 99999999999999999999\r\nX-Id: a\x01 b\r\n\r\n<Error/>",
    "HTTP/1.1 308 Resume\r\nRange: bytes=0-1\r\nRange: bytes=0-2\r\n\r\n",
    "HTTP/2 204\r\n:\r\nno colon\r\n x: folded\r\nContent-Length: -1\r\n\r\n",
};

/* As libcurl does: whole lines to the one, the rest in pieces to the other. */
static void feed(struct http_transfer *t, char *text, size_t len)
{
    size_t at = 0;

    while (at < len && !t->head_done) {
        char *nl = memchr(text + at, '\n', len - at);
        size_t n = nl != NULL ? (size_t)(nl - text) + 1 - at : len - at;

        if (http_on_header(text + at, 1, n, t) != n)
            return;
        at += n;
    }
    while (at < len) {
        size_t n = 1 + (size_t)random_bits() % (len - at);

        if (http_on_body(text + at, 1, n, t) != n)
            return;
        at += n;
    }
}

static void look_up(struct http_client *c, const struct http_response *r)
{
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    uint64_t first, last, total;
    int64_t offset;
    const char *value;

    http_note(c, r, &err);
    for (const char *p = err.request_id; *p != '\0'; p++)
        assert_true(*p > ' ' && *p < 0x7f);
    if (http_content_range(r, &first, &last, &total))
        assert_true(r->status == 416 || (first <= last && last < total));
    (void)http_clock_offset(r, 0, &offset);
    for (value = http_header(r, "range"); value != NULL;
         value = http_header_next(r, "range", value))
        assert_true(value > r->headers.data &&
                    value < r->headers.data + r->headers.len);
}

static void replies__of_any_kind(void **state)
{
    struct http_client client = {.host = &kit_host,
                                 .request_id_header = (char *)"x-id",
                                 .retry_after_ms_header = (char *)"x-wait-ms"};

    (void)state;
    for (uint64_t i = rounds(); i > 0; i--) {
        uint64_t began = seed;
        char text[600], into[16];
        struct http_request request = {
            .method = random_bits() % 8 == 0 ? "HEAD" : "GET",
            .into = random_bits() % 2 == 0 ? into : NULL,
            .into_cap = random_bits() % 9,
            .body_max = random_bits() % 8};
        struct http_response r = {.headers.max = 64};
        struct http_transfer t = {
            .client = &client, .request = &request, .response = &r};

        memset(into, '.', sizeof(into));
        feed(&t, text, mutated(replies, N_OF(replies), text, sizeof(text)));
        look_up(&client, &r);
        if (r.headers.len > 64 || r.into_len > request.into_cap ||
            memcmp(into + 8, "........", 8) != 0 ||
            r.body.len > HTTP_ERROR_BODY_MAX)
            fail_msg("a ceiling was passed, PERSIST_SEED=%llu",
                     (unsigned long long)began);
        http_response_finish(&r);
    }
}

/* -------------------------------------------------------------------- texts */

static void urls__of_any_kind(void **state)
{
    static const char *const texts[] = {
        "https://s3.example.com:8443/prefix/a%20b",
        "http://[fd00:ec2::254]:80/",
        "http://127.0.0.1:9000",
        "localhost:4443",
        "https://user:password@host/",
    };

    (void)state;
    for (uint64_t i = rounds(); i > 0; i--) {
        uint64_t began = seed;
        char text[200];
        struct url u;

        (void)mutated(texts, N_OF(texts), text, sizeof(text));
        if (url_parse(text, random_bits() % 2 ? "http" : NULL, &u, NULL) != OK)
            continue;
        if (u.port == 0 || u.host[0] == '\0' ||
            strpbrk(u.authority, "@/?# \r\n\\") != NULL ||
            strpbrk(u.path, "@?# \r\n\\") == u.path + 1 ||
            (u.path[0] != '\0' && u.path[0] != '/'))
            fail_msg("\"%s\" was taken, PERSIST_SEED=%llu", text,
                     (unsigned long long)began);
    }
}

static void dates__of_any_kind(void **state)
{
    static const char *const texts[] = {
        "2013-05-24T00:00:00.123456Z",
        "1996-12-19T16:39:57-08:00",
        "Fri, 24 May 2013 00:00:00 GMT",
        "9999-12-31T23:59:60+0000",
    };

    (void)state;
    for (uint64_t i = rounds(); i > 0; i--) {
        char text[100], again[21];
        int64_t us, back;

        (void)mutated(texts, N_OF(texts), text, sizeof(text));
        if (!date_parse_rfc3339(text, &us) && !date_parse_http(text, &us))
            continue;
        assert_true(us >= 0 && us < INT64_C(253402387200000000));
        if (us >= INT64_C(253402300800000000))
            continue; /* east of the last midnight of 9999 */
        date_format_rfc3339(us, again);
        assert_true(date_parse_rfc3339(again, &back));
        assert_true(us - back >= 0 && us - back < 1000000);
    }
}

/* What is accepted is the one spelling of its bytes, or means the same. */
static void encodings__of_any_kind(void **state)
{
    static const char *const texts[] = {
        "Zm9vYmFy", "Zm9vYg==", "Zm8=", "a%20b%2Bc+d", "4waSgw==", "--__"};

    (void)state;
    for (uint64_t i = rounds(); i > 0; i--) {
        char text[100];
        struct text out = {0}, again = {0};
        size_t len = mutated(texts, N_OF(texts), text, sizeof(text));
        uint32_t crc;

        if (base64_decode(&out, text, len, false)) {
            base64_encode(&again, text_str(&out), out.len);
            assert_string_equal(text_str(&again), text);
        }
        text_clear(&out);
        text_clear(&again);
        if (percent_decode(&out, text, len)) {
            struct text third = {0};

            assert_true(out.len <= len);
            percent_encode(&again, text_str(&out), out.len, true);
            assert_true(percent_decode(&third, text_str(&again), again.len));
            assert_int_equal(third.len, out.len);
            text_finish(&third);
        }
        (void)form_decode(&out, text, len);
        (void)base64_decode(&out, text, len, true);
        (void)crc_decode(text, &crc);
        text_finish(&out);
        text_finish(&again);
    }
}

int main(void)
{
#define FUZZ_TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        FUZZ_TEST(replies__of_any_kind),
        FUZZ_TEST(urls__of_any_kind),
        FUZZ_TEST(dates__of_any_kind),
        FUZZ_TEST(encodings__of_any_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
