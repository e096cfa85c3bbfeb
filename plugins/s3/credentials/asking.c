/* SPDX-License-Identifier: Apache-2.0 */
/* What all sources need: variables, files, requests, checks, reports. */
#include "s3/credentials/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/dates.h"
#include "support/fail.h"

void asking_finish(struct asking *a)
{
    if (a->files == NULL)
        return;
    profile_files_finish(a->files);
    free(a->files);
    a->files = NULL;
}

int32_t asking_files(struct asking *a, const struct profile_files **out)
{
    int32_t rc;

    *out = a->files;
    if (a->files != NULL)
        return PERSIST_BACKEND_OK;
    a->files = calloc(1, sizeof(*a->files));
    if (a->files == NULL)
        return fail(a->err, PERSIST_BACKEND_MEMORY, "out of memory");
    rc = profile_files_read(a->files, a->env, a->err);
    if (rc != PERSIST_BACKEND_OK)
        asking_finish(a);
    *out = a->files;
    return rc;
}

const char *asking_variable(const struct asking *a, const char *name)
{
    const char *value = a->env->get(a->env->ctx, name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

bool asking_is_true(const struct asking *a, const char *name)
{
    static const char word[] = "true";
    const char *value = asking_variable(a, name);

    if (value == NULL || strlen(value) != strlen(word))
        return false;
    for (size_t i = 0; word[i] != '\0'; i++)
        if ((value[i] | 0x20) != word[i])
            return false;
    return true;
}

int32_t asking_absent(struct asking *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(a->why, sizeof(a->why), format, args);
    va_end(args);
    return SOURCE_ABSENT;
}

const char *asking_profile(const struct asking *a)
{
    const char *name = a->options->profile;

    if (name == NULL)
        name = asking_variable(a, "AWS_PROFILE");
    return name == NULL ? "default" : name;
}

static bool is_visible_ascii(const char *s)
{
    for (; *s != '\0'; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

int32_t asking_copy(struct asking *a, char *out, size_t cap, const char *value,
                    const char *what)
{
    size_t len = strlen(value);

    if (len == 0)
        return fail(a->err, PERSIST_BACKEND_CONFIG, "%s is empty", what);
    if (len >= cap)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%s is longer than %zu characters", what, cap - 1);
    if (!is_visible_ascii(value))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%s holds blanks, control or other characters that no key "
                    "has",
                    what);
    memcpy(out, value, len + 1);
    return PERSIST_BACKEND_OK;
}

int32_t asking_keys(struct asking *a, struct s3_credentials *out,
                    const char *id, const char *secret, const char *token,
                    const char *where)
{
    char what[3][160];
    int32_t rc;

    (void)snprintf(what[0], sizeof(what[0]), "%s: the access key id", where);
    (void)snprintf(what[1], sizeof(what[1]), "%s: the secret access key",
                   where);
    (void)snprintf(what[2], sizeof(what[2]), "%s: the session token", where);
    out->session_token[0] = '\0';
    out->expires_us = 0;
    rc = asking_copy(a, out->access_key_id, sizeof(out->access_key_id), id,
                     what[0]);
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_copy(a, out->secret_access_key,
                         sizeof(out->secret_access_key), secret, what[1]);
    if (rc == PERSIST_BACKEND_OK && token != NULL && token[0] != '\0')
        rc = asking_copy(a, out->session_token, sizeof(out->session_token),
                         token, what[2]);
    return rc;
}

bool asking_time(const char *text, int64_t *out_us)
{
    size_t len = strlen(text);
    char copy[64];

    if (len < sizeof(copy) && len > 3 && strcmp(text + len - 3, "UTC") == 0) {
        memcpy(copy, text, len - 3);
        memcpy(copy + len - 3, "Z", 2);
        text = copy;
    }
    return date_parse_rfc3339(text, out_us);
}

static int32_t code_of_status(int32_t status)
{
    if (status == 401)
        return PERSIST_BACKEND_AUTH;
    if (status == 403)
        return PERSIST_BACKEND_DENIED;
    if (status == 429)
        return PERSIST_BACKEND_THROTTLED;
    if (status == 408 || status >= 500)
        return PERSIST_BACKEND_TRANSIENT;
    return PERSIST_BACKEND_AUTH;
}

/* Status and request id of an answer, for whoever looks into the failure. */
static void note(struct persist_backend_error *err,
                 const struct http_response *r)
{
    const char *id = http_header(r, "x-amzn-requestid");

    if (err == NULL)
        return;
    if (PERSIST_BACKEND_HAS(err, http_status)) {
        err->http_status = r->status;
        err->present |= PERSIST_BACKEND_ERROR_HTTP_STATUS;
    }
    if (id != NULL && PERSIST_BACKEND_HAS(err, request_id))
        (void)snprintf(err->request_id, sizeof(err->request_id), "%s", id);
}

int32_t asking_fetch(struct asking *a, const struct http_request *request,
                     struct http_response *response, const char *who)
{
    struct http_request secret = *request;
    int32_t rc;

    secret.secret_reply = true;
    memset(response, 0, sizeof(*response));
    rc = a->env->fetch(a->env->ctx, a->call, &secret, response, a->err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (response->status == 200)
        return PERSIST_BACKEND_OK;
    note(a->err, response);
    return fail(a->err, code_of_status(response->status), "%s answered %d", who,
                (int)response->status);
}

int32_t asking_json(struct asking *a, const char *text, size_t len,
                    struct json_field *fields, size_t n_fields, const char *who)
{
    if (text == NULL || json_read(text, len, fields, n_fields) != 0)
        return fail(a->err, PERSIST_BACKEND_IO,
                    "%s: the answer is not the JSON that was expected", who);
    return PERSIST_BACKEND_OK;
}

#define HANDED_OUT_FIELDS 4
#define HANDED_OUT_EXTRA 4

static int32_t take_over(struct asking *a, const struct handed_out *h,
                         bool may_last, const char *who,
                         struct s3_credentials *out)
{
    int32_t rc;

    if (h->id[0] == '\0' || h->secret[0] == '\0' ||
        (!may_last && (h->token[0] == '\0' || h->expiration[0] == '\0')))
        return fail(a->err, PERSIST_BACKEND_IO,
                    "%s: the answer lacks AccessKeyId, SecretAccessKey%s", who,
                    may_last ? "" : ", the token or Expiration");
    rc = asking_keys(a, out, h->id, h->secret, h->token, who);
    if (rc == PERSIST_BACKEND_CONFIG)
        rc = PERSIST_BACKEND_IO; /* not what the user wrote */
    if (rc == PERSIST_BACKEND_OK && h->expiration[0] != '\0' &&
        !asking_time(h->expiration, &out->expires_us))
        return fail(a->err, PERSIST_BACKEND_IO,
                    "%s: Expiration is not a time of ISO 8601", who);
    return rc;
}

int32_t asking_handed_out(struct asking *a, const char *text, size_t len,
                          const char *token_name, bool may_last,
                          struct json_field *extra, size_t n_extra,
                          const char *who, struct s3_credentials *out)
{
    struct json_field fields[HANDED_OUT_FIELDS + HANDED_OUT_EXTRA];
    struct handed_out h;
    int32_t rc;

    memset(&h, 0, sizeof(h));
    memset(fields, 0, sizeof(fields));
    fields[0] = (struct json_field){
        .path = "AccessKeyId", .text = h.id, .cap = sizeof(h.id)};
    fields[1] = (struct json_field){
        .path = "SecretAccessKey", .text = h.secret, .cap = sizeof(h.secret)};
    fields[2] = (struct json_field){
        .path = token_name, .text = h.token, .cap = sizeof(h.token)};
    fields[3] = (struct json_field){.path = "Expiration",
                                    .text = h.expiration,
                                    .cap = sizeof(h.expiration)};
    for (size_t i = 0; i < n_extra; i++)
        fields[HANDED_OUT_FIELDS + i] = extra[i];
    rc = asking_json(a, text, len, fields, HANDED_OUT_FIELDS + n_extra, who);
    for (size_t i = 0; i < n_extra; i++)
        extra[i] = fields[HANDED_OUT_FIELDS + i];
    if (rc == PERSIST_BACKEND_OK)
        rc = take_over(a, &h, may_last, who, out);
    secret_wipe_bytes(&h, sizeof(h));
    return rc;
}
