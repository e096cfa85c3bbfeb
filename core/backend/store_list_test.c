/* SPDX-License-Identifier: Apache-2.0 */
/* Listings against a brute-force answer, and every lie a listing can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/fake_test.h"
#include "util/text.h"

#define N_KEYS 200

static struct fake f;
static char keys[N_KEYS][24]; /* sorted, no two alike */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Keys of a few letters in up to three components, so that folders, keys beside
 * folders and bytes around '/' ('-' and '.' sort before it) all occur. */
static void make_keys(void)
{
    static const char letters[] = "ab-.0";
    uint32_t seed = 12345;
    size_t n = 0;

    while (n < N_KEYS) {
        char *k = keys[n];
        size_t len = 0;
        for (int part = 0; part < 3; part++) {
            for (int i = 0; i < 3; i++) {
                seed = seed * 1664525 + 1013904223;
                k[len++] = letters[(seed >> 16) % (i ? 5 : 2)];
            }
            seed = seed * 1664525 + 1013904223;
            if (part < 2 && (seed >> 16) % 3 == 0)
                break;
            if (part < 2)
                k[len++] = '/';
        }
        k[len] = '\0';
        bool twice = false;
        for (size_t i = 0; i < n; i++)
            twice = twice || strcmp(keys[i], k) == 0;
        n += !twice;
    }
    qsort(keys, N_KEYS, sizeof(keys[0]), by_bytes);
}

static int setup(void **state)
{
    (void)state;
    make_keys();
    fake_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_teardown(&f);
    return 0;
}

/* ------------------------------------------------- an honest fake listing */

/* What a listing shows of this key: itself, or its folder. */
static bool shown_as(const char *key, const char *prefix, const char *delimiter,
                     char out[24])
{
    size_t len = strlen(prefix);
    const char *slash = NULL;

    if (strncmp(key, prefix, len) != 0)
        return false;
    if (delimiter[0])
        slash = strchr(key + len, '/');
    snprintf(out, 24, "%.*s", slash ? (int)(slash - key + 1) : 23, key);
    return true;
}

/* Every entry there is, in order; from the sorted keys, so folders repeat
 * next to each other only. */
static size_t all_entries(const char *prefix, const char *after,
                          const char *delimiter, char out[N_KEYS][24])
{
    size_t n = 0;

    for (size_t i = 0; i < N_KEYS; i++) {
        char name[24];
        if (!shown_as(keys[i], prefix, delimiter, name) ||
            strcmp(name, after) <= 0)
            continue;
        bool twice = false;
        for (size_t k = 0; k < n; k++)
            twice = twice || strcmp(out[k], name) == 0;
        if (!twice)
            memcpy(out[n++], name, 24);
    }
    qsort(out, n, 24, by_bytes);
    return n;
}

static bool is_folder(const char *name)
{
    return name[strlen(name) - 1] == '/';
}

static struct persist_backend_entry entry_of(const char *name)
{
    return (struct persist_backend_entry){
        .struct_size = sizeof(struct persist_backend_entry),
        .flags = is_folder(name) ? PERSIST_BACKEND_ENTRY_FOLDER : 0,
        .key = name,
        .size = strlen(name),
        .modified_us = 42,
        .present = PERSIST_BACKEND_HAS_MODIFIED,
    };
}

static void list_honestly(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;
    struct persist_backend_list_result *r = result;
    bool ordered = (fake->limits.flags & PERSIST_BACKEND_ORDERED_LISTING) != 0;
    char found[N_KEYS][24];
    size_t n = all_entries(a->prefix, a->start_after, a->delimiter, found);
    size_t limit = ordered && n > a->limit ? a->limit : n;

    r->more = limit < n;
    for (size_t i = 0; i < limit; i++) {
        struct persist_backend_entry e =
            entry_of(found[ordered ? i : n - 1 - i]);
        if (a->emit(a->emit_ctx, &e) != 0)
            return;
    }
}

