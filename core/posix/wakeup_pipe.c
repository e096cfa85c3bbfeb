/* SPDX-License-Identifier: Apache-2.0 */
/* Wake-ups anywhere: a pipe with something in it. */
#include "posix/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "posix/os.h"

int wakeup_open(struct wakeup *w)
{
    int fds[2], rc = os_pipe(fds);

    w->fd_read = w->fd_write = -1;
    if (rc != 0)
        return rc;
    for (int i = 0; i < 2 && rc == 0; i++)
        if (fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0)
            rc = -errno;
    w->fd_read = fds[0];
    w->fd_write = fds[1];
    if (rc != 0)
        wakeup_close(w);
    return rc;
}

void wakeup_raise(const struct wakeup *w)
{
    ssize_t n = write(w->fd_write, "", 1);

    (void)n; /* a pipe that is full is raised */
}

void wakeup_clear(const struct wakeup *w)
{
    char drained[64];
    ssize_t n;

    do
        n = read(w->fd_read, drained, sizeof(drained));
    while (n > 0 || (n < 0 && errno == EINTR));
}

void wakeup_close(struct wakeup *w)
{
    if (w->fd_read >= 0)
        close(w->fd_read);
    if (w->fd_write >= 0)
        close(w->fd_write);
    w->fd_read = w->fd_write = -1;
}
