/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a codec is to codec.c.  Each function does for one codec what the one
 * of the like name in codec.h promises; codec.c has checked the arguments.
 * States are created and destroyed by their own codec; a destroyer accepts
 * NULL.
 */
#ifndef PERSIST_FORMAT_CODEC_IMPL_H
#define PERSIST_FORMAT_CODEC_IMPL_H

#include "format/codec.h"

struct codec_ops {
    const char *name;
    int level_min;
    int level_max;
    int level_default;
    size_t (*encoder_memory)(int level, uint32_t frame_size);
    size_t (*decoder_memory)(void);
    size_t (*bound)(size_t payload_len);
    void *(*encoder_create)(int level);
    void (*encoder_destroy)(void *state);
    /* Whether the payload is to be stored as it is, in raw blocks; out is for
     * scratch.  Depends on level and payload alone.  NULL: never. */
    bool (*is_noise)(void *state, int level, const void *payload, size_t len,
                     void *out, size_t cap);
    int (*encode)(void *state, const void *payload, size_t len, void *out,
                  size_t cap, size_t *out_len, struct persist_error *err);
    void *(*decoder_create)(void);
    void (*decoder_destroy)(void *state);
    /* max: the smaller of frame_size and the room in out. */
    int (*decode)(void *state, const void *frame, size_t len, void *out,
                  size_t max, size_t *out_len, struct persist_error *err);
};

extern const struct codec_ops codec_zstd;
extern const struct codec_ops codec_gzip;

#endif
