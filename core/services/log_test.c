/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as they come out, in both formats. */
#include "services/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "util/clock.h"

#define TS "2026-11-23T04:19:24.642210Z"

static int64_t fixed_wall_us(void *ctx)
{
    (void)ctx;
    return INT64_C(1795407564642210);
}

static uint64_t fixed_boot_ns(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct clock fixed = {.boot_ns = fixed_boot_ns,
                                   .wall_us = fixed_wall_us};

struct capture {
    char line[4096];
    size_t len;
    int level;
    unsigned n;
};

static void capture(void *ctx, int level, const char *line, size_t len)
{
    struct capture *c = ctx;
    assert_int_equal(strlen(line), len);
    c->len = len;
    c->level = level;
    c->n++;
    if (len < sizeof(c->line))
        memcpy(c->line, line, len + 1);
}

static struct log *make(enum log_level level, enum log_format format,
                        struct capture *c)
{
    struct log *log = log_create(level, format, capture, c);
    assert_non_null(log);
    log_set_clock(log, &fixed);
    return log;
}

static void logfmt__line_has_time_level_message_and_fields(void **state)
{
    (void)state;
    struct capture c = {0};
    struct log *log = make(LOG_INFO, LOG_LOGFMT, &c);

    log_line(log, LOG_WARN, "retrying", log_text("op", "put"),
             log_u64("attempt", 2), LOG_END);

    assert_string_equal(c.line,
                        "ts=" TS " level=warn msg=retrying op=put attempt=2");
    assert_int_equal(c.level, LOG_WARN);
    log_destroy(log);
}

static void logfmt__quotes_what_is_not_one_plain_word(void **state)
{
    (void)state;
    struct capture c = {0};
    struct log *log = make(LOG_INFO, LOG_LOGFMT, &c);

    log_line(log, LOG_ERROR, "two words", log_text("empty", ""),
             log_text("null", NULL), log_text("eq", "a=b"),
             log_text("quote", "a\"b\\"), log_text("line", "a\nb\x1b[0m"),
             log_text("bidi", "\xe2\x80\xae"), log_text("bad", "\xff"),
             log_text("path", "/a/b-c.d:e"), LOG_END);

    assert_string_equal(
        c.line, "ts=" TS " level=error msg=\"two words\" empty=\"\" null=\"\" "
                "eq=\"a=b\" quote=\"a\\\"b\\\\\" line=\"a\\nb\\u001b[0m\" "
                "bidi=\"\\u202e\" bad=\"\\ufffd\" path=/a/b-c.d:e");
    log_destroy(log);
}

/* An independent reader must get back what was put in. */
static void json__line_is_one_object(void **state)
{
    (void)state;
    struct capture c = {0};
    struct log *log = make(LOG_DEBUG, LOG_JSON, &c);
    const char *hard = "a\"b\\c\n\t\x01 \xc3\xa9 \xe2\x80\xae {}";

    log_line(log, LOG_DEBUG, hard, log_text("text", hard),
             log_u64("big", INT64_MAX), LOG_END);

    json_t *o = json_loads(c.line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    assert_int_equal(json_object_size(o), 5);
    assert_string_equal(json_string_value(json_object_get(o, "ts")), TS);
    assert_string_equal(json_string_value(json_object_get(o, "level")),
                        "debug");
    assert_string_equal(json_string_value(json_object_get(o, "msg")), hard);
    assert_string_equal(json_string_value(json_object_get(o, "text")), hard);
    assert_true(json_integer_value(json_object_get(o, "big")) == INT64_MAX);
    json_decref(o);
    assert_null(strchr(c.line, '\n'));
    assert_null(strstr(c.line, "\xe2\x80\xae"));
    log_destroy(log);
}

static void level__decides_what_is_written(void **state)
{
    (void)state;
    static const enum log_level all[] = {LOG_ERROR, LOG_WARN, LOG_INFO,
                                         LOG_DEBUG};
    for (int at = LOG_ERROR; at <= LOG_OFF; at++) {
        struct capture c = {0};
        struct log *log = make((enum log_level)at, LOG_LOGFMT, &c);
        for (size_t i = 0; i < 4; i++) {
            bool enabled = at != LOG_OFF && (int)all[i] <= at;
            assert_int_equal(log_enabled(log, all[i]), enabled);
            unsigned before = c.n;
            log_line(log, all[i], "x", LOG_END);
            assert_int_equal(c.n - before, enabled);
        }
        log_destroy(log);
    }
}

static void null__log_and_null_sink_drop_everything(void **state)
{
    (void)state;
    char text[] = "Authorization: Bearer abcdefghijk";
    log_line(NULL, LOG_ERROR, "x", LOG_END);
    assert_false(log_enabled(NULL, LOG_ERROR));
    assert_int_equal(log_add_secret(NULL, "secret", 6), 0);
    log_redact(NULL, text);
    assert_string_equal(text, "Authorization: (redacted)");
    log_destroy(NULL);

    struct log *log = log_create(LOG_DEBUG, LOG_JSON, NULL, NULL);
    assert_false(log_enabled(log, LOG_ERROR));
    log_line(log, LOG_ERROR, "x", LOG_END);
    log_destroy(log);
}

static void secret__is_taken_out_of_every_part_of_a_line(void **state)
{
    (void)state;
    static const char secret[] = "p\"ss w\\rd-and\nmore";
    static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};
    for (size_t i = 0; i < 2; i++) {
        struct capture c = {0};
        struct log *log = make(LOG_INFO, formats[i], &c);
        assert_int_equal(log_add_secret(log, secret, strlen(secret)), 0);

        log_line(log, LOG_INFO, secret, log_text("field", secret),
                 log_text("authorization", "Bearer 0123456789"), LOG_END);

        assert_null(strstr(c.line, "w\\"));
        assert_null(strstr(c.line, "more"));
        assert_null(strstr(c.line, "0123"));
        if (formats[i] == LOG_JSON) {
            json_t *o = json_loads(c.line, 0, NULL);
            assert_non_null(o);
            json_decref(o);
        }
        char text[64];
        memcpy(text, secret, sizeof(secret));
        log_redact(log, text);
        assert_string_equal(text, "(redacted)");
        log_destroy(log);
    }
}

static void line__too_long_is_replaced_by_a_short_one(void **state)
{
    (void)state;
    struct capture c = {0};
    struct log *log = make(LOG_INFO, LOG_JSON, &c);
    char *huge = malloc(3 << 20);
    memset(huge, 'x', (3 << 20) - 1);
    huge[(3 << 20) - 1] = '\0';

    log_line(log, LOG_INFO, "m", log_text("k", huge), LOG_END);

    assert_int_equal(c.n, 1);
    assert_non_null(strstr(c.line, "did not fit"));
    json_t *o = json_loads(c.line, 0, NULL);
    assert_non_null(o);
    json_decref(o);
    free(huge);
    log_destroy(log);
}

static void basename__is_the_last_part(void **state)
{
    (void)state;
    assert_string_equal(log_basename("a/b/c"), "c");
    assert_string_equal(log_basename("c"), "c");
    assert_string_equal(log_basename("a/"), "");
    assert_string_equal(log_basename(""), "");
}

static void folders__of_a_key_are_taken_out_of_a_text(void **state)
{
    static const char long_name[] =
        "a-name-of-which-a-text-may-hold-the-beginning-only/default/7.snap";
    static const struct {
        const char *key, *text, *want;
    } rows[] = {
        {"w/d/7.snap", "no such object: bucket/prod/w/d/7.snap",
         "no such object: 7.snap"},
        {"w/d/7.snap", "\"w/d/7.snap\" (w/d/7.data), gone",
         "\"7.snap\" (7.data), gone"},
        {"w/d/", "nothing in w/d/ at all", "nothing in  at all"},
        {"w/d/7.snap", "GET /b/o/prod%2Fw%2Fd%2F7.snap?x", "GET 7.snap?x"},
        {"a%20b/d/7.snap", "at prod%2fa%2520b%2Fd%2f7.snap, at a%20b/d/7.snap",
         "at 7.snap, at 7.snap"},
        {long_name, "x a-name-of-which-a-text-may-hold-th, cut", "x , cut"},
        {long_name, "x p/a-name-of-which-a-text-may-hold-th", "x "},
        {"w/d/7.snap", "other/place/7.snap stays", "other/place/7.snap stays"},
        {"w", "nothing w is a folder", "nothing w is a folder"},
        {"w/d", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];

        snprintf(text, sizeof text, "%s", rows[i].text);
        log_strip_folders(text, rows[i].key);
        assert_string_equal(text, rows[i].want);
    }
}

static void parse__knows_levels_and_formats(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug",
                                        "off"};
    enum log_level level;
    enum log_format format;
    for (int i = 0; i < 5; i++) {
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, LOG_ERROR + i);
    }
    assert_false(log_level_parse("WARN", &level));
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("warning", &level));
    assert_true(log_format_parse("json", &format) && format == LOG_JSON);
    assert_true(log_format_parse("logfmt", &format) && format == LOG_LOGFMT);
    assert_false(log_format_parse("text", &format));
}

