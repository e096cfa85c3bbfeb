/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKENDS PERSIST_TEST_BINARY_DIR "/tests/backends"
#define CANARY "hunter2-canary"

/* Where the configuration and the broken backends of a test lie. */
struct place {
    char dir[32];
    char conf[64];
    char broken[64];
    struct persist *p;
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, 0600);
}

static void place_open(struct place *place, const char *conf)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    const char *dirs[] = {place->dir, BACKENDS};
    struct persist_error err = {0};

    snprintf(place->dir, sizeof place->dir, "/tmp/persist-desc-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->conf, sizeof place->conf, "%s/persist.conf", place->dir);
    snprintf(place->broken, sizeof place->broken, "%s/broken.so", place->dir);
    write_file(place->conf, conf);
    write_file(place->broken, "not a shared object");
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.config_file = place->conf;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 2;
    assert_ok(persist_create(&o, &place->p, &err), &err);
}

static void place_close(struct place *place)
{
    persist_destroy(place->p);
    unlink(place->conf);
    unlink(place->broken);
    rmdir(place->dir);
}

/* -------------------------------------------------------------- config show
 */

struct shown {
    struct buf text; /* "store.key=value (origin)\n" */
    int stop_at;
    int n;
};

static int show(void *ctx, const struct persist_setting *s)
{
    struct shown *shown = ctx;

    buf_printf(&shown->text, "%s.%s=%s (%s)\n", s->store ? s->store : "",
               s->key, s->value ? s->value : "-", s->origin);
    return ++shown->n == shown->stop_at ? PERSIST_E_CANCELLED : 0;
}

static const char conf[] = "[persist]\n"
                           "log_level = info\n"
                           "[store good]\n"
                           "backend = memory\n"
                           "store = m\n"
                           "accept_durability = full\n"
                           "token = " CANARY "\n"
                           "[store lost]\n"
                           "backend = nosuch\n"
                           "password = " CANARY "\n";

static void show__names_values_and_origins(void **state)
{
    struct shown shown = {0};
    struct persist_error err = {0};
    struct place place;
    char line[128];

    (void)state;
    buf_init(&shown.text, 1 << 16);
    place_open(&place, conf);
    assert_ok(persist_config_show(place.p, show, &shown, &err), &err);
    snprintf(line, sizeof line, "\n.log_level=info (%s:2)\n", place.conf);
    assert_contains(shown.text.data, line);
    assert_contains(shown.text.data, ".memory_limit=256M (default)\n");
    snprintf(line, sizeof line, "\ngood.backend=memory (%s:4)\n", place.conf);
    assert_contains(shown.text.data, line);
    assert_contains(shown.text.data, "good.accept_durability=full (");
    assert_contains(shown.text.data, "good.store=m (");
    assert_contains(shown.text.data, "good.latency=0ms (default)\n");
    assert_contains(shown.text.data, "good.token=(secret) (");
    assert_contains(shown.text.data, "lost.backend=nosuch (");
    /* Nobody knows what a key means whose backend is not there. */
    assert_contains(shown.text.data, "lost.password=(not shown: no backend");
    assert_null(strstr(shown.text.data, CANARY));
    shown.n = 0;
    shown.stop_at = 3;
    assert_int_equal(persist_config_show(place.p, show, &shown, &err),
                     PERSIST_E_CANCELLED);
    assert_int_equal(shown.n, 3);
    for (shown.stop_at = 4; shown.stop_at < 60; shown.stop_at++) {
        shown.n = 0;
        if (persist_config_show(place.p, show, &shown, &err) == PERSIST_OK)
            break;
        assert_int_equal(shown.n, shown.stop_at);
    }
    assert_true(shown.stop_at > 20 && shown.stop_at < 60);
    place_close(&place);
    buf_finish(&shown.text);
}

