/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the resumable protocol. */
#include "gcs/session.h"

#include <stdio.h>
#include <string.h>

#include "gcs/names.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/encode.h"
#include "support/fail.h"

/* A service that acknowledges in crumbs is given up for now. */
#define ROUNDS_MAX 64

static const char *uri_of(const char *id)
{
    return id + 2;
}

bool session_is_if_absent(const char *id)
{
    return id[0] == 'a';
}

/* ------------------------------------------------------------------- start */

/* A URI of the endpoint: bytes and the right to write them go nowhere else. */
static bool uri_ok(const struct gcs_store *s, const char *uri)
{
    const char *origin = s->options.origin;
    size_t host_len = strlen(origin) - strlen(s->options.endpoint.path);

    if (strncmp(uri, origin, host_len) != 0 || uri[host_len] != '/')
        return false;
    for (const char *at = uri; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f ||
            *at == '"' || *at == '#')
            return false;
    return true;
}

static int32_t take_uri(const struct gcs_store *s, const char *uri,
                        bool if_absent,
                        char out_id[PERSIST_BACKEND_UPLOAD_ID_MAX],
                        struct persist_backend_error *err)
{
    if (uri == NULL || !uri_ok(s, uri) ||
        strlen(uri) + 3 > PERSIST_BACKEND_UPLOAD_ID_MAX)
        return fail(err, PERSIST_BACKEND_IO,
                    "cannot begin an upload: the service names no session of "
                    "its own");
    (void)snprintf(out_id, PERSIST_BACKEND_UPLOAD_ID_MAX, "%c:%s",
                   if_absent ? 'a' : 'r', uri);
    return PERSIST_BACKEND_OK;
}

/* What a session is started with. */
struct start {
    struct text path;
    struct text query;
    struct text metadata;
    struct text type;
};

static int32_t make_start(const struct gcs_store *s, const char *key,
                          const char *content_type, bool if_absent,
                          struct start *t, struct persist_backend_error *err)
{
    struct text name = {0};
    int32_t rc;

    names_upload_path(&s->options, &t->path);
    text_add(&name, s->options.prefix);
    text_add(&name, key);
    text_add(&t->query, "uploadType=resumable&fields=" GCS_OBJECT_FIELDS);
    form_add(&t->query, "name", text_str(&name));
    if (if_absent)
        text_add(&t->query, "&ifGenerationMatch=0");
    if (s->options.kms_key_name != NULL)
        form_add(&t->query, "kmsKeyName", s->options.kms_key_name);
    text_addf(&t->type, "X-Upload-Content-Type: %s", content_type);
    rc = metadata_write(&s->options, key, content_type, NULL,
                        s->host->wall_us(), &t->metadata);
    if (rc == PERSIST_BACKEND_INVALID)
        rc = fail(err, rc, "the object's name or type is not UTF-8");
    else if (rc != PERSIST_BACKEND_OK || name.failed || t->path.failed ||
             t->query.failed || t->type.failed)
        rc = fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    text_finish(&name);
    return rc;
}

int32_t session_start(struct gcs_store *s,
                      const struct persist_backend_call *call, const char *key,
                      const char *content_type, bool if_absent,
                      char out_id[PERSIST_BACKEND_UPLOAD_ID_MAX],
                      struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = "begin the upload of", .key = key, .subject = GCS_BUCKET};
    struct start t = {0};
    struct http_response r = {0};
    int32_t rc = make_start(s, key, content_type, if_absent, &t, err);
    /* Not "writes": one that was started and not heard of is harmless, and the
     * service forgets it in a week. */
    const struct gcs_request q = {
        .method = "POST",
        .path = text_str(&t.path),
        .query = text_str(&t.query),
        .headers = {"Content-Type: application/json; charset=UTF-8",
                    text_str(&t.type)},
        .body = {{t.metadata.data, t.metadata.len}}};

    if (rc == PERSIST_BACKEND_OK)
        rc = request_send(s, call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status != 200 && r.status != 201)
        rc = status_refused(s->http, &asked, &r, err);
    else if (rc == PERSIST_BACKEND_OK)
        rc = take_uri(s, http_header(&r, "location"), if_absent, out_id, err);
    err->request_id[0] = '\0'; /* of a session: part of its URI */
    http_response_finish(&r);
    text_finish(&t.path);
    text_finish(&t.query);
    text_finish(&t.metadata);
    text_finish(&t.type);
    return rc;
}

