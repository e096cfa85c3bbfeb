/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying: every stored byte in order, in large pinned reads, through
 * format/'s scan, and the payload's SHA-256.
 *
 *      store ─▶ reads ahead     I/O executor
 *               scan: CRCs, decoding, the frame's checksum    caller's thread
 *               SHA-256 of the frame before                   CPU executor
 *
 * The first read is reserved at once; what the scan holds is added when the
 * header has said how large a frame is, and the reads ahead take the place of
 * the first one.  Where there is no memory for a second frame the hash is made
 * between the frames.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "format/snapshot.h"
#include "runtime/work.h"
#include "transfer/again.h"
#include "util/text.h"

#define READS_LEAST 3 /* one is fed, one comes, one is about to */
#define READS_MOST 5

struct verify {
    struct object object;
    struct executor *cpu;
    struct executor *io;
    download_header_fn header;
    void *header_ctx;
    struct snapshot_scan *scan;
    uint8_t *window; /* the first read */
    size_t window_cap;
    struct readahead *reads; /* NULL: none, or not yet */

    struct sha256 *sha;
    struct work hash; /* of hash_data, unless it is over */
    bool can_hash;    /* hash is initialised */
    bool beside;      /* it runs on the CPU executor */
    const void *hash_data;
    size_t hash_len;
    int hash_rc;
};

/* ------------------------------------------------------------------- hash */

static void hash(struct work *w)
{
    struct verify *v =
        (struct verify *)((char *)w - offsetof(struct verify, hash));

    v->hash_rc = sha256_update(v->sha, v->hash_data, v->hash_len);
}

static int hash_over(struct verify *v, struct persist_error *err)
{
    work_wait(&v->hash);
    return v->hash_rc ? error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed")
                      : PERSIST_OK;
}

static int on_payload(void *ctx, const void *data, size_t len,
                      struct persist_error *err)
{
    struct verify *v = ctx;
    int rc = hash_over(v, err);

    if (rc != PERSIST_OK)
        return rc;
    v->hash_data = data;
    v->hash_len = len;
    work_start(&v->hash, v->beside ? v->cpu : NULL, hash);
    atomic_fetch_add(&v->object.op->payload_bytes, len);
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- memory */

static uint64_t end_anywhere(void *ctx, uint64_t from, uint64_t most)
{
    (void)ctx, (void)from;
    return most;
}

/* Together up to a quarter of the limit, as the first read alone. */
static struct readahead_what plan_ahead(struct verify *v)
{
    uint64_t quarter =
        budget_limit(backend_store_env(v->object.store)->budget) / 4;
    struct readahead_what what = {.object = &v->object,
                                  .io = v->io,
                                  .start = v->window_cap,
                                  .end = v->object.total,
                                  .unit = v->window_cap,
                                  .cut = end_anywhere,
                                  .n = 1};

    if (v->io && quarter / READS_LEAST >= SNAPSHOT_SUFFIX) {
        if (what.unit > quarter / READS_LEAST)
            what.unit = (size_t)(quarter / READS_LEAST);
        while (what.n < READS_MOST && (what.n + 1) * what.unit <= quarter)
            what.n++;
    }
    what.longest = what.unit;
    return what;
}

static bool is_read_at_once(const struct verify *v)
{
    return v->object.total <= v->window_cap;
}

/* The reads, or the window they take the place of, and the scan. */
static int reserve(struct verify *v, enum codec codec, uint32_t frame_size,
                   struct persist_error *err)
{
    uint64_t limit = budget_limit(backend_store_env(v->object.store)->budget);
    uint64_t scan = frame_bound(codec, frame_size) + frame_size +
                    frame_decoder_memory(codec, frame_size);
    uint64_t reads = v->window_cap;

    if (!is_read_at_once(v)) {
        const struct readahead_what what = plan_ahead(v);

        if (readahead_memory(&what) > reads)
            reads = readahead_memory(&what);
    }
    v->beside = v->cpu && reads + scan + frame_size <= limit / 2;
    if (v->beside)
        snapshot_scan_keep_payload(v->scan);
    return object_reserve(&v->object,
                          reads + scan + (v->beside ? frame_size : 0), err);
}

static int on_header(void *ctx, const struct persist_metadata *m,
                     struct persist_error *err)
{
    struct verify *v = ctx;
    enum codec codec = CODEC_ZSTD;

