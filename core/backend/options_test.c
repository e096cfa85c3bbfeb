/* SPDX-License-Identifier: Apache-2.0 */
/* A store's section, as services/config reads it, against option tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/option_check.h"
#include "backend/options.h"
#include "util/secret.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

static struct persist_backend_option table[] = {
    {.key = "bucket",
     .alias = "container",
     .type = PERSIST_BACKEND_STRING,
     .flags = PERSIST_BACKEND_REQUIRED},
    {.key = "level",
     .type = PERSIST_BACKEND_INT,
     .min = -5,
     .max = 22,
     .flags = PERSIST_BACKEND_HAS_MIN | PERSIST_BACKEND_HAS_MAX},
    {.key = "part_size",
     .type = PERSIST_BACKEND_SIZE,
     .default_text = "8M",
     .min = 65536,
     .flags = PERSIST_BACKEND_HAS_MIN},
    {.key = "wait",
     .type = PERSIST_BACKEND_DURATION,
     .max = 60000,
     .flags = PERSIST_BACKEND_HAS_MAX},
    {.key = "secure", .type = PERSIST_BACKEND_BOOL},
    {.key = "colour", .type = PERSIST_BACKEND_CHOICE, .choices = colours},
    {.key = "root", .alias = "base_dir", .type = PERSIST_BACKEND_PATH},
    {.key = "endpoint", .type = PERSIST_BACKEND_URL},
    {.key = "token", .alias = "password", .type = PERSIST_BACKEND_SECRET},
    {.key = "hosts", .type = PERSIST_BACKEND_LIST},
    {.key = "tags",
     .type = PERSIST_BACKEND_LIST,
     .default_text = "x",
     .flags = PERSIST_BACKEND_REPEATABLE},
};
enum {
    BUCKET,
    LEVEL,
    PART_SIZE,
    WAIT,
    SECURE,
    COLOUR,
    ROOT,
    ENDPOINT,
    TOKEN,
    HOSTS,
    TAGS,
    N_OPTIONS
};

static struct plugin plugin;
static struct config *config;
static struct option_values values;
static struct persist_error err;

static int setup(void **state)
{
    static const char *const no_environment[] = {NULL};
    const struct config_sources sources = {.no_files = true,
                                           .environment = no_environment};

    (void)state;
    setenv("HOME", "/home/me", 1);
    memset(&plugin, 0, sizeof(plugin));
    plugin.descriptor.name = "test";
    plugin.descriptor.thread_model = PERSIST_BACKEND_PARALLEL;
    plugin.options = table;
    plugin.n_options = N_OPTIONS;
    memset(&values, 0, sizeof(values));
    memset(&err, 0, sizeof(err));
    assert_int_equal(config_load(&sources, &config, &err), PERSIST_OK);
    assert_int_equal(config_add_store(config, "archive", "conf:1", &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    option_values_finish(&values);
    config_destroy(config);
    return 0;
}

static void set(const char *key, const char *value)
{
    if (config_add_store_value(config, "archive", key, value, "conf:7", &err))
        fail_msg("%s", err.message);
}

static int resolve(void)
{
    option_values_finish(&values);
    memset(&err, 0, sizeof(err));
    return option_values_resolve(&plugin, config, "archive", &values, &err);
}

#define ASSERT_HAS(text, part)                                                 \
    do {                                                                       \
        if (!strstr(text, part))                                               \
            fail_msg("\"%s\" does not hold \"%s\"", text, part);               \
    } while (0)

static void resolve__collects_what_may_be_given_again(void **state)
{
    (void)state;
    set("bucket", "b");
    set("hosts", "a");
    set("hosts", "b,c");
    set("tags", "one");
    set("tags", "two, three");
    set("tags", "four");
    assert_int_equal(resolve(), PERSIST_OK);
    const struct persist_backend_value *v = values.values;
    assert_int_equal(v[HOSTS].n_items, 2);
    assert_string_equal(v[HOSTS].items[0], "b");
    assert_int_equal(v[TAGS].n_items, 4);
    assert_string_equal(v[TAGS].items[0], "one");
    assert_string_equal(v[TAGS].items[2], "three");
    assert_string_equal(v[TAGS].items[3], "four");
    assert_int_equal(v[TAGS].flags, PERSIST_BACKEND_VALUE_SET);
}

static void resolve__gives_typed_values_in_order(void **state)
{
    (void)state;
    set("backend", "test");
    set("bucket", "snapshots");
    set("level", "-3");
    set("wait", "30s");
    set("secure", "yes");
    set("colour", "green");
    set("root", "~/store");
    set("endpoint", "https://[::1]:9000/x?y");
    set("hosts", " a, b ,c ");

    if (resolve() != PERSIST_OK)
        fail_msg("%s", err.message);

    assert_int_equal(values.n, N_OPTIONS);
    for (size_t i = 0; i < N_OPTIONS; i++)
        assert_string_equal(values.values[i].key, table[i].key);
    const struct persist_backend_value *v = values.values;
    assert_string_equal(v[BUCKET].text, "snapshots");
    assert_int_equal(v[BUCKET].flags, PERSIST_BACKEND_VALUE_SET);
    assert_int_equal(v[LEVEL].number, -3);
    assert_null(v[LEVEL].text);
    assert_int_equal(v[PART_SIZE].number, 8 << 20);
    assert_int_equal(v[PART_SIZE].flags, PERSIST_BACKEND_VALUE_DEFAULT);
    assert_int_equal(v[WAIT].number, 30000);
    assert_int_equal(v[SECURE].number, 1);
    assert_string_equal(v[COLOUR].text, "green");
    assert_string_equal(v[ROOT].text, "/home/me/store");
    assert_string_equal(v[ENDPOINT].text, "https://[::1]:9000/x?y");
    assert_int_equal(v[TOKEN].flags, 0);
    assert_null(values.secrets[TOKEN]);
    assert_int_equal(v[HOSTS].n_items, 3);
    assert_string_equal(v[HOSTS].items[0], "a");
    assert_string_equal(v[HOSTS].items[1], "b");
    assert_string_equal(v[HOSTS].items[2], "c");
    assert_null(v[HOSTS].text);
    assert_false(values.serial);
    assert_false(values.accept_file_durability);
    assert_int_equal(values.max_io, 0);
}

static void resolve__takes_an_alias_for_its_key(void **state)
{
    (void)state;
    set("container", "c");
    set("base_dir", "/srv");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_string_equal(values.values[BUCKET].key, "bucket");
    assert_string_equal(values.values[BUCKET].text, "c");
    assert_string_equal(values.values[ROOT].text, "/srv");
}

static void resolve__refuses_key_and_alias_together(void **state)
{
    (void)state;
    set("bucket", "a");
    set("container", "b");
    assert_int_equal(resolve(), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "container (conf:7) is another name");
}

static void resolve__names_every_problem_at_once(void **state)
{
    (void)state;
    set("buckett", "x");
    set("level", "23");
    set("wait", "2m");
    set("colour", "gren");

    assert_int_equal(resolve(), PERSIST_E_CONFIG);

    ASSERT_HAS(err.message, "store archive has 5 problems: ");
    ASSERT_HAS(err.message, "buckett (conf:7) is no option of this backend; "
                            "did you mean bucket?");
    ASSERT_HAS(err.message, "bucket is required and not set");
    ASSERT_HAS(err.message, "level = 23 (conf:7) is above the maximum of 22");
    ASSERT_HAS(err.message, "above the maximum of 60000ms");
    ASSERT_HAS(err.message, "did you mean green?");
    assert_string_equal(err.object, "archive");
    ASSERT_HAS(err.hint, "persist backends test");
    assert_null(values.values);
}

static void resolve__problems_beyond_the_message_go_to_the_hint(void **state)
{
    (void)state;
    set("bucket", "b");
    for (char c = 'a'; c <= 'z'; c++) {
        char key[32];
        snprintf(key, sizeof(key), "quite_%c_some_unknown_key", c);
        set(key, "x");
    }
    assert_int_equal(resolve(), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "has 26 problems: quite_a");
    ASSERT_HAS(err.hint, "and: quite_");
}

struct bad {
    const char *key, *value, *why;
};

static void resolve__refuses_bad_values(void **state)
{
    static char long_path[5000];
    static const struct bad table_of_bad[] = {
        {"bucket", "", "is required and empty"},
        {"bucket", "a\tb", "control characters"},
        {"bucket", "\xff", "not UTF-8"},
        {"level", "1.5", "not a whole number"},
        {"level", "", "not a whole number"},
        {"level", "99999999999999999999", "not a whole number"},
        {"level", "-6", "below the minimum of -5"},
        {"part_size", "64k x", "not a size"},
        {"part_size", "9223372036854775808", "not a size"},
        {"part_size", "63K", "below the minimum of 65536 bytes"},
        {"wait", "soon", "no number with a unit"},
        {"wait", "5", "no number with a unit"},
        {"wait", "61s", "above the maximum"},
        {"secure", "maybe", "neither true nor false"},
        {"colour", "purple", "not one of red, green, blue"},
        {"colour", "Red", "not one of"},
        {"root", "store", "not an absolute path"},
        {"root", "./store", "not an absolute path"},
        {"root", "~other/x", "not an absolute path"},
        {"root", "", "not an absolute path"},
        {"root", long_path, "longer than a path"},
        {"endpoint", "example.org", "not a URL"},
        {"endpoint", "://x", "not a URL"},
        {"endpoint", "1http://x", "not a URL"},
        {"endpoint", "https:///path", "without a host"},
        {"endpoint", "https://me:pw@host/", "credentials"},
        {"endpoint", "https://host/a b", "space"},
        {"hosts", "a,,b", "empty item"},
        {"hosts", "a,", "empty item"},
        {"max_io", "0", "below the minimum"},
        {"max_io", "1025", "above the maximum"},
        {"thread_model", "fast", "not one of parallel, serial"},
        {"accept_durability", "none", "not one of full, file"},
    };

    (void)state;
    memset(long_path, '/', sizeof(long_path) - 1);
    for (size_t i = 0; i < sizeof(table_of_bad) / sizeof(*table_of_bad); i++) {
        const struct bad *b = &table_of_bad[i];
        teardown(state);
        setup(state);
        set("bucket", "b");
        set(b->key, b->value);
        if (resolve() != PERSIST_E_CONFIG)
            fail_msg("%s = %s is accepted", b->key, b->value);
        ASSERT_HAS(err.message, b->why);
        ASSERT_HAS(err.message, b->key);
    }
}

static void resolve__accepts_values_at_the_edge(void **state)
{
    static const struct bad good[] = {
        {"level", "22", ""},
        {"level", "-5", ""},
        {"wait", "60s", ""},
        {"root", "~", "/home/me"},
        {"root", "/", "/"},
        {"endpoint", "file:///x", ""},
        {"endpoint", "s3+http://h", ""},
        {"hosts", "", ""},
        {"hosts", "one", ""},
        {"max_io", "1024", ""},
        {"accept_durability", "full", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        teardown(state);
        setup(state);
        set("bucket", "b");
        set(good[i].key, good[i].value);
        if (resolve() != PERSIST_OK)
            fail_msg("%s", err.message);
        if (strcmp(good[i].key, "root") == 0)
            assert_string_equal(values.values[ROOT].text, good[i].why);
    }
    assert_int_equal(values.values[HOSTS].n_items, 0);
}

static void resolve__reads_the_cores_own_keys(void **state)
{
    (void)state;
    set("bucket", "b");
    set("max_io", "7");
    set("thread_model", "serial");
    set("accept_durability", "file");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_int_equal(values.max_io, 7);
    assert_true(values.serial);
    assert_true(values.accept_file_durability);
}

static void resolve__thread_model_is_lowered_never_raised(void **state)
{
    (void)state;
    set("bucket", "b");
    set("thread_model", "parallel");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_false(values.serial);
    plugin.descriptor.thread_model = PERSIST_BACKEND_SERIAL;
    assert_int_equal(resolve(), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "cannot raise");
}

static void resolve__keeps_secrets_out_of_values_and_messages(void **state)
{
    size_t len = 0;

    (void)state;
    set("bucket", "b");
    set("token", "s3cr3t");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_null(values.values[TOKEN].text);
    assert_int_equal(values.values[TOKEN].flags, PERSIST_BACKEND_VALUE_SET);
    assert_string_equal(secret_reveal(values.secrets[TOKEN], &len), "s3cr3t");

    set("password", "0ther-s3cr3t");
    assert_int_equal(resolve(), PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "password is another name");
    assert_null(strstr(err.message, "s3cr3t"));
}

static void resolve__takes_secrets_by_alias(void **state)
{
    size_t len = 0;

    (void)state;
    set("bucket", "b");
    set("password", "s3cr3t");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_string_equal(secret_reveal(values.secrets[TOKEN], &len), "s3cr3t");
}

static void resolve__passes_on_what_is_wrong_with_a_secret(void **state)
{
    (void)state;
    set("bucket", "b");
    set("token_file", "/nonexistent/secret");
    table[TOKEN].flags = PERSIST_BACKEND_REQUIRED;
    int rc = resolve();
    table[TOKEN].flags = 0;
    assert_int_equal(rc, PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "/nonexistent/secret");
    /* One problem: it was set, so it is not missing as well. */
    assert_null(strstr(err.message, "problems"));
}

