/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which store is opened, from which words, and what is said when there is
 * none.  Nothing here makes a request.
 */
#include "engine/save_test_kit.h"

#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR "/tests/backends"};

/* An instance over this configuration text. */
static struct persist *configured(const char *text, const char *const *settings,
                                  size_t n)
{
    char path[] = "/tmp/persist-store-XXXXXX";
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.config_file = path;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.settings = settings;
    o.n_settings = n;
    assert_ok(persist_create(&o, &p, &err), &err);
    unlink(path);
    return p;
}

static int open_and_close(struct persist *p, const char *name, char out[64],
                          struct persist_error *err)
{
    struct persist_store *store = NULL;
    int rc = persist_open(p, name, &store, err);

    if (!rc) {
        snprintf(out, 64, "%s %s", persist_store_name(store),
                 persist_store_backend(store));
        persist_close(store);
    }
    return rc;
}

static void *close_it(void *store)
{
    persist_close(store);
    return NULL;
}

/* In one thread it would be for ever: the log tells a person why. */
static void close__says_that_it_waits(void **state)
{
    struct persist_error err = {0};
    struct persist_reader *reader = NULL;
    struct persist_store *store;
    struct rig *r = *state;
    uint64_t patience = engine_close_patience_ns;
    pthread_t closer;
    bool told = false;

    rig_save(r, "x", 0);
    store = rig_again(r, "again", NULL);
    engine_close_patience_ns = 1000000;
    assert_ok(persist_reader_open(store, "a", NULL, &reader, &err), &err);
    assert_int_equal(pthread_create(&closer, NULL, close_it, store), 0);
    for (int i = 0; i < 2000 && !told; i++) {
        usleep(5000);
        pthread_mutex_lock(&r->log_mutex);
        told = r->log.len > 0 &&
               strstr(r->log.data, "persist_close waits for") != NULL &&
               strstr(r->log.data, "open=1") != NULL;
        pthread_mutex_unlock(&r->log_mutex);
    }
    persist_reader_close(reader);
    assert_int_equal(pthread_join(closer, NULL), 0);
    engine_close_patience_ns = patience;
    assert_true(told);
}

static const char two[] = "[store one]\nbackend = memory\nstore = m1\n"
                          "[store two]\nbackend = memory\nstore = m2\n";

static void open__takes_the_named_store(void **state)
{
    struct persist *p = configured(two, NULL, 0);
    struct persist_error err = {0};
    char got[64];

    (void)state;
    assert_ok(open_and_close(p, "two", got, &err), &err);
    assert_string_equal(got, "two memory");
    assert_status(open_and_close(p, "three", got, &err), PERSIST_E_NOT_FOUND,
                  &err);
    assert_contains(err.hint, "one, two");
    persist_destroy(p);
}

static void open__takes_the_only_store(void **state)
{
    struct persist *p = configured("[store sole]\nbackend = memory\n", NULL, 0);
    struct persist_error err = {0};
    char got[64];

    (void)state;
    assert_ok(open_and_close(p, NULL, got, &err), &err);
    assert_string_equal(got, "sole memory");
    persist_destroy(p);
}

static void open__asks_which_of_several(void **state)
{
    static const char *const settings[] = {"store=two"};
    static const char *const wrong[] = {"store=four"};
    struct persist *p = configured(two, NULL, 0);
    struct persist_error err = {0};
    char got[64];

    (void)state;
    assert_status(open_and_close(p, NULL, got, &err), PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "one, two");
    persist_destroy(p);
    p = configured(two, settings, 1);
    assert_ok(open_and_close(p, NULL, got, &err), &err);
    assert_string_equal(got, "two memory");
    persist_destroy(p);
    p = configured(two, wrong, 1);
    assert_status(open_and_close(p, NULL, got, &err), PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "\"four\"");
    persist_destroy(p);
}

static void open__says_what_is_wrong_with_a_store(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"[store s]\nroot = /tmp\n", "names no backend"},
        {"[store s]\nbackend = nosuch\n", "nosuch"},
        {"[store s]\nbackend = memory\nstroe = x\n", "stroe"},
        {"[store s]\nbackend = memory\nlatency = fast\n", "latency"},
        {"[store s]\nbackend = memory\naccept_durability = maybe\n",
         "accept_durability"},
        {"[store s]\nbackend = memory\nfile_only = true\n", "durab"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct persist *p = configured(rows[i].text, NULL, 0);
        struct persist_error err = {0};
        char got[64];

        assert_status(open_and_close(p, "s", got, &err), PERSIST_E_CONFIG,
                      &err);
        assert_contains(err.message, rows[i].says);
        persist_destroy(p);
    }
}

