/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Begin, parts and abort of a multipart upload.  Nothing about an upload is
 * kept here: its id says with which checksums it was begun, so that any process
 * can go on with it.
 *
 *     w.ID  CRC-32C of the whole      p.ID  CRC-32C of the parts
 *     m.ID  Content-MD5               s.ID  signed SHA-256
 *     u.ID  no checksums              x.ID  found in a listing: to be aborted
 */
#include "s3.h"

#include <string.h>

#include "s3/xml.h"

static const char level_letters[] = "wpmsu";

int32_t upload_split(const char *upload_id, const char **out_id,
                     enum s3_checksum *out_level,
                     struct persist_backend_error *err)
{
    const char *letter =
        upload_id[0] == '\0' ? NULL : strchr(level_letters, upload_id[0]);

    if ((letter == NULL && upload_id[0] != 'x') || upload_id[1] != '.' ||
        upload_id[UPLOAD_PREFIX_LEN] == '\0')
        return fail(err, PERSIST_BACKEND_INVALID,
                    "that is not the id of an upload of this backend");
    *out_id = upload_id + UPLOAD_PREFIX_LEN;
    *out_level = letter == NULL ? S3_UNCHECKED
                                : (enum s3_checksum)(letter - level_letters);
    return PERSIST_BACKEND_OK;
}

/* ------------------------------------------------------------------- begin */

static int32_t send_begin(struct s3_store *s,
                          const struct persist_backend_call *call,
                          const struct persist_backend_begin_args *args,
                          enum s3_checksum level,
                          struct http_response *response,
                          struct persist_backend_error *err)
{
    /* Written as one that writes, so that libcurl does not silently send it a
     * second time: nobody would know of the first one's upload. */
    struct request r = {.method = "POST", .key = args->key, .writes = true};
    struct attributes attributes;

    request_pair(&r, "uploads", "");
    request_header(&r, "content-type", args->content_type);
    attributes_add(s, &attributes, &r);
    if (level == S3_CRC_WHOLE || level == S3_CRC_PARTS)
        request_header(&r, "x-amz-checksum-algorithm", "CRC32C");
    if (level == S3_CRC_WHOLE)
        request_header(&r, "x-amz-checksum-type", "FULL_OBJECT");
    return request_send(s, call, &r, response, err);
}

/* Some services take the headers of a better checksum and give a lesser one. */
static enum s3_checksum granted(const struct http_response *response,
                                enum s3_checksum asked)
{
    const char *type = http_header(response, "x-amz-checksum-type");

    if (asked == S3_CRC_WHOLE && type != NULL &&
        fixed_same_word(type, "COMPOSITE"))
        return S3_CRC_PARTS;
    return asked;
}

static int32_t accept_begin(struct s3_store *s, const char *key,
                            const struct http_response *response,
                            enum s3_checksum level,
                            struct persist_backend_begin_result *result,
                            struct persist_backend_error *err)
{
    static const char path[] = "InitiateMultipartUploadResult/UploadId";
    char *id = result->upload_id + UPLOAD_PREFIX_LEN;

    if (response->body.len == 0 ||
        !xml_get(response->body.data, response->body.len, path, id,
                 sizeof(result->upload_id) - UPLOAD_PREFIX_LEN) ||
        id[0] == '\0') {
        result->upload_id[0] = '\0';
        return answer_odd(s, response, PERSIST_BACKEND_TRANSIENT,
                          "begin an upload of", key,
                          "the service's answer names no upload", err);
    }
    result->upload_id[0] = level_letters[level];
    result->upload_id[1] = '.';
    return PERSIST_BACKEND_OK;
}

int32_t s3_upload_begin(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_begin_args *args,
                        struct persist_backend_begin_result *result,
                        struct persist_backend_error *err)
{
    struct s3_store *s = store;
    enum s3_checksum level = checksum_level(s, true), next;
    struct http_response response = {0};
    int32_t rc = key_check(s, args->key, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (call->attempt > 1)
        uploads_abort_strays(s, call, args->key);
    rc = send_begin(s, call, args, level, &response, err);
    while (rc == PERSIST_BACKEND_OK &&
           checksum_refused(s, &response, level, true, &next)) {
        level = next;
        rc = send_begin(s, call, args, level, &response, err);
    }
    if (rc == PERSIST_BACKEND_UNCERTAIN) /* the next attempt looks for it */
        rc = s->host->is_cancelled(call) != 0 ? PERSIST_BACKEND_CANCELLED
                                              : PERSIST_BACKEND_TRANSIENT;
    if (rc == PERSIST_BACKEND_OK && response.status == 200) {
        level = granted(&response, level);
        checksum_learn(s, true, level);
        rc = accept_begin(s, args->key, &response, level, result, err);
    } else if (rc == PERSIST_BACKEND_OK) {
        rc = answer_fail(s, &response, "begin an upload of", args->key,
                         "s3:PutObject", err);
    }
    http_response_finish(&response);
    /* Another attempt takes away what this one may have begun. */
    return rc == PERSIST_BACKEND_UNCERTAIN ? PERSIST_BACKEND_TRANSIENT : rc;
}

/* -------------------------------------------------------------------- parts */

/* The receipt is the part's ETag: what a commit must name. */
static int32_t accept_part(struct s3_store *s,
                           const struct persist_backend_part_args *args,
                           uint32_t crc, const struct http_response *response,
                           struct persist_backend_part_result *result,
                           struct persist_backend_error *err)
{
    char etag[PERSIST_BACKEND_ETAG_MAX];

