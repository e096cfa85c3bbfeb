/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How errors look, on both channels, with descriptors caught in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "util/error.h"

struct caught {
    struct cli cli;
    int out_fd, err_fd, real_stderr;
    char out[4096], err[4096];
};
static struct caught caught;

static int begin(void **state)
{
    memset(&caught, 0, sizeof(caught));
    caught.out_fd = fileno(tmpfile());
    caught.err_fd = fileno(tmpfile());
    caught.real_stderr = dup(STDERR_FILENO);
    dup2(caught.err_fd, STDERR_FILENO);
    output_init(&caught.cli.out, dup(caught.out_fd));
    caught.cli.args.verb = &verb_restore;
    *state = &caught;
    return 0;
}

static int end(void **state)
{
    struct caught *c = *state;

    dup2(c->real_stderr, STDERR_FILENO);
    close(c->real_stderr);
    close(c->out_fd);
    close(c->err_fd);
    return 0;
}

static void collect(struct caught *c)
{
    output_finish(&c->cli.out, NULL);
    c->out[pread(c->out_fd, c->out, sizeof(c->out) - 1, 0)] = '\0';
    c->err[pread(c->err_fd, c->err, sizeof(c->err) - 1, 0)] = '\0';
}

static struct persist_error not_found(void)
{
    struct persist_error err;

    error_set(&err, PERSIST_E_NOT_FOUND, "no such snapshot");
    error_object(&err, "writer/default@7");
    error_hint(&err, "persist list writer");
    return err;
}

static void fail__prints_one_line_and_the_hint(void **state)
{
    struct caught *c = *state;
    struct persist_error err = not_found();

    assert_int_equal(cli_fail(&c->cli, PERSIST_E_NOT_FOUND, &err), 4);

    collect(c);
    assert_string_equal(c->err,
                        "persist: restore: writer/default@7: no such snapshot\n"
                        "hint: persist list writer\n");
    assert_string_equal(c->out, "");
}

static void fail__does_not_name_the_object_twice(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_IO, "a/b: no luck");
    error_object(&err, "a/b");

    assert_int_equal(cli_fail(&c->cli, PERSIST_E_IO, &err), 1);

    collect(c);
    assert_string_equal(c->err, "persist: restore: a/b: no luck\n");
}

/* The verb and the operation that failed may have one name. */
static void fail__names_the_operation_once(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_NOT_FOUND, "restore: no such bucket");

    cli_fail(&c->cli, PERSIST_E_NOT_FOUND, &err);

    collect(c);
    assert_string_equal(c->err, "persist: restore: no such bucket\n");
}

static void fail__counts_the_attempts_once(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_TRANSIENT,
              "list failed after 3 attempts in 1.5 s: refused");
    err.attempts = 3;
    err.elapsed_ms = 1500;

    cli_fail(&c->cli, PERSIST_E_TRANSIENT, &err);

    collect(c);
    assert_string_equal(c->err, "persist: restore: list failed after 3 "
                                "attempts in 1.5 s: refused\n");
}

static void fail__escapes_what_it_repeats(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_INVALID, "bad \x1b[2J name\nfake: line");

    cli_fail(&c->cli, PERSIST_E_INVALID, &err);

    collect(c);
    assert_null(strchr(c->err, 0x1b));
    assert_ptr_equal(strchr(c->err, '\n'), c->err + strlen(c->err) - 1);
}

static void fail__prints_what_the_service_said(void **state)
{
    struct caught *c = *state;
    struct persist_error err = {.http_status = 503,
                                .attempts = 4,
                                .elapsed_ms = 1500,
                                .provider_code = "SlowDown",
                                .request_id = "R1",
                                .message = "throttled"};

    assert_int_equal(cli_fail(&c->cli, PERSIST_E_THROTTLED, &err), 8);

    collect(c);
    assert_string_equal(c->err,
                        "persist: restore: throttled (HTTP 503, SlowDown, "
                        "request R1, 4 attempts in 1500 ms)\n");
}

