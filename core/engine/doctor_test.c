/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor finds on a store in memory that fails and lies to order. */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/doctor_key.h"

struct seen {
    char text[16384]; /* "group name verdict status value|hint\n" */
    int stop_after;   /* findings; 0: never */
    int n;
};

static int see(void *ctx, const struct persist_finding *f)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);

    assert_int_equal(f->struct_size, sizeof *f);
    assert_int_equal(f->verdict == PERSIST_FINDING_FAIL, f->status != 0);
    snprintf(s->text + at, sizeof s->text - at, "%s %s %d %s %s|%s\n", f->group,
             f->name, (int)f->verdict, persist_status_name(f->status), f->value,
             f->hint ? f->hint : "");
    s->n++;
    return s->stop_after && s->n >= s->stop_after ? -77 : 0;
}

static int examine(struct persist_store *store, uint32_t flags, struct seen *s,
                   struct persist_error *err)
{
    struct persist_doctor_options o = PERSIST_DOCTOR_OPTIONS_INIT;

    s->text[0] = '\0';
    s->n = 0;
    o.flags = flags;
    memset(err, 0, sizeof *err);
    return persist_doctor_store(store, &o, see, s, err);
}

#define OK_LINE(name) "access " name " 1 ok "

static void store__that_works_has_no_complaint(void **state)
{
    static const char *const expected[] = {OK_LINE("list"),
                                           OK_LINE("head"),
                                           OK_LINE("write"),
                                           OK_LINE("create-if-absent"),
                                           OK_LINE("read"),
                                           OK_LINE("upload"),
                                           OK_LINE("delete"),
                                           "access store-clock 0 ok +0 s",
                                           "uploads unfinished 1 ok none",
                                           "plugin abi 0 ok 1.0",
                                           "plugin resumable-uploads 0 ok no"};
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    assert_ok(examine(r->store, 0, &s, &err), &err);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_contains(s.text, expected[i]);
    assert_null(strstr(s.text, "configuration"));
    /* Nothing of it is left. */
    assert_int_equal(rig_objects(r), 0);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
}

static void look_only__writes_nothing(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    assert_ok(examine(r->store, PERSIST_DOCTOR_LOOK_ONLY, &s, &err), &err);
    assert_contains(s.text, "access write 0 ok not tried");
    assert_int_equal(r->memory->count(r->id, "put"), 0);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 0);
    assert_int_equal(r->memory->count(r->id, "delete"), 0);
}

/* Each op denied in turn: one complaint that names it, and all the others are
 * still tried. */
static void denied__op_is_named_and_the_others_are_tried(void **state)
{
    static const struct {
        const char *op, *name, *hint;
    } table[] = {
        {"list", "access list 3 denied ", "permit listing objects"},
        {"head", "access head 3 denied ", "permit reading an object's prop"},
        {"put", "access write 3 denied ", "permit creating objects"},
        {"read", "access read 3 denied ", "permit reading objects"},
        {"upload_begin", "access upload 3 denied ", "permit uploads in parts"},
        {"upload_part", "access upload 3 denied ", "permit uploads in parts"},
        {"upload_abort", "access upload 3 denied ", "persist cleanup"},
        {"delete", "access delete 3 denied ", "permit deleting objects"},
        {"list_uploads", "uploads unfinished 3 denied ",
         "permit listing unfinished"},
    };
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rig_no_faults(r);
        rig_fault(r, (struct rig_fault){.op = table[i].op,
                                        .times = UINT32_MAX,
                                        .status = PERSIST_BACKEND_DENIED});
        assert_status(examine(r->store, 0, &s, &err), PERSIST_E_DENIED, &err);
        assert_contains(s.text, table[i].name);
        assert_contains(s.text, table[i].hint);
        assert_contains(s.text, "uploads unfinished");
        if (strcmp(table[i].op, "upload_begin") != 0 &&
            strcmp(table[i].op, "upload_part") != 0 &&
            strcmp(table[i].op, "upload_abort") != 0)
            assert_contains(s.text, OK_LINE("upload"));
        rig_no_faults(r);
        /* What the denied delete left is named. */
        if (strcmp(table[i].op, "delete") == 0) {
            assert_contains(err.object, "persist-doctor-");
            assert_int_equal(r->memory->remove(r->id, err.object), 0);
        }
        assert_int_equal(rig_objects(r), 0);
    }
}

