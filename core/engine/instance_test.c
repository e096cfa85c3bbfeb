/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/save_test_kit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BARE (PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT)

static int create(const struct persist_options *o, struct persist_error *err)
{
    struct persist *p = NULL;
    int rc = persist_create(o, &p, err);

    assert_true(!rc == !!p);
    persist_destroy(p);
    return rc;
}

/* Whether memory that is freed still says this. */
static const char *watched;
static bool was_freed, told;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    if (memory && memory == watched) {
        was_freed = true;
        told |= strstr(watched, "hunter2") != NULL;
    }
    __real_free(memory);
}

static void create__takes_defaults(void **state)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;

    (void)state;
    o.flags = BARE;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_int_equal(budget_limit(p->budget), 256 << 20);
    assert_int_equal(p->n_backend_dirs, 0);
    persist_destroy(p);
    o.memory_limit = 12345678;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_int_equal(budget_limit(p->budget), 12345678);
    persist_destroy(p);
    p = NULL;
    o.memory_limit = PERSIST_MEMORY_LIMIT_MIN - 1;
    assert_int_equal(persist_create(&o, &p, &err), PERSIST_E_INVALID);
    assert_null(p);
    assert_string_equal(err.message, "memory_limit is 8388607 bytes, and at "
                                     "least 8388608 are needed");
    o.memory_limit = PERSIST_MEMORY_LIMIT_MIN;
    assert_ok(persist_create(&o, &p, &err), &err);
    persist_destroy(p);
    persist_destroy(NULL);
    persist_interrupt(NULL);
    assert_string_equal(persist_version(), PERSIST_VERSION);
    persist_free(NULL);
}

static void create__reads_settings(void **state)
{
    static const char *const settings[] = {"memory_limit=32M",
                                           "log_level=debug",
                                           "backend_dir=/one:/two", "max_io=7"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;

    (void)state;
    o.flags = BARE;
    o.settings = settings;
    o.n_settings = 4;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_int_equal(budget_limit(p->budget), 32 << 20);
#ifdef PERSIST_ASYNC
    assert_int_equal(executor_limit(p->io), 7);
#endif
    assert_int_equal(p->n_backend_dirs, 2);
    assert_string_equal(p->backend_dirs[0], "/one");
    assert_string_equal(p->backend_dirs[1], "/two");
    persist_destroy(p);
}

static void create__takes_limits_of_the_caller_first(void **state)
{
    static const char *const settings[] = {"limit_upload=2M/s",
                                           "limit_download=500"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;

    (void)state;
    o.flags = BARE;
    o.settings = settings;
    o.n_settings = 2;
    o.state_dir = "/somewhere";
    o.limit_download = UINT64_MAX;
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_int_equal(p->upload.bytes_per_s, 2 << 20);
    assert_int_equal(p->download.bytes_per_s, 0);
    assert_string_equal(p->state_dir, "/somewhere");
    persist_destroy(p);
    o.limit_upload = 7;
    o.state_dir = "";
    assert_ok(persist_create(&o, &p, &err), &err);
    assert_int_equal(p->upload.bytes_per_s, 7);
    assert_null(p->state_dir);
    persist_destroy(p);
    o.state_dir = "here";
    assert_status(persist_create(&o, &p, &err), PERSIST_E_INVALID, &err);
}

static void keep_level(void *ctx, int level, const char *line, size_t len)
{
    (void)line;
    (void)len;
    *(int *)ctx = level;
}

static void create__logs_as_told(void **state)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p = NULL;
    int level = 0;

    (void)state;
    o.flags = BARE;
    o.log = keep_level;
    o.log_ctx = &level;
    o.log_level = PERSIST_LOG_ERROR;
    assert_ok(persist_create(&o, &p, &err), &err);
    log_line(p->log, LOG_WARN, "quiet", LOG_END);
    assert_int_equal(level, 0);
    log_line(p->log, LOG_ERROR, "loud", LOG_END);
    assert_int_equal(level, LOG_ERROR);
    persist_destroy(p);
}

static void create__refuses_bad_options(void **state)
{
    static const char *const relative[] = {"backends"};
    static const char *const none[] = {NULL};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};

    (void)state;
    assert_status(persist_create(NULL, NULL, &err), PERSIST_E_MISUSE, &err);
    o.flags = 1U << 20;
    assert_status(create(&o, &err), PERSIST_E_INVALID, &err);
    o.flags = BARE;
    o.log_level = 17;
    assert_status(create(&o, &err), PERSIST_E_INVALID, &err);
    o.log_level = 0;
    o.backend_dirs = relative;
    o.n_backend_dirs = 1;
    assert_status(create(&o, &err), PERSIST_E_CONFIG, &err);
    assert_contains(err.message, "absolute");
    o.backend_dirs = none;
    assert_status(create(&o, &err), PERSIST_E_CONFIG, &err);
    o.n_backend_dirs = 0;
    o.settings = none;
    o.n_settings = 1;
    assert_status(create(&o, &err), PERSIST_E_INVALID, &err);
    o.settings = NULL;
    assert_status(create(&o, &err), PERSIST_E_MISUSE, &err);
    o.n_settings = 0;
    o.backend_dirs = NULL;
    o.n_backend_dirs = 1;
    assert_status(create(&o, &err), PERSIST_E_MISUSE, &err);
    o.n_backend_dirs = 0;
    o.config_file = "/nonexistent/persist.conf";
    assert_int_not_equal(create(&o, &err), PERSIST_OK);
    o.struct_size = 1;
    assert_status(create(&o, &err), PERSIST_E_MISUSE, &err);
}

