/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replies mean that are no success.  S3's own word outranks the status.
 * Of a body only <Code>, <Message> and <Region> are ever read: others hold the
 * canonical request of a wrong signature.
 */
#include "s3.h"

#include <string.h>

#include "s3/xml.h"

/* ------------------------------------------------------------------ reading */

/* Nothing that people read has so many letters and digits in one piece; the
 * token a server might repeat has hundreds. */
#define TOKEN_LEN 64

static size_t token_run(const char *s)
{
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                     "0123456789+/=_-%");
}

static void take_message(struct answer *a, const char *text)
{
    struct fixed out = fixed_over(a->message, sizeof(a->message));

    while (*text != '\0' && out.ok) {
        size_t run = token_run(text);

        if (run >= TOKEN_LEN)
            fixed_add(&out, "[hidden]");
        else
            fixed_add_bytes(&out, text, run > 0 ? run : 1);
        text += run > 0 ? run : 1;
    }
}

static bool take_field(void *ctx, const char *path, const char *text)
{
    struct answer *a = ctx;
    const struct {
        const char *path;
        char *out;
        size_t cap;
    } fields[] = {{"Error/Code", a->code, sizeof(a->code)},
                  {"Error/Region", a->region, sizeof(a->region)}};

    if (strcmp(path, "Error/Message") == 0)
        take_message(a, text);

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(path, fields[i].path) != 0)
            continue;
        size_t len = strlen(text);
        if (len >= fields[i].cap)
            len = fields[i].cap - 1;
        memcpy(fields[i].out, text, len);
        fields[i].out[len] = '\0';
    }
    return true;
}

void answer_read(const struct http_response *response, struct answer *out)
{
    memset(out, 0, sizeof(*out));
    if (response->body.len == 0)
        return;
    /* Cut-off documents still tell what stood at their start. */
    (void)xml_read(response->body.data, response->body.len, take_field, out);
    out->is_s3 = out->code[0] != '\0';
}

bool answer_etag(const struct http_response *response,
                 char out[PERSIST_BACKEND_ETAG_MAX])
{
    const char *etag = http_header(response, "etag");
    size_t len = etag == NULL ? 0 : strlen(etag);

    if (len == 0 || len >= PERSIST_BACKEND_ETAG_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)etag[i] < 0x20 || etag[i] == 0x7f)
            return false;
    memcpy(out, etag, len + 1);
    return true;
}

bool answer_stored(const struct http_response *response,
                   char out_etag[PERSIST_BACKEND_ETAG_MAX])
{
    return response->body.len == 0 && answer_etag(response, out_etag);
}

bool answer_is_page(const struct http_response *response)
{
    return (http_is_page(response) || http_names_page(response)) &&
           http_header(response, "x-amz-request-id") == NULL;
}

bool answer_is_elsewhere(struct s3_store *s,
                         const struct http_response *response)
{
    return answer_is_page(response) && !atomic_load(&s->bucket_seen);
}

/* ------------------------------------------------------------------ meaning */

struct meaning {
    const char *word;
    int32_t code;
    const char *hint; /* or NULL */
};

