/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that knows nothing of metrics (tests/support) is measured
 * completely, from the one place where its ops are called.
 */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/text.h"

struct shown {
    struct buf text;
};

static int keep(void *ctx, const void *data, size_t len,
                struct persist_error *err)
{
    struct shown *s = ctx;

    (void)err;
    buf_append(&s->text, data, len);
    return PERSIST_OK;
}

static void render(struct persist *p, int32_t format, struct shown *out)
{
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    buf_init(&out->text, 1 << 20);
    sink.write = keep;
    sink.ctx = out;
    assert_ok(persist_metrics_render(p, format, &sink, &err), &err);
    assert_false(buf_failed(&out->text));
}

/* The sum of the values of every line that begins with this text and holds the
 * other. */
static uint64_t sum(struct persist *p, const char *begin, const char *holds)
{
    struct shown s;
    uint64_t all = 0;

    render(p, PERSIST_METRICS_PROMETHEUS, &s);
    for (char *line = strtok(s.text.data, "\n"); line;
         line = strtok(NULL, "\n")) {
        uint64_t value = 0;

        if (strncmp(line, begin, strlen(begin)) != 0 || !strstr(line, holds))
            continue;
        if (!text_to_u64(strrchr(line, ' ') + 1, &value))
            fail_msg("no number: %s", line);
        all += value;
    }
    buf_finish(&s.text);
    return all;
}

static uint64_t ops(const struct rig *r, const char *labels)
{
    return sum(r->p, "persist_storage_ops_total{backend=\"memory\"", labels);
}

static void delete_index(struct rig *r, const char *address)
{
    struct persist_error err = {0};

    assert_ok(persist_delete(r->store, address, NULL, NULL, &err), &err);
}

/* Everything there is to do with a store, once. */
static void do_everything(struct rig *r)
{
    const size_t len = (size_t)1 << 20;
    uint8_t *noise = rig_noise(len, 7);
    struct persist_metadata *m = NULL;
    struct persist_listing *l = NULL;
    const struct persist_entry *entry = NULL;
    struct persist_error err = {0};
    int there = 0;

    rig_save(r, "one", 0);
    rig_save(r, "two", 1);
    assert_ok(persist_save_buffer(r->store, "a", noise, len, NULL, NULL, &err),
              &err);
    rig_expect(r, "a@2", noise, len);
    free(noise);
    assert_ok(persist_show(r->store, "a", &m, &err), &err);
    persist_metadata_free(m);
    assert_ok(persist_verify(r->store, "a@0", NULL, NULL, &err), &err);
    assert_ok(persist_exists(r->store, "a@1", &there, &err), &err);
    assert_ok(persist_list(r->store, "a", NULL, &l, &err), &err);
    while (persist_listing_next(l, &entry, &err) == 1)
        ;
    persist_listing_close(l);
    delete_index(r, "a@0");
    delete_index(r, "a@2");
    assert_ok(persist_cleanup(r->store, NULL, NULL, &err), &err);
}

static void stranger__every_op_it_was_asked_for_is_counted(void **state)
{
    struct rig *r = *state;

    do_everything(r);

    assert_int_equal(ops(r, "status="), r->memory->count(r->id, "any"));
    assert_int_equal(ops(r, "op=\"load\""), r->memory->count(r->id, "read"));
    assert_int_equal(ops(r, "op=\"exists\""), r->memory->count(r->id, "head"));
    assert_int_equal(ops(r, "op=\"list\""),
                     r->memory->count(r->id, "list") +
                         r->memory->count(r->id, "list_uploads"));
    assert_int_equal(ops(r, "op=\"delete\""),
                     r->memory->count(r->id, "delete"));
    assert_true(r->memory->count(r->id, "upload_part") >= 2);
    assert_int_equal(ops(r, "op=\"save\""),
                     r->memory->count(r->id, "put") +
                         r->memory->count(r->id, "upload_begin") +
                         r->memory->count(r->id, "upload_part") +
                         r->memory->count(r->id, "upload_commit") +
                         r->memory->count(r->id, "upload_abort"));
    assert_true(sum(r->p, "persist_storage_latency_seconds_count", "\"save\"") >
                5);
    assert_true(sum(r->p, "persist_storage_bytes_total", "\"save\"") >
                1U << 20);
    assert_true(sum(r->p, "persist_storage_bytes_total", "\"load\"") >
                1U << 20);
    assert_true(sum(r->p, "persist_transfer_bytes_count", "\"put\"") > 4);
    assert_int_equal(
        sum(r->p, "persist_snapshot_state_bytes_count{codec=\"zstd\"", ""), 3);
    assert_int_equal(
        sum(r->p, "persist_operations_total", "\"save\",status=\"ok\""), 3);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 0);
    assert_int_equal(sum(r->p, "persist_memory_budget_limit_bytes", ""),
                     UINT64_C(256) << 20);
}

