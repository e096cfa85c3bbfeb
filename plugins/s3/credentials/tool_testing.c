/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: asks the credential chain, with the process's own environment, and
 * says what came of it.
 *
 *     s3_credentials_tool [profile=NAME] [region=NAME] [access_key_id=ID]
 *                         [threads=N] [describe]
 *
 * Asks once, and again after each line on standard input: "get", or "refuse",
 * which first says that the keys were refused.  For each a line of JSON: rc,
 * message, id, secret, token, source, expires (seconds from now), generation.
 * The option secret_access_key is the variable OPTION_SECRET.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "s3/credentials.h"
#include "support/http.h"

static void host_log(void *store, uint32_t level, const char *message)
{
    (void)store;
    (void)fprintf(stderr, "%u %s\n", level, message);
}

static int32_t host_log_enabled(void *store, uint32_t level)
{
    (void)store;
    (void)level;
    return 1;
}

static void *host_alloc(void *store, uint64_t len)
{
    (void)store;
    return malloc((size_t)len);
}

static void host_free(void *store, void *memory)
{
    (void)store;
    free(memory);
}

static uint64_t host_monotonic(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int64_t host_wall(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int32_t host_random(void *out, uint64_t len)
{
    return getentropy(out, (size_t)len);
}

static int32_t host_cancelled(const struct persist_backend_call *call)
{
    (void)call;
    return 0;
}

static int32_t host_fd(const struct persist_backend_call *call)
{
    (void)call;
    return -1;
}

static int32_t host_secret(void *store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    const char *value = getenv("OPTION_SECRET");

    (void)store;
    if (value == NULL || strcmp(key, "secret_access_key") != 0)
        return PERSIST_BACKEND_NOT_FOUND;
    *out_len = strlen(value);
    if (*out_len > cap)
        return PERSIST_BACKEND_INVALID;
    memcpy(out, value, (size_t)*out_len);
    return 0;
}

static const struct persist_backend_host host = {
    .struct_size = sizeof(host),
    .abi_major = 1,
    .version = "test",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = host_monotonic,
    .wall_us = host_wall,
    .random = host_random,
    .is_cancelled = host_cancelled,
    .cancel_fd = host_fd,
    .secret = host_secret,
};

static struct s3_credentials_provider *provider;
static uint64_t generation;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void quote(const char *s)
{
    (void)putchar('"');
    for (; *s != '\0'; s++)
        if (*s == '"' || *s == '\\')
            (void)printf("\\%c", *s);
        else
            (void)putchar(*s);
    (void)putchar('"');
}

static void *get(void *ignored)
{
    const struct persist_backend_call call = {.struct_size = sizeof(call),
                                              .attempt = 1};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct s3_credentials keys;
    int32_t rc = s3_credentials_get(provider, &call, &keys, &err);

    (void)ignored;
    (void)pthread_mutex_lock(&lock);
    generation = keys.generation;
    (void)printf("{\"rc\":%d,\"http\":%d,\"message\":", rc, err.http_status);
    quote(err.message);
    (void)printf(",\"id\":");
    quote(keys.access_key_id);
    (void)printf(",\"secret\":");
    quote(keys.secret_access_key);
    (void)printf(",\"token\":");
    quote(keys.session_token);
    (void)printf(",\"source\":");
    quote(keys.source);
    (void)printf(",\"expires\":%lld,\"generation\":%llu}\n",
                 keys.expires_us == 0
                     ? 0LL
                     : (long long)((keys.expires_us - host_wall()) / 1000000),
                 (unsigned long long)keys.generation);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&lock);
    s3_credentials_wipe(&keys);
    return NULL;
}

static void get_by(int n_threads)
{
    pthread_t threads[64];

    if (n_threads <= 1) {
        (void)get(NULL);
        return;
    }
    for (int i = 0; i < n_threads; i++)
        (void)pthread_create(&threads[i], NULL, get, NULL);
    for (int i = 0; i < n_threads; i++)
        (void)pthread_join(threads[i], NULL);
}

static int32_t show(void *ctx, const struct persist_backend_finding *f)
{
    (void)ctx;
    (void)printf("%u %s: %s\n", f->verdict, f->name, f->value);
    return 0;
}

int main(int argc, char **argv)
{
    const struct persist_backend_call call = {.struct_size = sizeof(call),
                                              .attempt = 1};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct s3_credentials_options options = {0};
    int n_threads = 1;
    char line[64];

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "profile=", 8) == 0)
            options.profile = argv[i] + 8;
        else if (strncmp(argv[i], "region=", 7) == 0)
            options.region = argv[i] + 7;
        else if (strncmp(argv[i], "access_key_id=", 14) == 0)
            options.access_key_id = argv[i] + 14;
        else if (strncmp(argv[i], "threads=", 8) == 0)
            n_threads = (int)strtol(argv[i] + 8, NULL, 10);
    }
    if (n_threads > 64 || http_process_init(&err) != 0 ||
        s3_credentials_create(&host, NULL, &options, &provider, &err) != 0)
        return 2;
    if (argc > 1 && strcmp(argv[argc - 1], "describe") == 0) {
        (void)s3_credentials_describe(provider, &call, show, NULL, &err);
    } else {
        get_by(n_threads);
        while (fgets(line, sizeof(line), stdin) != NULL) {
            if (strcmp(line, "refuse\n") == 0)
                s3_credentials_invalidate(provider, generation);
            get_by(n_threads);
        }
    }
    s3_credentials_destroy(provider);
    return 0;
}
