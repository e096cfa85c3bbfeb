/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is: settings in force and where they come from, problems of the
 * configuration, backends and their options.
 *
 * Nothing here opens a store or makes a request.  A value that is, or might
 * be, a secret is never shown.
 */
#include "engine/instance.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/error.h"
#include "util/text.h"

static const char HIDDEN[] = "(secret)";
/* Of a key whose backend is not there to say whether it is a secret. */
static const char UNKNOWN[] = "(not shown: no backend says what it is)";

/* Keys of a store section that are the core's own. */
static const char *const STORE_KEYS[] = {"backend", "accept_durability",
                                         "max_io", "thread_model", NULL};

/* ------------------------------------------------------------- config show
 */

struct show {
    struct persist *p;
    persist_setting_fn report;
    void *ctx;
    const char *store;
    const struct plugin *plugin; /* NULL: could not be loaded */
    int rc;
};

static int show_setting(struct show *s, const char *key, const char *value,
                        const char *origin)
{
    struct persist_setting setting = {
        .struct_size = sizeof setting,
        .store = s->store,
        .key = key,
        .value = value,
        .origin = origin ? origin : "default",
    };

    s->rc = s->report(s->ctx, &setting);
    return s->rc;
}

static int show_global(struct show *s, struct persist_error *err)
{
    const char *const *key;
    struct config_value v;
    int rc;

    for (key = config_keys(); *key; key++) {
        memset(&v, 0, sizeof v);
        rc = config_get(s->p->config, *key, &v, err);
        if (rc)
            return rc;
        if (show_setting(s, *key, v.text, v.origin))
            return s->rc;
    }
    return PERSIST_OK;
}

static bool is_own_key(const char *key)
{
    const char *const *own;

    for (own = STORE_KEYS; *own; own++)
        if (strcmp(*own, key) == 0)
            return true;
    return false;
}

static int show_own_keys(struct show *s)
{
    const char *const *key;

    for (key = STORE_KEYS; *key; key++) {
        struct config_value v = {0};

        config_store_get(s->p->config, s->store, *key, &v);
        if (v.text && show_setting(s, *key, v.text, v.origin))
            return s->rc;
    }
    return PERSIST_OK;
}

/* The spellings under which a value of an option may have been given. */
static bool find_value(const struct show *s,
                       const struct persist_backend_option *option,
                       struct config_value *out)
{
    config_store_get(s->p->config, s->store, option->key, out);
    if (!out->text && option->alias)
        config_store_get(s->p->config, s->store, option->alias, out);
    return out->text != NULL;
}

/* A secret may also come from KEY_file or KEY_command; those are shown by
 * name, never what they give. */
static int show_secret(struct show *s,
                       const struct persist_backend_option *option)
{
    static const char *const suffixes[] = {"_file", "_command"};
    struct config_value v = {0};
    size_t i;

    if (find_value(s, option, &v))
        return show_setting(s, option->key, HIDDEN, v.origin);
    for (i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *key = text_format("%s%s", option->key, suffixes[i]);
        int rc = PERSIST_OK;

        if (!key)
            return PERSIST_E_MEMORY;
        config_store_get(s->p->config, s->store, key, &v);
        if (v.text) /* a command line may hold a secret, a path does not */
            rc = show_setting(s, key, i ? HIDDEN : v.text, v.origin);
        free(key);
        if (v.text)
            return rc;
    }
    return show_setting(s, option->key, NULL, NULL);
}

static int show_options(struct show *s)
{
    size_t i;

    for (i = 0; i < s->plugin->n_options; i++) {
        const struct persist_backend_option *o = &s->plugin->options[i];
        struct config_value v = {0};
        int rc;

        if (o->type == PERSIST_BACKEND_SECRET)
            rc = show_secret(s, o);
        else if (find_value(s, o, &v))
            rc = show_setting(s, o->key,
                              o->flags & PERSIST_BACKEND_REPEATABLE ? v.all
                                                                    : v.text,
                              v.origin);
        else
            rc = show_setting(s, o->key, o->default_text, NULL);
        if (rc)
            return rc;
    }
    return PERSIST_OK;
}

/* Without the plugin's table nobody knows which of the keys is a secret; what
 * Persist itself set for the built-in store is none. */
static int show_unknown_key(void *ctx, const char *key,
                            const struct config_value *value)
{
    bool is_ours = value->origin && strcmp(value->origin, "default") == 0;
    struct show *s = ctx;

    if (is_own_key(key))
        return 0;
    return show_setting(s, key, is_ours ? value->text : UNKNOWN, value->origin);
}

