/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper program without a shell.
 *
 * posix_spawn, because the process may have many threads: between a fork and an
 * exec little is allowed.
 */
#include "support/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/os.h"
#include "support/fail.h"
#include "support/text.h"

#define NS_PER_MS ((uint64_t)1000000)
#define LOOK_MS 50

/* ---------------------------------------------------------------- splitting */

struct splitter {
    const char *p;
    char *out;
    bool bad; /* an open quote */
};

static void take_quoted(struct splitter *s)
{
    char quote = *s->p++;

    while (*s->p != '\0' && *s->p != quote) {
        if (quote == '"' && *s->p == '\\' && s->p[1] != '\0' &&
            strchr("\"\\$`", s->p[1]) != NULL)
            s->p++;
        *s->out++ = *s->p++;
    }
    if (*s->p == '\0')
        s->bad = true;
    else
        s->p++;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static void take_word(struct splitter *s)
{
    while (*s->p != '\0' && !is_blank(*s->p) && !s->bad) {
        if (*s->p == '\'' || *s->p == '"') {
            take_quoted(s);
            continue;
        }
        if (*s->p == '\\')
            s->p++;
        if (*s->p == '\0')
            s->bad = true;
        else
            *s->out++ = *s->p++;
    }
    *s->out++ = '\0';
}

int32_t command_split(const char *line, struct command_words *out,
                      struct persist_backend_error *err)
{
    struct splitter s = {.p = line};

    *out = (struct command_words){0};
    out->storage_len = strlen(line) + 1;
    out->storage = malloc(out->storage_len);
    if (out->storage == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    s.out = out->storage;
    for (;;) {
        while (is_blank(*s.p))
            s.p++;
        if (*s.p == '\0' || s.bad || out->n == COMMAND_WORDS_MAX)
            break;
        out->argv[out->n++] = s.out;
        take_word(&s);
    }
    out->argv[out->n] = NULL;
    if (!s.bad && *s.p == '\0' && out->n > 0)
        return PERSIST_BACKEND_OK;
    command_words_finish(out);
    return fail(err, PERSIST_BACKEND_CONFIG,
                s.bad          ? "a command with an open quote"
                : *s.p == '\0' ? "a command without words"
                               : "a command with too many words");
}

void command_words_finish(struct command_words *w)
{
    secret_wipe_bytes(w->storage, w->storage_len);
    free(w->storage);
    *w = (struct command_words){0};
}

/* ----------------------------------------------------------------- spawning */

/* The environment and the extra texts, which come first and so win. */
static char **make_environment(const char *const *extra)
{
    char **const inherited = os_child_environment();
    size_t n = 0, n_extra = 0, at = 0;
    char **out;

    while (inherited != NULL && inherited[n] != NULL)
        n++;
    while (extra != NULL && extra[n_extra] != NULL)
        n_extra++;
    out = calloc(n + n_extra + 1, sizeof(*out));
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n_extra; i++)
        out[at++] = (char *)extra[i];
    for (size_t i = 0; i < n; i++) {
        bool hidden = false;

        for (size_t j = 0; j < n_extra && !hidden; j++)
            hidden = strncmp(inherited[i], extra[j],
                             strcspn(extra[j], "=") + 1) == 0;
        if (!hidden)
            out[at++] = inherited[i];
    }
    return out;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attributes, 0);
    if (rc == 0)
        rc = posix_spawnattr_setflags(
            attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                POSIX_SPAWN_SETPGROUP));
    return rc;
}

/* Standard input from /dev/null, output to fd, nothing above standard error. */
static int set_files(posix_spawn_file_actions_t *files, int fd)
{
    int rc =
        posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, fd, 1);
    if (rc == 0)
        rc = os_spawn_close_from(files, 3);
    return rc;
}

