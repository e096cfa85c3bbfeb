/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XXH64 with seed 0 (the xxHash specification, version 0.1.1): what zstd frames
 * carry the low 32 bits of.  libzstd has it, but not in its stable API.
 */
#ifndef PERSIST_UTIL_XXH64_H
#define PERSIST_UTIL_XXH64_H

#include <stddef.h>
#include <stdint.h>

#define XXH64_STRIPE 32 /* bytes; a word of each goes into each lane */
#define XXH64_PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define XXH64_PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)

struct xxh64 {
    uint64_t lanes[4];
    uint64_t len; /* bytes so far */
    uint8_t rest[XXH64_STRIPE];
};

/* What a word does to its lane. */
static inline uint64_t xxh64_round(uint64_t lane, uint64_t word)
{
    lane += word * XXH64_PRIME_2;
    return (lane << 31 | lane >> 33) * XXH64_PRIME_1;
}

void xxh64_init(struct xxh64 *x);
void xxh64_update(struct xxh64 *x, const void *data, size_t len);
/* Of all bytes so far; more may follow. */
uint64_t xxh64_digest(const struct xxh64 *x);

#endif
