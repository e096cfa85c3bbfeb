/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CompleteMultipartUpload.  Its status is sent before it is decided: only a
 * whole result document is a success.  What may come instead:
 *
 *     <Error> behind a 200       decided against, or (as with 500) unknown
 *     anything cut off           unknown: UNCERTAIN, the host asks again
 *     412                        the key is taken
 *     404 NoSuchUpload           aborted, or committed by an earlier attempt
 *                                whose answer was lost: the object tells
 *     409                        the upload is spent: PRECONDITION, the host
 *                                sends everything again
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "s3/xml.h"
#include "support/digest.h"
#include "support/encode.h"

/* A service may think for minutes about ten thousand parts, in silence. */
#define COMMIT_TIMEOUT_MS (10 * 60 * 1000)
#define PER_PART 512 /* bytes of the document, with an escaped ETag */

static const struct persist_backend_receipt *
receipt_at(const struct persist_backend_commit_args *args, uint32_t i)
{
    return (const void *)((const char *)args->receipts +
                          (size_t)i * args->receipt_size);
}

/* ------------------------------------------------------------ what is sent */

/* The parts lie one behind the other and are those of the object. */
static int32_t check_receipts(const struct persist_backend_commit_args *args,
                              uint64_t *out_size, uint32_t *out_crc,
                              struct persist_backend_error *err)
{
    uint64_t size = 0;
    uint32_t crc = 0;

    if (args->n_receipts == 0 || args->n_receipts > S3_PARTS_MAX)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a commit needs 1 to %d parts", S3_PARTS_MAX);
    for (uint32_t i = 0; i < args->n_receipts; i++) {
        const struct persist_backend_receipt *r = receipt_at(args, i);

        if (r->number != i + 1 || r->offset != size || r->receipt_len == 0 ||
            r->receipt_len >= PERSIST_BACKEND_ETAG_MAX)
            return fail(err, PERSIST_BACKEND_INVALID,
                        "part %u of the commit does not follow the one before",
                        i + 1);
        crc = i == 0 ? r->crc32c : crc32c_combine(crc, r->crc32c, r->len);
        size += r->len;
    }
    if ((args->present & PERSIST_BACKEND_HAS_SIZE) && args->size != size)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the parts do not have the object's size");
    if ((args->present & PERSIST_BACKEND_HAS_CRC32C) && args->crc32c != crc)
        return fail(err, PERSIST_BACKEND_CORRUPT,
                    "the parts' checksums are not the object's");
    *out_size = size;
    *out_crc = crc;
    return PERSIST_BACKEND_OK;
}

static void add_part(struct fixed *out, const struct persist_backend_receipt *r,
                     enum s3_checksum level)
{
    char etag[PERSIST_BACKEND_ETAG_MAX], crc[9];

    memcpy(etag, r->receipt, r->receipt_len);
    etag[r->receipt_len] = '\0';
    fixed_add(out, "<Part><PartNumber>");
    fixed_add_number(out, r->number);
    fixed_add(out, "</PartNumber><ETag>");
    fixed_add_xml(out, etag);
    fixed_add(out, "</ETag>");
    if (level == S3_CRC_WHOLE || level == S3_CRC_PARTS) {
        crc_encode(r->crc32c, crc);
        fixed_add(out, "<ChecksumCRC32C>");
        fixed_add(out, crc);
        fixed_add(out, "</ChecksumCRC32C>");
    }
    fixed_add(out, "</Part>");
}

/* The document, of the heap; NULL without memory. */
static char *write_document(const struct persist_backend_commit_args *args,
                            enum s3_checksum level, size_t *out_len)
{
    size_t cap = 256 + (size_t)args->n_receipts * PER_PART;
    char *memory = malloc(cap);
    struct fixed out;

    if (memory == NULL)
        return NULL;
    out = fixed_over(memory, cap);
    fixed_add(&out, "<CompleteMultipartUpload xmlns=\""
                    "http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (uint32_t i = 0; i < args->n_receipts; i++)
        add_part(&out, receipt_at(args, i), level);
    fixed_add(&out, "</CompleteMultipartUpload>");
    if (!out.ok) {
        free(memory);
        return NULL;
    }
    *out_len = out.len;
    return memory;
}

/* One commit under way. */
struct commit {
    const struct persist_backend_commit_args *args;
    const char *id; /* the service's */
    enum s3_checksum level;
    uint64_t size;
    uint32_t crc;
    bool if_absent;
};

static int32_t send_commit(struct s3_store *s,
                           const struct persist_backend_call *call,
                           const struct commit *c,
                           struct http_response *response,
                           struct persist_backend_error *err)
{
    struct request r = {.method = "POST",
                        .key = c->args->key,
                        .writes = true,
                        .no_stall_limit = true,
                        .timeout_ms = COMMIT_TIMEOUT_MS};
    char crc[9], size[24];
    struct fixed n = fixed_over(size, sizeof(size));
    size_t len = 0;
    char *body = write_document(c->args, c->level, &len);
    int32_t rc;

