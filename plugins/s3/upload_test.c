/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multipart uploads: what each request says, what an id carries, and every way
 * a commit can end.
 */
#include "stage_test_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BEGUN(headers)                                                         \
    reply_with("200", headers,                                                 \
               "<?xml version=\"1.0\"?><InitiateMultipartUploadResult>"        \
               "<Bucket>bucket</Bucket><Key>p/a</Key>"                         \
               "<UploadId>id/+=1</UploadId></InitiateMultipartUploadResult>")
#define STORED(headers) REPLY_EMPTY("200", "ETag: \"e1\"\r\n" headers)
#define RESULT(more)                                                           \
    "<CompleteMultipartUploadResult><Bucket>bucket</Bucket>"                   \
    "<ETag>&quot;done-2&quot;</ETag>" more "</CompleteMultipartUploadResult>"
#define DATA "123456789"

/* ------------------------------------------------------------------- begin */

static void begin__asks_for_checksums_of_the_whole(void **state)
{
    struct script replies[] = {BEGUN("x-amz-checksum-type: FULL_OBJECT\r\n")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, "storage_class=GLACIER_IR", NULL);
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_string_equal(g.upload_id, "w.id/+=1");
    assert_true(stage_sent(&g, 0, "POST /bucket/p/a?uploads= HTTP/1.1"));
    assert_true(stage_sent(&g, 0, "x-amz-checksum-algorithm: CRC32C"));
    assert_true(stage_sent(&g, 0, "x-amz-checksum-type: FULL_OBJECT"));
    assert_true(stage_sent(&g, 0, "x-amz-storage-class: GLACIER_IR"));
    assert_true(stage_sent(&g, 0, "content-type: text/plain"));
    stage_close(&g);
}

