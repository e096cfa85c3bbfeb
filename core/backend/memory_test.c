/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the room fails once: what was asked for answers MEMORY,
 * leaves nothing behind (the leak sanitizer looks), and works the next time.
 * The linker sends malloc and its relatives through the wrappers below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/fake_test.h"
#include "backend/file_test.h"

const char *plugin_builtin_dir(void)
{
    return file_dir;
}

const char *plugin_trusted_dir(void)
{
    return file_dir;
}

static long countdown; /* 1: the next allocation fails; below: none does */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *memory, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *memory, size_t len);

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *memory, size_t len)
{
    return fails() ? NULL : __real_realloc(memory, len);
}

static struct fake f;

static int setup(void **state)
{
    (void)state;
    countdown = 0;
    fake_setup(&f);
    f.env.log = NULL; /* a line that is lost for want of memory is no failure */
    file_make_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    countdown = 0;
    file_remove_dir();
    fake_teardown(&f);
    return 0;
}

/* Fails the first, the second, ... allocation until run needs no more. */
static void sweep(int (*run)(void))
{
    long n = 1;

    for (;; n++) {
        countdown = n;
        int rc = run();
        bool reached = countdown <= 0;
        countdown = 0;
        if (!reached) {
            assert_int_equal(rc, PERSIST_OK);
            break;
        }
        if (rc != PERSIST_E_MEMORY)
            fail_msg("allocation %ld: %d %s", n, rc, f.err.message);
    }
    assert_true(n > 1);
}

/* ------------------------------------------------------------------ stores */

static int open_and_close(void)
{
    struct option_values none = {0};
    struct backend_store *s = NULL;
    struct option_values kept = f.values;

    f.values = none;
    int rc = fake_try_open(&f, false);
    s = f.store;
    f.store = NULL;
    backend_store_close(s);
    f.values = kept;
    return rc;
}

static void open__survives_every_failure(void **state)
{
    (void)state;
    sweep(open_and_close);
}

static void list_some(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;
    struct persist_backend_list_result *r = result;
    int from = 1000;

    (void)fake;
    if (a->start_after[0])
        from = atoi(a->start_after) + 1;
    r->more = from < 1150;
    for (int i = from; i < from + 80 && i < 1200; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        const struct persist_backend_entry e = {.struct_size = sizeof(e),
                                                .key = key};
        if (a->emit(a->emit_ctx, &e) != 0)
            return;
    }
}

static void list_backwards(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_args *a = args;

    (void)fake, (void)result;
    for (int i = 1199; i >= 1000; i--) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        const struct persist_backend_entry e = {.struct_size = sizeof(e),
                                                .key = key};
        if (a->emit(a->emit_ctx, &e) != 0)
            return;
    }
}

static int list_all(void)
{
    struct backend_list *l = NULL;
    const struct backend_entry *e = NULL;
    int n = 0;
    int rc = backend_list_open(f.store, &f.op, "1", "", false, 80, &l, &f.err);

    if (rc != PERSIST_OK)
        return rc;
    while ((rc = backend_list_next(l, &e, &f.err)) == 1)
        n++;
    backend_list_close(l);
    if (rc == PERSIST_OK)
        assert_true(n > 150);
    return rc;
}

static void list__survives_every_failure(void **state)
{
    (void)state;
    fake_open(&f);
    f.fill = list_some;
    sweep(list_all);
}

static void list__unordered_survives_every_failure(void **state)
{
    (void)state;
    f.limits.flags = 0;
    fake_open(&f);
    f.fill = list_backwards;
    sweep(list_all);
}

static void fill_upload(struct fake *fake, const void *args, void *result)
{
    struct persist_backend_begin_result *r = result;

    (void)args;
    if (strcmp(fake->last_op, "begin") == 0)
        memcpy(r->upload_id, "id", 3);
}

static int upload_all(void)
{
    struct backend_upload *u = NULL;
    int rc = backend_upload_begin(f.store, &f.op, "k", NULL, &u, &f.err);

    for (uint32_t n = 1; n <= 20 && rc == PERSIST_OK; n++) {
        const struct backend_part part = {.offset = n - 1,
                                          .data = "x",
                                          .len = 1,
                                          .number = n,
                                          .is_last = n == 20};
        rc = backend_upload_part(u, &f.op, &part, &f.err);
    }
    if (rc == PERSIST_OK)
        rc = backend_upload_commit(u, &f.op, 20, 0, NULL, &f.err);
    backend_upload_destroy(u);
    return rc;
}

static void upload__survives_every_failure(void **state)
{
    (void)state;
    fake_open(&f);
    f.fill = fill_upload;
    sweep(upload_all);
}

