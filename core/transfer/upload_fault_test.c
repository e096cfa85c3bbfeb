/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong while parts are under way: parts that fail or hang, sources
 * that stop, threads that cannot be started, others who hold the memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer/transfer_test_kit.h"

enum { FRAME = 65536, LEN = 40 * FRAME, WAIT_MS = 10000 };

/* --------------------------------------------------------------- threads */

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);

static atomic_int threads_left = INT32_MAX;

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg)
{
    if (atomic_fetch_sub(&threads_left, 1) <= 0)
        return EAGAIN;
    return __real_pthread_create(t, attr, run, arg);
}

/* --------------------------------------------------------------- one save */

struct saving {
    struct rig r;
    struct upload *u;
    struct backend_upload *to;
    uint8_t *payload;
    size_t given;
    size_t
        stop_at; /* the source waits from here on, until it is told to stop */
    atomic_uint parts;
    unsigned fail_at; /* this part, and with `status` */
    int32_t status;
    bool late; /* every part waits until the source does */
    atomic_bool source_waits;
    bool hang;             /* every other part, until its call is to end */
    atomic_bool forgotten; /* one that hung was never told */
    uint64_t timeout_ms;
    uint64_t says; /* what the source announces; 0: nothing */
    uint64_t size;
    uint32_t crc;
    struct persist_error err;
};

static struct persist_metadata describe(void)
{
    return (struct persist_metadata){
        .struct_size = sizeof(struct persist_metadata),
        .format_version = 2,
        .compression_level = 1,
        .frame_size = FRAME,
        .snapshot_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab",
        .agent_id = "a",
        .session_id = "default",
        .timestamp = "2026-11-23T04:19:24.642210Z",
        .compression_algorithm = "zstd",
        .content_type = "text/plain",
        .producer_name = "persist",
        .producer_version = "1",
    };
}

static int read_payload(void *ctx, void *out, size_t cap, size_t *out_len,
                        struct persist_error *err)
{
    struct saving *s = ctx;
    size_t n = LEN - s->given < cap ? LEN - s->given : cap;

    for (int i = 0; s->given >= s->stop_at; i++) {
        int rc = op_check(upload_op(s->u), &clock_system);

        atomic_store(&s->source_waits, true);
        if (rc)
            return error_set(err, rc, "stopped while waiting for input");
        if (i == WAIT_MS)
            return error_set(err, PERSIST_E_INTERNAL, "nobody woke it");
        usleep(1000);
    }
    memcpy(out, s->payload + s->given, n);
    s->given += n;
    *out_len = n;
    return 0;
}

static int32_t on_part(void *ctx, const struct memory_event *event)
{
    struct saving *s = ctx;

    if (event->phase != MEMORY_BEFORE || strcmp(event->op, "upload_part") != 0)
        return 0;
    unsigned number = atomic_fetch_add(&s->parts, 1) + 1;

    for (int i = 0; s->late && !atomic_load(&s->source_waits) && i < WAIT_MS;
         i++)
        usleep(1000);
    if (number == s->fail_at)
        return s->status;
    for (int i = 0; s->hang && i < WAIT_MS; i++) {
        int rc = op_check(upload_op(s->u), &clock_system);

        if (rc)
            return rc;
        if (i == WAIT_MS - 1)
            atomic_store(&s->forgotten, true);
        usleep(1000);
    }
    return 0;
}

static void saving_open(struct saving *s)
{
    static const char *const options[] = {"put_max=64K", "part_max=64K",
                                          "parallel_max=4"};
    struct upload_source source = {.read = read_payload,
                                   .ctx = s,
                                   .has_size = s->says != 0,
                                   .size = s->says};

    rig_open(&s->r, 64 << 20, options, 3);
    rig_threads(&s->r);
    op_start(&s->r.op, &clock_system, s->timeout_ms);
    s->payload = noise(LEN);
    s->stop_at = s->stop_at ? s->stop_at : LEN + 1;
    s->r.memory->set_hook("default", on_part, s);
    const struct upload_what what = {
        .pool = s->r.pool,
        .store = s->r.store,
        .op = &s->r.op,
        .codec = CODEC_ZSTD,
        .level = 1,
        .frame_size = FRAME,
        .header_max = 1024,
        .cpu = s->r.cpu,
        .io = s->r.io,
    };
    assert_ok(upload_open(&what, &source, &s->u, &s->err), &s->err);
}

