/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that a server gives: STS, SSO, container, instance. */
#include "s3/credentials/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIALS "/home/u/.aws/credentials"
#define CONFIG "/home/u/.aws/config"
#define STS "POST https://sts.eu-central-1.amazonaws.com/"
#define LATER "2026-01-15T13:00:00Z"
#define HOUR_US (INT64_C(3600) * 1000000)

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

/* ---------------------------------------------------------------------- STS */

static void role_world(void)
{
    world_reset();
    world_file(CREDENTIALS, "[base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
                            "aws_secret_access_key = "
                            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n");
    world_file(CONFIG, "[default]\nrole_arn = arn:aws:iam::111122223333:role/"
                       "demo\nsource_profile = base\n"
                       "duration_seconds = 3600\nregion = eu-central-1\n");
}

/* Vector: computed with an independent signer. */
static void sts__request_has_the_published_form_and_signature(void **state)
{
    (void)state;
    role_world();
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAROLE", LATER));

    world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");

    assert_string_equal(
        world.asked[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
        "111122223333%3Arole%2Fdemo&RoleSessionName=persist&"
        "DurationSeconds=3600");
    assert_non_null(strstr(
        world.asked[0].headers,
        "SignedHeaders=content-type;host;x-amz-date, Signature="
        "796b2db0a3a6cdf6bcb16a47f5098cab4c49442943719f5022f453a795a68c0c"));
    assert_non_null(
        strstr(world.asked[0].headers, "X-Amz-Date: 20260115T120000Z\n"));
    assert_int_equal(world.keys.expires_us, WORLD_NOW_US + HOUR_US);
    assert_true(world.asked[0].timeout_ms > 0);
}

#define REFUSAL(code)                                                          \
    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"      \
    "<Error><Type>Sender</Type><Code>" code                                    \
    "</Code><Message>S3CRET canonical</Message></Error></ErrorResponse>"

static void sts__refusals_become_codes(void **state)
{
    static const struct {
        int32_t status;
        const char *body;
        int32_t code;
        const char *message;
    } refusals[] = {
        {403, REFUSAL("AccessDenied"), PERSIST_BACKEND_DENIED, "AccessDenied"},
        {403, REFUSAL("ExpiredToken"), PERSIST_BACKEND_AUTH, "have expired"},
        {403, REFUSAL("InvalidClientTokenId"), PERSIST_BACKEND_AUTH,
         "not known"},
        {403, REFUSAL("SignatureDoesNotMatch"), PERSIST_BACKEND_AUTH,
         "not the right one"},
        {400, REFUSAL("ValidationError"), PERSIST_BACKEND_CONFIG, "ARN"},
        {400, REFUSAL("Throttling"), PERSIST_BACKEND_THROTTLED, "too many"},
        {400, REFUSAL("IDPCommunicationError"), PERSIST_BACKEND_TRANSIENT,
         "identity provider"},
        {403, REFUSAL("SomethingNew"), PERSIST_BACKEND_DENIED, "SomethingNew"},
        {403, "<html>S3CRET", PERSIST_BACKEND_DENIED, "STS answered 403"},
        {400, "", PERSIST_BACKEND_AUTH, "STS answered 400"},
        {429, "", PERSIST_BACKEND_THROTTLED, "STS answered 429"},
        {503, "", PERSIST_BACKEND_TRANSIENT, "STS answered 503"},
        {302, "", PERSIST_BACKEND_AUTH, "STS answered 302"}};
    (void)state;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        role_world();
        world_answer(STS, refusals[i].status, refusals[i].body);
        world_header("x-amzn-requestid: req-1");
        world_expect(refusals[i].code, refusals[i].message);
        assert_int_equal(world.err.http_status, refusals[i].status);
        assert_string_equal(world.err.request_id, "req-1");
    }
}

static void sts__answers_are_checked(void **state)
{
    static const char *const bodies[] = {
        "", "{}", "<AssumeRoleResponse/>",
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A"
        "</AccessKeyId>",
        "<!DOCTYPE x><AssumeRoleResponse/>"};
    (void)state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        role_world();
        world_answer(STS, 200, bodies[i]);
        world_expect(PERSIST_BACKEND_IO, "lacks");
    }
    role_world();
    world_answer(STS, 200, world_sts("AssumeRole", "ASIA", "S3CRET"));
    world_expect(PERSIST_BACKEND_IO, "not a time");
    role_world();
    world_answer(STS, 200, world_sts("AssumeRole", "AS IA", LATER));
    world_expect(PERSIST_BACKEND_IO, "holds blanks");
    role_world();
    world_answer(STS, 200,
                 world_sts("AssumeRoleWithWebIdentity", "ASIA", LATER));
    world_expect(PERSIST_BACKEND_IO, "lacks");
}

