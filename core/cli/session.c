/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance and the stores of one run, made from the global options when a
 * verb first needs them: help and version never do.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/console.h"
#include "cli/signals.h"
#include "util/error.h"
#include "util/text.h"

static void log_to_console(void *ctx, int level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    console_line(line, len);
}

static int log_level(const struct cli *cli)
{
    if (cli->quiet)
        return PERSIST_LOG_ERROR;
    switch (cli->args.global[GLOBAL_VERBOSE].count) {
    case 0:
        return PERSIST_LOG_DEFAULT;
    case 1:
        return PERSIST_LOG_INFO;
    default:
        return PERSIST_LOG_DEBUG;
    }
}

/* A typed 0 lifts a configured limit. */
static uint64_t limit(const struct arg_value *rate)
{
    return rate->count && rate->number == 0 ? UINT64_MAX : rate->number;
}

/* The library wants absolute directories; people type what is near. */
static int resolve_dirs(const struct arg_value *dirs, char **out,
                        struct persist_error *err)
{
    for (size_t i = 0; i < dirs->count; i++) {
        out[i] = realpath(dirs->items[i], NULL);
        if (!out[i]) {
            error_set(err, PERSIST_E_CONFIG,
                      "--backend-dir: no such directory");
            error_object(err, "%s", dirs->items[i]);
            return PERSIST_E_CONFIG;
        }
    }
    return PERSIST_OK;
}

int cli_open_instance(struct cli *cli, struct persist_error *err)
{
    const struct arg_value *global = cli->args.global;
    const struct arg_value *dirs = &global[GLOBAL_BACKEND_DIR];
    struct persist_options options = PERSIST_OPTIONS_INIT;

    if (cli->p)
        return PERSIST_OK;
    char **paths = calloc(dirs->count + 1, sizeof(*paths));
    if (!paths)
        return error_memory(err);
    int rc = resolve_dirs(dirs, paths, err);
    if (rc != PERSIST_OK)
        goto out;
    options.config_file = global[GLOBAL_CONFIG].text;
    options.settings = (const char *const *)global[GLOBAL_SET].items;
    options.n_settings = global[GLOBAL_SET].count;
    options.backend_dirs = (const char *const *)paths;
    options.n_backend_dirs = dirs->count;
    options.memory_limit = global[GLOBAL_MEMORY_LIMIT].number;
    options.limit_upload = limit(&global[GLOBAL_LIMIT_UPLOAD]);
    options.limit_download = limit(&global[GLOBAL_LIMIT_DOWNLOAD]);
    options.log = log_to_console;
    options.log_level = log_level(cli);
    rc = persist_create(&options, &cli->p, err);
    if (rc == PERSIST_OK)
        signals_watch(cli->p);
out:
    for (size_t i = 0; i < dirs->count; i++)
        free(paths[i]);
    free(paths);
    return rc;
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

int cli_open_store(struct cli *cli, const char *name,
                   struct persist_store **out, struct persist_error *err)
{
    for (size_t i = 0; i < cli->n_stores; i++) {
        if (same_name(cli->stores[i].name, name)) {
            *out = cli->stores[i].store;
            return PERSIST_OK;
        }
    }
    int rc = cli_open_instance(cli, err);
    if (rc != PERSIST_OK)
        return rc;
    char *own = text_dup(name);
    struct cli_store *more =
        realloc(cli->stores, (cli->n_stores + 1) * sizeof(*more));
    if (more)
        cli->stores = more;
    if (!more || (name && !own)) {
        free(own);
        return error_memory(err);
    }
    struct cli_store *store = &cli->stores[cli->n_stores];
    *store = (struct cli_store){.name = own};
    rc = persist_open(cli->p, name, &store->store, err);
    if (rc != PERSIST_OK) {
        free(own);
        return rc;
    }
    cli->n_stores++;
    *out = store->store;
    return PERSIST_OK;
}

/* A run that has done what it should does not fail because of a number. */
static void flush_metrics(const struct cli *cli)
{
    struct persist_error err = {0};
    int rc = cli->p ? persist_metrics_flush(cli->p, &err) : PERSIST_OK;

    if (rc != PERSIST_OK && rc != PERSIST_E_UNSUPPORTED)
        cli_note(cli, "warning: this run is missing in the metrics: %s%s%s",
                 err.object, err.object[0] ? ": " : "", err.message);
}

void cli_close(struct cli *cli)
{
    for (size_t i = 0; i < cli->n_stores; i++) {
        persist_close(cli->stores[i].store);
        free(cli->stores[i].name);
    }
    free(cli->stores);
    cli->stores = NULL;
    cli->n_stores = 0;
    signals_watch(NULL);
    flush_metrics(cli);
    persist_destroy(cli->p);
    cli->p = NULL;
}

uint64_t cli_timeout_ms(const struct cli *cli)
{
    return cli->args.global[GLOBAL_TIMEOUT].number;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    struct buf line;
    char *text = NULL;
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, format);
    int len = vasprintf(&text, format, ap);
    va_end(ap);
    if (len < 0)
        return;
    buf_init(&line, CONSOLE_LINE_MAX);
    buf_printf(&line, "persist: %s: %s",
               cli->args.verb ? cli->args.verb->name : "", text);
    free(text);
    if (!buf_failed(&line))
        console_line(line.data, line.len);
    buf_finish(&line);
}
