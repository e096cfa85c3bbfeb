/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"

static void read_back(int fd, char *text, size_t cap)
{
    ssize_t n = pread(fd, text, cap - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static void json__is_one_line_of_safe_ascii(void **state)
{
    int fd = fileno(tmpfile());
    struct output out;
    char text[512];
    (void)state;
    output_init(&out, dup(fd));

    json_t *o = json_object();
    json_object_set_new(o, "a", output_text("\xe2\x80\xae\x1b\x7f\n"));
    json_object_set_new(o, "b", output_text(NULL));
    json_object_set_new(o, "c", output_number(UINT64_C(1) << 62));
    json_object_set_new(o, "d", output_time(0));
    json_object_set_new(o, "e", output_text("\xff\xfe"));
    output_json(&out, o);
    assert_int_equal(output_finish(&out, NULL), PERSIST_OK);

    read_back(fd, text, sizeof(text));
    assert_string_equal(
        text, "{\"a\":\"\\u202E\\u001B\\u007f\\n\",\"b\":null,"
              "\"c\":4611686018427387904,\"d\":\"1970-01-01T00:00:00.000000Z\","
              "\"e\":\"\\\\xff\\\\xfe\"}\n");
}

static void json__counts_a_missing_object_as_memory(void **state)
{
    int fd = fileno(tmpfile());
    struct output out;
    (void)state;
    output_init(&out, fd);

    output_json(&out, NULL);

    assert_int_equal(output_finish(&out, NULL), PERSIST_E_MEMORY);
}

static void printf__takes_long_text(void **state)
{
    int fd = fileno(tmpfile());
    struct output out;
    char wide[2001], text[4096];
    (void)state;
    memset(wide, 'w', 2000);
    wide[2000] = '\0';
    output_init(&out, dup(fd));

    output_printf(&out, "%s|%d", wide, 7);
    output_escaped(&out, "\x1b");
    assert_int_equal(output_finish(&out, NULL), PERSIST_OK);

    read_back(fd, text, sizeof(text));
    assert_int_equal(strlen(text), 2000 + 2 + 4);
    assert_string_equal(text + 2000, "|7\\x1b");
}

static void write__keeps_the_first_failure(void **state)
{
    int fds[2];
    struct output out;
    struct persist_error err = {0};
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    output_init(&out, fds[1]);

    output_write(&out, "x", 1);
    assert_false(output_failed(&out));
    output_flush(&out);
    output_note_failure(&out, ENOSPC);

    assert_int_equal(out.errno_value, EPIPE);
    assert_int_equal(output_finish(&out, &err), PERSIST_E_IO);
    assert_string_equal(err.object, "standard output");
}

static void finish__reports_a_full_device(void **state)
{
    struct output out;
    struct persist_error err = {0};
    int fd = open("/dev/full", O_WRONLY);
    (void)state;
    assert_true(fd >= 0);
    output_init(&out, fd);

    output_write(&out, "x", 1);

    assert_int_equal(output_finish(&out, &err), PERSIST_E_NO_SPACE);
    assert_int_equal(err.os_errno, ENOSPC);
}

static void write__flushes_large_output_early(void **state)
{
    int fd = fileno(tmpfile());
    struct output out;
    char block[4096] = {0};
    (void)state;
    output_init(&out, fd);

    for (int i = 0; i < 64; i++)
        output_write(&out, block, sizeof(block));

    assert_true(out.pending.len < 64 * 1024);
    assert_true(lseek(fd, 0, SEEK_CUR) > 128 * 1024);
    assert_int_equal(output_finish(&out, NULL), PERSIST_OK);
}

static void local_time__uses_the_zone(void **state)
{
    char text[OUTPUT_TIME_LEN];
    (void)state;
    setenv("TZ", "XXX-02:00", 1);
    tzset();

    output_local_time(INT64_C(1700000000999999), true, text);
    assert_string_equal(text, "2023-11-15 00:13:20 +0200");
    output_local_time(-1, false, text);
    assert_string_equal(text, "1970-01-01 01:59:59");
    output_local_time(INT64_MAX, false, text);
    assert_true(strlen(text) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__is_one_line_of_safe_ascii),
        cmocka_unit_test(json__counts_a_missing_object_as_memory),
        cmocka_unit_test(printf__takes_long_text),
        cmocka_unit_test(write__keeps_the_first_failure),
        cmocka_unit_test(finish__reports_a_full_device),
        cmocka_unit_test(write__flushes_large_output_early),
        cmocka_unit_test(local_time__uses_the_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
