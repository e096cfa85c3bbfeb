/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put, read, head and delete: one request each.  Every function fills the
 * op's arguments, lets store_call do the rest, and turns the checked result
 * into the room's own types.
 */
#include <string.h>

#include "backend/store_call.h"
#include "util/crc32c.h"
#include "util/error.h"

#define SLICE_MIN ((size_t)256 << 10) /* of a read under a download limit */

static int too_large(const struct backend_store *s, const char *key,
                     struct persist_error *err)
{
    error_set(err, PERSIST_E_INVALID,
              "store %s: the object is larger than the store takes", s->name);
    error_object(err, "%s", key);
    return PERSIST_E_INVALID;
}

/* -------------------------------------------------------------------- put */

struct put {
    struct backend_store *store;
    struct persist_backend_put_args args;
    struct persist_backend_put_result result;
};

static int32_t attempt_put(void *ctx, const struct persist_backend_call *call,
                           struct persist_backend_error *error)
{
    struct put *p = ctx;

    p->result =
        (struct persist_backend_put_result){.struct_size = sizeof(p->result)};
    return p->store->plugin->ops.put(p->store->handle, call, &p->args,
                                     &p->result, error);
}

static struct store_verdict check_put(void *ctx)
{
    struct put *p = ctx;

    return store_check_etag(p->result.etag);
}

int backend_put(struct backend_store *s, struct persist_op *op,
                const struct backend_put *put, bool *out_maybe,
                struct persist_error *err)
{
    struct put p = {.store = s};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "put",
                              .key = put->key,
                              .flags = STORE_CALL_WRITE,
                              .counted_as = METRICS_SAVE,
                              .ctx = &p,
                              .attempt = attempt_put,
                              .check = check_put};
    int rc = store_check_key(s, put->key, err);

    if (out_maybe)
        *out_maybe = false;
    if (rc == PERSIST_OK &&
        (put->len > s->limits.put_max || put->len > s->limits.object_max))
        rc = too_large(s, put->key, err);
    if (rc != PERSIST_OK)
        return rc;
    p.args = (struct persist_backend_put_args){
        .struct_size = sizeof(p.args),
        .flags = put->if_absent ? PERSIST_BACKEND_IF_ABSENT : 0,
        .key = put->key,
        .data = put->data,
        .len = put->len,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = crc32c(0, put->data, put->len),
        .content_type = STORE_CONTENT_TYPE,
    };
    call.sends = put->len;
    if (put->if_absent)
        call.flags |= STORE_CALL_IF_ABSENT;
    if (put->past_cancel)
        call.flags |= STORE_CALL_PAST_CANCEL;
    rc = store_call(&call, err);
    if (out_maybe)
        *out_maybe = call.maybe;
    return rc;
}

/* ------------------------------------------------------------------- read */

struct read {
    struct backend_store *store;
    struct persist_backend_read_args args;
    struct persist_backend_read_result result;
};

static int32_t attempt_read(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct read *r = ctx;

    r->result =
        (struct persist_backend_read_result){.struct_size = sizeof(r->result)};
    return r->store->plugin->ops.read(r->store->handle, call, &r->args,
                                      &r->result, error);
}

/* Where the bytes must start, given the size the plugin states. */
static uint64_t expected_offset(const struct read *r)
{
    uint64_t total = r->result.total;

    if (r->args.mode == PERSIST_BACKEND_READ_RANGE)
        return r->args.offset < total ? r->args.offset : total;
    return total > r->args.len ? total - r->args.len : 0;
}

static const char *wrong_read(const struct read *r, uint64_t start)
{
    const struct persist_backend_read_result *got = &r->result;
    uint64_t left = got->total - start;
    uint64_t expected = left < r->args.len ? left : r->args.len;

    if (got->len > r->args.len)
        return "says that it read more than was asked for";
    if (got->len != expected)
        return "read another number of bytes than there are";
    /* Of no bytes it does not matter where they start. */
    if (got->len > 0 && got->offset != start)
        return "read from another place than it was asked to";
    return NULL;
}

static struct store_verdict check_read(void *ctx)
{
    struct read *r = ctx;
    struct persist_backend_read_result *got = &r->result;
    struct store_verdict verdict = store_check_etag(got->etag);
    uint64_t start = expected_offset(r);

    if (!verdict.wrong)
        verdict = store_bug(wrong_read(r, start));
    got->offset = start;
    if (!verdict.wrong && r->args.etag && got->etag[0] &&
        strcmp(r->args.etag, got->etag) != 0)
        return store_verdict(
            PERSIST_E_PRECONDITION,
            "read another version than it was asked to: the object changed");
    return verdict;
}