static void resolve__says_how_to_close_the_file_of_a_secret(void **state)
{
    char path[] = "/tmp/persist-options-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
    set("bucket", "b");
    set("token_file", path);
    int rc = resolve();
    unlink(path);
    assert_int_equal(rc, PERSIST_E_CONFIG);
    ASSERT_HAS(err.hint, "chmod 600 /tmp/persist-options-");
}

static void resolve__misses_a_required_secret(void **state)
{
    (void)state;
    set("bucket", "b");
    table[TOKEN].flags = PERSIST_BACKEND_REQUIRED;
    int rc = resolve();
    table[TOKEN].flags = 0;
    assert_int_equal(rc, PERSIST_E_CONFIG);
    ASSERT_HAS(err.message, "token is required and not set");
}

static void resolve__without_a_home_refuses_the_tilde(void **state)
{
    (void)state;
    set("bucket", "b");
    set("root", "~/x");
    setenv("HOME", "relative", 1);
    /* The user database is the fallback, and gives an absolute path. */
    assert_int_equal(resolve(), PERSIST_OK);
    assert_int_equal(values.values[ROOT].text[0], '/');
    assert_null(strstr(values.values[ROOT].text, "relative"));
}

static void resolve__serves_a_plugin_without_options(void **state)
{
    (void)state;
    plugin.n_options = 0;
    plugin.options = NULL;
    set("backend", "test");
    assert_int_equal(resolve(), PERSIST_OK);
    assert_int_equal(values.n, 0);
    set("root", "/");
    assert_int_equal(resolve(), PERSIST_E_CONFIG);
}