static void sts__wrong_clock_is_corrected_once(void **state)
{
    (void)state;
    role_world();
    world_answer(STS, 403, REFUSAL("SignatureDoesNotMatch"));
    world_header("date: Thu, 15 Jan 2026 12:20:00 GMT");
    world_answer(STS, 200, world_sts("AssumeRole", "ASIAROLE", LATER));
    world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");
    assert_non_null(
        strstr(world.asked[1].headers, "X-Amz-Date: 20260115T122000Z\n"));

    role_world(); /* it is not the clock */
    world_answer(STS, 403, REFUSAL("SignatureDoesNotMatch"));
    world_header("date: Thu, 15 Jan 2026 12:00:03 GMT");
    world_expect(PERSIST_BACKEND_AUTH, "SignatureDoesNotMatch");
    assert_int_equal(world.n_asked, 1);

    role_world(); /* nor does the second answer help */
    world_answer(STS, 403, REFUSAL("RequestExpired"));
    world_header("date: Thu, 15 Jan 2026 12:20:00 GMT");
    world_keep();
    world_expect(PERSIST_BACKEND_AUTH, "RequestExpired");
    assert_int_equal(world.n_asked, 2);
}

static void sts__endpoint_is_found_in_its_order(void **state)
{
    static const struct {
        const char *variable, *value, *request;
    } cases[] = {{"X", "x", "POST https://sts.eu-central-1.amazonaws.com/"},
                 {"AWS_REGION", "cn-north-1",
                  "POST https://sts.cn-north-1.amazonaws.com.cn/"},
                 {"AWS_REGION", "eusc-de-east-1",
                  "POST https://sts.eusc-de-east-1.amazonaws.eu/"},
                 {"AWS_ENDPOINT_URL_STS", "http://127.0.0.1:99/sts/",
                  "POST http://127.0.0.1:99/sts/"},
                 {"AWS_ENDPOINT_URL", "https://all.example",
                  "POST https://all.example/"}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        role_world();
        world_variable(cases[i].variable, cases[i].value);
        world_answer(cases[i].request, 200,
                     world_sts("AssumeRole", "ASIAROLE", LATER));
        world_expect_keys("ASIAROLE", "roleS3CRET", "roleTOKEN");
    }
    role_world();
    world_variable("AWS_ENDPOINT_URL_STS", "http://sts.example");
    world_expect(PERSIST_BACKEND_CONFIG, "must be https");
    role_world();
    world_variable("AWS_ENDPOINT_URL_STS", "https://u:S3CRET@sts.example");
    world_expect(PERSIST_BACKEND_CONFIG, "not a URL");
    role_world();
    world_variable("AWS_REGION", "evil.example/#");
    world_expect(PERSIST_BACKEND_CONFIG, "not the name of a region");
}

/* ------------------------------------------------------------- web identity */

static void web_world(void)
{
    world_reset();
    world_variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token");
    world_variable("AWS_ROLE_ARN", "arn:aws:iam::1:role/web");
    world_variable("AWS_REGION", "eu-central-1");
    world_file("/var/token", "eyJ.S3CRET+/=\n");
}