static void lies__are_found(void **state)
{
    static const struct {
        const char *lie, *finding;
        int status;
    } table[] = {
        {"ignore-if-absent",
         "access create-if-absent 3 unsupported the store replaced",
         PERSIST_E_UNSUPPORTED},
        {"drop-last-byte", "access head 3 corrupt ", PERSIST_E_CORRUPT},
        {"delete-keeps", "access delete 3 internal ", PERSIST_E_INTERNAL},
    };
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *settings[] = {"lies", table[i].lie, NULL};
        struct persist_store *liar = rig_again(r, "liar", settings);

        assert_status(examine(liar, 0, &s, &err), table[i].status, &err);
        assert_contains(s.text, table[i].finding);
        persist_close(liar);
    }
}

static void clock__that_is_off_is_told(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    r->memory->set_now(r->id, RIG_START_US - INT64_C(20) * 60 * 1000000);
    assert_ok(examine(r->store, 0, &s, &err), &err);
    assert_contains(s.text, "access store-clock 2 ok -1200 s");
    assert_contains(s.text, "set the clock");
}

static void lost_reply__of_the_write_is_its_own(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .phase = MEMORY_AFTER,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    assert_ok(examine(r->store, 0, &s, &err), &err);
    assert_contains(s.text, OK_LINE("write"));
    assert_int_equal(rig_objects(r), 0);
}

static void first_failure__decides_and_auth_has_its_hint(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    rig_fault(r, (struct rig_fault){.op = "probe",
                                    .status = PERSIST_BACKEND_UNSUPPORTED});
    rig_fault(r, (struct rig_fault){.op = "put",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_AUTH});
    rig_fault(r, (struct rig_fault){.op = "upload_begin",
                                    .status = PERSIST_BACKEND_IO});
    assert_status(examine(r->store, 0, &s, &err), PERSIST_E_AUTH, &err);
    assert_contains(s.text, "access upload 3 io ");
    assert_contains(err.hint, "check the store's credentials");
}

/* What would fail everything is told once, and asked for once. */
static void common_cause__is_told_once(void **state)
{
    static const struct {
        int32_t status;
        const char *line;
    } causes[] = {{PERSIST_BACKEND_AUTH, "access list 3 auth "},
                  {PERSIST_BACKEND_CONFIG, "access list 3 config "}};
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};

    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        rig_no_faults(r);
        rig_fault(r, (struct rig_fault){.op = "list",
                                        .times = UINT32_MAX,
                                        .status = causes[i].status});
        assert_true(examine(r->store, 0, &s, &err) != PERSIST_OK);
        assert_contains(s.text, causes[i].line);
        assert_contains(s.text, "access head 0 ok not tried");
        assert_contains(s.text, "access delete 0 ok not tried");
        assert_contains(s.text, "uploads unfinished 0 ok not tried");
        assert_int_equal(r->memory->count(r->id, "put"), 0);
    }
}

static void cancel(void *ctx)
{
    persist_op_cancel(ctx);
}

