/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests through libcrypto.  SHA-256 by its direct functions, as in the core:
 * the first EVP fetch costs a process five million instructions (see
 * docs/decisions.md, "Speed").  HMAC is built on them for the same reason: a
 * signature takes five.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "support/digest.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <persist/backend.h>
#include <string.h>

#include "support/secret.h"

#define BLOCK 64

static int32_t status(int ok)
{
    return ok == 1 ? PERSIST_BACKEND_OK : PERSIST_BACKEND_INTERNAL;
}

int32_t digest_sha256(const void *data, size_t len, uint8_t out[SHA256_LEN])
{
    SHA256_CTX c;

    return status(SHA256_Init(&c) == 1 && SHA256_Update(&c, data, len) == 1 &&
                  SHA256_Final(out, &c) == 1);
}

int32_t digest_sha1(const void *data, size_t len, uint8_t out[SHA1_LEN])
{
    SHA_CTX c;

    return status(SHA1_Init(&c) == 1 && SHA1_Update(&c, data, len) == 1 &&
                  SHA1_Final(out, &c) == 1);
}

int32_t digest_md5(const void *data, size_t len, uint8_t out[MD5_LEN])
{
    MD5_CTX c;

    return status(MD5_Init(&c) == 1 && MD5_Update(&c, data, len) == 1 &&
                  MD5_Final(out, &c) == 1);
}

/* H(pad xor key, data) */
static int keyed(const uint8_t key[BLOCK], uint8_t pad, const void *data,
                 size_t len, uint8_t out[SHA256_LEN])
{
    uint8_t block[BLOCK];
    SHA256_CTX c;
    int ok;

    for (size_t i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    ok = SHA256_Init(&c) == 1 && SHA256_Update(&c, block, BLOCK) == 1 &&
         SHA256_Update(&c, data, len) == 1 && SHA256_Final(out, &c) == 1;
    secret_wipe_bytes(block, sizeof(block));
    secret_wipe_bytes(&c, sizeof(c));
    return ok;
}

int32_t digest_hmac_sha256(const void *key, size_t key_len, const void *data,
                           size_t len, uint8_t out[SHA256_LEN])
{
    uint8_t block[BLOCK] = {0}, inner[SHA256_LEN];
    int32_t rc = PERSIST_BACKEND_OK;

    if (key_len > BLOCK)
        rc = digest_sha256(key, key_len, block);
    else if (key_len > 0)
        memcpy(block, key, key_len);
    if (rc == PERSIST_BACKEND_OK)
        rc = status(keyed(block, 0x36, data, len, inner) &&
                    keyed(block, 0x5c, inner, sizeof(inner), out));
    secret_wipe_bytes(block, sizeof(block));
    return rc;
}