    if (body == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    r.body = body;
    r.body_len = len;
    request_pair(&r, "uploadId", c->id);
    request_header(&r, "content-type", "application/xml");
    if (c->if_absent)
        request_header(&r, "if-none-match", "*");
    if (c->level == S3_CRC_WHOLE) {
        crc_encode(c->crc, crc);
        fixed_add_number(&n, c->size);
        request_header(&r, "x-amz-checksum-crc32c", crc);
        request_header(&r, "x-amz-checksum-type", "FULL_OBJECT");
        request_header(&r, "x-amz-mp-object-size", size);
    }
    rc = request_send(s, call, &r, response, err);
    free(body);
    return rc;
}

/* --------------------------------------------------------- what comes back */

struct outcome {
    char etag[PERSIST_BACKEND_ETAG_MAX];
    char crc[32];
    bool done;  /* the root was the result's, and it ended */
    bool error; /* the root was an error's */
};

static bool take_outcome(void *ctx, const char *path, const char *text)
{
    struct outcome *o = ctx;

    if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0)
        (void)fixed_copy(o->etag, sizeof(o->etag), text);
    else if (strcmp(path, "CompleteMultipartUploadResult/ChecksumCRC32C") == 0)
        (void)fixed_copy(o->crc, sizeof(o->crc), text);
    o->done |= strcmp(path, "CompleteMultipartUploadResult") == 0;
    o->error |= strcmp(path, "Error") == 0;
    return true;
}

/* What HEAD says of the object that stands there now. */
static int32_t look(struct s3_store *s, const struct persist_backend_call *call,
                    const char *key, struct http_response *response,
                    struct persist_backend_error *err)
{
    struct request r = {.method = "HEAD", .key = key};
    int32_t rc;

    request_header(&r, "x-amz-checksum-mode", "ENABLED");
    rc = request_send(s, call, &r, response, err);
    if (rc == PERSIST_BACKEND_OK && response->status != 200)
        rc = answer_fail(s, response, "look at", key, "s3:GetObject", err);
    else if (rc == PERSIST_BACKEND_OK && answer_is_page(response))
        rc = answer_page(s, response, "look at", key, err);
    return rc;
}

/* Whether the object is the one this commit makes; UNCERTAIN where there is no
 * checksum of its bytes to tell it from another of that size. */
static int32_t compare(const struct commit *c,
                       const struct http_response *response)
{
    const char *crc = http_header(response, "x-amz-checksum-crc32c");

    if (!response->has_length || response->content_length != c->size ||
        checksum_differs(response, c->crc))
        return PERSIST_BACKEND_NOT_FOUND;
    return crc != NULL && strchr(crc, '-') == NULL ? PERSIST_BACKEND_OK
                                                   : PERSIST_BACKEND_UNCERTAIN;
}

/*
 * A whole result whose checksum is another: the service made an object of other
 * bytes, and it is visible.  The host is told so, and the object that this very
 * commit created is taken away.
 */
static int32_t refuse_bytes(struct s3_store *s,
                            const struct persist_backend_call *call,
                            const struct commit *c, const char *etag,
                            const struct http_response *response,
                            struct persist_backend_error *err)
{
    struct request r = {.method = "DELETE", .key = c->args->key};
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    struct http_response gone = {0};

    if (c->if_absent && etag[0] != '\0') {
        request_header(&r, "if-match", etag);
        (void)request_send(s, call, &r, &gone, &ignored);
        http_response_finish(&gone);
    }
    return answer_odd(s, response, PERSIST_BACKEND_CORRUPT, "commit",
                      c->args->key,
                      "the service made an object with another checksum", err);
}

static int32_t accept_commit(struct s3_store *s,
                             const struct persist_backend_call *call,
                             const struct commit *c,
                             const struct http_response *response,
                             struct persist_backend_commit_result *result,
                             struct persist_backend_error *err)
{
    struct outcome o = {.etag = ""};
    enum xml_result whole = XML_BROKEN;
    uint32_t said = 0;
    int32_t rc;

