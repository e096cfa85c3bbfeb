/* SPDX-License-Identifier: Apache-2.0 */
#include "support/refresh.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fail.h"
#include "support/testkit.h"

#define S INT64_C(1000000)
#define LIFE (3600 * S)

/* A source whose values are numbers, and its clock. */
static struct {
    atomic_int_fast64_t now;
    atomic_int fetches;
    atomic_int freed;
    atomic_int failing; /* the code fetch answers; OK: it works */
    atomic_bool slow;   /* fetch waits until this is false */
    int64_t life;
} source;

static struct refresh *r;
static struct persist_backend_error err;

static int64_t now(void *ctx)
{
    (void)ctx;
    return atomic_load(&source.now);
}

static int32_t fetch(void *ctx, const struct persist_backend_call *call,
                     struct refresh_value *out, struct persist_backend_error *e)
{
    int *value;
    int n = atomic_fetch_add(&source.fetches, 1) + 1;

    (void)ctx, (void)call;
    while (atomic_load(&source.slow))
        (void)usleep(1000);
    if (atomic_load(&source.failing) != OK)
        return fail(e, atomic_load(&source.failing), "no value");
    value = malloc(sizeof(*value));
    *value = n;
    out->value = value;
    out->expires_us = source.life == REFRESH_NEVER
                          ? REFRESH_NEVER
                          : atomic_load(&source.now) + source.life;
    return OK;
}

static void free_value(void *ctx, void *value)
{
    (void)ctx;
    atomic_fetch_add(&source.freed, 1);
    free(value);
}

static int set_up(void **state)
{
    static const struct refresh_config config = {.host = &kit_host,
                                                 .early_us = 900 * S,
                                                 .must_us = 600 * S,
                                                 .retry_us = 60 * S,
                                                 .now_us = now,
                                                 .fetch = fetch,
                                                 .free_value = free_value};

    (void)state;
    kit_reset();
    memset(&source, 0, sizeof(source));
    atomic_store(&source.now, 1000000 * S);
    source.life = LIFE;
    err = (struct persist_backend_error){.struct_size = sizeof(err)};
    assert_int_equal(refresh_create(&config, &r), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    refresh_destroy(r);
    return 0;
}

/* The number of the fetch whose value is good now, or the code. */
static int get(void)
{
    struct persist_backend_call call = kit_call();
    uint64_t generation;
    int64_t expires;
    void *value;
    int32_t rc = refresh_get(r, &call, &value, &generation, &expires, &err);
    int n;

    if (rc != OK)
        return rc;
    n = *(int *)value;
    refresh_put(r, value);
    return n;
}

static void at(int64_t before_expiry)
{
    atomic_store(&source.now, 1000000 * S + LIFE - before_expiry);
}

static void value__is_kept_until_it_is_nearly_over(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&source.fetches), 0);
    assert_int_equal(get(), 1);
    at(901 * S);
    assert_int_equal(get(), 1);
    at(900 * S);
    assert_int_equal(get(), 2);
    assert_int_equal(get(), 2);
    assert_int_equal(atomic_load(&source.freed), 1);
}

static void value__without_an_end_is_fetched_once(void **state)
{
    (void)state;
    source.life = REFRESH_NEVER;
    assert_int_equal(get(), 1);
    at(-1000000 * S);
    assert_int_equal(get(), 1);
}

static void failure__is_tolerated_until_the_end(void **state)
{
    (void)state;
    assert_int_equal(get(), 1);
    atomic_store(&source.failing, PERSIST_BACKEND_TRANSIENT);
    at(800 * S);
    assert_int_equal(get(), 1);
    assert_int_equal(atomic_load(&source.fetches), 2);
    assert_int_equal(get(), 1); /* and not tried again at once */
    assert_int_equal(atomic_load(&source.fetches), 2);
    at(739 * S);
    assert_int_equal(get(), 1);
    assert_int_equal(atomic_load(&source.fetches), 3);
    at(1 * S);
    assert_int_equal(get(), 1);
    at(0);
    assert_int_equal(get(), PERSIST_BACKEND_TRANSIENT);
    assert_string_equal(err.message, "no value");
    atomic_store(&source.failing, OK);
    assert_int_equal(get(), 6);
}

static void failure__at_first_is_told(void **state)
{
    (void)state;
    atomic_store(&source.failing, PERSIST_BACKEND_AUTH);
    assert_int_equal(get(), PERSIST_BACKEND_AUTH);
    atomic_store(&source.failing, OK);
    assert_int_equal(get(), 2);
}

/* A source that gives what is nearly over (an outage) is not asked each time.
 */
static void source__without_a_better_value_is_left_alone(void **state)
{
    (void)state;
    source.life = 300 * S;
    assert_int_equal(get(), 1);
    assert_int_equal(get(), 1);
    source.life = 800 * S;
    atomic_fetch_add(&source.now, 60 * S);
    assert_int_equal(get(), 2);
    assert_int_equal(get(), 2);
}

static void invalidate__fetches_once(void **state)
{
    struct persist_backend_call call = kit_call();
    uint64_t first, second;
    void *value;

    (void)state;
    assert_int_equal(refresh_get(r, &call, &value, &first, NULL, &err), OK);
    refresh_invalidate(r, first);
    refresh_put(r, value);
    assert_int_equal(get(), 2);
    refresh_invalidate(r, first); /* by somebody who is late */
    assert_int_equal(refresh_get(r, &call, &value, &second, NULL, &err), OK);
    assert_true(second > first);
    assert_int_equal(*(int *)value, 2);
    refresh_put(r, value);
}

