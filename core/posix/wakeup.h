/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that say "look": readable from wakeup_raise to wakeup_clear, for
 * poll, epoll and kqueue.  An eventfd where there is one, else a pipe.
 */
#ifndef PERSIST_POSIX_WAKEUP_H
#define PERSIST_POSIX_WAKEUP_H

/* -1, -1: none */
struct wakeup {
    int fd_read;
    int fd_write; /* may be the same */
};

/* Close-on-exec, non-blocking. 0 or -errno. */
int wakeup_open(struct wakeup *w);
/* Async-signal-safe; errno may change. Raised twice is raised. */
void wakeup_raise(const struct wakeup *w);
void wakeup_clear(const struct wakeup *w);
void wakeup_close(struct wakeup *w);

/* A new descriptor that is readable while one of two is; the two stay the
 * caller's and outlive it. The descriptor or -errno. */
int wakeup_either(int fd, int other_fd);

#endif
