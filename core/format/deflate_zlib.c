/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw deflate by zlib, where there is no ISA-L.
 *
 * zlib takes its memory when a stream is created; the figures are those of its
 * zconf.h, for a window of 32 KiB and memLevel 8, with room for its state.
 */
#include "format/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#define RAW (-15) /* no zlib or gzip wrapper, window of 2^15 bytes */
#define DEFLATE_MEMORY ((size_t)(1 << 17) + (1 << 17) + 8192)
#define INFLATE_MEMORY ((size_t)(1 << 15) + 8192)

struct deflate_encoder {
    z_stream stream;
};

struct deflate_decoder {
    z_stream stream;
};

/* Ours to zlib's: 0 is fast everywhere, 3 what the gzip command does. */
static const int zlib_level[] = {1, 2, 4, 6};

size_t deflate_encoder_memory(int level)
{
    (void)level; /* zlib's memory does not depend on it */
    return sizeof(struct deflate_encoder) + DEFLATE_MEMORY;
}

size_t deflate_decoder_memory(void)
{
    return sizeof(struct deflate_decoder) + INFLATE_MEMORY;
}

struct deflate_encoder *deflate_encoder_create(int level)
{
    struct deflate_encoder *e = calloc(1, sizeof(*e));
    if (e && deflateInit2(&e->stream, zlib_level[level], Z_DEFLATED, RAW, 8,
                          Z_DEFAULT_STRATEGY) != Z_OK) {
        free(e);
        e = NULL;
    }
    return e;
}

void deflate_encoder_destroy(struct deflate_encoder *e)
{
    if (e)
        deflateEnd(&e->stream);
    free(e);
}

struct deflate_decoder *deflate_decoder_create(void)
{
    struct deflate_decoder *d = calloc(1, sizeof(*d));
    if (d && inflateInit2(&d->stream, RAW) != Z_OK) {
        free(d);
        d = NULL;
    }
    return d;
}

void deflate_decoder_destroy(struct deflate_decoder *d)
{
    if (d)
        inflateEnd(&d->stream);
    free(d);
}

/* zlib's own bound for these parameters (deflateBound without a stream). */
size_t deflate_bound(size_t payload_len)
{
    return payload_len + (payload_len >> 12) + (payload_len >> 14) +
           (payload_len >> 25) + 64;
}

/* zlib takes pointers to non-const and writes through none of its inputs. */
static Bytef *unconst(const void *data)
{
    union {
        const void *in;
        Bytef *out;
    } pointer = {.in = data};
    return pointer.out;
}

int deflate_encode(struct deflate_encoder *e, const void *payload, size_t len,
                   void *out, size_t cap, size_t *out_len,
                   struct persist_error *err)
{
    z_stream *s = &e->stream;

    if (deflateReset(s) != Z_OK)
        return error_set(err, PERSIST_E_INTERNAL, "deflate cannot begin");
    s->next_in = unconst(payload);
    s->avail_in = (uInt)len;
    s->next_out = out;
    s->avail_out = (uInt)cap;
    int rc = deflate(s, Z_FINISH);
    if (rc != Z_STREAM_END)
        return error_set(err, PERSIST_E_INTERNAL,
                         "deflate cannot compress (code %d)", rc);
    *out_len = cap - s->avail_out;
    return PERSIST_OK;
}

enum deflate_verdict deflate_decode(struct deflate_decoder *d, const void *data,
                                    size_t len, void *out, size_t size)
{
    z_stream *s = &d->stream;

    if (inflateReset(s) != Z_OK)
        return DEFLATE_DAMAGED;
    s->next_in = unconst(data);
    s->avail_in = (uInt)len;
    s->next_out = out;
    s->avail_out = (uInt)size;
    int rc = inflate(s, Z_FINISH);
    if (rc == Z_BUF_ERROR && s->avail_out == 0)
        return DEFLATE_MORE;
    if (rc != Z_STREAM_END)
        return DEFLATE_DAMAGED;
    if (s->avail_out != 0)
        return DEFLATE_LESS;
    return s->avail_in != 0 ? DEFLATE_BEHIND : DEFLATE_OK;
}

uint32_t deflate_crc32(const void *data, size_t len)
{
    const uint8_t *p = data;
    uLong crc = crc32(0, NULL, 0);

    for (; len > 0; p += len < UINT32_MAX ? len : UINT32_MAX,
                    len -= len < UINT32_MAX ? len : UINT32_MAX)
        crc = crc32(crc, p, (uInt)(len < UINT32_MAX ? len : UINT32_MAX));
    return (uint32_t)crc;
}
