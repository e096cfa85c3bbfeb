/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of this room and of plugins/local that can fail in an
 * interesting way, in one table.  Internal: only core/posix, plugins/local and
 * their tests include it.  The library always runs on posix_io_libc; tests
 * point posix_io at a copy that fails the n-th call of a kind, writes short,
 * or pretends that a kernel or file system lacks something.
 *
 * Members behave as the call of that name: -1 and errno.  Variadic ones have
 * their last parameter always; openat2 takes the resolve flags directly; fsync
 * gets to the medium.  What a system lacks answers ENOSYS there: io_linux.c,
 * io_darwin.c and, with nothing but POSIX, io_portable.c.
 */
#ifndef PERSIST_POSIX_IO_H
#define PERSIST_POSIX_IO_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Flags of Linux that this room and plugins/local write.  Elsewhere they have
 * the nearest meaning, or are of calls that answer ENOSYS there.
 */
#if defined(PERSIST_PORTABLE) || !defined(O_TMPFILE)
#define IO_UNNAMED 0 /* files get their name last: there are none */
#else
#define IO_UNNAMED O_TMPFILE
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1U
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#endif
#ifndef SYNC_FILE_RANGE_WRITE
#define SYNC_FILE_RANGE_WAIT_BEFORE 1U
#define SYNC_FILE_RANGE_WRITE 2U
#define SYNC_FILE_RANGE_WAIT_AFTER 4U
#endif

struct posix_io {
    int (*openat)(int dir_fd, const char *path, int flags, mode_t mode);
    int (*openat2)(int dir_fd, const char *path, uint64_t flags,
                   uint64_t resolve);
    int (*mkdirat)(int dir_fd, const char *path, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *out, size_t len);
    ssize_t (*write)(int fd, const void *data, size_t len);
    ssize_t (*pread)(int fd, void *out, size_t len, off_t offset);
    ssize_t (*pwrite)(int fd, const void *data, size_t len, off_t offset);
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*syncfs)(int fd);
    int (*sync_file_range)(int fd, off_t offset, off_t len, unsigned flags);
    int (*fallocate)(int fd, int mode, off_t offset, off_t len);
    int (*ftruncate)(int fd, off_t size);
    int (*fchmod)(int fd, mode_t mode);
    int (*fstat)(int fd, struct stat *out);
    int (*fstatat)(int dir_fd, const char *path, struct stat *out, int flags);
    int (*linkat)(int from_fd, const char *from, int to_fd, const char *to,
                  int flags);
    int (*renameat)(int from_fd, const char *from, int to_fd, const char *to);
    int (*renameat2)(int from_fd, const char *from, int to_fd, const char *to,
                     unsigned flags);
    int (*unlinkat)(int dir_fd, const char *path, int flags);
    int (*flock)(int fd, int operation);
    /* statx, of the alignment that O_DIRECT demands; ENOSYS, or EOPNOTSUPP
     * where the file system does not say or does not offer it. */
    int (*direct_align)(int fd, uint32_t *out_memory, uint32_t *out_offset);
    ssize_t (*getrandom)(void *out, size_t len, unsigned flags);
};

extern const struct posix_io posix_io_libc;
extern const struct posix_io *posix_io;

/* Whether syncfs(fd) stands for an fsync of every file of that file system: the
 * bytes are on the medium, and an error of their write-back is reported. */
bool posix_io_syncfs_reports(int fd);
/* Tests: -1 as kernel and file system say, 0 no, 1 yes. */
void posix_io_force_syncfs_reports(int answer);

#endif
