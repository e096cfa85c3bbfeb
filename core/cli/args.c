/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of the command line: one pass over argv, driven by the tables of
 * args.h.  It knows how options are written and what kinds of values there are;
 * it does not know what any of them means, opens nothing and prints nothing.
 */
#include "cli/args.h"

#include <stdlib.h>
#include <string.h>

#include <persist/persist.h>

#include "util/buf.h"
#include "util/error.h"
#include "util/secret.h"
#include "util/text.h"

static const char *const progress_choices[] = {"auto", "always", "never", NULL};

const struct arg_option args_global[N_GLOBAL + 1] = {
    [GLOBAL_CONFIG] = {ARG_TEXT, 'c', false, "config", "FILE",
                       "read FILE after the usual configuration files", NULL,
                       0},
    [GLOBAL_STORE] = {ARG_TEXT, 's', false, "store", "NAME",
                      "the store to use, as STORE: before an address", NULL, 0},
    [GLOBAL_SET] = {ARG_PAIR, 0, true, "set", "KEY=VALUE",
                    "set a backend option for this run (repeatable)", NULL, 0},
    [GLOBAL_BACKEND_DIR] = {ARG_TEXT, 0, true, "backend-dir", "DIR",
                            "look for backends there first (repeatable)", NULL,
                            0},
    [GLOBAL_QUIET] = {ARG_FLAG, 'q', false, "quiet", NULL,
                      "print errors and asked-for data only", NULL, 0},
    [GLOBAL_VERBOSE] = {ARG_FLAG, 'v', true, "verbose", NULL,
                        "log to standard error; twice: everything", NULL, 0},
    [GLOBAL_JSON] = {ARG_FLAG, 0, false, "json", NULL,
                     "print one JSON object per line", NULL, 0},
    [GLOBAL_PROGRESS] = {ARG_CHOICE, 0, false, "progress", "WHEN",
                         "auto (on a terminal, when it takes long), always "
                         "or never",
                         progress_choices, 0},
    [GLOBAL_TIMEOUT] = {ARG_DURATION, 0, false, "timeout", "DURATION",
                        "give up on each operation after that long (30s, 5m; "
                        "a unit is needed)",
                        NULL, 0},
    [GLOBAL_MEMORY_LIMIT] = {ARG_SIZE, 0, false, "memory-limit", "SIZE",
                             "memory for data on its way (256M; at least 8M)",
                             NULL, 0},
    [GLOBAL_HELP] = {ARG_FLAG, 'h', true, "help", NULL,
                     "show what a verb does and its options", NULL, 0},
    [GLOBAL_VERSION] = {ARG_FLAG, 0, true, "version", NULL, "show the version",
                        NULL, 0},
    [GLOBAL_LIMIT_UPLOAD] = {ARG_RATE, 0, false, "limit-upload", "RATE",
                             "send at most RATE a second (500K, 2M/s; 0: no "
                             "limit)",
                             NULL, 0},
    [GLOBAL_LIMIT_DOWNLOAD] = {ARG_RATE, 0, false, "limit-download", "RATE",
                               "receive at most RATE a second", NULL, 0},
    [N_GLOBAL] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

struct parser {
    char **argv;
    size_t argc;
    size_t at; /* the next word */
    const struct verb *const *verbs;
    const char *const *reserved;
    struct args *args;
    size_t n_memory; /* words of args->memory in use */
    struct persist_error *err;
};

static bool wants_argument(const struct arg_option *option)
{
    return option->kind != ARG_FLAG && option->kind != ARG_RESERVED;
}

/* ------------------------------------------------------------------ values */

static int bad_value(struct persist_error *err, const struct arg_option *option,
                     const char *text, const char *what)
{
    return error_set(err, PERSIST_E_INVALID, "--%s: \"%s\" is not %s",
                     option->name, text, what);
}

static int read_u64(const struct arg_option *option, struct arg_value *value,
                    struct persist_error *err)
{
    if (!text_to_u64(value->text, &value->number))
        return bad_value(err, option, value->text, "a number");
    if (option->max && value->number > option->max)
        return error_set(
            err, PERSIST_E_INVALID, "--%s: %s is more than the highest, %llu",
            option->name, value->text, (unsigned long long)option->max);
    return PERSIST_OK;
}

static int read_size(const struct arg_option *option, struct arg_value *value,
                     struct persist_error *err)
{
    if (!text_to_size(value->text, &value->number))
        return bad_value(err, option, value->text,
                         "a size (like 4096, 64K or 2G)");
    return PERSIST_OK;
}

static int read_rate(const struct arg_option *option, struct arg_value *value,
                     struct persist_error *err)
{
    if (!text_to_rate(value->text, &value->number))
        return bad_value(err, option, value->text,
                         "a rate (like 500K or 2M/s; 0 is no limit)");
    return PERSIST_OK;
}

static int read_duration(const struct arg_option *option,
                         struct arg_value *value, struct persist_error *err)
{
    if (!text_to_duration_ms(value->text, &value->number))
        return bad_value(err, option, value->text,
                         "a number with a unit (like 500ms, 30s, 5m, 12h or "
                         "7d)");
    if (value->number == 0)
        return error_set(err, PERSIST_E_INVALID, "--%s: must be more than 0",
                         option->name);
    return PERSIST_OK;
}

static int read_range(const struct arg_option *option, struct arg_value *value,
                      struct persist_error *err)
{
    char offset[32];
    const char *plus = strchr(value->text, '+');
    size_t len = plus ? (size_t)(plus - value->text) : 0;

    if (plus && len < sizeof(offset)) {
        memcpy(offset, value->text, len);
        offset[len] = '\0';
        if (text_to_size(offset, &value->number) &&
            text_to_size(plus + 1, &value->number2))
            return PERSIST_OK;
    }
    return bad_value(err, option, value->text,
                     "OFFSET+LENGTH (like 0+4096 or 1M+64K)");
}

static int read_pair(const struct arg_option *option, struct arg_value *value,
                     struct persist_error *err)
{
    const char *equals = strchr(value->text, '=');

    /* The value may be a secret: it is not repeated. */
    if (!equals)
        return error_set(err, PERSIST_E_INVALID,
                         "--%s needs %s: there is no \"=\" in its argument",
                         option->name, option->argument);
    if (equals == value->text)
        return error_set(err, PERSIST_E_INVALID,
                         "--%s needs %s: nothing stands before the \"=\"",
                         option->name, option->argument);
    return PERSIST_OK;
}

/* Hints at the choice that was meant, or where none is close at all of them. */
static void hint_at_choices(const struct arg_option *option, const char *given,
                            struct persist_error *err)
{
    const char *close = text_suggest(given, option->choices);
    struct buf all;

    if (close) {
        error_hint(err, "did you mean \"%s\"?", close);
        return;
    }
    buf_init(&all, sizeof(err->hint));
    buf_join(&all, option->choices, ", ");
    if (!buf_failed(&all))
        error_hint(err, "choices: %s", all.data);
    buf_finish(&all);
}

static int read_choice(const struct arg_option *option, struct arg_value *value,
                       struct persist_error *err)
{
    for (size_t i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], value->text) == 0) {
            value->number = i;
            return PERSIST_OK;
        }
    }
    error_set(err, PERSIST_E_INVALID, "--%s: no such choice: \"%s\"",
              option->name, value->text);
    hint_at_choices(option, value->text, err);
    return PERSIST_E_INVALID;
}

