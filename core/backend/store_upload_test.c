/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/fake_test.h"

static struct fake f;
static struct backend_upload *u;
static const char *id = "upload-1";
static uint32_t receipt_len = 4;

/* The receipts as the commit saw them. */
static struct persist_backend_receipt committed[8];
static uint8_t committed_bytes[8][8];

static void fill(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_commit_args *commit = args;
    const struct persist_backend_part_args *part = args;

    if (strcmp(fake->last_op, "begin") == 0) {
        struct persist_backend_begin_result *r = result;
        if (id)
            snprintf(r->upload_id, sizeof(r->upload_id), "%s", id);
        else
            memset(r->upload_id, 'i', sizeof(r->upload_id));
    } else if (strcmp(fake->last_op, "part") == 0) {
        struct persist_backend_part_result *r = result;
        r->receipt_len = receipt_len;
        memset(r->receipt, (int)part->number, 4);
    } else if (strcmp(fake->last_op, "commit") == 0) {
        assert_int_equal(commit->receipt_size, sizeof(*commit->receipts));
        for (uint32_t i = 0; i < commit->n_receipts && i < 8; i++) {
            committed[i] = commit->receipts[i];
            memcpy(committed_bytes[i], commit->receipts[i].receipt, 8);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    fake_setup(&f);
    f.fill = fill;
    u = NULL;
    id = "upload-1";
    receipt_len = 4;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    backend_upload_destroy(u);
    fake_teardown(&f);
    return 0;
}

static int begin(void)
{
    return backend_upload_begin(f.store, &f.op, "a/b", NULL, &u, &f.err);
}

static char data[64];

static int part(uint32_t number, uint64_t offset, size_t len, bool is_last)
{
    const struct backend_part p = {.offset = offset,
                                   .data = data,
                                   .len = len,
                                   .number = number,
                                   .crc32c = number * 11,
                                   .is_last = is_last};

    return backend_upload_part(u, &f.op, &p, &f.err);
}

static void upload__commits_parts_in_order_with_their_receipts(void **state)
{
    const uint64_t size = 25;

    (void)state;
    fake_open(&f);
    assert_int_equal(
        backend_upload_begin(f.store, &f.op, "a/b", &size, &u, &f.err),
        PERSIST_OK);
    assert_int_equal(f.args.begin.present, PERSIST_BACKEND_HAS_SIZE);
    assert_int_equal(f.args.begin.size, 25);
    assert_int_equal(part(3, 20, 5, true), PERSIST_OK);
    assert_true(f.args.part.is_last);
    assert_string_equal(f.args.part.upload_id, "upload-1");
    assert_int_equal(part(1, 0, 10, false), PERSIST_OK);
    assert_int_equal(part(2, 10, 10, false), PERSIST_OK);
    /* Sent again: the receipt is replaced, not added. */
    assert_int_equal(part(1, 0, 10, false), PERSIST_OK);

    assert_int_equal(backend_upload_commit(u, &f.op, 25, 0xabcd, NULL, &f.err),
                     PERSIST_OK);

    assert_int_equal(f.args.commit.n_receipts, 3);
    assert_int_equal(f.args.commit.flags, PERSIST_BACKEND_IF_ABSENT);
    assert_int_equal(f.args.commit.present,
                     PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_CRC32C);
    assert_int_equal(f.args.commit.size, 25);
    assert_int_equal(f.args.commit.crc32c, 0xabcd);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(committed[i].number, i + 1);
        assert_int_equal(committed[i].offset, i * 10);
        assert_int_equal(committed[i].crc32c, (i + 1) * 11);
        assert_int_equal(committed[i].receipt_len, 4);
        assert_int_equal(committed_bytes[i][0], i + 1);
    }
}

static void upload__keeps_many_receipts_in_order(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    for (uint32_t number = 50; number > 0; number--)
        assert_int_equal(part(number, (number - 1) * 2ULL, 2, number == 50),
                         PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 100, 0, NULL, &f.err),
                     PERSIST_OK);
    assert_int_equal(f.args.commit.n_receipts, 50);
}

static void commit__wants_every_part(void **state)
{
    bool maybe = true;

    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 0, 0, &maybe, &f.err),
                     PERSIST_E_INTERNAL);
    assert_false(maybe);
    assert_int_equal(part(1, 0, 10, false), PERSIST_OK);
    assert_int_equal(part(3, 20, 10, true), PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 30, 0, NULL, &f.err),
                     PERSIST_E_INTERNAL);
    assert_int_equal(part(2, 11, 9, false), PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 30, 0, NULL, &f.err),
                     PERSIST_E_INTERNAL);
    assert_int_equal(part(2, 10, 10, false), PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 31, 0, NULL, &f.err),
                     PERSIST_E_INTERNAL);
    assert_int_equal(backend_upload_commit(u, &f.op, 30, 0, NULL, &f.err),
                     PERSIST_OK);
}

