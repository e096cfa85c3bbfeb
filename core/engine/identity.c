/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads as much of an object as names its snapshot.  Checks nothing else of
 * it: a reader does.
 */
#include "engine/identity.h"

#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"
#include "format/snapshot.h"
#include "util/error.h"

#define FIRST_READ 4096 /* nearly every header */

struct beginning {
    struct persist_store *store;
    struct persist_op *op;
    const char *key;
    bool past_cancel;
    uint8_t *data;
    size_t len;
    uint64_t total;
};

static int read_beginning(struct beginning *b, size_t want,
                          struct persist_error *err)
{
    struct backend_read read = {
        .key = b->key, .len = want, .past_cancel = b->past_cancel};
    struct backend_read_answer answer;
    int rc;

    free(b->data);
    b->data = malloc(want);
    if (!b->data)
        return error_memory(err);
    read.buffer = b->data;
    rc = backend_read(b->store->backend, b->op, &read, &answer, err);
    if (rc)
        return rc;
    b->len = answer.len;
    b->total = answer.total;
    return PERSIST_OK;
}

static int take_id(struct identity *out, enum identity_kind kind,
                   const char *id)
{
    out->kind = kind;
    memcpy(out->id, id, strnlen(id, sizeof out->id - 1));
    return PERSIST_OK;
}

static int parse_marker(const struct beginning *b, struct identity *out,
                        struct persist_error *err)
{
    bool is_claim = b->total == CLAIM_LEN;
    struct marker marker;
    int rc;

    rc = is_claim ? claim_decode(b->data, b->len, &marker, err)
                  : tombstone_decode(b->data, b->len, &marker, err);
    if (rc)
        return rc;
    return take_id(out, is_claim ? IDENTITY_CLAIM : IDENTITY_TOMBSTONE,
                   marker.snapshot_id);
}

static int parse_header(struct beginning *b, struct identity *out,
                        struct persist_error *err)
{
    struct persist_metadata *m = NULL;
    uint64_t need = 0;
    enum codec codec;
    size_t len;
    int rc;

    rc = snapshot_header_parse(b->data, b->len, &need, &codec, &len, &m, err);
    if (rc == 1 && need <= b->total && need > b->len &&
        need <= SNAPSHOT_HEADER_MAX + 64) {
        rc = read_beginning(b, (size_t)need, err);
        if (!rc)
            rc = snapshot_header_parse(b->data, b->len, &need, &codec, &len, &m,
                                       err);
    }
    if (rc == 1)
        rc = error_set(err, PERSIST_E_CORRUPT, "the object ends in its header");
    if (!rc)
        rc = take_id(out, IDENTITY_SNAPSHOT, m->snapshot_id);
    persist_metadata_free(m);
    return rc;
}

int identity_read(struct persist_store *store, struct persist_op *op,
                  const char *key, bool past_cancel, struct identity *out,
                  struct persist_error *err)
{
    struct beginning b = {store, op, key, past_cancel, NULL, 0, 0};
    int rc;

    memset(out, 0, sizeof *out);
    rc = read_beginning(&b, FIRST_READ, err);
    if (rc == PERSIST_E_NOT_FOUND) {
        free(b.data);
        return PERSIST_OK;
    }
    if (rc && rc != PERSIST_E_CORRUPT) {
        free(b.data);
        return rc;
    }
    if (!rc && (b.total == CLAIM_LEN || b.total == TOMBSTONE_LEN))
        rc = parse_marker(&b, out, err);
    else if (!rc)
        rc = parse_header(&b, out, err);
    /* A newer version's object is one we cannot name, as a damaged one is. */
    if (rc == PERSIST_E_CORRUPT || rc == PERSIST_E_UNSUPPORTED) {
        out->kind = IDENTITY_DAMAGED;
        rc = PERSIST_OK;
    }
    free(b.data);
    return rc;
}