static void web__token_is_changed_for_keys_without_a_signature(void **state)
{
    (void)state;
    web_world();
    world_variable("AWS_ROLE_SESSION_NAME", "pod");
    world_answer(STS, 200,
                 world_sts("AssumeRoleWithWebIdentity", "ASIAWEB", LATER));

    world_expect_keys("ASIAWEB", "roleS3CRET", "roleTOKEN");

    assert_string_equal(
        world.asked[0].body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws"
        "%3Aiam%3A%3A1%3Arole%2Fweb&RoleSessionName=pod&WebIdentityToken=eyJ."
        "S3CRET%2B%2F%3D");
    assert_null(strstr(world.asked[0].headers, "Authorization"));
    assert_string_equal(world.keys.source, "web identity");
}

static void web__token_is_read_at_every_refresh(void **state)
{
    (void)state;
    web_world();
    world_answer(STS, 200,
                 world_sts("AssumeRoleWithWebIdentity", "ASIAONE", LATER));
    world_answer(STS, 200,
                 world_sts("AssumeRoleWithWebIdentity", "ASIATWO",
                           "2026-01-15T14:00:00Z"));
    world_expect_keys("ASIAONE", "roleS3CRET", "roleTOKEN");
    world_file("/var/token", "newer");
    atomic_store(&world.now_us, WORLD_NOW_US + HOUR_US);

    world_expect_keys("ASIATWO", "roleS3CRET", "roleTOKEN");
    assert_non_null(strstr(world.asked[1].body, "WebIdentityToken=newer"));
}

static void web__refuses_what_cannot_be(void **state)
{
    (void)state;
    web_world();
    world_variable("AWS_ROLE_ARN", "");
    world_expect(PERSIST_BACKEND_CONFIG, "AWS_ROLE_ARN is not");

    web_world();
    world_variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/none");
    world_expect(PERSIST_BACKEND_CONFIG, "/var/none does not exist");

    web_world();
    world_file("/var/token", " \n");
    world_expect(PERSIST_BACKEND_CONFIG, "is empty");

    web_world();
    world_file("/var/token", "S3CRET\nsecond");
    world_expect(PERSIST_BACKEND_CONFIG, "holds no token");

    web_world();
    world_answer(STS, 400, REFUSAL("InvalidIdentityToken"));
    world_expect(PERSIST_BACKEND_AUTH, "InvalidIdentityToken");
}

static void web__also_by_a_profile(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\nrole_arn = arn:w\nregion = eu-central-1\n"
                       "web_identity_token_file = ~/token\n");
    world_file("/home/u/token", "tok");
    world_answer(STS, 200,
                 world_sts("AssumeRoleWithWebIdentity", "ASIAWEB", LATER));

    world_expect_keys("ASIAWEB", "roleS3CRET", "roleTOKEN");
}

/* ---------------------------------------------------------------------- SSO */

#define PORTAL                                                                 \
    "GET https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?"   \
    "role_name=Dev%20Ops&account_id=111122223333"
#define OIDC "POST https://oidc.eu-west-1.amazonaws.com/token"
/* SHA-1 of "corp", and of "https://corp.awsapps.com/start". */
#define CACHE(sha1) "/home/u/.aws/sso/cache/" sha1 ".json"
#define CORP CACHE("ee0bfd2552fbd840c02cc48b6e823320543c450f")
#define START_URL CACHE("a51746d4aa793ae07b25e90c3a5db96fc7832bd7")
#define ROLE_KEYS                                                              \
    "{\"roleCredentials\":{\"accessKeyId\":\"ASIASSO\",\"secretAccessKey\":"   \
    "\"ssoS3CRET\",\"sessionToken\":\"ssoTOKEN\",\"expiration\":"              \
    "1768482000000}}"

static void sso_world(const char *token)
{
    world_reset();
    world_file(CONFIG, "[default]\nsso_session = corp\n"
                       "sso_account_id = 111122223333\n"
                       "sso_role_name = Dev Ops\n"
                       "[sso-session corp]\nsso_region = eu-west-1\n"
                       "sso_start_url = https://corp.awsapps.com/start\n");
    if (token != NULL)
        world_file(CORP, token);
}

