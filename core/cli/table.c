/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables.  Cells are text; what they say is the verb's business.
 */
#include "cli/table.h"

#include <errno.h>
#include <string.h>

#include "util/text.h"

void table_begin(struct table *t, struct output *out,
                 const struct table_column *columns, size_t n_columns)
{
    memset(t, 0, sizeof(*t));
    t->out = out;
    t->columns = columns;
    t->n_columns = n_columns;
    for (size_t i = 0; i < n_columns; i++)
        t->widths[i] = strlen(columns[i].header);
    buf_init(&t->held, TABLE_BYTES_HELD);
}

size_t table_text_width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_cell(struct table *t, const char *text)
{
    size_t begin = t->held.len;

    if (text)
        text_escape(&t->held, text, strlen(text));
    buf_putc(&t->held, '\0');
    if (buf_failed(&t->held))
        return;
    size_t width = table_text_width(t->held.data + begin);
    if (width > t->widths[t->column])
        t->widths[t->column] = width;
    t->column++;
}

static void pad(struct table *t, size_t n)
{
    static const char spaces[] = "                                ";

    while (n > 0) {
        size_t some = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;
        output_write(t->out, spaces, some);
        n -= some;
    }
}

static void print_cell(struct table *t, size_t column, const char *text,
                       bool last)
{
    size_t width = table_text_width(text);
    size_t space = t->widths[column] > width ? t->widths[column] - width : 0;
    bool right = t->columns[column].right;

    if (right)
        pad(t, space);
    output_write(t->out, text, strlen(text));
    if (!right && !last)
        pad(t, space);
    output_write(t->out, last ? "\n" : "  ", last ? 1 : 2);
}

static void print_header(struct table *t)
{
    for (size_t c = 0; c < t->n_columns; c++)
        print_cell(t, c, t->columns[c].header, c + 1 == t->n_columns);
    t->header_printed = true;
}

/* Prints the row of cells at text; returns what lies behind it.  Empty cells at
 * the end leave no blanks there. */
static const char *print_row(struct table *t, const char *text)
{
    const char *cells[TABLE_COLUMNS_MAX] = {0};
    size_t n = 0;

    for (size_t c = 0; c < t->n_columns; c++) {
        cells[c] = text;
        if (c == 0 || text[0])
            n = c + 1;
        text += strlen(text) + 1;
    }
    for (size_t c = 0; c < n; c++)
        print_cell(t, c, cells[c], c + 1 == n);
    return text;
}

static void print_held(struct table *t)
{
    const char *text = t->held.data;

    if (buf_failed(&t->held))
        output_note_failure(t->out, ENOMEM);
    if (t->n_held == 0 || !text || output_failed(t->out))
        return;
    if (!t->header_printed)
        print_header(t);
    for (size_t row = 0; row < t->n_held; row++)
        text = print_row(t, text);
}

void table_end_row(struct table *t)
{
    while (t->column < t->n_columns && !buf_failed(&t->held))
        table_cell(t, NULL);
    t->column = 0;
    t->n_held++;
    if (t->n_held == TABLE_ROWS_HELD || buf_failed(&t->held)) {
        print_held(t);
        buf_clear(&t->held);
        t->n_held = 0;
    }
}

void table_finish(struct table *t)
{
    print_held(t);
    buf_finish(&t->held);
}
