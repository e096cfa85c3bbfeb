/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the command that gives a secret.  No shell, no inherited descriptor,
 * a deadline and a ceiling for its output; its whole process group goes when
 * either is passed.
 *
 * fork and not posix_spawn: closing unknown descriptors portably needs code in
 * the child.  Between fork and execve only async-signal-safe calls are made,
 * since other threads may have held locks.
 */
#include "services/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/os.h"
#include "util/clock.h"
#include "util/secret.h"

#define NS_PER_MS UINT64_C(1000000)
#define EXEC_FAILED 127

/* ------------------------------------------------------------------- child */

/* Handlers of the application must not run in the child: they write to
 * descriptors it still shares.  So signals stay blocked until none is left. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        sigaction(signal_number, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(const struct config_command *command, int output)
{
    setpgid(0, 0);
    reset_signals();
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        _exit(EXEC_FAILED);
    /* Out of the way of 0, 1 and 2, which may have been closed. */
    null = fcntl(null, F_DUPFD, 3);
    output = fcntl(output, F_DUPFD, 3);
    if (null < 0 || output < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 ||
        dup2(null, 2) < 0)
        _exit(EXEC_FAILED);
    os_close_from(3);
    /* execve writes to neither; its prototype is older than const. */
    execve(command->argv[0], (char *const *)command->argv,
           (char *const *)command->environment);
    _exit(EXEC_FAILED);
}

/* ------------------------------------------------------------------ parent */

static pid_t start(const struct config_command *command, int *out_fd)
{
    sigset_t all, before;
    int ends[2];

    if (os_pipe(ends) != 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        run_child(command, ends[1]);
    int saved = errno;
    if (pid > 0)
        setpgid(pid, pid); /* whoever comes first */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    *out_fd = ends[0];
    errno = saved;
    return pid;
}

static int ms_until(uint64_t deadline_ns)
{
    uint64_t now = clock_boot_ns(&clock_system);
    if (now >= deadline_ns)
        return 0;
    uint64_t ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > 60000 ? 60000 : (int)ms;
}

/* NULL at the end of the output, or what is wrong. */
static const char *collect(int fd, char *out, size_t max, uint64_t deadline_ns,
                           size_t *out_len)
{
    size_t len = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left_ms = ms_until(deadline_ns);
        if (left_ms == 0)
            return "took too long";
        int ready = poll(&p, 1, left_ms);
        if (ready <= 0)
            continue; /* a signal, or the deadline: asked above */
        ssize_t n = read(fd, out + len, max + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return "could not be read from";
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return "wrote too much";
    }
    *out_len = len;
    return NULL;
}

static void kill_group(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
}

/* A program may close its output and go on. */
static const char *await(pid_t pid, uint64_t deadline_ns, int *out_status)
{
    const char *problem = NULL;

    for (;;) {
        pid_t n = waitpid(pid, out_status, problem ? 0 : WNOHANG);
        if (n == pid)
            return problem;
        if (n < 0 && errno != EINTR)
            return "left no exit status: this program ignores or reaps all "
                   "children";
        if (!problem && ms_until(deadline_ns) == 0) {
            kill_group(pid);
            problem = "took too long";
        }
        if (n == 0 && !problem)
            clock_system.sleep_ns(NULL, NS_PER_MS, -1);
    }
}

static int judge(const char *name, const char *problem, int status,
                 struct persist_error *err)
{
    if (problem)
        return error_set(err, PERSIST_E_CONFIG, "%s %s", name, problem);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
        return error_set(err, PERSIST_E_CONFIG, "%s could not be run", name);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return error_set(err, PERSIST_E_CONFIG, "%s failed with exit code %d",
                         name, WEXITSTATUS(status));
    if (WIFSIGNALED(status))
        return error_set(err, PERSIST_E_CONFIG, "%s was killed by signal %d",
                         name, WTERMSIG(status));
    return PERSIST_OK;
}

int config_command_run(const struct config_command *command,
                       struct secret **out, size_t *out_len,
                       struct persist_error *err)
{
    const char *name = command->argv[0];
    int fd = -1, status = 0;

    *out = NULL;
    *out_len = 0;
    struct secret *output = secret_create(NULL, command->output_max + 1);
    if (!output)
        return error_memory(err);
    uint64_t deadline_ns =
        clock_boot_ns(&clock_system) + command->timeout_ms * NS_PER_MS;
    pid_t pid = start(command, &fd);
    if (pid < 0) {
        secret_destroy(output);
        return error_errno(err, errno, "cannot start %s", name);
    }
    const char *problem = collect(fd, secret_edit(output), command->output_max,
                                  deadline_ns, out_len);
    close(fd);
    if (problem)
        kill_group(pid);
    const char *late = await(pid, deadline_ns, &status);
    int rc = judge(name, problem ? problem : late, status, err);
    if (rc != PERSIST_OK) {
        secret_destroy(output);
        return rc;
    }
    *out = output;
    return PERSIST_OK;
}
