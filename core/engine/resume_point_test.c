/* SPDX-License-Identifier: Apache-2.0 */
/* A file comes back as it was, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/resume_point.h"

#define ID "018f3c1e-5a70-7c3d-9b1e-0123456789ab"

static struct resume_owner owner;
static struct resume_point point;
static struct buf bytes;

static int setup(void **state)
{
    (void)state;
    resume_owner_init(&owner);
    resume_point_init(&point);
    buf_init(&bytes, 1 << 20);
    buf_puts(&owner.store, "s3:bucket");
    strcpy(owner.prefix, "a/default/");
    buf_puts(&owner.source, "file:/x");
    point.updated_us = 1;
    point.claim_us = -2;
    point.claim_boot_ns = 3;
    strcpy(point.boot_id, "boot");
    point.index = 4;
    point.commit_sent = true;
    strcpy(point.snapshot_id, ID);
    strcpy(point.time, "2026-11-23T04:19:24.642210Z");
    point.source_size = 5;
    point.source_mtime_ns = -6;
    point.part_size = 7;
    buf_puts(&point.header, "header");
    strcpy(point.upload_id, "https://upload");
    for (uint32_t i = 1; i <= 3; i++) {
        const struct backend_receipt r = {.offset = i * 10ULL,
                                          .len = 10,
                                          .number = i,
                                          .crc32c = i * 3,
                                          .receipt_len = i - 1,
                                          .receipt = {'a', 'b'}};
        assert_true(resume_point_add(&point, &r));
    }
    assert_true(resume_encode(&owner, &point, &bytes));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    resume_owner_finish(&owner);
    resume_point_finish(&point);
    buf_finish(&bytes);
    return 0;
}

static bool decodes(const void *data, size_t len, bool same)
{
    struct resume_owner o;
    struct resume_point p;
    struct buf again;

    resume_owner_init(&o);
    resume_point_init(&p);
    buf_init(&again, 1 << 20);
    bool good = resume_decode(data, len, &o, &p);
    if (good && same) {
        assert_true(resume_owner_equal(&o, &owner));
        assert_true(resume_encode(&o, &p, &again));
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, again.len);
    }
    resume_owner_finish(&o);
    resume_point_finish(&p);
    buf_finish(&again);
    return good;
}

static void point__comes_back_as_it_was(void **state)
{
    (void)state;
    assert_true(decodes(bytes.data, bytes.len, true));
}

static void point__cut_or_longer_is_none(void **state)
{
    (void)state;
    for (size_t len = 0; len < bytes.len; len++)
        assert_false(decodes(bytes.data, len, false));
    buf_putc(&bytes, 'x');
    assert_false(decodes(bytes.data, bytes.len, false));
}

/* Any one byte may be anything: it is refused, or is another plausible point,
 * and nothing is read past the end (the sanitizer looks). */
static void point__any_byte_may_be_anything(void **state)
{
    char *copy = malloc(bytes.len);

    (void)state;
    assert_non_null(copy);
    for (size_t i = 0; i < bytes.len; i++) {
        for (int flip = 1; flip < 256; flip <<= 1) {
            memcpy(copy, bytes.data, bytes.len);
            copy[i] = (char)(copy[i] ^ flip);
            decodes(copy, bytes.len, false);
        }
        memset(copy + i, 0xff, bytes.len - i);
        decodes(copy, bytes.len, false);
    }
    free(copy);
}

static void point__must_be_plausible(void **state)
{
    struct buf other;

    (void)state;
    buf_init(&other, 1 << 20);
    point.index = PERSIST_INDEX_MAX + 1;
    resume_encode(&owner, &point, &other);
    assert_false(decodes(other.data, other.len, false));
    point.index = 0;
    point.snapshot_id[0] = 'X';
    buf_clear(&other);
    resume_encode(&owner, &point, &other);
    assert_false(decodes(other.data, other.len, false));
    point.snapshot_id[0] = '0';
    point.upload_id[0] = '\0';
    buf_clear(&other);
    resume_encode(&owner, &point, &other);
    assert_false(decodes(other.data, other.len, false));
    buf_finish(&other);
}

static void name__is_of_store_session_and_source(void **state)
{
    char name[RESUME_NAME_CAP], other[RESUME_NAME_CAP];
    struct resume_owner o;

    (void)state;
    resume_owner_name(&owner, name);
    resume_owner_init(&o);
    buf_puts(&o.store, "s3:bucket");
    strcpy(o.prefix, "a/default/");
    buf_puts(&o.source, "file:/x");
    resume_owner_name(&o, other);
    assert_string_equal(name, other);
    assert_true(resume_owner_equal(&owner, &o));
    o.prefix[0] = 'b';
    resume_owner_name(&o, other);
    assert_string_not_equal(name, other);
    assert_false(resume_owner_equal(&owner, &o));
    resume_owner_finish(&o);
}

static uint64_t boot_ns(void *ctx)
{
    return ((const uint64_t *)ctx)[0];
}

static int64_t wall_us(void *ctx)
{
    return (int64_t)((const uint64_t *)ctx)[1];
}

static void age__believes_the_clock_of_this_boot_first(void **state)
{
    uint64_t now[2] = {5000, 70};
    const struct clock clock = {
        .boot_ns = boot_ns, .wall_us = wall_us, .ctx = now};

    (void)state;
    point.claim_us = 60;
    point.claim_boot_ns = 1000;
    assert_int_equal(resume_claim_age_ns(&point, &clock), 10000);
    point.claim_us = 80; /* the wall clock went back */
    assert_int_equal(resume_claim_age_ns(&point, &clock), UINT64_MAX);
    resume_boot_id(point.boot_id);
    if (point.boot_id[0])
        assert_int_equal(resume_claim_age_ns(&point, &clock), 4000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(point__comes_back_as_it_was),
        TEST(point__cut_or_longer_is_none),
        TEST(point__any_byte_may_be_anything),
        TEST(point__must_be_plausible),
        TEST(name__is_of_store_session_and_source),
        TEST(age__believes_the_clock_of_this_boot_first),
    };
    return cmocka_run_group_tests_name("resume_point", tests, NULL, NULL);
}
