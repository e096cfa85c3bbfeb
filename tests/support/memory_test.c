/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test can do to the in-memory backend: hooks, faults, clock, damage,
 * branching.  That its ops keep the contract is the conformance suite's affair,
 * whose host it is opened by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../sdk/conformance/config.h"
#include "../../sdk/conformance/host.h"
#include "memory_backend.h"

#define STORE "memory-test"

static const struct persist_backend_descriptor *descriptor;
static const struct memory_control *control;

struct store {
    struct config config;
    struct host_store host_store;
    struct host_call host_call;
    struct persist_backend_call call;
    void *handle;
};

static int load(void **state)
{
    (void)state;
    void *library =
        dlopen(PERSIST_TEST_BINARY_DIR "/tests/backends/memory.so", RTLD_NOW);
    assert_non_null(library);
    void *symbol = dlsym(library, PERSIST_BACKEND_ENTRY_SYMBOL);
    assert_non_null(symbol);
    persist_backend_entry_fn entry;
    memcpy(&entry, &symbol, sizeof(symbol));
    descriptor = entry(host_services());
    control = descriptor->get_extension(MEMORY_CONTROL);
    assert_non_null(control);
    assert_null(descriptor->get_extension("persist-test.memory/2"));
    return 0;
}

/* settings: "key=value" strings, then NULL. */
static void open_store(struct store *s, const char *const *settings)
{
    struct config_setting list[8];
    size_t n = 0;
    char why[256];
    list[n++] = (struct config_setting){"store", 5, STORE};
    for (; *settings; settings++) {
        const char *equals = strchr(*settings, '=');
        list[n++] = (struct config_setting){
            *settings, (size_t)(equals - *settings), equals + 1};
    }
    assert_int_equal(
        config_build(&s->config, descriptor, list, n, why, sizeof(why)), 0);
    host_store_init(&s->host_store, &s->config);
    host_call_init(&s->host_call);
    s->call = (struct persist_backend_call){.struct_size = sizeof(s->call),
                                            .attempt = 1,
                                            .host_call = &s->host_call};
    struct persist_backend_config config = {
        .struct_size = sizeof(config),
        .n_values = (uint32_t)s->config.n,
        .value_size = sizeof(struct persist_backend_value),
        .values = s->config.values,
        .host_store = &s->host_store,
        .store_name = "test",
    };
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    assert_int_equal(
        descriptor->ops->open(host_services(), &config, &s->handle, &error), 0);
}

static void close_store(struct store *s)
{
    descriptor->ops->close(s->handle);
    host_call_finish(&s->host_call);
    config_finish(&s->config);
}

static int32_t put(struct store *s, const char *key, const char *text)
{
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .flags = PERSIST_BACKEND_IF_ABSENT,
                                            .key = key,
                                            .data = text,
                                            .len = strlen(text),
                                            .content_type = "text/plain"};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    return descriptor->ops->put(s->handle, &s->call, &args, &result, &error);
}

static int32_t head(struct store *s, const char *key, int64_t *out_modified_us)
{
    struct persist_backend_head_args args = {.struct_size = sizeof(args),
                                             .key = key};
    struct persist_backend_head_result result = {.struct_size = sizeof(result)};
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    int32_t rc =
        descriptor->ops->head(s->handle, &s->call, &args, &result, &error);
    if (out_modified_us)
        *out_modified_us = result.modified_us;
    return rc;
}

static const char *const no_settings[] = {NULL};

struct seen {
    char trace[256];
    int32_t refuse_before;
    int32_t refuse_after;
};

static int32_t watch(void *ctx, const struct memory_event *event)
{
    struct seen *seen = ctx;
    bool before = event->phase == MEMORY_BEFORE;
    char line[64];
    snprintf(line, sizeof(line), "%s %s %s %s %d\n",
             before ? "before" : "after", event->actor, event->op, event->key,
             (int)event->status);
    strncat(seen->trace, line, sizeof(seen->trace) - strlen(seen->trace) - 1);
    return before ? seen->refuse_before : seen->refuse_after;
}

