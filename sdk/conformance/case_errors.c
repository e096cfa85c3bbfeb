/* SPDX-License-Identifier: 0BSD */
/*
 * Cancelled and overdue calls; then what was observed of all ops of the run.
 *
 * The last group is run last: it reports what calls.c noted.
 */
#include <stdio.h>
#include <string.h>

#include "suite.h"

/* One op on a fresh key, and whether its effect can be seen afterwards. */
struct stopped_op {
    const char *name;
    int32_t (*run)(struct test *t, const char *key);
};

static int32_t run_put(struct test *t, const char *key)
{
    return op_put(t, key, "x", 1, PERSIST_BACKEND_IF_ABSENT, NULL);
}

static int32_t run_read(struct test *t, const char *key)
{
    char buffer[4];
    struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = PERSIST_BACKEND_READ_RANGE,
        .key = key,
        .buffer = buffer,
        .len = sizeof(buffer),
    };
    struct persist_backend_read_result r;
    return op_read(t, &args, &r);
}

static int32_t run_head(struct test *t, const char *key)
{
    return op_head(t, key, NULL);
}

static int32_t run_list(struct test *t, const char *key)
{
    struct listing l = {0};
    struct list_query q = {.prefix = key};
    int32_t rc = op_list(t, &q, &l);
    listing_finish(&l);
    return rc;
}

static int32_t run_delete(struct test *t, const char *key)
{
    return op_delete(t, key, NULL);
}

static int32_t run_begin(struct test *t, const char *key)
{
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    int32_t rc = op_begin(t, key, PERSIST_BACKEND_IF_ABSENT, id);
    if (rc == PERSIST_BACKEND_OK)
        op_abort(t, key, id);
    return rc;
}

static const struct stopped_op stopped_reads[] = {
    {"read", run_read},
    {"head", run_head},
    {"list", run_list},
    {"upload_begin", run_begin},
};

/* A call that is to stop: cancelled, or out of time. */
static void stop(struct test *t, bool cancel)
{
    if (cancel) {
        host_call_cancel(&t->host_call);
        return;
    }
    t->call.present |= PERSIST_BACKEND_CALL_DEADLINE;
    t->call.deadline_ns = t->suite->host->monotonic_ns() - 1;
}

static void resume(struct test *t)
{
    host_call_finish(&t->host_call);
    host_call_init(&t->host_call);
    t->call.present = 0;
}

/* Does what it is to do, or says that it did not. */
static void check_stopped_writes(struct test *t, bool cancel, int32_t code)
{
    char key[KEY_CAP], old[KEY_CAP];
    test_key(t, "new", key);
    test_key(t, "old", old);
    must_put(t, old, "old", 3, 0);

    stop(t, cancel);
    int32_t put = run_put(t, key);
    int32_t deleted = run_delete(t, old);
    resume(t);

    if (expect(t, put == PERSIST_BACKEND_OK || put == code, "put answered %s",
               status_name(put))) {
        if (put == PERSIST_BACKEND_OK)
            must_hold(t, key, "x", 1);
        else
            must_be_absent(t, key);
    }
    if (expect(t, deleted == PERSIST_BACKEND_OK || deleted == code,
               "delete answered %s", status_name(deleted))) {
        if (deleted == PERSIST_BACKEND_OK)
            must_be_absent(t, old);
        else
            must_hold(t, old, "old", 3);
    }
}

static void check_stopped_reads(struct test *t, bool cancel, int32_t code)
{
    char key[KEY_CAP];
    test_key(t, "object", key);
    must_put(t, key, "x", 1, 0);
    stop(t, cancel);
    for (size_t i = 0; i < sizeof(stopped_reads) / sizeof(*stopped_reads);
         i++) {
        int32_t rc = stopped_reads[i].run(t, key);
        expect(t, rc == PERSIST_BACKEND_OK || rc == code, "%s answered %s",
               stopped_reads[i].name, status_name(rc));
    }
    resume(t);
    must_hold(t, key, "x", 1);
}

static void check_stopped_upload(struct test *t, bool cancel, int32_t code)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        stop(t, cancel);
        int32_t rc = upload_commit(t, &u, PERSIST_BACKEND_IF_ABSENT);
        resume(t);
        expect(t, rc == PERSIST_BACKEND_OK || rc == code,
               "upload_commit answered %s", status_name(rc));
        if (rc == PERSIST_BACKEND_OK)
            must_hold(t, key, u.data, u.len);
        else
            must_be_absent(t, key);
        expect_rc(t, "upload_abort", op_abort(t, key, u.id),
                  PERSIST_BACKEND_OK);
    }
    upload_finish(&u);
}

