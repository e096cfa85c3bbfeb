/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of a session, the latest, and whether something is there. */
#include "engine/read_test_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/target.h"

static void put_one(struct fixture *f, const char *session, uint64_t index)
{
    struct snapshot_spec spec = {
        .session = session, .index = index, .payload = "x", .len = 1};

    fixture_put(f, &spec);
}

/* Objects of snapshot size, without the cost of making snapshots. */
static void put_rubbish(struct fixture *f, const char *session, uint64_t index)
{
    char key[KEY_CAP];
    char object[300] = "";

    fixture_key(NULL, session, index, KEY_SNAP, key);
    fixture_set(f, key, object, sizeof(object));
}

static void with_op(struct fixture *f, struct persist_op *op)
{
    assert_int_equal(op_init(op, NULL), 0);
    op_start(op, f->p->clock, 0);
}

/* All indices of a walk, as "9s 8d 7c 6t 5a". */
static void walk_text(struct fixture *f, uint32_t page, char *out, size_t cap)
{
    static const char kinds[] = {[INDEX_SNAPSHOT] = 's',
                                 [INDEX_SNAPSHOT_DATA] = 'd',
                                 [INDEX_CLAIM] = 'c',
                                 [INDEX_TOMBSTONE] = 't',
                                 [INDEX_DATA_ALONE] = 'a'};
    struct session_walk *w = NULL;
    struct persist_error err = {0};
    struct index_state s;
    struct persist_op op;
    size_t n = 0;
    int rc;

    with_op(f, &op);
    out[0] = '\0';
    assert_ok(session_walk_open(f->store, &op, "a/default/", page, &w, &err),
              &err);
    while ((rc = session_walk_next(w, &s, &err)) == 1)
        n += (size_t)snprintf(out + n, cap - n, "%" PRIu64 "%c ", s.index,
                              kinds[index_state_kind(&s)]);
    assert_ok(rc, &err);
    session_walk_close(w);
    op_finish(&op);
}

static void walk__joins_what_an_index_has(void **state)
{
    struct fixture *f = *state;
    char key[KEY_CAP];
    char text[256];

    put_one(f, NULL, 12);
    struct snapshot_spec data = {.index = 11, .payload = "x", .len = 1};
    fixture_put_data(f, &data);
    fixture_claim(f, NULL, NULL, 10);
    fixture_tombstone(f, NULL, NULL, 9);
    data.index = 8;
    fixture_put_data(f, &data);
    fixture_tombstone(f, NULL, NULL, 8);
    data.index = 7;
    fixture_put_data(f, &data);
    fixture_key(NULL, NULL, 7, KEY_SNAP, key);
    assert_int_equal(f->memory->remove(f->id, key), 0);
    fixture_claim(f, NULL, NULL, 6);
    fixture_key(NULL, NULL, 6, KEY_DATA, key);
    char tombstone[TOMBSTONE_LEN] = "";
    fixture_set(f, key, tombstone, sizeof(tombstone));
    put_one(f, NULL, 0);
    put_one(f, "other", 99);
    walk_text(f, 64, text, sizeof(text));
    assert_string_equal(text, "12s 11d 10c 9t 8t 7a 6t 0s ");
    for (uint32_t page = 1; page < 16; page++) {
        char again[256];
        walk_text(f, page, again, sizeof(again));
        assert_string_equal(again, text);
    }
}

static void walk__skips_foreign_names_and_says_so_once(void **state)
{
    static const char *const foreign[] = {
        "a/default/999999999999999/999-00.snap",
        "a/default/999999999999999/999-0.snap.bak",
        "a/default/readme",
        "a/default/999999999999999/998-1.tmp",
    };
    struct fixture *f = *state;
    char text[256];

    for (size_t i = 0; i < 4; i++)
        fixture_set(f, foreign[i], "x", 1);
    put_one(f, NULL, 3);
    put_one(f, NULL, 0);
    walk_text(f, 64, text, sizeof(text));
    assert_string_equal(text, "3s 0s ");
    char *line = strstr(f->log.data, "skipping");
    assert_non_null(line);
    assert_null(strstr(line + 1, "skipping"));
}

