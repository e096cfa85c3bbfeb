/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XXH64 with seed 0 (the xxHash specification, version 0.1.1): what zstd frames
 * carry the low 32 bits of.  libzstd has it, but not in its stable API.
 */
#ifndef PERSIST_UTIL_XXH64_H
#define PERSIST_UTIL_XXH64_H

#include <stddef.h>
#include <stdint.h>

struct xxh64 {
    uint64_t lanes[4];
    uint64_t len; /* bytes so far */
    uint8_t rest[32];
};

void xxh64_init(struct xxh64 *x);
void xxh64_update(struct xxh64 *x, const void *data, size_t len);
/* Of all bytes so far; more may follow. */
uint64_t xxh64_digest(const struct xxh64 *x);

#endif