static void sso__token_is_changed_for_keys(void **state)
{
    (void)state;
    sso_world("{\"startUrl\":\"https://corp.awsapps.com/start\","
              "\"accessToken\":\"aTOKEN\",\"expiresAt\":\"" LATER "\"}");
    world_answer(PORTAL, 200, ROLE_KEYS);

    world_expect_keys("ASIASSO", "ssoS3CRET", "ssoTOKEN");

    assert_string_equal(world.asked[0].headers,
                        "x-amz-sso_bearer_token: aTOKEN\n");
    assert_int_equal(world.keys.expires_us, WORLD_NOW_US + HOUR_US);
    assert_string_equal(world.keys.source, "profile default (SSO)");
}

static void sso__old_way_has_all_in_the_profile(void **state)
{
    (void)state;
    world_file(CONFIG, "[default]\nsso_account_id = 111122223333\n"
                       "sso_role_name = Dev Ops\nsso_region = eu-west-1\n"
                       "sso_start_url = https://corp.awsapps.com/start\n");
    world_file(START_URL, "{\"accessToken\":\"aTOKEN\",\"expiresAt\":"
                          "\"2026-01-15T13:00:00UTC\"}");
    world_answer(PORTAL, 200, ROLE_KEYS);

    world_expect_keys("ASIASSO", "ssoS3CRET", "ssoTOKEN");
}

#define OLD_TOKEN(expires)                                                     \
    "{\"accessToken\":\"oldTOKEN\",\"expiresAt\":\"" expires                   \
    "\",\"clientId\":\"c\\\"id\",\"clientSecret\":\"cS3CRET\","                \
    "\"registrationExpiresAt\":\"2026-02-15T13:00:00Z\",\"refreshToken\":"     \
    "\"rTOKEN\"}"

static void sso__expired_token_is_renewed_and_kept(void **state)
{
    (void)state;
    sso_world(OLD_TOKEN("2026-01-15T11:00:00Z"));
    world_answer(OIDC, 200,
                 "{\"accessToken\":\"newTOKEN\",\"tokenType\":"
                 "\"Bearer\",\"expiresIn\":3600,\"refreshToken\":"
                 "\"r2TOKEN\"}");
    world_answer(PORTAL, 200, ROLE_KEYS);

    world_expect_keys("ASIASSO", "ssoS3CRET", "ssoTOKEN");

    assert_string_equal(world.asked[0].body,
                        "{\"grantType\":\"refresh_token\",\"clientId\":"
                        "\"c\\\"id\",\"clientSecret\":\"cS3CRET\","
                        "\"refreshToken\":\"rTOKEN\"}");
    assert_string_equal(world.asked[1].headers,
                        "x-amz-sso_bearer_token: newTOKEN\n");
    assert_string_equal(
        world_text_of(CORP),
        "{\"startUrl\":\"https://corp.awsapps.com/start\",\"region\":"
        "\"eu-west-1\",\"accessToken\":\"newTOKEN\",\"expiresAt\":"
        "\"2026-01-15T13:00:00Z\",\"clientId\":\"c\\\"id\",\"clientSecret\":"
        "\"cS3CRET\",\"registrationExpiresAt\":\"2026-02-15T13:00:00Z\","
        "\"refreshToken\":\"r2TOKEN\"}");
}

static void sso__good_token_serves_while_renewing_fails(void **state)
{
    (void)state;
    sso_world(OLD_TOKEN("2026-01-15T12:03:00Z"));
    world_answer(OIDC, 503, "");
    world_answer(PORTAL, 200, ROLE_KEYS);

    world_expect_keys("ASIASSO", "ssoS3CRET", "ssoTOKEN");
    assert_string_equal(world.asked[1].headers,
                        "x-amz-sso_bearer_token: oldTOKEN\n");
}

