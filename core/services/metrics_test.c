/* SPDX-License-Identifier: Apache-2.0 */
/* Counting, adding, writing and reading back. */
#include "services/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <persist/error.h>

static void render(const struct metrics_set *s, enum metrics_format format,
                   struct buf *out)
{
    buf_init(out, 1 << 20);
    metrics_set_render(s, format, out);
    assert_false(buf_failed(out));
}

static void assert_line(const struct buf *text, const char *line)
{
    size_t len = strlen(line);
    const char *at = text->data;

    for (; at && *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, line, len) == 0 && at[len] == '\n')
            return;
    fail_msg("no line \"%s\" in:\n%s", line, text->data ? text->data : "");
}

/* A bit of everything. */
static struct metrics *fill(void)
{
    struct metrics *m = metrics_create();
    struct metrics_backend *s3 = metrics_backend(m, "s3");
    struct metrics_store *main_store = metrics_store(m, "main");

    assert_non_null(s3);
    metrics_record_op(s3, METRICS_SAVE, 4096, 3000000, 0, PERSIST_OK);
    metrics_record_op(s3, METRICS_SAVE, 0, 70000000000, 0, PERSIST_E_THROTTLED);
    metrics_record_op(s3, METRICS_SAVE, 100, 1, 1, PERSIST_OK);
    metrics_record_op(s3, METRICS_LOAD, 5000, 500000, 0, PERSIST_OK);
    metrics_record_op(s3, METRICS_EXISTS, 0, 600, 0, PERSIST_E_NOT_FOUND);
    metrics_record_operation(main_store, OPERATION_SAVE, PERSIST_OK,
                             INT64_C(1795407564642210));
    metrics_record_operation(main_store, OPERATION_VERIFY, PERSIST_E_CORRUPT,
                             1);
    metrics_record_snapshot(m, METRICS_ZSTD, 300, 1024);
    metrics_count_upload(main_store, 1);
    return m;
}

static void collect(struct metrics *m, struct metrics_set *out)
{
    metrics_set_init(out);
    assert_int_equal(metrics_collect(m, out), PERSIST_OK);
}

static void text__names_labels_and_units_are_those_documented(void **state)
{
    struct metrics *m = fill();
    struct metrics_set set;
    struct buf text;

    (void)state;
    collect(m, &set);
    render(&set, METRICS_TEXT, &text);

    assert_line(&text, "# TYPE persist_storage_ops_total counter");
    assert_line(&text, "persist_storage_ops_total{backend=\"s3\",op=\"save\","
                       "status=\"ok\"} 2");
    assert_line(&text, "persist_storage_ops_total{backend=\"s3\",op=\"save\","
                       "status=\"throttled\"} 1");
    assert_line(&text, "persist_storage_ops_total{backend=\"s3\",op="
                       "\"exists\",status=\"not_found\"} 1");
    assert_line(&text,
                "persist_storage_bytes_total{backend=\"s3\",op=\"save\"} 4196");
    assert_line(&text,
                "persist_storage_bytes_total{backend=\"s3\",op=\"load\"} 5000");
    assert_line(&text, "persist_storage_latency_seconds_bucket{backend=\"s3\","
                       "op=\"save\",le=\"0.0005\"} 1");
    assert_line(&text, "persist_storage_latency_seconds_bucket{backend=\"s3\","
                       "op=\"load\",le=\"0.0005\"} 1");
    assert_line(&text, "persist_storage_latency_seconds_bucket{backend=\"s3\","
                       "op=\"save\",le=\"60\"} 2");
    assert_line(&text, "persist_storage_latency_seconds_bucket{backend=\"s3\","
                       "op=\"save\",le=\"+Inf\"} 3");
    assert_line(&text, "persist_storage_latency_seconds_sum{backend=\"s3\",op="
                       "\"save\"} 70.003000001");
    assert_line(&text,
                "persist_storage_retries_total{backend=\"s3\",op=\"save\"} 1");
    assert_line(&text,
                "persist_transfer_bytes_count{backend=\"s3\",op=\"put\"} 2");
    assert_line(&text,
                "persist_transfer_bytes_sum{backend=\"s3\",op=\"get\"} 5000");
    assert_line(&text, "persist_snapshot_state_bytes_sum{codec=\"zstd\"} 300");
    assert_line(&text, "persist_snapshot_stored_bytes_bucket{codec=\"zstd\","
                       "le=\"1024\"} 1");
    assert_line(&text, "persist_operations_total{store=\"main\",operation="
                       "\"verify\",status=\"corrupt\"} 1");
    assert_line(&text, "persist_last_success_timestamp_seconds{store=\"main\","
                       "operation=\"save\"} 1795407564.64221");
    assert_line(&text, "persist_corrupt_found_total{store=\"main\"} 1");
    assert_line(&text, "persist_uploads_open{store=\"main\"} 1");

    buf_finish(&text);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

static void openmetrics__has_units_families_and_an_end(void **state)
{
    struct metrics *m = fill();
    struct metrics_set set;
    struct buf text;

    (void)state;
    collect(m, &set);
    render(&set, METRICS_OPENMETRICS, &text);

    assert_line(&text, "# TYPE persist_storage_bytes counter");
    assert_line(&text, "# UNIT persist_storage_bytes bytes");
    assert_line(&text, "# UNIT persist_storage_latency_seconds seconds");
    assert_line(&text, "persist_storage_latency_seconds_bucket{backend=\"s3\","
                       "op=\"save\",le=\"60.0\"} 2");
    assert_string_equal(text.data + text.len - 6, "# EOF\n");

    buf_finish(&text);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

static void json__every_line_is_an_object_with_name_and_labels(void **state)
{
    struct metrics *m = fill();
    struct metrics_set set;
    struct buf text;
    size_t n = 0;

    (void)state;
    collect(m, &set);
    render(&set, METRICS_JSON, &text);

    for (const char *at = text.data; *at; at = strchr(at, '\n') + 1) {
        json_t *o = json_loadb(at, (size_t)(strchr(at, '\n') - at), 0, NULL);

        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "type")),
                            "metric");
        assert_true(json_is_object(json_object_get(o, "labels")));
        assert_true(json_object_get(o, "value") ||
                    json_array_size(json_object_get(o, "buckets")) > 10);
        json_decref(o);
        n++;
    }
    assert_int_equal(n, set.n);

    buf_finish(&text);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

