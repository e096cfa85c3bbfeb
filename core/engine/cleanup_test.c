/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/save_test_kit.h"

#include <stdio.h>
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

/* What was reported: "kind key-without-digits status ..." */
struct report {
    unsigned n[6]; /* by kind */
    unsigned n_failed;
    uint64_t size;
    uint64_t max_age_ms;
    char last[KEY_CAP];
    int stop_at; /* items; 0: never */
    int n_items;
};

static int note(void *ctx, const struct persist_cleanup_item *item)
{
    struct report *report = ctx;

    assert_true(item->kind >= 1 && item->kind <= 5);
    report->n[item->kind]++;
    report->n_failed += item->status != PERSIST_OK;
    report->size += item->size;
    if (item->age_ms > report->max_age_ms)
        report->max_age_ms = item->age_ms;
    snprintf(report->last, sizeof report->last, "%s", item->object);
    report->n_items++;
    return report->stop_at && report->n_items == report->stop_at
               ? PERSIST_E_CANCELLED
               : 0;
}

static int clean(struct rig *r, const char *address, uint32_t flags,
                 struct report *report, struct persist_error *err)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct report ignored;

    if (!report)
        report = &ignored;
    memset(report, 0, sizeof *report);
    o.flags = flags;
    o.report = note;
    o.report_ctx = report;
    return persist_cleanup(r->store, address, &o, err);
}

/* claim 0, tombstone 1, snapshot 2: all but the last can go one day. */
static void litter(struct rig *r)
{
    rig_put_claim(r, 0);
    rig_put_tombstone(r, 1);
    rig_save(r, "two", 2);
}

static void cleanup__waits_seven_days(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    rig_pass_days(r, 6);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_int_equal(rig_objects(r), 3);
    rig_pass_days(r, 1);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_CLAIM], 1);
    assert_int_equal(report.n[PERSIST_CLEANUP_TOMBSTONE], 1);
    assert_int_equal(report.n_items, 2);
    assert_int_equal(report.size, CLAIM_LEN + TOMBSTONE_LEN);
    assert_int_equal(report.max_age_ms, UINT64_C(7) * 86400 * 1000);
    assert_int_equal(rig_objects(r), 1);
    rig_expect(r, "a", "two", 3);
    rig_save(r, "three", 3);
}

static void cleanup__trusts_no_clock_but_the_store_s(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    /* Here it is 30 days later; the store has not moved. */
    atomic_fetch_add(&r->wall_us, 30 * RIG_DAY_US);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_int_equal(rig_objects(r), 3); /* and no probe stays */
}

/* From when the store's clock was wrong: 2038 has not come. */
static void date_ahead(struct rig *r, uint64_t index)
{
    char key[KEY_CAP];

    rig_key(index, KEY_SNAP, key);
    assert_int_equal(
        r->memory->set_modified(r->id, key, INT64_C(2145916800000000)),
        PERSIST_BACKEND_OK);
}

static void cleanup__trusts_no_object_from_the_future(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    date_ahead(r, 2); /* it is listed before the claim */
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_ok(clean(r, NULL, PERSIST_CLEANUP_DRY_RUN, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    /* A store that is not to be written does not make it more credible. */
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    rig_no_faults(r);
    assert_int_equal(rig_objects(r), 3);
    /* Nor does it keep for good what is old. */
    rig_pass_days(r, 7);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 2);
}

/* This machine's clock is a month late: the store is asked all the same. */
static void cleanup__goes_by_the_store_where_we_are_late(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    rig_pass_days(r, 8);
    rig_save(r, "three", 3);
    atomic_fetch_add(&r->wall_us, -30 * RIG_DAY_US);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 2);
}

static void cleanup__may_read_the_time_off_a_listing(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    rig_pass_days(r, 8);
    rig_save(r, "three", 3);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 2);
}

static void cleanup__leaves_what_it_cannot_date(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_int_equal(rig_objects(r), 3);
}