int32_t session_check_id(const struct gcs_store *s, const char *id,
                         struct persist_backend_error *err)
{
    if ((id[0] == 'a' || id[0] == 'r') && id[1] == ':' && uri_ok(s, uri_of(id)))
        return PERSIST_BACKEND_OK;
    return fail(err, PERSIST_BACKEND_INVALID,
                "not the id of an upload to this store");
}

/* ---------------------------------------------------------------- requests */

static int32_t perform(struct gcs_store *s,
                       const struct persist_backend_call *call,
                       const struct gcs_session *session,
                       const struct session_run *run, enum resumable_step step,
                       struct http_response *r,
                       struct persist_backend_error *err)
{
    const struct resumable *state = &session->resumable;
    char range[RESUMABLE_RANGE_MAX + 16] = "Content-Range: ";
    char hash[64] = "X-Goog-Hash: crc32c=";
    struct gcs_request q = {.method = "PUT", .headers = {range}};

    resumable_content_range(state, &run->errand, range + strlen(range));
    if (step == RESUMABLE_SEND) {
        q.writes = true;
        if (state->held < run->errand.end)
            q.body[0] = (struct http_piece){
                run->bytes + (state->held - run->errand.start),
                run->errand.end - state->held};
        if (run->errand.final) {
            crc_encode(run->crc32c, hash + strlen(hash));
            q.headers[1] = hash;
            q.may_think = true;
        }
    }
    return request_send_session(s, call, uri_of(session->id), &q, r, err);
}

static int32_t broken(const struct session_run *run, int32_t code,
                      const char *why, struct persist_backend_error *err)
{
    return fail(err, code, "cannot %s %.100s: %s", run->verb,
                names_tail(run->key), why);
}

/* Steps that end an errand without its success. */
static int32_t give_up(const struct gcs_store *s,
                       const struct gcs_session *session,
                       const struct session_run *run, enum resumable_step step,
                       const struct http_response *r,
                       struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = run->verb,
        .key = run->key,
        .subject = GCS_SESSION,
        .writes = run->errand.final,
        .if_absent = run->errand.final && session_is_if_absent(session->id)};

    switch (step) {
    case RESUMABLE_STALLED:
        return broken(run, PERSIST_BACKEND_TRANSIENT,
                      "the service acknowledged nothing of what was sent", err);
    case RESUMABLE_LOST:
        return broken(run, PERSIST_BACKEND_NOT_FOUND,
                      "the upload is gone: the service does not hold what it "
                      "had acknowledged",
                      err);
    case RESUMABLE_GONE:
        return broken(run, PERSIST_BACKEND_NOT_FOUND,
                      "the upload is gone: it was cancelled, or has expired",
                      err);
    case RESUMABLE_EXCESS:
        return broken(run, PERSIST_BACKEND_CORRUPT,
                      "the service acknowledges bytes that were never sent",
                      err);
    case RESUMABLE_GARBLED:
        return broken(run, PERSIST_BACKEND_CORRUPT,
                      "the service acknowledges a range that is none", err);
    default:
        return status_refused(s->http, &asked, r, err);
    }
}

/* A session that has become an object tells which. */
static int32_t take_object(const struct gcs_store *s,
                           const struct session_run *run,
                           const struct http_response *r,
                           struct gcs_object *out,
                           struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = run->verb, .key = run->key, .writes = run->errand.final};

    if (reply_object(r->body.data, r->body.len, out) && out->has_crc32c)
        return PERSIST_BACKEND_OK;
    return status_garbled(&asked, s->seen, r, err);
}