static void assert_lists_as_brute_force(const char *prefix, const char *after,
                                        bool by_folder, uint32_t page)
{
    char expected[N_KEYS][24];
    size_t n = all_entries(prefix, after, by_folder ? "/" : "", expected);
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;

    assert_int_equal(backend_list_open(f.store, &f.op, prefix, after, by_folder,
                                       page, &l, &f.err),
                     PERSIST_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(backend_list_next(l, &e, &f.err), 1);
        assert_string_equal(e->key, expected[i]);
        assert_int_equal(e->is_folder, is_folder(expected[i]));
        assert_int_equal(e->size, strlen(expected[i]));
        assert_true(e->has_modified);
        assert_int_equal(e->modified_us, 42);
    }
    assert_int_equal(backend_list_next(l, &e, &f.err), 0);
    assert_int_equal(backend_list_next(l, &e, &f.err), 0);
    backend_list_close(l);
}

static void compare_many(void)
{
    static const char *const prefixes[] = {"", "a", "a/", "bb", "b-a/", "zz"};
    static const char *const afters[] = {"", "a", "ab/", "b-", "~"};
    static const uint32_t pages[] = {1, 2, 7, 1000, 5000, 0};

    for (size_t p = 0; p < 6; p++)
        for (size_t a = 0; a < 5; a++)
            for (size_t g = 0; g < 6; g++) {
                assert_lists_as_brute_force(prefixes[p], afters[a], false,
                                            pages[g]);
                assert_lists_as_brute_force(prefixes[p], afters[a], true,
                                            pages[g]);
            }
}

static void list__equals_brute_force(void **state)
{
    (void)state;
    f.fill = list_honestly;
    fake_open(&f);
    compare_many();
}

static void list__sorts_a_store_that_cannot(void **state)
{
    (void)state;
    f.fill = list_honestly;
    f.limits.flags = 0;
    fake_open(&f);
    compare_many();
}

static void list__asks_for_the_next_page_behind_the_last_key(void **state)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;

    (void)state;
    f.fill = list_honestly;
    fake_open(&f);
    assert_int_equal(
        backend_list_open(f.store, &f.op, "", NULL, false, 100, &l, &f.err),
        PERSIST_OK);
    while (backend_list_next(l, &e, &f.err) == 1)
        ;
    assert_int_equal(atomic_load(&f.n_calls), 2);
    backend_list_close(l);
}

static void list__repeated_page_starts_again(void **state)
{
    (void)state;
    f.fill = list_honestly; /* emits also where it fails afterwards */
    fake_answer(&f, PERSIST_BACKEND_TRANSIENT);
    fake_answer(&f, PERSIST_BACKEND_THROTTLED);
    fake_open(&f);
    assert_lists_as_brute_force("", "", false, 50);
}

/* -------------------------------------------------------------------- lies */

struct lie {
    const char *what;
    const char *prefix;
    const char *after;
    bool by_folder;
    bool unordered;
    uint32_t more;
    struct persist_backend_entry entries[4];
    size_t n;
};

#define SIZED .struct_size = sizeof(struct persist_backend_entry)
#define KEY(text)                                                              \
    {                                                                          \
        SIZED, .key = (text)                                                   \
    }
#define FOLDER(text)                                                           \
    {                                                                          \
        SIZED, .key = (text), .flags = PERSIST_BACKEND_ENTRY_FOLDER            \
    }

static char endless_key[20000];