static void cleanup__spares_the_highest_key(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    rig_save(r, "zero", 0);
    assert_ok(persist_delete(r->store, "a@0", NULL, NULL, &err), &err);
    rig_pass_days(r, 30);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    rig_save(r, "one", 1); /* not 0 again */
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 1);
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

static void cleanup__removes_data_behind_tombstones(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    save_long(r);
    save_long(r);
    rig_put_tombstone(r, 0);
    rig_put_tombstone(r, 1);
    rig_pass_days(r, 6);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    rig_pass_days(r, 2);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_REMNANT], 2);
    assert_int_equal(report.n[PERSIST_CLEANUP_TOMBSTONE], 1);
    assert_int_equal(rig_objects(r), 1); /* the highest tombstone */
    assert_int_equal(rig_size(r, 1, KEY_SNAP), TOMBSTONE_LEN);
}

static void cleanup__keeps_finished_long_saves(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    save_long(r);
    save_long(r);
    rig_pass_days(r, 30);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_ok(persist_verify(r->store, "a@0", NULL, NULL, &err), &err);
}

/* --------------------------------------------------------- uploads, leftovers
 */

static void break_upload(struct rig *r)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(100000, 1);

    o.frame_size = 65536;
    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .status = PERSIST_BACKEND_IO});
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    rig_fault(r, (struct rig_fault){
                     .op = "put", .at = 2, .status = PERSIST_BACKEND_IO});
    assert_status(
        persist_save_buffer(r->store, "a", data, 100000, &o, NULL, &err),
        PERSIST_E_IO, &err);
    rig_no_faults(r);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    free(data);
}

static void cleanup__removes_dead_uploads_with_their_claims(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    break_upload(r);
    rig_save(r, "one", 1);
    rig_pass_days(r, 6);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    rig_pass_days(r, 2);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_UPLOAD], 1);
    assert_int_equal(report.n[PERSIST_CLEANUP_CLAIM], 1);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(rig_objects(r), 1);
}

static void cleanup__keeps_the_claim_of_an_open_upload(void **state)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    break_upload(r);
    rig_save(r, "one", 1);
    rig_pass_days(r, 8);
    o.older_than_ms = UINT64_C(30) * 86400 * 1000;
    assert_status(persist_cleanup(r->store, NULL, &o, &err), PERSIST_E_INVALID,
                  &err);
    assert_contains(err.message, "with the flag PERSIST_CLEANUP_OLDER_THAN");
    o.flags = PERSIST_CLEANUP_OLDER_THAN;
    assert_ok(persist_cleanup(r->store, NULL, &o, &err), &err);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
    /* The same where uploads cannot be listed: then nobody knows. */
    rig_fault(r, (struct rig_fault){.op = "list_uploads",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(persist_cleanup(r->store, NULL, NULL, &err), PERSIST_E_DENIED,
                  &err);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
}

static void cleanup__takes_younger_uploads_when_told(void **state)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    break_upload(r);
    rig_save(r, "one", 1);
    o.flags = PERSIST_CLEANUP_OLDER_THAN;
    assert_ok(persist_cleanup(r->store, NULL, &o, &err), &err);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    /* Claims never go before their seven days. */
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
}

static void cleanup__leaves_what_is_in_use(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    break_upload(r);
    rig_save(r, "one", 1);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_PRECONDITION});
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
}

static void cleanup__goes_on_behind_a_failure(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    break_upload(r);
    rig_save(r, "one", 1);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(clean(r, NULL, 0, &report, &err), PERSIST_E_DENIED, &err);
    assert_int_equal(report.n_failed, 1);
    /* Its claim stays, since the upload is still there. */
    assert_int_equal(report.n_items, 1);
    rig_no_faults(r);
    litter(r);
}

static void begin_upload(struct rig *r, const char *key)
{
    struct backend_upload *u = NULL;
    struct persist_error err = {0};
    struct persist_op op;

    assert_int_equal(op_init(&op, NULL), 0);
    assert_ok(backend_upload_begin(r->store->backend, &op, key, NULL, &u, &err),
              &err);
    backend_upload_destroy(u);
    op_finish(&op);
}

