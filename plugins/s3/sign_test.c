/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer against the vectors Amazon publishes ("Signature Calculations for
 * the Authorization Header: Transferring Payload in a Single Chunk") and
 * against further ones that a second implementation agreed on, chosen for the
 * traps: odd bytes in keys, sorting of headers, queries, ports, other services.
 */
#include "sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define AKID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN "FwoGZXIvYXdzEXAMPLETOKEN//////////wEaDEXAMPLE=="
#define US_HOST "examplebucket.s3.amazonaws.com"
#define EU_HOST "amzn-s3-demo-bucket.s3.eu-central-1.amazonaws.com"
#define MAX 12

/* One vector; headers end with a NULL name. */
struct vector {
    const char *method, *path, *query;
    struct sign_header headers[MAX];
    const char *payload_sha256, *date, *region, *service;
    const char *canonical_sha256; /* or NULL where none is known */
    const char *names;            /* the same */
    const char *signature;
};

static struct sign_request request_of(const struct vector *v)
{
    struct sign_request r = {.method = v->method,
                             .path = v->path,
                             .query = v->query,
                             .headers = v->headers,
                             .payload_sha256 = v->payload_sha256,
                             .date = v->date,
                             .region = v->region,
                             .service = v->service,
                             .access_key_id = AKID,
                             .secret_access_key = SECRET};

    while (v->headers[r.n_headers].name != NULL)
        r.n_headers++;
    return r;
}

static void check(const struct vector *v)
{
    struct sign_request r = request_of(v);
    struct sign_signer signer;
    char out[SIGN_AUTHORIZATION_CAP], sha[SIGN_SHA256_CAP], names[512];
    struct fixed t = fixed_over(names, sizeof(names));

    assert_int_equal(sign_init(&signer), 0);
    assert_int_equal(sign_request(&signer, &r, out), 0);
    assert_string_equal(strstr(out, "Signature=") + 10, v->signature);
    if (v->canonical_sha256 != NULL) {
        assert_int_equal(sign_canonical_sha256(&r, sha), 0);
        assert_string_equal(sha, v->canonical_sha256);
    }
    sign_header_names(&t, &r);
    if (v->names != NULL)
        assert_string_equal(names, v->names);
    sign_finish(&signer);
}

static struct vector published(void)
{
    return (struct vector){
        .method = "GET",
        .path = "/",
        .query = "",
        .headers = {{"host", US_HOST},
                    {"x-amz-content-sha256", SIGN_EMPTY_SHA256},
                    {"x-amz-date", "20130524T000000Z"}},
        .payload_sha256 = SIGN_EMPTY_SHA256,
        .date = "20130524T000000Z",
        .region = "us-east-1",
        .service = "s3",
    };
}

static void sign__matches_published_get_with_range(void **state)
{
    struct vector v = published();

    (void)state;
    v.path = "/test.txt";
    v.headers[3] = (struct sign_header){"range", "bytes=0-9"};
    v.names = "host;range;x-amz-content-sha256;x-amz-date";
    v.canonical_sha256 =
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
    v.signature =
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    check(&v);
}

static void sign__matches_published_put(void **state)
{
    struct vector v = published();
    char sha[SIGN_SHA256_CAP], path[64];
    struct fixed t = fixed_over(path, sizeof(path));

    (void)state;
    sign_sha256("Welcome to Amazon S3.", 21, sha);
    fixed_encode(&t, "/test$file.text", FIXED_KEEP_SLASH);
    v.method = "PUT";
    v.path = path;
    v.payload_sha256 = sha;
    v.headers[1].value = sha;
    v.headers[3] =
        (struct sign_header){"date", "Fri, 24 May 2013 00:00:00 GMT"};
    v.headers[4] =
        (struct sign_header){"x-amz-storage-class", "REDUCED_REDUNDANCY"};
    v.canonical_sha256 =
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d";
    v.signature =
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";

    check(&v);
}

static void sign__matches_published_subresource(void **state)
{
    struct vector v = published();
    char query[64];
    struct fixed t = fixed_over(query, sizeof(query));

    (void)state;
    sign_query(&t, &(struct sign_pair){"lifecycle", ""}, 1);
    assert_string_equal(query, "lifecycle=");
    v.query = query;
    v.canonical_sha256 =
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca";
    v.signature =
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";

    check(&v);
}

static void sign__matches_published_list(void **state)
{
    const struct sign_pair pairs[] = {{"prefix", "J"}, {"max-keys", "2"}};
    struct vector v = published();
    char query[64];
    struct fixed t = fixed_over(query, sizeof(query));

    (void)state;
    sign_query(&t, pairs, 2);
    assert_string_equal(query, "max-keys=2&prefix=J");
    v.query = query;
    v.canonical_sha256 =
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7";
    v.signature =
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";

    check(&v);
}

static struct vector extra(const char *method)
{
    return (struct vector){
        .method = method,
        .path = "/",
        .query = "",
        .headers = {{"x-amz-date", "20260115T120000Z"}, {"host", EU_HOST}},
        .payload_sha256 = SIGN_UNSIGNED,
        .date = "20260115T120000Z",
        .region = "eu-central-1",
        .service = "s3",
    };
}

static void sign__takes_every_odd_byte_of_a_key(void **state)
{
    struct vector v = extra("PUT");
    char path[128];
    struct fixed t = fixed_over(path, sizeof(path));

    (void)state;
    fixed_encode(&t, "/dir/a b+c~\xc3\xa9*'()!$&,;=:@#?%25.bin",
                 FIXED_KEEP_SLASH);
    assert_string_equal(path,
                        "/dir/a%20b%2Bc~%C3%A9%2A%27%28%29%21%24%26%2C%3B%3D"
                        "%3A%40%23%3F%2525.bin");
    v.path = path;
    v.headers[2] = (struct sign_header){"x-amz-content-sha256", SIGN_UNSIGNED};
    v.headers[3] = (struct sign_header){"if-none-match", "*"};
    v.headers[4] = (struct sign_header){"x-amz-checksum-crc32c", "4waSgw=="};
    v.headers[5] = (struct sign_header){"x-amz-security-token", TOKEN};
    v.names = "host;if-none-match;x-amz-checksum-crc32c;x-amz-content-sha256;"
              "x-amz-date;x-amz-security-token";
    v.signature =
        "836992782e8f25ae90744b94ae564a8eff3b0d6b2f11daeee41efdecb2ba995d";

    check(&v);
}

static void sign__takes_a_port_and_an_encoded_query(void **state)
{
    const struct sign_pair pairs[] = {
        {"list-type", "2"},   {"encoding-type", "url"},
        {"max-keys", "1000"}, {"prefix", "dir with space/\xc3\xa9"},
        {"delimiter", "/"},   {"continuation-token", "1/aB+c=="}};
    struct vector v = extra("GET");
    char query[256];
    struct fixed t = fixed_over(query, sizeof(query));

    (void)state;
    sign_query(&t, pairs, 6);
    assert_string_equal(query, "continuation-token=1%2FaB%2Bc%3D%3D&delimiter="
                               "%2F&encoding-type=url&list-type=2&max-keys="
                               "1000&prefix=dir%20with%20space%2F%C3%A9");
    v.path = "/my.bucket";
    v.query = query;
    v.payload_sha256 = SIGN_EMPTY_SHA256;
    v.headers[1].value = "127.0.0.1:9000";
    v.headers[2] =
        (struct sign_header){"x-amz-content-sha256", SIGN_EMPTY_SHA256};
    v.signature =
        "868beb459d40c24b2b1c088d7d3765bccee80ea18aa434e5a153402bd58a6d6d";

    check(&v);
}

static void sign__sorts_headers_by_name_alone(void **state)
{
    struct vector v = extra("POST");
    const struct sign_header headers[] = {
        {"x-amz-server-side-encryption-bucket-key-enabled", "true"},
        {"x-amz-server-side-encryption-aws-kms-key-id",
         "arn:aws:kms:eu-central-1:111122223333:key/"
         "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"x-amz-server-side-encryption", "aws:kms"},
        {"x-amz-checksum-type", "FULL_OBJECT"},
        {"x-amz-checksum-algorithm", "CRC32C"},
        {"x-amz-content-sha256", SIGN_EMPTY_SHA256}};

    (void)state;
    memcpy(v.headers + 2, headers, sizeof(headers));
    v.path = "/snap/0001";
    v.query = "uploads=";
    v.payload_sha256 = SIGN_EMPTY_SHA256;
    v.signature =
        "078e7fdcd330c51cd7e5ecc1ecc8d0bce9514232f8718e9069dff316e47f1f66";

    check(&v);
}

static void sign__takes_any_payload_word(void **state)
{
    struct vector v = extra("PUT");
    const struct sign_header headers[] = {
        {"content-encoding", "aws-chunked"},
        {"x-amz-decoded-content-length", "9"},
        {"x-amz-trailer", "x-amz-checksum-crc32c"},
        {"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}};

    (void)state;
    memcpy(v.headers + 2, headers, sizeof(headers));
    v.path = "/snap/0002";
    v.payload_sha256 = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    v.signature =
        "f11ee78db3ad07106fcc21551f96de052b269cb96e53e041560aed8a8ef33506";

    check(&v);
}

static void sign__signs_for_other_services(void **state)
{
    static const char body[] =
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
        "111122223333%3Arole%2Fdemo&RoleSessionName=persist&DurationSeconds="
        "3600";
    struct vector v = extra("POST");
    char sha[SIGN_SHA256_CAP];

    (void)state;
    sign_sha256(body, strlen(body), sha);
    v.payload_sha256 = sha;
    v.service = "sts";
    v.headers[1].value = "sts.eu-central-1.amazonaws.com";
    v.headers[2] = (struct sign_header){"content-type",
                                        "application/x-www-form-urlencoded"};
    v.names = "content-type;host;x-amz-date";
    v.signature =
        "796b2db0a3a6cdf6bcb16a47f5098cab4c49442943719f5022f453a795a68c0c";

    check(&v);
}

static void sign__trims_blanks_of_values(void **state)
{
    struct vector v = published();

    (void)state;
    v.path = "/test.txt";
    v.headers[3] = (struct sign_header){"range", "  bytes=0-9 "};
    v.signature =
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    check(&v);
}

/* The key of one (date, region, service, credential) is never used for another:
 * the same signer gives what a fresh one gives. */
static void sign__keeps_no_stale_key(void **state)
{
    struct vector v = published();
    struct sign_request r = request_of(&v);
    struct sign_signer kept;
    char dates[2][SIGN_DATE_CAP] = {"20130524T000000Z", "20130525T000000Z"};
    const char *regions[2] = {"us-east-1", "eu-west-1"};
    const char *services[2] = {"s3", "sts"};
    const char *ids[2] = {AKID, "AKIDOTHER"};
    const char *secrets[2] = {SECRET, "another secret"};

    (void)state;
    assert_int_equal(sign_init(&kept), 0);
    for (unsigned n = 0; n <= 32; n++) {
        unsigned i = (n ^ n >> 1) % 32; /* Gray's code: one changes at a time */
        struct sign_signer fresh;
        char a[SIGN_AUTHORIZATION_CAP], b[SIGN_AUTHORIZATION_CAP];

        r.date = dates[i & 1];
        r.region = regions[i >> 1 & 1];
        r.service = services[i >> 2 & 1];
        r.access_key_id = ids[i >> 3 & 1];
        r.secret_access_key = secrets[i >> 4 & 1];
        assert_int_equal(sign_init(&fresh), 0);
        assert_int_equal(sign_request(&kept, &r, a), 0);
        assert_int_equal(sign_request(&fresh, &r, b), 0);
        assert_string_equal(a, b);
        sign_finish(&fresh);
    }
    sign_finish(&kept);
}

static void sign__refuses_what_does_not_fit(void **state)
{
    static char huge[4096];
    struct vector v = published();
    struct sign_request r = request_of(&v);
    struct sign_header many[SIGN_MAX_HEADERS + 1];
    struct sign_signer signer;
    char out[SIGN_AUTHORIZATION_CAP];

    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    assert_int_equal(sign_init(&signer), 0);
    r.access_key_id = huge;
    assert_int_equal(sign_request(&signer, &r, out), -1);
    r.access_key_id = AKID;
    r.secret_access_key = huge;
    assert_int_equal(sign_request(&signer, &r, out), -1);
    r.secret_access_key = SECRET;
    for (size_t i = 0; i <= SIGN_MAX_HEADERS; i++)
        many[i] = (struct sign_header){"a", "b"};
    r.headers = many;
    r.n_headers = SIGN_MAX_HEADERS + 1;
    assert_int_equal(sign_request(&signer, &r, out), -1);
    sign_finish(&signer);
}

static void date__is_utc_in_every_year(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "19700101T000000Z"},          {951782400, "20000229T000000Z"},
        {1369353600, "20130524T000000Z"}, {1709164799, "20240228T235959Z"},
        {1735689599, "20241231T235959Z"}, {1768478400, "20260115T120000Z"},
        {4107542400, "21000301T000000Z"}, {-1, "19691231T235959Z"}};
    char out[SIGN_DATE_CAP];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sign_date(cases[i].seconds * 1000000, out);
        assert_string_equal(out, cases[i].text);
        sign_date(cases[i].seconds * 1000000 + 999999, out);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sign__matches_published_get_with_range),
        cmocka_unit_test(sign__matches_published_put),
        cmocka_unit_test(sign__matches_published_subresource),
        cmocka_unit_test(sign__matches_published_list),
        cmocka_unit_test(sign__takes_every_odd_byte_of_a_key),
        cmocka_unit_test(sign__takes_a_port_and_an_encoded_query),
        cmocka_unit_test(sign__sorts_headers_by_name_alone),
        cmocka_unit_test(sign__takes_any_payload_word),
        cmocka_unit_test(sign__signs_for_other_services),
        cmocka_unit_test(sign__trims_blanks_of_values),
        cmocka_unit_test(sign__keeps_no_stale_key),
        cmocka_unit_test(sign__refuses_what_does_not_fit),
        cmocka_unit_test(date__is_utc_in_every_year),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
