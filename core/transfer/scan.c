/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying: every stored byte in order, in large pinned reads, through
 * format/'s scan, and the payload's SHA-256.
 *
 * The window is reserved at once; what the scan holds is added when the header
 * has said how large a frame is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/snapshot.h"
#include "transfer/download_impl.h"
#include "util/text.h"

struct verify {
    struct object object;
    download_header_fn header;
    void *header_ctx;
    struct snapshot_scan *scan;
    struct sha256 *sha;
    uint8_t *window;
    size_t window_cap;
};

static int on_header(void *ctx, const struct persist_metadata *m,
                     struct persist_error *err)
{
    struct verify *v = ctx;
    enum codec codec = CODEC_ZSTD;

    if (!codec_from_name(m->compression_algorithm, &codec))
        return error_set(err, PERSIST_E_CORRUPT, "unknown compression");
    uint64_t scan = frame_bound(codec, (size_t)m->frame_size) + m->frame_size +
                    frame_decoder_memory(codec, (uint32_t)m->frame_size);
    int rc = object_reserve(&v->object, v->window_cap + scan, err);
    if (rc == PERSIST_OK && v->header)
        rc = v->header(v->header_ctx, m, err);
    return rc;
}

static int on_payload(void *ctx, const void *data, size_t len,
                      struct persist_error *err)
{
    struct verify *v = ctx;

    if (sha256_update(v->sha, data, len) != 0)
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    atomic_fetch_add(&v->object.op->payload_bytes, len);
    return PERSIST_OK;
}

static int verify_init(struct verify *v, const struct download_request *request,
                       struct persist_error *err)
{
    int rc = object_init(&v->object, request, err);

    if (rc != PERSIST_OK)
        return rc;
    v->window_cap = window_limit(&v->object);
    rc = object_reserve(&v->object, v->window_cap, err);
    if (rc != PERSIST_OK)
        return rc;
    v->window = malloc(v->window_cap);
    v->sha = sha256_create();
    v->scan = snapshot_scan_create(on_header, on_payload, v);
    return v->window && v->sha && v->scan ? PERSIST_OK : error_memory(err);
}

static void verify_finish(struct verify *v)
{
    snapshot_scan_destroy(v->scan);
    sha256_destroy(v->sha);
    free(v->window);
    object_finish(&v->object);
}

/* Feeds the object from `done` bytes on; the window holds the first ones. */
static int feed_all(struct verify *v, size_t first, struct persist_error *err)
{
    const struct clock *clock = backend_store_env(v->object.store)->clock;
    uint64_t pos = first;
    int rc = snapshot_scan_feed(v->scan, v->window, first, err);

    while (rc == PERSIST_OK && pos < v->object.total) {
        uint64_t left = v->object.total - pos;
        size_t n = left < v->window_cap ? (size_t)left : v->window_cap;
        rc = op_check(v->object.op, clock);
        if (rc != PERSIST_OK)
            return error_set(err, rc,
                             rc == PERSIST_E_TIMEOUT ? "the deadline passed"
                                                     : "cancelled");
        rc = object_read(&v->object, pos, v->window, n, err);
        if (rc == PERSIST_OK)
            rc = snapshot_scan_feed(v->scan, v->window, n, err);
        pos += n;
    }
    return rc;
}

static int check_hash(struct verify *v, const struct persist_metadata *m,
                      struct persist_error *err)
{
    uint8_t sha[32];
    char hex[65];

    if (sha256_final(v->sha, sha) != 0)
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    text_to_hex(sha, sizeof(sha), hex);
    if (!m->content_hash || strcmp(hex, m->content_hash) != 0)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the payload's SHA-256 is not the trailer's "
                         "content_hash");
    return PERSIST_OK;
}

int download_verify(const struct download_request *request,
                    download_header_fn header, void *ctx,
                    enum download_kind *out_kind,
                    struct persist_metadata **out_metadata,
                    struct persist_error *err)
{
    struct verify v = {.header = header, .header_ctx = ctx};
    struct persist_metadata *m = NULL;
    size_t first = 0;

    *out_metadata = NULL;
    int rc = verify_init(&v, request, err);
    if (rc == PERSIST_OK)
        rc = object_read(&v.object, 0, v.window, v.window_cap, err);
    if (rc != PERSIST_OK)
        goto out;
    first =
        v.object.total < v.window_cap ? (size_t)v.object.total : v.window_cap;
    rc = object_kind(&v.object, v.window, first, out_kind, err);
    if (rc != PERSIST_OK || *out_kind != DOWNLOAD_SNAPSHOT)
        goto out;
    rc = feed_all(&v, first, err);
    if (rc == PERSIST_OK)
        rc = snapshot_scan_end(v.scan, &m, err);
    if (rc == PERSIST_OK)
        rc = check_hash(&v, m, err);
    if (rc == PERSIST_OK) {
        *out_metadata = m;
        m = NULL;
    }
out:
    persist_metadata_free(m);
    verify_finish(&v);
    return rc;
}
