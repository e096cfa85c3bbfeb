/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One put: its headers, its checksums and how they are learned, and what every
 * reply makes of it.
 */
#include "stage_test_kit.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW_US (INT64_C(1768478400) * 1000000) /* 2026-01-15T12:00:00Z */
#define STORED(headers) REPLY_EMPTY("200", "ETag: \"e1\"\r\n" headers)
#define DATA "123456789" /* CRC-32C 4waSgw==, MD5 JfnnlDI7RTiF9RgfG2JNCw== */
#define DATA_SHA256                                                            \
    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"

static void put__says_what_it_stores(void **state)
{
    const struct script replies[] = {
        STORED("x-amz-checksum-crc32c: 4waSgw==\r\n")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_put(&g, "a/b", DATA, IF_ABSENT), OK);
    assert_string_equal(g.etag, "\"e1\"");
    assert_true(stage_sent(&g, 0, "PUT /bucket/p/a/b HTTP/1.1\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nif-none-match: *\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-checksum-crc32c: 4waSgw==\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nContent-Length: 9\r\n"));
    assert_true(stage_sent(&g, 0, "\r\ncontent-type: text/plain\r\n"));
    assert_false(stage_sent(&g, 0, "aws-chunked"));
    assert_false(stage_sent(&g, 0, "Transfer-Encoding"));
    /* Plain http: the data is in the signature. */
    assert_true(
        stage_sent(&g, 0, "\r\nx-amz-content-sha256: " DATA_SHA256 "\r\n"));
    assert_true(stage_sent_body(&g, 0, DATA));
    stage_close(&g);
}

