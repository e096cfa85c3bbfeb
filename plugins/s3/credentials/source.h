/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where keys come from: one function per source, and what they share.
 *
 *     chain.c            the order, and what became of each source
 *     source_static.c    options and environment
 *     source_web.c       web identity (a token file and STS)
 *     source_profile.c   what a profile says, roles on top of roles
 *     source_process.c   credential_process
 *     source_sso.c       IAM Identity Center
 *     source_container.c ECS, EKS Pod Identity
 *     source_instance.c  EC2 instance metadata, version 2
 *     sts.c              AssumeRole, AssumeRoleWithWebIdentity
 *     settings.c         region and endpoints
 *     asking.c           reading, checking and reporting
 *
 * A source answers OK with keys in *out; SOURCE_ABSENT where it is not
 * configured, with the reason in a->why; or an ABI code with a message, where
 * it is and does not work.
 */
#ifndef PERSIST_S3_CREDENTIALS_SOURCE_H
#define PERSIST_S3_CREDENTIALS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3/credentials.h"
#include "s3/credentials/env.h"
#include "s3/credentials/json.h"
#include "s3/credentials/profile.h"

#define SOURCE_ABSENT 1
#define SOURCE_WHY_MAX 240

enum source_id {
    SOURCE_OPTIONS,
    SOURCE_NAMED_PROFILE, /* of the option profile */
    SOURCE_ENVIRONMENT,
    SOURCE_WEB_IDENTITY,
    SOURCE_PROFILE,
    SOURCE_CONTAINER,
    SOURCE_INSTANCE,
    N_SOURCES
};

/* One search for keys, on the stack of whoever searches. */
struct asking {
    const struct persist_backend_host *host;
    void *host_store;
    const struct s3_credentials_options *options;
    const struct s3_credentials_env *env;
    const struct persist_backend_call *call; /* NULL: settings alone */
    int64_t now_us;                          /* by AWS's clock, about */
    struct profile_files *files;             /* see asking_files */
    char why[SOURCE_WHY_MAX];                /* of SOURCE_ABSENT */
    char exposed[SOURCE_WHY_MAX]; /* a file with keys that were used and that
                                     others may read; "" */
    struct persist_backend_error *err;
};

/* -------------------------------------------------------------- asking.c */