/* ------------------------------------------------------------ option tables */

struct bad_table {
    const char *why;
    struct persist_backend_option options[2];
    size_t n;
};

static const char *const empty_choice[] = {"a", "", NULL};
static const char *const no_choices[] = {NULL};
#define STRING .type = PERSIST_BACKEND_STRING
static const struct bad_table bad_tables[] = {
    {"has no key", {{.key = NULL, STRING}}, 1},
    {"has no key", {{.key = "", STRING}}, 1},
    {"has no key", {{.key = "Root", STRING}}, 1},
    {"has no key", {{.key = "a-b", STRING}}, 1},
    {"option 2 has no key", {{.key = "a", STRING}, {.key = "b c", STRING}}, 2},
    {"has no key",
     {{.key = "k2345678901234567890123456789012345678901", STRING}},
     1},
    {"malformed alias", {{.key = "a", .alias = "A", STRING}}, 1},
    {"its own alias", {{.key = "a", .alias = "a", STRING}}, 1},
    {"key of Persist", {{.key = "backend", STRING}}, 1},
    {"key of Persist", {{.key = "a", .alias = "max_io", STRING}}, 1},
    {"another option has", {{.key = "a", STRING}, {.key = "a", STRING}}, 2},
    {"another option has",
     {{.key = "a", STRING}, {.key = "b", .alias = "a", STRING}},
     2},
    {"another option has",
     {{.key = "a", .alias = "c", STRING}, {.key = "b", .alias = "c", STRING}},
     2},
    {"another option has",
     {{.key = "a", .type = PERSIST_BACKEND_SECRET}, {.key = "a_file", STRING}},
     2},
    {"unknown type", {{.key = "a", .type = 0}}, 1},
    {"unknown type", {{.key = "a", .type = 11}}, 1},
    {"without choices", {{.key = "a", .type = PERSIST_BACKEND_CHOICE}}, 1},
    {"without choices",
     {{.key = "a", .type = PERSIST_BACKEND_CHOICE, .choices = no_choices}},
     1},
    {"empty choice",
     {{.key = "a", .type = PERSIST_BACKEND_CHOICE, .choices = empty_choice}},
     1},
    {"has choices and is none", {{.key = "a", STRING, .choices = colours}}, 1},
    {"range and is no number",
     {{.key = "a", STRING, .flags = PERSIST_BACKEND_HAS_MIN}},
     1},
    {"minimum above",
     {{.key = "a",
       .type = PERSIST_BACKEND_INT,
       .min = 2,
       .max = 1,
       .flags = 8 | 16}},
     1},
    {"minimum that cannot",
     {{.key = "a", .type = PERSIST_BACKEND_SIZE, .min = -1, .flags = 8}},
     1},
    {"maximum that cannot",
     {{.key = "a", .type = PERSIST_BACKEND_SIZE, .max = -1, .flags = 16}},
     1},
    {"repeatable",
     {{.key = "a", STRING, .flags = PERSIST_BACKEND_REPEATABLE}},
     1},
    {"has a default or",
     {{.key = "a",
       STRING,
       .default_text = "x",
       .flags = PERSIST_BACKEND_REQUIRED}},
     1},
    {"or is deprecated",
     {{.key = "a",
       STRING,
       .flags = PERSIST_BACKEND_REQUIRED | PERSIST_BACKEND_DEPRECATED}},
     1},
    {"secret with a default",
     {{.key = "a", .type = PERSIST_BACKEND_SECRET, .default_text = "x"}},
     1},
    {"a default that is not a whole number",
     {{.key = "a", .type = PERSIST_BACKEND_INT, .default_text = "x"}},
     1},
    {"a default that is below",
     {{.key = "a",
       .type = PERSIST_BACKEND_INT,
       .default_text = "1",
       .min = 2,
       .flags = 8}},
     1},
    {"a default that is not one of",
     {{.key = "a",
       .type = PERSIST_BACKEND_CHOICE,
       .default_text = "x",
       .choices = colours}},
     1},
};

