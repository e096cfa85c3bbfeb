/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: a directory of one's own, below TMPDIR or /tmp, and small helpers
 * to look at and into it.  Every helper ends the test program on trouble.
 */
#ifndef PERSIST_POSIX_SCRATCH_H
#define PERSIST_POSIX_SCRATCH_H

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* Makes one; the path is absolute, free it with scratch_remove. */
char *scratch_make(void);
/* Removes it with all that is in it, and frees. */
void scratch_remove(char *path);
/* Removes what is in a directory, and it. */
void scratch_remove_tree(const char *path);

int scratch_open_dir(const char *path);
void scratch_write(const char *dir, const char *name, const char *text);
/* The file's text; NULL where it is not there. free() it. */
char *scratch_read(const char *dir, const char *name);
/* Entries of the directory, "." and ".." not counted. */
unsigned scratch_count(const char *dir);
/* Entries that start with ".persist-tmp.", anywhere below. */
unsigned scratch_count_temps(const char *dir);
unsigned scratch_open_fds(void);
const char *scratch_join(const char *dir, const char *name); /* one of four */

/*
 * Runs body in a child that has the rights of nobody (where the caller is
 * root) after giving `dir` to nobody. Returns the child's exit status. In the
 * child cmocka's assertions would go on with the next test: use CHILD_CHECK.
 */
#define CHILD_CHECK(condition)                                                 \
    do {                                                                       \
        if (!(condition)) {                                                    \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, \
                          #condition);                                         \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

int scratch_as_nobody(const char *dir, void (*body)(void *ctx), void *ctx);

#endif
