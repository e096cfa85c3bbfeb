/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 backend: objects of a bucket, below a prefix.
 *
 *     s3.c         descriptor and ops table; open, close, limits
 *     options.c    the table of what a user may set
 *     settings.c   what is made of it, and what contradicts itself
 *     endpoint.c   where requests go: host, path, region
 *     request.c    one signed request, and the one repetition that a wrong
 *                  region, clock or token is worth
 *     answer.c     what a reply that is not a success means
 *     checksum.c   which checksums this endpoint takes
 *     key.c        what a key may look like
 *     put.c        one buffer; upload.c: begin, parts, abort; commit.c
 *     read.c       read, head, delete
 *     list.c       keys in order; page.c: one page of a listing
 *     uploads.c    unfinished uploads
 *     probe.c      what a person wants to know
 *     sign.c, xml.c, fixed.c     signatures, XML, bounded text
 *     credentials/               who we are
 *
 * One op makes one attempt.  It may send more than one request where the first
 * was refused for a reason the reply itself cures (the bucket's region, the
 * clock, an expired token, a checksum header the endpoint does not know: each
 * once), where one page of a listing needs several of S3's, and where a 404
 * does not say what is missing.  None of these repeats a request that may have
 * been carried out.
 *
 * Threads: everything here may be called by several at once.
 */
#ifndef PERSIST_S3_S3_H
#define PERSIST_S3_S3_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "s3/credentials.h"
#include "s3/fixed.h"
#include "s3/sign.h"
#include "support/fail.h"
#include "support/http.h"
#include "support/text.h"
#include "support/url.h"

#define S3_KEY_MAX 1024 /* bytes, the store's prefix included */
#define S3_KEY_CAP (S3_KEY_MAX + 1)
#define S3_PROBE_KEY ".persist-probe"
#define S3_REGION_CAP 64
#define S3_PART_MIN ((uint64_t)5 << 20)
#define S3_PART_MAX ((uint64_t)5 << 30)
#define S3_PUT_MAX ((uint64_t)5 << 30)
#define S3_PARTS_MAX 10000
/* From here on a service may refuse a body before it is sent. */
#define S3_EXPECT_MIN ((uint64_t)1 << 20)
#define S3_BUCKET_MAX 255
#define S3_URL_CAP 16384

/* The options, in the order of the table. */
enum s3_option {
    S3_BUCKET,
    S3_PREFIX,
    S3_REGION,
    S3_ENDPOINT,
    S3_ADDRESSING,
    S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
    S3_PROFILE,
    S3_SSE,
    S3_KMS_KEY_ID,
    S3_BUCKET_KEY,
    S3_STORAGE_CLASS,
    S3_LOCK_MODE,
    S3_LOCK_DAYS,
    S3_REQUEST_PAYER,
    S3_TAGS,
    S3_BUCKET_OWNER,
    S3_PART_SIZE,
    S3_PARALLEL,
    S3_CHECKSUM,
    S3_SIGN_PAYLOAD,
    S3_CA_BUNDLE,
    S3_PROXY,
    S3_CONNECT_TIMEOUT,
    S3_STALL_TIMEOUT,
    S3_ALLOW_HTTP,
    S3_N_OPTIONS
};

extern const struct persist_backend_option s3_options[S3_N_OPTIONS];

enum s3_mode { S3_AUTO, S3_ALWAYS, S3_NEVER };

/* How much of its bytes an upload's service is told to check, best first. */
enum s3_checksum {
    S3_CRC_WHOLE, /* CRC-32C of each request and of the whole object */
    S3_CRC_PARTS, /* uploads: CRC-32C of the parts, and of those CRCs */
    S3_MD5,       /* Content-MD5, and SHA-256 in the signature */
    S3_SHA256,    /* SHA-256 in the signature alone */
    S3_UNCHECKED, /* checksum = never: what sign_payload leaves */
};

/* What open made of the options; never changes. */
struct s3_settings {
    char *text[S3_N_OPTIONS]; /* STRING CHOICE PATH URL; NULL: not given */
    int64_t number[S3_N_OPTIONS];
    char *prefix; /* "" or text that ends in '/' */
    char *tags;   /* as x-amz-tagging wants them, or NULL */
    enum s3_mode checksum;
    enum s3_mode sign_payload;
    bool check_replies; /* ask for checksums with reads */
    bool custom;        /* an endpoint was configured: not Amazon's own */
    bool path_style;
    bool fips, dualstack; /* of Amazon's own endpoints */
    struct url endpoint;  /* custom only */
    const char *endpoint_origin;
};

