/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a probe.  The child's answer is as untrusted as the plugin in
 * it: it is bounded in size and time and must be the JSON it should be.
 */
#include "cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/signals.h"
#include "posix/os.h"
#include "util/error.h"
#include "util/text.h"

enum { PROBE_FD = 3, ANSWER_MAX = 1024 * 1024 };

/* ------------------------------------------------------------------- child */

static json_t *option_json(const struct persist_option_info *option)
{
    json_t *o = json_object();

    json_object_set_new(o, "key", output_text(option->key));
    json_object_set_new(o, "type", output_text(option->type));
    json_object_set_new(o, "required", json_boolean(option->required));
    json_object_set_new(o, "default", output_text(option->default_value));
    json_object_set_new(o, "choices", output_text(option->choices));
    json_object_set_new(o, "alias", output_text(option->alias));
    json_object_set_new(o, "secret", json_boolean(option->secret));
    json_object_set_new(o, "deprecated", json_boolean(option->deprecated));
    json_object_set_new(o, "repeatable", json_boolean(option->repeatable));
    json_object_set_new(o, "since", output_text(option->since));
    json_object_set_new(o, "help", output_text(option->help));
    return o;
}

json_t *probe_backend_json(const struct persist_backend_info *info)
{
    json_t *o = json_object();
    json_t *list = json_array();

    json_object_set_new(o, "type", json_string("backend"));
    json_object_set_new(o, "name", output_text(info->name));
    json_object_set_new(o, "path", output_text(info->path));
    json_object_set_new(o, "status",
                        json_string(persist_status_name(info->status)));
    if (info->status != PERSIST_OK) {
        if (info->error)
            cli_error_json(o, info->status, info->error);
        json_decref(list);
        return o;
    }
    struct buf text;
    buf_init(&text, 32);
    buf_printf(&text, "%u.%u", (unsigned)info->abi_major,
               (unsigned)info->abi_minor);
    json_object_set_new(o, "abi", output_text(text.data));
    buf_finish(&text);
    json_object_set_new(o, "version", output_text(info->version));
    json_object_set_new(o, "vendor", output_text(info->vendor));
    json_object_set_new(o, "licence", output_text(info->licence));
    json_object_set_new(o, "thread_model", output_text(info->thread_model));
    for (size_t i = 0; i < info->n_options; i++)
        json_array_append_new(list, option_json(&info->options[i]));
    json_object_set_new(o, "options", list);
    return o;
}

struct answer {
    json_t *object;
    int status;
    struct persist_error error;
};

static int take_info(void *ctx, const struct persist_backend_info *info)
{
    struct answer *answer = ctx;

    json_decref(answer->object);
    answer->object = probe_backend_json(info);
    answer->status = info->status;
    if (info->error)
        answer->error = *info->error;
    return PERSIST_OK;
}

static json_t *error_json(int rc, const struct persist_error *err)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string("error"));
    json_object_set_new(o, "status", json_integer(rc));
    cli_error_json(o, rc, err);
    return o;
}

int probe_child(const char *path)
{
    struct persist_options options = PERSIST_OPTIONS_INIT;
    struct answer answer = {.status = PERSIST_E_INTERNAL};
    struct persist *p = NULL;
    struct output out;

    options.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    int rc = persist_create(&options, &p, &answer.error);
    if (rc == PERSIST_OK)
        rc =
            persist_backend_inspect(p, path, take_info, &answer, &answer.error);
    if (rc == PERSIST_OK)
        rc = answer.status;
    if (rc != PERSIST_OK) {
        json_decref(answer.object);
        answer.object = error_json(rc, &answer.error);
    }
    output_init(&out, PROBE_FD);
    output_json(&out, answer.object);
    rc = output_finish(&out, NULL);
    persist_destroy(p);
    return rc == PERSIST_OK ? 0 : 1;
}

bool probe_is_child(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], PROBE_ARGUMENT) == 0;
}

/* ------------------------------------------------------------------ parent */

static int64_t now_ms(void)
{
    return (int64_t)(os_monotonic_ns() / 1000000);
}

/* Starts the child with the pipe as PROBE_FD, everything it says on standard
 * error, and a process group of its own, so that all of it can be ended. */