static void value__that_is_held_outlives_the_next(void **state)
{
    struct persist_backend_call call = kit_call();
    uint64_t generation;
    void *held;

    (void)state;
    assert_int_equal(refresh_get(r, &call, &held, &generation, NULL, &err), OK);
    refresh_invalidate(r, generation);
    assert_int_equal(get(), 2);
    assert_int_equal(atomic_load(&source.freed), 0);
    assert_int_equal(*(int *)held, 1);
    refresh_put(r, held);
    assert_int_equal(atomic_load(&source.freed), 1);
}

static void *get_in_thread(void *out)
{
    *(int *)out = get();
    return NULL;
}

static void wait_for_fetches(int n)
{
    while (atomic_load(&source.fetches) < n)
        (void)usleep(1000);
}

static void refresher__is_one(void **state)
{
    pthread_t threads[8];
    int results[8];

    (void)state;
    atomic_store(&source.slow, true);
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, get_in_thread, &results[i]), 0);
    wait_for_fetches(1);
    (void)usleep(30000);
    atomic_store(&source.slow, false);
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(results[i], 1);
    }
    assert_int_equal(atomic_load(&source.fetches), 1);
}

struct asker {
    pthread_t thread;
    struct persist_backend_error err;
    int32_t rc;
};

static void *ask(void *asker)
{
    struct asker *a = asker;
    struct persist_backend_call call = kit_call();
    void *value = NULL;

    a->rc = refresh_get(r, &call, &value, NULL, NULL, &a->err);
    return NULL;
}

/* Eight ask, of whom one fetches, which fails. How many fetches there were. */
static int fail_all(int32_t code)
{
    struct asker askers[8];

    atomic_store(&source.failing, code);
    atomic_store(&source.slow, true);
    for (int i = 0; i < 8; i++) {
        askers[i].err =
            (struct persist_backend_error){.struct_size = sizeof(err)};
        assert_int_equal(
            pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    wait_for_fetches(1);
    (void)usleep(300000);
    atomic_store(&source.slow, false);
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].rc, code);
        assert_string_equal(askers[i].err.message, "no value");
    }
    return atomic_load(&source.fetches);
}

/* A source that takes its time to fail: not eight times, for the last one. */
static void failure__is_told_to_all_who_waited(void **state)
{
    (void)state;
    assert_in_range(fail_all(PERSIST_BACKEND_AUTH), 1, 4);
    atomic_store(&source.failing, OK);
    assert_true(get() > 1);
}

static void failure__of_one_call_alone_is_not(void **state)
{
    (void)state;
    assert_int_equal(fail_all(PERSIST_BACKEND_CANCELLED), 8);
}

static void others__go_on_with_the_old_value(void **state)
{
    pthread_t thread;
    int result;

    (void)state;
    assert_int_equal(get(), 1);
    at(800 * S);
    atomic_store(&source.slow, true);
    assert_int_equal(pthread_create(&thread, NULL, get_in_thread, &result), 0);
    wait_for_fetches(2);
    assert_int_equal(get(), 1); /* at once, while the other waits */
    atomic_store(&source.slow, false);
    (void)pthread_join(thread, NULL);
    assert_int_equal(result, 2);
    assert_int_equal(get(), 2);
}

/* So near to its end it could be over before the service looks at it. */
static void others__wait_where_the_old_value_is_nearly_over(void **state)
{
    pthread_t threads[2];
    int results[2] = {0};

    (void)state;
    assert_int_equal(get(), 1);
    at(500 * S);
    atomic_store(&source.slow, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, get_in_thread, &results[i]), 0);
        wait_for_fetches(2);
    }
    (void)usleep(30000);
    atomic_store(&source.slow, false);
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(results[i], 2);
    }
    assert_int_equal(atomic_load(&source.fetches), 2);
}

static void waiting__can_be_cancelled(void **state)
{
    struct persist_backend_call call = kit_call();
    pthread_t thread;
    void *value;
    int result;

    (void)state;
    atomic_store(&source.slow, true);
    assert_int_equal(pthread_create(&thread, NULL, get_in_thread, &result), 0);
    wait_for_fetches(1);
    call.present = PERSIST_BACKEND_CALL_DEADLINE;
    call.deadline_ns = kit_now() + 30 * MS;
    assert_int_equal(refresh_get(r, &call, &value, NULL, NULL, &err),
                     PERSIST_BACKEND_TIMEOUT);
    atomic_store(&kit_cancelled, true);
    assert_int_equal(get(), PERSIST_BACKEND_CANCELLED);
    atomic_store(&source.slow, false);
    (void)pthread_join(thread, NULL);
    assert_int_equal(result, 1);
}

int main(void)
{
#define R_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        R_TEST(value__is_kept_until_it_is_nearly_over),
        R_TEST(value__without_an_end_is_fetched_once),
        R_TEST(failure__is_tolerated_until_the_end),
        R_TEST(failure__at_first_is_told),
        R_TEST(source__without_a_better_value_is_left_alone),
        R_TEST(invalidate__fetches_once),
        R_TEST(value__that_is_held_outlives_the_next),
        R_TEST(refresher__is_one),
        R_TEST(failure__is_told_to_all_who_waited),
        R_TEST(failure__of_one_call_alone_is_not),
        R_TEST(others__go_on_with_the_old_value),
        R_TEST(others__wait_where_the_old_value_is_nearly_over),
        R_TEST(waiting__can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
