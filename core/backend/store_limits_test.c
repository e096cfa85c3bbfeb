/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the requests of one store share: the slow-down, the retry tokens, the
 * limits of upload and download; and what is known of it from earlier days.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/fake_test.h"

#define MS UINT64_C(1000000)
#define DAY_NS (UINT64_C(86400) * 1000 * MS)

static struct fake f;
static struct rate up, down;
static char dir[64];

/* The wall goes with the boot clock. */
static int64_t wall_us(void *ctx)
{
    return (int64_t)(((struct fake_clock *)ctx)->now_ns / 1000);
}

static int setup(void **state)
{
    (void)state;
    fake_setup(&f);
    /* Sleeps whole, not in slices. */
    op_finish(&f.op);
    assert_int_equal(op_init_with_fd(&f.op, &f.instance), 0);
    f.clock.clock.wall_us = wall_us;
    snprintf(dir, sizeof dir, "/tmp/persist-limits-XXXXXX");
    assert_non_null(mkdtemp(dir));
    f.limits.flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    f.env.state_dir = dir;
    assert_int_equal(rate_init(&up, 1000), 0);
    assert_int_equal(rate_init(&down, 1000), 0);
    return 0;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    fake_teardown(&f);
    rate_finish(&up);
    rate_finish(&down);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static int put_bytes(size_t len)
{
    static const char data[8192];
    const struct backend_put put = {.key = "a/b", .data = data, .len = len};

    return backend_put(f.store, &f.op, &put, NULL, &f.err);
}

static int read_bytes(size_t len)
{
    static char data[8192];
    const struct backend_read read = {.key = "a/b", .buffer = data, .len = len};
    struct backend_read_answer answer;

    return backend_read(f.store, &f.op, &read, &answer, &f.err);
}

static uint64_t elapsed(int (*request)(size_t), size_t len)
{
    uint64_t began = f.clock.now_ns;

    f.clock.n_sleeps = 0;
    assert_int_equal(request(len), PERSIST_OK);
    return f.clock.now_ns - began;
}

/* -------------------------------------------------------------- slow-down */

static void throttled__slows_other_requests_of_the_store_too(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(elapsed(put_bytes, 1), 0);
    fake_answer(&f, PERSIST_BACKEND_OK); /* the one above */
    fake_answer(&f, PERSIST_BACKEND_THROTTLED);
    assert_true(elapsed(put_bytes, 1) > 0);
    assert_int_equal(atomic_load(&f.n_calls), 3);

    /* Of another kind, and nothing was said to it. */
    f.fill = NULL;
    assert_true(elapsed(put_bytes, 1) >= MS);
    struct backend_head_answer head;
    uint64_t began = f.clock.now_ns;
    assert_int_equal(backend_head(f.store, &f.op, "a/b", &head, &f.err), 0);
    assert_true(f.clock.now_ns - began >= MS);
}

static void tokens__run_out_for_all_requests_of_the_store(void **state)
{
    (void)state;
    fake_open(&f);
    f.clock.random_rc = 0;
    for (int round = 0; round < 8; round++) {
        f.n_script = 0;
        atomic_store(&f.n_calls, 0);
        f.clock.n_sleeps = 0;
        for (int i = 0; i < 8; i++)
            fake_answer(&f, PERSIST_BACKEND_TRANSIENT);
        assert_int_equal(put_bytes(1), PERSIST_E_TRANSIENT);
        if (round < 5)
            assert_int_equal(atomic_load(&f.n_calls), 8);
    }
    /* 500 are 35 repetitions: five rounds of seven. */
    assert_int_equal(atomic_load(&f.n_calls), 1);
    assert_non_null(strstr(f.err.hint, "not repeated for now"));
}

/* ----------------------------------------------------------------- limits */

static void fill_read(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_read_args *a = args;
    struct persist_backend_read_result *r = result;

    (void)fake;
    r->len = a->len;
    r->total = a->len;
}

static void limits__uploads_pay_before_and_downloads_after(void **state)
{
    (void)state;
    f.env.upload = &up;
    f.env.download = &down;
    fake_open(&f);
    assert_int_equal(elapsed(put_bytes, 1000), 750 * MS);
    assert_int_equal(elapsed(put_bytes, 100), 100 * MS);
    f.fill = fill_read;
    assert_int_equal(elapsed(read_bytes, 1000), 750 * MS);
    assert_int_equal(elapsed(read_bytes, 100), 100 * MS);
    /* What carries no payload is free. */
    f.fill = NULL;
    f.op.deadline_ns = f.clock.now_ns + 1;
    assert_int_equal(backend_delete(f.store, &f.op, "a/b", NULL, &f.err), 0);
}

static uint64_t object_len;

/* Bytes of an object: the low byte of each offset. */
static void fill_object(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_read_args *a = args;
    struct persist_backend_read_result *r = result;
    uint64_t left = a->offset < object_len ? object_len - a->offset : 0;

    if (strcmp(fake->last_op, "read") != 0)
        return;
    r->len = left < a->len ? left : a->len;
    r->offset = a->offset;
    r->total = object_len;
    memcpy(r->etag, "\"e\"", 4);
    for (uint64_t i = 0; i < r->len; i++)
        ((uint8_t *)a->buffer)[i] = (uint8_t)(a->offset + i);
    assert_true(a->offset == 3 || strcmp(a->etag, "\"e\"") == 0);
}

static void limits__a_large_read_comes_in_slices(void **state)
{
    static uint8_t data[1 << 20];
    const struct backend_read read = {
        .key = "a/b", .buffer = data, .len = sizeof data, .offset = 3};
    struct backend_read_answer answer;

    (void)state;
    down.bytes_per_s = 300 << 10;
    f.env.download = &down;
    f.fill = fill_object;
    fake_open(&f);
    for (object_len = (1 << 20) + 3; object_len > 300 << 10;
         object_len -= 149 << 10) {
        atomic_store(&f.n_calls, 0);
        f.clock.n_sleeps = 0;
        assert_int_equal(backend_read(f.store, &f.op, &read, &answer, &f.err),
                         PERSIST_OK);
        assert_int_equal(answer.len, object_len - 3);
        assert_int_equal(answer.total, object_len);
        for (size_t i = 0; i < answer.len; i++)
            assert_int_equal(data[i], (uint8_t)(i + 3));
        assert_true(atomic_load(&f.n_calls) >=
                    1 + (int)(answer.len / (301 << 10)));
        assert_true(f.args.read.len <= 300 << 10);
    }
}

static void limits__a_repetition_pays_again_outside_the_window(void **state)
{
    (void)state;
    f.env.upload = &up;
    fake_open(&f);
    for (int i = 0; i < 3; i++)
        fake_answer(&f, PERSIST_BACKEND_TRANSIENT);

    /* 16 s each; the window of 30 s is for failures alone. */
    up.bytes_per_s = 100;
    assert_true(elapsed(put_bytes, 1600) >= 4 * 16000 * MS - 250 * MS);
    assert_int_equal(atomic_load(&f.n_calls), 4);
}

static void limits__waiting_ends_with_the_operation(void **state)
{
    (void)state;
    f.env.upload = &up;
    f.env.download = &down;
    fake_open(&f);
    f.op.deadline_ns = f.clock.now_ns + 100 * MS;
    assert_int_equal(put_bytes(8000), PERSIST_E_TIMEOUT);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    f.op.deadline_ns = 0;

    /* What was read is given even where the limit could not be kept. */
    f.fill = fill_read;
    f.op.deadline_ns = f.clock.now_ns + 100 * MS;
    assert_int_equal(read_bytes(8000), PERSIST_OK);
    f.op.deadline_ns = 0;

    f.clock.cancel_at_sleep = &f.op.cancel;
    assert_int_equal(put_bytes(8000), PERSIST_E_CANCELLED);
    assert_int_equal(atomic_load(&f.n_calls), 1);
}

/* ------------------------------------------------------------------ probe */

/* As another process would: a store of its own.  How many requests it took. */
static int ask_again(void)
{
    struct option_values values = {0};

    backend_store_close(f.store);
    f.store = NULL;
    values.values = calloc(8, sizeof(*values.values));
    values.secrets = calloc(8, sizeof(struct secret *));
    values.n = f.plugin.n_options;
    for (size_t i = 0; i < values.n; i++)
        values.values[i] = (struct persist_backend_value){
            .key = f.options[i].key, .text = f.fill_data};
    option_values_finish(&f.values); /* no store took those of the set-up */
    f.values = values;
    fake_open(&f);
    atomic_store(&f.n_calls, 0);
    assert_int_equal(backend_store_check_writable(f.store, &f.op, &f.err),
                     PERSIST_OK);
    return atomic_load(&f.n_calls);
}

static void probe__is_remembered_for_thirty_days(void **state)
{
    (void)state;
    fake_answer(&f, PERSIST_BACKEND_EXISTS);
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 0);
    f.clock.now_ns += 30 * DAY_NS - MS;
    assert_int_equal(ask_again(), 0);
    f.clock.now_ns += MS;
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 0);
    /* The clock was set back: that day has not come yet. */
    f.clock.now_ns -= DAY_NS;
    assert_int_equal(ask_again(), 1);
}

