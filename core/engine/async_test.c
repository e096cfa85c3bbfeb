/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/read_test_kit.h"

#include <persist/async.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 2000, OUTSTANDING = 10000, STATE = 4096 };

struct async {
    struct fixture f;
    struct persist_queue *q;
};

static int setup(void **state)
{
    struct async *a = calloc(1, sizeof *a);
    struct persist_error err;

    if (!a)
        return -1;
    fixture_open(&a->f, 0, NULL);
    *state = a;
    return persist_queue_create(a->f.p, &a->q, &err);
}

static int teardown(void **state)
{
    struct async *a = *state;

    persist_queue_destroy(a->q);
    fixture_close(&a->f);
    free(a);
    return 0;
}

static struct persist_completion take(struct async *a)
{
    struct persist_completion c = PERSIST_COMPLETION_INIT;
    struct persist_error err;

    assert_int_equal(persist_queue_next(a->q, 30000, &c, &err), 1);
    return c;
}

static void save__gives_each_user_one_completion(void **state)
{
    struct async *a = *state;
    static char seen[MANY];
    uint64_t indices = 0;
    struct persist_error err;

    memset(seen, 0, sizeof seen);
    for (uintptr_t i = 0; i < MANY; i++)
        assert_ok(persist_save_buffer_async(a->f.store, "many", "state", 5,
                                            NULL, a->q, (void *)i, &err),
                  &err);
    for (int i = 0; i < MANY; i++) {
        struct persist_completion c = take(a);

        assert_int_equal(c.status, PERSIST_OK);
        assert_int_equal(c.operation, PERSIST_OP_SAVE);
        assert_false(seen[(uintptr_t)c.user]);
        seen[(uintptr_t)c.user] = 1;
        indices += c.metadata->snapshot_index;
        persist_completion_finish(&c);
    }

    assert_int_equal(persist_queue_outstanding(a->q), 0);
    /* Consecutive: every index from 0 once. */
    assert_int_equal(indices, (uint64_t)MANY * (MANY - 1) / 2);
}

static void save_batch__is_one_completion(void **state)
{
    enum { BATCHES = 50, EACH = 20 };
    struct async *a = *state;
    static struct persist_batch_item items[BATCHES][EACH];
    struct persist_error err;
    uint64_t indices = 0;

    for (uintptr_t i = 0; i < BATCHES; i++) {
        for (int k = 0; k < EACH; k++) {
            items[i][k] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
            items[i][k].address = k == 7 ? "no/such@1" : "many";
            items[i][k].data = "state";
            items[i][k].len = 5;
        }
        assert_ok(persist_save_batch_async(a->f.store, items[i], EACH, NULL,
                                           a->q, (void *)i, &err),
                  &err);
    }
    for (int i = 0; i < BATCHES; i++) {
        struct persist_completion c = take(a);
        struct persist_batch_item *done = items[(uintptr_t)c.user];

        assert_int_equal(c.operation, PERSIST_OP_SAVE_BATCH);
        assert_int_equal(c.status, PERSIST_E_INVALID);
        assert_string_equal(c.error->message, done[7].error->message);
        for (int k = 0; k < EACH; k++) {
            assert_int_equal(done[k].status,
                             k == 7 ? PERSIST_E_INVALID : PERSIST_OK);
            indices += k == 7 ? 0 : done[k].metadata->snapshot_index;
        }
        persist_batch_finish(done, EACH);
        persist_completion_finish(&c);
    }

    assert_int_equal(persist_queue_outstanding(a->q), 0);
    const uint64_t n = BATCHES * (EACH - 1);
    assert_int_equal(indices, n * (n - 1) / 2);
}

static void save__copies_its_options(void **state)
{
    struct async *a = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    char description[] = "first", key[] = "k", value[] = "v", address[] = "abc";
    struct persist_label label = {key, value};
    struct persist_completion c;
    struct persist_error err;

    o.description = description;
    o.labels = &label;
    o.n_labels = 1;
    assert_ok(persist_save_buffer_async(a->f.store, address, "x", 1, &o, a->q,
                                        NULL, &err),
              &err);
    memset(description, '!', 5);
    key[0] = value[0] = address[0] = '!';
    c = take(a);

    assert_int_equal(c.status, PERSIST_OK);
    assert_string_equal(c.metadata->agent_id, "abc");
    assert_string_equal(c.metadata->description, "first");
    assert_string_equal(c.metadata->labels[0].key, "k");
    assert_string_equal(c.metadata->labels[0].value, "v");
    persist_completion_finish(&c);
}

