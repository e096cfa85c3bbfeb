/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, limits, keys, put, read, head, delete, the probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/fake_test.h"
#include "backend/retry.h"
#include "util/crc32c.h"
#include "util/text.h"

#define MS UINT64_C(1000000)

static struct fake f;

static int setup(void **state)
{
    (void)state;
    fake_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_teardown(&f);
    return 0;
}

static int put_as(const char *key, bool if_absent, bool *out_maybe)
{
    const struct backend_put put = {
        .key = key, .data = "data", .len = 4, .if_absent = if_absent};

    return backend_put(f.store, &f.op, &put, out_maybe, &f.err);
}

static int put_new(bool *out_maybe)
{
    return put_as("a/b", true, out_maybe);
}

static void script(const int32_t *statuses, size_t n)
{
    atomic_store(&f.n_calls, 0);
    f.n_script = 0;
    for (size_t i = 0; i < n; i++)
        fake_answer(&f, statuses[i]);
}
#define SCRIPT(...)                                                            \
    do {                                                                       \
        const int32_t statuses_[] = {__VA_ARGS__};                             \
        script(statuses_, sizeof(statuses_) / sizeof(statuses_[0]));           \
    } while (0)

#define ASSERT_HAS(text, part) assert_non_null(strstr(text, part))

/* ------------------------------------------------------------------- open */

static void open__completes_limits_that_are_not_known(void **state)
{
    (void)state;
    const struct persist_backend_limits *l =
        backend_store_limits(fake_open(&f));

    assert_int_equal(l->part_max, UINT64_MAX);
    assert_int_equal(l->put_max, UINT64_MAX);
    assert_int_equal(l->object_max, UINT64_MAX);
    assert_int_equal(l->parts_max, UINT32_MAX);
    assert_int_equal(l->parallel_max, UINT32_MAX);
    assert_int_equal(l->key_max, UINT32_MAX);
    assert_int_equal(l->part_align, 1);
    assert_string_equal(backend_store_name(f.store), "archive");
    assert_ptr_equal(backend_store_plugin(f.store), &f.plugin);
    assert_ptr_equal(backend_store_env(f.store)->clock, &f.clock.clock);
}

static void open__refuses_limits_that_cannot_be(void **state)
{
    const struct persist_backend_limits absurd[] = {
        {.part_min = 9, .part_max = 8},
        {.part_align = 9, .part_max = 8},
        {.part_min = UINT64_MAX},
        {.part_align = UINT64_MAX},
        {.put_max = 255},
        {.object_max = 255},
        {.key_max = 63},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        fake_teardown(&f);
        fake_setup(&f);
        f.limits = absurd[i];
        assert_int_equal(fake_try_open(&f, false), PERSIST_E_INTERNAL);
        ASSERT_HAS(f.err.message, "store archive: backend fake states");
        assert_int_equal(atomic_load(&f.n_closed), 1);
        assert_null(f.store);
    }
}

static void open__refuses_a_backend_without_limits(void **state)
{
    (void)state;
    f.limits_status = 3;

    assert_int_equal(fake_try_open(&f, false), PERSIST_E_INTERNAL);
    assert_int_equal(atomic_load(&f.n_closed), 1);
}

static void open__gives_the_backends_reason(void **state)
{
    (void)state;
    f.open_status = PERSIST_BACKEND_CONFIG;
    f.open_message = "region and\nendpoint contradict\x01 each other \xff";

    assert_int_equal(fake_try_open(&f, false), PERSIST_E_CONFIG);
    assert_string_equal(f.err.message,
                        "open: region and endpoint contradict  each other ?");
    assert_string_equal(f.err.object, "archive");
    assert_int_equal(atomic_load(&f.n_closed), 0);
}

static void open__counts_an_unknown_code_as_internal(void **state)
{
    (void)state;
    f.open_status = 1;

    assert_int_equal(fake_try_open(&f, false), PERSIST_E_INTERNAL);
}

/* Its ops would be called with it. */
static void open__wants_a_store_with_ok(void **state)
{
    (void)state;
    f.open_gives_nothing = true;

    assert_int_equal(fake_try_open(&f, false), PERSIST_E_INTERNAL);
    assert_string_equal(f.err.message,
                        "open: the backend answered ok and gave no store");
    assert_int_equal(atomic_load(&f.n_closed), 0);
}

static void open__wants_file_durability_accepted(void **state)
{
    (void)state;
    f.limits.flags |= PERSIST_BACKEND_DURABLE_FILE_ONLY;

    assert_int_equal(fake_try_open(&f, false), PERSIST_E_CONFIG);
    ASSERT_HAS(f.err.hint, "accept_durability = file");
    fake_teardown(&f);
    fake_setup(&f);
    f.limits.flags |= PERSIST_BACKEND_DURABLE_FILE_ONLY;
    assert_int_equal(fake_try_open(&f, true), PERSIST_OK);
    fake_teardown(&f);
    fake_setup(&f);
    f.limits.flags |= PERSIST_BACKEND_DURABLE_FILE_ONLY;
    f.values.accept_file_durability = true;
    assert_int_equal(fake_try_open(&f, false), PERSIST_OK);
}

