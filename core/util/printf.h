/* SPDX-License-Identifier: Apache-2.0 */
/* PRINTF_FORMAT(format, first): the compiler compares arguments with formats as
 * C99 has them; what mingw-w64 calls printf is Microsoft's. */
#ifndef PERSIST_UTIL_PRINTF_H
#define PERSIST_UTIL_PRINTF_H

#ifdef __MINGW32__
#define PRINTF_FORMAT(format, first)                                           \
    __attribute__((__format__(__gnu_printf__, format, first)))
#else
#define PRINTF_FORMAT(format, first)                                           \
    __attribute__((__format__(__printf__, format, first)))
#endif

#endif
