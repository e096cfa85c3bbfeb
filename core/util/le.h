/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers in byte arrays, on any machine. */
#ifndef PERSIST_UTIL_LE_H
#define PERSIST_UTIL_LE_H

#include <stdint.h>

static inline void le_put16(void *out, uint16_t v)
{
    uint8_t *p = out;
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void le_put32(void *out, uint32_t v)
{
    le_put16(out, (uint16_t)v);
    le_put16((uint8_t *)out + 2, (uint16_t)(v >> 16));
}

static inline void le_put64(void *out, uint64_t v)
{
    le_put32(out, (uint32_t)v);
    le_put32((uint8_t *)out + 4, (uint32_t)(v >> 32));
}

static inline uint16_t le_get16(const void *in)
{
    const uint8_t *p = in;
    return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t le_get32(const void *in)
{
    const uint8_t *p = in;
    return (uint32_t)le_get16(p) | ((uint32_t)le_get16(p + 2) << 16);
}

static inline uint64_t le_get64(const void *in)
{
    const uint8_t *p = in;
    return (uint64_t)le_get32(p) | ((uint64_t)le_get32(p + 4) << 32);
}

#endif
