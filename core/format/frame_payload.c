/* SPDX-License-Identifier: Apache-2.0 */
#include "format/frame_payload.h"

#include "format/zstd_frame.h"

size_t frame_payload_next(struct frame_payload *p, const void **out)
{
    size_t n = p->len;

    if (p->in_blocks && n > 0) {
        n = zstd_block_len(p->at);
        p->at += ZSTD_BLOCK_HEAD_LEN;
    }
    *out = p->at;
    p->at += n;
    p->len -= n;
    return n;
}
