/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are towards S3: keys, from wherever a person or a machine keeps them.
 *
 * A provider is made once per opened store and asked before every request:
 *
 *     s3_credentials_create(host, host_store, &options, &provider, err);
 *     s3_credentials_get(provider, call, &keys, err);
 *     ... sign with keys ...
 *     s3_credentials_wipe(&keys);
 *     s3_credentials_invalidate(provider, keys.generation); on ExpiredToken
 *     s3_credentials_destroy(provider);
 *
 * The first source that is configured is the source; a source that is
 * configured and broken is an error and never passed over, because the next one
 * would be somebody else's keys.  In this order:
 *
 *     options       access_key_id, secret_access_key, session_token
 *     (the profile of the option `profile`, where that is set)
 *     environment   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     web identity  AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
 *     profile       AWS_PROFILE, else "default": keys, role_arn, SSO, a process
 *     container     AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI
 *     instance      the metadata service of EC2, version 2
 *
 * Keys that expire are renewed by the call that finds them old: from 15 minutes
 * before (a failure is then only noted), by one caller at a time, while the
 * others go on with what they have; from 10 minutes before, the others wait. A
 * failure is an error only once the keys have expired.
 *
 * Threads: all functions may be called by several at once, but destroy.
 * Secrets: no message, log line or finding holds one; everything is wiped after
 * use.  Errors: ABI codes with a message (persist/backend.h).
 *
 * The order and the formats are those of the AWS SDKs and Tools Reference
 * Guide; where the SDKs differ, docs/decisions.md says what was chosen.
 */
#ifndef PERSIST_S3_CREDENTIALS_H
#define PERSIST_S3_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#define S3_ACCESS_KEY_MAX 256     /* with the NUL */
#define S3_SECRET_KEY_MAX 512     /* with the NUL */
#define S3_SESSION_TOKEN_MAX 8192 /* with the NUL */
#define S3_SOURCE_MAX 160         /* with the NUL */

struct s3_credentials_env; /* credentials/env.h; tests bring their own */
struct s3_credentials_provider;

/* Copied by create, but env. */
struct s3_credentials_options {
    const char *access_key_id; /* the option, or NULL */
    const char *profile;       /* the option, or NULL */
    const char *region;        /* the option, for STS; or NULL */
    const char *ca_bundle;     /* path, or NULL for the system's */
    const char *proxy;         /* never used for metadata; or NULL */
    /* The time as AWS has it (microseconds since 1970), corrected by what the
     * caller learned of the clock's error; NULL: host->wall_us. */
    int64_t (*now_us)(void *now_ctx);
    void *now_ctx;
    const struct s3_credentials_env *env; /* NULL: the process's */
};

struct s3_credentials {
    char access_key_id[S3_ACCESS_KEY_MAX];
    char secret_access_key[S3_SECRET_KEY_MAX];
    char session_token[S3_SESSION_TOKEN_MAX]; /* "" where there is none */
    int64_t expires_us;                       /* 0: not known, or never */
    uint64_t generation;        /* from 1; another number means other keys */
    char source[S3_SOURCE_MAX]; /* for a person: "profile dev, role ..." */
};

/*
 * Reads no file and asks nobody: the first get does.  The secret parts of
 * static keys are the options secret_access_key and session_token, read through
 * host->secret at the first get and again after invalidate.  CONFIG, MEMORY.
 */
int32_t s3_credentials_create(const struct persist_backend_host *host,
                              void *host_store,
                              const struct s3_credentials_options *options,
                              struct s3_credentials_provider **out_provider,
                              struct persist_backend_error *err);
/* Wipes and frees; NULL is fine. */
void s3_credentials_destroy(struct s3_credentials_provider *p);

/*
 * The keys of now.  *out is wiped on failure; the caller wipes it after use.
 * May make requests (STS, SSO, metadata) or run a credential_process, each one
 * attempt within the call's deadline and its own limit.
 *
 * AUTH: there are no keys, or those there were are refused and what to do;
 * CONFIG: a source is configured wrongly; DENIED: STS refuses the role;
 * THROTTLED, TRANSIENT, TIMEOUT: worth another attempt; CANCELLED; MEMORY.
 */
int32_t s3_credentials_get(struct s3_credentials_provider *p,
                           const struct persist_backend_call *call,
                           struct s3_credentials *out,
                           struct persist_backend_error *err);
/* S3 answered ExpiredToken, ExpiredTokenException or InvalidToken to keys of
 * this generation: the next get renews them unless somebody has. */
void s3_credentials_invalidate(struct s3_credentials_provider *p,
                               uint64_t generation);
void s3_credentials_wipe(struct s3_credentials *c);

/*
 * Where the environment or the profile says the store is.  *out_origin, if not
 * NULL, becomes a static text ("AWS_REGION", "profile").  NOT_FOUND where
 * nothing is said; CONFIG where the named profile or a file is broken.
 *
 * region: AWS_REGION, AWS_DEFAULT_REGION, the profile's region.
 * endpoint: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, endpoint_url of the
 * service in the profile's `services` section, the profile's endpoint_url;
 * none of them with AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true.  The service is
 * "s3" or "sts".
 */
int32_t s3_credentials_region(struct s3_credentials_provider *p, char *out,
                              size_t cap, const char **out_origin,
                              struct persist_backend_error *err);
int32_t s3_credentials_endpoint(struct s3_credentials_provider *p,
                                const char *service, char *out, size_t cap,
                                const char **out_origin,
                                struct persist_backend_error *err);

/*
 * For doctor: which source won, with the last four characters of the key id and
 * the time left, and why each of the others did not.  Gets keys as get does; a
 * failure is a FAIL finding, not an error.
 */
int32_t s3_credentials_describe(struct s3_credentials_provider *p,
                                const struct persist_backend_call *call,
                                persist_backend_emit_finding_fn emit,
                                void *emit_ctx,
                                struct persist_backend_error *err);

#endif