static void fail__says_what_the_system_said_once(void **state)
{
    struct caught *c = *state;
    struct persist_error err = {.os_errno = ENOENT,
                                .message = "opening the root failed"};

    cli_fail(&c->cli, PERSIST_E_IO, &err);
    snprintf(err.message, sizeof(err.message),
             "cannot open x: no such file or directory");
    cli_fail(&c->cli, PERSIST_E_IO, &err);
    snprintf(err.message, sizeof(err.message), "there is no x");
    snprintf(err.hint, sizeof(err.hint), "make it");
    cli_fail(&c->cli, PERSIST_E_IO, &err);

    collect(c);
    assert_string_equal(
        c->err, "persist: restore: opening the root failed (No such file or "
                "directory)\npersist: restore: cannot open x: no such file or "
                "directory\npersist: restore: there is no x\nhint: make it\n");
}

static void fail__says_a_status_once(void **state)
{
    struct caught *c = *state;
    struct persist_error err = {.http_status = 412,
                                .request_id = "R1",
                                .message = "refused (HTTP 412: no)"};

    cli_fail(&c->cli, PERSIST_E_PRECONDITION, &err);

    collect(c);
    assert_string_equal(
        c->err, "persist: restore: refused (HTTP 412: no) (request R1)\n");
}

static void fail__sends_to_the_doctor_for_credentials(void **state)
{
    struct caught *c = *state;
    struct persist_error err = {.message = "no credentials"};

    cli_fail(&c->cli, PERSIST_E_AUTH, &err);

    collect(c);
    assert_non_null(strstr(c->err, "\nhint: persist doctor STORE shows"));
    assert_string_equal(err.hint, "");
}

static void fail__puts_what_the_service_said_into_json(void **state)
{
    struct caught *c = *state;
    struct persist_error err = {.http_status = 503,
                                .attempts = 4,
                                .elapsed_ms = 1500,
                                .provider_code = "SlowDown",
                                .request_id = "R1",
                                .message = "throttled"};
    c->cli.json = true;

    cli_fail(&c->cli, PERSIST_E_THROTTLED, &err);

    collect(c);
    assert_non_null(strstr(
        c->out, "\"http_status\":503,\"provider_code\":\"SlowDown\","
                "\"request_id\":\"R1\",\"attempts\":4,\"elapsed_ms\":1500,"
                "\"exit_code\":8}"));
}

static void fail__calls_a_passed_deadline_a_timeout(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_CANCELLED, "cancelled");

    assert_int_equal(cli_fail(&c->cli, PERSIST_E_CANCELLED, &err), 130);
    signals_deadline(1);
    while (!signals_timed_out())
        usleep(1000);
    signals_deadline(0);
    assert_int_equal(cli_fail(&c->cli, PERSIST_E_CANCELLED, &err), 8);

    collect(c);
    assert_non_null(strstr(c->err, "longer than --timeout"));
}

static void fail__keeps_the_colon_of_a_store(void **state)
{
    struct caught *c = *state;
    struct persist_error err;
    error_set(&err, PERSIST_E_NOT_FOUND, "no such store");
    error_object(&err, "main:");

    cli_fail(&c->cli, PERSIST_E_NOT_FOUND, &err);

    collect(c);
    assert_string_equal(c->err, "persist: restore: main: no such store\n");
}

static void fail__ends_json_with_an_error_object(void **state)
{
    struct caught *c = *state;
    struct persist_error err = not_found();
    err.os_errno = ENOENT;
    c->cli.json = true;

    cli_fail(&c->cli, PERSIST_E_NOT_FOUND, &err);

    collect(c);
    assert_string_equal(
        c->out, "{\"type\":\"error\",\"verb\":\"restore\",\"code\":"
                "\"not_found\",\"message\":\"no such snapshot\",\"hint\":"
                "\"persist list writer\",\"object\":\"writer/default@7\","
                "\"os_errno\":2,\"exit_code\":4}\n");
}

static void fail__is_silent_where_the_reader_went_away(void **state)
{
    struct caught *c = *state;
    struct persist_error err = not_found();
    output_note_failure(&c->cli.out, EPIPE);

    cli_fail(&c->cli, PERSIST_E_IO, &err);

    collect(c);
    assert_string_equal(c->err, "");
}

