/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance: configuration, log, memory budget, and the rules every public
 * call begins and ends with.
 *
 * Creating one loads no backend, starts no thread and makes no request; what a
 * store needs is checked when it is opened.
 */
#include "engine/instance.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/metrics.h"
#include "engine/trace.h"
#include "services/state.h"
#include "util/error.h"
#include "util/secret.h"
#include "util/text.h"

/* architecture.md, decision 1. */
enum { CPU_MIN = 4, MAX_IO = 64, IDLE_MS = 10000 };

const char *persist_version(void)
{
    return PERSIST_VERSION;
}

void persist_free(void *memory)
{
    free(memory);
}

/* ------------------------------------------------------------ struct sizes */

/* One of a megabyte is an uninitialised one. */
#define STRUCT_SIZE_MAX (UINT32_C(1) << 20)

int engine_options(void *dst, size_t size, const void *src,
                   struct persist_error *err)
{
    const unsigned char *bytes = src;
    uint32_t given;
    size_t i;

    memset(dst, 0, size);
    if (!src)
        return PERSIST_OK;
    memcpy(&given, src, sizeof given);
    /* The smallest struct of this API is a size and a number. */
    if (!engine_is_sized(src, 2 * sizeof given))
        return error_set(err, PERSIST_E_MISUSE,
                         "struct_size of an options struct is not set: "
                         "initialise it with its _INIT macro");
    for (i = size; i < given; i++)
        if (bytes[i])
            return error_set(err, PERSIST_E_UNSUPPORTED,
                             "an option is set that libpersist %s does not "
                             "know",
                             PERSIST_VERSION);
    memcpy(dst, src, given < size ? given : size);
    return PERSIST_OK;
}

bool engine_is_sized(const void *theirs, size_t least)
{
    uint32_t given;

    memcpy(&given, theirs, sizeof given);
    return given >= least && given <= STRUCT_SIZE_MAX;
}

void engine_give(void *theirs, const void *ours, size_t size)
{
    uint32_t given;

    memcpy(&given, theirs, sizeof given);
    memcpy((char *)theirs + sizeof given, (const char *)ours + sizeof given,
           (given < size ? given : size) - sizeof given);
}

int engine_flags(uint32_t flags, uint32_t known, struct persist_error *err)
{
    if (flags & ~known)
        return error_set(err, PERSIST_E_INVALID,
                         "flags 0x%x of an options struct are unknown, or not "
                         "for this call",
                         (unsigned int)(flags & ~known));
    return PERSIST_OK;
}

int engine_flagged(uint32_t flags, const struct flagged_member *members,
                   size_t n_members, struct persist_error *err)
{
    for (size_t i = 0; i < n_members; i++)
        if (members[i].is_set && !(flags & members[i].flag))
            return error_set(err, PERSIST_E_INVALID,
                             "%s is set, and counts only with the flag %s",
                             members[i].name, members[i].flag_name);
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- configure
 */

/* Values of [persist] were checked when they were read. */
static int get_key(const struct persist *p, const char *key,
                   struct config_value *out, struct persist_error *err)
{
    return config_get(p->config, key, out, err);
}

static int create_log(struct persist *p, const struct persist_options *o,
                      struct persist_error *err)
{
    enum log_format format = LOG_LOGFMT;
    enum log_level level = LOG_WARN;
    struct config_value v;
    int rc;

    rc = get_key(p, "log_level", &v, err);
    if (rc)
        return rc;
    if (v.text)
        log_level_parse(v.text, &level);
    rc = get_key(p, "log_format", &v, err);
    if (rc)
        return rc;
    if (v.text)
        log_format_parse(v.text, &format);
    if (o->log_level < 0 || o->log_level > PERSIST_LOG_OFF)
        return error_set(err, PERSIST_E_INVALID, "no log level %d",
                         (int)o->log_level);
    if (o->log_level != PERSIST_LOG_DEFAULT)
        level = (enum log_level)o->log_level;
    p->log = log_create(level, format, o->log, o->log_ctx);
    return p->log ? PERSIST_OK : error_memory(err);
}

static int create_budget(struct persist *p, const struct persist_options *o,
                         struct persist_error *err)
{
    uint64_t limit = o->memory_limit;
    struct config_value v;
    int rc;

    if (!limit) {
        rc = get_key(p, "memory_limit", &v, err);
        if (rc)
            return rc;
        limit = UINT64_C(256) << 20;
        if (v.text)
            text_to_size(v.text, &limit);
    } else if (limit < PERSIST_MEMORY_LIMIT_MIN) {
        return error_set(err, PERSIST_E_INVALID,
                         "memory_limit is %" PRIu64
                         " bytes, and at least %" PRIu64 " are needed",
                         limit, (uint64_t)PERSIST_MEMORY_LIMIT_MIN);
    }
    p->budget = budget_create(limit);
    return p->budget ? PERSIST_OK : error_memory(err);
}

/* The caller's word, else the configuration's; checked when it was read. */
static int create_limit(struct persist *p, struct rate *rate, uint64_t limit,
                        const char *key, struct persist_error *err)
{
    struct config_value v;
    int rc = get_key(p, key, &v, err);

    if (rc)
        return rc;
    if (!limit && v.text)
        text_to_rate(v.text, &limit);
    rate->bytes_per_s = limit == UINT64_MAX ? 0 : limit;
    return PERSIST_OK;
}

static int find_state_dir(struct persist *p, const struct persist_options *o,
                          struct persist_error *err)
{
    if (!o->state_dir)
        return state_default_dir(&p->state_dir, err);
    if (!*o->state_dir)
        return PERSIST_OK;
    if (*o->state_dir != '/')
        return error_set(err, PERSIST_E_INVALID,
                         "state_dir must be an absolute path, not \"%s\"",
                         o->state_dir);
    p->state_dir = text_dup(o->state_dir);
    return p->state_dir ? PERSIST_OK : error_memory(err);
}

static int add_backend_dir(struct persist *p, const char *dir, size_t len,
                           const char *origin, struct persist_error *err)
{
    char **grown;

    if (!len || dir[0] != '/')
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: a backend directory must be an absolute path, "
                         "not \"%.*s\"",
                         origin, (int)(len > 200 ? 200 : len), dir);
    grown = realloc(p->backend_dirs,
                    (p->n_backend_dirs + 1) * sizeof *p->backend_dirs);
    if (!grown)
        return error_memory(err);
    p->backend_dirs = grown;
    grown[p->n_backend_dirs] = strndup(dir, len);
    if (!grown[p->n_backend_dirs])
        return error_memory(err);
    p->n_backend_dirs++;
    return PERSIST_OK;
}