static void restore__gives_back_the_bytes(void **state)
{
    struct async *a = *state;
    struct persist_completion c;
    struct persist_error err;
    const size_t len = 3 << 20;
    uint8_t *payload = fixture_payload(len, 7);
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;

    o.frame_size = 65536; /* many frames: through the lanes */
    assert_ok(
        persist_save_buffer(a->f.store, "a", payload, len, &o, NULL, &err),
        &err);
    assert_ok(persist_restore_buffer_async(a->f.store, "a", 0, NULL, a->q, NULL,
                                           &err),
              &err);
    c = take(a);

    assert_int_equal(c.status, PERSIST_OK);
    assert_int_equal(c.data_len, len);
    assert_memory_equal(c.data, payload, len);
    persist_completion_finish(&c);
    free(payload);
}

static void other_operations__answer_as_their_blocking_twins(void **state)
{
    struct async *a = *state;
    struct persist_completion c;
    struct persist_error err;

    assert_ok(persist_save_buffer(a->f.store, "a/s", "1", 1, NULL, NULL, &err),
              &err);
    assert_ok(persist_save_buffer(a->f.store, "a/s", "2", 1, NULL, NULL, &err),
              &err);
    persist_show_async(a->f.store, "a/s@0", a->q, NULL, &err);
    c = take(a);
    assert_int_equal(c.operation, PERSIST_OP_SHOW);
    assert_int_equal(c.metadata->snapshot_index, 0);
    persist_completion_finish(&c);
    persist_verify_async(a->f.store, "a/s", NULL, a->q, NULL, &err);
    c = take(a);
    assert_int_equal(c.status, PERSIST_OK);
    persist_completion_finish(&c);
    persist_list_async(a->f.store, "a/s", NULL, a->q, NULL, &err);
    c = take(a);
    assert_int_equal(c.rows.n_entries, 2);
    assert_int_equal(c.rows.entries[0].index, 1);
    assert_string_equal(c.rows.entries[1].session, "s");
    persist_completion_finish(&c);
    persist_delete_async(a->f.store, "a/s@1", NULL, a->q, NULL, &err);
    c = take(a);
    assert_int_equal(c.index, 1);
    persist_completion_finish(&c);
    persist_exists_async(a->f.store, "a/s@1", a->q, NULL, &err);
    c = take(a);
    assert_int_equal(c.status, PERSIST_OK);
    assert_int_equal(c.exists, 0);
    persist_completion_finish(&c);
}

static void failure__comes_with_its_error(void **state)
{
    struct async *a = *state;
    struct persist_completion c;
    struct persist_error err;

    persist_restore_buffer_async(a->f.store, "nobody", 0, NULL, a->q, NULL,
                                 &err);
    c = take(a);

    assert_int_equal(c.status, PERSIST_E_NOT_FOUND);
    assert_non_null(c.error);
    assert_int_equal(c.error->status, PERSIST_E_NOT_FOUND);
    assert_true(c.error->message[0] != '\0');
    persist_completion_finish(&c);
}

static void fd__is_readable_while_a_completion_waits(void **state)
{
    struct async *a = *state;
    struct pollfd p = {.fd = persist_queue_fd(a->q), .events = POLLIN};
    struct persist_completion c = PERSIST_COMPLETION_INIT;
    struct persist_error err;

    assert_int_equal(poll(&p, 1, 0), 0);
    persist_exists_async(a->f.store, "a", a->q, NULL, &err);
    persist_exists_async(a->f.store, "a", a->q, NULL, &err);
    assert_int_equal(poll(&p, 1, 30000), 1);
    c = take(a);
    persist_completion_finish(&c);
    assert_int_equal(poll(&p, 1, 30000), 1);
    c = take(a);
    persist_completion_finish(&c);

    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(persist_queue_next(a->q, -1, &c, &err), 0);
}

/* Every put waits here until the test lets it go. */
static atomic_bool gate_open;

static int32_t gate(void *ctx, const struct memory_event *event)
{
    (void)ctx;
    if (event->phase == MEMORY_BEFORE && !strcmp(event->op, "put"))
        while (!atomic_load(&gate_open))
            usleep(1000);
    return 0;
}

