/* SPDX-License-Identifier: Apache-2.0 */
/* The provider: order, renewal, threads, what doctor is told, settings. */
#include "s3/credentials/testkit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CREDENTIALS "/home/u/.aws/credentials"
#define CONFIG "/home/u/.aws/config"
#define CONTAINER "http://127.0.0.1/c"
#define MINUTE_US (INT64_C(60) * 1000000)

static int setup(void **state)
{
    (void)state;
    world_reset();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_reset();
    return 0;
}

/* A container that gives `first` until its time, then ASIATWO. */
static void container_world(const char *first_expiration)
{
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", CONTAINER);
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIAONE", first_expiration));
}

static void set_clock(int64_t minutes)
{
    atomic_store(&world.now_us, WORLD_NOW_US + minutes * MINUTE_US);
}

/* -------------------------------------------------------------------- order */

static void get__says_what_to_do_where_there_are_no_keys(void **state)
{
    (void)state;
    world_variable("AWS_EC2_METADATA_DISABLED", "true");

    world_expect(PERSIST_BACKEND_AUTH, "Set AWS_ACCESS_KEY_ID");
}

static void get__goes_on_where_a_source_is_not_configured(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\nregion = eu-central-1\n");
    container_world("2026-01-15T13:00:00Z");

    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
}

static void get__stops_at_a_source_that_is_broken(void **state)
{
    (void)state;
    world_variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/none");
    world_variable("AWS_ROLE_ARN", "arn");
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIA\n"
                            "aws_secret_access_key = aS3CRET\n");

    world_expect(PERSIST_BACKEND_CONFIG, "/none does not exist");
}

/* ------------------------------------------------------------------ renewal */

static void get__asks_once_while_keys_are_good(void **state)
{
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    for (int i = 0; i < 100; i++)
        world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    set_clock(44);
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");

    assert_int_equal(world.n_asked, 1);
}

/* As STS gives them at the least: never further from the end than "early". */
static void get__does_not_ask_each_time_for_keys_of_15_minutes(void **state)
{
    (void)state;
    container_world("2026-01-15T12:15:00Z");
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIATWO", "2026-01-15T12:30:00Z"));
    for (int i = 0; i < 10; i++)
        world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    set_clock(1);
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    set_clock(11);
    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");

    assert_int_equal(world.n_asked, 2);
}

static void get__renews_a_quarter_of_an_hour_before_the_end(void **state)
{
    uint64_t first;
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIATWO", "2026-01-15T14:00:00Z"));
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    first = world.keys.generation;
    set_clock(46);

    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");
    assert_true(world.keys.generation > first);
}

static void get__tolerates_failures_until_the_keys_have_expired(void **state)
{
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 500, "");
    world_keep();
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");

    set_clock(46);
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    assert_int_equal(world.n_asked, 2);
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    assert_int_equal(world.n_asked, 2); /* not at every call */
    set_clock(59);
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    set_clock(60);
    world_expect(PERSIST_BACKEND_TRANSIENT, "container answered 500");
}

static int64_t ten_hours_on(void *ctx)
{
    (void)ctx;
    return WORLD_NOW_US + 600 * MINUTE_US;
}

static void get__uses_the_clock_of_the_caller(void **state)
{
    (void)state;
    world.options.now_us = ten_hours_on;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIATWO", "2026-01-15T23:00:00Z"));
    (void)world_get(); /* ten hours on, the first ones have long expired */

    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");
}

static void invalidate__of_older_keys_does_nothing(void **state)
{
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIATWO", "2026-01-15T14:00:00Z"));
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    s3_credentials_invalidate(world.provider, world.keys.generation);
    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");

    s3_credentials_invalidate(world.provider, world.keys.generation - 1);

    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");
    assert_int_equal(world.n_asked, 2);
}

static void invalidate__makes_a_failure_show(void **state)
{
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 403, "");
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");

    s3_credentials_invalidate(world.provider, world.keys.generation);

    world_expect(PERSIST_BACKEND_DENIED, "container answered 403");
}

