/*
 * The durable write: bytes become a file that is whole and on the medium, or is
 * not there (durability.md, "The local write").  Also deletes.
 *
 *     durable_begin(&w, dir_fd, modes)         an unnamed or temporary file
 *     durable_reserve(&w, upper_bound)         optional; ENOSPC comes early
 *     durable_write_at(&w, data, len, offset)  any order, several threads
 *     durable_publish(&w, "name", how, size)   ftruncate, fsync, link, close,
 *                                              fsync(dir)
 *     durable_discard(&w)                      always; after publish it only
 * frees
 *
 * libc only; every function returns 0 or -errno; DURABLE_NOT_SYNCED (a positive
 * number) from publish says: visible, the directory's sync failed.  After any
 * failed fsync the descriptor is never synced again.  No umask(), no chdir().
 */
#ifndef PERSIST_POSIX_DURABLE_H
#define PERSIST_POSIX_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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
    bool published;
    bool sync_failed;
    mode_t mode;
    char temp_name[48]; /* "" for O_TMPFILE */
    uint64_t reserved;  /* by fallocate */
};

/* replace: the file will be published with DURABLE_REPLACE (an O_TMPFILE file
 * cannot). */
int durable_begin(struct durable_write *w, int dir_fd, mode_t mode,
                  bool replace);
int durable_reserve(struct durable_write *w, uint64_t size);
int durable_write_at(struct durable_write *w, const void *data, size_t len,
                     uint64_t offset);
/* Makes it a file of exactly `size` bytes named `name` in dir_fd. */
int durable_publish(struct durable_write *w, const char *name,
                    enum durable_how how, uint64_t size);
void durable_discard(struct durable_write *w);

/* unlinkat + fsync(dir): 0, -ENOENT (the directory is synced all the same),
 * -errno, or DURABLE_NOT_SYNCED. */
int durable_unlink(int dir_fd, const char *name);

/* fsync of a directory; -errno. */
int durable_sync_dir(int dir_fd);

/* Removes a leftover temporary of a write that died: an own-prefix regular file
 * whose flock can be taken. 0, -EBUSY (in use), -errno. */
int durable_remove_temp(int dir_fd, const char *name);

#endif