static int saving_run(struct saving *s)
{
    struct persist_metadata m = describe();
    bool whole = true;
    int rc = upload_fill(s->u, &whole, &s->err);

    if (rc)
        return rc;
    assert_false(whole);
    assert_ok(
        backend_upload_begin(s->r.store, &s->r.op, "k", NULL, &s->to, &s->err),
        &s->err);
    return upload_send(s->u, &m, s->to, NULL, NULL, &s->size, &s->crc, &s->err);
}

/* Nothing is under way any more, and an abort leaves nothing. */
static void saving_close(struct saving *s)
{
    struct persist_error err = {0};
    unsigned parts = atomic_load(&s->parts);

    s->r.memory->set_hook("default", NULL, NULL);
    if (s->to)
        assert_ok(backend_upload_abort(s->to, &err), &err);
    backend_upload_destroy(s->to);
    upload_close(s->u);
    assert_int_equal(atomic_load(&s->parts), parts);
    assert_false(atomic_load(&s->forgotten));
    assert_int_equal(s->r.memory->n_uploads("default"), 0);
    assert_int_equal(s->r.memory->n_objects("default"), 0);
    rig_close(&s->r);
    free(s->payload);
}

static void assert_sent(struct saving *s)
{
    uint8_t *object = malloc(2 * LEN);
    uint64_t got = 0;
    struct persist_error err = {0};

    assert_ok(
        backend_upload_commit(s->to, &s->r.op, s->size, s->crc, NULL, &err),
        &err);
    assert_int_equal(s->r.memory->get("default", "k", object, 2 * LEN, &got),
                     0);
    assert_int_equal(got, s->size);
    assert_int_equal(s->r.memory->remove("default", "k"), 0);
    free(object);
}

/* ------------------------------------------------------------------ parts */

static void part__that_fails_is_the_answer(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 8; at++) {
        struct saving s = {.fail_at = at, .status = PERSIST_BACKEND_DENIED};

        saving_open(&s);
        assert_int_equal(saving_run(&s), PERSIST_E_DENIED);
        assert_int_equal(s.err.status, PERSIST_E_DENIED);
        saving_close(&s);
    }
}

static void part__that_hangs_ends_at_the_deadline(void **state)
{
    struct saving s = {.hang = true, .timeout_ms = 300};

    (void)state;
    saving_open(&s);
    assert_int_equal(saving_run(&s), PERSIST_E_TIMEOUT);
    saving_close(&s);
}

#ifdef PERSIST_ASYNC
static void part__that_fails_ends_those_that_hang(void **state)
{
    struct saving s = {
        .fail_at = 3, .status = PERSIST_BACKEND_NO_SPACE, .hang = true};

    (void)state;
    saving_open(&s);
    assert_int_equal(saving_run(&s), PERSIST_E_NO_SPACE);
    saving_close(&s);
}

static void part__that_fails_wakes_a_source_that_waits(void **state)
{
    /* Four frames are read ahead, and so no more than four parts fly when the
     * source begins to wait: the save does not wait for one of them. */
    struct saving s = {.fail_at = 1,
                       .late = true,
                       .status = PERSIST_BACKEND_DENIED,
                       .stop_at = (size_t)7 * FRAME};

    (void)state;
    saving_open(&s);
    assert_int_equal(saving_run(&s), PERSIST_E_DENIED);
    assert_true(atomic_load(&s.source_waits));
    saving_close(&s);
}

static void *cancel_soon(void *arg)
{
    struct saving *s = arg;

    while (atomic_load(&s->parts) < 3)
        usleep(1000);
    cancel_set(&s->r.op.cancel);
    return NULL;
}