static void open__warns_of_deprecated_options_that_are_set(void **state)
{
    (void)state;
    fake_option(&f, "old", PERSIST_BACKEND_STRING, PERSIST_BACKEND_DEPRECATED,
                PERSIST_BACKEND_VALUE_SET);
    fake_option(&f, "older", PERSIST_BACKEND_STRING, PERSIST_BACKEND_DEPRECATED,
                PERSIST_BACKEND_VALUE_DEFAULT);

    fake_open(&f);

    ASSERT_HAS(f.logged, "option=old");
    assert_null(strstr(f.logged, "older"));
}

/* ------------------------------------------------------------------- keys */

static void keys__are_checked_before_the_backend_sees_them(void **state)
{
    static const char *const bad[] = {
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/../b",
        "./a",
        "a/.b",
        ".hidden",
        "A",
        "a b",
        "a\xc3\xa4",
        "a\nb",
        "a?",
        ".persist-probe/x",
    };
    char longest[66];

    (void)state;
    f.limits.key_max = 64;
    fake_open(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(put_as(bad[i], true, NULL), PERSIST_E_INVALID);
    memset(longest, 'k', sizeof(longest));
    longest[65] = '\0';
    assert_int_equal(put_as(longest, true, NULL), PERSIST_E_INVALID);
    assert_int_equal(atomic_load(&f.n_calls), 0);

    longest[64] = '\0';
    assert_int_equal(put_as(longest, true, NULL), PERSIST_OK);
    assert_int_equal(put_as("a-b_c.d%2f/x..y", true, NULL), PERSIST_OK);
    assert_int_equal(put_as(".persist-probe", true, NULL), PERSIST_OK);
}

/* -------------------------------------------------------------------- put */

static void put__hands_over_bytes_and_checksum(void **state)
{
    bool maybe = true;

    (void)state;
    fake_open(&f);

    assert_int_equal(put_new(&maybe), PERSIST_OK);

    assert_false(maybe);
    assert_string_equal(f.last_op, "put");
    assert_string_equal(f.last_key, "a/b");
    assert_int_equal(f.args.put.flags, PERSIST_BACKEND_IF_ABSENT);
    assert_int_equal(f.args.put.len, 4);
    assert_int_equal(f.args.put.present, PERSIST_BACKEND_HAS_CRC32C);
    assert_int_equal(f.args.put.crc32c, crc32c(0, "data", 4));
    assert_string_equal(f.args.put.content_type, "application/octet-stream");
    assert_int_equal(f.call.struct_size, sizeof(f.call));
    assert_int_equal(f.call.attempt, 1);
    assert_int_equal(f.call.present, 0);
    assert_int_equal(put_as("a/b", false, NULL), PERSIST_OK);
    assert_int_equal(f.args.put.flags, 0);
}

static void put__refuses_more_than_the_store_takes(void **state)
{
    static char data[301];
    struct backend_put put = {
        .key = "k", .data = data, .len = sizeof(data), .if_absent = true};

    (void)state;
    f.limits.put_max = 300;
    fake_open(&f);
    assert_int_equal(backend_put(f.store, &f.op, &put, NULL, &f.err),
                     PERSIST_E_INVALID);
    put.len = 300;
    assert_int_equal(backend_put(f.store, &f.op, &put, NULL, &f.err),
                     PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 1);
}

static void put__repeats_what_passes_and_counts_attempts(void **state)
{
    (void)state;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_TRANSIENT, PERSIST_BACKEND_THROTTLED,
           PERSIST_BACKEND_TIMEOUT);

    assert_int_equal(put_new(NULL), PERSIST_OK);

    assert_int_equal(atomic_load(&f.n_calls), 4);
    assert_int_equal(f.call.attempt, 4);
    /* Three waits, and two more in the row of the store's slow-down. */
    assert_int_equal(f.clock.n_sleeps, 5);
    /* The first two repetitions name the key at DEBUG, later ones warn. */
    ASSERT_HAS(f.logged, "object=a/b");
    ASSERT_HAS(f.logged, "level=warn");
    ASSERT_HAS(f.logged, "attempt=4");
    ASSERT_HAS(f.logged, "status=timeout");
    ASSERT_HAS(f.logged, "object=b ");
}

static void put__says_what_failed_how_often_and_how_long(void **state)
{
    (void)state;
    fake_open(&f);
    for (int i = 0; i < 8; i++)
        fake_answer_message(&f, PERSIST_BACKEND_TRANSIENT, "reset by peer");
    f.clock.random = 150 * MS; /* modulo the ceilings */

    assert_int_equal(put_new(NULL), PERSIST_E_TRANSIENT);

    assert_int_equal(atomic_load(&f.n_calls), 8);
    assert_int_equal(f.err.attempts, 8);
    uint64_t slept = 0;
    for (size_t i = 0; i < f.clock.n_sleeps; i++)
        slept += f.clock.sleeps[i];
    assert_true(slept > 0);
    assert_int_equal(f.err.elapsed_ms, slept / MS);
    ASSERT_HAS(f.err.message, "put failed after 8 attempts in 0.");
    ASSERT_HAS(f.err.message, " s: reset by peer");
    assert_string_equal(f.err.object, "a/b");
}

