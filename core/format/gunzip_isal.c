/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompressing a foreign gzip file by ISA-L, in steps through a small
 * buffer.  Our own snapshots do not come here (codec_gzip.c).
 */
#include "format/gunzip_impl.h"

#include <isa-l.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gunzip {
    struct inflate_state state;
    uint8_t out[STEP];
};

/* One step; *out_done once the member's end has been checked. */
static int inflate_step(struct gunzip *g, struct buf *out, bool *out_done,
                        struct persist_error *err)
{
    struct inflate_state *s = &g->state;

    s->next_out = g->out;
    s->avail_out = STEP;
    int rc = isal_inflate(s);
    if (rc == ISAL_INCORRECT_CHECKSUM)
        return damaged(err, "fails its checksum");
    if (rc != ISAL_DECOMP_OK && rc != ISAL_END_INPUT && rc != ISAL_OUT_OVERFLOW)
        return damaged(err, "is damaged");
    buf_append(out, g->out, STEP - s->avail_out);
    if (buf_failed(out))
        return too_much(out, err);
    *out_done = s->block_state == ISAL_BLOCK_FINISH;
    return PERSIST_OK;
}

int gunzip(const void *data, size_t len, struct buf *out,
           struct persist_error *err)
{
    union { /* ISA-L writes through none of its inputs */
        const void *in;
        uint8_t *next;
    } at = {.in = data};
    struct gunzip *g = NULL;
    bool done = false;
    int rc = PERSIST_OK;

    if (len < 2 || at.next[0] != 0x1f || at.next[1] != 0x8b)
        return error_set(err, PERSIST_E_INVALID, "it is not a gzip file");
    g = malloc(sizeof(*g));
    if (!g)
        return error_memory(err);
    isal_inflate_init(&g->state);
    g->state.crc_flag = ISAL_GZIP;
    g->state.next_in = at.next;
    while (rc == PERSIST_OK && !done) {
        const uint8_t *before = g->state.next_in;
        if (g->state.avail_in == 0) {
            size_t n = len < IN_MAX ? len : IN_MAX;
            g->state.avail_in = (uint32_t)n;
            len -= n;
        }
        rc = inflate_step(g, out, &done, err);
        if (rc == PERSIST_OK && !done && len == 0 && g->state.avail_in == 0 &&
            g->state.next_in == before && g->state.avail_out == STEP)
            rc = damaged(err, "is cut short");
    }
    if (rc == PERSIST_OK && len + g->state.avail_in > 0)
        rc = damaged(err, "has bytes behind its end");
    free(g);
    return rc;
}

/* The decoder's state is large, so it lives on the heap. */
size_t gunzip_start(const void *data, size_t len, void *out, size_t cap)
{
    struct inflate_state *s = malloc(sizeof(*s));
    uint8_t *in = malloc(len);
    size_t n = 0;

    if (s && in) {
        memcpy(in, data, len);
        isal_inflate_init(s);
        s->crc_flag = ISAL_GZIP;
        s->next_in = in;
        s->avail_in = (uint32_t)len;
        s->next_out = out;
        s->avail_out = (uint32_t)cap;
        if (isal_inflate(s) >= ISAL_DECOMP_OK)
            n = s->total_out;
    }
    free(in);
    free(s);
    return n;
}
