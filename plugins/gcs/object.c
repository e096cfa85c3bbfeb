/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head and delete.  A delete names the generation it saw: an unconditional one
 * whose reply was lost could, repeated, take away what somebody has written
 * since.
 */
#include "gcs/object.h"

#include <stdio.h>
#include <string.h>

#include "gcs/names.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/fail.h"

int32_t object_look(struct gcs_store *s,
                    const struct persist_backend_call *call, const char *key,
                    struct gcs_object *out, struct persist_backend_error *err)
{
    const struct gcs_asked asked = {.verb = "look at", .key = key};
    struct gcs_request q = {.method = "GET",
                            .query = "fields=" GCS_OBJECT_FIELDS};
    struct http_response r = {0};
    struct text path = {0};
    int32_t rc;

    names_object_path(&s->options, key, &path);
    q.path = text_str(&path);
    rc = path.failed ? fail(err, PERSIST_BACKEND_MEMORY, "out of memory")
                     : request_send(s, call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status != 200)
        rc = status_refused(s->http, &asked, &r, err);
    else if (rc == PERSIST_BACKEND_OK &&
             !reply_object(r.body.data, r.body.len, out))
        rc = status_garbled(&asked, s->seen, &r, err);
    http_response_finish(&r);
    text_finish(&path);
    return rc;
}

int32_t object_delete_generation(struct gcs_store *s,
                                 const struct persist_backend_call *call,
                                 const char *key, const char *generation,
                                 bool *out_was_there,
                                 struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = "delete", .key = key, .writes = true};
    struct gcs_request q = {.method = "DELETE", .writes = true};
    struct http_response r = {0};
    struct text path = {0}, query = {0};
    int32_t rc;

    names_object_path(&s->options, key, &path);
    text_addf(&query, "ifGenerationMatch=%s", generation);
    q.path = text_str(&path);
    q.query = text_str(&query);
    rc = path.failed || query.failed
             ? fail(err, PERSIST_BACKEND_MEMORY, "out of memory")
             : request_send(s, call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status != 204 && r.status != 200)
        rc = status_refused(s->http, &asked, &r, err);
    else if (rc == PERSIST_BACKEND_OK && !status_is_bare(&r))
        rc = status_garbled(&asked, s->seen, &r, err);
    if (out_was_there != NULL)
        *out_was_there = rc == PERSIST_BACKEND_OK;
    if (rc == PERSIST_BACKEND_NOT_FOUND)
        rc = PERSIST_BACKEND_OK;
    else if (rc == PERSIST_BACKEND_PRECONDITION)
        rc = fail(err, PERSIST_BACKEND_TRANSIENT,
                  "cannot delete %.100s: it was replaced meanwhile",
                  names_tail(key));
    http_response_finish(&r);
    text_finish(&path);
    text_finish(&query);
    return rc;
}

int32_t object_compare(struct gcs_store *s,
                       const struct persist_backend_call *call, const char *key,
                       const struct gcs_object *object, uint64_t size,
                       uint32_t crc32c, bool *out_deleted,
                       struct persist_backend_error *err)
{
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    char line[256];
    bool deleted;

    if (object->size == size && object->crc32c == crc32c)
        return PERSIST_BACKEND_OK;
    deleted = object_delete_generation(s, call, key, object->generation, NULL,
                                       &ignored) == PERSIST_BACKEND_OK;
    if (out_deleted != NULL)
        *out_deleted = deleted;
    (void)snprintf(line, sizeof(line),
                   "gcs: %.100s arrived with another %s than was sent: %s",
                   names_tail(key),
                   object->size != size ? "length" : "checksum",
                   deleted ? "deleted again" : "it could not be deleted");
    s->host->log(s->host_store, PERSIST_BACKEND_LOG_WARN, line);
    return fail(err, PERSIST_BACKEND_CORRUPT,
                "what the service stored as %.100s is not what was sent%s",
                names_tail(key),
                deleted ? "" : ", and it could not be deleted again");
}

/* --------------------------------------------------------------------- ops */

int32_t gcs_head(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_head_args *args,
                 struct persist_backend_head_result *result,
                 struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    struct gcs_object object = {0};
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = object_look(s, call, args->key, &object, err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    result->present = object.has_updated ? PERSIST_BACKEND_HAS_MODIFIED : 0;
    result->size = object.size;
    result->modified_us = object.updated_us;
    memcpy(result->etag, object.generation, sizeof(object.generation));
    return PERSIST_BACKEND_OK;
}

int32_t gcs_delete(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_delete_args *args,
                   struct persist_backend_delete_result *result,
                   struct persist_backend_error *err)
{
    struct gcs_store *s = store;
    struct gcs_object object = {0};
    bool was_there = false;
    int32_t rc = names_check_key(&s->options, args->key, err);

    if (rc == PERSIST_BACKEND_OK)
        rc = object_look(s, call, args->key, &object, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = object_delete_generation(s, call, args->key, object.generation,
                                      &was_there, err);
    else if (rc == PERSIST_BACKEND_NOT_FOUND)
        rc = PERSIST_BACKEND_OK;
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    /* An earlier attempt may have been the one that deleted it. */
    result->was = was_there           ? PERSIST_BACKEND_WAS_THERE
                  : call->attempt > 1 ? PERSIST_BACKEND_WAS_UNKNOWN
                                      : PERSIST_BACKEND_WAS_ABSENT;
    return PERSIST_BACKEND_OK;
}
