/* SHA-256 as a stream (libcrypto behind it). */
#ifndef PERSIST_TRANSFER_SHA256_H
#define PERSIST_TRANSFER_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256;
struct sha256 *sha256_create(void); /* NULL: memory */
void sha256_destroy(struct sha256 *h);
int sha256_update(struct sha256 *h, const void *data, size_t len); /* 0 or
                                                          PERSIST_E_INTERNAL */
int sha256_final(struct sha256 *h, uint8_t out[32]);
void sha256_reset(struct sha256 *h);
#endif