static int read_text(const struct arg_option *option, struct arg_value *value,
                     struct persist_error *err)
{
    if (value->text[0] == '\0')
        return error_set(err, PERSIST_E_INVALID, "--%s: its %s is empty",
                         option->name, option->argument);
    return PERSIST_OK;
}

typedef int (*read_fn)(const struct arg_option *, struct arg_value *,
                       struct persist_error *);

static const read_fn readers[] = {
    [ARG_TEXT] = read_text,         [ARG_U64] = read_u64,
    [ARG_SIZE] = read_size,         [ARG_RATE] = read_rate,
    [ARG_DURATION] = read_duration, [ARG_RANGE] = read_range,
    [ARG_PAIR] = read_pair,         [ARG_CHOICE] = read_choice,
    [ARG_RESERVED] = NULL,
};

/* ----------------------------------------------------------------- options */

/* A word of the memory every list lies in; there are twice as many as argv has
 * words, so that there is always one. */
static char **claim_words(struct parser *p, size_t n)
{
    char **words = p->args->memory + p->n_memory;
    p->n_memory += n;
    return words;
}

static int store_value(struct parser *p, const struct arg_option *option,
                       struct arg_value *value, char *text)
{
    if (option->kind == ARG_RESERVED) {
        error_set(p->err, PERSIST_E_INVALID,
                  "--%s arrives with a later release", option->name);
        error_hint(p->err, "leave it out; CHANGELOG.md says what is built");
        return PERSIST_E_INVALID;
    }
    if (value->count > 0 && !option->repeatable)
        return error_set(p->err, PERSIST_E_INVALID,
                         "--%s is given more than once", option->name);
    value->text = text;
    if (wants_argument(option)) {
        int rc = readers[option->kind](option, value, p->err);
        if (rc != PERSIST_OK)
            return rc;
        if (option->repeatable && !value->items)
            value->items = claim_words(p, p->argc);
        if (option->repeatable)
            value->items[value->count] = text;
    }
    value->count++;
    return PERSIST_OK;
}

