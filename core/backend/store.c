/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's life: init of its plugin, open, limits, close; and the rules that
 * limits and keys are held to.  The ops are in store_ops.c, store_list.c,
 * store_upload.c and store_leftovers.c.
 */
#include "backend/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/host.h"
#include "backend/store_call.h"
#include "util/error.h"
#include "util/secret.h"
#include "util/text.h"

/* The smallest object the snapshot format needs and the shortest key that can
 * hold one; less is a mistake, not a store. */
#define PUT_MIN 256
#define KEY_MIN 64
/* No memory holds a part like this, and sums of a few do not overflow. */
#define PART_ABSURD (UINT64_C(1) << 48)

static int refuse(const struct backend_store *s, int status, const char *why,
                  struct persist_error *err)
{
    error_set(err, status, "store %s: backend %s %s", s->name,
              s->plugin->descriptor.name, why);
    error_object(err, "%s", s->name);
    return status;
}

/* ----------------------------------------------------------------- limits */

static const char *absurd_limit(const struct persist_backend_limits *l)
{
    if (l->part_max < l->part_min)
        return "states a smallest part above its largest";
    if (l->part_align > l->part_max)
        return "states a part alignment above its largest part";
    if (l->part_min > PART_ABSURD || l->part_align > PART_ABSURD)
        return "states parts that no memory holds";
    if (l->put_max < PUT_MIN || l->object_max < PUT_MIN)
        return "states that it can take no object";
    if (l->key_max < KEY_MIN)
        return "states that it can take no key";
    return NULL;
}

/* "No limit known" becomes the largest number, so that callers compare and do
 * not ask; parts_max * part_max may overflow in their hands all the same. */
static void complete_limits(struct persist_backend_limits *l)
{
    uint64_t *const sizes[] = {&l->part_max, &l->put_max, &l->object_max};
    uint32_t *const counts[] = {&l->parts_max, &l->parallel_max, &l->key_max};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (*sizes[i] == 0)
            *sizes[i] = UINT64_MAX;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (*counts[i] == 0)
            *counts[i] = UINT32_MAX;
    if (l->part_align == 0)
        l->part_align = 1;
}

static int read_limits(struct backend_store *s, bool accept_file_durability,
                       struct persist_error *err)
{
    struct persist_backend_limits *l = &s->limits;
    int32_t status;

    l->struct_size = sizeof(*l);
    status = s->plugin->ops.limits(s->handle, l);
    if (status != PERSIST_BACKEND_OK)
        return refuse(s, PERSIST_E_INTERNAL, "does not say what it can take",
                      err);
    l->struct_size = sizeof(*l);
    complete_limits(l);
    const char *absurd = absurd_limit(l);
    if (absurd)
        return refuse(s, PERSIST_E_INTERNAL, absurd, err);
    if ((l->flags & PERSIST_BACKEND_DURABLE_FILE_ONLY) &&
        !accept_file_durability && !s->values.accept_file_durability) {
        refuse(s, PERSIST_E_CONFIG,
               "cannot make directories durable: after a power loss a saved "
               "snapshot may be gone",
               err);
        error_hint(err,
                   "to use it all the same set accept_durability = file "
                   "in [store %s]",
                   s->name);
        return PERSIST_E_CONFIG;
    }
    return PERSIST_OK;
}

/* ------------------------------------------------------------ open, close */

static void log_deprecated(const struct backend_store *s)
{
    for (size_t i = 0; i < s->plugin->n_options; i++)
        if ((s->plugin->options[i].flags & PERSIST_BACKEND_DEPRECATED) &&
            (s->values.values[i].flags & PERSIST_BACKEND_VALUE_SET))
            log_line(s->env.log, LOG_WARN, "a deprecated option is set",
                     log_text("store", s->name),
                     log_text("backend", s->plugin->descriptor.name),
                     log_text("option", s->plugin->options[i].key), LOG_END);
}

/* Of value i; NULL where that is none. */
static const char *secret_at(const struct backend_store *s, size_t i,
                             size_t *out_len)
{
    const struct secret *secret = s->values.secrets[i];

    return secret ? secret_reveal(secret, out_len) : NULL;
}

static int register_secrets(struct backend_store *s)
{
    for (; s->env.log && s->n_registered < s->values.n; s->n_registered++) {
        size_t len = 0;
        const char *bytes = secret_at(s, s->n_registered, &len);
        if (bytes && log_add_secret(s->env.log, bytes, len) != 0)
            return PERSIST_E_MEMORY;
    }
    return PERSIST_OK;
}

static void drop_secrets(const struct backend_store *s)
{
    for (size_t i = 0; i < s->n_registered; i++) {
        size_t len = 0;
        const char *bytes = secret_at(s, i, &len);
        if (bytes)
            log_drop_secret(s->env.log, bytes, len);
    }
}

