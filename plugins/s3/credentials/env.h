/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world as the credential chain sees it: environment, files, programs and
 * the network, behind five functions.  A provider makes itself the process's;
 * tests bring a table of their own, so that nothing here needs setenv, a home
 * directory or 169.254.169.254.
 */
#ifndef PERSIST_S3_CREDENTIALS_ENV_H
#define PERSIST_S3_CREDENTIALS_ENV_H

#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/http.h"
#include "support/secret.h"
#include "support/smallfile.h"

struct s3_credentials_env {
    void *ctx;
    /* The value of a variable, or NULL; valid until the next call. */
    const char *(*get)(void *ctx, const char *name);
    /* As smallfile_read (support/smallfile.h), whoever the file belongs to. */
    int32_t (*read)(void *ctx, const char *path, size_t max, struct secret *out,
                    struct smallfile_info *out_info,
                    struct persist_backend_error *err);
    /* Replaces a file of ours atomically, mode 0600. IO. */
    int32_t (*write)(void *ctx, const char *path, const void *bytes, size_t len,
                     struct persist_backend_error *err);
    /* As command_run (support/command.h), without further environment. */
    int32_t (*run)(void *ctx, const struct persist_backend_call *call,
                   char *const argv[], uint32_t timeout_ms, size_t max,
                   struct secret *out, struct persist_backend_error *err);
    /* As http_perform (support/http.h). */
    int32_t (*fetch)(void *ctx, const struct persist_backend_call *call,
                     const struct http_request *request,
                     struct http_response *response,
                     struct persist_backend_error *err);
};

/*
 * The process's own.  ca_bundle and proxy may be NULL.  A client is made, no
 * request.  CONFIG, MEMORY.
 */
int32_t s3_credentials_env_create(const struct persist_backend_host *host,
                                  void *host_store, const char *ca_bundle,
                                  const char *proxy,
                                  struct s3_credentials_env *out,
                                  struct persist_backend_error *err);
/* Of what create filled; a zeroed one is fine. */
void s3_credentials_env_finish(struct s3_credentials_env *env);

#endif
