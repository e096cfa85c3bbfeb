/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider: which source it is, found once, and keys that are renewed in
 * time (support/refresh.h).  Once a source has given keys it stays the source:
 * should its file vanish, the next one in the order would be somebody else.
 */
#include "s3/credentials.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/credentials/source.h"
#include "support/fail.h"
#include "support/refresh.h"

#define MINUTE_US (INT64_C(60) * 1000000)
#define EARLY_US (15 * MINUTE_US)
#define MUST_US (10 * MINUTE_US)
#define RETRY_US (2 * MINUTE_US)
#define JITTER_US (8 * MINUTE_US)

struct s3_credentials_provider {
    const struct persist_backend_host *host;
    void *host_store;
    struct s3_credentials_options options; /* texts are ours */
    struct s3_credentials_env own_env;     /* where none was given */
    const struct s3_credentials_env *env;
    struct refresh *refresh;

    enum source_id pinned; /* of the fetching thread; N_SOURCES: none yet */

    pthread_mutex_t lock;
    enum source_id last;                /* lock; the source last asked */
    struct verdict verdicts[N_SOURCES]; /* lock */
    char exposed[SOURCE_WHY_MAX];       /* lock; as asking.exposed */
};

void s3_credentials_wipe(struct s3_credentials *c)
{
    secret_wipe_bytes(c, sizeof(*c));
}

static int64_t now_us(void *ctx)
{
    const struct s3_credentials_provider *p = ctx;

    return p->options.now_us != NULL ? p->options.now_us(p->options.now_ctx)
                                     : p->host->wall_us();
}

static struct asking start(struct s3_credentials_provider *p,
                           const struct persist_backend_call *call,
                           struct persist_backend_error *err)
{
    return (struct asking){.host = p->host,
                           .host_store = p->host_store,
                           .options = &p->options,
                           .env = p->env,
                           .call = call,
                           .now_us = now_us(p),
                           .err = err};
}

static void warn_exposed(struct s3_credentials_provider *p, const char *path)
{
    char line[SOURCE_WHY_MAX + 64];

    (void)snprintf(line, sizeof(line),
                   "%s holds keys and can be read by others: chmod 600", path);
    p->host->log(p->host_store, PERSIST_BACKEND_LOG_WARN, line);
}

/* Keeps for describe what the search came to. */
static void note(struct s3_credentials_provider *p, const struct asking *a,
                 enum source_id source, const struct verdict *verdicts)
{
    bool is_new;

    (void)pthread_mutex_lock(&p->lock);
    p->last = source;
    memcpy(p->verdicts, verdicts, sizeof(p->verdicts));
    is_new = strcmp(p->exposed, a->exposed) != 0;
    memcpy(p->exposed, a->exposed, sizeof(p->exposed));
    (void)pthread_mutex_unlock(&p->lock);
    if (is_new && a->exposed[0] != '\0')
        warn_exposed(p, a->exposed);
}

/* Until when refresh may hand the keys out.  An instance in trouble gives keys
 * that have expired, or are about to, and S3 takes them: they are kept and
 * asked for again later. */
static int64_t usable_until(const struct s3_credentials *c,
                            enum source_id source, int64_t now)
{
    if (c->expires_us == 0)
        return REFRESH_NEVER;
    if (source == SOURCE_INSTANCE && c->expires_us < now + MUST_US)
        return now + MUST_US;
    return c->expires_us;
}

/* Keys that are kept lie in a struct secret: wiped, and not in core dumps. */
static struct s3_credentials *kept(const struct secret *value)
{
    return (void *)value->bytes;
}

static void free_value(void *ctx, void *value)
{
    (void)ctx;
    if (value == NULL)
        return;
    secret_wipe(value);
    free(value);
}

static struct secret *new_value(void)
{
    struct s3_credentials none = {.generation = 0};
    struct secret *value = calloc(1, sizeof(*value));

    if (value == NULL ||
        secret_set(value, &none, sizeof(none)) != PERSIST_BACKEND_OK) {
        free(value);
        return NULL;
    }
    return value;
}

/* One refresh at a time: struct refresh sees to it. */
static int32_t fetch(void *ctx, const struct persist_backend_call *call,
                     struct refresh_value *out,
                     struct persist_backend_error *err)
{
    struct s3_credentials_provider *p = ctx;
    struct secret *value = new_value();
    struct asking a = start(p, call, err);
    struct verdict verdicts[N_SOURCES];
    enum source_id source;
    int32_t rc;

