/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"

static const struct table_column columns[] = {
    {"NAME", false}, {"SIZE", true}, {"NOTE", false}};

struct page {
    struct output out;
    struct table table;
    char text[256 * 1024];
    int fd;
};
static struct page page;

static int begin(void **state)
{
    page.fd = fileno(tmpfile());
    output_init(&page.out, dup(page.fd));
    table_begin(&page.table, &page.out, columns, 3);
    *state = &page;
    return page.fd < 0;
}

static const char *finish(struct page *p)
{
    table_finish(&p->table);
    assert_int_equal(output_finish(&p->out, NULL), PERSIST_OK);
    ssize_t n = pread(p->fd, p->text, sizeof(p->text) - 1, 0);
    assert_true(n >= 0);
    p->text[n] = '\0';
    close(p->fd);
    return p->text;
}

static void row(struct page *p, const char *a, const char *b, const char *c)
{
    table_cell(&p->table, a);
    table_cell(&p->table, b);
    table_cell(&p->table, c);
    table_end_row(&p->table);
}

static void table__fits_columns_to_their_contents(void **state)
{
    struct page *p = *state;

    row(p, "writer", "1", "x");
    row(p, "a", "12345", NULL);

    assert_string_equal(finish(p), "NAME     SIZE  NOTE\n"
                                   "writer      1  x\n"
                                   "a       12345\n");
}

static void table__counts_characters_not_bytes(void **state)
{
    struct page *p = *state;

    row(p, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9", "1", "x");
    row(p, "abcde", "2", "y");

    assert_string_equal(finish(p),
                        "NAME   SIZE  NOTE\n"
                        "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9     1  x\n"
                        "abcde     2  y\n");
}

static void table__escapes_cells(void **state)
{
    struct page *p = *state;

    row(p, "a\x1b[31mb", "1\n2", "\xe2\x80\xae");

    const char *text = finish(p);
    assert_null(strchr(text, 0x1b));
    assert_non_null(strstr(text, "a\\x1b[31mb"));
    assert_null(strstr(text, "\xe2\x80\xae"));
}

static void table__prints_nothing_without_rows(void **state)
{
    struct page *p = *state;

    assert_string_equal(finish(p), "");
}

static void table__fills_missing_cells(void **state)
{
    struct page *p = *state;

    table_cell(&p->table, "only");
    table_end_row(&p->table);

    assert_string_equal(finish(p), "NAME  SIZE  NOTE\nonly\n");
}

static void table__streams_after_the_rows_it_measures(void **state)
{
    struct page *p = *state;
    size_t lines = 0;

    for (int i = 0; i < TABLE_ROWS_HELD; i++)
        row(p, "ab", "1", "c");
    assert_int_equal(p->table.n_held, 0);
    for (int i = 0; i < 1000; i++)
        row(p, "wider than before", "1", "c");

    const char *text = finish(p);
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 1 + TABLE_ROWS_HELD + 1000);
    /* One header. */
    assert_null(strstr(text + 1, "NAME"));
    assert_non_null(strstr(text, "wider than before     1  c\n"));
}

static void table__reports_memory_as_a_failure(void **state)
{
    struct page *p = *state;

    p->table.held.max = 10;
    row(p, "a name longer than that", "1", "x");
    table_finish(&p->table);

    assert_true(output_failed(&p->out));
    assert_int_equal(output_finish(&p->out, NULL), PERSIST_E_MEMORY);
    close(p->fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(table__fits_columns_to_their_contents, begin),
        cmocka_unit_test_setup(table__counts_characters_not_bytes, begin),
        cmocka_unit_test_setup(table__escapes_cells, begin),
        cmocka_unit_test_setup(table__prints_nothing_without_rows, begin),
        cmocka_unit_test_setup(table__fills_missing_cells, begin),
        cmocka_unit_test_setup(table__streams_after_the_rows_it_measures,
                               begin),
        cmocka_unit_test_setup(table__reports_memory_as_a_failure, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
