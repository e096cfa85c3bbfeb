/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip members through ISA-L.  ISA-L makes and reads raw deflate only; the
 * member around it is written here, so that its every byte is known (MTIME, OS
 * and the subfield that says how long the member is).
 */
#include <isa-l.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec_impl.h"
#include "format/gzip_member.h"
#include "util/le.h"

/* A stored deflate block holds 65535 bytes after 5 of its own. */
#define STORED_MAX 65535
#define STORED_HEAD 5

struct gzip_encoder {
    struct isal_zstream stream;
    uint32_t level;
    uint32_t level_len;
    uint8_t level_buf[];
};

static const uint32_t level_len[] = {
    ISAL_DEF_LVL0_DEFAULT,
    ISAL_DEF_LVL1_DEFAULT,
    ISAL_DEF_LVL2_DEFAULT,
    ISAL_DEF_LVL3_DEFAULT,
};

static size_t gzip_encoder_memory(int level, uint32_t frame_size)
{
    (void)frame_size; /* deflate looks back 32 KiB whatever the length */
    return sizeof(struct gzip_encoder) + level_len[level];
}

static size_t gzip_decoder_memory(void)
{
    return sizeof(struct inflate_state);
}

/* All of it in stored blocks, with ISA-L's eight bytes of elbow room. */
static size_t deflate_bound(size_t payload_len)
{
    size_t blocks = payload_len / STORED_MAX + 1;
    return payload_len + blocks * STORED_HEAD + 8;
}

static size_t gzip_bound(size_t payload_len)
{
    return MEMBER_DATA_HEAD_LEN + deflate_bound(payload_len) + MEMBER_CHECK_LEN;
}

static void *gzip_encoder_create(int level)
{
    struct gzip_encoder *e = malloc(sizeof(*e) + level_len[level]);
    if (!e)
        return NULL;
    e->level = (uint32_t)level;
    e->level_len = level_len[level];
    return e;
}

static void gzip_encoder_destroy(void *state)
{
    free(state);
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
static int deflate_payload(struct gzip_encoder *e, const void *payload,
                           size_t len, uint8_t *out, size_t cap,
                           size_t *out_len, struct persist_error *err)
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

static int gzip_encode(void *state, const void *payload, size_t len, void *out,
                       size_t cap, size_t *out_len, struct persist_error *err)
{
    const size_t around = MEMBER_DATA_HEAD_LEN + MEMBER_CHECK_LEN;
    uint8_t *p = out;
    size_t n = 0;
    if (cap < around)
        return error_set(err, PERSIST_E_INTERNAL, "no room for a gzip member");
    int rc = deflate_payload(state, payload, len, p + MEMBER_DATA_HEAD_LEN,
                             cap - around, &n, err);
    if (rc)
        return rc;
    member_head_put(p, MEMBER_DATA, 8);
    le_put32(p + MEMBER_HEAD_LEN, (uint32_t)(n + around));
    le_put32(p + MEMBER_HEAD_LEN + 4, (uint32_t)len);
    p += MEMBER_DATA_HEAD_LEN + n;
    le_put32(p, crc32_gzip_refl(0, payload, len));
    le_put32(p + 4, (uint32_t)len);
    *out_len = n + around;
    return PERSIST_OK;
}

static void *gzip_decoder_create(void)
{
    return malloc(sizeof(struct inflate_state));
}

static void gzip_decoder_destroy(void *state)
{
    free(state);
}

static int refuse(struct persist_error *err, const char *why)
{
    return error_set(err, PERSIST_E_CORRUPT, "the gzip member %s", why);
}

static int check_member(const uint8_t *frame, size_t len, size_t max,
                        size_t *out_size, struct persist_error *err)
{
    uint16_t data_len = 0;
    if (len < MEMBER_DATA_MIN)
        return refuse(err, "is cut short");
    if (!member_head_get(frame, MEMBER_DATA, &data_len) || data_len != 8)
        return refuse(err, "does not begin like a data member");
    if (le_get32(frame + MEMBER_HEAD_LEN) != len)
        return refuse(err, "has another length than it says");
    uint32_t size = le_get32(frame + MEMBER_HEAD_LEN + 4);
    if (size == 0)
        return refuse(err, "is empty");
    if (size > max)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the gzip member says it holds %lu bytes where at "
                         "most %zu may be",
                         (unsigned long)size, max);
    *out_size = size;
    return PERSIST_OK;
}

/* All of the deflate data, no byte more or less, must give exactly size. */
static int inflate_payload(struct inflate_state *s, const uint8_t *data,
                           size_t len, uint8_t *out, size_t size,
                           struct persist_error *err)
{
    isal_inflate_init(s);
    s->crc_flag = ISAL_DEFLATE;
    s->next_in = unconst(data);
    s->avail_in = (uint32_t)len;
    s->next_out = out;
    s->avail_out = (uint32_t)size;
    int rc = isal_inflate_stateless(s);
    if (rc == ISAL_OUT_OVERFLOW)
        return refuse(err, "holds more than it says");
    if (rc != ISAL_DECOMP_OK)
        return refuse(err, "is damaged");
    if (s->total_out != size)
        return refuse(err, "holds less than it says");
    if (s->avail_in != 0)
        return refuse(err, "has bytes behind its data");
    return PERSIST_OK;
}

static int gzip_decode(void *state, const void *frame, size_t len, void *out,
                       size_t max, size_t *out_len, struct persist_error *err)
{
    const uint8_t *p = frame;
    size_t size = 0;
    int rc = check_member(p, len, max, &size, err);
    if (rc)
        return rc;
    const uint8_t *check = p + len - MEMBER_CHECK_LEN;
    rc = inflate_payload(state, p + MEMBER_DATA_HEAD_LEN,
                         (size_t)(check - p) - MEMBER_DATA_HEAD_LEN, out, size,
                         err);
    if (rc)
        return rc;
    if (le_get32(check) != crc32_gzip_refl(0, out, size))
        return refuse(err, "fails its checksum");
    if (le_get32(check + 4) != size)
        return refuse(err, "ends with another size than it began with");
    *out_len = size;
    return PERSIST_OK;
}

const struct codec_ops codec_gzip = {
    .name = "gzip",
    .level_min = 0,
    .level_max = 3,
    .level_default = 1,
    .encoder_memory = gzip_encoder_memory,
    .decoder_memory = gzip_decoder_memory,
    .bound = gzip_bound,
    .encoder_create = gzip_encoder_create,
    .encoder_destroy = gzip_encoder_destroy,
    .encode = gzip_encode,
    .decoder_create = gzip_decoder_create,
    .decoder_destroy = gzip_decoder_destroy,
    .decode = gzip_decode,
};
