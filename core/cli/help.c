/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help pages.  Only layout lives here; every word of them stands in the tables.
 */
#include "cli/help.h"

#include <string.h>

enum { HELP_WIDTH = 79, HELP_INDENT = 29 };

static void spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_putc(out, ' ');
}

/* Appends text, broken at spaces, from column on; later lines at indent. */
static void wrapped(struct buf *out, const char *text, size_t column,
                    size_t indent)
{
    bool first = true;

    while (*text) {
        size_t len = strcspn(text, " ");
        if (!first && column + 1 + len > HELP_WIDTH) {
            buf_putc(out, '\n');
            spaces(out, indent);
            column = indent;
        } else if (!first) {
            buf_putc(out, ' ');
            column++;
        }
        buf_append(out, text, len);
        column += len;
        text += len;
        text += strspn(text, " ");
        first = false;
    }
    buf_putc(out, '\n');
}

static void option_line(struct buf *out, const struct arg_option *option)
{
    size_t begin = out->len;

    if (option->short_name)
        buf_printf(out, "  -%c, --%s", option->short_name, option->name);
    else
        buf_printf(out, "      --%s", option->name);
    if (option->argument)
        buf_printf(out, " %s", option->argument);
    size_t column = out->len - begin;
    if (column + 2 > HELP_INDENT) {
        buf_putc(out, '\n');
        column = 0;
    }
    spaces(out, HELP_INDENT - column);
    wrapped(out, option->help, HELP_INDENT, HELP_INDENT);
}

static void option_list(struct buf *out, const char *title,
                        const struct arg_option *table)
{
    bool any = false;

    for (; table && table->kind != ARG_END; table++) {
        if (table->kind == ARG_RESERVED)
            continue;
        if (!any)
            buf_printf(out, "\n%s:\n", title);
        any = true;
        option_line(out, table);
    }
}

void help_usage(struct buf *out, const struct verb *verb)
{
    if (!verb)
        buf_puts(out, "usage: persist VERB [OPTION...] [OPERAND...]");
    else
        buf_printf(out, "usage: persist %s [OPTION...]%s%s", verb->name,
                   verb->operands[0] ? " " : "", verb->operands);
}

/* Paragraphs are separated by a newline in about. */
static void paragraphs(struct buf *out, const char *about)
{
    while (*about) {
        char line[1024];
        size_t len = strcspn(about, "\n");
        size_t kept = len < sizeof(line) ? len : sizeof(line) - 1;

        memcpy(line, about, kept);
        line[kept] = '\0';
        buf_putc(out, '\n');
        wrapped(out, line, 0, 0);
        about += len;
        about += strspn(about, "\n");
    }
}

void help_verb(struct buf *out, const struct verb *verb)
{
    buf_printf(out, "persist %s - %s\n\n", verb->name, verb->summary);
    help_usage(out, verb);
    buf_putc(out, '\n');
    paragraphs(out, verb->about);
    option_list(out, "options", verb->options);
    option_list(out, "global options", args_global);
    buf_puts(out, "\nexamples:\n");
    for (size_t i = 0; verb->examples[i]; i++)
        buf_printf(out, "  %s\n", verb->examples[i]);
}

void help_all(struct buf *out, const struct verb *const *verbs,
              const char *const *reserved)
{
    buf_puts(out, "persist - numbered, verified, durable snapshots\n\n");
    help_usage(out, NULL);
    buf_puts(out, "\n\nverbs:\n");
    for (size_t i = 0; verbs[i]; i++)
        buf_printf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    buf_puts(out, "\nwith a later release:");
    for (size_t i = 0; reserved[i]; i++)
        buf_printf(out, " %s", reserved[i]);
    buf_puts(out, "\n");
    option_list(out, "global options", args_global);
    buf_puts(out,
             "\naddresses:\n"
             "  [STORE:]AGENT[/SESSION][@INDEX|@latest]\n"
             "  The session defaults to \"default\", the index to the latest; "
             "/ : @ % within a\n"
             "  name are percent-encoded.\n"
             "\nexamples:\n"
             "  persist save writer state.json\n"
             "  producer | persist save writer -\n"
             "  persist list\n"
             "  persist restore writer > state.json\n"
             "\npersist help VERB shows what a verb does and its options.\n");
}