/* backend_dir names directories separated by colons.  It decides what code is
 * loaded, so it counts only where nobody else could have written it. */
static int configured_backend_dirs(struct persist *p, struct persist_error *err)
{
    const char *text, *end;
    struct config_value v;
    int rc;

    rc = get_key(p, "backend_dir", &v, err);
    if (rc || !v.text || !*v.text)
        return rc;
    if (!v.trusted)
        return error_set(err, PERSIST_E_CONFIG,
                         "%s: backend_dir is refused: others may write this "
                         "file",
                         v.origin);
    for (text = v.text;; text = end + 1) {
        end = text + strcspn(text, ":");
        rc = add_backend_dir(p, text, (size_t)(end - text), v.origin, err);
        if (rc || !*end)
            return rc;
    }
}

static int collect_backend_dirs(struct persist *p,
                                const struct persist_options *o,
                                struct persist_error *err)
{
    size_t i;
    int rc;

    if (o->n_backend_dirs && !o->backend_dirs)
        return error_set(err, PERSIST_E_MISUSE,
                         "n_backend_dirs is %zu, and backend_dirs is NULL",
                         o->n_backend_dirs);
    for (i = 0; i < o->n_backend_dirs; i++) {
        const char *dir = o->backend_dirs[i] ? o->backend_dirs[i] : "";

        rc = add_backend_dir(p, dir, strlen(dir), "backend_dirs", err);
        if (rc)
            return rc;
    }
    return configured_backend_dirs(p, err);
}

struct plugin_dirs engine_plugin_dirs(const struct persist *p)
{
    struct plugin_dirs dirs = {(const char *const *)p->backend_dirs,
                               p->n_backend_dirs};

    return dirs;
}

static int copy_settings(struct persist *p, const struct persist_options *o,
                         struct persist_error *err)
{
    size_t i;

    if (!o->n_settings)
        return PERSIST_OK;
    if (!o->settings)
        return error_set(err, PERSIST_E_MISUSE,
                         "n_settings is %zu, and settings is NULL",
                         o->n_settings);
    p->settings = calloc(o->n_settings, sizeof *p->settings);
    if (!p->settings)
        return error_memory(err);
    for (i = 0; i < o->n_settings; i++) {
        if (!o->settings[i])
            return error_set(err, PERSIST_E_INVALID, "setting %zu is NULL", i);
        p->settings[i] = text_dup(o->settings[i]);
        if (!p->settings[i])
            return error_memory(err);
        p->n_settings++;
    }
    return PERSIST_OK;
}

static int load_config(struct persist *p, const struct persist_options *o,
                       struct persist_error *err)
{
    struct config_sources sources = {0};
    int rc;

    rc = copy_settings(p, o, err);
    if (rc)
        return rc;
    sources.no_files = o->flags & PERSIST_NO_CONFIG_FILES;
    sources.no_environment = o->flags & PERSIST_NO_ENVIRONMENT;
    sources.extra_file = o->config_file;
    sources.settings = (const char *const *)p->settings;
    sources.n_settings = p->n_settings;
    return config_load(&sources, &p->config, err);
}

