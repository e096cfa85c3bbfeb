/* SPDX-License-Identifier: 0BSD */
/*
 * persist-backend-conformance: runs every rule of the backend ABI against one
 * backend, as a host would.
 *
 *     main -> load -> check the prologue -> open -> cases, one prefix each
 *          -> clean up -> close -> report
 *
 * It trusts the file it is given (it loads it into its own process); a crash of
 * the backend is a crash of the program, a hang ends it after --timeout, in a
 * case as well as before the first and behind the last.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "suite.h"

#define MAX_SETTINGS 64
/* Where a host takes what it reads for no table any more. */
#define STRUCT_MAX 65536
#define OPTIONS_MAX 256

static const char usage[] =
    "usage: persist-backend-conformance --backend FILE.so [OPTION...]\n"
    "\n"
    "  --backend FILE     the backend to test; its store is written to\n"
    "  --set KEY=VALUE    an option of the store; may be given again\n"
    "  --denied KEY=VALUE as --set, for a second store whose every op must be\n"
    "                     denied (case errors.denied.is-not-absent)\n"
    "  --group GROUP      only this group; may be given again\n"
    "  --case ID          only this case; may be given again\n"
    "  --junit FILE       also write the results as JUnit XML\n"
    "  --timeout SECONDS  of one case, of opening, of closing (default 120)\n"
    "  --list             print the ids and stop\n"
    "  --verbose          print the backend's log lines to stderr\n"
    "\n"
    "TAP on stdout. Exit code 0: all passed; 1: not all; 2: could not run.\n";

static const struct conformance_case *const groups[] = {
    cases_lifecycle, cases_put,          cases_read,   cases_delete,
    cases_uploads,   cases_list,         cases_keys,   cases_limits,
    cases_threads,   cases_cancellation, cases_errors,
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

struct choice {
    const char *words[MAX_SETTINGS];
    size_t n;
};

struct arguments {
    const char *backend;
    const char *junit;
    struct config_setting settings[MAX_SETTINGS];
    size_t n_settings;
    struct config_setting denied[MAX_SETTINGS]; /* after those of --set */
    size_t n_denied;
    struct choice group_choice;
    struct choice case_choice;
    unsigned timeout_s;
    bool list;
};

static void add_setting(struct config_setting *settings, size_t *n,
                        const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || *n == MAX_SETTINGS) {
        fprintf(stderr, "persist-backend-conformance: '%s' is not KEY=VALUE\n",
                text);
        exit(2);
    }
    settings[(*n)++] = (struct config_setting){
        .key = text,
        .key_len = (size_t)(equals - text),
        .value = equals + 1,
    };
}

static void choose(struct choice *c, const char *word)
{
    if (c->n < MAX_SETTINGS)
        c->words[c->n++] = word;
}

static void parse_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'b'},
        {"set", required_argument, NULL, 's'},
        {"denied", required_argument, NULL, 'd'},
        {"group", required_argument, NULL, 'g'},
        {"case", required_argument, NULL, 'c'},
        {"junit", required_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'b':
            a->backend = optarg;
            break;
        case 's':
            add_setting(a->settings, &a->n_settings, optarg);
            break;
        case 'd':
            add_setting(a->denied, &a->n_denied, optarg);
            break;
        case 'g':
            choose(&a->group_choice, optarg);
            break;
        case 'c':
            choose(&a->case_choice, optarg);
            break;
        case 'j':
            a->junit = optarg;
            break;
        case 't':
            a->timeout_s = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            a->list = true;
            break;
        case 'v':
            host_verbose = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind != argc || (!a->backend && !a->list)) {
        fputs(usage, stderr);
        exit(2);
    }
}

/* A group is an id's first word. */
static bool is_chosen(const struct arguments *a, const char *id)
{
    const struct choice *g = &a->group_choice, *c = &a->case_choice;
    bool chosen = g->n == 0 && c->n == 0;
    for (size_t i = 0; i < g->n; i++) {
        size_t len = strlen(g->words[i]);
        chosen |= strncmp(id, g->words[i], len) == 0 && id[len] == '.';
    }
    for (size_t i = 0; i < c->n; i++)
        chosen |= strcmp(id, c->words[i]) == 0;
    return chosen;
}

/* ------------------------------------------------------------------ loading */

