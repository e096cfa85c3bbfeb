/* SPDX-License-Identifier: Apache-2.0 */
/* Against published values; that zstd agrees is format/zstd_raw_test.c's. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/xxh64.h"

static uint64_t sum_of(const void *data, size_t len, size_t step)
{
    struct xxh64 x;

    xxh64_init(&x);
    for (size_t at = 0; at < len; at += step)
        xxh64_update(&x, (const char *)data + at,
                     len - at < step ? len - at : step);
    return xxh64_digest(&x);
}

static void check__published_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t sum;
    } known[] = {
        {"", UINT64_C(0xef46db3751d8e999)},
        {"a", UINT64_C(0xd24ec4f1a98c6e5b)},
        {"abc", UINT64_C(0x44bc2cf5ad770999)},
        {"Nobody inspects the spammish repetition",
         UINT64_C(0xfbcea83c8a378bf1)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_true(sum_of(known[i].text, strlen(known[i].text), 64) ==
                    known[i].sum);
}

static void check__pieces_do_not_matter(void **state)
{
    uint8_t data[300];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + (i >> 3));
    for (size_t len = 0; len <= sizeof data; len += 7) {
        uint64_t whole = sum_of(data, len, sizeof data);

        for (size_t step = 1; step < 70; step++)
            assert_true(sum_of(data, len, step) == whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check__published_values),
        cmocka_unit_test(check__pieces_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
