/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transfer/upload_pool.h"

#define IN_FLIGHT 64
#define FEW 4

static const struct upload_what what = {
    .codec = CODEC_ZSTD, .level = 1, .frame_size = 1 << 16};

/* How many of n kits with such buffers are kept until the next time. */
static unsigned count_kept(unsigned n, size_t buffer)
{
    struct upload_pool *pool = upload_pool_create();
    struct kit *first[IN_FLIGHT + 1], *again[IN_FLIGHT + 1];
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        first[i] = upload_pool_take(pool, &what);
        assert_non_null(first[i]);
        assert_true(
            upload_make_room(&first[i]->out, &first[i]->out_cap, buffer));
    }
    for (unsigned i = 0; i < n; i++)
        upload_pool_put(pool, first[i]);
    for (unsigned i = 0; i < n; i++) {
        again[i] = upload_pool_take(pool, &what);
        /* A new one has no buffer, nor has one whose buffer was too large. */
        kept += again[i]->out_cap > 0 || again[i]->grown;
    }
    for (unsigned i = 0; i < n; i++)
        upload_pool_put(pool, again[i]);
    upload_pool_destroy(pool);
    return kept;
}

static void pool__keeps_small_kits_for_all_in_flight(void **state)
{
    (void)state;
    assert_int_equal(count_kept(IN_FLIGHT, 5000), IN_FLIGHT);
    assert_int_equal(count_kept(IN_FLIGHT + 1, 5000), IN_FLIGHT);
}

static void pool__keeps_few_large_kits(void **state)
{
    (void)state;
    assert_int_equal(count_kept(IN_FLIGHT, 100000), FEW);
    assert_int_equal(count_kept(IN_FLIGHT, 1 << 20), FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__keeps_small_kits_for_all_in_flight),
        cmocka_unit_test(pool__keeps_few_large_kits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
