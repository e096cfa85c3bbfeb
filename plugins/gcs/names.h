/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, the objects they name, and the paths of requests.
 *
 * An object's name is the store's prefix and the key; in a path it is one
 * segment, so that its slashes are encoded.
 */
#ifndef PERSIST_GCS_NAMES_H
#define PERSIST_GCS_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <persist/backend.h>

#include "gcs/options.h"
#include "support/text.h"

/* INVALID where it is no key (backend.h, "Keys") or longer than the service
 * takes behind the prefix. */
int32_t names_check_key(const struct gcs_options *o, const char *key,
                        struct persist_backend_error *err);
/* Whether a name found behind the prefix can be a key; a folder ends in "/". */
bool names_is_key(const char *name, bool folder);

/* A bucket's name: 3 to 222 of [a-z0-9._-], first and last a letter or digit
 * (cloud.google.com/storage/docs/buckets). */
bool names_bucket_ok(const char *bucket);

/* "/storage/v1/b/BUCKET", and "/o" behind it, and "/o/NAME". */
void names_bucket_path(const struct gcs_options *o, struct text *out);
void names_list_path(const struct gcs_options *o, struct text *out);
void names_object_path(const struct gcs_options *o, const char *key,
                       struct text *out);
void names_upload_path(const struct gcs_options *o, struct text *out);

/* What follows the last slash: all that a message may tell of a key. */
const char *names_tail(const char *key);

#endif
