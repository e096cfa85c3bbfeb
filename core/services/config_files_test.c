/* SPDX-License-Identifier: Apache-2.0 */
/* Files: which are read, how they add up, and what is refused in them. */
#include "services/config_testing.h"

#include <ini.h>

static void files__later_ones_override_key_by_key(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    make_directory("etc/conf.d");
    make_directory("xdg");
    make_directory("xdg/persist");
    write_file("etc/persist.conf",
               "[persist]\nlog_level = error\nlog_format = json\n"
               "memory_limit = 8M\n[store main]\nbackend = local\nroot = /1\n");
    /* Byte order: B before a, 10 before 9. */
    write_file("etc/conf.d/9.conf", "[store main]\nroot = /9\n");
    write_file("etc/conf.d/10.conf", "[store main]\nroot = /10\nk10 = 1\n");
    write_file("etc/conf.d/B.conf", "[store b]\nbackend = x\n");
    write_file("etc/conf.d/a.conf", "[store a]\nbackend = x\n");
    write_file("etc/conf.d/.hidden.conf", "nonsense");
    write_file("etc/conf.d/x.conf.bak", "nonsense");
    write_file("etc/conf.d/.conf", "nonsense");
    write_file("xdg/persist/persist.conf", "[persist]\nlog_format = logfmt\n");
    char xdg[100];
    snprintf(xdg, sizeof(xdg), "XDG_CONFIG_HOME=%s/xdg", root);
    const char *environment[] = {"HOME=/nowhere", xdg, NULL};
    struct config_sources sources = nothing_else();
    sources.environment = environment;
    sources.extra_file =
        write_file("extra", "[persist]\nmemory_limit = 1G\n[store z]\n");

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_value(get(c, "log_level"), "error", "/etc/persist.conf:2");
    assert_value(get(c, "log_format"), "logfmt", "xdg/persist/persist.conf:2");
    assert_value(get(c, "memory_limit"), "1G", "/extra:2");
    assert_value(get(c, "store"), NULL, "");
    assert_value(get(c, "backend_dir"), NULL, "");
    assert_value(store_get(c, "main", "root"), "/9", "9.conf:2");
    assert_value(store_get(c, "main", "k10"), "1", "10.conf:3");
    assert_value(store_get(c, "main", "backend"), "local", ".conf:6");
    static const char *const stores[] = {"main", "b", "a", "z"};
    assert_int_equal(config_n_stores(c), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(config_store(c, i), stores[i]);
    assert_true(config_has_store(c, "z"));
    assert_false(config_has_store(c, "y"));

    static const char *const files[] = {"/etc/persist.conf",
                                        "/etc/conf.d/10.conf",
                                        "/etc/conf.d/9.conf",
                                        "/etc/conf.d/B.conf",
                                        "/etc/conf.d/a.conf",
                                        "/xdg/persist/persist.conf",
                                        "/extra"};
    assert_int_equal(config_n_files(c), COUNT(files));
    for (size_t i = 0; i < COUNT(files); i++) {
        bool read = false;
        assert_string_equal(config_file(c, i, &read) + strlen(root), files[i]);
        assert_true(read);
    }
    config_destroy(c);
}

/* Enough of them that no directory gives this order by chance. */
static void directory__is_read_in_byte_order(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    make_directory("etc/conf.d");
    for (int i = 0; i < 26; i++) {
        char name[32], text[32];
        char letter = (char)('a' + i * 7 % 26);
        snprintf(name, sizeof(name), "etc/conf.d/%c.conf", letter);
        snprintf(text, sizeof(text), "[store %c]\n", letter);
        write_file(name, text);
    }
    struct config_sources sources = nothing_else();

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_int_equal(config_n_stores(c), 26);
    for (size_t i = 0; i < 26; i++)
        assert_int_equal(config_store(c, i)[0], 'a' + (int)i);
    config_destroy(c);
}

static void files__none_of_them_there_gives_defaults(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    bool read = true;
    const char *environment[] = {"HOME=/nowhere", NULL};
    struct config_sources sources = nothing_else();
    sources.environment = environment;

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_value(get(c, "log_level"), "warn", "default");
    assert_value(get(c, "log_format"), "logfmt", "default");
    assert_value(get(c, "memory_limit"), "256M", "default");
    assert_int_equal(config_n_stores(c), 0);
    assert_int_equal(config_n_files(c), 2);
    assert_string_equal(config_file(c, 1, &read),
                        "/nowhere/.config/persist/persist.conf");
    assert_false(read);
    assert_non_null(config_file(c, 0, NULL));
    config_destroy(c);
}

static void no_files__reads_only_the_named_one(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    write_file("etc/persist.conf", "nonsense");
    struct config_sources sources = nothing_else();
    sources.no_files = true;
    sources.extra_file = write_file("extra", "[store z]\nroot = /z\n");

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_int_equal(config_n_files(c), 1);
    assert_value(store_get(c, "z", "root"), "/z", "extra:2");
    config_destroy(c);
}

static void assert_no_file(const char *path, const char *message)
{
    struct config *c = (struct config *)1;
    struct persist_error err;
    struct config_sources sources = nothing_else();
    sources.extra_file = path;
    assert_int_equal(config_load(&sources, &c, &err), PERSIST_E_CONFIG);
    assert_int_equal(err.status, PERSIST_E_CONFIG);
    assert_null(c);
    assert_has(err.message, message);
    assert_has(err.message, path);
    assert_string_equal(err.object, path);
}

static void named_file__must_be_a_readable_regular_file(void **state)
{
    (void)state;
    static char large[CONFIG_FILE_MAX + 1];
    make_directory("dir");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    memset(large, '\n', sizeof(large));

    assert_no_file(path_of("missing"), "No such file or directory");
    assert_no_file(path_of("dir"), "is not a regular file");
    assert_no_file(path_of("fifo"), "is not a regular file");
    assert_no_file("/dev/null", "is not a regular file");
    assert_no_file(path_of("loop"), "Too many levels of symbolic links");
    assert_no_file(write_bytes("large", large, sizeof(large), 0600),
                   "is larger than 1 MiB");
    if (geteuid() != 0)
        assert_no_file(write_bytes("closed", "", 0, 0000), "Permission denied");
}

static void file__through_a_symlink_and_of_a_mebibyte_is_read(void **state)
{
    (void)state;
    static char large[CONFIG_FILE_MAX];
    struct config *c;
    struct persist_error err;
    memset(large, '\n', sizeof(large));
    memcpy(large, "[store a]", 9);
    memcpy(large + sizeof(large) - 9, "root = /a", 9); /* no newline behind */
    write_bytes("large", large, sizeof(large), 0600);
    assert_int_equal(symlink("large", path_of("link")), 0);
    struct config_sources sources = nothing_else();
    sources.extra_file = path_of("link");

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_OK);

    assert_value(store_get(c, "a", "root"), "/a", "link:1048559");
    config_destroy(c);
}