/* 0 or an errno value. */
static int spawn(char *const argv[], char *const environment[], int fd,
                 pid_t *out_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        rc = set_attributes(&attributes);
        if (rc == 0)
            rc = set_files(&files, fd);
        if (rc == 0)
            rc = posix_spawnp(out_pid, argv[0], &files, &attributes, argv,
                              environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* ------------------------------------------------------------------ running */

struct run {
    const struct persist_backend_host *host;
    const struct persist_backend_call *call;
    const char *name;
    uint64_t end_ns;
    int fd;
    struct text printed;
    struct persist_backend_error *err;
};

static int32_t look(struct run *r, int *out_wait_ms)
{
    uint64_t now = r->host->monotonic_ns();

    if (r->host->is_cancelled(r->call) != 0)
        return fail(r->err, PERSIST_BACKEND_CANCELLED, "cancelled");
    if (now >= r->end_ns)
        return fail(r->err, PERSIST_BACKEND_AUTH, "%.200s ran for too long",
                    r->name);
    *out_wait_ms = LOOK_MS;
    if ((r->end_ns - now) / NS_PER_MS < LOOK_MS)
        *out_wait_ms = (int)((r->end_ns - now) / NS_PER_MS) + 1;
    return PERSIST_BACKEND_OK;
}

/* Until it closes its output. */
static int32_t collect(struct run *r)
{
    struct pollfd p[2] = {
        {.fd = r->fd, .events = POLLIN},
        {.fd = r->host->cancel_fd != NULL ? r->host->cancel_fd(r->call) : -1,
         .events = POLLIN}};
    char chunk[4096];
    int32_t rc = PERSIST_BACKEND_OK;

    for (;;) {
        int wait_ms = 0;
        ssize_t n = 0;

        rc = look(r, &wait_ms);
        if (rc != PERSIST_BACKEND_OK)
            break;
        if (poll(p, 2, wait_ms) <= 0 || p[0].revents == 0)
            continue;
        n = read(r->fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text_add_bytes(&r->printed, chunk, (size_t)n);
        if (r->printed.failed) {
            rc = r->printed.too_long
                     ? fail(r->err, PERSIST_BACKEND_AUTH,
                            "%.200s prints too much", r->name)
                     : fail(r->err, PERSIST_BACKEND_MEMORY, "out of memory");
            break;
        }
    }
    secret_wipe_bytes(chunk, sizeof(chunk));
    return rc;
}

/* Waits for the program, whose output has ended: not for long. */
static int32_t reap(struct run *r, pid_t pid, int32_t rc)
{
    int status = 0, wait_ms = 0;
    pid_t got = 0;

    while (rc == PERSIST_BACKEND_OK && got == 0) {
        got = waitpid(pid, &status, WNOHANG);
        if (got == 0)
            rc = look(r, &wait_ms);
        if (got == 0 && rc == PERSIST_BACKEND_OK)
            (void)poll(NULL, 0, wait_ms < 5 ? wait_ms : 5);
    }
    (void)kill(-pid, SIGKILL); /* also what it left behind */
    while (got == 0 || (got < 0 && errno == EINTR))
        got = waitpid(pid, &status, 0);
    if (rc != PERSIST_BACKEND_OK || got < 0) /* someone reaps all children */
        return rc;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return PERSIST_BACKEND_OK;
    if (WIFEXITED(status))
        return fail(r->err, PERSIST_BACKEND_AUTH, "%.200s ended with %d",
                    r->name, WEXITSTATUS(status));
    return fail(r->err, PERSIST_BACKEND_AUTH, "%.200s was ended by signal %d",
                r->name, WTERMSIG(status));
}

/* Starts it and reads to the end. */
static int32_t run_in(struct run *r, char *const argv[],
                      char *const environment[])
{
    int ends[2], rc;
    pid_t pid = 0;
    int32_t code;

    rc = os_pipe(ends);
    if (rc != 0)
        return fail_errno(r->err, PERSIST_BACKEND_IO, -rc,
                          "cannot make a pipe");
    rc = spawn(argv, environment, ends[1], &pid);
    (void)close(ends[1]);
    r->fd = ends[0];
    if (rc != 0)
        code = fail_errno(r->err,
                          rc == ENOMEM || rc == EAGAIN ? PERSIST_BACKEND_MEMORY
                                                       : PERSIST_BACKEND_CONFIG,
                          rc, "cannot run %.200s", r->name);
    else
        code = reap(r, pid, collect(r));
    (void)close(ends[0]);
    return code;
}

int32_t command_run(const struct persist_backend_host *host,
                    const struct persist_backend_call *call, char *const argv[],
                    const char *const *extra_env, uint32_t timeout_ms,
                    size_t max, struct secret *out,
                    struct persist_backend_error *err)
{
    struct run r = {.host = host,
                    .call = call,
                    .name = argv[0],
                    .end_ns = host->monotonic_ns() + timeout_ms * NS_PER_MS,
                    .printed = {.max = max, .secret = true},
                    .err = err};
    char **environment;
    int32_t rc;

    /* Its caller's PATH says where others would be found. */
    if (os_is_privileged() && strchr(argv[0], '/') == NULL)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "%.200s: a program with more rights than its caller runs "
                    "others by their path only",
                    argv[0]);
    environment = make_environment(extra_env);
    if (environment == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    if ((call->present & PERSIST_BACKEND_CALL_DEADLINE) != 0 &&
        call->deadline_ns < r.end_ns)
        r.end_ns = call->deadline_ns;
    rc = run_in(&r, argv, environment);
    if (rc == PERSIST_BACKEND_OK) {
        rc = secret_set(out, text_str(&r.printed), r.printed.len);
        if (rc != PERSIST_BACKEND_OK)
            rc = fail(err, rc, "out of memory");
    }
    text_finish(&r.printed);
    free(environment);
    return rc;
}
