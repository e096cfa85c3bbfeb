/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unfinished uploads: found by ListMultipartUploads, weighed by ListParts, one
 * request for each thousand and for each upload.
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "s3/xml.h"
#include "support/dates.h"

#define BODY_MAX ((size_t)16 << 20)
#define PAGES_MAX 10000
#define STRAY_AGE_US ((int64_t)3600 * 1000000)
#define ROOT "ListMultipartUploadsResult/"

struct found {
    char *key; /* as the service has it, then without the prefix */
    char *id;
    int64_t initiated_us;
    bool has_initiated;
};

/* One reply of ListMultipartUploads. */
struct uploads_page {
    struct found *found;
    size_t n, cap;
    struct found next;
    char key_marker[4 * S3_KEY_CAP];
    char id_marker[PERSIST_BACKEND_UPLOAD_ID_MAX];
    bool encoded, truncated, had_root, failed;
};

static void found_finish(struct found *f)
{
    free(f->key);
    free(f->id);
    memset(f, 0, sizeof(*f));
}

static void uploads_page_finish(struct uploads_page *p)
{
    for (size_t i = 0; i < p->n; i++)
        found_finish(&p->found[i]);
    free(p->found);
    found_finish(&p->next);
}

static void keep(struct uploads_page *p)
{
    size_t cap = p->cap == 0 ? 64 : p->cap * 2;

    if (p->n == p->cap) {
        struct found *more = realloc(p->found, cap * sizeof(*more));
        if (more == NULL) {
            p->failed = true;
            return;
        }
        p->found = more;
        p->cap = cap;
    }
    p->found[p->n++] = p->next;
    memset(&p->next, 0, sizeof(p->next));
}

static void take_text(struct uploads_page *p, char **at, const char *text)
{
    free(*at);
    *at = strdup(text);
    p->failed |= *at == NULL;
}

