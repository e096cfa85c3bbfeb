/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads: ranges and suffixes, versions, the ends of objects, and services that
 * answer with something else than they were asked for.
 */
#include "stage_test_kit.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RANGE PERSIST_BACKEND_READ_RANGE
#define SUFFIX PERSIST_BACKEND_READ_SUFFIX
#define PART(range, more, body)                                                \
    reply_with("206",                                                          \
               "ETag: \"e1\"\r\nContent-Range: bytes " range "\r\n" more,      \
               body)
#define WHOLE(more, body) reply_with("200", "ETag: \"e1\"\r\n" more, body)

static void read__asks_for_a_range(void **state)
{
    struct script replies[] = {PART("3-6/10", "", "3456"),
                               PART("6-9/10", "", "6789"),
                               PART("0-9/10", "", "0123456789")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_read(&g, "a", RANGE, 3, 4, "\"e1\""), OK);
    assert_true(stage_sent(&g, 0, "GET /bucket/p/a HTTP/1.1"));
    assert_true(stage_sent(&g, 0, "\r\nrange: bytes=3-6\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nif-match: \"e1\"\r\n"));
    assert_int_equal(g.read.len, 4);
    assert_int_equal(g.read.offset, 3);
    assert_int_equal(g.read.total, 10);
    assert_string_equal(g.read.etag, "\"e1\"");
    assert_memory_equal(g.buffer, "3456#", 5);
    assert_int_equal(stage_read(&g, "a", SUFFIX, 0, 4, NULL), OK);
    assert_true(stage_sent(&g, 1, "\r\nrange: bytes=-4\r\n"));
    assert_false(stage_sent(&g, 1, "if-match"));
    assert_int_equal(g.read.offset, 6);
    assert_int_equal(stage_read(&g, "a", SUFFIX, 0, 100, NULL), OK);
    assert_int_equal(g.read.offset, 0);
    assert_int_equal(g.read.len, 10);
    stage_close(&g);
}

static void read__takes_the_whole_object_where_it_fits(void **state)
{
    struct script replies[] = {WHOLE("", "0123456789"), WHOLE("", "0123456789"),
                               WHOLE("", ""), WHOLE("", "0123456789")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_read(&g, "a", RANGE, 3, 16, NULL), OK);
    assert_int_equal(g.read.len, 7);
    assert_int_equal(g.read.offset, 3);
    assert_int_equal(g.read.total, 10);
    assert_memory_equal(g.buffer, "3456789", 7);
    assert_int_equal(stage_read(&g, "a", RANGE, 12, 16, NULL), OK);
    assert_int_equal(g.read.len, 0);
    assert_int_equal(stage_read(&g, "a", SUFFIX, 0, 16, NULL), OK);
    assert_int_equal(g.read.len, 0);
    assert_int_equal(g.read.total, 0);
    assert_int_equal(stage_read(&g, "a", SUFFIX, 0, 10, NULL), OK);
    assert_memory_equal(g.buffer, "0123456789", 10);
    stage_close(&g);
}

static void read__refuses_whole_objects_that_do_not_fit(void **state)
{
    struct script replies[] = {WHOLE("", "0123456789")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_read(&g, "a", RANGE, 3, 4, NULL),
                     PERSIST_BACKEND_UNSUPPORTED);
    assert_memory_equal(g.buffer + 4, "####", 4);
    stage_close(&g);
}

/* Behind the end there is nothing, which is an answer: HEAD has the size. */
static void read__behind_the_end_is_empty(void **state)
{
    struct script end = reply_error("416", "", "InvalidRange", "");
    struct script head = {.bytes = "HTTP/1.1 200 OK\r\nETag: \"e2\"\r\n"
                                   "Content-Length: 10\r\n\r\n"};
    struct script replies[] = {end, head, end, head, REPLY_EMPTY("412", ""),
                               head};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_read(&g, "a", RANGE, 10, 4, "\"e2\""), OK);
    assert_true(stage_sent(&g, 1, "HEAD /bucket/p/a"));
    assert_true(stage_sent(&g, 1, "if-match: \"e2\""));
    assert_int_equal(g.read.len, 0);
    assert_int_equal(g.read.total, 10);
    assert_string_equal(g.read.etag, "\"e2\"");
    /* The end has moved since: not an answer about one version. */
    assert_int_equal(stage_read(&g, "a", RANGE, 5, 4, NULL),
                     PERSIST_BACKEND_TRANSIENT);
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 4, "\"e1\""),
                     PERSIST_BACKEND_PRECONDITION);
    /* No number can say this one. */
    assert_int_equal(stage_read(&g, "a", RANGE, UINT64_MAX, 4, NULL), OK);
    assert_true(stage_sent(&g, 5, "HEAD /bucket/p/a"));
    assert_int_equal(g.read.total, 10);
    stage_close(&g);
}