static const struct lie lies[] = {
    {"descending", "", "", false, false, 0, {KEY("b"), KEY("a")}, 2},
    {"twice", "", "", false, false, 0, {KEY("b"), KEY("b")}, 2},
    {"twice, unordered", "", "", false, true, 0, {KEY("b"), KEY("b")}, 2},
    {"outside the prefix", "a/", "", false, false, 0, {KEY("b/c")}, 1},
    {"above the prefix", "a/", "", false, false, 0, {KEY("a")}, 1},
    {"not behind start_after", "", "m", false, false, 0, {KEY("m")}, 1},
    {"before start_after, unordered", "", "m", false, true, 0, {KEY("b")}, 1},
    {"empty key", "", "", false, false, 0, {KEY("")}, 1},
    {"no key", "", "", false, false, 0, {KEY(NULL)}, 1},
    {"small struct",
     "",
     "",
     false,
     false,
     0,
     {{.struct_size = 8, .key = "a"}},
     1},
    {"endless key", "", "", false, false, 0, {KEY(endless_key)}, 1},
    {"over the limit",
     "",
     "",
     false,
     false,
     0,
     {KEY("a"), KEY("b"), KEY("c")},
     3},
    {"more without an entry", "", "", false, false, 1, {KEY("a")}, 0},
    {"more of an unordered", "", "", false, true, 1, {KEY("a")}, 1},
    {"folder where none was asked", "", "", false, false, 0, {FOLDER("a/")}, 1},
    {"folder without slash", "", "", true, false, 0, {FOLDER("a")}, 1},
    {"folder in a folder", "", "", true, false, 0, {FOLDER("a/b/")}, 1},
    {"key in a folder", "", "", true, false, 0, {KEY("a/b")}, 1},
    {"the prefix as folder", "a/", "", true, false, 0, {FOLDER("a/")}, 1},
};

static void list_lie(struct fake *fake, const void *args, void *result)
{
    const struct lie *lie = fake->fill_data;
    const struct persist_backend_list_args *a = args;

    ((struct persist_backend_list_result *)result)->more = lie->more;
    for (size_t i = 0; i < lie->n; i++)
        a->emit(a->emit_ctx, &lie->entries[i]);
}

static void list__lies_are_corrupt(void **state)
{
    (void)state;
    memset(endless_key, 'k', sizeof(endless_key) - 1);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct backend_list *l = NULL;
        const struct backend_entry *e = NULL;
        fake_teardown(&f);
        fake_setup(&f);
        f.fill = list_lie;
        f.fill_data = &lies[i];
        f.limits.flags =
            lies[i].unordered ? 0 : PERSIST_BACKEND_ORDERED_LISTING;
        fake_open(&f);

        assert_int_equal(backend_list_open(f.store, &f.op, lies[i].prefix,
                                           lies[i].after, lies[i].by_folder, 2,
                                           &l, &f.err),
                         PERSIST_OK);
        int rc = backend_list_next(l, &e, &f.err);

        if (rc != PERSIST_E_CORRUPT)
            fail_msg("%s: %d", lies[i].what, rc);
        assert_non_null(strstr(f.err.message, "list: backend fake"));
        assert_int_equal(backend_list_next(l, &e, &f.err), PERSIST_E_MISUSE);
        backend_list_close(l);
    }
}

static persist_backend_emit_entry_fn kept_emit;
static void *kept_ctx;

static void keep_emit(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;
    struct persist_backend_entry e = entry_of("a");

    (void)fake, (void)result;
    kept_emit = a->emit;
    kept_ctx = a->emit_ctx;
    assert_int_equal(a->emit(a->emit_ctx, &e), 0);
}

static void list__emit_behind_the_op_is_refused(void **state)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;
    struct persist_backend_entry late = entry_of("late");

    (void)state;
    f.fill = keep_emit;
    fake_open(&f);
    backend_list_open(f.store, &f.op, "", "", false, 5, &l, &f.err);
    assert_int_equal(backend_list_next(l, &e, &f.err), 1);
    assert_int_equal(kept_emit(kept_ctx, &late), 1);
    assert_int_equal(backend_list_next(l, &e, &f.err), 0);
    backend_list_close(l);
}

static void refuse_then_emit(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;
    struct persist_backend_entry e = entry_of("a");

    (void)fake, (void)result;
    assert_int_equal(a->emit(a->emit_ctx, NULL), 1);
    /* Whoever goes on after a refusal is not listened to. */
    assert_int_equal(a->emit(a->emit_ctx, &e), 1);
}

static void list__emit_after_a_refusal_is_refused(void **state)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;

    (void)state;
    f.fill = refuse_then_emit;
    fake_open(&f);
    backend_list_open(f.store, &f.op, "", "", false, 5, &l, &f.err);
    assert_int_equal(backend_list_next(l, &e, &f.err), PERSIST_E_CORRUPT);
    backend_list_close(l);
}

