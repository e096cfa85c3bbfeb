/* SPDX-License-Identifier: 0BSD */
/*
 * Writes results: see report.h.  Decides nothing.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_init(struct report *r)
{
    memset(r, 0, sizeof(*r));
    printf("TAP version 13\n");
    fflush(stdout);
}

static void keep(struct report *r, const char *id, enum report_result result,
                 const char *why)
{
    struct report_row *grown =
        realloc(r->rows, (r->n_rows + 1) * sizeof(*grown));
    if (!grown)
        return;
    r->rows = grown;
    struct report_row *row = &grown[r->n_rows++];
    row->id = strdup(id);
    row->why = result == REPORT_PASSED ? NULL : strdup(why);
    row->result = result;
}

void report_case(struct report *r, const char *id, enum report_result result,
                 const char *why)
{
    keep(r, id, result, why);
    r->n_failed += result == REPORT_FAILED;
    r->n_skipped += result == REPORT_SKIPPED;
    printf("%sok %zu - %s", result == REPORT_FAILED ? "not " : "", r->n_rows,
           id);
    if (result == REPORT_SKIPPED)
        printf(" # SKIP %s", why);
    printf("\n");
    if (result == REPORT_FAILED)
        printf("  ---\n  message: \"%s\"\n  ...\n", why);
    fflush(stdout);
}

static void put_escaped(FILE *f, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            fprintf(f, "&#%u;", c);
        else
            fputc(c < 0x20 ? ' ' : c, f);
    }
}

static void write_row(FILE *f, const struct report_row *row)
{
    static const char *const elements[] = {
        [REPORT_FAILED] = "failure",
        [REPORT_SKIPPED] = "skipped",
    };
    fprintf(f, "  <testcase classname=\"%.*s\" name=\"%s\"",
            (int)strcspn(row->id, "."), row->id, row->id);
    if (row->result == REPORT_PASSED) {
        fprintf(f, "/>\n");
        return;
    }
    fprintf(f, "><%s message=\"", elements[row->result]);
    put_escaped(f, row->why ? row->why : "");
    fprintf(f, "\"/></testcase>\n");
}

static int write_junit(const struct report *r, const char *suite,
                       const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return -1;
    fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    fprintf(f,
            "<testsuite name=\"%s\" tests=\"%zu\" failures=\"%zu\" "
            "skipped=\"%zu\">\n",
            suite, r->n_rows, r->n_failed, r->n_skipped);
    for (size_t i = 0; i < r->n_rows; i++)
        write_row(f, &r->rows[i]);
    fprintf(f, "</testsuite>\n");
    int bad = ferror(f);
    return fclose(f) != 0 || bad ? -1 : 0;
}

int report_finish(struct report *r, const char *suite, const char *junit_path)
{
    printf("1..%zu\n", r->n_rows);
    printf("# %s: %zu passed, %zu failed, %zu skipped\n", suite,
           r->n_rows - r->n_failed - r->n_skipped, r->n_failed, r->n_skipped);
    int rc = junit_path ? write_junit(r, suite, junit_path) : 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        free(r->rows[i].id);
        free(r->rows[i].why);
    }
    free(r->rows);
    return rc;
}
