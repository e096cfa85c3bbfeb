/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What open takes and what it refuses, each refusal with its own message; and
 * what limits make of it.  No test here has a service: open makes no request.
 */
#include "stage_test_kit.h"

#include <stdlib.h>
#include <string.h>

static void open__takes_a_plain_store(void **state)
{
    struct stage g;

    (void)state;
    assert_int_equal(stage_try(&g, NULL), OK);
}

static void open__names_each_contradiction(void **state)
{
    static const struct {
        const char *a, *b, *message;
    } cases[] = {
        {"bucket=", "prefix=x", "needs a bucket"},
        {"bucket=a/b", "prefix=x", "no bucket's name"},
        {"bucket=s3://b", "prefix=x", "without s3://"},
        {"bucket=ab", "prefix=x", "no bucket's name"},
        {"bucket=a..b", "prefix=x", "no bucket's name"},
        {"bucket=arn:aws:s3:eu-west-1:1:accesspoint/x", "prefix=x",
         "access points"},
        {"bucket=data--euw1-az1--x-s3", "prefix=x", "S3 Express"},
        {"prefix=a//b", "region=eu-west-1", "prefix = a//b"},
        {"prefix=/a", "region=eu-west-1", "prefix = /a"},
        {"prefix=../a", "region=eu-west-1", "prefix = ../a"},
        {"prefix=a/.", "region=eu-west-1", "prefix = a/."},
        {"prefix=a\nb", "region=eu-west-1", "prefix = "},
        {"region=EU west", "prefix=x", "region must be"},
        {"region=-eu", "prefix=x", "region must be"},
        {"secret_access_key=", "prefix=x", "without secret_access_key"},
        {"access_key_id=", "prefix=x", "without access_key_id"},
        {"session_token=1", "access_key_id=", "without access_key_id"},
        {"access_key_id=A\r\nB", "prefix=x", "no access key"},
        {"profile=dev", "prefix=x", "two sources"},
        {"kms_key_id=k", "prefix=x", "kms_key_id needs sse"},
        {"kms_key_id=k", "sse=AES256", "kms_key_id needs sse"},
        {"kms_key_id=k\r\nx: y", "sse=aws:kms", "id, alias or ARN"},
        {"bucket_key=true", "sse=AES256", "bucket_key needs sse"},
        {"lock_mode=GOVERNANCE", "prefix=x", "without lock_days"},
        {"lock_days=3", "prefix=x", "without lock_mode"},
        {"expected_bucket_owner=123", "prefix=x", "12 digits"},
        {"storage_class=standard", "prefix=x", "in capitals"},
        {"tags=a", "prefix=x", "not name=value"},
        {"tags==b", "prefix=x", "not name=value"},
        {"endpoint=ftp://x", "prefix=x", "no URL of a service"},
        {"endpoint=https://u:p@x", "prefix=x", "no URL of a service"},
        {"endpoint=http://store.example", "prefix=x", "allow_http"},
        {"endpoint=http://10.0.0.1:9000", "prefix=x", "allow_http"},
        {"addressing=virtual", "prefix=x", "not an address"},
        {"addressing=virtual", "bucket=a.b", "not an address"},
        {"ca_bundle=/does/not/exist", "prefix=x", ""},
    };
    struct stage g;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(stage_try(&g, cases[i].a, cases[i].b, NULL),
                         PERSIST_BACKEND_CONFIG);
        if (strstr(g.err.message, cases[i].message) == NULL)
            print_error("%s: %s\n", cases[i].a, g.err.message);
        assert_non_null(strstr(g.err.message, cases[i].message));
        assert_null(strstr(g.err.message, "u:p"));
    }
}

static void open__refuses_what_two_options_need(void **state)
{
    struct stage g;

    (void)state;
    assert_int_equal(stage_try(&g, "lock_mode=COMPLIANCE", "lock_days=1",
                               "checksum=never", NULL),
                     PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(g.err.message, "lock_mode needs a checksum"));
    assert_int_equal(stage_try(&g, "addressing=virtual", "bucket=a.b",
                               "endpoint=https://s3.example", NULL),
                     PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(g.err.message, "cannot be part of a host name"));
    assert_int_equal(
        stage_try(&g, "tags=a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8", NULL), OK);
}

static void open__takes_what_belongs_together(void **state)
{
    struct stage g;

    (void)state;
    assert_int_equal(
        stage_try(&g, "sse=aws:kms", "bucket_key=true",
                  "kms_key_id=arn:aws:kms:eu-central-1:111122223333:key/1234",
                  "lock_mode=GOVERNANCE", "lock_days=30", "tags=a=b,c=d e",
                  "storage_class=STANDARD_IA", "request_payer=true",
                  "expected_bucket_owner=111122223333", "prefix=", NULL),
        OK);
    assert_int_equal(
        stage_try(&g, "endpoint=http://10.0.0.1:9000", "allow_http=true", NULL),
        OK);
    assert_int_equal(stage_try(&g, "endpoint=", NULL), OK);
}

