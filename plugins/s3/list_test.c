/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: where S3 is told to go on, how two lists become one in order, what
 * is left out of what a service claims to have, and pages that hold nothing.
 */
#include "stage_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OBJECT(key, size)                                                      \
    "<Contents><Key>" key "</Key><LastModified>2026-01-15T12:00:00.000Z"       \
    "</LastModified><ETag>&quot;x&quot;</ETag><Size>" size                     \
    "</Size><Owner><ID>me</ID></Owner></Contents>"
#define FOLDER(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"
#define LISTING(more, content)                                                 \
    reply_with("200", "",                                                      \
               "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\">"       \
               "<Name>bucket</Name><Prefix>p/</Prefix>"                        \
               "<EncodingType>url</EncodingType>" more content                 \
               "</ListBucketResult>")
#define LAST "<IsTruncated>false</IsTruncated>"
#define MORE(token)                                                            \
    "<IsTruncated>true</IsTruncated><NextContinuationToken>" token             \
    "</NextContinuationToken>"

static void list__becomes_one_in_order(void **state)
{
    struct script replies[] = {LISTING(
        LAST, OBJECT("p/a/b", "1") OBJECT("p/a/z-1", "2") OBJECT("p/a/z.x", "3")
                  FOLDER("p/a/c/") FOLDER("p/a/z/"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "a/", "", "/", 10), OK);
    assert_string_equal(g.listed, "a/b:1;a/c/;a/z-1:2;a/z.x:3;a/z/;");
    assert_int_equal(g.more, 0);
    assert_true(stage_sent(&g, 0,
                           "GET /bucket?delimiter=%2F&encoding-type=url&"
                           "list-type=2&max-keys=11&prefix=p%2Fa%2F HTTP/1.1"));
    stage_close(&g);
}

static void list__goes_on_where_it_was_told(void **state)
{
    static const struct {
        const char *prefix, *after, *delimiter, *sent;
    } cases[] = {
        {"a/", "a/b", "", "&start-after=p%2Fa%2Fb HTTP"},
        {"a/", "a/b/c", "", "&start-after=p%2Fa%2Fb%2Fc HTTP"},
        /* Everything in that folder has been passed. */
        {"a/", "a/b/", "/", "&start-after=p%2Fa%2Fb%2F%F4%8F%BF%BF HTTP"},
        {"a/", "a/b/c", "/", "&start-after=p%2Fa%2Fb%2F%F4%8F%BF%BF HTTP"},
        {"a/", "a/b", "/", "&start-after=p%2Fa%2Fb HTTP"},
        {"b", "a/x", "/", "&start-after=p%2Fa%2Fx HTTP"},
        {"", "a/x", "/", "&start-after=p%2Fa%2F%F4%8F%BF%BF HTTP"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script replies[] = {LISTING(LAST, "")};
        struct stage g;

        stage_open(&g, replies, 1, NULL);
        assert_int_equal(stage_list(&g, cases[i].prefix, cases[i].after,
                                    cases[i].delimiter, 10),
                         OK);
        assert_true(stage_sent(&g, 0, cases[i].sent));
        assert_string_equal(g.listed, "");
        stage_close(&g);
    }
}

static void list__drops_what_was_passed(void **state)
{
    struct script replies[] = {
        LISTING(LAST, FOLDER("p/a/b/") OBJECT("p/a/b.x", "1"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    /* A service that repeats the folder of start_after all the same. */
    assert_int_equal(stage_list(&g, "a/", "a/b/", "/", 10), OK);
    assert_string_equal(g.listed, "");
    stage_close(&g);
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "a/", "a/b.x", "/", 10), OK);
    assert_string_equal(g.listed, "a/b/;");
    stage_close(&g);
}

static void list__leaves_out_what_is_not_ours(void **state)
{
    struct script replies[] = {LISTING(
        LAST,
        OBJECT("p/../etc/passwd", "1") OBJECT("other/a", "1")
            OBJECT("p/a//b", "1") OBJECT("p/a/.hidden", "1") OBJECT("p/", "1")
                OBJECT("p/folder/", "0") OBJECT("p/A", "1") OBJECT("p/%00", "1")
                    OBJECT("p/a%0ab", "1") OBJECT("p/a%2", "1") OBJECT("q", "1")
                        OBJECT("p/good", "7") OBJECT("p/.persist-probe", "2")
                            OBJECT("p/x+y", "1") FOLDER("p/../") FOLDER("x/")
                                FOLDER("p/.d/") FOLDER("p/ok/") FOLDER("p/no")
                                    FOLDER("/"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "", "", "/", 100), OK);
    assert_string_equal(g.listed, ".persist-probe:2;good:7;ok/;");
    stage_close(&g);
}

/* "%" is a byte of our keys: encoded once more by the service. */
static void list__decodes_names_as_a_form(void **state)
{
    struct script replies[] = {
        LISTING(LAST, OBJECT("p%2Fa%252fb", "1") OBJECT("p/c%2E", "2"))};
    struct script plain[] = {
        reply_with("200", "",
                   "<ListBucketResult><IsTruncated>false</IsTruncated>" OBJECT(
                       "p/a%2fb", "1") "</ListBucketResult>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "", "", "", 100), OK);
    assert_string_equal(g.listed, "a%2fb:1;c.:2;");
    stage_close(&g);
    stage_open(&g, plain, 1, NULL);
    assert_int_equal(stage_list(&g, "", "", "", 100), OK);
    assert_string_equal(g.listed, "a%2fb:1;");
    stage_close(&g);
}

/* Not every service says how names are written before the names. */
static void list__is_told_of_encoding_at_the_end(void **state)
{
    struct script replies[] = {reply_with(
        "200", "",
        "<ListBucketResult>" OBJECT("p%2Fb", "1") FOLDER("p%2Fc%2F")
            OBJECT("p%2Fa",
                   "2") "<Name>b</Name>" LAST
                        "<EncodingType>url</EncodingType></ListBucketResult>")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "", "", "/", 100), OK);
    assert_string_equal(g.listed, "a:2;b:1;c/;");
    stage_close(&g);
}

static void list__shows_a_page_at_a_time(void **state)
{
    struct script replies[] = {LISTING(
        MORE("t"), OBJECT("p/a", "1") OBJECT("p/b", "2") OBJECT("p/c", "3"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 1, NULL);
    assert_int_equal(stage_list(&g, "", "", "", 2), OK);
    assert_string_equal(g.listed, "a:1;b:2;");
    assert_int_equal(g.more, 1);
    assert_int_equal(server_requests(g.server), 1);
    stage_close(&g);
}

/* Pages without an entry are passed: the host could not go on behind them. */
static void list__follows_empty_pages(void **state)
{
    struct script replies[] = {LISTING(MORE("to/k+en"), ""),
                               LISTING(MORE("t2"), OBJECT("x/foreign", "1")),
                               LISTING(LAST, OBJECT("p/a", "1"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_list(&g, "", "0", "", 5), OK);
    assert_string_equal(g.listed, "a:1;");
    assert_int_equal(g.more, 0);
    assert_true(
        stage_sent(&g, 1, "?continuation-token=to%2Fk%2Ben&encoding-type"));
    assert_false(stage_sent(&g, 1, "start-after"));
    assert_true(stage_sent(&g, 2, "continuation-token=t2"));
    stage_close(&g);
}

static void list__ends_where_a_service_repeats_itself(void **state)
{
    struct script replies[] = {LISTING(MORE("t1"), ""), LISTING(MORE("t1"), ""),
                               LISTING(LAST, OBJECT("p/a", "1"))};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 3, NULL);
    assert_int_equal(stage_list(&g, "", "", "", 5), PERSIST_BACKEND_IO);
    assert_int_equal(server_requests(g.server), 2);
    stage_close(&g);
}

static void list__needs_a_whole_document(void **state)
{
    static const char *const bodies[] = {
        "",
        "garbage",
        "<ListBucketResult>" OBJECT("p/a", "1"),
        "<Other><IsTruncated>false</IsTruncated></Other>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<Error><Code>InternalError</Code></Error>"};

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct script replies[] = {reply_with("200", "", bodies[i])};
        struct stage g;

        stage_open(&g, replies, 1, NULL);
        assert_int_equal(stage_list(&g, "", "", "", 5),
                         PERSIST_BACKEND_TRANSIENT);
        assert_string_equal(g.listed, "");
        stage_close(&g);
    }
}

static void list__says_what_happened(void **state)
{
    const struct {
        struct script reply;
        int32_t code;
        const char *said;
    } cases[] = {{reply_error("404", "", "NoSuchBucket", ""),
                  PERSIST_BACKEND_CONFIG, "bucket's name"},
                 {reply_error("404", "", "NoSuchKey", ""),
                  PERSIST_BACKEND_CONFIG, "in the endpoint?"},
                 {reply_with("200", "", "<!DOCTYPE html><h1>Welcome</h1>"),
                  PERSIST_BACKEND_TRANSIENT, "web page"},
                 {reply_error("403", "", "AccessDenied", ""),
                  PERSIST_BACKEND_DENIED, "s3:ListBucket"},
                 {reply_error("503", "", "SlowDown", ""),
                  PERSIST_BACKEND_THROTTLED, ""}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage g;

        stage_open(&g, &cases[i].reply, 1, NULL);
        assert_int_equal(stage_list(&g, "", "", "", 5), cases[i].code);
        assert_non_null(strstr(g.err.message, cases[i].said));
        stage_close(&g);
    }
}

/* ---------------------------------------------------------------------- pages
 */

/* 100,000 keys in canned pages: memory for one page, and no time to speak of.
 */
static void page__reads_a_thousand_keys_at_a_time(void **state)
{
    char *body = malloc(400000);
    size_t len;

    (void)state;
    assert_non_null(body);
    len = (size_t)sprintf(body, "<ListBucketResult>");
    for (unsigned i = 0; i < 1000; i++)
        len +=
            (size_t)sprintf(body + len, OBJECT("p/a/s/%08u.snap", "%u"), i, i);
    len += (size_t)sprintf(body + len, MORE("t") "</ListBucketResult>");
    for (unsigned n = 0; n < 100; n++) {
        struct page p = {
            .store_prefix = "p/", .prefix = "a/", .start_after = ""};

        assert_int_equal(page_read(&p, body, len), OK);
        assert_int_equal(p.n, 1000);
        assert_string_equal(p.entries[999].key, "a/s/00000999.snap");
        assert_int_equal(p.entries[999].size, 999);
        assert_true(p.truncated);
        page_finish(&p);
    }
    free(body);
}

static void page__survives_every_cut(void **state)
{
    static const char body[] = "<ListBucketResult>" LAST OBJECT("p/a", "1")
        FOLDER("p/b/") "</ListBucketResult>";

    (void)state;
    for (size_t cut = 0; cut < sizeof(body) - 1; cut++) {
        struct page p = {.store_prefix = "p/", .prefix = "", .start_after = ""};

        assert_int_equal(page_read(&p, body, cut), PERSIST_BACKEND_IO);
        page_finish(&p);
    }
}

static void page__decodes_or_refuses(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {{"a%2fb", "a/b"},       {"a+b", "a b"}, {"%2B", "+"},
                 {"%C3%a9", "\xc3\xa9"}, {"", ""},       {"%", NULL},
                 {"%2", NULL},           {"%zz", NULL},  {"%00", NULL},
                 {"%+1", NULL},          {"a%0", NULL}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        strcpy(text, cases[i].from);
        assert_int_equal(page_decode(text), cases[i].to != NULL);
        if (cases[i].to != NULL)
            assert_string_equal(text, cases[i].to);
    }
}

/* -------------------------------------------------------------------- uploads
 */

#define UPLOAD(key, id)                                                        \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>"         \
    "2026-01-15T12:00:00.000Z</Initiated></Upload>"
#define UPLOADS(content)                                                       \
    reply_with("200", "",                                                      \
               "<ListMultipartUploadsResult>" content                          \
               "</ListMultipartUploadsResult>")
#define PARTS(content)                                                         \
    reply_with("200", "", "<ListPartsResult>" content "</ListPartsResult>")

static void uploads__are_listed_with_their_weight(void **state)
{
    struct script replies[] = {
        UPLOADS("<EncodingType>url</EncodingType>"
                "<IsTruncated>true</IsTruncated><NextKeyMarker>p%2Fa"
                "</NextKeyMarker><NextUploadIdMarker>i1</"
                "NextUploadIdMarker>" UPLOAD("p/a", "i1") UPLOAD("other", "i2")
                    UPLOAD("p/../x", "i3")),
        PARTS("<IsTruncated>true</IsTruncated><NextPartNumberMarker>2"
              "</NextPartNumberMarker><Part><PartNumber>1</PartNumber>"
              "<Size>5</Size></Part><Part><Size>6</Size></Part>"),
        PARTS("<IsTruncated>false</IsTruncated><Part><Size>7</Size></Part>"),
        UPLOADS("<IsTruncated>false</IsTruncated>" UPLOAD("p/b", "i4")),
        reply_error("403", "", "AccessDenied", "")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_list_uploads(&g, ""), OK);
    /* What may not be weighed is listed without its weight. */
    assert_string_equal(g.listed, "a@x.i1:18;b@x.i4;");
    assert_true(stage_sent(&g, 1, "GET /bucket/p/a?uploadId=i1 HTTP"));
    assert_true(stage_sent(&g, 2, "?part-number-marker=2&uploadId=i1 HTTP"));
    assert_true(stage_sent(&g, 3,
                           "key-marker=p%2Fa&max-uploads=1000&prefix="
                           "p%2F&upload-id-marker=i1&uploads= HTTP"));
    stage_close(&g);
}

static void uploads__need_a_whole_document(void **state)
{
    struct script replies[] = {
        reply_with("200", "",
                   "<ListMultipartUploadsResult>" UPLOAD("p/a", "i")),
        reply_error("403", "", "AccessDenied", "")};
    struct stage g;

    (void)state;
    stage_open(&g, replies, 2, NULL);
    assert_int_equal(stage_list_uploads(&g, ""), PERSIST_BACKEND_TRANSIENT);
    assert_string_equal(g.listed, "");
    assert_int_equal(stage_list_uploads(&g, ""), PERSIST_BACKEND_DENIED);
    assert_non_null(strstr(g.err.message, "s3:ListBucketMultipartUploads"));
    stage_close(&g);
}

static void uploads__end_where_a_service_repeats_itself(void **state)
{
    const struct script page =
        UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>p%2Fa"
                "</NextKeyMarker><NextUploadIdMarker>i1</NextUploadIdMarker>");
    struct script replies[] = {page, page};
    struct stage g;

    (void)state;
    stage_open(&g, replies, COUNT(replies), NULL);
    assert_int_equal(stage_list_uploads(&g, ""), PERSIST_BACKEND_IO);
    assert_non_null(strstr(g.err.message, "does not end"));
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(list__becomes_one_in_order),
        TEST(list__goes_on_where_it_was_told),
        TEST(list__drops_what_was_passed),
        TEST(list__leaves_out_what_is_not_ours),
        TEST(list__decodes_names_as_a_form),
        TEST(list__is_told_of_encoding_at_the_end),
        TEST(list__shows_a_page_at_a_time),
        TEST(list__follows_empty_pages),
        TEST(list__ends_where_a_service_repeats_itself),
        TEST(list__needs_a_whole_document),
        TEST(list__says_what_happened),
        TEST(page__reads_a_thousand_keys_at_a_time),
        TEST(page__survives_every_cut),
        TEST(page__decodes_or_refuses),
        TEST(uploads__are_listed_with_their_weight),
        TEST(uploads__need_a_whole_document),
        TEST(uploads__end_where_a_service_repeats_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
