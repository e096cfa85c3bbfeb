/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal: the members of the table in io.h that systems differ in.  -1 and
 * errno; ENOSYS: this system has no such call.
 */
#ifndef PERSIST_POSIX_IO_SYSTEM_H
#define PERSIST_POSIX_IO_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int io_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve);
int io_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags);
int io_fsync(int fd);
int io_fdatasync(int fd);
int io_syncfs(int fd);
int io_sync_file_range(int fd, off_t offset, off_t len, unsigned flags);
int io_fallocate(int fd, int mode, off_t offset, off_t len);
ssize_t io_getrandom(void *out, size_t len, unsigned flags);
int io_direct_align(int fd, uint32_t *out_memory, uint32_t *out_offset);

/* See posix_io_syncfs_reports. */
bool io_syncfs_reports(int fd);

#endif
