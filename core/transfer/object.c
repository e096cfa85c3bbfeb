/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned, counted reads of one object.  Retries are backend/'s; what the bytes
 * mean is format/'s.
 */
#include "transfer/object.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/again.h"
#include "util/text.h"

int object_init(struct object *o, const struct download_request *request,
                struct persist_error *err)
{
    *o = (struct object){
        .store = request->store, .op = request->op, .shares = request->shares};
    o->key = text_dup(request->key);
    return o->key ? PERSIST_OK : error_memory(err);
}

void object_finish(struct object *o)
{
    budget_release(backend_store_env(o->store)->budget, o->reserved);
    o->reserved = 0;
    free(o->key);
    o->key = NULL;
}

static int no_budget(struct object *o, int rc, uint64_t bytes,
                     struct persist_error *err)
{
    struct budget *budget = backend_store_env(o->store)->budget;
    char need[16];
    char limit[16];

    text_from_size(bytes, need);
    text_from_size(budget_limit(budget), limit);
    if (rc != PERSIST_E_MEMORY)
        return error_set(err, rc, "%s while waiting for %s of memory",
                         rc == PERSIST_E_TIMEOUT ? "timed out" : "cancelled",
                         need);
    if (bytes <= budget_limit(budget)) {
        error_set(err, rc,
                  "waited %d s for %s of memory to read this snapshot, and a "
                  "reader or a call that waits for it holds what there is of "
                  "%s",
                  OP_PATIENCE_S, need, limit);
        error_hint(err,
                   "raise memory_limit, or read by an instance of its own");
        return rc;
    }
    error_set(err, rc,
              "reading this snapshot takes %s of memory, and the "
              "limit is %s",
              need, limit);
    error_hint(err, "raise memory_limit to %" PRIu64 "M or more",
               (bytes + ((UINT64_C(1) << 20) - 1)) >> 20);
    return rc;
}

bool object_has_room(const struct object *o, uint64_t bytes)
{
    struct budget *b = backend_store_env(o->store)->budget;
    uint64_t others = budget_used(b) - o->reserved;

    return bytes <= budget_limit(b) && others <= budget_limit(b) - bytes;
}

int object_reserve(struct object *o, uint64_t bytes, struct persist_error *err)
{
    const struct backend_env *env = backend_store_env(o->store);

    if (bytes <= o->reserved)
        return PERSIST_OK;
    if (budget_try(env->budget, bytes - o->reserved) == PERSIST_OK) {
        o->reserved = bytes;
        return PERSIST_OK;
    }
    budget_release(env->budget, o->reserved);
    o->reserved = 0;
    int rc = op_reserve(o->op, env->budget, bytes, env->clock);
    if (rc != PERSIST_OK)
        return no_budget(o, rc, bytes, err);
    o->reserved = bytes;
    return PERSIST_OK;
}

/* Notes what the first read saw, and holds every later one to it. */
static int settle(struct object *o, const struct backend_read_answer *answer,
                  struct persist_error *err)
{
    atomic_fetch_add(&o->op->stored_bytes, answer->len);
    if (!o->seen) {
        o->seen = true;
        o->total = answer->total;
        memcpy(o->etag, answer->etag, sizeof(o->etag));
    } else if (answer->total != o->total) {
        error_set(err, PERSIST_E_PRECONDITION,
                  "the object changed while it was read: it had %" PRIu64
                  " bytes and has %" PRIu64,
                  o->total, answer->total);
        error_object(err, "%s", o->key);
        return PERSIST_E_PRECONDITION;
    }
    return PERSIST_OK;
}

/* The answer is as long as it has to be: backend/ has checked it against the
 * request, this checks it against the object. */
static int short_read(const struct object *o, size_t len, size_t want,
                      struct persist_error *err)
{
    if (len == want)
        return PERSIST_OK;
    error_set(err, PERSIST_E_CORRUPT,
              "the store gave %zu bytes of %zu that the object has", len, want);
    error_object(err, "%s", o->key);
    return PERSIST_E_CORRUPT;
}

/* Damage that the backend itself saw is worth one more read. */
static int read_pinned(const struct object *o, struct backend_read *read,
                       struct backend_read_answer *answer,
                       struct persist_error *err)
{
    read->key = o->key;
    read->etag = o->seen ? o->etag : NULL;
    read->again = o->again;
    int rc = backend_read(o->store, o->op, read, answer, err);
    if (!again_is_worth(o, rc))
        return rc;
    again_tell(o, "answer", read->offset);
    read->again = true;
    return backend_read(o->store, o->op, read, answer, err);
}

int object_read_tail(struct object *o, void *out, size_t len, size_t *out_len,
                     struct persist_error *err)
{
    struct backend_read read = {.suffix = true, .buffer = out, .len = len};
    struct backend_read_answer answer;
    int rc = read_pinned(o, &read, &answer, err);

    if (rc == PERSIST_OK)
        rc = settle(o, &answer, err);
    if (rc != PERSIST_OK)
        return rc;
    *out_len = len < o->total ? len : (size_t)o->total;
    return short_read(o, answer.len, *out_len, err);
}

int object_read(struct object *o, uint64_t offset, void *out, size_t len,
                struct persist_error *err)
{
    struct backend_read read = {.offset = offset, .buffer = out, .len = len};
    struct backend_read_answer answer;
    int rc = read_pinned(o, &read, &answer, err);

    if (rc == PERSIST_OK)
        rc = settle(o, &answer, err);
    if (rc != PERSIST_OK)
        return rc;
    uint64_t left = offset < o->total ? o->total - offset : 0;
    return short_read(o, answer.len, len < left ? len : (size_t)left, err);
}

int object_kind(const struct object *o, const void *data, size_t len,
                enum download_kind *out, struct persist_error *err)
{
    struct marker marker;

    if (o->total == CLAIM_LEN) {
        *out = DOWNLOAD_CLAIM;
        return claim_decode(data, len, &marker, err);
    }
    if (o->total == TOMBSTONE_LEN) {
        *out = DOWNLOAD_TOMBSTONE;
        return tombstone_decode(data, len, &marker, err);
    }
    *out = DOWNLOAD_SNAPSHOT;
    return PERSIST_OK;
}

int download_peek(struct backend_store *store, struct persist_op *op,
                  const char *key, enum download_kind *out_kind,
                  struct persist_error *err)
{
    const struct download_request request = {
        .store = store, .op = op, .key = key};
    struct object object;
    uint8_t bytes[CLAIM_LEN];
    size_t len = 0;
    int rc = object_init(&object, &request, err);

    if (rc == PERSIST_OK)
        rc = object_read_tail(&object, bytes, sizeof(bytes), &len, err);
    if (rc == PERSIST_OK)
        rc = object_kind(&object, bytes, len, out_kind, err);
    if (rc == PERSIST_E_CORRUPT)
        error_object(err, "%s", key);
    object_finish(&object);
    return rc;
}
