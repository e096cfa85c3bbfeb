/* SPDX-License-Identifier: Apache-2.0 */
/* Precedence: settings, environment, files, defaults, and what programs add. */
#include "services/config_testing.h"

static const char *const config_text = "[persist]\nstore = main\n"
                                       "log_level = info\n[store main]\n"
                                       "backend = local\nroot = /file\n"
                                       "[store other]\nroot = /other\n";

static int load(const char *const *environment, const char *const *settings,
                size_t n_settings, struct config **out,
                struct persist_error *err)
{
    static const char *const empty[] = {NULL};
    struct config_sources sources = nothing_else();
    sources.environment = environment ? environment : empty;
    sources.settings = settings;
    sources.n_settings = n_settings;
    sources.extra_file = write_file("c.conf", config_text);
    return config_load(&sources, out, err);
}

static struct config *load_ok(const char *const *environment,
                              const char *const *settings, size_t n_settings)
{
    struct config *c;
    struct persist_error err;
    int rc = load(environment, settings, n_settings, &c, &err);
    if (rc != PERSIST_OK)
        fail_msg("%s", err.message);
    return c;
}

static void persist_key__setting_beats_variable_beats_file(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_LOG_LEVEL=debug",
                                 "PERSIST_MEMORY_LIMIT=64M", "OTHER=1", NULL};
    const char *settings[] = {"log_level=error"};

    struct config *c = load_ok(environment, settings, 1);
    assert_value(get(c, "log_level"), "error", "setting");
    assert_value(get(c, "memory_limit"), "64M", "PERSIST_MEMORY_LIMIT");
    assert_value(get(c, "store"), "main", "c.conf:2");
    assert_true(get(c, "memory_limit").trusted);
    config_destroy(c);

    c = load_ok(environment, NULL, 0);
    assert_value(get(c, "log_level"), "debug", "PERSIST_LOG_LEVEL");
    config_destroy(c);
    c = load_ok(NULL, NULL, 0);
    assert_value(get(c, "log_level"), "info", "c.conf:3");
    config_destroy(c);
}

static void store_key__follows_the_precedence(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_STORE_MAIN_ROOT=/special",
                                 "PERSIST_ROOT=/general", NULL};
    const char *settings[] = {"root=/set", "log_level=error", "root=/last"};

    struct config *c = load_ok(environment, settings, 3);
    assert_value(store_get(c, "main", "root"), "/last", "setting");
    assert_value(store_get(c, "other", "root"), "/last", "setting");
    config_destroy(c);

    c = load_ok(environment, NULL, 0);
    assert_value(store_get(c, "main", "root"), "/special",
                 "PERSIST_STORE_MAIN_ROOT");
    assert_value(store_get(c, "other", "root"), "/general", "PERSIST_ROOT");
    assert_value(store_get(c, "nobody", "root"), "/general", "PERSIST_ROOT");
    config_destroy(c);

    c = load_ok(environment + 2, NULL, 0);
    assert_value(store_get(c, "main", "root"), "/file", "c.conf:6");
    assert_value(store_get(c, "main", "bucket"), NULL, "");
    assert_value(store_get(c, "nobody", "root"), NULL, "");
    config_destroy(c);
}

/* [persist] log_level must not leak into a backend's option of that name. */
static void store_key__named_like_a_persist_key_is_its_own(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_LOG_LEVEL=debug", NULL};
    const char *settings[] = {"log_format=json"};
    struct config *c = load_ok(environment, settings, 1);

    assert_value(store_get(c, "main", "log_level"), NULL, "");
    assert_value(store_get(c, "main", "log_format"), NULL, "");
    config_destroy(c);
}

static void variable__that_is_empty_or_repeated(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_LOG_LEVEL=", "PERSIST_STORE=other",
                                 "PERSIST_STORE=main", "PERSIST_NOEQUALS",
                                 NULL};
    struct config *c = load_ok(environment, NULL, 0);

    assert_value(get(c, "log_level"), "info", "c.conf:3");
    assert_value(get(c, "store"), "other", "PERSIST_STORE");
    config_destroy(c);
}

