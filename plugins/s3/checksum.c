/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which checksums go along with data.  Amazon's service takes CRC-32C in a
 * header; of the others some refuse the header, some take it for parts alone.
 * With checksum = auto a refusal is followed down a ladder, and what worked is
 * remembered for the life of the store:
 *
 *     put:     CRC-32C -> Content-MD5 and signed SHA-256 -> signed SHA-256
 *     upload:  CRC-32C of the whole -> of the parts -> as above
 */
#include "s3.h"

#include <string.h>

#include "support/digest.h"
#include "support/encode.h"
#include "support/text.h"

int32_t checksum_add(struct checksum *c, struct request *r,
                     enum s3_checksum level, uint32_t crc,
                     struct persist_backend_error *err)
{
    uint8_t md5[MD5_LEN];
    struct text t = {0};

    switch (level) {
    case S3_CRC_WHOLE:
    case S3_CRC_PARTS:
        crc_encode(crc, c->crc);
        request_header(r, "x-amz-checksum-crc32c", c->crc);
        return PERSIST_BACKEND_OK;
    case S3_MD5:
        if (digest_md5(r->body, (size_t)r->body_len, md5) != PERSIST_BACKEND_OK)
            return fail(err, PERSIST_BACKEND_UNSUPPORTED,
                        "libcrypto has no MD5 here, and the service takes no "
                        "better checksum; say checksum = never");
        base64_encode(&t, md5, sizeof(md5));
        if (t.failed || t.len >= sizeof(c->md5)) {
            text_finish(&t);
            return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
        }
        memcpy(c->md5, t.data, t.len + 1);
        text_finish(&t);
        request_header(r, "content-md5", c->md5);
        r->sign_data = true;
        return PERSIST_BACKEND_OK;
    case S3_SHA256:
        r->sign_data = true;
        return PERSIST_BACKEND_OK;
    case S3_UNCHECKED:
        break;
    }
    return PERSIST_BACKEND_OK;
}

enum s3_checksum checksum_level(const struct s3_store *s, bool upload)
{
    if (s->set.checksum == S3_NEVER)
        return S3_UNCHECKED;
    return (enum s3_checksum)atomic_load(upload ? &s->upload_checksum
                                                : &s->put_checksum);
}

/* A message that names the header, in the words of several services. */
static bool mentions_checksum(const struct answer *a)
{
    static const char *const words[] = {"hecksum", "CRC32C", "crc32c",
                                        "Content-MD5", "content-md5"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(a->message, words[i]) != NULL)
            return true;
    return false;
}

bool checksum_refused(const struct s3_store *s,
                      const struct http_response *response,
                      enum s3_checksum used, bool upload,
                      enum s3_checksum *out_next)
{
    static const char *const not_refusals[] = {"BadDigest", "InvalidDigest",
                                               "XAmzContentSHA256Mismatch"};
    struct answer a;

    if (!s->set.custom || s->set.checksum != S3_AUTO || used >= S3_SHA256 ||
        (response->status != 400 && response->status != 501))
        return false;
    answer_read(response, &a);
    for (size_t i = 0; i < sizeof(not_refusals) / sizeof(not_refusals[0]); i++)
        if (strcmp(a.code, not_refusals[i]) == 0)
            return false;
    if (response->status == 400 && !mentions_checksum(&a))
        return false;
    *out_next = used == S3_CRC_WHOLE && !upload ? S3_MD5 : used + 1;
    return true;
}

void checksum_learn(struct s3_store *s, bool upload, enum s3_checksum level)
{
    atomic_int *at = upload ? &s->upload_checksum : &s->put_checksum;

    if (s->set.checksum == S3_AUTO && level > (enum s3_checksum)atomic_load(at))
        atomic_store(at, (int)level);
}

bool checksum_differs(const struct http_response *response, uint32_t crc)
{
    const char *text = http_header(response, "x-amz-checksum-crc32c");
    uint32_t said;

    /* "...-3" is a checksum of checksums: another thing. */
    if (text == NULL || strchr(text, '-') != NULL)
        return false;
    return !crc_decode(text, &said) || said != crc;
}