/* The ladder of uploads: whole, parts, MD5, signature. */
static void begin__takes_what_a_service_has(void **state)
{
    struct script no = reply_error("400", "", "InvalidRequest",
                                   "<Message>checksum type</Message>");
    struct script replies[] = {no, BEGUN(""), BEGUN(""), no, no, BEGUN("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_string_equal(g.upload_id, "p.id/+=1");
    assert_false(stage_sent(&g, 1, "x-amz-checksum-type"));
    assert_true(stage_sent(&g, 1, "x-amz-checksum-algorithm: CRC32C"));
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_string_equal(g.upload_id, "p.id/+=1");
    /* From here on: neither. */
    stage_close(&g);
    stage_open(&g, replies + 3, 3, NULL);
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_string_equal(g.upload_id, "m.id/+=1");
    assert_false(stage_sent(&g, 2, "x-amz-checksum"));
    stage_close(&g);
}

static void begin__notices_a_lesser_checksum(void **state)
{
    struct script replies[] = {BEGUN("x-amz-checksum-type: COMPOSITE\r\n")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_string_equal(g.upload_id, "p.id/+=1");
    stage_close(&g);
}

static void begin__needs_an_id(void **state)
{
    static const char *const bodies[] = {
        "", "<InitiateMultipartUploadResult><UploadId>ab",
        "<InitiateMultipartUploadResult><UploadId></UploadId>"
        "</InitiateMultipartUploadResult>",
        "<Other><UploadId>a</UploadId></Other>", "garbage"};

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct script replies[] = {reply_with("200", "", bodies[i])};
        struct stage g;

        stage_open(&g, replies, 1, NULL);
        assert_int_equal(stage_begin(&g, "a"), PERSIST_BACKEND_TRANSIENT);
        assert_string_equal(g.upload_id, "");
        stage_close(&g);
    }
}

/* libcurl would send it again over a new connection, and nobody would know of
 * the first one's upload. */
static void begin__is_sent_once_where_its_reply_is_lost(void **state)
{
    struct script replies[] = {
        REPLY_EMPTY("204", ""), {.bytes = NULL, .then = THEN_CLOSE}, BEGUN("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_abort(&g, "a", "w.id"), OK); /* keeps a connection */
    assert_int_equal(stage_begin(&g, "a"), PERSIST_BACKEND_TRANSIENT);
    assert_int_equal(server_requests(g.server), 2);
    stage_close(&g);
}

/* A first attempt may have begun an upload that nobody knows of. */
static void begin__aborts_what_a_lost_reply_left(void **state)
{
    struct script replies[] = {
        reply_with("200", "",
                   "<ListMultipartUploadsResult><IsTruncated>false"
                   "</IsTruncated>"
                   "<Upload><Key>p/a</Key><UploadId>new</UploadId><Initiated>"
                   "2026-01-15T11:59:58.000Z</Initiated></Upload>"
                   "<Upload><Key>p/a</Key><UploadId>old</UploadId><Initiated>"
                   "2026-01-15T09:00:00.000Z</Initiated></Upload>"
                   "<Upload><Key>p/ab</Key><UploadId>other</UploadId>"
                   "<Initiated>2026-01-15T11:59:58.000Z</Initiated></Upload>"
                   "</ListMultipartUploadsResult>"),
        REPLY_EMPTY("204", ""), BEGUN("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    atomic_store(&kit_wall, INT64_C(1768478400000000));
    g.call.attempt = 2;
    assert_int_equal(stage_begin(&g, "a"), OK);
    assert_true(stage_sent(&g, 0,
                           "GET /bucket?encoding-type=url&max-uploads="
                           "1000&prefix=p%2Fa&uploads= HTTP/1.1"));
    assert_true(stage_sent(&g, 1, "DELETE /bucket/p/a?uploadId=new HTTP/1.1"));
    assert_true(stage_sent(&g, 2, "POST /bucket/p/a?uploads="));
    assert_int_equal(server_requests(g.server), 3);
    stage_close(&g);
}

/* -------------------------------------------------------------------- parts */

static void part__carries_checksum_and_number(void **state)
{
    const struct script replies[] = {
        STORED("x-amz-checksum-crc32c: 4waSgw==\r\n"), STORED(""), STORED("")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_part(&g, "a", "w.id/+=1", 7, DATA, 9, true), OK);
    assert_int_equal(g.part.receipt_len, 4);
    assert_memory_equal(g.part.receipt, "\"e1\"", 4);
    assert_true(stage_sent(
        &g, 0, "PUT /bucket/p/a?partNumber=7&uploadId=id%2F%2B%3D1 HTTP/1.1"));
    assert_true(stage_sent(&g, 0, "x-amz-checksum-crc32c: 4waSgw=="));
    assert_int_equal(stage_part(&g, "a", "m.x", 1, DATA, 9, true), OK);
    assert_true(stage_sent(&g, 1, "content-md5: JfnnlDI7RTiF9RgfG2JNCw=="));
    assert_false(stage_sent(&g, 1, "x-amz-checksum"));
    assert_int_equal(stage_part(&g, "a", "u.x", 1, DATA, 9, true), OK);
    assert_false(stage_sent(&g, 2, "x-amz-checksum"));
    assert_false(stage_sent(&g, 2, "content-md5"));
    stage_close(&g);
}

static void part__says_what_happened(void **state)
{
    const struct {
        struct script reply;
        int32_t code;
    } cases[] = {
        {reply_error("404", "", "NoSuchUpload", ""), PERSIST_BACKEND_NOT_FOUND},
        {reply_error("500", "", "InternalError", ""),
         PERSIST_BACKEND_TRANSIENT},
        {reply_error("400", "", "BadDigest", ""), PERSIST_BACKEND_TRANSIENT},
        {reply_error("400", "", "EntityTooSmall", ""), PERSIST_BACKEND_INVALID},
        {reply_error("403", "", "AccessDenied", ""), PERSIST_BACKEND_DENIED},
        {STORED("x-amz-checksum-crc32c: AAAAAA==\r\n"),
         PERSIST_BACKEND_TRANSIENT},
        {REPLY_EMPTY("200", ""), PERSIST_BACKEND_TRANSIENT},
        {reply_with("200", "ETag: W/\"5-1\"\r\n", "<p>log in</p>"),
         PERSIST_BACKEND_TRANSIENT},
        {{.bytes = NULL, .then = THEN_CLOSE}, PERSIST_BACKEND_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage g;

        stage_open(&g, &cases[i].reply, 1, NULL);
        assert_int_equal(stage_part(&g, "a", "w.id", 1, DATA, 9, true),
                         cases[i].code);
        stage_close(&g);
    }
}

static void part__is_checked_before_it_is_sent(void **state)
{
    struct stage g;

    (void)state;
    stage_open(&g, NULL, 0, NULL);
    assert_int_equal(stage_part(&g, "a", "w.id", 0, DATA, 9, true),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(stage_part(&g, "a", "w.id", 10001, DATA, 9, true),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(stage_part(&g, "a", "w.id", 1, DATA, 9, false),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(stage_part(&g, "a", "id", 1, DATA, 9, true),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(stage_part(&g, "a", "w.", 1, DATA, 9, true),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(stage_part(&g, "a", "", 1, DATA, 9, true),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(server_connections(g.server), 0);
    stage_close(&g);
}

/* ------------------------------------------------------------------- commit */

static void commit__names_parts_checksum_and_size(void **state)
{
    struct script replies[] = {reply_with("200", "", RESULT(""))};
    struct stage g;
    char line[64] = "\r\nx-amz-checksum-crc32c: ";

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_commit(&g, "a", "w.id", IF_ABSENT), OK);
    assert_string_equal(g.etag, "\"done-2\"");
    assert_true(stage_sent(&g, 0, "POST /bucket/p/a?uploadId=id HTTP/1.1"));
    assert_true(stage_sent(&g, 0, "\r\nif-none-match: *\r\n"));
    assert_true(stage_sent(&g, 0, "\r\ncontent-type: application/xml\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-mp-object-size: 5242889\r\n"));
    assert_true(stage_sent(&g, 0, "\r\nx-amz-checksum-type: FULL_OBJECT\r\n"));
    assert_true(stage_sent(&g, 0, strcat(line, stage_commit_crc())));
    assert_true(stage_sent_body(
        &g, 0,
        "<Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag>"
        "<ChecksumCRC32C>EjRWeA==</ChecksumCRC32C></Part><Part><PartNumber>2"));
    stage_close(&g);
}

static void commit__says_only_what_was_begun(void **state)
{
    struct script replies[] = {reply_with("200", "", RESULT("")),
                               reply_with("200", "", RESULT(""))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 2, NULL);
    assert_int_equal(stage_commit(&g, "a", "p.id", 0), OK);
    assert_false(stage_sent(&g, 0, "if-none-match"));
    assert_false(stage_sent(&g, 0, "x-amz-checksum"));
    assert_true(stage_sent_body(&g, 0, "<ChecksumCRC32C>"));
    assert_int_equal(stage_commit(&g, "a", "m.id", 0), OK);
    assert_false(stage_sent_body(&g, 1, "<ChecksumCRC32C>"));
    stage_close(&g);
}

static void commit__says_what_happened(void **state)
{
    char wrong[256], right[512];
    const struct {
        struct script reply;
        int32_t absent, replace;
    } cases[] = {
        /* Errors behind a 200, with white space that kept the line open. */
        {reply_with("200", "",
                    "   \n\n <Error><Code>InternalError</Code></Error>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_UNCERTAIN},
        {reply_with("200", "", "<Error><Code>SlowDown</Code></Error>"),
         PERSIST_BACKEND_THROTTLED, PERSIST_BACKEND_THROTTLED},
        {reply_with("200", "",
                    "<Error><Code>PreconditionFailed</Code></Error>"),
         PERSIST_BACKEND_EXISTS, PERSIST_BACKEND_PRECONDITION},
        {reply_with("200", "", "<Error><Code>AccessDenied</Code></Error>"),
         PERSIST_BACKEND_DENIED, PERSIST_BACKEND_DENIED},
        {reply_with("200", "", "<Error><Code>Bad\nNew</Code></Error>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_UNCERTAIN},
        /* Cut off, empty, something else. */
        {reply_with("200", "", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_UNCERTAIN},
        {reply_with("200", "", "<CompleteMultipartUploadResult><ETag>a</ETag>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_UNCERTAIN},
        {reply_with("200", "", "<Error><Code>AccessDenied</Code>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_UNCERTAIN},
        {reply_with("200", "", "<html>fine</html>"), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_UNCERTAIN},
        {REPLY_EMPTY("202", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_UNCERTAIN},
        {reply_with("200", "",
                    "<CompleteMultipartUploadResult>"
                    "</CompleteMultipartUploadResult>"),
         PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_UNCERTAIN},
        {{.bytes = NULL, .then = THEN_CLOSE},
         PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_UNCERTAIN},
        {reply_error("500", "", "InternalError", ""), PERSIST_BACKEND_UNCERTAIN,
         PERSIST_BACKEND_UNCERTAIN},
        {reply_error("503", "", "SlowDown", ""), PERSIST_BACKEND_THROTTLED,
         PERSIST_BACKEND_THROTTLED},
        {reply_error("412", "", "PreconditionFailed", ""),
         PERSIST_BACKEND_EXISTS, PERSIST_BACKEND_PRECONDITION},
        /* The upload is spent. */
        {reply_error("409", "", "ConditionalRequestConflict", ""),
         PERSIST_BACKEND_PRECONDITION, PERSIST_BACKEND_PRECONDITION},
        {reply_error("400", "", "EntityTooSmall", ""), PERSIST_BACKEND_INVALID,
         PERSIST_BACKEND_INVALID},
        {reply_with("200", "",
                    (snprintf(wrong, sizeof(wrong), RESULT("%s"),
                              "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"),
                     wrong)),
         PERSIST_BACKEND_CORRUPT, PERSIST_BACKEND_CORRUPT},
        {reply_with("200", "",
                    (snprintf(right, sizeof(right),
                              "\n \r\n" RESULT("<ChecksumCRC32C>%s"
                                               "</ChecksumCRC32C>"),
                              stage_commit_crc()),
                     right)),
         OK, OK},
        {reply_with("200", "",
                    RESULT("<ChecksumCRC32C>AAAAAA==-2</ChecksumCRC32C>")),
         OK, OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (uint32_t flags = 0; flags <= IF_ABSENT; flags += IF_ABSENT) {
            struct script replies[] = {cases[i].reply, REPLY_EMPTY("204", "")};
            int32_t want = flags ? cases[i].absent : cases[i].replace;
            struct stage g;
            int32_t rc;

            stage_open(&g, replies, 2, NULL);
            rc = stage_commit(&g, "a", "w.id", flags);
            if (rc != want)
                print_error("case %zu, flags %u: %d %s\n", i, flags, rc,
                            g.err.message);
            assert_int_equal(rc, want);
            assert_int_equal(g.etag[0] != '\0', want == OK);
            stage_close(&g);
        }
}

/* NoSuchUpload: the object tells whether an earlier attempt was the one. */
static void commit__asks_the_object_where_the_upload_is_gone(void **state)
{
    char same[512],
        other[] = "HTTP/1.1 200 OK\r\nETag: \"o\"\r\n"
                  "Content-Length: 77\r\n\r\n",
        untold[] = "HTTP/1.1 200 OK\r\nETag: \"o\"\r\n"
                   "Content-Length: 5242889\r\n\r\n",
        page[] = "HTTP/1.1 200 OK\r\nETag: \"o\"\r\n"
                 "Content-Type: text/html\r\nContent-Length: 77\r\n\r\n";
    const struct {
        struct script head;
        uint32_t flags;
        int32_t code;
    } cases[] = {
        {{.bytes = same}, IF_ABSENT, PERSIST_BACKEND_EXISTS},
        {{.bytes = other}, IF_ABSENT, PERSIST_BACKEND_EXISTS},
        {{.bytes = same}, 0, OK},
        {{.bytes = other}, 0, PERSIST_BACKEND_NOT_FOUND},
        {{.bytes = untold}, 0, PERSIST_BACKEND_UNCERTAIN},
        {{.bytes = untold}, IF_ABSENT, PERSIST_BACKEND_EXISTS},
        {{.bytes = page}, IF_ABSENT, PERSIST_BACKEND_UNCERTAIN},
        {REPLY_EMPTY("404", ""), IF_ABSENT, PERSIST_BACKEND_NOT_FOUND},
        {REPLY_EMPTY("403", ""), IF_ABSENT, PERSIST_BACKEND_UNCERTAIN},
        {REPLY_EMPTY("503", ""), 0, PERSIST_BACKEND_UNCERTAIN},
    };

    (void)state;
    (void)snprintf(same, sizeof(same),
                   "HTTP/1.1 200 OK\r\nETag: \"o\"\r\nContent-Length: 5242889"
                   "\r\nx-amz-checksum-crc32c: %s\r\n\r\n",
                   stage_commit_crc());
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script replies[] = {reply_error("404", "", "NoSuchUpload", ""),
                                   cases[i].head};
        struct stage g;

        stage_open(&g, replies, 2, NULL);
        assert_int_equal(stage_commit(&g, "a", "w.id", cases[i].flags),
                         cases[i].code);
        assert_true(stage_sent(&g, 1, "HEAD /bucket/p/a HTTP/1.1"));
        stage_close(&g);
    }
}

/* A service may think for minutes, in silence; other requests may not. */
static void commit__may_take_its_time(void **state)
{
    struct script replies[] = {reply_with("200", "", RESULT("")), STORED("")};
    struct stage g;

    (void)state;
    replies[0].pause_ms = replies[1].pause_ms = 900;
    stage_open(&g, replies, 2, "stall_timeout=300", NULL);
    assert_int_equal(stage_commit(&g, "a", "w.id", IF_ABSENT), OK);
    assert_int_equal(stage_part(&g, "a", "w.id", 1, DATA, 9, true),
                     PERSIST_BACKEND_TIMEOUT);
    stage_close(&g);
}

static void *ten_minutes_later(void *server)
{
    while (server_requests(server) == 0)
        (void)usleep(1000);
    atomic_store(&kit_ahead, 601000 * MS);
    return NULL;
}

static void commit__ends_where_nothing_comes(void **state)
{
    const struct script replies[] = {{.then = THEN_STALL}};
    struct stage g;
    pthread_t thread;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(pthread_create(&thread, NULL, ten_minutes_later, g.server),
                     0);
    assert_int_equal(stage_commit(&g, "a", "w.id", IF_ABSENT),
                     PERSIST_BACKEND_UNCERTAIN);
    assert_non_null(strstr(g.err.message, "no reply in time"));
    (void)pthread_join(thread, NULL);
    stage_close(&g);
}

static void *cancel_soon(void *server)
{
    while (server_requests(server) == 0)
        (void)usleep(1000);
    (void)usleep(50000);
    atomic_store(&kit_cancelled, true);
    return NULL;
}

/* What has been sent may be done, whatever its sender wants by now. */
static void commit__that_is_cancelled_is_uncertain(void **state)
{
    const struct script replies[] = {{.then = THEN_STALL}};
    struct stage g;
    pthread_t thread;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, g.server), 0);
    assert_int_equal(stage_commit(&g, "a", "w.id", IF_ABSENT),
                     PERSIST_BACKEND_UNCERTAIN);
    (void)pthread_join(thread, NULL);
    /* And what has not been sent is not. */
    assert_int_equal(stage_commit(&g, "a", "w.id", IF_ABSENT),
                     PERSIST_BACKEND_CANCELLED);
    stage_close(&g);
}

static void commit__is_checked_before_it_is_sent(void **state)
{
    const struct persist_backend_receipt good[] = {
        {.len = 9, .number = 1, .receipt_len = 1, .receipt = (void *)"e"},
        {.offset = 9,
         .len = 1,
         .number = 2,
         .receipt_len = 1,
         .receipt = (void *)"e"}};
    struct persist_backend_receipt r[2];
    struct persist_backend_commit_args args = {.struct_size = sizeof(args),
                                               .flags = IF_ABSENT,
                                               .key = "a",
                                               .upload_id = "w.id",
                                               .receipts = r,
                                               .receipt_size = sizeof(r[0])};
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};
    struct stage g;

    (void)state;
    stage_open(&g, NULL, 0, NULL);
    for (unsigned i = 0; i < 6; i++) {
        int32_t rc;

        memcpy(r, good, sizeof(r));
        args.n_receipts = i == 0 ? 0 : i == 1 ? 10001 : 2;
        args.present = 0;
        args.size = 11;
        if (i == 2)
            r[1].offset = 8;
        else if (i == 3)
            r[1].number = 3;
        else if (i == 4)
            args.present = PERSIST_BACKEND_HAS_SIZE;
        else if (i == 5)
            r[0].receipt_len = 0;
        if (i == 1)
            continue; /* needs that many: below */
        rc = g.ops->upload_commit(g.store, &g.call, &args, &result, &g.err);
        assert_int_equal(rc, PERSIST_BACKEND_INVALID);
    }
    memcpy(r, good, sizeof(r));
    args.n_receipts = 2;
    args.present = PERSIST_BACKEND_HAS_CRC32C;
    args.crc32c = 1;
    assert_int_equal(
        g.ops->upload_commit(g.store, &g.call, &args, &result, &g.err),
        PERSIST_BACKEND_CORRUPT);
    assert_int_equal(server_connections(g.server), 0);
    stage_close(&g);
}

/* The largest commit: its document is whole. */
static void commit__takes_ten_thousand_parts(void **state)
{
    struct script replies[] = {reply_with("200", "", RESULT(""))};
    struct persist_backend_receipt *r = calloc(10001, sizeof(*r));
    struct persist_backend_commit_args args = {.struct_size = sizeof(args),
                                               .key = "a",
                                               .upload_id = "w.id",
                                               .receipts = r,
                                               .n_receipts = 10000,
                                               .receipt_size = sizeof(*r)};
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};
    static char etag[PERSIST_BACKEND_ETAG_MAX];
    struct stage g;

    (void)state;
    assert_non_null(r);
    memset(etag, 'e', sizeof(etag) - 1);
    for (uint32_t i = 0; i < 10001; i++)
        r[i] =
            (struct persist_backend_receipt){.offset = (uint64_t)i * 100,
                                             .len = 100,
                                             .number = i + 1,
                                             .receipt_len = 34,
                                             .receipt = (const uint8_t *)etag};
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(
        g.ops->upload_commit(g.store, &g.call, &args, &result, &g.err), OK);
    assert_true(stage_sent_body(&g, 0, "<PartNumber>10000</PartNumber>"));
    assert_true(stage_sent_body(&g, 0, "</CompleteMultipartUpload>"));
    args.n_receipts = 10001;
    assert_int_equal(
        g.ops->upload_commit(g.store, &g.call, &args, &result, &g.err),
        PERSIST_BACKEND_INVALID);
    stage_close(&g);
    free(r);
}

/* -------------------------------------------------------------------- abort */

static void abort__is_done_where_nothing_is_left(void **state)
{
    struct script replies[] = {REPLY_EMPTY("204", ""),
                               reply_error("404", "", "NoSuchUpload", ""),
                               reply_error("403", "", "AccessDenied", ""),
                               reply_error("404", "", "NoSuchBucket", ""),
                               reply_with("200", "", "<html>Log in</html>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_abort(&g, "a", "x.id"), OK);
    assert_true(stage_sent(&g, 0, "DELETE /bucket/p/a?uploadId=id HTTP/1.1"));
    assert_int_equal(stage_abort(&g, "a", "w.id"), OK);
    assert_int_equal(stage_abort(&g, "a", "w.id"), PERSIST_BACKEND_DENIED);
    assert_non_null(strstr(g.err.message, "s3:AbortMultipartUpload"));
    assert_int_equal(stage_abort(&g, "a", "w.id"), PERSIST_BACKEND_CONFIG);
    assert_int_equal(stage_abort(&g, "a", "w.id"), PERSIST_BACKEND_TRANSIENT);
    assert_non_null(strstr(g.err.message, "web page"));
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begin__asks_for_checksums_of_the_whole),
        TEST(begin__takes_what_a_service_has),
        TEST(begin__notices_a_lesser_checksum),
        TEST(begin__needs_an_id),
        TEST(begin__is_sent_once_where_its_reply_is_lost),
        TEST(begin__aborts_what_a_lost_reply_left),
        TEST(part__carries_checksum_and_number),
        TEST(part__says_what_happened),
        TEST(part__is_checked_before_it_is_sent),
        TEST(commit__names_parts_checksum_and_size),
        TEST(commit__says_only_what_was_begun),
        TEST(commit__says_what_happened),
        TEST(commit__asks_the_object_where_the_upload_is_gone),
        TEST(commit__is_checked_before_it_is_sent),
        TEST(commit__may_take_its_time),
        TEST(commit__ends_where_nothing_comes),
        TEST(commit__that_is_cancelled_is_uncertain),
        TEST(commit__takes_ten_thousand_parts),
        TEST(abort__is_done_where_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
