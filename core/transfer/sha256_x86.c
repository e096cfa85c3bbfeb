/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, XXH64 and CRC-32C at once, on x86-64 with SHA extensions.
 *
 * A block is 64 rounds in 32 instructions each of which needs the one before
 * it, four cycles long: 128 of the 140 cycles that a block takes, in which the
 * processor could do five times as much.  XXH64 multiplies 16 times and
 * CRC-32C takes eight instructions for the same block, on other units, so that
 * both are done by then: 1 GiB takes 0.68 s with and without them, and 0.13 s
 * longer where they come one after the other, however short the pieces (AMD
 * Zen 3).  It has to be one loop for that; hence SHA-256 here, which otherwise
 * is libcrypto's.
 *
 * To store what was loaded is free in the same way: a copy of the bytes costs
 * nothing beside it.
 *
 * Intel's description of the instructions has the order of the words: the
 * state is ABEF and CDGH, and four rounds take four words of the message.
 */
#include "transfer/sha256_sums.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/le.h"
#include "util/xxh64.h"

#define BLOCK 64

/* FIPS 180-4, 4.2.2 */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static bool ask_processor(void)
{
    const unsigned ssse3_and_41_and_42 = 1u << 9 | 1u << 19 | 1u << 20;
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) ||
        (c & ssse3_and_41_and_42) != ssse3_and_41_and_42)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29) != 0;
}

/* Asking is slow on a virtual machine. */
static bool can(void)
{
    static atomic_int known; /* 1: no; 2: yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);

    if (!answer) {
        answer = 1 + ask_processor();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

#define WITH_SHA __attribute__((target("sha,sse4.2")))

/* The words of a message are big-endian.  out: where the bytes go as they are.
 */
WITH_SHA static inline __m128i load_words(const uint8_t *p, uint8_t *out)
{
    const __m128i turn =
        _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);

    if (out)
        _mm_storeu_si128((__m128i *)out, bytes);
    return _mm_shuffle_epi8(bytes, turn);
}

/* The four words 16 behind w[i], in their place. */
WITH_SHA static inline void schedule(__m128i w[4], size_t i)
{
    __m128i last = w[(i + 3) & 3];
    __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);

    next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
    w[i & 3] = _mm_sha256msg2_epu32(next, last);
}

WITH_SHA static inline void stripe(uint64_t x[4], const uint8_t *p)
{
    for (size_t i = 0; i < 4; i++)
        x[i] = xxh64_round(x[i], le_get64(p + 8 * i));
}

struct halves {
    __m128i abef;
    __m128i cdgh;
};

WITH_SHA static inline struct halves split(const uint32_t state[8])
{
    __m128i abcd = _mm_loadu_si128((const __m128i *)state);
    __m128i efgh = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(abcd, 0xB1);
    __m128i hgfe = _mm_shuffle_epi32(efgh, 0x1B);

    return (struct halves){_mm_alignr_epi8(cdab, hgfe, 8),
                           _mm_blend_epi16(hgfe, cdab, 0xF0)};
}

WITH_SHA static inline void join(struct halves s, uint32_t state[8])
{
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(s.cdgh, 0xB1);

    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* One block; the other sums are spread over it, as they would not start before
 * its end else. */
WITH_SHA static inline struct halves block(struct halves s, uint64_t x[4],
                                           uint64_t *crc, const uint8_t *p,
                                           uint8_t *out)
{
    const struct halves before = s;
    __m128i w[4];

    for (size_t i = 0; i < 4; i++)
        w[i] = load_words(p + 16 * i, out ? out + 16 * i : NULL);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
        __m128i m = _mm_add_epi32(
            w[i & 3], _mm_loadu_si128((const __m128i *)(k + 4 * i)));

        s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, m);
        if (i < 12)
            schedule(w, i);
        s.abef =
            _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(m, 0x0E));
        if (i % 8 == 0)
            stripe(x, p + 4 * i);
        if (i % 2 == 0)
            *crc = _mm_crc32_u64(*crc, le_get64(p + 4 * i));
    }
    s.abef = _mm_add_epi32(s.abef, before.abef);
    s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
    return s;
}

WITH_SHA static void blocks(uint32_t state[8], uint64_t lanes[4],
                            uint32_t *crc32c, const uint8_t *p, size_t n,
                            uint8_t *out)
{
    uint64_t x[4] = {lanes[0], lanes[1], lanes[2], lanes[3]};
    uint64_t crc = ~*crc32c & UINT32_MAX;
    struct halves s = split(state);

    for (; n > 0; n--, p += BLOCK) {
        s = block(s, x, &crc, p, out);
        out = out ? out + BLOCK : NULL;
    }
    join(s, state);
    for (size_t i = 0; i < 4; i++)
        lanes[i] = x[i];
    *crc32c = ~(uint32_t)crc;
}

size_t sha256_sums(uint32_t state[8], uint64_t lanes[4], uint32_t *crc,
                   const uint8_t *p, size_t n_blocks, uint8_t *out)
{
    if (!can())
        return 0;
    blocks(state, lanes, crc, p, n_blocks, out);
    return n_blocks;
}

#else

size_t sha256_sums(uint32_t state[8], uint64_t lanes[4], uint32_t *crc,
                   const uint8_t *p, size_t n_blocks, uint8_t *out)
{
    (void)state;
    (void)lanes;
    (void)crc;
    (void)p;
    (void)n_blocks;
    (void)out;
    return 0;
}

#endif