static void put__honours_retry_after(void **state)
{
    static const uint64_t after = 1500;

    (void)state;
    fake_open(&f);
    fake_answer(&f, PERSIST_BACKEND_THROTTLED);
    f.script[0].retry_after_ms = &after;

    assert_int_equal(put_new(NULL), PERSIST_OK);

    uint64_t slept = 0;
    for (size_t i = 0; i < f.clock.n_sleeps; i++)
        slept += f.clock.sleeps[i];
    assert_int_equal(slept, 1500 * MS);
}

static int32_t put_with_details(void *store,
                                const struct persist_backend_call *call,
                                const struct persist_backend_put_args *args,
                                struct persist_backend_put_result *result,
                                struct persist_backend_error *error)
{
    (void)store, (void)call, (void)args, (void)result;
    memset(error->message, 'm', sizeof(error->message));
    memset(error->provider_code, 'p', sizeof(error->provider_code));
    memset(error->request_id, 'r', sizeof(error->request_id));
    error->present =
        PERSIST_BACKEND_ERROR_ERRNO | PERSIST_BACKEND_ERROR_HTTP_STATUS;
    error->os_errno = 28;
    error->http_status = 507;
    return PERSIST_BACKEND_NO_SPACE;
}

static void put__carries_details_and_ends_endless_texts(void **state)
{
    (void)state;
    f.plugin.ops.put = put_with_details;
    fake_open(&f);

    assert_int_equal(put_new(NULL), PERSIST_E_NO_SPACE);

    assert_int_equal(f.err.os_errno, 28);
    assert_int_equal(f.err.http_status, 507);
    assert_int_equal(strlen(f.err.provider_code), 63);
    assert_int_equal(strlen(f.err.request_id), 127);
    assert_memory_equal(f.err.message, "put: mmm", 8);
    assert_int_equal(f.err.attempts, 1);
}

static int32_t put_that_cannot(void *store,
                               const struct persist_backend_call *call,
                               const struct persist_backend_put_args *args,
                               struct persist_backend_put_result *result,
                               struct persist_backend_error *error)
{
    (void)store, (void)call, (void)args, (void)result;
    snprintf(error->message, sizeof(error->message), "cannot write a/b: no");
    return PERSIST_BACKEND_DENIED;
}

/* Sentences say what was tried, and need no op in front. */
static void put__leaves_sentences_alone(void **state)
{
    (void)state;
    f.plugin.ops.put = put_that_cannot;
    fake_open(&f);
    assert_int_equal(put_new(NULL), PERSIST_E_DENIED);
    assert_string_equal(f.err.message, "cannot write a/b: no");
}

static int32_t refused, refused_errno;

static int32_t put_refused(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_put_args *args,
                           struct persist_backend_put_result *result,
                           struct persist_backend_error *error)
{
    (void)store, (void)call, (void)args, (void)result;
    if (refused_errno)
        error->present = PERSIST_BACKEND_ERROR_ERRNO;
    error->os_errno = refused_errno;
    return refused;
}

static void refused__by_a_file_system_says_what_to_do(void **state)
{
    char access_hint[64];
    static const char room[] = "make room there; to delete a snapshot takes a "
                               "few KiB of it too, for its tombstone";
    const struct {
        int32_t status, os_errno;
        const char *hint;
    } table[] = {
        {PERSIST_BACKEND_DENIED, EACCES, access_hint},
        {PERSIST_BACKEND_DENIED, EROFS,
         "mount it for writing; a systemd unit names it in ReadWritePaths="},
        {PERSIST_BACKEND_DENIED, EPERM, ""},
        {PERSIST_BACKEND_DENIED, 0, ""},
        {PERSIST_BACKEND_NO_SPACE, ENOSPC, room},
        {PERSIST_BACKEND_NO_SPACE, EDQUOT, room},
        {PERSIST_BACKEND_NO_SPACE, 0, ""},
    };

    (void)state;
    snprintf(access_hint, sizeof(access_hint),
             "give user %u access there, with chown or chmod",
             (unsigned)geteuid());
    f.plugin.ops.put = put_refused;
    fake_open(&f);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        refused = table[i].status;
        refused_errno = table[i].os_errno;
        memset(&f.err, 0, sizeof(f.err));
        assert_int_equal(put_new(NULL), table[i].status);
        assert_string_equal(f.err.hint, table[i].hint);
    }
}

/* An hour later, when another one with other secrets is opened. */
static void close__lets_the_log_forget_secrets(void **state)
{
    char text[] = "hunter2-hunter2 hunter3-hunter3", later[sizeof(text)];
    (void)state;
    log_set_clock(f.log, &f.clock.clock);
    fake_secret(&f, "token", "hunter2-hunter2");
    fake_open(&f);
    memcpy(later, text, sizeof(text));
    log_redact(f.log, text);
    assert_string_equal(text, "(redacted) hunter3-hunter3");

    backend_store_close(f.store);
    f.store = NULL;
    f.clock.now_ns += UINT64_C(3601) * 1000000000;
    assert_int_equal(log_add_secret(f.log, "hunter3-hunter3", 15), 0);

    log_redact(f.log, later);
    assert_string_equal(later, "hunter2-hunter2 (redacted)");
}

