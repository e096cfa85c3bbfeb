/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, and the status table against docs/exit-codes.md. */
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

#define LEAST_STATUS PERSIST_E_MISUSE

/* A row "| -1 | `not_found` | meaning | 4 |"; false for any other line. */
static bool read_row(const char *line, int *status, char name[64],
                     int *exit_code)
{
    char meaning[256];
    return sscanf(line, "| %d | `%63[^`]` | %255[^|] | %d |", status, name,
                  meaning, exit_code) == 4;
}

static void status_table__agrees_with_its_page(void **state)
{
    (void)state;
    bool seen[1 - LEAST_STATUS] = {false};
    char line[512], name[64];
    int status, exit_code, rows = 0;
    FILE *page = fopen(PERSIST_TEST_SOURCE_DIR "/docs/exit-codes.md", "r");
    assert_non_null(page);

    while (fgets(line, sizeof(line), page)) {
        if (!read_row(line, &status, name, &exit_code))
            continue;
        rows++;
        assert_in_range(-status, 0, -LEAST_STATUS);
        assert_false(seen[-status]);
        seen[-status] = true;
        assert_string_equal(persist_status_name(status), name);
        assert_int_equal(persist_status_exit_code(status), exit_code);
    }
    fclose(page);

    assert_int_equal(rows, 1 - LEAST_STATUS);
}

static void status__unknown_number_is_other(void **state)
{
    (void)state;
    static const int strange[] = {1, LEAST_STATUS - 1, -1000, INT32_MIN};

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_string_equal(persist_status_name(strange[i]), "unknown");
        assert_int_equal(persist_status_exit_code(strange[i]), 1);
    }
}

static void set__clears_what_was_there(void **state)
{
    (void)state;
    struct persist_error err;
    memset(&err, 0xa5, sizeof(err));

    int rc = error_set(&err, PERSIST_E_CORRUPT, "%s %d", "frame", 7);

    assert_int_equal(rc, PERSIST_E_CORRUPT);
    assert_int_equal(err.status, PERSIST_E_CORRUPT);
    assert_string_equal(err.message, "frame 7");
    assert_string_equal(err.hint, "");
    assert_string_equal(err.object, "");
    assert_int_equal(err.os_errno, 0);
    assert_int_equal(err.attempts, 0);
}

static void setters__accept_null(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, PERSIST_E_IO, "%d", 1), PERSIST_E_IO);
    assert_int_equal(error_errno(NULL, ENOSPC, "x"), PERSIST_E_NO_SPACE);
    assert_int_equal(error_errno(NULL, 99999, "x"), PERSIST_E_IO);
    assert_int_equal(error_memory(NULL), PERSIST_E_MEMORY);
    error_hint(NULL, "x");
    error_object(NULL, "x");
    error_prefix(NULL, "x");
}

static void setters__take_parts_of_the_error_itself(void **state)
{
    (void)state;
    struct persist_error err;

    error_set(&err, PERSIST_E_IO, "first");
    error_hint(&err, "the hint");
    error_set(&err, PERSIST_E_IO, "%s, then %s", err.message, err.hint);
    assert_string_equal(err.message, "first, then the hint");

    error_prefix(&err, "%s", err.message);
    assert_string_equal(err.message,
                        "first, then the hint: first, then the hint");
    error_object(&err, "k");
    error_object(&err, "%s/%s", err.object, err.object);
    assert_string_equal(err.object, "k/k");
    error_hint(&err, "a");
    error_hint(&err, "%s+%s", err.hint, err.hint);
    assert_string_equal(err.hint, "a+a");
    error_errno(&err, ENOENT, "%s", err.object);
    assert_string_equal(err.message, "k/k: No such file or directory");
}

static void set__cuts_between_characters(void **state)
{
    (void)state;
    struct persist_error err;
    char text[600];

    /* U+20AC is 3 bytes: 511 is no multiple of 3, so one does not fit. */
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 4);
    error_set(&err, PERSIST_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), 510);
    assert_true(text_is_utf8(err.message, 510));

    memset(text, 'x', 511);
    text[511] = '\0';
    error_set(&err, PERSIST_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), 511);
}

static void errno_text__keeps_the_reason_behind_a_long_context(void **state)
{
    (void)state;
    struct persist_error err;
    char path[900];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';

    int rc = error_errno(&err, ENOSPC, "cannot write %s", path);

    const char *tail = ": No space left on device";
    size_t len = strlen(err.message);
    assert_int_equal(rc, PERSIST_E_NO_SPACE);
    assert_int_equal(len, 511);
    assert_string_equal(err.message + len - strlen(tail), tail);
}

static void errno_status__follows_the_header(void **state)
{
    (void)state;
    static const struct {
        int value, status;
    } rows[] = {
        {ENOENT, PERSIST_E_NOT_FOUND}, {EACCES, PERSIST_E_DENIED},
        {EPERM, PERSIST_E_DENIED},     {EROFS, PERSIST_E_DENIED},
        {ENOSPC, PERSIST_E_NO_SPACE},
#ifdef EDQUOT /* not on Windows */
        {EDQUOT, PERSIST_E_NO_SPACE},
#endif
        {ENOMEM, PERSIST_E_MEMORY},    {EEXIST, PERSIST_E_EXISTS},
        {EINTR, PERSIST_E_TRANSIENT},  {EAGAIN, PERSIST_E_TRANSIENT},
        {EMFILE, PERSIST_E_TRANSIENT}, {ENFILE, PERSIST_E_TRANSIENT},
        {EIO, PERSIST_E_IO},           {ENOTDIR, PERSIST_E_IO},
        {12345, PERSIST_E_IO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct persist_error err;
        int rc = error_errno(&err, rows[i].value, "x");
        assert_int_equal(rc, rows[i].status);
        assert_int_equal(err.status, rows[i].status);
        assert_int_equal(err.os_errno, rows[i].value);
    }
}

/* glibc's wording in the C locale; musl words some of them differently. */
static void errno_text__agrees_with_strerror(void **state)
{
    (void)state;
    char scratch[24];
    int ours = 0;

    for (int e = 1; e < 134; e++) {
        const char *text = error_errno_text(e, scratch);
        if (text == scratch)
            continue;
        ours++;
#ifdef __GLIBC__
        assert_string_equal(text, strerror(e));
#endif
    }
    assert_true(ours >= 40);
    assert_string_equal(error_errno_text(-2147483647, scratch),
                        "error -2147483647");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_table__agrees_with_its_page),
        cmocka_unit_test(status__unknown_number_is_other),
        cmocka_unit_test(set__clears_what_was_there),
        cmocka_unit_test(setters__accept_null),
        cmocka_unit_test(setters__take_parts_of_the_error_itself),
        cmocka_unit_test(set__cuts_between_characters),
        cmocka_unit_test(errno_text__keeps_the_reason_behind_a_long_context),
        cmocka_unit_test(errno_status__follows_the_header),
        cmocka_unit_test(errno_text__agrees_with_strerror),
    };
    return cmocka_run_group_tests_name("util.error", tests, NULL, NULL);
}
