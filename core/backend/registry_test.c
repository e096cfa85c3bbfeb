/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader end to end, with plugin files made by fixtures/.  The compiled-in
 * directory is replaced by one of the test's own (plugin_builtin_dir below).
 *
 * What is loaded stays for the life of the process, so every test uses paths
 * that no other test has loaded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_test.h"
#include "backend/loader.h"
#include "backend/registry.h"

static struct persist_error err;
static const char *builtin = FIXTURES;
static const char *trusted = FIXTURES;

const char *plugin_builtin_dir(void)
{
    return builtin;
}

const char *plugin_trusted_dir(void)
{
    return trusted;
}

static int setup(void **state)
{
    (void)state;
    memset(&err, 0, sizeof(err));
    builtin = FIXTURES;
    trusted = FIXTURES;
    file_make_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_remove_dir();
    return 0;
}

static int load(const char *name)
{
    const struct plugin *plugin = NULL;
    int rc = plugin_load(NULL, name, &plugin, &err);

    assert_int_equal(rc == PERSIST_OK, plugin != NULL);
    return rc;
}

static int load_file(const char *path)
{
    const struct plugin *plugin = NULL;
    int rc = plugin_load_file(path, &plugin, &err);

    assert_int_equal(rc == PERSIST_OK, plugin != NULL);
    return rc;
}

#define ASSERT_HAS(text, part)                                                 \
    do {                                                                       \
        if (!strstr(text, part))                                               \
            fail_msg("\"%s\" does not hold \"%s\"", text, part);               \
    } while (0)

static void assert_refused(const char *name, const char *why)
{
    assert_int_equal(load(name), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, why);
    ASSERT_HAS(err.message, name);
    ASSERT_HAS(err.object, name);
}

/* ------------------------------------------------------------------- names */

static void load__gives_one_plugin_for_one_file(void **state)
{
    const struct plugin *first = NULL;
    const struct plugin *again = NULL;
    char *real = realpath(FIXTURES "/good.so", NULL);

    (void)state;
    assert_int_equal(plugin_load(NULL, "good", &first, &err), PERSIST_OK);
    assert_string_equal(first->descriptor.name, "good");
    assert_string_equal(first->path, real);
    free(real);
    assert_int_equal(symlink(FIXTURES "/good.so", file_path("link.so")), 0);
    assert_int_equal(plugin_load_file(file_path("link.so"), &again, &err),
                     PERSIST_OK);
    assert_ptr_equal(first, again);
}

static void load__refuses_what_is_no_name(void **state)
{
    static const char *const bad[] = {
        "",
        "../good",
        "good.so",
        "/etc/passwd",
        "Good",
        "go od",
        "good_1",
        ".",
        "go/od",
        "good\n",
        "a23456789012345678901234567890123",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(load(bad[i]), PERSIST_E_CONFIG);
        ASSERT_HAS(err.message, "is no name of a backend");
    }
}

static void load__names_the_package_of_a_missing_backend(void **state)
{
    (void)state;
    assert_int_equal(load("a2345678901234567890123456789012"),
                     PERSIST_E_NOT_FOUND);
    assert_int_equal(load("s3"), PERSIST_E_NOT_FOUND);
    ASSERT_HAS(err.message, "there is no backend s3 in " FIXTURES);
    ASSERT_HAS(err.hint, "package persist-backend-s3,");
    assert_int_equal(load("local"), PERSIST_E_NOT_FOUND);
    ASSERT_HAS(err.hint, "package persist,");
    /* A slip, or somebody's own: what there is. */
    assert_int_equal(load("lokal"), PERSIST_E_NOT_FOUND);
    ASSERT_HAS(err.hint, "backends found: ");
    assert_null(strstr(err.hint, "package"));
}

static void load__takes_the_first_directory_that_has_it(void **state)
{
    char missing[512];
    snprintf(missing, sizeof(missing), "%s", file_path("missing"));
    const char *const dirs[] = {missing, file_dir};
    const struct plugin_dirs both = {dirs, 2};
    const struct plugin *plugin = NULL;

    (void)state;
    file_copy_fixture("good1", file_path("good1.so"));
    assert_int_equal(plugin_load(&both, "good1", &plugin, &err), PERSIST_OK);
    assert_string_equal(plugin->path, file_path("good1.so"));

    /* A broken one in front is an error, never passed over. */
    file_write(file_path("good2.so"), "junk", 4);
    assert_int_equal(plugin_load(&both, "good2", &plugin, &err),
                     PERSIST_E_CONFIG);
    assert_int_equal(plugin_load(&both, "good3", &plugin, &err), PERSIST_OK);
    assert_int_equal(plugin_load(&both, "nowhere", &plugin, &err),
                     PERSIST_E_NOT_FOUND);
    ASSERT_HAS(err.message, "the backend directories or ");
}

