/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts by the rules of W3C Trace Context; spans as OTLP JSON. */
#include "services/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <persist/error.h>

#include "services/trace_span.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/* ------------------------------------------------------------------- clock */

static _Atomic uint64_t now_ns;
static _Atomic uint64_t next_random;

static uint64_t boot_ns(void *ctx)
{
    (void)ctx;
    return atomic_load(&now_ns);
}

static int64_t wall_us(void *ctx)
{
    (void)ctx;
    return INT64_C(1795407564642210);
}

static int random_bytes(void *ctx, void *out, size_t len)
{
    uint64_t value = atomic_fetch_add(&next_random, 1) + 1;

    (void)ctx;
    memset(out, 0, len);
    memcpy(out, &value, len < 8 ? len : 8);
    return 0;
}

static const struct clock fixed = {
    .boot_ns = boot_ns, .wall_us = wall_us, .random = random_bytes};

/* -------------------------------------------------------------------- sink */

struct lines {
    json_t *spans; /* of all lines */
    unsigned n;
    int answer;
};

static int take(void *ctx, const char *line, size_t len)
{
    struct lines *l = ctx;
    json_t *root = json_loadb(line, len, 0, NULL);

    assert_non_null(root);
    assert_null(memchr(line, '\n', len));
    json_t *scope = json_array_get(
        json_object_get(
            json_array_get(json_object_get(root, "resourceSpans"), 0),
            "scopeSpans"),
        0);
    json_t *spans = json_object_get(scope, "spans");
    assert_true(json_array_size(spans) > 0);
    assert_true(json_array_size(spans) <= TRACE_BATCH_MAX);
    if (l->answer == 0)
        json_array_extend(l->spans, spans);
    json_decref(root);
    l->n++;
    return l->answer;
}

static struct tracer *make(struct lines *l)
{
    *l = (struct lines){.spans = json_array()};
    atomic_store(&now_ns, UINT64_C(1000000000));
    struct tracer *t = tracer_create(&fixed, take, l);
    assert_non_null(t);
    return t;
}

static const char *text(const struct lines *l, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(l->spans, i), key));
}

static const char *attribute(const struct lines *l, size_t i, const char *key)
{
    json_t *all = json_object_get(json_array_get(l->spans, i), "attributes");
    json_t *a;
    size_t k;

    json_array_foreach(all, k, a)
    {
        json_t *value = json_object_get(a, "value");

        if (strcmp(json_string_value(json_object_get(a, "key")), key) != 0)
            continue;
        json_t *number = json_object_get(value, "intValue");
        return json_string_value(
            number ? number : json_object_get(value, "stringValue"));
    }
    return NULL;
}

/* ---------------------------------------------------------------- contexts */

static void context__is_taken_only_where_it_is_valid(void **state)
{
    static const char *const good[] = {
        PARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else"};
    static const char *const bad[] = {
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
    };
    struct trace_context c;
    char again[TRACEPARENT_CAP];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!trace_context_parse(good[i], &c))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (trace_context_parse(bad[i], &c))
            fail_msg("taken: %s", bad[i]);
    assert_false(trace_context_parse(NULL, &c));
    assert_true(trace_context_parse(PARENT, &c));
    trace_context_format(&c, again);
    assert_string_equal(again, PARENT);
}

/* ------------------------------------------------------------------- spans */

static void put_request(struct trace_call *call, uint32_t attempt, int status)
{
    const struct trace_facts facts = {.name = "put",
                                      .store = "main",
                                      .backend = "s3",
                                      .object = "998-1.snap",
                                      .bytes = 4096,
                                      .attempt = attempt,
                                      .status = status,
                                      .http_status = status ? 503 : 200};
    struct trace_request r;

    trace_request_begin(call, &r);
    assert_memory_equal(r.traceparent, "00-", 3);
    atomic_fetch_add(&now_ns, 2000);
    trace_request_end(&r, &facts);
}

static void spans__are_children_of_stages_and_those_of_the_call(void **state)
{
    const struct trace_facts facts = {.name = "save", .store = "main"};
    struct trace_context parent;
    struct trace_call call;
    struct lines l;
    struct tracer *t = make(&l);

    (void)state;
    assert_true(trace_context_parse(PARENT, &parent));
    trace_begin(t, &parent, "save", &call);
    trace_stage(&call, "compress");
    trace_stage(&call, "store");
    put_request(&call, 1, PERSIST_E_THROTTLED);
    put_request(&call, 2, PERSIST_OK);
    trace_end(&call, &facts);

    assert_int_equal(json_array_size(l.spans), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(text(&l, i, "traceId"),
                            "0af7651916cd43dd8448eb211c80319c");
        assert_int_equal(strlen(text(&l, i, "spanId")), 16);
    }
    assert_string_equal(text(&l, 0, "name"), "compress");
    assert_string_equal(text(&l, 1, "name"), "put");
    assert_string_equal(text(&l, 3, "name"), "store");
    assert_string_equal(text(&l, 4, "name"), "save");
    assert_string_equal(text(&l, 4, "parentSpanId"), "b7ad6b7169203331");
    assert_string_equal(text(&l, 3, "parentSpanId"), text(&l, 4, "spanId"));
    assert_string_equal(text(&l, 1, "parentSpanId"), text(&l, 3, "spanId"));
    assert_string_equal(text(&l, 2, "parentSpanId"), text(&l, 3, "spanId"));
    assert_string_equal(attribute(&l, 1, "persist.attempt"), "1");
    assert_string_equal(attribute(&l, 2, "persist.attempt"), "2");
    assert_string_equal(attribute(&l, 1, "persist.status"), "throttled");
    assert_string_equal(attribute(&l, 1, "http.response.status_code"), "503");
    assert_string_equal(attribute(&l, 2, "persist.bytes"), "4096");
    assert_string_equal(text(&l, 1, "startTimeUnixNano"),
                        "1795407564642210000");
    assert_string_equal(text(&l, 1, "endTimeUnixNano"), "1795407564642212000");
    assert_int_equal(
        json_integer_value(json_object_get(
            json_object_get(json_array_get(l.spans, 1), "status"), "code")),
        2);
    assert_null(json_object_get(json_array_get(l.spans, 2), "status"));
    assert_int_equal(tracer_dropped(t), 0);
    tracer_destroy(t);
    json_decref(l.spans);
}

