/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cancellation flag.  The flag is the truth; the descriptor only wakes who
 * sleeps, and nobody ever reads it empty.
 *
 * A child with a descriptor has to become readable for its ancestors' sake too.
 * It cannot be told by them (cancel_set runs in signal handlers and walks no
 * lists), so it watches them: its descriptor is one over its own wake-up and
 * the parent's descriptor.
 */
#include "runtime/cancel.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static int open_fds(struct cancel *c)
{
    int above = cancel_fd(c->parent);
    int rc = wakeup_open(&c->own);

    if (rc != 0 || above < 0)
        return rc;
    rc = wakeup_either(c->own.fd_read, above);
    if (rc < 0) {
        wakeup_close(&c->own);
        return rc;
    }
    c->fd_either = rc;
    return 0;
}

int cancel_init(struct cancel *c, const struct cancel *parent, bool with_fd)
{
    c->parent = parent;
    atomic_init(&c->set, false);
    c->own.fd_read = c->own.fd_write = c->fd_either = -1;
    c->pid = with_fd ? getpid() : -1;
    return with_fd ? open_fds(c) : 0;
}

void cancel_finish(struct cancel *c)
{
    if (c->fd_either >= 0)
        close(c->fd_either);
    c->fd_either = -1;
    wakeup_close(&c->own);
}

void cancel_set(struct cancel *c)
{
    int saved = errno;

    /* A descriptor is shared with forked processes, and nobody lowers it: one
     * that a handler raised in a child, before that was another program, would
     * let the parent's sleepers spin and its requests stop. */
    if (!atomic_exchange(&c->set, true) && c->own.fd_write >= 0 &&
        c->pid == getpid())
        wakeup_raise(&c->own);
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
        if (c->own.fd_read >= 0)
            return c->fd_either >= 0 ? c->fd_either : c->own.fd_read;
    return -1;
}

bool cancel_fd_is_complete(const struct cancel *c)
{
    for (; c; c = c->parent)
        if (c->own.fd_read < 0)
            return false;
    return true;
}
