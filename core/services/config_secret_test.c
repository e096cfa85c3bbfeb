/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: given plainly, in a file, by a command; and commands that misbehave.
 */
#include "services/config_testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "util/clock.h"
#include "util/secret.h"

static int secret_of(const struct config *c, struct secret **out,
                     struct config_value *value, struct persist_error *err)
{
    memset(err, 0, sizeof(*err));
    return config_store_secret(c, "a", "password", out, value, err);
}

/* Loads [store a] with the line, and asks for its password. */
static int from_line(const char *line, struct secret **out,
                     struct persist_error *err)
{
    char text[1024];
    struct config *c;
    struct config_value value;
    snprintf(text, sizeof(text), "[store a]\n%s\n", line);
    assert_int_equal(load_text(text, &c, err), PERSIST_OK);
    int rc = secret_of(c, out, &value, err);
    if (rc == PERSIST_OK && *out)
        assert_has(value.origin, "c.conf:2");
    config_destroy(c);
    return rc;
}

static void assert_secret(const char *line, const char *want)
{
    struct secret *s = NULL;
    struct persist_error err;
    size_t len;
    if (from_line(line, &s, &err) != PERSIST_OK)
        fail_msg("%s", err.message);
    assert_non_null(s);
    assert_string_equal(secret_reveal(s, &len), want);
    assert_int_equal(len, strlen(want));
    secret_destroy(s);
}

static void assert_no_secret(const char *line, const char *message)
{
    struct secret *s = NULL;
    struct persist_error err;
    assert_int_equal(from_line(line, &s, &err), PERSIST_E_CONFIG);
    assert_int_equal(err.status, PERSIST_E_CONFIG);
    assert_null(s);
    assert_has(err.message, message);
}

static void secret__given_plainly_or_not_at_all(void **state)
{
    (void)state;
    struct secret *s = (struct secret *)1;
    struct persist_error err;
    assert_secret("password = hunter2", "hunter2");
    assert_int_equal(from_line("root = /x", &s, &err), PERSIST_OK);
    assert_null(s);
    assert_no_secret("password =", "password gives nothing");
}

static void secret__set_twice_is_refused(void **state)
{
    (void)state;
    assert_no_secret("password = x\npassword_file = /y",
                     "password_file is set, and password too");
    assert_no_secret("password_file = /x\npassword_command = /y",
                     "password_command is set, and password_file too");
}

static void secret__declared_by_a_plugin_is_checked_too(void **state)
{
    (void)state;
    /* "sesame" is secret by no rule of names. */
    static const char text[] = "[store a]\nsesame = open\n";
    struct config *c;
    struct secret *s = NULL;
    struct config_value value;
    struct persist_error err;
    struct config_sources sources = nothing_else();
    sources.extra_file = write_bytes("c.conf", text, strlen(text), 0644);
    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);
    assert_int_equal(config_store_secret(c, "a", "sesame", &s, &value, &err),
                     PERSIST_E_CONFIG);
    assert_has(err.message, "c.conf:2: sesame is a secret and others may read");
    config_destroy(c);

    write_bytes("c.conf", text, strlen(text), 0602);
    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);
    assert_int_equal(config_store_secret(c, "a", "sesame", &s, &value, &err),
                     PERSIST_E_CONFIG);
    assert_has(err.message, "others may write it");
    config_destroy(c);
    assert_null(s);
}

static void secret__from_the_environment_does_not_blame_the_file(void **state)
{
    (void)state;
    static const char text[] = "[store a]\nsesame = open\n";
    const char *environment[] = {"PERSIST_STORE_A_SESAME=fromenv", NULL};
    struct config *c;
    struct secret *s = NULL;
    struct config_value value;
    struct persist_error err;
    struct config_sources sources = nothing_else();
    sources.environment = environment;
    sources.extra_file = write_bytes("c.conf", text, strlen(text), 0644);
    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_int_equal(config_store_secret(c, "a", "sesame", &s, &value, &err),
                     PERSIST_OK);
    assert_string_equal(secret_reveal(s, NULL), "fromenv");
    assert_string_equal(value.origin, "PERSIST_STORE_A_SESAME");
    secret_destroy(s);
    config_destroy(c);
}