static void variable__of_two_stores_goes_to_the_longer_name(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_STORE_A_B_C=1", "PERSIST_STORE_A_D=2",
                                 NULL};
    struct persist_error err;
    struct config *c = load_ok(environment, NULL, 0);
    config_add_store(c, "a", "default", &err);
    assert_value(store_get(c, "a", "b_c"), "1", "PERSIST_STORE_A_B_C");

    config_add_store(c, "a-b", "default", &err);
    assert_value(store_get(c, "a", "b_c"), NULL, "");
    assert_value(store_get(c, "a-b", "c"), "1", "PERSIST_STORE_A_B_C");
    assert_value(store_get(c, "a", "d"), "2", "PERSIST_STORE_A_D");
    config_destroy(c);
}

static void no_environment__still_finds_the_users_file(void **state)
{
    (void)state;
    char home[100];
    struct config *c;
    struct persist_error err;
    make_directory(".config");
    make_directory(".config/persist");
    write_file(".config/persist/persist.conf", "[persist]\nlog_level = off\n");
    snprintf(home, sizeof(home), "HOME=%s", root);
    /* A relative XDG_CONFIG_HOME counts for nothing. */
    const char *environment[] = {"PERSIST_LOG_LEVEL=debug", home,
                                 "XDG_CONFIG_HOME=x", NULL};
    struct config_sources sources = nothing_else();
    sources.environment = environment;
    sources.no_environment = true;

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);
    assert_value(get(c, "log_level"), "off", ".config/persist/persist.conf:2");
    config_destroy(c);
}

static void own_environment__counts_unless_privileges_were_gained(void **state)
{
    (void)state;
    struct config_sources sources = {0};
    setenv("PERSIST_LOG_LEVEL", "debug", 1);
    setenv("XDG_CONFIG_HOME", "/nowhere", 1);

    struct config plain = {0}, secure = {0};
    assert_int_equal(config_load_environment(&plain, &sources, false, NULL), 0);
    assert_int_equal(config_load_environment(&secure, &sources, true, NULL), 0);
    unsetenv("PERSIST_LOG_LEVEL");
    unsetenv("XDG_CONFIG_HOME");

    assert_non_null(config_variable(&plain, "log_level"));
    assert_string_equal(plain.xdg_config_home, "/nowhere");
    assert_null(config_variable(&secure, "log_level"));
    assert_null(secure.xdg_config_home);
    /* The user database knows a home where HOME may not be believed. */
    assert_non_null(secure.home);
    assert_int_equal(secure.home[0], '/');
    free(plain.variables);
    config_arena_finish(&plain.arena);
    config_arena_finish(&secure.arena);
}

static void assert_refused(const char *variable, const char *setting, int rc,
                           const char *message)
{
    struct config *c;
    struct persist_error err;
    const char *environment[] = {variable, NULL};
    assert_int_equal(load(environment, &setting, setting != NULL, &c, &err),
                     rc);
    assert_null(c);
    assert_has(err.message, message);
}

