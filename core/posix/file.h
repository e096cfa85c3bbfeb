/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes: EINTR and short counts are dealt with. 0 or -errno.
 */
#ifndef PERSIST_POSIX_FILE_H
#define PERSIST_POSIX_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Up to len bytes; fewer only at the end. */
int file_read_at(int fd, void *out, size_t len, uint64_t offset,
                 size_t *out_len);
int file_read(int fd, void *out, size_t len, size_t *out_len); /* one read */
int file_write_all(int fd, const void *data, size_t len);
int file_write_all_at(int fd, const void *data, size_t len, uint64_t offset);

#endif