static int refuse(const char *what)
{
    fprintf(stderr, "persist-backend-conformance: %s\n", what);
    return -1;
}

static int check_descriptor(const struct persist_backend_descriptor *d)
{
    if (!d)
        return refuse("the entry function gave no descriptor");
    if (d->magic != PERSIST_BACKEND_MAGIC)
        return refuse("the descriptor's magic number is wrong");
    if (d->abi_major != PERSIST_BACKEND_ABI_MAJOR)
        return refuse("the backend is built for another major ABI");
    if (d->min_host_minor > PERSIST_BACKEND_ABI_MINOR)
        return refuse("the backend asks for a newer host");
    if (d->struct_size < sizeof(struct persist_backend_descriptor) || !d->ops ||
        d->ops->struct_size < sizeof(struct persist_backend_ops))
        return refuse("the descriptor or the op table is smaller than 1.0's");
    if (d->n_options &&
        (!d->options || d->option_size < sizeof(struct persist_backend_option)))
        return refuse("the option table is smaller than 1.0's");
    if (d->struct_size > STRUCT_MAX || d->ops->struct_size > STRUCT_MAX ||
        d->option_size > STRUCT_MAX || d->n_options > OPTIONS_MAX)
        return refuse("a struct above 64 KiB or more than 256 options");
    const struct persist_backend_ops *o = d->ops;
    if (!o->open || !o->close || !o->limits || !o->put || !o->upload_begin ||
        !o->upload_part || !o->upload_commit || !o->upload_abort || !o->read ||
        !o->head || !o->delete_object || !o->list)
        return refuse("a required op is missing");
    return 0;
}

static int load(struct suite *s, const char *path)
{
    char here[4096];
    const char *slash = strrchr(path, '/');
    /* A bare name is a file here, not one the linker would look for. */
    snprintf(here, sizeof(here), "%s%s", slash ? "" : "./", path);
    void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return refuse(dlerror());
    void *symbol = dlsym(library, PERSIST_BACKEND_ENTRY_SYMBOL);
    if (!symbol)
        return refuse("the file has no " PERSIST_BACKEND_ENTRY_SYMBOL);
    memcpy(&s->entry, &symbol, sizeof(symbol));
    s->file_name = slash ? slash + 1 : path;
    s->descriptor = s->entry(s->host);
    if (check_descriptor(s->descriptor))
        return -1;
    s->ops = s->descriptor->ops;
    return 0;
}

static int build_configs(struct suite *s, const struct arguments *a)
{
    char why[512];
    struct config_setting all[2 * MAX_SETTINGS];
    memcpy(all, a->settings, a->n_settings * sizeof(*all));
    memcpy(all + a->n_settings, a->denied, a->n_denied * sizeof(*all));
    if (config_build(&s->config, s->descriptor, a->settings, a->n_settings, why,
                     sizeof(why)))
        return refuse(why);
    s->has_denied = a->n_denied > 0;
    if (s->has_denied &&
        config_build(&s->denied, s->descriptor, all,
                     a->n_settings + a->n_denied, why, sizeof(why)))
        return refuse(why);
    return 0;
}

static int open_suite(struct suite *s)
{
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    host_store_init(&s->host_store, &s->config);
    if (s->ops->init && s->ops->init(s->host, &error) != PERSIST_BACKEND_OK)
        return refuse(error.message);
    int32_t rc = op_open(s, &s->config, &s->store, &error);
    if (rc) {
        fprintf(stderr, "persist-backend-conformance: open answered %s: %.*s\n",
                status_name(rc), (int)sizeof(error.message), error.message);
        return -1;
    }
    if (!s->store)
        return refuse("open answered ok and gave no store");
    s->limits.struct_size = sizeof(s->limits);
    if (s->ops->limits(s->store, &s->limits) != PERSIST_BACKEND_OK)
        return refuse("limits failed");
    uint64_t id = 0;
    s->host->random(&id, sizeof(id));
    snprintf(s->run_prefix, sizeof(s->run_prefix), "conformance-%016" PRIx64,
             id);
    return 0;
}

/* ------------------------------------------------------------------ running */

static void test_init(struct test *t, struct suite *s, size_t number)
{
    memset(t, 0, sizeof(*t));
    t->suite = s;
    t->store = s->store;
    host_call_init(&t->host_call);
    t->call.struct_size = sizeof(t->call);
    t->call.attempt = 1;
    t->call.host_call = &t->host_call;
    snprintf(t->prefix, sizeof(t->prefix), "%s/c%zu/", s->run_prefix, number);
}

