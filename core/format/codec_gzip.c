/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip members.  What lies within is raw deflate (deflate.h); the member around
 * it is written here, so that its every byte is known (MTIME, OS and the
 * subfield that says how long the member is).
 */
#include "format/codec_impl.h"
#include "format/deflate.h"
#include "format/gzip_member.h"
#include "util/le.h"

static size_t gzip_encoder_memory(int level, uint32_t frame_size)
{
    (void)frame_size; /* deflate looks back 32 KiB whatever the length */
    return deflate_encoder_memory(level);
}

static size_t gzip_decoder_memory(void)
{
    return deflate_decoder_memory();
}

static size_t gzip_bound(size_t payload_len)
{
    return MEMBER_DATA_HEAD_LEN + deflate_bound(payload_len) + MEMBER_CHECK_LEN;
}

static void *gzip_encoder_create(int level)
{
    return deflate_encoder_create(level);
}

static void gzip_encoder_destroy(void *state)
{
    deflate_encoder_destroy(state);
}

static int gzip_encode(void *state, const void *payload, size_t len, void *out,
                       size_t cap, size_t *out_len, struct persist_error *err)
{
    const size_t around = MEMBER_DATA_HEAD_LEN + MEMBER_CHECK_LEN;
    uint8_t *p = out;
    size_t n = 0;
    if (cap < around)
        return error_set(err, PERSIST_E_INTERNAL, "no room for a gzip member");
    int rc = deflate_encode(state, payload, len, p + MEMBER_DATA_HEAD_LEN,
                            cap - around, &n, err);
    if (rc)
        return rc;
    member_head_put(p, MEMBER_DATA, 8);
    le_put32(p + MEMBER_HEAD_LEN, (uint32_t)(n + around));
    le_put32(p + MEMBER_HEAD_LEN + 4, (uint32_t)len);
    p += MEMBER_DATA_HEAD_LEN + n;
    le_put32(p, deflate_crc32(payload, len));
    le_put32(p + 4, (uint32_t)len);
    *out_len = n + around;
    return PERSIST_OK;
}

static void *gzip_decoder_create(void)
{
    return deflate_decoder_create();
}

static void gzip_decoder_destroy(void *state)
{
    deflate_decoder_destroy(state);
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

static int inflate_payload(struct deflate_decoder *d, const uint8_t *data,
                           size_t len, uint8_t *out, size_t size,
                           struct persist_error *err)
{
    static const char *const why[] = {
        [DEFLATE_DAMAGED] = "is damaged",
        [DEFLATE_MORE] = "holds more than it says",
        [DEFLATE_LESS] = "holds less than it says",
        [DEFLATE_BEHIND] = "has bytes behind its data",
    };
    enum deflate_verdict verdict = deflate_decode(d, data, len, out, size);

    return verdict == DEFLATE_OK ? PERSIST_OK : refuse(err, why[verdict]);
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
    if (le_get32(check) != deflate_crc32(out, size))
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
