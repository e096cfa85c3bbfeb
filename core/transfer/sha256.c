/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 over libcrypto's EVP interface.
 *
 * The algorithm is fetched once per process: OpenSSL 3 otherwise looks it up
 * at every start, which costs more than hashing 4 KiB does.
 */
#include "transfer/sha256.h"

#include <openssl/evp.h>
#include <persist/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
    bool failed; /* of a reset, which cannot say so itself */
};

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm; /* for the life of the process */

static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void sha256_reset(struct sha256 *h)
{
    h->failed = EVP_DigestInit_ex2(h->ctx, algorithm, NULL) != 1;
}

struct sha256 *sha256_create(void)
{
    struct sha256 *h;

    if (pthread_once(&fetch_once, fetch) != 0 || !algorithm)
        return NULL;
    h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx) {
        free(h);
        return NULL;
    }
    sha256_reset(h);
    return h;
}

void sha256_destroy(struct sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

int sha256_update(struct sha256 *h, const void *data, size_t len)
{
    if (h->failed || EVP_DigestUpdate(h->ctx, data, len) != 1)
        return PERSIST_E_INTERNAL;
    return PERSIST_OK;
}

int sha256_final(struct sha256 *h, uint8_t out[32])
{
    unsigned int len = 0;

    if (h->failed || EVP_DigestFinal_ex(h->ctx, out, &len) != 1 || len != 32)
        return PERSIST_E_INTERNAL;
    return PERSIST_OK;
}