/* Removes what a case left, as far as list shows it. */
static void test_clean(struct test *t)
{
    struct listing l = {0};
    struct list_query q = {.prefix = t->prefix};
    bool more = op_list(t, &q, &l) == PERSIST_BACKEND_OK && l.n;
    for (size_t i = 0; more && i < l.n; i++)
        op_delete(t, l.items[i].key, NULL);
    listing_finish(&l);
}

static const char *volatile running = "loading the file"; /* for the signals */

static void bail_out(const char *what)
{
    const char *id = running;
    if (write(STDOUT_FILENO, what, strlen(what)) < 0 ||
        write(STDOUT_FILENO, id, strlen(id)) < 0 ||
        write(STDOUT_FILENO, "\n", 1) < 0)
        _exit(2);
}

/* A hang cannot be ended from inside: say which case, and stop. */
static void on_alarm(int number)
{
    (void)number;
    bail_out("\nBail out! a call hangs in ");
    _exit(1);
}

/* Returning from it does again what crashed, now as if nobody listened. */
static void on_crash(int number)
{
    signal(number, SIG_DFL);
    bail_out("\nBail out! the backend crashes in ");
    raise(number);
}

/* A sanitizer that listens already says more than this. */
static void listen_for_crashes(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction now;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        if (sigaction(crashes[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            signal(crashes[i], on_crash);
}

static void run_case(struct suite *s, const struct conformance_case *c,
                     struct report *r, const struct arguments *a)
{
    struct test *t = must_alloc(sizeof(*t));
    test_init(t, s, r->n_rows + 1);
    running = c->id;
    alarm(a->timeout_s);
    c->run(t);
    test_clean(t);
    alarm(0);
    enum report_result result = t->failed    ? REPORT_FAILED
                                : t->skipped ? REPORT_SKIPPED
                                             : REPORT_PASSED;
    report_case(r, c->id, result, t->why);
    host_call_finish(&t->host_call);
    free(t);
}

/* The one rule that can only be seen when the store is closed. */
static const char close_id[] = "lifecycle.close.gives-memory-back";

static void each_case(const struct arguments *a, struct suite *s,
                      struct report *r)
{
    for (size_t g = 0; g < N_GROUPS; g++) {
        for (const struct conformance_case *c = groups[g]; c->id; c++) {
            if (!is_chosen(a, c->id))
                continue;
            if (r)
                run_case(s, c, r, a);
            else
                printf("%s\n", c->id);
        }
    }
}

static void report_close(const struct arguments *a, struct report *r)
{
    if (is_chosen(a, close_id))
        report_case(r, close_id, host_blocks ? REPORT_FAILED : REPORT_PASSED,
                    "memory of the host is still held after close");
}

int main(int argc, char **argv)
{
    static struct arguments a = {.timeout_s = 120};
    static struct suite s;
    struct report r;
    parse_arguments(argc, argv, &a);
    if (a.list) {
        each_case(&a, NULL, NULL);
        if (is_chosen(&a, close_id))
            printf("%s\n", close_id);
        return 0;
    }
    s.host = host_services();
    pthread_mutex_init(&s.observed.lock, NULL);
    signal(SIGALRM, on_alarm);
    listen_for_crashes();
    alarm(a.timeout_s);
    if (load(&s, a.backend) || build_configs(&s, &a))
        return 2;
    running = "opening the store";
    if (open_suite(&s))
        return 2;
    alarm(0);

    report_init(&r);
    each_case(&a, &s, &r);
    running = "closing the store";
    alarm(a.timeout_s);
    s.ops->close(s.store);
    alarm(0);
    report_close(&a, &r);
    if (s.n_repeated)
        printf("# %u transient or throttled requests were repeated\n",
               s.n_repeated);
    size_t n_failed = r.n_failed, n_rows = r.n_rows;
    int rc = report_finish(&r, s.descriptor->name, a.junit);
    config_finish(&s.config);
    config_finish(&s.denied);
    if (rc || n_rows == 0)
        return refuse(rc ? "the JUnit file cannot be written"
                         : "no case was chosen (--list prints them)") +
               3;
    return n_failed ? 1 : 0;
}