static void values__of_settings_and_variables_are_checked(void **state)
{
    (void)state;
    assert_refused("PERSIST_LOG_LEVEL=x", NULL, PERSIST_E_CONFIG,
                   "PERSIST_LOG_LEVEL: log_level is error, warn");
    /* Also where something stronger hides it. */
    assert_refused("PERSIST_LOG_LEVEL=x", "log_level=off", PERSIST_E_CONFIG,
                   "PERSIST_LOG_LEVEL: log_level is");
    assert_refused(NULL, "memory_limit=1M", PERSIST_E_CONFIG,
                   "setting: memory_limit is a size");
    assert_refused(NULL, "trace_file=x", PERSIST_E_CONFIG,
                   "setting: trace_file is an absolute path");
    assert_refused(NULL, "metrics_textfile=/x", PERSIST_E_CONFIG,
                   "setting: metrics_textfile is an absolute path");
    assert_refused("PERSIST_METRICS_TEXTFILE=/x", NULL, PERSIST_E_CONFIG,
                   "PERSIST_METRICS_TEXTFILE: metrics_textfile is");
    assert_refused(NULL, "root", PERSIST_E_INVALID,
                   "a setting is key=value, not \"root\"");
    assert_refused(NULL, "=x", PERSIST_E_INVALID, "a setting is key=value");
    assert_refused(NULL, "", PERSIST_E_INVALID, "a setting is key=value");
    assert_refused(NULL, "Root=x", PERSIST_E_INVALID, "not \"Root\"");
    assert_refused(NULL, "n2345678901234567890123456789012345678901=x",
                   PERSIST_E_INVALID, "a setting is key=value");
}

/* The value of a setting may be a secret. */
static void setting__that_is_refused_is_not_shown_whole(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    const char *settings[] = {"Password=hunter22"};
    assert_int_equal(load(NULL, settings, 1, &c, &err), PERSIST_E_INVALID);
    assert_null(strstr(err.message, "hunter22"));
}

static void get__of_an_unknown_key_is_an_error(void **state)
{
    (void)state;
    struct config_value v;
    struct persist_error err;
    struct config *c = load_ok(NULL, NULL, 0);

    assert_int_equal(config_get(c, "log_levels", &v, &err), PERSIST_E_CONFIG);
    assert_null(v.text);
    assert_has(err.hint, "log_level");
    config_destroy(c);
    config_destroy(NULL);
}

/* Settings are collected, and hide what a file or variable gave. */
static void settings__given_again_are_kept_together(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_TAGS=env", NULL};
    const char *settings[] = {"tags=a", "root=/x", "tags=b,c", "tags=d"};
    struct config *c = load_ok(environment, settings, 4);
    struct config_value v;
    struct persist_error err = {0};

    config_store_get(c, "other", "tags", &v);
    assert_string_equal(v.text, "d");
    assert_string_equal(v.all, "a,b,c,d");
    config_store_get(c, "other", "root", &v);
    assert_string_equal(v.all, "/x");
    config_destroy(c);

    c = load_ok(environment, NULL, 0);
    config_store_get(c, "other", "tags", &v);
    assert_string_equal(v.all, "env");
    assert_int_equal(
        config_add_store_value(c, "other", "tags", "x", "default", &err), 0);
    assert_int_equal(
        config_add_store_value(c, "other", "tags", "y", "program", &err), 0);
    assert_int_equal(
        config_add_store_value(c, "other", "tags", "z", "program", &err), 0);
    config_store_get(c, "other", "tags", &v);
    assert_string_equal(v.all, "y,z");
    config_destroy(c);
}

static void keys__are_all_known_to_get(void **state)
{
    (void)state;
    struct config *c = load_ok(NULL, NULL, 0);
    size_t n = 0;
    for (const char *const *key = config_keys(); *key; key++, n++)
        get(c, *key);
    assert_int_equal(n, 10);
    config_destroy(c);
}

/* ---------------------------------------------------------------- all keys */

struct seen {
    char text[400];
    size_t stop_after;
};

static int note(void *ctx, const char *key, const struct config_value *value)
{
    struct seen *s = ctx;
    size_t len = strlen(s->text);
    snprintf(s->text + len, sizeof(s->text) - len, "%s=%s;", key, value->text);
    return s->stop_after && --s->stop_after == 0 ? 77 : 0;
}

