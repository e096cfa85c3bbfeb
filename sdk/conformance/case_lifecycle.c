/* SPDX-License-Identifier: 0BSD */
/*
 * The descriptor, opening and closing, and what a backend must leave alone.
 */
#include <dirent.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

extern char **environ;

static bool is_name(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return text && *text && strlen(text) <= 32 &&
           strspn(text, allowed) == strlen(text);
}

/* Of 1 to 256 bytes. */
static bool is_line(const char *text)
{
    size_t len = text ? strnlen(text, 257) : 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return len > 0 && len <= 256;
}

static void descriptor(struct test *t)
{
    const struct persist_backend_descriptor *d = t->suite->descriptor;
    const char *file = t->suite->file_name;
    size_t len = strlen(d->name ? d->name : "");
    expect(t, is_name(d->name), "the name '%s' is not [a-z0-9-]{1,32}",
           d->name ? d->name : "");
    expect(t, strncmp(file, d->name, len) == 0 && !strcmp(file + len, ".so"),
           "the file %s holds the backend '%s'", file, d->name);
    expect(t, is_line(d->version), "the version is not one line of text");
    expect(t, d->licence && *d->licence, "no licence");
    expect(t,
           d->thread_model == PERSIST_BACKEND_PARALLEL ||
               d->thread_model == PERSIST_BACKEND_SERIAL,
           "thread_model is %u", d->thread_model);
    expect(t, d->min_host_minor <= d->abi_minor,
           "min_host_minor %u is above abi_minor %u", d->min_host_minor,
           d->abi_minor);
}

static void options(struct test *t)
{
    char why[512];
    config_check_table(t->suite->descriptor, why, sizeof(why));
    expect(t, !why[0], "%s", why);
}

static void entry_constant(struct test *t)
{
    expect(t, t->suite->entry(t->suite->host) == t->suite->descriptor,
           "the entry function gave another descriptor the second time");
}

static void extensions(struct test *t)
{
    const struct persist_backend_descriptor *d = t->suite->descriptor;
    if (!PERSIST_BACKEND_HAS(d, get_extension) || !d->get_extension) {
        test_skip(t, "the backend has no get_extension");
        return;
    }
    expect(t, d->get_extension("persist.no-such-thing/1") == NULL,
           "get_extension answers to a name it cannot know");
}