/* A bucket may be shared; only keys that Persist makes are its own. */
static void cleanup__leaves_the_uploads_of_others(void **state)
{
    static const char *const foreign[] = {
        "backup.tar",
        "a/backup.tar",
        "a/default/backup.tar",
        "a/default/999999999999999/998-1.txt",
        "a/default/999999999999999/997-1.data",
        "a/default/x/999999999999999/998-1.data",
        "a%61/default/999999999999999/998-1.data",
        "persist-doctor-up",
        "persist-doctor-0123456789abcdef",
        "persist-doctor-0123456789abcdeg-up",
    };
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;
    size_t n = sizeof foreign / sizeof *foreign;

    for (size_t i = 0; i < n; i++)
        begin_upload(r, foreign[i]);
    begin_upload(r, "a/default/999999999999999/998-1.data");
    begin_upload(r, "persist-doctor-0123456789abcdef-up");
    rig_pass_days(r, 30);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_UPLOAD], 2);
    assert_int_equal(report.n_items, 2);
    assert_int_equal(r->memory->n_uploads(r->id), n);
}

static void cleanup__keeps_uploads_to_its_scope(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    begin_upload(r, "a/default/999999999999999/998-1.data");
    begin_upload(r, "a/other/999999999999999/998-1.data");
    begin_upload(r, "ab/default/999999999999999/998-1.data");
    rig_pass_days(r, 30);
    assert_ok(clean(r, "a/other", 0, &report, &err), &err);
    assert_int_equal(report.n_items, 1);
    assert_ok(clean(r, "a", 0, &report, &err), &err);
    assert_int_equal(report.n_items, 1);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
}

static void cleanup__removes_what_a_killed_doctor_left(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    assert_int_equal(
        r->memory->set(r->id, "persist-doctor-0123456789abcdef", "x", 1), 0);
    assert_int_equal(r->memory->set(r->id, "persist-doctor-notes", "x", 1), 0);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 0);
    rig_pass_days(r, 1);
    assert_ok(clean(r, NULL, PERSIST_CLEANUP_DRY_RUN, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_LEFTOVER], 1);
    assert_int_equal(rig_objects(r), 2);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_LEFTOVER], 1);
    assert_int_equal(rig_objects(r), 1);
}

/* ------------------------------------------------------------------- damage
 */

static void cleanup__keeps_a_snapshot_cut_to_a_marker_s_size(void **state)
{
    static const size_t sizes[] = {CLAIM_LEN, TOMBSTONE_LEN};
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;
    char object[CLAIM_LEN], key[KEY_CAP];
    uint64_t len;
    size_t i;

    for (i = 0; i < 2; i++) {
        rig_save(r, "a snapshot", i);
        rig_key(i, KEY_SNAP, key);
        assert_int_equal(
            r->memory->get(r->id, key, object, sizeof object, &len), 0);
        assert_int_equal(r->memory->set(r->id, key, object, sizes[i]), 0);
    }
    rig_save(r, "two", 2);
    rig_pass_days(r, 8);
    assert_status(clean(r, NULL, 0, &report, &err), PERSIST_E_CORRUPT, &err);
    assert_int_equal(report.n_items, 2);
    assert_int_equal(report.n_failed, 2);
    assert_int_equal(rig_objects(r), 3);
}

/* -------------------------------------------------------------------- scope
 */

static void save_as(struct rig *r, const char *address)
{
    struct persist_error err = {0};
    char snapshot[64];
    int i;

    for (i = 0; i < 2; i++)
        assert_ok(
            persist_save_buffer(r->store, address, "x", 1, NULL, NULL, &err),
            &err);
    snprintf(snapshot, sizeof snapshot, "%s@0", address);
    assert_ok(persist_delete(r->store, snapshot, NULL, NULL, &err), &err);
}