struct found {
    const struct arg_option *option;
    struct arg_value *value;
};

static bool find_in(const struct arg_option *table, struct arg_value *values,
                    const char *name, size_t len, char short_name,
                    struct found *out)
{
    for (size_t i = 0; table && table[i].kind != ARG_END; i++) {
        const struct arg_option *o = &table[i];
        bool is = name ? strlen(o->name) == len && !memcmp(o->name, name, len)
                       : o->short_name == short_name;
        if (is) {
            out->option = o;
            out->value = &values[i];
            return true;
        }
    }
    return false;
}

static bool find_option(struct parser *p, const char *name, size_t len,
                        char short_name, struct found *out)
{
    const struct verb *verb = p->args->verb;

    return (verb &&
            find_in(verb->options, p->args->own, name, len, short_name, out)) ||
           find_in(args_global, p->args->global, name, len, short_name, out);
}

/* True where some verb has the option: then it stands before the verb. */
static bool some_verb_has(const struct parser *p, const char *name, size_t len)
{
    struct found ignored;
    struct arg_value values[ARGS_VERB_OPTIONS_MAX];

    for (size_t i = 0; p->verbs[i]; i++) {
        if (find_in(p->verbs[i]->options, values, name, len, 0, &ignored))
            return true;
    }
    return false;
}

static void suggest_option(struct parser *p, const char *name)
{
    const char *names[N_GLOBAL + ARGS_VERB_OPTIONS_MAX + 1];
    size_t n = 0;
    const struct arg_option *tables[] = {
        p->args->verb ? p->args->verb->options : NULL, args_global};

    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; tables[t] && tables[t][i].kind != ARG_END; i++) {
            if (tables[t][i].kind != ARG_RESERVED)
                names[n++] = tables[t][i].name;
        }
    }
    names[n] = NULL;
    const char *close = text_suggest(name, names);
    if (close)
        error_hint(p->err, "did you mean --%s?", close);
    else if (p->args->verb)
        error_hint(p->err, "persist help %s lists its options",
                   p->args->verb->name);
    else
        error_hint(p->err, "persist help lists what there is");
}

