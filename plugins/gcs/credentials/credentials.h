/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are: the token that goes with a request.
 *
 * Where credentials come from, first that is there (object-stores.md, 4.1):
 *
 *   1. anonymous, or an emulator: none, and no token is sent
 *   2. the option service_account_json, _file or _command
 *   3. the file that GOOGLE_APPLICATION_CREDENTIALS names
 *   4. gcloud's file: $CLOUDSDK_CONFIG or ~/.config/gcloud, and in it
 *      application_default_credentials.json
 *   5. the metadata server of a machine in the Cloud, unless NO_GCE_CHECK=true
 *
 * What the JSON of 2 to 4 may be, by its "type":
 *
 *   service_account               a token made and signed here (RS256), no
 *                                 request; where the file names another
 *                                 token_uri than Google's, an exchange there
 *   authorized_user               refresh token for access token
 *   external_account              a subject token (a file, or a URL), exchanged
 *                                 at a token service; then, if it says so, for
 *                                 a service account's.  Programs and AWS are
 *                                 not supported
 *   impersonated_service_account  source_credentials, then a service account's
 *
 * Nothing is read or asked for before the first request needs it; a file is
 * read anew whenever a token is.  One token is shared by all callers (support/
 * refresh.h): renewed from 3 min 45 s before it expires, used until it has.
 *
 * Scope: devstorage.read_write, for what a store can be told to do is not known
 * before; the roles of the account decide (docs/security.md).  Credentials that
 * are used to get others ask for cloud-platform, as the services want it.
 *
 * Such JSON says where secrets are sent.  The URLs in it must be https, or http
 * to this machine; a file that is not ours or root's, or that others may write
 * to, is refused, and one with a secret in it also where others may read it.
 */
#ifndef PERSIST_GCS_CREDENTIALS_H
#define PERSIST_GCS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#include "gcs/options.h"
#include "support/http.h"
#include "support/text.h"

struct gcs_credentials;

/* What a provider is made of; options and http outlive it, env must not change
 * what it answers.  */
struct gcs_credentials_config {
    const struct persist_backend_host *host;
    void *host_store;
    const struct gcs_options *options;
    struct http_client *http;
    gcs_getenv_fn env;
};

/* MEMORY; reads nothing. */
int32_t gcs_credentials_create(const struct gcs_credentials_config *config,
                               struct gcs_credentials **out,
                               struct persist_backend_error *err);
void gcs_credentials_destroy(struct gcs_credentials *c);

/*
 * The header lines of a request: "Authorization: Bearer ..." and, where there
 * is a quota project, "x-goog-user-project: ..."; both stay empty for anonymous
 * requests.  out_token must be a secret text.  *out_generation: of the token, 0
 * where there is none.
 *
 * CONFIG: the credentials are wrong or not to be found; AUTH: they were
 * refused; else as http_perform.
 */
int32_t gcs_credentials_header(struct gcs_credentials *c,
                               const struct persist_backend_call *call,
                               struct text *out_token, struct text *out_project,
                               uint64_t *out_generation,
                               struct persist_backend_error *err);
/* The service refused the token of that generation. */
void gcs_credentials_refused(struct gcs_credentials *c, uint64_t generation);

/* For a person: where they come from and whose they are, without a secret.
 * out_identity is "" where it is not known before a token is got. */
int32_t gcs_credentials_describe(struct gcs_credentials *c,
                                 const struct persist_backend_call *call,
                                 struct text *out_source,
                                 struct text *out_identity,
                                 struct persist_backend_error *err);

#endif