/* --------------------------------------------------------------------- life
 */

/* A setting may be a secret. */
static void free_texts(char **texts, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        secret_wipe(texts[i], strlen(texts[i]));
        free(texts[i]);
    }
    free(texts);
}

static void free_instance(struct persist *p)
{
    executor_destroy(p->io);
    executor_destroy(p->cpu);
    engine_trace_destroy(p);
    engine_metrics_destroy(p);
    free_texts(p->settings, p->n_settings);
    free_texts(p->backend_dirs, p->n_backend_dirs);
    free(p->state_dir);
    rate_finish(&p->upload);
    rate_finish(&p->download);
    budget_destroy(p->budget);
    log_destroy(p->log);
    config_destroy(p->config);
    cancel_finish(&p->cancel);
    pthread_mutex_destroy(&p->metrics_mutex);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

/* Threads come with the first task. */
static int create_executors(struct persist *p, struct persist_error *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t max_io = MAX_IO;
    struct config_value v;
    int rc = get_key(p, "max_io", &v, err);

    if (rc)
        return rc;
    if (v.text)
        text_to_u64(v.text, &max_io);

    p->cpu = executor_create("cpu", cpus > CPU_MIN ? (unsigned)cpus : CPU_MIN,
                             IDLE_MS);
    p->io = executor_create("io", (unsigned)max_io, IDLE_MS);
    return p->cpu && p->io ? PERSIST_OK : error_memory(err);
}

static int configure(struct persist *p, const struct persist_options *o,
                     struct persist_error *err)
{
    int rc;

    rc = load_config(p, o, err);
    if (!rc)
        rc = create_log(p, o, err);
    if (!rc)
        rc = engine_metrics_create(p, err);
    if (!rc)
        rc = engine_trace_create(p, o, err);
    if (!rc)
        rc = create_budget(p, o, err);
    if (!rc)
        rc = create_limit(p, &p->upload, o->limit_upload, "limit_upload", err);
    if (!rc)
        rc = create_limit(p, &p->download, o->limit_download, "limit_download",
                          err);
    if (!rc)
        rc = find_state_dir(p, o, err);
    if (!rc)
        rc = create_executors(p, err);
    if (!rc)
        rc = collect_backend_dirs(p, o, err);
    if (!rc)
        rc = engine_add_default_store(p, err);
    return rc;
}

int engine_create_with(const struct persist_options *options,
                       const struct clock *clock, struct persist **out,
                       struct persist_error *err)
{
    struct persist_options o;
    struct persist *p;
    int rc;

    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    rc = engine_options(&o, sizeof o, options, err);
    if (!rc)
        rc = engine_flags(
            o.flags, PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT, err);
    if (rc)
        return rc;
    p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(err);
    p->clock = clock;
    p->pid = getpid();
    pthread_mutex_init(&p->mutex, NULL);
    pthread_mutex_init(&p->metrics_mutex, NULL);
    rate_init(&p->upload, 0);
    rate_init(&p->download, 0);
    rc = cancel_init(&p->cancel, NULL, true);
    if (rc) {
        rate_finish(&p->upload);
        rate_finish(&p->download);
        pthread_mutex_destroy(&p->metrics_mutex);
        pthread_mutex_destroy(&p->mutex);
        free(p);
        return error_errno(err, -rc, "cannot create an instance");
    }
    rc = configure(p, &o, err);
    if (rc) {
        free_instance(p);
        return rc;
    }
    *out = p;
    return PERSIST_OK;
}

int persist_create(const struct persist_options *options, struct persist **out,
                   struct persist_error *err)
{
    return engine_create_with(options, &clock_system, out, err);
}

void persist_interrupt(struct persist *p)
{
    if (p)
        cancel_set(&p->cancel);
}

void persist_destroy(struct persist *p)
{
    size_t n_stores;

    /* A child's copy may hold locks of threads that do not exist there. */
    if (!p || p->pid != getpid())
        return;
    persist_interrupt(p);
    pthread_mutex_lock(&p->mutex);
    n_stores = p->n_stores;
    pthread_mutex_unlock(&p->mutex);
    if (n_stores) {
        /* The caller broke the rule; what open stores point to must stay. */
        log_line(p->log, LOG_ERROR,
                 "persist_destroy with open stores: nothing is freed",
                 log_u64("stores", n_stores), LOG_END);
        return;
    }
    free_instance(p);
}

/* --------------------------------------------------------------- every call
 */

int engine_check(const struct persist *p, struct persist_error *err)
{
    if (!p)
        return error_set(err, PERSIST_E_MISUSE, "the instance is NULL");
    if (p->pid != getpid())
        return error_set(err, PERSIST_E_FORKED,
                         "called in a forked child: create an instance of "
                         "its own there");
    return PERSIST_OK;
}