/* -------------------------------------------------------------------- file */

static const char *line_for(const char *key, const char *path)
{
    static char line[300];
    snprintf(line, sizeof(line), "%s = %s", key, path);
    return line;
}

static void file__gives_its_content_without_one_newline(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"pw", "pw"},     {"pw\n", "pw"},     {"pw\n\n", "pw\n"},
        {"pw\r\n", "pw"}, {" p w ", " p w "}, {"a\nb\n", "a\nb"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_secret(line_for("password_file", write_file("s", rows[i][0])),
                      rows[i][1]);
    symlink("s", path_of("link"));
    assert_secret(line_for("password_file", path_of("link")), "a\nb");
}

static void file__that_is_unfit_is_refused(void **state)
{
    (void)state;
    static char large[CONFIG_SECRET_MAX + 2];
    memset(large, 'x', sizeof(large));
    make_directory("dir");
    mkfifo(path_of("fifo"), 0600);

    assert_no_secret(line_for("password_file", path_of("missing")),
                     "No such file or directory");
    assert_no_secret("password_file = relative/path",
                     "password_file is an absolute path");
    assert_no_secret("password_file =", "password_file is an absolute path");
    assert_no_secret(line_for("password_file", path_of("dir")),
                     "is not a regular file");
    assert_no_secret(line_for("password_file", path_of("fifo")),
                     "is not a regular file");
    assert_no_secret(
        line_for("password_file", write_bytes("open", "pw", 2, 0644)),
        "may be read by others");
    /* Whose secret it is decides where things go. */
    assert_no_secret(
        line_for("password_file", write_bytes("drop", "pw", 2, 0602)),
        "may be written by others");
    assert_no_secret(line_for("password_file", write_file("empty", "")),
                     "gives nothing");
    assert_no_secret(line_for("password_file", write_file("newline", "\n")),
                     "gives nothing");
    assert_no_secret(
        line_for("password_file", write_bytes("nul", "a\0b", 3, 0600)),
        "gives a NUL byte");
    assert_no_secret(
        line_for("password_file",
                 write_bytes("large", large, CONFIG_SECRET_MAX + 1, 0600)),
        "is larger than 64 KiB");
    large[CONFIG_SECRET_MAX] = '\0';
    assert_secret(line_for("password_file", write_file("fits", large)), large);
    if (geteuid() == 0) {
        const char *path = write_file("foreign", "pw");
        assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
        assert_no_secret(line_for("password_file", path),
                         "belongs to someone else");
    }
}

static void file__named_by_a_file_others_write_is_refused(void **state)
{
    (void)state;
    char text[200];
    struct config *c;
    struct secret *s = NULL;
    struct config_value value;
    struct persist_error err;
    struct config_sources sources = nothing_else();
    snprintf(text, sizeof(text), "[store a]\npassword_file = %s\n",
             write_file("s", "pw"));
    sources.extra_file = write_bytes("c.conf", text, strlen(text), 0606);
    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_int_equal(secret_of(c, &s, &value, &err), PERSIST_E_CONFIG);
    assert_has(err.message, "password_file is refused");
    config_destroy(c);
}

/* ----------------------------------------------------------------- command */

static void command__output_is_the_secret(void **state)
{
    (void)state;
    assert_secret("password_command = /bin/echo hush", "hush");
    assert_secret("password_command = /usr/bin/printf %s|  'a  b'\t\"c'd\"e ''",
                  "a  b|c'de||");
    /* No shell: nothing is expanded. */
    assert_secret("password_command = /bin/echo $HOME *;`id` \\n",
                  "$HOME *;`id` \\n");
}