/* Frees what was read. */
void asking_finish(struct asking *a);
/* The two AWS files, read at the first call. CONFIG, IO, MEMORY. */
int32_t asking_files(struct asking *a, const struct profile_files **out);
/* A variable's value; NULL where it is not set or empty. */
const char *asking_variable(const struct asking *a, const char *name);
/* Is the variable "true", in any case? */
bool asking_is_true(const struct asking *a, const char *name);
/* Sets a->why (printf) and returns SOURCE_ABSENT. */
int32_t asking_absent(struct asking *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The profile in force: the option, AWS_PROFILE, "default". */
const char *asking_profile(const struct asking *a);
/* Copies a key or token: CONFIG, naming `what`, where it is too long or holds
 * anything but visible ASCII, which no request could carry. */
int32_t asking_copy(struct asking *a, char *out, size_t cap, const char *value,
                    const char *what);
/* The same for three of them; token may be NULL. */
int32_t asking_keys(struct asking *a, struct s3_credentials *out,
                    const char *id, const char *secret, const char *token,
                    const char *where);
/* A time of RFC 3339, or with "UTC" for "Z" as old tools write it. */
bool asking_time(const char *text, int64_t *out_us);

/*
 * One request.  OK with a response of status 200; else a code for the transport
 * or the status: 401 AUTH, 403 DENIED, 408 and 5xx TRANSIENT, 429 THROTTLED,
 * others AUTH, with the message "WHO answered STATUS".  The response is to be
 * finished in any case, which wipes it.
 */
int32_t asking_fetch(struct asking *a, const struct http_request *request,
                     struct http_response *response, const char *who);
/*
 * The members of a JSON answer.  IO where it is none, naming `who`.
 */
int32_t asking_json(struct asking *a, const char *text, size_t len,
                    struct json_field *fields, size_t n_fields,
                    const char *who);

/* What the container, the instance and a process hand out. */
struct handed_out {
    char id[S3_ACCESS_KEY_MAX];
    char secret[S3_SECRET_KEY_MAX];
    char token[S3_SESSION_TOKEN_MAX];
    char expiration[64];
};
/* Takes over keys whose names are AccessKeyId, SecretAccessKey, `token_name`
 * and Expiration, plus `extra` members that the caller wants.  IO where they
 * are not all there; expiration and token may be missing where they `may_last`.
 */
int32_t asking_handed_out(struct asking *a, const char *text, size_t len,
                          const char *token_name, bool may_last,
                          struct json_field *extra, size_t n_extra,
                          const char *who, struct s3_credentials *out);

/* ------------------------------------------------------------ settings.c */

#define SETTING_MAX 1200 /* a region or an endpoint, with the NUL */

/* As s3_credentials_region, after the option; checked to be a DNS label. */
int32_t setting_region(struct asking *a, char out[SETTING_MAX],
                       const char **out_origin);
/* As s3_credentials_endpoint: checked to be a URL. */
int32_t setting_endpoint(struct asking *a, const char *service,
                         char out[SETTING_MAX], const char **out_origin);
/*
 * The URL at which keys are asked for, without a slash at its end: what is
 * configured for `service` ("sts", "sso", "sso_oidc"), else
 * https://PREFIX.REGION. and the suffix of the region's partition.  CONFIG
 * where it would be plain http to another machine: what is answered there is
 * secret.
 */
int32_t setting_service_url(struct asking *a, const char *service,
                            const char *prefix, const char *region,
                            char out[SETTING_MAX]);

/* --------------------------------------------------------------- sources */

struct role {
    const char *arn;
    const char *session_name; /* NULL: "persist" */
    const char *external_id;  /* NULL: none */
    uint32_t duration_s;      /* 0: what STS gives */
};

int32_t source_options(struct asking *a, struct s3_credentials *out);
int32_t source_named_profile(struct asking *a, struct s3_credentials *out);
int32_t source_environment(struct asking *a, struct s3_credentials *out);
int32_t source_web_identity(struct asking *a, struct s3_credentials *out);
int32_t source_profile(struct asking *a, struct s3_credentials *out);
int32_t source_container(struct asking *a, struct s3_credentials *out);
int32_t source_instance(struct asking *a, struct s3_credentials *out);

/* Parts of a profile; each SOURCE_ABSENT where the profile has no such thing.
 */
int32_t source_process(struct asking *a, const char *profile,
                       struct s3_credentials *out);
int32_t source_sso(struct asking *a, const char *profile,
                   struct s3_credentials *out);
/* With the token in the file, which is read now. */
int32_t source_web_token(struct asking *a, const struct role *role,
                         const char *token_file, struct s3_credentials *out);

/* ----------------------------------------------------------------- sts.c */

/* out may be source. */
int32_t sts_assume_role(struct asking *a, const struct role *role,
                        const struct s3_credentials *source,
                        struct s3_credentials *out);
int32_t sts_web_identity(struct asking *a, const struct role *role,
                         const char *token, struct s3_credentials *out);

/* --------------------------------------------------------------- chain.c */

struct verdict {
    enum { VERDICT_NOT_ASKED, VERDICT_ABSENT, VERDICT_USED, VERDICT_BROKEN } is;
    char why[SOURCE_WHY_MAX];
};

/* "options", "environment", ...: for findings and messages. */
const char *chain_source_name(enum source_id id);
/*
 * Asks the sources in their order, or the one `only` (N_SOURCES for all), until
 * one has keys or is broken.  AUTH where none has any.
 */
int32_t chain_ask(struct asking *a, enum source_id only,
                  struct s3_credentials *out, enum source_id *out_source,
                  struct verdict verdicts[N_SOURCES]);

#endif