static void retries__are_attempts_and_their_failures_are_told(void **state)
{
    struct rig *r = *state;
    const struct rig_fault fault = {
        .op = "put", .times = 3, .status = PERSIST_BACKEND_THROTTLED};

    rig_fault(r, fault);
    rig_save(r, "one", 0);

    assert_int_equal(ops(r, "op=\"save\",status=\"throttled\""), 3);
    assert_int_equal(ops(r, "op=\"save\",status=\"ok\""), 1);
    assert_int_equal(sum(r->p, "persist_storage_retries_total", "op=\"save\""),
                     3);
    assert_int_equal(
        sum(r->p, "persist_operations_total", "\"save\",status=\"ok\""), 1);
}

static void corrupt__is_counted_where_it_is_met(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_save(r, "a payload", 0);
    rig_key(0, KEY_SNAP, key);
    r->memory->poke(r->id, key, rig_size(r, 0, KEY_SNAP) - 40, "\xff\xff", 2);

    assert_status(persist_verify(r->store, "a", NULL, NULL, &err),
                  PERSIST_E_CORRUPT, &err);
    assert_int_equal(sum(r->p, "persist_corrupt_found_total", ""), 1);
}

static void uploads__left_open_are_told_until_a_cleanup(void **state)
{
    struct rig *r = *state;
    const size_t len = (size_t)1 << 20;
    uint8_t *noise = rig_noise(len, 9);
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .status = PERSIST_BACKEND_DENIED});
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(
        persist_save_buffer(r->store, "a", noise, len, NULL, NULL, &err),
        PERSIST_E_DENIED, &err);
    free(noise);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 1);

    /* Too young to be removed is open all the same. */
    rig_no_faults(r);
    assert_ok(persist_cleanup(r->store, NULL, NULL, &err), &err);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 1);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "list_uploads",
                                    .status = PERSIST_BACKEND_UNSUPPORTED});
    assert_ok(persist_cleanup(r->store, NULL, NULL, &err), &err);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 1);
    o.flags = PERSIST_CLEANUP_DRY_RUN;
    assert_ok(persist_cleanup(r->store, NULL, &o, &err), &err);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 1);
    assert_ok(persist_cleanup(r->store, NULL, NULL, &err), &err);
    assert_int_equal(sum(r->p, "persist_uploads_open", ""), 0);
}

/* ----------------------------------------------------------------- the file
 */

static char *temporary_file(void)
{
    char dir[] = "/tmp/persist-metrics-XXXXXX";

    assert_non_null(mkdtemp(dir));
    return text_format("%s/persist.prom", dir);
}

static void remove_files(char *path)
{
    char *lock = text_format("%s.lock", path);

    unlink(path);
    unlink(lock);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    free(lock);
    free(path);
}

static struct persist *program(const char *path)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    char *setting = text_format("metrics_textfile=%s", path);
    const char *const settings[] = {setting};
    struct persist_error err = {0};
    struct persist *p = NULL;

    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.settings = settings;
    o.n_settings = 1;
    assert_ok(persist_create(&o, &p, &err), &err);
    free(setting);
    return p;
}

/* An operation of the program, which begins or ends an upload; then it tells.
 */
static void count_and_flush(struct persist *p, int uploads)
{
    struct metrics_store *row = metrics_store(p->metrics, "a");
    struct persist_error err = {0};

    metrics_record_operation(row, OPERATION_SAVE, PERSIST_OK, 1);
    metrics_count_upload(row, uploads);
    assert_ok(persist_metrics_flush(p, &err), &err);
}

static void find_and_flush(struct persist *p, uint64_t uploads)
{
    metrics_set_uploads(metrics_store(p->metrics, "a"), uploads);
    count_and_flush(p, 0);
}

/* A text with its NUL; finish it. */
static void read_file(struct persist *p, struct shown *out)
{
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    buf_init(&out->text, 1 << 20);
    sink.write = keep;
    sink.ctx = out;
    assert_ok(persist_metrics_file(p, PERSIST_METRICS_PROMETHEUS, &sink, &err),
              &err);
    buf_putc(&out->text, '\0');
}

static void expect_in_file(struct persist *p, const char *line)
{
    struct shown s;

    read_file(p, &s);
    assert_contains(s.text.data, line);
    buf_finish(&s.text);
}

static const char none_open[] = "persist_uploads_open{store=\"a\"} 0\n";
static const char one_open[] = "persist_uploads_open{store=\"a\"} 1\n";