static int unknown_option(struct parser *p, const char *word, const char *name,
                          size_t len)
{
    const struct verb *verb = p->args->verb;

    if (name && !verb && some_verb_has(p, name, len)) {
        error_set(p->err, PERSIST_E_INVALID,
                  "--%.*s belongs to a verb and stands after it", (int)len,
                  name);
        error_hint(p->err, "persist VERB --%.*s ...", (int)len, name);
        return PERSIST_E_INVALID;
    }
    if (name)
        error_set(p->err, PERSIST_E_INVALID, "no such option: --%.*s", (int)len,
                  name);
    else
        error_set(p->err, PERSIST_E_INVALID, "no such option: %s", word);
    char bare[64] = "";
    if (name && len < sizeof(bare))
        memcpy(bare, name, len);
    suggest_option(p, bare);
    return PERSIST_E_INVALID;
}

static int next_word(struct parser *p, const struct arg_option *option,
                     char **out)
{
    if (p->at >= p->argc)
        return error_set(p->err, PERSIST_E_INVALID, "--%s needs %s",
                         option->name, option->argument);
    *out = p->argv[p->at++];
    return PERSIST_OK;
}

static int parse_long(struct parser *p, char *word)
{
    char *name = word + 2;
    char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    struct found found;
    char *text = NULL;

    if (!find_option(p, name, len, 0, &found))
        return unknown_option(p, word, name, len);
    if (equals && found.option->kind == ARG_FLAG)
        return error_set(p->err, PERSIST_E_INVALID, "--%s takes no argument",
                         found.option->name);
    if (equals) {
        text = equals + 1;
    } else if (wants_argument(found.option)) {
        int rc = next_word(p, found.option, &text);
        if (rc != PERSIST_OK)
            return rc;
    }
    return store_value(p, found.option, found.value, text);
}

static int parse_short(struct parser *p, char *word)
{
    for (char *c = word + 1; *c; c++) {
        struct found found;
        char *text = NULL;
        int rc = PERSIST_OK;
        char shown[3] = {'-', *c, '\0'};

        if (!find_option(p, NULL, 0, *c, &found))
            return unknown_option(p, shown, NULL, 0);
        bool takes = wants_argument(found.option);
        if (takes && c[1])
            text = c + 1;
        else if (takes)
            rc = next_word(p, found.option, &text);
        if (rc == PERSIST_OK)
            rc = store_value(p, found.option, found.value, text);
        if (rc != PERSIST_OK || takes)
            return rc;
    }
    return PERSIST_OK;
}

/* ------------------------------------------------------------------- words */

static int parse_operand(struct parser *p, char *word)
{
    struct args *args = p->args;

    if (!args->verb) {
        args->verb = args_find_verb(word, p->verbs, p->reserved, p->err);
        return args->verb ? PERSIST_OK : PERSIST_E_INVALID;
    }
    args->operands[args->n_operands++] = word;
    return PERSIST_OK;
}

static bool asked_for_help(const struct args *args)
{
    return args->global[GLOBAL_HELP].count > 0 ||
           args->global[GLOBAL_VERSION].count > 0;
}

static int parse_words(struct parser *p)
{
    bool options = true;

    while (p->at < p->argc) {
        char *word = p->argv[p->at++];
        int rc;

        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (options && word[0] == '-' && word[1] == '-')
            rc = parse_long(p, word);
        else if (options && word[0] == '-' && word[1])
            rc = parse_short(p, word);
        else
            rc = parse_operand(p, word);
        if (rc != PERSIST_OK)
            return rc;
        /* `persist --help save`: the verb may still come; errors do not. */
        if (asked_for_help(p->args) && (p->args->verb || p->at >= p->argc))
            return PERSIST_OK;
    }
    return PERSIST_OK;
}

