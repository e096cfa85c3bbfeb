/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/save_test_kit.h"

#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"

static const char *const small_puts[] = {"put_max", "64K", "part_max", "64K",
                                         NULL};

static int long_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    rig_open(r, 0, small_puts);
    *state = r;
    return 0;
}

static void save_long(struct rig *r)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(100000, 1);

    o.frame_size = 65536;
    assert_ok(persist_save_buffer(r->store, "a", data, 100000, &o, NULL, &err),
              &err);
    free(data);
}

static int remove_one(struct rig *r, const char *address,
                      struct persist_error *err)
{
    return persist_delete(r->store, address, NULL, NULL, err);
}

static void read_tombstone(struct rig *r, uint64_t index, struct marker *out)
{
    char object[TOMBSTONE_LEN], key[KEY_CAP];
    struct persist_error err = {0};
    uint64_t len = 0;

    rig_key(index, KEY_SNAP, key);
    assert_int_equal(r->memory->get(r->id, key, object, sizeof object, &len),
                     0);
    assert_int_equal(len, TOMBSTONE_LEN);
    assert_ok(tombstone_decode(object, (size_t)len, out, &err), &err);
}

static void delete__leaves_a_tombstone(void **state)
{
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    struct marker marker;
    uint64_t index = 99;
    int exists = 1;

    rig_save(r, "zero", 0);
    rig_save(r, "one", 1);
    assert_ok(persist_show(r->store, "a@0", &m, &err), &err);
    assert_ok(persist_delete(r->store, "a@0", NULL, &index, &err), &err);
    assert_int_equal(index, 0);
    read_tombstone(r, 0, &marker);
    assert_string_equal(marker.snapshot_id, m->snapshot_id);
    persist_metadata_free(m);
    assert_ok(persist_exists(r->store, "a@0", &exists, &err), &err);
    assert_int_equal(exists, 0);
    rig_expect(r, "a", "one", 3);
}

static void delete__latest_frees_no_index(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    uint64_t index = 99;

    rig_save(r, "zero", 0);
    rig_save(r, "one", 1);
    assert_ok(persist_delete(r->store, "a@latest", NULL, &index, &err), &err);
    assert_int_equal(index, 1);
    rig_expect(r, "a", "zero", 4);
    assert_ok(persist_delete(r->store, "a@latest", NULL, &index, &err), &err);
    assert_int_equal(index, 0);
    assert_status(remove_one(r, "a@latest", &err), PERSIST_E_NOT_FOUND, &err);
    rig_save(r, "two", 2);
    atomic_fetch_add(&r->boot_ns, UINT64_C(100000000000));
    rig_save(r, "three", 3);
}

static void delete__twice_says_so(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    assert_ok(remove_one(r, "a@0", &err), &err);
    assert_status(remove_one(r, "a@0", &err), PERSIST_E_NOT_FOUND, &err);
    assert_contains(err.message, "was deleted");
    assert_string_equal(err.object, "a/default@0");
    assert_status(remove_one(r, "a@5", &err), PERSIST_E_NOT_FOUND, &err);
    assert_contains(err.message, "does not exist");
    assert_status(remove_one(r, "b@0", &err), PERSIST_E_NOT_FOUND, &err);
    assert_int_equal(rig_objects(r), 1);
}

