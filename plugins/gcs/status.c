/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error table (cloud.google.com/storage/docs/json_api/v1/status-codes and
 * .../retry-strategy).  Decides nothing about repeating: the host does.
 */
#include "gcs/status.h"

#include <stdio.h>
#include <string.h>

#include "gcs/names.h"
#include "gcs/replies.h"
#include "support/fail.h"

/* Whatever the HTTP status. */
static const struct {
    const char *reason;
    int32_t code;
} reasons[] = {
    {"rateLimitExceeded", PERSIST_BACKEND_THROTTLED},
    {"userRateLimitExceeded", PERSIST_BACKEND_THROTTLED},
    {"SlowDown", PERSIST_BACKEND_THROTTLED},
};

static const struct {
    int32_t status;
    int32_t code;
    int32_t code_of_write; /* where it may have been carried out */
} statuses[] = {
    {400, PERSIST_BACKEND_INVALID, PERSIST_BACKEND_INVALID},
    {401, PERSIST_BACKEND_AUTH, PERSIST_BACKEND_AUTH},
    {403, PERSIST_BACKEND_DENIED, PERSIST_BACKEND_DENIED},
    {404, PERSIST_BACKEND_NOT_FOUND, PERSIST_BACKEND_NOT_FOUND},
    {408, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_TRANSIENT},
    {409, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_TRANSIENT},
    {412, PERSIST_BACKEND_PRECONDITION, PERSIST_BACKEND_PRECONDITION},
    {429, PERSIST_BACKEND_THROTTLED, PERSIST_BACKEND_THROTTLED},
    {500, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_UNCERTAIN},
    {501, PERSIST_BACKEND_UNSUPPORTED, PERSIST_BACKEND_UNSUPPORTED},
    {502, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_UNCERTAIN},
    {503, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_TRANSIENT},
    {504, PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_UNCERTAIN},
};

static int32_t code_of(int32_t status, const char *reason, bool writes)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reasons[i].reason, reason) == 0)
            return reasons[i].code;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return writes ? statuses[i].code_of_write : statuses[i].code;
    /* What is said in front of the service (520 to 530) is said of requests
     * that reached it, too; and a 2xx that is not the service's hides what it
     * did. */
    if (writes && (status >= 500 || (status >= 200 && status < 300)))
        return PERSIST_BACKEND_UNCERTAIN;
    if (status >= 500)
        return PERSIST_BACKEND_TRANSIENT;
    /* 2xx and 3xx that nobody asked for; 4xx that repeating cannot change. */
    return status >= 400 ? PERSIST_BACKEND_INVALID : PERSIST_BACKEND_IO;
}

/* The service's sentence, "The specified bucket does not exist." */
static bool is_about_bucket(const struct gcs_problem *problem)
{
    return strcasestr(problem->message, "bucket does not exist") != NULL ||
           strcmp(problem->reason, "NoSuchBucket") == 0;
}

static int32_t adjust(int32_t code, const struct gcs_asked *asked,
                      const struct http_response *r,
                      const struct gcs_problem *problem)
{
    if (code == PERSIST_BACKEND_NOT_FOUND &&
        (asked->subject == GCS_BUCKET || is_about_bucket(problem)))
        return PERSIST_BACKEND_CONFIG;
    if (code == PERSIST_BACKEND_PRECONDITION && asked->if_absent)
        return PERSIST_BACKEND_EXISTS;
    if (code == PERSIST_BACKEND_INVALID && status_is_bad_checksum(r))
        return PERSIST_BACKEND_CORRUPT;
    return code;
}

static void note(const struct http_client *client,
                 const struct gcs_asked *asked, const struct http_response *r,
                 const struct gcs_problem *problem,
                 struct persist_backend_error *err)
{
    const char *id = http_header(r, "x-guploader-uploadid");

    http_note(client, r, err);
    (void)snprintf(err->provider_code, sizeof(err->provider_code), "%s",
                   problem->reason);
    if (id != NULL && asked->subject != GCS_SESSION)
        (void)snprintf(err->request_id, sizeof(err->request_id), "%s", id);
}

