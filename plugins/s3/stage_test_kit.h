/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the S3 backend: a store whose service is a script of replies
 * (support/testkit.h), and the ops with the arguments a test does not care for.
 *
 *     struct stage stage;
 *     stage_open(&stage, replies, n, "checksum=always", NULL);
 *     assert_int_equal(stage_put(&stage, "a/b", "data", IF_ABSENT), EXISTS);
 *     assert_true(stage_sent(&stage, 0, "PUT /bucket/p/a/b HTTP/1.1"));
 *     stage_close(&stage);
 */
#ifndef PERSIST_S3_STAGE_TEST_KIT_H
#define PERSIST_S3_STAGE_TEST_KIT_H

#include "support/testkit.h"

#undef fail /* cmocka's; support/fail.h has the name */

#include "s3.h"

#define IF_ABSENT PERSIST_BACKEND_IF_ABSENT

/* A whole reply: status line, headers, body with its length. */
#define REPLY_HEAD(status, headers)                                            \
    "HTTP/1.1 " status " x\r\nx-amz-request-id: REQ1\r\n" headers
#define REPLY_EMPTY(status, headers)                                           \
    {                                                                          \
        .bytes = REPLY_HEAD(status, headers) "content-length: 0\r\n\r\n"       \
    }

struct stage {
    struct server *server;
    struct s3_store *store;
    const struct persist_backend_ops *ops;
    struct persist_backend_error err;
    struct persist_backend_call call;
    char etag[PERSIST_BACKEND_ETAG_MAX];           /* of the last op */
    char upload_id[PERSIST_BACKEND_UPLOAD_ID_MAX]; /* of stage_begin */
    char listed[65536]; /* "key:size;" or "folder/;" of the last listing */
    uint32_t more;
    char findings[16384]; /* "name=value|hint;" of the last probe */
    char buffer[65536];   /* of reads */
    struct persist_backend_read_result read;
    struct persist_backend_head_result head;
    struct persist_backend_part_result part;
};

/* A reply with this body, in memory that lives until stage_close. */
struct script reply_with(const char *status, const char *headers,
                         const char *body);
/* A reply that is an S3 error document. */
struct script reply_error(const char *status, const char *headers,
                          const char *code, const char *more);

/*
 * Opens a store in bucket "bucket" below "p" whose endpoint plays the n
 * replies.  Settings are "key=value", the last one NULL; numbers in bytes and
 * milliseconds.  "endpoint=" leaves it out.
 */
void stage_open(struct stage *g, const struct script *replies, size_t n, ...);
/* Only open: its code; the store is closed again. */
int32_t stage_try(struct stage *g, ...);
void stage_close(struct stage *g);

int32_t stage_put(struct stage *g, const char *key, const char *data,
                  uint32_t flags);
int32_t stage_begin(struct stage *g, const char *key);
int32_t stage_part(struct stage *g, const char *key, const char *id, uint32_t n,
                   const void *data, uint64_t len, bool last);
/* Two parts of 5 MiB and 9 bytes, with receipts "e1" and "e2". */
int32_t stage_commit(struct stage *g, const char *key, const char *id,
                     uint32_t flags);
int32_t stage_abort(struct stage *g, const char *key, const char *id);
int32_t stage_read(struct stage *g, const char *key, uint32_t mode,
                   uint64_t offset, uint64_t len, const char *etag);
int32_t stage_head(struct stage *g, const char *key);
int32_t stage_delete(struct stage *g, const char *key, uint32_t *out_was);
int32_t stage_list(struct stage *g, const char *prefix, const char *start_after,
                   const char *delimiter, uint32_t limit);
int32_t stage_list_uploads(struct stage *g, const char *prefix);
int32_t stage_probe(struct stage *g);

/* Whether the n-th request's head (from 0) contains the text. */
bool stage_sent(struct stage *g, unsigned n, const char *text);
/* The same of its body. */
bool stage_sent_body(struct stage *g, unsigned n, const char *text);
/* The CRC-32C of stage_commit's object, in base64. */
const char *stage_commit_crc(void);

#endif
