/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes of a large file that pass the page cache by.
 *
 *     direct_open(&d, fd, size)                   beside a file being written
 *     direct_write(&d, data, len, offset, &done)  any order, several threads
 *     direct_close(&d)
 *
 * The kernel then copies nothing and nothing is dirty afterwards: what is left
 * to the file's sync is the device's own cache, what was in the page cache
 * stays there, and giving the file up waits for no write-back.  It goes for
 * whole pages at offsets, and from memory, as the file system says (statx,
 * Linux 6.1); whatever does not fit, and everything where the file system
 * says nothing, is left to the caller to write as usual.
 *
 * A page is written in one of the two ways only, because the kernel keeps cache
 * and device apart no finer than that.
 *
 * Every function returns 0 or -errno.  It decides about speed only: the bytes
 * still need the file's fsync.
 */
#ifndef PERSIST_POSIX_DIRECT_H
#define PERSIST_POSIX_DIRECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct direct_file {
    int fd;              /* -1: nothing goes directly */
    size_t memory_align; /* bytes, powers of two */
    size_t offset_align;
    atomic_bool refused; /* the file system has changed its mind */
};

/* fd: an open regular file, which stays the caller's.  size: bytes it is
 * expected to get, 0 where nobody knows; it is made as long at once, because
 * writes that lengthen a file go one by one.  Never fails: fd -1 is an answer.
 */
void direct_open(struct direct_file *d, int fd, uint64_t size);
/* Writes as many of the first bytes as can go directly; *out_done may be 0. */
int direct_write(struct direct_file *d, const void *data, size_t len,
                 uint64_t offset, size_t *out_done);
/* One that was never opened must have fd -1. */
void direct_close(struct direct_file *d);

/* Memory for what may be written so, by malloc's rules and for free(): aligned
 * for every file system known where it is more than a few pages.  Huge pages
 * are not asked for (docs/decisions.md). */
void *direct_alloc(size_t len);

#endif