/* ------------------------------------------------------------------ limits */

static struct persist_backend_limits limits_with(const char *a, const char *b)
{
    struct persist_backend_limits l = {.struct_size = sizeof(l)};
    struct stage g;

    stage_open(&g, NULL, 0, a, b, NULL);
    assert_int_equal(g.ops->limits(g.store, &l), OK);
    stage_close(&g);
    return l;
}

static void limits__are_those_of_s3(void **state)
{
    struct persist_backend_limits l = limits_with("endpoint=", "prefix=abc");

    (void)state;
    assert_int_equal(l.part_min, 5 << 20);
    assert_true(l.part_max == (uint64_t)5 << 30);
    assert_true(l.put_max == (uint64_t)5 << 30);
    assert_int_equal(l.parts_max, 10000);
    assert_int_equal(l.parallel_max, 16);
    assert_int_equal(l.key_max, 1024 - 4);
    assert_true(l.object_max == (uint64_t)5 * 10000 << 30);
    assert_int_equal(l.flags, PERSIST_BACKEND_ORDERED_LISTING |
                                  PERSIST_BACKEND_RESUMABLE);
}

static void limits__of_other_services_ask_for_proof(void **state)
{
    struct persist_backend_limits l =
        limits_with("part_size=16777216", "parallel=3");

    (void)state;
    assert_int_equal(l.flags, PERSIST_BACKEND_ORDERED_LISTING |
                                  PERSIST_BACKEND_RESUMABLE |
                                  PERSIST_BACKEND_CHECK_IF_ABSENT |
                                  PERSIST_BACKEND_EQUAL_PARTS);
    assert_int_equal(l.part_min, 16 << 20);
    assert_int_equal(l.part_max, 16 << 20);
    assert_int_equal(l.parallel_max, 3);
    assert_true(l.object_max == (uint64_t)5 << 40);
}

/* ----------------------------------------------------------------- targets */

static struct endpoint_target target_of(const char *region, const char *a,
                                        const char *b, const char *key)
{
    static struct endpoint_target target;
    struct stage g;

    stage_open(&g, NULL, 0, a, b, NULL);
    assert_int_equal(
        endpoint_target(g.store, region, key, NULL, 0, &target, &g.err), OK);
    stage_close(&g);
    return target;
}

static void target__is_the_buckets_host_at_amazon(void **state)
{
    struct endpoint_target t =
        target_of("eu-west-3", "endpoint=", "bucket=my-bucket", "a/b%2fc");

    (void)state;
    assert_string_equal(t.url, "https://my-bucket.s3.eu-west-3.amazonaws.com"
                               "/p/a/b%252fc");
    assert_string_equal(t.authority, "my-bucket.s3.eu-west-3.amazonaws.com");
    assert_string_equal(t.path, "/p/a/b%252fc");
    t = target_of("cn-north-1", "endpoint=", "prefix=", "a");
    assert_string_equal(t.url,
                        "https://bucket.s3.cn-north-1.amazonaws.com.cn/a");
    t = target_of("us-east-1", "endpoint=", "prefix=", NULL);
    assert_string_equal(t.url, "https://bucket.s3.us-east-1.amazonaws.com/");
}

static void target__is_a_path_where_a_bucket_is_no_label(void **state)
{
    struct endpoint_target t =
        target_of("us-east-1", "endpoint=", "bucket=my.bucket", "a");

    (void)state;
    assert_string_equal(t.url,
                        "https://s3.us-east-1.amazonaws.com/my.bucket/p/a");
    t = target_of("us-east-1", "endpoint=", "addressing=path", NULL);
    assert_string_equal(t.url, "https://s3.us-east-1.amazonaws.com/bucket");
}

static void target__keeps_port_and_path_of_an_endpoint(void **state)
{
    struct endpoint_target t = target_of(
        "auto", "endpoint=https://gw.example:8443/base/", "prefix=", "a");

    (void)state;
    assert_string_equal(t.url, "https://gw.example:8443/base/bucket/a");
    assert_string_equal(t.authority, "gw.example:8443");
    assert_string_equal(t.path, "/base/bucket/a");
    t = target_of("auto", "endpoint=https://gw.example", "addressing=virtual",
                  "a");
    assert_string_equal(t.url, "https://bucket.gw.example/p/a");
    t = target_of("auto", "endpoint=http://[::1]:9000", "prefix=", "a");
    assert_string_equal(t.authority, "[::1]:9000");
}