    if (!codec_from_name(m->compression_algorithm, &codec))
        return error_set(err, PERSIST_E_CORRUPT, "unknown compression");
    int rc = reserve(v, codec, (uint32_t)m->frame_size, err);
    if (rc == PERSIST_OK && v->header)
        rc = v->header(v->header_ctx, m, err);
    return rc;
}

/* ------------------------------------------------------------------- life
 */

static int verify_init(struct verify *v, const struct download_request *request,
                       struct persist_error *err)
{
    int rc = object_init(&v->object, request, err);

    if (rc != PERSIST_OK)
        return rc;
    v->cpu = request->cpu;
    v->io = request->io;
    rc = work_init(&v->hash);
    if (rc != 0)
        return error_errno(err, -rc, "cannot verify");
    v->can_hash = true;
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
    readahead_destroy(v->reads);
    if (v->can_hash) {
        work_wait(&v->hash); /* it reads what the scan holds */
        work_finish(&v->hash);
    }
    snapshot_scan_destroy(v->scan);
    sha256_destroy(v->sha);
    free(v->window);
    object_finish(&v->object);
}

/* ---------------------------------------------------------------- reading
 */

static int stopped(const struct verify *v, struct persist_error *err)
{
    int rc = op_check(v->object.op, backend_store_env(v->object.store)->clock);

    if (rc == PERSIST_OK)
        return PERSIST_OK;
    return error_set(
        err, rc, rc == PERSIST_E_TIMEOUT ? "the deadline passed" : "cancelled");
}

/* What the first read did not reach. */
static int feed_rest(struct verify *v, struct persist_error *err)
{
    const struct readahead_what what = plan_ahead(v);
    uint64_t pos = what.start;

    free(v->window);
    v->window = NULL;
    int rc = readahead_create(&what, &v->reads, err);
    while (rc == PERSIST_OK && pos < what.end) {
        uint64_t left = what.end - pos;
        size_t n = left < what.unit ? (size_t)left : what.unit;
        const uint8_t *bytes = NULL;

        rc = stopped(v, err);
        if (rc == PERSIST_OK)
            rc = readahead_get(v->reads, pos, n, &bytes, err);
        if (rc != PERSIST_OK)
            break;
        readahead_release(v->reads, pos);
        rc = snapshot_scan_feed(v->scan, bytes, n, err);
        pos += n;
    }
    return rc;
}

/* Feeds the whole object; the window holds its first bytes. */
static int feed_all(struct verify *v, size_t first, struct persist_error *err)
{
    int rc = snapshot_scan_feed(v->scan, v->window, first, err);

    if (rc == PERSIST_OK && !is_read_at_once(v))
        rc = feed_rest(v, err);
    return rc;
}

static int check_hash(struct verify *v, const struct persist_metadata *m,
                      struct persist_error *err)
{
    uint8_t sha[32];
    char hex[65];
    int rc = hash_over(v, err);

    if (rc != PERSIST_OK)
        return rc;
    if (sha256_final(v->sha, sha) != 0)
        return error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
    text_to_hex(sha, sizeof(sha), hex);
    if (!m->content_hash || strcmp(hex, m->content_hash) != 0)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the payload's SHA-256 is not the trailer's "
                         "content_hash");
    return PERSIST_OK;
}

static int verify_once(const struct download_request *request, bool *again,
                       struct verify v, enum download_kind *out_kind,
                       struct persist_metadata **out_metadata,
                       struct persist_error *err)
{
    struct persist_metadata *m = NULL;
    size_t first = 0;

    *out_metadata = NULL;
    int rc = verify_init(&v, request, err);
    v.object.again = *again;
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
    *again = again_is_worth(&v.object, rc);
    if (*again)
        again_tell(&v.object, "object", 0);
    persist_metadata_free(m);
    verify_finish(&v);
    return rc;
}

int download_verify(const struct download_request *request,
                    download_header_fn header, void *ctx,
                    enum download_kind *out_kind,
                    struct persist_metadata **out_metadata,
                    struct persist_error *err)
{
    const struct verify v = {.header = header, .header_ctx = ctx};
    uint64_t before = atomic_load(&request->op->payload_bytes);
    bool again = false;
    int rc = verify_once(request, &again, v, out_kind, out_metadata, err);

    if (!again)
        return rc;
    atomic_store(&request->op->payload_bytes, before);
    return verify_once(request, &again, v, out_kind, out_metadata, err);
}