static void walk__goes_on_with_larger_pages(void **state)
{
    struct fixture *f = *state;
    struct session_walk *w = NULL;
    struct persist_error err = {0};
    struct index_state s;
    struct persist_op op;
    uint64_t expect = 2499;

    for (uint64_t i = 0; i <= expect; i++)
        put_rubbish(f, NULL, i);
    with_op(f, &op);
    uint64_t before = f->memory->count(f->id, "list");
    assert_ok(session_walk_open(f->store, &op, "a/default/", 64, &w, &err),
              &err);
    while (session_walk_next(w, &s, &err) == 1)
        assert_int_equal(s.index, expect--);
    assert_int_equal(expect, UINT64_MAX);
    session_walk_close(w);
    op_finish(&op);
    /* 64, then three of a thousand */
    assert_in_range(f->memory->count(f->id, "list") - before, 4, 5);
}

static void expect_latest(struct fixture *f, const char *address,
                          uint64_t index, const char *suffix)
{
    struct persist_error err = {0};
    struct persist_op op;
    struct target t;
    uint64_t got = 0;
    char key[KEY_CAP];

    with_op(f, &op);
    assert_ok(target_parse(f->store, address, &t, &err), &err);
    assert_ok(target_locate(f->store, &op, &t, &got, key, &err), &err);
    assert_int_equal(got, index);
    assert_string_equal(key + strlen(key) - 5, suffix);
    op_finish(&op);
}

static void latest__is_the_highest_live_one(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec data = {.index = 7, .payload = "x", .len = 1};

    put_one(f, NULL, 5);
    expect_latest(f, "a", 5, ".snap");
    fixture_claim(f, NULL, NULL, 8);
    fixture_tombstone(f, NULL, NULL, 6);
    expect_latest(f, "a/default@latest", 5, ".snap");
    fixture_put_data(f, &data);
    expect_latest(f, "builder:a", 7, ".data");
    put_one(f, NULL, 1000000);
    expect_latest(f, "a", 1000000, ".snap");
    fixture_tombstone(f, NULL, NULL, 1000000);
    expect_latest(f, "a", 7, ".data");
    expect_latest(f, "a@3", 3, ".snap");
}

static void latest__is_one_request_however_long_the_history(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 0; i < 3000; i++)
        put_rubbish(f, NULL, i);
    uint64_t before = f->memory->count(f->id, "any");
    expect_latest(f, "a", 2999, ".snap");
    assert_int_equal(f->memory->count(f->id, "any") - before, 1);
}

/* Whole groups of marks lie above it. */
static void latest__skips_groups_without_a_snapshot(void **state)
{
    struct fixture *f = *state;

    put_rubbish(f, NULL, 2);
    for (uint64_t i = 900; i < 2300; i++)
        fixture_tombstone(f, NULL, NULL, i);
    expect_latest(f, "a", 2, ".snap");
}

/* A snapshot cut to the size of a mark, and marks that are damaged. */
static void latest__does_not_pass_over_damage(void **state)
{
    static const size_t sizes[] = {CLAIM_LEN, TOMBSTONE_LEN};
    struct fixture *f = *state;

    put_one(f, NULL, 1);
    for (size_t i = 0; i < 2; i++) {
        struct snapshot_spec spec = {.index = 2, .payload = "xyz", .len = 3};
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        struct buf object;
        char key[KEY_CAP];
        int exists = 0;
        fixture_encode(&spec, &object);
        fixture_key(NULL, NULL, 2, KEY_SNAP, key);
        fixture_set(f, key, object.data, sizes[i]);
        buf_finish(&object);
        assert_status(persist_show(f->store, "a", &m, &err), PERSIST_E_CORRUPT,
                      &err);
        assert_string_equal(err.object, key);
        assert_status(persist_show(f->store, "a@2", &m, &err),
                      PERSIST_E_CORRUPT, &err);
        assert_status(persist_exists(f->store, "a@2", &exists, &err),
                      PERSIST_E_CORRUPT, &err);
        assert_status(persist_exists(f->store, "a", &exists, &err),
                      PERSIST_E_CORRUPT, &err);
        if (i == 0)
            fixture_claim(f, NULL, NULL, 2);
        else
            fixture_tombstone(f, NULL, NULL, 2);
        for (uint64_t at = 0; at < sizes[i]; at++) {
            assert_int_equal(f->memory->poke(f->id, key, at, "\xee", 1), 0);
            if (persist_show(f->store, "a", &m, &err) != PERSIST_E_CORRUPT)
                fail_msg("byte %d of a mark", (int)at);
            if (i == 0)
                fixture_claim(f, NULL, NULL, 2);
            else
                fixture_tombstone(f, NULL, NULL, 2);
        }
    }
}