static void command__that_is_unfit_or_fails_is_refused(void **state)
{
    (void)state;
    char many[600] = "password_command = /bin/echo";
    for (int i = 0; i < 65; i++)
        strcat(many, " x");
    static const char *const rows[][2] = {
        {"echo x", "begins with the absolute path"},
        {"", "begins with the absolute path"},
        {"/bin/echo 'x", "a quote that does not end"},
        {"/missing/program", "/missing/program could not be run"},
        {"/bin/sh -c 'exit 3'", "/bin/sh failed with exit code 3"},
        {"/bin/sh -c 'kill -9 $$'", "/bin/sh was killed by signal 9"},
        {"/bin/true", "password_command gives nothing"},
        {"/bin/cat", "password_command gives nothing"}, /* stdin is empty */
        {"/usr/bin/printf a\\000b", "gives a NUL byte"},
        {"/usr/bin/yes", "/usr/bin/yes wrote too much"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[100];
        snprintf(line, sizeof(line), "password_command = %s", rows[i][0]);
        assert_no_secret(line, rows[i][1]);
        assert_no_secret(line, "c.conf:2: password_command");
    }
    assert_no_secret(many, "more than 64 words");
}

static int run(const char *const *argv, unsigned timeout_ms, size_t max,
               char out[4096], struct persist_error *err)
{
    static const char *const environment[] = {"A=1", NULL};
    struct config_command command = {argv, environment, timeout_ms, max};
    struct secret *s;
    size_t len;
    memset(err, 0, sizeof(*err));
    int rc = config_command_run(&command, &s, &len, err);
    if (rc != PERSIST_OK)
        assert_null(s);
    else
        snprintf(out, 4096, "%.*s", (int)len, secret_reveal(s, NULL));
    secret_destroy(s);
    return rc;
}

static void command__output_has_an_exact_ceiling(void **state)
{
    (void)state;
    const char *const fits[] = {"/bin/echo", "ab", NULL};
    const char *const more[] = {"/bin/echo", "abc", NULL};
    char out[4096];
    struct persist_error err;
    assert_int_equal(run(fits, 10000, 3, out, &err), PERSIST_OK);
    assert_string_equal(out, "ab\n");
    assert_int_equal(run(more, 10000, 3, out, &err), PERSIST_E_CONFIG);
    assert_has(err.message, "wrote too much");
}

/* A zombie that init has not met yet is dead. */
static bool is_alive(int pid)
{
    char path[64], letter = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f) {
        assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &letter), 1);
        fclose(f);
    }
    return letter != 'Z' && letter != 'X';
}

static void
command__that_takes_too_long_is_killed_with_its_children(void **state)
{
    (void)state;
    const char *const slow[] = {"/bin/sleep", "60", NULL};
    const char *const silent[] = {"/bin/sh", "-c", "exec >&-; exec sleep 60",
                                  NULL};
    char script[200], out[4096];
    snprintf(script, sizeof(script), "sleep 60 & echo $! >%s", path_of("pid"));
    const char *const parent[] = {"/bin/sh", "-c", script, NULL};
    const char *const *const all[] = {slow, silent, parent};
    struct persist_error err;

    for (size_t i = 0; i < COUNT(all); i++) {
        uint64_t before = clock_boot_ns(&clock_system);
        assert_int_equal(run(all[i], 300, 10, out, &err), PERSIST_E_CONFIG);
        uint64_t ms = (clock_boot_ns(&clock_system) - before) / 1000000;
        assert_has(err.message, "took too long");
        assert_in_range(ms, 300, 20000);
    }
    FILE *f = fopen(path_of("pid"), "r");
    int grandchild = 0;
    assert_int_equal(fscanf(f, "%d", &grandchild), 1);
    fclose(f);
    for (int tries = 0; is_alive(grandchild) && tries < 500; tries++)
        clock_system.sleep_ns(NULL, 10000000, -1);
    assert_false(is_alive(grandchild));
}

static void command__inherits_no_descriptor(void **state)
{
    (void)state;
    const char *const list[] = {"/bin/ls", "/proc/self/fd", NULL};
    char out[4096];
    struct persist_error err;
    int leaky = fcntl(0, F_DUPFD, 50);

    assert_int_equal(run(list, 10000, 1000, out, &err), PERSIST_OK);

    assert_string_equal(out, "0\n1\n2\n3\n"); /* 3 is ls reading it */
    close(leaky);
}

