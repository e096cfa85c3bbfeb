/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process knows of resumable sessions, by upload id.
 *
 * A session belongs to the service, and its id is all that is needed to go on
 * with it.  Kept here is what spares questions, and one thing that nobody else
 * has: the tail.
 *
 *      object   0 ──────────────────────────────── tail_at ──── size
 *               chunks of parts, multiples of      1 to 256 KiB
 *               256 KiB, sent as they come         kept here until the commit
 *
 * The session becomes a visible object with its last byte, and only the commit
 * may do that; the service takes no chunk that is neither a multiple of 256 KiB
 * nor the last.  So the rest of the last part stays in memory (host->alloc)
 * until the commit sends it, with the checksum of the whole.  In another
 * process the tail comes with its part: a host that goes on with an upload
 * there sends the last part again, of which the service then gets what it does
 * not hold.
 *
 * Entries without a tail may be forgotten at any time: then the service is
 * asked.
 */
#ifndef PERSIST_GCS_SESSIONS_H
#define PERSIST_GCS_SESSIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#include "gcs/resumable.h"

struct gcs_sessions;

struct gcs_session {
    struct gcs_session *next; /* the table's lock */
    unsigned refs;            /* the table's lock */
    uint64_t used;            /* the table's lock */
    char *id;
    pthread_mutex_t lock; /* held while the session is used */
    struct resumable resumable;
    bool aborted;
    /* Begun, or its end sent, in this process: an object that it has become and
     * that is not right is nobody else's. */
    bool ours;
    bool has_tail; /* an empty object's tail has no bytes */
    uint8_t *tail;
    uint64_t tail_at;
    uint64_t tail_len;
};

/* MEMORY. */
int32_t sessions_create(const struct persist_backend_host *host,
                        void *host_store, struct gcs_sessions **out);
/* No session may be in use. */
void sessions_destroy(struct gcs_sessions *t);

/* The session of that id, locked; one that is not known is new, and then
 * nothing is known of it.  NULL: no memory. */
struct gcs_session *sessions_take(struct gcs_sessions *t, const char *id);
void sessions_give(struct gcs_sessions *t, struct gcs_session *session);

/* Keeps `len` bytes that start at `at` in the object. */
int32_t session_keep_tail(struct gcs_sessions *t, struct gcs_session *session,
                          const void *bytes, uint64_t at, uint64_t len);
void session_drop_tail(struct gcs_sessions *t, struct gcs_session *session);

#endif