static void load__refuses_relative_paths(void **state)
{
    const char *const dirs[] = {"backends"};
    const struct plugin_dirs relative = {dirs, 1};
    const struct plugin *plugin = NULL;

    (void)state;
    assert_int_equal(plugin_load(&relative, "good", &plugin, &err),
                     PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "is not an absolute path");
    assert_int_equal(load_file("good.so"), PERSIST_E_CONFIG);
    assert_int_equal(load_file(""), PERSIST_E_CONFIG);
}

static void load__wants_the_file_named_like_the_backend(void **state)
{
    const char *const dirs[] = {file_dir};
    const struct plugin_dirs mine = {dirs, 1};
    const struct plugin *plugin = NULL;

    (void)state;
    file_copy_fixture("good4", file_path("other.so"));
    assert_int_equal(plugin_load(&mine, "other", &plugin, &err),
                     PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "says that its name is good4");
    ASSERT_HAS(err.hint, "good4.so");
    assert_int_equal(plugin_load_file(file_path("other.so"), &plugin, &err),
                     PERSIST_OK);
    assert_string_equal(plugin->descriptor.name, "good4");
}

static void load__ignores_search_paths_and_la_files(void **state)
{
    const char *const dirs[] = {file_dir};
    const struct plugin_dirs mine = {dirs, 1};
    const struct plugin *plugin = NULL;
    static const char la[] = "dlname='null.so'\nlibrary_names='null.so'\n"
                             "installed=yes\nlibdir='" FIXTURES "'\n";

    (void)state;
    builtin = "/nonexistent/backends";
    setenv("LTDL_LIBRARY_PATH", FIXTURES, 1);
    setenv("LD_LIBRARY_PATH", FIXTURES, 1);
    file_write(file_path("good5.la"), la, sizeof(la) - 1);
    assert_int_equal(plugin_load(&mine, "good5", &plugin, &err),
                     PERSIST_E_NOT_FOUND);
    file_copy_fixture("good5", file_path("good5.so"));
    assert_int_equal(plugin_load(&mine, "good5", &plugin, &err), PERSIST_OK);
    assert_string_equal(plugin->path, file_path("good5.so"));
    assert_int_equal(plugin_load(&mine, "good6", &plugin, &err),
                     PERSIST_E_NOT_FOUND);
    unsetenv("LTDL_LIBRARY_PATH");
    unsetenv("LD_LIBRARY_PATH");
}

/* ---------------------------------------------------------- broken plugins */

static void load__refuses_a_plugin_without_descriptor(void **state)
{
    (void)state;
    assert_refused("null", "returned no descriptor");
}

static void load__refuses_a_wrong_magic_number(void **state)
{
    (void)state;
    assert_refused("magic", "wrong magic number");
    /* It stays in the process: the answer stays too. */
    memset(&err, 0, sizeof(err));
    assert_refused("magic", "wrong magic number");
}

static void load__refuses_a_newer_version_naming_both(void **state)
{
    (void)state;
    assert_refused("future", "plugin ABI 1.9; this one has 1.0");
}

static void load__refuses_a_plugin_without_entry(void **state)
{
    (void)state;
    assert_refused("no-entry", "has no persist_backend_entry_v1");
}

static void load__refuses_an_entry_of_a_library_it_needs(void **state)
{
    (void)state;
    assert_refused("borrowed", "has no persist_backend_entry_v1 of its own");
}

static void load__names_the_missing_symbol(void **state)
{
    (void)state;
    assert_refused("undefined", "persist_fixture_nobody_defines_this");
}

static void load__names_the_missing_library(void **state)
{
    (void)state;
    assert_refused("orphan", "libbackend_fixture_entry.so");
}

static void load__refuses_truncated_files(void **state)
{
    size_t len = 0;
    uint8_t *bytes = file_read_fixture("good7", &len);

    (void)state;
    for (size_t cut = 0; cut < len; cut += len / 32) {
        file_write(file_path("good7.so"), bytes, cut);
        assert_int_equal(load_file(file_path("good7.so")), PERSIST_E_CONFIG);
        assert_null(dlopen(file_path("good7.so"), RTLD_NOW | RTLD_NOLOAD));
    }
    /* Nothing of it was loaded, so the whole file is welcome. */
    file_write(file_path("good7.so"), bytes, len);
    assert_int_equal(load_file(file_path("good7.so")), PERSIST_OK);
    free(bytes);
}

