/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every system has and each spells its own way.  One file per system does
 * it (os_linux.c, os_darwin.c) over what POSIX has for all (os_posix.c); files
 * and folders are io.h's.  The one header of this room that every room and
 * every plugin may include.
 *
 * Times are nanoseconds.  Functions that can fail return 0 or -errno, if not
 * said otherwise.  Thread-safe.
 */
#ifndef PERSIST_POSIX_OS_H
#define PERSIST_POSIX_OS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* -------------------------------------------------------------------- time */

/* Never steps, may stand still while the machine sleeps: for waits. */
uint64_t os_monotonic_ns(void);
/* The same, and counts sleep, where the system has such a clock. */
uint64_t os_boot_ns(void);
/* Names the run of the system that os_boot_ns counts in; "" where it has no
 * name. */
void os_boot_id(char *out, size_t cap);
/* poll() with nanoseconds: its result, -1 and errno. */
int os_poll(struct pollfd *fds, unsigned n, uint64_t timeout_ns);

/* ----------------------------------------------------------------- threads */

/* A condition whose waits end by os_monotonic_ns. 0 or an errno value, as
 * pthread_cond_init. */
int os_cond_init(pthread_cond_t *cond);
/* 0, ETIMEDOUT or another errno value, as pthread_cond_timedwait. */
int os_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                       uint64_t until_ns);
/*
 * Many who wait for one number to change, and are woken by one call, without a
 * lock for which they would queue up:
 *
 *     while (atomic_load(word) == seen)      atomic_store(word, other);
 *         os_park(word, seen, a_while);      os_unpark(word);
 *
 * os_park may return early; false: so many nanoseconds are over.
 */
bool os_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns);
void os_unpark(const atomic_uint *word);
/* What debuggers and ps call the calling thread; 15 bytes are kept. */
void os_name_thread(const char *name);

/* ------------------------------------------------------------------ secrets */

void os_wipe(void *memory, size_t len);
/* The system's generator, never less than asked for. */
int os_random(void *out, size_t len);
/* Keeps whole pages out of core dumps, as far as the system can. */
void os_hide_from_dumps(void *pages, size_t len);
/* No core dump of this process, and no debugger of the same user. */
void os_forbid_dumps(void);

/* ---------------------------------------------------------------- processes */

/* Whether the process has rights its caller has not: its environment is then
 * somebody else's. */
bool os_is_privileged(void);
/* How many forks lie between the process that first asked and this one; no
 * system call.  Forks that run no handlers (vfork, _Fork, clone) are not seen:
 * getpid is the answer that is always right. */
unsigned os_forks(void);
/* getenv, NULL in a privileged process. */
const char *os_getenv(const char *name);
char **os_environment(void);
/* For programs that are started: os_environment, and in a privileged process,
 * whose environment its caller wrote, nothing but a search path. */
char **os_child_environment(void);
/* The file mode creation mask, without changing it; false: not to be known. */
bool os_umask(mode_t *out);
/* A path that names the running program; NULL: not known. In buf. */
const char *os_program_path(char *buf, size_t cap);
/* A pipe whose ends are closed by exec. */
int os_pipe(int out_fds[2]);
/* A socket that is closed by exec; -errno. */
int os_socket(int family, int type, int protocol);
/* Close every descriptor from `first` on; async-signal-safe. */
void os_close_from(int first);
/* The same for a program that is spawned: call it after the other actions, and
 * with the descriptors above `first` opened close-on-exec all the same (a
 * system may lack the action). 0 or an errno value. */
int os_spawn_close_from(posix_spawn_file_actions_t *actions, int first);
/* What an errno value means, in English; never NULL. In scratch or static. */
const char *os_error_text(int error, char *scratch, size_t cap);

/* -------------------------------------------------------------------- files */

/* To walk through a directory, not to list it. */
#if !defined(PERSIST_PORTABLE) && defined(O_PATH)
#define OS_SEARCH O_PATH
#elif !defined(PERSIST_PORTABLE) && defined(O_SEARCH)
#define OS_SEARCH O_SEARCH
#else
#define OS_SEARCH O_RDONLY
#endif

struct timespec os_modified(const struct stat *st);

/* Makes a pipe hold a megabyte where the system lets, so that its two ends take
 * turns less often.  A pipe that holds more, and what is no pipe, stay as they
 * are. */
void os_widen_pipe(int fd);
/* writev() of up to OS_PIECES_MAX pieces that takes what there is room for and
 * does not wait, whatever the descriptor's flags: bytes, or -errno; -EAGAIN:
 * nothing fits; -ENOTSUP: not to be had for this descriptor. */
#define OS_PIECES_MAX 64
ssize_t os_write_now(int fd, const struct iovec *pieces, int n_pieces);

/* Bytes that were sent and that the peer has not acknowledged; 0 also where the
 * system does not tell. */
int os_socket_queued(int fd);

struct os_file_system {
    char name[32];    /* "ext4"; "type 0x1234" where the system has no name */
    bool remote;      /* as durable as somebody else says */
    bool volatile_;   /* gone after a restart */
    bool synthetic;   /* shows what the system knows; files cannot be made */
    bool syncs_whole; /* syncfs is an fsync of every file of it */
    uint64_t free_bytes; /* for the unprivileged */
};

int os_file_system(int fd, struct os_file_system *out);

#endif
