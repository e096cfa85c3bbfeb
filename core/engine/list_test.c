/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: the rows of each level, foreign names, damage, limits. */
#include "engine/read_test_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void put_one(struct fixture *f, const char *agent, const char *session,
                    uint64_t index)
{
    struct snapshot_spec spec = {.agent = agent,
                                 .session = session,
                                 .index = index,
                                 .payload = "x",
                                 .len = 1,
                                 .description = "words"};

    fixture_put(f, &spec);
}

static void add_row(struct buf *out, const struct persist_entry *e)
{
    buf_puts(out, e->agent);
    if (e->session)
        buf_printf(out, "/%s", e->session);
    if (e->kind == PERSIST_ENTRY_SNAPSHOT ||
        (e->present & PERSIST_ENTRY_LATEST))
        buf_printf(out, "@%" PRIu64, e->index);
    if (e->metadata)
        buf_printf(out, "=%s", e->metadata->description);
    if (e->metadata_status)
        buf_printf(out, "!%s", persist_status_name(e->metadata_status));
    buf_putc(out, ' ');
}

/* The rows as "a/s@3 a/s@1 ", or the status that persist_list answered. */
static const char *list_text(struct fixture *f, const char *address,
                             uint32_t flags, uint64_t limit)
{
    static char text[4096];
    struct persist_list_options o = PERSIST_LIST_OPTIONS_INIT;
    const struct persist_entry *e = NULL;
    struct persist_listing *l = NULL;
    struct persist_error err = {0};
    struct buf out;

    o.flags = flags;
    o.limit = limit;
    int rc = persist_list(f->store, address, &o, &l, &err);
    if (rc != PERSIST_OK) {
        assert_int_equal(err.status, rc);
        assert_null(l);
        return persist_status_name(rc);
    }
    buf_init(&out, sizeof(text) - 1);
    buf_puts(&out, "");
    while ((rc = persist_listing_next(l, &e, &err)) == 1)
        add_row(&out, e);
    assert_ok(rc, &err);
    assert_null(e);
    snprintf(text, sizeof(text), "%s", out.data);
    buf_finish(&out);
    persist_listing_close(l);
    return text;
}

static void agents__are_folder_names(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(list_text(f, NULL, 0, 0), "");
    assert_string_equal(list_text(f, "", 0, 0), "");
    put_one(f, "writer", NULL, 1);
    put_one(f, "Agent/x", NULL, 1);
    put_one(f, "a", "s", 1);
    fixture_tombstone(f, "gone", NULL, 0);
    assert_string_equal(list_text(f, NULL, 0, 0), "Agent/x a gone writer ");
    assert_string_equal(list_text(f, "builder:", 0, 0),
                        "Agent/x a gone writer ");
    assert_string_equal(list_text(f, NULL, 0, 2), "Agent/x a ");
    assert_string_equal(list_text(f, "main:", 0, 0), "invalid");
}

static void agents__skip_foreign_names_and_say_so_once(void **state)
{
    static const char *const foreign[] = {"Writer/x", "%41%/x", "a%2E/y",
                                          "stray", "%2Fb/z"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 5; i++)
        f->memory->set(f->id, foreign[i], "x", 1);
    put_one(f, "a", NULL, 1);
    assert_string_equal(list_text(f, NULL, 0, 0), "a ");
    char *line = strstr(f->log.data, "skipping");
    assert_non_null(line);
    assert_null(strstr(line + 1, "skipping"));
}

static void agents__cost_one_request_a_thousand(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2500; i++) {
        char key[64];
        snprintf(key, sizeof(key), "agent-%u/default/x/y", i);
        fixture_set(f, key, "x", 1);
    }
    uint64_t before = f->memory->count(f->id, "any");
    assert_int_equal(strncmp(list_text(f, NULL, 0, 10), "agent-0 ", 8), 0);
    assert_int_equal(f->memory->count(f->id, "any") - before, 1);
    list_text(f, NULL, 0, 300);
    struct persist_listing *l = NULL;
    const struct persist_entry *e = NULL;
    struct persist_error err;
    unsigned n = 0;
    before = f->memory->count(f->id, "any");
    assert_ok(persist_list(f->store, NULL, NULL, &l, &err), &err);
    while (persist_listing_next(l, &e, &err) == 1)
        n++;
    persist_listing_close(l);
    assert_int_equal(n, 2500);
    assert_in_range(f->memory->count(f->id, "any") - before, 3, 4);
}