static void cleanup__keeps_to_its_scope(void **state)
{
    static const struct {
        const char *address;
        unsigned n;
    } rows[] = {{"a/one", 1}, {"a", 1}, {"b", 1}, {"nobody", 0}, {NULL, 1}};
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;
    size_t i;

    save_as(r, "a/one");
    save_as(r, "a/two");
    save_as(r, "b/one");
    save_as(r, "C/\xc3\xa9");
    rig_pass_days(r, 8);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_ok(clean(r, rows[i].address, 0, &report, &err), &err);
        assert_int_equal(report.n_items, rows[i].n);
    }
    assert_status(clean(r, "a@0", 0, NULL, &err), PERSIST_E_INVALID, &err);
    assert_status(clean(r, "other:", 0, NULL, &err), PERSIST_E_INVALID, &err);
    assert_status(clean(r, NULL, 1U << 20, NULL, &err), PERSIST_E_INVALID,
                  &err);
}

static void cleanup__skips_foreign_names(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;

    litter(r);
    assert_int_equal(r->memory->set(r->id, "README", "x", 1), 0);
    assert_int_equal(r->memory->set(r->id, "a/notes", "x", 1), 0);
    assert_int_equal(r->memory->set(r->id, "a/default/x.snap", "x", 1), 0);
    assert_int_equal(r->memory->set(r->id, "a%2f/default/y", "x", 1), 0);
    rig_pass_days(r, 8);
    assert_ok(clean(r, NULL, 0, &report, &err), &err);
    assert_int_equal(report.n_items, 2);
    assert_int_equal(rig_objects(r), 5);
}

static void dry_run__removes_nothing(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    struct report report;
    uint64_t n_objects;

    break_upload(r);
    rig_save(r, "one", 1);
    rig_put_tombstone(r, 2);
    rig_pass_days(r, 8);
    rig_save(r, "three", 3);
    n_objects = rig_objects(r);
    assert_ok(clean(r, NULL, PERSIST_CLEANUP_DRY_RUN, &report, &err), &err);
    assert_int_equal(report.n[PERSIST_CLEANUP_UPLOAD], 1);
    assert_int_equal(report.n[PERSIST_CLEANUP_CLAIM], 1);
    assert_int_equal(report.n[PERSIST_CLEANUP_TOMBSTONE], 1);
    assert_int_equal(rig_objects(r), n_objects);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
}

static void report__may_stop_it(void **state)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct report report = {.stop_at = 1};
    struct rig *r = *state;
    struct persist_error err = {0};

    litter(r);
    rig_pass_days(r, 8);
    o.report = note;
    o.report_ctx = &report;
    assert_status(persist_cleanup(r->store, NULL, &o, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_int_equal(report.n_items, 1);
    assert_int_equal(rig_objects(r), 2);
}

static void cleanup__stops_when_cancelled(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    litter(r);
    persist_interrupt(r->p);
    assert_status(clean(r, NULL, 0, NULL, &err), PERSIST_E_CANCELLED, &err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
#define L(name) cmocka_unit_test_setup_teardown(name, long_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(cleanup__waits_seven_days),
        T(cleanup__trusts_no_clock_but_the_store_s),
        T(cleanup__trusts_no_object_from_the_future),
        T(cleanup__goes_by_the_store_where_we_are_late),
        T(cleanup__may_read_the_time_off_a_listing),
        T(cleanup__leaves_what_it_cannot_date),
        T(cleanup__spares_the_highest_key),
        L(cleanup__removes_data_behind_tombstones),
        L(cleanup__keeps_finished_long_saves),
        L(cleanup__removes_dead_uploads_with_their_claims),
        L(cleanup__keeps_the_claim_of_an_open_upload),
        L(cleanup__takes_younger_uploads_when_told),
        L(cleanup__leaves_what_is_in_use),
        L(cleanup__goes_on_behind_a_failure),
        T(cleanup__leaves_the_uploads_of_others),
        T(cleanup__keeps_uploads_to_its_scope),
        T(cleanup__removes_what_a_killed_doctor_left),
        T(cleanup__keeps_a_snapshot_cut_to_a_marker_s_size),
        T(cleanup__keeps_to_its_scope),
        T(cleanup__skips_foreign_names),
        L(dry_run__removes_nothing),
        T(report__may_stop_it),
        T(cleanup__stops_when_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