static bool take_upload(void *ctx, const char *path, const char *text)
{
    struct uploads_page *p = ctx;
    size_t root = strlen(ROOT);
    const char *field = strncmp(path, ROOT, root) == 0 ? path + root : "";

    p->had_root |= strcmp(path, "ListMultipartUploadsResult") == 0;
    if (strcmp(field, "Upload/Key") == 0)
        take_text(p, &p->next.key, text);
    else if (strcmp(field, "Upload/UploadId") == 0)
        take_text(p, &p->next.id, text);
    else if (strcmp(field, "Upload/Initiated") == 0)
        p->next.has_initiated = date_parse_rfc3339(text, &p->next.initiated_us);
    else if (strcmp(field, "NextKeyMarker") == 0)
        (void)fixed_copy(p->key_marker, sizeof(p->key_marker), text);
    else if (strcmp(field, "NextUploadIdMarker") == 0)
        (void)fixed_copy(p->id_marker, sizeof(p->id_marker), text);
    else if (strcmp(field, "IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    else if (strcmp(field, "EncodingType") == 0)
        p->encoded = fixed_same_word(text, "url");
    else if (strcmp(field, "Upload") == 0 && p->next.key && p->next.id)
        keep(p);
    return !p->failed;
}

/* The host's name for it; NULL where it is not the store's. */
static const char *own_key(const struct s3_store *s, const char *key,
                           const char *prefix)
{
    size_t len = strlen(s->set.prefix);

    if (strncmp(key, s->set.prefix, len) != 0 ||
        strncmp(key + len, prefix, strlen(prefix)) != 0 ||
        !key_is_ours(key + len, false))
        return NULL;
    return key + len;
}

static int32_t read_page(struct uploads_page *p,
                         const struct http_response *response)
{
    enum xml_result result = XML_BROKEN;

    if (response->body.len > 0)
        result =
            xml_read(response->body.data, response->body.len, take_upload, p);
    if (p->failed || result == XML_NO_MEMORY)
        return PERSIST_BACKEND_MEMORY;
    if (result != XML_WHOLE || !p->had_root)
        return PERSIST_BACKEND_TRANSIENT;
    /* What cannot be decoded is dropped by own_key: it holds a "%" that no key
     * of ours has in that place. */
    for (size_t i = 0; p->encoded && i < p->n; i++)
        if (!page_decode(p->found[i].key))
            p->found[i].key[0] = '\0';
    if (p->encoded && !page_decode(p->key_marker))
        return PERSIST_BACKEND_TRANSIENT;
    return PERSIST_BACKEND_OK;
}

/* A service that repeats its markers would have us ask for ever. */
static bool stands_still(const struct uploads_page *before,
                         const struct uploads_page *next)
{
    return next->truncated && next->key_marker[0] != '\0' &&
           strcmp(before->key_marker, next->key_marker) == 0 &&
           strcmp(before->id_marker, next->id_marker) == 0;
}

/* The page behind p's markers, in place of p. */
static int32_t next_page(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const char *prefix, struct uploads_page *p,
                         struct persist_backend_error *err)
{
    struct request r = {.method = "GET", .body_max = BODY_MAX};
    struct http_response response = {0};
    struct uploads_page next = {.n = 0};
    char whole[2 * S3_KEY_CAP];
    struct fixed text = fixed_over(whole, sizeof(whole));
    int32_t rc;

    fixed_add(&text, s->set.prefix);
    fixed_add(&text, prefix);
    request_pair(&r, "uploads", "");
    request_pair(&r, "encoding-type", "url");
    request_pair(&r, "max-uploads", "1000");
    request_pair(&r, "prefix", whole);
    if (p->key_marker[0] != '\0')
        request_pair(&r, "key-marker", p->key_marker);
    if (p->id_marker[0] != '\0')
        request_pair(&r, "upload-id-marker", p->id_marker);
    rc = request_send(s, call, &r, &response, err);
    if (rc == PERSIST_BACKEND_OK && response.status != 200)
        rc = answer_fail(s, &response, "list the uploads below", prefix,
                         "s3:ListBucketMultipartUploads", err);
    else if (rc == PERSIST_BACKEND_OK &&
             (rc = read_page(&next, &response)) != PERSIST_BACKEND_OK)
        rc = answer_odd(s, &response, rc, "list the uploads below", prefix,
                        "the service's answer is no whole listing", err);
    else if (rc == PERSIST_BACKEND_OK && stands_still(p, &next))
        rc = answer_odd(s, &response, PERSIST_BACKEND_IO,
                        "list the uploads below", prefix,
                        "the listing does not end", err);
    http_response_finish(&response);
    uploads_page_finish(p);
    *p = next;
    return rc == PERSIST_BACKEND_NOT_FOUND ? PERSIST_BACKEND_CONFIG : rc;
}

/* ------------------------------------------------------------------- weights
 */

struct weight {
    uint64_t size;
    int64_t modified_us; /* of the newest part */
    char marker[24];
    bool truncated, had_root;
};

static bool take_part(void *ctx, const char *path, const char *text)
{
    struct weight *w = ctx;
    uint64_t size;
    int64_t modified;

    w->had_root |= strcmp(path, "ListPartsResult") == 0;
    if (strcmp(path, "ListPartsResult/Part/Size") == 0 &&
        fixed_parse_number(text, &size))
        w->size += size;
    else if (strcmp(path, "ListPartsResult/Part/LastModified") == 0 &&
             date_parse_rfc3339(text, &modified) && modified > w->modified_us)
        w->modified_us = modified;
    else if (strcmp(path, "ListPartsResult/IsTruncated") == 0)
        w->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListPartsResult/NextPartNumberMarker") == 0)
        (void)fixed_copy(w->marker, sizeof(w->marker), text);
    return true;
}

/* False where the service does not say: the upload is listed without. */
static bool weigh(struct s3_store *s, const struct persist_backend_call *call,
                  const char *key, const char *id, struct weight *w)
{
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    bool ok = true;

    memset(w, 0, sizeof(*w));
    for (unsigned page = 0; ok && page <= S3_PARTS_MAX / 1000; page++) {
        struct request r = {.method = "GET", .key = key, .body_max = BODY_MAX};
        struct http_response response = {0};
        char marker[sizeof(w->marker)];

        memcpy(marker, w->marker, sizeof(marker));
        request_pair(&r, "uploadId", id);
        if (marker[0] != '\0')
            request_pair(&r, "part-number-marker", marker);
        w->truncated = w->had_root = false;
        ok = request_send(s, call, &r, &response, &ignored) ==
                 PERSIST_BACKEND_OK &&
             response.status == 200 && response.body.len > 0 &&
             xml_read(response.body.data, response.body.len, take_part, w) ==
                 XML_WHOLE &&
             w->had_root;
        http_response_finish(&response);
        if (!w->truncated)
            break;
    }
    return ok;
}

/* ------------------------------------------------------------------------ op
 */

static int32_t emit_upload(struct s3_store *s,
                           const struct persist_backend_call *call,
                           const struct found *f, const char *key,
                           const struct persist_backend_list_uploads_args *args,
                           bool *out_stop, struct persist_backend_error *err)
{
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    struct fixed text = fixed_over(id, sizeof(id));
    struct persist_backend_upload upload = {
        .struct_size = sizeof(upload), .key = key, .upload_id = id};
    struct weight w;

    fixed_add(&text, "x.");
    fixed_add(&text, f->id);
    if (!text.ok)
        return fail(err, PERSIST_BACKEND_IO,
                    "the service has an upload of %.200s with a longer id "
                    "than can be kept",
                    key);
    upload.modified_us = f->initiated_us;
    if (f->has_initiated)
        upload.present |= PERSIST_BACKEND_HAS_MODIFIED;
    if (weigh(s, call, key, f->id, &w)) {
        upload.size = w.size;
        upload.present |= PERSIST_BACKEND_HAS_SIZE;
        if (w.modified_us > upload.modified_us)
            upload.modified_us = w.modified_us;
    }
    *out_stop = args->emit(args->emit_ctx, &upload) != 0;
    return PERSIST_BACKEND_OK;
}

int32_t s3_list_uploads(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_list_uploads_args *args,
                        struct persist_backend_list_uploads_result *result,
                        struct persist_backend_error *err)
{
    struct s3_store *s = store;
    struct uploads_page *p = calloc(1, sizeof(*p));
    bool stop = false;
    int32_t rc = key_check_prefix(args->prefix, err);

    (void)result;
    if (p == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    for (unsigned page = 0; rc == PERSIST_BACKEND_OK && page < PAGES_MAX;
         page++) {
        rc = next_page(s, call, args->prefix, p, err);
        for (size_t i = 0; rc == PERSIST_BACKEND_OK && !stop && i < p->n; i++) {
            const char *key = own_key(s, p->found[i].key, args->prefix);

            if (key != NULL)
                rc = emit_upload(s, call, &p->found[i], key, args, &stop, err);
        }
        if (stop || !p->truncated || p->key_marker[0] == '\0')
            break;
    }
    uploads_page_finish(p);
    free(p);
    return rc;
}

void uploads_abort_strays(struct s3_store *s,
                          const struct persist_backend_call *call,
                          const char *key)
{
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    struct uploads_page *p = calloc(1, sizeof(*p));
    int64_t oldest = store_now_us(s) - STRAY_AGE_US;

    if (p == NULL)
        return;
    if (next_page(s, call, key, p, &ignored) == PERSIST_BACKEND_OK)
        for (size_t i = 0; i < p->n; i++) {
            const char *own = own_key(s, p->found[i].key, key);

            if (own != NULL && strcmp(own, key) == 0 &&
                p->found[i].has_initiated && p->found[i].initiated_us >= oldest)
                (void)upload_abort_one(s, call, key, p->found[i].id, &ignored);
        }
    uploads_page_finish(p);
    free(p);
}