static void
load__refuses_what_others_can_write_outside_the_compiled_in(void **state)
{
    (void)state;
    file_copy_fixture("good8", file_path("good8.so"));
    assert_int_equal(chmod(file_path("good8.so"), 0720), 0);
    assert_int_equal(load_file(file_path("good8.so")), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "is not trusted");

    /* Being searched without being asked for is no reason. */
    builtin = file_dir;
    assert_int_equal(load_file(file_path("good8.so")), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "is not trusted");

    /* The same file in the compiled-in directory. */
    trusted = file_dir;
    assert_int_equal(load_file(file_path("good8.so")), PERSIST_OK);
    /* ... which does not extend to what lies below it. */
    assert_int_equal(mkdir(file_path("sub"), 0700), 0);
    file_copy_fixture("good8", file_path("sub/good8.so"));
    assert_int_equal(chmod(file_path("sub/good8.so"), 0720), 0);
    assert_int_equal(load_file(file_path("sub/good8.so")), PERSIST_E_CONFIG);
}

static void load__checks_the_target_of_a_link_not_the_link(void **state)
{
    (void)state;
    assert_int_equal(mkdir(file_path("shared"), 0700), 0);
    file_copy_fixture("good8", file_path("shared/good8.so"));
    assert_int_equal(chmod(file_path("shared"), 0770), 0);
    assert_int_equal(mkdir(file_path("mine"), 0700), 0);
    assert_int_equal(symlink("../shared/good8.so", file_path("mine/good8.so")),
                     0);
    assert_int_equal(load_file(file_path("mine/good8.so")), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "shared can be written by others");
}

static void load__reports_files_that_are_not_there(void **state)
{
    (void)state;
    assert_int_equal(load_file(file_path("none.so")), PERSIST_E_NOT_FOUND);
    assert_int_equal(symlink("loop.so", file_path("loop.so")), 0);
    assert_int_equal(load_file(file_path("loop.so")), PERSIST_E_CONFIG);
    assert_int_equal(load_file("/etc/passwd/x.so"), PERSIST_E_NOT_FOUND);
    assert_int_equal(mkdir(file_path("dir.so"), 0700), 0);
    assert_int_equal(load_file(file_path("dir.so")), PERSIST_E_CONFIG);
}

static void load__notices_a_file_that_is_replaced_meanwhile(void **state)
{
    persist_backend_entry_fn entry = NULL;
    bool stays = false;

    (void)state;
    file_copy_fixture("good8", file_path("a.so"));
    file_copy_fixture("good8", file_path("b.so"));
    int fd = open(file_path("a.so"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(loader_open(file_path("b.so"), fd, &entry, &stays, &err),
                     PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "was replaced");
    assert_true(stays);
    assert_null(entry);
    close(fd);
}

/* -------------------------------------------------------------------- init */

static int32_t count_of_inits(const struct plugin *plugin)
{
    int32_t n = 0;

    memcpy(&n, plugin->descriptor.get_extension("n"), sizeof(n));
    return n;
}

static void *init_it(void *arg)
{
    return (void *)(intptr_t)plugin_init(arg, NULL);
}

static void init__runs_once_however_many_ask(void **state)
{
    const struct plugin *plugin = NULL;
    pthread_t threads[8];

    (void)state;
    assert_int_equal(plugin_load(NULL, "init", &plugin, &err), PERSIST_OK);
    assert_int_equal(count_of_inits(plugin), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, init_it,
                                        (void *)(uintptr_t)plugin),
                         0);
    for (size_t i = 0; i < 8; i++) {
        void *rc = NULL;
        pthread_join(threads[i], &rc);
        assert_null(rc);
    }
    assert_int_equal(count_of_inits(plugin), 1);
}

static void init__failure_is_the_answer_for_good(void **state)
{
    const struct plugin *plugin = NULL;

    (void)state;
    assert_int_equal(plugin_load(NULL, "init-fails", &plugin, &err),
                     PERSIST_OK);
    for (int i = 0; i < 2; i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(plugin_init(plugin, &err), PERSIST_E_CONFIG);
        assert_string_equal(err.message, "backend init-fails cannot start: 1");
    }
    assert_int_equal(count_of_inits(plugin), 1);
    assert_int_equal(plugin_load(NULL, "good", &plugin, &err), PERSIST_OK);
    assert_int_equal(plugin_init(plugin, &err), PERSIST_OK);
}

/* ---------------------------------------------------------------- listing */

struct listed {
    char names[1024];
    const char *only_path_of;
    char path[512];
    int rc;
};

static int add_name(void *ctx, const char *name, const char *path)
{
    struct listed *l = ctx;
    size_t at = strlen(l->names);

    snprintf(l->names + at, sizeof(l->names) - at, "%s ", name);
    if (strcmp(name, l->only_path_of) == 0)
        snprintf(l->path, sizeof(l->path), "%s", path);
    return l->rc;
}

static void each_file__lists_first_of_each_name_in_order(void **state)
{
    char a[512];
    char b[512];
    struct listed listed = {.only_path_of = "one"};

    (void)state;
    snprintf(a, sizeof(a), "%s", file_path("a"));
    snprintf(b, sizeof(b), "%s", file_path("b"));
    const char *const dirs[] = {"/nonexistent", a, b};
    const struct plugin_dirs three = {dirs, 3};
    builtin = file_dir;
    assert_int_equal(mkdir(a, 0700), 0);
    assert_int_equal(mkdir(b, 0700), 0);
    file_write(file_path("a/two.so"), "", 0);
    file_write(file_path("a/one.so"), "", 0);
    file_write(file_path("b/one.so"), "", 0);
    file_write(file_path("b/three.so"), "", 0);
    file_write(file_path("zero.so"), "", 0);
    file_write(file_path("a/.so"), "", 0);
    file_write(file_path("a/UP.so"), "", 0);
    file_write(file_path("a/one.la"), "", 0);
    file_write(file_path("a/lib.so.1"), "", 0);

    assert_int_equal(plugin_each_file(&three, add_name, &listed, &err), 0);
    assert_string_equal(listed.names, "one three two zero ");
    assert_string_equal(listed.path, file_path("a/one.so"));

    listed = (struct listed){.only_path_of = "one", .rc = -7};
    assert_int_equal(plugin_each_file(&three, add_name, &listed, &err), -7);
    assert_string_equal(listed.names, "one ");
    listed = (struct listed){.only_path_of = "zero"};
    assert_int_equal(plugin_each_file(NULL, add_name, &listed, &err), 0);
    assert_string_equal(listed.names, "zero ");
}

static void each_file__lists_many(void **state)
{
    struct listed listed = {.only_path_of = "b39"};

    (void)state;
    builtin = file_dir;
    for (int i = 10; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "b%d.so", i);
        file_write(file_path(name), "", 0);
    }
    assert_int_equal(plugin_each_file(NULL, add_name, &listed, &err), 0);
    assert_int_equal(strlen(listed.names), 30 * 4);
}