static long count_fds(void)
{
    long n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Stores that were used: what a backend opens late is closed as well. */
static void open_close(struct test *t)
{
    void *own = t->store;
    long fds = -1;
    long long blocks = 0;
    for (int i = 0; i < 50 && !t->failed; i++) {
        void *store = NULL;
        struct persist_backend_error error;
        int32_t rc = op_open(t->suite, &t->suite->config, &store, &error);
        if (!expect(t, rc == PERSIST_BACKEND_OK, "open answered %s (%s)",
                    status_name(rc), error.message))
            break;
        t->store = store;
        op_head(t, "no-such-key", NULL);
        t->store = own;
        t->suite->ops->close(store);
        if (i == 1) {
            fds = count_fds();
            blocks = host_blocks;
        }
    }
    expect(t, count_fds() == fds, "50 opens took descriptors: %ld, then %ld",
           fds, count_fds());
    expect(t, host_blocks == blocks,
           "50 opens kept memory blocks of the host: %lld, then %lld", blocks,
           (long long)host_blocks);
}

static void two_stores(struct test *t)
{
    void *own = t->store, *other = NULL;
    char key[KEY_CAP];
    struct persist_backend_error error;
    test_key(t, "object", key);
    must_put(t, key, "seen", 4, 0);
    expect_rc(t, "open", op_open(t->suite, &t->suite->config, &other, &error),
              PERSIST_BACKEND_OK);
    if (!other)
        return;
    t->store = other;
    must_hold(t, key, "seen", 4);
    must_put(t, key, "changed", 7, 0);
    t->suite->ops->close(other);
    t->store = own;
    must_hold(t, key, "changed", 7);
}

/* Memory that was counted for a call is given back with its answer. */
static void host_memory(struct test *t)
{
    char key[KEY_CAP];
    uint64_t max = t->suite->limits.put_max;
    uint64_t len = max && max < 1 << 18 ? max : 1 << 18;
    uint8_t *data = test_bytes(len, 8);
    long long blocks = 0;
    test_key(t, "object", key);
    for (int i = 0; i < 20; i++) {
        must_put(t, key, data, len, 0);
        must_hold(t, key, data, len);
        op_head(t, "no-such-key", NULL);
        if (i == 0)
            blocks = host_blocks;
    }
    expect(t, host_blocks <= blocks,
           "20 rounds kept memory blocks of the host: %lld, then %lld", blocks,
           (long long)host_blocks);
    free(data);
}

static void call_fds(struct test *t)
{
    char key[KEY_CAP];
    struct listing l = {0};
    struct list_query q = {.prefix = t->prefix};
    long fds = -1;
    for (int i = 0; i < 40; i++) {
        must_put(t, test_key(t, "a/b/object", key), "x", 1, 0);
        must_hold(t, key, "x", 1);
        expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
        listing_finish(&l);
        must_delete(t, key);
        op_head(t, key, NULL);
        if (i == 3)
            fds = count_fds();
    }
    expect(t, count_fds() <= fds, "40 rounds took descriptors: %ld, then %ld",
           fds, count_fds());
}

struct process {
    char cwd[4096];
    char locale[256];
    mode_t mask;
    size_t n_environ;
    void (*on_pipe)(int);
    sigset_t blocked;
};

static void process_read(struct process *p)
{
    struct sigaction action;
    memset(p, 0, sizeof(*p));
    if (!getcwd(p->cwd, sizeof(p->cwd)))
        p->cwd[0] = '\0';
    snprintf(p->locale, sizeof(p->locale), "%s", setlocale(LC_ALL, NULL));
    p->mask = umask(0);
    umask(p->mask);
    for (char **e = environ; *e; e++)
        p->n_environ++;
    sigaction(SIGPIPE, NULL, &action);
    p->on_pipe = action.sa_handler;
    pthread_sigmask(SIG_BLOCK, NULL, &p->blocked);
}

static void process_state(struct test *t)
{
    struct process before, after;
    char key[KEY_CAP];
    struct persist_backend_error error;
    void *store = NULL;
    process_read(&before);
    expect_rc(t, "open", op_open(t->suite, &t->suite->config, &store, &error),
              PERSIST_BACKEND_OK);
    must_put(t, test_key(t, "object", key), "x", 1, 0);
    must_hold(t, key, "x", 1);
    if (store)
        t->suite->ops->close(store);
    process_read(&after);
    expect(t, strcmp(before.cwd, after.cwd) == 0, "the directory changed");
    expect(t, strcmp(before.locale, after.locale) == 0, "the locale changed");
    expect(t, before.mask == after.mask, "the umask changed");
    expect(t, before.n_environ == after.n_environ, "the environment changed");
    expect(t, before.on_pipe == after.on_pipe, "SIGPIPE changed");
    expect(t,
           sigismember(&before.blocked, SIGINT) ==
               sigismember(&after.blocked, SIGINT),
           "the signal mask changed");
}

const struct conformance_case cases_lifecycle[] = {
    {"lifecycle.descriptor.valid", descriptor},
    {"lifecycle.descriptor.options-valid", options},
    {"lifecycle.entry.constant", entry_constant},
    {"lifecycle.extension.unknown-is-null", extensions},
    {"lifecycle.open.and-close-leave-nothing", open_close},
    {"lifecycle.open.two-stores-of-one-place", two_stores},
    {"lifecycle.calls.give-memory-back", host_memory},
    {"lifecycle.calls.take-no-descriptors", call_fds},
    {"lifecycle.process.state-is-untouched", process_state},
    {NULL, NULL},
};
