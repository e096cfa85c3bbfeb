/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cancellation flag.  The flag is the truth; the descriptor only wakes who
 * sleeps, and nobody ever reads it empty.
 *
 * A child with a descriptor has to become readable for its ancestors' sake too.
 * It cannot be told by them (cancel_set runs in signal handlers and walks no
 * lists), so it watches them: its fd_read is an epoll instance over its own
 * eventfd and the parent's descriptor, and an epoll instance can be polled.
 */
#include "runtime/cancel.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_fds(struct cancel *c)
{
    int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (own < 0)
        return -errno;
    int above = cancel_fd(c->parent);
    if (above < 0) {
        c->fd_read = c->fd_write = own;
        return 0;
    }

    int both = epoll_create1(EPOLL_CLOEXEC);
    int rc = both < 0 ? -errno : watch(both, own);
    if (rc == 0)
        rc = watch(both, above);
    if (rc != 0) {
        close(own);
        if (both >= 0)
            close(both);
        return rc;
    }
    c->fd_read = both;
    c->fd_write = own;
    return 0;
}

int cancel_init(struct cancel *c, const struct cancel *parent, bool with_fd)
{
    c->parent = parent;
    atomic_init(&c->set, false);
    c->fd_read = c->fd_write = -1;
    return with_fd ? open_fds(c) : 0;
}

void cancel_finish(struct cancel *c)
{
    if (c->fd_read >= 0 && c->fd_read != c->fd_write)
        close(c->fd_read);
    if (c->fd_write >= 0)
        close(c->fd_write);
    c->fd_read = c->fd_write = -1;
}

void cancel_set(struct cancel *c)
{
    static const uint64_t one = 1;
    int saved = errno;

    if (!atomic_exchange(&c->set, true) && c->fd_write >= 0) {
        /* An eventfd at 0 takes a 1 whatever happens. */
        ssize_t n = write(c->fd_write, &one, sizeof(one));
        (void)n;
    }
    errno = saved;
}

bool cancel_is_set(const struct cancel *c)
{
    for (; c; c = c->parent)
        if (atomic_load(&c->set))
            return true;
    return false;
}

int cancel_fd(const struct cancel *c)
{
    for (; c; c = c->parent)
        if (c->fd_read >= 0)
            return c->fd_read;
    return -1;
}

bool cancel_fd_is_complete(const struct cancel *c)
{
    for (; c; c = c->parent)
        if (c->fd_read < 0)
            return false;
    return true;
}