    if (!answer_stored(response, etag))
        return answer_odd(s, response, PERSIST_BACKEND_TRANSIENT,
                          "upload a part of", args->key, ANSWER_NOT_STORED,
                          err);
    if (checksum_differs(response, crc))
        return answer_odd(
            s, response, PERSIST_BACKEND_TRANSIENT, "upload a part of",
            args->key, "the service stored bytes with another checksum", err);
    result->receipt_len = (uint32_t)strlen(etag);
    memcpy(result->receipt, etag, result->receipt_len);
    return PERSIST_BACKEND_OK;
}

static int32_t refuse_part(struct s3_store *s,
                           const struct persist_backend_part_args *args,
                           uint32_t crc, const struct http_response *response,
                           struct persist_backend_error *err)
{
    int32_t rc = answer_fail(s, response, "upload a part of", args->key,
                             "s3:PutObject", err);

    if (response->status == 400 && rc == PERSIST_BACKEND_TRANSIENT &&
        s->host->crc32c(0, args->data, args->len) != crc)
        return fail(err, PERSIST_BACKEND_CORRUPT,
                    "cannot upload a part of %.200s: its bytes changed in "
                    "memory",
                    args->key);
    return rc;
}

static int32_t check_part(struct s3_store *s,
                          const struct persist_backend_part_args *args,
                          struct persist_backend_error *err)
{
    int32_t rc = key_check(s, args->key, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (args->number == 0 || args->number > S3_PARTS_MAX)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "an upload has parts 1 to %d, not %u", S3_PARTS_MAX,
                    args->number);
    if (args->len > S3_PART_MAX || (args->len < S3_PART_MIN && !args->is_last))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "parts but the last have 5 MiB to 5 GiB");
    return PERSIST_BACKEND_OK;
}

int32_t s3_upload_part(void *store, const struct persist_backend_call *call,
                       const struct persist_backend_part_args *args,
                       struct persist_backend_part_result *result,
                       struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct request r = {.method = "PUT",
                        .key = args->key,
                        .body = args->data,
                        .body_len = args->len,
                        .is_data = true,
                        .expect_continue = args->len >= S3_EXPECT_MIN};
    struct http_response response = {0};
    enum s3_checksum level = S3_UNCHECKED;
    struct checksum checksum;
    char number[16];
    struct fixed n = fixed_over(number, sizeof(number));
    const char *id = "";
    uint32_t crc = args->present & PERSIST_BACKEND_HAS_CRC32C
                       ? args->crc32c
                       : s->host->crc32c(0, args->data, args->len);
    int32_t rc = check_part(s, args, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = upload_split(args->upload_id, &id, &level, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    fixed_add_number(&n, args->number);
    request_pair(&r, "partNumber", number);
    request_pair(&r, "uploadId", id);
    rc = checksum_add(&checksum, &r, level, crc, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = response.status == 200
                 ? accept_part(s, args, crc, &response, result, err)
                 : refuse_part(s, args, crc, &response, err);
    http_response_finish(&response);
    return rc;
}

/* -------------------------------------------------------------------- abort */

int32_t upload_abort_one(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const char *key, const char *id,
                         struct persist_backend_error *err)
{
    struct request r = {.method = "DELETE", .key = key};
    struct http_response response = {0};
    int32_t rc;

    request_pair(&r, "uploadId", id);
    rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = answer_deleted(s, &response, "abort the upload of", key,
                            "s3:AbortMultipartUpload", err);
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        rc = PERSIST_BACKEND_OK; /* aborted or committed already */
    http_response_finish(&response);
    return rc;
}

int32_t s3_upload_abort(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_abort_args *args,
                        struct persist_backend_error *err)
{
    struct s3_store *s = store;
    enum s3_checksum level = S3_UNCHECKED;
    const char *id = "";
    int32_t rc = key_check(s, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = upload_split(args->upload_id, &id, &level, err);
    return rc == PERSIST_BACKEND_OK
               ? upload_abort_one(s, call, args->key, id, err)
               : rc;
}