static void each__visits_files_settings_and_own_variables_once(void **state)
{
    (void)state;
    const char *environment[] = {
        "PERSIST_STORE_MAIN_BUKCET=b", "PERSIST_STORE_MAIN_ROOT=/special",
        "PERSIST_STORE_OTHER_X=1",     "PERSIST_GENERAL=1",
        "PERSIST_STORE_MAIN_=1",       NULL};
    const char *settings[] = {"region=r", "log_level=off", "backend=mem"};
    struct config *c = load_ok(environment, settings, 3);
    struct seen s = {0};

    assert_int_equal(config_store_each(c, "main", note, &s), 0);
    assert_string_equal(s.text, "backend=mem;root=/special;region=r;bukcet=b;");

    for (size_t stop = 1; stop <= 4; stop++) {
        s = (struct seen){.stop_after = stop};
        assert_int_equal(config_store_each(c, "main", note, &s), 77);
    }
    s = (struct seen){0};
    assert_int_equal(config_store_each(c, "nobody", note, &s), 0);
    assert_string_equal(s.text, "");
    config_destroy(c);
}

/* ------------------------------------------------------------------ adding */

static void add__by_a_program_stands_above_the_environment(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_ROOT=/general", "PERSIST_REGION=r",
                                 NULL};
    struct persist_error err;
    const char *settings[] = {"mode=set"};
    struct config *c = load_ok(environment, settings, 1);
    assert_int_equal(config_add_store(c, "builder", "builder", &err), 0);
    static const char *const values[][2] = {
        {"root", "/first"}, {"root", "/built"}, {"mode", "built"}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(config_add_store_value(c, "builder", values[i][0],
                                                values[i][1], "builder", &err),
                         0);

    assert_value(store_get(c, "builder", "root"), "/built", "builder");
    assert_value(store_get(c, "builder", "mode"), "set", "setting");
    assert_value(store_get(c, "builder", "region"), "r", "PERSIST_REGION");
    assert_true(store_get(c, "builder", "root").trusted);
    config_destroy(c);
}

static void add__of_defaults_is_the_weakest(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_STORE_LOCAL_ROOT=/env", NULL};
    struct persist_error err;
    struct config *c = load_ok(environment, NULL, 0);
    config_add_store(c, "local", "default", &err);
    config_add_store_value(c, "local", "root", "/default", "default", &err);
    config_add_store_value(c, "local", "backend", "local", "default", &err);

    assert_value(store_get(c, "local", "root"), "/env",
                 "PERSIST_STORE_LOCAL_ROOT");
    assert_value(store_get(c, "local", "backend"), "local", "default");
    config_destroy(c);
}

static void add__refuses_what_is_there_or_misnamed(void **state)
{
    (void)state;
    struct persist_error err;
    struct config *c = load_ok(NULL, NULL, 0);

    assert_int_equal(config_add_store(c, "main", "x", &err), PERSIST_E_CONFIG);
    assert_has(err.message, "x: there is a store main");
    assert_int_equal(config_add_store(c, "No", "x", &err), PERSIST_E_CONFIG);
    assert_has(err.message, "x: \"No\" is no name for a store");
    assert_int_equal(config_add_store(c, "a-b", "x", &err), PERSIST_OK);
    assert_int_equal(config_add_store(c, "a_b", "x", &err), PERSIST_E_CONFIG);
    assert_has(err.message, "share the same environment variables");
    assert_int_equal(config_add_store_value(c, "no", "k", "v", "x", &err),
                     PERSIST_E_NOT_FOUND);
    assert_int_equal(config_add_store_value(c, "main", "K", "v", "x", &err),
                     PERSIST_E_CONFIG);
    assert_has(err.message, "x: \"K\" is no key");
    config_destroy(c);
}

/* ------------------------------------------------------------------- memory */

static void values__lie_in_memory_that_is_not_dumped(void **state)
{
    (void)state;
    if (getenv("PERSIST_TEST_EMULATED"))
        skip(); /* qemu shows no flags of mappings */
    struct config *c = load_ok(NULL, NULL, 0);
    const char *value = store_get(c, "main", "root").text;
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, hidden = false;
    while (fgets(line, sizeof(line), maps)) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
            inside = (uintptr_t)value >= first && (uintptr_t)value < last;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            hidden = strstr(line, " dd") != NULL;
    }
    fclose(maps);

    assert_true(hidden);
    config_destroy(c);
}

