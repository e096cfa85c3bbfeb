/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing stores, and the store that is there when none is
 * configured.
 *
 * Opening resolves names, options and the plugin; it makes no request, so a
 * store that cannot be reached still opens.
 */
#include "engine/instance.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/session_memory.h"
#include "posix/os.h"
#include "transfer/upload.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/text.h"

/* ----------------------------------------------------------- default store
 */

/* Where the user keeps data, by the XDG base directory rules; NULL with
 * nothing set: there is no such place, or no memory (*out_failed). */
static char *default_root(bool *out_failed)
{
    const char *data = os_getenv("XDG_DATA_HOME");
    const char *home = os_getenv("HOME");
    char *root;

    if (geteuid() == 0)
        root = text_dup("/var/lib/persist");
    else if (data && data[0] == '/')
        root = text_format("%s/persist", data);
    else if (home && home[0] == '/')
        root = text_format("%s/.local/share/persist", home);
    else
        return NULL;
    *out_failed = !root;
    return root;
}

static const char by_default[] = "default";

/* *out_ours: nothing stronger says otherwise. */
static int add_default(struct persist *p, const char *key, const char *value,
                       bool *out_ours, struct persist_error *err)
{
    struct config_value v = {0};
    int rc = config_add_store_value(p->config, ENGINE_DEFAULT_STORE, key, value,
                                    by_default, err);

    if (rc)
        return rc;
    config_store_get(p->config, ENGINE_DEFAULT_STORE, key, &v);
    *out_ours = v.origin && strcmp(v.origin, by_default) == 0;
    return PERSIST_OK;
}

/* Each value stands on the one before: another backend has no root, and a root
 * that somebody chose is not made up, because an unmounted disk looks like a
 * missing one. */
int engine_add_default_store(struct persist *p, struct persist_error *err)
{
    bool failed = false, ours = false;
    char *root;
    int rc;

    if (config_n_stores(p->config))
        return PERSIST_OK;
    root = default_root(&failed);
    if (failed)
        return error_memory(err);
    if (!root) {
        p->no_default_store = true;
        return PERSIST_OK;
    }
    rc = config_add_store(p->config, ENGINE_DEFAULT_STORE, by_default, err);
    if (!rc)
        rc = add_default(p, "backend", "local", &ours, err);
    if (!rc && ours)
        rc = add_default(p, "root", root, &ours, err);
    if (!rc && ours)
        rc = add_default(p, "create", "true", &ours, err);
    free(root);
    return rc;
}

/* ------------------------------------------------------------ which store */

static void list_stores(const struct config *config, struct buf *out)
{
    size_t i, n = config_n_stores(config);

    for (i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        buf_puts(out, config_store(config, i));
    }
}

static int no_such_store(const struct config *config, const char *name,
                         int status, const char *origin,
                         struct persist_error *err)
{
    struct buf names;

    buf_init(&names, 200);
    list_stores(config, &names);
    error_set(err, status, "%s%sno store \"%s\" is configured",
              origin ? origin : "", origin ? ": " : "", name);
    error_object(err, "%s:", name);
    if (!buf_failed(&names) && names.len)
        error_hint(err, "configured stores: %s", names.data);
    buf_finish(&names);
    return status;
}

static int ambiguous_store(const struct config *config,
                           struct persist_error *err)
{
    struct buf names;

    buf_init(&names, 300);
    list_stores(config, &names);
    error_set(err, PERSIST_E_CONFIG,
              "several stores are configured and none is the default: %s",
              buf_failed(&names) ? "(many)" : names.data);
    error_hint(err, "name one, or set \"store = NAME\" in [persist]");
    buf_finish(&names);
    return PERSIST_E_CONFIG;
}

int engine_choose_store(struct persist *p, const char *name,
                        const char **out_name, struct persist_error *err)
{
    struct config_value v = {0};
    int rc;

    if (name) {
        *out_name = name;
        return config_has_store(p->config, name)
                   ? PERSIST_OK
                   : no_such_store(p->config, name, PERSIST_E_NOT_FOUND, NULL,
                                   err);
    }
    rc = config_get(p->config, "store", &v, err);
    if (rc)
        return rc;
    if (v.text) {
        *out_name = v.text;
        return config_has_store(p->config, v.text)
                   ? PERSIST_OK
                   : no_such_store(p->config, v.text, PERSIST_E_CONFIG,
                                   v.origin, err);
    }
    if (p->no_default_store) {
        error_set(err, PERSIST_E_CONFIG,
                  "no store is configured, and neither XDG_DATA_HOME nor HOME "
                  "names a place for one");
        error_hint(err, "set HOME, or configure a [store NAME]");
        return PERSIST_E_CONFIG;
    }
    if (config_n_stores(p->config) > 1)
        return ambiguous_store(p->config, err);
    *out_name = config_store(p->config, 0);
    return PERSIST_OK;
}

/* --------------------------------------------------------------- opening */