static void cancelled_writes(struct test *t)
{
    check_stopped_writes(t, true, PERSIST_BACKEND_CANCELLED);
}

static void cancelled_reads(struct test *t)
{
    check_stopped_reads(t, true, PERSIST_BACKEND_CANCELLED);
}

static void cancelled_commit(struct test *t)
{
    check_stopped_upload(t, true, PERSIST_BACKEND_CANCELLED);
}

static void overdue_writes(struct test *t)
{
    check_stopped_writes(t, false, PERSIST_BACKEND_TIMEOUT);
}

static void overdue_reads(struct test *t)
{
    check_stopped_reads(t, false, PERSIST_BACKEND_TIMEOUT);
}

static void overdue_commit(struct test *t)
{
    check_stopped_upload(t, false, PERSIST_BACKEND_TIMEOUT);
}

const struct conformance_case cases_cancellation[] = {
    {"cancellation.cancelled.writes-tell-the-truth", cancelled_writes},
    {"cancellation.cancelled.reads-stop-or-complete", cancelled_reads},
    {"cancellation.cancelled.commit-tells-the-truth", cancelled_commit},
    {"cancellation.deadline.writes-tell-the-truth", overdue_writes},
    {"cancellation.deadline.reads-stop-or-complete", overdue_reads},
    {"cancellation.deadline.commit-tells-the-truth", overdue_commit},
    {NULL, NULL},
};

/* ----------------------------------------------------------------- errors */

static void expect_denied(struct test *t, const char *op, int32_t rc)
{
    expect(t, rc == PERSIST_BACKEND_DENIED || rc == PERSIST_BACKEND_AUTH,
           "%s without permission answered %s", op, status_name(rc));
}

static void denied(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_error error;
    void *own = t->store, *other = NULL;
    if (!t->suite->has_denied) {
        test_skip(t, "no --denied settings were given");
        return;
    }
    test_key(t, "object", key);
    must_put(t, key, "x", 1, 0);
    expect_rc(t, "open", op_open(t->suite, &t->suite->denied, &other, &error),
              PERSIST_BACKEND_OK);
    if (!other)
        return;
    t->store = other;
    expect_denied(t, "read", run_read(t, key));
    expect_denied(t, "head", run_head(t, key));
    expect_denied(t, "list", run_list(t, key));
    expect_denied(t, "put", run_put(t, key));
    expect_denied(t, "delete", run_delete(t, key));
    t->store = own;
    must_hold(t, key, "x", 1);
    t->suite->ops->close(other);
}

/* Makes failures of many kinds, so that there is something to look at when
 * this group runs alone. */
static void provoke(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_limits limits;
    op_limits(t, &limits);
    test_key(t, "provoked", key);
    run_read(t, key);
    run_head(t, key);
    run_put(t, key);
    run_put(t, key);
    run_head(t, "..");
    run_put(t, "../x");
    run_list(t, t->prefix);
    run_delete(t, key);
}

static void closed_set(struct test *t)
{
    provoke(t);
    expect(t, !t->suite->observed.bad_code[0], "%s",
           t->suite->observed.bad_code);
}

static void messages(struct test *t)
{
    provoke(t);
    expect(t, !t->suite->observed.bad_message[0], "%s",
           t->suite->observed.bad_message);
}

static void bounds(struct test *t)
{
    provoke(t);
    expect(t, !t->suite->observed.bad_write[0], "%s",
           t->suite->observed.bad_write);
}

static void emits(struct test *t)
{
    provoke(t);
    expect(t, !t->suite->observed.bad_emit[0], "%s",
           t->suite->observed.bad_emit);
}

static void handles(struct test *t)
{
    provoke(t);
    expect(t, host_bad_handles == 0,
           "%lld host calls with a handle or memory that is not the host's",
           (long long)host_bad_handles);
    expect(t, host_bad_logs == 0,
           "%lld log lines of no level or with a newline",
           (long long)host_bad_logs);
}

const struct conformance_case cases_errors[] = {
    {"errors.denied.is-not-absent", denied},
    {"errors.all.codes-of-the-closed-set", closed_set},
    {"errors.all.failures-have-one-line", messages},
    {"errors.all.writes-within-structs", bounds},
    {"errors.all.emit-rules-kept", emits},
    {"errors.all.host-handles-kept", handles},
    {NULL, NULL},
};
