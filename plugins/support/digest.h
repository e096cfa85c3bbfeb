/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC-SHA-256 and SHA-1 of whole buffers, and CRC-32C of pieces. */
#ifndef PERSIST_SUPPORT_DIGEST_H
#define PERSIST_SUPPORT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA1_LEN 20
#define MD5_LEN 16

/* INTERNAL where libcrypto cannot (a build without the algorithm). */
int32_t digest_sha256(const void *data, size_t len, uint8_t out[SHA256_LEN]);
int32_t digest_hmac_sha256(const void *key, size_t key_len, const void *data,
                           size_t len, uint8_t out[SHA256_LEN]);
/* For names of cache files, nothing that must hold. */
int32_t digest_sha1(const void *data, size_t len, uint8_t out[SHA1_LEN]);
/* For Content-MD5, which some servers want. */
int32_t digest_md5(const void *data, size_t len, uint8_t out[MD5_LEN]);

/* The CRC-32C of two pieces, one behind the other, from theirs. */
uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_len);

#endif