static void show__says_where_secrets_come_from(void **state)
{
    static const char *const rows[][2] = {
        {"token_file = /run/secret\n", "s.token_file=/run/secret ("},
        {"token_command = cat " CANARY "\n", "s.token_command=(secret) ("},
        {"", "s.token=- (default)"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct shown shown = {0};
        struct persist_error err = {0};
        struct place place;
        char text[128];

        buf_init(&shown.text, 1 << 16);
        snprintf(text, sizeof text, "[store s]\nbackend = memory\n%s",
                 rows[i][0]);
        place_open(&place, text);
        assert_ok(persist_config_show(place.p, show, &shown, &err), &err);
        assert_contains(shown.text.data, rows[i][1]);
        assert_null(strstr(shown.text.data, CANARY));
        place_close(&place);
        buf_finish(&shown.text);
    }
}

/* ------------------------------------------------------------- config check
 */

struct problems {
    struct buf text;
    int rc;
};

static int collect(void *ctx, const char *store,
                   const struct persist_error *problem)
{
    struct problems *p = ctx;

    buf_printf(&p->text, "%s: %s\n", store ? store : "-", problem->message);
    return p->rc;
}

static void check__reports_every_problem(void **state)
{
    struct problems problems = {0};
    struct persist_error err = {0};
    struct place place;

    (void)state;
    buf_init(&problems.text, 1 << 16);
    place_open(&place, "[persist]\nstore = nowhere\n"
                       "[store bad]\nbackend = memory\nlatency = fast\n"
                       "[store fine]\nbackend = memory\n"
                       "[store lost]\nbackend = nosuch\n");
    assert_status(persist_config_check(place.p, collect, &problems, &err),
                  PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "3 problems");
    assert_contains(problems.text.data, "-: ");
    assert_contains(problems.text.data, "nowhere");
    assert_contains(problems.text.data, "bad: ");
    assert_contains(problems.text.data, "lost: ");
    assert_null(strstr(problems.text.data, "fine: "));
    problems.rc = PERSIST_E_CANCELLED;
    assert_int_equal(persist_config_check(place.p, collect, &problems, &err),
                     PERSIST_E_CANCELLED);
    place_close(&place);
    place_open(&place, "[store bad]\nbackend = memory\nlatency = fast\n");
    problems.rc = 0;
    assert_status(persist_config_check(place.p, collect, &problems, &err),
                  PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "1 problem");
    place_close(&place);
    place_open(&place, "[store fine]\nbackend = memory\n");
    assert_ok(persist_config_check(place.p, collect, &problems, &err), &err);
    place_close(&place);
    buf_finish(&problems.text);
}

static int note_file(void *ctx, const char *path, int was_read)
{
    struct buf *text = ctx;

    buf_printf(text, "%s %d\n", path, was_read);
    return 0;
}

static void files__are_listed(void **state)
{
    struct persist_error err = {0};
    struct place place;
    struct buf text;
    char line[80];

    (void)state;
    buf_init(&text, 4096);
    place_open(&place, conf);
    assert_ok(persist_config_files(place.p, note_file, &text, &err), &err);
    snprintf(line, sizeof line, "%s 1\n", place.conf);
    assert_contains(text.data, line);
    place_close(&place);
    buf_finish(&text);
}

/* ----------------------------------------------------------------- backends
 */

struct backends {
    struct buf text; /* "name status options\n" */
    bool described;  /* memory, in full */
    int rc;
};

static void look_at_memory(struct backends *b,
                           const struct persist_backend_info *info)
{
    size_t i;

    assert_string_equal(info->thread_model, "parallel");
    assert_int_equal(info->abi_major, 1);
    assert_non_null(info->version);
    assert_null(info->error);
    for (i = 0; i < info->n_options; i++) {
        const struct persist_option_info *o = &info->options[i];

        if (strcmp(o->key, "fail_when") == 0) {
            assert_string_equal(o->type, "choice");
            assert_string_equal(o->choices, "before, after");
            assert_string_equal(o->default_value, "before");
            assert_non_null(o->help);
            b->described = true;
        }
        if (strcmp(o->key, "token") == 0)
            assert_true(o->secret);
    }
}

static int note_backend(void *ctx, const struct persist_backend_info *info)
{
    struct backends *b = ctx;

    buf_printf(&b->text, "%s %d\n", info->name, (int)info->status);
    if (info->status)
        assert_non_null(info->error);
    else if (strcmp(info->name, "memory") == 0)
        look_at_memory(b, info);
    return b->rc;
}

static void backends__are_described(void **state)
{
    struct backends b = {0};
    struct persist_error err = {0};
    struct place place;

    (void)state;
    buf_init(&b.text, 4096);
    place_open(&place, conf);
    assert_ok(persist_backends(place.p, NULL, note_backend, &b, &err), &err);
    assert_true(b.described);
    assert_contains(b.text.data, "memory 0\n");
    assert_contains(b.text.data, "broken -14\n");
    buf_clear(&b.text);
    assert_ok(persist_backends(place.p, "memory", note_backend, &b, &err),
              &err);
    assert_string_equal(b.text.data, "memory 0\n");
    assert_status(persist_backends(place.p, "nosuch", note_backend, &b, &err),
                  PERSIST_E_NOT_FOUND, &err);
    b.rc = PERSIST_E_CANCELLED;
    assert_int_equal(persist_backends(place.p, NULL, note_backend, &b, &err),
                     PERSIST_E_CANCELLED);
    place_close(&place);
    buf_finish(&b.text);
}

static void inspect__describes_one_file(void **state)
{
    struct backends b = {0};
    struct persist_error err = {0};
    struct place place;

    (void)state;
    buf_init(&b.text, 4096);
    place_open(&place, conf);
    assert_ok(persist_backend_inspect(place.p, BACKENDS "/memory.so",
                                      note_backend, &b, &err),
              &err);
    assert_true(b.described);
    assert_ok(
        persist_backend_inspect(place.p, place.broken, note_backend, &b, &err),
        &err);
    assert_contains(b.text.data, "broken.so -14\n");
    assert_status(
        persist_backend_inspect(place.p, "memory.so", note_backend, &b, &err),
        PERSIST_E_INVALID, &err);
    assert_status(
        persist_backend_inspect(place.p, NULL, note_backend, &b, &err),
        PERSIST_E_INVALID, &err);
    place_close(&place);
    buf_finish(&b.text);
}

static void describe__needs_a_report(void **state)
{
    struct persist_error err = {0};
    struct place place;

    (void)state;
    place_open(&place, conf);
    assert_status(persist_config_show(place.p, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_config_check(place.p, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_config_files(NULL, note_file, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_backends(place.p, NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_backend_inspect(place.p, "/x", NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show__names_values_and_origins),
        cmocka_unit_test(show__says_where_secrets_come_from),
        cmocka_unit_test(check__reports_every_problem),
        cmocka_unit_test(files__are_listed),
        cmocka_unit_test(backends__are_described),
        cmocka_unit_test(inspect__describes_one_file),
        cmocka_unit_test(describe__needs_a_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
