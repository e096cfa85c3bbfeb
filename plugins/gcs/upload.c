/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ABI's uploads over resumable sessions.
 *
 *   begin    starts a session; nothing is stored
 *   part     sends what of the part the service does not hold yet, up to the
 *            last multiple of 256 KiB where it is the last one (sessions.h)
 *   commit   sends the tail with the object's size and checksum: the object
 *            appears, or not.  An answer that was lost is looked for in the
 *            session, which still tells what it became; where the session is
 *            gone, at the object
 *   abort    cancels the session
 *
 * A receipt says "these bytes, of this session, acknowledged": the commit takes
 * no other, and makes the object's checksum from theirs.
 */
#include <inttypes.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"
#include "gcs/object.h"
#include "gcs/session.h"
#include "support/digest.h"
#include "support/fail.h"

/* ----------------------------------------------------------------- receipts */

#define RECEIPT_LEN 24

static void put_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* offset, length, CRC-32C of the part, CRC-32C of the id. */
static void receipt_make(const struct gcs_store *s, const char *id,
                         uint64_t offset, uint64_t len, uint32_t crc,
                         uint8_t out[RECEIPT_LEN])
{
    put_le(out, offset, 8);
    put_le(out + 8, len, 8);
    put_le(out + 16, crc, 4);
    put_le(out + 20, s->host->crc32c(0, id, strlen(id)), 4);
}

static const struct persist_backend_receipt *
receipt_at(const struct persist_backend_commit_args *args, uint32_t i)
{
    return (const void *)((const char *)args->receipts +
                          (size_t)i * args->receipt_size);
}

/* Whether the parts make one whole; its size and checksum. */
static int32_t receipts_check(const struct gcs_store *s,
                              const struct persist_backend_commit_args *args,
                              uint64_t *out_size, uint32_t *out_crc,
                              struct persist_backend_error *err)
{
    uint8_t want[RECEIPT_LEN];
    uint64_t size = 0;
    uint32_t crc = 0;

    for (uint32_t i = 0; i < args->n_receipts; i++) {
        const struct persist_backend_receipt *r = receipt_at(args, i);

        receipt_make(s, args->upload_id, r->offset, r->len, r->crc32c, want);
        if (r->offset != size || r->receipt_len != RECEIPT_LEN ||
            memcmp(r->receipt, want, RECEIPT_LEN) != 0)
            return fail(err, PERSIST_BACKEND_INVALID,
                        "the parts do not make one object: part %" PRIu32
                        " is not behind the one before it, or of another "
                        "upload",
                        r->number);
        crc = crc32c_combine(crc, r->crc32c, r->len);
        size += r->len;
    }
    if (args->n_receipts == 0 ||
        ((args->present & PERSIST_BACKEND_HAS_SIZE) != 0 && args->size != size))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the parts do not make an object of the size that is to be "
                    "committed");
    if ((args->present & PERSIST_BACKEND_HAS_CRC32C) != 0 &&
        args->crc32c != crc)
        return fail(err, PERSIST_BACKEND_CORRUPT,
                    "the parts do not make the object whose checksum is to be "
                    "committed");
    *out_size = size;
    *out_crc = crc;
    return PERSIST_BACKEND_OK;
}

/* -------------------------------------------------------------------- begin */

