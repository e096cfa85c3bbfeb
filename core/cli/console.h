/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard error: whole lines from any thread, and one progress bar below them.
 *
 * Everything human goes through here, so that a log line of another thread
 * and the bar never run into each other: a line first clears the bar, which is
 * drawn again at its next tick.  What cannot be written is dropped; there is
 * nobody left to tell.
 */
#ifndef PERSIST_CLI_CONSOLE_H
#define PERSIST_CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes text, escaped for a terminal, and a newline. */
void console_line(const char *text, size_t len);
/* Draws text, at most one terminal line, in place of the last bar. */
void console_bar(const char *text);
/* Takes the bar away. */
void console_clear(void);

/* Bytes of one line at the most. */
#define CONSOLE_LINE_MAX ((size_t)64 * 1024)

bool console_is_terminal(void);
/* Columns of the terminal, 80 where that is not known. */
size_t console_width(void);

#endif
