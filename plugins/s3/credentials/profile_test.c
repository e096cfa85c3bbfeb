/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that stand in options, variables, profiles, or come from a program. */
#include "s3/credentials/testkit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CREDENTIALS "/home/u/.aws/credentials"
#define CONFIG "/home/u/.aws/config"
#define STS "POST https://sts.eu-central-1.amazonaws.com/"
#define LATER "2026-01-15T13:00:00Z"

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

/* ------------------------------------------------- options and environment */

static void options__outrank_everything(void **state)
{
    (void)state;
    world.options.access_key_id = "AKIAOPTION";
    world.options.profile = "dev";
    world_secret("secret_access_key", "oS3CRET");
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");

    world_expect_keys("AKIAOPTION", "oS3CRET", "");

    assert_string_equal(world.keys.source, "options");
    assert_int_equal(world.keys.expires_us, 0);
}

static void options__are_read_again_after_a_refusal(void **state)
{
    uint64_t first;
    (void)state;
    world.options.access_key_id = "AKIAOPTION";
    world_secret("secret_access_key", "oS3CRET");
    world_secret("session_token", "oTOKEN");
    world_expect_keys("AKIAOPTION", "oS3CRET", "oTOKEN");
    first = world.keys.generation;
    world_secret("session_token", "oTOKEN2");

    world_expect_keys("AKIAOPTION", "oS3CRET", "oTOKEN");
    s3_credentials_invalidate(world.provider, first);

    world_expect_keys("AKIAOPTION", "oS3CRET", "oTOKEN2");
    assert_true(world.keys.generation > first);
}

static void options__are_whole_or_an_error(void **state)
{
    (void)state;
    world.options.access_key_id = "AKIAOPTION";
    world_expect(PERSIST_BACKEND_CONFIG, "secret_access_key is not");

    world_reset();
    world_secret("secret_access_key", "oS3CRET");
    world_expect(PERSIST_BACKEND_CONFIG, "access_key_id is not");

    world_reset();
    world.options.access_key_id = "AKIA\nX";
    world_secret("secret_access_key", "oS3CRET");
    world_expect(PERSIST_BACKEND_CONFIG, "options: the access key id holds");
}

static void environment__is_whole_or_an_error(void **state)
{
    (void)state;
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_expect(PERSIST_BACKEND_CONFIG,
                 "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not");

    world_reset();
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");
    world_expect(PERSIST_BACKEND_CONFIG,
                 "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not");

    world_reset();
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");
    world_variable("AWS_SESSION_TOKEN", "eTOKEN");
    world_expect_keys("AKIAENV", "eS3CRET", "eTOKEN");
}

static void environment__outranks_aws_profile_but_not_the_option(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[dev]\naws_access_key_id = AKIADEV\n"
                            "aws_secret_access_key = dS3CRET\n");
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");
    world_variable("AWS_PROFILE", "dev");
    world_expect_keys("AKIAENV", "eS3CRET", "");

    s3_credentials_destroy(world.provider);
    world.provider = NULL;
    world.options.profile = "dev";
    world_expect_keys("AKIADEV", "dS3CRET", "");
}

/* -------------------------------------------------------------------- files */

static void profile__takes_the_credentials_file_first_and_whole(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIAONE\n"
                            "aws_secret_access_key = oneS3CRET\n");
    world_file(CONFIG, "[default]\naws_access_key_id = AKIATWO\n"
                       "aws_secret_access_key = twoS3CRET\n"
                       "aws_session_token = twoTOKEN\n");

    world_expect_keys("AKIAONE", "oneS3CRET", "");
    assert_string_equal(world.keys.source, "profile default (keys)");
}

static void profile__is_not_put_together_from_both_files(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIAONE\n");
    world_file(CONFIG, "[default]\naws_secret_access_key = twoS3CRET\n");

    world_expect(PERSIST_BACKEND_CONFIG, "aws_access_key_id without");
}

static void profile__default_is_spelled_both_ways(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\naws_access_key_id = AKIABARE\n"
                       "aws_secret_access_key = bS3CRET\n"
                       "[profile default]\naws_access_key_id = AKIALONG\n"
                       "aws_secret_access_key = lS3CRET\n");

    world_expect_keys("AKIALONG", "lS3CRET", "");
}

static void profile__that_is_named_has_to_exist(void **state)
{
    (void)state;
    world_file(CONFIG, "[dev]\nregion = x\n");
    world_variable("AWS_PROFILE", "dev");
    world_expect(PERSIST_BACKEND_CONFIG, "profile dev is in neither");

    world_reset();
    world.options.profile = "dev";
    world_expect(PERSIST_BACKEND_CONFIG, "profile dev is in neither");
}

