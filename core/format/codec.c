/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codecs by number and name, and the checks both share.  What a frame looks
 * like is each codec's own business (codec_zstd.c, codec_gzip.c).
 */
#include "format/codec.h"

#include <stdlib.h>
#include <string.h>

#include "format/codec_impl.h"
#include "format/zstd_raw.h"

struct frame_encoder {
    const struct codec_ops *ops;
    uint32_t frame_size;
    int level;
    void *state;
};

struct frame_decoder {
    const struct codec_ops *ops;
    uint32_t frame_size;
    void *state;
};

static const struct codec_ops *const codecs[] = {
    [CODEC_ZSTD] = &codec_zstd,
    [CODEC_GZIP] = &codec_gzip,
};
#define N_CODECS (sizeof(codecs) / sizeof(codecs[0]))

static const struct codec_ops *codec_ops(enum codec codec)
{
    return (size_t)codec < N_CODECS ? codecs[codec] : NULL;
}

const char *codec_name(enum codec codec)
{
    const struct codec_ops *ops = codec_ops(codec);
    return ops ? ops->name : "unknown";
}

bool codec_from_name(const char *name, enum codec *out)
{
    for (size_t i = 1; i < N_CODECS; i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            *out = (enum codec)i;
            return true;
        }
    }
    return false;
}

int codec_level_default(enum codec codec)
{
    return codecs[codec]->level_default;
}

struct codec_levels codec_levels(enum codec codec)
{
    return (struct codec_levels){codecs[codec]->level_min,
                                 codecs[codec]->level_max};
}

bool codec_level_ok(enum codec codec, int level)
{
    const struct codec_ops *ops = codec_ops(codec);
    return ops && level >= ops->level_min && level <= ops->level_max;
}

bool codec_frame_size_ok(uint64_t frame_size)
{
    return frame_size >= FRAME_SIZE_MIN && frame_size <= FRAME_SIZE_MAX &&
           (frame_size & (frame_size - 1)) == 0;
}

size_t frame_encoder_memory(enum codec codec, int level, uint32_t frame_size)
{
    return sizeof(struct frame_encoder) +
           codecs[codec]->encoder_memory(level, frame_size);
}

size_t frame_decoder_memory(enum codec codec, uint32_t frame_size)
{
    (void)frame_size; /* both decode into the caller's room, without a window */
    return sizeof(struct frame_decoder) + codecs[codec]->decoder_memory();
}

size_t frame_bound(enum codec codec, size_t payload_len)
{
    return codecs[codec]->bound(payload_len);
}

struct frame_encoder *frame_encoder_create(enum codec codec, int level,
                                           uint32_t frame_size)
{
    const struct codec_ops *ops = codec_ops(codec);
    if (!codec_level_ok(codec, level) || !codec_frame_size_ok(frame_size))
        return NULL;
    struct frame_encoder *e = malloc(sizeof(*e));
    if (!e)
        return NULL;
    *e = (struct frame_encoder){
        .ops = ops, .frame_size = frame_size, .level = level};
    e->state = ops->encoder_create(level);
    if (!e->state) {
        free(e);
        return NULL;
    }
    return e;
}

void frame_encoder_destroy(struct frame_encoder *e)
{
    if (!e)
        return;
    e->ops->encoder_destroy(e->state);
    free(e);
}

bool frame_is_raw(struct frame_encoder *e, const void *payload, size_t len,
                  void *out, size_t cap)
{
    return len <= e->frame_size && e->ops->is_noise &&
           e->ops->is_noise(e->state, e->level, payload, len, out, cap);
}

int frame_compress(struct frame_encoder *e, const void *payload, size_t len,
                   void *out, size_t cap, size_t *out_len,
                   struct persist_error *err)
{
    if (len == 0 || len > e->frame_size)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a frame of %zu bytes where 1 to %u may be", len,
                         (unsigned)e->frame_size);
    return e->ops->encode(e->state, payload, len, out, cap, out_len, err);
}

static int put_raw(const void *payload, size_t len, void *out, size_t cap,
                   size_t *out_len, struct persist_error *err)
{
    struct zstd_raw raw;
    const void *piece;
    uint8_t *at = out;
    uint32_t crc;
    size_t n;

    *out_len = zstd_raw_len(len);
    if (*out_len > cap)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a frame of %zu bytes in room for %zu", *out_len, cap);
    zstd_raw_begin(&raw, payload, len);
    (void)zstd_raw_sum(&raw, NULL, NULL, NULL); /* cannot fail */
    while ((n = zstd_raw_next(&raw, &piece, &crc)) > 0) {
        memcpy(at, piece, n);
        at += n;
    }
    return PERSIST_OK;
}

int frame_encode(struct frame_encoder *e, const void *payload, size_t len,
                 void *out, size_t cap, size_t *out_len,
                 struct persist_error *err)
{
    return frame_is_raw(e, payload, len, out, cap)
               ? put_raw(payload, len, out, cap, out_len, err)
               : frame_compress(e, payload, len, out, cap, out_len, err);
}

struct frame_decoder *frame_decoder_create(enum codec codec,
                                           uint32_t frame_size)
{
    const struct codec_ops *ops = codec_ops(codec);
    if (!ops || !codec_frame_size_ok(frame_size))
        return NULL;
    struct frame_decoder *d = malloc(sizeof(*d));
    if (!d)
        return NULL;
    *d = (struct frame_decoder){.ops = ops, .frame_size = frame_size};
    d->state = ops->decoder_create();
    if (!d->state) {
        free(d);
        return NULL;
    }
    return d;
}

void frame_decoder_destroy(struct frame_decoder *d)
{
    if (!d)
        return;
    d->ops->decoder_destroy(d->state);
    free(d);
}

/* What a payload may have where there is room for cap bytes. */
static size_t most(const struct frame_decoder *d, size_t cap)
{
    return cap < d->frame_size ? cap : d->frame_size;
}

int frame_decode(struct frame_decoder *d, const void *frame, size_t len,
                 void *out, size_t cap, size_t *out_len,
                 struct persist_error *err)
{
    return d->ops->decode(d->state, frame, len, out, most(d, cap), out_len,
                          err);
}

bool frame_find_raw(const struct frame_decoder *d, const void *frame,
                    size_t len, size_t cap, struct frame_payload *out)
{
    return d->ops == &codec_zstd && zstd_raw_find(frame, len, out) &&
           out->len <= most(d, cap);
}