static int read_once(struct backend_store *s, struct persist_op *op,
                     const struct backend_read *read,
                     struct backend_read_answer *out, struct persist_error *err)
{
    struct read r = {.store = s};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "read",
                              .key = read->key,
                              .receives = &r.result.len,
                              .counted_as = METRICS_LOAD,
                              .again = read->again,
                              .ctx = &r,
                              .attempt = attempt_read,
                              .check = check_read};
    int rc = store_check_key(s, read->key, err);

    if (rc != PERSIST_OK)
        return rc;
    if (read->len == 0)
        return error_set(err, PERSIST_E_INVALID, "read: a buffer of no bytes");
    r.args = (struct persist_backend_read_args){
        .struct_size = sizeof(r.args),
        .mode = read->suffix ? PERSIST_BACKEND_READ_SUFFIX
                             : PERSIST_BACKEND_READ_RANGE,
        .key = read->key,
        .offset = read->suffix ? 0 : read->offset,
        .buffer = read->buffer,
        .len = read->len,
        .etag = read->etag && read->etag[0] ? read->etag : NULL,
    };
    if (read->past_cancel)
        call.flags |= STORE_CALL_PAST_CANCEL;
    rc = store_call(&call, err);
    if (rc != PERSIST_OK)
        return rc;
    out->len = (size_t)r.result.len;
    out->offset = r.result.offset;
    out->total = r.result.total;
    memcpy(out->etag, r.result.etag, sizeof(out->etag));
    return PERSIST_OK;
}

/* A read is paid for when it is done: under a low limit a large one would be a
 * burst and then a line that stands still. */
static size_t slice_of(const struct backend_store *s,
                       const struct backend_read *read)
{
    const struct rate *rate = s->env.download;

    if (!rate || !rate->bytes_per_s || read->suffix || read->len <= SLICE_MIN ||
        read->len <= rate->bytes_per_s)
        return read->len;
    return rate->bytes_per_s < SLICE_MIN ? SLICE_MIN
                                         : (size_t)rate->bytes_per_s;
}

int backend_read(struct backend_store *s, struct persist_op *op,
                 const struct backend_read *read,
                 struct backend_read_answer *out, struct persist_error *err)
{
    struct backend_read part = *read;
    struct backend_read_answer next;
    size_t slice = slice_of(s, read);
    int rc;

    part.len = slice;
    rc = read_once(s, op, &part, out, err);
    /* All slices are of one version, where the backend gives etags. */
    while (rc == PERSIST_OK && out->len > 0 && out->len % slice == 0 &&
           out->len < read->len) {
        size_t left = read->len - out->len;

        part.offset = read->offset + out->len;
        part.buffer = (char *)read->buffer + out->len;
        part.len = left < slice ? left : slice;
        part.etag = out->etag;
        rc = read_once(s, op, &part, &next, err);
        if (rc != PERSIST_OK || next.len == 0)
            break;
        out->len += next.len;
    }
    return rc;
}

/* ------------------------------------------------------------------- head */

struct head {
    struct backend_store *store;
    struct persist_backend_head_args args;
    struct persist_backend_head_result result;
};

static int32_t attempt_head(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct head *h = ctx;

    h->result =
        (struct persist_backend_head_result){.struct_size = sizeof(h->result)};
    return h->store->plugin->ops.head(h->store->handle, call, &h->args,
                                      &h->result, error);
}

static struct store_verdict check_head(void *ctx)
{
    struct head *h = ctx;

    return store_check_etag(h->result.etag);
}

int backend_head(struct backend_store *s, struct persist_op *op,
                 const char *key, struct backend_head_answer *out,
                 struct persist_error *err)
{
    struct head h = {
        .store = s,
        .args = {.struct_size = sizeof(struct persist_backend_head_args),
                 .key = key}};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "head",
                              .key = key,
                              .counted_as = METRICS_EXISTS,
                              .ctx = &h,
                              .attempt = attempt_head,
                              .check = check_head};
    int rc = store_check_key(s, key, err);

    if (rc == PERSIST_OK)
        rc = store_call(&call, err);
    if (rc != PERSIST_OK)
        return rc;
    out->size = h.result.size;
    out->has_modified = (h.result.present & PERSIST_BACKEND_HAS_MODIFIED) != 0;
    out->modified_us =
        out->has_modified ? store_time_clean(h.result.modified_us) : 0;
    memcpy(out->etag, h.result.etag, sizeof(out->etag));
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- delete */

struct delete
{
    struct backend_store *store;
    struct persist_backend_delete_args args;
    struct persist_backend_delete_result result;
};

static int32_t attempt_delete(void *ctx,
                              const struct persist_backend_call *call,
                              struct persist_backend_error *error)
{
    struct delete *d = ctx;

    d->result = (struct persist_backend_delete_result){.struct_size =
                                                           sizeof(d->result)};
    return d->store->plugin->ops.delete_object(d->store->handle, call, &d->args,
                                               &d->result, error);
}

/* After a lost answer "it was absent" may speak of our own first attempt; and
 * a word from a newer minor says nothing to us. */
static uint32_t what_it_was(uint32_t was, bool maybe)
{
    if (was == PERSIST_BACKEND_WAS_THERE)
        return was;
    if (was == PERSIST_BACKEND_WAS_ABSENT && !maybe)
        return was;
    return PERSIST_BACKEND_WAS_UNKNOWN;
}

int backend_delete(struct backend_store *s, struct persist_op *op,
                   const char *key, uint32_t *out_was,
                   struct persist_error *err)
{
    struct delete d = {
        .store = s,
        .args = {.struct_size = sizeof(struct persist_backend_delete_args),
                 .key = key}};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "delete",
                              .key = key,
                              .flags = STORE_CALL_WRITE,
                              .counted_as = METRICS_DELETE,
                              .ctx = &d,
                              .attempt = attempt_delete};
    int rc = store_check_key(s, key, err);

    if (rc == PERSIST_OK)
        rc = store_call(&call, err);
    if (rc == PERSIST_OK && out_was)
        *out_was = what_it_was(d.result.was, call.maybe);
    return rc;
}
