/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups on Linux: one descriptor and one counter. */
#include "posix/wakeup.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wakeup_open(struct wakeup *w)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    w->fd_read = w->fd_write = fd;
    return fd < 0 ? -errno : 0;
}

void wakeup_raise(const struct wakeup *w)
{
    static const uint64_t one = 1;
    ssize_t n = write(w->fd_write, &one, sizeof(one));

    (void)n; /* a counter that is full is raised */
}

void wakeup_clear(const struct wakeup *w)
{
    uint64_t count;
    ssize_t n = read(w->fd_read, &count, sizeof(count));

    (void)n; /* EAGAIN: was not raised */
}

void wakeup_close(struct wakeup *w)
{
    if (w->fd_read >= 0)
        close(w->fd_read);
    w->fd_read = w->fd_write = -1;
}