static void directory__that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    assert_int_equal(symlink("conf.d", path_of("etc/conf.d")), 0);
    struct config_sources sources = nothing_else();

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_E_CONFIG);
    assert_has(err.message, "etc/conf.d");
}

static void directory__of_too_many_files_is_refused(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    make_directory("etc/conf.d");
    struct config_sources sources = nothing_else();
    for (int i = 0; i <= CONFIG_FILES_MAX; i++) {
        char name[64];
        snprintf(name, sizeof(name), "etc/conf.d/%d.conf", i);
        write_file(name, "");
    }

    assert_int_equal(config_load(&sources, &c, &err), PERSIST_E_CONFIG);
    assert_has(err.message, "more than 256");
}

/* --------------------------------------------------------------- contents */

static void value__of_every_length_arrives_whole(void **state)
{
    (void)state;
    static char text[CONFIG_LINE_MAX + 100], value[CONFIG_LINE_MAX];
    static const size_t lengths[] = {1,   150, 180,  190,  195,
                                     200, 250, 1000, 4096, 32700};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct config *c;
        struct persist_error err;
        memset(value, 'v', lengths[i]);
        value[lengths[i]] = '\0';
        snprintf(text, sizeof(text),
                 "[store main]\r\nroot = %s\r\nafter = 1\r\n", value);
        assert_int_equal(load_text(text, &c, &err), PERSIST_OK);
        assert_value(store_get(c, "main", "root"), value, ":2");
        assert_value(store_get(c, "main", "after"), "1", ":3");
        config_destroy(c);
    }
}

