/* SPDX-License-Identifier: Apache-2.0 */
/* The services a plugin gets, used as a careless plugin would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backend/fake_test.h"
#include "backend/host.h"

static struct fake f;
static const struct persist_backend_host *h;

static int setup(void **state)
{
    (void)state;
    fake_setup(&f);
    fake_option(&f, "region", PERSIST_BACKEND_STRING, 0, 0);
    fake_secret(&f, "token", "s3cr3t-bytes");
    fake_option(&f, "unset", PERSIST_BACKEND_SECRET, 0, 0);
    fake_open(&f);
    h = f.host;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_teardown(&f);
    return 0;
}

static void host__states_its_version(void **state)
{
    (void)state;
    assert_ptr_equal(h, host_table());
    assert_int_equal(h->struct_size, sizeof(*h));
    assert_int_equal(h->abi_major, PERSIST_BACKEND_ABI_MAJOR);
    assert_int_equal(h->abi_minor, PERSIST_BACKEND_ABI_MINOR);
    assert_true(strlen(h->version) > 0);
    assert_null(h->get_extension("persist.nothing/1"));
}

static void alloc__counts_against_the_budget(void **state)
{
    (void)state;
    uint64_t before = budget_used(f.budget);
    void *a = h->alloc(f.host_store, 600000);
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % _Alignof(max_align_t), 0);
    memset(a, 1, 600000);
    assert_true(budget_used(f.budget) >= before + 600000);

    assert_null(h->alloc(f.host_store, 600000));
    assert_null(h->alloc(f.host_store, UINT64_MAX));
    assert_null(h->alloc(f.host_store, UINT64_MAX - 8));
    h->free(f.host_store, a);
    assert_int_equal(budget_used(f.budget), before);
    a = h->alloc(f.host_store, 600000);
    assert_non_null(a);
    h->free(f.host_store, a);
    h->free(f.host_store, NULL);
}

static void alloc__of_the_process_is_not_counted(void **state)
{
    (void)state;
    void *a = h->alloc(NULL, 5000000);
    assert_non_null(a);
    assert_int_equal(budget_used(f.budget), 0);
    h->free(NULL, a);
    a = h->alloc(f.host_store, 0);
    assert_non_null(a);
    h->free(f.host_store, a);
}

static void free__of_foreign_memory_is_reported_and_leaked(void **state)
{
    char *foreign = calloc(1, 256);

    (void)state;
    assert_non_null(foreign);
    h->free(f.host_store, foreign + 128);
    assert_non_null(strstr(f.logged, "not the host's"));
    free(foreign);
}

static void log__carries_backend_and_store(void **state)
{
    (void)state;
    assert_int_equal(h->log_enabled(f.host_store, PERSIST_BACKEND_LOG_DEBUG),
                     1);
    assert_int_equal(h->log_enabled(NULL, PERSIST_BACKEND_LOG_ERROR), 0);
    h->log(f.host_store, PERSIST_BACKEND_LOG_WARN, "token s3cr3t-bytes seen");
    h->log(f.host_store, 77, "odd level");
    h->log(f.host_store, PERSIST_BACKEND_LOG_WARN, NULL);
    h->log(NULL, PERSIST_BACKEND_LOG_WARN, "to nobody");

    assert_non_null(strstr(f.logged, "level=warn"));
    assert_non_null(strstr(f.logged, "backend=fake"));
    assert_non_null(strstr(f.logged, "store=archive"));
    assert_non_null(strstr(f.logged, "level=debug"));
    assert_null(strstr(f.logged, "s3cr3t"));
    assert_null(strstr(f.logged, "nobody"));
}

static void secret__is_given_for_its_key_alone(void **state)
{
    char out[16];
    uint64_t len = 0;

    (void)state;
    memset(out, 'x', sizeof(out));
    assert_int_equal(h->secret(f.host_store, "token", out, 16, &len), 0);
    assert_int_equal(len, 12);
    assert_string_equal(out, "s3cr3t-bytes");

    memset(out, 'x', sizeof(out));
    assert_int_equal(h->secret(f.host_store, "token", out, 12, &len), 0);
    assert_memory_equal(out, "s3cr3t-bytesxxxx", 16);
    assert_int_equal(h->secret(f.host_store, "token", out, 11, &len),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(len, 12);
    assert_memory_equal(out, "s3cr3t-bytesxxxx", 16);
    assert_int_equal(h->secret(f.host_store, "token", NULL, 0, &len),
                     PERSIST_BACKEND_INVALID);

    assert_int_equal(h->secret(f.host_store, "unset", out, 16, &len),
                     PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(h->secret(f.host_store, "region", out, 16, &len),
                     PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(h->secret(f.host_store, "nothing", out, 16, &len),
                     PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(h->secret(NULL, "token", out, 16, &len),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(h->secret(f.host_store, NULL, out, 16, &len),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(h->secret(f.host_store, "token", out, 16, NULL),
                     PERSIST_BACKEND_INVALID);
}

static void numbers__are_what_they_say(void **state)
{
    uint8_t a[16] = {0};
    uint8_t b[16] = {0};

    (void)state;
    assert_int_equal(h->crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(h->crc32c(h->crc32c(0, "1234", 4), "56789", 5),
                     0xe3069283);
    assert_int_equal(h->random(a, 16), 0);
    assert_int_equal(h->random(b, 16), 0);
    assert_memory_not_equal(a, b, 16);
    assert_int_equal(h->random(NULL, 16), PERSIST_BACKEND_INVALID);
    uint64_t before = h->monotonic_ns();
    assert_true(h->monotonic_ns() >= before);
    assert_true(h->wall_us() > INT64_C(1700000000000000));
}

static void calls__of_nobody_are_not_cancelled(void **state)
{
    struct persist_backend_call call = {.struct_size = sizeof(call)};

    (void)state;
    assert_int_equal(h->is_cancelled(NULL), 0);
    assert_int_equal(h->cancel_fd(NULL), -1);
    assert_int_equal(h->is_cancelled(&call), 0);
    assert_int_equal(h->cancel_fd(&call), -1);
}

static void look_at_instance(struct fake *fake,
                             const struct persist_backend_call *call)
{
    assert_int_equal(h->cancel_fd(call), cancel_fd(&fake->instance));
    cancel_set(&fake->instance);
    assert_int_equal(h->is_cancelled(call), 1);
}

static void calls__see_the_instance_too(void **state)
{
    struct persist_op orphan;
    const struct backend_put put = {.key = "k", .data = "", .if_absent = true};

    (void)state;
    assert_int_equal(op_init(&orphan, NULL), 0);
    f.during = look_at_instance;
    assert_int_equal(backend_put(f.store, &orphan, &put, NULL, &f.err),
                     PERSIST_OK);
    op_finish(&orphan);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(host__states_its_version),
        TEST(alloc__counts_against_the_budget),
        TEST(alloc__of_the_process_is_not_counted),
        TEST(free__of_foreign_memory_is_reported_and_leaked),
        TEST(log__carries_backend_and_store),
        TEST(secret__is_given_for_its_key_alone),
        TEST(numbers__are_what_they_say),
        TEST(calls__of_nobody_are_not_cancelled),
        TEST(calls__see_the_instance_too),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
