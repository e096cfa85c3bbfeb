/* SPDX-License-Identifier: 0BSD */
/*
 * Results as TAP version 13 on stdout and, where asked, as a JUnit file.
 *
 *     report_init -> report_case ... -> report_finish
 */
#ifndef CONFORMANCE_REPORT_H
#define CONFORMANCE_REPORT_H

#include <stddef.h>

enum report_result { REPORT_PASSED, REPORT_FAILED, REPORT_SKIPPED };

struct report_row {
    char *id;
    char *why; /* NULL where passed */
    enum report_result result;
};

struct report {
    struct report_row *rows;
    size_t n_rows;
    size_t n_failed;
    size_t n_skipped;
};

void report_init(struct report *r);
void report_case(struct report *r, const char *id, enum report_result result,
                 const char *why);
/* Prints the plan and a summary; writes junit_path unless it is NULL.  Returns
 * 0, or -1 where the file could not be written. */
int report_finish(struct report *r, const char *suite, const char *junit_path);

#endif
