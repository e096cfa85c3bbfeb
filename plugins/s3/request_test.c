/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: what is signed and sent, what a reply cures and how often, and
 * what other replies mean.  HEAD of an object stands for all of them.
 */
#include "stage_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US (INT64_C(1768478400) * 1000000) /* 2026-01-15T12:00:00Z */
#define FOUND                                                                  \
    {                                                                          \
        .bytes = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 5\r\n"     \
                 "Last-Modified: Thu, 15 Jan 2026 11:00:00 GMT\r\n\r\n",       \
    }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void request__signs_what_it_sends(void **state)
{
    const struct script replies[] = {FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "request_payer=true",
               "expected_bucket_owner=111122223333", "session_token=x", NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_head(&g, "a/b%2f"), OK);
    assert_true(stage_sent(&g, 0, "HEAD /bucket/p/a/b%252f HTTP/1.1\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nHost: 127.0.0.1:"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-date: 20260115T120000Z\r\n"));
    assert_true(stage_sent(&g, 0,
                           "\r\nx-amz-content-sha256: "
                           "" SIGN_EMPTY_SHA256 "\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-request-payer: requester\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-security-token: "));
    assert_true(
        stage_sent(&g, 0, "\r\nx-amz-expected-bucket-owner: 111122223333\r\n"));
    assert_true(stage_sent(&g, 0, "\r\naccept-encoding: identity\r\n"));
    assert_true(stage_sent(
        &g, 0,
        "Credential=AKIDEXAMPLE/20260115/eu-central-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
        "x-amz-expected-bucket-owner;x-amz-request-payer;"
        "x-amz-security-token, Signature="));
    assert_int_equal(g.head.size, 5);
    assert_true(g.head.modified_us == NOW_US - INT64_C(3600000000));
    assert_string_equal(g.head.etag, "\"e\"");
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

/* ----------------------------------------------------------------- region */

static void region__is_taken_from_the_reply_once(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("301", "x-amz-bucket-region: eu-west-2\r\n"), FOUND, FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_true(stage_sent(&g, 0, "/eu-central-1/s3/aws4_request"));
    assert_true(stage_sent(&g, 1, "/eu-west-2/s3/aws4_request"));
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_true(stage_sent(&g, 2, "/eu-west-2/s3/aws4_request"));
    assert_int_equal(server_requests(g.server), 3);
    stage_close(&g);
}

static void region__is_read_from_an_error(void **state)
{
    struct script replies[] = {reply_error("400", "",
                                           "AuthorizationHeaderMalformed",
                                           "<Region>ap-south-1</Region>"),
                               REPLY_EMPTY("204", "")};
    struct stage g;
    uint32_t was;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_delete(&g, "a", &was), OK);
    assert_true(stage_sent(&g, 1, "/ap-south-1/s3/aws4_request"));
    stage_close(&g);
}

static void region__is_asked_of_the_bucket(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("301", ""),
        REPLY_EMPTY("403", "x-amz-bucket-region: us-west-2\r\n"), FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_true(stage_sent(&g, 1, "HEAD /bucket HTTP/1.1"));
    assert_true(stage_sent(&g, 2, "HEAD /bucket/p/a HTTP/1.1"));
    assert_true(stage_sent(&g, 2, "/us-west-2/s3/"));
    stage_close(&g);
}

static void region__is_corrected_no_second_time(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("301", "x-amz-bucket-region: eu-west-2\r\n"),
        REPLY_EMPTY("301", "x-amz-bucket-region: eu-west-3\r\n")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_CONFIG);
    assert_int_equal(server_requests(g.server), 2);
    stage_close(&g);
}

static void region__must_be_a_name(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("301", "x-amz-bucket-region: evil.example/x\r\n")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_CONFIG);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

static void redirects__are_never_followed(void **state)
{
    static const struct {
        const char *status;
        bool from_s3; /* it says which request it was */
        int32_t code;
    } rows[] = {
        {"301", true, PERSIST_BACKEND_CONFIG},
        {"307", true, PERSIST_BACKEND_TRANSIENT}, /* a bucket just made */
        {"301", false, PERSIST_BACKEND_CONFIG},
        {"302", false, PERSIST_BACKEND_CONFIG},
        {"303", false, PERSIST_BACKEND_CONFIG},
        {"307", false, PERSIST_BACKEND_CONFIG},
        {"308", false, PERSIST_BACKEND_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct script replies[2];
        struct stage g, other;
        char text[512];

        stage_open(&other, NULL, 0, NULL);
        (void)snprintf(text, sizeof(text),
                       "HTTP/1.1 %s x\r\nLocation: %s\r\n%s"
                       "Content-Length: 0\r\n\r\n",
                       rows[i].status, server_url(other.server, "/stolen"),
                       rows[i].from_s3 ? "x-amz-request-id: 1\r\n" : "");
        replies[0] = replies[1] = (struct script){.bytes = text};
        stage_open(&g, replies, 2, NULL);
        assert_int_equal(
            stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
            rows[i].code);
        assert_int_equal(strstr(g.err.message, server_url(other.server, ",")) !=
                             NULL,
                         !rows[i].from_s3);
        assert_null(strstr(g.err.message, "stolen"));
        assert_int_equal(server_connections(other.server), 0);
        stage_close(&g);
        stage_close(&other);
    }
}

/* ------------------------------------------------------------------ clock */

static void clock__is_corrected_by_the_date_once(void **state)
{
    struct script replies[] = {
        reply_error("403", "Date: Thu, 15 Jan 2026 12:20:00 GMT\r\n",
                    "RequestTimeTooSkewed", ""),
        FOUND, FOUND};
    struct stage g;
    uint32_t was;

    (void)state;
    replies[1] = reply_with("204", "", "");
    stage_open(&g, replies, COUNT(replies), NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_delete(&g, "a", &was), OK);
    assert_true(stage_sent(&g, 0, "x-amz-date: 20260115T120000Z"));
    assert_true(stage_sent(&g, 1, "x-amz-date: 20260115T122000Z"));
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_true(stage_sent(&g, 2, "x-amz-date: 20260115T122000Z"));
    stage_close(&g);
}

/* HEAD has no body to say why: a clock that is far off is taken for it. */
static void clock__is_suspected_behind_a_bare_403(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("403", "Date: Thu, 15 Jan 2026 11:40:00 GMT\r\n"), FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_true(stage_sent(&g, 1, "x-amz-date: 20260115T114000Z"));
    stage_close(&g);
}

/* Against the clock that was corrected, not the one that is wrong. */
static void clock__that_was_corrected_is_right(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("403", "Date: Thu, 15 Jan 2026 12:20:00 GMT\r\n"), FOUND,
        REPLY_EMPTY("403", "Date: Thu, 15 Jan 2026 12:20:30 GMT\r\n"), FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_DENIED);
    assert_int_equal(server_requests(g.server), 3);
    stage_close(&g);
}

static void denied__is_sent_once_where_the_clock_is_right(void **state)
{
    const struct script replies[] = {
        REPLY_EMPTY("403", "Date: Thu, 15 Jan 2026 12:00:30 GMT\r\n"), FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_DENIED);
    assert_int_equal(server_requests(g.server), 1);
    assert_non_null(strstr(g.err.message, "s3:GetObject"));
    stage_close(&g);
}

/* HEAD of the object, HEAD of the bucket for its region, and once more. */
static void token__is_renewed_where_a_head_cannot_say_why(void **state)
{
    const struct script replies[] = {REPLY_EMPTY("400", ""),
                                     REPLY_EMPTY("400", ""), FOUND};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), "session_token=x", NULL);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_int_equal(server_requests(g.server), 3);
    stage_close(&g);
}