static void command__does_not_read_our_input(void **state)
{
    (void)state;
    const char *const cat[] = {"/bin/cat", NULL};
    char out[4096] = "untouched";
    struct persist_error err;
    int saved = fcntl(0, F_DUPFD_CLOEXEC, 3);
    int file = open(write_file("input", "ours"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(file, 0), 0);

    int rc = run(cat, 10000, 1000, out, &err);

    assert_int_equal(dup2(saved, 0), 0);
    close(saved);
    close(file);
    assert_int_equal(rc, PERSIST_OK);
    assert_string_equal(out, "");
}

/* glibc keeps these two for itself and leaves them ignored in what posix_spawn
 * starts (make starts its commands so); no program can change that. */
#define GLIBC_SIGNALS (UINT64_C(1) << 31 | UINT64_C(1) << 32)

/* The signals of a line "NAME:\tHEX" of /proc/self/status. */
static uint64_t signals_of(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    assert_non_null(line);
    return strtoull(line + strlen(name) + 1, NULL, 16);
}

static void command__starts_with_default_signals(void **state)
{
    (void)state;
    const char *const grep[] = {"/bin/grep", "-E", "^Sig(Blk|Ign|Cgt)",
                                "/proc/self/status", NULL};
    char out[4096];
    struct persist_error err;
    sigset_t set, before;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before_action;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    sigaction(SIGUSR2, &ignore, &before_action);

    assert_int_equal(run(grep, 10000, 1000, out, &err), PERSIST_OK);

    sigset_t after;
    pthread_sigmask(SIG_SETMASK, &before, &after);
    sigaction(SIGUSR2, &before_action, NULL);
    assert_true(sigismember(&after, SIGUSR1));
    assert_false(sigismember(&after, SIGTERM));
    assert_int_equal(signals_of(out, "SigBlk:"), 0);
    assert_int_equal(signals_of(out, "SigIgn:") & ~GLIBC_SIGNALS, 0);
}

static void command__gets_the_given_environment(void **state)
{
    (void)state;
    const char *const env[] = {"/usr/bin/env", NULL};
    char out[4096];
    struct persist_error err;
    assert_int_equal(run(env, 10000, 1000, out, &err), PERSIST_OK);
    assert_string_equal(out, "A=1\n");
}

static void command__of_a_program_that_ignores_children(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    const char *const echo[] = {"/bin/echo", "x", NULL};
    char out[4096];
    struct persist_error err;
    sigaction(SIGCHLD, &ignore, &before);

    int rc = run(echo, 10000, 100, out, &err);

    sigaction(SIGCHLD, &before, NULL);
    assert_int_equal(rc, PERSIST_E_CONFIG);
    assert_has(err.message, "left no exit status");
}

static void command__without_descriptors_says_so(void **state)
{
    (void)state;
    const char *const echo[] = {"/bin/echo", "x", NULL};
    char out[4096];
    struct persist_error err;
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int rc = run(echo, 10000, 100, out, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(rc, PERSIST_E_TRANSIENT);
    assert_has(err.message, "cannot start /bin/echo: Too many open files");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(secret__given_plainly_or_not_at_all),
        TEST(secret__set_twice_is_refused),
        TEST(secret__declared_by_a_plugin_is_checked_too),
        TEST(secret__from_the_environment_does_not_blame_the_file),
        TEST(file__gives_its_content_without_one_newline),
        TEST(file__that_is_unfit_is_refused),
        TEST(file__named_by_a_file_others_write_is_refused),
        TEST(command__output_is_the_secret),
        TEST(command__that_is_unfit_or_fails_is_refused),
        TEST(command__output_has_an_exact_ceiling),
        TEST(command__that_takes_too_long_is_killed_with_its_children),
        TEST(command__inherits_no_descriptor),
        TEST(command__does_not_read_our_input),
        TEST(command__starts_with_default_signals),
        TEST(command__gets_the_given_environment),
        TEST(command__of_a_program_that_ignores_children),
        TEST(command__without_descriptors_says_so),
    };
    return cmocka_run_group_tests_name("services.config_secret", tests, NULL,
                                       NULL);
}