static void sessions__show_their_latest(void **state)
{
    struct fixture *f = *state;

    put_one(f, "a", "one", 1);
    put_one(f, "a", "one", 7);
    put_one(f, "a", "T\xc3\x84", 3);
    fixture_tombstone(f, "a", "gone", 0);
    fixture_claim(f, "a", "begun", 0);
    put_one(f, "ab", "not-this", 3);
    assert_string_equal(list_text(f, "a", 0, 0), "a/T\xc3\x84@3 a/one@7 ");
    assert_string_equal(list_text(f, "a", 0, 1), "a/T\xc3\x84@3 ");
    assert_string_equal(list_text(f, "nobody", 0, 0), "not_found");
    fixture_tombstone(f, "dead", "x", 0);
    assert_string_equal(list_text(f, "dead", 0, 0), "not_found");
    assert_string_equal(list_text(f, "a@1", 0, 0), "invalid");
    assert_string_equal(list_text(f, "a@latest", 0, 0), "invalid");
    assert_string_equal(list_text(f, "a/", 0, 0), "invalid");
}

static void sessions__show_a_damaged_one_without_latest(void **state)
{
    struct fixture *f = *state;
    char key[KEY_CAP];
    char rubbish[CLAIM_LEN] = "";

    put_one(f, "a", "one", 1);
    put_one(f, "a", "two", 1);
    fixture_key("a", "one", 2, KEY_SNAP, key);
    fixture_set(f, key, rubbish, sizeof(rubbish));
    assert_string_equal(list_text(f, "a", 0, 0), "a/one!corrupt a/two@1 ");
}

static void snapshots__come_newest_first(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec data = {.agent = "a",
                                 .session = "s",
                                 .index = 11,
                                 .payload = "x",
                                 .len = 1,
                                 .description = "long"};

    put_one(f, "a", "s", 2);
    put_one(f, "a", "s", 1000);
    fixture_put_data(f, &data);
    fixture_claim(f, "a", "s", 5);
    fixture_tombstone(f, "a", "s", 4);
    assert_string_equal(list_text(f, "a/s", 0, 0), "a/s@1000 a/s@11 a/s@2 ");
    assert_string_equal(list_text(f, "a/s", PERSIST_LIST_LONG, 0),
                        "a/s@1000=words a/s@11=long a/s@2=words ");
    assert_string_equal(list_text(f, "a/s", 0, 2), "a/s@1000 a/s@11 ");
    assert_string_equal(list_text(f, "a/default", 0, 0), "not_found");
    fixture_tombstone(f, "a", "dead", 4);
    assert_string_equal(list_text(f, "a/dead", 0, 0), "not_found");
    assert_string_equal(list_text(f, "a/dead", PERSIST_LIST_LONG, 0),
                        "not_found");
}

static void snapshots__have_sizes_and_times(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec data = {
        .agent = "a", .session = "s", .index = 3, .payload = "x", .len = 1};
    const struct persist_entry *e = NULL;
    struct persist_listing *l = NULL;
    struct persist_error err;
    char key[KEY_CAP];
    uint64_t len = 0;
    char byte;

    f->memory->set_now(f->id, 1234567890);
    fixture_put_data(f, &data);
    fixture_key("a", "s", 3, KEY_DATA, key);
    assert_int_equal(f->memory->get(f->id, key, &byte, 1, &len), 0);
    assert_ok(persist_list(f->store, "a/s", NULL, &l, &err), &err);
    assert_int_equal(persist_listing_next(l, &e, &err), 1);
    assert_int_equal(e->kind, PERSIST_ENTRY_SNAPSHOT);
    assert_true(e->present & PERSIST_ENTRY_MODIFIED);
    assert_int_equal(e->modified_us, 1234567890);
    assert_int_equal(e->stored_size, len);
    assert_int_equal(e->struct_size, sizeof(*e));
    assert_int_equal(persist_listing_next(l, &e, &err), 0);
    assert_int_equal(persist_listing_next(l, &e, &err), 0);
    persist_listing_close(l);
}

