/* SPDX-License-Identifier: Apache-2.0 */
/* One object's resource: looked at, compared, deleted. */
#ifndef PERSIST_GCS_OBJECT_H
#define PERSIST_GCS_OBJECT_H

#include "gcs/gcs.h"
#include "gcs/replies.h"

/* OK, NOT_FOUND, or why it is not known. */
int32_t object_look(struct gcs_store *s,
                    const struct persist_backend_call *call, const char *key,
                    struct gcs_object *out, struct persist_backend_error *err);

/* Deletes that generation and no other.  OK also where it is gone.
 * *out_was_there may be NULL.  TRANSIENT where another one has taken its place.
 */
int32_t object_delete_generation(struct gcs_store *s,
                                 const struct persist_backend_call *call,
                                 const char *key, const char *generation,
                                 bool *out_was_there,
                                 struct persist_backend_error *err);

/*
 * What a new object is, by the service's word, against what was sent: OK, or
 * CORRUPT once it has been deleted again (said in the message where that did
 * not work). *out_deleted may be NULL.
 */
int32_t object_compare(struct gcs_store *s,
                       const struct persist_backend_call *call, const char *key,
                       const struct gcs_object *object, uint64_t size,
                       uint32_t crc32c, bool *out_deleted,
                       struct persist_backend_error *err);

#endif
