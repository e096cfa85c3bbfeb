/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads and empty tails of gzip members.  Every byte is compared: gzip itself
 * ignores MTIME, XFL and OS, and behind the trailer no checksum of ours covers
 * them.
 */
#include "format/gzip_member.h"

#include <string.h>

#include "util/le.h"

static const uint8_t fixed_head[10] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff};
static const uint8_t empty_tail[MEMBER_EMPTY_TAIL_LEN] = {3};

void member_head_put(uint8_t out[MEMBER_HEAD_LEN], char id, uint16_t data_len)
{
    memcpy(out, fixed_head, sizeof(fixed_head));
    le_put16(out + 10, (uint16_t)(data_len + 4));
    out[12] = 'P';
    out[13] = (uint8_t)id;
    le_put16(out + 14, data_len);
}

bool member_head_get(const uint8_t in[MEMBER_HEAD_LEN], char id,
                     uint16_t *out_data_len)
{
    uint16_t data_len = le_get16(in + 14);
    if (memcmp(in, fixed_head, sizeof(fixed_head)) != 0 || in[12] != 'P' ||
        in[13] != (uint8_t)id || le_get16(in + 10) != data_len + 4)
        return false;
    *out_data_len = data_len;
    return true;
}

bool member_is_empty_tail(const void *tail)
{
    return memcmp(tail, empty_tail, sizeof(empty_tail)) == 0;
}

void member_empty_tail_put(struct buf *out)
{
    buf_append(out, empty_tail, sizeof(empty_tail));
}