static void token__is_renewed_once(void **state)
{
    struct script replies[] = {reply_error("400", "", "ExpiredToken", ""),
                               reply_error("400", "", "ExpiredToken", "")};
    struct stage g;
    uint32_t was;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_delete(&g, "a", &was), PERSIST_BACKEND_AUTH);
    assert_int_equal(server_requests(g.server), 2);
    assert_string_equal(g.err.provider_code, "ExpiredToken");
    stage_close(&g);
}

/* ---------------------------------------------------------------- meanings */

static void errors__have_their_codes(void **state)
{
    static const struct {
        const char *status, *word;
        int32_t code;
    } cases[] = {
        {"403", "AccessDenied", PERSIST_BACKEND_DENIED},
        {"403", "InvalidAccessKeyId", PERSIST_BACKEND_AUTH},
        {"403", "SignatureDoesNotMatch", PERSIST_BACKEND_AUTH},
        {"404", "NoSuchBucket", PERSIST_BACKEND_CONFIG},
        {"404", "NoSuchKey", PERSIST_BACKEND_NOT_FOUND},
        {"503", "SlowDown", PERSIST_BACKEND_THROTTLED},
        {"503", "ServiceUnavailable", PERSIST_BACKEND_THROTTLED},
        {"503", "", PERSIST_BACKEND_THROTTLED},
        {"429", "", PERSIST_BACKEND_THROTTLED},
        {"500", "InternalError", PERSIST_BACKEND_TRANSIENT},
        {"502", "", PERSIST_BACKEND_TRANSIENT},
        {"504", "", PERSIST_BACKEND_TRANSIENT},
        {"599", "", PERSIST_BACKEND_TRANSIENT},
        {"400", "RequestTimeout", PERSIST_BACKEND_TRANSIENT},
        {"409", "OperationAborted", PERSIST_BACKEND_TRANSIENT},
        {"400", "KMS.DisabledException", PERSIST_BACKEND_DENIED},
        {"403", "InvalidObjectState", PERSIST_BACKEND_DENIED},
        {"400", "InvalidArgument", PERSIST_BACKEND_INVALID},
        {"501", "NotImplemented", PERSIST_BACKEND_UNSUPPORTED},
        {"405", "MethodNotAllowed", PERSIST_BACKEND_UNSUPPORTED},
        {"507", "", PERSIST_BACKEND_NO_SPACE},
        {"418", "", PERSIST_BACKEND_IO},
        {"401", "", PERSIST_BACKEND_AUTH},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script replies[] = {
            cases[i].word[0] != '\0'
                ? reply_error(cases[i].status, "", cases[i].word,
                              "<Message>why</Message>")
                : reply_with(cases[i].status, "", "<html>busy</html>")};
        struct stage g;

        stage_open(&g, replies, 1, NULL);
        assert_int_equal(
            stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
            cases[i].code);
        assert_string_equal(g.err.provider_code, cases[i].word);
        assert_string_equal(g.err.request_id, "REQ1");
        assert_int_equal(g.err.http_status, atoi(cases[i].status));
        assert_true(g.err.message[0] != '\0');
        assert_null(strstr(g.err.message, "<"));
        stage_close(&g);
    }
}

