/* SPDX-License-Identifier: Apache-2.0 */
/* See fake_test.h. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/secret.h"

/* ------------------------------------------------------------------ clock */

static uint64_t fake_now(void *ctx)
{
    return ((struct fake_clock *)ctx)->now_ns;
}

static int64_t fake_wall(void *ctx)
{
    (void)ctx;
    return 0;
}

static void fake_sleep(void *ctx, uint64_t ns, int wake_fd)
{
    struct fake_clock *c = ctx;

    (void)wake_fd;
    assert_true(c->n_sleeps < FAKE_SLEEPS_MAX);
    c->sleeps[c->n_sleeps++] = ns;
    c->now_ns += ns;
    if (c->cancel_at_sleep)
        cancel_set(c->cancel_at_sleep);
}

static int fake_random(void *ctx, void *out, size_t len)
{
    struct fake_clock *c = ctx;

    assert_int_equal(len, sizeof(c->random));
    memcpy(out, &c->random, len);
    return c->random_rc;
}

void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){
        .clock = {fake_now, fake_wall, fake_sleep, fake_random, c},
        .now_ns = 5000000000,
        .random = 10000000, /* 10 ms: below every ceiling */
    };
}

/* ----------------------------------------------------------------- plugin */

static struct fake *opening;

static int32_t answer(struct fake *f, const char *op, const char *key,
                      const struct persist_backend_call *call,
                      struct persist_backend_error *error)
{
    int i = atomic_fetch_add(&f->n_calls, 1);
    const struct fake_answer *a =
        (size_t)i < f->n_script ? &f->script[i] : NULL;

    if (f->during) {
        f->during(f, call);
    } else {
        f->call = *call;
        snprintf(f->last_op, sizeof(f->last_op), "%s", op);
        snprintf(f->last_key, sizeof(f->last_key), "%s", key);
    }
    if (!a)
        return PERSIST_BACKEND_OK;
    if (a->message)
        snprintf(error->message, sizeof(error->message), "%s", a->message);
    if (a->retry_after_ms) {
        error->present |= PERSIST_BACKEND_ERROR_RETRY_AFTER;
        error->retry_after_ms = *a->retry_after_ms;
    }
    return a->status;
}

#define OP(name, args_type, result_type, remember)                             \
    static int32_t op_##name(void *store,                                      \
                             const struct persist_backend_call *call,          \
                             const struct persist_backend_##args_type *args,   \
                             struct persist_backend_##result_type *result,     \
                             struct persist_backend_error *error)              \
    {                                                                          \
        struct fake *f = store;                                                \
        assert_int_equal(args->struct_size, sizeof(*args));                    \
        assert_int_equal(result->struct_size, sizeof(*result));                \
        assert_int_equal(error->struct_size, sizeof(*error));                  \
        int32_t status = answer(f, #name, args->key, call, error);             \
        remember;                                                              \
        if (status == PERSIST_BACKEND_OK && f->fill)                           \
            f->fill(f, args, result);                                          \
        return status;                                                         \
    }
OP(put, put_args, put_result, if (!f->during) f->args.put = *args)
OP(begin, begin_args, begin_result, f->args.begin = *args)
OP(part, part_args, part_result, if (!f->during) f->args.part = *args)
OP(commit, commit_args, commit_result, f->args.commit = *args)
OP(read, read_args, read_result, if (!f->during) f->args.read = *args)
OP(head, head_args, head_result, (void)0)
OP(delete, delete_args, delete_result, (void)0)

#define LIST_OP(name, args_type, result_type)                                  \
    static int32_t op_##name(void *store,                                      \
                             const struct persist_backend_call *call,          \
                             const struct persist_backend_##args_type *args,   \
                             struct persist_backend_##result_type *result,     \
                             struct persist_backend_error *error)              \
    {                                                                          \
        struct fake *f = store;                                                \
        int32_t status = answer(f, #name, args->prefix, call, error);          \
        if (f->fill)                                                           \
            f->fill(f, args, result);                                          \
        return status;                                                         \
    }
LIST_OP(list, list_args, list_result)
LIST_OP(list_uploads, list_uploads_args, list_uploads_result)

static int32_t op_abort(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_abort_args *args,
                        struct persist_backend_error *error)
{
    struct fake *f = store;

    f->args.abort = *args;
    return answer(f, "abort", args->key, call, error);
}

static int32_t op_open(const struct persist_backend_host *host,
                       const struct persist_backend_config *config,
                       void **out_store, struct persist_backend_error *error)
{
    struct fake *f = opening;

    assert_int_equal(config->struct_size, sizeof(*config));
    assert_int_equal(config->value_size, sizeof(struct persist_backend_value));
    assert_int_equal(config->n_values, f->plugin.n_options);
    assert_string_equal(config->store_name, "archive");
    f->host = host;
    f->host_store = config->host_store;
    if (f->open_message)
        memcpy(error->message, f->open_message, strlen(f->open_message));
    *out_store = f->open_gives_nothing ? NULL : f;
    return f->open_status;
}

static void op_close(void *store)
{
    atomic_fetch_add(&((struct fake *)store)->n_closed, 1);
}

static int32_t op_limits(void *store, struct persist_backend_limits *out)
{
    const struct fake *f = store;

    assert_int_equal(out->struct_size, sizeof(*out));
    *out = f->limits;
    return f->limits_status;
}

/* ------------------------------------------------------------------- test */

/* Requests of several threads log at once. */
static void keep_line(void *ctx, int level, const char *line, size_t len)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    struct fake *f = ctx;
    size_t at;

    (void)level;
    pthread_mutex_lock(&one);
    at = strlen(f->logged);
    snprintf(f->logged + at, sizeof(f->logged) - at, "%.*s\n", (int)len, line);
    pthread_mutex_unlock(&one);
}

