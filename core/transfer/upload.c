/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an upload, and objects that are put whole; see upload.h for the
 * picture and upload_impl.h for who does the rest.
 *
 * Knows frames, parts and memory; does not know keys, claims or indices.
 */
#include "transfer/upload.h"

#include <stdlib.h>
#include <string.h>

#include "transfer/upload_impl.h"
#include "util/error.h"

const uint8_t *upload_sha256(const struct upload *u)
{
    return u->sha256;
}

uint64_t upload_payload_len(const struct upload *u)
{
    return u->tail.payload_len;
}

const struct persist_op *upload_op(const struct upload *u)
{
    return &u->op;
}

/* -------------------------------------------------------------------- life
 */

static int equip(struct upload *u, struct persist_error *err)
{
    struct kit *k = u->kit = upload_pool_take(u->what.pool, &u->what);

    if (!k || !upload_make_room(&k->frame, &k->frame_cap, u->frame_need) ||
        !upload_make_room(&k->out, &k->out_cap, u->first_need))
        return error_memory(err);
    if (u->n_lanes) {
        const struct lanes_what what = upload_lanes_wanted(u);

        u->lanes = lanes_create(&what);
        if (!u->lanes)
            return error_memory(err);
    }
    u->now = &u->buffers[0];
    *u->now = (struct part_buffer){
        .data = k->out,
        .cap = u->first_need,
        .start = u->what.header_max,
        .end = u->what.header_max,
    };
    return PERSIST_OK;
}

static int open_op(struct upload *u, struct persist_error *err)
{
    int rc = op_init(&u->op, &u->what.op->cancel);

    if (rc)
        return error_errno(err, -rc, "cannot start an upload");
    u->op.deadline_ns = u->what.op->deadline_ns;
    u->op.trace = u->what.op->trace;
    return PERSIST_OK;
}

int upload_open(const struct upload_what *what,
                const struct upload_source *source, struct upload **out,
                struct persist_error *err)
{
    const struct backend_env *env = backend_store_env(what->store);
    struct upload *u = calloc(1, sizeof *u);
    int rc;

    if (!u)
        return error_memory(err);
    u->what = *what;
    if (what->io && executor_limit(what->io) == 0)
        u->what.io = NULL; /* a build without threads */
    u->source = *source;
    u->budget = env->budget;
    u->clock = env->clock;
    u->limits = backend_store_limits(what->store);
    snapshot_tail_init(&u->tail, what->codec, what->frame_size);
    buf_init(&u->header, what->header_max);
    buf_init(&u->tail_bytes, SIZE_MAX / 2);
    rc = open_op(u, err);
    if (!rc)
        rc = upload_reserve(u, err);
    if (!rc)
        rc = equip(u, err);
    if (rc) {
        upload_close(u);
        return rc;
    }
    if (source->has_size)
        atomic_store(&what->op->payload_total, source->size);
    *out = u;
    return PERSIST_OK;
}

void upload_close(struct upload *u)
{
    if (!u)
        return;
    /* It uses the kit's hash and the source's memory. */
    lanes_destroy(u->lanes);
    parts_finish(u);
    if (u->kit)
        upload_pool_put(u->what.pool, u->kit);
    else
        free(u->buffers[0].data);
    if (u->reserved)
        budget_release(u->budget, u->reserved);
    op_finish(&u->op);
    snapshot_tail_finish(&u->tail);
    buf_finish(&u->header);
    buf_finish(&u->tail_bytes);
    free(u);
}

/* ---------------------------------------------------------- whole objects
 */

/* What the object would be if it ended now. */
static uint64_t length_so_far(const struct upload *u)
{
    return u->what.header_max + u->tail.frames_len +
           snapshot_tail_bound(&u->tail, 0);
}

/* All is encoded and hashed: while this object waits for the store, others
 * encode with the same kit, whose memory is still in the caches. */
static void give_kit_back(struct upload *u)
{
    upload_pool_put_all_but_out(u->what.pool, u->kit);
    u->kit = NULL; /* the first buffer owns `out` now */
}

int upload_fill(struct upload *u, bool *out_whole, struct persist_error *err)
{
    bool any;
    int rc;

    for (;;) {
        rc = upload_add_frame(u, &any, err);
        if (rc)
            return rc;
        if (!any)
            break;
        if (length_so_far(u) > u->whole_max) {
            *out_whole = false;
            /* What is put before the first part need not wait for anybody. */
            return upload_read_ahead(u, err);
        }
    }
    *out_whole = true;
    rc = upload_finish_hash(u, err);
    if (!rc && !u->lanes)
        give_kit_back(u);
    return rc;
}

/* The header, right-aligned before the first frame. */
static int place_header(struct upload *u, const struct persist_metadata *m,
                        struct persist_error *err)
{
    struct part_buffer *b = &u->buffers[0];
    int rc;

    buf_clear(&u->header);
    rc = snapshot_header_encode(u->what.codec, m, &u->header, err);
    if (rc)
        return rc;
    b->start = u->what.header_max - u->header.len;
    b->summed = 0; /* that was without the header */
    memcpy(b->data + b->start, u->header.data, u->header.len);
    return PERSIST_OK;
}

static int encode_tail(struct upload *u, struct persist_metadata *m,
                       struct persist_error *err)
{
    buf_clear(&u->tail_bytes);
    return snapshot_tail_encode(&u->tail, u->header.data, u->header.len,
                                u->sha256, m, &u->tail_bytes, err);
}

int upload_object(struct upload *u, struct persist_metadata *m,
                  const void **out, size_t *out_len, struct persist_error *err)
{
    const struct part_buffer *b = &u->buffers[0];
    int rc;

    rc = place_header(u, m, err);
    if (!rc)
        rc = encode_tail(u, m, err);
    if (rc)
        return rc;
    if (u->tail_bytes.len > b->cap - b->end)
        return error_set(err, PERSIST_E_INTERNAL,
                         "the end of a snapshot is longer than its bound");
    memcpy(b->data + b->end, u->tail_bytes.data, u->tail_bytes.len);
    *out = b->data + b->start;
    *out_len = b->end - b->start + u->tail_bytes.len;
    return PERSIST_OK;
}

/* ----------------------------------------------------------- long objects
 */

static int send_frames(struct upload *u, struct persist_error *err)
{
    bool any = true;
    int rc = PERSIST_OK;

    while (!rc && any)
        rc = upload_add_frame(u, &any, err);
    return rc ? rc : upload_finish_hash(u, err);
}

int upload_send(struct upload *u, struct persist_metadata *m,
                struct backend_upload *to, upload_between_fn between, void *ctx,
                uint64_t *out_size, uint32_t *out_crc32c,
                struct persist_error *err)
{
    uint32_t tail_crc = 0;
    int rc;

    rc = place_header(u, m, err);
    if (!rc)
        rc = parts_begin(u, to, between, ctx, err);
    if (!rc)
        rc = send_frames(u, err);
    if (!rc)
        rc = encode_tail(u, m, err);
    if (!rc)
        rc = parts_append(u,
                          (struct part_piece){.data = u->tail_bytes.data,
                                              .len = u->tail_bytes.len},
                          &tail_crc, err);
    if (!rc)
        rc = parts_end(u, err);
    if (rc)
        rc = parts_abandon(u, rc, err);
    *out_size = u->sent;
    *out_crc32c = u->landed_crc;
    return rc;
}
