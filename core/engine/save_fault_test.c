/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that fails: every request of a save, a delete and a cleanup, one at a
 * time, with every code, before its effect and after it.  Whatever happens:
 * what was acknowledged can be read, what failed for certain cannot be seen,
 * and the session goes on.
 */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEN 150000

static const char *const small_puts[] = {"put_max", "64K", "part_max", "64K",
                                         NULL};

static const int32_t codes[] = {
    PERSIST_BACKEND_AUTH,         PERSIST_BACKEND_DENIED,
    PERSIST_BACKEND_THROTTLED,    PERSIST_BACKEND_TRANSIENT,
    PERSIST_BACKEND_TIMEOUT,      PERSIST_BACKEND_NO_SPACE,
    PERSIST_BACKEND_UNSUPPORTED,  PERSIST_BACKEND_MEMORY,
    PERSIST_BACKEND_IO,           PERSIST_BACKEND_UNCERTAIN,
    PERSIST_BACKEND_NOT_DURABLE,  PERSIST_BACKEND_INTERNAL,
    PERSIST_BACKEND_CORRUPT,      PERSIST_BACKEND_INVALID,
    PERSIST_BACKEND_PRECONDITION, -77};

/*
 * What a code says after the effect is a lie unless it leaves it open, as a bug
 * of the backend does.
 * TRANSIENT and TIMEOUT should not come after an effect, and are forgiven where
 * the store can still be asked.
 */
static bool may_follow_effect(int32_t code, uint32_t times)
{
    return code == PERSIST_BACKEND_UNCERTAIN ||
           code == PERSIST_BACKEND_NOT_DURABLE ||
           code == PERSIST_BACKEND_INTERNAL || code == -77 ||
           (times == 1 && (code == PERSIST_BACKEND_TRANSIENT ||
                           code == PERSIST_BACKEND_TIMEOUT));
}

static bool may_precede_effect(int32_t code)
{
    return code != PERSIST_BACKEND_NOT_DURABLE;
}

static int save(struct rig *r, const uint8_t *data, size_t len,
                struct persist_metadata **m, struct persist_error *err)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;

    o.frame_size = 65536;
    return persist_save_buffer(r->store, "a", data, len, &o, m, err);
}

/* How many snapshots of the session can be restored; each must be whole. */
static int count_snapshots(struct rig *r, const uint8_t *data, size_t len)
{
    struct persist_listing *listing = NULL;
    const struct persist_entry *entry;
    struct persist_error err = {0};
    int rc, n = 0;

    rc = persist_list(r->store, "a/default", NULL, &listing, &err);
    if (rc == PERSIST_E_NOT_FOUND)
        return 0;
    assert_ok(rc, &err);
    while ((rc = persist_listing_next(listing, &entry, &err)) == 1) {
        char address[40];

        snprintf(address, sizeof address, "a@%u", (unsigned)entry->index);
        rig_expect(r, address, data, len);
        n++;
    }
    assert_ok(rc, &err);
    persist_listing_close(listing);
    return n;
}

static bool is_doubt(int rc)
{
    return rc == PERSIST_E_UNCERTAIN || rc == PERSIST_E_NOT_DURABLE;
}

/* One save with the n-th request of any kind failing.  False when the save
 * makes fewer requests than that. */
static bool try_save(size_t len, uint32_t at, uint32_t times, int32_t code,
                     uint32_t phase)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(len, 1);
    struct rig r;
    bool reached;
    int rc, n;

    rig_open(&r, 0, small_puts);
    rig_fault(&r, (struct rig_fault){.op = "any",
                                     .at = at,
                                     .times = times,
                                     .phase = phase,
                                     .status = code});
    rc = save(&r, data, len, &m, &err);
    reached = r.faults[0].seen >= at;
    rig_no_faults(&r);
    n = count_snapshots(&r, data, len);
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_DURABLE) {
        assert_int_equal(n, 1);
        assert_non_null(m);
    } else if (!is_doubt(rc)) {
        assert_int_equal(n, 0);
    }
    if (rc != PERSIST_OK && rc != PERSIST_E_NOT_DURABLE) {
        assert_null(m);
        assert_int_equal(err.status, rc);
        assert_true(err.message[0] != '\0');
        assert_true(err.object[0] != '\0');
    }
    persist_metadata_free(m);
    /* And the next one works. */
    assert_ok(save(&r, data, len, NULL, &err), &err);
    assert_int_equal(count_snapshots(&r, data, len), n + 1);
    rig_close(&r);
    free(data);
    return reached;
}

static void sweep_saves(size_t len, uint32_t times)
{
    size_t c;
    uint32_t at;

    for (c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        for (at = 1;
             may_precede_effect(codes[c]) &&
             try_save(len, at, times, codes[c], MEMORY_BEFORE) && at < 40;
             at++)
            ;
        assert_true(at > 2 || !may_precede_effect(codes[c]));
        for (at = 1;
             may_follow_effect(codes[c], times) &&
             try_save(len, at, times, codes[c], MEMORY_AFTER) && at < 40;
             at++)
            ;
    }
}