struct s3_store {
    const struct persist_backend_host *host;
    void *host_store;
    struct s3_settings set;
    struct http_client *http;
    struct s3_credentials_provider *credentials;
    struct sign_signer signer;

    pthread_mutex_t lock;
    char region[S3_REGION_CAP]; /* lock; corrected by replies */
    const char *region_origin;  /* lock; static text */

    atomic_int_fast64_t clock_offset_us; /* the server's clock less ours */
    atomic_int put_checksum;             /* enum s3_checksum, as learned */
    atomic_int upload_checksum;
    atomic_bool bucket_seen; /* a reply showed that the bucket exists */
};

/* ---------------------------------------------------------------- settings.c
 */

/*
 * From options to settings.  CONFIG, with one message, where they contradict
 * each other; MEMORY.  s->credentials must be there: region and endpoint may
 * come from the environment or a profile.  Makes no request.
 */
int32_t settings_apply(struct s3_store *s,
                       const struct persist_backend_config *config,
                       struct persist_backend_error *err);
/* The part that does not need credentials: copies and checks of options. */
int32_t settings_copy(struct s3_settings *set,
                      const struct persist_backend_config *config,
                      struct persist_backend_error *err);
void settings_finish(struct s3_settings *set);
/* Whether the user gave the option. */
bool settings_given(const struct persist_backend_config *config,
                    enum s3_option option);

/* ---------------------------------------------------------------- endpoint.c
 */

struct endpoint_target {
    char url[S3_URL_CAP]; /* whole, with the query */
    char authority[URL_HOST_MAX + S3_BUCKET_MAX + 16]; /* for Host: */
    char path[4096];  /* encoded, as it is signed */
    char query[9000]; /* the same */
};

/* Where the bucket (key NULL) or the object `key`, without the store's prefix,
 * is reached in that region.  INVALID where it does not fit. */
int32_t endpoint_target(const struct s3_store *s, const char *region,
                        const char *key, const struct sign_pair *pairs,
                        size_t n_pairs, struct endpoint_target *out,
                        struct persist_backend_error *err);
/* Host and port without the bucket, for a person. */
void endpoint_name(const struct s3_store *s, struct fixed *out);
void endpoint_region(struct s3_store *s, char out[S3_REGION_CAP]);
/* Takes over a region a server named.  False where it is none, or the one that
 * was used. */
bool endpoint_learn_region(struct s3_store *s, const char *used,
                           const char *named);
bool endpoint_is_tls(const struct s3_store *s);

/* ----------------------------------------------------------------- request.c
 */

#define REQUEST_PAIRS 8
#define REQUEST_HEADERS 20

/* One request; zero it, then fill in.  All is borrowed. */
struct request {
    const char *method;
    const char *key; /* without the store's prefix; NULL: the bucket */
    struct sign_pair query[REQUEST_PAIRS];
    size_t n_query;
    struct sign_header headers[REQUEST_HEADERS]; /* signed; lower case */
    size_t n_headers;
    const void *body;
    uint64_t body_len;
    bool is_data;   /* the body is object data: sign_payload decides */
    bool sign_data; /* is_data, and its SHA-256 is wanted in any case */
    bool writes;    /* as in http_request */
    bool expect_continue;
    bool no_stall_limit;
    uint32_t timeout_ms; /* 0: the call's deadline alone */
    void *into;
    uint64_t into_cap;
    size_t body_max;
};

/* The time as the service has it. */
int64_t store_now_us(const struct s3_store *s);

void request_pair(struct request *r, const char *name, const char *value);
void request_header(struct request *r, const char *name, const char *value);

/*
 * Sends it, signed, and once more where the reply corrects the region, the
 * clock or an expired token.  OK: response has a status, whichever; the caller
 * finishes response in any case.  Codes of http_perform and of
 * s3_credentials_get.
 */
int32_t request_send(struct s3_store *s,
                     const struct persist_backend_call *call,
                     const struct request *r, struct http_response *response,
                     struct persist_backend_error *err);

/* ------------------------------------------------------------------ answer.c
 */

/* What an error reply says of itself; "" where it does not. */
struct answer {
    char code[64];
    char message[256];
    char region[S3_REGION_CAP];
    bool is_s3; /* the body is an S3 error document */
};