static void list_much(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;

    (void)fake, (void)result;
    for (int i = 0; i < 1000000; i++) {
        char key[24];
        snprintf(key, sizeof(key), "%d", i);
        struct persist_backend_entry e = entry_of(key);
        if (a->emit(a->emit_ctx, &e) != 0)
            return;
    }
    fail_msg("nothing stopped the listing");
}

static void list__unordered_ends_at_half_the_memory_limit(void **state)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;

    (void)state;
    f.limits.flags = 0;
    f.fill = list_much;
    fake_open(&f);
    backend_list_open(f.store, &f.op, "", "", false, 5, &l, &f.err);
    assert_int_equal(backend_list_next(l, &e, &f.err), PERSIST_E_MEMORY);
    assert_non_null(strstr(f.err.message, "memory limit"));
    backend_list_close(l);
}

static void list__failure_is_final(void **state)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;

    (void)state;
    fake_answer(&f, PERSIST_BACKEND_DENIED);
    fake_open(&f);
    backend_list_open(f.store, &f.op, "p/", "", false, 5, &l, &f.err);
    assert_int_equal(backend_list_next(l, &e, &f.err), PERSIST_E_DENIED);
    assert_string_equal(f.err.object, "p/");
    assert_int_equal(backend_list_next(l, &e, &f.err), PERSIST_E_MISUSE);
    backend_list_close(l);
    backend_list_close(NULL);
}

static void list__refuses_an_endless_prefix(void **state)
{
    struct backend_list *l = NULL;

    (void)state;
    memset(endless_key, 'k', sizeof(endless_key) - 1);
    fake_open(&f);
    assert_int_equal(backend_list_open(f.store, &f.op, endless_key, "", false,
                                       5, &l, &f.err),
                     PERSIST_E_INVALID);
    assert_null(l);
}

/* --------------------------------------------------------------- leftovers */

static const struct persist_backend_upload *uploads;
static size_t n_uploads;

static void list_uploads(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_uploads_args *a = args;

    (void)fake, (void)result;
    for (size_t i = 0; i < n_uploads; i++)
        if (a->emit(a->emit_ctx, &uploads[i]) != 0)
            return;
}

struct seen {
    size_t n;
    uint64_t bytes;
    int rc;
};

static int see_and_remove(void *ctx, const struct backend_leftover *l)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->bytes += l->size;
    f.fill = NULL;
    assert_int_equal(
        backend_remove_leftover(f.store, &f.op, l->key, l->upload_id, &f.err),
        PERSIST_OK);
    assert_string_equal(f.last_op, "abort");
    assert_string_equal(f.args.abort.key, l->key);
    assert_string_equal(f.args.abort.upload_id, l->upload_id);
    assert_int_equal(l->has_modified, l->modified_us == 9);
    return seen->rc;
}

#define UPLOAD .struct_size = sizeof(struct persist_backend_upload)

static int64_t hostile_time;

static void list_one_dated(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;
    struct persist_backend_entry e = entry_of("k");

    (void)fake, (void)result;
    e.modified_us = hostile_time;
    a->emit(a->emit_ctx, &e);
}

static void list_upload_dated(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_uploads_args *a = args;
    const struct persist_backend_upload u = {.struct_size = sizeof(u),
                                             .key = "k",
                                             .upload_id = "1",
                                             .modified_us = hostile_time,
                                             .present =
                                                 PERSIST_BACKEND_HAS_MODIFIED};

    (void)fake, (void)result;
    a->emit(a->emit_ctx, &u);
}

static int see_time(void *ctx, const struct backend_leftover *l)
{
    *(int64_t *)ctx = l->modified_us;
    return 0;
}

