/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli, RFC 3720 B.4): ISA-L where the architecture has it, a
 * slicing-by-8 table otherwise; both give the same numbers.
 */
#ifndef PERSIST_UTIL_CRC32C_H
#define PERSIST_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to start) over len bytes. "123456789" gives 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* CRC of A||B from crc(A), crc(B) and the length of B in bytes. O(log len). */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

/* The table path, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