static void hook__sees_each_op_twice(void **state)
{
    static const char *const settings[] = {"actor=alice", NULL};
    struct store s;
    struct seen seen = {.trace = ""};
    (void)state;
    control->reset(STORE);
    open_store(&s, settings);
    control->set_hook(STORE, watch, &seen);

    assert_int_equal(put(&s, "a/b", "x"), PERSIST_BACKEND_OK);
    assert_int_equal(put(&s, "a/b", "y"), PERSIST_BACKEND_EXISTS);

    assert_string_equal(seen.trace, "before alice put a/b 0\n"
                                    "after alice put a/b 0\n"
                                    "before alice put a/b 0\n"
                                    "after alice put a/b -2\n");
    assert_int_equal(control->count(STORE, "put"), 2);
    assert_int_equal(control->count(STORE, "read"), 0);
    assert_int_equal(control->count(STORE, "any"), 2);
    close_store(&s);
}

static void hook__before_refuses_without_effect(void **state)
{
    struct store s;
    struct seen seen = {.refuse_before = PERSIST_BACKEND_TRANSIENT};
    (void)state;
    control->reset(STORE);
    open_store(&s, no_settings);
    control->set_hook(STORE, watch, &seen);

    assert_int_equal(put(&s, "a", "x"), PERSIST_BACKEND_TRANSIENT);

    assert_int_equal(control->n_objects(STORE), 0);
    close_store(&s);
}

static void hook__after_loses_the_reply(void **state)
{
    struct store s;
    struct seen seen = {.refuse_after = 12345};
    (void)state;
    control->reset(STORE);
    open_store(&s, no_settings);
    control->set_hook(STORE, watch, &seen);

    assert_int_equal(put(&s, "a", "x"), 12345);

    assert_int_equal(control->n_objects(STORE), 1);
    control->set_hook(STORE, NULL, NULL);
    assert_int_equal(head(&s, "a", NULL), PERSIST_BACKEND_OK);
    close_store(&s);
}

static void fault__hits_the_calls_it_was_told(void **state)
{
    static const char *const settings[] = {
        "fail_op=put", "fail_at=2", "fail_times=2", "fail_status=io", NULL};
    struct store s;
    (void)state;
    control->reset(STORE);
    open_store(&s, settings);

    assert_int_equal(put(&s, "a", "1"), PERSIST_BACKEND_OK);
    assert_int_equal(head(&s, "a", NULL), PERSIST_BACKEND_OK);
    assert_int_equal(put(&s, "b", "2"), PERSIST_BACKEND_IO);
    assert_int_equal(put(&s, "b", "2"), PERSIST_BACKEND_IO);
    assert_int_equal(put(&s, "b", "2"), PERSIST_BACKEND_OK);
    assert_int_equal(control->n_objects(STORE), 2);
    close_store(&s);
}

static void fault__uncertain_has_happened(void **state)
{
    static const char *const settings[] = {"fail_op=any", "fail_times=0",
                                           "uncertain=true", NULL};
    struct store s;
    (void)state;
    control->reset(STORE);
    open_store(&s, settings);

    assert_int_equal(put(&s, "a", "1"), PERSIST_BACKEND_UNCERTAIN);
    assert_int_equal(put(&s, "a", "1"), PERSIST_BACKEND_UNCERTAIN);

    assert_int_equal(control->n_objects(STORE), 1);
    close_store(&s);
}

static void now__dates_what_is_written(void **state)
{
    struct store s;
    int64_t modified_us;
    (void)state;
    control->reset(STORE);
    open_store(&s, no_settings);

    control->set_now(STORE, 777);
    put(&s, "old", "x");
    control->set_now(STORE, 0);
    put(&s, "new", "x");

    head(&s, "old", &modified_us);
    assert_int_equal(modified_us, 777);
    head(&s, "new", &modified_us);
    assert_true(modified_us > INT64_C(1000000000000000));
    assert_int_equal(control->set_modified(STORE, "new", 5), 0);
    head(&s, "new", &modified_us);
    assert_int_equal(modified_us, 5);
    close_store(&s);
}

