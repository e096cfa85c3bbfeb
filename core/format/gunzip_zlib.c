/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompressing a foreign gzip file by zlib, in steps through a small buffer,
 * where there is no ISA-L.
 */
#include "format/gunzip_impl.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_ONLY (16 + MAX_WBITS) /* inflateInit2: a gzip wrapper, checked */

struct gunzip {
    z_stream stream;
    uint8_t out[STEP];
};

/* One step; *out_done once the member's end has been checked. */
static int inflate_step(struct gunzip *g, struct buf *out, bool *out_done,
                        struct persist_error *err)
{
    z_stream *s = &g->stream;

    s->next_out = g->out;
    s->avail_out = STEP;
    int rc = inflate(s, Z_NO_FLUSH);
    if (rc == Z_MEM_ERROR)
        return error_memory(err);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return damaged(err, "is damaged or fails its checksum");
    buf_append(out, g->out, STEP - s->avail_out);
    if (buf_failed(out))
        return too_much(out, err);
    *out_done = rc == Z_STREAM_END;
    if (rc == Z_BUF_ERROR && s->avail_in == 0)
        return damaged(err, "is cut short");
    return PERSIST_OK;
}

int gunzip(const void *data, size_t len, struct buf *out,
           struct persist_error *err)
{
    union { /* zlib writes through none of its inputs */
        const void *in;
        uint8_t *next;
    } at = {.in = data};
    struct gunzip *g = NULL;
    bool done = false;
    int rc = PERSIST_OK;

    if (len < 2 || at.next[0] != 0x1f || at.next[1] != 0x8b)
        return error_set(err, PERSIST_E_INVALID, "it is not a gzip file");
    g = calloc(1, sizeof(*g));
    if (!g || inflateInit2(&g->stream, GZIP_ONLY) != Z_OK) {
        free(g);
        return error_memory(err);
    }
    g->stream.next_in = at.next;
    while (rc == PERSIST_OK && !done) {
        if (g->stream.avail_in == 0) {
            size_t n = len < IN_MAX ? len : IN_MAX;
            g->stream.avail_in = (uInt)n;
            len -= n;
        }
        rc = inflate_step(g, out, &done, err);
    }
    if (rc == PERSIST_OK && len + g->stream.avail_in > 0)
        rc = damaged(err, "has bytes behind its end");
    inflateEnd(&g->stream);
    free(g);
    return rc;
}

size_t gunzip_start(const void *data, size_t len, void *out, size_t cap)
{
    union {
        const void *in;
        Bytef *next;
    } at = {.in = data};
    z_stream s = {.next_in = at.next,
                  .avail_in = (uInt)len,
                  .next_out = out,
                  .avail_out = (uInt)cap};

    if (inflateInit2(&s, GZIP_ONLY) != Z_OK)
        return 0;
    int rc = inflate(&s, Z_SYNC_FLUSH);
    inflateEnd(&s);
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR
               ? cap - s.avail_out
               : 0;
}