static void small_save__survives_any_one_failure(void **state)
{
    (void)state;
    sweep_saves(1000, 1);
}

static void long_save__survives_any_one_failure(void **state)
{
    (void)state;
    sweep_saves(LEN, 1);
}

static void small_save__survives_failures_for_good(void **state)
{
    (void)state;
    sweep_saves(1000, UINT32_MAX);
}

static void long_save__survives_failures_for_good(void **state)
{
    (void)state;
    sweep_saves(LEN, UINT32_MAX);
}

/* ------------------------------------------------------------------- delete
 */

static bool try_delete(size_t len, uint32_t at, uint32_t times, int32_t code,
                       uint32_t phase)
{
    struct persist_error err = {0};
    uint8_t *data = rig_noise(len, 2);
    struct rig r;
    uint64_t index = 99;
    bool reached;
    int rc, n, again;

    rig_open(&r, 0, small_puts);
    assert_ok(save(&r, data, len, NULL, &err), &err);
    rig_fault(&r, (struct rig_fault){.op = "any",
                                     .at = at,
                                     .times = times,
                                     .phase = phase,
                                     .status = code});
    rc = persist_delete(r.store, "a@latest", NULL, &index, &err);
    reached = r.faults[0].seen >= at;
    rig_no_faults(&r);
    n = count_snapshots(&r, data, len);
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_DURABLE) {
        assert_int_equal(n, 0);
        assert_int_equal(index, 0);
    } else {
        assert_int_equal(err.status, rc);
        assert_true(err.message[0] != '\0');
    }
    /* Deleting again gets rid of it, with everything that is left. */
    again = persist_delete(r.store, "a@0", NULL, NULL, &err);
    assert_true(again == (n ? PERSIST_OK : PERSIST_E_NOT_FOUND));
    assert_int_equal(count_snapshots(&r, data, len), 0);
    assert_int_equal(rig_objects(&r), 1); /* the tombstone */
    rig_close(&r);
    free(data);
    return reached;
}

static void sweep_deletes(size_t len, uint32_t times)
{
    uint32_t at;
    size_t c;

    for (c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        for (at = 1;
             may_precede_effect(codes[c]) &&
             try_delete(len, at, times, codes[c], MEMORY_BEFORE) && at < 20;
             at++)
            ;
        assert_true(at > 2 || !may_precede_effect(codes[c]));
        for (at = 1;
             may_follow_effect(codes[c], times) &&
             try_delete(len, at, times, codes[c], MEMORY_AFTER) && at < 20;
             at++)
            ;
    }
}

static void delete__survives_any_one_failure(void **state)
{
    (void)state;
    sweep_deletes(1000, 1);
    sweep_deletes(LEN, 1);
}

static void delete__survives_failures_for_good(void **state)
{
    (void)state;
    sweep_deletes(1000, UINT32_MAX);
    sweep_deletes(LEN, UINT32_MAX);
}

/* ------------------------------------------------------------------ cleanup
 */

static bool try_cleanup(uint32_t at, uint32_t times, int32_t code)
{
    struct persist_error err = {0};
    uint8_t *data = rig_noise(LEN, 3);
    struct rig r;
    bool reached;
    int rc;

    rig_open(&r, 0, small_puts);
    rig_put_claim(&r, 0);
    rig_put_tombstone(&r, 1);
    assert_ok(save(&r, data, LEN, NULL, &err), &err);
    assert_ok(persist_delete(r.store, "a@2", NULL, NULL, &err), &err);
    rig_pass_days(&r, 8);
    assert_ok(save(&r, data, LEN, NULL, &err), &err);
    rig_fault(&r, (struct rig_fault){
                      .op = "any", .at = at, .times = times, .status = code});
    rc = persist_cleanup(r.store, NULL, NULL, &err);
    reached = r.faults[0].seen >= at;
    if (rc)
        assert_int_equal(err.status, rc);
    rig_no_faults(&r);
    assert_int_equal(count_snapshots(&r, data, LEN), 1);
    assert_ok(persist_cleanup(r.store, NULL, NULL, &err), &err);
    assert_int_equal(count_snapshots(&r, data, LEN), 1);
    /* A probe that could not be removed may stay. */
    assert_true(rig_objects(&r) <= 3);
    rig_close(&r);
    free(data);
    return reached;
}

static void cleanup__survives_failures(void **state)
{
    uint32_t at, times;
    size_t c;

    (void)state;
    for (c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        for (times = 1; times; times = times == 1 ? UINT32_MAX : 0) {
            for (at = 1; try_cleanup(at, times, codes[c]) && at < 40; at++)
                ;
            assert_true(at > 5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_save__survives_any_one_failure),
        cmocka_unit_test(long_save__survives_any_one_failure),
        cmocka_unit_test(small_save__survives_failures_for_good),
        cmocka_unit_test(long_save__survives_failures_for_good),
        cmocka_unit_test(delete__survives_any_one_failure),
        cmocka_unit_test(delete__survives_failures_for_good),
        cmocka_unit_test(cleanup__survives_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