static void usage__shows_how_to_call_it(void **state)
{
    struct caught *c = *state;

    assert_int_equal(cli_usage(&c->cli, "do it so", "%s is missing", "X"), 2);

    collect(c);
    assert_string_equal(c->err, "persist: restore: X is missing\n"
                                "usage: persist restore [OPTION...] ADDRESS\n"
                                "hint: do it so\n");
}

static void usage__works_without_a_verb(void **state)
{
    struct caught *c = *state;
    c->cli.args.verb = NULL;

    assert_int_equal(cli_usage(&c->cli, NULL, "no verb"), 2);

    collect(c);
    assert_non_null(strstr(c->err, "persist: no verb\nusage: persist VERB "));
}

static void batch__is_ok_when_all_is(void **state)
{
    struct caught *c = *state;
    struct batch batch = {0};

    batch_add(&c->cli, &batch, PERSIST_OK, NULL);

    assert_int_equal(batch_finish(&c->cli, &batch), 0);
    collect(c);
    assert_string_equal(c->err, "");
}

static void batch__is_partly_done_when_some_fail(void **state)
{
    struct caught *c = *state;
    struct batch batch = {0};
    struct persist_error err = not_found();
    c->cli.json = true;

    batch_add(&c->cli, &batch, PERSIST_E_NOT_FOUND, &err);
    batch_add(&c->cli, &batch, PERSIST_OK, NULL);

    assert_int_equal(batch_finish(&c->cli, &batch), 3);
    collect(c);
    assert_non_null(strstr(c->err, "1 done, 1 failed"));
    const char *last = strchr(c->out, '\n') + 1;
    assert_non_null(strstr(last, "\"code\":\"partly\""));
    assert_non_null(strstr(last, "\"exit_code\":3"));
}

static void batch__has_the_first_code_when_all_fail(void **state)
{
    struct caught *c = *state;
    struct batch batch = {0};
    struct persist_error err = not_found();

    batch_add(&c->cli, &batch, PERSIST_E_CORRUPT, &err);
    batch_add(&c->cli, &batch, PERSIST_E_NOT_FOUND, &err);

    assert_int_equal(batch_finish(&c->cli, &batch), 6);
    collect(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fail__prints_one_line_and_the_hint,
                                        begin, end),
        cmocka_unit_test_setup_teardown(fail__does_not_name_the_object_twice,
                                        begin, end),
        cmocka_unit_test_setup_teardown(fail__names_the_operation_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(fail__counts_the_attempts_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(fail__escapes_what_it_repeats, begin,
                                        end),
        cmocka_unit_test_setup_teardown(fail__prints_what_the_service_said,
                                        begin, end),
        cmocka_unit_test_setup_teardown(fail__says_what_the_system_said_once,
                                        begin, end),
        cmocka_unit_test_setup_teardown(fail__says_a_status_once, begin, end),
        cmocka_unit_test_setup_teardown(
            fail__sends_to_the_doctor_for_credentials, begin, end),
        cmocka_unit_test_setup_teardown(fail__ends_json_with_an_error_object,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            fail__is_silent_where_the_reader_went_away, begin, end),
        cmocka_unit_test_setup_teardown(
            fail__puts_what_the_service_said_into_json, begin, end),
        cmocka_unit_test_setup_teardown(fail__calls_a_passed_deadline_a_timeout,
                                        begin, end),
        cmocka_unit_test_setup_teardown(fail__keeps_the_colon_of_a_store, begin,
                                        end),
        cmocka_unit_test_setup_teardown(usage__shows_how_to_call_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(usage__works_without_a_verb, begin,
                                        end),
        cmocka_unit_test_setup_teardown(batch__is_ok_when_all_is, begin, end),
        cmocka_unit_test_setup_teardown(batch__is_partly_done_when_some_fail,
                                        begin, end),
        cmocka_unit_test_setup_teardown(batch__has_the_first_code_when_all_fail,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