static int show_store(struct show *s)
{
    struct persist_error ignored;
    int rc;

    s->plugin = NULL;
    engine_store_plugin(s->p, s->p->config, s->store, &s->plugin, &ignored);
    rc = show_own_keys(s);
    if (rc)
        return rc;
    if (s->plugin)
        return show_options(s);
    config_store_each(s->p->config, s->store, show_unknown_key, s);
    return s->rc;
}

static int need_report(const struct persist *p, bool has_report,
                       struct persist_error *err)
{
    int rc = engine_check(p, err);

    if (!rc && !has_report)
        rc = error_set(err, PERSIST_E_MISUSE, "report is NULL");
    return rc;
}

int persist_config_show(struct persist *p, persist_setting_fn report, void *ctx,
                        struct persist_error *err)
{
    struct show s = {p, report, ctx, NULL, NULL, 0};
    size_t i;
    int rc;

    rc = need_report(p, report != NULL, err);
    if (!rc)
        rc = show_global(&s, err);
    for (i = 0; !rc && i < config_n_stores(p->config); i++) {
        s.store = config_store(p->config, i);
        rc = show_store(&s);
    }
    return rc;
}

/* ------------------------------------------------------------ config check
 */

static int check_options(const struct persist *p, const char *store,
                         struct persist_error *err)
{
    struct option_values values = {0};
    const struct plugin *plugin;
    int rc;

    rc = engine_store_plugin(p, p->config, store, &plugin, err);
    if (rc)
        return rc;
    rc = option_values_resolve(plugin, p->config, store, &values, err);
    if (!rc)
        option_values_finish(&values);
    return rc;
}

static int check_default(const struct persist *p, struct persist_error *err)
{
    struct config_value v = {0};
    int rc;

    rc = config_get(p->config, "store", &v, err);
    if (rc || !v.text || config_has_store(p->config, v.text))
        return rc;
    return error_set(err, PERSIST_E_CONFIG, "%s: no store \"%s\" is configured",
                     v.origin ? v.origin : "store", v.text);
}

struct checker {
    persist_problem_fn report;
    void *ctx;
    size_t n_problems;
};

static int found(struct checker *c, const char *store, int status,
                 const struct persist_error *problem)
{
    if (!status)
        return PERSIST_OK;
    c->n_problems++;
    return c->report(c->ctx, store, problem);
}

static int check_store(struct checker *c, const struct persist *p,
                       const char *store)
{
    struct persist_error problem = {0};

    return found(c, store, check_options(p, store, &problem), &problem);
}

int persist_config_check(struct persist *p, persist_problem_fn report,
                         void *ctx, struct persist_error *err)
{
    struct checker c = {report, ctx, 0};
    struct persist_error problem = {0};
    size_t i;
    int rc;

    rc = need_report(p, report != NULL, err);
    if (rc)
        return rc;
    rc = found(&c, NULL, check_default(p, &problem), &problem);
    for (i = 0; !rc && i < config_n_stores(p->config); i++)
        rc = check_store(&c, p, config_store(p->config, i));
    if (rc)
        return rc;
    if (c.n_problems)
        return error_set(err, PERSIST_E_CONFIG,
                         "the configuration has %zu problem%s", c.n_problems,
                         c.n_problems == 1 ? "" : "s");
    return PERSIST_OK;
}

int persist_config_files(struct persist *p, persist_file_fn report, void *ctx,
                         struct persist_error *err)
{
    size_t i;
    int rc;

    rc = need_report(p, report != NULL, err);
    for (i = 0; !rc && i < config_n_files(p->config); i++) {
        bool was_read = false;
        const char *path = config_file(p->config, i, &was_read);

        rc = report(ctx, path, was_read);
    }
    return rc;
}

/* --------------------------------------------------------------- backends */

static char *join_choices(const char *const *choices)
{
    struct buf text;

    buf_init(&text, 4096);
    buf_join(&text, choices, ", ");
    return buf_steal(&text);
}

static void free_options(struct persist_option_info *options, size_t n)
{
    size_t i;

    if (options)
        for (i = 0; i < n; i++)
            free((char *)options[i].choices);
    free(options);
}

