/* SPDX-License-Identifier: Apache-2.0 */
#include "support/command.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/testkit.h"

static struct persist_backend_error err;
static struct secret out;

static int set_up(void **state)
{
    (void)state;
    kit_reset();
    err = (struct persist_backend_error){.struct_size = sizeof(err)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    secret_wipe(&out);
    return 0;
}

static void split__reads_words_as_a_shell_does(void **state)
{
    struct command_words w;

    (void)state;
    assert_int_equal(
        command_split("  /bin/x  'a b'\"c d\"\\ e '' \"\\\"\\\\\\n\" "
                      "$HOME *;|\t-f",
                      &w, &err),
        OK);
    assert_int_equal(w.n, 7);
    assert_string_equal(w.argv[0], "/bin/x");
    assert_string_equal(w.argv[1], "a bc d e");
    assert_string_equal(w.argv[2], "");
    assert_string_equal(w.argv[3], "\"\\\\n");
    assert_string_equal(w.argv[4], "$HOME");
    assert_string_equal(w.argv[5], "*;|");
    assert_string_equal(w.argv[6], "-f");
    assert_null(w.argv[7]);
    command_words_finish(&w);
}

static void split__refuses_what_has_no_end(void **state)
{
    static const char *const bad[] = {"", "  ", "a 'b", "a \"b", "a \\"};
    struct command_words w;
    char many[300];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(command_split(bad[i], &w, &err),
                         PERSIST_BACKEND_CONFIG);
    for (size_t i = 0; i + 1 < sizeof(many); i++)
        many[i] = i % 2 == 0 ? 'x' : ' ';
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(command_split(many, &w, &err), PERSIST_BACKEND_CONFIG);
    many[2 * COMMAND_WORDS_MAX] = '\0';
    assert_int_equal(command_split(many, &w, &err), OK);
    assert_int_equal(w.n, COMMAND_WORDS_MAX);
    command_words_finish(&w);
}

static int32_t run(const char *script, uint32_t timeout_ms, size_t max)
{
    char *const argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    const char *const extra[] = {"EXTRA=yes", "HOME=/changed", NULL};
    struct persist_backend_call call = kit_call();

    return command_run(&kit_host, &call, argv, extra, timeout_ms, max, &out,
                       &err);
}

static void run__collects_what_is_printed(void **state)
{
    (void)state;
    assert_int_equal(run("echo $EXTRA $HOME; cat", 20000, 100), OK);
    assert_string_equal(secret_text(&out), "yes /changed\n");
    assert_int_equal(run("head -c 100 /dev/zero", 20000, 100), OK);
    assert_int_equal(out.len, 100);
    assert_int_equal(run("exec >&-; sleep 0.1", 20000, 100), OK);
    assert_int_equal(out.len, 0);
}

static void run__says_what_went_wrong(void **state)
{
    char *const missing[] = {(char *)"/no/such/program", (char *)"canary",
                             NULL};
    struct persist_backend_call call = kit_call();

    (void)state;
    assert_int_equal(run("echo canary; exit 3", 20000, 100),
                     PERSIST_BACKEND_AUTH);
    assert_string_equal(err.message, "sh ended with 3");
    assert_int_equal(run("kill -9 $$", 20000, 100), PERSIST_BACKEND_AUTH);
    assert_string_equal(err.message, "sh was ended by signal 9");
    assert_int_equal(run("yes canary", 20000, 100), PERSIST_BACKEND_AUTH);
    assert_string_equal(err.message, "sh prints too much");
    if (getenv("PERSIST_TEST_EMULATED"))
        return; /* qemu tells of a failed exec as of an exit */
    assert_int_equal(
        command_run(&kit_host, &call, missing, NULL, 1000, 10, &out, &err),
        PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(err.message, "cannot run /no/such/program: "));
    assert_null(strstr(err.message, "canary"));
}

/* The whole group dies, not only the shell. */
static void run__ends_in_time(void **state)
{
    uint64_t begin = kit_now();

    (void)state;
    assert_int_equal(run("sleep 60 & sleep 60", 150, 100),
                     PERSIST_BACKEND_AUTH);
    assert_string_equal(err.message, "sh ran for too long");
    assert_int_equal(run("exec >&-; sleep 60", 150, 100), PERSIST_BACKEND_AUTH);
    assert_in_range((kit_now() - begin) / MS, 290, 20000);
}

static void *cancel_soon(void *unused)
{
    (void)unused;
    (void)usleep(50000);
    atomic_store(&kit_cancelled, true);
    return NULL;
}

static void run__can_be_cancelled(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    assert_int_equal(run("sleep 60", 30000, 100), PERSIST_BACKEND_CANCELLED);
    (void)pthread_join(thread, NULL);
}

static void run__gives_no_descriptor_away(void **state)
{
    int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, on purpose */

    (void)state;
    assert_int_equal(dup2(fd, 77), 77);
    assert_int_equal(run("ls /proc/self/fd | tr '\\n' ' '", 20000, 1000), OK);
    assert_null(strstr(secret_text(&out), "77"));
    (void)close(77);
    (void)close(fd);
}

static void run__has_default_signals(void **state)
{
    (void)state;
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(run("grep SigIgn /proc/self/status", 20000, 100), OK);
    /* Signals 1 to 31; glibc keeps 32 and 33 for itself. */
    assert_int_equal(
        strtoull(secret_text(&out) + strlen("SigIgn:\t"), NULL, 16) &
            0x7fffffff,
        0);
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
}

int main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RUN_TEST(split__reads_words_as_a_shell_does),
        RUN_TEST(split__refuses_what_has_no_end),
        RUN_TEST(run__collects_what_is_printed),
        RUN_TEST(run__says_what_went_wrong),
        RUN_TEST(run__ends_in_time),
        RUN_TEST(run__can_be_cancelled),
        RUN_TEST(run__gives_no_descriptor_away),
        RUN_TEST(run__has_default_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