int32_t gcs_upload_begin(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_begin_args *args,
                         struct persist_backend_begin_result *result,
                         struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    bool if_absent = (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0;
    struct gcs_session *session;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = session_start(s, call, args->key, args->content_type, if_absent,
                           result->upload_id, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    session = sessions_take(s->sessions, result->upload_id);
    if (session == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    session->resumable.known = true; /* new, so empty */
    session->ours = true;
    sessions_give(s->sessions, session);
    return PERSIST_BACKEND_OK;
}

/* --------------------------------------------------------------------- part */

static int32_t part_check(const struct gcs_store *s,
                          const struct persist_backend_part_args *args,
                          uint32_t *out_crc, struct persist_backend_error *err)
{
    const char *wrong = NULL;

    if (args->offset % GCS_CHUNK_ALIGN != 0 ||
        (args->is_last == 0 && args->len % GCS_CHUNK_ALIGN != 0))
        wrong = "its place or length is no multiple of 256 KiB";
    else if (args->len == 0 && (args->is_last == 0 || args->offset != 0))
        wrong = "it is empty";
    else if (args->len > GCS_OBJECT_MAX ||
             args->offset > GCS_OBJECT_MAX - args->len)
        wrong = "it lies behind the longest object there can be";
    if (wrong != NULL)
        return fail(err, PERSIST_BACKEND_INVALID, "part %" PRIu32 ": %s",
                    args->number, wrong);
    /* The commit states the checksum that the parts make: the service finds a
     * part that is not what it was said to be. */
    *out_crc = (args->present & PERSIST_BACKEND_HAS_CRC32C) != 0
                   ? args->crc32c
                   : s->host->crc32c(0, args->data, args->len);
    return PERSIST_BACKEND_OK;
}

/* The session is an object already.  Where it was before this part was sent, an
 * earlier process has committed, and the part is in it; else the service made
 * an object of a part of one.  What an earlier process has committed is never
 * taken away, also where it is not what this one would have made: somebody may
 * have been told that it is there. */
static int32_t part_of_object(struct gcs_store *s,
                              const struct persist_backend_call *call,
                              const struct persist_backend_part_args *args,
                              const struct gcs_session *session,
                              enum session_end end,
                              const struct gcs_object *object,
                              struct persist_backend_error *err)
{
    uint64_t behind = args->offset + args->len;

    if (end == SESSION_FINISHED &&
        (args->is_last != 0 ? object->size == behind : object->size >= behind))
        return PERSIST_BACKEND_OK;
    if (end == SESSION_FINISHED && !session->ours)
        return fail(err, PERSIST_BACKEND_NOT_FOUND,
                    "the upload is gone: it was committed as another object "
                    "than this part is of");
    (void)object_delete_generation(s, call, args->key, object->generation, NULL,
                                   err);
    return fail(
        err, PERSIST_BACKEND_CORRUPT,
        "cannot send a part of %.100s: the service made an object of an "
        "unfinished upload",
        names_tail(args->key));
}

static int32_t part_send(struct gcs_store *s,
                         const struct persist_backend_call *call,
                         const struct persist_backend_part_args *args,
                         struct gcs_session *session,
                         struct persist_backend_error *err)
{
    uint64_t behind = args->offset + args->len;
    struct session_run run = {
        .key = args->key, .verb = "send a part of", .bytes = args->data};
    enum session_end end = SESSION_HELD;
    struct gcs_object object = {0};
    int32_t rc;

    if (session->aborted)
        return fail(err, PERSIST_BACKEND_NOT_FOUND, "the upload was aborted");
    run.errand.start = args->offset;
    run.errand.end = args->is_last != 0 ? resumable_tail_start(behind) : behind;
    rc = session_go(s, call, session, &run, &end, &object, err);
    /* Nothing has happened that anybody could see. */
    if (rc == PERSIST_BACKEND_UNCERTAIN)
        rc = PERSIST_BACKEND_TRANSIENT;
    if (rc == PERSIST_BACKEND_OK && end != SESSION_HELD)
        rc = part_of_object(s, call, args, session, end, &object, err);
    if (rc != PERSIST_BACKEND_OK || args->is_last == 0)
        return rc;
    rc = session_keep_tail(s->sessions, session,
                           (const uint8_t *)args->data +
                               (run.errand.end - args->offset),
                           run.errand.end, behind - run.errand.end);
    return rc == PERSIST_BACKEND_OK ? rc : fail(err, rc, "out of memory");
}

int32_t gcs_upload_part(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_part_args *args,
                        struct persist_backend_part_result *result,
                        struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    struct gcs_session *session = NULL;
    uint32_t crc = 0;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = session_check_id(s, args->upload_id, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = part_check(s, args, &crc, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    session = sessions_take(s->sessions, args->upload_id);
    if (session == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    rc = part_send(s, call, args, session, err);
    sessions_give(s->sessions, session);
    if (rc == PERSIST_BACKEND_OK) {
        receipt_make(s, args->upload_id, args->offset, args->len, crc,
                     result->receipt);
        result->receipt_len = RECEIPT_LEN;
    }
    return rc;
}

/* ------------------------------------------------------------------- commit */

struct committing {
    struct gcs_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_commit_args *args;
    struct persist_backend_commit_result *result;
    struct persist_backend_error *err;
    uint64_t size;
    uint32_t crc;
    bool if_absent;
};

/* The object, which this session has made, now or before. */
static int32_t commit_object(const struct committing *c,
                             const struct gcs_session *session,
                             enum session_end end,
                             const struct gcs_object *object)
{
    bool differs = object->size != c->size || object->crc32c != c->crc;
    int32_t rc;

    if (end == SESSION_FINISHED && differs && !session->ours)
        return fail(c->err,
                    c->if_absent ? PERSIST_BACKEND_EXISTS
                                 : PERSIST_BACKEND_NOT_FOUND,
                    "the upload is gone: it was committed as another object");
    rc = object_compare(c->s, c->call, c->args->key, object, c->size, c->crc,
                        NULL, c->err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (end == SESSION_FINISHED && c->if_absent)
        return fail(c->err, PERSIST_BACKEND_EXISTS,
                    "%.100s was committed before", names_tail(c->args->key));
    memcpy(c->result->etag, object->generation, sizeof(object->generation));
    return PERSIST_BACKEND_OK;
}

/* The session is gone: expired, cancelled, or done and forgotten. */
static int32_t commit_gone(const struct committing *c,
                           const struct gcs_session *session)
{
    struct gcs_object object = {0};
    int32_t rc = object_look(c->s, c->call, c->args->key, &object, c->err);

    if (rc == PERSIST_BACKEND_OK && c->if_absent)
        return fail(c->err, PERSIST_BACKEND_EXISTS,
                    "%.100s is there already, and the upload is gone",
                    names_tail(c->args->key));
    if (rc == PERSIST_BACKEND_OK && object.has_crc32c &&
        object.size == c->size && object.crc32c == c->crc)
        return commit_object(c, session, SESSION_BECAME, &object);
    if (rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_FOUND)
        return fail(c->err, PERSIST_BACKEND_NOT_FOUND,
                    "cannot commit %.100s: the upload is gone",
                    names_tail(c->args->key));
    return rc;
}

static int32_t commit_session(const struct committing *c,
                              struct gcs_session *session)
{
    uint64_t tail_at = resumable_tail_start(c->size);
    bool at_hand = session->has_tail && session->tail_at == tail_at &&
                   session->tail_len == c->size - tail_at;
    struct session_run run = {.key = c->args->key,
                              .verb = "commit",
                              .errand = {.start = at_hand ? tail_at : c->size,
                                         .end = c->size,
                                         .final = true},
                              .bytes = session->tail,
                              .crc32c = c->crc};
    enum session_end end = SESSION_HELD;
    struct gcs_object object = {0};
    int32_t rc;

    if (session->aborted)
        return fail(c->err, PERSIST_BACKEND_NOT_FOUND,
                    "the upload was aborted");
    /* Whatever is remembered: without the tail, only an object will do. */
    if (!at_hand)
        session->resumable.known = false;
    rc = session_go(c->s, c->call, session, &run, &end, &object, c->err);
    if (rc == PERSIST_BACKEND_OK) {
        session_drop_tail(c->s->sessions, session);
        return commit_object(c, session, end, &object);
    }
    if (rc == PERSIST_BACKEND_NOT_FOUND && !at_hand &&
        session->resumable.known) /* it is there, and lacks the tail */
        return fail(c->err, PERSIST_BACKEND_INVALID,
                    "cannot commit %.100s: another process had the end of its "
                    "last part; send that part again",
                    names_tail(c->args->key));
    return rc == PERSIST_BACKEND_NOT_FOUND ? commit_gone(c, session) : rc;
}

int32_t gcs_upload_commit(void *store, const struct persist_backend_call *call,
                          const struct persist_backend_commit_args *args,
                          struct persist_backend_commit_result *result,
                          struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    struct committing c = {.s = s,
                           .call = call,
                           .args = args,
                           .result = result,
                           .err = err,
                           .if_absent =
                               (args->flags & PERSIST_BACKEND_IF_ABSENT) != 0};
    struct gcs_session *session = NULL;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = session_check_id(s, args->upload_id, err);
    if (rc == PERSIST_BACKEND_OK &&
        session_is_if_absent(args->upload_id) != c.if_absent)
        rc = fail(err, PERSIST_BACKEND_INVALID,
                  "whether an upload may replace is settled when it begins, "
                  "and this one began otherwise");
    if (rc == PERSIST_BACKEND_OK)
        rc = receipts_check(s, args, &c.size, &c.crc, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    session = sessions_take(s->sessions, args->upload_id);
    if (session == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    rc = commit_session(&c, session);
    sessions_give(s->sessions, session);
    return rc;
}

/* -------------------------------------------------------------------- abort */

int32_t gcs_upload_abort(void *store, const struct persist_backend_call *call,
                         const struct persist_backend_abort_args *args,
                         struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    struct gcs_session *session = NULL;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = session_check_id(s, args->upload_id, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    session = sessions_take(s->sessions, args->upload_id);
    if (session == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    session->aborted = true;
    session_drop_tail(s->sessions, session);
    rc = session_cancel(s, call, args->key, args->upload_id, err);
    sessions_give(s->sessions, session);
    return rc;
}