static void emit_leftovers(struct fake *fake, const void *args, void *result)
{
    const struct persist_backend_list_uploads_args *a = args;
    const struct persist_backend_upload u = {
        .struct_size = sizeof(u), .key = "k", .upload_id = "id"};

    (void)fake, (void)result;
    for (int i = 0; i < 20; i++)
        if (a->emit(a->emit_ctx, &u) != 0)
            return;
}

static int count_one(void *ctx, const struct backend_leftover *l)
{
    (void)l;
    ++*(int *)ctx;
    return 0;
}

static int list_leftovers(void)
{
    int n = 0;
    int rc = backend_list_leftovers(f.store, &f.op, "", count_one, &n, &f.err);

    assert_int_equal(n, rc == PERSIST_OK ? 20 : 0);
    return rc;
}

static void leftovers__survive_every_failure(void **state)
{
    (void)state;
    fake_open(&f);
    f.fill = emit_leftovers;
    sweep(list_leftovers);
}

/* ----------------------------------------------------------- registry */

static int count_file(void *ctx, const char *name, const char *path)
{
    (void)name, (void)path;
    ++*(int *)ctx;
    return 0;
}

static int each_file(void)
{
    int n = 0;
    int rc = plugin_each_file(NULL, count_file, &n, &f.err);

    assert_int_equal(n, rc == PERSIST_OK ? 20 : 0);
    return rc;
}

static void each_file__survives_every_failure(void **state)
{
    (void)state;
    for (int i = 10; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof(name), "b%d.so", i);
        file_write(file_path(name), "", 0);
    }
    sweep(each_file);
}

static int load_good(void)
{
    const struct plugin *plugin = NULL;

    return plugin_load(NULL, "options", &plugin, &f.err);
}

/* A plugin that is in the process and had no memory is tried again.  The text
 * that would say what is wrong with its options is no loss where nothing is. */
static void load__survives_every_failure(void **state)
{
    long n = 0;
    int rc = PERSIST_E_MEMORY;

    (void)state;
    file_copy_fixture("options", file_path("options.so"));
    /* A libltdl that is linked statically fails too, and does not say of what.
     */
    while (rc == PERSIST_E_MEMORY ||
           (rc == PERSIST_E_CONFIG && strstr(f.err.message, "libltdl"))) {
        countdown = ++n;
        rc = load_good();
        bool reached = countdown <= 0;
        countdown = 0;
        if (!reached && rc != PERSIST_OK)
            fail_msg("still after allocation %ld: %s", n - 1, f.err.message);
    }
    assert_int_equal(rc, PERSIST_OK);
    assert_true(n > 3);
}

/* ------------------------------------------------------------- options */

static const char *const choices[] = {"a", "b", NULL};
static struct persist_backend_option table[] = {
    {.key = "s", .type = PERSIST_BACKEND_STRING, .default_text = "x"},
    {.key = "c",
     .type = PERSIST_BACKEND_CHOICE,
     .choices = choices,
     .default_text = "a"},
    {.key = "p", .type = PERSIST_BACKEND_PATH, .default_text = "~/x"},
    {.key = "u", .type = PERSIST_BACKEND_URL, .default_text = "http://h"},
    {.key = "l", .type = PERSIST_BACKEND_LIST, .default_text = "a,b"},
    {.key = "k", .type = PERSIST_BACKEND_SECRET},
};
static struct config *config;
static struct plugin plugin = {
    .descriptor = {.name = "test"}, .options = table, .n_options = 6};

static int resolve(void)
{
    struct option_values v = {0};
    int rc = option_values_resolve(&plugin, config, "archive", &v, &f.err);

    option_values_finish(&v);
    return rc;
}

static void options__survive_every_failure(void **state)
{
    static const char *const no_environment[] = {NULL};
    const struct config_sources sources = {.no_files = true,
                                           .environment = no_environment};

    (void)state;
    assert_int_equal(config_load(&sources, &config, &f.err), 0);
    assert_int_equal(config_add_store(config, "archive", "x", &f.err), 0);
    assert_int_equal(config_add_store_value(config, "archive", "thread_model",
                                            "serial", "x", &f.err),
                     0);
    assert_int_equal(
        config_add_store_value(config, "archive", "k", "secret", "x", &f.err),
        0);
    sweep(resolve);
    config_destroy(config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__survives_every_failure),
        TEST(list__survives_every_failure),
        TEST(list__unordered_survives_every_failure),
        TEST(upload__survives_every_failure),
        TEST(leftovers__survive_every_failure),
        TEST(each_file__survives_every_failure),
        TEST(load__survives_every_failure),
        TEST(options__survive_every_failure),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
