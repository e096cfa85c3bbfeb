/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the service, with what every request has: the token, the
 * project that pays, whole URL.
 *
 * A token that the service refuses (401) is got anew once, and the request sent
 * once more: a token may be revoked at any time, and the host does not repeat
 * AUTH.  The first request was not carried out, so that this is no second try.
 */
#ifndef PERSIST_GCS_REQUEST_H
#define PERSIST_GCS_REQUEST_H

#include "gcs/gcs.h"
#include "support/http.h"
#include "support/text.h"

#define GCS_REQUEST_HEADERS 6

struct gcs_request {
    const char *method;
    const char *path;  /* "/storage/v1/b/...", encoded */
    const char *query; /* "a=b&c=d", encoded; NULL: none */
    const char *headers[GCS_REQUEST_HEADERS]; /* whole lines; NULL: no more */
    struct http_piece body[HTTP_BODY_PIECES];
    bool writes;
    bool fresh;     /* on a new connection */
    bool may_think; /* in silence, ten minutes: a whole object is being made */
    void *into;
    uint64_t into_cap;
    size_t body_max; /* of a 2xx body; 0: HTTP_ERROR_BODY_MAX */
};

/* OK with any HTTP status; else as http_perform, or what getting a token
 * answered.  The response is to be finished in any case. */
int32_t request_send(struct gcs_store *s,
                     const struct persist_backend_call *call,
                     const struct gcs_request *q, struct http_response *r,
                     struct persist_backend_error *err);

/* A request to a session's URI, which is its own authority: no token goes
 * along, since one that expired would be refused although it is not needed. */
int32_t request_send_session(struct gcs_store *s,
                             const struct persist_backend_call *call,
                             const char *uri, const struct gcs_request *q,
                             struct http_response *r,
                             struct persist_backend_error *err);

#endif
