/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer of the service means, as a code and a message.
 *
 * The table stands in status.c.  Where a reason is more exact than the HTTP
 * status (a 403 that says rateLimitExceeded) the reason decides.
 */
#ifndef PERSIST_GCS_STATUS_H
#define PERSIST_GCS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#include "support/http.h"

/* What was asked for, as far as an answer depends on it. */
enum gcs_subject {
    GCS_OBJECT, /* 404: that object, or its bucket: the message tells */
    GCS_BUCKET, /* 404: the bucket */
    /* A resumable session: its URI is a secret, and so are the service's words
     * about it and the id of the request, which is part of the URI. */
    GCS_SESSION,
};

struct gcs_asked {
    const char *verb; /* "read": "cannot read NAME: ..." */
    const char *key;  /* "": the bucket itself */
    enum gcs_subject subject;
    bool writes;
    bool if_absent; /* 412 means that the key is taken */
};

/*
 * The code for an answer that is not what was asked for; fills err.  Never OK.
 * client: for retry-after.
 */
int32_t status_refused(const struct http_client *client,
                       const struct gcs_asked *asked,
                       const struct http_response *r,
                       struct persist_backend_error *err);

/* Whether a 400 says that the bytes are not those of the checksum. */
bool status_is_bad_checksum(const struct http_response *r);

/* Whether a 2xx to a request that has no answer of its own is the service's:
 * without a body, or (an emulator's) with JSON.  A page that stands for
 * everything has carried out nothing. */
bool status_is_bare(const struct http_response *r);

/* A page of a web server, proxy or portal: nothing follows from its status for
 * what was asked about. */
bool status_is_foreign(const struct http_response *r);

/* Whether an answer is a page of the web and not one of the service's, which
 * says which request it was. */
bool status_is_page(const struct http_response *r);

/* A page where an answer was wanted.  seen: the store has had answers of the
 * service's (gcs_store.seen), so that it is a bad minute of what stands in
 * front, TRANSIENT; before that, CONFIG, and the endpoint is another's. */
int32_t status_of_page(bool seen);
/* An answer of status 2xx that is not to be understood.  A write's is
 * UNCERTAIN: it may well have been carried out. */
int32_t status_garbled(const struct gcs_asked *asked, bool seen,
                       const struct http_response *r,
                       struct persist_backend_error *err);

#endif