static void settings__are_wiped_at_the_end(void **state)
{
    const char *settings[] = {"secret_access_key=hunter2"};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    struct persist *p;

    (void)state;
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.settings = settings;
    o.n_settings = 1;
    assert_ok(persist_create(&o, &p, &err), &err);
    watched = p->settings[0];

    persist_destroy(p);

    watched = NULL;
    assert_true(was_freed);
    assert_false(told);
}

static void options__of_other_sizes_are_read(void **state)
{
    struct {
        uint32_t struct_size;
        uint32_t flags;
        uint64_t a, b;
    } src = {.struct_size = sizeof src, .flags = 3, .a = 1, .b = 2};
    struct {
        uint32_t struct_size;
        uint32_t flags;
        uint64_t a;
    } dst;
    struct persist_error err = {0};

    (void)state;
    assert_status(engine_options(&dst, sizeof dst, &src, &err),
                  PERSIST_E_UNSUPPORTED, &err);
    src.b = 0;
    assert_ok(engine_options(&dst, sizeof dst, &src, &err), &err);
    assert_int_equal(dst.a, 1);
    src.struct_size = 8;
    assert_ok(engine_options(&dst, sizeof dst, &src, &err), &err);
    assert_int_equal(dst.a, 0);
    assert_int_equal(dst.flags, 3);
    assert_ok(engine_options(&dst, sizeof dst, NULL, &err), &err);
    assert_int_equal(dst.flags, 0);
    src.struct_size = 0;
    assert_status(engine_options(&dst, sizeof dst, &src, &err),
                  PERSIST_E_MISUSE, &err);
    src.struct_size = 0xcccccccc;
    assert_status(engine_options(&dst, sizeof dst, &src, &err),
                  PERSIST_E_MISUSE, &err);
}

/* ---------------------------------------------------------------- the rules
 */