/* What is added to a time, or taken from it, must not overflow. */
static void times__lie_in_the_years_there_are(void **state)
{
    static const int64_t given[] = {INT64_MIN, TEXT_TIME_MIN_US - 1, 7,
                                    TEXT_TIME_MAX_US + 1, INT64_MAX};
    static const int64_t expected[] = {TEXT_TIME_MIN_US, TEXT_TIME_MIN_US, 7,
                                       TEXT_TIME_MAX_US, TEXT_TIME_MAX_US};

    (void)state;
    fake_open(&f);
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        const struct backend_entry *e = NULL;
        struct backend_list *l = NULL;
        int64_t seen = 1;

        hostile_time = given[i];
        f.fill = list_one_dated;
        assert_int_equal(
            backend_list_open(f.store, &f.op, "", "", false, 10, &l, &f.err),
            PERSIST_OK);
        assert_int_equal(backend_list_next(l, &e, &f.err), 1);
        assert_int_equal(e->modified_us, expected[i]);
        backend_list_close(l);
        f.fill = list_upload_dated;
        assert_int_equal(
            backend_list_leftovers(f.store, &f.op, "", see_time, &seen, &f.err),
            PERSIST_OK);
        assert_int_equal(seen, expected[i]);
    }
}

static void leftovers__are_collected_before_anyone_sees_them(void **state)
{
    static const struct persist_backend_upload honest[] = {
        {UPLOAD, .key = "a/x", .upload_id = "1", .size = 5,
         .present = PERSIST_BACKEND_HAS_SIZE},
        {UPLOAD, .key = "", .upload_id = "2", .size = 7, .modified_us = 9,
         .present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED},
        {UPLOAD, .key = "a/y", .upload_id = "3", .size = 99, .modified_us = 8},
    };
    struct seen seen = {0};

    (void)state;
    uploads = honest;
    n_uploads = 3;
    f.fill = list_uploads;
    fake_answer(&f, PERSIST_BACKEND_TRANSIENT);
    fake_open(&f);

    assert_int_equal(backend_list_leftovers(f.store, &f.op, "a/",
                                            see_and_remove, &seen, &f.err),
                     PERSIST_OK);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.bytes, 12);

    f.fill = list_uploads;
    seen = (struct seen){.rc = -3};
    assert_int_equal(backend_list_leftovers(f.store, &f.op, "a/",
                                            see_and_remove, &seen, &f.err),
                     -3);
    assert_int_equal(seen.n, 1);
}

static void leftovers__lies_are_corrupt(void **state)
{
    const struct persist_backend_upload bad[] = {
        {.struct_size = 8, .key = "a", .upload_id = "1"},
        {UPLOAD, .key = NULL, .upload_id = "1"},
        {UPLOAD, .key = "a", .upload_id = NULL},
        {UPLOAD, .key = "a", .upload_id = ""},
        {UPLOAD, .key = "a", .upload_id = endless_key},
        {UPLOAD, .key = endless_key, .upload_id = "1"},
        {UPLOAD, .key = "b", .upload_id = "1"},
    };
    struct seen seen = {0};

    (void)state;
    memset(endless_key, 'a', sizeof(endless_key) - 1);
    f.fill = list_uploads;
    fake_open(&f);
    n_uploads = 1;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uploads = &bad[i];
        assert_int_equal(backend_list_leftovers(f.store, &f.op, "a",
                                                see_and_remove, &seen, &f.err),
                         PERSIST_E_CORRUPT);
    }
    assert_int_equal(seen.n, 0);
}

static void leftovers__need_the_op(void **state)
{
    struct seen seen = {0};

    (void)state;
    f.plugin.ops.list_uploads = NULL;
    fake_open(&f);
    assert_int_equal(backend_list_leftovers(f.store, &f.op, "", see_and_remove,
                                            &seen, &f.err),
                     PERSIST_E_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(list__equals_brute_force),
        TEST(list__sorts_a_store_that_cannot),
        TEST(list__asks_for_the_next_page_behind_the_last_key),
        TEST(list__repeated_page_starts_again),
        TEST(list__lies_are_corrupt),
        TEST(list__emit_behind_the_op_is_refused),
        TEST(list__emit_after_a_refusal_is_refused),
        TEST(list__unordered_ends_at_half_the_memory_limit),
        TEST(list__failure_is_final),
        TEST(list__refuses_an_endless_prefix),
        TEST(times__lie_in_the_years_there_are),
        TEST(leftovers__are_collected_before_anyone_sees_them),
        TEST(leftovers__lies_are_corrupt),
        TEST(leftovers__need_the_op),
    };
    return cmocka_run_group_tests_name("store_list", tests, NULL, NULL);
}