static void delete__needs_one_snapshot(void **state)
{
    static const char *const bad[] = {"a", "a/default", "", "other:a@0"};
    struct persist_delete_options o = PERSIST_DELETE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    size_t i;

    rig_save(r, "zero", 0);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_status(remove_one(r, bad[i], &err), PERSIST_E_INVALID, &err);
    assert_status(remove_one(r, "a", &err), PERSIST_E_INVALID, &err);
    assert_contains(err.hint, "@latest");
    o.flags = 1U << 9;
    assert_status(persist_delete(r->store, "a@0", &o, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_status(persist_delete(NULL, "a@0", NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    rig_expect(r, "a@0", "zero", 4);
}

static void delete__takes_the_data_of_a_long_save(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    save_long(r);
    assert_true(rig_has(r, 0, KEY_DATA));
    assert_ok(remove_one(r, "a@0", &err), &err);
    assert_false(rig_has(r, 0, KEY_DATA));
    assert_int_equal(rig_size(r, 0, KEY_SNAP), TOMBSTONE_LEN);
}

static void delete__leaves_a_running_save_alone(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_put_claim(r, 0);
    assert_status(remove_one(r, "a@0", &err), PERSIST_E_NOT_FOUND, &err);
    assert_contains(err.message, "not finished");
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
}

static void delete__finishes_one_that_died(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    save_long(r);
    rig_put_tombstone(r, 0); /* and the data is still there */
    assert_status(remove_one(r, "a@0", &err), PERSIST_E_NOT_FOUND, &err);
    assert_false(rig_has(r, 0, KEY_DATA));
}

static void delete__says_when_data_remains(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    save_long(r);
    rig_fault(r, (struct rig_fault){.op = "delete",
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(remove_one(r, "a@0", &err), PERSIST_E_DENIED, &err);
    assert_contains(err.message, "deleted, but its data could not be removed");
}

static void delete__gets_rid_of_damage(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct marker marker;
    char key[KEY_CAP];

    rig_save(r, "zero", 0);
    rig_key(0, KEY_SNAP, key);
    assert_int_equal(r->memory->set(r->id, key, "garbage", 7), 0);
    assert_ok(remove_one(r, "a@0", &err), &err);
    read_tombstone(r, 0, &marker);
    assert_string_equal(marker.snapshot_id,
                        "00000000-0000-0000-0000-000000000000");
    /* Data without a claim. */
    rig_key(1, KEY_DATA, key);
    assert_int_equal(r->memory->set(r->id, key, "garbage", 7), 0);
    assert_ok(remove_one(r, "a@1", &err), &err);
    assert_false(rig_has(r, 1, KEY_DATA));
    read_tombstone(r, 1, &marker);
}

static void delete__not_durable_is_said(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    uint64_t index = 99;

    rig_save(r, "zero", 0);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_NOT_DURABLE});
    assert_status(persist_delete(r->store, "a@0", NULL, &index, &err),
                  PERSIST_E_NOT_DURABLE, &err);
    assert_int_equal(index, 0);
}

static void delete__in_doubt_names_the_key(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_save(r, "zero", 0);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_status(remove_one(r, "a@0", &err), PERSIST_E_UNCERTAIN, &err);
    rig_key(0, KEY_SNAP, key);
    assert_string_equal(err.object, key);
}

static void dry_run__deletes_nothing(void **state)
{
    struct persist_delete_options o = PERSIST_DELETE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    uint64_t index = 99;

    save_long(r);
    o.flags = PERSIST_DELETE_DRY_RUN;
    assert_ok(persist_delete(r->store, "a@latest", &o, &index, &err), &err);
    assert_int_equal(index, 0);
    assert_status(persist_delete(r->store, "a@7", &o, NULL, &err),
                  PERSIST_E_NOT_FOUND, &err);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
    assert_true(rig_has(r, 0, KEY_DATA));
    rig_put_tombstone(r, 0);
    assert_status(persist_delete(r->store, "a@0", &o, NULL, &err),
                  PERSIST_E_NOT_FOUND, &err);
    assert_true(rig_has(r, 0, KEY_DATA));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
#define L(name) cmocka_unit_test_setup_teardown(name, long_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(delete__leaves_a_tombstone),
        T(delete__latest_frees_no_index),
        T(delete__twice_says_so),
        T(delete__needs_one_snapshot),
        L(delete__takes_the_data_of_a_long_save),
        T(delete__leaves_a_running_save_alone),
        L(delete__finishes_one_that_died),
        L(delete__says_when_data_remains),
        T(delete__gets_rid_of_damage),
        T(delete__not_durable_is_said),
        T(delete__in_doubt_names_the_key),
        L(dry_run__deletes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
