/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One buffer, one request: multipart/related (RFC 2387), the metadata first.
 * The buffer is sent from where it is.
 */
#include <stdio.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"
#include "gcs/object.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/encode.h"
#include "support/fail.h"

/* 128 random bits: not in the data. */
struct frame {
    char boundary[40];
    struct text before; /* metadata, and the data's headers */
    struct text after;
    struct text header; /* Content-Type of the whole */
    struct text path;
    struct text query;
};

static void frame_finish(struct frame *f)
{
    text_finish(&f->before);
    text_finish(&f->after);
    text_finish(&f->header);
    text_finish(&f->path);
    text_finish(&f->query);
}

static int32_t make_boundary(const struct gcs_store *s, struct frame *f,
                             struct persist_backend_error *err)
{
    uint8_t bits[16];

    if (s->host->random(bits, sizeof(bits)) != PERSIST_BACKEND_OK)
        return fail(err, PERSIST_BACKEND_IO,
                    "the system gives no random numbers");
    memcpy(f->boundary, "persist", 7);
    hex_encode(f->boundary + 7, bits, sizeof(bits));
    return PERSIST_BACKEND_OK;
}

static void make_query(const struct gcs_store *s, bool if_absent,
                       struct text *out)
{
    text_add(out, "uploadType=multipart&fields=" GCS_OBJECT_FIELDS);
    if (if_absent)
        text_add(out, "&ifGenerationMatch=0");
    if (s->options.kms_key_name != NULL)
        form_add(out, "kmsKeyName", s->options.kms_key_name);
}

static int32_t make_frame(const struct gcs_store *s,
                          const struct persist_backend_put_args *args,
                          uint32_t crc, struct frame *f,
                          struct persist_backend_error *err)
{
    int32_t rc = make_boundary(s, f, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    names_upload_path(&s->options, &f->path);
    make_query(s, (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0, &f->query);
    text_addf(&f->header, "Content-Type: multipart/related; boundary=%s",
              f->boundary);
    text_addf(&f->before,
              "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n",
              f->boundary);
    rc = metadata_write(&s->options, args->key, args->content_type, &crc,
                        s->host->wall_us(), &f->before);
    text_addf(&f->before, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", f->boundary,
              args->content_type);
    text_addf(&f->after, "\r\n--%s--\r\n", f->boundary);
    if (rc == PERSIST_BACKEND_INVALID)
        return fail(err, rc, "the object's name or type is not UTF-8");
    if (rc != PERSIST_BACKEND_OK || f->path.failed || f->query.failed ||
        f->header.failed || f->before.failed || f->after.failed)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    return PERSIST_BACKEND_OK;
}

/* What the answer says; CORRUPT where it is to be tried once more
 * (*out_again). */
static int32_t settle(struct gcs_store *s,
                      const struct persist_backend_call *call,
                      const struct persist_backend_put_args *args, uint32_t crc,
                      const struct http_response *r, bool *out_again,
                      struct persist_backend_put_result *result,
                      struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = "write",
        .key = args->key,
        .subject = GCS_BUCKET,
        .writes = true,
        .if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0};
    struct gcs_object object = {0};
    int32_t rc;

    if (r->status != 200 && r->status != 201) {
        *out_again = status_is_bad_checksum(r);
        return status_refused(s->http, &asked, r, err);
    }
    if (!reply_object(r->body.data, r->body.len, &object) || !object.has_crc32c)
        return status_garbled(&asked, s->seen, r, err);
    rc = object_compare(s, call, args->key, &object, args->len, crc, out_again,
                        err);
    if (rc == PERSIST_BACKEND_OK)
        memcpy(result->etag, object.generation, sizeof(object.generation));
    return rc;
}

static int32_t send(struct gcs_store *s,
                    const struct persist_backend_call *call,
                    const struct persist_backend_put_args *args, uint32_t crc,
                    const struct frame *f, bool fresh, bool *out_again,
                    struct persist_backend_put_result *result,
                    struct persist_backend_error *err)
{
    const struct gcs_request q = {.method = "POST",
                                  .path = text_str(&f->path),
                                  .query = text_str(&f->query),
                                  .headers = {text_str(&f->header)},
                                  .body = {{f->before.data, f->before.len},
                                           {args->data, args->len},
                                           {f->after.data, f->after.len}},
                                  .writes = true,
                                  .fresh = fresh};
    struct http_response r = {0};
    int32_t rc = request_send(s, call, &q, &r, err);

    *out_again = false;
    if (rc == PERSIST_BACKEND_OK)
        rc = settle(s, call, args, crc, &r, out_again, result, err);
    http_response_finish(&r);
    return rc;
}

int32_t gcs_put(void *store, const struct persist_backend_call *call,
                const struct persist_backend_put_args *args,
                struct persist_backend_put_result *result,
                struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    uint32_t crc = s->host->crc32c(0, args->data, args->len);
    struct frame f = {0};
    bool again = false;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK &&
        (args->present & PERSIST_BACKEND_HAS_CRC32C) != 0 &&
        args->crc32c != crc)
        rc = fail(err, PERSIST_BACKEND_CORRUPT,
                  "the bytes to be written are not those of their checksum");
    if (rc == PERSIST_BACKEND_OK)
        rc = make_frame(s, args, crc, &f, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = send(s, call, args, crc, &f, false, &again, result, err);
    if (rc == PERSIST_BACKEND_CORRUPT && again) {
        s->host->log(s->host_store, PERSIST_BACKEND_LOG_WARN,
                     "gcs: an upload was damaged on its way: sent once more on "
                     "a new connection");
        rc = send(s, call, args, crc, &f, true, &again, result, err);
    }
    frame_finish(&f);
    return rc;
}