/* ------------------------------------------------------------------ threads */

#define N_THREADS 10

static void *get_in_thread(void *result)
{
    const struct persist_backend_call call = {.struct_size = sizeof(call)};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct s3_credentials keys;
    int32_t *rc = result;

    *rc = s3_credentials_get(world.provider, &call, &keys, &err);
    if (*rc == PERSIST_BACKEND_OK && strcmp(keys.access_key_id, "ASIATWO") != 0)
        *rc = PERSIST_BACKEND_INTERNAL;
    return NULL;
}

static void get__of_many_threads_makes_one_request(void **state)
{
    pthread_t threads[N_THREADS];
    int32_t results[N_THREADS];
    (void)state;
    container_world("2026-01-15T13:00:00Z");
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIATWO", "2026-01-15T20:00:00Z"));
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    set_clock(61); /* all must have new ones */
    atomic_store(&world.fetch_delay_ms, 50);

    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, get_in_thread, &results[i]), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(results[i], PERSIST_BACKEND_OK);
    }

    assert_int_equal(atomic_load(&world.n_fetches), 2);
}

/* ----------------------------------------------------------------- describe */

static void describe__tells_who_won_and_why_the_others_did_not(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\nregion = x\n");
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", CONTAINER);
    world_answer("GET " CONTAINER, 200,
                 world_handed("ASIALONGONE", "2026-01-15T13:00:00Z"));

    assert_int_equal(world_describe(), PERSIST_BACKEND_OK);

    assert_string_equal(
        world.findings,
        "1 credentials: container: access key ...GONE with a session token, "
        "60 min left\n"
        "0 passed-over: options: access_key_id is not set\n"
        "0 passed-over: profile option: the option profile is not set\n"
        "0 passed-over: environment: AWS_ACCESS_KEY_ID is not set\n"
        "0 passed-over: web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set\n"
        "0 passed-over: profile: profile default says nothing of keys\n"
        "0 passed-over: instance metadata: not asked, container comes first\n");
    assert_null(strstr(world.findings, "S3CRET"));
}

static void describe__reports_a_broken_source(void **state)
{
    (void)state;
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");

    assert_int_equal(world_describe(), PERSIST_BACKEND_OK);

    assert_non_null(strstr(world.findings,
                           "3 credentials: AWS_ACCESS_KEY_ID is set and "
                           "AWS_SECRET_ACCESS_KEY is not\n"));
    assert_non_null(strstr(world.findings, "0 passed-over: container: not "
                                           "asked, environment comes first\n"));
}

static void describe__warns_of_a_file_that_others_may_read(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIALONGENOUGH\n"
                            "aws_secret_access_key = aS3CRET\n");
    world_file_mode(CREDENTIALS, 0, 0644);

    assert_int_equal(world_describe(), PERSIST_BACKEND_OK);

    assert_non_null(strstr(world.findings, "access key ...OUGH, no expiry"));
    assert_non_null(strstr(world.findings, "2 credentials-file: " CREDENTIALS
                                           " can be read by others\n"));
    assert_non_null(strstr(world.logged, "can be read by others"));
}

static void describe__shows_nothing_of_a_short_key(void **state)
{
    (void)state;
    world_variable("AWS_ACCESS_KEY_ID", "testak");
    world_variable("AWS_SECRET_ACCESS_KEY", "aS3CRET");

    assert_int_equal(world_describe(), PERSIST_BACKEND_OK);

    assert_null(strstr(world.findings, "testak"));
}

/* ----------------------------------------------------------------- settings */

static int32_t region(char *out, size_t cap, const char **origin)
{
    (void)world_describe(); /* makes the provider */
    return s3_credentials_region(world.provider, out, cap, origin, &world.err);
}