static void parse__gives_back_what_was_written(void **state)
{
    struct metrics *m = fill();
    struct metrics_set set, again;
    struct buf text, second;
    size_t line = 0;

    (void)state;
    collect(m, &set);
    render(&set, METRICS_TEXT, &text);
    metrics_set_init(&again);
    assert_int_equal(metrics_set_parse(&again, text.data, text.len, &line),
                     PERSIST_OK);
    render(&again, METRICS_TEXT, &second);
    assert_string_equal(text.data, second.data);

    buf_finish(&text);
    buf_finish(&second);
    metrics_set_finish(&set);
    metrics_set_finish(&again);
    metrics_destroy(m);
}

/* Every cut, and every byte changed to another: refused, or the same numbers
 * in other words (HELP). */
static void parse__refuses_what_was_cut_or_changed(void **state)
{
    struct metrics *m = fill();
    struct metrics_set set, again;
    struct buf text;
    size_t line = 0;

    (void)state;
    collect(m, &set);
    render(&set, METRICS_TEXT, &text);
    metrics_set_init(&again);
    for (size_t len = 1; len < text.len; len++) {
        int rc = metrics_set_parse(&again, text.data, len, &line);

        if (text.data[len - 1] != '\n')
            assert_int_equal(rc, PERSIST_E_CORRUPT);
        metrics_set_finish(&again);
    }
    for (size_t i = 0; i < text.len; i++) {
        char old = text.data[i];

        text.data[i] = old == 'A' ? 'B' : 'A';
        int rc = metrics_set_parse(&again, text.data, text.len, &line);
        size_t start = i;
        while (start > 0 && text.data[start - 1] != '\n')
            start--;
        if (rc == PERSIST_OK)
            assert_int_equal(strncmp(text.data + start, "# HELP", 6), 0);
        else
            assert_int_equal(rc, PERSIST_E_CORRUPT);
        text.data[i] = old;
        metrics_set_finish(&again);
    }
    buf_finish(&text);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

static void parse__refuses_what_it_would_not_have_written(void **state)
{
    static const char *const texts[] = {
        "persist_corrupt_found_total{store=\"a\"} 1\n"
        "persist_corrupt_found_total{store=\"a\"} 1\n",
        "persist_corrupt_found_total{store=\"a\"} 01\n",
        "persist_corrupt_found_total{store=\"a\"} -1\n",
        "persist_corrupt_found_total{store=\"a\"} 1e3\n",
        "persist_corrupt_found_total{store=\"a\"} 99999999999999999999\n",
        "persist_corrupt_found_total{store=\"\"} 1\n",
        "persist_corrupt_found_total{store=\"a\\n\"} 1\n",
        "persist_corrupt_found_total{store=\"a\",x=\"y\"} 1\n",
        "persist_corrupt_found_total{store=\"a\"} 1 1795407564\n",
        "persist_corrupt_found_total 1\n",
        "persist_memory_budget_limit_bytes 1\n",
        "persist_last_success_timestamp_seconds{store=\"a\",operation="
        "\"save\"} 1.10\n",
        "persist_last_success_timestamp_seconds{store=\"a\",operation="
        "\"save\"} 1.1234567\n",
        "persist_snapshot_state_bytes_bucket{codec=\"zstd\",le=\"256\"} 1\n",
        "persist_snapshot_state_bytes_count{codec=\"zstd\"} 1\n",
        "node_load1 0.5\n",
        "# a comment\n",
        "\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct metrics_set set;
        size_t line = 0;

        metrics_set_init(&set);
        if (metrics_set_parse(&set, texts[i], strlen(texts[i]), &line) !=
            PERSIST_E_CORRUPT)
            fail_msg("taken: %s", texts[i]);
        metrics_set_finish(&set);
    }
}

static uint64_t value_of(const struct metrics_set *s,
                         enum metrics_family_id family, const char *first,
                         const char *second, const char *third)
{
    struct metrics_sample wanted;

    metrics_sample_init(&wanted, family, first, second, third);
    const struct metrics_sample *found = metrics_set_find(s, &wanted);
    assert_non_null(found);
    return found->value;
}

static void sets__add_counters_and_keep_the_newest_time(void **state)
{
    struct metrics *m = fill();
    struct metrics_set sum, set;

    (void)state;
    collect(m, &set);
    metrics_set_init(&sum);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);

    assert_int_equal(value_of(&sum, METRICS_OPS, "s3", "save", "ok"), 4);
    assert_int_equal(value_of(&sum, METRICS_BYTES, "s3", "save", NULL), 8392);
    assert_int_equal(value_of(&sum, METRICS_LAST_SUCCESS, "main", "save", NULL),
                     INT64_C(1795407564642210));
    metrics_set_finish(&sum);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

static void sets__subtract_leaves_what_came_since(void **state)
{
    struct metrics *m = fill();
    struct metrics_set before, now;

    (void)state;
    collect(m, &before);
    metrics_record_op(metrics_backend(m, "s3"), METRICS_SAVE, 7, 1, 0,
                      PERSIST_OK);
    collect(m, &now);
    metrics_set_subtract(&now, &before);

    assert_int_equal(value_of(&now, METRICS_OPS, "s3", "save", "ok"), 1);
    assert_int_equal(value_of(&now, METRICS_OPS, "s3", "save", "throttled"), 0);
    assert_int_equal(value_of(&now, METRICS_BYTES, "s3", "save", NULL), 7);
    metrics_set_finish(&before);
    metrics_set_finish(&now);
    metrics_destroy(m);
}

/* Begun by one process and ended by another; then a cleanup looks. */
static void uploads__are_counted_across_processes(void **state)
{
    struct metrics *one = metrics_create(), *two = metrics_create();
    struct metrics_set sum, set;

    (void)state;
    metrics_set_init(&sum);
    metrics_record_operation(metrics_store(one, "a"), OPERATION_SAVE,
                             PERSIST_E_TIMEOUT, 1);
    metrics_count_upload(metrics_store(one, "a"), 1);
    collect(one, &set);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);
    metrics_set_finish(&set);
    assert_int_equal(value_of(&sum, METRICS_UPLOADS, "a", NULL, NULL), 1);

    metrics_record_operation(metrics_store(two, "a"), OPERATION_SAVE,
                             PERSIST_OK, 1);
    metrics_count_upload(metrics_store(two, "a"), -1);
    collect(two, &set);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);
    assert_int_equal(value_of(&sum, METRICS_UPLOADS, "a", NULL, NULL), 0);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);
    assert_int_equal(value_of(&sum, METRICS_UPLOADS, "a", NULL, NULL), 0);
    metrics_set_finish(&set);

    metrics_set_uploads(metrics_store(one, "a"), 3);
    collect(one, &set);
    assert_int_equal(metrics_set_merge(&sum, &set), PERSIST_OK);
    assert_int_equal(value_of(&sum, METRICS_UPLOADS, "a", NULL, NULL), 3);
    metrics_set_finish(&set);
    metrics_set_finish(&sum);
    metrics_destroy(one);
    metrics_destroy(two);
}