static void open__refuses_bad_calls(void **state)
{
    struct persist *p = configured(two, NULL, 0);
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    (void)state;
    assert_status(persist_open(NULL, NULL, &store, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(persist_open(p, "one", NULL, &err), PERSIST_E_MISUSE, &err);
    persist_close(NULL);
    assert_null(persist_store_name(NULL));
    assert_null(persist_store_backend(NULL));
    persist_destroy(p);
}

/* ---------------------------------------------------------- default store */

struct found {
    const char *key;
    char value[256];
    char origin[64];
};

static int find(void *ctx, const struct persist_setting *setting)
{
    struct found *f = ctx;

    if (setting->store && strcmp(setting->store, ENGINE_DEFAULT_STORE) == 0 &&
        strcmp(setting->key, f->key) == 0) {
        snprintf(f->value, sizeof f->value, "%s", setting->value);
        snprintf(f->origin, sizeof f->origin, "%s", setting->origin);
    }
    return 0;
}

/* The root of the built-in store for this environment, and whether one may be
 * opened without a name. */
static void default_root(const char *data_home, const char *home, uid_t uid,
                         char out[256])
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct found f = {"root", "", ""};
    struct persist_store *store = NULL;
    struct persist_error err = {0};
    struct persist *p = NULL;

    setenv("HOME", home, 1);
    setenv("XDG_DATA_HOME", data_home, 1);
    if (!*home)
        unsetenv("HOME");
    if (geteuid() == 0 && uid)
        assert_int_equal(seteuid(uid), 0);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_ok(persist_config_show(p, find, &f, &err), &err);
    snprintf(out, 256, "%s", f.value);
    if (!f.value[0]) {
        assert_status(persist_open(p, NULL, &store, &err), PERSIST_E_CONFIG,
                      &err);
        assert_contains(err.message, "HOME");
    }
    persist_destroy(p);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void default_store__lies_where_data_belongs(void **state)
{
    const char *home = getenv("HOME");
    char *kept = home ? strdup(home) : NULL;
    uid_t user = geteuid() ? geteuid() : 65534;
    char root[256];

    (void)state;
    default_root("/data", "/home/u", user, root);
    assert_string_equal(root, "/data/persist");
    default_root("", "/home/u", user, root);
    assert_string_equal(root, "/home/u/.local/share/persist");
    default_root("relative", "/home/u", user, root);
    assert_string_equal(root, "/home/u/.local/share/persist");
    default_root("", "", user, root);
    assert_string_equal(root, "");
    if (geteuid() == 0) {
        default_root("/data", "/home/u", 0, root);
        assert_string_equal(root, "/var/lib/persist");
    }
    unsetenv("XDG_DATA_HOME");
    if (kept)
        setenv("HOME", kept, 1);
    free(kept);
}

static void default_store__gives_way_to_a_configured_one(void **state)
{
    struct persist *p = configured("[store s]\nbackend = memory\n", NULL, 0);
    struct found f = {"backend", "", ""};
    struct persist_error err = {0};
    char got[64];

    (void)state;
    assert_ok(persist_config_show(p, find, &f, &err), &err);
    assert_string_equal(f.value, "");
    assert_status(open_and_close(p, ENGINE_DEFAULT_STORE, got, &err),
                  PERSIST_E_NOT_FOUND, &err);
    persist_destroy(p);
}

/* What the built-in store has for a key under one setting; "" for nothing. */
static void default_value(const char *setting, const char *key, char out[256])
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct found f = {key, "", ""};
    struct persist_error err = {0};
    struct persist *p = NULL;

    setenv("XDG_DATA_HOME", "/data", 1);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.settings = &setting;
    o.n_settings = setting ? 1 : 0;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_ok(persist_config_show(p, find, &f, &err), &err);
    snprintf(out, 256, "%s", f.value);
    persist_destroy(p);
    unsetenv("XDG_DATA_HOME");
}

/* An unmounted disk looks like a missing root. */
static void default_store__creates_no_root_that_was_chosen(void **state)
{
    char got[256];

    (void)state;
    default_value(NULL, "create", got);
    assert_string_equal(got, "true");
    default_value("root=/mnt/disk", "create", got);
    assert_string_equal(got, "");
    default_value("store=local", "create", got);
    assert_string_equal(got, "true");
}

static void default_store__leaves_another_backend_its_own_options(void **state)
{
    char got[256];

    (void)state;
    default_value("backend=memory", "backend", got);
    assert_string_equal(got, "memory");
    default_value("backend=memory", "root", got);
    assert_string_equal(got, "");
    default_value("backend=memory", "create", got);
    assert_string_equal(got, "");
}

/* ---------------------------------------------------------------- builder */

static void builder__names_every_problem(void **state)
{
    struct persist *p = configured(two, NULL, 0);
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    (void)state;
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    persist_store_builder_set(b, "stroe", "x");
    persist_store_builder_set(b, "latency", "fast");
    persist_store_builder_set(b, "backend", "other");
    persist_store_builder_set(b, "actor", NULL);
    persist_store_builder_set(b, NULL, "value");
    assert_status(persist_store_builder_build(b, &store, &err),
                  PERSIST_E_CONFIG, &err);
    assert_null(store);
    assert_contains(err.message, "stroe");
    assert_contains(err.message, "latency");
    assert_contains(err.message, "backend was named");
    assert_contains(err.message, "actor is NULL");
    assert_contains(err.message, "a key is NULL");
    persist_destroy(p);
}

static void builder__keeps_what_it_was_told_and_cannot_use(void **state)
{
    struct persist *p = configured(two, NULL, 0);
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    (void)state;
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    persist_store_builder_set(b, "store", "fine");
    persist_store_builder_set(b, "Not A Key!", "x");
    assert_status(persist_store_builder_build(b, &store, &err),
                  PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "Not A Key!");
    persist_destroy(p);
}

static void builder__builds_alone(void **state)
{
    static const char *const settings[] = {"actor=setting"};
    struct persist *p = configured(two, settings, 1);
    struct persist_store_builder *a = NULL, *b = NULL;
    struct persist_store *first = NULL, *second = NULL;
    struct persist_error err = {0};
    int i;

    (void)state;
    assert_ok(persist_store_builder_create(p, "memory", &a, &err), &err);
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    persist_store_builder_set(a, "store", "builder-a");
    persist_store_builder_set(b, "store", "builder-b");
    assert_ok(persist_store_builder_build(a, &first, &err), &err);
    assert_ok(persist_store_builder_build(b, &second, &err), &err);
    assert_string_equal(persist_store_name(first), "builder");
    assert_string_equal(persist_store_backend(first), "memory");
    for (i = 0; i < 2; i++)
        assert_ok(persist_save_buffer(i ? first : second, "a", "x", 1, NULL,
                                      NULL, &err),
                  &err);
    persist_close(first);
    persist_close(second);
    /* None of them is one of the instance's stores. */
    assert_status(persist_open(p, "builder", &first, &err), PERSIST_E_NOT_FOUND,
                  &err);
    persist_destroy(p);
}

static void builder__refuses_bad_calls(void **state)
{
    struct persist *p = configured(two, NULL, 0);
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    (void)state;
    assert_status(persist_store_builder_create(p, NULL, &b, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_store_builder_create(p, "memory", NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_store_builder_build(NULL, &store, &err),
                  PERSIST_E_MISUSE, &err);
    persist_store_builder_set(NULL, "a", "b");
    persist_store_builder_destroy(NULL);
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    persist_store_builder_destroy(b);
    assert_ok(persist_store_builder_create(p, "nosuch", &b, &err), &err);
    assert_status(persist_store_builder_build(b, &store, &err),
                  PERSIST_E_CONFIG, &err);
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    assert_status(persist_store_builder_build(b, NULL, &err), PERSIST_E_MISUSE,
                  &err);
    persist_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__takes_the_named_store),
        cmocka_unit_test(open__takes_the_only_store),
        cmocka_unit_test(open__asks_which_of_several),
        cmocka_unit_test(open__says_what_is_wrong_with_a_store),
        cmocka_unit_test(open__refuses_bad_calls),
        cmocka_unit_test(default_store__lies_where_data_belongs),
        cmocka_unit_test(default_store__gives_way_to_a_configured_one),
        cmocka_unit_test(default_store__creates_no_root_that_was_chosen),
        cmocka_unit_test(default_store__leaves_another_backend_its_own_options),
        cmocka_unit_test_setup_teardown(close__says_that_it_waits, rig_setup,
                                        rig_teardown),
        cmocka_unit_test(builder__names_every_problem),
        cmocka_unit_test(builder__keeps_what_it_was_told_and_cannot_use),
        cmocka_unit_test(builder__builds_alone),
        cmocka_unit_test(builder__refuses_bad_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
