/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of the command line, on tables of its own and on the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"

enum {
    T_FLAG,
    T_TEXT,
    T_NUMBER,
    T_SIZE,
    T_WAIT,
    T_RANGE,
    T_PAIR,
    T_CHOICE,
    T_LATER,
    T_DIR,
    N_T
};

static const char *const colours[] = {"red", "green", NULL};

static const struct arg_option table[] = {
    [T_FLAG] = {ARG_FLAG, 'f', false, "flag", NULL, "help", NULL, 0},
    [T_TEXT] = {ARG_TEXT, 'o', false, "output", "FILE", "help", NULL, 0},
    [T_NUMBER] = {ARG_U64, 'l', false, "limit", "N", "help", NULL, 99},
    [T_SIZE] = {ARG_SIZE, 0, false, "size", "SIZE", "help", NULL, 0},
    [T_WAIT] = {ARG_DURATION, 0, false, "wait", "DURATION", "help", NULL, 0},
    [T_RANGE] = {ARG_RANGE, 0, false, "range", "R", "help", NULL, 0},
    [T_PAIR] = {ARG_PAIR, 0, true, "label", "KEY=VALUE", "help", NULL, 0},
    [T_CHOICE] = {ARG_CHOICE, 0, false, "colour", "C", "help", colours, 0},
    [T_LATER] = {ARG_RESERVED, 0, false, "resume", NULL, NULL, NULL, 0},
    [T_DIR] = {ARG_TEXT, 'd', true, "dir", "DIR", "help", NULL, 0},
    [N_T] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static const struct verb verb_paint = {.name = "paint",
                                       .elsewhere = "colour coat",
                                       .operands = "WALL... [ROOM]",
                                       .summary = "s",
                                       .about = "a",
                                       .options = table,
                                       .min_operands = 1,
                                       .max_operands = 2};
static const struct verb *const verbs[] = {&verb_paint, NULL};
static const char *const reserved[] = {"prune", NULL};

/* argv of at most 15 words in writable memory. */
struct line {
    char text[16][256];
    char *argv[17];
    int argc;
    struct args args;
    struct persist_error err;
};

static int parse_into(struct line *l, const char *words[])
{
    memset(l, 0, sizeof(*l));
    snprintf(l->text[0], sizeof(l->text[0]), "persist");
    l->argv[0] = l->text[0];
    for (l->argc = 1; words[l->argc - 1]; l->argc++) {
        snprintf(l->text[l->argc], sizeof(l->text[0]), "%s",
                 words[l->argc - 1]);
        l->argv[l->argc] = l->text[l->argc];
    }
    return args_parse(l->argc, l->argv, verbs, reserved, &l->args, &l->err);
}

#define PARSE(l, ...) parse_into(l, (const char *[]){__VA_ARGS__, NULL})

#define REFUSED(part, ...)                                                     \
    do {                                                                       \
        struct line line_;                                                     \
        assert_int_equal(PARSE(&line_, __VA_ARGS__), PERSIST_E_INVALID);       \
        if (!strstr(line_.err.message, part))                                  \
            fail_msg("\"%s\" does not hold \"%s\"", line_.err.message, part);  \
        args_finish(&line_.args);                                              \
    } while (0)

static void parse__takes_every_way_to_write_an_option(void **state)
{
    static const char *const ways[][5] = {
        {"paint", "-o", "out", "wall", NULL},
        {"paint", "-oout", "wall", NULL},
        {"paint", "--output", "out", "wall", NULL},
        {"paint", "wall", "--output=out", NULL},
        {"paint", "-fo", "out", "wall", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct line l;
        assert_int_equal(parse_into(&l, (const char **)(uintptr_t)ways[i]),
                         PERSIST_OK);
        assert_ptr_equal(l.args.verb, &verb_paint);
        assert_string_equal(l.args.own[T_TEXT].text, "out");
        assert_int_equal(l.args.n_operands, 1);
        assert_string_equal(l.args.operands[0], "wall");
        assert_int_equal(l.args.own[T_FLAG].count, i == 4);
        args_finish(&l.args);
    }
}

static void parse__takes_global_options_on_both_sides(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(PARSE(&l, "--json", "-s", "main", "paint", "wall", "-vv",
                           "--set", "a=1", "--set=b=2", "--timeout", "5m"),
                     PERSIST_OK);

    assert_int_equal(l.args.global[GLOBAL_JSON].count, 1);
    assert_string_equal(l.args.global[GLOBAL_STORE].text, "main");
    assert_int_equal(l.args.global[GLOBAL_VERBOSE].count, 2);
    assert_int_equal(l.args.global[GLOBAL_SET].count, 2);
    assert_string_equal(l.args.global[GLOBAL_SET].items[0], "a=1");
    assert_string_equal(l.args.global[GLOBAL_SET].items[1], "b=2");
    assert_int_equal(l.args.global[GLOBAL_TIMEOUT].number, 300000);
    args_finish(&l.args);
}

static void parse__reads_values_by_kind(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(PARSE(&l, "paint", "w", "--limit=7", "--size=2M",
                           "--wait=500ms", "--range=1K+3", "--colour=green",
                           "--label=k=v=w", "--label=e=", "-d/a", "-d", "/b"),
                     PERSIST_OK);

    assert_int_equal(l.args.own[T_NUMBER].number, 7);
    assert_int_equal(l.args.own[T_SIZE].number, 2 << 20);
    assert_int_equal(l.args.own[T_WAIT].number, 500);
    assert_int_equal(l.args.own[T_RANGE].number, 1024);
    assert_int_equal(l.args.own[T_RANGE].number2, 3);
    assert_int_equal(l.args.own[T_CHOICE].number, 1);
    assert_int_equal(l.args.own[T_PAIR].count, 2);
    assert_string_equal(l.args.own[T_PAIR].items[0], "k=v=w");
    assert_string_equal(l.args.own[T_PAIR].items[1], "e=");
    assert_string_equal(l.args.own[T_DIR].items[1], "/b");
    args_finish(&l.args);
}

static void parse__ends_options_at_two_dashes(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(PARSE(&l, "paint", "-f", "--", "-o", "--json"),
                     PERSIST_OK);

    assert_int_equal(l.args.n_operands, 2);
    assert_string_equal(l.args.operands[0], "-o");
    assert_string_equal(l.args.operands[1], "--json");
    assert_int_equal(l.args.global[GLOBAL_JSON].count, 0);
    args_finish(&l.args);
}

static void parse__keeps_a_lone_dash_as_operand(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(PARSE(&l, "paint", "-"), PERSIST_OK);

    assert_string_equal(l.args.operands[0], "-");
    args_finish(&l.args);
}

static void parse__refuses_bad_values(void **state)
{
    (void)state;

    REFUSED("not a number", "paint", "w", "--limit=x");
    REFUSED("not a number", "paint", "w", "--limit=-1");
    REFUSED("not a number", "paint", "w", "--limit=");
    REFUSED("more than the highest, 99", "paint", "w", "--limit=100");
    REFUSED("not a size", "paint", "w", "--size=lots");
    REFUSED("not a number with a unit", "paint", "w", "--wait=soon");
    REFUSED("not a number with a unit", "paint", "w", "--wait=5");
    REFUSED("\"7M\" is less", "paint", "w", "--memory-limit=7M");
    REFUSED("less than the lowest, 8M", "paint", "w", "--memory-limit=0");
    REFUSED("more than 0", "paint", "w", "--wait=0");
    REFUSED("OFFSET+LENGTH", "paint", "w", "--range=5");
    REFUSED("OFFSET+LENGTH", "paint", "w", "--range=+5");
    REFUSED("OFFSET+LENGTH", "paint", "w", "--range=5+");
    REFUSED("OFFSET+LENGTH", "paint", "w",
            "--range=11111111111111111111111111111111111111111111+1");
    REFUSED("no \"=\"", "paint", "w", "--label=k");
    REFUSED("before the \"=\"", "paint", "w", "--label==v");
    REFUSED("no such choice", "paint", "w", "--colour=blue");
    REFUSED("is empty", "paint", "w", "--output=");
    REFUSED("is empty", "paint", "w", "-o", "");
    REFUSED("not a number with a unit", "--timeout=5x", "paint", "w");
}

static void parse__does_not_repeat_a_pair_in_its_error(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(PARSE(&l, "--set", "hunter2", "paint", "w"),
                     PERSIST_E_INVALID);

    assert_null(strstr(l.err.message, "hunter2"));
    args_finish(&l.args);
}

static void parse__refuses_what_does_not_fit_together(void **state)
{
    (void)state;

    REFUSED("more than once", "paint", "w", "-o", "a", "-o", "b");
    REFUSED("is not a rate", "paint", "w", "--limit-upload=5M/h");
    REFUSED("is not a rate", "paint", "w", "--limit-download", "fast");
    REFUSED("more than once", "--json", "paint", "w", "--json");
    REFUSED("takes no argument", "paint", "w", "--flag=yes");
    REFUSED("--output needs FILE", "paint", "w", "--output");
    REFUSED("--output needs FILE", "paint", "w", "-o");
    REFUSED("exclude each other", "paint", "w", "-q", "-v");
    REFUSED("WALL is missing", "paint");
    REFUSED("one operand too many: \"c\"", "paint", "a", "b", "c");
}

static void parse__says_later_for_reserved_words(void **state)
{
    (void)state;

    REFUSED("--resume arrives with a later release", "paint", "w", "--resume");
    REFUSED("persist prune arrives with a later release", "prune", "w");
}

static void parse__suggests_what_was_meant(void **state)
{
    static const struct {
        const char *words[4];
        const char *hint;
    } slips[] = {
        {{"pant", "w", NULL}, "did you mean \"paint\"?"},
        {{"coat", "w", NULL}, "did you mean \"paint\"?"},
        {{"coa", "w", NULL}, "persist help lists the verbs"},
        {{"unpaint", "w", NULL}, "persist help lists the verbs"},
        {{"paint", "w", "--ouput=x", NULL}, "did you mean --output?"},
        {{"paint", "w", "--jsn", NULL}, "did you mean --json?"},
        {{"--jsn", "paint", NULL}, "did you mean --json?"},
        {{"paint", "w", "--colour=gren", NULL}, "did you mean \"green\"?"},
        {{"paint", "w", "--colour=xyzzy", NULL}, "choices: red, green"},
        {{"xyzzy", NULL}, "persist help lists the verbs"},
        {{"paint", "--xyzzyplugh", NULL}, "persist help paint lists"},
        {{"--xyzzyplugh", NULL}, "persist help lists what there is"},
        {{"--output", "x", "paint", NULL}, "persist VERB --output ..."},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
        struct line l;
        assert_int_equal(
            parse_into(&l, (const char **)(uintptr_t)slips[i].words),
            PERSIST_E_INVALID);
        if (!strstr(l.err.hint, slips[i].hint))
            fail_msg("%zu: \"%s\", not \"%s\"", i, l.err.hint, slips[i].hint);
        args_finish(&l.args);
    }
}

static void parse__names_an_unknown_short_option_alone(void **state)
{
    (void)state;

    REFUSED("no such option: -z", "paint", "w", "-fz");
}

static void parse__stops_checking_where_help_is_asked_for(void **state)
{
    static const char *const ways[][5] = {
        {"paint", "--help", "a", "b", NULL},
        {"--help", "paint", NULL},
        {"paint", "-h", NULL},
        {"-h", NULL},
        {"paint", "-q", "-v", "--help", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct line l;
        assert_int_equal(parse_into(&l, (const char **)(uintptr_t)ways[i]),
                         PERSIST_OK);
        assert_int_equal(l.args.global[GLOBAL_HELP].count, 1);
        assert_int_equal(l.args.verb != NULL, i != 3);
        args_finish(&l.args);
    }
}

static void parse__accepts_nothing_at_all(void **state)
{
    struct line l;
    (void)state;

    assert_int_equal(parse_into(&l, (const char *[]){NULL}), PERSIST_OK);
    assert_null(l.args.verb);
    args_finish(&l.args);
    assert_int_equal(args_parse(0, NULL, verbs, reserved, &l.args, &l.err),
                     PERSIST_OK);
    args_finish(&l.args);
}

/* Whether memory that is freed still says this. */
static const void *block;
static const char *watched;
static bool was_freed, told;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    if (memory && memory == block) {
        was_freed = true;
        told |= strstr(watched, "hunter2") != NULL;
    }
    __real_free(memory);
}

static void hide_settings__are_wiped_at_the_end(void **state)
{
    struct line l;
    (void)state;
    assert_int_equal(PARSE(&l, "--set", "secret=hunter2", "paint", "w"),
                     PERSIST_OK);
    assert_int_equal(args_hide_settings(&l.args, &l.err), PERSIST_OK);
    block = l.args.settings;
    watched = l.args.settings[0];

    args_finish(&l.args);

    block = NULL;
    assert_true(was_freed);
    assert_false(told);
}

static void hide_settings__takes_values_out_of_argv(void **state)
{
    struct line l;
    (void)state;
    assert_int_equal(
        PARSE(&l, "--set", "secret=hunter2", "paint", "w", "--set=b=3"),
        PERSIST_OK);

    assert_int_equal(args_hide_settings(&l.args, &l.err), PERSIST_OK);

    assert_string_equal(l.args.global[GLOBAL_SET].items[0], "secret=hunter2");
    assert_string_equal(l.args.global[GLOBAL_SET].items[1], "b=3");
    assert_string_equal(l.argv[2], "secret=xxxxxxx");
    assert_string_equal(l.argv[5], "--set=b=x");
    args_finish(&l.args);
}

static void mention_json__looks_before_two_dashes(void **state)
{
    char *with[] = {(char *)"persist", (char *)"x", (char *)"--json"};
    char *behind[] = {(char *)"persist", (char *)"--", (char *)"--json"};
    (void)state;

    assert_true(args_mention_json(3, with));
    assert_false(args_mention_json(2, with));
    assert_false(args_mention_json(3, behind));
}

/* What the parser takes for granted of the real tables. */
static void verbs__are_described_completely(void **state)
{
    (void)state;

    for (size_t i = 0; cli_verbs[i]; i++) {
        const struct verb *v = cli_verbs[i];
        size_t n = 0;
        char letters[128] = "";

        assert_non_null(v->run);
        assert_true(strlen(v->summary) > 0 && strlen(v->about) > 0);
        assert_non_null(v->examples[0]);
        for (const struct arg_option *o = v->options; o->kind != ARG_END; o++) {
            n++;
            assert_non_null(o->name);
            if (o->kind == ARG_RESERVED)
                continue;
            assert_non_null(o->help);
            assert_int_equal(o->argument == NULL, o->kind == ARG_FLAG);
            assert_int_equal(o->choices != NULL, o->kind == ARG_CHOICE);
            for (size_t g = 0; g < N_GLOBAL; g++) {
                assert_string_not_equal(o->name, args_global[g].name);
                assert_true(!o->short_name ||
                            o->short_name != args_global[g].short_name);
            }
            if (o->short_name) {
                assert_null(strchr(letters, o->short_name));
                letters[strlen(letters)] = o->short_name;
            }
        }
        assert_in_range(n, 0, ARGS_VERB_OPTIONS_MAX);
        for (size_t r = 0; cli_reserved_verbs[r]; r++)
            assert_string_not_equal(v->name, cli_reserved_verbs[r]);
    }
}

/* Any words at all: no crash, and a message whenever it is refused. */
static void parse__survives_any_words(void **state)
{
    static const char *const words[] = {
        "paint", "-",       "--",    "-o",     "--output", "--output=", "-lf",
        "-l9",   "--label", "a=b",   "--json", "--help",   "-vvvv",     "",
        "=",     "--=",     "---",   "-=",     "w",        "--set=x=y", "-d",
        "--dir", "--limit", "-\xff", "--\x01", "prune"};
    uint32_t random = 12345;
    (void)state;

    for (size_t round = 0; round < 20000; round++) {
        const char *line[12] = {NULL};
        struct line l;
        for (size_t i = 0; i < 1 + round % 11; i++) {
            random = random * 1664525 + 1013904223;
            line[i] =
                words[(random >> 16) % (sizeof(words) / sizeof(words[0]))];
        }
        int rc = parse_into(&l, line);
        if (rc == PERSIST_OK)
            args_hide_settings(&l.args, &l.err);
        else
            assert_true(rc == PERSIST_E_INVALID && l.err.message[0]);
        args_finish(&l.args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__takes_every_way_to_write_an_option),
        cmocka_unit_test(parse__takes_global_options_on_both_sides),
        cmocka_unit_test(parse__reads_values_by_kind),
        cmocka_unit_test(parse__ends_options_at_two_dashes),
        cmocka_unit_test(parse__keeps_a_lone_dash_as_operand),
        cmocka_unit_test(parse__refuses_bad_values),
        cmocka_unit_test(parse__does_not_repeat_a_pair_in_its_error),
        cmocka_unit_test(parse__refuses_what_does_not_fit_together),
        cmocka_unit_test(parse__says_later_for_reserved_words),
        cmocka_unit_test(parse__suggests_what_was_meant),
        cmocka_unit_test(parse__names_an_unknown_short_option_alone),
        cmocka_unit_test(parse__stops_checking_where_help_is_asked_for),
        cmocka_unit_test(parse__accepts_nothing_at_all),
        cmocka_unit_test(hide_settings__takes_values_out_of_argv),
        cmocka_unit_test(hide_settings__are_wiped_at_the_end),
        cmocka_unit_test(mention_json__looks_before_two_dashes),
        cmocka_unit_test(verbs__are_described_completely),
        cmocka_unit_test(parse__survives_any_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