/* ----------------------------------------------------------------- threads */

#define THREADS 8
#define ROUNDS 20000

static void *count(void *ctx)
{
    struct metrics_backend *row = metrics_backend(ctx, "local");

    for (int i = 0; i < ROUNDS; i++)
        metrics_record_op(row, METRICS_LOAD, 2, (uint64_t)i, 0, PERSIST_OK);
    return NULL;
}

static void counting__loses_nothing_between_threads(void **state)
{
    struct metrics *m = metrics_create();
    pthread_t threads[THREADS];
    struct metrics_set set;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, m), 0);
    for (int i = 0; i < 20; i++) { /* reading meanwhile */
        collect(m, &set);
        metrics_set_finish(&set);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    collect(m, &set);

    assert_int_equal(value_of(&set, METRICS_OPS, "local", "load", "ok"),
                     THREADS * ROUNDS);
    assert_int_equal(value_of(&set, METRICS_BYTES, "local", "load", NULL),
                     THREADS * ROUNDS * 2);
    metrics_set_finish(&set);
    metrics_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__names_labels_and_units_are_those_documented),
        cmocka_unit_test(openmetrics__has_units_families_and_an_end),
        cmocka_unit_test(json__every_line_is_an_object_with_name_and_labels),
        cmocka_unit_test(parse__gives_back_what_was_written),
        cmocka_unit_test(parse__refuses_what_was_cut_or_changed),
        cmocka_unit_test(parse__refuses_what_it_would_not_have_written),
        cmocka_unit_test(sets__add_counters_and_keep_the_newest_time),
        cmocka_unit_test(sets__subtract_leaves_what_came_since),
        cmocka_unit_test(uploads__are_counted_across_processes),
        cmocka_unit_test(counting__loses_nothing_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