static void sso__tells_to_log_in(void **state)
{
    static const char log_in[] = "aws sso login --profile default";
    (void)state;
    sso_world(NULL);
    world_expect(PERSIST_BACKEND_AUTH, log_in);

    sso_world("{\"accessToken\":\"S3CRET\"}");
    world_expect(PERSIST_BACKEND_AUTH, log_in);

    sso_world("{\"accessToken\":\"S3CRET\",\"expiresAt\":"
              "\"2026-01-15T11:00:00Z\"}");
    world_expect(PERSIST_BACKEND_AUTH, log_in);

    sso_world(OLD_TOKEN("2026-01-15T11:00:00Z"));
    world_answer(OIDC, 400, "{\"error\":\"invalid_grant\"}");
    world_expect(PERSIST_BACKEND_AUTH, log_in);

    sso_world(OLD_TOKEN(LATER));
    world_answer(PORTAL, 401, "{\"message\":\"S3CRET\"}");
    world_expect(PERSIST_BACKEND_AUTH, log_in);
}

static void sso__other_refusals(void **state)
{
    (void)state;
    sso_world(OLD_TOKEN(LATER));
    world_answer(PORTAL, 403, "{\"message\":\"No access\"}");
    world_expect(PERSIST_BACKEND_DENIED, "role Dev Ops of account");

    sso_world(OLD_TOKEN(LATER));
    world_answer(PORTAL, 429, "");
    world_expect(PERSIST_BACKEND_THROTTLED, "429");

    sso_world(OLD_TOKEN(LATER));
    world_answer(PORTAL, 200, "{\"roleCredentials\":{}}");
    world_expect(PERSIST_BACKEND_IO, "lacks");

    sso_world(NULL);
    world_file(CONFIG, "[default]\nsso_account_id = 1\nsso_region = x\n"
                       "sso_start_url = https://x\n");
    world_expect(PERSIST_BACKEND_CONFIG, "has no sso_role_name");

    world_reset();
    world_file(CONFIG, "[default]\nsso_account_id = 1\nsso_role_name = r\n"
                       "sso_session = none\n");
    world_expect(PERSIST_BACKEND_CONFIG, "has no sso_region in [sso-session");
}

/* -------------------------------------------------------------- container */

static void container__relative_uri_is_the_host_of_ecs(void **state)
{
    (void)state;
    world_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x?id=1");
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    world_answer("GET http://169.254.170.2/v2/x?id=1", 200,
                 world_handed("ASIAECS", LATER));

    world_expect_keys("ASIAECS", "hostS3CRET", "hostTOKEN");

    assert_true(world.asked[0].no_proxy);
    assert_int_equal(world.asked[0].timeout_ms, 2000);
    assert_null(strstr(world.asked[0].headers, "Authorization"));
    assert_string_equal(world.keys.source, "container");
}

static void container__full_uri_goes_to_allowed_hosts_only(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1:8080/a", "http://127.9.9.9/a",
        "http://localhost/a",      "http://[::1]:80/a",
        "http://169.254.170.2/a",  "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/a", "https://any.example/a"};
    static const char *const bad[] = {"http://169.254.170.3/a",
                                      "http://example.com/a",
                                      "http://127.0.0.1.evil/a",
                                      "http://127.0.0.1@evil/a",
                                      "http://[fd00:ec2::24]/a",
                                      "ftp://127.0.0.1/a",
                                      "//127.0.0.1/a",
                                      "http://127.0.0.1/a\r\nX: y",
                                      "http://evil#@127.0.0.1/a",
                                      "http://0.0.0.0/a"};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char request[256];

        world_reset();
        world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i]);
        (void)snprintf(request, sizeof(request), "GET %s", good[i]);
        world_answer(request, 200, world_handed("ASIAFULL", LATER));
        world_expect_keys("ASIAFULL", "hostS3CRET", "hostTOKEN");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        world_reset();
        world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i]);
        world_expect(PERSIST_BACKEND_CONFIG, "FULL_URI");
        assert_int_equal(world.n_asked, 0);
    }
}