static void profile__of_the_option_without_keys_is_an_error(void **state)
{
    (void)state;
    world_file(CONFIG, "[profile dev]\nregion = eu-central-1\n");
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");
    world.options.profile = "dev";

    world_expect(PERSIST_BACKEND_CONFIG, "profile dev says nothing of keys");
}

static void profile__files_may_lie_elsewhere(void **state)
{
    (void)state;
    world_variable("AWS_SHARED_CREDENTIALS_FILE", "~/keys");
    world_variable("AWS_CONFIG_FILE", "/etc/aws");
    world_variable("AWS_PROFILE", "dev");
    world_file("/home/u/keys", "[dev]\naws_access_key_id = AKIADEV\n"
                               "aws_secret_access_key = dS3CRET\n");
    world_file("/etc/aws", "[profile dev]\nregion = eu-north-1\n");

    world_expect_keys("AKIADEV", "dS3CRET", "");
}

static void profile__damaged_file_is_an_error_with_its_line(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIA\nS3CRET\n");

    world_expect(PERSIST_BACKEND_CONFIG, CREDENTIALS ":3:");
}

static void profile__key_given_twice_is_an_error(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIA\n"
                            "aws_secret_access_key = aS3CRET\n[default]\n"
                            "aws_secret_access_key = bS3CRET\n");

    world_expect(PERSIST_BACKEND_CONFIG, "line 3 and in line 5");
}

static void profile__is_read_again_after_a_refusal(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIAOLD\n"
                            "aws_secret_access_key = oS3CRET\n");
    world_expect_keys("AKIAOLD", "oS3CRET", "");
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIANEW\n"
                            "aws_secret_access_key = nS3CRET\n");
    world_expect_keys("AKIAOLD", "oS3CRET", "");

    s3_credentials_invalidate(world.provider, world.keys.generation);

    world_expect_keys("AKIANEW", "nS3CRET", "");
}

/* The file is gone: never on to the next source, which is somebody else. */
static void profile__stays_the_source_once_it_was(void **state)
{
    (void)state;
    world_file(CREDENTIALS, "[default]\naws_access_key_id = AKIAOLD\n"
                            "aws_secret_access_key = oS3CRET\n");
    world_expect_keys("AKIAOLD", "oS3CRET", "");
    world_file(CREDENTIALS, "[other]\n");
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c");
    world_answer("GET http://127.0.0.1/c", 200, world_handed("ASIAC", LATER));
    s3_credentials_invalidate(world.provider, world.keys.generation);

    world_expect(PERSIST_BACKEND_AUTH,
                 "the keys came from profile, which has none any more");
    assert_int_equal(world.n_asked, 0);
}

/* --------------------------------------------------------- credential_process
 */

#define PRINTED                                                                \
    "{\"Version\":1,\"AccessKeyId\":\"AKIAPROC\",\"SecretAccessKey\":"         \
    "\"pS3CRET\""

static void process__runs_without_a_shell(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\ncredential_process = /bin/tool 'a b' "
                       "\"c;d\" $HOME\n");
    (void)strcpy(world.printed, PRINTED ",\"SessionToken\":\"pTOKEN\","
                                        "\"Expiration\":\"" LATER "\"}");

    world_expect_keys("AKIAPROC", "pS3CRET", "pTOKEN");

    assert_string_equal(world.ran, "/bin/tool|a b|c;d|$HOME");
    assert_int_equal(world.keys.expires_us,
                     WORLD_NOW_US + INT64_C(3600) * 1000000);
    assert_string_equal(world.keys.source,
                        "profile default (credential_process)");
}

static void process__may_give_keys_that_last(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\ncredential_process = tool\n");
    (void)strcpy(world.printed, PRINTED ",\"SessionToken\":null}");

    world_expect_keys("AKIAPROC", "pS3CRET", "");
    assert_int_equal(world.keys.expires_us, 0);
}