static void file__uploads_are_ended_by_other_programs(void **state)
{
    char *path = temporary_file();
    struct persist *one = program(path), *two = program(path);

    (void)state;
    count_and_flush(one, 1);
    expect_in_file(one, one_open);
    count_and_flush(two, -1);
    expect_in_file(one, none_open);
    count_and_flush(two, 0);
    count_and_flush(one, 1);
    expect_in_file(one, one_open);
    persist_destroy(one);
    persist_destroy(two);
    remove_files(path);
}

static void file__a_look_at_all_uploads_counts_once(void **state)
{
    char *path = temporary_file();
    struct persist *one = program(path), *two = program(path);

    (void)state;
    count_and_flush(one, 1);
    find_and_flush(two, 0);
    expect_in_file(one, none_open);
    count_and_flush(one, 1);
    count_and_flush(two, 0);
    expect_in_file(one, one_open);
    count_and_flush(two, 1);
    count_and_flush(two, -1);
    expect_in_file(one, one_open);
    find_and_flush(two, 0);
    expect_in_file(one, none_open);
    persist_destroy(one);
    persist_destroy(two);
    remove_files(path);
}

/* Or it would be a year until somebody hears that nothing is saved. */
static void file__a_clock_that_was_ahead_is_forgotten(void **state)
{
    const int64_t now_us = clock_wall_us(&clock_system);
    const char name[] = "persist_last_success_timestamp_seconds{";
    char *path = temporary_file(), *line;
    struct persist *p = program(path);
    struct persist_error err = {0};
    struct shown s;
    uint64_t seconds = 0;

    (void)state;
    metrics_record_operation(metrics_store(p->metrics, "a"), OPERATION_SAVE,
                             PERSIST_OK, now_us + 365 * RIG_DAY_US);
    assert_ok(persist_metrics_flush(p, &err), &err);
    read_file(p, &s);
    line = strstr(s.text.data, name);
    assert_non_null(line);
    line = strchr(line, ' ') + 1;
    line[strcspn(line, ".\n")] = '\0';
    assert_true(text_to_u64(line, &seconds));
    assert_in_range(seconds, now_us / 1000000, now_us / 1000000 + 3600);
    buf_finish(&s.text);
    persist_destroy(p);
    remove_files(path);
}

static void rehearsal__counts_requests_and_no_success(void **state)
{
    struct rig *r = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};

    o.flags = PERSIST_SAVE_DRY_RUN;
    assert_ok(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err), &err);

    assert_int_equal(sum(r->p, "persist_operations_total", "\"save\""), 0);
    assert_int_equal(sum(r->p, "persist_snapshot_state_bytes_count", ""), 0);
    assert_true(ops(r, "op=\"list\"") > 0);
}

static void calls__that_break_a_rule_are_refused(void **state)
{
    struct rig *r = *state;
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    assert_status(persist_metrics_render(NULL, 1, &sink, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_metrics_render(r->p, 1, NULL, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(persist_metrics_render(r->p, 1, &sink, &err),
                  PERSIST_E_MISUSE, &err);
    sink.write = keep;
    assert_status(persist_metrics_render(r->p, 0, &sink, &err),
                  PERSIST_E_INVALID, &err);
    assert_status(persist_metrics_render(r->p, 4, &sink, &err),
                  PERSIST_E_INVALID, &err);
    assert_status(persist_metrics_file(r->p, 1, &sink, &err),
                  PERSIST_E_NOT_FOUND, &err);
    assert_ok(persist_metrics_flush(r->p, &err), &err);
}

/* Whole objects of at most 64 KiB, so that a payload is soon in parts. */
static int setup(void **state)
{
    static const char *const small[] = {"put_max", "64K", "part_max", "64K",
                                        NULL};
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    rig_open(r, 0, small);
    *state = r;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            stranger__every_op_it_was_asked_for_is_counted, setup,
            rig_teardown),
        cmocka_unit_test_setup_teardown(
            retries__are_attempts_and_their_failures_are_told, setup,
            rig_teardown),
        cmocka_unit_test_setup_teardown(corrupt__is_counted_where_it_is_met,
                                        setup, rig_teardown),
        cmocka_unit_test_setup_teardown(
            uploads__left_open_are_told_until_a_cleanup, setup, rig_teardown),
        cmocka_unit_test(file__uploads_are_ended_by_other_programs),
        cmocka_unit_test(file__a_look_at_all_uploads_counts_once),
        cmocka_unit_test(file__a_clock_that_was_ahead_is_forgotten),
        cmocka_unit_test_setup_teardown(
            rehearsal__counts_requests_and_no_success, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(calls__that_break_a_rule_are_refused,
                                        setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
