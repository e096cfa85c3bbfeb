/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 by libcrypto's own functions rather than its EVP interface.
 *
 * The first EVP fetch of a process loads OpenSSL's configuration and builds
 * its provider tables: half of all instructions of a `persist save` of 4 KiB
 * (docs/decisions.md).  These functions run the same code on the data, are
 * marked deprecated since OpenSSL 3.0 for applications that want to choose
 * providers, and this is a checksum, not a choice of provider.  The state is
 * theirs and stands in their header, so that the loop of three sums can go on
 * with it (sha256_x86.c) and they with what it leaves.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "transfer/sha256.h"

#include <openssl/sha.h>
#include <persist/error.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/sha256_sums.h"
#include "util/crc32c.h"

/* Read three times: the second and third time from the nearest cache. */
#define PIECE ((size_t)16 << 10)

struct sha256 {
    SHA256_CTX ctx;
    SHA256_CTX mark;
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

static void count(SHA256_CTX *ctx, uint64_t bytes)
{
    uint64_t bits = ((uint64_t)ctx->Nh << 32 | ctx->Nl) + (bytes << 3);

    ctx->Nl = (SHA_LONG)bits;
    ctx->Nh = (SHA_LONG)(bits >> 32);
}

/* As much of it as goes in one loop; bytes. */
static size_t at_once(SHA256_CTX *ctx, struct xxh64 *xxh, uint32_t *crc,
                      const uint8_t *p, size_t len, uint8_t *out)
{
    size_t n;

    if (ctx->num || xxh->len % XXH64_STRIPE)
        return 0;
    n = sha256_sums(ctx->h, xxh->lanes, crc, p, len / SHA256_CBLOCK, out) *
        SHA256_CBLOCK;
    count(ctx, n);
    xxh->len += n;
    return n;
}

int sha256_update_beside(void *sha256, struct xxh64 *xxh, uint32_t *crc,
                         const void *data, size_t len, void *out)
{
    struct sha256 *h = sha256;
    const uint8_t *p = data;
    uint8_t *to = out;
    size_t n = at_once(&h->ctx, xxh, crc, p, len, to);
    int rc = PERSIST_OK;

    while (rc == PERSIST_OK && len > n) {
        p += n;
        len -= n;
        to = to ? to + n : NULL;
        n = len < PIECE ? len : PIECE;
        if (to)
            memcpy(to, p, n);
        rc = sha256_update(h, p, n);
        xxh64_update(xxh, p, n);
        *crc = crc32c(*crc, p, n);
    }
    return rc;
}

void sha256_mark(struct sha256 *h)
{
    h->mark = h->ctx;
}

void sha256_back(struct sha256 *h)
{
    h->ctx = h->mark;
}

int sha256_final(struct sha256 *h, uint8_t out[32])
{
    return SHA256_Final(out, &h->ctx) == 1 ? PERSIST_OK : PERSIST_E_INTERNAL;
}