/* What to say where the service says nothing. */
static const char *words_for(int32_t code, const struct gcs_asked *asked)
{
    switch (code) {
    case PERSIST_BACKEND_NOT_FOUND:
        return "not found";
    case PERSIST_BACKEND_CONFIG:
        return "the bucket does not exist";
    case PERSIST_BACKEND_EXISTS:
        return "it exists already";
    case PERSIST_BACKEND_PRECONDITION:
        return asked->writes ? "the object is there already, or another one"
                             : "the object has changed";
    case PERSIST_BACKEND_AUTH:
        return "the service does not accept the credentials";
    case PERSIST_BACKEND_DENIED:
        return "not permitted";
    case PERSIST_BACKEND_THROTTLED:
        return "the service asks for fewer requests";
    case PERSIST_BACKEND_CORRUPT:
        return "the bytes that arrived are not those of the checksum";
    case PERSIST_BACKEND_IO:
        return "an answer that is none to this request";
    default:
        return "refused";
    }
}

/* A page of a web server or a proxy: the service gives every upload and every
 * answer an id, and says what is wrong in JSON, XML or plain words. */
bool status_is_page(const struct http_response *r)
{
    return http_is_page(r) && http_header(r, "x-guploader-uploadid") == NULL;
}

bool status_is_foreign(const struct http_response *r)
{
    return r->status >= 300 && r->status < 500 && status_is_page(r);
}

bool status_is_bare(const struct http_response *r)
{
    return r->body.len == 0 || http_has_type(r, "application/json");
}

int32_t status_refused(const struct http_client *client,
                       const struct gcs_asked *asked,
                       const struct http_response *r,
                       struct persist_backend_error *err)
{
    const char *name =
        asked->key[0] != '\0' ? names_tail(asked->key) : "the bucket";
    char place[HTTP_PLACE_MAX];
    struct gcs_problem problem;
    int32_t code;

    reply_problem(r->body.data, r->body.len, &problem);
    note(client, asked, r, &problem, err);
    if (http_redirects_to(r, place))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "cannot %s %.100s: the endpoint redirects to %s, which is "
                    "not followed (check the endpoint)",
                    asked->verb, name, place);
    if (r->status == 407)
        return fail(err, PERSIST_BACKEND_AUTH,
                    "cannot %s %.100s: a proxy wants a name and a password, "
                    "or others (HTTP 407)",
                    asked->verb, name);
    if (status_is_foreign(r))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "cannot %s %.100s: the endpoint answered %d with a web "
                    "page (check the endpoint)",
                    asked->verb, name, (int)r->status);
    code = adjust(code_of(r->status, problem.reason, asked->writes), asked, r,
                  &problem);
    if (asked->subject == GCS_SESSION || problem.message[0] == '\0')
        return fail(err, code, "cannot %s %.100s: %s (HTTP %d)", asked->verb,
                    name, words_for(code, asked), (int)r->status);
    return fail(err, code, "cannot %s %.100s: %s (HTTP %d: %s)", asked->verb,
                name, words_for(code, asked), (int)r->status, problem.message);
}

bool status_is_bad_checksum(const struct http_response *r)
{
    struct gcs_problem problem;

    if (r->status != 400)
        return false;
    reply_problem(r->body.data, r->body.len, &problem);
    return strcasestr(problem.message, "crc32c") != NULL ||
           strcasestr(problem.message, "checksum") != NULL ||
           strcasestr(problem.message, "hash") != NULL ||
           strcmp(problem.reason, "BadDigest") == 0;
}

int32_t status_of_page(bool seen)
{
    return seen ? PERSIST_BACKEND_TRANSIENT : PERSIST_BACKEND_CONFIG;
}

int32_t status_garbled(const struct gcs_asked *asked, bool seen,
                       const struct http_response *r,
                       struct persist_backend_error *err)
{
    int32_t code =
        status_is_page(r) ? status_of_page(seen) : PERSIST_BACKEND_TRANSIENT;

    err->present |= PERSIST_BACKEND_ERROR_HTTP_STATUS;
    err->http_status = r->status;
    return fail(err, asked->writes ? PERSIST_BACKEND_UNCERTAIN : code,
                "cannot %s %.100s: %s", asked->verb,
                asked->key[0] != '\0' ? names_tail(asked->key) : "the bucket",
                http_is_page(r)
                    ? HTTP_WEB_PAGE
                    : "the service's answer is not whole or not JSON");
}