static void table__contradictions_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_tables) / sizeof(*bad_tables); i++) {
        struct buf why;
        buf_init(&why, 400);
        assert_false(
            option_table_check(bad_tables[i].options, bad_tables[i].n, &why));
        ASSERT_HAS(why.data, bad_tables[i].why);
        buf_finish(&why);
    }
}

static void table__good_ones_pass(void **state)
{
    static const struct persist_backend_option more[] = {
        {.key = "k234567890123456789012345678901234567890", STRING},
        {.key = "home", .type = PERSIST_BACKEND_PATH, .default_text = "~/x"},
        {.key = "many",
         .type = PERSIST_BACKEND_LIST,
         .flags = PERSIST_BACKEND_REPEATABLE | UINT32_C(1) << 20},
    };
    struct buf why;

    (void)state;
    buf_init(&why, 400);
    assert_true(option_table_check(table, N_OPTIONS, &why));
    assert_true(option_table_check(more, 3, &why));
    buf_finish(&why);
}

static void type_names__cover_every_type(void **state)
{
    (void)state;
    assert_string_equal(plugin_option_type_name(PERSIST_BACKEND_STRING),
                        "string");
    assert_string_equal(plugin_option_type_name(PERSIST_BACKEND_LIST), "list");
    for (uint32_t t = 1; t <= 10; t++)
        assert_string_not_equal(plugin_option_type_name(t), "unknown");
    assert_string_equal(plugin_option_type_name(0), "unknown");
    assert_string_equal(plugin_option_type_name(11), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(resolve__collects_what_may_be_given_again),
        TEST(resolve__gives_typed_values_in_order),
        TEST(resolve__takes_an_alias_for_its_key),
        TEST(resolve__refuses_key_and_alias_together),
        TEST(resolve__names_every_problem_at_once),
        TEST(resolve__problems_beyond_the_message_go_to_the_hint),
        TEST(resolve__refuses_bad_values),
        TEST(resolve__accepts_values_at_the_edge),
        TEST(resolve__reads_the_cores_own_keys),
        TEST(resolve__thread_model_is_lowered_never_raised),
        TEST(resolve__keeps_secrets_out_of_values_and_messages),
        TEST(resolve__takes_secrets_by_alias),
        TEST(resolve__passes_on_what_is_wrong_with_a_secret),
        TEST(resolve__says_how_to_close_the_file_of_a_secret),
        TEST(resolve__misses_a_required_secret),
        TEST(resolve__without_a_home_refuses_the_tilde),
        TEST(resolve__serves_a_plugin_without_options),
        TEST(table__contradictions_are_refused),
        TEST(table__good_ones_pass),
        TEST(type_names__cover_every_type),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