void fake_setup(struct fake *f)
{
    memset(f, 0, sizeof(*f));
    f->plugin.descriptor.name = "fake";
    f->plugin.descriptor.thread_model = PERSIST_BACKEND_PARALLEL;
    f->plugin.options = f->options;
    f->plugin.ops = (struct persist_backend_ops){
        .struct_size = sizeof(f->plugin.ops),
        .open = op_open,
        .close = op_close,
        .limits = op_limits,
        .put = op_put,
        .upload_begin = op_begin,
        .upload_part = op_part,
        .upload_commit = op_commit,
        .upload_abort = op_abort,
        .read = op_read,
        .head = op_head,
        .delete_object = op_delete,
        .list = op_list,
        .list_uploads = op_list_uploads,
    };
    f->limits.flags = PERSIST_BACKEND_ORDERED_LISTING;
    f->values.values = calloc(8, sizeof(*f->values.values));
    f->values.secrets = calloc(8, sizeof(struct secret *));
    f->values.owned = NULL;
    assert_non_null(f->values.values);
    assert_non_null(f->values.secrets);
    fake_clock_init(&f->clock);
    assert_int_equal(cancel_init(&f->instance, NULL, true), 0);
    assert_int_equal(op_init(&f->op, &f->instance), 0);
    f->budget = budget_create(1 << 20);
    f->log = log_create(LOG_DEBUG, LOG_LOGFMT, keep_line, f);
    assert_non_null(f->budget);
    assert_non_null(f->log);
    f->env = (struct backend_env){.clock = &f->clock.clock,
                                  .log = f->log,
                                  .budget = f->budget,
                                  .cancel = &f->instance};
}

void fake_log(struct fake *f, enum log_level level)
{
    log_destroy(f->log);
    f->log = log_create(level, LOG_LOGFMT, keep_line, f);
    assert_non_null(f->log);
    f->env.log = f->log;
}

void fake_teardown(struct fake *f)
{
    backend_store_close(f->store);
    option_values_finish(&f->values);
    op_finish(&f->op);
    cancel_finish(&f->instance);
    assert_int_equal(budget_used(f->budget), 0);
    budget_destroy(f->budget);
    log_destroy(f->log);
}

void fake_answer_message(struct fake *f, int32_t status, const char *message)
{
    assert_true(f->n_script < FAKE_SCRIPT_MAX);
    f->script[f->n_script++] = (struct fake_answer){status, message, NULL};
}

void fake_answer(struct fake *f, int32_t status)
{
    fake_answer_message(f, status, NULL);
}

int fake_try_open(struct fake *f, bool accept_file_durability)
{
    opening = f;
    return backend_store_open(&f->env, &f->plugin, "archive", &f->values,
                              accept_file_durability, &f->store, &f->err);
}

struct backend_store *fake_open(struct fake *f)
{
    assert_int_equal(fake_try_open(f, false), PERSIST_OK);
    return f->store;
}

void fake_option(struct fake *f, const char *key, uint32_t type,
                 uint32_t option_flags, uint32_t value_flags)
{
    size_t i = f->plugin.n_options++;

    f->options[i] = (struct persist_backend_option){
        .key = key, .type = type, .flags = option_flags};
    f->values.values[i] =
        (struct persist_backend_value){.key = key, .flags = value_flags};
    f->values.n = f->plugin.n_options;
}

void fake_secret(struct fake *f, const char *key, const char *bytes)
{
    fake_option(f, key, PERSIST_BACKEND_SECRET, 0, PERSIST_BACKEND_VALUE_SET);
    f->values.secrets[f->values.n - 1] = secret_create(bytes, strlen(bytes));
    assert_non_null(f->values.secrets[f->values.n - 1]);
}
