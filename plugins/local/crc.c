/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRC-32C of a whole from those of its pieces, without the bytes.
 *
 * A CRC is linear over GF(2): appending one zero bit multiplies the register by
 * x modulo the polynomial, which is a 32 x 32 bit matrix.  Squaring it gives
 * the matrix for 2, 4, 8 ... zeros, so that any length takes 64 steps at the
 * most.  The checksum of "first, second" is that of "first, zeros" xor that of
 * second.  (Mark Adler's method in zlib's crc32_combine.)
 */
#include "local.h"

#define POLYNOMIAL 0x82f63b78u /* RFC 3720, reflected */

static uint32_t times(const uint32_t matrix[32], uint32_t vector)
{
    uint32_t sum = 0;

    for (int i = 0; vector != 0; i++, vector >>= 1)
        if ((vector & 1) != 0)
            sum ^= matrix[i];
    return sum;
}

static void square(uint32_t matrix[32])
{
    uint32_t squared[32];

    for (int i = 0; i < 32; i++)
        squared[i] = times(matrix, matrix[i]);
    for (int i = 0; i < 32; i++)
        matrix[i] = squared[i];
}

uint32_t crc_combine(uint32_t first, uint32_t second, uint64_t second_len)
{
    uint32_t zeros[32]; /* appends one zero bit; then 2, 4, 8: one byte ... */

    zeros[0] = POLYNOMIAL;
    for (int i = 1; i < 32; i++)
        zeros[i] = (uint32_t)1 << (i - 1);
    for (int i = 0; i < 3; i++)
        square(zeros);
    for (; second_len != 0; second_len >>= 1) {
        if ((second_len & 1) != 0)
            first = times(zeros, first);
        square(zeros);
    }
    return first ^ second;
}