static void probe__is_remembered_of_this_place_only(void **state)
{
    (void)state;
    fake_option(&f, "bucket", PERSIST_BACKEND_STRING, 0, 0);
    fake_answer(&f, PERSIST_BACKEND_EXISTS);
    f.fill_data = "one";
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 0);
    f.fill_data = "two";
    assert_int_equal(ask_again(), 1);
    f.plugin.descriptor.name = "other";
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 0);
}

/* The options of both are the same, the services need not be. */
static void probe__is_not_remembered_of_a_place_from_outside(void **state)
{
    (void)state;
    fake_answer(&f, PERSIST_BACKEND_EXISTS);
    assert_int_equal(ask_again(), 1);
    f.limits.flags |= PERSIST_BACKEND_PLACE_FROM_OUTSIDE;
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 1);
    f.limits.flags &= ~PERSIST_BACKEND_PLACE_FROM_OUTSIDE;
    assert_int_equal(ask_again(), 0);
}

static void probe__is_asked_again_without_a_state_directory(void **state)
{
    (void)state;
    f.env.state_dir = NULL;
    fake_answer(&f, PERSIST_BACKEND_EXISTS);
    assert_int_equal(ask_again(), 1);
    assert_int_equal(ask_again(), 1);
    /* One that cannot be made is no failure either. */
    f.env.state_dir = "/dev/null/x";
    assert_int_equal(ask_again(), 1);
}

static void probe__refusal_is_not_remembered(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(backend_store_check_writable(f.store, &f.op, &f.err),
                     PERSIST_E_UNSUPPORTED);
    fake_answer(&f, PERSIST_BACKEND_EXISTS);
    assert_int_equal(ask_again(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(throttled__slows_other_requests_of_the_store_too),
        TEST(tokens__run_out_for_all_requests_of_the_store),
        TEST(limits__uploads_pay_before_and_downloads_after),
        TEST(limits__a_large_read_comes_in_slices),
        TEST(limits__a_repetition_pays_again_outside_the_window),
        TEST(limits__waiting_ends_with_the_operation),
        TEST(probe__is_remembered_for_thirty_days),
        TEST(probe__is_remembered_of_this_place_only),
        TEST(probe__is_not_remembered_of_a_place_from_outside),
        TEST(probe__is_asked_again_without_a_state_directory),
        TEST(probe__refusal_is_not_remembered),
    };
    return cmocka_run_group_tests_name("store_limits", tests, NULL, NULL);
}
