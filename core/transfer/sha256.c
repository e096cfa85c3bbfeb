/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 by libcrypto's own functions rather than its EVP interface.
 *
 * The first EVP fetch of a process loads OpenSSL's configuration and builds
 * its provider tables: half of all instructions of a `persist save` of 4 KiB
 * (docs/decisions.md).  These functions run the same code on the data, are
 * marked deprecated since OpenSSL 3.0 for applications that want to choose
 * providers, and this is a checksum, not a choice of provider.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "transfer/sha256.h"

#include <openssl/sha.h>
#include <persist/error.h>
#include <stdlib.h>

struct sha256 {
    SHA256_CTX ctx;
};

void sha256_reset(struct sha256 *h)
{
    SHA256_Init(&h->ctx); /* cannot fail */
}

struct sha256 *sha256_create(void)
{
    struct sha256 *h = malloc(sizeof *h);

    if (h)
        sha256_reset(h);
    return h;
}

void sha256_destroy(struct sha256 *h)
{
    free(h);
}

int sha256_update(struct sha256 *h, const void *data, size_t len)
{
    return SHA256_Update(&h->ctx, data, len) == 1 ? PERSIST_OK
                                                  : PERSIST_E_INTERNAL;
}

int sha256_final(struct sha256 *h, uint8_t out[32])
{
    return SHA256_Final(out, &h->ctx) == 1 ? PERSIST_OK : PERSIST_E_INTERNAL;
}