static void text__with_a_mark_comments_and_all_kinds_of_lines(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    assert_int_equal(load_text("\xef\xbb\xbf# first\n\n[persist]\n"
                               "; x\n  # y\nstore = main\nlog_level = off\n"
                               "[store main]\nurl = http://h:80/a=b;c#d\n"
                               "empty =\n",
                               &c, &err),
                     PERSIST_OK);
    assert_value(get(c, "store"), "main", "c.conf:6");
    assert_value(get(c, "log_level"), "off", "c.conf:7");
    assert_value(store_get(c, "main", "url"), "http://h:80/a=b;c#d", ":9");
    assert_value(store_get(c, "main", "empty"), "", ":10");
    config_destroy(c);
}

static void text__that_is_wrong_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *hint;
    } rows[] = {
        {"[persist]\nlog_levle = info\n", "c.conf:2: [persist] has no key",
         "did you mean log_level?"},
        {"[persist]\nbucket = x\n", ":2: [persist] has no key bucket",
         "[store NAME]"},
        {"[persist]\nmetrics_textfile = /x\n",
         ":2: metrics_textfile is an absolute path that ends in .prom", ""},
        {"[persist]\nmetrics_textfile = /x/.prom\n",
         ":2: metrics_textfile is an absolute path that ends in .prom", ""},
        {"[persist]\nmax_io = 0\n", ":2: max_io is a number of threads", ""},
        {"[persist]\nmax_io = 1025\n", ":2: max_io is a number", ""},
        {"[persist]\nmax_io = few\n", ":2: max_io is a number", ""},
        {"[persist]\nlog_level = loud\n",
         ":2: log_level is error, warn, info, debug or off, not \"loud\"", ""},
        {"[persist]\nlog_format = xml\n", ":2: log_format is logfmt or json",
         ""},
        {"[persist]\nmemory_limit = 7M\n", ":2: memory_limit is a size of at",
         ""},
        {"[persist]\nmemory_limit = much\n", ":2: memory_limit is", ""},
        {"[persist]\nmemory_limit =\n", ":2: memory_limit is", ""},
        {"[persist]\nstore = No Store\n", ":2: store is a store's name", ""},
        {"[persist]\nbackend_dir = /a:b\n", ":2: backend_dir is absolute", ""},
        {"[persist]\nbackend_dir = /a:\n", ":2: backend_dir is absolute", ""},
        {"[persist]\nbackend_dir =\n", ":2: backend_dir is absolute", ""},
        {"store = main\n", ":1: store stands before the first section",
         "[persist] or [store NAME]"},
        {"[global]\n", ":1: unknown section [global]", "[store NAME]"},
        {"[]\n", ":1: unknown section []", ""},
        {"[Persist]\n", ":1: unknown section [Persist]", ""},
        {"[store]\n", ":1: unknown section [store]", ""},
        {"[store ]\n", ":1: \"\" is no name for a store", "1 to 32"},
        {"[store  a]\n", ":1: \" a\" is no name for a store", ""},
        {"[store Main]\n", ":1: \"Main\" is no name for a store", ""},
        {"[store a/b]\n", ":1: \"a/b\" is no name", ""},
        {"[store n23456789012345678901234567890123]\n", "is no name", ""},
        {"[store a]\n[store b]\n[store a]\n",
         ":3: [store a] stands twice in this file", ""},
        {"[persist]\n[persist]\n", ":2: [persist] stands twice", ""},
        {"[store a]\nroot = 1\nx = 2\nroot = 1\n",
         ":4: root stands twice (see ", ""},
        {"[persist]\nstore = a\nstore = b\n", ":3: store stands twice", ""},
        {"[store a-b]\n[store a_b]\n",
         ":2: stores a-b and a_b share the same environment variables", ""},
        {"[store a]\nroot = /x ; y\n", ":2: white space and ; or #",
         "line of its own"},
        {"[store a]\nroot = /x\n  y\n", ":3: the line begins with white space",
         "do not continue"},
        {"\n\n\nx\n", ":4: the line is neither", ""},
        {"[store a]\nroot = \xff\n", ":2: the line is not valid UTF-8", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config *c;
        struct persist_error err;
        assert_int_equal(load_text(rows[i].text, &c, &err), PERSIST_E_CONFIG);
        assert_null(c);
        assert_has(err.message, rows[i].message);
        assert_has(err.message, path_of("c.conf"));
        assert_has(err.hint, rows[i].hint);
    }
}

