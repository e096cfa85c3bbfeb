/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRC-32C of a whole from those of its pieces.
 *
 * A checksum is a polynomial over GF(2), reduced modulo P.  Appending n bytes
 * multiplies what stands before them by x^(8n); so the whole is
 * first * x^(8n) + second.  The power is made by squaring, one multiplication a
 * bit of n.  Polynomials are reflected, as RFC 3720 has them: the highest bit
 * is the coefficient of x^0.
 */
#include "support/digest.h"

#define P UINT32_C(0x82f63b78)
#define ONE UINT32_C(0x80000000)        /* x^0 */
#define X_TO_THE_8 UINT32_C(0x00800000) /* one byte */

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b & 1) != 0 ? (b >> 1) ^ P : b >> 1; /* times x */
    }
    return product;
}

uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_len)
{
    uint32_t power = ONE, square = X_TO_THE_8;

    for (; second_len != 0; second_len >>= 1) {
        if ((second_len & 1) != 0)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return multiply(first, power) ^ second;
}