static void read__never_asks_behind_signed_numbers(void **state)
{
    struct script replies[] = {PART("5-9/10", "", "56789")};
    struct stage g;
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = RANGE,
                                             .key = "a",
                                             .offset = 5,
                                             .buffer = NULL,
                                             .len = UINT64_MAX};

    (void)state;
    stage_open(&g, replies, 1, NULL);
    args.buffer = g.buffer;
    g.read.struct_size = sizeof(g.read);
    assert_int_equal(g.ops->read(g.store, &g.call, &args, &g.read, &g.err), OK);
    assert_true(stage_sent(&g, 0, "range: bytes=5-9223372036854775807\r\n"));
    stage_close(&g);
}

static void read__notices_other_answers(void **state)
{
    const struct {
        struct script reply;
        int32_t code;
    } cases[] = {
        {PART("4-7/10", "", "4567"), PERSIST_BACKEND_IO}, /* elsewhere */
        {PART("3-5/10", "", "345"), PERSIST_BACKEND_IO},  /* shorter */
        {PART("3-6/10", "", "345"), PERSIST_BACKEND_IO},  /* says otherwise */
        {PART("3-6/*", "", "3456"), PERSIST_BACKEND_IO},  /* no total */
        {PART("6-3/10", "", "3456"), PERSIST_BACKEND_IO}, /* nonsense */
        {PART("3-6/6", "", "3456"), PERSIST_BACKEND_IO},  /* beyond total */
        {PART("3-7/10", "", "34567"), PERSIST_BACKEND_CORRUPT}, /* longer */
        {reply_with("206", "ETag: \"e1\"\r\n", "3456"), PERSIST_BACKEND_IO},
        {reply_with("206", "Content-Range: bytes 3-6/10\r\n", "3456"),
         PERSIST_BACKEND_IO},
        {reply_with("206", "ETag: \"e9\"\r\nContent-Range: bytes 3-6/10\r\n",
                    "3456"),
         PERSIST_BACKEND_PRECONDITION},
        {reply_with("204", "", ""), PERSIST_BACKEND_IO},
        {reply_error("412", "", "PreconditionFailed", ""),
         PERSIST_BACKEND_PRECONDITION},
        {reply_error("404", "", "NoSuchKey", ""), PERSIST_BACKEND_NOT_FOUND},
        {reply_error("403", "", "AccessDenied", ""), PERSIST_BACKEND_DENIED},
        {{.bytes = "HTTP/1.1 206 x\r\nETag: \"e1\"\r\nContent-Length: 4\r\n"
                   "Content-Range: bytes 3-6/10\r\n\r\n34",
          .then = THEN_CLOSE},
         PERSIST_BACKEND_TRANSIENT},
        {{.bytes = "HTTP/1.1 206 x\r\nETag: \"e1\"\r\nContent-Length: 4\r\n"
                   "Content-Range: bytes 3-6/10\r\n\r\n34",
          .then = THEN_RESET},
         PERSIST_BACKEND_TRANSIENT},
        /* Nothing tells where this body ends. */
        {{.bytes = "HTTP/1.1 206 x\r\nETag: \"e1\"\r\n"
                   "Content-Range: bytes 3-6/10\r\n\r\n3456",
          .then = THEN_CLOSE},
         PERSIST_BACKEND_TRANSIENT},
        {{.bytes = NULL, .then = THEN_CLOSE}, PERSIST_BACKEND_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage g;
        int32_t rc;

        stage_open(&g, &cases[i].reply, 1, NULL);
        rc = stage_read(&g, "a", RANGE, 3, 4, "\"e1\"");
        if (rc != cases[i].code)
            print_error("case %zu: %d %s\n", i, rc, g.err.message);
        assert_int_equal(rc, cases[i].code);
        assert_memory_equal(g.buffer + 4, "####", 4);
        stage_close(&g);
    }
}

/* "123456789" has the CRC-32C 4waSgw==. */
static void checksum__is_looked_at_where_it_covers_the_bytes(void **state)
{
#define FULL "x-amz-checksum-type: FULL_OBJECT\r\n"
#define COMPOSITE "x-amz-checksum-type: COMPOSITE\r\n"
#define RIGHT "x-amz-checksum-crc32c: 4waSgw==\r\n"
#define WRONG "x-amz-checksum-crc32c: AAAAAA==\r\n"
    const struct {
        struct script reply;
        int32_t code;
    } cases[] = {
        {WHOLE(RIGHT, "123456789"), OK},
        {WHOLE(WRONG, "123456789"), PERSIST_BACKEND_CORRUPT},
        {WHOLE(FULL WRONG, "123456789"), PERSIST_BACKEND_CORRUPT},
        {WHOLE(COMPOSITE WRONG, "123456789"), OK},
        {WHOLE("x-amz-checksum-crc32c: AAAAAA==-2\r\n", "123456789"), OK},
        {PART("0-8/9", FULL RIGHT, "123456789"), OK},
        {PART("0-8/9", FULL WRONG, "123456789"), PERSIST_BACKEND_CORRUPT},
        /* Older services send the whole's with any part, or no type. */
        {PART("0-8/9", WRONG, "123456789"), OK},
        {PART("0-8/20", FULL WRONG, "123456789"), OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage g;
        int32_t rc;

        stage_open(&g, &cases[i].reply, 1, NULL);
        rc = stage_read(&g, "a", RANGE, 0, 9, NULL);
        if (rc != cases[i].code)
            print_error("case %zu: %d %s\n", i, rc, g.err.message);
        assert_int_equal(rc, cases[i].code);
        stage_close(&g);
    }
}

static void checksum__is_not_looked_at_where_nobody_wants_it(void **state)
{
    struct script replies[] = {WHOLE(WRONG, "123456789")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "checksum=never", NULL);
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 9, NULL), OK);
    stage_close(&g);
}