static void retry_after__is_handed_on(void **state)
{
    static const struct {
        const char *headers;
        uint64_t ms; /* 0: none */
    } cases[] = {{"Retry-After: 7\r\n", 7000},
                 {"x-amz-retry-after: 250\r\nRetry-After: 7\r\n", 250},
                 {"", 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script replies[] = {
            reply_error("503", cases[i].headers, "SlowDown", "")};
        struct stage g;

        stage_open(&g, replies, 1, NULL);
        assert_int_equal(stage_put(&g, "a", "x", 0), PERSIST_BACKEND_THROTTLED);
        assert_int_equal(g.err.present & PERSIST_BACKEND_ERROR_RETRY_AFTER,
                         cases[i].ms != 0 ? PERSIST_BACKEND_ERROR_RETRY_AFTER
                                          : 0);
        assert_true(g.err.retry_after_ms == cases[i].ms);
        stage_close(&g);
    }
}

/* The body of a wrong signature holds the whole canonical request. */
static void secrets__stay_out_of_messages(void **state)
{
    struct script replies[] = {reply_error(
        "403", "", "SignatureDoesNotMatch",
        "<Message>The signature does not match</Message>"
        "<StringToSign>AWS4-HMAC-SHA256 CANARY1</StringToSign>"
        "<CanonicalRequest>x-amz-security-token:CANARY2</CanonicalRequest>"
        "<CanonicalRequestBytes>43 41 4e</CanonicalRequestBytes>")};
    struct stage g;

    (void)state;
    atomic_store(&kit_log_debug, true);
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(
        stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
        PERSIST_BACKEND_AUTH);
    assert_non_null(strstr(g.err.message, "The signature does not match"));
    assert_non_null(strstr(g.err.message, "check the secret key"));
    assert_null(strstr(g.err.message, "CANARY"));
    assert_null(strstr(kit_logged(), "CANARY"));
    assert_null(strstr(kit_logged(), kit_secret));
    stage_close(&g);
}

static void secrets__are_hidden_where_a_message_repeats_them(void **state)
{
    struct script replies[2] = {
        reply_error("400", "", "InvalidToken",
                    "<Message>The token FwoGZXIvYXdzEXAMPLETOKEN//////////"
                    "wEaDEXAMPLE==FwoGZXIvYXdzEXAMPLETOKENwEaD is no good for "
                    "arn:aws:s3:::bucket/p/agent/default</Message>")};
    struct stage g;

    (void)state;
    replies[1] = replies[0]; /* it is renewed once */
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_put(&g, "a", "x", 0), PERSIST_BACKEND_AUTH);
    assert_null(strstr(g.err.message, "EXAMPLETOKEN"));
    assert_non_null(strstr(g.err.message,
                           "The token [hidden] is no good for "
                           "arn:aws:s3:::bucket/p/agent/default"));
    stage_close(&g);
}