static void process__output_is_checked_and_never_repeated(void **state)
{
    static const struct {
        const char *printed;
        int32_t code;
        const char *message;
    } bad[] = {
        {"", PERSIST_BACKEND_IO, "not the JSON"},
        {"S3CRET", PERSIST_BACKEND_IO, "not the JSON"},
        {PRINTED, PERSIST_BACKEND_IO, "not the JSON"},
        {PRINTED "}S3CRET", PERSIST_BACKEND_IO, "not the JSON"},
        {PRINTED ",\"AccessKeyId\":\"x\"}", PERSIST_BACKEND_IO, "not the JSON"},
        {"{\"Version\":1,\"AccessKeyId\":\"A\"}", PERSIST_BACKEND_IO, "lacks"},
        {"{\"Version\":2,\"AccessKeyId\":\"A\"}", PERSIST_BACKEND_CONFIG,
         "Version 2"},
        {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S3CRET\"}",
         PERSIST_BACKEND_IO, "lacks Version"},
        {PRINTED ",\"Expiration\":\"S3CRET\"}", PERSIST_BACKEND_IO,
         "not a time"},
        {PRINTED ",\"Expiration\":\"2026-01-15T11:59:59Z\"}",
         PERSIST_BACKEND_AUTH, "expired"},
        {PRINTED ",\"SessionToken\":\"S3CRET\\r\\nX: y\"}", PERSIST_BACKEND_IO,
         "session token holds"}};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        world_reset();
        world_file(CONFIG, "[default]\ncredential_process = tool\n");
        (void)strcpy(world.printed, bad[i].printed);
        world_expect(bad[i].code, bad[i].message);
    }
}

static void process__that_fails_is_an_error(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\ncredential_process = tool\n");
    world.run_code = PERSIST_BACKEND_AUTH;

    world_expect(PERSIST_BACKEND_AUTH, "tool ended with 3");
}

static void process__is_not_run_where_others_can_name_it(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\ncredential_process = tool\n");
    world_file_mode(CONFIG, geteuid(), 0664);
    world_expect(PERSIST_BACKEND_CONFIG, "can be written by others");

    world_reset();
    world_file(CONFIG, "[default]\ncredential_process = tool\n");
    world_file_mode(CONFIG, geteuid() + 1, 0600);
    world_expect(PERSIST_BACKEND_CONFIG, "belongs to another user");
    assert_string_equal(world.ran, "");
}

/* -------------------------------------------------------------------- roles */

#define BASE                                                                   \
    "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = bS3CRET\n"

static void role__is_assumed_with_the_source_profile(void **state)
{
    (void)state;
    world_file(CREDENTIALS, BASE);
    world_file(CONFIG, "[profile dev]\nrole_arn = arn:aws:iam::1:role/a b\n"
                       "source_profile = base\nexternal_id = x&y\n"
                       "role_session_name = me\nduration_seconds = 900\n"
                       "region = eu-central-1\n");
    world_variable("AWS_PROFILE", "dev");
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAROLE", LATER));

    world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");

    assert_string_equal(
        world.asked[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3A"
        "role%2Fa%20b&RoleSessionName=me&DurationSeconds=900&ExternalId=x%26y");
    assert_non_null(strstr(world.asked[0].headers, "Credential=AKIABASE/"
                                                   "20260115/eu-central-1/sts/"
                                                   "aws4_request"));
    assert_string_equal(world.keys.source, "profile dev (role)");
}

static void role__goes_through_a_chain(void **state)
{
    (void)state;
    world_file(CREDENTIALS, BASE);
    world_file(CONFIG, "[profile c]\nrole_arn = arn:c\nsource_profile = b\n"
                       "[profile b]\nrole_arn = arn:b\nsource_profile = base\n"
                       "region = eu-central-1\n");
    world_variable("AWS_REGION", "eu-central-1");
    world.options.profile = "c";
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAB", LATER));
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAC", LATER));

    world_expect_keys("ASIAC", "roleS3CRET", "roleTOKEN");

    assert_int_equal(world.n_asked, 2);
    assert_non_null(strstr(world.asked[0].body, "arn%3Ab"));
    assert_non_null(strstr(world.asked[1].body, "arn%3Ac"));
    assert_non_null(strstr(world.asked[1].headers, "Credential=ASIAB/"));
    assert_non_null(
        strstr(world.asked[1].headers, "X-Amz-Security-Token: roleTOKEN"));
    assert_non_null(strstr(world.asked[1].headers, "x-amz-security-token"));
}

static void role__may_be_its_own_source(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\nrole_arn = arn:a\nsource_profile = default\n"
                       "aws_access_key_id = AKIASELF\n"
                       "aws_secret_access_key = sS3CRET\n");
    world_variable("AWS_REGION", "eu-central-1");
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAROLE", LATER));

    world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");
    assert_non_null(strstr(world.asked[0].headers, "Credential=AKIASELF/"));
}