static const struct meaning words[] = {
    {"AccessDenied", PERSIST_BACKEND_DENIED, NULL},
    {"AllAccessDisabled", PERSIST_BACKEND_DENIED, NULL},
    {"AccountProblem", PERSIST_BACKEND_DENIED, NULL},
    {"InvalidObjectState", PERSIST_BACKEND_DENIED,
     "the object is archived; restore it in S3 first"},
    {"AuthorizationHeaderMalformed", PERSIST_BACKEND_CONFIG,
     "check the region"},
    {"BadDigest", PERSIST_BACKEND_TRANSIENT, NULL},
    {"BandwidthLimitExceeded", PERSIST_BACKEND_THROTTLED, NULL},
    {"ConditionalRequestConflict", PERSIST_BACKEND_TRANSIENT, NULL},
    {"EntityTooLarge", PERSIST_BACKEND_INVALID, NULL},
    {"EntityTooSmall", PERSIST_BACKEND_INVALID, NULL},
    {"ExpiredToken", PERSIST_BACKEND_AUTH, "log in again"},
    {"ExpiredTokenException", PERSIST_BACKEND_AUTH, "log in again"},
    {"IllegalLocationConstraintException", PERSIST_BACKEND_CONFIG,
     "check the region"},
    {"IncompleteBody", PERSIST_BACKEND_TRANSIENT, NULL},
    {"InternalError", PERSIST_BACKEND_TRANSIENT, NULL},
    {"InvalidAccessKeyId", PERSIST_BACKEND_AUTH,
     "the service does not know this access key"},
    {"InvalidBucketName", PERSIST_BACKEND_CONFIG, NULL},
    {"InvalidStorageClass", PERSIST_BACKEND_CONFIG, NULL},
    {"InvalidToken", PERSIST_BACKEND_AUTH, NULL},
    {"MethodNotAllowed", PERSIST_BACKEND_UNSUPPORTED, NULL},
    {"NoSuchBucket", PERSIST_BACKEND_CONFIG,
     "check the bucket's name and the account"},
    {"NoSuchKey", PERSIST_BACKEND_NOT_FOUND, NULL},
    {"NoSuchUpload", PERSIST_BACKEND_NOT_FOUND, NULL},
    {"NotImplemented", PERSIST_BACKEND_UNSUPPORTED, NULL},
    {"OperationAborted", PERSIST_BACKEND_TRANSIENT, NULL},
    {"PermanentRedirect", PERSIST_BACKEND_CONFIG, "check the region"},
    {"PreconditionFailed", PERSIST_BACKEND_PRECONDITION, NULL},
    {"PriorRequestNotComplete", PERSIST_BACKEND_TRANSIENT, NULL},
    {"QuotaExceeded", PERSIST_BACKEND_NO_SPACE, NULL},
    {"RequestLimitExceeded", PERSIST_BACKEND_THROTTLED, NULL},
    {"RequestTimeTooSkewed", PERSIST_BACKEND_AUTH,
     "this machine's clock is wrong"},
    {"RequestTimeout", PERSIST_BACKEND_TRANSIENT, NULL},
    {"ServiceUnavailable", PERSIST_BACKEND_THROTTLED, NULL},
    {"SignatureDoesNotMatch", PERSIST_BACKEND_AUTH, "check the secret key"},
    {"SlowDown", PERSIST_BACKEND_THROTTLED, NULL},
    {"TemporaryRedirect", PERSIST_BACKEND_TRANSIENT, NULL},
    {"Throttling", PERSIST_BACKEND_THROTTLED, NULL},
    {"ThrottlingException", PERSIST_BACKEND_THROTTLED, NULL},
    {"TooManyRequests", PERSIST_BACKEND_THROTTLED, NULL},
    {"TooManyRequestsException", PERSIST_BACKEND_THROTTLED, NULL},
    {"XAdminUserNotFound", PERSIST_BACKEND_AUTH, /* versitygw's */
     "the service does not know this access key"},
    {"XAmzContentSHA256Mismatch", PERSIST_BACKEND_TRANSIENT, NULL},
    {"XMinioStorageFull", PERSIST_BACKEND_NO_SPACE, NULL},
};

static const struct {
    int32_t status;
    int32_t code;
} statuses[] = {
    {301, PERSIST_BACKEND_CONFIG},      {302, PERSIST_BACKEND_CONFIG},
    {303, PERSIST_BACKEND_CONFIG},      {307, PERSIST_BACKEND_TRANSIENT},
    {308, PERSIST_BACKEND_CONFIG},      {400, PERSIST_BACKEND_INVALID},
    {401, PERSIST_BACKEND_AUTH},        {403, PERSIST_BACKEND_DENIED},
    {405, PERSIST_BACKEND_UNSUPPORTED}, {407, PERSIST_BACKEND_AUTH},
    {408, PERSIST_BACKEND_TRANSIENT},   {409, PERSIST_BACKEND_TRANSIENT},
    {411, PERSIST_BACKEND_UNSUPPORTED}, {412, PERSIST_BACKEND_PRECONDITION},
    {413, PERSIST_BACKEND_INVALID},     {414, PERSIST_BACKEND_INVALID},
    {425, PERSIST_BACKEND_TRANSIENT},   {429, PERSIST_BACKEND_THROTTLED},
    {431, PERSIST_BACKEND_INVALID},     {500, PERSIST_BACKEND_TRANSIENT},
    {501, PERSIST_BACKEND_UNSUPPORTED}, {502, PERSIST_BACKEND_TRANSIENT},
    {503, PERSIST_BACKEND_THROTTLED},   {504, PERSIST_BACKEND_TRANSIENT},
    {507, PERSIST_BACKEND_NO_SPACE},    {509, PERSIST_BACKEND_THROTTLED},
};

