/* SHA-256 as a stream (libcrypto behind it), and what can be had beside it. */
#ifndef PERSIST_TRANSFER_SHA256_H
#define PERSIST_TRANSFER_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "util/xxh64.h"

struct sha256;
struct sha256 *sha256_create(void); /* NULL: memory */
void sha256_destroy(struct sha256 *h);
int sha256_update(struct sha256 *h, const void *data, size_t len); /* 0 or
                                                          PERSIST_E_INTERNAL */
/* The same of the struct sha256 h (a zstd_raw_sum_fn), and over the same bytes
 * these two go on; out: where they are copied to, NULL nowhere.  A step of
 * SHA-256 waits for the one before it; where the processor has instructions for
 * it all the rest is done meanwhile, and takes as long as SHA-256 alone
 * (sha256_x86.c). */
int sha256_update_beside(void *h, struct xxh64 *xxh, uint32_t *crc32c,
                         const void *data, size_t len, void *out);
/* What is hashed behind a mark may be taken back. */
void sha256_mark(struct sha256 *h);
void sha256_back(struct sha256 *h);
int sha256_final(struct sha256 *h, uint8_t out[32]);
void sha256_reset(struct sha256 *h);
#endif