static void role__refuses_what_cannot_be(void **state)
{
    static const struct {
        const char *config, *message;
    } bad[] = {
        {"role_arn = a\n", "has none"},
        {"role_arn = a\nsource_profile = base\ncredential_source = "
         "Environment\n",
         "has several"},
        {"role_arn = a\nsource_profile = nobody\n", "nobody does not exist"},
        {"role_arn = a\nsource_profile = default\n", "comes back to default"},
        {"role_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\n"
         "source_profile = default\n",
         "comes back to default"},
        {"role_arn = a\nsource_profile = empty\n[profile empty]\n",
         "empty holds no keys"},
        {"role_arn = a\nsource_profile = base\nmfa_serial = arn\n",
         "mfa_serial"},
        {"role_arn = a\nsource_profile = base\nduration_seconds = 899\n",
         "from 900 to 43200"},
        {"role_arn = a\nsource_profile = base\nduration_seconds = 1h\n",
         "from 900 to 43200"},
        {"role_arn = a\ncredential_source = Keychain\n",
         "credential_source must be"},
        {"role_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\n"
         "source_profile = c\n[profile c]\nrole_arn = c\nsource_profile = d\n"
         "[profile d]\nrole_arn = d\nsource_profile = e\n[profile e]\n"
         "role_arn = e\nsource_profile = base\n",
         "more than 4 source_profiles"}};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[1024];

        world_reset();
        (void)snprintf(text, sizeof(text), "[default]\n%s", bad[i].config);
        world_file(CREDENTIALS, BASE);
        world_file(CONFIG, text);
        world_expect(PERSIST_BACKEND_CONFIG, bad[i].message);
        assert_int_equal(world.n_asked, 0);
    }
}

static void role__of_a_role_lasts_an_hour_at_most(void **state)
{
    (void)state;
    world_file(CREDENTIALS, BASE);
    world_file(CONFIG, "[default]\nrole_arn = arn:c\nsource_profile = b\n"
                       "duration_seconds = 7200\n[profile b]\n"
                       "role_arn = arn:b\nsource_profile = base\n");
    world_variable("AWS_REGION", "eu-central-1");
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAB", LATER));

    world_expect(PERSIST_BACKEND_CONFIG, "at most 3600");
}

static void role__uses_a_credential_source(void **state)
{
    (void)state;
    world_file(CONFIG, "[profile dev]\nrole_arn = arn:a\n"
                       "credential_source = Environment\n"
                       "region = eu-central-1\n");
    world.options.profile = "dev";
    world_variable("AWS_ACCESS_KEY_ID", "AKIAENV");
    world_variable("AWS_SECRET_ACCESS_KEY", "eS3CRET");
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAROLE", LATER));
    world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");
    assert_non_null(strstr(world.asked[0].headers, "Credential=AKIAENV/"));

    world_reset();
    world_file(CONFIG, "[default]\nrole_arn = arn:a\n"
                       "credential_source = EcsContainer\n");
    world_expect(PERSIST_BACKEND_AUTH, "credential_source EcsContainer: AWS_");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(options__outrank_everything),
        TEST(options__are_read_again_after_a_refusal),
        TEST(options__are_whole_or_an_error),
        TEST(environment__is_whole_or_an_error),
        TEST(environment__outranks_aws_profile_but_not_the_option),
        TEST(profile__takes_the_credentials_file_first_and_whole),
        TEST(profile__is_not_put_together_from_both_files),
        TEST(profile__default_is_spelled_both_ways),
        TEST(profile__that_is_named_has_to_exist),
        TEST(profile__of_the_option_without_keys_is_an_error),
        TEST(profile__files_may_lie_elsewhere),
        TEST(profile__damaged_file_is_an_error_with_its_line),
        TEST(profile__key_given_twice_is_an_error),
        TEST(profile__is_read_again_after_a_refusal),
        TEST(profile__stays_the_source_once_it_was),
        TEST(process__runs_without_a_shell),
        TEST(process__may_give_keys_that_last),
        TEST(process__output_is_checked_and_never_repeated),
        TEST(process__that_fails_is_an_error),
        TEST(process__is_not_run_where_others_can_name_it),
        TEST(role__is_assumed_with_the_source_profile),
        TEST(role__goes_through_a_chain),
        TEST(role__may_be_its_own_source),
        TEST(role__refuses_what_cannot_be),
        TEST(role__of_a_role_lasts_an_hour_at_most),
        TEST(role__uses_a_credential_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