static int start_child(const char *self, const char *path, int fd, pid_t *out)
{
    char *argv[] = {(char *)"persist", (char *)PROBE_ARGUMENT, (char *)path,
                    NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char path_buf[PATH_MAX];
    sigset_t all;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fd, PROBE_FD);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    const char *program = os_program_path(path_buf, sizeof(path_buf));
    int rc = program ? posix_spawn(out, program, &actions, &attributes, argv,
                                   os_environment())
                     : ENOENT;
    /* No /proc: by the name we were called. */
    if (rc == ENOENT || rc == EACCES)
        rc = posix_spawnp(out, self, &actions, &attributes, argv,
                          os_environment());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

enum ending { ENDED, TIMED_OUT, INTERRUPTED, TOO_MUCH };

/* Reads until the child closes the pipe. */
static enum ending read_answer(int fd, int64_t deadline, struct buf *out)
{
    char chunk[4096];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();

        if (signals_interrupted())
            return INTERRUPTED;
        if (left <= 0)
            return TIMED_OUT;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ENDED;
        buf_append(out, chunk, (size_t)n);
        if (buf_failed(out))
            return TOO_MUCH;
    }
}

/* Waits for the child, within the deadline too: it may have closed the pipe and
 * live on. */
static enum ending reap(pid_t pid, int64_t deadline, enum ending ending,
                        int *out_status)
{
    const struct timespec nap = {.tv_nsec = 2000000};

    while (ending == ENDED) {
        pid_t done = waitpid(pid, out_status, WNOHANG);
        if (done == pid)
            return ENDED;
        if (done < 0 && errno != EINTR)
            return ENDED;
        if (signals_interrupted())
            ending = INTERRUPTED;
        else if (now_ms() >= deadline)
            ending = TIMED_OUT;
        else
            nanosleep(&nap, NULL);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, out_status, 0) < 0 && errno == EINTR)
        continue;
    return ending;
}

static int bad_ending(struct persist_error *err, enum ending ending, int status,
                      unsigned timeout_ms)
{
    switch (ending) {
    case TIMED_OUT:
        return error_set(err, PERSIST_E_CONFIG,
                         "the plugin did not finish loading within %u ms",
                         timeout_ms);
    case INTERRUPTED:
        return error_set(err, PERSIST_E_CANCELLED, "interrupted");
    case TOO_MUCH:
        return error_set(err, PERSIST_E_CONFIG,
                         "the plugin describes itself in more than %d bytes",
                         ANSWER_MAX);
    case ENDED:
        break;
    }
    if (WIFSIGNALED(status))
        return error_set(err, PERSIST_E_CONFIG,
                         "the plugin crashed while it was loaded (signal %d)",
                         WTERMSIG(status));
    return error_set(err, PERSIST_E_CONFIG,
                     "the plugin ended the process while it was loaded "
                     "(exit code %d)",
                     WEXITSTATUS(status));
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* An error as the child wrote it. */
static int take_error(const json_t *object, struct persist_error *err)
{
    json_int_t status = json_integer_value(json_object_get(object, "status"));

    if (status >= 0 || status < PERSIST_E_MISUSE)
        status = PERSIST_E_CONFIG;
    error_set(err, (int)status, "%s", member(object, "message"));
    error_hint(err, "%s", member(object, "hint"));
    error_object(err, "%s", member(object, "object"));
    return (int)status;
}

static int take_answer(const struct buf *answer_text, int status,
                       unsigned timeout_ms, json_t **out,
                       struct persist_error *err)
{
    json_t *object =
        answer_text->len > 0 ? json_loads(answer_text->data, 0, NULL) : NULL;
    int rc;

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || answer_text->len == 0)
        rc = bad_ending(err, ENDED, status, timeout_ms);
    else if (strcmp(member(object, "type"), "error") == 0)
        rc = take_error(object, err);
    else if (strcmp(member(object, "type"), "backend") != 0)
        rc = error_set(err, PERSIST_E_CONFIG,
                       "the plugin wrote into the probe's answer");
    else
        rc = PERSIST_OK;
    if (rc == PERSIST_OK)
        *out = object;
    else
        json_decref(object);
    return rc;
}

int probe_run(const char *self, const char *path, unsigned timeout_ms,
              json_t **out, struct persist_error *err)
{
    int64_t deadline = now_ms() + timeout_ms;
    struct buf text;
    int fds[2];
    int status = 0;
    pid_t pid;

    buf_init(&text, ANSWER_MAX);
    int error = -os_pipe(fds);
    if (error != 0)
        return error_errno(err, error, "cannot make a pipe");
    error = start_child(self, path, fds[1], &pid);
    close(fds[1]);
    if (error != 0) {
        close(fds[0]);
        return error_errno(err, error, "cannot start a process for the probe");
    }
    enum ending ending = read_answer(fds[0], deadline, &text);
    ending = reap(pid, deadline, ending, &status);
    close(fds[0]);
    int rc = ending == ENDED ? take_answer(&text, status, timeout_ms, out, err)
                             : bad_ending(err, ending, status, timeout_ms);
    if (rc != PERSIST_OK && err->object[0] == '\0')
        error_object(err, "%s", path);
    buf_finish(&text);
    return rc;
}