/* It ends at once, and still takes its object away. */
static void cancelled__cleans_up(void **state)
{
    struct persist_doctor_options o = PERSIST_DOCTOR_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    struct seen s = {0};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    rig_fault(r, (struct rig_fault){.op = "read", .then = cancel, .ctx = o.op});
    assert_status(persist_doctor_store(r->store, &o, see, &s, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_null(strstr(s.text, "access upload"));
    assert_int_equal(rig_objects(r), 0);
    persist_op_destroy(o.op);
}

static void report__may_stop_it_anywhere(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};
    int whole;

    assert_ok(examine(r->store, 0, &s, &err), &err);
    whole = s.n;
    for (int i = 1; i < whole; i++) {
        s.stop_after = i;
        assert_int_equal(examine(r->store, 0, &s, &err), -77);
        assert_int_equal(rig_objects(r), 0);
    }
}

static void uploads__are_counted_with_their_age(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    struct seen s = {0};
    uint8_t *noise = rig_noise(9 << 20, 1);

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .status = PERSIST_BACKEND_IO});
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .status = PERSIST_BACKEND_IO});
    assert_status(
        persist_save_buffer(r->store, "a", noise, 9 << 20, NULL, NULL, &err),
        PERSIST_E_IO, &err);
    rig_pass_days(r, 8);
    assert_ok(examine(r->store, 0, &s, &err), &err);
    assert_contains(s.text, "uploads unfinished 2 ok 1 with 9.0 MiB");
    assert_contains(s.text,
                    "192 hours old, 1 older than 7 days|`persist clean");
    free(noise);
}

static void config__is_shown_and_a_broken_store_is_a_finding(void **state)
{
    static const char *const settings[] = {"memory_limit=32M"};
    static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR
                                       "/tests/backends"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;
    struct seen s = {0};

    (void)state;
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.settings = settings;
    o.n_settings = 1;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.state_dir = "";
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_ok(config_add_store(p->config, "good", "here", &err), &err);
    assert_ok(config_add_store_value(p->config, "good", "backend", "memory",
                                     "here", &err),
              &err);
    assert_ok(config_add_store_value(p->config, "good", "token", "sesame",
                                     "here", &err),
              &err);
    assert_ok(config_add_store(p->config, "bad", "here", &err), &err);
    assert_ok(config_add_store_value(p->config, "bad", "backend", "nosuch",
                                     "here", &err),
              &err);

    assert_ok(persist_doctor(p, "good", NULL, see, &s, &err), &err);
    assert_contains(s.text, "configuration store 0 ok good|");
    assert_contains(s.text, "configuration memory_limit 0 ok 32M|");
    assert_contains(s.text, "configuration backend 0 ok memory|");
    assert_contains(s.text, "configuration token 0 ok (secret)|");
    assert_null(strstr(s.text, "sesame"));
    assert_null(strstr(s.text, "log_level"));

    s.text[0] = '\0';
    assert_status(persist_doctor(p, "bad", NULL, see, &s, &err),
                  PERSIST_E_CONFIG, &err);
    assert_contains(s.text, "plugin open 3 config ");
    assert_status(persist_doctor(p, "none", NULL, see, &s, &err),
                  PERSIST_E_NOT_FOUND, &err);
    assert_status(persist_doctor(p, NULL, NULL, NULL, &s, &err),
                  PERSIST_E_MISUSE, &err);
    persist_destroy(p);
}

static void key__is_known_again(void **state)
{
    char key[DOCTOR_KEY_CAP];

    (void)state;
    assert_int_equal(doctor_key(&clock_system, key), 0);
    assert_true(doctor_is_key(key));
    assert_false(doctor_is_key("persist-doctor-"));
    assert_false(doctor_is_key("persist-doctor-0123456789abcdeg"));
    assert_false(doctor_is_key("persist-doctor-0123456789abcdef0"));
    assert_true(doctor_is_key("persist-doctor-0123456789abcdef"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(store__that_works_has_no_complaint),
        T(look_only__writes_nothing),
        T(denied__op_is_named_and_the_others_are_tried),
        T(lies__are_found),
        T(clock__that_is_off_is_told),
        T(lost_reply__of_the_write_is_its_own),
        T(first_failure__decides_and_auth_has_its_hint),
        T(common_cause__is_told_once),
        T(cancelled__cleans_up),
        T(report__may_stop_it_anywhere),
        T(uploads__are_counted_with_their_age),
        cmocka_unit_test(config__is_shown_and_a_broken_store_is_a_finding),
        cmocka_unit_test(key__is_known_again),
    };

    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
