/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Google Cloud Storage backend: objects of a bucket over the JSON API.
 *
 *     gcs.c          descriptor and ops table; init, open, close, limits
 *     options.c      what a user may set
 *     names.c        keys, object names, paths of requests
 *     request.c      one authorised request; a token that was refused
 *     status.c       answers of the service to codes and messages
 *     replies.c      JSON that the service sends, and what we send
 *     put.c          one buffer, one request (multipart/related)
 *     upload.c       resumable uploads: the ops; session.c: one request of one
 *                    session; sessions.c: what this process knows of them;
 *                    resumable.c: the protocol itself, without I/O
 *     read.c         ranges, pinned to a generation, checked
 *     object.c       head, delete
 *     list.c         one page of keys
 *     probe.c        what a person wants to know
 *     credentials/   who we are
 *
 * An etag is the object's generation, a decimal number.  Threads: everything
 * here may be called by several at once.
 *
 * Checksums.  Every upload states the CRC-32C of the whole object, the service
 * refuses it where it differs, and what the service says it stored is compared
 * once more; an object that differs is deleted again, that generation alone.
 * A read of a whole object is compared with the object's own CRC-32C.  Either
 * is tried once more, on a connection of its own, before CORRUPT is answered:
 * the one exception to "one attempt", because CORRUPT is final.
 */
#ifndef PERSIST_GCS_H
#define PERSIST_GCS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "gcs/options.h"

/* Chunks of a resumable upload are multiples of this, but for the last. */
#define GCS_CHUNK_ALIGN ((uint64_t)256 << 10)
#define GCS_OBJECT_MAX ((uint64_t)5 << 40)
#define GCS_NAME_MAX 1024 /* bytes of an object's name */
#define GCS_PROBE_KEY ".persist-probe"

struct http_client;
struct gcs_credentials;
struct gcs_sessions;

struct gcs_store {
    const struct persist_backend_host *host;
    void *host_store;
    struct gcs_options options; /* constant after open */
    struct http_client *http;
    struct gcs_credentials *credentials;
    struct gcs_sessions *sessions;
    atomic_bool seen; /* the service has answered as itself */
};

/* CANCELLED or TIMEOUT where the call is to stop. */
int32_t gcs_check_call(const struct gcs_store *s,
                       const struct persist_backend_call *call,
                       struct persist_backend_error *err);

/* --------------------------------------------------------------------- ops */

int32_t gcs_put(void *store, const struct persist_backend_call *call,
                const struct persist_backend_put_args *args,
                struct persist_backend_put_result *result,
                struct persist_backend_error *err);
int32_t gcs_upload_begin(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_begin_args *args,
                         struct persist_backend_begin_result *result,
                         struct persist_backend_error *err);
int32_t gcs_upload_part(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_part_args *args,
                        struct persist_backend_part_result *result,
                        struct persist_backend_error *err);
int32_t gcs_upload_commit(void *store, const struct persist_backend_call *call,
                          const struct persist_backend_commit_args *args,
                          struct persist_backend_commit_result *result,
                          struct persist_backend_error *err);
int32_t gcs_upload_abort(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_abort_args *args,
                         struct persist_backend_error *err);
int32_t gcs_read(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_read_args *args,
                 struct persist_backend_read_result *result,
                 struct persist_backend_error *err);
int32_t gcs_head(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_head_args *args,
                 struct persist_backend_head_result *result,
                 struct persist_backend_error *err);
int32_t gcs_delete(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_delete_args *args,
                   struct persist_backend_delete_result *result,
                   struct persist_backend_error *err);
int32_t gcs_list(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_list_args *args,
                 struct persist_backend_list_result *result,
                 struct persist_backend_error *err);
int32_t gcs_probe(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_probe_args *args,
                  struct persist_backend_probe_result *result,
                  struct persist_backend_error *err);

#endif