static void key__may_stand_once_in_each_of_two_files(void **state)
{
    (void)state;
    struct config *c;
    struct persist_error err;
    make_directory("etc");
    write_file("etc/persist.conf", "[store a]\nroot = 1\n[store b]\n");

    assert_int_equal(load_text("[store a]\nroot = 2\n", &c, &err), PERSIST_OK);
    assert_value(store_get(c, "a", "root"), "2", "c.conf:2");
    config_destroy(c);
    assert_int_equal(load_text("[store a]\nroot = 2\nroot = 3\n", &c, &err),
                     PERSIST_E_CONFIG);
}

static void stores_and_keys__have_limits(void **state)
{
    (void)state;
    static char text[64000];
    struct config *c;
    struct persist_error err;
    size_t len = 0;
    for (int i = 0; i < CONFIG_STORES_MAX; i++)
        len += (size_t)sprintf(text + len, "[store s%d]\n", i);
    assert_int_equal(load_text(text, &c, &err), PERSIST_OK);
    assert_int_equal(config_n_stores(c), CONFIG_STORES_MAX);
    config_destroy(c);
    sprintf(text + len, "[store more]\n");
    assert_int_equal(load_text(text, &c, &err), PERSIST_E_CONFIG);
    assert_has(err.message, ":257: more than 256 stores");

    len = (size_t)sprintf(text, "[store a]\n");
    for (int i = 0; i < CONFIG_KEYS_MAX; i++)
        len += (size_t)sprintf(text + len, "k%d = 1\n", i);
    assert_int_equal(load_text(text, &c, &err), PERSIST_OK);
    config_destroy(c);
    sprintf(text + len, "more = 1\n");
    assert_int_equal(load_text(text, &c, &err), PERSIST_E_CONFIG);
    assert_has(err.message, ":130: more than 128 keys");
}

#ifdef PERSIST_TEST_INIH_SWITCHES
/* inih's switches belong to the application; whatever they say, a file is read
 * right or refused. */
static void inih__reading_it_differently_is_an_error(void **state)
{
    (void)state;
    static const char good[] = "[store main]\nroot = /x\nlonger_key_name = 1\n";
    struct config *c;
    struct persist_error err;
    static char hides_a_key[] = "r", hides_a_section[] = "[";
    char *prefixes = ini_start_comment_prefixes;

    ini_start_comment_prefixes = hides_a_key;
    assert_int_equal(load_text(good, &c, &err), PERSIST_E_CONFIG);
    assert_has(err.message, "reads this line differently");
    ini_start_comment_prefixes = hides_a_section;
    assert_int_equal(load_text(good, &c, &err), PERSIST_E_CONFIG);
    ini_start_comment_prefixes = prefixes;

    int longest = ini_max_line;
    ini_max_line = 16;
    int rc = load_text(good, &c, &err);
    ini_max_line = longest;
    assert_int_equal(rc, PERSIST_E_CONFIG);
    assert_has(err.message, ":3: the INI parser reads this line differently");

    assert_int_equal(load_text(good, &c, &err), PERSIST_OK);
    config_destroy(c);
}
#endif