static void latest__reports_data_without_its_snap(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec data = {.index = 7, .payload = "x", .len = 1};
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    char key[KEY_CAP];
    int exists = 0;

    put_one(f, NULL, 1);
    fixture_put_data(f, &data);
    fixture_key(NULL, NULL, 7, KEY_SNAP, key);
    assert_int_equal(f->memory->remove(f->id, key), 0);
    assert_status(persist_show(f->store, "a", &m, &err), PERSIST_E_CORRUPT,
                  &err);
    assert_status(persist_show(f->store, "a@7", &m, &err), PERSIST_E_CORRUPT,
                  &err);
    assert_status(persist_exists(f->store, "a@7", &exists, &err),
                  PERSIST_E_CORRUPT, &err);
}

static void exists__is_true_or_false(void **state)
{
    static const struct {
        const char *address;
        int exists;
    } cases[] = {
        {"a", 1},
        {"a@5", 1},
        {"a@4", 1},
        {"a@3", 0},
        {"a@2", 0},
        {"a@1", 0},
        {"b", 0},
        {"a/x", 0},
        {"a@latest", 1},
        {"gone", 0},
        {"a@999999999999999999", 0},
    };
    struct fixture *f = *state;
    struct snapshot_spec data = {.index = 4, .payload = "x", .len = 1};

    put_one(f, NULL, 5);
    fixture_put_data(f, &data);
    fixture_claim(f, NULL, NULL, 3);
    fixture_tombstone(f, NULL, NULL, 2);
    fixture_tombstone(f, "gone", NULL, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_error err = {0};
        int exists = 7;
        assert_ok(persist_exists(f->store, cases[i].address, &exists, &err),
                  &err);
        if (exists != cases[i].exists)
            fail_msg("%s: %d", cases[i].address, exists);
        assert_int_equal(err.status, 0);
    }
    uint64_t before = f->memory->count(f->id, "any");
    int exists = 0;
    assert_int_equal(persist_exists(f->store, "a", &exists, NULL), PERSIST_OK);
    assert_int_equal(f->memory->count(f->id, "any") - before, 1);
}

static void target__knows_its_store(void **state)
{
    struct fixture *f = *state;
    struct persist_error err = {0};
    struct target t;
    char text[TARGET_TEXT_CAP];
    uint64_t index = 3;

    assert_ok(target_parse(f->store, "builder:%41/s%2f@3", &t, &err), &err);
    assert_string_equal(t.prefix, "%41/s%2f/");
    assert_true(t.has_index && t.index == 3);
    target_text(&t, &index, text);
    assert_string_equal(text, "A/s%2f@3");
    assert_ok(target_parse(f->store, "a", &t, &err), &err);
    assert_string_equal(t.prefix, "a/default/");
    target_text(&t, NULL, text);
    assert_string_equal(text, "a/default");
    assert_false(t.has_index);
    assert_status(target_parse(f->store, "main:a", &t, &err), PERSIST_E_INVALID,
                  &err);
    assert_contains(err.message, "\"main\"");
    assert_contains(err.message, "\"builder\"");
    assert_status(target_parse(f->store, "builder:", &t, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "no agent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(walk__joins_what_an_index_has),
        TEST(walk__skips_foreign_names_and_says_so_once),
        TEST(walk__goes_on_with_larger_pages),
        TEST(latest__is_the_highest_live_one),
        TEST(latest__is_one_request_however_long_the_history),
        TEST(latest__skips_groups_without_a_snapshot),
        TEST(latest__does_not_pass_over_damage),
        TEST(latest__reports_data_without_its_snap),
        TEST(exists__is_true_or_false),
        TEST(target__knows_its_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
