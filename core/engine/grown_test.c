/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program and a library that were built against different headers.
 *
 * Built twice (grown.cmake): against today's headers, with an engine whose
 * structs all have a member more, and the other way round (GROWN).  Either way
 * everything works, and nothing is written behind a struct of the program's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <persist/async.h>
#include <persist/persist.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64

struct program {
    struct persist *p;
    struct persist_store *store;
};

static struct persist_error err;

static int setup(void **state)
{
    static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR
                                       "/tests/backends"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct program *of = calloc(1, sizeof *of);
    struct persist_store_builder *b;

    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.state_dir = "";
    *state = of;
    if (!of || persist_create(&o, &of->p, &err) ||
        persist_store_builder_create(of->p, "memory", &b, &err))
        return -1;
    persist_store_builder_set(b, "store", "grown");
    return persist_store_builder_build(b, &of->store, &err);
}

static int teardown(void **state)
{
    struct program *of = *state;

    persist_close(of->store);
    persist_destroy(of->p);
    free(of);
    return 0;
}

/* len bytes of a struct that begins with its size, and a guard behind it. */
static void *guarded(const void *initial, size_t len)
{
    unsigned char *bytes = malloc(len + GUARD);

    assert_non_null(bytes);
    memcpy(bytes, initial, len);
    memset(bytes + len, 0xa5, GUARD);
    return bytes;
}

/* Its size is what it was, and the guard whole. */
static void expect_kept(const void *sized, size_t len)
{
    const unsigned char *bytes = sized;
    uint32_t size;

    memcpy(&size, sized, sizeof size);
    assert_int_equal(size, len);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(bytes[len + i], 0xa5);
}

static void address__is_parsed_and_formatted(void **state)
{
    const struct persist_address initial = PERSIST_ADDRESS_INIT;
    struct persist_address *a = guarded(&initial, sizeof *a);
    char text[64];

    (void)state;
    assert_int_equal(persist_address_parse("main:a/b@12", a, &err), 0);
    expect_kept(a, sizeof *a);
    assert_string_equal(a->session, "b");
    assert_int_equal(a->index, 12);
    assert_int_equal(persist_address_format(a, text, sizeof text, &err), 0);
    assert_string_equal(text, "main:a/b@12");
#ifdef GROWN
    assert_int_equal(a->grown[1], 0);
    a->grown[1] = 1; /* it would be another address, and who knows which */
    assert_int_equal(persist_address_format(a, text, sizeof text, &err),
                     PERSIST_E_UNSUPPORTED);
#endif
    free(a);
}

static void progress__is_read(void **state)
{
    const struct persist_progress initial = PERSIST_PROGRESS_INIT;
    struct persist_progress *now = guarded(&initial, sizeof *now);
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct program *of = *state;

    assert_int_equal(persist_op_create(of->p, &o.op, &err), 0);
    assert_int_equal(
        persist_save_buffer(of->store, "p", "state", 5, &o, NULL, &err), 0);

    persist_op_progress(o.op, now);

    expect_kept(now, sizeof *now);
    assert_int_equal(now->payload_bytes, 5);
    assert_true(now->stored_bytes > 0);
    persist_op_destroy(o.op);
    free(now);
}

static void batch__is_saved_item_by_item(void **state)
{
    enum { N = 5 };
    struct persist_batch_item initial[N], *items;
    struct program *of = *state;

    for (int i = 0; i < N; i++) {
        initial[i] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
        initial[i].address = i == 2 ? "b@7" : "b";
        initial[i].data = "state";
        initial[i].len = (size_t)i;
    }
    items = guarded(initial, sizeof initial);

    assert_int_equal(persist_save_batch(of->store, items, N, NULL, &err),
                     PERSIST_E_INVALID);

    for (int i = 0; i < N; i++) {
        assert_int_equal(items[i].struct_size, sizeof items[i]);
        assert_int_equal(items[i].status, i == 2 ? PERSIST_E_INVALID : 0);
        if (i != 2)
            assert_int_equal(items[i].metadata->uncompressed_size, i);
    }
    persist_batch_finish(items, N);
    assert_null(items[N - 1].metadata);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(((unsigned char *)(items + N))[i], 0xa5);
    free(items);
}