/* One request and what follows from its answer.  *out_done: the errand is. */
static int32_t go_round(struct gcs_store *s,
                        const struct persist_backend_call *call,
                        struct gcs_session *session,
                        const struct session_run *run,
                        enum resumable_step *step, enum session_end *out_end,
                        struct gcs_object *out_object, bool *out_done,
                        struct persist_backend_error *err)
{
    bool asked = *step == RESUMABLE_ASK, foreign;
    struct http_response r = {0};
    int32_t rc;

    session->ours = session->ours || (!asked && run->errand.final);
    rc = perform(s, call, session, run, *step, &r, err);
    foreign = rc == PERSIST_BACKEND_OK && status_is_foreign(&r);
    if (rc != PERSIST_BACKEND_OK || foreign)
        resumable_no_answer(&session->resumable);
    if (foreign)
        *step = RESUMABLE_REFUSED;
    else if (rc == PERSIST_BACKEND_OK)
        *step = resumable_answer(&session->resumable, &run->errand, r.status,
                                 http_header(&r, "range"));
    *out_done = rc != PERSIST_BACKEND_OK ||
                (*step != RESUMABLE_ASK && *step != RESUMABLE_SEND);
    if (rc == PERSIST_BACKEND_OK && *step == RESUMABLE_OBJECT) {
        *out_end = asked ? SESSION_FINISHED : SESSION_BECAME;
        rc = take_object(s, run, &r, out_object, err);
    } else if (rc == PERSIST_BACKEND_OK && *out_done &&
               *step != RESUMABLE_HELD) {
        rc = give_up(s, session, run, *step, &r, err);
    }
    http_response_finish(&r);
    return rc;
}

int32_t session_go(struct gcs_store *s, const struct persist_backend_call *call,
                   struct gcs_session *session, const struct session_run *run,
                   enum session_end *out_end, struct gcs_object *out_object,
                   struct persist_backend_error *err)
{
    enum resumable_step step =
        resumable_begin(&session->resumable, &run->errand);
    const struct http_response none = {0};
    bool done = false;
    int32_t rc = PERSIST_BACKEND_OK;

    *out_end = SESSION_HELD;
    if (step == RESUMABLE_HELD)
        return PERSIST_BACKEND_OK;
    if (step != RESUMABLE_ASK && step != RESUMABLE_SEND)
        return give_up(s, session, run, step, &none, err);
    for (unsigned round = 0; !done; round++) {
        if (round == ROUNDS_MAX)
            return broken(run, PERSIST_BACKEND_TRANSIENT,
                          "the service acknowledges too little at a time", err);
        rc = go_round(s, call, session, run, &step, out_end, out_object, &done,
                      err);
    }
    return rc;
}

/* ------------------------------------------------------------------- cancel */

/* 499: cancelled.  Other 4xx of the service: there is nothing (any more) to
 * cancel. */
static bool was_cancelled(const struct http_response *r)
{
    static const int32_t refusals[] = {401, 403, 408, 429};

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (r->status == refusals[i])
            return false;
    return (r->status >= 200 && r->status <= 299) ||
           (r->status >= 400 && r->status <= 499 && !status_is_foreign(r));
}

int32_t session_cancel(struct gcs_store *s,
                       const struct persist_backend_call *call, const char *key,
                       const char *id, struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = "cancel the upload of", .key = key, .subject = GCS_SESSION};
    const struct gcs_request q = {
        .method = "DELETE", .headers = {"Content-Length: 0"}, .writes = false};
    struct http_response r = {0};
    int32_t rc = request_send_session(s, call, uri_of(id), &q, &r, err);

    if (rc == PERSIST_BACKEND_OK && r.status >= 200 && r.status <= 299 &&
        !status_is_bare(&r))
        rc = status_garbled(&asked, s->seen, &r, err);
    else if (rc == PERSIST_BACKEND_OK && !was_cancelled(&r))
        rc = status_refused(s->http, &asked, &r, err);
    http_response_finish(&r);
    return rc;
}