static void region__comes_from_environment_then_profile(void **state)
{
    const char *origin = NULL;
    char out[64];
    (void)state;
    world_variable("AWS_EC2_METADATA_DISABLED", "true");
    assert_int_equal(region(out, sizeof(out), &origin),
                     PERSIST_BACKEND_NOT_FOUND);
    world_file(CONFIG, "[default]\nregion = eu-north-1\n");
    assert_int_equal(region(out, sizeof(out), &origin), 0);
    assert_string_equal(out, "eu-north-1");
    assert_string_equal(origin, "profile");
    world_variable("AWS_DEFAULT_REGION", "eu-west-2");
    assert_int_equal(region(out, sizeof(out), &origin), 0);
    assert_string_equal(out, "eu-west-2");
    world_variable("AWS_REGION", "eu-west-3");
    assert_int_equal(region(out, sizeof(out), &origin), 0);
    assert_string_equal(out, "eu-west-3");
    assert_string_equal(origin, "AWS_REGION");
    assert_int_equal(region(out, 4, &origin), PERSIST_BACKEND_CONFIG);
    world_variable("AWS_REGION", "../x");
    assert_int_equal(region(out, sizeof(out), &origin), PERSIST_BACKEND_CONFIG);
}

static const char *endpoint(void)
{
    static char out[256];
    int32_t rc;

    (void)world_describe();
    rc = s3_credentials_endpoint(world.provider, "s3", out, sizeof(out), NULL,
                                 &world.err);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return "none";
    return rc == PERSIST_BACKEND_OK ? out : "error";
}

static void endpoint__comes_in_its_order(void **state)
{
    (void)state;
    world_variable("AWS_EC2_METADATA_DISABLED", "true");
    assert_string_equal(endpoint(), "none");
    world_file(CONFIG, "[default]\nendpoint_url = https://profile\n");
    assert_string_equal(endpoint(), "https://profile");
    world_file(CONFIG, "[default]\nendpoint_url = https://profile\n"
                       "services = mine\n[services mine]\ns3 =\n"
                       "  endpoint_url = https://service\nsts =\n"
                       "  endpoint_url = https://other\n");
    assert_string_equal(endpoint(), "https://service");
    world_variable("AWS_ENDPOINT_URL", "https://all");
    assert_string_equal(endpoint(), "https://all");
    world_variable("AWS_ENDPOINT_URL_S3", "http://s3:9000");
    assert_string_equal(endpoint(), "http://s3:9000");
    world_variable("AWS_ENDPOINT_URL_S3", "s3:9000");
    assert_string_equal(endpoint(), "error");
    world_variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE");
    assert_string_equal(endpoint(), "none");
}

static void endpoint__of_the_profile_can_be_ignored(void **state)
{
    (void)state;
    world_variable("AWS_EC2_METADATA_DISABLED", "true");
    world_file(CONFIG, "[default]\nendpoint_url = https://profile\n"
                       "ignore_configured_endpoint_urls = true\n");

    assert_string_equal(endpoint(), "none");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(get__says_what_to_do_where_there_are_no_keys),
        TEST(get__goes_on_where_a_source_is_not_configured),
        TEST(get__stops_at_a_source_that_is_broken),
        TEST(get__asks_once_while_keys_are_good),
        TEST(get__does_not_ask_each_time_for_keys_of_15_minutes),
        TEST(get__renews_a_quarter_of_an_hour_before_the_end),
        TEST(get__tolerates_failures_until_the_keys_have_expired),
        TEST(get__uses_the_clock_of_the_caller),
        TEST(invalidate__of_older_keys_does_nothing),
        TEST(invalidate__makes_a_failure_show),
        TEST(get__of_many_threads_makes_one_request),
        TEST(describe__tells_who_won_and_why_the_others_did_not),
        TEST(describe__reports_a_broken_source),
        TEST(describe__warns_of_a_file_that_others_may_read),
        TEST(describe__shows_nothing_of_a_short_key),
        TEST(region__comes_from_environment_then_profile),
        TEST(endpoint__comes_in_its_order),
        TEST(endpoint__of_the_profile_can_be_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