    if (response->body.len > 0)
        whole =
            xml_read(response->body.data, response->body.len, take_outcome, &o);
    if (whole == XML_WHOLE && o.error) {
        rc = answer_fail_inside(s, response, "commit", c->args->key, err);
        if (rc == PERSIST_BACKEND_PRECONDITION && c->if_absent)
            return PERSIST_BACKEND_EXISTS;
        return rc == PERSIST_BACKEND_TRANSIENT ? PERSIST_BACKEND_UNCERTAIN : rc;
    }
    if (whole != XML_WHOLE || !o.done || o.etag[0] == '\0')
        return answer_odd(s, response, PERSIST_BACKEND_UNCERTAIN, "commit",
                          c->args->key, "the service's answer is cut off", err);
    if (c->level == S3_CRC_WHOLE && o.crc[0] != '\0' &&
        strchr(o.crc, '-') == NULL &&
        (!crc_decode(o.crc, &said) || said != c->crc))
        return refuse_bytes(s, call, c, o.etag, response, err);
    memcpy(result->etag, o.etag, sizeof(o.etag));
    return PERSIST_BACKEND_OK;
}

/* NoSuchUpload: an earlier attempt may have been the one that ended it. */
static int32_t settle_gone(struct s3_store *s,
                           const struct persist_backend_call *call,
                           const struct commit *c,
                           struct persist_backend_commit_result *result,
                           struct persist_backend_error *err)
{
    struct http_response there = {0};
    int32_t rc = look(s, call, c->args->key, &there, err);

    if (rc == PERSIST_BACKEND_NOT_FOUND) {
        rc = fail(err, PERSIST_BACKEND_NOT_FOUND,
                  "cannot commit %.200s: the upload is gone", c->args->key);
    } else if (rc != PERSIST_BACKEND_OK) {
        rc = PERSIST_BACKEND_UNCERTAIN;
    } else if (c->if_absent) {
        rc = fail(err, PERSIST_BACKEND_EXISTS,
                  "the upload is gone and %.200s is there", c->args->key);
    } else {
        rc = compare(c, &there);
        if (rc == PERSIST_BACKEND_OK && !answer_etag(&there, result->etag))
            rc = PERSIST_BACKEND_UNCERTAIN;
        if (rc != PERSIST_BACKEND_OK)
            rc = fail(err, rc,
                      "cannot commit %.200s: the upload is gone, and %s is "
                      "there",
                      c->args->key,
                      rc == PERSIST_BACKEND_UNCERTAIN
                          ? "an object that it may have become"
                          : "another object");
    }
    http_response_finish(&there);
    return rc;
}

static int32_t refuse_commit(struct s3_store *s,
                             const struct persist_backend_call *call,
                             const struct commit *c,
                             const struct http_response *response,
                             struct persist_backend_commit_result *result,
                             struct persist_backend_error *err)
{
    int32_t rc =
        answer_fail(s, response, "commit", c->args->key, "s3:PutObject", err);

    if (response->status < 300) /* somebody else's way to say done */
        return PERSIST_BACKEND_UNCERTAIN;
    if (response->status == 409)
        return PERSIST_BACKEND_PRECONDITION;
    if (rc == PERSIST_BACKEND_PRECONDITION && c->if_absent)
        return PERSIST_BACKEND_EXISTS;
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        return settle_gone(s, call, c, result, err);
    if (rc == PERSIST_BACKEND_TRANSIENT && response->status >= 500)
        return PERSIST_BACKEND_UNCERTAIN;
    return rc;
}

int32_t s3_upload_commit(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_commit_args *args,
                         struct persist_backend_commit_result *result,
                         struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct commit c = {.args = args};
    struct http_response response = {0};
    int32_t rc = key_check(s, args->key, err);

    c.if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0;
    if (rc == PERSIST_BACKEND_OK)
        rc = upload_split(args->upload_id, &c.id, &c.level, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = check_receipts(args, &c.size, &c.crc, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = send_commit(s, call, &c, &response, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = response.status == 200
                 ? accept_commit(s, call, &c, &response, result, err)
                 : refuse_commit(s, call, &c, &response, result, err);
    http_response_finish(&response);
    return rc;
}
