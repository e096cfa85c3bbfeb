/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gcs/sessions.h"

static long blocks;
static bool no_memory;

static void *count_alloc(void *store, uint64_t len)
{
    (void)store;
    if (no_memory)
        return NULL;
    blocks++;
    return malloc((size_t)len);
}

static void count_free(void *store, void *memory)
{
    (void)store;
    blocks -= memory != NULL;
    free(memory);
}

static const struct persist_backend_host host = {
    .struct_size = sizeof(host), .alloc = count_alloc, .free = count_free};

static void session__is_found_again(void **state)
{
    struct gcs_sessions *t = NULL;
    struct gcs_session *one;

    (void)state;
    assert_int_equal(sessions_create(&host, NULL, &t), PERSIST_BACKEND_OK);
    one = sessions_take(t, "a:1");
    assert_false(one->resumable.known);
    one->resumable.known = true;
    one->resumable.held = 7;
    sessions_give(t, one);
    one = sessions_take(t, "a:2");
    assert_false(one->resumable.known);
    sessions_give(t, one);
    one = sessions_take(t, "a:1");
    assert_int_equal(one->resumable.held, 7);
    sessions_give(t, one);
    sessions_destroy(t);
}

/* A thousand come and go; those with a tail stay. */
static void table__stays_small_and_keeps_tails(void **state)
{
    struct gcs_sessions *t = NULL;
    struct gcs_session *kept;

    (void)state;
    assert_int_equal(sessions_create(&host, NULL, &t), PERSIST_BACKEND_OK);
    kept = sessions_take(t, "a:kept");
    assert_int_equal(session_keep_tail(t, kept, "tail", 262144, 4),
                     PERSIST_BACKEND_OK);
    sessions_give(t, kept);
    for (int i = 0; i < 1000; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "a:%d", i);
        struct gcs_session *one = sessions_take(t, id);
        one->resumable.known = true;
        sessions_give(t, one);
    }
    kept = sessions_take(t, "a:kept");
    assert_true(kept->has_tail);
    assert_memory_equal(kept->tail, "tail", 4);
    sessions_give(t, kept);
    kept = sessions_take(t, "a:1");
    assert_false(kept->resumable.known); /* forgotten */
    sessions_give(t, kept);
    kept = sessions_take(t, "a:999");
    assert_true(kept->resumable.known);
    sessions_give(t, kept);
    sessions_destroy(t);
    assert_int_equal(blocks, 0);
}

static void tail__is_replaced_and_given_back(void **state)
{
    struct gcs_sessions *t = NULL;
    struct gcs_session *one;

    (void)state;
    assert_int_equal(sessions_create(&host, NULL, &t), PERSIST_BACKEND_OK);
    one = sessions_take(t, "a:1");
    assert_int_equal(session_keep_tail(t, one, "abc", 0, 3), 0);
    assert_int_equal(session_keep_tail(t, one, "defg", 0, 4), 0);
    assert_int_equal(blocks, 1);
    no_memory = true;
    assert_int_equal(session_keep_tail(t, one, "x", 0, 1),
                     PERSIST_BACKEND_MEMORY);
    no_memory = false;
    assert_memory_equal(one->tail, "defg", 4);
    assert_int_equal(session_keep_tail(t, one, NULL, 0, 0), 0);
    assert_true(one->has_tail);
    assert_int_equal(blocks, 0);
    sessions_give(t, one);
    sessions_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session__is_found_again),
        cmocka_unit_test(table__stays_small_and_keeps_tails),
        cmocka_unit_test(tail__is_replaced_and_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
