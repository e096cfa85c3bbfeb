/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two requests to the Security Token Service that give keys of a role:
 * AssumeRole, signed by keys we have, and AssumeRoleWithWebIdentity, which is
 * not signed: the token is the proof.
 */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "s3/sign.h"
#include "s3/xml.h"
#include "support/encode.h"
#include "support/fail.h"
#include "support/url.h"

#define WHO "STS"
#define TIMEOUT_MS 15000
#define FORM_TYPE "application/x-www-form-urlencoded"
#define SKEW_US                                                                \
    (INT64_C(240) * 1000000) /* from where on the clock is to blame */

struct sts {
    char url[SETTING_MAX + 1];
    char region[SETTING_MAX];
    struct url parts;
};

static int32_t find_sts(struct asking *a, struct sts *out)
{
    char base[SETTING_MAX];
    const char *origin;
    int32_t rc = PERSIST_BACKEND_OK;

    if (a->options->region != NULL)
        (void)snprintf(out->region, sizeof(out->region), "%s",
                       a->options->region);
    else
        rc = setting_region(a, out->region, &origin);
    if (rc == PERSIST_BACKEND_NOT_FOUND) {
        (void)snprintf(out->region, sizeof(out->region), "us-east-1");
        rc = PERSIST_BACKEND_OK;
    }
    if (rc == PERSIST_BACKEND_OK)
        rc = setting_service_url(a, "sts", "sts", out->region, base);
    if (rc == PERSIST_BACKEND_OK)
        rc = url_parse(base, NULL, &out->parts, a->err);
    if (rc == PERSIST_BACKEND_OK)
        (void)snprintf(out->url, sizeof(out->url), "%s/", base);
    return rc;
}

/* What STS says went wrong, and whether waiting helps. */
static const struct {
    const char *code;
    int32_t status;
    const char *hint;
} refusals[] = {
    {"AccessDenied", PERSIST_BACKEND_DENIED,
     "the role's trust policy, or ours, does not allow it"},
    {"ExpiredToken", PERSIST_BACKEND_AUTH, "the keys that ask have expired"},
    {"ExpiredTokenException", PERSIST_BACKEND_AUTH, "the token has expired"},
    {"IDPCommunicationError", PERSIST_BACKEND_TRANSIENT,
     "the identity provider did not answer STS"},
    {"IDPRejectedClaim", PERSIST_BACKEND_AUTH,
     "the identity provider rejects the token"},
    {"InvalidClientTokenId", PERSIST_BACKEND_AUTH,
     "the access key id that asks is not known"},
    {"InvalidIdentityToken", PERSIST_BACKEND_AUTH, "the token is not accepted"},
    {"RegionDisabledException", PERSIST_BACKEND_CONFIG,
     "STS is not activated in that region"},
    {"RequestExpired", PERSIST_BACKEND_AUTH, "the clock may be wrong"},
    {"SignatureDoesNotMatch", PERSIST_BACKEND_AUTH,
     "the secret access key that asks is not the right one"},
    {"Throttling", PERSIST_BACKEND_THROTTLED, "too many requests"},
    {"ThrottlingException", PERSIST_BACKEND_THROTTLED, "too many requests"},
    {"ValidationError", PERSIST_BACKEND_CONFIG,
     "the role's ARN, duration or session name is not valid"},
};

static void error_code(const struct http_response *r, char *out, size_t cap)
{
    out[0] = '\0';
    if (r->body.data != NULL && !xml_get(r->body.data, r->body.len,
                                         "ErrorResponse/Error/Code", out, cap))
        out[0] = '\0';
}

static int32_t refused(struct asking *a, const struct http_response *r,
                       const char *role, int32_t rc)
{
    char code[64];

    error_code(r, code, sizeof(code));
    if (code[0] == '\0')
        return rc;
    if (a->err != NULL && PERSIST_BACKEND_HAS(a->err, provider_code))
        (void)snprintf(a->err->provider_code, sizeof(a->err->provider_code),
                       "%s", code);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (strcmp(refusals[i].code, code) == 0)
            return fail(a->err, refusals[i].status,
                        WHO " refuses role %.150s: %s: %s", role, code,
                        refusals[i].hint);
    return fail(a->err, rc, WHO " refuses role %.150s: %s", role, code);
}

