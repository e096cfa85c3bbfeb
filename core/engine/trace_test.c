/* SPDX-License-Identifier: Apache-2.0 */
/* The trace file; what spans say is services/trace_test.c's. */
#include "engine/save_test_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CUT 40 /* bytes of a line that fit */

static char path[64];

static struct persist *open_traced(struct persist_store **store)
{
    static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR
                                       "/tests/backends"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_store_builder *b;
    struct persist_error err = {0};
    char setting[96];
    const char *settings[] = {setting};
    struct persist *p;

    snprintf(setting, sizeof setting, "trace_file=%s", path);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.settings = settings;
    o.n_settings = 1;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.state_dir = "";
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_ok(persist_store_builder_create(p, "memory", &b, &err), &err);
    persist_store_builder_set(b, "store", "traced");
    assert_ok(persist_store_builder_build(b, store, &err), &err);
    return p;
}

/* The file, with a NUL; freed by the caller. */
static char *read_trace(void)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    assert_int_equal(fclose(f), 0);
    return text;
}

/* How many lines are whole; none may hold the beginning of another. */
static unsigned n_whole(const char *text)
{
    static const char begin[] = "{\"resourceSpans\"";
    unsigned n = 0;

    while (*text) {
        size_t len = strcspn(text, "\n");
        const char *again = strstr(text + 1, begin);

        assert_memory_equal(text, begin, sizeof begin - 1);
        assert_true(!again || again > text + len);
        n += text[len] == '\n' && text[len - 1] == '}';
        text += len + (text[len] == '\n');
    }
    return n;
}

/* As a full disk does: so many bytes of a line fit. */
static void limit_file(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void line__begins_anew_behind_one_that_was_cut(void **state)
{
    struct persist_store *store;
    struct persist_error err = {0};
    struct persist *p;
    struct stat st;
    char *text;

    (void)state;
    snprintf(path, sizeof path, "/tmp/persist-trace-%d", (int)getpid());
    signal(SIGXFSZ, SIG_IGN);
    p = open_traced(&store);
    assert_ok(persist_save_buffer(store, "a", "1", 1, NULL, NULL, &err), &err);
    assert_int_equal(stat(path, &st), 0);
    limit_file((rlim_t)st.st_size + CUT);
    assert_ok(persist_save_buffer(store, "a", "2", 1, NULL, NULL, &err), &err);
    limit_file(RLIM_INFINITY);
    assert_ok(persist_save_buffer(store, "a", "3", 1, NULL, NULL, &err), &err);
    assert_ok(persist_save_buffer(store, "a", "4", 1, NULL, NULL, &err), &err);

    text = read_trace();
    assert_memory_equal(text + st.st_size + CUT, "\n{", 2);
    assert_int_equal(n_whole(text), 3);
    free(text);
    persist_close(store);
    persist_destroy(p);
    unlink(path);
}

/* A line that another process is at is seen in its middle: a break would come
 * behind its end. */
static void line__of_another_gets_no_break(void **state)
{
    struct persist_store *store;
    struct persist_error err = {0};
    struct persist *p;
    char *text;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "/tmp/persist-trace-%d", (int)getpid());
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("{half", f) >= 0);
    assert_int_equal(fclose(f), 0);
    p = open_traced(&store);
    assert_ok(persist_save_buffer(store, "a", "1", 1, NULL, NULL, &err), &err);

    text = read_trace();
    assert_memory_equal(text, "{half{", 6);
    free(text);
    persist_close(store);
    persist_destroy(p);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line__of_another_gets_no_break),
        cmocka_unit_test(line__begins_anew_behind_one_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