static const struct meaning *find_word(const char *word)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, word) == 0)
            return &words[i];
    return NULL;
}

int32_t answer_code(int32_t status, const char *word, bool had_body)
{
    const struct meaning *m = find_word(word);

    if (m != NULL)
        return m->code;
    if (strncmp(word, "KMS.", 4) == 0)
        return PERSIST_BACKEND_DENIED;
    /* A 404 without S3's word is the object's only where nothing speaks
     * against it: a proxy's or a web server's page knows no objects. */
    if (status == 404)
        return had_body ? PERSIST_BACKEND_IO : PERSIST_BACKEND_NOT_FOUND;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return statuses[i].code;
    return status >= 500 ? PERSIST_BACKEND_TRANSIENT : PERSIST_BACKEND_IO;
}

/* ---------------------------------------------------------------- reporting */

static void set_word(struct persist_backend_error *err, const char *word)
{
    size_t len = strlen(word);

    if (err == NULL || !PERSIST_BACKEND_HAS(err, provider_code))
        return;
    if (len >= sizeof(err->provider_code))
        len = sizeof(err->provider_code) - 1;
    memcpy(err->provider_code, word, len);
    err->provider_code[len] = '\0';
}

static void note(struct s3_store *s, const struct http_response *response,
                 const struct answer *a, struct persist_backend_error *err)
{
    http_note(s->http, response, err);
    set_word(err, a->code);
    if (strcmp(a->code, "NoSuchKey") == 0 ||
        strcmp(a->code, "NoSuchUpload") == 0)
        atomic_store(&s->bucket_seen, true);
}

/* Listings of everything have no key. */
static const char *named(const char *key)
{
    return key[0] != '\0' ? key : "the store";
}

static int32_t report(const struct s3_store *s, const struct answer *a,
                      int32_t code, int32_t status, const char *what,
                      const char *key, const char *action,
                      struct persist_backend_error *err)
{
    const struct meaning *m = find_word(a->code);
    const char *hint = m == NULL ? NULL : m->hint;
    char needs[96] = "";
    struct fixed n = fixed_over(needs, sizeof(needs));

    if (code == PERSIST_BACKEND_DENIED && hint == NULL && action != NULL) {
        fixed_add(&n, "it needs ");
        fixed_add(&n, action);
        hint = needs;
    }
    if (!a->is_s3)
        return fail(err, code,
                    "cannot %s %.200s: the service answered %d%s%.100s%s", what,
                    named(key), (int)status, hint == NULL ? "" : " (",
                    hint == NULL ? "" : hint, hint == NULL ? "" : ")");
    return fail(err, code, "cannot %s %.160s in bucket %.63s: %s%s%s%s", what,
                named(key), s->set.text[S3_BUCKET],
                a->message[0] != '\0' ? a->message : a->code,
                hint == NULL ? "" : " (", hint == NULL ? "" : hint,
                hint == NULL ? "" : ")");
}

/* Of something in front of the service: S3 itself says which request it was,
 * and repeating one answers its own redirects. */
static bool is_redirect(const struct http_response *response,
                        const struct answer *a, char place[HTTP_PLACE_MAX])
{
    return !a->is_s3 && http_header(response, "x-amz-request-id") == NULL &&
           http_redirects_to(response, place);
}

/* A web server's, or a proxy's: final, with words that are none of S3's, who
 * says which request it was. */
