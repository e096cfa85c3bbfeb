/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may set, and what open makes of it.
 */
#ifndef PERSIST_GCS_OPTIONS_H
#define PERSIST_GCS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/url.h"

#define GCS_N_OPTIONS 19
extern const struct persist_backend_option gcs_option_table[GCS_N_OPTIONS];

enum gcs_retention { GCS_RETAIN_NOT, GCS_RETAIN_UNLOCKED, GCS_RETAIN_LOCKED };

/* Zeroed memory is empty; texts are owned and NULL where not given. */
struct gcs_options {
    char *bucket;
    char *prefix;        /* "" or "some/prefix/" */
    struct url endpoint; /* the service */
    char *origin;        /* "https://storage.googleapis.com", no slash behind */
    char *kms_key_name;
    char *storage_class; /* upper case, as the API wants it */
    char *user_project;
    char *ca_bundle;
    char *proxy;
    char *universe; /* "googleapis.com" */
    uint64_t chunk_size;
    uint32_t connect_timeout_ms;
    uint32_t stall_timeout_ms;
    enum gcs_retention retention;
    int64_t retain_for_ms;
    bool event_based_hold;
    bool temporary_hold;
    bool anonymous;
    bool allow_http;
    bool emulator; /* STORAGE_EMULATOR_HOST was followed */
    bool
        has_service_json; /* service_account_json (or _file, _command) is set */
};

/* Environment variables open looks at; tests give their own.  NULL: unset. */
typedef const char *(*gcs_getenv_fn)(const char *name);

/* CONFIG where options contradict each other; MEMORY.  o is zeroed before, and
 * to be finished also after a failure. */
int32_t gcs_options_apply(struct gcs_options *o,
                          const struct persist_backend_host *host,
                          const struct persist_backend_config *config,
                          gcs_getenv_fn env, struct persist_backend_error *err);
void gcs_options_finish(struct gcs_options *o);

#endif
