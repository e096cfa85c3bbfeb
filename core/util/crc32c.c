/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C.  Conventions: our crc is the finished one (inverted on the way in
 * and out), so that crc32c(crc32c(0, A), B) is the CRC of A||B; ISA-L's
 * crc32_iscsi inverts nothing and takes an int length.
 *
 * Polynomials over GF(2) are held bit-reflected: bit 31 is x^0.
 */
#include "util/crc32c.h"

#include <pthread.h>

#include "util/le.h"

#ifdef PERSIST_ISAL
#include <isa-l/crc.h>
#endif

#define POLY UINT32_C(0x82f63b78) /* 0x1edc6f41 reflected */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* table[k][b]: the CRC of byte b followed by k zero bytes. */
static void make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLY : 0);
        table[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            table[k][b] =
                (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    pthread_once(&table_once, make_table);
    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t low = crc ^ le_get32(p);
        uint32_t high = le_get32(p + 4);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
              table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
              table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
              table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; len > 0; p++, len--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return ~crc;
}

#ifdef PERSIST_ISAL
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    enum { CHUNK = 1 << 30 };
    /* ISA-L only reads; its prototype lacks the const. */
    unsigned char *p = (unsigned char *)data;

    for (; len > CHUNK; p += CHUNK, len -= CHUNK)
        crc = ~crc32_iscsi(p, CHUNK, ~crc);
    return len > 0 ? ~crc32_iscsi(p, (int)len, ~crc) : crc;
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}
#endif

/* a * b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b >> 1) ^ (b & 1 ? POLY : 0); /* b * x */
    }
    return product;
}

/* zeros[k]: x^(8 * 2^k), what 2^k bytes behind a piece multiply its CRC by. */
static uint32_t zeros[64];
static pthread_once_t zeros_once = PTHREAD_ONCE_INIT;

static void make_zeros(void)
{
    zeros[0] = UINT32_C(1) << 23;
    for (int k = 1; k < 64; k++)
        zeros[k] = multiply(zeros[k - 1], zeros[k - 1]);
}

/* crc(A||B) = crc(A) * x^(8 |B|) + crc(B): the inversions cancel out. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    if (crc_a == 0) /* mostly because A is empty */
        return crc_b;
    pthread_once(&zeros_once, make_zeros);
    for (int k = 0; len_b; len_b >>= 1, k++)
        if (len_b & 1)
            crc_a = multiply(crc_a, zeros[k]);
    return crc_a ^ crc_b;
}