/* Fails the n-th allocation, for every n until loading succeeds. */
static long fail_at = -1;
void *__wrap_realloc(void *p, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_mmap(void *a, size_t n, int p, int f, int fd, off_t o);
void *__real_mmap(void *a, size_t n, int p, int f, int fd, off_t o);
char *__wrap_strdup(const char *text);
char *__real_strdup(const char *text);
int __wrap_vasprintf(char **out, const char *format, va_list args);
int __real_vasprintf(char **out, const char *format, va_list args);
/* What vasprintf becomes in a build with _FORTIFY_SOURCE. */
int __wrap___vasprintf_chk(char **out, int flag, const char *format,
                           va_list args);

static bool fails(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_mmap(void *a, size_t n, int p, int f, int fd, off_t o)
{
    return fails() ? (void *)-1 : __real_mmap(a, n, p, f, fd, o);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_vasprintf(char **out, const char *format, va_list args)
{
    return fails() ? -1 : __real_vasprintf(out, format, args);
}

int __wrap___vasprintf_chk(char **out, int flag, const char *format,
                           va_list args)
{
    (void)flag;
    return __wrap_vasprintf(out, format, args);
}

static void memory__running_out_anywhere_is_a_clean_error(void **state)
{
    (void)state;
    const char *environment[] = {"PERSIST_LOG_LEVEL=debug", "HOME=/nowhere",
                                 "PERSIST_ROOT=/x", NULL};
    const char *settings[] = {"log_format=json"};
    make_directory("etc");
    make_directory("etc/conf.d");
    write_file("etc/conf.d/a.conf", "[store third]\nroot = /3\n");
    int rc = PERSIST_E_MEMORY;
    long n = 0;
    for (; rc != PERSIST_OK && n < 1000; n++) {
        struct config *c;
        struct persist_error err;
        struct config_sources sources = nothing_else();
        sources.environment = environment;
        sources.settings = settings;
        sources.n_settings = 1;
        sources.extra_file = write_file("c.conf", config_text);
        fail_at = n;
        rc = config_load(&sources, &c, &err);
        fail_at = -1;
        if (rc == PERSIST_OK) {
            assert_int_equal(config_n_stores(c), 3);
            config_destroy(c);
        } else {
            assert_int_equal(rc, PERSIST_E_MEMORY);
            assert_string_equal(err.message, "out of memory");
            assert_null(c);
        }
    }
    assert_true(n > 15 && n < 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(persist_key__setting_beats_variable_beats_file),
        TEST(store_key__follows_the_precedence),
        TEST(store_key__named_like_a_persist_key_is_its_own),
        TEST(variable__that_is_empty_or_repeated),
        TEST(variable__of_two_stores_goes_to_the_longer_name),
        TEST(no_environment__still_finds_the_users_file),
        TEST(own_environment__counts_unless_privileges_were_gained),
        TEST(values__of_settings_and_variables_are_checked),
        TEST(setting__that_is_refused_is_not_shown_whole),
        TEST(get__of_an_unknown_key_is_an_error),
        TEST(keys__are_all_known_to_get),
        TEST(settings__given_again_are_kept_together),
        TEST(each__visits_files_settings_and_own_variables_once),
        TEST(add__by_a_program_stands_above_the_environment),
        TEST(add__of_defaults_is_the_weakest),
        TEST(add__refuses_what_is_there_or_misnamed),
        TEST(values__lie_in_memory_that_is_not_dumped),
        TEST(memory__running_out_anywhere_is_a_clean_error),
    };
    return cmocka_run_group_tests_name("services.config", tests, NULL, NULL);
}