static void container__token_file_beats_token_and_is_read_again(void **state)
{
    (void)state;
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    world_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "envTOKEN");
    world_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/t");
    world_file("/var/t", "fileTOKEN");
    world_answer("GET http://127.0.0.1/", 200, world_handed("ASIAONE", LATER));
    world_answer("GET http://127.0.0.1/", 200,
                 world_handed("ASIATWO", "2026-01-15T15:00:00Z"));
    world_expect_keys("ASIAONE", "hostS3CRET", "hostTOKEN");
    world_file("/var/t", "secondTOKEN");
    atomic_store(&world.now_us, WORLD_NOW_US + HOUR_US);
    world_expect_keys("ASIATWO", "hostS3CRET", "hostTOKEN");

    assert_non_null(
        strstr(world.asked[0].headers, "Authorization: fileTOKEN\n"));
    assert_non_null(
        strstr(world.asked[1].headers, "Authorization: secondTOKEN\n"));
}

static void container__token_is_one_line(void **state)
{
    (void)state;
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    world_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "S3CRET\r\nX: y");
    world_expect(PERSIST_BACKEND_CONFIG, "more than one line");
    world_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/none");
    world_expect(PERSIST_BACKEND_CONFIG, "/none does not exist");
    assert_int_equal(world.n_asked, 0);
}

static void container__that_is_broken_is_an_error(void **state)
{
    (void)state;
    world_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    world_answer("GET http://127.0.0.1/", 500, "S3CRET");
    world_answer("GET http://127.0.0.1/", 403, "S3CRET");
    world_answer("GET http://127.0.0.1/", 200, "S3CRET");
    world_answer("GET http://127.0.0.1/", 200, "{\"AccessKeyId\":\"A\"}");

    world_expect(PERSIST_BACKEND_TRANSIENT, "container answered 500");
    world_expect(PERSIST_BACKEND_DENIED, "container answered 403");
    world_expect(PERSIST_BACKEND_IO, "not the JSON");
    world_expect(PERSIST_BACKEND_IO, "lacks");
    world_expect(PERSIST_BACKEND_TRANSIENT, "no server");
}

/* ---------------------------------------------------------------- instance */

#define IMDS "http://169.254.169.254/latest/"
#define ROLES "GET " IMDS "meta-data/iam/security-credentials/"

static void instance_world(const char *keys)
{
    world_reset();
    world_answer("PUT " IMDS "api/token", 200, "mTOKEN==");
    world_answer(ROLES, 200, "web-role\n");
    world_answer(ROLES "web-role", 200, keys);
}

static void instance__asks_by_version_2(void **state)
{
    (void)state;
    instance_world(world_handed("ASIAEC2", LATER));

    world_expect_keys("ASIAEC2", "hostS3CRET", "hostTOKEN");

    assert_string_equal(world.asked[0].headers,
                        "X-aws-ec2-metadata-token-ttl-seconds: 21600\n");
    assert_string_equal(world.asked[2].headers,
                        "X-aws-ec2-metadata-token: mTOKEN==\n");
    for (size_t i = 0; i < 3; i++) {
        assert_true(world.asked[i].no_proxy);
        assert_int_equal(world.asked[i].timeout_ms, 1000);
    }
    assert_string_equal(world.keys.source, "instance role web-role");
}

static void instance__is_elsewhere_or_turned_off(void **state)
{
    (void)state;
    world_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://10.0.0.1:80/");
    world_answer("PUT http://10.0.0.1:80/latest/api/token", 403, "");
    world_expect(PERSIST_BACKEND_AUTH, "turned off (403)");

    world_reset();
    world_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    world_answer("PUT http://[fd00:ec2::254]/latest/api/token", 404, "");
    world_expect(PERSIST_BACKEND_AUTH, "turned off (404)");

    world_reset();
    world_variable("AWS_EC2_METADATA_DISABLED", "True");
    world_expect(PERSIST_BACKEND_AUTH, "AWS_EC2_METADATA_DISABLED is true");
    assert_int_equal(world.n_asked, 0);
}