/* ---------------------------------------------------------------- threads */

static void *load_all(void *arg)
{
    const struct plugin **out = arg;
    static const char *const names[] = {"good1", "good2", "good3", "good4",
                                        "good5", "good6", "good7", "good8"};

    for (size_t i = 0; i < 8; i++)
        if (plugin_load(NULL, names[i], &out[i], NULL) != PERSIST_OK)
            return arg;
    return plugin_load(NULL, "null", &out[8], NULL) == PERSIST_E_CONFIG ? NULL
                                                                        : arg;
}

static void load__serves_sixteen_threads(void **state)
{
    static const struct plugin *loaded[16][9];
    pthread_t threads[16];

    (void)state;
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_all, loaded[i]),
                         0);
    for (size_t i = 0; i < 16; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (size_t i = 1; i < 16; i++)
        assert_memory_equal(loaded[0], loaded[i], sizeof(loaded[0]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(load__serves_sixteen_threads), /* first: nothing is loaded yet */
        TEST(load__gives_one_plugin_for_one_file),
        TEST(load__refuses_what_is_no_name),
        TEST(load__names_the_package_of_a_missing_backend),
        TEST(load__takes_the_first_directory_that_has_it),
        TEST(load__refuses_relative_paths),
        TEST(load__wants_the_file_named_like_the_backend),
        TEST(load__ignores_search_paths_and_la_files),
        TEST(load__refuses_a_plugin_without_descriptor),
        TEST(load__refuses_a_wrong_magic_number),
        TEST(load__refuses_a_newer_version_naming_both),
        TEST(load__refuses_a_plugin_without_entry),
        /* Before the next one, which loads that library. */
        TEST(load__names_the_missing_library),
        TEST(load__refuses_an_entry_of_a_library_it_needs),
        TEST(load__names_the_missing_symbol),
        TEST(load__refuses_truncated_files),
        TEST(load__refuses_what_others_can_write_outside_the_compiled_in),
        TEST(load__checks_the_target_of_a_link_not_the_link),
        TEST(load__reports_files_that_are_not_there),
        TEST(load__notices_a_file_that_is_replaced_meanwhile),
        TEST(init__runs_once_however_many_ask),
        TEST(init__failure_is_the_answer_for_good),
        TEST(each_file__lists_first_of_each_name_in_order),
        TEST(each_file__lists_many),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