static bool is_foreign(const struct http_response *response,
                       const struct answer *a)
{
    return !a->is_s3 && response->status >= 200 && response->status < 500 &&
           response->body.len > 0 &&
           (response->status == 404 ||
            http_header(response, "x-amz-request-id") == NULL) &&
           answer_code(response->status, "", true) != PERSIST_BACKEND_THROTTLED;
}

int32_t answer_fail(struct s3_store *s, const struct http_response *response,
                    const char *what, const char *key, const char *action,
                    struct persist_backend_error *err)
{
    char place[HTTP_PLACE_MAX];
    struct answer a;
    int32_t code;

    answer_read(response, &a);
    note(s, response, &a, err);
    if (is_redirect(response, &a, place))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "cannot %s %.120s: the endpoint redirects to %s, which is "
                    "not followed (check the endpoint)",
                    what, named(key), place);
    code = answer_code(response->status, a.code, response->body.len > 0);
    if (response->status == 407)
        return fail(err, code,
                    "cannot %s %.200s: a proxy wants a name and a password, "
                    "or others (HTTP 407)",
                    what, named(key));
    if (is_foreign(response, &a))
        return fail(
            err, code == PERSIST_BACKEND_AUTH ? PERSIST_BACKEND_CONFIG : code,
            "cannot %s %.200s: the endpoint answered %d with "
            "something that is not S3's (check the endpoint)",
            what, named(key), (int)response->status);
    return report(s, &a, code, response->status, what, key, action, err);
}

int32_t answer_fail_inside(struct s3_store *s,
                           const struct http_response *response,
                           const char *what, const char *key,
                           struct persist_backend_error *err)
{
    struct answer a;

    answer_read(response, &a);
    note(s, response, &a, err);
    /* The status was sent before it was known: as if it had been 500. */
    return report(s, &a, answer_code(500, a.code, true), response->status, what,
                  key, NULL, err);
}

int32_t answer_odd(struct s3_store *s, const struct http_response *response,
                   int32_t code, const char *what, const char *key,
                   const char *why, struct persist_backend_error *err)
{
    http_note(s->http, response, err);
    if (answer_is_page(response) || http_is_page(response))
        why = HTTP_WEB_PAGE;
    if (code == PERSIST_BACKEND_TRANSIENT && answer_is_elsewhere(s, response))
        code = PERSIST_BACKEND_CONFIG;
    return fail(err, code, "cannot %s %.200s: %s", what, named(key), why);
}

int32_t answer_page(struct s3_store *s, const struct http_response *response,
                    const char *what, const char *key,
                    struct persist_backend_error *err)
{
    return answer_odd(s, response, PERSIST_BACKEND_TRANSIENT, what, key,
                      HTTP_WEB_PAGE, err);
}

int32_t answer_deleted(struct s3_store *s, const struct http_response *response,
                       const char *what, const char *key, const char *action,
                       struct persist_backend_error *err)
{
    struct answer a;

    if (response->status == 204 ||
        (response->status == 200 && response->body.len == 0))
        return PERSIST_BACKEND_OK;
    if (response->status != 200)
        return answer_fail(s, response, what, key, action, err);
    answer_read(response, &a);
    return a.is_s3
               ? answer_fail_inside(s, response, what, key, err)
               : answer_odd(s, response, PERSIST_BACKEND_TRANSIENT, what, key,
                            "the answer is not S3's: it has a body (check the "
                            "endpoint)",
                            err);
}

int32_t answer_bucket(struct s3_store *s,
                      const struct persist_backend_call *call,
                      struct persist_backend_error *err)
{
    const struct request r = {.method = "HEAD"};
    struct http_response response = {0};
    int32_t rc = PERSIST_BACKEND_OK;

    if (atomic_load(&s->bucket_seen))
        return PERSIST_BACKEND_OK;
    rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK && response.status == 404) {
        http_note(s->http, &response, err);
        set_word(err, "NoSuchBucket");
        rc = fail(err, PERSIST_BACKEND_CONFIG,
                  "there is no bucket %.63s (check its name and the account)",
                  s->set.text[S3_BUCKET]);
    } else if (rc == PERSIST_BACKEND_OK && !answer_is_page(&response)) {
        atomic_store(&s->bucket_seen, true);
    }
    http_response_finish(&response);
    return rc;
}