static void put__redacts_registered_secrets(void **state)
{
    (void)state;
    fake_secret(&f, "token", "hunter2-hunter2");
    fake_open(&f);
    fake_answer_message(&f, PERSIST_BACKEND_DENIED, "hunter2-hunter2 is bad");

    assert_int_equal(put_new(NULL), PERSIST_E_DENIED);

    assert_null(strstr(f.err.message, "hunter2"));
    ASSERT_HAS(f.err.message, "is bad");
}

/* Every code alone: what comes back, whether it may have happened, and that
 * there is something to read. */
static void put__answers_each_code(void **state)
{
    (void)state;
    fake_open(&f);
    for (int32_t code = -25; code <= 5; code++) {
        bool maybe = false;
        if (code == 0 || retry_repeats(code))
            continue;
        SCRIPT(code);
        int rc = put_new(&maybe);
        bool known = code < 0 && code >= PERSIST_BACKEND_INTERNAL &&
                     code != PERSIST_BACKEND_CANCELLED;
        assert_int_equal(rc, known ? code : PERSIST_E_INTERNAL);
        assert_int_equal(atomic_load(&f.n_calls), 1);
        assert_true(strlen(f.err.message) > 10);
        assert_int_equal(maybe, rc == PERSIST_E_INTERNAL);
        if (!known)
            ASSERT_HAS(f.err.message, "backend fake answered");
    }
}

static void put__exists_after_a_lost_answer_may_be_ours(void **state)
{
    static const int32_t lost[] = {PERSIST_BACKEND_UNCERTAIN,
                                   PERSIST_BACKEND_TIMEOUT,
                                   PERSIST_BACKEND_TRANSIENT};
    bool maybe = true;

    (void)state;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_EXISTS);
    assert_int_equal(put_new(&maybe), PERSIST_E_EXISTS);
    assert_false(maybe);
    SCRIPT(PERSIST_BACKEND_THROTTLED, PERSIST_BACKEND_EXISTS);
    assert_int_equal(put_new(&maybe), PERSIST_E_EXISTS);
    assert_false(maybe);
    for (size_t i = 0; i < 3; i++) {
        SCRIPT(lost[i], PERSIST_BACKEND_EXISTS);
        assert_int_equal(put_new(&maybe), PERSIST_E_EXISTS);
        assert_true(maybe);
        maybe = false;
    }
}