static int describe_option(const struct persist_backend_option *o,
                           struct persist_option_info *out)
{
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    out->required = (o->flags & PERSIST_BACKEND_REQUIRED) != 0;
    out->deprecated = (o->flags & PERSIST_BACKEND_DEPRECATED) != 0;
    out->secret = o->type == PERSIST_BACKEND_SECRET;
    out->repeatable = (o->flags & PERSIST_BACKEND_REPEATABLE) != 0;
    out->key = o->key;
    out->alias = o->alias;
    out->type = plugin_option_type_name(o->type);
    out->default_value = o->default_text;
    out->help = o->help;
    out->since = o->since;
    if (o->type == PERSIST_BACKEND_CHOICE && o->choices) {
        out->choices = join_choices(o->choices);
        if (!out->choices)
            return PERSIST_E_MEMORY;
    }
    return PERSIST_OK;
}

/* Reports one loaded plugin. */
static int report_plugin(const struct plugin *plugin, persist_backend_fn report,
                         void *ctx, struct persist_error *err)
{
    const struct persist_backend_descriptor *d = &plugin->descriptor;
    struct persist_option_info *options = NULL;
    struct persist_backend_info info = {
        .struct_size = sizeof info,
        .name = d->name,
        .path = plugin->path,
        .version = d->version,
        .vendor = d->vendor,
        .licence = d->licence,
        .thread_model =
            d->thread_model == PERSIST_BACKEND_SERIAL ? "serial" : "parallel",
        .abi_major = d->abi_major,
        .abi_minor = d->abi_minor,
        .n_options = plugin->n_options,
    };
    size_t i;
    int rc = PERSIST_OK;

    if (plugin->n_options) {
        options = calloc(plugin->n_options, sizeof *options);
        if (!options)
            return error_memory(err);
        for (i = 0; !rc && i < plugin->n_options; i++)
            rc = describe_option(&plugin->options[i], &options[i]);
    }
    info.options = options;
    if (rc)
        error_memory(err);
    else
        rc = report(ctx, &info);
    free_options(options, plugin->n_options);
    return rc;
}

static int report_failure(const char *name, const char *path, int status,
                          const struct persist_error *why,
                          persist_backend_fn report, void *ctx)
{
    struct persist_backend_info info = {
        .struct_size = sizeof info,
        .status = status,
        .name = name,
        .path = path,
        .error = why,
    };

    return report(ctx, &info);
}

struct backends {
    persist_backend_fn report;
    void *ctx;
    const struct plugin_dirs *dirs;
    const char *only; /* NULL: all */
    size_t n_found;
    int rc;
    struct persist_error *err;
};

static int each_backend(void *ctx, const char *name, const char *path)
{
    struct backends *b = ctx;
    struct persist_error why = {0};
    const struct plugin *plugin;
    int rc;

    if (b->only && strcmp(b->only, name) != 0)
        return 0;
    b->n_found++;
    rc = plugin_load(b->dirs, name, &plugin, &why);
    if (rc)
        b->rc = report_failure(name, path, rc, &why, b->report, b->ctx);
    else
        b->rc = report_plugin(plugin, b->report, b->ctx, b->err);
    return b->rc;
}

int persist_backends(struct persist *p, const char *name,
                     persist_backend_fn report, void *ctx,
                     struct persist_error *err)
{
    const struct plugin *missing;
    struct plugin_dirs dirs;
    struct backends b = {report, ctx, &dirs, name, 0, 0, err};
    int rc;

    rc = need_report(p, report != NULL, err);
    if (rc)
        return rc;
    dirs = engine_plugin_dirs(p);
    rc = plugin_each_file(&dirs, each_backend, &b, err);
    if (b.rc)
        return b.rc;
    /* The loader knows best why there is no such file, and what has it. */
    if (!rc && name && !b.n_found)
        rc = plugin_load(&dirs, name, &missing, err);
    return rc;
}

int persist_backend_inspect(struct persist *p, const char *path,
                            persist_backend_fn report, void *ctx,
                            struct persist_error *err)
{
    struct persist_error why = {0};
    const struct plugin *plugin;
    int rc;

    rc = need_report(p, report != NULL, err);
    if (rc)
        return rc;
    if (!path || path[0] != '/')
        return error_set(err, PERSIST_E_INVALID,
                         "the path of a backend must be absolute");
    rc = plugin_load_file(path, &plugin, &why);
    if (rc)
        return report_failure(log_basename(path), path, rc, &why, report, ctx);
    return report_plugin(plugin, report, ctx, err);
}
