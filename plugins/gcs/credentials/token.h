/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting one token: what all ways to one share.  Internal to credentials/.
 */
#ifndef PERSIST_GCS_TOKEN_H
#define PERSIST_GCS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "gcs/credentials/credentials.h"
#include "support/secret.h"
#include "support/text.h"

#define SCOPE_STORE "https://www.googleapis.com/auth/devstorage.read_write"
#define SCOPE_PLATFORM "https://www.googleapis.com/auth/cloud-platform"
#define GOOGLE_TOKEN_URI "https://oauth2.googleapis.com/token"
#define DEFAULT_UNIVERSE "googleapis.com"
/* A token service that takes longer is taken for dead. */
#define TOKEN_TIMEOUT_MS 30000

/* One errand for a token. */
struct token_ctx {
    const struct gcs_credentials_config *config;
    const struct persist_backend_call *call;
    struct persist_backend_error *err;
};

/* A bearer token and when it expires, by the wall clock. Wipe it. */
struct grant {
    struct secret token;
    int64_t expires_us;
};
void grant_wipe(struct grant *g);

/* CONFIG: "credentials: WHAT". */
int32_t token_config_error(const struct token_ctx *t, const char *what);

/* A text member that must be there and not empty; NULL and CONFIG in *rc. */
const char *token_member(const struct token_ctx *t, const json_t *json,
                         const char *name, int32_t *rc);

/* Overwrites every text in json, then lets go of it. */
void json_wipe(json_t *json);

/* Where a secret may be sent: https, or http to this machine; with link_local
 * also http to the metadata address 169.254.169.254 (*out_plain: http). */
bool token_url_ok(const char *url, bool link_local, bool *out_plain);

/* What is sent to a token service. */
struct token_request {
    const char *what; /* for messages: "the token service" */
    const char *url;
    const char *content_type;
    const struct text *body;     /* NULL: GET */
    const struct secret *bearer; /* NULL: none */
    const char *headers[8];      /* further lines; NULL: no more */
    bool direct;                 /* no proxy, plain http allowed */
    uint32_t connect_timeout_ms; /* 0: the client's */
};

/*
 * One request; *out is the JSON object of a 200, to be wiped.  AUTH where the
 * credentials were refused, DENIED for 403, TRANSIENT and THROTTLED where the
 * service says so, CONFIG for other 4xx.  Messages carry the service's error
 * word, and its sentence where that holds nothing that could be a token.
 */
int32_t token_ask(const struct token_ctx *t, const struct token_request *q,
                  json_t **out);

/* From {"access_token", "expires_in"}; AUTH where they are missing. */
int32_t grant_from_oauth(const struct token_ctx *t, const json_t *json,
                         struct grant *out);

/* From an account's token to that of the service account of `url`
 * (...:generateAccessToken, IAM Credentials API). delegates may be NULL. */
int32_t grant_impersonate(const struct token_ctx *t, const struct grant *from,
                          const char *url, const json_t *delegates,
                          const char *scope, uint64_t lifetime_s,
                          struct grant *out);

/* By the "type" in json, see credentials.h.  depth: 0 outside. */
int32_t grant_from_account(const struct token_ctx *t, const json_t *json,
                           const char *scope, unsigned depth,
                           struct grant *out);
int32_t grant_from_external(const struct token_ctx *t, const json_t *json,
                            const char *scope, struct grant *out);

/* The metadata server's token. NOT_FOUND where no such server answers. */
int32_t grant_from_metadata(const struct token_ctx *t, const char *scope,
                            struct grant *out);
/* The address of the default service account there. */
int32_t metadata_email(const struct token_ctx *t, struct text *out);

/* Whom json is about, without a secret. */
void account_describe(const json_t *json, struct text *out);

/* ------------------------------------------------------------------ source */

enum source_kind { SOURCE_NONE, SOURCE_JSON, SOURCE_METADATA };

/* Zero it before, finish it after. */
struct source {
    enum source_kind kind;
    json_t *json;      /* SOURCE_JSON */
    struct text where; /* for a person */
};
/* Looks for credentials in the order of credentials.h, without a request. */
int32_t source_find(const struct token_ctx *t, struct source *out);
void source_finish(struct source *s);

#endif
