/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard error as one resource shared by messages, log lines and the progress
 * bar.  It formats nothing: callers bring finished text.  The lock is held only
 * around write(2), and never while calling anything else.
 */
#include "cli/console.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/text.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool bar_is_drawn; /* under mutex */

/* "\r" and "erase to the end of the line" (ECMA-48 EL). */
static const char erase[] = "\r\x1b[K";

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

void console_line(const char *text, size_t len)
{
    struct buf line;

    buf_init(&line, CONSOLE_LINE_MAX);
    text_escape(&line, text, len);
    buf_putc(&line, '\n');
    pthread_mutex_lock(&mutex);
    if (bar_is_drawn)
        write_all(erase, sizeof(erase) - 1);
    bar_is_drawn = false;
    if (!buf_failed(&line))
        write_all(line.data, line.len);
    pthread_mutex_unlock(&mutex);
    buf_finish(&line);
}

void console_bar(const char *text)
{
    struct buf line;

    buf_init(&line, 4096);
    buf_puts(&line, "\r");
    buf_puts(&line, text);
    buf_puts(&line, erase + 1);
    pthread_mutex_lock(&mutex);
    if (!buf_failed(&line))
        write_all(line.data, line.len);
    bar_is_drawn = true;
    pthread_mutex_unlock(&mutex);
    buf_finish(&line);
}

void console_clear(void)
{
    pthread_mutex_lock(&mutex);
    if (bar_is_drawn)
        write_all(erase, sizeof(erase) - 1);
    bar_is_drawn = false;
    pthread_mutex_unlock(&mutex);
}

bool console_is_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

size_t console_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}