static void snapshots__name_damage_in_long_listings(void **state)
{
    struct fixture *f = *state;
    char key[KEY_CAP];
    char rubbish[TOMBSTONE_LEN] = "";

    put_one(f, "a", "s", 1);
    put_one(f, "a", "s", 2);
    put_one(f, "a", "s", 3);
    fixture_key("a", "s", 2, KEY_SNAP, key);
    fixture_set(f, key, "cut", 3);
    fixture_key("a", "s", 4, KEY_SNAP, key);
    fixture_set(f, key, rubbish, sizeof(rubbish));
    assert_string_equal(list_text(f, "a/s", 0, 0), "a/s@3 a/s@2 a/s@1 ");
    assert_string_equal(list_text(f, "a/s", PERSIST_LIST_LONG, 0),
                        "a/s@4!corrupt a/s@3=words a/s@2!corrupt a/s@1=words ");
}

static int32_t deny(void *ctx, const struct memory_event *e)
{
    unsigned *left = ctx;

    if (e->phase != MEMORY_BEFORE)
        return 0;
    if (*left > 0) {
        (*left)--;
        return 0;
    }
    return PERSIST_BACKEND_DENIED;
}

static void failures__end_a_listing_for_good(void **state)
{
    struct fixture *f = *state;
    const struct persist_entry *e = NULL;
    struct persist_listing *l = NULL;
    struct persist_error err = {0};
    unsigned left = 0;

    put_one(f, "a", "one", 1);
    put_one(f, "a", "two", 1);
    f->memory->set_hook(f->id, deny, &left);
    assert_status(persist_list(f->store, NULL, NULL, &l, &err),
                  PERSIST_E_DENIED, &err);
    assert_status(persist_list(f->store, "a", NULL, &l, &err), PERSIST_E_DENIED,
                  &err);
    assert_status(persist_list(f->store, "a/one", NULL, &l, &err),
                  PERSIST_E_DENIED, &err);
    left = 2; /* the folders, the first session's latest */
    assert_ok(persist_list(f->store, "a", NULL, &l, &err), &err);
    assert_int_equal(persist_listing_next(l, &e, &err), 1);
    assert_status(persist_listing_next(l, &e, &err), PERSIST_E_DENIED, &err);
    assert_null(e);
    f->memory->set_hook(f->id, NULL, NULL);
    memset(&err, 0, sizeof(err));
    assert_status(persist_listing_next(l, &e, &err), PERSIST_E_DENIED, &err);
    assert_int_equal(err.status, PERSIST_E_DENIED);
    persist_listing_close(l);
}

/* Its copy of rows that were read before the fork is no answer either. */
static void fork__is_noticed_between_rows(void **state)
{
    struct fixture *f = *state;
    const struct persist_entry *e = NULL;
    struct persist_listing *l = NULL;
    struct persist_error err = {0};
    int status = -1;

    put_one(f, "a", "s", 1);
    put_one(f, "a", "s", 2);
    assert_ok(persist_list(f->store, "a/s", NULL, &l, &err), &err);
    assert_int_equal(persist_listing_next(l, &e, &err), 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(persist_listing_next(l, &e, &err) != PERSIST_E_FORKED);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(persist_listing_next(l, &e, &err), 1);
    persist_listing_close(l);
}

static void misuse__is_told(void **state)
{
    struct fixture *f = *state;
    struct persist_list_options o = PERSIST_LIST_OPTIONS_INIT;
    const struct persist_entry *e = NULL;
    struct persist_listing *l = NULL;
    struct persist_error err = {0};

    assert_status(persist_list(f->store, NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_list(NULL, NULL, NULL, &l, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(persist_listing_next(NULL, &e, &err), PERSIST_E_MISUSE, &err);
    o.flags = 2;
    assert_status(persist_list(f->store, NULL, &o, &l, &err), PERSIST_E_INVALID,
                  &err);
    o.flags = 0;
    o.struct_size = 0;
    assert_status(persist_list(f->store, NULL, &o, &l, &err), PERSIST_E_MISUSE,
                  &err);
    persist_listing_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(agents__are_folder_names),
        TEST(agents__skip_foreign_names_and_say_so_once),
        TEST(agents__cost_one_request_a_thousand),
        TEST(sessions__show_their_latest),
        TEST(sessions__show_a_damaged_one_without_latest),
        TEST(snapshots__come_newest_first),
        TEST(snapshots__have_sizes_and_times),
        TEST(snapshots__name_damage_in_long_listings),
        TEST(failures__end_a_listing_for_good),
        TEST(fork__is_noticed_between_rows),
        TEST(misuse__is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