static void put__stays_uncertain_until_a_repetition_says(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    for (int i = 0; i < 8; i++)
        fake_answer(&f,
                    i ? PERSIST_BACKEND_TRANSIENT : PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(put_new(&maybe), PERSIST_E_UNCERTAIN);
    assert_true(maybe);
    ASSERT_HAS(f.err.message, "may or may not have happened");
    assert_string_equal(f.err.object, "a/b");

    SCRIPT(PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_DENIED);
    assert_int_equal(put_new(&maybe), PERSIST_E_UNCERTAIN);
    SCRIPT(PERSIST_BACKEND_UNCERTAIN, PERSIST_BACKEND_NOT_DURABLE);
    assert_int_equal(put_new(&maybe), PERSIST_E_NOT_DURABLE);
    SCRIPT(PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(put_new(&maybe), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 2);
}

static void put__without_condition_cannot_find_it_there(void **state)
{
    (void)state;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_EXISTS);

    assert_int_equal(put_as("a", false, NULL), PERSIST_E_INTERNAL);
    ASSERT_HAS(f.err.message, "backend fake");
}

static void fill_endless_etag(struct fake *fake, const void *args, void *result)
{
    struct persist_backend_put_result *r = result;

    (void)fake, (void)args;
    memset(r->etag, 'e', sizeof(r->etag));
}

static void put__endless_etag_is_a_bug_of_the_backend(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    f.fill = fill_endless_etag;

    assert_int_equal(put_new(&maybe), PERSIST_E_INTERNAL);
    ASSERT_HAS(f.err.message, "backend fake answered with an endless etag");
    assert_true(maybe);
}

/* ------------------------------------------------- cancellation, deadlines */

static void put__is_not_sent_when_cancelled(void **state)
{
    (void)state;
    fake_open(&f);
    cancel_set(&f.op.cancel);

    assert_int_equal(put_new(NULL), PERSIST_E_CANCELLED);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    assert_string_equal(f.err.message, "cancelled");
    assert_int_equal(f.err.attempts, 0);
}

static void put__is_not_sent_when_the_instance_is_cancelled(void **state)
{
    struct persist_op orphan;

    (void)state;
    fake_open(&f);
    assert_int_equal(op_init(&orphan, NULL), 0);
    cancel_set(&f.instance);
    const struct backend_put put = {.key = "k", .data = "", .if_absent = true};

    assert_int_equal(backend_put(f.store, &orphan, &put, NULL, &f.err),
                     PERSIST_E_CANCELLED);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    op_finish(&orphan);
}

static void put_and_read__run_past_the_interrupt_where_told(void **state)
{
    struct persist_op own;
    struct backend_read_answer got;
    char byte;

    (void)state;
    fake_open(&f);
    assert_int_equal(op_init(&own, NULL), 0);
    cancel_set(&f.instance);
    const struct backend_put put = {
        .key = "k", .data = "", .past_cancel = true};
    const struct backend_read read = {
        .key = "k", .buffer = &byte, .len = 1, .past_cancel = true};

    assert_int_equal(backend_put(f.store, &own, &put, NULL, &f.err), 0);
    assert_int_equal(backend_read(f.store, &own, &read, &got, &f.err), 0);
    op_finish(&own);
}

static void put__is_not_sent_behind_the_deadline(void **state)
{
    (void)state;
    fake_open(&f);
    f.op.deadline_ns = f.clock.now_ns;

    assert_int_equal(put_new(NULL), PERSIST_E_TIMEOUT);
    assert_int_equal(atomic_load(&f.n_calls), 0);
    ASSERT_HAS(f.err.message, "the deadline passed before it was sent");
}

static void put__cancelled_while_waiting_is_cancelled(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    fake_answer(&f, PERSIST_BACKEND_UNCERTAIN);
    f.clock.cancel_at_sleep = &f.op.cancel;

    assert_int_equal(put_new(&maybe), PERSIST_E_CANCELLED);
    assert_int_equal(atomic_load(&f.n_calls), 1);
    assert_true(maybe);
}

static void cancel_during(struct fake *fake,
                          const struct persist_backend_call *call)
{
    assert_int_equal(fake->host->is_cancelled(call), 0);
    cancel_set(&fake->op.cancel);
    assert_int_equal(fake->host->is_cancelled(call), 1);
    assert_true(fake->host->cancel_fd(call) >= 0);
}

static void put__backend_sees_the_cancellation(void **state)
{
    bool maybe = false;

    (void)state;
    fake_open(&f);
    f.during = cancel_during;
    fake_answer(&f, PERSIST_BACKEND_CANCELLED);

    assert_int_equal(put_new(&maybe), PERSIST_E_CANCELLED);
    assert_true(maybe);
}

static void put__definite_answer_stands_though_cancelled(void **state)
{
    (void)state;
    fake_open(&f);
    f.during = cancel_during;
    fake_answer(&f, PERSIST_BACKEND_EXISTS);

    assert_int_equal(put_new(NULL), PERSIST_E_EXISTS);
}

static void put__deadline_is_on_the_hosts_clock(void **state)
{
    (void)state;
    fake_open(&f);
    f.op.deadline_ns = f.clock.now_ns + 700 * MS;
    uint64_t before = f.host->monotonic_ns();

    assert_int_equal(put_new(NULL), PERSIST_OK);

    uint64_t after = f.host->monotonic_ns();
    assert_int_equal(f.call.present, PERSIST_BACKEND_CALL_DEADLINE);
    assert_true(f.call.deadline_ns >= before + 700 * MS);
    assert_true(f.call.deadline_ns <= after + 700 * MS);
}

/* "No end" in the words of a caller who has to give one. */
static void put__deadline_at_the_end_of_time_is_not_over(void **state)
{
    (void)state;
    fake_open(&f);
    f.op.deadline_ns = UINT64_MAX;

    assert_int_equal(put_new(NULL), PERSIST_OK);

    assert_int_equal(f.call.present, PERSIST_BACKEND_CALL_DEADLINE);
    assert_true(f.call.deadline_ns >= UINT64_MAX / 2);
}

/* ------------------------------------------------------------------- read */

struct read_lie {
    const char *what;
    uint64_t len, offset, total; /* the answer to 10 bytes from 100 */
    int rc;
    bool suffix; /* to the last 10 bytes */
};

static void fill_read(struct fake *fake, const void *args, void *result)
{
    const struct read_lie *lie = fake->fill_data;
    struct persist_backend_read_result *r = result;

    (void)args;
    r->len = lie->len;
    r->offset = lie->offset;
    r->total = lie->total;
    memcpy(r->etag, "v1", 3);
}

static int read_ten(bool suffix, const char *etag,
                    struct backend_read_answer *out)
{
    static char buffer[10];
    const struct backend_read read = {.key = "k",
                                      .suffix = suffix,
                                      .offset = 100,
                                      .buffer = buffer,
                                      .len = 10,
                                      .etag = etag};

    return backend_read(f.store, &f.op, &read, out, &f.err);
}

static void read__answers_are_checked(void **state)
{
    static const struct read_lie lies[] = {
        {"true", 10, 100, 1000, PERSIST_OK, false},
        {"true at the end", 3, 100, 103, PERSIST_OK, false},
        {"true behind the end", 0, 0, 50, PERSIST_OK, false},
        {"more than asked", 11, 100, 1000, PERSIST_E_INTERNAL, false},
        {"endless", UINT64_MAX, 100, 1000, PERSIST_E_INTERNAL, false},
        {"fewer than there are", 9, 100, 1000, PERSIST_E_INTERNAL, false},
        {"more than there are", 10, 100, 103, PERSIST_E_INTERNAL, false},
        {"from elsewhere", 10, 99, 1000, PERSIST_E_INTERNAL, false},
        {"true suffix", 10, 990, 1000, PERSIST_OK, true},
        {"true short suffix", 4, 0, 4, PERSIST_OK, true},
        {"true empty suffix", 0, 0, 0, PERSIST_OK, true},
        {"not the suffix", 10, 100, 1000, PERSIST_E_INTERNAL, true},
        {"half the suffix", 5, 995, 1000, PERSIST_E_INTERNAL, true},
    };

    (void)state;
    fake_open(&f);
    f.fill = fill_read;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct backend_read_answer got = {0};
        f.fill_data = &lies[i];
        int rc = read_ten(lies[i].suffix, NULL, &got);
        if (rc != lies[i].rc)
            fail_msg("%s: %d %s", lies[i].what, rc, f.err.message);
        if (rc == PERSIST_OK) {
            assert_int_equal(got.len, lies[i].len);
            assert_int_equal(got.total, lies[i].total);
            assert_string_equal(got.etag, "v1");
        } else {
            ASSERT_HAS(f.err.message, "read: backend fake");
        }
    }
}