static void put__replaces_without_the_condition(void **state)
{
    const struct script replies[] = {STORED("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "sign_payload=never", NULL);
    assert_int_equal(stage_put(&g, "a", "", 0), OK);
    assert_false(stage_sent(&g, 0, "if-none-match"));
    assert_true(stage_sent(&g, 0, "\r\nContent-Length: 0\r\n"));
    assert_true(
        stage_sent(&g, 0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-checksum-crc32c: AAAAAA==\r\n"));
    stage_close(&g);
}

static void put__has_the_attributes_of_the_store(void **state)
{
    const struct script replies[] = {STORED("")};
    static const char *const lines[] = {
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id: alias/k",
        "x-amz-server-side-encryption-bucket-key-enabled: true",
        "x-amz-storage-class: STANDARD_IA",
        "x-amz-tagging: team=a%20b&x%26y=1%2B1",
        "x-amz-object-lock-mode: GOVERNANCE",
        "x-amz-object-lock-retain-until-date: 2026-01-17T12:00:00Z",
    };
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "sse=aws:kms", "kms_key_id=alias/k",
               "bucket_key=true", "storage_class=STANDARD_IA",
               "tags=team=a b,x&y=1+1", "lock_mode=GOVERNANCE", "lock_days=2",
               NULL);
    atomic_store(&kit_wall, NOW_US);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT), OK);
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_true(stage_sent(&g, 0, lines[i]));
    stage_close(&g);
}

/* ------------------------------------------------------------ what comes back
 */

static void put__says_what_happened(void **state)
{
    const struct {
        struct script reply;
        int32_t absent, replace;
    } cases[] = {
        {reply_error("412", "", "PreconditionFailed", ""),
         PERSIST_BACKEND_EXISTS, PERSIST_BACKEND_PRECONDITION},
        {reply_error("409", "", "ConditionalRequestConflict", ""),
         PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_TRANSIENT},
        {reply_error("500", "", "InternalError", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        {reply_error("503", "", "SlowDown", ""), PERSIST_BACKEND_THROTTLED,
         PERSIST_BACKEND_THROTTLED},
        {reply_error("403", "", "AccessDenied", ""), PERSIST_BACKEND_DENIED,
         PERSIST_BACKEND_DENIED},
        {reply_error("404", "", "NoSuchBucket", ""), PERSIST_BACKEND_CONFIG,
         PERSIST_BACKEND_CONFIG},
        {reply_error("400", "", "EntityTooLarge", ""), PERSIST_BACKEND_INVALID,
         PERSIST_BACKEND_INVALID},
        {reply_error("400", "", "BadDigest", ""), PERSIST_BACKEND_TRANSIENT,
         PERSIST_BACKEND_TRANSIENT},
        {STORED("x-amz-checksum-crc32c: AAAAAA==\r\n"), PERSIST_BACKEND_CORRUPT,
         PERSIST_BACKEND_CORRUPT},
        {STORED("x-amz-checksum-crc32c: nonsense\r\n"), PERSIST_BACKEND_CORRUPT,
         PERSIST_BACKEND_CORRUPT},
        {REPLY_EMPTY("200", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        /* Done, by the look of it, and not as S3 says so. */
        {REPLY_EMPTY("201", "ETag: \"e1\"\r\n"), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        {REPLY_EMPTY("204", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        /* A page that somebody in front of the service has for everything. */
        {reply_with("200", "ETag: W/\"5-1\"\r\n", "<p>log in</p>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_TRANSIENT},
        {{.bytes = NULL, .then = THEN_CLOSE},
         PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        {{.bytes = NULL, .then = THEN_RESET},
         PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
        {{.bytes = "HTTP/1.1 200 OK\r\nETa", .then = THEN_CLOSE},
         PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (uint32_t flags = 0; flags <= IF_ABSENT; flags += IF_ABSENT) {
            struct script replies[] = {cases[i].reply, REPLY_EMPTY("204", "")};
            int32_t want = flags ? cases[i].absent : cases[i].replace;
            struct stage g;
            int32_t rc;

            stage_open(&g, replies, 2, NULL);
            rc = stage_put(&g, "a", DATA, flags);
            if (rc != want)
                print_error("case %zu, flags %u: %s\n", i, flags,
                            g.err.message);
            assert_int_equal(rc, want);
            assert_true(g.err.message[0] != '\0');
            assert_string_equal(g.etag[0] != '\0' ? "etag" : "", "");
            stage_close(&g);
        }
}

/* What a service stored wrongly does not stay, where this put created it. */
static void put__takes_wrong_bytes_back(void **state)
{
    const struct script replies[] = {
        STORED("x-amz-checksum-crc32c: AAAAAA==\r\n"), REPLY_EMPTY("204", "")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 2, NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT),
                     PERSIST_BACKEND_CORRUPT);
    assert_true(stage_sent(&g, 1, "DELETE /bucket/p/a HTTP/1.1"));
    assert_true(stage_sent(&g, 1, "\r\nif-match: \"e1\"\r\n"));
    stage_close(&g);
    stage_open(&g, replies, 2, NULL);
    assert_int_equal(stage_put(&g, "a", DATA, 0), PERSIST_BACKEND_CORRUPT);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

/* A service that does not know the condition is never written without it. */
static void put__is_not_done_without_the_condition(void **state)
{
    struct script replies[] = {reply_error("501", "", "NotImplemented", ""),
                               reply_error("501", "", "NotImplemented", ""),
                               reply_error("501", "", "NotImplemented", "")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT),
                     PERSIST_BACKEND_UNSUPPORTED);
    for (unsigned i = 0; i < server_requests(g.server); i++)
        assert_true(stage_sent(&g, i, "\r\nif-none-match: *\r\n"));
    /* Nothing was learned from a refusal of everything. */
    assert_int_equal(checksum_level(g.store, false), S3_CRC_WHOLE);
    stage_close(&g);
}

/* ---------------------------------------------------------------- checksums */

static void checksum__is_learned_from_refusals(void **state)
{
    struct script replies[] = {
        reply_error("400", "", "InvalidArgument",
                    "<Message>Unsupported header 'x-amz-checksum-crc32c' "
                    "received</Message>"),
        STORED(""), STORED("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, "sign_payload=auto", NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT), OK);
    assert_true(stage_sent(&g, 0, "x-amz-checksum-crc32c"));
    assert_false(stage_sent(&g, 1, "x-amz-checksum-crc32c"));
    assert_true(
        stage_sent(&g, 1, "\r\ncontent-md5: JfnnlDI7RTiF9RgfG2JNCw==\r\n"));
    assert_true(stage_sent(&g, 1, DATA_SHA256));
    assert_int_equal(stage_put(&g, "b", DATA, IF_ABSENT), OK);
    assert_int_equal(server_requests(g.server), 3);
    assert_true(stage_sent(&g, 2, "content-md5"));
    stage_close(&g);
}

static void checksum__goes_down_to_the_signature(void **state)
{
    struct script replies[] = {
        reply_error("501", "", "NotImplemented", ""),
        reply_error("400", "", "InvalidRequest",
                    "<Message>Content-MD5 is not supported</Message>"),
        STORED("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT), OK);
    assert_false(stage_sent(&g, 2, "content-md5"));
    assert_false(stage_sent(&g, 2, "x-amz-checksum"));
    assert_true(stage_sent(&g, 2, DATA_SHA256));
    assert_int_equal(checksum_level(g.store, false), S3_SHA256);
    stage_close(&g);
}

static void checksum__always_means_so(void **state)
{
    struct script replies[] = {reply_error(
        "400", "", "InvalidArgument",
        "<Message>Unsupported header 'x-amz-checksum-crc32c'</Message>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "checksum=always", NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

static void checksum__never_means_so(void **state)
{
    const struct script replies[] = {STORED("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "checksum=never", "sign_payload=never", NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT), OK);
    assert_false(stage_sent(&g, 0, "x-amz-checksum"));
    assert_false(stage_sent(&g, 0, "content-md5"));
    assert_true(stage_sent(&g, 0, "UNSIGNED-PAYLOAD"));
    stage_close(&g);
}

/* A wrong digest is no refusal of digests. */
static void checksum__is_not_given_up_for_damage(void **state)
{
    struct script replies[] = {
        reply_error("400", "", "BadDigest",
                    "<Message>The CRC32C you specified did not match the "
                    "calculated checksum.</Message>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_put(&g, "a", DATA, IF_ABSENT),
                     PERSIST_BACKEND_TRANSIENT);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

static void put__refuses_bytes_that_changed_in_memory(void **state)
{
    struct script replies[] = {reply_error("400", "", "BadDigest", "")};
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .flags = IF_ABSENT,
                                            .key = "a",
                                            .data = DATA,
                                            .len = 9,
                                            .present =
                                                PERSIST_BACKEND_HAS_CRC32C,
                                            .crc32c = 1,
                                            .content_type = "text/plain"};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(g.ops->put(g.store, &g.call, &args, &result, &g.err),
                     PERSIST_BACKEND_CORRUPT);
    args.len = ((uint64_t)5 << 30) + 1;
    assert_int_equal(g.ops->put(g.store, &g.call, &args, &result, &g.err),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

static void delete__tells_what_is_known(void **state)
{
    struct script replies[] = {REPLY_EMPTY("204", ""), REPLY_EMPTY("200", ""),
                               reply_error("404", "", "NoSuchKey", ""),
                               reply_error("404", "", "NoSuchBucket", ""),
                               reply_error("403", "", "AccessDenied", "")};
    struct stage g;
    uint32_t was = 9;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_delete(&g, "a", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_UNKNOWN);
    assert_int_equal(stage_delete(&g, "a", &was), OK);
    assert_int_equal(stage_delete(&g, "a", &was), OK);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    assert_int_equal(stage_delete(&g, "a", &was), PERSIST_BACKEND_CONFIG);
    assert_int_equal(stage_delete(&g, "a", &was), PERSIST_BACKEND_DENIED);
    assert_non_null(strstr(g.err.message, "s3:DeleteObject"));
    assert_int_equal(stage_delete(&g, "../a", &was), PERSIST_BACKEND_INVALID);
    stage_close(&g);
}

/* The first answer there is tells whose the endpoint is, and that nothing was
 * written; once S3 has answered nobody knows. */
static void put__to_another_service_is_final(void **state)
{
    static char page[] = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\n"
                         "Content-Length: 20\r\n\r\n<html>Log in</html>\n";
    struct script replies[] = {
        {.bytes = page}, {.bytes = page}, STORED(""), {.bytes = page}};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_put(&g, "a", "x", IF_ABSENT),
                     PERSIST_BACKEND_CONFIG);
    assert_int_equal(stage_put(&g, "a", "x", 0), PERSIST_BACKEND_CONFIG);
    assert_int_equal(stage_put(&g, "a", "x", IF_ABSENT), OK);
    assert_int_equal(stage_put(&g, "a", "x", IF_ABSENT),
                     PERSIST_BACKEND_UNCERTAIN);
    stage_close(&g);
}

/* Of a login that has run out, say: nothing was deleted. */
static void delete__takes_no_page_for_done(void **state)
{
    const struct {
        struct script reply;
        int32_t code;
    } rows[] = {
        {reply_with("200", "Content-Type: text/html\r\n",
                    "<!DOCTYPE html><h1>Log in</h1>"),
         PERSIST_BACKEND_TRANSIENT},
        {reply_with("200", "", "log in"), PERSIST_BACKEND_TRANSIENT},
        {reply_with("200", "", "<Error><Code>AccessDenied</Code></Error>"),
         PERSIST_BACKEND_DENIED},
        {REPLY_EMPTY("202", ""), PERSIST_BACKEND_IO},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage g;
        uint32_t was;

        stage_open(&g, &rows[i].reply, 1, NULL);
        assert_int_equal(stage_delete(&g, "a", &was), rows[i].code);
        stage_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(put__says_what_it_stores),
        TEST(put__replaces_without_the_condition),
        TEST(put__has_the_attributes_of_the_store),
        TEST(put__says_what_happened),
        TEST(put__takes_wrong_bytes_back),
        TEST(put__is_not_done_without_the_condition),
        TEST(checksum__is_learned_from_refusals),
        TEST(checksum__goes_down_to_the_signature),
        TEST(checksum__always_means_so),
        TEST(checksum__never_means_so),
        TEST(checksum__is_not_given_up_for_damage),
        TEST(put__refuses_bytes_that_changed_in_memory),
        TEST(delete__tells_what_is_known),
        TEST(put__to_another_service_is_final),
        TEST(delete__takes_no_page_for_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