static void spans__of_a_trace_that_is_not_sampled_are_not_kept(void **state)
{
    const struct trace_facts facts = {.name = "save"};
    struct trace_context parent;
    struct trace_call call;
    struct trace_request r;
    struct lines l;
    struct tracer *t = make(&l);

    (void)state;
    assert_true(trace_context_parse(PARENT, &parent));
    parent.flags = 0;
    trace_begin(t, &parent, "save", &call);
    trace_request_begin(&call, &r);
    assert_string_equal(r.traceparent + 52, "-00");
    trace_request_end(&r, &facts);
    trace_end(&call, &facts);
    tracer_destroy(t);
    assert_int_equal(l.n, 0);
    json_decref(l.spans);
}

static void tracer__without_a_sink_only_passes_contexts_on(void **state)
{
    const struct trace_facts facts = {.name = "save"};
    struct tracer *t = tracer_create(&fixed, NULL, NULL);
    struct trace_context parent;
    struct trace_call call;
    struct trace_request r;

    (void)state;
    trace_begin(t, NULL, "save", &call);
    trace_request_begin(&call, &r);
    assert_string_equal(r.traceparent, "");
    trace_end(&call, &facts);

    assert_true(trace_context_parse(PARENT, &parent));
    trace_begin(t, &parent, "save", &call);
    trace_request_begin(&call, &r);
    assert_memory_equal(r.traceparent, PARENT, 36);
    trace_request_end(&r, &facts);
    trace_end(&call, &facts);
    tracer_destroy(t);

    trace_begin(NULL, NULL, "save", &call);
    trace_stage(&call, "x");
    trace_request_begin(&call, &r);
    assert_null(r.call);
    trace_end(&call, &facts);
}

static void spans__that_cannot_be_written_are_counted(void **state)
{
    const struct trace_facts facts = {.name = "save"};
    struct trace_call call;
    struct lines l;
    struct tracer *t = make(&l);

    (void)state;
    l.answer = -1;
    trace_begin(t, NULL, "save", &call);
    for (uint32_t i = 1; i <= 300; i++)
        put_request(&call, i, PERSIST_OK);
    trace_end(&call, &facts);
    assert_int_equal(tracer_dropped(t), 301);
    assert_true(l.n >= 5);
    tracer_destroy(t);
    json_decref(l.spans);
}

/* While a line is being written, others add: here the sink itself does, as
 * another thread would. */
struct busy {
    struct lines lines;
    struct tracer *tracer;
    bool added;
};

static int add_meanwhile(void *ctx, const char *line, size_t len)
{
    const struct trace_facts facts = {.name = "verify"};
    struct busy *b = ctx;
    struct trace_call call;

    for (int i = 0; !b->added && i < 600; i++) {
        trace_begin(b->tracer, NULL, "verify", &call);
        trace_end(&call, &facts);
    }
    b->added = true;
    return take(&b->lines, line, len);
}

static void memory__is_bounded_while_a_line_is_being_written(void **state)
{
    const struct trace_facts facts = {.name = "save"};
    struct busy b = {.lines.spans = json_array()};
    struct trace_call call;

    (void)state;
    b.tracer = tracer_create(&fixed, add_meanwhile, &b);
    assert_non_null(b.tracer);
    trace_begin(b.tracer, NULL, "save", &call);
    trace_end(&call, &facts);

    assert_int_equal(tracer_dropped(b.tracer), 600 - 512);
    assert_int_equal(json_array_size(b.lines.spans), 1 + 512);
    tracer_destroy(b.tracer);
    json_decref(b.lines.spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context__is_taken_only_where_it_is_valid),
        cmocka_unit_test(spans__are_children_of_stages_and_those_of_the_call),
        cmocka_unit_test(spans__of_a_trace_that_is_not_sampled_are_not_kept),
        cmocka_unit_test(tracer__without_a_sink_only_passes_contexts_on),
        cmocka_unit_test(spans__that_cannot_be_written_are_counted),
        cmocka_unit_test(memory__is_bounded_while_a_line_is_being_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