static atomic_uint n_lines;

static void count(void *ctx, int level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    if (line[0] == 't' && line[len - 1] == '9')
        atomic_fetch_add(&n_lines, 1);
}

static void *write_lines(void *log)
{
    for (int i = 0; i < 200; i++)
        log_line(log, LOG_DEBUG, "m", log_u64("n", 9), LOG_END);
    return NULL;
}

static void lines__from_many_threads_stay_whole(void **state)
{
    (void)state;
    struct log *log = log_create(LOG_DEBUG, LOG_LOGFMT, count, NULL);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_lines, log);
    for (int i = 0; i < 20; i++)
        assert_int_equal(log_add_secret(log, &"0123456789"[i % 4], 6), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(atomic_load(&n_lines), 800);
    log_destroy(log);
}

/* ------------------------------------------------------------- repetitions */

static int64_t moving_us;

static int64_t moving_wall_us(void *ctx)
{
    (void)ctx;
    return moving_us;
}

static const struct clock moving = {.wall_us = moving_wall_us};

static void repeat(struct log *log, enum log_level level, int n,
                   const char *object)
{
    for (int i = 0; i < n; i++)
        log_line(log, level, "repeating a request", log_text("op", "put"),
                 log_text("object", object), log_u64("attempt", (uint64_t)i),
                 LOG_END);
}