static void interrupt__ends_every_call(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    persist_interrupt(r->p);
    persist_interrupt(r->p);
    assert_status(persist_save_buffer(r->store, "a", "x", 1, NULL, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_status(persist_delete(r->store, "a@0", NULL, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    assert_int_equal(rig_objects(r), 1);
}

/* What a child sees: the codes of a few calls, as its exit status. */
static int in_child(struct rig *r)
{
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_op *op = NULL;
    struct persist_error err;

    if (persist_save_buffer(r->store, "a", "x", 1, NULL, NULL, &err) !=
        PERSIST_E_FORKED)
        return 1;
    if (persist_open(r->p, NULL, &store, &err) != PERSIST_E_FORKED)
        return 2;
    if (persist_store_builder_create(r->p, "memory", &b, &err) !=
        PERSIST_E_FORKED)
        return 3;
    if (persist_op_create(r->p, &op, &err) != PERSIST_E_FORKED)
        return 4;
    if (persist_cleanup(r->store, NULL, NULL, &err) != PERSIST_E_FORKED)
        return 5;
    persist_close(r->store);
    persist_destroy(r->p);
    return 0;
}

static void fork__is_noticed(void **state)
{
    struct rig *r = *state;
    int status = -1;
    pid_t pid;

    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(in_child(r));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    rig_save(r, "the parent goes on", 0);
}

/* A child that waits for threads which are not there is ended by the alarm. */
static int end_of_child(void (*run)(void *ctx), void *ctx)
{
    sigset_t none;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        sigemptyset(&none);
        pthread_sigmask(SIG_SETMASK, &none, NULL);
        alarm(10);
        run(ctx);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

struct reading {
    struct persist_reader *reader;
    int status;
};

static void close_reader(void *ctx)
{
    persist_reader_close(((struct reading *)ctx)->reader);
}

/* On the thread that reads ahead, whose request never ends in the child. */
static void fork_while_it_reads(void *ctx)
{
    struct reading *reading = ctx;

    reading->status = end_of_child(close_reader, reading);
}

static void fork__reader_may_be_closed_while_it_reads_ahead(void **state)
{
    const size_t len = (size_t)8 << 20;
    struct rig *r = *state;
    uint8_t *noise = rig_noise(len, 3);
    struct reading reading = {NULL, -1};
    struct persist_error err = {0};
    size_t n = 0;
    char byte;

    assert_ok(persist_save_buffer(r->store, "a", noise, len, NULL, NULL, &err),
              &err);
    free(noise);
    assert_ok(persist_reader_open(r->store, "a", NULL, &reading.reader, &err),
              &err);
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .then = fork_while_it_reads,
                                    .ctx = &reading});
    assert_ok(persist_reader_read(reading.reader, &byte, 1, &n, &err), &err);
    persist_reader_close(reading.reader);

    assert_int_equal(reading.status, 0);
}

static void close_listing(void *ctx)
{
    persist_listing_close(ctx);
}

/* As another thread of the parent may hold it. */
static void fork__listing_may_be_closed_whatever_is_locked(void **state)
{
    struct rig *r = *state;
    struct persist_listing *l = NULL;
    struct persist_error err = {0};

    rig_save(r, "x", 0);
    assert_ok(persist_list(r->store, "a/default", NULL, &l, &err), &err);
    pthread_mutex_lock(&r->store->mutex);
    int status = end_of_child(close_listing, l);
    pthread_mutex_unlock(&r->store->mutex);
    persist_listing_close(l);

    assert_int_equal(status, 0);
}

static void destroy__with_open_stores_frees_nothing(void **state)
{
    struct rig *r = *state;

    persist_destroy(r->p); /* against the rules */
    assert_contains(r->log.data, "open stores");
}

struct closing {
    struct rig *r;
    struct persist_store *store;
    pthread_t thread;
    atomic_bool closed;
};

static void *close_store(void *ctx)
{
    struct closing *c = ctx;

    persist_close(c->store);
    atomic_store(&c->closed, true);
    return NULL;
}

static void close_meanwhile(void *ctx)
{
    struct closing *c = ctx;

    assert_int_equal(pthread_create(&c->thread, NULL, close_store, c), 0);
    usleep(20000);
    assert_false(atomic_load(&c->closed));
}

static void close__waits_for_running_operations(void **state)
{
    struct rig *r = *state;
    struct closing c = {.r = r, .store = rig_again(r, "other", NULL)};
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "put",
                                    .actor = "other",
                                    .then = close_meanwhile,
                                    .ctx = &c});
    assert_ok(persist_save_buffer(c.store, "a", "x", 1, NULL, NULL, &err),
              &err);
    pthread_join(c.thread, NULL);
    assert_true(atomic_load(&c.closed));
    rig_expect(r, "a", "x", 1);
}

/* ------------------------------------------------------------------------ op
 */

static void op__serves_one_call_after_another(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    assert_ok(persist_save_buffer(r->store, "a", "12345", 5, &o, NULL, &err),
              &err);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, 5);
    assert_ok(persist_save_buffer(r->store, "a", "12", 2, &o, NULL, &err),
              &err);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, 2);
    persist_op_cancel(o.op);
    assert_status(persist_save_buffer(r->store, "a", "1", 1, &o, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    persist_op_destroy(o.op);
    persist_op_destroy(NULL);
    persist_op_cancel(NULL);
    persist_op_progress(NULL, &progress);
    assert_status(persist_op_create(NULL, &o.op, &err), PERSIST_E_MISUSE, &err);
    assert_status(persist_op_create(r->p, NULL, &err), PERSIST_E_MISUSE, &err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__takes_defaults),
        cmocka_unit_test(create__reads_settings),
        cmocka_unit_test(settings__are_wiped_at_the_end),
        cmocka_unit_test(create__takes_limits_of_the_caller_first),
        cmocka_unit_test(create__logs_as_told),
        cmocka_unit_test(create__refuses_bad_options),
        cmocka_unit_test(options__of_other_sizes_are_read),
        T(interrupt__ends_every_call),
        T(fork__is_noticed),
        T(fork__reader_may_be_closed_while_it_reads_ahead),
        T(fork__listing_may_be_closed_whatever_is_locked),
        T(destroy__with_open_stores_frees_nothing),
        T(close__waits_for_running_operations),
        T(op__serves_one_call_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