#ifdef PERSIST_ASYNC
static void completion__is_taken_and_finished(void **state)
{
    const struct persist_completion initial = PERSIST_COMPLETION_INIT;
    struct persist_completion *c = guarded(&initial, sizeof *c);
    struct program *of = *state;
    struct persist_queue *q;

    assert_int_equal(persist_queue_create(of->p, &q, &err), 0);
    assert_int_equal(
        persist_save_buffer_async(of->store, "q", "state", 5, NULL, q, c, &err),
        0);

    assert_int_equal(persist_queue_next(q, 30000, c, &err), 1);

    expect_kept(c, sizeof *c);
    assert_int_equal(c->status, 0);
    assert_ptr_equal(c->user, c);
    assert_int_equal(c->metadata->uncompressed_size, 5);
    persist_completion_finish(c);
    expect_kept(c, sizeof *c);
    assert_null(c->metadata);
    persist_queue_destroy(q);
    free(c);
}

/* The rows are the library's, and as far apart as it says. */
static void rows__are_as_far_apart_as_they_say(void **state)
{
    struct persist_completion c = PERSIST_COMPLETION_INIT;
    struct program *of = *state;
    struct persist_queue *q;

    for (int i = 0; i < 3; i++)
        assert_int_equal(persist_save_buffer(of->store, "r", "state", (size_t)i,
                                             NULL, NULL, &err),
                         0);
    assert_int_equal(persist_queue_create(of->p, &q, &err), 0);
    assert_int_equal(
        persist_list_async(of->store, "r/default", NULL, q, NULL, &err), 0);
    assert_int_equal(persist_queue_next(q, 30000, &c, &err), 1);

    assert_int_equal(c.rows.n_entries, 3);
    for (size_t i = 0; i < 3; i++) {
        const char *first = (const char *)c.rows.entries;
        const struct persist_entry *row =
            (const void *)(first + i * c.rows.entries->struct_size);

        assert_int_equal(row->struct_size, c.rows.entries->struct_size);
        assert_int_equal(row->index, 2 - i);
    }
    persist_completion_finish(&c);
    persist_queue_destroy(q);
}
#endif

/* Calls whose structs the library only reads, or hands out. */
static int take_all(void *ctx, const void *data, size_t len,
                    struct persist_error *sink_err)
{
    (void)sink_err;
    assert_memory_equal(data, "state", len);
    *(size_t *)ctx += len;
    return 0;
}

static void options__are_read(void **state)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_list_options list = PERSIST_LIST_OPTIONS_INIT;
    const struct persist_entry *entry;
    struct persist_listing *listing;
    struct program *of = *state;
    size_t len = 0;

    sink.write = take_all;
    sink.ctx = &len;
    assert_int_equal(
        persist_save_buffer(of->store, "o", "state", 5, NULL, NULL, &err), 0);
    assert_int_equal(persist_restore(of->store, "o", &sink, &o, NULL, &err), 0);
    assert_int_equal(len, 5);
    assert_int_equal(
        persist_list(of->store, "o/default", &list, &listing, &err), 0);
    assert_int_equal(persist_listing_next(listing, &entry, &err), 1);
#ifdef GROWN
    assert_true(entry->struct_size < sizeof *entry);
#else
    assert_true(entry->struct_size > sizeof *entry);
#endif
    assert_string_equal(entry->agent, "o");
    persist_listing_close(listing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address__is_parsed_and_formatted),
        cmocka_unit_test(progress__is_read),
        cmocka_unit_test(batch__is_saved_item_by_item),
#ifdef PERSIST_ASYNC
        cmocka_unit_test(completion__is_taken_and_finished),
        cmocka_unit_test(rows__are_as_far_apart_as_they_say),
#endif
        cmocka_unit_test(options__are_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