static void cancel__completes_what_waits_and_what_is_queued(void **state)
{
    struct async *a = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_op *ops[100];
    struct persist_error err;
    int cancelled = 0, saved = 0;

    atomic_store(&gate_open, false);
    a->f.memory->set_hook(a->f.id, gate, NULL);
    for (int i = 0; i < 100; i++) {
        assert_ok(persist_op_create(a->f.p, &ops[i], &err), &err);
        o.op = ops[i];
        assert_ok(persist_save_buffer_async(a->f.store, "c", "x", 1, &o, a->q,
                                            ops[i], &err),
                  &err);
    }
    for (int i = 0; i < 100; i++)
        persist_op_cancel(ops[i]);
    atomic_store(&gate_open, true);
    for (int i = 0; i < 100; i++) {
        struct persist_completion c = take(a);

        assert_ptr_equal(c.op, c.user);
        cancelled += c.status == PERSIST_E_CANCELLED;
        saved += c.status == PERSIST_OK;
        persist_completion_finish(&c);
    }
    for (int i = 0; i < 100; i++)
        persist_op_destroy(ops[i]);

    assert_int_equal(cancelled + saved, 100);
    assert_true(cancelled >= 36); /* at most 64 were past the queue */
}

/* Ten thousand of 4 KiB wait at once; each is answered. */
static void save__may_be_outstanding_by_the_thousand(void **state)
{
    struct async *a = *state;
    static char bytes[STATE];
    struct persist_error err;

    atomic_store(&gate_open, false);
    a->f.memory->set_hook(a->f.id, gate, NULL);
    for (int i = 0; i < OUTSTANDING; i++)
        assert_ok(persist_save_buffer_async(a->f.store, "o", bytes, STATE, NULL,
                                            a->q, NULL, &err),
                  &err);
    assert_int_equal(persist_queue_outstanding(a->q), OUTSTANDING);
    atomic_store(&gate_open, true);
    for (int i = 0; i < OUTSTANDING; i++) {
        struct persist_completion c = take(a);

        assert_int_equal(c.status, PERSIST_OK);
        persist_completion_finish(&c);
    }
    assert_int_equal(persist_queue_outstanding(a->q), 0);
}

/* Each cancel falls somewhere between the submission and the end. */
static void cancel__may_race_with_the_end(void **state)
{
    struct async *a = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err;
    unsigned answers[2] = {0};

    for (int i = 0; i < OUTSTANDING; i++) {
        struct persist_completion c;

        assert_ok(persist_op_create(a->f.p, &o.op, &err), &err);
        assert_ok(persist_save_buffer_async(a->f.store, "r", "x", 1, &o, a->q,
                                            NULL, &err),
                  &err);
        for (volatile int spin = 0; spin < i % 500 * 40; spin++)
            ;
        persist_op_cancel(o.op);
        c = take(a);
        assert_true(c.status == PERSIST_OK || c.status == PERSIST_E_CANCELLED);
        answers[c.status == PERSIST_OK]++;
        persist_completion_finish(&c);
        assert_int_equal(persist_queue_outstanding(a->q), 0);
        persist_op_destroy(o.op);
    }

    assert_int_equal(answers[0] + answers[1], OUTSTANDING);
}

/* Headers may have a megabyte each, and others write them. */
static void list__holds_no_more_than_the_memory_limit(void **state)
{
    const size_t len = 900 << 10;
    struct async *a = *state;
    struct persist_list_options o = PERSIST_LIST_OPTIONS_INIT;
    char *description = malloc(len + 1);
    struct persist_completion c;
    struct persist_error err;

    assert_non_null(description);
    memset(description, 'x', len);
    description[len] = '\0';
    persist_queue_destroy(a->q);
    fixture_close(&a->f);
    fixture_open(&a->f, 8 << 20, NULL);
    assert_ok(persist_queue_create(a->f.p, &a->q, &err), &err);
    for (uint64_t i = 0; i < 12; i++)
        fixture_put(&a->f, &(struct snapshot_spec){.index = i,
                                                   .payload = "x",
                                                   .len = 1,
                                                   .description = description});
    free(description);
    o.flags = PERSIST_LIST_LONG;
    assert_ok(persist_list_async(a->f.store, "a/default", &o, a->q, NULL, &err),
              &err);
    c = take(a);
    assert_int_equal(c.status, PERSIST_E_MEMORY);
    assert_contains(c.error->message, "memory limit");
    persist_completion_finish(&c);
    o.limit = 5;
    assert_ok(persist_list_async(a->f.store, "a/default", &o, a->q, NULL, &err),
              &err);
    c = take(a);
    assert_int_equal(c.status, PERSIST_OK);
    assert_int_equal(c.rows.n_entries, 5);
    assert_int_equal(strlen(c.rows.entries[4].metadata->description), len);
    persist_completion_finish(&c);
}

