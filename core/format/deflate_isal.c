/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw deflate by ISA-L.
 */
#include "format/deflate.h"

#include <isa-l.h>
#include <stdlib.h>

/* A stored deflate block holds 65535 bytes after 5 of its own. */
#define STORED_MAX 65535
#define STORED_HEAD 5

struct deflate_encoder {
    struct isal_zstream stream;
    uint32_t level;
    uint32_t level_len;
    uint8_t level_buf[];
};

struct deflate_decoder {
    struct inflate_state state;
};

static const uint32_t level_len[] = {
    ISAL_DEF_LVL0_DEFAULT,
    ISAL_DEF_LVL1_DEFAULT,
    ISAL_DEF_LVL2_DEFAULT,
    ISAL_DEF_LVL3_DEFAULT,
};

size_t deflate_encoder_memory(int level)
{
    return sizeof(struct deflate_encoder) + level_len[level];
}

size_t deflate_decoder_memory(void)
{
    return sizeof(struct deflate_decoder);
}

struct deflate_encoder *deflate_encoder_create(int level)
{
    struct deflate_encoder *e = malloc(sizeof(*e) + level_len[level]);
    if (!e)
        return NULL;
    e->level = (uint32_t)level;
    e->level_len = level_len[level];
    return e;
}

void deflate_encoder_destroy(struct deflate_encoder *e)
{
    free(e);
}

struct deflate_decoder *deflate_decoder_create(void)
{
    return malloc(sizeof(struct deflate_decoder));
}

void deflate_decoder_destroy(struct deflate_decoder *d)
{
    free(d);
}

/* All of it in stored blocks, with ISA-L's eight bytes of elbow room. */
size_t deflate_bound(size_t payload_len)
{
    size_t blocks = payload_len / STORED_MAX + 1;
    return payload_len + blocks * STORED_HEAD + 8;
}

/* ISA-L takes pointers to non-const and writes through none of its inputs. */
static uint8_t *unconst(const void *data)
{
    union {
        const void *in;
        uint8_t *out;
    } pointer = {.in = data};
    return pointer.out;
}

/* Where codes would take more room than stored blocks, ISA-L stores; offering
 * no more than that also keeps to its 32 bits. */
int deflate_encode(struct deflate_encoder *e, const void *payload, size_t len,
                   void *out, size_t cap, size_t *out_len,
                   struct persist_error *err)
{
    struct isal_zstream *s = &e->stream;
    size_t bound = deflate_bound(len);
    isal_deflate_stateless_init(s);
    s->level = e->level;
    s->level_buf = e->level_len ? e->level_buf : NULL;
    s->level_buf_size = e->level_len;
    s->end_of_stream = 1;
    s->flush = NO_FLUSH;
    s->gzip_flag = IGZIP_DEFLATE;
    s->next_in = unconst(payload);
    s->avail_in = (uint32_t)len;
    s->next_out = out;
    s->avail_out = (uint32_t)(cap < bound ? cap : bound);
    int rc = isal_deflate_stateless(s);
    if (rc != COMP_OK)
        return error_set(err, PERSIST_E_INTERNAL,
                         "deflate cannot compress (code %d)", rc);
    *out_len = s->total_out;
    return PERSIST_OK;
}

enum deflate_verdict deflate_decode(struct deflate_decoder *d, const void *data,
                                    size_t len, void *out, size_t size)
{
    struct inflate_state *s = &d->state;

    isal_inflate_init(s);
    s->crc_flag = ISAL_DEFLATE;
    s->next_in = unconst(data);
    s->avail_in = (uint32_t)len;
    s->next_out = out;
    s->avail_out = (uint32_t)size;
    int rc = isal_inflate_stateless(s);
    if (rc == ISAL_OUT_OVERFLOW)
        return DEFLATE_MORE;
    if (rc != ISAL_DECOMP_OK)
        return DEFLATE_DAMAGED;
    if (s->total_out != size)
        return DEFLATE_LESS;
    return s->avail_in != 0 ? DEFLATE_BEHIND : DEFLATE_OK;
}

uint32_t deflate_crc32(const void *data, size_t len)
{
    return crc32_gzip_refl(0, data, len);
}
