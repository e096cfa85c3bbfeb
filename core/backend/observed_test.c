/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be seen of a request: the traceparent the plugin gets, spans, and
 * lines of the log, which name whole keys at DEBUG only.
 */
#include "backend/fake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/trace.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define KEY "writer/default/999999999999999/998-1.snap"

static char seen[4][TRACEPARENT_CAP];
static unsigned n_seen;
static char spans[16384];

static void look(struct fake *f, const struct persist_backend_call *call)
{
    assert_non_null(call->traceparent);
    assert_true(n_seen < 4);
    snprintf(seen[n_seen++], TRACEPARENT_CAP, "%s", call->traceparent);
    f->host->log(f->host_store, PERSIST_BACKEND_LOG_WARN, "a plugin's line");
}

static int keep(void *ctx, const char *line, size_t len)
{
    size_t at = strlen(spans);

    (void)ctx;
    snprintf(spans + at, sizeof spans - at, "%.*s\n", (int)len, line);
    return 0;
}

static void put(struct fake *f)
{
    const struct backend_put what = {
        .key = KEY, .data = "x", .len = 1, .if_absent = true};

    assert_int_equal(backend_put(f->store, &f->op, &what, NULL, &f->err),
                     PERSIST_OK);
}

static void request__gets_a_context_of_its_own_in_the_call_s_trace(void **state)
{
    const struct trace_facts facts = {.name = "save"};
    struct trace_context parent;
    struct trace_call call;
    struct fake f;

    (void)state;
    fake_setup(&f);
    struct tracer *t = tracer_create(&clock_system, keep, NULL);
    fake_answer(&f, PERSIST_BACKEND_TRANSIENT);
    fake_open(&f);
    assert_true(trace_context_parse(PARENT, &parent));
    trace_begin(t, &parent, "save", &call);
    f.op.trace = &call;
    f.during = look;
    put(&f);
    trace_end(&call, &facts);

    assert_int_equal(n_seen, 2);
    assert_memory_equal(seen[0], PARENT, 36);
    assert_memory_equal(seen[1], PARENT, 36);
    assert_string_not_equal(seen[0], seen[1]);
    for (unsigned i = 0; i < 2; i++) {
        char span[40], line[40];

        snprintf(span, sizeof span, "\"spanId\":\"%.16s\"", seen[i] + 36);
        assert_non_null(strstr(spans, span));
        snprintf(line, sizeof line, "span_id=%.16s", seen[i] + 36);
        assert_non_null(strstr(f.logged, line));
    }
    assert_non_null(strstr(spans, "\"persist.object\",\"value\":{"
                                  "\"stringValue\":\"998-1.snap\""));
    assert_null(strstr(spans, KEY));
    tracer_destroy(t);
    fake_teardown(&f);
}

static void request__outside_of_a_trace_has_no_context(void **state)
{
    struct fake f;

    (void)state;
    fake_setup(&f);
    fake_open(&f);
    put(&f);
    assert_null(f.call.traceparent);
    assert_null(strstr(f.logged, "trace_id"));
    fake_teardown(&f);
}

/* Every op, with every answer, at the level that people run with. */
static void do_all(struct fake *f)
{
    struct backend_head_answer head;
    struct backend_read_answer answer;
    struct backend_upload *u = NULL;
    struct backend_list *l = NULL;
    const struct backend_entry *entry;
    char buffer[8];
    const struct backend_put what = {.key = KEY, .data = "x", .len = 1};
    const struct backend_read read = {
        .key = KEY, .buffer = buffer, .len = sizeof buffer};

    backend_put(f->store, &f->op, &what, NULL, &f->err);
    backend_read(f->store, &f->op, &read, &answer, &f->err);
    backend_head(f->store, &f->op, KEY, &head, &f->err);
    backend_delete(f->store, &f->op, KEY, NULL, &f->err);
    if (backend_upload_begin(f->store, &f->op, KEY, NULL, &u, &f->err) ==
        PERSIST_OK) {
        backend_upload_abort(u, &f->err);
        backend_upload_destroy(u);
    }
    if (backend_list_open(f->store, &f->op, "writer/default/", NULL, false, 10,
                          &l, &f->err) == PERSIST_OK)
        backend_list_next(l, &entry, &f->err);
    backend_list_close(l);
    backend_remove_leftover(f->store, &f->op, KEY, "id", &f->err);
}

static void forget_sleeps(struct fake *f,
                          const struct persist_backend_call *call)
{
    (void)call;
    f->clock.n_sleeps = 0;
}

static void with_status(enum log_level level, int32_t status, bool whole)
{
    static const uint64_t after_ms = 1200; /* loud */
    struct fake f;

    fake_setup(&f);
    fake_log(&f, level);
    f.during = forget_sleeps;
    fake_open(&f);
    for (size_t i = 0; i < 3; i++) {
        fake_answer(&f, status);
        f.script[i].retry_after_ms = &after_ms;
    }
    do_all(&f);
    if (whole)
        assert_non_null(strstr(f.logged, KEY));
    else
        assert_null(strstr(f.logged, "writer"));
    fake_teardown(&f);
}

static void keys__are_whole_at_debug_and_nowhere_else(void **state)
{
    (void)state;
    for (int32_t status = PERSIST_BACKEND_INTERNAL; status <= 0; status++) {
        with_status(LOG_DEBUG, status, true);
        with_status(LOG_INFO, status, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            request__gets_a_context_of_its_own_in_the_call_s_trace),
        cmocka_unit_test(request__outside_of_a_trace_has_no_context),
        cmocka_unit_test(keys__are_whole_at_debug_and_nowhere_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