/* ------------------------------------------------------------------ trust */

static int load_with_mode(const char *text, mode_t mode, uid_t owner,
                          struct config **out, struct persist_error *err)
{
    struct config_sources sources = nothing_else();
    sources.extra_file = write_bytes("c.conf", text, strlen(text), mode);
    if (owner != geteuid())
        assert_int_equal(chown(sources.extra_file, owner, (gid_t)-1), 0);
    return config_load(&sources, out, err);
}

static void trust__secret_in_a_readable_file_is_refused(void **state)
{
    (void)state;
    static const char *const secrets[] = {"secret_access_key", "password",
                                          "session_token",
                                          "service_account_json", "db_secret"};
    static const char *const harmless[] = {"root", "password_file", "bucket",
                                           "token_url", "kms_key_id"};
    char text[128];
    struct config *c;
    struct persist_error err;
    for (size_t i = 0; i < COUNT(secrets); i++) {
        snprintf(text, sizeof(text), "[store a]\n%s = x\n", secrets[i]);
        assert_int_equal(load_with_mode(text, 0644, geteuid(), &c, &err),
                         PERSIST_E_CONFIG);
        assert_has(err.message, "c.conf:2: ");
        assert_has(err.message, secrets[i]);
        assert_has(err.hint, "chmod o-r");
        assert_has(err.hint, secrets[i]);
        assert_int_equal(load_with_mode(text, 0640, geteuid(), &c, &err),
                         PERSIST_OK);
        config_destroy(c);
        snprintf(text, sizeof(text), "[store a]\n%s =\n", secrets[i]);
        assert_int_equal(load_with_mode(text, 0644, geteuid(), &c, &err),
                         PERSIST_OK);
        config_destroy(c);
        snprintf(text, sizeof(text), "[store a]\n%s = x\n", harmless[i]);
        assert_int_equal(load_with_mode(text, 0644, geteuid(), &c, &err),
                         PERSIST_OK);
        config_destroy(c);
    }
}

static void trust__commands_in_a_writable_file_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"[store a]\npassword_command = /x\n",
                                        "[store a]\ncredential_process = /x\n",
                                        "[persist]\nbackend_dir = /x\n"};
    struct config *c;
    struct persist_error err;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(load_with_mode(texts[i], 0602, geteuid(), &c, &err),
                         PERSIST_E_CONFIG);
        assert_has(err.message, ":2: ");
        assert_has(err.message, "others may write this file");
        assert_int_equal(load_with_mode(texts[i], 0644, geteuid(), &c, &err),
                         PERSIST_OK);
        config_destroy(c);
    }
    assert_int_equal(
        load_with_mode("[store a]\nroot = /x\n", 0666, geteuid(), &c, &err),
        PERSIST_OK);
    assert_false(store_get(c, "a", "root").trusted);
    config_destroy(c);
    assert_int_equal(
        load_with_mode("[store a]\nroot = /x\n", 0644, geteuid(), &c, &err),
        PERSIST_OK);
    assert_true(store_get(c, "a", "root").trusted);
    config_destroy(c);
}

static void trust__delicate_keys_of_someone_else_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"[store a]\npassword = x\n",
                                        "[store a]\npassword_command = /x\n",
                                        "[persist]\nbackend_dir = /x\n"};
    struct config *c;
    struct persist_error err;
    if (geteuid() != 0)
        skip(); /* only root gives files away; judge__ covers the rule */
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(load_with_mode(texts[i], 0600, 65534, &c, &err),
                         PERSIST_E_CONFIG);
        assert_has(err.message, "belongs to someone else");
        assert_int_equal(load_with_mode(texts[i], 0600, 0, &c, &err),
                         PERSIST_OK);
        config_destroy(c);
    }
    assert_int_equal(
        load_with_mode("[store a]\nroot = /x\n", 0600, 65534, &c, &err),
        PERSIST_OK);
    assert_false(store_get(c, "a", "root").trusted);
    config_destroy(c);
}