static void commit__wants_numbers_without_a_gap(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    assert_int_equal(part(1, 0, 10, false), PERSIST_OK);
    assert_int_equal(part(3, 10, 10, true), PERSIST_OK);
    assert_int_equal(backend_upload_commit(u, &f.op, 20, 0, NULL, &f.err),
                     PERSIST_E_INTERNAL);
}

static void begin__checks_the_upload_id(void **state)
{
    (void)state;
    fake_open(&f);
    id = "";
    assert_int_equal(begin(), PERSIST_E_INTERNAL);
    id = NULL;
    assert_int_equal(begin(), PERSIST_E_INTERNAL);
    assert_non_null(strstr(f.err.message, "endless upload id"));
    assert_null(u);
}

static void begin__checks_key_and_size(void **state)
{
    const uint64_t size = 1001;

    (void)state;
    f.limits.object_max = 1000;
    fake_open(&f);
    assert_int_equal(
        backend_upload_begin(f.store, &f.op, "k", &size, &u, &f.err),
        PERSIST_E_INVALID);
    assert_int_equal(backend_upload_begin(f.store, &f.op, "", NULL, &u, &f.err),
                     PERSIST_E_INVALID);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    fake_answer(&f, PERSIST_BACKEND_AUTH);
    assert_int_equal(begin(), PERSIST_E_AUTH);
}

static void part__is_held_to_the_limits(void **state)
{
    (void)state;
    f.limits.part_min = 8;
    f.limits.part_max = 32;
    f.limits.part_align = 4;
    f.limits.parts_max = 5;
    f.limits.object_max = 300;
    f.limits.flags |= PERSIST_BACKEND_EQUAL_PARTS;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    int calls = atomic_load(&f.n_calls);

    assert_int_equal(part(0, 0, 8, false), PERSIST_E_INVALID);
    assert_int_equal(part(6, 0, 8, false), PERSIST_E_INVALID);
    assert_int_equal(part(1, 0, 33, true), PERSIST_E_INVALID);
    assert_int_equal(part(1, 0, 4, false), PERSIST_E_INVALID);
    assert_int_equal(part(1, 0, 10, false), PERSIST_E_INVALID);
    assert_int_equal(part(1, 0, 0, false), PERSIST_E_INVALID);
    assert_int_equal(part(2, 0, 0, true), PERSIST_E_INVALID);
    assert_int_equal(part(1, 290, 12, false), PERSIST_E_INVALID);
    assert_int_equal(part(1, UINT64_MAX, 12, false), PERSIST_E_INVALID);
    assert_int_equal(atomic_load(&f.n_calls), calls);
    assert_string_equal(f.err.object, "a/b");

    assert_int_equal(part(1, 0, 12, false), PERSIST_OK);
    assert_int_equal(part(2, 12, 16, false), PERSIST_E_INVALID);
    assert_int_equal(part(2, 12, 12, false), PERSIST_OK);
    /* The last one may be short and crooked. */
    assert_int_equal(part(3, 24, 1, true), PERSIST_OK);
    /* The only part of an empty object. */
    assert_int_equal(part(1, 0, 0, true), PERSIST_OK);
}

static void part__receipt_that_is_too_long_is_a_bug(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    receipt_len = 257;
    assert_int_equal(part(1, 0, 8, true), PERSIST_E_INTERNAL);
    assert_non_null(strstr(f.err.message, "receipt"));
    receipt_len = 256;
    assert_int_equal(part(1, 0, 8, true), PERSIST_OK);
}

static int commit_after(const int32_t *answers, size_t n, bool *maybe)
{
    f.n_script = 0;
    atomic_store(&f.n_calls, 0);
    for (size_t i = 0; i < n; i++)
        fake_answer(&f, answers[i]);
    return backend_upload_commit(u, &f.op, 8, 0, maybe, &f.err);
}
#define COMMIT_AFTER(maybe, ...)                                               \
    commit_after((const int32_t[]){__VA_ARGS__},                               \
                 sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t),     \
                 maybe)