static void repetitions__are_left_out_and_told(void **state)
{
    struct capture c = {0};
    struct log *log = make(LOG_INFO, LOG_LOGFMT, &c);

    (void)state;
    moving_us = INT64_C(1795407564642210);
    log_set_clock(log, &moving);
    repeat(log, LOG_WARN, 50, "a");
    repeat(log, LOG_WARN, 50, "b");
    assert_int_equal(c.n, LOG_REPEATS);
    assert_int_equal(log_suppressed(log), 100 - LOG_REPEATS);

    moving_us += LOG_WINDOW_US;
    repeat(log, LOG_WARN, 1, "a");
    assert_int_equal(c.n, LOG_REPEATS + 1);
    assert_non_null(strstr(c.line, " suppressed=95"));
    repeat(log, LOG_WARN, LOG_REPEATS + 6, "a");
    assert_int_equal(c.n, 2 * LOG_REPEATS);
    log_destroy(log);
    assert_int_equal(c.n, 2 * LOG_REPEATS + 1);
    assert_non_null(strstr(c.line, "line=\"repeating a request\""));
    assert_non_null(strstr(c.line, " suppressed=7"));
}

static void repetitions__of_other_objects_and_of_debug_are_none(void **state)
{
    struct capture c = {0};
    struct log *log = make(LOG_DEBUG, LOG_LOGFMT, &c);

    (void)state;
    repeat(log, LOG_INFO, LOG_REPEATS, "a");
    repeat(log, LOG_INFO, LOG_REPEATS, "b");
    assert_int_equal(c.n, 2 * LOG_REPEATS);
    repeat(log, LOG_DEBUG, 100, "a");
    assert_int_equal(c.n, 2 * LOG_REPEATS + 100);
    log_destroy(log);
}

static void ids__stand_in_every_line_until_they_are_taken_back(void **state)
{
    struct capture c = {0};
    struct log *log = make(LOG_INFO, LOG_JSON, &c);
    const struct log_ids ids = {"0af7651916cd43dd8448eb211c80319c",
                                "b7ad6b7169203331"};

    (void)state;
    struct log_ids before = log_set_ids(&ids);
    log_line(log, LOG_INFO, "one", LOG_END);
    assert_non_null(strstr(c.line, "\"trace_id\":"
                                   "\"0af7651916cd43dd8448eb211c80319c\","
                                   "\"span_id\":\"b7ad6b7169203331\"}"));
    log_set_ids(&before);
    log_line(log, LOG_INFO, "two", LOG_END);
    assert_null(strstr(c.line, "trace_id"));
    log_destroy(log);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt__line_has_time_level_message_and_fields),
        cmocka_unit_test(logfmt__quotes_what_is_not_one_plain_word),
        cmocka_unit_test(json__line_is_one_object),
        cmocka_unit_test(level__decides_what_is_written),
        cmocka_unit_test(null__log_and_null_sink_drop_everything),
        cmocka_unit_test(secret__is_taken_out_of_every_part_of_a_line),
        cmocka_unit_test(line__too_long_is_replaced_by_a_short_one),
        cmocka_unit_test(basename__is_the_last_part),
        cmocka_unit_test(folders__of_a_key_are_taken_out_of_a_text),
        cmocka_unit_test(parse__knows_levels_and_formats),
        cmocka_unit_test(lines__from_many_threads_stay_whole),
        cmocka_unit_test(repetitions__are_left_out_and_told),
        cmocka_unit_test(repetitions__of_other_objects_and_of_debug_are_none),
        cmocka_unit_test(ids__stand_in_every_line_until_they_are_taken_back),
    };
    return cmocka_run_group_tests_name("services.log", tests, NULL, NULL);
}
