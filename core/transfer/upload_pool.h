/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one upload works with and leaves to the next.  Internal to the upload
 * side of transfer/.
 */
#ifndef PERSIST_TRANSFER_UPLOAD_POOL_H
#define PERSIST_TRANSFER_UPLOAD_POOL_H

#include "transfer/sha256.h"
#include "transfer/upload.h"

/* What can serve one upload after another. */
struct kit {
    struct kit *next;
    bool grown; /* has served more than a small payload: its encoder is large
                   too */
    struct frame_encoder *encoder;
    enum codec codec;
    int level;
    uint32_t frame_size;
    struct sha256 *sha256;
    uint8_t *frame;
    size_t frame_cap;
    uint8_t *out;
    size_t out_cap;
};

/* A kit with an encoder that suits and a fresh hash; NULL: memory. */
struct kit *upload_pool_take(struct upload_pool *pool,
                             const struct upload_what *what);
void upload_pool_put(struct upload_pool *pool, struct kit *k);
/* The same, but its `out` is the caller's now, for free(). */
void upload_pool_put_all_but_out(struct upload_pool *pool, struct kit *k);
/* The buffer holds at least `need` bytes afterwards, of any content. */
bool upload_make_room(uint8_t **buffer, size_t *cap, size_t need);

#endif