static void head__needs_size_and_version(void **state)
{
    const struct script replies[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        {.bytes = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\n\r\n", .then = THEN_CLOSE},
        {.bytes = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 5\r\n"
                  "Last-Modified: yesterday\r\n\r\n"}};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_IO);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_IO);
    assert_int_equal(stage_head(&g, "a"), OK);
    assert_int_equal(g.head.present, 0);
    stage_close(&g);
}

/* Pages have lengths and ETags as objects have. */
static void pages__are_no_objects(void **state)
{
#define PAGE                                                                   \
    "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Type: text/html; charset=x\r\n" \
    "Content-Length: 30\r\n\r\n"
    const struct script replies[] = {
        {.bytes = PAGE},
        {.bytes = PAGE "<!DOCTYPE html>012345678901234"},
        {.bytes = PAGE "<!DOCTYPE html>012345678901234"},
        {.bytes = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\n"
                  "Content-Type: text/html\r\nx-amz-request-id: R\r\n"
                  "Content-Length: 4\r\n\r\n<htm"},
        {.bytes = PAGE},
        {.bytes = PAGE "<!DOCTYPE html>012345678901234"}};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(g.err.message, "web page"));
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 40, NULL),
                     PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(g.err.message, "web page"));
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 20, NULL), /* too long */
                     PERSIST_BACKEND_CONFIG);
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 20, NULL), OK);
    /* That was S3, and a page is its front's bad minute. */
    assert_int_equal(stage_head(&g, "a"), PERSIST_BACKEND_TRANSIENT);
    assert_int_equal(stage_read(&g, "a", RANGE, 0, 40, NULL),
                     PERSIST_BACKEND_TRANSIENT);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read__asks_for_a_range),
        TEST(read__takes_the_whole_object_where_it_fits),
        TEST(read__refuses_whole_objects_that_do_not_fit),
        TEST(read__behind_the_end_is_empty),
        TEST(read__never_asks_behind_signed_numbers),
        TEST(read__notices_other_answers),
        TEST(checksum__is_looked_at_where_it_covers_the_bytes),
        TEST(checksum__is_not_looked_at_where_nobody_wants_it),
        TEST(head__needs_size_and_version),
        TEST(pages__are_no_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
