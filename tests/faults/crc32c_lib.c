/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C for crc32c.py, independent of the code under test: by the instruction
 * for it where there is one, and by eight tables, eight bytes a step.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint32_t tables[8][256];

__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
        tables[0][i] = crc;
    }
    for (int t = 1; t < 8; t++)
        for (int i = 0; i < 256; i++)
            tables[t][i] =
                (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
}

#ifdef __x86_64__
#define HAVE_INSTRUCTION() __builtin_cpu_supports("sse4.2")

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t wide = crc;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    while (n-- > 0)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#else
#define HAVE_INSTRUCTION() 0
#define by_instruction(crc, p, n) (crc)
#endif

uint32_t test_crc32c(uint32_t crc, const unsigned char *p, size_t n);

uint32_t test_crc32c(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    if (HAVE_INSTRUCTION())
        return ~by_instruction(crc, p, n);
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 |
                              (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^
              tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
              tables[0][p[7]];
    }
    while (n-- > 0)
        crc = tables[0][(crc ^ *p++) & 255] ^ (crc >> 8);
    return ~crc;
}