int engine_store_plugin(const struct persist *p, const struct config *config,
                        const char *name, const struct plugin **out,
                        struct persist_error *err)
{
    struct plugin_dirs dirs = engine_plugin_dirs(p);
    struct config_value v = {0};
    int rc;

    config_store_get(config, name, "backend", &v);
    if (!v.text || !*v.text) {
        error_set(err, PERSIST_E_CONFIG, "store \"%s\" names no backend", name);
        error_hint(err, "add a line such as \"backend = local\"");
        return PERSIST_E_CONFIG;
    }
    rc = plugin_load(&dirs, v.text, out, err);
    if (!rc)
        return PERSIST_OK;
    error_prefix(err, "store \"%s\"", name);
    /* A missing plugin is a fault of the configuration; NOT_FOUND is kept for
     * a store nobody configured. */
    if (rc == PERSIST_E_NOT_FOUND && err)
        err->status = PERSIST_E_CONFIG;
    return rc == PERSIST_E_NOT_FOUND ? PERSIST_E_CONFIG : rc;
}

static int open_backend(struct persist_store *s, const struct config *config,
                        struct persist_error *err)
{
    struct backend_env env = {.clock = s->p->clock,
                              .log = s->p->log,
                              .budget = s->p->budget,
                              .cancel = &s->p->cancel,
                              .upload = &s->p->upload,
                              .download = &s->p->download,
                              .state_dir = s->p->state_dir,
                              .metrics = s->p->metrics};
    struct option_values values = {0};
    const struct plugin *plugin;
    int rc;

    rc = engine_store_plugin(s->p, config, s->name, &plugin, err);
    if (rc)
        return rc;
    rc = option_values_resolve(plugin, config, s->name, &values, err);
    if (rc)
        return rc;
    rc = backend_store_open(&env, plugin, s->name, &values,
                            values.accept_file_durability, &s->backend, err);
    if (rc)
        return rc;
    s->file_durability = backend_store_limits(s->backend)->flags &
                         PERSIST_BACKEND_DURABLE_FILE_ONLY;
    return PERSIST_OK;
}

static void free_store(struct persist_store *s)
{
    upload_pool_destroy(s->pool);
    session_memory_destroy(s->memory);
    backend_store_close(s->backend);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->mutex);
    free(s->name);
    free(s);
}

static void count_store(struct persist *p, int by)
{
    pthread_mutex_lock(&p->mutex);
    p->n_stores += (size_t)by;
    pthread_mutex_unlock(&p->mutex);
}

int engine_store_open(struct persist *p, const struct config *config,
                      const char *name, struct persist_store **out,
                      struct persist_error *err)
{
    struct persist_store *s;
    int rc;

    s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(err);
    s->p = p;
    pthread_mutex_init(&s->mutex, NULL);
    os_cond_init(&s->idle);
    s->name = text_dup(name);
    s->memory = session_memory_create(SESSION_MEMORY_MAX);
    s->pool = upload_pool_create();
    if (s->name)
        s->counted = metrics_store(p->metrics, s->name);
    if (s->name && s->memory && s->pool)
        rc = open_backend(s, config, err);
    else
        rc = error_memory(err);
    if (rc) {
        free_store(s);
        return rc;
    }
    count_store(p, 1);
    *out = s;
    return PERSIST_OK;
}

int persist_open(struct persist *p, const char *name,
                 struct persist_store **out, struct persist_error *err)
{
    const char *chosen = NULL;
    int rc;

    rc = engine_check(p, err);
    if (rc)
        return rc;
    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    rc = engine_choose_store(p, name, &chosen, err);
    if (rc)
        return rc;
    return engine_store_open(p, p->config, chosen, out, err);
}

uint64_t engine_close_patience_ns = UINT64_C(10) * 1000000000;

/* Which thread should close a reader nobody knows here; one that waits for its
 * own waits for ever, and the log says for what. */
static void wait_until_idle(struct persist_store *store)
{
    uint64_t until = os_monotonic_ns() + engine_close_patience_ns;
    int rc = 0;

    pthread_mutex_lock(&store->mutex);
    while (store->n_running && rc != ETIMEDOUT)
        rc = os_cond_wait_until(&store->idle, &store->mutex, until);
    if (store->n_running)
        log_line(store->p->log, LOG_WARN,
                 "persist_close waits for operations, readers or listings that "
                 "are not closed",
                 log_text("store", store->name),
                 log_u64("open", store->n_running), LOG_END);
    while (store->n_running)
        pthread_cond_wait(&store->idle, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
}

void persist_close(struct persist_store *store)
{
    struct persist *p;

    if (!store || store->p->pid != getpid())
        return;
    p = store->p;
    wait_until_idle(store);
    free_store(store);
    count_store(p, -1);
}

const char *persist_store_name(const struct persist_store *store)
{
    return store ? store->name : NULL;
}

const char *persist_store_backend(const struct persist_store *store)
{
    return store ? backend_store_plugin(store->backend)->descriptor.name : NULL;
}