    if (value == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    memcpy(verdicts, p->verdicts, sizeof(verdicts));
    rc = chain_ask(&a, p->pinned, kept(value), &source, verdicts);
    note(p, &a, source, verdicts);
    asking_finish(&a);
    if (rc != PERSIST_BACKEND_OK) {
        free_value(NULL, value);
        return rc;
    }
    p->pinned = source;
    out->value = value;
    out->expires_us = usable_until(kept(value), source, now_us(p));
    return PERSIST_BACKEND_OK;
}

/* ------------------------------------------------------------ create, destroy
 */

static int copy_text(const char **place)
{
    if (*place == NULL)
        return 0;
    *place = strdup(*place);
    return *place == NULL ? -1 : 0;
}

/* Makes the texts ours; on failure those that could not be are NULL. */
static int copy_options(struct s3_credentials_options *o)
{
    int rc = copy_text(&o->access_key_id);

    rc |= copy_text(&o->profile);
    rc |= copy_text(&o->region);
    rc |= copy_text(&o->ca_bundle);
    rc |= copy_text(&o->proxy);
    return rc;
}

static int32_t start_refresh(struct s3_credentials_provider *p,
                             struct persist_backend_error *err)
{
    const struct refresh_config config = {.host = p->host,
                                          .early_us = EARLY_US,
                                          .must_us = MUST_US,
                                          .retry_us = RETRY_US,
                                          .jitter_us = JITTER_US,
                                          .now_us = now_us,
                                          .fetch = fetch,
                                          .free_value = free_value,
                                          .ctx = p};

    if (refresh_create(&config, &p->refresh) != PERSIST_BACKEND_OK)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    return PERSIST_BACKEND_OK;
}

int32_t s3_credentials_create(const struct persist_backend_host *host,
                              void *host_store,
                              const struct s3_credentials_options *options,
                              struct s3_credentials_provider **out_provider,
                              struct persist_backend_error *err)
{
    struct s3_credentials_provider *p = calloc(1, sizeof(*p));
    int32_t rc;

