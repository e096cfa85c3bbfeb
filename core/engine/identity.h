/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose is an object: what lies at a key and the snapshot_id it carries, by
 * one small read (two where a header is long).
 */
#ifndef PERSIST_ENGINE_IDENTITY_H
#define PERSIST_ENGINE_IDENTITY_H

#include "engine/instance.h"
#include "util/text.h"

enum identity_kind {
    IDENTITY_NONE, /* nothing lies there */
    IDENTITY_SNAPSHOT,
    IDENTITY_CLAIM,
    IDENTITY_TOMBSTONE,
    IDENTITY_DAMAGED /* an object whose beginning is none of these */
};

struct identity {
    enum identity_kind kind;
    char id[TEXT_UUID_LEN]; /* "" for NONE and DAMAGED */
};

/* past_cancel: see backend_put.  An object that cannot be understood is not an
 * error here but DAMAGED, and err then says why. */
int identity_read(struct persist_store *store, struct persist_op *op,
                  const char *key, bool past_cancel, struct identity *out,
                  struct persist_error *err);

#endif