static void region__comes_from_the_environment_or_is_the_default(void **state)
{
    struct stage g;
    char region[S3_REGION_CAP];

    (void)state;
    assert_int_equal(setenv("AWS_REGION", "eu-south-2", 1), 0);
    stage_open(&g, NULL, 0, "region=", NULL);
    endpoint_region(g.store, region);
    assert_string_equal(region, "eu-south-2");
    stage_close(&g);
    assert_int_equal(unsetenv("AWS_REGION"), 0);
    stage_open(&g, NULL, 0, "region=", NULL);
    endpoint_region(g.store, region);
    assert_string_equal(region, "us-east-1");
    stage_close(&g);
}

static void endpoint__comes_from_the_environment(void **state)
{
    struct stage g;

    (void)state;
    assert_int_equal(
        setenv("AWS_ENDPOINT_URL_S3", "https://s3.other.example", 1), 0);
    stage_open(&g, NULL, 0, "endpoint=", NULL);
    assert_true(g.store->set.custom);
    assert_string_equal(g.store->set.endpoint.host, "s3.other.example");
    stage_close(&g);
    /* Another process with the same options may be elsewhere. */
    assert_int_equal(limits_with("endpoint=", NULL).flags,
                     PERSIST_BACKEND_ORDERED_LISTING |
                         PERSIST_BACKEND_RESUMABLE |
                         PERSIST_BACKEND_CHECK_IF_ABSENT |
                         PERSIST_BACKEND_PLACE_FROM_OUTSIDE);
    assert_int_equal(unsetenv("AWS_ENDPOINT_URL_S3"), 0);
}

static void environment__has_the_sdks_switches(void **state)
{
    struct stage g;
    char text[256];
    struct fixed t = fixed_over(text, sizeof(text));

    (void)state;
    assert_int_equal(setenv("AWS_USE_FIPS_ENDPOINT", "true", 1), 0);
    assert_int_equal(setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1), 0);
    assert_int_equal(
        setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required", 1), 0);
    stage_open(&g, NULL, 0, "endpoint=", NULL);
    endpoint_name(g.store, &t);
    assert_string_equal(text,
                        "https://s3-fips.dualstack.eu-central-1.amazonaws.com");
    assert_int_equal(checksum_level(g.store, false), S3_UNCHECKED);
    stage_close(&g);
    /* An option outranks the environment. */
    stage_open(&g, NULL, 0, "checksum=always", NULL);
    assert_int_equal(checksum_level(g.store, true), S3_CRC_WHOLE);
    stage_close(&g);
    assert_int_equal(unsetenv("AWS_USE_FIPS_ENDPOINT"), 0);
    assert_int_equal(unsetenv("AWS_USE_DUALSTACK_ENDPOINT"), 0);
    assert_int_equal(unsetenv("AWS_REQUEST_CHECKSUM_CALCULATION"), 0);
}

static void keys__are_checked(void **state)
{
    static const char *const bad[] = {
        "",  "/a",  "a/",   "a//b", "a/../b",          "./a", ".a", "a/.b",
        "A", "a b", "a\nb", "..",   "a/.persist-probe"};
    struct stage g;
    char longest[1100];

    (void)state;
    stage_open(&g, NULL, 0, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(key_check(g.store, bad[i], &g.err),
                         PERSIST_BACKEND_INVALID);
    assert_int_equal(key_check(g.store, ".persist-probe", &g.err), OK);
    assert_int_equal(key_check(g.store, "a%2f/b-1_2.x", &g.err), OK);
    memset(longest, 'a', sizeof(longest));
    longest[1023] = '\0';
    assert_int_equal(key_check(g.store, longest, &g.err),
                     PERSIST_BACKEND_INVALID);
    longest[1022] = '\0'; /* and "p/" */
    assert_int_equal(key_check(g.store, longest, &g.err), OK);
    assert_int_equal(key_check_prefix("a/b", &g.err), OK);
    assert_int_equal(key_check_prefix("a/", &g.err), OK);
    assert_int_equal(key_check_prefix("", &g.err), OK);
    assert_int_equal(key_check_prefix("a/../b", &g.err),
                     PERSIST_BACKEND_INVALID);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__takes_a_plain_store),
        TEST(open__names_each_contradiction),
        TEST(open__refuses_what_two_options_need),
        TEST(open__takes_what_belongs_together),
        TEST(limits__are_those_of_s3),
        TEST(limits__of_other_services_ask_for_proof),
        TEST(target__is_the_buckets_host_at_amazon),
        TEST(target__is_a_path_where_a_bucket_is_no_label),
        TEST(target__keeps_port_and_path_of_an_endpoint),
        TEST(region__comes_from_the_environment_or_is_the_default),
        TEST(endpoint__comes_from_the_environment),
        TEST(environment__has_the_sdks_switches),
        TEST(keys__are_checked),
    };

    /* Nobody's own configuration. */
    (void)setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    (void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
