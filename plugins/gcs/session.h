/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resumable session as the service has it: started, written to, asked,
 * cancelled.  The protocol is resumable.h's; here are its requests.
 *
 * An upload id is a letter, a colon and the session's URI: "a:" where the
 * object is to be created only if absent, "r:" where it replaces.  The service
 * fixes that when a session starts.  The URI is a secret: whoever has it can
 * write to the session.  It appears in no message and no log.
 */
#ifndef PERSIST_GCS_SESSION_H
#define PERSIST_GCS_SESSION_H

#include "gcs/gcs.h"
#include "gcs/replies.h"
#include "gcs/sessions.h"

/* Starts one and writes its id.  PRECONDITION where the service looked at once
 * and the object is there already. */
int32_t session_start(struct gcs_store *s,
                      const struct persist_backend_call *call, const char *key,
                      const char *content_type, bool if_absent,
                      char out_id[PERSIST_BACKEND_UPLOAD_ID_MAX],
                      struct persist_backend_error *err);

/* INVALID where it is no id of a session at this store's endpoint. */
int32_t session_check_id(const struct gcs_store *s, const char *id,
                         struct persist_backend_error *err);
bool session_is_if_absent(const char *id);

struct session_run {
    const char *key;
    const char *verb;
    struct resumable_errand errand;
    const uint8_t *bytes; /* [errand.start, errand.end) */
    uint32_t crc32c;      /* final: of the whole object */
};

enum session_end {
    SESSION_HELD,     /* everything up to the errand's end is held */
    SESSION_BECAME,   /* the bytes sent made the object */
    SESSION_FINISHED, /* it had become the object before */
};

/*
 * Runs one errand: asks where nothing is known, sends what is missing, goes on
 * as long as the service acknowledges more.  OK with *out_end and, but for
 * SESSION_HELD, *out_object.
 *
 * NOT_FOUND: the session is gone, or has lost what it had acknowledged.
 * TRANSIENT, UNCERTAIN, ...: repeated, it asks before it sends.  CORRUPT: the
 * service acknowledges what was never sent.
 */
int32_t session_go(struct gcs_store *s, const struct persist_backend_call *call,
                   struct gcs_session *session, const struct session_run *run,
                   enum session_end *out_end, struct gcs_object *out_object,
                   struct persist_backend_error *err);

/* OK also where there is nothing to cancel. */
int32_t session_cancel(struct gcs_store *s,
                       const struct persist_backend_call *call, const char *key,
                       const char *id, struct persist_backend_error *err);

#endif