static int check_operands(const struct args *args, struct persist_error *err)
{
    const struct verb *verb = args->verb;

    if (args->n_operands > verb->max_operands) {
        error_set(err, PERSIST_E_INVALID, "one operand too many: \"%s\"",
                  args->operands[verb->max_operands]);
        return PERSIST_E_INVALID;
    }
    if (args->n_operands < verb->min_operands)
        return error_set(err, PERSIST_E_INVALID, "%.*s is missing",
                         (int)strcspn(verb->operands, " ."), verb->operands);
    return PERSIST_OK;
}

static int check_global(const struct args *args, struct persist_error *err)
{
    const struct arg_value *memory = &args->global[GLOBAL_MEMORY_LIMIT];

    _Static_assert(PERSIST_MEMORY_LIMIT_MIN >> 20 == 8, "it is named below");
    if (memory->count && memory->number < PERSIST_MEMORY_LIMIT_MIN)
        return error_set(err, PERSIST_E_INVALID,
                         "--memory-limit: \"%s\" is less than the lowest, 8M",
                         memory->text);
    if (args->global[GLOBAL_QUIET].count && args->global[GLOBAL_VERBOSE].count)
        return error_set(err, PERSIST_E_INVALID,
                         "--quiet and --verbose exclude each other");
    return PERSIST_OK;
}

static size_t count_repeatable(const struct verb *const *verbs)
{
    size_t most = 0;

    for (size_t i = 0; verbs[i]; i++) {
        size_t n = 0;
        for (const struct arg_option *o = verbs[i]->options;
             o && o->kind != ARG_END; o++)
            n += o->repeatable;
        most = n > most ? n : most;
    }
    for (size_t i = 0; i < N_GLOBAL; i++)
        most += args_global[i].repeatable;
    return most;
}

int args_parse(int argc, char **argv, const struct verb *const *verbs,
               const char *const *reserved, struct args *out,
               struct persist_error *err)
{
    struct parser p = {.argv = argv,
                       .argc = argc > 0 ? (size_t)argc : 0,
                       .at = 1,
                       .verbs = verbs,
                       .reserved = reserved,
                       .args = out,
                       .err = err};

    memset(out, 0, sizeof(*out));
    out->memory = calloc((count_repeatable(verbs) + 1) * (p.argc + 1),
                         sizeof(*out->memory));
    if (!out->memory)
        return error_memory(err);
    out->operands = claim_words(&p, p.argc);
    int rc = parse_words(&p);
    if (rc == PERSIST_OK && !asked_for_help(out))
        rc = check_global(out, err);
    if (rc == PERSIST_OK && !asked_for_help(out) && out->verb)
        rc = check_operands(out, err);
    return rc;
}

void args_finish(struct args *args)
{
    const struct arg_value *set = &args->global[GLOBAL_SET];

    /* Secrets, as likely as not. */
    for (size_t i = 0; args->settings && i < set->count; i++)
        secret_wipe(args->settings[i], strlen(args->settings[i]));
    free(args->settings);
    free(args->memory);
    memset(args, 0, sizeof(*args));
}

int args_hide_settings(struct args *args, struct persist_error *err)
{
    struct arg_value *set = &args->global[GLOBAL_SET];
    size_t total = 0;

    for (size_t i = 0; i < set->count; i++)
        total += strlen(set->items[i]) + 1;
    if (total == 0)
        return PERSIST_OK;
    /* One block of pointers and text behind the words that are there. */
    size_t words = set->count + (total + sizeof(char *) - 1) / sizeof(char *);
    char **copy = calloc(words, sizeof(*copy));
    if (!copy)
        return error_memory(err);
    char *text = (char *)(copy + set->count);
    for (size_t i = 0; i < set->count; i++) {
        size_t len = strlen(set->items[i]);
        char *value = strchr(set->items[i], '=') + 1;

        memcpy(text, set->items[i], len + 1);
        memset(value, 'x', strlen(value));
        copy[i] = text;
        text += len + 1;
    }
    args->settings = copy;
    set->items = copy;
    set->text = NULL;
    return PERSIST_OK;
}

bool args_mention_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}