    if (p == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    p->host = host;
    p->host_store = host_store;
    p->options = *options;
    p->pinned = N_SOURCES;
    p->last = N_SOURCES;
    p->env = options->env != NULL ? options->env : &p->own_env;
    (void)pthread_mutex_init(&p->lock, NULL);
    rc = copy_options(&p->options) == 0
             ? PERSIST_BACKEND_OK
             : fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (rc == PERSIST_BACKEND_OK && options->env == NULL)
        rc = s3_credentials_env_create(host, host_store, options->ca_bundle,
                                       options->proxy, &p->own_env, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = start_refresh(p, err);
    if (rc != PERSIST_BACKEND_OK) {
        s3_credentials_destroy(p);
        return rc;
    }
    *out_provider = p;
    return PERSIST_BACKEND_OK;
}

void s3_credentials_destroy(struct s3_credentials_provider *p)
{
    const struct s3_credentials_options *o;

    if (p == NULL)
        return;
    o = &p->options;
    if (p->refresh != NULL)
        refresh_destroy(p->refresh);
    s3_credentials_env_finish(&p->own_env);
    (void)pthread_mutex_destroy(&p->lock);
    free((void *)o->access_key_id);
    free((void *)o->profile);
    free((void *)o->region);
    free((void *)o->ca_bundle);
    free((void *)o->proxy);
    free(p);
}

/* ---------------------------------------------------------------- using it */

int32_t s3_credentials_get(struct s3_credentials_provider *p,
                           const struct persist_backend_call *call,
                           struct s3_credentials *out,
                           struct persist_backend_error *err)
{
    uint64_t generation;
    int64_t expires_us;
    void *value;
    int32_t rc;

    rc = refresh_get(p->refresh, call, &value, &generation, &expires_us, err);
    if (rc != PERSIST_BACKEND_OK) {
        s3_credentials_wipe(out);
        return rc;
    }
    memcpy(out, kept(value), sizeof(*out));
    out->generation = generation;
    refresh_put(p->refresh, value);
    return PERSIST_BACKEND_OK;
}

void s3_credentials_invalidate(struct s3_credentials_provider *p,
                               uint64_t generation)
{
    refresh_invalidate(p->refresh, generation);
}

static int32_t give(struct asking *a, int32_t rc, const char *value, char *out,
                    size_t cap)
{
    int n;

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    n = snprintf(out, cap, "%s", value);
    if (n < 0 || (size_t)n >= cap)
        return fail(a->err, PERSIST_BACKEND_CONFIG, "%.80s... is too long",
                    value);
    return PERSIST_BACKEND_OK;
}

int32_t s3_credentials_region(struct s3_credentials_provider *p, char *out,
                              size_t cap, const char **out_origin,
                              struct persist_backend_error *err)
{
    struct asking a = start(p, NULL, err);
    char value[SETTING_MAX];
    const char *origin = NULL;
    int32_t rc = setting_region(&a, value, &origin);

    if (out_origin != NULL)
        *out_origin = origin;
    rc = give(&a, rc, value, out, cap);
    asking_finish(&a);
    return rc;
}

int32_t s3_credentials_endpoint(struct s3_credentials_provider *p,
                                const char *service, char *out, size_t cap,
                                const char **out_origin,
                                struct persist_backend_error *err)
{
    struct asking a = start(p, NULL, err);
    char value[SETTING_MAX];
    const char *origin = NULL;
    int32_t rc = setting_endpoint(&a, service, value, &origin);

    if (out_origin != NULL)
        *out_origin = origin;
    rc = give(&a, rc, value, out, cap);
    asking_finish(&a);
    return rc;
}

/* ---------------------------------------------------------------- describe */

static void say_time_left(const struct s3_credentials *keys, int64_t now,
                          char *out, size_t cap)
{
    long long minutes = (long long)((keys->expires_us - now) / MINUTE_US);

    if (keys->expires_us == 0)
        (void)snprintf(out, cap, "no expiry known");
    else if (minutes < 0)
        (void)snprintf(out, cap, "expired %lld min ago", -minutes);
    else
        (void)snprintf(out, cap, "%lld min left", minutes);
}

static void emit_one(uint32_t verdict, const char *name, const char *value,
                     const char *hint, persist_backend_emit_finding_fn emit,
                     void *emit_ctx)
{
    struct persist_backend_finding f = {.struct_size = sizeof(f),
                                        .verdict = verdict,
                                        .name = name,
                                        .value = value,
                                        .hint = hint};

    (void)emit(emit_ctx, &f);
}

static void emit_used(const struct s3_credentials *keys, int64_t now,
                      persist_backend_emit_finding_fn emit, void *emit_ctx)
{
    size_t len = strlen(keys->access_key_id);
    char value[S3_SOURCE_MAX + 120], left[64];

    say_time_left(keys, now, left, sizeof(left));
    (void)snprintf(
        value, sizeof(value), "%s: access key ...%s%s, %s", keys->source,
        keys->access_key_id + (len > 8 ? len - 4 : len),
        keys->session_token[0] != '\0' ? " with a session token" : "", left);
    emit_one(PERSIST_BACKEND_FINDING_OK, "credentials", value, NULL, emit,
             emit_ctx);
}

static void emit_exposed(const char *path, persist_backend_emit_finding_fn emit,
                         void *emit_ctx)
{
    char value[SOURCE_WHY_MAX + 64];

    if (path[0] == '\0')
        return;
    (void)snprintf(value, sizeof(value), "%s can be read by others", path);
    emit_one(PERSIST_BACKEND_FINDING_WARN, "credentials-file", value,
             "chmod 600", emit, emit_ctx);
}

/* Why the others were not used. */
static void emit_others(const struct verdict *verdicts, enum source_id last,
                        persist_backend_emit_finding_fn emit, void *emit_ctx)
{
    char value[SOURCE_WHY_MAX + 64];

    for (int i = 0; i < N_SOURCES; i++) {
        const char *name = chain_source_name((enum source_id)i);

        if (verdicts[i].is == VERDICT_ABSENT)
            (void)snprintf(value, sizeof(value), "%s: %s", name,
                           verdicts[i].why);
        else if (verdicts[i].is == VERDICT_NOT_ASKED)
            (void)snprintf(
                value, sizeof(value), "%s: not asked, %s comes first", name,
                last == N_SOURCES ? "another" : chain_source_name(last));
        else
            continue;
        emit_one(PERSIST_BACKEND_FINDING_INFO, "passed-over", value, NULL, emit,
                 emit_ctx);
    }
}

int32_t s3_credentials_describe(struct s3_credentials_provider *p,
                                const struct persist_backend_call *call,
                                persist_backend_emit_finding_fn emit,
                                void *emit_ctx,
                                struct persist_backend_error *err)
{
    struct verdict verdicts[N_SOURCES];
    char exposed[SOURCE_WHY_MAX];
    struct s3_credentials keys;
    enum source_id last;
    int32_t rc = s3_credentials_get(p, call, &keys, err);

    if (rc == PERSIST_BACKEND_CANCELLED || rc == PERSIST_BACKEND_MEMORY)
        return rc;
    if (rc == PERSIST_BACKEND_OK)
        emit_used(&keys, now_us(p), emit, emit_ctx);
    else
        emit_one(PERSIST_BACKEND_FINDING_FAIL, "credentials", err->message,
                 NULL, emit, emit_ctx);
    s3_credentials_wipe(&keys);
    (void)pthread_mutex_lock(&p->lock);
    memcpy(verdicts, p->verdicts, sizeof(verdicts));
    memcpy(exposed, p->exposed, sizeof(exposed));
    last = p->last;
    (void)pthread_mutex_unlock(&p->lock);
    emit_exposed(exposed, emit, emit_ctx);
    emit_others(verdicts, last, emit, emit_ctx);
    return PERSIST_BACKEND_OK;
}
