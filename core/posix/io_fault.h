/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: the table of system calls with faults.
 *
 *     io_fault_install();                       counts, and fails nothing
 *     io_fault_set(IO_FSYNC, 2, 1, EIO);        the second fsync from now fails
 *     ... io_fault_calls(IO_FSYNC) ...
 *     io_fault_remove();
 *
 * Also watches the rule no test should have to remember: a descriptor whose
 * fsync or write-back failed is not synced again (io_fault_resynced).
 * Thread-safe but for install, set and remove.
 */
#ifndef PERSIST_POSIX_IO_FAULT_H
#define PERSIST_POSIX_IO_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum io_kind {
    IO_OPENAT,
    IO_OPENAT2,
    IO_MKDIRAT,
    IO_CLOSE,
    IO_READ,
    IO_WRITE,
    IO_PREAD,
    IO_PWRITE,
    IO_FSYNC,
    IO_FDATASYNC,
    IO_SYNCFS,
    IO_SYNC_FILE_RANGE,
    IO_FALLOCATE,
    IO_FTRUNCATE,
    IO_FCHMOD,
    IO_FSTAT,
    IO_FSTATAT,
    IO_LINKAT,
    IO_RENAMEAT,
    IO_RENAMEAT2,
    IO_UNLINKAT,
    IO_FLOCK,
    IO_GETRANDOM,
    IO_DIRECT_ALIGN,
    IO_KINDS
};

#define IO_FAULT_FOREVER 0x7fffffffU

void io_fault_install(void);
void io_fault_remove(void);
/* The nth call of the kind from now on (from 1) and the n - 1 after it fail
 * with err. One fault per kind; nth 0 takes it away.  A call that fails has no
 * effect, but close, which always closes. */
void io_fault_set(enum io_kind kind, unsigned nth, unsigned n, int err);
/* The same, but the call takes effect before it fails: a lost answer. */
void io_fault_set_lost(enum io_kind kind, unsigned nth, unsigned n, int err);
void io_fault_clear(void); /* all faults, counts and limits */
/* Reads and writes move at most so many bytes; 0: no limit. */
void io_fault_short(size_t len);
unsigned io_fault_calls(enum io_kind kind);
unsigned io_fault_total(void); /* calls of all kinds */
unsigned io_fault_resynced(void);
/* Whether this system has no such call (IO_RENAMEAT2, IO_SYNCFS, IO_FALLOCATE),
 * with faults or without. */
bool io_fault_lacks(enum io_kind kind);
const char *io_fault_name(enum io_kind kind);
/* On the calling thread and for good, what os_write_now asks the system answers
 * this error, as that of other kernels, descriptors and sandboxes does.  False:
 * not to be had here. */
bool io_fault_write_now(int err);
/* Called before every call of the kind; NULL takes it away. */
void io_fault_before(enum io_kind kind, void (*hook)(void *ctx), void *ctx);

#endif