static void commit__upload_gone_after_a_lost_answer_is_uncertain(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    assert_int_equal(part(1, 0, 8, true), PERSIST_OK);

    assert_int_equal(COMMIT_AFTER(&maybe, PERSIST_BACKEND_NOT_FOUND),
                     PERSIST_E_NOT_FOUND);
    assert_false(maybe);
    assert_int_equal(COMMIT_AFTER(&maybe, PERSIST_BACKEND_UNCERTAIN,
                                  PERSIST_BACKEND_NOT_FOUND),
                     PERSIST_E_UNCERTAIN);
    assert_true(maybe);
    assert_int_equal(COMMIT_AFTER(&maybe, PERSIST_BACKEND_TRANSIENT,
                                  PERSIST_BACKEND_NOT_FOUND),
                     PERSIST_E_UNCERTAIN);
    assert_true(maybe);
    assert_int_equal(COMMIT_AFTER(&maybe, PERSIST_BACKEND_THROTTLED,
                                  PERSIST_BACKEND_NOT_FOUND),
                     PERSIST_E_NOT_FOUND);
    assert_false(maybe);
    assert_int_equal(
        COMMIT_AFTER(&maybe, PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_EXISTS),
        PERSIST_E_EXISTS);
    assert_true(maybe);
}

static void fill_endless(struct fake *fake, const void *args, void *result)
{
    struct persist_backend_commit_result *r = result;

    (void)fake, (void)args;
    memset(r->etag, 'e', sizeof(r->etag));
}

static void commit__endless_etag_may_have_happened(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    assert_int_equal(part(1, 0, 8, true), PERSIST_OK);
    f.fill = fill_endless;
    assert_int_equal(backend_upload_commit(u, &f.op, 8, 0, &maybe, &f.err),
                     PERSIST_E_INTERNAL);
    assert_true(maybe);
}

static void expect_no_cancel(struct fake *fake,
                             const struct persist_backend_call *call)
{
    assert_int_equal(fake->host->is_cancelled(call), 0);
    assert_int_equal(fake->host->cancel_fd(call), -1);
    assert_int_equal(call->present, PERSIST_BACKEND_CALL_DEADLINE);
}

static void abort__runs_when_everything_is_cancelled(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    cancel_set(&f.op.cancel);
    cancel_set(&f.instance);
    f.during = expect_no_cancel;
    int calls = atomic_load(&f.n_calls);

    assert_int_equal(backend_upload_abort(u, &f.err), PERSIST_OK);

    assert_int_equal(atomic_load(&f.n_calls), calls + 1);
    assert_string_equal(f.args.abort.upload_id, "upload-1");
    assert_string_equal(f.args.abort.key, "a/b");
}

static void abort__tells_what_it_could_not(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    f.n_script = 1;
    fake_answer_message(&f, PERSIST_BACKEND_DENIED, "no");
    assert_int_equal(backend_upload_abort(u, &f.err), PERSIST_E_DENIED);
    assert_string_equal(f.err.message, "upload_abort: no");
    assert_string_equal(f.err.object, "a/b");
}

/* --------------------------------------------------------------- continued
 */

static int continue_upload(const struct backend_receipt *receipts, size_t n)
{
    return backend_upload_continue(f.store, "a/b", "upload-7", receipts, n, &u,
                                   &f.err);
}

static struct backend_receipt watched[8];
static atomic_uint n_watched;

static void watch(void *ctx, const struct backend_receipt *receipt)
{
    assert_ptr_equal(ctx, watched);
    watched[atomic_fetch_add(&n_watched, 1)] = *receipt;
}

static void watch__is_told_of_what_was_acknowledged(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    assert_string_equal(backend_upload_id(u), "upload-1");
    atomic_store(&n_watched, 0);
    backend_upload_watch(u, watch, watched);
    assert_int_equal(part(2, 10, 10, false), PERSIST_OK);
    f.n_script = 0;
    atomic_store(&f.n_calls, 0);
    fake_answer(&f, PERSIST_BACKEND_DENIED);
    assert_int_equal(part(1, 0, 10, false), PERSIST_E_DENIED);
    assert_int_equal(atomic_load(&n_watched), 1);
    assert_int_equal(watched[0].number, 2);
    assert_int_equal(watched[0].offset, 10);
    assert_int_equal(watched[0].len, 10);
    assert_int_equal(watched[0].crc32c, 22);
    assert_int_equal(watched[0].receipt_len, 4);
    assert_int_equal(watched[0].receipt[0], 2);
}