/* What a child sees of a parent whose threads are at work. */
static int in_child(struct async *a)
{
    struct persist_completion c = PERSIST_COMPLETION_INIT;
    struct persist_queue *q = NULL;
    struct persist_error err;

    if (persist_save_buffer_async(a->f.store, "f", "x", 1, NULL, a->q, NULL,
                                  &err) != PERSIST_E_FORKED)
        return 1;
    if (persist_queue_next(a->q, 0, &c, &err) != PERSIST_E_FORKED)
        return 2;
    if (persist_queue_create(a->f.p, &q, &err) != PERSIST_E_FORKED)
        return 3;
    if (persist_save_buffer(a->f.store, "f", "x", 1, NULL, NULL, &err) !=
        PERSIST_E_FORKED)
        return 4;
    if (persist_verify_async(a->f.store, "f", NULL, a->q, NULL, &err) !=
        PERSIST_E_FORKED)
        return 5;
    if (persist_queue_outstanding(a->q))
        return 6;
    persist_queue_destroy(a->q);
    persist_close(a->f.store);
    persist_destroy(a->f.p);
    return 0;
}

static void fork__is_noticed_while_threads_work(void **state)
{
    struct async *a = *state;
    struct persist_error err;
    int status = -1;
    pid_t pid;

    for (int i = 0; i < 100; i++)
        assert_ok(persist_save_buffer_async(a->f.store, "f", "x", 1, NULL, a->q,
                                            NULL, &err),
                  &err);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(in_child(a));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < 100; i++) {
        struct persist_completion c = take(a);

        assert_int_equal(c.status, PERSIST_OK);
        persist_completion_finish(&c);
    }
}

struct own_thread {
    struct task task;
    struct async *a;
    atomic_int rc;
};

static void call_on_own_thread(struct task *t)
{
    struct own_thread *o = (struct own_thread *)t;
    struct persist_error err;
    int exists;

    atomic_store(&o->rc, persist_exists(o->a->f.store, "a", &exists, &err));
}

static void blocking_call__is_refused_on_an_own_thread(void **state)
{
    struct async *a = *state;
    struct own_thread o = {.a = a, .rc = 1};

    task_init(&o.task, call_on_own_thread);
    assert_int_equal(executor_submit(a->f.p->io, &o.task), PERSIST_OK);
    while (atomic_load(&o.rc) == 1)
        usleep(1000);

    assert_int_equal(atomic_load(&o.rc), PERSIST_E_MISUSE);
}

static void deadline__counts_from_the_submission(void **state)
{
    struct async *a = *state;
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err;
    int late = 0;

    atomic_store(&gate_open, false);
    a->f.memory->set_hook(a->f.id, gate, NULL);
    for (int i = 0; i < 64; i++) /* every thread is busy */
        persist_save_buffer_async(a->f.store, "d", "x", 1, NULL, a->q, NULL,
                                  &err);
    o.timeout_ms = 20;
    persist_save_buffer_async(a->f.store, "d", "x", 1, &o, a->q, a, &err);
    usleep(50000);
    atomic_store(&gate_open, true);
    for (int i = 0; i < 65; i++) {
        struct persist_completion c = take(a);

        if (c.user == a)
            late = c.status;
        persist_completion_finish(&c);
    }

    assert_int_equal(late, PERSIST_E_TIMEOUT);
}

