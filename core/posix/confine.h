/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking paths below a directory without ever leaving it: openat2 with
 * RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS, or component
 * by component with O_NOFOLLOW where the kernel or a sandbox has no openat2
 * (durability.md, step 2).  Paths are relative, components separated by single
 * slashes; "", ".", ".." are refused with -EINVAL.  libc only; 0 or -errno.
 * Thread-safe.
 */
#ifndef PERSIST_POSIX_CONFINE_H
#define PERSIST_POSIX_CONFINE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A directory below root_fd ("": root_fd itself, opened anew). -ELOOP or -EXDEV
 * or -ENOTDIR where a component is a symbolic link or no directory. The
 * descriptor can be read, synced and linked into. */
int confine_open_dir(int root_fd, const char *path, int *out_fd);

/* What fstat says of it, for who only wants to know whether it is still the one
 * he has. */
int confine_stat_dir(int root_fd, const char *path, struct stat *out);

/* The same, creating what is missing with `mode` and syncing every parent, also
 * on EEXIST: another process may just have created it. A folder that vanishes
 * meanwhile is walked again. A folder whose parent cannot be synced is taken
 * away again where this call made it: the next attempt starts clean. */
int confine_make_dir(int root_fd, const char *path, mode_t mode, int *out_fd);

/* A regular file for reading; never blocks on a FIFO (-EINVAL for what is not
 * a regular file, -EISDIR for a directory). */
int confine_open_file(int root_fd, const char *path, int *out_fd);

/* What stands in the way where one of the above said -ELOOP, -EXDEV, -ENOTDIR:
 * the st_mode of the first component of path that is not a directory, 0 where
 * every component is one (or is gone by now). For messages; the walk does not
 * rely on it. */
mode_t confine_obstacle(int root_fd, const char *path);

/* Whether openat2 is in use. */
bool confine_uses_openat2(void);

/* Tests: behave as on a kernel without openat2. */
void confine_force_fallback(bool on);

#endif
