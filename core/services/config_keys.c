/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: the keys of [persist] with their defaults and what they may hold, the
 * form of keys and store names, and which keys are delicate.
 *
 * Which options of a backend are secret is known to its plugin alone; the list
 * here catches by name, and config_store_secret checks again for declared ones.
 */
#include "services/config_internal.h"

#include <stdint.h>
#include <string.h>

#include <persist/persist.h>

#include "services/log.h"
#include "util/text.h"

#define MAX_IO_MAX 1024 /* as of a store */

static const char *check_store(const char *text)
{
    return config_is_store_name(text)
               ? NULL
               : "a store's name: 1 to 32 of a-z, 0-9, - and _";
}

static const char *check_log_level(const char *text)
{
    enum log_level level;
    return log_level_parse(text, &level) ? NULL
                                         : "error, warn, info, debug or off";
}

static const char *check_log_format(const char *text)
{
    enum log_format format;
    return log_format_parse(text, &format) ? NULL : "logfmt or json";
}

static const char *check_memory_limit(const char *text)
{
    uint64_t bytes;

    _Static_assert(PERSIST_MEMORY_LIMIT_MIN >> 20 == 8, "it is named below");
    return text_to_size(text, &bytes) && bytes >= PERSIST_MEMORY_LIMIT_MIN
               ? NULL
               : "a size of at least 8M, such as 256M or 1G";
}

static const char *check_limit(const char *text)
{
    uint64_t bytes;
    return text_to_rate(text, &bytes)
               ? NULL
               : "bytes per second, such as 500K or 2M/s, or 0 for no limit";
}

static const char *check_max_io(const char *text)
{
    uint64_t n;
    return text_to_u64(text, &n) && n >= 1 && n <= MAX_IO_MAX
               ? NULL
               : "a number of threads from 1 to 1024";
}

static const char *check_backend_dir(const char *text)
{
    for (const char *dir = text; dir; dir = strchr(dir, ':')) {
        dir += dir != text; /* behind the colon */
        if (*dir != '/')
            return "absolute directories, separated by colons";
    }
    return NULL;
}

/* node_exporter reads nothing else; and a slip of the pen must not make some
 * other file of root's the one that is replaced. */
static const char *check_metrics_textfile(const char *text)
{
    size_t len = strlen(text);

    return *text == '/' && len > 6 && strcmp(text + len - 5, ".prom") == 0 &&
                   text[len - 6] != '/'
               ? NULL
               : "an absolute path that ends in .prom";
}

static const char *check_trace_file(const char *text)
{
    return *text == '/' && text[1] ? NULL : "an absolute path";
}

static const struct config_key keys[] = {
    {"store", NULL, check_store},
    {"log_level", "warn", check_log_level},
    {"log_format", "logfmt", check_log_format},
    {"memory_limit", "256M", check_memory_limit},
    {"max_io", "64", check_max_io},
    {"backend_dir", NULL, check_backend_dir},
    {"limit_upload", "0", check_limit},
    {"limit_download", "0", check_limit},
    {"metrics_textfile", NULL, check_metrics_textfile},
    {"trace_file", NULL, check_trace_file},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const key_names[N_KEYS + 1] = {"store",
                                                  "log_level",
                                                  "log_format",
                                                  "memory_limit",
                                                  "max_io",
                                                  "backend_dir",
                                                  "limit_upload",
                                                  "limit_download",
                                                  "metrics_textfile",
                                                  "trace_file",
                                                  NULL};

const char *const *config_keys(void)
{
    return key_names;
}

const struct config_key *config_find_key(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

int config_check_key(const char *name, const char *where,
                     struct persist_error *err)
{
    if (config_find_key(name))
        return PERSIST_OK;
    error_set(err, PERSIST_E_CONFIG, "%s: [persist] has no key %s", where,
              name);
    const char *close = text_suggest(name, key_names);
    if (close)
        error_hint(err, "did you mean %s?", close);
    else
        error_hint(err, "options of a backend stand in its [store NAME]");
    return PERSIST_E_CONFIG;
}

int config_check_value(const struct config_key *key, const char *text,
                       const char *origin, struct persist_error *err)
{
    const char *wanted = key->check(text);
    if (!wanted)
        return PERSIST_OK;
    return error_set(err, PERSIST_E_CONFIG, "%s: %s is %s, not \"%.100s\"",
                     origin, key->name, wanted, text);
}

static bool is_made_of(const char *text, size_t max, const char *others)
{
    size_t n = 0;
    for (; text[n]; n++)
        if (n == max || (!text_is_lower(text[n]) && !text_is_digit(text[n]) &&
                         !strchr(others, text[n])))
            return false;
    return n > 0;
}

bool config_is_key_name(const char *text)
{
    return is_made_of(text, CONFIG_NAME_MAX, "_");
}

bool config_is_store_name(const char *text)
{
    return is_made_of(text, CONFIG_STORE_NAME_MAX, "_-");
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

bool config_is_secret_key(const char *key)
{
    /* Each alone, or behind something and "_". */
    static const char *const words[] = {
        "secret",      "password",     "passphrase",           "token",
        "access_key",  "private_key",  "encryption_key",       "api_key",
        "credentials", "customer_key", "service_account_json", "secret_key",
        "hmac_key",    "signing_key",  "connection_string"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]), key_len = strlen(key);
        if (ends_with(key, words[i]) &&
            (key_len == len || key[key_len - len - 1] == '_'))
            return true;
    }
    return false;
}

bool config_is_command_key(const char *key)
{
    return ends_with(key, "_command") ||
           strcmp(key, "credential_process") == 0 ||
           strcmp(key, "backend_dir") == 0;
}