static void read__another_version_than_pinned_is_a_changed_object(void **state)
{
    static const struct read_lie truth = {"", 10, 100, 1000, 0, false};
    struct backend_read_answer got;

    (void)state;
    fake_open(&f);
    f.fill = fill_read;
    f.fill_data = &truth;

    assert_int_equal(read_ten(false, "v1", &got), PERSIST_OK);
    assert_string_equal(f.args.read.etag, "v1");
    assert_int_equal(read_ten(false, "", &got), PERSIST_OK);
    assert_null(f.args.read.etag);
    assert_int_equal(read_ten(false, "v2", &got), PERSIST_E_PRECONDITION);
}

static void read__codes_of_writes_are_a_bug(void **state)
{
    struct backend_read_answer got;

    (void)state;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(read_ten(false, NULL, &got), PERSIST_E_INTERNAL);
    SCRIPT(PERSIST_BACKEND_NOT_DURABLE);
    assert_int_equal(read_ten(false, NULL, &got), PERSIST_E_INTERNAL);
    SCRIPT(PERSIST_BACKEND_EXISTS);
    assert_int_equal(read_ten(false, NULL, &got), PERSIST_E_INTERNAL);
    SCRIPT(PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(read_ten(false, NULL, &got), PERSIST_E_NOT_FOUND);
    assert_string_equal(f.err.message, "read: it is not there");
}

static void read__wants_a_key_and_a_buffer(void **state)
{
    struct backend_read_answer got;
    const struct backend_read none = {.key = "k", .buffer = &got};

    (void)state;
    fake_open(&f);
    assert_int_equal(backend_read(f.store, &f.op, &none, &got, &f.err),
                     PERSIST_E_INVALID);
    const struct backend_read bad = {.key = "/", .buffer = &got, .len = 1};
    assert_int_equal(backend_read(f.store, &f.op, &bad, &got, &f.err),
                     PERSIST_E_INVALID);
    assert_int_equal(atomic_load(&f.n_calls), 0);
}

static void fill_read_endless(struct fake *fake, const void *args, void *result)
{
    struct persist_backend_read_result *r = result;

    (void)fake, (void)args;
    memset(r->etag, 'e', sizeof(r->etag));
}

static void read__endless_etag_is_a_bug_of_the_backend(void **state)
{
    struct backend_read_answer got;

    (void)state;
    fake_open(&f);
    f.fill = fill_read_endless;
    assert_int_equal(read_ten(false, NULL, &got), PERSIST_E_INTERNAL);
    ASSERT_HAS(f.err.message, "endless etag");
}

/* ----------------------------------------------------------- head, delete */

static void fill_head(struct fake *fake, const void *args, void *result)
{
    struct persist_backend_head_result *r = result;

    (void)args;
    r->size = 77;
    r->modified_us = INT64_MAX;
    r->present = fake->fill_data ? PERSIST_BACKEND_HAS_MODIFIED : 0;
    if (fake->fill_data && strcmp(fake->fill_data, "endless") == 0)
        memset(r->etag, 'e', sizeof(r->etag));
    else
        memcpy(r->etag, "v1", 3);
}

static void head__gives_what_is_known(void **state)
{
    struct backend_head_answer got;

    (void)state;
    fake_open(&f);
    f.fill = fill_head;
    assert_int_equal(backend_head(f.store, &f.op, "k", &got, &f.err),
                     PERSIST_OK);
    assert_int_equal(got.size, 77);
    assert_false(got.has_modified);
    assert_int_equal(got.modified_us, 0);
    assert_string_equal(got.etag, "v1");
    f.fill_data = "modified";
    assert_int_equal(backend_head(f.store, &f.op, "k", &got, &f.err),
                     PERSIST_OK);
    assert_true(got.has_modified);
    assert_int_equal(got.modified_us, TEXT_TIME_MAX_US);
    f.fill_data = "endless";
    assert_int_equal(backend_head(f.store, &f.op, "k", &got, &f.err),
                     PERSIST_E_INTERNAL);
    assert_int_equal(backend_head(f.store, &f.op, "..", &got, &f.err),
                     PERSIST_E_INVALID);
}

static void fill_was(struct fake *fake, const void *args, void *result)
{
    const uint32_t *was = fake->fill_data;

    (void)args;
    ((struct persist_backend_delete_result *)result)->was = *was;
}

static void delete__says_what_was_there_as_far_as_it_is_known(void **state)
{
    static const uint32_t absent = PERSIST_BACKEND_WAS_ABSENT;
    static const uint32_t there = PERSIST_BACKEND_WAS_THERE;
    static const uint32_t future = 9;
    uint32_t was = 9;

    (void)state;
    fake_open(&f);
    f.fill = fill_was;
    f.fill_data = &absent;
    assert_int_equal(backend_delete(f.store, &f.op, "k", &was, &f.err), 0);
    assert_int_equal(was, PERSIST_BACKEND_WAS_ABSENT);
    /* The first attempt, whose answer was lost, may have deleted it. */
    SCRIPT(PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(backend_delete(f.store, &f.op, "k", &was, &f.err), 0);
    assert_int_equal(was, PERSIST_BACKEND_WAS_UNKNOWN);
    f.fill_data = &there;
    SCRIPT(PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(backend_delete(f.store, &f.op, "k", &was, &f.err), 0);
    assert_int_equal(was, PERSIST_BACKEND_WAS_THERE);
    f.fill_data = &future;
    assert_int_equal(backend_delete(f.store, &f.op, "k", &was, &f.err), 0);
    assert_int_equal(was, PERSIST_BACKEND_WAS_UNKNOWN);
    assert_int_equal(backend_delete(f.store, &f.op, "k", NULL, &f.err), 0);
    assert_int_equal(backend_delete(f.store, &f.op, "", NULL, &f.err),
                     PERSIST_E_INVALID);
}

/* ---------------------------------------------------------------- threads */

struct crowd {
    atomic_int inside;
    atomic_int most;
};

static struct crowd crowd;

static void count_inside(struct fake *fake,
                         const struct persist_backend_call *call)
{
    const struct timespec pause = {0, 2000000};
    int inside = atomic_fetch_add(&crowd.inside, 1) + 1;
    int most = atomic_load(&crowd.most);

    (void)fake, (void)call;
    while (inside > most &&
           !atomic_compare_exchange_weak(&crowd.most, &most, inside))
        ;
    nanosleep(&pause, NULL);
    atomic_fetch_sub(&crowd.inside, 1);
}

static void *put_some(void *arg)
{
    struct persist_op op;
    const struct backend_put put = {.key = "k", .data = "", .if_absent = true};
    int rc = op_init(&op, NULL);

    (void)arg;
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = backend_put(f.store, &op, &put, NULL, NULL);
    op_finish(&op);
    return rc == 0 ? NULL : &f;
}

static int most_inside(void)
{
    pthread_t threads[8];

    memset(&crowd, 0, sizeof(crowd));
    f.during = count_inside;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_some, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        void *rc = NULL;
        pthread_join(threads[i], &rc);
        assert_null(rc);
    }
    assert_int_equal(atomic_load(&f.n_calls), 80);
    return atomic_load(&crowd.most);
}

static void threads__run_together_where_the_backend_can(void **state)
{
    (void)state;
    f.env.clock = &clock_system;
    fake_open(&f);
    assert_true(most_inside() > 1);
}

static void threads__run_one_by_one_in_a_serial_backend(void **state)
{
    (void)state;
    f.env.clock = &clock_system;
    f.plugin.descriptor.thread_model = PERSIST_BACKEND_SERIAL;
    fake_open(&f);
    assert_int_equal(most_inside(), 1);
}

static void threads__run_one_by_one_where_configured(void **state)
{
    (void)state;
    f.env.clock = &clock_system;
    f.values.serial = true;
    f.values.max_io = 5;
    fake_open(&f);
    assert_int_equal(most_inside(), 1);
}

static void threads__keep_to_max_io(void **state)
{
    (void)state;
    f.env.clock = &clock_system;
    f.values.max_io = 3;
    fake_open(&f);
    int most = most_inside();
    assert_true(most > 1 && most <= 3);
}

static atomic_bool release;

static void hold(struct fake *fake, const struct persist_backend_call *call)
{
    const struct timespec pause = {0, 1000000};

    (void)fake, (void)call;
    while (!atomic_load(&release))
        nanosleep(&pause, NULL);
}

static void *put_one(void *arg)
{
    const struct backend_put put = {.key = "k", .data = "", .if_absent = true};

    return backend_put(f.store, arg, &put, NULL, NULL) == 0 ? NULL : &f;
}

static void threads__waiting_for_their_turn_can_be_stopped(void **state)
{
    struct persist_op first;
    struct persist_op late;
    pthread_t holder;
    void *rc = NULL;

    (void)state;
    f.env.clock = &clock_system;
    f.values.serial = true;
    fake_open(&f);
    f.during = hold;
    atomic_store(&release, false);
    op_init(&first, NULL);
    op_init(&late, NULL);
    assert_int_equal(pthread_create(&holder, NULL, put_one, &first), 0);
    while (atomic_load(&f.n_calls) == 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);

    op_start(&late, &clock_system, 20);
    const struct backend_put put = {.key = "k", .data = "", .if_absent = true};
    assert_int_equal(backend_put(f.store, &late, &put, NULL, &f.err),
                     PERSIST_E_TIMEOUT);
    assert_int_equal(atomic_load(&f.n_calls), 1);

    atomic_store(&release, true);
    pthread_join(holder, &rc);
    assert_null(rc);
    op_finish(&first);
    op_finish(&late);
}

/* ------------------------------------------------------------------ probe */

static int check_writable(void)
{
    return backend_store_check_writable(f.store, &f.op, &f.err);
}

static void writable__asks_nothing_where_nothing_is_to_be_checked(void **state)
{
    (void)state;
    fake_open(&f);
    assert_int_equal(check_writable(), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 0);
}

static void writable__exists_proves_it_once(void **state)
{
    (void)state;
    f.limits.flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_EXISTS);

    assert_int_equal(check_writable(), PERSIST_OK);
    assert_int_equal(check_writable(), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 1);
    assert_string_equal(f.last_key, ".persist-probe");
    assert_int_equal(f.args.put.flags, PERSIST_BACKEND_IF_ABSENT);
}

static void writable__second_put_must_find_the_first(void **state)
{
    (void)state;
    f.limits.flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_OK, PERSIST_BACKEND_EXISTS);

    assert_int_equal(check_writable(), PERSIST_OK);
    assert_int_equal(atomic_load(&f.n_calls), 2);
}

