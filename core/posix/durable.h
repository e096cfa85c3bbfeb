/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable write: bytes become a file that is whole and on the medium, or is
 * not there (durability.md, "The local write").  Also deletes.
 *
 *     durable_begin(&w, dir_fd, mode, replace) an unnamed or temporary file
 *     durable_reserve(&w, upper_bound)         optional; ENOSPC comes early
 *     durable_write_at(&w, data, len, offset)  any order, several threads
 *     durable_write_back(&w, offset, len, ..)  optional; several threads
 *     durable_flush(&w)                        the same
 *     durable_publish(&w, "name", how, size)   ftruncate, fsync, link, close,
 *                                              fsync(dir)
 *     durable_discard(&w)                      always; after publish it only
 *                                              frees
 *
 * Many files at once take publish apart, so that they can share its syncs:
 *
 *     durable_settle(&w, size)                 each; ftruncate, fchmod
 *     durable_sync(&w)                         each, or one syncfs for all and
 *     durable_mark_synced(&w)                  then this for each
 *     durable_link(&w, "name", how)            each; link, close
 *     durable_sync_dir(dir_fd)                 once per directory
 *
 * libc only; every function returns 0 or -errno; DURABLE_NOT_SYNCED (a positive
 * number) from publish says: visible, the directory's sync failed.  After any
 * failed fsync the descriptor is never synced again.  No umask(), no chdir().
 * One write is one thread's business, but for the calls marked above;
 * different writes are independent.
 */
#ifndef PERSIST_POSIX_DURABLE_H
#define PERSIST_POSIX_DURABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define DURABLE_TEMP_PREFIX ".persist-tmp."
#define DURABLE_NOT_SYNCED 1

enum durable_how {
    DURABLE_IF_ABSENT, /* -EEXIST where the name is taken */
    DURABLE_REPLACE    /* atomically */
};

struct durable_write {
    int dir_fd;   /* borrowed: outlives the write */
    int fd;       /* -1: none */
    bool unnamed; /* O_TMPFILE */
    bool synced;  /* its bytes are on the medium */
    bool published;
    atomic_bool sync_failed; /* a write-back error has been seen: never again */
    int dir_errno;           /* why publish said DURABLE_NOT_SYNCED */
    mode_t mode;
    char temp_name[48]; /* "" for O_TMPFILE */
    uint64_t reserved;  /* by fallocate */
    struct stat st;     /* as settled: inode, size, modification time */
};

/* replace: the file will be published with DURABLE_REPLACE (an O_TMPFILE file
 * cannot be renamed over another; where the guess is wrong, publish finds a
 * way).  On failure nothing is left and discard is allowed. */
int durable_begin(struct durable_write *w, int dir_fd, mode_t mode,
                  bool replace);
/* Space for `size` bytes, the file staying as long as it is.  OK also where the
 * file system cannot. */
int durable_reserve(struct durable_write *w, uint64_t size);
int durable_write_at(struct durable_write *w, const void *data, size_t len,
                     uint64_t offset);
/* Starts write-back of a range, and with `wait` also waits for it, so that few
 * bytes are dirty when the sync comes.  An error seen here is one that fsync
 * will not report again: it fails the write for good. */
int durable_write_back(struct durable_write *w, uint64_t offset, uint64_t len,
                       bool wait);
/* What has been written so far is on the medium, so that little is left to the
 * sync at the end; beside writers, on a thread of its own.  As with
 * durable_write_back, an error fails the write for good.  Not once it settles.
 */
int durable_flush(struct durable_write *w);
/* Makes it a file of exactly `size` bytes named `name` in dir_fd. After
 * -EEXIST it may be published under another name; after other failures only
 * discard is left. */
int durable_publish(struct durable_write *w, const char *name,
                    enum durable_how how, uint64_t size);
void durable_discard(struct durable_write *w);

int durable_settle(struct durable_write *w, uint64_t size);
int durable_sync(struct durable_write *w);
void durable_mark_synced(struct durable_write *w);
/* Visible on 0 and on DURABLE_NOT_SYNCED (close reported a lost write). */
int durable_link(struct durable_write *w, const char *name,
                 enum durable_how how);

/* unlinkat + fsync(dir): 0, -ENOENT (the directory is synced all the same),
 * -errno, or DURABLE_NOT_SYNCED. */
int durable_unlink(int dir_fd, const char *name);

/* fsync of a directory; -errno. */
int durable_sync_dir(int dir_fd);

/* Removes a leftover temporary of a write that died: an own-prefix regular file
 * whose flock can be taken. 0, -EBUSY (in use), -EINVAL (not one of ours),
 * -errno. */
int durable_remove_temp(int dir_fd, const char *name);

/* Tests: forget what has been learnt about this machine. */
void durable_forget(void);

#endif
