/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One buffer, one PutObject.  If-None-Match: * makes it a creation; where a
 * service does not know that header it is not done at all, never as a look
 * followed by a write.
 */
#include "s3.h"

#include <string.h>

#include "support/dates.h"

#define DAY_US ((int64_t)86400 * 1000000)

void attributes_add(const struct s3_store *s, struct attributes *a,
                    struct request *r)
{
    const struct s3_settings *set = &s->set;
    const struct {
        const char *name, *value;
    } all[] = {
        {"x-amz-server-side-encryption", set->text[S3_SSE]},
        {"x-amz-server-side-encryption-aws-kms-key-id",
         set->text[S3_KMS_KEY_ID]},
        {"x-amz-server-side-encryption-bucket-key-enabled",
         set->number[S3_BUCKET_KEY] != 0 ? "true" : NULL},
        {"x-amz-storage-class", set->text[S3_STORAGE_CLASS]},
        {"x-amz-tagging", set->tags},
        {"x-amz-object-lock-mode", set->text[S3_LOCK_MODE]},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].value != NULL)
            request_header(r, all[i].name, all[i].value);
    if (set->text[S3_LOCK_MODE] != NULL) {
        date_format_rfc3339(store_now_us(s) +
                                set->number[S3_LOCK_DAYS] * DAY_US,
                            a->lock_until);
        request_header(r, "x-amz-object-lock-retain-until-date", a->lock_until);
    }
}

static int32_t send_put(struct s3_store *s,
                        const struct persist_backend_call *call,
                        const struct persist_backend_put_args *args,
                        enum s3_checksum level, uint32_t crc,
                        struct http_response *response,
                        struct persist_backend_error *err)
{
    struct request r = {.method = "PUT",
                        .key = args->key,
                        .body = args->data,
                        .body_len = args->len,
                        .is_data = true,
                        .expect_continue = args->len >= S3_EXPECT_MIN};
    struct attributes attributes;
    struct checksum checksum;
    int32_t rc;

    request_header(&r, "content-type", args->content_type);
    if (args->flags & PERSIST_BACKEND_IF_ABSENT) {
        request_header(&r, "if-none-match", "*");
        r.writes = true; /* the same again would find the first one's object */
    }
    attributes_add(s, &attributes, &r);
    rc = checksum_add(&checksum, &r, level, crc, err);
    return rc == PERSIST_BACKEND_OK ? request_send(s, call, &r, response, err)
                                    : rc;
}

/* The service wrote other bytes than it was sent: what it made must not stay.
 * Only what this request has created is taken away, and only that version. */
static void take_back(struct s3_store *s,
                      const struct persist_backend_call *call, const char *key,
                      const char *etag)
{
    struct request r = {.method = "DELETE", .key = key};
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    struct http_response response = {0};

    request_header(&r, "if-match", etag);
    (void)request_send(s, call, &r, &response, &ignored);
    http_response_finish(&response);
}

/* Of an answer that does not tell whether it was done: a creation that is
 * repeated finds what the first one has made, a replacement does it again. */
static int32_t unknown_code(const struct persist_backend_put_args *args)
{
    return args->flags & PERSIST_BACKEND_IF_ABSENT ? PERSIST_BACKEND_UNCERTAIN
                                                   : PERSIST_BACKEND_TRANSIENT;
}

static int32_t accept_put(struct s3_store *s,
                          const struct persist_backend_call *call,
                          const struct persist_backend_put_args *args,
                          uint32_t crc, const struct http_response *response,
                          struct persist_backend_put_result *result,
                          struct persist_backend_error *err)
{
    bool created = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0;

    if (!answer_stored(response, result->etag))
        return answer_odd(s, response,
                          answer_is_elsewhere(s, response)
                              ? PERSIST_BACKEND_TRANSIENT
                              : unknown_code(args),
                          "write", args->key, ANSWER_NOT_STORED, err);
    if (!checksum_differs(response, crc))
        return PERSIST_BACKEND_OK;
    if (created)
        take_back(s, call, args->key, result->etag);
    result->etag[0] = '\0';
    return answer_odd(s, response, PERSIST_BACKEND_CORRUPT, "write", args->key,
                      "the service stored bytes with another checksum", err);
}

static int32_t refuse_put(struct s3_store *s,
                          const struct persist_backend_put_args *args,
                          uint32_t crc, const struct http_response *response,
                          struct persist_backend_error *err)
{
    bool if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0;
    int32_t rc =
        answer_fail(s, response, "write", args->key, "s3:PutObject", err);

    if (rc == PERSIST_BACKEND_PRECONDITION && if_absent)
        return PERSIST_BACKEND_EXISTS;
    /* 500 says nothing about what was done before it, and no service that says
     * 201 has done nothing. */
    if (response->status < 300 ||
        (rc == PERSIST_BACKEND_TRANSIENT && response->status >= 500))
        return unknown_code(args);
    if (response->status == 400 && rc == PERSIST_BACKEND_TRANSIENT &&
        s->host->crc32c(0, args->data, args->len) != crc)
        return fail(err, PERSIST_BACKEND_CORRUPT,
                    "cannot write %.200s: its bytes changed in memory",
                    args->key);
    return rc;
}

int32_t s3_put(void *store, const struct persist_backend_call *call,
               const struct persist_backend_put_args *args,
               struct persist_backend_put_result *result,
               struct persist_backend_error *err)
{
    struct s3_store *s = store;
    enum s3_checksum level = checksum_level(s, false), next;
    struct http_response response = {0};
    uint32_t crc = args->present & PERSIST_BACKEND_HAS_CRC32C
                       ? args->crc32c
                       : s->host->crc32c(0, args->data, args->len);
    int32_t rc = key_check(s, args->key, err);

    if (rc == PERSIST_BACKEND_OK && args->len > S3_PUT_MAX)
        rc = fail(err, PERSIST_BACKEND_INVALID,
                  "one put takes 5 GiB at the most");
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    rc = send_put(s, call, args, level, crc, &response, err);
    while (rc == PERSIST_BACKEND_OK &&
           checksum_refused(s, &response, level, false, &next)) {
        level = next;
        rc = send_put(s, call, args, level, crc, &response, err);
    }
    if (rc == PERSIST_BACKEND_OK && response.status == 200) {
        checksum_learn(s, false, level);
        rc = accept_put(s, call, args, crc, &response, result, err);
    } else if (rc == PERSIST_BACKEND_OK) {
        if (response.status == 412)
            checksum_learn(s, false, level);
        rc = refuse_put(s, args, crc, &response, err);
    }
    http_response_finish(&response);
    return rc;
}
