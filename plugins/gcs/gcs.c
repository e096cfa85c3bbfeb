/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor, and a store's life.  open makes no request and reads no file:
 * a bucket that cannot be reached today, or credentials that come later, are no
 * reason to fail before an operation needs them.
 */
#include "gcs/gcs.h"

#include <stdlib.h>
#include <string.h>

#include "gcs/credentials/credentials.h"
#include "gcs/sessions.h"
#include "posix/os.h"
#include "support/fail.h"
#include "support/http.h"

int32_t gcs_check_call(const struct gcs_store *s,
                       const struct persist_backend_call *call,
                       struct persist_backend_error *err)
{
    if (s->host->is_cancelled(call) != 0)
        return fail(err, PERSIST_BACKEND_CANCELLED, "cancelled");
    if ((call->present & PERSIST_BACKEND_CALL_DEADLINE) != 0 &&
        s->host->monotonic_ns() >= call->deadline_ns)
        return fail(err, PERSIST_BACKEND_TIMEOUT, "the deadline passed");
    return PERSIST_BACKEND_OK;
}

static const char *from_environment(const char *name)
{
    return os_getenv(name);
}

static int32_t gcs_init(const struct persist_backend_host *host,
                        struct persist_backend_error *err)
{
    (void)host;
    return http_process_init(err);
}

static void gcs_close(void *store)
{
    struct gcs_store *s = store;

    if (s == NULL)
        return;
    sessions_destroy(s->sessions);
    gcs_credentials_destroy(s->credentials);
    http_client_destroy(s->http);
    gcs_options_finish(&s->options);
    free(s);
}

static int32_t make_parts(struct gcs_store *s,
                          struct persist_backend_error *err)
{
    const struct http_config http = {
        .host = s->host,
        .host_store = s->host_store,
        .user_agent = "persist/" PERSIST_GCS_VERSION " (gcs)",
        .ca_bundle = s->options.ca_bundle,
        .proxy = s->options.proxy,
        .connect_timeout_ms = s->options.connect_timeout_ms,
        .stall_timeout_ms = s->options.stall_timeout_ms,
        .allow_http = s->options.allow_http,
    };
    struct gcs_credentials_config credentials = {.host = s->host,
                                                 .host_store = s->host_store,
                                                 .options = &s->options,
                                                 .env = from_environment};
    int32_t rc = http_client_create(&http, &s->http, err);

    credentials.http = s->http;
    if (rc == PERSIST_BACKEND_OK)
        rc = gcs_credentials_create(&credentials, &s->credentials, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = sessions_create(s->host, s->host_store, &s->sessions);
    return rc == PERSIST_BACKEND_MEMORY ? fail(err, rc, "out of memory") : rc;
}

static int32_t gcs_open(const struct persist_backend_host *host,
                        const struct persist_backend_config *config,
                        void **out_store, struct persist_backend_error *err)
{
    struct gcs_store *s = calloc(1, sizeof(*s));
    int32_t rc;

    if (s == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    s->host = host;
    s->host_store = config->host_store;
    rc = gcs_options_apply(&s->options, host, config, from_environment, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = make_parts(s, err);
    if (rc != PERSIST_BACKEND_OK) {
        gcs_close(s);
        return rc;
    }
    *out_store = s;
    return PERSIST_BACKEND_OK;
}

static int32_t gcs_limits(void *store, struct persist_backend_limits *out)
{
    const struct gcs_store *s = store;

    /* Emulators finish a session that is asked how far it is: nothing can be
     * gone on with there. */
    out->flags = PERSIST_BACKEND_ORDERED_LISTING |
                 (s->options.emulator ? 0 : PERSIST_BACKEND_RESUMABLE);
    out->part_min = GCS_CHUNK_ALIGN;
    out->part_max = s->options.chunk_size;
    out->part_align = GCS_CHUNK_ALIGN;
    out->put_max = (uint64_t)1 << 30;
    out->object_max = GCS_OBJECT_MAX;
    out->parts_max = 0;
    out->parallel_max = 1;
    out->key_max = (uint32_t)(GCS_NAME_MAX - strlen(s->options.prefix));
    return PERSIST_BACKEND_OK;
}

static const struct persist_backend_ops ops = {
    .struct_size = sizeof(ops),
    .init = gcs_init,
    .open = gcs_open,
    .close = gcs_close,
    .limits = gcs_limits,
    .put = gcs_put,
    .upload_begin = gcs_upload_begin,
    .upload_part = gcs_upload_part,
    .upload_commit = gcs_upload_commit,
    .upload_abort = gcs_upload_abort,
    .read = gcs_read,
    .head = gcs_head,
    .delete_object = gcs_delete,
    .list = gcs_list,
    .probe = gcs_probe,
};

static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE,
    .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "gcs",
    .version = PERSIST_GCS_VERSION,
    .vendor = "Persist",
    .licence = "Apache-2.0",
    .options = gcs_option_table,
    .n_options = GCS_N_OPTIONS,
    .option_size = sizeof(struct persist_backend_option),
    .ops = &ops,
};

const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    (void)host;
    return &descriptor;
}
