/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three sums in one loop over whole blocks; for sha256.c, which does what is
 * left one sum after the other.
 */
#ifndef PERSIST_TRANSFER_SHA256_SUMS_H
#define PERSIST_TRANSFER_SHA256_SUMS_H

#include <stddef.h>
#include <stdint.h>

/* Up to n_blocks of 64 bytes at p: how many were taken (all, or none where this
 * processor cannot).  state: SHA-256's eight words; lanes: XXH64's, between
 * stripes; *crc: CRC-32C as of crc32c.h; out: where their bytes are copied to,
 * NULL nowhere. */
size_t sha256_sums(uint32_t state[8], uint64_t lanes[4], uint32_t *crc,
                   const uint8_t *p, size_t n_blocks, uint8_t *out);

#endif