static void instance__that_is_silent_hints_at_the_hop_limit(void **state)
{
    (void)state;
    world_fails("PUT " IMDS "api/token", PERSIST_BACKEND_TIMEOUT);
    world_expect(PERSIST_BACKEND_AUTH, "hop limit to 2");
    assert_int_equal(world.n_asked, 1); /* and version 1 is not tried */

    world_reset();
    world_fails("PUT " IMDS "api/token", PERSIST_BACKEND_TRANSIENT);
    world_expect(PERSIST_BACKEND_AUTH, "nobody answers");

    world_reset();
    world_fails("PUT " IMDS "api/token", PERSIST_BACKEND_CANCELLED);
    world_expect(PERSIST_BACKEND_CANCELLED, "");
}

static void instance__without_a_role_has_no_keys(void **state)
{
    (void)state;
    world_answer("PUT " IMDS "api/token", 200, "mTOKEN");
    world_keep();
    world_answer(ROLES, 404, "");
    world_answer(ROLES, 200, "");
    world_answer(ROLES, 200, "../../etc");

    world_expect(PERSIST_BACKEND_AUTH, "has no role");
    world_expect(PERSIST_BACKEND_AUTH, "has no role");
    world_expect(PERSIST_BACKEND_IO, "is no name");
}

static void instance__refusal_is_told(void **state)
{
    (void)state;
    instance_world("{\"Code\":\"AssumeRoleUnauthorizedAccess\","
                   "\"Message\":\"S3CRET\"}");

    world_expect(PERSIST_BACKEND_AUTH, "AssumeRoleUnauthorizedAccess");
}

/* AWS's advice for an outage: S3 goes on taking the keys. */
static void instance__old_keys_serve_through_an_outage(void **state)
{
    const char *keys = world_handed("ASIAOLD", "2026-01-15T11:00:00Z");
    (void)state;
    world_answer("PUT " IMDS "api/token", 200, "mTOKEN");
    world_keep();
    world_answer(ROLES, 200, "web-role");
    world_keep();
    world_answer(ROLES "web-role", 200, keys);
    world_answer(ROLES "web-role", 200,
                 world_handed("ASIANEW", "2026-01-15T18:00:00Z"));

    world_expect_keys("ASIAOLD", "hostS3CRET", "hostTOKEN");
    world_expect_keys("ASIAOLD", "hostS3CRET", "hostTOKEN");
    assert_int_equal(world.n_asked, 3); /* it is not asked each time */

    atomic_store(&world.now_us, WORLD_NOW_US + HOUR_US / 4);
    world_expect_keys("ASIANEW", "hostS3CRET", "hostTOKEN");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sts__request_has_the_published_form_and_signature),
        TEST(sts__refusals_become_codes),
        TEST(sts__answers_are_checked),
        TEST(sts__wrong_clock_is_corrected_once),
        TEST(sts__endpoint_is_found_in_its_order),
        TEST(web__token_is_changed_for_keys_without_a_signature),
        TEST(web__token_is_read_at_every_refresh),
        TEST(web__refuses_what_cannot_be),
        TEST(web__also_by_a_profile),
        TEST(sso__token_is_changed_for_keys),
        TEST(sso__old_way_has_all_in_the_profile),
        TEST(sso__expired_token_is_renewed_and_kept),
        TEST(sso__good_token_serves_while_renewing_fails),
        TEST(sso__tells_to_log_in),
        TEST(sso__other_refusals),
        TEST(container__relative_uri_is_the_host_of_ecs),
        TEST(container__full_uri_goes_to_allowed_hosts_only),
        TEST(container__token_file_beats_token_and_is_read_again),
        TEST(container__token_is_one_line),
        TEST(container__that_is_broken_is_an_error),
        TEST(instance__asks_by_version_2),
        TEST(instance__is_elsewhere_or_turned_off),
        TEST(instance__that_is_silent_hints_at_the_hop_limit),
        TEST(instance__without_a_role_has_no_keys),
        TEST(instance__refusal_is_told),
        TEST(instance__old_keys_serve_through_an_outage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