/* Reads the body of a reply, whatever its status. */
void answer_read(const struct http_response *response, struct answer *out);
/* The code for a status and S3's word; word "" where there is none. */
int32_t answer_code(int32_t status, const char *word, bool had_body);
/*
 * Fills err for a reply that is no success and returns its code.  `what` is the
 * op in words ("write"), `action` the IAM action it needs.  A 404 is NOT_FOUND
 * only where it is known to be the object's; a redirect that is not S3's own is
 * CONFIG.
 */
int32_t answer_fail(struct s3_store *s, const struct http_response *response,
                    const char *what, const char *key, const char *action,
                    struct persist_backend_error *err);
/* The same for an <Error> document inside a success; response has it. */
int32_t answer_fail_inside(struct s3_store *s,
                           const struct http_response *response,
                           const char *what, const char *key,
                           struct persist_backend_error *err);
/* A reply that breaks the protocol: IO, or CORRUPT, or UNCERTAIN.  CONFIG in
 * place of TRANSIENT where answer_is_elsewhere; later such a page is a bad
 * minute of what stands in front. */
int32_t answer_odd(struct s3_store *s, const struct http_response *response,
                   int32_t code, const char *what, const char *key,
                   const char *why, struct persist_backend_error *err);
/* What answer_is_page found. */
int32_t answer_page(struct s3_store *s, const struct http_response *response,
                    const char *what, const char *key,
                    struct persist_backend_error *err);
/*
 * What became of a DELETE.  OK: 204, or somebody's 200, without a body; a page
 * that stands for everything has deleted nothing.  As answer_fail otherwise.
 */
int32_t answer_deleted(struct s3_store *s, const struct http_response *response,
                       const char *what, const char *key, const char *action,
                       struct persist_backend_error *err);
/* The reply's ETag as it stands; false where there is none that can be kept. */
bool answer_etag(const struct http_response *response,
                 char out[PERSIST_BACKEND_ETAG_MAX]);
/* Whether a 200 is S3's to bytes that were sent: an ETag and no body.  Pages,
 * of a login say, have ETags too. */
bool answer_stored(const struct http_response *response,
                   char out_etag[PERSIST_BACKEND_ETAG_MAX]);
/* Whether a 200 or 206 calls itself a page of the web and not one of S3's: what
 * was looked at or read is no object. */
bool answer_is_page(const struct http_response *response);
/* The same of the first answer the store ever had: the endpoint is another's,
 * and what it was asked to do was surely not done. */
bool answer_is_elsewhere(struct s3_store *s,
                         const struct http_response *response);
#define ANSWER_NOT_STORED                                                      \
    "the answer is not S3's: it has no ETag, or a body (check the endpoint)"
/*
 * Whether the bucket is there, asked where a bodyless 404 does not say: OK, or
 * CONFIG.  Not being allowed to ask counts as yes. One request per store.
 */
int32_t answer_bucket(struct s3_store *s,
                      const struct persist_backend_call *call,
                      struct persist_backend_error *err);

/* ---------------------------------------------------------------- checksum.c
 */

/* Texts of the checksum headers of one request; keep it until it is sent. */
struct checksum {
    char crc[9];  /* base64 */
    char md5[25]; /* base64 */
};

/* Adds what `level` asks for to a request with a body. */
int32_t checksum_add(struct checksum *c, struct request *r,
                     enum s3_checksum level, uint32_t crc,
                     struct persist_backend_error *err);
/* What to try first: put or upload. */
enum s3_checksum checksum_level(const struct s3_store *s, bool upload);
/* Whether the reply may mean that a checksum header is not known, and what to
 * try then. */
bool checksum_refused(const struct s3_store *s,
                      const struct http_response *response,
                      enum s3_checksum used, bool upload,
                      enum s3_checksum *out_next);
/* The next level worked where a better one was refused. */
void checksum_learn(struct s3_store *s, bool upload, enum s3_checksum level);
/* A checksum header of the reply that is not `crc`. */
bool checksum_differs(const struct http_response *response, uint32_t crc);

/* --------------------------------------------------------------------- key.c
 */

int32_t key_check(const struct s3_store *s, const char *key,
                  struct persist_backend_error *err);
