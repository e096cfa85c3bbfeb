/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, taken apart by tables.
 *
 * A verb and its options are described once (struct verb, struct arg_option);
 * the parser, `--help` and docs/cli.md come from that description, so they
 * cannot disagree.  Options of the verb come after it, global options before or
 * after; `--name=value` and `--name value`, `-o value` and `-ovalue`, short
 * flags in clusters; `--` ends the options; a lone `-` is an operand.  Names
 * are never abbreviated.
 *
 * Whatever is wrong is PERSIST_E_INVALID with one message and, where there is
 * something better to type, a hint.
 */
#ifndef PERSIST_CLI_ARGS_H
#define PERSIST_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/error.h>

enum arg_kind {
    ARG_END = 0,  /* ends a table */
    ARG_FLAG,     /* takes no argument */
    ARG_TEXT,     /* any text but "" */
    ARG_U64,      /* decimal */
    ARG_SIZE,     /* bytes with a unit */
    ARG_RATE,     /* bytes per second with a unit */
    ARG_DURATION, /* milliseconds with a unit */
    ARG_RANGE,    /* SIZE+SIZE */
    ARG_PAIR,     /* KEY=VALUE, the key not empty */
    ARG_CHOICE,   /* one of choices */
    ARG_RESERVED  /* a word kept for a later release */
};

struct arg_option {
    enum arg_kind kind;
    char short_name;            /* 0: none */
    bool repeatable;            /* otherwise a second one is an error */
    const char *name;           /* without the dashes */
    const char *argument;       /* as help shows it, NULL for a flag */
    const char *help;           /* one line or two */
    const char *const *choices; /* ARG_CHOICE, NULL-terminated */
    uint64_t max;               /* numbers; 0: no limit */
};

struct arg_value {
    size_t count;     /* times it was given */
    char *text;       /* the last one, within argv */
    char **items;     /* every one of a repeatable option, in order */
    uint64_t number;  /* number, bytes, milliseconds, choice, range offset */
    uint64_t number2; /* range length */
};

/* The global options, in the order of args_global. */
enum {
    GLOBAL_CONFIG,
    GLOBAL_STORE,
    GLOBAL_SET,
    GLOBAL_BACKEND_DIR,
    GLOBAL_QUIET,
    GLOBAL_VERBOSE,
    GLOBAL_JSON,
    GLOBAL_PROGRESS,
    GLOBAL_TIMEOUT,
    GLOBAL_MEMORY_LIMIT,
    GLOBAL_HELP,
    GLOBAL_VERSION,
    GLOBAL_LIMIT_UPLOAD,
    GLOBAL_LIMIT_DOWNLOAD,
    N_GLOBAL
};
extern const struct arg_option args_global[N_GLOBAL + 1];

/* Numbers of the choices of --progress. */
enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

#define ARGS_VERB_OPTIONS_MAX 16

struct cli;

struct verb {
    const char *name;
    const char *operands;             /* "ADDRESS [FILE|-]", or "" */
    const char *elsewhere;            /* what other tools call it, or NULL */
    const char *summary;              /* one line, lower case */
    const char *about;                /* paragraphs for --help */
    const struct arg_option *options; /* at most ARGS_VERB_OPTIONS_MAX */
    const char *const *examples;      /* lines, NULL-terminated */
    size_t min_operands;
    size_t max_operands;
    int (*run)(struct cli *cli); /* returns the exit code */
};

struct args {
    const struct verb *verb; /* NULL: none was given */
    struct arg_value global[N_GLOBAL];
    struct arg_value own[ARGS_VERB_OPTIONS_MAX];
    char **operands;
    size_t n_operands;
    char **memory;   /* what items and operands lie in */
    char **settings; /* the copies of args_hide_settings */
};

/*
 * Takes argv apart.  verbs is NULL-terminated; reserved holds names of verbs
 * kept for later.  After --help or --version nothing more is checked.  On
 * failure out still says which verb it was, where that was known.  out is freed
 * with args_finish in both cases; it points into argv.
 */
int args_parse(int argc, char **argv, const struct verb *const *verbs,
               const char *const *reserved, struct args *out,
               struct persist_error *err);
void args_finish(struct args *args);

/* Overwrites the values of --set in argv after copying them, so that a secret
 * leaves the process list as early as can be. PERSIST_E_MEMORY or OK. */
int args_hide_settings(struct args *args, struct persist_error *err);

/* True where --json stands somewhere among the options: for an error of a line
 * that could not be parsed. */
bool args_mention_json(int argc, char **argv);

/* The verb of that name, or NULL with a hint in err (INVALID). */
const struct verb *args_find_verb(const char *name,
                                  const struct verb *const *verbs,
                                  const char *const *reserved,
                                  struct persist_error *err);

#endif