/* The four texts below `result`. */
static int32_t take_keys(struct asking *a, const struct http_response *r,
                         const char *result, struct s3_credentials *out)
{
    static const char *const names[] = {"AccessKeyId", "SecretAccessKey",
                                        "SessionToken", "Expiration"};
    struct handed_out h;
    char *const places[] = {h.id, h.secret, h.token, h.expiration};
    const size_t caps[] = {sizeof(h.id), sizeof(h.secret), sizeof(h.token),
                           sizeof(h.expiration)};
    int32_t rc = PERSIST_BACKEND_OK;
    int64_t expires_us = 0;
    char path[128];

    for (size_t i = 0; i < 4 && rc == PERSIST_BACKEND_OK; i++) {
        (void)snprintf(path, sizeof(path), "%sResponse/%sResult/Credentials/%s",
                       result, result, names[i]);
        if (r->body.data == NULL ||
            !xml_get(r->body.data, r->body.len, path, places[i], caps[i]))
            rc = fail(a->err, PERSIST_BACKEND_IO, WHO ": the answer lacks %s",
                      names[i]);
    }
    if (rc == PERSIST_BACKEND_OK && !asking_time(h.expiration, &expires_us))
        rc = fail(a->err, PERSIST_BACKEND_IO,
                  WHO ": Expiration is not a time of ISO 8601");
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_keys(a, out, h.id, h.secret, h.token, WHO);
    if (rc == PERSIST_BACKEND_CONFIG)
        rc = PERSIST_BACKEND_IO; /* not what the user wrote */
    if (rc == PERSIST_BACKEND_OK)
        out->expires_us = expires_us;
    secret_wipe_bytes(&h, sizeof(h));
    return rc;
}

/* -------------------------------------------------------------- AssumeRole */

/* The headers of a signed request. */
struct signed_lines {
    char date[32];
    char authorization[SIGN_AUTHORIZATION_CAP + 32];
    char token[S3_SESSION_TOKEN_MAX + 32];
};

static int32_t sign(struct asking *a, const struct sts *sts,
                    const struct text *form,
                    const struct s3_credentials *source, int64_t now_us,
                    struct signed_lines *out)
{
    char date[SIGN_DATE_CAP], sha256[SIGN_SHA256_CAP];
    char authorization[SIGN_AUTHORIZATION_CAP], path[SETTING_MAX];
    struct sign_header headers[] = {
        {"content-type", FORM_TYPE},
        {"host", sts->parts.authority},
        {"x-amz-date", date},
        {"x-amz-security-token", source->session_token}};
    struct sign_request r = {.method = "POST",
                             .path = path,
                             .query = "",
                             .headers = headers,
                             .n_headers =
                                 source->session_token[0] == '\0' ? 3 : 4,
                             .payload_sha256 = sha256,
                             .date = date,
                             .region = sts->region,
                             .service = "sts",
                             .access_key_id = source->access_key_id,
                             .secret_access_key = source->secret_access_key};
    struct sign_signer signer;
    int rc;

    if (sign_init(&signer) != 0)
        return fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory");
    sign_date(now_us, date);
    sign_sha256(text_str(form), form->len, sha256);
    (void)snprintf(path, sizeof(path), "%s/", sts->parts.path);
    rc = sign_request(&signer, &r, authorization);
    sign_finish(&signer);
    if (rc != 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    WHO ": the request cannot be signed");
    (void)snprintf(out->date, sizeof(out->date), "X-Amz-Date: %s", date);
    (void)snprintf(out->authorization, sizeof(out->authorization),
                   "Authorization: %s", authorization);
    (void)snprintf(out->token, sizeof(out->token), "X-Amz-Security-Token: %s",
                   source->session_token);
    return PERSIST_BACKEND_OK;
}

