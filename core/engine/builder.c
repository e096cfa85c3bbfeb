/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store without a configuration file.
 *
 * Each builder has a configuration of its own, so that building one store
 * cannot change another.  The instance's settings win over what is set here,
 * as everywhere; files and environment are not read: what a program sets by
 * name must not be changed by a variable it does not know of.
 */
#include "engine/instance.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/text.h"

#define BUILDER_NAME "builder"

struct persist_store_builder {
    struct persist *p;
    struct config *config;
    struct buf problems; /* one line, "; " between them */
    bool no_memory;
};

static void add_problem(struct persist_store_builder *b, const char *text)
{
    if (b->problems.len)
        buf_puts(&b->problems, "; ");
    buf_puts(&b->problems, text);
    /* A list that is too long for one error keeps what it has. */
    b->problems.failed = false;
}

int persist_store_builder_create(struct persist *p, const char *backend,
                                 struct persist_store_builder **out,
                                 struct persist_error *err)
{
    struct config_sources sources = {.no_files = true, .no_environment = true};
    struct persist_store_builder *b;
    int rc;

    rc = engine_check(p, err);
    if (rc)
        return rc;
    if (!out || !backend)
        return error_set(err, PERSIST_E_MISUSE, "backend or out is NULL");
    *out = NULL;
    b = calloc(1, sizeof *b);
    if (!b)
        return error_memory(err);
    b->p = p;
    buf_init(&b->problems, 400);
    sources.settings = (const char *const *)p->settings;
    sources.n_settings = p->n_settings;
    rc = config_load(&sources, &b->config, err);
    if (!rc)
        rc = config_add_store(b->config, BUILDER_NAME, BUILDER_NAME, err);
    if (!rc)
        rc = config_add_store_value(b->config, BUILDER_NAME, "backend", backend,
                                    BUILDER_NAME, err);
    if (rc) {
        persist_store_builder_destroy(b);
        return rc;
    }
    *out = b;
    return PERSIST_OK;
}

void persist_store_builder_set(struct persist_store_builder *b, const char *key,
                               const char *value)
{
    struct persist_error problem = {0};
    int rc;

    if (!b)
        return;
    if (!key || !value) {
        error_set(&problem, PERSIST_E_MISUSE, "%s is NULL",
                  key ? key : "a key");
        add_problem(b, problem.message);
        return;
    }
    if (strcmp(key, "backend") == 0) {
        add_problem(b, "backend was named when the builder was created");
        return;
    }
    rc = config_add_store_value(b->config, BUILDER_NAME, key, value,
                                BUILDER_NAME, &problem);
    if (rc == PERSIST_E_MEMORY)
        b->no_memory = true;
    else if (rc)
        add_problem(b, problem.message);
}

/* What was wrong with the sets, and what the plugin's table says about the
 * rest, in one error. */
static int report_problems(struct persist_store_builder *b,
                           struct persist_error *err)
{
    struct persist_error more = {0};
    struct option_values values = {0};
    const struct plugin *plugin;

    if (!engine_store_plugin(b->p, b->config, BUILDER_NAME, &plugin, &more) &&
        !option_values_resolve(plugin, b->config, BUILDER_NAME, &values, &more))
        option_values_finish(&values);
    return error_set(err, PERSIST_E_CONFIG, "%s%s%s", b->problems.data,
                     more.message[0] ? "; " : "", more.message);
}

int persist_store_builder_build(struct persist_store_builder *b,
                                struct persist_store **out,
                                struct persist_error *err)
{
    int rc;

    if (!b || !out) {
        persist_store_builder_destroy(b);
        return error_set(err, PERSIST_E_MISUSE, "builder or out is NULL");
    }
    *out = NULL;
    rc = engine_check(b->p, err);
    if (!rc && b->no_memory)
        rc = error_memory(err);
    if (!rc && b->problems.len)
        rc = report_problems(b, err);
    if (!rc)
        rc = engine_store_open(b->p, b->config, BUILDER_NAME, out, err);
    persist_store_builder_destroy(b);
    return rc;
}

void persist_store_builder_destroy(struct persist_store_builder *b)
{
    if (!b)
        return;
    config_destroy(b->config);
    buf_finish(&b->problems);
    free(b);
}