/* A 404 that is not S3's says nothing about an object. */
static void not_found__is_only_what_s3_says(void **state)
{
    struct script pages[] = {reply_with("404", "", "<html>not here</html>"),
                             reply_with("404", "", "<Error><Code>NoSu"),
                             REPLY_EMPTY("404", "")};
    struct stage g;

    (void)state;
    stage_open(&g, pages, COUNT(pages), NULL);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
            PERSIST_BACKEND_IO);
    assert_int_equal(
        stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
        PERSIST_BACKEND_NOT_FOUND);
    stage_close(&g);
}

/* Whoever answers so is no S3, and no other key makes it one. */
static void pages__are_the_endpoints_fault(void **state)
{
    static const struct {
        const char *status, *headers;
        int32_t code;
        bool foreign;
    } rows[] = {
        {"401", "", PERSIST_BACKEND_CONFIG, true},
        {"403", "", PERSIST_BACKEND_DENIED, true},
        {"405", "", PERSIST_BACKEND_UNSUPPORTED, true},
        {"403", "x-amz-request-id: 1\r\n", PERSIST_BACKEND_DENIED, false},
        {"429", "", PERSIST_BACKEND_THROTTLED, false},
        {"502", "", PERSIST_BACKEND_TRANSIENT, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct script replies[2];
        struct stage g;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       "HTTP/1.1 %s x\r\n%sContent-Length: 20\r\n\r\n"
                       "<html>Welcome</html>",
                       rows[i].status, rows[i].headers);
        replies[0] = replies[1] = (struct script){.bytes = text};
        stage_open(&g, replies, 2, NULL);
        assert_int_equal(
            stage_read(&g, "a", PERSIST_BACKEND_READ_RANGE, 0, 9, NULL),
            rows[i].code);
        assert_int_equal(strstr(g.err.message, "check the endpoint") != NULL,
                         rows[i].foreign);
        stage_close(&g);
    }
}

