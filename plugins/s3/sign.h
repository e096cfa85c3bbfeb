/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 in the Authorization header.
 *
 *     struct sign_header headers[] = {
 *         {"host", "bucket.s3.eu-central-1.amazonaws.com"},
 *         {"x-amz-content-sha256", SIGN_UNSIGNED},
 *         {"x-amz-date", date}};          from sign_date
 *     struct sign_request r = {.method = "GET", .path = "/a%20b", ...};
 *     rc = sign_request(&signer, &r, authorization);
 *
 * The caller encodes path and query (fixed_encode, sign_query) and sends
 * exactly those; headers are put in order here.  Only what is sent may be in
 * `headers`, and nothing a proxy may alter: user-agent, expect, connection,
 * accept-encoding, transfer-encoding stay outside.
 *
 * The key derived from the secret is the same for a day, a region and a
 * service: the signer keeps the last one, so that a signature costs five short
 * hashes.  Time is the caller's: nothing here reads a clock.
 *
 * Source: "Authenticating Requests: Using the Authorization Header (AWS
 * Signature Version 4)", Amazon S3 API reference.
 */
#ifndef PERSIST_S3_SIGN_H
#define PERSIST_S3_SIGN_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

#define SIGN_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGN_EMPTY_SHA256                                                      \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define SIGN_DATE_CAP 17 /* "20130524T000000Z" and the NUL */
#define SIGN_SHA256_CAP 65
#define SIGN_MAX_HEADERS 40
#define SIGN_AUTHORIZATION_CAP 2048

/* Keeps one signing key, wiped by sign_finish.  Any thread may use it. */
struct sign_signer {
    pthread_mutex_t lock;
    uint8_t fingerprint[32]; /* lock; of what the key was derived from */
    uint8_t key[32];         /* lock; a secret */
};

/* 0, or -1 where there is no lock to be had. */
int sign_init(struct sign_signer *signer);
void sign_finish(struct sign_signer *signer);

struct sign_header {
    const char *name;  /* in lower case */
    const char *value; /* as sent; blanks around it and runs of blanks inside
                          are trimmed in the signature */
};

struct sign_request {
    const char *method;
    const char *path;  /* encoded; "/" at least */
    const char *query; /* as sign_query writes it; "" for none */
    const struct sign_header *headers; /* all that are to be signed */
    size_t n_headers;                  /* at most SIGN_MAX_HEADERS */
    const char *payload_sha256;        /* or SIGN_UNSIGNED */
    const char *date;                  /* what x-amz-date says */
    const char *region;
    const char *service; /* "s3", "sts" */
    const char *access_key_id;
    const char *secret_access_key;
};

/* The value of x-amz-date for a time in microseconds since 1970 (UTC). */
void sign_date(int64_t wall_us, char out[SIGN_DATE_CAP]);

/* Lower-case hexadecimal SHA-256 of len bytes. */
void sign_sha256(const void *data, size_t len, char out[SIGN_SHA256_CAP]);

struct sign_pair {
    const char *name;
    const char *value; /* "" for a parameter without one */
};

/* Adds the pairs, encoded and in the order SigV4 wants, as they stand both in
 * the URL and in the canonical request.  At most SIGN_MAX_HEADERS. */
void sign_query(struct fixed *out, const struct sign_pair *pairs, size_t n);

/*
 * Writes the value of the Authorization header.  0, or -1 where it does not fit
 * (an absurd access key or region) or there are too many headers.
 */
int sign_request(struct sign_signer *signer, const struct sign_request *r,
                 char out[SIGN_AUTHORIZATION_CAP]);

/* Adds "name;name": the names of the headers that are signed, for tests. */
void sign_header_names(struct fixed *out, const struct sign_request *r);
/* SHA-256 of the canonical request, for tests against published vectors. */
int sign_canonical_sha256(const struct sign_request *r,
                          char out[SIGN_SHA256_CAP]);

#endif