static void writable__store_that_overwrites_is_refused_for_good(void **state)
{
    (void)state;
    f.limits.flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    fake_open(&f);

    assert_int_equal(check_writable(), PERSIST_E_UNSUPPORTED);
    ASSERT_HAS(f.err.message, "store archive cannot be written to");
    assert_int_equal(atomic_load(&f.n_calls), 2);
    assert_int_equal(check_writable(), PERSIST_E_UNSUPPORTED);
    assert_int_equal(atomic_load(&f.n_calls), 2);
}

static void writable__failure_is_not_remembered(void **state)
{
    (void)state;
    f.limits.flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    fake_open(&f);
    SCRIPT(PERSIST_BACKEND_DENIED, PERSIST_BACKEND_EXISTS);

    assert_int_equal(check_writable(), PERSIST_E_DENIED);
    ASSERT_HAS(f.err.hint, "permit creating .persist-probe: ");
    assert_int_equal(check_writable(), PERSIST_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__completes_limits_that_are_not_known),
        TEST(open__refuses_limits_that_cannot_be),
        TEST(open__refuses_a_backend_without_limits),
        TEST(open__gives_the_backends_reason),
        TEST(open__counts_an_unknown_code_as_internal),
        TEST(open__wants_a_store_with_ok),
        TEST(open__wants_file_durability_accepted),
        TEST(open__warns_of_deprecated_options_that_are_set),
        TEST(keys__are_checked_before_the_backend_sees_them),
        TEST(put__hands_over_bytes_and_checksum),
        TEST(put__refuses_more_than_the_store_takes),
        TEST(put__repeats_what_passes_and_counts_attempts),
        TEST(put__says_what_failed_how_often_and_how_long),
        TEST(put__honours_retry_after),
        TEST(put__carries_details_and_ends_endless_texts),
        TEST(put__leaves_sentences_alone),
        TEST(refused__by_a_file_system_says_what_to_do),
        TEST(close__lets_the_log_forget_secrets),
        TEST(put__redacts_registered_secrets),
        TEST(put__answers_each_code),
        TEST(put__exists_after_a_lost_answer_may_be_ours),
        TEST(put__stays_uncertain_until_a_repetition_says),
        TEST(put__without_condition_cannot_find_it_there),
        TEST(put__endless_etag_is_a_bug_of_the_backend),
        TEST(put__is_not_sent_when_cancelled),
        TEST(put__is_not_sent_when_the_instance_is_cancelled),
        TEST(put_and_read__run_past_the_interrupt_where_told),
        TEST(put__is_not_sent_behind_the_deadline),
        TEST(put__cancelled_while_waiting_is_cancelled),
        TEST(put__backend_sees_the_cancellation),
        TEST(put__definite_answer_stands_though_cancelled),
        TEST(put__deadline_is_on_the_hosts_clock),
        TEST(put__deadline_at_the_end_of_time_is_not_over),
        TEST(read__answers_are_checked),
        TEST(read__another_version_than_pinned_is_a_changed_object),
        TEST(read__codes_of_writes_are_a_bug),
        TEST(read__wants_a_key_and_a_buffer),
        TEST(read__endless_etag_is_a_bug_of_the_backend),
        TEST(head__gives_what_is_known),
        TEST(delete__says_what_was_there_as_far_as_it_is_known),
        TEST(threads__run_together_where_the_backend_can),
        TEST(threads__run_one_by_one_in_a_serial_backend),
        TEST(threads__run_one_by_one_where_configured),
        TEST(threads__keep_to_max_io),
        TEST(threads__waiting_for_their_turn_can_be_stopped),
        TEST(writable__asks_nothing_where_nothing_is_to_be_checked),
        TEST(writable__exists_proves_it_once),
        TEST(writable__second_put_must_find_the_first),
        TEST(writable__store_that_overwrites_is_refused_for_good),
        TEST(writable__failure_is_not_remembered),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