static void head__asks_for_the_bucket_once(void **state)
{
    const struct script missing[] = {REPLY_EMPTY("404", ""),
                                     REPLY_EMPTY("404", "")};
    const struct script denied[] = {
        REPLY_EMPTY("404", ""), REPLY_EMPTY("403", ""), REPLY_EMPTY("404", "")};
    struct stage g;

    (void)state;
    stage_open(&g, missing, 2, NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_CONFIG);
    assert_string_equal(g.err.provider_code, "NoSuchBucket");
    assert_non_null(strstr(g.err.message, "no bucket bucket"));
    stage_close(&g);
    stage_open(&g, denied, 3, NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(server_requests(g.server), 3);
    stage_close(&g);
}

static void call__that_is_to_stop_sends_nothing(void **state)
{
    struct stage g;

    (void)state;
    stage_open(&g, NULL, 0, NULL);
    atomic_store(&kit_cancelled, true);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_CANCELLED);
    atomic_store(&kit_cancelled, false);
    g.call.present = PERSIST_BACKEND_CALL_DEADLINE;
    g.call.deadline_ns = 1;
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_TIMEOUT);
    assert_int_equal(server_connections(g.server), 0);
    stage_close(&g);
}

/* ------------------------------------------------------------------- probe */

static void probe__tells_what_is_wrong(void **state)
{
    struct script replies[] = {
        reply_error("403", "Date: Thu, 15 Jan 2026 12:06:00 GMT\r\n",
                    "AccessDenied", "<Message>no</Message>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_probe(&g), OK);
    assert_non_null(strstr(g.findings, "3 bucket=cannot list"));
    assert_non_null(
        strstr(g.findings, "allow s3:ListBucket on arn:aws:s3:::bucket"));
    assert_non_null(strstr(g.findings, "2 clock-skew=360 s: this machine's "
                                       "clock is behind"));
    assert_non_null(strstr(g.findings, "region=eu-central-1 (option region)"));
    assert_non_null(strstr(g.findings, "addressing=path"));
    assert_non_null(strstr(g.findings, "2 encryption=plain http"));
    assert_null(strstr(g.findings, kit_secret));
    stage_close(&g);
}

static void probe__is_content_with_a_bucket_that_answers(void **state)
{
    struct script replies[] = {
        reply_with("200", "Date: Thu, 15 Jan 2026 12:00:00 GMT\r\n",
                   "<ListBucketResult><IsTruncated>false</IsTruncated>"
                   "</ListBucketResult>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_probe(&g), OK);
    assert_non_null(strstr(g.findings, "1 bucket=bucket|"));
    assert_non_null(strstr(g.findings, "1 clock-skew=none|"));
    assert_non_null(strstr(g.findings, "checksum=CRC-32C; uploads: CRC-32C"));
    assert_null(strstr(g.findings, "\n3 "));
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request__signs_what_it_sends),
        TEST(region__is_taken_from_the_reply_once),
        TEST(region__is_read_from_an_error),
        TEST(region__is_asked_of_the_bucket),
        TEST(region__is_corrected_no_second_time),
        TEST(region__must_be_a_name),
        TEST(redirects__are_never_followed),
        TEST(pages__are_the_endpoints_fault),
        TEST(clock__is_corrected_by_the_date_once),
        TEST(clock__is_suspected_behind_a_bare_403),
        TEST(clock__that_was_corrected_is_right),
        TEST(denied__is_sent_once_where_the_clock_is_right),
        TEST(token__is_renewed_where_a_head_cannot_say_why),
        TEST(token__is_renewed_once),
        TEST(errors__have_their_codes),
        TEST(retry_after__is_handed_on),
        TEST(secrets__stay_out_of_messages),
        TEST(secrets__are_hidden_where_a_message_repeats_them),
        TEST(not_found__is_only_what_s3_says),
        TEST(head__asks_for_the_bucket_once),
        TEST(call__that_is_to_stop_sends_nothing),
        TEST(probe__tells_what_is_wrong),
        TEST(probe__is_content_with_a_bucket_that_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