static void poke__damages_in_place(void **state)
{
    char text[8] = "";
    uint64_t len;
    (void)state;
    control->reset(STORE);
    control->set(STORE, "a", "abcdef", 6);

    assert_int_equal(control->poke(STORE, "a", 2, "XY", 2), 0);
    assert_int_equal(control->poke(STORE, "a", 5, "XY", 2),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(control->poke(STORE, "a", UINT64_MAX, "XY", 2),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(control->poke(STORE, "b", 0, "X", 1),
                     PERSIST_BACKEND_NOT_FOUND);

    assert_int_equal(control->get(STORE, "a", text, sizeof(text), &len), 0);
    assert_int_equal(len, 6);
    assert_string_equal(text, "abXYef");
}

static int32_t count_keys(void *ctx, const struct memory_object_view *object)
{
    strncat(ctx, object->key, 1);
    return strcmp(object->key, "c") == 0 ? 9 : 0;
}

static void each__walks_in_order_until_told(void **state)
{
    char keys[8] = "";
    (void)state;
    control->reset(STORE);
    for (const char *k = "dcba"; *k; k++)
        control->set(STORE, (const char[]){*k, '\0'}, k, 1);

    assert_int_equal(control->each(STORE, count_keys, keys), 9);

    assert_string_equal(keys, "abc");
}

static void copy__branches_objects_and_uploads(void **state)
{
    struct store s;
    struct persist_backend_begin_args args = {
        .struct_size = sizeof(args), .key = "u", .content_type = "text/plain"};
    static struct persist_backend_begin_result result;
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    (void)state;
    control->reset(STORE);
    control->reset("branch");
    control->set("branch", "gone", "x", 1);
    open_store(&s, no_settings);
    put(&s, "a", "x");
    descriptor->ops->upload_begin(s.handle, &s.call, &args, &result, &error);

    assert_int_equal(control->copy(STORE, "branch"), 0);
    assert_int_equal(control->remove(STORE, "a"), 0);

    assert_int_equal(control->n_objects("branch"), 1);
    assert_int_equal(control->n_uploads("branch"), 1);
    assert_int_equal(control->n_objects(STORE), 0);
    assert_int_equal(control->remove(STORE, "a"), PERSIST_BACKEND_NOT_FOUND);
    close_store(&s);
    control->reset("branch");
    assert_int_equal(control->n_uploads("branch"), 0);
}

/* The conformance program's own. */
static void host__crc32c_is_castagnolis(void **state)
{
    const struct persist_backend_host *host = host_services();
    static const char check[] = "123456789";
    uint8_t bytes[67];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 11);

    assert_int_equal(host->crc32c(0, check, 9), 0xe3069283);

    uint32_t whole = host->crc32c(0, bytes, sizeof(bytes)), by_byte = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        uint32_t part = host->crc32c(0, bytes, i);
        assert_int_equal(host->crc32c(part, bytes + i, sizeof(bytes) - i),
                         whole);
        by_byte = host->crc32c(by_byte, bytes + i, 1);
    }
    assert_int_equal(by_byte, whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hook__sees_each_op_twice),
        cmocka_unit_test(hook__before_refuses_without_effect),
        cmocka_unit_test(hook__after_loses_the_reply),
        cmocka_unit_test(fault__hits_the_calls_it_was_told),
        cmocka_unit_test(fault__uncertain_has_happened),
        cmocka_unit_test(now__dates_what_is_written),
        cmocka_unit_test(poke__damages_in_place),
        cmocka_unit_test(each__walks_in_order_until_told),
        cmocka_unit_test(copy__branches_objects_and_uploads),
        cmocka_unit_test(host__crc32c_is_castagnolis),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