static int32_t send_signed(struct asking *a, const struct sts *sts,
                           const struct text *form,
                           const struct s3_credentials *source, int64_t now_us,
                           struct http_response *response)
{
    struct signed_lines lines = {.date = ""};
    const char *headers[] = {"Content-Type: " FORM_TYPE, lines.date,
                             lines.authorization, lines.token};
    struct http_request request = {.method = "POST",
                                   .url = sts->url,
                                   .headers = headers,
                                   .n_headers =
                                       source->session_token[0] == '\0' ? 3 : 4,
                                   .body = {{text_str(form), form->len}},
                                   .timeout_ms = TIMEOUT_MS};
    int32_t rc = sign(a, sts, form, source, now_us, &lines);

    if (rc == PERSIST_BACKEND_OK)
        rc = asking_fetch(a, &request, response, WHO);
    secret_wipe_bytes(&lines, sizeof(lines));
    return rc;
}

/* Is the failure one of a clock that is off by *out_us? */
static bool is_skew(const struct asking *a, const struct http_response *r,
                    int64_t *out_us)
{
    char code[64];

    error_code(r, code, sizeof(code));
    if (strcmp(code, "SignatureDoesNotMatch") != 0 &&
        strcmp(code, "RequestExpired") != 0 &&
        strcmp(code, "RequestTimeTooSkewed") != 0)
        return false;
    return http_clock_offset(r, a->now_us, out_us) &&
           (*out_us > SKEW_US || *out_us < -SKEW_US);
}

static void role_form(struct text *form, const char *action,
                      const struct role *role)
{
    char seconds[16];

    form->secret = true;
    form_add(form, "Action", action);
    form_add(form, "Version", "2011-06-15");
    form_add(form, "RoleArn", role->arn);
    form_add(form, "RoleSessionName",
             role->session_name != NULL ? role->session_name : "persist");
    if (role->duration_s != 0) {
        (void)snprintf(seconds, sizeof(seconds), "%u",
                       (unsigned)role->duration_s);
        form_add(form, "DurationSeconds", seconds);
    }
    if (role->external_id != NULL)
        form_add(form, "ExternalId", role->external_id);
}

int32_t sts_assume_role(struct asking *a, const struct role *role,
                        const struct s3_credentials *source,
                        struct s3_credentials *out)
{
    struct http_response response = {0};
    struct text form = {.max = 65536};
    int64_t offset_us;
    struct sts sts;
    int32_t rc = find_sts(a, &sts);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    role_form(&form, "AssumeRole", role);
    if (form.failed)
        rc = fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (rc == PERSIST_BACKEND_OK)
        rc = send_signed(a, &sts, &form, source, a->now_us, &response);
    if (rc != PERSIST_BACKEND_OK && response.status != 0 &&
        is_skew(a, &response, &offset_us)) {
        http_response_finish(&response);
        rc = send_signed(a, &sts, &form, source, a->now_us + offset_us,
                         &response);
    }
    if (rc == PERSIST_BACKEND_OK)
        rc = take_keys(a, &response, "AssumeRole", out);
    else if (response.status != 0)
        rc = refused(a, &response, role->arn, rc);
    http_response_finish(&response);
    text_finish(&form);
    return rc;
}

/* ------------------------------------------------ AssumeRoleWithWebIdentity */

int32_t sts_web_identity(struct asking *a, const struct role *role,
                         const char *token, struct s3_credentials *out)
{
    const char *const header = "Content-Type: " FORM_TYPE;
    struct text form = {.max = 131072};
    struct http_request request = {.method = "POST",
                                   .headers = &header,
                                   .n_headers = 1,
                                   .timeout_ms = TIMEOUT_MS};
    struct http_response response = {0};
    struct sts sts;
    int32_t rc = find_sts(a, &sts);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    role_form(&form, "AssumeRoleWithWebIdentity", role);
    form_add(&form, "WebIdentityToken", token);
    request.url = sts.url;
    request.body[0] = (struct http_piece){text_str(&form), form.len};
    if (form.failed)
        rc = fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory");
    else
        rc = asking_fetch(a, &request, &response, WHO);
    if (rc == PERSIST_BACKEND_OK)
        rc = take_keys(a, &response, "AssumeRoleWithWebIdentity", out);
    else if (response.status != 0)
        rc = refused(a, &response, role->arn, rc);
    http_response_finish(&response);
    text_finish(&form);
    return rc;
}