static void continued__sends_only_what_is_not_there(void **state)
{
    const struct backend_receipt known[] = {
        {.number = 2,
         .offset = 10,
         .len = 10,
         .crc32c = 22,
         .receipt_len = 1,
         .receipt = {99}},
        {.number = 1,
         .offset = 0,
         .len = 10,
         .crc32c = 11,
         .receipt_len = 1,
         .receipt = {98}},
        {.number = 3,
         .offset = 20,
         .len = 5,
         .crc32c = 33,
         .receipt_len = 1,
         .receipt = {97}},
    };

    (void)state;
    fake_open(&f);
    assert_int_equal(continue_upload(known, 3), PERSIST_OK);
    assert_int_equal(part(1, 0, 10, false), PERSIST_OK);
    assert_int_equal(part(2, 10, 10, false), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    /* The last one completes what the service has. */
    assert_int_equal(part(3, 20, 5, true), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 1);
    assert_string_equal(f.args.part.upload_id, "upload-7");
    assert_int_equal(backend_upload_commit(u, &f.op, 25, 0, NULL, &f.err),
                     PERSIST_OK);
    assert_string_equal(f.args.commit.upload_id, "upload-7");
    assert_int_equal(committed_bytes[0][0], 98);
    assert_int_equal(committed_bytes[1][0], 99);
    assert_int_equal(committed_bytes[2][0], 3);
}

static void continued__other_bytes_are_told(void **state)
{
    static const struct backend_receipt wrong[] = {
        {.number = 1, .offset = 0, .len = 10, .crc32c = 12},
        {.number = 1, .offset = 1, .len = 10, .crc32c = 11},
        {.number = 1, .offset = 0, .len = 9, .crc32c = 11},
    };

    (void)state;
    fake_open(&f);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(continue_upload(&wrong[i], 1), PERSIST_OK);
        assert_int_equal(part(1, 0, 10, false), PERSIST_E_PRECONDITION);
        assert_int_equal(atomic_load(&f.n_calls), 0);
        /* One that is not known is sent. */
        assert_int_equal(part(2, 10, 10, false), PERSIST_OK);
        atomic_store(&f.n_calls, 0);
        backend_upload_destroy(u);
        u = NULL;
    }
}

/* ---------------------------------------------------------------- threads */

static atomic_int inside;
static atomic_int most;

static void count_inside(struct fake *fake,
                         const struct persist_backend_call *call)
{
    int now = atomic_fetch_add(&inside, 1) + 1;
    int seen = atomic_load(&most);

    (void)fake, (void)call;
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
    nanosleep(&(struct timespec){0, 2000000}, NULL);
    atomic_fetch_sub(&inside, 1);
}

static void *send_parts(void *arg)
{
    uint32_t first = *(const uint32_t *)arg;
    intptr_t rc = 0;

    for (uint32_t n = first; n <= 40 && rc == 0; n += 8) {
        const struct backend_part p = {.offset = (n - 1) * 8ULL,
                                       .data = data,
                                       .len = 8,
                                       .number = n,
                                       .is_last = n == 40};
        rc = backend_upload_part(u, &f.op, &p, NULL);
    }
    return (void *)rc;
}

static void parts__come_from_many_threads_within_the_limit(void **state)
{
    pthread_t threads[8];
    uint32_t firsts[8];

    (void)state;
    f.env.clock = &clock_system;
    f.limits.parallel_max = 2;
    fake_open(&f);
    assert_int_equal(begin(), PERSIST_OK);
    f.during = count_inside;
    f.fill = NULL;
    for (uint32_t i = 0; i < 8; i++) {
        firsts[i] = i + 1;
        assert_int_equal(
            pthread_create(&threads[i], NULL, send_parts, &firsts[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        void *rc = NULL;
        pthread_join(threads[i], &rc);
        assert_null(rc);
    }
    assert_int_equal(atomic_load(&most), 2);
    f.during = NULL;
    assert_int_equal(backend_upload_commit(u, &f.op, 320, 0, NULL, &f.err),
                     PERSIST_OK);
    assert_int_equal(f.args.commit.n_receipts, 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(upload__commits_parts_in_order_with_their_receipts),
        TEST(upload__keeps_many_receipts_in_order),
        TEST(commit__wants_every_part),
        TEST(commit__wants_numbers_without_a_gap),
        TEST(begin__checks_the_upload_id),
        TEST(begin__checks_key_and_size),
        TEST(part__is_held_to_the_limits),
        TEST(part__receipt_that_is_too_long_is_a_bug),
        TEST(commit__upload_gone_after_a_lost_answer_is_uncertain),
        TEST(commit__endless_etag_may_have_happened),
        TEST(abort__runs_when_everything_is_cancelled),
        TEST(abort__tells_what_it_could_not),
        TEST(watch__is_told_of_what_was_acknowledged),
        TEST(continued__sends_only_what_is_not_there),
        TEST(continued__other_bytes_are_told),
        TEST(parts__come_from_many_threads_within_the_limit),
    };
    return cmocka_run_group_tests_name("store_upload", tests, NULL, NULL);
}
