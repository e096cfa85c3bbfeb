/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table on standard output whose columns fit their contents.
 *
 * The first rows are held back to measure them; a longer table streams on with
 * the widths found, so memory does not grow with it.  Nothing is printed for a
 * table without rows.
 *
 *     table_begin(&t, out, columns, n);
 *     table_cell(&t, "a"); table_cell(&t, "b"); table_end_row(&t);
 *     table_finish(&t);
 */
#ifndef PERSIST_CLI_TABLE_H
#define PERSIST_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/output.h"
#include "util/buf.h"

#define TABLE_COLUMNS_MAX 8
#define TABLE_ROWS_HELD 256
#define TABLE_BYTES_HELD ((size_t)8 * 1024 * 1024)

struct table_column {
    const char *header;
    bool right; /* numbers */
};

struct table {
    struct output *out;
    const struct table_column *columns;
    size_t n_columns;
    size_t widths[TABLE_COLUMNS_MAX];
    size_t column; /* of the next cell */
    size_t n_held;
    bool header_printed;
    struct buf held; /* cells, each with a NUL */
};

void table_begin(struct table *t, struct output *out,
                 const struct table_column *columns, size_t n_columns);
/* text is escaped; NULL is an empty cell. */
void table_cell(struct table *t, const char *text);
void table_end_row(struct table *t);
void table_finish(struct table *t);

/* Characters of UTF-8 text: what it takes on a terminal, wide and combining
 * ones aside. */
size_t table_text_width(const char *text);

#endif