/* A prefix of keys: may end in the middle of a name. */
int32_t key_check_prefix(const char *prefix, struct persist_backend_error *err);
/* Whether a server's text can be a key, or a folder that ends in "/". */
bool key_is_ours(const char *key, bool folder);

/* --------------------------------------------------------------------- put.c
 */

/* Headers of a new object: encryption, class, tags, lock.  The texts live in
 * *a. */
struct attributes {
    char lock_until[24];
};
void attributes_add(const struct s3_store *s, struct attributes *a,
                    struct request *r);

/* ------------------------------------------------------------------ upload.c
 */

#define UPLOAD_PREFIX_LEN 2 /* "w.", "p.", "m.", "s.", "u.", "x." */
/* The service's id and the checksums it was begun with; x: not known. */
int32_t upload_split(const char *upload_id, const char **out_id,
                     enum s3_checksum *out_level,
                     struct persist_backend_error *err);
/* ----------------------------------------------------------------- uploads.c
 */

/*
 * Before a second attempt to begin an upload: aborts what a first one, whose
 * answer was lost, may have left.  Those are the uploads of exactly this key
 * that were begun within the last hour; a key has one writer (its claim's
 * owner).  Failures are passed over: cleanup finds what stays.
 */
void uploads_abort_strays(struct s3_store *s,
                          const struct persist_backend_call *call,
                          const char *key);

/* One abort request for the service's own id. */
int32_t upload_abort_one(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const char *key, const char *id,
                         struct persist_backend_error *err);

/* -------------------------------------------------------------------- page.c
 */

struct page_entry {
    size_t name;     /* where it stands in the page's names */
    const char *key; /* the same, without the store's prefix */
    uint64_t size;
    int64_t modified_us;
    bool is_folder;
    bool has_name;
    bool has_size;
    bool has_modified;
};

/* One reply of ListObjectsV2, sorted.  Zero it; page_finish frees. */
struct page {
    const char *store_prefix;
    const char *prefix;
    const char *start_after;
    struct text names; /* each with its NUL */
    struct page_entry *entries;
    size_t n, cap;
    bool truncated;
    bool encoded; /* EncodingType url */
    bool had_root;
    bool token_bad; /* too long to be kept */
    char token[4096];
    /* The entry being read. */
    struct page_entry next;
    bool failed; /* no memory */
};
/* Reads a body into it: OK, MEMORY, or IO where it is not a whole listing. */
int32_t page_read(struct page *p, const char *body, size_t len);
void page_finish(struct page *p);
/* Decodes %XX and "+" in place; false where it is malformed or has a NUL. */
bool page_decode(char *s);

/* ----------------------------------------------------------------------- ops
 */

int32_t s3_put(void *store, const struct persist_backend_call *call,
               const struct persist_backend_put_args *args,
               struct persist_backend_put_result *result,
               struct persist_backend_error *err);
int32_t s3_upload_begin(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_begin_args *args,
                        struct persist_backend_begin_result *result,
                        struct persist_backend_error *err);
int32_t s3_upload_part(void *store, const struct persist_backend_call *call,
                       const struct persist_backend_part_args *args,
                       struct persist_backend_part_result *result,
                       struct persist_backend_error *err);
int32_t s3_upload_commit(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_commit_args *args,
                         struct persist_backend_commit_result *result,
                         struct persist_backend_error *err);
int32_t s3_upload_abort(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_abort_args *args,
                        struct persist_backend_error *err);
int32_t s3_read(void *store, const struct persist_backend_call *call,
                const struct persist_backend_read_args *args,
                struct persist_backend_read_result *result,
                struct persist_backend_error *err);
int32_t s3_head(void *store, const struct persist_backend_call *call,
                const struct persist_backend_head_args *args,
                struct persist_backend_head_result *result,
                struct persist_backend_error *err);
int32_t s3_delete(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_delete_args *args,
                  struct persist_backend_delete_result *result,
                  struct persist_backend_error *err);
int32_t s3_list(void *store, const struct persist_backend_call *call,
                const struct persist_backend_list_args *args,
                struct persist_backend_list_result *result,
                struct persist_backend_error *err);
int32_t s3_list_uploads(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_list_uploads_args *args,
                        struct persist_backend_list_uploads_result *result,
                        struct persist_backend_error *err);
int32_t s3_probe(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_probe_args *args,
                 struct persist_backend_probe_result *result,
                 struct persist_backend_error *err);

#endif