static void cancel__ends_parts_that_hang(void **state)
{
    struct saving s = {.hang = true};
    pthread_t thread;

    (void)state;
    saving_open(&s);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &s), 0);
    assert_int_equal(saving_run(&s), PERSIST_E_CANCELLED);
    pthread_join(thread, NULL);
    saving_close(&s);
}

#else
static void threads__are_none(void **state)
{
    struct executor *ex = executor_create("io", 8, 0);

    (void)state;
    assert_int_equal(executor_limit(ex), 0);
    executor_destroy(ex);
}
#endif

/* ----------------------------------------------------------------- sources
 */

static void source__must_keep_its_size_with_threads(void **state)
{
    static const uint64_t wrong[] = {LEN - 1, LEN + 1, LEN - 10 * FRAME,
                                     LEN + FRAME};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct saving s = {.says = wrong[i]};

        saving_open(&s);
        assert_int_equal(saving_run(&s), PERSIST_E_INVALID);
        assert_non_null(strstr(s.err.message, wrong[i] > LEN
                                                  ? "ended early"
                                                  : "goes on past its end"));
        saving_close(&s);
    }
}

static void source__that_waits_for_ever_ends_at_the_deadline(void **state)
{
    struct saving s = {.stop_at = (size_t)20 * FRAME, .timeout_ms = 300};

    (void)state;
    saving_open(&s);
    assert_int_equal(saving_run(&s), PERSIST_E_TIMEOUT);
    saving_close(&s);
}

/* -------------------------------------------------------------- resources
 */

/* None at all, and then one, two ... of both executors together. */
static void threads__that_cannot_start_are_done_without(void **state)
{
    (void)state;
    for (int left = 0; left < 6; left++) {
        struct saving s = {.fail_at = 0};

        saving_open(&s);
        atomic_store(&threads_left, left);
        assert_ok(saving_run(&s), &s.err);
        atomic_store(&threads_left, INT32_MAX);
        assert_sent(&s);
        saving_close(&s);
    }
}

/* Several at once make room for each other by planning smaller, and nobody
 * waits as long as that helps. */
static void open__plans_smaller_beside_others(void **state)
{
    struct upload_source source = {.read = read_payload};
    struct upload *u[4] = {NULL};
    struct persist_error err = {0};
    uint64_t held[4], before = 0;
    struct rig r;

    (void)state;
    rig_open(&r, 256 << 20, NULL, 0);
    rig_threads(&r);
    op_start(&r.op, &clock_system, WAIT_MS); /* who waits fails */
    for (int i = 0; i < 4; i++) {
        const struct upload_what what = {
            .pool = r.pool,
            .store = r.store,
            .op = &r.op,
            .codec = CODEC_ZSTD,
            .level = 1,
            .frame_size = 4 << 20,
            .header_max = 1024,
            .cpu = r.cpu,
            .io = r.io,
        };

        assert_ok(upload_open(&what, &source, &u[i], &err), &err);
        held[i] = budget_used(r.budget) - before;
        before = budget_used(r.budget);
    }
    assert_true(held[3] < held[0] || executor_limit(r.io) == 0);
    for (int i = 0; i < 4; i++)
        upload_close(u[i]);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(part__that_fails_is_the_answer),
        cmocka_unit_test(part__that_hangs_ends_at_the_deadline),
        cmocka_unit_test(source__must_keep_its_size_with_threads),
        cmocka_unit_test(source__that_waits_for_ever_ends_at_the_deadline),
        cmocka_unit_test(threads__that_cannot_start_are_done_without),
        cmocka_unit_test(open__plans_smaller_beside_others),
#ifdef PERSIST_ASYNC /* parts that are under way at once */
        cmocka_unit_test(part__that_fails_ends_those_that_hang),
        cmocka_unit_test(part__that_fails_wakes_a_source_that_waits),
        cmocka_unit_test(cancel__ends_parts_that_hang),
#else
        cmocka_unit_test(threads__are_none),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