static void judge__looks_at_owner_group_and_mode(void **state)
{
    (void)state;
    uid_t me = geteuid();
    gid_t mine = getegid();
    const struct {
        struct stat st;
        bool public, foreign, shared;
    } rows[] = {
        {{.st_mode = 0600, .st_uid = me, .st_gid = mine}, false, false, false},
        {{.st_mode = 0644, .st_uid = 0, .st_gid = 0}, true, false, false},
        {{.st_mode = 0660, .st_uid = me, .st_gid = mine}, false, false, false},
        {{.st_mode = 0660, .st_uid = me, .st_gid = 0}, false, false, false},
        {{.st_mode = 0660, .st_uid = me, .st_gid = 54321}, false, false, true},
        {{.st_mode = 0602, .st_uid = me, .st_gid = mine}, false, false, true},
        {{.st_mode = 0600, .st_uid = 54321, .st_gid = mine},
         false,
         true,
         false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_file file = {0};
        config_file_judge(&file, &rows[i].st);
        assert_int_equal(file.public, rows[i].public);
        assert_int_equal(file.foreign, rows[i].foreign);
        assert_int_equal(file.shared, rows[i].shared);
    }
}

/* A file of random pieces is read or refused; nothing else (a sanitizer looks
 * on), and soon. */
static void noise__is_read_or_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "[persist]\n", "[store a]\n", "[store b]\n",
        "root = /x\n", "store = a\n", "log_level = info\n",
        "\n",          " ",           "#",
        "=",           "[",           "]",
        "\r\n",        "\xff",        "x_command = /x\n",
        "k = ",        ";",           "\xef\xbb\xbf"};
    uint32_t seed = 11;
    unsigned n_ok = 0;
    for (int round = 0; round < 600; round++) {
        char text[400] = "";
        struct config *c;
        struct persist_error err;
        seed = seed * 1664525 + 1013904223;
        for (unsigned n = (seed >> 20) % 9; n > 0; n--) {
            seed = seed * 1664525 + 1013904223;
            strcat(text, pieces[(seed >> 10) % COUNT(pieces)]);
        }
        int rc = load_text(text, &c, &err);
        n_ok += rc == PERSIST_OK;
        if (rc != PERSIST_OK)
            assert_has(err.message, "c.conf:");
        config_destroy(c);
    }
    assert_true(n_ok > 20 && n_ok < 580);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(files__later_ones_override_key_by_key),
        TEST(directory__is_read_in_byte_order),
        TEST(files__none_of_them_there_gives_defaults),
        TEST(no_files__reads_only_the_named_one),
        TEST(named_file__must_be_a_readable_regular_file),
        TEST(file__through_a_symlink_and_of_a_mebibyte_is_read),
        TEST(directory__that_cannot_be_read_is_an_error),
        TEST(directory__of_too_many_files_is_refused),
        TEST(value__of_every_length_arrives_whole),
        TEST(text__with_a_mark_comments_and_all_kinds_of_lines),
        TEST(text__that_is_wrong_is_refused_with_its_line),
        TEST(key__may_stand_once_in_each_of_two_files),
        TEST(stores_and_keys__have_limits),
#ifdef PERSIST_TEST_INIH_SWITCHES
        TEST(inih__reading_it_differently_is_an_error),
#endif
        TEST(trust__secret_in_a_readable_file_is_refused),
        TEST(trust__commands_in_a_writable_file_are_refused),
        TEST(trust__delicate_keys_of_someone_else_are_refused),
        TEST(judge__looks_at_owner_group_and_mode),
        TEST(noise__is_read_or_refused),
    };
    return cmocka_run_group_tests_name("services.config_files", tests, NULL,
                                       NULL);
}