static int open_handle(struct backend_store *s, struct persist_error *err)
{
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    struct persist_backend_config config = {
        .struct_size = sizeof(config),
        .n_values = (uint32_t)s->values.n,
        .value_size = sizeof(struct persist_backend_value),
        .values = s->values.values,
        .host_store = s,
        .store_name = s->name,
    };
    int32_t status =
        s->plugin->ops.open(host_table(), &config, &s->handle, &error);

    if (status == PERSIST_BACKEND_OK && s->handle)
        return PERSIST_OK;
    if (status == PERSIST_BACKEND_OK)
        snprintf(error.message, sizeof(error.message),
                 "the backend answered ok and gave no store");
    store_error_clean(&error);
    struct store_failure failure = {
        .what = "open",
        .key = s->name,
        .status = status < 0 && status >= PERSIST_BACKEND_INTERNAL
                      ? status
                      : PERSIST_E_INTERNAL,
        .error = &error,
    };
    return store_error_fill(s, &failure, err);
}

static uint32_t max_running(const struct plugin *plugin,
                            const struct option_values *values)
{
    if (values->serial ||
        plugin->descriptor.thread_model == PERSIST_BACKEND_SERIAL)
        return 1;
    return values->max_io;
}

/* 0 or -errno. */
static int init_locks(struct backend_store *s, uint32_t running)
{
    int rc = gate_init(&s->gate, running);

    if (rc)
        return rc;
    rc = pace_init(&s->pace);
    if (rc)
        gate_finish(&s->gate);
    return rc;
}

/* Everything but the plugin's part.  Takes over the values. */
static struct backend_store *create(const struct backend_env *env,
                                    const struct plugin *plugin,
                                    const char *name,
                                    struct option_values *values)
{
    struct backend_store *s = calloc(1, sizeof(*s));

    if (s)
        s->name = text_dup(name);
    if (!s || !s->name || init_locks(s, max_running(plugin, values))) {
        if (s)
            free(s->name);
        free(s);
        option_values_finish(values);
        return NULL;
    }
    retry_tokens_init(&s->tokens);
    s->env = *env;
    s->plugin = plugin;
    s->values = *values;
    memset(values, 0, sizeof(*values));
    atomic_init(&s->writable, STORE_WRITABLE_UNKNOWN);
    s->counted = metrics_backend(env->metrics, plugin->descriptor.name);
    s->uploads = metrics_store(env->metrics, s->name);
    return s;
}

static void destroy(struct backend_store *s)
{
    pace_finish(&s->pace);
    gate_finish(&s->gate);
    drop_secrets(s);
    option_values_finish(&s->values);
    free(s->name);
    free(s);
}

int backend_store_open(const struct backend_env *env,
                       const struct plugin *plugin, const char *name,
                       struct option_values *values,
                       bool accept_file_durability, struct backend_store **out,
                       struct persist_error *err)
{
    struct backend_store *s = create(env, plugin, name, values);
    int rc;

    if (!s)
        return error_memory(err);
    rc = register_secrets(s);
    if (rc != PERSIST_OK)
        error_memory(err);
    if (rc == PERSIST_OK)
        rc = plugin_init(plugin, err);
    if (rc == PERSIST_OK)
        rc = open_handle(s, err);
    if (rc != PERSIST_OK) {
        destroy(s);
        return rc;
    }
    log_deprecated(s);
    rc = read_limits(s, accept_file_durability, err);
    if (rc != PERSIST_OK) {
        backend_store_close(s);
        return rc;
    }
    *out = s;
    return PERSIST_OK;
}

void backend_store_close(struct backend_store *s)
{
    if (!s)
        return;
    s->plugin->ops.close(s->handle);
    destroy(s);
}

/* -------------------------------------------------------------- accessors */

const struct persist_backend_limits *
backend_store_limits(const struct backend_store *s)
{
    return &s->limits;
}

const char *backend_store_name(const struct backend_store *s)
{
    return s->name;
}

const struct plugin *backend_store_plugin(const struct backend_store *s)
{
    return s->plugin;
}

const struct backend_env *backend_store_env(const struct backend_store *s)
{
    return &s->env;
}

/* ------------------------------------------------------------------- keys */

static bool is_key_char(char c)
{
    return text_is_lower(c) || text_is_digit(c) || c == '.' || c == '_' ||
           c == '/' || c == '%' || c == '-';
}

static const char *wrong_key(const struct backend_store *s, const char *key)
{
    char before = '/';

    if (strcmp(key, ".persist-probe") == 0)
        return NULL;
    if (key[0] == '\0')
        return "an empty key";
    if (strlen(key) > s->limits.key_max)
        return "a key that is too long for the store";
    for (const char *p = key; *p; before = *p++) {
        if (!is_key_char(*p))
            return "a key with a character that keys do not have";
        if (before == '/' && (*p == '/' || *p == '.'))
            return "a key with an empty or hidden component";
    }
    return before == '/' ? "a key that ends with a slash" : NULL;
}

int store_check_key(const struct backend_store *s, const char *key,
                    struct persist_error *err)
{
    const char *wrong = wrong_key(s, key);

    if (!wrong)
        return PERSIST_OK;
    error_set(err, PERSIST_E_INVALID, "store %s: %s", s->name, wrong);
    error_object(err, "%s", key);
    return PERSIST_E_INVALID;
}