/* Of a batch every item says it. */
static void deadline__of_a_batch_that_no_thread_came_to(void **state)
{
    struct async *a = *state;
    struct persist_batch_options o = PERSIST_BATCH_OPTIONS_INIT;
    struct persist_batch_item items[3];
    struct persist_error err;

    for (int i = 0; i < 3; i++) {
        items[i] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
        items[i].address = "d";
        items[i].data = "x";
        items[i].len = 1;
    }
    atomic_store(&gate_open, false);
    a->f.memory->set_hook(a->f.id, gate, NULL);
    for (int i = 0; i < 64; i++) /* every thread is busy */
        persist_save_buffer_async(a->f.store, "d", "x", 1, NULL, a->q, NULL,
                                  &err);
    o.timeout_ms = 1;
    assert_ok(persist_save_batch_async(a->f.store, items, 3, &o, a->q, a, &err),
              &err);
    usleep(20000);
    atomic_store(&gate_open, true);
    for (int i = 0; i < 65; i++) {
        struct persist_completion c = take(a);

        assert_int_equal(c.status, c.user ? PERSIST_E_TIMEOUT : PERSIST_OK);
        persist_completion_finish(&c);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(items[i].status, PERSIST_E_TIMEOUT);
    persist_batch_finish(items, 3);
}

static void destroy__cancels_and_waits(void **state)
{
    struct async *a = *state;
    struct persist_error err;

    for (int i = 0; i < 500; i++)
        persist_save_buffer_async(a->f.store, "e", "x", 1, NULL, a->q, NULL,
                                  &err);
    persist_queue_destroy(a->q);
    a->q = NULL;
    a->f.memory->set_hook(a->f.id, NULL, NULL);

    /* Nothing of them runs any more: what is there is whole. */
    assert_int_equal(a->f.memory->n_uploads(a->f.id), 0);
}

static void misuse__is_refused(void **state)
{
    struct async *a = *state;
    struct persist_completion small = {.struct_size = 8};
    struct persist_list_options o = PERSIST_LIST_OPTIONS_INIT;
    struct persist_error err;

    assert_int_equal(persist_show_async(a->f.store, "a", NULL, NULL, &err),
                     PERSIST_E_MISUSE);
    assert_int_equal(persist_show_async(NULL, "a", a->q, NULL, NULL),
                     PERSIST_E_MISUSE);
    assert_int_equal(persist_queue_next(a->q, 0, &small, &err),
                     PERSIST_E_MISUSE);
    assert_int_equal(
        persist_save_file_async(a->f.store, "a", NULL, NULL, a->q, NULL, &err),
        PERSIST_E_MISUSE);
    o.limit = 10001;
    assert_int_equal(persist_list_async(a->f.store, "", &o, a->q, NULL, &err),
                     PERSIST_E_INVALID);

    assert_int_equal(persist_queue_outstanding(a->q), 0);
}

static void interrupt__completes_everything(void **state)
{
    struct async *a = *state;
    struct persist_error err;
    int taken = 0, accepted = 0;

    for (int i = 0; i < 500; i++)
        accepted += !persist_save_buffer_async(a->f.store, "i", "x", 1, NULL,
                                               a->q, NULL, &err);
    persist_interrupt(a->f.p);
    assert_int_equal(persist_save_buffer_async(a->f.store, "i", "x", 1, NULL,
                                               a->q, NULL, &err),
                     PERSIST_E_CANCELLED);
    while (persist_queue_outstanding(a->q)) {
        struct persist_completion c = take(a);

        assert_true(c.status == PERSIST_OK || c.status == PERSIST_E_CANCELLED);
        persist_completion_finish(&c);
        taken++;
    }

    assert_int_equal(taken, accepted);
}

/* A build without PERSIST_ASYNC: the symbols are there and say so. */
static void queue__is_unsupported_without_threads(void **state)
{
    struct fixture f;
    struct persist_queue *q = NULL;
    struct persist_error err;

    (void)state;
    fixture_open(&f, 0, NULL);
    assert_int_equal(persist_queue_create(f.p, &q, &err),
                     PERSIST_E_UNSUPPORTED);
    assert_null(q);
    assert_int_equal(persist_show_async(f.store, "a", q, NULL, &err),
                     PERSIST_E_MISUSE);
    fixture_close(&f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest without[] = {
        cmocka_unit_test(queue__is_unsupported_without_threads),
    };
    const struct CMUnitTest tests[] = {
        TEST(save_batch__is_one_completion),
        TEST(save__gives_each_user_one_completion),
        TEST(save__copies_its_options),
        TEST(restore__gives_back_the_bytes),
        TEST(other_operations__answer_as_their_blocking_twins),
        TEST(failure__comes_with_its_error),
        TEST(fd__is_readable_while_a_completion_waits),
        TEST(cancel__completes_what_waits_and_what_is_queued),
        TEST(cancel__may_race_with_the_end),
        TEST(save__may_be_outstanding_by_the_thousand),
        TEST(fork__is_noticed_while_threads_work),
        TEST(blocking_call__is_refused_on_an_own_thread),
        TEST(deadline__counts_from_the_submission),
        TEST(deadline__of_a_batch_that_no_thread_came_to),
        TEST(destroy__cancels_and_waits),
        TEST(list__holds_no_more_than_the_memory_limit),
        TEST(misuse__is_refused),
        TEST(interrupt__completes_everything),
    };

#ifdef PERSIST_ASYNC
    (void)without;
    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    (void)tests;
    return cmocka_run_group_tests(without, NULL, NULL);
#endif
}
