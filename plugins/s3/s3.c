/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 backend's descriptor, and a store's life.  open reads configuration
 * and makes no request.
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "posix/os.h"

static int64_t corrected_now(void *ctx)
{
    return store_now_us(ctx);
}

static void s3_close(void *store)
{
    struct s3_store *s = store;

    if (s == NULL)
        return;
    http_client_destroy(s->http);
    s3_credentials_destroy(s->credentials);
    settings_finish(&s->set);
    sign_finish(&s->signer);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const char *ca_bundle_of(const struct s3_store *s)
{
    const char *text = s->set.text[S3_CA_BUNDLE];

    if (text == NULL)
        text = os_getenv("AWS_CA_BUNDLE");
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* "none" is no proxy at all; nothing is what the environment says. */
static const char *proxy_of(const struct s3_store *s)
{
    const char *text = s->set.text[S3_PROXY];

    return text != NULL && fixed_same_word(text, "none") ? "" : text;
}

static int32_t make_client(struct s3_store *s,
                           struct persist_backend_error *err)
{
    struct http_config config = {
        .host = s->host,
        .host_store = s->host_store,
        .user_agent = "persist-s3/" PERSIST_S3_VERSION,
        .ca_bundle = ca_bundle_of(s),
        .proxy = proxy_of(s),
        .connect_timeout_ms = (uint32_t)s->set.number[S3_CONNECT_TIMEOUT],
        .stall_timeout_ms = (uint32_t)s->set.number[S3_STALL_TIMEOUT],
        .allow_http = s->set.number[S3_ALLOW_HTTP] != 0,
        .request_id_header = "x-amz-request-id",
        .retry_after_ms_header = "x-amz-retry-after"};

    return http_client_create(&config, &s->http, err);
}

static int32_t make_credentials(struct s3_store *s,
                                struct persist_backend_error *err)
{
    struct s3_credentials_options options = {.access_key_id =
                                                 s->set.text[S3_ACCESS_KEY_ID],
                                             .profile = s->set.text[S3_PROFILE],
                                             .region = s->set.text[S3_REGION],
                                             .ca_bundle = ca_bundle_of(s),
                                             .proxy = proxy_of(s),
                                             .now_us = corrected_now,
                                             .now_ctx = s};

    return s3_credentials_create(s->host, s->host_store, &options,
                                 &s->credentials, err);
}

/* A store that close can take, or NULL. */
static struct s3_store *blank_store(void)
{
    struct s3_store *s = calloc(1, sizeof(*s));

    if (s == NULL || sign_init(&s->signer) != 0) {
        free(s);
        return NULL;
    }
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        sign_finish(&s->signer);
        free(s);
        return NULL;
    }
    return s;
}

static int32_t s3_open(const struct persist_backend_host *host,
                       const struct persist_backend_config *config,
                       void **out_store, struct persist_backend_error *err)
{
    struct s3_store *s = blank_store();
    int32_t rc;

    if (s == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    s->host = host;
    s->host_store = config->host_store;
    atomic_init(&s->clock_offset_us, 0);
    atomic_init(&s->put_checksum, S3_CRC_WHOLE);
    atomic_init(&s->upload_checksum, S3_CRC_WHOLE);
    atomic_init(&s->bucket_seen, false);
    rc = settings_copy(&s->set, config, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = make_credentials(s, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = settings_apply(s, config, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = make_client(s, err);
    if (rc != PERSIST_BACKEND_OK) {
        s3_close(s);
        return rc;
    }
    *out_store = s;
    return PERSIST_BACKEND_OK;
}

static int32_t s3_init(const struct persist_backend_host *host,
                       struct persist_backend_error *err)
{
    (void)host;
    return http_process_init(err);
}

static int32_t s3_limits(void *store, struct persist_backend_limits *out)
{
    const struct s3_store *s = store;
    uint64_t part = (uint64_t)s->set.number[S3_PART_SIZE];

    out->flags = PERSIST_BACKEND_ORDERED_LISTING | PERSIST_BACKEND_RESUMABLE;
    if (s->set.custom)
        out->flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    if (s->set.custom && s->set.text[S3_ENDPOINT] == NULL)
        out->flags |= PERSIST_BACKEND_PLACE_FROM_OUTSIDE;
    out->part_min = S3_PART_MIN;
    out->part_max = S3_PART_MAX;
    if (part != 0) { /* exactly so, which is what some services want */
        out->flags |= PERSIST_BACKEND_EQUAL_PARTS;
        out->part_min = out->part_max = part;
    }
    out->part_align = 1;
    out->put_max = S3_PUT_MAX;
    /* 48.8 TiB since December 2025; others still say 5 TiB. */
    out->object_max =
        s->set.custom ? (uint64_t)5 << 40 : S3_PARTS_MAX * S3_PART_MAX;
    out->parts_max = S3_PARTS_MAX;
    out->parallel_max = (uint32_t)s->set.number[S3_PARALLEL];
    out->key_max = (uint32_t)(S3_KEY_MAX - strlen(s->set.prefix));
    return PERSIST_BACKEND_OK;
}

static const struct persist_backend_ops s3_ops = {
    .struct_size = sizeof(s3_ops),
    .init = s3_init,
    .open = s3_open,
    .close = s3_close,
    .limits = s3_limits,
    .put = s3_put,
    .upload_begin = s3_upload_begin,
    .upload_part = s3_upload_part,
    .upload_commit = s3_upload_commit,
    .upload_abort = s3_upload_abort,
    .read = s3_read,
    .head = s3_head,
    .delete_object = s3_delete,
    .list = s3_list,
    .list_uploads = s3_list_uploads,
    .probe = s3_probe,
};

static const struct persist_backend_descriptor descriptor = {
    PERSIST_BACKEND_PROLOGUE,
    .thread_model = PERSIST_BACKEND_PARALLEL,
    .name = "s3",
    .version = PERSIST_S3_VERSION,
    .vendor = "Persist",
    .licence = "Apache-2.0",
    .options = s3_options,
    .n_options = S3_N_OPTIONS,
    .option_size = sizeof(struct persist_backend_option),
    .ops = &s3_ops,
};

const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host)
{
    (void)host;
    return &descriptor;
}
