/* SPDX-License-Identifier: Apache-2.0 */
/* See transfer_test_kit.h. */
#include "transfer/transfer_test_kit.h"

#include <stdlib.h>
#include <string.h>

void rig_open(struct rig *r, uint64_t limit, const char *const *options,
              size_t n)
{
    static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR
                                       "/tests/backends"};
    struct config_sources sources = {.no_files = true,
                                     .no_environment = true,
                                     .settings = options,
                                     .n_settings = n};
    const struct plugin_dirs plugin_dirs = {dirs, 1};
    struct option_values values = {0};
    const struct plugin *plugin;
    struct persist_error err = {0};
    struct backend_env env = {.clock = &clock_system};
    struct config *config = NULL;

    memset(r, 0, sizeof *r);
    r->budget = budget_create(limit);
    r->pool = upload_pool_create();
    assert_int_equal(cancel_init(&r->cancel, NULL, false), 0);
    assert_int_equal(op_init(&r->op, &r->cancel), 0);
    op_start(&r->op, &clock_system, 0);
    env.budget = r->budget;
    env.cancel = &r->cancel;
    assert_ok(config_load(&sources, &config, &err), &err);
    assert_ok(config_add_store(config, "s", "test", &err), &err);
    assert_ok(
        config_add_store_value(config, "s", "backend", "memory", "test", &err),
        &err);
    assert_ok(plugin_load(&plugin_dirs, "memory", &plugin, &err), &err);
    assert_ok(option_values_resolve(plugin, config, "s", &values, &err), &err);
    assert_ok(
        backend_store_open(&env, plugin, "s", &values, false, &r->store, &err),
        &err);
    r->memory = plugin->descriptor.get_extension(MEMORY_CONTROL);
    r->memory->reset("default");
    config_destroy(config);
}

void rig_threads(struct rig *r)
{
    r->cpu = executor_create("cpu", 4, 0);
    r->io = executor_create("io", 8, 0);
    assert_non_null(r->cpu);
    assert_non_null(r->io);
}

void rig_close(struct rig *r)
{
    executor_destroy(r->io);
    executor_destroy(r->cpu);
    assert_int_equal(budget_used(r->budget), 0);
    upload_pool_destroy(r->pool);
    backend_store_close(r->store);
    op_finish(&r->op);
    cancel_finish(&r->cancel);
    budget_destroy(r->budget);
}

uint8_t *noise(size_t len)
{
    uint8_t *out = malloc(len + 1);
    uint64_t x = 88172645463325252U;
    size_t i;

    assert_non_null(out);
    for (i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 24);
    }
    return out;
}
